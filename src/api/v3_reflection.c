/* v3_reflection.c - grpc.reflection: which services there are, and the .proto files of all, for clients that were built without them. */
#include "api/v3_call.h"

#include "api/descriptors_bin.h"
#include "reflection.pb-c.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

#define FILES_MAX 16 /* that one needs, itself included */

/* ---- descriptors, as bytes (google/protobuf/descriptor.proto) ---- */

#define SET_FILE        1
#define NAME            1 /* of everything */
#define FILE_PACKAGE    2
#define FILE_DEPENDENCY 3

/* The next field of that number that holds bytes; false: there is none. */
static bool next_of(str *rest, uint32_t number, str *ret)
{
    struct wire_field f;
    while (wire_next(rest, &f) > 0)
        if (f.number == number && f.type == 2) {
            *ret = f.bytes;
            return true;
        }
    return false;
}

static str first_of(str bytes, uint32_t number)
{
    str found = STR("");
    next_of(&bytes, number, &found);
    return found;
}

static str all_files(void) { return str_of((const char *)descriptors_bin, descriptors_bin_size); }

static bool find_file(str name, str *ret)
{
    str rest = all_files();
    while (next_of(&rest, SET_FILE, ret))
        if (str_eq(first_of(*ret, NAME), name))
            return true;
    return false;
}

enum kind { FILE_KIND, MESSAGE_KIND, ENUM_KIND, SERVICE_KIND, LEAF_KIND, KINDS };
/* What has a name in what, by field number. */
static const struct {
    uint32_t number;
    enum kind kind;
} members[KINDS][4] = {
    [FILE_KIND] = { { 4, MESSAGE_KIND }, { 5, ENUM_KIND }, { 6, SERVICE_KIND } },
    [MESSAGE_KIND] = { { 2, LEAF_KIND }, { 3, MESSAGE_KIND }, { 4, ENUM_KIND }, { 8, LEAF_KIND } },
    [ENUM_KIND] = { { 2, LEAF_KIND } },
    [SERVICE_KIND] = { { 2, LEAF_KIND } },
};

/* "Detector.DType" in a file. */
static bool declares(enum kind kind, str bytes, str symbol)
{
    for (size_t i = 0; i < 4 && members[kind][i].number; i++) {
        str rest = bytes, member;
        while (next_of(&rest, members[kind][i].number, &member)) {
            str name = first_of(member, NAME);
            if (str_eq(symbol, name))
                return true;
            bool inside = str_starts(symbol, name) && symbol.len > name.len && symbol.ptr[name.len] == '.';
            if (inside && declares(members[kind][i].kind, member, str_skip(symbol, name.len + 1)))
                return true;
        }
    }
    return false;
}

static bool find_symbol(str symbol, str *ret)
{
    str rest = all_files();
    while (next_of(&rest, SET_FILE, ret)) {
        str package = first_of(*ret, FILE_PACKAGE);
        bool inside =
            str_starts(symbol, package) && symbol.len > package.len && symbol.ptr[package.len] == '.';
        if (inside && declares(FILE_KIND, *ret, str_skip(symbol, package.len + 1)))
            return true;
    }
    return false;
}

/* ---- replies ---- */

static void not_found(struct arena *arena, const char *what, const char *name, reflection_response *m)
{
    Grpc__Reflection__V1__ErrorResponse *error = arena_array(arena, Grpc__Reflection__V1__ErrorResponse, 1);
    if (!error)
        return;
    grpc__reflection__v1__error_response__init(error);
    error->error_code = GRPC_NOT_FOUND;
    error->error_message = arena_cstr(arena, arena_printf(arena, "%s not found: %.200s", what, name));
    m->error_response = error;
    m->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
}

static bool has_file(const ProtobufCBinaryData *files, size_t count, str file)
{
    for (size_t i = 0; i < count; i++)
        if ((const char *)files[i].data == file.ptr)
            return true;
    return false;
}

