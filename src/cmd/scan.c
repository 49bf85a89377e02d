/* scan.c - the main job: index, match, print. */
#include "base/cleanup.h"
#include "cmd/scan_formats.h"
#include "cmd/scan_run.h"
#include "cmd/scan_source.h"

struct own_options {
    struct scan_options scan;
    struct option_list formats;
    const char *output, *template_file, *colour;
    bool show_suppressed;
};

static const char *report_words(size_t i) { return report_formats[i] ? report_formats[i]->name : NULL; }

#define FIELD(name) offsetof(struct own_options, name)
static const struct option options[] = {
    { "format", "NAME[=FILE]", OPT_LIST, FIELD(formats),
      "table (default), or another of those below; again for more than one, each with its file", 'f',
      .words = report_words },
    { "output", "FILE", OPT_TEXT, FIELD(output),
      "write the report there, whole or not at all; of several that without a file of its own", 'o' },
    { "color", "WHEN", OPT_TEXT, FIELD(colour), "of the table on standard output: auto, always, never [auto]",
      .words = words_colour },
    { "template", "FILE", OPT_TEXT, FIELD(template_file),
      "what --format template writes: Mustache over the JSON report" },
    SCAN_POLICY_OPTIONS,
    { "show-suppressed", NULL, OPT_FLAG, FIELD(show_suppressed),
      "list what those files took out, and why (json always has it), and what in them hits nothing" },
    { "exit-code", "N", OPT_NUMBER, SCAN_FIELD(exit_code),
      "exit with N when there are findings (default 0)" },
    { "fail-on", "NAME", OPT_TEXT, SCAN_FIELD(fail_on),
      "only findings from it on count for the exit code (4, or --exit-code)", .words = words_severities },
    SCAN_OPTIONS,
    { 0 },
};
_Static_assert(sizeof(struct own_options) <= OPTIONS_SIZE_MAX, "options");

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct own_options *o = opts;
    struct scan_formats formats;
    CLEANUP(buf_done) struct buf template = { .max = TEMPLATE_MAX };
    struct report_options how = { .show_suppressed = o->show_suppressed };
    CLEANUP(scan_session_done) struct scan_session session = { 0 };
    CLEANUP(scan_done) struct scan s = { 0 };
    struct verdict verdict;
    (void)count;
    if (scan_formats_read(report_formats, &o->formats, o->output, &formats, e) < 0 ||
        scan_formats_template(&formats, o->template_file, &template, &how, e) < 0 ||
        scan_session_open(&session, &o->scan, args[0], e) < 0 || scan_run(&s, &session, args[0], e) < 0 ||
        scan_judge(&s, &session, &verdict, e) < 0)
        return -1;
    scan_session_rest(&session);
    if (scan_formats_write(&formats, args[0], &s.report, &how, o->colour, e) < 0)
        return -1;
    scan_tell(&session, &s.report, &verdict, how.show_suppressed, scan_formats_show(&formats, &report_table));
    return verdict.exit_code;
}

static void more(FILE *to)
{
    scan_sources_help(to);
    fprintf(to, "\nFormats:\n");
    for (size_t i = 0; report_formats[i]; i++)
        fprintf(to, "  %-24s %s\n", report_formats[i]->name, report_formats[i]->help);
}

const struct command command_scan = {
    .name = "scan",
    .arguments = "IMAGE",
    .summary = "Finds the known vulnerabilities of an image",
    .details =
        "IMAGE is a name of Docker or Podman, an archive of `docker save` or `podman save`, an OCI layout "
        "(folder or tar), an ACI, a root file "
        "system\n"
        "folder, or a list of packages (CycloneDX, SPDX, purls); archives and layers may be plain, gzip, "
        "zstd, bzip2 or xz; \"-\" is "
        "standard input.\n"
        "Severities: " SEVERITY_NAMES ".\n"
        "Files that say what not to count are read only when they are named.\n"
        "An image of a distribution of which no data was ever loaded: what is needed is fetched, once, and "
        "told "
        "(--update).\n"
        "Exit code: 0 done, 1 failure, 2 usage, 3 not covered, else what --exit-code and --fail-on say.",
    .more = more,
    .options = options,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
