/* stores.h - handles of one database, for whoever needs one: opened when none is free, kept when given back. Any thread. */
#pragma once
#include "store/store.h"

struct stores;
struct stores *stores_new(const char *where, enum store_mode mode, struct err *e);
struct store *stores_take(struct stores *s, struct err *e); /* NULL on error */
void stores_give(struct stores *s, struct store *store);    /* NULL is fine */
void stores_freep(struct stores **s);                       /* all must have been given back; NULL is fine */

/* Of a database that one can do without: should it be asked? After a failure one caller in ten seconds tries again. */
bool stores_ask(struct stores *s);
/* How it went: NULL is well. True when that is news. */
bool stores_went(struct stores *s, const struct err *e);
