/* apt_sources.c - sources.list(5), both forms: the suite that the packages came from. */
#include "detect/detector.h"
#include "detect/distro.h"

/* These words move from release to release: only a guess, used when nothing else speaks. */
static str moving_suite(str suite)
{
    static const struct {
        str suite, version;
    } suites[] = {
        { { "testing", 7 }, { "14", 2 } },
        { { "stable", 6 }, { "13", 2 } },
        { { "oldstable", 9 }, { "12", 2 } },
        { { "oldoldstable", 12 }, { "11", 2 } },
    };
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (str_eq(suite, suites[i].suite))
            return suites[i].version;
    return (str){ 0 };
}

/* "bookworm", "bookworm-updates", "jessie/updates": true when it names a release. */
static bool set_suite(struct detected *out, str suite)
{
    suite = str_cut(&suite, '/');
    suite = str_cut(&suite, '-');
    str none = { 0 };
    if (debian_version(suite).len)
        out->distribution = distribution_from(out->arena, STR("debian"), suite, none, none);
    else if (ubuntu_version(suite).len)
        out->distribution = distribution_from(out->arena, STR("ubuntu"), suite, none, none);
    else if (moving_suite(suite).len) {
        out->distribution = distribution_from(out->arena, STR("debian"), moving_suite(suite), none, none);
        out->distribution.namespace = none;
    }
    return out->distribution.id.len > 0;
}

static bool has_word(str words, str want)
{
    for (str word; (word = str_word(&words)).len;)
        if (str_eq(word, want))
            return true;
    return false;
}

/* deb [ option=value ... ] uri suite component ... */
static bool one_line(struct detected *out, str line)
{
    str type = str_word(&line);
    if (!str_eq(type, STR("deb")) && !str_eq(type, STR("deb-src")))
        return false;
    line = str_trim(line);
    if (line.len && line.ptr[0] == '[')
        str_cut(&line, ']');
    str_word(&line); /* uri */
    str suite = str_word(&line);
    return has_word(str_cut(&line, '#'), STR("main")) && set_suite(out, suite);
}

struct stanza {
    str suites, components;
    bool off;
};

static bool close_stanza(struct detected *out, struct stanza *s)
{
    struct stanza done = *s;
    *s = (struct stanza){ 0 };
    if (done.off || !has_word(done.components, STR("main")))
        return false;
    for (str suite; (suite = str_word(&done.suites)).len;)
        if (set_suite(out, suite))
            return true;
    return false;
}

/* One line of the deb822 form; fields that go on in the next line are not seen in the files of distributions.
 */
static bool deb822_line(struct detected *out, struct stanza *s, str line)
{
    if (!str_trim(line).len)
        return close_stanza(out, s);
    str name = str_trim(str_cut(&line, ':'));
    if (str_eq(name, STR("Suites")))
        s->suites = line;
    else if (str_eq(name, STR("Components")))
        s->components = line;
    else if (str_eq(name, STR("Enabled")))
        s->off = str_eq(str_trim(line), STR("no"));
    return false;
}

static int apt_sources_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    str path = file->path, content = file->content;
    bool deb822 = str_ends(path, STR(".sources")), found = false;
    struct stanza stanza = { 0 };
    while (content.len && !found) {
        str line = str_line(&content);
        found = deb822 ? deb822_line(out, &stanza, line) : one_line(out, line);
    }
    if (!found && deb822)
        close_stanza(out, &stanza);
    return arena_failed(out->arena) ? err_set(e, ERR_OOM, "no memory for its text") : 0;
}

const struct detector detector_apt_sources = {
    .name = "apt-sources",
    .version = 1,
    /* Not all of sources.list.d: third parties' suites say little about the image. */
    .paths =
        "etc/apt/sources.list etc/apt/sources.list.d/debian.sources etc/apt/sources.list.d/ubuntu.sources",
    .priority = 6,
    .scan = apt_sources_scan,
};
