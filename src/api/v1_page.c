/* v1_page.c - how much of a list a client wants, and from where on: `limit` and `page` of a query (spec/api-v1.md 6, 8, 9). */
#include "api/internal.h"

#include "api/path.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/fernet.h"

#define TOKEN_AGE_S 3600

/* As Go's strconv.Atoi() does, and with its words. */
bool v1_limit(struct call *c, int64_t *ret)
{
    struct arena *arena = c->request->arena;
    str text, digits;
    uint64_t n = 0;
    if (!query_value(c->request->query, STR("limit"), arena, &text)) {
        v1_error(c, 400, STR("must provide limit query parameter"));
        return false;
    }
    bool negative = str_starts(text, STR("-"));
    digits = str_skip(text, negative || str_starts(text, STR("+")));
    size_t i = 0;
    while (i < digits.len && digits.ptr[i] >= '0' && digits.ptr[i] <= '9')
        i++;
    bool number = digits.len && i == digits.len;
    if (number && str_to_u64(digits, &n) && n <= INT64_MAX) {
        *ret = negative ? -(int64_t)n : (int64_t)n;
        return true;
    }
    v1_error(c, 400,
             arena_printf(arena, "invalid limit format: strconv.Atoi: parsing \"" STR_FMT "\": %s",
                          STR_ARG(str_head(text, 100)), number ? "value out of range" : "invalid syntax"));
    return false;
}

bool v1_page_refuse(struct call *c)
{
    v1_error(c, 400, STR("invalid page format: invalid or expired pagination token"));
    return false;
}

bool v1_page(struct call *c, str *ret_token, str *ret_text)
{
    struct arena *arena = c->request->arena;
    struct err e = { 0 };
    *ret_token = *ret_text = (str){ 0 };
    if (!query_has(c->request->query, STR("page")))
        return true;
    return (query_value(c->request->query, STR("page"), arena, ret_token) &&
            fernet_open(c->options->pagination_key, *ret_token, clock_now(), TOKEN_AGE_S, arena, ret_text,
                        &e) == 0) ||
           v1_page_refuse(c);
}

int v1_page_write(const struct call *c, const char *key, const char *text, struct json_writer *w,
                  struct err *e)
{
    CLEANUP(buf_done) struct buf token = { 0 };
    if (fernet_seal(c->options->pagination_key, str_from(text), clock_now(), &token, e) < 0)
        return -1;
    json_w_text(w, key, buf_view(&token));
    return 0;
}
