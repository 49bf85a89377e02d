/*
 * Oracle Linux: one OVAL file of all errata. Its comments tell all (spec/updaters-legacy.md 6); names are those of the errata, the CVEs are
 * aliases. Builds for Ksplice and FIPS have versions of their own order, and no image tells which it has: they are left out.
 */
#include "base/cleanup.h"
#include "feed/feed.h"
#include "feed/oval.h"

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a definition that takes too much memory");
}

static str namespace_of(struct arena *a, str product)
{
    str head = STR("Oracle Linux "), version = str_skip(product, head.len);
    uint64_t number;
    if (!str_starts(product, head) || !str_to_u64(version, &number))
        return (str){ 0 };
    return arena_printf(a, "oracle:" STR_FMT, STR_ARG(version));
}

/* "2:2.17-156.ksplice1.el7", "10:3.6.16-4.0.1.el8_fips" */
static bool other_flavour(str evr)
{
    return str_contains(evr, STR(".ksplice")) || str_contains(evr, STR("-ksplice")) ||
           str_ends(evr, STR("_fips"));
}

/* Does it speak of nothing but programs that Ksplice patches while they run? */
static bool ksplice_only(const struct oval_definition *d)
{
    size_t n = 0;
    while (n < d->cpe_count && str_contains(d->cpes[n], STR("userspace_ksplice")))
        n++;
    return n && n == d->cpe_count;
}

static struct affected_range *ranges_of(const struct oval_definition *d, size_t *count)
{
    size_t n;
    const struct oval_row *rows = oval_spread(d, true, &n);
    struct affected_range *ranges = arena_array(d->arena, struct affected_range, n + 1);
    *count = 0;
    for (size_t i = 0; rows && ranges && i < n; i++)
        if (rows[i].namespace.len && rows[i].operation == OVAL_LESS)
            ranges[(*count)++] = (struct affected_range){
                .namespace = rows[i].namespace,
                .scheme = STR("rpm"),
                .package = rows[i].package,
                .kind = AFFECTS_BINARY,
                .fixed_version = oval_evr(rows[i].evr),
                .arch = rows[i].arch,
                .module = rows[i].module,
                .severity = severity_of_word(d->severity),
                .state = FIX_FIXED,
            };
    return ranges;
}

static bool same_flavour(const struct oval_row *row)
{
    return oval_evr(row->evr).len && !other_flavour(row->evr);
}

static int put(void *ctx, const struct oval_definition *given, struct err *e)
{
    struct advisory_sink *sink = ctx;
    struct oval_definition d = *given;
    struct oval_row *rows = arena_array(d.arena, struct oval_row, d.row_count + 1);
    size_t count;
    if (!rows)
        return too_much(e);
    if (ksplice_only(&d))
        return 0;
    d.row_count = 0;
    for (size_t i = 0; i < given->row_count; i++)
        if (same_flavour(&given->rows[i]))
            rows[d.row_count++] = given->rows[i];
    d.rows = rows;
    struct affected_range *ranges = ranges_of(&d, &count);
    str title = d.title, id = str_trim(str_cut(&title, ':'));
    const struct advisory advisory = {
        .key = d.key,
        .id = id,
        .title = d.title,
        .description = d.description,
        .link = d.link,
        .meta = { .aliases = (str *)d.cves, .alias_count = d.cve_count },
        .ranges = ranges,
        .range_count = count,
    };
    if (arena_failed(d.arena))
        return too_much(e);
    return count && id.len ? sink->put(sink, &advisory, e) : 0;
}

static int oracle_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    const struct oval_reader reader = {
        .by_comment = true, .link = "elsa", .namespace = namespace_of, .put = put, .ctx = sink
    };
    return oval_read(in->bytes, &reader, e);
}

static const struct feed_document documents[] = {
    { "security/oval/com.oracle.elsa-all.xml.bz2" },
    { NULL },
};

const struct feed feed_oracle = {
    .name = "oracle",
    .about = "Oracle Linux errata",
    .covers = "oracle",
    .megabytes = 12,
    .place = { "oracle", "https://linux.oracle.com" },
    .documents = documents,
    .version = 1,
    .parse = oracle_parse,
};
