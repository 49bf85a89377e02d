/* explain.c - why a vulnerability is reported of an image, or why it is not. */
#include "cmd/explain.h"
#include "base/cleanup.h"
#include "cmd/output.h"
#include "cmd/scan_source.h"
#include "report/text.h"

#include <stdarg.h>

#define WALK_STEP 1000u

struct own_options {
    struct scan_options scan;
};

static const struct option options[] = {
    SCAN_POLICY_OPTIONS,
    SCAN_OPTIONS,
    { 0 },
};
_Static_assert(sizeof(struct own_options) <= OPTIONS_SIZE_MAX, "options");

static void say(struct explaining *x, const char *fmt, va_list args)
{
    char text[1024];
    if (vsnprintf(text, sizeof text, fmt, args) > 0)
        text_put(x->out, str_from(text), TEXT_TERMINAL);
}

void explain_text(struct explaining *x, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(x, fmt, args);
    va_end(args);
}

void explain_line(struct explaining *x, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(x, fmt, args);
    va_end(args);
    buf_char(x->out, '\n');
}

/* ---- what is said ---- */

static bool has_alias(const struct advisory *a, str id)
{
    for (size_t i = 0; i < a->meta.alias_count; i++)
        if (str_eq(a->meta.aliases[i], id))
            return true;
    return false;
}

static int add_said(struct explaining *x, struct stored_advisory said, size_t *cap, struct err *e)
{
    struct stored_advisory *more = arena_grow(x->scan->arena, x->said, x->said_count, cap, sizeof *more);
    if (!more)
        return err_set(e, ERR_OOM, "advisories");
    x->said = more;
    more[x->said_count++] = said;
    return 0;
}

/* Advisories of vendors speak of flaws under names of their own: all of a feed are looked at, a step at a time. */
static int find_aliases(struct explaining *x, str feed, size_t *cap, struct err *e)
{
    int64_t after = 0;
    for (;;) {
        CLEANUP(arena_freep) struct arena *work = arena_new(0);
        struct stored_entry *list;
        size_t count;
        if (!work)
            return err_set(e, ERR_OOM, "advisories");
        if (store_advisories_after(x->scan->store, feed, after, WALK_STEP, work, &list, &count, e) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            struct stored_advisory *own;
            size_t n;
            after = list[i].id;
            if (!has_alias(&list[i].advisory, x->id))
                continue;
            if (store_said(x->scan->store, list[i].advisory.id, x->scan->arena, &own, &n, e) < 0)
                return -1;
            for (size_t k = 0; k < n; k++)
                if (str_eq(own[k].feed, feed) && str_eq(own[k].advisory.key, list[i].advisory.key) &&
                    add_said(x, own[k], cap, e) < 0)
                    return -1;
        }
        if (!count)
            return 0;
    }
}

static bool speaks_of_image(const struct explaining *x)
{
    for (size_t i = 0; i < x->said_count; i++)
        for (size_t k = 0; k < x->said[i].advisory.range_count; k++) {
            str n = x->said[i].advisory.ranges[k].namespace;
            if (str_eq(n, x->scan->image->distribution.namespace) || str_eq(n, x->scan->report.match.data))
                return true;
        }
    return false;
}

/* Is it reported by the name of a fix? */
static bool is_flaw_of_fix(const struct explaining *x)
{
    const struct match *m = &x->scan->report.match;
    for (size_t i = 0; i < m->finding_count; i++)
        if (str_eq(m->findings[i].id, x->id) && m->findings[i].advisory.len)
            return true;
    return false;
}

