#include "cmd/scan_data.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/load.h"
#include "cmd/words.h"
#include "config/duration.h"
#include "net/http.h"

#define WEEK_S   (7 * 86400)
#define RETRY_S  3600   /* what could not be loaded is left alone for so long */
#define BUSY_MS  600000 /* with another process that loads */
#define BUSY_US  500000
#define WANT_MAX 64

const char *scan_update_words(size_t i)
{
    static const char *const words[] = {
        [SCAN_UPDATE_AUTO] = "auto", [SCAN_UPDATE_ALWAYS] = "always", [SCAN_UPDATE_NEVER] = "never"
    };
    return WORD_OF(words, i);
}

int scan_data_read(const char *update, const char *max_age, struct scan_data *ret, struct err *e)
{
    int64_t ns = 0;
    size_t i = 0;
    while (update && scan_update_words(i) && strcmp(update, scan_update_words(i)) != 0)
        i++;
    if (max_age && !duration_parse(str_from(max_age), &ns))
        return err_set(e, ERR_USAGE, "--max-age: '%s' is no duration (36h, 168h; 0: any age)", max_age);
    ret->update = (enum scan_update)i;
    ret->max_age_s = max_age ? ns / 1000000000 : WEEK_S;
    return 0;
}

/* ---- what is wanted ---- */

struct wanted {
    const struct feed *list[WANT_MAX];
    size_t count;
    bool covered, tried; /* of those that cover it one was loaded, one was tried a short while ago */
};

static bool has_word(const char *words, str word)
{
    for (str rest = str_from(words), next; word.len && (next = str_word(&rest)).len;)
        if (str_eq(next, word))
            return true;
    return false;
}

/* By its namespace's first part ("debian:12"), or as it calls itself. */
static bool covers(const struct feed *f, const struct distribution *d)
{
    str rest = d->namespace, id = str_cut(&rest, ':'), family = id;
    return has_word(f->covers, id) || has_word(f->covers, str_cut(&family, '.')) ||
           has_word(f->covers, d->id);
}

static const struct feed_status *status_of(const struct feed *f, const struct feed_status *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(list[i].name, str_from(f->name)))
            return &list[i];
    return NULL;
}

static bool was_loaded(const struct feed_status *s) { return s && s->last_success; }

static bool is_recent(const struct feed_status *s)
{
    int64_t age = s ? clock_now() - s->last_try : RETRY_S;
    return age >= 0 && age < RETRY_S;
}

static void add(struct wanted *w, const struct feed *f)
{
    if (w->count < WANT_MAX)
        w->list[w->count++] = f;
}

/* `again`: severities were looked at already. */
static int find_wanted(const struct scan_data *d, struct store *store, const struct distribution *of,
                       bool again, struct wanted *ret, struct err *e)
{
    struct feed_status *list;
    size_t count;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    bool all = d->update == SCAN_UPDATE_ALWAYS && !again;
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (store_feeds(store, arena, &list, &count, e) < 0)
        return -1;
    for (size_t i = 0; feeds[i]; i++) {
        const struct feed_status *s = status_of(feeds[i], list, count);
        if (!covers(feeds[i], of) || !(feeds[i]->place.url || d->mirror))
            continue;
        ret->covered |= was_loaded(s);
        ret->tried |= is_recent(s);
        add(ret, feeds[i]);
    }
    for (size_t i = 0; feeds[i] && ret->count; i++) /* severities alone cover nothing */
        if (!*feeds[i]->covers && (all || !was_loaded(status_of(feeds[i], list, count))))
            add(ret, feeds[i]);
    return 0;
}

/* ---- fetching ---- */

static void tell(const struct scan_data *d, const struct wanted *w, str namespace)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    if (d->quiet)
        return;
    if (w->covered)
        buf_printf(&text, "looking for newer data for " STR_FMT ":", STR_ARG(namespace));
    else
        buf_printf(&text, "no data for " STR_FMT " yet: fetching", STR_ARG(namespace));
    for (size_t i = 0; i < w->count; i++) {
        buf_printf(&text, "%s %s", i ? "," : "", w->list[i]->name);
        if (!w->covered)
            buf_printf(&text, " (%u MB)", w->list[i]->megabytes);
    }
    buf_char(&text, '\0');
    watch_hide(d->watch);
    complain(text.failed ? "fetching data" : text.ptr);
}

