#include "index/fold.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <limits.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "fold_text.h"

/* Layers (see fold_text.h) and what comes of them: namespace, packages with the layer that brought them (from
 * 0), "?" when a database was not read; after "|" the notes. */
static const struct {
    const char *what, *layers, *want;
} cases[] = {
    { "no layer", "", "" },
    { "an empty layer", "layer", "" },
    { "one layer", "says etc/os-release debian 12\nfile var/lib/dpkg/status b=2 a=1",
      "debian:12 a=1@0 b=2@0" },
    { "an untouched lower layer", "file var/lib/dpkg/status a=1\nlayer\nsays etc/os-release debian 12",
      "debian:12 a=1@0" },
    { "an upgrade keeps the layer of what stays",
      "file var/lib/dpkg/status a=1 b=1\nlayer\nfile var/lib/dpkg/status a=1 b=2 c=1", "a=1@0 b=2@1 c=1@1" },
    { "a package that went and came back is new",
      "file var/lib/dpkg/status a=1 b=1\nlayer\nfile var/lib/dpkg/status b=1\nlayer\nfile "
      "var/lib/dpkg/status a=1 b=1",
      "a=1@2 b=1@0" },
    { "status and status.d are one",
      "file var/lib/dpkg/status a=1\nfile var/lib/dpkg/status.d/b b=1\nlayer\nfile var/lib/dpkg/status.d/c "
      "c=1 a=1",
      "a=1@0 b=1@0 c=1@1" },
    { "the same package in two databases appears once",
      "file lib/apk/db/installed a=1\nlayer\nfile usr/lib/apk/db/installed a=1 b=1", "a=1@0 b=1@1" },
    { "a whiteout of the file", "file lib/apk/db/installed a=1\nlayer\ngone lib/apk/db/installed",
      "|package database lib/apk/db/installed of layer 1 was removed by layer 2" },
    { "a whiteout of a folder above it", "file lib/apk/db/installed a=1\nlayer\ngone lib",
      "|package database lib/apk/db/installed of layer 1 was removed by layer 2" },
    { "a whiteout of a neighbour",
      "file lib/apk/db/installed a=1\nlayer\ngone lib/apk/db/install\ngone lib/ap", "a=1@0" },
    { "a whiteout does not touch its own layer, first",
      "file lib/apk/db/installed a=1\nlayer\ngone lib/apk/db/installed\nfile lib/apk/db/installed b=1",
      "b=1@1" },
    { "a whiteout does not touch its own layer, last",
      "file lib/apk/db/installed a=1\nlayer\nfile lib/apk/db/installed b=1\ngone lib/apk", "b=1@1" },
    { "whiteout and a new file: no gap for what stays",
      "file lib/apk/db/installed a=1\nlayer\nfile lib/apk/db/installed a=1 b=1\ngone lib/apk",
      "a=1@0 b=1@1" },
    { "removed, then installed again: a gap, and no note",
      "file lib/apk/db/installed a=1\nlayer\ngone lib/apk\nlayer\nfile lib/apk/db/installed a=1", "a=1@2" },
    { "opaque hides what was below",
      "file lib/apk/db/installed a=1\nlayer\nopaque lib/apk/db\nfile lib/apk/db/installed b=1", "b=1@1" },
    { "opaque does not hide the path itself", "says etc/os-release debian 12\nlayer\nopaque etc/os-release",
      "debian:12" },
    { "opaque root",
      "file lib/apk/db/installed a=1\nsays etc/os-release alpine 3.20.1\nlayer\nopaque \nopaque lib\nopaque "
      "etc\nsays etc/os-release debian 11",
      "debian:11|package database lib/apk/db/installed of layer 1 was removed by layer 2" },
    { "one file of status.d goes",
      "file var/lib/dpkg/status.d/a a=1\nfile var/lib/dpkg/status.d/b b=1\nlayer\ngone "
      "var/lib/dpkg/status.d/a",
      "b=1@0" },
    { "old release files beside os-release",
      "says etc/SuSE-release sles 12.1\nsays etc/photon-release photon 2.0\nsays usr/lib/os-release sles "
      "12.3",
      "sles:12.3" },
    { "SUSE before os-release", "says etc/SuSE-release sles 11.4", "sles:11.4" },
    { "a derivative of Ubuntu", "says etc/os-release linuxmint 21.3\nsays etc/lsb-release ubuntu 22.04", "" },
    { "pacman upgrades: the folder of a package goes and another one comes",
      "folder var/lib/pacman/local\nfile var/lib/pacman/local/a-1/desc a=1\nfile "
      "var/lib/pacman/local/b-1/desc b=1\nlayer\ngone var/lib/pacman/local/a-1\nfolder "
      "var/lib/pacman/local/a-2\nfile var/lib/pacman/local/a-2/desc a=2",
      "a=2@1 b=1@0" },
    { "pacman installs anew: the folder is opaque",
      "file var/lib/pacman/local/a-1/desc a=1\nfile var/lib/pacman/local/b-1/desc b=1\nlayer\nopaque "
      "var/lib/pacman/local/a-1\nfile var/lib/pacman/local/a-1/desc a=1",
      "a=1@0 b=1@0" },
    { "pacman removes a package, then its database goes",
      "file var/lib/pacman/local/a-1/desc a=1\nfile var/lib/pacman/local/b-1/desc b=1\nlayer\ngone "
      "var/lib/pacman/local/a-1\nlayer\ngone var/lib/pacman",
      "|package database var/lib/pacman/local/b-1/desc of layer 1 was removed by layer 3" },
    { "pacman's folder is a link", "link var/lib/pacman/local /opt/local",
      "?|layer 1: var/lib/pacman/local is a link to /opt/local, which was not read: packages may be "
      "missing" },
    { "a file in place of a folder", "file var/lib/dpkg/status a=1\nlayer\nother var/lib",
      "?|layer 2: var/lib is not a folder: packages may be missing|package database var/lib/dpkg/status of "
      "layer 1 was removed by layer 2" },
    { "a folder in place of a file", "file var/lib/dpkg/status a=1\nlayer\nfolder var/lib/dpkg/status",
      "?|layer 2: var/lib/dpkg/status is not a regular file: packages may be missing|package database "
      "var/lib/dpkg/status of layer 1 was removed by layer 2" },
    { "a folder leaves what is below", "file var/lib/dpkg/status a=1\nlayer\nfolder var/lib/dpkg", "a=1@0" },
    { "a folder in place of a link", "link var/lib/rpm ../../opt/rpm\nlayer\nfolder var/lib/rpm", "" },
    { "a file below a path that was a link", "link var/lib/dpkg /opt\nlayer\nfile var/lib/dpkg/status a=1",
      "a=1@1" },
    { "a link in place of a folder hides it",
      "file lib/apk/db/installed a=1\nlayer\nlink lib usr/lib\nfile usr/lib/apk/db/installed a=1 b=1",
      "a=1@0 b=1@1" },
    { "usr-merge: the parent is a link", "link lib usr/lib\nfile usr/lib/apk/db/installed a=1", "a=1@0" },
    { "a file stored below a link is the file at its real place",
      "link lib usr/lib\nfile usr/lib/apk/db/installed a=1\nfile lib/apk/db/installed b=1\nlayer\nfile "
      "usr/lib/apk/db/installed c=1",
      "c=1@1" },
    { "os-release is a link", "link etc/os-release ../usr/lib/os-release\nsays usr/lib/os-release debian 12",
      "debian:12" },
    { "a link that climbs above the root",
      "link etc/os-release ../../../../usr/lib/os-release\nsays usr/lib/os-release debian 12", "debian:12" },
    { "an absolute link", "link var/lib/rpm /usr/lib/sysimage/rpm\nfile usr/lib/sysimage/rpm/Packages.db a=1",
      "a=1@0" },
    { "a link to where nobody looked", "link var/lib/dpkg /opt/dpkg",
      "?|layer 1: var/lib/dpkg is a link to /opt/dpkg, which was not read: packages may be missing" },
    { "a link of a file to where nobody looked", "link var/lib/dpkg/status status-old",
      "?|layer 1: var/lib/dpkg/status is a link to status-old, which was not read: packages may be missing" },
    { "a distribution file behind a link",
      "link etc/os-release os-release.d/x\nsays etc/debian_version debian 12",
      "debian:12|layer 1: etc/os-release is a link to os-release.d/x, which was not read" },
    { "a row of links",
      "link etc/redhat-release system-release\nlink etc/system-release centos-release\nsays "
      "etc/centos-release centos 7",
      "centos:7" },
    { "a loop of links",
      "link etc/os-release /usr/lib/os-release\nlink usr/lib/os-release ../../etc/os-release",
      "|layer 1: etc/os-release is a link to /usr/lib/os-release, which was not read|layer 1: "
      "usr/lib/os-release is a link to ../../etc/os-release, which was not read" },
    { "a hard link",
      "says usr/lib/os-release debian 12\nhard etc/os-release usr/lib/os-release\nlayer\ngone "
      "usr/lib/os-release",
      "debian:12" },
    { "a hard link before its target, and its hard link",
      "hard usr/lib/apk/db/installed lib/apk/db/installed\nfile lib/apk/db/installed a=1", "a=1@0" },
    { "a chain of hard links in the wrong order",
      "hard var/lib/dpkg/status.d/c var/lib/dpkg/status.d/b\nhard var/lib/dpkg/status.d/b "
      "var/lib/dpkg/status.d/a\nfile var/lib/dpkg/status.d/a a=1\nlayer\ngone var/lib/dpkg/status.d/a\ngone "
      "var/lib/dpkg/status.d/b",
      "a=1@0" },
    { "a hard link to a file of a lower layer",
      "file lib/apk/db/installed a=1\nlayer\nhard usr/lib/apk/db/installed lib/apk/db/installed\nlayer\ngone "
      "lib/apk",
      "a=1@0" },
    { "a hard link to what nobody read", "hard var/lib/dpkg/status var/lib/dpkg/status-old",
      "?|layer 1: var/lib/dpkg/status is a link to var/lib/dpkg/status-old, which was not read: packages may "
      "be missing" },
    { "a hard link to itself", "hard var/lib/dpkg/status var/lib/dpkg/status",
      "?|layer 1: var/lib/dpkg/status is a link to var/lib/dpkg/status, which was not read: packages may be "
      "missing" },
    { "rpm", "file var/lib/rpm/Packages a=1", "a=1@0" },
    { "rpm, removed", "file var/lib/rpm/Packages a=1\nlayer\ngone var/lib/rpm",
      "|package database var/lib/rpm/Packages of layer 1 was removed by layer 2" },
    { "a device in place of a database", "other var/lib/dpkg/status",
      "?|layer 1: var/lib/dpkg/status is not a regular file: packages may be missing" },
    { "a device in place of a folder of databases", "says etc/os-release debian 12\nother var/lib/dpkg",
      "debian:12 ?|layer 1: var/lib/dpkg is not a folder: packages may be missing" },
    { "a device among the files of a database",
      "file var/lib/dpkg/status.d/a a=1\nlayer\nother var/lib/dpkg/status.d/b",
      "a=1@0 ?|layer 2: var/lib/dpkg/status.d/b is not a regular file: packages may be missing" },
    { "a device that a file replaces", "other var/lib/dpkg/status\nlayer\nfile var/lib/dpkg/status a=1",
      "a=1@1" },
    { "a device that a folder with a file replaces",
      "other var/lib/dpkg\nlayer\nfile var/lib/dpkg/status a=1", "a=1@1" },
    { "a device that is removed", "other lib/apk/db/installed\nlayer\ngone lib/apk", "" },
    { "a device behind a usr-merge link", "link lib usr/lib\nother usr/lib/apk/db",
      "?|layer 1: usr/lib/apk/db is not a folder: packages may be missing" },
    { "a link to a device", "link etc/os-release ../usr/lib/os-release\nother usr/lib/os-release",
      "|layer 1: etc/os-release is a link to ../usr/lib/os-release, which was not read|layer 1: "
      "usr/lib/os-release is not a regular file" },
    { "a folder in place of a distribution file", "folder etc/lsb-release\nsays etc/os-release debian 12",
      "debian:12|layer 1: etc/lsb-release is not a regular file" },
    { "a folder at a parent is no news", "folder var/lib/dpkg\nfolder etc", "" },

    { "a layer that comes twice", "file var/lib/dpkg/status a=1 b=1\nagain 0", "a=1@0 b=1@0" },
    { "a layer that comes back",
      "file var/lib/dpkg/status a=1 b=1\nlayer\nfile var/lib/dpkg/status b=1\nagain 0", "a=1@2 b=1@0" },
    { "a layer that comes back brings its file anew",
      "note var/lib/dpkg/status odd\nlayer\ngone var\nagain 0\nlayer\nsays etc/os-release debian 12",
      "debian:12|layer 3: var/lib/dpkg/status: odd" },
    { "a layer that comes back, while another name still has its file",
      "file lib/apk/db/installed a=1\nlayer\nhard usr/lib/apk/db/installed lib/apk/db/installed\nagain "
      "0\nlayer\ngone lib",
      "a=1@0" },
    { "a layer that takes away comes twice",
      "file var/lib/rpm/Packages a=1\nlayer\ngone var/lib/rpm\nagain 0\nagain 1",
      "|package database var/lib/rpm/Packages of layer 3 was removed by layer 4" },

    { "a note of a file", "note var/lib/dpkg/status odd\nlayer\nsays etc/os-release debian 12",
      "debian:12|layer 1: var/lib/dpkg/status: odd" },
    { "a note of a hidden file", "note var/lib/dpkg/status odd\nlayer\ngone var/lib", "" },

    { "etc wins", "says usr/lib/os-release debian 12\nsays etc/os-release ubuntu 22.04", "ubuntu:22.04" },
    { "an upper layer replaces the distribution",
      "says etc/os-release debian 7\nlayer\nsays etc/os-release debian 8", "debian:8" },
    { "when etc goes, usr/lib speaks",
      "says etc/os-release debian 12\nsays usr/lib/os-release debian 11\nlayer\ngone etc/os-release",
      "debian:11" },
    { "order of priority",
      "says etc/debian_version debian 9\nsays etc/apt/sources.list debian 10\nsays etc/lsb-release ubuntu "
      "18.04\n"
      "says etc/os-release centos 7\nsays etc/redhat-release rhel 8.4\nsays etc/alpine-release alpine 3.9.1",
      "alpine:v3.9" },
    { "redhat-release before os-release", "says etc/os-release centos 7\nsays etc/redhat-release rhel 8.4",
      "rhel:8" },
    { "oracle-release before redhat-release",
      "says etc/redhat-release rhel 8.9\nsays etc/oracle-release ol 8.9", "oracle:8" },
    { "os-release before lsb-release", "says etc/lsb-release ubuntu 18.04\nsays etc/os-release debian 10",
      "debian:10" },
    { "a file that tells no version is passed over",
      "says etc/os-release centos\nsays etc/debian_version debian 12", "debian:12" },
    { "a derivative is not its parent",
      "says etc/os-release raspbian 11\nsays etc/apt/sources.list debian 11\nsays etc/debian_version debian "
      "11",
      "" },
    { "edge by apk's repositories",
      "says etc/apk/repositories alpine edge\nsays etc/alpine-release alpine 3.20.1", "alpine:edge" },
    { "edge by apk's repositories, beside os-release alone",
      "says etc/os-release alpine 3.20.1\nlayer\nsays etc/apk/repositories alpine edge", "alpine:edge" },
    { "edge by apk's repositories, without a version",
      "says etc/os-release alpine\nsays etc/apk/repositories alpine edge", "alpine:edge" },
    { "repositories that are gone",
      "says etc/os-release alpine 3.20.1\nsays etc/apk/repositories alpine edge\nlayer\ngone etc/apk",
      "alpine:v3.20" },
    { "repositories that tell nothing", "says etc/os-release alpine 3.20.1\nfile etc/apk/repositories",
      "alpine:v3.20" },
    { "apk's repositories make nothing Alpine", "says etc/apk/repositories alpine edge", "" },
    { "apk's repositories make no Wolfi Alpine",
      "says etc/apk/repositories alpine edge\nsays etc/os-release wolfi 20230201", "wolfi" },
    { "apk's repositories make no derivative Alpine",
      "says etc/apk/repositories alpine edge\nsays etc/os-release postmarketos v24.06", "" },
    { "apk's repositories make no Debian Alpine",
      "says etc/apk/repositories alpine edge\nsays etc/debian_version debian 12", "debian:12" },
};

