#include "cmd/progress.h"

#include "base/clock.h"
#include "base/err.h"
#include "report/text.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS     80 /* of a terminal that does not say */
#define COLUMNS_MIN 20
#define BAR         20
#define RATE_MS     500 /* so long nothing is told of how fast it is */

void progress_begin(struct progress *p, const char *label)
{
    bool same = p->begun_ms && !strcmp(p->label, label), drawn = p->drawn;
    if (same)
        return;
    *p = (struct progress){ .total = -1, .begun_ms = clock_ms(), .drawn = drawn };
    err_clean(p->label, sizeof p->label, label);
}

/* ---- its parts ---- */

static size_t put_size(char *to, size_t room, uint64_t bytes)
{
    static const char *const units[] = { "kB", "MB", "GB", "TB" };
    double n = (double)bytes / 1000;
    size_t u = 0;
    while (n >= 1000 && u + 1 < sizeof units / sizeof *units)
        n /= 1000, u++;
    return (size_t)snprintf(to, room, "%.1f %s", n, units[u]);
}

static uint64_t bytes_of(const struct progress *p)
{
    return p->meter ? p->meter(p->meter_ctx) - p->meter_first : p->bytes;
}

/* "2 of 5 layers, 45.2 of 120.0 MB, 12.3 MB/s"; a room of 160 is enough. */
static void put_numbers(const struct progress *p, int64_t now_ms, char *to, size_t room)
{
    size_t n = 0;
    uint64_t bytes = bytes_of(p);
    int64_t ms = now_ms - p->begun_ms;
    *to = '\0';
    if (p->parts)
        n = (size_t)snprintf(to, room, "%zu of %zu %s", p->parts_done, p->parts, p->noun);
    if (bytes) {
        n += (size_t)snprintf(to + n, room - n, "%s", n ? ", " : "");
        n += put_size(to + n, room - n, bytes);
    }
    if (bytes && p->total > 0) {
        n += (size_t)snprintf(to + n, room - n, " of ");
        n += put_size(to + n, room - n, (uint64_t)p->total);
    }
    if (bytes && ms >= RATE_MS) {
        n += (size_t)snprintf(to + n, room - n, ", ");
        n += put_size(to + n, room - n, bytes * 1000 / (uint64_t)ms);
        snprintf(to + n, room - n, "/s");
    }
}

/* 0 to BAR; -1: nobody knows. */
static int filled(const struct progress *p)
{
    double part = -1;
    if (p->total > 0)
        part = (double)p->bytes / (double)p->total;
    else if (p->parts)
        part = (double)p->parts_done / (double)p->parts;
    return part < 0 ? -1 : part > 1 ? BAR : (int)(part * BAR);
}

static void put_bar(char *to, int n)
{
    for (int i = 0; i < BAR; i++)
        to[i] = i < n ? '=' : i == n ? '>' : ' ';
    to[BAR] = '\0';
}

/* Of a long one the end tells more. */
static const char *cut_label(const char *label, size_t columns)
{
    str rest = str_from(label);
    while (rest.len && text_columns(rest) > columns) {
        size_t n = str_rune(rest);
        rest = str_skip(rest, n ? n : 1);
    }
    return label + (strlen(label) - rest.len);
}

void progress_format(const struct progress *p, size_t columns, int64_t now_ms, char *ret, size_t size)
{
    char numbers[192], bar[BAR + 1] = "";
    size_t room = (columns > COLUMNS_MIN ? columns : COLUMNS_MIN) - 1;
    int full = filled(p);
    put_numbers(p, now_ms, numbers, sizeof numbers);
    size_t taken = strlen(numbers) + (*numbers ? 1 : 0);
    if (full >= 0 && taken + BAR + 3 + COLUMNS_MIN <= room) {
        put_bar(bar, full);
        taken += BAR + 3;
    }
    size_t left = taken < room ? room - taken : 0;
    bool cut = text_columns(str_from(p->label)) > left;
    const char *label = cut ? cut_label(p->label, left > 3 ? left - 3 : 0) : p->label;
    int n = snprintf(ret, size, "%s%s%s%s%s%s%s", cut && left > 3 ? "..." : "", label, *bar ? " [" : "", bar,
                     *bar ? "]" : "", *numbers ? " " : "", numbers);
    if (n > 0 && taken > room) /* not even the numbers fit */
        ret[room < size ? room : size - 1] = '\0';
}

/* ---- the terminal ---- */

static size_t terminal_columns(void)
{
    struct winsize size = { 0 };
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : COLUMNS;
}

/* By one write(2), and without stdio: what ends the process may come at any time. */
static void put(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

void progress_draw(struct progress *p)
{
    char line[PROGRESS_LABEL + 256], out[sizeof line + 8];
    if (!*p->label)
        return;
    progress_format(p, terminal_columns(), clock_ms(), line, sizeof line);
    snprintf(out, sizeof out, "\r%s\033[K", line);
    put(out);
    p->drawn = true;
}

void progress_wipe(struct progress *p)
{
    if (p->drawn)
        put("\r\033[K");
    p->drawn = false;
}
