/* internal.h - what the files of api/ share. */
#pragma once
#include "api/api.h"
#include "api/metrics.h"
#include "api/reports.h"
#include "api/stores.h"
#include "api/v1_vulnerability.h"

#include <pthread.h>
#include <stdatomic.h>

#define V1_NAME_MAX 1024 /* bytes of a name (design.md 9, Limits) */
#define V1_ENGINE   3    /* the worker version of all Clair 2.0 and 2.1: IndexedByVersion */

struct standing; /* what /readyz and /v1/status say (status.c) */
struct posts;    /* of layers (posts.h) */

struct api {
    struct api_options options; /* of the start: what never changes is read here */
    struct rules *rules;        /* what holds now (rules.c) */
    pthread_mutex_t rules_lock;
    struct stores *stores;
    struct stores *replica; /* NULL: there is none */
    struct reports *reports;
    struct posts *posts;
    struct standing *standing;
    struct server *main, *health;        /* NULL until it is told of them */
    pthread_mutex_t writing;             /* who writes a vulnerability: one at a time */
    atomic_int_fast64_t health_until_ms; /* the last answer holds until then */
    atomic_bool healthy;
};

#define ROUTE_PARAMETERS 3

/* A request that has been routed. */
struct call {
    struct api *api;
    const struct api_options *options; /* that hold for it */
    struct request *request;
    str parameters[ROUTE_PARAMETERS]; /* of the path, decoded */
    struct response *response;
    const char *
        face; /* of API v3: the form of its answers, as api.reports knows them: "grpc", "grpc gzip", "json" */
};

/* ---- answers of REST v1 (v1_answer.c) ---- */

/* Counts time in the database under one of Clair's names: "FindLayer". */
void v1_asked(const struct call *c, const char *query, int64_t began_ns);
void v1_error(struct call *c, unsigned status, str message); /* {"Error":{"Message":...}} */
void v1_failure(struct call *c, const struct err *e);        /* what the store or the system said */
void v1_not_found(struct call *c);                           /* 404 */
/* Of a look-up: true when it found something, else the answer is there. */
bool v1_found(struct call *c, int found, const struct err *e);
bool gzip_wanted(const struct request *r);
void v1_headers(struct call *c, unsigned status); /* of a JSON body that is in the response */
void plain_text(struct response *r, unsigned status, const char *text); /* as Go's http.Error() */

/* ---- questions to the store (v1_ask.c) ---- */

/* 1, 0 it is not there, -1. It may be asked twice, and then begins afresh. */
typedef int v1_question(struct store *s, void *ctx, struct err *e);
int v1_ask(struct call *c, v1_question *question, void *ctx, struct err *e);

/* What a client calls a namespace, as it is stored: 1, 0 it was never seen, -1. */
int v1_namespace_find(struct store *s, str shown, struct arena *arena, struct stored_namespace *ret,
                      struct err *e);

/* ---- pages (v1_page.c) ---- */

/* `limit` of the query; false: the answer (400) is there. Negative ones are the caller's business. */
bool v1_limit(struct call *c, int64_t *ret);
/* `page` of the query: the token, and what it says; both empty when there is none. False: the answer is there. */
bool v1_page(struct call *c, str *ret_token, str *ret_text);
bool v1_page_refuse(struct call *c); /* what it says is none: false */
/* A token for that text. */
int v1_page_write(const struct call *c, const char *key, const char *text, struct json_writer *w,
                  struct err *e);

/* ---- options that change while requests run (rules.c) ---- */

struct rules *rules_hold(struct api *a); /* never NULL */
void rules_drop(struct api *a, struct rules *r);
const struct api_options *rules_options(const struct rules *r);
/* Of a request that changes something. */
enum rule { RULE_ALLOWED, RULE_READONLY, RULE_TOKEN };
#define RULE_READONLY_TEXT "this server is read-only"
#define RULE_TOKEN_TEXT    "a token is needed to change anything"
enum rule rules_judge(const struct call *c);
/* May it go on, reading or changing, over REST v1? If not, the answer is there. */
bool rules_allow(struct call *c);

/* ---- handlers of REST v1 ---- */

void v1_post_layer(struct call *c);
void v1_get_layer(struct call *c);
void v1_delete_layer(struct call *c);
void v1_get_blob(struct call *c);
void v1_put_blob(struct call *c);
void v1_post_blob(struct call *c);
void v1_get_namespaces(struct call *c);
void v1_get_vulnerabilities(struct call *c);
void v1_get_vulnerability(struct call *c);
void v1_get_fixes(struct call *c);
void v1_post_vulnerability(struct call *c);
void v1_put_vulnerability(struct call *c);
void v1_delete_vulnerability(struct call *c);
void v1_put_fix(struct call *c);
void v1_delete_fix(struct call *c);
void v1_get_notification(struct call *c);
void v1_delete_notification(struct call *c);

void v1_get_status(struct call *c);
void ready_answer(struct api *a, struct response *ret); /* GET /readyz */

void v1_get_openapi(struct call *c);

void v1_get_metrics(struct call *c);
void metrics_answer(struct api *a, const struct request *r, struct response *ret); /* GET /metrics */

/* Asks the database, once a second at most, and sets the gauges of what it says. One that says nothing for a second is down. */
void standing_look(struct api *a);
/* Does the database answer? What is known: 1, 0, -1 nothing yet. It waits for nothing, but has it asked when that is long ago. */
int standing_glance(struct api *a);
bool health_good(struct api *a); /* what GET /health says: asks, once a second at most (health.c) */
struct standing *standing_new(struct api *a, struct err *e);
void standing_freep(struct standing **s); /* before the stores of the api */
struct posts *posts_new(void);
void posts_freep(struct posts **p);

/* ---- names of requests (request_id.c) ---- */

void request_id(struct request *r);             /* sets r->id, or leaves it empty without memory */
bool request_id_given(const struct request *r); /* by its client, who then finds it in the answer */
#define LOG_REQUEST(r) LOG_TEXT("request id", (r)->id)

/* ---- REST of API v3 (v3_gateway.c) ---- */

bool v3_rest_is(const struct request *r); /* by its path */
enum service v3_rest_find(struct request *r);
void v3_rest_handle(struct call *c);
void v3_rest_late(const struct request *r, struct response *ret);
const char *v3_rest_metric(const struct request *r); /* NULL: no method */

/* ---- gRPC of API v3 (v3_grpc.c) ---- */

bool v3_grpc_is(const struct request *r);
enum service v3_grpc_find(struct api *a, struct request *r);
void v3_grpc_handle(struct call *c);
bool v3_grpc_message(struct api *a, struct request *r, enum stream_event event, str message, struct buf *out);
void v3_grpc_late(struct api *a, const struct request *r, struct response *ret);
void v3_grpc_answered(struct api *a, const struct request *r, unsigned status);
const char *v3_grpc_told(const struct request *r); /* after that: "NotFound"; empty: it is no method */

/* ---- the table of routes (routes.c) ---- */

enum face { FACE_V1, FACE_REST, FACE_GRPC }; /* REST v1 and what has no version; v3 over REST; over gRPC */
enum face routes_face(const struct request *r);
enum service routes_find(void *api, struct request *r);
const char *
routes_metric(const struct request *r); /* its name in metrics; NULL: no route, or none that is counted */
void routes_handle(void *api, struct request *r, struct response *ret);
