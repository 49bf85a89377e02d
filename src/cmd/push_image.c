/* push_image.c - a daemon's image, an archive or a folder: a row of ranges of open files, named as Clair will know them. */
#include "cmd/push.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "image/daemon.h"
#include "image/manifest.h"
#include "index/archive.h"
#include "index/container.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LAYERS_MAX 1024
#define LAYER_TAR  STR("/layer.tar")
#define HEX        64

const struct cage_task *const push_tasks[] = { &index_list_task, &index_stream_task, &index_inflate_task,
                                               NULL };

/* ---- where it is ---- */

static bool has(const char *folder, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* A folder that happens to have the name of an image is not meant; one that holds an image is. */
bool push_is_on_disk(const char *image)
{
    struct stat st;
    str name = str_from(image);
    if (!strcmp(image, "-") || str_starts(name, STR("/")) || str_starts(name, STR("./")) ||
        str_starts(name, STR("../")))
        return true;
    if (!*image || stat(image, &st) < 0)
        return false;
    return !S_ISDIR(st.st_mode) || has(image, "oci-layout") ||
           (has(image, "manifest.json") && has(image, "repositories"));
}

/* ---- as something that can be read at random ---- */

static int new_spool(struct push_signals *s, struct err *e)
{
    pthread_mutex_lock(&s->hold);
    int fd = spool_open(e);
    pthread_mutex_unlock(&s->hold);
    return fd;
}

/* What was spooled may be compressed: then once more, in the cage. */
static int make_plain(struct push_image *i, struct cage *c, struct push_signals *s, struct err *e)
{
    if (spool_is_tar(i->spool, 0))
        return 0;
    CLEANUP(close_fdp) int packed = i->spool;
    if (lseek(packed, 0, SEEK_SET) < 0)
        return err_errno(e, "temporary file");
    i->spool = new_spool(s, e);
    return i->spool < 0 ? -1 : spool_inflate(c, packed, i->spool, e);
}

static int open_spool(struct push_image *i, struct cage *c, struct err *e)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", i->spool);
    i->container = container_open(c, path, e);
    return i->container ? 0 : -1;
}

static int save_from_daemon(struct push_image *i, struct push_signals *s, const char *image, struct err *e)
{
    struct daemon_options o = daemon_options_from_environment();
    CLEANUP(daemon_freep) struct daemon *d = daemon_new(&o, e);
    if (!d)
        return err_wrap(e, "Could not create a Docker client");
    i->spool = new_spool(s, e);
    if (i->spool < 0 || daemon_save(d, image, i->spool, e) < 0)
        return err_wrap(e, "Could not save Docker image [%s]", image);
    return 0;
}

static int open_fd(struct push_image *i, struct cage *c, struct push_signals *s, int fd, const char *image,
                   struct err *e)
{
    struct stat st;
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (fstat(fd, &st) < 0)
        return err_errno(e, "fstat");
    bool file = S_ISREG(st.st_mode) && at >= 0;
    if (S_ISDIR(st.st_mode) || (file && spool_is_tar(fd, (uint64_t)at))) {
        i->container = container_open(c, image, e);
        return i->container ? 0 : -1;
    }
    i->spool = new_spool(s, e);
    if (i->spool < 0)
        return -1;
    if (file ? spool_inflate(c, fd, i->spool, e) < 0
             : spool_copy(fd, i->spool, e) < 0 || make_plain(i, c, s, e) < 0)
        return -1;
    return open_spool(i, c, e);
}

static int open_on_disk(struct push_image *i, struct cage *c, struct push_signals *s, const char *image,
                        struct err *e)
{
    CLEANUP(close_fdp)
    int fd = strcmp(image, "-") ? open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY) : fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return push_go_error(e, "open", image);
    return open_fd(i, c, s, fd, image, e);
}

static int open_container(struct push_image *i, struct cage *c, struct push_signals *s, const char *image,
                          struct err *e)
{
    if (push_is_on_disk(image)) {
        if (open_on_disk(i, c, s, image, e) < 0)
            return err_wrap(e, "Could not save Docker image: could not untar [%s]", image);
    } else {
        if (save_from_daemon(i, s, image, e) < 0)
            return -1;
        if (make_plain(i, c, s, e) < 0 || open_spool(i, c, e) < 0)
            return err_wrap(e, "Could not save Docker image: could not untar [%s]", image);
    }
    if (container_kind(i->container) == CONTAINER_ARCHIVE || container_kind(i->container) == CONTAINER_FOLDER)
        return 0;
    err_set(e, ERR_UNSUPPORTED, "neither a ustar archive without sparse members nor an OCI layout");
    return err_wrap(e, "Could not save Docker image: could not untar [%s]", image);
}

/* ---- the layers' names ---- */

struct saved { /* manifest.json */
    str *layers;
    size_t count, cap, images;
};

