#include "proxy/leaf.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <strings.h>
#include <time.h>

#define KEPT    512
#define DAY     (24 * 3600)
#define FILEMAX ((size_t)1 << 20)

struct leaf {
    char host[256];
    gnutls_certificate_credentials_t credentials;
    time_t until;
    unsigned refs; /* atomic */
};

struct leaves {
    pthread_mutex_t lock;
    gnutls_x509_crt_t ca;
    gnutls_x509_privkey_t ca_key, key;
    struct leaf *kept[KEPT];
    size_t count, next; /* next: the oldest, once all places are taken */
};

static int failed(const char *what, int code, struct err *e)
{
    return err_set(e, ERR_FORMAT, "%s: %s", what, gnutls_strerror(code));
}

static int load_ca(struct leaves *l, const char *certfile, const char *keyfile, struct err *e)
{
    CLEANUP(buf_done) struct buf cert = { .max = FILEMAX }, key = { .max = FILEMAX };
    if (buf_read_file(&cert, certfile, e) < 0 || buf_read_file(&key, keyfile, e) < 0)
        return -1;
    const gnutls_datum_t c = { (unsigned char *)cert.ptr, (unsigned)cert.len },
                         k = { (unsigned char *)key.ptr, (unsigned)key.len };
    int r = gnutls_x509_crt_import(l->ca, &c, GNUTLS_X509_FMT_PEM);
    if (r < 0)
        return failed(certfile, r, e);
    r = gnutls_x509_privkey_import2(l->ca_key, &k, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_memset(key.ptr, 0, key.len);
    if (r < 0)
        return failed(keyfile, r, e);
    unsigned char a[64], b[64];
    size_t n = sizeof a, m = sizeof b;
    if (gnutls_x509_crt_get_key_id(l->ca, GNUTLS_KEYID_USE_SHA256, a, &n) < 0 ||
        gnutls_x509_privkey_get_key_id(l->ca_key, GNUTLS_KEYID_USE_SHA256, b, &m) < 0 || n != m ||
        memcmp(a, b, n) != 0)
        return err_set(e, ERR_USAGE, "%s: is not the key of the certificate in %s", keyfile, certfile);
    return 0;
}

struct leaves *leaves_new(const char *ca_certfile, const char *ca_keyfile, struct err *e)
{
    struct leaves *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    int r = gnutls_x509_crt_init(&l->ca) < 0 || gnutls_x509_privkey_init(&l->ca_key) < 0 ||
                    gnutls_x509_privkey_init(&l->key) < 0 ||
                    gnutls_x509_privkey_generate(l->key, GNUTLS_PK_ECDSA,
                                                 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) < 0
                ? err_set(e, ERR_OOM, "keys for certificates")
                : load_ca(l, ca_certfile, ca_keyfile, e);
    if (r < 0)
        leaves_freep(&l);
    return l;
}

/* ---- one certificate ---- */

static int name_it(gnutls_x509_crt_t c, const char *host)
{
    uint8_t address[16];
    size_t n = inet_pton(AF_INET, host, address) == 1 ? 4 : inet_pton(AF_INET6, host, address) == 1 ? 16 : 0;
    int r = n ? gnutls_x509_crt_set_subject_alt_name(c, GNUTLS_SAN_IPADDRESS, address, (unsigned)n, 0)
              : gnutls_x509_crt_set_subject_alt_name(c, GNUTLS_SAN_DNSNAME, host, (unsigned)strlen(host), 0);
    if (r < 0 || strlen(host) > 64) /* what a common name may have */
        return r;
    return gnutls_x509_crt_set_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, host, (unsigned)strlen(host));
}

