/*
 * push_stream.c - an image of the daemon, sent without a copy: what is in it the daemon says first, and what of that the server does not
 * know is forwarded from the archive while it comes. Only the archive's outer headers and its small JSON files are read here.
 *
 * Shapes     Docker 25 and Podman name a layer by its digest ("blobs/sha256/HEX", "HEX.tar"), older ones do not ("ID/layer.tar"): those are
 *            sent without one. A store of containerd keeps layers compressed: then the manifest in the archive says which blob is which.
 * Limits     4 MiB of JSON a file, 64 MiB of all; 1,024 layers.
 */
#include "base/cleanup.h"
#include "cmd/push.h"
#include "codec/sha256.h"
#include "image/daemon.h"
#include "image/manifest.h"
#include "image/tar.h"

#include <strings.h>

#define FILE_MAX   ((size_t)4 << 20)
#define FILES_MAX  ((size_t)64 << 20)
#define LAYERS_MAX 1024
#define HEX        64

struct saved { /* the archive as a stream */
    struct stream base;
    struct daemon_transfer *save;
};

static int next_of_saved(struct stream *s, str *ret, struct err *e)
{
    return daemon_save_read(((struct saved *)s)->save, ret, e);
}

struct forward {
    struct image_files files; /* first: those of the archive that may be JSON */
    const struct push_server *server;
    const struct daemon_image *image;
    struct strmap small; /* path -> str */
    struct strmap known; /* digest -> whatever: the server has it */
    size_t kept;
};

static void forward_done(struct forward *f)
{
    strmap_done(&f->small);
    strmap_done(&f->known);
}

static int read_small(struct image_files *files, str path, struct arena *arena, str *ret, struct err *e)
{
    const str *content = strmap_get(&((struct forward *)files)->small, path);
    (void)arena, (void)e;
    if (content)
        *ret = *content;
    return content != NULL;
}

static int mark_known(struct forward *f, str digest, struct err *e)
{
    str copy = arena_dup(f->server->arena, digest);
    void **at = copy.ptr ? strmap_at(&f->known, copy) : NULL;
    if (!at)
        return err_set(e, ERR_OOM, "out of memory");
    *at = f;
    return 0;
}

static bool all_known(const struct forward *f)
{
    for (size_t i = 0; i < f->image->diff_id_count; i++)
        if (!strmap_get(&f->known, f->image->diff_ids[i]))
            return false;
    return true;
}

/* ---- members ---- */

/* "blobs/sha256/HEX" and "HEX.tar" say what they hold; else empty. */
static str digest_of_path(const struct forward *f, str path)
{
    str name = str_skip(path, (size_t)(str_rfind(path, '/') + 1));
    if (str_ends(name, STR(".tar")))
        name = str_head(name, name.len - 4);
    else if (!str_starts(path, STR("blobs/sha256/")))
        return (str){ 0 };
    str digest = arena_printf(f->server->arena, "sha256:" STR_FMT, STR_ARG(name));
    return digest_valid(digest) ? digest : (str){ 0 };
}

struct member {
    struct stream *in;
    str first; /* what was looked at already */
};

static int next_of_member(void *ctx, str *ret, struct err *e)
{
    struct member *m = ctx;
    if (!m->first.len)
        return stream_next(m->in, ret, e);
    *ret = m->first;
    m->first = (str){ 0 };
    return 1;
}

static int keep_small(struct forward *f, const struct tar_member *t, struct member *m, struct err *e)
{
    CLEANUP(buf_done) struct buf text = { .max = FILE_MAX };
    str chunk;
    int more;
    f->kept += t->size;
    if (f->kept > FILES_MAX)
        return err_set(e, ERR_LIMIT, "more than %zu MiB of JSON in the archive", FILES_MAX >> 20);
    while ((more = next_of_member(m, &chunk, e)) > 0)
        buf_str(&text, chunk);
    if (more < 0)
        return -1;
    str *content = arena_alloc(f->server->arena, 1, sizeof *content);
    str path = arena_dup(f->server->arena, t->path);
    void **at = content && path.ptr ? strmap_at(&f->small, path) : NULL;
    if (!at || text.failed)
        return err_set(e, ERR_OOM, "out of memory");
    *content = arena_dup(f->server->arena, buf_view(&text));
    *at = content;
    return 0;
}

/* Those were asked for before the archive was. */
static bool was_asked(const struct forward *f, str digest)
{
    for (size_t i = 0; i < f->image->diff_id_count; i++)
        if (str_eq(f->image->diff_ids[i], digest))
            return true;
    return false;
}

static int send_member(struct forward *f, const struct tar_member *t, struct member *m, str digest,
                       struct err *e)
{
    const struct http_upload body = { .read = next_of_member, .ctx = m, .size = (int64_t)t->size };
    if (digest.len && !was_asked(f, digest)) {
        int known = push_blob_known(f->server, digest, e);
        if (known)
            return known < 0 ? -1 : mark_known(f, digest, e);
    }
    return push_blob_send(f->server, digest, &body, &digest, e) < 0 ? -1 : mark_known(f, digest, e);
}

