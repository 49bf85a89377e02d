/*
 * cyclonedx.c - CycloneDX 1.6 as JSON: what is in the image, what is wrong with it, and what was said about that (VEX).
 *
 * Shape      a vulnerability for each id and judgement, with all packages that it affects. Severities go as a rating of method
 *            "other" from whose they are; CVSS scores as what they are.
 * Source     spec/integrations.md D3.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "model/purl.h"
#include "report/parts.h"

struct cyclonedx {
    struct json_writer w;
    const struct report *r;
};

static void property(struct json_writer *w, const char *name, str value)
{
    if (!value.len)
        return;
    json_w_object(w);
    json_w_text(w, "name", str_from(name));
    json_w_text(w, "value", value);
    json_w_object_end(w);
}

static void ref(struct cyclonedx *c, const char *key, size_t package)
{
    char text[REPORT_REF];
    report_ref(c->r->image, package, text);
    json_w_text(&c->w, key, str_from(text));
}

/* What a list of packages is judged by beside them: who reads it again gets the same findings (index/sbom.h). */
static void facts(struct cyclonedx *c)
{
    const struct image_index *i = c->r->image;
    for (size_t k = 0; k < i->fact_count && !c->w.out->failed; k++) {
        CLEANUP(buf_done) struct buf name = { .max = 1 << 16 };
        buf_printf(&name, "eclair:fact:" STR_FMT "%c", STR_ARG(i->facts[k].fact.name), '\0');
        if (!name.failed)
            property(&c->w, name.ptr, i->facts[k].fact.value);
    }
    if (i->unreadable)
        property(&c->w, "eclair:unreadable", STR("true"));
}

/* A component of the tool that made this, and the image. */
static void metadata(struct cyclonedx *c)
{
    struct json_writer *w = &c->w;
    CLEANUP(buf_done) struct buf purl = { .max = 1 << 16 };
    char when[CLOCK_TEXT];
    clock_format(c->r->now, when);
    json_w_key(w, "metadata");
    json_w_object(w);
    json_w_text(w, "timestamp", str_from(when));
    json_w_key(w, "tools");
    json_w_object(w);
    json_w_key(w, "components");
    json_w_array(w);
    json_w_object(w);
    json_w_text(w, "type", STR("application"));
    json_w_text(w, "name", STR("eclair"));
    json_w_text(w, "version", STR(ECLAIR_VERSION));
    json_w_object_end(w);
    json_w_array_end(w);
    json_w_object_end(w);
    json_w_key(w, "component");
    json_w_object(w);
    json_w_text(w, "type", STR("container"));
    json_w_text(w, "bom-ref", STR("image"));
    json_w_text(w, "name", c->r->image->name);
    json_w_text(w, "version", c->r->image->digest);
    purl_put_image(&purl, c->r->image->name, c->r->image->digest);
    if (purl.len)
        json_w_text(w, "purl", buf_view(&purl));
    json_w_object_end(w);
    json_w_key(w, "properties");
    json_w_array(w);
    property(w, "eclair:coverage", str_from(coverage_name(c->r->coverage)));
    for (size_t i = 0; i < c->r->warning_count; i++)
        property(w, "eclair:warning", c->r->warnings[i]);
    for (size_t i = 0; i < c->r->image->layer_count; i++)
        property(w, "eclair:layer", c->r->image->layers[i]->digest);
    facts(c);
    json_w_array_end(w);
    json_w_object_end(w);
}

static void system_component(struct cyclonedx *c)
{
    const struct distribution *d = &c->r->image->distribution;
    struct json_writer *w = &c->w;
    if (!d->id.len)
        return;
    json_w_object(w);
    json_w_text(w, "type", STR("operating-system"));
    json_w_text(w, "bom-ref", STR("operating-system"));
    json_w_text(w, "name", d->id);
    if (d->version.len)
        json_w_text(w, "version", d->version);
    if (d->name.len)
        json_w_text(w, "description", d->name);
    json_w_object_end(w);
}

static void component(struct cyclonedx *c, size_t number)
{
    const struct image_package *at = &c->r->image->packages[number];
    const struct package *p = &at->package;
    struct json_writer *w = &c->w;
    CLEANUP(buf_done) struct buf purl = { .max = 1 << 16 };
    purl_put(&purl, p, &c->r->image->distribution);
    json_w_object(w);
    json_w_text(w, "type", STR("library"));
    ref(c, "bom-ref", number);
    json_w_text(w, "name", p->name);
    json_w_text(w, "version", p->version);
    json_w_text(w, "purl", buf_view(&purl));
    json_w_key(w, "properties");
    json_w_array(w);
    property(w, "eclair:kind", p->kind);
    property(w, "eclair:source", p->source);
    property(w, "eclair:source_version", p->source_version);
    property(w, "eclair:module", p->module);
    property(w, "eclair:layer", report_layer(c->r->image, at->layer));
    json_w_array_end(w);
    json_w_object_end(w);
}

