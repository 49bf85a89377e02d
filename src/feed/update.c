#include "feed/update.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strmap.h"
#include "cage/cage.h"
#include "codec/pack.h"
#include "feed/fetch.h"
#include "feed/parse_task.h"
#include "feed/want.h"
#include "net/http.h"

#include <time.h>
#include <unistd.h>

#define TURN_MS      2000
#define POLL_US      5000
#define SHRUNK_TIMES 3              /* in a row, until it is believed */
#define CURSOR       STR(".cursor") /* a document without advisories, whose validator is the cursor */

struct job {
    struct store *store;
    struct cage *cage;
    const struct feed *feed;
    str name; /* of the feed */
    const struct update_options *options;
    struct wants wants;
    struct store_update *update; /* from the first thing to be written on */
    struct advisory_room *room;
    unsigned unchanged, missing, forbidden, loaded; /* forbidden: of the missing */
    const struct want *lacking;                     /* the first that must not be missing */
    unsigned group;                                 /* the last of which a document was found */
    struct strmap read;                             /* names of documents that this update has read */
    str cursor, remembered;                         /* that of the last update, and a new one */
    uint64_t skipped;
    bool named; /* the store's error tells the document, which may be an earlier one */
    /* of the document that is being read: */
    const struct want *want;
    struct buf leads; /* those that are asked for each time, packed */
    str validator;
    bool part_is_read; /* what comes is of a part that was read by itself */
};

static void job_done(struct job *j)
{
    store_update_freep(&j->update);
    free(j->room);
    strmap_done(&j->read);
    buf_done(&j->leads);
    wants_done(&j->wants);
}

static int tick(const struct job *j, struct err *e)
{
    return j->options->tick ? j->options->tick(j->options->ctx, e) : 0;
}

/* What clients of REST v1 write takes milliseconds each, and is no reason to give up; another feed's load is. */
static struct store_update *begin_in_turn(struct job *j, struct err *e)
{
    int64_t until = clock_ms() + TURN_MS;
    for (;;) {
        struct store_update *u =
            store_update_begin(j->store, j->name, j->feed->rank ? j->feed->rank : STORE_RANK, e);
        if (u || e->kind != ERR_BUSY || clock_ms() > until)
            return u;
        *e = (struct err){ 0 };
        usleep(POLL_US);
    }
}

static int begin(struct job *j, struct err *e)
{
    if (j->update)
        return 0;
    if (!j->room)
        j->room = calloc(1, sizeof *j->room);
    if (!j->room)
        return err_set(e, ERR_OOM, "out of memory");
    j->update = begin_in_turn(j, e);
    return j->update ? 0 : -1;
}

/* ---- what the worker says ---- */

static int on_advisory(struct job *j, str body, struct err *e)
{
    struct advisory a;
    if (j->part_is_read)
        return 0;
    if (tick(j, e) < 0)
        return -1;
    if (advisory_unpack(body, j->room, &a, e) < 0)
        return -1;
    if (store_update_put(j->update, &a, e) == 0)
        return 0;
    j->named = true;
    return -1;
}

/* False when out of memory. *before: was it there? */
static bool mark_read(struct job *j, str name, bool *before)
{
    *before = strmap_get(&j->read, name);
    void **at = *before ? NULL : strmap_at(&j->read, arena_dup(j->wants.arena, name));
    if (at)
        *at = j;
    return *before || (at && !arena_failed(j->wants.arena));
}

static int on_part(struct job *j, str name, struct err *e)
{
    if (!mark_read(j, name, &j->part_is_read))
        return err_set(e, ERR_OOM, "out of memory");
    if (j->part_is_read)
        return 0;
    CLEANUP(buf_done) struct buf validator = { 0 };
    buf_printf(&validator, "v%u part", j->feed->version);
    if (validator.failed)
        return err_set(e, ERR_OOM, "out of memory");
    return store_update_document(j->update, name, buf_view(&validator), e);
}

