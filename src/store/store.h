/*
 * store.h - all that lasts, without a word of SQL. Every engine passes tests/unit/test_store.c and gives equal bytes.
 *
 * Shape      Two halves that meet in store_match(): layers and images (written by index/), feeds and advisories (written by
 *            feed/). A reader always sees one complete generation: the number that each successful, changing feed update raises by one.
 * Ownership  what a call returns lives in the arena passed to it. Arguments are borrowed for the call.
 * Threads    one store handle per thread.
 * Errors     ERR_IO, ERR_FULL, ERR_READONLY, ERR_BUSY (lock held longer than 10 s), ERR_FORMAT (not a database, or not ours),
 *            ERR_NEWER; of a server also ERR_NETWORK ("127.0.0.1:5432: connect: connection refused": it may come back, and the same
 *            handle then goes on) and ERR_DENIED (it does not let us in). The text names the database, never its password.
 * Time       all times are seconds since 1970-01-01 UTC.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/advisory.h"
#include "model/ecosystem.h"
#include "model/finding.h"
#include "model/layer.h"

struct store;

/* Opens, creates if missing, migrates if older. `where` is the path of a file (SQLite), or a connection string of libpq:
 * "postgresql://...", "host=... user=..." (PostgreSQL; keys that libpq does not know, as "statement_timeout=60000", are settings of
 * the session, as the Go driver of Clair took them: spec/seeds.md; "response_timeout=SECONDS" is ours: a server that says nothing for
 * that long, 60 otherwise or 5 more than its statement_timeout, is given up: ERR_NETWORK). With STORE_SCRATCH what this process indexes goes to
 * memory (PostgreSQL: temporary tables) and dies with it, while feeds are read from the database; it is for databases that cannot be
 * written. A missing file with STORE_SCRATCH is an empty one. With STORE_READ nothing is written, which a hot standby can do: the schema
 * must be there and ours (else ERR_READONLY), and writes are refused; response_timeout is 10 unless the string says otherwise, for there is
 * somebody else to ask. */
enum store_mode { STORE_WRITE, STORE_SCRATCH, STORE_READ };
struct store *store_open(const char *where, enum store_mode mode, struct err *e);
void store_freep(struct store **s);
bool store_is_server(const char *where);        /* is it a connection string? */
int store_ping(struct store *s, struct err *e); /* a short query: can it be read now? A server has 5 s */
int64_t
store_schema_before(const struct store *s); /* of which schema it was when it was opened; 0: it was made */

/* All that is read between the two is of one moment, and cheaper than call by call: one transaction. Nothing may be written. After an error
 * only the end may follow. */
int store_view_begin(struct store *s, struct err *e);
void store_view_end(struct store *s);

/* ---- layers and images ---- */

/* 1 and *ret (in arena), 0 unknown, -1. The packages of an entry come sorted by package_cmp(), each once. */
int store_layer_find(struct store *s, str digest, unsigned indexer, struct arena *arena,
                     struct layer_index **ret, struct err *e);
int store_layer_known(struct store *s, str digest, unsigned indexer, struct err *e); /* 1, 0, -1 */
int store_layer_put(struct store *s, const struct layer_index *layer, unsigned indexer,
                    struct err *e); /* idempotent, one transaction; a known layer may gain its diff id */

/* Stores the folded view of an image under (image->digest, indexer), replacing an older one; one transaction. The layers must be stored. */
int store_image_put(struct store *s, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                    struct err *e);
/* 1 and *ret and *ret_id, 0 unknown, -1. image->name is empty; layers carry only digest and size. */
int store_image_find(struct store *s, str digest, unsigned indexer, struct arena *arena,
                     struct image_index **ret, int64_t *ret_id, struct err *e);

/* The same by its number: 1, 0, -1. */
int store_image_get(struct store *s, int64_t id, struct arena *arena, struct image_index **ret,
                    struct err *e);

/* ---- named layers: those of REST v1, a tree by parents (spec/api-v1.md 4, design.md 9 "Digests") ---- */

