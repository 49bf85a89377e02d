/* Vendors' advisories: the flaws that they speak of, the repositories that they are for, and namespaces that others' data serves. */
#include "store_fixture.h"

#include "model/cpe.h"

#define ROOM 8

/* ---- CPEs ---- */

static void test_cpe(void **state)
{
    static const struct {
        const char *row, *repository;
        bool covers;
    } cases[] = {
        { "cpe:/o:redhat:enterprise_linux:8", "cpe:/o:redhat:enterprise_linux:8::baseos", true },
        { "cpe:/o:redhat:enterprise_linux:8", "cpe:/o:redhat:enterprise_linux:80::baseos", false },
        { "cpe:/o:redhat:enterprise_linux:8", "cpe:/a:redhat:enterprise_linux:8::appstream", false },
        { "cpe:/o:redhat:enterprise_linux:8::baseos", "cpe:/o:redhat:enterprise_linux:8", false },
        { "cpe:/o:redhat:enterprise_linux:8::baseos", "cpe:/o:redhat:enterprise_linux:8::baseos", true },
        { "cpe:/o:redhat:enterprise_linux:8::baseos", "cpe:/o:redhat:enterprise_linux:8::baseos2", false },
        { "cpe:/o:redhat:enterprise_linux:8::", "cpe:/o:redhat:enterprise_linux:8::baseos", true },
        { "cpe:/o:redhat:enterprise_linux", "cpe:/o:redhat:enterprise_linux:8::baseos", true },
        { "cpe:/a:redhat:rhel_eus:9.2::appstream", "cpe:/a:redhat:rhel_eus:9.2::appstream", true },
        { "cpe:/a:redhat:rhel_eus:9.2::appstream", "cpe:/a:redhat:rhel_eus:9.4::appstream", false },
        { "cpe:2.3:o:redhat:enterprise_linux:8:*:*:*:*:*:*:*", "cpe:/o:redhat:enterprise_linux:8::baseos",
          true },
        { "cpe:2.3:o:redhat:enterprise_linux:8:*:crb:*:*:*:*:*", "cpe:/o:redhat:enterprise_linux:8::baseos",
          false },
        { "cpe:/o:redhat:enterprise_linux:8", "cpe:2.3:o:redhat:enterprise_linux:8:*:baseos:*:*:*:*:*",
          true },
        { "cpe:2.3:o:x:a\\:b:8", "cpe:2.3:o:x:a\\:b:8:*", true },
        { "cpe:2.3:o:x:a\\:b:8", "cpe:2.3:o:x:a\\:c:8:*", false },
        { "cpe:2.3:o:x:a\\", "cpe:2.3:o:x:a\\", true },
        { "cpe:/o:RedHat:Enterprise_Linux:8", "cpe:/o:redhat:enterprise_linux:8", true },
        { "cpe:/", "cpe:/o:redhat:enterprise_linux:8", false },
        { "cpe:/*:*", "cpe:/o:redhat:enterprise_linux:8", false },
        { "odd", "odd", true },
        { "odd", "odd:8", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cpe_covers(str_from(cases[i].row), str_from(cases[i].repository)) != cases[i].covers)
            fail_msg("%s %s", cases[i].row, cases[i].repository);
}

/* ---- matching ---- */

static size_t words(str list, str ret[ROOM])
{
    size_t n = 0;
    while (list.len && n < ROOM)
        ret[n++] = str_cut(&list, ',');
    return n;
}

/* Lines "FEED RANK ID ALIASES SEVERITY CPES [RANGE];": one advisory each, words are lists; those of a feed stand together. Severity is
 * one of the id as such. */
static void say_all(struct place *p, const char *text)
{
    struct store_update *u = NULL;
    str rest = str_from(text), feed = { 0 };
    for (int number = 0; rest.len; number++) {
        str line = str_cut(&rest, ';'), next = field(&line);
        uint64_t rank = STORE_RANK;
        assert_true(str_to_u64(field(&line), &rank));
        if (!str_eq(next, feed)) {
            if (u)
                commit(p, u, 1000);
            feed = next;
            u = store_update_begin(p->store, feed, (unsigned)rank, &p->e);
            assert_non_null(u);
            ok(p, store_update_document(u, STR("doc"), STR("v"), &p->e));
        }
        str aliases[ROOM], cpes[ROOM];
        struct affected_range r;
        struct advisory a = { .id = field(&line), .title = feed, .ranges = &r };
        a.meta.aliases = aliases;
        a.meta.alias_count = words(field(&line), aliases);
        a.meta.has_severity = severity_parse(field(&line), &a.meta.severity);
        a.meta.cpes = cpes;
        a.meta.cpe_count = words(field(&line), cpes);
        a.key = arena_printf(p->arena, "%d", number);
        if (line.len) {
            r = range_of(line);
            a.range_count = 1;
        }
        ok(p, store_update_put(u, &a, &p->e));
    }
    if (u)
        commit(p, u, 1000);
}

/* As put_image() has it, with repositories. */
static struct image_index *image_with(struct place *p, const char *text, const char *namespace,
                                      const char *sets)
{
    struct image_index *image;
    int64_t id = put_image(p, text, str_from(namespace));
    str names[ROOM];
    assert_int_equal(store_image_get(p->store, id, p->arena, &image, &p->e), 1);
    image->fact_count = words(str_from(sets), names);
    image->facts = arena_array(p->arena, struct image_fact, image->fact_count + 1);
    for (size_t i = 0; i < image->fact_count; i++)
        image->facts[i].fact = (struct fact){ STR("content-set"), names[i] };
    return image;
}

/* "PACKAGE ID FIXED FEED[ ADVISORY] SEVERITY/SOURCE;" for each finding */
static str told(struct place *p, const struct image_index *image, enum match_names names, struct match *ret)
{
    str text = STR("");
    ok(p, store_match(p->store, image, names, p->arena, ret, &p->e));
    for (size_t i = 0; i < ret->finding_count; i++) {
        const struct finding *f = &ret->findings[i];
        text = arena_printf(p->arena,
                            STR_FMT "%u " STR_FMT " " STR_FMT " " STR_FMT "%s" STR_FMT " %s/" STR_FMT ";",
                            STR_ARG(text), f->package, STR_ARG(f->id),
                            STR_ARG(f->fixed_version.len ? f->fixed_version : STR("-")), STR_ARG(f->feed),
                            f->advisory.len ? " " : "", STR_ARG(f->advisory), severity_name(f->severity),
                            STR_ARG(f->severity_source));
        same(f->namespace, image->distribution.namespace);
    }
    return text;
}

#define RPM  "x 1-1 x 1-1 - - rpm"
#define RHEL " B x - 2-1 - - rhel:9 rpm "
#define EUS  "cpe:/o:redhat:rhel_eus:9.2::baseos"
#define OS   "cpe:/o:redhat:enterprise_linux:9"

static const struct {
    const char *name, *said, *packages, *namespace, *sets;
    enum match_names names;
    const char *want;
} cases[] = {
    /* repositories */
    { "no CPE, no repository", "f 9 C1 - - -" RHEL, RPM, "rhel:9", "", MATCH_BY_FLAW, "0 C1 2-1 f High/f;" },
    { "the defaults",
      "f 9 C1 - - -" RHEL OS "::baseos;f 9 C2 - - -" RHEL
      "cpe:/a:redhat:enterprise_linux:9::appstream;f 9 C3 - - -" RHEL OS "::crb;f 9 C4 - - -" RHEL EUS
      ";f 9 C5 - - -" RHEL OS ";f 9 C6 - - -" RHEL "cpe:/o:redhat:enterprise_linux:90::baseos",
      RPM, "rhel:9", "", MATCH_BY_FLAW, "0 C1 2-1 f High/f;0 C2 2-1 f High/f;0 C5 2-1 f High/f;" },
    { "repositories that are known",
      "f 9 C1 - - -" RHEL OS "::baseos;f 9 C4 - - -" RHEL EUS ";r 9 eus - - " EUS ";s 9 other - - " OS
      "::crb",
      RPM, "rhel:9", "unknown,eus", MATCH_BY_FLAW, "0 C4 2-1 f High/f;" },
    { "of two feeds together",
      "f 9 C1 - - -" RHEL OS "::baseos;f 9 C4 - - -" RHEL EUS ";r 9 eus - - " EUS ";s 9 eus - - " OS
      "::baseos",
      RPM, "rhel:9", "eus,eus", MATCH_BY_FLAW, "0 C1 2-1 f High/f;0 C4 2-1 f High/f;" },
    { "repositories that nobody knows",
      "f 9 C1 - - -" RHEL OS "::baseos;f 9 C4 - - -" RHEL EUS ";r 9 eus - - " EUS, RPM, "rhel:9", "unknown",
      MATCH_BY_FLAW, "0 C1 2-1 f High/f;" },
    { "no defaults elsewhere", "f 9 C1 - - - B x - 2-1 - - oracle:9 rpm " OS, RPM, "oracle:9", "",
      MATCH_BY_FLAW, "" },
    { "a negative of another repository", "f 9 C1 - - -" RHEL ";f 9 C1 - - - b x - - - - rhel:9 rpm " EUS,
      RPM, "rhel:9", "", MATCH_BY_FLAW, "0 C1 2-1 f High/f;" },
    { "a negative of this repository", "f 9 C1 - - -" RHEL ";f 9 C1 - - - b x - - - - rhel:9 rpm " OS, RPM,
      "rhel:9", "", MATCH_BY_FLAW, "" },
    { "RHEL 7",
      "f 9 C1 - - - B x - 2-1 - - rhel:7 rpm cpe:/o:redhat:enterprise_linux:7::server;f 9 C2 - - - B x - 2-1 "
      "- - rhel:7 rpm "
      "cpe:/o:redhat:enterprise_linux:7::baseos;f 9 C3 - - - B x - 2-1 - - rhel:7 rpm "
      "cpe:/o:redhat:enterprise_linux:7::computenode",
      RPM, "rhel:7", "", MATCH_BY_FLAW, "0 C1 2-1 f High/f;0 C3 2-1 f High/f;" },
    { "a module and a CPE",
      "f 9 C1 - - - B x - 2-1 - m:1 rhel:9 rpm " OS ";f 9 C2 - - - B x - 2-1 - m:2 rhel:9 rpm " OS
      ";f 9 C3 - - - B x - 2-1 - m:1 rhel:9 rpm " EUS,
      "x 1-1 x 1-1 - m:1 rpm", "rhel:9", "", MATCH_BY_FLAW, "0 C1 2-1 f High/f;" },

    /* modules */
    { "packages that do not tell their module",
      "f 9 C1 - - - B x - 2-1 - m:1 oracle:8 rpm;f 9 C2 - - - B x - 2-1 - - oracle:8 rpm;f 9 C1 - - - B y - "
      "2-1 - m:1 oracle:8 rpm",
      "x 1-1.module+el8.0.0+1 x 1-1.module+el8.0.0+1 - - rpm;y 1-1.el8 y 1-1.el8 - - rpm", "oracle:8", "",
      MATCH_BY_FLAW, "0 C1 2-1 f High/f;0 C2 2-1 f High/f;" },
    { "elsewhere they do", "f 9 C1 - - - B x - 2-1 - m:1 rocky:8 rpm;f 9 C2 - - - B x - 2-1 - - rocky:8 rpm",
      "x 1-1.module+el8.0.0+1 x 1-1.module+el8.0.0+1 - m:1 rpm;x 1-1.module+el8.0.0+2 x 1-1.module+el8.0.0+2 "
      "- m:2 rpm;x 1-2 x 1-2 - - rpm",
      "rocky:8", "", MATCH_BY_FLAW, "0 C1 2-1 f High/f;2 C2 2-1 f High/f;" },

    /* flaws */
    { "as named", "f 9 RHSA-1 CVE-1,CVE-2 - -" RHEL, RPM, "rhel:9", "", MATCH_AS_NAMED,
      "0 RHSA-1 2-1 f High/f;" },
    { "by flaw", "f 9 RHSA-1 CVE-2,GHSA-1,CVE-1 - -" RHEL, RPM, "rhel:9", "", MATCH_BY_FLAW,
      "0 CVE-1 2-1 f RHSA-1 High/f;0 CVE-2 2-1 f RHSA-1 High/f;" },
    { "without flaws", "f 9 MAL-1 X-1 - -" RHEL, RPM, "rhel:9", "", MATCH_BY_FLAW, "0 MAL-1 2-1 f High/f;" },
    { "a flaw's other names", "f 9 CVE-1 CVE-2 - -" RHEL, RPM, "rhel:9", "", MATCH_BY_FLAW,
      "0 CVE-1 2-1 f High/f;" },
    { "a flaw that is named twice", "f 9 RHSA-1 CVE-1,CVE-1 - -" RHEL, RPM, "rhel:9", "", MATCH_BY_FLAW,
      "0 CVE-1 2-1 f RHSA-1 High/f;" },
    { "the highest of several",
      "f 9 RHSA-1 CVE-1 - - B x - 2-1 - - rhel:9 rpm;f 9 RHSA-2 CVE-1,CVE-2 - - B x - 3-1 - - rhel:9 rpm",
      RPM, "rhel:9", "", MATCH_BY_FLAW, "0 CVE-1 3-1 f RHSA-2 High/f;0 CVE-2 3-1 f RHSA-2 High/f;" },
    { "that of another repository is gone before",
      "f 9 RHSA-1 CVE-1 - -" RHEL OS ";f 9 RHSA-2 CVE-1 - - B x - 3-1 - - rhel:9 rpm " EUS, RPM, "rhel:9", "",
      MATCH_BY_FLAW, "0 CVE-1 2-1 f RHSA-1 High/f;" },
    { "beside what is unfixed", "f 9 CVE-1 - - - B x - - - - rhel:9 rpm;f 9 RHSA-1 CVE-1 - -" RHEL, RPM,
      "rhel:9", "", MATCH_BY_FLAW, "0 CVE-1 - f High/f;" },
    { "a better feed",
      "f 9 RHSA-1 CVE-1 - - B x - 3-1 - - rhel:9 rpm;g 5 CVE-1 - - - B x - 2-1 - - rhel:9 rpm", RPM, "rhel:9",
      "", MATCH_BY_FLAW, "0 CVE-1 2-1 g High/g;" },
    { "no to a flaw", "f 9 RHSA-1 CVE-1,CVE-2 - -" RHEL ";f 9 CVE-1 - - - b x - - - - rhel:9 rpm", RPM,
      "rhel:9", "", MATCH_BY_FLAW, "0 CVE-2 2-1 f RHSA-1 High/f;" },
    { "no to the advisory", "f 9 RHSA-1 CVE-1,CVE-2 - -" RHEL ";g 9 RHSA-1 - - - b x - - - - rhel:9 rpm", RPM,
      "rhel:9", "", MATCH_BY_FLAW, "" },
    { "no by a feed that counts less", "f 9 RHSA-1 CVE-1 - -" RHEL ";g 10 CVE-1 - - - b x - - - - rhel:9 rpm",
      RPM, "rhel:9", "", MATCH_BY_FLAW, "0 CVE-1 2-1 f RHSA-1 High/f;" },
    { "no to a flaw, as named", "f 9 RHSA-1 CVE-1 - -" RHEL ";f 9 CVE-1 - - - b x - - - - rhel:9 rpm", RPM,
      "rhel:9", "", MATCH_AS_NAMED, "0 RHSA-1 2-1 f High/f;" },
    { "severity: the feed's own of the flaw",
      "f 9 RHSA-1 CVE-1,CVE-2 Critical -" RHEL ";f 9 CVE-1 - Low -;n 1 CVE-2 - Medium -", RPM, "rhel:9", "",
      MATCH_BY_FLAW, "0 CVE-1 2-1 f RHSA-1 Low/f;0 CVE-2 2-1 f RHSA-1 High/f;" },

    /* namespaces of others */
    { "CentOS by RHEL", "f 9 RHSA-1 CVE-1 - -" RHEL OS, RPM, "centos:9", "", MATCH_BY_FLAW,
      "0 CVE-1 2-1 f RHSA-1 High/f;" },
    { "CentOS of another release", "f 9 RHSA-1 CVE-1 - -" RHEL, RPM, "centos:8", "", MATCH_BY_FLAW, "" },
    { "CentOS by its own", "f 9 RHSA-1 CVE-1 - -" RHEL ";g 9 C2 - - - B x - 2-1 - - centos:9 rpm", RPM,
      "centos:9", "", MATCH_BY_FLAW, "0 C2 2-1 g High/g;" },
    { "RHEL by its own alone", "f 9 C1 - - - B x - 2-1 - - centos:9 rpm", RPM, "rhel:9", "", MATCH_BY_FLAW,
      "" },
    { "Chainguard by both",
      "a 9 C1 - - - S x - 2 - - wolfi apk;a 9 C2 - - - S x - 2 - - wolfi apk;b 9 C3 - - - S x - 2 - - "
      "chainguard apk;b 9 C2 - - - s x - - - - "
      "chainguard apk",
      "x 1 x 1 - - apk", "chainguard", "", MATCH_BY_FLAW, "0 C1 2 a High/a;0 C3 2 b High/b;" },
    { "Wolfi by its own", "a 9 C1 - - - S x - 2 - - wolfi apk;b 9 C3 - - - S x - 2 - - chainguard apk",
      "x 1 x 1 - - apk", "wolfi", "", MATCH_BY_FLAW, "0 C1 2 a High/a;" },
    { "another scheme", "f 9 C1 - - - S x - 2 - - rhel:9 dpkg;g 9 C2 - - - b y - 2 - - centos:8 rpm", RPM,
      "centos:9", "", MATCH_BY_FLAW, "" },
};

static void test_vendors(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *at;
        struct match m;
        fresh(&at);
        struct place *p = at;
        say_all(p, cases[i].said);
        const struct image_index *image = image_with(p, cases[i].packages, cases[i].namespace, cases[i].sets);
        str got = told(p, image, cases[i].names, &m);
        if (!str_eq(got, str_from(cases[i].want)))
            fail_msg("%s: '" STR_FMT "', not '%s'", cases[i].name, STR_ARG(got), cases[i].want);
        tidy(&at);
    }
}