static int on_lead(struct job *j, str body, struct err *e)
{
    struct unpack u = { .rest = body };
    struct feed_lead lead;
    if (!lead_unpack(&u, &lead) || !unpack_end(&u))
        return err_set(e, ERR_CAGE, "worker sent a malformed lead");
    if (!lead.fingerprint.len)
        buf_str(&j->leads, body);
    return j->leads.failed ? err_set(e, ERR_OOM, "out of memory") : wants_add(&j->wants, j->want, &lead, e);
}

/* What was read of it in this update is newer than the word that it is gone. */
static int on_gone(struct job *j, str name, struct err *e)
{
    return strmap_get(&j->read, name) ? 0 : store_update_drop(j->update, name, e);
}

static int on_cursor(struct job *j, str cursor, struct err *e)
{
    j->remembered = arena_dup(j->wants.arena, cursor);
    return arena_failed(j->wants.arena) ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    struct job *j = ctx;
    switch (type - FRAME_TASK) {
    case PARSE_ADVISORY:
        return on_advisory(j, body, e);
    case PARSE_DOCUMENT:
        return on_part(j, body, e);
    case PARSE_LEAD:
        return on_lead(j, body, e);
    case PARSE_GONE:
        return on_gone(j, body, e);
    case PARSE_REMEMBER:
        return on_cursor(j, body, e);
    }
    return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
}

/* ---- one document ---- */

/* A worker that stopped before the end must not make a broken transfer look whole. */
static int expect_end(struct fetch *f, struct err *e)
{
    str rest;
    int r = fetch_read(f, &rest, e);
    return r > 0 ? err_set(e, ERR_FORMAT, "more bytes follow the document") : r;
}

/*
 * A stored validator is "vVERSION " and that of fetch, or "fp " and a fingerprint; behind a NUL the leads that are asked for each
 * time. Read by another version of the parser, a document is as good as new.
 */
static void store_validator(const struct job *j, const struct fetch *f, struct buf *ret)
{
    buf_printf(ret, "v%u ", j->feed->version);
    if (j->want->fingerprint.len)
        buf_printf(ret, "fp " STR_FMT, STR_ARG(j->want->fingerprint));
    else
        buf_str(ret, fetch_validator(f));
}

static str stored_validator(const struct job *j, str stored, str *leads)
{
    char version[16];
    int n = snprintf(version, sizeof version, "v%u ", j->feed->version);
    *leads = (str){ 0 };
    if (!str_starts(stored, str_from(version)))
        return (str){ 0 };
    stored = str_skip(stored, (size_t)n);
    str validator = str_cut(&stored, '\0');
    *leads = stored;
    return validator;
}

static bool has_fingerprint(const struct want *w, str validator)
{
    return w->fingerprint.len && str_starts(validator, STR("fp ")) &&
           str_eq(str_skip(validator, STR("fp ").len), w->fingerprint);
}

struct reading { /* passes bytes on, and tells people how far it is */
    struct job *job;
    struct fetch *fetch;
    uint64_t bytes;
};

static int read_and_tell(void *ctx, str *ret, struct err *e)
{
    struct reading *r = ctx;
    const struct update_options *o = r->job->options;
    int got = fetch_read(r->fetch, ret, e);
    if (got > 0 && o->progress) {
        r->bytes += ret->len;
        o->progress(o->ctx, &(struct update_progress){ r->job->feed, r->job->want->name, r->bytes,
                                                       fetch_total(r->fetch) });
    }
    return got;
}

