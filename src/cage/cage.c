/* cage.c - the parent's side: moves bytes in, checks frames, believes nothing. */
#include "cage/internal.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PIPE_SIZE (1 << 20)

struct cage {
    int control;
    pid_t zygote;
    const struct cage_task *const *tasks;
    struct cage_limits limits;
    const char *notice; /* NULL: not asked for yet */
    atomic_uint_fast64_t next_job, input, output, died, late, too_much;
    atomic_uint running;
};

static struct cage_limits with_defaults(const struct cage_limits *l)
{
    struct cage_limits r = l ? *l : (struct cage_limits){ 0 };
    r.max_memory = r.max_memory ? r.max_memory : (uint64_t)512 << 20;
    r.max_cpu_s = r.max_cpu_s ? r.max_cpu_s : 600;
    r.max_wall_s = r.max_wall_s ? r.max_wall_s : 1200;
    r.max_output = r.max_output ? r.max_output : (uint64_t)1 << 30;
    return r;
}

struct cage *cage_new(const struct cage_task *const tasks[], const struct cage_limits *limits, struct err *e)
{
    int pair[2];
    struct cage *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_OOM, "cage");
        return NULL;
    }
    c->tasks = tasks, c->limits = with_defaults(limits);
    signal(SIGPIPE, SIG_IGN); /* a worker may die while we write to it */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        err_errno(e, "cage: socketpair");
        free(c);
        return NULL;
    }
    pid_t parent = getpid();
    c->zygote = fork();
    if (c->zygote == 0) {
        close(pair[0]);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
            _exit(70);
        zygote_main(pair[1], tasks, &c->limits);
    }
    close(pair[1]);
    c->control = pair[0];
    if (c->zygote < 0) {
        err_errno(e, "cage: fork");
        cage_freep(&c);
    }
    return c;
}

void cage_freep(struct cage **c)
{
    if (!*c)
        return;
    close((*c)->control);
    if ((*c)->zygote > 0) {
        kill((*c)->zygote, SIGKILL); /* its workers die with it */
        waitpid((*c)->zygote, NULL, 0);
    }
    free(*c);
    *c = NULL;
}

const char *cage_notice(struct cage *c)
{
    unsigned walls = 0;
    if (c->notice)
        return c->notice;
    ssize_t n;
    while ((n = recv(c->control, &walls, sizeof walls, 0)) < 0 && errno == EINTR)
        ;
    bool files = n == sizeof walls && (walls & WALL_FILES),
         network = n == sizeof walls && (walls & WALL_NETWORK);
    c->notice =
        files && network ? ""
        : files ? "the network is kept from workers by seccomp alone: no Landlock of Linux 6.7, no namespaces"
        : network
            ? "the file system is kept from workers by seccomp alone: no Landlock, no chroot"
            : "file system and network are kept from workers by seccomp alone: no Landlock, no namespaces";
    return c->notice;
}

struct run {
    struct cage *cage;
    const struct cage_task *task;
    const struct cage_input *in;
    uint64_t id;
    int in_fd, out_fd, status_fd;
    uint64_t at, left; /* of the file range still to be sent */
    str chunk;         /* of the callback's bytes still to be sent */
    struct buf frames; /* bytes of frames not yet complete */
    uint64_t output;
    int64_t deadline;
    bool ended;
};

static void run_done(struct run *r)
{
    atomic_fetch_add(&r->cage->output, r->output);
    atomic_fetch_sub(&r->cage->running, 1);
    close_fdp(&r->in_fd);
    close_fdp(&r->out_fd);
    close_fdp(&r->status_fd);
    buf_done(&r->frames);
}

