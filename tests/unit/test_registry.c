/* Names of images, files of credentials, challenges: what registries are asked for, and by whom. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "image/credentials.h"
#include "image/reference.h"
#include "image/registry_internal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- names ---- */

struct name_case {
    const char *text, *host, *path, *tag, *digest; /* host NULL: refused, with path in the error */
};

/* Those with hosts are of distribution/reference's own documentation and normalize_test.go. */
static const struct name_case names[] = {
    { "debian", "docker.io", "library/debian", "latest", "" },
    { "debian:12", "docker.io", "library/debian", "12", "" },
    { "docker.io/debian", "docker.io", "library/debian", "latest", "" },
    { "index.docker.io/debian:x", "docker.io", "library/debian", "x", "" },
    { "library/debian", "docker.io", "library/debian", "latest", "" },
    { "private/app:v1.0_a-b", "docker.io", "private/app", "v1.0_a-b", "" },
    { "quay.io/org/team/app", "quay.io", "org/team/app", "latest", "" },
    { "localhost/app", "localhost", "app", "latest", "" },
    { "localhost:5000/app:1", "localhost:5000", "app", "1", "" },
    { "127.0.0.1:5000/app", "127.0.0.1:5000", "app", "latest", "" },
    { "[::1]:5000/app:1", "[::1]:5000", "app", "1", "" },
    { "[2001:db8::1]/app", "[2001:db8::1]", "app", "latest", "" },
    { "HOST/app", "HOST", "app", "latest", "" },
    { "a-b/c__d-e---f.g", "docker.io", "a-b/c__d-e---f.g", "latest", "" },
    { "host.example./app", NULL, "no HOST[:PORT]", NULL, NULL },
    { "debian@sha256:" HEX, "docker.io", "library/debian", "", "sha256:" HEX },
    { "debian:12@sha256:" HEX, "docker.io", "library/debian", "12", "sha256:" HEX },
    { "localhost:5000/a@sha256:" HEX, "localhost:5000", "a", "", "sha256:" HEX },
    { "", NULL, "empty", NULL, NULL },
    { HEX, NULL, "id", NULL, NULL },
    { "Debian", NULL, "lower case", NULL, NULL },
    { "a//b", NULL, "empty", NULL, NULL },
    { "a/", NULL, "empty", NULL, NULL },
    { "/a", NULL, "empty", NULL, NULL },
    { "a:", NULL, "tag is empty", NULL, NULL },
    { "a:-x", NULL, "tag '-x'", NULL, NULL },
    { "a:x y", NULL, "tag", NULL, NULL },
    { "a@sha256:12", NULL, "64", NULL, NULL },
    { "a@sha512:12", NULL, "not sha256", NULL, NULL },
    { "a@b", NULL, "no digest", NULL, NULL },
    { "a..b", NULL, "single", NULL, NULL },
    { "a_/b", NULL, "single", NULL, NULL },
    { "a___b", NULL, "single", NULL, NULL },
    { "-a/b", NULL, "letters", NULL, NULL },
    { "-a.b/c", NULL, "no HOST", NULL, NULL },
    { "host:port/a", NULL, "no HOST", NULL, NULL },
    { "host:99999/a", NULL, "no HOST", NULL, NULL },
    { "[::g]:1/a", NULL, "no HOST", NULL, NULL },
    { "[::1/a", NULL, "no HOST", NULL, NULL },
    { "https://host.example/a", NULL, "no HOST", NULL, NULL },
};

static void test_names(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct name_case *c = &names[i];
        struct reference r = { 0 };
        struct err e = { 0 };
        int result = reference_parse(str_from(c->text), a, &r, &e);
        if (!c->host && (result == 0 || !strstr(e.text, c->path)))
            fail_msg("%s: %d %s", c->text, result, e.text);
        if (!c->host)
            continue;
        bool same = result == 0 && str_eq(r.host, str_from(c->host)) && str_eq(r.path, str_from(c->path)) &&
                    str_eq(r.tag, str_from(c->tag)) && str_eq(r.digest, str_from(c->digest));
        if (!same)
            fail_msg("%s: " STR_FMT " " STR_FMT " " STR_FMT " %s", c->text, STR_ARG(r.host), STR_ARG(r.path),
                     STR_ARG(r.tag), e.text);
    }
}

static void test_long_names(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct reference r;
    char text[400];
    for (size_t n = 230; n < 260; n++) { /* "docker.io/a/" is 12 bytes */
        struct err e = { 0 };
        snprintf(text, sizeof text, "a/%.*s", (int)n, HEX HEX HEX HEX HEX);
        assert_int_equal(reference_parse(str_from(text), a, &r, &e), n + 12 > REFERENCE_NAME_MAX ? -1 : 0);
    }
    for (size_t n = 126; n < 131; n++) {
        struct err e = { 0 };
        snprintf(text, sizeof text, "a:%.*s", (int)n, HEX HEX HEX);
        assert_int_equal(reference_parse(str_from(text), a, &r, &e), n > 128 ? -1 : 0);
    }
}

