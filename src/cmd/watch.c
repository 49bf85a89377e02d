#include "cmd/watch.h"

#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "config/duration.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define TICK_MS 100

struct watch {
    struct watch_options options;
    pthread_t thread;
    sigset_t set;
    int64_t until_ms; /* 0: no end */
    pthread_mutex_t lock;
    struct progress line; /* what follows is under the lock */
    const char *remove;
};

/* ---- the end ---- */

static void remove_files(const struct watch *w)
{
    static const char *const endings[] = { "", "-wal", "-shm", "-journal" };
    for (size_t i = 0; w->remove && i < sizeof endings / sizeof *endings; i++) {
        char name[PATH_MAX + 16];
        snprintf(name, sizeof name, "%s%s", w->remove, endings[i]);
        unlink(name);
    }
}

/* Keeps the lock: nobody draws any more. */
static void leave(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    progress_wipe(&w->line);
    remove_files(w);
}

static void end_by(struct watch *w, int number)
{
    sigset_t one;
    leave(w);
    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    raise(number);
    _exit(128 + number);
}

static void end_late(struct watch *w)
{
    struct err e = { 0 };
    leave(w);
    err_set(&e, ERR_BUSY, "%s: not done within %g s (--timeout)", w->options.what,
            (double)w->options.timeout_ms / 1000);
    complain(e.text);
    _exit(err_exit_code(e.kind));
}

/* ---- the thread ---- */

static int64_t next_wait_ms(const struct watch *w)
{
    int64_t left = w->until_ms ? w->until_ms - clock_ms() : INT64_MAX;
    int64_t tick = w->options.shows ? TICK_MS : 60000;
    return left < 0 ? 0 : left < tick ? left : tick;
}

/* Cancelled nowhere but while it waits: the lock is then free. */
static int wait_for_signal(const struct watch *w)
{
    int64_t ms = next_wait_ms(w);
    const struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    int number = sigtimedwait(&w->set, NULL, &ts);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return number;
}

static void *run(void *ctx)
{
    struct watch *w = ctx;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    for (;;) {
        int number = wait_for_signal(w);
        if (number > 0)
            end_by(w, number);
        if (w->until_ms && clock_ms() >= w->until_ms)
            end_late(w);
        pthread_mutex_lock(&w->lock);
        if (w->options.shows)
            progress_draw(&w->line);
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

/* ---- its life ---- */

static void ending_signals(sigset_t *ret)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    sigemptyset(ret);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction is;
        if (sigaction(numbers[i], NULL, &is) == 0 && is.sa_handler != SIG_IGN)
            sigaddset(ret, numbers[i]);
    }
}

void watch_block(sigset_t *ret_before)
{
    sigset_t set;
    ending_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, ret_before);
}

struct watch *watch_start(const struct watch_options *o, struct err *e)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w) {
        w->options = *o;
        w->until_ms = o->timeout_ms ? clock_ms() + o->timeout_ms : 0;
        ending_signals(&w->set);
        w->remove = o->remove;
    }
    if (w && pthread_mutex_init(&w->lock, NULL) == 0) {
        if (pthread_create(&w->thread, NULL, run, w) == 0)
            return w;
        pthread_mutex_destroy(&w->lock);
    }
    free(w);
    pthread_sigmask(SIG_SETMASK, &o->before, NULL);
    err_set(e, ERR_OOM, "no thread could be started");
    return NULL;
}

void watch_freep(struct watch **watch)
{
    struct watch *w = *watch;
    if (!w)
        return;
    pthread_cancel(w->thread);
    pthread_join(w->thread, NULL);
    progress_wipe(&w->line);
    pthread_mutex_destroy(&w->lock);
    pthread_sigmask(SIG_SETMASK, &w->options.before, NULL);
    free(w);
    *watch = NULL;
}

int watch_read_timeout(const char *text, int64_t *ret_ms, struct err *e)
{
    int64_t ns = 0;
    *ret_ms = 0;
    if (text && (!duration_parse(str_from(text), &ns) || ns < 1000000))
        return err_set(e, ERR_USAGE, "--timeout: '%s' is no duration of a millisecond or more (30s, 10m, 1h)",
                       text);
    *ret_ms = ns / 1000000;
    return 0;
}

bool watch_can_show(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
}

void watch_keep(struct watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->remove = NULL;
    pthread_mutex_unlock(&w->lock);
}

/* ---- the line ---- */

void watch_label(struct watch *w, const char *fmt, ...)
{
    char text[PROGRESS_LABEL];
    va_list ap;
    if (!w || !w->options.shows)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&w->lock);
    progress_begin(&w->line, text);
    pthread_mutex_unlock(&w->lock);
}

void watch_parts(struct watch *w, size_t done, size_t of, const char *noun)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->line.parts_done = done;
    w->line.parts = of;
    w->line.noun = noun;
    pthread_mutex_unlock(&w->lock);
}

void watch_bytes(struct watch *w, uint64_t done, int64_t total)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->line.bytes = done;
    w->line.total = total;
    pthread_mutex_unlock(&w->lock);
}

void watch_meter(struct watch *w, uint64_t (*bytes)(void *ctx), void *ctx)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->line.meter = bytes;
    w->line.meter_ctx = ctx;
    w->line.meter_first = bytes ? bytes(ctx) : 0;
    pthread_mutex_unlock(&w->lock);
}

void watch_hide(struct watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    progress_wipe(&w->line);
    w->line.label[0] = '\0';
    pthread_mutex_unlock(&w->lock);
}
