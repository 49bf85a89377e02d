#include "net/download.h"

#include "base/clock.h"
#include "base/cleanup.h"
#include "codec/sha256.h"

#include <stdlib.h>
#include <time.h>

#define TRIES      3
#define BREAKS_MAX 3
#define WAIT_MAX_S 20
#define LINES_MAX  256 /* further headers do not come with a range */

struct download {
    const char *url;
    const char *const *headers;
    struct download_options o;
    struct http_pool *pool, *own;
    struct http *http;
    struct http_head head; /* of the first answer: what others must agree with */
    uint64_t given;
    unsigned breaks;
    int64_t end_ms;      /* clock_ms(); 0: nothing was read yet */
    struct sha256 *sums; /* of what was given; NULL: too much was */
    str rest;            /* of a chunk of which the first part had been given before */
};

#define STEP_MS 250

/* Shorter when nobody needs it any more. */
static void pause_ms(const struct download *d, int64_t ms)
{
    const atomic_bool *stop = d->o.http.stop;
    for (int64_t step; ms > 0 && !(stop && atomic_load(stop)); ms -= step) {
        step = stop && ms > STEP_MS ? STEP_MS : ms;
        struct timespec t = { .tv_sec = step / 1000, .tv_nsec = step % 1000 * 1000000 };
        nanosleep(&t, NULL);
    }
}

/* ---- a transfer is begun ---- */

static bool is_passing(unsigned status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* Whoever holds a place in a queue is not waited for again and again. */
static bool was_stuck(const struct download *d, int64_t began_ms)
{
    return clock_ms() - began_ms >= d->o.idle_ms / 2;
}

static int64_t wait_before(unsigned attempt, unsigned asked_s)
{
    if (asked_s)
        return 1000 * (int64_t)(asked_s < WAIT_MAX_S ? asked_s : WAIT_MAX_S);
    return attempt ? 1500 : 500;
}

/* 0; 1: it may be tried again, and the error is set; -1. `range`: more lines, which are no secret; NULL: none. */
static int try_once(struct download *d, const char *const range[], unsigned *asked_s, struct err *e)
{
    *asked_s = 0;
    const struct http_limits limits = { .idle_ms = d->o.idle_ms };
    struct http_options o = d->o.http;
    int64_t began = clock_ms();
    o.shared = range ? range : o.shared;
    d->http = http_open(d->pool, d->url, d->headers, &o, &limits, e);
    if (!d->http)
        return e->kind == ERR_NETWORK && !was_stuck(d, began) && !http_distrusted(e) ? 1 : -1;
    const struct http_head *head = http_head(d->http);
    if (head->status / 100 == 2)
        return 0;
    char place[HTTP_PLACE];
    unsigned status = head->status;
    *asked_s = head->retry_after_s;
    if (d->o.refused)
        *d->o.refused = *head;
    http_freep(&d->http);
    http_place(d->url, place);
    err_set(e, ERR_NOT_FOUND, "%s: answered %u", place, status);
    return is_passing(status) ? 1 : -1;
}

/* RFC 9110 8.8.3: a weak one says nothing of bytes; and bytes of a range are those before decoding. */
static bool is_strong(const struct download *d)
{
    return (*d->head.etag == '"' || d->o.immutable) && !d->head.encoded;
}

/* Asks for what was not given yet, or for all. Behind a redirect, too, a part is wanted. */
static int try_part(struct download *d, bool rest, unsigned *asked_s, struct err *e)
{
    char range[64], if_range[HTTP_TEXT + 16];
    const char *lines[LINES_MAX + 3];
    size_t n = 0;
    if (!rest)
        return try_once(d, NULL, asked_s, e);
    for (const char *const *h = d->o.http.shared; h && *h && n < LINES_MAX; h++)
        lines[n++] = *h;
    snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)d->given);
    snprintf(if_range, sizeof if_range, "If-Range: %s", d->head.etag);
    lines[n++] = range;
    if (!d->o.immutable)
        lines[n++] = if_range;
    lines[n] = NULL;
    return try_once(d, lines, asked_s, e);
}

/* Who asks is to say again who he is; once for each opening. */
static bool renew(struct download *d, bool *renewed)
{
    const struct http_head *head = d->o.refused;
    if (*renewed || !d->o.renew || !head || head->status != 401)
        return false;
    *renewed = true;
    const char *const *headers = d->o.renew(d->o.ctx);
    d->headers = headers ? headers : d->headers;
    return headers;
}

static int begin(struct download *d, bool rest, struct err *e)
{
    bool renewed = false;
    for (unsigned i = 0;; i++) {
        unsigned asked_s;
        struct err why = { 0 };
        if (d->o.refused)
            *d->o.refused = (struct http_head){ 0 };
        int result = try_part(d, rest, &asked_s, &why);
        if (result < 0 && renew(d, &renewed)) {
            why = (struct err){ 0 };
            result = try_part(d, rest, &asked_s, &why);
        }
        if (result == 0)
            return 0;
        if (result < 0 || i + 1 == TRIES) {
            *e = why;
            return -1;
        }
        pause_ms(d, wait_before(i, asked_s));
    }
}