static int read_layers(struct json *j, struct arena *arena, struct saved *s, struct err *e)
{
    enum json_type type;
    str text;
    int more;
    if ((more = json_enter_or_null(j, JSON_ARRAY, e)) <= 0)
        return more;
    while ((more = json_element(j, &type, &text, e)) > 0) {
        if (type != JSON_STRING)
            return err_set(e, ERR_FORMAT, "byte %llu: not a string", (unsigned long long)json_offset(j));
        if (s->count >= LAYERS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d layers", LAYERS_MAX);
        s->layers = arena_grow(arena, s->layers, s->count, &s->cap, sizeof *s->layers);
        if (!s->layers)
            return err_set(e, ERR_OOM, "layers");
        s->layers[s->count++] = arena_dup(arena, text);
    }
    return more;
}

static int read_saved_members(struct json *j, struct arena *arena, struct saved *s, struct err *e)
{
    str key;
    int more;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("Layers")) ? read_layers(j, arena, s, e) : json_skip(j, e)) < 0)
            return -1;
    return more;
}

static int read_saved(str content, struct arena *arena, struct saved *s, struct err *e)
{
    enum json_type type;
    str text;
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(content, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    if (!j || json_enter(j, JSON_ARRAY, e) < 0)
        return -1;
    for (; (more = json_element(j, &type, &text, e)) > 0; s->images++) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object", (unsigned long long)json_offset(j));
        if ((s->images ? json_skip_rest(j, type, e) : read_saved_members(j, arena, s, e)) < 0)
            return -1;
    }
    return more < 0 ? -1 : json_finish(j, e);
}

static bool is_hex(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.ptr[i] >= '0' && s.ptr[i] <= '9') && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'f'))
            return false;
    return s.len == HEX;
}

/* Before Docker 25: each layer has a folder whose name stands for it and everything below it. */
static bool is_classic(const struct saved *s)
{
    for (size_t i = 0; i < s->count; i++) {
        str path = s->layers[i];
        if (!str_ends(path, LAYER_TAR) || !is_hex(str_head(path, path.len - LAYER_TAR.len)))
            return false;
    }
    return true;
}

static int add_layer(struct push_image *i, str name, str path, struct err *e)
{
    struct file_range *r = &i->ranges[i->count];
    int fd;
    r->path = arena_printf(i->arena, "/" STR_FMT "/layer.tar", STR_ARG(name));
    if (!r->path.ptr)
        return err_set(e, ERR_OOM, "layers");
    if (container_layer(i->container, path, &fd, &r->offset, &r->size, e) < 0)
        return -1;
    r->fd = fd;
    if (i->count && container_kind(i->container) == CONTAINER_ARCHIVE) { /* all lie in one file */
        r->fd = i->ranges[0].fd;
        close(fd);
    }
    i->names[i->count++] = name;
    return 0;
}

static int room_for(struct push_image *i, size_t count, struct err *e)
{
    i->ranges = arena_array(i->arena, struct file_range, count + 1);
    i->names = arena_array(i->arena, str, count + 1);
    i->digests = arena_array(i->arena, str, count + 1);
    if (!i->ranges || !i->names || !i->digests)
        return err_set(e, ERR_OOM, "layers");
    memset(i->digests, 0, (count + 1) * sizeof *i->digests);
    return count ? 0 : err_set(e, ERR_FORMAT, "no layers can be found");
}

static int name_classic(struct push_image *i, const struct saved *s, struct err *e)
{
    if (room_for(i, s->count, e) < 0)
        return -1;
    for (size_t k = 0; k < s->count; k++) {
        str path = s->layers[k];
        if (add_layer(i, str_head(path, path.len - LAYER_TAR.len), path, e) < 0)
            return -1;
    }
    return 0;
}

/* The chain id of OCI (config.md): the same layer on another base must not have the same name. */
int push_chain_name(struct arena *arena, str previous, str digest, str *ret, struct err *e)
{
    uint8_t raw[32];
    char hex[HEX + 1];
    *ret = str_skip(digest, STR("sha256:").len);
    if (!previous.len)
        return 0;
    str both = arena_printf(arena, "sha256:" STR_FMT " " STR_FMT, STR_ARG(previous), STR_ARG(digest));
    if (sha256_of(both.ptr, both.len, raw, e) < 0)
        return -1;
    hex_encode(raw, sizeof raw, hex);
    *ret = arena_dup(arena, str_of(hex, HEX));
    return arena_failed(arena) ? err_set(e, ERR_OOM, "layers") : 0;
}

static int no_aci(const struct image_manifest *m, struct err *e)
{
    return m->aci ? err_set(e, ERR_UNSUPPORTED, "is an ACI, which cannot be pushed") : 0;
}

static int name_by_chain(struct push_image *i, struct err *e)
{
    struct image_manifest m = { 0 };
    str name = { 0 };
    const struct image_platform here = image_platform_here();
    if (image_manifest_read(container_files(i->container), &here, i->arena, &m, e) < 0 || no_aci(&m, e) < 0 ||
        room_for(i, m.layer_count, e) < 0)
        return -1;
    i->note = m.note;
    for (size_t k = 0; k < m.layer_count; k++) {
        const struct image_layer *l = &m.layers[k];
        if (push_chain_name(i->arena, name, l->diff_id.len ? l->diff_id : l->digest, &name, e) < 0 ||
            add_layer(i, name, l->path, e) < 0)
            return -1;
    }
    return 0;
}

