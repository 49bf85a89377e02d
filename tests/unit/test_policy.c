/* test_policy.c - every kind of ignore file and VEX document: what its rules take out of one report, and what is wrong with broken ones. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "policy/ignore.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define DIGEST       "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define TEXT(s)                                                                                              \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }

static struct image_package packages[] = {
    { .package = { TEXT("dpkg"), TEXT("libssl3"), TEXT("3.0.11-1"), TEXT("amd64"), TEXT("openssl"),
                   TEXT("3.0.11-1") } },
    { .package = { TEXT("dpkg"), TEXT("openssl"), TEXT("3.0.11-1"), TEXT("amd64"), TEXT("openssl"),
                   TEXT("3.0.11-1") } },
    { .package = { TEXT("dpkg"), TEXT("zlib1g"), TEXT("1:1.2.13"), TEXT("amd64"), TEXT("zlib"),
                   TEXT("1:1.2.13") } },
};
static const str paths[] = { TEXT("var/lib/dpkg/status"), TEXT("var/lib/dpkg/status"),
                             TEXT("var/lib/dpkg/status.d/zlib1g") };
static str one_alias[] = { TEXT("GHSA-aaaa") }, two_flaws[] = { TEXT("CVE-2024-8"), TEXT("CVE-2024-9") };
static struct metadata_source first_source[] = { { TEXT("osv"),
                                                   { .aliases = one_alias, .alias_count = 1 } } },
                              last_source[] = { { TEXT("osv"), { .aliases = two_flaws, .alias_count = 2 } } };
static const struct finding_meta first_meta = { first_source, 1 }, last_meta = { last_source, 1 };
static const struct finding given[] = {
    { .package = 0,
      .id = TEXT("CVE-2024-1"),
      .fixed_version = TEXT("3.0.12-1"),
      .state = FIX_FIXED,
      .severity = SEVERITY_HIGH,
      .namespace = TEXT("debian:12"),
      .meta = &first_meta },
    { .package = 1,
      .id = TEXT("CVE-2024-1"),
      .fixed_version = TEXT("3.0.12-1"),
      .state = FIX_FIXED,
      .severity = SEVERITY_HIGH,
      .namespace = TEXT("debian:12"),
      .meta = &first_meta },
    { .package = 2,
      .id = TEXT("CVE-2024-2"),
      .advisory = TEXT("DSA-9"),
      .state = FIX_WILL_NOT_FIX,
      .severity = SEVERITY_LOW,
      .namespace = TEXT("debian:12") },
    { .package = 2,
      .id = TEXT("ELSA-7"),
      .state = FIX_AFFECTED,
      .severity = SEVERITY_LOW,
      .namespace = TEXT("debian:12"),
      .meta = &last_meta },
};

static struct image_index image = {
    .name = TEXT("registry:5000/team/app:1.0"),
    .digest = TEXT(DIGEST),
    .distribution = { TEXT("debian"), TEXT("12"), TEXT("Debian"), TEXT("debian:12") },
    .packages = packages,
    .package_count = COUNT(packages),
};

struct world {
    struct arena *arena;
    struct ignore_list *list;
    struct finding findings[COUNT(given)];
    struct report report;
    struct buf said;
};

static void world_done(struct world *w)
{
    ignore_list_freep(&w->list);
    arena_freep(&w->arena);
    buf_done(&w->said);
}

static void world_new(struct world *w)
{
    struct err e = { 0 };
    w->arena = arena_new(0);
    w->list = ignore_list_new(&e);
    memcpy(w->findings, given, sizeof given);
    w->report = (struct report){ .image = &image,
                                 .match = { .findings = w->findings, .finding_count = COUNT(given) },
                                 .coverage = COVERAGE_FULL };
    assert_true(clock_parse(STR("2026-01-02T03:04:05Z"), &w->report.now));
}

/* "CVE-2024-1 libssl3 [status] reason (by)" for each one that is suppressed, then "! warning" lines, or the error alone. */
static const char *said(struct world *w, const struct err *e)
{
    struct report *r = &w->report;
    if (e->kind)
        buf_printf(&w->said, "%s\n", e->text);
    for (size_t i = 0; !e->kind && i < r->suppressed_count; i++) {
        const struct suppressed *s = &r->suppressed[i];
        buf_printf(&w->said, STR_FMT " " STR_FMT " [" STR_FMT "] " STR_FMT " (" STR_FMT ")\n",
                   STR_ARG(s->finding.id), STR_ARG(packages[s->finding.package].package.name),
                   STR_ARG(s->status), STR_ARG(s->reason), STR_ARG(s->by));
    }
    for (size_t i = 0; !e->kind && i < r->warning_count; i++)
        buf_printf(&w->said, "! " STR_FMT "\n", STR_ARG(r->warnings[i]));
    if (!e->kind)
        assert_int_equal(r->suppressed_count + r->match.finding_count, COUNT(given));
    buf_char(&w->said, '\0');
    return w->said.ptr;
}

