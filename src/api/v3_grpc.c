/* v3_grpc.c - API v3, health and reflection over gRPC: paths are methods, bodies messages, failures codes. */
#include "api/v3_call.h"

#include "base/clock.h"

#include <stdatomic.h>

#define SCRATCH_MAX (2 * V3_MEMORY_MAX) /* of one message of a stream and its answer */
#define NO_CODE     (-1)

/* What route() makes of a request. */
struct grpc_call {
    const struct v3_rpc *rpc; /* NULL: there is no such method */
    atomic_int code;          /* what it was counted with, once; NO_CODE before */
    struct v3_stream stream;
    struct v3_reply end; /* of a stream */
};

static struct grpc_call *call_of(const struct request *r) { return (struct grpc_call *)r->route; }

/* ---- counting, as Go's interceptors do ---- */

static void count(struct api *a, const struct v3_rpc *rpc, enum metric which, const char *code)
{
    const char *type = rpc->call ? "unary" : rpc->streams_in ? "bidi_stream" : "server_stream";
    str labels[METRIC_LABELS] = { str_from(rpc->name), str_from(rpc->service), str_from(type) };
    const str with_code[METRIC_LABELS] = { str_from(code), labels[0], labels[1], labels[2] };
    metrics_add_all(a->options.metrics, which, 1, code ? with_code : labels);
}

/* The first who knows how it ended tells. */
static void count_end(struct api *a, struct grpc_call *g, enum grpc_code code)
{
    int none = NO_CODE;
    if (g && g->rpc && atomic_compare_exchange_strong(&g->code, &none, (int)code))
        count(a, g->rpc, METRIC_GRPC_HANDLED, grpc_code_name(code));
}

/* ---- which method ---- */

/* "/package.Service/Method" */
static bool split(str path, str *service, str *method)
{
    ptrdiff_t at = str_rfind(path, '/');
    if (at < 1 || *path.ptr != '/')
        return false;
    *service = str_of(path.ptr + 1, (size_t)at - 1);
    *method = str_skip(path, (size_t)at + 1);
    return true;
}

static bool has_service(str service)
{
    for (const struct v3_rpc *rpc = v3_rpcs; rpc->service; rpc++)
        if (str_eq(service, str_from(rpc->service)))
            return true;
    return false;
}

static const struct v3_rpc *find(str path)
{
    str service, method;
    if (!split(path, &service, &method))
        return NULL;
    for (const struct v3_rpc *rpc = v3_rpcs; rpc->service; rpc++)
        if (str_eq(service, str_from(rpc->service)) && str_eq(method, str_from(rpc->name)))
            return rpc;
    return NULL;
}

bool v3_grpc_is(const struct request *r)
{
    str service, method;
    return grpc_is(r) || (split(r->path, &service, &method) && has_service(service));
}

enum service v3_grpc_find(struct api *a, struct request *r)
{
    struct grpc_call *g = grpc_is(r) ? arena_array(r->arena, struct grpc_call, 1) : NULL;
    r->route = g;
    if (!g)
        return SERVE_NOW;
    g->rpc = find(r->path);
    g->stream = (struct v3_stream){ .api = a, .arena = r->arena };
    atomic_init(&g->code, NO_CODE);
    r->body_max = GRPC_MESSAGE_MAX + 5;
    r->timeout_ms = grpc_timeout(r);
    if (!g->rpc)
        return SERVE_NOW;
    count(a, g->rpc, METRIC_GRPC_STARTED, NULL);
    return g->rpc->kind;
}

/* With the words of grpc-go. */
static void unknown(struct call *c)
{
    const struct request *r = c->request;
    str service, method, why;
    str shown = str_head(r->path, 500);
    if (!split(shown, &service, &method))
        why = arena_printf(r->arena, "malformed method name: \"" STR_FMT "\"", STR_ARG(shown));
    else if (has_service(service))
        why = arena_printf(r->arena, "unknown method " STR_FMT " for service " STR_FMT, STR_ARG(method),
                           STR_ARG(service));
    else
        why = arena_printf(r->arena, "unknown service " STR_FMT, STR_ARG(service));
    grpc_fail(r, c->response, GRPC_UNIMPLEMENTED, why);
}

/* ---- unary ---- */

static bool read_request(struct call *c, const struct v3_rpc *rpc, ProtobufCMessage **ret,
                         struct v3_reply *reply)
{
    enum grpc_code code;
    const char *why;
    str bytes;
    if (grpc_message(c->request, &bytes, &code, &why) < 0) {
        v3_fail(reply, code, str_from(why));
        return false;
    }
    count(c->api, rpc, METRIC_GRPC_RECEIVED, NULL);
    *ret = v3_unpack(rpc->request, bytes, c->request->arena, reply);
    return *ret;
}

static bool write_message(struct call *c, const struct v3_reply *reply)
{
    str bytes = v3_pack(reply->message, c->request->arena);
    if (!bytes.ptr || !grpc_frame(c->request, bytes, &c->response->body))
        return false;
    v3_keep(c, reply);
    return true;
}

