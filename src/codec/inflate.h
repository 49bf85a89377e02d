/*
 * inflate.h - gzip, zstd, bzip2, xz or nothing, told apart by the first bytes, never by a name.
 *
 * Shape      concatenated gzip members, zstd frames (also skippable ones: zstd:chunked), bzip2 and xz streams are read
 *            on until the input ends. Input that starts with none of the magics is passed through.
 * Limits     `max_out` bytes of output (0 = no limit), and `max_ratio` output bytes for each input byte once there are
 *            more than `ratio_from` bytes of output (0 = no limit); zstd windows and xz dictionaries above `max_window` bytes
 *            (0 = 8 MiB) are refused.
 * Errors     truncated input is ERR_FORMAT "gzip: truncated at byte N" for every codec (ISA-L itself reports none:
 *            design.md 7); bytes behind a complete member that are no member of the same format are ERR_FORMAT, but
 *            zero padding is accepted.
 *            ERR_LIMIT tells the limit.
 * Source     RFC 1952, RFC 8878, the xz file format 1.2.
 */
#pragma once
#include "codec/stream.h"

struct inflate_limits {
    uint64_t max_out;
    uint64_t max_ratio, ratio_from;
    uint64_t max_window;
};

/* `name` ("gzip", "zstd", "bzip2", "xz", "plain") is set when not NULL: a static string. */
struct stream *stream_inflate(struct stream *in, const struct inflate_limits *limits, const char **name,
                              struct err *e);
