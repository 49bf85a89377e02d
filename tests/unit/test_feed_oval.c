/* test_feed_oval.c - what criteria mean, and what the sources that publish OVAL (and Photon's JSON) make of it. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* ---- what a parser says, a line for each advisory ---- */

struct lines {
    struct advisory_sink sink;
    struct buf out;
};

static int put_advisory(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct buf *out = &((struct lines *)sink)->out;
    buf_printf(out, "%s" STR_FMT " " STR_FMT " [" STR_FMT "] <" STR_FMT ">", out->len ? "\n" : "",
               STR_ARG(a->key), STR_ARG(a->id), STR_ARG(a->description), STR_ARG(a->link));
    for (size_t i = 0; i < a->meta.alias_count; i++)
        buf_printf(out, " =" STR_FMT, STR_ARG(a->meta.aliases[i]));
    for (size_t i = 0; i < a->range_count; i++) {
        const struct affected_range *r = &a->ranges[i];
        assert_true(str_eq(r->scheme, STR("rpm")));
        buf_printf(out, "; " STR_FMT " %s" STR_FMT " %s" STR_FMT "%s" STR_FMT "%s" STR_FMT " %s",
                   STR_ARG(r->namespace), r->kind == AFFECTS_SOURCE ? "source " : "", STR_ARG(r->package),
                   r->negative ? "not" : "<", STR_ARG(r->fixed_version), r->arch.len ? " " : "",
                   STR_ARG(r->arch), r->module.len ? " in " : "", STR_ARG(r->module),
                   severity_name(r->severity));
        assert_int_equal(r->state, r->fixed_version.len ? FIX_FIXED : FIX_AFFECTED);
    }
    return 0;
}

static void check(const char *feed, const char *document, str text, const char *want)
{
    struct lines lines = { .sink = { .put = put_advisory } };
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, &e);
    const struct feed_input input = { .document = str_from(document), .bytes = in };
    int r = feed_by_name(str_from(feed))->parse(&input, &lines.sink, &e);
    buf_char(&lines.out, '\0');
    assert_int_equal(r < 0, e.kind != ERR_NONE);
    assert_string_equal(r < 0 ? e.text : lines.out.ptr, want);
    buf_done(&lines.out);
}

/* ---- Oracle: by comment ---- */

#define ELSA "security/oval/com.oracle.elsa-all.xml.bz2"
#define HEAD                                                                                                 \
    "<oval_definitions><definitions><definition id='oval:com.oracle.elsa:def:20231' "                        \
    "class='patch'><metadata>"                                                                               \
    "<title>\nELSA-2023-1:  a fix (IMPORTANT)\n</title><reference source='elsa' ref_id='ELSA-2023-1' "       \
    "ref_url='https://l/1'/>"                                                                                \
    "<reference source='CVE' ref_id='CVE-2023-1'/><description>d</description><advisory><severity>IMPORTANT" \
    "</severity><cve href='h'>CVE-2023-2</cve><cve>CVE-2023-1</cve>"
#define BODY(criteria) HEAD "</advisory></metadata>" criteria "</definition></definitions></oval_definitions>"
#define IS(comment)    "<criterion test_ref='oval:x:tst:1' comment='" comment "'/>"
#define AND(children)  "<criteria operator='AND'>" children "</criteria>"
#define OR(children)   "<criteria operator='OR'>" children "</criteria>"
#define OL(n)          IS("Oracle Linux " n " is installed")
#define ARCH(a)        IS("Oracle Linux arch is " a)
#define A(evr)         AND(IS("a is earlier than " evr) IS("a is signed with the Oracle Linux 8 key"))
#define SAID           "20231 ELSA-2023-1 [d] <https://l/1> =CVE-2023-1 =CVE-2023-2; "

