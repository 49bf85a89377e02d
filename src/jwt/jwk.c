/* JSON Web Keys (RFC 7517, 7518 6) and their thumbprints (RFC 7638). */
#include "base/cleanup.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "jwt/base64.h"
#include "jwt/internal.h"
#include "jwt/members.h"

#define P256_BYTES 32u

enum member { KID, KTY, ALG, USE, E, N, D, P, Q, DP, DQ, QI, CRV, X, Y, OTH, MEMBERS };
static const char *const names[MEMBERS] = { "kid", "kty", "alg", "use", "e",   "n", "d", "p",
                                            "q",   "dp",  "dq",  "qi",  "crv", "x", "y", "oth" };

struct jwk {
    struct arena *arena;
    str text[MEMBERS]; /* as it came; ptr NULL: none */
};

static int read_member(void *ctx, str name, struct json *j, struct err *e)
{
    struct jwk *k = ctx;
    for (int i = 0; i < MEMBERS; i++) {
        if (!str_eq(name, str_from(names[i])))
            continue;
        if (i == OTH)
            return err_set(e, ERR_FORMAT, "jwk: oth: RSA keys of more than two primes are not taken");
        str value;
        if (json_string(j, &value, e) < 0)
            return err_wrap(e, "jwk: %s", names[i]);
        if (value.ptr)
            k->text[i] = arena_dup(k->arena, value);
        return 0;
    }
    return json_skip(j, e);
}

/* A number as it came, in bytes. */
static int number(const struct jwk *k, enum member m, gnutls_datum_t *ret, struct err *e)
{
    str bytes;
    if (!k->text[m].ptr)
        return err_set(e, ERR_FORMAT, "jwk: no \"%s\"", names[m]);
    if (!base64url_read(k->text[m], true, k->arena, &bytes) || !bytes.len)
        return err_set(e, ERR_FORMAT, "jwk: \"%s\" is no base64url", names[m]);
    *ret = jwt_datum(bytes);
    return 0;
}

static int numbers(const struct jwk *k, enum member from, size_t n, gnutls_datum_t *ret, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (number(k, from + i, &ret[i], e) < 0)
            return -1;
    return 0;
}

static struct jwt_key *finish_public(gnutls_pubkey_t p, int code, str kid, struct err *e)
{
    if (code == 0)
        return jwt_key_of_public(p, kid, e);
    if (p)
        gnutls_pubkey_deinit(p);
    jwt_fail(ERR_FORMAT, "jwk: no public key", code, e);
    return NULL;
}

static struct jwt_key *finish_private(gnutls_privkey_t p, int code, str kid, struct err *e)
{
    if (code == 0)
        return jwt_key_of_private(p, kid, e);
    if (p)
        gnutls_privkey_deinit(p);
    jwt_fail(ERR_FORMAT, "jwk: no private key", code, e);
    return NULL;
}

static struct jwt_key *read_rsa(const struct jwk *k, struct err *e)
{
    gnutls_datum_t en[2], rest[6] = { { 0 } };
    gnutls_pubkey_t public = NULL;
    gnutls_privkey_t secret = NULL;
    if (numbers(k, E, 2, en, e) < 0)
        return NULL;
    if (en[0].size > JWT_RSA_BYTES || en[1].size > JWT_RSA_BYTES) {
        err_set(e, ERR_FORMAT, "jwk: a number of more than %u bytes", JWT_RSA_BYTES);
        return NULL;
    }
    if (!k->text[D].ptr) {
        int code = gnutls_pubkey_init(&public);
        if (code == 0)
            code = gnutls_pubkey_import_rsa_raw(public, &en[1], &en[0]);
        return finish_public(public, code, k->text[KID], e);
    }
    if (numbers(k, D, 6, rest, e) < 0) /* RFC 7518 6.3.2 has them optional; nobody we know leaves them out */
        return NULL;
    int code = gnutls_privkey_init(&secret);
    if (code == 0)
        code = gnutls_privkey_import_rsa_raw(secret, &en[1], &en[0], &rest[0], &rest[1], &rest[2], &rest[5],
                                             &rest[3], &rest[4]);
    return finish_private(secret, code, k->text[KID], e);
}

