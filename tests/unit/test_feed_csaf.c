/* test_feed_csaf.c - what CSAF documents mean: each rule and each error, on documents of our own. */
#include "redhat_said.h"

#define ONE        VEX_FOLDER "2024/cve-1.json"
#define HELPER(k)  "'product_identification_helper':{'" k "':"
#define CPE(id, c) "{'product':{'product_id':'" id "'," HELPER("cpe") "'cpe:/" c "'}}}"
#define RPM(id, p) "{'product':{'product_id':'" id "'," HELPER("purl") "'pkg:rpm/redhat/" p "'}}}"
#define PART(s, p)                                                                                           \
    "{'full_product_name':{'product_id':'" s ":" p "'},'product_reference':'" p                              \
    "','relates_to_product_reference':'" s "'}"
#define TREE(branches, relations)                                                                            \
    "'product_tree':{'branches':[{'branches':[" branches "]}],'relationships':[" relations "]}"
#define HEAD(id)        "'document':{'tracking':{'id':'" id "','status':'final'}}"
#define FLAWS(text)     "'vulnerabilities':[{'cve':'CVE-1'," text "}]"
#define VEX(tree, text) "{" HEAD("CVE-1") "," tree "," FLAWS(text) "}"
#define FIX(id, products)                                                                                    \
    "{'category':'vendor_fix','url':'https://access.redhat.com/errata/" id "','product_ids':[" products "]}"

/* Streams: B is BaseOS of RHEL 9, E of 9.2 EUS, R RHEL 9 as such, L is laid over RHEL 8, N tells no release. */
#define STREAMS                                                                                              \
    CPE("B", "o:redhat:enterprise_linux:9::baseos")                                                          \
    "," CPE("E", "o:redhat:rhel_eus:9.2::baseos") "," CPE("R", "o:redhat:enterprise_linux:9") "," CPE(       \
        "L", "a:redhat:openshift:4.13::el8") "," CPE("N", "a:redhat:openshift:4")

static void test_spec_example(void **state)
{
    check(
        ONE, "",
        "{'document':{'tracking':{'id':'CVE-2099-0003','status':'final'}},'product_tree':{'branches':[{"
        "'category':'vendor','name':'Red Hat','branches':[{'category':'product_name','name':'BaseOS "
        "9','product':{'name':'BaseOS 9','product_id':'BaseOS-9.4','product_identification_helper':{'cpe':"
        "'cpe:/o:redhat:enterprise_linux:9::baseos'}}},{'category':'product_version','name':'demo-1.0-2."
        "el9.x86_64','product':{'name':'demo','product_id':'demo-0:1.0-2.el9.x86_64','product_"
        "identification_helper':{'purl':'pkg:rpm/redhat/demo@1.0-2.el9?arch=x86_64'}}}]}],'relationships':[{"
        "'category':'default_component_of','full_product_name':{'name':'x','product_id':'BaseOS-9.4:demo-0:"
        "1.0-2.el9.x86_64'},'product_reference':'demo-0:1.0-2.el9.x86_64','relates_to_product_reference':"
        "'BaseOS-9.4'}]},'vulnerabilities':[{'cve':'CVE-2099-0003','product_status':{'fixed':['BaseOS-9.4:"
        "demo-0:1.0-2.el9.x86_64']},'threats':[{'category':'impact','details':'Moderate'}],'remediations':[{"
        "'category':'vendor_fix','url':'https://access.redhat.com/errata/RHSA-2099:1','product_ids':["
        "'BaseOS-9.4:demo-0:1.0-2.el9.x86_64']}]}]}",
        "CVE-2099-0003/RHSA-2099:1 RHSA-2099:1 =CVE-2099-0003; rhel:9 demo.x86_64 fixed<1.0-2.el9 Medium "
        "enterprise_linux:9::baseos\n");
}

