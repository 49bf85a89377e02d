/* The contract of store.h. The tests know no engine: `fresh()` gives a place for an empty database; what is SQLite's alone stands at
 * the end, under "files". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/store.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

struct place {
    char folder[64], where[96];
    struct store *store;
    struct arena *arena;
    struct err e;
};

static struct store *open_at(struct place *p, enum store_mode mode)
{
    struct store *s = store_open(p->where, mode, &p->e);
    if (!s)
        fail_msg("%s", p->e.text);
    return s;
}

static int fresh(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/eclair-store-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->where, sizeof p->where, "%s/new/folder/eclair.db", p->folder);
    p->arena = arena_new(0);
    p->store = open_at(p, STORE_WRITE);
    *state = p;
    return 0;
}

static int delete_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static int tidy(void **state)
{
    struct place *p = *state;
    store_freep(&p->store);
    arena_freep(&p->arena);
    nftw(p->folder, delete_one, 8, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

#define ok(p, call)                                                                                          \
    do {                                                                                                     \
        if ((call) < 0)                                                                                      \
            fail_msg("%s", (p)->e.text);                                                                     \
    } while (0)

#define same(a, b) same_at(__LINE__, a, b)
static void same_at(int line, str a, str b)
{
    if (!str_eq(a, b))
        fail_msg("line %d: '" STR_FMT "' is not '" STR_FMT "'", line, STR_ARG(a), STR_ARG(b));
}

static str field(str *line)
{
    str w = str_word(line);
    return str_eq(w, STR("-")) ? STR("") : w;
}

/* ---- layers and images ---- */

#define RAW "\xff\xfe\x00\x80z"

static struct package packages[] = {
    { .kind = STR("dpkg"),
      .name = STR("libssl3"),
      .version = STR("3.0.9-1"),
      .arch = STR("amd64"),
      .source = STR("openssl"),
      .source_version = STR("3.0.9-1") },
    { .kind = STR("dpkg"),
      .name = STR(RAW),
      .version = STR("1:2~rc1"),
      .source = STR(RAW),
      .source_version = STR("x y") },
    { .kind = STR("rpm"),
      .name = STR("nodejs"),
      .version = STR("1-1"),
      .arch = STR("x86_64"),
      .source = STR("nodejs"),
      .source_version = STR("1-1"),
      .module = STR("nodejs:18") },
};

static struct layer_entry entries[] = {
    { .kind = ENTRY_FILE,
      .path = STR("var/lib/dpkg/status"),
      .detector = STR("dpkg"),
      .packages = packages,
      .package_count = 3,
      .note = STR("line 7: skipped") },
    { .kind = ENTRY_LINK, .path = STR("etc/os-release"), .target = STR("../usr/lib/os-release") },
    { .kind = ENTRY_HARDLINK, .path = STR("a/" RAW), .target = STR("b/" RAW) },
    { .kind = ENTRY_REMOVED, .path = STR("lib/apk") },
    { .kind = ENTRY_OPAQUE, .path = STR("") },
    { .kind = ENTRY_OTHER, .path = STR("var/lib") },
    { .kind = ENTRY_FILE,
      .path = STR("usr/lib/os-release"),
      .detector = STR("os-release"),
      .distribution = { STR("debian"), STR("12"), STR("Debian GNU/Linux 12 (bookworm)"), STR("debian:12") } },
    { .kind = ENTRY_FILE,
      .path = STR("second"),
      .detector = STR("dpkg"),
      .packages = packages,
      .package_count = 3 },
};

static const struct layer_index layer_one = { .digest = STR("sha256:1111"),
                                              .diff_id = STR("sha256:2222"),
                                              .size = (uint64_t)5 << 32,
                                              .entries = entries,
                                              .entry_count = 8 };
static const struct layer_index layer_empty = { .digest = STR("sha256:3333") };

static void same_package(const struct package *a, const struct package *b)
{
    same(a->kind, b->kind), same(a->name, b->name), same(a->version, b->version), same(a->arch, b->arch);
    same(a->source, b->source), same(a->source_version, b->source_version), same(a->module, b->module);
}

static void same_entry(const struct layer_entry *a, const struct layer_entry *b)
{
    assert_int_equal(a->kind, b->kind);
    same(a->path, b->path), same(a->target, b->target), same(a->detector, b->detector),
        same(a->note, b->note);
    same(a->distribution.id, b->distribution.id), same(a->distribution.version, b->distribution.version);
    same(a->distribution.name, b->distribution.name),
        same(a->distribution.namespace, b->distribution.namespace);
    assert_int_equal(a->package_count, b->package_count);
    for (size_t i = 0; i < a->package_count; i++)
        same_package(&a->packages[i], &b->packages[i]);
}

static void test_layer(void **state)
{
    struct place *p = *state;
    struct layer_index *got = NULL;
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 1, p->arena, &got, &p->e), 0);
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 2, p->arena, &got, &p->e), 0);
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 1, p->arena, &got, &p->e), 1);
    same(got->digest, layer_one.digest), same(got->diff_id, layer_one.diff_id);
    assert_int_equal(got->size, layer_one.size);
    assert_int_equal(got->entry_count, layer_one.entry_count);
    for (size_t i = 0; i < got->entry_count; i++)
        same_entry(&got->entries[i], &entries[i]);
    assert_int_equal(store_layer_find(p->store, layer_empty.digest, 1, p->arena, &got, &p->e), 1);
    assert_int_equal(got->entry_count, 0);

    struct store_counts n;
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.layers, 2);
    assert_int_equal(n.packages, 3); /* interned, though two files have them */
    assert_int_equal(n.schema, 1);
}

