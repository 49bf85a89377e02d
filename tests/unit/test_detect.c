#include "detect/detector.h"
#include "detect/distro.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "model/advisory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <time.h>

/* ---- helpers ---- */

/* "kind name version arch source source-version", a line each; then "! note" */
static void render(struct buf *b, const struct detected *d)
{
    for (size_t i = 0; i < d->package_count; i++) {
        const struct package *p = &d->packages[i];
        buf_printf(b, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT "\n", STR_ARG(p->name),
                   STR_ARG(p->version), STR_ARG(p->arch), STR_ARG(p->source), STR_ARG(p->source_version));
    }
    if (d->note.len)
        buf_printf(b, "! " STR_FMT "\n", STR_ARG(d->note));
}

struct scan_case {
    const char *what, *path, *content, *want; /* want: as render(), or "error: text" */
};

static void check_scans(const struct scan_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf got = { 0 };
        struct detected out = { .arena = arena };
        struct err e = { 0 };
        const struct detector *d = detector_for(str_from(cases[i].path));
        assert_non_null(d);
        if (d->scan(&(struct detect_file){ .path = str_from(cases[i].path),
                                           .content = str_from(cases[i].content) },
                    &out, &e) < 0)
            buf_printf(&got, "error: %s", e.text);
        else
            render(&got, &out);
        if (!str_eq(buf_view(&got), str_from(cases[i].want)))
            fail_msg("%s: want\n%s\ngot\n" STR_FMT, cases[i].what, cases[i].want, STR_ARG(got));
    }
}

/* ---- the registry ---- */

