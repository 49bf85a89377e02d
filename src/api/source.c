#include "api/source.h"

#include "api/api.h"
#include "base/cleanup.h"
#include "net/places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- a file ---- */

/* Where the open file really is: links and ".." are gone, and it cannot be another one by now. */
static bool real_path(int fd, char ret[PATH_MAX])
{
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, ret, PATH_MAX - 1);
    if (n > 0)
        ret[n] = '\0';
    return n > 0;
}

static bool lies_in(const char *path, str folder)
{
    char real[PATH_MAX], given[PATH_MAX];
    snprintf(given, sizeof given, STR_FMT, STR_ARG(folder));
    str f = str_from(realpath(given, real) ? real : given), p = str_from(path);
    while (f.len > 1 && f.ptr[f.len - 1] == '/')
        f.len--;
    return str_starts(p, f) && (f.len == 1 || p.len == f.len || p.ptr[f.len] == '/');
}

bool source_is_here(const struct request *r)
{
    return r->loopback && !request_header(r, "X-Forwarded-For").len;
}

/* Whoever may read what this server can read: without a list of folders only those who are on this machine anyway. */
static bool is_allowed(const struct api_options *o, bool here, int fd)
{
    char path[PATH_MAX];
    if (!o->localpaths)
        return here;
    if (!real_path(fd, path))
        return false;
    for (size_t i = 0; i < o->localpath_count; i++)
        if (lies_in(path, o->localpaths[i]))
            return true;
    return false;
}

static int open_file(const struct api_options *o, bool here, str path, struct arena *arena,
                     struct source *ret, struct err *e)
{
    struct stat st;
    char self[40];
    const char *name = arena_cstr(arena, path);
    CLEANUP(close_fdp) int place = -1;
    errno = ENOENT;
    if (name && strlen(name) == path.len) /* opening some devices does something: look first */
        place = open(name, O_PATH | O_CLOEXEC);
    if (place < 0 || fstat(place, &st) < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: %s", name ? name : "", strerror(errno));
    if (!is_allowed(o, here, place))
        return err_set(e, ERR_NOT_FOUND, "%s: not below a folder of api.localpaths", name);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_FORMAT, "%s: a folder", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_NOT_FOUND, "%s: not a regular file", name);
    snprintf(self, sizeof self, "/proc/self/fd/%d", place);
    ret->fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (ret->fd < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: %s", name, strerror(errno));
    ret->input = (struct cage_input){ .fd = ret->fd, .size = (uint64_t)st.st_size };
    return 0;
}

/* ---- a URL ---- */

static int read_url(void *ctx, str *ret, struct err *e) { return download_read(ctx, ret, e); }

/* RFC 9110 5.6.2 and 5.5: what is none would become another line of the request. */
static bool is_header(const struct v1_header *h)
{
    for (size_t i = 0; i < h->key.len; i++)
        if ((unsigned char)h->key.ptr[i] <= ' ' || (unsigned char)h->key.ptr[i] > '~' ||
            memchr("()<>@,;:\\\"/[]?={}", h->key.ptr[i], 17))
            return false;
    for (size_t i = 0; i < h->value.len; i++)
        if ((unsigned char)h->value.ptr[i] < ' ' && h->value.ptr[i] != '\t')
            return false;
    return h->key.len;
}

/* What belongs to the connection: Go's client ignores them in a request's own headers. */
static bool is_ours(str name)
{
    static const char *const names[] = { "Host", "Content-Length", "Transfer-Encoding", "Trailer" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.len == strlen(names[i]) && !strncasecmp(name.ptr, names[i], name.len))
            return true;
    return false;
}

/* "Name: value"; NULL on error. */
static const char *const *header_lines(const struct source_place *p, struct arena *arena, struct err *e)
{
    const char **lines = arena_array(arena, const char *, p->header_count + 1);
    size_t n = 0;
    for (size_t i = 0; lines && i < p->header_count; i++) {
        const struct v1_header *h = &p->headers[i];
        if (!is_header(h)) {
            err_set(e, ERR_NOT_FOUND, "Headers: '" STR_FMT "' is no header", STR_ARG(h->key));
            return NULL;
        }
        if (is_ours(h->key))
            continue;
        str line = arena_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(h->key), STR_ARG(h->value));
        lines[n++] = arena_cstr(arena, line);
    }
    if (arena_failed(arena)) {
        err_set(e, ERR_OOM, "headers");
        return NULL;
    }
    return lines;
}

static int open_url(const struct api_options *o, const struct source_place *p, struct arena *arena,
                    struct source *ret, struct err *e)
{
    static const struct places anywhere; /* but for link-local addresses */
    const struct api_fetch *f = &o->fetch;
    const struct download_options options = { .http = { .places = f->places ? f->places : &anywhere,
                                                        .ca_more = f->cafile,
                                                        .insecure = f->insecure_tls,
                                                        .decode = true,
                                                        .min_rate = MIN_RATE,
                                                        .max_redirects = 10,
                                                        .stop = p->stop },
                                              .size_max = f->size_max,
                                              .timeout_ms = f->timeout_ms };
    const char *url = arena_cstr(arena, p->path);
    const char *const *headers = header_lines(p, arena, e);
    if (!url || !headers)
        return url ? -1 : err_set(e, ERR_OOM, "url");
    ret->download = download_open(url, headers, &options, e);
    if (!ret->download) {
        if (e->kind != ERR_OOM && e->kind != ERR_BUSY)
            e->kind = ERR_NOT_FOUND;
        return -1;
    }
    ret->input = (struct cage_input){ .fd = -1, .read = read_url, .ctx = ret->download };
    return 0;
}

int source_open(const struct api_options *o, const struct source_place *p, bool here, struct arena *arena,
                struct source *ret, struct err *e)
{
    *ret = (struct source){ .fd = -1 };
    bool url = str_starts(p->path, STR("http://")) || str_starts(p->path, STR("https://"));
    return url ? open_url(o, p, arena, ret, e) : open_file(o, here, p->path, arena, ret, e);
}

void source_done(struct source *s)
{
    download_freep(&s->download);
    close_fdp(&s->fd);
}
