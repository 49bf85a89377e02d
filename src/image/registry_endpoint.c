/* registry_endpoint.c - one registry, or a mirror of one: where it is, how it is spoken to, what its refusals mean. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "image/manifest.h"
#include "image/registry_internal.h"

#include <dirent.h>
#include <strings.h>
#include <time.h>

#define TRIES      3
#define WAIT_MAX_S 20
#define STUCK_MS   20000 /* who said nothing for so long is not asked again */

void answer_done(struct registry_answer *a) { buf_done(&a->body); }

/* ---- where it is ---- */

static bool is_local(const struct reference *r) { return reference_is_local(r->host); }

static char *text(const char *head, str rest)
{
    char *to = NULL;
    return asprintf(&to, "%s" STR_FMT, head, STR_ARG(rest)) < 0 ? NULL : to;
}

static int set_bases(struct registry_endpoint *p, const struct reference *r, struct err *e)
{
    bool local = is_local(r) && !p->ca;
    str host = str_eq(r->host, STR("docker.io")) ? STR("registry-1.docker.io") : r->host;
    p->insecure |= local;
    p->base = text(local ? "http://" : "https://", host);
    if (p->insecure)
        p->other_base = text(local ? "https://" : "http://", host);
    return p->base && (!p->insecure || p->other_base) ? 0 : err_set(e, ERR_OOM, "out of memory");
}

/* "https://host/prefix": behind "/v2/" the prefix comes before the repository. */
static int set_mirror(struct registry_endpoint *p, const struct reference *r, const char *url, struct err *e)
{
    str rest = str_from(url);
    bool plain = str_starts(rest, STR("http://"));
    if (!plain && !str_starts(rest, STR("https://")))
        return err_set(e, ERR_USAGE, "--registry-mirror: '%s' is no URL of http or https", url);
    rest = str_skip(rest, plain ? STR("http://").len : STR("https://").len);
    str place = str_cut(&rest, '/'), host = str_skip(place, (size_t)(str_rfind(place, '@') + 1));
    while (str_ends(rest, STR("/")))
        rest.len--;
    p->hidden = true;
    p->host = arena_cstr(p->auth.arena, host);
    p->path = rest.len ? arena_printf(p->auth.arena, STR_FMT "/" STR_FMT, STR_ARG(rest), STR_ARG(r->path))
                       : r->path;
    p->base = text(plain ? "http://" : "https://", place);
    p->insecure |= plain;
    return p->base && p->host && !arena_failed(p->auth.arena) ? 0 : err_set(e, ERR_OOM, "out of memory");
}

/* ---- certs.d ---- */

/* The first file of that ending by name, or NULL. */
static const char *first_of(struct arena *a, const char *folder, const char *ending)
{
    str best = { 0 };
    DIR *d = opendir(folder);
    for (struct dirent *x; d && (x = readdir(d));) {
        str name = str_from(x->d_name);
        if (str_ends(name, str_from(ending)) && (!best.len || str_cmp(name, best) < 0))
            best = arena_dup(a, name);
    }
    if (d)
        closedir(d);
    return best.len ? arena_printf(a, "%s/" STR_FMT "%c", folder, STR_ARG(best), 0).ptr : NULL;
}

/* true: there is such a folder. */
static bool use_certs(struct registry_endpoint *p, const char *folder)
{
    struct arena *a = p->auth.arena;
    if (access(folder, F_OK) < 0)
        return false;
    const char *ca = first_of(a, folder, ".crt"), *cert = first_of(a, folder, ".cert");
    p->ca = p->ca ? p->ca : ca;
    if (!cert)
        return true;
    p->http.cert = cert;
    p->http.key =
        arena_printf(a, STR_FMT ".key%c", STR_ARG(str_head(str_from(cert), strlen(cert) - 5)), 0).ptr;
    return true;
}

