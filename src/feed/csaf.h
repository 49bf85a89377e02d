/*
 * csaf.h - reads a CSAF 2.0 document: Red Hat's VEX (one CVE in all products) and its advisories (one RHSA with its CVEs).
 *
 * Shape      Both say of each CVE which products are fixed, affected and not affected, and become the same advisories: one for each
 *            (CVE, fix), key "CVE-2024-1/RHSA-2024:1", id "RHSA-2024:1" with the CVE as its alias; and one for what no fix is
 *            named for, key and id "CVE-2024-1", with the scores of the CVE. Very long ones go on under "KEY/2", "KEY/3".
 * Left out   what is no rpm (containers, Maven, ...), products whose CPE tells no release of RHEL, documents that are deleted or
 *            rejected.
 * Limits     CSAF_MEMORY bytes of what is held of one document: its products come in any order before or behind what is said of
 *            them, so it is held to its end.
 * Errors     ERR_FORMAT with the path of keys and "json: byte N", ERR_LIMIT.
 * Source     spec/feeds.md 3; CSAF 2.0 (OASIS).
 */
#pragma once
#include "feed/feed.h"

#define CSAF_MEMORY ((size_t)64 << 20)

/* Reads the document to its end, then puts what it says. 0 or -1. */
int csaf_read(struct stream *in, struct advisory_sink *sink, struct err *e);
