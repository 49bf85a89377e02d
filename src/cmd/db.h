/* db.h - the actions of `eclair db`: each returns the exit code, or -1 with e. `place` is where the database is. */
#pragma once
#include "store/store.h"

struct db_options {
    const char *db, *format, *unused;
    bool full, force;
};

int db_status(const struct db_options *o, const char *place, struct err *e);