static int send_start(struct run *r, str params, const int fds[3], struct err *e)
{
    unsigned task = 0;
    while (r->cage->tasks[task] && r->cage->tasks[task] != r->task)
        task++;
    if (!r->cage->tasks[task] || params.len > CAGE_PARAMS_MAX)
        return err_set(e, ERR_INTERNAL, "cage: unknown task or long params");
    struct cage_message m = { .what = CAGE_START, .task = task, .job = r->id };
    struct iovec io[2] = { { &m, sizeof m }, { (char *)params.ptr, params.len } };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } ctl = { 0 };
    struct msghdr msg = {
        .msg_iov = io, .msg_iovlen = 2, .msg_control = ctl.bytes, .msg_controllen = sizeof ctl.bytes
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), fds, 3 * sizeof(int));
    ssize_t n;
    while ((n = sendmsg(r->cage->control, &msg, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    if (n < 0)
        return err_set(e, ERR_CAGE, "the process that forks workers is gone (%s)", strerror(errno));
    return 0;
}

static int start(struct run *r, str params, struct err *e)
{
    int in[2] = { -1, -1 }, out[2] = { -1, -1 }, status[2] = { -1, -1 }, result = -1;
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0) {
        err_errno(e, "cage: pipe");
    } else {
        fcntl(in[1], F_SETPIPE_SZ, PIPE_SIZE);  /* a smaller one only costs time */
        fcntl(out[1], F_SETPIPE_SZ, PIPE_SIZE); /* while the parent writes what came before */
        fcntl(in[1], F_SETFL, O_NONBLOCK);
        fcntl(out[0], F_SETFL, O_NONBLOCK);
        result = send_start(r, params, (int[3]){ in[0], out[1], status[1] }, e);
    }
    close_fdp(&in[0]);
    close_fdp(&out[1]);
    close_fdp(&status[1]);
    r->in_fd = in[1], r->out_fd = out[0], r->status_fd = status[0];
    return result;
}

/* The worker stopped reading: what it says in its frames decides whether that was right. */
static int input_refused(struct run *r, const char *what, struct err *e)
{
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    if (errno != EPIPE)
        return err_errno(e, "%s", what);
    close_fdp(&r->in_fd);
    return 0;
}

static int feed_file(struct run *r, struct err *e)
{
    off64_t at = (off64_t)r->at;
    size_t n = r->left < PIPE_SIZE ? (size_t)r->left : PIPE_SIZE;
    ssize_t moved = splice(r->in->fd, &at, r->in_fd, NULL, n, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved < 0)
        return input_refused(r, "read the input", e);
    if (moved == 0)
        return err_set(e, ERR_IO, "the file became shorter while it was read");
    r->at += (uint64_t)moved;
    atomic_fetch_add(&r->cage->input, (uint64_t)moved);
    r->left -= (uint64_t)moved;
    if (!r->left && !r->task->random_access)
        close_fdp(&r->in_fd);
    return 0;
}

static int next_chunk(struct run *r, struct err *e)
{
    int more = r->in->read(r->in->ctx, &r->chunk, e);
    if (more == 0)
        close_fdp(&r->in_fd);
    return more;
}

static int feed_callback(struct run *r, struct err *e)
{
    int more = r->chunk.len ? 1 : next_chunk(r, e);
    if (more <= 0)
        return more;
    ssize_t n = write(r->in_fd, r->chunk.ptr, r->chunk.len);
    if (n < 0)
        return input_refused(r, "write to a worker", e);
    r->chunk = str_skip(r->chunk, (size_t)n);
    atomic_fetch_add(&r->cage->input, (uint64_t)n);
    return 0;
}

static uint64_t get_u64(const char *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)(uint8_t)p[i] << (8 * i);
    return v;
}

static int on_want(struct run *r, str body, struct err *e)
{
    if (!r->task->random_access || body.len != 16 || r->left)
        return err_set(e, ERR_CAGE, "worker asked for input out of turn");
    uint64_t offset = get_u64(body.ptr), size = get_u64(body.ptr + 8);
    if (offset > r->in->size || size > r->in->size - offset)
        return err_set(e, ERR_FORMAT, "byte %llu: the input ends early", (unsigned long long)r->in->size);
    r->at = r->in->offset + offset;
    r->left = size;
    return 0;
}

/* What the worker said went wrong, in its own words (cleaned by err_set). */
static int on_error(str body, struct err *e)
{
    unsigned kind = body.len ? (uint8_t)body.ptr[0] : 0;
    if (kind == ERR_NONE || kind >= ERR_KINDS)
        return err_set(e, ERR_CAGE, "worker failed without a reason");
    body = str_skip(body, 1);
    return err_set(e, (enum err_kind)kind, STR_FMT, STR_ARG(body));
}

static int on_one_frame(struct run *r, unsigned type, str body, cage_on_frame *on_frame, void *ctx,
                        struct buf *summary, struct err *e)
{
    switch (type) {
    case FRAME_END:
        r->ended = true;
        if (summary)
            buf_str(summary, body);
        return 0;
    case FRAME_ERROR:
        return on_error(body, e);
    case FRAME_WANT:
        return on_want(r, body, e);
    default:
        if (type < FRAME_TASK || !on_frame)
            return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
        return on_frame(ctx, type, body, e);
    }
}

static int take_frames(struct run *r, cage_on_frame *on_frame, void *ctx, struct buf *summary, struct err *e)
{
    str rest = buf_view(&r->frames);
    while (!r->ended && rest.len >= 5) {
        const uint8_t *h = (const uint8_t *)rest.ptr;
        uint32_t len = h[0] | (uint32_t)h[1] << 8 | (uint32_t)h[2] << 16 | (uint32_t)h[3] << 24;
        if (len > FRAME_MAX)
            return err_set(e, ERR_CAGE, "worker sent a frame of %u bytes", len);
        if (rest.len - 5 < len)
            break;
        if (on_one_frame(r, h[4], str_of(rest.ptr + 5, len), on_frame, ctx, summary, e) < 0)
            return -1;
        rest = str_skip(rest, 5 + (size_t)len);
    }
    memmove(r->frames.ptr, rest.ptr, rest.len);
    r->frames.len = rest.len;
    return 0;
}