static struct jwt_key *read_ec(const struct jwk *k, struct err *e)
{
    gnutls_datum_t xy[2], d;
    gnutls_pubkey_t public = NULL;
    gnutls_privkey_t secret = NULL;
    bool private = k->text[D].ptr != NULL;
    if (!str_eq(k->text[CRV], STR("P-256"))) {
        err_set(e, ERR_FORMAT, "jwk: a curve other than P-256");
        return NULL;
    }
    if (numbers(k, X, 2, xy, e) < 0 || (private && number(k, D, &d, e) < 0))
        return NULL;
    if (xy[0].size != P256_BYTES || xy[1].size != P256_BYTES || (private && d.size != P256_BYTES)) {
        err_set(e, ERR_FORMAT, "jwk: a number that has not %u bytes", P256_BYTES);
        return NULL;
    }
    if (private) {
        int code = gnutls_privkey_init(&secret);
        if (code == 0)
            code = gnutls_privkey_import_ecc_raw(secret, GNUTLS_ECC_CURVE_SECP256R1, &xy[0], &xy[1], &d);
        return finish_private(secret, code, k->text[KID], e);
    }
    int code = gnutls_pubkey_init(&public);
    if (code == 0)
        code = gnutls_pubkey_import_ecc_raw(public, GNUTLS_ECC_CURVE_SECP256R1, &xy[0], &xy[1]);
    return finish_public(public, code, k->text[KID], e);
}

struct jwt_key *jwt_key_read_jwk(str json, struct err *e)
{
    CLEANUP(arena_freep) struct arena *a = arena_new((size_t)1 << 20);
    struct jwk k = { .arena = a };
    if (!a)
        err_set(e, ERR_OOM, "out of memory");
    else if (json.len > JWT_KEY_TEXT)
        err_set(e, ERR_FORMAT, "jwk: more than %zu KiB", JWT_KEY_TEXT >> 10);
    else if (jwt_members(json, a, read_member, &k, e) < 0)
        e->kind = e->kind == ERR_OOM ? ERR_OOM : ERR_FORMAT;
    else if (arena_failed(a))
        err_set(e, ERR_OOM, "out of memory");
    else if (k.text[USE].len && !str_eq(k.text[USE], STR("sig")))
        err_set(e, ERR_FORMAT, "jwk: a key that is not for signatures");
    else if (str_eq(k.text[KTY], STR("RSA")))
        return read_rsa(&k, e);
    else if (str_eq(k.text[KTY], STR("EC")))
        return read_ec(&k, e);
    else if (str_eq(k.text[KTY], STR("oct")))
        err_set(e, ERR_FORMAT, "jwk: a symmetric key: a public one is wanted");
    else
        err_set(e, ERR_FORMAT, "jwk: \"kty\" is neither RSA nor EC");
    return NULL;
}

/* ---- out ---- */

static void put_number(struct json_writer *w, enum member m, const gnutls_datum_t *n)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    base64url_put(str_of(n->data, n->size), &text);
    json_w_text(w, names[m], buf_view(&text));
    w->out->failed |= text.failed;
    if (text.ptr)
        gnutls_memset(text.ptr, 0, text.len);
}

/* 32 bytes, however many the number has. */
static void put_fixed(struct json_writer *w, enum member m, const gnutls_datum_t *n)
{
    uint8_t bytes[P256_BYTES] = { 0 };
    unsigned skip = n->size > P256_BYTES ? n->size - P256_BYTES : 0, size = n->size - skip;
    memcpy(bytes + P256_BYTES - size, n->data + skip, size);
    put_number(w, m, &(gnutls_datum_t){ bytes, P256_BYTES });
    gnutls_memset(bytes, 0, sizeof bytes);
}

static void wipe(gnutls_datum_t *d)
{
    if (d->data)
        gnutls_memset(d->data, 0, d->size);
    gnutls_free(d->data);
}

