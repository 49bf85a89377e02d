#include "image/manifest.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "base/cleanup.h"
#include "image/aci.h"

#define LAYERS_MAX    1024
#define MANIFESTS_MAX 1024
#define NESTING_MAX   4
#define NAMES_MAX     512 /* bytes of names in a note */
#define READS_MAX     256 /* manifests and indexes asked what they are for */

struct reading {
    struct image_files *files;
    struct arena *arena;
    const struct image_platform *platform;
    struct image_manifest *ret;
    bool bare;      /* blobs lie beside the manifest, named by their hex digits alone */
    unsigned reads; /* of manifests and indexes */
    str others;     /* platforms that are there, but were not asked for */
};

/* "sha256:<hex>" -> "blobs/sha256/<hex>"; other algorithms are not in use. */
static str blob_path(struct reading *r, str digest)
{
    str hex = str_skip(digest, 7);
    return arena_printf(r->arena, "%s" STR_FMT, r->bare ? "" : "blobs/sha256/", STR_ARG(hex));
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
            return err_set(e, ERR_LIMIT, "more than %d layers or names", LAYERS_MAX);
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

struct config {
    struct strings diff_ids;
    struct image_platform platform;
};

static int config_members(struct reading *r, struct json *j, struct config *c, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("rootfs"))         ? config_rootfs(r, j, &c->diff_ids, e)
             : str_eq(key, STR("os"))           ? keep_string(r, j, &c->platform.os, e)
             : str_eq(key, STR("architecture")) ? keep_string(r, j, &c->platform.architecture, e)
             : str_eq(key, STR("variant"))      ? keep_string(r, j, &c->platform.variant, e)
                                                : json_skip(j, e)) < 0)
            return -1;
    return more < 0 ? -1 : json_finish(j, e);
}

static str platform_text(struct reading *r, const struct image_platform *p)
{
    return arena_printf(r->arena, STR_FMT "/" STR_FMT "%s" STR_FMT, STR_ARG(p->os), STR_ARG(p->architecture),
                        p->variant.len ? "/" : "", STR_ARG(p->variant));
}

static int no_such_platform(struct reading *r, str there, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no image for " STR_FMT " in it, but for: " STR_FMT,
                   STR_ARG(platform_text(r, r->platform)), STR_ARG(there));
}

struct saved { /* one element of manifest.json */
    str config;
    struct strings layers;
};

struct saved_names {
    str text;
    size_t images;
    bool chosen; /* the one that was read last has the name that was asked for */
};

/* Of the images of an archive: which ones there are, for the note. A name that is no name is passed over. */
static int keep_name(struct reading *r, struct json *j, struct saved_names *n, struct err *e)
{
    struct strings tags = { 0 };
    if (keep_strings(r, j, &tags, e) < 0)
        return -1;
    str name = tags.count ? tags.at[0] : STR("one without a name");
    for (size_t i = 0; i < tags.count; i++)
        n->chosen |= str_eq(tags.at[i], r->files->choice);
    if (n->text.len > NAMES_MAX)
        return 0;
    n->text = arena_printf(r->arena, STR_FMT "%s" STR_FMT, STR_ARG(n->text), n->text.len ? ", " : "",
                           STR_ARG(str_head(name, NAMES_MAX)));
    return arena_failed(r->arena) ? err_set(e, ERR_OOM, "manifest") : 0;
}

static int saved_members(struct reading *r, struct json *j, struct saved *s, struct saved_names *n,
                         struct err *e)
{
    str key;
    int more;
    while ((more = json_key(j, &key, e)) > 0) {
        int result = str_eq(key, STR("RepoTags")) ? keep_name(r, j, n, e)
                     : !s                         ? json_skip(j, e)
                     : str_eq(key, STR("Config")) ? keep_string(r, j, &s->config, e)
                     : str_eq(key, STR("Layers")) ? keep_strings(r, j, &s->layers, e)
                                                  : json_skip(j, e);
        if (result < 0)
            return -1;
    }
    return more;
}