static int read_said(struct explaining *x, struct err *e)
{
    struct scan *s = x->scan;
    struct stored_advisory *named;
    size_t count, cap = 0;
    if (store_said(s->store, x->id, s->arena, &named, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (add_said(x, named[i], &cap, e) < 0)
            return -1;
    if (count && !is_flaw_of_fix(x) && (speaks_of_image(x) || !id_is_cve(x->id)))
        return 0;
    for (size_t i = 0; i < s->report.match.feed_count; i++)
        if (find_aliases(x, s->report.match.feeds[i].name, &cap, e) < 0)
            return -1;
    return 0;
}

/* ---- findings ---- */

static bool is_it(const struct finding *f, str id) { return str_eq(f->id, id) || str_eq(f->advisory, id); }

static void one_finding(struct explaining *x, const struct finding *f, const str *paths)
{
    const struct image_index *i = x->scan->image;
    const struct image_package *p = &i->packages[f->package];
    explain_text(x, "  " STR_FMT " in " STR_FMT " " STR_FMT, STR_ARG(f->id), STR_ARG(p->package.name),
                 STR_ARG(p->package.version));
    if (f->advisory.len)
        explain_text(x, ", by advisory " STR_FMT, STR_ARG(f->advisory));
    buf_char(x->out, '\n');
    explain_line(x, "    severity %s (of " STR_FMT "), found by " STR_FMT, severity_name(f->severity),
                 STR_ARG(f->severity_source.len ? f->severity_source : STR("nobody")), STR_ARG(f->feed));
    if (f->fixed_version.len)
        explain_line(x, "    fixed in " STR_FMT, STR_ARG(f->fixed_version));
    else
        explain_line(x, "    no fix (%s)", fix_state_name(f->state));
    if (f->uncertain)
        explain_line(x, "    uncertain: the version does not follow its scheme");
    if (p->layer < i->layer_count)
        explain_line(x, "    brought by layer %u of %zu, " STR_FMT, p->layer + 1, i->layer_count,
                     STR_ARG(i->layers[p->layer]->digest));
    if (paths[f->package].len)
        explain_line(x, "    named in " STR_FMT, STR_ARG(paths[f->package]));
}

static size_t findings(struct explaining *x, const str *paths)
{
    const struct report *r = &x->scan->report;
    size_t n = 0;
    for (size_t i = 0; i < r->match.finding_count; i++) {
        if (!is_it(&r->match.findings[i], x->id))
            continue;
        if (!n++)
            explain_line(x, "Reported:");
        one_finding(x, &r->match.findings[i], paths);
    }
    return n;
}

static size_t suppressed(struct explaining *x, const str *paths)
{
    const struct report *r = &x->scan->report;
    size_t n = 0;
    for (size_t i = 0; i < r->suppressed_count; i++) {
        const struct suppressed *s = &r->suppressed[i];
        if (!is_it(&s->finding, x->id))
            continue;
        if (!n++)
            explain_line(x, "Suppressed:");
        one_finding(x, &s->finding, paths);
        explain_line(x, "    %s by " STR_FMT "%s" STR_FMT,
                     s->status.len ? "said to be not affected or fixed" : "ignored", STR_ARG(s->by),
                     s->reason.len ? ": " : ", without a reason", STR_ARG(s->reason));
    }
    return n;
}

/* ---- why not ---- */

static void list(struct explaining *x, const char *before, const str *names, size_t count)
{
    explain_text(x, "%s", before);
    for (size_t i = 0; i < count && i < 8; i++)
        explain_text(x, "%s" STR_FMT, i ? ", " : " ", STR_ARG(names[i]));
    explain_line(x, "%s", count > 8 ? ", ..." : "");
}

static void feeds(struct explaining *x)
{
    const struct match *m = &x->scan->report.match;
    explain_text(x, "  feeds that speak about this image:");
    for (size_t i = 0; i < m->feed_count; i++)
        explain_text(x, "%s" STR_FMT, i ? ", " : " ", STR_ARG(m->feeds[i].name));
    explain_line(x, "%s", m->feed_count ? "" : " none");
}

/* Something fits, and yet it is not reported by that name. */
static void why_another(struct explaining *x)
{
    const struct match *m = &x->scan->report.match;
    for (size_t i = 0; i < x->said_count; i++)
        for (size_t k = 0; k < m->finding_count; k++)
            if (has_alias(&x->said[i].advisory, m->findings[k].id)) {
                explain_line(x, STR_FMT ", of which it speaks, is reported by " STR_FMT,
                             STR_ARG(m->findings[k].id), STR_ARG(m->findings[k].advisory));
                return;
            }
    explain_line(x, "another feed, whose word counts more, says something else");
}

/* `hidden`: findings that the filters left out. */
static void why_not(struct explaining *x, size_t hidden)
{
    str namespace = x->scan->image->distribution.namespace;
    explain_text(x, "Not reported: ");
    if (hidden)
        explain_line(x, "--severity or --ignore-unfixed leaves it out");
    else if (!x->said_count)
        explain_line(x, "no advisory of that name is loaded");
    else if (!x->of_namespace)
        list(x, "feeds speak of it, but not about this image's distribution, only about", x->other_spaces,
             x->other_space_count);
    else if (!x->of_package)
        list(x, "the image has none of the packages that it is about:", x->other_packages,
             x->other_package_count);
    else if (x->denied)
        explain_line(x, "feed " STR_FMT " says that it is not affected", STR_ARG(x->denier));
    else if (!x->fits)
        explain_line(x, "nothing that is installed is within what is affected");
    else
        why_another(x);
    if (!namespace.len)
        explain_line(x, "  no distribution that is supported was recognised in the image");
    feeds(x);
}

/* ---- the command ---- */

static size_t count_findings(const struct report *r, str id)
{
    size_t n = 0;
    for (size_t i = 0; i < r->match.finding_count; i++)
        n += is_it(&r->match.findings[i], id);
    return n;
}

static int explain(struct explaining *x, const struct scan_session *session, struct err *e)
{
    struct scan *s = x->scan;
    struct verdict verdict;
    const str *paths;
    CLEANUP(buf_done) struct buf details = { .max = REPORT_MAX };
    struct buf *out = x->out;
    size_t all = count_findings(&s->report, x->id);
    if (read_said(x, e) < 0 || scan_paths(s, &paths, e) < 0 || scan_judge(s, session, &verdict, e) < 0)
        return -1;
    x->out = &details;
    int r = explain_ranges(x, e);
    x->out = out;
    if (r < 0)
        return -1;
    explain_line(x, STR_FMT " in " STR_FMT, STR_ARG(x->id), STR_ARG(s->image->name));
    buf_char(x->out, '\n');
    size_t told = findings(x, paths);
    told += suppressed(x, paths);
    if (!told)
        why_not(x, all);
    buf_str(out, buf_view(&details));
    out->failed |= details.failed;
    if (s->report.warning_count)
        buf_char(out, '\n');
    for (size_t i = 0; i < s->report.warning_count; i++)
        explain_line(x, "warning: " STR_FMT, STR_ARG(s->report.warnings[i]));
    return out->failed ? err_set(e, ERR_LIMIT, "the explanation is larger than %zu MiB", REPORT_MAX >> 20)
                       : 0;
}

static void explaining_done(struct explaining *x)
{
    strmap_done(&x->installed[AFFECTS_SOURCE]);
    strmap_done(&x->installed[AFFECTS_BINARY]);
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct own_options *o = opts;
    CLEANUP(scan_session_done) struct scan_session session = { 0 };
    CLEANUP(scan_done) struct scan s = { 0 };
    CLEANUP(buf_done) struct buf out = { .max = REPORT_MAX };
    CLEANUP(explaining_done) struct explaining x = { .scan = &s, .id = str_from(args[0]), .out = &out };
    (void)count;
    if (!x.id.len)
        return err_set(e, ERR_USAGE, "explain: ID is empty");
    if (scan_session_open(&session, &o->scan, args[1], e) < 0 || scan_run(&s, &session, args[1], e) < 0 ||
        explain(&x, &session, e) < 0)
        return -1;
    scan_session_rest(&session);
    return output_write("", NULL, buf_view(&out), e) < 0 ? -1 : 0;
}

const struct command command_explain = {
    .name = "explain",
    .arguments = "ID IMAGE",
    .summary = "Tells why a vulnerability is reported of an image, or why it is not",
    .details = "ID is a CVE or what an advisory is called (RHSA-2024:1). What it tells: the findings of that "
               "id with the layer and\n"
               "file that brought the package, who ignored it and why, and how each affected range compares "
               "with what is installed.\n"
               "The exit code is 0 whatever it says.",
    .more = scan_sources_help,
    .options = options,
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
