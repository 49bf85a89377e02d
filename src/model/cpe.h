/*
 * cpe.h - names of products, as far as they tell of which repositories an advisory speaks: "cpe:/o:redhat:enterprise_linux:9::baseos", or
 *         "cpe:2.3:o:redhat:enterprise_linux:9:*:baseos:*:*:*:*:*".
 *
 * Source     spec/matching.md 3.1; NISTIR 7695 and 7696 for the two forms.
 */
#pragma once
#include "base/arena.h"

/* Does what is said of `row` hold for what comes from `repository`? They are the same, or each part of the row is that of the repository or
 * anything ("", "*"): "...:8" covers "...:8::baseos", but never "...:80". Letter case does not count. */
bool cpe_covers(str row, str repository);

/* What every system of that namespace has where nothing says which repositories it knows: of "rhel:N" alone. Returns how many, 0 also
 * without memory (arena_failed()). */
size_t cpe_defaults(str namespace, struct arena *a, str **ret);