static void test_local(void **state)
{
    (void)state;
    static const char *const here[] = { "localhost", "localhost:5000", "127.0.0.1", "127.9.8.7:5000",
                                        "[::1]:80" };
    static const char *const there[] = { "localhost.example", "127.0.0.1.example", "128.0.0.1", "127.0.0",
                                         "[::2]:80",          "127.0.0.256",       "" };
    for (size_t i = 0; i < sizeof here / sizeof *here; i++)
        assert_true(reference_is_local(str_from(here[i])));
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        assert_false(reference_is_local(str_from(there[i])));
}

/* ---- challenges ---- */

static void assert_str(str is, const char *want)
{
    if (!str_eq(is, str_from(want)))
        fail_msg("'" STR_FMT "' is not '%s'", STR_ARG(is), want);
}

static void test_challenges(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct challenge c = { 0 };
    assert_int_equal(
        challenge_parse(STR("Bearer realm=\"https://auth.example/token\",service=\"reg\\\"istry\","
                            "scope=\"repository:a/b:pull,push\""),
                        a, &c),
        0);
    assert_int_equal(c.kind, CHALLENGE_BEARER);
    assert_str(c.realm, "https://auth.example/token");
    assert_str(c.service, "reg\"istry");
    assert_str(c.scope, "repository:a/b:pull,push");
    /* several in one header, others before and behind */
    c = (struct challenge){ 0 };
    challenge_parse(
        STR("Negotiate YII=, basic realm=\"x\", BEARER Realm = u , error=\"e\", Digest realm=\"d\""), a, &c);
    assert_int_equal(c.kind, CHALLENGE_BEARER);
    assert_str(c.realm, "u");
    /* several headers: the first of a kind stays */
    c = (struct challenge){ 0 };
    challenge_parse(STR("Basic realm=\"one\""), a, &c);
    challenge_parse(STR("Basic realm=\"two\""), a, &c);
    assert_int_equal(c.kind, CHALLENGE_BASIC);
    assert_str(c.realm, "one");
    c = (struct challenge){ 0 };
    challenge_parse(STR("\"\", =, ===, \x01\x02 x=\"open"), a, &c);
    assert_int_equal(c.kind, CHALLENGE_NONE);
}

/* ---- credentials ---- */

#define FILE_TEXT                                                                                            \
    "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOnBhc3M6d29yZAAA\"}," /* hub:pass:word */   \
    "\"quay.io\":{\"username\":\"q\",\"password\":\"p\"},"                                                   \
    "\"quay.io/org\":{\"username\":\"org\",\"password\":\"p\"},"                                             \
    "\"quay.io/org/app\":{\"username\":\"app\",\"password\":\"p\"},"                                         \
    "\"https://old.example/v2/\":{\"identitytoken\":\"t\"},"                                                 \
    "\"empty.example\":{},\"null.example\":null},"                                                           \
    "\"credHelpers\":{\"helped.example\":\"one\",\"helped.example/deep\":\"two\"},"                          \
    "\"credsStore\":\"all\",\"HttpHeaders\":{\"a\":[1,{}]}}"

static struct credentials_entry entry(const char *host, const char *path, struct arena *a)
{
    struct credentials_entry x;
    struct err e = { 0 };
    if (credentials_read(STR(FILE_TEXT), str_from(host), str_from(path), a, &x, &e) < 0)
        fail_msg("%s", e.text);
    assert_str(x.store, "all");
    return x;
}

static void test_longest_key(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct credentials_entry x = entry("docker.io", "library/debian", a);
    assert_str(x.given.user, "hub");
    assert_str(x.given.password, "pass:word");
    assert_str(entry("quay.io", "other", a).given.user, "q");
    assert_str(entry("quay.io", "orga", a).given.user, "q");
    assert_str(entry("quay.io", "org/x", a).given.user, "org");
    assert_str(entry("quay.io", "org/app", a).given.user, "app");
    assert_str(entry("quay.io", "org/app/deeper", a).given.user, "app");
    assert_str(entry("old.example", "x", a).given.identity_token, "t");
    assert_false(entry("empty.example", "x", a).has);
    assert_false(entry("null.example", "x", a).has);
    assert_false(entry("quay.io:443", "x", a).has);
    x = entry("helped.example", "deep/x", a);
    assert_str(x.helper, "two");
    assert_str(x.helper_key, "helped.example/deep");
    assert_str(entry("helped.example", "x", a).helper, "one");
}

static void test_bad_files(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "byte 0" },
        { "[]", "byte" },
        { "{\"auths\":{\"h\":{\"auth\":\"!\"}}}", "auths.h: auth: not base64" },
        { "{\"auths\":{\"h\":{\"auth\":\"eA==\"}}}", "auths.h: auth: not USER:PASSWORD" },
        { "{\"auths\":{\"h\":7}}", "auths.h: json: byte" },
        { "{\"auths\":{\"h\":{\"username\":[]}}}", "auths.h" },
        { "{\"auths\":[]}", "byte" },
        { "{\"credHelpers\":{\"h\":1}}", "credHelpers.h" },
        { "{\"credsStore\":{}}", "byte" },
        { "{} {}", "byte" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct credentials_entry x;
        struct err e = { 0 };
        int r = credentials_read(str_from(cases[i].text), STR("h"), STR("p"), a, &x, &e);
        if (r == 0 || !strstr(e.text, cases[i].says))
            fail_msg("%s: %d '%s'", cases[i].text, r, e.text);
    }
}

