/* worker.c - the inside of the cage. */
#include "cage/internal.h"
#include "base/helper.h"
#include "codec/stream.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct seccomp_program {
    struct sock_fprog prog;
};

static int allow_always(scmp_filter_ctx f)
{
    static const int calls[] = {
        SCMP_SYS(read),          SCMP_SYS(write),          SCMP_SYS(close),
        SCMP_SYS(munmap),        SCMP_SYS(mremap),         SCMP_SYS(brk),
        SCMP_SYS(madvise),       SCMP_SYS(futex),          SCMP_SYS(exit),
        SCMP_SYS(exit_group),    SCMP_SYS(getrandom),      SCMP_SYS(rt_sigreturn),
        SCMP_SYS(clock_gettime),
#ifdef ECLAIR_SANITIZED /* what the sanitizers' runtimes do on their own */
        SCMP_SYS(sigaltstack),   SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
        SCMP_SYS(sched_yield),   SCMP_SYS(gettid),         SCMP_SYS(getpid),
#endif
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0) < 0)
            return -1;
    return 0;
}

/* Memory, but never executable memory. */
static int allow_memory(scmp_filter_ctx f)
{
    struct scmp_arg_cmp not_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    if (seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_exec) < 0)
        return -1;
    return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_exec);
}

struct seccomp_program *seccomp_program_new(void)
{
    int fd[2] = { -1, -1 };
    struct sock_filter *code = NULL;
    struct seccomp_program *p = NULL;
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return NULL;
    ssize_t n = -1;
    size_t room = 16384; /* a pipe holds 64 KiB */
    if (allow_always(f) == 0 && allow_memory(f) == 0 && pipe2(fd, O_CLOEXEC) == 0 &&
        seccomp_export_bpf(f, fd[1]) == 0 && (code = malloc(room)))
        n = read(fd[0], code, room);
    seccomp_release(f);
    close_fdp(&fd[0]);
    close_fdp(&fd[1]);
    if (n > 0 && (size_t)n < room && (p = calloc(1, sizeof *p))) {
        p->prog = (struct sock_fprog){ .len = (unsigned short)((size_t)n / sizeof *code), .filter = code };
        return p;
    }
    free(code);
    return NULL;
}

struct frame_writer {
    int fd, in_fd;
    struct helper *helper;
    struct buf pending;
};

struct frame_writer *frame_writer_new(int fd)
{
    struct frame_writer *w = calloc(1, sizeof *w);
    if (w)
        w->fd = fd, w->in_fd = -1;
    return w;
}

void frame_writer_freep(struct frame_writer **w)
{
    if (*w)
        buf_done(&(*w)->pending);
    free(*w);
    *w = NULL;
}

struct helper *cage_helper(struct frame_writer *out) { return out->helper; }

#define FLUSH_AT ((size_t)64 << 10)

