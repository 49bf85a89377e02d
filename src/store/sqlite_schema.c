/* The tables, and what leads from one schema to the next. */
#include "store/sqlite.h"

/* The index half. `in` is "main" or "temp". AUTOINCREMENT: a number is never used again, for postings and cursors outlive rows. */
#define INDEX_TABLES(in)                                                                                     \
    "CREATE TABLE " in ".package(id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,"           \
    " kind BLOB NOT NULL, name BLOB NOT NULL, version BLOB NOT NULL, arch BLOB NOT NULL,"                    \
    " source BLOB NOT NULL, source_version BLOB NOT NULL, module BLOB NOT NULL,"                             \
    " version_key BLOB NOT NULL, source_key BLOB NOT NULL);" /* key x'': not valid */                        \
    "CREATE INDEX " in ".package_source ON package(source, source_key);"                                     \
    "CREATE INDEX " in ".package_name ON package(name, version_key);"                                        \
    "CREATE TABLE " in ".package_set(id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,"       \
    " members BLOB NOT NULL);" /* posting.h */                                                               \
    "CREATE TABLE " in ".layer(id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL,"                  \
    " indexer INTEGER NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL, diff_id BLOB NOT NULL,"        \
    " entries BLOB NOT NULL, UNIQUE(digest, indexer));"                                                      \
    "CREATE TABLE " in ".layer_set(packages INTEGER NOT NULL, layer INTEGER NOT NULL,"                       \
    " PRIMARY KEY(packages, layer)) WITHOUT ROWID;"                                                          \
    "CREATE INDEX " in ".layer_set_layer ON layer_set(layer);"                                               \
    "CREATE TABLE " in ".distribution(id INTEGER PRIMARY KEY, namespace BLOB NOT NULL, name_id BLOB NOT "    \
    "NULL, version BLOB NOT NULL, name BLOB NOT NULL, UNIQUE(namespace, name_id, version, name));"           \
    "CREATE TABLE " in ".image(id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL,"                  \
    " indexer INTEGER NOT NULL, distribution INTEGER NOT NULL, packages INTEGER NOT NULL,"                   \
    " used INTEGER NOT NULL, unreadable INTEGER NOT NULL, origins BLOB NOT NULL, details BLOB NOT NULL,"     \
    " UNIQUE(digest, indexer));"                                                                             \
    "CREATE INDEX " in ".image_set ON image(packages, distribution);"                                        \
    "CREATE TABLE " in ".image_layer(image INTEGER NOT NULL, position INTEGER NOT NULL,"                     \
    " layer INTEGER NOT NULL, PRIMARY KEY(image, position)) WITHOUT ROWID;"                                  \
    "CREATE INDEX " in ".image_layer_layer ON image_layer(layer);"                                           \
    "CREATE TABLE " in ".posting_queue(packages INTEGER PRIMARY KEY);"

/* The backward question: blocks of posting.h, in segments of which each speaks of other sets. Sets that no segment speaks of are in
 * posting_queue. state: enum segment_state. */
static const char posting_tables[] =
    "CREATE TABLE posting_segment(id INTEGER PRIMARY KEY AUTOINCREMENT, level INTEGER NOT NULL, first "
    "INTEGER NOT NULL,"
    " last INTEGER NOT NULL, sets INTEGER NOT NULL, dead INTEGER NOT NULL, state INTEGER NOT NULL);"
    "CREATE TABLE posting_block(segment INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(segment, package, first)) WITHOUT ROWID;";

const char *const sqlite_index_tables = INDEX_TABLES("temp");

