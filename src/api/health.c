/* health.c - the health port: GET /health says whether the database answers (spec/server.md 6, spec/seeds.md B), /healthz whether
 * the process lives, /readyz whether requests are worth sending (status.c). */
#include "api/internal.h"

#include "base/clock.h"
#include "base/log.h"

#define FRESH_MS 1000 /* one query a second at most, however often a load balancer asks */

/* HEAD, too */
static bool is_get(const struct request *r, const char *path)
{
    return str_eq(r->path, str_from(path)) &&
           (str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD")));
}

static bool is_fresh(const struct api *a) { return clock_ms() < atomic_load(&a->health_until_ms); }

static enum service find(void *ctx, struct request *r)
{
    bool asks = is_get(r, "/readyz") || is_get(r, "/metrics") || (is_get(r, "/health") && !is_fresh(ctx));
    return asks ? SERVE_READ : SERVE_NOW;
}

static void ask(struct api *a)
{
    struct err e = { 0 };
    struct store *s = stores_take(a->stores, &e);
    bool good = s && store_ping(s, &e) == 0;
    stores_give(a->stores, s);
    if (!good && atomic_load(&a->healthy))
        log_warning("the database does not answer", LOG_TEXT("error", str_from(e.text)));
    atomic_store(&a->healthy, good);
    atomic_store(&a->health_until_ms, clock_ms() + FRESH_MS);
}

bool health_good(struct api *a)
{
    if (!is_fresh(a))
        ask(a);
    return atomic_load(&a->healthy);
}

static void health(struct api *a, struct response *ret)
{
    ret->status = health_good(a) ? 200 : 500;
    response_header(ret, "Content-Type", STR("text/plain; charset=utf-8"));
    response_header(ret, "Server", STR("clair"));
}

static void handle(void *ctx, struct request *r, struct response *ret)
{
    if (is_get(r, "/health")) {
        health(ctx, ret);
    } else if (is_get(r, "/healthz")) {
        plain_text(ret, 200, "ok\n");
    } else if (is_get(r, "/readyz")) {
        ready_answer(ctx, ret);
    } else if (is_get(r, "/metrics")) {
        metrics_answer(ctx, r, ret);
    } else if (str_eq(r->path, STR("/health"))) {
        plain_text(ret, 405, "Method Not Allowed\n");
    } else if (str_eq(r->path, STR("/health/")) && str_eq(r->method, STR("GET"))) {
        ret->status = 301;
        response_header(ret, "Content-Type", STR("text/html; charset=utf-8"));
        response_header(ret, "Location", STR("/health"));
        buf_str(&ret->body, STR("<a href=\"/health\">Moved Permanently</a>.\n\n"));
    } else {
        plain_text(ret, 404, "404 page not found\n");
    }
}

/* A database that hangs: no load balancer should wait for api.timeout. */
static void timed_out(void *ctx, const struct request *r, struct response *ret)
{
    (void)ctx, (void)r;
    ret->status = 500;
    response_header(ret, "Server", STR("clair"));
}

struct server_handler api_health_handler(struct api *a)
{
    return (struct server_handler){ .ctx = a, .route = find, .handle = handle, .timed_out = timed_out };
}