static void test_image(void **state)
{
    struct place *p = *state;
    const struct layer_index *layers[] = { &layer_one, &layer_empty, &layer_one };
    struct image_package rows[] = { { packages[0], 0 }, { packages[1], 2 }, { packages[2], 1 } };
    str notes[] = { STR("one"), STR(""), STR(RAW) };
    struct image_index image = { .name = STR("debian:12"),
                                 .digest = STR("sha256:abc"),
                                 .layers = layers,
                                 .layer_count = 3,
                                 .distribution = { STR("debian"), STR("12"), STR("Debian"),
                                                   STR("debian:12") },
                                 .packages = rows,
                                 .package_count = 3,
                                 .notes = notes,
                                 .note_count = 3,
                                 .unreadable = true };
    struct image_index *got;
    int64_t id, again;
    assert_int_equal(store_image_put(p->store, &image, 1, &id, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_NOT_FOUND); /* its layers are not stored */
    assert_int_equal(store_image_find(p->store, image.digest, 1, p->arena, &got, &id, &p->e), 0);
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    assert_int_equal(store_image_find(p->store, image.digest, 2, p->arena, &got, &again, &p->e), 0);
    assert_int_equal(store_image_find(p->store, image.digest, 1, p->arena, &got, &again, &p->e), 1);
    assert_int_equal(again, id);
    same(got->name, STR("")), same(got->digest, image.digest);
    same(got->distribution.id, STR("debian")), same(got->distribution.version, STR("12"));
    same(got->distribution.name, STR("Debian")), same(got->distribution.namespace, STR("debian:12"));
    assert_true(got->unreadable);
    assert_int_equal(got->layer_count, 3);
    for (size_t i = 0; i < 3; i++) {
        same(got->layers[i]->digest, layers[i]->digest);
        assert_int_equal(got->layers[i]->size, layers[i]->size);
        same_package(&got->packages[i].package, &rows[i].package);
        assert_int_equal(got->packages[i].layer, rows[i].layer);
        same(got->notes[i], notes[i]);
    }
    assert_int_equal(got->package_count, 3);
    assert_int_equal(got->note_count, 3);

    image.package_count = 1, image.note_count = 0, image.layer_count = 1; /* replaced */
    ok(p, store_image_put(p->store, &image, 1, &again, &p->e));
    assert_int_equal(again, id);
    assert_int_equal(store_image_find(p->store, image.digest, 1, p->arena, &got, &again, &p->e), 1);
    assert_int_equal(got->package_count, 1);
    assert_int_equal(got->layer_count, 1);
    assert_int_equal(got->note_count, 0);
    struct store_counts n;
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.images, 1);
}

/* ---- matching ---- */

/* "KIND PACKAGE INTRODUCED FIXED ARCH MODULE [NAMESPACE SCHEME]", "-" = empty; KIND S or B, in small letters: not affected. */
static struct affected_range range_of(str line)
{
    struct affected_range r = { .severity = SEVERITY_HIGH };
    str kind = field(&line);
    r.kind = strchr("Ss", kind.ptr[0]) ? AFFECTS_SOURCE : AFFECTS_BINARY;
    r.negative = strchr("sb", kind.ptr[0]) != NULL;
    r.package = field(&line);
    r.introduced = field(&line);
    r.fixed_version = field(&line);
    r.arch = field(&line);
    r.module = field(&line);
    r.namespace = field(&line);
    r.scheme = field(&line);
    if (!r.namespace.len)
        r.namespace = STR("debian:12"), r.scheme = STR("dpkg");
    r.state = r.fixed_version.len ? FIX_FIXED : FIX_AFFECTED;
    return r;
}

/* Lines "FEED ID RANGE", one advisory each; the lines of a feed stand together. */
static void load(struct place *p, const char *text)
{
    struct store_update *u = NULL;
    struct update_counts n;
    str rest = str_from(text), feed = { 0 };
    for (int number = 0; rest.len; number++) {
        str line = str_cut(&rest, ';');
        str next = field(&line);
        if (!str_eq(next, feed)) {
            if (u)
                ok(p, store_update_commit(u, 1000, &n, &p->e));
            feed = next;
            u = store_update_begin(p->store, feed, &p->e);
            assert_non_null(u);
            ok(p, store_update_document(u, STR("doc"), STR("v"), &p->e));
        }
        struct advisory a = { .id = field(&line), .title = feed, .range_count = 1 };
        struct affected_range r = range_of(line);
        a.key = arena_printf(p->arena, "%d", number);
        a.ranges = &r;
        ok(p, store_update_put(u, &a, &p->e));
    }
    if (u)
        ok(p, store_update_commit(u, 1000, &n, &p->e));
}

/* "NAME VERSION SOURCE SOURCE_VERSION ARCH MODULE [KIND]" */
static int64_t put_image(struct place *p, const char *text, str namespace)
{
    struct image_package rows[16] = { 0 };
    const struct layer_index *layers[] = { &layer_empty };
    struct image_index image = {
        .digest = STR("sha256:abc"), .layers = layers, .layer_count = 1, .packages = rows
    };
    image.distribution.namespace = namespace;
    for (str rest = str_from(text); rest.len; image.package_count++) {
        str line = str_cut(&rest, ';');
        struct package *k = &rows[image.package_count].package;
        k->name = field(&line), k->version = field(&line), k->source = field(&line),
        k->source_version = field(&line);
        k->arch = field(&line), k->module = field(&line), k->kind = field(&line);
        k->kind = k->kind.len ? k->kind : STR("dpkg");
    }
    int64_t id = 0;
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    return id;
}

/* "PACKAGE ID FIXED FEED[ ?];" for each finding */
static str findings(struct place *p, int64_t image, struct match *ret)
{
    str text = STR("");
    ok(p, store_match(p->store, image, p->arena, ret, &p->e));
    for (size_t i = 0; i < ret->finding_count; i++) {
        const struct finding *f = &ret->findings[i];
        str fixed = f->fixed_version.len ? f->fixed_version : STR("-");
        text = arena_printf(p->arena, STR_FMT "%u " STR_FMT " " STR_FMT " " STR_FMT "%s;", STR_ARG(text),
                            f->package, STR_ARG(f->id), STR_ARG(fixed), STR_ARG(f->feed),
                            f->uncertain ? " ?" : "");
        same(f->title, f->feed), same(f->severity_source, f->feed);
        assert_int_equal(f->severity, SEVERITY_HIGH);
        assert_int_equal(f->state, f->fixed_version.len ? FIX_FIXED : FIX_AFFECTED);
    }
    return text;
}

