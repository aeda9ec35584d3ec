/*
 * The registry of claims: guards of one host whose VMs share a network share who holds which address. An address is one
 * guard's at a time. Who has it keeps it, and who claims it later is refused; only what the operator gave (--vm-ip)
 * outranks what somebody has by having come first.
 *
 * No daemon, nothing for each frame: a claim is written into the guard's own file, and then others' files are read. So
 * of two that claim at the same time one sees the other, or each does, and then none has it. A guard that ends in
 * whatever way loses all, and claims again what its saved state has.
 */
#pragma once
#include "core/judge/state.h"
#include "softnet/claims/claims_bells.h"

enum { CONFLICTS_MAX = 8 };

/* Two guards wanted it. */
struct claim_conflict {
	struct address address;
	bool is_ours; /* we hold it, and the other one wanted it */
	uint32_t pid; /* the other one; 0: no conflict */
	uid_t user;
	char vm[VM_NAME_MAX + 1];
	uint64_t last_ms, told_ms;
};

struct claims {
	struct claims_folder folder;
	const struct port *uplink; /* NULL: not joined yet */
	uint32_t port;             /* ours on that network */
	const char *named;         /* the segment, by the operator; NULL: the uplink knows */
	struct claims_page page;   /* as it stands in our file */
	bool is_given[CLAIMS_MAX]; /* by the operator: no conflict takes it */
	struct claim_conflict conflicts[CONFLICTS_MAX];
	struct claims_bells bells;
	uint64_t looked_ms; /* when our own was answered */
	int bell; /* readable when somebody opens our file, perhaps to ring; -1: it must be looked for by the clock */
	bool watches_others; /* and when others' files change */
	uint64_t noted_ms[NOTES_MAX];
	bool has_failed; /* and that was told */

	/* A conflict that is new, or goes on after a minute. */
	void (*tell)(void *context, const struct claim_conflict *);
	/* The VM must lose this address, which is another's. */
	void (*lose)(void *context, struct address, const char *why);
	void *context;
};

/* What the operator gave. */
struct operators_word {
	const char *vm; /* --name, or the MAC address */
	const char (*labels)[VM_NAME_MAX + 1];
	uint32_t label_count;
	const struct claim *given;
	uint32_t given_count;
};

/*
 * Makes our file, with the rights of the moment. The segment of a port that is not open yet
 * may follow. NULL, or why others will not see what this VM has; then it works without.
 */
const char *open_claims(struct claims *, const struct operators_word *, const struct port *uplink, const char *named);

/* From now on the bell rings, too, when claims of others change. Where that cannot be had, the clock has to do. */
void watch_others(struct claims *);

/*
 * Claims all that the VM has by its start: what the operator gave, and what a saved state brought back; of that `lose` is
 * told what others have now. Not NULL: another guard, which had it from the operator as well.
 */
const struct claim_conflict *enter_claims(struct claims *, const struct config *, const struct state *,
					  const struct port *uplink, uint64_t now_ms);

/* True: the port is on another network now. */
bool move_claims(struct claims *, uint64_t now_ms);

/* False: another guard has it, and this one does not get it. */
bool claim_address(struct claims *, struct address, uint64_t now_ms);
void release_address(struct claims *, struct address);

/* Once a second: whether others want what is ours, or have been given it. */
void follow_claims(struct claims *, uint64_t now_ms);

/* What has made it readable is taken; whether it was a ring, the next look says. True: another's file has changed. */
bool drain_bell(const struct claims *);

/*
 * The addresses of other VMs on our network, those that nobody shares, for each of their names and labels that is wanted. These
 * count where the operator has given them, to a guard of root's or of our own user's.
 */
struct vm_search {
	bool (*wants)(void *context, const char *vm);
	/* It is that VM's until then; UINT64_MAX: no end is known. */
	void (*found)(void *context, const char *vm, struct address, uint64_t until_ms);
	void *context;
};
void find_vms(struct claims *, const struct vm_search *, uint64_t now_ms);

/*
 * Where the kernel knows ports, its word counts: a guard that was taken over is on no network but its own, and another
 * user's guard where the port is that user's. Where it knows none, another user's word is nothing.
 */
bool is_there(const struct claims *, const struct other_guard *);

/*
 * Until when our VM has what we claim. A guard that stands still goes on claiming, and cannot say that a lease has ended: so it has
 * said before when that will be.
 */
void tell_ends(struct claims *, const struct state *, uint64_t now_ms);
/* Nothing of it needs the clock now. */
bool claims_may_rest(const struct claims *);

/* For tests: a guard that ends leaves what the next one on this host clears away. */
void close_claims(struct claims *);
