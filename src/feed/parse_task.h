/*
 * parse_task.h - how an advisory travels from the caged parser to the parent.
 *
 * Limits     PACKAGE_TEXT_MAX bytes for identifiers, names and versions, ADVISORY_RANGES ranges,
 *            FRAME_MAX for all.
 * Errors     of the parent's side: ERR_CAGE, for a worker that keeps to the rules never sends such a body.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "model/advisory.h"

#define ADVISORY_RANGES 4096u

/* Leaves out ranges with over-long names or versions and counts them in *skipped. 1, 0 nothing left, -1. */
int advisory_pack(const struct advisory *a, struct buf *ret, uint64_t *skipped, struct err *e);

/* `ranges` has room for ADVISORY_RANGES; ret->ranges points there, its strings into body. */
int advisory_unpack(str body, struct affected_range *ranges, struct advisory *ret, struct err *e);
