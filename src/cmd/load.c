#include "cmd/load.h"

static void on_progress(void *ctx, const struct update_progress *p)
{
    watch_label(ctx, "%s: " STR_FMT, p->feed->name, STR_ARG(p->document));
    watch_bytes(ctx, p->bytes, p->total);
}

int load_feed(struct store *store, struct cage *cage, const struct feed *feed,
              const struct update_options *how, struct watch *watch, struct update_result *ret, struct err *e)
{
    struct update_options o = *how;
    o.progress = watch ? on_progress : NULL;
    o.ctx = watch;
    watch_label(watch, "%s", feed->name);
    int r = feed_update(store, cage, feed, &o, ret, e);
    watch_hide(watch);
    return r;
}