static const struct {
    const char *text, *want;
} oracle[] = {
    { BODY(AND(OL("8") A("0:1-2.el8"))), SAID "oracle:8 a <1-2.el8 High" },
    /* both architectures have it: any; one only: those that such a machine can have */
    { BODY(AND(OL("8") OR(AND(ARCH("aarch64") A("1:1-2")) AND(ARCH("x86_64") A("1:1-2"))))),
      SAID "oracle:8 a <1:1-2 High" },
    { BODY(AND(OL("8") OR(AND(ARCH("x86_64") OR(A("0:1-2")))))),
      SAID "oracle:8 a <1-2 x86_64 High; oracle:8 a <1-2 noarch High; oracle:8 a <1-2 i686 High" },
    { BODY(AND(OL("7") OR(AND(ARCH("aarch64") A("0:1-3")) AND(ARCH("x86_64") A("0:1-2"))))),
      SAID "oracle:7 a <1-2 x86_64 High; oracle:7 a <1-2 noarch High; oracle:7 a <1-2 i686 High; "
           "oracle:7 a <1-3 aarch64 High; oracle:7 a <1-3 noarch High" },
    { BODY(AND(OL("8") OR(AND(ARCH("aarch64") OR(A("0:1-2") A("0:1-3"))) AND(ARCH("x86_64") A("0:1-2"))))),
      SAID "oracle:8 a <1-2 High; oracle:8 a <1-3 aarch64 High; oracle:8 a <1-3 noarch High" },
    { BODY(AND(OL("8") AND(IS("Module virt:kvm is enabled") A("0:1-2")))),
      SAID "oracle:8 a <1-2 in virt:kvm High" },
    /* AND combines, OR lists; a row comes once */
    { BODY(AND(OR(OL("7") OL("8")) OR(A("0:1-2") A("0:1-2") IS("b is earlier than 0:2-3")))),
      SAID "oracle:7 a <1-2 High; oracle:7 b <2-3 High; oracle:8 a <1-2 High; oracle:8 b <2-3 High" },
    { BODY(OR(AND(OL("7") A("0:1-2")) AND(OL("8") A("0:1-3")))),
      SAID "oracle:7 a <1-2 High; oracle:8 a <1-3 High" },
    /* what is not known, or negated, is not there; another product's is not ours */
    { BODY(AND(OL("8") OR(IS("a is fine") IS("a is signed with x")) AND("") A("0:1-2"))),
      SAID "oracle:8 a <1-2 High" },
    { BODY(AND(OL("8") A("0:1-2") "<criterion negate='true' comment='b is earlier than 1'/>"
                                  "<criteria negate='true' operator='AND'>" A(
                                      "0:9-9") "</criteria>"
                                               "<criteria operator='XOR'>" A(
                                                   "0:9-9") "</criteria><extend_definition/>")),
      SAID "oracle:8 a <1-2 High" },
    { BODY(OR(AND(IS("Oracle VM is installed") A("0:1-2")) AND(OL("8x") A("0:1-2")))), "" },
    { BODY(AND(A("0:1-2"))), "" },
    /* flavours */
    { BODY(AND(OL("8") OR(A("2:1-15.ksplice1.el8_3") A("0:1-2.el8_fips") A("0:1-2.el8")))),
      SAID "oracle:8 a <1-2.el8 High" },
    { HEAD
      "<affected_cpe_list><cpe>cpe:/a:oracle:linux:8::userspace_ksplice</cpe></affected_cpe_list></advisory>"
      "</metadata>" AND(OL("8") A("0:1-2")) "</definition></definitions></oval_definitions>",
      "" },
    { HEAD "<affected_cpe_list><cpe>cpe:/a:oracle:linux:8::userspace_ksplice</cpe><cpe>cpe:/"
           "a:oracle:linux:8::latest</cpe>"
           "</affected_cpe_list></advisory></metadata>" AND(
               OL("8") A("0:1-2")) "</definition></definitions></oval_definitions>",
      SAID "oracle:8 a <1-2 High" },
    /* documents */
    { "<oval_definitions/>", "it has no definitions" },
    { "<oval_definitions><definitions/><tests/></oval_definitions>", "" },
    { "<oval_definitions><tests/><definitions/></oval_definitions>",
      "xml: byte 26: 'definitions' is not where it should be" },
    { "<html/>", "xml: byte 0: 'html' instead of 'oval_definitions'" },
    { "<oval_definitions><definitions><definition><metadata/></definition></definitions></oval_definitions>",
      "xml: byte 31: a definition without an id" },
    { "<oval_definitions><definitions><definition "
      "id='a:1'><metadata/></definition></definitions></oval_definitions>",
      "xml: byte 63: a definition without a title" },
};

