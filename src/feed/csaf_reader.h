/*
 * csaf_reader.h - JSON by tables, shared by csaf.c (the document, its products) and csaf_flaws.c (what is said of each CVE).
 *
 * Errors     of all: -1, with the path of keys in front; the arena's limit is ERR_LIMIT.
 */
#pragma once
#include "codec/json.h"
#include "feed/csaf_document.h"

#define CSAF_TITLE_MAX 1024

struct csaf_reader {
    struct json *json;
    struct arena *arena; /* the document's */
    struct csaf_document *document;
};

/* A member that is read, and what reads it into `into`. The others are skipped. A table ends with { 0 }. */
struct csaf_member {
    const char *name;
    int (*read)(struct csaf_reader *r, void *into, struct err *e);
};

/* The rest of an object that was entered, and a whole one (null is an empty one). */
int csaf_members(struct csaf_reader *r, const struct csaf_member *members, void *into, struct err *e);
int csaf_object(struct csaf_reader *r, const struct csaf_member *members, void *into, struct err *e);
/* An array of objects, or null; `element` begins inside each. */
int csaf_array(struct csaf_reader *r, int (*element)(struct csaf_reader *r, void *into, struct err *e),
               void *into, struct err *e);
/* A string, or null, cut after `max` bytes. */
int csaf_text(struct csaf_reader *r, size_t max, str *ret, struct err *e);
/* An array of ids of products, or null. */
int csaf_products(struct csaf_reader *r, struct csaf_list *list, struct err *e);
int csaf_add_product(struct csaf_reader *r, struct csaf_list *list, str id, struct err *e);

/* "** REJECT ** ...", "Rejected reason: ...": an id that stands for nothing any more. */
bool csaf_is_rejection(str text);
/* The array "vulnerabilities", behind r->document->last. */
int csaf_read_flaws(struct csaf_reader *r, void *document, struct err *e);