/* The first of them, or that which was asked for. */
static int saved_first(struct reading *r, struct json *j, struct saved *s, struct saved_names *n,
                       struct err *e)
{
    enum json_type type;
    str text;
    int more;
    bool found = false, by_name = r->files->choice.len != 0;
    if (json_enter(j, JSON_ARRAY, e) < 0)
        return -1;
    for (n->images = 0; (more = json_element(j, &type, &text, e)) > 0; n->images++) {
        struct saved one = { 0 };
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object", (unsigned long long)json_offset(j));
        n->chosen = false;
        if (saved_members(r, j, by_name || !n->images ? &one : NULL, n, e) < 0)
            return -1;
        if (!found && (n->chosen || (!by_name && !n->images))) {
            *s = one;
            found = true;
        }
    }
    if (more == 0 && by_name && !found)
        return err_set(e, ERR_NOT_FOUND, "no image '" STR_FMT "' in it, but: " STR_FMT,
                       STR_ARG(r->files->choice), STR_ARG(n->text.len ? n->text : STR("none")));
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
    r->ret->key = r->ret->digest;
    return 0;
}

static int saved_layers(struct reading *r, const struct saved *s, struct err *e)
{
    str content;
    struct config c = { 0 };
    if (!s->config.len)
        return err_set(e, ERR_FORMAT, "manifest.json: no Config");
    r->ret->digest = promised_digest(r, s->config);
    if (read_file(r, s->config, &r->ret->digest, &content, e) < 0)
        return -1;
    CLEANUP(document_done) struct document d = { 0 };
    if (document_open(&d, s->config, content, e) < 0 ||
        in_document(&d, config_members(r, d.json, &c, e), e) < 0)
        return -1;
    if (r->platform->demanded && !image_platform_fits(r->platform, &c.platform))
        return no_such_platform(r, platform_text(r, &c.platform), e);
    if (!s->layers.named || !c.diff_ids.named)
        return err_set(e, ERR_FORMAT, STR_FMT ": names no %s",
                       STR_ARG(s->layers.named ? s->config : STR("manifest.json")),
                       s->layers.named ? "rootfs" : "Layers");
    if (c.diff_ids.count != s->layers.count)
        return err_set(e, ERR_FORMAT, STR_FMT ": %zu diff ids, but manifest.json lists %zu layers",
                       STR_ARG(s->config), c.diff_ids.count, s->layers.count);
    return name_layers(r, s, &c.diff_ids, e);
}

/* ---- OCI ---- */

struct descriptor {
    str media_type, digest, size; /* size: as it is written */
    struct image_platform platform;
    str name; /* org.opencontainers.image.ref.name, or containerd's full name */
    str full_name;
    bool attestation;
};

/* Descriptors that are used must say how long their blob is; an index may lie about others. */
static int size_of(str path, const struct descriptor *d, uint64_t *ret, struct err *e)
{
    if (!d->size.len)
        return err_set(e, ERR_FORMAT, STR_FMT ": no size of " STR_FMT, STR_ARG(path), STR_ARG(d->digest));
    if (!str_to_u64(d->size, ret) || *ret > INT64_MAX)
        return err_set(e, ERR_FORMAT, STR_FMT ": size of " STR_FMT " is " STR_FMT ": not a number of bytes",
                       STR_ARG(path), STR_ARG(d->digest), STR_ARG(str_head(d->size, 64)));
    return 0;
}

/* The blob that a descriptor in `from` names. */
static int read_blob(struct reading *r, str from, const struct descriptor *d, str *ret, struct err *e)
{
    uint64_t size;
    str digest = d->digest;
    if (size_of(from, d, &size, e) < 0 || read_file(r, blob_path(r, digest), &digest, ret, e) < 0)
        return -1;
    return size == ret->len
               ? 0
               : err_set(e, ERR_DIGEST, STR_FMT ": says that " STR_FMT " has %llu bytes, but it has %zu",
                         STR_ARG(from), STR_ARG(d->digest), (unsigned long long)size, ret->len);
}

static int keep_number(struct reading *r, struct json *j, str *ret, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type != JSON_NUMBER)
        return err_set(e, ERR_FORMAT, "byte %llu: not a number", (unsigned long long)json_offset(j));
    *ret = arena_dup(r->arena, text);
    return arena_failed(r->arena) ? err_set(e, ERR_OOM, "manifest") : 0;
}

