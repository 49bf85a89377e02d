/* stores.h - handles of one database, for whoever needs one: opened when none is free, kept when given back. Any thread. */
#pragma once
#include "store/store.h"

struct stores;
struct stores *stores_new(const char *where, struct err *e);
struct store *stores_take(struct stores *s, struct err *e); /* NULL on error */
void stores_give(struct stores *s, struct store *store);    /* NULL is fine */
void stores_freep(struct stores **s);                       /* all must have been given back */