struct named_layer {
    int64_t id; /* given by store_named_find() and its like: never that of another layer */
    str name;
    str parent; /* a name; empty: none */
    str parent_chain; /* the chain of the parent; given to store_named_put(): of that from which this one was made */
    str digest;      /* of its content: a layer that was put with store_layer_put() under `indexer` */
    str chain;       /* names its content and that of its ancestors, in order */
    str namespace;   /* "debian:9"; empty: it cannot be told */
    unsigned engine; /* what clients are told as IndexedByVersion */
    unsigned indexer;
    const int64_t *
        views; /* images: the packages at this layer, one image for each namespace of theirs; none without packages */
    size_t view_count;
    bool only_new; /* given to store_named_put(): one of that name stays as it is, whatever it is */
};

/* 1 and *ret (in arena), 0 unknown, -1. */
int store_named_find(struct store *s, str name, struct arena *arena, struct named_layer **ret, struct err *e);
/* One transaction. 1: stored. 0: the name is there with this engine and indexer, which stays as it is. One with another engine or
 * indexer is replaced, and keeps its children; its parent must be the one it had. ERR_NOT_FOUND: its parent, its content or a view is not
 * there. ERR_BUSY: meanwhile the parent is another one: make the layer anew. ERR_LIMIT: more than STORE_CHAIN_MAX ancestors. Of two at once
 * with one name one gives 1, the other 0. */
int store_named_put(struct store *s, const struct named_layer *layer, struct err *e);
/* The layer and all its descendants, however many, in one transaction; their content stays. 1, 0 unknown, -1. */
int store_named_delete(struct store *s, str name, struct err *e);

struct named_link {
    str name, digest;
    unsigned indexer;
};
#define STORE_CHAIN_MAX 1024u /* ERR_LIMIT: more ancestors */
/* A layer and its ancestors, the root first. *ret_count 0: unknown. */
int store_named_chain(struct store *s, str name, struct arena *arena, struct named_link **ret,
                      size_t *ret_count, struct err *e);

/* ---- ancestries: images of API v3, each a name for a row of layers (spec/api-v3.md 4) ---- */

/* What a client calls a layer need not be its digest: the content that was stored for that hash. 1, 0 unknown, -1. */
int store_hash_find(struct store *s, str hash, unsigned indexer, struct arena *arena, str *ret_digest,
                    struct err *e);
/* The layer `digest` must be stored (else ERR_NOT_FOUND). The first one of a hash and indexer stays. ERR_USAGE: a hash that begins with a
 * byte 01, here and in an ancestry. */
int store_hash_put(struct store *s, str hash, str digest, unsigned indexer, struct err *e);

struct ancestry {
    int64_t
        id; /* given by store_ancestry_find() and its like: grows with age; one that is replaced gets a new one; never that of another */
    str name;
    const str *hashes; /* of its layers, as the client called them, bottom first; the same may come twice */
    size_t hash_count;
    int64_t
        image; /* for store_image_get(): what they have together, layer by layer as in `hashes`; 0: there are no layers */
    unsigned indexer; /* that read them */
};
/* 1 and *ret, 0 unknown, -1. */
int store_ancestry_find(struct store *s, str name, struct arena *arena, struct ancestry *ret, struct err *e);
/* In one transaction, in place of the one of that name, if there is one. ERR_NOT_FOUND: its image is not stored. ERR_LIMIT: more than
 * STORE_CHAIN_MAX layers. Of two at once with one name the later one stays. */
int store_ancestry_put(struct store *s, const struct ancestry *a, struct err *e);
/* By number, from the one after `after` on. */
int store_ancestries_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                           struct ancestry **ret, size_t *ret_count, struct err *e);

/* ---- matching: one statement, by key range ---- */

struct
    match_feed { /* a feed that speaks about the image's namespace, or about an ecosystem of its packages */
    str name;
    int64_t last_success;
};
/* A vendor's advisory (RHSA, GHSA) speaks of several flaws, which are its aliases of the form CVE-...: such a finding is shown under the name of
 * the advisory, as REST v1 wants it, or is one for each of its flaws. */
