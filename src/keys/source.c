#include "keys/source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "keys/cache.h"
#include "keys/file.h"
#include "keys/registry.h"

#include <pthread.h>
#include <strings.h>

#define NAME_MAX_BYTES 1024u
#define ASK_MS         20  /* 50 lookups a second of keys that are not kept, */
#define ASK_BURST      100 /* and so many at once */

/* One question to the registry, and those who wait for its answer. */
struct flight {
    struct flight *next;
    str issuer, kid; /* of who asks; they live until the last one has gone */
    unsigned holders;
    bool done, charged;
    enum keys_result result;
    struct jwt_key *key;
    struct err error;
};

struct keys_source {
    pthread_mutex_t lock;
    pthread_cond_t landed;
    struct registry *registry; /* NULL: a file */
    char *url;
    struct cache cache;
    struct flight *flights;
    int64_t grace_ms;
    int64_t asked_ms; /* when all lookups until now are paid for */
    struct key_file file;
    char *issuer, *key_id, *path;
};

/* ---- a file ---- */

static bool same_any_case(str a, const char *b)
{
    return a.len == strlen(b) && !strncasecmp(a.ptr, b, a.len);
}

static enum keys_result find_in_file(struct keys_source *s, str issuer, str kid, struct jwt_key **ret,
                                     struct err *e)
{
    if (!same_any_case(issuer, s->issuer) || !same_any_case(kid, s->key_id)) {
        err_set(e, ERR_NOT_FOUND,
                "the one key that is known is '%s' of '%s', not '" STR_FMT "' of '" STR_FMT "'", s->key_id,
                s->issuer, STR_ARG(str_head(kid, 100)), STR_ARG(str_head(issuer, 100)));
        return KEYS_REFUSED;
    }
    pthread_mutex_lock(&s->lock);
    int r = key_file_read(&s->file, e);
    if (r == 0)
        *ret = jwt_key_ref(s->file.key);
    pthread_mutex_unlock(&s->lock);
    return r < 0 ? KEYS_REFUSED : KEYS_FOUND;
}

/* ---- a registry ---- */

static enum keys_result refuse(const struct keys_source *s, const struct flight *f, unsigned status,
                               struct err *e)
{
    const char *why = status == 404   ? "it does not know it"
                      : status == 409 ? "it is not approved yet: approve it there"
                      : status == 403 ? "it has expired: renew it there"
                                      : NULL;
    char other[64];
    snprintf(other, sizeof other, "it answers with status %u", status);
    err_set(e,
            status == 404   ? ERR_NOT_FOUND
            : status == 409 ? ERR_BUSY
            : status == 403 ? ERR_DENIED
                            : ERR_NETWORK,
            "key '" STR_FMT "' of '" STR_FMT "' at %s: %s", STR_ARG(str_head(f->kid, 100)),
            STR_ARG(str_head(f->issuer, 100)), s->url, why ? why : other);
    return status == 404 ? KEYS_NONE : KEYS_REFUSED;
}

/* What a kept key lets us ask: has it changed? */
struct question {
    char match[HTTP_TEXT + 32], since[HTTP_TEXT + 32];
    const char *headers[3];
};

static void prepare(struct keys_source *s, const struct flight *f, struct question *q)
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    const struct cached *k = cache_find(&s->cache, f->issuer, f->kid);
    if (k && k->etag[0]) {
        snprintf(q->match, sizeof q->match, "If-None-Match: %s", k->etag);
        q->headers[n++] = q->match;
    }
    if (k && k->last_modified[0]) {
        snprintf(q->since, sizeof q->since, "If-Modified-Since: %s", k->last_modified);
        q->headers[n++] = q->since;
    }
    pthread_mutex_unlock(&s->lock);
}

/* 304, with the lock held. */
static bool take_unchanged(struct keys_source *s, struct flight *f, const struct http_head *head)
{
    struct cached *k = cache_find(&s->cache, f->issuer, f->kid);
    if (!k)
        return false; /* it went meanwhile */
    cache_refresh(k, head);
    f->key = jwt_key_ref(k->key);
    return true;
}