static int parse(struct job *j, struct fetch *f, struct err *e)
{
    CLEANUP(buf_done) struct buf params = { 0 }, summary = { 0 };
    feed_task_ask(&params, j->feed, j->want->name, str_from(j->want->path), j->cursor);
    if (params.failed)
        return err_set(e, ERR_OOM, "out of memory");
    struct reading reading = { j, f, 0 };
    struct cage_input in = { .fd = -1, .read = read_and_tell, .ctx = &reading };
    if (cage_run(j->cage, &feed_task, buf_view(&params), &in, on_frame, j, &summary, e) < 0 ||
        expect_end(f, e) < 0)
        return -1;
    struct unpack u = { .rest = buf_view(&summary) };
    j->skipped += unpack_u64(&u);
    return unpack_end(&u) ? 0 : err_set(e, ERR_CAGE, "worker sent a malformed summary");
}

static int load(struct job *j, struct fetch *f, struct err *e)
{
    CLEANUP(buf_done) struct buf validator = { 0 };
    bool before;
    store_validator(j, f, &validator);
    buf_clear(&j->leads);
    j->part_is_read = false;
    if (validator.failed || !mark_read(j, j->want->name, &before))
        return err_set(e, ERR_OOM, "out of memory");
    if (before)
        return err_set(e, ERR_FORMAT, "it comes twice");
    if (begin(j, e) < 0 || store_update_document(j->update, j->want->name, buf_view(&validator), e) < 0 ||
        parse(j, f, e) < 0)
        return -1;
    j->loaded++;
    if (!j->leads.len)
        return 0;
    buf_char(&validator, '\0');
    buf_str(&validator, buf_view(&j->leads));
    if (validator.failed)
        return err_set(e, ERR_OOM, "out of memory");
    return store_update_document(j->update, j->want->name, buf_view(&validator), e);
}

/* As it was: so are those that it leads to by fingerprint, and the others are asked for. */
static int unchanged(struct job *j, str leads, struct err *e)
{
    bool ignored;
    struct unpack u = { .rest = leads };
    j->unchanged++;
    while (u.rest.len) {
        struct feed_lead lead;
        if (!lead_unpack(&u, &lead))
            return err_set(e, ERR_FORMAT, "what is stored of where it leads is damaged");
        if (wants_add(&j->wants, j->want, &lead, e) < 0)
            return -1;
    }
    return mark_read(j, j->want->name, &ignored) ? 0 : err_set(e, ERR_OOM, "out of memory");
}

static void missed(struct job *j, bool forbidden)
{
    const struct want *w = j->want;
    j->missing++;
    j->forbidden += forbidden;
    bool another = w->next && !w->is_lead && w->next->group == w->group; /* that stands for it */
    if (!another && !w->may_lack && !j->lacking)
        j->lacking = w;
}

/* Those of its group that were there before it are not the ones that count any more. */
static int drop_others(struct job *j, struct err *e)
{
    if (j->want->is_lead)
        return 0;
    for (const struct want *w = j->wants.first; w && !w->is_lead; w = w->next) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        str ignored;
        if (w == j->want || w->group != j->want->group)
            continue;
        int stored = arena ? store_document(j->store, j->name, w->name, arena, &ignored, e)
                           : err_set(e, ERR_OOM, "out of memory");
        if (stored < 0 || (stored && (begin(j, e) < 0 || store_update_drop(j->update, w->name, e) < 0)))
            return -1;
    }
    return 0;
}

static int found(struct job *j, struct err *e)
{
    if (!j->want->is_lead)
        j->group = j->want->group;
    return drop_others(j, e);
}

static int look(struct job *j, str validator, str leads, struct err *e)
{
    enum fetch_result result;
    struct fetch_base *base = wants_base(&j->wants, j->want->place, e);
    if (!base)
        return -1;
    CLEANUP(fetch_freep)
    struct fetch *f =
        fetch_open(base, j->want->path, j->want->fingerprint.len ? (str){ 0 } : validator, &result, e);
    if (!f)
        return -1;
    switch (result) {
    case FETCH_NEW:
        return load(j, f, e) < 0 ? -1 : found(j, e);
    case FETCH_UNCHANGED:
        return unchanged(j, leads, e) < 0 ? -1 : found(j, e);
    case FETCH_FORBIDDEN:
    case FETCH_MISSING:
        missed(j, result == FETCH_FORBIDDEN);
        return 0;
    }
    return err_set(e, ERR_INTERNAL, "unknown answer of fetch");
}

