#include "cmd/notify.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "codec/json.h"
#include "store/store.h"

#define AT_ONCE 500

static bool is_json(const struct notify_command *o) { return o->format && !strcmp(o->format, "json"); }

static const char *state_of(const struct notification *n)
{
    if (n->deleted)
        return "deleted";
    if (n->notified)
        return "told";
    return n->attempts ? "failing" : "waiting";
}

static void put_time(struct json_writer *w, const char *key, int64_t t)
{
    char text[CLOCK_TEXT] = "";
    if (t)
        clock_format(t, text);
    json_w_text_or_null(w, key, str_from(text));
}

static void put_notification(struct json_writer *w, const struct notification *n)
{
    json_w_text(w, "name", n->name);
    json_w_text(w, "state", str_from(state_of(n)));
    json_w_text(w, "namespace", n->namespace);
    json_w_text(w, "feed", n->feed);
    json_w_number(w, "generation", n->generation);
    put_time(w, "created", n->created);
    put_time(w, "notified", n->notified);
    put_time(w, "deleted", n->deleted);
    json_w_number(w, "attempts", n->attempts);
    put_time(w, "due", n->due);
    json_w_text_or_null(w, "error", n->error);
}

/* ---- list ---- */

static void row(const struct notification *n, struct buf *out)
{
    char due[CLOCK_TEXT] = "-", error[512];
    CLEANUP(buf_done) struct buf text = { 0 };
    if (n->due)
        clock_format(n->due, due);
    buf_str(&text, n->error);
    buf_char(&text, '\0');
    err_clean(error, sizeof error, text.failed ? "" : text.ptr);
    buf_printf(out, "%-36.*s  %-8s %8lld  %-20s  %-18.*s%s%s\n", STR_ARG(n->name), state_of(n),
               (long long)n->attempts, due, STR_ARG(n->namespace), *error ? "  " : "", error);
}

int notify_list(const struct notify_command *o, struct settings *s, const char *none, struct err *e)
{
    CLEANUP(store_freep) struct store *store = store_open(settings_view(s)->database, STORE_READ, e);
    CLEANUP(buf_done) struct buf out = { 0 };
    struct json_writer w = { .out = &out, .indent = 2 };
    struct notification *list = NULL;
    size_t count = 1;
    (void)none;
    if (!store)
        return -1;
    if (is_json(o))
        json_w_array(&w);
    else
        buf_printf(&out, "%-36s  %-8s %8s  %-20s  %s\n", "NAME", "STATE", "ATTEMPTS", "DUE",
                   "NAMESPACE, ERROR");
    for (int64_t after = 0; count;) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena || store_notification_list(store, after, AT_ONCE, arena, &list, &count, e) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            after = list[i].id;
            if (list[i].deleted && !o->all)
                continue;
            if (is_json(o)) {
                json_w_object(&w);
                put_notification(&w, &list[i]);
                json_w_object_end(&w);
            } else {
                row(&list[i], &out);
            }
        }
    }
    if (is_json(o)) {
        json_w_array_end(&w);
        buf_char(&out, '\n');
    }
    return out.failed ? err_set(e, ERR_OOM, "out of memory") : output_write("", NULL, buf_view(&out), e);
}

/* ---- show ---- */

#define IMAGES_MAX 10000 /* that are counted */

struct shown {
    struct notification n;
    struct side {
        struct stored_advisory advisory;
        bool there;
        int64_t images; /* that it hits now; IMAGES_MAX: or more */
    } before, after;
};

static int count_images(struct store *store, int64_t id, int64_t *ret, struct err *e)
{
    struct affected_cursor cursor = { 0 };
    for (int more = 1; more && *ret < IMAGES_MAX;) {
        struct affected_image *images;
        size_t n = 0;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (!arena)
            return err_set(e, ERR_OOM, "out of memory");
        more = store_affected(store, id, &cursor, AT_ONCE, arena, &images, &n, e);
        if (more < 0)
            return -1;
        *ret += (int64_t)n;
    }
    return 0;
}

static int read_side(struct store *store, int64_t id, struct arena *arena, struct side *ret, struct err *e)
{
    int r = id ? store_advisory_get(store, id, arena, &ret->advisory, e) : 0;
    ret->there = r > 0;
    return r <= 0 ? r : count_images(store, id, &ret->images, e);
}

static bool is_meant(const struct shown *s, const struct affected_range *r)
{
    return !s->n.namespace.len || str_eq(r->namespace, s->n.namespace);
}

