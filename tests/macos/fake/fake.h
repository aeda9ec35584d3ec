/*
 * What the doubles share. They are set up by the environment, which is read before main(), since the program may clear it:
 *
 *     FAKE_WIRE         tap:NAME[,bridge=BR], or unix:PATH: frames to and from who is bound there. The network of vmnet
 *     FAKE_GATEWAY      the host's address on it (192.168.64.1)
 *     FAKE_INTERFACES   those that can be bridged, with commas (en0,en1)
 *     FAKE_PREFERENCES  the file of SystemConfiguration: lines like "bootpd.DHCPLeaseTimeSecs=600"
 *     FAKE_MACOS        its version (13); from 26 on, vmnet is for everybody
 *     FAKE_SPEED        time limits are this many times shorter (1)
 *     FAKE_FAULTS       names with commas, each NAME, NAME=VALUE or NAME=VALUE@FROM[-TO]; fault() is asked for them
 *     FAKE_LOG          a line for each call that tests look at, and for each line of os_log
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define PRINTF_LIKE __attribute__((format(printf, 1, 2)))

extern const char *fake_wire, *fake_gateway, *fake_interfaces, *fake_preferences;
extern unsigned fake_speed, fake_macos;

/* Is this fault wanted, for the `at`-th call or for port `at`? *value is what it says, if it says something. */
bool fault(const char *name, unsigned at, unsigned *value);

void record(const char *format, ...) PRINTF_LIKE;
/* The program did what the real thing forbids, or leaves undefined: it ends at once, and tests see it by its status. */
_Noreturn void misuse(const char *format, ...) PRINTF_LIKE;

/* How many of these there are now; said at the end of the process. */
enum counted { SEMAPHORES, XPC_OBJECTS, CF_OBJECTS, COUNTED };
void count_objects(enum counted, int change);
