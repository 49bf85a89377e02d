#include "index/index.h"
#include "base/cleanup.h"
#include "detect/detector.h"
#include "image/manifest.h"
#include "index/archive.h"
#include "index/container.h"
#include "index/layer.h"

#include <pthread.h>
#include <stdatomic.h>

#define INDEXER_VERSION 2u /* raise it when the walk or the fold would now give something else */
#define WORKERS_MAX     4
#define LOOKS_MAX       4 /* at layers because of links: what a link leads to may be a link */
#define KEPT_MAX        ((size_t)1 << 30)

const struct cage_task *const index_tasks[] = { &index_layer_task, &index_list_task, &index_stream_task,
                                                NULL };

unsigned indexer_version(void) { return INDEXER_VERSION * 1000003u + detector_versions(); }

struct indexing;

struct layer_job {
    struct indexing *indexing;
    const struct image_layer *ref;
    struct layer_index *layer; /* as the store has it */
    struct arena *arena;
    struct layer_builder builder;
    struct err err;
    bool known, done;
    uint64_t size; /* as stored */
    size_t twin;   /* index + 1 of the first layer that is the same file, if that is another one */
};

struct indexing {
    struct store *store;
    struct cage *cage;
    struct container *container;
    const struct image_platform *platform;
    bool whole; /* the container is the only layer */
    struct index_progress *progress;
    struct layer_job *jobs;
    struct layer_job **order; /* in which they are read */
    size_t count;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    size_t next, unknown, finished;
    atomic_bool stop; /* a layer failed: the others need not go on */

    /* Another look at all layers, because links lead to where nobody looked: it is of this image, and not stored for its layers. */
    bool again;
    struct buf aliases; /* packed */
    const struct alias *looked;
    size_t looked_count;
    size_t kept; /* bytes of what was found */
};

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    struct layer_job *j = ctx;
    if (j->indexing->stop)
        return err_set(e, ERR_BUSY, "stopped because another layer failed");
    return layer_builder_frame(&j->builder, type, body, e);
}

static bool is_digest(str digest, const char *hex)
{
    return str_eq(str_skip(digest, STR("sha256:").len), str_from(hex));
}

static int wrong_digest(const char *what, const char *hex, str want, const struct err *failure, struct err *e)
{
    return err_set(e, ERR_DIGEST, "%s is sha256:%s, but the image names " STR_FMT "%s%s", what, hex,
                   STR_ARG(want), failure->kind ? ": " : "", failure->kind ? failure->text : "");
}

/* What must be hashed to believe a layer: the diff id only where it is the only name, or a second one. */
static unsigned char hashes_of(const struct image_layer *ref)
{
    if (ref->by_diff_id)
        return HASH_DIFF;
    return ref->diff_id.len && !str_eq(ref->diff_id, ref->digest) ? HASH_STORED | HASH_DIFF : HASH_STORED;
}

/* Are these the bytes that the image names? Gives the layer its name. */
static int check_layer(struct layer_builder *b, const struct image_layer *ref, struct err *e)
{
    const struct layer_sums *sums = &b->sums;
    if (!b->ended)
        return err_set(e, ERR_CAGE, "worker sent no sums");
    if (!ref->by_diff_id && *sums->stored && !is_digest(ref->digest, sums->stored))
        return wrong_digest("content", sums->stored, ref->digest, &b->failure, e);
    if (b->failure.kind) {
        *e = b->failure;
        return -1;
    }
    if (!ref->by_diff_id && !*sums->stored)
        return err_set(e, ERR_CAGE, "worker sent no digest");
    if ((hashes_of(ref) & HASH_DIFF) && !is_digest(ref->diff_id, sums->diff))
        return wrong_digest("uncompressed content", sums->diff, ref->diff_id, &b->failure, e);
    b->layer.digest = ref->digest;
    return 0;
}