static void components(struct cyclonedx *c)
{
    json_w_key(&c->w, "components");
    json_w_array(&c->w);
    system_component(c);
    for (size_t i = 0; i < c->r->image->package_count && !c->w.out->failed; i++)
        component(c, i);
    json_w_array_end(&c->w);
}

static void dependencies(struct cyclonedx *c)
{
    char text[REPORT_REF];
    json_w_key(&c->w, "dependencies");
    json_w_array(&c->w);
    json_w_object(&c->w);
    json_w_text(&c->w, "ref", STR("image"));
    json_w_key(&c->w, "dependsOn");
    json_w_array(&c->w);
    if (c->r->image->distribution.id.len)
        json_w_str(&c->w, STR("operating-system"));
    for (size_t i = 0; i < c->r->image->package_count && !c->w.out->failed; i++) {
        report_ref(c->r->image, i, text);
        json_w_str(&c->w, str_from(text));
    }
    json_w_array_end(&c->w);
    json_w_object_end(&c->w);
    json_w_array_end(&c->w);
}

static const char *rating_name(enum severity s)
{
    static const char *const names[SEVERITIES] = {
        [SEVERITY_UNKNOWN] = "unknown", [SEVERITY_NEGLIGIBLE] = "info", [SEVERITY_LOW] = "low",
        [SEVERITY_MEDIUM] = "medium",   [SEVERITY_HIGH] = "high",       [SEVERITY_CRITICAL] = "critical",
        [SEVERITY_DEFCON1] = "critical"
    };
    return names[s];
}

static void source(struct json_writer *w, str name)
{
    if (!name.len)
        return;
    json_w_key(w, "source");
    json_w_object(w);
    json_w_text(w, "name", name);
    json_w_object_end(w);
}

static void score(struct json_writer *w, const struct cvss_score *s, str feed)
{
    static const char *const methods[CVSS_VERSIONS + 1] = { "other", "CVSSv2", "CVSSv3", "CVSSv31",
                                                            "CVSSv4" };
    static const char *const versions[CVSS_VERSIONS + 1] = { "", "2.0", "3.0", "3.1", "4.0" };
    int method = CVSS_VERSIONS;
    while (method > 0 && !str_eq(s->version, str_from(versions[method])))
        method--;
    json_w_object(w);
    source(w, s->source.len ? s->source : feed);
    json_w_key(w, "score");
    json_w_decimal(w, s->base, 1);
    json_w_text(w, "severity", str_from(rating_name(cvss_severity(s->version, s->base))));
    json_w_text(w, "method", str_from(methods[method]));
    if (s->vector.len)
        json_w_text(w, "vector", s->vector);
    json_w_object_end(w);
}

static void ratings(struct json_writer *w, const struct finding *f)
{
    json_w_key(w, "ratings");
    json_w_array(w);
    json_w_object(w);
    source(w, f->severity_source.len ? f->severity_source : f->feed);
    json_w_text(w, "severity", str_from(rating_name(f->severity)));
    json_w_text(w, "method", STR("other"));
    json_w_object_end(w);
    for (size_t i = 0; f->meta && i < f->meta->source_count; i++)
        for (size_t k = 0; k < f->meta->sources[i].meta.score_count; k++)
            score(w, &f->meta->sources[i].meta.scores[k], f->meta->sources[i].feed);
    json_w_array_end(w);
}

static void advisories(struct json_writer *w, const struct finding *f)
{
    str links[REPORT_LINKS_MAX];
    size_t n = report_links(f, links);
    json_w_key(w, "advisories");
    json_w_array(w);
    for (size_t i = 0; i < n; i++) {
        if (!report_link_ok(links[i]))
            continue;
        json_w_object(w);
        json_w_text(w, "url", links[i]);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void recommendation(struct json_writer *w, const struct report_row *rows, size_t count)
{
    CLEANUP(buf_done) struct buf b = { .max = 1 << 20 };
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].finding->fixed_version.len || rows[i].suppressed)
            continue;
        buf_str(&b, b.len ? STR("; ") : STR(""));
        report_advice(&b, rows[i].finding, &rows[i].at->package);
    }
    if (b.len && !b.failed)
        json_w_text(w, "recommendation", buf_view(&b));
}