/* The file, and behind it all that it imports. */
static void give_file(struct arena *arena, str file, reflection_response *m)
{
    Grpc__Reflection__V1__FileDescriptorResponse *files =
        arena_array(arena, Grpc__Reflection__V1__FileDescriptorResponse, 1);
    ProtobufCBinaryData *list = arena_array(arena, ProtobufCBinaryData, FILES_MAX);
    size_t count = 0;
    if (!files || !list)
        return;
    list[count++] = (ProtobufCBinaryData){ file.len, (uint8_t *)file.ptr };
    for (size_t i = 0; i < count; i++) {
        str rest = str_of(list[i].data, list[i].len), name, found;
        while (next_of(&rest, FILE_DEPENDENCY, &name))
            if (count < FILES_MAX && find_file(name, &found) && !has_file(list, count, found))
                list[count++] = (ProtobufCBinaryData){ found.len, (uint8_t *)found.ptr };
    }
    grpc__reflection__v1__file_descriptor_response__init(files);
    files->file_descriptor_proto = list;
    files->n_file_descriptor_proto = count;
    m->file_descriptor_response = files;
    m->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
}

static void give_services(struct arena *arena, reflection_response *m)
{
    Grpc__Reflection__V1__ListServiceResponse *all =
        arena_array(arena, Grpc__Reflection__V1__ListServiceResponse, 1);
    size_t count = 0;
    while (v3_rpcs[count].service)
        count++;
    Grpc__Reflection__V1__ServiceResponse *services = arena_array(
                                              arena, Grpc__Reflection__V1__ServiceResponse, count),
                                          **list = arena_array(arena, Grpc__Reflection__V1__ServiceResponse *,
                                                               count);
    if (!all || !services || !list)
        return;
    grpc__reflection__v1__list_service_response__init(all);
    all->service = list;
    for (size_t i = 0; i < count; i++) {
        if (i && !strcmp(v3_rpcs[i].service, v3_rpcs[i - 1].service))
            continue; /* rows of one service stand together */
        grpc__reflection__v1__service_response__init(&services[i]);
        services[i].name = (char *)v3_rpcs[i].service;
        list[all->n_service++] = &services[i];
    }
    m->list_services_response = all;
    m->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
}

/* None of ours has any. */
static void give_extensions(struct arena *arena, const char *type, reflection_response *m)
{
    Grpc__Reflection__V1__ExtensionNumberResponse *numbers =
        arena_array(arena, Grpc__Reflection__V1__ExtensionNumberResponse, 1);
    if (!numbers)
        return;
    grpc__reflection__v1__extension_number_response__init(numbers);
    numbers->base_type_name = (char *)type;
    m->all_extension_numbers_response = numbers;
    m->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
}

/* False: it asks for nothing. */
static bool answer(struct arena *arena, const reflection_request *q, reflection_response *m)
{
    str file;
    switch (q->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        find_file(str_from(q->file_by_filename), &file) ? give_file(arena, file, m)
                                                        : not_found(arena, "File", q->file_by_filename, m);
        return true;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        find_symbol(str_from(q->file_containing_symbol), &file)
            ? give_file(arena, file, m)
            : not_found(arena, "Symbol", q->file_containing_symbol, m);
        return true;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        not_found(arena, "Extension", q->file_containing_extension->containing_type, m);
        return true;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        find_symbol(str_from(q->all_extension_numbers_of_type), &file)
            ? give_extensions(arena, q->all_extension_numbers_of_type, m)
            : not_found(arena, "Type", q->all_extension_numbers_of_type, m);
        return true;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        give_services(arena, m);
        return true;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
    case _GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

bool v3_reflect(struct v3_stream *s, enum stream_event event, const ProtobufCMessage *request,
                struct arena *scratch, struct v3_reply *ret)
{
    (void)s;
    if (event != STREAM_MESSAGE)
        return event == STREAM_TICK;
    const reflection_request *q = (const reflection_request *)request;
    reflection_response *m = arena_array(scratch, reflection_response, 1);
    if (m) {
        grpc__reflection__v1__server_reflection_response__init(m);
        m->valid_host = q->host;
        m->original_request = (reflection_request *)q;
    }
    if (m && !answer(scratch, q, m)) {
        v3_fail(ret, GRPC_INVALID_ARGUMENT, STR("invalid MessageRequest: it asks for nothing"));
        return false;
    }
    if (arena_failed(scratch)) {
        v3_fail(ret, GRPC_RESOURCE_EXHAUSTED, STR("out of memory"));
        return false;
    }
    ret->message = &m->base;
    return true;
}