static void put_side(struct json_writer *w, const struct shown *s, const char *key, const struct side *side)
{
    const struct stored_advisory *a = &side->advisory;
    json_w_key(w, key);
    if (!side->there) {
        json_w_null(w);
        return;
    }
    json_w_object(w);
    json_w_text(w, "id", a->advisory.id);
    json_w_text_or_null(w, "link", a->advisory.link);
    json_w_text_or_null(w, "description", a->advisory.description);
    json_w_number(w, "images", side->images);
    json_w_key(w, "affected");
    json_w_array(w);
    for (size_t i = 0; i < a->advisory.range_count; i++) {
        const struct affected_range *r = &a->advisory.ranges[i];
        if (!is_meant(s, r))
            continue;
        json_w_object(w);
        json_w_text(w, "package", r->package);
        json_w_text_or_null(w, "fixed", r->fixed_version);
        json_w_text(w, "severity", str_from(severity_name(r->severity)));
        json_w_object_end(w);
    }
    json_w_array_end(w);
    json_w_object_end(w);
}

static void write_json(const struct shown *s, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_object(&w);
    put_notification(&w, &s->n);
    put_side(&w, s, "old", &s->before);
    put_side(&w, s, "new", &s->after);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

static void write_side(const struct shown *s, const char *key, const struct side *side, struct buf *out)
{
    const struct stored_advisory *a = &side->advisory;
    if (!side->there) {
        buf_printf(out, "%s: none\n", key);
        return;
    }
    buf_printf(out, "%s: " STR_FMT "%s" STR_FMT "\n     images that it hits: %lld%s\n", key,
               STR_ARG(a->advisory.id), a->advisory.link.len ? "  " : "", STR_ARG(a->advisory.link),
               (long long)side->images, side->images >= IMAGES_MAX ? " or more" : "");
    for (size_t i = 0; i < a->advisory.range_count; i++) {
        const struct affected_range *r = &a->advisory.ranges[i];
        str fixed = r->negative ? STR("not affected") : r->fixed_version.len ? r->fixed_version : STR("-");
        if (is_meant(s, r))
            buf_printf(out, "     " STR_FMT "  %s  fixed in: " STR_FMT "\n", STR_ARG(r->package),
                       severity_name(r->severity), STR_ARG(fixed));
    }
}

static void write_text(const struct shown *s, struct buf *out)
{
    const struct notification *n = &s->n;
    const struct {
        const char *word;
        int64_t at;
    } times[] = {
        { "created", n->created }, { "told", n->notified }, { "deleted", n->deleted }, { "due", n->due }
    };
    buf_printf(out, STR_FMT ": %s, in " STR_FMT ", by feed " STR_FMT ", generation %lld\n", STR_ARG(n->name),
               state_of(n), STR_ARG(n->namespace), STR_ARG(n->feed), (long long)n->generation);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[CLOCK_TEXT];
        clock_format(times[i].at, text);
        if (times[i].at)
            buf_printf(out, "%s %s\n", times[i].word, text);
    }
    buf_printf(out, "tries that failed since: %lld%s" STR_FMT "\n", (long long)n->attempts,
               n->error.len ? ": " : "", STR_ARG(n->error));
    write_side(s, "old", &s->before, out);
    write_side(s, "new", &s->after, out);
}

/* Texts are feeds': nothing of theirs rules the terminal. */
static int print_clean(const struct buf *text, struct err *e)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    for (str rest = buf_view(text); rest.len;) {
        char line[4096], clean[4096];
        str one = str_line(&rest);
        snprintf(line, sizeof line, STR_FMT, STR_ARG(one));
        err_clean(clean, sizeof clean, line);
        buf_printf(&out, "%s\n", clean);
    }
    return out.failed ? err_set(e, ERR_OOM, "out of memory") : output_write("", NULL, buf_view(&out), e);
}

int notify_show(const struct notify_command *o, struct settings *s, const char *name, struct err *e)
{
    CLEANUP(store_freep) struct store *store = store_open(settings_view(s)->database, STORE_READ, e);
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    struct shown shown = { 0 };
    int found = store && arena ? store_notification_find(store, str_from(name), arena, &shown.n, e) : -1;
    if (found == 0)
        return err_set(e, ERR_NOT_FOUND, "%s: no such notification", name);
    if (found < 0 || read_side(store, shown.n.before, arena, &shown.before, e) < 0 ||
        read_side(store, shown.n.after, arena, &shown.after, e) < 0)
        return -1;
    (is_json(o) ? write_json : write_text)(&shown, &out);
    if (out.failed)
        return err_set(e, ERR_OOM, "out of memory");
    return is_json(o) ? output_write("", NULL, buf_view(&out), e) : print_clean(&out, e);
}
