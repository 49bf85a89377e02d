/*
 * want.h - the documents that an update of a feed still has to look at, in order, and where each of them lies.
 *
 * Places     the feed's own, or MIRROR/FOLDER (design.md 8). An absolute URL that a document names is below the place it is read from when
 *            that is a mirror ("@BASE@" is MIRROR), or the same host; else it is a place of its own, by https if the document was read so.
 * Ownership  all strings live as long as the list.
 */
#pragma once
#include "base/arena.h"
#include "feed/feed.h"
#include "feed/fetch.h"

struct want {
    struct want *next;
    str name;         /* of the document */
    const char *path; /* below the place */
    struct want_place *place;
    str fingerprint; /* see feed_lead */
    bool is_lead, may_lack;
    unsigned
        group; /* of the table: those of one group stand for each other, the first that is there counts */
};

struct want_place {
    struct want_place *next;
    const char *where; /* URL or folder */
    const char
        *folder; /* of a mirror: the last part of `where`, which paths in mirrored files may begin with */
    bool mirror;
    struct fetch_base *base; /* opened when it is needed */
};

struct wants {
    struct arena *arena;
    const struct feed *feed;
    struct fetch_policy policy; /* of all places: set it before one is opened */
    const char *mirror, *url;   /* url: instead of the feed's own place; both may be NULL */
    struct want *first, **last;
    struct want_place *places;
    size_t count;
};

#define WANTS_MAX 262144u /* documents of one update: what a list of changes may name at most */

/* All of the feed's table that has a place, for the year of `now`. 0 or -1. */
int wants_begin(struct wants *w, const struct feed *feed, const char *mirror, const char *url, int64_t now,
                struct err *e);
/* Behind all others. `from` is where the document that leads there was found. */
int wants_add(struct wants *w, const struct want *from, const struct feed_lead *lead, struct err *e);
struct fetch_base *wants_base(struct wants *w, struct want_place *place, struct err *e); /* NULL on failure */
void wants_done(struct wants *w);
