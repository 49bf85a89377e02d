#include "image/reference.h"
#include "codec/sha256.h"

#include <ctype.h>
#include <strings.h>

#define TAG_MAX 128

static bool is_lower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
static bool is_alnum(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }

static bool all(str s, bool (*is)(char c))
{
    for (size_t i = 0; i < s.len; i++)
        if (!is(s.ptr[i]))
            return false;
    return s.len;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_address(char c) { return c == ':' || isxdigit((unsigned char)c); }
static bool is_tag(char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; }
static bool is_host(char c) { return is_alnum(c) || c == '-'; }

/* ---- the host ---- */

static bool has_capital(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
            return true;
    return false;
}

static bool names_host(str first)
{
    return str_find(first, '.') >= 0 || str_find(first, ':') >= 0 || str_eq(first, STR("localhost")) ||
           has_capital(first);
}

/* The port, with its colon, is cut off `host`. */
static bool port_valid(str *host)
{
    bool v6 = host->len && host->ptr[0] == '[';
    ptrdiff_t end = v6 ? str_find(*host, ']') : str_find(*host, ':') - 1;
    str port = end < 0 && (v6 || str_find(*host, ':') < 0) ? (str){ 0 } : str_skip(*host, (size_t)(end + 1));
    uint64_t number;
    *host = str_head(*host, host->len - port.len);
    if (!port.len)
        return true;
    port = str_skip(port, 1);
    return all(port, is_digit) && str_to_u64(port, &number) && number <= 65535;
}

static bool host_valid(str host)
{
    if (!port_valid(&host))
        return false;
    if (host.len && host.ptr[0] == '[')
        return host.len > 3 && host.ptr[host.len - 1] == ']' &&
               all(str_of(host.ptr + 1, host.len - 2), is_address);
    for (bool more = true; more;) {
        more = str_find(host, '.') >= 0;
        str part = str_cut(&host, '.');
        if (!all(part, is_host) || part.ptr[0] == '-' || part.ptr[part.len - 1] == '-')
            return false;
    }
    return true;
}

/* "debian" is "library/debian" of docker.io. */
static void split_host(str name, struct arena *arena, struct reference *ret)
{
    str rest = name, first = str_cut(&rest, '/');
    bool named = first.len < name.len && names_host(first);
    ret->host = named ? first : STR("docker.io");
    ret->path = named ? rest : name;
    if (str_eq(ret->host, STR("index.docker.io")))
        ret->host = STR("docker.io");
    if (str_eq(ret->host, STR("docker.io")) && str_find(ret->path, '/') < 0)
        ret->path = arena_printf(arena, "library/" STR_FMT, STR_ARG(ret->path));
}

/* ---- path, tag, digest ---- */

static size_t separator(str s)
{
    size_t dashes = 0;
    while (dashes < s.len && s.ptr[dashes] == '-')
        dashes++;
    if (dashes || !s.len)
        return dashes;
    if (str_starts(s, STR("__")))
        return 2;
    return s.ptr[0] == '.' || s.ptr[0] == '_';
}

/* Runs of [a-z0-9], between them one of ".", "_", "__" and dashes. */
static bool component_valid(str s)
{
    for (;;) {
        size_t n = 0;
        while (n < s.len && is_lower(s.ptr[n]))
            n++;
        if (!n)
            return false;
        s = str_skip(s, n);
        if (!s.len)
            return true;
        n = separator(s);
        if (!n)
            return false;
        s = str_skip(s, n);
    }
}

static int check_path(str path, struct err *e)
{
    if (has_capital(path))
        return err_set(e, ERR_USAGE, "no image name: '" STR_FMT "' must be in lower case", STR_ARG(path));
    for (bool more = true; more;) {
        more = str_find(path, '/') >= 0;
        str part = str_cut(&path, '/');
        if (!part.len)
            return err_set(e, ERR_USAGE, "no image name: a part between slashes is empty");
        if (!component_valid(part))
            return err_set(e, ERR_USAGE,
                           "no image name: '" STR_FMT
                           "' must be letters and digits, with single '.', '_', '-' between them",
                           STR_ARG(part));
    }
    return 0;
}

static int check_tag(str tag, struct err *e)
{
    if (!tag.len)
        return err_set(e, ERR_USAGE, "no image name: the tag is empty");
    if (tag.len > TAG_MAX)
        return err_set(e, ERR_USAGE, "no image name: the tag is longer than %d bytes", TAG_MAX);
    if (!all(tag, is_tag) || tag.ptr[0] == '.' || tag.ptr[0] == '-')
        return err_set(e, ERR_USAGE,
                       "no image name: the tag '" STR_FMT "' must be letters, digits, '_', '.' and '-'",
                       STR_ARG(tag));
    return 0;
}

static int check_digest(str digest, struct err *e)
{
    if (digest_valid(digest))
        return 0;
    if (str_starts(digest, STR("sha256:")))
        return err_set(e, ERR_USAGE,
                       "no image name: a sha256 digest is 64 lower-case hex digits, not '" STR_FMT "'",
                       STR_ARG(str_skip(digest, STR("sha256:").len)));
    if (str_find(digest, ':') > 0)
        return err_set(e, ERR_UNSUPPORTED, "digest '" STR_FMT "' is not sha256", STR_ARG(digest));
    return err_set(e, ERR_USAGE, "no image name: behind '@' stands no digest");
}

static bool is_identifier(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isxdigit((unsigned char)s.ptr[i]) || has_capital(s))
            return false;
    return s.len == 64;
}

