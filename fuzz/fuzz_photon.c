/* Whatever Photon's CVE metadata say, what comes out of them are whole advisories. */
#include "feed_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_feed("photon", STR("photon_cve_metadata/cve_data_photon5.0.json"), str_of(data, size));
    return 0;
}
