/* help_topics.c - what is not about one command alone, made from the tables that the program itself goes by. */
#include "cmd/page.h"
#include "cmd/scan_source.h"
#include "cmd/settings.h"
#include "config/config.h"
#include "feed/feed.h"
#include "report/report.h"

#include <string.h>

static void sources(FILE *to)
{
    page_text(to, "eclair scan, explain, diff and packages take an IMAGE. A name before it says where it is: "
                  "NAME:IMAGE; without\n"
                  "one these are asked in their order, and the first that has it is taken:\n\n");
    for (size_t i = 0; scan_sources[i]; i++)
        page_row(to, 16, scan_sources[i]->name, scan_sources[i]->summary);
    page_text(
        to, "\nArchives and layers may be plain, gzip, zstd, bzip2 or xz. --platform chooses one of several "
            "images.\n\n"
            "Sources of vulnerability data, and about how much a first load transfers. eclair update brings "
            "them up to date;\n"
            "--mirror takes them from a folder or base URL instead:\n\n");
    for (size_t i = 0; feeds[i]; i++) {
        char text[320];
        snprintf(text, sizeof text, "%s (%u MB)", feeds[i]->about, feeds[i]->megabytes);
        page_row(to, 16, feeds[i]->name, text);
    }
}

static void outputs(FILE *to)
{
    page_text(
        to, "eclair scan writes one report in as many forms as are wanted: -f NAME to standard output, or to "
            "--output FILE;\n"
            "-f NAME=FILE to a file of its own. A file is whole or not at all. NAME is one of\n\n");
    for (size_t i = 0; report_formats[i]; i++)
        page_row(to, 16, report_formats[i]->name, report_formats[i]->help);
    page_text(
        to, "\nOn a terminal the table is as wide as that, in colours, and by package: first what the lowest "
            "layer of the base image\n"
            "brought, then what was built on it. --color always or never decides on colours; without it "
            "$NO_COLOR turns them\n"
            "off, $CLICOLOR_FORCE turns them on where standard output is no terminal.\n\n"
            "eclair diff writes table or json; packages table, json, cyclonedx or spdx.\n\n"
            "Example:\n\n"
            "    $ eclair scan -f table -f sarif=report.sarif -f junit=report.xml image.tar\n");
}

static void exit_codes(FILE *to)
{
    page_text(to, "What the commands end with:\n\n");
    page_row(to, 6, "0", "done");
    page_row(to, 6, "1",
             "failed: one line on standard error says what, where and why; also: not done within --timeout");
    page_row(to, 6, "2", "the command line, a variable or the configuration file is wrong");
    page_row(to, 6, "3", "scan, diff, packages: the image is not covered. No finding then means nothing");
    page_row(to, 6, "4", "scan, diff: --fail-on SEVERITY, and there is such a finding, or a worse one");
    page_row(to, 6, "N", "scan, diff: --exit-code N, and there are findings (with --fail-on: such findings)");
    page_row(to, 6, "130", "Ctrl-C (SIGINT), as a shell tells it: the signal itself ends the process");
    page_row(to, 6, "143", "SIGTERM, likewise");
    page_text(
        to,
        "\neclair push, and the name clair-scanner, have the codes of that program: see eclair help push.\n");
}

/* ---- environment ---- */

static bool is_first_with(size_t command, const char *variable)
{
    const struct option *o;
    for (size_t i = 0; i < command; i++)
        for (size_t k = 0; (o = command_option(commands[i], k)); k++) {
            char other[OPTION_VARIABLE_MAX];
            if (option_variable(commands[i], o, other) && !strcmp(other, variable))
                return false;
        }
    return true;
}