static void test_fixed(void **state)
{
    static const struct row rows[] = {
        /* an epoch, what is escaped in a purl, and a module cut to its name and stream */
        { VEX(TREE(STREAMS "," RPM("p", "p%2Bq@1%2B2-3?arch=noarch&epoch=4&rpmmod=m%3As:8010:ctx"),
                   PART("B", "p")),
              "'product_status':{'fixed':['B:p']},'remediations':[" FIX("RHSA-1:2", "'B:p'") "]"),
          "CVE-1/RHSA-1:2 RHSA-1:2 =CVE-1; rhel:9 p+q {m:s} fixed<4:1+2-3 Unknown "
          "enterprise_linux:9::baseos\n" },
        /* two fixes of one product, streams with their own; a fix of what is not listed as fixed says nothing */
        { VEX(TREE(
                  STREAMS "," RPM("p", "p@1-1?arch=x86_64") "," RPM("q", "q@2-1?arch=x86_64&epoch=0"),
                  PART("B", "p") "," PART("E", "p") "," PART("L", "q") "," PART("N", "q") "," PART("E", "q")),
              "'remediations':[" FIX("RHSA-1:2", "'B:p','E:p','L:q','N:q'") "," FIX(
                  "RHSA-1:3", "'B:p','E:q'") "],'product_status':{'fixed':['E:p','B:p','L:q','N:q']}"),
          "CVE-1/RHSA-1:2 RHSA-1:2 =CVE-1; rhel:8 q.x86_64 fixed<2-1 Unknown openshift:4.13::el8; rhel:9 "
          "p.x86_64 "
          "fixed<1-1 Unknown enterprise_linux:9::baseos; rhel:9 p.x86_64 fixed<1-1 Unknown "
          "rhel_eus:9.2::baseos\n"
          "CVE-1/RHSA-1:3 RHSA-1:3 =CVE-1; rhel:9 p.x86_64 fixed<1-1 Unknown enterprise_linux:9::baseos\n" },
        /* fixed by nobody knows what */
        { VEX(TREE(STREAMS "," RPM("p", "p@1-1?arch=x86_64"), PART("B", "p")),
              "'product_status':{'fixed':['B:p']},'remediations':[{'category':'vendor_fix','product_ids':['B:"
              "p']}]"),
          "CVE-1 CVE-1; rhel:9 p.x86_64 fixed<1-1 Unknown enterprise_linux:9::baseos\n" },
        /* sources count where no binary package is named beside them */
        { VEX(TREE(STREAMS
                   "," RPM("p", "p@1-1?arch=x86_64") "," RPM("s", "s@1-1?arch=src") "," RPM("o", "o@1-1"),
                   PART("B", "p") "," PART("B", "s") "," PART("E", "s") "," PART("E", "o")),
              "'product_status':{'fixed':['B:s','B:p','E:s','E:o']}"),
          "CVE-1 CVE-1; rhel:9 p.x86_64 fixed<1-1 Unknown enterprise_linux:9::baseos; rhel:9 o.src fixed<1-1 "
          "Unknown rhel_eus:9.2::baseos; rhel:9 s.src fixed<1-1 Unknown rhel_eus:9.2::baseos\n" },
        /* no version, one that is none, a package that is no rpm, a stream alone, a name of nothing */
        { VEX(TREE(STREAMS "," RPM("p", "p?arch=x86_64") "," RPM(
                       "q", "q@1 2?arch=x86_64") ",{'product':{'product_"
                                                 "id':'c'," HELPER("purl") "'pkg:oci/c@1?"
                                                                           "arch=x86_64'}}"
                                                                           "}",
                   PART("B", "p") "," PART("B", "q") "," PART("B", "c") "," PART("B", "z")),
              "'product_status':{'fixed':['B:p','B:q','B:c','B:z','B','nothing','p']}"),
          "" },
    };
    check_rows(ONE, rows, COUNT(rows));
}

#define ARCH(a) RPM("p." a, "p@1-1?arch=" a)
#define FIVE                                                                                                 \
    ARCH("x86_64")                                                                                           \
    "," ARCH("aarch64") "," ARCH("ppc64le") "," ARCH("s390x") "," ARCH("i686") "," ARCH("noarch")
