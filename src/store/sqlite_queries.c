/* The statements. */
#include "store/sqlite.h"

/* What a row says by itself, in front of its record. */
#define AFFECTED_HEAD(row) row ".advisory, " row ".fixed_key"
#define ADVISORY_HEAD(row) row ".id, " row ".feed, " row ".name, " row ".key"
#define OF_AFFECTED                                                                                          \
    {                                                                                                        \
        8, 2                                                                                                 \
    }
#define OF_ADVISORY                                                                                          \
    {                                                                                                        \
        4, 4                                                                                                 \
    }

const struct sqlite_record sqlite_records[QUERIES] = {
    [Q_MATCH_SOURCE] = OF_AFFECTED,     [Q_MATCH_BINARY] = OF_AFFECTED,   [Q_ADVISORIES] = OF_ADVISORY,
    [Q_METADATA] = OF_ADVISORY,         [Q_ADVISORY_GET] = OF_ADVISORY,   [Q_ADVISORIES_THESE] = OF_ADVISORY,
    [Q_ADVISORIES_AFTER] = OF_ADVISORY, [Q_AFFECTED_THESE] = OF_AFFECTED, [Q_SAID_OF] = OF_ADVISORY,
    [Q_MANUAL_OF] = OF_ADVISORY,
};

#define VISIBLE(row, g) row ".gen_from <= " g " AND (" row ".gen_to IS NULL OR " row ".gen_to > " g ")"

/* ?1 pairs of name and version key, ?2 namespace, ?3 the most rows. CROSS JOIN is SQLite's way to fix the order of the loops: a
 * pair, then the range "fixed_key > its key" of one (namespace, name, kind). */
#define MATCH(kind)                                                                                          \
    "SELECT p.rowid, " AFFECTED_HEAD(                                                                        \
        "r") ", r.record FROM list(?1) p CROSS JOIN affected r ON r.namespace = ?2 AND r.name = p.name"      \
             " AND r.kind = " kind " AND r.fixed_key > p.key LIMIT ?3"

/* A bounded negative statement does not hold for an invalid version: its fixed_key is not ff. */
#define NEGATIVES(kind)                                                                                      \
    "SELECT p.rowid, n.id, n.introduced_key, n.arch, n.module, m.feed FROM list(?1) p CROSS JOIN negative n" \
    " ON n.namespace = ?2 AND n.name = p.name AND n.kind = " kind " AND n.fixed_key > p.key"                 \
    " AND (p.key <> x'' OR (n.fixed_key = x'ff' AND n.introduced_key = x'')) CROSS JOIN advisory m ON "      \
    "m.id = n.advisory WHERE " VISIBLE("m", "?3")

#define IMAGE                                                                                                \
    "SELECT i.id, i.digest, d.namespace, d.name_id, d.version, d.name, i.unreadable, i.packages, i.origins," \
    " i.details FROM image i CROSS JOIN distribution d ON d.id = i.distribution"

#define NAMED                                                                                                \
    "SELECT n.id, n.name, coalesce(p.name, x''), coalesce(p.chain, x''), l.digest, n.chain, n.namespace,"    \
    " n.engine, l.indexer FROM named_layer n CROSS JOIN layer l ON l.id = n.layer LEFT JOIN named_layer p "  \
    "ON"                                                                                                     \
    " p.id = n.parent"

/* A layer and all its descendants. */
#define NAMED_TREE                                                                                           \
    "WITH RECURSIVE tree(id) AS (SELECT id FROM named_layer WHERE name = ?1 UNION ALL"                       \
    " SELECT n.id FROM tree t CROSS JOIN named_layer n ON n.parent = t.id)"

#define NOTIFICATION                                                                                         \
    "id, name, (SELECT f.name FROM feed f WHERE f.id = notification.feed), before, after, generation, "      \
    "created, notified, deleted, attempts, due, owner, until, error, coalesce((SELECT n.name FROM "          \
    "namespace n WHERE n.id = notification.namespace), x'')"

#define SERVICE_KEY "service, kid, jwk, created, approved, expires, rotation, replaced_by"

#define ANCESTRY "SELECT id, name, image, indexer, hashes FROM ancestry"

