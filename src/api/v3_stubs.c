/* v3_stubs.c - temporary: what is being written elsewhere. */
#include "api/v3_call.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"
int store_affected_ancestries(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                              struct arena *arena, struct affected_name **ret, size_t *ret_count,
                              struct err *e)
{
    return store_introducing(s, advisory, namespace, from, limit, arena, ret, ret_count, e);
}

int store_hash_find(struct store *s, str hash, unsigned indexer, struct arena *arena, str *ret_digest, struct err *e) { return 0; }
int store_hash_put(struct store *s, str hash, str digest, unsigned indexer, struct err *e) { return 0; }
int store_ancestry_find(struct store *s, str name, struct arena *arena, struct ancestry *ret, struct err *e) { return 0; }
int store_ancestry_put(struct store *s, const struct ancestry *a, struct err *e) { return 0; }
