/* finding.h - one (binary package, advisory id) of an image: the rows of every report. */
#pragma once
#include "model/advisory.h"
#include "model/package.h"

struct finding {
    uint32_t package;  /* index into image_index.packages */
    str id;            /* "CVE-2024-1" */
    str fixed_version; /* empty when there is none */
    enum fix_state state;
    enum severity severity;
    str severity_source; /* the feed whose severity it is */
    str namespace;
    str feed;
    str title, description, link;
    bool uncertain; /* the package's version does not parse: candidate by name only */
};
