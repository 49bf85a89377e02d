#include "feed/update.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cage/cage.h"
#include "codec/pack.h"
#include "feed/fetch.h"
#include "feed/parse_task.h"
#include "net/http.h"

#include <unistd.h>

#define TURN_MS 2000
#define POLL_US 5000

struct job {
    struct store *store;
    struct cage *cage;
    const struct feed *feed;
    str name;    /* of the feed */
    char *place; /* where it is read from */
    struct fetch_base *base;
    const struct update_options *options;
    struct store_update *update; /* from the first new document on */
    struct advisory_room *room;
    unsigned unchanged, missing, forbidden, loaded; /* forbidden: of the missing */
    str lacking;                                    /* the first missing document */
    uint64_t skipped;
    bool named; /* the store's error tells the document, which may be an earlier one */
};

static void job_done(struct job *j)
{
    store_update_freep(&j->update);
    free(j->room);
    fetch_base_freep(&j->base);
    free(j->place);
}

static int tick(const struct job *j, struct err *e)
{
    return j->options->tick ? j->options->tick(j->options->ctx, e) : 0;
}

static int on_advisory(void *ctx, unsigned type, str body, struct err *e)
{
    struct job *j = ctx;
    struct advisory a;
    if (type != FRAME_TASK)
        return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
    if (tick(j, e) < 0)
        return -1;
    if (advisory_unpack(body, j->room, &a, e) < 0)
        return -1;
    if (store_update_put(j->update, &a, e) == 0)
        return 0;
    j->named = true;
    return -1;
}

