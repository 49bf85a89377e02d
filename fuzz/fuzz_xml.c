/* Whatever the bytes are, opens and closes match, and an error stays. */
#include "base/cleanup.h"
#include "codec/xml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(str_of(data, size), &e);
    CLEANUP(xml_freep) struct xml *x = in ? xml_new(in, &e) : NULL;
    enum xml_type type = XML_OPEN;
    str text;
    long depth = 0;
    while (x && type != XML_END) {
        if (xml_next(x, &type, &text, &e) < 0) {
            if (!e.kind)
                abort();
            return 0;
        }
        depth += type == XML_OPEN;
        depth -= type == XML_CLOSE;
        if (depth < 0 || depth > 64 || (type == XML_TEXT && !text.len) || xml_attribute(x, "id").len > size)
            abort();
    }
    if (x && depth)
        abort();
    return 0;
}
