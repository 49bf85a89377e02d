/*
 * detector.h - what reads one kind of file of an image: bytes in, packages or a distribution out. Pure: no I/O, no globals.
 *
 * Shape      A detector names the paths it wants and gets the whole content of each such file. index/ runs it in the cage.
 * Ownership  everything put into `out` lives in out->arena (views into `content` are not enough: copy with arena_dup()).
 * Limits     a content is at most DETECT_FILE_MAX bytes (the worker refuses more); names and versions above
 *            PACKAGE_TEXT_MAX are skipped with a note.
 * Errors     ERR_FORMAT with the line; the file then counts as unreadable and the layer fails. Odd stanzas are skipped, never
 *            fatal: only what is not the format at all is an error.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/layer.h"

#define DETECT_FILE_MAX (256u << 20)

struct detected {
    struct arena *arena;
    struct package *packages;
    size_t package_count, package_cap;
    struct distribution distribution; /* id empty when the file does not tell */
    struct fact *facts;               /* what else the file tells of the layer it is in */
    size_t fact_count, fact_cap;
    str note; /* last odd thing a person should know; empty = none */
};

struct detect_file {
    str path;    /* in the image */
    str content; /* all of it; the bytes stay the caller's */
    str beside;  /* content of the file named path + detector->beside in the same layer; empty: none there */
};

/* Appends (fields are copied into the arena); false when memory ran out. Skips and notes over-long names. */
bool detected_add(struct detected *d, const struct package *p);
/* Appends a fact (copied into the arena); false when memory ran out. Over-long ones are skipped with a note. */
bool detected_fact(struct detected *d, str name, str value);
void detected_note(struct detected *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct detector {
    const char *name; /* "dpkg": shown in reports and stored, so it never changes */
    unsigned
        version; /* raise it when the same bytes would now yield something else: re-keys the layer cache */
    const char *
        paths; /* blank-separated patterns of the only files it is given; at most one "*", which does not cross "/" and matches at least one byte */
    int (*scan)(const struct detect_file *file, struct detected *out,
                struct err *e); /* 0, or -1 with e set */
    /* What is added to a path for the name of a second file that belongs to it ("-wal"): it is given with the first. NULL: none. */
    const char *beside;

    /* For distribution files only: who speaks first when they disagree (lower wins); 0 for package detectors. */
    unsigned priority;
    /* It tells facts only, neither packages nor a distribution: where its file is missing or cannot be read, nothing is. */
    bool hints;
};

/* Does it list packages? Behind what stands at its paths and cannot be read there may be some. */
bool detector_lists(const struct detector *d);

extern const struct detector *const detectors[]; /* ends with NULL; this order is the order of reports */

const struct detector *detector_for(str path); /* the one that wants this path, NULL if none does */
const struct detector *
detector_beside(str path); /* the one that wants this path beside another, NULL if none does */
const struct detector *detector_by_name(str name); /* NULL if there is none */
bool detector_wants_below(str path); /* could a wanted path lie below this folder (or be it)? For whiteouts */
unsigned
detector_versions(void); /* one number that changes when any detector's version does: the indexer version */
