#include "net/http.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include "net/places.h"
#include "net/proxy.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>

#define QUEUE_MAX    (256u << 10)
#define HEADERS_MAX  (64u << 10)
#define REDIRECT_MAX 20
#define DRAIN_MAX    (64u << 10)
#define DRAIN_MS     100

struct http_pool {
    CURLM *multi;
};

struct http {
    CURLM *multi; /* of the pool */
    CURL *easy;
    struct curl_slist *headers; /* given ones, then ours */
    struct curl_slist *ours;    /* what any host may see */
    struct curl_slist
        *connect; /* where the first host is, when the URL carries the name of its certificate */
    char *url;    /* the first one */
    const struct places *places; /* NULL: anywhere */
    bool steps;                  /* we follow redirects, not libcurl: with places, or a certificate of ours */
    bool posts;
    char *hop;                 /* with steps: the URL that is asked now */
    bool direct, name_allowed; /* no proxy is between; what places say of its name */
    bool refused;
    bool stay_secure; /* it is asked by https, and must be */
    unsigned max_redirects;
    unsigned min_rate;
    const atomic_bool *stop;
    int64_t waited_ms; /* of this look at the rate, before the pump that runs */
    uint64_t waited_bytes;
    const struct http_upload *upload; /* NULL when there is none, or it has been sent */
    str upload_rest;
    struct err upload_error;
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

static int fail(const struct http *h, struct err *e)
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

/* ---- what is refused, and to whom nothing is told ---- */

static bool plain_address(const struct curl_sockaddr *a, uint8_t ret[16], unsigned *port)
{
    const void *p = &a->addr;
    const struct sockaddr_in *v4 = p;
    const struct sockaddr_in6 *v6 = p;
    memset(ret, 0, 16);
    if (a->family == AF_INET) {
        ret[10] = ret[11] = 0xff;
        memcpy(ret + 12, &v4->sin_addr, 4);
        *port = ntohs(v4->sin_port);
    } else if (a->family == AF_INET6) {
        memcpy(ret, &v6->sin6_addr, 16);
        *port = ntohs(v6->sin6_port);
    } else {
        return false;
    }
    places_plain(ret);
    return true;
}

/* The address itself is looked at, because a name may lead anywhere. */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http *h = ctx;
    uint8_t address[16];
    unsigned port;
    (void)purpose;
    bool bad = h->places && h->direct && plain_address(a, address, &port) &&
               !places_address(h->places, address, port, h->name_allowed);
    h->refused |= bad;
    return bad ? CURL_SOCKET_BAD : socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

struct place {
    char *scheme, *host, *port;
};

static void place_done(struct place *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
}

static bool place_of(const char *url, struct place *ret)
{
    CURLU *u = curl_url();
    bool ok = u && !curl_url_set(u, CURLUPART_URL, url, CURLU_GUESS_SCHEME) &&
              !curl_url_get(u, CURLUPART_SCHEME, &ret->scheme, 0) &&
              !curl_url_get(u, CURLUPART_HOST, &ret->host, 0) &&
              !curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT);
    curl_url_cleanup(u);
    return ok;
}

/* The same host and port, not less secret; from http to https the default ports are the same place. */
static bool same_place(const char *from, const char *to)
{
    CLEANUP(place_done) struct place a = { 0 }, b = { 0 };
    if (!place_of(from, &a) || !place_of(to, &b) || strcasecmp(a.host, b.host))
        return false;
    if (!strcmp(a.scheme, b.scheme))
        return !strcmp(a.port, b.port);
    return !strcmp(a.scheme, "http") && !strcmp(a.port, "80") && !strcmp(b.port, "443");
}

/* A connection that another transfer opened is no new socket. */
static bool is_bad_peer(const struct http *h, const char *ip, int port)
{
    uint8_t address[16];
    if (!h->places || !h->direct || !places_address_of(str_from(ip), address))
        return false;
    places_plain(address);
    return !places_address(h->places, address, (unsigned)port, h->name_allowed);
}

/* Before each request, and behind each redirect that libcurl follows. */
static int on_request(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
    struct http *h = ctx;
    const char *now = NULL;
    (void)local_ip, (void)local_port;
    if (curl_easy_getinfo(h->easy, CURLINFO_EFFECTIVE_URL, &now) || !now)
        return CURL_PREREQFUNC_ABORT;
    if (is_bad_peer(h, ip, port)) {
        h->refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    h->refused = false; /* another address of the name was */
    if (!same_place(h->url, now) && curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->ours))
        return CURL_PREREQFUNC_ABORT;
    return CURL_PREREQFUNC_OK;
}

/* ---- a transfer is set up ---- */

static bool append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer;
}

