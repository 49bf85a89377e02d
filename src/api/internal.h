/* internal.h - what the files of api/ share. */
#pragma once
#include "api/api.h"
#include "api/reports.h"
#include "api/stores.h"

#include <pthread.h>
#include <stdatomic.h>

#define V1_ENGINE 3 /* the worker version of all Clair 2.0 and 2.1: IndexedByVersion */

struct posts; /* of layers (v1_post.c) */

struct api {
    struct api_options options;
    struct stores *stores;
    struct stores *replica; /* NULL: there is none */
    struct reports *reports;
    struct posts *posts;
    atomic_int_fast64_t health_until_ms; /* the last answer holds until then */
    atomic_bool healthy;
};

/* A request that has been routed. */
struct call {
    struct api *api;
    struct request *request;
    str parameters[2]; /* of the path, decoded */
    struct response *response;
};

/* ---- answers of REST v1 (v1_answer.c) ---- */

void v1_error(struct call *c, unsigned status, str message); /* {"Error":{"Message":...}} */
void v1_failure(struct call *c, const struct err *e);        /* what the store or the system said */
void v1_headers(struct call *c, unsigned status);            /* of a JSON body that is in the response */
void plain_text(struct response *r, unsigned status, const char *text); /* as Go's http.Error() */

/* ---- handlers of REST v1 ---- */

void v1_post_layer(struct call *c);
void v1_get_layer(struct call *c);
void v1_delete_layer(struct call *c);

struct posts *posts_new(void);
void posts_freep(struct posts **p);

/* ---- the table of routes (routes.c) ---- */

enum service routes_find(void *api, struct request *r);
void routes_handle(void *api, struct request *r, struct response *ret);
