/* The inside of pcap_file.c: numbers of either byte order, and the blocks of pcapng. */
#pragma once
#include "softnet/capture/pcap_file.h"
#include "softnet/capture/pcapng.h"

static inline uint16_t number16(const struct pcap_file *file, const uint8_t *at)
{
	return (uint16_t)(file->is_big_endian ? at[0] << 8 | at[1] : at[1] << 8 | at[0]);
}

static inline uint32_t number32(const struct pcap_file *file, const uint8_t *at)
{
	uint32_t first = number16(file, at), second = number16(file, at + 2);
	return file->is_big_endian ? first << 16 | second : second << 16 | first;
}

/* The path in front. */
enum capture_step capture_is_broken(struct pcap_file *, const char *how);
enum capture_step capture_is_not_ethernet(struct pcap_file *, uint32_t link_type);

struct block {
	uint32_t type; /* maybe none of enum block_type */
	const uint8_t *body;
	size_t length; /* of the body */
};

/* CAPTURE_FRAME where the block held one, CAPTURE_END where it did not. */
enum capture_step take_capture_block(struct pcap_file *, const struct block *, struct captured *);