/* libcurl takes "Name:" for "do not send it"; its word for an empty value is "Name;". */
static bool add_given(struct http *h, const char *line)
{
    char empty[256];
    str name = str_from(line), value = name;
    name = str_cut(&value, ':');
    if (str_trim(value).len || name.len + 2 > sizeof empty)
        return append(&h->headers, line);
    snprintf(empty, sizeof empty, STR_FMT ";", STR_ARG(name));
    return append(&h->headers, empty);
}

/* Ours only take away what libcurl would add to a body on its own. */
static bool add_headers(struct http *h, const char *const headers[], const char *const shared[])
{
    bool typed = false, typed_ours = false;
    for (; headers && *headers; headers++) {
        typed |= !strncasecmp(*headers, "Content-Type:", 13);
        if (!add_given(h, *headers))
            return false;
    }
    for (; shared && *shared; shared++) {
        typed_ours |= !strncasecmp(*shared, "Content-Type:", 13);
        if (!add_given(h, *shared) || !append(&h->ours, *shared))
            return false;
    }
    return append(&h->headers, "Expect:") && append(&h->ours, "Expect:") &&
           (typed_ours || append(&h->ours, "Content-Type:")) &&
           (typed || typed_ours || append(&h->headers, "Content-Type:"));
}

/* A line end in a value would be a header, or a request, of its own. */
static int check_headers(const char *const headers[], struct err *e)
{
    for (; headers && *headers; headers++)
        if (strpbrk(*headers, "\r\n"))
            return err_set(e, ERR_FORMAT, "a header with a line end in it");
    return 0;
}

static bool set_upload(struct http *h, const struct http_options *o)
{
    CURL *c = h->easy;
    h->upload = o->upload;
    return !curl_easy_setopt(c, CURLOPT_UPLOAD, 1L) &&
           !curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload) &&
           !curl_easy_setopt(c, CURLOPT_READDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)o->upload->size) &&
           !curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10) &&
           !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
           (!o->method || !curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, o->method));
}

static bool set_method(struct http *h, const struct http_options *o)
{
    CURL *c = h->easy;
    bool body = o->body.ptr != NULL;
    const char *method = o->method ? o->method : body ? "POST" : "GET";
    if (!strcmp(method, "HEAD"))
        return !curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    if (body || !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH")) {
        if (curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.len) ||
            curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, body ? o->body.ptr : ""))
            return false;
        h->posts = !strcmp(method, "POST");
        if (h->posts) /* libcurl knows what becomes of it behind a redirect */
            return true;
    }
    return !strcmp(method, "GET") && !body ? true : !curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
}

/* libcurl takes SNI and the name to be found in the certificate from the URL: so the URL gets that name, and libcurl is told where it is. The
 * Host stays. */
static bool set_servername(struct http *h, const char *name)
{
    char *host = NULL, *port = NULL, *written = NULL, *changed = NULL, text[HTTP_PLACE * 3];
    CURLU *u = curl_url();
    bool ok = u && !curl_url_set(u, CURLUPART_URL, h->url, 0) && !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
              !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
              !curl_url_set(u, CURLUPART_HOST, name, 0) && !curl_url_get(u, CURLUPART_URL, &changed, 0);
    if (ok) {
        bool has_port = !curl_url_get(u, CURLUPART_PORT, &written, 0);
        snprintf(text, sizeof text, "Host: %.256s%s%.8s", host, has_port ? ":" : "", has_port ? written : "");
        ok = append(&h->headers, text);
        snprintf(text, sizeof text, "%.256s:%.8s:%.256s:%.8s", name, port, host, port);
        char *copy = strdup(changed);
        ok = ok && copy && append(&h->connect, text) &&
             !curl_easy_setopt(h->easy, CURLOPT_CONNECT_TO, h->connect) &&
             !curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers) &&
             !curl_easy_setopt(h->easy, CURLOPT_URL, copy);
        if (copy) {
            free(h->url);
            h->url = copy;
        }
    }
    curl_free(host);
    curl_free(port);
    curl_free(written);
    curl_free(changed);
    curl_url_cleanup(u);
    return ok;
}

/* What stands between, and under whose name the server is there. */
static bool set_way(struct http *h, const struct http_options *o)
{
    bool secure = !strncasecmp(h->url, "https://", strlen("https://"));
    if (o->proxy && (curl_easy_setopt(h->easy, CURLOPT_PROXY, o->proxy) ||
                     curl_easy_setopt(h->easy, CURLOPT_NOPROXY, "")))
        return false;
    return !o->servername || !secure || set_servername(h, o->servername);
}

/* GnuTLS reads authorities anew for each connection, and Debian's folder of them says three times what the file says: 40 ms. */
static bool set_authorities(CURL *c, const char *file, const char *folder)
{
    return !curl_easy_setopt(c, CURLOPT_CAINFO, file) && !curl_easy_setopt(c, CURLOPT_CAPATH, folder);
}

