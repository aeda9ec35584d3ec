/*
 * The doubles of CoreFoundation and SystemConfiguration: strings, numbers, booleans and dictionaries, and preferences kept in a text
 * file, FAKE_PREFERENCES. Faults: sc-open, sc-lock, sc-commit, sc-apply, sc-busy=TIMES. Without root, it cannot be locked.
 */
#include <SystemConfiguration/SystemConfiguration.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fake.h"

enum kind { STRING, NUMBER, BOOLEAN, DICTIONARY, PREFERENCES };
enum { PAIRS_MAX = 16, LINE_OCTETS = 256, SC_ACCESS = 1003, SC_LOCKED = 3001 };

struct object {
	enum kind kind;
	int owners;
	char *text;
	int32_t number;
	struct object *keys[PAIRS_MAX], *values[PAIRS_MAX];
	int count;
	bool is_locked, has_changed, is_written; /* PREFERENCES: its dictionary is the whole file */
};

const CFAllocatorRef kCFAllocatorDefault;
const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks;
const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks;
static struct object yes = { .kind = BOOLEAN, .owners = 1, .number = 1 }, no = { .kind = BOOLEAN, .owners = 1 };
const CFBooleanRef kCFBooleanTrue = (CFBooleanRef)&yes;
static int last_error;

static struct object *object_of(CFTypeRef reference, enum kind kind)
{
	struct object *object = (struct object *)(uintptr_t)reference;
	if (!object || object->kind != kind)
		misuse("an object of CoreFoundation is NULL, or of another type");
	return object;
}

static struct object *make(enum kind kind)
{
	struct object *object = calloc(1, sizeof *object);
	object->kind = kind;
	object->owners = 1;
	count_objects(CF_OBJECTS, 1);
	return object;
}

static struct object *retain(struct object *object)
{
	object->owners++;
	return object;
}

void CFRelease(CFTypeRef reference)
{
	struct object *object = (struct object *)(uintptr_t)reference;
	if (!object)
		misuse("CFRelease(NULL)");
	if (--object->owners > 0)
		return;
	for (int i = 0; i < object->count; i++) {
		CFRelease(object->keys[i]);
		CFRelease(object->values[i]);
	}
	free(object->text);
	free(object);
	count_objects(CF_OBJECTS, -1);
}

CFTypeID CFGetTypeID(CFTypeRef reference)
{
	return ((const struct object *)reference)->kind;
}

CFTypeID CFDictionaryGetTypeID(void)
{
	return DICTIONARY;
}

static struct object *make_string(const char *text)
{
	struct object *object = make(STRING);
	object->text = strdup(text);
	return object;
}

static struct object *make_number(int32_t number)
{
	struct object *object = make(NUMBER);
	object->number = number;
	return object;
}

CFStringRef CFStringCreateWithCString(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding)
{
	(void)allocator;
	if (encoding != kCFStringEncodingUTF8)
		misuse("CFStringCreateWithCString: encoding %u", encoding);
	return (CFStringRef)make_string(text);
}

CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFNumberType type, const void *value)
{
	(void)allocator;
	if (type != kCFNumberSInt32Type)
		misuse("CFNumberCreate: type %ld", type);
	return (CFNumberRef)make_number(*(const int32_t *)value);
}

/* Of what a dictionary may hold here; a number is no boolean. */
Boolean CFEqual(CFTypeRef left, CFTypeRef right)
{
	const struct object *a = left, *b = right;
	if (!a || !b)
		misuse("CFEqual(NULL)");
	if (a->kind != b->kind || a->kind == DICTIONARY)
		return a == b;
	return a->kind == STRING ? strcmp(a->text, b->text) == 0 : a->number == b->number;
}

static struct object *get(const struct object *dictionary, const char *key)
{
	for (int i = 0; i < dictionary->count; i++)
		if (strcmp(dictionary->keys[i]->text, key) == 0)
			return dictionary->values[i];
	return NULL;
}

/* Takes over `value`. */
static void put(struct object *dictionary, const char *key, struct object *value)
{
	int at = 0;
	while (at < dictionary->count && strcmp(dictionary->keys[at]->text, key) != 0)
		at++;
	if (at == PAIRS_MAX)
		misuse("more than %d values", PAIRS_MAX);
	if (at < dictionary->count)
		CFRelease(dictionary->values[at]);
	else
		dictionary->keys[dictionary->count++] = make_string(key);
	dictionary->values[at] = value;
}

CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
						 const CFDictionaryKeyCallBacks *keys,
						 const CFDictionaryValueCallBacks *values)
{
	(void)allocator;
	if (capacity != 0 || keys != &kCFTypeDictionaryKeyCallBacks || values != &kCFTypeDictionaryValueCallBacks)
		misuse("CFDictionaryCreateMutable: values would not be retained");
	return (CFMutableDictionaryRef)make(DICTIONARY);
}

CFMutableDictionaryRef CFDictionaryCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFDictionaryRef from)
{
	const struct object *original = object_of(from, DICTIONARY);
	struct object *copy = make(DICTIONARY);
	(void)allocator;
	(void)capacity;
	for (int i = 0; i < original->count; i++)
		put(copy, original->keys[i]->text, retain(original->values[i]));
	return (CFMutableDictionaryRef)copy;
}

