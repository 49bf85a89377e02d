/*
 * content_manifest.c - what Red Hat's build system notes in an image: from which repositories its packages came.
 *
 * Facts      "content-set": the id of a repository, one for each; "from-dnf-hint" "true": the list is not complete, dnf's history
 *            knows better; "image-layer-index": the layer of the image that the file describes.
 * Source     spec/packages.md 2.5
 */
#include "detect/buildinfo.h"

enum { SETS_MAX = 1000 };

static int read_sets(struct json *j, struct detected *out, struct err *e)
{
    enum json_type type;
    str id;
    size_t count = 0;
    int r = json_enter_or_null(j, JSON_ARRAY, e);
    if (r <= 0)
        return r;
    while ((r = json_element(j, &type, &id, e)) > 0) {
        if (type != JSON_STRING)
            return err_set(e, ERR_FORMAT, "content_sets: element %zu is not a text", count);
        if (++count > SETS_MAX)
            return err_set(e, ERR_LIMIT, "content_sets: more than %d repositories", SETS_MAX);
        if (id.len && !detected_fact(out, STR("content-set"), id))
            return err_set(e, ERR_OOM, "content_sets");
    }
    return r;
}

/* A number, or true: any other value tells nothing. */
static int read_value(struct json *j, str fact, enum json_type want, struct detected *out, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type == want)
        return detected_fact(out, fact, want == JSON_TRUE ? STR("true") : text) ? 0
                                                                                : err_set(e, ERR_OOM, "fact");
    return json_skip_rest(j, type, e);
}

static int read_metadata(struct json *j, struct detected *out, struct err *e)
{
    str key;
    int r = json_enter_or_null(j, JSON_OBJECT, e);
    if (r <= 0)
        return r;
    while ((r = json_key(j, &key, e)) > 0) {
        if (str_eq(key, STR("image_layer_index")))
            r = read_value(j, STR("image-layer-index"), JSON_NUMBER, out, e);
        else
            r = json_skip(j, e);
        if (r < 0)
            return r;
    }
    return r;
}

static int read_manifest(void *ctx, struct json *j, struct detected *out, struct err *e)
{
    str key;
    int r;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((r = json_key(j, &key, e)) > 0) {
        if (str_eq(key, STR("content_sets")))
            r = read_sets(j, out, e);
        else if (str_eq(key, STR("from_dnf_hint")))
            r = read_value(j, STR("from-dnf-hint"), JSON_TRUE, out, e);
        else if (str_eq(key, STR("metadata")))
            r = read_metadata(j, out, e);
        else
            r = json_skip(j, e);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : json_finish(j, e);
}

static int content_manifest_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    return buildinfo_json(file->content, NULL, read_manifest, out, e) < 0 ? -1 : 0;
}

const struct detector detector_content_manifest = {
    .name = "content-manifest",
    .version = 1,
    /* The last pattern also matches labels.json, which buildinfo_labels.c takes first. */
    .paths = "root/buildinfo/content_manifests/*.json usr/share/buildinfo/content_manifests/*.json "
             "usr/share/buildinfo/*.json",
    .scan = content_manifest_scan,
    .hints = true,
};
