/*
 * Packages of programming languages, from the zips of OSV: a feed and a namespace for each ecosystem (spec/feeds.md 12). Records name
 * packages of several ecosystems; each feed takes its own.
 */
#include "feed/osv.h"

#include "model/ecosystem.h"

struct language_reader {
    struct osv_reader reader; /* first: records come with it */
    const struct ecosystem *ecosystem;
    struct advisory_sink *sink;
};

/* Versions that are named, and in no range: each alone. Of more than anybody names the list is not whole: then all. */
static void add_versions(struct arena *a, const struct osv_affected *one, struct affected_range *range,
                         struct osv_ranges *to)
{
    bool whole = one->version_count <= OSV_VERSIONS_MAX;
    for (size_t i = 0; whole && i < one->versions.count; i++) {
        range->introduced = range->last_affected = one->versions.list[i];
        osv_add_range(a, to, range);
    }
    if (!whole || !one->version_count)
        osv_add_range(a, to, range);
}

static void add_affected(const struct ecosystem *l, struct arena *a, const struct osv_record *record,
                         const struct osv_affected *one, struct osv_ranges *to)
{
    struct affected_range range = {
        .namespace = str_from(l->name),
        .scheme = str_from(l->scheme),
        .package = ecosystem_package(l, one->name, a),
        .kind = AFFECTS_BINARY,
        .severity = str_starts(record->id, STR("MAL-")) ? SEVERITY_CRITICAL : osv_severity(record, one),
        .state = FIX_AFFECTED,
    };
    for (size_t i = 0; i < one->range_count; i++) {
        range.introduced = one->ranges[i].introduced;
        range.fixed_version = one->ranges[i].fixed;
        range.last_affected = one->ranges[i].last_affected;
        range.state = range.fixed_version.len ? FIX_FIXED : FIX_AFFECTED;
        osv_add_range(a, to, &range);
    }
    if (!one->range_count &&
        (one->version_count || !one->commits)) /* neither: all versions (spec/matching.md 6) */
        add_versions(a, one, &range, to);
}

static void add_ids(struct arena *a, struct osv_list *to, const struct osv_list *from)
{
    for (size_t i = 0; i < from->count; i++)
        osv_add_id(a, to, from->list[i]);
}

static int read_record(struct osv_reader *reader, struct arena *a, const struct osv_record *record,
                       struct err *e)
{
    struct language_reader *r = (struct language_reader *)reader;
    struct osv_ranges ranges = { 0 };
    struct osv_list ids = { 0 };
    if (record->withdrawn)
        return 0;
    for (size_t i = 0; i < record->affected_count; i++) {
        const struct osv_affected *one = &record->affected[i];
        if (one->name.len && str_eq(one->ecosystem, str_from(r->ecosystem->osv)))
            add_affected(r->ecosystem, a, record, one, &ranges);
    }
    add_ids(a, &ids, &record->aliases);
    add_ids(a, &ids, &record->upstream);
    struct advisory advisory = osv_advisory(a, record, record->id, record->id);
    return osv_put(r->sink, a, &advisory, &ranges, &ids, e);
}

/* The document is "npm/all.zip". */
static int language_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    str rest = in->document, folder = str_cut(&rest, '/');
    for (size_t i = 0; i < ECOSYSTEMS; i++) {
        struct language_reader r = { { read_record }, &ecosystems[i], sink };
        if (str_eq(folder, str_from(ecosystems[i].osv)))
            return osv_read_archive(in->bytes, &r.reader, e);
    }
    return err_set(e, ERR_INTERNAL, "no such ecosystem");
}

#define LANGUAGE(id, folder, what, size)                                                                     \
    static const struct feed_document id##_documents[] = { { folder "/all.zip" }, { NULL } };                \
    const struct feed feed_##id = {                                                                          \
        .name = #id,                                                                                         \
        .about = what ", from OSV",                                                                          \
        .covers = #id,                                                                                       \
        .megabytes = size,                                                                                   \
        .place = { "osv", OSV_HOST },                                                                        \
        .documents = id##_documents,                                                                         \
        .version = 2,                                                                                        \
        .parse = language_parse,                                                                             \
    }

LANGUAGE(crates, ECOSYSTEM_RUST, "Rust crates", 3);
LANGUAGE(go, "Go", "Go modules", 10);
LANGUAGE(hex, "Hex", "Hex packages of Erlang and Elixir", 1);
LANGUAGE(maven, "Maven", "Maven packages of Java", 10);
LANGUAGE(npm, "npm", "npm packages of JavaScript", 150);
LANGUAGE(nuget, "NuGet", "NuGet packages of .NET", 3);
LANGUAGE(packagist, "Packagist", "Packagist packages of PHP", 8);
LANGUAGE(pub, "Pub", "Pub packages of Dart", 1);
LANGUAGE(pypi, "PyPI", "PyPI packages of Python", 20);
LANGUAGE(rubygems, "RubyGems", "RubyGems packages", 3);
