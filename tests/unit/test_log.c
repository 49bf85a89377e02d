/* The lines of a server's log, read back from standard output. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Standard output goes to a file while `run` runs; returns what was written. */
static void capture(void (*run)(void), struct buf *ret)
{
    CLEANUP(fclosep) FILE *f = tmpfile();
    assert_non_null(f);
    fflush(stdout);
    int old = dup(STDOUT_FILENO);
    assert_true(old >= 0 && dup2(fileno(f), STDOUT_FILENO) >= 0);
    run();
    dup2(old, STDOUT_FILENO);
    close(old);

    char bytes[4096];
    rewind(f);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        buf_add(ret, bytes, n);
}

static void one(void)
{
    log_line(LOG_WARNING, "src/a/file.c", 12, "a <b> & \"c\"",
             (const struct log_field[]){
                 LOG_TEXT("path", STR("\\\n\t\x01\x7f")), LOG_NUM("elapsed time", -5),
                 LOG_TEXT("Description", STR("\xc3\xa9\xff\xed\xa0\x80\xe2\x80\xa8\xe2")) },
             3);
}

static void test_line(void **state)
{
    (void)state;
    static const char head[] =
        "{\"Description\":\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\u2028\xef\xbf\xbd\","
        "\"Event\":\"a \\u003cb\\u003e \\u0026 \\\"c\\\"\",\"Level\":\"warning\","
        "\"Location\":\"file.c:12\",\"Time\":\"2";
    static const char tail[] = "\",\"elapsed time\":-5,\"path\":\"\\\\\\n\\t\\u0001\x7f\"}\n";
    static const char form[] = "dddd-dd-dd dd:dd:dd.dddddd";
    CLEANUP(buf_done) struct buf got = { 0 };
    capture(one, &got);
    assert_true(str_starts(buf_view(&got), str_from(head)));
    assert_true(str_ends(buf_view(&got), str_from(tail)));
    const char *when = got.ptr + sizeof head - 2;
    assert_int_equal(got.len, sizeof head - 2 + sizeof form - 1 + sizeof tail - 1);
    for (size_t i = 0; form[i]; i++)
        assert_true(form[i] == 'd' ? when[i] >= '0' && when[i] <= '9' : when[i] == form[i]);
}

static void told_secrets(void)
{
    log_info("fetched",
             LOG_TEXT("path", STR("https://me:hidden@host:1/a?X-Sig=hidden#x (password=hidden, next)")),
             LOG_TEXT("error", STR("postgresql://u:hid?d@en@h/d?sslmode=off&password=hidden")),
             LOG_TEXT("header", STR("Authorization: bearer hidden")), LOG_TEXT("plain", STR("a://b c@d?e")));
}

static void test_secrets(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf got = { 0 };
    capture(told_secrets, &got);
    str line = buf_view(&got);
    assert_false(str_contains(line, STR("hid")));
    assert_true(str_contains(line, STR("\"path\":\"https://me:***@host:1/a?*** (password=***, next)\"")));
    assert_true(
        str_contains(line, STR("\"error\":\"postgresql://u:***@h/d?sslmode=off\\u0026password=***\"")));
    assert_true(str_contains(line, STR("\"header\":\"Authorization: bearer ***\"")));
    assert_true(str_contains(line, STR("\"plain\":\"a://b c@d?e\"")));
}

static void for_people(void)
{
    log_set_form(LOG_PLAIN);
    log_warning("a <b>", LOG_NUM("port", 6060), LOG_TEXT("addr", STR(":6060")), LOG_TEXT("empty", STR("")),
                LOG_TEXT("error", STR("x <y> \"z\" \x1b[2J\xc2\x9b\x7f")),
                LOG_TEXT("path", STR("http://a:hidden@b/")));
    log_set_form(LOG_COLOURED);
    log_error("b");
    log_set_form(LOG_JSON);
}

static void test_for_people(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf got = { 0 };
    capture(for_people, &got);
    str rest = buf_view(&got), first = str_line(&rest), second = str_line(&rest);
    assert_int_equal(first.ptr[2], ':');
    assert_int_equal(first.ptr[8], '.');
    str text = str_skip(first, strlen("15:04:05.000 "));
    static const char want[] = "WARN  a <b>  port=6060 addr=:6060 empty=\"\" error=\"x <y> \\\"z\\\" "
                               "\\u001b[2J\\u009b\\u007f\" path=\"http://a:***@b/\"";
    if (!str_eq(text, str_from(want)))
        fail_msg("'" STR_FMT "'", STR_ARG(text));
    assert_true(str_contains(second, STR("\x1b[31mERROR\x1b[0m b")));
    assert_int_equal(rest.len, 0);
}

