/* XPC's objects, as far as softnet and the doubles use them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fake_xpc *xpc_object_t;

void xpc_release(xpc_object_t);

xpc_object_t xpc_dictionary_create(const char *const *keys, const xpc_object_t *values, size_t count);
void xpc_dictionary_set_bool(xpc_object_t, const char *key, bool);
void xpc_dictionary_set_uint64(xpc_object_t, const char *key, uint64_t);
void xpc_dictionary_set_string(xpc_object_t, const char *key, const char *);
bool xpc_dictionary_get_bool(xpc_object_t, const char *key);
uint64_t xpc_dictionary_get_uint64(xpc_object_t, const char *key);
const char *xpc_dictionary_get_string(xpc_object_t, const char *key);

xpc_object_t xpc_array_create(const xpc_object_t *items, size_t count);
void xpc_array_append_string(xpc_object_t, const char *);
size_t xpc_array_get_count(xpc_object_t);
const char *xpc_array_get_string(xpc_object_t, size_t index);
