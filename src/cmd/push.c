/* push.c - scan through a Clair server: what clair-scanner did, in its words, without a copy of the image left behind. */
#include "cmd/push.h"
#include "base/cleanup.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "net/http.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PORT          9279
#define NO_FEATURES   5
#define REPORT_MAX    ((size_t)512 << 20)
#define ANSWER_MEMORY ((size_t)1 << 30)

struct push_options {
    const char *whitelist, *threshold, *clair, *ip, *log, *report, *port, *api, *ca, *token;
    int all, quiet, exit_when_no_features;
};

#define FIELD(name) offsetof(struct push_options, name)
static const struct option options[] = {
    { "whitelist", "FILE", OPT_TEXT, FIELD(whitelist), "YAML file of approved vulnerabilities", 'w' },
    { "threshold", "NAME", OPT_TEXT, FIELD(threshold),
      "approve what is less severe: " CLAIR_SCANNER_SEVERITIES " (default)", 't' },
    { "clair", "URL", OPT_TEXT, FIELD(clair), "the server [$CLAIR_URL, http://127.0.0.1:6060]", 'c' },
    { "ip", "ADDRESS", OPT_TEXT, FIELD(ip),
      "where a Clair can reach us (default: our address on the way to it); an eclair server is sent the "
      "layers" },
    { "port", "N", OPT_TEXT, FIELD(port), "where it fetches layers (default 9279; 0: any free port)" },
    { "api", "NAME", OPT_TEXT, FIELD(api),
      "what the server is: auto (default), eclair, v1 (Clair 2) or v4 (Clair 4)" },
    { "ca", "FILE", OPT_TEXT, FIELD(ca), "PEM file: authorities to trust beside the system's" },
    { "token", "TEXT", OPT_TEXT, FIELD(token), "what the server wants to be shown [$ECLAIR_TOKEN]" },
    { "log", "FILE", OPT_TEXT, FIELD(log), "append the log lines there too", 'l' },
    { "all", NULL, OPT_BOOL, FIELD(all),
      "show approved vulnerabilities too (default; off with --all=false)" },
    { "reportAll", NULL, OPT_BOOL, FIELD(all), "the same" },
    { "report", "FILE", OPT_TEXT, FIELD(report), "write a JSON report there", 'r' },
    { "quiet", NULL, OPT_BOOL, FIELD(quiet), "no table and no summary", 'q' },
    { "exit-when-no-features", NULL, OPT_BOOL, FIELD(exit_when_no_features),
      "exit with 1 and say so, not with 5, when the image has no packages that the server knows" },
    { 0 },
};
_Static_assert(sizeof(struct push_options) <= OPTIONS_SIZE_MAX, "options");

struct push {
    const struct push_options *o;
    const char *name; /* IMAGE */
    bool all, quiet;
    unsigned port;
    bool any_port; /* the port was not asked for: another one will do */
    unsigned threshold;
    struct push_log log;
    struct push_signals signals;
    struct cage *cage;
    struct arena *arena;
    struct strmap whitelist;
    struct push_image image;
    struct file_server *server;
    struct push_server clair;
    enum push_dialect dialect;
    bool find_dialect;
    struct push_names sent; /* to an éclair server, straight from the daemon */
    struct push_vulnerabilities found;
    size_t unapproved;
};

static void push_done(struct push *p)
{
    http_pool_freep(&p->clair.pool);
    file_server_freep(&p->server);
    push_image_done(&p->image);
    push_signals_stop(&p->signals);
    cage_freep(&p->cage);
    strmap_done(&p->whitelist);
    arena_freep(&p->arena);
    push_log_done(&p->log);
}

static int critical(const struct push *p, const char *what, const char *why)
{
    push_say(&p->log, PUSH_CRIT, "%s%s", what, why);
    return -1;
}

static int critical_buf(const struct push *p, const char *what, struct buf *why)
{
    buf_char(why, '\0');
    return critical(p, what, why->failed ? "out of memory" : why->ptr);
}

