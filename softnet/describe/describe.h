/* A frame in a line, for people: addresses, protocol, ports and what kind of message it is. */
#pragma once
#include <stdint.h>

/* Two IPv6 addresses, a name that DNS is asked for, two MAC addresses, and words between. */
enum { DESCRIPTION_TEXT = 240 };

/*
 * The frame was `length` octets long and begins with the `kept` ones at `bytes`. It may be anything: what is too short or
 * unknown is described as far as it goes. The text is printable ASCII, without a newline, and always ends with the MAC
 * addresses, since half of the reasons to drop are about them:
 *
 *     IPv4 192.168.77.12 > 1.1.1.1 TCP 40000 > 443 SYN (52:54:00:00:00:0a > 52:54:00:00:00:01, 74 octets)
 */
const char *describe_frame(const uint8_t *bytes, uint32_t kept, uint32_t length, char text[DESCRIPTION_TEXT]);
