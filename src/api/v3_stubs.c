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
