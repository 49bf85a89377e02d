/* What opens is a token: sealed again it opens to the same. The key is the fuzzer's, too, or ours with a token that fits. */
#include "base/cleanup.h"
#include "codec/fernet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(1 << 20);
    CLEANUP(buf_done) struct buf token = { 0 };
    uint8_t key[FERNET_KEY] = { 1 };
    struct err e = { 0 };
    str in = str_of(data, size), text;
    fernet_key_parse(in, key);
    if (fernet_open(key, in, 1000, 3600, a, &text, &e) < 0 && e.kind != ERR_FORMAT)
        abort();
    if (size > 2048)
        return 0;
    e = (struct err){ 0 };
    if (fernet_seal(key, in, 1000, &token, &e) < 0 ||
        fernet_open(key, buf_view(&token), 1000, 0, a, &text, &e) < 0 || !str_eq(text, in))
        abort();
    return 0;
}
