/* scan.c - the main job: index, match, print. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "cage/cage.h"
#include "cmd/command.h"
#include "cmd/scan_data.h"
#include "cmd/scan_formats.h"
#include "feed/update.h"
#include "index/archive.h"
#include "index/index.h"
#include "match/match.h"
#include "policy/policy.h"

#include <errno.h>

#define SEVERITY_NAMES "Unknown, Negligible, Low, Medium, High, Critical, Defcon1"
#define SCAN_MEMORY_MAX                                                                                      \
    ((size_t)1 << 30) /* of an image's packages and findings: a hostile image must not take more */

struct scan_options {
    const char *db, *output, *template_file, *severity, *fail_on, *platform, *update, *mirror, *max_age;
    struct option_list formats;
    int exit_code;
    bool ignore_unfixed, show_suppressed, quiet;
};

static const struct option options[] = {
    { "db", "WHERE", OPT_TEXT, offsetof(struct scan_options, db), DATABASE_HELP },
    { "format", "NAME[=FILE]", OPT_LIST, offsetof(struct scan_options, formats),
      "table (default), or another of those below; again for more than one, each with its file", 'f' },
    { "output", "FILE", OPT_TEXT, offsetof(struct scan_options, output),
      "write the report there, whole or not at all; of several that without a file of its own" },
    { "template", "FILE", OPT_TEXT, offsetof(struct scan_options, template_file),
      "what --format template writes: Mustache over the JSON report" },
    { "severity", "NAME", OPT_TEXT, offsetof(struct scan_options, severity),
      "leave out findings below it; Unknown ones are always shown" },
    { "ignore-unfixed", NULL, OPT_FLAG, offsetof(struct scan_options, ignore_unfixed),
      "leave out findings without a fixed version" },
    { "show-suppressed", NULL, OPT_FLAG, offsetof(struct scan_options, show_suppressed),
      "show people, too, what lists and VEX documents took out" },
    { "exit-code", "N", OPT_NUMBER, offsetof(struct scan_options, exit_code),
      "exit with N when there are findings (default 0)" },
    { "fail-on", "NAME", OPT_TEXT, offsetof(struct scan_options, fail_on),
      "only findings from it on count for the exit code (4, or --exit-code)" },
    { "platform", "OS/ARCH", OPT_TEXT, offsetof(struct scan_options, platform),
      "of several images the one for it, as linux/arm64 or linux/arm/v7" },
    { "update", "WHEN", OPT_TEXT, offsetof(struct scan_options, update),
      "fetch the data that the image needs: auto (default: when there is none), always, never "
      "[$ECLAIR_UPDATE]" },
    { "mirror", "DIR_OR_URL", OPT_TEXT, offsetof(struct scan_options, mirror),
      "where it is fetched from, as of update" },
    { "max-age", "DURATION", OPT_TEXT, offsetof(struct scan_options, max_age),
      "warn of older data [168h]; 0: of none" },
    { "quiet", NULL, OPT_FLAG, offsetof(struct scan_options, quiet),
      "no progress, no warnings on standard error" },
    { 0 },
};
_Static_assert(sizeof(struct scan_options) <= OPTIONS_SIZE_MAX, "options");

/* index_tasks, and what loads feeds. */
static const struct cage_task *const tasks[] = { &index_layer_task, &index_list_task, &index_stream_task,
                                                 &feed_task, NULL };

static int read_platform(const struct scan_options *o, struct image_platform *ret, struct err *e)
{
    *ret = image_platform_here();
    if (!o->platform || image_platform_parse(str_from(o->platform), ret, e) == 0)
        return 0;
    return err_wrap(e, "--platform");
}

static int read_policy(const struct scan_options *o, struct policy *ret, struct err *e)
{
    *ret =
        (struct policy){ .ignore_unfixed = o->ignore_unfixed, .exit_code = o->exit_code, .fail = o->fail_on };
    if (o->severity && !severity_parse(str_from(o->severity), &ret->minimum))
        return err_set(e, ERR_USAGE, "--severity: '%s' is none of " SEVERITY_NAMES, o->severity);
    if (o->fail_on && !severity_parse(str_from(o->fail_on), &ret->fail_on))
        return err_set(e, ERR_USAGE, "--fail-on: '%s' is none of " SEVERITY_NAMES, o->fail_on);
    return 0;
}

/* One line on a terminal that is gone when the report comes. */
static void show_progress(struct index_progress *p, size_t done, size_t total)
{
    (void)p;
    fprintf(stderr, "\rlayers read: %zu of %zu\033[K", done, total);
    fflush(stderr);
}

static bool shows_progress(const struct scan_options *o) { return !o->quiet && isatty(STDERR_FILENO); }

struct scan {
    struct container *container;
    struct image_platform platform;
    struct scan_data data;
    struct store *store;
    bool scratch; /* the store is one that forgets */
    struct arena *arena;
    struct image_index *image;
    struct report report;
};

static void report_done(struct scan *s)
{
    store_freep(&s->store);
    arena_freep(&s->arena);
}

static void scan_done(struct scan *s)
{
    report_done(s);
    container_freep(&s->container);
}

