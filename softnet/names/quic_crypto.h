/* Opens the Initial packets of QUIC clients: RFC 9001 5, RFC 9369 3.3. Everybody who sees such a packet can. */
#pragma once
#include "core/names/read/quic.h"

/* NULL: this program was built without the library that it takes. */
quic_opener *client_initial_opener(void);
