/* version_compare.c - for people in doubt about an order, and for the tests that hold ours to the native tools'. */
#include "base/cleanup.h"
#include "cmd/command.h"
#include "cmd/words.h"
#include "version/version.h"

static char answer(const struct version_scheme *s, str a, str b)
{
    if (!s->valid(a) || !s->valid(b))
        return '!';
    int order = s->compare(a, b);
    return order < 0 ? '<' : order > 0 ? '>' : '=';
}

static int run(const void *options, char **args, int count, struct err *e)
{
    CLEANUP(freep) char *line = NULL;
    size_t room = 0;
    (void)options, (void)count;
    const struct version_scheme *s = version_scheme_by_name(str_from(args[0]));
    if (!s)
        return err_set(e, ERR_USAGE, "version-compare: unknown scheme '%s'", args[0]);
    for (ssize_t n; (n = getline(&line, &room, stdin)) >= 0;) {
        str rest = str_of(line, (size_t)n);
        if (rest.len && rest.ptr[rest.len - 1] == '\n')
            rest.len--;
        bool two = str_find(rest, '\t') >= 0;
        str a = str_cut(&rest, '\t');
        printf("%c\n", two ? answer(s, a, rest) : '!');
    }
    return ferror(stdin) ? err_errno(e, "standard input") : 0;
}

const struct command command_version_compare = {
    .name = "version-compare",
    .arguments = "SCHEME",
    .summary = "Compares versions as the package manager would",
    .details = "SCHEME is dpkg, rpm, apk, alpm or rpmvercmp (one part of an rpm version), or of languages "
               "semver (npm, Cargo, Hex, Pub, Go), pep440\n"
               "(PyPI), gem, maven, nuget or packagist. Reads lines A<TAB>B, answers each with one of\n"
               "\"<\", \"=\", \">\", or \"!\" when one of the two is not a version of that scheme.",
    .options = (const struct option[]){ { 0 } },
    .words = words_schemes,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