const char *const sqlite_queries[QUERIES] = {
    [Q_GENERATION] = "SELECT generation, metadata FROM state",
    [Q_PING] = "SELECT generation FROM state",
    [Q_VALUE_GET] = "SELECT value FROM keyvalue WHERE key = ?1",
    [Q_VALUE_SET] =
        "INSERT INTO keyvalue VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
        " WHERE value <> excluded.value",

    [Q_FEEDS] = "SELECT name, ranges, last_try, last_success, error, generation, rank FROM feed"
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

    [Q_PACKAGE_FIND] = "SELECT id FROM package WHERE hash = ?1",
    [Q_PACKAGE_ADD] =
        "INSERT INTO package(hash, name, version, arch, kind, source, source_version, module,"
        " version_key, source_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id",
    [Q_PACKAGES_GET] =
        "SELECT p.name, p.version, p.arch, p.kind, p.source, p.source_version, p.module FROM list(?1) j"
        " CROSS JOIN package p ON p.id = j.value",
    [Q_SET_FIND] = "SELECT id FROM package_set WHERE hash = ?1",
    [Q_SET_ADD] = "INSERT INTO package_set(hash, members) VALUES (?1, ?2) RETURNING id",
    [Q_SET_QUEUE] = "INSERT INTO posting_queue VALUES (?1)",
    [Q_SET_GET] = "SELECT members FROM package_set WHERE id = ?1",
    [Q_LAYER_FIND] = "SELECT id, size, diff_id, entries FROM layer WHERE digest = ?1 AND indexer = ?2",
    [Q_LAYER_DIFF_ID] = "UPDATE layer SET diff_id = ?2 WHERE id = ?1 AND diff_id = x''",
    [Q_LAYER_ADD] = "INSERT INTO layer(digest, indexer, size, diff_id, entries, used)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
    [Q_LAYER_SET_ADD] = "INSERT INTO layer_set VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [Q_DISTRIBUTION_FIND] =
        "SELECT id FROM distribution WHERE namespace = ?1 AND name_id = ?2 AND version = ?3 AND name = ?4",
    [Q_DISTRIBUTION_ADD] =
        "INSERT INTO distribution(namespace, name_id, version, name) VALUES (?1, ?2, ?3, ?4)"
        " RETURNING id",
    [Q_IMAGE_FIND] = IMAGE " WHERE i.digest = ?1 AND i.indexer = ?2",
    [Q_IMAGE_BY_ID] = IMAGE " WHERE i.id = ?1",
    [Q_IMAGE_PUT] =
        "INSERT INTO image(digest, indexer, distribution, packages, origins, unreadable, details, used)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(digest, indexer) DO UPDATE SET"
        " distribution = ?3, packages = ?4, origins = ?5, unreadable = ?6, details = ?7, used = ?8"
        " RETURNING id",
    [Q_IMAGE_VIEWS] =
        "UPDATE named_view SET packages = ?2, distribution = i.distribution FROM image i WHERE i.id = ?1 AND"
        " image = ?1 AND (named_view.packages <> ?2 OR named_view.distribution <> i.distribution)",
    [Q_IMAGE_ANCESTRIES] =
        "UPDATE ancestry SET packages = ?2, distribution = i.distribution FROM image i WHERE i.id = ?1 AND"
        " image = ?1 AND (ancestry.packages <> ?2 OR ancestry.distribution <> i.distribution)",
    [Q_IMAGE_LAYERS_CLEAR] = "DELETE FROM image_layer WHERE image = ?1",
    [Q_IMAGE_LAYER_ADD] = "INSERT INTO image_layer VALUES (?1, ?2, ?3)",
    [Q_IMAGE_LAYERS] = "SELECT l.digest, l.size FROM image_layer i CROSS JOIN layer l ON l.id = i.layer"
                       " WHERE i.image = ?1 ORDER BY i.position",

    [Q_OLD_LAYER_NEXT] =
        "SELECT id, digest, indexer, size, diff_id, entries FROM old_layer WHERE id > ?1 ORDER BY id LIMIT 1",
    [Q_OLD_LAYER_PUT] = "INSERT INTO layer(id, digest, indexer, size, diff_id, entries, used) VALUES (?1, "
                        "?2, ?3, ?4, ?5, ?6, ?7)",
    [Q_OLD_LAYERS_DROP] = "DROP TABLE old_layer",
    [Q_OLD_IMAGE_NEXT] =
        "SELECT id, digest, indexer, namespace, distribution_id, distribution_version, distribution_name,"
        " unreadable, notes FROM old_image WHERE id > ?1 ORDER BY id LIMIT 1",
    [Q_OLD_IMAGE_PACKAGES] = "SELECT package, layer FROM image_package WHERE image = ?1 ORDER BY position",
    [Q_OLD_IMAGE_NUMBER] = "UPDATE image SET id = ?2 WHERE id = ?1",
    [Q_OLD_IMAGES_DROP] = "DROP TABLE old_image",
    [Q_OLD_HASH_NEXT] = "SELECT id FROM advisory WHERE id > ?1 AND gen_to IS NULL ORDER BY id LIMIT 1",
    [Q_OLD_HASH_SET] = "UPDATE advisory SET hash = ?2 WHERE id = ?1",

    [Q_MATCH_FEEDS] =
        "SELECT f.id, f.name, f.last_success, f.rank FROM feed_namespace c CROSS JOIN feed f ON f.id = c.feed"
        " WHERE c.namespace = ?1 AND c.ranges > 0 ORDER BY f.name",
    [Q_MATCH_SOURCE] = MATCH("1"),
    [Q_MATCH_BINARY] = MATCH("2"),
    [Q_ADVISORIES] = "SELECT " ADVISORY_HEAD(
        "a") ", a.record FROM list(?1) j CROSS JOIN advisory a ON a.id BETWEEN j.value >> 6 AND"
             " (j.value >> 6) + (j.value & 63) WHERE " VISIBLE("a", "?2"),
    [Q_METADATA] = "SELECT j.rowid, f.rank, f.name, " ADVISORY_HEAD(
        "a") ", a.record FROM list(?1) j CROSS JOIN metadata m ON m.name = j.name"
             " CROSS JOIN advisory a ON a.id = m.advisory CROSS JOIN feed f ON f.id = a.feed WHERE " VISIBLE(
                 "a", "?2"),
    [Q_NEGATIVES_SOURCE] = NEGATIVES("1"),
    [Q_NEGATIVES_BINARY] = NEGATIVES("2"),

    [Q_NAMED_FIND] = NAMED " WHERE n.name = ?1",
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
    [Q_NAMED_VIEW_ADD] = "INSERT INTO named_view SELECT ?1, ?2, id, packages, distribution FROM image WHERE"
                         " id = ?3",
    [Q_NAMED_DELETE_VIEWS] = NAMED_TREE " DELETE FROM named_view WHERE named IN tree",
    [Q_NAMED_DELETE] = NAMED_TREE " DELETE FROM named_layer WHERE id IN tree",
    [Q_NAMED_CHAIN] =
        "WITH RECURSIVE chain(name, layer, parent) AS (SELECT name, layer, parent FROM named_layer"
        " WHERE name = ?1 UNION ALL SELECT n.name, n.layer, n.parent FROM chain c CROSS JOIN named_layer n"
        " ON n.id = c.parent LIMIT ?2) SELECT c.name, l.digest, l.indexer FROM chain c CROSS JOIN layer l"
        " ON l.id = c.layer",

    [Q_LAYER_KNOWN] = "SELECT id FROM layer WHERE digest = ?1 AND indexer = ?2",
    [Q_HASH_FIND] = "SELECT l.digest FROM layer_hash h CROSS JOIN layer l ON l.id = h.layer WHERE h.hash = ?1"
                    " AND h.indexer = ?2",
    [Q_HASH_ADD] = "INSERT INTO layer_hash(hash, indexer, layer) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    [Q_HASHES_AFTER] =
        "SELECT h.id, h.hash, l.digest, h.indexer FROM layer_hash h CROSS JOIN layer l ON l.id = h.layer"
        " WHERE h.id > ?1 ORDER BY h.id LIMIT ?2",
    [Q_ANCESTRY_FIND] = ANCESTRY " WHERE name = ?1",
    [Q_ANCESTRY_DROP] = "DELETE FROM ancestry WHERE name = ?1",
    [Q_ANCESTRY_PUT] = "INSERT INTO ancestry(name, image, packages, distribution, indexer, hashes) SELECT "
                       "?1, ?2, i.packages,"
                       " i.distribution, ?3, ?4 FROM (SELECT packages, distribution FROM image WHERE id = ?2 "
                       "UNION ALL SELECT 0, 0 WHERE ?2 = 0) i WHERE true",
    [Q_ANCESTRIES_AFTER] = ANCESTRY " WHERE id > ?1 ORDER BY id LIMIT ?2",

    [Q_LEASE_GET] = "SELECT owner, expires - ?2, seconds FROM lease WHERE name = ?1",
    [Q_LEASE_PUT] =
        "INSERT INTO lease VALUES (?1, ?2, ?3 + ?4, ?4) ON CONFLICT(name)"
        " DO UPDATE SET owner = ?2, expires = ?3 + ?4, seconds = ?4 WHERE owner = ?2 OR owner = ?5",
    [Q_LEASE_RENEW] = "UPDATE lease SET expires = ?3 + ?4, seconds = ?4 WHERE name = ?1 AND owner = ?2",
    [Q_LEASE_DROP] = "DELETE FROM lease WHERE name = ?1 AND owner = ?2",
    [Q_FEED_ADD] = "INSERT INTO feed(name, rank) VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET rank = ?2 "
                   "WHERE rank <> ?2",
    [Q_FEED_GET] = "SELECT id, generation, advisories FROM feed WHERE name = ?1",
    [Q_PENDING_GET] = "SELECT generation, first_advisory FROM pending",
    [Q_PENDING_ADD] = "INSERT INTO pending VALUES (?1, ?2)",
    [Q_PENDING_DROP] = "DELETE FROM pending",

    [Q_ADVISORY_LAST] = "SELECT coalesce(max(id), 0) FROM advisory",
    [Q_ADVISORY_FIND] =
        "SELECT id, document, hash FROM advisory WHERE feed = ?1 AND key = ?2 AND gen_to IS NULL",
    [Q_ADVISORY_ADD] = "INSERT INTO advisory(id, feed, document, gen_from, hash, key, name, ranges, record)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [Q_ADVISORY_END] = "UPDATE advisory SET gen_to = ?2 WHERE id = ?1",
    [Q_ADVISORY_RANGES] = "SELECT ranges FROM advisory WHERE id = ?1",
    [Q_ADVISORY_WALK] =
        "SELECT id, document, key FROM advisory WHERE feed = ?1 AND gen_to IS NULL AND key > ?2"
        " ORDER BY key LIMIT 2000",
    [Q_METADATA_ADD] = "INSERT INTO metadata VALUES (?1, ?2)",
    [Q_AFFECTED_ADD] = "INSERT INTO affected VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [Q_NEGATIVE_ADD] = "INSERT INTO negative VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [Q_CHANGE_ADD] = "INSERT INTO change VALUES (?1, ?2, ?3, nullif(?4, 0), nullif(?5, 0), ?6)",
    [Q_NAMESPACE_FIND] = "SELECT id, scheme, kinds FROM namespace WHERE name = ?1",
    [Q_NAMESPACE_ADD] =
        "INSERT INTO namespace(name, scheme, kinds) SELECT ?1, ?2, 0 WHERE NOT EXISTS (SELECT 1 FROM"
        " namespace WHERE name = ?1) RETURNING id",
    [Q_NAMESPACE_SCHEME] = "UPDATE namespace SET scheme = ?2 WHERE id = ?1",
    [Q_NAMESPACES] = "SELECT name, scheme FROM namespace ORDER BY id",
    [Q_SPACE_ADD] =
        "INSERT INTO advisory_space SELECT ?1, value FROM list(?2) WHERE true ON CONFLICT DO NOTHING",
    [Q_SPACE_PAGE] = "SELECT a.id, a.name, a.ranges, a.key FROM advisory_space v CROSS JOIN advisory a ON "
                     "a.id >= v.block << 6"
                     " AND a.id <= (v.block << 6) + 63 WHERE v.namespace = ?1 AND v.block >= ?2 >> 6 AND "
                     "a.id >= ?2 AND " VISIBLE("a", "?3") " ORDER BY v.block, a.id LIMIT ?4",
    [Q_SAID_OF] = "SELECT f.rank, f.name, p.rowid, a.ranges, " ADVISORY_HEAD(
        "a") ", a.record FROM list(?1) p CROSS JOIN advisory a ON"
             " a.name = p.name CROSS JOIN feed f ON f.id = a.feed WHERE " VISIBLE(
                 "a", "?2") " ORDER BY p.rowid, a.id",
    [Q_MANUAL_OF] = "SELECT p.rowid, " ADVISORY_HEAD(
        "a") ", a.record FROM list(?1) p CROSS JOIN advisory a ON a.name = p.name WHERE a.feed = ?3"
             " AND " VISIBLE("a", "?2"),
    [Q_FEED_SIZE] = "SELECT id, advisories FROM feed WHERE name = ?1",
    [Q_OLD_SPACES_NEXT] = "SELECT id, ranges FROM advisory WHERE id > ?1 ORDER BY id LIMIT 2000",
    [Q_NAMESPACE_COUNT] = "INSERT INTO feed_namespace VALUES (?1, ?2, ?3) ON CONFLICT(namespace, feed)"
                          " DO UPDATE SET ranges = ranges + ?3",
    [Q_NAMESPACE_KINDS] = "UPDATE namespace SET kinds = ?2 WHERE id = ?1",
    [Q_DOCUMENT_FIND] = "SELECT id, validator, advisories FROM document WHERE feed = ?1 AND name = ?2",
    [Q_DOCUMENT_ADD] = "INSERT INTO document(feed, name) VALUES (?1, ?2) RETURNING id",
    [Q_DOCUMENT_SET] = "UPDATE document SET validator = ?2, advisories = ?3 WHERE id = ?1",
    [Q_DOCUMENT_DROP] = "DELETE FROM document WHERE id = ?1",
    [Q_GENERATION_SET] = "UPDATE state SET generation = ?1, metadata = max(metadata, ?2)",
    [Q_GENERATION_LOG] = "INSERT INTO generation VALUES (?1, ?2, ?3)",
    [Q_FEED_CHANGED] = "UPDATE feed SET generation = ?2, last_try = ?3, last_success = ?3, error = x'',"
                       " advisories = advisories + ?4, ranges = ranges + ?5 WHERE id = ?1",

    [Q_QUEUE_NEXT] =
        "SELECT q.packages, s.members FROM posting_queue q CROSS JOIN package_set s ON s.id = q.packages"
        " WHERE q.packages > ?1 ORDER BY q.packages LIMIT ?2",
    [Q_QUEUE_COUNT] = "SELECT count(*) FROM (SELECT 1 FROM posting_queue LIMIT ?1) q",
    [Q_QUEUE_FIRST] = "SELECT packages FROM posting_queue WHERE packages > ?1 ORDER BY packages LIMIT 1",
    [Q_QUEUE_DROP] = "DELETE FROM posting_queue WHERE packages IN (SELECT value FROM list(?1))",
    [Q_SEGMENTS] = "SELECT id, level, first, last, sets, dead, state FROM posting_segment ORDER BY first, id",
    [Q_SEGMENT_ADD] =
        "INSERT INTO posting_segment(level, first, last, sets, dead, state) VALUES (?1, ?2, ?3, ?4, 0, ?5)"
        " RETURNING id",
    [Q_SEGMENT_STATE] = "UPDATE posting_segment SET state = ?2 WHERE id = ?1",
    [Q_SEGMENT_DROP] = "DELETE FROM posting_segment WHERE id = ?1",
    [Q_BLOCK_ADD] = "INSERT INTO posting_block VALUES (?1, ?2, ?3, ?4)",
    [Q_BLOCKS_NEXT] =
        "SELECT package, first, body FROM posting_block WHERE segment = ?1 AND (package, first) > (?2, ?3)"
        " ORDER BY package, first LIMIT ?4",
    /* Where a list may begin: the last block of a smaller package, the last one of its own that begins at or before set ?3, and those
     * behind it. The first two give rows in vain now and then. */
    [Q_BLOCKS_BEFORE] =
        "SELECT j.rowid, b.package, b.first, b.body FROM list(?2) j CROSS JOIN posting_block b"
        " ON b.segment = ?1 AND b.package = (SELECT max(package) FROM posting_block WHERE segment = ?1"
        " AND package < j.value) AND b.first = (SELECT max(first) FROM posting_block WHERE segment = ?1"
        " AND package = b.package) WHERE ?3 + ?4 IS NOT NULL",
    [Q_BLOCKS_AT] =
        "SELECT j.rowid, b.package, b.first, b.body FROM list(?2) j CROSS JOIN posting_block b"
        " ON b.segment = ?1 AND b.package = j.value AND b.first = (SELECT max(first) FROM posting_block WHERE"
        " segment = ?1 AND package = j.value AND first <= ?3) WHERE ?4 IS NOT NULL",
    [Q_BLOCKS_AFTER] =
        "SELECT j.rowid, b.package, b.first, b.body FROM list(?2) j CROSS JOIN posting_block b"
        " ON b.segment = ?1 AND b.package = j.value AND b.first IN (SELECT first FROM posting_block WHERE"
        " segment = ?1 AND package = j.value AND first > ?3 ORDER BY first LIMIT ?4)",
    [Q_BLOCKS_DROP] =
        "DELETE FROM posting_block WHERE segment = ?1 AND (package, first) IN (SELECT package, first"
        " FROM posting_block WHERE segment = ?1 ORDER BY package, first LIMIT 2000)",
    [Q_SETS_ALIVE] = "SELECT id FROM package_set WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",

    /* the second part: what an update that is not committed has replaced */
    [Q_ADVISORY_VISIBLE] =
        "SELECT a.id FROM feed f CROSS JOIN advisory a ON a.feed = f.id AND a.key = ?2 WHERE f.name = ?1 AND "
        "a.gen_to IS NULL"
        " AND a.gen_from <= (SELECT generation FROM state) UNION ALL SELECT a.id FROM feed f CROSS JOIN "
        "advisory a ON"
        " a.gen_to = (SELECT generation + 1 FROM state) AND a.feed = f.id AND a.key = ?2 WHERE f.name = ?1",
    [Q_ADVISORY_SIZES] =
        "SELECT j.rowid, length(a.ranges) + length(a.record) FROM list(?1) j CROSS JOIN advisory a"
        " ON a.id = j.value",
    [Q_ADVISORIES_THESE] = "SELECT a.document, a.ranges, " ADVISORY_HEAD(
        "a") ", a.record FROM list(?1) j CROSS JOIN advisory a ON a.id = j.value",
    [Q_ADVISORY_GET] =
        "SELECT a.document, a.ranges, " ADVISORY_HEAD("a") ", a.record FROM advisory a WHERE a.id = ?1",
    [Q_ADVISORY_PLACE] =
        "SELECT f.name, coalesce(d.name, x''), f.rank FROM advisory a CROSS JOIN feed f ON f.id = a.feed"
        " LEFT JOIN document d ON d.id = a.document WHERE a.id = ?1",
    [Q_NAMESPACE_BY_ID] = "SELECT name, scheme FROM namespace WHERE id = ?1",
    [Q_NEGATIVES_OF] =
        "SELECT n.introduced_key, n.fixed_key, n.arch, n.module FROM negative n CROSS JOIN advisory m ON"
        " m.id = n.advisory CROSS JOIN feed f ON f.id = m.feed WHERE n.namespace = ?1 AND n.name = ?2"
        " AND n.kind = ?3 AND n.id = ?4 AND f.rank <= ?5 AND m.gen_from <= (SELECT generation FROM state)"
        " AND (m.gen_to IS NULL OR m.gen_to > (SELECT generation FROM state))",
    [Q_PACKAGES_OF_SOURCE] = "SELECT id, source_key, arch, module, version, name, source, source_version "
                             "FROM package WHERE source = ?1 AND"
                             " source_key < ?2"
                             " AND kind = ?3",
    [Q_PACKAGES_OF_NAME] = "SELECT id, version_key, arch, module, version, name, source, source_version FROM "
                           "package WHERE name = ?1 AND"
                           " version_key < ?2"
                           " AND kind = ?3",
    [Q_SPACE_USED] = "SELECT 1 FROM distribution WHERE namespace = ?1",
    [Q_NAMED_WITH] =
        "SELECT v.named, v.image, j.value FROM list(?1) j CROSS JOIN (SELECT id FROM distribution WHERE"
        " namespace = ?2) d CROSS JOIN image i ON i.packages = j.value AND i.distribution = d.id CROSS JOIN"
        " named_view v ON v.image = i.id WHERE v.named >= ?3 ORDER BY v.named, v.image LIMIT ?4",
    [Q_ANCESTRIES_WITH] =
        "SELECT a.id, a.image, j.value FROM list(?1) j CROSS JOIN (SELECT id FROM distribution WHERE "
        "namespace = ?2) d"
        " CROSS JOIN image i ON i.packages = j.value AND i.distribution = d.id CROSS JOIN ancestry a ON"
        " a.image = i.id WHERE a.id >= ?3 ORDER BY a.id LIMIT ?4",
    [Q_SPACE_DISTRIBUTIONS] = "SELECT id FROM distribution WHERE namespace = ?1 ORDER BY id",
    [Q_NAMED_WALK] =
        "SELECT named, part, image, packages, distribution FROM named_view WHERE (named, part) > (?1, ?2)"
        " ORDER BY named, part LIMIT ?3",
    [Q_ANCESTRY_WALK] =
        "SELECT id, 0, image, packages, distribution FROM ancestry WHERE id > ?1 AND ?2 IS NOT NULL"
        " ORDER BY id LIMIT ?3",
    [Q_NAMED_LAST] = "SELECT coalesce(max(id), 0) FROM named_layer",
    [Q_ANCESTRY_LAST] = "SELECT coalesce(max(id), 0) FROM ancestry",
    [Q_PARENT_SETS] = "SELECT j.rowid, v.packages FROM list(?1) j CROSS JOIN named_layer n ON n.id = j.value "
                      "CROSS JOIN named_view v ON"
                      " v.named = n.parent",
    [Q_SETS_GET] = "SELECT j.rowid, s.members FROM list(?1) j CROSS JOIN package_set s ON s.id = j.value",
    [Q_NAMED_NAMES] = "SELECT j.rowid, n.name FROM list(?1) j CROSS JOIN named_layer n ON n.id = j.value",
    [Q_ANCESTRY_NAMES] = "SELECT j.rowid, a.name FROM list(?1) j CROSS JOIN ancestry a ON a.id = j.value",
    [Q_IMAGES_WITH] =
        "SELECT i.packages, i.distribution, i.id, i.digest, i.indexer FROM list(?1) j CROSS JOIN (SELECT id "
        "FROM"
        " distribution WHERE namespace = ?2 ORDER BY id) d CROSS JOIN image i ON i.packages = j.value AND"
        " i.distribution = d.id AND (i.packages > ?3 OR i.distribution > ?4 OR (i.distribution = ?4 AND"
        " i.id > ?5)) LIMIT ?6",

    /* a lease beyond a day is one of a clock that was set back */
    [Q_NOTIFY_WAITING] = "SELECT s.generation >= p.generation FROM notification_place p CROSS JOIN state s",
    [Q_NOTIFY_PLACE] = "SELECT generation, number, ?1 FROM notification_place",
    [Q_NOTIFY_PLACE_SET] = "UPDATE notification_place SET generation = ?1, number = ?2",
    [Q_NOTIFY_SKIP] =
        "UPDATE notification_place SET generation = (SELECT generation + 1 FROM state), number = 0"
        " WHERE generation <= (SELECT generation FROM state)",
    [Q_NOTIFY_CHANGES] =
        "SELECT generation, number, feed, coalesce(before, 0), coalesce(after, 0), coalesce(namespace, 0) "
        "FROM change WHERE"
        " (generation, number) >= (?1, ?2) AND generation <= ?3 ORDER BY generation, number LIMIT ?4",
    [Q_NOTIFY_ADD] =
        "INSERT INTO notification(name, feed, before, after, generation, created, due, namespace)"
        " VALUES (CAST(?1 AS TEXT), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [Q_NOTIFY_TAKE] = "UPDATE notification SET owner = ?1, until = ?3 + ?2 WHERE id = (SELECT id FROM "
                      "notification WHERE due > 0 AND due <= ?3 AND (until < ?3 OR until > ?3 + 86400)"
                      " ORDER BY due, id LIMIT 1) RETURNING " NOTIFICATION,
    [Q_NOTIFY_RENEW] = "UPDATE notification SET until = ?4 + ?3 WHERE name = ?1 AND owner = ?2 AND until > 0"
                       " AND deleted = 0",
    [Q_NOTIFY_SENT] =
        "UPDATE notification SET notified = ?4, attempts = 0, error = x'', until = 0, due = CASE WHEN"
        " deleted = 0 AND ?3 > 0 THEN ?4 + ?3 ELSE 0 END WHERE name = ?1 AND owner = ?2",
    [Q_NOTIFY_FAILED] =
        "UPDATE notification SET attempts = attempts + 1, error = ?4, until = 0, due = CASE WHEN deleted = 0"
        " THEN ?5 + ?3 ELSE 0 END WHERE name = ?1 AND owner = ?2 AND until > 0",
    [Q_NOTIFY_DELETE] = "UPDATE notification SET deleted = ?2, due = 0 WHERE name = ?1 AND deleted = 0",
    [Q_NOTIFY_RETRY] = "UPDATE notification SET due = ?2, until = 0 WHERE name = ?1 AND deleted = 0 AND"
                       " (until < ?2 OR until > ?2 + 86400)",
    [Q_NOTIFY_FIND] = "SELECT " NOTIFICATION " FROM notification WHERE name = ?1",
    [Q_NOTIFY_LIST] = "SELECT " NOTIFICATION " FROM notification WHERE id > ?1 ORDER BY id LIMIT ?2",
    [Q_NOTIFY_COUNTS] = "SELECT count(*), coalesce(min(created), 0), count(nullif(attempts, 0)) FROM "
                        "notification WHERE due > 0 AND notified = 0",
    [Q_NOTIFY_KEPT] = "SELECT min(p.generation, coalesce((SELECT min(generation) FROM notification WHERE "
                      "deleted = 0), p.generation)) - 1 FROM notification_place p",
    [Q_NOTIFY_TIDY] =
        "DELETE FROM notification WHERE id IN (SELECT id FROM (SELECT id FROM notification WHERE created < ?1"
        " ORDER BY created LIMIT 1000) a UNION ALL SELECT id FROM (SELECT id FROM notification WHERE"
        " deleted > 0 AND deleted < ?2 ORDER BY deleted LIMIT 1000) b)",

    [Q_KEY_PUT] =
        "INSERT INTO service_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (service, kid) DO UPDATE"
        " SET jwk = ?3, created = ?4, approved = ?5, expires = ?6, rotation = ?7, replaced_by = ?8",
    [Q_KEY_ADD] =
        "INSERT INTO service_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (service, kid) DO "
        "NOTHING",
    [Q_KEY_FIND] = "SELECT " SERVICE_KEY " FROM service_key WHERE service = ?1 AND kid = ?2",
    [Q_KEY_LIST] = "SELECT " SERVICE_KEY " FROM service_key WHERE service = ?1 OR ?1 = x'' ORDER BY"
                   " service, created, kid",
    [Q_KEY_DELETE] = "DELETE FROM service_key WHERE service = ?1 AND kid = ?2",
    [Q_KEY_END] = "UPDATE service_key SET expires = ?3, replaced_by = ?4 WHERE service = ?1 AND kid = ?2 AND"
                  " approved > 0 AND (expires = 0 OR expires > ?3)",
    [Q_KEY_COUNTS] =
        "SELECT count(*), count(CASE WHEN approved = 0 THEN 1 END), count(CASE WHEN service = ?1"
        " THEN 1 END), count(CASE WHEN service = ?1 AND approved = 0 THEN 1 END) FROM service_key",
    [Q_KEY_TIDY] = "DELETE FROM service_key WHERE (expires > 0 AND expires < ?1) OR (approved = 0 AND created"
                   " < ?1)",
    [Q_NONCE_TAKE] = "INSERT INTO nonce VALUES (?1, ?2, ?3) ON CONFLICT(hash) DO UPDATE SET taker = "
                     "excluded.taker WHERE nonce.taker = ?3",
    [Q_NONCE_TIDY] =
        "DELETE FROM nonce WHERE hash IN (SELECT hash FROM nonce WHERE until < ?1 ORDER BY until LIMIT 2000)",

    [Q_SET_STORED] = "SELECT 1 FROM package_set WHERE id = ?1",
    [Q_BLOCKS_RANGE] =
        "SELECT package, first, body FROM posting_block WHERE segment = ?1 AND package < ?3 AND package >="
        " coalesce((SELECT max(package) FROM posting_block WHERE segment = ?1 AND package < ?2), ?2)"
        " ORDER BY package, first",
    [Q_IMAGE_USED] = "SELECT used FROM image WHERE id = ?1",
    [Q_IMAGE_KEEP] = "UPDATE image SET used = ?2 WHERE id = ?1",
    [Q_LAYER_KEEP] = "UPDATE layer SET used = ?2 WHERE id = ?1 AND used < ?2 - 600",

    /* what nobody needs any more, in windows of numbers: ?1 to ?2 */
    [Q_TIDY_IMAGES] = "SELECT i.id FROM image i WHERE i.id > ?1 AND i.id <= ?2 AND i.used < CASE WHEN "
                      "substr(i.digest, 1, 6) ="
                      " x'636861696e3a' THEN ?3 ELSE ?4 END AND NOT EXISTS (SELECT 1 FROM named_view v WHERE "
                      "v.image = i.id)"
                      " AND NOT EXISTS (SELECT 1 FROM ancestry a WHERE a.image = i.id)",
    [Q_TIDY_IMAGE_LAYERS] = "DELETE FROM image_layer WHERE image = ?1",
    [Q_TIDY_IMAGE] = "DELETE FROM image WHERE id = ?1",
    [Q_TIDY_LAYERS] =
        "SELECT l.id FROM layer l WHERE l.id > ?1 AND l.id <= ?2 AND l.used < ?3 AND ?4 IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM image_layer i WHERE i.layer = l.id)"
        " AND NOT EXISTS (SELECT 1 FROM named_layer n WHERE n.layer = l.id)",
    [Q_TIDY_LAYER_SETS] = "DELETE FROM layer_set WHERE layer = ?1",
    [Q_TIDY_LAYER_HASHES] = "DELETE FROM layer_hash WHERE layer = ?1",
    [Q_TIDY_LAYER] = "DELETE FROM layer WHERE id = ?1",
    [Q_TIDY_SETS] = "SELECT s.id FROM package_set s WHERE s.id > ?1 AND s.id <= ?2 AND ?3 + ?4 IS NOT NULL"
                    " AND NOT EXISTS (SELECT 1 FROM layer_set l WHERE l.packages = s.id)"
                    " AND NOT EXISTS (SELECT 1 FROM image i WHERE i.packages = s.id)",
    [Q_TIDY_SET_QUEUED] = "DELETE FROM posting_queue WHERE packages = ?1",
    [Q_TIDY_SET] = "DELETE FROM package_set WHERE id = ?1",
    [Q_TIDY_SEGMENTS] = "UPDATE posting_segment SET dead = dead + 1 WHERE first <= ?1 AND last >= ?1",
    [Q_TIDY_PACKAGES] = "SELECT id FROM package WHERE id > ?1 AND id <= ?2 AND ?3 + ?4 IS NOT NULL",
    [Q_TIDY_PACKAGE] = "DELETE FROM package WHERE id = ?1",
    [Q_LAST_IMAGE] = "SELECT coalesce(max(id), 0) FROM image",
    [Q_LAST_LAYER] = "SELECT coalesce(max(id), 0) FROM layer",
    [Q_LAST_SET] = "SELECT coalesce(max(id), 0) FROM package_set",
    [Q_LAST_PACKAGE] = "SELECT coalesce(max(id), 0) FROM package",

    /* generations in which something ended, the oldest first: how much, and when */
    [Q_ENDED] =
        "SELECT a.gen_to, count(*), max(coalesce(g.time, 0)), (SELECT coalesce(sum(advisories), 0) FROM feed)"
        " FROM advisory a LEFT JOIN generation g ON g.number = a.gen_to WHERE a.gen_to IS NOT NULL"
        " AND a.gen_to <= (SELECT generation FROM state) GROUP BY a.gen_to ORDER BY a.gen_to",
    /* the last number stays, so that it is not given again */
    [Q_ENDED_ADVISORIES] = "SELECT id, name, ranges FROM advisory WHERE gen_to <= ?1 AND id <> (SELECT "
                           "max(id) FROM advisory)"
                           " ORDER BY gen_to LIMIT 300",
    [Q_ENDED_CHANGES] =
        "DELETE FROM change WHERE generation <= ?1 AND (generation, number) IN (SELECT generation, number"
        " FROM change WHERE generation <= ?1 ORDER BY generation, number LIMIT 4000)",
    [Q_ENDED_GENERATIONS] = "DELETE FROM generation WHERE number <= ?1",

    /* ?1 first staged advisory or pending generation; steps, so that no transaction is long */
    [Q_SWEEP_STAGED] = "SELECT id, name, ranges FROM advisory WHERE id >= ?1 ORDER BY id LIMIT 1000",
    [Q_SWEEP_AFFECTED] = "DELETE FROM affected WHERE namespace = ?1 AND name = ?2 AND kind = ?3"
                         " AND fixed_key = ?4 AND advisory = ?5 AND part = ?6",
    [Q_SWEEP_NEGATIVE] = "DELETE FROM negative WHERE namespace = ?1 AND name = ?2 AND kind = ?3"
                         " AND id = ?4 AND advisory = ?5 AND part = ?6",
    [Q_SWEEP_METADATA] = "DELETE FROM metadata WHERE name = ?1 AND advisory = ?2",
    [Q_BLOCK_USED] = "SELECT 1 FROM advisory WHERE id >= ?1 << 6 AND id <= (?1 << 6) + 63 LIMIT 1",
    [Q_SWEEP_SPACES] =
        "DELETE FROM advisory_space WHERE namespace IN (SELECT id FROM namespace) AND block = ?1",
    [Q_SWEEP_SPACES_BEHIND] =
        "DELETE FROM advisory_space WHERE namespace IN (SELECT id FROM namespace) AND block > ?1",
    [Q_SWEEP_ADVISORY] = "DELETE FROM advisory WHERE id = ?1",
    [Q_SWEEP_ENDED] = "UPDATE advisory SET gen_to = NULL WHERE id IN"
                      " (SELECT id FROM advisory WHERE gen_to = ?1 LIMIT 1000)",
    [Q_SWEEP_CHANGES] = "DELETE FROM change WHERE generation = ?1 AND number IN"
                        " (SELECT number FROM change WHERE generation = ?1 LIMIT 4000)",
    [Q_SWEEP_DOCUMENTS] = "DELETE FROM document WHERE validator IS NULL",

    /* see store_check() */
    [Q_CHECK_PACKAGES] = "SELECT id FROM package WHERE id > ?1 ORDER BY id LIMIT ?2",
    [Q_CHECK_SETS] =
        "SELECT id, hash, members FROM package_set WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [Q_CHECK_QUEUE] = "SELECT packages FROM posting_queue WHERE packages > ?1 AND packages <= ?2"
                      " ORDER BY packages LIMIT ?3",
    [Q_CHECK_LAYERS] = "SELECT id, digest, entries FROM layer WHERE id > ?1 ORDER BY id LIMIT ?2",
    [Q_CHECK_LAYER_SETS] = "SELECT packages FROM layer_set WHERE layer = ?1 ORDER BY packages",
    [Q_CHECK_LOST_SETS] =
        "SELECT l.layer, l.packages FROM layer_set l WHERE NOT EXISTS (SELECT 1 FROM layer y"
        " WHERE y.id = l.layer) OR NOT EXISTS (SELECT 1 FROM package_set s WHERE s.id = l.packages) LIMIT ?1",
    [Q_CHECK_IMAGES] =
        "SELECT i.id, i.packages, i.origins, i.details, (CASE WHEN EXISTS (SELECT 1 FROM distribution d "
        "WHERE d.id = i.distribution) THEN 1 ELSE 0 END),"
        " coalesce((SELECT s.members FROM package_set s WHERE s.id = i.packages), x''),"
        " (CASE WHEN EXISTS (SELECT 1 FROM package_set s WHERE s.id = i.packages) THEN 1 ELSE 0 END), "
        "(SELECT count(*) FROM image_layer l WHERE l.image = i.id),"
        " (SELECT count(*) FROM image_layer l JOIN layer y ON y.id = l.layer WHERE l.image = i.id),"
        " (SELECT coalesce(max(l.position) + 1, 0) FROM image_layer l WHERE l.image = i.id)"
        " FROM image i WHERE i.id > ?1 ORDER BY i.id LIMIT ?2",
    [Q_CHECK_LOST_LAYERS] =
        "SELECT l.image, l.layer FROM image_layer l WHERE NOT EXISTS (SELECT 1 FROM image i"
        " WHERE i.id = l.image) LIMIT ?1",
    [Q_CHECK_NAMED] =
        "SELECT n.id, n.name, coalesce(n.parent, 0), (CASE WHEN EXISTS (SELECT 1 FROM "
        "named_layer p WHERE p.id = n.parent) THEN 1 ELSE 0 END),"
        " (CASE WHEN EXISTS (SELECT 1 FROM layer l WHERE l.id = n.layer) THEN 1 ELSE 0 END), "
        "(SELECT count(*) FROM named_view v WHERE v.named = n.id"
        " AND NOT EXISTS (SELECT 1 FROM image i WHERE i.id = v.image AND i.packages = v.packages AND"
        " i.distribution = v.distribution))"
        " FROM named_layer n WHERE n.id > ?1 ORDER BY n.id LIMIT ?2",
    [Q_CHECK_LOST_VIEWS] =
        "SELECT v.named, v.image FROM named_view v WHERE NOT EXISTS (SELECT 1 FROM named_layer n"
        " WHERE n.id = v.named) LIMIT ?1",
    [Q_CHECK_LOST_HASHES] = "SELECT h.id, h.layer FROM layer_hash h WHERE NOT EXISTS (SELECT 1 FROM layer l "
                            "WHERE l.id = h.layer) LIMIT ?1",
    [Q_CHECK_ANCESTRIES] =
        "SELECT a.id, a.name, a.hashes, a.image, (CASE WHEN a.image = 0 OR EXISTS (SELECT 1 FROM image i "
        "WHERE"
        " i.id = a.image AND"
        " i.packages = a.packages AND i.distribution = a.distribution) THEN 1 ELSE 0 END) FROM ancestry a "
        "WHERE a.id > ?1 ORDER BY a.id LIMIT ?2",
    [Q_CHECK_ADVISORIES] =
        "SELECT id, feed, document, gen_from, coalesce(gen_to, 0), name, ranges FROM advisory"
        " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [Q_CHECK_AFFECTED] =
        "SELECT namespace, name, kind, fixed_key, advisory, part FROM affected"
        " WHERE (namespace, name, kind, fixed_key, advisory, part) > (?1, ?2, ?3, ?4, ?5, ?6)"
        " ORDER BY namespace, name, kind, fixed_key, advisory, part LIMIT ?7",
    [Q_CHECK_NEGATIVE] = "SELECT namespace, name, kind, id, advisory, part FROM negative"
                         " WHERE (namespace, name, kind, id, advisory, part) > (?1, ?2, ?3, ?4, ?5, ?6)"
                         " ORDER BY namespace, name, kind, id, advisory, part LIMIT ?7",
    [Q_CHECK_FEEDS] = "SELECT id, name, advisories, ranges FROM feed ORDER BY id",
    [Q_CHECK_DOCUMENTS] =
        "SELECT id, name, advisories, feed FROM document WHERE validator IS NOT NULL ORDER BY id",
    [Q_CHECK_NAMESPACES] = "SELECT c.feed, c.namespace, c.ranges, (CASE WHEN EXISTS (SELECT 1 FROM namespace "
                           "n WHERE n.id = c.namespace) THEN 1 ELSE 0 END) FROM feed_namespace c",
    [Q_CHECK_METADATA] =
        "SELECT m.advisory, m.advisory FROM metadata m WHERE NOT EXISTS (SELECT 1 FROM advisory a"
        " WHERE a.id = m.advisory AND a.name = m.name) LIMIT ?1",
    [Q_CHECK_LOST_SPACES] =
        "SELECT s.block, s.namespace FROM advisory_space s WHERE NOT EXISTS (SELECT 1 FROM advisory a WHERE"
        " a.id >= s.block << 6 AND a.id <= (s.block << 6) + 63) OR NOT EXISTS (SELECT 1 FROM namespace n "
        "WHERE"
        " n.id = s.namespace) LIMIT ?1",
    [Q_CHECK_MISSING_SPACES] =
        "SELECT f.advisory, f.namespace FROM affected f WHERE NOT EXISTS (SELECT 1 FROM advisory_space s"
        " WHERE s.namespace = f.namespace AND s.block = f.advisory >> 6) LIMIT ?1",
    [Q_CHECK_CHANGES] = "SELECT c.generation, c.number FROM change c WHERE c.generation > ?1"
                        " OR NOT EXISTS (SELECT 1 FROM feed f WHERE f.id = c.feed) LIMIT ?2",
    [Q_LEASES] = "SELECT name, owner, expires - ?1, seconds FROM lease WHERE ?1 IS NOT NULL ORDER BY name",

    /* walks */
    [Q_LAYERS_AFTER] = "SELECT id, digest, indexer FROM layer WHERE id > ?1 ORDER BY id LIMIT ?2",
    [Q_IMAGES_AFTER] = "SELECT id, digest, indexer FROM image WHERE id > ?1 ORDER BY id LIMIT ?2",
    [Q_NAMED_AFTER] = NAMED " WHERE n.id > ?1 ORDER BY n.id LIMIT ?2",
    [Q_DOCUMENTS] =
        "SELECT id, name, validator FROM document WHERE feed = (SELECT id FROM feed WHERE name = ?1)"
        " AND validator IS NOT NULL ORDER BY name",
    [Q_ADVISORIES_AFTER] = "SELECT a.document, a.ranges, " ADVISORY_HEAD(
        "a") ", a.record FROM advisory a WHERE feed = (SELECT id FROM feed WHERE name = ?1)"
             " AND id > ?2 AND " VISIBLE("a", "(SELECT generation FROM state)") " ORDER BY id LIMIT ?3",
    /* ?1 pairs of a name and all that else is in the key: see sql_entries.c */
    [Q_AFFECTED_THESE] = "SELECT p.rowid, " AFFECTED_HEAD(
        "r") ", r.record FROM list(?1) p CROSS JOIN affected r ON r.namespace = number_at(p.key, 0)"
             " AND r.name = p.name AND r.kind = number_at(p.key, 8) AND r.fixed_key = substr(p.key, 33)"
             " AND r.advisory = number_at(p.key, 16) AND r.part = number_at(p.key, 24)",
    [Q_NEGATIVE_THESE] =
        "SELECT p.rowid, r.fixed, r.introduced, r.arch, r.module FROM list(?1) p CROSS JOIN negative r"
        " ON r.namespace = number_at(p.key, 0) AND r.name = p.name AND r.kind = number_at(p.key, 8)"
        " AND r.id = substr(p.key, 33) AND r.advisory = number_at(p.key, 16) AND r.part = number_at(p.key, "
        "24)",
    [Q_VALUES_AFTER] = "SELECT key, value FROM keyvalue WHERE key > ?1 ORDER BY key LIMIT ?2",
    [Q_CONDITION] =
        "SELECT (SELECT count(*) FROM posting_queue), (SELECT count(*) FROM posting_segment WHERE state = 2),"
        " coalesce((SELECT min(number) FROM generation), s.generation) FROM state s",
};
