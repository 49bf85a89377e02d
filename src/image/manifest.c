#include "image/manifest.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "base/cleanup.h"

#define LAYERS_MAX    1024
#define MANIFESTS_MAX 1024
#define NESTING_MAX   4

struct reading {
    struct image_files *files;
    struct arena *arena;
    str architecture;
    struct image_manifest *ret;
};

/* "sha256:<hex>" -> "blobs/sha256/<hex>"; other algorithms are not in use. */
static str blob_path(struct reading *r, str digest)
{
    str hex = str_skip(digest, 7);
    return arena_printf(r->arena, "blobs/sha256/" STR_FMT, STR_ARG(hex));
}

/* The digest that a file's name promises: "blobs/sha256/<hex>" and "<hex>.json"; empty for other names. */
static str promised_digest(struct reading *r, str path)
{
    if (str_starts(path, STR("blobs/sha256/")))
        path = str_skip(path, STR("blobs/sha256/").len);
    else if (str_ends(path, STR(".json")))
        path.len -= 5;
    str digest = arena_printf(r->arena, "sha256:" STR_FMT, STR_ARG(path));
    return digest_valid(digest) ? digest : STR("");
}

static int digest_of(struct reading *r, str content, str *ret, struct err *e)
{
    uint8_t raw[32];
    char hex[65];
    if (sha256_of(content.ptr, content.len, raw, e) < 0)
        return -1;
    hex_encode(raw, sizeof raw, hex);
    *ret = arena_printf(r->arena, "sha256:%s", hex);
    return ret->len ? 0 : err_set(e, ERR_OOM, "manifest");
}

/* The whole file; *digest is what it should be, or empty, and becomes what it is. */
static int read_file(struct reading *r, str path, str *digest, str *ret, struct err *e)
{
    str want = *digest;
    int found = r->files->read(r->files, path, r->arena, ret, e);
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, STR_FMT ": not in the image", STR_ARG(path));
    if (digest_of(r, *ret, digest, e) < 0)
        return -1;
    if (!want.len || str_eq(want, *digest))
        return 0;
    return err_set(e, ERR_DIGEST, STR_FMT ": content is " STR_FMT ", but it is named " STR_FMT, STR_ARG(path),
                   STR_ARG(*digest), STR_ARG(want));
}

struct document { /* a small JSON file being read */
    str path;
    struct stream *in;
    struct json *json;
};

static void document_done(struct document *d)
{
    json_freep(&d->json);
    stream_freep(&d->in);
}

static int document_open(struct document *d, str path, str content, struct err *e)
{
    d->path = path;
    d->in = stream_from_mem(content, e);
    d->json = d->in ? json_new(d->in, NULL, e) : NULL;
    return d->json ? 0 : -1;
}

static int in_document(struct document *d, int result, struct err *e)
{
    return result < 0 ? err_wrap(e, STR_FMT, STR_ARG(d->path)) : result;
}

static int keep_string(struct reading *r, struct json *j, str *ret, struct err *e)
{
    str s;
    if (json_string(j, &s, e) < 0)
        return -1;
    *ret = arena_dup(r->arena, s);
    return arena_failed(r->arena) ? err_set(e, ERR_OOM, "manifest") : 0;
}

struct strings {
    str *at;
    size_t count, cap;
    bool named; /* the list was there, be it null */
};

static int keep_strings(struct reading *r, struct json *j, struct strings *ret, struct err *e)
{
    enum json_type type;
    str text;
    int more;
    ret->named = true;
    if ((more = json_enter_or_null(j, JSON_ARRAY, e)) <= 0)
        return more;
    while ((more = json_element(j, &type, &text, e)) > 0) {
        if (type != JSON_STRING)
            return err_set(e, ERR_FORMAT, "byte %llu: not a string", (unsigned long long)json_offset(j));
        if (ret->count >= LAYERS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d layers", LAYERS_MAX);
        ret->at = arena_grow(r->arena, ret->at, ret->count, &ret->cap, sizeof *ret->at);
        if (!ret->at)
            return err_set(e, ERR_OOM, "manifest");
        ret->at[ret->count++] = arena_dup(r->arena, text);
    }
    return more;
}

/* ---- docker save ---- */

static int config_rootfs(struct reading *r, struct json *j, struct strings *diff_ids, struct err *e)
{
    str key;
    int more;
    diff_ids->named = true; /* left out when there are none */
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("diff_ids")) ? keep_strings(r, j, diff_ids, e) : json_skip(j, e)) < 0)
            return -1;
    return more;
}

