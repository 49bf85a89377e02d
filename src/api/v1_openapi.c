/* v1_openapi.c - GET /v1/openapi.json: the document of all routes. */
#include "api/internal.h"
#include "api/openapi_json.h"

void v1_get_openapi(struct call *c)
{
    buf_str(&c->response->body, str_of((const char *)openapi_json, openapi_json_size));
    v1_headers(c, 200);
}
