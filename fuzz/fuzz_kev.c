/* Whatever the document says, what comes out of it are whole advisories. */
#include "feed_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_feed("kev", STR("known_exploited_vulnerabilities.json"), str_of(data, size));
    return 0;
}