#define IN(s)                                                                                                \
    PART(s, "p.x86_64")                                                                                      \
    "," PART(s, "p.aarch64") "," PART(s, "p.ppc64le") "," PART(s, "p.s390x") "," PART(s, "p.i686") "," PART( \
        s, "p.noarch")
#define FIXED(text) VEX(TREE(STREAMS "," FIVE, IN("B")), "'product_status':{'fixed':[" text "]}")

static void test_architectures(void **state)
{
    static const struct row rows[] = {
        { FIXED("'B:p.x86_64','B:p.s390x','B:p.i686','B:p.aarch64','B:p.ppc64le'"),
          "CVE-1 CVE-1; rhel:9 p fixed<1-1 Unknown enterprise_linux:9::baseos\n" },
        { FIXED("'B:p.noarch','B:p.noarch'"),
          "CVE-1 CVE-1; rhel:9 p fixed<1-1 Unknown enterprise_linux:9::baseos\n" },
        { FIXED("'B:p.x86_64','B:p.s390x','B:p.s390x','B:p.aarch64'"),
          "CVE-1 CVE-1; rhel:9 p.aarch64 fixed<1-1 Unknown enterprise_linux:9::baseos; rhel:9 p.s390x "
          "fixed<1-1 "
          "Unknown enterprise_linux:9::baseos; rhel:9 p.x86_64 fixed<1-1 Unknown "
          "enterprise_linux:9::baseos\n" },
        { FIXED("'B:p.x86_64','B:p.noarch'"), "CVE-1 CVE-1; rhel:9 p.noarch fixed<1-1 Unknown "
                                              "enterprise_linux:9::baseos; rhel:9 p.x86_64 fixed<1-1 "
                                              "Unknown enterprise_linux:9::baseos\n" },
    };
    check_rows(ONE, rows, COUNT(rows));
}

#define NAMES STREAMS "," RPM("p", "p?arch=src") "," RPM("q", "q") "," RPM("m", "p?arch=src&rpmmod=m:1")
#define NAMED                                                                                                \
    PART("R", "p")                                                                                           \
    "," PART("R", "q") "," PART("R", "m") "," PART("E", "p") "," PART("B", "p") "," PART("L", "q")
#define SAYS(text) VEX(TREE(NAMES, NAMED), text)
#define REMEDY(category, details)                                                                            \
    SAYS("'product_status':{'known_affected':['R:p']},'remediations':[{'category':'" category                \
         "','details':'" details "','product_ids':['R:p']}]")
#define AFFECTED(state) "CVE-1 CVE-1; rhel:9 p.src " state "< Unknown enterprise_linux:9\n"

