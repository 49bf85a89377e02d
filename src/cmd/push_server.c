/* push_server.c - requests to the server, whatever it is, and what it is: éclair, a Clair that speaks REST v1, or Clair 4. */
#include "base/cleanup.h"
#include "cmd/push.h"
#include "codec/json.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define IDLE_MS  (30u * 60 * 1000) /* Clair answers only when it has read the whole layer */
#define PROBE_MS 10000
#define SMALL    ((size_t)1 << 20)

/* ---- requests ---- */

struct http *push_ask(const struct push_server *s, const char *method, const char *path, str body,
                      const struct http_upload *upload, struct err *e)
{
    static const struct http_limits limits = { .idle_ms = IDLE_MS };
    const char *headers[3] = { NULL };
    size_t n = 0;
    if (body.ptr)
        headers[n++] = "Content-Type: application/json";
    if (upload)
        headers[n++] = "Content-Type: application/octet-stream";
    str url = arena_printf(s->arena, "%s%s", s->url, path);
    if (s->token && *s->token)
        headers[n++] = arena_printf(s->arena, "Authorization: Bearer %s", s->token).ptr;
    if (arena_failed(s->arena)) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    struct http_options options = { .method = method, .body = body, .upload = upload, .ca_more = s->ca };
    return http_open(s->pool, url.ptr, headers, &options, &limits, e);
}

int push_text(struct http *h, size_t max, struct buf *ret, struct err *e)
{
    str chunk;
    int more;
    while ((more = http_read(h, &chunk, e)) > 0) {
        if (ret->len + chunk.len > max)
            return err_set(e, ERR_LIMIT, "an answer of more than %zu MiB", max >> 20);
        buf_str(ret, chunk);
    }
    return more < 0 ? -1 : ret->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

/* A server's words go to a terminal. */
void push_put_clean(struct buf *out, str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool c1 = c == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] >= 0x80 &&
                  (unsigned char)s.ptr[i + 1] < 0xa0;
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || c1;
        buf_char(out, control ? '?' : (char)c);
        i += c1;
    }
}

/* ---- what it is ---- */

/* The status of a GET, and its text if that is small; 0: it does not answer. */
static unsigned look(const struct push_server *s, const char *path, struct buf *ret)
{
    static const struct http_limits limits = { .idle_ms = PROBE_MS, .total_ms = PROBE_MS };
    const char *headers[2] = { NULL };
    struct err ignored = { 0 };
    str url = arena_printf(s->arena, "%s%s", s->url, path);
    if (s->token && *s->token)
        headers[0] = arena_printf(s->arena, "Authorization: Bearer %s", s->token).ptr;
    const struct http_options options = { .ca_more = s->ca };
    CLEANUP(http_freep)
    struct http *h =
        arena_failed(s->arena) ? NULL : http_open(s->pool, url.ptr, headers, &options, &limits, &ignored);
    buf_clear(ret);
    if (!h || push_text(h, SMALL, ret, &ignored) < 0)
        return 0;
    return http_head(h)->status;
}

/* Is there a string of that name at the top of the object, or in a list there? */
static bool has_word(str text, const char *name, const char *word)
{
    struct err ignored = { 0 };
    str key, value;
    enum json_type type;
    bool found = false;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, &ignored);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, &ignored) : NULL;
    if (!j || json_enter(j, JSON_OBJECT, &ignored) < 0)
        return false;
    while (json_key(j, &key, &ignored) > 0) {
        bool mine = str_eq(key, str_from(name));
        if (json_next(j, &type, &value, &ignored) < 0)
            return false;
        if (mine && type == JSON_STRING)
            found |= !word || str_eq(value, str_from(word));
        else if (mine && type == JSON_ARRAY)
            while (json_element(j, &type, &value, &ignored) > 0)
                found |= type == JSON_STRING && str_eq(value, str_from(word ? word : ""));
        else if (json_skip_rest(j, type, &ignored) < 0)
            return found;
    }
    return found;
}

enum push_dialect push_probe(const struct push_server *s)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    unsigned status = look(s, "/v1/status", &text);
    if (status == 200 && has_word(buf_view(&text), "program", "eclair") &&
        has_word(buf_view(&text), "features", "blobs"))
        return PUSH_ECLAIR;
    if (status != 404 || look(s, "/v1/namespaces", &text) != 404)
        return PUSH_V1;
    status = look(s, "/indexer/api/v1/index_state", &text);
    return status == 200 && has_word(buf_view(&text), "state", NULL) ? PUSH_V4 : PUSH_V1;
}

/* ---- where we are ---- */

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24) == 127;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

/* The address that the system would use towards it: nothing is sent. */
static bool source_towards(const struct addrinfo *to, char ret[NI_MAXHOST])
{
    struct sockaddr_storage mine;
    socklen_t size = sizeof mine;
    CLEANUP(close_fdp) int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0 ||
        getsockname(fd, (struct sockaddr *)&mine, &size) < 0 || is_loopback((struct sockaddr *)&mine))
        return false;
    return getnameinfo((struct sockaddr *)&mine, size, ret, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) == 0;
}

const char *push_own_address(const struct push_server *s)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    char place[HTTP_PLACE], address[NI_MAXHOST];
    struct addrinfo *found = NULL;
    const char *ret = "localhost";
    http_place(s->url, place);
    char *colon = strrchr(place, ':');
    if (colon)
        *colon = '\0';
    size_t n = strlen(place);
    char *host = place;
    if (*place == '[' && n > 2) {
        place[n - 1] = '\0';
        host++;
    }
    if (!colon || getaddrinfo(host, "9", &hints, &found) != 0)
        return ret;
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        if (!is_loopback(a->ai_addr) && source_towards(a, address)) {
            ret = arena_printf(s->arena, "%s", address).ptr;
            break;
        }
    freeaddrinfo(found);
    return ret ? ret : "localhost";
}
