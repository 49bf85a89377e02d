/* request_id.c - what a request is called in every line of the log that is about it. */
#include "api/internal.h"

#include <stdio.h>
#include <sys/random.h>

#define GIVEN_MAX 128

/* A client's own id is taken as it is, if it can do no harm in a log or a header. */
static bool is_sane(str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+/=", id.ptr[i]) ||
            !id.ptr[i])
            return false;
    return id.len > 0 && id.len <= GIVEN_MAX;
}

bool request_id_given(const struct request *r) { return is_sane(request_header(r, "X-Request-Id")); }

void request_id(struct request *r)
{
    uint64_t number = 0;
    if (request_id_given(r)) {
        r->id = arena_dup(r->arena, request_header(r, "X-Request-Id"));
        return;
    }
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = str_hash(str_from(r->peer), (uint64_t)r->began_ns);
    r->id = arena_printf(r->arena, "%016llx", (unsigned long long)number);
}
