/* Names of results are not believed: the kernel says which end belongs to which. */
#include "softnet/cni/place.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "port/linux/bridge_port.h"
#include "port/linux/link_kind.h"
#include "port/linux/netspace.h"
#include "system/descriptors.h"
#include "system/log.h"

/* What the kernel says inside. */
struct inside {
	struct link link;
	struct link_kind kind;
	uint64_t netspace;
};

static bool look_inside(const struct cni_call *call, struct inside *inside, struct fault *fault)
{
	int own = open_own_netspace();
	if (own < 0)
		return fail(fault, CNI_INPUT_OUTPUT, "cannot open the own network namespace: %s", strerror(errno));
	if (!enter_netspace(call->netns, &fault->error)) {
		close(own);
		return fail_of(fault, CNI_CONTAINER_UNKNOWN);
	}
	bool is_read = read_link(0, call->interface, &inside->link) && read_link_kind(inside->link.index, &inside->kind);
	inside->netspace = own_netspace_number();
	return_to_netspace(own);
	return is_read ||
	       fail(fault, CNI_CONFIGURATION, "there is no interface %.15s in %.120s", call->interface, call->netns);
}

/* The other end must be of a veth whose other end is the container's, in the container's namespace. */
static bool is_other_end(const struct cni_call *call, const struct inside *inside, struct link *link)
{
	struct link_kind kind;
	int fd = open(call->netns, O_RDONLY | O_CLOEXEC);
	int32_t space = fd >= 0 ? number_of_netspace(fd) : -1;
	if (fd >= 0)
		close(fd);
	return space >= 0 && read_link(inside->kind.other, NULL, link) && read_link_kind(link->index, &kind) &&
	       strcmp(kind.kind, "veth") == 0 && kind.other == inside->link.index && kind.other_space == space;
}

static void stand_at(struct place *place, const struct link *link, uint64_t netspace)
{
	copy_text(place->interface, sizeof place->interface, link->name);
	place->number = link->index;
	place->netspace = netspace;
}

bool find_port_of(const struct cni_call *call, struct place *place, struct fault *fault)
{
	struct inside inside;
	struct link outside;
	*place = (struct place){ .is_inside = false };
	if (!look_inside(call, &inside, fault))
		return false;
	place->mac = inside.link.mac;
	place->is_inside = strcmp(inside.kind.kind, "tun") == 0;
	if (place->is_inside) {
		stand_at(place, &inside.link, inside.netspace);
		return true;
	}
	if (strcmp(inside.kind.kind, "veth") != 0)
		return fail(
		    fault,
		    CNI_CONFIGURATION, "%.15s is of the kind \"%.15s\", whose frames come out of no interface of the host; expected a veth or a tap",
		    call->interface, inside.kind.kind[0] != '\0' ? inside.kind.kind : "card");
	if (!is_other_end(call, &inside, &outside))
		return fail(fault, CNI_CONFIGURATION, "%.15s: its other end is not in the host's network namespace",
			    call->interface);
	stand_at(place, &outside, own_netspace_number());
	return true;
}

bool enter_place(const struct place *place, const char *path)
{
	struct error unused;
	if (!place->is_inside)
		return true;
	if (path[0] != '\0' && enter_netspace(path, &unused) && own_netspace_number() == place->netspace)
		return true;
	return enter_numbered_netspace(place->netspace);
}