/* The index half of schemas 1 and 2. */
#define INDEX_TABLES_1                                                                                       \
    "CREATE TABLE main.package(id INTEGER PRIMARY KEY, kind BLOB NOT NULL, name BLOB NOT NULL,"              \
    " version BLOB NOT NULL, arch BLOB NOT NULL, source BLOB NOT NULL, source_version BLOB NOT NULL,"        \
    " module BLOB NOT NULL, version_key BLOB NOT NULL, source_key BLOB NOT NULL);" /* key x'': not valid */  \
    "CREATE UNIQUE INDEX main.package_text ON package(name, version, arch, kind, source, source_version,"    \
    " module);"                                                                                              \
    "CREATE TABLE main.package_set(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE,"                       \
    " members BLOB NOT NULL);" /* packed package ids, in the order of the file */                            \
    "CREATE TABLE main.layer(id INTEGER PRIMARY KEY, digest BLOB NOT NULL, indexer INTEGER NOT NULL,"        \
    " size INTEGER NOT NULL, diff_id BLOB NOT NULL, entries BLOB NOT NULL, UNIQUE(digest, indexer));"        \
    "CREATE TABLE main.posting(package INTEGER NOT NULL, layer INTEGER NOT NULL,"                            \
    " PRIMARY KEY(package, layer)) WITHOUT ROWID;"                                                           \
    "CREATE TABLE main.image(id INTEGER PRIMARY KEY, digest BLOB NOT NULL, indexer INTEGER NOT NULL,"        \
    " namespace BLOB NOT NULL, distribution_id BLOB NOT NULL, distribution_version BLOB NOT NULL,"           \
    " distribution_name BLOB NOT NULL, unreadable INTEGER NOT NULL, notes BLOB NOT NULL,"                    \
    " UNIQUE(digest, indexer));"                                                                             \
    "CREATE TABLE main.image_layer(image INTEGER NOT NULL, position INTEGER NOT NULL,"                       \
    " layer INTEGER NOT NULL, PRIMARY KEY(image, position)) WITHOUT ROWID;"                                  \
    "CREATE TABLE main.image_package(image INTEGER NOT NULL, position INTEGER NOT NULL,"                     \
    " package INTEGER NOT NULL, layer INTEGER NOT NULL, PRIMARY KEY(image, position)) WITHOUT ROWID;"

/*
 * The feed half. A row of advisory is seen by a reader of generation G when gen_from <= G and gen_to is NULL
 * or above G; its ranges are seen with it. `ranges` of an advisory holds the primary keys of its rows in
 * affected and negative: the reverse question without an index. Only one update runs at a time (lease
 * 'update'); what it staged is described by the row of pending, so that its successor can sweep it away.
 */
static const char feed_tables[] =
    "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL);"
    "INSERT INTO state VALUES (1, 0);"
    "CREATE TABLE generation(number INTEGER PRIMARY KEY, feed INTEGER NOT NULL, time INTEGER NOT NULL);"
    "CREATE TABLE keyvalue(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE lease(name TEXT PRIMARY KEY, owner TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE pending(generation INTEGER PRIMARY KEY, first_advisory INTEGER NOT NULL);"
    "CREATE TABLE namespace(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, scheme BLOB NOT NULL);"
    "CREATE TABLE feed(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_try INTEGER NOT NULL DEFAULT "
    "0,"
    " last_success INTEGER NOT NULL DEFAULT 0, error BLOB NOT NULL DEFAULT x'', generation INTEGER NOT NULL"
    " DEFAULT 0, advisories INTEGER NOT NULL DEFAULT 0, ranges INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE feed_namespace(feed INTEGER NOT NULL, namespace INTEGER NOT NULL, ranges INTEGER NOT NULL,"
    " PRIMARY KEY(namespace, feed)) WITHOUT ROWID;"
    /* validator NULL: staged */
    "CREATE TABLE document(id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, name BLOB NOT NULL, validator BLOB,"
    " advisories INTEGER NOT NULL DEFAULT 0, UNIQUE(feed, name));"
    "CREATE TABLE advisory(id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, document INTEGER NOT NULL,"
    " gen_from INTEGER NOT NULL, gen_to INTEGER, hash BLOB NOT NULL, key BLOB NOT NULL, name BLOB NOT NULL,"
    " ranges BLOB NOT NULL, link BLOB NOT NULL, title BLOB NOT NULL, description BLOB NOT NULL);"
    "CREATE UNIQUE INDEX advisory_key ON advisory(feed, key) WHERE gen_to IS NULL;"
    "CREATE INDEX advisory_ended ON advisory(gen_to) WHERE gen_to IS NOT NULL;"
    /* kind: enum affected_kind; fixed_key ff: no fix, or one that does not parse (uncertain) */
    "CREATE TABLE affected(namespace INTEGER NOT NULL, name BLOB NOT NULL, kind INTEGER NOT NULL,"
    " fixed_key BLOB NOT NULL, advisory INTEGER NOT NULL, part INTEGER NOT NULL, introduced_key BLOB NOT "
    "NULL,"
    " severity INTEGER NOT NULL, state INTEGER NOT NULL, uncertain INTEGER NOT NULL, fixed BLOB NOT NULL,"
    " introduced BLOB NOT NULL, arch BLOB NOT NULL, module BLOB NOT NULL,"
    " PRIMARY KEY(namespace, name, kind, fixed_key, advisory, part)) WITHOUT ROWID;"
    "CREATE TABLE negative(namespace INTEGER NOT NULL, name BLOB NOT NULL, kind INTEGER NOT NULL,"
    " id BLOB NOT NULL, advisory INTEGER NOT NULL, part INTEGER NOT NULL, introduced_key BLOB NOT NULL,"
    " fixed_key BLOB NOT NULL, fixed BLOB NOT NULL, introduced BLOB NOT NULL, arch BLOB NOT NULL,"
    " module BLOB NOT NULL, PRIMARY KEY(namespace, name, kind, id, advisory, part)) WITHOUT ROWID;"
    /* before, after: ids of advisory, NULL where there is none */
    "CREATE TABLE change(generation INTEGER NOT NULL, number INTEGER NOT NULL, feed INTEGER NOT NULL,"
    " before INTEGER, after INTEGER, PRIMARY KEY(generation, number)) WITHOUT ROWID;";

