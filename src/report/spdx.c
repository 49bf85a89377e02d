/*
 * spdx.c - SPDX 2.3 as JSON: the image, its distribution and its packages; advisories as references of the packages.
 *
 * Source     spec/integrations.md D4.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "model/purl.h"
#include "report/parts.h"

#define IMAGE_ID  "SPDXRef-image"
#define SYSTEM_ID "SPDXRef-operating-system"

struct spdx {
    struct json_writer w;
    const struct report *r;
};

static void creation(struct spdx *s)
{
    char when[CLOCK_TEXT];
    clock_format(s->r->now, when);
    json_w_key(&s->w, "creationInfo");
    json_w_object(&s->w);
    json_w_text(&s->w, "created", str_from(when));
    json_w_key(&s->w, "creators");
    json_w_array(&s->w);
    json_w_str(&s->w, STR("Tool: eclair-" ECLAIR_VERSION));
    json_w_array_end(&s->w);
    json_w_object_end(&s->w);
}

/* What we do not know, as SPDX wants it said. */
static void unknown(struct json_writer *w)
{
    static const char *const keys[] = { "downloadLocation", "licenseConcluded", "licenseDeclared",
                                        "copyrightText", "supplier" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_w_text(w, keys[i], STR("NOASSERTION"));
    json_w_flag(w, "filesAnalyzed", false);
}

static void reference(struct json_writer *w, str category, str type, str locator, str comment)
{
    json_w_object(w);
    json_w_text(w, "referenceCategory", category);
    json_w_text(w, "referenceType", type);
    json_w_text(w, "referenceLocator", locator);
    if (comment.len)
        json_w_text(w, "comment", comment);
    json_w_object_end(w);
}

static void image(struct spdx *s)
{
    struct json_writer *w = &s->w;
    str digest = s->r->image->digest, head = STR("sha256:");
    CLEANUP(buf_done) struct buf purl = { .max = 1 << 16 };
    json_w_object(w);
    json_w_text(w, "SPDXID", STR(IMAGE_ID));
    json_w_text(w, "name", s->r->image->name);
    json_w_text(w, "versionInfo", digest);
    json_w_text(w, "primaryPackagePurpose", STR("CONTAINER"));
    unknown(w);
    if (str_starts(digest, head)) {
        json_w_key(w, "checksums");
        json_w_array(w);
        json_w_object(w);
        json_w_text(w, "algorithm", STR("SHA256"));
        json_w_text(w, "checksumValue", str_skip(digest, head.len));
        json_w_object_end(w);
        json_w_array_end(w);
    }
    purl_put_image(&purl, s->r->image->name, digest);
    if (purl.len) {
        json_w_key(w, "externalRefs");
        json_w_array(w);
        reference(w, STR("PACKAGE-MANAGER"), STR("purl"), buf_view(&purl), STR(""));
        json_w_array_end(w);
    }
    json_w_object_end(w);
}

static void operating_system(struct spdx *s)
{
    const struct distribution *d = &s->r->image->distribution;
    if (!d->id.len)
        return;
    json_w_object(&s->w);
    json_w_text(&s->w, "SPDXID", STR(SYSTEM_ID));
    json_w_text(&s->w, "name", d->id);
    if (d->version.len)
        json_w_text(&s->w, "versionInfo", d->version);
    if (d->name.len)
        json_w_text(&s->w, "summary", d->name);
    json_w_text(&s->w, "primaryPackagePurpose", STR("OPERATING_SYSTEM"));
    unknown(&s->w);
    json_w_object_end(&s->w);
}

static void spdx_id(struct spdx *s, const char *key, size_t package)
{
    char name[REPORT_REF], id[REPORT_REF + 16];
    report_ref(s->r->image, package, name);
    snprintf(id, sizeof id, "SPDXRef-%s", name);
    json_w_text(&s->w, key, str_from(id));
}

static void origin(struct spdx *s, const struct image_package *at)
{
    CLEANUP(buf_done) struct buf b = { .max = 1 << 16 };
    const struct package *p = &at->package;
    if (p->source.len)
        buf_printf(&b, "built from " STR_FMT " " STR_FMT "; ", STR_ARG(p->source),
                   STR_ARG(p->source_version));
    buf_printf(&b, "%s package, of layer " STR_FMT, "installed",
               STR_ARG(report_layer(s->r->image, at->layer)));
    json_w_text(&s->w, "sourceInfo", buf_view(&b));
}

/* *next: the first finding of this package or a later one. */
static void references(struct spdx *s, size_t package, size_t *next)
{
    const struct match *m = &s->r->match;
    CLEANUP(buf_done) struct buf purl = { .max = 1 << 16 };
    purl_put(&purl, &s->r->image->packages[package].package, &s->r->image->distribution);
    json_w_key(&s->w, "externalRefs");
    json_w_array(&s->w);
    reference(&s->w, STR("PACKAGE-MANAGER"), STR("purl"), buf_view(&purl), STR(""));
    for (; *next < m->finding_count && m->findings[*next].package == package; (*next)++) {
        const struct finding *f = &m->findings[*next];
        str link = report_link(f);
        if (link.len)
            reference(&s->w, STR("SECURITY"), STR("advisory"), link, f->id);
    }
    json_w_array_end(&s->w);
}

static void packages(struct spdx *s)
{
    size_t next = 0;
    json_w_key(&s->w, "packages");
    json_w_array(&s->w);
    image(s);
    operating_system(s);
    for (size_t i = 0; i < s->r->image->package_count && !s->w.out->failed; i++) {
        const struct image_package *at = &s->r->image->packages[i];
        json_w_object(&s->w);
        spdx_id(s, "SPDXID", i);
        json_w_text(&s->w, "name", at->package.name);
        json_w_text(&s->w, "versionInfo", at->package.version);
        origin(s, at);
        unknown(&s->w);
        references(s, i, &next);
        json_w_object_end(&s->w);
    }
    json_w_array_end(&s->w);
}

static void contains_system(struct spdx *s)
{
    json_w_object(&s->w);
    json_w_text(&s->w, "spdxElementId", STR(IMAGE_ID));
    json_w_text(&s->w, "relationshipType", STR("CONTAINS"));
    json_w_text(&s->w, "relatedSpdxElement", STR(SYSTEM_ID));
    json_w_object_end(&s->w);
}

static void relationships(struct spdx *s)
{
    json_w_key(&s->w, "relationships");
    json_w_array(&s->w);
    json_w_object(&s->w);
    json_w_text(&s->w, "spdxElementId", STR("SPDXRef-DOCUMENT"));
    json_w_text(&s->w, "relationshipType", STR("DESCRIBES"));
    json_w_text(&s->w, "relatedSpdxElement", STR(IMAGE_ID));
    json_w_object_end(&s->w);
    if (s->r->image->distribution.id.len)
        contains_system(s);
    for (size_t i = 0; i < s->r->image->package_count && !s->w.out->failed; i++) {
        json_w_object(&s->w);
        json_w_text(&s->w, "spdxElementId", STR(IMAGE_ID));
        json_w_text(&s->w, "relationshipType", STR("CONTAINS"));
        spdx_id(s, "relatedSpdxElement", i);
        json_w_object_end(&s->w);
    }
    json_w_array_end(&s->w);
}

static void annotation(struct spdx *s, const char *what, str name, str value)
{
    CLEANUP(buf_done) struct buf text = { .max = 1 << 16 };
    char when[CLOCK_TEXT];
    clock_format(s->r->now, when);
    buf_printf(&text, "eclair:%s" STR_FMT "=" STR_FMT, what, STR_ARG(name), STR_ARG(value));
    json_w_object(&s->w);
    json_w_text(&s->w, "annotationDate", str_from(when));
    json_w_text(&s->w, "annotationType", STR("OTHER"));
    json_w_text(&s->w, "annotator", STR("Tool: eclair-" ECLAIR_VERSION));
    json_w_text(&s->w, "comment", buf_view(&text));
    json_w_object_end(&s->w);
}

/* What a list of packages is judged by beside them: who reads it again gets the same findings (index/sbom.h). */
static void annotations(struct spdx *s)
{
    const struct image_index *i = s->r->image;
    if (!i->fact_count && !i->unreadable)
        return;
    json_w_key(&s->w, "annotations");
    json_w_array(&s->w);
    for (size_t k = 0; k < i->fact_count && !s->w.out->failed; k++)
        annotation(s, "fact:", i->facts[k].fact.name, i->facts[k].fact.value);
    if (i->unreadable)
        annotation(s, "unreadable", STR(""), STR("true"));
    json_w_array_end(&s->w);
}

static void write_spdx(const struct report *r, const struct report_options *o, struct buf *out)
{
    struct spdx s = { .w = { .out = out, .indent = 2 }, .r = r };
    char serial[REPORT_UUID], urn[64];
    (void)o;
    report_serial(r, STR("spdx"), serial);
    snprintf(urn, sizeof urn, "urn:uuid:%s", serial);
    json_w_object(&s.w);
    json_w_text(&s.w, "spdxVersion", STR("SPDX-2.3"));
    json_w_text(&s.w, "dataLicense", STR("CC0-1.0"));
    json_w_text(&s.w, "SPDXID", STR("SPDXRef-DOCUMENT"));
    json_w_text(&s.w, "name", r->image->name);
    json_w_text(&s.w, "documentNamespace", str_from(urn));
    creation(&s);
    packages(&s);
    relationships(&s);
    annotations(&s);
    json_w_object_end(&s.w);
    buf_char(out, '\n');
}

const struct report_format report_spdx = { "spdx", "SPDX 2.3 (JSON): packages and their advisories",
                                           write_spdx };
