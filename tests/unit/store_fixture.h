/* store_fixture.h - what the tests of store/ share. The engine is PostgreSQL when ECLAIR_TEST_POSTGRES has the URL of a server (tests/pg.py
 * run), else SQLite. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/store.h"

struct place {
    char folder[64], where[256]; /* SQLite: the file, a few folders below `folder` */
    char database[48];           /* PostgreSQL: its name; it is dropped by tidy() */
    struct store *store;
    struct arena *arena;
    struct err e;
};

/* ---- the engine ---- */

bool on_server(void);
void place_url(const struct place *p, const char *user, char ret[256]); /* of p->database */
int fresh_place(void **state); /* for an empty database that nobody made yet */
int fresh(void **state);       /* and opened */
int tidy(void **state);
struct store *open_at(struct place *p, enum store_mode mode);
void execute(const struct place *p, const char *sql);   /* behind the store's back */
int64_t number(const struct place *p, const char *sql); /* of one row and column */
uint64_t contents(const struct place *p);               /* all rows of all tables, as a number */

#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, tidy)
#define ok(p, call)                                                                                          \
    do {                                                                                                     \
        if ((call) < 0)                                                                                      \
            fail_msg("%s", (p)->e.text);                                                                     \
    } while (0)
#define fails(p, call, k)                                                                                    \
    do {                                                                                                     \
        (p)->e = (struct err){ 0 };                                                                          \
        if ((call) != -1 || (p)->e.kind != (k))                                                              \
            fail_msg("%s: not %s, but %s: %s", #call, err_kind_name(k), err_kind_name((p)->e.kind),          \
                     (p)->e.text);                                                                           \
    } while (0)
#define same(a, b) same_at(__LINE__, a, b)
void same_at(int line, str a, str b);
str field(str *line); /* the next word; "-" is empty */

/* ---- layers and images ---- */

#define RAW "\xff\xfe\x00\x80z"
extern struct package packages[3];
extern struct layer_entry entries[8];
extern const struct layer_index layer_one, layer_empty;
void same_package(const struct package *a, const struct package *b);
void same_entry(const struct layer_entry *a, const struct layer_entry *b);
/* Sorted by package_cmp() when stored: "NAME VERSION SOURCE SOURCE_VERSION ARCH MODULE [KIND];..." */
int64_t put_image(struct place *p, const char *text, str namespace);
#define SSL "libssl3 3.0-2 openssl 3.0-1 amd64 -"

/* ---- feeds and matching ---- */

/* "KIND PACKAGE INTRODUCED FIXED ARCH MODULE [NAMESPACE SCHEME [CPE]]", "-" = empty; KIND S or B, in small letters: not affected. */
struct affected_range range_of(str line);
/* Lines "FEED ID RANGE;", one advisory each; the lines of a feed stand together. */
void load(struct place *p, const char *text);
/* "PACKAGE ID FIXED FEED[ ?];" for each finding */
str findings(struct place *p, int64_t image, struct match *ret);
/* What is stored under that number, matched. ERR_NOT_FOUND. */
int match_stored(struct place *p, struct store *s, int64_t image, struct match *ret, struct err *e);
void scratch_works(struct place *p, const char *want);

struct store_update *begin(struct place *p, const char *feed);
/* Advisory "KEY" that affects source "x" in debian:12 and "y" in debian:11, fixed in `fixed`. */
int put(struct place *p, struct store_update *u, const char *key, const char *fixed, const char *title);
/* One document: words KEY=FIXED. */
void fill_document(struct place *p, struct store_update *u, const char *document, const char *validator,
                   const char *words);
struct update_counts commit(struct place *p, struct store_update *u, int64_t now);
void state_is(struct place *p, int64_t generation, int64_t advisories, int64_t changes);

/* Document "d" of feed "f" with `count` advisories of round `round`: MANY are enough for several batches. */
int put_round(struct place *p, struct store_update *u, int round, int count);
#define MANY 3000
/* Whatever happened: one complete round is seen, that of the generation. Which. `image` has a package "x". */
int whole(struct place *p, int64_t image);

/* ---- the groups of test_store ---- */

int store_match_tests(void);
int store_metadata_tests(void);
int store_update_tests(void);
int store_named_tests(void);
int store_ancestry_tests(void);
int store_hit_tests(void);
int store_lease_tests(void);
int store_reverse_tests(void);
int store_watch_tests(void);
int store_notify_tests(void);
int store_check_tests(void);
int store_copy_tests(void);
int store_vulnerability_tests(void);
int store_vendor_tests(void);
int store_keys_tests(void);
