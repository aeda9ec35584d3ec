/*
 * macOS: bootpd reads its settings from the preferences of Internet Sharing. They are everybody's: locked while they
 * are changed, merged with what stands there, and left alone where nothing would change. Not yet run on a Mac.
 *
 * Unless told to ignore it, bootpd looks a client up by its identifier (option 61) alone. Then a VM that copies another
 * VM's, or is a clone with the same one, is leased that VM's address. The MAC address cannot be copied: the guard sees
 * to that.
 */
#include "system/lease_time.h"
#include <SystemConfiguration/SystemConfiguration.h>
#include <poll.h>

enum { LOCK_PATIENCE_MS = 2000, LOCK_PAUSE_MS = 50 };

static CFStringRef text(const char *characters)
{
	return CFStringCreateWithCString(kCFAllocatorDefault, characters, kCFStringEncodingUTF8);
}

static void release(CFTypeRef object)
{
	if (object)
		CFRelease(object);
}

static bool refuse_step(struct error *cause, const char *step)
{
	return refuse(cause, "%s: %s", step, SCErrorString(SCError()));
}

/* What is to stand in the preferences. */
struct wish {
	CFStringRef who, file, dictionary, lease_time, by_mac;
	CFNumberRef seconds;
};

static bool make_wish(struct wish *w, uint32_t seconds)
{
	int32_t number = seconds <= INT32_MAX ? (int32_t)seconds : INT32_MAX;
	*w = (struct wish){
		.who = text("softnet"),
		.file = text("com.apple.InternetSharing.default.plist"),
		.dictionary = text("bootpd"),
		.lease_time = text("DHCPLeaseTimeSecs"),
		.by_mac = text("dhcp_ignore_client_identifier"),
		.seconds = CFNumberCreate(kCFAllocatorDefault, kCFNumberSInt32Type, &number),
	};
	return w->who && w->file && w->dictionary && w->lease_time && w->by_mac && w->seconds;
}

static void forget_wish(const struct wish *w)
{
	release(w->seconds);
	release(w->by_mac);
	release(w->lease_time);
	release(w->dictionary);
	release(w->file);
	release(w->who);
}

static bool says(CFDictionaryRef dictionary, CFStringRef key, CFTypeRef wanted)
{
	CFTypeRef value = CFDictionaryGetValue(dictionary, key);
	return value && CFEqual(value, wanted);
}

static bool is_granted(CFDictionaryRef dictionary, const struct wish *w)
{
	return dictionary && says(dictionary, w->lease_time, w->seconds) && says(dictionary, w->by_mac, kCFBooleanTrue);
}

/* NULL: there is none. */
static CFDictionaryRef find_dictionary(SCPreferencesRef preferences, const struct wish *w)
{
	CFPropertyListRef found = SCPreferencesGetValue(preferences, w->dictionary);
	return found && CFGetTypeID(found) == CFDictionaryGetTypeID() ? (CFDictionaryRef)found : NULL;
}

/* A copy of what stands there, or an empty one. */
static CFMutableDictionaryRef copy_of(CFDictionaryRef dictionary)
{
	if (dictionary)
		return CFDictionaryCreateMutableCopy(kCFAllocatorDefault, 0, dictionary);
	return CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks,
					 &kCFTypeDictionaryValueCallBacks);
}

/* With the lock held. */
static bool change(SCPreferencesRef preferences, const struct wish *w, struct error *cause)
{
	CFDictionaryRef before = find_dictionary(preferences, w);
	if (is_granted(before, w))
		return true;
	CFMutableDictionaryRef after = copy_of(before);
	if (after) {
		CFDictionarySetValue(after, w->lease_time, w->seconds);
		CFDictionarySetValue(after, w->by_mac, kCFBooleanTrue);
	}
	bool is_written = after && SCPreferencesSetValue(preferences, w->dictionary, after) &&
			  SCPreferencesCommitChanges(preferences);
	release(after);
	if (!is_written)
		return refuse_step(cause, "cannot be written");
	return SCPreferencesApplyChanges(preferences) ||
	       refuse_step(cause, "are written, but cannot be put into force");
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

bool set_bootpd(uint32_t seconds, struct error *cause)
{
	struct wish w;
	bool is_ready = make_wish(&w, seconds), is_done = false;
	SCPreferencesRef preferences = is_ready ? SCPreferencesCreate(kCFAllocatorDefault, w.who, w.file) : NULL;
	if (seconds > INT32_MAX)
		refuse(cause, "%u seconds are too many", (unsigned)seconds);
	else if (!preferences)
		refuse_step(cause, "cannot be opened");
	else if (!lock(preferences))
		refuse_step(cause, "cannot be locked");
	else {
		is_done = change(preferences, &w, cause);
		SCPreferencesUnlock(preferences);
	}
	release(preferences);
	forget_wish(&w);
	return is_done;
}

bool is_bootpd_set(uint32_t seconds)
{
	struct wish w;
	bool is_ready = make_wish(&w, seconds);
	SCPreferencesRef preferences = is_ready ? SCPreferencesCreate(kCFAllocatorDefault, w.who, w.file) : NULL;
	bool is_set = preferences && is_granted(find_dictionary(preferences, &w), &w);
	release(preferences);
	forget_wish(&w);
	return is_set;
}
