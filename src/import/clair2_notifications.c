/* clair2_notifications.c - Clair 2's notifications that nobody deleted become such of ours. */
#include "import/clair2_internal.h"

#include "base/cleanup.h"
#include "codec/sha256.h"

#define PAGE     256
#define DAY_S    86400
#define UUID_LEN 36
#define SAID_MAX 64u /* advisories of one vulnerability */

/* A vulnerability that several advisories make up is as many notifications here. The first has Clair's name, which a client may have been told; those
 * of the others follow from it, so that another import finds them. RFC 9562 5.4: version 4. */
static int name_of(str name, size_t number, struct arena *arena, str *ret, struct err *e)
{
    uint8_t sum[32];
    char hex[65];
    *ret = name;
    if (!number)
        return 0;
    str seed = arena_printf(arena, STR_FMT "#%zu", STR_ARG(name), number);
    if (sha256_of(seed.ptr, seed.len, sum, e) < 0)
        return -1;
    sum[6] = (uint8_t)((sum[6] & 0x0f) | 0x40);
    sum[8] = (uint8_t)((sum[8] & 0x3f) | 0x80);
    hex_encode(sum, sizeof sum, hex);
    *ret = arena_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return arena_failed(arena) ? taking_oom(e) : 0;
}

static bool is_uuid(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!name.ptr[i] || !strchr("0123456789abcdef-", name.ptr[i]))
            return false;
    return name.len == UUID_LEN;
}

/* 1 stored, or would be; 0 it was there; -1. */
static int put(struct taking *t, const struct clair2_notification *x, const struct stored_advisory *said,
               size_t number, str namespace, struct arena *arena, struct err *e)
{
    struct notification n = { .feed = said->feed,
                              .created = x->created,
                              .due = t->o->now,
                              .namespace = namespace },
                        known;
    if (name_of(x->name, number, arena, &n.name, e) < 0)
        return -1;
    int found = store_advisory_find(t->to, said->feed, said->advisory.key, &n.after, e);
    if (found <= 0) /* withdrawn meanwhile */
        return found;
    if (t->o->dry) {
        found = store_notification_find(t->to, n.name, arena, &known, e);
        return found < 0 ? -1 : !found;
    }
    return store_notification_put(t->to, &n, e);
}

static int take_known(struct taking *t, const struct clair2_notification *x, struct arena *arena,
                      struct err *e)
{
    struct import_clair2_notifications *c = &t->n->notifications;
    struct stored_namespace space;
    struct stored_vulnerability v = { 0 };
    int stored = 0;
    if (namespace_place(t->to, x->namespace, arena, &space, e) < 0)
        return -1;
    int found = store_vulnerability_find(t->to, space.name, x->new, arena, &v, e);
    if (found < 0)
        return -1;
    for (size_t i = 0; found && i < v.said_count && i < SAID_MAX; i++) {
        int one = put(t, x, &v.said[i], i, space.name, arena, e);
        if (one < 0)
            return -1;
        stored |= one;
    }
    c->unknown += !found;
    c->taken += found && stored;
    c->there += found && !stored;
    return 0;
}

static int take_one(struct taking *t, const struct clair2_notification *x, struct err *e)
{
    struct import_clair2_notifications *c = &t->n->notifications;
    if (!is_uuid(x->name)) {
        c->left_out++;
        taking_tell(t, "notification", x->name, "its name is no UUID in small letters");
        return 0;
    }
    if (x->created < t->o->now - IMPORT_NOTIFICATION_DAYS * DAY_S) {
        c->old++;
        return 0;
    }
    if (!x->new.len || !t->to || !name_fits(x->new) || !name_fits(x->namespace)) {
        c->unknown++;
        return 0;
    }
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    return arena ? take_known(t, x, arena, e) : taking_oom(e);
}

int take_notifications(struct taking *t, struct err *e)
{
    for (int64_t after = 0;;) {
        struct clair2_notification *list;
        size_t n;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return taking_oom(e);
        if (clair2_notifications_after(t->from, after, PAGE, arena, &list, &n, e) < 0)
            return -1;
        if (!n)
            return 0;
        for (size_t i = 0; i < n; i++)
            if (take_one(t, &list[i], e) < 0)
                return err_wrap(e, "notification " STR_FMT, STR_ARG(str_head(list[i].name, UUID_LEN)));
        after = list[n - 1].id;
        taking_progress(t);
    }
}