enum match_names { MATCH_AS_NAMED, MATCH_BY_FLAW };
struct match {
    struct finding *findings; /* sorted by (package, id); one per (package, id) */
    size_t finding_count;
    struct match_feed *feeds; /* empty: nothing is known about its namespaces, the image is not covered */
    size_t feed_count;
    str data; /* the namespace whose word counts: the image's own, or that which stands in for it (distribution_data()) */
    str scheme; /* of the namespace: other packages of distributions are not judged; empty when no feed knows the namespace */
    str ecosystems[ECOSYSTEMS]; /* those of its packages that feeds know; packages of others are not judged */
    size_t ecosystem_count;
    int64_t generation;
};
#define STORE_MATCH_MAX                                                                                      \
    250000u /* affected ranges that fit one image, before the best for each (package, id) is picked */
/* Packages of an ecosystem (model/ecosystem.h) are judged by ranges of its namespace, whatever the image's is; for the others:
 * Ranges of the image's namespace, and of the one that is judged with it or, where no feed speaks of its own, instead (distribution_data()). A range
 * with a CPE counts if a repository of the image has it: of the repositories that the image names those that feeds know (the metadata of their
 * ids), else what every system of its release has (model/cpe.h). One with a module counts for packages of that module, one without for
 * packages without.
 * Of several ranges for one (package, id): those of the best ranked feeds count, and none when a feed of that rank or a better one says
 * "not affected"; of what is left the highest fix wins (unfixed is highest). Findings of one advisory share its texts. ERR_LIMIT: more than STORE_MATCH_MAX.
 * Severity (docs/severity.md): that of the range; where it is Unknown, what the same feed says of the id as such, which goes first where a finding
 * has another name than its advisory; else that of the best ranked feed that has one, of equal ranks the first by name. severity_source tells which. */
int store_match(struct store *s, const struct image_index *image, enum match_names names, struct arena *arena,
                struct match *ret, struct err *e); /* image: from the store or not */

/* ---- the other way round: whom an advisory hits ---- */

/* The number of what a feed says under that key now. 1, 0 unknown, -1. */
int store_advisory_find(struct store *s, str feed, str key, int64_t *ret_id, struct err *e);

struct stored_advisory {
    str feed, document;       /* document: empty once it has gone */
    unsigned rank;            /* of the feed */
    struct advisory advisory; /* of a negative range severity and state are not kept */
};
/* As it was put; also of one that has ended, as long as it is kept. 1, 0, -1. */
int store_advisory_get(struct store *s, int64_t id, struct arena *arena, struct stored_advisory *ret,
                       struct err *e);

/* All that feeds say now under that id, of whatever namespace, and clients: by number. Documents are empty. */
int store_said(struct store *s, str id, struct arena *arena, struct stored_advisory **ret, size_t *ret_count,
               struct err *e);

struct affected_image {
    int64_t id;
    str digest;
    unsigned indexer;
    str namespace; /* of the image: that in which the advisory speaks of it, or one that that serves (distribution_data()) */
};
struct affected_cursor { /* zeroes: from the beginning. It stays good while images and feeds come and go */
    int64_t namespace, set, distribution, image;
};
/* The images with a package that a range of the advisory contains and no "not affected" of a feed that counts as much denies (of better
 * feeds that say something else nothing is known here), after *cursor, which moves on: in an order that stays, each once. `advisory` may be one
 * that has ended, as long as it is kept. 1 there may be more, 0 these were the last, -1; ERR_NOT_FOUND: no such number. */
int store_affected(struct store *s, int64_t advisory, struct affected_cursor *cursor, size_t limit,
                   struct arena *arena, struct affected_image **ret, size_t *ret_count, struct err *e);

struct affected_name { /* a named layer, or an ancestry */
    int64_t id;        /* grows with age */
    str name;
};
/* Of REST v1's layers those that themselves added, in an image of `namespace` or of the one that it serves, a package that the advisory affects there; not those that stand on them. By number,
 * from `from` on, at most `limit`. 1 there may be more, from (the last one's id + 1) on; 0 these were the last; -1; ERR_NOT_FOUND: no such
 * advisory. The order is that of age, as REST v1 promises it. A page costs a look at the sets that are hit, and then at the names between its
 * first and its last one, or at all that is hit, whichever is less; about, and no more than half as much again. Memory: 8 bytes for each package
 * set that is hit. What the layer's parent has it did not add. */