static bool set_system_authorities(CURL *c, const struct http_options *o)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    const char *more = o->ca_more ? o->ca_more : getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
    bool has_more = more && *more, has_folder = folder && *folder;
    if (has_more || !built->cainfo || access(built->cainfo, R_OK) < 0)
        return (!has_more || !curl_easy_setopt(c, CURLOPT_CAINFO, more)) &&
               (!has_folder || !curl_easy_setopt(c, CURLOPT_CAPATH, folder));
    return set_authorities(c, built->cainfo, has_folder ? folder : NULL);
}

static bool set_trust(CURL *c, const struct http_options *o)
{
    if (o->insecure && (curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L) ||
                        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L) || !set_authorities(c, NULL, NULL)))
        return false;
    if (!o->insecure && !(o->ca ? set_authorities(c, o->ca, NULL) : set_system_authorities(c, o)))
        return false;
    return (!o->cert || !curl_easy_setopt(c, CURLOPT_SSLCERT, o->cert)) &&
           (!o->key || !curl_easy_setopt(c, CURLOPT_SSLKEY, o->key));
}

static bool set_options(struct http *h, const struct http_options *o)
{
    CURL *c = h->easy;
    h->places = o->places;
    h->min_rate = o->min_rate;
    h->stop = o->stop;
    h->max_redirects = o->max_redirects ? o->max_redirects : REDIRECT_MAX;
    if (o->unix_socket && (curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, o->unix_socket) ||
                           curl_easy_setopt(c, CURLOPT_PROXY, "")))
        return false;
    if (!set_trust(c, o))
        return false;
    if (o->decode && curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "identity"))
        return false;
    h->stay_secure = o->stay_secure && !strncasecmp(h->url, "https://", strlen("https://"));
    if (h->stay_secure && curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https"))
        return false;
    h->steps = (o->places || o->cert) && !o->no_redirects && !o->upload;
    if ((o->places || o->cert || o->no_redirects) && curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L))
        return false;
    return (o->upload ? set_upload(h, o) : set_method(h, o)) && set_way(h, o) &&
           !curl_easy_setopt(c, CURLOPT_USERAGENT,
                             o->user_agent ? o->user_agent : "eclair/" ECLAIR_VERSION) &&
           !curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)h->max_redirects);
}