static const char *const schema_1[] = { INDEX_TABLES_1, feed_tables, NULL };

/* REST v1's layers. */
static const char named_tables[] =
    "CREATE TABLE named_layer(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, parent INTEGER, layer "
    "INTEGER NOT NULL,"
    " chain BLOB NOT NULL, namespace BLOB NOT NULL, engine INTEGER NOT NULL);"
    "CREATE INDEX named_parent ON named_layer(parent) WHERE parent IS NOT NULL;"
    "CREATE TABLE named_view(named INTEGER NOT NULL, part INTEGER NOT NULL, image INTEGER NOT NULL,"
    " PRIMARY KEY(named, part)) WITHOUT ROWID;";

static const char *const schema_2[] = {
    named_tables,
    "ALTER TABLE lease ADD COLUMN seconds INTEGER NOT NULL DEFAULT 300;"
    "ALTER TABLE namespace ADD COLUMN kinds INTEGER NOT NULL DEFAULT 15;", /* all that there may be */
    NULL
};

/* notification_place: where the next change to be told is looked for; all before it has become notifications. It begins behind what is
 * there. due 0: not to be taken (again); until: the end of the owner's lease. */
static const char notification_tables[] =
    "CREATE TABLE notification(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, feed INTEGER "
    "NOT NULL,"
    " before INTEGER NOT NULL, after INTEGER NOT NULL, generation INTEGER NOT NULL, created INTEGER NOT NULL,"
    " notified INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL "
    "DEFAULT 0,"
    " due INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '', until INTEGER NOT NULL DEFAULT 0,"
    " error BLOB NOT NULL DEFAULT x'');"
    "CREATE INDEX notification_due ON notification(due, id) WHERE due > 0;"
    "CREATE INDEX notification_created ON notification(created);"
    "CREATE INDEX notification_deleted ON notification(deleted) WHERE deleted > 0;"
    "CREATE INDEX notification_kept ON notification(generation) WHERE deleted = 0;"
    "CREATE TABLE notification_place(id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL,"
    " number INTEGER NOT NULL);"
    "INSERT INTO notification_place SELECT 1, generation + 1, 0 FROM state;";

