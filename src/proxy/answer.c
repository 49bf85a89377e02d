/* answer.c - what the proxies say themselves, in Go's shape: headers, Date, Content-Length. */
#include "proxy/listen.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <time.h>

#define ANSWER_MS 30000

static const char *reason(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 408:
        return "Request Timeout";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    default:
        return "Unknown";
    }
}

static void put_date(struct buf *out)
{
    char text[64];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    buf_str(out, str_from(text));
}

static bool answer(struct link *client, unsigned status, const char *headers, str body, bool keep, bool bare)
{
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf out = { 0 };
    buf_printf(&out, "HTTP/1.1 %u %s\r\n%s", status, reason(status), headers);
    put_date(&out);
    buf_printf(&out, "Content-Length: %zu\r\n%s\r\n", body.len, keep ? "" : "Connection: close\r\n");
    if (!bare)
        buf_str(&out, body);
    bool told = !out.failed && link_write_all(client, buf_view(&out), clock_ms() + ANSWER_MS, &e) == 0;
    if (told && !keep)
        link_linger(client);
    return told && keep;
}

bool proxy_answer(struct link *client, unsigned status, const char *headers, str body, bool keep)
{
    return answer(client, status, headers, body, keep, false);
}

/* A body that nobody reads ends the connection. */
bool proxy_answer_head(struct link *client, const struct head *to, unsigned status, const char *headers,
                       str body)
{
    bool keep = !to->close && to->body == BODY_NONE && !to->upgrade.len;
    return answer(client, status, headers, body, keep, head_is(to->method, "HEAD"));
}
