#include "config/duration.h"

static const struct {
    str name;
    int64_t ns;
} units[] = {
    { { "ns", 2 }, 1 },           { { "us", 2 }, 1000 },         { { "\302\265s", 3 }, 1000 },
    { { "\316\274s", 3 }, 1000 }, { { "ms", 2 }, 1000000 },      { { "s", 1 }, 1000000000 },
    { { "m", 1 }, 60000000000 },  { { "h", 1 }, 3600000000000 },
};

static bool is_digit(str s) { return s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9'; }

static bool take_number(str *s, int64_t *ret)
{
    bool any = false;
    for (*ret = 0; is_digit(*s); *s = str_skip(*s, 1), any = true)
        if (__builtin_mul_overflow(*ret, 10, ret) || __builtin_add_overflow(*ret, s->ptr[0] - '0', ret))
            return false;
    return any;
}

/* The longest unit that fits: "ms" is not "m". */
static int64_t take_unit(str *s)
{
    size_t best = 0;
    int64_t ns = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (str_starts(*s, units[i].name) && units[i].name.len > best) {
            best = units[i].name.len;
            ns = units[i].ns;
        }
    *s = str_skip(*s, best);
    return ns;
}

/* One "1.5h": at most nine digits behind the point count. */
static bool take_part(str *s, int64_t *ret)
{
    int64_t whole = 0, fraction = 0, scale = 1;
    bool any = take_number(s, &whole);
    if (s->len && s->ptr[0] == '.')
        for (*s = str_skip(*s, 1); is_digit(*s); *s = str_skip(*s, 1), any = true)
            if (scale < 1000000000) {
                fraction = fraction * 10 + (s->ptr[0] - '0');
                scale *= 10;
            }
    int64_t unit = any ? take_unit(s) : 0;
    if (!unit || __builtin_mul_overflow(whole, unit, ret))
        return false;
    return !__builtin_add_overflow(*ret, (int64_t)((__int128)fraction * unit / scale), ret);
}

bool duration_parse(str s, int64_t *ret_ns)
{
    int64_t sum = 0, part;
    if (str_eq(s, STR("0"))) {
        *ret_ns = 0;
        return true;
    }
    if (!s.len)
        return false;
    while (s.len)
        if (!take_part(&s, &part) || __builtin_add_overflow(sum, part, &sum))
            return false;
    *ret_ns = sum;
    return true;
}