/* 14.x told most failures without a level, each behind words of its own. */
static int plainly(const struct push *p, const struct err *e)
{
    static const struct {
        const char *old, *new;
    } heads[] = { { "Could not save Docker image", "Error saving Docker image: could not save Docker image" },
                  { "Could not create a Docker client",
                    "Error saving Docker image: could not create a Docker client" },
                  { "Could not read Docker image layers", "Failed to load docker manifest" } };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (str_starts(str_from(e->text), str_from(heads[i].old))) {
            push_say_plain(&p->log, "%s%s", heads[i].new, e->text + strlen(heads[i].old));
            return -1;
        }
    push_say_plain(&p->log, "%s", e->text);
    return -1;
}

/* ---- the steps, each -1 after it has told its failure ---- */

static int read_policy(struct push *p)
{
    CLEANUP(buf_done) struct buf why = { 0 };
    const char *file = p->o->whitelist, *threshold = p->o->threshold ? p->o->threshold : "Unknown";
    str image = str_from(p->name);
    image = str_cut(&image, ':'); /* a registry's port too: what it always did */
    if (file && *file && push_whitelist_read(file, image, p->arena, &p->whitelist, &why) < 0)
        return critical_buf(p, "Could not parse whitelist file, ", &why);
    p->threshold = clair_scanner_rank(str_from(threshold));
    if (p->threshold)
        return 0;
    push_say(&p->log, PUSH_CRIT, "Invalid CVE severity threshold %s given", threshold);
    return -1;
}

/* Folders have a file for each layer. */
static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static int open_image(struct push *p)
{
    struct err e = { 0 };
    if (push_image_open(&p->image, p->cage, &p->signals, p->name, p->dialect, &e) < 0)
        return p->dialect == PUSH_V4 ? plainly(p, &e) : critical(p, "", e.text);
    if (p->image.note.len)
        push_say(&p->log, PUSH_WARN, "Image [%s]: " STR_FMT, p->name, STR_ARG(p->image.note));
    return 0;
}

static void say_server(struct push *p)
{
    unsigned port = file_server_port(p->server);
    if (p->dialect == PUSH_V1) {
        push_say(&p->log, PUSH_INFO, "Server listening on port %u", port);
        return;
    }
    push_say(&p->log, PUSH_INFO, "Starting HTTP file server on 0.0.0.0:%u serving path: /", port);
    push_say(&p->log, PUSH_INFO, "Starting HTTP server on 0.0.0.0:%u", port);
    push_say(&p->log, PUSH_INFO, "HTTP server is ready on 0.0.0.0:%u", port);
}

static int serve_layers(struct push *p)
{
    struct err e = { 0 };
    p->server = file_server_new(p->port, p->image.ranges, p->image.count, &e);
    if (!p->server && e.kind == ERR_BUSY && p->any_port) {
        p->server = file_server_new(0, p->image.ranges, p->image.count, &e);
        if (p->server)
            push_say(&p->log, PUSH_WARN, "Port %u is in use: layers are served on port %u", p->port,
                     file_server_port(p->server));
    }
    if (!p->server)
        return critical(p, "Could not serve layers: ", e.text);
    say_server(p);
    return 0;
}

static struct push_clair served(struct push *p)
{
    bool given = p->o->ip && *p->o->ip;
    return (struct push_clair){ .server = &p->clair,
                                .ip = given ? p->o->ip : push_own_address(&p->clair),
                                .port = file_server_port(p->server) };
}

/* What it was told to fetch, when it never came for it: nothing but its own words would say so. */
static void say_unfetched(struct push *p, str path, str url)
{
    if (!file_server_was_asked(p->server, path))
        push_say(&p->log, PUSH_WARN,
                 "Clair has not fetched " STR_FMT ": can it reach this machine there (--ip, firewall)?",
                 STR_ARG(url));
}

