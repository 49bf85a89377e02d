/*
 * ignore.h - the one model behind every file that says which findings do not count: lists of clair-scanner, Trivy and grype, VEX documents.
 *
 * Shape      A rule holds for a finding when everything that it says fits; what it does not say fits all. Rules of lists suppress. Of VEX
 *            documents the statement that was made last of those that fit says what is so: not_affected and fixed suppress.
 * Kind       of a file: by its name (*.trivyignore, *.trivyignore.yaml, *.grype.yaml); else JSON with "@context" or "statements" is
 *            OpenVEX, with "document" CSAF; else YAML or JSON by its keys (generalwhitelist, images: clair-scanner; ignore: grype;
 *            vulnerabilities: Trivy); else it is a line for each id, as .trivyignore.
 * Ownership  everything lives in the list's arena, the file's bytes too.
 * Limits     IGNORE_FILE_MAX bytes of a file, IGNORE_RULES_MAX rules of all files, 500,000 values of a JSON document, 64 levels.
 * Errors     ERR_FORMAT, ERR_LIMIT: "FILE: line N: KEY: what". What we do not know of a rule is a warning, and that rule does not hold: it
 *            may be what narrows it.
 * Source     spec/clair-scanner.md 5; spec/integrations.md D5; the documents of .trivyignore and .trivyignore.yaml (Trivy), of `ignore`
 *            (grype); CSAF 2.0, profile VEX.
 */
#pragma once
#include "base/buf.h"
#include "base/strmap.h"
#include "match/match.h"
#include "policy/purl.h"

#define IGNORE_FILE_MAX     ((size_t)4 << 20)
#define IGNORE_RULES_MAX    65536u
#define IGNORE_WARNINGS_MAX 100u

enum vex_status { VEX_NONE, VEX_NOT_AFFECTED, VEX_FIXED, VEX_AFFECTED, VEX_UNDER_INVESTIGATION };
const char *vex_status_name(enum vex_status s); /* "not_affected", ...; "" for VEX_NONE */
enum vex_status vex_status_of(str name);        /* also with "-" for "_"; VEX_NONE: no such status */

struct ignore_rule {
    /* Which findings; empty and NULL: all. */
    str id;      /* of the finding, of its advisory, or an alias */
    str package; /* its name, "*" for any bytes */
    str source;  /* of its source package; the same */
    str version; /* as the package has it */
    str type;    /* of packages, as purls have it: "deb" */
    const struct purl *purl;
    str namespace;         /* of the finding, or of the image: "debian:12" */
    str path;              /* of the file that names the package: "**" any folders, "*" and "?" within one */
    unsigned states;       /* a set of 1 << enum fix_state; 0: all */
    enum vex_status needs; /* that a VEX document says of it */
    str cpe;               /* of the product that the packages are of */
    str image;             /* name or digest, "*" for any bytes */
    const struct purl *image_purl;
    int64_t until;      /* it holds before that moment; 0: for ever */
    enum vex_status is; /* VEX_NONE: it is of a list and suppresses */
    int64_t said;       /* of a VEX statement: when */
    str reason;
    str by; /* "FILE: line N", "FILE: statement N" */

    struct ignore_rule *next; /* of the same id */
    size_t hits;
    bool expired; /* it would have hit, and was told */
};

struct ignore_list {
    struct arena *arena;
    struct ignore_rule **rules;
    size_t count, cap;
    struct strmap by_id;     /* id -> the first rule */
    struct ignore_rule *any; /* the first one without an id */
    str *warnings;
    size_t warning_count, warning_cap, warnings_left_out;
    bool wants_paths; /* a rule has one */
};
struct ignore_list *ignore_list_new(struct err *e);
void ignore_list_freep(struct ignore_list **l); /* NULL is fine */

enum ignore_source { IGNORE_LISTS, IGNORE_VEX };
/* One file more. `file` names it in messages; a kind of the other source is ERR_USAGE. */
int ignore_read(struct ignore_list *l, enum ignore_source source, const char *file, str bytes, struct err *e);

struct ignore_image {
    str name;         /* as ignore lists know it */
    const str *paths; /* of each package of the image, where it is named; NULL: not known */
};
/* Moves what rules hit from the report's findings to its suppressed ones; the order stays. What there is to tell of rules becomes warnings
 * of the report. */
int ignore_apply(struct ignore_list *l, const struct ignore_image *image, struct report *r,
                 struct arena *arena, struct err *e);

/* Do all of the bytes fit? "*" stands for any. */
bool glob_fits(str pattern, str text);
/* The same for paths: "**" for any, "*" and "?" for all but "/"; a "/" or "./" in front does not count. */
bool glob_fits_path(str pattern, str path);

/* ---- clair-scanner's whitelist, which `eclair push` reads too ---- */

struct whitelist_entry {
    str image; /* empty: of all */
    str id, reason;
    unsigned line;
};
typedef bool whitelist_take(void *ctx, const struct whitelist_entry *entry); /* false: no more memory */
/* 0, or -1 with `why`: as gopkg.in/yaml.v2 says it, of several lines (spec/clair-scanner.md 3). */
int whitelist_read(str bytes, struct arena *arena, whitelist_take *take, void *ctx, struct buf *why);
