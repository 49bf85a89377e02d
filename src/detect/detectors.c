#include "detect/detector.h"

#include <stdarg.h>
#include <stdio.h>

#include "detect/list.h" /* from meson.build: #define DETECTORS(X) X(apk) X(dpkg) ... */

#define DECLARE(name) extern const struct detector detector_##name;
#define ENTRY(name)   &detector_##name,

DETECTORS(DECLARE)
const struct detector *const detectors[] = { DETECTORS(ENTRY) NULL };

/*
 * The folders that hold wanted files. detector_for() is asked for every member of a layer and nearly always
 * has to say no: this says it without reading a pattern. The unit test holds it together with the detectors'
 * patterns.
 */
#define FOLDER(s)                                                                                            \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }
static const str folders[] = {
    FOLDER("etc"),
    FOLDER("usr/lib"),
    FOLDER("etc/apt"),
    FOLDER("etc/apt/sources.list.d"),
    FOLDER("etc/apk"),
    FOLDER("lib/apk/db"),
    FOLDER("usr/lib/apk/db"),
    FOLDER("var/lib/dpkg"),
    FOLDER("var/lib/dpkg/status.d"),
    FOLDER("var/lib/rpm"),
    FOLDER("usr/lib/sysimage/rpm"),
    FOLDER("usr/share/rpm"),
    FOLDER("var/lib/rpmmanifest"),
    FOLDER("root/buildinfo"),
    FOLDER("root/buildinfo/content_manifests"),
    FOLDER("usr/share/buildinfo"),
    FOLDER("usr/share/buildinfo/content_manifests"),
    FOLDER("var/lib/pacman/local"),
};
#define FOLDERS (sizeof folders / sizeof *folders)

/* Those with a "*", as patterns have it, of which nearly every path differs in its first bytes. */
static const str starred[] = { FOLDER("var/lib/pacman/local/*") /* one for each package */ };
#define STARRED (sizeof starred / sizeof *starred)

/* A pattern has at most one "*". */
static bool matches(str pattern, str path)
{
    ptrdiff_t star = str_find(pattern, '*');
    if (star < 0)
        return str_eq(pattern, path);
    str head = str_head(pattern, (size_t)star), tail = str_skip(pattern, (size_t)star + 1);
    if (path.len <= head.len + tail.len || !str_starts(path, head) || !str_ends(path, tail))
        return false;
    return str_find((str){ path.ptr + head.len, path.len - head.len - tail.len }, '/') < 0;
}

static bool in_folder(str path)
{
    ptrdiff_t cut = str_rfind(path, '/');
    if (cut <= 0)
        return false;
    str folder = str_head(path, (size_t)cut);
    for (size_t i = 0; i < FOLDERS; i++)
        if (str_eq(folders[i], folder))
            return true;
    for (size_t i = 0; i < STARRED; i++)
        if (matches(starred[i], folder))
            return true;
    return false;
}

const struct detector *detector_for(str path)
{
    if (!in_folder(path))
        return NULL;
    for (const struct detector *const *d = detectors; *d; d++)
        for (str rest = str_from((*d)->paths), pattern; (pattern = str_word(&rest)).len;)
            if (matches(pattern, path))
                return *d;
    return NULL;
}

const struct detector *detector_beside(str path)
{
    for (const struct detector *const *d = detectors; *d; d++) {
        str end = str_from((*d)->beside);
        if (end.len && str_ends(path, end) && detector_for(str_head(path, path.len - end.len)) == *d)
            return *d;
    }
    return NULL;
}

const struct detector *detector_by_name(str name)
{
    for (const struct detector *const *d = detectors; *d; d++)
        if (str_eq(str_from((*d)->name), name))
            return *d;
    return NULL;
}

bool detector_lists(const struct detector *d) { return !d->priority && !d->hints; }

bool detector_wants_below(str path)
{
    for (size_t i = 0; i < FOLDERS; i++)
        if (str_starts(folders[i], path) &&
            (!path.len || folders[i].len == path.len || folders[i].ptr[path.len] == '/'))
            return true;
    for (size_t i = 0; i < STARRED; i++) /* the folders above a "*" are listed themselves */
        if (matches(starred[i], path))
            return true;
    return detector_for(path) != NULL;
}

/* FNV-1a, 32 bits: the number is stored, so it must not depend on a hash that may change. */
unsigned detector_versions(void)
{
    uint32_t h = 2166136261u;
    for (const struct detector *const *d = detectors; *d; d++) {
        for (const char *c = (*d)->name; *c; c++)
            h = (h ^ (uint8_t)*c) * 16777619u;
        h = (h ^ (*d)->version) * 16777619u;
    }
    return h;
}

static bool too_long(const struct package *p)
{
    const str texts[] = { p->name, p->version, p->arch, p->source, p->source_version, p->module, p->kind };
    size_t sum = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].len > PACKAGE_TEXT_MAX)
            return true;
        sum += texts[i].len;
    }
    return sum > PACKAGE_TEXTS_MAX;
}

bool detected_add(struct detected *d, const struct package *p)
{
    if (too_long(p)) {
        detected_note(d,
                      "a package was skipped, of which a text is longer than %d bytes, or all together than "
                      "%d: " STR_FMT "...",
                      PACKAGE_TEXT_MAX, PACKAGE_TEXTS_MAX, STR_ARG(str_head(p->name, 40)));
        return true;
    }
    struct package *all =
        arena_grow(d->arena, d->packages, d->package_count, &d->package_cap, sizeof *d->packages);
    if (!all)
        return false;
    d->packages = all;

    struct package copy = {
        .kind = arena_dup(d->arena, p->kind),
        .name = arena_dup(d->arena, p->name),
        .version = arena_dup(d->arena, p->version),
        .arch = arena_dup(d->arena, p->arch),
        .module = arena_dup(d->arena, p->module),
    };
    /* Most packages are their own source: one copy serves both. */
    copy.source = str_eq(p->source, p->name) ? copy.name : arena_dup(d->arena, p->source);
    copy.source_version =
        str_eq(p->source_version, p->version) ? copy.version : arena_dup(d->arena, p->source_version);
    if (arena_failed(d->arena))
        return false;
    d->packages[d->package_count++] = copy;
    return true;
}

bool detected_fact(struct detected *d, str name, str value)
{
    if (name.len > PACKAGE_TEXT_MAX || value.len > PACKAGE_TEXT_MAX) {
        detected_note(d, "a " STR_FMT " longer than %d bytes was skipped", STR_ARG(str_head(name, 40)),
                      PACKAGE_TEXT_MAX);
        return true;
    }
    struct fact *all = arena_grow(d->arena, d->facts, d->fact_count, &d->fact_cap, sizeof *d->facts);
    if (!all)
        return false;
    d->facts = all;
    all[d->fact_count++] = (struct fact){ arena_dup(d->arena, name), arena_dup(d->arena, value) };
    return !arena_failed(d->arena);
}

#define NOTE_MAX 256

void detected_note(struct detected *d, const char *fmt, ...)
{
    /* One place for all notes of a file, so that a file full of odd stanzas costs no memory. */
    char *at = d->note.ptr ? (char *)d->note.ptr : arena_alloc(d->arena, NOTE_MAX, 1);
    if (!at)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(at, NOTE_MAX, fmt, ap);
    va_end(ap);
    d->note = str_from(at);
    for (size_t i = 0; i < d->note.len; i++)
        if (at[i] < ' ' || at[i] > '~') /* notes are shown on terminals */
            at[i] = '?';
}
