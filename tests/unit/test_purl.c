/* test_purl.c - the names that other tools know packages by. */
#include "base/cleanup.h"
#include "model/purl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void check(struct package p, const struct distribution *d, const char *want)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    purl_put(&out, &p, d);
    buf_char(&out, '\0');
    assert_string_equal(out.ptr, want);
}

#define PACKAGE(k, n, v, ...)                                                                                \
    ((struct package){ .kind = STR(k), .name = STR(n), .version = STR(v), __VA_ARGS__ })

static void test_distributions(void **state)
{
    const struct distribution debian = { .id = STR("debian"), .version = STR("12") };
    const struct distribution alpine = { .id = STR("alpine"), .version = STR("v3.20") };
    const struct distribution rhel = { .id = STR("rhel"), .version = STR("9") };
    const struct distribution arch = { .id = STR("arch") }, none = { 0 };
    (void)state;
    check(PACKAGE("dpkg", "libc6", "1:2.36-9+deb12u4", .arch = STR("amd64"), .source = STR("glibc"),
                  .source_version = STR("2.36-9+deb12u4")),
          &debian,
          "pkg:deb/debian/"
          "libc6@1:2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc%402.36-9%2Bdeb12u4");
    check(PACKAGE("apk", "musl", "1.2.5-r0", .arch = STR("x86_64"), .source = STR("musl"),
                  .source_version = STR("1.2.5-r0")),
          &alpine, "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20");
    check(PACKAGE("rpm", "Perl-libs", "4:5.32.1-480.el9", .arch = STR("x86_64"), .module = STR("perl:5.32")),
          &rhel,
          "pkg:rpm/redhat/Perl-libs@5.32.1-480.el9?arch=x86_64&distro=rhel-9&epoch=4&rpmmod=perl:5.32");
    check(PACKAGE("rpm", "a", "0:1-1"), &rhel, "pkg:rpm/redhat/a@1-1?distro=rhel-9");
    check(PACKAGE("alpm", "pacman", "6.1.0-3", .arch = STR("x86_64")), &arch,
          "pkg:alpm/arch/pacman@6.1.0-3?arch=x86_64&distro=arch");
    check(PACKAGE("dpkg", "p", "1"), &none, "pkg:deb/p@1");
}

static void test_languages(void **state)
{
    const struct distribution debian = { .id = STR("debian"), .version = STR("12") };
    (void)state;
    check(PACKAGE("pypi", "Zope_Interface", "5.0"), &debian, "pkg:pypi/zope-interface@5.0");
    check(PACKAGE("npm", "@angular/core", "1.0.0"), &debian, "pkg:npm/%40angular/core@1.0.0");
    check(PACKAGE("go", "github.com/Foo/bar/v2", "v2.0.1"), &debian,
          "pkg:golang/github.com/foo/bar/v2@v2.0.1");
    check(PACKAGE("maven", "org.apache:commons-io", "1.3.4"), &debian,
          "pkg:maven/org.apache/commons-io@1.3.4");
    check(PACKAGE("packagist", "Symfony/yaml", "5.0"), &debian, "pkg:composer/symfony/yaml@5.0");
    check(PACKAGE("rubygems", "rails", "7.0"), &debian, "pkg:gem/rails@7.0");
    check(PACKAGE("unheard", "a/b?c#d@e%\xff\n", ""), &debian, "pkg:generic/a%2Fb%3Fc%23d%40e%25%FF%0A");
}

static void test_images(void **state)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        { "debian:12", "pkg:oci/debian@sha256:0a" },
        { "registry.example:5000/Team/App:1.2@sha256:ff", "pkg:oci/app@sha256:0a" },
        { "/tmp/image.tar", "pkg:oci/image.tar@sha256:0a" },
        { "", "pkg:oci/image@sha256:0a" },
        { "a/", "pkg:oci/image@sha256:0a" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_done) struct buf out = { 0 };
        purl_put_image(&out, str_from(rows[i].name), STR("sha256:0a"));
        buf_char(&out, '\0');
        assert_string_equal(out.ptr, rows[i].want);
    }
    CLEANUP(buf_done) struct buf out = { 0 };
    purl_put_image(&out, STR("a"), STR(""));
    assert_int_equal(out.len, 0);
}

/* What is written of a package is read again as that package. */
static void check_again(struct package p, const struct distribution *d)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    struct err e = { 0 };
    struct purl read;
    struct package again;
    purl_put(&out, &p, d);
    assert_int_equal(purl_parse(buf_view(&out), arena, &read, &e), 0);
    assert_true(purl_package(&read, arena, &again));
    p.source = p.source.len ? p.source : p.name;
    p.source_version = p.source_version.len ? p.source_version : p.version;
    assert_int_equal(package_cmp(&p, &again), 0);
}

static void check_source(const char *text, const char *source, const char *version)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct err e = { 0 };
    struct purl read;
    struct package p;
    assert_int_equal(purl_parse(str_from(text), arena, &read, &e), 0);
    assert_true(purl_package(&read, arena, &p));
    assert_true(str_eq(p.source, str_from(source)));
    assert_true(str_eq(p.source_version, str_from(version)));
}

static void test_read_again(void **state)
{
    const struct distribution debian = { .id = STR("debian"), .version = STR("12") };
    const struct distribution rhel = { .id = STR("rhel"), .version = STR("9") };
    (void)state;
    check_again(PACKAGE("dpkg", "bsdutils", "1:2.38.1-5+b1", .arch = STR("amd64"),
                        .source = STR("util-linux"), .source_version = STR("2.38.1-5")),
                &debian);
    check_again(PACKAGE("dpkg", "x", "1:2-3", .source = STR("x"), .source_version = STR("2-3")), &debian);
    check_again(PACKAGE("rpm", "openssl-libs", "1:3.0.7-1.el9", .arch = STR("x86_64"),
                        .source = STR("openssl"), .source_version = STR("1:3.0.7-1.el9"),
                        .module = STR("openssl:3")),
                &rhel);
    check_again(PACKAGE("npm", "@scope/a%b", "1.0.0"), &debian);
    check_again(PACKAGE("maven", "org.a:b", "1"), &debian);
    check_again(PACKAGE("go", "github.com/a/b", "v1.2.3"), &debian);
    check_source("pkg:rpm/redhat/openssl-libs@3.0.7-1.el9?epoch=1&upstream=openssl-3.0.7-1.el9.src.rpm",
                 "openssl", "1:3.0.7-1.el9");
    check_source("pkg:rpm/redhat/a@2-1?upstream=b-1-2.src.rpm", "b", "1-2");
    check_source("pkg:deb/debian/a@2-1?upstream=b%401:3", "b", "1:3");
    check_source("pkg:deb/debian/a@2-1?upstream=b", "b", "2-1");
    check_source("pkg:deb/debian/a@2-1?upstream=.src.rpm", ".src.rpm", "2-1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_read_again),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
