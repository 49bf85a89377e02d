/* Wolfi and Chainguard, security.json: secdb's shape without branches (secdb.h, spec/feeds.md 8). */
#include "feed/secdb.h"

#include <stdio.h>

/* Their own pages go by other ids. */
static str link_of(str id, char ret[FEED_TEXT_MAX])
{
    const char *at = str_starts(id, STR("CVE-"))    ? "https://nvd.nist.gov/vuln/detail/"
                     : str_starts(id, STR("GHSA-")) ? "https://github.com/advisories/"
                                                    : NULL;
    int n = at ? snprintf(ret, FEED_TEXT_MAX, "%s" STR_FMT, at, STR_ARG(id)) : 0;
    return str_head(str_of(ret, (size_t)n), FEED_TEXT_MAX - 1);
}

static int parse(str namespace, const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    struct secdb_source source = { .namespace = namespace, .binaries = true, .link = link_of };
    return secdb_parse(in->bytes, &source, sink, e);
}

static int wolfi_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    return parse(STR("wolfi"), in, sink, e);
}

static int chainguard_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    return parse(STR("chainguard"), in, sink, e);
}

static const struct feed_document wolfi_documents[] = { { "os/security.json" }, { NULL } };
static const struct feed_document chainguard_documents[] = { { "chainguard/security.json" }, { NULL } };

const struct feed feed_wolfi = {
    .name = "wolfi",
    .about = "Wolfi's secdb",
    .covers = "wolfi",
    .megabytes = 5,
    .place = { "wolfi", "https://packages.wolfi.dev" },
    .documents = wolfi_documents,
    .version = 1,
    .parse = wolfi_parse,
};

const struct feed feed_chainguard = {
    .name = "chainguard",
    .about = "Chainguard's secdb",
    .covers = "chainguard",
    .megabytes = 10,
    .place = { "chainguard", "https://packages.cgr.dev" },
    .documents = chainguard_documents,
    .version = 1,
    .parse = chainguard_parse,
};
