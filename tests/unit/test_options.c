/* test_options.c - the one parser of command lines: ours, mow.cli's (clair-scanner) and that of Go's flag package (clair). */
#include "cmd/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct values {
    const char *text;
    int all, quiet, number;
    bool flag;
    struct option_list list;
};

#define FIELD(name) offsetof(struct values, name)
static const struct option table[] = {
    { "text", "FILE", OPT_TEXT, FIELD(text), "a text", 'c' },
    { "old-text", "FILE", OPT_TEXT, FIELD(text), NULL },
    { "all", NULL, OPT_BOOL, FIELD(all), "a boolean" },
    { "quiet", NULL, OPT_BOOL, FIELD(quiet), "another", 'q' },
    { "flag", NULL, OPT_FLAG, FIELD(flag), "a switch", 'f' },
    { "number", "N", OPT_NUMBER, FIELD(number), "a number", 'n' },
    { "list", "X", OPT_LIST, FIELD(list), "a list", 'l' },
    { 0 },
};
static const struct command ours = { .name = "x", .arguments = "A [B]", .options = table, .args_max = 2 };
static const struct command go = { .name = "y", .arguments = "", .options = table, .go_flags = true };
static const struct program as_scanner = { "scanner", &ours };
static const struct program as_go = { "go", &go };
const struct command *const commands[] = { &ours, NULL }; /* for help_overview() */

#define WORDS(...)                                                                                           \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define HELP -2

struct row {
    const char *words[8];
    int result; /* number of arguments, -1 or HELP */
    struct values want;
    const char *rest; /* the first argument */
};

static void check(const struct command *c, const struct program *p, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *argv[9] = { 0 };
        int argc = 0;
        for (; rows[i].words[argc]; argc++)
            argv[argc] = (char *)rows[i].words[argc];
        _Alignas(max_align_t) char bytes[OPTIONS_SIZE_MAX] = { 0 };
        const struct values *v = (const void *)bytes, *want = &rows[i].want;
        struct err e = { 0 };
        int result = options_parse(c, p, argc, argv, NULL, bytes, NULL, &e);
        if (result != rows[i].result)
            fail_msg("row %zu: %d instead of %d: %s", i, result, rows[i].result, e.text);
        assert_int_equal(e.kind, result == -1 ? ERR_USAGE : ERR_NONE);
        if (result < 0)
            continue;
        if (!str_eq(str_from(v->text), str_from(want->text)) || v->all != want->all ||
            v->quiet != want->quiet || v->flag != want->flag || v->number != want->number)
            fail_msg("row %zu: text %s all %d quiet %d flag %d number %d", i, v->text ? v->text : "(none)",
                     v->all, v->quiet, v->flag, v->number);
        if (rows[i].rest)
            assert_string_equal(argv[0], rows[i].rest);
    }
}

