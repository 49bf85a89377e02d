/* The statements. */
#include "store/postgres.h"

const char *const postgres_tables[BULKS] = {
    [BULK_ADVISORY] = "advisory(id, feed, document, gen_from, hash, key, name, ranges, record)",
    [BULK_METADATA] = "metadata(name, advisory)",
    [BULK_AFFECTED] = "affected(namespace, name, kind, fixed_key, advisory, part, record)",
    [BULK_NEGATIVE] =
        "negative(namespace, name, kind, id, advisory, part, introduced_key, fixed_key, fixed, introduced,"
        " arch, module)",
    [BULK_CHANGE] = "change(generation, number, feed, before, after, namespace)",
    [BULK_BLOCK] = "posting_block(segment, package, first, body)",
    [BULK_NOTIFICATION] = "notification(name, feed, before, after, generation, created, due, namespace)",
};

const uint8_t postgres_record_columns[QUERIES] = {
    [Q_MATCH_SOURCE] = 11, [Q_MATCH_BINARY] = 11,     [Q_ADVISORIES] = 8,        [Q_METADATA] = 11,
    [Q_ADVISORY_GET] = 10, [Q_ADVISORIES_THESE] = 10, [Q_ADVISORIES_AFTER] = 10, [Q_AFFECTED_THESE] = 11,
    [Q_SAID_OF] = 12,      [Q_MANUAL_OF] = 9,
};

#define PACKAGE_COLUMNS "name, version, arch, kind, source, source_version, module"

const char postgres_packages_add[] = "INSERT INTO package(hash, " PACKAGE_COLUMNS ", version_key, source_key)"
                                     " SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], "
                                     "$4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[],"
                                     " $8::bytea[], $9::bytea[], $10::bytea[]) ON CONFLICT DO NOTHING";

const char postgres_packages_find[] =
    "SELECT p.id, u.place FROM unnest($1::bytea[]) WITH ORDINALITY AS u(hash, place)"
    " CROSS JOIN LATERAL (SELECT x.id FROM package x WHERE x.hash = u.hash OFFSET 0) p";

const char postgres_advisories_find[] =
    "SELECT u.place, a.id, a.document, a.hash FROM unnest($2::bytea[]) WITH ORDINALITY AS u(key, place)"
    " CROSS JOIN LATERAL (SELECT id, document, hash FROM advisory WHERE feed = $1 AND key = u.key"
    " AND gen_to IS NULL OFFSET 0) a ORDER BY u.place";

#define VISIBLE(row, g) row ".gen_from <= " g " AND (" row ".gen_to IS NULL OR " row ".gen_to > " g ")"

/* $1 and $2 names and version keys, $3 namespace, $4 the most rows. A record of a match begins with the number of the pair. LATERAL with
 * OFFSET 0 keeps the order of the loops whatever the planner guesses: the other way round it may be quadratic. All conditions stand
 * inside, so that no step of the plan only passes rows on. */
#define PAIRS "unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS p(name, key, place)"
#define MATCH(the_kind)                                                                                      \
    "SELECT string_agg('\\x00000008'::bytea || int8send(place - 1) || record, '') FROM (SELECT p.place, "    \
    "r.record FROM " PAIRS " CROSS JOIN LATERAL (SELECT record FROM affected WHERE namespace = $3"           \
    " AND name = p.name AND kind = " the_kind " AND fixed_key > p.key OFFSET 0) r LIMIT $4) all_records"

/* A bounded negative statement does not hold for an invalid version: its fixed_key is not ff. */
#define NEGATIVES(the_kind)                                                                                  \
    "SELECT p.place - 1, n.id, n.introduced_key, n.arch, n.module, m.feed FROM " PAIRS                       \
    " CROSS JOIN LATERAL (SELECT * FROM negative WHERE namespace = $3 AND name = p.name AND kind "           \
    "= " the_kind                                                                                            \
    " AND fixed_key > p.key AND (p.key <> '' OR (fixed_key = '\\xff' AND introduced_key = ''))"              \
    " OFFSET 0) n CROSS JOIN LATERAL (SELECT feed, gen_from, gen_to FROM advisory WHERE id = n.advisory"     \
    " OFFSET 0) m WHERE " VISIBLE("m", "$4")

/* $1 names (and $2 nothing), $3 generation. A record begins with the number of the name, and rank and name of the feed. */
#define NUMBER(column) "'\\x00000008'::bytea || int8send(" column ") || "
#define STATEMENT_HEAD NUMBER("p.place - 1") NUMBER("f.rank") SIZED("convert_to(f.name, 'UTF8')")
#define STATEMENT_SEEN VISIBLE("v", "$3")
#define STATEMENTS                                                                                           \
    "SELECT " STATEMENT_HEAD " || a.record FROM " PAIRS                                                      \
    " CROSS JOIN LATERAL (SELECT advisory FROM metadata WHERE name = p.name OFFSET 0) m CROSS JOIN LATERAL"  \
    " (SELECT feed, record FROM advisory v WHERE id = m.advisory AND " STATEMENT_SEEN " OFFSET 0) a"         \
    " CROSS JOIN LATERAL (SELECT rank, name FROM feed WHERE id = a.feed OFFSET 0) f"
#define ENTRIES                                                                                              \
    "SELECT '\\x00000008'::bytea || int8send(a.document) || " SIZED("a.ranges") " || a.record FROM "         \
                                                                                "advisory a"

/* Eight bytes of a pair's key from there on. */
#define NUMBER_AT(byte) "('x' || encode(substr(p.key, " byte ", 8), 'hex'))::bit(64)::bigint"
#define THESE(table, rest)                                                                                   \
    PAIRS " CROSS JOIN LATERAL (SELECT * FROM " table                                                        \
          " WHERE namespace = " NUMBER_AT("1") " AND name = p.name AND kind = " NUMBER_AT(                   \
              "9") " AND " rest " = substr(p.key, 33)"                                                       \
                   " AND advisory = " NUMBER_AT("17") " AND part = " NUMBER_AT("25") " OFFSET 0) r"

#define IMAGE                                                                                                \
    "SELECT i.id, i.digest, d.namespace, d.name_id, d.version, d.name, i.unreadable, i.packages, i.origins," \
    " i.details FROM image i JOIN distribution d ON d.id = i.distribution"

#define NAMED                                                                                                \
    "SELECT n.id, n.name, coalesce(p.name, ''), coalesce(p.chain, ''), l.digest, n.chain, n.namespace,"      \
    " n.engine, l.indexer FROM named_layer n JOIN layer l ON l.id = n.layer LEFT JOIN named_layer p ON"      \
    " p.id = n.parent"

#define NAMED_TREE                                                                                           \
    "WITH RECURSIVE tree(id) AS (SELECT id FROM named_layer WHERE name = $1 UNION ALL"                       \
    " SELECT n.id FROM tree t JOIN named_layer n ON n.parent = t.id)"

#define LEASE_END "clock_timestamp() + $4 * interval '1 second'"

