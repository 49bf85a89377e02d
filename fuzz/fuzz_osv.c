/* Records as they come out of an archive, one behind the other, separated by NUL; the first byte tells whose they are. Whatever they say,
 * what comes out are whole advisories. */
#include "feed_sink.h"
#include "feed/osv.h"

#include <archive.h>
#include <archive_entry.h>

static const struct {
    const char *feed, *document;
} kinds[] = {
    { "ubuntu", "Ubuntu/all.zip" },
    { "almalinux", "AlmaLinux/all.zip" },
    { "rocky", "Rocky Linux/all.zip" },
    { "pypi", "PyPI/all.zip" },
    { "npm", "npm/all.zip" },
    { "maven", "Maven/all.zip" },
    { "ubuntu-tracker", "cve-tracker" },
    { "ubuntu", "vex/vex-all.tar" },
};

struct output {
    char bytes[192 << 10];
    size_t len;
};

static la_ssize_t collect(struct archive *lib, void *ctx, const void *bytes, size_t n)
{
    struct output *out = ctx;
    if (n > sizeof out->bytes - out->len)
        return -1;
    memcpy(out->bytes + out->len, bytes, n);
    out->len += n;
    return (la_ssize_t)n;
}

static void put_file(struct archive *w, const char *name, str text)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (int64_t)text.len);
    if (archive_write_header(w, entry) == ARCHIVE_OK && text.len)
        archive_write_data(w, text.ptr, text.len);
    archive_entry_free(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct output out; /* one input after the other */
    if (!size)
        return 0;
    size_t kind = data[0] % (sizeof kinds / sizeof *kinds);
    str rest = str_of(data + 1, size - 1);
    struct archive *w = archive_write_new();
    out.len = 0;
    archive_write_set_format_ustar(w);
    archive_write_set_bytes_per_block(w, 0);
    archive_write_open(w, &out, NULL, collect, NULL);
    for (unsigned n = 0; rest.len && n < 20; n++)
        put_file(w, strcmp(kinds[kind].feed, "ubuntu-tracker") ? "cve/1.json" : "active/CVE-1",
                 str_cut(&rest, 0));
    archive_write_free(w);
    fuzz_feed(kinds[kind].feed, str_from(kinds[kind].document), str_of(out.bytes, out.len));
    return 0;
}