static void set_certs(struct registry_endpoint *p)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    struct arena *a = p->auth.arena;
    str own = config && *config ? arena_printf(a, "%s/containers", config)
              : home && *home   ? arena_printf(a, "%s/.config/containers", home)
                                : STR("");
    const str places[] = { own, STR("/etc/containers"), STR("/etc/docker") };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        str folder = arena_printf(a, STR_FMT "/certs.d/%s%c", STR_ARG(places[i]), p->host, 0);
        if (places[i].len && folder.len && use_certs(p, folder.ptr))
            return;
    }
}

int endpoint_init(struct registry_endpoint *p, const struct reference *r, const char *mirror_url,
                  const struct registry_options *o, struct err *e)
{
    *p = (struct registry_endpoint){ .path = r->path, .insecure = o->insecure };
    p->auth.arena = arena_new(16 << 20);
    if (!p->auth.arena)
        return err_set(e, ERR_OOM, "out of memory");
    pthread_mutex_init(&p->auth.lock, NULL);
    p->host = arena_cstr(p->auth.arena, r->host);
    p->ca = o->ca;
    if (mirror_url && set_mirror(p, r, mirror_url, e) < 0)
        return -1;
    if (p->host)
        set_certs(p);
    if (arena_failed(p->auth.arena))
        return err_set(e, ERR_OOM, "out of memory");
    if (!mirror_url && set_bases(p, r, e) < 0)
        return -1;
    p->http.insecure = p->insecure;
    p->http.stay_secure = !p->insecure;
    return 0;
}

void endpoint_done(struct registry_endpoint *p)
{
    auth_done(&p->auth);
    free(p->base);
    free(p->other_base);
    p->base = p->other_base = NULL;
}

struct http_options endpoint_http(struct registry_endpoint *p)
{
    struct http_options o = p->http;
    if (atomic_load(&p->with_system))
        o.ca_more = p->ca;
    else
        o.ca = p->ca;
    return o;
}

bool endpoint_widen(struct registry_endpoint *p, const struct http_options *used, const struct err *e)
{
    if (!used->ca || !http_distrusted(e))
        return false;
    atomic_store(&p->with_system, true);
    return true;
}

void endpoint_hint(struct err *e)
{
    const struct err before = *e;
    if (http_distrusted(&before))
        err_set(e, before.kind, "%s (--ca FILE names its authority)", before.text);
}

char *endpoint_url(const struct registry_endpoint *p, const char *what)
{
    char *to = NULL;
    return asprintf(&to, "%s/v2/" STR_FMT "/%s", p->base, STR_ARG(p->path), what) < 0 ? NULL : to;
}

/* ---- what it answers ---- */

static void keep_header(const struct http *h, const char *name, char *to, size_t size)
{
    str value;
    if (http_header(h, name, 0, &value) && value.len < size)
        memcpy(to, value.ptr, value.len + 1);
}

static int take_answer(struct http *h, struct registry_answer *ret, struct err *e)
{
    str chunk;
    int more;
    ret->body.max = IMAGE_FILE_MAX;
    ret->status = http_head(h)->status;
    ret->retry_after_s = http_head(h)->retry_after_s;
    ret->type[0] = ret->digest[0] = '\0';
    buf_clear(&ret->body);
    keep_header(h, "Content-Type", ret->type, sizeof ret->type);
    keep_header(h, "Docker-Content-Digest", ret->digest, sizeof ret->digest);
    if (!digest_valid(str_from(ret->digest)))
        ret->digest[0] = '\0';
    while ((more = http_read(h, &chunk, e)) > 0 && !ret->body.failed)
        buf_str(&ret->body, chunk);
    if (ret->body.failed)
        return err_set(e, ERR_LIMIT, "more than %zu bytes of a manifest or config", IMAGE_FILE_MAX);
    return more;
}

