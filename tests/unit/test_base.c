/* test_base.c - views, errors, arenas, buffers, maps and the clock. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/origin.h"
#include "base/strmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_cutting(void **state)
{
    (void)state;
    str rest = STR("a:b::c");
    assert_true(str_eq(str_cut(&rest, ':'), STR("a")));
    assert_true(str_eq(str_cut(&rest, ':'), STR("b")));
    assert_true(str_eq(str_cut(&rest, ':'), STR("")));
    assert_true(str_eq(str_cut(&rest, ':'), STR("c")) && !rest.len);
    rest = STR("one\r\ntwo\n\nlast");
    assert_true(str_eq(str_line(&rest), STR("one")) && str_eq(str_line(&rest), STR("two")));
    assert_true(!str_line(&rest).len && str_eq(str_line(&rest), STR("last")) && !rest.len);
    rest = STR("  x\ty ");
    assert_true(str_eq(str_word(&rest), STR("x")) && str_eq(str_word(&rest), STR("y")) &&
                !str_word(&rest).len);
    assert_true(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    assert_true(str_contains(STR("abc"), STR("bc")) && str_contains(STR("abc"), STR("")) &&
                !str_contains(STR("abc"), STR("cb")));
    assert_false(str_contains((str){ 0 }, STR("a")));
    assert_int_equal(str_find(STR("abcb"), 'b'), 1);
    assert_int_equal(str_rfind(STR("abcb"), 'b'), 3);
    assert_int_equal(str_find((str){ 0 }, 'b'), -1);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("b"), STR("ab")) > 0 &&
                !str_cmp(STR(""), (str){ 0 }));
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } rows[] = { { "0", true, 0 },
                 { "007", true, 7 },
                 { "18446744073709551615", true, UINT64_MAX },
                 { "18446744073709551616", false, 0 },
                 { "99999999999999999999", false, 0 },
                 { "", false, 0 },
                 { "-1", false, 0 },
                 { "1 ", false, 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t v = 42;
        assert_int_equal(str_to_u64(str_from(rows[i].text), &v), rows[i].ok);
        assert_true(v == (rows[i].ok ? rows[i].value : 42));
    }
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = { { "", true },
                 { "\xc3\xa9", true },
                 { "\xf0\x9f\x98\x80", true },
                 { "\xed\x9f\xbf", true },
                 { "\xc0\xaf", false },
                 { "\xe0\x80\xaf", false },
                 { "\xed\xa0\x80", false },
                 { "\xf4\x90\x80\x80", false },
                 { "\xe2\x82", false },
                 { "\x80", false },
                 { "\xff", false },
                 { "a\xc3(", false } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(str_utf8(str_from(rows[i].text)), rows[i].ok);
}

static void test_errors(void **state)
{
    struct err e = { 0 };
    (void)state;
    assert_int_equal(err_set(&e, ERR_FORMAT, "%s", "caf\xc3\xa9 \x1b[31m\n\xff \xc2\x9b"), -1);
    assert_string_equal(e.text, "caf\xc3\xa9 \\x1b[31m\\x0a\\xff \\xc2\\x9b");
    assert_int_equal(err_wrap(&e, "line %d", 7), -1);
    assert_string_equal(e.text, "line 7: caf\xc3\xa9 \\x1b[31m\\x0a\\xff \\xc2\\x9b");
    assert_int_equal(e.kind, ERR_FORMAT);

    char name[2000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    err_set(&e, ERR_IO, "the reason");
    err_wrap(&e, "%s", name);
    assert_true(str_ends(str_from(e.text), STR("...: the reason")));

    errno = ENOSPC;
    assert_int_equal(err_errno(&e, "write"), -1);
    assert_int_equal(e.kind, ERR_FULL);
    assert_int_equal(err_exit_code(ERR_NONE), 0);
    assert_int_equal(err_exit_code(ERR_USAGE), 2);
    assert_int_equal(err_exit_code(ERR_FORMAT), 1);
}

static void test_arena(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new((size_t)1 << 20);
    for (size_t n = 1; n < 5000; n += 37) {
        char *p = arena_alloc(a, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    int *list = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        list = arena_grow(a, list, (size_t)i, &cap, sizeof *list);
        list[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(list[i], i);
    assert_true(str_eq(arena_printf(a, "%d-%s", 7, "x"), STR("7-x")));
    assert_false(arena_failed(a));
    assert_null(arena_alloc(a, SIZE_MAX / 2, 4)); /* overflows */
    assert_true(arena_failed(a) && !arena_alloc(a, 1, 1));

    CLEANUP(arena_freep) struct arena *small = arena_new(100000);
    assert_null(arena_alloc(small, 200000, 1));
    assert_true(arena_used(small) <= 100000);
}