/* The registry cannot be asked: is a key kept that went out of date only now? With the lock held. */
static bool take_stale(struct keys_source *s, struct flight *f)
{
    struct cached *k = cache_find(&s->cache, f->issuer, f->kid);
    if (!k || k->never_stale || clock_ms() >= k->fresh_ms + s->grace_ms)
        return false;
    f->key = jwt_key_ref(k->key);
    log_warning("a key registry fails: a kept key is used though it is out of date",
                LOG_TEXT("issuer", f->issuer), LOG_TEXT("kid", f->kid),
                LOG_TEXT("error", str_from(f->error.text)));
    return true;
}

static void settle(struct keys_source *s, struct flight *f, const struct registry_answer *a,
                   struct jwt_key *k)
{
    bool gone = a->status == 404 || a->status == 403 || a->status == 409;
    bool found = false;
    pthread_mutex_lock(&s->lock);
    if (k) {
        cache_put(&s->cache, f->issuer, f->kid, k, &a->head);
        s->asked_ms -= f->charged ? ASK_MS : 0; /* that was no guess */
        f->key = jwt_key_ref(k);
        found = true;
    } else if (a->status == 304) {
        found = take_unchanged(s, f, &a->head);
    } else if (gone) {
        cache_drop(&s->cache, f->issuer, f->kid);
    } else {
        found = take_stale(s, f);
    }
    if (found)
        f->result = KEYS_FOUND;
    f->done = true;
    pthread_cond_broadcast(&s->landed);
    pthread_mutex_unlock(&s->lock);
}

/* What another one of the first asks is waited for. */
static void fly(struct keys_source *s, struct flight *f)
{
    CLEANUP(registry_answer_done) struct registry_answer a = { 0 };
    CLEANUP(jwt_key_freep) struct jwt_key *k = NULL;
    struct question q = { 0 };
    prepare(s, f, &q);
    f->result = KEYS_REFUSED;
    if (registry_get(s->registry, f->issuer, f->kid, q.headers, &a, &f->error) < 0)
        a.status = 0;
    else if (a.status == 200 && !(k = jwt_key_read_jwk(buf_view(&a.body), &f->error)))
        err_wrap(&f->error, "what %s says of key '" STR_FMT "'", s->url, STR_ARG(str_head(f->kid, 100)));
    else if (a.status != 200)
        f->result = refuse(s, f, a.status, &f->error);
    settle(s, f, &a, k);
}

/* With the lock held: 1 there is a fresh one. */
static bool take_fresh(struct keys_source *s, str issuer, str kid, struct jwt_key **ret)
{
    const struct cached *k = cache_find(&s->cache, issuer, kid);
    if (!k || clock_ms() >= k->fresh_ms)
        return false;
    *ret = jwt_key_ref(k->key);
    return true;
}

/* Who knows no key can name others without end: each is a question to the registry. With the lock held. */
static bool may_ask(struct keys_source *s, str issuer, str kid, bool *charged)
{
    int64_t now = clock_ms();
    if (cache_find(&s->cache, issuer, kid))
        return true;
    if (s->asked_ms < now)
        s->asked_ms = now;
    *charged = s->asked_ms - now < (int64_t)ASK_MS * ASK_BURST;
    s->asked_ms += *charged ? ASK_MS : 0;
    return *charged;
}

static struct flight *find_flight(const struct keys_source *s, str issuer, str kid)
{
    struct flight *f = s->flights;
    while (f && (f->done || !str_eq(f->kid, kid) || !str_eq(f->issuer, issuer)))
        f = f->next;
    return f;
}

/* With the lock held. NULL: no memory. */
static struct flight *start_flight(struct keys_source *s, str issuer, str kid)
{
    struct flight *f = calloc(1, sizeof *f + issuer.len + kid.len);
    if (!f)
        return NULL;
    char *names = (char *)(f + 1);
    if (issuer.len)
        memcpy(names, issuer.ptr, issuer.len);
    if (kid.len)
        memcpy(names + issuer.len, kid.ptr, kid.len);
    f->issuer = str_of(names, issuer.len);
    f->kid = str_of(names + issuer.len, kid.len);
    f->next = s->flights;
    s->flights = f;
    return f;
}

