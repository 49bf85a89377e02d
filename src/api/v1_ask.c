/* v1_ask.c - what is only read is asked of the replica, if there is one, and then of the primary. */
#include "api/internal.h"

#include "base/log.h"

static int ask(struct stores *from, v1_question *question, void *ctx, struct err *e)
{
    struct store *s = stores_take(from, e);
    int found = s ? question(s, ctx, e) : -1;
    stores_give(from, s);
    return found;
}

/* Too much for an answer is too much elsewhere, too. */
static bool is_ours(const struct err *e) { return e->kind == ERR_OOM || e->kind == ERR_LIMIT; }

/* What the replica does not know it may learn yet, and where it fails the primary need not: 0 or -1 then mean little. */
static int ask_replica(struct stores *replica, v1_question *question, void *ctx, struct err *e)
{
    if (!replica || !stores_ask(replica))
        return 0;
    int found = ask(replica, question, ctx, e);
    bool failed = found < 0 && !is_ours(e);
    if (stores_went(replica, failed ? e : NULL)) {
        if (failed)
            log_warning("the read replica fails: the primary is asked", LOG_TEXT("error", str_from(e->text)));
        else
            log_info("the read replica answers again");
    }
    return found;
}

int v1_ask(struct call *c, v1_question *question, void *ctx, struct err *e)
{
    int found = ask_replica(c->api->replica, question, ctx, e);
    if (found > 0 || (found < 0 && is_ours(e)))
        return found;
    *e = (struct err){ 0 };
    return ask(c->api->stores, question, ctx, e);
}
