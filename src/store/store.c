#include "store/store.h"

#include "store/engine.h"

#include <ctype.h>

/* A connection string of libpq: a URI, or "keyword = value" with a word of letters and "_" before the "=". A
 * path that looks like that is written "./host=x". */
static bool postgres(str where)
{
    if (str_starts(where, STR("postgresql://")) || str_starts(where, STR("postgres://")))
        return true;
    str word = str_trim(str_cut(&where, '='));
    if (!where.ptr || !where.len || !word.len)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (!isalpha((unsigned char)word.ptr[i]) && word.ptr[i] != '_')
            return false;
    return true;
}

struct store *store_open(const char *where, enum store_mode mode, struct err *e)
{
    if (postgres(str_from(where))) {
        err_set(e, ERR_UNSUPPORTED, "PostgreSQL is not built in: give the path of a file");
        return NULL;
    }
    return store_sqlite.open(where, mode, e);
}

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

int store_match(struct store *s, int64_t image_id, struct arena *arena, struct match *ret, struct err *e)
{
    return s->engine->match(s, image_id, arena, ret, e);
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

struct store_update *store_update_begin(struct store *s, str feed, struct err *e)
{
    return s->engine->update_begin(s, feed, e);
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

int store_value_get(struct store *s, str key, struct arena *arena, str *ret, struct err *e)
{
    return s->engine->value_get(s, key, arena, ret, e);
}

int store_value_set(struct store *s, str key, str value, struct err *e)
{
    return s->engine->value_set(s, key, value, e);
}
