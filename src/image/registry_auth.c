/* registry_auth.c - challenges, tokens, and the line that a request carries. */
#include "base/cleanup.h"
#include "codec/json.h"
#include "image/registry_internal.h"

#include <ctype.h>
#include <gnutls/gnutls.h>
#include <strings.h>

#define ANSWER_MAX ((size_t)1 << 20)
#define TOKEN_MAX  ((size_t)64 << 10) /* a line of it must fit into a request */

/* ---- WWW-Authenticate (RFC 9110 11.6.1) ---- */

static bool is_token(char c) { return (unsigned char)c > ' ' && c != ',' && c != '=' && c != '"'; }

static void skip(str *rest, const char *these)
{
    while (rest->len && strchr(these, rest->ptr[0]) && rest->ptr[0])
        *rest = str_skip(*rest, 1);
}

static str take_token(str *rest)
{
    size_t n = 0;
    while (n < rest->len && is_token(rest->ptr[n]))
        n++;
    str token = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return token;
}

/* A quoted one may hold anything; "\x" is x. */
static str take_value(str *rest, struct arena *arena)
{
    if (!rest->len || rest->ptr[0] != '"')
        return arena_dup(arena, take_token(rest));
    char *to = arena_alloc(arena, rest->len + 1, 1);
    size_t n = 0;
    *rest = str_skip(*rest, 1);
    while (to && rest->len && rest->ptr[0] != '"') {
        if (rest->ptr[0] == '\\' && rest->len > 1)
            *rest = str_skip(*rest, 1);
        to[n++] = rest->ptr[0];
        *rest = str_skip(*rest, 1);
    }
    *rest = str_skip(*rest, 1);
    return str_of(to, n);
}

static bool is(str a, const char *b) { return a.len == strlen(b) && !strncasecmp(a.ptr, b, a.len); }

static enum challenge_kind kind_of(str scheme)
{
    return is(scheme, "bearer") ? CHALLENGE_BEARER : is(scheme, "basic") ? CHALLENGE_BASIC : CHALLENGE_NONE;
}

static void set_value(struct challenge *c, str name, str value)
{
    str *to = is(name, "realm")     ? &c->realm
              : is(name, "service") ? &c->service
              : is(name, "scope")   ? &c->scope
                                    : NULL;
    if (to && !to->len)
        *to = value;
}

static void keep_better(struct challenge *best, const struct challenge *c)
{
    if (c->kind > best->kind)
        *best = *c;
}

int challenge_parse(str header, struct arena *arena, struct challenge *ret)
{
    struct challenge now = { 0 };
    for (;;) {
        skip(&header, " \t,=\"");
        str word = take_token(&header);
        if (!word.len && header.len) { /* a byte of no form */
            header = str_skip(header, 1);
            continue;
        }
        if (!word.len)
            break;
        skip(&header, " \t");
        if (header.len && header.ptr[0] == '=') {
            header = str_skip(header, 1);
            skip(&header, " \t");
            set_value(&now, word, take_value(&header, arena));
            continue;
        }
        keep_better(ret, &now);
        now = (struct challenge){ .kind = kind_of(word) };
    }
    keep_better(ret, &now);
    return arena_failed(arena) ? -1 : 0;
}

/* ---- tokens ---- */

