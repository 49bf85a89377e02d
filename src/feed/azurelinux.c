/*
 * Azure Linux and CBL-Mariner: an OVAL file for each release. A definition speaks of one CVE in one source package; its file tells the release
 * (spec/feeds.md 11). "greater than" is not read: what is older was never shipped. Versions are told without their epoch.
 */
#include "base/cleanup.h"
#include "feed/feed.h"
#include "feed/oval.h"

static const struct release {
    const char *document, *name, *namespace;
} releases[] = {
    { "azurelinux-3.0-oval.xml", "azurelinux-3.0", "azurelinux:3" },
    { "cbl-mariner-2.0-oval.xml", "cbl-mariner-2.0", "mariner:2" },
};
#define RELEASES (sizeof releases / sizeof *releases)

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a definition that takes too much memory");
}

struct writing {
    struct advisory_sink *sink;
    const struct release *release;
};

/* An upper bound that is included ends at what was newest when it was written: there is no fix yet. */
static int put(void *ctx, const struct oval_definition *d, struct err *e)
{
    const struct writing *w = ctx;
    struct affected_range *ranges = arena_array(d->arena, struct affected_range, d->row_count + 1);
    size_t n = 0;
    if (str_eq(d->patchable, STR("Not Applicable")) || !d->cve_count)
        return 0;
    for (size_t i = 0; ranges && i < d->row_count; i++) {
        const struct oval_row *row = &d->rows[i];
        bool fixed = row->operation == OVAL_LESS && oval_evr(row->evr).len;
        if (!fixed && row->operation != OVAL_LESS_OR_EQUAL)
            continue;
        ranges[n++] = (struct affected_range){
            .namespace = str_from(w->release->namespace),
            .scheme = STR("rpm"),
            .package = row->package,
            .kind = AFFECTS_SOURCE,
            .fixed_version = fixed ? oval_evr(row->evr) : (str){ 0 },
            .severity = severity_of_word(d->severity),
            .state = fixed ? FIX_FIXED : FIX_AFFECTED,
        };
    }
    const struct advisory advisory = {
        .key = arena_printf(d->arena, "%s/" STR_FMT, w->release->name, STR_ARG(d->key)),
        .id = d->cves[0],
        .title = d->title,
        .description = d->description,
        .link = d->link,
        .ranges = ranges,
        .range_count = n,
    };
    if (arena_failed(d->arena))
        return too_much(e);
    return n ? w->sink->put(w->sink, &advisory, e) : 0;
}

static int azurelinux_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    struct writing w = { .sink = sink };
    for (size_t i = 0; i < RELEASES; i++)
        if (str_eq(in->document, str_from(releases[i].document)))
            w.release = &releases[i];
    if (!w.release)
        return err_set(e, ERR_FORMAT, "no document of Azure Linux");
    const struct oval_reader reader = { .link = "CVE", .put = put, .ctx = &w };
    return oval_read(in->bytes, &reader, e);
}

static const struct feed_document documents[] = {
    { "azurelinux-3.0-oval.xml", DOCUMENT_MAY_LACK },
    { "cbl-mariner-2.0-oval.xml", DOCUMENT_MAY_LACK },
    { NULL },
};

const struct feed feed_azurelinux = {
    .name = "azurelinux",
    .about = "Azure Linux vulnerability data",
    .covers = "azurelinux mariner",
    .megabytes = 30,
    .place = { "azurelinux", "https://raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main" },
    .documents = documents,
    .version = 1,
    .parse = azurelinux_parse,
};