/* Once: takes the challenge along. */
static int ask_once(struct registry_endpoint *p, struct http_pool *pool, const char *method, const char *what,
                    const char *const headers[], struct arena *arena, struct challenge *asked,
                    struct registry_answer *ret, struct err *e)
{
    CLEANUP(freep) char *url = endpoint_url(p, what);
    const struct http_limits limits = { .idle_ms = 30000, .total_ms = 120000 };
    struct http_options o = endpoint_http(p);
    str header;
    o.method = method;
    if (!url)
        return err_set(e, ERR_OOM, "out of memory");
    CLEANUP(http_freep) struct http *h = http_open(pool, url, headers, &o, &limits, e);
    if (!h && endpoint_widen(p, &o, e)) {
        *e = (struct err){ 0 };
        return ask_once(p, pool, method, what, headers, arena, asked, ret, e);
    }
    if (!h || take_answer(h, ret, e) < 0)
        return -1;
    p->settled |= ret->status != 400 || !p->other_base;
    for (size_t i = 0; ret->status == 401 && http_header(h, "WWW-Authenticate", i, &header); i++)
        if (challenge_parse(header, arena, asked) < 0)
            return err_set(e, ERR_FORMAT, "%s: its WWW-Authenticate is too long", p->host);
    return 0;
}

/* With the login that there is; 401 makes another one, once. */
static int ask_logged_in(struct registry_endpoint *p, struct http_pool *pool, const char *method,
                         const char *what, const char *accept, struct registry_answer *ret, struct err *e)
{
    for (bool again = false;; again = true) {
        CLEANUP(freep) char *line = NULL;
        CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
        struct challenge asked = { 0 };
        unsigned version;
        if (!arena)
            return err_set(e, ERR_OOM, "out of memory");
        if (auth_line(p, &line, &version, e) < 0)
            return -1;
        const char *const headers[] = { accept, line, NULL };
        if (ask_once(p, pool, method, what, headers, arena, &asked, ret, e) < 0)
            return -1;
        if (ret->status != 401 || again)
            return 0;
        int renewed = auth_renew(p, &asked, version, pool, e);
        if (renewed <= 0)
            return renewed;
    }
}

/* A registry on this machine may speak either; who speaks the other one breaks off, or answers 400. */
static void change_base(struct registry_endpoint *p)
{
    char *other = p->other_base;
    p->other_base = p->base;
    p->base = other;
}

/* GnuTLS's words for a server that speaks HTTP: then what went wrong by http is worth more. */
static bool is_plain(const struct err *e)
{
    return str_contains(str_from(e->text), STR("unexpected TLS packet"));
}

static int ask_settling(struct registry_endpoint *p, struct http_pool *pool, const char *method,
                        const char *what, const char *accept, struct registry_answer *ret, struct err *e)
{
    struct err first = { 0 }, second = { 0 };
    int64_t began = clock_ms();
    int r = ask_logged_in(p, pool, method, what, accept, ret, &first);
    bool wrong = r < 0 ? first.kind == ERR_NETWORK && clock_ms() - began < STUCK_MS : ret->status == 400;
    if (wrong && !p->settled && p->other_base) {
        change_base(p);
        r = ask_logged_in(p, pool, method, what, accept, ret, &second);
        if (r < 0 && (!first.kind || (second.kind && !is_plain(&second))))
            first = second;
        if (r < 0 && !p->settled)
            change_base(p);
    }
    if (r < 0)
        *e = first;
    return r;
}