static void add_encoded(struct buf *to, str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (isalnum((unsigned char)c) || strchr("-._~:/", c))
            buf_char(to, c);
        else
            buf_printf(to, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static void add_field(struct buf *to, const char *name, str value)
{
    if (!value.len)
        return;
    if (to->len && to->ptr[to->len - 1] != '?')
        buf_char(to, '&');
    buf_printf(to, "%s=", name);
    add_encoded(to, value);
}

static void add_basic(struct buf *line, const struct credentials *who)
{
    CLEANUP(buf_done) struct buf pair = { 0 };
    gnutls_datum_t out = { 0 };
    buf_str(&pair, who->user);
    buf_char(&pair, ':');
    buf_str(&pair, who->password);
    gnutls_datum_t in = { (unsigned char *)pair.ptr, (unsigned)pair.len };
    if (pair.failed || gnutls_base64_encode2(&in, &out) < 0) {
        line->failed = true;
        return;
    }
    buf_str(line, STR("Authorization: Basic "));
    buf_add(line, out.data, out.size);
    gnutls_free(out.data);
    buf_char(line, '\0');
}

static int read_token(str answer, struct buf *ret, struct err *e)
{
    str key, value;
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(answer, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    if (!j || json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool wanted = !ret->len && (str_eq(key, STR("token")) || str_eq(key, STR("access_token")));
        if ((wanted ? json_string(j, &value, e) : json_skip(j, e)) < 0)
            return -1;
        if (wanted)
            buf_str(ret, value);
    }
    if (more < 0 || json_finish(j, e) < 0)
        return -1;
    if (!ret->len)
        return err_set(e, ERR_FORMAT, "no token in it");
    for (size_t i = 0; i < ret->len; i++)
        if (ret->ptr[i] <= ' ' || ret->ptr[i] > '~')
            return err_set(e, ERR_FORMAT, "a token that no header can carry");
    return ret->len > TOKEN_MAX ? err_set(e, ERR_LIMIT, "a token of more than %zu bytes", TOKEN_MAX) : 0;
}

static int read_body(struct http *h, struct buf *ret, struct err *e)
{
    str chunk;
    int more;
    while ((more = http_read(h, &chunk, e)) > 0)
        buf_str(ret, chunk);
    if (more == 0 && ret->failed)
        return err_set(e, ERR_LIMIT, "more than %zu bytes", ret->max);
    return more;
}

static int refused_token(const struct registry_endpoint *p, unsigned status, struct err *e)
{
    const struct registry_auth *a = &p->auth;
    if (status / 100 == 4 && status != 429 && a->has)
        return err_set(e, ERR_DENIED, "refuses the credentials of " STR_FMT " (%u): docker login %s",
                       STR_ARG(a->who.from), status, p->host);
    if (status == 401 || status == 403)
        return err_set(e, ERR_DENIED, "authentication required: docker login %s", p->host);
    return err_set(e, ERR_NETWORK, "no token for %s: answered %u", p->host, status);
}

struct token_request {
    struct buf url, body, line;
    const char *headers[3];
};

static void request_done(struct token_request *q)
{
    buf_done(&q->url);
    buf_done(&q->body);
    buf_done(&q->line);
}

/* GET with a password or without anything; POST (OAuth 2) with an identity token. */
static int make_request(const struct registry_endpoint *p, str scope, struct token_request *q, struct err *e)
{
    const struct registry_auth *a = &p->auth;
    bool oauth = a->who.identity_token.len;
    struct buf *fields = oauth ? &q->body : &q->url;
    buf_str(&q->url, a->challenge.realm);
    if (!oauth)
        buf_char(&q->url, str_find(a->challenge.realm, '?') < 0 ? '?' : '&');
    if (oauth) {
        add_field(fields, "grant_type", STR("refresh_token"));
        add_field(fields, "refresh_token", a->who.identity_token);
        add_field(fields, "client_id", STR("eclair"));
    }
    add_field(fields, "service", a->challenge.service);
    add_field(fields, "scope", scope);
    buf_char(&q->url, '\0');
    if (oauth)
        q->headers[0] = "Content-Type: application/x-www-form-urlencoded";
    else if (a->has)
        add_basic(&q->line, &a->who);
    if (!oauth && a->has)
        q->headers[0] = q->line.ptr;
    return q->url.failed || q->body.failed || q->line.failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static bool is_secure(const char *url) { return !strncasecmp(url, "https://", strlen("https://")); }

static int check_realm(const struct registry_endpoint *p, struct err *e)
{
    char *realm = arena_cstr(p->auth.arena, p->auth.challenge.realm);
    if (!realm)
        return err_set(e, ERR_OOM, "out of memory");
    if (!is_secure(realm) && strncasecmp(realm, "http://", strlen("http://")))
        return err_set(e, ERR_FORMAT, "%s: its WWW-Authenticate names no URL for tokens", p->host);
    if (p->auth.has && is_secure(p->base) && !is_secure(realm) && !p->insecure)
        return err_set(e, ERR_DENIED,
                       "%s: wants the credentials sent without TLS, which is refused (--insecure allows it)",
                       p->host);
    return 0;
}

static int fetch_token(struct registry_endpoint *p, struct http_pool *pool, struct buf *ret, struct err *e)
{
    struct registry_auth *a = &p->auth;
    CLEANUP(request_done) struct token_request q = { 0 };
    CLEANUP(buf_done) struct buf body = { .max = ANSWER_MAX };
    char place[HTTP_PLACE];
    str scope = a->challenge.scope.len
                    ? a->challenge.scope
                    : arena_printf(a->arena, "repository:" STR_FMT ":pull", STR_ARG(p->path));
    if (check_realm(p, e) < 0 || make_request(p, scope, &q, e) < 0)
        return -1;
    struct http_options o = endpoint_http(p);
    o.cert = o.key = NULL;
    o.body = buf_view(&q.body);
    o.no_redirects = q.body.len;
    const struct http_limits limits = { .total_ms = 30000 };
    CLEANUP(http_freep) struct http *h = http_open(pool, q.url.ptr, q.headers, &o, &limits, e);
    if (!h && endpoint_widen(p, &o, e)) {
        *e = (struct err){ 0 };
        return fetch_token(p, pool, ret, e);
    }
    if (!h)
        return -1;
    http_place(q.url.ptr, place);
    unsigned status = http_head(h)->status;
    if (status / 100 != 2)
        refused_token(p, status, e);
    else if (read_body(h, &body, e) == 0 && read_token(buf_view(&body), ret, e) == 0)
        return 0;
    return err_wrap(e, "%s", place);
}

/* ---- the line ---- */

int auth_line(struct registry_endpoint *p, char **ret, unsigned *version, struct err *e)
{
    struct registry_auth *a = &p->auth;
    pthread_mutex_lock(&a->lock);
    *ret = a->line ? strdup(a->line) : NULL;
    *version = a->version;
    bool failed = a->line && !*ret;
    pthread_mutex_unlock(&a->lock);
    return failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int look_for_credentials(struct registry_endpoint *p, struct err *e)
{
    struct registry_auth *a = &p->auth;
    if (a->looked)
        return 0;
    int found = credentials_find(str_from(p->host), p->path, !p->hidden, a->arena, &a->who, e);
    if (found < 0)
        return -1;
    a->looked = true;
    a->has = found;
    return 0;
}

/* 1 made, 0 there is nothing to say. */
static int make_line(struct registry_endpoint *p, struct http_pool *pool, struct buf *line, struct err *e)
{
    struct registry_auth *a = &p->auth;
    CLEANUP(buf_done) struct buf token = { 0 };
    if (look_for_credentials(p, e) < 0)
        return -1;
    if (a->who.registry_token.len) {
        buf_printf(line, "Authorization: Bearer " STR_FMT "%c", STR_ARG(a->who.registry_token), 0);
        return !a->line;
    }
    if (a->challenge.kind == CHALLENGE_BEARER) {
        if (fetch_token(p, pool, &token, e) < 0)
            return -1;
        buf_printf(line, "Authorization: Bearer " STR_FMT "%c", STR_ARG(buf_view(&token)), 0);
        return 1;
    }
    if (a->challenge.kind != CHALLENGE_BASIC || !a->has || !a->who.user.len || a->line)
        return 0; /* the same password again is no news */
    add_basic(line, &a->who);
    return 1;
}

static int renew(struct registry_endpoint *p, struct http_pool *pool, struct err *e)
{
    struct registry_auth *a = &p->auth;
    CLEANUP(buf_done) struct buf line = { 0 };
    int made = make_line(p, pool, &line, e);
    if (made <= 0)
        return made;
    if (line.failed || arena_failed(a->arena))
        return err_set(e, ERR_OOM, "out of memory");
    if (strpbrk(line.ptr, "\r\n"))
        return err_set(e, ERR_FORMAT, STR_FMT ": a token or user with a line end in it",
                       STR_ARG(a->who.from));
    free(a->line);
    a->line = line.ptr;
    line = (struct buf){ 0 };
    a->version++;
    return 1;
}

int auth_renew(struct registry_endpoint *p, const struct challenge *asked, unsigned version,
               struct http_pool *pool, struct err *e)
{
    struct registry_auth *a = &p->auth;
    pthread_mutex_lock(&a->lock);
    int r = 1;
    if (a->version == version) { /* else another thread was here */
        if (asked) {
            a->challenge = *asked;
            a->challenge.realm = arena_dup(a->arena, asked->realm);
            a->challenge.service = arena_dup(a->arena, asked->service);
            a->challenge.scope = arena_dup(a->arena, asked->scope);
        }
        r = renew(p, pool, e);
    }
    pthread_mutex_unlock(&a->lock);
    return r;
}

void auth_done(struct registry_auth *a)
{
    if (a->arena)
        pthread_mutex_destroy(&a->lock);
    arena_freep(&a->arena);
    free(a->line);
    a->line = NULL;
}
