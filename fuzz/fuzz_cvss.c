/* fuzz_cvss.c - any text as a vector of each version: a score is none, or at most 10.0, and the same if the version is told. */
#include "model/cvss.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const versions[] = { "2.0", "3.0", "3.1", "4.0" };
    str vector = str_of(data, size), said = cvss_vector_version(vector);
    uint16_t base = 0, told = 0;
    int r = cvss_score(STR(""), vector, &base);
    if (base > 100 || (!r && !said.len) || (said.len && cvss_score(said, vector, &told) != r) || told != base)
        abort();
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (!cvss_score(str_from(versions[i]), vector, &told) && told > 100)
            abort();
    return 0;
}
