#include "codec/signature.h"

#include "base/cleanup.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

static gnutls_datum_t datum(str s) { return (gnutls_datum_t){ (uint8_t *)s.ptr, (unsigned)s.len }; }

static void private_done(gnutls_privkey_t *k)
{
    if (*k)
        gnutls_privkey_deinit(*k);
}

static void public_done(gnutls_pubkey_t *k)
{
    if (*k)
        gnutls_pubkey_deinit(*k);
}

static int fail(enum err_kind kind, const char *what, int code, struct err *e)
{
    if (code == GNUTLS_E_MEMORY_ERROR)
        return err_set(e, ERR_OOM, "out of memory");
    return err_set(e, kind, "%s (%s)", what, gnutls_strerror(code));
}

int signature_make(str private_pem, str bytes, uint8_t ret[SIGNATURE_BYTES], struct err *e)
{
    CLEANUP(private_done) gnutls_privkey_t key = NULL;
    gnutls_datum_t pem = datum(private_pem), data = datum(bytes), made = { 0 };
    int code = gnutls_privkey_init(&key);
    if (code == 0)
        code = gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code < 0)
        return fail(ERR_FORMAT, "no private key", code, e);
    if (gnutls_privkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_EDDSA_ED25519)
        return err_set(e, ERR_FORMAT, "a key of another kind than Ed25519");
    code = gnutls_privkey_sign_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &made);
    if (code < 0)
        return fail(ERR_INTERNAL, "the signature could not be made", code, e);
    bool fits = made.size == SIGNATURE_BYTES;
    if (fits)
        memcpy(ret, made.data, SIGNATURE_BYTES);
    gnutls_free(made.data);
    return fits ? 0 : err_set(e, ERR_INTERNAL, "a signature of another length");
}

int signature_check(str public_pem, str bytes, str signature, struct err *e)
{
    CLEANUP(public_done) gnutls_pubkey_t key = NULL;
    gnutls_datum_t pem = datum(public_pem), data = datum(bytes), of = datum(signature);
    int code = gnutls_pubkey_init(&key);
    if (code == 0)
        code = gnutls_pubkey_import(key, &pem, GNUTLS_X509_FMT_PEM);
    if (code < 0)
        return fail(ERR_FORMAT, "no public key", code, e);
    if (gnutls_pubkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_EDDSA_ED25519)
        return err_set(e, ERR_FORMAT, "a key of another kind than Ed25519");
    if (signature.len == SIGNATURE_BYTES &&
        gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &of) >= 0)
        return 0;
    return err_set(e, ERR_DIGEST, "the signature does not fit");
}
