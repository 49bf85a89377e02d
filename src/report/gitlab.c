/*
 * gitlab.c - GitLab's container scanning report, version 15.0.7, which all GitLab from 16 on takes.
 *
 * Suppressed findings are not in it: GitLab has its own ways to dismiss, and no place for ours.
 * Source     spec/integrations.md C.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "report/parts.h"

#define NAME_MAX_CHARS    255u
#define SOLUTION_MAX      7000u
#define DESCRIPTION_MAX   1048576u
#define IDENTIFIER_PREFIX 15u

struct gitlab {
    struct json_writer w;
    const struct report *r;
};

static const char *level(enum severity s)
{
    static const char *const names[SEVERITIES] = {
        [SEVERITY_UNKNOWN] = "Unknown", [SEVERITY_NEGLIGIBLE] = "Low", [SEVERITY_LOW] = "Low",
        [SEVERITY_MEDIUM] = "Medium",   [SEVERITY_HIGH] = "High",      [SEVERITY_CRITICAL] = "Critical",
        [SEVERITY_DEFCON1] = "Critical"
    };
    return names[s];
}

static void tool(struct json_writer *w, const char *key)
{
    json_w_key(w, key);
    json_w_object(w);
    json_w_text(w, "id", STR("eclair"));
    json_w_text(w, "name", STR("eclair"));
    json_w_text(w, "version", STR(ECLAIR_VERSION));
    json_w_key(w, "vendor");
    json_w_object(w);
    json_w_text(w, "name", STR("eclair"));
    json_w_object_end(w);
    json_w_object_end(w);
}

static void messages(struct gitlab *g)
{
    json_w_key(&g->w, "messages");
    json_w_array(&g->w);
    for (size_t i = 0; i < g->r->warning_count; i++) {
        json_w_object(&g->w);
        json_w_text(&g->w, "level", STR("warn"));
        json_w_text(&g->w, "value", g->r->warnings[i]);
        json_w_object_end(&g->w);
    }
    json_w_array_end(&g->w);
}

/* Not covered is not clean: such a scan has not succeeded. Times have no zone. */
static void scan(struct gitlab *g)
{
    char when[CLOCK_TEXT];
    clock_format(g->r->now, when);
    str time = str_head(str_from(when), strlen("2026-01-02T03:04:05"));
    json_w_key(&g->w, "scan");
    json_w_object(&g->w);
    tool(&g->w, "analyzer");
    tool(&g->w, "scanner");
    json_w_text(&g->w, "type", STR("container_scanning"));
    json_w_text(&g->w, "start_time", time);
    json_w_text(&g->w, "end_time", time);
    json_w_text(&g->w, "status", g->r->coverage == COVERAGE_NONE ? STR("failure") : STR("success"));
    messages(g);
    json_w_object_end(&g->w);
}

/* "cve" of "CVE-2024-1"; "other" where it begins otherwise. */
static void identifier(struct json_writer *w, str id, str link)
{
    char type[IDENTIFIER_PREFIX + 1] = "other";
    ptrdiff_t dash = str_find(id, '-');
    bool word = dash > 0 && dash <= (ptrdiff_t)IDENTIFIER_PREFIX;
    for (ptrdiff_t i = 0; word && i < dash; i++)
        word = (id.ptr[i] >= 'A' && id.ptr[i] <= 'Z') || (id.ptr[i] >= 'a' && id.ptr[i] <= 'z');
    for (ptrdiff_t i = 0; word && i <= dash; i++)
        type[i] = i == dash ? '\0' : (char)(id.ptr[i] | 0x20);
    json_w_object(w);
    json_w_text(w, "type", str_from(type));
    json_w_text(w, "name", id);
    json_w_text(w, "value", id);
    if (link.len)
        json_w_text(w, "url", link);
    json_w_object_end(w);
}

static void identifiers(struct json_writer *w, const struct finding *f)
{
    json_w_key(w, "identifiers");
    json_w_array(w);
    identifier(w, f->id, report_link(f));
    if (f->advisory.len)
        identifier(w, f->advisory, STR(""));
    json_w_array_end(w);
}

static void links(struct json_writer *w, const struct finding *f)
{
    str list[REPORT_LINKS_MAX];
    size_t n = report_links(f, list);
    json_w_key(w, "links");
    json_w_array(w);
    for (size_t i = 0; i < n; i++) {
        if (!report_link_ok(list[i]))
            continue;
        json_w_object(w);
        json_w_text(w, "url", list[i]);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void location(struct gitlab *g, const struct package *p)
{
    struct json_writer *w = &g->w;
    json_w_key(w, "location");
    json_w_object(w);
    json_w_key(w, "dependency");
    json_w_object(w);
    json_w_key(w, "package");
    json_w_object(w);
    json_w_text(w, "name", p->name);
    json_w_object_end(w);
    json_w_text(w, "version", p->version);
    json_w_object_end(w);
    json_w_text(w, "operating_system", report_system(g->r));
    json_w_text(w, "image", g->r->image->name.len ? g->r->image->name : STR("image"));
    json_w_object_end(w);
}

/* The same in the next scan: nothing of it changes with the image's content but the package itself. */
static void uuid(struct gitlab *g, const struct finding *f, const struct package *p)
{
    const str parts[] = { g->r->image->name, p->kind, p->name, p->version, p->arch, f->id };
    char text[REPORT_UUID];
    report_uuid(parts, sizeof parts / sizeof *parts, text);
    json_w_text(&g->w, "id", str_from(text));
}

static void vulnerability(struct gitlab *g, const struct finding *f)
{
    struct json_writer *w = &g->w;
    const struct package *p = &g->r->image->packages[f->package].package;
    CLEANUP(buf_done) struct buf advice = { .max = 1 << 20 };
    report_advice(&advice, f, p);
    json_w_object(w);
    uuid(g, f, p);
    json_w_text(w, "name", report_cut(report_title(f), NAME_MAX_CHARS));
    if (f->description.len)
        json_w_text(w, "description", report_cut(f->description, DESCRIPTION_MAX));
    json_w_text(w, "severity", str_from(level(f->severity)));
    json_w_text(w, "solution", report_cut(buf_view(&advice), SOLUTION_MAX));
    identifiers(w, f);
    links(w, f);
    location(g, p);
    json_w_object_end(w);
}

static void write_gitlab(const struct report *r, const struct report_options *o, struct buf *out)
{
    struct gitlab g = { .w = { .out = out, .indent = 2 }, .r = r };
    (void)o;
    json_w_object(&g.w);
    json_w_text(&g.w, "version", STR("15.0.7"));
    scan(&g);
    json_w_key(&g.w, "vulnerabilities");
    json_w_array(&g.w);
    for (size_t i = 0; i < r->match.finding_count && !out->failed; i++)
        vulnerability(&g, &r->match.findings[i]);
    json_w_array_end(&g.w);
    json_w_object_end(&g.w);
    buf_char(out, '\n');
}

const struct report_format report_gitlab = { "gitlab", "GitLab's container scanning report, 15.0.7",
                                             write_gitlab };