/* ---- the other way round ---- */

/* Does an advisory of that id hit the image, and in what it says it is of? */
static bool hits(struct place *p, int64_t advisory, int64_t image, str namespace)
{
    struct affected_cursor cursor = { 0 };
    bool is = false;
    for (int more = 1; more;) {
        struct affected_image *list;
        size_t count;
        more = store_affected(p->store, advisory, &cursor, 1, p->arena, &list, &count, &p->e);
        ok(p, more);
        for (size_t i = 0; i < count; i++) {
            is |= list[i].id == image;
            if (list[i].id == image)
                same(list[i].namespace, namespace);
        }
    }
    return is;
}

/* Which ids hit it: as many words as findings have. */
static str hit_by(struct place *p, int64_t image, str namespace)
{
    struct feed_status *feeds;
    size_t feed_count;
    str words[32], text = STR("");
    size_t n = 0;
    ok(p, store_feeds(p->store, p->arena, &feeds, &feed_count, &p->e));
    for (size_t f = 0; f < feed_count; f++) {
        struct stored_entry *list;
        size_t count;
        ok(p, store_advisories_after(p->store, feeds[f].name, 0, 100, p->arena, &list, &count, &p->e));
        for (size_t i = 0; i < count; i++) {
            size_t k = 0;
            while (k < n && !str_eq(words[k], list[i].advisory.id))
                k++;
            if (k == n && hits(p, list[i].id, image, namespace))
                words[n++] = list[i].advisory.id;
        }
    }
    for (size_t i = 0; i < n; i++) /* in order */
        for (size_t k = i + 1; k < n; k++)
            if (str_cmp(words[k], words[i]) < 0) {
                str w = words[i];
                words[i] = words[k], words[k] = w;
            }
    for (size_t i = 0; i < n; i++)
        text = arena_printf(p->arena, STR_FMT STR_FMT " ", STR_ARG(text), STR_ARG(words[i]));
    return text;
}

