/* Frames of STOMP: what is whole, what is not yet, what never will be. */
#include "base/cleanup.h"
#include "notify/sender.h"
#include "notify/stomp_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define BYTES(literal) str_of("" literal, sizeof(literal) - 1)

static void same(str got, str want)
{
    assert_int_equal(got.len, want.len);
    if (want.len)
        assert_memory_equal(got.ptr, want.ptr, want.len);
}

static int parse(str bytes, struct stomp_frame *f, size_t *used)
{
    struct err e = { 0 };
    return stomp_parse(bytes, f, used, &e);
}

static void test_whole(void **state)
{
    str bytes = BYTES("\r\n\nRECEIPT\r\nreceipt-id:a\\cb\\\\\nreceipt-id:later\nempty:\n\nbo\0rest");
    struct stomp_frame f;
    size_t used;
    for (size_t n = 0; n < bytes.len - 4; n++)
        assert_int_equal(parse(str_head(bytes, n), &f, &used), 0);
    assert_int_equal(parse(bytes, &f, &used), 1);
    same(str_skip(bytes, used), STR("rest"));
    same(f.command, STR("RECEIPT"));
    same(f.body, STR("bo"));
    same(stomp_header(&f, STR("receipt-id")), STR("a\\cb\\\\"));
    assert_true(stomp_says(&f, STR("receipt-id"), STR("a:b\\")));
    assert_false(stomp_says(&f, STR("receipt-id"), STR("a:b")));
    assert_true(stomp_says(&f, STR("empty"), STR("")));
    assert_false(stomp_says(&f, STR("none"), STR("")));
}

static void test_length(void **state)
{
    struct stomp_frame f;
    size_t used;
    assert_int_equal(parse(BYTES("ERROR\ncontent-length:3\n\na\0b\0"), &f, &used), 1);
    same(f.body, BYTES("a\0b"));
    assert_int_equal(parse(BYTES("ERROR\ncontent-length:3\n\na\0b"), &f, &used), 0);
}

static void test_bad(void **state)
{
    static const str bad[] = { { "error\n\n\0", 8 },
                               { "ERROR\nno header\n\n\0", 18 },
                               { "ERROR\n:value\n\n\0", 15 },
                               { "ERROR\ncontent-length:1\n\nab\0", 27 },
                               { "ERROR\ncontent-length:x\n\n\0", 25 },
                               { "ERROR\ncontent-length:70000\n\n", 28 } };
    struct stomp_frame f;
    size_t used;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(bad[i], &f, &used), -1);
    CLEANUP(buf_done) struct buf many = { 0 };
    buf_str(&many, STR("ERROR\n"));
    for (unsigned i = 0; i <= STOMP_HEADERS; i++)
        buf_str(&many, STR("a:b\n"));
    assert_int_equal(parse(buf_view(&many), &f, &used), -1);
    CLEANUP(buf_done) struct buf endless = { 0 };
    while (endless.len <= STOMP_FRAME_MAX)
        buf_str(&endless, STR("ENDLESS"));
    assert_int_equal(parse(buf_view(&endless), &f, &used), -1);
}

/* What is written is read again; a line end in a value is no line of its own. */
static void test_write(void **state)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    struct stomp_frame f;
    size_t used;
    stomp_begin(&out, "SEND");
    stomp_add(&out, "destination", STR("/queue/a:b\nx:y"), true);
    stomp_end(&out, STR("{}"));
    assert_int_equal(parse(buf_view(&out), &f, &used), 1);
    assert_int_equal(used, out.len);
    assert_int_equal(f.header_count, 1);
    assert_true(stomp_says(&f, STR("destination"), STR("/queue/a:bx:y")));
    same(f.body, STR("{}"));
}

static void test_body(void **state)
{
    char body[NOTIFY_BODY];
    size_t n = sender_body(STR("6a681b4e-7ef8-4548-8e9e-2f1d06418910"), body);
    same(str_of(body, n), STR("{\"Notification\":{\"Name\":\"6a681b4e-7ef8-4548-8e9e-2f1d06418910\"}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_whole), cmocka_unit_test(test_length),
                                        cmocka_unit_test(test_bad), cmocka_unit_test(test_write),
                                        cmocka_unit_test(test_body) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
