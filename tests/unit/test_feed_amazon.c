/* test_feed_amazon.c - mirror.list leads to repomd.xml, that to updateinfo.xml, and what its updates mean. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct lines {
    struct advisory_sink sink;
    struct buf out;
};

static int put_advisory(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct buf *out = &((struct lines *)sink)->out;
    buf_printf(out, STR_FMT " " STR_FMT " [" STR_FMT "] <" STR_FMT ">", STR_ARG(a->key), STR_ARG(a->id),
               STR_ARG(a->description), STR_ARG(a->link));
    for (size_t i = 0; i < a->meta.alias_count; i++)
        buf_printf(out, " =" STR_FMT, STR_ARG(a->meta.aliases[i]));
    for (size_t i = 0; i < a->range_count; i++) {
        const struct affected_range *r = &a->ranges[i];
        assert_int_equal(r->kind, AFFECTS_BINARY);
        assert_int_equal(r->state, FIX_FIXED);
        buf_printf(out, "; " STR_FMT " " STR_FMT " " STR_FMT "<" STR_FMT " %s", STR_ARG(r->namespace),
                   STR_ARG(r->package), STR_ARG(r->arch), STR_ARG(r->fixed_version),
                   severity_name(r->severity));
    }
    return 0;
}

static int put_lead(struct advisory_sink *sink, const struct feed_lead *lead, struct err *e)
{
    buf_printf(&((struct lines *)sink)->out, STR_FMT " -> " STR_FMT " (" STR_FMT ")", STR_ARG(lead->name),
               STR_ARG(lead->path), STR_ARG(lead->fingerprint));
    return 0;
}

static const struct {
    const char *document, *path, *text, *want; /* or the error */
} rows[] = {
    { "2/core/latest/x86_64/mirror.list", "", "https://h/2/core/2.0/$basearch/abc/\nhttps://other/\n",
      "2/x86_64/repomd.xml -> https://h/2/core/2.0/x86_64/abc/repodata/repomd.xml ()" },
    { "al2023/core/mirrors/latest/aarch64/mirror.list", "", "@BASE@/amazon/x\n",
      "2023/aarch64/repomd.xml -> @BASE@/amazon/x/repodata/repomd.xml ()" },
    { "2/core/latest/x86_64/mirror.list", "", "\n", "line 1: no mirror" },
    { "2/x86_64/repomd.xml", "2/core/m/repodata/repomd.xml",
      "<repomd><data type='primary'><checksum>1</checksum><location href='p'/></data><data "
      "type='updateinfo'><checksum type='sha256'>ab"
      "</checksum><location href='repodata/u.xml.gz'/></data></repomd>",
      "2/x86_64/updateinfo.xml -> 2/core/m/repodata/u.xml.gz (ab)" },
    { "2/x86_64/repomd.xml", "r", "<repomd/>", "it has no updateinfo" },
    { "2/x86_64/repomd.xml", "r", "<repomd><data type='updateinfo'><checksum>1</checksum></data></repomd>",
      "xml: byte 54: updateinfo without location or checksum" },
    { "2/x86_64/updateinfo.xml", "u",
      "<updates><update "
      "type='security'><id>ALAS2-2023-1</id><title>t</title><severity>Important</severity><description>a\n\t "
      "b</description>"
      "<references><reference id='CVE-2023-1' type='cve'/><reference id='CVE-2023-1' type='cve'/><reference "
      "id='RHSA-1' type='redhat'/>"
      "</references><pkglist><collection><name>n</name><package name='b' epoch='1' version='2' "
      "release='3.amzn2' arch='x86_64'>"
      "<filename>f</filename></package><package name='a' epoch='0' version='2' release='3' arch='noarch'/>"
      "<package name='a' version='2' release='3' arch='noarch'/><package name='a' version='2' release='3' "
      "arch='src'/></collection></pkglist>"
      "</update><update type='bugfix'><id>ALAS2-2023-2</id></update></updates>",
      "2/x86_64/ALAS2-2023-1 ALAS2-2023-1 [a b] <https://alas.aws.amazon.com/AL2/ALAS-2023-1.html> "
      "=CVE-2023-1; amzn:2 a <2-3 High; amzn:2 b "
      "x86_64<1:2-3.amzn2 High" },
    { "2/x86_64/updateinfo.xml", "u", "<updates/>", "" },
    { "2/x86_64/updateinfo.xml", "u", "<updates><update><title/></update></updates>",
      "xml: byte 25: an update without an id" },
    { "2/x86_64/updateinfo.xml", "u",
      "<updates><update><id>A</id><pkglist><package name='a'/></pkglist></update></updates>",
      "A: xml: byte 36: a package without a name or version" },
    { "2/x86_64/updateinfo.xml", "u", "<html/>", "xml: byte 0: 'html' instead of 'updates'" },
    { "3/updateinfo.xml", "u", "<updates/>", "no document of Amazon Linux" },
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lines lines = { .sink = { .put = put_advisory, .lead = put_lead } };
        struct err e = { 0 };
        CLEANUP(stream_freep) struct stream *in = stream_from_mem(str_from(rows[i].text), &e);
        const struct feed_input input = { .document = str_from(rows[i].document),
                                          .path = str_from(rows[i].path),
                                          .bytes = in };
        int r = feed_by_name(STR("amazon"))->parse(&input, &lines.sink, &e);
        buf_char(&lines.out, '\0');
        assert_string_equal(r < 0 ? e.text : lines.out.ptr, rows[i].want);
        buf_done(&lines.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
