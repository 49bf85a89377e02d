#include "feed/parse_task.h"

#include "base/cleanup.h"
#include "cage/cage.h"
#include "codec/inflate.h"
#include "codec/pack.h"
#include "feed/update.h"
#include "model/package.h"
#include "version/version.h"

/* The largest are archives: Red Hat's has 30,000 documents, some of tens of megabytes. JSON and XML shrink to a tenth, its documents to a
 * fortieth: a ratio of 1,000 is a bomb. */
static const struct inflate_limits document_limits = {
    .max_out = UINT64_C(64) << 30, .max_ratio = 1000, .ratio_from = 64 << 20, .max_window = 128 << 20
};

static bool fits(str s) { return s.len <= PACKAGE_TEXT_MAX; }

static bool range_fits(const struct affected_range *r)
{
    char room[RANGE_END_ROOM];
    return fits(r->namespace) && fits(r->scheme) && fits(r->package) && fits(r->introduced) &&
           fits(range_end(r, room)) && fits(r->arch) && fits(r->module) && fits(r->cpe);
}

static void pack_range(struct buf *b, const struct affected_range *r)
{
    char room[RANGE_END_ROOM];
    pack_str(b, r->namespace);
    pack_str(b, r->scheme);
    pack_str(b, r->package);
    pack_u64(b, r->kind);
    pack_u64(b, r->negative);
    pack_str(b, r->introduced);
    pack_str(b, range_end(r, room));
    pack_str(b, r->arch);
    pack_str(b, r->module);
    pack_str(b, r->cpe);
    pack_u64(b, r->severity);
    pack_u64(b, r->state);
}

int advisory_pack(const struct advisory *a, struct buf *ret, uint64_t *skipped, struct err *e)
{
    size_t count = 0;
    if (!fits(a->key) || !fits(a->id)) {
        *skipped += a->range_count ? a->range_count : 1;
        return 0;
    }
    struct metadata_room room;
    struct metadata meta;
    metadata_bound(&a->meta, &room, &meta, skipped);
    for (size_t i = 0; i < a->range_count; i++)
        count += range_fits(&a->ranges[i]);
    *skipped += a->range_count - count;
    if (!count && metadata_empty(&meta))
        return 0;
    if (count > ADVISORY_RANGES)
        return err_set(e, ERR_LIMIT, STR_FMT ": more than %u affected ranges", STR_ARG(a->key),
                       ADVISORY_RANGES);

    CLEANUP(buf_done) struct buf packed = { 0 };
    metadata_pack(&packed, &meta);
    buf_clear(ret);
    pack_str(ret, a->key);
    pack_str(ret, a->id);
    pack_str(ret, a->title);
    pack_str(ret, a->description);
    pack_str(ret, a->link);
    pack_str(ret, buf_view(&packed));
    pack_u64(ret, count);
    for (size_t i = 0; i < a->range_count; i++)
        if (range_fits(&a->ranges[i]))
            pack_range(ret, &a->ranges[i]);
    if (ret->failed || packed.failed || ret->len > FRAME_MAX)
        return err_set(e, ERR_LIMIT, STR_FMT ": more than %u bytes of text", STR_ARG(a->key), FRAME_MAX);
    return 1;
}

/* `from` and `to` are the first and the last value of an enum. */
static unsigned unpack_enum(struct unpack *u, unsigned from, unsigned to)
{
    uint64_t v = unpack_u64(u);
    if (v >= from && v <= to)
        return (unsigned)v;
    u->failed = true;
    return from;
}

static str unpack_name(struct unpack *u)
{
    str s = unpack_str(u);
    u->failed |= !s.len;
    return s;
}

static void unpack_range(struct unpack *u, struct affected_range *r)
{
    r->namespace = unpack_name(u);
    r->scheme = unpack_name(u);
    r->package = unpack_name(u);
    r->kind = (enum affected_kind)unpack_enum(u, AFFECTS_SOURCE, AFFECTS_BINARY);
    r->negative = unpack_enum(u, 0, 1);
    r->introduced = unpack_str(u);
    range_end_read(unpack_str(u), r);
    u->failed |= r->negative && r->last_affected.len;
    r->arch = unpack_str(u);
    r->module = unpack_str(u);
    r->cpe = unpack_str(u);
    r->severity = (enum severity)unpack_enum(u, 0, SEVERITIES - 1);
    r->state = (enum fix_state)unpack_enum(u, FIX_AFFECTED, FIX_UNDER_INVESTIGATION);
    u->failed |= !version_scheme_by_name(r->scheme);
}

