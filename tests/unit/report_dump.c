/*
 * report_dump FORMAT CASE [suppressed] [colour] [width=N] [template=TEXT] [max=N]: one output of a report that no image and no feed of the tests
 * gives, for tests that hold it against schemas (tests/e2e/test_outputs.py). Cases:
 *
 *   rich      three packages in two layers, scores, EPSS, KEV, all fix states, two suppressed findings
 *   hostile   the same, with everything in all texts that means something in JSON, XML, HTML, Markdown, or to a terminal
 *   empty     no package at all
 *   none      packages, but nothing is known about them
 *   many      500 packages with 10 findings each
 *   huge      2,600 packages with 10 findings each
 */
#include "base/cleanup.h"
#include "report/report.h"

#include <stdio.h>

#define DIGEST   "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST_2 "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define NOW      1767323045 /* 2026-01-02T03:04:05Z */
#define HOSTILE                                                                                              \
    "<script>alert(1)</script>&amp;\"'|`*_[x](javascript:alert(1))\n\n# h\r\n- x\x1b[2J\x07\x01\xff\xc2\x9b" \
    "31m\xe2\x80\xae\xef\xbf\xbf@user #1 ]]>--><!-- {{name}} $(x) \\ caf\xc3\xa9"

struct world {
    struct report report;
    struct image_index image;
    struct layer_index layer[2];
    const struct layer_index *layers[2];
    str hostile; /* what is put into each text; empty: nothing */
    struct arena *arena;
};

static str text(struct world *w, const char *plain)
{
    return w->hostile.len ? arena_printf(w->arena, "%s" STR_FMT, plain, STR_ARG(w->hostile))
                          : str_from(plain);
}

static void add_package(struct world *w, const char *name, const char *version, const char *source,
                        uint32_t layer)
{
    struct image_package *p = &w->image.packages[w->image.package_count++];
    p->layer = layer;
    p->package = (struct package){ .kind = STR("dpkg"),
                                   .name = text(w, name),
                                   .version = text(w, version),
                                   .arch = STR("amd64"),
                                   .source = text(w, source),
                                   .source_version = text(w, version) };
}

