#include "net/http.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <curl/curl.h>

#define QUEUE_MAX    (256u << 10)
#define HEADERS_MAX  (64u << 10)
#define REDIRECT_MAX 20L
#define DRAIN_MAX    (64u << 10)
#define DRAIN_MS     100

struct http_pool {
    CURLM *multi;
};

struct http {
    CURLM *multi; /* of the pool */
    CURL *easy;
    struct curl_slist *headers;
    char text[CURL_ERROR_SIZE];
    unsigned idle_ms;
    struct http_head head;
    size_t head_bytes;
    struct buf body;   /* received, not yet given (or given last) */
    bool given;        /* body is with the reader until the next call */
    bool paused, done; /* done: `result` is known */
    CURLcode result;
    int64_t last_byte; /* clock_ms() */
};

int http_init(struct err *e)
{
    CURLcode c = curl_global_init(CURL_GLOBAL_DEFAULT);
    return c ? err_set(e, ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(c)) : 0;
}

struct http_pool *http_pool_new(struct err *e)
{
    struct http_pool *p = malloc(sizeof *p);
    if (p && (p->multi = curl_multi_init()))
        return p;
    free(p);
    err_set(e, ERR_OOM, "out of memory");
    return NULL;
}

void http_pool_freep(struct http_pool **p)
{
    if (*p)
        curl_multi_cleanup((*p)->multi);
    free(*p);
    *p = NULL;
}

void http_place(const char *url, char ret[HTTP_PLACE])
{
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL;

    if (u && !curl_url_set(u, CURLUPART_URL, url, 0) && !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
        !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
        snprintf(ret, HTTP_PLACE, "%.256s:%.8s", host, port);
    else
        snprintf(ret, HTTP_PLACE, "bad URL");
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct http *h = ctx;
    (void)line;
    h->last_byte = clock_ms();
    h->head_bytes += size * n;
    return h->head_bytes <= HEADERS_MAX ? size * n : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct http *h = ctx;
    h->last_byte = clock_ms();
    if (h->given || h->body.len >= QUEUE_MAX) { /* given: another transfer of the pool is being read */
        h->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    buf_add(&h->body, bytes, size * n);
    return h->body.failed ? 0 : size * n;
}

/* Transfers that have ended, whosever they are. */
static void take_results(CURLM *multi)
{
    int queued;
    for (CURLMsg *msg; (msg = curl_multi_info_read(multi, &queued));) {
        char *owner = NULL;
        if (msg->msg != CURLMSG_DONE || curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &owner))
            continue;
        struct http *h = (void *)owner;
        h->done = true;
        h->result = msg->data.result;
    }
}

/* Runs the transfer until there is something to give or it has ended. Time counts while somebody waits. */
static int pump(struct http *h, struct err *e)
{
    h->last_byte = clock_ms();
    while (!h->body.len && !h->done) {
        int running;
        CURLMcode m = curl_multi_perform(h->multi, &running);
        take_results(h->multi);
        if (!m && !h->done && !h->body.len) {
            int64_t left = h->last_byte + h->idle_ms - clock_ms();
            if (left <= 0)
                return err_set(e, ERR_NETWORK, "no byte for %u.%u s", h->idle_ms / 1000,
                               h->idle_ms % 1000 / 100);
            m = curl_multi_poll(h->multi, NULL, 0, (int)left, NULL);
        }
        if (m)
            return err_set(e, ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(m));
    }
    return 0;
}

static int fail(const struct http *h, struct err *e)
{
    if (h->body.failed || h->result == CURLE_OUT_OF_MEMORY)
        return err_set(e, ERR_OOM, "out of memory");
    if (h->head_bytes > HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %u bytes of headers", HEADERS_MAX);
    if (h->result == CURLE_TOO_MANY_REDIRECTS)
        return err_set(e, ERR_LIMIT, "more than %ld redirects", REDIRECT_MAX);
    bool hopeless = h->result == CURLE_UNSUPPORTED_PROTOCOL || h->result == CURLE_URL_MALFORMAT;
    return err_set(e, hopeless ? ERR_UNSUPPORTED : ERR_NETWORK, "%s",
                   *h->text ? h->text : curl_easy_strerror(h->result));
}

/* Where the transfer is now: behind redirects another host. */
static int wrap_place(const struct http *h, struct err *e)
{
    const char *url = NULL;
    char place[HTTP_PLACE];
    curl_easy_getinfo(h->easy, CURLINFO_EFFECTIVE_URL, &url);
    http_place(url ? url : "", place);
    return err_wrap(e, "%s", place);
}

/* The value goes back to a server in a later request, so it must be harmless there. */
static void header_text(const struct http *h, const char *name, char ret[HTTP_TEXT])
{
    struct curl_header *found;
    ret[0] = '\0';
    if (curl_easy_header(h->easy, name, 0, CURLH_HEADER, -1, &found))
        return;
    size_t n = strlen(found->value);
    if (n >= HTTP_TEXT)
        return;
    for (size_t i = 0; i < n; i++)
        if (found->value[i] < 0x20 || found->value[i] > 0x7e)
            return;
    memcpy(ret, found->value, n + 1);
}

/* RFC 9110 14.4: "bytes FROM-TO/TOTAL", TOTAL perhaps "*". What is malformed stays untold. */
static void content_range(struct http *h)
{
    char text[HTTP_TEXT];
    header_text(h, "Content-Range", text);
    str rest = str_from(text), unit = str_word(&rest);
    str from = str_cut(&rest, '-');
    uint64_t first, total;
    h->head.range_total = -1;
    h->head.range_from = UINT64_MAX; /* no byte that anybody asked for */
    if (!str_eq(unit, STR("bytes")) || !str_to_u64(str_trim(from), &first))
        return;
    h->head.range_from = first;
    str_cut(&rest, '/');
    if (str_to_u64(str_trim(rest), &total) && total <= INT64_MAX)
        h->head.range_total = (int64_t)total;
}

static void fill_head(struct http *h)
{
    long status = 0;
    curl_off_t length = -1, wait = 0;
    curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(h->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &wait);
    h->head.status = (unsigned)status;
    h->head.length = length;
    h->head.retry_after_s = wait < 0 ? 0 : wait > 86400 ? 86400 : (unsigned)wait;
    header_text(h, "ETag", h->head.etag);
    header_text(h, "Last-Modified", h->head.last_modified);
    content_range(h);
}

static bool add_headers(struct http *h, const char *const headers[])
{
    for (; headers && *headers; headers++) {
        struct curl_slist *longer = curl_slist_append(h->headers, *headers);
        if (!longer)
            return false;
        h->headers = longer;
    }
    return true;
}

/* HTTP/1.1 only: one document at a time gains nothing from HTTP/2, whose windows buffer megabytes. */
static bool set_up(struct http *h, const char *url, const struct http_limits *l)
{
    CURL *c = h->easy;
    long connect_ms = l && l->connect_ms ? (long)l->connect_ms : 10000;
    h->idle_ms = l && l->idle_ms ? l->idle_ms : 60000;

    return !curl_easy_setopt(c, CURLOPT_URL, url) && !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->text) &&
           !curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers) &&
           !curl_easy_setopt(c, CURLOPT_USERAGENT, "eclair/" ECLAIR_VERSION) &&
           !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) &&
           !curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECT_MAX) &&
           !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) &&
           !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) &&
           !curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 64L << 10) &&
           !curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) &&
           !curl_easy_setopt(c, CURLOPT_HEADERDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(c, CURLOPT_WRITEDATA, h) && !curl_easy_setopt(c, CURLOPT_PRIVATE, h) &&
           !curl_multi_add_handle(h->multi, c);
}

