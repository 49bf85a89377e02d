/*
 * rpm_db.h - the three files in which rpm keeps headers, walked: bytes in, one call for each header.
 *
 * Shape      Berkeley DB's hash ("Packages"), rpm's own NDB ("Packages.db") and SQLite ("rpmdb.sqlite"). No order is promised.
 * Ownership  a header's bytes live until its call returns.
 * Limits     no byte of a file is handed out twice, so time and the sum of all headers are bounded by the size of the file;
 *            a file that uses bytes twice is damaged.
 * Errors     what is no such file at all is ERR_FORMAT (ERR_UNSUPPORTED: encrypted, or of a kind that rpm does not write). Where only a
 *            part is damaged, `damage` is called, and the walk goes on with the next part.
 * Source     spec/packages.md 2.2 to 2.4.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct rpm_place { /* of a header in its file: "page" 12, "slot" 3, "row" 7 */
    const char *unit;
    uint64_t number;
};

struct rpm_sink {
    int (*header)(struct rpm_sink *s, struct rpm_place at, str blob, struct err *e); /* -1 ends the walk */
    void (*damage)(struct rpm_sink *s, struct rpm_place at, const char *what);
    void (*odd)(struct rpm_sink *s, const char *what); /* nothing is missing, but a person should know */
};

/* Tells the sink of damage, and returns 0: the walk goes on. */
int rpm_damaged(struct rpm_sink *s, struct rpm_place at, const char *fmt, ...) PRINTF(3, 4);

int rpm_bdb_walk(str content, struct rpm_sink *s, struct err *e);
int rpm_ndb_walk(str content, struct rpm_sink *s, struct err *e);
/* `wal`: content of the file "-wal" beside it, empty without: its committed pages count. It is no error if it is not valid. */
int rpm_sqlite_walk(str content, str wal, struct rpm_sink *s, struct err *e);

bool rpm_bdb_is(str content);
bool rpm_ndb_is(str content);
bool rpm_sqlite_is(str content);

/* Marks bit i; false if it was marked before. What walks a file claims each part once, so that neither a loop nor a part used
 * by many costs more than the file's size. */
static inline bool rpm_claim(uint8_t *bits, size_t i)
{
    uint8_t bit = (uint8_t)(1u << (i & 7)), old = bits[i >> 3];
    bits[i >> 3] = old | bit;
    return !(old & bit);
}
