/* Bodies that are read while they come: between the loop, which brings them, and a thread of the pool, which takes them. */
#include "net/server_internal.h"

#include "base/clock.h"

#include <stdlib.h>

static struct upload *upload_new(void)
{
    struct upload *u = calloc(1, sizeof *u);
    if (u && pthread_cond_init(&u->more, NULL)) {
        free(u);
        u = NULL;
    }
    return u;
}

void upload_freep(struct upload **u)
{
    if (!*u)
        return;
    buf_done(&(*u)->in);
    buf_done(&(*u)->out);
    pthread_cond_destroy(&(*u)->more);
    free(*u);
    *u = NULL;
}

static bool is_small(const struct exchange *x)
{
    uint64_t n;
    return str_to_u64(request_header(&x->r, "Content-Length"), &n) && n <= BODY_DROP_MAX;
}

/* Over HTTP/2 it may be answered at any time; over HTTP/1.1 libmicrohttpd goes on with the body meanwhile. */
void upload_begin(struct exchange *x)
{
    struct server *s = x->s;
    struct upload *u = upload_new();
    if (u)
        u->small = is_small(x);
    pthread_mutex_lock(&s->lock); /* the acceptor's sweep looks at it, too */
    x->upload = u;
    bool taken = u && !s->closing && pool_add(&s->long_pool, x);
    if (!taken)
        x->upload = NULL;
    if (taken && x->stream)
        x->fate = FATE_WAITING;
    pthread_mutex_unlock(&s->lock);
    if (taken)
        return;
    upload_freep(&u);
    x->service = SERVE_LONG;
    x->starved = true;
}

/* Whoever brings so much in idle_ms is not slow, and has as long again. */
int64_t upload_limit(struct exchange *x, size_t came)
{
    const struct server_options *o = &x->s->o;
    struct upload *u = x->upload;
    u->window += came;
    if (came && u->window < (uint64_t)o->receive_rate * o->idle_ms / 1000)
        return 0;
    u->window = 0;
    return clock_ms() + o->idle_ms;
}

enum upload_put upload_put(struct exchange *x, str bytes)
{
    struct upload *u = x->upload;
    enum upload_put ret = UPLOAD_TAKEN;
    pthread_mutex_lock(&x->s->lock);
    u->begun = true;
    if (x->fate == FATE_CLOSED || u->broken ||
        (x->connection && x->s->closing)) { /* then nothing may be suspended any more */
        ret = UPLOAD_BROKEN;
    } else if (x->ran) {
        if (x->connection && !u->told && !u->small)
            http1_answer_early(x);
        u->taken += bytes.len;
        ret = UPLOAD_UNWANTED;
    } else if (x->connection && u->in.len >= UPLOAD_WAITS) {
        u->paused = true;
        http1_suspend(x);
        ret = UPLOAD_PAUSED;
    } else {
        buf_str(&u->in, bytes);
        pthread_cond_signal(&u->more);
    }
    pthread_mutex_unlock(&x->s->lock);
    return ret;
}

/* server.lock is held. */
static void end_body(struct exchange *x)
{
    struct upload *u = x->upload;
    u->whole = true;
    x->late_ms = x->s->o.timeout_ms ? clock_ms() + x->s->o.timeout_ms : INT64_MAX;
    pthread_cond_signal(&u->more);
}

struct response *upload_serve(struct exchange *x)
{
    struct server *s = x->s;
    pthread_mutex_lock(&s->lock);
    end_body(x);
    bool ran = x->ran;
    if (!ran && !s->closing) {
        x->fate = FATE_WAITING;
        http1_suspend(x);
    }
    pthread_mutex_unlock(&s->lock);
    return ran ? &x->response : NULL;
}

void upload_whole(struct exchange *x)
{
    pthread_mutex_lock(&x->s->lock);
    end_body(x);
    pthread_mutex_unlock(&x->s->lock);
}

size_t upload_taken(struct exchange *x)
{
    pthread_mutex_lock(&x->s->lock);
    size_t n = x->upload->taken;
    x->upload->taken = 0;
    pthread_mutex_unlock(&x->s->lock);
    return n;
}

/* There is room again. server.lock is held. */
static void go_on(struct exchange *x)
{
    struct upload *u = x->upload;
    if (x->fate == FATE_CLOSED)
        return;
    if (x->stream && !u->whole)
        http2_resume(x);
    if (u->paused)
        http1_resume(x);
    u->paused = false;
}

void upload_ran(struct exchange *x)
{
    struct upload *u = x->upload;
    if (!u)
        return;
    x->ran = true;
    u->taken += u->in.len; /* nobody will */
    buf_done(&u->in);
    buf_done(&u->out);
    if (x->connection && x->fate == FATE_OPEN && u->begun && !u->small)
        http1_answer_early(x);
    if (u->paused && x->fate != FATE_CLOSED)
        http1_resume(x);
    u->paused = false;
}

void upload_wake(struct exchange *x)
{
    if (x->upload)
        pthread_cond_signal(&x->upload->more);
}

int request_read(struct request *r, str *ret, struct err *e)
{
    struct exchange *x = (struct exchange *)r;
    struct upload *u = x->upload;
    pthread_mutex_lock(&x->s->lock);
    while (!u->in.len && !u->in.failed && !u->whole && x->fate != FATE_CLOSED)
        pthread_cond_wait(&u->more, &x->s->lock);
    bool some = u->in.len && !u->in.failed, end = u->whole && !u->in.failed;
    if (some) {
        struct buf empty = u->out;
        buf_clear(&empty);
        u->out = u->in;
        u->in = empty;
        u->taken += u->out.len;
        *ret = buf_view(&u->out);
        go_on(x);
    }
    bool failed = u->in.failed;
    pthread_mutex_unlock(&x->s->lock);
    if (some || end)
        return some;
    return failed ? err_set(e, ERR_OOM, "out of memory")
                  : err_set(e, ERR_NETWORK, "the body broke off before its end");
}
