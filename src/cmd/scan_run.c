/* scan_run.c - index, match, judge: one mechanism for all commands that look at an image. */
#include "cmd/scan_run.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cage/cage.h"
#include "cmd/scan_source.h"
#include "feed/update.h"
#include "index/archive.h"
#include "index/index.h"
#include "index/sbom.h"

#define SCAN_MEMORY_MAX                                                                                      \
    ((size_t)1 << 30)    /* of an image's packages and findings: a hostile image must not take more */
#define UNUSED_SHOWN 20u /* rules that hit nothing */

/* index_tasks, and what loads feeds. */
static const struct cage_task *const tasks[] = { &index_layer_task, &index_list_task, &index_stream_task,
                                                 &index_sbom_task,  &feed_task,       NULL };

/* ---- options ---- */

static int read_platform(const struct scan_options *o, struct image_platform *ret, struct err *e)
{
    *ret = image_platform_here();
    if (!o->platform || image_platform_parse(str_from(o->platform), ret, e) == 0)
        return 0;
    return err_wrap(e, "--platform");
}

static void read_policy(const struct scan_options *o, struct policy *ret)
{
    *ret =
        (struct policy){ .ignore_unfixed = o->ignore_unfixed, .exit_code = o->exit_code, .fail = o->fail_on };
    if (o->severity) /* they are words_severities */
        severity_parse(str_from(o->severity), &ret->minimum);
    if (o->fail_on)
        severity_parse(str_from(o->fail_on), &ret->fail_on);
}

static int read_file(struct ignore_list *l, enum ignore_source source, const char *file, struct err *e)
{
    CLEANUP(buf_done) struct buf bytes = { .max = IGNORE_FILE_MAX + (32 << 10) };
    if (buf_read_file(&bytes, file, e) < 0)
        return err_wrap(e, source == IGNORE_VEX ? "--vex" : "--ignore-file");
    return ignore_read(l, source, file, buf_view(&bytes), e);
}

static int read_files(struct scan_session *s, struct err *e)
{
    const struct scan_options *o = s->o;
    if (!o->ignore_files.count && !o->vex.count)
        return 0;
    s->ignored = ignore_list_new(e);
    if (!s->ignored)
        return -1;
    for (size_t i = 0; i < o->ignore_files.count; i++)
        if (read_file(s->ignored, IGNORE_LISTS, o->ignore_files.values[i], e) < 0)
            return -1;
    for (size_t i = 0; i < o->vex.count; i++)
        if (read_file(s->ignored, IGNORE_VEX, o->vex.values[i], e) < 0)
            return -1;
    return 0;
}

static bool shows_progress(const struct scan_options *o)
{
    return !o->quiet && !o->no_progress && watch_can_show();
}

/* The zygote before the thread, and what is to be blocked before both. */
static int start(struct scan_session *s, const char *what, struct err *e)
{
    struct watch_options watch = { .shows = shows_progress(s->o), .what = what };
    if (watch_read_timeout(s->o->timeout, &watch.timeout_ms, e) < 0)
        return -1;
    watch_block(&watch.before);
    s->cage = cage_new(tasks, NULL, e);
    s->watch = s->cage ? watch_start(&watch, e) : NULL;
    s->data.watch = s->watch;
    return s->watch ? 0 : -1;
}

int scan_session_open(struct scan_session *s, const struct scan_options *o, const char *what, struct err *e)
{
    *s = (struct scan_session){ .o = o,
                                .data = { .mirror = o->mirror, .quiet = o->quiet, .verbose = o->verbose } };
    read_policy(o, &s->policy);
    if (scan_data_read(o->update, o->max_age, &s->data, e) < 0 || read_platform(o, &s->platform, e) < 0 ||
        database_place(o->db, s->place, sizeof s->place, e) < 0 || read_files(s, e) < 0)
        return -1;
    return start(s, what, e);
}

void scan_session_rest(struct scan_session *s)
{
    s->data.watch = NULL;
    watch_freep(&s->watch);
}

