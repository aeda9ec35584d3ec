/*
 * The keys of Initial packets follow from a number in the packet, so they keep no secret: what the tag proves is only
 * which number the packet was made with. Nothing is kept from one packet to the next.
 */
#include "softnet/names/quic_crypto.h"
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <string.h>

enum { KEY = 16, NONCE = 12, TAG = 16, SECRET = SHA256_DIGEST_SIZE, SAMPLE = 16, SAMPLE_AT = 4, NUMBER_MAX = 4 };

/* What differs between the versions: RFC 9001 5.2, RFC 9369 3.3. */
struct version {
	uint8_t salt[20];
	const char *key, *nonce, *header;
};

static const struct version version_1 = { { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
					    0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a },
					  "tls13 quic key",
					  "tls13 quic iv",
					  "tls13 quic hp" };
static const struct version version_2 = { { 0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
					    0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9 },
					  "tls13 quicv2 key",
					  "tls13 quicv2 iv",
					  "tls13 quicv2 hp" };

static void update_hmac(void *hmac, size_t octets, const uint8_t *bytes)
{
	hmac_sha256_update(hmac, octets, bytes);
}

static void finish_hmac(void *hmac, size_t octets, uint8_t *to)
{
	hmac_sha256_digest(hmac, octets, to);
}

/* RFC 8446 7.1: HKDF-Expand-Label, without context; SHA-256. */
static void expand_label(const uint8_t secret[SECRET], const char *label, uint8_t *to, uint8_t octets)
{
	struct hmac_sha256_ctx hmac;
	uint8_t info[64];
	size_t length = strlen(label), at = 0;
	info[at++] = 0;
	info[at++] = octets;
	info[at++] = (uint8_t)length;
	memcpy(info + at, label, length);
	at += length;
	info[at++] = 0;
	hmac_sha256_set_key(&hmac, SECRET, secret);
	hkdf_expand(&hmac, update_hmac, finish_hmac, SHA256_DIGEST_SIZE, at, info, octets, to);
}

struct keys {
	uint8_t key[KEY], nonce[NONCE], header[KEY];
};

static void derive_keys(const struct version *version, const struct connection_id *id, struct keys *keys)
{
	struct hmac_sha256_ctx hmac;
	uint8_t initial[SECRET], client[SECRET];
	hmac_sha256_set_key(&hmac, sizeof version->salt, version->salt);
	hkdf_extract(&hmac, update_hmac, finish_hmac, SHA256_DIGEST_SIZE, id->length, id->octets, initial);
	expand_label(initial, "tls13 client in", client, SECRET);
	expand_label(client, version->key, keys->key, KEY);
	expand_label(client, version->nonce, keys->nonce, NONCE);
	expand_label(client, version->header, keys->header, KEY);
}

/* The header without protection (RFC 9001 5.4.1): all that is authenticated beside the frames. */
struct header {
	uint8_t first;
	uint8_t number[NUMBER_MAX];
	uint32_t number_octets;
};

static void unprotect_header(const struct keys *keys, const uint8_t *packet, uint32_t number_at, struct header *header)
{
	struct aes128_ctx aes;
	uint8_t mask[AES_BLOCK_SIZE];
	aes128_set_encrypt_key(&aes, keys->header);
	aes128_encrypt(&aes, sizeof mask, mask, packet + number_at + SAMPLE_AT);
	header->first = packet[0] ^ (mask[0] & 0x0f);
	header->number_octets = 1 + (header->first & 3u);
	for (uint32_t i = 0; i < header->number_octets; i++)
		header->number[i] = packet[number_at + i] ^ mask[1 + i];
}

static uint32_t number_in(const struct header *header)
{
	uint32_t number = 0;
	for (uint32_t i = 0; i < header->number_octets; i++)
		number = number << 8 | header->number[i];
	return number;
}

/* nettle takes what is authenticated in pieces, of which only the last may have an odd length. */
static void authenticate_header(struct gcm_aes128_ctx *gcm, const uint8_t *packet, uint32_t number_at,
				const struct header *header)
{
	uint8_t block[GCM_BLOCK_SIZE];
	uint32_t end = number_at + header->number_octets;
	for (uint32_t at = 0; at < end; at += GCM_BLOCK_SIZE) {
		uint32_t octets = end - at < GCM_BLOCK_SIZE ? end - at : GCM_BLOCK_SIZE;
		for (uint32_t i = 0; i < octets; i++)
			block[i] = at + i == 0          ? header->first
				   : at + i < number_at ? packet[at + i]
							: header->number[at + i - number_at];
		gcm_aes128_update(gcm, octets, block);
	}
}

static bool open_payload(const struct keys *keys, const uint8_t *packet, uint32_t number_at, uint32_t end,
			 const struct header *header, uint8_t *plain)
{
	struct gcm_aes128_ctx gcm;
	uint8_t nonce[NONCE], tag[TAG];
	uint32_t number = number_in(header), payload = number_at + header->number_octets, octets = end - TAG - payload;
	memcpy(nonce, keys->nonce, NONCE);
	for (uint32_t i = 0; i < sizeof number; i++)
		nonce[NONCE - 1 - i] ^= (uint8_t)(number >> 8 * i);
	gcm_aes128_set_key(&gcm, keys->key);
	gcm_aes128_set_iv(&gcm, NONCE, nonce);
	authenticate_header(&gcm, packet, number_at, header);
	gcm_aes128_decrypt(&gcm, octets, plain, packet + payload);
	gcm_aes128_digest(&gcm, TAG, tag);
	return memcmp(tag, packet + end - TAG, TAG) == 0; /* no secret: time may tell */
}

static bool open_client_initial(const struct connection_id *id, const struct quic_packet *p, const uint8_t *bytes,
				uint8_t *plain, struct quic_opened *opened)
{
	const uint8_t *packet = bytes + p->at;
	uint32_t number_at = p->packet_number_at - p->at, end = p->end - p->at;
	struct keys keys;
	struct header header;
	if (p->kind != QUIC_INITIAL || end < number_at + SAMPLE_AT + SAMPLE) /* RFC 9001 5.4.2 */
		return false;
	derive_keys(p->version == QUIC_VERSION_2 ? &version_2 : &version_1, id, &keys);
	unprotect_header(&keys, packet, number_at, &header);
	*opened = (struct quic_opened){ end - TAG - number_at - header.number_octets, number_in(&header),
					header.number_octets };
	return open_payload(&keys, packet, number_at, end, &header, plain) && (header.first & 0x0c) == 0;
}

quic_opener *client_initial_opener(void)
{
	return open_client_initial;
}