static void test_backward(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *at;
        struct match m;
        int64_t id = 0;
        fresh(&at);
        struct place *p = at;
        say_all(p, cases[i].said);
        image_with(p, cases[i].packages, cases[i].namespace, "r1"); /* another one, of the same set */
        struct image_index *image = image_with(p, cases[i].packages, cases[i].namespace, cases[i].sets);
        image->digest = STR("sha256:def");
        ok(p, store_image_put(p->store, image, 1, &id, &p->e));
        ok(p, store_match(p->store, image, MATCH_AS_NAMED, p->arena, &m, &p->e));
        str want = STR("");
        for (size_t k = 0; k < m.finding_count; k++)
            want = arena_printf(p->arena, STR_FMT STR_FMT " ", STR_ARG(want), STR_ARG(m.findings[k].id));
        str got = hit_by(p, id, image->distribution.namespace);
        if (!str_eq(got, want))
            fail_msg("%s: '" STR_FMT "', not '" STR_FMT "'", cases[i].name, STR_ARG(got), STR_ARG(want));
        tidy(&at);
    }
}

/* Of images of one set those with another repository are not hit: a page goes on behind them. */
static void test_backward_pages(void **state)
{
    struct place *p = *state;
    struct affected_cursor cursor = { 0 };
    struct affected_image *list;
    size_t count, all = 0;
    int64_t id = 0;
    say_all(p, "f 9 C1 - - -" RHEL EUS ";f 9 eus - - " EUS);
    for (int i = 0; i < 20; i++) {
        struct image_index *image = image_with(p, RPM, i % 2 ? "rhel:9" : "centos:9", i % 5 ? "" : "eus");
        image->digest = arena_printf(p->arena, "sha256:%d", i);
        ok(p, store_image_put(p->store, image, 1, &id, &p->e));
    }
    ok(p, store_advisory_find(p->store, STR("f"), STR("0"), &id, &p->e));
    for (int more = 1; more; all += count) {
        more = store_affected(p->store, id, &cursor, 1, p->arena, &list, &count, &p->e);
        ok(p, more);
        for (size_t i = 0; i < count; i++) {
            char last = list[i].digest.ptr[list[i].digest.len - 1];
            assert_true(last == '0' || last == '5');
            same(list[i].namespace, last == '0' ? STR("centos:9") : STR("rhel:9"));
        }
    }
    assert_int_equal(all, 4);
}