static void test_paths(void **state)
{
    static const struct {
        const char *path, *detector;
    } cases[] = {
        { "var/lib/dpkg/status", "dpkg" },
        { "var/lib/dpkg/status.d/libc6", "dpkg" },
        { "var/lib/dpkg/status.d/", NULL },
        { "var/lib/dpkg/status.d", NULL },
        { "var/lib/dpkg/status.d/a/b", NULL },
        { "var/lib/dpkg/status-old", NULL },
        { "x/var/lib/dpkg/status", NULL },
        { "/var/lib/dpkg/status", NULL },
        { "lib/apk/db/installed", "apk" },
        { "usr/lib/apk/db/installed", "apk" },
        { "var/lib/rpm/Packages", "rpm" },
        { "var/lib/rpm/Packages.db", "rpm" },
        { "usr/lib/sysimage/rpm/rpmdb.sqlite", "rpm" },
        { "usr/share/rpm/rpmdb.sqlite", "rpm" },
        { "var/lib/pacman/local/acl-2.3.2-1/desc", "alpm" },
        { "var/lib/pacman/local/ALPM_DB_VERSION", "alpm" },
        { "var/lib/pacman/local/acl-2.3.2-1/files", NULL },
        { "var/lib/pacman/local/acl-2.3.2-1", NULL },
        { "var/lib/pacman/local/a/b/desc", NULL },
        { "var/lib/pacman/local//desc", NULL },
        { "var/lib/pacman/local/desc", NULL },
        { "var/lib/pacman/sync/core/desc", NULL },
        { "etc/os-release", "os-release" },
        { "etc/os-release.bak", NULL },
        { "usr/lib/os-release", "os-release" },
        { "etc/lsb-release", "lsb-release" },
        { "etc/apt/sources.list", "apt-sources" },
        { "etc/apt/sources.list.d/debian.sources", "apt-sources" },
        { "etc/apt/sources.list.d/other.list", NULL },
        { "etc/debian_version", "debian-version" },
        { "etc/redhat-release", "redhat-release" },
        { "etc/alpine-release", "alpine-release" },
        { "etc/apk/repositories", "apk-repositories" },
        { "etc/apk/repositories.bak", NULL },
        { "etc", NULL },
        { "", NULL },
        { "/", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct detector *d = detector_for(str_from(cases[i].path));
        if (!str_eq(str_from(d ? d->name : NULL), str_from(cases[i].detector)))
            fail_msg("%s: %s", cases[i].path, d ? d->name : "none");
    }
}

/* Each pattern is reachable, also by detector_wants_below() for each of its folders: holds detectors.c's
 * folders together with the patterns. */
static void test_every_pattern(void **state)
{
    unsigned patterns = 0;
    for (const struct detector *const *d = detectors; *d; d++) {
        assert_ptr_equal(detector_by_name(str_from((*d)->name)), *d);
        assert_true((*d)->scan);
        assert_true((*d)->version > 0);
        for (str rest = str_from((*d)->paths), pattern; (pattern = str_word(&rest)).len; patterns++) {
            char path[256];
            assert_true(pattern.len < sizeof path);
            memcpy(path, pattern.ptr, pattern.len);
            for (size_t i = 0; i < pattern.len; i++)
                path[i] = path[i] == '*' ? 'x' : path[i];
            assert_ptr_equal(detector_for((str){ path, pattern.len }), *d);
            for (size_t i = 0; i <= pattern.len; i++)
                if (i == 0 || i == pattern.len || path[i] == '/')
                    assert_true(detector_wants_below((str){ path, i }));
        }
    }
    assert_true(patterns > 20);
    assert_null(detector_by_name(STR("dpk")));
    assert_false(detector_wants_below(STR("usr/lib/x86_64-linux-gnu")));
    assert_false(detector_wants_below(STR("et")));
    assert_true(detector_wants_below(STR("var/lib/pacman/local/acl-2.3.2-1")));
    assert_false(detector_wants_below(STR("var/lib/pacman/local/acl-2.3.2-1/files")));
    assert_false(detector_wants_below(STR("var/lib/pacman/local/acl-2.3.2-1/desc/x")));
    assert_false(detector_wants_below(STR("var/lib/pacman/loc")));
    assert_false(detector_wants_below(STR("var/lib/pacman/sync")));
    assert_false(detector_wants_below(STR("var/lib/dpkg/info")));
    assert_true(detector_versions() != 0 && detector_versions() == detector_versions());
}

/* Asked for every member of a layer: the limit is wide, so that a slow machine passes and a lost filter does
 * not. */
static void test_speed(void **state)
{
    static const char *const unwanted[] = {
        "usr/share/doc/libc6/copyright",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/bin/ls",
        "usr/lib/os-probes/mounted/05efi",
        "var/lib/dpkg/info/libc6:amd64.list",
        "etc/ssl/certs/ca.pem",
        "opt/app/node_modules/a/package.json",
        "lib/apk/exec/x",
        "usr/share/zoneinfo/Europe/Berlin",
        "var/cache/apt/x",
        "var/lib/pacman/sync/core.db",
    };
    enum { COUNT = sizeof unwanted / sizeof *unwanted, ROUNDS = 200000 };
    str paths[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        paths[i] = str_from(unwanted[i]);
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (unsigned i = 0; i < ROUNDS; i++)
        for (size_t k = 0; k < COUNT; k++)
            if (detector_for(paths[k]))
                fail();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    double ns =
        ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (COUNT * (double)ROUNDS);
    print_message("detector_for: %.1f ns for a path that nobody wants\n", ns);
    assert_true(ns < 2000);
}

static void test_add(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct detected d = { .arena = arena };
    static char longest[PACKAGE_TEXT_MAX + 1];
    memset(longest, 'n', sizeof longest);
    struct package p = { .kind = STR("dpkg"), .name = { longest, PACKAGE_TEXT_MAX }, .version = STR("1") };
    assert_true(detected_add(&d, &p));
    assert_int_equal(d.package_count, 1);
    assert_int_equal(d.note.len, 0);
    assert_ptr_not_equal(d.packages[0].name.ptr, longest);
    p.name.len++;
    assert_true(detected_add(&d, &p));
    assert_int_equal(d.package_count, 1);
    assert_true(str_starts(d.note, STR("a package was skipped, of which a text is longer")));
    detected_note(&d, "a\033[31m\n%s", "\xff");
    assert_true(str_eq(d.note, STR("a?[31m??")));

    CLEANUP(arena_freep) struct arena *none = arena_new(16);
    struct detected full = { .arena = none };
    p.name.len = 1;
    assert_false(detected_add(&full, &p));
    detected_note(&full, "x"); /* no memory, no crash */
}

/* ---- package databases ---- */

static void test_dpkg(void **state)
{
#define STATUS "var/lib/dpkg/status"
#define OK     "Status: install ok installed\n"
    static const struct scan_case cases[] = {
        { "empty", STATUS, "", "" },
        { "blank", STATUS, "\n \n\t\r\n", "" },
        { "plain", STATUS, "Package: a\n" OK "Architecture: amd64\nVersion: 1-1\n\n", "a 1-1 amd64 a 1-1\n" },
        { "no newline at the end", STATUS, "Package: a\n" OK "Version: 1", "a 1  a 1\n" },
        { "CRLF", STATUS,
          "Package: a\r\nStatus: install ok installed\r\nVersion: 1\r\n\r\nPackage: b\r\nVersion: 2\r\n",
          "a 1  a 1\nb 2  b 2\n" },
        { "source", STATUS, "Package: a\nSource: s\n" OK "Version: 1+b1\n", "a 1+b1  s 1+b1\n" },
        { "source with version", STATUS, "Package: a\nSource: s (1:1-2)\n" OK "Version: 1+b1\n",
          "a 1+b1  s 1:1-2\n" },
        { "source after version", STATUS, "Version: 1+b1\nPackage: a\n" OK "Source:s(2)\n", "a 1+b1  s 2\n" },
        { "empty source", STATUS, "Version: 1\nPackage: a\n" OK "Source: \n", "a 1  a 1\n" },
        { "odd source", STATUS, "Version: 1\nPackage: a\n" OK "Source: s (\n", "a 1  s 1\n" },
        { "any letter case", STATUS, "PACKAGE: a\nstatus: INSTALL OK Installed\nvErsion: 1\n", "a 1  a 1\n" },
        { "two architectures", STATUS,
          "Package: a\n" OK "Architecture: amd64\nVersion: 1\n\nPackage: a\n" OK
          "Architecture: i386\nVersion: 1\n",
          "a 1 amd64 a 1\na 1 i386 a 1\n" },
        { "continuation lines", STATUS,
          "Package: a\n" OK "Version: 1\nDescription: x\n Version: 2\n\tPackage: b\n .\n", "a 1  a 1\n" },
        { "states", STATUS,
          "Package: a\nStatus: install ok unpacked\nVersion: 1\n\nPackage: b\nStatus: install ok "
          "half-configured\nVersion: 1\n\n"
          "Package: c\nStatus: hold ok triggers-awaited\nVersion: 1\n\nPackage: d\nStatus: install reinstreq "
          "triggers-pending\nVersion: 1\n\n"
          "Package: e\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: f\nStatus: install ok "
          "half-installed\nVersion: 1\n\n"
          "Package: g\nStatus: purge ok not-installed\n\nPackage: h\nStatus: install ok\nVersion: "
          "1\n\nPackage: i\nStatus: hold ok installed\nVersion: 1\n",
          "a 1  a 1\nb 1  b 1\nc 1  c 1\nd 1  d 1\ni 1  i 1\n" },
        { "without Status", "var/lib/dpkg/status.d/a", "Package: a\nVersion: 1\nSource: s (2)\n",
          "a 1  s 2\n" },
        { "sums", "var/lib/dpkg/status.d/a.md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/bin/a\n", "" },
        { "a script in status.d", "var/lib/dpkg/status.d/a.preinst", "#!/bin/sh\nexit 0\n",
          "! line 1 is not a field\n" },
        { "no version", STATUS, "Package: a\n" OK "\nPackage: b\n" OK "Version: 1\n",
          "b 1  b 1\n! line 1: a stanza without Version was skipped\n" },
        { "no name", STATUS, "Package: b\n" OK "Version: 1\n\n" OK "Version: 1\n",
          "b 1  b 1\n! line 5: a stanza without Package was skipped\n" },
        { "an odd line", STATUS, "Package: b\n" OK "what\nVersion: 1\n",
          "b 1  b 1\n! line 3 is not a field\n" },
        { "vcpkg", STATUS,
          "Package: a\nVersion: 1\nPort-Version: 2\n" OK "\nPackage: b\nVersion: 1\nType: Port\n" OK,
          "! line 6: a stanza of vcpkg was skipped\n" },
        { "garbage", STATUS, "\177ELF\002\001\n\n\001:x\n", "error: line 1: not a dpkg database" },
        { "garbage after blank lines", STATUS, "\n\n  x\n", "error: line 3: not a dpkg database" },
        { "other fields", STATUS, "\nHello: world\n", "error: line 2: not a dpkg database" },
    };
    check_scans(cases, sizeof cases / sizeof *cases);
}

static void test_apk(void **state)
{
#define INSTALLED "lib/apk/db/installed"
    static const struct scan_case cases[] = {
        { "empty", INSTALLED, "", "" },
        { "plain", INSTALLED, "C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\np:so:libc.musl\nF:lib\nR:x\n\n",
          "musl 1.2.5-r0 x86_64 musl 1.2.5-r0\n" },
        { "origin", INSTALLED, "P:libcrypto3\nV:3.3.1-r0\nA:aarch64\no:openssl\n",
          "libcrypto3 3.3.1-r0 aarch64 openssl 3.3.1-r0\n" },
        { "no origin, other letter case", "usr/lib/apk/db/installed",
          "P:a\nV:1\np:b\nv:2\nO:c\n\n\n\nV:2\nP:b", "a 1  a 1\nb 2  b 2\n" },
        { "virtual", INSTALLED, "P:.build-deps\nV:20240101.120000\nA:noarch\n\nP:b\nV:2\n", "b 2  b 2\n" },
        { "no version", INSTALLED, "P:a\n\nP:b\nV:2\n\nV:3\n",
          "b 2  b 2\n! line 6: an entry without P: was skipped\n" },
        { "CRLF", INSTALLED, "P:a\r\nV:1\r\n\r\nP:b\r\nV:2\r\n", "a 1  a 1\nb 2  b 2\n" },
        { "odd first line", INSTALLED, "this is odd\n\nP:b\nV:2\n",
          "b 2  b 2\n! line 1 is not of the form X:value\n" },
        { "garbage", INSTALLED, "\nADB.\001\002\n", "error: line 2: not an apk database" },
        { "no package", INSTALLED, "x:y\n", "error: line 1: not an apk database" },
    };
    check_scans(cases, sizeof cases / sizeof *cases);
}

static void test_alpm(void **state)
{
#define DESC   "var/lib/pacman/local/a-1-1/desc"
#define LAYOUT "var/lib/pacman/local/ALPM_DB_VERSION"
    static const struct scan_case cases[] = {
        { "plain", DESC, "%NAME%\nlibgcc\n\n%VERSION%\n14.2.1+r753-1\n\n%BASE%\ngcc\n\n%ARCH%\nx86_64\n\n",
          "libgcc 14.2.1+r753-1 x86_64 gcc 14.2.1+r753-1\n" },
        { "no base, no end of line", DESC, "%NAME%\na\n\n%VERSION%\n1:1-1", "a 1:1-1  a 1:1-1\n" },
        { "CRLF", DESC, "%NAME%\r\na\r\n\r\n%VERSION%\r\n1\r\n", "a 1  a 1\n" },
        { "other blocks, any order", DESC,
          "%DEPENDS%\nglibc\nbash>=5\n\n\n%VERSION%\n1-1\n\n%XDATA%\npkgtype=pkg\n\n%NAME%\na\n",
          "a 1-1  a 1-1\n" },
        { "a description that looks like a heading", DESC, "%DESC%\n%NAME%\nb\n\n%NAME%\na\n\n%VERSION%\n1\n",
          "a 1  a 1\n" },
        { "several lines", DESC, "%NAME%\na\nb\n\n%VERSION%\n1\n2\n", "a 1  a 1\n" },
        { "an empty block", DESC, "%BASE%\n\n%NAME%\na\n\n%VERSION%\n1\n", "a 1  a 1\n" },
        { "empty", DESC, "", "! a package without %NAME% was skipped\n" },
        { "no version", DESC, "%NAME%\na\n\n%VERSION%\n\n", "! a package without %VERSION% was skipped\n" },
        { "garbage", DESC, "\177ELF\001\n\n%", "! a package without %NAME% was skipped\n" },
        { "layout", LAYOUT, "9\n", "" },
        { "another layout", LAYOUT, "10\n", "! the layout of this package database is 10, not 9\n" },
    };
    check_scans(cases, sizeof cases / sizeof *cases);
}

/* ---- distributions ---- */

static struct distribution scan_text(struct arena *arena, const char *path, str content)
{
    struct detected out = { .arena = arena };
    struct err e = { 0 };
    assert_non_null(detector_for(str_from(path)));
    assert_int_equal(
        detector_for(str_from(path))
            ->scan(&(struct detect_file){ .path = str_from(path), .content = content }, &out, &e),
        0);
    return out.distribution;
}

/* "id version namespace"; an empty one is "-" */
static const char *told(struct arena *arena, struct distribution d)
{
    str dash = STR("-");
    str id = d.id.len ? d.id : dash, version = d.version.len ? d.version : dash,
        ns = d.namespace.len ? d.namespace : dash;
    return arena_cstr(arena, arena_printf(arena, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(id),
                                          STR_ARG(version), STR_ARG(ns)));
}

static void test_distribution_files(void **state)
{
#define OS    "etc/os-release"
#define REPOS "etc/apk/repositories"
    static const struct {
        const char *path, *content, *want;
    } cases[] = {
        { OS, "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
          "debian 12 debian:12" },
        { OS, "VERSION_ID='22.04'\r\nID=ubuntu\r\n", "ubuntu 22.04 ubuntu:22.04" },
        { OS, "  ID=\"De\\bian\"  # x\n#ID=alpine\nVERSION_ID=1\"\"2 # \"\n", "de\\bian 12 -" },
        { OS, "ID=de\\bian\nVERSION_ID=12#x\n", "debian 12 debian:12" },
        { OS, "ID=alpine\nID=debian\nVERSION_ID=11\nVERSION_ID=12", "debian 12 debian:12" },
        { OS, "ID=\"debian\nVERSION_ID=\"12\n", "debian 12 debian:12" },
        { OS, "VERSION_ID=8\nID_LIKE=debian\n", "- - -" },
        { OS, "", "- - -" },
        { OS, "ID\n=\nID=\n", "- - -" },
        { OS, "PRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\nID=debian\nVERSION_CODENAME=trixie\n",
          "debian 13 -" },
        { OS, "PRETTY_NAME=\"Debian GNU/Linux buster/sid\"\nID=debian\n", "debian 10 -" },
        { OS, "PRETTY_NAME=\"Debian GNU/Linux 8 (jessie)\"\nID=debian\n", "debian 8 -" },
        { OS, "PRETTY_NAME=\"Distroless\"\nID=debian\n", "debian - -" },
        { OS, "ID=ubuntu\nVERSION_CODENAME=jammy", "ubuntu 22.04 ubuntu:22.04" },
        { OS, "ID=alpine\nVERSION_ID=3.20.3\n", "alpine v3.20 alpine:v3.20" },
        { OS, "ID=alpine\nVERSION_ID=3.19_alpha20230901\n", "alpine edge alpine:edge" },
        { OS, "ID=alpine\nVERSION_ID=3.21.0_rc1\n", "alpine v3.21 alpine:v3.21" },
        { OS, "ID=alpine\nVERSION_ID=20240807\n", "alpine edge alpine:edge" },
        { OS, "ID=alpine\nVERSION_ID=2024080\n", "alpine - -" },
        { OS, "ID=\"rhel\"\nVERSION_ID=\"8.9\"\n", "rhel 8 rhel:8" },
        { OS, "ID=\"centos\"\nVERSION_ID=\"9\"\n", "centos 9 centos:9" },
        { OS, "ID=ol\nVERSION_ID=8.3", "ol 8 oracle:8" },
        { OS, "ID=rocky\nVERSION_ID=9.4", "rocky 9 rocky:9" },
        { OS, "ID=almalinux\nVERSION_ID=10.0", "almalinux 10 almalinux:10" },
        { OS, "ID=amzn\nVERSION_ID=2", "amzn 2 amzn:2" },
        { OS, "ID=amzn\nVERSION_ID=2018.03", "amzn 2018.03 amzn:2018.03" },
        { OS, "ID=amzn\nVERSION_ID=2023", "amzn 2023 amzn:2023" },
        { OS, "ID=fedora\nVERSION_ID=41", "fedora 41 fedora:41" },
        { OS, "ID=sles\nVERSION_ID=15.5", "sles 15.5 sles:15.5" },
        { OS, "ID=opensuse-leap\nVERSION_ID=15.6", "opensuse-leap 15.6 opensuse.leap:15.6" },
        { OS, "ID=opensuse-tumbleweed\nVERSION_ID=20240801",
          "opensuse-tumbleweed 20240801 opensuse.tumbleweed" },
        { OS, "ID=photon\nVERSION_ID=5.0", "photon 5 photon:5" },
        { OS, "ID=mariner\nVERSION_ID=2.0", "mariner 2 mariner:2" },
        { OS, "ID=azurelinux\nVERSION_ID=3.0", "azurelinux 3 azurelinux:3" },
        { OS, "ID=wolfi\nVERSION_ID=20220914", "wolfi 20220914 wolfi" },
        { OS, "ID=chainguard", "chainguard - chainguard" },
        { OS, "ID=arch\nBUILD_ID=rolling", "arch - arch" },
        { OS, "ID=Raspbian\nVERSION_ID=\"11\"\nID_LIKE=debian", "raspbian 11 -" },
        { OS, "ID=rhel\nVERSION_ID=x", "rhel - -" },
        { OS, "ID=\"rhel\"\nVERSION_ID=\"10.0\"\n", "rhel 10 rhel:10" },
        { OS, "ID=\"sles\"\nVERSION_ID=\"12\"\n", "sles 12 sles:12" },
        { OS, "ID=sles_sap\nVERSION_ID=15.4", "sles_sap 15.4 sles:15.4" },
        { OS, "ID=sled\nVERSION_ID=15.5", "sled 15.5 sled:15.5" },
        { OS, "ID=sle-micro\nVERSION_ID=5.5", "sle-micro 5.5 sle-micro:5.5" },
        { OS, "ID=sl-micro\nVERSION_ID=6.0", "sl-micro 6.0 sl-micro:6.0" },
        { OS, "ID=opensuse\nVERSION_ID=13.2", "opensuse 13.2 opensuse:13.2" },
        { OS, "ID=opensuse\nVERSION_ID=42.3", "opensuse-leap 42.3 opensuse.leap:42.3" },
        { OS, "ID=opensuse\nVERSION_ID=20170301", "opensuse-tumbleweed 20170301 opensuse.tumbleweed" },
        { OS, "ID=opensuse-microos\nVERSION_ID=20240801", "opensuse-microos 20240801 opensuse.tumbleweed" },
        { OS, "ID=opensuse-leap\nVERSION_ID=16.0", "opensuse-leap 16.0 opensuse.leap:16.0" },
        { OS, "ID=amzn\nVERSION_ID=2016.09", "amzn 2016.09 amzn:2016.09" },
        { OS, "ID=ubuntu\nVERSION_ID=26.04\nPRETTY_NAME=\"Ubuntu Resolute Raccoon (development branch)\"",
          "ubuntu 26.04 ubuntu:26.04" },
        /* derivatives stay themselves, whatever they are like */
        { OS, "ID=kali\nVERSION_ID=2024.2\nID_LIKE=debian", "kali 2024.2 -" },
        { OS, "ID=linuxmint\nVERSION_ID=21.3\nID_LIKE=\"ubuntu debian\"\nUBUNTU_CODENAME=jammy",
          "linuxmint 21.3 -" },
        { OS, "ID=pureos\nVERSION_ID=10.0\nID_LIKE=debian", "pureos 10.0 -" },
        { OS, "ID=devuan\nVERSION_ID=5\nID_LIKE=debian", "devuan 5 -" },
        { OS, "ID=archarm\nID_LIKE=arch", "archarm - -" },
        { OS, "ID=manjaro\nID_LIKE=arch", "manjaro - -" },
        { "etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n",
          "sles 11.4 sles:11.4" },
        { "etc/SuSE-release",
          "SUSE Linux Enterprise Server 12 (x86_64)\r\nVERSION = 12\r\nPATCHLEVEL = 0\r\n# x\n",
          "sles 12 sles:12" },
        { "etc/SuSE-release", "SUSE Linux Enterprise Desktop 11 (i586)\nVERSION = 11\nPATCHLEVEL = 1",
          "sled 11.1 sled:11.1" },
        { "etc/SuSE-release", "openSUSE 13.2 (x86_64)\nVERSION = 13.2\nCODENAME = Harlequin\n",
          "opensuse 13.2 opensuse:13.2" },
        { "etc/SuSE-release", "openSUSE 42.1 (x86_64)\nVERSION = 42.1\nCODENAME = Malachite\n",
          "opensuse-leap 42.1 opensuse.leap:42.1" },
        { "etc/SuSE-release", "Novell Linux Desktop 9\nVERSION = 9\n", "novell 9 -" },
        { "etc/SuSE-release", "SUSE Linux Enterprise Server 11\nPATCHLEVEL = 4\n", "- - -" },
        { "etc/SuSE-release", "", "- - -" },
        { "etc/photon-release", "VMware Photon OS 3.0\nPHOTON_BUILD_NUMBER=a0f216d\n", "photon 3 photon:3" },
        { "etc/photon-release", "VMware Photon Linux 1.0\nPHOTON_BUILD_NUMBER=62c543d\n",
          "photon 1 photon:1" },
        { "etc/photon-release", "PHOTON_BUILD_NUMBER=1\n", "- - -" },
        { "etc/photon-release", "VMware Photon OS\n3.0\n", "- - -" },
        { "etc/alpine-release", "3.5.2\n", "alpine v3.5 alpine:v3.5" },
        { "etc/alpine-release", "\n# x\n3.21_alpha20240807\n3.2.1", "alpine edge alpine:edge" },
        { "etc/alpine-release", "Debian\n", "- - -" },
        { "etc/alpine-release", "20240807\n", "alpine edge alpine:edge" },
        { REPOS, "https://x/alpine/edge/main\nhttps://x/alpine/edge/community\n", "alpine edge alpine:edge" },
        { REPOS, "  http://x/edge/main/ \r\n\n#http://x/v3.20/main\n@old http://x/v3.19/main\n",
          "alpine edge alpine:edge" },
        { REPOS, "https://x/v3.20/main\nhttps://x/edge/testing\n", "- - -" },
        { REPOS, "https://x/v3.20/main\nhttps://x/edge/main\n", "- - -" },
        { REPOS, "https://x/edge/main\nhttps://x/v3.20/main\n", "- - -" },
        { REPOS, "https://x/latest-stable/main\n", "- - -" },
        { REPOS, "#https://x/edge/main\n@edge https://x/edge/main\n/media/cdrom/apks\n", "- - -" },
        { REPOS, "https://x/edge/community\nhttps://x/os\nhttps://x/knowledge/main\n", "- - -" },
        { REPOS, "", "- - -" },
        { REPOS, "/\n//\n@\n#\n/main\n", "- - -" },
        { "etc/debian_version", "12.5\n", "debian 12 debian:12" },
        { "etc/debian_version", "trixie/sid\n", "debian 13 -" },
        { "etc/debian_version", "kali-rolling\n", "- - -" },
        { "etc/lsb-release",
          "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=16.04\nDISTRIB_DESCRIPTION=\"Ubuntu 16.04.7 LTS\"\n",
          "ubuntu 16.04 ubuntu:16.04" },
        { "etc/lsb-release", "DISTRIB_ID=\"Debian\"\nDISTRIB_RELEASE=\"8.11\"\n", "debian 8 debian:8" },
        { "etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=8.04\nDISTRIB_CODENAME=hardy\n",
          "ubuntu 8.04 ubuntu:8.04" },
        { "etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_CODENAME=natty\n", "ubuntu 11.04 ubuntu:11.04" },
        { "etc/lsb-release", "DISTRIB_ID=\"VMware Photon OS\"\nDISTRIB_RELEASE=\"4.0\"\n",
          "photon 4 photon:4" },
        { "etc/lsb-release", "DISTRIB_ID=OracleServer\nDISTRIB_RELEASE=7.9\n", "ol 7 oracle:7" },
        { "etc/lsb-release", "DISTRIB_ID=RedHatEnterpriseServer\nDISTRIB_RELEASE=7.9\n", "rhel 7 rhel:7" },
        { "etc/lsb-release", "DISTRIB_ID=CentOS\nDISTRIB_RELEASE=6.10\n", "centos 6 centos:6" },
        { "etc/lsb-release", "DISTRIB_ID=AmazonAMI\nDISTRIB_RELEASE=2018.03\n", "amzn 2018.03 amzn:2018.03" },
        { "etc/lsb-release", "DISTRIB_ID=Arch\nDISTRIB_RELEASE=rolling\n", "arch rolling arch" },
        { "etc/lsb-release", "DISTRIB_ID=LinuxMint\nDISTRIB_RELEASE=21\n", "linuxmint 21 -" },
        { "etc/redhat-release", "Red Hat Enterprise Linux Server release 7.9 (Maipo)\n", "rhel 7 rhel:7" },
        { "etc/redhat-release", "Red Hat Enterprise Linux release 8.10 (Ootpa)\n", "rhel 8 rhel:8" },
        { "etc/redhat-release", "Red Hat Enterprise Linux Atomic Host release 7.9\n", "rhel 7 rhel:7" },
        { "etc/redhat-release", "Red Hat Enterprise Linux CoreOS release 4.12\n", "rhcos 4.12 -" },
        { "etc/redhat-release", "CentOS release 5.7 (Final)\n", "centos 5 centos:5" },
        { "etc/centos-release", "CentOS Linux release 7.6.1810 (Core)\n", "centos 7 centos:7" },
        { "etc/centos-release", "CentOS Stream release 9\n", "centos 9 centos:9" },
        { "etc/rocky-release", "Rocky Linux release 8.10 (Green Obsidian)\n", "rocky 8 rocky:8" },
        { "etc/almalinux-release", "AlmaLinux release 8.10 (Cerulean Leopard)\n", "almalinux 8 almalinux:8" },
        { "etc/oracle-release", "Oracle Linux Server release 9.3\n", "ol 9 oracle:9" },
        { "etc/fedora-release", "Fedora release 36 (Thirty Six)\n", "fedora 36 fedora:36" },
        { "etc/system-release", "Amazon Linux AMI release 2016.09\n", "amzn 2016.09 amzn:2016.09" },
        { "etc/amazon-linux-release", "Amazon Linux release 2023.5.20240708 (Amazon Linux)\n",
          "amzn 2023 amzn:2023" },
        { "etc/centos-release", "CentOS Stream release 8\n", "centos 8 centos:8" },
        { "etc/redhat-release", "Red Hat Enterprise Linux release 10.0 (Coughlan)\n", "rhel 10 rhel:10" },
        { "etc/oracle-release", "Oracle Linux Server release 10.0\n", "ol 10 oracle:10" },
        { "etc/system-release", "Amazon Linux release 2 (Karoo)\n", "amzn 2 amzn:2" },
        { "etc/system-release", "Amazon Linux AMI release 2018.03\n", "amzn 2018.03 amzn:2018.03" },
        { "etc/system-release", "Amazon Linux release 2023.1.20230912 (Amazon Linux)\n",
          "amzn 2023 amzn:2023" },
        { "etc/redhat-release", "Scientific Linux release 7.9 (Nitrogen)\n", "scientific 7.9 -" },
        { "etc/redhat-release", "\nDerived from\nCentOS Linux release 8\n", "centos 8 centos:8" },
        { "etc/redhat-release", "some release notes\n", "- - -" },
        { "etc/apt/sources.list", "# deb http://x y main\ndeb http://x/debian bookworm main contrib\n",
          "debian 12 debian:12" },
        { "etc/apt/sources.list", "deb [arch=amd64 signed-by=/x]\thttp://x/debian\tbookworm-updates  main\n",
          "debian 12 debian:12" },
        { "etc/apt/sources.list", "deb http://x jessie/updates main", "debian 8 debian:8" },
        { "etc/apt/sources.list", "deb-src http://x jammy-security main", "ubuntu 22.04 ubuntu:22.04" },
        { "etc/apt/sources.list", "deb http://x unstable main", "debian unstable debian:unstable" },
        { "etc/apt/sources.list", "deb http://x sid contrib # main\n", "- - -" },
        { "etc/apt/sources.list", "deb http://x kali-rolling main\ndeb http://x ./\ndeb\ndeb [\n", "- - -" },
        { "etc/apt/sources.list", "deb http://x testing main", "debian 14 -" },
        { "etc/apt/sources.list.d/debian.sources",
          "Types: deb\nURIs: http://x\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: /x\n",
          "debian 13 debian:13" },
        { "etc/apt/sources.list.d/debian.sources",
          "Suites: sid\nComponents: main\nEnabled: no\n\nSuites: trixie\nComponents: main contrib\n\n",
          "debian 13 debian:13" },
        { "etc/apt/sources.list.d/ubuntu.sources", "Suites: noble\nComponents: universe\n", "- - -" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        const char *got = told(arena, scan_text(arena, cases[i].path, str_from(cases[i].content)));
        if (strcmp(got, cases[i].want))
            fail_msg("%s: %s\nwant %s, got %s", cases[i].path, cases[i].content, cases[i].want, got);
    }
}

static void test_distro(void **state)
{
    static const char *const schemes[][2] = { { "debian:12", "dpkg" },
                                              { "ubuntu:22.04", "dpkg" },
                                              { "alpine:v3.20", "apk" },
                                              { "oracle:8", "rpm" },
                                              { "opensuse.leap:15.6", "rpm" },
                                              { "wolfi", "apk" },
                                              { "arch", "alpm" },
                                              { "sle-micro:5.5", "rpm" },
                                              { "opensuse.tumbleweed", "rpm" },
                                              { "photon:5", "rpm" },
                                              { "ol:8", "" },
                                              { "", "" },
                                              { "debianx:1", "" } };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        assert_true(str_eq(distribution_scheme(str_from(schemes[i][0])), str_from(schemes[i][1])));
    assert_true(str_eq(debian_version(STR("sid")), STR("unstable")));
    assert_int_equal(debian_version(STR("jammy")).len, 0);
    assert_true(str_eq(ubuntu_version(STR("jammy")), STR("22.04")));
    assert_true(distribution_known(STR("ol")) && !distribution_known(STR("oracle")) &&
                !distribution_known((str){ 0 }));

    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    str none = { 0 }, name = STR("Debian GNU/Linux 12 (bookworm)");
    struct distribution d = distribution_from(arena, STR("Debian"), none, STR("bookworm"), name);
    assert_string_equal(told(arena, d), "debian 12 debian:12");
    assert_true(str_eq(d.name, name) && d.name.ptr != name.ptr);
    assert_int_equal(distribution_from(arena, none, STR("1"), none, none).version.len, 0);
}

static void test_namespaces(void **state)
{
    static const char *const v1[][2] = {
        { "rhel:9", "centos:9" },
        { "centos:7", "centos:7" },
        { "oracle:8", "oracle:8" },
        { "debian:12", "debian:12" },
        { "arch", "arch" },
        { "rhelx:1", "rhelx:1" },
        { "alpine:v3.5", "alpine:v3.5" },
        { "", "" },
    };
    static const char *const ends[][2] = {
        { "debian:12", "2028-06-30" },
        { "rhel:7", "2024-06-30" },
        { "centos:7", "2024-06-30" },
        { "oracle:7", "2024-12-31" },
        { "sles:15.3", "2022-12-31" },
        { "amzn:2", "2026-06-30" },
        { "arch", "" },
        { "debian:unstable", "" },
        { "rhel:", "" },
        { "ubuntu:23.10", "2024-07-11" },
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < sizeof v1 / sizeof *v1; i++)
        assert_true(str_eq(distribution_v1_name(arena, str_from(v1[i][0])), str_from(v1[i][1])));
    static const struct {
        const char *namespace, *data, *served;
        bool instead;
    } data[] = {
        { "centos:9", "rhel:9", "", true },
        { "rhel:9", "", "centos:9", true },
        { "chainguard", "wolfi", "", false },
        { "wolfi", "", "chainguard", false },
        { "rhel:", "", "", false },
        { "centos", "", "", false },
        { "chainguard:1", "", "", false },
        { "opensuse.leap:15.6", "", "", false },
        { "", "", "", false },
    };
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        bool instead = false;
        assert_true(
            str_eq(distribution_data(arena, str_from(data[i].namespace), &instead), str_from(data[i].data)));
        assert_true(str_eq(distribution_served(arena, str_from(data[i].namespace), &instead),
                           str_from(data[i].served)));
        assert_int_equal(instead, data[i].instead);
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        assert_true(str_eq(distribution_end_of_life(str_from(ends[i][0])), str_from(ends[i][1])));
}

/* ---- model ---- */

static void test_metadata(void **state)
{
    static const struct {
        const char *version;
        uint16_t base;
        enum severity want;
    } ratings[] = {
        { "2.0", 0, SEVERITY_LOW },       { "2.0", 39, SEVERITY_LOW },    { "2.0", 40, SEVERITY_MEDIUM },
        { "2.0", 70, SEVERITY_HIGH },     { "2.0", 100, SEVERITY_HIGH },  { "3.0", 0, SEVERITY_NEGLIGIBLE },
        { "3.1", 1, SEVERITY_LOW },       { "3.1", 69, SEVERITY_MEDIUM }, { "3.1", 89, SEVERITY_HIGH },
        { "4.0", 90, SEVERITY_CRITICAL },
    };
    static const char *const bad_dates[] = { "",           "2021-12-1",  "2021-12-100",
                                             "2021/12/10", "20211-2-10", "202a-12-10" };
    for (size_t i = 0; i < sizeof ratings / sizeof *ratings; i++)
        assert_int_equal(cvss_severity(str_from(ratings[i].version), ratings[i].base), ratings[i].want);
    for (int i = 0; i < CVSS_VERSIONS; i++)
        assert_int_equal(cvss_version(cvss_version_name(i)), i);
    assert_int_equal(cvss_version(STR("3")), -1);
    assert_true(date_valid(STR("2021-12-10")));
    for (size_t i = 0; i < sizeof bad_dates / sizeof *bad_dates; i++)
        assert_false(date_valid(str_from(bad_dates[i])));
    struct metadata m = { 0 };
    assert_true(metadata_empty(&m));
    m.has_epss = true; /* of 0 */
    assert_false(metadata_empty(&m));
}

static void test_model(void **state)
{
    enum severity s = SEVERITY_LOW;
    assert_true(severity_parse(STR("dEFCON1"), &s) && s == SEVERITY_DEFCON1);
    assert_false(severity_parse(STR("Hig"), &s) || severity_parse(STR("Highest"), &s) ||
                 severity_parse((str){ 0 }, &s));
    assert_int_equal(s, SEVERITY_DEFCON1);
    for (unsigned i = 0; i < SEVERITIES; i++)
        assert_true(severity_parse(str_from(severity_name(i)), &s) && s == i);
    assert_string_equal(fix_state_name(FIX_WILL_NOT_FIX), "will_not_fix");
    assert_string_equal(fix_state_name(FIX_AFFECTED), "affected");

    struct package a = { .kind = STR("dpkg"), .name = STR("a"), .version = STR("1"), .arch = STR("amd64") },
                   b = a;
    assert_true(package_same(&a, &b) && package_cmp(&a, &b) == 0);
    b.source = STR("s");
    assert_true(package_same(&a, &b) && package_cmp(&a, &b) < 0 && package_cmp(&b, &a) > 0);
    b = a;
    b.arch = STR("i386");
    assert_true(!package_same(&a, &b) && package_cmp(&a, &b) < 0);
}

/* ---- real data ---- */

static const char *data_dir(void)
{
    const char *dir = getenv("ECLAIR_TEST_DATA");
    return dir ? dir : "../shared/data";
}

static bool no_data(unsigned cases)
{
    if (!access(data_dir(), R_OK))
        return false;
    if (getenv("CI"))
        fail_msg("no test data in %s", data_dir());
    print_message("no test data in %s: %u cases did not run\n", data_dir(), cases);
    return true;
}

/* The output of a shell command with $DATA. */
static void output_of(struct buf *b, const char *command)
{
    setenv("DATA", data_dir(), 1);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    for (size_t n = 1; n;) {
        char *at = buf_reserve(b, 1 << 16);
        assert_non_null(at);
        n = fread(at, 1, 1 << 16, p);
        b->len += n;
    }
    if (pclose(p))
        fail_msg("%s failed", command);
}

/* What each release file of the samples must be. In a file's name "*" stands for one folder, and in the namespace for the same
 * text; the first row that fits is the one. */
static const struct {
    const char *archive, *file, *want; /* the namespace; or the id and " -" where there is none; or "-" */
} release_files[] = {
#define SYFT "syft-pkgdb", "anchore+syft/syft/linux/testdata/"
#define CORE "claircore", "quay+claircore/"
    { SYFT "partial-fields/missing-id/usr/lib/os-release", "-" },
    { SYFT "partial-fields/unknown-id/usr/lib/os-release", "my-awesome-distro -" },
    { SYFT "partial-fields/missing-version/usr/lib/os-release", "-" },
    { SYFT "os/empty/etc/os-release", "-" },
    { SYFT "os/custom/etc/os-release", "scientific -" },
    { SYFT "os/sles/etc/os-release", "sles:15.2" },
    { SYFT "os/wolfi/etc/os-release", "wolfi" },
    { SYFT "os/debian/from-debian_version/etc/debian_version", "debian:10" },
    { SYFT "os/debian/from-debian_version/etc/os-release", "debian -" },
    { SYFT "os/debian/from-os-release/usr/lib/os-release", "debian:8" },
    { SYFT "os/debian/with-point-release/etc/*", "debian:13" },
    { SYFT "os/arch/etc/os-release", "arch" },
    { SYFT "os/redhat/from-redhat-release/etc/redhat-release", "rhel:8" },
    { SYFT "os/redhat/from-os-release/usr/lib/os-release", "rhel:7" },
    { SYFT "os/opensuse-leap/etc/os-release", "opensuse.leap:15.2" },
    { SYFT "os/photon/etc/os-release", "photon:2" },
    { SYFT "os/centos5/etc/redhat-release", "centos:5" },
    { SYFT "os/alpine/etc/os-release", "alpine:v3.11" },
    { SYFT "os/amazon/etc/os-release", "amzn:2" },
    { SYFT "os/oraclelinux/etc/os-release", "oracle:8" },
    { SYFT "os/rockylinux/from-redhat-release/etc/redhat-release", "rocky:8" },
    { SYFT "os/rockylinux/from-os-release/etc/os-release", "rocky:8" },
    { SYFT "os/centos/usr/lib/os-release", "centos:8" },
    { SYFT "os/fedora/usr/lib/os-release", "fedora:36" },
    { SYFT "os/mariner/etc/os-release", "mariner:1" },
    { SYFT "os/scientific/from-redhat-release/etc/redhat-release", "scientific -" },
    { SYFT "os/scientific/from-os-release/etc/os-release", "scientific -" },
    { SYFT "os/almalinux/from-redhat-release/etc/redhat-release", "almalinux:8" },
    { SYFT "os/almalinux/from-os-release/etc/os-release", "almalinux:8" },
    { SYFT "os/ubuntu/etc/os-release", "ubuntu:20.04" },
    { "syft-pkgdb", "anchore+syft/syft/pkg/cataloger/debian/testdata/image-dpkg/etc/os-release",
      "debian:12" },
    { SYFT "unprintable", "debian:8" },
    { CORE "osrelease/testdata/Alpine.txtar", "alpine:v3.10" },
    { CORE "osrelease/testdata/Bionic.txtar", "ubuntu:18.04" },
    { CORE "osrelease/testdata/Buster.txtar", "debian:10" },
    { CORE "osrelease/testdata/DistrolessCorrupt.txtar", "debian:12" },
    { CORE "osrelease/testdata/DistrolessValid.txtar", "debian:12" },
    { CORE "osrelease/testdata/EmptyKey.txtar", "fedora:30" },
    { CORE "osrelease/testdata/OpenSUSe.txtar", "opensuse.leap:15.1" },
    { CORE "osrelease/testdata/Silverblue.txtar", "fedora:30" },
    { CORE "osrelease/testdata/Toolbox.txtar", "fedora:30" },
    { CORE "osrelease/testdata/Ubi8.txtar", "rhel:8" },
    { CORE "osrelease/testdata/Vyos.txtar", "vyos -" },
    { CORE "debian/testdata/distroless_dist/*/etc/os-release", "debian:*" },
    { CORE "debian/testdata/dist/*/etc/os-release", "debian:*" },
    { CORE "ubuntu/testdata/dist/11/etc/os-release", "debian:11" },
    { CORE "ubuntu/testdata/dist/*/etc/os-release", "ubuntu:*" },
    { CORE "ubuntu/testdata/dist/*/etc/lsb-release", "ubuntu:*" },
    { CORE "alpine/testdata/edge/etc/os-release", "alpine:edge" },
    { CORE "alpine/testdata/*/etc/os-release", "alpine:v*" },
    { CORE "rhel/testdata/releasefiles/oracle-6/etc/oracle-release", "oracle:6" },
    { CORE "rhel/testdata/releasefiles/oracle-7/etc/oracle-release", "oracle:7" },
    { CORE "rhel/testdata/releasefiles/oracle-8/etc/oracle-release", "oracle:8" },
    { CORE "rhel/testdata/releasefiles/oracle-9/etc/oracle-release", "oracle:9" },
    /* what Oracle's says for itself; beside it oracle-release speaks first */
    { CORE "rhel/testdata/releasefiles/oracle-6/etc/redhat-release", "rhel:6" },
    { CORE "rhel/testdata/releasefiles/oracle-7/etc/redhat-release", "rhel:7" },
    { CORE "rhel/testdata/releasefiles/oracle-8/etc/redhat-release", "rhel:8" },
    { CORE "rhel/testdata/releasefiles/oracle-9/etc/redhat-release", "rhel:9" },
    { CORE "rhel/testdata/releasefiles/atomichost-7/etc/*", "rhel:7" },
    { CORE "rhel/testdata/releasefiles/hummingbird/etc/os-release", "hummingbird -" },
    { CORE "rhel/testdata/releasefiles/*/etc/os-release", "rhel:*" },
    { CORE "rhel/testdata/releasefiles/*/etc/redhat-release", "rhel:*" },
};
#define RELEASE_FILES (sizeof release_files / sizeof *release_files)

/* Does the name fit the pattern, and what does its "*" stand for? */
static bool fits(str pattern, str name, str *star)
{
    ptrdiff_t at = str_find(pattern, '*');
    *star = (str){ 0 };
    if (at < 0)
        return str_eq(pattern, name);
    str head = str_head(pattern, (size_t)at), tail = str_skip(pattern, (size_t)at + 1);
    if (name.len <= head.len + tail.len || !str_starts(name, head) || !str_ends(name, tail))
        return false;
    *star = (str){ name.ptr + head.len, name.len - head.len - tail.len };
    return str_find(*star, '/') < 0;
}

/* The end of the name that is a path in an image, if it is one of a distribution file. */
static str release_path(str name)
{
    if (str_ends(name, STR("linux/testdata/unprintable")))
        return STR(OS);
    if (str_contains(name, STR("/osrelease/testdata/")) && str_ends(name, STR(".txtar")))
        return STR(OS); /* an os-release, then lines that are none of it */
    for (size_t i = 0; i < name.len; i++) {
        str path = str_skip(name, i);
        const struct detector *d = i == 0 || name.ptr[i - 1] == '/' ? detector_for(path) : NULL;
        if (d && d->priority)
            return path;
    }
    return (str){ 0 };
}

static void check_release_file(const char *archive, str name, str path, bool *used)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf content = { 0 };
    output_of(
        &content,
        arena_cstr(arena,
                   arena_printf(arena, "tar -xOf \"$DATA\"/feeds/samples/%s-fixtures.tar.zst '" STR_FMT "'",
                                archive, STR_ARG(name))));
    struct distribution d = scan_text(arena, arena_cstr(arena, path), buf_view(&content));
    str got = d.namespace.len ? d.namespace
              : d.id.len      ? arena_printf(arena, STR_FMT " -", STR_ARG(d.id))
                              : STR("-");
    for (size_t i = 0; i < RELEASE_FILES; i++) {
        str star;
        if (strcmp(release_files[i].archive, archive) || !fits(str_from(release_files[i].file), name, &star))
            continue;
        used[i] = true;
        str rest = str_from(release_files[i].want), head = str_cut(&rest, '*');
        str want = arena_printf(arena, STR_FMT STR_FMT, STR_ARG(head),
                                STR_ARG(head.len < strlen(release_files[i].want) ? star : rest));
        if (!str_eq(got, want))
            fail_msg(STR_FMT ": want " STR_FMT ", got " STR_FMT, STR_ARG(name), STR_ARG(want), STR_ARG(got));
        return;
    }
    fail_msg(STR_FMT " is in no row, got " STR_FMT, STR_ARG(name), STR_ARG(got));
}

static void test_release_fixtures(void **state)
{
    static const char *const archives[] = { "syft-pkgdb", "claircore", "clair-2.0.9" };
    bool used[RELEASE_FILES] = { false };
    if (no_data(RELEASE_FILES))
        return;
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf names = { 0 };
        output_of(&names,
                  arena_cstr(arena, arena_printf(arena, "tar -tf \"$DATA\"/feeds/samples/%s-fixtures.tar.zst",
                                                 archives[i])));
        for (str rest = buf_view(&names); rest.len;) {
            str name = str_line(&rest), path = release_path(name);
            if (path.len)
                check_release_file(archives[i], name, path, used);
        }
    }
    for (size_t i = 0; i < RELEASE_FILES; i++)
        if (!used[i])
            fail_msg("no file for %s", release_files[i].file);
}

/* How many packages a real database has, counted by other means: syft's and Clair's own tests, grep. */
static void test_database_fixtures(void **state)
{
    static const struct {
        const char *archive, *file, *path;
        size_t packages;
    } cases[] = {
#define DEB "anchore+syft/syft/pkg/cataloger/debian/testdata/"
#define ALP "anchore+syft/syft/pkg/cataloger/alpine/testdata/"
        { "syft-pkgdb", DEB "var/lib/dpkg/status.d/single", "var/lib/dpkg/status.d/a", 1 },
        { "syft-pkgdb", DEB "var/lib/dpkg/status.d/multiple", STATUS, 2 },
        { "syft-pkgdb", DEB "var/lib/dpkg/status.d/deinstall", STATUS, 1 },
        { "syft-pkgdb", DEB "var/lib/dpkg/status.d/installed-size-4KB", STATUS, 1 },
        { "syft-pkgdb", DEB "var/lib/dpkg/status.d/corrupt", "var/lib/dpkg/status.d/corrupt", 0 },
        { "syft-pkgdb", DEB "var/lib/dpkg/status.d/empty", "var/lib/dpkg/status.d/empty", 0 },
        { "syft-pkgdb", DEB "image-distroless-deb/var/lib/dpkg/status.d/libsqlite3-0",
          "var/lib/dpkg/status.d/libsqlite3-0", 1 },
        { "syft-pkgdb", DEB "image-distroless-deb/var/lib/dpkg/status.d/libsqlite3-0.preinst",
          "var/lib/dpkg/status.d/libsqlite3-0.preinst", 0 },
        { "syft-pkgdb", ALP "corrupt/lib/apk/db/installed", INSTALLED, 1 },
        { "syft-pkgdb", ALP "multiple-1/lib/apk/db/installed", INSTALLED, 4 },
        { "claircore", "quay+claircore/dpkg/testdata/vcpkg.status", STATUS, 0 },
        { "clair-2.0.9", "quay+clair/ext/featurefmt/apk/testdata/installed", INSTALLED, 11 },
    };
    if (no_data(sizeof cases / sizeof *cases))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf content = { 0 };
        struct detected out = { .arena = arena };
        struct err e = { 0 };
        output_of(
            &content,
            arena_cstr(arena, arena_printf(arena, "tar -xOf \"$DATA\"/feeds/samples/%s-fixtures.tar.zst '%s'",
                                           cases[i].archive, cases[i].file)));
        assert_int_equal(detector_for(str_from(cases[i].path))
                             ->scan(&(struct detect_file){ .path = str_from(cases[i].path),
                                                           .content = buf_view(&content) },
                                    &out, &e),
                         0);
        if (out.package_count != cases[i].packages)
            fail_msg("%s: want %zu packages, got %zu", cases[i].file, cases[i].packages, out.package_count);
    }
}

