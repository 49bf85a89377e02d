/* amqp.c - AMQP 0-9-1 by librabbitmq: published to an exchange of the first broker that answers, with confirms, so that "sent" means that the
 *          broker has it. Keys and properties as those of later Clairs (spec/api-v4.md 6). */
#include "notify/sender.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

#define CHANNEL      1
#define FRAME_MAX    131072
#define SYSTEM_TRUST "/etc/ssl/certs/ca-certificates.crt"
#define APP_ID       "clair-notifier"

struct amqp {
    const struct notify_amqp *to;
    amqp_connection_state_t link; /* stays open; NULL: none */
    char place[300];              /* "host:port" of it */
    uint64_t published;           /* since it was opened: the tag of the last one */
};

static bool configured(const struct notify_options *o) { return o->amqp.uri_count > 0; }

static void *amqp_new(const struct notify_options *o, struct err *e)
{
    struct amqp *a = calloc(1, sizeof *a);
    if (a)
        a->to = &o->amqp;
    else
        err_set(e, ERR_OOM, "out of memory");
    return a;
}

static void hang_up(struct amqp *a)
{
    if (a->link)
        amqp_destroy_connection(a->link); /* closes the socket: no word of farewell to wait for */
    a->link = NULL;
}

static void amqp_free(void *self)
{
    struct amqp *a = self;
    if (a)
        hang_up(a);
    free(a);
}

static struct timeval limit(void) { return (struct timeval){ .tv_sec = NOTIFY_SEND_MS / 1000 }; }

static int failed(const char *what, int status, struct err *e)
{
    return err_set(e, status == AMQP_STATUS_TIMEOUT ? ERR_BUSY : ERR_NETWORK, "%s: %s", what,
                   amqp_error_string2(status));
}

/* What the broker, or the library, says to a call. */
static int judge(amqp_rpc_reply_t r, const char *what, struct err *e)
{
    if (r.reply_type == AMQP_RESPONSE_NORMAL)
        return 0;
    if (r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        return failed(what, r.library_error, e);
    amqp_bytes_t text = { 0 };
    int code = 0;
    if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && r.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *m = r.reply.decoded;
        text = m->reply_text;
        code = m->reply_code;
    } else if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && r.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *m = r.reply.decoded;
        text = m->reply_text;
        code = m->reply_code;
    }
    bool denied = code == 403 || code == 530;
    return err_set(e, denied ? ERR_DENIED : ERR_FORMAT, "%s: %.*s", what,
                   (int)(text.len < 200 ? text.len : 200), text.len ? (const char *)text.bytes : "refused");
}

static amqp_socket_t *tls_socket(struct amqp *a, struct err *e)
{
    const struct notify_tls *t = &a->to->tls;
    const char *trust = t->ca ? t->ca : SYSTEM_TRUST;
    amqp_socket_t *s = amqp_ssl_socket_new(a->link);
    if (!s) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    amqp_ssl_socket_set_verify_peer(s, 1);
    amqp_ssl_socket_set_verify_hostname(s, 1);
    int status = amqp_ssl_socket_set_cacert(s, trust);
    if (status < 0)
        err_set(e, ERR_IO, "%s: %s", trust, amqp_error_string2(status));
    else if (t->cert && (status = amqp_ssl_socket_set_key(s, t->cert, t->key)) < 0)
        err_set(e, ERR_IO, "%s, %s: %s", t->cert, t->key, amqp_error_string2(status));
    return status < 0 ? NULL : s; /* the connection has it */
}

static int log_in(struct amqp *a, const struct amqp_connection_info *to, struct err *e)
{
    const char *vhost = *to->vhost ? to->vhost : "/"; /* "amqp://host/" is what everybody writes for it */
    struct timeval time = limit();
    amqp_socket_t *s = to->ssl ? tls_socket(a, e) : amqp_tcp_socket_new(a->link);
    if (!s)
        return e->kind ? -1 : err_set(e, ERR_OOM, "out of memory");
    amqp_set_handshake_timeout(a->link, &time);
    amqp_set_rpc_timeout(a->link, &time);
    int status = amqp_socket_open_noblock(s, to->host, to->port, &time);
    if (status < 0)
        return failed("connect", status, e);
    /* a broker that does not like them hangs up */
    if (judge(amqp_login(a->link, vhost, 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, to->user, to->password),
              "login", e) < 0)
        return -1;
    amqp_channel_open(a->link, CHANNEL);
    return judge(amqp_get_rpc_reply(a->link), "channel", e);
}