/* ---- places and helpers ---- */

static char folder[64];

static void write_file(const char *name, const char *text, int mode)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const unset[] = { "ECLAIR_REGISTRY_USER", "ECLAIR_REGISTRY_PASSWORD",
                                         "REGISTRY_AUTH_FILE",   "XDG_RUNTIME_DIR",
                                         "XDG_CONFIG_HOME",      "HOME" };
    char path[256];
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        unsetenv(unset[i]);
    snprintf(folder, sizeof folder, "/tmp/eclair-registry-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
    setenv("PATH", path, 1);
    setenv("DOCKER_CONFIG", folder, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static int find(const char *host, struct arena *a, struct credentials *ret, struct err *e)
{
    *e = (struct err){ 0 };
    return credentials_find(str_from(host), STR("app"), true, a, ret, e);
}

static void test_helpers(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct credentials c;
    struct err e;
    write_file("docker-credential-good",
               "#!/bin/sh\n[ $1 = get ] && grep -q '^SigBlk:.0*$' /proc/self/status && read s && echo "
               "\"{\\\"Username\\\":\\\"$s\\\",\\\"Secret\\\":\\\"x\\\"}\"\n",
               0755);
    write_file("docker-credential-token",
               "#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"refresh\"}'\n", 0755);
    write_file("docker-credential-none", "#!/bin/sh\necho credentials not found in native keychain; exit 1\n",
               0755);
    write_file("docker-credential-bad", "#!/bin/sh\necho no such luck; exit 1\n", 0755);
    write_file("docker-credential-loud", "#!/bin/sh\nyes\n", 0755);
    write_file("docker-credential-mad", "#!/bin/sh\necho {\n", 0755);
    write_file("config.json",
               "{\"auths\":{\"none.example\":{\"auth\":\"YTpi\"}},\"credsStore\":\"none\",\"credHelpers\":{"
               "\"good.example\":\"good\",\"docker.io\":\"good\",\"token.example\":\"token\",\"bad.example\":"
               "\"bad\","
               "\"loud.example\":\"loud\",\"mad.example\":\"mad\",\"gone.example\":\"gone\",\"evil.example\":"
               "\"../x\"}}",
               0644);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &before); /* as while a command watches */
    assert_int_equal(find("good.example", a, &c, &e), 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_str(c.user, "good.example");
    assert_str(c.from, "docker-credential-good");
    assert_int_equal(find("docker.io", a, &c, &e), 1);
    assert_str(c.user, "https://index.docker.io/v1/");
    assert_int_equal(find("token.example", a, &c, &e), 1);
    assert_str(c.identity_token, "refresh");
    assert_int_equal(c.user.len, 0);
    assert_int_equal(find("none.example", a, &c, &e), 1); /* the store has none, the file has */
    assert_str(c.user, "a");
    assert_int_equal(find("other.example", a, &c, &e), 0);
    static const char *const bad[][2] = { { "bad.example", "docker-credential-bad: no such luck" },
                                          { "loud.example", "65536 bytes" },
                                          { "mad.example", "docker-credential-mad: json" },
                                          { "gone.example", "docker-credential-gone: is not installed" },
                                          { "evil.example", "no name of a credential helper" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (find(bad[i][0], a, &c, &e) != -1 || !strstr(e.text, bad[i][1]) || !strstr(e.text, "config.json"))
            fail_msg("%s: %s", bad[i][0], e.text);
}

static void test_places(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct credentials c;
    struct err e;
    char path[128];
    write_file("config.json", "{\"auths\":{\"h.example\":{\"auth\":\"ZG9ja2VyOng=\"}}}", 0644);
    write_file("auth.json", "{\"auths\":{\"h.example\":{\"auth\":\"cG9kbWFuOng=\"}}}", 0644);
    assert_int_equal(find("h.example", a, &c, &e), 1);
    assert_str(c.user, "docker");
    snprintf(path, sizeof path, "%s/auth.json", folder);
    setenv("REGISTRY_AUTH_FILE", path, 1);
    assert_int_equal(find("h.example", a, &c, &e), 1);
    assert_str(c.user, "podman");
    assert_str(c.from, path);
    setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
    assert_int_equal(find("h.example", a, &c, &e), -1);
    setenv("ECLAIR_REGISTRY_USER", "env", 1);
    assert_int_equal(find("h.example", a, &c, &e), -1); /* half a login */
    setenv("ECLAIR_REGISTRY_PASSWORD", "secret", 1);
    assert_int_equal(find("h.example", a, &c, &e), 1);
    assert_str(c.password, "secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_longest_key),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test_setup_teardown(test_helpers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