struct row {
    const char *file, *text, *want;
};

static bool is_vex(const char *file) { return strstr(file, "vex") || strstr(file, "csaf"); }

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(world_done) struct world w = { 0 };
        struct err e = { 0 };
        struct ignore_image named = { image.name, paths };
        world_new(&w);
        if (ignore_read(w.list, is_vex(rows[i].file) ? IGNORE_VEX : IGNORE_LISTS, rows[i].file,
                        str_from(rows[i].text), &e) == 0)
            assert_int_equal(ignore_apply(w.list, &named, &w.report, w.arena, &e), 0);
        const char *got = said(&w, &e);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: row %zu:\n%s\ngives\n%s\nnot\n%s", rows[i].file, i, rows[i].text, got,
                     rows[i].want);
    }
}

static void test_whitelist(void **state)
{
    static const struct row rows[] = {
        { "w.yaml", "generalwhitelist:\n  CVE-2024-2: not used\n",
          "CVE-2024-2 zlib1g [] not used (w.yaml: line 2)\n" },
        { "w.yaml", "generalwhitelist:\n  cve-2024-2: letter case counts\n", "" },
        { "w.yaml", "generalwhitelist:\n  DSA-9:\n", "CVE-2024-2 zlib1g []  (w.yaml: line 2)\n" },
        { "w.yaml", "images:\n  registry:\n    CVE-2024-2: as it always was\n",
          "CVE-2024-2 zlib1g [] as it always was (w.yaml: line 3)\n" },
        { "w.yaml", "images:\n  registry:5000/team/app:\n    CVE-2024-2: x\n",
          "CVE-2024-2 zlib1g [] x (w.yaml: line 3)\n" },
        { "w.yaml", "images:\n  \"*/app:1.*\":\n    CVE-2024-2: x\n",
          "CVE-2024-2 zlib1g [] x (w.yaml: line 3)\n" },
        { "w.yaml", "images:\n  " DIGEST ":\n    CVE-2024-2: x\n",
          "CVE-2024-2 zlib1g [] x (w.yaml: line 3)\n" },
        { "w.yaml", "images:\n  app:\n    CVE-2024-2: x\n  \"\":\n    CVE-2024-2: y\n", "" },
        { "w.yaml", "images:\n  registry:\n    CVE-2024-1: x\n  registry:\n    CVE-2024-2: the last one\n",
          "CVE-2024-2 zlib1g [] the last one (w.yaml: line 5)\n" },
        { "w.json", "{\"generalwhitelist\": {\"CVE-2024-2\": \"x\"}}",
          "CVE-2024-2 zlib1g [] x (w.json: line 1)\n" },
        { "w.yaml", "generalwhitelist:\n  - CVE-2024-2\n",
          "w.yaml: yaml: unmarshal errors: line 2: cannot unmarshal !!seq into map[string]string\n" },
        { "w.yaml", "images:\n  a: [\n", "w.yaml: line 3: did not find expected node content\n" },
    };
    (void)state;
    check(rows, COUNT(rows));
}

