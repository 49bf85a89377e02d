/* descriptors_bin.h - the .proto files of all services, as one FileDescriptorSet. */
#pragma once
#include <stddef.h>

extern const unsigned char descriptors_bin[];
extern const size_t descriptors_bin_size;