static int analyze(struct push *p)
{
    CLEANUP(buf_done) struct buf why = { 0 };
    const struct push_clair c = served(p);
    int r = 0;
    for (size_t i = 0; i < p->image.count && r == 0; i++) {
        str path = p->image.ranges[i].path, url = push_layer_url(&c, path);
        push_say(&p->log, PUSH_INFO, "Analyzing " STR_FMT, STR_ARG(p->image.names[i]));
        r = push_clair_post(&p->clair, p->image.names[i], url, i ? p->image.names[i - 1] : STR(""), &why);
        if (r < 0 && why.len && str_contains(buf_view(&why), STR("could not find layer")))
            say_unfetched(p, path, url);
    }
    if (r == 0)
        r = push_clair_get(&p->clair, p->image.names[p->image.count - 1], &p->found, &why);
    return r == 0 ? 0 : critical_buf(p, "", &why);
}

/* ---- an éclair server ---- */

static int send_layers(struct push *p)
{
    struct err e = { 0 };
    for (size_t i = 0; i < p->image.count; i++)
        if (push_blob_of_range(&p->clair, &p->image.ranges[i], p->image.digests[i], &p->image.digests[i],
                               &e) < 0)
            return critical(p, "Could not analyze layer: it could not be sent: ", e.text);
    return 0;
}

/* From the daemon's archive as it comes; where that cannot be, by way of a file as for any other server. */
static int send_image(struct push *p)
{
    struct err e = { 0 };
    int r = push_is_on_disk(p->name) ? 0 : push_stream(&p->clair, p->name, &p->sent, &e);
    if (r < 0)
        return critical(p, "", e.text);
    if (r > 0)
        return 0;
    if (open_image(p) < 0 || send_layers(p) < 0)
        return -1;
    p->sent = (struct push_names){ p->image.names, p->image.digests, p->image.count };
    return 0;
}

static int post_sent(struct push *p)
{
    CLEANUP(buf_done) struct buf why = { 0 };
    const struct push_names *n = &p->sent;
    int r = 0;
    for (size_t i = 0; i < n->count && r == 0; i++) {
        push_say(&p->log, PUSH_INFO, "Analyzing " STR_FMT, STR_ARG(n->names[i]));
        r = push_clair_post(&p->clair, n->names[i], n->digests[i], i ? n->names[i - 1] : STR(""), &why);
    }
    if (r == 0)
        r = push_clair_get(&p->clair, n->names[n->count - 1], &p->found, &why);
    return r == 0 ? 0 : critical_buf(p, "", &why);
}

/* ---- Clair 4 ---- */

/* -1; NO_FEATURES. */
static int analyze_four(struct push *p)
{
    CLEANUP(buf_done) struct buf why = { 0 };
    const struct push_clair c = served(p);
    enum push_four r = push_four_scan(&c, &p->image, &p->found, &why);
    buf_char(&why, '\0');
    if (r == PUSH_FOUR_DONE)
        return 0;
    push_say_plain(&p->log, "%s", why.failed ? "out of memory" : why.ptr);
    if (r == PUSH_FOUR_FAILED)
        return -1;
    push_say(&p->log, PUSH_WARN, "No features found in the scanned image");
    return NO_FEATURES;
}

/* A severity that nobody knows has rank 0: no threshold approves it. */
static void judge(struct push *p)
{
    for (size_t i = 0; i < p->found.count; i++) {
        struct clair_scanner_row *r = &p->found.rows[i];
        r->approved =
            strmap_get(&p->whitelist, r->vulnerability) || clair_scanner_rank(r->severity) > p->threshold;
        p->unapproved += !r->approved;
    }
}

/* ---- what is told ---- */

static enum clair_scanner_era era(const struct push *p)
{
    return p->dialect == PUSH_V4 ? CLAIR_SCANNER_14 : CLAIR_SCANNER_13;
}

