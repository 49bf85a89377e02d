/* push_log.c - lines as github.com/op/go-logging wrote them: coloured on standard error always, plain in the file. */
#include "base/cleanup.h"
#include "cmd/push.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/uio.h>
#include <time.h>

#define STAMP 32

static const struct {
    const char *name;
    int color;
} levels[] = {
    [PUSH_INFO] = { "INFO", 32 },
    [PUSH_WARN] = { "WARN", 33 },
    [PUSH_ERRO] = { "ERRO", 31 },
    [PUSH_CRIT] = { "CRIT", 31 },
};

int push_go_error(struct err *e, const char *verb, const char *path)
{
    char reason[128];
    snprintf(reason, sizeof reason, "%s", strerror(errno));
    reason[0] = (char)tolower((unsigned char)reason[0]);
    return err_set(e, ERR_IO, "%s %s: %s", verb, path, reason);
}

int push_log_open(struct push_log *l, const char *path, struct err *e)
{
    l->fd = -1;
    if (!path || !*path)
        return 0;
    l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0660);
    return l->fd < 0 ? push_go_error(e, "open", path) : 0;
}

void push_log_done(struct push_log *l) { close_fdp(&l->fd); }

static void stamp(char ret[STAMP])
{
    time_t now = time(NULL);
    struct tm local = { 0 };
    localtime_r(&now, &local);
    strftime(ret, STAMP, "%Y/%m/%d %H:%M:%S", &local);
}

/* In one piece; a log that cannot be written is nobody's failure. */
static void put_line(int fd, const char *head, str text, const char *tail)
{
    struct iovec io[3] = { { (char *)head, strlen(head) },
                           { (char *)text.ptr, text.len },
                           { (char *)tail, strlen(tail) } };
    while (writev(fd, io, 3) < 0 && errno == EINTR)
        ;
}

void push_say(const struct push_log *l, enum push_level level, const char *fmt, ...)
{
    char when[STAMP], head[96];
    CLEANUP(freep) char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        text = NULL;
    str line = n < 0 ? STR("(out of memory)") : str_of(text, (size_t)n);
    stamp(when);
    snprintf(head, sizeof head, "%s \033[0;%dm[%s] \u25b6 ", when, levels[level].color, levels[level].name);
    put_line(STDERR_FILENO, head, line, "\033[0m\n");
    snprintf(head, sizeof head, "%s [%s] \u25b6 ", when, levels[level].name);
    if (l->fd >= 0)
        put_line(l->fd, head, line, "\n");
}

void push_say_plain(const struct push_log *l, const char *fmt, ...)
{
    char when[STAMP], head[STAMP + 1];
    CLEANUP(freep) char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        text = NULL;
    str line = n < 0 ? STR("(out of memory)") : str_of(text, (size_t)n);
    stamp(when);
    snprintf(head, sizeof head, "%s ", when);
    put_line(STDERR_FILENO, head, line, "\n");
    if (l->fd >= 0)
        put_line(l->fd, head, line, "\n");
}

/* ---- signals ---- */

static void ending_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGQUIT);
    sigaddset(ret, SIGTERM);
}

static void *wait_for_signal(void *ctx)
{
    struct push_signals *s = ctx;
    char head[64], when[STAMP];
    sigset_t set;
    int number = 0;
    ending_signals(&set);
    if (sigwait(&set, &number) != 0)
        return NULL;
    pthread_mutex_lock(&s->hold);
    stamp(when);
    snprintf(head, sizeof head, "%s Application interrupted [", when);
    str name = number == SIGINT ? STR("interrupt") : number == SIGQUIT ? STR("quit") : STR("terminated");
    put_line(STDERR_FILENO, head, name, "]\n");
    _exit(1); /* files of ours have no name, workers die with us */
}

void push_signals_block(void)
{
    sigset_t set;
    ending_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int push_signals_start(struct push_signals *s, struct err *e)
{
    if (pthread_mutex_init(&s->hold, NULL) != 0 || pthread_create(&s->thread, NULL, wait_for_signal, s) != 0)
        return err_set(e, ERR_OOM, "no thread could be started");
    s->started = true;
    return 0;
}

void push_signals_stop(struct push_signals *s)
{
    if (!s->started)
        return;
    pthread_cancel(s->thread);
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->hold);
}
