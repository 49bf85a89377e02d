/*
 * metadata.h - what a feed says of a vulnerability as such, wherever it is found: severity, CVSS, EPSS, KEV, links.
 *
 * Limits     METADATA_ALIASES aliases, METADATA_LIST of each other list, METADATA_TEXT bytes for a text: what is beyond does not travel (store/metadata.h).
 * Units      CVSS in tenths (98 is 9.8), EPSS in millionths (973510 is 0.97351).
 * Ownership  views, and arrays of whoever made it.
 */
#pragma once
#include <stdint.h>

#include "model/severity.h"

#define METADATA_LIST    64u
#define METADATA_ALIASES 1024u /* kernel updates name hundreds of CVEs */
#define METADATA_TEXT    2048u
#define CVSS_BASE_MAX    100u
#define EPSS_ONE         1000000u

struct cvss_score {
    str version; /* "2.0", "3.0", "3.1", "4.0" */
    str vector;  /* "CVSS:3.1/AV:N/AC:L/..."; may be empty */
    uint16_t base;
    str source; /* who scored, "nvd@nist.gov"; empty: the feed itself */
};

struct metadata {
    bool has_severity; /* Unknown is no severity */
    enum severity severity;
    struct cvss_score *scores;
    size_t score_count;
    str *links;
    size_t link_count;
    str *aliases; /* other ids of the same vulnerability; of a fix: those that it fixes */
    size_t alias_count;
    str *cpes; /* of a repository, which then is what goes by this id: "rhel-9-for-x86_64-baseos-rpms" */
    size_t cpe_count;
    bool has_epss;
    uint32_t epss, epss_percentile;
    struct {
        str added, due; /* "2021-12-10": when CISA listed it, by when it has to be fixed; due may be empty */
    } kev;              /* added empty: it is not listed */
    struct { /* of the feed `manual` only: what a client of REST v1 wrote (store.h, "vulnerabilities") */
        str metadata; /* its Metadata, JSON text; empty: none */
        str gone;     /* not empty: it deleted the vulnerability, which was this then (a hash) */
    } client;
};
bool metadata_empty(const struct metadata *m);

/* The place of a version among those there are, by age; -1: there is none of that name. */
#define CVSS_VERSIONS 4
int cvss_version(str name);
str cvss_version_name(int place);
/* The qualitative rating of a base score (CVSS 3.1 and 4.0, and NVD for 2.0); 0.0 is Negligible. */
enum severity cvss_severity(str version, uint16_t base);
bool date_valid(str s); /* of the form 2021-12-10 */
