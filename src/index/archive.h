/*
 * archive.h - image archives inside the cage: two tasks.
 *
 * list    random access over a plain tar: one INDEX_MEMBER a member, nothing else read, nothing behind the end of
 *         the tar. params: packed size of the file.
 * stream  a tar that can only be read from front to end (compressed, or a pipe): INDEX_MEMBER for each member, then for a file either
 *         INDEX_CONTENT (small JSON) or a whole layer's frames ending with INDEX_LAYER. What is no layer fails by itself only.
 *         params: aliases (layer.h).
 * Limits  100,000 members; a small file is at most IMAGE_FILE_MAX.
 */
#pragma once
#include "cage/cage.h"
#include "image/tar.h"

extern const struct cage_task index_list_task, index_stream_task;

struct archive_member { /* as it travels in INDEX_MEMBER */
    str path, link;
    enum tar_type type;
    uint64_t offset, size;
    bool sparse; /* only the stream task can read it */
};
int archive_member_read(str body, struct archive_member *ret, struct err *e); /* views into body */
