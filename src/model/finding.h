/* finding.h - one (binary package, advisory id) of an image: the rows of every report. */
#pragma once
#include "model/advisory.h"
#include "model/package.h"

/* What feeds say of its id as such: the best ranked first, then by name. */
#define FINDING_SOURCES 64u
struct finding_meta {
    struct metadata_source {
        str feed;
        struct metadata meta;
    } * sources;
    size_t source_count; /* at most FINDING_SOURCES */
};

struct finding {
    uint32_t package;        /* index into image_index.packages */
    enum affected_kind kind; /* whose version it is about: its source's, or its own */
    str id;                  /* "CVE-2024-1" */
    str advisory; /* whose id it is not: "RHSA-2024:1" (store.h, MATCH_BY_FLAW); empty: `id` is the advisory's */
    str fixed_version; /* empty when there is none */
    enum fix_state state;
    enum severity severity;
    str severity_source; /* the feed whose severity it is: not always `feed` (docs/severity.md) */
    str namespace;
    str feed;
    str title, description, link;
    const struct finding_meta *meta; /* shared by all findings of that id; NULL: nobody says anything */
    bool uncertain;                  /* the package's version does not parse: candidate by name only */
};

/* Of the first source that has it; NULL: none has. */
const struct metadata *finding_epss(const struct finding *f);
const struct metadata *finding_kev(const struct finding *f);
