/* test_cage.c - the cage from outside: what goes in, what comes out, and what a hostile worker cannot do. */
#include "base/cleanup.h"
#include "base/helper.h"
#include "cage/internal.h"
#include "codec/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* ---- tasks that run inside ---- */

static int run_count(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                     struct err *e)
{
    uint64_t n = 0;
    str chunk;
    int r;
    while ((r = stream_next(in, &chunk, e)) > 0)
        n += chunk.len;
    buf_printf(summary, STR_FMT "%llu", STR_ARG(params), (unsigned long long)n);
    return r < 0 ? -1 : frame_put(out, FRAME_TASK, STR("counted"), e);
}

static int run_fail(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                    struct err *e)
{
    (void)params, (void)in, (void)out, (void)summary;
    return err_set(e, ERR_FORMAT, "byte 7: \x1b[31m odd");
}

static int run_crash(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                     struct err *e)
{
    (void)params, (void)in, (void)out, (void)summary, (void)e;
    __builtin_trap();
}

/* Each is a system call that a program gone wild would make, with arguments that are right outside of the cage. Tells what went through. */
static void try_all(struct buf *went)
{
    static const char *const argv[] = { "/bin/true", NULL };
    static const struct sockaddr_in somewhere = { .sin_family = AF_INET,
                                                  .sin_port = 0x5000,
                                                  .sin_addr = { 0x0100007f } };
    static const struct {
        uint64_t flags, rest[10];
    } clone_args = { .flags = 0, .rest = { 0, 0, 0, SIGCHLD } };
    struct iovec one = { (void *)argv, 1 };
    char c = 0;
    const struct {
        const char *what;
        long number, args[6];
    } calls[] = {
        { "open", SYS_open, { (long)"/etc/passwd", O_RDONLY } },
        { "openat of a descriptor's path", SYS_openat, { AT_FDCWD, (long)"/proc/self/fd/3", O_RDONLY } },
        { "openat below an open descriptor", SYS_openat, { 3, (long)"..", O_RDONLY } },
        { "creat", SYS_creat, { (long)"/tmp/eclair-escaped", 0600 } },
        { "unlink", SYS_unlink, { (long)"/tmp/eclair-escaped" } },
        { "stat", SYS_newfstatat, { AT_FDCWD, (long)"/", (long)&c, 0 } },
        { "memfd_create", SYS_memfd_create, { (long)"x", 0 } },
        { "socket", SYS_socket, { AF_INET, SOCK_STREAM, 0 } },
        { "socket of this machine", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 } },
        { "connect", SYS_connect, { 3, (long)&somewhere, sizeof somewhere } },
        { "sendto", SYS_sendto, { 4, (long)"x", 1, 0, 0, 0 } },
        { "fork", SYS_fork, { 0 } },
        { "vfork", SYS_clone, { CLONE_VFORK | CLONE_VM | SIGCHLD, 0, 0, 0, 0 } },
        { "thread", SYS_clone, { CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0 } },
        { "clone3", SYS_clone3, { (long)&clone_args, 88 } },
        { "exec", SYS_execve, { (long)argv[0], (long)argv, 0 } },
        { "kill", SYS_kill, { getppid(), 0 } },
        { "ptrace", SYS_ptrace, { 0x4206, getppid(), 0, 0 } },
        { "read another's memory", SYS_process_vm_readv, { getppid(), (long)&one, 1, (long)&one, 1, 0 } },
        { "executable memory",
          SYS_mmap,
          { 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
        { "code made of data", SYS_mprotect, { (long)argv & ~4095L, 4096, PROT_READ | PROT_EXEC } },
        { "own limits", SYS_prlimit64, { 0, 7, 0, (long)&c } },
        { "namespaces", SYS_unshare, { CLONE_NEWUSER } },
        { "mount", SYS_mount, { (long)"none", (long)"/", (long)"tmpfs", 0, 0 } },
        { "chroot", SYS_chroot, { (long)"/" } },
        { "io_uring", SYS_io_uring_setup, { 1, (long)&clone_args } },
        { "another filter", SYS_seccomp, { 0, 0, 0 } },
        { "keys", SYS_keyctl, { 0, -3, 0 } },
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const long *a = calls[i].args;
        errno = 0;
        long r = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (r != -1 || errno != EPERM)
            buf_printf(went, "%s: %ld, %s; ", calls[i].what, r, strerror(errno));
    }
}

/* Tries what the cage forbids, on both threads, and tells what went through. */
static void try_beside(void *ctx) { try_all(ctx); }

static int run_escape(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                      struct err *e)
{
    (void)params, (void)in;
    struct buf beside = { 0 };
    buf_reserve(&beside, 8192);
    struct helper *helper = cage_helper(out);
    if (helper) {
        helper_start(helper, try_beside, &beside);
        helper_wait(helper);
    } else if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        return err_set(e, ERR_INTERNAL, "no second thread");
    }
    try_all(summary);
    buf_str(summary, buf_view(&beside));
    for (int fd = 5; fd < 1024; fd++)
        if (write(fd, "x", 1) >= 0 || errno != EBADF)
            return err_set(e, ERR_INTERNAL, "descriptor %d was left open", fd);
    return 0;
}

