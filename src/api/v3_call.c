#include "api/v3_call.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "health.pb-c.h"
#include "reflection.pb-c.h"

#define WHY_MAX 2048 /* bytes of what a failure tells */

/* ---- the methods ---- */

#define CLAIR "coreos.clair."

const struct v3_rpc v3_rpcs[] = {
    { .service = CLAIR "AncestryService",
      .name = "GetAncestry",
      .request = &coreos__clair__get_ancestry_request__descriptor,
      .call = v3_get_ancestry,
      .kind = SERVE_READ,
      .method = "GET",
      .path = "/ancestry/{}",
      .metric = "v3/GetAncestry",
      .field = "ancestry_name" },
    { .service = CLAIR "AncestryService",
      .name = "PostAncestry",
      .request = &coreos__clair__post_ancestry_request__descriptor,
      .call = v3_post_ancestry,
      .kind = SERVE_LONG,
      .writes = true,
      .method = "POST",
      .path = "/ancestry",
      .metric = "v3/PostAncestry" },
    { .service = CLAIR "StatusService",
      .name = "GetStatus",
      .request = &coreos__clair__get_status_request__descriptor,
      .call = v3_get_status,
      .kind = SERVE_READ,
      .method = "GET",
      .path = "/status",
      .metric = "v3/GetStatus" },
    { .service = CLAIR "NotificationService",
      .name = "GetNotification",
      .request = &coreos__clair__get_notification_request__descriptor,
      .call = v3_get_notification,
      .kind = SERVE_READ,
      .method = "GET",
      .path = "/notifications/{}",
      .metric = "v3/GetNotification",
      .field = "name" },
    { .service = CLAIR "NotificationService",
      .name = "MarkNotificationAsRead",
      .request = &coreos__clair__mark_notification_as_read_request__descriptor,
      .call = v3_mark_notification_read,
      .kind = SERVE_READ,
      .writes = true,
      .method = "DELETE",
      .path = "/notifications/{}",
      .metric = "v3/MarkNotificationAsRead",
      .field = "name" },
    { .service = "grpc.health.v1.Health",
      .name = "Check",
      .request = &grpc__health__v1__health_check_request__descriptor,
      .call = v3_health_check,
      .kind = SERVE_READ },
    { .service = "grpc.health.v1.Health",
      .name = "Watch",
      .request = &grpc__health__v1__health_check_request__descriptor,
      .stream = v3_health_watch,
      .kind = SERVE_STREAM },
    { .service = "grpc.reflection.v1.ServerReflection",
      .name = "ServerReflectionInfo",
      .request = &grpc__reflection__v1__server_reflection_request__descriptor,
      .stream = v3_reflect,
      .kind = SERVE_STREAM,
      .streams_in = true },
    { .service = "grpc.reflection.v1alpha.ServerReflection",
      .name = "ServerReflectionInfo",
      .request = &grpc__reflection__v1__server_reflection_request__descriptor,
      .stream = v3_reflect,
      .kind = SERVE_STREAM,
      .streams_in = true },
    { 0 },
};

/* ---- replies ---- */

/* Texts have names of clients in them, and are headers over gRPC: cut between characters. */
void v3_fail(struct v3_reply *ret, enum grpc_code code, str why)
{
    if (why.len > WHY_MAX)
        for (why.len = WHY_MAX; why.len && (why.ptr[why.len] & 0xc0) == 0x80; why.len--)
            ;
    *ret = (struct v3_reply){ .code = code, .why = why };
}

void v3_failure(const struct call *c, struct v3_reply *ret, const char *reason, const struct err *e)
{
    log_error("request failed", LOG_TEXT("error", str_from(e->text)), LOG_REQUEST(c->request),
              LOG_TEXT("request uri", c->request->target));
    v3_fail(ret, GRPC_INTERNAL, arena_printf(c->request->arena, "clair error reason: '%s'", reason));
}

