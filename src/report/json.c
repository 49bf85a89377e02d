/* json.c - `eclair scan --format json`; its shape is docs/report.schema.json. */
#include "base/clock.h"
#include "codec/sha256.h"
#include "report/json.h"
#include "report/parts.h"

#define SCHEMA_VERSION 1

static void image(struct json_writer *w, const struct report *r)
{
    const struct image_index *i = r->image;
    json_w_key(w, "image");
    json_w_object(w);
    json_w_text(w, "name", i->name);
    json_w_text(w, "digest", i->digest);
    json_w_object_end(w);
    json_w_key(w, "distribution");
    if (!i->distribution.id.len) {
        json_w_null(w);
        return;
    }
    json_w_object(w);
    json_w_text(w, "id", i->distribution.id);
    json_w_text(w, "version", i->distribution.version);
    json_w_text(w, "name", i->distribution.name);
    json_w_text_or_null(w, "namespace", i->distribution.namespace);
    json_w_text_or_null(w, "end_of_life", r->end_of_life);
    json_w_object_end(w);
}

static void database(struct json_writer *w, const struct report *r)
{
    json_w_key(w, "database");
    json_w_object(w);
    json_w_number(w, "generation", r->match.generation);
    json_w_key(w, "feeds");
    json_w_array(w);
    for (size_t i = 0; i < r->match.feed_count; i++) {
        const struct match_feed *f = &r->match.feeds[i];
        char when[CLOCK_TEXT];
        clock_format(f->last_success, when);
        json_w_object(w);
        json_w_text(w, "name", f->name);
        json_w_text(w, "last_success", str_from(when));
        json_w_number(w, "age_seconds", r->now > f->last_success ? r->now - f->last_success : 0);
        json_w_object_end(w);
    }
    json_w_array_end(w);
    json_w_object_end(w);
}

