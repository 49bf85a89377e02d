/* config.yaml as both generations of Clair had it, and the YAML below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "config/config.h"

#include "base/cleanup.h"
#include "codec/yaml.h"
#include "config/distance.h"
#include "config/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define same(a, b) same_at(__LINE__, a, b)
static void same_at(int line, str a, str b)
{
    if (!str_eq(a, b))
        fail_msg("line %d: '" STR_FMT "' is not '" STR_FMT "'", line, STR_ARG(a), STR_ARG(b));
}

/* The file of spec/seeds.md, word for word. */
static const char seed[] =
    "clair:\n"
    "  database:\n"
    "    type: pgsql\n"
    "    options:\n"
    "      source: host=postgres port=5432 user=postgres password=password sslmode=disable "
    "statement_timeout=60000\n"
    "      cachesize: 16384\n"
    "      paginationkey:\n"
    "  api:\n"
    "    addr: \"0.0.0.0:6060\"\n"
    "    healthaddr: \"0.0.0.0:6061\"\n"
    "    timeout: 900s\n"
    "    servername:\n"
    "    cafile:\n"
    "    keyfile:\n"
    "    certfile:\n"
    "  updater:\n"
    "    interval: 2h\n"
    "    enabledupdaters:\n"
    "      - rhel\n"
    "      - alpine\n"
    "  notifier:\n"
    "    attempts: 3\n"
    "    renotifyinterval: 2h\n"
    "    http:\n"
    "      endpoint:\n"
    "      servername:\n"
    "      cafile:\n"
    "      keyfile:\n"
    "      certfile:\n"
    "      proxy:\n";

static void test_seed(void **state)
{
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    assert_int_equal(config_read(str_from(seed), "config.yaml", arena, &c, &e), 0);
    same(c.database_type, STR("pgsql"));
    same(c.database_source, STR("host=postgres port=5432 user=postgres password=password sslmode=disable "
                                "statement_timeout=60000"));
    same(c.addr, STR("0.0.0.0:6060"));
    same(c.healthaddr, STR("0.0.0.0:6061"));
    assert_int_equal(c.timeout_ms, 900000);
    assert_true(c.updater);
    assert_int_equal(c.updater_interval_s, 7200);
    assert_int_equal(c.updater_count, 2);
    same(c.updaters[0], STR("rhel"));
    same(c.updaters[1], STR("alpine"));
    assert_int_equal(c.warning_count, 0);
}

static void test_fetch(void **state)
{
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    assert_int_equal(config_read(STR("clair: {}"), "c", arena, &c, &e), 0);
    assert_int_equal(c.fetch_timeout_ms, 3600000);
    assert_true(c.fetch_size_max == (uint64_t)32 << 30);
    static const char text[] =
        "clair:\n  fetch:\n    allow: [a, b]\n    deny: [c]\n    cafile: /ca.pem\n"
        "    timeout: 5m\n    maxsize: 500 MiB\n  updater:\n    enabledupdaters: [x]\n";
    assert_int_equal(config_read(str_from(text), "c", arena, &c, &e), 0);
    assert_int_equal(c.fetch_allow_count, 2);
    same(c.fetch_allow[1], STR("b"));
    assert_int_equal(c.fetch_deny_count, 1);
    same(c.fetch_deny[0], STR("c"));
    same(c.fetch_cafile, STR("/ca.pem"));
    assert_int_equal(c.fetch_timeout_ms, 300000);
    assert_int_equal(c.fetch_size_max, 500 << 20);
    assert_int_equal(c.updater_count, 1);
    assert_null(c.localpaths);
    assert_int_equal(c.warning_count, 0);
}

