#include "index/ancestry.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "index/index.h"

#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "fold_text.h"

#define BASE                                                                                                 \
    "says etc/os-release debian 9\nfile var/lib/dpkg/status zlib1g=1:1.2.8.dfsg-5/zlib=1:1.2.8.dfsg-5 "      \
    "demo-lib=1.0-1/demo-lib=1.0-1 demo-bin=2.5-3+b1/demo-src=2.5-3"
#define CHILD                                                                                                \
    "\nlayer\nfile var/lib/dpkg/status zlib1g=1:1.2.8.dfsg-5/zlib=1:1.2.8.dfsg-5 "                           \
    "demo-bin=2.5-3+b1/demo-src=2.5-3 extra=3.1~rc1-2/extra=3.1~rc1-2"

/* Layers (see fold_text.h), and what comes of them: who told the namespace, and the features of each layer; "*" is a source. */
static const struct {
    const char *what, *layers, *want;
} cases[] = {
    { "golden-v3/12", BASE CHILD "\nlayer\nother tmp/x",
      "os-release debian:9 | demo-bin=2.5-3+b1 demo-src=2.5-3* zlib=1:1.2.8.dfsg-5* zlib1g=1:1.2.8.dfsg-5 | "
      "extra=3.1~rc1-2 extra=3.1~rc1-2* |" },
    { "golden-v3/16: a layer that comes twice", BASE "\nagain 0",
      "os-release debian:9 | demo-bin=2.5-3+b1 demo-lib=1.0-1 demo-lib=1.0-1* demo-src=2.5-3* "
      "zlib=1:1.2.8.dfsg-5* zlib1g=1:1.2.8.dfsg-5 |" },
    { "golden-v3/18: alpine has no sources",
      "says etc/alpine-release alpine 3.5.2\nfile lib/apk/db/installed musl=1.1.15-r6/musl=1.1.15-r6 "
      "busybox=1.25.1-r0/busybox=1.25.1-r0",
      "alpine-release alpine:v3.5 | busybox=1.25.1-r0 musl=1.1.15-r6" },
    { "golden-v3/19: no namespace", "file var/lib/dpkg/status a=1/a=1", " |" },
    { "a release file above the packages",
      "file var/lib/dpkg/status a=1/a=1\nlayer\nsays etc/os-release debian 9",
      "os-release debian:9 | a=1 a=1* |" },
    { "another package format than the namespace's",
      "says etc/os-release debian 9\nfile lib/apk/db/installed a=1/a=1\nfile var/lib/dpkg/status b=1/b=1",
      "os-release debian:9 | b=1 b=1*" },
    { "several binaries of one source, over two layers",
      "says etc/os-release debian 9\nfile var/lib/dpkg/status c=1/s=1 a=1/s=1\nlayer\nfile "
      "var/lib/dpkg/status a=1/s=1 b=1/s=1 c=2/s=2",
      "os-release debian:9 | a=1 s=1* | b=1 c=2 s=2*" },
    { "an upgrade of the distribution brings all that stays",
      "says etc/os-release debian 9\nfile var/lib/dpkg/status a=1/a=1 b=1/b=1\nlayer\nsays etc/os-release "
      "debian "
      "10\nlayer\nfile var/lib/dpkg/status a=1/a=1 b=1/b=1 c=1/c=1",
      "os-release debian:10 | | a=1 a=1* b=1 b=1* | c=1 c=1*" },
    { "another distribution is no upgrade",
      "says etc/os-release debian 9\nfile var/lib/dpkg/status a=1/a=1\nlayer\nsays etc/os-release ubuntu "
      "18.04",
      "os-release ubuntu:18.04 | a=1 a=1* |" },
    { "the package database goes: nothing changes",
      BASE "\nlayer\ngone var/lib/dpkg\nlayer\nsays etc/debian_version debian 9",
      "os-release debian:9 | demo-bin=2.5-3+b1 demo-lib=1.0-1 demo-lib=1.0-1* demo-src=2.5-3* "
      "zlib=1:1.2.8.dfsg-5* zlib1g=1:1.2.8.dfsg-5 | |" },
    { "it is emptied, and all that tells the distribution goes",
      BASE CHILD "\nlayer\nfile var/lib/dpkg/status\ngone etc",
      "os-release debian:9 | demo-bin=2.5-3+b1 demo-src=2.5-3* zlib=1:1.2.8.dfsg-5* zlib1g=1:1.2.8.dfsg-5 | "
      "extra=3.1~rc1-2 extra=3.1~rc1-2* |" },
    { "it goes, and another one comes",
      BASE "\nlayer\ngone var/lib/dpkg\nlayer\nfile var/lib/dpkg/status a=1/a=1",
      "os-release debian:9 | | | a=1 a=1*" },
    { "rpm, told by another file",
      "says etc/redhat-release centos 7\nfile var/lib/rpm/Packages a=0:1-1/s=1-1",
      "redhat-release centos:7 | a=0:1-1 s=1-1*" },
};

