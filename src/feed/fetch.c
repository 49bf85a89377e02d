#include "feed/fetch.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "net/http.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define CHUNK      (256u << 10)
#define WAIT_MAX_S 30u
#define RATE_MIN   1024       /* bytes a second, over idle_ms */
#define PROGRESS   (1u << 20) /* bytes that earn a broken transfer a fresh set of tries */

const struct fetch_policy fetch_defaults = { { 500, 1000, 2000 }, 10000, 60000, UINT64_C(4) << 30, 4 };

static const char *const suffixes[] = { "", ".zst", ".gz", ".xz" };
#define SUFFIXES (sizeof suffixes / sizeof *suffixes)

struct fetch_base {
    const struct fetch_policy *policy;
    char *place; /* URL or folder */
    bool is_url, mirror;
    size_t suffix; /* that was found last over HTTP */
    struct http_pool *pool;
};

struct fetch {
    const struct fetch_policy *policy;
    struct http_pool *pool;
    char *url; /* or the file's path */
    struct buf validator;
    uint64_t given; /* bytes handed out */
    int64_t total;  /* bytes of the document, -1 = not told */
    bool done;
    struct err failure; /* every later read fails alike */

    int fd; /* folder */
    struct stat stat;
    char *chunk;

    struct http *http;
    struct http_head head; /* of the first answer: what a resumed transfer must agree with */
    uint64_t skip;         /* bytes of this answer that were handed out before */
    uint64_t mark;         /* `given` when the tries were last counted from none */
    unsigned tries;        /* that failed */
    int64_t waited_ms;     /* since the rate was last looked at */
    uint64_t window_bytes; /* that came since then */
};

/* ---- bases ---- */