/* What a file says, and one thing that must follow. */
static const struct {
    const char *text; /* below "clair:" */
    const char *addr;
    int64_t timeout_ms;
    bool updater;
    int64_t interval_s;
    const char *warning;
} files[] = {
    { "  database:\n", ":6060", 900000, true, 7200, NULL },
    { "  api:\n    port: 7000\n", ":7000", 900000, true, 7200, NULL },
    { "  api:\n    port: 7000\n    addr: 127.0.0.1:8000\n", "127.0.0.1:8000", 900000, true, 7200, NULL },
    { "  api:\n", ":6060", 900000, true, 7200, NULL },
    { "  api:\n    timeout: 900\n", ":6060", 900000, true, 7200,
      "line 3: clair.api.timeout: a number without a unit is taken for seconds" },
    { "  api:\n    timeout: 900000000000\n", ":6060", 900000, true, 7200, "taken for nanoseconds" },
    { "  api:\n    timeout: 1m30s\n", ":6060", 90000, true, 7200, NULL },
    { "  updater:\n", ":6060", 900000, false, 0, NULL },
    { "  updater:\n    interval: 0\n", ":6060", 900000, false, 0, NULL },
    { "  updater:\n    interval: 0s\n", ":6060", 900000, false, 0, NULL },
    { "  updater:\n    interval: 1ms\n", ":6060", 900000, true, 1, NULL },
    { "  updater:\n    enabledupdaters: []\n", ":6060", 900000, false, 7200, NULL },
    { "  updater:\n    enabledupdaters:\n", ":6060", 900000, true, 7200, NULL },
    { "  worker:\n    namespace_detectors: [os-release]\n", ":6060", 900000, true, 7200, NULL },
    { "  api:\n    prot: 1\n", ":6060", 900000, true, 7200,
      "line 3: unknown key clair.api.prot: ignored; did you mean api.port?" },
    { "  updatr:\n    interval: 5h\n", ":6060", 900000, true, 7200,
      "line 2: unknown key clair.updatr: ignored; did you mean updater?" },
    { "  API:\n    port: 5\n", ":6060", 900000, true, 7200, "did you mean api?" },
    { "  a:\n    port: 5\n", ":6060", 900000, true, 7200, "unknown key clair.a: ignored" },
    { "  api:\n    wholly_else: 1\n", ":6060", 900000, true, 7200,
      "line 3: unknown key clair.api.wholly_else: ignored" },
    { "  updater:\n    notifier:\n      http: {endpoint: http://x/}\n  notifier:\n", ":6060", 900000, true,
      7200, "line 4: clair.updater.notifier is ignored" },
    { "  updater:\n    notifier:\n      attempts: 3\n", ":6060", 900000, true, 7200,
      "line 4: clair.updater.notifier is taken for clair.notifier" },
    { "  log:\n    level: WARNING\n    format: text\n", ":6060", 900000, true, 7200, NULL },
    { "  notifier:\n    stomp: {brokers: [a:1], uris: [b:1], destination: /q}\n", ":6060", 900000, true, 7200,
      "uris win over brokers" },
    { "  notifier: &n\n    attempts: 5\n  other: *n\n", ":6060", 900000, true, 7200,
      "unknown key clair.other" },
};

static void test_files(void **state)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char text[512];
        struct err e = { 0 };
        struct config c;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        snprintf(text, sizeof text, "clair:\n%s", files[i].text);
        if (config_read(str_from(text), "c", arena, &c, &e) < 0)
            fail_msg("%s: %s", text, e.text);
        same(c.addr, str_from(files[i].addr));
        assert_int_equal(c.timeout_ms, files[i].timeout_ms);
        assert_int_equal(c.updater, files[i].updater);
        assert_int_equal(c.updater_interval_s, files[i].interval_s);
        if (c.warning_count != (files[i].warning != NULL) ||
            (c.warning_count && !str_contains(c.warnings[0], str_from(files[i].warning))))
            fail_msg("%s: %zu warnings: " STR_FMT, text, c.warning_count,
                     STR_ARG(c.warning_count ? c.warnings[0] : STR("")));
    }
}