/* Of several first scans at once one loads, and the others wait for it. */
static int load_in_turn(const struct scan_data *d, struct store *store, struct cage *cage,
                        const struct feed *f, bool once, struct err *e)
{
    const struct update_options how = { .mirror = d->mirror, .once = once };
    int64_t until = clock_ms() + BUSY_MS;
    for (;;) {
        struct update_result result;
        int64_t since = clock_ms();
        *e = (struct err){ 0 };
        int r = load_feed(store, cage, f, &how, d->watch, &result, e);
        if (r == 0 && d->verbose)
            tell_step(since, "%s: %lld advisories", f->name,
                      (long long)(result.counts.added + result.counts.changed + result.counts.unchanged));
        if (r == 0 || e->kind != ERR_BUSY || clock_ms() > until)
            return r;
        usleep(BUSY_US);
    }
}

/* The distribution, and each ecosystem of the image as if it were one. */
static size_t list_subjects(const struct image_index *image, struct distribution ret[1 + ECOSYSTEMS])
{
    size_t n = 0;
    if (image->distribution.namespace.len && image->package_count)
        ret[n++] = image->distribution;
    for (size_t i = 0; i < image->package_count; i++) {
        str kind = image->packages[i].package.kind;
        size_t k = 0;
        while (k < n && !str_eq(ret[k].namespace, kind))
            k++;
        if (k == n && ecosystem_of(kind))
            ret[n++] = (struct distribution){ .namespace = kind };
    }
    return n;
}

/* *away: the network is; others are asked too, but not again and again. */
static int load_wanted(const struct scan_data *d, struct store *store, struct cage *cage,
                       const struct distribution *of, bool again, bool *away, struct err *e)
{
    struct wanted w = { 0 };
    if (find_wanted(d, store, of, again, &w, e) < 0)
        return -1;
    if (!w.count || (d->update == SCAN_UPDATE_AUTO && (w.covered || (w.tried && !d->mirror))))
        return 0;
    if (http_init(e) < 0)
        return -1;
    tell(d, &w, of->namespace);
    for (size_t i = 0; i < w.count; i++) {
        struct err why;
        if (load_in_turn(d, store, cage, w.list[i], *away, &why) == 0)
            continue;
        *away |= why.kind == ERR_NETWORK;
        if (!d->quiet)
            warn("%s", why.text);
    }
    return 0;
}

void scan_data_load(const struct scan_data *d, struct store *store, struct cage *cage,
                    const struct image_index *image)
{
    struct distribution of[1 + ECOSYSTEMS];
    size_t count = d->update == SCAN_UPDATE_NEVER ? 0 : list_subjects(image, of);
    bool away = false;
    for (size_t i = 0; i < count; i++) {
        struct err e = { 0 };
        if (load_wanted(d, store, cage, &of[i], i > 0, &away, &e) < 0 && !d->quiet)
            warn("%s", e.text);
    }
}

/* ---- its age ---- */

int scan_data_warn(const struct scan_data *d, struct arena *arena, struct report *r, struct err *e)
{
    str *all = arena_array(arena, str, r->warning_count + r->match.feed_count + 1);
    if (!all)
        return err_set(e, ERR_OOM, "report");
    if (r->warning_count)
        memcpy(all, r->warnings, r->warning_count * sizeof *all);
    r->warnings = all;
    for (size_t i = 0; i < r->match.feed_count && d->max_age_s; i++) {
        const struct match_feed *f = &r->match.feeds[i];
        char day[CLOCK_TEXT];
        int64_t age = r->now - f->last_success;
        if (!f->last_success || age <= d->max_age_s || str_eq(f->name, STORE_MANUAL))
            continue;
        clock_format(f->last_success, day);
        all[r->warning_count++] =
            arena_printf(arena, STR_FMT ": data of %.10s, %lld days old (eclair update brings it up to date)",
                         STR_ARG(f->name), day, (long long)(age / 86400));
    }
    return arena_failed(arena) ? err_set(e, ERR_OOM, "report") : 0;
}