static void test_affected(void **state)
{
    static const struct row rows[] = {
        { SAYS("'product_status':{'known_affected':['R:p','R:q','R:m']}"),
          "CVE-1 CVE-1; rhel:9 q affected< Unknown enterprise_linux:9; rhel:9 p.src affected< Unknown "
          "enterprise_linux:9; rhel:9 p.src {m:1} affected< Unknown enterprise_linux:9\n" },
        { REMEDY("none_available", "Affected"), AFFECTED("affected") },
        { REMEDY("none_available", "Fix deferred"), AFFECTED("affected") },
        { REMEDY("none_available", "Under investigation"), AFFECTED("under_investigation") },
        { REMEDY("no_fix_planned", "Out of support scope"), AFFECTED("end_of_life") },
        { REMEDY("no_fix_planned", "Will not fix"), AFFECTED("will_not_fix") },
        { REMEDY("workaround", "Will not fix"), AFFECTED("affected") },
        /* impacts: of the product, of all, another word; the first one counts */
        { SAYS("'threats':[{'category':'impact','details':'Important','product_ids':['R:p']},{'category':"
               "'impact','details':'Low'},{'category':'exploit_status','details':'Critical'}],'product_"
               "status':{"
               "'known_affected':['R:p','E:p']}"),
          "CVE-1 CVE-1; rhel:9 p.src affected< High enterprise_linux:9; rhel:9 p.src affected< Low "
          "rhel_eus:9.2::baseos\n" },
        { SAYS("'threats':[{'category':'impact','details':'Critical','product_ids':['R:p']},{'category':"
               "'impact','details':'Moderate','product_ids':['R:p','E:p']},{'category':'impact','details':'"
               "None',"
               "'product_ids':['R:p']}],'product_status':{'known_affected':['R:p','E:p']}"),
          "CVE-1 CVE-1; rhel:9 p.src affected< Critical enterprise_linux:9; rhel:9 p.src affected< Medium "
          "rhel_eus:9.2::baseos\n" },
        /* scores: what has one of 0.0 and no impact is no vulnerability */
        { SAYS(
              "'product_status':{'known_affected':['R:p','R:q','E:p']},'scores':[{'cvss_v3':{'baseScore':0.0,"
              "'vectorString':'V0','version':'3.1'},'products':['R:p','R:q']},{'products':['E:p'],'cvss_v2':{"
              "'baseScore':10,'vectorString':'V2','version':'2.0'},'cvss_v3':{'baseScore':7.25,'version':'3."
              "0'}},"
              "{'cvss_v3':{'baseScore':'no','version':'3.1'}},{'cvss_v3':{'baseScore':11,'version':'3.1'}},{"
              "'cvss_v3':{'baseScore':0.0,'vectorString':'V0','version':'3.1'}},{'cvss_v4':{'version':'5'}}],"
              "'threats':[{'category':'impact','details':'Low','product_ids':['R:q']}]"),
          "CVE-1 CVE-1 3.1:0:V0 2.0:100:V2 3.0:73:; rhel:9 q affected< Low enterprise_linux:9; rhel:9 p.src "
          "affected< Unknown rhel_eus:9.2::baseos\n" },
        { SAYS("'scores':[{'cvss_v3':{'baseScore':9.8,'vectorString':'V','version':'3.1'}}]"),
          "CVE-1 CVE-1 3.1:98:V\n" },
        { SAYS("'product_status':{'under_investigation':['R:p']}"), "" },
    };
    check_rows(ONE, rows, COUNT(rows));
}

static void test_not_affected(void **state)
{
    static const struct row rows[] = {
        /* of RHEL as such, all versions and architectures, once */
        { VEX(TREE(
                  STREAMS "," RPM("a", "p@1-1?arch=x86_64") "," RPM("b", "p@1-1?arch=s390x") "," RPM(
                      "c", "p?arch=src"),
                  PART("R", "a") "," PART("R", "b") "," PART("R", "c") "," PART("B", "a") "," PART("L", "a")),
              "'product_status':{'known_not_affected':['R:a','R:b','R:c','B:a','L:a']}"),
          "CVE-1 CVE-1; rhel:9 p never; rhel:9 p.src never\n" },
        /* never of what is affected or fixed anywhere in that release */
        { SAYS("'product_status':{'known_not_affected':['R:p','R:q','R:m'],'known_affected':['E:p']}"),
          "CVE-1 CVE-1; rhel:9 q never; rhel:9 p.src {m:1} never; rhel:9 p.src affected< Unknown "
          "rhel_eus:9.2::baseos\n" },
        { VEX(TREE(STREAMS "," RPM("a", "p@1-1?arch=x86_64") "," RPM("c", "p?arch=src") "," CPE(
                       "S", "a:redhat:enterprise_linux:8"),
                   PART("E", "a") "," PART("R", "c") "," PART("S", "c")),
              "'product_status':{'fixed':['E:a'],'known_not_affected':['S:c','R:c']}"),
          "CVE-1 CVE-1; rhel:8 p.src never; rhel:9 p.x86_64 fixed<1-1 Unknown rhel_eus:9.2::baseos\n" },
    };
    check_rows(ONE, rows, COUNT(rows));
}

#define OF(cpe)                                                                                              \
    VEX(TREE(CPE("S", cpe) "," RPM("p", "p"), PART("S", "p")), "'product_status':{'known_affected':['S:p']"  \
                                                               "}")
#define IS(release, cpe) "CVE-1 CVE-1; " release " p affected< Unknown " cpe "\n"

