#include "codec/sha256.h"
#include "base/cleanup.h"

#include <gnutls/crypto.h>

struct sha256 {
    gnutls_hash_hd_t hash;
    bool ended;
};

struct sha256 *sha256_new(struct err *e)
{
    struct sha256 *h = calloc(1, sizeof *h);
    if (!h) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    int r = gnutls_hash_init(&h->hash, GNUTLS_DIG_SHA256);
    if (r < 0) {
        err_set(e, ERR_INTERNAL, "sha256: %s", gnutls_strerror(r));
        free(h);
        return NULL;
    }
    return h;
}

/* The results of GnuTLS are not looked at from here on: with a valid handle nettle's SHA-256 has no way to fail. */
void sha256_add(struct sha256 *h, const void *bytes, size_t n)
{
    if (n)
        gnutls_hash(h->hash, bytes, n);
}

void sha256_raw(struct sha256 *h, uint8_t ret[32])
{
    gnutls_hash_deinit(h->hash, ret);
    h->ended = true;
}

void sha256_hex(struct sha256 *h, char ret[65])
{
    uint8_t raw[32];
    sha256_raw(h, raw);
    hex_encode(raw, sizeof raw, ret);
}

void sha256_freep(struct sha256 **h)
{
    if (*h && !(*h)->ended)
        gnutls_hash_deinit((*h)->hash, NULL);
    free(*h);
    *h = NULL;
}

int sha256_of(const void *bytes, size_t n, uint8_t ret[32], struct err *e)
{
    CLEANUP(sha256_freep) struct sha256 *h = sha256_new(e);
    if (!h)
        return -1;
    sha256_add(h, bytes, n);
    sha256_raw(h, ret);
    return 0;
}

int hmac_sha256(str secret, str bytes, uint8_t ret[SHA256_BYTES], struct err *e)
{
    int code = gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret.ptr, secret.len, bytes.ptr, bytes.len, ret);
    return code < 0 ? err_set(e, ERR_INTERNAL, "HMAC: %s", gnutls_strerror(code)) : 0;
}

void hex_encode(const void *bytes, size_t n, char *ret)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = "0123456789abcdef"[from[i] >> 4];
        ret[2 * i + 1] = "0123456789abcdef"[from[i] & 15];
    }
    ret[2 * n] = '\0';
}

bool digest_valid(str digest)
{
    str head = STR("sha256:");
    if (digest.len != head.len + 64 || !str_starts(digest, head))
        return false;
    for (size_t i = head.len; i < digest.len; i++) {
        char c = digest.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}
