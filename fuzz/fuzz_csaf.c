/* The first byte says which of Red Hat's documents the rest is. */
#include "feed_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const documents[] = {
        "data/csaf/v2/vex/2024/cve-2024-1.json",
        "data/csaf/v2/vex/archive_latest.txt",
        "data/csaf/v2/vex/changes.csv@csaf_vex_2025-08-01.tar.zst",
        "data/csaf/v2/vex/deletions.csv",
        "data/metrics/repository-to-cpe.json",
        "data/csaf/v2/vex/csaf_vex_2025-08-01.tar.zst",
    };
    const size_t count = sizeof documents / sizeof *documents;
    if (size)
        fuzz_feed("redhat", str_from(documents[data[0] % count]), str_of(data + 1, size - 1));
    return 0;
}