static int platform_members(struct reading *r, struct json *j, struct descriptor *d, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        int result = str_eq(key, STR("os"))             ? keep_string(r, j, &d->platform.os, e)
                     : str_eq(key, STR("architecture")) ? keep_string(r, j, &d->platform.architecture, e)
                     : str_eq(key, STR("variant"))      ? keep_string(r, j, &d->platform.variant, e)
                                                        : json_skip(j, e);
        if (result < 0)
            return -1;
    }
    return more;
}

static int annotation_members(struct reading *r, struct json *j, struct descriptor *d, struct err *e)
{
    str key, value = { 0 };
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool kind = str_eq(key, STR("vnd.docker.reference.type"));
        int result = kind                                                    ? json_string(j, &value, e)
                     : str_eq(key, STR("org.opencontainers.image.ref.name")) ? keep_string(r, j, &d->name, e)
                     : str_eq(key, STR("io.containerd.image.name")) ? keep_string(r, j, &d->full_name, e)
                                                                    : json_skip(j, e);
        if (result < 0)
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
                     : str_eq(key, STR("size"))        ? keep_number(r, j, &d->size, e)
                     : str_eq(key, STR("platform"))    ? platform_members(r, j, d, e)
                     : str_eq(key, STR("annotations")) ? annotation_members(r, j, d, e)
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
    struct descriptor config;
    struct saved saved; /* one of docker save's, which is no OCI document */
    bool is_index, is_manifest;
};

static int one_descriptor(struct reading *r, struct json *j, struct descriptor *d, struct err *e)
{
    return json_enter(j, JSON_OBJECT, e) < 0 ? -1 : descriptor_members(r, j, d, e);
}

static int oci_members(struct reading *r, struct json *j, struct oci_document *o, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool index = str_eq(key, STR("manifests")), manifest = str_eq(key, STR("layers"));
        int result = index                        ? keep_descriptors(r, j, &o->manifests, e)
                     : manifest                   ? keep_descriptors(r, j, &o->layers, e)
                     : str_eq(key, STR("config")) ? one_descriptor(r, j, &o->config, e)
                     : str_eq(key, STR("Config")) ? keep_string(r, j, &o->saved.config, e)
                     : str_eq(key, STR("Layers")) ? keep_strings(r, j, &o->saved.layers, e)
                                                  : json_skip(j, e);
        if (result < 0)
            return -1;
        o->is_index |= index;
        o->is_manifest |= manifest;
    }
    return more < 0 ? -1 : json_finish(j, e);
}

static bool is_candidate(const struct descriptor *m)
{
    return !m->attestation && !str_eq(m->platform.os, STR("unknown"));
}

/* Of the images that an index names, when nobody asked for one: the one for this machine, else the first. */
static const struct descriptor *choose(struct reading *r, const struct descriptors *d)
{
    const struct descriptor *first = NULL, *ours = NULL;
    size_t images = 0, matching = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct descriptor *m = &d->at[i];
        if (!is_candidate(m))
            continue;
        bool fits = image_platform_fits(r->platform, &m->platform);
        first = first ? first : m;
        ours = ours || !fits ? ours : m;
        matching += fits;
        images++;
    }
    if (matching > 1 || (!matching && images > 1))
        r->ret->note =
            arena_printf(r->arena, "the index names %zu images%s: only the first is scanned",
                         matching ? matching : images, matching ? "" : ", none of them for this machine");
    return ours ? ours : first;
}

static int add_note(struct reading *r, str note, struct err *e)
{
    r->ret->note = r->ret->note.len
                       ? arena_printf(r->arena, STR_FMT "; " STR_FMT, STR_ARG(r->ret->note), STR_ARG(note))
                       : note;
    return arena_failed(r->arena) ? err_set(e, ERR_OOM, "manifest") : 0;
}

/* Windows base layers and the like: their makers' licence keeps them out of other people's archives. */
static bool is_foreign(str type)
{
    return str_contains(type, STR("foreign")) || str_contains(type, STR("nondistributable"));
}