int store_introducing(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                      struct arena *arena, struct affected_name **ret, size_t *ret_count, struct err *e);
/* The same of ancestries: all that have such a package, whatever layer brought it. */
int store_affected_ancestries(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                              struct arena *arena, struct affected_name **ret, size_t *ret_count,
                              struct err *e);

/* ---- feeds ---- */

struct feed_status {
    str name;
    int64_t entries;      /* visible affected and negative ranges */
    int64_t last_try;     /* 0 = never */
    int64_t last_success; /* 0 = never; also set when nothing was new */
    str error;            /* of the last try; empty when it succeeded */
    int64_t generation;   /* in which its content last changed; 0 = never */
    unsigned rank;        /* see store_update_begin() */
};
int store_feeds(struct store *s, struct arena *arena, struct feed_status **ret, size_t *ret_count,
                struct err *e); /* by name */

struct store_counts {
    int64_t layers, images, packages, advisories, ranges, changes, generation, schema;
};
int store_count(struct store *s, struct store_counts *ret, struct err *e);

/* What the feed's documents looked like when last loaded; 1 found, 0 not, -1. `validator` is opaque to the store. */
int store_document(struct store *s, str feed, str document, struct arena *arena, str *ret_validator,
                   struct err *e);

/* A row for the try itself, whatever becomes of it: error empty = success. Never part of an update's transactions. */
int store_feed_tried(struct store *s, str feed, int64_t now, str error, struct err *e);

/*
 * One update of one feed. Rows are staged invisibly, in transactions of at most 50 ms; store_update_commit() makes the new
 * generation visible in one small one. Dropping the handle, or being killed, at any moment leaves the old state; what was
 * staged is swept in steps by the next update, of whatever feed. One update runs at a time; a lease whose owner died is free at
 * once, one whose owner cannot be asked five minutes after it was renewed. Every document that begins renews it, unless it was renewed within a
 * second, and so do puts.
 *
 * The feed's content is the union of its documents. An update names each document whose content it replaces with
 * store_update_document(), and then puts that document's advisories. Documents not named keep what they had.
 * Only differences are written: an advisory whose content hash is unchanged touches no row; those of a named document that
 * were not put again are withdrawn. Each advisory that is new (not in a feed's first load), withdrawn, or of another meaning (id,
 * ranges, severities, what CVSS scores mean, KEV; not texts, links and EPSS) is one row of the change log. Metadata beyond the limits of
 * model/metadata.h is left out.
 */
struct store_update;
#define STORE_RANK 100u /* of a feed of which nothing is said: the lower, the more its word counts */
struct store_update *store_update_begin(struct store *s, str feed, unsigned rank,
                                        struct err *e); /* ERR_BUSY if another owner's lease runs */
int store_update_document(struct store_update *u, str document, str validator, struct err *e);
/* Into the document named last. What is wrong with an advisory may show only in a later put or in the commit: ERR_FORMAT then
 * names its document and key ("main.json: openssl/CVE-2024-1: the key comes twice"). */
int store_update_put(struct store_update *u, const struct advisory *a, struct err *e);
/* To be said before the first document: what this update changes is no news, and no row of the change log. */
void store_update_hush(struct store_update *u);
/* Removes a document and all it said. */
int store_update_drop(struct store_update *u, str document, struct err *e);

/* To be asked before the commit: would it leave the feed, or else a document that it names, with less than half of the advisories that are
 * there now? Of those with fewer than 100 nothing is said, nor, one by one, of documents that are dropped. *ret: what shrinks so; of several
 * documents the one that loses most. */
struct update_shrink {
    str document;          /* empty: the feed as a whole */
    int64_t before, after; /* advisories */
};
bool store_update_shrunk(struct store_update *u, struct update_shrink *ret);

struct update_counts {
    int64_t added, changed, withdrawn, unchanged; /* advisories */
    int64_t rows;                                 /* affected and negative ranges written or ended */
};
int store_update_commit(struct store_update *u, int64_t now, struct update_counts *ret,
                        struct err *e);           /* frees u in any case */