#define SSL "libssl3 3.0-2 openssl 3.0-1 amd64 -"
static const struct {
    const char *name, *advisories, *packages, *want;
} matches[] = {
    { "unfixed", "f C1 S openssl - - - -", SSL, "0 C1 - f;" },
    { "fixed above", "f C1 S openssl - 3.0-1.1 - -", SSL, "0 C1 3.0-1.1 f;" },
    { "fixed equal", "f C1 S openssl - 3.0-1 - -", SSL, "" },
    { "fixed equal, written otherwise", "f C1 S openssl - 0:3.0-01 - -", SSL, "" },
    { "fixed below", "f C1 S openssl - 2.9 - -", SSL, "" },
    { "not introduced yet", "f C1 S openssl 3.0-1.0.1 - - -", SSL, "" },
    { "introduced", "f C1 S openssl 3.0-1 3.1 - -", SSL, "0 C1 3.1 f;" },
    { "another name", "f C1 S opensslx - - - -;f C2 S openss - - - -", SSL, "" },
    { "source name is no binary name", "f C1 B openssl - - - -;f C2 S libssl3 - - - -", SSL, "" },
    { "binary kind has the binary's version", "f C1 B libssl3 - 3.0-2 - -;f C2 B libssl3 - 3.0-3 - -", SSL,
      "0 C2 3.0-3 f;" },
    { "negative", "f C1 S openssl - - - -;f C2 S openssl - - - -;f C1 s openssl - - - -", SSL, "0 C2 - f;" },
    { "negative of another feed", "f C1 S openssl - - - -;g C1 s openssl - - - -", SSL, "" },
    { "negative of the other kind", "f C1 S openssl - - - -;g C1 b openssl - - - -", SSL, "0 C1 - f;" },
    { "negative below", "f C1 S openssl - - - -;g C1 s openssl - 3.0-1 - -", SSL, "0 C1 - f;" },
    { "negative contains", "f C1 S openssl - - - -;g C1 s openssl 2 3.0-1.1 - -", SSL, "" },
    { "negative from later on", "f C1 S openssl - - - -;g C1 s openssl 3.0-2 - - -", SSL, "0 C1 - f;" },
    { "negative of another arch", "f C1 S openssl - - - -;g C1 s openssl - - arm64 -", SSL, "0 C1 - f;" },
    { "negative that does not parse", "f C1 S openssl - - - -;g C1 s openssl - -x - -", SSL, "0 C1 - f;" },
    { "the highest fix wins", "f C1 S openssl - 4 - -;f C1 S openssl - 10 - -;f C1 S openssl - 9 - -", SSL,
      "0 C1 10 f;" },
    { "unfixed is highest", "f C1 S openssl - 4 - -;f C1 S openssl - - - -", SSL, "0 C1 - f;" },
    { "texts of the first feed", "g C1 S openssl - 10 - -;f C1 S openssl - 4 - -", SSL, "0 C1 10 f;" },
    { "source and binary are one finding", "f C1 S openssl - 4 - -;f C1 B libssl3 - 5 - -", SSL,
      "0 C1 5 f;" },
    { "arch", "f C1 S openssl - - amd64 -;f C2 S openssl - - arm64 -", SSL, "0 C1 - f;" },
    { "module", "f C1 S nodejs - - - nodejs:18;f C2 S nodejs - - - nodejs:16;f C3 S nodejs - - - -",
      "nodejs 1 nodejs 1 - nodejs:18;nodejs 1 nodejs 1 - -", "0 C1 - f;1 C3 - f;" },
    { "installed version does not parse",
      "f C1 S openssl - 1 - -;f C2 S openssl 5 6 - -;f C3 S other - - - -", "libssl3 3 openssl -x amd64 -",
      "0 C1 1 f ?;0 C2 6 f ?;" },
    { "only a full negative covers it",
      "f C1 S openssl - 1 - -;f C2 S openssl - 1 - -;g C1 s openssl - - - -;g C2 s openssl - 9 - -",
      "libssl3 3 openssl -x amd64 -", "0 C2 1 f ?;" },
    { "fixed version does not parse", "f C1 S openssl - -x - -", SSL, "0 C1 -x f ?;" },
    { "a certain range goes first", "f C1 S openssl - -x - -;f C1 S openssl - 4 - -", SSL, "0 C1 4 f;" },
    { "two packages of one source", "f C2 S openssl - 4 - -;f C1 S openssl - - - -",
      SSL ";openssl 3.0-2 openssl 3.0-1 amd64 -", "0 C1 - f;0 C2 4 f;1 C1 - f;1 C2 4 f;" },
    { "another kind", "f C1 S openssl - - - -", "openssl 1 openssl 1 - - apk", "" },
    { "another namespace", "f C1 S openssl - - - - debian:11 dpkg", SSL, "" },
    { "apk", "f C1 S openssl - 1.0-r10 - - alpine:v3 apk;f C2 S openssl - 1.0-r2 - - alpine:v3 apk",
      "openssl 1.0-r9 openssl 1.0-r9 - - apk", "0 C1 1.0-r10 f;" },
    { "apk, a fix outside the grammar",
      "f C1 S x - 1.7.5.-r1 - - alpine:v3 apk;f C2 S x - 1.7.5 - - alpine:v3 apk",
      "x 1.7.5-r0 x 1.7.5-r0 - - apk", "0 C1 1.7.5.-r1 f ?;" },
    { "apk, a beginning outside the grammar",
      "f C1 S x 1.7.4.-r1 - - - alpine:v3 apk;f C2 S x 1.7.6.-r1 - - - alpine:v3 apk",
      "x 1.7.5-r0 x 1.7.5-r0 - - apk", "0 C1 - f ?;" },
    { "apk, a negative outside the grammar",
      "f C1 S x - 2 - - alpine:v3 apk;f C1 s x - 1.7.5.-r1 - - alpine:v3 apk",
      "x 1.7.4-r0 x 1.7.4-r0 - - apk", "0 C1 2 f;" },
    { "apk, installed outside the grammar",
      "f C1 S x - 1.0 - - alpine:v3 apk;f C2 S y - 1.0 - - alpine:v3 apk",
      "x foo x foo - - apk;x 1.7.-r1 x 1.7.-r1 - - apk", "0 C1 1.0 f ?;1 C1 1.0 f ?;" },
};

