/*
 * Red Hat's advisories as OSV has them (spec/feeds.md 12.1): fixes only, the CPE of the repository in the ecosystem, the module stream in the
 * summary. What VEX says counts more; this is for mirrors that have little of it.
 */
#include "feed/csaf_document.h"
#include "feed/osv.h"

#define ECOSYSTEM "Red Hat:"

struct redhat_reader {
    struct osv_reader reader; /* first: records come with it */
    struct advisory_sink *sink;
};

/* The ecosystem leaves out whether the CPE is that of an operating system: these editions and products are, all others are of applications. */
static bool of_system(str product)
{
    static const char *const editions[] = { "baseos",      "server",      "client",
                                            "workstation", "computenode", "fastdatapath" };
    str rest = product, name = str_cut(&rest, ':');
    ptrdiff_t colon = str_rfind(product, ':');
    str edition = colon < 0 ? (str){ 0 } : str_skip(product, (size_t)colon + 1);
    if (str_eq(name, STR("rhel_els")) || str_eq(name, STR("rhev_hypervisor")))
        return true;
    if (!str_eq(name, STR("enterprise_linux")) && !str_starts(name, STR("rhel_")))
        return false;
    for (size_t i = 0; i < sizeof editions / sizeof *editions; i++)
        if (str_eq(edition, str_from(editions[i])))
            return true;
    return false;
}

/* "0:1.2-3" as it is elsewhere: an epoch of 0 is none. */
static str without_epoch_0(str version)
{
    return str_starts(version, STR("0:")) ? str_skip(version, 2) : version;
}

static void add_affected(struct arena *a, const struct osv_affected *one, const struct affected_range *base,
                         const struct osv_streams *streams, struct osv_ranges *to)
{
    str product = str_skip(one->ecosystem, STR(ECOSYSTEM).len);
    struct affected_range range = *base;
    if (!str_starts(one->ecosystem, STR(ECOSYSTEM)) || !one->name.len)
        return;
    range.cpe = arena_printf(a, "cpe:/%s:redhat:" STR_FMT, of_system(product) ? "o" : "a", STR_ARG(product));
    range.namespace = csaf_namespace_of_cpe(a, range.cpe);
    range.package = one->name;
    for (size_t i = 0; i < one->range_count && range.namespace.len; i++) {
        range.fixed_version = without_epoch_0(one->ranges[i].fixed);
        /* of which stream it is nobody says: it must not be held against others */
        bool lost = osv_of_module(range.fixed_version) && !streams->count;
        if (range.fixed_version.len && !lost)
            osv_add_streams(a, to, range, streams);
    }
}

static int read_record(struct osv_reader *reader, struct arena *a, const struct osv_record *record,
                       struct err *e)
{
    struct redhat_reader *r = (struct redhat_reader *)reader;
    struct osv_streams streams;
    struct osv_ranges ranges = { 0 };
    struct osv_list cves = { 0 };
    if (record->withdrawn)
        return 0;
    const struct affected_range base = {
        .scheme = STR("rpm"),
        .kind = AFFECTS_BINARY,
        .severity = osv_severity(record, &(struct osv_affected){ .version_count = 0 }),
        .state = FIX_FIXED,
    };
    osv_find_streams(record->summary, record->id, &streams);
    for (size_t i = 0; i < record->affected_count; i++)
        add_affected(a, &record->affected[i], &base, &streams, &ranges);
    osv_add_cves(a, &cves, record);
    struct advisory advisory = osv_advisory(a, record, record->id, record->id);
    return osv_put(r->sink, a, &advisory, &ranges, &cves, e);
}

static int redhat_osv_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    struct redhat_reader r = { .reader = { read_record }, .sink = sink };
    return osv_read_archive(in->bytes, &r.reader, e);
}

static const struct feed_document documents[] = { { "Red Hat/all.zip" }, { NULL } };

const struct feed feed_redhat_osv = {
    .name = "redhat-osv",
    .about = "Red Hat advisories, from OSV",
    .covers = "rhel centos",
    .megabytes = 6,
    .rank = 110,
    .place = { "osv", OSV_HOST },
    .documents = documents,
    .version = 1,
    .parse = redhat_osv_parse,
};