static int check_type(str path, str type, size_t i, struct err *e)
{
    if (str_contains(type, STR("+encrypted")))
        return err_set(e, ERR_UNSUPPORTED,
                       STR_FMT ": layer %zu is encrypted ('" STR_FMT "'): decrypt the image first",
                       STR_ARG(path), i + 1, STR_ARG(type));
    if (type.len && !str_contains(type, STR("layer")) && !str_contains(type, STR("rootfs")))
        return err_set(e, ERR_UNSUPPORTED, STR_FMT ": layer %zu is '" STR_FMT "': not an image of files",
                       STR_ARG(path), i + 1, STR_ARG(type));
    return 0;
}

static int leave_out(struct reading *r, size_t i, const struct image_layer *l, struct err *e)
{
    r->ret->partial = true;
    r->ret->key = arena_printf(r->arena, STR_FMT " without %zu", STR_ARG(r->ret->key), i + 1);
    return add_note(r,
                    arena_printf(r->arena,
                                 "layer %zu (" STR_FMT
                                 ") may not be distributed and is not in the image: it was left "
                                 "out, and packages may be missing",
                                 i + 1, STR_ARG(l->digest)),
                    e);
}

static int oci_layers(struct reading *r, str path, const struct descriptors *layers, struct err *e)
{
    struct image_manifest *m = r->ret;
    m->layers = arena_array(r->arena, struct image_layer, layers->count + 1);
    if (!m->layers)
        return err_set(e, ERR_OOM, "manifest");
    for (size_t i = 0; i < layers->count; i++) {
        const struct descriptor *d = &layers->at[i];
        struct image_layer l = { .path = blob_path(r, d->digest), .digest = d->digest };
        if (check_type(path, d->media_type, i, e) < 0 || size_of(path, d, &l.size, e) < 0)
            return -1;
        if (!l.size)
            return err_set(e, ERR_FORMAT, STR_FMT ": size of layer %zu (" STR_FMT ") is 0", STR_ARG(path),
                           i + 1, STR_ARG(d->digest));
        bool absent = is_foreign(d->media_type) && r->files->has && !r->files->has(r->files, l.path);
        if (absent && leave_out(r, i, &l, e) < 0)
            return -1;
        if (!absent)
            m->layers[m->layer_count++] = l;
    }
    return 0;
}

/* Only an image's own config is of a known form: artifacts bring others. */
static bool is_image_config(str type)
{
    return !type.len || str_contains(type, STR("image.config.")) ||
           str_contains(type, STR("container.image."));
}

static int read_config(struct reading *r, str path, const struct oci_document *o, struct config *c,
                       struct err *e)
{
    str content, name = arena_printf(r->arena, "config " STR_FMT, STR_ARG(o->config.digest));
    if (!o->config.digest.len || !is_image_config(o->config.media_type))
        return 0;
    CLEANUP(document_done) struct document d = { 0 };
    if (read_blob(r, path, &o->config, &content, e) < 0 || document_open(&d, name, content, e) < 0 ||
        in_document(&d, config_members(r, d.json, c, e), e) < 0)
        return -1;
    if (c->diff_ids.named && c->diff_ids.count != o->layers.count)
        return err_set(e, ERR_FORMAT, STR_FMT ": %zu diff ids, but the manifest lists %zu layers",
                       STR_ARG(name), c->diff_ids.count, o->layers.count);
    for (size_t i = 0; i < c->diff_ids.count; i++)
        if (!digest_valid(c->diff_ids.at[i]))
            return err_set(e, ERR_UNSUPPORTED, STR_FMT ": layer %zu: digest '" STR_FMT "' is not sha256",
                           STR_ARG(name), i + 1, STR_ARG(c->diff_ids.at[i]));
    return 0;
}

static int other_platform(struct reading *r, const struct image_platform *p, struct err *e)
{
    str text = p->architecture.len ? platform_text(r, p) : STR("unknown");
    if (r->others.len > 2000) /* enough to see what there is */
        return 0;
    r->others = r->others.len
                    ? arena_printf(r->arena, STR_FMT ", " STR_FMT, STR_ARG(r->others), STR_ARG(text))
                    : text;
    return arena_failed(r->arena) ? err_set(e, ERR_OOM, "manifest") : 0;
}

