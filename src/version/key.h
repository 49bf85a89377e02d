/*
 * key.h - what keys and comparators of all schemes are made of; for version/ alone.
 *
 * The vk_ functions append to a key. A key that grows too long only counts on; vk_finish() then refuses it.
 */
#pragma once
#include "version/version.h"

static inline bool version_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool version_is_lower(char c) { return c >= 'a' && c <= 'z'; }
static inline char version_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static inline bool version_is_letter(char c) { return version_is_lower(c) || (c >= 'A' && c <= 'Z'); }

bool version_printable(str v, bool ascii); /* not too long, no blanks, no control characters */
str version_digits(str *rest); /* the digits at the front, perhaps none; *rest keeps what follows */
int version_number_compare(str a, str b); /* digit strings by value, "" is 0; -1, 0, 1 */
bool version_is_number(str s);            /* digits alone, or nothing */
int version_dotted_compare(str a, str b); /* "1.2.3" by position, what is missing is 0; -1, 0, 1 */
int version_folded_compare(str a, str b); /* text without regard to ASCII's letter case; -1, 0, 1 */
int version_sign(int difference);         /* -1, 0, 1 */

/* [epoch:]version[-release] of rpm and pacman: the epoch stands before the first colon if it is all digits, or nothing, which counts as 0;
 * the release after the last dash, as rpm's parseEVR() cuts. Each part in the scheme's own way; what a missing release means stands in
 * version.h. */
bool version_evr_valid(str v);
int version_evr_compare(str a, str b, int (*part)(str a, str b));
bool version_evr_key(str v, void (*part)(struct version_key *k, str s), struct version_key *ret);

void vk_byte(struct version_key *k, uint8_t byte);
void vk_text(struct version_key *k, str s);   /* its bytes (none is 0), then 00 */
void vk_folded(struct version_key *k, str s); /* the same in lower case */

/* N(v, base) of design.md 4, any number of digits ("" is 0). Its first byte is base .. base + 62. */
void vk_number(struct version_key *k, str digits, uint8_t base);
bool vk_finish(struct version_key *k); /* false, and the key is empty: it became too long */
