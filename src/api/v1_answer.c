/* v1_answer.c - the envelopes and headers of REST v1, and which failure is which status. */
#include "api/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"

void plain_text(struct response *r, unsigned status, const char *text)
{
    r->status = status;
    response_header(r, "Content-Type", STR("text/plain; charset=utf-8"));
    response_header(r, "X-Content-Type-Options", STR("nosniff"));
    buf_str(&r->body, str_from(text));
}

/* The word anywhere, even "gzip;q=0": as the old server did (golden-v1/23). */
bool gzip_wanted(const struct request *r)
{
    return str_contains(request_header(r, "Accept-Encoding"), STR("gzip"));
}

void v1_headers(struct call *c, unsigned status)
{
    struct response *r = c->response;
    r->status = status;
    r->gzip = gzip_wanted(c->request);
    response_header(r, "Content-Type", STR("application/json;charset=utf-8"));
    response_header(r, "Server", STR("clair"));
}

void v1_asked(const struct call *c, const char *query, int64_t began_ns)
{
    metrics_observe(c->options->metrics, METRIC_PGSQL_DURATION, (double)(clock_ns() - began_ns) / 1e6,
                    str_from(query), STR("all"));
}

void v1_error(struct call *c, unsigned status, str message)
{
    struct json_writer w = { .out = &c->response->body, .go = true };
    buf_clear(&c->response->body);
    json_w_object(&w);
    json_w_key(&w, "Error");
    json_w_object(&w);
    json_w_text(&w, "Message", message);
    json_w_object_end(&w);
    json_w_object_end(&w);
    buf_char(&c->response->body, '\n');
    v1_headers(c, status);
}

void v1_not_found(struct call *c) { v1_error(c, 404, STR("the resource cannot be found")); }

/* What clients may compare (spec/api-v1.md 2); what really happened goes to the log. */
void v1_failure(struct call *c, const struct err *e)
{
    log_error("request failed", LOG_TEXT("error", str_from(e->text)), LOG_REQUEST(c->request),
              LOG_TEXT("request uri", c->request->target));
    const char *route = routes_metric(c->request);
    metrics_add(c->options->metrics, METRIC_PGSQL_ERRORS, 1, str_from(route ? route : ""), STR(""));
    if (e->kind == ERR_NETWORK && str_contains(str_from(e->text), STR(": connect: ")))
        v1_error(c, 500, arena_printf(c->request->arena, "dial tcp %s", e->text));
    else
        v1_error(c, 500, STR("database: an error occured when querying the backend"));
}

bool v1_found(struct call *c, int found, const struct err *e)
{
    if (found < 0)
        v1_failure(c, e);
    else if (!found)
        v1_not_found(c);
    return found > 0;
}