static void test_match(void **state)
{
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        void *at;
        struct match m;
        fresh(&at);
        struct place *p = at;
        bool apk = !strncmp(matches[i].name, "apk", 3);
        load(p, matches[i].advisories);
        int64_t image = put_image(p, matches[i].packages, apk ? STR("alpine:v3") : STR("debian:12"));
        str got = findings(p, image, &m);
        if (!str_eq(got, str_from(matches[i].want)))
            fail_msg("%s: '" STR_FMT "', not '%s'", matches[i].name, STR_ARG(got), matches[i].want);
        if (m.feed_count)
            same(m.scheme, apk ? STR("apk") : STR("dpkg"));
        tidy(&at);
    }
}

/* An image of `count` packages with one source. */
static int64_t put_many(struct place *p, size_t count)
{
    const struct layer_index *layers[] = { &layer_empty };
    struct image_package *rows = arena_array(p->arena, struct image_package, count);
    for (size_t i = 0; i < count; i++)
        rows[i].package = (struct package){ .kind = STR("dpkg"),
                                            .name = arena_printf(p->arena, "linux-%zu", i),
                                            .version = STR("1"),
                                            .source = STR("linux"),
                                            .source_version = STR("0") };
    struct image_index image = { .digest = STR("sha256:abc"),
                                 .layers = layers,
                                 .layer_count = 1,
                                 .packages = rows,
                                 .package_count = count };
    image.distribution.namespace = STR("debian:12");
    int64_t id = 0;
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    return id;
}

/* `count` advisories for that source, with descriptions of `size` bytes. */
static void load_many(struct place *p, int count, size_t size)
{
    struct store_update *u = store_update_begin(p->store, STR("f"), &p->e);
    struct update_counts n;
    CLEANUP(freep) char *text = malloc(size + 1);
    memset(text, 'x', size);
    ok(p, store_update_document(u, STR("doc"), STR("v"), &p->e));
    for (int i = 0; i < count; i++) {
        struct affected_range r = range_of(STR("S linux - - - -"));
        struct advisory a = {
            .title = STR("t"), .description = str_of(text, size), .ranges = &r, .range_count = 1
        };
        a.id = a.key = arena_printf(p->arena, "C%d", i);
        ok(p, store_update_put(u, &a, &p->e));
    }
    ok(p, store_update_commit(u, 1000, &n, &p->e));
}

static void test_shared_texts(void **state)
{
    struct place *p = *state;
    struct match m;
    load_many(p, 20, 60000);
    int64_t image = put_many(p, 400);
    size_t before = arena_used(p->arena);
    ok(p, store_match(p->store, image, p->arena, &m, &p->e));
    assert_int_equal(m.finding_count, 400 * 20);
    assert_true(arena_used(p->arena) - before < (8u << 20)); /* 480 MB if each had its own */
    for (size_t i = 20; i < m.finding_count; i++) {
        const struct finding *first = &m.findings[i % 20], *f = &m.findings[i];
        assert_int_equal(f->package, i / 20);
        assert_int_equal(f->description.len, 60000);
        assert_true(f->id.ptr == first->id.ptr && f->description.ptr == first->description.ptr);
    }
}

static void test_too_many_findings(void **state)
{
    struct place *p = *state;
    struct match m;
    load_many(p, 500, 0);
    ok(p, store_match(p->store, put_many(p, STORE_MATCH_MAX / 500), p->arena, &m, &p->e));
    assert_int_equal(m.finding_count, STORE_MATCH_MAX);
    assert_int_equal(store_match(p->store, put_many(p, STORE_MATCH_MAX / 500 + 1), p->arena, &m, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_LIMIT);
    assert_string_equal(p->e.text, "more than 250000 findings");
}

static void test_coverage(void **state)
{
    struct place *p = *state;
    struct match m;
    assert_int_equal(store_match(p->store, 77, p->arena, &m, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_NOT_FOUND);
    int64_t image = put_image(p, SSL, STR("debian:12"));
    same(findings(p, image, &m), STR(""));
    same(m.scheme, STR(""));
    assert_int_equal(m.feed_count, 0);
    assert_int_equal(m.generation, 0);
    load(p, "z C1 S x - - - - debian:11 dpkg;b C1 S x - - - -;a C2 s x - - - -");
    same(findings(p, image, &m), STR(""));
    assert_int_equal(m.generation, 3);
    assert_int_equal(m.feed_count, 2); /* a only says what is not affected: that is covered too */
    same(m.feeds[0].name, STR("a")), same(m.feeds[1].name, STR("b"));
    assert_int_equal(m.feeds[0].last_success, 1000);
}

/* ---- updates ---- */

static uint64_t hash_rows(sqlite3 *db, const char *sql, uint64_t h)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const void *bytes = sqlite3_column_blob(st, i);
            h = h * 31 + str_hash(str_of(bytes ? bytes : "", (size_t)sqlite3_column_bytes(st, i)), 0);
        }
    sqlite3_finalize(st);
    return h;
}

