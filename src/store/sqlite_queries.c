#include "store/sqlite.h"

/* The index half. `in` is "main" or "temp". */
#define INDEX_TABLES(in)                                                                                     \
    "CREATE TABLE " in ".package(id INTEGER PRIMARY KEY, kind BLOB NOT NULL, name BLOB NOT NULL,"            \
    " version BLOB NOT NULL, arch BLOB NOT NULL, source BLOB NOT NULL, source_version BLOB NOT NULL,"        \
    " module BLOB NOT NULL, version_key BLOB NOT NULL, source_key BLOB NOT NULL);" /* key x'': not valid */  \
    "CREATE UNIQUE INDEX " in ".package_text ON package(name, version, arch, kind, source, source_version,"  \
    " module);"                                                                                              \
    "CREATE TABLE " in ".package_set(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE,"                     \
    " members BLOB NOT NULL);" /* packed package ids, in the order of the file */                            \
    "CREATE TABLE " in ".layer(id INTEGER PRIMARY KEY, digest BLOB NOT NULL, indexer INTEGER NOT NULL,"      \
    " size INTEGER NOT NULL, diff_id BLOB NOT NULL, entries BLOB NOT NULL, UNIQUE(digest, indexer));"        \
    "CREATE TABLE " in ".posting(package INTEGER NOT NULL, layer INTEGER NOT NULL,"                          \
    " PRIMARY KEY(package, layer)) WITHOUT ROWID;"                                                           \
    "CREATE TABLE " in ".image(id INTEGER PRIMARY KEY, digest BLOB NOT NULL, indexer INTEGER NOT NULL,"      \
    " namespace BLOB NOT NULL, distribution_id BLOB NOT NULL, distribution_version BLOB NOT NULL,"           \
    " distribution_name BLOB NOT NULL, unreadable INTEGER NOT NULL, notes BLOB NOT NULL,"                    \
    " UNIQUE(digest, indexer));"                                                                             \
    "CREATE TABLE " in ".image_layer(image INTEGER NOT NULL, position INTEGER NOT NULL,"                     \
    " layer INTEGER NOT NULL, PRIMARY KEY(image, position)) WITHOUT ROWID;"                                  \
    "CREATE TABLE " in ".image_package(image INTEGER NOT NULL, position INTEGER NOT NULL,"                   \
    " package INTEGER NOT NULL, layer INTEGER NOT NULL, PRIMARY KEY(image, position)) WITHOUT ROWID;"

const char *const sqlite_index_tables[2] = { INDEX_TABLES("main"), INDEX_TABLES("temp") };

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

static const char *const schema_1[] = { INDEX_TABLES("main"), feed_tables, NULL };

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

const char *const *const sqlite_migrations[SCHEMA_NUMBER] = { schema_1, schema_2 };

#define VISIBLE(row, g) row ".gen_from <= " g " AND (" row ".gen_to IS NULL OR " row ".gen_to > " g ")"

/* Does a row (r, n) speak of this package (p) at this version? An invalid version has the key x'', which is below all. */
#define FITS(row, key)                                                                                       \
    "(" row ".arch = x'' OR " row ".arch = p.arch) AND " row ".module = p.module AND"                        \
    " (" row ".introduced_key <= p." key " OR p." key " = x'')"

/* ?1 image, ?2 namespace, ?3 its scheme, ?4 the most rows or the generation. CROSS JOIN is SQLite's way to fix the order of the loops: a
 * package, then the range "fixed_key > its key" of one (namespace, name, kind). */
#define MATCH(kind, name, key)                                                                               \
    "SELECT ip.position, p." key " = x'', r.advisory, r.fixed_key, r.fixed, r.state, r.severity, "           \
    "r.uncertain FROM image_package ip "                                                                     \
    "CROSS JOIN package p ON p.id = ip.package CROSS JOIN affected r ON r.namespace = ?2 AND r.name = "      \
    "p." name " AND r.kind = " kind " AND r.fixed_key > p." key                                              \
    " WHERE ip.image = ?1 AND p.kind = ?3 AND " FITS("r", key) " LIMIT ?4"

/* A bounded negative statement does not hold for an invalid version: its fixed_key is not ff. */
#define NEGATIVES(kind, name, key)                                                                           \
    "SELECT ip.position, n.id FROM image_package ip CROSS JOIN package p ON p.id = ip.package CROSS JOIN "   \
    "negative n"                                                                                             \
    " ON n.namespace = ?2 AND n.name = p." name " AND n.kind = " kind " AND n.fixed_key > p." key            \
    " AND (p." key " <> x'' OR (n.fixed_key = x'ff' AND n.introduced_key = x'')) CROSS JOIN advisory m ON "  \
    "m.id = n.advisory"                                                                                      \
    " WHERE ip.image = ?1 AND p.kind = ?3 AND " FITS("n", key) " AND " VISIBLE("m", "?4")

