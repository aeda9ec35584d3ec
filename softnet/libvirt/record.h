/*
 * What the hook has done for a domain, for its next call: /run/softnet/libvirt/UUID has a line "INTERFACE NUMBER" for each port
 * that it has guarded, and before it "INTERFACE NUMBER starts". The keeper of these guards holds a lock on the file while it lives.
 */
#pragma once
#include <sys/types.h>
#include "system/error.h"

/* Until the process ends, hooks of other domains wait: the kernel's tables are changed by one after the other. */
bool enter_hooks_alone(struct error *);

/* Of the domain's. */
bool has_record(const char *uuid);
/* Of a domain, or UUID.NUMBER for cards that were plugged in. Made if it is not there; the caller is its keeper from now on. -1: the error says why. */
int open_record(const char *name, struct error *);
/* False: errno says why. */
bool record_port(int record, const char *interface, unsigned number, bool is_guarded);
/* One of the domain's records has this port as it is now; and somebody keeps its guard. */
bool is_recorded(const char *uuid, const char *interface);
bool is_kept(const char *uuid, const char *interface);
/* 0: nobody keeps guards of the record. */
pid_t keeper_of(const char *name);
/* Ends all keepers of the domain, and takes the guards away that are still at ports of its records, and these. */
void undo_records(const char *uuid);
/* The same by its keeper, which keeps the lock until it is done. */
void undo_own_record(const char *name, int record);