static int name_layers(struct push_image *i, struct err *e)
{
    struct image_files *files = container_files(i->container);
    struct saved s = { 0 };
    str content;
    int found = files->read(files, STR("manifest.json"), i->arena, &content, e);
    if (found <= 0)
        return found < 0 ? -1 : name_by_chain(i, e);
    if (read_saved(content, i->arena, &s, e) < 0)
        return err_wrap(e, "manifest.json is not json");
    if (s.images != 1)
        return err_set(e, ERR_FORMAT, "manifest.json is not valid");
    return is_classic(&s) ? name_classic(i, &s, e) : name_by_chain(i, e);
}

/* ---- the layers' digests ---- */

/* What the image itself says. A layer that is named by its uncompressed bytes may lie there compressed. */
static void find_digests(struct push_image *i)
{
    struct image_manifest m = { 0 };
    struct err ignored = { 0 };
    const struct image_platform here = image_platform_here();
    bool known = image_manifest_read(container_files(i->container), &here, i->arena, &m, &ignored) == 0;
    i->manifest = known ? m.digest : (str){ 0 };
    for (size_t k = 0; known && m.layer_count == i->count && k < i->count; k++)
        if (!m.layers[k].by_diff_id || spool_is_tar(i->ranges[k].fd, i->ranges[k].offset))
            i->digests[k] = m.layers[k].digest;
}

static int hash_range(const struct file_range *r, uint8_t ret[32], struct err *e)
{
    char bytes[64 << 10];
    CLEANUP(sha256_freep) struct sha256 *h = sha256_new(e);
    if (!h)
        return -1;
    for (uint64_t at = 0; at < r->size;) {
        size_t want = r->size - at < sizeof bytes ? (size_t)(r->size - at) : sizeof bytes;
        ssize_t n = pread(r->fd, bytes, want, (off_t)(r->offset + at));
        if (n <= 0)
            return n < 0 ? err_errno(e, "read a layer") : err_set(e, ERR_FORMAT, "a layer is cut off");
        sha256_add(h, bytes, (size_t)n);
        at += (uint64_t)n;
    }
    sha256_raw(h, ret);
    return 0;
}

static int digest_text(struct push_image *i, const uint8_t raw[32], str *ret, struct err *e)
{
    char hex[HEX + 1];
    hex_encode(raw, 32, hex);
    *ret = arena_printf(i->arena, "sha256:%s", hex);
    return ret->ptr ? 0 : err_set(e, ERR_OOM, "layers");
}

/* Clair 4 knows layers and images by digests only; where an archive has none for the image, it is that of its layers'. */
static int name_by_digest(struct push_image *i, struct err *e)
{
    uint8_t raw[32];
    CLEANUP(buf_done) struct buf all = { 0 };
    for (size_t k = 0; k < i->count; k++) {
        if (!i->digests[k].len &&
            (hash_range(&i->ranges[k], raw, e) < 0 || digest_text(i, raw, &i->digests[k], e) < 0))
            return -1;
        i->names[k] = i->digests[k];
        i->ranges[k].path = arena_printf(i->arena, "/blobs/sha256/" STR_FMT,
                                         STR_ARG(str_skip(i->digests[k], STR("sha256:").len)));
        buf_printf(&all, STR_FMT "\n", STR_ARG(i->digests[k]));
    }
    if (all.failed || arena_failed(i->arena))
        return err_set(e, ERR_OOM, "layers");
    if (digest_valid(i->manifest))
        return 0;
    return sha256_of(all.ptr, all.len, raw, e) < 0 ? -1 : digest_text(i, raw, &i->manifest, e);
}

/* ---- the face ---- */

int push_image_open(struct push_image *ret, struct cage *c, struct push_signals *s, const char *image,
                    enum push_dialect dialect, struct err *e)
{
    *ret = (struct push_image){ .spool = -1, .arena = arena_new((size_t)256 << 20) };
    if (!ret->arena)
        return err_set(e, ERR_OOM, "Could not save Docker image [%s]: out of memory", image);
    if (open_container(ret, c, s, image, e) < 0)
        return -1;
    int r = name_layers(ret, e);
    if (r == 0 && dialect != PUSH_V1)
        find_digests(ret);
    if (r == 0 && dialect == PUSH_V4)
        r = name_by_digest(ret, e);
    return r < 0 ? err_wrap(e, "Could not read Docker image layers") : 0;
}

void push_image_done(struct push_image *i)
{
    for (size_t k = 0; k < i->count; k++)
        if (!k || i->ranges[k].fd != i->ranges[0].fd)
            close(i->ranges[k].fd);
    container_freep(&i->container);
    if (i->arena)
        close_fdp(&i->spool);
    arena_freep(&i->arena);
}
