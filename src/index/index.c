#include "index/index.h"
#include "base/cleanup.h"
#include "detect/detector.h"
#include "image/manifest.h"
#include "index/archive.h"
#include "index/container.h"
#include "index/layer.h"

#include <pthread.h>

#define INDEXER_VERSION 1u /* raise it when the walk or the fold would now give something else */
#define WORKERS_MAX     4

const struct cage_task *const index_tasks[] = { &index_layer_task, &index_list_task, &index_stream_task,
                                                NULL };

unsigned indexer_version(void) { return INDEXER_VERSION * 1000003u + detector_versions(); }

struct layer_job {
    const struct image_layer *ref;
    struct arena *arena;
    struct layer_builder builder;
    struct err err;
    bool known, done;
};

struct indexing {
    struct store *store;
    struct cage *cage;
    struct container *container;
    struct index_progress *progress;
    struct layer_job *jobs;
    size_t count;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    size_t next, unknown, finished;
    bool stop;
};

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    return layer_builder_frame(ctx, type, body, e);
}

/* Are these the bytes that the image names? Gives the layer its name. */
static int check_layer(struct layer_builder *b, const struct image_layer *ref, struct err *e)
{
    if (b->failure.kind) {
        *e = b->failure;
        return -1;
    }
    const char *hex = ref->by_diff_id ? b->sums.diff : b->sums.stored;
    str want = str_skip(ref->digest, STR("sha256:").len);
    if (!b->ended || !str_eq(want, str_from(hex)))
        return err_set(e, ERR_DIGEST, "content%s is sha256:%s, but the image names " STR_FMT,
                       ref->by_diff_id ? " (uncompressed)" : "", hex, STR_ARG(ref->digest));
    b->layer.digest = ref->digest;
    return 0;
}

static int read_layer(struct indexing *x, struct layer_job *j, struct err *e)
{
    CLEANUP(close_fdp) int fd = -1;
    struct cage_input in = { 0 };
    if (container_layer(x->container, j->ref->path, &fd, &in.offset, &in.size, e) < 0)
        return -1;
    in.fd = fd;
    j->builder.arena = j->arena = arena_new(LAYER_MEMORY_MAX);
    if (!j->arena)
        return err_set(e, ERR_OOM, "arena");
    char params = j->ref->by_diff_id ? HASH_DIFF : HASH_STORED;
    if (cage_run(x->cage, &index_layer_task, str_of(&params, 1), &in, on_frame, &j->builder, NULL, e) < 0)
        return -1;
    return check_layer(&j->builder, j->ref, e);
}

/* A worker thread: takes one unknown layer after the other. */
static void *work(void *ctx)
{
    struct indexing *x = ctx;
    pthread_mutex_lock(&x->lock);
    while (!x->stop && x->next < x->count) {
        struct layer_job *j = &x->jobs[x->next++];
        if (j->known)
            continue;
        pthread_mutex_unlock(&x->lock);
        read_layer(x, j, &j->err);
        pthread_mutex_lock(&x->lock);
        j->done = true;
        x->stop |= j->err.kind != ERR_NONE;
        pthread_cond_signal(&x->wake);
    }
    x->finished++;
    pthread_cond_signal(&x->wake);
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

static void job_done(struct layer_job *j)
{
    layer_builder_done(&j->builder);
    arena_freep(&j->arena);
}

/* Stores finished layers while the others are still being read: only this thread touches the store. */
static int collect(struct indexing *x, size_t threads, struct err *e)
{
    size_t stored = 0;
    int result = 0;
    pthread_mutex_lock(&x->lock);
    for (bool last = false; !last;) {
        struct layer_job *ready = NULL;
        for (size_t i = 0; i < x->count && !ready; i++)
            ready = x->jobs[i].done ? &x->jobs[i] : NULL;
        last = !ready && x->finished == threads;
        if (!ready && !last)
            pthread_cond_wait(&x->wake, &x->lock);
        if (!ready)
            continue;
        ready->done = false;
        pthread_mutex_unlock(&x->lock);
        if (result == 0 && ready->err.kind) {
            *e = ready->err;
            result = err_wrap(e, "layer %zu (" STR_FMT ")", (size_t)(ready - x->jobs) + 1,
                              STR_ARG(ready->ref->path));
        }
        if (result == 0)
            result = store_layer_put(x->store, &ready->builder.layer, indexer_version(), e);
        job_done(ready);
        if (x->progress)
            x->progress->layer(x->progress, ++stored, x->unknown);
        pthread_mutex_lock(&x->lock);
        x->stop |= result < 0;
    }
    pthread_mutex_unlock(&x->lock);
    return result;
}

static int read_layers(struct indexing *x, struct err *e)
{
    pthread_t threads[WORKERS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = cores < 1 ? 1 : (size_t)cores, started = 0;
    wanted = wanted > WORKERS_MAX ? WORKERS_MAX : wanted;
    wanted = wanted > x->unknown ? x->unknown : wanted;
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->wake, NULL);
    while (started < wanted && pthread_create(&threads[started], NULL, work, x) == 0)
        started++;
    int result =
        wanted && !started ? err_set(e, ERR_OOM, "no thread could be started") : collect(x, started, e);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->wake);
    return result;
}

/* Layers of a compressed archive were all read when it was opened: check and store those that the image names. */
static int store_read_layer(struct indexing *x, const struct image_layer *ref, struct err *e)
{
    const struct layer_builder *read = container_read_layer(x->container, ref->path);
    if (!read)
        return err_set(e, ERR_NOT_FOUND, "not in the archive");
    struct layer_builder b = *read;
    if (check_layer(&b, ref, e) < 0)
        return -1;
    return store_layer_put(x->store, &b.layer, indexer_version(), e);
}