static int check_size(const struct image_layer *ref, uint64_t size, struct err *e)
{
    if (!ref->size || ref->size == size)
        return 0;
    return err_set(e, ERR_DIGEST, "the image says that " STR_FMT " has %llu bytes, but it has %llu",
                   STR_ARG(ref->digest), (unsigned long long)ref->size, (unsigned long long)size);
}

static int read_input(struct indexing *x, struct layer_job *j, const struct cage_input *in, struct err *e)
{
    j->builder.arena = j->arena = arena_new(LAYER_MEMORY_MAX);
    if (!j->arena)
        return err_set(e, ERR_OOM, "arena");
    CLEANUP(buf_done) struct buf params = { 0 };
    buf_char(&params, (char)hashes_of(j->ref));
    buf_str(&params, buf_view(&x->aliases));
    if (params.failed)
        return err_set(e, ERR_OOM, "layer");
    if (cage_run(x->cage, &index_layer_task, buf_view(&params), in, on_frame, j, NULL, e) < 0)
        return -1;
    return check_layer(&j->builder, j->ref, e);
}

static int read_remote(struct indexing *x, struct layer_job *j, struct err *e)
{
    CLEANUP(container_transfer_done) struct container_transfer t = { 0 };
    struct cage_input in;
    if (container_transfer(x->container, j->ref, &t, &in, e) < 0 || read_input(x, j, &in, e) < 0)
        return -1;
    return check_size(j->ref, j->builder.sums.size, e);
}

static int read_layer(struct indexing *x, struct layer_job *j, struct err *e)
{
    CLEANUP(close_fdp) int fd = -1;
    struct cage_input in = { 0 };
    if (container_kind(x->container) == CONTAINER_REMOTE)
        return read_remote(x, j, e);
    if (container_layer(x->container, j->ref->path, &fd, &in.offset, &in.size, e) < 0 ||
        check_size(j->ref, in.size, e) < 0)
        return -1;
    in.fd = fd;
    return read_input(x, j, &in, e);
}

