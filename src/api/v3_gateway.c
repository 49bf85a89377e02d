/* v3_gateway.c - API v3 over REST, as grpc-gateway of 2017 had it: paths, queries and bodies become messages, replies JSON (spec/api-v3.md 3). */
#include "api/v3_call.h"

#include "api/path.h"
#include "base/cleanup.h"
#include "codec/json.h"

/* ---- routes ---- */

/* What stands in place of "{}", which may be empty. */
static bool fits(const char *pattern, str path, str *raw)
{
    str p = str_from(pattern);
    *raw = STR("");
    if (!str_ends(p, STR("{}")))
        return str_eq(path, p);
    p.len -= STR("{}").len;
    if (!str_starts(path, p))
        return false;
    *raw = str_skip(path, p.len);
    return str_find(*raw, '/') < 0;
}

static const struct v3_rpc *find(const struct request *r, str *raw, bool *other_method)
{
    *other_method = false;
    for (const struct v3_rpc *rpc = v3_rpcs; rpc->service; rpc++) {
        if (!rpc->path || !fits(rpc->path, r->path, raw))
            continue;
        if (str_eq(r->method, str_from(rpc->method)))
            return rpc;
        *other_method = true;
    }
    return NULL;
}

bool v3_rest_is(const struct request *r)
{
    str rest = str_skip(r->path, 1), first = str_cut(&rest, '/');
    return str_starts(r->path, STR("/")) && (str_eq(first, STR("ancestry")) || str_eq(first, STR("status")) ||
                                             str_eq(first, STR("notifications")));
}

enum service v3_rest_find(struct request *r)
{
    bool other;
    str raw;
    const struct v3_rpc *rpc = find(r, &raw, &other);
    r->route = rpc;
    r->timeout_ms = grpc_timeout(r); /* "also on REST requests" */
    if (rpc && str_eq(r->method, STR("POST")))
        r->body_max = GRPC_MESSAGE_MAX;
    return rpc ? rpc->kind : SERVE_NOW;
}

const char *v3_rest_metric(const struct request *r)
{
    const struct v3_rpc *rpc = r->route;
    return rpc ? rpc->metric : NULL;
}

/* ---- answers ---- */

static const unsigned statuses[GRPC_CODES] = { 200, 408, 500, 400, 408, 404, 409, 403, 403,
                                               412, 409, 400, 501, 500, 503, 500, 401 };

static void write_error(struct response *r, enum grpc_code code, str why)
{
    struct json_writer w = { .out = &r->body, .go = true };
    buf_clear(&r->body);
    json_w_object(&w);
    json_w_text(&w, "error", why);
    json_w_number(&w, "code", code);
    json_w_object_end(&w);
    r->status = statuses[code];
    response_header(r, "Content-Type", STR("application/json"));
}

/* Of a method, which a trailer tells. */
static void fail(struct call *c, const struct v3_reply *reply)
{
    write_error(c->response, reply->code, reply->why);
    response_trailer(c->response, "Grpc-Trailer-Content-Type", STR("application/grpc"));
    if (reply->code == GRPC_UNAUTHENTICATED)
        response_header(c->response, "WWW-Authenticate", STR("Bearer"));
}

static void answer(struct call *c, const struct v3_reply *reply)
{
    if (reply->code != GRPC_OK) {
        fail(c, reply);
        return;
    }
    if (!reply->kept) {
        v3_json_write(reply->message, &c->response->body);
        v3_keep(c, reply);
    }
    c->response->status = 200;
    c->response->gzip = gzip_wanted(c->request);
    response_header(c->response, "Content-Type", STR("application/json"));
    response_header(c->response, "Grpc-Metadata-Content-Type", STR("application/grpc"));
}

void v3_rest_late(const struct request *r, struct response *ret)
{
    (void)r;
    write_error(ret, GRPC_DEADLINE_EXCEEDED, STR("context deadline exceeded"));
}

/* ---- requests ---- */

static bool set_field(ProtobufCMessage *m, const char *name, str raw, struct v3_memory *memory, struct err *e)
{
    str value;
    if (!path_decode(raw, memory->arena, &value)) {
        err_set(e, ERR_FORMAT, "%s: a bad percent escape", name);
        return false;
    }
    return v3_json_set(m, str_from(name), value, memory, e);
}

/* Parameters of a query are fields; which are none, are nothing. */
static bool read_query(str query, ProtobufCMessage *m, struct v3_memory *memory, struct err *e)
{
    str name, value;
    while (query.len) {
        str part = str_cut(&query, '&'), key = str_cut(&part, '=');
        if (!path_decode(key, memory->arena, &name) || !path_decode(part, memory->arena, &value)) {
            err_set(e, ERR_FORMAT, "the query has a bad percent escape");
            return false;
        }
        if (!v3_json_set(m, name, value, memory, e))
            return false;
    }
    return true;
}

static ProtobufCMessage *read_request(struct call *c, const struct v3_rpc *rpc, str raw,
                                      struct v3_memory *memory, struct err *e)
{
    const struct request *r = c->request;
    bool body = str_eq(r->method, STR("POST"));
    if (body && r->body_cut) {
        err_set(e, ERR_OOM, "grpc: received message larger than max (%zu)", GRPC_MESSAGE_MAX);
        return NULL;
    }
    ProtobufCMessage *m = v3_json_read(rpc->request, body ? r->body : STR(""), memory, e);
    bool good = m && (body || (read_query(r->query, m, memory, e) &&
                               (!rpc->field || set_field(m, rpc->field, raw, memory, e))));
    return good ? m : NULL;
}

static void no_method(struct call *c, bool other)
{
    if (other)
        plain_text(c->response, 405, "Method Not Allowed\n");
    else
        plain_text(c->response, 404, "Not Found\n");
}

void v3_rest_handle(struct call *c)
{
    const struct v3_rpc *rpc = c->request->route;
    struct v3_memory memory;
    struct err e = { 0 };
    struct v3_reply reply;
    bool other;
    str raw;
    find(c->request, &raw, &other);
    if (!rpc) {
        no_method(c, other);
        return;
    }
    c->face = "json";
    v3_memory_init(&memory, c->request->arena, V3_MEMORY_MAX);
    const ProtobufCMessage *m = read_request(c, rpc, raw, &memory, &e);
    if (!m) {
        write_error(c->response, e.kind == ERR_OOM ? GRPC_RESOURCE_EXHAUSTED : GRPC_INVALID_ARGUMENT,
                    str_from(e.text));
        return;
    }
    v3_call(c, rpc, m, &reply);
    answer(c, &reply);
}
