/* sbom_json.c - CycloneDX and SPDX 2 as JSON: both are an object, and its members tell which it is. */
#include "base/cleanup.h"
#include "codec/json.h"
#include "index/sbom_reader.h"
#include "model/purl.h"

#define TEXT_MAX 8192u /* bytes of what is kept of a string: a purl is shorter */

struct reading {
    struct sbom_reader *r;
    struct json *j;
    str format, version;   /* "CycloneDX" and "1.6"; of SPDX "SPDX-2.3" alone */
    bool artifacts, graph; /* of syft's own format, of SPDX 3 */
};

static int text(struct reading *x, str *ret, struct err *e)
{
    enum json_type type;
    str s;
    if (json_next(x->j, &type, &s, e) < 0)
        return -1;
    *ret = STR("");
    if (type != JSON_STRING) /* what should be a text and is none says nothing */
        return json_skip_rest(x->j, type, e);
    *ret = arena_dup(x->r->arena, str_head(s, TEXT_MAX));
    return arena_failed(x->r->arena) ? err_set(e, ERR_OOM, "its packages") : 0;
}

/* Over each object of a list, or over one object; null and anything else is passed over. `each` reads the members. */
typedef int read_object(struct reading *x, void *ctx, struct err *e);

static int objects(struct reading *x, read_object *each, void *ctx, struct err *e)
{
    enum json_type type;
    str ignored;
    int more;
    if (json_next(x->j, &type, &ignored, e) < 0)
        return -1;
    if (type == JSON_OBJECT)
        return each(x, ctx, e);
    if (type != JSON_ARRAY)
        return json_skip_rest(x->j, type, e);
    while ((more = json_element(x->j, &type, &ignored, e)) > 0)
        if ((type == JSON_OBJECT ? each(x, ctx, e) : json_skip_rest(x->j, type, e)) < 0)
            return -1;
    return more;
}

/* ---- CycloneDX ---- */

static int property(struct reading *x, void *component, struct err *e)
{
    str key, name = { 0 }, value = { 0 };
    int more;
    while ((more = json_key(x->j, &key, e)) > 0)
        if ((str_eq(key, STR("name"))    ? text(x, &name, e)
             : str_eq(key, STR("value")) ? text(x, &value, e)
                                         : json_skip(x->j, e)) < 0)
            return -1;
    return more < 0 ? -1 : sbom_property(x->r, component, name, value, e);
}

static int component(struct reading *x, void *image, struct err *e)
{
    struct sbom_component c = { 0 };
    str key, group = { 0 };
    int more;
    while ((more = json_key(x->j, &key, e)) > 0) {
        int r = str_eq(key, STR("type"))          ? text(x, &c.type, e)
                : str_eq(key, STR("name"))        ? text(x, &c.name, e)
                : str_eq(key, STR("group"))       ? text(x, &group, e)
                : str_eq(key, STR("version"))     ? text(x, &c.version, e)
                : str_eq(key, STR("description")) ? text(x, &c.description, e)
                : str_eq(key, STR("purl"))        ? text(x, &c.purl, e)
                : str_eq(key, STR("properties"))  ? objects(x, property, &c, e)
                : str_eq(key, STR("components"))  ? objects(x, component, NULL, e)
                                                  : json_skip(x->j, e);
        if (r < 0)
            return -1;
    }
    c.system = str_eq(c.type, STR("operating-system"));
    c.file = image || (c.type.len && !str_eq(c.type, STR("library")) && !str_eq(c.type, STR("framework")));
    return more < 0 ? -1 : sbom_add(x->r, &c, e);
}

static int metadata(struct reading *x, void *ctx, struct err *e)
{
    str key;
    int more;
    (void)ctx;
    while ((more = json_key(x->j, &key, e)) > 0)
        if ((str_eq(key, STR("component"))    ? objects(x, component, x, e)
             : str_eq(key, STR("properties")) ? objects(x, property, NULL, e)
                                              : json_skip(x->j, e)) < 0)
            return -1;
    return more;
}

