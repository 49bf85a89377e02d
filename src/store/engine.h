/*
 * engine.h - what an engine is to store.c: one const table of functions, each with the contract of the store_
 * function of its name. An engine's own structs begin with `struct store` and `struct store_update`.
 */
#pragma once
#include "store/store.h"

struct store {
    const struct store_engine *engine;
    int64_t schema_before; /* see store_schema_before() */
};

struct store_update {
    const struct store_engine *engine;
};

struct store_engine {
    struct store *(*open)(const char *where, enum store_mode mode, struct err *e);
    void (*close)(struct store *s);

    int (*layer_find)(struct store *s, str digest, unsigned indexer, struct arena *arena,
                      struct layer_index **ret, struct err *e);
    int (*layer_put)(struct store *s, const struct layer_index *layer, unsigned indexer, struct err *e);
    int (*image_put)(struct store *s, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                     struct err *e);
    int (*image_find)(struct store *s, str digest, unsigned indexer, struct arena *arena,
                      struct image_index **ret, int64_t *ret_id, struct err *e);
    int (*image_get)(struct store *s, int64_t id, struct arena *arena, struct image_index **ret,
                     struct err *e);
    int (*match)(struct store *s, const struct image_index *image, struct arena *arena, struct match *ret,
                 struct err *e);

    int (*named_find)(struct store *s, str name, struct arena *arena, struct named_layer **ret,
                      struct err *e);
    int (*named_put)(struct store *s, const struct named_layer *layer, struct err *e);
    int (*named_delete)(struct store *s, str name, struct err *e);
    int (*named_chain)(struct store *s, str name, struct arena *arena, struct named_link **ret,
                       size_t *ret_count, struct err *e);

    int (*advisory_find)(struct store *s, str feed, str key, int64_t *ret_id, struct err *e);
    int (*advisory_get)(struct store *s, int64_t id, struct arena *arena, struct stored_advisory *ret,
                        struct err *e);
    int (*affected)(struct store *s, int64_t advisory, struct affected_cursor *cursor, size_t limit,
                    struct arena *arena, struct affected_image **ret, size_t *ret_count, struct err *e);
    int (*feeds)(struct store *s, struct arena *arena, struct feed_status **ret, size_t *ret_count,
                 struct err *e);
    int (*count)(struct store *s, struct store_counts *ret, struct err *e);
    int (*document)(struct store *s, str feed, str document, struct arena *arena, str *ret_validator,
                    struct err *e);
    int (*feed_tried)(struct store *s, str feed, int64_t now, str error, struct err *e);

    struct store_update *(*update_begin)(struct store *s, str feed, unsigned rank, struct err *e);
    int (*update_document)(struct store_update *u, str document, str validator, struct err *e);
    int (*update_put)(struct store_update *u, const struct advisory *a, struct err *e);
    int (*update_drop)(struct store_update *u, str document, struct err *e);
    int (*update_commit)(struct store_update *u, int64_t now, struct update_counts *ret, struct err *e);
    void (*update_free)(struct store_update *u);

    /* Until the generation may be another than when it was last asked for: 1; 0: time is up; -1. */
    int (*doze)(struct store *s, int timeout_ms, struct err *e);
    int (*generation)(struct store *s, int64_t *ret, struct err *e);
    int (*notifications_want)(struct store *s, int64_t now, struct err *e);
    int (*notifications_make)(struct store *s, int64_t now, size_t limit, size_t *ret_count, struct err *e);
    int (*notification_take)(struct store *s, str owner, unsigned seconds, struct arena *arena,
                             struct notification *ret, struct err *e);
    int (*notification_renew)(struct store *s, str name, str owner, unsigned seconds, struct err *e);
    int (*notification_sent)(struct store *s, str name, str owner, int64_t again_s, struct err *e);
    int (*notification_failed)(struct store *s, str name, str owner, int64_t due_s, str error, struct err *e);
    int (*notification_delete)(struct store *s, str name, struct err *e);
    int (*notification_find)(struct store *s, str name, struct arena *arena, struct notification *ret,
                             struct err *e);
    int (*notification_list)(struct store *s, int64_t after, size_t limit, struct arena *arena,
                             struct notification **ret, size_t *ret_count, struct err *e);
    int (*notification_count)(struct store *s, struct notification_counts *ret, struct err *e);

    int (*ping)(struct store *s, struct err *e);
    int (*view_begin)(struct store *s, struct err *e);
    void (*view_end)(struct store *s);
    int (*lease_take)(struct store *s, str name, str owner, unsigned seconds, int64_t *ret_until,
                      struct err *e);
    int (*lease_drop)(struct store *s, str name, str owner, struct err *e);
    int (*tidy)(struct store *s, const struct tidy_options *o, struct tidy_counts *ret, struct err *e);
    int (*image_keep)(struct store *s, int64_t id, struct err *e);
    int (*value_get)(struct store *s, str key, struct arena *arena, str *ret, struct err *e);
    int (*value_set)(struct store *s, str key, str value, struct err *e);

    int (*size)(struct store *s, int64_t *ret, struct err *e);
    int (*compact)(struct store *s, struct err *e);
    int (*condition)(struct store *s, struct arena *arena, struct store_condition *ret, struct err *e);
    int (*backup)(struct store *s, const char *path, struct err *e);
    int (*check)(struct store *s, bool full, store_problem *report, void *ctx, struct err *e);
    int (*layers_after)(struct store *s, int64_t after, size_t limit, struct arena *arena,
                        struct stored_content **ret, size_t *ret_count, struct err *e);
    int (*images_after)(struct store *s, int64_t after, size_t limit, struct arena *arena,
                        struct stored_content **ret, size_t *ret_count, struct err *e);
    int (*named_after)(struct store *s, int64_t after, size_t limit, struct arena *arena,
                       struct stored_named **ret, size_t *ret_count, struct err *e);
    int (*documents)(struct store *s, str feed, struct arena *arena, struct stored_document **ret,
                     size_t *ret_count, struct err *e);
    int (*advisories_after)(struct store *s, str feed, int64_t after, size_t limit, struct arena *arena,
                            struct stored_entry **ret, size_t *ret_count, struct err *e);
    int (*values_after)(struct store *s, str after, size_t limit, struct arena *arena,
                        struct stored_value **ret, size_t *ret_count, struct err *e);
};

extern const struct store_engine store_sqlite, store_postgres;
