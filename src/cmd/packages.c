/* packages.c - what is installed in an image, and which layer brought it. */
#include "base/cleanup.h"
#include "cmd/scan_formats.h"
#include "cmd/scan_run.h"
#include "cmd/scan_source.h"
#include "model/purl.h"
#include "report/json.h"
#include "report/report.h"
#include "report/text.h"

struct own_options {
    struct scan_options scan;
    struct option_list formats;
    const char *output;
};

#define FIELD(name) offsetof(struct own_options, name)
static const char *format_words(size_t i)
{
    static const char *const words[] = { "table", "json", "cyclonedx", "spdx", "purls" };
    return WORD_OF(words, i);
}

static const struct option options[] = {
    { "format", "NAME[=FILE]", OPT_LIST, FIELD(formats),
      "table (default), json, cyclonedx, spdx or purls; again for more than one, each with its file", 'f',
      .words = format_words },
    { "output", "FILE", OPT_TEXT, FIELD(output),
      "write it there, whole or not at all; of several that without a file of its own", 'o' },
    { "db", "WHERE", OPT_TEXT, SCAN_FIELD(db), DATABASE_HELP },
    { "platform", "OS/ARCH", OPT_TEXT, SCAN_FIELD(platform),
      "of several images the one for it, as linux/arm64 or linux/arm/v7" },
    SCAN_TELLING_OPTIONS,
    { 0 },
};
_Static_assert(sizeof(struct own_options) <= OPTIONS_SIZE_MAX, "options");

enum { COLUMNS = 5, WIDTH_MAX = 44 };

static void cells(const struct image_package *p, struct arena *arena, str ret[COLUMNS])
{
    const struct package *k = &p->package;
    ret[0] = k->name;
    ret[1] = k->version;
    ret[2] = k->arch.len ? k->arch : STR("-");
    ret[3] = str_eq(k->source, k->name) && str_eq(k->source_version, k->version) ? STR("-")
             : str_eq(k->source_version, k->version)
                 ? k->source
                 : arena_printf(arena, STR_FMT " " STR_FMT, STR_ARG(k->source), STR_ARG(k->source_version));
    ret[4] = arena_printf(arena, "%u", p->layer + 1);
}

static void put_row(struct buf *out, const str cell[COLUMNS], const size_t width[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++) {
        text_put(out, cell[i], TEXT_TERMINAL);
        for (size_t n = cell[i].len; i + 1 < COLUMNS && (n < width[i] + 2 || n == cell[i].len); n++)
            buf_char(out, ' ');
    }
    buf_char(out, '\n');
}

static void write_table(const struct report *r, const struct report_options *o, struct buf *out)
{
    const struct image_index *i = r->image;
    const str head[COLUMNS] = { STR("PACKAGE"), STR("VERSION"), STR("ARCH"), STR("SOURCE"), STR("LAYER") };
    size_t width[COLUMNS];
    str cell[COLUMNS];
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena) {
        out->failed = true;
        return;
    }
    for (size_t k = 0; k < COLUMNS; k++)
        width[k] = head[k].len;
    for (size_t n = 0; n < i->package_count; n++) {
        cells(&i->packages[n], arena, cell);
        for (size_t k = 0; k < COLUMNS; k++)
            if (cell[k].len > width[k])
                width[k] = cell[k].len < WIDTH_MAX ? cell[k].len : WIDTH_MAX;
    }
    if (i->package_count)
        put_row(out, head, width);
    for (size_t n = 0; n < i->package_count; n++) {
        cells(&i->packages[n], arena, cell);
        put_row(out, cell, width);
    }
    buf_printf(out, "%s%zu package%s in %zu layer%s", i->package_count ? "\n" : "", i->package_count,
               i->package_count == 1 ? "" : "s", i->layer_count, i->layer_count == 1 ? "" : "s");
    buf_str(out, STR(", "));
    text_put(out, i->distribution.name.len ? i->distribution.name : STR("no known distribution"),
             TEXT_TERMINAL);
    buf_char(out, '\n');
    for (size_t n = 0; n < r->warning_count; n++) {
        buf_str(out, STR("warning: "));
        text_put(out, r->warnings[n], TEXT_TERMINAL);
        buf_char(out, '\n');
    }
}

static void write_json(const struct report *r, const struct report_options *o, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    json_w_object(&w);
    json_w_number(&w, "schema_version", 1);
    report_json_image(&w, r);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

static void write_purls(const struct report *r, const struct report_options *o, struct buf *out)
{
    const struct image_index *i = r->image;
    for (size_t n = 0; n < i->package_count && !out->failed; n++) {
        purl_put(out, &i->packages[n].package, &i->distribution);
        buf_char(out, '\n');
    }
}

static const struct report_format table = { "table", "for people", write_table },
                                  json = { "json", "for programs", write_json },
                                  purls = { "purls", "package URLs, one a line", write_purls };
static const struct report_format *const formats[] = { &table,       &json,  &report_cyclonedx,
                                                       &report_spdx, &purls, NULL };

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct own_options *o = opts;
    struct scan_formats outputs;
    CLEANUP(scan_session_done) struct scan_session session = { 0 };
    CLEANUP(scan_done) struct scan s = { 0 };
    const struct report_options how = { 0 };
    const struct verdict none = { 0 };
    (void)count;
    if (scan_formats_read(formats, &o->formats, o->output, &outputs, e) < 0 ||
        scan_session_open(&session, &o->scan, args[0], e) < 0)
        return -1;
    session.packages_only = true;
    if (scan_run(&s, &session, args[0], e) < 0)
        return -1;
    scan_session_rest(&session);
    if (scan_formats_write(&outputs, args[0], &s.report, &how, NULL, e) < 0)
        return -1;
    scan_tell(&session, &s.report, &none, false, scan_formats_show(&outputs, &table));
    return s.image->unreadable ? 3 : 0;
}

const struct command command_packages = {
    .name = "packages",
    .arguments = "IMAGE",
    .summary = "Lists the packages of an image",
    .details =
        "What is installed, from which source, and by which layer it came. No vulnerability data is needed.\n"
        "Exit code: 0 done, 1 failure, 2 usage, 3 a part of the image that may hold packages was not read.",
    .more = scan_sources_help,
    .options = options,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
