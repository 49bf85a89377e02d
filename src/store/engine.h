/*
 * engine.h - what an engine is to store.c and watch.c: how a store is opened and closed, and what is not a matter of statements. All else of
 * store.h is written once, in sql_*.c. An engine's own struct begins with `struct store`.
 */
#pragma once
#include "store/store.h"

struct store {
    const struct store_engine *engine;
    int64_t schema_before; /* see store_schema_before() */
};

struct store_engine {
    struct store *(*open)(const char *where, enum store_mode mode, struct err *e);
    void (*close)(struct store *s);
    int (*ping)(struct store *s, struct err *e);
    /* Until the generation may be another than when it was last asked for: 1; 0: time is up; -1. */
    int (*doze)(struct store *s, int timeout_ms, struct err *e);
};

extern const struct store_engine store_sqlite, store_postgres;