void scan_session_done(struct scan_session *s)
{
    scan_session_rest(s);
    cage_freep(&s->cage);
    ignore_list_freep(&s->ignored);
}

/* ---- indexing and matching ---- */

struct shown {
    struct index_progress progress;
    struct watch *watch;
};

static void show_layer(struct index_progress *p, size_t done, size_t total)
{
    struct shown *s = (struct shown *)(void *)p;
    watch_parts(s->watch, done, total, "layers");
}

static uint64_t bytes_read(void *cage)
{
    struct cage_load load;
    cage_load(cage, &load);
    return load.input;
}

static void show_image(const struct scan_session *session, const char *image)
{
    watch_label(session->watch, "%s", image);
    watch_meter(session->watch, bytes_read, session->cage);
}

static void report_done(struct scan *s)
{
    store_freep(&s->store);
    arena_freep(&s->arena);
}

void scan_done(struct scan *s)
{
    report_done(s);
    scan_input_done(&s->input);
}

static int list_packages(struct scan *s, struct err *e)
{
    s->report = (struct report){ .image = s->image,
                                 .now = clock_now(),
                                 .warnings = s->image->notes,
                                 .warning_count = s->image->note_count,
                                 .end_of_life = distribution_end_of_life(s->image->distribution.namespace),
                                 .coverage = COVERAGE_NONE };
    return arena_failed(s->arena) ? err_set(e, ERR_OOM, "report") : 0;
}

/* Of an image its packages; a list says them, and nothing of it is stored. */
static int find_packages(struct scan *s, const struct scan_session *session, const char *path, struct err *e)
{
    struct shown shown = { { show_layer }, session->watch };
    int64_t id;
    if (!s->input.list)
        return index_image(s->store, session->cage, s->input.container, path, &session->platform,
                           &shown.progress, s->arena, &s->image, &id, e);
    s->image = arena_alloc(s->arena, 1, sizeof *s->image);
    if (!s->image)
        return err_set(e, ERR_OOM, "image");
    *s->image = *s->input.list;
    s->image->name = arena_dup(s->arena, str_from(path));
    return 0;
}