void store_update_freep(struct store_update **u); /* abandons it; for CLEANUP(); NULL is fine */

/*
 * ---- vulnerabilities: what REST v1 calls so, one for each (namespace, name), where name is the id of advisories ----
 *
 * What clients write belongs to the feed STORE_MANUAL, whose word counts more than any other's: for each (namespace, name) an advisory of its
 * own, in a document of its own, under the key "NAMESPACE/NAME". As long as there is one, nobody else's of that pair counts here
 * (store_match() goes by ranges, as ever, and a namespace of which only clients speak is not covered). One whose meta.client.gone is not empty
 * says that a client deleted what feeds say; it holds until they say something else.
 */
#define STORE_MANUAL      STR("manual")
#define STORE_MANUAL_RANK 0u
/* Of what namespace an advisory of STORE_MANUAL speaks: what stands in its key. */
str store_manual_namespace(const struct advisory *a);
#define STORE_HIDDEN STR("TEMP-") /* what feeds call so is no vulnerability here (design.md 9, Debian) */

struct stored_namespace {
    str name, scheme; /* of versions; empty: nobody said */
    str data;         /* of store_namespace_find(): whose word counts for its images, as in struct match */
};
/* All that were ever seen in images, named layers and advisories, in the order in which they came. */
int store_namespaces(struct store *s, struct arena *arena, struct stored_namespace **ret, size_t *ret_count,
                     struct err *e);
int store_namespace_find(struct store *s, str name, struct arena *arena, struct stored_namespace *ret,
                         struct err *e); /* 1, 0 never seen, -1 */

struct stored_vulnerability {
    int64_t id; /* of its youngest advisory: what changes goes to the end of the list */
    str name;
    struct stored_advisory *said; /* that of clients alone, or those of feeds; documents are empty */
    size_t said_count;
};
int store_vulnerability_find(struct store *s, str namespace, str name, struct arena *arena,
                             struct stored_vulnerability *ret, struct err *e); /* 1, 0, -1 */
/* Those of a namespace by `id`, from that one on: at most `limit`. *ret_next: where to go on; 0: these were the last. A page costs what is
 * on it, whatever else there is; it stays good while others are written. ERR_NOT_FOUND: the namespace was never seen. */
int store_vulnerabilities(struct store *s, str namespace, int64_t from, size_t limit, struct arena *arena,
                          struct stored_vulnerability **ret, size_t *ret_count, int64_t *ret_next,
                          struct err *e);
/* Findings of images of `namespace` as clients want them: those that an advisory of theirs hides are taken out, theirs have their own metadata
 * (meta) and severity. */
int store_match_manual(struct store *s, str namespace, struct arena *arena, struct match *m, struct err *e);

/* One write: no feed and no other writer changes anything between the begin and the end. ERR_BUSY: another update runs. *ret_found as
 * store_vulnerability_find(): *ret is what there is now. */
struct store_writing;
struct store_writing *store_writing_begin(struct store *s, str namespace, str name, struct arena *arena,
                                          struct stored_vulnerability *ret, int *ret_found, struct err *e);
/* Both end it, whatever becomes of it. A put is one row of the change log, of that namespace alone; a deletion is one for each advisory that
 * was to be seen, for together they were the vulnerability. */
int store_writing_put(struct store_writing *w, const struct advisory *a, int64_t now,
                      struct err *e);                                          /* its key is made here */
int store_writing_delete(struct store_writing *w, int64_t now, struct err *e); /* of one that was found */
void store_writing_freep(struct store_writing **w); /* leaves all as it was; NULL is fine */

/* ---- watch: told of each new generation, whoever made it ---- */

int store_generation(struct store *s, int64_t *ret, struct err *e); /* that readers see */

struct store_watch; /* has a handle of its own; one thread */
struct store_watch *store_watch_open(const char *where, struct err *e);
/* 1: the generation is another than at the last call, or, at the first, than at the open. 0: time is up. PostgreSQL tells at once, SQLite
 * is looked at each 250 ms, a standby each second. After -1 it may be called again; a connection that broke is made anew. */
