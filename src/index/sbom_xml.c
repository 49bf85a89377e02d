/* sbom_xml.c - CycloneDX as XML. */
#include "base/cleanup.h"
#include "codec/xml.h"
#include "index/sbom_reader.h"

#define TEXT_MAX 8192u

struct reading {
    struct sbom_reader *r;
    struct xml *x;
};

static int keep(struct reading *x, str s, str *ret, struct err *e)
{
    *ret = arena_dup(x->r->arena, str_head(s, TEXT_MAX));
    return arena_failed(x->r->arena) ? err_set(e, ERR_OOM, "its packages") : 0;
}

static int content(struct reading *x, str *ret, struct err *e)
{
    str s;
    return xml_content(x->x, &s, e) < 0 ? -1 : keep(x, s, ret, e);
}

static int properties(struct reading *x, struct sbom_component *c, struct err *e)
{
    str name, key, value;
    int more;
    while ((more = xml_child(x->x, &name, e)) > 0)
        if (keep(x, xml_attribute(x->x, "name"), &key, e) < 0 || content(x, &value, e) < 0 ||
            sbom_property(x->r, c, key, value, e) < 0)
            return -1;
    return more;
}

static int components(struct reading *x, struct err *e);

static int component_members(struct reading *x, struct sbom_component *c, struct err *e)
{
    str name;
    int more;
    while ((more = xml_child(x->x, &name, e)) > 0) {
        int r = str_eq(name, STR("name"))          ? content(x, &c->name, e)
                : str_eq(name, STR("version"))     ? content(x, &c->version, e)
                : str_eq(name, STR("description")) ? content(x, &c->description, e)
                : str_eq(name, STR("purl"))        ? content(x, &c->purl, e)
                : str_eq(name, STR("properties"))  ? properties(x, c, e)
                : str_eq(name, STR("components"))  ? components(x, e)
                                                   : xml_skip(x->x, e);
        if (r < 0)
            return -1;
    }
    return more;
}

static int component(struct reading *x, bool image, struct err *e)
{
    struct sbom_component c = { 0 };
    if (keep(x, xml_attribute(x->x, "type"), &c.type, e) < 0 || component_members(x, &c, e) < 0)
        return -1;
    c.system = str_eq(c.type, STR("operating-system"));
    c.file = image || (c.type.len && !str_eq(c.type, STR("library")) && !str_eq(c.type, STR("framework")));
    return sbom_add(x->r, &c, e);
}

static int components(struct reading *x, struct err *e)
{
    str name;
    int more;
    while ((more = xml_child(x->x, &name, e)) > 0)
        if ((str_eq(name, STR("component")) ? component(x, false, e) : xml_skip(x->x, e)) < 0)
            return -1;
    return more;
}

static int metadata(struct reading *x, struct err *e)
{
    str name;
    int more;
    while ((more = xml_child(x->x, &name, e)) > 0)
        if ((str_eq(name, STR("component"))    ? component(x, true, e)
             : str_eq(name, STR("properties")) ? properties(x, NULL, e)
                                               : xml_skip(x->x, e)) < 0)
            return -1;
    return more;
}

/* The version of the specification is in the name space, which the reader cuts off: all of 1.x have these elements. */
int sbom_xml(struct sbom_reader *r, str text, struct err *e)
{
    str name;
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(xml_freep) struct xml *x = in ? xml_new(in, e) : NULL;
    struct reading reading = { .r = r, .x = x };
    if (!x || xml_root(x, &name, e) < 0)
        return -1;
    if (!str_eq(name, STR("bom")))
        return err_set(e, ERR_FORMAT, "XML, but no SBOM: its root is '" STR_FMT "', not CycloneDX's bom",
                       STR_ARG(str_head(name, 40)));
    while ((more = xml_child(x, &name, e)) > 0)
        if ((str_eq(name, STR("components")) ? components(&reading, e)
             : str_eq(name, STR("metadata")) ? metadata(&reading, e)
                                             : xml_skip(x, e)) < 0)
            return -1;
    return more < 0 ? -1 : xml_finish(x, e);
}
