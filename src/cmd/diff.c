/* diff.c - what became better and what worse between two images: findings and packages. */
#include "base/cleanup.h"
#include "base/strmap.h"
#include "cmd/output.h"
#include "cmd/scan_formats.h"
#include "cmd/scan_run.h"
#include "cmd/scan_source.h"
#include "report/json.h"
#include "report/report.h"
#include "report/text.h"
#include "version/version.h"

struct own_options {
    struct scan_options scan;
    struct option_list formats;
    const char *output;
};

#define FIELD(name) offsetof(struct own_options, name)
static const struct option options[] = {
    { "format", "NAME[=FILE]", OPT_LIST, FIELD(formats),
      "table (default) or json; again for both, each with its file", 'f', .words = words_table_json },
    { "output", "FILE", OPT_TEXT, FIELD(output),
      "write it there, whole or not at all; of both that without a file of its own", 'o' },
    SCAN_POLICY_OPTIONS,
    { "exit-code", "N", OPT_NUMBER, SCAN_FIELD(exit_code),
      "exit with N when IMAGE2 has findings that IMAGE1 has not (default 0)" },
    { "fail-on", "NAME", OPT_TEXT, SCAN_FIELD(fail_on),
      "only findings from it on count for the exit code (4, or --exit-code)", .words = words_severities },
    SCAN_OPTIONS,
    { 0 },
};
_Static_assert(sizeof(struct own_options) <= OPTIONS_SIZE_MAX, "options");

/* A package that both have under one name; `a` or `b` NULL: only one has. */
struct change {
    const struct package *a, *b;
    int order; /* of their versions: -1 the second is younger, 1 it is older */
};

struct difference {
    struct scan *a, *b;
    struct arena *arena;
    const struct finding **gone, **fresh;
    size_t gone_count, fresh_count, stay;
    const struct package **old, **young; /* of one name, while it is looked at */
    struct change *changes;
    size_t change_count, count[4]; /* by enum */
};
enum { ADDED, REMOVED, UPGRADED, DOWNGRADED };

/* ---- findings: one is the same when its id and the package's name are ---- */

static str key_of(const struct scan *s, const struct finding *f, struct arena *arena)
{
    return arena_printf(arena, STR_FMT "\n" STR_FMT, STR_ARG(f->id),
                        STR_ARG(s->image->packages[f->package].package.name));
}

static int put_findings(const struct scan *s, struct strmap *ret, struct arena *arena, struct err *e)
{
    for (size_t i = 0; i < s->report.match.finding_count; i++) {
        void **at = strmap_at(ret, key_of(s, &s->report.match.findings[i], arena));
        if (!at || arena_failed(arena))
            return err_set(e, ERR_OOM, "findings");
        *at = &s->report.match.findings[i];
    }
    return 0;
}

/* Those of `s` that `other` has not. */
static const struct finding **missing(const struct scan *s, const struct strmap *other, struct arena *arena,
                                      size_t *ret_count)
{
    const struct match *m = &s->report.match;
    const struct finding **ret = arena_alloc(arena, m->finding_count + 1, sizeof *ret);
    for (size_t i = 0; ret && i < m->finding_count; i++)
        if (!strmap_get(other, key_of(s, &m->findings[i], arena)))
            ret[(*ret_count)++] = &m->findings[i];
    return ret;
}

static int compare_findings(struct difference *d, struct err *e)
{
    CLEANUP(strmap_done) struct strmap a = { 0 };
    CLEANUP(strmap_done) struct strmap b = { 0 };
    if (put_findings(d->a, &a, d->arena, e) < 0 || put_findings(d->b, &b, d->arena, e) < 0)
        return -1;
    d->gone = missing(d->a, &b, d->arena, &d->gone_count);
    d->fresh = missing(d->b, &a, d->arena, &d->fresh_count);
    d->stay = d->b->report.match.finding_count - d->fresh_count;
    return arena_failed(d->arena) ? err_set(e, ERR_OOM, "findings") : 0;
}

/* ---- packages: both lists are sorted by name ---- */