static const struct {
    const char *text, *error;
} wrong[] = {
    { "", "c: line 1: no section 'clair'" },
    { "- a\n", "c: line 1: no section 'clair'" },
    { "clair: 5\n", "no section 'clair'" },
    { "clair:\n  api:\n    timeout: abc\n",
      "c: line 3: clair.api.timeout: 'abc' is no duration (900s, 2h, 1h30m)" },
    { "clair:\n  api:\n    timeout: -5s\n", "line 3: clair.api.timeout: '-5s' is no duration" },
    { "clair:\n  api:\n    port: 70000\n", "c: line 3: clair.api.port: '70000' is no port" },
    { "clair:\n  api:\n    addr: [1, 2]\n",
      "c: line 3: clair.api.addr: a list or map where one value is wanted" },
    { "clair:\n  updater:\n    enabledupdaters: alpine\n",
      "line 3: clair.updater.enabledupdaters: 'alpine' is no list" },
    { "clair:\n  updater:\n    enabledupdaters: {a: b}\n",
      "line 3: clair.updater.enabledupdaters: a map is no list" },
    { "clair:\n  updater:\n    enabledupdaters: [a, [b]]\n",
      "line 3: clair.updater.enabledupdaters: a list is no text" },
    { "clair:\n  api: 5\n", "c: line 2: clair.api: a section with keys is wanted" },
    { "clair:\n  notifier:\n    http: [a]\n",
      "c: line 3: clair.notifier.http: a section with keys is wanted" },
    { "clair:\n  api:\n    readonly: maybe\n", "line 3: clair.api.readonly: 'maybe' is no true or false" },
    { "clair:\n  log:\n    level: loud\n", "line 3: clair.log.level: 'loud' is no word of: panic fatal" },
    { "clair:\n  api:\n    token: a\n    tokenfile: b\n", "one of them is enough" },
    { "clair:\n  fetch:\n    maxsize: 5x\n", "line 3: clair.fetch.maxsize: '5x' is no size" },
    { "clair:\n  fetch:\n    maxsize: 99999999TiB\n", "'99999999TiB' is no size" },
    { "clair:\n  database:\n    type: mysql\n", "unknown Driver \"mysql\"" },
    { "clair:\n  database:\n    type: pgsql\n", "pgsql: no database connection string specified" },
    { "clair:\n  api:\n    certfile: a\n", "certfile and keyfile go together" },
    { "clair:\n  api:\n    keyfile: a\n    cafile: b\n", "certfile and keyfile go together" },
    { "clair:\n  api:\n    cafile: a\n", "there is no TLS" },
    { "clair:\n  api:\n   - x\n  y", "c: line " },
    { "clair:\n  database:\n    options:\n      readonly: true\n",
      "c: line 4: clair.database.options.readonly: this server writes" },
    { "clair: *nothing\n", "c: line 1: unknown anchor 'nothing'" },
    { "clair:\n\tapi:\n", "c: line 2: found character that cannot start any token" },
    { "clair: {? [a] : b}\n", "c: line 1: a key that is no text" },
};

static void test_wrong(void **state)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = { 0 };
        struct config c;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        if (config_read(str_from(wrong[i].text), "c", arena, &c, &e) == 0 || !strstr(e.text, wrong[i].error))
            fail_msg("'%s': '%s', not '%s'", wrong[i].text, e.text, wrong[i].error);
    }
}

/* What Clair knew and éclair does not do is told, unless it asks for nothing. */
static void test_without_effect(void **state)
{
    static const struct {
        const char *options, *warning;
    } table[] = {
        { "managedatabaselifecycle: true",
          "managedatabaselifecycle has no effect: the database must be there" },
        { "managedatabaselifecycle: false", NULL },
        { "fixturepath: ''", NULL },
        { "fixturepath: /a", "c: line 5: clair.database.options.fixturepath has no effect" },
        { "maxopenconnections: 100", "maxopenconnections has no effect" },
        { "maxopenconnections: 0", NULL },
        { "cachesize: 16384", NULL },
        { "readonly: false", NULL },
        { "readonly:", NULL },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        struct err e = { 0 };
        struct config c;
        str text = arena_printf(arena, "clair:\n  database:\n    options:\n      source: x\n      %s\n",
                                table[i].options);
        assert_int_equal(config_read(text, "c", arena, &c, &e), 0);
        if (c.warning_count != (table[i].warning != NULL) ||
            (c.warning_count && !str_contains(c.warnings[0], str_from(table[i].warning))))
            fail_msg("%s: %zu warnings: " STR_FMT, table[i].options, c.warning_count,
                     STR_ARG(c.warning_count ? c.warnings[0] : STR("")));
    }
}

static int load(const char *path, struct arena *arena, struct config *ret, struct err *e)
{
    return config_load(&(struct config_sources){ .file = path }, arena, ret, e);
}

static void test_load(void **state)
{
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    char folder[] = "/tmp/eclair-config-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    FILE *f = fopen(path, "w");
    fputs(seed, f);
    fclose(f);
    setenv("ECLAIR_TEST_FOLDER", folder, 1);
    assert_int_equal(load("${ECLAIR_TEST_FOLDER}/c.yaml", arena, &c, &e), 0);
    assert_int_equal(load("$ECLAIR_TEST_FOLDER/c.yaml", arena, &c, &e), 0);
    assert_int_equal(load("/nowhere/$ECLAIR_TEST_NOTHING/c.yaml", arena, &c, &e), -1);
    assert_string_equal(e.text, "open /nowhere//c.yaml: No such file or directory");
    assert_int_equal(load(folder, arena, &c, &e), -1);
    assert_int_equal(load(NULL, arena, &c, &e), 0);
    same(c.addr, STR(":6060"));
    unlink(path);
    rmdir(folder);
}

