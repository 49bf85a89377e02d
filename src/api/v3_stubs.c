/* v3_stubs.c - temporary: what is being written elsewhere. */
#include "api/v3_call.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"
int64_t grpc_timeout(const struct request *r) { return 0; }
void response_trailer(struct response *r, const char *name, str value) {}
int store_affected_ancestries(struct store *s, int64_t advisory, str namespace, int64_t from, size_t limit,
                              struct arena *arena, struct affected_name **ret, size_t *ret_count,
                              struct err *e)
{
    return store_introducing(s, advisory, namespace, from, limit, arena, ret, ret_count, e);
}

bool grpc_is(const struct request *r) { return false; }
const char *grpc_code_name(enum grpc_code code) { return "OK"; }
int grpc_message(const struct request *r, str *ret, enum grpc_code *ret_code, const char **ret_why)
{
    return -1;
}
bool grpc_frame(const struct request *r, str message, struct buf *out) { return false; }
void grpc_answer(const struct request *r, struct response *ret, str message) {}
void grpc_fail(const struct request *r, struct response *ret, enum grpc_code code, str why) {}
void grpc_end(const struct request *r, struct response *ret, enum grpc_code code, str why) {}
int store_hash_find(struct store *s, str hash, unsigned indexer, struct arena *arena, str *ret_digest, struct err *e) { return 0; }
int store_hash_put(struct store *s, str hash, str digest, unsigned indexer, struct err *e) { return 0; }
int store_ancestry_find(struct store *s, str name, struct arena *arena, struct ancestry *ret, struct err *e) { return 0; }
int store_ancestry_put(struct store *s, const struct ancestry *a, struct err *e) { return 0; }
