#include "base/log.h"

#include "base/buf.h"
#include "base/secret.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LINE_WAIT_MS 200 /* for a reader that is only slow */
#define FIELDS_MAX   32
#define TEXT_MAX     ((size_t)16 << 10) /* of one value: a request's target may be that long */

static atomic_int max_level = LOG_INFO, form = LOG_JSON;

void log_set_level(enum log_level level) { atomic_store(&max_level, (int)level); }
void log_set_form(enum log_form f) { atomic_store(&form, (int)f); }

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

/* Controls of C1, which some terminals obey. */
static bool is_c1(str s) { return s.len > 1 && s.ptr[0] == '\xc2' && (uint8_t)s.ptr[1] < 0xa0; }

/* As JSON of Go's encoder; for people "<", ">" and "&" stay, and no control reaches a terminal. */
static void quoted(struct buf *out, str s, bool people)
{
    buf_char(out, '"');
    while (s.len) {
        uint8_t c = (uint8_t)s.ptr[0];
        size_t n = 1;
        if (people && is_c1(s))
            escape(out, (uint8_t)s.ptr[n++]);
        else if (c >= 0x80)
            n = rune(out, s);
        else if (c < 0x20 || c == '"' || c == '\\' || (people ? c == 0x7f : strchr("<>&", c) != NULL))
            escape(out, c);
        else
            buf_char(out, (char)c);
        s = str_skip(s, n);
    }
    buf_char(out, '"');
}

/* A value without its secrets, quoted. */
static void quoted_value(struct buf *out, str s, bool people)
{
    s = str_head(s, TEXT_MAX);
    if (!secret_suspected(s)) {
        quoted(out, s, people);
        return;
    }
    struct buf masked = { 0 };
    secret_mask(s, &masked);
    quoted(out, buf_view(&masked), people);
    out->failed |= masked.failed;
    buf_done(&masked);
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

/* ---- the two forms of a line ---- */

struct entry {
    enum log_level level;
    const char *event, *place, *when;
    const struct log_field *fields;
    size_t count;
};

static void value(struct buf *out, const struct log_field *f, bool people)
{
    if (f->is_number)
        buf_printf(out, "%lld", (long long)f->number);
    else
        quoted_value(out, f->text, people);
}

static void as_json(struct buf *out, const struct entry *entry)
{
    static const char *const names[] = { "fatal", "error", "warning", "info", "debug" };
    const struct log_field *sorted[FIELDS_MAX + 4];
    size_t n = 0;
    const struct log_field own[] = { LOG_TEXT("Event", str_from(entry->event)),
                                     LOG_TEXT("Level", str_from(names[entry->level])),
                                     LOG_TEXT("Location", str_from(entry->place)),
                                     LOG_TEXT("Time", str_from(entry->when)) };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        add(sorted, &n, &own[i]);
    for (size_t i = 0; i < entry->count && i < FIELDS_MAX && entry->fields[i].key; i++)
        add(sorted, &n, &entry->fields[i]);
    for (size_t i = 0; i < n; i++) {
        buf_char(out, i ? ',' : '{');
        quoted(out, str_from(sorted[i]->key), false);
        buf_char(out, ':');
        value(out, sorted[i], false);
    }
    buf_str(out, STR("}\n"));
}

/* May it stand without quotes? */
static bool is_plain(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || strchr("\"\\=<>&", s.ptr[i]))
            return false;
    return s.len > 0 && !secret_suspected(s);
}

static void as_text(struct buf *out, const struct entry *entry, bool coloured)
{
    static const struct {
        const char *name, *colour;
    } looks[] = { { "FATAL", "\x1b[1;31m" },
                  { "ERROR", "\x1b[31m" },
                  { "WARN ", "\x1b[33m" },
                  { "INFO ", "\x1b[32m" },
                  { "DEBUG", "\x1b[2m" } };
    const char *off = coloured ? "\x1b[0m" : "", *dim = coloured ? "\x1b[2m" : "";
    buf_printf(out, "%s%.12s%s %s%s%s ", dim, entry->when + strlen("2006-01-02 "), off,
               coloured ? looks[entry->level].colour : "", looks[entry->level].name, off);
    buf_str(out, str_from(entry->event));
    for (size_t i = 0; i < entry->count && i < FIELDS_MAX && entry->fields[i].key; i++) {
        const struct log_field *f = &entry->fields[i];
        buf_printf(out, "%s%s%s=%s", i ? " " : "  ", dim, f->key, off);
        if (!f->is_number && is_plain(f->text) && f->text.len <= TEXT_MAX)
            buf_str(out, f->text);
        else
            value(out, f, true);
    }
    buf_char(out, '\n');
}

void log_line(enum log_level level, const char *file, int line, const char *event,
              const struct log_field *fields, size_t count)
{
    char place[256], when[64];
    int saved = errno, how = atomic_load(&form);

    if ((int)level > atomic_load(&max_level))
        return;
    const char *slash = strrchr(file, '/');
    snprintf(place, sizeof place, "%s:%d", slash ? slash + 1 : file, line);
    local_time(when);
    const struct entry entry = { level, event, place, when, fields, count };
    struct buf out = { 0 };
    if (how == LOG_JSON)
        as_json(&out, &entry);
    else
        as_text(&out, &entry, how == LOG_COLOURED);
    write_whole(out.failed ? STR("{\"Event\":\"out of memory\",\"Level\":\"error\"}\n") : buf_view(&out));
    buf_done(&out);
    errno = saved;
}

void log_fatal_text(const char *event, const char *error)
{
    char when[40];
    time_t now = time(NULL);
    struct tm tm = { 0 };
    struct buf out = { 0 };
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_printf(&out, "time=\"%s\" level=fatal msg=", when);
    quoted_value(&out, str_from(event), true);
    buf_str(&out, STR(" error="));
    quoted_value(&out, str_from(error), true);
    buf_char(&out, '\n');
    fwrite(out.ptr, 1, out.len, stderr);
    buf_done(&out);
}
