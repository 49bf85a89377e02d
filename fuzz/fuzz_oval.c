/* Whatever definitions say, what comes out of them are whole advisories. The first byte tells whose they are. */
#include "feed_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *feed, *document;
    } sources[] = {
        { "suse", "pub/projects/security/oval/suse.linux.enterprise.server.15.xml.gz" },
        { "oracle", "security/oval/com.oracle.elsa-all.xml.bz2" },
        { "azurelinux", "azurelinux-3.0-oval.xml" },
        { "photon", "photon_oval_definitions/com.vmware.phsa-photon3.xml.gz" },
    };
    if (size)
        fuzz_feed(sources[*data % 4].feed, str_from(sources[*data % 4].document), str_of(data + 1, size - 1));
    return 0;
}
