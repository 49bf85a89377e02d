/* load.h - one source into the database, told on the line of a watch. */
#pragma once
#include "cmd/watch.h"
#include "feed/update.h"

/* feed_update(); `watch`: NULL for none. how->progress and how->ctx are ours. */
int load_feed(struct store *store, struct cage *cage, const struct feed *feed,
              const struct update_options *how, struct watch *watch, struct update_result *ret,
              struct err *e);