struct http *http_get(struct http_pool *pool, const char *url, const char *const headers[],
                      const struct http_limits *limits, struct err *e)
{
    CLEANUP(http_freep) struct http *h = calloc(1, sizeof *h);
    if (h) {
        h->multi = pool->multi;
        h->easy = curl_easy_init();
    }
    if (!h || !h->easy || !add_headers(h, headers) || !set_up(h, url, limits)) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    if (pump(h, e) < 0 || (!h->body.len && h->result && fail(h, e) < 0)) {
        wrap_place(h, e);
        return NULL;
    }
    fill_head(h);
    struct http *ret = h;
    h = NULL;
    return ret;
}

const struct http_head *http_head(const struct http *h) { return &h->head; }

int http_read(struct http *h, str *ret, struct err *e)
{
    if (h->given) {
        h->given = false;
        buf_clear(&h->body);
        if (h->paused) {
            h->paused = false;
            curl_easy_pause(h->easy, CURLPAUSE_CONT); /* a failure comes back from the transfer itself */
        }
    }
    if (pump(h, e) < 0 || (!h->body.len && h->result && fail(h, e) < 0))
        return wrap_place(h, e);
    if (!h->body.len)
        return 0;
    *ret = buf_view(&h->body);
    h->given = true;
    return 1;
}

/* The text of a 404, which nobody reads: a connection with an answer left in it is of no use to the next transfer. */
static void drain(struct http *h)
{
    struct err ignored = { 0 };
    str rest;
    size_t n = 0;
    int64_t end = clock_ms() + DRAIN_MS;
    h->idle_ms = DRAIN_MS;
    while (n < DRAIN_MAX && clock_ms() < end && http_read(h, &rest, &ignored) > 0)
        n += rest.len;
}

void http_freep(struct http **h)
{
    if (!*h)
        return;
    if (!(*h)->done && (*h)->head.status >= 300)
        drain(*h);
    if ((*h)->easy)
        curl_multi_remove_handle((*h)->multi, (*h)->easy);
    curl_easy_cleanup((*h)->easy);
    curl_slist_free_all((*h)->headers);
    buf_done(&(*h)->body);
    free(*h);
    *h = NULL;
}