static bool seen_before(const struct image_manifest *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(m->layers[k].digest, m->layers[i].digest))
            return true;
    return false;
}

static int find_known(struct indexing *x, const struct image_manifest *m, struct arena *arena, struct err *e)
{
    for (size_t i = 0; i < m->layer_count; i++) {
        struct layer_index *known;
        int found = seen_before(m, i) ? 1
                                      : store_layer_find(x->store, m->layers[i].digest, indexer_version(),
                                                         arena, &known, e);
        if (found < 0)
            return -1;
        x->jobs[i] = (struct layer_job){ .ref = &m->layers[i], .known = found };
        x->unknown += !found;
    }
    return 0;
}

static int index_layers(struct indexing *x, const struct image_manifest *m, struct arena *arena,
                        struct err *e)
{
    x->count = m->layer_count;
    x->jobs = arena_array(arena, struct layer_job, m->layer_count + 1);
    if (!x->jobs)
        return err_set(e, ERR_OOM, "layers");
    if (find_known(x, m, arena, e) < 0)
        return -1;
    if (container_kind(x->container) != CONTAINER_STREAM)
        return read_layers(x, e);
    for (size_t i = 0; i < m->layer_count; i++)
        if (!x->jobs[i].known && store_read_layer(x, &m->layers[i], e) < 0)
            return err_wrap(e, "layer %zu (" STR_FMT ")", i + 1, STR_ARG(m->layers[i].path));
    return 0;
}

static int fold_and_store(struct indexing *x, const struct image_manifest *m, struct arena *arena,
                          struct image_index *ret, int64_t *ret_id, struct err *e)
{
    const struct layer_index **layers = arena_array(arena, const struct layer_index *, m->layer_count + 1);
    if (!layers)
        return err_set(e, ERR_OOM, "layers");
    for (size_t i = 0; i < m->layer_count; i++) {
        struct layer_index *one;
        int found = store_layer_find(x->store, m->layers[i].digest, indexer_version(), arena, &one, e);
        if (found <= 0)
            return found < 0 ? -1 : err_set(e, ERR_INTERNAL, "layer %zu vanished from the store", i + 1);
        layers[i] = one;
    }
    if (image_fold(layers, m->layer_count, arena, ret, e) < 0)
        return -1;
    ret->digest = m->digest;
    return store_image_put(x->store, ret, indexer_version(), ret_id, e);
}

/* A root file system folder is an image of one layer that gets its name from what it holds. */
static int index_rootfs(struct indexing *x, struct arena *arena, struct image_manifest *ret, struct err *e)
{
    struct cage_input in;
    CLEANUP(job_done) struct layer_job j = { .arena = arena_new(LAYER_MEMORY_MAX) };
    j.builder.arena = j.arena;
    char params = HASH_STORED;
    if (!j.arena)
        return err_set(e, ERR_OOM, "arena");
    if (container_rootfs(x->container, &in, e) < 0 ||
        cage_run(x->cage, &index_layer_task, str_of(&params, 1), &in, on_frame, &j.builder, NULL, e) < 0)
        return -1;
    struct image_layer *l = arena_array(arena, struct image_layer, 1);
    if (!l)
        return err_set(e, ERR_OOM, "layer");
    l->path = STR(".");
    l->digest = arena_printf(arena, "sha256:%s", j.builder.sums.stored);
    *ret = (struct image_manifest){ .digest = l->digest, .layers = l, .layer_count = 1 };
    if (check_layer(&j.builder, l, e) < 0)
        return -1;
    return store_layer_put(x->store, &j.builder.layer, indexer_version(), e);
}

static int add_note(struct image_index *i, str note, struct arena *arena, struct err *e)
{
    if (!note.len)
        return 0;
    str *more = arena_array(arena, str, i->note_count + 1);
    if (!more)
        return err_set(e, ERR_OOM, "note");
    if (i->note_count)
        memcpy(more, i->notes, i->note_count * sizeof *more);
    more[i->note_count++] = note;
    i->notes = more;
    return 0;
}

static int index_opened(struct indexing *x, struct arena *arena, struct image_index **ret, int64_t *ret_id,
                        struct err *e)
{
    struct image_manifest m = { 0 };
    bool rootfs = container_kind(x->container) == CONTAINER_ROOTFS;
    if ((rootfs ? index_rootfs(x, arena, &m, e)
                : image_manifest_read(container_files(x->container), image_architecture(), arena, &m, e)) < 0)
        return -1;
    int found = store_image_find(x->store, m.digest, indexer_version(), arena, ret, ret_id, e);
    if (found < 0)
        return -1;
    if (!found) {
        *ret = arena_alloc(arena, 1, sizeof **ret);
        if (!*ret)
            return err_set(e, ERR_OOM, "image");
        if ((!rootfs && index_layers(x, &m, arena, e) < 0) ||
            fold_and_store(x, &m, arena, *ret, ret_id, e) < 0)
            return -1;
    }
    return add_note(*ret, m.note, arena, e);
}

int index_image(struct store *s, struct cage *c, const char *path, struct index_progress *progress,
                struct arena *arena, struct image_index **ret, int64_t *ret_id, struct err *e)
{
    CLEANUP(container_freep) struct container *container = container_open(c, path, e);
    struct indexing x = { .store = s, .cage = c, .container = container, .progress = progress };
    if (!container || index_opened(&x, arena, ret, ret_id, e) < 0)
        return err_wrap(e, "%s", path);
    (*ret)->name = arena_dup(arena, str_from(path));
    return 0;
}
