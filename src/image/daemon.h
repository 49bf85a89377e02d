/*
 * daemon.h - an image of a Docker-compatible daemon (Docker, Podman), as the archive that `docker save` would write.
 *
 * Shape      GET /version tells which API the daemon speaks, then GET /vN/images/get?names=IMAGE gives the archive as it is.
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
void daemon_freep(struct daemon **d);
