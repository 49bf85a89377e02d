/* fuzz_alpm.c - any bytes as the description of a package of pacman, and as the number of its database's layout. */
#include "packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_packages(STR("var/lib/pacman/local/a-1-1/desc"), STR("alpm"), str_of(data, size));
    fuzz_packages(STR("var/lib/pacman/local/ALPM_DB_VERSION"), STR("alpm"), str_of(data, size));
    return 0;
}