int store_watch_wait(struct store_watch *w, int timeout_ms, int64_t *ret_generation, struct err *e);
void store_watch_freep(struct store_watch **w); /* NULL is fine */
/*
 * ---- notifications: a queue that several servers share ----
 *
 * Each row of the change log becomes one notification for each namespace in which it changes anything (none for an advisory that says nothing
 * of any), in order. It waits until it is due, is taken by one taker at a time, for as long as the
 * lease lasts, and is told until telling succeeds; then it stays until the client deletes it. A taker that is killed loses nothing: at the
 * end of its lease another one takes what it had, so that a client may be told twice, never not at all. A database that is made or migrated
 * has none: what was loaded before is no news. They hold the generations that they name, so that their texts can be told: for 30 days.
 */
struct notification {
    int64_t id; /* grows with age */
    str name;   /* a random UUID, in small letters */
    str feed;
    int64_t before, after; /* advisories, for store_advisory_get() and store_affected(); 0: there is none */
    int64_t generation;    /* that made the change */
    int64_t created, notified, deleted; /* times; 0: not */
    int64_t attempts;                   /* that failed since it was told last */
    int64_t due;                        /* when it may be taken; 0: not (again) */
    str owner;                          /* who took it last */
    int64_t until;                      /* the end of its lease, by the database's clock; 0: none */
    str error;                          /* of the last attempt; empty when it succeeded */
    str namespace;                      /* in which the advisories differ: ranges of others are not meant */
};

/* Somebody tells notifications: to be said at the start and each day. Where nobody has for 30 days store_tidy() makes none and lets changes
 * go; what it has let go no notification is made of later. */
int store_notifications_want(struct store *s, int64_t now, struct err *e);

/* Turns at most `limit` changes that have no notification yet into such, the oldest first, in one transaction: a kill loses none, and of
 * several callers each change is one's. 1 there may be more, 0 there are none, -1. */
int store_notifications_make(struct store *s, int64_t now, size_t limit, size_t *ret_count, struct err *e);

/* One that another server had made and nobody has deleted: with `name`, `feed`, `before`, `after`, `created`, `due` and `namespace` as given, of
 * the generation that readers see. 1: stored, 0: the name is there, be it deleted, -1. ERR_NOT_FOUND: no such feed or namespace here;
 * ERR_USAGE: the name is none (see above). */
int store_notification_put(struct store *s, const struct notification *n, struct err *e);

#define STORE_NOTIFICATION_LEASE 86400u /* seconds at most: ERR_USAGE */
/* 1: the one that is due the longest is `owner`'s for `seconds`. 0: none is due. -1. */
int store_notification_take(struct store *s, str owner, unsigned seconds, struct arena *arena,
                            struct notification *ret, struct err *e);
/* 1: it is `owner`'s for `seconds` from now on. 0: it is another's, or done with, or was deleted meanwhile: do not tell it. -1. */
int store_notification_renew(struct store *s, str name, str owner, unsigned seconds, struct err *e);
/* The client was told: 1, 0 it is not `owner`'s (another one tells it again), -1. It is due again `again_s` seconds later unless it is deleted by
 * then; 0: never. */
int store_notification_sent(struct store *s, str name, str owner, int64_t again_s, struct err *e);
/* It was not, because of `error`: due again in `due_s` seconds. 1, 0 it is not `owner`'s, -1. */
int store_notification_failed(struct store *s, str name, str owner, int64_t due_s, str error, struct err *e);
/* The client has read it: it is never taken again, and can be read for an hour. 1, 0 unknown or deleted before, -1. */
int store_notification_delete(struct store *s, str name, struct err *e);
/* It is due now, whatever came of earlier attempts, also when it was told. 1, 0 unknown or deleted, or being told at this moment, -1. */
int store_notification_retry(struct store *s, str name, struct err *e);
/* Deleted ones, too: 1, 0 unknown, -1. */
int store_notification_find(struct store *s, str name, struct arena *arena, struct notification *ret,
                            struct err *e);
/* Deleted ones, too, by number, from the one after `after` on (0: all). */
int store_notification_list(struct store *s, int64_t after, size_t limit, struct arena *arena,
                            struct notification **ret, size_t *ret_count, struct err *e);

