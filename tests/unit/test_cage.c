/* test_cage.c - the cage from outside: what goes in, what comes out, and what a hostile worker cannot do. */
#include "base/cleanup.h"
#include "cage/cage.h"
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
#include <sys/mman.h>
#include <sys/socket.h>
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

/* Tries what the cage forbids and reports the first thing that went through. */
static int run_escape(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                      struct err *e)
{
    (void)params, (void)in, (void)out;
    if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EPERM)
        return err_set(e, ERR_INTERNAL, "opened a file");
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return err_set(e, ERR_INTERNAL, "made a socket");
    if (fork() >= 0 || errno != EPERM)
        return err_set(e, ERR_INTERNAL, "forked");
    if (kill(getppid(), 0) == 0)
        return err_set(e, ERR_INTERNAL, "sent a signal");
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
        MAP_FAILED)
        return err_set(e, ERR_INTERNAL, "made executable memory");
    for (int fd = 5; fd < 1024; fd++)
        if (write(fd, "x", 1) >= 0 || errno != EBADF)
            return err_set(e, ERR_INTERNAL, "descriptor %d was left open", fd);
    buf_str(summary, STR("held"));
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
static const struct cage_task task_escape = { .name = "escape", .run = run_escape };
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
        CLEANUP(close_fdp) int fd = temp_file(sizes[i] + 100);
        struct cage_input in = { .fd = fd, .offset = 50, .size = sizes[i] };
        CLEANUP(buf_done) struct buf frames = { 0 }, summary = { 0 };
        assert_int_equal(cage_run(cage, &task_count, STR(""), &in, keep, &frames, &summary, &e), 0);
        snprintf(want, sizeof want, "%zu", sizes[i]);
        assert_true(str_eq(buf_view(&summary), str_from(want)));
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
    expect_failure(&task_crash, ERR_CAGE, "worker ");
    expect_failure(&task_spin, ERR_LIMIT, "more than 1 s of CPU time");
    expect_failure(&task_flood, ERR_LIMIT, "bytes of results");
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

static void test_bars_hold(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct cage_input in = empty();
    CLEANUP(buf_done) struct buf summary = { 0 };
    if (cage_run(cage, &task_escape, STR(""), &in, NULL, NULL, &summary, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(str_eq(buf_view(&summary), STR("held")));
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
        cmocka_unit_test(test_many_threads),   cmocka_unit_test(test_wall_limit),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
