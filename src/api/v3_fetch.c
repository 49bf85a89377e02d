#include "api/v3_fetch.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strmap.h"
#include "codec/sha256.h"
#include "index/index.h"

#define FETCHERS_MAX  16                 /* threads of one post */
#define THREAD_MEMORY ((size_t)16 << 20) /* for one layer's path and headers */

int fetch_fail(struct fetch *f, enum fetch_step step, size_t layer, const struct err *e)
{
    pthread_mutex_lock(&f->lock);
    bool ours = e->kind == ERR_BUSY && atomic_load(&f->stop); /* given up because of another one */
    if (!f->failed && !ours) {
        f->failed = true;
        f->failure = (struct fetch_failure){ step, layer, *e };
    }
    atomic_store(&f->stop, true);
    pthread_mutex_unlock(&f->lock);
    return -1;
}

/* ---- what is known ---- */

static int find_content(struct fetch *f, struct store *s, struct fetch_content *content, struct arena *arena,
                        struct err *e)
{
    str digest = content->key;
    bool named = digest_valid(str_from(content->layer->hash));
    int found =
        named ? store_layer_known(s, digest, indexer_version(), e) /* what is verified nobody else names */
              : store_hash_find(s, content->key, indexer_version(), arena, &digest, e);
    if (found > 0 && digest.len < FETCH_DIGEST_MAX)
        snprintf(content->digest, FETCH_DIGEST_MAX, STR_FMT, STR_ARG(digest));
    return found;
}

static int look_for(struct fetch *f, struct fetch_content *content, struct arena *arena, struct err *e)
{
    struct store *s = posts_look(f->call, e);
    int found = s ? find_content(f, s, content, arena, e) : -1;
    posts_looked(f->call, s);
    return found;
}

static int look_for_all(struct fetch *f, struct err *e)
{
    struct store *s = posts_look(f->call, e);
    int found = s ? 0 : -1;
    for (size_t i = 0; found >= 0 && i < f->content_count; i++) {
        *f->contents[i].digest = '\0';
        found = find_content(f, s, &f->contents[i], f->call->request->arena, e);
    }
    posts_looked(f->call, s);
    return found < 0 ? -1 : 0;
}

/* ---- a layer ---- */

struct fetching {
    struct fetch *all;
    struct fetch_content *content;
};

static int take(void *ctx, const struct layer_index *layer, struct err *e)
{
    const struct fetching *f = ctx;
    struct api *a = f->all->call->api;
    struct store *s = stores_take(a->stores, e);
    int64_t began = clock_ns();
    int result = s ? store_layer_put(s, layer, indexer_version(), e) : -1;
    if (result == 0 && !str_eq(layer->digest, f->content->key))
        result = store_hash_put(s, f->content->key, layer->digest, indexer_version(), e);
    v1_asked(f->all->call, "InsertLayer", began);
    stores_give(a->stores, s);
    return result < 0 ? -1 : 0;
}

/* Of a header that comes twice the last one counts, as in any map of protobuf. */
static bool comes_again(const PostLayer *l, size_t i)
{
    for (size_t k = i + 1; k < l->n_headers; k++)
        if (!strcmp(l->headers[i]->key, l->headers[k]->key))
            return true;
    return false;
}

static int place_of(struct fetch *f, const PostLayer *l, struct arena *arena, struct source_place *ret,
                    struct err *e)
{
    struct v1_header *headers = arena_array(arena, struct v1_header, l->n_headers + 1);
    if (!headers)
        return err_set(e, ERR_OOM, "headers");
    *ret = (struct source_place){ .path = str_from(l->path), .headers = headers, .stop = &f->stop };
    for (size_t i = 0; i < l->n_headers; i++)
        if (!comes_again(l, i))
            headers[ret->header_count++] =
                (struct v1_header){ str_from(l->headers[i]->key), str_from(l->headers[i]->value) };
    return 0;
}

/* What would be fetched, for others who want the same. */
static str describe(const struct source_place *place, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    buf_add(&out, place->path.ptr, place->path.len + 1); /* with the NUL behind it, as all of these */
    for (size_t i = 0; i < place->header_count; i++) {
        buf_add(&out, place->headers[i].key.ptr, place->headers[i].key.len + 1);
        buf_add(&out, place->headers[i].value.ptr, place->headers[i].value.len + 1);
    }
    return out.failed ? STR("") : arena_dup(arena, buf_view(&out));
}

static int fetch_now(struct fetch *f, struct fetch_content *content, const struct source_place *place,
                     bool here, struct arena *arena, enum fetch_step *ret_step, struct err *e)
{
    *ret_step = FETCH_LOOK;
    int found = look_for(f, content, arena, e);
    if (found)
        return found < 0 ? -1 : 0;
    const struct posted posted = {
        .name = str_from(content->layer->hash), .place = *place, .format = f->format, .here = here
    };
    struct fetching fetching = { f, content };
    enum posted_step step;
    int result = posted_read(f->call, &posted, arena, take, &fetching, &step, e);
    *ret_step = (enum fetch_step)step;
    if (result < 0)
        return -1;
    *ret_step = FETCH_LOOK;
    found = look_for(f, content, arena, e); /* of a hash that came meanwhile the first content stays */
    return found > 0 ? 0 : found < 0 ? -1 : err_set(e, ERR_INTERNAL, "a layer vanished from the store");
}

