/* What differs between operating systems, apart from ports: one platform_*.c is compiled. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Milliseconds that count suspend; may step by its resolution, never back (clock.c sees to that). */
uint64_t platform_clock_ms(void);

/* Makes getopt_long forget an earlier command line. */
void platform_restart_getopt(void);

/* The --uplink that is used where none is given. */
extern const char platform_uplink[];

/* What --sandbox is where nobody gives it. */
extern const bool platform_has_sandbox;

/* The folder of sockets of running programs; and that of a folder for each user, "" where there is none. */
extern const char platform_run[], platform_user_run[];
/* Where the system's log takes datagrams. */
extern const char platform_log_socket[];
/* What on this system may keep DHCP from a server that runs on the host: words for a sentence. */
extern const char platform_firewall[];

/* Whether a user may start the uplink that is used where none is given; else only root may, and sudo is asked. */
bool platform_uplink_wants_root(void);
/* Where this program stands in the file system. */
bool platform_own_path(char *path, size_t size);

/*
 * What is in this folder itself: through no link, and not in another file system that somebody has put there. Waits for nobody:
 * no FIFO, no lease. -1: errno says why.
 */
int platform_open_beneath(int folder, const char *name, int flags);

/* A descriptor that is readable when somebody opens this file; -1: this system does not tell. */
int platform_watch_openings(int folder, const char *name);
/* And when a file in this folder is written, closed by who wrote it, or removed. False: this system does not tell. */
bool platform_watch_changes(int watch, int folder);
/* Takes some of what has made it readable. Sets *has_changed if a file but `own` has changed. False: there was no more. */
bool platform_take_changes(int watch, const char *own, bool *has_changed);

/* Differs after each boot of the machine; "" where it cannot be had. */
enum { BOOT_ID_TEXT = 64 };
void platform_boot_id(char text[BOOT_ID_TEXT]);

bool platform_random(void *to, size_t octets);

/* Started with the set-user-id or set-group-id bit, or with file capabilities: the environment is a stranger's. */
bool platform_is_set_id(void);

/* The terminal driver sent it, so the whole foreground process group has it already. */
bool platform_signal_from_terminal(const siginfo_t *);

/* A descriptor that is readable when an IPv6 address of this host has come or gone; -1: none, errno says why. */
int platform_watch_addresses(void);

/* The user at the other end of a connected AF_UNIX socket, as the kernel noted it when it connected. */
bool platform_peer_user(int fd, uid_t *);

/*
 * From now on this process runs for a long while at a time, where the system lets a process say so. One that wakes up is let in
 * at once if its own turns are shorter; else it may have to wait for the end of the turn, milliseconds. Nobody gets more time
 * than before.
 */
void platform_take_long_turns(void);

/*
 * Linux. A guard that softnet-libvirt-hook starts ends with the hook's process until it stands, and outlives it from then on. The
 * signal is one that nobody else takes for this, so what another starter has asked for stays.
 */
void platform_end_with_starter(void);
void platform_outlive_starter(void);

/* Sets real, effective and saved ids. 0 or -errno. */
int platform_set_group(gid_t);
int platform_set_user(uid_t);
/* Supplementary groups: these, or those of the user. False: errno says why. */
bool platform_set_groups(const gid_t *, size_t count);
bool platform_join_groups(const char *user, gid_t);
/* True when real, effective and saved ids are all the given ones. */
bool platform_ids_are(uid_t, gid_t);

/* False: a user namespace that holds but one user, so there is nobody else to become. */
bool platform_has_other_users(void);

/* Gives up what could bring privileges back later, best effort. While still root: part of it needs privileges. */
void platform_forbid_new_privileges(void);
/* Gives up capabilities, best effort: what counts is the proof below. */
void platform_drop_capabilities(void);
/* True when this process holds no capability that works now. */
bool platform_has_no_capabilities(void);

/* The log of the system, beside stderr; a line without newline. Nothing where stderr is all there is. */
enum log_level { LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR };
void platform_log(enum log_level, const char *line);