static void levels(void)
{
    log_debug("not told");
    log_info("told", LOG_NUM("port", 6060));
    log_set_level(LOG_ERROR);
    log_warning("not told");
    LOG(LOG_FATAL, "the end", LOG_TEXT("error", STR("none")));
    log_set_level(LOG_INFO);
}

static void test_levels(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf got = { 0 };
    capture(levels, &got);
    str rest = buf_view(&got), first = str_line(&rest), second = str_line(&rest);
    assert_true(
        str_contains(first, STR("{\"Event\":\"told\",\"Level\":\"info\",\"Location\":\"test_log.c:")));
    assert_true(str_ends(first, STR("\"port\":6060}")));
    assert_true(str_contains(second, STR("\"Level\":\"fatal\"")) &&
                str_ends(second, STR("\"error\":\"none\"}")));
    assert_int_equal(rest.len, 0);
}

static void test_level_names(void **state)
{
    (void)state;
    enum log_level l = LOG_INFO;
    assert_true(log_level_parse(STR("PANIC"), &l) && l == LOG_FATAL);
    assert_true(log_level_parse(STR("Warn"), &l) && l == LOG_WARNING);
    assert_true(log_level_parse(STR("warning"), &l) && l == LOG_WARNING);
    assert_true(log_level_parse(STR("debug"), &l) && l == LOG_DEBUG);
    assert_false(log_level_parse(STR("verbose"), &l) || log_level_parse(STR(""), &l) ||
                 log_level_parse(STR("inf"), &l));
    assert_int_equal(l, LOG_DEBUG);
}

#define WRITERS 8
#define LINES   50

static void *write_lines(void *text)
{
    for (int i = 0; i < LINES; i++)
        log_info("x", LOG_TEXT("text", str_from(text)));
    return NULL;
}

static void many(void)
{
    static char texts[WRITERS][10000];
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        memset(texts[i], 'a' + i, sizeof texts[i] - 1);
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, texts[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
}

static void test_threads(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf got = { 0 };
    capture(many, &got);
    str rest = buf_view(&got);
    unsigned n = 0;
    for (; rest.len; n++) {
        str line = str_line(&rest);
        assert_true(line.len > 10000 && str_starts(line, STR("{\"Event\"")) && str_ends(line, STR("\"}")));
        for (size_t i = line.len - 9000; i < line.len - 2; i++)
            assert_int_equal(line.ptr[i], line.ptr[line.len - 3]);
    }
    assert_int_equal(n, WRITERS * LINES);
}

/* A pipe that nobody reads: nobody waits for it, and who reads on later is told how many lines he missed. */
static void test_reader_stands_still(void **state)
{
    (void)state;
    static char text[3000], got[1 << 20];
    int ends[2];
    memset(text, 'x', sizeof text);
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    int old = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    int64_t begin = clock_ms();
    for (int i = 0; i < 500; i++)
        log_line(LOG_INFO, "a.c", i, "event",
                 (const struct log_field[]){ LOG_TEXT("text", str_of(text, sizeof text)) }, 1);
    int64_t took = clock_ms() - begin;
    ssize_t n = read(ends[0], got, sizeof got);
    log_line(LOG_INFO, "a.c", 1, "again", NULL, 0);
    ssize_t more = read(ends[0], got + n, sizeof got - (size_t)n);
    dup2(old, STDOUT_FILENO);
    close(old), close(ends[0]), close(ends[1]);
    assert_true(took < 5000 && n > 0 && more > 0);
    size_t lines = 0, dropped = 0;
    bool again = false;
    for (str rest = str_of(got, (size_t)(n + more)), line;
         (line = str_line(&rest)).ptr && (line.len || rest.len);) {
        assert_true(str_starts(line, STR("{\"Event\"")) && str_ends(line, STR("}")));
        lines += str_starts(line, STR("{\"Event\":\"event\""));
        again = again || str_starts(line, STR("{\"Event\":\"again\""));
        if (str_starts(line, STR("{\"Event\":\"log lines dropped\"")))
            sscanf(strstr(line.ptr, "\"lines\":"), "\"lines\":%zu", &dropped);
    }
    assert_true(again && lines >= 10 && dropped);
    assert_int_equal(lines + dropped, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_for_people),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_reader_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
