/* main.c - the table of commands, and the one place where an error becomes text and an exit code. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/secret.h"
#include "cmd/command.h"
#include "cmd/nearest.h"
#include "cmd/output.h"
#include "cmd/page.h"
#include "cmd/watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OPTIONS_MEMORY_MAX ((size_t)64 << 20) /* of a configuration file's texts */

const struct command *const commands[] = {
    &command_scan,
    &command_explain,
    &command_diff,
    &command_packages,
    &command_serve,
    &command_proxy,
    &command_push,
    &command_update,
    &command_db,
    &command_feed,
    &command_notify,
    &command_keys,
    &command_config,
    &command_version_compare,
    &command_help,
    &command_completion,
    NULL,
};

/* Under the names of the old programs we are those programs. */
static const struct program programs[] = {
    { "clair", &command_serve },
    { "clair-jwt", &command_serve },
    { "jwtproxy", &command_proxy },
    { "clair-scanner", &command_push },
};

const struct command *command_by_name(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

int command_unknown(const char *name, bool topics_too, struct err *e)
{
    struct nearest n = { .word = str_from(name) };
    const char *word;
    for (size_t i = 0; (word = topic_words(i)); i++)
        if (topics_too || command_by_name(word))
            nearest_try(&n, word);
    if (n.best)
        return err_set(e, ERR_USAGE, "unknown command '%s' (did you mean %s? eclair help lists them)", name,
                       n.best);
    return err_set(e, ERR_USAGE, "unknown %s '%s' (eclair help lists them)",
                   topics_too ? "command or topic" : "command", name);
}

void complain(const char *what)
{
    char clean[1024];
    CLEANUP(buf_done) struct buf out = { 0 };
    secret_mask(str_from(what), &out);
    buf_char(&out, '\0');
    err_clean(clean, sizeof clean, out.failed ? "out of memory" : out.ptr);
    fprintf(stderr, "%seclair: %s\n", watch_can_show() ? "\r\033[K" : "",
            clean); /* over a line of progress */
}

void warn(const char *fmt, ...)
{
    char text[1024] = "warning: ";
    size_t n = strlen(text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - n, fmt, ap);
    va_end(ap);
    complain(text);
}

void tell_step(int64_t since_ms, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text - 32, fmt, ap);
    va_end(ap);
    n = n < 0 ? 0 : n > (int)sizeof text - 33 ? (int)sizeof text - 33 : n;
    snprintf(text + n, 32, ": %.3f s", (double)(clock_ms() - since_ms) / 1000);
    complain(text);
}

/* The old programs show their usage on standard error. */
static int show_usage(const struct command *c, const struct program *program, const char *why)
{
    if (program && !c->go_flags)
        fputs("Error: incorrect usage\n", stderr);
    fprintf(stderr, "%s: %s\n\n", program ? program->name : "eclair", why);
    help_command(c, program, stderr);
    return err_exit_code(ERR_USAGE);
}

static int show_help(const struct command *c, const struct program *program)
{
    help_command(c, program, program || c->go_flags ? stderr : stdout);
    return c->go_flags ? err_exit_code(ERR_USAGE) : 0;
}

/* --verbose: a file that nobody named may be a surprise. */
static void tell_file(const struct command *c, const void *options, const struct option_origins *origins)
{
    char text[1024];
    for (const struct option *o = c->options; o->name && origins->file; o++)
        if (!strcmp(o->name, "verbose") && *(const bool *)((const char *)options + o->field)) {
            snprintf(text, sizeof text, "options of %s", origins->file);
            complain(text);
        }
}

static int run(const struct command *c, const struct program *program, int argc, char **argv, struct err *e)
{
    _Alignas(max_align_t) char options[OPTIONS_SIZE_MAX] = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(OPTIONS_MEMORY_MAX);
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    struct option_origins origins = { 0 };
    int args = options_parse(c, program, argc, argv, arena, options, &origins, e);
    if (args == -2)
        return show_help(c, program);
    if (args < 0 && (program || c->go_flags))
        return show_usage(c, program, e->text);
    if (args >= 0)
        tell_file(c, options, &origins);
    return args < 0 ? -1 : c->run(options, argv, args, e);
}

static int dispatch(int argc, char **argv, struct err *e)
{
    if (argc < 2)
        return err_set(e, ERR_USAGE, "no command (eclair help lists them)");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        help_overview();
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("eclair " ECLAIR_VERSION);
        return 0;
    }
    const struct command *c = command_by_name(argv[1]);
    if (!c)
        return command_unknown(argv[1], false, e);
    return run(c, NULL, argc - 2, argv + 2, e);
}

static int call(int argc, char **argv, struct err *e)
{
    const char *path = argc ? argv[0] : "", *slash = strrchr(path, '/');
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (!strcmp(slash ? slash + 1 : path, programs[i].name))
            return run(programs[i].command, &programs[i], argc - 1, argv + 1, e);
    return dispatch(argc, argv, e);
}

/* A closed standard descriptor would be given to the next file or socket. These refuse what the real ones would do. */
static void reserve_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            _exit(1);
}

int main(int argc, char **argv)
{
    reserve_standard_descriptors();
    struct err e = { 0 };
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like a full disk, not a death */
    int code = call(argc, argv, &e);
    if (code >= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        output_end_if_closed();
        code = err_errno(&e, "write to standard output");
    }
    if (code < 0) {
        complain(e.text);
        code = err_exit_code(e.kind);
    }
    return code;
}