/* All rows of all tables, as a number. */
static uint64_t contents(const struct place *p)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    uint64_t h = 0;
    char sql[128];
    assert_int_equal(sqlite3_open_v2(p->where, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &st, NULL);
    while (sqlite3_step(st) == SQLITE_ROW) {
        snprintf(sql, sizeof sql, "SELECT * FROM %s", sqlite3_column_text(st, 0));
        h = hash_rows(db, sql, h * 31 + 1);
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return h;
}

static struct store_update *begin(struct place *p, const char *feed)
{
    struct store_update *u = store_update_begin(p->store, str_from(feed), &p->e);
    if (!u)
        fail_msg("%s", p->e.text);
    return u;
}

/* Advisories "KEY" .. that affect source "x" in debian:12 and "y" in debian:11, fixed in `fixed`. */
static int put(struct place *p, struct store_update *u, const char *key, const char *fixed, const char *title)
{
    struct affected_range r[] = { range_of(STR("S x - - - -")), range_of(STR("S y - - - - debian:11 dpkg")) };
    struct advisory a = {
        .key = str_from(key), .id = str_from(key), .title = str_from(title), .ranges = r, .range_count = 2
    };
    r[0].fixed_version = r[1].fixed_version = str_from(fixed);
    r[0].state = r[1].state = fixed[0] ? FIX_FIXED : FIX_AFFECTED;
    r[0].severity = SEVERITY_LOW;
    return store_update_put(u, &a, &p->e);
}

/* One document: words KEY=FIXED. */
static void fill_document(struct place *p, struct store_update *u, const char *document,
                          const char *validator, const char *words)
{
    ok(p, store_update_document(u, str_from(document), str_from(validator), &p->e));
    for (str rest = str_from(words); rest.len;) {
        str fixed = str_word(&rest), key = str_cut(&fixed, '=');
        ok(p, put(p, u, arena_cstr(p->arena, key), arena_cstr(p->arena, fixed), "t"));
    }
}

static struct update_counts commit(struct place *p, struct store_update *u, int64_t now)
{
    struct update_counts n = { 0 };
    ok(p, store_update_commit(u, now, &n, &p->e));
    return n;
}

#define counts(n, a, c, w, u, r)                                                                             \
    do {                                                                                                     \
        struct update_counts got_ = (n);                                                                     \
        assert_int_equal(got_.added, a);                                                                     \
        assert_int_equal(got_.changed, c);                                                                   \
        assert_int_equal(got_.withdrawn, w);                                                                 \
        assert_int_equal(got_.unchanged, u);                                                                 \
        assert_int_equal(got_.rows, r);                                                                      \
    } while (0)

static void state_is(struct place *p, int64_t generation, int64_t advisories, int64_t changes)
{
    struct store_counts n;
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.generation, generation);
    assert_int_equal(n.advisories, advisories);
    assert_int_equal(n.ranges, advisories * 2);
    assert_int_equal(n.changes, changes);
}

static void test_update(void **state)
{
    struct place *p = *state;
    struct match m;
    str validator = { 0 };
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 0);

    struct store_update *u = begin(p, "f");
    fill_document(p, u, "d1", "v1", "A= B=2 C=3");
    fill_document(p, u, "d2", "v1", "D=4");
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 0);
    counts(commit(p, u, 10), 4, 0, 0, 0, 8);
    state_is(p, 1, 4, 0); /* a first load is no change */
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 1);
    same(validator, STR("v1"));

    uint64_t before = contents(p);
    u = begin(p, "f");
    fill_document(p, u, "d2", "v1", "D=4");
    fill_document(p, u, "d1", "v1", "C=3 A= B=2"); /* in another order */
    counts(commit(p, u, 20), 0, 0, 0, 4, 0);
    assert_true(before == contents(p));

    u = begin(p, "f"); /* only the validator */
    fill_document(p, u, "d2", "v2", "D=4");
    counts(commit(p, u, 30), 0, 0, 0, 1, 0);
    state_is(p, 1, 4, 0);
    assert_int_equal(store_document(p->store, STR("f"), STR("d2"), p->arena, &validator, &p->e), 1);
    same(validator, STR("v2"));

    u = begin(p, "f"); /* B changed, C withdrawn, E new; d2 stays as it was */
    fill_document(p, u, "d1", "v3", "A= B=22 E=5");
    counts(commit(p, u, 40), 1, 1, 1, 1, 8);
    state_is(p, 2, 4, 3);
    ok(p, store_match(p->store, image, p->arena, &m, &p->e));
    assert_int_equal(m.finding_count, 4);
    same(m.findings[0].id, STR("A")), same(m.findings[0].fixed_version, STR(""));
    same(m.findings[1].id, STR("B")), same(m.findings[1].fixed_version, STR("22"));
    same(m.findings[2].id, STR("D")), same(m.findings[3].id, STR("E"));

    u = begin(p, "f"); /* a dropped document, and one that never was */
    ok(p, store_update_drop(u, STR("d1"), &p->e));
    ok(p, store_update_drop(u, STR("none"), &p->e));
    counts(commit(p, u, 50), 0, 0, 3, 0, 6);
    state_is(p, 3, 1, 6);
    assert_int_equal(store_document(p->store, STR("f"), STR("d1"), p->arena, &validator, &p->e), 0);

    u = begin(p, "f"); /* it comes back, and takes a key from the other */
    fill_document(p, u, "d1", "v1", "A= D=4");
    fill_document(p, u, "d2", "v1", "F=");
    counts(commit(p, u, 60), 2, 1, 0, 0, 8);
    state_is(p, 4, 3, 9);

    u = begin(p, "f"); /* empty now: no coverage is left either */
    ok(p, store_update_document(u, STR("d1"), STR("v"), &p->e));
    ok(p, store_update_document(u, STR("d2"), STR("v"), &p->e));
    counts(commit(p, u, 70), 0, 0, 3, 0, 6);
    ok(p, store_match(p->store, image, p->arena, &m, &p->e));
    assert_int_equal(m.finding_count + m.feed_count, 0);
}

