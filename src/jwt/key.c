#include "jwt/key.h"

#include "base/cleanup.h"
#include "jwt/internal.h"

#define BITS_MIN     2048u
#define BITS_MAX     8192u
#define EXPONENT_MAX 8u /* bytes: a longer one only costs time */

int jwt_fail(enum err_kind kind, const char *what, int code, struct err *e)
{
    if (code == GNUTLS_E_MEMORY_ERROR)
        return err_set(e, ERR_OOM, "out of memory");
    return err_set(e, kind, "%s (%s)", what, gnutls_strerror(code));
}

static int check_rsa(gnutls_pubkey_t k, unsigned bits, struct err *e)
{
    CLEANUP(jwt_datum_done) gnutls_datum_t n = { 0 };
    CLEANUP(jwt_datum_done) gnutls_datum_t x = { 0 };
    int code = gnutls_pubkey_export_rsa_raw2(k, &n, &x, GNUTLS_EXPORT_FLAG_NO_LZ);
    if (code < 0)
        return jwt_fail(ERR_FORMAT, "no RSA key", code, e);
    if (bits < BITS_MIN || bits > BITS_MAX)
        return err_set(e, ERR_FORMAT, "an RSA key of %u bits: %u to %u are wanted", bits, BITS_MIN, BITS_MAX);
    if (x.size > EXPONENT_MAX || !x.size || !(x.data[x.size - 1] & 1) || (x.size == 1 && x.data[0] < 3) ||
        !(n.data[n.size - 1] & 1))
        return err_set(e, ERR_FORMAT, "an RSA key with an exponent or modulus that cannot be");
    return 0;
}

/* Is it a key at all: is its point on the curve, do its numbers fit? */
static int check_whole(const struct jwt_key *k, struct err *e)
{
    int code = gnutls_pubkey_verify_params(k->public);
    if (code == 0 && k->secret)
        code = gnutls_privkey_verify_params(k->secret);
    return code < 0 ? jwt_fail(ERR_FORMAT, "a key that cannot be", code, e) : 0;
}

static int find_type(struct jwt_key *k, struct err *e)
{
    unsigned bits = 0;
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    int kind = gnutls_pubkey_get_pk_algorithm(k->public, &bits);
    if (kind == GNUTLS_PK_RSA) {
        k->type = JWT_RSA;
        return check_rsa(k->public, bits, e);
    }
    k->type = JWT_P256;
    if (kind == GNUTLS_PK_ECDSA && gnutls_pubkey_export_ecc_raw2(k->public, &curve, NULL, NULL, 0) == 0 &&
        curve == GNUTLS_ECC_CURVE_SECP256R1)
        return 0;
    return err_set(e, ERR_FORMAT, "a key that is neither RSA nor of the curve P-256");
}

static int name_key(struct jwt_key *k, str kid, struct err *e)
{
    char own[45];
    if (kid.len > JWT_KID_MAX)
        return err_set(e, ERR_FORMAT, "a key id of more than %u bytes", JWT_KID_MAX);
    if (!kid.len) {
        if (jwt_key_thumbprint(k, own, e) < 0)
            return -1;
        kid = str_from(own);
    }
    char *copy = malloc(kid.len);
    if (!copy)
        return err_set(e, ERR_OOM, "out of memory");
    k->kid = str_of(memcpy(copy, kid.ptr, kid.len), kid.len);
    return 0;
}

static struct jwt_key *key_of(gnutls_privkey_t secret, gnutls_pubkey_t public, str kid, struct err *e)
{
    struct jwt_key *k = calloc(1, sizeof *k);
    if (!k) {
        gnutls_pubkey_deinit(public);
        if (secret)
            gnutls_privkey_deinit(secret);
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    atomic_init(&k->refs, 1);
    k->secret = secret;
    k->public = public;
    if (find_type(k, e) < 0 || check_whole(k, e) < 0 || name_key(k, kid, e) < 0)
        jwt_key_freep(&k);
    return k;
}

struct jwt_key *jwt_key_of_public(gnutls_pubkey_t k, str kid, struct err *e)
{
    return key_of(NULL, k, kid, e);
}

struct jwt_key *jwt_key_of_private(gnutls_privkey_t k, str kid, struct err *e)
{
    gnutls_pubkey_t public = NULL;
    int code = gnutls_pubkey_init(&public);
    if (code == 0)
        code = gnutls_pubkey_import_privkey(public, k, 0, 0);
    if (code == 0)
        return key_of(k, public, kid, e);
    gnutls_privkey_deinit(k);
    if (public)
        gnutls_pubkey_deinit(public);
    jwt_fail(ERR_FORMAT, "no private key", code, e);
    return NULL;
}

struct jwt_key *jwt_key_generate(struct err *e)
{
    gnutls_privkey_t k = NULL;
    int code = gnutls_privkey_init(&k);
    if (code == 0)
        code = gnutls_privkey_generate(k, GNUTLS_PK_RSA, BITS_MIN, 0);
    if (code == 0)
        return jwt_key_of_private(k, STR(""), e);
    if (k)
        gnutls_privkey_deinit(k);
    jwt_fail(ERR_INTERNAL, "no key could be made", code, e);
    return NULL;
}

struct jwt_key *jwt_key_ref(struct jwt_key *k)
{
    atomic_fetch_add(&k->refs, 1);
    return k;
}

void jwt_key_freep(struct jwt_key **k)
{
    struct jwt_key *old = *k;
    *k = NULL;
    if (!old || atomic_fetch_sub(&old->refs, 1) > 1)
        return;
    if (old->secret)
        gnutls_privkey_deinit(old->secret); /* which wipes it */
    gnutls_pubkey_deinit(old->public);
    free((char *)old->kid.ptr);
    free(old);
}

enum jwt_key_type jwt_key_type(const struct jwt_key *k) { return k->type; }
bool jwt_key_is_private(const struct jwt_key *k) { return k->secret != NULL; }
str jwt_key_kid(const struct jwt_key *k) { return k->kid; }
