/*
 * osv.h - records of the Open Source Vulnerability format, as far as feeds need them.
 *
 * Shape      osv_read_archive() gives one record after the other of a zip or tar with a file "*.json" for each; what a record means is its
 *            feed's business. Ranges of commits are left out. Events are folded to ranges in their order (all real lists are pairs).
 * Ownership  a record and its arena live for one call.
 * Limits     OSV_RECORD_MAX bytes for a record, names and versions cut at FEED_TEXT_MAX.
 * Errors     "zip: ..." of the archive, "GHSA-1.json: affected: json: byte N: what" of a record.
 * Source     spec/feeds.md 12, spec/matching.md 6; OSV schema 1.7.
 */
#pragma once
#include "base/arena.h"
#include "codec/json.h"
#include "feed/feed.h"

#define OSV_RECORD_MAX   ((size_t)32 << 20)
#define OSV_VERSIONS_MAX 512u
#define OSV_HOST         "https://osv-vulnerabilities.storage.googleapis.com"

struct osv_list {
    str *list;
    size_t count, cap;
};

struct osv_range {
    str introduced; /* empty: from the beginning ("0") */
    str fixed;      /* empty: no fix is known; then it may be affected up to and including last_affected */
    str last_affected;
};

struct osv_severity {
    str type, score; /* "CVSS_V3", "CVSS:3.1/AV:N/..."; "Ubuntu", "medium" */
};

struct osv_severities {
    struct osv_severity *list;
    size_t count, cap;
};

struct osv_affected {
    str ecosystem, name; /* "Ubuntu:22.04:LTS"; both may be empty */
    struct osv_range *ranges;
    size_t range_count, range_cap;
    struct osv_list
        versions; /* of those the first OSV_VERSIONS_MAX; none where a range stands before them, as it mostly does */
    size_t version_count; /* of all */
    str priority;         /* ecosystem_specific.ubuntu_priority */
    bool commits;         /* there are ranges of commits, too */
    struct osv_severities severities;
};

struct osv_record {
    str id; /* never empty */
    str summary, details;
    str rating; /* database_specific.severity: "MODERATE" */
    str link;   /* the first reference of type ADVISORY; empty: none */
    bool withdrawn;
    struct osv_list aliases, upstream, related;
    struct osv_severities severities;
    struct osv_affected *affected;
    size_t affected_count, affected_cap;
};

/* Reads one record and nothing behind it. Its texts live in the arena. */
int osv_read_record(struct json *j, struct arena *a, struct osv_record *ret, struct err *e);

struct osv_reader {
    /* 0 or -1; also called for what is withdrawn */
    int (*record)(struct osv_reader *r, struct arena *a, const struct osv_record *record, struct err *e);
};
/* All files "*.json", and those whose name cannot be read. One that is not a record is an error, and so is an archive without any. */
int osv_read_archive(struct stream *in, struct osv_reader *r, struct err *e);

/* ---- what feeds make of them ---- */

struct osv_ranges {
    struct affected_range *list;
    size_t count, cap;
};
/* What does not fit shows in arena_failed(). */
void osv_add_range(struct arena *a, struct osv_ranges *to, const struct affected_range *range);
void osv_add_id(struct arena *a, struct osv_list *to, str id); /* once */

/* By a score of CVSS 3, else by the rating in words, else by a score of another version: ratings are made from CVSS 4 where there is one, and
 * where there are both, most programs show that of 3. Unknown without any. */
enum severity osv_severity(const struct osv_record *r, const struct osv_affected *one);

/* An advisory with what all have alike: title, description (1,000 bytes), link, scores. */
struct advisory osv_advisory(struct arena *a, const struct osv_record *r, str key, str id);
/* Puts it, unless it has no ranges. */
int osv_put(struct advisory_sink *sink, struct arena *a, struct advisory *advisory,
            const struct osv_ranges *ranges, const struct osv_list *aliases, struct err *e);

/* Of records of rpm distributions, which say only in the summary of which module streams they are ("Moderate: mariadb:10.3 security update"). */
#define OSV_STREAMS_MAX 8 /* "virt:rhel and virt-devel:rhel security update" has two */
struct osv_streams {
    str list[OSV_STREAMS_MAX];
    size_t count;
};
void osv_find_streams(str summary, str id, struct osv_streams *ret); /* views into summary */
bool osv_of_module(str version);                                     /* was it built in a module? */
/* For each stream, if the fix was built in a module; else once. */
void osv_add_streams(struct arena *a, struct osv_ranges *to, struct affected_range range,
                     const struct osv_streams *streams);
/* Those among aliases, upstream and related. */
void osv_add_cves(struct arena *a, struct osv_list *to, const struct osv_record *record);
size_t osv_name_length(str s); /* of the name of a module or release that it begins with */