/* Named layers with images of a namespace and of the one that it serves: by age, however pages are cut. */
static void test_backward_layers(void **state)
{
    struct place *p = *state;
    int64_t id = 0, from;
    say_all(p, "f 9 C1 - - -" RHEL OS);
    for (int i = 0; i < 7; i++) {
        struct image_index *image = image_with(p, RPM, i % 3 ? "rhel:9" : "centos:9", i == 4 ? "eus" : "");
        image->digest = arena_printf(p->arena, "sha256:%d", i);
        ok(p, store_image_put(p->store, image, 1, &id, &p->e));
        struct named_layer n = { .name = arena_printf(p->arena, "l%d", i),
                                 .digest = layer_empty.digest,
                                 .chain = arena_printf(p->arena, "c%d", i),
                                 .engine = 3,
                                 .indexer = 1,
                                 .views = &id,
                                 .view_count = 1 };
        assert_int_equal(store_named_put(p->store, &n, &p->e), 1);
    }
    say_all(p, "g 9 eus - - " EUS);
    ok(p, store_advisory_find(p->store, STR("f"), STR("0"), &id, &p->e));
    for (size_t limit = 1; limit < 9; limit++) {
        str text = STR("");
        from = 0;
        for (int more = 1; more;) {
            struct affected_name *list;
            size_t count;
            more =
                store_introducing(p->store, id, STR("rhel:9"), from, limit, p->arena, &list, &count, &p->e);
            ok(p, more);
            for (size_t i = 0; i < count; i++, from = list[i - 1].id + 1)
                text = arena_printf(p->arena, STR_FMT STR_FMT " ", STR_ARG(text), STR_ARG(list[i].name));
        }
        same(text, STR("l0 l1 l2 l3 l5 l6 "));
    }
}

