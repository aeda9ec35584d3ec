/* Makes Initial packets as QUIC clients do: RFC 9001 5, RFC 9369 3. */
#pragma once
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>

#include "core/names/read/quic.h"
#include "octets.h"

static inline void seal_update(void *hmac, size_t n, const uint8_t *bytes)
{
	hmac_sha256_update(hmac, n, bytes);
}

static inline void seal_digest(void *hmac, size_t n, uint8_t *to)
{
	hmac_sha256_digest(hmac, n, to);
}

static inline void seal_expand(const uint8_t secret[32], const char *label, uint8_t *to, uint8_t octets)
{
	struct hmac_sha256_ctx hmac;
	struct octets info = { .length = 0 };
	put_value(&info, octets, 2);
	put_value(&info, strlen(label) + 6, 1);
	put_string(&info, "tls13 ");
	put_string(&info, label);
	put_value(&info, 0, 1);
	hmac_sha256_set_key(&hmac, 32, secret);
	hkdf_expand(&hmac, seal_update, seal_digest, 32, info.length, info.bytes, octets, to);
}

struct initial_form {
	uint32_t version;        /* 0: 1 */
	const char *id;          /* whose keys; in hexadecimal */
	const char *destination; /* NULL: the same */
	uint32_t number;
	uint32_t number_octets; /* 0: 4 */
	uint32_t octets;        /* padded to so many; 0: 1200 */
	bool no_fixed_bit;
};

/* Appends a packet with these frames. */
static inline void put_initial(struct octets *o, const struct initial_form *f, const struct octets *frames)
{
	static const char *const salts[] = { "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
					     "0dede3def700a6db819381be6e269dcbf9bd2ed9" };
	bool second = f->version == QUIC_VERSION_2;
	struct octets salt = { .length = 0 }, id = { .length = 0 }, head = { .length = 0 }, plain = { .length = 0 };
	struct hmac_sha256_ctx hmac;
	struct gcm_aes128_ctx gcm;
	struct aes128_ctx aes;
	uint8_t secret[32], client[32], key[16], nonce[12], protect[16], mask[16];
	static uint8_t sealed[20000];
	uint32_t number_octets = f->number_octets ? f->number_octets : 4, wanted = f->octets ? f->octets : 1200;
	put_hex(&salt, salts[second]);
	put_hex(&id, f->id);
	hmac_sha256_set_key(&hmac, salt.length, salt.bytes);
	hkdf_extract(&hmac, seal_update, seal_digest, 32, id.length, id.bytes, secret);
	seal_expand(secret, "client in", client, 32);
	seal_expand(client, second ? "quicv2 key" : "quic key", key, 16);
	seal_expand(client, second ? "quicv2 iv" : "quic iv", nonce, 12);
	seal_expand(client, second ? "quicv2 hp" : "quic hp", protect, 16);
	put_value(&head, ((f->no_fixed_bit ? 0x80u : 0xc0u) | (second ? 0x10u : 0)) + number_octets - 1, 1);
	put_value(&head, second ? QUIC_VERSION_2 : f->version ? f->version : 1, 4);
	id.length = 0;
	put_hex(&id, f->destination ? f->destination : f->id);
	put_value(&head, id.length, 1);
	put_octets(&head, id.bytes, id.length);
	put_value(&head, 0, 2);
	put_octets(&plain, frames->bytes, frames->length);
	while (head.length + 2 + number_octets + plain.length + 16 < wanted)
		put_value(&plain, 0, 1);
	put_value(&head, 0x4000u + number_octets + plain.length + 16, 2);
	uint32_t number_at = head.length;
	put_value(&head, f->number, number_octets);
	for (uint32_t i = 0; i < 4; i++)
		nonce[11 - i] ^= (uint8_t)(f->number >> 8 * i);
	gcm_aes128_set_key(&gcm, key);
	gcm_aes128_set_iv(&gcm, 12, nonce);
	gcm_aes128_update(&gcm, head.length, head.bytes);
	gcm_aes128_encrypt(&gcm, plain.length, sealed, plain.bytes);
	gcm_aes128_digest(&gcm, 16, sealed + plain.length);
	aes128_set_encrypt_key(&aes, protect);
	aes128_encrypt(&aes, 16, mask, sealed + 4 - number_octets);
	head.bytes[0] ^= mask[0] & 15;
	for (uint32_t i = 0; i < number_octets; i++)
		head.bytes[number_at + i] ^= mask[1 + i];
	put_octets(o, head.bytes, head.length);
	put_octets(o, sealed, plain.length + 16);
}

/* A CRYPTO frame with [from, to) of a message. */
static inline void put_crypto(struct octets *o, const struct octets *message, uint32_t from, uint32_t to)
{
	put_value(o, 6, 1);
	put_value(o, 0x4000u + from, 2);
	put_value(o, 0x4000u + to - from, 2);
	put_octets(o, message->bytes + from, to - from);
}
