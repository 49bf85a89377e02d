/* Frames of a STOMP broker: what is read is whole and inside the bytes, and the same when it comes byte by byte. */
#include "notify/stomp_frame.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(str part, str whole)
{
    if (part.len)
        assert(part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    str rest = str_of(copy, size);
    for (unsigned frames = 0; frames < 100; frames++) {
        struct stomp_frame f, again;
        struct err e = { 0 };
        size_t used = 0, used_again = 0;
        int r = stomp_parse(rest, &f, &used, &e);
        assert(r < 0 ? e.kind != ERR_NONE : e.kind == ERR_NONE);
        if (r <= 0)
            break;
        assert(used && used <= rest.len);
        inside(f.command, rest);
        inside(f.body, rest);
        for (size_t i = 0; i < f.header_count; i++) {
            inside(f.headers[i].name, rest);
            inside(f.headers[i].value, rest);
        }
        stomp_says(&f, STR("receipt-id"), STR("a:b"));
        /* less is not whole, more makes no difference */
        assert(stomp_parse(str_head(rest, used - 1), &again, &used_again, &e) <= 0);
        e = (struct err){ 0 };
        assert(stomp_parse(str_head(rest, used), &again, &used_again, &e) == 1 && used_again == used);
        rest = str_skip(rest, used);
    }
    free(copy);
    return 0;
}