static void render(struct buf *b, const struct image_index *image)
{
    buf_str(b, image->distribution.namespace);
    for (size_t i = 0; i < image->package_count; i++) {
        const struct image_package *p = &image->packages[i];
        buf_printf(b, "%s" STR_FMT "=" STR_FMT "@%u", b->len ? " " : "", STR_ARG(p->package.name),
                   STR_ARG(p->package.version), p->layer);
    }
    if (image->unreadable)
        buf_printf(b, "%s?", b->len ? " " : "");
    for (size_t i = 0; i < image->note_count; i++)
        buf_printf(b, "|" STR_FMT, STR_ARG(image->notes[i]));
}

static void check_case(const char *what, const struct layer_index *const *layers, size_t count,
                       const char *want)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf got = { 0 };
    struct image_index image = { .name = STR("x") };
    struct err e = { 0 };
    assert_int_equal(image_fold(layers, count, arena, &image, &e), 0);
    assert_int_equal(image.layer_count, count);
    assert_true(str_eq(image.name, STR("x")));
    render(&got, &image);
    if (!str_eq(buf_view(&got), str_from(want)))
        fail_msg("%s: want \"%s\", got \"" STR_FMT "\"", what, want, STR_ARG(got));
}

/* Whether layers that come again are shared or not makes no difference. */
static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        struct fold_text text = { .arena = arena };
        fold_text_read(&text, str_from(cases[i].layers));
        check_case(cases[i].what, text.pointers, text.row_count, cases[i].want);
        check_case(cases[i].what, fold_text_copies(&text), text.row_count, cases[i].want);
    }
}

