/*
 * csaf_document.h - what is held of one CSAF document: between csaf.c, which reads it, and csaf_ranges.c, which says what it means.
 *
 * Ownership  all of it lives in the document's arena.
 */
#pragma once
#include "base/arena.h"
#include "base/strmap.h"
#include "feed/feed.h"

/* ---- names (csaf_names.c) ---- */

/* What a purl of a package or of a module says. */
struct csaf_package {
    str name;      /* empty: it is a module alone */
    str evr;       /* "1:2.0-3.el9"; empty: no version */
    str arch;      /* as it is there: "x86_64", "noarch", "src", "" */
    str module;    /* "nodejs:18" */
    bool unusable; /* the version is none */
};

/* NULL: neither rpm nor module, or no memory (arena_failed()). */
struct csaf_package *csaf_package_of_purl(struct arena *a, str purl);
/* "rhel:9"; empty: the CPE tells no release of RHEL. */
str csaf_namespace_of_cpe(struct arena *a, str cpe);
/* RHEL itself, all of its repositories: "cpe:/o:redhat:enterprise_linux:9". */
bool csaf_cpe_is_plain(str cpe);

/* ---- the document ---- */

/* A leaf of the tree, or one that is made of two others. Those that are named before they are told of are empty. */
struct csaf_product {
    str id;
    str cpe, namespace;
    struct csaf_package *package;
    struct csaf_product *part, *whole; /* a component, and the product it is a component of */
    /* of the vulnerability whose number is `seen`: */
    unsigned seen;
    enum severity severity;
    enum fix_state state;
    bool fixed, scored_zero, has_fix;
};

struct csaf_list {
    struct csaf_product **items;
    size_t count, cap;
};

struct csaf_remedy { /* a remediation */
    struct csaf_remedy *next;
    enum fix_state state; /* FIX_FIXED: by `fix`; 0: says nothing */
    str fix, link;        /* "RHSA-2024:1"; empty: not named */
    struct csaf_list products;
};

struct csaf_threat { /* an impact */
    struct csaf_threat *next;
    enum severity severity;
    bool all; /* it names no products */
    struct csaf_list products;
};

struct csaf_vulnerability {
    struct csaf_vulnerability *next;
    str cve, title, description;
    bool rejected;
    struct csaf_list fixed, affected, not_affected;
    struct csaf_remedy *remedies;
    struct csaf_threat *threats;
    struct csaf_list scored_zero; /* products with a score of 0.0 */
    struct cvss_score *scores;
    size_t score_count, score_cap;
};

struct csaf_document {
    struct arena *arena;
    struct strmap products; /* by id */
    str id, title, status;
    bool rejected;
    struct csaf_vulnerability *first, **last;
};

int csaf_too_much(struct err *e); /* the limit of memory is passed; -1 */
/* All advisories of one vulnerability, whose number in the document is `number`, from 1. */
int csaf_put(struct csaf_document *d, struct csaf_vulnerability *v, unsigned number,
             struct advisory_sink *sink, struct err *e);
