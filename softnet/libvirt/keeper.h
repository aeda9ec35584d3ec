/*
 * The process that stays when the hook has ended: it starts the guards of a domain, hands their lines to the log of the system,
 * and starts one again that dies. When all ports are gone it ends. A signal ends it, too, and leaves the guards where they are.
 */
#pragma once
#include "softnet/libvirt/domain.h"

/* Fatal: true only when all guards judge; otherwise the error says which one does not, and why. */
bool start_keeper(const struct domain *, bool is_fatal, struct error *);
