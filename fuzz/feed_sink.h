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
    if (!a->id.len || !str_ends(a->key, a->id) || !str_ends(a->link, a->id) || !a->range_count)
        abort();
    for (size_t i = 0; i < a->range_count; i++)
        check_range(&a->ranges[i]);
    return 0;
}

static inline void fuzz_feed(const struct feed *feed, str document, str bytes)
{
    struct advisory_sink sink = { .put = check_advisory };
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, &e);
    int r = feed->parse(document, in, &sink, &e);
    if (in && (r < 0) != (e.kind != ERR_NONE))
        abort();
}
