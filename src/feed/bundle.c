/* bundle.c - a bundle into a store. */
#include "feed/bundle.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strmap.h"
#include "cage/cage.h"
#include "codec/pack.h"
#include "codec/sha256.h"
#include "codec/signature.h"
#include "feed/bundle_tar.h"
#include "feed/parse_task.h"
#include "feed/want.h"
#include "store/store.h"

#include <sys/stat.h>

#define MANIFEST  "manifest.json"
#define SIGNATURE "manifest.sig"
#define CHUNK     (256u << 10)
#define NAMES_MAX ((size_t)512 << 20) /* bytes of documents' names and validators */

struct bundle {
    int fd;
    struct arena *arena;
    struct bundle_member *members;
    size_t count;
    str json, signature; /* signature: empty without */
    struct bundle_manifest manifest;
};

static int oom(struct err *e) { return err_set(e, ERR_OOM, "out of memory"); }

/* ---- the file ---- */

void bundle_freep(struct bundle **b)
{
    if (*b)
        arena_freep(&(*b)->arena);
    free(*b);
    *b = NULL;
}

bool bundle_is(int fd)
{
    struct stat st;
    struct bundle_member m;
    struct err ignored = { 0 };
    uint64_t offset = 0;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           bundle_tar_next(fd, (uint64_t)st.st_size, &offset, &m, &ignored) > 0 && !strcmp(m.name, MANIFEST);
}

static const struct bundle_member *member(const struct bundle *b, str name)
{
    for (size_t i = 0; i < b->count; i++)
        if (str_eq(str_from(b->members[i].name), name))
            return &b->members[i];
    return NULL;
}

static const struct bundle_member *part_of(const struct bundle *b, const struct bundle_source *s)
{
    char name[TAR_NAME];
    int n = snprintf(name, sizeof name, STR_FMT ".zst", STR_ARG(s->name));
    return member(b, str_of(name, (size_t)n));
}

static int list_members(struct bundle *b, struct err *e)
{
    struct stat st;
    uint64_t offset = 0;
    int r;
    b->members = arena_array(b->arena, struct bundle_member, BUNDLE_SOURCES + 3);
    if (!b->members)
        return oom(e);
    if (fstat(b->fd, &st) < 0)
        return err_errno(e, "bundle");
    while ((r = bundle_tar_next(b->fd, (uint64_t)st.st_size, &offset, &b->members[b->count], e)) > 0)
        if (++b->count > BUNDLE_SOURCES + 2)
            return err_set(e, ERR_LIMIT, "more than %u files", BUNDLE_SOURCES + 2);
    return r;
}

static int read_member(struct bundle *b, const char *name, size_t max, str *ret, struct err *e)
{
    const struct bundle_member *m = member(b, str_from(name));
    *ret = STR("");
    if (!m)
        return 0;
    if (!m->size || m->size > max)
        return err_set(e, ERR_FORMAT, "%s: has %llu bytes, not 1 to %zu", name, (unsigned long long)m->size,
                       max);
    char *bytes = arena_array(b->arena, char, (size_t)m->size);
    if (!bytes)
        return oom(e);
    *ret = str_of(bytes, (size_t)m->size);
    return bundle_pread(b->fd, bytes, (size_t)m->size, m->offset, e);
}

static int read_all(struct bundle *b, struct err *e)
{
    if (list_members(b, e) < 0 || read_member(b, MANIFEST, BUNDLE_MANIFEST_MAX, &b->json, e) < 0 ||
        read_member(b, SIGNATURE, SIGNATURE_BYTES, &b->signature, e) < 0)
        return -1;
    if (!b->json.len)
        return err_set(e, ERR_FORMAT, "no " MANIFEST ": it is no bundle");
    return 0;
}

struct bundle *bundle_open(int fd, struct err *e)
{
    CLEANUP(bundle_freep) struct bundle *b = calloc(1, sizeof *b);
    if (!b || !(b->arena = arena_new((size_t)64 << 20))) {
        oom(e);
        return NULL;
    }
    b->fd = fd;
    if (read_all(b, e) < 0 || bundle_manifest_read(b->json, b->arena, &b->manifest, e) < 0)
        return NULL;
    struct bundle *ret = b;
    b = NULL;
    return ret;
}

const struct bundle_manifest *bundle_manifest(const struct bundle *b) { return &b->manifest; }
bool bundle_signed(const struct bundle *b) { return b->signature.len > 0; }

int bundle_check(const struct bundle *b, str public_key, struct err *e)
{
    if (!b->signature.len)
        return err_set(e, ERR_DIGEST, "it is not signed");
    return signature_check(public_key, b->json, b->signature, e);
}