/* A failure as one number, for a flight. */
static unsigned pack(enum fetch_step step, enum err_kind kind)
{
    return 1 + (unsigned)step * ERR_KINDS + (unsigned)kind;
}

static int landed(unsigned status, const struct buf *answer, enum fetch_step *ret_step, struct err *e)
{
    *ret_step = (enum fetch_step)((status - 1) / ERR_KINDS);
    return err_set(e, (enum err_kind)((status - 1) % ERR_KINDS), STR_FMT, STR_ARG(buf_view(answer)));
}

/* Posts that want the same hash at once fetch it once. */
static int fetch(struct fetch *f, struct fetch_content *content, struct arena *arena,
                 enum fetch_step *ret_step, struct err *e)
{
    struct flights *flights = f->call->api->posts->flights;
    CLEANUP(buf_done) struct buf answer = { 0 };
    struct source_place place;
    *ret_step = FETCH_SOURCE;
    if (place_of(f, content->layer, arena, &place, e) < 0)
        return -1;
    struct flight mine = { .kind = FLIGHT_HASH,
                           .name = content->key,
                           .body = describe(&place, arena),
                           .here = source_is_here(f->call->request) };
    unsigned status = 0;
    enum boarding boarding;
    if (!mine.body.len)
        return err_set(e, ERR_OOM, "a layer's path and headers");
    do /* it is stored now, or another one of that hash failed: look for ourselves */
        boarding = flight_begin(flights, &mine, &status, &answer);
    while (boarding == FLIGHT_LANDED && !status);
    if (boarding != FLIGHT_MINE)
        return landed(status, &answer, ret_step, e);
    int result = fetch_now(f, content, &place, mine.here, arena, ret_step, e);
    if (result < 0 && e->kind != ERR_BUSY) {
        mine.answer = str_from(e->text);
        mine.status = pack(*ret_step, e->kind);
    }
    flight_end(flights, &mine);
    return result;
}

/* ---- all layers ---- */

static struct fetch_content *next_unknown(struct fetch *f)
{
    struct fetch_content *c = NULL;
    pthread_mutex_lock(&f->lock);
    while (!c && f->next < f->content_count)
        if (!*f->contents[f->next++].digest)
            c = &f->contents[f->next - 1];
    pthread_mutex_unlock(&f->lock);
    return c;
}

static void *fetch_some(void *ctx)
{
    struct fetch *f = ctx;
    for (struct fetch_content *c; !atomic_load(&f->stop) && (c = next_unknown(f));) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(THREAD_MEMORY);
        struct err e = { 0 };
        enum fetch_step step = FETCH_SOURCE;
        int result = arena ? fetch(f, c, arena, &step, &e) : err_set(&e, ERR_OOM, "arena");
        if (result < 0)
            fetch_fail(f, step, c->number, &e);
    }
    return NULL;
}

/* This thread and as many helpers as there may be. */
static int fetch_all(struct fetch *f)
{
    pthread_t helpers[FETCHERS_MAX - 1];
    size_t n = 0, unknown = 0;
    struct posts *posts = f->call->api->posts;
    for (size_t i = 0; i < f->content_count; i++)
        unknown += !*f->contents[i].digest;
    f->next = 0;
    for (; n + 1 < unknown && n < FETCHERS_MAX - 1 && posts_helper(posts); n++)
        if (pthread_create(&helpers[n], NULL, fetch_some, f)) {
            posts_helper_end(posts);
            break;
        }
    fetch_some(f);
    for (size_t i = 0; i < n; i++) {
        pthread_join(helpers[i], NULL);
        posts_helper_end(posts);
    }
    return f->failed ? -1 : 0;
}

int fetch_layers(struct fetch *f)
{
    struct err e = { 0 };
    return look_for_all(f, &e) < 0 ? fetch_fail(f, FETCH_LOOK, f->layer_count, &e) : fetch_all(f);
}

/* ---- a row of layers ---- */

static bool list_contents(struct fetch *f)
{
    struct arena *arena = f->call->request->arena;
    CLEANUP(strmap_done) struct strmap known = { 0 };
    f->contents = arena_array(arena, struct fetch_content, f->layer_count + 1);
    f->places = arena_array(arena, size_t, f->layer_count + 1);
    for (size_t i = 0; f->contents && f->places && i < f->layer_count; i++) {
        str hash = str_from(f->layers[i]->hash);
        void **at = strmap_at(&known, hash);
        if (!at)
            return false;
        if (!*at) {
            struct fetch_content *c = *at = &f->contents[f->content_count++];
            *c = (struct fetch_content){ .layer = f->layers[i], .number = i, .key = hash };
            if (f->format == BLOB_ACI)
                c->key = arena_printf(arena, "aci:" STR_FMT, STR_ARG(hash));
        }
        f->places[i] = (size_t)((struct fetch_content *)*at - f->contents);
    }
    return !arena_failed(arena);
}

bool fetch_init(struct fetch *f, struct call *c, PostLayer *const *layers, size_t count,
                enum blob_format format)
{
    *f = (struct fetch){ .call = c, .layers = layers, .layer_count = count, .format = format };
    pthread_mutex_init(&f->lock, NULL);
    return list_contents(f);
}

void fetch_done(struct fetch *f) { pthread_mutex_destroy(&f->lock); }