static int config_members(struct reading *r, struct json *j, struct strings *diff_ids, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("rootfs")) ? config_rootfs(r, j, diff_ids, e) : json_skip(j, e)) < 0)
            return -1;
    return more < 0 ? -1 : json_finish(j, e);
}

struct saved { /* one element of manifest.json */
    str config;
    struct strings layers;
};

static int saved_members(struct reading *r, struct json *j, struct saved *s, struct err *e)
{
    str key;
    int more;
    while ((more = json_key(j, &key, e)) > 0) {
        int result = str_eq(key, STR("Config"))   ? keep_string(r, j, &s->config, e)
                     : str_eq(key, STR("Layers")) ? keep_strings(r, j, &s->layers, e)
                                                  : json_skip(j, e);
        if (result < 0)
            return -1;
    }
    return more;
}

static int saved_first(struct reading *r, struct json *j, struct saved *s, size_t *images, struct err *e)
{
    enum json_type type;
    str text;
    int more;
    if (json_enter(j, JSON_ARRAY, e) < 0)
        return -1;
    for (*images = 0; (more = json_element(j, &type, &text, e)) > 0; ++*images) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object", (unsigned long long)json_offset(j));
        if ((*images ? json_skip_rest(j, type, e) : saved_members(r, j, s, e)) < 0)
            return -1;
    }
    return more;
}

static int name_layers(struct reading *r, const struct saved *s, const struct strings *diff_ids,
                       struct err *e)
{
    struct image_layer *layers = arena_array(r->arena, struct image_layer, s->layers.count + 1);
    if (!layers)
        return err_set(e, ERR_OOM, "manifest");
    for (size_t i = 0; i < s->layers.count; i++) {
        struct image_layer *l = &layers[i];
        l->path = s->layers.at[i];
        l->diff_id = diff_ids->at[i];
        l->digest = str_starts(l->path, STR("blobs/sha256/")) ? promised_digest(r, l->path) : STR("");
        l->by_diff_id = !l->digest.len;
        if (l->by_diff_id)
            l->digest = l->diff_id;
        if (!digest_valid(l->diff_id))
            return err_set(e, ERR_UNSUPPORTED, STR_FMT ": layer %zu: digest '" STR_FMT "' is not sha256",
                           STR_ARG(s->config), i + 1, STR_ARG(l->diff_id));
    }
    r->ret->layers = layers;
    r->ret->layer_count = s->layers.count;
    return 0;
}

static int saved_layers(struct reading *r, const struct saved *s, struct err *e)
{
    str content;
    struct strings diff_ids = { 0 };
    if (!s->config.len)
        return err_set(e, ERR_FORMAT, "manifest.json: no Config");
    r->ret->digest = promised_digest(r, s->config);
    if (read_file(r, s->config, &r->ret->digest, &content, e) < 0)
        return -1;
    CLEANUP(document_done) struct document d = { 0 };
    if (document_open(&d, s->config, content, e) < 0 ||
        in_document(&d, config_members(r, d.json, &diff_ids, e), e) < 0)
        return -1;
    if (!s->layers.named || !diff_ids.named)
        return err_set(e, ERR_FORMAT, STR_FMT ": names no %s",
                       STR_ARG(s->layers.named ? s->config : STR("manifest.json")),
                       s->layers.named ? "rootfs" : "Layers");
    if (diff_ids.count != s->layers.count)
        return err_set(e, ERR_FORMAT, STR_FMT ": %zu diff ids, but manifest.json lists %zu layers",
                       STR_ARG(s->config), diff_ids.count, s->layers.count);
    return name_layers(r, s, &diff_ids, e);
}

