/* PEM in and out. Of several blocks the first of a known label counts, for files often begin with parameters of a curve. */
#include "base/cleanup.h"
#include "jwt/internal.h"

#include <gnutls/x509.h>

#define BEGIN   "-----BEGIN "
#define DER_MAX 4096u /* of a PKCS#1 public key: 8192 bits need 1,040 */

/* Where the block begins; {NULL, 0}: there is none. */
static str find_block(str pem, const char *label)
{
    char head[64];
    snprintf(head, sizeof head, BEGIN "%s-----", label);
    for (str rest = pem; rest.len;) {
        str at = rest, line = str_line(&rest);
        if (str_eq(str_trim(line), str_from(head)))
            return at;
    }
    return (str){ 0 };
}

static bool is_text(str pem, struct err *e)
{
    if (pem.len > JWT_KEY_TEXT)
        err_set(e, ERR_FORMAT, "a key of more than %zu KiB", JWT_KEY_TEXT >> 10);
    return pem.len <= JWT_KEY_TEXT;
}

/* As OpenSSL once did: GnuTLS would try. */
static bool is_encrypted(str pem)
{
    return str_contains(pem, STR("Proc-Type: 4,ENCRYPTED")) || str_contains(pem, STR("DEK-Info:"));
}

static const char *what_else(str pem)
{
    if (find_block(pem, "ENCRYPTED PRIVATE KEY").ptr || is_encrypted(pem))
        return "an encrypted private key: decrypt it first";
    if (find_block(pem, "OPENSSH PRIVATE KEY").ptr)
        return "a key of OpenSSH's own form: convert it to PEM";
    return str_contains(pem, STR(BEGIN)) ? "another kind of PEM" : "no PEM";
}

struct jwt_key *jwt_key_read_private(str pem, str kid, struct err *e)
{
    static const char *const labels[] = { "RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY" };
    str block = { 0 };
    gnutls_privkey_t k = NULL;
    if (!is_text(pem, e))
        return NULL;
    for (size_t i = 0; i < sizeof labels / sizeof *labels && !block.ptr; i++)
        block = find_block(pem, labels[i]);
    if (!block.ptr || is_encrypted(block)) {
        err_set(e, ERR_FORMAT, "no private key in PEM: %s", what_else(pem));
        return NULL;
    }
    gnutls_datum_t in = jwt_datum(block);
    int code = gnutls_privkey_init(&k);
    if (code == 0)
        code = gnutls_privkey_import_x509_raw(k, &in, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code == 0)
        return jwt_key_of_private(k, kid, e);
    if (k)
        gnutls_privkey_deinit(k);
    jwt_fail(ERR_FORMAT, "no private key in PEM", code, e);
    return NULL;
}

static int import_certificate(str block, gnutls_pubkey_t k)
{
    gnutls_x509_crt_t c = NULL;
    gnutls_datum_t in = jwt_datum(block);
    int code = gnutls_x509_crt_init(&c);
    if (code == 0)
        code = gnutls_x509_crt_import(c, &in, GNUTLS_X509_FMT_PEM);
    if (code == 0)
        code = gnutls_pubkey_import_x509(k, c, 0);
    if (c)
        gnutls_x509_crt_deinit(c);
    return code;
}

static size_t der_head(uint8_t tag, size_t len, uint8_t *out)
{
    const uint8_t head[4] = { tag, 0x82, (uint8_t)(len >> 8), (uint8_t)len };
    memcpy(out, head, sizeof head);
    return sizeof head;
}

/* PKCS#1 (RFC 8017 A.1.1) has no algorithm: it is put into the frame of "PUBLIC KEY" (RFC 5280 4.1), which GnuTLS reads. */
static int import_pkcs1(str block, gnutls_pubkey_t k)
{
    static const uint8_t rsa[] = { 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0 };
    CLEANUP(jwt_datum_done) gnutls_datum_t key = { 0 };
    uint8_t der[DER_MAX + 64];
    gnutls_datum_t in = jwt_datum(block);
    int code = gnutls_pem_base64_decode2("RSA PUBLIC KEY", &in, &key);
    if (code < 0)
        return code;
    if (key.size > DER_MAX)
        return GNUTLS_E_ASN1_DER_OVERFLOW;
    size_t n = der_head(0x30, sizeof rsa + 4 + 1 + key.size, der);
    memcpy(der + n, rsa, sizeof rsa);
    n += sizeof rsa;
    n += der_head(3, 1 + key.size, der + n);
    der[n++] = 0;
    memcpy(der + n, key.data, key.size);
    gnutls_datum_t whole = { der, (unsigned)(n + key.size) };
    return gnutls_pubkey_import(k, &whole, GNUTLS_X509_FMT_DER);
}

static int import_public(str pem, gnutls_pubkey_t k)
{
    str block = find_block(pem, "PUBLIC KEY");
    gnutls_datum_t in = jwt_datum(block);
    if (block.ptr)
        return gnutls_pubkey_import(k, &in, GNUTLS_X509_FMT_PEM);
    block = find_block(pem, "RSA PUBLIC KEY");
    if (block.ptr)
        return import_pkcs1(block, k);
    block = find_block(pem, "CERTIFICATE");
    return block.ptr ? import_certificate(block, k) : GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR;
}

struct jwt_key *jwt_key_read_public(str pem, str kid, struct err *e)
{
    gnutls_pubkey_t k = NULL;
    if (!is_text(pem, e))
        return NULL;
    int code = gnutls_pubkey_init(&k);
    if (code == 0)
        code = import_public(pem, k);
    if (code == 0)
        return jwt_key_of_public(k, kid, e);
    if (k)
        gnutls_pubkey_deinit(k);
    if (code == GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR)
        err_set(e, ERR_FORMAT, "no public key in PEM: %s", what_else(pem));
    else
        jwt_fail(ERR_FORMAT, "no public key in PEM", code, e);
    return NULL;
}

static int put_private(const struct jwt_key *k, gnutls_datum_t *text)
{
    gnutls_x509_privkey_t x = NULL;
    int code = gnutls_privkey_export_x509(k->secret, &x);
    if (code == 0)
        code = gnutls_x509_privkey_export2(x, GNUTLS_X509_FMT_PEM, text);
    if (x)
        gnutls_x509_privkey_deinit(x);
    return code;
}

int jwt_key_put_pem(const struct jwt_key *k, bool public, struct buf *out, struct err *e)
{
    gnutls_datum_t text = { 0 };
    if (!public && !k->secret)
        return err_set(e, ERR_INTERNAL, "a public key has no private one");
    int code = public ? gnutls_pubkey_export2(k->public, GNUTLS_X509_FMT_PEM, &text) : put_private(k, &text);
    if (code < 0)
        return jwt_fail(ERR_INTERNAL, "the key cannot be written", code, e);
    buf_str(out, str_of(text.data, text.size));
    gnutls_memset(text.data, 0, text.size);
    gnutls_free(text.data);
    return out->failed ? err_set(e, ERR_OOM, "out of memory") : 0;
}