struct notification_counts {
    int64_t waiting; /* never told, not deleted */
    int64_t oldest;  /* when the oldest of them was created; 0: none waits */
    int64_t failed;  /* of them: at least one attempt failed */
};
int store_notification_count(struct store *s, struct notification_counts *ret, struct err *e);

/* ---- keys and nonces, shared by all instances on one database (spec/clair-jwt.md 6, 7) ---- */

struct service_key {
    str service, kid;                   /* together its name */
    str jwk;                            /* public */
    int64_t created, approved, expires; /* seconds since 1970; 0: not yet, never */
    int64_t rotation_s;                 /* 0: none told */
    str replaced_by;                    /* kid; empty: none */
};
int store_key_put(struct store *s, const struct service_key *k,
                  struct err *e); /* a new row, or in place of it */
int store_key_add(struct store *s, const struct service_key *k,
                  struct err *e); /* 1, 0 one of that name is there, and stays */
int store_key_find(struct store *s, str service, str kid, struct arena *arena, struct service_key *ret,
                   struct err *e); /* 1, 0, -1 */
int store_key_list(struct store *s, str service, struct arena *arena, struct service_key **ret, size_t *count,
                   struct err *e); /* of all services when it is empty; in order of service, created, kid */
int store_key_delete(struct store *s, str service, str kid, struct err *e); /* 1, 0 there was none */
/* In one transaction: `k` becomes a row, approved like `old`, which expires now: both at k->created. 0 when `old` is not approved, or not any
 * more, or when one of the name of `k` is there. store_tidy() forgets a key a week after it has expired, and one that was never approved a week after it came. */
int store_key_replace(struct store *s, const struct service_key *k, str old, struct err *e);

struct service_key_counts {
    int64_t keys, pending;                       /* of all services; pending: not approved */
    int64_t keys_of_service, pending_of_service; /* of one */
};
int store_key_count(struct store *s, str service, struct service_key_counts *ret, struct err *e);

/* 1: never seen, and remembered until `until` (store_tidy() forgets it then); 0: seen. One row, one round trip, no lease. */
int store_nonce_take(struct store *s, str issuer, str nonce, int64_t until, struct err *e);

/* ---- leases: one holder at a time, by a server's clock, or for a file by the time since the machine started ---- */

#define STORE_OWNER 160
void store_owner(char ret[STORE_OWNER]); /* a new one: this boot, this process, this call */
/* 1: `owner` holds it for `seconds` from now on (taken, renewed, or its last holder has died). 0: another does, until *ret_until
 * (clock_now()'s time). -1. */
int store_lease_take(struct store *s, str name, str owner, unsigned seconds, int64_t *ret_until,
                     struct err *e);
int store_lease_drop(struct store *s, str name, str owner, struct err *e); /* nothing when another holds it */

/* ---- tidying: what makes the database follow what is alive in it ---- */

/*
 * New package sets join the index of store_affected(), changes become notifications, advisories and changes of old generations go, and so do
 * notifications 30 days after they were created or an hour after they were deleted, nonces and keys when they are due, and images, layers, package sets and packages that
 * nothing refers to. In steps, each a short transaction under the lease 'tidy', so that it may be ended, or killed, at any time. Kept are of
 * old generations those of the last 30 days, as long as they hold less than a quarter of what is current, or 10,000 advisories, and in any
 * case the one of the oldest notification that is not deleted and all after it; images without a name in REST v1 that were used in the last
 * `unused_s` seconds; what was stored within a day.
 */
struct tidy_options {
    int64_t ms; /* about; 0: until nothing is left to do */
    bool
        whole; /* what waits is done at once, though more of it together would be cheaper; and packages are looked at */
    int64_t unused_s;          /* 0: 30 days */
    int64_t now;               /* seconds since 1970 */
    bool (*enough)(void *ctx); /* asked between steps: is it time to end? NULL: no */
    void *ctx;
};
struct tidy_counts {
    int64_t steps;                                                              /* of merging */
    int64_t advisories, changes, images, layers, sets, packages, notifications; /* deleted */
};
int store_tidy(struct store *s, const struct tidy_options *o, struct tidy_counts *ret,
               struct err *e); /* 1 there is more to do, 0 there is not, -1; ERR_BUSY: another one is at it */