static int read_docker(struct reading *r, str content, struct err *e)
{
    struct saved s = { 0 };
    size_t images = 0;
    CLEANUP(document_done) struct document d = { 0 };
    if (document_open(&d, STR("manifest.json"), content, e) < 0 ||
        in_document(&d, saved_first(r, d.json, &s, &images, e), e) < 0 ||
        in_document(&d, json_finish(d.json, e), e) < 0)
        return -1;
    if (!images)
        return err_set(e, ERR_FORMAT, "manifest.json: no image");
    if (images > 1)
        r->ret->note =
            arena_printf(r->arena, "the archive holds %zu images: only the first is scanned", images);
    return saved_layers(r, &s, e);
}

/* ---- OCI ---- */

struct descriptor {
    str media_type, digest, os, architecture;
    bool attestation;
};

static int platform_members(struct reading *r, struct json *j, struct descriptor *d, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        int result = str_eq(key, STR("os"))             ? keep_string(r, j, &d->os, e)
                     : str_eq(key, STR("architecture")) ? keep_string(r, j, &d->architecture, e)
                                                        : json_skip(j, e);
        if (result < 0)
            return -1;
    }
    return more;
}

static int annotation_members(struct json *j, struct descriptor *d, struct err *e)
{
    str key, value;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool kind = str_eq(key, STR("vnd.docker.reference.type"));
        if ((kind ? json_string(j, &value, e) : json_skip(j, e)) < 0)
            return -1;
        if (kind)
            d->attestation = str_eq(value, STR("attestation-manifest"));
    }
    return more;
}

static int descriptor_members(struct reading *r, struct json *j, struct descriptor *d, struct err *e)
{
    str key;
    int more;
    while ((more = json_key(j, &key, e)) > 0) {
        int result = str_eq(key, STR("mediaType"))     ? keep_string(r, j, &d->media_type, e)
                     : str_eq(key, STR("digest"))      ? keep_string(r, j, &d->digest, e)
                     : str_eq(key, STR("platform"))    ? platform_members(r, j, d, e)
                     : str_eq(key, STR("annotations")) ? annotation_members(j, d, e)
                                                       : json_skip(j, e);
        if (result < 0)
            return -1;
    }
    if (more == 0 && !digest_valid(d->digest))
        return err_set(e, ERR_UNSUPPORTED, "byte %llu: digest '" STR_FMT "' is not sha256",
                       (unsigned long long)json_offset(j), STR_ARG(d->digest));
    return more;
}

struct descriptors {
    struct descriptor *at;
    size_t count, cap;
};

