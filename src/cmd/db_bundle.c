/* db_bundle.c - what feeds say, in a file for machines without a network. */
#include "cmd/db.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cage/cage.h"
#include "cmd/command.h"
#include "cmd/new_file.h"
#include "codec/signature.h"
#include "feed/bundle.h"
#include "feed/feed.h"

#include <errno.h>
#include <fcntl.h>

#define KEY_MAX (128u << 10)

static const struct cage_task *const tasks[] = { &bundle_task, NULL };
/* A part is all that a source says, which one document of it never is. */
static const struct cage_limits limits = { .max_cpu_s = 7200,
                                           .max_wall_s = 14400,
                                           .max_output = UINT64_C(64) << 30 };

static int open_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? err_errno(e, "%s", path) : fd;
}

int bundle_is_file(const char *file, struct err *e)
{
    CLEANUP(close_fdp) int fd = open_file(file, e);
    return fd < 0 ? -1 : bundle_is(fd);
}

static int read_key(const char *path, struct buf *ret, struct err *e)
{
    *ret = (struct buf){ .max = KEY_MAX };
    return path && buf_read_file(ret, path, e) < 0 ? err_wrap(e, "--key") : 0;
}

/* ---- export ---- */

/* Beside what is made, for there is room for it; without a name. */
static int open_spool(const char *path, struct err *e)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s.XXXXXX", path);
    int fd = n > 0 && (size_t)n < sizeof name ? mkostemp(name, O_CLOEXEC) : -1;
    if (fd < 0)
        return err_errno(e, "%s", path);
    unlink(name);
    return fd;
}

static void tell_export(const struct bundle_manifest *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct bundle_source *s = &m->sources[i];
        if (s->here)
            printf(STR_FMT ": %lld advisories, %llu bytes\n", STR_ARG(s->name), (long long)s->advisories,
                   (unsigned long long)s->size);
        else
            printf(STR_FMT ": as before\n", STR_ARG(s->name));
    }
}

static int name_sources(const struct db_options *o, struct arena *arena, const str **ret, struct err *e)
{
    str *list = o->source_count ? arena_array(arena, str, (size_t)o->source_count) : NULL;
    for (int i = 0; list && i < o->source_count; i++) {
        list[i] = str_from(o->sources[i]);
        if (!feed_by_name(list[i]))
            return err_set(e, ERR_USAGE, "db: unknown source '%s' (eclair feed list names them)",
                           o->sources[i]);
    }
    *ret = list;
    return 0;
}

/* What was asked for by name must be there. */
static int check_all_there(const struct bundle_export *how, const struct bundle_manifest *m, struct err *e)
{
    for (size_t i = 0; i < how->source_count; i++)
        if (!bundle_source_of(m, how->sources[i]))
            return err_set(e, ERR_NOT_FOUND, STR_FMT ": was never loaded", STR_ARG(how->sources[i]));
    return m->count ? 0 : err_set(e, ERR_NOT_FOUND, "no feed is loaded: eclair update loads them");
}

static int write_file(const struct db_options *o, const char *place, const char *file,
                      const struct bundle_export *how, struct err *e)
{
    CLEANUP(new_file_done) struct new_file f = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(store_freep) struct store *from = store_open(place, STORE_READ, e);
    struct bundle_manifest made;
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (!from || new_file_begin(&f, file, place, o->force, e) < 0)
        return -1;
    CLEANUP(close_fdp) int spool = open_spool(file, e);
    CLEANUP(close_fdp) int fd = spool < 0 ? -1 : open(f.temp, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return spool < 0 ? -1 : err_errno(e, "%s", file);
    if (bundle_write(from, fd, spool, how, &made, arena, e) < 0)
        return err_wrap(e, "%s", file);
    if (check_all_there(how, &made, e) < 0 || new_file_commit(&f, e) < 0)
        return -1;
    tell_export(&made);
    return 0;
}

int bundle_export(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf key = { 0 };
    CLEANUP(bundle_freep) struct bundle *since = NULL;
    CLEANUP(close_fdp) int since_fd = -1;
    uint8_t ignored[SIGNATURE_BYTES];
    struct bundle_export how = { .source_count = (size_t)o->source_count, .now = clock_now() };
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (name_sources(o, arena, &how.sources, e) < 0 || read_key(o->key, &key, e) < 0)
        return -1;
    how.private_key = buf_view(&key);
    if (o->key && signature_make(how.private_key, STR(""), ignored, e) < 0) /* before the work is done */
        return err_wrap(e, "--key: %s", o->key);
    if (o->since && (since_fd = open_file(o->since, e)) < 0)
        return -1;
    if (o->since && !(since = bundle_open(since_fd, e)))
        return err_wrap(e, "%s", o->since);
    how.since = since ? bundle_manifest(since) : NULL;
    return write_file(o, place, file, &how, e);
}

/* ---- import ---- */

static int check_signature(const struct db_options *o, const struct bundle *b, const char *file,
                           struct err *e)
{
    CLEANUP(buf_done) struct buf key = { 0 };
    if (!o->key && bundle_signed(b))
        warn("%s: it is signed, and without --key nobody checks by whom", file);
    if (!o->key)
        return 0;
    if (read_key(o->key, &key, e) < 0)
        return -1;
    return bundle_check(b, buf_view(&key), e) < 0 ? err_wrap(e, "%s", file) : 0;
}

static void tell_import(str name, enum bundle_outcome outcome, const struct update_counts *n)
{
    switch (outcome) {
    case BUNDLE_LOADED:
        printf(STR_FMT ": %lld advisories new, %lld changed, %lld withdrawn, %lld as before\n", STR_ARG(name),
               (long long)n->added, (long long)n->changed, (long long)n->withdrawn, (long long)n->unchanged);
        break;
    case BUNDLE_AS_BEFORE:
        printf(STR_FMT ": as before\n", STR_ARG(name));
        break;
    case BUNDLE_UNKNOWN:
        warn(STR_FMT ": no source of this version: left out", STR_ARG(name));
        break;
    case BUNDLE_OLDER:
        break;
    }
    fflush(stdout);
}

/* Each by itself, as in an update. The exit code. */
static int import_all(const struct db_options *o, struct bundle *b, struct store *to, struct cage *cage,
                      const char *file)
{
    const struct bundle_manifest *m = bundle_manifest(b);
    int code = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct update_counts counts;
        enum bundle_outcome outcome;
        struct err e = { 0 };
        if (bundle_import(b, &m->sources[i], to, cage, o->force, &outcome, &counts, &e) == 0) {
            tell_import(m->sources[i].name, outcome, &counts);
            if (outcome != BUNDLE_OLDER)
                continue;
            err_set(&e, ERR_USAGE, STR_FMT ": what is here is newer (--force takes the older)",
                    STR_ARG(m->sources[i].name));
        }
        err_wrap(&e, "%s", file);
        complain(e.text);
        code = 1;
    }
    return code;
}

int bundle_import_file(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    CLEANUP(cage_freep) struct cage *cage = cage_new(tasks, &limits, e);
    CLEANUP(close_fdp) int fd = cage ? open_file(file, e) : -1;
    if (fd < 0)
        return -1;
    CLEANUP(bundle_freep) struct bundle *b = bundle_open(fd, e);
    if (!b)
        return err_wrap(e, "%s", file);
    if (check_signature(o, b, file, e) < 0)
        return -1;
    CLEANUP(store_freep) struct store *to = store_open(place, STORE_WRITE, e);
    return to ? import_all(o, b, to, cage, file) : -1;
}