static void answer(struct call *c, const struct v3_rpc *rpc, struct v3_reply *reply)
{
    if (reply->code == GRPC_OK && !reply->kept && !write_message(c, reply))
        v3_fail(reply, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
    if (reply->code != GRPC_OK) {
        grpc_fail(c->request, c->response, reply->code, reply->why);
        return;
    }
    grpc_end(c->request, c->response, GRPC_OK, STR(""));
    count(c->api, rpc, METRIC_GRPC_SENT, NULL);
}

static void handle_unary(struct call *c, struct grpc_call *g)
{
    struct v3_reply reply = { 0 };
    ProtobufCMessage *request;
    c->face = grpc_packs(c->request) ? "grpc gzip" : "grpc"; /* frames as they are sent */
    if (read_request(c, g->rpc, &request, &reply))
        v3_call(c, g->rpc, request, &reply);
    answer(c, g->rpc, &reply);
    count_end(c->api, g, reply.code);
}

void v3_grpc_handle(struct call *c)
{
    struct grpc_call *g = call_of(c->request);
    if (!grpc_is(c->request)) {
        bool post = str_eq(c->request->method, STR("POST"));
        plain_text(c->response, post ? 415 : 405,
                   post ? "application/grpc over HTTP/2 is wanted\n" : "Method Not Allowed\n");
    } else if (!g) {
        grpc_fail(c->request, c->response, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
    } else if (!g->rpc) {
        unknown(c);
    } else if (g->rpc->call) {
        handle_unary(c, g);
    } else {
        grpc_end(c->request, c->response, g->end.code, g->end.why);
        count_end(c->api, g, g->end.code);
    }
}

/* ---- streams ---- */

static bool end(struct grpc_call *g, enum grpc_code code, str why)
{
    g->end = (struct v3_reply){ .code = code, .why = arena_dup(g->stream.arena, why) };
    return false;
}

/* A client that sends one message sends one. */
static bool is_expected(struct grpc_call *g, enum stream_event event, struct v3_reply *ret)
{
    bool none = event == STREAM_ENDED && !g->stream.asked,
         second = event == STREAM_MESSAGE && g->stream.asked;
    if (g->rpc->streams_in || !(none || second))
        return true;
    v3_fail(ret, GRPC_INTERNAL,
            none ? STR("the request has no message") : STR("the request has two messages"));
    return false;
}

static bool run_event(struct api *a, struct request *r, enum stream_event event, str message,
                      struct arena *scratch, struct v3_reply *reply, struct buf *out)
{
    struct grpc_call *g = call_of(r);
    ProtobufCMessage *request = NULL;
    if (!is_expected(g, event, reply))
        return false;
    if (event == STREAM_MESSAGE) {
        count(a, g->rpc, METRIC_GRPC_RECEIVED, NULL);
        request = v3_unpack(g->rpc->request, message, scratch, reply);
        if (!request)
            return false;
    }
    bool more = g->rpc->stream(&g->stream, event, request, scratch, reply);
    str bytes = reply->message ? v3_pack(reply->message, scratch) : STR("");
    if (!bytes.ptr || (reply->message && !grpc_frame(r, bytes, out))) {
        v3_fail(reply, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
        return false;
    }
    if (reply->message)
        count(a, g->rpc, METRIC_GRPC_SENT, NULL);
    return more;
}

bool v3_grpc_message(struct api *a, struct request *r, enum stream_event event, str message, struct buf *out)
{
    struct grpc_call *g = call_of(r);
    struct v3_reply reply = { 0 };
    struct arena *scratch = arena_new(SCRATCH_MAX);
    if (!scratch)
        return end(g, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
    bool more = run_event(a, r, event, message, scratch, &reply, out) || end(g, reply.code, reply.why);
    arena_freep(&scratch);
    return more;
}

/* ---- what became of it ---- */

void v3_grpc_late(struct api *a, const struct request *r, struct response *ret)
{
    grpc_fail(r, ret, GRPC_DEADLINE_EXCEEDED, STR("")); /* a text would be encoded in the arena */
    response_trailer(ret, "grpc-message", STR("context deadline exceeded"));
    count_end(a, call_of(r), GRPC_DEADLINE_EXCEEDED);
}

/* Of those who give themselves up, net/ does not ask us; what nobody counted else never ran: its client went away, or a queue was full. */
void v3_grpc_answered(struct api *a, const struct request *r, unsigned status)
{
    bool late = r->timeout_ms && (clock_ns() - r->began_ns) / 1000000 >= r->timeout_ms;
    count_end(a, call_of(r), !status ? GRPC_CANCELLED : late ? GRPC_DEADLINE_EXCEEDED : GRPC_UNAVAILABLE);
}

const char *v3_grpc_told(const struct request *r)
{
    const struct grpc_call *g = call_of(r);
    int code = g ? atomic_load(&g->code) : NO_CODE;
    return code == NO_CODE ? "" : grpc_code_name((enum grpc_code)code);
}
