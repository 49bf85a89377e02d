/*
 * AlmaLinux and Rocky Linux: OSV records of their advisories (spec/feeds.md 6). AlmaLinux names binary packages, Rocky Linux the
 * sources that were built; both say only in the summary which module stream an advisory is of ("Moderate: mariadb:10.3 security update"),
 * and one record may speak of several releases, which are advisories of their own here.
 */
#include "feed/osv.h"

struct vendor {
    const char *ecosystem; /* what stands before ":9" */
    const char *namespace;
    const char *ids[2]; /* how those of security fixes begin */
    enum affected_kind kind;
};

static const struct vendor almalinux = { "AlmaLinux", "almalinux", { "ALSA-" }, AFFECTS_BINARY };
static const struct vendor rocky = { "Rocky Linux", "rocky", { "RLSA-", "RXSA-" }, AFFECTS_SOURCE };

struct rpm_reader {
    struct osv_reader reader; /* first: records come with it */
    const struct vendor *vendor;
    str release; /* the only one that counts; empty: all */
    struct advisory_sink *sink;
};

static bool is_security(const struct vendor *v, str id)
{
    for (size_t i = 0; i < 2 && v->ids[i]; i++)
        if (str_starts(id, str_from(v->ids[i])))
            return true;
    return false;
}

/* "9" of "AlmaLinux:9"; empty: it is of something else. */
static str release_of(const struct rpm_reader *r, str ecosystem)
{
    str name = str_cut(&ecosystem, ':');
    bool known = str_eq(name, str_from(r->vendor->ecosystem)) && ecosystem.len &&
                 osv_name_length(ecosystem) == ecosystem.len &&
                 (!r->release.len || str_eq(ecosystem, r->release));
    return known ? ecosystem : (str){ 0 };
}

static void add_affected(const struct rpm_reader *r, struct arena *a, const struct osv_affected *one,
                         const struct affected_range *base, const struct osv_streams *streams,
                         struct osv_ranges *to)
{
    for (size_t i = 0; i < one->range_count; i++) {
        const struct osv_range *range = &one->ranges[i];
        struct affected_range made = *base;
        made.package = one->name;
        made.kind = r->vendor->kind;
        made.introduced = range->introduced;
        made.fixed_version = range->fixed;
        made.state = range->fixed.len ? FIX_FIXED : FIX_AFFECTED;
        osv_add_streams(a, to, made, streams);
    }
}

/* What a record says of one release. */
static int put_release(struct rpm_reader *r, struct arena *a, const struct osv_record *record, str release,
                       struct err *e)
{
    str severity = record->summary;
    struct affected_range base = {
        .namespace = arena_printf(a, "%s:" STR_FMT, r->vendor->namespace, STR_ARG(release)),
        .scheme = STR("rpm"),
        .severity = severity_of_word(str_cut(&severity, ':')),
    };
    struct osv_streams streams;
    struct osv_ranges ranges = { 0 };
    struct osv_list cves = { 0 };
    osv_find_streams(record->summary, record->id, &streams);
    for (size_t i = 0; i < record->affected_count; i++) {
        const struct osv_affected *one = &record->affected[i];
        if (one->name.len && str_eq(release_of(r, one->ecosystem), release))
            add_affected(r, a, one, &base, &streams, &ranges);
    }
    osv_add_cves(a, &cves, record);
    str key = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(record->id), STR_ARG(release));
    struct advisory advisory = osv_advisory(a, record, key, record->id);
    return osv_put(r->sink, a, &advisory, &ranges, &cves, e);
}

static int read_record(struct osv_reader *reader, struct arena *a, const struct osv_record *record,
                       struct err *e)
{
    struct rpm_reader *r = (struct rpm_reader *)reader;
    struct osv_list releases = { 0 };
    if (record->withdrawn || !is_security(r->vendor, record->id))
        return 0;
    for (size_t i = 0; i < record->affected_count; i++) {
        str release = release_of(r, record->affected[i].ecosystem);
        if (release.len)
            osv_add_id(a, &releases, release);
    }
    for (size_t i = 0; i < releases.count; i++)
        if (put_release(r, a, record, releases.list[i], e) < 0)
            return -1;
    return 0;
}

/* The document is "AlmaLinux/all.zip", or "AlmaLinux:9/all.zip" in a mirror that has a part of it. */
static int parse(const struct vendor *v, const struct feed_input *in, struct advisory_sink *sink,
                 struct err *e)
{
    str release = in->document;
    str ecosystem = str_cut(&release, '/');
    str_cut(&ecosystem, ':');
    struct rpm_reader r = { .reader = { read_record }, .vendor = v, .release = ecosystem, .sink = sink };
    return osv_read_archive(in->bytes, &r.reader, e);
}

static int almalinux_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    return parse(&almalinux, in, sink, e);
}

static int rocky_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    return parse(&rocky, in, sink, e);
}

static const struct feed_document almalinux_documents[] = {
    { "AlmaLinux/all.zip", DOCUMENT_MAY_LACK },
    { "AlmaLinux:8/all.zip", DOCUMENT_MAY_LACK },
    { "AlmaLinux:9/all.zip", DOCUMENT_MAY_LACK },
    { "AlmaLinux:10/all.zip", DOCUMENT_MAY_LACK },
    { NULL },
};

static const struct feed_document rocky_documents[] = { { "Rocky Linux/all.zip" }, { NULL } };

const struct feed feed_almalinux = {
    .name = "almalinux",
    .about = "AlmaLinux advisories, from OSV",
    .covers = "almalinux",
    .megabytes = 6,
    .place = { "osv", OSV_HOST },
    .documents = almalinux_documents,
    .version = 1,
    .parse = almalinux_parse,
};

const struct feed feed_rocky = {
    .name = "rocky",
    .about = "Rocky Linux advisories, from OSV",
    .covers = "rocky",
    .megabytes = 2,
    .place = { "osv", OSV_HOST },
    .documents = rocky_documents,
    .version = 1,
    .parse = rocky_parse,
};
