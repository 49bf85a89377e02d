/* fuzz_dpkg.c - any bytes as a dpkg database. The first byte chooses between status and a file of status.d. */
#include "packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str path = size && data[0] == '#' ? STR("var/lib/dpkg/status.d/x") : STR("var/lib/dpkg/status");
    fuzz_packages(path, STR("dpkg"), str_of(data, size));
    return 0;
}
