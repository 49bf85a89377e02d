#include "codec/fernet.h"

#include "base/cleanup.h"
#include "codec/sha256.h"

#include <endian.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define VERSION   0x80
#define BLOCK     16u
#define MAC       32u
#define HEAD      (1 + 8 + BLOCK) /* version, time, initialisation vector */
#define BYTES_MAX (FERNET_MAX / 4 * 3)

/* ---- base64 (RFC 4648) ---- */

static void replace(char *s, size_t n, const char from[2], const char to[2])
{
    for (size_t i = 0; i < n; i++)
        s[i] = s[i] == from[0] ? to[0] : s[i] == from[1] ? to[1] : s[i];
}

/* Padding is wanted; GnuTLS skips white space and takes unfinished ends, which are none of ours. False: it is none, or too long. */
static bool decode(str text, uint8_t *ret, size_t room, size_t *ret_len)
{
    char copy[FERNET_MAX];
    if (!text.len || text.len > sizeof copy || text.len % 4)
        return false;
    memcpy(copy, text.ptr, text.len);
    replace(copy, text.len, "-_", "+/");
    size_t end =
        text.len - (copy[text.len - 1] == '=') - (copy[text.len - 1] == '=' && copy[text.len - 2] == '=');
    for (size_t i = 0; i < end; i++)
        if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", copy[i], 64))
            return false;
    gnutls_datum_t in = { (uint8_t *)copy, (unsigned)text.len }, out = { 0 };
    if (gnutls_base64_decode2(&in, &out) < 0)
        return false;
    bool fits = out.size <= room;
    if (fits)
        memcpy(ret, out.data, out.size);
    *ret_len = out.size;
    gnutls_free(out.data);
    return fits;
}

static int encode(const uint8_t *bytes, size_t n, struct buf *out, struct err *e)
{
    gnutls_datum_t in = { (uint8_t *)bytes, (unsigned)n }, text = { 0 };
    if (gnutls_base64_encode2(&in, &text) < 0)
        return err_set(e, ERR_OOM, "out of memory");
    replace((char *)text.data, text.size, "+/", "-_");
    buf_str(out, str_of(text.data, text.size));
    gnutls_free(text.data);
    return out->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool decode_hex(str text, uint8_t *ret)
{
    for (size_t i = 0; i < text.len; i++) {
        int d = hex_digit(text.ptr[i]);
        if (d < 0)
            return false;
        ret[i / 2] = (uint8_t)(i % 2 ? ret[i / 2] << 4 | d : d);
    }
    return true;
}

bool fernet_key_parse(str text, uint8_t ret[FERNET_KEY])
{
    size_t len;
    if (text.len == 2 * FERNET_KEY)
        return decode_hex(text, ret);
    return decode(text, ret, FERNET_KEY, &len) && len == FERNET_KEY;
}

/* ---- tokens ---- */

static int crypto_error(int code, struct err *e)
{
    return err_set(e, ERR_INTERNAL, "fernet: %s", gnutls_strerror(code));
}

static int sign(const uint8_t *key, const uint8_t *bytes, size_t n, uint8_t ret[MAC], struct err *e)
{
    return hmac_sha256(str_of(key, FERNET_KEY / 2), str_of(bytes, n), ret, e);
}

static void end_cipher(gnutls_cipher_hd_t *c)
{
    if (*c)
        gnutls_cipher_deinit(*c);
}

/* In place. */
static int run_cipher(const uint8_t *key, const uint8_t *iv, uint8_t *bytes, size_t n, bool open,
                      struct err *e)
{
    gnutls_datum_t k = { (uint8_t *)key + FERNET_KEY / 2, FERNET_KEY / 2 }, v = { (uint8_t *)iv, BLOCK };
    CLEANUP(end_cipher) gnutls_cipher_hd_t c = NULL;
    int r = gnutls_cipher_init(&c, GNUTLS_CIPHER_AES_128_CBC, &k, &v);
    if (r >= 0)
        r = open ? gnutls_cipher_decrypt(c, bytes, n) : gnutls_cipher_encrypt(c, bytes, n);
    return r < 0 ? crypto_error(r, e) : 0;
}

int fernet_seal(const uint8_t key[FERNET_KEY], str text, int64_t now, struct buf *out, struct err *e)
{
    uint8_t token[BYTES_MAX];
    size_t padding = BLOCK - text.len % BLOCK, len = HEAD + text.len + padding;
    if (text.len > BYTES_MAX - HEAD - BLOCK - MAC)
        return err_set(e, ERR_LIMIT, "fernet: the text is too long");
    token[0] = VERSION;
    uint64_t time = htobe64((uint64_t)now);
    memcpy(token + 1, &time, sizeof time);
    int r = gnutls_rnd(GNUTLS_RND_NONCE, token + 1 + sizeof time, BLOCK);
    if (r < 0)
        return crypto_error(r, e);
    if (text.len)
        memcpy(token + HEAD, text.ptr, text.len);
    memset(token + HEAD + text.len, (int)padding, padding);
    if (run_cipher(key, token + 1 + sizeof time, token + HEAD, len - HEAD, false, e) < 0 ||
        sign(key, token, len, token + len, e) < 0)
        return -1;
    return encode(token, len + MAC, out, e);
}

static int invalid(struct err *e) { return err_set(e, ERR_FORMAT, "invalid or expired pagination token"); }

/* The bytes are signed by us. */
static int take_text(const uint8_t *key, uint8_t *token, size_t len, struct arena *arena, str *ret,
                     struct err *e)
{
    uint8_t *text = token + HEAD;
    size_t n = len - HEAD;
    if (run_cipher(key, token + HEAD - BLOCK, text, n, true, e) < 0)
        return -1;
    unsigned padding = text[n - 1];
    if (!padding || padding > BLOCK)
        return invalid(e);
    for (size_t i = n - padding; i < n; i++)
        if (text[i] != padding)
            return invalid(e);
    *ret = arena_dup(arena, str_of(text, n - padding));
    return arena_failed(arena) ? err_set(e, ERR_OOM, "out of memory") : 0;
}

int fernet_open(const uint8_t key[FERNET_KEY], str token, int64_t now, int64_t max_age_s, struct arena *arena,
                str *ret, struct err *e)
{
    uint8_t bytes[BYTES_MAX], mac[MAC];
    uint64_t time;
    size_t len;
    if (!decode(token, bytes, sizeof bytes, &len) || len < HEAD + BLOCK + MAC || (len - HEAD - MAC) % BLOCK)
        return invalid(e);
    len -= MAC;
    if (sign(key, bytes, len, mac, e) < 0)
        return -1;
    memcpy(&time, bytes + 1, sizeof time);
    time = be64toh(time);
    if (gnutls_memcmp(mac, bytes + len, MAC) || bytes[0] != VERSION || time > INT64_MAX / 2 ||
        (int64_t)time > now + FERNET_SKEW || (int64_t)time < now - max_age_s)
        return invalid(e);
    return take_text(key, bytes, len, arena, ret, e);
}