/* The image will be needed: it is not taken for unused. 1, 0 it is not there, -1; 1 when the store cannot be written. */
int store_image_keep(struct store *s, int64_t id, struct err *e);

/* ---- key-values that other programs read ---- */
int store_value_get(struct store *s, str key, struct arena *arena, str *ret, struct err *e); /* 1, 0, -1 */
int store_value_set(struct store *s, str key, str value, struct err *e);

/* ---- care: what `eclair db` does ---- */

int store_size(struct store *s, int64_t *ret, struct err *e); /* bytes on disk, without what waits in a log */
struct store_lease {
    str name, owner;
    int64_t left_s;
};
struct store_condition {
    int64_t bytes; /* as store_size() says */
    int64_t waiting,
        segments;   /* package sets that are not in the index of store_affected() yet, and its parts */
    int64_t oldest; /* generation since which all that was withdrawn is kept */
    struct store_lease *leases; /* that are held */
    size_t lease_count;
};
int store_condition(struct store *s, struct arena *arena, struct store_condition *ret, struct err *e);
/* Gives back to the system what deleted rows have left, as far as the engine can while others read and write: after store_tidy(). */
int store_compact(struct store *s, struct err *e);
/* The file page by page, as it is at this moment, into that of an empty file or a new one, while others read and write. ERR_UNSUPPORTED: a
 * server has means of its own. */
int store_backup(struct store *s, const char *path, struct err *e);

typedef void store_problem(void *ctx, const char *text);
/* Holds what is stored against itself, each part in one read view while others write, and reports what does not fit: one line each, of one
 * kind some hundred at most; a text may hold bytes of an image. Without `full` the index of store_affected() is looked at in places, others each time. Memory: some 40 MiB. */
int store_check(struct store *s, bool full, store_problem *report, void *ctx, struct err *e);

/* ---- walks: all that is stored, in steps: what comes behind `after`, of *ret_count 0 the end. In one view they fit together ---- */

struct stored_content { /* a layer, an image */
    int64_t id;
    str digest;
    unsigned indexer;
};
int store_layers_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                       struct stored_content **ret, size_t *ret_count, struct err *e);
int store_images_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                       struct stored_content **ret, size_t *ret_count, struct err *e);
struct stored_hash { /* see store_hash_find() */
    int64_t id;
    str hash, digest;
    unsigned indexer;
};
int store_hashes_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                       struct stored_hash **ret, size_t *ret_count, struct err *e);
/* Parents before their children. */
int store_named_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                      struct named_layer **ret, size_t *ret_count, struct err *e);
struct stored_document {
    int64_t id;
    str name, validator;
};
/* All of a feed, by name. */
int store_documents(struct store *s, str feed, struct arena *arena, struct stored_document **ret,
                    size_t *ret_count, struct err *e);
struct stored_entry { /* what is visible of a feed, as it was put; see store_advisory_get() */
    int64_t id, document;
    struct advisory advisory;
};
int store_advisories_after(struct store *s, str feed, int64_t after, size_t limit, struct arena *arena,
                           struct stored_entry **ret, size_t *ret_count, struct err *e);
struct stored_value {
    str key, value;
};
int store_values_after(struct store *s, str after, size_t limit, struct arena *arena,
                       struct stored_value **ret, size_t *ret_count, struct err *e);

/*
 * All that is in `from`, as it is at this moment, into `to`, whatever engines they are: what is there already is not doubled, and named layers
 * and ancestries whose names stand for something else there are left out. Each feed becomes what it is in `from`, by a usual update; feeds that only `to` has
 * stay. In transactions of their own: an error leaves what came before it, and the whole may be done again. Memory: 16 bytes for each image.
 */
struct copy_counts {
    int64_t advisories, layers, images, named, ancestries, left_out;
};
typedef void store_progress(void *ctx, const struct copy_counts *so_far);
int store_copy(struct store *from, struct store *to, store_progress *progress, void *ctx,
               struct copy_counts *ret, struct err *e); /* progress: may be NULL */
