/*
 * Packages of programming languages, from the zips of OSV: a feed and a namespace for each ecosystem (spec/feeds.md 12). Records name
 * packages of several ecosystems; each feed takes its own.
 */
#include "feed/osv.h"

#include <ctype.h>

#define RUST                                                                                                 \
    "crates"                                                                                                 \
    ".io" /* what OSV calls the ecosystem */

static const struct language {
    const char *feed; /* and its namespace */
    const char *ecosystem, *scheme;
    bool normalise; /* PEP 503 */
} languages[] = {
    { "crates", RUST, "semver", false },
    { "go", "Go", "semver", false },
    { "hex", "Hex", "semver", false },
    { "maven", "Maven", "maven", false },
    { "npm", "npm", "semver", false },
    { "nuget", "NuGet", "nuget", false },
    { "packagist", "Packagist", "packagist", false },
    { "pub", "Pub", "semver", false },
    { "pypi", "PyPI", "pep440", true },
    { "rubygems", "RubyGems", "gem", false },
};

struct language_reader {
    struct osv_reader reader; /* first: records come with it */
    const struct language *language;
    struct advisory_sink *sink;
};

/* Lower-case, runs of "-_." are one "-". */
static str normalised(struct arena *a, str name)
{
    char *to = arena_alloc(a, name.len, 1);
    size_t n = 0;
    for (size_t i = 0; to && i < name.len; i++) {
        char c = name.ptr[i];
        bool separator = c == '-' || c == '_' || c == '.';
        if (!separator)
            to[n++] = (char)tolower((unsigned char)c);
        else if (!n || to[n - 1] != '-')
            to[n++] = '-';
    }
    return str_of(to, n);
}

static void add_affected(const struct language *l, struct arena *a, const struct osv_record *record,
                         const struct osv_affected *one, struct osv_ranges *to)
{
    struct affected_range range = {
        .namespace = str_from(l->feed),
        .scheme = str_from(l->scheme),
        .package = l->normalise ? normalised(a, one->name) : one->name,
        .kind = AFFECTS_BINARY,
        .severity = str_starts(record->id, STR("MAL-")) ? SEVERITY_CRITICAL : osv_severity(record, one),
        .state = FIX_AFFECTED,
    };
    for (size_t i = 0; i < one->range_count;
         i++) { /* last_affected has no room in a range: more is affected than is said */
        range.introduced = one->ranges[i].introduced;
        range.fixed_version = one->ranges[i].fixed;
        range.state = range.fixed_version.len ? FIX_FIXED : FIX_AFFECTED;
        osv_add_range(a, to, &range);
    }
    if (!one->range_count &&
        (one->version_count || !one->commits)) { /* neither: all versions (spec/matching.md 6) */
        range.introduced = one->first_version;
        osv_add_range(a, to, &range);
    }
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
        if (one->name.len && str_eq(one->ecosystem, str_from(r->language->ecosystem)))
            add_affected(r->language, a, record, one, &ranges);
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
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++) {
        struct language_reader r = { { read_record }, &languages[i], sink };
        if (str_eq(folder, str_from(languages[i].ecosystem)))
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
        .version = 1,                                                                                        \
        .parse = language_parse,                                                                             \
    }

LANGUAGE(crates, RUST, "Rust crates", 3);
LANGUAGE(go, "Go", "Go modules", 10);
LANGUAGE(hex, "Hex", "Hex packages of Erlang and Elixir", 1);
LANGUAGE(maven, "Maven", "Maven packages of Java", 10);
LANGUAGE(npm, "npm", "npm packages of JavaScript", 150);
LANGUAGE(nuget, "NuGet", "NuGet packages of .NET", 3);
LANGUAGE(packagist, "Packagist", "Packagist packages of PHP", 8);
LANGUAGE(pub, "Pub", "Pub packages of Dart", 1);
LANGUAGE(pypi, "PyPI", "PyPI packages of Python", 20);
LANGUAGE(rubygems, "RubyGems", "RubyGems packages", 3);
