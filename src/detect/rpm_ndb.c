/* rpm_ndb.c - rpm's own database: a table of slots, each pointing to a blob of blocks of 16 bytes. Always little-endian. */
#include "detect/rpm_db.h"

#include "base/cleanup.h"

enum {
    SLOT_SIZE = 16,
    BLOCK = 16,
    PAGE = 4096,
    BLOB_HEAD = 16,
    BLOB_TAIL = 12,
    HEADER = 32,
    SLOT_PAGES_MAX = 2048
};
#define DB_MAGIC   0x506d7052u /* "RpmP" */
#define SLOT_MAGIC 0x746f6c53u /* "Slot" */
#define HEAD_MAGIC 0x53626c42u /* "BlbS" */
#define TAIL_MAGIC 0x45626c42u /* "BlbE" */

struct ndb {
    str content;
    size_t slots_end;
    uint8_t *claimed; /* a bit for each block: it belongs to one blob */
    struct rpm_sink *sink;
};

static uint32_t le32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

/* RFC 1950, 9: both sums fit 32 bits for 5552 bytes without a division. */
static uint32_t adler32(str s)
{
    enum { MODULUS = 65521, RUN = 5552 };
    uint32_t a = 1, b = 0;
    for (size_t done = 0; done < s.len;) {
        size_t end = s.len - done < RUN ? s.len : done + RUN;
        for (; done < end; done++) {
            a += (uint8_t)s.ptr[done];
            b += a;
        }
        a %= MODULUS;
        b %= MODULUS;
    }
    return b << 16 | a;
}

/* Also where it fails the blocks before the failing one stay marked: many slots cannot make the same walk again. */
static bool claim_blocks(struct ndb *d, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!rpm_claim(d->claimed, from + i))
            return false;
    return true;
}

static int read_slot(struct ndb *d, size_t slot, const char *p, struct err *e)
{
    uint32_t index = le32(p + 4), from = le32(p + 8), count = le32(p + 12);
    if (le32(p) != SLOT_MAGIC)
        return rpm_damaged(d->sink, (struct rpm_place){ "slot", slot }, "it does not begin with \"Slot\"");
    if (!index || !from)
        return 0; /* free */
    uint64_t start = (uint64_t)from * BLOCK, size = (uint64_t)count * BLOCK;
    if (start < d->slots_end || size < BLOB_HEAD + BLOB_TAIL || start + size > d->content.len)
        return rpm_damaged(d->sink, (struct rpm_place){ "slot", slot },
                           "its %u blocks from %u on lie outside the file", count, from);
    if (!claim_blocks(d, from, count))
        return rpm_damaged(d->sink, (struct rpm_place){ "slot", slot },
                           "its %u blocks from %u on overlap another blob's", count, from);

    str blob = { d->content.ptr + start, size };
    const char *tail = blob.ptr + size - BLOB_TAIL;
    uint32_t length = le32(blob.ptr + 12);
    if (le32(blob.ptr) != HEAD_MAGIC || le32(blob.ptr + 4) != index)
        return rpm_damaged(d->sink, (struct rpm_place){ "slot", slot },
                           "no blob of package %u begins at block %u", index, from);
    if (length > size - BLOB_HEAD - BLOB_TAIL || le32(tail + 4) != length || le32(tail + 8) != TAIL_MAGIC)
        return rpm_damaged(d->sink, (struct rpm_place){ "slot", slot },
                           "the blob at block %u does not end after its %u bytes", from, length);
    if (adler32(str_head(blob, size - BLOB_TAIL)) != le32(tail))
        return rpm_damaged(d->sink, (struct rpm_place){ "slot", slot },
                           "the check sum of the blob at block %u is wrong", from);
    return d->sink->header(d->sink, (struct rpm_place){ "slot", slot }, str_of(blob.ptr + BLOB_HEAD, length),
                           e);
}

bool rpm_ndb_is(str content) { return content.len >= HEADER && le32(content.ptr) == DB_MAGIC; }

int rpm_ndb_walk(str content, struct rpm_sink *s, struct err *e)
{
    struct ndb d = { .content = content, .sink = s };
    if (!rpm_ndb_is(content))
        return err_set(e, ERR_FORMAT, "not an NDB file of rpm");
    uint32_t version = le32(content.ptr + 4), pages = le32(content.ptr + 12);
    if (version)
        return err_set(e, ERR_UNSUPPORTED, "NDB version %u", version);
    if (!pages || pages > SLOT_PAGES_MAX)
        return err_set(e, ERR_FORMAT, "%u pages of slots", pages);
    d.slots_end = (size_t)pages * PAGE;
    if (d.slots_end > content.len)
        return err_set(e, ERR_FORMAT, "it ends within its %u pages of slots, after %zu bytes", pages,
                       content.len);
    CLEANUP(freep) uint8_t *claimed = d.claimed = calloc(1, content.len / BLOCK / 8 + 1);
    if (!claimed)
        return err_set(e, ERR_OOM, "no memory for %zu blocks", content.len / BLOCK);
    for (size_t at = HEADER; at < d.slots_end; at += SLOT_SIZE)
        if (read_slot(&d, at / SLOT_SIZE, content.ptr + at, e) < 0)
            return -1;
    return 0;
}
