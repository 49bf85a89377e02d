/* load.h - one source into the database, with a line on a terminal that tells how far it is. */
#pragma once
#include "feed/update.h"

/* feed_update(); `shows`: on a line of standard error, which is gone at the end. how->progress and how->ctx are ours. */
int load_feed(struct store *store, struct cage *cage, const struct feed *feed,
              const struct update_options *how, bool shows, struct update_result *ret, struct err *e);
