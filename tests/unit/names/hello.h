/* Hellos that tests make, right ones and wrong ones. */
#pragma once
#include "octets.h"

struct hello_form {
	const char *name;        /* NULL: no such extension */
	const char *second_name; /* in the same list */
	const char *name_twice;  /* in a second extension of the type */
	uint8_t name_type;
	uint16_t extra_type;     /* one more extension; 0: none */
	uint32_t padding;        /* octets of another one, in front of the name; 0: none */
	uint32_t cut_extensions; /* the last octets are not there, whatever the lengths say */
	uint8_t session;
	uint16_t version; /* 0: 0x0303 */
	bool odd_suites, no_extensions;
	int list_longer; /* what the length of the list of names is wrong by */
};

static inline void put_one_name(struct octets *o, const char *name, uint8_t type)
{
	put_value(o, type, 1);
	put_value(o, strlen(name), 2);
	put_string(o, name);
}

static inline void put_server_name(struct octets *o, const struct hello_form *f, const char *name, const char *second)
{
	put_value(o, 0, 2);
	uint32_t extension = o->length;
	put_value(o, 0, 2);
	uint32_t list = o->length;
	put_value(o, 0, 2);
	put_one_name(o, name, f->name_type);
	if (second)
		put_one_name(o, second, f->name_type);
	end_length(o, list, 2);
	o->bytes[list + 1] = (uint8_t)(o->bytes[list + 1] + f->list_longer);
	end_length(o, extension, 2);
}

static inline void put_extensions(struct octets *o, const struct hello_form *f)
{
	uint32_t at = o->length;
	put_value(o, 0, 2);
	put_hex(o, "002b0003020304");
	if (f->padding > 0) {
		put_value(o, 21, 2);
		put_value(o, f->padding, 2);
		for (uint32_t i = 0; i < f->padding; i++)
			put_value(o, i, 1);
	}
	if (f->name)
		put_server_name(o, f, f->name, f->second_name);
	if (f->extra_type != 0) {
		put_value(o, f->extra_type, 2);
		put_hex(o, "0003010203");
	}
	if (f->name_twice)
		put_server_name(o, f, f->name_twice, NULL);
	put_hex(o, "00100005000302683200");
	o->length--;
	end_length(o, at, 2);
	o->length -= f->cut_extensions;
}

/* The handshake message, without records. */
static inline void put_hello(struct octets *o, const struct hello_form *f)
{
	put_value(o, 1, 1);
	uint32_t at = o->length;
	put_value(o, 0, 3);
	put_value(o, f->version ? f->version : 0x0303, 2);
	for (int i = 0; i < 32; i++)
		put_value(o, 0x5a, 1);
	put_value(o, f->session, 1);
	for (int i = 0; i < f->session; i++)
		put_value(o, 0xee, 1);
	put_hex(o, f->odd_suites ? "0003130113" : "00021301");
	put_hex(o, "0100");
	if (!f->no_extensions)
		put_extensions(o, f);
	end_length(o, at, 3);
}

/* In handshake records of `size` octets at most. */
static inline void put_records(struct octets *o, const uint8_t *bytes, uint32_t octets, uint32_t size)
{
	for (uint32_t at = 0; at < octets; at += size) {
		uint32_t n = octets - at < size ? octets - at : size;
		put_hex(o, "160301");
		put_value(o, n, 2);
		put_octets(o, bytes + at, n);
	}
}