/* A worker thread: takes one unknown layer after the other. */
static void *work(void *ctx)
{
    struct indexing *x = ctx;
    pthread_mutex_lock(&x->lock);
    while (!x->stop && x->next < x->count) {
        struct layer_job *j = x->order[x->next++];
        if (j->known || j->twin)
            continue;
        pthread_mutex_unlock(&x->lock);
        read_layer(x, j, &j->err);
        pthread_mutex_lock(&x->lock);
        j->done = true;
        if (j->err.kind)
            x->stop = true;
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

/* What another look found lives as long as the job. */
static int keep_layer(struct indexing *x, struct layer_job *j, struct err *e)
{
    x->kept += arena_used(j->arena);
    if (x->kept > KEPT_MAX)
        return err_set(e, ERR_LIMIT, "its layers need more than %zu MiB", KEPT_MAX >> 20);
    j->layer = &j->builder.layer;
    j->layer->looked = x->looked;
    j->layer->looked_count = x->looked_count;
    return 0;
}

static int take_layer(struct indexing *x, struct layer_job *j, struct err *e)
{
    if (x->again)
        return keep_layer(x, j, e);
    int result = store_layer_put(x->store, &j->builder.layer, indexer_version(), e);
    job_done(j);
    return result;
}

static struct layer_job *ready_job(struct indexing *x)
{
    for (size_t i = 0; i < x->count; i++)
        if (x->jobs[i].done)
            return &x->jobs[i];
    return NULL;
}

/* Of several failures the one to tell: never a layer that was only stopped, else the lowest. */
static bool is_worse(const struct layer_job *j, const struct layer_job *than)
{
    if (!than || (than->err.kind == ERR_BUSY) != (j->err.kind == ERR_BUSY))
        return !than || than->err.kind == ERR_BUSY;
    return j < than;
}

/* Stores finished layers while the others are still being read: only this thread touches the store. */
static int collect(struct indexing *x, size_t threads, struct err *e)
{
    const struct layer_job *failed = NULL;
    size_t stored = 0;
    int result = 0;
    pthread_mutex_lock(&x->lock);
    for (;;) {
        struct layer_job *j = ready_job(x);
        if (!j && x->finished == threads)
            break;
        if (!j) {
            pthread_cond_wait(&x->wake, &x->lock);
            continue;
        }
        j->done = false;
        pthread_mutex_unlock(&x->lock);
        if (j->err.kind && is_worse(j, failed))
            failed = j;
        if (!j->err.kind && result == 0)
            result = take_layer(x, j, e);
        else
            job_done(j);
        if (x->progress)
            x->progress->layer(x->progress, ++stored, x->unknown);
        pthread_mutex_lock(&x->lock);
        if (result < 0)
            x->stop = true;
    }
    pthread_mutex_unlock(&x->lock);
    if (result < 0 || !failed)
        return result;
    *e = failed->err;
    return err_wrap(e, "layer %zu (" STR_FMT ")", (size_t)(failed - x->jobs) + 1, STR_ARG(failed->ref->path));
}

static int by_size(const void *a, const void *b)
{
    const struct layer_job *x = *(struct layer_job *const *)a, *y = *(struct layer_job *const *)b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The largest first, so that no core stands idle while the last one is read. */
static void order_layers(struct indexing *x)
{
    for (size_t i = 0; i < x->count; i++) {
        struct layer_job *j = x->order[i] = &x->jobs[i];
        struct err ignored = { 0 }; /* told when the layer is read */
        uint64_t offset;
        CLEANUP(close_fdp) int fd = -1;
        j->size = j->ref->size;
        if (!j->size && !j->known && !j->twin)
            container_layer(x->container, j->ref->path, &fd, &offset, &j->size, &ignored);
    }
    qsort(x->order, x->count, sizeof *x->order, by_size);
}

static int read_layers(struct indexing *x, struct err *e)
{
    order_layers(x);
    pthread_t threads[WORKERS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    bool waits = container_kind(x->container) == CONTAINER_REMOTE; /* for a network, more than for a core */
    size_t wanted = waits ? WORKERS_MAX : cores < 1 ? 1 : (size_t)cores, started = 0;
    wanted = wanted > WORKERS_MAX ? WORKERS_MAX : wanted;
    wanted = wanted > x->unknown ? x->unknown : wanted;
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->wake, NULL);
    container_stop(x->container, &x->stop);
    while (started < wanted && pthread_create(&threads[started], NULL, work, x) == 0)
        started++;
    int result =
        wanted && !started ? err_set(e, ERR_OOM, "no thread could be started") : collect(x, started, e);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    container_stop(x->container, NULL);
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
    if (check_layer(&b, ref, e) < 0 || check_size(ref, b.sums.size, e) < 0)
        return -1;
    return store_layer_put(x->store, &b.layer, indexer_version(), e);
}

/* The same of another look, not stored. */
static int find_read_layer(struct indexing *x, struct layer_job *j, struct arena *arena, struct err *e)
{
    const struct layer_builder *read = container_read_layer(x->container, j->ref->path);
    struct layer_builder *b = arena_alloc(arena, 1, sizeof *b);
    if (!read || !b)
        return read ? err_set(e, ERR_OOM, "layer") : err_set(e, ERR_NOT_FOUND, "not in the archive");
    *b = *read;
    if (check_layer(b, j->ref, e) < 0)
        return -1;
    b->layer.looked = x->looked;
    b->layer.looked_count = x->looked_count;
    j->layer = &b->layer;
    return 0;
}

/* index + 1 of the first layer that is the very same file as layer i; 0 when it is i itself. Names alone do not make twins: the
 * bytes of another file must be checked, whatever it is called. */
static size_t twin_of(const struct image_manifest *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(m->layers[k].path, m->layers[i].path) &&
            str_eq(m->layers[k].digest, m->layers[i].digest) &&
            str_eq(m->layers[k].diff_id, m->layers[i].diff_id))
            return k + 1;
    return 0;
}

static int find_layer(struct indexing *x, struct layer_job *j, struct arena *arena, struct err *e)
{
    return store_layer_find(x->store, j->ref->digest, indexer_version(), arena, &j->layer, e);
}

/* A stored layer is known by the digest of its stored bytes; a config that says something else of them is believed only when
 * they were hashed for that too. */
static bool is_believed(const struct layer_job *j)
{
    str diff_id = j->ref->diff_id;
    if (j->ref->size && j->ref->size != j->layer->size) /* read again, and refused then */
        return false;
    return !diff_id.len || str_eq(diff_id, j->ref->digest) || str_eq(diff_id, j->layer->diff_id);
}

static int find_known(struct indexing *x, const struct image_manifest *m, struct arena *arena, struct err *e)
{
    for (size_t i = 0; i < m->layer_count; i++) {
        struct layer_job *j = &x->jobs[i];
        *j = (struct layer_job){ .indexing = x, .ref = &m->layers[i], .twin = twin_of(m, i) };
        if (j->twin)
            continue;
        int found = find_layer(x, j, arena, e);
        if (found < 0)
            return -1;
        j->known = found && is_believed(j);
        x->unknown += !j->known;
    }
    return 0;
}

static int index_layers(struct indexing *x, const struct image_manifest *m, struct err *e)
{
    if (container_kind(x->container) != CONTAINER_STREAM)
        return read_layers(x, e);
    for (size_t i = 0; i < m->layer_count; i++)
        if (!x->jobs[i].known && !x->jobs[i].twin && store_read_layer(x, &m->layers[i], e) < 0)
            return err_wrap(e, "layer %zu (" STR_FMT ")", i + 1, STR_ARG(m->layers[i].path));
    return 0;
}

static int fold(struct indexing *x, size_t count, struct arena *arena, struct image_index *ret, struct err *e)
{
    const struct layer_index **layers = arena_array(arena, const struct layer_index *, count + 1);
    if (!layers)
        return err_set(e, ERR_OOM, "layers");
    for (size_t i = 0; i < count; i++) {
        struct layer_job *j = &x->jobs[i];
        int found = j->twin || j->layer ? 1 : find_layer(x, j, arena, e);
        if (found <= 0)
            return found < 0 ? -1 : err_set(e, ERR_INTERNAL, "layer %zu vanished from the store", i + 1);
        layers[i] = j->twin ? layers[j->twin - 1] : j->layer;
    }
    return image_fold(layers, count, arena, ret, e);
}

/* What a link leads to may itself be a link to somewhere else: that counts as the first one. */
static str first_wanted(const struct alias *known, size_t count, str wanted, struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        str rest = str_skip(wanted, known[i].real.len);
        if (str_starts(wanted, known[i].real) && (!rest.len || rest.ptr[0] == '/'))
            return arena_printf(arena, STR_FMT STR_FMT, STR_ARG(known[i].wanted), STR_ARG(rest));
    }
    return wanted;
}

static int add_looks(struct indexing *x, const struct image_index *image, struct arena *arena, struct err *e)
{
    size_t count = x->looked_count + image->unread_count;
    struct alias *all = arena_array(arena, struct alias, count);
    if (!all)
        return err_set(e, ERR_OOM, "links");
    for (size_t i = 0; i < count; i++) {
        if (i < x->looked_count)
            all[i] = x->looked[i];
        else
            all[i] = image->unread[i - x->looked_count];
        all[i].wanted = first_wanted(x->looked, x->looked_count, all[i].wanted, arena);
    }
    x->looked = all;
    x->looked_count = count;
    buf_clear(&x->aliases);
    for (size_t i = 0; i < count; i++)
        alias_pack(&x->aliases, &all[i]);
    return x->aliases.failed || arena_failed(arena) ? err_set(e, ERR_OOM, "links") : 0;
}

/* 1: the layers were looked at again; 0: they cannot be; -1. */
static int look_again(struct indexing *x, struct arena *arena, struct err *e)
{
    bool stream = container_kind(x->container) == CONTAINER_STREAM;
    if (x->whole)
        return 0; /* of a root file system the kernel followed the links; an ACI is read once */
    int r = stream ? container_look_again(x->container, x->cage, buf_view(&x->aliases), e) : 1;
    if (r <= 0)
        return r;
    x->again = true;
    x->stop = false;
    x->next = x->finished = x->unknown = x->kept = 0;
    for (size_t i = 0; i < x->count; i++) {
        struct layer_job *j = &x->jobs[i];
        job_done(j);
        *j = (struct layer_job){ .indexing = x, .ref = j->ref, .twin = j->twin };
        x->unknown += !j->twin;
    }
    if (!stream)
        return read_layers(x, e) < 0 ? -1 : 1;
    for (size_t i = 0; i < x->count; i++)
        if (!x->jobs[i].twin && find_read_layer(x, &x->jobs[i], arena, e) < 0)
            return err_wrap(e, "layer %zu (" STR_FMT ")", i + 1, STR_ARG(x->jobs[i].ref->path));
    return 1;
}

static int fold_and_store(struct indexing *x, const struct image_manifest *m, struct arena *arena,
                          struct image_index **ret, int64_t *ret_id, struct err *e)
{
    struct image_index *image = *ret;
    if (fold(x, m->layer_count, arena, image, e) < 0)
        return -1;
    for (unsigned looks = 0; image->unread_count && looks < LOOKS_MAX; looks++) {
        int again = add_looks(x, image, arena, e) < 0 ? -1 : look_again(x, arena, e);
        if (again == 0)
            break;
        *image = (struct image_index){ 0 };
        if (again < 0 || fold(x, m->layer_count, arena, image, e) < 0)
            return -1;
    }
    /* What could be read only once is stored under another name: who can look again is not spared it. */
    image->digest = image->unread_count ? arena_printf(arena, "once:" STR_FMT, STR_ARG(m->key)) : m->key;
    int stored = store_image_put(x->store, image, indexer_version(), ret_id, e);
    if (stored < 0)
        return -1;
    if (!x->again)
        return 0;
    /* its texts are the jobs', which end now */
    int found = store_image_get(x->store, *ret_id, arena, ret, e);
    return found > 0 ? 0 : found < 0 ? -1 : err_set(e, ERR_INTERNAL, "the image vanished from the store");
}

/* A root file system folder and an ACI are images of one layer that get their name from what they hold. */
static int index_whole(struct indexing *x, bool aci, struct arena *arena, struct image_manifest *ret,
                       struct err *e)
{
    struct cage_input in;
    CLEANUP(job_done) struct layer_job j = { .indexing = x, .arena = arena_new(LAYER_MEMORY_MAX) };
    j.builder.arena = j.arena;
    char params = aci ? HASH_STORED | LAYER_BELOW_ROOTFS : HASH_STORED;
    if (!j.arena)
        return err_set(e, ERR_OOM, "arena");
    if ((aci ? container_whole(x->container, &in, e) : container_rootfs(x->container, &in, e)) < 0 ||
        cage_run(x->cage, &index_layer_task, str_of(&params, 1), &in, on_frame, &j, NULL, e) < 0)
        return -1;
    struct image_layer *l = arena_array(arena, struct image_layer, 1);
    if (!l)
        return err_set(e, ERR_OOM, "layer");
    l->path = STR(".");
    l->digest = arena_printf(arena, "sha256:%s", j.builder.sums.stored);
    ret->digest = ret->key = l->digest;
    ret->layers = l;
    ret->layer_count = 1;
    if (check_layer(&j.builder, l, e) < 0)
        return -1;
    if (aci) /* the same bytes as a plain layer would give something else */
        ret->key = l->digest = j.builder.layer.digest =
            arena_printf(arena, "aci:" STR_FMT, STR_ARG(l->digest));
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

static int find_jobs(struct indexing *x, const struct image_manifest *m, struct arena *arena, struct err *e)
{
    x->count = m->layer_count;
    x->jobs = arena_array(arena, struct layer_job, m->layer_count + 1);
    x->order = arena_array(arena, struct layer_job *, m->layer_count + 1);
    return x->jobs && x->order ? find_known(x, m, arena, e) : err_set(e, ERR_OOM, "layers");
}

static int index_manifest(struct indexing *x, const struct image_manifest *m, struct arena *arena,
                          struct image_index **ret, int64_t *ret_id, struct err *e)
{
    struct err unkept = { 0 };
    int found = store_image_find(x->store, m->key, indexer_version(), arena, ret, ret_id, e);
    if (found > 0)
        store_image_keep(x->store, *ret_id,
                         &unkept); /* a report is worth more than the note that it was made */
    if (found)
        return found < 0 ? -1 : 0;
    *ret = arena_alloc(arena, 1, sizeof **ret);
    if (!*ret)
        return err_set(e, ERR_OOM, "image");
    if (find_jobs(x, m, arena, e) < 0 || index_layers(x, m, e) < 0)
        return -1;
    return fold_and_store(x, m, arena, ret, ret_id, e);
}

static void indexing_done(struct indexing *x)
{
    for (size_t i = 0; i < x->count; i++)
        job_done(&x->jobs[i]);
    buf_done(&x->aliases);
}

/* People see the digest of the bytes, not the name under which the layer is kept. */
static int name_aci_layer(struct image_index *i, struct arena *arena)
{
    struct layer_index *l = arena_alloc(arena, 1, sizeof *l);
    if (!l)
        return -1;
    *l = *i->layers[0];
    l->digest = i->digest;
    i->layers[0] = l;
    return 0;
}

/* A giver that knows which image it is: is that in the store? Nothing is asked of it then. */
static int find_by_key(struct indexing *x, struct arena *arena, struct image_index **ret, int64_t *ret_id,
                       struct err *e)
{
    struct err unkept = { 0 };
    str key = arena_dup(arena, container_key(x->container));
    int found = key.len ? store_image_find(x->store, key, indexer_version(), arena, ret, ret_id, e) : 0;
    if (found <= 0)
        return found;
    store_image_keep(x->store, *ret_id, &unkept);
    (*ret)->digest = key;
    return 1;
}

static int index_container(struct indexing *x, struct arena *arena, struct image_index **ret, int64_t *ret_id,
                           struct err *e)
{
    struct image_manifest m = { 0 };
    int known = find_by_key(x, arena, ret, ret_id, e);
    if (known)
        return known < 0 ? -1 : 0;
    if (container_begin(x->container, x->cage, e) < 0)
        return -1;
    bool rootfs = container_kind(x->container) == CONTAINER_ROOTFS;
    if (!rootfs && image_manifest_read(container_files(x->container), x->platform, arena, &m, e) < 0)
        return -1;
    x->whole = rootfs || m.aci;
    if (x->whole && index_whole(x, m.aci, arena, &m, e) < 0)
        return -1;
    if (index_manifest(x, &m, arena, ret, ret_id, e) < 0)
        return -1;
    (*ret)->digest = m.digest;
    (*ret)->unreadable |= m.partial;
    if (m.aci && name_aci_layer(*ret, arena) < 0)
        return err_set(e, ERR_OOM, "layer");
    return add_note(*ret, m.note, arena, e);
}

int index_image(struct store *s, struct cage *c, struct container *container, const char *path,
                const struct image_platform *platform, struct index_progress *progress, struct arena *arena,
                struct image_index **ret, int64_t *ret_id, struct err *e)
{
    CLEANUP(indexing_done)
    struct indexing x = {
        .store = s, .cage = c, .container = container, .platform = platform, .progress = progress
    };
    if (index_container(&x, arena, ret, ret_id, e) < 0)
        return err_wrap(e, "%s", path);
    (*ret)->name = arena_dup(arena, str_from(path));
    return 0;
}
