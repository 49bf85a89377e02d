/* registry_internal.h - what the files of registry.h share. */
#pragma once
#include "base/buf.h"
#include "image/credentials.h"
#include "image/registry.h"
#include "net/http.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- registry_auth.c: who asks ---- */

enum challenge_kind { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };
struct challenge {
    enum challenge_kind kind;
    str realm, service, scope; /* of Bearer */
};
/* Adds what one WWW-Authenticate says; Bearer wins over Basic, the first of a kind over others. -1: out of memory. */
int challenge_parse(str header, struct arena *arena, struct challenge *ret);

struct registry_endpoint;
struct registry_auth { /* of one endpoint */
    pthread_mutex_t lock;
    struct arena *arena;
    struct challenge challenge;
    struct credentials who;
    bool looked, has; /* for credentials */
    char *line;       /* "Authorization: ..."; NULL: nobody asked for one yet */
    unsigned version; /* how often it was made */
};
/* A copy of the line, NULL for none; which one it is. -1: out of memory. */
int auth_line(struct registry_endpoint *p, char **ret, unsigned *version, struct err *e);
/* An answer of 401 to the line of `version`; `asked` is what it asked for, NULL as before. 1: there is another line now, 0: there is none, -1. */
int auth_renew(struct registry_endpoint *p, const struct challenge *asked, unsigned version,
               struct http_pool *pool, struct err *e);
void auth_done(struct registry_auth *a);

/* ---- registry_endpoint.c: whom ---- */

struct registry_endpoint {
    const char *host; /* what people, and files of credentials, call it */
    str path;         /* of the repository there */
    char *base;       /* "https://registry-1.docker.io" */
    char *other_base; /* to be tried while no answer has come from the first; NULL: none */
    bool settled;     /* an answer has */
    bool hidden;      /* it is a mirror: what it does not have, others may */
    bool insecure;
    struct http_options http; /* TLS, but for authorities */
    const char *ca;           /* NULL: only the system's */
    atomic_bool with_system;  /* something is, or leads to, where `ca` does not reach */
    struct registry_auth auth;
};

struct registry_answer {
    unsigned status, retry_after_s;
    struct buf body; /* of any status */
    char type[128];  /* Content-Type; empty when it is longer */
    char digest[72]; /* Docker-Content-Digest that is sha256, or empty */
};
void answer_done(struct registry_answer *a);

/* Of the name's own host, or of a mirror of it by its URL. */
int endpoint_init(struct registry_endpoint *p, const struct reference *r, const char *mirror_url,
                  const struct registry_options *o, struct err *e);
void endpoint_done(struct registry_endpoint *p);
/* "GET BASE/v2/PATH/WHAT", or HEAD: any answer that will not pass by itself. Logs in, waits and tries again. */
int endpoint_ask(struct registry_endpoint *p, struct http_pool *pool, const char *method, const char *what,
                 const char *accept, struct registry_answer *ret, struct err *e);
/* Which error an answer other than 2xx is, for people. */
int endpoint_refusal(struct registry_endpoint *p, const struct registry_answer *a, const char *what,
                     struct err *e);
/* How requests are made now. Authorities of the system are read at a price, for each connection: not before they are needed. */
struct http_options endpoint_http(struct registry_endpoint *p);
/* Is it worth another try, now with them, after what went wrong with `used`? */
bool endpoint_widen(struct registry_endpoint *p, const struct http_options *used, const struct err *e);
/* What a person can do about it is added to some errors. */
void endpoint_hint(struct err *e);
char *endpoint_url(const struct registry_endpoint *p,
                   const char *what); /* to be freed; NULL: out of memory */