int frame_flush(struct frame_writer *w, struct err *e)
{
    for (str rest = buf_view(&w->pending); rest.len;) {
        ssize_t n = write(w->fd, rest.ptr, rest.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(e, "write a frame");
        rest = str_skip(rest, (size_t)n);
    }
    buf_clear(&w->pending);
    return 0;
}

int frame_put(struct frame_writer *w, unsigned type, str body, struct err *e)
{
    if (body.len > FRAME_MAX)
        return err_set(e, ERR_LIMIT, "a record of %zu bytes is larger than a frame (%u)", body.len,
                       FRAME_MAX);
    uint32_t len = (uint32_t)body.len;
    uint8_t head[5] = { (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16), (uint8_t)(len >> 24),
                        (uint8_t)type };
    buf_add(&w->pending, head, sizeof head);
    buf_str(&w->pending, body);
    if (w->pending.failed)
        return err_set(e, ERR_OOM, "frames");
    return w->pending.len >= FLUSH_AT ? frame_flush(w, e) : 0;
}

int cage_want(struct frame_writer *out, uint64_t offset, size_t size, void *ret, struct err *e)
{
    uint8_t body[16];
    for (unsigned i = 0; i < 8; i++) {
        body[i] = (uint8_t)(offset >> (8 * i));
        body[8 + i] = (uint8_t)((uint64_t)size >> (8 * i));
    }
    if (frame_put(out, FRAME_WANT, str_of(body, sizeof body), e) < 0 || frame_flush(out, e) < 0)
        return -1;
    for (size_t have = 0; have < size;) {
        ssize_t n = read(out->in_fd, (char *)ret + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "read the input");
        if (n == 0)
            return err_set(e, ERR_FORMAT, "byte %llu: the input ends early",
                           (unsigned long long)(offset + have));
        have += (size_t)n;
    }
    return 0;
}

/* Never more than what this process was given itself. */
static int limit(int what, uint64_t value, uint64_t hard)
{
    struct rlimit own;
    if (getrlimit((__rlimit_resource_t)what, &own) < 0)
        return -1;
    struct rlimit r = { value < own.rlim_max ? value : own.rlim_max,
                        hard < own.rlim_max ? hard : own.rlim_max };
    return setrlimit((__rlimit_resource_t)what, &r);
}

uint64_t worker_address_space(void)
{
    unsigned long pages = 0;
    CLEANUP(fclosep) FILE *in = fopen("/proc/self/statm", "re");
    if (!in || fscanf(in, "%lu", &pages) != 1)
        return (uint64_t)1 << 30;
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

#ifdef __SANITIZE_THREAD__ /* it has a thread of its own, which crashes where its system calls are refused: so it stays alone outside */
#define ALL_THREADS 0
#else
#define ALL_THREADS SECCOMP_FILTER_FLAG_TSYNC
#endif

static int shut(const struct seccomp_program *filter, const struct cage_limits *l)
{
#ifndef ECLAIR_SANITIZED
    if (limit(RLIMIT_AS, l->max_memory, l->max_memory) < 0)
        return -1;
#endif
    if (limit(RLIMIT_CPU, l->max_cpu_s, l->max_cpu_s + 1) < 0 || limit(RLIMIT_FSIZE, 0, 0) < 0 ||
        limit(RLIMIT_CORE, 0, 0) < 0 || limit(RLIMIT_NPROC, 0, 0) < 0 || limit(RLIMIT_NOFILE, 0, 0) < 0)
        return -1;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    /* of all threads: one that could not be filtered is told by its number */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, ALL_THREADS, &filter->prog) == 0 ? 0 : -1;
}

/* Input on 3, frames on 4, nothing else but null devices on 0 to 2. */
static int arrange(int in_fd, int out_fd, int null_fd)
{
    int in = fcntl(in_fd, F_DUPFD, 10), out = fcntl(out_fd, F_DUPFD, 10), null = fcntl(null_fd, F_DUPFD, 10);
    if (in < 0 || out < 0 || null < 0)
        return -1;
    for (int fd = 0; fd <= 2; fd++) {
#ifdef ECLAIR_SANITIZED
        if (fd == 2) /* where a sanitizer reports */
            continue;
#endif
        dup2(null, fd);
    }
    if (dup2(in, 3) < 0 || dup2(out, 4) < 0)
        return -1;
    return close_range(5, ~0U, 0);
}

_Noreturn void worker_main(const struct cage_task *task, str params, int in_fd, int out_fd,
                           const struct worker_world *world)
{
    struct err e = { 0 };
    struct buf summary = { .max = FRAME_MAX };
    char name[16];
    snprintf(name, sizeof name, "eclair:%s", task->name);
    prctl(PR_SET_NAME, name, 0, 0, 0);
    signal(SIGXFSZ, SIG_DFL);
    struct frame_writer out = { .fd = 4, .in_fd = 3 };
    if (arrange(in_fd, out_fd, world->null) < 0)
        _exit(70);
    if (task->helper && ALL_THREADS && sysconf(_SC_NPROCESSORS_ONLN) > 1)
        out.helper = helper_new();
    if (shut(world->filter, world->limits) < 0)
        _exit(70); /* never run a task outside the cage */

    struct stream *in = task->random_access ? NULL : stream_from_fd(3, &e);
    if (!e.kind)
        task->run(params, in, &out, &summary, &e);
    struct err late = { 0 };
    if (e.kind) {
        char body[1 + sizeof e.text];
        body[0] = (char)e.kind;
        size_t n = strlen(e.text);
        memcpy(body + 1, e.text, n);
        frame_put(&out, FRAME_ERROR, str_of(body, n + 1), &late);
    } else {
        frame_put(&out, FRAME_END, buf_view(&summary), &late);
    }
    frame_flush(&out, &late);
    _exit(0);
}
