/* Flows to addresses that only names open: how far each is known. */
#pragma once
#include "core/flows/flow.h"
#include "core/names/hold.h"
#include "core/names/read/quic.h"
#include "core/names/rules.h"

/*        CLASS      idle timeout, ms */
// clang-format off
#define NAME_CLASSES(X) \
	X(ASKED,     60000)    /* the guest has called, and has said nothing yet */ \
	X(HOLDING,   10000)    /* frames wait; counted from the first of them on */ \
	X(FOLLOWED,  60000)    /* named, but what was read may not have arrived yet */ \
	X(OPEN_UDP,  300000)   /* RFC 4787 REQ-5 */ \
	X(OPEN_TCP,  7440000)  /* RFC 5382 REQ-5 */ \
	X(ENDED,     120000)   /* closed by both, or by us */
// clang-format on

enum name_class {
#define X(name, timeout_ms) NAME_##name,
	NAME_CLASSES(X)
#undef X
	    NAME_CLASSES_END
};

enum { NAME_FLOWS_MAX = 8192, NAME_FLOW_HEADS = 16384 };

/* TCP: how far the connection is. */
enum name_stage {
	STAGE_CALLED,   /* SYN: nothing else passes until it is answered */
	STAGE_ANSWERED, /* SYN and ACK of the server: the guest's octets are read */
	STAGE_FREE,     /* not looked at any more */
	STAGE_REFUSED   /* nothing passes; `reason` says why */
};

enum { NO_FENCE = 0xffffffff };

/* What is known of the guest's octets. Offsets count from the first octet behind the SYN. */
struct name_stream {
	uint32_t start;        /* sequence number of octet 0 */
	uint32_t server_start; /* the same of the server's octets */
	uint32_t next;         /* octets that have come in order */
	uint32_t read;         /* up to here they are understood */
	uint32_t acked;        /* up to here the server has them */
	uint32_t fence;        /* what is behind it does not matter any more; NO_FENCE: everything matters yet */
	uint32_t server_next;  /* octets of the server that have come in order: DNS alone */
	uint32_t server_read;  /* up to here they are understood */
	uint8_t hellos;        /* that were read and may pass */
	uint8_t has_early_data;
	uint8_t asks_again; /* the server wants another hello */
	uint8_t reserved;
};

/* The connection whose Initial packets are read. */
struct name_quic {
	struct connection_id first; /* the id that its keys follow from */
	int64_t largest;            /* packet number that has passed; -1: none */
	uint32_t read;              /* octets of CRYPTO frames that are understood */
	bool is_known;              /* first, largest and read say something */
	bool is_answered;           /* the server has read the hello: it cannot be changed any more */
};

struct name_flow {
	struct flow_key key;
	uint64_t used_ms;      /* HOLDING: when the first frame began to wait */
	uint16_t older, newer; /* neighbors in the list of its class: entry + 1 */
	uint16_t next;         /* in its hash chain, or in the list of free ones */
	uint8_t class, stage;
	uint8_t ways;   /* bits of enum naming that were open when it was called */
	uint8_t naming; /* the one that it is */
	uint8_t is_named;
	uint8_t reason; /* STAGE_REFUSED: enum verdict */
	uint8_t reserved[2];
	uint16_t pattern; /* whose rule opens it, when named */
	uint16_t bound;   /* entry in the book of addresses that it keeps alive; 0: none */
	struct held_list held;
	struct held_list answers; /* copies of what a resolver sent and is not understood yet */
	struct name_stream tcp;
	struct name_quic quic;
};

/* Zeroed. */
struct name_flows {
	uint32_t count[NAME_CLASSES_END];
	uint16_t oldest[NAME_CLASSES_END], newest[NAME_CLASSES_END];
	uint16_t free, used;
	uint16_t head[NAME_FLOW_HEADS];
	struct name_flow flow[NAME_FLOWS_MAX];
};

/* Of any age. NULL: none. */
struct name_flow *find_name_flow(struct name_flows *, const uint64_t hash_key[2], const struct flow_key *);
/* A new one, ASKED. NULL: no room. */
struct name_flow *make_name_flow(struct name_flows *, const uint64_t hash_key[2], const struct flow_key *,
				 uint64_t now_ms);
/* The caller has seen to its frames and its address. */
void remove_name_flow(struct name_flows *, const uint64_t hash_key[2], struct name_flow *);

/* To the end of the list of the class. One that is HOLDING waits since it became so. */
void set_name_class(struct name_flows *, struct name_flow *, enum name_class, uint64_t now_ms);
void use_name_flow(struct name_flows *, struct name_flow *, uint64_t now_ms);

/* NULL: no more. */
struct name_flow *oldest_of(struct name_flows *, enum name_class);
struct name_flow *newer_than(struct name_flows *, const struct name_flow *);
uint64_t ends_ms(const struct name_flow *);
bool has_run_out(const struct name_flow *, uint64_t now_ms);