static int keep_descriptors(struct reading *r, struct json *j, struct descriptors *ret, struct err *e)
{
    enum json_type type;
    str text;
    int more;
    if (json_enter(j, JSON_ARRAY, e) < 0)
        return -1;
    while ((more = json_element(j, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object", (unsigned long long)json_offset(j));
        if (ret->count >= MANIFESTS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d entries", MANIFESTS_MAX);
        ret->at = arena_grow(r->arena, ret->at, ret->count, &ret->cap, sizeof *ret->at);
        if (!ret->at)
            return err_set(e, ERR_OOM, "manifest");
        ret->at[ret->count] = (struct descriptor){ 0 };
        if (descriptor_members(r, j, &ret->at[ret->count++], e) < 0)
            return -1;
    }
    return more;
}

struct oci_document { /* an index or a manifest: told apart by what they hold */
    struct descriptors manifests, layers;
    bool is_index, is_manifest;
};

static int oci_members(struct reading *r, struct json *j, struct oci_document *o, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool index = str_eq(key, STR("manifests")), manifest = str_eq(key, STR("layers"));
        int result = index      ? keep_descriptors(r, j, &o->manifests, e)
                     : manifest ? keep_descriptors(r, j, &o->layers, e)
                                : json_skip(j, e);
        if (result < 0)
            return -1;
        o->is_index |= index;
        o->is_manifest |= manifest;
    }
    return more < 0 ? -1 : json_finish(j, e);
}

static bool is_ours(const struct reading *r, const struct descriptor *m)
{
    return str_eq(m->architecture, r->architecture) && (!m->os.len || str_eq(m->os, STR("linux")));
}

/* Of the images that an index names: the one for this machine, else the first. */
static const struct descriptor *choose(struct reading *r, const struct descriptors *d)
{
    const struct descriptor *first = NULL, *ours = NULL;
    size_t images = 0, matching = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct descriptor *m = &d->at[i];
        if (m->attestation || str_eq(m->os, STR("unknown")))
            continue;
        first = first ? first : m;
        ours = ours || !is_ours(r, m) ? ours : m;
        matching += is_ours(r, m);
        images++;
    }
    if (matching > 1 || (!matching && images > 1))
        r->ret->note =
            arena_printf(r->arena, "the index names %zu images%s: only the first is scanned",
                         matching ? matching : images, matching ? "" : ", none of them for this machine");
    return ours ? ours : first;
}

static int oci_layers(struct reading *r, str path, const struct descriptors *layers, struct err *e)
{
    r->ret->layers = arena_array(r->arena, struct image_layer, layers->count + 1);
    if (!r->ret->layers)
        return err_set(e, ERR_OOM, "manifest");
    for (size_t i = 0; i < layers->count; i++) {
        str type = layers->at[i].media_type;
        if (type.len && !str_contains(type, STR("layer")) && !str_contains(type, STR("rootfs")))
            return err_set(e, ERR_UNSUPPORTED, STR_FMT ": layer %zu is '" STR_FMT "': not an image of files",
                           STR_ARG(path), i + 1, STR_ARG(type));
        r->ret->layers[i] = (struct image_layer){ .path = blob_path(r, layers->at[i].digest),
                                                  .digest = layers->at[i].digest };
    }
    r->ret->layer_count = layers->count;
    return 0;
}

static int read_oci(struct reading *r, str content, struct err *e)
{
    str path = STR("index.json"), digest = STR("");
    for (unsigned depth = 0; depth <= NESTING_MAX; depth++) {
        struct oci_document o = { 0 };
        CLEANUP(document_done) struct document d = { 0 };
        if (document_open(&d, path, content, e) < 0 || in_document(&d, oci_members(r, d.json, &o, e), e) < 0)
            return -1;
        if (o.is_manifest && digest.len) {
            r->ret->digest = digest;
            return oci_layers(r, path, &o.layers, e);
        }
        if (!o.is_index)
            return err_set(e, ERR_FORMAT, STR_FMT ": neither an index nor a manifest", STR_ARG(path));
        const struct descriptor *next = choose(r, &o.manifests);
        if (!next)
            return err_set(e, ERR_FORMAT, STR_FMT ": names no image", STR_ARG(path));
        digest = next->digest;
        path = blob_path(r, digest);
        if (read_file(r, path, &digest, &content, e) < 0)
            return -1;
    }
    return err_set(e, ERR_LIMIT, "index.json: indexes nested more than %d deep", NESTING_MAX);
}

int image_manifest_read(struct image_files *files, str architecture, struct arena *arena,
                        struct image_manifest *ret, struct err *e)
{
    *ret = (struct image_manifest){ 0 };
    struct reading r = { files, arena, architecture, ret };
    str content;
    int found = files->read(files, STR("manifest.json"), arena, &content, e);
    if (found > 0)
        return read_docker(&r, content, e);
    if (found == 0)
        found = files->read(files, STR("index.json"), arena, &content, e);
    if (found > 0)
        return read_oci(&r, content, e);
    return found < 0 ? -1
                     : err_set(e, ERR_FORMAT,
                               "not an image: neither manifest.json nor index.json in it (a root file system "
                               "is scanned as a folder)");
}

str image_architecture(void)
{
#if defined __x86_64__
    return STR("amd64");
#elif defined __aarch64__
    return STR("arm64");
#elif defined __riscv
    return STR("riscv64");
#elif defined __powerpc64__
    return STR("ppc64le");
#elif defined __s390x__
    return STR("s390x");
#else
    return STR("unknown");
#endif
}
