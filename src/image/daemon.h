/*
 * daemon.h - an image of a Docker-compatible daemon (Docker, Podman), as the archive that `docker save` would write.
 *
 * Shape      GET /version tells which API the daemon speaks, then GET /vN/images/get?names=IMAGE gives the archive as it is.
 *            Its parts by themselves: GET /vN/images/IMAGE/json, whose text is bounded (1 MiB, 1,024 of each list).
 * Places     "unix:///path", "tcp://host:port", "http://host:port", "https://host:port". With a certificate folder (cert.pem, key.pem,
 *            ca.pem) tcp is TLS, and `verify` says whether the daemon's certificate must be signed by that ca.pem.
 * Errors     the texts of Docker's own client, which people know: "Cannot connect to the Docker daemon at ...", "Error response
 *            from daemon: ...". ERR_USAGE for a place that cannot be, ERR_FULL and ERR_IO of the file written to.
 * Threads    http_init() first.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct daemon_options {
    const char *host;         /* NULL or "": unix:///var/run/docker.sock */
    const char *certificates; /* a folder; NULL or "": none */
    bool verify;
    const char *api_version; /* "1.44"; NULL or "": ask */
};
struct daemon_options daemon_options_from_environment(void); /* DOCKER_HOST and its kind */

struct daemon;
struct daemon *daemon_new(const struct daemon_options *o, struct err *e);
int daemon_save(struct daemon *d, const char *image, int fd, struct err *e); /* writes the archive to fd */

/* What the daemon says of an image: GET /vN/images/IMAGE/json. The views live as long as the daemon. */
struct daemon_image {
    str id;        /* "sha256:<hex>" */
    str *diff_ids; /* RootFS.Layers, bottom first: of the uncompressed layers */
    size_t diff_id_count;
    str *repo_digests; /* "debian@sha256:<hex>" */
    size_t repo_digest_count;
};
int daemon_inspect(struct daemon *d, const char *image, struct daemon_image *ret, struct err *e);

/* daemon_save() as a stream. */
struct daemon_save;
struct daemon_save *daemon_save_open(struct daemon *d, const char *image, struct err *e);
int daemon_save_read(struct daemon_save *s, str *ret,
                     struct err *e);            /* 1 a chunk until the next call, 0 end, -1 */
void daemon_save_close(struct daemon_save **s); /* also in the middle; NULL is fine */

void daemon_freep(struct daemon **d);
