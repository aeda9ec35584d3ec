/* Where this softnet was built without the guard in the kernel. */
#include "softnet/guard/kernel_relay.h"
#include "system/log.h"

static const char none[] =
    "this softnet was built without the guard in the kernel, which needs Linux, clang and libbpf";

void open_kernel_relay(struct relay *r, const struct options *options, struct port **guest, struct port **uplink)
{
	(void)r;
	(void)options;
	(void)guest;
	(void)uplink;
	die("attach: %s", none);
}

void take_kernel_state(struct relay *r, struct state *state, uint64_t setup_hash)
{
	(void)r;
	(void)state;
	(void)setup_hash;
}

void start_kernel_relay(struct relay *r)
{
	(void)r;
}

enum relay_end follow_kernel(struct relay *r)
{
	(void)r;
	return RELAY_GOES_ON;
}

void keep_kernel(struct relay *r)
{
	(void)r;
}

void note_new_policy(struct relay *r)
{
	(void)r;
}

void note_new_setup(struct relay *r, uint64_t setup_hash)
{
	(void)r;
	(void)setup_hash;
}

int detach_guard(const char *interface)
{
	(void)interface;
	die("detach: %s", none);
}
