/* routes.c - which request means what. */
#include "api/internal.h"

#include "api/keys.h"
#include "api/path.h"

#include <strings.h>

struct route {
    const char *method;
    const char *pattern; /* "{}" stands for one part, decoded into call.parameters */
    enum service service;
    void (*handle)(struct call *c);
    const char *metric; /* its name in Clair's metrics; NULL: not counted there */
    bool own_rules;     /* the handler says who may */
};

static const struct route routes[] = {
    { "POST", "/v1/layers", SERVE_LONG, v1_post_layer, "v1/postLayer" },
    { "GET", "/v1/layers/{}", SERVE_READ, v1_get_layer, "v1/getLayer" },
    { "DELETE", "/v1/layers/{}", SERVE_READ, v1_delete_layer, "v1/deleteLayer" },
    { "GET", "/v1/namespaces", SERVE_READ, v1_get_namespaces, "v1/getNamespaces" },
    { "GET", "/v1/namespaces/{}/vulnerabilities", SERVE_READ, v1_get_vulnerabilities,
      "v1/getVulnerabilities" },
    { "POST", "/v1/namespaces/{}/vulnerabilities", SERVE_LONG, v1_post_vulnerability,
      "v1/postVulnerability" },
    { "GET", "/v1/namespaces/{}/vulnerabilities/{}", SERVE_READ, v1_get_vulnerability,
      "v1/getVulnerability" },
    { "PUT", "/v1/namespaces/{}/vulnerabilities/{}", SERVE_LONG, v1_put_vulnerability,
      "v1/putVulnerability" },
    { "DELETE", "/v1/namespaces/{}/vulnerabilities/{}", SERVE_LONG, v1_delete_vulnerability,
      "v1/deleteVulnerability" },
    { "GET", "/v1/namespaces/{}/vulnerabilities/{}/fixes", SERVE_READ, v1_get_fixes, "v1/getFixes" },
    { "PUT", "/v1/namespaces/{}/vulnerabilities/{}/fixes/{}", SERVE_LONG, v1_put_fix, "v1/putFix" },
    { "DELETE", "/v1/namespaces/{}/vulnerabilities/{}/fixes/{}", SERVE_LONG, v1_delete_fix, "v1/deleteFix" },
    { "GET", "/v1/notifications/{}", SERVE_READ, v1_get_notification, "v1/getNotification" },
    { "DELETE", "/v1/notifications/{}", SERVE_READ, v1_delete_notification, "v1/deleteNotification" },
    { "GET", "/keys/services/{}/keys", SERVE_READ, keys_get_all, NULL, true },
    { "GET", "/keys/services/{}/keys/{}", SERVE_READ, keys_get, NULL, true },
    { "PUT", "/keys/services/{}/keys/{}", SERVE_READ, keys_put, NULL, true },
    { "DELETE", "/keys/services/{}/keys/{}", SERVE_READ, keys_delete, NULL, true },
    { "GET", "/v1/status", SERVE_READ, v1_get_status, "v1/getStatus" },
    { "GET", "/v1/openapi.json", SERVE_READ, v1_get_openapi, "v1/getOpenAPI" },
    { "GET", "/v1/metrics", SERVE_READ, v1_get_metrics, "v1/getMetrics" },
    { "GET", "/metrics", SERVE_READ, v1_get_metrics, NULL },
};
#define ROUTES (sizeof routes / sizeof *routes)

static bool same_word(str a, str b, bool any_case)
{
    return any_case ? a.len == b.len && !strncasecmp(a.ptr, b.ptr, a.len) : str_eq(a, b);
}

/* Part by part; `raw` gets what stands in place of "{}". */
static bool fits_as(const char *pattern, str path, str raw[ROUTE_PARAMETERS], bool any_case)
{
    str p = str_from(pattern);
    for (size_t n = 0; p.len || path.len;) {
        if (!p.len || !path.len)
            return false;
        str want = str_cut(&p, '/'), have = str_cut(&path, '/');
        if (str_eq(want, STR("{}")) && have.len)
            raw[n++] = have;
        else if (!same_word(want, have, any_case))
            return false;
    }
    return true;
}

static bool fits(const char *pattern, str path, str raw[ROUTE_PARAMETERS])
{
    return fits_as(pattern, path, raw, false);
}

static bool is_method(const struct route *r, str method)
{
    return str_eq(method, str_from(r->method)) ||
           (str_eq(method, STR("HEAD")) && str_eq(str_from(r->method), STR("GET")));
}