static void affects(struct cyclonedx *c, const struct report_row *rows, size_t count)
{
    struct json_writer *w = &c->w;
    json_w_key(w, "affects");
    json_w_array(w);
    for (size_t i = 0; i < count; i++) {
        bool not = rows[i].suppressed && rows[i].suppressed->status.len;
        json_w_object(w);
        ref(c, "ref", rows[i].finding->package);
        json_w_key(w, "versions");
        json_w_array(w);
        json_w_object(w);
        json_w_text(w, "version", report_cut(rows[i].at->package.version, 1024));
        json_w_text(w, "status", not ? STR("unaffected") : STR("affected"));
        json_w_object_end(w);
        json_w_array_end(w);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void response(struct json_writer *w, str word)
{
    json_w_key(w, "response");
    json_w_array(w);
    json_w_str(w, word);
    json_w_array_end(w);
}

static void detail(struct json_writer *w, const struct suppressed *s)
{
    CLEANUP(buf_done) struct buf b = { .max = 1 << 20 };
    buf_str(&b, s->by);
    if (s->reason.len)
        buf_printf(&b, ": " STR_FMT, STR_ARG(s->reason));
    json_w_text(w, "detail", buf_view(&b));
}

/* A list that ignores a finding does not say that it is none: it is accepted. */
static void analysis_of_suppressed(struct json_writer *w, const struct suppressed *s)
{
    if (str_eq(s->status, STR("fixed")))
        json_w_text(w, "state", STR("resolved"));
    else if (s->status.len)
        json_w_text(w, "state", STR("not_affected"));
    else
        response(w, STR("will_not_fix"));
    detail(w, s);
}

static void analysis(struct json_writer *w, const struct report_row *row)
{
    json_w_key(w, "analysis");
    json_w_object(w);
    if (row->suppressed) {
        analysis_of_suppressed(w, row->suppressed);
    } else {
        switch (row->finding->state) {
        case FIX_FIXED:
            response(w, STR("update"));
            break;
        case FIX_WILL_NOT_FIX:
            response(w, STR("will_not_fix"));
            break;
        case FIX_END_OF_LIFE:
            response(w, STR("can_not_fix"));
            break;
        case FIX_UNDER_INVESTIGATION:
            json_w_text(w, "state", STR("in_triage"));
            break;
        case FIX_AFFECTED:
            break;
        }
    }
    json_w_object_end(w);
}

static void put_millionths(struct json_writer *w, const char *name, uint32_t v)
{
    char text[16];
    snprintf(text, sizeof text, "%u.%06u", v / EPSS_ONE, v % EPSS_ONE);
    property(w, name, str_from(text));
}

static void properties(struct json_writer *w, const struct finding *f)
{
    const struct metadata *epss = finding_epss(f), *kev = finding_kev(f);
    json_w_key(w, "properties");
    json_w_array(w);
    property(w, "eclair:feed", f->feed);
    property(w, "eclair:advisory", f->advisory);
    if (f->uncertain)
        property(w, "eclair:uncertain", STR("true"));
    if (epss) {
        put_millionths(w, "eclair:epss:score", epss->epss);
        put_millionths(w, "eclair:epss:percentile", epss->epss_percentile);
    }
    if (kev) {
        property(w, "eclair:kev:added", kev->kev.added);
        property(w, "eclair:kev:due", kev->kev.due);
    }
    json_w_array_end(w);
}

static void vulnerability(struct cyclonedx *c, const struct report_row *rows, size_t count)
{
    struct json_writer *w = &c->w;
    const struct finding *f = rows->finding;
    for (size_t i = 1; i < count; i++)
        f = rows[i].finding->severity > f->severity ? rows[i].finding : f;
    json_w_object(w);
    json_w_text(w, "id", f->id);
    source(w, f->feed);
    ratings(w, f);
    if (f->description.len || f->title.len)
        json_w_text(w, "description", f->description.len ? f->description : f->title);
    recommendation(w, rows, count);
    advisories(w, f);
    analysis(w, rows);
    affects(c, rows, count);
    properties(w, f);
    json_w_object_end(w);
}

static void vulnerabilities(struct cyclonedx *c)
{
    size_t count, n;
    CLEANUP(freep) struct report_row *rows = report_rows(c->r, true, &count, c->w.out);
    json_w_key(&c->w, "vulnerabilities");
    json_w_array(&c->w);
    if (rows)
        report_rows_by_id(rows, count);
    for (size_t i = 0; rows && i < count && !c->w.out->failed; i += n) {
        for (n = 1; i + n < count && report_row_same(&rows[i], &rows[i + n]);)
            n++;
        vulnerability(c, rows + i, n);
    }
    json_w_array_end(&c->w);
}

static void write_cyclonedx(const struct report *r, const struct report_options *o, struct buf *out)
{
    struct cyclonedx c = { .w = { .out = out, .indent = 2 }, .r = r };
    char serial[REPORT_UUID], urn[64];
    (void)o;
    report_serial(r, STR("cyclonedx"), serial);
    snprintf(urn, sizeof urn, "urn:uuid:%s", serial);
    json_w_object(&c.w);
    json_w_text(&c.w, "$schema", STR("http://cyclonedx.org/schema/bom-1.6.schema.json"));
    json_w_text(&c.w, "bomFormat", STR("CycloneDX"));
    json_w_text(&c.w, "specVersion", STR("1.6"));
    json_w_text(&c.w, "serialNumber", str_from(urn));
    json_w_number(&c.w, "version", 1);
    metadata(&c);
    components(&c);
    dependencies(&c);
    vulnerabilities(&c);
    json_w_object_end(&c.w);
    buf_char(out, '\n');
}

const struct report_format report_cyclonedx = { "cyclonedx",
                                                "CycloneDX 1.6: packages, vulnerabilities and VEX",
                                                write_cyclonedx };
