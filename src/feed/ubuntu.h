/* ubuntu.h - the second kind of documents of the feed `ubuntu`. Private to it. */
#pragma once
#include "feed/feed.h"

/* vex/vex-all.tar.xz: an archive with an OpenVEX document for each CVE. 0 or -1. */
int ubuntu_vex_parse(struct stream *in, struct advisory_sink *sink, struct err *e);
