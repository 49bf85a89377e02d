/*
 * xml.h - a bounded pull reader for XML 1.0.
 *
 * Shape      xml_next() gives one event after the other. Names are local: a prefix ("oval:", "red-def:") is cut off, and so are declarations of name
 *            spaces. Text comes whole: character data between two tags is one event, entities resolved, and none when it is white space
 *            only.
 * Units      offsets in bytes.
 * Ownership  a reader borrows its stream; views live until the next call.
 * Limits     nesting 64, bytes of one text or of all attributes of one element 1 MiB, 64 attributes; a document type declaration
 *            with an internal subset (entities) is ERR_UNSUPPORTED.
 * Errors     ERR_FORMAT "xml: line N byte N: what", also for input that ends early. After an error every call fails alike.
 * Source     expat reads it.
 */
#pragma once
#include "codec/stream.h"

enum xml_type {
    XML_END, /* the root element is closed and the input has ended */
    XML_OPEN,
    XML_CLOSE,
    XML_TEXT,
};

struct xml;
struct xml *xml_new(struct stream *in, struct err *e);
void xml_freep(struct xml **x); /* for CLEANUP(); NULL is fine */

int xml_next(struct xml *x, enum xml_type *type, str *text,
             struct err *e); /* 0 or -1; text: the name of an element, or the text */
str xml_attribute(const struct xml *x,
                  const char *name);      /* of the element that was just opened; empty: there is none */
uint64_t xml_offset(const struct xml *x); /* bytes consumed: for error texts of the caller */

/* Helpers that every parser needs. Inside an element that was opened: */
int xml_child(struct xml *x, str *name,
              struct err *e); /* 1 a child was opened, 0 the element was closed; text is passed over */
int xml_content(struct xml *x, str *ret,
                struct err *e); /* the text up to its closing, without that of children; trimmed */
int xml_skip(struct xml *x, struct err *e);            /* up to its closing */
int xml_root(struct xml *x, str *name, struct err *e); /* opens the root element: call it first */
int xml_finish(struct xml *x, struct err *e);          /* nothing but white space and comments may follow */
