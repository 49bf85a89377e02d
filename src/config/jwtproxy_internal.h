/* jwtproxy_internal.h - what the reader of the section `jwtproxy` and its checks share. */
#pragma once
#include "config/jwtproxy.h"

struct place { /* of a value, for texts */
    const struct jwtproxy_reading *r;
    const char *prefix; /* "signer_proxy." */
    const char *path;
    unsigned line;
};

/* Does what was read fit together? Warns, or says what is missing. */
int jwtproxy_check_verifier(const struct place *p, const struct jwtproxy_verifier *v, struct err *e);
int jwtproxy_check_signer(const struct jwtproxy_reading *r, const struct jwtproxy_signer *s, struct err *e);
