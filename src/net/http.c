#include "net/http_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <strings.h>

#define QUEUE_MAX   (256u << 10)
#define HEADERS_MAX (64u << 10)
#define DRAIN_MAX   (64u << 10)
#define DRAIN_MS    100

struct http_pool {
    CURLM *multi;
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

bool http_distrusted(const struct err *e)
{
    /* libcurl's words with GnuTLS; its code says no more */
    return e->kind == ERR_NETWORK && strstr(e->text, "certificate verification failed");
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
    h->waited_bytes += size * n;
    return h->body.failed ? 0 : size * n;
}

static size_t on_upload(char *to, size_t size, size_t n, void *ctx)
{
    struct http *h = ctx;
    size_t room = size * n;
    if (!h->upload)
        return 0;
    if (!h->upload_rest.len) {
        int more = h->upload->read(h->upload->ctx, &h->upload_rest, &h->upload_error);
        if (more <= 0) {
            h->upload = NULL;
            return more < 0 ? CURL_READFUNC_ABORT : 0;
        }
    }
    str part = str_head(h->upload_rest, room);
    memcpy(to, part.ptr, part.len);
    h->upload_rest = str_skip(h->upload_rest, part.len);
    h->last_byte = clock_ms();
    return part.len;
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

static bool is_slow(const struct http *h, int64_t waited_ms)
{
    return h->min_rate && h->waited_bytes < (uint64_t)h->min_rate * (uint64_t)waited_ms / 1000;
}

/* How long to wait for the next byte; -1: no longer. Only time in which somebody waits counts, so a reader that was away for an hour, and
 * a server that could not send meanwhile, are not held against the transfer. */
static int64_t patience(struct http *h, int64_t *began, struct err *e)
{
    int64_t now = clock_ms(), left = h->last_byte + h->idle_ms - now;
    int64_t waited = h->waited_ms + now - *began;
    if (left <= 0)
        return err_set(e, ERR_NETWORK, "no byte for %u.%u s", h->idle_ms / 1000, h->idle_ms % 1000 / 100);
    if (waited >= (int64_t)h->idle_ms) {
        if (is_slow(h, waited))
            return err_set(e, ERR_NETWORK, "too slow: less than %u bytes a second", h->min_rate);
        h->waited_ms = waited = 0;
        h->waited_bytes = 0;
        *began = now;
    }
    int64_t look = (int64_t)h->idle_ms - waited;
    return h->min_rate && look < left ? look : left;
}

#define STOP_MS 250 /* so often it is asked whether somebody still needs it */

/* Runs the transfer until there is something to give or it has ended. */
static int pump(struct http *h, struct err *e)
{
    int64_t began = h->last_byte = clock_ms();
    while (!h->body.len && !h->done) {
        int running;
        if (h->stop && atomic_load(h->stop))
            return err_set(e, ERR_BUSY, "given up, for nobody needs it any more");
        CURLMcode m = curl_multi_perform(h->multi, &running);
        take_results(h->multi);
        if (!m && !h->done && !h->body.len) {
            int64_t left = patience(h, &began, e);
            if (left < 0)
                return -1;
            left = h->stop && left > STOP_MS ? STOP_MS : left;
            m = curl_multi_poll(h->multi, NULL, 0, (int)left, NULL);
        }
        if (m)
            return err_set(e, ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(m));
    }
    h->waited_ms += clock_ms() - began;
    return 0;
}

int http_fail(const struct http *h, struct err *e)
{
    if (h->upload_error.kind) {
        *e = h->upload_error;
        return -1;
    }
    if (h->body.failed || h->result == CURLE_OUT_OF_MEMORY)
        return err_set(e, ERR_OOM, "out of memory");
    if (h->head_bytes > HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %u bytes of headers", HEADERS_MAX);
    if (h->result == CURLE_TOO_MANY_REDIRECTS)
        return err_set(e, ERR_LIMIT, "more than %u redirects", h->max_redirects);
    if (h->refused)
        return err_set(e, ERR_DENIED, "no request may go there (link-local, or not allowed)");
    if (h->stay_secure && h->result == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(e, ERR_UNSUPPORTED, "a redirect from https to something else is refused");
    bool hopeless = h->result == CURLE_UNSUPPORTED_PROTOCOL || h->result == CURLE_URL_MALFORMAT;
    return err_set(e, hopeless ? ERR_UNSUPPORTED : ERR_NETWORK, "%s",
                   *h->text ? h->text : curl_easy_strerror(h->result));
}

/* Where the transfer is now: behind redirects another host. */
static int wrap_place(const struct http *h, struct err *e)
{
    const char *url = h->hop;
    char place[HTTP_PLACE];
    if (!url)
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

static unsigned header_age(const struct http *h)
{
    char text[HTTP_TEXT];
    uint64_t age = 0;
    header_text(h, "Age", text);
    return str_to_u64(str_from(text), &age) && age < UINT32_MAX ? (unsigned)age : 0;
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
    header_text(h, "Cache-Control", h->head.cache_control);
    h->head.age_s = header_age(h);
    struct curl_header *coding;
    h->head.encoded = !curl_easy_header(h->easy, "Content-Encoding", 0, CURLH_HEADER, -1, &coding) &&
                      *coding->value && strcasecmp(coding->value, "identity") != 0;
    content_range(h);
}

const struct http_head *http_head(const struct http *h) { return &h->head; }

bool http_header(const struct http *h, const char *name, size_t n, str *ret)
{
    struct curl_header *found;
    if (curl_easy_header(h->easy, name, n, CURLH_HEADER, -1, &found))
        return false;
    *ret = str_from(found->value);
    return true;
}

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
    if (pump(h, e) < 0 || (!h->body.len && h->result && http_fail(h, e) < 0))
        return wrap_place(h, e);
    if (!h->body.len)
        return 0;
    *ret = buf_view(&h->body);
    h->given = true;
    return 1;
}

void http_drain(struct http *h)
{
    struct err ignored = { 0 };
    str rest;
    size_t n = 0;
    int64_t end = clock_ms() + DRAIN_MS;
    h->idle_ms = DRAIN_MS;
    while (n < DRAIN_MAX && clock_ms() < end && http_read(h, &rest, &ignored) > 0)
        n += rest.len;
}

int http_await_head(struct http *h, struct err *e)
{
    if (pump(h, e) < 0 || (!h->body.len && h->result && http_fail(h, e) < 0))
        return -1;
    fill_head(h);
    return 0;
}

static bool set_callbacks(struct http *h)
{
    CURL *c = h->easy;
    return !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) &&
           !curl_easy_setopt(c, CURLOPT_HEADERDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(c, CURLOPT_WRITEDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload) &&
           !curl_easy_setopt(c, CURLOPT_READDATA, h) && !curl_easy_setopt(c, CURLOPT_PRIVATE, h);
}

struct http *http_open(struct http_pool *pool, const char *url, const char *const headers[],
                       const struct http_options *options, const struct http_limits *limits, struct err *e)
{
    static const struct http_options plain;
    if (!options)
        options = &plain;
    if (http_check_headers(headers, e) < 0 || http_check_headers(options->shared, e) < 0)
        return NULL;
    CLEANUP(http_freep) struct http *h = calloc(1, sizeof *h);
    if (h) {
        h->multi = pool->multi;
        h->easy = curl_easy_init();
        h->url = strdup(url);
    }
    if (!h || !h->easy || !h->url || !set_callbacks(h) || !http_set_up(h, headers, options, limits) ||
        curl_multi_add_handle(h->multi, h->easy)) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    if (http_go(h, e) < 0) {
        wrap_place(h, e);
        return NULL;
    }
    struct http *ret = h;
    h->upload = NULL; /* an answer before all was sent: the rest is not */
    h = NULL;
    return ret;
}

void http_freep(struct http **h)
{
    if (!*h)
        return;
    if (!(*h)->done && (*h)->head.status >= 300)
        http_drain(*h);
    if ((*h)->easy)
        curl_multi_remove_handle((*h)->multi, (*h)->easy);
    curl_easy_cleanup((*h)->easy);
    curl_slist_free_all((*h)->headers);
    curl_slist_free_all((*h)->ours);
    curl_slist_free_all((*h)->connect);
    free((*h)->url);
    free((*h)->hop);
    buf_done(&(*h)->body);
    free(*h);
    *h = NULL;
}
