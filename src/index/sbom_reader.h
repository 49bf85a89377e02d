/* sbom_reader.h - what the readers of SBOMs share: they fill components, and sbom_component.c knows what to make of one. */
#pragma once
#include "index/sbom.h"

struct sbom_reader {
    struct sbom *to;
    struct arena *arena;
    bool has_system;            /* the document names an operating system */
    struct distribution system; /* that one, or of the first purl */
    struct distribution *said;  /* for each package of to->found: whose its purl says it is */
    size_t said_count, said_cap;
    struct distribution last; /* what a purl with last_distro and last_vendor says */
    str last_distro, last_vendor;
    size_t unnamed, unversioned,
        strange; /* left out: without a purl, without a version, of another distribution */
    str unnamed_example, unversioned_example, strange_example;
};

struct sbom_component { /* of CycloneDX, or a package of SPDX */
    str type, name, version, description, purl;
    bool system; /* the operating system */
    bool file;   /* a file, or the image itself: not expected to be a package */
    str source, source_version, source_release, source_epoch, module, kind; /* properties */
};

/* The component is complete. */
int sbom_add(struct sbom_reader *r, const struct sbom_component *c, struct err *e);
/* All are: settles the distribution, and leaves out what is of another. */
int sbom_place(struct sbom_reader *r, struct err *e);
/* A property of a component, or with c NULL of the document. Views of the arena. */
int sbom_property(struct sbom_reader *r, struct sbom_component *c, str name, str value, struct err *e);

int sbom_json(struct sbom_reader *r, str content, struct err *e);
int sbom_xml(struct sbom_reader *r, str content, struct err *e);
int sbom_tag_value(struct sbom_reader *r, str content, struct err *e);

/* What the forms of one format have in common. */
int sbom_cyclonedx_version(str version, struct err *e);
int sbom_spdx_version(str version, struct err *e); /* "SPDX-2.3" */
void sbom_spdx_purpose(struct sbom_component *c);  /* from its type */
int sbom_spdx_comment(struct sbom_reader *r, str comment,
                      struct err *e); /* of an annotation of the document */
