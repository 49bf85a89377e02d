/*
 * Photon OS: cve_data_photonN.json is a list of { cve_id, pkg, cve_score, res_ver, status }; releases that have none have an OVAL file. The rows
 * of one CVE come in any place, so a document is held, as little of it as tells (spec/feeds.md 11). Packages are binary ones.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "feed/feed.h"
#include "feed/oval.h"

#include <stdlib.h>

#define HELD_MAX         ((size_t)64 << 20)
#define JSON_OF(release) "photon_cve_metadata/cve_data_photon" release ".json"
#define OVAL_OF(release) "photon_oval_definitions/com.vmware.phsa-photon" release ".xml.gz"

static int oom(struct err *e) { return err_set(e, ERR_OOM, "photon: out of memory"); }

/* ---- JSON ---- */

struct row {
    str cve, package, fixed;
    bool negative;
    enum severity severity;
};

struct rows {
    struct arena *arena;
    struct row *list;
    size_t count, cap;
};

/* spec/feeds.md 11: from 9 on, 7, 4, above 0 */
static enum severity severity_of(str score)
{
    uint64_t whole = 0;
    str rest = score;
    if (!str_to_u64(str_cut(&rest, '.'), &whole))
        return SEVERITY_UNKNOWN;
    bool more = false;
    for (size_t i = 0; i < rest.len; i++)
        more |= rest.ptr[i] != '0';
    return whole >= 9          ? SEVERITY_CRITICAL
           : whole >= 7        ? SEVERITY_HIGH
           : whole >= 4        ? SEVERITY_MEDIUM
           : whole > 0 || more ? SEVERITY_LOW
                               : SEVERITY_UNKNOWN;
}

static str keep(struct rows *rows, str s) { return arena_dup(rows->arena, str_head(s, FEED_TEXT_MAX)); }

static void set_member(struct rows *rows, struct row *row, str key, str value)
{
    if (str_eq(key, STR("cve_id")))
        row->cve = keep(rows, value);
    else if (str_eq(key, STR("pkg")))
        row->package = keep(rows, value);
    else if (str_eq(key, STR("res_ver")))
        row->fixed = str_eq(value, STR("NA")) ? (str){ 0 } : keep(rows, str_trim(value));
    else if (str_eq(key, STR("status")))
        row->negative = str_eq(value, STR("Not Affected"));
    else if (str_eq(key, STR("cve_score")))
        row->severity = severity_of(value);
}

static int read_row(struct json *j, struct rows *rows, struct row *row, struct err *e)
{
    char name[16];
    str key, text;
    enum json_type type;
    int r;
    while ((r = json_key(j, &key, e)) > 0) {
        str shown = str_of(name, key.len < sizeof name ? key.len : sizeof name);
        memcpy(name, key.len ? key.ptr : "", shown.len); /* a view of it would not outlive the value */
        if (json_next(j, &type, &text, e) < 0)
            return -1;
        if (type == JSON_STRING || type == JSON_NUMBER)
            set_member(rows, row, shown, text);
        else if (json_skip_rest(j, type, e) < 0)
            return -1;
    }
    return r;
}

static int add_row(struct rows *rows, const struct row *row, struct err *e)
{
    bool wanted = id_is_cve(row->cve) && row->package.len;
    if (wanted)
        rows->list = arena_grow(rows->arena, rows->list, rows->count, &rows->cap, sizeof *rows->list);
    if (arena_failed(rows->arena))
        return err_set(e, ERR_LIMIT, "entries that take more than %zu bytes", HELD_MAX);
    if (wanted)
        rows->list[rows->count++] = *row;
    return 0;
}