static int show(struct push *p, const struct clair_scanner_row *sorted)
{
    if (p->quiet)
        return 0;
    if (p->found.count)
        push_say(&p->log, PUSH_WARN, "Image [%s] contains %zu total vulnerabilities", p->name,
                 p->found.count);
    if (p->unapproved)
        push_say(&p->log, PUSH_ERRO, "Image [%s] contains %zu unapproved vulnerabilities", p->name,
                 p->unapproved);
    else
        push_say(&p->log, PUSH_INFO, "Image [%s] contains NO unapproved vulnerabilities", p->name);
    if (!p->unapproved && (!p->all || !p->found.count))
        return 0;
    CLEANUP(buf_done) struct buf table = { .max = REPORT_MAX };
    clair_scanner_table(era(p), sorted, p->found.count, p->all, &table);
    if (table.failed)
        return critical(p, "Could not show the table: ", "it is too large");
    fwrite(table.ptr, 1, table.len, stdout); /* main() tells when it did not reach anybody */
    return 0;
}

/* Half a report is none: not even a signal leaves one behind. */
static int write_report(struct push *p, str json, struct err *e)
{
    const char *path = p->o->report;
    struct stat st;
    CLEANUP(close_fdp) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return push_go_error(e, "open", path);
    bool file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode); /* a pipe may have nobody who reads it */
    if (file)
        pthread_mutex_lock(&p->signals.hold);
    int r = output_all(fd, json) < 0 ? push_go_error(e, "write", path) : 0;
    if (file && r < 0)
        unlink(path);
    if (file)
        pthread_mutex_unlock(&p->signals.hold);
    return r;
}

static int report(struct push *p, const struct clair_scanner_row *sorted)
{
    struct err e = { 0 };
    if (!p->o->report || !*p->o->report)
        return 0;
    CLEANUP(buf_done) struct buf json = { .max = REPORT_MAX };
    clair_scanner_json(era(p), str_from(p->name), p->found.rows, sorted, p->found.count, &json);
    if (json.failed)
        err_set(&e, ERR_LIMIT, "it would be larger than %zu MiB", REPORT_MAX >> 20);
    if (e.kind || write_report(p, buf_view(&json), &e) < 0)
        return critical(p, "Could not create a report: could not write to file ", e.text);
    return 0;
}

/* The old program sorted its list while it drew the table, and then wrote the list as it was. */
static int tell(struct push *p)
{
    bool sorts = !p->quiet;
    size_t n = p->found.count;
    CLEANUP(freep) struct clair_scanner_row *sorted = calloc(n + 1, sizeof *sorted);
    if (sorted && n)
        memcpy(sorted, p->found.rows, n * sizeof *sorted);
    if (!sorted || (sorts && !clair_scanner_sort(era(p), sorted, n)))
        return critical(p, "Could not create a report: ", "out of memory");
    if (show(p, sorted) < 0)
        return -1;
    return report(p, sorts && p->all ? sorted : p->found.rows);
}

/* 14.x has no such threshold. */
static int check_threshold(const struct push *p)
{
    if (p->dialect != PUSH_V4 || !p->o->threshold || strcmp(p->o->threshold, "Defcon1") != 0)
        return 0;
    return critical(p, "Invalid CVE severity threshold Defcon1 given", "");
}

static const char *clair_url(const struct push_options *o)
{
    const char *url = o->clair ? o->clair : getenv("CLAIR_URL");
    return o->clair || (url && *url) ? url : "http://127.0.0.1:6060";
}

static int find_server(struct push *p)
{
    struct err e = { 0 };
    const char *token = p->o->token ? p->o->token : getenv("ECLAIR_TOKEN");
    raise_descriptors();
    if (http_init(&e) < 0 || push_signals_start(&p->signals, &e) < 0 || !(p->clair.pool = http_pool_new(&e)))
        return critical(p, "Could not start: ", e.text);
    p->clair.url = clair_url(p->o);
    p->clair.token = token;
    p->clair.ca = p->o->ca;
    p->clair.arena = p->arena;
    if (p->find_dialect)
        p->dialect = push_probe(&p->clair);
    return 0;
}

/* 0, -1, or NO_FEATURES. */
static int ask_server(struct push *p)
{
    if (p->dialect == PUSH_ECLAIR)
        return send_image(p) < 0 || post_sent(p) < 0 ? -1 : 0;
    if (open_image(p) < 0 || serve_layers(p) < 0)
        return -1;
    return p->dialect == PUSH_V4 ? analyze_four(p) : analyze(p);
}

