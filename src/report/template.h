/*
 * template.h - an output of one's own: a strict subset of Mustache over the JSON report (docs/report.schema.json).
 *
 *   {{name}}  {{a.b}}  {{.}}    a value, escaped for HTML; nothing where there is none
 *   {{name|FILTER}}             escaped otherwise: html, markdown, csv, json, line (for terminals), raw
 *   {{#name}} ... {{/name}}     for each element of a list, once inside an object, once if it is not empty, false, null or absent
 *   {{^name}} ... {{/name}}     once if the section above would not be shown
 *   {{! ... }}                  a comment
 *
 * A name is looked for inwards out, as in Mustache; a tag of a section or a comment that is alone on its line takes the line with it.
 * There are no partials, no triple braces and no other delimiters: they are errors.
 *
 * Limits     TEMPLATE_TAGS tags, nested TEMPLATE_DEPTH deep, TEMPLATE_STEPS of them done.
 * Errors     ERR_FORMAT with the line.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define TEMPLATE_TAGS  10000u
#define TEMPLATE_DEPTH 16u
#define TEMPLATE_STEPS 200000000u
#define TEMPLATE_MAX   ((size_t)1 << 20) /* bytes of its file */

enum template_kind { TEMPLATE_TEXT, TEMPLATE_VALUE, TEMPLATE_SECTION, TEMPLATE_INVERTED, TEMPLATE_END };

struct template_part {
    enum template_kind kind;
    str text;   /* as it is, or the path */
    str filter; /* of a value; empty: html */
    size_t end; /* of a section: the number of its end */
};
struct template_parts {
    struct template_part *parts;
    size_t count;
};

/* Views into `text`; arrays in the arena. */
int template_parse(str text, struct arena *arena, struct template_parts *ret, struct err *e);