static int read_rows(struct json *j, struct rows *rows, struct err *e)
{
    enum json_type type;
    str text;
    int r;
    size_t n = 0;
    if (json_enter(j, JSON_ARRAY, e) < 0)
        return -1;
    while ((r = json_element(j, &type, &text, e)) > 0) {
        struct row row = { 0 };
        n++;
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "entry %zu is no object", n);
        if (read_row(j, rows, &row, e) < 0)
            return err_wrap(e, "entry %zu", n);
        if (!row.cve.len || !row.package.len)
            return err_set(e, ERR_FORMAT, "entry %zu: without a cve_id or a pkg", n);
        if (add_row(rows, &row, e) < 0)
            return -1;
    }
    return r < 0 ? -1 : json_finish(j, e);
}

static int by_row(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    int r = str_cmp(a->cve, b->cve);
    r = r ? r : str_cmp(a->package, b->package);
    r = r ? r : (int)a->negative - (int)b->negative;
    r = r ? r : str_cmp(a->fixed, b->fixed);
    return r ? r : (int)a->severity - (int)b->severity;
}

static struct affected_range range_of(const struct row *row, str namespace)
{
    str fixed = row->negative ? (str){ 0 } : oval_evr(row->fixed);
    return (struct affected_range){
        .namespace = namespace,
        .scheme = STR("rpm"),
        .package = row->package,
        .kind = AFFECTS_BINARY,
        .negative = row->negative,
        .fixed_version = fixed,
        .severity = row->severity,
        .state = fixed.len ? FIX_FIXED : FIX_AFFECTED,
    };
}

/* Those of one CVE. */
static int put_rows(const struct row *rows, size_t count, str release, str namespace,
                    struct advisory_sink *sink, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct affected_range *ranges = arena ? arena_array(arena, struct affected_range, count) : NULL;
    size_t n = 0;
    if (!ranges)
        return oom(e);
    str affected = { 0 };
    for (size_t i = 0; i < count; i++) {
        if (i && !by_row(&rows[i - 1], &rows[i]))
            continue;
        if (!rows[i].negative)
            affected = rows[i].package;
        else if (str_eq(affected, rows[i].package))
            continue; /* a row that says otherwise counts more */
        ranges[n++] = range_of(&rows[i], namespace);
    }
    const struct advisory advisory = {
        .key = arena_printf(arena, STR_FMT "/" STR_FMT, STR_ARG(release), STR_ARG(rows->cve)),
        .id = rows->cve,
        .link = arena_printf(arena, "https://nvd.nist.gov/vuln/detail/" STR_FMT, STR_ARG(rows->cve)),
        .ranges = ranges,
        .range_count = n,
    };
    return arena_failed(arena) ? oom(e) : sink->put(sink, &advisory, e);
}