/* HTTP/1.1 only: one document at a time gains nothing from HTTP/2, whose windows buffer megabytes. */
static bool set_up(struct http *h, const struct http_limits *l)
{
    CURL *c = h->easy;
    long connect_ms = l && l->connect_ms ? (long)l->connect_ms : 10000;
    h->idle_ms = l && l->idle_ms ? l->idle_ms : 60000;

    return !curl_easy_setopt(c, CURLOPT_URL, h->url) && !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->text) &&
           !curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers) &&
           !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) &&
           !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) &&
           !curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, l ? (long)l->total_ms : 0L) &&
           !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) &&
           !curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 64L << 10) &&
           !curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket) &&
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_request) &&
           !curl_easy_setopt(c, CURLOPT_PREREQDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) &&
           !curl_easy_setopt(c, CURLOPT_HEADERDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(c, CURLOPT_WRITEDATA, h) && !curl_easy_setopt(c, CURLOPT_PRIVATE, h);
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

/* ---- hop by hop, each judged before it is gone ---- */

static int refuse(struct http *h, struct err *e)
{
    h->refused = true;
    return fail(h, e);
}

/* What the URL says of its place, and who connects to it: a proxy resolves names itself, so they must do. */
static int judge(struct http *h, struct err *e)
{
    if (!h->places)
        return 0;
    CLEANUP(place_done) struct place p = { 0 };
    uint64_t port;
    if (!place_of(h->hop, &p) || !str_to_u64(str_from(p.port), &port))
        return err_set(e, ERR_UNSUPPORTED, "bad URL");
    str host = str_from(p.host);
    enum place_verdict v = places_name(h->places, host, (unsigned)port);
    const char *proxy = proxy_of(p.scheme, host, (unsigned)port);
    h->direct = !proxy;
    h->name_allowed = v == PLACE_ALLOWED;
    if (v == PLACE_REFUSED || (proxy && v == PLACE_BY_ADDRESS))
        return refuse(h, e);
    if (curl_easy_setopt(h->easy, CURLOPT_PROXY, proxy ? proxy : "") ||
        curl_easy_setopt(h->easy, CURLOPT_NOPROXY, ""))
        return err_set(e, ERR_OOM, "out of memory");
    return 0;
}

/* The answer's head, or what went wrong. */
static int await_head(struct http *h, struct err *e)
{
    if (pump(h, e) < 0 || (!h->body.len && h->result && fail(h, e) < 0))
        return -1;
    fill_head(h);
    return 0;
}

/* NULL: it leads nowhere, or not to HTTP. To be freed by curl_free(). */
static char *next_hop(struct http *h)
{
    struct curl_header *to;
    char *next = NULL;
    CURLU *u = curl_url();
    if (u && !curl_easy_header(h->easy, "Location", 0, CURLH_HEADER, -1, &to) &&
        !curl_url_set(u, CURLUPART_URL, h->hop, 0) &&
        !curl_url_set(u, CURLUPART_URL, to->value, CURLU_URLENCODE | CURLU_ALLOW_SPACE))
        curl_url_get(u, CURLUPART_URL, &next, 0);
    curl_url_cleanup(u);
    if (next && strncasecmp(next, "http://", 7) && strncasecmp(next, "https://", 8)) {
        curl_free(next);
        next = NULL;
    }
    return next;
}

static bool is_redirect(const struct http *h)
{
    unsigned s = h->head.status;
    return s == 301 || s == 302 || s == 303 || s == 307 || s == 308;
}

/* What libcurl would do by itself, and what it would not: our certificate is for the first place only. */
static bool turn(struct http *h, const char *next)
{
    CURL *c = h->easy;
    unsigned s = h->head.status;
    if (h->posts && s >= 301 && s <= 303) {
        h->posts = false;
        if (curl_easy_setopt(c, CURLOPT_HTTPGET, 1L))
            return false;
    }
    return same_place(h->url, next) ||
           (!curl_easy_setopt(c, CURLOPT_SSLCERT, NULL) && !curl_easy_setopt(c, CURLOPT_SSLKEY, NULL));
}

static int go_on(struct http *h, const char *next, struct err *e)
{
    if (h->stay_secure && strncasecmp(next, "https://", strlen("https://")))
        return err_set(e, ERR_UNSUPPORTED, "a redirect from https to something else is refused");
    unsigned idle_ms = h->idle_ms;
    if (!h->done)
        drain(h);
    curl_multi_remove_handle(h->multi, h->easy);
    free(h->hop);
    h->hop = strdup(next);
    h->idle_ms = idle_ms;
    h->given = h->paused = h->done = false;
    h->result = CURLE_OK;
    h->text[0] = '\0';
    buf_clear(&h->body);
    if (!h->hop || !turn(h, next) || curl_easy_setopt(h->easy, CURLOPT_URL, next))
        return err_set(e, ERR_OOM, "out of memory");
    if (judge(h, e) < 0)
        return -1;
    return curl_multi_add_handle(h->multi, h->easy) ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int follow(struct http *h, struct err *e)
{
    for (unsigned hops = 0; is_redirect(h); hops++) {
        char *next = next_hop(h);
        if (!next && !h->places && !http_header(h, "Location", 0, &(str){ 0 }))
            return 0; /* nobody follows what leads nowhere */
        if (!next)
            return err_set(e, ERR_UNSUPPORTED, "a redirect that leads to no URL of HTTP");
        int result = hops < h->max_redirects
                         ? go_on(h, next, e)
                         : err_set(e, ERR_LIMIT, "more than %u redirects", h->max_redirects);
        curl_free(next);
        if (result < 0 || await_head(h, e) < 0)
            return -1;
    }
    return 0;
}

static int open_head(struct http *h, struct err *e)
{
    if (!h->steps)
        return await_head(h, e);
    if (!(h->hop = strdup(h->url)))
        return err_set(e, ERR_OOM, "out of memory");
    return judge(h, e) < 0 || await_head(h, e) < 0 ? -1 : follow(h, e);
}

struct http *http_open(struct http_pool *pool, const char *url, const char *const headers[],
                       const struct http_options *options, const struct http_limits *limits, struct err *e)
{
    static const struct http_options plain;
    if (!options)
        options = &plain;
    if (check_headers(headers, e) < 0 || check_headers(options->shared, e) < 0)
        return NULL;
    CLEANUP(http_freep) struct http *h = calloc(1, sizeof *h);
    if (h) {
        h->multi = pool->multi;
        h->easy = curl_easy_init();
        h->url = strdup(url);
    }
    if (!h || !h->easy || !h->url || !add_headers(h, headers, options->shared) || !set_up(h, limits) ||
        !set_options(h, options) || curl_multi_add_handle(h->multi, h->easy)) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    if (open_head(h, e) < 0) {
        wrap_place(h, e);
        return NULL;
    }
    struct http *ret = h;
    h->upload = NULL; /* an answer before all was sent: the rest is not */
    h = NULL;
    return ret;
}

struct http *http_get(struct http_pool *pool, const char *url, const char *const headers[],
                      const struct http_limits *limits, struct err *e)
{
    return http_open(pool, url, headers, NULL, limits, e);
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
    curl_slist_free_all((*h)->ours);
    curl_slist_free_all((*h)->connect);
    free((*h)->url);
    free((*h)->hop);
    buf_done(&(*h)->body);
    free(*h);
    *h = NULL;
}