static void layers(struct json_writer *w, const struct image_index *i)
{
    json_w_key(w, "layers");
    json_w_array(w);
    for (size_t k = 0; k < i->layer_count; k++) {
        json_w_object(w);
        json_w_text(w, "digest", i->layers[k]->digest);
        json_w_number(w, "size", (int64_t)i->layers[k]->size);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

/* Names are bytes: where JSON cannot show them, their digits are there too (design.md 9, Limits). */
static void name(struct json_writer *w, str value)
{
    json_w_text(w, "name", value);
    if (str_utf8(value) || value.len > PACKAGE_TEXT_MAX)
        return;
    char hex[2 * PACKAGE_TEXT_MAX + 1];
    hex_encode(value.ptr, value.len, hex);
    json_w_text(w, "name_hex", str_from(hex));
}

static void package(struct json_writer *w, const struct package *p)
{
    name(w, p->name);
    json_w_text(w, "version", p->version);
    json_w_text(w, "kind", p->kind);
    json_w_text(w, "arch", p->arch);
    json_w_text(w, "source", p->source);
    json_w_text(w, "source_version", p->source_version);
    json_w_text_or_null(w, "module", p->module);
}

void report_json_package(struct json_writer *w, const struct package *p)
{
    json_w_object(w);
    package(w, p);
    json_w_object_end(w);
}

static void packages(struct json_writer *w, const struct image_index *i)
{
    json_w_key(w, "packages");
    json_w_array(w);
    for (size_t k = 0; k < i->package_count; k++) {
        json_w_object(w);
        package(w, &i->packages[k].package);
        json_w_text(w, "layer", report_layer(i, i->packages[k].layer));
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void removed(struct json_writer *w, const struct image_index *i)
{
    json_w_key(w, "removed_packages");
    json_w_array(w);
    for (size_t k = 0; k < i->removed_count; k++) {
        const struct package *p = &i->removed[k].package;
        json_w_object(w);
        name(w, p->name);
        json_w_text(w, "version", p->version);
        json_w_text(w, "kind", p->kind);
        json_w_text(w, "arch", p->arch);
        json_w_text(w, "layer", report_layer(i, i->removed[k].layer));
        json_w_text(w, "removed_by", report_layer(i, i->removed[k].removed));
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void facts(struct json_writer *w, const struct image_index *i)
{
    json_w_key(w, "facts");
    json_w_array(w);
    for (size_t k = 0; k < i->fact_count; k++) {
        json_w_object(w);
        json_w_text(w, "name", i->facts[k].fact.name);
        json_w_text(w, "value", i->facts[k].fact.value);
        json_w_text(w, "layer", report_layer(i, i->facts[k].layer));
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void links(struct json_writer *w, const struct finding *f)
{
    str seen[REPORT_LINKS_MAX];
    size_t n = report_links(f, seen);
    json_w_key(w, "links");
    json_w_array(w);
    for (size_t i = 0; i < n; i++)
        json_w_str(w, seen[i]);
    json_w_array_end(w);
}

static void scores(struct json_writer *w, const struct metadata_source *s, bool *begun)
{
    for (size_t i = 0; i < s->meta.score_count; i++) {
        const struct cvss_score *c = &s->meta.scores[i];
        if (!*begun) {
            json_w_key(w, "cvss");
            json_w_array(w);
            *begun = true;
        }
        json_w_object(w);
        json_w_text(w, "version", c->version);
        json_w_text_or_null(w, "vector", c->vector);
        json_w_key(w, "base");
        json_w_decimal(w, c->base, 1);
        json_w_text(w, "source", c->source.len ? c->source : s->feed);
        json_w_object_end(w);
    }
}

static void epss(struct json_writer *w, const struct metadata *m)
{
    json_w_key(w, "epss");
    json_w_object(w);
    json_w_key(w, "score");
    json_w_decimal(w, m->epss, 6);
    json_w_key(w, "percentile");
    json_w_decimal(w, m->epss_percentile, 6);
    json_w_object_end(w);
}

static void kev(struct json_writer *w, const struct metadata *m)
{
    json_w_key(w, "kev");
    json_w_object(w);
    json_w_text(w, "added", m->kev.added);
    json_w_text_or_null(w, "due", m->kev.due);
    json_w_object_end(w);
}

/* Members that are there only when a source has said something. */
static void metadata(struct json_writer *w, const struct finding *f)
{
    bool begun = false;
    for (size_t i = 0; f->meta && i < f->meta->source_count; i++)
        scores(w, &f->meta->sources[i], &begun);
    if (begun)
        json_w_array_end(w);
    if (finding_epss(f))
        epss(w, finding_epss(f));
    if (finding_kev(f))
        kev(w, finding_kev(f));
}

void report_json_finding(struct json_writer *w, const struct image_index *i, const struct finding *f)
{
    const struct image_package *ip = &i->packages[f->package];
    json_w_object(w);
    json_w_text(w, "id", f->id);
    json_w_text_or_null(w, "advisory", f->advisory);
    json_w_text(w, "package", ip->package.name);
    json_w_text(w, "version", ip->package.version);
    json_w_text(w, "source", ip->package.source);
    json_w_text(w, "source_version", ip->package.source_version);
    json_w_text_or_null(w, "fixed_version", f->fixed_version);
    json_w_text(w, "fix_state", str_from(fix_state_name(f->state)));
    json_w_text(w, "severity", str_from(severity_name(f->severity)));
    json_w_text(w, "severity_source", f->severity_source);
    json_w_text(w, "namespace", f->namespace);
    json_w_text(w, "layer", report_layer(i, ip->layer));
    links(w, f);
    metadata(w, f);
    json_w_text(w, "feed", f->feed);
    json_w_text_or_null(w, "title", f->title);
    json_w_text_or_null(w, "description", f->description);
    json_w_flag(w, "uncertain", f->uncertain);
    json_w_object_end(w);
}

static void suppressed(struct json_writer *w, const struct report *r)
{
    json_w_key(w, "suppressed");
    json_w_array(w);
    for (size_t i = 0; i < r->suppressed_count; i++) {
        const struct suppressed *s = &r->suppressed[i];
        json_w_object(w);
        json_w_text(w, "by", s->by);
        json_w_text_or_null(w, "reason", s->reason);
        json_w_text_or_null(w, "status", s->status);
        json_w_key(w, "finding");
        report_json_finding(w, r->image, &s->finding);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void warnings(struct json_writer *w, const struct report *r)
{
    json_w_key(w, "warnings");
    json_w_array(w);
    for (size_t i = 0; i < r->warning_count; i++)
        json_w_str(w, r->warnings[i]);
    json_w_array_end(w);
}

static void contents(struct json_writer *w, const struct image_index *i)
{
    layers(w, i);
    packages(w, i);
    removed(w, i);
    facts(w, i);
}

void report_json_image(struct json_writer *w, const struct report *r)
{
    image(w, r);
    warnings(w, r);
    contents(w, r->image);
}

/* Room for the whole report at once, as a rule: growing copies. */
static size_t guess_size(const struct report *r)
{
    size_t n = 4096 + r->image->package_count * 400 + r->image->removed_count * 300;
    for (size_t i = 0; i < r->match.finding_count; i++)
        n += 700 + r->match.findings[i].description.len + r->match.findings[i].link.len;
    return n;
}

static void write_json(const struct report *r, const struct report_options *o, struct buf *out)
{
    (void)o;
    buf_reserve(out, guess_size(r));
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_object(&w);
    json_w_number(&w, "schema_version", SCHEMA_VERSION);
    image(&w, r);
    json_w_text(&w, "coverage", str_from(coverage_name(r->coverage)));
    warnings(&w, r);
    database(&w, r);
    contents(&w, r->image);
    json_w_key(&w, "findings");
    json_w_array(&w);
    for (size_t i = 0; i < r->match.finding_count; i++)
        report_json_finding(&w, r->image, &r->match.findings[i]);
    json_w_array_end(&w);
    suppressed(&w, r);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

const struct report_format report_json = { "json", "everything, for programs (docs/report.schema.json)",
                                           write_json };