static void test_cpes(void **state)
{
    static const struct row rows[] = {
        { OF("o:redhat:enterprise_linux:7::server"), IS("rhel:7", "enterprise_linux:7::server") },
        { OF("o:redhat:enterprise_linux:10.1::baseos"), IS("rhel:10", "enterprise_linux:10.1::baseos") },
        { OF("a:redhat:rhel_aus:8.2"), IS("rhel:8", "rhel_aus:8.2") },
        { OF("a:redhat:rhel_e4s:9.0::appstream"), IS("rhel:9", "rhel_e4s:9.0::appstream") },
        { OF("a:redhat:rhel_tus:8.6::nfv"), IS("rhel:8", "rhel_tus:8.6::nfv") },
        { OF("o:redhat:rhel_els:6"), IS("rhel:6", "rhel_els:6") },
        { OF("a:redhat:rhel_eus_long_life:8.4::baseos"), IS("rhel:8", "rhel_eus_long_life:8.4::baseos") },
        { OF("a:redhat:rhel_extras_rt:7"), IS("rhel:7", "rhel_extras_rt:7") },
        { OF("a:redhat:rhel_software_collections:3::el7"), IS("rhel:7", "rhel_software_collections:3::el7") },
        { OF("a:redhat:jboss_core_services:1::el10"), IS("rhel:10", "jboss_core_services:1::el10") },
        { OF("a:redhat:rhel_software_collections:3"), "" },
        { OF("a:redhat:enterprise_linux_ai:3"), "" },
        { OF("a:redhat:openshift:4::elk"), "" },
        { OF("a:redhat:openshift:4::el8.1"), "" },
        { OF("o:redhat:enterprise_linux"), "" },
        { OF("o:redhat:enterprise_linux:x"), "" },
        { OF("o:redhat:enterprise_linux:99999999999999999999"), "" },
        { OF("a:redhat"), "" },
        { OF("o:fedora:enterprise_linux:9"), "" },
    };
    check_rows(ONE, rows, COUNT(rows));
}

/* A module stood between package and stream until 2025. */
static void test_modules(void **state)
{
#define MODULAR(purl)                                                                                        \
    VEX(TREE(STREAMS ",{'product':{'product_id':'m'," HELPER("purl") "'" purl                                \
                                                                     "'}}}," RPM("p", "p@1-1?arch=x86_64"),  \
             PART("B", "m") ",{'full_product_name':{'product_id':'B:m:p'},'product_reference':'p',"          \
                            "'relates_to_product_reference':'B:m'}"),                                        \
        "'product_status':{'fixed':['B:m:p']}")
#define IN_MODULE(m) "CVE-1 CVE-1; rhel:9 p.x86_64" m " fixed<1-1 Unknown enterprise_linux:9::baseos\n"
    static const struct row rows[] = {
        { MODULAR("pkg:rpmmod/redhat/nodejs@18:8090020240101:489197e6"), IN_MODULE(" {nodejs:18}") },
        { MODULAR("pkg:rpmmod/redhat/nodejs/18@8090020240101:489197e6"), IN_MODULE(" {nodejs:18}") },
        { MODULAR("pkg:rpmmod/redhat/nodejs/18"), IN_MODULE(" {nodejs:18}") },
        { MODULAR("pkg:rpmmod/redhat/nodejs"), IN_MODULE("") },
        { MODULAR("pkg:generic/nodejs"), IN_MODULE("") },
        { VEX(TREE(STREAMS "," RPM("p", "p?rpmmod=rhel10"), PART("B", "p")),
              "'product_status':{'known_affected':['B:p']}"),
          "CVE-1 CVE-1; rhel:9 p {rhel10} affected< Unknown enterprise_linux:9::baseos\n" },
        /* products that are made of themselves */
        { VEX(TREE(STREAMS "," RPM("p", "p"),
                   "{'full_product_name':{'product_id':'a'},'product_reference':'a',"
                   "'relates_to_product_reference':'a'}"),
              "'product_status':{'known_affected':['a']}"),
          "" },
    };
    check_rows(ONE, rows, COUNT(rows));
}

#define SAID "'product_status':{'known_affected':['R:p']}"