static bool is_passing(unsigned status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static void pause_ms(int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

int endpoint_ask(struct registry_endpoint *p, struct http_pool *pool, const char *method, const char *what,
                 const char *accept, struct registry_answer *ret, struct err *e)
{
    for (unsigned i = 0;; i++) {
        struct err why = { 0 };
        int64_t began = clock_ms();
        unsigned tries = p->settled  ? TRIES
                         : p->hidden ? 1
                                     : 2; /* the first word is more often a wrong name */
        int r = ask_settling(p, pool, method, what, accept, ret, &why);
        bool passing =
            r < 0 ? why.kind == ERR_NETWORK && !http_distrusted(&why) && clock_ms() - began < STUCK_MS
                  : is_passing(ret->status);
        if (!passing || i + 1 >= tries || (r == 0 && ret->retry_after_s > WAIT_MAX_S)) {
            if (r < 0) {
                *e = why;
                endpoint_hint(e);
            }
            return r;
        }
        pause_ms(r == 0 && ret->retry_after_s ? 1000 * (int64_t)ret->retry_after_s : i ? 1500 : 500);
    }
}

/* ---- what its refusals mean ---- */

struct complaint {
    char code[64], message[200];
};

static int keep_text(struct json *j, char *to, size_t size, struct err *e)
{
    enum json_type type;
    str value;
    if (json_next(j, &type, &value, e) < 0)
        return -1;
    if (type != JSON_STRING)
        return json_skip_rest(j, type, e);
    value = str_head(value, size - 1);
    memcpy(to, value.ptr ? value.ptr : "", value.len);
    to[value.len] = '\0';
    return 0;
}

/* {"errors": [{"code": "...", "message": "..."}]}: of the first. What is none gives none. */
static int read_complaint(struct json *j, struct complaint *c, struct err *e)
{
    enum json_type type;
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        if (!str_eq(key, STR("errors"))) {
            if (json_skip(j, e) < 0)
                return -1;
            continue;
        }
        if (json_enter(j, JSON_ARRAY, e) < 0 || json_element(j, &type, &key, e) <= 0 || type != JSON_OBJECT)
            return -1;
        while ((more = json_key(j, &key, e)) > 0)
            if ((str_eq(key, STR("code"))      ? keep_text(j, c->code, sizeof c->code, e)
                 : str_eq(key, STR("message")) ? keep_text(j, c->message, sizeof c->message, e)
                                               : json_skip(j, e)) < 0)
                return -1;
        return 0;
    }
    return more;
}

static struct complaint complaint_of(str body)
{
    struct complaint c = { 0 };
    struct err ignored = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(body, &ignored);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, &ignored) : NULL;
    if (j)
        read_complaint(j, &c, &ignored);
    return c;
}

static int refused_login(const struct registry_endpoint *p, struct err *e)
{
    const struct registry_auth *a = &p->auth;
    if (a->has)
        return err_set(e, ERR_DENIED,
                       "%s: " STR_FMT " may not be pulled with the credentials of " STR_FMT
                       ", or is not there: docker login %s",
                       p->host, STR_ARG(p->path), STR_ARG(a->who.from), p->host);
    return err_set(e, ERR_DENIED,
                   "%s: authentication required for " STR_FMT ", or it is not there: docker login %s",
                   p->host, STR_ARG(p->path), p->host);
}

static int rate_limit(const struct registry_endpoint *p, unsigned wait_s, struct err *e)
{
    if (wait_s)
        return err_set(e, ERR_NETWORK, "%s: rate limit: try again in %u s%s", p->host, wait_s,
                       p->auth.has ? "" : ", or log in");
    return err_set(e, ERR_NETWORK, "%s: rate limit: try again later%s", p->host,
                   p->auth.has ? "" : ", or log in");
}

int endpoint_refusal(struct registry_endpoint *p, const struct registry_answer *a, const char *what,
                     struct err *e)
{
    struct complaint c = complaint_of(buf_view(&a->body));
    str where = str_from(what), kind = str_cut(&where, '/');
    bool manifest = str_eq(kind, STR("manifests"));
    if (a->status == 401 || a->status == 403)
        return refused_login(p, e);
    if (a->status == 429)
        return rate_limit(p, a->retry_after_s, e);
    if (a->status == 404 && !strcmp(c.code, "NAME_UNKNOWN"))
        return err_set(e, ERR_NOT_FOUND, "%s: no repository " STR_FMT, p->host, STR_ARG(p->path));
    if (a->status == 404)
        return err_set(e, ERR_NOT_FOUND, "%s: " STR_FMT " has no %s " STR_FMT, p->host, STR_ARG(p->path),
                       !manifest                           ? "blob"
                       : str_starts(where, STR("sha256:")) ? "manifest"
                                                           : "tag",
                       STR_ARG(where));
    return err_set(e, a->status / 100 == 5 ? ERR_NETWORK : ERR_UNSUPPORTED,
                   "%s: " STR_FMT ": answered %u%s%s%s%s", p->host, STR_ARG(p->path), a->status,
                   *c.code ? " " : "", c.code, *c.message ? ": " : "", c.message);
}