/* Images and layers follow in sql_convert.c, for what is packed is not for SQL. */
static const char *const schema_3[] = {
    "ALTER TABLE package RENAME TO old_package; ALTER TABLE package_set RENAME TO old_package_set;"
    "ALTER TABLE layer RENAME TO old_layer; ALTER TABLE image RENAME TO old_image;"
    "ALTER TABLE image_layer RENAME TO old_image_layer;",
    INDEX_TABLES("main"), posting_tables,
    "INSERT INTO package SELECT id, package_hash(kind, name, version, arch, source, source_version, module),"
    " kind, name, version, arch, source, source_version, module, version_key, source_key FROM old_package;"
    "INSERT INTO package_set SELECT id, hash, members FROM old_package_set;"
    "INSERT INTO posting_queue SELECT id FROM package_set;"
    "INSERT INTO image_layer SELECT image, position, layer FROM old_image_layer;"
    "DROP TABLE old_package; DROP TABLE old_package_set; DROP TABLE old_image_layer; DROP TABLE posting;"
    "ALTER TABLE named_layer RENAME TO old_named_layer; DROP INDEX named_parent;"
    /* its number is used as that of no other layer ever */
    "CREATE TABLE named_layer(id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, parent "
    "INTEGER,"
    " layer INTEGER NOT NULL, chain BLOB NOT NULL, namespace BLOB NOT NULL, engine INTEGER NOT NULL);"
    "CREATE INDEX named_parent ON named_layer(parent) WHERE parent IS NOT NULL;"
    "INSERT INTO named_layer SELECT id, name, parent, layer, chain, namespace, engine FROM old_named_layer;"
    "DROP TABLE old_named_layer;"
    "CREATE INDEX named_layer_layer ON named_layer(layer); CREATE INDEX named_view_image ON "
    "named_view(image);",

    "ALTER TABLE advisory RENAME TO old_advisory; DROP INDEX advisory_key; DROP INDEX advisory_ended;"
    "ALTER TABLE affected RENAME TO old_affected;",
    /* what a report reads stands first */
    "CREATE TABLE advisory(id INTEGER PRIMARY KEY, gen_from INTEGER NOT NULL, gen_to INTEGER, record BLOB "
    "NOT NULL,"
    " feed INTEGER NOT NULL, document INTEGER NOT NULL, hash BLOB NOT NULL, key BLOB NOT NULL, name BLOB NOT "
    "NULL,"
    " ranges BLOB NOT NULL);"
    "CREATE UNIQUE INDEX advisory_key ON advisory(feed, key) WHERE gen_to IS NULL;"
    "CREATE INDEX advisory_ended ON advisory(gen_to) WHERE gen_to IS NOT NULL;"
    "CREATE TABLE affected(namespace INTEGER NOT NULL, name BLOB NOT NULL, kind INTEGER NOT NULL,"
    " fixed_key BLOB NOT NULL, advisory INTEGER NOT NULL, part INTEGER NOT NULL, record BLOB NOT NULL,"
    " PRIMARY KEY(namespace, name, kind, fixed_key, advisory, part)) WITHOUT ROWID;",
    "INSERT INTO advisory SELECT id, gen_from, gen_to, record(id, feed, name, key, title, link, "
    "description, x''), feed,"
    " document, hash, key, name, ranges FROM old_advisory;"
    "INSERT INTO affected SELECT namespace, name, kind, fixed_key, advisory, part, record(advisory, "
    "fixed_key,"
    " fixed, state, severity, uncertain, introduced_key, arch, module, introduced) FROM old_affected;"
    "DROP TABLE old_advisory; DROP TABLE old_affected;"
    "ALTER TABLE feed ADD COLUMN rank INTEGER NOT NULL DEFAULT 100;",
    /* which advisories say something of an id as such; state.metadata: has there ever been one? */
    "CREATE TABLE metadata(name BLOB NOT NULL, advisory INTEGER NOT NULL, PRIMARY KEY(name, advisory))"
    " WITHOUT ROWID;"
    "ALTER TABLE state ADD COLUMN metadata INTEGER NOT NULL DEFAULT 0;",
    notification_tables, NULL
};

/* advisory_space: blocks of advisories (sql.h) of which one at least said, when it was written, that something is affected in the namespace;
 * filled in sql_convert.c. change.namespace: the one that the change is of, NULL for all of the advisory's. */
