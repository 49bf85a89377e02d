/* json.h - parts of the JSON report that other commands write, too. */
#pragma once
#include "codec/json.h"
#include "match/match.h"

/* Members of the object that is open: "image", "distribution", "warnings", "layers", "packages", "removed_packages", "facts". */
void report_json_image(struct json_writer *w, const struct report *r);
/* A package without its layer, and a finding: whole objects. */
void report_json_package(struct json_writer *w, const struct package *p);
void report_json_finding(struct json_writer *w, const struct image_index *i, const struct finding *f);
