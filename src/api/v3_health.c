/* v3_health.c - grpc.health.v1: the database answers, or it does not; as the health port says it. */
#include "api/v3_call.h"

#include "health.pb-c.h"

typedef Grpc__Health__V1__HealthCheckRequest health_request;
typedef Grpc__Health__V1__HealthCheckResponse health_response;
#define SERVING         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

/* An empty name is the server. */
static bool is_service(str name)
{
    const struct v3_rpc *rpc = v3_rpcs;
    while (rpc->service && name.len && !str_eq(name, str_from(rpc->service)))
        rpc++;
    return rpc->service;
}

static void reply(struct arena *arena, int32_t status, struct v3_reply *ret)
{
    health_response *m = arena_array(arena, health_response, 1);
    if (!m)
        return;
    grpc__health__v1__health_check_response__init(m);
    m->status = status;
    ret->message = &m->base;
}

void v3_health_check(struct call *c, const ProtobufCMessage *request, struct v3_reply *ret)
{
    if (is_service(str_from(((const health_request *)request)->service)))
        reply(c->request->arena, health_good(c->api) ? SERVING : NOT_SERVING, ret);
    else
        v3_fail(ret, GRPC_NOT_FOUND, STR("unknown service"));
}

/* 0: nobody has asked the database yet. */
static int32_t state_of(struct v3_stream *s)
{
    if (!is_service(s->about))
        return SERVICE_UNKNOWN;
    int up = standing_glance(s->api);
    return up < 0 ? 0 : up ? SERVING : NOT_SERVING;
}

bool v3_health_watch(struct v3_stream *s, enum stream_event event, const ProtobufCMessage *request,
                     struct arena *scratch, struct v3_reply *ret)
{
    if (event == STREAM_MESSAGE) {
        s->about = arena_dup(s->arena, str_from(((const health_request *)request)->service));
        s->asked = true;
    }
    int32_t state = s->asked ? state_of(s) : 0;
    if (state && state != s->told)
        reply(scratch, state, ret);
    s->told = state ? state : s->told;
    return true;
}
