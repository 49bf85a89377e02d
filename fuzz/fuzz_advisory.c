/* fuzz_advisory.c - an advisory's frame as the parent sees it: whatever is accepted must survive being packed again. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/parse_task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    struct advisory a;
    CLEANUP(freep) struct advisory_room *room = malloc(sizeof *room);
    CLEANUP(buf_done) struct buf again = { 0 };
    uint64_t skipped = 0;
    if (!room)
        return 0;
    int r = advisory_unpack(str_of(data, size), room, &a, &e);
    if ((r < 0) != (e.kind != ERR_NONE))
        abort();
    if (r == 0 && (advisory_pack(&a, &again, &skipped, &e) != 1 || skipped || again.len > size))
        abort();
    return 0;
}