static const char vulnerability_tables[] =
    "CREATE TABLE advisory_space(namespace INTEGER NOT NULL, block INTEGER NOT NULL,"
    " PRIMARY KEY(namespace, block)) WITHOUT ROWID;"
    "CREATE INDEX advisory_name ON advisory(name);"
    "ALTER TABLE change ADD COLUMN namespace INTEGER;"
    "INSERT INTO namespace(name, scheme, kinds) SELECT namespace, x'', 0 FROM distribution WHERE namespace "
    "<> x''"
    " GROUP BY namespace ORDER BY min(id) ON CONFLICT DO NOTHING;"
    "INSERT INTO namespace(name, scheme, kinds) SELECT namespace, x'', 0 FROM named_layer WHERE namespace <> "
    "x''"
    " GROUP BY namespace ORDER BY min(id) ON CONFLICT DO NOTHING;";

/* namespace: that in which the advisories differ; 0 in rows of older schemas. */
static const char notification_space[] =
    "ALTER TABLE notification ADD COLUMN namespace INTEGER NOT NULL DEFAULT 0;";

static const char *const schema_4[] = { vulnerability_tables, notification_space, NULL };

/* The column `module` of ranges may have a CPE behind the module (rows.h): programs of before would find that no package has such a module. */
static const char *const schema_5[] = { NULL };

/* API v3: what clients call a layer, and rows of such names. ancestry.image 0: there is none; hashes: sql_ancestry.c. */
static const char ancestry_tables[] =
    "CREATE TABLE layer_hash(id INTEGER PRIMARY KEY AUTOINCREMENT, hash "
    "BLOB NOT NULL, indexer INTEGER NOT NULL,"
    " layer INTEGER NOT NULL, UNIQUE(hash, indexer));"
    "CREATE INDEX layer_hash_layer ON layer_hash(layer);"
    "CREATE TABLE ancestry(id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB "
    "NOT NULL UNIQUE, image INTEGER NOT NULL, packages INTEGER NOT NULL, distribution INTEGER NOT NULL,"
    " indexer INTEGER NOT NULL, hashes BLOB NOT NULL);"
    "CREATE INDEX ancestry_image ON ancestry(image);";

/* What the image has, beside it: a walk over a million names looks at one table. */
static const char view_sets[] = "ALTER TABLE named_view ADD COLUMN packages INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE named_view ADD COLUMN distribution INTEGER NOT NULL DEFAULT 0;"
                                "UPDATE named_view SET packages = (SELECT i.packages FROM image i WHERE i.id "
                                "= named_view.image), distribution ="
                                " (SELECT i.distribution FROM image i WHERE i.id = named_view.image) WHERE "
                                "EXISTS (SELECT 1 FROM image i WHERE"
                                " i.id = named_view.image);";

/* Of the same schema: hashes, lists of ranges and records are shorter, which programs of before could not read. */
static const char *const schema_6[] = { ancestry_tables, view_sets, NULL };

/* Keys of services, and which tokens were seen: nonce.hash is that of issuer and nonce, so that a row has one size; taker: sql_keys.c. */
static const char key_tables[] =
    "CREATE TABLE service_key(service BLOB NOT NULL, kid BLOB NOT NULL, jwk BLOB NOT NULL, created INTEGER "
    "NOT NULL,"
    " approved INTEGER NOT NULL, expires INTEGER NOT NULL, rotation INTEGER NOT NULL, replaced_by BLOB NOT "
    "NULL,"
    " PRIMARY KEY(service, kid)) WITHOUT ROWID;"
    "CREATE TABLE nonce(hash BLOB PRIMARY KEY NOT NULL, until INTEGER NOT NULL, taker INTEGER NOT NULL) "
    "WITHOUT "
    "ROWID;"
    "CREATE INDEX nonce_until ON nonce(until);";

static const char *const schema_7[] = { key_tables, NULL };

const char *const *const sqlite_migrations[SCHEMA_NUMBER] = { schema_1, schema_2, schema_3, schema_4,
                                                              schema_5, schema_6, schema_7 };
