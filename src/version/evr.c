#include "version/key.h"

struct evr {
    str epoch, version, release;
    bool has_release;
};

static bool split(str v, struct evr *ret)
{
    struct evr p = { .epoch = STR("0"), .release = STR("") };
    if (!version_printable(v, false))
        return false;
    str rest = v, epoch = version_digits(&rest);
    if (rest.len && rest.ptr[0] == ':') {
        p.epoch = epoch;
        v = str_skip(rest, 1);
    }
    ptrdiff_t dash = str_rfind(v, '-');
    if (dash >= 0) {
        p.has_release = true;
        p.release = str_skip(v, (size_t)dash + 1);
        v = str_head(v, (size_t)dash);
    }
    p.version = v;
    *ret = p;
    return v.len > 0;
}

bool version_evr_valid(str v)
{
    struct evr p;
    return split(v, &p);
}

int version_evr_compare(str a, str b, int (*part)(str a, str b))
{
    struct evr x = { 0 }, y = { 0 };
    split(a, &x), split(b, &y);
    int order = version_number_compare(x.epoch, y.epoch);
    if (!order)
        order = part(x.version, y.version);
    if (!order)
        order = x.has_release - y.has_release;
    return order ? order : part(x.release, y.release);
}

bool version_evr_key(str v, void (*part)(struct version_key *k, str s), struct version_key *ret)
{
    struct evr p;
    ret->len = 0;
    if (!split(v, &p))
        return false;
    vk_number(ret, p.epoch, 0x02);
    part(ret, p.version);
    if (p.has_release)
        part(ret, p.release);
    return vk_finish(ret);
}