static void test_trivy_lines(void **state)
{
    static const struct row rows[] = {
        { ".trivyignore", "# why\n# it is so\n\n# of this\nCVE-2024-2\n",
          "CVE-2024-2 zlib1g [] of this (.trivyignore: line 5)\n" },
        { "list.txt", "\n  CVE-2024-2   # not used\r\n",
          "CVE-2024-2 zlib1g [] not used (list.txt: line 2)\n" },
        { ".trivyignore", "CVE-2024-2 exp:2026-01-03\n", "CVE-2024-2 zlib1g []  (.trivyignore: line 1)\n" },
        { ".trivyignore", "CVE-2024-2 exp:2026-01-02\n",
          "! .trivyignore: line 1: the rule for CVE-2024-2 ended on 2026-01-02 and does not hold\n" },
        { ".trivyignore", "CVE-2000-1 exp:2026-01-02\n", "" },
        { ".trivyignore", "CVE-2024-2 exp:2026-13-02\n",
          ".trivyignore: line 1: exp: '2026-13-02' is no date of the form 2026-01-31\n" },
        { ".trivyignore", "CVE-2024-2 until:then\n",
          "CVE-2024-2 zlib1g []  (.trivyignore: line 1)\n! .trivyignore: line 1: 'until:then' behind an id "
          "is "
          "not known\n" },
        { ".trivyignore", "GHSA-aaaa\n",
          "CVE-2024-1 libssl3 []  (.trivyignore: line 1)\nCVE-2024-1 openssl []  (.trivyignore: line 1)\n" },
        { ".trivyignore", "CVE-2024-8\n", "" }, /* one flaw of several of an update */
        { ".trivyignore", "*\n", "" },
        { ".trivyignore", "", "" },
    };
    (void)state;
    check(rows, COUNT(rows));
}

#define TRIVY(text) "vulnerabilities:\n  - id: CVE-2024-1\n" text

static void test_trivy_yaml(void **state)
{
    static const struct row rows[] = {
        { ".trivyignore.yaml", TRIVY("    statement: s\n    purls: [\"pkg:deb/debian/libssl3\"]\n"),
          "CVE-2024-1 libssl3 [] s (.trivyignore.yaml: line 2)\n" },
        { "t.yml", TRIVY("    purls: [\"pkg:deb/ubuntu/libssl3\", \"pkg:rpm/debian/libssl3\"]\n"), "" },
        { "t.yml",
          TRIVY("    paths: [\"**/status.d/*\"]\n  - id: CVE-2024-2\n    paths: [\"**/status.d/*\"]\n"),
          "CVE-2024-2 zlib1g []  (t.yml: line 4)\n" },
        { "t.yml", TRIVY("    expired_at: 2025-12-31\n"),
          "! t.yml: line 2: the rule for CVE-2024-1 ended on 2025-12-31 and does not hold\n" },
        { "t.yml", TRIVY("    expired_at: soon\n"),
          "t.yml: line 3: expired_at: 'soon' is no date of the form 2026-01-31\n" },
        { "t.yml", TRIVY("    only: openssl\n"),
          "! t.yml: line 3: only: is not known, so that this rule is not used\n" },
        { "t.yml", TRIVY("    purls: pkg:deb/debian/libssl3\n"), "t.yml: line 3: purls: must be a list\n" },
        { "t.yml", TRIVY("    purls: [libssl3]\n"),
          "t.yml: line 3: purls: 'libssl3' is no purl (pkg:TYPE/NAME...)\n" },
        { "t.yml", "vulnerabilities:\n  - statement: x\n", "t.yml: line 2: id: is missing\n" },
        { "t.yml", "vulnerabilities:\n  - CVE-2024-1\n",
          "t.yml: line 2: vulnerabilities: is no map of keys and values\n" },
        { ".trivyignore.yaml", "misconfigurations:\n  - id: AVD-1\n", "" },
    };
    (void)state;
    check(rows, COUNT(rows));
}

#define GRYPE(text) "check-for-app-update: false\nignore:\n  - " text

