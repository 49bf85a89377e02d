/* keys_make.c - keys generate and rotate: private keys are written whole or not at all, and read by nobody else. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/keys.h"
#include "cmd/new_file.h"
#include "cmd/output.h"
#include "config/duration.h"
#include "jwt/key.h"

#include <fcntl.h>

#define OVERLAP_S 3600

static void wipe(struct buf *b)
{
    if (b->ptr)
        explicit_bzero(b->ptr, b->len);
    buf_done(b);
}

static int read_time(const char *option, const char *text, int64_t fallback_s, int64_t *ret, struct err *e)
{
    int64_t ns;
    *ret = fallback_s;
    if (!text)
        return 0;
    if (!duration_parse(str_from(text), &ns) || ns < 0)
        return err_set(e, ERR_USAGE, "--%s: '%s' is no time, as \"720h\" is", option, text);
    *ret = ns / 1000000000;
    return 0;
}

static int put_private(const struct keys_command *o, const struct jwt_key *k, struct buf *out, struct err *e)
{
    if (!o->jwk)
        return jwt_key_put_pem(k, false, out, e);
    if (jwt_key_put_jwk(k, true, out, e) < 0)
        return -1;
    buf_char(out, '\n');
    return out->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int write_file(const struct keys_command *o, struct new_file *f, str text, struct err *e)
{
    if (new_file_begin(f, o->out, "", o->force, e) < 0)
        return -1;
    unlink(f->temp); /* nobody may have opened it before it is closed to others */
    CLEANUP(close_fdp) int fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 || output_all(fd, text) < 0 ? err_errno(e, "%s", o->out) : 0;
}

/* Whole before the store knows of it, in place after that: neither is there without the other, unless the last step fails. */
static int make(const struct keys_command *o, const struct jwt_key *k, struct store *store,
                int (*keep)(const struct keys_command *o, struct store *store, const struct jwt_key *k,
                            void *ctx, struct err *e),
                void *ctx, struct err *e)
{
    CLEANUP(wipe) struct buf text = { 0 };
    CLEANUP(new_file_done) struct new_file file = { 0 };
    str kid = jwt_key_kid(k);
    if (put_private(o, k, &text, e) < 0 || (o->out && write_file(o, &file, buf_view(&text), e) < 0) ||
        (store && keep(o, store, k, ctx, e) < 0) || (o->out && new_file_commit(&file, e) < 0))
        return -1;
    fprintf(o->out ? stdout : stderr, STR_FMT "\n", STR_ARG(kid));
    return o->out ? 0 : output_write("", NULL, buf_view(&text), e);
}

static int store_new(const struct keys_command *o, struct store *store, const struct jwt_key *k, str service,
                     struct err *e)
{
    CLEANUP(buf_done) struct buf jwk = { 0 };
    int64_t life, now = clock_now();
    if (read_time("expires", o->expires, 0, &life, e) < 0 || jwt_key_put_jwk(k, false, &jwk, e) < 0)
        return -1;
    const struct service_key row = { .service = service,
                                     .kid = jwt_key_kid(k),
                                     .jwk = buf_view(&jwk),
                                     .created = now,
                                     .approved = now,
                                     .expires = life ? now + life : 0 };
    return store_key_put(store, &row, e);
}

static int keep_generated(const struct keys_command *o, struct store *store, const struct jwt_key *k,
                          void *ctx, struct err *e)
{
    (void)ctx;
    return store_new(o, store, k, str_from(o->service), e);
}

int keys_generate(const struct keys_command *o, struct store *store, const char *none, struct err *e)
{
    CLEANUP(jwt_key_freep) struct jwt_key *k = jwt_key_generate(e);
    (void)none;
    if (o->expires && !store)
        return err_set(e, ERR_USAGE, "--expires: only with --service, for it is the registry that knows");
    return k ? make(o, k, store, keep_generated, NULL, e) : -1;
}

/* ---- rotate ---- */

static bool is_active(const struct service_key *k, int64_t now)
{
    return !strcmp(keys_state(k, now), "approved");
}

static int keep_rotated(const struct keys_command *o, struct store *store, const struct jwt_key *k, void *ctx,
                        struct err *e)
{
    struct service_key *old = ctx;
    int64_t overlap, now = clock_now();
    if (read_time("overlap", o->overlap, OVERLAP_S, &overlap, e) < 0 ||
        store_new(o, store, k, old->service, e) < 0)
        return -1;
    if (!old->expires || old->expires > now + overlap)
        old->expires = now + overlap;
    old->replaced_by = jwt_key_kid(k);
    return store_key_put(store, old, e);
}

int keys_rotate(const struct keys_command *o, struct store *store, const char *name, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct service_key old;
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (keys_pick(o, store, name, is_active, arena, &old, e) < 0)
        return -1;
    CLEANUP(jwt_key_freep) struct jwt_key *k = jwt_key_generate(e);
    return k ? make(o, k, store, keep_rotated, &old, e) : -1;
}