static int run_spin(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                    struct err *e)
{
    (void)params, (void)in, (void)out, (void)summary, (void)e;
    volatile unsigned n = 0;
    while (n < 2)
        n = n ? 1 : n + 1;
    return 0;
}

static int run_flood(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                     struct err *e)
{
    static char body[FRAME_MAX];
    (void)params, (void)in, (void)summary;
    while (frame_put(out, FRAME_TASK, str_of(body, sizeof body), e) == 0)
        ;
    return -1;
}

/* Takes memory until there is no more, and says how much that was. */
static int run_hoard(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                     struct err *e)
{
    size_t mib = 0;
    (void)params, (void)in, (void)out, (void)e;
    for (void *p; mib < 4096 && (p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                                          -1, 0)) != MAP_FAILED;)
        mib++;
    buf_printf(summary, "%zu", mib);
    return 0;
}

/* Reads the last and the first two bytes of the input, then asks for one byte too many. */
static int run_random(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                      struct err *e)
{
    char piece[4];
    (void)in;
    uint64_t size = (uint64_t)atoi(params.ptr);
    if (cage_want(out, size - 2, 2, piece, e) < 0 || cage_want(out, 0, 2, piece + 2, e) < 0)
        return -1;
    buf_add(summary, piece, sizeof piece);
    return frame_put(out, FRAME_TASK, str_of(piece, sizeof piece), e) < 0 ? -1
                                                                          : cage_want(out, size, 1, piece, e);
}

static const struct cage_task task_count = { .name = "count", .run = run_count };
static const struct cage_task task_fail = { .name = "fail", .run = run_fail };
static const struct cage_task task_crash = { .name = "crash", .run = run_crash };
static const struct cage_task task_escape = { .name = "escape", .run = run_escape, .helper = true };
static const struct cage_task task_spin = { .name = "spin", .run = run_spin };
static const struct cage_task task_flood = { .name = "flood", .run = run_flood };
static const struct cage_task task_random = { .name = "random", .run = run_random, .random_access = true };
static const struct cage_task task_hoard = { .name = "hoard", .run = run_hoard };
static const struct cage_task *const tasks[] = { &task_count,  &task_fail,  &task_crash,
                                                 &task_escape, &task_spin,  &task_flood,
                                                 &task_random, &task_hoard, NULL };

/* ---- outside ---- */

static struct cage *cage;
static const struct cage_input nothing = { .fd = -1 };

static int no_bytes(void *ctx, str *ret, struct err *e)
{
    (void)ctx, (void)ret, (void)e;
    return 0;
}

static struct cage_input empty(void)
{
    struct cage_input in = nothing;
    in.read = no_bytes;
    return in;
}

static int start(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct cage_limits limits = {
        .max_memory = 64 << 20, .max_cpu_s = 1, .max_wall_s = 8, .max_output = 8 << 20
    };
    cage = cage_new(tasks, &limits, &e);
    return cage ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    cage_freep(&cage);
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1; /* no process is left behind */
}

