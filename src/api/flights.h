/*
 * flights.h - posts of one name, one at a time: those that come while it is in the air wait for it, and one with the very same body
 *             takes its answer.
 *
 * Limits     FLIGHTS_JOIN_MAX wait at once, of all names: each has a thread. Those who wait for a FLIGHT_HASH are bounded by others: they have
 *            been admitted (posts.h).
 * Ownership  a flight is the caller's, its views live until flight_end() is back.
 */
#pragma once
#include "base/buf.h"

#include <stdatomic.h>
#include <stdbool.h>

#define FLIGHTS_JOIN_MAX 256

enum flight_kind { FLIGHT_LAYER, FLIGHT_ANCESTRY, FLIGHT_HASH }; /* what has that name */

struct flight {
    struct flight *next;
    enum flight_kind kind;
    str name, body;
    bool here; /* it came from this machine, and may name its files: what it was told is not for others */
    unsigned waiting;
    bool ended;
    unsigned status; /* of a failure; 0: it went well */
    str answer;      /* its body */
};

struct flights;
struct flights *flights_new(void);
void flights_freep(struct flights **f); /* NULL is fine */

enum boarding { FLIGHT_MINE, FLIGHT_LANDED, FLIGHT_FULL };

/* MINE: it is in the air until flight_end(). LANDED: there was one of this kind and name, it has ended; *ret_status and *answer are its answer if it was the
 * same request and failed, else *ret_status is 0. FULL: too many wait. */
enum boarding flight_begin(struct flights *all, struct flight *mine, unsigned *ret_status,
                           struct buf *answer);
void flight_end(struct flights *all, struct flight *mine);
unsigned flights_waiting(struct flights *all);