/* How many bytes at the beginning are a character; 0: none are. */
static size_t rune_length(str s)
{
    for (size_t n = 1; n <= 4 && n <= s.len; n++)
        if (str_utf8(str_head(s, n)))
            return *s.ptr ? n : 0;
    return 0;
}

/* Messages hold UTF-8, and protobuf-c's texts no NUL byte: others become U+FFFD, as REST v1 shows them. */
char *v3_text(struct call *c, str text)
{
    struct arena *arena = c->request->arena;
    if (str_utf8(text) && str_find(text, '\0') < 0)
        return arena_cstr(arena, text);
    CLEANUP(buf_done) struct buf out = { 0 };
    while (text.len) {
        size_t n = rune_length(text);
        buf_str(&out, n ? str_head(text, n) : STR("\xef\xbf\xbd"));
        text = str_skip(text, n ? n : 1);
    }
    return out.failed ? NULL : arena_cstr(arena, buf_view(&out));
}

/* ---- calls ---- */

static bool is_allowed(struct call *c, struct v3_reply *ret)
{
    switch (rules_judge(c)) {
    case RULE_ALLOWED:
        return true;
    case RULE_READONLY:
        v3_fail(ret, GRPC_PERMISSION_DENIED, STR(RULE_READONLY_TEXT));
        return false;
    case RULE_TOKEN:
        v3_fail(ret, GRPC_UNAUTHENTICATED, STR(RULE_TOKEN_TEXT));
        return false;
    }
    return false;
}

void v3_call(struct call *c, const struct v3_rpc *rpc, const ProtobufCMessage *request, struct v3_reply *ret)
{
    *ret = (struct v3_reply){ 0 };
    if (rpc->writes && !is_allowed(c, ret))
        return;
    rpc->call(c, request, ret);
    if (ret->code == GRPC_OK && ((!ret->message && !ret->kept) || arena_failed(c->request->arena)))
        v3_fail(ret, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
}

/* ---- memory ---- */

static void *take(void *data, size_t size)
{
    struct v3_memory *m = data;
    size_t whole = (size / 16 + 1) * 16; /* what an arena makes of it */
    void *p = whole <= m->left ? arena_alloc(m->arena, whole, 1) : NULL;
    m->failed |= !p;
    m->left -= p ? whole : 0;
    return p;
}

static void leave(void *data, void *p) { (void)data, (void)p; }

void v3_memory_init(struct v3_memory *m, struct arena *arena, size_t limit)
{
    *m = (struct v3_memory){ .allocator = { take, leave, m }, .arena = arena, .left = limit };
}

ProtobufCMessage *v3_unpack(const ProtobufCMessageDescriptor *d, str bytes, struct arena *arena,
                            struct v3_reply *ret)
{
    struct err e = { 0 };
    struct v3_memory memory;
    v3_memory_init(&memory, arena, V3_MEMORY_MAX);
    if (wire_check(d, bytes, &e) < 0) {
        bool ours = e.kind == ERR_UNSUPPORTED; /* a fine message, but not for us */
        v3_fail(ret, ours ? GRPC_INVALID_ARGUMENT : GRPC_INTERNAL,
                arena_printf(arena, "%s%s", ours ? "" : "grpc: error unmarshalling request: ", e.text));
        return NULL;
    }
    ProtobufCMessage *m =
        protobuf_c_message_unpack(d, &memory.allocator, bytes.len, (const uint8_t *)bytes.ptr);
    if (!m && memory.failed)
        v3_fail(ret, GRPC_RESOURCE_EXHAUSTED, STR("the message has too many parts"));
    else if (!m)
        v3_fail(ret, GRPC_INTERNAL,
                STR("grpc: error unmarshalling request: a field has another type than it should"));
    return m;
}

str v3_pack(const ProtobufCMessage *m, struct arena *arena)
{
    uint8_t *to = arena_alloc(arena, protobuf_c_message_get_packed_size(m) + 1, 1);
    return to ? str_of(to, protobuf_c_message_pack(m, to)) : (str){ 0 };
}