static const struct config_value *value_of(const struct config *c, const char *key)
{
    size_t i = 0;
    while (strcmp(config_key(i)->key, key) != 0)
        i++;
    return &c->values[i];
}

static void test_environment(void **state)
{
    static const char *const environment[] = { "ECLAIR_API_PORT=7000",
                                               "ECLAIR_UPDATER_ENABLEDUPDATERS= alpine,debian ,,",
                                               "ECLAIR_UPDATER_INTERVAL=1h",
                                               "ECLAIR_API_TIMEOUT=",
                                               "ECLAIR_API_TOKEN=a,b",
                                               "ECLAIR_API_PROT=1",
                                               "ECLAIR_TEST_DATA=x",
                                               "ECLAIR_NOW=x",
                                               "ECLAIR",
                                               "PATH=/bin",
                                               "ECLAIR_LOG_LEVEL=debug",
                                               NULL };
    const struct config_flag flags[] = { { "log.level", "error", "--log-level" } };
    const struct config_sources from = { .environment = environment, .flags = flags, .flag_count = 1 };
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    assert_int_equal(config_load(&from, arena, &c, &e), 0);
    same(c.addr, STR(":7000"));
    assert_int_equal(c.updater_count, 2);
    same(c.updaters[0], STR("alpine"));
    same(c.updaters[1], STR("debian"));
    assert_int_equal(c.updater_interval_s, 3600);
    assert_int_equal(c.timeout_ms, 900000);
    same(c.token, STR("a,b"));
    same(c.log_level, STR("error"));
    assert_int_equal(c.warning_count, 1);
    same(c.warnings[0], STR("ECLAIR_API_PROT: no such key: ignored (eclair help config lists them)"));
    assert_int_equal(value_of(&c, "log.level")->origin, CONFIG_FLAG);
    assert_int_equal(value_of(&c, "api.port")->origin, CONFIG_ENVIRONMENT);
    assert_false(value_of(&c, "api.port")->loses);
    assert_true(value_of(&c, "api.addr")->loses);
    assert_int_equal(value_of(&c, "api.timeout")->origin, CONFIG_DEFAULT);
}

static void test_wrong_environment(void **state)
{
    static const char *const environment[] = { "ECLAIR_API_TIMEOUT=soon", NULL };
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    assert_int_equal(config_load(&(struct config_sources){ .environment = environment }, arena, &c, &e), -1);
    assert_string_equal(e.text, "ECLAIR_API_TIMEOUT: 'soon' is no duration (900s, 2h, 1h30m)");
}

/* The environment wins over the file, even by the other key of the same field; `updater:` null can be turned on. */
static void test_precedence(void **state)
{
    static const char *const environment[] = { "ECLAIR_API_PORT=7000", "ECLAIR_UPDATER_INTERVAL=1h", NULL };
    char path[] = "/tmp/eclair-config-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "clair:\n  api:\n    addr: :1\n  updater:\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    const struct config_sources from = { .file = path, .environment = environment };
    assert_int_equal(config_load(&from, arena, &c, &e), 0);
    same(c.addr, STR(":7000"));
    assert_true(value_of(&c, "api.addr")->loses);
    assert_int_equal(value_of(&c, "api.addr")->line, 3);
    assert_true(c.updater);
    unlink(path);
}

/* Nothing secret is in what people are shown. */
static void test_secrets(void **state)
{
    static const char text[] =
        "clair:\n"
        "  database:\n"
        "    options:\n"
        "      source: host=a password='hid den' user=b\n"
        "  api:\n"
        "    token: hidden\n"
        "    paginationkey: hidden\n"
        "    prot: hidden\n"
        "  feeds:\n"
        "    mirror: https://u:hidden@host/path?sig=hidden\n"
        "  notifier:\n"
        "    http:\n"
        "      endpoint: http://u:hidden@h/\n"
        "      proxy: http://u:hidden@h/\n"
        "      hmac: {secret: hidden}\n"
        "      jwt: {secret: hidden}\n"
        "    amqp: {uris: ['amqp://u:hidden@h/', 'amqps://u:hidden@h/'], routing_key: a}\n"
        "    stomp: {uris: [h:1], destination: /q, user: {login: a, passcode: hidden}}\n";
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    assert_int_equal(config_read(str_from(text), "c", arena, &c, &e), 0);
    for (size_t i = 0; config_key(i); i++)
        assert_false(str_contains(config_shown(&c, i, arena), STR("hid")));
    for (size_t i = 0; i < c.warning_count; i++)
        assert_false(str_contains(c.warnings[i], STR("hid")));
    for (size_t i = 0; config_key(i); i++)
        if (!strcmp(config_key(i)->key, "database.options.source"))
            same(config_shown(&c, i, arena), STR("host=a password=*** user=b"));
    same(c.database_source, STR("host=a password='hid den' user=b"));
}