static int update_document(struct job *j, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    str stored = { 0 }, leads;
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (!j->want->is_lead && j->want->group == j->group) /* another one that stands for it was there */
        return 0;
    if (store_document(j->store, j->name, j->want->name, arena, &stored, e) < 0)
        return -1;
    str validator = stored_validator(j, stored, &leads);
    return has_fingerprint(j->want, validator) ? unchanged(j, leads, e) : look(j, validator, leads, e);
}

/* ---- all of them ---- */

static int not_found(const struct job *j, struct err *e)
{
    char host[HTTP_PLACE];
    const char *where = j->lacking->place->where;
    http_place(where, host); /* a URL may hold a password */
    return err_set(e, ERR_NOT_FOUND, STR_FMT ": not found at %s", STR_ARG(j->lacking->name),
                   strstr(where, "://") ? host : where);
}

/* One document that is refused is one that a mirror lacks; all of them are a mirror that refuses us. */
static int all_forbidden(const struct job *j, struct err *e)
{
    char host[HTTP_PLACE];
    http_place(j->wants.first->place->where, host);
    return err_set(e, ERR_NETWORK, "%s: answered 403 for every document", host);
}

static int write_cursor(struct job *j, struct err *e)
{
    CLEANUP(buf_done) struct buf validator = { 0 };
    if (!j->remembered.len || str_eq(j->remembered, j->cursor))
        return 0;
    buf_printf(&validator, "v%u " STR_FMT, j->feed->version, STR_ARG(j->remembered));
    if (validator.failed)
        return err_set(e, ERR_OOM, "out of memory");
    return begin(j, e) < 0 ? -1 : store_update_document(j->update, CURSOR, buf_view(&validator), e);
}

/* ---- feeds that shrink ---- */

static str shrunk_key(const struct job *j)
{
    return arena_printf(j->wants.arena, "feed/" STR_FMT "/shrunk", STR_ARG(j->name));
}

/* How often in a row it was refused. */
static int read_refusals(struct job *j, uint64_t *ret, struct err *e)
{
    str text = { 0 };
    *ret = 0;
    int found = store_value_get(j->store, shrunk_key(j), j->wants.arena, &text, e);
    if (found > 0 && !str_to_u64(text, ret))
        *ret = 0;
    return found < 0 ? -1 : 0;
}

static int write_refusals(struct job *j, uint64_t count, struct err *e)
{
    str text = arena_printf(j->wants.arena, "%llu", (unsigned long long)count);
    if (arena_failed(j->wants.arena))
        return err_set(e, ERR_OOM, "out of memory");
    return store_value_set(j->store, shrunk_key(j), text, e);
}

/* Half an answer of a source, well formed by chance, must not make images look clean. */
static int check_size(struct job *j, bool *shrunk, struct err *e)
{
    struct update_shrink s;
    uint64_t refusals;
    *shrunk = j->update && store_update_shrunk(j->update, &s);
    if (!*shrunk || j->options->accept_shrunk)
        return 0;
    if (read_refusals(j, &refusals, e) < 0)
        return -1;
    if (refusals + 1 >= SHRUNK_TIMES)
        return 0;
    str what = arena_printf(j->wants.arena, "%s" STR_FMT "%s", s.document.len ? " (" : "",
                            STR_ARG(s.document), s.document.len ? ")" : "");
    store_update_freep(&j->update); /* the count must outlive it */
    if (write_refusals(j, refusals + 1, e) < 0)
        return -1;
    return err_set(e, ERR_FORMAT,
                   "%lld advisories instead of %lld" STR_FMT
                   ": the old data stays; the third time in a row, or --accept-shrunk, takes it",
                   (long long)s.after, (long long)s.before, STR_ARG(what));
}

