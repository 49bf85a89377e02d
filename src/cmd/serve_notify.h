/* serve_notify.h - the notifier of a server: what it tells goes to the log and the metrics. */
#pragma once
#include "base/metrics.h"
#include "notify/notify.h"

/* As notify_start(). `metrics` must outlive it. */
struct notify *serve_notify(const struct notify_options *o, struct metrics *metrics, struct err *e);
