/* db_status.c - for people in doubt: what is in the database, and how old it is. */
#include "cmd/db.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "codec/json.h"

struct status {
    struct store_counts counts;
    struct store_condition condition;
    struct feed_status *feeds;
    size_t feed_count;
    int64_t now;
};

static int64_t age(const struct status *s, const struct feed_status *f)
{
    return s->now > f->last_success ? s->now - f->last_success : 0;
}

static void put_feed(struct json_writer *w, const struct status *s, const struct feed_status *f)
{
    char when[CLOCK_TEXT], tried[CLOCK_TEXT];
    clock_format(f->last_success, when);
    clock_format(f->last_try, tried);
    json_w_object(w);
    json_w_text(w, "name", f->name);
    json_w_number(w, "entries", f->entries);
    json_w_text_or_null(w, "last_try", f->last_try ? str_from(tried) : STR(""));
    json_w_text_or_null(w, "last_success", f->last_success ? str_from(when) : STR(""));
    json_w_key(w, "age_seconds");
    if (f->last_success)
        json_w_int(w, age(s, f));
    else
        json_w_null(w);
    json_w_text_or_null(w, "error", f->error);
    json_w_object_end(w);
}

static void put_condition(struct json_writer *w, const struct store_condition *c)
{
    json_w_number(w, "size_bytes", c->bytes);
    json_w_number(w, "waiting_sets", c->waiting);
    json_w_number(w, "segments", c->segments);
    json_w_number(w, "oldest_generation", c->oldest);
    json_w_key(w, "leases");
    json_w_array(w);
    for (size_t i = 0; i < c->lease_count; i++) {
        json_w_object(w);
        json_w_text(w, "name", c->leases[i].name);
        json_w_text(w, "owner", c->leases[i].owner);
        json_w_number(w, "seconds_left", c->leases[i].left_s);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void write_json(const struct status *s, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_object(&w);
    json_w_number(&w, "schema", s->counts.schema);
    json_w_number(&w, "generation", s->counts.generation);
    json_w_key(&w, "counts");
    json_w_object(&w);
    json_w_number(&w, "layers", s->counts.layers);
    json_w_number(&w, "images", s->counts.images);
    json_w_number(&w, "packages", s->counts.packages);
    json_w_number(&w, "advisories", s->counts.advisories);
    json_w_number(&w, "ranges", s->counts.ranges);
    json_w_number(&w, "changes", s->counts.changes);
    json_w_object_end(&w);
    json_w_key(&w, "feeds");
    json_w_array(&w);
    for (size_t i = 0; i < s->feed_count; i++)
        put_feed(&w, s, &s->feeds[i]);
    json_w_array_end(&w);
    put_condition(&w, &s->condition);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

static void write_condition(const struct store_condition *c, struct buf *out)
{
    buf_printf(out,
               "%lld bytes; index: %lld segments, %lld package sets wait to be merged; history since "
               "generation %lld\n",
               (long long)c->bytes, (long long)c->segments, (long long)c->waiting, (long long)c->oldest);
    for (size_t i = 0; i < c->lease_count; i++)
        buf_printf(out, "lease '" STR_FMT "': %lld seconds left, held by " STR_FMT "\n",
                   STR_ARG(c->leases[i].name), (long long)c->leases[i].left_s, STR_ARG(c->leases[i].owner));
}

static void write_table(const struct status *s, struct buf *out)
{
    buf_printf(out, "generation %lld (one more with each update that changed something), schema %lld\n",
               (long long)s->counts.generation, (long long)s->counts.schema);
    buf_printf(out, "images %lld, layers %lld, packages %lld; advisories %lld with %lld entries\n",
               (long long)s->counts.images, (long long)s->counts.layers, (long long)s->counts.packages,
               (long long)s->counts.advisories, (long long)s->counts.ranges);
    write_condition(&s->condition, out);
    buf_char(out, '\n');
    if (!s->feed_count)
        buf_str(out, STR("no feed is loaded: eclair update loads them\n"));
    else
        buf_printf(out, "%-14s %10s  %s\n", "FEED", "ENTRIES", "LAST SUCCESS");
    for (size_t i = 0; i < s->feed_count; i++) {
        const struct feed_status *f = &s->feeds[i];
        char when[CLOCK_TEXT];
        clock_format(f->last_success, when);
        buf_printf(out, "%-14.*s %10lld  %s\n", STR_ARG(f->name), (long long)f->entries,
                   f->last_success ? when : "never");
        if (f->error.len)
            buf_printf(out, "               the last try failed: " STR_FMT "\n", STR_ARG(f->error));
    }
}

int db_status(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    (void)file;
    bool json = o->format && !strcmp(o->format, "json");
    CLEANUP(store_freep) struct store *store = database_open(place, true, e);
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    struct status s = { .now = clock_now() };
    if (!store || !arena || store_count(store, &s.counts, e) < 0 ||
        store_feeds(store, arena, &s.feeds, &s.feed_count, e) < 0 ||
        store_condition(store, arena, &s.condition, e) < 0)
        return -1;
    (json ? write_json : write_table)(&s, &out);
    return out.failed ? err_set(e, ERR_OOM, "status") : output_write("", NULL, buf_view(&out), e);
}