static void test_grype(void **state)
{
    static const struct row rows[] = {
        { ".grype.yaml",
          GRYPE("vulnerability: CVE-2024-1\n    reason: r\n    package:\n      name: openssl\n"),
          "CVE-2024-1 openssl [] r (.grype.yaml: line 3)\n" },
        { "g.yaml", GRYPE("package: {name: \"lib.*\", type: deb, version: 3.0.11-1}\n"),
          "CVE-2024-1 libssl3 []  (g.yaml: line 3)\n" },
        { "g.yaml", GRYPE("package: {name: libssl3, type: rpm}\n"), "" },
        { "g.yaml", GRYPE("package: {upstream-name: zlib}\n    vulnerability: CVE-2024-2\n"),
          "CVE-2024-2 zlib1g []  (g.yaml: line 3)\n" },
        { "g.yaml", GRYPE("package: {location: \"/var/**/zlib*\"}\n    fix-state: wont-fix\n"),
          "CVE-2024-2 zlib1g []  (g.yaml: line 3)\n" },
        { "g.yaml", GRYPE("fix-state: wont-fix\n    namespace: debian:distro:debian:12\n"),
          "CVE-2024-2 zlib1g []  (g.yaml: line 3)\n" },
        { "g.yaml", GRYPE("fix-state: wont-fix\n    namespace: debian:distro:debian:11\n"), "" },
        { "g.yaml", GRYPE("vex-status: fixed\n"), "" },
        { "g.yaml", GRYPE("fix-state: soon\n"),
          "g.yaml: line 3: fix-state: 'soon' is none of fixed, not-fixed, wont-fix, unknown\n" },
        { "g.yaml", GRYPE("package: {name: \"(a|b)\"}\n"),
          "g.yaml: line 3: package.name: of regular expressions only .* is understood\n" },
        { "g.yaml", GRYPE("vulnerability: CVE-2024-2\n    match-type: exact\n"),
          "! g.yaml: line 4: match-type: is not known, so that this rule is not used\n" },
        { "g.yaml", GRYPE("package: {colour: red}\n"),
          "! g.yaml: line 3: colour: is not known, so that this rule is not used\n" },
        { "g.yaml", GRYPE("reason: for no reason\n"),
          "! g.yaml: line 3: a rule that names nothing is not used\n" },
        { "g.yaml", "ignore: CVE-2024-1\n", "g.yaml: line 1: ignore: must be a list\n" },
    };
    (void)state;
    check(rows, COUNT(rows));
}

#define VEX_HEAD                                                                                             \
    "{\"@context\": \"https://openvex.dev/ns/v0.2.0\", \"timestamp\": "                                      \
    "\"2025-01-01T00:00:00Z\",\n\"statements\": ["
#define VEX_1(status, more, products)                                                                        \
    "{\"vulnerability\": {\"name\": \"CVE-2024-1\"}, \"status\": \"" status "\"" more                        \
    ", \"products\": [" products "]}"
#define LIBSSL "{\"@id\": \"pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=bookworm\"}"