/* What clients of REST v1 write takes milliseconds each, and is no reason to give up; another feed's load is. */
static struct store_update *begin_in_turn(struct job *j, struct err *e)
{
    int64_t until = clock_ms() + TURN_MS;
    for (;;) {
        struct store_update *u = store_update_begin(j->store, j->name, STORE_RANK, e);
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

/* A worker that stopped before the end must not make a broken transfer look whole. */
static int expect_end(struct fetch *f, struct err *e)
{
    str rest;
    int r = fetch_read(f, &rest, e);
    return r > 0 ? err_set(e, ERR_FORMAT, "more bytes follow the document") : r;
}

/* Validators are stored with the parser's version in front: read by another one, a document is as good as new. */
static void store_validator(const struct job *j, str fetched, struct buf *ret)
{
    buf_printf(ret, "v%u " STR_FMT, j->feed->version, STR_ARG(fetched));
}

static str fetched_validator(const struct job *j, str stored)
{
    char version[16];
    int n = snprintf(version, sizeof version, "v%u ", j->feed->version);
    return str_starts(stored, str_from(version)) ? str_skip(stored, (size_t)n) : (str){ 0 };
}

static int load(struct job *j, str document, struct fetch *f, struct err *e)
{
    CLEANUP(buf_done) struct buf params = { 0 }, summary = { 0 }, validator = { 0 };
    store_validator(j, fetch_validator(f), &validator);
    pack_str(&params, j->name);
    pack_str(&params, document);
    if (params.failed || validator.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (begin(j, e) < 0 || store_update_document(j->update, document, buf_view(&validator), e) < 0)
        return -1;

    struct cage_input in = { .fd = -1, .read = fetch_read, .ctx = f };
    if (cage_run(j->cage, &feed_task, buf_view(&params), &in, on_advisory, j, &summary, e) < 0 ||
        expect_end(f, e) < 0)
        return -1;
    struct unpack u = { .rest = buf_view(&summary) };
    j->skipped += unpack_u64(&u);
    j->loaded++;
    return unpack_end(&u) ? 0 : err_set(e, ERR_CAGE, "worker sent a malformed summary");
}

static int update_document(struct job *j, str document, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    char *path = arena ? arena_cstr(arena, document) : NULL;
    str validator = { 0 };
    if (!path)
        return err_set(e, ERR_OOM, "out of memory");
    if (store_document(j->store, j->name, document, arena, &validator, e) < 0)
        return -1;

    enum fetch_result found;
    CLEANUP(fetch_freep)
    struct fetch *f = fetch_open(j->base, path, fetched_validator(j, validator), &found, e);
    if (!f)
        return -1;
    switch (found) {
    case FETCH_NEW:
        return load(j, document, f, e);
    case FETCH_UNCHANGED:
        j->unchanged++;
        return 0;
    case FETCH_FORBIDDEN:
        j->forbidden++;
        __attribute__((fallthrough));
    case FETCH_MISSING:
        if (!j->missing++)
            j->lacking = document;
        return 0;
    }
    return err_set(e, ERR_INTERNAL, "unknown answer of fetch");
}

static int not_found(const struct job *j, struct err *e)
{
    char host[HTTP_PLACE];
    http_place(j->place, host); /* a URL may hold a password */
    return err_set(e, ERR_NOT_FOUND, STR_FMT ": not found at %s", STR_ARG(j->lacking),
                   strstr(j->place, "://") ? host : j->place);
}

/* One document that is refused is one that a mirror lacks; all of them are a mirror that refuses us. */
static int all_forbidden(const struct job *j, struct err *e)
{
    char host[HTTP_PLACE];
    http_place(j->place, host);
    return err_set(e, ERR_NETWORK, "%s: answered 403 for every document", host);
}

/* Missing documents keep what they said: a branch that went away is not a branch without problems. */
static int finish(struct job *j, struct update_result *ret, struct err *e)
{
    ret->documents = j->loaded;
    ret->skipped = j->skipped;
    if (!j->loaded && !j->unchanged && j->forbidden == j->missing)
        return all_forbidden(j, e);
    if (!j->loaded && !j->unchanged) {
        ret->outcome = UPDATE_NOT_MIRRORED;
        return j->options->mirror ? 0 : not_found(j, e);
    }
    if (j->missing && !j->feed->may_lack)
        return not_found(j, e);
    ret->outcome = j->loaded ? UPDATE_LOADED : UPDATE_UNCHANGED;
    struct store_update *u = j->update;
    j->update = NULL; /* the commit frees it in any case */
    return u ? store_update_commit(u, clock_now(), &ret->counts, e) : 0;
}

static int update_documents(struct job *j, struct update_result *ret, struct err *e)
{
    str rest = str_from(j->feed->documents), document;
    while ((document = str_word(&rest)).len) {
        if (tick(j, e) < 0)
            return -1;
        if (update_document(j, document, e) < 0)
            return j->named ? -1 : err_wrap(e, STR_FMT, STR_ARG(document));
    }
    return finish(j, ret, e);
}

/* MIRROR/SOURCE (design.md 8), or the source's own place. */
static int open_base(struct job *j, struct err *e)
{
    const char *mirror = j->options->mirror;
    if (mirror && fetch_base_check(mirror, e) < 0)
        return err_wrap(e, "mirror");
    size_t n = mirror ? strlen(mirror) : 0;
    while (n > 1 && mirror[n - 1] == '/')
        n--;
    int r = mirror ? asprintf(&j->place, "%.*s/%s", (int)n, mirror, j->feed->name)
                   : asprintf(&j->place, "%s", j->feed->base);
    if (r < 0) {
        j->place = NULL;
        return err_set(e, ERR_OOM, "out of memory");
    }
    j->base = fetch_base_new(&fetch_defaults, j->place, mirror, e);
    return j->base ? 0 : -1;
}

int feed_update(struct store *s, struct cage *c, const struct feed *f, const struct update_options *o,
                struct update_result *ret, struct err *e)
{
    CLEANUP(job_done)
    struct job j = { .store = s, .cage = c, .feed = f, .name = str_from(f->name), .options = o };
    struct update_result done = { 0 };
    struct err why = { 0 };
    int r = open_base(&j, &why);
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
        return err_wrap(e, "%s", f->name);
    }
    *ret = done;
    return 0;
}