static int end_of_four(const struct push *p)
{
    if (p->unapproved)
        push_say(&p->log, PUSH_ERRO, "Unapproved vulnerabilities found in the image");
    else
        push_say(&p->log, PUSH_INFO, "Scan completed successfully with no vulnerabilities");
    return p->unapproved > 0;
}

static int start(struct push *p)
{
    if (p->dialect != PUSH_V4) {
        push_say(&p->log, PUSH_INFO, "Start clair-scanner");
        return 0;
    }
    if (!*p->name) {
        push_say(&p->log, PUSH_ERRO, "Image name is required");
        return -1;
    }
    push_say(&p->log, PUSH_INFO, "Starting clair-scanner for image: %s", p->name);
    return 0;
}

static int work(struct push *p)
{
    if (read_policy(p) < 0 || find_server(p) < 0 || check_threshold(p) < 0 || start(p) < 0)
        return 1;
    int r = ask_server(p);
    if (r)
        return r < 0 ? 1 : r;
    if (!p->found.features && p->dialect != PUSH_V4) {
        if (p->o->exit_when_no_features <= 0)
            return NO_FEATURES;
        critical(p, "Could not fetch vulnerabilities. No features have been detected in the image. ",
                 "This usually means that the image isn't supported by Clair");
        return 1;
    }
    judge(p);
    if (tell(p) < 0)
        return 1;
    return p->dialect == PUSH_V4 ? end_of_four(p) : p->unapproved > 0;
}

static int read_api(struct push *p, struct err *e)
{
    static const char *const names[] = { [PUSH_V1] = "v1", [PUSH_V4] = "v4", [PUSH_ECLAIR] = "eclair" };
    const char *name = p->o->api ? p->o->api : "auto";
    p->find_dialect = !strcmp(name, "auto");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            p->dialect = (enum push_dialect)i;
            return 0;
        }
    return p->find_dialect ? 0 : err_set(e, ERR_USAGE, "--api: '%s' is none of auto, eclair, v1, v4", name);
}

static int read_options(struct push *p, struct err *e)
{
    uint64_t port = PORT;
    const char *text = p->o->port;
    if (text && (!str_to_u64(str_from(text), &port) || port > 65535))
        return err_set(e, ERR_USAGE, "--port: '%s' is not a number from 0 to 65535", text);
    p->port = (unsigned)port;
    p->any_port = !text;
    p->all = p->o->all >= 0;
    p->quiet = p->o->quiet > 0;
    return read_api(p, e);
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    CLEANUP(push_done)
    struct push p = { .o = opts, .name = args[0], .log.fd = -1, .arena = arena_new(ANSWER_MEMORY) };
    struct cage_limits limits = { .max_output = SPOOL_OUTPUT_MAX, .max_wall_s = 3600 };
    (void)count;
    if (read_options(&p, e) < 0)
        return -1;
    if (push_log_open(&p.log, p.o->log, e) < 0) {
        printf("Could not initialize logging file %s", e->text);
        return 1;
    }
    if (!p.arena)
        return err_set(e, ERR_OOM, "arena");
    push_signals_block();
    p.cage = cage_new(push_tasks, &limits, e);
    return p.cage ? work(&p) : -1;
}

const struct command command_push = {
    .name = "push",
    .arguments = "IMAGE",
    .summary = "Scans an image through a Clair server, as clair-scanner did",
    .details = "IMAGE is a name that the Docker-compatible daemon at $DOCKER_HOST knows, or an archive or "
               "OCI layout on\n"
               "disk; \"-\" reads an archive from standard input. A Clair fetches the layers from us; an "
               "eclair server is\n"
               "sent those that it does not know.\n"
               "Exit code: 0 all approved, 1 something unapproved or a failure, 2 usage, 5 the server found "
               "no packages.",
    .options = options,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