static void test_repeated(void **state)
{
    struct place *p = *state;
    struct update_counts n;
    for (int round = 0; round < 4;
         round++) { /* new and new, unchanged and unchanged, changed and changed, changed and unchanged */
        struct store_update *u = begin(p, "f");
        ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
        int r = put(p, u, "A", round < 2 ? "1" : "2", "t");
        ok(p, r);
        ok(p, put(p, u, "B", "1", "t"));
        r = put(p, u, "A", round == 3 ? "1" : round < 2 ? "1" : "2", "t");
        if (r < 0)
            store_update_freep(&u);
        else
            r = store_update_commit(u, 1, &n, &p->e);
        assert_int_equal(r, -1);
        assert_int_equal(p->e.kind, ERR_FORMAT);
        assert_non_null(strstr(p->e.text, "d: A: "));
        state_is(p, round > 0, round ? 2 : 0, 0);
        if (!round) {
            u = begin(p, "f");
            fill_document(p, u, "d", "v", "A=1 B=1");
            commit(p, u, 1);
        }
    }
    struct store_update *u = begin(p, "f"); /* a document that stays has the key */
    fill_document(p, u, "other", "v", "A=1");
    assert_int_equal(store_update_commit(u, 1, &n, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_FORMAT);
    state_is(p, 1, 2, 0);
}

static void test_bad_advisory(void **state)
{
    static const char *const bad[] = { "S - - - - -", "S x - - - - debian:12 apk" };
    struct place *p = *state;
    struct update_counts n;
    load(p, "f C1 S x - - - -");
    for (size_t i = 0; i < 2; i++) {
        struct affected_range r = range_of(str_from(bad[i]));
        struct advisory a = { .key = STR("K"), .id = STR("C"), .ranges = &r, .range_count = 1 };
        struct store_update *u = begin(p, "g");
        ok(p, store_update_document(u, STR("d"), STR("v"), &p->e));
        ok(p, store_update_put(u, &a, &p->e));
        assert_int_equal(store_update_commit(u, 1, &n, &p->e), -1);
        assert_int_equal(p->e.kind, ERR_FORMAT);
        assert_non_null(strstr(p->e.text, "d: K: "));
    }
}

/* `count` advisories of round `round`: enough for several batches. */
static int put_round(struct place *p, struct store_update *u, int round, int count)
{
    char key[32], title[32];
    snprintf(title, sizeof title, "round %d", round);
    if (store_update_document(u, STR("d"), str_from(title), &p->e) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "K%05d", i);
        if (put(p, u, key, "", title) < 0)
            return -1;
    }
    return 0;
}

#define MANY 3000

/* Whatever happened: one complete round is seen, that of the generation. */
static int whole(struct place *p, int64_t image)
{
    struct match m;
    arena_freep(&p->arena);
    p->arena = arena_new(0);
    ok(p, store_match(p->store, image, p->arena, &m, &p->e));
    assert_int_equal(m.finding_count, MANY);
    for (size_t i = 1; i < m.finding_count; i++)
        same(m.findings[i].title, m.findings[0].title);
    str title = m.findings[0].title, validator;
    assert_int_equal(store_document(p->store, STR("f"), STR("d"), p->arena, &validator, &p->e), 1);
    same(validator, title);
    state_is(p, m.generation, MANY, (m.generation - 1) * MANY);
    return atoi(arena_cstr(p->arena, str_skip(title, 6)));
}

static void test_abandoned(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    counts(commit(p, u, 1), MANY, 0, 0, 0, MANY * 2);
    uint64_t before = contents(p);
    for (int i = 0; i < 3; i++) { /* swept by the next update, of whatever feed */
        u = begin(p, "f");
        ok(p, put_round(p, u, 2, MANY - 100 * i));
        whole(p, image);
        store_update_freep(&u);
        assert_int_equal(whole(p, image), 1);
        assert_true(before != contents(p)); /* or nothing was staged, and this test shows nothing */
        if (i < 2) {
            u = begin(p, "f");
            store_update_freep(&u);
            assert_true(before == contents(p));
        }
    }
    u = begin(p, "f");
    ok(p, put_round(p, u, 3, MANY));
    counts(commit(p, u, 1), 0, MANY, 0, 0, MANY * 4);
    assert_int_equal(whole(p, image), 3);
}

static void test_killed(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 0, MANY));
    commit(p, u, 1);
    store_freep(&p->store);
    srand(1);
    for (int round = 1, seen = 0; round <= 12; round++) {
        pid_t child = fork();
        if (!child) {
            p->store = store_open(p->where, STORE_WRITE, &p->e);
            u = p->store ? store_update_begin(p->store, STR("f"), &p->e) : NULL;
            struct update_counts n;
            bool good = u && put_round(p, u, round, MANY) == 0 && store_update_commit(u, 1, &n, &p->e) == 0;
            if (!good)
                fprintf(stderr, "%s\n", p->e.text);
            _exit(good ? 0 : 1);
        }
        int status;
        usleep((unsigned)(rand() % 400000));
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        p->store = open_at(p, STORE_WRITE);
        int now = whole(p, image);
        assert_true(now == round || (now == seen && WIFSIGNALED(status)));
        seen = now;
        store_freep(&p->store);
    }
    p->store = open_at(p, STORE_WRITE);
    u = begin(p, "f"); /* at once: the owner of the lease is dead */
    ok(p, put_round(p, u, 99, MANY));
    commit(p, u, 1);
    assert_int_equal(whole(p, image), 99);
}

static void test_busy(void **state)
{
    struct place *p = *state;
    CLEANUP(store_freep) struct store *other = open_at(p, STORE_WRITE);
    struct store_update *u = begin(p, "f");
    assert_null(store_update_begin(other, STR("f"), &p->e));
    assert_int_equal(p->e.kind, ERR_BUSY);
    assert_null(store_update_begin(other, STR("g"), &p->e));
    fill_document(p, u, "d", "v", "A=");
    ok(p, store_layer_put(other, &layer_one, 1, &p->e)); /* scans go on meanwhile */
    commit(p, u, 1);
    u = store_update_begin(other, STR("g"), &p->e);
    assert_non_null(u);
    store_update_freep(&u);
    u = begin(p, "g");
    store_update_freep(&u);
}

/* A scan's writes between the puts of an update, on the same handle and on another one. */
static void test_interleaved(void **state)
{
    struct place *p = *state;
    CLEANUP(store_freep) struct store *other = open_at(p, STORE_WRITE);
    struct store_update *u = begin(p, "f");
    fill_document(p, u, "d", "v", "A= B= C=");
    commit(p, u, 1);
    u = begin(p, "f");
    fill_document(p, u, "d", "v", "A= B=2");
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    ok(p, store_layer_put(other, &layer_empty, 1, &p->e));
    ok(p, store_feed_tried(other, STR("g"), 5, STR("no route"), &p->e));
    ok(p, put(p, u, "C", "3", "t"));
    counts(commit(p, u, 2), 0, 2, 0, 1, 8);
    state_is(p, 2, 3, 2);
}

