/*
 * sbom.h - a list of packages in place of an image: CycloneDX, SPDX, or one purl a line.
 *
 * Shape      sbom_parse() is pure; index_sbom_task runs it in the cage, index_sbom() makes an image of what comes back: one layer, which is the
 *            document itself, and no row in any store.
 * Read       CycloneDX 1.x as JSON and XML; SPDX 2.x as JSON and tag-value; purls, where "#" begins a comment. Compressed or not.
 * Packages   What has a purl and a version (model/purl.h). The source package is told by the purl's `upstream`, by "eclair:source" or by
 *            "aquasecurity:trivy:SrcName" and its kin.
 * Place      The distribution is the operating system that the document names, else that of the first purl with a `distro`. A package of another
 *            one is left out, for it would be judged by the wrong data. What is left out is told in notes.
 * Ours       "eclair:fact:NAME" and "eclair:unreadable" are what report/cyclonedx.c and spdx.c write beside packages, so that a list is judged as its
 *            image was.
 * Limits     SBOM_MAX bytes, LAYER_PACKAGES_MAX packages, 64 levels.
 * Errors     ERR_FORMAT with byte or line; ERR_UNSUPPORTED: another kind of document.
 * Source     CycloneDX 1.6 JSON and XML reference; SPDX 2.3, clauses 6, 7 and annex D; purl-spec.
 */
#pragma once
#include "cage/cage.h"
#include "detect/detector.h"

#define SBOM_MAX ((size_t)64 << 20)

struct sbom {
    struct detected found; /* .arena is given; .distribution as far as it is told */
    str *notes;
    size_t note_count;
    bool unreadable; /* the image had a package database that was not read */
};
int sbom_parse(str content, struct sbom *ret, struct err *e);

/* Is it one, by its first bytes (4096, or all)? Anything that begins as JSON, XML or a list of purls does. */
bool sbom_begins(str head);

extern const struct cage_task index_sbom_task;
/* Fills all of ret but its name; it lives in the arena. */
int index_sbom(struct cage *c, const struct cage_input *in, struct arena *arena, struct image_index *ret,
               struct err *e);
