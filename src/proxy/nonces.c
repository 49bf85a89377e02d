#include "proxy/nonces.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/sha256.h"
#include "store/store.h"

#include <pthread.h>

#define NONCES_MAX ((size_t)2000000)
#define SLOTS_MIN  ((size_t)1 << 10)
#define SLOTS_MAX  ((size_t)1 << 21) /* 48 MiB; some stay free */
#define HANDLES    16

struct slot {
    uint64_t key[2];
    int64_t until; /* 0: free */
};

_Static_assert(NONCES_MAX < SLOTS_MAX && sizeof(struct slot) * SLOTS_MAX == 48 << 20, "as nonces.h says");

struct nonces {
    const char *database;
    pthread_mutex_t lock;
    struct slot *slots;
    size_t count, size; /* a power of two */
    int64_t next;       /* before that none of a table that is full expires */
    struct store *handles[HANDLES];
    size_t handle_count;
};

struct nonces *nonces_new(const char *database, struct err *e)
{
    struct nonces *n = calloc(1, sizeof *n);
    if (!n) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    n->database = database;
    pthread_mutex_init(&n->lock, NULL);
    return n;
}

void nonces_freep(struct nonces **np)
{
    struct nonces *n = *np;
    if (!n)
        return;
    for (size_t i = 0; i < n->handle_count; i++)
        store_freep(&n->handles[i]);
    pthread_mutex_destroy(&n->lock);
    free(n->slots);
    free(n);
    *np = NULL;
}

/* ---- memory ---- */

/* Its slot, or the free one where it belongs. There is always one that is free. */
static struct slot *find(struct slot *slots, size_t size, const uint64_t key[2])
{
    size_t i = key[0] & (size - 1);
    while (slots[i].until && memcmp(slots[i].key, key, sizeof slots[i].key) != 0)
        i = (i + 1) & (size - 1);
    return &slots[i];
}

static size_t count_live(struct nonces *n, int64_t now)
{
    size_t live = 0;
    n->next = INT64_MAX;
    for (size_t i = 0; i < n->size; i++) {
        int64_t until = n->slots[i].until;
        live += until > now;
        if (until > now && until < n->next)
            n->next = until;
    }
    return live;
}

static bool is_full(const struct nonces *n)
{
    return n->count >= (n->size < SLOTS_MAX ? n->size / 4 * 3 : NONCES_MAX);
}

/* Into a new table, with room for as many again if there may be so many, without those that have expired. */
static bool rebuild(struct nonces *n, int64_t now)
{
    if (n->size == SLOTS_MAX && now < n->next)
        return false;
    size_t live = count_live(n, now), size = SLOTS_MIN;
    while (size < SLOTS_MAX && live >= size / 8 * 3)
        size *= 2;
    struct slot *slots = live < NONCES_MAX ? calloc(size, sizeof *slots) : NULL;
    if (!slots)
        return false;
    for (size_t i = 0; i < n->size; i++)
        if (n->slots[i].until > now)
            *find(slots, size, n->slots[i].key) = n->slots[i];
    free(n->slots);
    n->slots = slots;
    n->size = size;
    n->count = live;
    return true;
}

static enum nonce_result take_in_memory(struct nonces *n, const uint64_t key[2], int64_t until, struct err *e)
{
    int64_t now = clock_now();
    if (is_full(n) && !rebuild(n, now)) {
        err_set(e, ERR_LIMIT, "more than %zu tokens are good at the same time", NONCES_MAX);
        return NONCE_FAILED;
    }
    struct slot *s = find(n->slots, n->size, key);
    bool seen = s->until > now;
    n->count += !s->until;
    memcpy(s->key, key, sizeof s->key);
    if (seen)
        return NONCE_SEEN;
    s->until = until;
    int64_t next = until > now ? until : now + 1;
    n->next = next < n->next ? next : n->next;
    return NONCE_NEW;
}

/* ---- the store ---- */

static struct store *take_handle(struct nonces *n, struct err *e)
{
    pthread_mutex_lock(&n->lock);
    struct store *s = n->handle_count ? n->handles[--n->handle_count] : NULL;
    pthread_mutex_unlock(&n->lock);
    return s ? s : store_open(n->database, STORE_WRITE, e);
}

static void give_handle(struct nonces *n, struct store *s)
{
    pthread_mutex_lock(&n->lock);
    if (n->handle_count < HANDLES) {
        n->handles[n->handle_count++] = s;
        s = NULL;
    }
    pthread_mutex_unlock(&n->lock);
    store_freep(&s);
}

/* A handle whose connection has ended since it was used is replaced once. */
static enum nonce_result take_in_store(struct nonces *n, str issuer, str nonce, int64_t until, struct err *e)
{
    for (int turn = 0; turn < 2; turn++) {
        *e = (struct err){ 0 };
        struct store *s = take_handle(n, e);
        if (!s)
            return NONCE_FAILED;
        int r = store_nonce_take(s, issuer, nonce, until, e);
        if (r >= 0) {
            give_handle(n, s);
            return r ? NONCE_NEW : NONCE_SEEN;
        }
        store_freep(&s);
    }
    return NONCE_FAILED;
}

enum nonce_result nonces_take(struct nonces *n, str issuer, str nonce, int64_t until, struct err *e)
{
    uint64_t key[4];
    CLEANUP(buf_done) struct buf text = { 0 };
    if (n->database)
        return take_in_store(n, issuer, nonce, until, e);
    buf_str(&text, issuer);
    buf_char(&text, '\0');
    buf_str(&text, nonce);
    if (text.failed || sha256_of(text.ptr, text.len, (uint8_t *)key, e) < 0)
        return NONCE_FAILED;
    pthread_mutex_lock(&n->lock);
    enum nonce_result r = take_in_memory(n, key, until, e);
    pthread_mutex_unlock(&n->lock);
    return r;
}
