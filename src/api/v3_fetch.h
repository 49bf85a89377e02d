/*
 * v3_fetch.h - the layers of an ancestry that is posted: those that are not stored yet are fetched and stored, by several threads at once.
 *
 * Known      What is called by its digest ("sha256:<hex>") is known when that layer is stored, by whomever, and nothing else: its bytes have
 *            been verified. Any other hash stands for what was stored for it first (store_hash_find()).
 * Errors     The first failure is kept and stops the others.
 */
#pragma once
#include "api/posts.h"
#include "api/v3.h"

#define FETCH_HEADERS_MAX 256 /* of a layer */

typedef Coreos__Clair__PostAncestryRequest__PostLayer PostLayer;

enum fetch_step {
    FETCH_SOURCE = POSTED_SOURCE,
    FETCH_READ = POSTED_READ,
    FETCH_STORE = POSTED_TAKE,
    FETCH_LOOK,
    FETCH_PLACE
};

#define FETCH_DIGEST_MAX 80 /* "aci:sha256:" and 64 digits */
struct fetch_content {      /* of one hash, however often it is there */
    const PostLayer *layer;
    size_t number; /* in the request: its first place */
    str key;       /* the hash, as the store knows it: the same bytes read as ACI are something else */
    char digest[FETCH_DIGEST_MAX]; /* what it stands for; empty: not known yet */
};

struct fetch {
    struct call *call;
    PostLayer *const *layers;
    size_t layer_count;
    enum blob_format format;
    struct fetch_content *contents;
    size_t content_count;
    size_t *places; /* of each layer, in contents */

    pthread_mutex_t lock; /* guards what follows */
    size_t next;
    atomic_bool stop;
    bool failed;
    struct fetch_failure {
        enum fetch_step step;
        size_t layer; /* of the request; their number when it is of none */
        struct err err;
    } failure;
};

/* False: out of memory. */
bool fetch_init(struct fetch *f, struct call *c, PostLayer *const *layers, size_t count,
                enum blob_format format);
void fetch_done(struct fetch *f);
/* All layers are stored, and have their digests; -1: f->failure tells. May be called again. */
int fetch_layers(struct fetch *f);
/* Keeps that failure, if it is the first: -1. */
int fetch_fail(struct fetch *f, enum fetch_step step, size_t layer, const struct err *e);
