/*
 * What our readers say of hellos: reads lines "tls HEX" (a stream) or "quic HEX,HEX..." (datagrams of a flow) and answers
 * each with the name, "-" for a hello without one, "more" or "refused".
 */
#include "octets.h"
#include "softnet/names/quic_crypto.h"

static struct hello_room room;
static struct crypto_stream crypto;

static enum reading read_tls(const char *hex, struct hello *hello)
{
	static struct octets o;
	o.length = 0;
	put_hex(&o, hex);
	struct frame frame = exact_frame(o.bytes, o.length);
	enum reading reading = read_hello_records(&frame, 0, &room, hello);
	free((void *)frame.bytes);
	return reading;
}

static bool read_datagram(const struct frame *frame)
{
	static uint8_t plain[65536];
	quic_opener *open_initial = client_initial_opener();
	for (uint32_t at = 0; at < frame->length;) {
		struct quic_opened opened;
		struct quic_packet p = parse_quic_packet(frame, at, frame->length);
		if (p.kind == QUIC_BROKEN || p.kind == QUIC_OTHER_VERSION)
			return false;
		at = p.end;
		if (p.kind != QUIC_INITIAL)
			continue;
		if (!open_initial || !open_initial(&p.destination, &p, frame->bytes, plain, &opened))
			return false;
		struct frame frames = { .bytes = plain, .length = opened.octets };
		if (read_initial_frames(&frames, &crypto) != CRYPTO_TAKEN)
			return false;
	}
	return true;
}

static enum reading read_quic(char *list, struct hello *hello)
{
	static struct octets o;
	clear_crypto(&crypto);
	for (char *hex = strtok(list, ","); hex; hex = strtok(NULL, ",")) {
		o.length = 0;
		put_hex(&o, hex);
		struct frame frame = exact_frame(o.bytes, o.length);
		bool read = read_datagram(&frame);
		free((void *)frame.bytes);
		if (!read)
			return READING_REFUSED;
	}
	struct frame message = { .bytes = crypto.octets, .length = crypto.prefix };
	return read_hello(&message, 0, hello);
}

int main(void)
{
	static char line[100000];
	while (fgets(line, sizeof line, stdin)) {
		struct hello hello = { .has_name = false };
		line[strcspn(line, "\n")] = '\0';
		bool is_quic = strncmp(line, "quic ", 5) == 0;
		enum reading reading = is_quic ? read_quic(line + 5, &hello) : read_tls(line + 4, &hello);
		if (reading == READING_WHOLE && hello.has_name)
			printf("%.*s\n", hello.name.length, (const char *)hello.name.text);
		else
			puts(reading == READING_WHOLE ? "-" : reading == READING_NEEDS_MORE ? "more" : "refused");
	}
	return 0;
}
