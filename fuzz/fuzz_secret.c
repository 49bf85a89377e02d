/* fuzz_secret.c - any bytes as a line of a log: what is masked is masked once and for all, and what is not suspected stays. */
#include "base/secret.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = { 0 }, twice = { 0 };
    str text = str_of(data, size);
    secret_mask(text, &once);
    secret_mask(buf_view(&once), &twice);
    if (!secret_suspected(text) && !str_eq(buf_view(&once), text))
        abort();
    if (!str_eq(buf_view(&once), buf_view(&twice)))
        abort();
    buf_done(&once);
    buf_done(&twice);
    return 0;
}