static void test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned d;
    } table[] = { { "", "", 0 },
                  { "a", "", 1 },
                  { "api.port", "api.prot", 2 },
                  { "same", "same", 0 },
                  { "kitten", "sitting", 3 },
                  { "API", "api", 0 },
                  { "api.adr", "api.addr", 1 },
                  { "intervall", "interval", 1 } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(edit_distance(str_from(table[i].a), str_from(table[i].b)), table[i].d);
        assert_int_equal(edit_distance(str_from(table[i].b), str_from(table[i].a)), table[i].d);
    }
    char longest[DISTANCE_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(edit_distance(str_of(longest, DISTANCE_MAX), STR("a")), DISTANCE_MAX - 1);
    assert_int_equal(edit_distance(str_of(longest, DISTANCE_MAX + 1), STR("a")), DISTANCE_MAX);
}

static const struct {
    const char *text;
    int64_t ns; /* -1: none */
} durations[] = {
    { "900s", 900000000000 },
    { "2h", 7200000000000 },
    { "1h30m", 5400000000000 },
    { "1.5h", 5400000000000 },
    { "250ms", 250000000 },
    { ".5s", 500000000 },
    { "1us", 1000 },
    { "\302\265s", -1 },
    { "3\302\265s", 3000 },
    { "0", 0 },
    { "", -1 },
    { "5", -1 },
    { "s", -1 },
    { ".s", -1 },
    { "5x", -1 },
    { "-1s", -1 },
    { "9999999999999h", -1 },
    { "1s ", -1 },
    { "1h1h", 7200000000000 },
};

static void test_durations(void **state)
{
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        int64_t ns = -1;
        bool good = duration_parse(str_from(durations[i].text), &ns);
        if (good != (durations[i].ns >= 0) || (good && ns != durations[i].ns))
            fail_msg("'%s': %lld", durations[i].text, (long long)ns);
    }
}