static void test_feeds(void **state)
{
    struct place *p = *state;
    struct feed_status *f;
    size_t n;
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    assert_int_equal(n, 0);
    ok(p, store_feed_tried(p->store, STR("b"), 10, STR("no route"), &p->e));
    struct store_update *u = begin(p, "a");
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    assert_int_equal(n, 1); /* a is not there before its commit */
    fill_document(p, u, "d", "v", "A= B=");
    commit(p, u, 20);
    ok(p, store_feed_tried(p->store, STR("a"), 30, STR(""), &p->e));
    ok(p, store_feed_tried(p->store, STR("a"), 40, STR("line 3"), &p->e));
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    assert_int_equal(n, 2);
    same(f[0].name, STR("a")), same(f[0].error, STR("line 3"));
    assert_int_equal(f[0].entries, 4);
    assert_int_equal(f[0].last_try, 40);
    assert_int_equal(f[0].last_success, 30);
    assert_int_equal(f[0].generation, 1);
    same(f[1].name, STR("b")), same(f[1].error, STR("no route"));
    assert_int_equal(f[1].last_success + f[1].generation + f[1].entries, 0);
    ok(p, store_feed_tried(p->store, STR("b"), 50, STR(""), &p->e));
    ok(p, store_feeds(p->store, p->arena, &f, &n, &p->e));
    same(f[1].error, STR(""));
    assert_int_equal(f[1].last_success, 50);
}

static void test_values(void **state)
{
    struct place *p = *state;
    str v = { 0 };
    assert_int_equal(store_value_get(p->store, STR("updater/last"), p->arena, &v, &p->e), 0);
    ok(p, store_value_set(p->store, STR("updater/last"), STR("1"), &p->e));
    ok(p, store_value_set(p->store, STR("updater/last"), STR(""), &p->e));
    assert_int_equal(store_value_get(p->store, STR("updater/last"), p->arena, &v, &p->e), 1);
    same(v, STR(""));
    ok(p, store_value_set(p->store, STR("updater/last"), STR("22"), &p->e));
    assert_int_equal(store_value_get(p->store, STR("updater/last"), p->arena, &v, &p->e), 1);
    same(v, STR("22"));
}

/* ---- scratch ---- */

static void scratch_works(struct place *p, const char *want)
{
    struct match m;
    struct layer_index *layer;
    int64_t image = put_image(p, SSL, STR("debian:12"));
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 1, p->arena, &layer, &p->e), 1);
    same_entry(&layer->entries[0], &entries[0]);
    same(findings(p, image, &m), str_from(want));
    assert_null(store_update_begin(p->store, STR("f"), &p->e));
    assert_int_equal(p->e.kind, ERR_READONLY);
    assert_int_equal(store_value_set(p->store, STR("k"), STR("v"), &p->e), -1);
    assert_int_equal(p->e.kind, ERR_READONLY);
    assert_int_equal(store_feed_tried(p->store, STR("f"), 1, STR(""), &p->e), -1);
    assert_int_equal(p->e.kind, ERR_READONLY);
}

static void test_scratch(void **state)
{
    struct place *p = *state;
    struct store_counts n;
    load(p, "f C1 S openssl - 4 - -");
    put_image(p, "other 1 other 1 - -", STR("debian:12"));
    uint64_t before = contents(p);
    store_freep(&p->store);
    p->store = open_at(p, STORE_SCRATCH);
    scratch_works(p, "0 C1 4 f;");
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.generation, 1);
    store_freep(&p->store);
    assert_true(before == contents(p));
    snprintf(p->where, sizeof p->where, "%s/missing/x.db", p->folder);
    p->store = open_at(p, STORE_SCRATCH);
    scratch_works(p, "");
    store_freep(&p->store);
    assert_int_equal(access(p->where, F_OK), -1);
}

/* ---- files ---- */

static void refused(struct place *p, enum store_mode mode, enum err_kind kind)
{
    p->e = (struct err){ 0 };
    struct store *s = store_open(p->where, mode, &p->e);
    if (s || p->e.kind != kind || !strstr(p->e.text, p->where))
        fail_msg("mode %d: %s: %s", mode, err_kind_name(p->e.kind), p->e.text);
}

