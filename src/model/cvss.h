/*
 * cvss.h - base scores from CVSS vectors: 2.0, 3.0, 3.1 and 4.0.
 *
 * Units      tenths (98 is 9.8), as everywhere (metadata.h).
 * Vectors    "CVSS:3.1/AV:N/AC:L/...", and those of 2.0 as "AV:N/AC:L/Au:N/C:P/I:P/A:P". Metrics may stand in any order. Those beyond the
 *            base (threat, environment, supplemental) must be known and have a known value, and change nothing: what is asked for is the
 *            base score, in 4.0 CVSS-B.
 * Errors     a vector that lacks a base metric, has one twice, or has one that its version does not know, is none.
 * Source     the specifications and user guides of FIRST.
 */
#pragma once
#include "base/str.h"

/* Which version a vector says that it is ("3.1"); one without a prefix is of 2.0. Empty: of none that is known here. */
str cvss_vector_version(str vector);

/* 0; -1: it is no vector of that version, and *ret is as it was. `version` empty: of whichever it says. A vector of 3.x may lack its prefix
 * if `version` tells it. */
int cvss_score(str version, str vector, uint16_t *ret);
