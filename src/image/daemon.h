/*
 * daemon.h - an image of a Docker-compatible daemon (Docker, Podman), as the archive that `docker save` would write.
 *
 * Shape      GET /version tells which API the daemon speaks, then GET /vN/images/IMAGE/json tells what is known of an image, and
 *            GET /vN/images/get?names=IMAGE gives the archive as it is.
 * Places     "unix:///path", "tcp://host:port", "http://host:port", "https://host:port". With a certificate folder (cert.pem, key.pem,
 *            ca.pem) tcp is TLS, and `verify` says whether the daemon's certificate must be signed by that ca.pem.
 * Time       a question is answered within DAEMON_ANSWER_MS; the archive may take half an hour before its first byte, for it is gathered first.
 *            $ECLAIR_DAEMON_TIMEOUT (seconds) says another time for both.
 * Errors     the texts of Docker's own client, which people know: "Cannot connect to the Docker daemon at ...", "Error response
 *            from daemon: ...". ERR_NOT_FOUND: it has no such image. ERR_USAGE for a place that cannot be, ERR_FULL and ERR_IO of the file written to.
 * Threads    http_init() first.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "image/platform.h"

#define DAEMON_ANSWER_MS (60u * 1000)

struct daemon_options {
    const char *engine;       /* "Podman", for errors; NULL: Docker */
    const char *host;         /* NULL or "": unix:///var/run/docker.sock */
    const char *certificates; /* a folder; NULL or "": none */
    bool verify;
    const char *api_version; /* "1.44"; NULL or "": ask */
    bool
        ping; /* do not ask which API it speaks, but whether it is there: Podman takes seconds to tell its version */
    unsigned idle_ms; /* without a byte; 0: as above */
};
struct daemon_options daemon_options_from_environment(void); /* DOCKER_HOST and its kind */

struct daemon;
struct daemon *daemon_new(const struct daemon_options *o, struct err *e);
int daemon_save(struct daemon *d, const char *image, int fd, struct err *e); /* writes the archive to fd */
void daemon_freep(struct daemon **d);

/* Is it there, and which API does it speak? What the others ask first; ERR_NETWORK: nobody answers, or no such daemon. */
int daemon_greet(struct daemon *d, struct err *e);

struct daemon_image {
    str id; /* "sha256:...": the digest of its config, or of its manifest (containerd's store) */
    struct image_platform platform;
    str *diff_ids; /* of the uncompressed layers, bottom first */
    size_t diff_id_count;
};
/* ERR_UNSUPPORTED: the daemon takes that for no name of an image. `platform`: of several images under that name the one for it (demanded and API >= 1.49), else the daemon chooses. */
int daemon_inspect(struct daemon *d, const char *image, const struct image_platform *platform,
                   struct arena *arena, struct daemon_image *ret, struct err *e);
bool daemon_saves_platform(const struct daemon *d); /* API >= 1.48 */

/* The archive, as it comes: for a struct container_giver. `platform` as above, from API 1.48 on. NULL on error. */
struct daemon_transfer;
struct daemon_transfer *daemon_save_open(struct daemon *d, const char *image,
                                         const struct image_platform *platform, struct err *e);
int daemon_save_read(struct daemon_transfer *t, str *ret, struct err *e); /* 1 a chunk, 0 end, -1 */
void daemon_save_close(struct daemon_transfer **t);                       /* NULL is fine */

/* Where it is by what people configure: DOCKER_HOST and its kind, else Docker's context (DOCKER_CONTEXT, or currentContext of config.json in
 * DOCKER_CONFIG or ~/.docker), else the default. Lives in the arena. Source: docker/cli, cli/context/store. */
int daemon_place_docker(struct arena *arena, struct daemon_options *ret, struct err *e);
/* CONTAINER_HOST, $XDG_RUNTIME_DIR/podman/podman.sock, /run/podman/podman.sock. ERR_NOT_FOUND: none of them. */
int daemon_place_podman(struct arena *arena, struct daemon_options *ret, struct err *e);