/* A manifest: 1 its layers are taken, 0 it is for another platform. `known`: its index said that it fits. */
static int take_manifest(struct reading *r, str path, str digest, const struct oci_document *o, bool known,
                         struct err *e)
{
    struct config c = { 0 };
    bool asked = r->platform->demanded && !known;
    if ((asked || !r->files->dear) && read_config(r, path, o, &c, e) < 0)
        return -1;
    if (asked && !image_platform_fits(r->platform, &c.platform))
        return other_platform(r, &c.platform, e);
    r->ret->digest = r->ret->key = digest;
    return oci_layers(r, path, &o->layers, e) < 0 ? -1 : 1;
}

static int read_node(struct reading *r, str path, str digest, str content, bool known, unsigned depth,
                     struct err *e);

static int follow(struct reading *r, str from, const struct descriptor *m, unsigned depth, struct err *e)
{
    str content;
    if (++r->reads > READS_MAX)
        return err_set(e, ERR_LIMIT, STR_FMT ": more than %d manifests to ask", STR_ARG(from), READS_MAX);
    if (read_blob(r, from, m, &content, e) < 0)
        return -1;
    return read_node(r, blob_path(r, m->digest), m->digest, content, m->platform.architecture.len, depth + 1,
                     e);
}

/* The demanded platform: an entry that does not say what it is for is asked itself. */
static int search(struct reading *r, str path, const struct descriptors *d, unsigned depth, struct err *e)
{
    size_t fitting = 0;
    int found = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct descriptor *m = &d->at[i];
        bool says = m->platform.architecture.len,
             fits = says && image_platform_fits(r->platform, &m->platform);
        if (!is_candidate(m))
            continue;
        if (says && !fits && other_platform(r, &m->platform, e) < 0)
            return -1;
        fitting += fits;
        if (!found && (fits || !says) && (found = follow(r, path, m, depth, e)) < 0)
            return -1;
    }
    if (found && fitting > 1)
        return add_note(r,
                        arena_printf(r->arena,
                                     "the index names %zu images for " STR_FMT ": only the first is scanned",
                                     fitting, STR_ARG(platform_text(r, r->platform))),
                        e) < 0
                   ? -1
                   : 1;
    return found;
}

/* 1 the image's layers are known, 0 it is for another platform, -1. */
static bool is_chosen(const struct descriptor *d, str choice)
{
    return str_eq(choice, d->digest) || str_eq(choice, d->name) || str_eq(choice, d->full_name);
}

/* Leaves those that were asked for by name: of one name there may be several, for as many platforms. */
static int choose_by_name(struct reading *r, struct descriptors *d, struct err *e)
{
    str there = STR("");
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        str name = d->at[i].name.len ? d->at[i].name : d->at[i].digest;
        if (is_chosen(&d->at[i], r->files->choice))
            d->at[kept++] = d->at[i];
        if (there.len < NAMES_MAX)
            there = arena_printf(r->arena, STR_FMT "%s" STR_FMT, STR_ARG(there), there.len ? ", " : "",
                                 STR_ARG(str_head(name, NAMES_MAX)));
    }
    d->count = kept;
    return kept ? 0
                : err_set(e, ERR_NOT_FOUND, "index.json: no image '" STR_FMT "' in it, but: " STR_FMT,
                          STR_ARG(r->files->choice), STR_ARG(there.len ? there : STR("none")));
}

static int read_node(struct reading *r, str path, str digest, str content, bool known, unsigned depth,
                     struct err *e)
{
    struct oci_document o = { 0 };
    CLEANUP(document_done) struct document d = { 0 };
    if (depth > NESTING_MAX)
        return err_set(e, ERR_LIMIT, "index.json: indexes nested more than %d deep", NESTING_MAX);
    if (document_open(&d, path, content, e) < 0 || in_document(&d, oci_members(r, d.json, &o, e), e) < 0)
        return -1;
    if (o.is_manifest && digest.len)
        return take_manifest(r, path, digest, &o, known, e);
    if (r->bare && o.saved.layers.named)
        return saved_layers(r, &o.saved, e) < 0 ? -1 : 1;
    if (!o.is_index)
        return err_set(e, ERR_FORMAT, STR_FMT ": neither an index nor a manifest", STR_ARG(path));
    if (!depth && r->files->choice.len && choose_by_name(r, &o.manifests, e) < 0)
        return -1;
    if (r->platform->demanded)
        return search(r, path, &o.manifests, depth, e);
    const struct descriptor *next = choose(r, &o.manifests);
    return next ? follow(r, path, next, depth, e)
                : err_set(e, ERR_FORMAT, STR_FMT ": names no image", STR_ARG(path));
}