const void *CFDictionaryGetValue(CFDictionaryRef dictionary, const void *key)
{
	return get(object_of(dictionary, DICTIONARY), object_of(key, STRING)->text);
}

void CFDictionarySetValue(CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
	put(object_of(dictionary, DICTIONARY), object_of(key, STRING)->text, retain((struct object *)(uintptr_t)value));
}

/* Preferences */

static struct object *read_value(const char *text)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return retain(text[0] == 't' ? &yes : &no);
	return make_number((int32_t)atoi(text));
}

/* "a.b=1" is the number b in the dictionary a, "a.b=true" a boolean, "a=text" is a string. */
static void read_line(struct object *all, char *line)
{
	char *value = strchr(line, '='), *inner = strchr(line, '.');
	if (!value)
		return;
	*value++ = '\0';
	value[strcspn(value, "\n")] = '\0';
	if (!inner) {
		put(all, line, make_string(value));
		return;
	}
	*inner++ = '\0';
	if (!get(all, line))
		put(all, line, make(DICTIONARY));
	put(get(all, line), inner, read_value(value));
}

static void write_pair(FILE *file, const char *dictionary, const char *key, const struct object *value)
{
	fprintf(file, "%s.%s=", dictionary, key);
	if (value->kind == BOOLEAN)
		fprintf(file, "%s\n", value->number ? "true" : "false");
	else
		fprintf(file, "%d\n", value->number);
}

static bool write_file(const struct object *all)
{
	FILE *file = fopen(fake_preferences, "w");
	if (!file)
		return false;
	for (int i = 0; i < all->count; i++) {
		const struct object *inner = all->values[i];
		if (inner->kind == STRING)
			fprintf(file, "%s=%s\n", all->keys[i]->text, inner->text);
		for (int k = 0; inner->kind == DICTIONARY && k < inner->count; k++)
			write_pair(file, all->keys[i]->text, inner->keys[k]->text, inner->values[k]);
	}
	return fclose(file) == 0;
}

SCPreferencesRef SCPreferencesCreate(CFAllocatorRef allocator, CFStringRef name, CFStringRef file)
{
	char line[LINE_OCTETS];
	(void)allocator;
	record("preferences of %s for %s", object_of(file, STRING)->text, object_of(name, STRING)->text);
	last_error = SC_ACCESS;
	FILE *stream = fault("sc-open", 0, NULL) ? NULL : fopen(fake_preferences, "r");
	if (!stream)
		return NULL;
	struct object *all = make(PREFERENCES);
	while (fgets(line, sizeof line, stream))
		read_line(all, line);
	fclose(stream);
	return (SCPreferencesRef)all;
}

Boolean SCPreferencesLock(SCPreferencesRef preferences, Boolean wait)
{
	static unsigned calls;
	unsigned busy = 0;
	if (wait)
		misuse("a user may have stopped the process that holds the lock");
	fault("sc-busy", 0, &busy);
	last_error = fault("sc-lock", 0, NULL) ? SC_LOCKED : calls++ < busy ? kSCStatusPrefsBusy : SC_ACCESS;
	return object_of(preferences, PREFERENCES)->is_locked = geteuid() == 0 && last_error == SC_ACCESS;
}

Boolean SCPreferencesUnlock(SCPreferencesRef preferences)
{
	if (!object_of(preferences, PREFERENCES)->is_locked)
		misuse("SCPreferencesUnlock without a lock");
	object_of(preferences, PREFERENCES)->is_locked = false;
	return true;
}

CFPropertyListRef SCPreferencesGetValue(SCPreferencesRef preferences, CFStringRef key)
{
	return get(object_of(preferences, PREFERENCES), object_of(key, STRING)->text);
}

Boolean SCPreferencesSetValue(SCPreferencesRef preferences, CFStringRef key, CFPropertyListRef value)
{
	struct object *all = object_of(preferences, PREFERENCES);
	if (!all->is_locked)
		misuse("SCPreferencesSetValue without the lock");
	put(all, object_of(key, STRING)->text, retain((struct object *)(uintptr_t)value));
	return all->has_changed = true;
}

Boolean SCPreferencesCommitChanges(SCPreferencesRef preferences)
{
	struct object *all = object_of(preferences, PREFERENCES);
	last_error = SC_ACCESS;
	record("preferences written changed=%d", all->has_changed);
	return all->is_written = all->is_locked && all->has_changed && !fault("sc-commit", 0, NULL) && write_file(all);
}

Boolean SCPreferencesApplyChanges(SCPreferencesRef preferences)
{
	const struct object *all = object_of(preferences, PREFERENCES);
	if (!all->is_locked || !all->is_written)
		misuse("SCPreferencesApplyChanges before SCPreferencesCommitChanges");
	last_error = SC_ACCESS;
	record("preferences applied");
	return !fault("sc-apply", 0, NULL);
}

int SCError(void)
{
	return last_error;
}

const char *SCErrorString(int status)
{
	return status == SC_LOCKED ? "Access to the preferences is locked" : "Access denied";
}