static int parse_json(struct stream *in, str release, str namespace, struct advisory_sink *sink,
                      struct err *e)
{
    CLEANUP(json_freep) struct json *j = json_new(in, NULL, e);
    if (!j)
        return -1;
    CLEANUP(arena_freep) struct arena *arena = arena_new(HELD_MAX);
    if (!arena)
        return oom(e);
    struct rows rows = { .arena = arena };
    if (read_rows(j, &rows, e) < 0)
        return -1;
    if (rows.count)
        qsort(rows.list, rows.count, sizeof *rows.list, by_row);
    for (size_t i = 0, end; i < rows.count; i = end) {
        for (end = i + 1; end < rows.count && str_eq(rows.list[i].cve, rows.list[end].cve);)
            end++;
        if (put_rows(&rows.list[i], end - i, release, namespace, sink, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- OVAL ---- */

struct writing {
    struct advisory_sink *sink;
    str release;
};

static str namespace_of(struct arena *a, str product)
{
    str head = STR("Photon OS ");
    if (!str_starts(product, head))
        return (str){ 0 };
    product = str_skip(product, head.len);
    str major = str_cut(&product, '.');
    return arena_printf(a, "photon:" STR_FMT, STR_ARG(major));
}

/* A notice with several CVEs is an advisory for each: they are what its other sources call things by. */
static int put(void *ctx, const struct oval_definition *d, struct err *e)
{
    const struct writing *w = ctx;
    struct affected_range *ranges = arena_array(d->arena, struct affected_range, d->row_count + 1);
    size_t n = 0;
    for (size_t i = 0; ranges && i < d->row_count; i++) {
        const struct oval_row *row = &d->rows[i];
        str fixed = oval_evr(row->evr);
        if (!row->namespace.len || row->operation != OVAL_LESS || !fixed.len)
            continue;
        ranges[n++] = (struct affected_range){
            .namespace = row->namespace,
            .scheme = STR("rpm"),
            .package = row->package,
            .kind = AFFECTS_BINARY,
            .fixed_version = fixed,
            .arch = row->arch,
            .module = row->module,
            .severity = severity_of_word(d->severity),
            .state = FIX_FIXED,
        };
    }
    for (size_t i = 0; n && i < d->cve_count; i++) {
        const struct advisory advisory = {
            .key = arena_printf(d->arena, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(w->release),
                                STR_ARG(d->key), STR_ARG(d->cves[i])),
            .id = d->cves[i],
            .title = d->title,
            .description = d->description,
            .link = d->link,
            .ranges = ranges,
            .range_count = n,
        };
        if (!arena_failed(d->arena) && w->sink->put(w->sink, &advisory, e) < 0)
            return -1;
    }
    return arena_failed(d->arena) ? oom(e) : 0;
}

/* ---- documents ---- */

static const struct release {
    const char *version, *namespace, *json, *oval;
} releases[] = {
    { "1.0", "photon:1", JSON_OF("1.0"), OVAL_OF("1") }, { "2.0", "photon:2", JSON_OF("2.0"), OVAL_OF("2") },
    { "3.0", "photon:3", JSON_OF("3.0"), OVAL_OF("3") }, { "4.0", "photon:4", JSON_OF("4.0"), OVAL_OF("4") },
    { "5.0", "photon:5", JSON_OF("5.0"), OVAL_OF("5") },
};

static int photon_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    for (size_t i = 0; i < sizeof releases / sizeof *releases; i++) {
        str version = str_from(releases[i].version);
        if (str_eq(in->document, str_from(releases[i].json)))
            return parse_json(in->bytes, version, str_from(releases[i].namespace), sink, e);
        if (str_eq(in->document, str_from(releases[i].oval))) {
            struct writing w = { sink, version };
            const struct oval_reader reader = {
                .by_comment = true, .link = "PHSA", .namespace = namespace_of, .put = put, .ctx = &w
            };
            return oval_read(in->bytes, &reader, e);
        }
    }
    return err_set(e, ERR_FORMAT, "no document of Photon OS");
}

static const struct feed_document documents[] = {
    { JSON_OF("1.0"), DOCUMENT_MAY_LACK },
    { OVAL_OF("1"), DOCUMENT_MAY_LACK | DOCUMENT_ELSE },
    { JSON_OF("2.0"), DOCUMENT_MAY_LACK },
    { OVAL_OF("2"), DOCUMENT_MAY_LACK | DOCUMENT_ELSE },
    { JSON_OF("3.0"), DOCUMENT_MAY_LACK },
    { OVAL_OF("3"), DOCUMENT_MAY_LACK | DOCUMENT_ELSE },
    { JSON_OF("4.0"), DOCUMENT_MAY_LACK },
    { OVAL_OF("4"), DOCUMENT_MAY_LACK | DOCUMENT_ELSE },
    { JSON_OF("5.0"), DOCUMENT_MAY_LACK },
    { OVAL_OF("5"), DOCUMENT_MAY_LACK | DOCUMENT_ELSE },
    { NULL },
};

const struct feed feed_photon = {
    .name = "photon",
    .about = "Photon OS CVE metadata",
    .covers = "photon",
    .megabytes = 10,
    .place = { "photon", "https://packages.broadcom.com/photon" },
    .documents = documents,
    .version = 1,
    .parse = photon_parse,
};