static void test_oracle(void **state)
{
    for (size_t i = 0; i < sizeof oracle / sizeof *oracle; i++)
        check("oracle", ELSA, str_from(oracle[i].text), oracle[i].want);
}

/* The first of one id keeps it, so that its key stays what it was. */
static void test_two_of_one_id(void **state)
{
    static const char one[] = "<definition id='o:def:1'><metadata><title>ELSA-1: t</title></metadata>" AND(
        OL("8") A("0:1-2")) "</definition>";
    CLEANUP(buf_done) struct buf b = { 0 };
    buf_printf(&b, "<oval_definitions><definitions>%s%s</definitions></oval_definitions>", one, one);
    check("oracle", ELSA, buf_view(&b),
          "1 ELSA-1 [] <>; oracle:8 a <1-2 Unknown\n1#2 ELSA-1 [] <>; oracle:8 a <1-2 Unknown");
}

static void test_limits(void **state)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    static const char before[] = HEAD "</advisory></metadata>";
    buf_printf(&b, "%s", before);
    for (int i = 0; i < 33; i++)
        buf_str(&b, STR("<criteria>"));
    check("oracle", ELSA, buf_view(&b),
          "ELSA-2023-1:  a fix (IMPORTANT): xml: byte 726: criteria more than 32 deep");
    buf_clear(&b);
    buf_printf(&b, "%s<criteria>", before);
    for (int i = 0; i < 17; i++)
        buf_str(&b, STR("<criteria operator='OR'><criterion comment='a is earlier than 1'/><criterion "
                        "comment='b is earlier than 1'/></criteria>"));
    buf_str(&b, STR("</criteria></definition></definitions></oval_definitions>"));
    check("oracle", ELSA, buf_view(&b), "ELSA-2023-1:  a fix (IMPORTANT): more than 65536 combinations");
    buf_clear(&b);
    buf_printf(&b, "<oval_definitions><definitions><definition id='a:1'><metadata><title>t</title>");
    for (int i = 0; i < 1025; i++)
        buf_printf(&b, "<cve>CVE-1-%d</cve>", i);
    check("oracle", ELSA, buf_view(&b), "t: more than 1024 CVEs");
}

/* ---- SUSE, Azure Linux: by reference ---- */

