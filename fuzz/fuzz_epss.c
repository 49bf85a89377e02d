/* Whatever the document says, what comes out of it are whole advisories. */
#include "feed_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_feed("epss", STR("epss_scores-current.csv.gz"), str_of(data, size));
    return 0;
}
