/*
 * The double of vmnet's forwardings: a port of the host is taken for real, and nothing is forwarded. Answers come on a thread
 * of the framework's own. Faults, for a port: rule=STATUS@PORT-PORT, rule-refused=STATUS@...; for all: rules-late.
 */
#include <Block.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fake.h"
#include "vmnet.h"

enum { LATE_US = 100000 };

/* -1: somebody has it. */
static int take_port(uint8_t protocol, uint8_t family, uint16_t port)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(family, (protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	const struct sockaddr *address = family == AF_INET ? (const struct sockaddr *)&ipv4
							   : (const struct sockaddr *)&ipv6;
	socklen_t length = family == AF_INET ? sizeof ipv4 : sizeof ipv6;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ protocol == IPPROTO_TCP }, sizeof(int));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int));
	if (bind(fd, address, length) == 0 && (protocol != IPPROTO_TCP || listen(fd, 8) == 0))
		return fd;
	close(fd);
	return -1;
}

static struct rule *find(interface_ref v, uint8_t protocol, uint8_t family, uint16_t port)
{
	for (unsigned i = 0; i < v->rule_count; i++)
		if (v->rules[i].protocol == protocol && v->rules[i].family == family && v->rules[i].port == port)
			return &v->rules[i];
	return NULL;
}

static void check_rule(interface_ref v, uint8_t protocol, uint8_t family)
{
	check_running(v, "a port forwarding rule");
	if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || (family != AF_INET && family != AF_INET6))
		misuse("rule: protocol %u, family %u", protocol, family);
}

static void answer(interface_ref v, vmnet_interface_completion_handler_t handler, vmnet_return_t status)
{
	dispatch_async(v->answers, ^{
	  if (fault("rules-late", 0, NULL))
		  usleep(LATE_US);
	  if (handler)
		  handler(status);
	});
}

static unsigned add_rule(interface_ref v, uint8_t protocol, uint8_t family, uint16_t port)
{
	unsigned status = VMNET_SUCCESS;
	if (fault("rule", port, &status))
		return status;
	pthread_mutex_lock(&v->lock);
	bool is_possible = v->rule_count < RULES_MAX && !find(v, protocol, family, port);
	int fd = is_possible ? take_port(protocol, family, port) : -1;
	if (fd >= 0)
		v->rules[v->rule_count++] = (struct rule){ protocol, family, port, fd };
	pthread_mutex_unlock(&v->lock);
	return fd >= 0 ? VMNET_SUCCESS : VMNET_FAILURE;
}

vmnet_return_t vmnet_interface_add_ip_port_forwarding_rule(interface_ref v, uint8_t protocol, uint16_t external_port,
							   uint8_t family, const void *address, uint16_t internal_port,
							   vmnet_interface_completion_handler_t handler)
{
	char text[INET6_ADDRSTRLEN] = "?";
	unsigned status = VMNET_SUCCESS;
	check_rule(v, protocol, family);
	inet_ntop(family, address, text, sizeof text);
	if (fault("rule-refused", external_port, &status))
		return status;
	status = add_rule(v, protocol, family, external_port);
	record("rule add protocol=%u port=%u to=%s port=%u status=%u", protocol, external_port, text, internal_port,
	       status);
	answer(v, handler, status);
	return VMNET_SUCCESS;
}

vmnet_return_t vmnet_interface_remove_ip_port_forwarding_rule(interface_ref v, uint8_t protocol, uint16_t external_port,
							      uint8_t family,
							      vmnet_interface_completion_handler_t handler)
{
	check_rule(v, protocol, family);
	pthread_mutex_lock(&v->lock);
	struct rule *rule = find(v, protocol, family, external_port);
	bool is_there = rule != NULL;
	if (is_there) {
		close(rule->fd);
		*rule = v->rules[--v->rule_count];
	}
	pthread_mutex_unlock(&v->lock);
	record("rule remove protocol=%u family=%u port=%u known=%d", protocol, family, external_port, is_there);
	answer(v, handler, is_there ? VMNET_SUCCESS : VMNET_FAILURE);
	return VMNET_SUCCESS;
}

void close_rules(interface_ref v)
{
	pthread_mutex_lock(&v->lock);
	while (v->rule_count > 0)
		close(v->rules[--v->rule_count].fd);
	pthread_mutex_unlock(&v->lock);
}
