/* credentials_helper.c - `docker-credential-NAME get`: the server's name in, {"Username", "Secret"} out. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"
#include "image/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* It becomes a part of a program's name. */
static bool is_name(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && !strchr("-_.+", name.ptr[i]))
            return false;
    return name.len && name.len < 200;
}

struct helper_run {
    pid_t pid;
    int out;
};

static void run_done(struct helper_run *r)
{
    close_fdp(&r->out);
    if (r->pid > 0) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, NULL, 0);
    }
}

struct pair {
    int fds[2]; /* of a pipe */
};
static const struct pair NO_PAIR = { { -1, -1 } };

static void pair_done(struct pair *p)
{
    close_fdp(&p->fds[0]);
    close_fdp(&p->fds[1]);
}

static int pair_open(struct pair *p, struct err *e)
{
    return pipe2(p->fds, O_CLOEXEC) < 0 ? err_errno(e, "pipe") : 0;
}

/* The question waits in the pipe, which takes far more, before anybody could close its other end. */
static int tell(int fd, str server, struct err *e)
{
    CLEANUP(buf_done) struct buf line = { .max = 4000 };
    buf_printf(&line, STR_FMT "\n", STR_ARG(server));
    if (line.failed)
        return err_set(e, ERR_LIMIT, "a name of more than %zu bytes", line.max);
    return write(fd, line.ptr, line.len) == (ssize_t)line.len ? 0 : err_errno(e, "write");
}

/* Between fork() and exec(): what is safe there. Signals that wait for a thread of ours are its own again, and it ends with us, however we do;
 * what was ignored when we started stays so. */
static void become(char *program, int in, int out, int failure, pid_t ours)
{
    char verb[] = "get", *argv[] = { program, verb, NULL };
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == ours && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execvp(program, argv);
    int code = errno;
    ssize_t ignored = write(failure, &code, sizeof code);
    (void)ignored;
    _exit(127);
}

/* Waits until it runs. Its standard error stays ours: some ask a person there. */
static int start(struct helper_run *r, char *program, str server, struct err *e)
{
    CLEANUP(pair_done) struct pair in = NO_PAIR, out = NO_PAIR, failure = NO_PAIR;
    int code = 0;
    if (pair_open(&in, e) < 0 || tell(in.fds[1], server, e) < 0 || pair_open(&out, e) < 0 ||
        pair_open(&failure, e) < 0)
        return -1;
    pid_t ours = getpid();
    r->pid = fork();
    if (r->pid < 0)
        return err_errno(e, "fork");
    if (!r->pid)
        become(program, in.fds[0], out.fds[1], failure.fds[1], ours);
    close_fdp(&failure.fds[1]);
    ssize_t n;
    while ((n = read(failure.fds[0], &code, sizeof code)) < 0 && errno == EINTR)
        ;
    if (n == 0) {
        r->out = out.fds[0];
        out.fds[0] = -1;
        return 0;
    }
    return code == ENOENT ? err_set(e, ERR_NOT_FOUND, "is not installed (looked for by PATH)")
                          : err_set(e, ERR_IO, "%s", strerror(code));
}

static int listen_to(struct helper_run *r, struct buf *said, struct err *e)
{
    int64_t end = clock_ms() + CREDENTIALS_HELPER_S * 1000;
    for (;;) {
        struct pollfd p = { .fd = r->out, .events = POLLIN };
        int64_t left = end - clock_ms();
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready < 0 ? err_errno(e, "poll")
                             : err_set(e, ERR_LIMIT, "no answer within %d s", CREDENTIALS_HELPER_S);
        char *room = buf_reserve(said, 4096);
        if (!room)
            return err_set(e, ERR_LIMIT, "answered more than %zu bytes", CREDENTIALS_HELPER_BYTES);
        ssize_t n = read(r->out, room, 4096);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "read");
        if (n == 0)
            return 0;
        said->len += n > 0 ? (size_t)n : 0;
    }
}

/* A helper that keeps running behind its answer is not waited for. */
static bool succeeded(struct helper_run *r)
{
    int status = 0;
    siginfo_t info = { 0 };
    for (int i = 0; i < 100 && !info.si_pid; i++) {
        if (waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            break;
        if (!info.si_pid)
            poll(NULL, 0, 10);
    }
    if (!info.si_pid)
        return true;
    waitpid(r->pid, &status, 0);
    r->pid = -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int keep(struct json *j, struct arena *arena, str *ret, struct err *e)
{
    str s;
    if (json_string(j, &s, e) < 0)
        return -1;
    *ret = arena_dup(arena, s);
    return arena_failed(arena) ? err_set(e, ERR_OOM, "credentials") : 0;
}

static int read_answer(str said, struct arena *arena, struct credentials *ret, struct err *e)
{
    str key, user = { 0 }, secret = { 0 };
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(said, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    if (!j || json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("Username")) ? keep(j, arena, &user, e)
             : str_eq(key, STR("Secret")) ? keep(j, arena, &secret, e)
                                          : json_skip(j, e)) < 0)
            return -1;
    if (more < 0 || json_finish(j, e) < 0)
        return -1;
    if (!user.len && !secret.len)
        return 0;
    if (str_eq(user, STR("<token>"))) /* docker-credential-helpers: it is an identity token */
        ret->identity_token = secret;
    else
        ret->user = user, ret->password = secret;
    return 1;
}

static int ask(char *program, str server, struct arena *arena, struct credentials *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf said = { .max = CREDENTIALS_HELPER_BYTES };
    CLEANUP(run_done) struct helper_run r = { -1, -1 };
    if (start(&r, program, server, e) < 0)
        return -1;
    if (listen_to(&r, &said, e) < 0)
        return -1;
    str words = str_trim(buf_view(&said));
    if (succeeded(&r))
        return read_answer(words, arena, ret, e);
    /* every helper says it in these words, for Docker looks for them */
    if (str_contains(words, STR("credentials not found")) || str_contains(words, STR("no credentials")))
        return 0;
    words = str_line(&words);
    return err_set(e, ERR_DENIED, STR_FMT, STR_ARG(words.len ? words : STR("failed")));
}

int credentials_ask(str helper, str server, struct arena *arena, struct credentials *ret, struct err *e)
{
    char program[256];
    if (!is_name(helper))
        return err_set(e, ERR_FORMAT, "'" STR_FMT "' is no name of a credential helper",
                       STR_ARG(str_head(helper, 100)));
    snprintf(program, sizeof program, "docker-credential-" STR_FMT, STR_ARG(helper));
    int found = ask(program, server, arena, ret, e);
    if (found < 0)
        return err_wrap(e, "%s", program);
    ret->from = arena_printf(arena, "%s", program);
    return found;
}
