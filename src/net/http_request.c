#include "net/http_internal.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define REDIRECT_MAX 20

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

int http_check_headers(const char *const headers[], struct err *e)
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
static bool set_common(struct http *h, const struct http_limits *l)
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
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, http_on_socket) &&
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, h) &&
           !curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, http_on_request) &&
           !curl_easy_setopt(c, CURLOPT_PREREQDATA, h);
}

bool http_set_up(struct http *h, const char *const headers[], const struct http_options *o,
                 const struct http_limits *l)
{
    return add_headers(h, headers, o->shared) && set_common(h, l) && set_options(h, o);
}
