/*
 * container.h - where an image lies: an OCI layout folder, an archive (plain or compressed), a root file system folder, or somewhere else.
 *
 * Shape      container_open() tells the kinds apart by what is there, never by a name. A compressed archive, one on a pipe, or
 *            one with sparse members is read to its end at once, layers included; the others give ranges of files to be
 *            read later. Standard input is read from where it stands.
 * Ownership  everything lives in the container's arena until container_freep().
 * Errors     the text names the path and, for archives, the byte.
 */
#pragma once
#include "cage/cage.h"
#include "image/manifest.h"
#include "image/remote.h"
#include "index/layer.h"

enum container_kind {
    CONTAINER_FOLDER,
    CONTAINER_ARCHIVE,
    CONTAINER_STREAM,
    CONTAINER_ROOTFS,
    CONTAINER_REMOTE
};

struct container;
struct container *container_open(struct cage *c, const char *path,
                                 struct err *e);                              /* path "-" is standard input */
struct container *container_of_remote(struct image_remote *r, struct err *e); /* owns r, also on error */
/* A root file system folder, whatever else may be in it. */
struct container *container_open_rootfs(const char *path, struct err *e);

/* An archive that somebody gives from its first byte to its last: a daemon, or a pipe of which the beginning was read already. */
struct container_giver {
    int (*open)(void *ctx, struct err *e);           /* begins it, or begins anew */
    int (*read)(void *ctx, str *ret, struct err *e); /* fits cage_input */
    void (*close)(void *ctx);                        /* after each open(); may be NULL */
    void (*free)(void *ctx);
    void *ctx;
    bool again; /* it can be begun anew */
    str first;  /* what was read of it before; lives as long as ctx */
    bool waits; /* read() would wait: call it when wait_fd is readable */
    int wait_fd;
    str key; /* the digest of the image's config, where it is known: who has that image in a store need not ask for the archive */
};
/* CONTAINER_STREAM that takes the giver over, even on error; nothing is asked for before container_begin(). */
struct container *container_from(const struct container_giver *g, struct err *e);
int container_begin(struct container *c, struct cage *cage,
                    struct err *e);           /* reads it, if that was not done yet */
str container_key(const struct container *c); /* of what was not begun yet; else empty */
void container_freep(struct container **c);
enum container_kind container_kind(const struct container *c);
bool container_is_folder(const struct container *c);
struct image_files *
container_files(struct container *c); /* for image_manifest_read(); not for CONTAINER_ROOTFS */

/* FOLDER and ARCHIVE: the stored bytes of a layer. *fd is closed by the caller. Safe from many threads. */
int container_layer(const struct container *c, str path, int *fd, uint64_t *offset, uint64_t *size,
                    struct err *e);
/* REMOTE: the same as a stream, which fits cage_input until container_transfer_done(). Safe from many threads. */
struct container_transfer {
    struct image_remote *remote;
    void *transfer; /* NULL: none */
};
int container_transfer(const struct container *c, const struct image_layer *l, struct container_transfer *t,
                       struct cage_input *ret, struct err *e);
void container_stop(struct container *c,
                    const atomic_bool *stop); /* of transfers opened from now on; NULL: none */
void container_transfer_done(struct container_transfer *t);
/* ARCHIVE and STREAM: the archive itself from its first byte, if it can be read again: a regular file. */
int container_whole(const struct container *c, struct cage_input *ret, struct err *e);
/* STREAM: what was already read of it; NULL if there is no such member. */
const struct layer_builder *container_read_layer(const struct container *c, str path);
/* STREAM: reads it all once more, with aliases (layer.h): 1, 0 it can be read only once, -1. What container_read_layer() gave before
 * still lives. */
int container_look_again(struct container *c, struct cage *cage, str aliases, struct err *e);
/* ROOTFS: the wanted files of the folder as one tar: fits cage_input. Each call begins anew. */
int container_rootfs(struct container *c, struct cage_input *ret, struct err *e);