static void row_of_variable(FILE *to, const struct option *option, const char *variable)
{
    char text[512];
    int n = snprintf(text, sizeof text, "--%s of", option->name);
    for (size_t i = 0; commands[i] && n > 0 && (size_t)n < sizeof text; i++) {
        const struct option *o;
        for (size_t k = 0; (o = command_option(commands[i], k)); k++) {
            char other[OPTION_VARIABLE_MAX];
            if (option_variable(commands[i], o, other) && !strcmp(other, variable))
                n += snprintf(text + n, sizeof text - (size_t)n, " %s", commands[i]->name);
        }
    }
    page_row(to, 30, variable, text);
}

static void variables_of_options(FILE *to)
{
    const struct option *o;
    for (size_t i = 0; commands[i]; i++)
        for (size_t k = 0; (o = command_option(commands[i], k)); k++) {
            char variable[OPTION_VARIABLE_MAX];
            if (option_variable(commands[i], o, variable) && is_first_with(i, variable))
                row_of_variable(to, o, variable);
        }
}

static const struct {
    const char *name, *means;
} others[] = {
    { "ECLAIR_NOW", "a time (2026-01-31T00:00:00Z) that stands for now, so that reports can be made again" },
    { "XDG_CACHE_HOME", "the database is in eclair/ below it [~/.cache]" },
    { "XDG_CONFIG_HOME", "the configuration file is in eclair/ below it [~/.config]" },
    { "NO_COLOR", "not empty: no colours" },
    { "CLICOLOR_FORCE", "neither empty nor 0: colours, also where standard output is no terminal" },
    { "TERM", "dumb: no colours" },
    { "TMPDIR", "where push keeps what it cannot read twice, in a file without a name [/var/tmp]" },
    { "HTTP_PROXY", "and HTTPS_PROXY, ALL_PROXY, NO_PROXY, in both letter cases: the way to other machines" },
    { "SSL_CERT_FILE", "and SSL_CERT_DIR: authorities that are believed" },
    { "DOCKER_HOST", "and DOCKER_CERT_PATH, DOCKER_TLS_VERIFY, DOCKER_API_VERSION: where the daemon of "
                     "container images is" },
    { "CLAIR_URL", "the server of push" },
};

static void environment(FILE *to)
{
    page_text(
        to,
        "What an option is when the command line does not say: ECLAIR_ and its name, in capitals and with "
        "_ for -. A list has\n"
        "commas between its values, a switch is true or false; an empty variable says nothing. They count "
        "for eclair, not for\n"
        "the names clair and clair-scanner.\n\n");
    variables_of_options(to);
    page_text(to, "\nOther variables:\n\n");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        page_row(to, 30, others[i].name, others[i].means);
    page_text(to,
              "\neclair serve takes one for each key of its config.yaml, too: ECLAIR_API_ADDR for api.addr "
              "(eclair help config).\n");
}

/* ---- configuration ---- */

static void keys_of_server(FILE *to)
{
    page_text(
        to, "Keys of config.yaml, below `clair:`, with what holds without them. `eclair serve --config FILE` "
            "reads it.\n\n");
    for (size_t i = 0; config_key(i); i++) {
        const struct config_key *k = config_key(i);
        char text[640];
        if (!k->help)
            continue;
        snprintf(text, sizeof text, "%s%s%s%s", k->help, *k->fallback ? " [" : "", k->fallback,
                 *k->fallback ? "]" : "");
        page_row(to, 30, k->key, text);
    }
    page_text(to, "\nOther keys of Clair 2 and 3 are taken and have no meaning here.\n");
}

