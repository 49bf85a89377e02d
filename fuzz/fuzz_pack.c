/* What was unpacked and is packed again gives the same bytes: there is one form only. */
#include "base/cleanup.h"
#include "codec/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_done) struct buf again = { 0 };
    struct unpack u = { .rest = str_of(data, size), .max_str = 64 };
    while (!u.failed && u.rest.len) {
        uint64_t number = unpack_u64(&u);
        str text = number & 1 ? unpack_str(&u) : (str){ 0 };
        if (u.failed)
            break;
        pack_u64(&again, number);
        if (number & 1)
            pack_str(&again, text);
    }
    if (u.failed == unpack_end(&u) || again.len > size ||
        (again.len && memcmp(again.ptr, data, again.len) != 0) || (!u.failed && again.len != size))
        abort();
    return 0;
}
