/* zygote.c - the process that forks workers: it was forked itself before any thread, so a fork here is safe and cheap. */
#include "cage/internal.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define JOBS_MAX 256

struct job {
    pid_t pid; /* 0 = free */
    uint64_t id;
    int status_fd;
};

struct zygote {
    const struct cage_task *const *tasks;
    const struct cage_limits *limits;
    struct seccomp_program *filter;
    int control, signals;
    struct job jobs[JOBS_MAX];
    char message[sizeof(struct cage_message) + CAGE_PARAMS_MAX];
};

/* The status of a dead worker, for the parent's error text. */
static void report(struct job *j, int status)
{
    ssize_t n = write(j->status_fd, &status, sizeof status);
    (void)n; /* the parent may have lost interest */
    close_fdp(&j->status_fd);
    j->pid = 0;
}

static void reap(struct zygote *z)
{
    struct signalfd_siginfo info;
    while (read(z->signals, &info, sizeof info) > 0)
        ;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < JOBS_MAX; i++)
            if (z->jobs[i].pid == pid)
                report(&z->jobs[i], status);
}

static void start(struct zygote *z, const struct cage_message *m, str params, const int fds[3])
{
    struct job *j = z->jobs;
    while (j < z->jobs + JOBS_MAX && j->pid)
        j++;
    pid_t pid = j < z->jobs + JOBS_MAX ? fork() : -1;
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        pid_t zygote = getppid();
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != zygote ||
            sigprocmask(SIG_SETMASK, &none, NULL) < 0)
            _exit(70);
        worker_main(z->tasks[m->task], params, fds[0], fds[1], z->filter, z->limits);
    }
    if (pid < 0) { /* closing the descriptors tells the parent */
        close(fds[2]);
        return;
    }
    *j = (struct job){ pid, m->job, fds[2] };
}

static void kill_job(struct zygote *z, uint64_t id)
{
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (z->jobs[i].pid && z->jobs[i].id == id)
            kill(z->jobs[i].pid, SIGKILL);
}

/* One message; false when the parent is gone. */
static bool serve(struct zygote *z)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } ctl;
    struct iovec io = { z->message, sizeof z->message };
    struct msghdr msg = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = ctl.bytes, .msg_controllen = sizeof ctl.bytes
    };
    ssize_t n = recvmsg(z->control, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    if (n == 0)
        return false;
    struct cage_message m;
    if ((size_t)n < sizeof m)
        return true; /* nobody of ours sends such a thing */
    memcpy(&m, z->message, sizeof m);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (m.what == CAGE_KILL) {
        kill_job(z, m.job);
    } else if (c && c->cmsg_type == SCM_RIGHTS) {
        int fds[3];
        memcpy(fds, CMSG_DATA(c), sizeof fds);
        start(z, &m, str_of(z->message + sizeof m, (size_t)n - sizeof m), fds);
        close(fds[0]);
        close(fds[1]);
    }
    return true;
}

_Noreturn void zygote_main(int control, const struct cage_task *const tasks[],
                           const struct cage_limits *limits)
{
    prctl(PR_SET_NAME, "eclair:zygote", 0, 0, 0);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(
        SIGINT,
        SIG_IGN); /* a terminal's Ctrl-C, a service manager's SIGTERM to all: for the parent, whose end ends us */
    signal(SIGTERM, SIG_IGN);
    struct zygote *z = calloc(1, sizeof *z);
    if (!z)
        _exit(70);
    z->tasks = tasks, z->limits = limits, z->control = control;
    z->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    z->filter = seccomp_program_new();
    if (z->signals < 0 || !z->filter)
        _exit(70);
    struct pollfd p[2] = { { .fd = control, .events = POLLIN }, { .fd = z->signals, .events = POLLIN } };
    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            _exit(70);
        if (p[1].revents)
            reap(z);
        if (p[0].revents && !serve(z))
            _exit(0);
    }
}