/* With the lock held; the last one takes it away. */
static enum keys_result leave_flight(struct keys_source *s, struct flight *f, struct jwt_key **ret,
                                     struct err *e)
{
    enum keys_result result = f->result;
    if (result == KEYS_FOUND)
        *ret = jwt_key_ref(f->key);
    else
        *e = f->error;
    if (--f->holders)
        return result;
    struct flight **at = &s->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    jwt_key_freep(&f->key);
    free(f);
    return result;
}

enum keys_result keys_find(struct keys_source *s, str issuer, str kid, struct jwt_key **ret, struct err *e)
{
    if (!s->registry)
        return find_in_file(s, issuer, kid, ret, e);
    if (!issuer.len || !kid.len || issuer.len > NAME_MAX_BYTES || kid.len > NAME_MAX_BYTES) {
        err_set(e, ERR_NOT_FOUND, "an issuer or a key id that is empty, or has more than %u bytes",
                NAME_MAX_BYTES);
        return KEYS_NONE;
    }
    pthread_mutex_lock(&s->lock);
    bool fresh = take_fresh(s, issuer, kid, ret);
    struct flight *f = fresh ? NULL : find_flight(s, issuer, kid);
    bool first = !fresh && !f, charged = false;
    if (first && !may_ask(s, issuer, kid, &charged)) {
        pthread_mutex_unlock(&s->lock);
        err_set(e, ERR_LIMIT, "more than %d keys a second that %s does not know", 1000 / ASK_MS, s->url);
        return KEYS_REFUSED;
    }
    if (first && (f = start_flight(s, issuer, kid)))
        f->charged = charged;
    if (f)
        f->holders++;
    while (f && !first && !f->done)
        pthread_cond_wait(&s->landed, &s->lock);
    if (f && first) {
        pthread_mutex_unlock(&s->lock);
        fly(s, f);
        pthread_mutex_lock(&s->lock);
    }
    enum keys_result result = f ? leave_flight(s, f, ret, e) : fresh ? KEYS_FOUND : KEYS_REFUSED;
    pthread_mutex_unlock(&s->lock);
    if (!f && !fresh)
        err_set(e, ERR_OOM, "out of memory");
    return result;
}

/* ---- made and freed ---- */

static int open_file(struct keys_source *s, const struct keys_source_options *o, struct err *e)
{
    if (!o->issuer || !o->key_id || !o->public_key_path)
        return err_set(e, ERR_USAGE,
                       "a key server: a registry, or issuer, key_id and public_key_path are wanted");
    s->issuer = strdup(o->issuer);
    s->key_id = strdup(o->key_id);
    s->path = strdup(o->public_key_path);
    if (!s->issuer || !s->key_id || !s->path)
        return err_set(e, ERR_OOM, "out of memory");
    s->file = (struct key_file){ .path = s->path, .kid = s->key_id };
    return key_file_read(&s->file, e);
}

static int open_registry(struct keys_source *s, const struct keys_source_options *o, struct err *e)
{
    const struct registry_options r = { .url = o->registry, .trusted = o->trusted, .insecure = o->insecure };
    char place[HTTP_PLACE];
    http_place(o->registry, place);
    s->registry = registry_new(&r, e);
    s->url = s->registry ? strdup(place) : NULL;
    return !s->registry ? -1 : s->url ? 0 : err_set(e, ERR_OOM, "out of memory");
}

struct keys_source *keys_source_new(const struct keys_source_options *o, struct err *e)
{
    struct keys_source *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->landed, NULL);
    s->grace_ms = (int64_t)o->grace_s * 1000;
    if ((o->registry ? open_registry(s, o, e) : open_file(s, o, e)) < 0)
        keys_source_freep(&s);
    return s;
}

void keys_source_freep(struct keys_source **s)
{
    struct keys_source *old = *s;
    *s = NULL;
    if (!old)
        return;
    registry_freep(&old->registry);
    cache_done(&old->cache);
    key_file_done(&old->file);
    pthread_cond_destroy(&old->landed);
    pthread_mutex_destroy(&old->lock);
    free(old->url);
    free(old->issuer);
    free(old->key_id);
    free(old->path);
    free(old);
}