static void test_documents(void **state)
{
    static const struct row rows[] = {
        /* members in another order */
        { "{" FLAWS(SAID) "," TREE(NAMES, NAMED) "," HEAD("CVE-1") "}", AFFECTED("affected") },
        /* the CVE is the document's; of several flaws each has its own, and one without is none */
        { "{" HEAD("CVE-1") "," TREE(NAMES, NAMED) ",'vulnerabilities':[{" SAID "}]}", AFFECTED("affected") },
        { "{" HEAD("RHSA-1") "," TREE(NAMES, NAMED) ",'vulnerabilities':[{'cve':'CVE-1'," SAID "},{" SAID
                                                    "},{'cve':'CVE-2','product_status':{'known_affected':['R:"
                                                    "q'],'known_not_affected':['R:p']}}]}",
          AFFECTED("affected") "CVE-2 CVE-2; rhel:9 p.src never; rhel:9 q affected< Unknown "
                               "enterprise_linux:9\n" },
        /* deleted and rejected */
        { "{'document':{'tracking':{'id':'CVE-1','status':'deleted'}}," TREE(NAMES,
                                                                             NAMED) "," FLAWS(SAID) "}",
          "" },
        { "{'document':{'title':'** REJECT ** x','tracking':{'id':'CVE-1'}}," TREE(NAMES,
                                                                                   NAMED) "," FLAWS(SAID) "}",
          "" },
        { SAYS(SAID ",'title':'REJECTED CVE'"), "" },
        { SAYS(SAID ",'notes':[{'text':'Rejected reason: x','category':'description'}]"), "" },
        { SAYS(SAID ",'notes':[{'text':'REJECT','category':'other'}]"), AFFECTED("affected") },
        /* nothing to say */
        { "{" HEAD("CVE-1") "}", "" },
        { "{" HEAD("CVE-1") ",'product_tree':null,'vulnerabilities':null}", "" },
        { SAYS("'product_status':null,'remediations':null,'threats':[],'scores':null,'notes':null,'title':"
               "null"),
          "" },
        /* errors */
        { "{}", "no id (document, tracking): not a CSAF document" },
        { "[]", "json: byte 0: an object wanted, not an array" },
        { "{" HEAD("CVE-1") "}{", "json: byte 57: something follows the value" },
        { "{" HEAD("CVE-1"), "json: byte 56: the input ends inside a value" },
        { "{'document':1}", "document: json: byte 12: an object wanted, not a number" },
        { "{'product_tree':{'branches':[1]}}",
          "product_tree: branches: json: byte 30: an element is not an object" },
        { "{'product_tree':{'branches':[{'branches':{}}]}}",
          "product_tree: branches: branches: json: byte 41: an array wanted, not an object" },
        { "{'product_tree':{'relationships':[{'product_reference':[]}]}}",
          "product_tree: relationships: product_reference: json: byte 55: a string wanted, not an array" },
        { "{'vulnerabilities':[{'cve':'CVE-1','product_status':{'fixed':[null]}}]}",
          "vulnerabilities: CVE-1: product_status: fixed: json: byte 66: the id of a product is not a "
          "string" },
        { "{'vulnerabilities':[{'scores':[{'cvss_v3':7}]}]}",
          "vulnerabilities: : scores: cvss_v3: json: byte 42: an object wanted, not a number" },
    };
    check_rows(ONE, rows, COUNT(rows));
    check("data/csaf/v2/advisories/2024/rhsa-1.json", "", rows[2].text, rows[2].want);
}

static int check_texts(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    bool fix = str_eq(a->id, STR("RHSA-1:2"));
    ((struct said *)sink)->advisories++;
    assert_true(str_eq(a->title, STR("a title")));
    assert_true(str_eq(a->description, STR("what it is")));
    assert_true(str_eq(a->link, fix ? STR("https://access.redhat.com/errata/RHSA-1:2")
                                    : STR("https://access.redhat.com/security/cve/CVE-1")));
    return 0;
}

