/* config_reference.h - the page about config.yaml, in Markdown. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

void config_reference(struct arena *arena, struct buf *out);
