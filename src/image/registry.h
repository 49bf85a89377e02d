/*
 * registry.h - an image in a registry: the pulling half of the v2 API, as an image_remote.
 *
 * Opening    registry_open() asks for the manifest at once, so that who guesses learns whether there is such an image. Its bytes must have the
 *            digest of the name, and the one that the registry tells. Further manifests, configs and layers are asked for when they are
 *            wanted; whoever reads them checks their digests. A blob goes on after a break (net/download.h).
 * Whom       HOST of the name by https (docker.io is registry-1.docker.io); localhost and 127.0.0.0/8 without authorities of their own by http,
 *            then by https that nobody verifies, as Docker; with `insecure` any host by https that nobody verifies, then by http. A
 *            mirror, if there is one for the host, is asked first; whatever it does not have or say is asked of HOST.
 * TLS        authorities of `ca`, or of the first certs.d/HOST/NAME.crt, beside the system's; client certificates of NAME.cert and NAME.key
 *            there. certs.d is that below $XDG_CONFIG_HOME/containers (~/.config), /etc/containers, /etc/docker.
 * Login      401 is answered with credentials.h's: Bearer (a token of the realm, kept, renewed at the next 401) or Basic. They
 *            are sent to no other host but a realm, and to none by http for a registry that is asked by https.
 * Errors     ERR_USAGE (no image name), ERR_NOT_FOUND, ERR_DENIED (login is wanted, or refused), ERR_NETWORK (also 429, with how long to wait),
 *            ERR_DIGEST, ERR_UNSUPPORTED (manifests of schema 1). Each tells the host; tokens and passwords are in none.
 * Limits     a manifest or config 8 MiB; answers of token endpoints 1 MiB; Retry-After is honoured up to 20 s, twice.
 * Threads    http_init() first.
 * Source     OCI distribution-spec v1.1; docs.docker.com "Registry authentication" (token and oauth2); RFC 9110 11.
 */
#pragma once
#include "image/reference.h"
#include "image/remote.h"

struct registry_options {
    const char *mirror; /* "[HOST=]URL", HOST docker.io unless it is told; NULL: none */
    const char *ca;     /* PEM file; NULL: none */
    bool insecure;
};

/* `name` as reference.h has it. */
struct image_remote *registry_open(str name, const struct registry_options *o, struct err *e);