static int order_of(const struct package *a, const struct package *b)
{
    const struct version_scheme *s = version_scheme_by_name(b->kind);
    if (!s || !s->valid(a->version) || !s->valid(b->version))
        return -1;
    return s->compare(a->version, b->version);
}

static bool same_package(const struct package *a, const struct package *b)
{
    return str_eq(a->kind, b->kind) && str_eq(a->arch, b->arch);
}

static void add(struct difference *d, const struct package *a, const struct package *b)
{
    struct change c = { a, b, a && b ? order_of(a, b) : 0 };
    d->count[!a ? ADDED : !b ? REMOVED : c.order > 0 ? DOWNGRADED : UPGRADED]++;
    d->changes[d->change_count++] = c;
}

/* As package_cmp() begins. */
static int order_in_list(const struct package *a, const struct package *b)
{
    int order = str_cmp(a->version, b->version);
    order = order ? order : str_cmp(a->arch, b->arch);
    return order ? order : str_cmp(a->kind, b->kind);
}

/* Those of `a` that `b` has not: their number. */
static size_t only_in(const struct image_package *a, size_t na, const struct image_package *b, size_t nb,
                      const struct package **ret)
{
    size_t n = 0;
    for (size_t i = 0, k = 0; i < na; i++) {
        while (k < nb && order_in_list(&b[k].package, &a[i].package) < 0)
            k++;
        if (k == nb || order_in_list(&b[k].package, &a[i].package) != 0)
            ret[n++] = &a[i].package;
    }
    return n;
}

/* Those of one name: what only one of the lists has is paired in order, if it can be. */
static void compare_group(struct difference *d, const struct image_package *a, size_t na,
                          const struct image_package *b, size_t nb)
{
    size_t olds = only_in(a, na, b, nb, d->old), news = only_in(b, nb, a, na, d->young);
    for (size_t i = 0; i < olds || i < news; i++) {
        const struct package *p = i < olds ? d->old[i] : NULL, *q = i < news ? d->young[i] : NULL;
        if (p && q && same_package(p, q)) {
            add(d, p, q);
            continue;
        }
        if (p)
            add(d, p, NULL);
        if (q)
            add(d, NULL, q);
    }
}

static size_t group(const struct image_index *i, size_t from, str name)
{
    size_t n = 0;
    while (from + n < i->package_count && str_eq(i->packages[from + n].package.name, name))
        n++;
    return n;
}

static int compare_packages(struct difference *d, struct err *e)
{
    const struct image_index *a = d->a->image, *b = d->b->image;
    d->changes = arena_array(d->arena, struct change, a->package_count + b->package_count + 1);
    d->old = arena_array(d->arena, const struct package *, a->package_count + 1);
    d->young = arena_array(d->arena, const struct package *, b->package_count + 1);
    if (!d->changes || !d->old || !d->young)
        return err_set(e, ERR_OOM, "packages");
    for (size_t i = 0, k = 0; i < a->package_count || k < b->package_count;) {
        const struct package *p = i < a->package_count ? &a->packages[i].package : NULL,
                             *q = k < b->package_count ? &b->packages[k].package : NULL;
        str name = !p || (q && str_cmp(q->name, p->name) < 0) ? q->name : p->name;
        size_t na = group(a, i, name), nb = group(b, k, name);
        compare_group(d, a->packages + i, na, b->packages + k, nb);
        i += na;
        k += nb;
    }
    return 0;
}

/* ---- for people ---- */

static void put(struct buf *out, str s) { text_put(out, s, TEXT_TERMINAL); }

static void put_findings_of(const struct scan *s, const struct finding *const *list, size_t count,
                            const char *head, struct buf *out)
{
    if (!count)
        return;
    buf_printf(out, "\n%s\n", head);
    for (int severity = SEVERITIES - 1; severity >= 0; severity--)
        for (size_t i = 0; i < count; i++) {
            const struct finding *f = list[i];
            const struct package *p = &s->image->packages[f->package].package;
            if ((int)f->severity != severity)
                continue;
            buf_printf(out, "  %-10s  ", severity_name(f->severity));
            put(out, f->id);
            buf_str(out, STR("  "));
            put(out, p->name);
            buf_char(out, ' ');
            put(out, p->version);
            if (f->fixed_version.len) {
                buf_str(out, STR(", fixed in "));
                put(out, f->fixed_version);
            }
            buf_char(out, '\n');
        }
}