/* Feeds of both namespaces, each once, by name; and whose word it is. */
static void test_served_feeds(void **state)
{
    struct place *p = *state;
    struct match m;
    say_all(p, "z 9 C1 - - - S y - 2 - - chainguard apk;a 9 C1 - - - S y - 2 - - wolfi apk;m 9 C1 - - - S y "
               "- 2 - - wolfi apk;m 9 C2 - - - S y - 2 "
               "- - chainguard apk;r 9 C1 - - - S y - 2 - - rhel:9 rpm");
    same(told(p, image_with(p, "x 1 x 1 - - apk", "chainguard", ""), MATCH_BY_FLAW, &m), STR(""));
    assert_int_equal(m.feed_count, 3);
    same(m.feeds[0].name, STR("a")), same(m.feeds[1].name, STR("m")), same(m.feeds[2].name, STR("z"));
    same(m.scheme, STR("apk")), same(m.data, STR("chainguard"));
    told(p, image_with(p, RPM, "centos:9", ""), MATCH_BY_FLAW, &m);
    assert_int_equal(m.feed_count, 1);
    same(m.feeds[0].name, STR("r")), same(m.scheme, STR("rpm")), same(m.data, STR("rhel:9"));
    told(p, image_with(p, RPM, "centos:8", ""), MATCH_BY_FLAW, &m);
    assert_int_equal(m.feed_count, 0);
    same(m.scheme, STR("")), same(m.data, STR("centos:8"));
    static const char *const data[][2] = {
        { "centos:9", "rhel:9" },
        { "centos:8", "centos:8" },
        { "chainguard", "chainguard" },
        { "rhel:9", "rhel:9" },
    };
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        struct stored_namespace n;
        assert_int_equal(store_namespace_find(p->store, str_from(data[i][0]), p->arena, &n, &p->e), 1);
        same(n.name, str_from(data[i][0])), same(n.data, str_from(data[i][1]));
    }
}

