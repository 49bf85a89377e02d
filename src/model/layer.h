/*
 * layer.h - what one layer contributes, and the image that a row of layers makes.
 *
 * Shape      A layer_index is the memory of one read of one layer: every *wanted* path (one that a detector asked for)
 *            and everything that hides such paths in lower layers, in no particular order. index/fold.c turns a row of
 *            them into an image_index.
 * Ownership  all strings and arrays live in the arena they were built in.
 * Source     OCI image-spec v1.1 layer.md (whiteouts); spec/packages.md 8.
 */
#pragma once
#include "model/distribution.h"
#include "model/package.h"

/* Stored: never renumber. */
enum entry_kind {
    ENTRY_FILE = 1, /* a wanted regular file, read by `detector` */
    ENTRY_LINK = 2, /* a symbolic link at a wanted path or at one of its parent folders; target as written */
    ENTRY_HARDLINK = 3, /* a hard link at a wanted path; target is a path in the image */
    ENTRY_REMOVED = 4,  /* whiteout: path, and all below it, is gone from lower layers */
    ENTRY_OPAQUE = 5,   /* all below path is gone from lower layers */
    ENTRY_FOLDER =
        7, /* a folder at one of a wanted path's parents: replaces a link or file of a lower layer */
    ENTRY_OTHER =
        6, /* a non-folder that is no wanted file stands at path or at one of a wanted path's parents: hides what was below */
};

/* Something that a file tells of its layer beside packages: "content-set", "rhel-9-for-x86_64-baseos-rpms". The names are listed in
 * the detectors that give them. */
struct fact {
    str name, value;
};

struct layer_entry {
    enum entry_kind kind;
    str path;     /* relative, no leading "/" or "./" */
    str target;   /* of links */
    str detector; /* of ENTRY_FILE: "dpkg", "os-release", ... */
    struct package *packages;
    size_t package_count;
    struct fact *facts;
    size_t fact_count;
    struct distribution distribution; /* of a distribution file; id empty otherwise */
    str note;                         /* something a person should know about this file; empty otherwise */
};

/* A link in an image at `wanted` leads to `real`, where nobody would have looked. */
struct alias {
    str real, wanted;
};

struct layer_index {
    str digest;    /* "sha256:<hex>" of the bytes as referenced: the identity */
    str diff_id;   /* "sha256:<hex>" of the uncompressed tar if it was computed; may be empty */
    uint64_t size; /* bytes as referenced */
    struct layer_entry *entries;
    size_t entry_count;
    const struct alias *looked; /* where else this read has looked */
    size_t looked_count;
};

struct image_package {
    struct package package;
    uint32_t layer;   /* index into image_index.layers: the layer that brought it */
    uint32_t removed; /* of image_index.removed: the layer that took it away */
};

struct image_fact {
    struct fact fact;
    uint32_t layer;
};

struct image_index {
    str name;   /* what the person typed */
    str digest; /* of the manifest, or of the config where there is no manifest: the identity */
    const struct layer_index **layers; /* bottom first */
    size_t layer_count;
    struct distribution distribution;
    struct image_package *packages; /* sorted by package_cmp() */
    size_t package_count;
    struct image_package
        *removed; /* packages that a layer took away, as they were there last; sorted alike */
    size_t removed_count;
    struct image_fact *facts; /* of visible files, by layer and path */
    size_t fact_count;
    str *notes;
    size_t note_count;
    struct alias *unread; /* visible links that lead to where no layer was looked at */
    size_t unread_count;
    bool unreadable; /* a package database is there that we cannot read (yet): the image is not covered */
};
