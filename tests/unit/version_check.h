/*
 * version_check.h - what the tests of all version schemes share. Each check fails the running test.
 *
 * The recorded tables are found by ECLAIR_TEST_DATA (default ../shared/data). ECLAIR_PROPERTY_PAIRS sets how
 * many random pairs of each scheme are compared.
 */
#pragma once
#include "version/version.h"

/* Both are valid, and in that order by text and by key, in both directions; want is -1, 0 or 1. */
void version_check(const struct version_scheme *s, str a, str b, int want);

struct version_table {
    const char *file;
    const struct version_scheme *scheme;
    unsigned rows, invalid,
        unlike; /* invalid: one of the two is not valid; unlike: the order differs, and one of the two is odd */
    const char *const *odd; /* ends with NULL; may be NULL */
};
void version_check_tables(const struct version_table *tables, size_t count);

/* All pairs of a chain are compared. */
struct version_chain {
    const struct version_scheme *scheme;
    const char *ascending; /* "<" or "=" between neighbours */
};
void version_check_chain(const struct version_chain *c);

/* Stored keys must not change. */
struct version_bytes {
    const struct version_scheme *scheme;
    const char *version, *hex;
};
void version_check_bytes(const struct version_bytes *b);

void version_check_invalid(const struct version_scheme *s, str v);

/* Comparator and keys agree on random versions made of the words, and on mutations of them. Versions longer than long_key may have too long a
 * key; 0: none may. */
void version_check_property(const struct version_scheme *s, const char *words, size_t long_key);
