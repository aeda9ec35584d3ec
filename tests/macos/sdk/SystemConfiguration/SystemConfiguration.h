/* SystemConfiguration, as far as softnet calls it; see ../README.md. All of it is older than any macOS that is supported. */
#pragma once
#include <CoreFoundation/CoreFoundation.h>

typedef const struct __SCPreferences *SCPreferencesRef;

SCPreferencesRef SCPreferencesCreate(CFAllocatorRef, CFStringRef name, CFStringRef file);
Boolean SCPreferencesLock(SCPreferencesRef, Boolean wait);
Boolean SCPreferencesUnlock(SCPreferencesRef);
CFPropertyListRef SCPreferencesGetValue(SCPreferencesRef, CFStringRef key);
Boolean SCPreferencesSetValue(SCPreferencesRef, CFStringRef key, CFPropertyListRef);
Boolean SCPreferencesCommitChanges(SCPreferencesRef);
Boolean SCPreferencesApplyChanges(SCPreferencesRef);

enum { kSCStatusPrefsBusy = 3002 };

int SCError(void);
const char *SCErrorString(int status);