/* dpkg-query's own reading of the same file is the truth. */
static void test_against_dpkg_query(void **state)
{
    static const char *const sources[] = {
        "tar -xOf \"$DATA\"/images/debian-bookworm-12.0-pinned.docker.tar.zst --wildcards '*/layer.tar' | "
        "tar -xO var/lib/dpkg/status",
        "tar -xOf \"$DATA\"/images/debian-trixie-full.docker.tar.zst --wildcards '*/layer.tar' | tar -xO "
        "--wildcards '*var/lib/dpkg/status'",
        "tar -xOf \"$DATA\"/images/clair2-DistUpgrade-jessie.layer.tar.gz --wildcards '*var/lib/dpkg/status'",
        "tar -xOf \"$DATA\"/images/clair2-DistUpgrade-wheezy.layer.tar.gz --wildcards '*var/lib/dpkg/status'",
        "tar -xOf \"$DATA\"/feeds/samples/syft-pkgdb-fixtures.tar.zst " DEB "var/lib/dpkg/status.d/deinstall",
    };
    unsigned count = sizeof sources / sizeof *sources;
    if (no_data(count))
        return;
    if (system("command -v dpkg-query >/dev/null")) {
        print_message("no dpkg-query: %u cases did not run\n", count);
        return;
    }
    char dir[] = "/tmp/eclair-dpkg-XXXXXX";
    assert_non_null(mkdtemp(dir));
    setenv("ADMIN", dir, 1);
    for (unsigned i = 0; i < count; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf content = { 0 }, want = { 0 }, got = { 0 };
        struct detected out = { .arena = arena };
        struct err e = { 0 };
        output_of(
            &content,
            arena_cstr(arena,
                       arena_printf(arena, "mkdir -p $ADMIN/info $ADMIN/updates && %s | tee $ADMIN/status",
                                    sources[i])));
        output_of(
            &want,
            "dpkg-query --admindir=$ADMIN -W -f='${db:Status-Status} ${Package} ${Version} ${Architecture} "
            "${source:Package} ${source:Version}\\n' | sed -nE "
            "'s/^(installed|unpacked|half-configured|triggers-[a-z]+) //p' | LC_ALL=C sort");
        assert_int_equal(
            detector_for(STR(STATUS))
                ->scan(&(struct detect_file){ .path = STR(STATUS), .content = buf_view(&content) }, &out, &e),
            0);
        CLEANUP(fclosep) FILE *f = popen("LC_ALL=C sort > $ADMIN/got", "w");
        render(&got, &out);
        fwrite(got.ptr, 1, got.len, f);
        pclose(f);
        f = NULL;
        buf_clear(&got);
        output_of(&got, "cat $ADMIN/got");
        assert_true(want.len > 10);
        if (!str_eq(buf_view(&want), buf_view(&got)))
            fail_msg("%s differs from dpkg-query; compare the two in a shell", sources[i]);
    }
    assert_int_equal(system("rm -r \"$ADMIN\""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_every_pattern),
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_dpkg),
        cmocka_unit_test(test_apk),
        cmocka_unit_test(test_alpm),
        cmocka_unit_test(test_distribution_files),
        cmocka_unit_test(test_distro),
        cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_release_fixtures),
        cmocka_unit_test(test_database_fixtures),
        cmocka_unit_test(test_against_dpkg_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