/* Hundreds of flaws in one advisory, and more findings than there may be. */
static void test_many_flaws(void **state)
{
    struct place *p = *state;
    struct match m;
    str aliases[1024];
    struct affected_range r = range_of(STR("S x - - - -"));
    struct advisory a = { .key = STR("k"), .id = STR("SUSE-1"), .ranges = &r, .range_count = 1 };
    struct image_index image = { .distribution.namespace = STR("debian:12") };
    for (int i = 0; i < 1024; i++)
        aliases[i] = arena_printf(p->arena, "CVE-%04d", i);
    a.meta.aliases = aliases, a.meta.alias_count = 1024;
    struct store_update *u = begin(p, "f");
    ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
    ok(p, store_update_put(u, &a, &p->e));
    commit(p, u, 1);
    image.packages = arena_array(p->arena, struct image_package, 300);
    for (int i = 0; i < 300; i++)
        image.packages[i].package = (struct package){ .kind = STR("dpkg"),
                                                      .name = arena_printf(p->arena, "x%03d", i),
                                                      .version = STR("1"),
                                                      .source = STR("x"),
                                                      .source_version = STR("1") };
    image.package_count = 200;
    ok(p, store_match(p->store, &image, MATCH_BY_FLAW, p->arena, &m, &p->e));
    assert_int_equal(m.finding_count, 200 * 1024);
    same(m.findings[1023].id, STR("CVE-1023")), same(m.findings[1024].advisory, STR("SUSE-1"));
    image.package_count = 300;
    fails(p, store_match(p->store, &image, MATCH_BY_FLAW, p->arena, &m, &p->e), ERR_LIMIT);
    ok(p, store_match(p->store, &image, MATCH_AS_NAMED, p->arena, &m, &p->e));
    assert_int_equal(m.finding_count, 300);
}

int store_vendor_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpe), cmocka_unit_test(test_vendors), cmocka_unit_test(test_backward),
        CASE(test_backward_pages),  CASE(test_backward_layers),     CASE(test_served_feeds),
        CASE(test_many_flaws),
    };
    return cmocka_run_group_tests_name("store: vendors", tests, NULL, NULL);
}