/* Stable within a statement, so that an index range may end at it. */
#define CLOCK "floor(extract(epoch FROM statement_timestamp()))::bigint"

#define NOTIFICATION                                                                                         \
    "id, name, (SELECT f.name FROM feed f WHERE f.id = notification.feed), before, after, generation, "      \
    "created, notified, deleted, attempts, due, owner, until, error, coalesce((SELECT n.name FROM "          \
    "namespace n WHERE n.id = notification.namespace), '')"

#define SERVICE_KEY "service, kid, jwk, created, approved, expires, rotation, replaced_by"

#define ANCESTRY "SELECT id, name, image, indexer, hashes FROM ancestry"

const char *const postgres_queries[QUERIES] = {
    [Q_GENERATION] = "SELECT generation, metadata FROM state",
    [Q_PING] = "SELECT generation FROM state",
    [Q_VALUE_GET] = "SELECT value FROM keyvalue WHERE key = $1",
    [Q_VALUE_SET] =
        "INSERT INTO keyvalue VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        " WHERE keyvalue.value <> excluded.value",

    [Q_FEEDS] = "SELECT name, ranges, last_try, last_success, error, generation, rank FROM feed"
                " WHERE last_try > 0 OR generation > 0 ORDER BY name COLLATE \"C\"",
    [Q_COUNT] =
        "SELECT (SELECT count(*) FROM layer), (SELECT count(*) FROM image), (SELECT count(*) FROM package),"
        " (SELECT coalesce(sum(advisories), 0)::bigint FROM feed),"
        " (SELECT coalesce(sum(ranges), 0)::bigint FROM feed),"
        " (SELECT count(*) FROM change WHERE generation <= s.generation), s.generation FROM state s",
    [Q_DOCUMENT_VALIDATOR] =
        "SELECT validator FROM document WHERE feed = (SELECT id FROM feed WHERE name = $1)"
        " AND name = $2 AND validator IS NOT NULL",
    [Q_FEED_SUCCEEDED] =
        "INSERT INTO feed(name, last_try, last_success) VALUES ($1, $2, $2) ON CONFLICT (name)"
        " DO UPDATE SET last_try = $2, last_success = $2, error = ''",
    [Q_FEED_FAILED] = "INSERT INTO feed(name, last_try, error) VALUES ($1, $2, $3) ON CONFLICT (name)"
                      " DO UPDATE SET last_try = $2, error = $3",

    [Q_PACKAGES_GET] =
        "SELECT p.name, p.version, p.arch, p.kind, p.source, p.source_version, p.module"
        " FROM unnest($1) WITH ORDINALITY AS u(number, place)"
        " CROSS JOIN LATERAL (SELECT * FROM package WHERE id = u.number OFFSET 0) p ORDER BY u.place",
    [Q_SET_FIND] = "SELECT id FROM package_set WHERE hash = $1",
    [Q_SET_ADD] =
        "INSERT INTO package_set(hash, members) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id",
    [Q_SET_QUEUE] = "INSERT INTO posting_queue VALUES ($1)",
    [Q_SET_GET] = "SELECT members FROM package_set WHERE id = $1",
    [Q_LAYER_FIND] = "SELECT id, size, diff_id, entries FROM layer WHERE digest = $1 AND indexer = $2",
    [Q_LAYER_DIFF_ID] = "UPDATE layer SET diff_id = $2 WHERE id = $1 AND diff_id = ''",
    [Q_LAYER_ADD] =
        "INSERT INTO layer(digest, indexer, size, diff_id, entries, used) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT DO NOTHING RETURNING id",
    [Q_LAYER_SET_ADD] = "INSERT INTO layer_set VALUES ($1, $2) ON CONFLICT DO NOTHING",
    [Q_DISTRIBUTION_FIND] =
        "SELECT id FROM distribution WHERE namespace = $1 AND name_id = $2 AND version = $3 AND name = $4",
    [Q_DISTRIBUTION_ADD] =
        "INSERT INTO distribution(namespace, name_id, version, name) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING id",
    [Q_IMAGE_FIND] = IMAGE " WHERE i.digest = $1 AND i.indexer = $2",
    [Q_IMAGE_BY_ID] = IMAGE " WHERE i.id = $1",
    [Q_IMAGE_PUT] =
        "INSERT INTO image(digest, indexer, distribution, packages, origins, unreadable, details, used)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (digest, indexer) DO UPDATE SET"
        " distribution = $3, packages = $4, origins = $5, unreadable = $6, details = $7, used = $8"
        " RETURNING id",
    [Q_IMAGE_VIEWS] =
        "UPDATE named_view SET packages = $2, distribution = i.distribution FROM image i WHERE i.id = $1 AND"
        " image = $1 AND (named_view.packages <> $2 OR named_view.distribution <> i.distribution)",
    [Q_IMAGE_ANCESTRIES] =
        "UPDATE ancestry SET packages = $2, distribution = i.distribution FROM image i WHERE i.id = $1 AND"
        " image = $1 AND (ancestry.packages <> $2 OR ancestry.distribution <> i.distribution)",
    [Q_IMAGE_LAYERS_CLEAR] = "DELETE FROM image_layer WHERE image = $1",
    [Q_IMAGE_LAYER_ADD] = "INSERT INTO image_layer VALUES ($1, $2, $3)",
    [Q_IMAGE_LAYERS] =
        "SELECT l.digest, l.size FROM image_layer i JOIN layer l ON l.id = i.layer WHERE i.image = $1"
        " ORDER BY i.position",

    [Q_OLD_LAYER_NEXT] =
        "SELECT id, digest, indexer, size, diff_id, entries FROM old_layer WHERE id > $1 ORDER BY id LIMIT 1",
    [Q_OLD_LAYER_PUT] = "INSERT INTO layer(id, digest, indexer, size, diff_id, entries, used) VALUES ($1, "
                        "$2, $3, $4, $5, $6, $7)",
    [Q_OLD_LAYERS_DROP] = "DROP TABLE old_layer",
    [Q_OLD_IMAGE_NEXT] =
        "SELECT id, digest, indexer, namespace, distribution_id, distribution_version, distribution_name,"
        " unreadable, notes FROM old_image WHERE id > $1 ORDER BY id LIMIT 1",
    [Q_OLD_IMAGE_PACKAGES] = "SELECT package, layer FROM image_package WHERE image = $1 ORDER BY position",
    [Q_OLD_IMAGE_NUMBER] = "UPDATE image SET id = $2 WHERE id = $1",
    [Q_OLD_IMAGES_DROP] = "DROP TABLE old_image",
    [Q_OLD_HASH_NEXT] = "SELECT id FROM advisory WHERE id > $1 AND gen_to IS NULL ORDER BY id LIMIT 1",
    [Q_OLD_HASH_SET] = "UPDATE advisory SET hash = $2 WHERE id = $1",

    [Q_MATCH_FEEDS] =
        "SELECT f.id, f.name, f.last_success, f.rank FROM feed_namespace c JOIN feed f ON f.id = c.feed"
        " WHERE c.namespace = $1 AND c.ranges > 0 ORDER BY f.name COLLATE \"C\"",
    [Q_MATCH_SOURCE] = MATCH("1"),
    [Q_MATCH_BINARY] = MATCH("2"),
    /* 64 runs make a value: larger ones cost PostgreSQL fresh pages for each copy that it makes */
    [Q_ADVISORIES] =
        "SELECT (SELECT string_agg(a.record, '') FROM unnest($1[first:first + 63]) AS run(number)"
        " CROSS JOIN LATERAL (SELECT record FROM advisory v WHERE id BETWEEN number >> 6 AND (number >> 6) + "
        "(number & 63) AND " VISIBLE(
            "v", "$2") " OFFSET 0) a) FROM generate_series(1, cardinality($1), 64) AS first",
    [Q_METADATA] = STATEMENTS,
    [Q_NEGATIVES_SOURCE] = NEGATIVES("1"),
    [Q_NEGATIVES_BINARY] = NEGATIVES("2"),

    [Q_NAMED_FIND] = NAMED " WHERE n.name = $1",
    [Q_NAMED_VIEWS] = "SELECT image FROM named_view WHERE named = $1 ORDER BY part",
    [Q_NAMED_ID] = "SELECT n.id, n.engine, l.indexer, coalesce(n.parent, 0) FROM named_layer n JOIN layer l "
                   "ON l.id = n.layer"
                   " WHERE n.name = $1 FOR UPDATE OF n",
    [Q_NAMED_PARENT] = "SELECT n.id, n.chain FROM named_layer n WHERE n.name = $1 FOR SHARE OF n",
    [Q_NAMED_DEPTH] =
        "WITH RECURSIVE chain(parent, depth) AS (SELECT parent, 1::bigint FROM named_layer WHERE id = $1 "
        "UNION ALL"
        " SELECT n.parent, c.depth + 1 FROM chain c JOIN named_layer n ON n.id = c.parent WHERE c.depth < $2)"
        " SELECT count(*) FROM chain",
    [Q_NAMED_ADD] = "INSERT INTO named_layer(name, parent, layer, chain, namespace, engine)"
                    " VALUES ($1, nullif($2, 0), $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id",
    [Q_NAMED_REPLACE] =
        "UPDATE named_layer SET layer = $2, chain = $3, namespace = $4, engine = $5 WHERE id = $1",
    [Q_NAMED_VIEWS_CLEAR] = "DELETE FROM named_view WHERE named = $1",
    [Q_NAMED_VIEW_ADD] = "INSERT INTO named_view SELECT $1, $2, id, packages, distribution FROM image WHERE"
                         " id = $3 FOR SHARE",
    [Q_NAMED_DELETE_VIEWS] = NAMED_TREE " DELETE FROM named_view WHERE named IN (SELECT id FROM tree)",
    /* and the views of those that came meanwhile: one statement sees one tree */
    [Q_NAMED_DELETE] = NAMED_TREE ", v AS (DELETE FROM named_view WHERE named IN (SELECT id FROM tree))"
                                  " DELETE FROM named_layer WHERE id IN (SELECT id FROM tree)",
    [Q_NAMED_CHAIN] =
        "WITH RECURSIVE chain(name, layer, parent, depth) AS (SELECT name, layer, parent, 0::bigint"
        " FROM named_layer WHERE name = $1 UNION ALL SELECT n.name, n.layer, n.parent, c.depth + 1"
        " FROM chain c JOIN named_layer n ON n.id = c.parent WHERE c.depth < $2)"
        " SELECT c.name, l.digest, l.indexer FROM chain c JOIN layer l ON l.id = c.layer ORDER BY c.depth",

    [Q_LAYER_KNOWN] = "SELECT id FROM layer WHERE digest = $1 AND indexer = $2",
    [Q_HASH_FIND] = "SELECT l.digest FROM layer_hash h JOIN layer l ON l.id = h.layer WHERE h.hash = $1"
                    " AND h.indexer = $2",
    [Q_HASH_ADD] = "INSERT INTO layer_hash(hash, indexer, layer) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    [Q_HASHES_AFTER] =
        "SELECT h.id, h.hash, l.digest, h.indexer FROM layer_hash h JOIN layer l ON l.id = h.layer"
        " WHERE h.id > $1 ORDER BY h.id LIMIT $2",
    [Q_ANCESTRY_FIND] = ANCESTRY " WHERE name = $1",
    [Q_ANCESTRY_DROP] = "DELETE FROM ancestry WHERE name = $1",
    [Q_ANCESTRY_PUT] =
        "INSERT INTO ancestry(name, image, packages, distribution, indexer, hashes) SELECT $1, $2, "
        "i.packages,"
        " i.distribution, $3, $4 FROM (SELECT packages, distribution FROM (SELECT packages, distribution "
        "FROM image WHERE id = $2 FOR SHARE) x UNION ALL SELECT 0, 0 WHERE $2 = 0) i"
        " ON CONFLICT (name) DO UPDATE SET id = excluded.id, image = excluded.image, packages = "
        "excluded.packages,"
        " distribution = excluded.distribution, indexer = excluded.indexer, hashes = excluded.hashes",
    [Q_ANCESTRIES_AFTER] = ANCESTRY " WHERE id > $1 ORDER BY id LIMIT $2",

    [Q_LEASE_GET] =
        "SELECT owner, ceil(extract(epoch FROM expires - clock_timestamp()))::bigint, seconds FROM lease"
        " WHERE name = $1",
    [Q_LEASE_PUT] = "INSERT INTO lease VALUES ($1, $2, " LEASE_END ", $4) ON CONFLICT (name)"
                    " DO UPDATE SET owner = $2, expires = " LEASE_END ", seconds = $4"
                    " WHERE lease.owner = $2 OR lease.owner = $5",
    [Q_LEASE_RENEW] = "UPDATE lease SET expires = " LEASE_END ", seconds = $4 WHERE name = $1 AND owner = $2",
    [Q_LEASE_DROP] = "DELETE FROM lease WHERE name = $1 AND owner = $2",
    [Q_FEED_ADD] = "INSERT INTO feed(name, rank) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET rank = $2 "
                   "WHERE feed.rank <> $2",
    [Q_FEED_GET] = "SELECT id, generation, advisories FROM feed WHERE name = $1",
    [Q_PENDING_GET] = "SELECT generation, first_advisory FROM pending",
    [Q_PENDING_ADD] = "INSERT INTO pending VALUES ($1, $2)",
    [Q_PENDING_DROP] = "DELETE FROM pending",

    [Q_ADVISORY_LAST] = "SELECT coalesce(max(id), 0) FROM advisory",
    [Q_ADVISORY_FIND] =
        "SELECT id, document, hash FROM advisory WHERE feed = $1 AND key = $2 AND gen_to IS NULL",
    [Q_ADVISORY_END] = "UPDATE advisory SET gen_to = $2 WHERE id = $1",
    [Q_ADVISORY_RANGES] = "SELECT ranges FROM advisory WHERE id = $1",
    [Q_ADVISORY_WALK] =
        "SELECT id, document, key FROM advisory WHERE feed = $1 AND gen_to IS NULL AND key > $2"
        " ORDER BY key LIMIT 2000",
    [Q_NAMESPACE_FIND] = "SELECT id, scheme, kinds FROM namespace WHERE name = $1",
    [Q_NAMESPACE_ADD] =
        "INSERT INTO namespace(name, scheme, kinds) SELECT $1, $2, 0 WHERE NOT EXISTS (SELECT 1 FROM"
        " namespace WHERE name = $1) ON CONFLICT DO NOTHING RETURNING id",
    [Q_NAMESPACE_SCHEME] = "UPDATE namespace SET scheme = $2 WHERE id = $1",
    [Q_NAMESPACES] = "SELECT name, scheme FROM namespace ORDER BY id",
    [Q_SPACE_ADD] =
        "INSERT INTO advisory_space SELECT $1, value FROM unnest($2) AS list(value) ON CONFLICT DO NOTHING",
    [Q_SPACE_PAGE] =
        "SELECT a.id, a.name, a.ranges, a.key FROM (SELECT block FROM advisory_space WHERE namespace = $1 AND"
        " block >= $2 >> 6 ORDER BY block OFFSET 0) s CROSS JOIN LATERAL (SELECT id, name, ranges, key FROM"
        " advisory v WHERE id >= s.block << 6 AND id <= (s.block << 6) + 63 AND id >= $2 AND " VISIBLE(
            "v", "$3") " ORDER BY id OFFSET 0) a LIMIT $4",
    [Q_SAID_OF] = "SELECT " NUMBER("f.rank") SIZED("convert_to(f.name, 'UTF8')") " || " NUMBER("p.place - 1")
        SIZED("a.ranges") " || a.record FROM " PAIRS
                          " CROSS JOIN LATERAL (SELECT id, feed, ranges, record FROM advisory v WHERE"
                          " name = p.name AND " VISIBLE(
                              "v", "$3") " ORDER BY id OFFSET 0) a CROSS JOIN LATERAL (SELECT rank, name"
                                         " FROM feed WHERE id = a.feed OFFSET 0) f ORDER BY p.place, a.id",
    [Q_MANUAL_OF] = "SELECT " NUMBER(
        "p.place - 1") " a.record FROM " PAIRS " CROSS JOIN LATERAL (SELECT record FROM advisory v"
                       " WHERE name = p.name AND feed = $4 AND " VISIBLE("v", "$3") " OFFSET 0) a",
    [Q_FEED_SIZE] = "SELECT id, advisories FROM feed WHERE name = $1",
    [Q_OLD_SPACES_NEXT] = "SELECT id, ranges FROM advisory WHERE id > $1 ORDER BY id LIMIT 2000",
    [Q_NAMESPACE_COUNT] = "INSERT INTO feed_namespace VALUES ($1, $2, $3) ON CONFLICT (namespace, feed)"
                          " DO UPDATE SET ranges = feed_namespace.ranges + $3",
    [Q_NAMESPACE_KINDS] = "UPDATE namespace SET kinds = $2 WHERE id = $1",
    [Q_DOCUMENT_FIND] = "SELECT id, validator, advisories FROM document WHERE feed = $1 AND name = $2",
    [Q_DOCUMENT_ADD] = "INSERT INTO document(feed, name) VALUES ($1, $2) RETURNING id",
    [Q_DOCUMENT_SET] = "UPDATE document SET validator = $2, advisories = $3 WHERE id = $1",
    [Q_DOCUMENT_DROP] = "DELETE FROM document WHERE id = $1",
    /* who watches is told when it is committed */
    [Q_GENERATION_SET] = "UPDATE state SET generation = $1, metadata = greatest(metadata, $2)"
                         " RETURNING pg_notify('eclair_generation', '')",
    [Q_GENERATION_LOG] = "INSERT INTO generation VALUES ($1, $2, $3)",
    [Q_FEED_CHANGED] = "UPDATE feed SET generation = $2, last_try = $3, last_success = $3, error = '',"
                       " advisories = advisories + $4, ranges = ranges + $5 WHERE id = $1",

    [Q_QUEUE_NEXT] =
        "SELECT q.packages, s.members FROM posting_queue q JOIN package_set s ON s.id = q.packages"
        " WHERE q.packages > $1 ORDER BY q.packages LIMIT $2",
    [Q_QUEUE_COUNT] = "SELECT count(*) FROM (SELECT 1 FROM posting_queue LIMIT $1) q",
    [Q_QUEUE_FIRST] = "SELECT packages FROM posting_queue WHERE packages > $1 ORDER BY packages LIMIT 1",
    [Q_QUEUE_DROP] = "DELETE FROM posting_queue WHERE packages = ANY ($1)",
    [Q_SEGMENTS] = "SELECT id, level, first, last, sets, dead, state FROM posting_segment ORDER BY first, id",
    [Q_SEGMENT_ADD] =
        "INSERT INTO posting_segment(level, first, last, sets, dead, state) VALUES ($1, $2, $3, $4, 0, $5)"
        " RETURNING id",
    [Q_SEGMENT_STATE] = "UPDATE posting_segment SET state = $2 WHERE id = $1",
    [Q_SEGMENT_DROP] = "DELETE FROM posting_segment WHERE id = $1",
    [Q_BLOCKS_NEXT] =
        "SELECT package, first, body FROM posting_block WHERE segment = $1 AND (package, first) > ($2, $3)"
        " ORDER BY package, first LIMIT $4",
    /* Where a list may begin: the last block of a smaller package, the last one of its own that begins at or before set $3, and those
     * behind it. The first two give rows in vain now and then. */
    [Q_BLOCKS_BEFORE] =
        "SELECT j.place - 1, b.package, b.first, b.body FROM unnest($2) WITH ORDINALITY AS j(value, place)"
        " CROSS JOIN LATERAL (SELECT package, first, body FROM posting_block WHERE segment = $1 AND"
        " package < j.value AND $3 + $4 IS NOT NULL ORDER BY package DESC, first DESC LIMIT 1) b",
    [Q_BLOCKS_AT] =
        "SELECT j.place - 1, b.package, b.first, b.body FROM unnest($2) WITH ORDINALITY AS j(value, place)"
        " CROSS JOIN LATERAL (SELECT package, first, body FROM posting_block WHERE segment = $1 AND"
        " package = j.value AND first <= $3 AND $4 IS NOT NULL ORDER BY first DESC LIMIT 1) b",
    [Q_BLOCKS_AFTER] =
        "SELECT j.place - 1, b.package, b.first, b.body FROM unnest($2) WITH ORDINALITY AS j(value, place)"
        " CROSS JOIN LATERAL (SELECT package, first, body FROM posting_block WHERE segment = $1 AND"
        " package = j.value AND first > $3 ORDER BY first LIMIT $4) b ORDER BY j.place, b.first",
    [Q_BLOCKS_DROP] =
        "DELETE FROM posting_block WHERE segment = $1 AND (package, first) IN (SELECT package, first"
        " FROM posting_block WHERE segment = $1 ORDER BY package, first LIMIT 2000)",
    [Q_SETS_ALIVE] = "SELECT id FROM package_set WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3",

    /* the second part: what an update that is not committed has replaced */
    [Q_ADVISORY_VISIBLE] =
        "SELECT a.id FROM feed f JOIN advisory a ON a.feed = f.id AND a.key = $2 WHERE f.name = $1 AND "
        "a.gen_to IS NULL"
        " AND a.gen_from <= (SELECT generation FROM state) UNION ALL SELECT a.id FROM feed f JOIN advisory a "
        "ON"
        " a.gen_to = (SELECT generation + 1 FROM state) AND a.feed = f.id AND a.key = $2 WHERE f.name = $1",
    [Q_ADVISORY_GET] = ENTRIES " WHERE a.id = $1",
    [Q_ADVISORY_SIZES] =
        "SELECT j.place - 1, (length(a.ranges) + length(a.record))::bigint FROM unnest($1) WITH ORDINALITY AS"
        " j(value, place) CROSS JOIN LATERAL (SELECT ranges, record FROM advisory WHERE id = j.value OFFSET "
        "0) a",
    [Q_ADVISORIES_THESE] = "SELECT '\\x00000008'::bytea || int8send(a.document) || " SIZED(
        "a.ranges") " || a.record FROM unnest($1) AS j(value) CROSS JOIN LATERAL (SELECT document, ranges, "
                    "record FROM"
                    " advisory WHERE id = j.value OFFSET 0) a",
    [Q_ADVISORY_PLACE] =
        "SELECT f.name, coalesce(d.name, ''), f.rank FROM advisory a JOIN feed f ON f.id = a.feed"
        " LEFT JOIN document d ON d.id = a.document WHERE a.id = $1",
    [Q_NAMESPACE_BY_ID] = "SELECT name, scheme FROM namespace WHERE id = $1",
    [Q_NEGATIVES_OF] =
        "SELECT n.introduced_key, n.fixed_key, n.arch, n.module FROM negative n JOIN advisory m ON"
        " m.id = n.advisory JOIN feed f ON f.id = m.feed WHERE n.namespace = $1 AND n.name = $2"
        " AND n.kind = $3 AND n.id = $4 AND f.rank <= $5 AND m.gen_from <= (SELECT generation FROM state)"
        " AND (m.gen_to IS NULL OR m.gen_to > (SELECT generation FROM state))",
    [Q_PACKAGES_OF_SOURCE] = "SELECT id, source_key, arch, module, version, name, source, source_version "
                             "FROM package WHERE source = $1 AND"
                             " source_key < $2"
                             " AND kind = $3",
    [Q_PACKAGES_OF_NAME] = "SELECT id, version_key, arch, module, version, name, source, source_version FROM "
                           "package WHERE name = $1 AND"
                           " version_key < $2"
                           " AND kind = $3",
    [Q_SPACE_USED] = "SELECT 1 FROM distribution WHERE namespace = $1 LIMIT 1",
    [Q_NAMED_WITH] =
        "SELECT v.named, v.image, j.value FROM unnest($1) AS j(value) CROSS JOIN LATERAL (SELECT id FROM "
        "distribution"
        " WHERE namespace = $2 OFFSET 0) d CROSS JOIN LATERAL (SELECT id FROM image WHERE packages = j.value"
        " AND distribution = d.id OFFSET 0) i CROSS JOIN LATERAL (SELECT named, image FROM named_view WHERE"
        " image = i.id AND named >= $3 OFFSET 0) v ORDER BY v.named, v.image LIMIT $4",
    [Q_ANCESTRIES_WITH] =
        "SELECT a.id, a.image, j.value FROM unnest($1) AS j(value) CROSS JOIN LATERAL (SELECT id FROM "
        "distribution"
        " WHERE namespace = $2 OFFSET 0) d CROSS JOIN LATERAL (SELECT id FROM image WHERE packages = j.value"
        " AND distribution = d.id OFFSET 0) i CROSS JOIN LATERAL (SELECT id, image FROM ancestry WHERE"
        " image = i.id AND id >= $3 OFFSET 0) a ORDER BY a.id LIMIT $4",
    [Q_SPACE_DISTRIBUTIONS] = "SELECT id FROM distribution WHERE namespace = $1 ORDER BY id",
    [Q_NAMED_WALK] =
        "SELECT named, part, image, packages, distribution FROM named_view WHERE (named, part) > ($1, $2)"
        " ORDER BY named, part LIMIT $3",
    [Q_ANCESTRY_WALK] =
        "SELECT id, 0::bigint, image, packages, distribution FROM ancestry WHERE id > $1 AND $2 IS NOT NULL"
        " ORDER BY id LIMIT $3",
    [Q_NAMED_LAST] = "SELECT coalesce(max(id), 0) FROM named_layer",
    [Q_ANCESTRY_LAST] = "SELECT coalesce(max(id), 0) FROM ancestry",
    [Q_PARENT_SETS] = "SELECT j.place - 1, v.packages FROM unnest($1) WITH ORDINALITY AS j(value, place) "
                      "CROSS JOIN LATERAL (SELECT"
                      " parent FROM named_layer WHERE id = j.value OFFSET 0) n CROSS JOIN LATERAL (SELECT "
                      "packages FROM named_view WHERE"
                      " named = n.parent OFFSET 0) v",
    [Q_SETS_GET] = "SELECT j.place - 1, s.members FROM unnest($1) WITH ORDINALITY AS j(value, place) CROSS "
                   "JOIN LATERAL (SELECT"
                   " members FROM package_set WHERE id = j.value OFFSET 0) s",
    [Q_NAMED_NAMES] = "SELECT j.place - 1, n.name FROM unnest($1) WITH ORDINALITY AS j(value, place) CROSS "
                      "JOIN LATERAL (SELECT name"
                      " FROM named_layer WHERE id = j.value OFFSET 0) n",
    [Q_ANCESTRY_NAMES] = "SELECT j.place - 1, n.name FROM unnest($1) WITH ORDINALITY AS j(value, place) "
                         "CROSS JOIN LATERAL (SELECT name"
                         " FROM ancestry WHERE id = j.value OFFSET 0) n",
    [Q_IMAGES_WITH] =
        "SELECT j.value, d.id, i.id, i.digest, i.indexer FROM unnest($1) WITH ORDINALITY AS j(value, place)"
        " CROSS JOIN LATERAL (SELECT id FROM distribution WHERE namespace = $2 AND (j.value > $3 OR id >= $4)"
        " ORDER BY id OFFSET 0) d CROSS JOIN LATERAL (SELECT id, digest, indexer FROM image WHERE"
        " packages = j.value AND distribution = d.id AND (j.value > $3 OR d.id > $4 OR id > $5) ORDER BY id"
        " LIMIT $6) i ORDER BY j.place, d.id, i.id LIMIT $6",

    [Q_NOTIFY_WAITING] = "SELECT (s.generation >= p.generation)::int FROM notification_place p CROSS JOIN "
                         "state s",
    [Q_NOTIFY_PLACE] = "SELECT generation, number, " CLOCK " FROM notification_place FOR UPDATE",
    [Q_NOTIFY_PLACE_SET] = "UPDATE notification_place SET generation = $1, number = $2",
    [Q_NOTIFY_SKIP] =
        "UPDATE notification_place SET generation = (SELECT generation + 1 FROM state), number = 0"
        " WHERE generation <= (SELECT generation FROM state)",
    [Q_NOTIFY_CHANGES] = "SELECT generation, number, feed, before, after, coalesce(namespace, 0) FROM change "
                         "WHERE (generation, number) >= ($1, $2)"
                         " AND generation <= $3 ORDER BY generation, number LIMIT $4",
    [Q_NOTIFY_TAKE] =
        "UPDATE notification SET owner = $1, until = " CLOCK " + $2 WHERE id = (SELECT id FROM "
        "notification WHERE due > 0 AND due <= " CLOCK " AND (until < " CLOCK " OR until > " CLOCK
        " + 86400) ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING " NOTIFICATION,
    [Q_NOTIFY_RENEW] = "UPDATE notification SET until = " CLOCK " + $3 WHERE name = $1 AND owner = $2"
                       " AND until > 0 AND deleted = 0",
    [Q_NOTIFY_SENT] =
        "UPDATE notification SET notified = " CLOCK ", attempts = 0, error = '', until = 0, due = CASE WHEN"
        " deleted = 0 AND $3 > 0 THEN " CLOCK " + $3 ELSE 0 END WHERE name = $1 AND owner = $2",
    [Q_NOTIFY_FAILED] =
        "UPDATE notification SET attempts = attempts + 1, error = $4, until = 0, due = CASE WHEN deleted = 0"
        " THEN " CLOCK " + $3 ELSE 0 END WHERE name = $1 AND owner = $2 AND until > 0",
    [Q_NOTIFY_DELETE] = "UPDATE notification SET deleted = " CLOCK ", due = 0 WHERE name = $1"
                        " AND deleted = 0",
    [Q_NOTIFY_RETRY] =
        "UPDATE notification SET due = " CLOCK ", until = 0 WHERE name = $1 AND deleted = 0 AND"
        " (until < " CLOCK " OR until > " CLOCK " + 86400)",
    [Q_NOTIFY_FIND] = "SELECT " NOTIFICATION " FROM notification WHERE name = $1",
    [Q_NOTIFY_LIST] = "SELECT " NOTIFICATION " FROM notification WHERE id > $1 ORDER BY id LIMIT $2",
    [Q_NOTIFY_COUNTS] = "SELECT count(*), coalesce(min(created), 0), count(nullif(attempts, 0)) FROM "
                        "notification WHERE due > 0 AND notified = 0",
    [Q_NOTIFY_KEPT] = "SELECT least(p.generation, (SELECT min(generation) FROM notification WHERE "
                      "deleted = 0)) - 1 FROM notification_place p",
    [Q_NOTIFY_TIDY] =
        "DELETE FROM notification WHERE id IN (SELECT id FROM (SELECT id FROM notification WHERE created < $1"
        " ORDER BY created LIMIT 1000) a UNION ALL SELECT id FROM (SELECT id FROM notification WHERE"
        " deleted > 0 AND deleted < $2 ORDER BY deleted LIMIT 1000) b)",

    [Q_KEY_PUT] =
        "INSERT INTO service_key VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (service, kid) DO UPDATE"
        " SET jwk = $3, created = $4, approved = $5, expires = $6, rotation = $7, replaced_by = $8",
    [Q_KEY_ADD] =
        "INSERT INTO service_key VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (service, kid) DO "
        "NOTHING",
    [Q_KEY_FIND] = "SELECT " SERVICE_KEY " FROM service_key WHERE service = $1 AND kid = $2",
    [Q_KEY_LIST] = "SELECT " SERVICE_KEY " FROM service_key WHERE service = $1 OR $1 = '' ORDER BY"
                   " service, created, kid",
    [Q_KEY_DELETE] = "DELETE FROM service_key WHERE service = $1 AND kid = $2",
    [Q_KEY_END] = "UPDATE service_key SET expires = $3, replaced_by = $4 WHERE service = $1 AND kid = $2 AND"
                  " approved > 0 AND (expires = 0 OR expires > $3)",
    [Q_KEY_COUNTS] =
        "SELECT count(*), count(CASE WHEN approved = 0 THEN 1 END), count(CASE WHEN service = $1"
        " THEN 1 END), count(CASE WHEN service = $1 AND approved = 0 THEN 1 END) FROM service_key",
    [Q_KEY_TIDY] = "DELETE FROM service_key WHERE (expires > 0 AND expires < $1) OR (approved = 0 AND created"
                   " < $1)",
    /* Does not wait for the disk: a server that breaks down may forget the nonces of its last moments. */
    [Q_NONCE_TAKE] =
        "WITH w AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS off) INSERT INTO "
        "nonce"
        " SELECT $1, $2, $3 FROM w WHERE off IS NOT NULL ON CONFLICT (hash) DO UPDATE SET taker = "
        "excluded.taker WHERE nonce.taker = $3",
    [Q_NONCE_TIDY] =
        "DELETE FROM nonce WHERE hash IN (SELECT hash FROM nonce WHERE until < $1 ORDER BY until LIMIT 2000)",

    [Q_SET_STORED] = "SELECT 1 FROM package_set WHERE id = $1",
    [Q_BLOCKS_RANGE] =
        "SELECT package, first, body FROM posting_block WHERE segment = $1 AND package < $3 AND package >="
        " coalesce((SELECT max(package) FROM posting_block WHERE segment = $1 AND package < $2), $2)"
        " ORDER BY package, first",
    [Q_IMAGE_USED] = "SELECT used FROM image WHERE id = $1",
    [Q_IMAGE_KEEP] = "UPDATE image SET used = $2 WHERE id = $1",
    [Q_LAYER_KEEP] = "UPDATE layer SET used = $2 WHERE id = $1 AND used < $2 - 600",

    /* what nobody needs any more, in windows of numbers: $1 to $2 */
    [Q_TIDY_IMAGES] = "SELECT i.id FROM image i WHERE i.id > $1 AND i.id <= $2 AND i.used < CASE WHEN "
                      "substr(i.digest, 1, 6) ="
                      " 'chain:'::bytea THEN $3 ELSE $4 END AND NOT EXISTS (SELECT 1 FROM named_view v WHERE "
                      "v.image = i.id)"
                      " AND NOT EXISTS (SELECT 1 FROM ancestry a WHERE a.image = i.id)",
    [Q_TIDY_IMAGE_LAYERS] = "DELETE FROM image_layer WHERE image = $1",
    [Q_TIDY_IMAGE] = "DELETE FROM image WHERE id = $1",
    [Q_TIDY_LAYERS] =
        "SELECT l.id FROM layer l WHERE l.id > $1 AND l.id <= $2 AND l.used < $3 AND $4 IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM image_layer i WHERE i.layer = l.id)"
        " AND NOT EXISTS (SELECT 1 FROM named_layer n WHERE n.layer = l.id)",
    [Q_TIDY_LAYER_SETS] = "DELETE FROM layer_set WHERE layer = $1",
    [Q_TIDY_LAYER_HASHES] = "DELETE FROM layer_hash WHERE layer = $1",
    [Q_TIDY_LAYER] = "DELETE FROM layer WHERE id = $1",
    [Q_TIDY_SETS] = "SELECT s.id FROM package_set s WHERE s.id > $1 AND s.id <= $2 AND $3 + $4 IS NOT NULL"
                    " AND NOT EXISTS (SELECT 1 FROM layer_set l WHERE l.packages = s.id)"
                    " AND NOT EXISTS (SELECT 1 FROM image i WHERE i.packages = s.id)",
    [Q_TIDY_SET_QUEUED] = "DELETE FROM posting_queue WHERE packages = $1",
    [Q_TIDY_SET] = "DELETE FROM package_set WHERE id = $1",
    [Q_TIDY_SEGMENTS] = "UPDATE posting_segment SET dead = dead + 1 WHERE first <= $1 AND last >= $1",
    [Q_TIDY_PACKAGES] = "SELECT id FROM package WHERE id > $1 AND id <= $2 AND $3 + $4 IS NOT NULL",
    [Q_TIDY_PACKAGE] = "DELETE FROM package WHERE id = $1",
    [Q_LAST_IMAGE] = "SELECT coalesce(max(id), 0) FROM image",
    [Q_LAST_LAYER] = "SELECT coalesce(max(id), 0) FROM layer",
    [Q_LAST_SET] = "SELECT coalesce(max(id), 0) FROM package_set",
    [Q_LAST_PACKAGE] = "SELECT coalesce(max(id), 0) FROM package",

    /* generations in which something ended, the oldest first: how much, and when */
    [Q_ENDED] = "SELECT a.gen_to, count(*), max(coalesce(g.time, 0)), (SELECT coalesce(sum(advisories), "
                "0)::bigint FROM feed)"
                " FROM advisory a LEFT JOIN generation g ON g.number = a.gen_to WHERE a.gen_to IS NOT NULL"
                " AND a.gen_to <= (SELECT generation FROM state) GROUP BY a.gen_to ORDER BY a.gen_to",
    /* the last number stays, so that it is not given again */
    [Q_ENDED_ADVISORIES] = "SELECT id, name, ranges FROM advisory WHERE gen_to <= $1 AND id <> (SELECT "
                           "max(id) FROM advisory)"
                           " ORDER BY gen_to LIMIT 300",
    [Q_ENDED_CHANGES] =
        "DELETE FROM change WHERE generation <= $1 AND (generation, number) IN (SELECT generation, number"
        " FROM change WHERE generation <= $1 ORDER BY generation, number LIMIT 4000)",
    [Q_ENDED_GENERATIONS] = "DELETE FROM generation WHERE number <= $1",

    [Q_SWEEP_STAGED] = "SELECT id, name, ranges FROM advisory WHERE id >= $1 ORDER BY id LIMIT 1000",
    [Q_SWEEP_AFFECTED] =
        "DELETE FROM affected WHERE namespace = $1 AND name = $2 AND kind = $3 AND fixed_key = $4"
        " AND advisory = $5 AND part = $6",
    [Q_SWEEP_NEGATIVE] = "DELETE FROM negative WHERE namespace = $1 AND name = $2 AND kind = $3 AND id = $4"
                         " AND advisory = $5 AND part = $6",
    [Q_SWEEP_METADATA] = "DELETE FROM metadata WHERE name = $1 AND advisory = $2",
    [Q_BLOCK_USED] = "SELECT 1::bigint FROM advisory WHERE id >= $1 << 6 AND id <= ($1 << 6) + 63 LIMIT 1",
    [Q_SWEEP_SPACES] =
        "DELETE FROM advisory_space WHERE namespace IN (SELECT id FROM namespace) AND block = $1",
    [Q_SWEEP_SPACES_BEHIND] = "DELETE FROM advisory_space WHERE block > $1",
    [Q_SWEEP_ADVISORY] = "DELETE FROM advisory WHERE id = $1",
    [Q_SWEEP_ENDED] = "UPDATE advisory SET gen_to = NULL WHERE id IN"
                      " (SELECT id FROM advisory WHERE gen_to = $1 LIMIT 1000)",
    [Q_SWEEP_CHANGES] = "DELETE FROM change WHERE generation = $1 AND number IN"
                        " (SELECT number FROM change WHERE generation = $1 LIMIT 4000)",
    [Q_SWEEP_DOCUMENTS] = "DELETE FROM document WHERE validator IS NULL",

    /* see store_check() */
    [Q_CHECK_PACKAGES] = "SELECT id FROM package WHERE id > $1 ORDER BY id LIMIT $2",
    [Q_CHECK_SETS] =
        "SELECT id, hash, members FROM package_set WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3",
    [Q_CHECK_QUEUE] = "SELECT packages FROM posting_queue WHERE packages > $1 AND packages <= $2"
                      " ORDER BY packages LIMIT $3",
    [Q_CHECK_LAYERS] = "SELECT id, digest, entries FROM layer WHERE id > $1 ORDER BY id LIMIT $2",
    [Q_CHECK_LAYER_SETS] = "SELECT packages FROM layer_set WHERE layer = $1 ORDER BY packages",
    [Q_CHECK_LOST_SETS] =
        "SELECT l.layer, l.packages FROM layer_set l WHERE NOT EXISTS (SELECT 1 FROM layer y"
        " WHERE y.id = l.layer) OR NOT EXISTS (SELECT 1 FROM package_set s WHERE s.id = l.packages) LIMIT $1",
    [Q_CHECK_IMAGES] =
        "SELECT i.id, i.packages, i.origins, i.details, (CASE WHEN EXISTS (SELECT 1 FROM distribution d "
        "WHERE d.id = i.distribution) THEN 1 ELSE 0 END)::bigint,"
        " coalesce((SELECT s.members FROM package_set s WHERE s.id = i.packages), ''),"
        " (CASE WHEN EXISTS (SELECT 1 FROM package_set s WHERE s.id = i.packages) THEN 1 ELSE 0 "
        "END)::bigint, (SELECT count(*) FROM image_layer l WHERE l.image = i.id),"
        " (SELECT count(*) FROM image_layer l JOIN layer y ON y.id = l.layer WHERE l.image = i.id),"
        " (SELECT coalesce(max(l.position) + 1, 0) FROM image_layer l WHERE l.image = i.id)"
        " FROM image i WHERE i.id > $1 ORDER BY i.id LIMIT $2",
    [Q_CHECK_LOST_LAYERS] =
        "SELECT l.image, l.layer FROM image_layer l WHERE NOT EXISTS (SELECT 1 FROM image i"
        " WHERE i.id = l.image) LIMIT $1",
    [Q_CHECK_NAMED] =
        "SELECT n.id, n.name, coalesce(n.parent, 0), (CASE WHEN EXISTS (SELECT 1 FROM "
        "named_layer p WHERE p.id = n.parent) THEN 1 ELSE 0 END)::bigint,"
        " (CASE WHEN EXISTS (SELECT 1 FROM layer l WHERE l.id = n.layer) THEN 1 ELSE 0 "
        "END)::bigint, (SELECT count(*) FROM named_view v WHERE v.named = n.id"
        " AND NOT EXISTS (SELECT 1 FROM image i WHERE i.id = v.image AND i.packages = v.packages AND"
        " i.distribution = v.distribution))"
        " FROM named_layer n WHERE n.id > $1 ORDER BY n.id LIMIT $2",
    [Q_CHECK_LOST_VIEWS] =
        "SELECT v.named, v.image FROM named_view v WHERE NOT EXISTS (SELECT 1 FROM named_layer n"
        " WHERE n.id = v.named) LIMIT $1",
    [Q_CHECK_LOST_HASHES] = "SELECT h.id, h.layer FROM layer_hash h WHERE NOT EXISTS (SELECT 1 FROM layer l "
                            "WHERE l.id = h.layer) LIMIT $1",
    [Q_CHECK_ANCESTRIES] =
        "SELECT a.id, a.name, a.hashes, a.image, (CASE WHEN a.image = 0 OR EXISTS (SELECT 1 FROM image i "
        "WHERE"
        " i.id = a.image AND"
        " i.packages = a.packages AND i.distribution = a.distribution) THEN 1 ELSE 0 END)::bigint FROM "
        "ancestry a WHERE a.id > $1 ORDER BY a.id LIMIT $2",
    [Q_CHECK_ADVISORIES] =
        "SELECT id, feed, document, gen_from, coalesce(gen_to, 0), name, ranges FROM advisory"
        " WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3",
    [Q_CHECK_AFFECTED] =
        "SELECT namespace, name, kind, fixed_key, advisory, part FROM affected"
        " WHERE (namespace, name, kind, fixed_key, advisory, part) > ($1, $2, $3, $4, $5, $6)"
        " ORDER BY namespace, name, kind, fixed_key, advisory, part LIMIT $7",
    [Q_CHECK_NEGATIVE] = "SELECT namespace, name, kind, id, advisory, part FROM negative"
                         " WHERE (namespace, name, kind, id, advisory, part) > ($1, $2, $3, $4, $5, $6)"
                         " ORDER BY namespace, name, kind, id, advisory, part LIMIT $7",
    [Q_CHECK_FEEDS] = "SELECT id, name, advisories, ranges FROM feed ORDER BY id",
    [Q_CHECK_DOCUMENTS] =
        "SELECT id, name, advisories, feed FROM document WHERE validator IS NOT NULL ORDER BY id",
    [Q_CHECK_NAMESPACES] = "SELECT c.feed, c.namespace, c.ranges, (CASE WHEN EXISTS (SELECT 1 FROM namespace "
                           "n WHERE n.id = c.namespace) THEN 1 ELSE 0 END)::bigint FROM feed_namespace c",
    [Q_CHECK_METADATA] =
        "SELECT m.advisory, m.advisory FROM metadata m WHERE NOT EXISTS (SELECT 1 FROM advisory a"
        " WHERE a.id = m.advisory AND a.name = m.name) LIMIT $1",
    [Q_CHECK_LOST_SPACES] =
        "SELECT s.block, s.namespace FROM advisory_space s WHERE NOT EXISTS (SELECT 1 FROM advisory a WHERE"
        " a.id >= s.block << 6 AND a.id <= (s.block << 6) + 63) OR NOT EXISTS (SELECT 1 FROM namespace n "
        "WHERE"
        " n.id = s.namespace) LIMIT $1",
    [Q_CHECK_MISSING_SPACES] =
        "SELECT f.advisory, f.namespace FROM affected f WHERE NOT EXISTS (SELECT 1 FROM advisory_space s"
        " WHERE s.namespace = f.namespace AND s.block = f.advisory >> 6) LIMIT $1",
    [Q_CHECK_CHANGES] = "SELECT c.generation, c.number FROM change c WHERE c.generation > $1"
                        " OR NOT EXISTS (SELECT 1 FROM feed f WHERE f.id = c.feed) LIMIT $2",
    [Q_LEASES] = "SELECT name, owner, ceil(extract(epoch FROM expires - clock_timestamp()))::bigint, seconds "
                 "FROM lease WHERE $1 IS NOT NULL ORDER BY name COLLATE \"C\"",

    /* walks */
    [Q_LAYERS_AFTER] = "SELECT id, digest, indexer FROM layer WHERE id > $1 ORDER BY id LIMIT $2",
    [Q_IMAGES_AFTER] = "SELECT id, digest, indexer FROM image WHERE id > $1 ORDER BY id LIMIT $2",
    [Q_NAMED_AFTER] = NAMED " WHERE n.id > $1 ORDER BY n.id LIMIT $2",
    [Q_DOCUMENTS] =
        "SELECT id, name, validator FROM document WHERE feed = (SELECT id FROM feed WHERE name = $1)"
        " AND validator IS NOT NULL ORDER BY name",
    [Q_ADVISORIES_AFTER] =
        ENTRIES " WHERE a.feed = (SELECT id FROM feed WHERE name = $1) AND a.id > $2 AND " VISIBLE(
            "a", "(SELECT generation FROM state)") " ORDER BY a.id LIMIT $3",
    /* $1 and $2 pairs of a name and all that else is in the key: see sql_entries.c */
    [Q_AFFECTED_THESE] = "SELECT '\\x00000008'::bytea || int8send(p.place - 1) || r.record FROM " THESE(
        "affected", "fixed_key"),
    [Q_NEGATIVE_THESE] =
        "SELECT p.place - 1, r.fixed, r.introduced, r.arch, r.module FROM " THESE("negative", "id"),
    [Q_VALUES_AFTER] = "SELECT key, value FROM keyvalue WHERE key > $1 ORDER BY key LIMIT $2",
    [Q_CONDITION] =
        "SELECT (SELECT count(*) FROM posting_queue), (SELECT count(*) FROM posting_segment WHERE state = 2),"
        " coalesce((SELECT min(number) FROM generation), s.generation) FROM state s",
};