static void config(FILE *to)
{
    page_text(
        to, "Options of the commands may stand in a file: --config FILE, else $ECLAIR_CONFIG, else "
            ".eclair.yaml in the current\n"
            "folder, else eclair/config.yaml in $XDG_CONFIG_HOME or ~/.config; the first of them, alone. "
            "--config= reads none.\n"
            "A file that was only found in the current folder, which may be somebody else's, says nothing of "
            "places, "
            "authorities, secrets\n"
            "and files to be written (db, mirror, ca, insecure, output and their kind).\n"
            "The command line wins over the environment (eclair help environment), that over the file, and "
            "that over what the help\n"
            "says in brackets. eclair config show COMMAND tells what holds, and from where it is.\n\n"
            "Keys are long options without their dashes. At the top they count for all commands that know "
            "them, below a command's\n"
            "name for that one alone. A list may be one text. Paths are those of the current folder, not of "
            "the file's.\n\n"
            "Example:\n\n"
            "    $ cat .eclair.yaml\n"
            "    quiet: true\n"
            "    scan:\n"
            "      severity: High\n"
            "      ignore-file: [.trivyignore, accepted.yaml]\n\n"
            "The key `clair` is skipped: one file may serve the commands and the server.\n\n");
    keys_of_server(to);
}

static void files(FILE *to)
{
    page_text(to, "What is read and written beside what a command line names:\n\n");
    page_row(
        to, 26, "~/.cache/eclair/eclair.db",
        "the database, with -wal and -shm beside it while it is in use; below $XDG_CACHE_HOME if that is "
        "set, " DB_PLACE " for root without a HOME, and for a service");
    page_row(to, 26, ".eclair.yaml", "options of the commands, in the current folder");
    page_row(to, 26, "~/.config/eclair/config.yaml", "the same, where there is no .eclair.yaml");
    page_row(to, 26, CONFIG_PLACE, "what eclair serve reads when it is not told another file");
    page_row(to, 26, ".eclair.NUMBER", "beside FILE: a report on its way there, for a moment");
    page_text(
        to, "\nA command that is killed leaves nothing that the next one would have to wait for, or to tidy "
            "up.\n");
}

static void ignoring(FILE *to)
{
    page_text(
        to, "--ignore-file FILE and --vex FILE of scan, explain and diff name files that say what is not to "
            "count, each several times.\n"
            "What they take out does not count for the exit code; --show-suppressed lists it with file, line "
            "and reason. None is\n"
            "read unless it is named, here or in the configuration file.\n\n");
    page_row(to, 22, "clair-scanner", "a whitelist: generalwhitelist and images, ids with their reasons");
    page_row(to, 22, ".trivyignore", "a line for each id; exp:2026-01-31 ends it; a comment is the reason");
    page_row(to, 22, ".trivyignore.yaml", "vulnerabilities: id, paths, purls, statement, expired_at");
    page_row(to, 22, ".grype.yaml",
             "ignore: vulnerability, package, namespace, fix-state, vex-status, reason");
    page_row(to, 22, "OpenVEX", "--vex: statements of packages (purl), of images and packages in them");
    page_row(to, 22, "CSAF VEX", "--vex: products by purl, alone or as a part of an image or a distribution");
    page_text(
        to, "\nAn id is that of the finding, of its advisory, or an alias. A rule ends with the beginning of "
            "the day that it names, in\n"
            "UTC. --image-name says what those files call the image. --severity and --ignore-unfixed leave "
            "findings out, too.\n"
            "eclair explain ID IMAGE tells who ignored one, and why.\n");
}

const struct topic topics[] = {
    { "sources", "where images and vulnerability data come from", '7', sources },
    { "outputs", "the forms of a report", '7', outputs },
    { "exit-codes", "what the commands end with", '7', exit_codes },
    { "environment", "variables that are read", '7', environment },
    { "config", "the configuration file of the commands, and that of the server", '5', config },
    { "files", "what is read and written", '7', files },
    { "ignoring", "findings that are not to count", '7', ignoring },
    { 0 },
};

const struct topic *topic_by_name(const char *name)
{
    for (size_t i = 0; topics[i].name; i++)
        if (!strcmp(topics[i].name, name))
            return &topics[i];
    return NULL;
}

const char *topic_words(size_t i)
{
    size_t n = 0;
    for (size_t k = 0; commands[k]; k++)
        if (!topic_by_name(commands[k]->name) && n++ == i)
            return commands[k]->name;
    return i - n < sizeof topics / sizeof *topics ? topics[i - n].name : NULL;
}