static int put_rsa_private(const struct jwt_key *k, struct json_writer *w)
{
    gnutls_datum_t n = { 0 }, x = { 0 }, v[6] = { { 0 } }; /* d p q u e1 e2, as GnuTLS has them */
    int code = gnutls_privkey_export_rsa_raw2(k->secret, &n, &x, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
                                              GNUTLS_EXPORT_FLAG_NO_LZ);
    static const struct {
        enum member member;
        unsigned of;
    } order[] = { { D, 0 }, { P, 1 }, { Q, 2 }, { DP, 4 }, { DQ, 5 }, { QI, 3 } };
    for (size_t i = 0; code == 0 && i < sizeof order / sizeof *order; i++)
        put_number(w, order[i].member, &v[order[i].of]);
    for (size_t i = 0; i < 6; i++)
        wipe(&v[i]);
    wipe(&n);
    wipe(&x);
    return code;
}

static int put_ec_private(const struct jwt_key *k, struct json_writer *w)
{
    gnutls_datum_t d = { 0 };
    gnutls_ecc_curve_t curve;
    int code = gnutls_privkey_export_ecc_raw2(k->secret, &curve, NULL, NULL, &d, GNUTLS_EXPORT_FLAG_NO_LZ);
    if (code == 0)
        put_fixed(w, D, &d);
    wipe(&d);
    return code;
}

/* Members in the order in which the thumbprint wants them (RFC 7638 3.2), or the old client: e before kty there, behind it here. */
static int put_public(const struct jwt_key *k, bool thumbprint, struct json_writer *w)
{
    CLEANUP(jwt_datum_done) gnutls_datum_t a = { 0 };
    CLEANUP(jwt_datum_done) gnutls_datum_t b = { 0 };
    gnutls_ecc_curve_t curve;
    bool rsa = k->type == JWT_RSA;
    int code = rsa ? gnutls_pubkey_export_rsa_raw2(k->public, &a, &b, GNUTLS_EXPORT_FLAG_NO_LZ)
                   : gnutls_pubkey_export_ecc_raw2(k->public, &curve, &a, &b, GNUTLS_EXPORT_FLAG_NO_LZ);
    if (code < 0)
        return code;
    if (!rsa)
        json_w_text(w, "crv", STR("P-256"));
    else
        put_number(w, E, &b);
    if (thumbprint)
        json_w_text(w, "kty", rsa ? STR("RSA") : STR("EC"));
    if (rsa) {
        put_number(w, N, &a);
    } else {
        put_fixed(w, X, &a);
        put_fixed(w, Y, &b);
    }
    return 0;
}

int jwt_key_put_jwk(const struct jwt_key *k, bool private, struct buf *out, struct err *e)
{
    struct json_writer w = { .out = out };
    bool rsa = k->type == JWT_RSA;
    if (private && !k->secret)
        return err_set(e, ERR_INTERNAL, "a public key has no private one");
    json_w_object(&w);
    json_w_text(&w, "kid", k->kid);
    json_w_text(&w, "kty", rsa ? STR("RSA") : STR("EC"));
    json_w_text(&w, "alg", rsa ? STR("RS256") : STR("ES256"));
    json_w_text(&w, "use", STR("sig"));
    int code = put_public(k, false, &w);
    if (code == 0 && private)
        code = rsa ? put_rsa_private(k, &w) : put_ec_private(k, &w);
    json_w_object_end(&w);
    if (code < 0)
        return jwt_fail(ERR_INTERNAL, "the key cannot be written", code, e);
    return out->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}

int jwt_key_thumbprint(const struct jwt_key *k, char ret[45], struct err *e)
{
    CLEANUP(buf_done) struct buf json = { 0 };
    CLEANUP(buf_done) struct buf text = { 0 };
    struct json_writer w = { .out = &json };
    uint8_t sum[32];
    json_w_object(&w);
    int code = put_public(k, true, &w);
    json_w_object_end(&w);
    if (code < 0)
        return jwt_fail(ERR_INTERNAL, "no thumbprint", code, e);
    if (json.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (sha256_of(json.ptr, json.len, sum, e) < 0)
        return -1;
    base64url_put(str_of(sum, sizeof sum), &text);
    if (text.failed)
        return err_set(e, ERR_OOM, "out of memory");
    memcpy(ret, text.ptr, 43);
    memcpy(ret + 43, "=", 2);
    return 0;
}
