/*
 * SUSE and openSUSE: an OVAL file for each product line, with all CVEs, also those without a fix. Their comments tell neither epoch nor
 * architecture, so tests are resolved (spec/feeds.md 9). What a product's modules and its long term support say counts for the product: no image
 * tells of which of them a package is.
 */
#include "base/cleanup.h"
#include "feed/feed.h"
#include "feed/oval.h"

#include <stdlib.h>

#define FOLDER     "pub/projects/security/oval/"
#define RANGES_MAX 4096u /* of one advisory, which has to fit into a frame */

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a definition that takes too much memory");
}

/* ---- products ---- */

/* Whose packages a container of another name never has. */
static const char *const others[] = { "Desktop", "Storage",   "Point of Sale",
                                      "Micro",   "OpenStack", "Thin Client" };

/* The modules of 12 are those of all its service packs. */
#define EVERY_12 "sles:12.*"
static const char *const packs_of_12[] = { "sles:12",   "sles:12.1", "sles:12.2",
                                           "sles:12.3", "sles:12.4", "sles:12.5" };
#define PACKS_OF_12 (sizeof packs_of_12 / sizeof *packs_of_12)

/* "SUSE Linux Enterprise Server 15 SP5-LTSS", "SUSE Linux Enterprise Module for Basesystem 15 SP5", "... Server 16.0": the last number with what
 * follows it. */
static str enterprise(struct arena *a, str rest)
{
    str major = { 0 }, pack = { 0 }, word;
    bool module = str_starts(rest, STR("Module for "));
    while ((word = str_word(&rest)).len) {
        str tail = word, number = str_cut(&tail, '-');
        uint64_t value;
        str minor = number, whole = str_cut(&minor, '.');
        if (str_to_u64(whole, &value) && value >= 10) {
            major = number;
            pack = (str){ 0 };
        } else if (major.len && str_starts(number, STR("SP")) && str_to_u64(str_skip(number, 2), &value)) {
            pack = str_skip(number, 2);
        }
    }
    if (!major.len)
        return (str){ 0 };
    if (module && str_eq(major, STR("12")) && !pack.len)
        return STR(EVERY_12);
    return arena_printf(a, "sles:" STR_FMT "%s" STR_FMT, STR_ARG(major), pack.len ? "." : "", STR_ARG(pack));
}

static str with_version(struct arena *a, const char *name, str version)
{
    uint64_t value;
    str minor = version, major = str_cut(&minor, '.');
    if (!str_to_u64(major, &value) || (minor.len && !str_to_u64(minor, &value)))
        return (str){ 0 }; /* "openSUSE Leap Micro 5.2": no image calls itself so */
    return arena_printf(a, "%s:" STR_FMT, name, STR_ARG(version));
}

static str namespace_of(struct arena *a, str product)
{
    static const struct {
        const char *head, *name;
    } lines[] = {
        { "openSUSE Leap ", "opensuse.leap" },
        { "SUSE Linux Enterprise Micro ", "sle-micro" },
        { "SUSE Linux Micro ", "sl-micro" },
    };
    if (str_eq(product, STR("openSUSE Tumbleweed")))
        return STR("opensuse.tumbleweed");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (str_starts(product, str_from(lines[i].head)))
            return with_version(a, lines[i].name, str_skip(product, strlen(lines[i].head)));
    str head = STR("SUSE Linux Enterprise ");
    if (!str_starts(product, head))
        return (str){ 0 };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (str_starts(str_skip(product, head.len), str_from(others[i])))
            return (str){ 0 };
    return enterprise(a, str_skip(product, head.len));
}

/* ---- definitions ---- */

static bool is_zero(str evr) { return str_eq(oval_evr(evr), STR("0")) || str_eq(oval_evr(evr), STR("0-0")); }

/* "less than": fixed; "greater than 0": no fix; "equals 0": nobody has it, so it is not affected. */
static bool range_of(const struct oval_row *row, enum severity severity, struct affected_range *ret)
{
    bool negative = row->operation == OVAL_EQUALS && is_zero(row->evr);
    bool open = row->operation == OVAL_GREATER && is_zero(row->evr);
    bool fixed = row->operation == OVAL_LESS && oval_evr(row->evr).len;
    *ret = (struct affected_range){
        .namespace = row->namespace,
        .scheme = STR("rpm"),
        .package = row->package,
        .kind = AFFECTS_BINARY,
        .negative = negative,
        .fixed_version = fixed ? oval_evr(row->evr) : (str){ 0 },
        .arch = row->arch,
        .severity = severity,
        .state = fixed ? FIX_FIXED : FIX_AFFECTED,
    };
    return row->namespace.len && (negative || open || fixed);
}

static int by_package(const void *pa, const void *pb)
{
    const struct affected_range *a = pa, *b = pb;
    int r = str_cmp(a->namespace, b->namespace);
    r = r ? r : str_cmp(a->package, b->package);
    r = r ? r : (int)a->negative - (int)b->negative;
    r = r ? r : str_cmp(a->fixed_version, b->fixed_version);
    return r ? r : str_cmp(a->arch, b->arch);
}

