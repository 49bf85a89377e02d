#include "notify/jwt.h"

#include "base/cleanup.h"
#include "codec/json.h"
#include "codec/sha256.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define MAC 32u

static gnutls_datum_t datum(str s) { return (gnutls_datum_t){ (uint8_t *)s.ptr, (unsigned)s.len }; }

static void key_done(gnutls_privkey_t *k)
{
    if (*k)
        gnutls_privkey_deinit(*k);
}

static void datum_done(gnutls_datum_t *d) { gnutls_free(d->data); }

static int fail(enum err_kind kind, const char *what, int code, struct err *e)
{
    if (code == GNUTLS_E_MEMORY_ERROR)
        return err_set(e, ERR_OOM, "out of memory");
    return err_set(e, kind, "%s (%s)", what, gnutls_strerror(code));
}

/* RFC 4648 5, without padding. */
static int add_base64(str bytes, struct buf *out, struct err *e)
{
    CLEANUP(datum_done) gnutls_datum_t text = { 0 };
    gnutls_datum_t in = datum(bytes);
    int code = gnutls_base64_encode2(&in, &text);
    if (code < 0)
        return fail(ERR_INTERNAL, "base64", code, e);
    for (unsigned i = 0; i < text.size && text.data[i] != '='; i++)
        buf_char(out, text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : (char)text.data[i]);
    return 0;
}

static int hmac(str secret, str bytes, uint8_t ret[MAC], struct err *e)
{
    int code = gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret.ptr, secret.len, bytes.ptr, bytes.len, ret);
    return code < 0 ? fail(ERR_INTERNAL, "HMAC", code, e) : 0;
}

int hmac_hex(str secret, str bytes, char ret[65], struct err *e)
{
    uint8_t mac[MAC];
    if (hmac(secret, bytes, mac, e) < 0)
        return -1;
    hex_encode(mac, sizeof mac, ret);
    return 0;
}

static int open_key(str pem, gnutls_privkey_t *ret, struct err *e)
{
    gnutls_datum_t in = datum(pem);
    unsigned bits = 0;
    int code = gnutls_privkey_init(ret);
    if (code == 0)
        code = gnutls_privkey_import_x509_raw(*ret, &in, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code < 0)
        return fail(ERR_FORMAT, "no private key in PEM", code, e);
    int kind = gnutls_privkey_get_pk_algorithm(*ret, &bits);
    if (kind == GNUTLS_PK_RSA || (kind == GNUTLS_PK_ECDSA && bits == 256))
        return 0;
    return err_set(e, ERR_FORMAT, "a private key that is neither RSA nor of the curve P-256");
}

int jwt_check_key(str pem, struct err *e)
{
    CLEANUP(key_done) gnutls_privkey_t key = NULL;
    return open_key(pem, &key, e);
}

/* 32 bytes, however many the number has. */
static void put_number(const gnutls_datum_t *n, uint8_t ret[MAC])
{
    unsigned skip = n->size > MAC ? n->size - MAC : 0, size = n->size - skip;
    memset(ret, 0, MAC);
    memcpy(ret + MAC - size, n->data + skip, size);
}

/* RFC 7518 3.4: both numbers of the signature, one behind the other, not DER. */
static int add_ecdsa(const gnutls_datum_t *der, struct buf *out, struct err *e)
{
    CLEANUP(datum_done) gnutls_datum_t r = { 0 };
    CLEANUP(datum_done) gnutls_datum_t s = { 0 };
    uint8_t both[2 * MAC];
    int code = gnutls_decode_rs_value(der, &r, &s);
    if (code < 0)
        return fail(ERR_INTERNAL, "ES256", code, e);
    put_number(&r, both);
    put_number(&s, both + MAC);
    return add_base64(str_of(both, sizeof both), out, e);
}

static int add_signature(gnutls_privkey_t key, str secret, struct buf *out, struct err *e)
{
    uint8_t mac[MAC];
    CLEANUP(datum_done) gnutls_datum_t made = { 0 };
    str signed_text = buf_view(out);
    if (!key && hmac(secret, signed_text, mac, e) < 0)
        return -1;
    bool rsa = key && gnutls_privkey_get_pk_algorithm(key, NULL) == GNUTLS_PK_RSA;
    gnutls_datum_t text = datum(signed_text);
    int code = key ? gnutls_privkey_sign_data2(key, rsa ? GNUTLS_SIGN_RSA_SHA256 : GNUTLS_SIGN_ECDSA_SHA256,
                                               0, &text, &made)
                   : 0;
    if (code < 0)
        return fail(ERR_INTERNAL, "the signature could not be made", code, e);
    buf_char(out, '.');
    if (key && !rsa)
        return add_ecdsa(&made, out, e);
    return add_base64(key ? str_of(made.data, made.size) : str_of(mac, sizeof mac), out, e);
}

int jwt_make(const struct jwt_key *k, str claims, struct buf *out, struct err *e)
{
    CLEANUP(key_done) gnutls_privkey_t key = NULL;
    CLEANUP(buf_done) struct buf header = { 0 };
    CLEANUP(buf_done) struct buf token = { 0 };
    struct json_writer w = { .out = &header };
    if (!k->secret.len && open_key(k->pem, &key, e) < 0)
        return -1;
    bool rsa = key && gnutls_privkey_get_pk_algorithm(key, NULL) == GNUTLS_PK_RSA;
    json_w_object(&w);
    json_w_text(&w, "alg", str_from(!key ? "HS256" : rsa ? "RS256" : "ES256"));
    json_w_text(&w, "typ", STR("JWT"));
    if (k->key_id)
        json_w_text(&w, "kid", str_from(k->key_id));
    json_w_object_end(&w);
    if (add_base64(buf_view(&header), &token, e) < 0)
        return -1;
    buf_char(&token, '.');
    if (add_base64(claims, &token, e) < 0 || add_signature(key, k->secret, &token, e) < 0)
        return -1;
    buf_str(out, buf_view(&token));
    return out->failed || header.failed || token.failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}
