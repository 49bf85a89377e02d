/* fuzz_bdb.c - any bytes as a Berkeley DB file of rpm. */
#include "packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_packages(STR("var/lib/rpm/Packages"), STR("rpm"), str_of(data, size));
    return 0;
}
