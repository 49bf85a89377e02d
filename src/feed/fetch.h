/*
 * fetch.h - bytes of documents, from a folder or over HTTP; conditional, retried, resumed where it broke.
 *
 * Shape      `base` is a URL (http, https) or a folder (a path or file:///path). In a folder the document may
 *            have ".zst", ".gz" or ".xz" added to its name (design.md 8); over HTTP those are tried in that
 *            order after the plain name was not found, unless the base is the source's own. A mirror has its
 *            names alike: the ending of the last load is tried first, else the one that was found last. The bytes are given as they lie
 *            there: decompression is the reader's business (by content). Connections are kept for all
 *            documents of a base.
 * Absence    404 and 410. A mirror that does not let its names be listed (S3) says 403 for what is not there:
 *            FETCH_FORBIDDEN, when no name is found and one of them gives 403.
 * Validators over HTTP the ETag and Last-Modified, in a folder device, inode, size, mtime and ctime: an opaque
 *            string, stored with the document. With the one of the last load the answer can be FETCH_UNCHANGED, and nothing is
 *            transferred.
 * Errors     ERR_NETWORK (after fetch_policy.tries with growing pauses, each within connect 10 s and 60 s without a
 *            byte, or with less than 1 KiB a second; a new set of tries for each MiB that came), ERR_IO, ERR_UNSUPPORTED (bad base), ERR_LIMIT.
 *            408, 429 and 5xx are tried again, after Retry-After if that is at most 30 s. A broken transfer
 *            is resumed with Range and If-Range; when the content changed meanwhile: ERR_NETWORK.
 * Limits     4 GiB a document; 20 redirects; http and https only, redirects included, and what begins with https stays with it.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

enum fetch_result { FETCH_NEW, FETCH_UNCHANGED, FETCH_MISSING, FETCH_FORBIDDEN };

struct fetch_policy {
    unsigned pause_ms[3]; /* before the second, third and fourth try */
    unsigned connect_ms, idle_ms;
    uint64_t max_bytes; /* of a document, as it lies there */
    unsigned tries;     /* of a document; at most 4 */
};
extern const struct fetch_policy fetch_defaults;

struct fetch_base; /* in one thread */
struct fetch_base *fetch_base_new(const struct fetch_policy *policy, const char *base, bool mirror,
                                  struct err *e);
void fetch_base_freep(struct fetch_base **b); /* after its documents; NULL is fine */

struct fetch;
/* Waits until it is known which of the four it is. Only FETCH_NEW has bytes to read. NULL on failure. */
struct fetch *fetch_open(struct fetch_base *base, const char *path, str validator, enum fetch_result *ret,
                         struct err *e);
/* Fits cage_input.read: 1 a chunk, 0 complete, -1 error. */
int fetch_read(void *fetch, str *ret, struct err *e);
int64_t fetch_total(const struct fetch *f); /* bytes that it has, as it lies there; -1: not told */
str fetch_validator(const struct fetch *f); /* lives as long as f */
void fetch_freep(struct fetch **f);

/* A folder must exist, so that a mistyped one is not taken for an empty mirror; URLs are not asked. */
int fetch_base_check(const char *base, struct err *e);
