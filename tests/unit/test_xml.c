/* test_xml.c - the XML reader: events, what is passed over, limits, and errors that say where. */
#include "codec/xml.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* All events as text: <name a=v>, 'text', </name>; or the error. */
static void events_of(str doc, struct buf *out)
{
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(doc, &e);
    CLEANUP(xml_freep) struct xml *x = xml_new(in, &e);
    enum xml_type type = XML_OPEN;
    str text;
    assert_non_null(x);
    buf_clear(out);
    while (type != XML_END) {
        if (xml_next(x, &type, &text, &e) < 0) {
            assert_true(e.kind != ERR_NONE);
            buf_printf(out, "! %s", e.text);
            struct err again = { 0 };
            assert_int_equal(xml_next(x, &type, &text, &again), -1);
            assert_string_equal(again.text, e.text);
            return;
        }
        if (type == XML_OPEN) {
            buf_printf(out, "<" STR_FMT, STR_ARG(text));
            str a = xml_attribute(x, "a");
            if (a.len)
                buf_printf(out, " a=" STR_FMT, STR_ARG(a));
            buf_str(out, STR(">"));
        } else if (type == XML_CLOSE) {
            buf_printf(out, "</" STR_FMT ">", STR_ARG(text));
        } else if (type == XML_TEXT) {
            buf_printf(out, "'" STR_FMT "'", STR_ARG(text));
        }
    }
}

static const struct {
    const char *doc, *want;
} rows[] = {
    { "<r/>", "<r></r>" },
    { "<?xml version='1.0'?>\n<!-- c --><r>\n <b a='1'>x</b>\n <b/></r>\n", "<r><b a=1>'x'</b><b></b></r>" },
    { "<o:r xmlns:o='u' o:a='1' b='2'><o:c/></o:r>", "<r a=1><c></c></r>" },
    { "<r>a&amp;b&#x41;<![CDATA[<x>]]> c</r>", "<r>'a&bA<x> c'</r>" },
    { "<r>a<b/>c</r>", "<r>'a'<b></b>'c'</r>" },
    { "<!DOCTYPE r><r/>", "<r></r>" },
    { "<!DOCTYPE r [<!ENTITY x 'y'>]><r>&x;</r>",
      "! xml: line 1 byte 12: a document type with declarations of its own" },
    { "<r>&x;</r>", "! xml: line 1 byte 3: undefined entity" },
    { "<r>\n<b></c></r>", "! xml: line 2 byte 9: mismatched tag" },
    { "<r><b>", "<r><b>! xml: line 1 byte 6: no element found" },
    { "", "! xml: line 1 byte 0: no element found" },
    { "<r/><r/>", "! xml: line 1 byte 4: junk after document element" },
    { "<r a='1' a='2'/>", "! xml: line 1 byte 9: duplicate attribute" },
    { "<r>\xff</r>", "! xml: line 1 byte 3: not well-formed (invalid token)" },
};

static void test_events(void **state)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        events_of(str_from(rows[i].doc), &out);
        buf_char(&out, '\0');
        assert_string_equal(out.ptr, rows[i].want);
    }
}

static void repeat(struct buf *b, const char *text, unsigned times)
{
    while (times--)
        buf_str(b, str_from(text));
}

static void check_error(str doc, const char *part)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    events_of(doc, &out);
    buf_char(&out, '\0');
    assert_non_null(strstr(out.ptr, part));
}

static void test_limits(void **state)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    repeat(&doc, "<d>", 64);
    repeat(&doc, "</d>", 64);
    check_error(buf_view(&doc), "</d>");
    buf_clear(&doc);
    repeat(&doc, "<d>", 65);
    check_error(buf_view(&doc), "nested deeper than 64");

    buf_clear(&doc);
    buf_str(&doc, STR("<r"));
    for (int i = 0; i < 65; i++)
        buf_printf(&doc, " a%d='1'", i);
    buf_str(&doc, STR("/>"));
    check_error(buf_view(&doc), "more than 64 attributes");

    buf_clear(&doc);
    buf_str(&doc, STR("<r>"));
    repeat(&doc, "0123456789abcdef", 65536);
    CLEANUP(buf_done) struct buf one_more = { 0 };
    buf_str(&one_more, buf_view(&doc));
    buf_str(&doc, STR("</r>"));
    check_error(buf_view(&doc), "</r>");
    buf_str(&one_more, STR("x</r>"));
    check_error(buf_view(&one_more), "a text of more than 1 MiB");
}

/* Text across slices and chunks comes whole, and offsets are those of the document. */
static void test_long(void **state)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    struct err e = { 0 };
    buf_str(&doc, STR("<r>"));
    for (int i = 0; i < 20000; i++)
        buf_printf(&doc, "<item n='%d'><name>item %d</name><skip><deep>x</deep></skip></item>", i, i);
    buf_str(&doc, STR("</r>"));
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(buf_view(&doc), &e);
    CLEANUP(xml_freep) struct xml *x = xml_new(in, &e);
    str name, text;
    int count = 0, r;
    assert_int_equal(xml_root(x, &name, &e), 0);
    for (; (r = xml_child(x, &name, &e)) > 0; count++) {
        char want[40];
        uint64_t number;
        assert_true(str_to_u64(xml_attribute(x, "n"), &number) && number == (uint64_t)count);
        assert_true(str_starts(str_skip(buf_view(&doc), (size_t)xml_offset(x)), STR("<item n=")));
        assert_int_equal(xml_child(x, &name, &e), 1);
        assert_int_equal(xml_content(x, &text, &e), 0);
        snprintf(want, sizeof want, "item %d", count);
        assert_true(str_eq(text, str_from(want)));
        assert_int_equal(xml_child(x, &name, &e), 1);
        assert_int_equal(xml_skip(x, &e), 0);
        assert_int_equal(xml_child(x, &name, &e), 0);
    }
    assert_int_equal(r, 0);
    assert_int_equal(count, 20000);
    assert_int_equal(xml_finish(x, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
