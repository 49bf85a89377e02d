/* feed.c - for people who ask where what is known comes from, and who report that it is wrong. */
#include "cmd/feed.h"

#include "base/cleanup.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/words.h"
#include "codec/json.h"
#include "feed/feed.h"

static const struct option options[] = {
    { "document", "NAME", OPT_TEXT, offsetof(struct feed_options, document),
      "of test: which of the source's documents FILE is [one that ends like FILE, else the first]" },
    { "cursor", "TEXT", OPT_TEXT, offsetof(struct feed_options, cursor),
      "of test: what the source remembered of the last update" },
    { "format", "NAME", OPT_TEXT, offsetof(struct feed_options, format),
      "table (default) or json; of test one object a line", .words = words_table_json },
    { 0 },
};
_Static_assert(sizeof(struct feed_options) <= OPTIONS_SIZE_MAX, "options");

/* ---- list ---- */

static size_t count_documents(const struct feed *f)
{
    size_t n = 0;
    while (f->documents[n].path)
        n++;
    return n;
}

static void list_json(struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_array(&w);
    for (size_t i = 0; feeds[i]; i++) {
        const struct feed *f = feeds[i];
        json_w_object(&w);
        json_w_text(&w, "name", str_from(f->name));
        json_w_text(&w, "about", str_from(f->about));
        json_w_key(&w, "covers");
        json_w_array(&w);
        for (str rest = str_from(f->covers), word; (word = str_word(&rest)).len;)
            json_w_str(&w, word);
        json_w_array_end(&w);
        json_w_text_or_null(&w, "url", f->place.url ? str_from(f->place.url) : (str){ 0 });
        json_w_text(&w, "folder", str_from(f->place.folder));
        json_w_number(&w, "megabytes", f->megabytes);
        json_w_key(&w, "documents");
        json_w_array(&w);
        for (size_t k = 0; k < count_documents(f); k++)
            json_w_str(&w, str_from(f->documents[k].path));
        json_w_array_end(&w);
        json_w_object_end(&w);
    }
    json_w_array_end(&w);
    buf_char(out, '\n');
}

/* For people. */
static const char *place_of(const struct feed *f) { return f->place.url ? f->place.url : "a mirror"; }

static const char *covers(const struct feed *f) { return *f->covers ? f->covers : "all: severities"; }

static void list_table(struct buf *out)
{
    int name = 6, about = 4, place = 4;
    for (size_t i = 0; feeds[i]; i++) {
        int n = (int)strlen(feeds[i]->name), a = (int)strlen(feeds[i]->about),
            p = (int)strlen(place_of(feeds[i]));
        name = n > name ? n : name;
        about = a > about ? a : about;
        place = p > place ? p : place;
    }
    buf_printf(out, "%-*s  %8s  %-*s  %-*s  %s\n", name, "SOURCE", "SIZE", about, "WHAT", place, "FROM",
               "COVERS");
    for (size_t i = 0; feeds[i]; i++)
        buf_printf(out, "%-*s  %5u MB  %-*s  %-*s  %s\n", name, feeds[i]->name, feeds[i]->megabytes, about,
                   feeds[i]->about, place, place_of(feeds[i]), covers(feeds[i]));
}

static int list(const struct feed_options *o, struct err *e)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    (o->format && !strcmp(o->format, "json") ? list_json : list_table)(&out);
    return out.failed ? err_set(e, ERR_OOM, "feed list") : output_write("", NULL, buf_view(&out), e);
}

/* ---- the command ---- */

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct feed_options *o = opts;
    if (!strcmp(args[0], "list") && count == 1)
        return list(o, e);
    if (strcmp(args[0], "test") || count != 3)
        return err_set(e, ERR_USAGE, "feed: usage: eclair feed list, or eclair feed test SOURCE FILE");
    const struct feed *feed = feed_by_name(str_from(args[1]));
    if (!feed)
        return err_set(e, ERR_USAGE, "feed: unknown source '%s' (eclair feed list names them)", args[1]);
    return feed_test(o, feed, args[2], e);
}

static const char *action_words(size_t i)
{
    static const char *const words[] = { "list", "test" };
    return WORD_OF(words, i);
}

const struct command command_feed = {
    .name = "feed",
    .arguments = "list | test SOURCE FILE",
    .summary = "Lists the sources of vulnerability data, or tells what one makes of a file",
    .details = "list          what there is: its size over the network, where it is from, what it covers\n"
               "test          reads FILE (\"-\": standard input; plain, gzip, zstd, bzip2 or xz) as a "
               "document of SOURCE, "
               "touches no\n"
               "              database, and prints all that it says; exit code 1 when it is broken",
    .options = options,
    .words = action_words,
    .args_min = 1,
    .args_max = 3,
    .run = run,
};
