/* stomp.c - SEND to a destination of the first broker that answers, with a receipt: "sent" means that the broker has it (spec/server.md 2.2). */
#include "notify/sender.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "notify/stomp_frame.h"
#include "notify/wire.h"

struct stomp {
    const struct notify_stomp *to;
    struct wire *wire; /* stays open; NULL: none */
    const char *place; /* of it */
    bool old;          /* the broker speaks 1.0: no escapes */
    bool usual_host;   /* "/" is what it wants to hear as host */
    struct buf in;
};

static bool configured(const struct notify_options *o) { return o->stomp.broker_count > 0; }

static void *stomp_new(const struct notify_options *o, struct err *e)
{
    struct stomp *s = calloc(1, sizeof *s);
    if (s)
        *s = (struct stomp){ .to = &o->stomp, .in = { .max = 2 * STOMP_FRAME_MAX } };
    else
        err_set(e, ERR_OOM, "out of memory");
    return s;
}

static void hang_up(struct stomp *s)
{
    wire_freep(&s->wire);
    buf_clear(&s->in);
}

static void stomp_free(void *self)
{
    struct stomp *s = self;
    if (!s)
        return;
    hang_up(s);
    buf_done(&s->in);
    free(s);
}

/* The next frame; its bytes stay until drop(). */
static int await(struct stomp *s, struct stomp_frame *ret, size_t *used, int64_t end_ms, struct err *e)
{
    int r;
    while ((r = stomp_parse(buf_view(&s->in), ret, used, e)) == 0) {
        char *room = buf_reserve(&s->in, 4096);
        ptrdiff_t n = room ? wire_read(s->wire, room, 4096, end_ms, e)
                           : err_set(e, ERR_LIMIT, "STOMP: a frame that is too long");
        if (n < 0)
            return -1;
        s->in.len += (size_t)n;
    }
    return r < 0 ? -1 : 0;
}

static void drop(struct stomp *s, size_t used)
{
    memmove(s->in.ptr, s->in.ptr + used, s->in.len - used);
    s->in.len -= used;
}

static int refused(const struct stomp_frame *f, enum err_kind kind, struct err *e)
{
    str text = stomp_header(f, STR("message"));
    if (str_eq(f->command, STR("ERROR")))
        return err_set(e, kind, "the broker says: " STR_FMT,
                       STR_ARG(str_head(text.len ? text : f->body, 200)));
    return err_set(e, ERR_FORMAT, "STOMP: " STR_FMT " was not asked for", STR_ARG(str_head(f->command, 20)));
}

static int say_hello(struct stomp *s, int64_t end_ms, struct err *e)
{
    char host[256], port[8];
    CLEANUP(buf_done) struct buf out = { 0 };
    struct stomp_frame f;
    size_t used;
    wire_split(s->place, host, port);
    stomp_begin(&out, "CONNECT");
    stomp_add(&out, "accept-version", STR("1.0,1.1,1.2"), false);
    stomp_add(&out, "host", s->usual_host ? STR("/") : str_from(host), false);
    stomp_add(&out, "heart-beat", STR("0,0"), false);
    if (s->to->login)
        stomp_add(&out, "login", str_from(s->to->login), false);
    if (s->to->passcode)
        stomp_add(&out, "passcode", str_from(s->to->passcode), false);
    stomp_end(&out, STR(""));
    if (out.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (wire_write(s->wire, buf_view(&out), end_ms, e) < 0 || await(s, &f, &used, end_ms, e) < 0)
        return -1;
    str version = stomp_header(&f, STR("version"));
    s->old = !version.len || str_eq(version, STR("1.0"));
    int r = str_eq(f.command, STR("CONNECTED")) ? 0 : refused(&f, ERR_DENIED, e);
    drop(s, used);
    return r;
}

static int dial_once(struct stomp *s, int64_t end_ms, struct err *e)
{
    if ((s->wire = wire_open(s->place, &s->to->tls, end_ms, e)) && say_hello(s, end_ms, e) == 0)
        return 0;
    hang_up(s);
    return -1;
}

/* Clair says the broker's own name as host; to RabbitMQ that is a virtual host of its, mostly "/". */
static int dial(struct stomp *s, const char *place, struct err *e)
{
    int64_t end = clock_ms() + NOTIFY_SEND_MS;
    s->place = place;
    if (dial_once(s, end, e) == 0)
        return 0;
    if (e->kind == ERR_DENIED) {
        *e = (struct err){ 0 };
        s->usual_host = !s->usual_host;
        if (dial_once(s, end, e) == 0)
            return 0;
    }
    return err_wrap(e, "%s", place);
}

/* Its receipt, whatever else comes before. */
static int await_receipt(struct stomp *s, str name, int64_t end_ms, struct err *e)
{
    for (unsigned others = 0; others < 16; others++) {
        struct stomp_frame f;
        size_t used;
        if (await(s, &f, &used, end_ms, e) < 0)
            return -1;
        bool receipt = str_eq(f.command, STR("RECEIPT"));
        int r = receipt ? 0 : refused(&f, ERR_FORMAT, e);
        bool ours = receipt && stomp_says(&f, STR("receipt-id"), name);
        drop(s, used);
        if (r < 0 || ours)
            return r;
    }
    return err_set(e, ERR_FORMAT, "STOMP: receipts of others");
}

static int send_frame(struct stomp *s, str name, struct err *e)
{
    char body[NOTIFY_BODY];
    int64_t end = clock_ms() + NOTIFY_SEND_MS;
    CLEANUP(buf_done) struct buf out = { 0 };
    size_t n = sender_body(name, body);
    stomp_begin(&out, "SEND");
    stomp_add(&out, "destination", str_from(s->to->destination), !s->old);
    stomp_add(&out, "content-type", STR("application/json"), !s->old);
    stomp_add(&out, "idempotency-key", name, !s->old);
    stomp_add(&out, "receipt", name, !s->old);
    stomp_end(&out,
              str_of(body, n)); /* without a content-length, as Clair: ActiveMQ makes a text of it then */
    if (out.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (wire_write(s->wire, buf_view(&out), end, e) == 0 && await_receipt(s, name, end, e) == 0)
        return 0;
    hang_up(s);
    return err_wrap(e, "%s", s->place);
}

static int dial_any(struct stomp *s, struct err *e)
{
    for (size_t i = 0; i < s->to->broker_count; i++) {
        if (i)
            usleep(s->to->delay_ms * 1000);
        *e = (struct err){ 0 };
        if (dial(s, s->to->brokers[i], e) == 0)
            return 0;
    }
    return -1;
}

/* A connection that was kept may have been closed meanwhile: that is no failure yet. */
static int stomp_send(void *self, str name, struct err *e)
{
    struct stomp *s = self;
    struct err first = { 0 };
    if (s->wire && send_frame(s, name, &first) == 0)
        return 0;
    if (first.kind && first.kind != ERR_NETWORK) {
        *e = first;
        return -1;
    }
    return dial_any(s, e) < 0 ? -1 : send_frame(s, name, e);
}

const struct sender_kind sender_stomp = {
    .name = "stomp",
    .threads = 1,
    .configured = configured,
    .new = stomp_new,
    .send = stomp_send,
    .free = stomp_free,
};
