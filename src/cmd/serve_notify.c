#include "cmd/serve_notify.h"

#include "api/metrics.h"
#include "base/log.h"

static void on_told(struct metrics *m, const struct notify_event *event)
{
    const str none = STR("");
    metrics_add(m, METRIC_NOTIFIER_TOLD, 1, none, none);
    if (event->ms >= 0)
        metrics_observe(m, METRIC_NOTIFIER_LATENCY, (double)event->ms, none, none);
    log_info("successfully sent notification", LOG_NUM("attempts", event->attempts),
             LOG_TEXT("notification name", event->name));
}

/* A sender that is down is told once, its failures with `debug`. */
static void on_failed(struct metrics *m, const struct notify_event *event)
{
    str sender = str_from(event->sender);
    metrics_add(m, METRIC_NOTIFIER_ERRORS, 1, sender, STR(""));
    metrics_add(m, METRIC_NOTIFIER_FAILURES, 1, str_from(event->reason), sender);
    log_debug("could not send notification", LOG_TEXT("error", str_from(event->error)),
              LOG_TEXT("notification name", event->name), LOG_TEXT("sender name", sender));
}

static void on_event(void *ctx, const struct notify_event *event)
{
    switch (event->kind) {
    case NOTIFY_TOLD:
        on_told(ctx, event);
        break;
    case NOTIFY_FAILED:
        on_failed(ctx, event);
        break;
    case NOTIFY_GAVE_UP:
        log_warning("giving up on sending notification : max attempts exceeded: the next round begins later",
                    LOG_NUM("attempts", event->attempts), LOG_TEXT("error", str_from(event->error)),
                    LOG_TEXT("notification name", event->name));
        break;
    case NOTIFY_SENDER_DOWN:
        log_warning("a sender of notifications fails: it is tried now and then",
                    LOG_TEXT("error", str_from(event->error)),
                    LOG_TEXT("sender name", str_from(event->sender)));
        break;
    case NOTIFY_SENDER_UP:
        log_info("a sender of notifications works again", LOG_TEXT("sender name", str_from(event->sender)));
        break;
    }
}

struct notify *serve_notify(const struct notify_options *o, struct metrics *metrics, struct err *e)
{
    struct notify_options with = *o;
    const char *names[NOTIFY_SENDERS];
    size_t n = notify_senders(o, names);
    with.told = on_event;
    with.ctx = metrics;
    struct notify *started = notify_start(&with, e);
    for (size_t i = 0; started && i < n; i++)
        log_info("sender configured", LOG_TEXT("sender name", str_from(names[i])));
    if (started)
        log_info(n ? "notifier service started" : "notifier service is disabled");
    return started;
}