static int index_and_match(struct scan *s, const struct scan_session *session, const char *path,
                           struct err *e)
{
    int64_t since = clock_ms();
    s->arena = arena_new(SCAN_MEMORY_MAX);
    if (!s->arena)
        return err_set(e, ERR_OOM, "arena");
    if (find_packages(s, session, path, e) == 0) {
        watch_hide(session->watch);
        if (session->o->verbose)
            tell_step(since, "%s: %zu layers, %zu packages", path, s->image->layer_count,
                      s->image->package_count);
        if (session->packages_only)
            return list_packages(s, e);
        if (!s->scratch)
            scan_data_load(&session->data, s->store, session->cage, s->image);
        since = clock_ms();
        watch_label(session->watch, "%s: matching", path);
        if (match_image(s->store, s->image, clock_now(), s->arena, &s->report, e) == 0 &&
            scan_data_warn(&session->data, s->arena, &s->report, e) == 0) {
            watch_hide(session->watch);
            if (session->o->verbose)
                tell_step(since, "%s: %zu findings", path, s->report.match.finding_count);
            return 0;
        }
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

static int scan_image(struct scan *s, const struct scan_session *session, const char *path, struct err *e)
{
    struct err first = { 0 };
    s->store = database_open(session->place, session->o->quiet, e);
    if (!s->store)
        return -1;
    if (index_and_match(s, session, path, &first) == 0)
        return 0;
    if (!is_about_storing(first.kind)) {
        *e = first;
        return -1;
    }
    report_done(s);
    watch_hide(session->watch);
    s->store = store_open(session->place, STORE_SCRATCH, e);
    s->scratch = true;
    if (!s->store)
        return -1;
    if (!session->o->quiet)
        warn("%s; the result is not stored", first.text);
    return index_and_match(s, session, path, e);
}

int scan_run(struct scan *s, const struct scan_session *session, const char *image, struct err *e)
{
    int64_t since = clock_ms();
    show_image(session, image);
    if (scan_source_open(session, image, &s->input, e) < 0)
        return -1;
    if (session->o->verbose) {
        watch_hide(session->watch);
        tell_step(since, "%s: opened", image);
        show_image(session, image);
    }
    return scan_image(s, session, image, e);
}

/* ---- judging ---- */

/* The packages of an entry are sorted. */
static bool has_package(const struct layer_entry *entry, const struct package *p)
{
    size_t low = 0, high = entry->package_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = package_cmp(&entry->packages[middle], p);
        if (!order)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void find_paths(struct scan *s, const struct layer_index *layer, uint32_t number, str *paths)
{
    for (size_t k = 0; k < layer->entry_count; k++) {
        const struct layer_entry *entry = &layer->entries[k];
        if (entry->kind != ENTRY_FILE || !entry->package_count)
            continue;
        str path = arena_dup(s->arena, entry->path);
        for (size_t i = 0; i < s->image->package_count; i++) {
            const struct image_package *p = &s->image->packages[i];
            if (p->layer == number && !paths[i].len && has_package(entry, &p->package))
                paths[i] = path;
        }
    }
}

int scan_paths(struct scan *s, const str **ret, struct err *e)
{
    str *paths = arena_array(s->arena, str, s->image->package_count + 1);
    if (!paths)
        return err_set(e, ERR_OOM, "report");
    for (uint32_t i = 0; i < s->image->layer_count; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(SCAN_MEMORY_MAX);
        struct layer_index *layer;
        if (!arena)
            return err_set(e, ERR_OOM, "report");
        int found =
            store_layer_find(s->store, s->image->layers[i]->digest, indexer_version(), arena, &layer, e);
        if (found < 0)
            return -1;
        if (found)
            find_paths(s, layer, i, paths);
    }
    *ret = paths;
    return arena_failed(s->arena) ? err_set(e, ERR_OOM, "report") : 0;
}

int scan_judge(struct scan *s, const struct scan_session *session, struct verdict *ret, struct err *e)
{
    const struct scan_options *o = session->o;
    struct ignore_image image = { .name = o->image_name ? str_from(o->image_name) : s->image->name };
    struct ignore_list *l = session->ignored;
    if (l && l->wants_paths && scan_paths(s, &image.paths, e) < 0)
        return err_wrap(e, STR_FMT, STR_ARG(s->image->name));
    if (l && ignore_apply(l, &image, &s->report, s->arena, e) < 0)
        return err_wrap(e, STR_FMT, STR_ARG(s->image->name));
    *ret = policy_apply(&session->policy, &s->report);
    return 0;
}

/* ---- telling ---- */

/* Of rules that one line or statement made: did any hit, or would have? Moves *at behind them. */
static bool is_used(const struct ignore_list *l, size_t *at)
{
    str by = l->rules[*at]->by;
    bool used = false;
    for (; *at < l->count && str_eq(l->rules[*at]->by, by); ++*at)
        used |= l->rules[*at]->hits || l->rules[*at]->expired;
    return used;
}

static void tell_unused(const struct ignore_list *l)
{
    size_t unused = 0;
    for (size_t i = 0; i < l->count;) {
        const struct ignore_rule *r = l->rules[i];
        if (!is_used(l, &i) && unused++ < UNUSED_SHOWN)
            warn(STR_FMT ": " STR_FMT " hits nothing", STR_ARG(r->by),
                 STR_ARG(r->id.len ? r->id : STR("it")));
    }
    if (unused > UNUSED_SHOWN)
        warn("%zu more rules hit nothing", unused - UNUSED_SHOWN);
}

void scan_tell(const struct scan_session *session, const struct report *r, const struct verdict *v,
               bool unused, bool in_table)
{
    if (session->o->quiet)
        return;
    for (size_t i = 0; !in_table && i < r->warning_count; i++)
        warn(STR_FMT, STR_ARG(r->warnings[i]));
    if (unused && session->ignored)
        tell_unused(session->ignored);
    if (v->unknown)
        warn("%zu findings of unknown severity do not count for --fail-on %s (--fail-on Unknown counts them)",
             v->unknown, session->o->fail_on);
}