static void test_openvex(void **state)
{
    static const struct row rows[] = {
        { "a.vex",
          VEX_HEAD VEX_1("not_affected", ", \"justification\": \"inline_mitigations_already_exist\"",
                         LIBSSL) "]}",
          "CVE-2024-1 libssl3 [not_affected] inline_mitigations_already_exist (a.vex: statement 1)\n" },
        { "a.vex", VEX_HEAD VEX_1("fixed", ", \"status_notes\": \"patched\"", LIBSSL) "]}",
          "CVE-2024-1 libssl3 [fixed] patched (a.vex: statement 1)\n" },
        { "a.vex", VEX_HEAD VEX_1("affected", "", LIBSSL) "]}", "" },
        /* the later word counts, whatever the order */
        { "a.vex",
          VEX_HEAD VEX_1("affected", ", \"timestamp\": \"2025-06-01T00:00:00.5+02:00\"",
                         LIBSSL) ",\n" VEX_1("fixed", "", LIBSSL) "]}",
          "" },
        { "a.vex", VEX_HEAD VEX_1("affected", "", LIBSSL) ",\n" VEX_1("fixed", "", LIBSSL) "]}",
          "CVE-2024-1 libssl3 [fixed]  (a.vex: statement 2)\n" },
        /* other versions, distributions and architectures */
        { "a.vex", VEX_HEAD VEX_1("fixed", "", "{\"@id\": \"pkg:deb/debian/libssl3@3.0.12-1\"}") "]}", "" },
        { "a.vex", VEX_HEAD VEX_1("fixed", "", "{\"@id\": \"pkg:deb/debian/libssl3?distro=debian-11\"}") "]}",
          "" },
        { "a.vex", VEX_HEAD VEX_1("fixed", "", "{\"@id\": \"pkg:deb/debian/libssl3?arch=arm64\"}") "]}", "" },
        { "a.vex", VEX_HEAD VEX_1("fixed", "", "{\"@id\": \"pkg:deb/debian/openssl?arch=source\"}") "]}",
          "CVE-2024-1 libssl3 [fixed]  (a.vex: statement 1)\nCVE-2024-1 openssl [fixed]  (a.vex: statement "
          "1)\n" },
        /* the image, and packages in it */
        { "a.vex",
          VEX_HEAD VEX_1(
              "not_affected", ", \"impact_statement\": \"i\"",
              "{\"@id\": "
              "\"pkg:oci/app@sha256%3A0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", "
              "\"subcomponents\": [{\"@id\": \"pkg:deb/debian/openssl\"}]}") "]}",
          "CVE-2024-1 openssl [not_affected] i (a.vex: statement 1)\n" },
        { "a.vex",
          VEX_HEAD VEX_1(
              "fixed", "",
              "{\"@id\": \"pkg:oci/app?repository_url=registry:5000/team/app&tag=1.0\", \"subcomponents\": "
              "[{\"@id\": \"x\", \"identifiers\": {\"purl\": \"pkg:deb/debian/openssl\"}}]}") "]}",
          "CVE-2024-1 openssl [fixed]  (a.vex: statement 1)\n" },
        { "a.vex",
          VEX_HEAD VEX_1("fixed", "",
                         "{\"@id\": \"pkg:oci/other\"}, {\"@id\": \"pkg:oci/app?tag=2.0\"}, {\"@id\": "
                         "\"other\", \"hashes\": {\"sha-256\": \"00\"}}") "]}",
          "" },
        { "a.vex",
          VEX_HEAD VEX_1("fixed", "",
                         "{\"@id\": \"pkg:deb/debian/git\", \"subcomponents\": [{\"@id\": "
                         "\"pkg:deb/debian/libssl3\"}]}") "]}",
          "! a.vex: line 2: products: what is said of a part of a package is not used\n" },
        /* aliases, and the form of before */
        { "a.vex",
          VEX_HEAD "{\"vulnerability\": {\"name\": \"X-1\", \"aliases\": [\"CVE-2024-2\"]}, \"status\": "
                   "\"fixed\", \"products\": [\"pkg:deb/debian/zlib1g@1:1.2.13\"]}]}",
          "CVE-2024-2 zlib1g [fixed]  (a.vex: statement 1)\n" },
        { "a.vex",
          VEX_HEAD "{\"vulnerability\": \"CVE-2024-2\", \"status\": \"fixed\", \"products\": "
                   "[\"registry:5000/team/app\"], \"subcomponents\": [\"pkg:deb/debian/zlib1g\"]}]}",
          "CVE-2024-2 zlib1g [fixed]  (a.vex: statement 1)\n" },
        { "a.vex", VEX_HEAD VEX_1("fixed", "", "") "]}",
          "! a.vex: line 2: statement 1 names no product and is not used\n" },
        { "a.vex", VEX_HEAD VEX_1("fine", "", LIBSSL) "]}",
          "a.vex: line 2: status: 'fine' is none of not_affected, affected, fixed, under_investigation\n" },
        { "a.vex", VEX_HEAD VEX_1("fixed", ", \"timestamp\": \"now\"", LIBSSL) "]}",
          "a.vex: line 2: timestamp: 'now' is no time of RFC 3339\n" },
        { "a.vex", VEX_HEAD VEX_1("fixed", "", "{\"@id\": \"pkg:deb\"}") "]}",
          "a.vex: line 2: products: 'pkg:deb': a purl without a name\n" },
        { "a.vex", VEX_HEAD "{\"status\": \"fixed\"}]}", "a.vex: line 2: vulnerability: has no name\n" },
        { "a.vex", "{\"@context\": \"x\"}", "a.vex: statements: is missing\n" },
    };
    (void)state;
    check(rows, COUNT(rows));
}

