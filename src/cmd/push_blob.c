/* push_blob.c - layers that an éclair server is sent: asked for by their digest first, so that what it knows is neither read nor sent. */
#include "base/cleanup.h"
#include "cmd/push.h"
#include "codec/json.h"
#include "codec/sha256.h"

#include <errno.h>

#define ANSWER_MAX ((size_t)64 << 10)
#define CHUNK      ((size_t)256 << 10)
#define BUSY       503

static int refused(struct http *h, struct err *e)
{
    CLEANUP(buf_done) struct buf text = { 0 }, clean = { 0 };
    struct err ignored = { 0 };
    unsigned status = http_head(h)->status;
    push_text(h, ANSWER_MAX, &text, &ignored);
    push_put_clean(&clean, str_trim(buf_view(&text)));
    return err_set(e, status == BUSY ? ERR_BUSY : ERR_NETWORK, "Got response %u with message " STR_FMT,
                   status, STR_ARG(buf_view(&clean)));
}

int push_blob_known(const struct push_server *s, str digest, struct err *e)
{
    str path = arena_printf(s->arena, "/v1/blobs/" STR_FMT, STR_ARG(digest));
    if (!path.ptr)
        return err_set(e, ERR_OOM, "out of memory");
    CLEANUP(http_freep) struct http *h = push_ask(s, "HEAD", path.ptr, (str){ 0 }, NULL, e);
    if (!h)
        return -1;
    unsigned status = http_head(h)->status;
    return status == 200 ? 1 : status == 404 ? 0 : refused(h, e);
}

/* {"Blob": {"Digest": ...}} */
static str digest_in(const struct push_server *s, str text)
{
    struct err ignored = { 0 };
    str key, value = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, &ignored);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, &ignored) : NULL;
    if (!j || json_enter(j, JSON_OBJECT, &ignored) < 0 || json_key(j, &key, &ignored) <= 0 ||
        !str_eq(key, STR("Blob")) || json_enter(j, JSON_OBJECT, &ignored) < 0)
        return value;
    while (json_key(j, &key, &ignored) > 0) {
        bool mine = str_eq(key, STR("Digest"));
        if ((mine ? json_string(j, &value, &ignored) : json_skip(j, &ignored)) < 0)
            return (str){ 0 };
        if (mine)
            return arena_dup(s->arena, value);
    }
    return (str){ 0 };
}

int push_blob_send(const struct push_server *s, str digest, const struct http_upload *body, str *ret_digest,
                   struct err *e)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    str path = digest.len ? arena_printf(s->arena, "/v1/blobs/" STR_FMT, STR_ARG(digest))
                          : arena_printf(s->arena, "/v1/blobs");
    if (!path.ptr)
        return err_set(e, ERR_OOM, "out of memory");
    CLEANUP(http_freep)
    struct http *h = push_ask(s, digest.len ? "PUT" : "POST", path.ptr, (str){ 0 }, body, e);
    if (!h)
        return -1;
    if (http_head(h)->status != 200 && http_head(h)->status != 201)
        return refused(h, e);
    if (push_text(h, ANSWER_MAX, &text, e) < 0)
        return -1;
    *ret_digest = digest_in(s, buf_view(&text));
    if (!digest_valid(*ret_digest) || (digest.len && !str_eq(digest, *ret_digest)))
        return err_set(e, ERR_NETWORK, "the server does not say what blob it was sent");
    return 0;
}

/* ---- a range of a file ---- */

struct range {
    const struct file_range *r;
    uint64_t at;
    char bytes[CHUNK];
};

static int next_of_range(void *ctx, str *ret, struct err *e)
{
    struct range *x = ctx;
    uint64_t left = x->r->size - x->at;
    if (!left)
        return 0;
    ssize_t n;
    do
        n = pread(x->r->fd, x->bytes, left < CHUNK ? (size_t)left : CHUNK, (off_t)(x->r->offset + x->at));
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? err_errno(e, "read a layer") : err_set(e, ERR_FORMAT, "a layer is cut off");
    x->at += (uint64_t)n;
    *ret = str_of(x->bytes, (size_t)n);
    return 1;
}

void push_wait_a_moment(void)
{
    const struct timespec t = { .tv_sec = 3 };
    nanosleep(&t, NULL);
}

int push_blob_of_range(const struct push_server *s, const struct file_range *r, str digest, str *ret_digest,
                       struct err *e)
{
    CLEANUP(freep) struct range *x = malloc(sizeof *x);
    int known = digest.len ? push_blob_known(s, digest, e) : 0;
    *ret_digest = digest;
    if (known)
        return known < 0 ? -1 : 0;
    if (!x)
        return err_set(e, ERR_OOM, "out of memory");
    int result = -1;
    for (unsigned i = 0; i < PUSH_TRIES; i++) {
        x->r = r, x->at = 0;
        *e = (struct err){ 0 };
        const struct http_upload body = { .read = next_of_range, .ctx = x, .size = (int64_t)r->size };
        result = push_blob_send(s, digest, &body, ret_digest, e);
        if (result == 0 || e->kind != ERR_BUSY)
            break;
        push_wait_a_moment();
    }
    return result;
}
