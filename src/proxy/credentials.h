/*
 * credentials.h - certificates that the proxies show, and authorities that they believe, read again when their files change.
 *
 * Looked at  once a second at most, by whoever begins a handshake. What cannot be read or does not fit together changes nothing, and is told once.
 * Ownership  a hold lives until credentials_drop(); sessions keep theirs.
 * Threads    any.
 */
#pragma once
#include "proxy/listen.h"

struct credentials; /* a hold */
gnutls_certificate_credentials_t credentials_of(const struct credentials *c);
void credentials_drop(struct credentials *c); /* NULL is fine */

struct credential_files {
    const char *certfile, *keyfile; /* shown; NULL: none */
    const char *const *trusted;     /* in place of the system's authorities; ends with NULL */
    bool trusts; /* authorities are wanted: those, or the system's with SSL_CERT_FILE and SSL_CERT_DIR */
};
struct credential_store;
/* The files' names are borrowed. */
struct credential_store *credential_store_new(const struct credential_files *f, const char *name,
                                              const struct proxy_log *log, struct err *e);
struct credentials *credentials_hold(struct credential_store *s);
void credential_store_freep(struct credential_store **s);

/* 1.2 and 1.3, only with ephemeral keys, AEAD first. */
#define PROXY_TLS_SERVER "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:%SERVER_PRECEDENCE"
#define PROXY_TLS_CLIENT "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
