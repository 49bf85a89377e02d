/*
 * clair2.h - what a database of Clair 2 holds, into ours.
 *
 * Layers           by name, with parent, engine and namespace as they are there; one that is here already stays as it is. The features of a layer
 *                  are its packages, as Clair saw them: of dpkg source packages, of apk sub-packages without their origin. Their indexer is
 *                  CLAIR2_INDEXER, which is no version of ours: who posts such a layer again has it read anew, the root first.
 * Vulnerabilities  Clair does not say which of them clients posted. Taken are those that no updater of Clair's can have written, by namespace
 *                  and name, or those of named namespaces; into the feed of what clients write. They are no news.
 * Notifications    that nobody deleted, are younger than ours get (IMPORT_NOTIFICATION_DAYS), and whose vulnerability is known here: the new side is
 *                  what feeds say of it now, an old side there is none. Under their names, so that a client which was told can ask.
 * Kills            Each layer, each 64 vulnerabilities and each notification is to be seen whole or not at all; done again it goes on.
 * Memory           That of one layer, or of 64 vulnerabilities.
 * Source           spec/server.md 11, detection.md 4, updaters-legacy.md 1.
 */
#pragma once
#include "store/clair2.h"
#include "store/store.h"

#define CLAIR2_INDEXER           2u
#define IMPORT_NOTIFICATION_DAYS 30

struct import_clair2_counts {
    struct import_clair2_layers {
        int64_t taken;    /* dry: would be */
        int64_t there;    /* since an earlier import */
        int64_t kept;     /* another layer has the name */
        int64_t left_out; /* `told` says why */
        int64_t
            packages; /* of layers that were taken: left out, for their rows are not there or their names too long */
    } layers;
    struct import_clair2_vulnerabilities {
        int64_t taken, kept /* clients have written here since */, left_out, updaters /* not asked for */;
        int64_t fixes; /* of those that were taken: left out, for they have no version, or none that is one */
    } vulnerabilities;
    struct import_clair2_notifications {
        int64_t taken, there, old, unknown /* nothing is said here of their vulnerability */, left_out;
    } notifications;
};

struct import_clair2_options {
    bool dry; /* nothing is written */
    /* Namespaces all of whose vulnerabilities are taken; "all", "none". count 0: see above. */
    const char *const *vulnerabilities;
    size_t vulnerability_count;
    int64_t now;                               /* seconds since 1970 */
    void (*told)(void *ctx, const char *text); /* what is left out, and why; may hold bytes of the database */
    void (*progress)(void *ctx, const struct import_clair2_counts *so_far);
    void *ctx;
};

/* `to` may be NULL when it is dry: there is nothing yet. 0, -1; *ret holds what was done in any case. */
int import_clair2(struct clair2 *from, struct store *to, const struct import_clair2_options *o,
                  struct import_clair2_counts *ret, struct err *e);
