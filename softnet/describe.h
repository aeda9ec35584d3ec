/* A frame in a line, for people: addresses, protocol, ports and what kind of message it is. */
#pragma once
#include <stdint.h>

enum { DESCRIPTION_TEXT = 160 };

/*
 * The frame was `length` octets long and begins with the `kept` ones at `bytes`. It may be anything: what is too short or
 * unknown is described as far as it goes. The text is printable ASCII, without a newline.
 */
const char *describe_frame(const uint8_t *bytes, uint32_t kept, uint32_t length, char text[DESCRIPTION_TEXT]);
