/*
 * posts.h - layers that clients post, to whichever API: how many at once, and one of them from its source through the cage.
 *
 * Waiting    A signed URL may live for a minute, and a layer may wait longer for its turn: so sources are opened first, and wait with their
 *            connection open. All waiting is done by threads of the server (API_POST_THREADS): FLIGHTS_JOIN_MAX of them for the same post,
 *            POSTS_ADMITTED_MAX for work, and what is left tells the others at once: that what they post is stored, or to come again.
 *            A post of many layers has helpers beside its thread: POSTS_HELPERS_MAX of all posts.
 * Limits     Open sources: POSTS_OPEN_MAX. Work, that is a layer being indexed or layers being folded: one for each core, so that what is
 *            known of layers is in memory that often at most (LAYER_MEMORY_MAX while one is read, twice that while it is stored).
 *            Bodies that are sent are read at their client's pace: they have turns of their own, POSTS_UPLOADS_MAX of them at once, and of
 *            those twice as many as cores are read.
 * Locks      A thread takes a flight first, then a place among the sources, then one for work, then a handle of the store; never the other
 *            way round, so that nobody waits for whoever waits for him.
 */
#pragma once
#include "api/flights.h"
#include "api/gate.h"
#include "api/internal.h"
#include "api/source.h"
#include "index/blob.h"

#define POSTS_OPEN_MAX     64
#define POSTS_ADMITTED_MAX 192
#define POSTS_HELPERS_MAX  128
#define POSTS_UPLOADS_MAX  32
_Static_assert(POSTS_ADMITTED_MAX + FLIGHTS_JOIN_MAX + POSTS_UPLOADS_MAX < API_POST_THREADS,
               "some thread is always free");

struct posts {
    struct flights *flights;
    struct gate looks;   /* each takes a handle of the store */
    struct gate sources; /* open ones */
    struct gate work;
    struct gate bodies; /* being read */
    atomic_uint admitted, running, helpers, uploads,
        reading; /* reading: of the uploads, those whose turn it is */
    atomic_uint_fast64_t refused;
};

/* For a short look at what is stored: waits for its turn. NULL on error. */
struct store *posts_look(struct call *c, struct err *e);
void posts_looked(struct call *c, struct store *s); /* NULL is fine */

/* Is there room for one more post that has work to do? False: tell the client to come again (posts_refused()). */
bool posts_admit(struct posts *p);
void posts_leave(struct posts *p);      /* in any case */
void posts_refused(struct call *c);     /* counts it, logs it, and says Retry-After */
void posts_come_again(struct call *c);  /* Retry-After alone */
bool posts_helper(struct posts *p);     /* may a post have one more thread? */
void posts_helper_end(struct posts *p); /* when it may */
void posts_work(struct posts *p);       /* waits for a turn */
void posts_worked(struct posts *p);

bool posts_upload(struct posts *p);   /* is there room for one more body? */
void posts_uploaded(struct posts *p); /* in any case */

struct posted { /* one layer */
    str name;   /* a digest ("sha256:<hex>") must be that of its bytes */
    struct source_place place;
    bool unknown_format; /* only to be found out once it is open: as the old server did (golden-v1/11, 12) */
    enum blob_format format;
    bool here; /* of its request: source_is_here() */
};
enum posted_step { POSTED_SOURCE, POSTED_READ, POSTED_TAKE }; /* at which it failed */

/* With place.stop set it is not begun any more: ERR_BUSY.
 * 0 what take() gave was 0; 1 it can be read, but its format is not known; -1. `arena` is for small things, and of the calling thread; that of
 * `content` ends with take(). */
int posted_read(struct call *c, const struct posted *p, struct arena *arena,
                int (*take)(void *ctx, const struct layer_index *content, struct err *e), void *ctx,
                enum posted_step *ret_step, struct err *e);

/* The same of a body that its client sends, as a Docker layer. `want`: its digest, or empty. */
int posted_body(struct call *c, const struct cage_input *body, str want,
                int (*take)(void *ctx, const struct layer_index *content, struct err *e), void *ctx,
                enum posted_step *ret_step, struct err *e);

/* A path as a log may show it: whoever may fetch a layer often says so in its URL, and logs go far (spec/server.md 5). */
str posted_shown(str path, struct arena *arena);
