#include "report/parts.h"
#include "base/cleanup.h"
#include "codec/sha256.h"

#include <stdio.h>
#include <stdlib.h>

struct report_row *report_rows(const struct report *r, bool suppressed, size_t *ret_count, struct buf *out)
{
    size_t n = r->match.finding_count, more = suppressed ? r->suppressed_count : 0;
    struct report_row *rows = calloc(n + more + 1, sizeof *rows);
    if (!rows) {
        out->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < n + more; i++) {
        const struct suppressed *s = i < n ? NULL : &r->suppressed[i - n];
        const struct finding *f = s ? &s->finding : &r->match.findings[i];
        rows[i] = (struct report_row){ f, &r->image->packages[f->package], s };
    }
    *ret_count = n + more;
    return rows;
}

/* Nobody has judged an Unknown one: before those that somebody judged to be nothing. */
static int weight(const struct finding *f)
{
    static const int weights[SEVERITIES] = {
        [SEVERITY_NEGLIGIBLE] = 0, [SEVERITY_UNKNOWN] = 1,  [SEVERITY_LOW] = 2,     [SEVERITY_MEDIUM] = 3,
        [SEVERITY_HIGH] = 4,       [SEVERITY_CRITICAL] = 5, [SEVERITY_DEFCON1] = 6,
    };
    return 2 * weights[f->severity] + (f->fixed_version.len > 0); /* what can be fixed first */
}

static int by_package(const struct finding *x, const struct finding *y)
{
    return x->package == y->package ? 0 : x->package < y->package ? -1 : 1;
}

static int by_weight(const void *a, const void *b)
{
    const struct report_row *x = a, *y = b;
    int order = (x->suppressed != NULL) - (y->suppressed != NULL);
    order = order ? order : weight(y->finding) - weight(x->finding);
    order = order ? order : by_package(x->finding, y->finding);
    return order ? order : str_cmp(x->finding->id, y->finding->id);
}

void report_rows_by_weight(struct report_row *rows, size_t count)
{
    qsort(rows, count, sizeof *rows, by_weight);
}

static int by_judgement(const struct report_row *x, const struct report_row *y)
{
    if (!x->suppressed || !y->suppressed) {
        int order = (x->suppressed != NULL) - (y->suppressed != NULL);
        return order ? order : (int)x->finding->state - (int)y->finding->state;
    }
    int order = str_cmp(x->suppressed->status, y->suppressed->status);
    order = order ? order : str_cmp(x->suppressed->by, y->suppressed->by);
    return order ? order : str_cmp(x->suppressed->reason, y->suppressed->reason);
}

static int by_id(const void *a, const void *b)
{
    const struct report_row *x = a, *y = b;
    int order = str_cmp(x->finding->id, y->finding->id);
    order = order ? order : by_judgement(x, y);
    return order ? order : by_package(x->finding, y->finding);
}

void report_rows_by_id(struct report_row *rows, size_t count) { qsort(rows, count, sizeof *rows, by_id); }

bool report_row_same(const struct report_row *a, const struct report_row *b)
{
    return str_eq(a->finding->id, b->finding->id) && by_judgement(a, b) == 0;
}

static bool has(const str *list, size_t count, str s)
{
    while (count && !str_eq(list[count - 1], s))
        count--;
    return count > 0;
}

size_t report_links(const struct finding *f, str ret[REPORT_LINKS_MAX])
{
    size_t n = 0;
    if (f->link.len)
        ret[n++] = f->link;
    for (size_t i = 0; f->meta && i < f->meta->source_count; i++) {
        const struct metadata *m = &f->meta->sources[i].meta;
        for (size_t k = 0; k < m->link_count && n < REPORT_LINKS_MAX; k++)
            if (!has(ret, n, m->links[k]))
                ret[n++] = m->links[k];
    }
    return n;
}

#define LINK_MAX 2048

bool report_link_ok(str link)
{
    if ((!str_starts(link, STR("https://")) && !str_starts(link, STR("http://"))) || link.len > LINK_MAX)
        return false;
    str host = str_skip(link, (size_t)str_find(link, '/') + 2);
    if (!host.len || *host.ptr == '/')
        return false;
    for (size_t i = 0; i < link.len; i++)
        if (link.ptr[i] <= ' ' || link.ptr[i] >= 0x7f || strchr("\"'<>`\\{}|^[]", link.ptr[i]))
            return false;
    return true;
}

str report_link(const struct finding *f)
{
    str links[REPORT_LINKS_MAX];
    size_t n = report_links(f, links);
    for (size_t i = 0; i < n; i++)
        if (report_link_ok(links[i]))
            return links[i];
    return STR("");
}

str report_title(const struct finding *f)
{
    str rest = f->title, line = str_trim(str_line(&rest));
    return line.len ? line : f->id;
}

str report_cut(str s, size_t max)
{
    if (s.len <= max)
        return s;
    while (max && ((uint8_t)s.ptr[max] & 0xc0) == 0x80)
        max--;
    return str_head(s, max);
}

str report_layer(const struct image_index *i, uint32_t n)
{
    return n < i->layer_count ? i->layers[n]->digest : STR("");
}

str report_place(const struct package *p)
{
    static const struct {
        const char *kind, *path;
    } places[] = { { "dpkg", "var/lib/dpkg/status" },
                   { "apk", "lib/apk/db/installed" },
                   { "rpm", "var/lib/rpm" },
                   { "alpm", "var/lib/pacman/local" } };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (str_eq(p->kind, str_from(places[i].kind)))
            return str_from(places[i].path);
    return STR("image");
}

