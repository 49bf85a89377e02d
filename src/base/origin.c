#include "base/origin.h"

#include <string.h>
#include <strings.h>

static bool same(str a, str b) { return a.len == b.len && !strncasecmp(a.ptr, b.ptr, a.len); }

bool origin_of_authority(str authority, str scheme, struct origin *ret)
{
    str host = str_skip(authority, (size_t)(str_rfind(authority, '@') + 1));
    ptrdiff_t colon = str_rfind(host, ':'), bracket = str_rfind(host, ']');
    bool written = colon > bracket;
    *ret = (struct origin){ .scheme = scheme,
                            .user = str_head(authority, authority.len - host.len),
                            .authority = host,
                            .host = written ? str_head(host, (size_t)colon) : host,
                            .port = written ? str_skip(host, (size_t)colon + 1) : STR("") };
    if (!ret->port.len)
        ret->port = same(scheme, STR("https")) ? STR("443") : same(scheme, STR("http")) ? STR("80") : STR("");
    return ret->host.len > 0;
}

bool origin_of(str url, struct origin *ret)
{
    str rest = url, scheme = str_cut(&rest, ':');
    size_t end = 0;
    if (!scheme.len || !str_starts(rest, STR("//")))
        return false;
    rest = str_skip(rest, 2);
    while (end < rest.len && !memchr("/?#", rest.ptr[end], 3))
        end++;
    if (!origin_of_authority(str_head(rest, end), scheme, ret))
        return false;
    ret->rest = str_skip(rest, end);
    return true;
}

str origin_host(const struct origin *o)
{
    bool bracketed = str_starts(o->host, STR("[")) && str_ends(o->host, STR("]"));
    return bracketed ? str_skip(str_head(o->host, o->host.len - 1), 1) : o->host;
}

uint16_t origin_port(const struct origin *o)
{
    uint64_t n;
    return str_to_u64(o->port, &n) && n <= 65535 ? (uint16_t)n : 0;
}

bool origin_same(const struct origin *a, const struct origin *b)
{
    return same(a->scheme, b->scheme) && same(a->host, b->host) && str_eq(a->port, b->port);
}
