/* Zip or tar, whole or not: files come with names, and nothing else happens. */
#include "base/cleanup.h"
#include "codec/archive.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    struct archive_limits limits = { .max_files = 100, .max_file = 1 << 20 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(str_of(data, size), &e);
    CLEANUP(archive_freep) struct archive *a = in ? archive_new(in, &limits, &e) : NULL;
    str name, chunk;
    struct stream *file;
    while (a && archive_next(a, &name, &file, &e) > 0) {
        if (!name.len || name.len > 1024)
            abort();
        if (name.ptr[0] & 1) /* some are left unread */
            while (stream_next(file, &chunk, &e) > 0) {
            }
    }
    return 0;
}
