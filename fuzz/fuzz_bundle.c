/* fuzz_bundle.c - a bundle's manifest, and the records of a part: whatever is accepted keeps to the limits. The first byte says which. */
#include "base/cleanup.h"
#include "cage/frame.h"
#include "feed/bundle.h"
#include "feed/parse_task.h"
#include "feed/want.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct counts {
    struct advisory_room *room;
    uint64_t documents;
    bool advisories;
};

static int on_record(void *ctx, enum bundle_record type, str body, struct err *e)
{
    struct counts *c = ctx;
    struct advisory a;
    struct err ignored = { 0 };
    if (type < BUNDLE_DOCUMENT || type >= BUNDLE_END || body.len > FRAME_MAX)
        abort();
    if (type == BUNDLE_DOCUMENT && (c->advisories || ++c->documents > WANTS_MAX))
        abort();
    c->advisories |= type == BUNDLE_ADVISORY;
    if (type == BUNDLE_ADVISORY &&
        (advisory_unpack(body, c->room, &a, &ignored) < 0) != (ignored.kind != ERR_NONE))
        abort();
    return 0;
}

static void read_part(str bytes)
{
    struct err e = { 0 };
    struct counts c = { .room = malloc(sizeof *c.room) };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, &e);
    if (c.room && in && (bundle_part_read(in, on_record, &c, &e) < 0) != (e.kind != ERR_NONE))
        abort();
    free(c.room);
}

static void read_manifest(str bytes)
{
    struct err e = { 0 };
    struct bundle_manifest m, again;
    CLEANUP(arena_freep) struct arena *arena = arena_new((size_t)64 << 20);
    CLEANUP(buf_done) struct buf out = { 0 };
    if (!arena || bundle_manifest_read(bytes, arena, &m, &e) < 0)
        return;
    if (m.count > BUNDLE_SOURCES)
        abort();
    bundle_manifest_write(&m, &out);
    if (bundle_manifest_read(buf_view(&out), arena, &again, &e) < 0 || again.count != m.count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && size <= BUNDLE_MANIFEST_MAX)
        (data[0] == 'm' ? read_manifest : read_part)(str_of(data + 1, size - 1));
    return 0;
}