static const struct finding_meta *metadata(struct world *w)
{
    struct finding_meta *m = arena_array(w->arena, struct finding_meta, 1);
    struct metadata_source *s = m->sources = arena_array(w->arena, struct metadata_source, 2);
    struct cvss_score *scores = arena_array(w->arena, struct cvss_score, 3);
    str *links = arena_array(w->arena, str, 3);
    scores[0] = (struct cvss_score){ STR("3.1"), STR("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), 98,
                                     STR("nvd@nist.gov") };
    scores[1] = (struct cvss_score){ STR("2.0"), STR("AV:N/AC:L/Au:N/C:P/I:P/A:P"), 75, STR("") };
    scores[2] = (struct cvss_score){ STR("4.0"), text(w, "CVSS:4.0/AV:N"), 9, text(w, "somebody") };
    links[0] = text(w, "https://example.org/a?b=c&d");
    links[1] = STR("javascript:alert(1)");
    links[2] = STR("https://example.org/plain?a=1&b=2");
    m->source_count = 2;
    s[0] =
        (struct metadata_source){ STR("nvd"),
                                  { .scores = scores, .score_count = 2, .links = links, .link_count = 3 } };
    s[1] = (struct metadata_source){ text(w, "other"),
                                     { .scores = scores + 2,
                                       .score_count = 1,
                                       .has_epss = true,
                                       .epss = 975580,
                                       .epss_percentile = 1000000,
                                       .kev = { STR("2021-12-10"), STR("2021-12-24") } } };
    return m;
}

static struct finding finding(struct world *w, uint32_t package, const char *id, enum severity severity,
                              enum fix_state state, const char *fixed)
{
    return (struct finding){
        .package = package,
        .id = text(w, id),
        .state = state,
        .fixed_version = *fixed ? text(w, fixed) : STR(""),
        .severity = severity,
        .severity_source = STR("debian"),
        .namespace = STR("debian:12"),
        .feed = STR("debian"),
        .title = text(w, "A title that is long enough to need more than one line of a narrow terminal"),
        .description = text(w, "What is wrong, in words."),
        .link = STR("https://security-tracker.debian.org/tracker/x")
    };
}

static void make_findings(struct world *w)
{
    struct finding *f = w->report.match.findings = arena_array(w->arena, struct finding, 6);
    f[0] = finding(w, 0, "CVE-2024-0001", SEVERITY_CRITICAL, FIX_FIXED, "3.0.11-1~deb12u3");
    f[1] = finding(w, 0, "CVE-2024-0002", SEVERITY_LOW, FIX_WILL_NOT_FIX, "");
    f[2] = finding(w, 1, "CVE-2024-0001", SEVERITY_CRITICAL, FIX_FIXED, "3.0.11-1~deb12u3");
    f[3] = finding(w, 1, "CVE-2024-0003", SEVERITY_UNKNOWN, FIX_UNDER_INVESTIGATION, "");
    f[4] = finding(w, 2, "CVE-2024-0004", SEVERITY_NEGLIGIBLE, FIX_END_OF_LIFE, "");
    f[5] = finding(w, 2, "GHSA-aaaa-bbbb-cccc", SEVERITY_MEDIUM, FIX_AFFECTED, "");
    f[0].meta = f[2].meta = metadata(w);
    f[5].advisory = text(w, "DSA-1-1"), f[5].uncertain = true, f[5].title = STR("");
    w->report.match.finding_count = 6;
}

static void make_suppressed(struct world *w)
{
    struct suppressed *s = w->report.suppressed = arena_array(w->arena, struct suppressed, 2);
    s[0] = (struct suppressed){ finding(w, 0, "CVE-2023-1111", SEVERITY_HIGH, FIX_AFFECTED, ""),
                                text(w, "image.openvex.json: statement 2"), text(w, "the code is not there"),
                                STR("not_affected") };
    s[1] = (struct suppressed){ finding(w, 2, "CVE-2023-2222", SEVERITY_MEDIUM, FIX_AFFECTED, ""),
                                text(w, "clair-whitelist.yaml: line 3"), STR(""), STR("") };
    w->report.suppressed_count = 2;
}

static void make_rich(struct world *w)
{
    w->image.packages = arena_array(w->arena, struct image_package, 3);
    add_package(w, "libssl3", "3.0.11-1~deb12u2", "openssl", 0);
    add_package(w, "openssl", "3.0.11-1~deb12u2", "openssl", 0);
    add_package(w, "zlib1g", "1:1.2.13+dfsg-1", "zlib", 1);
    make_findings(w);
    make_suppressed(w);
}

static void make_many(struct world *w, uint32_t packages)
{
    static const char *const ids[] = { "CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003", "CVE-2024-0004",
                                       "CVE-2024-0005", "CVE-2024-0006", "CVE-2024-0007", "CVE-2024-0008",
                                       "CVE-2024-0009", "CVE-2024-0010" };
    w->image.packages = arena_array(w->arena, struct image_package, packages);
    struct finding *f = w->report.match.findings = arena_array(w->arena, struct finding, 10 * packages);
    for (uint32_t i = 0; i < packages; i++) {
        const char *name = arena_printf(w->arena, "package-%04u%c", i, '\0').ptr;
        add_package(w, name, "1.0-1", name, i % 2);
        for (uint32_t k = 0; k < 10; k++)
            f[10 * i + k] = finding(w, i, ids[k], (enum severity)((i + k) % SEVERITIES), FIX_FIXED, "1.0-2");
    }
    w->report.match.finding_count = 10 * packages;
}

static int make(struct world *w, const char *name)
{
    static struct match_feed feed = { .name = { "debian", 6 }, .last_success = NOW - 7200 };
    static str warning = { "not covered: no feed is loaded for <debian:12> (eclair update loads them)", 73 };
    bool hostile = !strcmp(name, "hostile"), empty = !strcmp(name, "empty"), none = !strcmp(name, "none");
    w->hostile = hostile ? STR(HOSTILE) : STR("");
    for (int i = 0; i < 2; i++) {
        w->layer[i] = (struct layer_index){ .digest = i ? STR(DIGEST_2) : STR(DIGEST), .size = 1000 };
        w->layers[i] = &w->layer[i];
    }
    w->image = (struct image_index){ .name = text(w, "registry.example/team/app:1.2"),
                                     .digest = STR(DIGEST),
                                     .layers = w->layers,
                                     .layer_count = 2,
                                     .distribution = { STR("debian"), STR("12"),
                                                       text(w, "Debian GNU/Linux 12"), STR("debian:12") } };
    w->report = (struct report){ .image = &w->image,
                                 .match = { .feeds = &feed, .feed_count = 1, .generation = 7 },
                                 .coverage = empty  ? COVERAGE_EMPTY
                                             : none ? COVERAGE_NONE
                                                    : COVERAGE_FULL,
                                 .end_of_life = STR("2028-06-30"),
                                 .now = NOW };
    if (!strcmp(name, "many") || !strcmp(name, "huge"))
        make_many(w, *name == 'm' ? 500 : 2600);
    else if (none)
        w->report.warnings = &warning, w->report.warning_count = 1, w->report.match.feed_count = 0;
    else if (hostile || !strcmp(name, "rich"))
        make_rich(w);
    else if (!empty)
        return -1;
    if (none)
        w->image.packages = arena_array(w->arena, struct image_package, 1), add_package(w, "p", "1", "p", 0);
    return arena_failed(w->arena) ? -1 : 0;
}

static struct report_options read_options(char **words)
{
    struct report_options o = { 0 };
    for (; *words; words++) {
        o.show_suppressed |= !strcmp(*words, "suppressed");
        o.colour |= !strcmp(*words, "colour");
        if (!strncmp(*words, "width=", 6))
            o.width = (unsigned)atoi(*words + 6);
        if (!strncmp(*words, "template=", 9))
            o.template_text = str_from(*words + 9);
    }
    return o;
}

static const struct report_format *format_of(const char *name)
{
    size_t i = 0;
    while (report_formats[i] && strcmp(report_formats[i]->name, name) != 0)
        i++;
    return report_formats[i];
}

int main(int argc, char **argv)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(128 << 20);
    CLEANUP(buf_done) struct buf out = { .max = 128 << 20 };
    struct world w = { .arena = arena };
    const struct report_format *f = argc < 3 ? NULL : format_of(argv[1]);
    if (!f || make(&w, argv[2]) < 0)
        return fprintf(stderr, "usage: report_dump FORMAT rich|hostile|empty|none|many|huge [OPTION...]\n"),
               2;
    struct report_options o = read_options(argv + 3);
    for (int i = 3; i < argc; i++)
        if (!strncmp(argv[i], "max=", 4))
            out.max = (size_t)atol(argv[i] + 4);
    f->write(&w.report, &o, &out);
    if (out.failed)
        return 1;
    return out.len && fwrite(out.ptr, 1, out.len, stdout) != out.len;
}
