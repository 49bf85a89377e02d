/* feed_sink.h - what holds for each advisory of every feed parser: shared by their fuzz targets. */
#pragma once
#include "base/cleanup.h"
#include "feed/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check_range(const struct affected_range *r)
{
    if (!r->namespace.len || !r->scheme.len || !r->package.len || !r->kind || !r->state ||
        r->severity >= SEVERITIES)
        abort();
    if (r->negative ? r->fixed_version.len > 0 : (r->state == FIX_FIXED) != (r->fixed_version.len > 0))
        abort();
}

static inline int check_advisory(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    if (!a->id.len || !a->key.len || (!a->range_count && metadata_empty(&a->meta)))
        abort();
    for (size_t i = 0; i < a->range_count; i++)
        check_range(&a->ranges[i]);
    return 0;
}

static inline int check_name(struct advisory_sink *sink, str name, struct err *e)
{
    return name.len ? 0 : err_set(e, ERR_LIMIT, "an empty name");
}

static inline int check_lead(struct advisory_sink *sink, const struct feed_lead *lead, struct err *e)
{
    if (!lead->name.len || !lead->path.len)
        abort();
    return 0;
}

static inline void fuzz_feed_from(const char *feed, str document, str cursor, str bytes)
{
    struct advisory_sink sink = { check_advisory, check_name, check_lead, check_name, check_name };
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, &e);
    struct feed_input input = { .document = document, .cursor = cursor, .bytes = in };
    int r = feed_by_name(str_from(feed))->parse(&input, &sink, &e);
    if (in && (r < 0) != (e.kind != ERR_NONE))
        abort();
}

static inline void fuzz_feed(const char *feed, str document, str bytes)
{
    fuzz_feed_from(feed, document, (str){ 0 }, bytes);
}
