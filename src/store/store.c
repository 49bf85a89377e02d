#include "store/store.h"

#include "store/engine.h"

#include <ctype.h>

/* A connection string of libpq: a URI, or "keyword = value" with a word of letters and "_" before the "=". A
 * path that looks like that is written "./host=x". */
bool store_is_server(const char *place)
{
    str where = str_from(place);
    if (str_starts(where, STR("postgresql://")) || str_starts(where, STR("postgres://")))
        return true;
    str word = str_trim(str_cut(&where, '='));
    if (word.ptr + word.len >= place + strlen(place) || !word.len)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (!isalpha((unsigned char)word.ptr[i]) && word.ptr[i] != '_')
            return false;
    return true;
}

struct store *store_open(const char *where, enum store_mode mode, struct err *e)
{
    return (store_is_server(where) ? &store_postgres : &store_sqlite)->open(where, mode, e);
}

int store_ping(struct store *s, struct err *e) { return s->engine->ping(s, e); }

void store_freep(struct store **s)
{
    if (*s)
        (*s)->engine->close(*s);
    *s = NULL;
}

int store_layer_find(struct store *s, str digest, unsigned indexer, struct arena *arena,
                     struct layer_index **ret, struct err *e)
{
    return s->engine->layer_find(s, digest, indexer, arena, ret, e);
}

int store_layer_put(struct store *s, const struct layer_index *layer, unsigned indexer, struct err *e)
{
    return s->engine->layer_put(s, layer, indexer, e);
}

int store_image_put(struct store *s, const struct image_index *image, unsigned indexer, int64_t *ret_id,
                    struct err *e)
{
    return s->engine->image_put(s, image, indexer, ret_id, e);
}

int store_image_find(struct store *s, str digest, unsigned indexer, struct arena *arena,
                     struct image_index **ret, int64_t *ret_id, struct err *e)
{
    return s->engine->image_find(s, digest, indexer, arena, ret, ret_id, e);
}

int store_image_get(struct store *s, int64_t id, struct arena *arena, struct image_index **ret, struct err *e)
{
    return s->engine->image_get(s, id, arena, ret, e);
}

int store_named_find(struct store *s, str name, struct arena *arena, struct named_layer **ret, struct err *e)
{
    return s->engine->named_find(s, name, arena, ret, e);
}

int store_named_put(struct store *s, const struct named_layer *layer, struct err *e)
{
    return s->engine->named_put(s, layer, e);
}

int store_named_delete(struct store *s, str name, struct err *e)
{
    return s->engine->named_delete(s, name, e);
}

int store_named_chain(struct store *s, str name, struct arena *arena, struct named_link **ret,
                      size_t *ret_count, struct err *e)
{
    return s->engine->named_chain(s, name, arena, ret, ret_count, e);
}

int store_view_begin(struct store *s, struct err *e) { return s->engine->view_begin(s, e); }

void store_view_end(struct store *s) { s->engine->view_end(s); }

int store_match(struct store *s, const struct image_index *image, struct arena *arena, struct match *ret,
                struct err *e)
{
    return s->engine->match(s, image, arena, ret, e);
}

int store_advisory_find(struct store *s, str feed, str key, int64_t *ret_id, struct err *e)
{
    return s->engine->advisory_find(s, feed, key, ret_id, e);
}

int store_advisory_get(struct store *s, int64_t id, struct arena *arena, struct stored_advisory *ret,
                       struct err *e)
{
    return s->engine->advisory_get(s, id, arena, ret, e);
}

int store_affected(struct store *s, int64_t advisory, struct affected_cursor *cursor, size_t limit,
                   struct arena *arena, struct affected_image **ret, size_t *ret_count, struct err *e)
{
    return s->engine->affected(s, advisory, cursor, limit, arena, ret, ret_count, e);
}

int store_generation(struct store *s, int64_t *ret, struct err *e)
{
    return s->engine->generation(s, ret, e);
}

int store_feeds(struct store *s, struct arena *arena, struct feed_status **ret, size_t *ret_count,
                struct err *e)
{
    return s->engine->feeds(s, arena, ret, ret_count, e);
}

int store_count(struct store *s, struct store_counts *ret, struct err *e)
{
    return s->engine->count(s, ret, e);
}

int store_document(struct store *s, str feed, str document, struct arena *arena, str *ret_validator,
                   struct err *e)
{
    return s->engine->document(s, feed, document, arena, ret_validator, e);
}

int store_feed_tried(struct store *s, str feed, int64_t now, str error, struct err *e)
{
    return s->engine->feed_tried(s, feed, now, error, e);
}

struct store_update *store_update_begin(struct store *s, str feed, unsigned rank, struct err *e)
{
    return s->engine->update_begin(s, feed, rank, e);
}

int store_update_document(struct store_update *u, str document, str validator, struct err *e)
{
    return u->engine->update_document(u, document, validator, e);
}

int store_update_put(struct store_update *u, const struct advisory *a, struct err *e)
{
    return u->engine->update_put(u, a, e);
}

