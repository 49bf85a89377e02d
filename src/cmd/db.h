/* db.h - the actions of `eclair db`: each returns the exit code, or -1 with e. `place` is where the database is, `file` the second
 * argument of those that want one. */
#pragma once
#include "cmd/command.h"
#include "store/store.h"

struct db_options {
    const char *db, *format, *unused, *since, *key;
    bool full, force, feeds, dry_run;
    struct option_list vulnerabilities;
    char **sources; /* behind FILE */
    int source_count;
};

int db_status(const struct db_options *o, const char *place, const char *file, struct err *e);
int db_export(const struct db_options *o, const char *place, const char *file, struct err *e);
int db_backup(const struct db_options *o, const char *place, const char *file, struct err *e);
int db_import(const struct db_options *o, const char *place, const char *file, struct err *e);

int db_import_clair(const struct db_options *o, const char *place, const char *source, struct err *e);

/* db_bundle.c */
int bundle_is_file(const char *file, struct err *e); /* 1, 0, -1 */
int bundle_export(const struct db_options *o, const char *place, const char *file, struct err *e);
int bundle_import_file(const struct db_options *o, const char *place, const char *file, struct err *e);