static struct store *fresh(void)
{
    struct err e = { 0 };
    char path[] = "/tmp/ancestryXXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    struct store *s = store_open(path, STORE_SCRATCH, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

/* Stores the layers, and their row as an ancestry. */
static void put(struct store *s, struct arena *arena, const char *name, const char *layers,
                struct ancestry *ret)
{
    struct err e = { 0 };
    struct fold_text t = { .arena = arena };
    fold_text_read(&t, str_from(layers));
    str *digests = arena_array(arena, str, t.row_count + 1),
        *hashes = arena_array(arena, str, t.row_count + 1);
    for (size_t i = 0; i < t.count; i++) {
        t.layers[i].digest = arena_printf(arena, "sha256:%064zx", i + 256 * strlen(layers));
        if (store_layer_put(s, &t.layers[i], indexer_version(), &e) < 0)
            fail_msg("%s: %s", name, e.text);
    }
    for (size_t i = 0; i < t.row_count; i++) {
        digests[i] = t.pointers[i]->digest;
        hashes[i] = arena_printf(arena, "hash%zu", t.row[i]);
    }
    const struct ancestry a = { .name = str_from(name), .hashes = hashes, .hash_count = t.row_count };
    if (index_ancestry(s, &a, digests, arena, &e) < 0)
        fail_msg("%s: %s", name, e.text);
    assert_int_equal(store_ancestry_find(s, a.name, arena, ret, &e), 1);
    assert_int_equal(ret->hash_count, a.hash_count);
    assert_int_equal(ret->indexer, indexer_version());
}

static void write_features(const struct image_index *image, size_t layers, struct arena *arena,
                           struct buf *out)
{
    struct err e = { 0 };
    struct ancestry_feature *list;
    size_t n, at = 0;
    for (size_t i = 0; i < image->fact_count; i++)
        if (str_eq(image->facts[i].fact.name, ANCESTRY_TOLD_BY))
            buf_printf(out, STR_FMT " ", STR_ARG(image->facts[i].fact.value));
    buf_str(out, image->distribution.namespace);
    assert_int_equal(ancestry_features(image, arena, &list, &n, &e), 0);
    for (size_t layer = 0; layer < layers; layer++) {
        buf_str(out, STR(" |"));
        for (; at < n && list[at].layer == layer; at++) {
            buf_printf(out, " " STR_FMT "=" STR_FMT "%s", STR_ARG(list[at].name), STR_ARG(list[at].version),
                       list[at].source ? "*" : "");
            assert_true(list[at].package_count > 0);
        }
    }
    assert_int_equal(at, n);
}

static void test_features(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(store_freep) struct store *s = fresh();
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf out = { 0 };
        struct err e = { 0 };
        struct ancestry a;
        struct image_index *image;
        put(s, arena, "image", cases[i].layers, &a);
        assert_int_equal(store_image_get(s, a.image, arena, &image, &e), 1);
        write_features(image, a.hash_count, arena, &out);
        if (!str_eq(buf_view(&out), str_from(cases[i].want)))
            fail_msg("%s:\n'" STR_FMT "'\nwanted\n'%s'", cases[i].what, STR_ARG(buf_view(&out)),
                     cases[i].want);
    }
}

/* Of several binary packages of a source each finding is the source's, when it speaks of the source. */
static void test_findings(void **state)
{
    (void)state;
    const struct ancestry_feature source = { .kind = STR("dpkg"), .source = true },
                                  binary = { .kind = STR("rpm") }, alpine = { .kind = STR("apk") };
    const struct finding of_source = { .kind = AFFECTS_SOURCE }, of_binary = { .kind = AFFECTS_BINARY };
    assert_true(ancestry_has(&source, &of_source) && !ancestry_has(&source, &of_binary));
    assert_true(ancestry_has(&binary, &of_binary) && !ancestry_has(&binary, &of_source));
    assert_true(ancestry_has(&alpine, &of_source) && ancestry_has(&alpine, &of_binary));
}

static void test_storing(void **state)
{
    (void)state;
    CLEANUP(store_freep) struct store *s = fresh();
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct err e = { 0 };
    struct ancestry one, two, none, other;
    put(s, arena, "one", BASE CHILD, &one);
    put(s, arena, "two", BASE CHILD, &two);
    put(s, arena, "none", "", &none);
    assert_int_equal(one.image, two.image);
    assert_true(one.image && !none.image && one.id < two.id);
    put(s, arena, "one", BASE, &other); /* in place of it */
    assert_true(other.id > two.id && other.image != one.image);
    assert_int_equal(other.hash_count, 1);

    str hash = STR("h"), digest = STR("sha256:absent");
    const struct ancestry absent = { .name = STR("absent"), .hashes = &hash, .hash_count = 1 };
    assert_int_equal(index_ancestry(s, &absent, &digest, arena, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(store_ancestry_find(s, absent.name, arena, &other, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_features), cmocka_unit_test(test_findings),
                                        cmocka_unit_test(test_storing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
