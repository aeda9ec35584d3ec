/* The numbers of pcapng (draft-ietf-opsawg-pcapng) that we write, or look into when we read. */
#pragma once
#include <stddef.h>

/* That of a section reads the same in both byte orders. */
enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_OLD_PACKET = 2,
	BLOCK_SIMPLE_PACKET = 3,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a
};

/* The first two mean the same in every block. */
enum option_code {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SECTION_PROGRAM = 4,
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_RESOLUTION = 9,
	INTERFACE_OFFSET = 14,
	PACKET_FLAGS = 2
};

/* Octets: in front of a body, behind it, and in front of an option's value. */
enum { BLOCK_HEADER = 8, BLOCK_END = 4, OPTION_HEADER = 4 };

/* What every body of its type begins with, in octets. */
enum { SECTION_BODY = 16, INTERFACE_BODY = 8, PACKET_BODY = 20, SIMPLE_BODY = 4 };

enum { BYTE_ORDER_MAGIC = 0x1a2b3c4d, LINK_ETHERNET = 1 };

/* Options and what a packet holds fill whole 32 bits. */
static inline size_t padded(size_t octets)
{
	return (octets + 3) & ~(size_t)3;
}