static int take_member(struct forward *f, struct tar *tar, const struct tar_member *t, struct err *e)
{
    str digest = digest_of_path(f, t->path);
    bool known = digest.len && strmap_get(&f->known, digest);
    if (t->type != TAR_FILE || !t->size || known)
        return 0;
    struct member m = { .in = tar_stream(tar, e) };
    if (!m.in || stream_next(m.in, &m.first, e) < 0)
        return -1;
    bool json = m.first.len && (m.first.ptr[0] == '{' || m.first.ptr[0] == '[');
    if (json && t->size <= FILE_MAX)
        return keep_small(f, t, &m, e);
    if (digest.len || str_ends(t->path, STR("/layer.tar")))
        return send_member(f, t, &m, digest, e);
    return 0;
}

static int forward_all(struct forward *f, struct daemon *d, const char *image, struct err *e)
{
    CLEANUP(daemon_save_close) struct daemon_transfer *save = daemon_save_open(d, image, NULL, e);
    struct saved in = { .base.next = next_of_saved, .save = save };
    CLEANUP(tar_freep) struct tar *tar = save ? tar_new(&in.base, NULL, e) : NULL;
    struct tar_member t;
    int more = tar ? 1 : -1;
    while (more > 0 && !all_known(f) && (more = tar_next(tar, &t, e)) > 0)
        if (take_member(f, tar, &t, e) < 0)
            return -1;
    return more < 0 ? -1 : 0;
}

/* What was read of a daemon's archive is gone: while the server has no room, it is asked for again. */
static int forward_patiently(struct forward *f, struct daemon *d, const char *image, struct err *e)
{
    int r = -1;
    for (unsigned i = 0; i < PUSH_TRIES && r < 0; i++) {
        *e = (struct err){ 0 };
        f->kept = 0;
        r = forward_all(f, d, image, e);
        if (r == 0 || e->kind != ERR_BUSY)
            return r;
        push_wait_a_moment();
    }
    return r;
}

/* ---- what is which ---- */

/* Of layers that lie there compressed, by the manifest of the archive. */
static int find_stored(struct forward *f, struct push_names *ret, struct err *e)
{
    struct image_manifest m = { 0 };
    const struct image_platform here = image_platform_here();
    if (image_manifest_read(&f->files, &here, f->server->arena, &m, e) < 0)
        return -1;
    if (m.layer_count != ret->count)
        return err_set(e, ERR_FORMAT, "the archive has %zu layers, and the image %zu", m.layer_count,
                       ret->count);
    for (size_t i = 0; i < ret->count; i++) {
        ret->digests[i] = m.layers[i].digest;
        if (!strmap_get(&f->known, ret->digests[i]))
            return err_set(e, ERR_FORMAT, "layer " STR_FMT " is not in the archive",
                           STR_ARG(ret->digests[i]));
    }
    return 0;
}

static int name_all(struct forward *f, struct push_names *ret, struct err *e)
{
    const struct daemon_image *i = f->image;
    struct arena *arena = f->server->arena;
    str name = { 0 };
    ret->names = arena_array(arena, str, i->diff_id_count);
    ret->digests = arena_array(arena, str, i->diff_id_count);
    if (!ret->names || !ret->digests)
        return err_set(e, ERR_OOM, "out of memory");
    for (; ret->count < i->diff_id_count; ret->count++) {
        str digest = arena_dup(arena, i->diff_ids[ret->count]);
        if (push_chain_name(arena, name, digest, &name, e) < 0)
            return -1;
        ret->names[ret->count] = name;
        ret->digests[ret->count] = digest;
    }
    return 0;
}

static int ask_for_all(struct forward *f, struct err *e)
{
    for (size_t i = 0; i < f->image->diff_id_count; i++) {
        int known = push_blob_known(f->server, f->image->diff_ids[i], e);
        if (known < 0 || (known && mark_known(f, f->image->diff_ids[i], e) < 0))
            return -1;
    }
    return 0;
}

static bool is_told(const struct daemon_image *i)
{
    for (size_t k = 0; k < i->diff_id_count; k++)
        if (!digest_valid(i->diff_ids[k]))
            return false;
    return i->diff_id_count && i->diff_id_count <= LAYERS_MAX;
}

static int stream(const struct push_server *s, struct daemon *d, const char *image, struct push_names *ret,
                  struct err *e)
{
    struct daemon_image said;
    struct forward f = { .files.read = read_small, .server = s, .image = &said };
    int r = daemon_inspect(d, image, NULL, s->arena, &said, e);
    if (r == 0 && !is_told(&said))
        return 0;
    if (r == 0)
        r = ask_for_all(&f, e) < 0 || (!all_known(&f) && forward_patiently(&f, d, image, e) < 0) ||
                    name_all(&f, ret, e) < 0 || (!all_known(&f) && find_stored(&f, ret, e) < 0)
                ? -1
                : 1;
    forward_done(&f);
    return r;
}

int push_stream(const struct push_server *s, const char *image, struct push_names *ret, struct err *e)
{
    struct daemon_options o = daemon_options_from_environment();
    *ret = (struct push_names){ 0 };
    CLEANUP(daemon_freep) struct daemon *d = daemon_new(&o, e);
    if (!d)
        return err_wrap(e, "Could not create a Docker client");
    int r = stream(s, d, image, ret, e);
    return r < 0 ? err_wrap(e, "Could not save Docker image [%s]", image) : r;
}
