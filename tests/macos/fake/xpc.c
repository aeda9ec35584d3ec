/* Dictionaries and arrays of values; of a wrong type or none, they give 0, false or NULL as the real ones do. */
#include <xpc/xpc.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"

enum type { DICTIONARY, ARRAY, BOOLEAN, NUMBER, STRING };

/* An object, or a value in one: then it has a next one, in a dictionary also a key. */
struct fake_xpc {
	enum type type;
	char *key, *string;
	uint64_t number;
	struct fake_xpc *first, *next;
};

static xpc_object_t make(enum type type)
{
	xpc_object_t object = calloc(1, sizeof *object);
	object->type = type;
	count_objects(XPC_OBJECTS, 1);
	return object;
}

void xpc_release(xpc_object_t object)
{
	while (object->first) {
		xpc_object_t value = object->first;
		object->first = value->next;
		xpc_release(value);
	}
	free(object->key);
	free(object->string);
	free(object);
	count_objects(XPC_OBJECTS, -1);
}

xpc_object_t xpc_dictionary_create(const char *const *keys, const xpc_object_t *values, size_t count)
{
	(void)keys;
	(void)values;
	if (count != 0)
		misuse("the double of xpc_dictionary_create makes empty ones only");
	return make(DICTIONARY);
}

xpc_object_t xpc_array_create(const xpc_object_t *items, size_t count)
{
	(void)items;
	if (count != 0)
		misuse("the double of xpc_array_create makes empty ones only");
	return make(ARRAY);
}

static xpc_object_t find(xpc_object_t object, const char *key)
{
	if (!object || object->type != DICTIONARY || !key)
		misuse("no dictionary, or no key");
	xpc_object_t value = object->first;
	while (value && strcmp(value->key, key) != 0)
		value = value->next;
	return value;
}

static xpc_object_t put(xpc_object_t object, const char *key, enum type type)
{
	if (find(object, key))
		misuse("%s is set twice", key);
	xpc_object_t value = make(type);
	value->key = strdup(key);
	value->next = object->first;
	object->first = value;
	return value;
}

void xpc_dictionary_set_bool(xpc_object_t object, const char *key, bool value)
{
	put(object, key, BOOLEAN)->number = value;
}

void xpc_dictionary_set_uint64(xpc_object_t object, const char *key, uint64_t value)
{
	put(object, key, NUMBER)->number = value;
}

void xpc_dictionary_set_string(xpc_object_t object, const char *key, const char *value)
{
	put(object, key, STRING)->string = strdup(value);
}

static uint64_t number_of(xpc_object_t value, enum type type)
{
	return value && value->type == type ? value->number : 0;
}

bool xpc_dictionary_get_bool(xpc_object_t object, const char *key)
{
	return number_of(find(object, key), BOOLEAN) != 0;
}

uint64_t xpc_dictionary_get_uint64(xpc_object_t object, const char *key)
{
	return number_of(find(object, key), NUMBER);
}

const char *xpc_dictionary_get_string(xpc_object_t object, const char *key)
{
	xpc_object_t value = find(object, key);
	return value && value->type == STRING ? value->string : NULL;
}

void xpc_array_append_string(xpc_object_t object, const char *text)
{
	xpc_object_t *end = &object->first;
	while (*end)
		end = &(*end)->next;
	*end = make(STRING);
	(*end)->string = strdup(text);
}

size_t xpc_array_get_count(xpc_object_t object)
{
	size_t count = 0;
	for (xpc_object_t value = object->first; value; value = value->next)
		count++;
	return count;
}

const char *xpc_array_get_string(xpc_object_t object, size_t index)
{
	xpc_object_t value = object->first;
	while (value && index-- > 0)
		value = value->next;
	return value && value->type == STRING ? value->string : NULL;
}