struct download *download_open(const char *url, const char *const headers[], const struct download_options *o,
                               struct err *e)
{
    CLEANUP(download_freep) struct download *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    *d = (struct download){ .url = url, .headers = headers, .o = *o };
    if (!d->o.idle_ms)
        d->o.idle_ms = 60000;
    d->pool = o->pool ? o->pool : (d->own = http_pool_new(e));
    if (!d->pool || !(d->sums = sha256_new(e)) || begin(d, false, e) < 0)
        return NULL;
    d->head = *http_head(d->http);
    struct download *ret = d;
    d = NULL;
    return ret;
}

/* ---- it broke off ---- */

/* It comes again: what was given must be what was given. The sums are ended by that, so it is done once. */
static int drop_given(struct download *d, struct err *e)
{
    CLEANUP(sha256_freep) struct sha256 *again = sha256_new(e);
    uint8_t before[32], now[32];
    str chunk = { 0 };
    uint64_t left = d->given;
    if (!again || !left)
        return again ? 0 : -1;
    while (left) {
        int more = http_read(d->http, &chunk, e);
        if (more <= 0)
            return more ? -1 : err_set(e, ERR_FORMAT, "broke off, and was shorter the next time");
        str old = str_head(chunk, left);
        sha256_add(again, old.ptr, old.len);
        left -= old.len;
        d->rest = str_skip(chunk, old.len);
    }
    sha256_raw(d->sums, before);
    sha256_raw(again, now);
    sha256_freep(&d->sums);
    return memcmp(before, now, sizeof now)
               ? err_set(e, ERR_FORMAT, "broke off, and was another one the next time")
               : 0;
}

static int resume(struct download *d, struct err *e)
{
    bool rest = is_strong(d) && d->given;
    if (begin(d, rest, e) < 0)
        return -1;
    const struct http_head *head = http_head(d->http);
    bool same = d->o.immutable || !*head->etag || !strcmp(head->etag, d->head.etag);
    if (rest && head->status == 206 && head->range_from == d->given && same)
        return 0;
    if (!d->sums || head->status == 206)
        return err_set(e, ERR_FORMAT, "broke off, and cannot be resumed");
    return drop_given(d, e);
}

/* `e` says why it broke off, and goes on to do so when it is of no use to try. */
static int go_on(struct download *d, struct err *e)
{
    while (d->breaks < BREAKS_MAX && (is_strong(d) || d->sums)) {
        struct err why = { 0 };
        pause_ms(d, 500 * (int64_t)d->breaks++);
        http_freep(&d->http);
        if (resume(d, &why) == 0)
            return 0;
        if (why.kind == ERR_FORMAT || why.kind == ERR_BUSY)
            *e = why;
        if (why.kind != ERR_NETWORK)
            return -1;
    }
    return -1;
}

/* ---- reading ---- */

static int next_chunk(struct download *d, str *ret, struct err *e)
{
    if (d->rest.len) {
        *ret = d->rest;
        d->rest = (str){ 0 };
        return 1;
    }
    struct err why = { 0 };
    int64_t began = clock_ms();
    int more = http_read(d->http, ret, &why);
    if (more >= 0)
        return more;
    if (why.kind == ERR_NETWORK && !was_stuck(d, began) && go_on(d, &why) == 0)
        return next_chunk(d, ret, e);
    *e = why;
    return -1;
}

static void count(struct download *d, str chunk)
{
    d->given += chunk.len;
    if (d->given > DOWNLOAD_AGAIN)
        sha256_freep(&d->sums);
    if (d->sums)
        sha256_add(d->sums, chunk.ptr, chunk.len);
}

int download_read(struct download *d, str *ret, struct err *e)
{
    if (d->o.timeout_ms && !d->end_ms)
        d->end_ms = clock_ms() + d->o.timeout_ms;
    int more = next_chunk(d, ret, e);
    if (more <= 0)
        return more;
    count(d, *ret);
    if (d->o.size_max && d->given > d->o.size_max)
        return err_set(e, ERR_LIMIT, "more than %llu bytes", (unsigned long long)d->o.size_max);
    if (d->end_ms && clock_ms() > d->end_ms)
        return err_set(e, ERR_LIMIT, "not there after %lld s", (long long)(d->o.timeout_ms / 1000));
    return 1;
}

void download_freep(struct download **d)
{
    if (!*d)
        return;
    http_freep(&(*d)->http);
    http_pool_freep(&(*d)->own);
    sha256_freep(&(*d)->sums);
    free(*d);
    *d = NULL;
}
