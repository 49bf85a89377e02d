/*
 * credentials.h - with whose name and password a registry is asked: what `docker login` and `podman login` left.
 *
 * Places     the first that has any for the image's repository: ECLAIR_REGISTRY_USER and ECLAIR_REGISTRY_PASSWORD (for every registry that
 *            asks), $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json, $XDG_RUNTIME_DIR/containers/auth.json,
 *            $XDG_CONFIG_HOME/containers/auth.json (~/.config), ~/.docker/config.json. A file that is not there has none; one that is named by
 *            REGISTRY_AUTH_FILE must be there.
 * Keys       of a file: "HOST[:PORT][/PATH]"; that with the longest path which the repository lies below wins. A scheme, and "/v1/" or "/v2/" behind a
 *            host with one, say nothing. For docker.io: "https://index.docker.io/v1/", as Docker writes it, or "docker.io".
 * Helpers    credHelpers of the key, else credsStore, then auths: `docker-credential-NAME get`, found by PATH, within
 *            CREDENTIALS_HELPER_S seconds and CREDENTIALS_HELPER_BYTES.
 * Ownership  texts live in the arena.
 * Errors     name the file and the key; what is secret is in none of them.
 * Source     docker/cli cli/config; docker-credential-helpers; containers-auth.json(5).
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define CREDENTIALS_FILE_MAX     ((size_t)4 << 20)
#define CREDENTIALS_HELPER_S     60
#define CREDENTIALS_HELPER_BYTES ((size_t)64 << 10)

struct credentials {
    str user, password; /* for Basic, and to get a token */
    str identity_token; /* in place of a password: for POST to a token endpoint */
    str registry_token; /* a Bearer token as it is */
    str from;           /* where they are from, for texts */
};

/* 1 found, 0 nobody has any, -1. `host` with its port and `path` as in a reference. `own`: it is the host of the image's name, not a mirror:
 * ECLAIR_REGISTRY_USER and ECLAIR_REGISTRY_PASSWORD are for that alone. */
int credentials_find(str host, str path, bool own, struct arena *arena, struct credentials *ret,
                     struct err *e);

/* ---- its parts ---- */

struct credentials_entry { /* what one file says of a repository */
    struct credentials given;
    bool has;
    size_t length;  /* of the key that won, +1 */
    str helper;     /* of credHelpers */
    str helper_key; /* what it is asked for */
    str store;      /* credsStore */
};

/* What `content` says of a repository. */
int credentials_read(str content, str host, str path, struct arena *arena, struct credentials_entry *ret,
                     struct err *e);
/* Asks a helper for `server`: 1, 0 it has none, -1. */
int credentials_ask(str helper, str server, struct arena *arena, struct credentials *ret, struct err *e);