/* ---- SPDX 2 ---- */

static int reference(struct reading *x, void *component, struct err *e)
{
    struct sbom_component *c = component;
    str key, type = { 0 }, locator = { 0 };
    int more;
    while ((more = json_key(x->j, &key, e)) > 0)
        if ((str_eq(key, STR("referenceType"))      ? text(x, &type, e)
             : str_eq(key, STR("referenceLocator")) ? text(x, &locator, e)
                                                    : json_skip(x->j, e)) < 0)
            return -1;
    if (str_eq(type, STR("purl")) && !c->purl.len)
        c->purl = locator;
    return more;
}

static int package(struct reading *x, void *ctx, struct err *e)
{
    struct sbom_component c = { 0 };
    str key;
    int more;
    (void)ctx;
    while ((more = json_key(x->j, &key, e)) > 0) {
        int r = str_eq(key, STR("name"))                    ? text(x, &c.name, e)
                : str_eq(key, STR("versionInfo"))           ? text(x, &c.version, e)
                : str_eq(key, STR("summary"))               ? text(x, &c.description, e)
                : str_eq(key, STR("primaryPackagePurpose")) ? text(x, &c.type, e)
                : str_eq(key, STR("externalRefs"))          ? objects(x, reference, &c, e)
                                                            : json_skip(x->j, e);
        if (r < 0)
            return -1;
    }
    sbom_spdx_purpose(&c);
    return more < 0 ? -1 : sbom_add(x->r, &c, e);
}

static int annotation(struct reading *x, void *ctx, struct err *e)
{
    str key, comment = { 0 };
    int more;
    (void)ctx;
    while ((more = json_key(x->j, &key, e)) > 0)
        if ((str_eq(key, STR("comment")) ? text(x, &comment, e) : json_skip(x->j, e)) < 0)
            return -1;
    return more < 0 ? -1 : sbom_spdx_comment(x->r, comment, e);
}

/* ---- the document ---- */

static int member(struct reading *x, str key, struct err *e)
{
    static const struct {
        const char *key;
        read_object *read;
    } lists[] = { { "components", component },
                  { "metadata", metadata },
                  { "packages", package },
                  { "annotations", annotation } };
    if (str_eq(key, STR("bomFormat")))
        return text(x, &x->format, e);
    if (str_eq(key, STR("specVersion")))
        return text(x, &x->version, e);
    if (str_eq(key, STR("spdxVersion")))
        return text(x, &x->format, e);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (str_eq(key, str_from(lists[i].key)))
            return objects(x, lists[i].read, NULL, e);
    x->artifacts |= str_eq(key, STR("artifacts"));
    x->graph |= str_eq(key, STR("@graph"));
    return json_skip(x->j, e);
}

static int check_format(const struct reading *x, struct err *e)
{
    if (str_eq(x->format, STR("CycloneDX")))
        return sbom_cyclonedx_version(x->version, e);
    if (str_starts(x->format, STR("SPDX-")))
        return sbom_spdx_version(x->format, e);
    if (x->graph)
        return err_set(e, ERR_UNSUPPORTED, "SPDX 3 is not read: write it as SPDX 2.3 or CycloneDX");
    if (x->artifacts)
        return err_set(e, ERR_UNSUPPORTED,
                       "the own format of syft is not read: syft convert FILE -o cyclonedx-json");
    return err_set(e, ERR_FORMAT,
                   "JSON, but no SBOM: neither bomFormat (CycloneDX) nor spdxVersion (SPDX 2) in it");
}

int sbom_json(struct sbom_reader *r, str content, struct err *e)
{
    str key;
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(content, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    struct reading x = { .r = r, .j = j };
    if (!j)
        return -1;
    if (str_starts(content, STR("[")))
        return err_set(e, ERR_FORMAT, "JSON, but no SBOM: a list");
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0)
        if (member(&x, key, e) < 0)
            return -1;
    return more < 0 || json_finish(j, e) < 0 ? -1 : check_format(&x, e);
}
