/* From libvirt's own filters to softnet's metadata: clean-traffic, clean-traffic-gateway and their parameters. docs/nwfilter.md. */
#pragma once
#include <stdio.h>
#include "softnet/libvirt/domain.h"

/*
 * Prints the element <guard> for all interfaces of the domain, as `virsh metadata --set` takes it: one line. Nothing is printed
 * where it says false: a filter or a parameter that has no counterpart, which the error names.
 */
bool convert_filters(const struct domain *, FILE *to, struct error *);
