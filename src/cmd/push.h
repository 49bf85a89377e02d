/*
 * push.h - the parts of `eclair push`, the client of arminc/clair-scanner v13. Source: spec/clair-scanner.md.
 *
 *   push.c            options, the order of events, what counts and the exit code
 *   push_log.c        the log lines, and how a signal ends the run
 *   push_image.c      from IMAGE to named layers that can be served
 *   push_clair.c      the two calls of Clair's REST v1
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

/* ---- push_image.c ---- */

struct push_image {
    struct arena *arena;
    struct container *container;
    int spool;                 /* the file that the ranges lie in, if it is ours */
    struct file_range *ranges; /* "/NAME/layer.tar" */
    str *names;
    size_t count;
    str note; /* something a person should know; may be empty */
};
extern const struct cage_task *const push_tasks[];
/* The error's text is the whole line: "Could not save Docker image [x]: ...". */
int push_image_open(struct push_image *ret, struct cage *c, struct push_signals *s, const char *image,
                    struct err *e);
void push_image_done(struct push_image *i);

/* ---- push_clair.c ---- */

struct push_clair {
    struct http_pool *pool;
    const char *url; /* of Clair, as given */
    const char *ip;  /* of us, as Clair sees it */
    unsigned port;
    struct arena *arena;
};
struct push_vulnerabilities {
    struct clair_scanner_row *rows; /* in the server's order, none approved */
    size_t count, cap;
    size_t features;
};
/* 0, or -1 with the line to tell in `why`. `parent`: empty for the first layer. */
int push_clair_post(const struct push_clair *c, str name, str parent, struct buf *why);
int push_clair_get(const struct push_clair *c, str name, struct push_vulnerabilities *ret, struct buf *why);

/* ---- push_whitelist.c ---- */

/* Adds what the file approves for this image to `ret` (a set of names in the arena). -1 with the rest of the line in `why`. */
int push_whitelist_read(const char *path, str image, struct arena *arena, struct strmap *ret,
                        struct buf *why);