/* In their order, by all spellings, up to as many as there is room for. */
static void test_list(void **state)
{
    const char *words[] = { "-l", "a", "--list=b", "x", "-lc", "--list", "d=e" },
               *many[2 * OPTION_LIST_MAX + 2];
    _Alignas(max_align_t) char bytes[OPTIONS_SIZE_MAX] = { 0 };
    const struct option_list *list = &((const struct values *)(const void *)bytes)->list;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(options_parse(&ours, NULL, COUNT(words), (char **)words, NULL, bytes, NULL, &e), 1);
    static const char *const want[] = { "a", "b", "c", "d=e" };
    assert_int_equal(list->count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++)
        assert_string_equal(list->values[i], want[i]);
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = i % 2 ? "v" : "-l";
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(options_parse(&ours, NULL, COUNT(many) - 2, (char **)many, NULL, bytes, NULL, &e), 0);
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = i % 2 ? "v" : "-l";
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(options_parse(&ours, NULL, COUNT(many), (char **)many, NULL, bytes, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_USAGE);
}

static void test_ours(void **state)
{
    static const struct row rows[] = {
        { WORDS("a", "--text", "v", "b"), 2, { .text = "v" }, "a" },
        { WORDS("--text=v", "--flag", "a"), 1, { .text = "v", .flag = true }, "a" },
        { WORDS("--text=", "a"), 1, { .text = "" }, "a" },
        { WORDS("--text", "1", "--old-text=2"), 0, { .text = "2" } },
        { WORDS("--", "--text", "a"), 2, { 0 }, "--text" },
        { WORDS("a", "--", "--"), 2, { 0 }, "a" },
        { WORDS("-"), 1, { 0 }, "-" },
        { WORDS("-c", "v"), 0, { .text = "v" } },
        { WORDS("-cv"), 0, { .text = "v" } },
        { WORDS("-c=v"), 0, { .text = "v" } },
        { WORDS("-clair=v"), 0, { .text = "lair=v" } }, /* issue 71 */
        { WORDS("-qfc", "v", "a"), 1, { .text = "v", .quiet = 1, .flag = true }, "a" },
        { WORDS("-qc=v"), 0, { .text = "v", .quiet = 1 } },
        { WORDS("-n5", "-n", "6"), 0, { .number = 6 } },
        { WORDS("--all=false", "-q=false"), 0, { .all = -1, .quiet = -1 } },
        { WORDS("--all=false", "--all"), 0, { .all = 1 } },
        { WORDS("--all=T", "--quiet=0"), 0, { .all = 1, .quiet = -1 } },
        { WORDS("--all", "false"), 1, { .all = 1 }, "false" },
        { WORDS("--all=maybe"), -1, { 0 } },
        { WORDS("--flag=true"), 0, { .flag = true } },
        { WORDS("-f", "--flag=false"), 0, { 0 } }, /* against what a file says */
        { WORDS("--flag=yes"), -1, { 0 } },
        { WORDS("-f=maybe"), -1, { 0 } },
        { WORDS("--text"), -1, { 0 } },
        { WORDS("-c"), -1, { 0 } },
        { WORDS("-z"), -1, { 0 } },
        { WORDS("-qz"), -1, { 0 } },
        { WORDS("--other"), -1, { 0 } },
        { WORDS("--tex=v"), -1, { 0 } },
        { WORDS("-text=v"), -1, { 0 } },
        { WORDS("-n", "256"), -1, { 0 } },
        { WORDS("a", "b", "c"), -1, { 0 } },
        { WORDS("a", "-h"), HELP, { 0 } },
        { WORDS("-qh"), HELP, { 0 } },
        { WORDS("--help"), HELP, { 0 } },
        { WORDS("--", "--help"), 1, { 0 }, "--help" },
        { WORDS("--text", "--help"), 0, { .text = "--help" } },
    };
    (void)state;
    check(&ours, NULL, rows, COUNT(rows));
}

/* Options stand before the arguments. */
static void test_as_program(void **state)
{
    static const struct row rows[] = {
        { WORDS("-c", "v", "a"), 1, { .text = "v" }, "a" },
        { WORDS("a", "-q"), 2, { 0 }, "a" },
        { WORDS("a", "-c", "v"), -1, { 0 } },
        { WORDS("-q", "--", "-c"), 1, { .quiet = 1 }, "-c" },
        { WORDS("-z"), -1, { 0 } },
        { WORDS("-h"), HELP, { 0 } },
    };
    (void)state;
    check(&ours, &as_scanner, rows, COUNT(rows));
}

static void test_go_flags(void **state)
{
    static const struct row rows[] = {
        { WORDS("-text", "v"), 0, { .text = "v" } },
        { WORDS("-text=v", "--all"), 0, { .text = "v", .all = 1 } },
        { WORDS("--text", "v", "-all=false"), 0, { .text = "v", .all = -1 } },
        { WORDS("a", "-text", "v"), 0, { 0 } }, /* the first argument ends the options, and is ignored */
        { WORDS("-all", "false", "-quiet"), 0, { .all = 1 } },
        { WORDS("--", "-text"), 0, { 0 } },
        { WORDS("-"), 0, { 0 } },
        { WORDS("-cv"), -1, { 0 } }, /* no letters */
        { WORDS("-other"), -1, { 0 } },
        { WORDS("-text"), -1, { 0 } },
        { WORDS("-h"), HELP, { 0 } },
        { WORDS("-help"), HELP, { 0 } },
        { WORDS("--help"), HELP, { 0 } },
    };
    (void)state;
    check(&go, NULL, rows, COUNT(rows));
    check(&go, &as_go, rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_as_program),
        cmocka_unit_test(test_go_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
