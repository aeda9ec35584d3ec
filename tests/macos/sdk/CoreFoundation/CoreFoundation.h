/* CoreFoundation, as far as softnet calls it; see ../README.md. All of it is older than any macOS that is supported. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef unsigned char Boolean;
typedef long CFIndex, CFNumberType;
typedef unsigned long CFTypeID;
typedef uint32_t CFStringEncoding;
typedef const void *CFTypeRef, *CFPropertyListRef;
typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct __CFBoolean *CFBooleanRef;
typedef const struct __CFDictionary *CFDictionaryRef;
typedef struct __CFDictionary *CFMutableDictionaryRef;
typedef const struct __CFNumber *CFNumberRef;
typedef const struct __CFString *CFStringRef;

typedef struct {
	CFIndex version;
	const void *(*retain)(CFAllocatorRef, const void *);
	void (*release)(CFAllocatorRef, const void *);
	CFStringRef (*copyDescription)(const void *);
	Boolean (*equal)(const void *, const void *);
	unsigned long (*hash)(const void *);
} CFDictionaryKeyCallBacks;

typedef struct {
	CFIndex version;
	const void *(*retain)(CFAllocatorRef, const void *);
	void (*release)(CFAllocatorRef, const void *);
	CFStringRef (*copyDescription)(const void *);
	Boolean (*equal)(const void *, const void *);
} CFDictionaryValueCallBacks;

enum { kCFNumberSInt32Type = 3 };
enum { kCFStringEncodingUTF8 = 0x08000100 };
extern const CFAllocatorRef kCFAllocatorDefault;
extern const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks;
extern const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks;

extern const CFBooleanRef kCFBooleanTrue;

Boolean CFEqual(CFTypeRef, CFTypeRef);
void CFRelease(CFTypeRef);
CFTypeID CFGetTypeID(CFTypeRef);

CFStringRef CFStringCreateWithCString(CFAllocatorRef, const char *, CFStringEncoding);

CFNumberRef CFNumberCreate(CFAllocatorRef, CFNumberType, const void *value);

CFTypeID CFDictionaryGetTypeID(void);
CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef, CFIndex capacity, const CFDictionaryKeyCallBacks *,
						 const CFDictionaryValueCallBacks *);
CFMutableDictionaryRef CFDictionaryCreateMutableCopy(CFAllocatorRef, CFIndex capacity, CFDictionaryRef);
const void *CFDictionaryGetValue(CFDictionaryRef, const void *key);
void CFDictionarySetValue(CFMutableDictionaryRef, const void *key, const void *value);