static void test_buf(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = { .max = 10 };
    buf_str(&b, STR("12345"));
    buf_printf(&b, "%d", 678);
    assert_true(str_eq(buf_view(&b), STR("12345678")) && !b.failed);
    buf_str(&b, STR("abc")); /* one too many */
    assert_true(b.failed && b.len == 8);
    buf_char(&b, 'x'); /* dropped, although there is room */
    assert_int_equal(b.len, 8);
    buf_clear(&b);
    buf_char(&b, 'x');
    assert_true(str_eq(buf_view(&b), STR("x")));
}

static void test_map(void **state)
{
    static char names[5000][8];
    (void)state;
    CLEANUP(strmap_done) struct strmap m = { 0 };
    assert_null(strmap_get(&m, STR("none")));
    for (uintptr_t i = 0; i < 5000; i++) {
        snprintf(names[i], sizeof names[i], "%u", (unsigned)i);
        *strmap_at(&m, str_from(names[i])) = (void *)(i + 1);
    }
    assert_int_equal(m.count, 5000);
    for (uintptr_t i = 0; i < 5000; i++)
        assert_ptr_equal(strmap_get(&m, str_from(names[i])), (void *)(i + 1));
    *strmap_at(&m, STR("7")) = NULL;
    assert_int_equal(m.count, 5000);
    assert_null(strmap_get(&m, STR("7")));
    *strmap_at(&m, (str){ 0 }) = &m;
    assert_ptr_equal(strmap_get(&m, STR("")), &m);
}

static void test_hash(void **state)
{
    (void)state;
    assert_true(str_hash(STR("a"), 1) != str_hash(STR("a"), 2));
    assert_true(str_hash(STR("a"), 1) != str_hash(STR("a\0"), 1));
    assert_true(str_hash(STR("abcdefgh1"), 1) != str_hash(STR("abcdefgh2"), 1));
    assert_true(str_hash(STR("abcdefghijklmnop"), 3) == str_hash(STR("abcdefghijklmnop"), 3));
}

static void test_clock(void **state)
{
    char text[CLOCK_TEXT];
    int64_t t = 7;
    (void)state;
    assert_true(clock_parse(STR("2024-02-29T12:34:56Z"), &t));
    clock_format(t, text);
    assert_string_equal(text, "2024-02-29T12:34:56Z");
    assert_false(clock_parse(STR("2024-02-29T12:34:56"), &t) || clock_parse(STR("2024-02-29T12:34:56+"), &t));
    setenv("ECLAIR_NOW", "1970-01-02T00:00:00Z", 1);
    assert_int_equal(clock_now(), 86400);
    unsetenv("ECLAIR_NOW");
    assert_true(clock_now() > 1700000000);
}

static void test_file(void **state)
{
    char path[] = "/tmp/eclair-test-XXXXXX", bytes[40000];
    CLEANUP(buf_done) struct buf whole = { 0 }, large = { .max = sizeof bytes }, none = { 0 };
    struct err e = { 0 };
    (void)state;
    int fd = mkstemp(path);
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    close(fd);
    assert_int_equal(buf_read_file(&whole, path, &e), 0);
    assert_true(str_eq(buf_view(&whole), str_of(bytes, sizeof bytes)));
    assert_int_equal(buf_read_file(&large, path, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    unlink(path);
    e = (struct err){ 0 };
    assert_int_equal(buf_read_file(&none, path, &e), -1);
    assert_true(str_starts(str_from(e.text), STR("open /tmp/eclair-test-")));
}

static bool same_place(str a, str b)
{
    struct origin x, y;
    return origin_of(a, &x) && origin_of(b, &y) && origin_same(&x, &y);
}

static void test_origins(void **state)
{
    (void)state;
    assert_true(same_place(STR("https://a"), STR("HTTPS://A:443/x?y")));
    assert_true(same_place(STR("http://[::1]:80/"), STR("http://[::1]")));
    assert_true(same_place(STR("http://a:6060"), STR("http://a:6060#x")));
    assert_false(same_place(STR("http://a"), STR("https://a")));
    assert_false(same_place(STR("http://a"), STR("http://a.b")));
    assert_false(same_place(STR("http://a:81"), STR("http://a")));
    assert_false(same_place(STR("a"), STR("a")));
    assert_false(same_place(STR("http://"), STR("http://")));
    assert_false(same_place(STR(""), STR("")));
    struct origin o;
    assert_true(origin_of(STR("http://me:secret@[fe80::1]:6060/x"), &o));
    assert_true(str_eq(origin_host(&o), STR("fe80::1")) && origin_port(&o) == 6060);
    assert_true(str_eq(o.user, STR("me:secret@")) && str_eq(o.authority, STR("[fe80::1]:6060")));
    assert_true(str_eq(o.rest, STR("/x")));
    assert_true(origin_of(STR("http://a:65536"), &o) && origin_port(&o) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cutting), cmocka_unit_test(test_numbers), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_errors),  cmocka_unit_test(test_arena),   cmocka_unit_test(test_buf),
        cmocka_unit_test(test_file),    cmocka_unit_test(test_map),     cmocka_unit_test(test_hash),
        cmocka_unit_test(test_clock),   cmocka_unit_test(test_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