/* ---- one source ---- */

struct import {
    struct store *to;
    const struct bundle_source *source;
    struct store_update *update;
    struct advisory_room *room;
    struct arena *arena; /* of what follows */
    struct document {
        str name, validator;
    } * documents;
    size_t count, cap;
    struct strmap names;
    bool entered;
    int64_t advisories;
    /* the part */
    int fd;
    uint64_t offset, left;
    struct sha256 *sum;
    char *chunk;
};

static void import_done(struct import *i)
{
    store_update_freep(&i->update);
    free(i->room);
    free(i->chunk);
    sha256_freep(&i->sum);
    strmap_done(&i->names);
    arena_freep(&i->arena);
}

static int read_part(void *ctx, str *ret, struct err *e)
{
    struct import *i = ctx;
    size_t n = i->left < CHUNK ? (size_t)i->left : CHUNK;
    if (!n)
        return 0;
    if (bundle_pread(i->fd, i->chunk, n, i->offset, e) < 0)
        return -1;
    sha256_add(i->sum, i->chunk, n);
    i->offset += n;
    i->left -= n;
    *ret = str_of(i->chunk, n);
    return 1;
}

static int malformed(struct err *e) { return err_set(e, ERR_FORMAT, "a malformed record"); }

static int on_document(struct import *i, str body, struct err *e)
{
    struct unpack u = { .rest = body };
    str name = unpack_str(&u), validator = unpack_str(&u);
    if (!unpack_end(&u) || !name.len || name.len > PACKAGE_TEXT_MAX || i->count == WANTS_MAX)
        return malformed(e);
    if (strmap_get(&i->names, name))
        return err_set(e, ERR_FORMAT, STR_FMT ": comes twice", STR_ARG(str_head(name, 100)));
    struct document *more = arena_grow(i->arena, i->documents, i->count, &i->cap, sizeof *more);
    if (!more)
        return err_set(e, ERR_LIMIT, "its documents need more than %zu MiB", NAMES_MAX >> 20);
    i->documents = more;
    struct document *d = &more[i->count++];
    *d = (struct document){ arena_dup(i->arena, name), arena_dup(i->arena, validator) };
    void **at = arena_failed(i->arena) ? NULL : strmap_at(&i->names, d->name);
    if (!at)
        return oom(e);
    *at = i;
    return store_update_document(i->update, d->name, d->validator, e);
}

static int on_enter(struct import *i, str body, struct err *e)
{
    struct unpack u = { .rest = body };
    uint64_t place = unpack_u64(&u);
    if (!unpack_end(&u) || place >= i->count)
        return malformed(e);
    i->entered = true;
    return store_update_document(i->update, i->documents[place].name, i->documents[place].validator, e);
}

static int on_advisory(struct import *i, str body, struct err *e)
{
    struct advisory a;
    if (!i->entered)
        return malformed(e);
    if (advisory_unpack(body, i->room, &a, e) < 0)
        return err_set(e, ERR_FORMAT, "a malformed advisory, or one of a newer version");
    i->advisories++;
    return store_update_put(i->update, &a, e);
}

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    switch (type - FRAME_TASK) {
    case BUNDLE_DOCUMENT:
        return on_document(ctx, body, e);
    case BUNDLE_ENTER:
        return on_enter(ctx, body, e);
    case BUNDLE_ADVISORY:
        return on_advisory(ctx, body, e);
    }
    return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
}

/* What the manifest says of the part, whatever it held. */
static int check_part(struct import *i, struct err *e)
{
    char hex[65];
    str rest;
    int more;
    while ((more = read_part(i, &rest, e)) > 0)
        ;
    if (more < 0)
        return -1;
    sha256_hex(i->sum, hex);
    if (!str_eq(str_of(hex, 64), i->source->sha256))
        return err_set(e, ERR_DIGEST, "its part is not the one that the manifest names (sha256 %s)", hex);
    return 0;
}

static int read_in_cage(struct import *i, struct cage *cage, struct err *e)
{
    const struct cage_input in = { .fd = -1, .read = read_part, .ctx = i };
    struct err why = { 0 };
    int r = cage_run(cage, &bundle_task, STR(""), &in, on_frame, i, NULL, &why);
    if (check_part(i, e) < 0) /* that tells more than what a changed byte led to */
        return -1;
    if (r < 0) {
        *e = why;
        return -1;
    }
    if (i->advisories != i->source->advisories || (int64_t)i->count != i->source->documents)
        return err_set(e, ERR_FORMAT, "its part holds %lld advisories, and the manifest says %lld",
                       (long long)i->advisories, (long long)i->source->advisories);
    return 0;
}

