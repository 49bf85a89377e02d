/*
 * signature.h - Ed25519 (RFC 8032) by GnuTLS.
 *
 * Keys are PEM: `openssl genpkey -algorithm ed25519 -out private.pem`, `openssl pkey -in private.pem -pubout -out public.pem`.
 * Errors     ERR_FORMAT: no such key; ERR_DIGEST: the signature is another's, or of other bytes.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define SIGNATURE_BYTES 64u

int signature_make(str private_pem, str bytes, uint8_t ret[SIGNATURE_BYTES], struct err *e);
int signature_check(str public_pem, str bytes, str signature, struct err *e);
