/* The first byte says which of Red Hat's documents the rest is, and with which cursor it is read. */
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
    static const char *const cursors[] = { "", "2025-08-01T00:00:00Z csaf_vex_2025-07-01.tar.zst",
                                           "2025-08-01T00:00:00Z csaf_vex_2025-07-01.tar.zst whole" };
    const size_t count = sizeof documents / sizeof *documents, turns = sizeof cursors / sizeof *cursors;
    if (size)
        fuzz_feed_from("redhat", str_from(documents[data[0] % count]),
                       str_from(cursors[data[0] / count % turns]), str_of(data + 1, size - 1));
    return 0;
}
