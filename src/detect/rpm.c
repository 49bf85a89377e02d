/* rpm.c - rpm's database, in whichever of its three files it is kept. */
#include "detect/rpm_db.h"
#include "detect/rpm_header.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>

struct found {
    struct rpm_sink sink; /* first: the walkers hand it back */
    struct detected *out;
    struct rpm_vendors vendors;
    size_t headers; /* read, be it a key */
    size_t damaged;
    char first[200]; /* what was wrong where there was damage first */
};

static void on_damage(struct rpm_sink *s, struct rpm_place at, const char *what)
{
    struct found *f = (struct found *)s;
    if (!f->damaged++)
        snprintf(f->first, sizeof f->first, "%s %llu: %.150s", at.unit, (unsigned long long)at.number, what);
}

static void on_odd(struct rpm_sink *s, const char *what)
{
    detected_note(((struct found *)s)->out, "%s", what);
}

static int on_header(struct rpm_sink *s, struct rpm_place at, str blob, struct err *e)
{
    struct found *f = (struct found *)s;
    struct rpm_header h;
    struct err odd = { 0 };
    if (rpm_header_read(blob, &h, &odd) < 0) {
        on_damage(s, at, odd.text);
        return 0;
    }
    f->headers++;
    if (rpm_header_add(&h, f->out) && rpm_vendors_add(&f->vendors, h.vendor, f->out))
        return 0;
    return err_set(e, ERR_OOM, "%s %llu: no memory for more packages", at.unit,
                   (unsigned long long)at.number);
}

static int walk_bdb(const struct detect_file *file, struct rpm_sink *sink, struct err *e)
{
    return rpm_bdb_walk(file->content, sink, e);
}

static int walk_ndb(const struct detect_file *file, struct rpm_sink *sink, struct err *e)
{
    return rpm_ndb_walk(file->content, sink, e);
}

static int walk_sqlite(const struct detect_file *file, struct rpm_sink *sink, struct err *e)
{
    return rpm_sqlite_walk(file->content, file->beside, sink, e);
}

static const struct format {
    const char *base, *name;
    bool (*is)(str content);
    int (*walk)(const struct detect_file *file, struct rpm_sink *sink, struct err *e);
} formats[] = {
    { "/Packages", "Berkeley DB", rpm_bdb_is, walk_bdb },
    { "/Packages.db", "NDB", rpm_ndb_is, walk_ndb },
    { "/rpmdb.sqlite", "SQLite", rpm_sqlite_is, walk_sqlite },
};

static int walk(const struct detect_file *file, struct rpm_sink *sink, struct err *e)
{
    const struct format *own = formats;
    while (!str_ends(file->path, str_from(own->base)))
        own++;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (own != &formats[i] && formats[i].is(file->content))
            return err_set(e, ERR_FORMAT, "a database of %s under the name of one of %s", formats[i].name,
                           own->name);
    return own->walk(file, sink, e);
}

int rpm_damaged(struct rpm_sink *s, struct rpm_place at, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->damage(s, at, text);
    return 0;
}

static int rpm_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    struct found f = { .sink = { on_header, on_damage, on_odd }, .out = out };
    if (!file->content.len && !file->beside.len) {
        detected_note(out, "it is empty");
        return 0;
    }
    if (walk(file, &f.sink, e) < 0)
        return -1;
    if (!f.damaged)
        return 0;
    if (!f.headers) /* to go on would be to say that nothing is installed */
        return err_set(e, ERR_FORMAT, "no package could be read: %s", f.first);
    detected_note(out, "%s%s", f.first, f.damaged > 1 ? "; and more like it" : "");
    return 0;
}

const struct detector detector_rpm = {
    .name = "rpm",
    .version = 2,
    .paths =
        "var/lib/rpm/Packages var/lib/rpm/Packages.db var/lib/rpm/rpmdb.sqlite "
        "usr/lib/sysimage/rpm/Packages usr/lib/sysimage/rpm/Packages.db usr/lib/sysimage/rpm/rpmdb.sqlite "
        "usr/share/rpm/Packages usr/share/rpm/Packages.db usr/share/rpm/rpmdb.sqlite",
    .scan = rpm_scan,
    .beside = "-wal", /* where SQLite keeps what it has not yet put into its file */
};