/* Puts one for each service pack where it is meant for all; there is room. */
static size_t add_range(struct affected_range *to, size_t count, const struct affected_range *range)
{
    if (!str_eq(range->namespace, STR(EVERY_12))) {
        to[count] = *range;
        return count + 1;
    }
    for (size_t i = 0; i < PACKS_OF_12; i++) {
        to[count + i] = *range;
        to[count + i].namespace = str_from(packs_of_12[i]);
    }
    return count + PACKS_OF_12;
}

/* Of one product "not affected" and of another of the same namespace affected: affected. Rows of a package stand together. */
static size_t drop_contradicted(struct affected_range *ranges, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0, end; i < count; i = end) {
        bool affected = false;
        for (end = i; end < count && str_eq(ranges[i].namespace, ranges[end].namespace) &&
                      str_eq(ranges[i].package, ranges[end].package);
             end++)
            affected |= !ranges[end].negative;
        for (size_t k = i; k < end; k++)
            if ((!affected || !ranges[k].negative) && (!kept || by_package(&ranges[kept - 1], &ranges[k])))
                ranges[kept++] = ranges[k];
    }
    return kept;
}

struct writing {
    struct advisory_sink *sink;
    str name; /* of the document, without folder and ending */
};

static int put_ranges(const struct writing *w, const struct oval_definition *d, str id,
                      struct affected_range *ranges, size_t count, struct err *e)
{
    for (size_t from = 0, part = 0; from < count; from += RANGES_MAX, part++) {
        str key = arena_printf(d->arena, STR_FMT "/" STR_FMT, STR_ARG(w->name), STR_ARG(d->key));
        if (part)
            key = arena_printf(d->arena, STR_FMT "/%zu", STR_ARG(key), part);
        const struct advisory advisory = {
            .key = key,
            .id = id,
            .description = d->description,
            .link = arena_printf(d->arena, "https://www.suse.com/security/cve/" STR_FMT, STR_ARG(id)),
            .ranges = ranges + from,
            .range_count = count - from < RANGES_MAX ? count - from : RANGES_MAX,
        };
        if (arena_failed(d->arena))
            return too_much(e);
        if (w->sink->put(w->sink, &advisory, e) < 0)
            return -1;
    }
    return 0;
}

static int put(void *ctx, const struct oval_definition *d, struct err *e)
{
    size_t n, count = 0;
    const struct oval_row *rows = oval_spread(d, false, &n);
    size_t every = 0;
    for (size_t i = 0; i < n; i++)
        every += str_eq(rows[i].namespace, STR(EVERY_12));
    struct affected_range *ranges =
        arena_array(d->arena, struct affected_range, n + every * (PACKS_OF_12 - 1) + 1);
    if (arena_failed(d->arena))
        return too_much(e);
    for (size_t i = 0; i < n; i++) {
        struct affected_range range;
        if (range_of(&rows[i], severity_of_word(d->severity), &range))
            count = add_range(ranges, count, &range);
    }
    qsort(ranges, count, sizeof *ranges, by_package);
    str title = d->title, id = str_word(&title);
    if (!id_is_cve(id))
        return 0;
    return put_ranges(ctx, d, id, ranges, drop_contradicted(ranges, count), e);
}

/* ---- documents ---- */

#define LINES(X)                                                                                             \
    X("suse.linux.enterprise.server.12")                                                                     \
    X("suse.linux.enterprise.server.15")                                                                     \
    X("suse.linux.enterprise.16")                                                                            \
    X("suse.linux.enterprise.micro.5")                                                                       \
    X("suse.linux.micro.6")                                                                                  \
    X("opensuse.leap.15.0")                                                                                  \
    X("opensuse.leap.15.1")                                                                                  \
    X("opensuse.leap.15.2")                                                                                  \
    X("opensuse.leap.15.3")                                                                                  \
    X("opensuse.leap.15.4")                                                                                  \
    X("opensuse.leap.15.5")                                                                                  \
    X("opensuse.leap.15.6")                                                                                  \
    X("opensuse.leap.16.0")                                                                                  \
    X("opensuse.tumbleweed")

static int suse_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    static const char *const names[] = {
#define NAME(line) line,
        LINES(NAME)
    };
    str document = in->document, folder = STR(FOLDER);
    struct writing w = { .sink = sink };
    for (size_t i = 0; str_starts(document, folder) && i < sizeof names / sizeof *names; i++) {
        str rest = str_skip(document, folder.len), name = str_from(names[i]);
        if (str_starts(rest, name) && str_starts(str_skip(rest, name.len), STR(".xml.")))
            w.name = name;
    }
    if (!w.name.len)
        return err_set(e, ERR_FORMAT, "no document of SUSE");
    const struct oval_reader reader = { .namespace = namespace_of, .put = put, .ctx = &w };
    return oval_read(in->bytes, &reader, e);
}

static const struct feed_document documents[] = {
#define DOCUMENT(line)                                                                                       \
    { FOLDER line ".xml.gz", DOCUMENT_MAY_LACK },                                                            \
        { FOLDER line ".xml.bz2", DOCUMENT_MAY_LACK | DOCUMENT_ELSE },
    LINES(DOCUMENT){ NULL },
};

const struct feed feed_suse = {
    .name = "suse",
    .about = "SUSE and openSUSE OVAL",
    .covers = "sles sle-micro sl-micro opensuse.leap opensuse.tumbleweed",
    .megabytes = 60,
    .place = { "suse", "https://ftp.suse.com" },
    .documents = documents,
    .version = 1,
    .parse = suse_parse,
};