#define CSAF_HEAD                                                                                            \
    "{\"document\": {\"category\": \"csaf_vex\", \"tracking\": {\"current_release_date\": "                  \
    "\"2025-01-01T00:00:00+00:00\"}},\n\"product_tree\": {\"branches\": [{\"branches\": ["                   \
    "{\"category\": \"product_version\", \"product\": {\"product_id\": \"zlib\", "                           \
    "\"product_identification_helper\": {\"purl\": \"pkg:deb/debian/zlib1g@1.2.13?epoch=1\"}}},"             \
    "{\"category\": \"product_version_range\", \"product\": {\"product_id\": \"range\", "                    \
    "\"product_identification_helper\": {\"purl\": \"pkg:deb/debian/zlib1g\"}}},"                            \
    "{\"product\": {\"product_id\": \"d12\", \"product_identification_helper\": "                            \
    "{\"cpe\": \"cpe:/o:debian:debian_linux:12\"}}},"                                                        \
    "{\"product\": {\"product_id\": \"d11\", \"product_identification_helper\": "                            \
    "{\"cpe\": \"cpe:/o:debian:debian_linux:11\"}}}]}],\n"                                                   \
    "\"full_product_names\": [{\"product_id\": \"bare\", \"name\": \"x\"}],\n"                               \
    "\"relationships\": [{\"category\": \"default_component_of\", \"product_reference\": \"zlib\", "         \
    "\"relates_to_product_reference\": \"d12\", \"full_product_name\": {\"product_id\": \"d12:zlib\"}},"     \
    "{\"category\": \"default_component_of\", \"product_reference\": \"zlib\", "                             \
    "\"relates_to_product_reference\": \"d11\", \"full_product_name\": {\"product_id\": \"d11:zlib\"}}]},\n" \
    "\"vulnerabilities\": ["

static void test_csaf(void **state)
{
    static const struct row rows[] = {
        { "a.csaf",
          CSAF_HEAD "{\"cve\": \"CVE-2024-2\", \"product_status\": {\"known_not_affected\": [\"zlib\"]}, "
                    "\"flags\": [{\"label\": \"vulnerable_code_not_present\", \"product_ids\": [\"zlib\"]}], "
                    "\"threats\": [{\"category\": \"impact\", \"details\": \"none\"}]}]}",
          "CVE-2024-2 zlib1g [not_affected] vulnerable_code_not_present: none (a.csaf: vulnerability 1)\n" },
        { "a.csaf",
          CSAF_HEAD "{\"ids\": [{\"system_name\": \"x\", \"text\": \"DSA-9\"}], \"product_status\": "
                    "{\"fixed\": [\"d12:zlib\"]}}]}",
          "CVE-2024-2 zlib1g [fixed]  (a.csaf: vulnerability 1)\n" },
        { "a.csaf", CSAF_HEAD "{\"cve\": \"CVE-2024-2\", \"product_status\": {\"fixed\": [\"d11:zlib\"]}}]}",
          "" },
        { "a.csaf",
          CSAF_HEAD "{\"cve\": \"CVE-2024-2\", \"product_status\": {\"known_affected\": [\"zlib\"]}}]}", "" },
        { "a.csaf",
          CSAF_HEAD "{\"cve\": \"CVE-2024-2\", \"product_status\": {\"fixed\": [\"bare\", \"range\", \"never "
                    "heard of\"]}}]}",
          "! a.csaf: line 5: not used is what is said of products that no purl names, or that are parts of "
          "something that is neither an image nor has a CPE (3)\n" },
        { "a.csaf", CSAF_HEAD "{\"product_status\": {}}]}", "a.csaf: line 5: cve: is missing\n" },
        { "a.csaf", CSAF_HEAD "{\"cve\": 7, \"product_status\": []}]}",
          "a.csaf: line 5: product_status: must be a map\n" },
        { "a.csaf", "{\"document\": {\"tracking\": {\"current_release_date\": \"?\"}}}",
          "a.csaf: line 1: current_release_date: '?' is no time of RFC 3339\n" },
        { "a.csaf", "{\"document\": {},\n\"product_tree\": {\"full_product_names\": [{}]}}",
          "a.csaf: line 2: product_id: is missing\n" },
        { "a.csaf", "{\"document\":\n}", "a.csaf: line 2: json: byte 13: a value wanted\n" },
    };
    (void)state;
    check(rows, COUNT(rows));
}

