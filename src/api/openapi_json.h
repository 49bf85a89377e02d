/* openapi_json.h - docs/openapi.json, as it was when the program was built. */
#pragma once
#include <stddef.h>

extern const unsigned char openapi_json[];
extern const size_t openapi_json_size;
