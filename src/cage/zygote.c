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
#define SPARES   2

struct job {
    pid_t pid; /* 0 = free */
    uint64_t id;
    int status_fd;
};

struct spare {  /* a worker without a job */
    pid_t pid;  /* 0 = none */
    int socket; /* by which it gets one: the message as it came */
};

struct zygote {
    const struct cage_task *const *tasks;
    struct cage_limits limits;
    struct worker_world world;
    int control, signals;
    bool worked;
    struct spare spares[SPARES];
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

static void forget_spare(struct spare *s)
{
    close_fdp(&s->socket);
    s->pid = 0;
}

static void reap(struct zygote *z)
{
    struct signalfd_siginfo info;
    while (read(z->signals, &info, sizeof info) > 0)
        ;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < JOBS_MAX; i++)
            if (z->jobs[i].pid == pid)
                report(&z->jobs[i], status);
        for (size_t i = 0; i < SPARES; i++)
            if (z->spares[i].pid == pid)
                forget_spare(&z->spares[i]);
    }
}

/* In a new process: dies with the zygote, and signals reach it again. */
static void become_worker(pid_t zygote)
{
    sigset_t none;
    sigemptyset(&none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != zygote ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(70);
}

union descriptors { /* of a message */
    struct cmsghdr align;
    char bytes[CMSG_SPACE(3 * sizeof(int))];
};

struct order { /* a message of the control socket */
    struct cage_message m;
    str params;
    int fds[3];
    bool has_fds;
};

/* 1, 0 nothing of ours, -1 the other side is gone. */
static int receive(int fd, char *to, size_t room, struct order *ret)
{
    union descriptors ctl;
    struct iovec io = { to, room };
    struct msghdr msg = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = ctl.bytes, .msg_controllen = sizeof ctl.bytes
    };
    ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    if (n == 0)
        return -1;
    if ((size_t)n < sizeof ret->m)
        return 0; /* nobody of ours sends such a thing */
    memcpy(&ret->m, to, sizeof ret->m);
    ret->params = str_of(to + sizeof ret->m, (size_t)n - sizeof ret->m);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    ret->has_fds = c && c->cmsg_type == SCM_RIGHTS;
    if (ret->has_fds)
        memcpy(ret->fds, CMSG_DATA(c), sizeof ret->fds);
    return 1;
}

/* Hands on what was received, but for the descriptor of the status. */
static bool pass_on(int socket, char *message, const struct order *o)
{
    union descriptors ctl = { 0 };
    struct iovec io = { message, sizeof o->m + o->params.len };
    struct msghdr msg = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = ctl.bytes, .msg_controllen = sizeof ctl.bytes
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), o->fds, 3 * sizeof(int));
    return sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* The life of a spare worker until it has a job. */
static _Noreturn void wait_for_job(struct zygote *z, int socket)
{
    struct order o;
    if (dup2(socket, 3) < 0 || dup2(z->world.null, 4) < 0 || close_range(5, ~0U, 0) < 0)
        _exit(70);
    z->world.null = 4;
    int got;
    while ((got = receive(3, z->message, sizeof z->message, &o)) == 0)
        ;
    if (got < 0 || !o.has_fds)
        _exit(0);
    worker_main(z->tasks[o.m.task], o.params, o.fds[0], o.fds[1], &z->world);
}

static void warm(struct zygote *z)
{
    for (size_t i = 0; i < SPARES; i++) {
        int pair[2];
        if (z->spares[i].pid || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
            continue;
        pid_t zygote = getpid(), pid = fork();
        if (pid == 0) {
            become_worker(zygote);
            wait_for_job(z, pair[1]);
        }
        close(pair[1]);
        if (pid > 0)
            z->spares[i] = (struct spare){ pid, pair[0] };
        else
            close(pair[0]);
    }
}

/* A spare worker's number that has got the job, or 0. */
static pid_t use_spare(struct zygote *z, const struct order *o)
{
    pid_t pid = 0;
    for (size_t i = 0; i < SPARES && !pid; i++) {
        struct spare *s = &z->spares[i];
        if (!s->pid)
            continue;
        pid = pass_on(s->socket, z->message, o) ? s->pid : 0;
        if (!pid)
            kill(s->pid, SIGKILL);
        forget_spare(s);
    }
    return pid;
}

static void start(struct zygote *z, const struct order *o)
{
    struct job *j = z->jobs;
    while (j < z->jobs + JOBS_MAX && j->pid)
        j++;
    bool room = j < z->jobs + JOBS_MAX;
    pid_t zygote = getpid(), pid = room ? use_spare(z, o) : -1;
    if (room && !pid)
        pid = fork();
    if (pid == 0) {
        become_worker(zygote);
        worker_main(z->tasks[o->m.task], o->params, o->fds[0], o->fds[1], &z->world);
    }
    z->worked = true;
    if (pid < 0) { /* closing the descriptors tells the parent */
        close(o->fds[2]);
        return;
    }
    *j = (struct job){ pid, o->m.job, o->fds[2] };
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
    struct order o;
    int got = receive(z->control, z->message, sizeof z->message, &o);
    if (got <= 0)
        return got == 0;
    if (o.m.what == CAGE_KILL) {
        kill_job(z, o.m.job);
    } else if (o.has_fds) {
        start(z, &o);
        close(o.fds[0]);
        close(o.fds[1]);
    }
    return true;
}

/* All that needs a file comes before the walls. */
static bool prepare(struct zygote *z)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    z->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    z->world.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    z->world.filter = seccomp_program_new();
    z->limits.max_memory += worker_address_space();
    z->world.limits = &z->limits;
    unsigned walls = cage_isolate(true);
    return z->signals >= 0 && z->world.null >= 0 && z->world.filter &&
           send(z->control, &walls, sizeof walls, MSG_NOSIGNAL) == sizeof walls;
}

_Noreturn void zygote_main(int control, const struct cage_task *const tasks[],
                           const struct cage_limits *limits)
{
    prctl(PR_SET_NAME, "eclair:zygote", 0, 0, 0);
    /* a terminal's Ctrl-C, a service manager's SIGTERM or SIGHUP to all: for the parent, whose end ends us */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    struct zygote *z = calloc(1, sizeof *z);
    if (!z)
        _exit(70);
    z->tasks = tasks, z->limits = *limits, z->control = control;
    if (!prepare(z))
        _exit(70);
    struct pollfd p[2] = { { .fd = control, .events = POLLIN }, { .fd = z->signals, .events = POLLIN } };
    for (;;) {
        if (z->worked && poll(p, 2, 0) == 0) /* nobody waits: time for spares */
            warm(z);
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            _exit(70);
        if (p[1].revents)
            reap(z);
        if (p[0].revents && !serve(z))
            _exit(0);
    }
}
