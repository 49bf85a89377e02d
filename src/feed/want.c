#include "feed/want.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <time.h>

#define PLACES_MAX 16 /* hosts to which the documents of one feed may lead */
#define YEAR       "{year}"

static int oom(const struct wants *w, struct err *e)
{
    return err_set(e, ERR_OOM, "%s: out of memory", w->feed->name);
}

/* ---- places ---- */

static struct want_place *place_at(struct wants *w, str where, bool mirror, const char *folder, struct err *e)
{
    size_t count = 0;
    for (struct want_place *p = w->places; p; p = p->next, count++)
        if (p->mirror == mirror && str_eq(str_from(p->where), where))
            return p;
    if (count == PLACES_MAX) {
        err_set(e, ERR_LIMIT, "its documents lead to more than %d hosts", PLACES_MAX);
        return NULL;
    }
    struct want_place *p = arena_alloc(w->arena, 1, sizeof *p);
    if (!p || !(p->where = arena_cstr(w->arena, where))) {
        oom(w, e);
        return NULL;
    }
    p->mirror = mirror;
    p->folder = folder;
    p->next = w->places;
    w->places = p;
    return p;
}

static str without_slash(str s)
{
    while (s.len > 1 && s.ptr[s.len - 1] == '/')
        s.len--;
    return s;
}

/* The place that stands for the feed's own stands for all that a mirror has in the same folder. */
static bool is_replaced(const struct wants *w, const struct feed_place *place)
{
    return w->url && !strcmp(place->folder, w->feed->place.folder);
}

static bool is_there(const struct wants *w, const struct feed_place *place)
{
    return place->url || w->mirror || is_replaced(w, place);
}

static struct want_place *place_of(struct wants *w, const struct feed_place *place, struct err *e)
{
    if (is_replaced(w, place))
        return place_at(w, without_slash(str_from(w->url)), true, place->folder, e);
    if (!w->mirror)
        return place_at(w, str_from(place->url), false, NULL, e);
    str where =
        arena_printf(w->arena, STR_FMT "/%s", STR_ARG(without_slash(str_from(w->mirror))), place->folder);
    return place_at(w, where, true, place->folder, e);
}

struct fetch_base *wants_base(struct wants *w, struct want_place *p, struct err *e)
{
    if (!p->base)
        p->base = fetch_base_new(&w->policy, p->where, p->mirror, e);
    return p->base;
}

/* ---- what is wanted ---- */

static struct want *add(struct wants *w, str name, str path, struct want_place *place, struct err *e)
{
    if (w->count++ == WANTS_MAX) {
        err_set(e, ERR_LIMIT, "more than %u documents in one update", WANTS_MAX);
        return NULL;
    }
    struct want *n = arena_alloc(w->arena, 1, sizeof *n);
    if (!n) {
        oom(w, e);
        return NULL;
    }
    n->name = arena_dup(w->arena, name);
    n->path = arena_cstr(w->arena, path);
    n->place = place;
    if (arena_failed(w->arena)) {
        oom(w, e);
        return NULL;
    }
    *w->last = n;
    w->last = &n->next;
    return n;
}

static int add_document(struct wants *w, const struct feed_document *d, unsigned group, int year,
                        struct err *e)
{
    char path[FEED_TEXT_MAX];
    const char *at = strstr(d->path, YEAR);
    int n =
        at ? snprintf(path, sizeof path, "%.*s%d%s", (int)(at - d->path), d->path, year, at + strlen(YEAR))
           : snprintf(path, sizeof path, "%s", d->path);
    struct want_place *place = place_of(w, d->place ? d->place : &w->feed->place, e);
    str name = str_of(path, (size_t)n);
    struct want *want = place ? add(w, name, name, place, e) : NULL;
    if (!want)
        return -1;
    want->may_lack = d->flags & DOCUMENT_MAY_LACK;
    want->group = group;
    return 0;
}

static int year_of(int64_t now)
{
    struct tm tm;
    time_t t = (time_t)now;
    return gmtime_r(&t, &tm) ? tm.tm_year + 1900 : 1970;
}

int wants_begin(struct wants *w, const struct feed *feed, const char *mirror, const char *url, int64_t now,
                struct err *e)
{
    unsigned group = 0;
    *w = (struct wants){
        .arena = arena_new(0), .feed = feed, .policy = fetch_defaults, .mirror = mirror, .url = url
    };
    w->last = &w->first;
    if (!w->arena)
        return oom(w, e);
    for (const struct feed_document *d = feed->documents; d->path; d++) {
        if (!is_there(w, d->place ? d->place : &feed->place))
            continue;
        int last = d->first_year ? year_of(now) : 0;
        for (int year = (int)d->first_year; year <= last; year++) {
            group += !(d->flags & DOCUMENT_ELSE);
            if (add_document(w, d, group, year, e) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- leads ---- */

static str origin_of(str url)
{
    size_t i = 0, slashes = 0;
    while (i < url.len && (slashes += url.ptr[i] == '/') < 3)
        i++;
    return str_head(url, i);
}

static bool is_url(str s) { return str_starts(s, STR("http://")) || str_starts(s, STR("https://")); }

/* Where an absolute URL is read, and the rest of it. */
static struct want_place *place_of_url(struct wants *w, const struct want *from, str url, str *path,
                                       struct err *e)
{
    str origin = origin_of(url), here = str_from(from->place->where);
    *path = str_skip(url, origin.len < url.len ? origin.len + 1 : origin.len);
    if (from->place->mirror || str_eq(origin, here))
        return from->place;
    /* what begins with https stays with it */
    if (str_starts(here, STR("https://")) && str_starts(origin, STR("http://")))
        origin = arena_printf(w->arena, "https://" STR_FMT, STR_ARG(str_skip(origin, STR("http://").len)));
    return place_at(w, origin, false, NULL, e);
}

/* On a mirror: "2/core/m" for "@BASE@/amazon/2/core/m" and for its absolute form. */
static str without_folder(const struct want_place *place, str path)
{
    str rest = path;
    return place->folder && str_eq(str_cut(&rest, '/'), str_from(place->folder)) ? rest : path;
}

int wants_add(struct wants *w, const struct want *from, const struct feed_lead *lead, struct err *e)
{
    struct want_place *place = from->place;
    str path = lead->path, base = STR("@BASE@/");
    if (str_starts(path, base)) {
        path = without_folder(place, str_skip(path, base.len));
    } else if (is_url(path)) {
        if (!(place = place_of_url(w, from, lead->path, &path, e)))
            return -1;
        path = without_folder(place, path);
    }
    struct want *n = add(w, lead->name, path, place, e);
    if (!n)
        return -1;
    n->is_lead = true;
    n->may_lack = lead->may_lack;
    n->fingerprint = arena_dup(w->arena, lead->fingerprint);
    return arena_failed(w->arena) ? oom(w, e) : 0;
}

void wants_done(struct wants *w)
{
    for (struct want_place *p = w->places; p; p = p->next)
        fetch_base_freep(&p->base);
    arena_freep(&w->arena);
}