static int prepare(struct amqp *a, struct err *e)
{
    const struct notify_amqp *to = a->to;
    if (to->exchange && *to->exchange) {
        amqp_exchange_declare(a->link, CHANNEL, amqp_cstring_bytes(to->exchange),
                              amqp_cstring_bytes(to->type ? to->type : "direct"), 1, to->durable,
                              to->auto_delete, 0, amqp_empty_table);
        if (judge(amqp_get_rpc_reply(a->link), "exchange", e) < 0)
            return -1;
    }
    amqp_confirm_select(a->link, CHANNEL);
    a->published = 0;
    return judge(amqp_get_rpc_reply(a->link), "confirms", e);
}

static int dial(struct amqp *a, const char *uri, struct err *e)
{
    struct amqp_connection_info to;
    CLEANUP(freep) char *copy = strdup(uri); /* the parser writes into it */
    amqp_default_connection_info(&to);
    if (!copy || !(a->link = amqp_new_connection()))
        return err_set(e, ERR_OOM, "out of memory");
    if (amqp_parse_url(copy, &to) != AMQP_STATUS_OK) {
        hang_up(a);
        return err_set(e, ERR_USAGE, "notifier.amqp.uris: no URI of AMQP");
    }
    snprintf(a->place, sizeof a->place, "%.250s:%d", to.host, to.port);
    if (log_in(a, &to, e) == 0 && prepare(a, e) == 0)
        return 0;
    hang_up(a);
    return err_wrap(e, "%s", a->place);
}

/* 1 it has it, 0 that was about something else, -1. */
static int judge_frame(const struct amqp *a, const amqp_frame_t *f, struct err *e)
{
    if (f->frame_type != AMQP_FRAME_METHOD)
        return 0;
    if (f->payload.method.id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *m = f->payload.method.decoded;
        return m->delivery_tag == a->published || (m->multiple && m->delivery_tag > a->published);
    }
    if (f->payload.method.id == AMQP_BASIC_NACK_METHOD)
        return err_set(e, ERR_FORMAT, "the broker did not take it");
    if (f->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *m = f->payload.method.decoded;
        return err_set(e, ERR_FORMAT, "the broker says: %.*s",
                       (int)(m->reply_text.len < 200 ? m->reply_text.len : 200),
                       (const char *)m->reply_text.bytes);
    }
    return f->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD
               ? err_set(e, ERR_NETWORK, "the broker closes the connection")
               : 0;
}

static int await_confirm(struct amqp *a, struct err *e)
{
    int64_t end = clock_ms() + NOTIFY_SEND_MS;
    int r = 0;
    while (r == 0) {
        int64_t left = end - clock_ms();
        amqp_frame_t frame;
        struct timeval time = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };
        if (left <= 0)
            return err_set(e, ERR_BUSY, "no confirmation in time");
        amqp_maybe_release_buffers(a->link);
        int status = amqp_simple_wait_frame_noblock(a->link, &frame, &time);
        if (status != AMQP_STATUS_OK)
            return failed("confirmation", status, e);
        r = judge_frame(a, &frame, e);
    }
    return r < 0 ? -1 : 0;
}

static int publish(struct amqp *a, str name, struct err *e)
{
    char body[NOTIFY_BODY], id[64];
    size_t n = sender_body(name, body);
    snprintf(id, sizeof id, STR_FMT, STR_ARG(name));
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                  AMQP_BASIC_APP_ID_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .message_id = amqp_cstring_bytes(id),
        .app_id = amqp_cstring_bytes(APP_ID),
    };
    const char *exchange = a->to->exchange ? a->to->exchange : "",
               *key = a->to->routing_key ? a->to->routing_key : "";
    int status = amqp_basic_publish(a->link, CHANNEL, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key),
                                    0, 0, &properties, (amqp_bytes_t){ n, body });
    if (status == AMQP_STATUS_OK) {
        a->published++;
        if (await_confirm(a, e) == 0)
            return 0;
    } else {
        failed("publish", status, e);
    }
    hang_up(a);
    return err_wrap(e, "%s", a->place);
}

static int dial_any(struct amqp *a, struct err *e)
{
    for (size_t i = 0; i < a->to->uri_count; i++) {
        *e = (struct err){ 0 };
        if (dial(a, a->to->uris[i], e) == 0)
            return 0;
    }
    return -1;
}

/* A connection that was kept may have been closed meanwhile: that is no failure yet. */
static int amqp_send(void *self, str name, struct err *e)
{
    struct amqp *a = self;
    struct err first = { 0 };
    if (a->link && publish(a, name, &first) == 0)
        return 0;
    if (first.kind && first.kind != ERR_NETWORK) {
        *e = first;
        return -1;
    }
    return dial_any(a, e) < 0 ? -1 : publish(a, name, e);
}

const struct sender_kind sender_amqp = {
    .name = "amqp",
    .threads = 1,
    .configured = configured,
    .new = amqp_new,
    .send = amqp_send,
    .free = amqp_free,
};