#define SLES15 "pub/projects/security/oval/suse.linux.enterprise.server.15.xml.gz"
#define REFS                                                                                                 \
    "</definitions><tests>"                                                                                  \
    "<rpminfo_test id='oval:s:tst:1'><object object_ref='oval:s:obj:1'/><state state_ref='oval:s:ste:1'/>"   \
    "</rpminfo_test>"                                                                                        \
    "<rpminfo_test id='oval:s:tst:2'><object object_ref='oval:s:obj:1'/><state state_ref='oval:s:ste:2'/>"   \
    "</rpminfo_test>"                                                                                        \
    "<rpminfo_test id='oval:s:tst:3'><object object_ref='oval:s:obj:1'/><state state_ref='oval:s:ste:3'/>"   \
    "</rpminfo_test>"                                                                                        \
    "<rpminfo_test id='oval:s:tst:4'><object object_ref='oval:s:obj:2'/><state state_ref='oval:s:ste:4'/>"   \
    "</rpminfo_test>"                                                                                        \
    "<rpminfo_test id='oval:s:tst:5'><object object_ref='oval:s:obj:2'/><state state_ref='oval:s:ste:5'/>"   \
    "</rpminfo_test>"                                                                                        \
    "<rpminfo_test id='oval:s:tst:6'><object object_ref='oval:s:obj:3'/></rpminfo_test>"                     \
    "<rpminfo_test id='oval:s:tst:7'><object object_ref='oval:s:obj:2'/><state state_ref='oval:s:ste:7'/>"   \
    "</rpminfo_test>"                                                                                        \
    "<rpminfo_test id='oval:s:tst:9'/><rpminfo_test id='oval:s:tst:10'><object "                             \
    "object_ref='oval:s:obj:4'/><state state_ref='oval:s:ste:5'/></rpminfo_test><rpminfo_test "              \
    "id='oval:s:tst:11'><object object_ref='oval:s:obj:5'/></rpminfo_test></tests><objects><rpminfo_object " \
    "id='oval:s:obj:1'><name>a</name>"                                                                       \
    "</rpminfo_object><rpminfo_object id='oval:s:obj:2'><name>b</name></rpminfo_object><rpminfo_object "     \
    "id='oval:s:obj:4'><name var_ref='oval:s:var:1' var_check='at least "                                    \
    "one'/></rpminfo_object><rpminfo_object id='oval:s:obj:5'><name "                                        \
    "var_ref='oval:s:var:2'/></rpminfo_object></objects><states>"                                            \
    "<rpminfo_state id='oval:s:ste:1'><arch operation='pattern match'>(aarch64|x86_64)</arch>"               \
    "<evr operation='less than'>0:1-2</evr></rpminfo_state>"                                                 \
    "<rpminfo_state id='oval:s:ste:2'><evr operation='greater than'>0:0-0</evr></rpminfo_state>"             \
    "<rpminfo_state id='oval:s:ste:3'><version operation='equals'>0</version></rpminfo_state>"               \
    "<rpminfo_state id='oval:s:ste:4'><arch operation='pattern match'>(s390x)</arch><evr operation='less "   \
    "than'>1:1-1</evr></rpminfo_state>"                                                                      \
    "<rpminfo_state id='oval:s:ste:5'><arch operation='pattern match'>(aarch64|x86_64)</arch><evr "          \
    "operation='less than'>1:1-2</evr></rpminfo_state>"                                                      \
    "<rpminfo_state id='oval:s:ste:8'><evr>0:9</evr></rpminfo_state></states><variables><constant_variable " \
    "id='oval:s:var:1'><value>y</value><value>z</value></constant_variable><constant_variable "              \
    "id='oval:s:var:3'/></variables></oval_definitions>"
#define CVE(criteria)                                                                                        \
    "<oval_definitions><definitions><definition id='oval:s:def: 20231'><metadata><title> CVE-2023-1</title>" \
    "<advisory><severity>Moderate</severity></advisory></metadata>" criteria "</definition>" REFS
#define T(n)   "<criterion test_ref='oval:s:tst:" #n "' comment='c'/>"
#define SLE(p) IS("SUSE Linux Enterprise " p " is installed")
#define SUSE(s)                                                                                              \
    "suse.linux.enterprise.server.15/20231 CVE-2023-1 [] <https://www.suse.com/security/cve/CVE-2023-1>; " s

