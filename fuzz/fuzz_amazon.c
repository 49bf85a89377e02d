/* Whatever the documents of a repository say, what comes out of them are whole advisories and leads. The first byte tells which it is. */
#include "feed_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const documents[] = { "2/x86_64/updateinfo.xml", "2/x86_64/repomd.xml",
                                             "2/core/latest/x86_64/mirror.list" };
    if (size)
        fuzz_feed("amazon", str_from(documents[*data % 3]), str_of(data + 1, size - 1));
    return 0;
}