int advisory_unpack(str body, struct advisory_room *room, struct advisory *ret, struct err *e)
{
    struct unpack u = { .rest = body, .max_str = PACKAGE_TEXT_MAX };
    struct advisory a = { .ranges = room->ranges };
    a.key = unpack_name(&u);
    a.id = unpack_name(&u);
    u.max_str = 0;
    a.title = unpack_str(&u);
    a.description = unpack_str(&u);
    a.link = unpack_str(&u);
    u.failed |= !metadata_unpack(unpack_str(&u), &room->meta, &a.meta);
    u.max_str = PACKAGE_TEXT_MAX;
    a.range_count = unpack_enum(&u, metadata_empty(&a.meta), ADVISORY_RANGES);
    for (size_t i = 0; i < a.range_count && !u.failed; i++)
        unpack_range(&u, &room->ranges[i]);
    if (!unpack_end(&u))
        return err_set(e, ERR_CAGE, "worker sent a malformed advisory");
    *ret = a;
    return 0;
}

/* ---- leads ---- */

void lead_pack(struct buf *b, const struct feed_lead *lead)
{
    pack_str(b, lead->name);
    pack_str(b, lead->path);
    pack_str(b, lead->fingerprint);
    pack_u64(b, lead->may_lack);
}

bool lead_unpack(struct unpack *u, struct feed_lead *ret)
{
    u->max_str = PACKAGE_TEXT_MAX;
    ret->name = unpack_name(u);
    u->max_str = 2 * PACKAGE_TEXT_MAX; /* a URL */
    ret->path = unpack_name(u);
    ret->fingerprint = unpack_str(u);
    ret->may_lack = unpack_enum(u, 0, 1);
    return !u->failed;
}

/* ---- the caged side ---- */

struct frame_sink {
    struct advisory_sink sink; /* first: parsers hold a pointer to it */
    struct frame_writer *out;
    struct buf body;
    uint64_t skipped;
};

static int put_advisory(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct frame_sink *s = (struct frame_sink *)sink;
    int r = advisory_pack(a, &s->body, &s->skipped, e);
    return r > 0 ? frame_put(s->out, FRAME_TASK + PARSE_ADVISORY, buf_view(&s->body), e) : r;
}

static int put_name(struct advisory_sink *sink, enum parse_frame type, str name, struct err *e)
{
    struct frame_sink *s = (struct frame_sink *)sink;
    if (!name.len || !fits(name))
        return err_set(e, ERR_LIMIT, "the name of a document has %zu bytes, not 1 to %d", name.len,
                       PACKAGE_TEXT_MAX);
    return frame_put(s->out, FRAME_TASK + type, name, e);
}

static int put_document(struct advisory_sink *sink, str name, struct err *e)
{
    return put_name(sink, PARSE_DOCUMENT, name, e);
}

static int put_gone(struct advisory_sink *sink, str name, struct err *e)
{
    return put_name(sink, PARSE_GONE, name, e);
}

static int put_cursor(struct advisory_sink *sink, str cursor, struct err *e)
{
    return put_name(sink, PARSE_REMEMBER, cursor, e);
}

static int put_lead(struct advisory_sink *sink, const struct feed_lead *lead, struct err *e)
{
    struct frame_sink *s = (struct frame_sink *)sink;
    if (!lead->name.len || !fits(lead->name) || !lead->path.len || lead->path.len > 2 * PACKAGE_TEXT_MAX ||
        !fits(lead->fingerprint))
        return err_set(e, ERR_LIMIT, "it leads to a document with too long a name");
    buf_clear(&s->body);
    lead_pack(&s->body, lead);
    if (s->body.failed)
        return err_set(e, ERR_OOM, "out of memory");
    return frame_put(s->out, FRAME_TASK + PARSE_LEAD, buf_view(&s->body), e);
}

void feed_task_ask(struct buf *params, const struct feed *feed, str document, str path, str cursor)
{
    pack_str(params, str_from(feed->name));
    pack_str(params, document);
    pack_str(params, path);
    pack_str(params, cursor);
}

static int run_feed(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                    struct err *e)
{
    struct unpack u = { .rest = params };
    str name = unpack_str(&u);
    struct feed_input input = { .document = unpack_str(&u),
                                .path = unpack_str(&u),
                                .cursor = unpack_str(&u) };
    const struct feed *feed = unpack_end(&u) ? feed_by_name(name) : NULL;
    if (!feed)
        return err_set(e, ERR_INTERNAL, "no such feed");
    CLEANUP(stream_freep) struct stream *plain = stream_inflate(in, &document_limits, NULL, e);
    if (!plain)
        return -1;

    struct frame_sink s = { .sink = { put_advisory, put_document, put_lead, put_gone, put_cursor },
                            .out = out,
                            .body = { .max = 2 * FRAME_MAX } };
    input.bytes = plain;
    int r = feed->parse(&input, &s.sink, e);
    buf_done(&s.body);
    if (r == 0)
        r = stream_drain(plain, e); /* truncation may show only in the checksum behind the last value */
    pack_u64(summary, s.skipped);
    return r;
}

const struct cage_task feed_task = { .name = "feed", .run = run_feed };