static int fill(struct leaves *l, gnutls_x509_crt_t c, const char *host, time_t until)
{
    unsigned char serial[16], id[64];
    size_t n = sizeof id;
    int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
    if (r < 0 || (r = gnutls_x509_crt_set_version(c, 3)) < 0 ||
        (r = gnutls_x509_crt_set_key(c, l->key)) < 0 ||
        (r = gnutls_x509_crt_set_serial(c, serial, sizeof serial)) < 0 ||
        (r = gnutls_x509_crt_set_activation_time(c, time(NULL) - DAY)) < 0 ||
        (r = gnutls_x509_crt_set_expiration_time(c, until)) < 0 ||
        (r = gnutls_x509_crt_set_basic_constraints(c, 0, -1)) < 0 ||
        (r = gnutls_x509_crt_set_key_usage(c, GNUTLS_KEY_DIGITAL_SIGNATURE)) < 0 ||
        (r = gnutls_x509_crt_set_key_purpose_oid(c, GNUTLS_KP_TLS_WWW_SERVER, 0)) < 0 ||
        (r = name_it(c, host)) < 0)
        return r;
    if (gnutls_x509_crt_get_subject_key_id(l->ca, id, &n, NULL) >= 0)
        gnutls_x509_crt_set_authority_key_id(c, id, n);
    return gnutls_x509_crt_sign2(c, l->ca, l->ca_key, GNUTLS_DIG_SHA256, 0);
}

static int make(struct leaves *l, struct leaf *leaf)
{
    gnutls_x509_crt_t chain[2] = { NULL, l->ca };
    time_t ca_until = gnutls_x509_crt_get_expiration_time(l->ca), until = time(NULL) + 30 * DAY;
    leaf->until = ca_until != (time_t)-1 && ca_until < until ? ca_until : until;
    int r = gnutls_x509_crt_init(&chain[0]);
    if (r < 0)
        return r;
    r = fill(l, chain[0], leaf->host, leaf->until);
    if (r >= 0)
        r = gnutls_certificate_allocate_credentials(&leaf->credentials);
    if (r >= 0)
        r = gnutls_certificate_set_x509_key(leaf->credentials, chain, 2, l->key);
    gnutls_x509_crt_deinit(chain[0]);
    return r;
}

/* ---- those that are kept ---- */

static struct leaf *find(struct leaves *l, const char *host)
{
    time_t now = time(NULL);
    for (size_t i = 0; i < l->count; i++)
        if (!strcasecmp(l->kept[i]->host, host) && l->kept[i]->until > now + DAY)
            return l->kept[i];
    return NULL;
}

static void keep(struct leaves *l, struct leaf *leaf)
{
    size_t at = l->count < KEPT ? l->count++ : l->next;
    l->next = (at + 1) % KEPT;
    leaf_drop(l->kept[at]);
    l->kept[at] = leaf;
    __atomic_add_fetch(&leaf->refs, 1, __ATOMIC_RELAXED);
}

struct leaf *leaf_for(struct leaves *l, const char *host, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&l->lock);
    struct leaf *leaf = find(l, host);
    if (leaf) {
        __atomic_add_fetch(&leaf->refs, 1, __ATOMIC_RELAXED);
    } else if ((leaf = calloc(1, sizeof *leaf))) {
        leaf->refs = 1;
        snprintf(leaf->host, sizeof leaf->host, "%s", host);
        r = make(l, leaf);
        if (r >= 0)
            keep(l, leaf);
    }
    pthread_mutex_unlock(&l->lock);
    if (!leaf)
        err_set(e, ERR_OOM, "out of memory");
    if (r < 0) {
        failed("a certificate", r, e);
        leaf_drop(leaf);
        leaf = NULL;
    }
    return leaf;
}

gnutls_certificate_credentials_t leaf_credentials(const struct leaf *leaf) { return leaf->credentials; }

void leaf_drop(struct leaf *leaf)
{
    if (!leaf || __atomic_sub_fetch(&leaf->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (leaf->credentials)
        gnutls_certificate_free_credentials(leaf->credentials);
    free(leaf);
}

void leaves_freep(struct leaves **lp)
{
    struct leaves *l = *lp;
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        leaf_drop(l->kept[i]);
    if (l->ca)
        gnutls_x509_crt_deinit(l->ca);
    if (l->ca_key)
        gnutls_x509_privkey_deinit(l->ca_key);
    if (l->key)
        gnutls_x509_privkey_deinit(l->key);
    pthread_mutex_destroy(&l->lock);
    free(l);
    *lp = NULL;
}
