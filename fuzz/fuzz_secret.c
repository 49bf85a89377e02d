/* fuzz_secret.c - any bytes as a line of a log: what is not suspected stays, and a token behind them does not. */
#include "base/cleanup.h"
#include "base/secret.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_done) struct buf line = { 0 }, masked = { 0 };
    buf_add(&line, data, size);
    secret_mask(buf_view(&line), &masked);
    if (!secret_suspected(buf_view(&line)) && !str_eq(buf_view(&masked), buf_view(&line)))
        abort();
    buf_str(&line, STR("\n Bearer 0123456789abcdef"));
    buf_clear(&masked);
    secret_mask(buf_view(&line), &masked);
    if (!secret_suspected(buf_view(&line)) || str_ends(buf_view(&masked), STR("0123456789abcdef")))
        abort();
    return 0;
}