static void test_kinds(void **state)
{
    static const struct row rows[] = {
        { "a.vex", "CVE-2024-1\n", "a.vex: is a list of ids, which is read with --ignore-file\n" },
        { "list", VEX_HEAD "]}", "list: is an OpenVEX document, which is read with --vex\n" },
        { "list", "key: value\n",
          "list: neither a list of ids nor has it a key of a file that is known (generalwhitelist, images, "
          "ignore, vulnerabilities, statements, document)\n" },
    };
    (void)state;
    check(rows, COUNT(rows));
}

/* What a VEX document says may be what a list's rule waits for. */
static void test_needs(void **state)
{
    CLEANUP(world_done) struct world w = { 0 };
    struct err e = { 0 };
    struct ignore_image named = { image.name, NULL };
    (void)state;
    world_new(&w);
    assert_int_equal(ignore_read(w.list, IGNORE_LISTS, "g.yaml",
                                 STR("ignore:\n  - vex-status: under_investigation\n    reason: later\n"),
                                 &e),
                     0);
    assert_int_equal(
        ignore_read(w.list, IGNORE_VEX, "v", STR(VEX_HEAD VEX_1("under_investigation", "", LIBSSL) "]}"), &e),
        0);
    assert_int_equal(ignore_apply(w.list, &named, &w.report, w.arena, &e), 0);
    assert_string_equal(said(&w, &e), "CVE-2024-1 libssl3 [] later (g.yaml: line 2)\n");
    assert_int_equal(w.list->rules[0]->hits, 1);
}

static void test_limits(void **state)
{
    CLEANUP(world_done) struct world w = { 0 };
    CLEANUP(buf_done) struct buf many = { 0 };
    struct err e = { 0 };
    (void)state;
    world_new(&w);
    for (unsigned i = 0; i <= IGNORE_RULES_MAX; i++)
        buf_printf(&many, "CVE-2024-%u\n", i);
    assert_int_equal(ignore_read(w.list, IGNORE_LISTS, "many", buf_view(&many), &e), -1);
    assert_string_equal(e.text, "many: more than 65536 rules");
    while (many.len <= IGNORE_FILE_MAX)
        buf_str(&many,
                STR("# a comment, which counts as well as anything else does, for it has to be read\n"));
    assert_int_equal(ignore_read(w.list, IGNORE_LISTS, "many", buf_view(&many), &e), -1);
    assert_string_equal(e.text, "many: more than 4 MiB");
}

/* What is suppressed does not count; what would not have been seen is not told of. */
static void test_policy(void **state)
{
    static const struct {
        struct policy p;
        int code;
        size_t findings, suppressed;
    } rows[] = {
        { { .exit_code = 7 }, 7, 2, 2 },
        { { .exit_code = 7, .minimum = SEVERITY_HIGH }, 0, 0, 2 },
        { { .fail = true, .fail_on = SEVERITY_HIGH }, 0, 2, 2 },
        { { .fail = true, .fail_on = SEVERITY_LOW }, 4, 2, 2 },
        { { .exit_code = 7, .ignore_unfixed = true }, 0, 0, 2 },
        { { .exit_code = 7, .minimum = SEVERITY_CRITICAL }, 0, 0, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(world_done) struct world w = { 0 };
        struct err e = { 0 };
        struct ignore_image named = { image.name, NULL };
        world_new(&w);
        assert_int_equal(ignore_read(w.list, IGNORE_LISTS, "l", STR("CVE-2024-1\n"), &e), 0);
        assert_int_equal(ignore_apply(w.list, &named, &w.report, w.arena, &e), 0);
        assert_int_equal(policy_apply(&rows[i].p, &w.report).exit_code, rows[i].code);
        assert_int_equal(w.report.match.finding_count, rows[i].findings);
        assert_int_equal(w.report.suppressed_count, rows[i].suppressed);
        assert_int_equal(w.report.left_out + rows[i].findings + rows[i].suppressed, COUNT(given));
    }
}

static void test_glob(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool name, path;
    } rows[] = {
        { "a/b", "a/b", true, true },       { "a*", "a/b", true, false },
        { "a/*", "a/b", true, true },       { "**", "a/b/c", true, true },
        { "**/c", "a/b/c", true, true },    { "**/c", "c", false, true },
        { "a/**/c", "a/c", false, true },   { "a/**/c", "a/b/b/c", true, true },
        { "a/**/c", "a/bc", false, false }, { "**/**/**/x", "a/a/a/a/a/y", false, false },
        { "?/b", "a/b", false, true },      { "a?b", "a/b", false, false },
        { "/a", "a", false, true },         { "", "", true, true },
        { "*a*b", "xaybzab", true, true },  { "*a*b", "xaybza", false, false },
        { "lib*3", "libssl3", true, true }, { "a", "ab", false, false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        str pattern = str_from(rows[i].pattern), text = str_from(rows[i].text);
        if (glob_fits(pattern, text) != rows[i].name || glob_fits_path(pattern, text) != rows[i].path)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].text);
    }
}

