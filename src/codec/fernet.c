#include "codec/fernet.h"

#include <endian.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define VERSION 0x80
#define HEAD    25 /* version, time, IV */
#define BLOCK   16
#define MAC     32

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* ---- base64 ---- */

static void encode(const uint8_t *bytes, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) |
                     (i + 2 < n ? bytes[i + 2] : 0);
        buf_char(out, alphabet[v >> 18]);
        buf_char(out, alphabet[v >> 12 & 63]);
        buf_char(out, i + 1 < n ? alphabet[v >> 6 & 63] : '=');
        buf_char(out, i + 2 < n ? alphabet[v & 63] : '=');
    }
}

static int digit(char c, bool standard)
{
    if (standard && (c == '+' || c == '/'))
        return c == '+' ? 62 : 63;
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* Padded, and with nothing in the bits that no byte needs. The number of bytes, -1: it is none. `ret` has room for 3 of 4 characters. */
static ptrdiff_t decode(str text, bool standard, uint8_t *ret)
{
    size_t n = 0, padding = str_ends(text, STR("==")) ? 2 : str_ends(text, STR("="));
    if (!text.len || text.len % 4)
        return -1;
    for (size_t i = 0; i < text.len; i += 4) {
        uint32_t v = 0;
        size_t missing = i + 4 == text.len ? padding : 0;
        for (size_t k = 0; k < 4; k++) {
            int d = k < 4 - missing ? digit(text.ptr[i + k], standard) : 0;
            if (d < 0)
                return -1;
            v = v << 6 | (uint32_t)d;
        }
        if (v & ((1u << (8 * missing)) - 1))
            return -1;
        for (size_t k = 0; k < 3 - missing; k++)
            ret[n++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return (ptrdiff_t)n;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fernet_key_parse(str text, uint8_t ret[FERNET_KEY])
{
    uint8_t bytes[48];
    if (text.len == 44) {
        if (decode(text, true, bytes) != FERNET_KEY)
            return false;
        memcpy(ret, bytes, FERNET_KEY);
        return true;
    }
    if (text.len != 2 * FERNET_KEY)
        return false;
    for (size_t i = 0; i < FERNET_KEY; i++) {
        int high = hex(text.ptr[2 * i]), low = hex(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* ---- tokens ---- */

static int failed(int code, struct err *e)
{
    return err_set(e, ERR_INTERNAL, "token: %s", gnutls_strerror(code));
}

static int sign(const uint8_t *key, const uint8_t *bytes, size_t n, uint8_t ret[MAC], struct err *e)
{
    int r = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, BLOCK, bytes, n, ret);
    return r < 0 ? failed(r, e) : 0;
}

/* In place. */
static int cipher_run(const uint8_t *key, const uint8_t *iv, uint8_t *bytes, size_t n, bool encrypt,
                      struct err *e)
{
    gnutls_cipher_hd_t cipher;
    gnutls_datum_t k = { (uint8_t *)key + BLOCK, BLOCK }, v = { (uint8_t *)iv, BLOCK };
    int r = gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &k, &v);
    if (r < 0)
        return failed(r, e);
    r = encrypt ? gnutls_cipher_encrypt(cipher, bytes, n) : gnutls_cipher_decrypt(cipher, bytes, n);
    gnutls_cipher_deinit(cipher);
    return r < 0 ? failed(r, e) : 0;
}

int fernet_seal(const uint8_t key[FERNET_KEY], str text, int64_t now, struct buf *out, struct err *e)
{
    uint8_t token[FERNET_MAX / 4 * 3];
    size_t padded = text.len / BLOCK * BLOCK + BLOCK, n = HEAD + padded;
    if (text.len > sizeof token - HEAD - BLOCK - MAC)
        return err_set(e, ERR_LIMIT, "token: its text is longer than a token can be");
    token[0] = VERSION;
    memcpy(token + 1, &(uint64_t){ htobe64((uint64_t)now) }, 8);
    int r = gnutls_rnd(GNUTLS_RND_NONCE, token + 9, BLOCK);
    if (r < 0)
        return failed(r, e);
    memset(token + HEAD, (int)(padded - text.len), padded);
    if (text.len)
        memcpy(token + HEAD, text.ptr, text.len);
    if (cipher_run(key, token + 9, token + HEAD, padded, true, e) < 0 ||
        sign(key, token, n, token + n, e) < 0)
        return -1;
    encode(token, n + MAC, out);
    return out->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static bool fresh(const uint8_t *token, int64_t now, int64_t max_age_s)
{
    uint64_t made;
    memcpy(&made, token + 1, 8);
    made = be64toh(made);
    return made <= INT64_MAX / 2 && (int64_t)made <= now + FERNET_SKEW_S && (int64_t)made >= now - max_age_s;
}

/* The length of what PKCS#7 padded; -1: it did not. */
static ptrdiff_t unpadded(const uint8_t *bytes, size_t n)
{
    uint8_t padding = bytes[n - 1];
    if (!padding || padding > BLOCK)
        return -1;
    for (size_t i = n - padding; i < n; i++)
        if (bytes[i] != padding)
            return -1;
    return (ptrdiff_t)(n - padding);
}

int fernet_open(const uint8_t key[FERNET_KEY], str text, int64_t now, int64_t max_age_s, struct arena *a,
                str *ret, struct err *e)
{
    uint8_t token[FERNET_MAX / 4 * 3], mac[MAC];
    ptrdiff_t len = text.len <= FERNET_MAX ? decode(text, false, token) : -1;
    size_t n = len > HEAD + MAC ? (size_t)len - MAC : 0, size = n ? n - HEAD : 0;
    if (!size || size % BLOCK || token[0] != VERSION)
        return err_set(e, ERR_FORMAT, "no token");
    if (sign(key, token, n, mac, e) < 0)
        return -1;
    if (gnutls_memcmp(mac, token + n, MAC) != 0 || !fresh(token, now, max_age_s))
        return err_set(e, ERR_FORMAT, "no token");
    if (cipher_run(key, token + 9, token + HEAD, size, false, e) < 0)
        return -1;
    len = unpadded(token + HEAD, size);
    if (len < 0)
        return err_set(e, ERR_FORMAT, "no token");
    *ret = arena_dup(a, str_of(token + HEAD, (size_t)len));
    return arena_failed(a) ? err_set(e, ERR_OOM, "out of memory") : 0;
}
