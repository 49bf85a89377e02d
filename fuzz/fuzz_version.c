/*
 * fuzz_version.c - three versions, one a line: in every scheme the keys must order them as the comparator
 * does, and the order must be one (a < b and b < c make a < c).
 */
#include "version/version.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int n) { return (n > 0) - (n < 0); }

static void check_pair(const struct version_scheme *s, str a, str b)
{
    struct version_key x, y;
    bool a_key = s->key(a, &x), b_key = s->key(b, &y);
    if ((a_key && !s->valid(a)) || x.len > VERSION_KEY_MAX || !a_key != !x.len)
        abort();
    if (!s->valid(a) || !s->valid(b))
        return;
    int order = s->compare(a, b);
    if (order < -1 || order > 1 || s->compare(b, a) != -order || s->compare(a, a) != 0)
        abort();
    if (a_key && b_key && sign(str_cmp(version_key_view(&x), version_key_view(&y))) != order)
        abort();
}

static void check_triple(const struct version_scheme *s, str a, str b, str c)
{
    if (!s->valid(a) || !s->valid(b) || !s->valid(c))
        return;
    int ab = s->compare(a, b), bc = s->compare(b, c);
    if (ab * bc >= 0 && s->compare(a, c) != sign(ab + bc))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str rest = str_of(data, size);
    str a = str_cut(&rest, '\n'), b = str_cut(&rest, '\n'), c = rest;
    for (size_t i = 0; version_schemes[i]; i++) {
        check_pair(version_schemes[i], a, b);
        check_pair(version_schemes[i], b, c);
        check_pair(version_schemes[i], c, a);
        check_triple(version_schemes[i], a, b, c);
    }
    return 0;
}