static void test_purl(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64", "deb|debian|libstdc++6|12.2.0-14|amd64" },
        { "pkg:npm/%40angular/core@1.0", "npm|@angular|core|1.0|" },
        { "pkg:npm/@angular/core", "npm|@angular|core||" },
        { "pkg:GOLANG/github.com/a/b/v2@v2.0.0#sub", "golang|github.com/a/b|v2|v2.0.0|" },
        { "pkg:rpm/redhat/openssl@3.0.7-1.el9?epoch=1", "rpm|redhat|openssl|1:3.0.7-1.el9|" },
        { "pkg://apk/alpine/musl/", "apk|alpine|musl||" },
        { "pkg:deb/a%zz", "deb||a%zz||" },
        { "deb/a", "'deb/a' is no purl (pkg:TYPE/NAME...)" },
        { "pkg:", "'pkg:': a purl without a type" },
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct purl p;
        struct err e = { 0 };
        char got[512];
        if (purl_parse(str_from(rows[i].text), arena, &p, &e) < 0)
            snprintf(got, sizeof got, "%s", e.text);
        else
            snprintf(got, sizeof got, STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT,
                     STR_ARG(p.type), STR_ARG(p.namespace), STR_ARG(p.name), STR_ARG(p.version),
                     STR_ARG(p.arch));
        assert_string_equal(got, rows[i].want);
    }
}

/* Kinds of packages have other names in purls, and namespaces of languages are a part of theirs. */
static void test_purl_holds(void **state)
{
    static const struct {
        const char *purl, *kind, *name;
        bool holds;
    } rows[] = {
        { "pkg:deb/debian/zlib1g", "dpkg", "zlib1g", true },
        { "pkg:deb/ubuntu/zlib1g", "dpkg", "zlib1g", false },
        { "pkg:apk/debian/zlib1g", "dpkg", "zlib1g", false },
        { "pkg:golang/github.com/a/b", "go", "github.com/a/b", true },
        { "pkg:golang/github.com/a/b", "go", "github.com/a/c", false },
        { "pkg:cargo/serde", "crates", "serde", true },
        { "pkg:gem/rails", "rubygems", "rails", true },
        { "pkg:composer/a/b", "packagist", "a/b", true },
        { "pkg:maven/org.example/lib@1", "maven", "org.example:lib", true },
        { "pkg:npm/serde", "crates", "serde", false },
    };
    static const struct distribution debian = { .id = TEXT("debian"), .version = TEXT("12") };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct package package = { .kind = str_from(rows[i].kind),
                                         .name = str_from(rows[i].name),
                                         .version = STR("1") };
        struct err e = { 0 };
        struct purl p;
        assert_int_equal(purl_parse(str_from(rows[i].purl), arena, &p, &e), 0);
        if (purl_holds(&p, &package, &debian) != rows[i].holds)
            fail_msg("%s and %s %s", rows[i].purl, rows[i].kind, rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whitelist),  cmocka_unit_test(test_trivy_lines),
        cmocka_unit_test(test_trivy_yaml), cmocka_unit_test(test_grype),
        cmocka_unit_test(test_openvex),    cmocka_unit_test(test_csaf),
        cmocka_unit_test(test_kinds),      cmocka_unit_test(test_needs),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_policy),
        cmocka_unit_test(test_glob),       cmocka_unit_test(test_purl),
        cmocka_unit_test(test_purl_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
