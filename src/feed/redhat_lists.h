/*
 * redhat_lists.h - the small documents beside Red Hat's CSAF: which archive there is, what changed and what is gone since, and which CPEs
 * the repositories have.
 *
 * Algorithm  A parser knows of nothing but its document and the cursor, so what one document tells another stands in its name:
 *
 *            1. archive_latest.txt (the table) names the archive, "csaf_vex_2025-08-01.tar.zst", and leads to changes.csv under the name
 *               "changes.csv@csaf_vex_2025-08-01.tar.zst", in each update.
 *            2. changes.csv@ARCHIVE. Without a cursor it leads to each document that changed since the day before the archive's, then to
 *               the archive: documents that are read by themselves come first, and stay when the archive has them too. With a cursor
 *               it leads to those that changed since then, and to deletions.csv; but should those be more than REDHAT_SINGLE_MAX,
 *               and the archive have most of them, as in a first load to the archive and what is newer.
 *            3. The cursor is "TIME ARCHIVE": the newest time in changes.csv, and which name changes.csv had, so that the next one of
 *               another name can withdraw it.
 *            4. deletions.csv withdraws what was deleted since the cursor. What was deleted between the making of the archive and its load
 *               cannot be withdrawn in the same update (the archive just said it): such a load leaves "TIME ARCHIVE whole",
 *               and the next update withdraws all that was deleted since the day before the archive's.
 *
 *            A document that is listed and not there (404) is left for its next change.
 * Errors     ERR_FORMAT "line 3: what".
 */
#pragma once
#include "feed/feed.h"

#define REDHAT_VEX        "data/csaf/v2/vex/"
#define REDHAT_CHANGES    REDHAT_VEX "changes.csv"
#define REDHAT_DELETIONS  REDHAT_VEX "deletions.csv"
#define REDHAT_SINGLE_MAX 2000u

int redhat_latest_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e);
/* in->document: REDHAT_CHANGES "@ARCHIVE". */
int redhat_changes_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e);
int redhat_deletions_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e);
/* repository-to-cpe.json: an advisory "repository/ID" without ranges for each, id ID, with its CPEs. */
int redhat_repositories_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e);
