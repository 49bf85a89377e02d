/*
 * test_feed_bad.c - broken documents of every source: cut, with a byte changed, in another encoding, twice. The documents are those of the
 * fuzzers' corpora that are well formed.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "feed/feed.h"

#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define CUTS    50
#define CHANGES 200

static const struct source {
    const char *feed, *corpus, *document; /* document NULL: the first of its table */
    bool lines;                           /* cut at the end of a line it is shorter, and nothing else */
} sources[] = {
    { "almalinux", "osv_zip", "AlmaLinux:8/all.zip", false },
    { "alpine", "alpine", "v3.20/main.json", false },
    { "amazon", "amazon_updateinfo", "2/x86_64/updateinfo.xml", false },
    { "arch", "arch", "issues/all.json", false },
    { "chainguard", "wolfi", "chainguard/security.json", false },
    { "crates", "osv_zip", NULL, false },
    { "debian", "debian", "tracker/data/json", false },
    { "epss", "epss", "epss_scores-current.csv.gz", true },
    { "go", "osv_zip", NULL, false },
    { "hex", "osv_zip", NULL, false },
    { "kev", "kev", "sites/default/files/feeds/known_exploited_vulnerabilities.json", false },
    { "maven", "osv_zip", NULL, false },
    { "npm", "osv_zip", NULL, false },
    { "nuget", "osv_zip", NULL, false },
    { "nvd", "nvd", "feeds/json/cve/2.0/nvdcve-2.0-2024.json.gz", false },
    { "packagist", "osv_zip", NULL, false },
    { "pub", "osv_zip", NULL, false },
    { "pypi", "osv_zip", NULL, false },
    { "redhat", "redhat_vex", "data/csaf/v2/vex/2024/cve-2024-1.json", false },
    { "redhat-osv", "osv_zip", NULL, false },
    { "rocky", "osv_zip", NULL, false },
    { "rubygems", "osv_zip", NULL, false },
    { "ubuntu", "osv_zip", "Ubuntu/all.zip", false },
    { "ubuntu-tracker", "ubuntu_tracker", NULL, false },
    { "wolfi", "wolfi", "os/security.json", false },
    { "azurelinux", "oval_azurelinux", "cbl-mariner-2.0-oval.xml", false },
    { "oracle", "oval_oracle", "security/oval/com.oracle.elsa-all.xml.bz2", false },
    { "photon", "photon", "photon_cve_metadata/cve_data_photon4.0.json", false },
    { "photon", "oval_photon", "photon_oval_definitions/com.vmware.phsa-photon3.xml.gz", false },
    { "suse", "oval_suse", "pub/projects/security/oval/suse.linux.enterprise.server.15.xml.gz", false },
};

/* ---- a parser, and what it says ---- */

struct counts {
    struct advisory_sink sink;
    size_t said;
};

static int count(struct advisory_sink *sink)
{
    ((struct counts *)sink)->said++;
    return 0;
}
static int on_advisory(struct advisory_sink *s, const struct advisory *a, struct err *e) { return count(s); }
static int on_name(struct advisory_sink *s, str name, struct err *e) { return count(s); }
static int on_lead(struct advisory_sink *s, const struct feed_lead *lead, struct err *e) { return count(s); }

static int parse(const struct source *s, str bytes, size_t *said, struct err *e)
{
    struct counts c = { .sink = { on_advisory, on_name, on_lead, on_name, on_name } };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, e);
    CLEANUP(stream_freep) struct stream *plain = in ? stream_inflate(in, NULL, NULL, e) : NULL;
    assert_non_null(plain);
    const struct feed *feed = feed_by_name(str_from(s->feed));
    str document = str_from(s->document ? s->document : feed->documents->path);
    const struct feed_input input = { .document = document, .path = document, .bytes = plain };
    int r = feed->parse(&input, &c.sink, e);
    if (r == 0)
        r = stream_drain(plain, e);
    *said = c.said;
    assert_int_equal(r < 0, e->kind != ERR_NONE);
    return r;
}

/* Of a cut it tells where: at a byte, a line or an entry. */
static void check_story(const struct source *s, const struct err *e, bool where)
{
    bool number = false;
    for (const char *p = e->text; *p; p++)
        number |= isdigit((unsigned char)*p) != 0;
    if (e->kind == ERR_OOM || !*e->text || (where && !number))
        fail_msg("%s: '%s' does not say where", s->feed, e->text);
}