/* Takes tag and digest off the end. */
static int split_end(str *name, struct reference *ret, struct err *e)
{
    ptrdiff_t at = str_find(*name, '@');
    if (at >= 0) {
        ret->digest = str_skip(*name, (size_t)at + 1);
        *name = str_head(*name, (size_t)at);
        if (check_digest(ret->digest, e) < 0)
            return -1;
    }
    ptrdiff_t colon = str_rfind(*name, ':'), slash = str_rfind(*name, '/');
    if (colon > slash) {
        ret->tag = str_skip(*name, (size_t)colon + 1);
        *name = str_head(*name, (size_t)colon);
        return check_tag(ret->tag, e);
    }
    if (at < 0)
        ret->tag = STR("latest");
    return 0;
}

int reference_parse(str text, struct arena *arena, struct reference *ret, struct err *e)
{
    struct reference r = { 0 };
    str name = arena_dup(arena, text);
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "image name");
    if (!name.len)
        return err_set(e, ERR_USAGE, "no image name: it is empty");
    if (is_identifier(name))
        return err_set(e, ERR_USAGE,
                       "no image name: an image's id alone does not say which repository it is in");
    if (split_end(&name, &r, e) < 0)
        return -1;
    split_host(name, arena, &r);
    if (!host_valid(r.host))
        return err_set(e, ERR_USAGE, "no image name: '" STR_FMT "' is no HOST[:PORT]", STR_ARG(r.host));
    if (check_path(r.path, e) < 0)
        return -1;
    if (r.host.len + 1 + r.path.len > REFERENCE_NAME_MAX)
        return err_set(e, ERR_USAGE, "no image name: longer than %d bytes", REFERENCE_NAME_MAX);
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "image name");
    *ret = r;
    return 0;
}

/* An address of the loopback network is written with four numbers; a name that begins so is none. */
static bool is_loopback4(str host)
{
    unsigned parts = 0;
    uint64_t first = 0, n;
    for (bool more = true; more; parts++) {
        more = str_find(host, '.') >= 0;
        if (!str_to_u64(str_cut(&host, '.'), &n) || n > 255)
            return false;
        first = parts ? first : n;
    }
    return parts == 4 && first == 127;
}

bool reference_is_local(str host)
{
    return port_valid(&host) &&
           (str_eq(host, STR("localhost")) || str_eq(host, STR("[::1]")) || is_loopback4(host));
}
