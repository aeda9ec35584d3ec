/* The process table: of oneself, the saved ids. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

enum { PROC_PIDTBSDINFO = 3 };

struct proc_bsdinfo {
	uid_t pbi_svuid;
	gid_t pbi_svgid;
};

int proc_pidinfo(int pid, int flavor, uint64_t argument, void *to, int octets);
