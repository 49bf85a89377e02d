/* main.c - the table of commands, and the one place where an error becomes text and an exit code. */
#include "base/cleanup.h"
#include "base/secret.h"
#include "cmd/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct command *const commands[] = {
    &command_scan,   &command_explain,
    &command_diff,   &command_packages,
    &command_serve,  &command_proxy,
    &command_push,   &command_update,
    &command_db,     &command_feed,
    &command_notify, &command_keys,
    &command_config, &command_version_compare,
    &command_help,   NULL,
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

void complain(const char *what)
{
    char clean[1024];
    CLEANUP(buf_done) struct buf out = { 0 };
    secret_mask(str_from(what), &out);
    buf_char(&out, '\0');
    err_clean(clean, sizeof clean, out.failed ? "out of memory" : out.ptr);
    fprintf(stderr, "eclair: %s\n", clean);
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

static int run(const struct command *c, const struct program *program, int argc, char **argv, struct err *e)
{
    _Alignas(max_align_t) char options[OPTIONS_SIZE_MAX] = { 0 };
    int args = options_parse(c, program, argc, argv, options, e);
    if (args == -2)
        return show_help(c, program);
    if (args < 0 && (program || c->go_flags))
        return show_usage(c, program, e->text);
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
        return err_set(e, ERR_USAGE, "unknown command '%s' (eclair help lists them)", argv[1]);
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
    if (code >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
        code = err_errno(&e, "write to standard output");
    if (code < 0) {
        complain(e.text);
        code = err_exit_code(e.kind);
    }
    return code;
}