static void test_yaml(void **state)
{
    struct err e = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    const struct yaml *y =
        yaml_read(STR("a: 1\nb: 'null'\nc: ~\nd: [x, {k: v}]\na: 2\ne: &A {f: g}\nh: *A\n"), arena, &e);
    assert_non_null(y);
    same(yaml_get(y, STR("a"))->text, STR("2"));
    same(yaml_get(y, STR("b"))->text, STR("null"));
    assert_int_equal(yaml_get(y, STR("b"))->type, YAML_SCALAR);
    assert_int_equal(yaml_get(y, STR("c"))->type, YAML_NULL);
    assert_int_equal(yaml_get(y, STR("d"))->count, 2);
    same(yaml_get(yaml_get(y, STR("d"))->pairs[1].value, STR("k"))->text, STR("v"));
    assert_ptr_equal(yaml_get(y, STR("e")), yaml_get(y, STR("h")));
    assert_int_equal(yaml_get(y, STR("h"))->line, 6);
    assert_null(yaml_get(y, STR("z")));

    char deep[200];
    memset(deep, '[', sizeof deep);
    assert_null(yaml_read(str_of(deep, sizeof deep), arena, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_null(yaml_read(STR("a: &a [*a]\n"), arena, &e)); /* inside itself */
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_null(yaml_read(STR("\xff\xfe\x00\xd8"), arena, &e));
    assert_int_equal(yaml_read(STR(""), arena, &e)->type, YAML_NULL);
}

/* ---- what is said of one source ---- */

static int key_number(const char *key)
{
    int i = 0;
    while (config_key((size_t)i) && strcmp(config_key((size_t)i)->key, key) != 0)
        i++;
    return i;
}

static void test_sources(void **state)
{
    static const char text[] = "clair:\n"
                               "  feeds:\n"
                               "    mirror: /m\n"
                               "    debian: {url: \"http://a/, b\", interval: 1h}\n"
                               "    cisa-kev:\n"
                               "      url: /srv/kev\n"
                               "    empty:\n"
                               "    alpine: {interval: 0}\n";
    static const char *const environment[] = { "ECLAIR_FEEDS_CISA_KEV_URL=/other",
                                               "ECLAIR_FEEDS_NPM_INTERVAL=90m",
                                               "ECLAIR_FEEDS_EMPTY_URL=", NULL };
    char path[] = "/tmp/eclair-test-XXXXXX";
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    const struct config_sources from = { .file = path, .environment = environment };
    int r = config_load(&from, arena, &c, &e);
    unlink(path);
    if (r < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.warning_count, 0);
    same(c.mirror, STR("/m"));
    assert_int_equal(c.feed_count, 4);
    same(c.feeds[0].name, STR("debian"));
    same(c.feeds[0].url, STR("http://a/, b"));
    assert_int_equal(c.feeds[0].interval_s, 3600);
    same(c.feeds[1].name, STR("cisa-kev")); /* the variable means the same */
    same(c.feeds[1].url, STR("/other"));
    assert_int_equal(c.feeds[1].interval_s, CONFIG_UNSAID);
    assert_true(str_ends(c.feeds[1].where, STR("line 6: clair.feeds.cisa-kev.url")));
    same(c.feeds[2].name, STR("alpine"));
    assert_int_equal(c.feeds[2].interval_s, 0);
    same(c.feeds[3].name, STR("npm"));
    assert_int_equal(c.feeds[3].interval_s, 5400);
    same(c.feeds[3].url, STR(""));
    same(c.feeds[3].where, STR("ECLAIR_FEEDS_NPM_INTERVAL"));
    const struct config_value *url = &c.values[key_number("feeds.<source>.url")];
    same(url->text, STR("debian: http://a/, b, cisa-kev: /other"));
    assert_int_equal(url->origin, CONFIG_ENVIRONMENT);
    same(c.values[key_number("feeds.<source>.interval")].text, STR("debian: 3600s, alpine: 0s, npm: 5400s"));
    same(config_variable(config_key((size_t)key_number("feeds.<source>.url")), arena),
         STR("ECLAIR_FEEDS_<SOURCE>_URL"));
}

static const struct {
    const char *text, *warning, *error;
} odd_sources[] = {
    { "clair:\n  feeds:\n    debian: {ulr: x}\n", "line 3: unknown key clair.feeds.debian.ulr: ignored",
      NULL },
    { "clair:\n  feeds:\n    miror: /m\n",
      "line 3: unknown key clair.feeds.miror: ignored; did you mean feeds.mirror?", NULL },
    { "clair:\n  feeds:\n    debian: {interval: soon}\n", NULL,
      "c: line 3: clair.feeds.debian.interval: 'soon' is no duration (900s, 2h, 1h30m)" },
    { "clair:\n  feeds:\n    debian: {url: [a]}\n", NULL,
      "c: line 3: clair.feeds.debian.url: a list or map where one value is wanted" },
    { "clair:\n  feeds:\n    debian: {interval: 90}\n",
      "c: line 3: clair.feeds.debian.interval: a number without a unit is taken for seconds: write a unit "
      "(900s, 2h)",
      NULL },
};

static void test_odd_sources(void **state)
{
    for (size_t i = 0; i < sizeof odd_sources / sizeof *odd_sources; i++) {
        struct err e = { 0 };
        struct config c;
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        int r = config_read(str_from(odd_sources[i].text), "c", arena, &c, &e);
        assert_int_equal(r, odd_sources[i].error ? -1 : 0);
        if (odd_sources[i].error) {
            assert_string_equal(e.text, odd_sources[i].error);
            continue;
        }
        assert_int_equal(c.warning_count, 1);
        if (!str_ends(c.warnings[0], str_from(odd_sources[i].warning)))
            fail_msg(STR_FMT, STR_ARG(c.warnings[0]));
    }
}

static void test_many_sources(void **state)
{
    struct err e = { 0 };
    struct config c;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    str text = STR("clair:\n  feeds:\n");
    for (int i = 0; i < 201; i++)
        text = arena_printf(arena, STR_FMT "    s%d: {url: x}\n", STR_ARG(text), i);
    assert_int_equal(config_read(text, "c", arena, &c, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch),          cmocka_unit_test(test_seed),
        cmocka_unit_test(test_files),          cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_without_effect), cmocka_unit_test(test_load),
        cmocka_unit_test(test_durations),      cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_environment),    cmocka_unit_test(test_wrong_environment),
        cmocka_unit_test(test_precedence),     cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_distance),       cmocka_unit_test(test_sources),
        cmocka_unit_test(test_odd_sources),    cmocka_unit_test(test_many_sources),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