static int index_and_match(struct scan *s, struct cage *cage, const char *path, const struct scan_options *o,
                           struct err *e)
{
    struct index_progress progress = { show_progress };
    int64_t id;
    s->arena = arena_new(SCAN_MEMORY_MAX);
    if (!s->arena)
        return err_set(e, ERR_OOM, "arena");
    if (index_image(s->store, cage, s->container, path, &s->platform, shows_progress(o) ? &progress : NULL,
                    s->arena, &s->image, &id, e) == 0) {
        if (!s->scratch)
            scan_data_load(&s->data, s->store, cage, s->image);
        if (match_image(s->store, s->image, clock_now(), s->arena, &s->report, e) == 0 &&
            scan_data_warn(&s->data, s->arena, &s->report, e) == 0)
            return 0;
        err_wrap(e, "%s", path);
    }
    if (!arena_failed(s->arena))
        return -1;
    err_set(e, ERR_LIMIT, "its packages and findings need more than %zu MiB", SCAN_MEMORY_MAX >> 20);
    return err_wrap(e, "%s", path);
}

/* A database that fills up or is locked for long while we work must not cost the report: once more, without storing. */
static bool is_about_storing(enum err_kind kind)
{
    return kind == ERR_FULL || kind == ERR_READONLY || kind == ERR_BUSY;
}

static int scan_image(struct scan *s, struct cage *cage, const char *place, const char *path,
                      const struct scan_options *o, struct err *e)
{
    struct err first = { 0 };
    s->store = database_open(place, o->quiet, e);
    if (!s->store)
        return -1;
    if (index_and_match(s, cage, path, o, &first) == 0)
        return 0;
    if (!is_about_storing(first.kind)) {
        *e = first;
        return -1;
    }
    report_done(s);
    s->store = store_open(place, STORE_SCRATCH, e);
    s->scratch = true;
    if (!s->store)
        return -1;
    if (!o->quiet)
        warn("%s; the result is not stored", first.text);
    return index_and_match(s, cage, path, o, e);
}

static int open_image(struct scan *s, struct cage *cage, const char *path, struct err *e)
{
    if (!*path)
        return err_set(e, ERR_USAGE, "scan: IMAGE is empty");
    if (strcmp(path, "-") && access(path, F_OK) < 0 && errno == ENOENT) {
        err_set(e, ERR_NOT_FOUND,
                "no such file or folder (an image of a container engine: docker save NAME | eclair scan -)");
        return err_wrap(e, "%s", path);
    }
    s->container = container_open(cage, path, e);
    return s->container ? 0 : err_wrap(e, "%s", path);
}

static int open_and_scan(struct scan *s, struct cage *cage, const char *place, const char *path,
                         const struct scan_options *o, struct err *e)
{
    bool shows = shows_progress(o);
    char clean[256];
    err_clean(clean, sizeof clean, path);
    if (shows)
        fprintf(stderr, "reading %s\033[K", clean);
    int r = open_image(s, cage, path, e) < 0 ? -1 : scan_image(s, cage, place, path, o, e);
    if (shows)
        fputs("\r\033[K", stderr);
    return r;
}

static void tell(const struct scan_options *o, const struct scan_formats *formats, const struct report *r,
                 const struct verdict *v)
{
    if (o->quiet)
        return;
    for (size_t i = 0; !scan_formats_show(formats, &report_table) && i < r->warning_count; i++)
        warn(STR_FMT, STR_ARG(r->warnings[i]));
    if (v->unknown)
        warn("%zu findings of unknown severity do not count for --fail-on %s (--fail-on Unknown counts them)",
             v->unknown, o->fail_on);
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct scan_options *o = opts;
    struct scan_formats formats;
    CLEANUP(buf_done) struct buf template = { .max = TEMPLATE_MAX };
    struct report_options how = { .show_suppressed = o->show_suppressed };
    struct policy policy;
    struct image_platform platform;
    struct scan_data data = { .mirror = o->mirror, .quiet = o->quiet, .shows = shows_progress(o) };
    char place[4096];
    (void)count;
    if (scan_data_read(o->update, o->max_age, &data, e) < 0 || read_policy(o, &policy, e) < 0 ||
        read_platform(o, &platform, e) < 0 || database_place(o->db, place, sizeof place, e) < 0 ||
        scan_formats_read(&o->formats, o->output, &formats, e) < 0 ||
        scan_formats_template(&formats, o->template_file, &template, &how, e) < 0)
        return -1;
    CLEANUP(cage_freep) struct cage *cage = cage_new(tasks, NULL, e);
    CLEANUP(scan_done) struct scan s = { .platform = platform, .data = data };
    if (!cage || open_and_scan(&s, cage, place, args[0], o, e) < 0)
        return -1;
    struct verdict verdict = policy_apply(&policy, &s.report);
    if (scan_formats_write(&formats, args[0], &s.report, &how, e) < 0)
        return -1;
    tell(o, &formats, &s.report, &verdict);
    return verdict.exit_code;
}

static void more(FILE *to)
{
    fprintf(to, "\nFormats:\n");
    for (size_t i = 0; report_formats[i]; i++)
        fprintf(to, "  %-24s %s\n", report_formats[i]->name, report_formats[i]->help);
}

const struct command command_scan = {
    .name = "scan",
    .arguments = "IMAGE",
    .summary = "Finds the known vulnerabilities of an image",
    .details =
        "IMAGE is an archive of `docker save` or `podman save`, an OCI layout (folder or tar), an ACI, or a "
        "root file system\n"
        "folder; archives and layers may be plain, gzip, zstd, bzip2 or xz; \"-\" reads an archive from "
        "standard input.\n"
        "Severities: " SEVERITY_NAMES ".\n"
        "An image of a distribution of which no data was ever loaded: what is needed is fetched, once, and "
        "told "
        "(--update).\n"
        "Exit code: 0 done, 1 failure, 2 usage, 3 not covered, else what --exit-code and --fail-on say.",
    .more = more,
    .options = options,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
