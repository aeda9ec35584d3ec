/*
 * macOS: bootpd reads its lease time from the preferences of Internet Sharing. They are everybody's: locked while they are
 * changed, merged with what stands there, and left alone where nothing would change. Not yet run on a Mac.
 */
#include "lease_time.h"
#include <SystemConfiguration/SystemConfiguration.h>
#include <poll.h>

enum { LOCK_PATIENCE_MS = 2000, LOCK_PAUSE_MS = 50 };

static CFStringRef text(const char *characters)
{
	return CFStringCreateWithCString(kCFAllocatorDefault, characters, kCFStringEncodingUTF8);
}

static void release(CFTypeRef object)
{
	if (object != NULL)
		CFRelease(object);
}

static bool refuse_step(struct usage_error *cause, const char *step)
{
	return refuse(cause, "%s: %s", step, SCErrorString(SCError()));
}

/* True when the dictionary says so already. */
static bool says(CFDictionaryRef dictionary, CFStringRef key, int32_t seconds)
{
	int32_t now;
	CFTypeRef value = dictionary != NULL ? CFDictionaryGetValue(dictionary, key) : NULL;
	return value != NULL && CFGetTypeID(value) == CFNumberGetTypeID() &&
	       CFNumberGetValue((CFNumberRef)value, kCFNumberSInt32Type, &now) && now == seconds;
}

/* A copy of what stands there, or an empty one. */
static CFMutableDictionaryRef copy_of(CFDictionaryRef dictionary)
{
	if (dictionary != NULL)
		return CFDictionaryCreateMutableCopy(kCFAllocatorDefault, 0, dictionary);
	return CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks,
					 &kCFTypeDictionaryValueCallBacks);
}

/* With the lock held. */
static bool change(SCPreferencesRef preferences, CFStringRef key, CFStringRef name, int32_t seconds,
		   struct usage_error *cause)
{
	CFPropertyListRef old = SCPreferencesGetValue(preferences, key);
	CFDictionaryRef before = old != NULL && CFGetTypeID(old) == CFDictionaryGetTypeID() ? (CFDictionaryRef)old : NULL;
	if (says(before, name, seconds))
		return true;
	CFMutableDictionaryRef after = copy_of(before);
	CFNumberRef number = CFNumberCreate(kCFAllocatorDefault, kCFNumberSInt32Type, &seconds);
	bool is_done = after != NULL && number != NULL;
	if (is_done)
		CFDictionarySetValue(after, name, number);
	is_done = is_done && SCPreferencesSetValue(preferences, key, after) && SCPreferencesCommitChanges(preferences);
	release(number);
	release(after);
	return is_done || refuse_step(cause, "cannot be written");
}

/* Not for as long as it takes: a user may stop a set-user-id softnet that holds the lock, and others' VMs would never start. */
static bool lock(SCPreferencesRef preferences)
{
	for (int waited_ms = 0; !SCPreferencesLock(preferences, false); waited_ms += LOCK_PAUSE_MS) {
		if (SCError() != kSCStatusPrefsBusy || waited_ms >= LOCK_PATIENCE_MS)
			return false;
		poll(NULL, 0, LOCK_PAUSE_MS);
	}
	return true;
}

bool set_lease_time(uint32_t seconds, struct usage_error *cause)
{
	CFStringRef who = text("softnet"), file = text("com.apple.InternetSharing.default.plist");
	CFStringRef key = text("bootpd"), name = text("DHCPLeaseTimeSecs");
	bool is_ready = who != NULL && file != NULL && key != NULL && name != NULL, is_done = false;
	SCPreferencesRef preferences = is_ready ? SCPreferencesCreate(kCFAllocatorDefault, who, file) : NULL;
	if (seconds > INT32_MAX)
		refuse(cause, "%u seconds are too many", (unsigned)seconds);
	else if (preferences == NULL)
		refuse_step(cause, "cannot be opened");
	else if (!lock(preferences))
		refuse_step(cause, "cannot be locked");
	else {
		is_done = change(preferences, key, name, (int32_t)seconds, cause);
		SCPreferencesUnlock(preferences);
	}
	release(preferences);
	release(name);
	release(key);
	release(file);
	release(who);
	return is_done;
}
