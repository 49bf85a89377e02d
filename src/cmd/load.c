#include "cmd/load.h"

#include "base/clock.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TELL_MS   100
#define WIDTH     80 /* of a terminal that does not say */
#define WIDTH_MAX 200

struct telling {
    int64_t next_ms;
    size_t width;
};

static size_t terminal_width(void)
{
    struct winsize size = { 0 };
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
        return WIDTH;
    return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

static void put_size(char *to, size_t room, const struct update_progress *p)
{
    const double mb = 1e6;
    if (p->total >= 0)
        snprintf(to, room, "%.1f of %.1f MB", (double)p->bytes / mb, (double)p->total / mb);
    else
        snprintf(to, room, "%.1f MB", (double)p->bytes / mb);
}

/* Of a long name the end tells more. One line, or the next could not be written over it. */
static void on_progress(void *ctx, const struct update_progress *p)
{
    struct telling *t = ctx;
    char size[64], raw[PACKAGE_TEXT_MAX + 1], name[4 * PACKAGE_TEXT_MAX + 1];
    if (clock_ms() < t->next_ms)
        return;
    t->next_ms = clock_ms() + TELL_MS;
    put_size(size, sizeof size, p);
    snprintf(raw, sizeof raw, STR_FMT, STR_ARG(p->document));
    err_clean(name, sizeof name, raw); /* it may come from outside */
    size_t taken = strlen(p->feed->name) + strlen(size) + 8, len = strlen(name);
    size_t fits = t->width > taken ? t->width - taken : 0;
    bool cut = len > fits;
    const char *end = cut ? name + len - fits : name;
    while (cut && (*end & 0xc0) == 0x80) /* not within a character */
        end++;
    fprintf(stderr, "\r%s: %s%s: %s\033[K", p->feed->name, cut ? "..." : "", end, size);
    fflush(stderr);
}

int load_feed(struct store *store, struct cage *cage, const struct feed *feed,
              const struct update_options *how, bool shows, struct update_result *ret, struct err *e)
{
    struct telling t = { .width = terminal_width() };
    struct update_options o = *how;
    o.progress = shows ? on_progress : NULL;
    o.ctx = &t;
    int r = feed_update(store, cage, feed, &o, ret, e);
    if (t.next_ms)
        fputs("\r\033[K", stderr);
    return r;
}