/* "/v1/layers/" is "/v1/layers" and "" to str_cut(), so a trailing "/" must be told apart here. */
static const struct route *find(str method, str path, bool *other_method)
{
    str raw[ROUTE_PARAMETERS];
    *other_method = false;
    for (size_t i = 0; i < ROUTES; i++) {
        if ((path.len > 1 && str_ends(path, STR("/"))) || !fits(routes[i].pattern, path, raw))
            continue;
        if (is_method(&routes[i], method))
            return &routes[i];
        *other_method = true;
    }
    return NULL;
}

const char *routes_metric(const struct request *r)
{
    const struct route *route = routes_face(r) == FACE_V1 ? r->route : NULL;
    return route ? route->metric : NULL;
}

enum face routes_face(const struct request *r)
{
    return v3_grpc_is(r) ? FACE_GRPC : v3_rest_is(r) ? FACE_REST : FACE_V1;
}

/* The version test looks at the first three characters (spec/api-v1.md 1). */
static bool is_v1(str path) { return str_starts(path, STR("/v1")); }

enum service routes_find(void *api, struct request *r)
{
    bool other;
    enum face face = routes_face(r);
    request_id(r);
    if (face != FACE_V1)
        return face == FACE_GRPC ? v3_grpc_find(api, r) : v3_rest_find(r);
    const struct route *found = find(r->method, r->path, &other);
    r->route = found;
    return found ? found->service : SERVE_NOW;
}

/* A near miss: GET /v1//layers/x or /v1/layers/. The old server forgot the /v1 in Location. */
static void redirect(struct request *r, str to, struct response *ret)
{
    bool get = str_eq(r->method, STR("GET"));
    ret->status = get ? 301 : 307;
    response_header(ret, "Location", to);
    if (!get)
        return;
    response_header(ret, "Content-Type", STR("text/html; charset=utf-8"));
    buf_printf(&ret->body, "<a href=\"" STR_FMT "\">Moved Permanently</a>.\n\n", STR_ARG(to));
}

/* The path that was meant: without doubled slashes and the like, in our letter case; also "/v1namespaces". Empty: none. */
static str near_miss(const struct request *r)
{
    str raw[ROUTE_PARAMETERS], rest = str_skip(r->path, STR("/v1").len);
    str clean = path_clean(arena_printf(r->arena, "/v1/" STR_FMT, STR_ARG(rest)), r->arena);
    bool ignored;
    if (find(r->method, clean, &ignored))
        return clean;
    for (size_t i = 0; i < ROUTES; i++)
        if (is_method(&routes[i], r->method) && fits_as(routes[i].pattern, clean, raw, true)) {
            struct buf out = { 0 };
            str p = str_from(routes[i].pattern);
            for (size_t n = 0; p.len;) {
                str part = str_cut(&p, '/');
                buf_str(&out, str_eq(part, STR("{}")) ? raw[n++] : part);
                if (p.len)
                    buf_char(&out, '/');
            }
            str to = out.failed ? STR("") : arena_dup(r->arena, buf_view(&out));
            buf_done(&out);
            return to;
        }
    return STR("");
}

static void no_route(struct request *r, struct response *ret)
{
    bool other = false;
    find(r->method, r->path, &other);
    str meant = is_v1(r->path) && !other ? near_miss(r) : STR("");
    if (meant.len && str_find(meant, '"') < 0)
        redirect(r, meant, ret);
    else if (other)
        plain_text(ret, 405, "Method Not Allowed\n");
    else
        plain_text(ret, 404, "404 page not found\n");
}

static void handle(struct call *c)
{
    const struct route *route = c->request->route;
    str raw[ROUTE_PARAMETERS] = { { 0 } };
    if (!route) {
        no_route(c->request, c->response);
        return;
    }
    fits(route->pattern, c->request->path, raw);
    for (size_t i = 0; i < ROUTE_PARAMETERS && raw[i].len; i++)
        if (!path_decode(raw[i], c->request->arena, &c->parameters[i]) ||
            str_find(c->parameters[i], '/') >= 0) {
            plain_text(c->response, 404, "404 page not found\n"); /* such a name cannot be addressed */
            return;
        }
    if (route->own_rules || rules_allow(c))
        route->handle(c);
}

void routes_handle(void *api, struct request *r, struct response *ret)
{
    struct rules *rules = rules_hold(api);
    struct call c = { .api = api, .options = rules_options(rules), .request = r, .response = ret };
    switch (routes_face(r)) {
    case FACE_GRPC:
        v3_grpc_handle(&c);
        break;
    case FACE_REST:
        v3_rest_handle(&c);
        break;
    case FACE_V1:
        handle(&c);
        break;
    }
    if (request_id_given(r))
        response_header(ret, "X-Request-Id", r->id);
    rules_drop(api, rules);
}