static const struct {
    const char *text, *want;
} suse[] = {
    { CVE(AND(SLE("Server 15 SP5") T(1))), SUSE("sles:15.5 a <1-2 Medium") },
    { CVE(AND(SLE("Server 15 SP5") T(2))), SUSE("sles:15.5 a < Medium") },
    { CVE(AND(SLE("Server 15 SP5") T(3))), SUSE("sles:15.5 a not Medium") },
    { CVE(AND(SLE("Server 15 SP5") T(4))), SUSE("sles:15.5 b <1:1-1 s390x Medium") },
    { CVE(AND(SLE("Server 15 SP5") OR(T(4) T(5)))),
      SUSE("sles:15.5 b <1:1-1 s390x Medium; sles:15.5 b <1:1-2 aarch64 Medium; sles:15.5 b <1:1-2 x86_64 "
           "Medium") },
    /* products of one namespace; affected goes before not affected */
    { CVE(AND(OR(SLE("Server 15 SP1-LTSS") SLE("Module for Basesystem 15 SP1") SLE("Server 15") SLE(
          "Desktop 15 SP1") SLE("Server for SAP Applications 16.0") IS("SUSE Manager Server 4.1 is installed")
                     IS("openSUSE Leap 15.6 is installed") IS("openSUSE Leap Micro 5.2 is installed")
                         IS("openSUSE Tumbleweed is installed") IS("SUSE Linux Micro 6.1 is installed")
                             SLE("Micro 5.5") SLE("Storage 7") SLE("Server")) T(1))),
      SUSE("opensuse.leap:15.6 a <1-2 Medium; opensuse.tumbleweed a <1-2 Medium; sl-micro:6.1 a <1-2 Medium; "
           "sle-micro:5.5 a <1-2 Medium; sles:15 a <1-2 Medium; sles:15.1 a <1-2 Medium; sles:16.0 a <1-2 "
           "Medium") },
    { CVE(OR(AND(SLE("Server 15 SP1") T(3)) AND(SLE("Server 15 SP1-LTSS") T(1)) AND(SLE("Server 15") T(3)))),
      SUSE("sles:15 a not Medium; sles:15.1 a <1-2 Medium") },
    { CVE(OR(AND(SLE("Module for Web and Scripting 12") T(3)) AND(SLE("Server 12 SP5") T(1)))),
      SUSE("sles:12 a not Medium; sles:12.1 a not Medium; sles:12.2 a not Medium; sles:12.3 a not Medium; "
           "sles:12.4 a not Medium; sles:12.5 a <1-2 Medium") },
    { CVE(AND(SLE("Server 15") T(10))), SUSE("sles:15 y <1:1-2 Medium; sles:15 z <1:1-2 Medium") },
    /* what does not lead anywhere */
    { CVE(AND(SLE("Server 15") T(8))), "CVE-2023-1: it refers to a test that is not there" },
    { CVE(AND(SLE("Server 15") T(6))), "CVE-2023-1: it refers to an object that is not there" },
    { CVE(AND(SLE("Server 15") T(7))), "CVE-2023-1: it refers to a state that is not there" },
    { CVE(AND(SLE("Server 15") T(11))), "CVE-2023-1: it refers to a variable that is not there" },
    { CVE(AND(SLE("Server 15") T(9))), "" },
    { CVE(AND(SLE("Desktop 15") T(8))), "" },
    { CVE(AND("<criterion test_ref='x:y' comment='c'/>")), "CVE-2023-1: 'x:y' is no OVAL id" },
};

static void test_suse(void **state)
{
    for (size_t i = 0; i < sizeof suse / sizeof *suse; i++)
        check("suse", SLES15, str_from(suse[i].text), suse[i].want);
    check("suse", "pub/projects/security/oval/suse.linux.enterprise.server.9.xml.gz", STR(""),
          "no document of SUSE");
}

/* More than fits into one advisory. */
static void test_suse_many(void **state)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    struct lines lines = { .sink = { .put = put_advisory } };
    struct err e = { 0 };
    buf_printf(&b,
               "<oval_definitions><definitions><definition id='oval:s:def:1'><metadata><title>CVE-1-1</title>"
               "</metadata><criteria><criterion comment='openSUSE Leap 15.6 is installed'/><criteria "
               "operator='OR'>");
    for (int i = 1; i <= 5000; i++)
        buf_printf(&b, "<criterion comment='c' test_ref='oval:s:tst:%d'/>", i);
    buf_printf(&b, "</criteria></criteria></definition></definitions><tests>");
    for (int i = 1; i <= 5000; i++)
        buf_printf(
            &b,
            "<t id='oval:s:tst:%d'><object object_ref='oval:s:obj:%d'/><state state_ref='oval:s:ste:1'/></t>",
            i, i);
    buf_printf(&b, "</tests><objects>");
    for (int i = 1; i <= 5000; i++)
        buf_printf(&b, "<o id='oval:s:obj:%d'><name>p%d</name></o>", i, i);
    buf_printf(&b,
               "</objects><states><s id='oval:s:ste:1'><evr operation='less than'>0:1-1</evr></s></states>"
               "</oval_definitions>");
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(buf_view(&b), &e);
    const struct feed_input input = { .document = STR("pub/projects/security/oval/opensuse.leap.15.6.xml.gz"),
                                      .bytes = in };
    assert_int_equal(feed_by_name(STR("suse"))->parse(&input, &lines.sink, &e), 0);
    size_t rows = 0, advisories = 1;
    for (size_t i = 0; i < lines.out.len; i++) {
        rows += lines.out.ptr[i] == ';';
        advisories += lines.out.ptr[i] == '\n';
    }
    assert_int_equal(rows, 5000);
    assert_int_equal(advisories, 2);
    assert_true(str_contains(buf_view(&lines.out), STR("\nopensuse.leap.15.6/1/1 CVE-1-1 ")));
    buf_done(&lines.out);
}