static int read_oci(struct reading *r, str path, str digest, str content, struct err *e)
{
    int found = read_node(r, path, digest, content, false, 0, e);
    if (found)
        return found < 0 ? -1 : 0;
    return no_such_platform(r, r->others.len ? r->others : STR("none"), e);
}

/* ---- manifest.json ---- */

static int read_docker(struct reading *r, str content, struct err *e)
{
    struct saved s = { 0 };
    struct saved_names names = { 0 };
    CLEANUP(document_done) struct document d = { 0 };
    if (document_open(&d, STR("manifest.json"), content, e) < 0 ||
        in_document(&d, saved_first(r, d.json, &s, &names, e), e) < 0 ||
        in_document(&d, json_finish(d.json, e), e) < 0)
        return -1;
    if (!names.images)
        return err_set(e, ERR_FORMAT, "manifest.json: no image");
    if (names.images > 1 && !r->files->choice.len)
        r->ret->note =
            arena_printf(r->arena, "the archive holds %zu images (" STR_FMT "): only the first is scanned",
                         names.images, STR_ARG(names.text));
    return saved_layers(r, &s, e);
}

/* manifest.json is a list in archives; an object is skopeo's, or a list's only element. */
static int read_manifest_json(struct reading *r, str content, struct err *e)
{
    str head = str_trim(content), digest = { 0 };
    if (!head.len || head.ptr[0] != '{')
        return read_docker(r, content, e);
    r->bare = true;
    if (digest_of(r, content, &digest, e) < 0)
        return -1;
    return read_oci(r, STR("manifest.json"), digest, content, e);
}

/* ---- ACI ---- */

static int read_aci(struct reading *r, str content, struct err *e)
{
    struct aci aci;
    if (aci_read(content, r->arena, &aci, e) < 0)
        return -1;
    struct image_platform is = { .os = aci.os, .architecture = aci.architecture };
    if (r->platform->demanded && aci.architecture.len && !image_platform_fits(r->platform, &is))
        return no_such_platform(r, platform_text(r, &is), e);
    r->ret->aci = true;
    r->ret->partial = aci.dependencies;
    if (!aci.dependencies)
        return 0;
    return add_note(r,
                    arena_printf(r->arena,
                                 "the ACI " STR_FMT
                                 " stands on %zu other images, which are not in it and were not "
                                 "read: packages may be missing",
                                 STR_ARG(aci.name), aci.dependencies),
                    e);
}

int image_manifest_read(struct image_files *files, const struct image_platform *platform, struct arena *arena,
                        struct image_manifest *ret, struct err *e)
{
    *ret = (struct image_manifest){ 0 };
    struct reading r = { .files = files, .arena = arena, .platform = platform, .ret = ret };
    str content;
    int found = files->oci ? 0 : files->read(files, STR("manifest.json"), arena, &content, e);
    if (found > 0)
        return read_manifest_json(&r, content, e);
    if (found == 0)
        found = files->read(files, STR("index.json"), arena, &content, e);
    if (found > 0)
        return read_oci(&r, STR("index.json"), STR(""), content, e);
    if (found == 0)
        found = files->read(files, STR("manifest"), arena, &content, e);
    if (found > 0)
        return read_aci(&r, content, e);
    if (found == 0 && (found = files->read(files, STR("repositories"), arena, &content, e)) > 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "an archive of a Docker before 1.10 (repositories, but no manifest.json): "
                       "load it into a newer one and save it again");
    return found < 0 ? -1
                     : err_set(e, ERR_FORMAT,
                               "not an image: neither manifest.json nor index.json in it (a root file system "
                               "is scanned as a folder)");
}