struct chunks {
    unsigned left;
    char bytes[10000];
};

static int give(void *ctx, str *ret, struct err *e)
{
    struct chunks *c = ctx;
    (void)e;
    *ret = str_of(c->bytes, sizeof c->bytes);
    return c->left && c->left--;
}

static int keep(void *ctx, unsigned type, str body, struct err *e)
{
    (void)e;
    assert_int_equal(type, FRAME_TASK);
    buf_str(ctx, body);
    return 0;
}

static void test_callback_input(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct chunks chunks = { .left = 1000 };
    struct cage_input in = { .fd = -1, .read = give, .ctx = &chunks };
    CLEANUP(buf_done) struct buf frames = { 0 }, summary = { 0 };
    assert_int_equal(cage_run(cage, &task_count, STR("n="), &in, keep, &frames, &summary, &e), 0);
    assert_true(str_eq(buf_view(&summary), STR("n=10000000")));
    assert_true(str_eq(buf_view(&frames), STR("counted")));
}

static int temp_file(size_t size)
{
    FILE *f = tmpfile();
    for (size_t i = 0; i < size; i++)
        fputc('a' + (int)(i % 26), f);
    fflush(f);
    int fd = dup(fileno(f));
    fclose(f);
    return fd;
}

static void test_file_input(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 65536, 3000001 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct err e = { 0 };
        char want[32];
        struct cage_load before, after;
        cage_load(cage, &before);
        CLEANUP(close_fdp) int fd = temp_file(sizes[i] + 100);
        struct cage_input in = { .fd = fd, .offset = 50, .size = sizes[i] };
        CLEANUP(buf_done) struct buf frames = { 0 }, summary = { 0 };
        assert_int_equal(cage_run(cage, &task_count, STR(""), &in, keep, &frames, &summary, &e), 0);
        snprintf(want, sizeof want, "%zu", sizes[i]);
        assert_true(str_eq(buf_view(&summary), str_from(want)));
        cage_load(cage, &after);
        assert_int_equal(after.input - before.input, sizes[i]);
    }
}

static void test_random_access(void **state)
{
    (void)state;
    struct err e = { 0 };
    CLEANUP(close_fdp) int fd = temp_file(28);
    struct cage_input in = { .fd = fd, .offset = 1, .size = 26 };
    CLEANUP(buf_done) struct buf frames = { 0 };
    assert_int_equal(cage_run(cage, &task_random, STR("26"), &in, keep, &frames, NULL, &e), -1);
    assert_true(str_eq(buf_view(&frames), STR("zabc")));
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_string_equal(e.text, "byte 26: the input ends early");
}