static void test_texts(void **state)
{
    static const char text[] = VEX(
        TREE(NAMES "," RPM("x", "x@1-1?arch=x86_64"), NAMED "," PART("B", "x")),
        "'notes':[{'category':'summary','text':'in short'},{'category':'description','text':'what it is'},"
        "{'category':'summary','text':'again'}],'title':'a title','product_status':{'fixed':['B:x'],"
        "'known_affected':['R:q']},'remediations':[" FIX("RHSA-1:2", "'B:x'") "]");
    CLEANUP(buf_done) struct buf doc = { 0 };
    struct said said = { .sink.put = check_texts };
    struct err e = { 0 };
    for (const char *p = text; *p; p++)
        buf_char(&doc, *p == '\'' ? '"' : *p);
    assert_int_equal(parse_text(ONE, "", buf_view(&doc), &said, &e), 0);
    assert_int_equal(said.advisories, 2);
}

/* ---- limits ---- */

static int check_size(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct said *s = (struct said *)sink;
    size_t bytes = a->title.len + a->description.len;
    assert_true(a->range_count <= 4096);
    for (size_t i = 0; i < a->range_count; i++)
        bytes += a->ranges[i].package.len + a->ranges[i].cpe.len + 64;
    assert_true(bytes < (size_t)1 << 20);
    buf_printf(&s->out, STR_FMT ":%zu ", STR_ARG(a->key), a->range_count);
    s->ranges += a->range_count;
    return 0;
}

static void quote(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_char(out, *text == '\'' ? '"' : *text);
}

/* `count` affected packages, whose names have `digits` digits. */
static void many_packages(struct buf *out, unsigned count, unsigned digits)
{
    char text[2048];
    quote(out, "{" HEAD("CVE-1") ",'product_tree':{'branches':[" CPE("R", "o:redhat:enterprise_linux:9"));
    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof text, "," RPM("%u", "%0*u"), i, (int)digits, i);
        quote(out, text);
    }
    quote(out, "],'relationships':[null");
    out->len -= 4;
    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof text,
                 "%s{'full_product_name':{'product_id':'R:%u'},'product_reference':'%u','relates_to_product_"
                 "reference':'R'}",
                 i ? "," : "", i, i);
        quote(out, text);
    }
    quote(out, "]},'vulnerabilities':[{'cve':'CVE-1','product_status':{'known_affected':[");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s\"R:%u\"", i ? "," : "", i);
    buf_str(out, STR("]}}]}"));
}

static void check_parts(unsigned count, unsigned digits, const char *want)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    struct said said = { .sink.put = check_size };
    struct err e = { 0 };
    many_packages(&doc, count, digits);
    if (parse_text(ONE, "", buf_view(&doc), &said, &e) < 0)
        fail_msg("%s", e.text);
    buf_char(&said.out, 0);
    assert_string_equal(said.out.ptr, want);
    buf_done(&said.out);
    assert_int_equal(said.ranges, count);
}

/* What is too long for one advisory goes on in others; names that are too long reach the sink as such. */
static void test_parts(void **state)
{
    check_parts(1000, 3, "CVE-1:1000 ");
    check_parts(9000, 4, "CVE-1:4096 CVE-1/2:4096 CVE-1/3:808 ");
    check_parts(1000, 513, "CVE-1:675 CVE-1/2:325 ");
    check_parts(1, 600, "CVE-1:1 ");
}

static void test_limit(void **state)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    struct said said = { .sink = sayer };
    struct err e = { 0 };
    quote(&doc, "{'vulnerabilities':[{'cve':'CVE-1','product_status':{'fixed':['x'");
    for (unsigned i = 0; i < 1000000; i++)
        buf_printf(&doc, ",\"%u\"", i);
    assert_int_equal(parse_text(ONE, "", buf_view(&doc), &said, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(
        e.text, "vulnerabilities: CVE-1: product_status: fixed: a document with more than 67108864 bytes of "
                "products and statements");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spec_example),  cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_architectures), cmocka_unit_test(test_affected),
        cmocka_unit_test(test_not_affected),  cmocka_unit_test(test_cpes),
        cmocka_unit_test(test_modules),       cmocka_unit_test(test_documents),
        cmocka_unit_test(test_texts),         cmocka_unit_test(test_parts),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
