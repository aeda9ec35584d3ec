/* Builds DHCPv6 messages octet by octet, independently of the parser under test. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "world_dhcp6.h"

#include <cmocka.h>

static const uint8_t guest_duid[] = { 0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 0x0a };
static const uint8_t server_duid[] = { 0, 2, 0, 0, 0, 1, 9, 8, 7 };

static void put_option(struct world *w, uint16_t code, const void *value, uint32_t octets)
{
	put_number(w, code, 2);
	put_number(w, octets, 2);
	put_bytes(w, value, octets);
}

static void put_status(struct world *w, uint16_t status)
{
	if (status == 0)
		return;
	put_number(w, 13, 2);
	put_number(w, 2 + 5, 2);
	put_number(w, status, 2);
	put_bytes(w, "sorry", 5);
}

/* The length is known behind the value. */
static uint32_t begin_option(struct world *w, uint16_t code)
{
	put_number(w, code, 2);
	put_number(w, 0, 2);
	return w->length;
}

static void end_option(struct world *w, uint32_t began)
{
	w->frame[began - 2] = (uint8_t)((w->length - began) >> 8);
	w->frame[began - 1] = (uint8_t)(w->length - began);
}

static void put_ia(struct world *w, const struct ia_spec *ia)
{
	uint32_t began = begin_option(w, ia->temporary ? 4 : 3);
	put_number(w, ia->iaid, 4);
	if (!ia->temporary)
		put_zeros(w, 8); /* T1, T2: the client chooses */
	for (uint32_t i = 0; i < 6 && !is_unset(ia->lease[i].address); i++) {
		const struct lease6_spec *l = &ia->lease[i];
		uint32_t inner = begin_option(w, 5);
		put_address6(w, l->address);
		put_number(w, l->preferred_s ? l->preferred_s : l->valid_s / 2, 4);
		put_number(w, l->valid_s, 4);
		put_status(w, l->status);
		end_option(w, inner);
	}
	put_status(w, ia->status);
	end_option(w, began);
}

static void put_ias(struct world *w, const struct dhcp6_spec *s)
{
	struct ia_spec only = { .iaid = IAID, .lease = { { .address = s->address, .valid_s = s->valid_s } } };
	if (s->ia[0].iaid == 0 && !s->no_ia && s->type != INFORMATION_REQUEST)
		put_ia(w, &only);
	for (uint32_t i = 0; i < 5 && s->ia[i].iaid != 0; i++)
		put_ia(w, &s->ia[i]);
}

static void put_message(struct world *w, const struct dhcp6_spec *s, bool names_server)
{
	put_number(w, s->type, 1);
	put_number(w, s->id ? s->id : ID6, 3);
	if (!s->no_client_id && s->duid)
		put_option(w, 1, s->duid, s->duid_octets);
	else if (!s->no_client_id)
		put_option(w, 1, guest_duid, sizeof guest_duid);
	if (names_server)
		put_option(w, 2, server_duid, sizeof server_duid);
	put_option(w, 8, "\0\0", 2); /* elapsed time */
	if (s->rapid_commit)
		put_option(w, 14, NULL, 0);
	put_ias(w, s);
	put_status(w, s->status);
	if (!is_unset(s->resolver)) {
		uint32_t began = begin_option(w, 23);
		put_address6(w, s->resolver);
		end_option(w, began);
	}
	if (s->refresh_s) {
		uint32_t began = begin_option(w, 32);
		put_number(w, s->refresh_s, 4);
		end_option(w, began);
	}
	put_bytes(w, s->extra, s->extra_octets);
}

static struct address or_else(struct address a, struct address otherwise)
{
	return is_unset(a) ? otherwise : a;
}

void put_client_message6(struct world *w, const struct dhcp6_spec *s)
{
	static struct world body;
	bool to_one = s->type == REQUEST || s->type == RENEW || s->type == RELEASE || s->type == DECLINE;
	struct address to = or_else(s->ip_to, DHCP6_SERVERS);
	body.length = 0;
	put_message(&body, s, to_one && !s->no_server_id);
	put_ethernet(w, s->mac_to ? s->mac_to : mac_for6(to), s->mac_from ? s->mac_from : GUEST_MAC, 0x86dd);
	put_ipv6(w, or_else(s->ip_from, GUEST_LL), to, 17, 1, 8 + body.length);
	put_udp(w, 546, 547, body.length);
	put_bytes(w, body.frame, body.length);
}

void put_server_message6(struct world *w, const struct dhcp6_spec *s)
{
	static struct world body;
	body.length = 0;
	put_message(&body, s, !s->no_server_id);
	put_ethernet(w, s->mac_to ? s->mac_to : GUEST_MAC, s->mac_from ? s->mac_from : GATEWAY_MAC, 0x86dd);
	put_ipv6(w, or_else(s->ip_from, ROUTER_LL), or_else(s->ip_to, GUEST_LL), 17, 64, 8 + body.length);
	put_udp(w, 547, 546, body.length);
	put_bytes(w, body.frame, body.length);
}

enum verdict ask6(struct world *w, struct dhcp6_spec spec)
{
	put_client_message6(w, &spec);
	return from_guest(w);
}

enum verdict answer6(struct world *w, struct dhcp6_spec spec)
{
	put_server_message6(w, &spec);
	return to_guest(w);
}

void lease6(struct world *w, struct address address, uint32_t valid_s, uint32_t id)
{
	uint32_t before = id ^ 0x800000;
	assert_int_equal(ask6(w, (struct dhcp6_spec){ .type = SOLICIT, .id = before }), PASS);
	assert_int_equal(
	    answer6(w, (struct dhcp6_spec){ .type = ADVERTISE, .id = before, .address = address, .valid_s = valid_s }),
	    PASS);
	assert_int_equal(ask6(w, (struct dhcp6_spec){ .type = REQUEST, .id = id, .address = address }), PASS);
	assert_int_equal(
	    answer6(w, (struct dhcp6_spec){ .type = REPLY, .id = id, .address = address, .valid_s = valid_s }), PASS);
}
