/*
 * named.h - the layers of REST v1: each has a name, at most one parent, and the packages that are there at this layer.
 *
 * Rules      (spec/detection.md 4, with the fold of fold.h below them)
 *            Packages: those of the folded chain; none: the parent's, so that a layer which only deletes the package database changes
 *            nothing. Namespace of the layer: the folded chain's, else the parent's. Namespace of a package: the parent's for a
 *            feature that the parent has, else the layer's, so that after an upgrade in place unchanged packages keep their old one;
 *            the layer that added it likewise.
 * Storing    What results depends on the chain's content alone and is stored once for it; the name is stored last.
 *            The parent is read in one view of the store and checked again when the name is stored: another one by then is begun anew.
 *            A parent of another indexer version has to be posted again first: it is as good as unknown.
 * Errors     ERR_UNSUPPORTED: packages, or a package database that cannot be read, and no namespace for them. ERR_NOT_FOUND: the parent
 *            is not there (any more). ERR_BUSY: it was another one each time.
 */
#pragma once
#include "store/store.h"

/* `content` is stored by this call too. `parent` is a name, or empty. 1: stored, 0: the name was there meanwhile, -1. */
int index_named(struct store *s, str name, str parent, const struct layer_index *content, unsigned engine,
                struct arena *arena, struct err *e);
