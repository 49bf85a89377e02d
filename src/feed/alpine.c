/* Alpine's secdb, BRANCH/REPOSITORY.json (secdb.h). */
#include "feed/secdb.h"

#include <stdio.h>

static str link_of(str id, char ret[FEED_TEXT_MAX])
{
    int n = snprintf(ret, FEED_TEXT_MAX, "https://security.alpinelinux.org/vuln/" STR_FMT, STR_ARG(id));
    return str_head(str_of(ret, (size_t)n), FEED_TEXT_MAX - 1);
}

static int alpine_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    char namespace[FEED_TEXT_MAX], key[FEED_TEXT_MAX];
    str document = str_head(in->document, PACKAGE_TEXT_MAX - STR("alpine:").len);
    str branch = str_cut(&document, '/'), repository = str_cut(&document, '.');
    int n = snprintf(namespace, sizeof namespace, "alpine:" STR_FMT, STR_ARG(branch));
    int k = snprintf(key, sizeof key, STR_FMT "/" STR_FMT "/", STR_ARG(branch), STR_ARG(repository));
    struct secdb_source source = {
        .namespace = str_of(namespace, (size_t)n),
        .key = str_of(key, (size_t)k),
        .branch = branch,
        .link = link_of,
    };
    return secdb_parse(in->bytes, &source, sink, e);
}

#define BRANCH(name)                                                                                         \
    { name "/main.json", DOCUMENT_MAY_LACK }, { name "/community.json", DOCUMENT_MAY_LACK }

static const struct feed_document documents[] = {
    { "v3.2/main.json", DOCUMENT_MAY_LACK },
    BRANCH("v3.3"),
    BRANCH("v3.4"),
    BRANCH("v3.5"),
    BRANCH("v3.6"),
    BRANCH("v3.7"),
    BRANCH("v3.8"),
    BRANCH("v3.9"),
    BRANCH("v3.10"),
    BRANCH("v3.11"),
    BRANCH("v3.12"),
    BRANCH("v3.13"),
    BRANCH("v3.14"),
    BRANCH("v3.15"),
    BRANCH("v3.16"),
    BRANCH("v3.17"),
    BRANCH("v3.18"),
    BRANCH("v3.19"),
    BRANCH("v3.20"),
    BRANCH("v3.21"),
    BRANCH("v3.22"),
    BRANCH("v3.23"),
    BRANCH("v3.24"),
    BRANCH("v3.25"),
    BRANCH("v3.26"),
    BRANCH("edge"),
    { NULL },
};

const struct feed feed_alpine = {
    .name = "alpine",
    .about = "Alpine secdb",
    .covers = "alpine",
    .megabytes = 5,
    .place = { "alpine", "https://secdb.alpinelinux.org" },
    .documents = documents,
    .version = 1,
    .parse = alpine_parse,
};
