/*
 * rpm_wal.h - the pages of a SQLite database as its last commit left them: those of the file, and those of the "-wal" file in their place.
 *
 * Ownership  borrows both contents; wal_done() frees the map of pages.
 * Limits     a database of more pages than both files could hold is not believed.
 * Errors     none but ERR_OOM: a "-wal" file that is not valid is left out, and `odd` says why. Frames behind the last commit, and from
 *            the first one on whose salts or check sums are wrong, do not count: they were not finished, or are older.
 * Source     https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log".
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct wal_pages {
    str content, wal;
    size_t page_size;     /* 0: no page of the wal counts */
    uint32_t count;       /* pages of the database */
    uint32_t *frames;     /* for each page: 1 + its frame's number, 0 = it is in the file */
    const char *odd;      /* static; NULL: nothing */
    uint32_t frame_count; /* committed frames */
    uint32_t missing;     /* the first page that neither file holds whole, from 1; 0: none */
};

int wal_open(str content, str wal, struct wal_pages *ret, struct err *e);
uint64_t wal_size(const struct wal_pages *p); /* of the database, in bytes */
/* Copies what is there of `n` bytes from `at` on, and returns how much that was. */
size_t wal_read(const struct wal_pages *p, uint64_t at, char *to, size_t n);
void wal_done(struct wal_pages *p); /* for CLEANUP() */
