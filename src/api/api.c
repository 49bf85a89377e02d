#include "api/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct api *api_new(const struct api_options *o, struct err *e)
{
    struct api *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(e, ERR_OOM, "api");
        return NULL;
    }
    a->options = *o;
    pthread_mutex_init(&a->rules_lock, NULL);
    a->posts = posts_new();
    a->standing = standing_new(a, e);
    pthread_mutex_init(&a->writing, NULL);
    a->stores = stores_new(o->database, STORE_WRITE, e);
    if (o->replica)
        a->replica = stores_new(o->replica, STORE_READ, e);
    a->reports = reports_new(o->database, e);
    bool made = a->stores && a->posts && a->standing && a->reports && !a->replica == !o->replica;
    if (made && api_set_options(a, o, e) == 0)
        return a;
    err_set(e, ERR_OOM, "api");
    api_freep(&a);
    return NULL;
}

void api_freep(struct api **a)
{
    if (!*a)
        return;
    posts_freep(&(*a)->posts);
    standing_freep(&(*a)->standing);
    reports_freep(&(*a)->reports);
    stores_freep(&(*a)->stores);
    stores_freep(&(*a)->replica);
    rules_drop(*a, (*a)->rules);
    pthread_mutex_destroy(&(*a)->rules_lock);
    pthread_mutex_destroy(&(*a)->writing);
    free(*a);
    *a = NULL;
}

/* The body of golden-v1/65: without a newline, and no "Server". */
static void late_v1(struct response *ret)
{
    ret->status = 503;
    response_header(ret, "Content-Type", STR("text/plain; charset=utf-8"));
    buf_str(&ret->body, STR("{\"Error\":{\"Message\":\"Clair failed to respond within the configured timeout "
                            "window.\",\"Type\":\"Timeout\"}}"));
}

static void timed_out(void *ctx, const struct request *r, struct response *ret)
{
    struct api *a = ctx;
    metrics_add(a->options.metrics, METRIC_LATE, 1, STR(""), STR(""));
    switch (routes_face(r)) {
    case FACE_GRPC:
        v3_grpc_late(a, r, ret);
        return;
    case FACE_REST:
        v3_rest_late(r, ret);
        return;
    case FACE_V1:
        late_v1(ret);
        return;
    }
}

static void observe(struct api *a, const struct request *r, unsigned status, str text, double ms)
{
    enum face face = routes_face(r);
    const char *route = face == FACE_REST ? v3_rest_metric(r) : routes_metric(r);
    if (route)
        metrics_observe(a->options.metrics, face == FACE_REST ? METRIC_V3_DURATION : METRIC_API_DURATION, ms,
                        text, str_from(route));
    if (face == FACE_GRPC)
        v3_grpc_answered(a, r, status);
}

static void answered(void *ctx, const struct request *r, unsigned status, int64_t elapsed_ns)
{
    struct api *a = ctx;
    char text[48];
    int n = snprintf(text, sizeof text, "%u", status);
    observe(a, r, status, str_from(text), (double)elapsed_ns / 1e6);
    if (routes_face(r) == FACE_GRPC && *v3_grpc_told(r))
        snprintf(text + n, sizeof text - (size_t)n, " %s", v3_grpc_told(r));
    log_info("Handled HTTP request", LOG_NUM("elapsed time", elapsed_ns), LOG_TEXT("method", r->method),
             LOG_TEXT("remote addr", str_from(r->peer)), LOG_REQUEST(r), LOG_TEXT("request uri", r->target),
             LOG_TEXT("status", str_from(text)));
}

static bool message(void *ctx, struct request *r, enum stream_event event, str text, struct buf *out)
{
    return v3_grpc_message(ctx, r, event, text, out);
}

struct server_handler api_handler(struct api *a)
{
    return (struct server_handler){ .ctx = a,
                                    .route = routes_find,
                                    .handle = routes_handle,
                                    .timed_out = timed_out,
                                    .answered = answered,
                                    .message = message };
}