/* What is gone, since which layer it was there and which one took it; and links that want another look. */
static void test_removed_and_unread(void **state)
{
    static const struct {
        const char *what, *layers, *want;
    } table[] = {
        { "an upgrade", "file var/lib/dpkg/status a=1 b=1\nlayer\nfile var/lib/dpkg/status a=2 b=1",
          "a=1@0>1" },
        { "removed and back again",
          "file var/lib/dpkg/status a=1 b=1\nlayer\nfile var/lib/dpkg/status b=1\nlayer\nfile "
          "var/lib/dpkg/status "
          "a=1 b=1",
          "" },
        { "removed twice: the last time counts",
          "file var/lib/dpkg/status a=1\nlayer\nfile var/lib/dpkg/status b=1\nlayer\nfile "
          "var/lib/dpkg/status "
          "a=1\nlayer\nfile var/lib/dpkg/status b=1",
          "a=1@2>3" },
        { "a database is moved",
          "file var/lib/dpkg/status a=1\nlayer\ngone var/lib/dpkg/status\nfile "
          "var/lib/dpkg/status.d/a a=1",
          "" },
        { "one of two files that have it",
          "file var/lib/dpkg/status.d/a a=1\nfile var/lib/dpkg/status.d/b "
          "a=1\nlayer\ngone var/lib/dpkg/status.d/a",
          "" },
        { "the whole database", "file var/lib/dpkg/status a=1 b=2\nlayer\ngone var", "a=1@0>1 b=2@0>1" },
        { "link to elsewhere", "link var/lib/dpkg ../../data", "data<var/lib/dpkg" },
        { "link to elsewhere, of a file", "link etc/os-release /opt/os", "opt/os<etc/os-release" },
        { "hard link to elsewhere", "hard etc/os-release opt/os", "opt/os<etc/os-release" },
        { "link where only hints may be", "link root var/roothome", "" },
        { "link that is gone", "link etc/os-release /opt/os\nlayer\ngone etc/os-release", "" },
        { "link to where all look", "link etc/os-release ../usr/lib/os-release", "" },
        { "link into a ring", "link etc/os-release os-release", "" },
        { "found behind a link, but another look may know more",
          "link var/lib/dpkg ../../data\nfile data/status a=1", "data<var/lib/dpkg" },
        { "found behind a link that is gone",
          "link var/lib/dpkg ../../data\nfile data/status a=1\nlayer\ngone "
          "var/lib/dpkg",
          "" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        CLEANUP(buf_done) struct buf got = { 0 };
        struct fold_text text = { .arena = arena };
        struct image_index image = { 0 };
        struct err e = { 0 };
        fold_text_read(&text, str_from(table[i].layers));
        assert_int_equal(image_fold(text.pointers, text.row_count, arena, &image, &e), 0);
        for (size_t k = 0; k < image.removed_count; k++)
            buf_printf(&got, "%s" STR_FMT "=" STR_FMT "@%u>%u", got.len ? " " : "",
                       STR_ARG(image.removed[k].package.name), STR_ARG(image.removed[k].package.version),
                       image.removed[k].layer, image.removed[k].removed);
        for (size_t k = 0; k < image.unread_count; k++)
            buf_printf(&got, "%s" STR_FMT "<" STR_FMT, got.len ? " " : "", STR_ARG(image.unread[k].real),
                       STR_ARG(image.unread[k].wanted));
        if (!str_eq(buf_view(&got), str_from(table[i].want)))
            fail_msg("%s: want \"%s\", got \"" STR_FMT "\"", table[i].what, table[i].want, STR_ARG(got));
    }
}

/* After another look nothing is left to doubt: what a link leads to was found, or is not there. */
static void test_looked(void **state)
{
    static const struct {
        const char *layers, *want;
    } table[] = {
        { "link var/lib/dpkg ../../data\nfile data/status a=1", "a=1@0" },
        { "link root var/roothome\nother usr/share/buildinfo", "" },
        { "other var/lib/pacman/local/a-1",
          "?|layer 1: var/lib/pacman/local/a-1 is not a folder: packages may be missing" },
        { "link var/lib/dpkg ../../data", "" },
        { "link var/lib/dpkg ../../data\nother data", "|layer 1: data is not a folder" },
        { "file data/status a=1\nlayer\nlink var/lib/dpkg ../../data\nlayer\ngone data/status",
          "|package database data/status of layer 1 was removed by layer 3" },
    };
    static const struct alias looked[] = { { { "data", 4 }, { "var/lib/dpkg", 12 } } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        struct fold_text text = { .arena = arena };
        fold_text_read(&text, str_from(table[i].layers));
        for (size_t k = 0; k < text.count; k++) {
            text.layers[k].looked = looked;
            text.layers[k].looked_count = 1;
        }
        check_case(table[i].layers, text.pointers, text.row_count, table[i].want);
    }
}

/* Debian testing and unstable have the same os-release: a version, but no namespace (os_release.c). */
static void test_debian_without_version(void **state)
{
    static const struct {
        const char *codename, *suite, *apt, *numbers, *want;
    } table[] = {
        { "13", NULL, NULL, NULL, "debian:13" },
        { "13", "unstable", NULL, NULL, "debian:unstable" },
        { "13", "12", NULL, NULL, "debian:12" },
        { "13", NULL, "14", NULL, "debian:13" },
        { "13", NULL, NULL, "12", "debian:13" },
        { "", NULL, NULL, "10", "debian:10" },
        { NULL, NULL, "13", NULL, "debian:13" },
        { NULL, NULL, "13", "8", "debian:8" },
        { "", NULL, NULL, NULL, "" },
        { "", "unstable", NULL, NULL, "debian:unstable" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        struct fold_text text = { .arena = arena };
        struct image_index image = { 0 };
        struct err e = { 0 };
        fold_text_layer(&text);
        const struct {
            const char *detector, *path, *version;
            bool guess;
        } files[] = { { "os-release", "etc/os-release", table[i].codename, true },
                      { "apt-sources", "etc/apt/sources.list", table[i].suite, false },
                      { "apt-sources", "etc/apt/sources.list.d/debian.sources", table[i].apt, true },
                      { "debian-version", "etc/debian_version", table[i].numbers, false } };
        for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
            struct layer_entry entry = { .kind = ENTRY_FILE,
                                         .path = str_from(files[f].path),
                                         .detector = str_from(files[f].detector) };
            if (!files[f].version)
                continue;
            entry.distribution =
                (struct distribution){ .id = STR("debian"), .version = str_from(files[f].version) };
            if (!files[f].guess)
                entry.distribution.namespace = arena_printf(arena, "debian:%s", files[f].version);
            fold_text_entry(&text, entry);
        }
        fold_text_read(&text, (str){ 0 });
        assert_int_equal(image_fold(text.pointers, text.row_count, arena, &image, &e), 0);
        if (!str_eq(image.distribution.namespace, str_from(table[i].want)))
            fail_msg("row %zu: want %s, got " STR_FMT, i, table[i].want,
                     STR_ARG(image.distribution.namespace));
    }
}

/* A hostile layer: many names for one large database cost neither time nor memory. */
static void test_shared_content(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(256 << 20);
    struct fold_text text = { .arena = arena };
    struct image_index image = { 0 };
    struct err e = { 0 };
    enum { PACKAGES = 20000, NAMES = 20000 };
    struct package *packages = arena_array(arena, struct package, PACKAGES);
    for (unsigned i = 0; i < PACKAGES; i++)
        packages[i] = (struct package){ .kind = STR("dpkg"),
                                        .name = arena_printf(arena, "p%05u", i),
                                        .version = STR("1") };
    fold_text_layer(&text);
    fold_text_entry(&text, (struct layer_entry){ .kind = ENTRY_FILE,
                                                 .path = STR("var/lib/dpkg/status"),
                                                 .detector = STR("dpkg"),
                                                 .packages = packages,
                                                 .package_count = PACKAGES });
    for (unsigned i = 0; i < NAMES; i++)
        fold_text_entry(&text,
                        (struct layer_entry){ .kind = ENTRY_HARDLINK,
                                              .path = arena_printf(arena, "var/lib/dpkg/status.d/%u", i),
                                              .target = STR("var/lib/dpkg/status") });
    fold_text_read(&text, (str){ 0 });
    assert_int_equal(image_fold(text.pointers, text.row_count, arena, &image, &e), 0);
    assert_int_equal(image.package_count, PACKAGES);
}

/* Links to links, each naming the next one: all are the file at the end, whatever the order. */
static void test_row_of_hard_links(void **state)
{
    enum { LINKS = 20000 };
    for (unsigned backwards = 0; backwards < 2; backwards++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(256 << 20);
        struct fold_text text = { .arena = arena };
        struct image_index image = { 0 };
        struct err e = { 0 };
        fold_text_read(&text, STR("file var/lib/dpkg/status.d/0 a=1"));
        for (unsigned i = 1; i <= LINKS; i++) {
            unsigned k = backwards ? LINKS + 1 - i : i;
            fold_text_entry(&text, (struct layer_entry){
                                       .kind = ENTRY_HARDLINK,
                                       .path = arena_printf(arena, "var/lib/dpkg/status.d/%u", k),
                                       .target = arena_printf(arena, "var/lib/dpkg/status.d/%u", k - 1) });
        }
        fold_text_read(&text, STR("layer\ngone var/lib/dpkg/status.d/0"));
        assert_int_equal(image_fold(text.pointers, text.row_count, arena, &image, &e), 0);
        assert_int_equal(image.package_count, 1);
        assert_int_equal(image.packages[0].layer, 0);
        assert_false(image.unreadable);
    }
}

/* A hostile layer: each of its hard links leads 40 times through a link that is long and leads nowhere. */
static void test_long_walks(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct fold_text text = { .arena = arena };
    struct image_index image = { 0 };
    struct err e = { 0 };
    char dots[4001], parents[80];
    for (size_t i = 0; i < sizeof dots; i++)
        dots[i] = i % 2 ? '/' : '.';
    for (size_t i = 0; i < sizeof parents; i++)
        parents[i] = i % 2 ? '/' : 'l';
    fold_text_read(&text, STR("layer"));
    fold_text_entry(
        &text, (struct layer_entry){ .kind = ENTRY_LINK, .path = STR("l"), .target = { dots, sizeof dots } });
    for (unsigned i = 0; i < 100000; i++)
        fold_text_entry(&text,
                        (struct layer_entry){ .kind = ENTRY_HARDLINK,
                                              .path = arena_printf(arena, "h%u", i),
                                              .target = arena_printf(arena, STR_FMT "h%u",
                                                                     STR_ARG(str_of(parents, 78)), i + 1) });
    fold_text_read(&text, STR("layer\nsays etc/os-release debian 12"));
    assert_int_equal(image_fold(text.pointers, text.row_count, arena, &image, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "layer 1: links: more than 256 MiB of paths to follow for package databases");
}

/* What is read of a layer is kept once, however often it comes, and notes that nobody will see are not made. */
static void test_memory_of_many_layers(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct fold_text text = { .arena = arena };
    size_t used[2];
    fold_text_read(&text,
                   STR("link lib usr/lib\nfile lib/apk/db/installed b=1\nsays etc/os-release alpine edge"));
    for (unsigned i = 0; i < 500; i++)
        fold_text_entry(&text,
                        (struct layer_entry){ .kind = ENTRY_LINK,
                                              .path = arena_printf(arena, "var/lib/dpkg/status.d/%u", i),
                                              .target = STR("x") });
    fold_text_read(&text, STR("layer\ngone lib\ngone etc\ngone var\nfile usr/lib/apk/db/installed a=1\nhard "
                              "var/lib/dpkg/status usr/lib/apk/db/installed"));
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(arena_freep) struct arena *own = arena_new(0);
        struct image_index image = { 0 };
        struct err e = { 0 };
        for (unsigned k = 0; k < (i ? 1022 : 2); k++)
            fold_text_row(&text, k % 2);
        fold_text_read(&text, (str){ 0 });
        assert_int_equal(image_fold(text.pointers, text.row_count, own, &image, &e), 0);
        assert_int_equal(image.layer_count, i ? 1026 : 4);
        assert_int_equal(image.package_count, 1);
        used[i] = arena_used(own);
    }
    if (used[1] > used[0] + (128 << 10)) /* 8 bytes a layer in image.layers; arenas take 64 KiB at a time */
        fail_msg("%zu bytes for 4 layers, %zu for 1026", used[0], used[1]);
}

static void test_memory_of_notes(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0), *own = arena_new(16 << 20);
    struct fold_text text = { .arena = arena };
    struct image_index image = { 0 };
    struct err e = { 0 };
    static char far[PATH_MAX];
    memset(far, 'x', sizeof far);
    fold_text_read(&text, STR("layer"));
    for (unsigned i = 0; i < 10000; i++)
        fold_text_entry(&text,
                        (struct layer_entry){ .kind = ENTRY_LINK,
                                              .path = arena_printf(arena, "var/lib/dpkg/status.d/%u", i),
                                              .target = { far, sizeof far } });
    assert_int_equal(image_fold(text.pointers, text.row_count, own, &image, &e), 0);
    assert_true(image.unreadable && image.note_count == 65);
}

