/* sbom_text.c - SPDX 2 as tag-value, and what all of SPDX and of CycloneDX have in common. */
#include "index/sbom_reader.h"

int sbom_cyclonedx_version(str version, struct err *e)
{
    if (str_starts(version, STR("1.")))
        return 0;
    return err_set(e, ERR_UNSUPPORTED, "CycloneDX " STR_FMT ": 1.2 to 1.7 are read",
                   STR_ARG(version.len ? str_head(version, 40) : STR("without a specVersion")));
}

int sbom_spdx_version(str version, struct err *e)
{
    if (str_starts(version, STR("SPDX-2.")))
        return 0;
    return err_set(e, ERR_UNSUPPORTED, STR_FMT ": SPDX-2.x is read", STR_ARG(str_head(version, 40)));
}

/* "OPERATING_SYSTEM" in JSON, "OPERATING-SYSTEM" in tag-value; trivy names the image CONTAINER, syft does so too. */
void sbom_spdx_purpose(struct sbom_component *c)
{
    c->system = str_starts(c->type, STR("OPERATING")) && !c->purl.len;
    c->file = c->type.len && !str_eq(c->type, STR("LIBRARY")) && !str_eq(c->type, STR("FRAMEWORK")) &&
              !str_eq(c->type, STR("INSTALL"));
}

/* "eclair:fact:content-set=rhel-9-for-x86_64-baseos-rpms" */
int sbom_spdx_comment(struct sbom_reader *r, str comment, struct err *e)
{
    str value = comment, name = str_cut(&value, '=');
    return str_starts(name, STR("eclair:")) ? sbom_property(r, NULL, name, value, e) : 0;
}

/* ---- tag-value ---- */

struct tags {
    struct sbom_reader *r;
    struct sbom_component c;
    bool open;   /* c is a package that has begun */
    str version; /* of the document */
};

static int end_package(struct tags *t, struct err *e)
{
    if (!t->open)
        return 0;
    t->open = false;
    sbom_spdx_purpose(&t->c);
    return sbom_add(t->r, &t->c, e);
}

/* "PACKAGE-MANAGER purl pkg:deb/debian/zlib1g@1" */
static void reference(struct tags *t, str value)
{
    str_word(&value);
    str type = str_word(&value), locator = str_word(&value);
    if (str_eq(type, STR("purl")) && !t->c.purl.len)
        t->c.purl = locator;
}

static int tag(struct tags *t, str name, str value, struct err *e)
{
    const struct {
        const char *name;
        str *to;
    } kept[] = { { "PackageVersion", &t->c.version },
                 { "PackageSummary", &t->c.description },
                 { "PrimaryPackagePurpose", &t->c.type } };
    if (str_eq(name, STR("SPDXVersion")))
        t->version = value;
    if (str_eq(name, STR("AnnotationComment")))
        return sbom_spdx_comment(t->r, value, e);
    if (str_eq(name, STR("PackageName"))) {
        if (end_package(t, e) < 0)
            return -1;
        t->c = (struct sbom_component){ .name = value };
        t->open = true;
    }
    if (str_eq(name, STR("ExternalRef")))
        reference(t, value);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (str_eq(name, str_from(kept[i].name)))
            *kept[i].to = value;
    return 0;
}

/* "<text>...</text>" may go over many lines: *rest moves behind it. */
static str unwrap(str value, str *rest)
{
    static const char end[] = "</text>";
    const size_t open = sizeof "<text>" - 1;
    if (!str_starts(value, STR("<text>")))
        return value;
    const char *from = value.ptr + open, *stop = rest->ptr + rest->len;
    const char *at = memmem(from, (size_t)(stop - from), end, sizeof end - 1);
    if (!at) {
        *rest = STR("");
        return str_skip(value, open);
    }
    if (at >= rest->ptr) {
        *rest = str_of(at, (size_t)(stop - at));
        str_line(rest);
    }
    return str_trim(str_of(from, (size_t)(at - from)));
}

int sbom_tag_value(struct sbom_reader *r, str content, struct err *e)
{
    struct tags t = { .r = r };
    str rest = content;
    for (size_t number = 1; rest.len; number++) {
        str line = str_trim(str_line(&rest)), value = line;
        if (!line.len || line.ptr[0] == '#')
            continue;
        str name = str_cut(&value, ':');
        if (name.len == line.len)
            return err_set(e, ERR_FORMAT, "SPDX: entry %zu: '" STR_FMT "' is no tag with a value", number,
                           STR_ARG(str_head(line, 40)));
        value = unwrap(str_trim(value), &rest);
        if (tag(&t, name, value, e) < 0)
            return -1;
    }
    return end_package(&t, e) < 0 ? -1 : sbom_spdx_version(t.version, e);
}
