/*
 * What the hook has done for a domain, for its next call: /run/softnet/libvirt/UUID has a line "INTERFACE NUMBER" for each port
 * that it has guarded. The keeper of these guards holds a lock on the file while it lives.
 */
#pragma once
#include <sys/types.h>
#include "system/error.h"

/* Until the process ends, hooks of other domains wait: the kernel's tables are changed by one after the other. */
bool enter_hooks_alone(struct error *);

bool has_record(const char *uuid);
/* Made if it is not there; the caller is its keeper from now on. -1: the error says why. */
int open_record(const char *uuid, struct error *);
/* False: errno says why. */
bool record_port(int record, const char *interface, unsigned number);
/* 0: nobody keeps guards of the domain. */
pid_t keeper_of(const char *uuid);
/* Ends the keeper, and takes the guards away that are still at ports of the record, and the record. */
void undo_record(const char *uuid);
