/* v3_status.c - StatusService: which detectors there are, and when the newest update ended (spec/api-v3.md 6, spec/detection.md 2, 3). */
#include "api/v3_call.h"

/* Listers first, as ever; the order within, which was random, is that of names. */
#define FEATURE   COREOS__CLAIR__DETECTOR__DTYPE__DETECTOR_D_TYPE_FEATURE
#define NAMESPACE COREOS__CLAIR__DETECTOR__DTYPE__DETECTOR_D_TYPE_NAMESPACE
#define DETECTOR(name, version, type)                                                                        \
    {                                                                                                        \
        PROTOBUF_C_MESSAGE_INIT(&coreos__clair__detector__descriptor), (char *)name, (char *)version, type   \
    }
static const Coreos__Clair__Detector detectors[] = {
    DETECTOR("apk", "1.0", FEATURE),
    DETECTOR("dpkg", "1.0", FEATURE),
    DETECTOR("module-rpm", "1.0", FEATURE),
    DETECTOR("rpm", "1.1", FEATURE),
    DETECTOR("alpine-release", "1.0", NAMESPACE),
    DETECTOR("apt-sources", "1.0", NAMESPACE),
    DETECTOR("lsb-release", "1.0", NAMESPACE),
    DETECTOR("os-release", "1.0", NAMESPACE),
    DETECTOR("redhat-release", "1.0", NAMESPACE),
};
#define DETECTORS (sizeof detectors / sizeof *detectors)

const Coreos__Clair__Detector *v3_detector(const char *name)
{
    for (size_t i = 0; i < DETECTORS; i++)
        if (!strcmp(detectors[i].name, name))
            return &detectors[i];
    return NULL;
}

struct asking {
    struct call *call;
    uint64_t last; /* 0: there was no update */
};

static int ask(struct store *s, void *ctx, struct err *e)
{
    struct asking *a = ctx;
    str text;
    int found = store_value_get(s, STR("updater/last"), a->call->request->arena, &text, e);
    if (found > 0 && (!str_to_u64(text, &a->last) || a->last > INT64_MAX))
        a->last = 0;
    return found;
}

static bool set_time(Coreos__Clair__ClairStatus *m, int64_t t, struct arena *arena)
{
    if (!t)
        return true;
    m->last_update_time = arena_array(arena, Google__Protobuf__Timestamp, 1);
    if (!m->last_update_time)
        return false;
    google__protobuf__timestamp__init(m->last_update_time);
    m->last_update_time->seconds = t;
    return true;
}

Coreos__Clair__ClairStatus *v3_status(struct call *c, struct err *e)
{
    struct arena *arena = c->request->arena;
    struct asking a = { .call = c };
    if (v1_ask(c, ask, &a, e) < 0)
        return NULL;
    Coreos__Clair__ClairStatus *m = arena_array(arena, Coreos__Clair__ClairStatus, 1);
    Coreos__Clair__Detector **list = arena_array(arena, Coreos__Clair__Detector *, DETECTORS);
    if (!m || !list)
        return NULL;
    coreos__clair__clair_status__init(m);
    for (size_t i = 0; i < DETECTORS; i++)
        list[i] = (Coreos__Clair__Detector *)&detectors[i]; /* a message is only read */
    m->detectors = list;
    m->n_detectors = DETECTORS;
    return set_time(m, (int64_t)a.last, arena) ? m : NULL;
}

void v3_get_status(struct call *c, const ProtobufCMessage *request, struct v3_reply *ret)
{
    struct err e = { 0 };
    (void)request;
    Coreos__Clair__GetStatusResponse *m = arena_array(c->request->arena, Coreos__Clair__GetStatusResponse, 1);
    Coreos__Clair__ClairStatus *status = v3_status(c, &e);
    if (!status && e.kind) {
        v3_failure(c, ret, "failed to query the database.", &e);
        return;
    }
    if (!m || !status)
        return;
    coreos__clair__get_status_response__init(m);
    m->status = status;
    ret->message = &m->base;
}