static void put_changes(const struct difference *d, struct buf *out)
{
    if (d->change_count)
        buf_str(out, STR("\nPackages\n"));
    for (size_t i = 0; i < d->change_count; i++) {
        const struct change *c = &d->changes[i];
        buf_str(out, !c->a ? STR("  + ") : !c->b ? STR("  - ") : STR("    "));
        put(out, (c->a ? c->a : c->b)->name);
        buf_char(out, ' ');
        put(out, (c->a ? c->a : c->b)->version);
        if (c->a && c->b) {
            buf_str(out, STR(" -> "));
            put(out, c->b->version);
            buf_str(out, c->order > 0 ? STR(" (older)") : STR(""));
        }
        buf_char(out, '\n');
    }
}

static void put_warnings(const struct scan *s, struct buf *out)
{
    for (size_t i = 0; i < s->report.warning_count; i++) {
        buf_str(out, STR("warning: "));
        put(out, s->image->name);
        buf_str(out, STR(": "));
        put(out, s->report.warnings[i]);
        buf_char(out, '\n');
    }
}

static void write_table(const struct difference *d, struct buf *out)
{
    put(out, d->a->image->name);
    buf_str(out, STR(" -> "));
    put(out, d->b->image->name);
    buf_printf(out, "\nfindings: %zu -> %zu: %zu gone, %zu new, %zu stay\n", d->a->report.match.finding_count,
               d->b->report.match.finding_count, d->gone_count, d->fresh_count, d->stay);
    buf_printf(out, "packages: %zu -> %zu: %zu added, %zu removed, %zu upgraded, %zu downgraded\n",
               d->a->image->package_count, d->b->image->package_count, d->count[ADDED], d->count[REMOVED],
               d->count[UPGRADED], d->count[DOWNGRADED]);
    put_findings_of(d->b, d->fresh, d->fresh_count, "Worse: new", out);
    put_findings_of(d->a, d->gone, d->gone_count, "Better: gone", out);
    put_changes(d, out);
    put_warnings(d->a, out);
    put_warnings(d->b, out);
}

/* ---- for programs ---- */

static void json_image(struct json_writer *w, const char *key, const struct report *r)
{
    json_w_key(w, key);
    json_w_object(w);
    json_w_text(w, "name", r->image->name);
    json_w_text(w, "digest", r->image->digest);
    json_w_text(w, "coverage", str_from(coverage_name(r->coverage)));
    json_w_number(w, "packages", (int64_t)r->image->package_count);
    json_w_number(w, "findings", (int64_t)r->match.finding_count);
    json_w_key(w, "warnings");
    json_w_array(w);
    for (size_t i = 0; i < r->warning_count; i++)
        json_w_str(w, r->warnings[i]);
    json_w_array_end(w);
    json_w_object_end(w);
}

static void json_findings(struct json_writer *w, const char *key, const struct scan *s,
                          const struct finding *const *list, size_t count)
{
    json_w_key(w, key);
    json_w_array(w);
    for (size_t i = 0; i < count; i++)
        report_json_finding(w, s->image, list[i]);
    json_w_array_end(w);
}

static void json_change(struct json_writer *w, const struct change *c)
{
    static const char *const names[] = { "upgraded", "upgraded", "downgraded" };
    json_w_object(w);
    json_w_text(w, "change", str_from(!c->a ? "added" : !c->b ? "removed" : names[c->order + 1]));
    json_w_key(w, "from");
    c->a ? report_json_package(w, c->a) : json_w_null(w);
    json_w_key(w, "to");
    c->b ? report_json_package(w, c->b) : json_w_null(w);
    json_w_object_end(w);
}