int store_update_drop(struct store_update *u, str document, struct err *e)
{
    return u->engine->update_drop(u, document, e);
}

int store_update_commit(struct store_update *u, int64_t now, struct update_counts *ret, struct err *e)
{
    return u->engine->update_commit(u, now, ret, e);
}

void store_update_freep(struct store_update **u)
{
    if (*u)
        (*u)->engine->update_free(*u);
    *u = NULL;
}

int store_lease_take(struct store *s, str name, str owner, unsigned seconds, int64_t *ret_until,
                     struct err *e)
{
    return s->engine->lease_take(s, name, owner, seconds, ret_until, e);
}

int store_lease_drop(struct store *s, str name, str owner, struct err *e)
{
    return s->engine->lease_drop(s, name, owner, e);
}

int store_notifications_want(struct store *s, int64_t now, struct err *e)
{
    return s->engine->notifications_want(s, now, e);
}

int store_notifications_make(struct store *s, int64_t now, size_t limit, size_t *ret_count, struct err *e)
{
    return s->engine->notifications_make(s, now, limit, ret_count, e);
}

int store_notification_take(struct store *s, str owner, unsigned seconds, struct arena *arena,
                            struct notification *ret, struct err *e)
{
    return s->engine->notification_take(s, owner, seconds, arena, ret, e);
}

int store_notification_renew(struct store *s, str name, str owner, unsigned seconds, struct err *e)
{
    return s->engine->notification_renew(s, name, owner, seconds, e);
}

int store_notification_sent(struct store *s, str name, str owner, int64_t again_s, struct err *e)
{
    return s->engine->notification_sent(s, name, owner, again_s, e);
}

int store_notification_failed(struct store *s, str name, str owner, int64_t due_s, str error, struct err *e)
{
    return s->engine->notification_failed(s, name, owner, due_s, error, e);
}

int store_notification_delete(struct store *s, str name, struct err *e)
{
    return s->engine->notification_delete(s, name, e);
}

int store_notification_find(struct store *s, str name, struct arena *arena, struct notification *ret,
                            struct err *e)
{
    return s->engine->notification_find(s, name, arena, ret, e);
}

int store_notification_list(struct store *s, int64_t after, size_t limit, struct arena *arena,
                            struct notification **ret, size_t *ret_count, struct err *e)
{
    return s->engine->notification_list(s, after, limit, arena, ret, ret_count, e);
}

int store_notification_count(struct store *s, struct notification_counts *ret, struct err *e)
{
    return s->engine->notification_count(s, ret, e);
}

int store_tidy(struct store *s, const struct tidy_options *o, struct tidy_counts *ret, struct err *e)
{
    return s->engine->tidy(s, o, ret, e);
}

int store_image_keep(struct store *s, int64_t id, struct err *e) { return s->engine->image_keep(s, id, e); }

int store_value_get(struct store *s, str key, struct arena *arena, str *ret, struct err *e)
{
    return s->engine->value_get(s, key, arena, ret, e);
}

int store_value_set(struct store *s, str key, str value, struct err *e)
{
    return s->engine->value_set(s, key, value, e);
}

int64_t store_schema_before(const struct store *s) { return s->schema_before; }

int store_size(struct store *s, int64_t *ret, struct err *e) { return s->engine->size(s, ret, e); }

int store_compact(struct store *s, struct err *e) { return s->engine->compact(s, e); }

int store_condition(struct store *s, struct arena *arena, struct store_condition *ret, struct err *e)
{
    return s->engine->condition(s, arena, ret, e);
}

int store_backup(struct store *s, const char *path, struct err *e) { return s->engine->backup(s, path, e); }

int store_check(struct store *s, bool full, store_problem *report, void *ctx, struct err *e)
{
    return s->engine->check(s, full, report, ctx, e);
}

int store_layers_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                       struct stored_content **ret, size_t *ret_count, struct err *e)
{
    return s->engine->layers_after(s, after, limit, arena, ret, ret_count, e);
}

int store_images_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                       struct stored_content **ret, size_t *ret_count, struct err *e)
{
    return s->engine->images_after(s, after, limit, arena, ret, ret_count, e);
}

int store_named_after(struct store *s, int64_t after, size_t limit, struct arena *arena,
                      struct stored_named **ret, size_t *ret_count, struct err *e)
{
    return s->engine->named_after(s, after, limit, arena, ret, ret_count, e);
}

int store_documents(struct store *s, str feed, struct arena *arena, struct stored_document **ret,
                    size_t *ret_count, struct err *e)
{
    return s->engine->documents(s, feed, arena, ret, ret_count, e);
}

int store_advisories_after(struct store *s, str feed, int64_t after, size_t limit, struct arena *arena,
                           struct stored_entry **ret, size_t *ret_count, struct err *e)
{
    return s->engine->advisories_after(s, feed, after, limit, arena, ret, ret_count, e);
}

int store_values_after(struct store *s, str after, size_t limit, struct arena *arena,
                       struct stored_value **ret, size_t *ret_count, struct err *e)
{
    return s->engine->values_after(s, after, limit, arena, ret, ret_count, e);
}