/* ---- broken in all ways ---- */

static unsigned next_random(unsigned *state) { return (*state = *state * 1664525u + 1013904223u) >> 8; }

/* Or the zeros behind the last file of a tar. */
static bool is_blank(str s)
{
    while (s.len && !*s.ptr)
        s = str_skip(s, 1);
    return !str_trim(s).len;
}

static void check_cuts(const struct source *s, str doc, size_t said)
{
    unsigned state = 1;
    for (int i = 0; i < CUTS; i++) {
        struct err e = { 0 };
        size_t n = next_random(&state) % doc.len, got;
        int r = parse(s, str_head(doc, n), &got, &e);
        if (r < 0)
            check_story(s, &e, n > 512); /* before that it may not even be what it is */
        else if (!is_blank(str_skip(doc, n)) && !(s->lines && n && got < said))
            fail_msg("%s: cut after %zu of %zu bytes it is taken for whole", s->feed, n, doc.len);
    }
}

static void check_changes(const struct source *s, str doc)
{
    unsigned state = 2;
    CLEANUP(buf_done) struct buf changed = { 0 };
    for (int i = 0; i < CHANGES; i++) {
        struct err e = { 0 };
        size_t got;
        buf_clear(&changed);
        buf_str(&changed, doc);
        assert_false(changed.failed);
        changed.ptr[next_random(&state) % doc.len] ^= (char)(1 + next_random(&state) % 255);
        if (parse(s, buf_view(&changed), &got, &e) < 0)
            check_story(s, &e, false);
    }
}

/* UTF-16 with its mark, and the document behind itself: one that is taken must at least say less, or the same again. */
static void check_forms(const struct source *s, str doc, size_t said)
{
    CLEANUP(buf_done) struct buf wide = { 0 };
    struct err e = { 0 };
    size_t got;
    buf_str(&wide, STR("\xff\xfe"));
    for (size_t i = 0; i < doc.len; i++) {
        buf_char(&wide, doc.ptr[i]);
        buf_char(&wide, '\0');
    }
    if (parse(s, buf_view(&wide), &got, &e) < 0)
        check_story(s, &e, false);
    buf_clear(&wide);
    buf_str(&wide, doc);
    buf_str(&wide, doc);
    e = (struct err){ 0 };
    bool zip = str_starts(doc, STR("PK")); /* which has an end, and what lies behind it is not looked at */
    if (parse(s, buf_view(&wide), &got, &e) == 0 && got == said && !zip)
        fail_msg("%s: a document behind the document is not seen", s->feed);
}

static str read_file(const char *path, struct buf *to)
{
    CLEANUP(fclosep) FILE *f = fopen(path, "r");
    char block[4096];
    size_t n;
    buf_clear(to);
    while (f && (n = fread(block, 1, sizeof block, f)))
        buf_add(to, block, n);
    return buf_view(to);
}

static void check_source(const struct source *s)
{
    char folder[200], path[500];
    size_t whole = 0;
    CLEANUP(buf_done) struct buf doc = { 0 };
    snprintf(folder, sizeof folder, "fuzz/corpus/%s", s->corpus);
    DIR *dir = opendir(folder);
    if (!dir)
        fail_msg("%s is not there", folder);
    for (const struct dirent *d; (d = readdir(dir));) {
        struct err e = { 0 };
        size_t said;
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        str bytes = *d->d_name == '.' ? (str){ 0 } : read_file(path, &doc);
        if (!bytes.len || parse(s, bytes, &said, &e) < 0 || !said)
            continue;
        whole++;
        check_cuts(s, bytes, said);
        check_changes(s, bytes);
        check_forms(s, bytes, said);
    }
    closedir(dir);
    if (!whole)
        fail_msg("%s: no well formed document in %s", s->feed, folder);
}

static void test_broken(void **state)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        check_source(&sources[i]);
}

/* Whoever adds a source adds its row here. */
static void test_none_is_forgotten(void **state)
{
    for (const struct feed *const *f = feeds; *f; f++) {
        size_t i = 0;
        while (i < sizeof sources / sizeof *sources && strcmp(sources[i].feed, (*f)->name) != 0)
            i++;
        if (i == sizeof sources / sizeof *sources)
            fail_msg("%s has no row", (*f)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_broken),
                                        cmocka_unit_test(test_none_is_forgotten) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