#define IMAGE                                                                                                \
    "SELECT digest, id, namespace, distribution_id, distribution_version, distribution_name, unreadable,"    \
    " notes FROM image"

/* A layer and all its descendants. */
#define NAMED_TREE                                                                                           \
    "WITH RECURSIVE tree(id) AS (SELECT id FROM named_layer WHERE name = ?1 UNION ALL"                       \
    " SELECT n.id FROM tree t CROSS JOIN named_layer n ON n.parent = t.id)"

const char *const sqlite_queries[QUERIES] = {
    [Q_GENERATION] = "SELECT generation FROM state",
    [Q_PING] = "SELECT generation FROM state",
    [Q_VALUE_GET] = "SELECT value FROM keyvalue WHERE key = ?1",
    [Q_VALUE_SET] =
        "INSERT INTO keyvalue VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
        " WHERE value <> excluded.value",

    [Q_FEEDS] = "SELECT name, ranges, last_try, last_success, error, generation FROM feed"
                " WHERE last_try > 0 OR generation > 0 ORDER BY name",
    [Q_COUNT] = "SELECT (SELECT count(*) FROM layer), (SELECT count(*) FROM image),"
                " (SELECT count(*) FROM package), (SELECT total(advisories) FROM feed),"
                " (SELECT total(ranges) FROM feed),"
                " (SELECT count(*) FROM change WHERE generation <= s.generation), s.generation FROM state s",
    [Q_DOCUMENT_VALIDATOR] =
        "SELECT validator FROM document WHERE feed = (SELECT id FROM feed WHERE name = ?1)"
        " AND name = ?2 AND validator IS NOT NULL",
    [Q_FEED_SUCCEEDED] =
        "INSERT INTO feed(name, last_try, last_success) VALUES (?1, ?2, ?2) ON CONFLICT(name)"
        " DO UPDATE SET last_try = ?2, last_success = ?2, error = x''",
    [Q_FEED_FAILED] = "INSERT INTO feed(name, last_try, error) VALUES (?1, ?2, ?3) ON CONFLICT(name)"
                      " DO UPDATE SET last_try = ?2, error = ?3",

    [Q_PACKAGE_FIND] = "SELECT id FROM package WHERE name = ?1 AND version = ?2 AND arch = ?3 AND kind = ?4"
                       " AND source = ?5 AND source_version = ?6 AND module = ?7",
    [Q_PACKAGE_ADD] = "INSERT INTO package(name, version, arch, kind, source, source_version, module,"
                      " version_key, source_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
    [Q_PACKAGES_GET] = "SELECT name, version, arch, kind, source, source_version, module FROM json_each(?1) j"
                       " CROSS JOIN package p ON p.id = j.value ORDER BY j.key",
    [Q_SET_FIND] = "SELECT id FROM package_set WHERE hash = ?1",
    [Q_SET_ADD] = "INSERT INTO package_set(hash, members) VALUES (?1, ?2) RETURNING id",
    [Q_SET_GET] = "SELECT members FROM package_set WHERE id = ?1",
    [Q_LAYER_FIND] = "SELECT id, size, diff_id, entries FROM layer WHERE digest = ?1 AND indexer = ?2",
    [Q_LAYER_DIFF_ID] = "UPDATE layer SET diff_id = ?2 WHERE id = ?1 AND diff_id = x''",
    [Q_LAYER_ADD] = "INSERT INTO layer(digest, indexer, size, diff_id, entries) VALUES (?1, ?2, ?3, ?4, ?5)"
                    " RETURNING id",
    [Q_POSTING_ADD] = "INSERT INTO posting VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [Q_IMAGE_FIND] = IMAGE " WHERE digest = ?1 AND indexer = ?2",
    [Q_IMAGE_BY_ID] = IMAGE " WHERE id = ?1",
    [Q_IMAGE_PUT] = "INSERT INTO image(digest, indexer, namespace, distribution_id, distribution_version,"
                    " distribution_name, unreadable, notes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                    " ON CONFLICT(digest, indexer) DO UPDATE SET namespace = ?3, distribution_id = ?4,"
                    " distribution_version = ?5, distribution_name = ?6, unreadable = ?7, notes = ?8"
                    " RETURNING id",
    [Q_IMAGE_LAYERS_CLEAR] = "DELETE FROM image_layer WHERE image = ?1",
    [Q_IMAGE_PACKAGES_CLEAR] = "DELETE FROM image_package WHERE image = ?1",
    [Q_IMAGE_LAYER_ADD] = "INSERT INTO image_layer VALUES (?1, ?2, ?3)",
    [Q_IMAGE_PACKAGE_ADD] = "INSERT INTO image_package VALUES (?1, ?2, ?3, ?4)",
    [Q_IMAGE_LAYERS] = "SELECT l.digest, l.size FROM image_layer i CROSS JOIN layer l ON l.id = i.layer"
                       " WHERE i.image = ?1 ORDER BY i.position",
    [Q_IMAGE_PACKAGES] =
        "SELECT p.name, p.version, p.arch, p.kind, p.source, p.source_version, p.module, i.layer"
        " FROM image_package i CROSS JOIN package p ON p.id = i.package WHERE i.image = ?1"
        " ORDER BY i.position",

    /* n.* is NULL when no feed has named the namespace */
    [Q_IMAGE_NAMESPACE] = "SELECT i.namespace, n.id, n.scheme, n.kinds, (SELECT generation FROM state) FROM "
                          "image i LEFT JOIN namespace n"
                          " ON n.name = i.namespace WHERE i.id = ?1",
    [Q_MATCH_FEEDS] =
        "SELECT f.id, f.name, f.last_success FROM feed_namespace c CROSS JOIN feed f ON f.id = c.feed"
        " WHERE c.namespace = ?1 AND c.ranges > 0 ORDER BY f.name",
    [Q_MATCH_SOURCE] = MATCH("1", "source", "source_key"),
    [Q_MATCH_BINARY] = MATCH("2", "name", "version_key"),
    [Q_ADVISORIES] = "SELECT a.id, a.feed, a.name, a.key, a.title, a.link, a.description FROM json_each(?1) "
                     "j CROSS JOIN advisory a ON a.id BETWEEN j.value >> 6 AND (j.value >> 6) + (j.value & "
                     "63) WHERE " VISIBLE("a", "?2"),
    [Q_NEGATIVES_SOURCE] = NEGATIVES("1", "source", "source_key"),
    [Q_NEGATIVES_BINARY] = NEGATIVES("2", "name", "version_key"),

    [Q_NAMED_FIND] =
        "SELECT n.id, coalesce(p.name, x''), l.digest, n.chain, n.namespace, n.engine, l.indexer"
        " FROM named_layer n JOIN layer l ON l.id = n.layer LEFT JOIN named_layer p ON p.id = n.parent"
        " WHERE n.name = ?1",
    [Q_NAMED_VIEWS] = "SELECT image FROM named_view WHERE named = ?1 ORDER BY part",
    [Q_NAMED_ID] = "SELECT n.id, n.engine, l.indexer, coalesce(n.parent, 0) FROM named_layer n JOIN layer l "
                   "ON l.id = n.layer"
                   " WHERE n.name = ?1",
    [Q_NAMED_PARENT] = "SELECT n.id, n.chain FROM named_layer n WHERE n.name = ?1",
    [Q_NAMED_DEPTH] =
        "WITH RECURSIVE chain(parent) AS (SELECT parent FROM named_layer WHERE id = ?1 UNION ALL"
        " SELECT n.parent FROM chain c CROSS JOIN named_layer n ON n.id = c.parent LIMIT ?2)"
        " SELECT count(*) FROM chain",
    [Q_NAMED_ADD] = "INSERT INTO named_layer(name, parent, layer, chain, namespace, engine)"
                    " VALUES (?1, nullif(?2, 0), ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING RETURNING id",
    [Q_NAMED_REPLACE] =
        "UPDATE named_layer SET layer = ?2, chain = ?3, namespace = ?4, engine = ?5 WHERE id = ?1",
    [Q_NAMED_VIEWS_CLEAR] = "DELETE FROM named_view WHERE named = ?1",
    [Q_NAMED_VIEW_ADD] = "INSERT INTO named_view SELECT ?1, ?2, id FROM image WHERE id = ?3",
    [Q_NAMED_DELETE_VIEWS] = NAMED_TREE " DELETE FROM named_view WHERE named IN tree",
    [Q_NAMED_DELETE] = NAMED_TREE " DELETE FROM named_layer WHERE id IN tree",
    [Q_NAMED_CHAIN] =
        "WITH RECURSIVE chain(name, layer, parent) AS (SELECT name, layer, parent FROM named_layer"
        " WHERE name = ?1 UNION ALL SELECT n.name, n.layer, n.parent FROM chain c CROSS JOIN named_layer n"
        " ON n.id = c.parent LIMIT ?2) SELECT c.name, l.digest, l.indexer FROM chain c CROSS JOIN layer l"
        " ON l.id = c.layer",

    [Q_LEASE_GET] = "SELECT owner, expires - ?2, seconds FROM lease WHERE name = ?1",
    [Q_LEASE_PUT] =
        "INSERT INTO lease VALUES (?1, ?2, ?3 + ?4, ?4) ON CONFLICT(name)"
        " DO UPDATE SET owner = ?2, expires = ?3 + ?4, seconds = ?4 WHERE owner = ?2 OR owner = ?5",
    [Q_LEASE_RENEW] = "UPDATE lease SET expires = ?3 + ?4, seconds = ?4 WHERE name = ?1 AND owner = ?2",
    [Q_LEASE_DROP] = "DELETE FROM lease WHERE name = ?1 AND owner = ?2",
    [Q_FEED_ADD] = "INSERT INTO feed(name) VALUES (?1) ON CONFLICT(name) DO NOTHING",
    [Q_FEED_GET] = "SELECT id, generation FROM feed WHERE name = ?1",
    [Q_PENDING_GET] = "SELECT generation, first_advisory FROM pending",
    [Q_PENDING_ADD] = "INSERT INTO pending VALUES (?1, ?2)",
    [Q_PENDING_DROP] = "DELETE FROM pending",

    [Q_ADVISORY_LAST] = "SELECT coalesce(max(id), 0) FROM advisory",
    [Q_ADVISORY_FIND] =
        "SELECT id, document, hash FROM advisory WHERE feed = ?1 AND key = ?2 AND gen_to IS NULL",
    [Q_ADVISORY_ADD] = "INSERT INTO advisory VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [Q_ADVISORY_END] = "UPDATE advisory SET gen_to = ?2 WHERE id = ?1",
    [Q_ADVISORY_RANGES] = "SELECT ranges FROM advisory WHERE id = ?1",
    [Q_ADVISORY_WALK] =
        "SELECT id, document, key FROM advisory WHERE feed = ?1 AND gen_to IS NULL AND key > ?2"
        " ORDER BY key LIMIT 2000",
    [Q_AFFECTED_ADD] =
        "INSERT INTO affected VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [Q_NEGATIVE_ADD] = "INSERT INTO negative VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [Q_CHANGE_ADD] = "INSERT INTO change VALUES (?1, ?2, ?3, nullif(?4, 0), nullif(?5, 0))",
    [Q_NAMESPACE_FIND] = "SELECT id, scheme, kinds FROM namespace WHERE name = ?1",
    [Q_NAMESPACE_ADD] = "INSERT INTO namespace(name, scheme, kinds) VALUES (?1, ?2, 0) RETURNING id",
    [Q_NAMESPACE_COUNT] = "INSERT INTO feed_namespace VALUES (?1, ?2, ?3) ON CONFLICT(namespace, feed)"
                          " DO UPDATE SET ranges = ranges + ?3",
    [Q_NAMESPACE_KINDS] = "UPDATE namespace SET kinds = ?2 WHERE id = ?1",
    [Q_DOCUMENT_FIND] = "SELECT id, validator, advisories FROM document WHERE feed = ?1 AND name = ?2",
    [Q_DOCUMENT_ADD] = "INSERT INTO document(feed, name) VALUES (?1, ?2) RETURNING id",
    [Q_DOCUMENT_SET] = "UPDATE document SET validator = ?2, advisories = ?3 WHERE id = ?1",
    [Q_DOCUMENT_DROP] = "DELETE FROM document WHERE id = ?1",
    [Q_GENERATION_SET] = "UPDATE state SET generation = ?1",
    [Q_GENERATION_LOG] = "INSERT INTO generation VALUES (?1, ?2, ?3)",
    [Q_FEED_CHANGED] = "UPDATE feed SET generation = ?2, last_try = ?3, last_success = ?3, error = x'',"
                       " advisories = advisories + ?4, ranges = ranges + ?5 WHERE id = ?1",

    /* ?1 first staged advisory or pending generation; steps, so that no transaction is long */
    [Q_SWEEP_STAGED] = "SELECT id, name, ranges FROM advisory WHERE id >= ?1 ORDER BY id LIMIT 1000",
    [Q_SWEEP_AFFECTED] = "DELETE FROM affected WHERE namespace = ?1 AND name = ?2 AND kind = ?3"
                         " AND fixed_key = ?4 AND advisory = ?5 AND part = ?6",
    [Q_SWEEP_NEGATIVE] = "DELETE FROM negative WHERE namespace = ?1 AND name = ?2 AND kind = ?3"
                         " AND id = ?4 AND advisory = ?5 AND part = ?6",
    [Q_SWEEP_ADVISORY] = "DELETE FROM advisory WHERE id = ?1",
    [Q_SWEEP_ENDED] = "UPDATE advisory SET gen_to = NULL WHERE id IN"
                      " (SELECT id FROM advisory WHERE gen_to = ?1 LIMIT 1000)",
    [Q_SWEEP_CHANGES] = "DELETE FROM change WHERE generation = ?1 AND number IN"
                        " (SELECT number FROM change WHERE generation = ?1 LIMIT 4000)",
    [Q_SWEEP_DOCUMENTS] = "DELETE FROM document WHERE validator IS NULL",
};
