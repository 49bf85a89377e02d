/*
 * sender.h - one way to tell notifications. The table of them is in notify.c.
 *
 * Errors     of `send`: ERR_BUSY it took too long, ERR_NETWORK it cannot be reached, ERR_FORMAT it answered, and did not take it, ERR_DENIED it
 *            does not let us in; others are our side's.
 */
#pragma once
#include "notify/notify.h"

struct sender_kind {
    const char *name;
    unsigned threads; /* that tell at once, each with a sender of its own */
    bool (*configured)(const struct notify_options *o);
    void *(*new)(const struct notify_options *o, struct err *e); /* connects to nothing yet */
    int (*send)(void *self, str name, struct err *e); /* within some NOTIFY_SEND_MS for each place to ask */
    void (*free)(void *self);
};
extern const struct sender_kind sender_webhook, sender_amqp, sender_stomp;

#define NOTIFY_BODY 128
/* {"Notification":{"Name":"..."}} (spec/golden-v1/58); a name is a UUID. */
size_t sender_body(str name, char ret[NOTIFY_BODY]);
