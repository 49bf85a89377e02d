/* scan.c - the main job: index, match, print. */
#include "base/cleanup.h"
#include "cmd/output.h"
#include "cmd/scan_run.h"
#include "report/report.h"

struct own_options {
    struct scan_options scan;
    const char *format, *output;
    bool show_suppressed;
};

#define FIELD(name) offsetof(struct own_options, name)
static const struct option options[] = {
    { "format", "NAME", OPT_TEXT, FIELD(format), "table (default) or json" },
    { "output", "FILE", OPT_TEXT, FIELD(output), "write the report there, whole or not at all" },
    SCAN_POLICY_OPTIONS,
    { "show-suppressed", NULL, OPT_FLAG, FIELD(show_suppressed),
      "list what those files took out, and why (json always has it), and what in them hits nothing" },
    { "exit-code", "N", OPT_NUMBER, SCAN_FIELD(exit_code),
      "exit with N when there are findings (default 0)" },
    { "fail-on", "NAME", OPT_TEXT, SCAN_FIELD(fail_on),
      "only findings from it on count for the exit code (4, or --exit-code)" },
    SCAN_OPTIONS,
    { 0 },
};
_Static_assert(sizeof(struct own_options) <= OPTIONS_SIZE_MAX, "options");

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct own_options *o = opts;
    const struct report_format *format =
        o->format ? report_format_by_name(str_from(o->format)) : report_formats[0];
    CLEANUP(scan_session_done) struct scan_session session = { 0 };
    CLEANUP(scan_done) struct scan s = { 0 };
    struct verdict verdict;
    (void)count;
    if (!format)
        return err_set(e, ERR_USAGE, "--format: '%s' is none of table, json", o->format);
    if (output_check(o->output, e) < 0 || scan_session_open(&session, &o->scan, e) < 0 ||
        scan_run(&s, &session, args[0], e) < 0 || scan_judge(&s, &session, &verdict, e) < 0)
        return -1;
    s.report.show_suppressed = o->show_suppressed;
    CLEANUP(buf_done) struct buf out = { .max = REPORT_MAX };
    format->write(&s.report, &out);
    if (out.failed)
        return err_set(e, ERR_LIMIT, "%s: the report is larger than %zu MiB", args[0], REPORT_MAX >> 20);
    if (output_write(o->output, buf_view(&out), e) < 0)
        return -1;
    scan_tell(&session, &s.report, &verdict, format == &report_table);
    return verdict.exit_code;
}

const struct command command_scan = {
    .name = "scan",
    .arguments = "IMAGE",
    .summary = "Finds the known vulnerabilities of an image",
    .details =
        "IMAGE is an archive of `docker save` or `podman save`, an OCI layout (folder or tar), an ACI, or a "
        "root file system\n"
        "folder; archives and layers may be plain, gzip, zstd, bzip2 or xz; \"-\" reads an archive from "
        "standard input.\n"
        "Severities: " SEVERITY_NAMES ".\n"
        "Files that say what not to count are read only when they are named: a result does not depend on "
        "where "
        "it is made.\n"
        "An image of a distribution of which no data was ever loaded: what is needed is fetched, once, and "
        "told "
        "(--update).\n"
        "Exit code: 0 done, 1 failure, 2 usage, 3 not covered, else what --exit-code and --fail-on say.",
    .options = options,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