static void test_error_text_is_clean(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct cage_input in = empty();
    assert_int_equal(cage_run(cage, &task_fail, STR(""), &in, NULL, NULL, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_string_equal(e.text, "byte 7: \\x1b[31m odd");
}

static void expect_failure(const struct cage_task *t, enum err_kind kind, const char *text)
{
    struct err e = { 0 };
    struct cage_input in = empty();
    CLEANUP(buf_done) struct buf frames = { 0 };
    assert_int_equal(cage_run(cage, t, STR(""), &in, keep, &frames, NULL, &e), -1);
    assert_int_equal(e.kind, kind);
    if (!strstr(e.text, text))
        fail_msg("'%s' lacks '%s'", e.text, text);
}

static void test_deaths(void **state)
{
    (void)state;
    struct cage_load before, after;
    cage_load(cage, &before);
    expect_failure(&task_crash, ERR_CAGE, "worker ");
    expect_failure(&task_spin, ERR_LIMIT, "more than 1 s of CPU time");
    expect_failure(&task_flood, ERR_LIMIT, "bytes of results");
    cage_load(cage, &after);
    assert_int_equal(after.jobs - before.jobs, 3);
    assert_int_equal(after.died - before.died, 1);
    assert_int_equal(after.late - before.late, 1);
    assert_int_equal(after.too_much - before.too_much, 1);
    assert_true(after.output - before.output > 1000);
    assert_int_equal(after.running, 0);
}

/* A giver that never gives and never ends: only the clock can end the job. */
static void test_wall_limit(void **state)
{
    (void)state;
    struct err e = { 0 };
    int silent[2];
    assert_int_equal(pipe(silent), 0);
    struct cage_input in = { .fd = -1, .read = no_bytes, .wait = true, .wait_fd = silent[0] };
    assert_int_equal(cage_run(cage, &task_count, STR(""), &in, NULL, NULL, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "took longer than 8 s");
    close(silent[0]);
    close(silent[1]);
}

/* Sanitizers need address space of their own: there the limit is off, and ./dev test runs this in a plain build too. */
static void test_memory_limit(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct cage_input in = empty();
    CLEANUP(buf_done) struct buf summary = { 0 };
    assert_int_equal(cage_run(cage, &task_hoard, STR(""), &in, NULL, NULL, &summary, &e), 0);
    buf_char(&summary, '\0');
    int mib = atoi(summary.ptr);
#ifdef ECLAIR_SANITIZED
    assert_int_equal(mib, 4096);
#else
    assert_in_range(mib, 32, 64);
#endif
}

/* A worker that waited for its job is held as well as one that was made for it. */
static void test_bars_hold(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct err e = { 0 };
        struct cage_input in = empty();
        CLEANUP(buf_done) struct buf summary = { 0 };
        if (cage_run(cage, &task_escape, STR(""), &in, NULL, NULL, &summary, &e) < 0)
            fail_msg("%s", e.text);
        if (summary.len)
            fail_msg(STR_FMT, STR_ARG(summary));
    }
}

/* Is there still a file system, a network? 0: neither; runs in a process of its own. */
static int look_around(bool landlock)
{
    pid_t pid = fork();
    if (pid == 0) {
        unsigned walls = cage_isolate(landlock);
        int seen = walls == WALL_ALL ? 0 : 1;
        if (walls & WALL_FILES) {
            seen |= open("/etc/passwd", O_RDONLY) >= 0 ? 2 : 0;
            seen |= open("/", O_RDONLY) >= 0 && landlock ? 4 : 0;
            seen |= open("/tmp/eclair-escaped", O_RDWR | O_CREAT, 0600) >= 0 ? 8 : 0;
        }
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = 0x5000,
                                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if ((walls & WALL_NETWORK) && s >= 0 && connect(s, (struct sockaddr *)&to, sizeof to) < 0)
            seen |= errno == EACCES || errno == EPERM || errno == ENETUNREACH ? 0 : 16;
        _exit(seen);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The other walls, each without seccomp: those that the kernel lets stand keep what they are for, and what is missing is told. */
static void test_walls_alone(void **state)
{
    (void)state;
    int with_landlock = look_around(true), without = look_around(false);
    assert_int_equal(with_landlock & ~1, 0);
    assert_int_equal(without & ~1, 0);
    assert_int_equal(*cage_notice(cage) != '\0', with_landlock & 1);
    if (with_landlock || without)
        print_message("the kernel offers not all walls here: Landlock %s, leaving %s\n",
                      with_landlock ? "no" : "yes", without ? "no" : "yes");
}

/* The one that died is replaced, and its death is its own job's alone. */
static void test_deaths_beside_work(void **state)
{
    for (unsigned i = 0; i < 30; i++) {
        expect_failure(&task_crash, ERR_CAGE, "worker ");
        test_callback_input(state);
    }
}

static void *count_in_thread(void *ctx)
{
    for (unsigned i = 0; i < 20; i++)
        test_callback_input(ctx);
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_thread, state), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callback_input), cmocka_unit_test(test_file_input),
        cmocka_unit_test(test_random_access),  cmocka_unit_test(test_error_text_is_clean),
        cmocka_unit_test(test_deaths),         cmocka_unit_test(test_bars_hold),
        cmocka_unit_test(test_walls_alone),    cmocka_unit_test(test_deaths_beside_work),
        cmocka_unit_test(test_many_threads),   cmocka_unit_test(test_wall_limit),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