static void execute(struct place *p, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(p->where, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static int64_t number(struct place *p, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(p->where, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    CLEANUP(fclosep) FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
}

static void test_not_ours(void **state)
{
    struct place *p = *state;
    struct stat st;
    store_freep(&p->store);
    execute(p, "PRAGMA user_version = 99");
    refused(p, STORE_WRITE, ERR_NEWER), refused(p, STORE_SCRATCH, ERR_NEWER);
    execute(p, "PRAGMA user_version = 1; PRAGMA application_id = 7");
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    snprintf(p->where, sizeof p->where, "%s/other.db", p->folder);
    execute(p, "CREATE TABLE t(a)");
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    assert_int_equal(stat(p->where, &st), 0);
    assert_int_equal(st.st_size, 8192); /* untouched */
    static char text[9000];
    memset(text, 'x', sizeof text);
    write_file(p->where, text, sizeof text);
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    write_file(p->where, text, 5);
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    snprintf(p->where, sizeof p->where, "%s", p->folder);
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    snprintf(p->where, sizeof p->where, "%s/other.db/below", p->folder);
    refused(p, STORE_WRITE, ERR_IO);
    assert_null(store_open("postgresql://localhost/x", STORE_WRITE, &p->e));
    assert_int_equal(p->e.kind, ERR_UNSUPPORTED);
    assert_null(store_open("host=localhost dbname=x", STORE_WRITE, &p->e));
    assert_int_equal(p->e.kind, ERR_UNSUPPORTED);
    snprintf(p->where, sizeof p->where, "/proc/nothing/x.db");
    refused(p, STORE_WRITE, ERR_READONLY);
}

/* A database cut anywhere is refused, or found to be damaged when it is read; it never looks whole and empty. */
static void test_truncated(void **state)
{
    struct place *p = *state;
    struct match m;
    struct stat st;
    int64_t image = put_image(p, SSL, STR("debian:12"));
    load(p, "f C1 S openssl - 4 - -");
    store_freep(&p->store);
    assert_int_equal(stat(p->where, &st), 0);
    assert_true(st.st_size > 50000);
    for (off_t cut = st.st_size - 1; cut > 0; cut = cut > 9000 ? cut - 7919 : cut - 331) {
        assert_int_equal(truncate(p->where, cut), 0);
        for (int mode = STORE_WRITE; mode <= STORE_SCRATCH; mode++) {
            struct store *s = store_open(p->where, mode, &p->e);
            if (s)
                assert_int_equal(store_match(s, image, p->arena, &m, &p->e), -1);
            if (p->e.kind != ERR_FORMAT)
                fail_msg("%lld: %s: %s", (long long)cut, err_kind_name(p->e.kind), p->e.text);
            store_freep(&s);
        }
    }
}

/* Folder and file are somebody else's. Only root can become somebody else; others have the modes. */
static void test_readonly_folder(void **state)
{
    struct place *p = *state;
    char folder[96];
    load(p, "f C1 S openssl - 4 - -");
    store_freep(&p->store);
    snprintf(folder, sizeof folder, "%s/new/folder", p->folder);
    assert_int_equal(chmod(p->where, 0444) | chmod(folder, 0555) | chmod(p->folder, 0755), 0);
    snprintf(folder, sizeof folder, "%s/new", p->folder);
    assert_int_equal(chmod(folder, 0755), 0);
    pid_t child = fork();
    if (!child) {
        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        refused(p, STORE_WRITE, ERR_READONLY);
        p->store = open_at(p, STORE_SCRATCH);
        scratch_works(p, "0 C1 4 f;");
        store_freep(&p->store);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    snprintf(folder, sizeof folder, "%s/new/folder", p->folder);
    chmod(folder, 0755);
}

/* A lease of somebody who cannot be asked holds until it expires; who lost it writes nothing any more. */
static void test_lease(void **state)
{
    struct place *p = *state;
    struct update_counts n;
    execute(p, "INSERT INTO lease VALUES ('update', 'elsewhere 1 2 3', strftime('%s', 'now') + 50)");
    assert_null(store_update_begin(p->store, STR("f"), &p->e));
    assert_int_equal(p->e.kind, ERR_BUSY);
    execute(p, "UPDATE lease SET expires = strftime('%s', 'now') - 1");
    struct store_update *u = begin(p, "f");
    fill_document(p, u, "d", "v", "A=");
    execute(p, "UPDATE lease SET owner = 'elsewhere 1 2 3'");
    assert_int_equal(store_update_commit(u, 1, &n, &p->e), -1);
    assert_int_equal(p->e.kind, ERR_BUSY);
    state_is(p, 0, 0, 0);
    execute(p, "UPDATE lease SET expires = strftime('%s', 'now') + 1000000"); /* by a clock that was wrong */
    u = begin(p, "f");
    for (int i = 0; i < 2; i++) { /* a document that begins renews it, however long its bytes took to come */
        execute(p, "UPDATE lease SET expires = strftime('%s', 'now') + 1");
        fill_document(p, u, i ? "d2" : "d1", "v", "");
        int64_t now = (int64_t)time(NULL), expires = number(p, "SELECT expires FROM lease");
        assert_true(expires >= now + 290 && expires <= now + 300);
    }
    store_update_freep(&u);
}

/* The device is full in the middle of an update (setrlimit(2): EFBIG stands for ENOSPC): one clear error, the old state. */
static void test_full(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    store_freep(&p->store);
    pid_t child = fork();
    if (!child) {
        struct rlimit limit = { 1 << 20, 1 << 20 };
        struct update_counts n;
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        p->store = store_open(p->where, STORE_WRITE, &p->e);
        u = p->store ? store_update_begin(p->store, STR("f"), &p->e) : NULL;
        if (!u)
            _exit(2);
        if (put_round(p, u, 2, MANY) == 0 && store_update_commit(u, 1, &n, &p->e) == 0)
            _exit(3);
        if (p->e.kind == ERR_FULL)
            _exit(0);
        fprintf(stderr, "%s: %s\n", err_kind_name(p->e.kind), p->e.text);
        _exit(4);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    p->store = open_at(p, STORE_WRITE);
    assert_int_equal(whole(p, image), 1);
    u = begin(p, "f");
    ok(p, put_round(p, u, 3, MANY));
    commit(p, u, 1);
    assert_int_equal(whole(p, image), 3);
}

/* Several processes make the same database at the same moment. */
static void test_made_together(void **state)
{
    struct place *p = *state;
    store_freep(&p->store);
    for (int round = 0; round < 20; round++) {
        snprintf(p->where, sizeof p->where, "%s/r%d/eclair.db", p->folder, round);
        for (int i = 0; i < 6; i++)
            if (!fork()) {
                struct store *s = store_open(p->where, STORE_WRITE, &p->e);
                bool good = s && store_layer_put(s, &layer_one, (unsigned)i, &p->e) == 0;
                if (!good)
                    fprintf(stderr, "%s\n", p->e.text);
                store_freep(&s);
                _exit(!good);
            }
        for (int i = 0, status; i < 6; i++) {
            wait(&status);
            assert_int_equal(status, 0);
        }
        struct store_counts n;
        CLEANUP(store_freep) struct store *s = open_at(p, STORE_WRITE);
        ok(p, store_count(s, &n, &p->e));
        assert_int_equal(n.layers, 6);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, tidy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_layer),
        CASE(test_image),
        cmocka_unit_test(test_match),
        CASE(test_shared_texts),
        CASE(test_too_many_findings),
        CASE(test_coverage),
        CASE(test_update),
        CASE(test_repeated),
        CASE(test_bad_advisory),
        CASE(test_abandoned),
        CASE(test_killed),
        CASE(test_busy),
        CASE(test_interleaved),
        CASE(test_feeds),
        CASE(test_values),
        CASE(test_scratch),
        CASE(test_not_ours),
        CASE(test_truncated),
        CASE(test_readonly_folder),
        CASE(test_lease),
        CASE(test_full),
        CASE(test_made_together),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