/* What has to be held until the tests come is too much. */
static void test_held(void **state)
{
    CLEANUP(buf_done) struct buf b = { 0 };
    char text[2001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buf_printf(&b, "<oval_definitions><definitions>");
    for (int i = 1; i <= 34000; i++)
        buf_printf(&b,
                   "<definition "
                   "id='o:def:%d'><metadata><title>CVE-1-%d</title><description>%s</description></metadata></"
                   "definition>",
                   i, i, text);
    struct lines lines = { .sink = { .put = put_advisory } };
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(buf_view(&b), &e);
    const struct feed_input input = { .document = STR(SLES15), .bytes = in };
    assert_int_equal(feed_by_name(STR("suse"))->parse(&input, &lines.sink, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_true(str_ends(str_from(e.text), STR(": definitions that take more than 67108864 bytes")));
}

#define AZURE(patchable, test)                                                                               \
    "<oval_definitions><definitions><definition id='oval:s:def:7'><metadata><title>CVE-2023-1 affecting "    \
    "a</title>"                                                                                              \
    "<reference ref_id='CVE-2023-1' ref_url='https://n/1' source='CVE'/><patchable>" patchable               \
    "</patchable><severity>Critical</severity></metadata><criteria operator='AND'>" test                     \
    "</criteria></definition></definitions><tests><t id='oval:s:tst:1'><object object_ref='oval:s:obj:1'/>"  \
    "<state state_ref='oval:s:ste:1'/></t><t id='oval:s:tst:2'><object object_ref='oval:s:obj:1'/><state "   \
    "state_ref='oval:s:ste:2'/></t><t id='oval:s:tst:3'><object object_ref='oval:s:obj:1'/><state "          \
    "state_ref='oval:s:ste:3'/></t></tests><objects><o "                                                     \
    "id='oval:s:obj:1'><name>a</name></o></objects><states>"                                                 \
    "<s id='oval:s:ste:1'><evr operation='less than'>0:3.4.0-1.azl3</evr></s><s id='oval:s:ste:2'><evr "     \
    "operation='less than or equal'>0:2-1</evr></s><s id='oval:s:ste:3'><evr operation='greater "            \
    "than'>0:1.19.0</evr></s></states></oval_definitions>"

static void test_azurelinux(void **state)
{
    static const char azure[] = "azurelinux-3.0-oval.xml", mariner[] = "cbl-mariner-2.0-oval.xml";
    check("azurelinux", azure, STR(AZURE("true", T(1))),
          "azurelinux-3.0/7 CVE-2023-1 [] <https://n/1>; azurelinux:3 source a <3.4.0-1.azl3 Critical");
    check("azurelinux", mariner, STR(AZURE("true", T(1) T(3))),
          "cbl-mariner-2.0/7 CVE-2023-1 [] <https://n/1>; mariner:2 source a <3.4.0-1.azl3 Critical");
    check("azurelinux", mariner, STR(AZURE("false", T(2))),
          "cbl-mariner-2.0/7 CVE-2023-1 [] <https://n/1>; mariner:2 source a < Critical");
    check("azurelinux", mariner, STR(AZURE("Not Applicable", T(2))), "");
    check("azurelinux", "cbl-mariner-1.0-oval.xml", STR(""), "no document of Azure Linux");
}

/* ---- Photon OS ---- */

#define PHOTON5  "photon_cve_metadata/cve_data_photon5.0.json"
#define NVD(cve) "5.0/" cve " " cve " [] <https://nvd.nist.gov/vuln/detail/" cve ">; "

static const struct {
    const char *text, *want;
} photon[] = {
    { "[]", "" },
    { "[{\"cve_id\":\"CVE-1-2\",\"pkg\":\"b\",\"cve_score\":9.0,\"res_ver\":\"0:1-2.ph5\",\"status\":"
      "\"Fixed\"},"
      "{\"cve_id\":\"CVE-1-1\",\"pkg\":\"a\",\"cve_score\":null,\"res_ver\":\"NA\",\"status\":\"Not "
      "Affected\",\"x\":[{}]},"
      "{\"cve_id\":\"CVE-1-2\",\"pkg\":\"a\",\"cve_score\":\"3.9\",\"res_ver\":\"NA\",\"aff_ver\":\"NA\"},"
      "{\"cve_id\":\"CVE-1-2\",\"pkg\":\"b\",\"cve_score\":9.0,\"res_ver\":\"0:1-2.ph5\",\"status\":"
      "\"Fixed\"}]",
      NVD("CVE-1-1") "photon:5 a not Unknown\n" NVD(
          "CVE-1-2") "photon:5 a < Low; photon:5 b <1-2.ph5 Critical" },
    /* what is fixed was affected */
    { "[{\"cve_id\":\"CVE-1-1\",\"pkg\":\"a\",\"cve_score\":7,\"res_ver\":\"NA\",\"status\":\"Not "
      "Affected\"},"
      "{\"cve_id\":\"CVE-1-1\",\"pkg\":\"a\",\"cve_score\":0.1,\"res_ver\":\"1-1\",\"status\":\"Fixed\"},"
      "{\"cve_id\":\"CVE-1-1\",\"pkg\":\"b\",\"cve_score\":4.0,\"res_ver\":\"1-1\"},"
      "{\"cve_id\":\"CVE-1-1\",\"pkg\":\"c\",\"cve_score\":0.0,\"res_ver\":\"1-1\"}]",
      NVD("CVE-1-1") "photon:5 a <1-1 Low; photon:5 b <1-1 Medium; photon:5 c <1-1 Unknown" },
    { "[{\"cve_id\":\"BDSA-1\",\"pkg\":\"a\",\"res_ver\":\"1\"},{\"cve_id\":\"Re\",\"pkg\":\"a\"}]", "" },
    { "[{\"cve_id\":\"CVE-1-1\"}]", "entry 1: without a cve_id or a pkg" },
    { "[{\"cve_id\":\"CVE-1-1\",\"pkg\":\"a\"},1]", "entry 2 is no object" },
    { "{}", "json: byte 0: an array wanted, not an object" },
};

static void test_photon(void **state)
{
    for (size_t i = 0; i < sizeof photon / sizeof *photon; i++)
        check("photon", PHOTON5, str_from(photon[i].text), photon[i].want);
    check("photon", "photon_cve_metadata/cve_data_photon6.0.json", STR("[]"), "no document of Photon OS");
    check("photon", "photon_oval_definitions/com.vmware.phsa-photon3.xml.gz",
          STR("<oval_definitions><definitions><definition id='oval:com.vmware.phsa:def:20203'><metadata>"
              "<title>PHSA-2020:1 a (Important)</title><reference ref_id='PHSA:1' ref_url='https://p' "
              "source='PHSA'/>"
              "<advisory><severity>Important</severity><cve>CVE-1-1</cve><cve>CVE-1-2</cve></advisory></"
              "metadata>" AND(IS("Photon OS 3 is installed") OR(
                  AND(IS("a is earlier than 0:1-5.ph3")))) "</definition>"
                                                           "</definitions></oval_definitions>"),
          "3.0/20203/CVE-1-1 CVE-1-1 [] <https://p>; photon:3 a <1-5.ph3 High\n"
          "3.0/20203/CVE-1-2 CVE-1-2 [] <https://p>; photon:3 a <1-5.ph3 High");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle),     cmocka_unit_test(test_two_of_one_id),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_suse),
        cmocka_unit_test(test_suse_many),  cmocka_unit_test(test_held),
        cmocka_unit_test(test_azurelinux), cmocka_unit_test(test_photon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
