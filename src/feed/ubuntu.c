/*
 * Ubuntu's OSV records (spec/feeds.md 2): one for each CVE, with what is known of each source package in each release. What Ubuntu Pro
 * alone fixes ("Ubuntu:Pro:18.04:LTS") will not be fixed for those who do not have it; other channels of Pro (FIPS, realtime kernels) are
 * other packages.
 */
#include "feed/ubuntu.h"

#include "feed/osv.h"

struct ubuntu_reader {
    struct osv_reader reader; /* first: records come with it */
    struct advisory_sink *sink;
};

enum channel { CHANNEL_OTHER, CHANNEL_BASE, CHANNEL_PRO };

static bool is_number(str s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '.' && (s.ptr[i] < '0' || s.ptr[i] > '9'))
            return false;
        digits += s.ptr[i] != '.';
    }
    return digits > 0;
}

/* "Ubuntu:22.04:LTS", "Ubuntu:25.10", "Ubuntu:Pro:18.04:LTS" */
static enum channel channel_of(str ecosystem, str *version)
{
    enum channel channel = CHANNEL_BASE;
    if (!str_eq(str_cut(&ecosystem, ':'), STR("Ubuntu")))
        return CHANNEL_OTHER;
    *version = str_cut(&ecosystem, ':');
    if (str_eq(*version, STR("Pro"))) {
        channel = CHANNEL_PRO;
        *version = str_cut(&ecosystem, ':');
    }
    return is_number(*version) ? channel : CHANNEL_OTHER;
}

static bool has_fix(const struct osv_affected *one)
{
    for (size_t i = 0; i < one->range_count; i++)
        if (one->ranges[i].fixed.len)
            return true;
    return false;
}

/* Is there another entry for the same release and package, in that channel? */
static bool has_other(const struct osv_record *record, const struct osv_affected *one, str version,
                      enum channel channel, bool with_fix)
{
    for (size_t i = 0; i < record->affected_count; i++) {
        const struct osv_affected *other = &record->affected[i];
        str release;
        if (str_eq(other->name, one->name) && channel_of(other->ecosystem, &release) == channel &&
            str_eq(release, version) && (!with_fix || has_fix(other)))
            return true;
    }
    return false;
}

/* It stands at the package, or at the record. */
static enum severity priority_of(const struct osv_record *record, const struct osv_affected *one)
{
    const struct osv_severities *s = one->severities.count ? &one->severities : &record->severities;
    if (one->priority.len)
        return severity_of_word(one->priority);
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->list[i].type, STR("Ubuntu")))
            return severity_of_word(s->list[i].score);
    return SEVERITY_UNKNOWN;
}

static void add_base(struct arena *a, const struct osv_affected *one, struct affected_range range,
                     enum fix_state unfixed, struct osv_ranges *to)
{
    for (size_t i = 0; i < one->range_count; i++) {
        range.introduced = one->ranges[i].introduced;
        range.fixed_version = one->ranges[i].fixed;
        range.state = range.fixed_version.len ? FIX_FIXED : unfixed;
        osv_add_range(a, to, &range);
    }
}

static void add_affected(struct arena *a, const struct osv_record *record, const struct osv_affected *one,
                         struct osv_ranges *to)
{
    str version;
    enum channel channel = channel_of(one->ecosystem, &version);
    if (channel == CHANNEL_OTHER || !one->name.len)
        return;
    struct affected_range range = {
        .namespace = arena_printf(a, "ubuntu:" STR_FMT, STR_ARG(version)),
        .scheme = STR("dpkg"),
        .package = one->name,
        .kind = AFFECTS_SOURCE,
        .severity = priority_of(record, one),
        .state = FIX_WILL_NOT_FIX,
    };
    if (channel == CHANNEL_BASE) {
        bool pro = !has_fix(one) && has_other(record, one, version, CHANNEL_PRO, true);
        add_base(a, one, range, pro ? FIX_WILL_NOT_FIX : FIX_AFFECTED, to);
    } else if (one->range_count && !has_other(record, one, version, CHANNEL_BASE, false)) {
        osv_add_range(a, to, &range);
    }
}

static bool has_cve(const struct osv_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (id_is_cve(l->list[i]))
            return true;
    return false;
}

/* A notice repeats what the records of its CVEs say; few have none. */
static bool repeats(const struct osv_record *r)
{
    return !str_starts(r->id, STR("UBUNTU-")) &&
           (has_cve(&r->upstream) || has_cve(&r->aliases) || has_cve(&r->related));
}

static str id_of(const struct osv_record *r)
{
    if (!str_starts(r->id, STR("UBUNTU-")))
        return r->id;
    if (r->upstream.count && id_is_cve(r->upstream.list[0]))
        return r->upstream.list[0];
    return str_skip(r->id, STR("UBUNTU-").len);
}

/* The highest of its packages is that of the CVE as such: what VEX says of it has none of its own. */
static void set_severity(struct metadata *meta, const struct osv_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (ranges->list[i].severity > meta->severity)
            meta->severity = ranges->list[i].severity;
    meta->has_severity = meta->severity != SEVERITY_UNKNOWN;
}

static int read_record(struct osv_reader *reader, struct arena *a, const struct osv_record *record,
                       struct err *e)
{
    struct ubuntu_reader *r = (struct ubuntu_reader *)reader;
    struct osv_ranges ranges = { 0 };
    struct osv_list none = { 0 };
    str id = id_of(record);
    if (record->withdrawn || repeats(record) || !id.len)
        return 0;
    for (size_t i = 0; i < record->affected_count; i++)
        add_affected(a, record, &record->affected[i], &ranges);
    struct advisory advisory = osv_advisory(a, record, record->id, id);
    set_severity(&advisory.meta, &ranges);
    advisory.link = id_is_cve(id)
                        ? arena_printf(a, "https://ubuntu.com/security/" STR_FMT, STR_ARG(id))
                        : arena_printf(a, "https://ubuntu.com/security/notices/" STR_FMT, STR_ARG(id));
    return osv_put(r->sink, a, &advisory, &ranges, &none, e);
}

static int ubuntu_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    if (str_starts(in->document, STR("vex/")))
        return ubuntu_vex_parse(in->bytes, sink, e);
    struct ubuntu_reader r = { { read_record }, sink };
    return osv_read_archive(in->bytes, &r.reader, e);
}

static const struct feed_place osv = { "osv", OSV_HOST };

static const struct feed_document documents[] = {
    { "osv/osv-all.tar.xz", DOCUMENT_MAY_LACK },
    { "Ubuntu/all.zip", DOCUMENT_ELSE, &osv },
    { "vex/vex-all.tar.xz", DOCUMENT_MAY_LACK },
    { NULL },
};

const struct feed feed_ubuntu = {
    .name = "ubuntu",
    .about = "Ubuntu security, from OSV",
    .covers = "ubuntu",
    .megabytes = 40,
    .place = { "ubuntu", "https://security-metadata.canonical.com" },
    .documents = documents,
    .version = 1,
    .parse = ubuntu_parse,
};
