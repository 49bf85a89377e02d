/* fuzz_apk.c - any bytes as an apk database. */
#include "packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_packages(STR("lib/apk/db/installed"), STR("apk"), str_of(data, size));
    return 0;
}
