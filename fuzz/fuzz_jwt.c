/* What is taken is whole: a key that was read can be written and read again, and no token is verified without its signature. */
#include "base/cleanup.h"
#include "jwt/token.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_key(struct jwt_key *k, const struct jwt *t)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    struct err e = { 0 };
    if (!k)
        return;
    if (t && jwt_verify(t, k, ~0u) && !t->signature.len)
        abort();
    if (jwt_key_put_jwk(k, jwt_key_is_private(k), &out, &e) < 0)
        abort();
    CLEANUP(jwt_key_freep) struct jwt_key *again = jwt_key_read_jwk(buf_view(&out), &e);
    if (!again || jwt_key_is_private(again) != jwt_key_is_private(k))
        abort();
    jwt_key_freep(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(1 << 20);
    str in = str_of(data, size);
    struct err e = { 0 };
    struct jwt t;
    enum jwt_part where;
    bool token = jwt_parse(in, a, &t, &where, &e) == 0;
    if (!token && e.kind != ERR_FORMAT)
        abort();
    if (token && (t.signed_text.ptr != in.ptr || jwt_verify_secret(&t, STR("secret"))))
        abort();
    try_key(jwt_key_read_jwk(in, &e), NULL);
    try_key(jwt_key_read_public(in, STR("k"), &e), token ? &t : NULL);
    try_key(jwt_key_read_private(in, STR(""), &e), NULL);
    return 0;
}
