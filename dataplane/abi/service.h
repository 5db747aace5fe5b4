/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The small records, in two banks (root.h): what a packet can be addressed to, and where it can
 * leave. Written by control while the bank isn't live, read by both engines.
 *
 * Each is one cache line, found by cuckoo.h under its first 20 bytes. A place that holds nothing is
 * all zero: no address is ::0, so nothing matches it by accident.
 */
#ifndef SL_ABI_SERVICE_H
#define SL_ABI_SERVICE_H

#include "address.h"

enum sl_mode {
	SL_MODE_NAT,	/* destination address and port rewritten; replies pass through us */
	SL_MODE_DIRECT, /* destination MAC address rewritten; replies bypass us, as with those below
			 */
	SL_MODE_IPIP,	/* put behind an IP header */
	SL_MODE_GUE,	/* put behind an IP and a UDP header */
	SL_MODE_FULLNAT, /* as NAT, and the source too: an address and a port of a pool's */
	SL_MODES,
};

enum sl_pick {
	SL_PICK_HASH, /* the slot is the keyed hash of the flow */
};

enum sl_service_flags {
	SL_SERVICE_VIP = 1,	 /* the bare address: answered for, but no service by itself */
	SL_SERVICE_LOOKUP = 2,	 /* some slot isn't closed, or every flow is tracked */
	SL_SERVICE_TRACK = 4,	 /* every flow gets an entry */
	SL_SERVICE_FLOWLESS = 8, /* no flow ever gets one: each packet stands for itself (DNS) */
	/* What its limits are, so that a packet that none concerns doesn't look at them. */
	SL_SERVICE_ENTRY_TO = 16,   /* limits[0] is kept in flow entries; to the backend */
	SL_SERVICE_ENTRY_FROM = 32, /* from the backend */
	SL_SERVICE_LIMIT_TO = 64,   /* others concern packets to the backend */
	SL_SERVICE_LIMIT_FROM = 128,
	SL_SERVICE_LIMIT_NEW = 256, /* others count new connections */
	SL_SERVICE_REJECTS = 512,   /* clients are told where there is no backend; of the bare
				     * address: where there is no service */
	SL_SERVICE_RANGE = 1024,    /* of a range of ports, which stay as they are */
	SL_SERVICE_QUIC = 2048,	    /* ids of connections name backends (server_id.h) */
	SL_SERVICE_FULLNAT = 4096,  /* its mode, for who looks at flags alone */
	SL_SERVICE_POOL = 8192,	    /* of a bare address: one of a pool (snat.h) */
};

/* One service: VIP, protocol and port or ports. For each VIP there is also one record with endpoint
 * 0. */
struct sl_service {
	union sl_addr vip;
	uint32_t endpoint; /* sl_endpoint(port, protocol); of a range sl_endpoint_range() */
	uint16_t id;	   /* 1..: stable while the service lives, part of flow keys and counters */
	uint16_t n_backends; /* records in its extent */
	uint32_t slots; /* first record of its extent in slots; of a pool's address its region */
	uint32_t slot_mask; /* slots - 1; slots is a power of two, at least SL_SLOTS_PER_BLOCK */
	uint32_t backends;  /* first record of its extent in backends */
	uint8_t mode;	    /* enum sl_mode */
	uint8_t pick;	    /* enum sl_pick */
	uint16_t flags;	    /* enum sl_service_flags */
	uint32_t limits;    /* first record of its extent in limits */
	uint8_t n_limits;
	/* Affinity: what of a client doesn't count when its slot is picked. All of a client's flows
	 * then have one slot. */
	uint8_t prefix6; /* bits of an IPv6 address that do, and the port doesn't; 0: all does */
	sl_be16 ignore_port;
	sl_be32 ignore4;	/* bits of an IPv4 address that don't */
	uint32_t slot_endpoint; /* what is hashed for a slot: sl_endpoint() of the first port */
	uint16_t first_port;	/* of a range, in host order */
	uint16_t last_port;
	union {
		uint32_t server_ids; /* with SL_SERVICE_QUIC: sl_server_ids_pack() */
		uint32_t pool; /* with SL_SERVICE_FULLNAT: first record of its pool, in slots */
	};
} __attribute__((aligned(64)));

