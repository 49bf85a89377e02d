#include "base/log.h"

#include "base/buf.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LINE_WAIT_MS 200 /* for a reader that is only slow */
#define FIELDS_MAX   32
#define TEXT_MAX     ((size_t)16 << 10) /* of one value: a request's target may be that long */

static enum log_level max_level = LOG_INFO;

void log_set_level(enum log_level level) { max_level = level; }

bool log_level_parse(str name, enum log_level *ret)
{
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {
        { "panic", LOG_FATAL },     { "fatal", LOG_FATAL }, { "error", LOG_ERROR }, { "warn", LOG_WARNING },
        { "warning", LOG_WARNING }, { "info", LOG_INFO },   { "debug", LOG_DEBUG }, { "trace", LOG_DEBUG },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.len == strlen(names[i].name) && !strncasecmp(name.ptr, names[i].name, name.len)) {
            *ret = names[i].level;
            return true;
        }
    return false;
}

static void escape(struct buf *out, uint8_t c)
{
    char name = c == '"' || c == '\\' ? (char)c : c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : '\0';
    if (name)
        buf_add(out, (char[]){ '\\', name }, 2);
    else
        buf_printf(out, "\\u%04x", c);
}

/* One character that is not plain ASCII; returns its length. The two line ends of Unicode are escaped as Go does. */
static size_t rune(struct buf *out, str s)
{
    uint8_t c = (uint8_t)s.ptr[0];
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    str one = str_head(s, n);
    if (one.len < n || !str_utf8(one)) {
        buf_str(out, STR("\xef\xbf\xbd"));
        return 1;
    }
    if (str_eq(one, STR("\xe2\x80\xa8")) || str_eq(one, STR("\xe2\x80\xa9")))
        buf_printf(out, "\\u202%c", one.ptr[2] == '\xa8' ? '8' : '9');
    else
        buf_str(out, one);
    return n;
}

static void quoted(struct buf *out, str s)
{
    buf_char(out, '"');
    while (s.len) {
        uint8_t c = (uint8_t)s.ptr[0];
        size_t n = 1;
        if (c >= 0x80)
            n = rune(out, s);
        else if (c < 0x20 || strchr("\"\\<>&", c))
            escape(out, c);
        else
            buf_char(out, (char)c);
        s = str_skip(s, n);
    }
    buf_char(out, '"');
}

static void local_time(char ret[64])
{
    struct timespec now;
    struct tm tm = { 0 };
    char seconds[40];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(seconds, sizeof seconds, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(ret, 64, "%s.%06ld", seconds, now.tv_nsec / 1000);
}

/* Does the other end take a piece of PIPE_BUF bytes now, or soon? Then writing one does not block (pipe(7)). */
static bool takes_more(int wait_ms)
{
    struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&p, 1, wait_ms) > 0;
}

/* False: the other end is gone, or reads no more; *rest is what it has not got. */
static bool write_pieces(str *rest, int wait_ms)
{
    for (; rest->len; wait_ms = LINE_WAIT_MS) {
        if (!takes_more(wait_ms))
            return false;
        ssize_t n = write(STDOUT_FILENO, rest->ptr, str_head(*rest, PIPE_BUF).len);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        *rest = str_skip(*rest, n < 0 ? 0 : (size_t)n);
    }
    return true;
}

/* A reader that stands still stops nobody: lines are dropped, without waiting from the second on, and counted. The lock keeps lines
 * whole. */
static void write_whole(str line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static unsigned long dropped;
    static bool cut; /* in the middle of a line */
    char text[128];
    pthread_mutex_lock(&lock);
    bool ok = true;
    if (dropped) {
        int n = snprintf(text, sizeof text,
                         "%s{\"Event\":\"log lines dropped\",\"Level\":\"warning\",\"lines\":%lu}\n",
                         cut ? "\n" : "", dropped);
        str told = str_of(text, (size_t)n);
        ok = write_pieces(&told, 0); /* it is one piece: all or nothing */
        if (ok)
            cut = false, dropped = 0;
    }
    str rest = line;
    if (!ok || !write_pieces(&rest, LINE_WAIT_MS)) {
        dropped++;
        cut = cut || rest.len < line.len;
    }
    pthread_mutex_unlock(&lock);
}

static void add(const struct log_field *sorted[], size_t *count, const struct log_field *f)
{
    size_t i = *count;
    for (; i && strcmp(sorted[i - 1]->key, f->key) > 0; i--)
        sorted[i] = sorted[i - 1];
    sorted[i] = f;
    ++*count;
}

void log_line(enum log_level level, const char *file, int line, const char *event,
              const struct log_field *fields, size_t count)
{
    static const char *const names[] = { "fatal", "error", "warning", "info", "debug" };
    const struct log_field *sorted[FIELDS_MAX + 4];
    char place[256], when[64];
    size_t n = 0;
    int saved = errno;

    if (level > max_level)
        return;
    const char *slash = strrchr(file, '/');
    snprintf(place, sizeof place, "%s:%d", slash ? slash + 1 : file, line);
    local_time(when);
    const struct log_field own[] = { LOG_TEXT("Event", str_from(event)),
                                     LOG_TEXT("Level", str_from(names[level])),
                                     LOG_TEXT("Location", str_from(place)),
                                     LOG_TEXT("Time", str_from(when)) };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        add(sorted, &n, &own[i]);
    for (size_t i = 0; i < count && i < FIELDS_MAX && fields[i].key; i++)
        add(sorted, &n, &fields[i]);

    struct buf out = { 0 };
    for (size_t i = 0; i < n; i++) {
        buf_char(&out, i ? ',' : '{');
        quoted(&out, str_from(sorted[i]->key));
        buf_char(&out, ':');
        if (sorted[i]->is_number)
            buf_printf(&out, "%lld", (long long)sorted[i]->number);
        else
            quoted(&out, str_head(sorted[i]->text, TEXT_MAX));
    }
    buf_str(&out, STR("}\n"));
    write_whole(out.failed ? STR("{\"Event\":\"out of memory\",\"Level\":\"error\"}\n") : buf_view(&out));
    buf_done(&out);
    errno = saved;
}