static int drop_others(struct import *i, struct err *e)
{
    struct stored_document *old;
    size_t count;
    if (store_documents(i->to, i->source->name, i->arena, &old, &count, e) < 0)
        return -1;
    for (size_t k = 0; k < count; k++)
        if (!strmap_get(&i->names, old[k].name) && store_update_drop(i->update, old[k].name, e) < 0)
            return -1;
    return 0;
}

/* A date of tomorrow would keep what comes then from being newer. */
static int64_t date_of(const struct bundle_source *s)
{
    int64_t now = clock_now();
    return s->last_success < now ? s->last_success : now;
}

static str state_key(struct arena *arena, const struct bundle_source *s)
{
    return arena_printf(arena, "bundle/" STR_FMT, STR_ARG(s->name));
}

static int load(struct import *i, struct cage *cage, const struct feed *feed, struct update_counts *counts,
                struct err *e)
{
    int64_t date = date_of(i->source);
    i->update = store_update_begin(i->to, i->source->name, feed->rank ? feed->rank : STORE_RANK, e);
    if (!i->update || read_in_cage(i, cage, e) < 0 || drop_others(i, e) < 0)
        return -1;
    struct store_update *u = i->update;
    i->update = NULL;
    if (store_update_commit(u, date, counts, e) < 0 ||
        store_feed_tried(i->to, i->source->name, date, STR(""), e) < 0)
        return -1;
    return store_value_set(i->to, state_key(i->arena, i->source), i->source->sha256, e);
}

static int prepare(struct import *i, const struct bundle *b, struct err *e)
{
    const struct bundle_member *m = part_of(b, i->source);
    if (!m || m->size != i->source->size)
        return err_set(e, ERR_FORMAT, "its part is missing, or not as large as the manifest says");
    i->fd = b->fd;
    i->offset = m->offset;
    i->left = m->size;
    i->room = calloc(1, sizeof *i->room);
    i->chunk = malloc(CHUNK);
    if (!i->room || !i->chunk)
        return oom(e);
    return (i->sum = sha256_new(e)) ? 0 : -1;
}

static int find_status(struct import *i, int64_t *last_success, struct err *e)
{
    struct feed_status *list;
    size_t count;
    if (store_feeds(i->to, i->arena, &list, &count, e) < 0)
        return -1;
    *last_success = 0;
    for (size_t k = 0; k < count; k++)
        if (str_eq(list[k].name, i->source->name))
            *last_success = list[k].last_success;
    return 0;
}

/* What was imported before is what this one builds on; it is as good as new. */
static int keep(struct import *i, int64_t last_success, struct err *e)
{
    str state = { 0 };
    int found = store_value_get(i->to, state_key(i->arena, i->source), i->arena, &state, e);
    if (found < 0)
        return -1;
    if (!found || !last_success || !str_eq(state, i->source->sha256))
        return err_set(e, ERR_NOT_FOUND,
                       "it is not in this bundle, and the one before was not imported here");
    int64_t date = date_of(i->source);
    return date > last_success ? store_feed_tried(i->to, i->source->name, date, STR(""), e) : 0;
}

static int import(struct import *i, struct bundle *b, struct cage *cage, bool force, enum bundle_outcome *ret,
                  struct update_counts *counts, struct err *e)
{
    const struct feed *feed = feed_by_name(i->source->name);
    int64_t last_success;
    *ret = BUNDLE_UNKNOWN;
    if (!feed)
        return 0;
    if (!(i->arena = arena_new(NAMES_MAX)))
        return oom(e);
    if (find_status(i, &last_success, e) < 0)
        return -1;
    *ret = BUNDLE_AS_BEFORE;
    if (!i->source->here)
        return keep(i, last_success, e);
    *ret = BUNDLE_OLDER;
    if (last_success > i->source->last_success && !force)
        return 0;
    *ret = BUNDLE_LOADED;
    return prepare(i, b, e) < 0 ? -1 : load(i, cage, feed, counts, e);
}

int bundle_import(struct bundle *b, const struct bundle_source *source, struct store *to, struct cage *cage,
                  bool force, enum bundle_outcome *ret, struct update_counts *counts, struct err *e)
{
    CLEANUP(import_done) struct import i = { .to = to, .source = source };
    *counts = (struct update_counts){ 0 };
    return import(&i, b, cage, force, ret, counts, e) < 0 ? err_wrap(e, STR_FMT, STR_ARG(source->name)) : 0;
}
