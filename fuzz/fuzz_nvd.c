/* Whatever a year of NVD says, or the file that leads to it, what comes out of them are whole advisories and leads. */
#include "feed_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool meta = size && *data == 's'; /* "sha256:..." */
    fuzz_feed("nvd", meta ? STR("nvdcve-2.0-2024.meta") : STR("nvdcve-2.0-2024.json.gz"), str_of(data, size));
    return 0;
}