static const char *meaning(int sig)
{
    switch (sig) {
    case SIGXCPU:
        return "CPU time limit";
    case SIGKILL:
        return "killed";
    case SIGSEGV:
    case SIGBUS:
        return "crashed";
    case SIGXFSZ:
        return "tried to write a file";
    default:
        return strsignal(sig);
    }
}

static int on_death(struct run *r, struct err *e)
{
    int status = 0;
    ssize_t n;
    while ((n = read(r->status_fd, &status, sizeof status)) < 0 && errno == EINTR)
        ;
    bool late = n == sizeof status && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU;
    atomic_fetch_add(late ? &r->cage->late : &r->cage->died, 1);
    if (n != sizeof status)
        return err_set(e, ERR_CAGE, "no worker could be started, or the process that forks them died");
    if (late)
        return err_set(e, ERR_LIMIT, "worker took more than %u s of CPU time", r->cage->limits.max_cpu_s);
    if (WIFSIGNALED(status))
        return err_set(e, ERR_CAGE, "worker died of signal %d (%s)", WTERMSIG(status),
                       meaning(WTERMSIG(status)));
    return err_set(e, ERR_CAGE, "worker ended with %d and no result", WEXITSTATUS(status));
}

static int drain_output(struct run *r, cage_on_frame *on_frame, void *ctx, struct buf *summary, struct err *e)
{
    char *room = buf_reserve(&r->frames, 64 << 10);
    if (!room)
        return err_set(e, ERR_OOM, "frames");
    ssize_t n = read(r->out_fd, room, 64 << 10);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : err_errno(e, "read frames");
    if (n == 0)
        return on_death(r, e);
    r->frames.len += (size_t)n;
    r->output += (uint64_t)n;
    if (r->output > r->cage->limits.max_output) {
        atomic_fetch_add(&r->cage->too_much, 1);
        return err_set(e, ERR_LIMIT, "worker gave more than %llu bytes of results",
                       (unsigned long long)r->cage->limits.max_output);
    }
    return take_frames(r, on_frame, ctx, summary, e);
}

static int feed(struct run *r, struct err *e)
{
    return r->in->fd >= 0 ? feed_file(r, e) : feed_callback(r, e);
}

static int pump(struct run *r, cage_on_frame *on_frame, void *ctx, struct buf *summary, struct err *e)
{
    while (!r->ended) {
        bool feeding = r->in_fd >= 0 && (r->in->fd < 0 || r->left);
        bool waiting = feeding && r->in->wait && !r->chunk.len;
        struct pollfd p[3] = { { .fd = r->out_fd, .events = POLLIN },
                               { .fd = feeding && !waiting ? r->in_fd : -1, .events = POLLOUT },
                               { .fd = waiting ? r->in->wait_fd : -1, .events = POLLIN } };
        int64_t left = r->deadline - clock_ms();
        if (left <= 0) {
            atomic_fetch_add(&r->cage->late, 1);
            return err_set(e, ERR_LIMIT, "took longer than %u s", r->cage->limits.max_wall_s);
        }
        if (poll(p, 3, left > 60000 ? 60000 : (int)left) < 0) {
            if (errno == EINTR)
                continue;
            return err_errno(e, "poll");
        }
        if (p[0].revents && drain_output(r, on_frame, ctx, summary, e) < 0)
            return -1;
        if (!r->ended && p[1].revents && feed(r, e) < 0)
            return -1;
        if (!r->ended && p[2].revents && next_chunk(r, e) < 0)
            return -1;
    }
    return 0;
}

int cage_run(struct cage *c, const struct cage_task *task, str params, const struct cage_input *in,
             cage_on_frame *on_frame, void *ctx, struct buf *summary, struct err *e)
{
    CLEANUP(run_done)
    struct run r = {
        .cage = c,
        .task = task,
        .in = in,
        .chunk = in && in->fd < 0 ? in->first : STR(""),
        .id = atomic_fetch_add(&c->next_job, 1),
        .in_fd = -1,
        .out_fd = -1,
        .status_fd = -1,
        .at = in->offset,
        .left = in->fd >= 0 && !task->random_access ? in->size : 0,
        .deadline = clock_ms() + (int64_t)c->limits.max_wall_s * 1000,
    };
    atomic_fetch_add(&c->running, 1);
    if (start(&r, params, e) < 0)
        return -1;
    if (in->fd >= 0 && !r.left && !task->random_access)
        close_fdp(&r.in_fd);
    if (pump(&r, on_frame, ctx, summary, e) == 0)
        return 0;
    struct cage_message kill = { .what = CAGE_KILL, .job = r.id };
    send(c->control, &kill, sizeof kill, MSG_NOSIGNAL | MSG_DONTWAIT);
    return -1;
}

void cage_load(const struct cage *c, struct cage_load *ret)
{
    *ret = (struct cage_load){ .jobs = atomic_load(&c->next_job),
                               .input = atomic_load(&c->input),
                               .output = atomic_load(&c->output),
                               .running = atomic_load(&c->running),
                               .died = atomic_load(&c->died),
                               .late = atomic_load(&c->late),
                               .too_much = atomic_load(&c->too_much) };
}
