/* Brings a world into the states that the catalogue names, by frames that real machines would send. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_attacks.h"

#include <cmocka.h>

static void request(struct world *w, uint32_t xid)
{
	put_client_message(w, &(struct dhcp_spec){ .type = 1, .xid = xid });
	assert_int_equal(from_guest(w), PASS);
	put_client_message(w, &(struct dhcp_spec){ .type = 3, .xid = xid, .requested = GUEST_IP, .server = GATEWAY_IP });
	assert_int_equal(from_guest(w), PASS);
}

static bool bring_into_state4(struct world *w, const char *state)
{
	start_world(w, true);
	if (strcmp(state, "INIT") == 0)
		return true;
	if (strcmp(state, "REQ") == 0 || strcmp(state, "REQ2") == 0 || strcmp(state, "REQOLD") == 0) {
		request(w, XID);
		if (strcmp(state, "REQ2") == 0) {
			put_client_message(w, &(struct dhcp_spec){ .type = 1, .xid = 0x55667788 });
			assert_int_equal(from_guest(w), PASS);
		}
		w->now_ms += strcmp(state, "REQOLD") == 0 ? 3600 * 1000 : 0;
		return true;
	}
	lease(w, GUEST_IP, 600);
	w->now_ms += 20000; /* behind the conflict window, and the exchange is over */
	if (strcmp(state, "BOUND4") == 0)
		return true;
	if (strcmp(state, "INFORM") == 0) {
		put_client_message(w, &(struct dhcp_spec){ .type = 8, .ip_from = GUEST_IP, .ciaddr = GUEST_IP });
		return from_guest(w) == PASS;
	}
	if (strcmp(state, "EXPIRED4") == 0) {
		w->now_ms += 600 * 1000;
		return true;
	}
	return false;
}

/* A DHCPv6 message as the catalogue writes them: DUIDs of the MAC addresses, one IA_NA with IAID 1. */
static void put_dhcp6_body(struct world *body, uint8_t type, bool names_server, bool gives_lease)
{
	body->length = 0;
	put_number(body, (uint32_t)type << 24 | TRANSACTION_ID, 4);
	put_number(body, 0x0001000a00030001ULL, 8);
	put_number(body, GUEST_MAC, 6);
	if (names_server) {
		put_number(body, 0x0002000a00030001ULL, 8);
		put_number(body, GATEWAY_MAC, 6);
	}
	put_number(body, gives_lease ? 0x00030028 : 0x0003000c, 4);
	put_number(body, 1, 4);
	put_zeros(body, 8);
	if (!gives_lease)
		return;
	put_number(body, 0x00050018, 4);
	put_address6(body, GUEST_LEASED);
	put_number(body, 300, 4);
	put_number(body, 600, 4);
}

static enum verdict dhcp6(struct world *w, uint8_t type)
{
	static struct world body;
	bool from_server = type == 7;
	put_dhcp6_body(&body, type, type != 1, from_server);
	if (from_server)
		put_udp6_to_guest(w, GATEWAY_MAC, ROUTER_LL, GUEST_LL, 547, 546, body.length);
	else
		put_udp6(w, GUEST_LL, DHCP6_SERVERS, 546, 547, body.length);
	w->length -= body.length;
	put_bytes(w, body.frame, body.length);
	return from_server ? to_guest(w) : from_guest(w);
}

static bool has_slaac_address(struct world *w, const char *state)
{
	announce(w, LOCAL_PREFIX);
	claim_address(w, GUEST_SLAAC);
	if (strcmp(state, "SLAAC6P") == 0)
		claim_address(w, GUEST_PRIVACY);
	return true;
}

static bool bring_into_state6(struct world *w, const char *state)
{
	start_world6(w, true);
	if (strcmp(state, "INIT6") == 0)
		return true;
	assert_int_equal(solicit_dad(w, GUEST_LL), PASS);
	if (strcmp(state, "TENT6") == 0)
		return true;
	w->now_ms += 2000;
	if (strcmp(state, "LL6") == 0)
		return true;
	if (strncmp(state, "SLAAC6", 6) == 0)
		return has_slaac_address(w, state);
	assert_int_equal(dhcp6(w, 1), PASS);
	if (strcmp(state, "REQ6S") == 0)
		return true;
	assert_int_equal(dhcp6(w, 3), PASS);
	if (strcmp(state, "REQ6") == 0)
		return true;
	assert_int_equal(dhcp6(w, 7), PASS);
	w->now_ms += 20000;
	if (strcmp(state, "EXPIRED6") == 0)
		w->now_ms += 600 * 1000;
	return strcmp(state, "BOUND6") == 0 || strcmp(state, "EXPIRED6") == 0;
}

bool bring_into_state(struct world *w, const char *state)
{
	bool ipv6 = strchr(state, '6') != NULL;
	return ipv6 ? bring_into_state6(w, state) : bring_into_state4(w, state);
}