static bool has_scheme(const char *base, const char *scheme)
{
    return !strncasecmp(base, scheme, strlen(scheme));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* RFC 8089: file:///path or file://localhost/path, percent-encoded. NULL when it is neither. */
static char *file_url_path(const char *url)
{
    const char *p = url + strlen("file://");
    if (has_scheme(p, "localhost/"))
        p += strlen("localhost");
    char *ret = *p == '/' ? malloc(strlen(p) + 1) : NULL;
    char *to = ret;
    for (; ret && *p; to++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1, low = high < 0 ? -1 : hex_digit(p[2]);
        *to = low < 0 ? *p : (char)(high * 16 + low);
        p += low < 0 ? 1 : 3;
    }
    if (ret)
        *to = '\0';
    return ret;
}

/* A copy without "/" at its end and, for a folder, without "file://". NULL with e on failure. */
static char *normal_base(const char *base, bool *is_url, struct err *e)
{
    *is_url = has_scheme(base, "http://") || has_scheme(base, "https://");
    bool is_file = has_scheme(base, "file://");
    if (!*base || (!*is_url && !is_file && strstr(base, "://"))) {
        err_set(e, ERR_UNSUPPORTED, "neither a folder nor an http, https or file URL");
        return NULL;
    }
    char *ret = is_file ? file_url_path(base) : strdup(base);
    if (!ret) {
        err_set(e, is_file ? ERR_UNSUPPORTED : ERR_OOM, "'%s': %s", base,
                is_file ? "not file:///path" : "out of memory");
        return NULL;
    }
    for (size_t n = strlen(ret); n > 1 && ret[n - 1] == '/'; n--)
        ret[n - 1] = '\0';
    return ret;
}

struct fetch_base *fetch_base_new(const struct fetch_policy *policy, const char *base, bool mirror,
                                  struct err *e)
{
    CLEANUP(fetch_base_freep) struct fetch_base *b = calloc(1, sizeof *b);
    if (!b) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    b->policy = policy;
    b->mirror = mirror;
    b->place = normal_base(base, &b->is_url, e);
    if (!b->place || (b->is_url && !(b->pool = http_pool_new(e))))
        return NULL;
    struct fetch_base *ret = b;
    b = NULL;
    return ret;
}

void fetch_base_freep(struct fetch_base **b)
{
    if (!*b)
        return;
    http_pool_freep(&(*b)->pool);
    free((*b)->place);
    free(*b);
    *b = NULL;
}

int fetch_base_check(const char *base, struct err *e)
{
    bool is_url;
    struct stat st;
    CLEANUP(freep) char *folder = normal_base(base, &is_url, e);
    if (!folder)
        return -1;
    if (is_url)
        return 0;
    if (stat(folder, &st) < 0)
        return err_errno(e, "%s", folder);
    return S_ISDIR(st.st_mode) ? 0 : err_set(e, ERR_IO, "%s: not a folder", folder);
}

/* Names come from our own tables; a mistake there must not leave the mirror. */
static bool path_is_safe(const char *path)
{
    str rest = str_from(path);
    if (!rest.len)
        return false;
    while (rest.len) {
        str part = str_cut(&rest, '/');
        if (!part.len || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
    }
    return path[strlen(path) - 1] != '/';
}

static char *join(const char *base, const char *path, const char *suffix, bool is_url)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    buf_str(&b, str_from(base));
    if (!b.len || b.ptr[b.len - 1] != '/')
        buf_char(&b, '/');
    for (const char *p = path; *p; p++) {
        if (!is_url || isalnum((unsigned char)*p) || strchr("/-._~:@!$&'()*+,;=", *p))
            buf_char(&b, *p);
        else
            buf_printf(&b, "%%%02X", (unsigned char)*p);
    }
    buf_str(&b, str_from(suffix));
    buf_char(&b, '\0');
    return b.failed ? NULL : strdup(b.ptr);
}

/* ---- folders ---- */

/* 1 open, 0 not there, -1. A pipe must not block the opening. */
static int open_regular(struct fetch *f, struct err *e)
{
    f->fd = open(f->url, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (f->fd < 0 || fstat(f->fd, &f->stat) < 0)
        return err_errno(e, "%s", f->url);
    if (!S_ISREG(f->stat.st_mode))
        return err_set(e, ERR_IO, "%s: not a regular file", f->url);
    f->total = f->stat.st_size;
    if ((uint64_t)f->total > f->policy->max_bytes)
        return err_set(e, ERR_LIMIT, "%s: larger than %llu bytes", f->url,
                       (unsigned long long)f->policy->max_bytes);
    return 1;
}

static int open_file(struct fetch *f, str validator, enum fetch_result *ret, struct err *e)
{
    int found = open_regular(f, e);
    if (found <= 0) {
        *ret = FETCH_MISSING;
        return found;
    }
    const struct stat *st = &f->stat;
    buf_printf(&f->validator, "file %llx:%llu %lld %lld.%09ld %lld.%09ld", (unsigned long long)st->st_dev,
               (unsigned long long)st->st_ino, (long long)st->st_size, (long long)st->st_mtim.tv_sec,
               st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    f->chunk = malloc(CHUNK);
    if (!f->chunk || f->validator.failed)
        return err_set(e, ERR_OOM, "out of memory");
    *ret = str_eq(validator, buf_view(&f->validator)) ? FETCH_UNCHANGED : FETCH_NEW;
    return 0;
}

/* Mirrors are refreshed while they are read: half of the old and half of the new is worse than an error. */
static int check_unchanged(const struct fetch *f, struct err *e)
{
    struct stat now;
    if (fstat(f->fd, &now) < 0)
        return err_errno(e, "%s", f->url);
    bool same = now.st_size == f->stat.st_size && now.st_mtim.tv_sec == f->stat.st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == f->stat.st_mtim.tv_nsec && (int64_t)f->given == f->total;
    return same ? 0 : err_set(e, ERR_IO, "%s: changed while it was read", f->url);
}

static int read_file(struct fetch *f, str *ret, struct err *e)
{
    ssize_t n;
    do
        n = read(f->fd, f->chunk, CHUNK);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(e, "%s", f->url);
    if (n == 0)
        return check_unchanged(f, e);
    *ret = str_of(f->chunk, (size_t)n);
    return 1;
}

/* ---- HTTP ---- */

static bool busy(unsigned status) { return status >= 500 || status == 429 || status == 408; }

/* Counts a failed try and pauses; false when there is no further one. */
static bool again(struct fetch *f, unsigned wait_s)
{
    if (f->tries + 1 >= f->policy->tries || wait_s > WAIT_MAX_S)
        return false;
    unsigned ms = f->policy->pause_ms[f->tries++];
    if (ms < wait_s * 1000)
        ms = wait_s * 1000;
    struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000 };
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
    return true;
}

static int refused(const struct fetch *f, const struct http_head *head, struct err *e)
{
    char place[HTTP_PLACE], wait[64] = "";
    http_place(f->url, place);
    if (head->retry_after_s)
        snprintf(wait, sizeof wait, " and asks to wait %u s", head->retry_after_s);
    return err_set(e, ERR_NETWORK, "%s: answered %u%s", place, head->status, wait);
}

/* Asks until there is an answer that another try would not better. */
static int ask(struct fetch *f, const char *const headers[], struct err *e)
{
    const struct http_limits limits = { f->policy->connect_ms, f->policy->idle_ms };
    const struct http_options options = { .stay_secure = true };
    struct err last = { 0 };
    unsigned wait_s;
    do {
        http_freep(&f->http);
        wait_s = 0;
        f->http = http_open(f->pool, f->url, headers, &options, &limits, &last);
        if (f->http) {
            const struct http_head *head = http_head(f->http);
            if (!busy(head->status))
                return 0;
            wait_s = head->retry_after_s;
            refused(f, head, &last);
        } else if (last.kind != ERR_NETWORK) {
            break;
        }
    } while (again(f, wait_s));
    http_freep(&f->http);
    *e = last;
    return -1;
}

/* An ETag means something at its own URL only, which is part of it as a hash, for it may hold a password. */
static void http_validator(struct fetch *f)
{
    if (*f->head.etag || *f->head.last_modified)
        buf_printf(&f->validator, "http %016llx\n%s\n%s", (unsigned long long)str_hash(str_from(f->url), 0),
                   f->head.etag, f->head.last_modified);
}

/* Is the validator of this URL? */
static bool is_validator_of(str validator, const char *url)
{
    char place[32];
    snprintf(place, sizeof place, "http %016llx", (unsigned long long)str_hash(str_from(url), 0));
    return str_eq(str_cut(&validator, '\n'), str_from(place));
}

struct condition { /* headers made of the validator of the last load */
    char etag[HTTP_TEXT + 32], modified[HTTP_TEXT + 32];
    const char *headers[3];
};

static void set_condition(const struct fetch *f, str validator, struct condition *c)
{
    size_t n = 0;
    if (!is_validator_of(validator, f->url))
        return;
    str_cut(&validator, '\n');
    str etag = str_cut(&validator, '\n'), modified = validator;
    if (etag.len >= HTTP_TEXT || modified.len >= HTTP_TEXT)
        return;
    snprintf(c->etag, sizeof c->etag, "If-None-Match: " STR_FMT, STR_ARG(etag));
    snprintf(c->modified, sizeof c->modified, "If-Modified-Since: " STR_FMT, STR_ARG(modified));
    if (etag.len)
        c->headers[n++] = c->etag;
    if (modified.len)
        c->headers[n++] = c->modified;
}

static int open_url(struct fetch *f, str validator, enum fetch_result *ret, struct err *e)
{
    struct condition c = { 0 };
    set_condition(f, validator, &c);
    if (ask(f, c.headers, e) < 0)
        return -1;
    f->head = *http_head(f->http);
    if (f->head.status == 404 || f->head.status == 410 || f->head.status == 403) {
        *ret = f->head.status == 403 ? FETCH_FORBIDDEN : FETCH_MISSING;
        return 0;
    }
    if (f->head.status == 304 && c.headers[0]) {
        buf_str(&f->validator, validator);
        *ret = FETCH_UNCHANGED;
        return 0;
    }
    if (f->head.status != 200)
        return refused(f, &f->head, e);
    http_validator(f);
    f->total = f->head.length;
    /* Some servers do not know conditional requests, but tell what is unchanged all the same. */
    *ret = validator.len && str_eq(validator, buf_view(&f->validator)) ? FETCH_UNCHANGED : FETCH_NEW;
    return f->validator.failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static bool strong(const char *etag) { return *etag && !str_starts(str_from(etag), STR("W/")); }

/* RFC 9110 13.1.5: only a strong validator says that two answers are of the same bytes. `absent_ok`: a part
 * may leave its validators out, as the request named them. */
static bool same_content(const struct fetch *f, const struct http_head *now, bool absent_ok)
{
    bool by_etag = strong(f->head.etag);
    const char *was = by_etag ? f->head.etag : f->head.last_modified;
    const char *is = by_etag ? now->etag : now->last_modified;
    return *was && (!strcmp(was, is) || (absent_ok && !*is));
}

/* After a break: the rest by Range, or all again, and then what was handed out already is dropped. */
static int resume(struct fetch *f, struct err *e)
{
    char range[64], if_range[HTTP_TEXT + 16], place[HTTP_PLACE];
    const char *headers[3] = { 0 };
    const char *v = strong(f->head.etag) ? f->head.etag : f->head.last_modified;
    http_place(f->url, place);
    if (!*v)
        return err_set(e, ERR_NETWORK,
                       "%s: broken off at byte %llu, and without ETag or Last-Modified it cannot be resumed",
                       place, (unsigned long long)f->given);
    snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)f->given);
    snprintf(if_range, sizeof if_range, "If-Range: %s", v);
    headers[0] = range;
    headers[1] = if_range;
    if (ask(f, headers, e) < 0)
        return -1;

    const struct http_head *now = http_head(f->http);
    if (now->status == 206 && now->range_from == f->given && same_content(f, now, true) &&
        (now->range_total < 0 || f->total < 0 || now->range_total == f->total)) {
        f->skip = 0;
        return 0;
    }
    if (now->status == 200 && same_content(f, now, false) && now->length == f->total) {
        f->skip = f->given;
        return 0;
    }
    return err_set(e, ERR_NETWORK, "%s: changed while it was read (answered %u for the rest from byte %llu)",
                   place, now->status, (unsigned long long)f->given);
}

/* 0 go on, -1 give up with e, which holds why the transfer broke off. */
static int recover(struct fetch *f, struct err *e)
{
    if (f->given - f->mark >= PROGRESS) {
        f->tries = 0;
        f->mark = f->given;
    }
    if (e->kind != ERR_NETWORK || !again(f, 0))
        return -1;
    return resume(f, e);
}

static int check_total(const struct fetch *f, struct err *e)
{
    if (f->total < 0 || (int64_t)f->given == f->total)
        return 0;
    char place[HTTP_PLACE];
    http_place(f->url, place);
    return err_set(e, ERR_NETWORK, "%s: %llu bytes instead of %lld", place, (unsigned long long)f->given,
                   (long long)f->total);
}

/* A server that gives a byte now and then would hold up all other sources. What counts is the time that was waited for it. */
static int check_rate(struct fetch *f, int64_t began, size_t got, struct err *e)
{
    f->waited_ms += clock_ms() - began;
    f->window_bytes += got;
    if (f->waited_ms < f->policy->idle_ms)
        return 0;
    bool slow = f->window_bytes * 1000 < RATE_MIN * (uint64_t)f->waited_ms;
    f->waited_ms = 0;
    f->window_bytes = 0;
    char place[HTTP_PLACE];
    http_place(f->url, place);
    return slow ? err_set(e, ERR_NETWORK, "%s: less than %d bytes a second", place, RATE_MIN) : 0;
}

static int read_url(struct fetch *f, str *ret, struct err *e)
{
    struct err last = { 0 };
    for (;;) {
        str got;
        int64_t began = clock_ms();
        int r = http_read(f->http, &got, &last);
        if (r > 0 && check_rate(f, began, got.len, &last) < 0)
            r = -1;
        if (r < 0 && recover(f, &last) < 0) {
            *e = last;
            return -1;
        }
        if (r < 0)
            continue;
        if (r == 0)
            return check_total(f, e);
        size_t old = f->skip < got.len ? (size_t)f->skip : got.len;
        f->skip -= old;
        *ret = str_skip(got, old);
        if (ret->len)
            return 1;
    }
}

/* ---- both ---- */

int fetch_read(void *fetch, str *ret, struct err *e)
{
    struct fetch *f = fetch;
    if (f->done)
        return 0;
    if (f->failure.kind) {
        *e = f->failure;
        return -1;
    }
    int r = f->fd >= 0 ? read_file(f, ret, e) : read_url(f, ret, e);
    if (r > 0)
        f->given += ret->len;
    if (r > 0 && f->given > f->policy->max_bytes)
        r = err_set(e, ERR_LIMIT, "larger than %llu bytes", (unsigned long long)f->policy->max_bytes);
    if (r < 0)
        f->failure = *e;
    f->done = r == 0;
    return r;
}

static struct fetch *fetch_new(const struct fetch_base *b, const char *path, size_t suffix, struct err *e)
{
    struct fetch *f = calloc(1, sizeof *f);
    if (f) {
        f->policy = b->policy;
        f->pool = b->pool;
        f->fd = -1;
        f->total = -1;
        f->url = join(b->place, path, suffixes[suffix], b->is_url);
    }
    if (!f || !f->url) {
        fetch_freep(&f);
        err_set(e, ERR_OOM, "out of memory");
    }
    return f;
}

/* The suffix to try first: that of the last load, else the one that was found last. */
static size_t first_suffix(const struct fetch_base *b, const char *path, str validator)
{
    for (size_t i = 0; b->is_url && b->mirror && validator.len && i < SUFFIXES; i++) {
        CLEANUP(freep) char *url = join(b->place, path, suffixes[i], true);
        if (url && is_validator_of(validator, url))
            return i;
    }
    return b->suffix;
}

/* The suffix to try at turn i: the first, then the others in their order. */
static size_t suffix_at(size_t first, size_t i) { return i == 0 ? first : i <= first ? i - 1 : i; }

struct fetch *fetch_open(struct fetch_base *b, const char *path, str validator, enum fetch_result *ret,
                         struct err *e)
{
    if (!path_is_safe(path)) {
        err_set(e, ERR_INTERNAL, "'%s' is no name of a document", path);
        return NULL;
    }
    size_t names = b->is_url && !b->mirror ? 1 : SUFFIXES, first = first_suffix(b, path, validator);
    CLEANUP(fetch_freep) struct fetch *f = NULL;
    *ret = FETCH_MISSING;
    for (size_t i = 0; i < names; i++) {
        enum fetch_result found;
        size_t suffix = suffix_at(first, i);
        fetch_freep(&f);
        if (!(f = fetch_new(b, path, suffix, e)) ||
            (b->is_url ? open_url : open_file)(f, validator, &found, e) < 0)
            return NULL;
        if (found == FETCH_FORBIDDEN && !b->mirror) {
            refused(f, &f->head, e);
            return NULL;
        }
        if (found != FETCH_MISSING)
            *ret = found;
        if (found == FETCH_NEW || found == FETCH_UNCHANGED) {
            if (b->is_url)
                b->suffix = suffix;
            break;
        }
    }
    struct fetch *opened = f;
    f = NULL;
    return opened;
}

int64_t fetch_total(const struct fetch *f) { return f->total; }

str fetch_validator(const struct fetch *f) { return buf_view(&f->validator); }

void fetch_freep(struct fetch **f)
{
    if (!*f)
        return;
    http_freep(&(*f)->http);
    close_fdp(&(*f)->fd);
    buf_done(&(*f)->validator);
    free((*f)->chunk);
    free((*f)->url);
    free(*f);
    *f = NULL;
}
