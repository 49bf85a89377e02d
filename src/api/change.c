#include "api/change.h"

#include "base/cleanup.h"
#include "codec/stream.h"

static int read_side(struct store *s, int64_t id, struct arena *arena, str namespace, struct change_side *ret,
                     struct err *e)
{
    *ret = (struct change_side){ 0 };
    if (!id)
        return 0;
    int found = store_advisory_get(s, id, arena, &ret->said, e);
    if (found <= 0)
        return found; /* it has been let go */
    ret->advisory = id;
    ret->known = v1_vulnerability_of(&ret->said, 1, namespace, arena, &ret->vulnerability);
    return 0;
}

int change_find(struct store *s, str name, struct arena *arena, struct change *ret, struct err *e)
{
    struct notification *n = &ret->notification;
    int found = store_notification_find(s, name, arena, n, e);
    if (found <= 0)
        return found;
    if (read_side(s, n->before, arena, n->namespace, &ret->old, e) < 0 ||
        read_side(s, n->after, arena, n->namespace, &ret->new, e) < 0)
        return -1;
    return arena_failed(arena) ? err_set(e, ERR_OOM, "answer: out of memory") : 1;
}

/* One more than is wanted tells where the next page begins. */
int change_page(struct store *s, const struct change *c, const struct change_side *side, change_list *list,
                int64_t from, int64_t limit, struct arena *arena, struct change_page *ret, struct err *e)
{
    *ret = (struct change_page){ .next = CHANGE_ENDED };
    if (!side->known || from == CHANGE_ENDED || limit < 0)
        return 0;
    size_t wanted = (size_t)(limit < CHANGE_PAGE_MAX ? limit : CHANGE_PAGE_MAX);
    if (list(s, side->advisory, c->notification.namespace, from, wanted + 1, arena, &ret->names, &ret->count,
             e) < 0)
        return -1;
    if (ret->count > wanted) {
        ret->count = wanted;
        ret->next = ret->names[wanted].id;
    }
    return 0;
}

int change_token(str text, const char *const *keys, size_t count, int64_t *ret, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, &(struct json_limits){ 4, 64 }, e) : NULL;
    enum json_type type;
    str key, value;
    int more;
    if (!j || json_next(j, &type, &value, e) < 0)
        return -1;
    if (type != JSON_OBJECT)
        return err_set(e, ERR_FORMAT, "no object");
    while ((more = json_key(j, &key, e)) > 0) {
        size_t i = 0;
        uint64_t n;
        while (i < count && !str_eq(key, str_from(keys[i])))
            i++;
        if (i == count ? json_skip(j, e) < 0 : json_next(j, &type, &value, e) < 0)
            return -1;
        if (i == count)
            continue;
        bool ended = type == JSON_NUMBER && str_eq(value, STR("-1"));
        if (!ended && (type != JSON_NUMBER || !str_to_u64(value, &n) || n > INT64_MAX))
            return err_set(e, ERR_FORMAT, "no number");
        ret[i] = ended ? CHANGE_ENDED : (int64_t)n;
    }
    return more;
}
