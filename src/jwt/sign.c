/* Signatures of tokens, made and checked (RFC 7518 3). */
#include "base/cleanup.h"
#include "base/secret.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "jwt/base64.h"
#include "jwt/internal.h"
#include "jwt/token.h"

#define HALF 32u /* of a signature of ES256 */

static const struct method {
    unsigned bit;
    const char *name;
    enum jwt_key_type type;
    gnutls_sign_algorithm_t gnutls;
} methods[] = {
    { JWT_RS256, "RS256", JWT_RSA, GNUTLS_SIGN_RSA_SHA256 },
    { JWT_ES256, "ES256", JWT_P256, GNUTLS_SIGN_ECDSA_SHA256 },
    { JWT_PS256, "PS256", JWT_RSA, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256 },
};

/* NULL: none of them, or one that keys of this type have not. */
static const struct method *method_of(unsigned bit, enum jwt_key_type type)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].bit == bit && methods[i].type == type)
            return &methods[i];
    return NULL;
}

bool jwt_verify(const struct jwt *t, const struct jwt_key *k, unsigned algorithms)
{
    const struct method *m = t->algorithm & algorithms ? method_of(t->algorithm, k->type) : NULL;
    gnutls_datum_t text = jwt_datum(t->signed_text), signature = jwt_datum(t->signature);
    if (!m || !t->signature.len)
        return false;
    if (m->bit != JWT_ES256)
        return gnutls_pubkey_verify_data2(k->public, m->gnutls, 0, &text, &signature) >= 0;
    CLEANUP(jwt_datum_done) gnutls_datum_t der = { 0 };
    if (t->signature.len != 2 * HALF)
        return false;
    gnutls_datum_t r = { signature.data, HALF }, s = { signature.data + HALF, HALF };
    return gnutls_encode_rs_value(&der, &r, &s) == 0 &&
           gnutls_pubkey_verify_data2(k->public, m->gnutls, 0, &text, &der) >= 0;
}

bool jwt_verify_secret(const struct jwt *t, str secret)
{
    uint8_t mac[SHA256_BYTES];
    struct err ignored;
    return t->algorithm == JWT_HS256 && secret.len &&
           hmac_sha256(secret, t->signed_text, mac, &ignored) == 0 &&
           secret_equal(t->signature, str_of(mac, sizeof mac));
}

static void put_head(const char *algorithm, str kid, str claims, struct buf *out)
{
    CLEANUP(buf_done) struct buf header = { 0 };
    struct json_writer w = { .out = &header };
    json_w_object(&w);
    json_w_text(&w, "alg", str_from(algorithm));
    if (kid.len)
        json_w_text(&w, "kid", kid);
    json_w_text(&w, "typ", STR("JWT"));
    json_w_object_end(&w);
    base64url_put(buf_view(&header), out);
    buf_char(out, '.');
    base64url_put(claims, out);
    out->failed |= header.failed;
}

static int put_token(struct buf *token, str signature, struct buf *out, struct err *e)
{
    buf_char(token, '.');
    base64url_put(signature, token);
    buf_str(out, buf_view(token));
    return token->failed || out->failed ? err_set(e, ERR_LIMIT, "a token that is too long") : 0;
}

/* 32 bytes, however many the number has. */
static void put_half(const gnutls_datum_t *n, uint8_t ret[HALF])
{
    unsigned skip = n->size > HALF ? n->size - HALF : 0, size = n->size - skip;
    memset(ret, 0, HALF);
    memcpy(ret + HALF - size, n->data + skip, size);
}

/* RFC 7518 3.4: both numbers of the signature, one behind the other, not DER. */
static int put_ecdsa(struct buf *token, const gnutls_datum_t *der, struct buf *out, struct err *e)
{
    CLEANUP(jwt_datum_done) gnutls_datum_t r = { 0 };
    CLEANUP(jwt_datum_done) gnutls_datum_t s = { 0 };
    uint8_t both[2 * HALF];
    int code = gnutls_decode_rs_value(der, &r, &s);
    if (code < 0)
        return jwt_fail(ERR_INTERNAL, "ES256", code, e);
    put_half(&r, both);
    put_half(&s, both + HALF);
    return put_token(token, str_of(both, sizeof both), out, e);
}

int jwt_sign(const struct jwt_key *k, unsigned algorithm, str kid, str claims, struct buf *out, struct err *e)
{
    CLEANUP(buf_done) struct buf token = { .max = JWT_TOKEN_MAX };
    CLEANUP(jwt_datum_done) gnutls_datum_t made = { 0 };
    const struct method *m = method_of(algorithm            ? algorithm
                                       : k->type == JWT_RSA ? JWT_RS256
                                                            : JWT_ES256,
                                       k->type);
    if (!m || !k->secret)
        return err_set(e, ERR_INTERNAL, "a key that cannot sign so");
    put_head(m->name, kid, claims, &token);
    gnutls_datum_t text = jwt_datum(buf_view(&token));
    int code = gnutls_privkey_sign_data2(k->secret, m->gnutls, 0, &text, &made);
    if (code < 0)
        return jwt_fail(ERR_INTERNAL, "the signature could not be made", code, e);
    return m->bit == JWT_ES256 ? put_ecdsa(&token, &made, out, e)
                               : put_token(&token, str_of(made.data, made.size), out, e);
}

int jwt_sign_secret(str secret, str kid, str claims, struct buf *out, struct err *e)
{
    CLEANUP(buf_done) struct buf token = { .max = JWT_TOKEN_MAX };
    uint8_t mac[SHA256_BYTES];
    put_head("HS256", kid, claims, &token);
    return hmac_sha256(secret, buf_view(&token), mac, e) < 0
               ? -1
               : put_token(&token, str_of(mac, sizeof mac), out, e);
}