static void write_json(const struct difference *d, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_object(&w);
    json_w_number(&w, "schema_version", 1);
    json_image(&w, "from", &d->a->report);
    json_image(&w, "to", &d->b->report);
    json_findings(&w, "new", d->b, d->fresh, d->fresh_count);
    json_findings(&w, "gone", d->a, d->gone, d->gone_count);
    json_w_number(&w, "stay", (int64_t)d->stay);
    json_w_key(&w, "packages");
    json_w_array(&w);
    for (size_t i = 0; i < d->change_count; i++)
        json_change(&w, &d->changes[i]);
    json_w_array_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

/* ---- the command ---- */

static const struct report_format table = { .name = "table" }, json = { .name = "json" };
static const struct report_format *const formats[] = { &table, &json, NULL };

static int write_outputs(const struct difference *d, const struct scan_formats *f, struct err *e)
{
    for (size_t i = 0; i < f->count; i++) {
        CLEANUP(buf_done) struct buf out = { .max = REPORT_MAX };
        (f->outputs[i].format == &json ? write_json : write_table)(d, &out);
        if (out.failed)
            return err_set(e, ERR_LIMIT, "the comparison is larger than %zu MiB", REPORT_MAX >> 20);
        if (output_write(f->outputs[i].option, f->outputs[i].path, buf_view(&out), e) < 0)
            return -1;
    }
    return 0;
}

/* Only what is new counts; an image that is not covered is no better than it seems. */
static int exit_code(const struct difference *d, const struct policy *p, struct verdict *ret, struct err *e)
{
    struct finding *list = arena_array(d->arena, struct finding, d->fresh_count + 1);
    if (!list)
        return err_set(e, ERR_OOM, "findings");
    for (size_t i = 0; i < d->fresh_count; i++)
        list[i] = *d->fresh[i];
    struct report fresh = d->b->report;
    fresh.match.findings = list;
    fresh.match.finding_count = d->fresh_count;
    fresh.suppressed_count = 0;
    if (d->a->report.coverage == COVERAGE_NONE)
        fresh.coverage = COVERAGE_NONE;
    *ret = policy_apply(p, &fresh);
    return 0;
}

static int look(struct scan *s, const struct scan_session *session, const char *image, struct err *e)
{
    struct verdict ignored;
    return scan_run(s, session, image, e) < 0 ? -1 : scan_judge(s, session, &ignored, e);
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct own_options *o = opts;
    CLEANUP(scan_session_done) struct scan_session session = { 0 };
    CLEANUP(scan_done) struct scan a = { 0 };
    CLEANUP(scan_done) struct scan b = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(REPORT_MAX);
    struct scan_formats outputs;
    struct difference d = { .a = &a, .b = &b, .arena = arena };
    struct verdict verdict;
    (void)count;
    if (!arena)
        return err_set(e, ERR_OOM, "arena");
    if (scan_formats_read(formats, &o->formats, o->output, &outputs, e) < 0 ||
        scan_session_open(&session, &o->scan, args[0], e) < 0 || look(&a, &session, args[0], e) < 0 ||
        look(&b, &session, args[1], e) < 0 || compare_findings(&d, e) < 0 || compare_packages(&d, e) < 0)
        return -1;
    scan_session_rest(&session);
    if (write_outputs(&d, &outputs, e) < 0 || exit_code(&d, &session.policy, &verdict, e) < 0)
        return -1;
    scan_tell(&session, &b.report, &verdict, false, scan_formats_show(&outputs, &table));
    return verdict.exit_code;
}

const struct command command_diff = {
    .name = "diff",
    .arguments = "IMAGE1 IMAGE2",
    .summary = "Tells what became better and what worse from one image to another",
    .details =
        "A finding is the same in both when its id and the package's name are.\n"
        "Exit code: 0 done, 1 failure, 2 usage, 3 one of them is not covered, else what --exit-code and "
        "--fail-on say of the new ones.",
    .more = scan_sources_help,
    .options = options,
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
