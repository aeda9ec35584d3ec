/* One function per option: checks its value and keeps it. The options table (options.c) names them. */
#pragma once
#include "softnet/options/options.h"

// clang-format off
#define OPTIONS_WITH_VALUES(X) \
	X(vm_fd) X(vm_mac) X(net_type) X(allow) X(block) X(policy) X(inbound) X(reject) X(names) X(ech) X(offload) X(dns_questions) X(expose) X(guest) X(uplink) \
	X(gateway) X(gateway_mac) \
	X(dhcp_server) X(dns) X(vm_ip) X(shared_ip) X(no_dhcp) X(no_resync) X(anchors) X(client_id) X(host_names) \
	X(arp_conflicts) X(isolation) X(ipv6) X(ipv6_iid) X(nat64) X(mtu) X(rate) X(state) X(leave) X(user) X(group) X(lease_time) X(verbose) X(help) \
	X(version) X(probe) X(escalated) X(control_fd) X(control) \
	X(name) X(label) X(segment) X(events) X(pcap) X(frames) X(pcap_size) X(pcap_files) X(metrics) X(vm) X(json) X(openmetrics) \
	X(guest_pcap) X(uplink_pcap) X(diff) X(wildcard) X(host) X(site) X(sandbox)
// clang-format on

#define X(name) bool take_##name(struct options *, const char *value, struct error *);
OPTIONS_WITH_VALUES(X)
#undef X

/* A capture for replay. */
bool add_capture(struct options *, const char *path, enum capture_side, struct error *);

/* Keeps a text as it is; an empty one is refused: expected `what`. */
bool keep_text(const char **to, const char *value, const char *what, struct error *);

/* The options without a value. */
#define TAKE_FLAG(name, statement) \
	bool take_##name(struct options *options, const char *value, struct error *error) \
	{ \
		(void)value; \
		(void)error; \
		statement; \
		return true; \
	}
