/* What only files can do: be cut, be somebody else's, be read-only, fill the device. */
#include "store_fixture.h"

#include "base/cleanup.h"

#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void refused(struct place *p, enum store_mode mode, enum err_kind kind)
{
    p->e = (struct err){ 0 };
    struct store *s = store_open(p->where, mode, &p->e);
    if (s || p->e.kind != kind || !strstr(p->e.text, p->where))
        fail_msg("mode %d: %s: %s", mode, err_kind_name(p->e.kind), p->e.text);
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    CLEANUP(fclosep) FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
}

static void test_not_ours(void **state)
{
    struct place *p = *state;
    struct stat st;
    store_freep(&p->store);
    execute(p, "PRAGMA user_version = 99");
    refused(p, STORE_WRITE, ERR_NEWER), refused(p, STORE_SCRATCH, ERR_NEWER);
    execute(p, "PRAGMA user_version = 1; PRAGMA application_id = 7");
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    snprintf(p->where, sizeof p->where, "%s/other.db", p->folder);
    execute(p, "CREATE TABLE t(a)");
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    assert_int_equal(stat(p->where, &st), 0);
    assert_int_equal(st.st_size, 8192); /* untouched */
    static char text[9000];
    memset(text, 'x', sizeof text);
    write_file(p->where, text, sizeof text);
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    write_file(p->where, text, 5);
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    snprintf(p->where, sizeof p->where, "%s", p->folder);
    refused(p, STORE_WRITE, ERR_FORMAT), refused(p, STORE_SCRATCH, ERR_FORMAT);
    snprintf(p->where, sizeof p->where, "%s/other.db/below", p->folder);
    refused(p, STORE_WRITE, ERR_IO);
    snprintf(p->where, sizeof p->where, "/proc/nothing/x.db");
    refused(p, STORE_WRITE, ERR_READONLY);
}

/* A database cut anywhere is refused, or found to be damaged when it is read; it never looks whole and empty. */
static void test_truncated(void **state)
{
    struct place *p = *state;
    struct match m;
    struct stat st;
    int64_t image = put_image(p, SSL, STR("debian:12"));
    load(p, "f C1 S openssl - 4 - -");
    store_freep(&p->store);
    assert_int_equal(stat(p->where, &st), 0);
    assert_true(st.st_size > 50000);
    for (off_t cut = st.st_size - 1; cut > 0; cut = cut > 9000 ? cut - 7919 : cut - 331) {
        assert_int_equal(truncate(p->where, cut), 0);
        for (int mode = STORE_WRITE; mode <= STORE_SCRATCH; mode++) {
            struct store *s = store_open(p->where, mode, &p->e);
            if (s)
                assert_int_equal(match_stored(p, s, image, &m, &p->e), -1);
            if (p->e.kind != ERR_FORMAT)
                fail_msg("%lld: %s: %s", (long long)cut, err_kind_name(p->e.kind), p->e.text);
            store_freep(&s);
        }
    }
}

/* Folder and file are somebody else's. Only root can become somebody else; others have the modes. */
static void test_readonly_folder(void **state)
{
    struct place *p = *state;
    char folder[96];
    load(p, "f C1 S openssl - 4 - -");
    store_freep(&p->store);
    snprintf(folder, sizeof folder, "%s/new/folder", p->folder);
    assert_int_equal(chmod(p->where, 0444) | chmod(folder, 0555) | chmod(p->folder, 0755), 0);
    snprintf(folder, sizeof folder, "%s/new", p->folder);
    assert_int_equal(chmod(folder, 0755), 0);
    pid_t child = fork();
    if (!child) {
        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        refused(p, STORE_WRITE, ERR_READONLY);
        p->store = open_at(p, STORE_SCRATCH);
        scratch_works(p, "0 C1 4 f;");
        store_freep(&p->store);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    snprintf(folder, sizeof folder, "%s/new/folder", p->folder);
    chmod(folder, 0755);
}

/* The device is full in the middle of an update (setrlimit(2): EFBIG stands for ENOSPC): one clear error, the old state. */
static void test_full(void **state)
{
    struct place *p = *state;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    store_freep(&p->store);
    pid_t child = fork();
    if (!child) {
        struct rlimit limit = { 1 << 20, 1 << 20 };
        struct update_counts n;
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        p->store = store_open(p->where, STORE_WRITE, &p->e);
        u = p->store ? store_update_begin(p->store, STR("f"), STORE_RANK, &p->e) : NULL;
        if (!u)
            _exit(2);
        if (put_round(p, u, 2, MANY) == 0 && store_update_commit(u, 1, &n, &p->e) == 0)
            _exit(3);
        if (p->e.kind == ERR_FULL)
            _exit(0);
        fprintf(stderr, "%s: %s\n", err_kind_name(p->e.kind), p->e.text);
        _exit(4);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    p->store = open_at(p, STORE_WRITE);
    assert_int_equal(whole(p, image), 1);
    u = begin(p, "f");
    ok(p, put_round(p, u, 3, MANY));
    commit(p, u, 1);
    assert_int_equal(whole(p, image), 3);
}

/* Several processes make the same database at the same moment. */
static void test_made_together(void **state)
{
    struct place *p = *state;
    store_freep(&p->store);
    for (int round = 0; round < 20; round++) {
        snprintf(p->where, sizeof p->where, "%s/r%d/eclair.db", p->folder, round);
        for (int i = 0; i < 6; i++)
            if (!fork()) {
                struct store *s = store_open(p->where, STORE_WRITE, &p->e);
                bool good = s && store_layer_put(s, &layer_one, (unsigned)i, &p->e) == 0;
                if (!good)
                    fprintf(stderr, "%s\n", p->e.text);
                store_freep(&s);
                _exit(!good);
            }
        for (int i = 0, status; i < 6; i++) {
            wait(&status);
            assert_int_equal(status, 0);
        }
        struct store_counts n;
        CLEANUP(store_freep) struct store *s = open_at(p, STORE_WRITE);
        ok(p, store_count(s, &n, &p->e));
        assert_int_equal(n.layers, 6);
    }
}

static void test_scratch_without_file(void **state)
{
    struct place *p = *state;
    store_freep(&p->store);
    snprintf(p->where, sizeof p->where, "%s/missing/x.db", p->folder);
    p->store = open_at(p, STORE_SCRATCH);
    scratch_works(p, "");
    store_freep(&p->store);
    assert_int_equal(access(p->where, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_not_ours), CASE(test_truncated),     CASE(test_readonly_folder),
        CASE(test_full),     CASE(test_made_together), CASE(test_scratch_without_file),
    };
    return cmocka_run_group_tests_name("store on SQLite", tests, NULL, NULL);
}
