/*
 * scan_run.h - what `eclair scan`, `explain`, `diff` and `packages` have in common: open an image, index it, match it, and apply what a person
 *              said not to count.
 *
 * Order      scan_session_open() before any thread, then scan_run() for each image, then scan_judge().
 */
#pragma once
#include "cmd/command.h"
#include "cmd/scan_data.h"
#include "cmd/watch.h"
#include "cmd/words.h"
#include "image/manifest.h"
#include "index/container.h"
#include "policy/ignore.h"
#include "policy/policy.h"

#define SEVERITY_NAMES "Unknown, Negligible, Low, Medium, High, Critical, Defcon1"
#define REPORT_MAX     ((size_t)512 << 20)

struct scan_options { /* of all of these commands, the first member of their own */
    const char *db, *platform, *update, *mirror, *max_age, *timeout;
    const char *severity, *fail_on, *image_name;
    const char *registry_mirror, *ca;
    struct option_list ignore_files, vex;
    int exit_code;
    bool ignore_unfixed, quiet, verbose, no_progress, insecure;
};

#define SCAN_FIELD(name) offsetof(struct scan_options, name)
/* Which image and by which data. */
#define SCAN_OPTIONS                                                                                         \
    { "db", "WHERE", OPT_TEXT, SCAN_FIELD(db), DATABASE_HELP },                                              \
        { "platform", "OS/ARCH", OPT_TEXT, SCAN_FIELD(platform),                                             \
          "of several images the one for it, as linux/arm64 or linux/arm/v7" },                              \
        { "update",                                                                                          \
          "WHEN",                                                                                            \
          OPT_TEXT,                                                                                          \
          SCAN_FIELD(update),                                                                                \
          "fetch the data that the image needs: auto (when there is none), always, never "                   \
          "[auto]",                                                                                          \
          .words = scan_update_words },                                                                      \
        { "registry-mirror", "[HOST=]URL", OPT_TEXT, SCAN_FIELD(registry_mirror),                            \
          "asked before the registry HOST (docker.io) itself" },                                             \
        { "ca", "FILE", OPT_TEXT, SCAN_FIELD(ca),                                                            \
          "PEM file: authorities of registries, beside the system's and /etc/docker/certs.d" },              \
        { "insecure", NULL, OPT_FLAG, SCAN_FIELD(insecure),                                                  \
          "registries: any certificate will do, and http" },                                                 \
        { "mirror", "DIR_OR_URL", OPT_TEXT, SCAN_FIELD(mirror), "where it is fetched from, as of update" },  \
        { "max-age", "DURATION", OPT_TEXT, SCAN_FIELD(max_age), "warn of older data [168h]; 0: of none" },   \
        SCAN_TELLING_OPTIONS
#define SCAN_TELLING_OPTIONS                                                                                 \
    { "timeout", "DURATION", OPT_TEXT, SCAN_FIELD(timeout), "give up after so long (30s, 10m) [never]" },    \
        { "quiet", NULL, OPT_FLAG, SCAN_FIELD(quiet), "no progress, no warnings on standard error" },        \
        { "verbose", NULL, OPT_FLAG, SCAN_FIELD(verbose),                                                    \
          "what is done, and how long it took, on standard error" },                                         \
    {                                                                                                        \
        "no-progress", NULL, OPT_FLAG, SCAN_FIELD(no_progress), "no line that tells how far it is"           \
    }
/* What is to be seen. */
#define SCAN_POLICY_OPTIONS                                                                                  \
    { "severity",                                                                                            \
      "NAME",                                                                                                \
      OPT_TEXT,                                                                                              \
      SCAN_FIELD(severity),                                                                                  \
      "leave out findings below it; Unknown ones are always shown",                                          \
      .words = words_severities },                                                                           \
        { "ignore-unfixed", NULL, OPT_FLAG, SCAN_FIELD(ignore_unfixed),                                      \
          "leave out findings without a fixed version" },                                                    \
        { "ignore-file", "FILE", OPT_LIST, SCAN_FIELD(ignore_files),                                         \
          "findings not to count: a whitelist of clair-scanner, .trivyignore, .trivyignore.yaml or "         \
          ".grype.yaml; several times" },                                                                    \
        { "vex", "FILE", OPT_LIST, SCAN_FIELD(vex),                                                          \
          "an OpenVEX or CSAF document that says what is not affected; several times" },                     \
    {                                                                                                        \
        "image-name", "NAME", OPT_TEXT, SCAN_FIELD(image_name),                                              \
            "what those files call the image (default IMAGE as given)"                                       \
    }

struct cage;
struct scan_session {
    const struct scan_options *o;
    struct policy policy;
    struct image_platform platform;
    struct scan_data data;
    char place[4096]; /* of the database */
    struct ignore_list *ignored;
    struct cage *cage;
    struct watch *watch; /* from scan_session_open() to scan_session_rest() */
    bool packages_only;  /* nothing is loaded or matched: the report has the image and its notes */
};
/* Reads options and the files that they name, forks the zygote, and starts the watch: Ctrl-C, --timeout, progress. `what`: IMAGE. */
int scan_session_open(struct scan_session *s, const struct scan_options *o, const char *what, struct err *e);
/* What is left is quick: no line on the terminal any more, signals and time are as usual. */
void scan_session_rest(struct scan_session *s);
void scan_session_done(struct scan_session *s);

struct scan_input { /* what an IMAGE is: cmd/scan_source.h opens it */
    struct container *container;
    struct image_index *list; /* or a list of packages, read already; lives in arena */
    struct arena *arena;
};

struct scan {
    struct scan_input input;
    struct store *store;
    bool scratch; /* the store is one that forgets */
    struct arena *arena;
    struct image_index *image;
    struct report report;
};
/* Indexes and matches. */
int scan_run(struct scan *s, const struct scan_session *session, const char *image, struct err *e);
/* Applies ignore files, VEX documents and the filters to its report. */
int scan_judge(struct scan *s, const struct scan_session *session, struct verdict *ret, struct err *e);
void scan_done(struct scan *s);

/* For each package of the image the file of the image that names it; empty where that is not known. */
int scan_paths(struct scan *s, const str **ret, struct err *e);

/* What there is to tell beside the report; `unused`: also rules that hit nothing; `in_table`: warnings stand in it. */
void scan_tell(const struct scan_session *session, const struct report *r, const struct verdict *v,
               bool unused, bool in_table);