/* ignore4 where that many bits of the address, 1 to 32, are to count. */
static inline sl_be32 sl_affinity_ignore4(uint32_t bits)
{
	return sl_htonl(UINT32_MAX >> 1 >> (bits - 1));
}

/* (backend address, port, protocol) of a reply names its service. Those of full NAT are named by
 * the flow's key: sl_reply_entry_id() and SL_ENDPOINT_ID, and what is the backend's is found by the
 * flow's entry. */
struct sl_reply_entry {
	union sl_addr backend;
	uint32_t endpoint;
	uint16_t service;  /* its id */
	uint16_t ip_delta; /* checksum deltas of backend → VIP, see csum.h; network order as summed
			    */
	uint16_t l4_delta;
	sl_be16 port; /* of the VIP; 0: as it is */
	union {
		uint32_t counter_id; /* the backend's id in the counters */
		uint32_t backends;   /* of full NAT: first record of the service's extent */
	};
	union sl_addr vip;
	uint16_t flags; /* enum sl_service_flags of the service */
	uint8_t n_limits;
	uint8_t protocol;
	uint32_t limits;     /* as the service's */
	uint16_t mss;	     /* as the backend's */
	uint16_t first_port; /* of a range, in host order */
	uint16_t last_port;
	uint16_t n_backends; /* of full NAT */
} __attribute__((aligned(64)));

static inline union sl_addr sl_reply_entry_id(uint16_t service)
{
	return (union sl_addr){ .q = { 0, (uint64_t)service << 48 } };
}

enum sl_route_kind {
	SL_ROUTE_LOCAL =
		1,     /* the gateway's own, or exempt from the reverse rewrite: the kernel's */
	SL_ROUTE_POOL, /* an address of a pool, whose flows have a way back of their own */
	SL_ROUTE_NONE, /* unreachable, or no port of ours leads there */
	SL_ROUTE_LINK, /* a connected prefix: the host's own record says the rest, or it is asked */
	SL_ROUTE_ASK,  /* the next hop's MAC is being asked for */
	SL_ROUTE_VIA,  /* next hop known */
};

/* Longest prefix first, as root->bank[].lengths orders them: where a client is reached. */
struct sl_route {
	union sl_addr prefix;
	uint32_t length; /* of the 16-byte form: an IPv4 /24 has 120 */
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t port; /* index in ports */
	uint8_t kind;  /* enum sl_route_kind */
	uint8_t pad;
	uint32_t mtu;
	union sl_addr gateway; /* who is asked; ::0 when the host itself is */
	uint8_t reserved[8];
} __attribute__((aligned(64)));

/* A port, by its index in the configuration. Placed by index, not by cuckoo.h.
 *
 * `address` are the MAC addresses beside its own that frames to it may have: what the kernel has on
 * top of the interface, and what the file says. Each as it lies in memory, two bytes up, so that it
 * can be compared as a word; in places that are free, the port's own. */
#define SL_PORT_ADDRESSES 8

struct sl_port {
	uint32_t ifindex; /* 0: no kernel interface */
	uint32_t mtu;
	uint8_t mac[6];
	uint8_t pad0[2];
	union sl_addr addr4; /* the gateway's own there; ::0 where it has none */
	union sl_addr addr6;
	uint8_t pad1[16];
	uint64_t address[SL_PORT_ADDRESSES];
} __attribute__((aligned(64)));

static inline uint64_t sl_port_address(const uint8_t mac[6])
{
	uint64_t word = 0;

	__builtin_memcpy((uint8_t *)&word + 2, mac, 6);
	return word;
}

#define SL_PORTS_MAX 64

_Static_assert(sizeof(struct sl_service) == 64, "one cache line");
_Static_assert(sizeof(struct sl_reply_entry) == 64, "one cache line");
_Static_assert(sizeof(struct sl_route) == 64, "one cache line");
_Static_assert(sizeof(struct sl_port) == 128, "two cache lines");
_Static_assert(__builtin_offsetof(struct sl_port, mac) % 8 == 0, "read as a word");

#endif