static int forget_refusals(struct job *j, struct err *e)
{
    uint64_t refusals;
    if (read_refusals(j, &refusals, e) < 0)
        return -1;
    return refusals ? write_refusals(j, 0, e) : 0;
}

/* Missing documents keep what they said: a branch that went away is not a branch without problems. */
static int finish(struct job *j, struct update_result *ret, struct err *e)
{
    ret->documents = j->loaded;
    ret->skipped = j->skipped;
    if (!j->loaded && !j->unchanged && j->forbidden && j->forbidden == j->missing)
        return all_forbidden(j, e);
    if (!j->loaded && !j->unchanged) {
        ret->outcome = UPDATE_NOT_MIRRORED;
        if (!j->lacking)
            j->lacking = j->wants.first;
        return j->options->mirror || !j->lacking ? 0 : not_found(j, e);
    }
    if (j->lacking)
        return not_found(j, e);
    ret->outcome = j->loaded ? UPDATE_LOADED : UPDATE_UNCHANGED;
    if (write_cursor(j, e) < 0 || check_size(j, &ret->shrunk, e) < 0)
        return -1;
    struct store_update *u = j->update;
    j->update = NULL; /* the commit frees it in any case */
    if (u && store_update_commit(u, clock_now(), &ret->counts, e) < 0)
        return -1;
    return forget_refusals(j, e);
}

static int read_cursor(struct job *j, struct err *e)
{
    str stored = { 0 }, ignored;
    if (store_document(j->store, j->name, CURSOR, j->wants.arena, &stored, e) < 0)
        return -1;
    j->cursor = stored_validator(j, stored, &ignored);
    return 0;
}

static int update_documents(struct job *j, struct update_result *ret, struct err *e)
{
    if (read_cursor(j, e) < 0)
        return -1;
    for (j->want = j->wants.first; j->want; j->want = j->want->next) {
        if (tick(j, e) < 0)
            return -1;
        if (update_document(j, e) < 0)
            return j->named ? -1 : err_wrap(e, STR_FMT, STR_ARG(j->want->name));
    }
    return finish(j, ret, e);
}

static int check_mirror(const struct update_options *o, struct err *e)
{
    const char *place = o->url ? o->url : o->mirror;
    if (!place || fetch_base_check(place, e) == 0)
        return 0;
    return err_wrap(e, o->url ? "its place" : "mirror");
}

int feed_update(struct store *s, struct cage *c, const struct feed *f, const struct update_options *o,
                struct update_result *ret, struct err *e)
{
    CLEANUP(job_done)
    struct job j = { .store = s, .cage = c, .feed = f, .name = str_from(f->name), .options = o };
    struct update_result done = { 0 };
    struct err why = { 0 };
    int r = check_mirror(o, &why);
    if (r == 0)
        r = wants_begin(&j.wants, f, o->mirror, o->url, (int64_t)time(NULL), &why);
    if (o->idle_ms)
        j.wants.policy.idle_ms = o->idle_ms;
    if (o->once)
        j.wants.policy.tries = 1;
    if (r == 0)
        r = update_documents(&j, &done, &why);
    store_update_freep(&j.update); /* before the record of the try, which is a transaction of its own */

    if (r < 0 && why.kind == ERR_BUSY) { /* that another update runs says nothing about the feed */
        *e = why;
        return err_wrap(e, "%s", f->name);
    }
    const char *text = why.text;
    if (r == 0 && done.outcome == UPDATE_NOT_MIRRORED)
        text = "not mirrored";
    struct err unrecorded = { 0 };
    int recorded = store_feed_tried(s, j.name, clock_now(), str_from(text), &unrecorded);
    if (r < 0 || recorded < 0) {
        *e = r < 0 ? why : unrecorded;
        ret->shrunk = done.shrunk;
        return err_wrap(e, "%s", f->name);
    }
    *ret = done;
    return 0;
}
