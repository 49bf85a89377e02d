/*
 * push.h - the parts of `eclair push`, the client of arminc/clair-scanner. Source: spec/clair-scanner.md.
 *
 * Three dialects, told apart by asking the server (push_probe()): v13's with a Clair that speaks REST v1, 14.x's with Clair 4, and
 * v13's with an éclair server, which is sent the layers instead of fetching them.
 *
 *   push.c            options, the order of events, what counts and the exit code
 *   push_log.c        the log lines, and how a signal ends the run
 *   push_image.c      from IMAGE to named layers that can be served
 *   push_server.c     requests, what the server is, and where we are as it sees us
 *   push_clair.c      the two calls of Clair's REST v1
 *   push_four.c       those of Clair 4
 *   push_blob.c       layers that an éclair server is sent
 *   push_stream.c     the same straight from a daemon's archive, member by member
 *   push_whitelist.c  which vulnerabilities a YAML file approves
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/strmap.h"
#include "cage/cage.h"
#include "index/spool.h"
#include "net/file_server.h"
#include "net/http.h"
#include "report/clair_scanner.h"

#include <pthread.h>

/* ---- push_log.c ---- */

enum push_level { PUSH_INFO, PUSH_WARN, PUSH_ERRO, PUSH_CRIT };

struct push_log {
    int fd; /* of the file of --log, -1 = none */
};
int push_log_open(struct push_log *l, const char *path, struct err *e); /* NULL or "": none */
void push_log_done(struct push_log *l);
void push_say(const struct push_log *l, enum push_level level, const char *fmt, ...) PRINTF(3, 4);
/* As Go's own log: neither level nor colour. */
void push_say_plain(const struct push_log *l, const char *fmt, ...) PRINTF(2, 3);
/* "open PATH: no such file or directory": as Go's os package says it; of errno. -1. */
int push_go_error(struct err *e, const char *verb, const char *path);

/* SIGINT, SIGQUIT and SIGTERM end the process with 1 and a line of their own, on a thread that waits for them. */
struct push_signals {
    pthread_t thread;
    pthread_mutex_t hold; /* locked: not now, something of ours has a name on the disk */
    bool started;
};
/* Block before cage_new(), so that workers die with us and not of the Ctrl-C that we are to tell of; start behind it, before any
 * other thread. */
void push_signals_block(void);
int push_signals_start(struct push_signals *s, struct err *e);
void push_signals_stop(struct push_signals *s);

/* ---- push_server.c ---- */

struct push_server {
    struct http_pool *pool;
    const char *url;   /* as given */
    const char *token; /* NULL: none */
    const char *ca;    /* PEM file: authorities beside the system's; NULL: none */
    struct arena *arena;
};
/* A body in `body` is JSON; both may be missing. NULL on error. */
struct http *push_ask(const struct push_server *s, const char *method, const char *path, str body,
                      const struct http_upload *upload, struct err *e);
int push_text(struct http *h, size_t max, struct buf *ret,
              struct err *e);                /* appends the rest of the answer */
void push_put_clean(struct buf *out, str s); /* for a terminal */
/* What a failed request is told as: "WHAT: Got response CODE with message BODY". -1. */
int push_explain_answer(struct buf *why, const char *what, struct http *h);

enum push_dialect { PUSH_V1, PUSH_V4, PUSH_ECLAIR };
enum push_dialect push_probe(const struct push_server *s); /* who does not answer is PUSH_V1 */
/* Which of our addresses the server can reach; "localhost" when it is on this machine, or cannot be told. */
const char *push_own_address(const struct push_server *s);

/* ---- push_image.c ---- */

struct push_image {
    struct arena *arena;
    struct container *container;
    int spool;                 /* the file that the ranges lie in, if it is ours */
    struct file_range *ranges; /* of PUSH_V4 "/blobs/sha256/HEX", else "/NAME/layer.tar" */
    str *names;                /* of PUSH_V4 digests */
    str *digests; /* of the ranges' bytes, as far as they are known without reading them; else empty */
    size_t count;
    str manifest; /* PUSH_V4: its digest */
    str note;     /* something a person should know; may be empty */
};
extern const struct cage_task *const push_tasks[];
/* Is it a file or a folder, and not a name that a daemon knows? */
bool push_is_on_disk(const char *image);
/* The error's text is the whole line: "Could not save Docker image [x]: ...". */
int push_image_open(struct push_image *ret, struct cage *c, struct push_signals *s, const char *image,
                    enum push_dialect dialect, struct err *e);
void push_image_done(struct push_image *i);
/* Adds to `previous`, a chain id without "sha256:" or empty, that digest: what OCI calls the layer's chain id. */
int push_chain_name(struct arena *arena, str previous, str digest, str *ret, struct err *e);

/* ---- push_clair.c ---- */

struct push_clair {
    const struct push_server *server;
    const char *ip; /* of us, as Clair sees it */
    unsigned port;
};
struct push_vulnerabilities {
    struct clair_scanner_row *rows; /* in the server's order, none approved */
    size_t count, cap;
    size_t features;
};
str push_layer_url(const struct push_clair *c, str path);
/* 0, or -1 with the line to tell in `why`. `path`: a URL, or a digest. `parent`: empty for the first layer. */
int push_clair_post(const struct push_server *s, str name, str path, str parent, struct buf *why);
int push_clair_get(const struct push_server *s, str name, struct push_vulnerabilities *ret, struct buf *why);
struct clair_scanner_row *push_row(struct push_vulnerabilities *v, struct arena *arena, struct err *e);

/* ---- push_four.c ---- */

enum push_four { PUSH_FOUR_DONE, PUSH_FOUR_FAILED, PUSH_FOUR_NOTHING };
/* FAILED and NOTHING (there is no report, which 14.x takes for "no features") with the line to tell in `why`. */
enum push_four push_four_scan(const struct push_clair *c, const struct push_image *i,
                              struct push_vulnerabilities *ret, struct buf *why);

/* ---- push_blob.c ---- */

#define PUSH_TRIES 20 /* while the server has no room (ERR_BUSY), a moment between them */
void push_wait_a_moment(void);
int push_blob_known(const struct push_server *s, str digest, struct err *e); /* 1, 0, -1 */
/* Sends it. `digest` may be empty; what the server says it is comes back. */
int push_blob_send(const struct push_server *s, str digest, const struct http_upload *body, str *ret_digest,
                   struct err *e);
/* The layer is known afterwards, by that digest. */
int push_blob_of_range(const struct push_server *s, const struct file_range *r, str digest, str *ret_digest,
                       struct err *e);

/* ---- push_stream.c ---- */

struct push_names { /* of layers that the server knows by now */
    str *names, *digests;
    size_t count;
};
/* An image of the daemon: what is not known is sent from the archive as it comes. 1, 0 the daemon does not say what is in it, -1 with
 * the whole line as the error's text. */
int push_stream(const struct push_server *s, const char *image, struct push_names *ret, struct err *e);

/* ---- push_whitelist.c ---- */

/* Adds what the file approves for this image to `ret` (a set of names in the arena). -1 with the rest of the line in `why`. */
int push_whitelist_read(const char *path, str image, struct arena *arena, struct strmap *ret,
                        struct buf *why);