static void test_out_of_memory(void **state)
{
    for (size_t limit = 1 << 16; limit < 2 << 20; limit += 1 << 16) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0), *small = arena_new(limit);
        struct fold_text text = { .arena = arena };
        struct image_index image = { 0 };
        struct err e = { 0 };
        for (unsigned i = 0; i < 50; i++) {
            fold_text_layer(&text);
            for (unsigned k = 0; k < 50; k++)
                fold_text_entry(&text, (struct layer_entry){
                                           .kind = ENTRY_LINK,
                                           .path = arena_printf(arena, "var/lib/dpkg/status.d/%u-%u", i, k),
                                           .target = STR("x") });
        }
        fold_text_read(&text, (str){ 0 });
        int r = image_fold(text.pointers, text.row_count, small, &image, &e);
        assert_true(r == 0 ? e.kind == ERR_NONE : e.kind == ERR_OOM && image.layer_count == 0);
        if (limit == 1 << 16)
            assert_int_equal(r, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_removed_and_unread),
        cmocka_unit_test(test_looked),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_debian_without_version),
        cmocka_unit_test(test_shared_content),
        cmocka_unit_test(test_row_of_hard_links),
        cmocka_unit_test(test_long_walks),
        cmocka_unit_test(test_memory_of_many_layers),
        cmocka_unit_test(test_memory_of_notes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