void report_advice(struct buf *out, const struct finding *f, const struct package *p)
{
    static const char *const words[] = {
        [FIX_WILL_NOT_FIX] = "the distribution will not fix it",
        [FIX_END_OF_LIFE] = "the distribution is no longer maintained",
        [FIX_UNDER_INVESTIGATION] = "it is being investigated",
    };
    if (f->fixed_version.len) {
        buf_str(out, STR("Upgrade "));
        buf_str(out, p->name);
        buf_str(out, STR(" to "));
        buf_str(out, f->fixed_version);
        return;
    }
    buf_str(out, STR("There is no fix"));
    if ((size_t)f->state < sizeof words / sizeof *words && words[f->state])
        buf_printf(out, ": %s", words[f->state]);
}

str report_system(const struct report *r)
{
    const struct distribution *d = &r->image->distribution;
    return d->namespace.len ? d->namespace : d->id.len ? d->id : STR("unknown");
}

/* Of the first source that has any its newest. */
static const struct cvss_score *best_score(const struct finding *f)
{
    const struct cvss_score *best = NULL;
    for (size_t i = 0; !best && f->meta && i < f->meta->source_count; i++) {
        const struct metadata *m = &f->meta->sources[i].meta;
        for (size_t k = 0; k < m->score_count; k++)
            if (!best || str_cmp(m->scores[k].version, best->version) > 0)
                best = &m->scores[k];
    }
    return best;
}

unsigned report_score(const struct finding *f)
{
    static const unsigned scores[SEVERITIES] = {
        [SEVERITY_LOW] = 10,      [SEVERITY_MEDIUM] = 40,   [SEVERITY_HIGH] = 70,
        [SEVERITY_CRITICAL] = 90, [SEVERITY_DEFCON1] = 100, [SEVERITY_NEGLIGIBLE] = 1
    };
    const struct cvss_score *c = best_score(f);
    return c && cvss_severity(c->version, c->base) == f->severity ? c->base : scores[f->severity];
}

static void add_part(struct sha256 *h, str s)
{
    uint64_t len = s.len;
    sha256_add(h, &len, sizeof len);
    sha256_add(h, s.ptr, s.len);
}

/* GnuTLS has SHA-256 always: without memory the sum is one of nothing, and the buffer fails next. */
static void hash_parts(const str *parts, size_t count, uint8_t ret[32])
{
    struct err e = { 0 };
    CLEANUP(sha256_freep) struct sha256 *h = sha256_new(&e);
    memset(ret, 0, 32);
    for (size_t i = 0; h && i < count; i++)
        add_part(h, parts[i]);
    if (h)
        sha256_raw(h, ret);
}

void report_hash(const str *parts, size_t count, char ret[65])
{
    uint8_t raw[32];
    hash_parts(parts, count, raw);
    hex_encode(raw, sizeof raw, ret);
}

static void format_uuid(uint8_t raw[32], char ret[REPORT_UUID])
{
    char hex[33];
    raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x50);
    raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
    hex_encode(raw, 16, hex);
    snprintf(ret, REPORT_UUID, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

void report_uuid(const str *parts, size_t count, char ret[REPORT_UUID])
{
    uint8_t raw[32];
    hash_parts(parts, count, raw);
    format_uuid(raw, ret);
}

static void add_finding(struct sha256 *h, const struct finding *f)
{
    sha256_add(h, &f->package, sizeof f->package);
    add_part(h, f->id);
    add_part(h, f->fixed_version);
    add_part(h, str_from(severity_name(f->severity)));
}

static void add_package(struct sha256 *h, const struct package *p)
{
    add_part(h, p->kind);
    add_part(h, p->name);
    add_part(h, p->version);
    add_part(h, p->arch);
}

void report_serial(const struct report *r, str what, char ret[REPORT_UUID])
{
    struct err e = { 0 };
    uint8_t raw[32] = { 0 };
    CLEANUP(sha256_freep) struct sha256 *h = sha256_new(&e);
    if (h) {
        add_part(h, what);
        add_part(h, r->image->name);
        add_part(h, r->image->digest);
        sha256_add(h, &r->now, sizeof r->now);
        sha256_add(h, &r->match.generation, sizeof r->match.generation);
        for (size_t i = 0; i < r->image->package_count; i++)
            add_package(h, &r->image->packages[i].package);
        for (size_t i = 0; i < r->match.finding_count; i++)
            add_finding(h, &r->match.findings[i]);
        for (size_t i = 0; i < r->suppressed_count; i++) {
            add_finding(h, &r->suppressed[i].finding);
            add_part(h, r->suppressed[i].reason);
        }
        sha256_raw(h, raw);
    }
    format_uuid(raw, ret);
}

/* Equal packages are neighbours (package_cmp()): they are counted. */
void report_ref(const struct image_index *i, size_t package, char ret[REPORT_REF])
{
    const struct package *p = &i->packages[package].package;
    const str parts[] = { p->kind, p->name, p->version, p->arch, p->source, p->source_version, p->module };
    char hex[65];
    size_t before = 0;
    while (before < package && package_cmp(&i->packages[package - before - 1].package, p) == 0)
        before++;
    report_hash(parts, sizeof parts / sizeof *parts, hex);
    int n = snprintf(ret, REPORT_REF, "package-%.16s", hex);
    if (before)
        snprintf(ret + n, REPORT_REF - (size_t)n, "-%zu", before + 1);
}
