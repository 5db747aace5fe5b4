/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The small records, which lie in two banks (root.h): which packets are for us, and where a client
 * is reached. Control writes them while the bank isn't live; both engines read them.
 *
 * Each record is one cache line. It is found by its first 20 bytes as cuckoo.h says. An empty
 * record is all zeros; no packet has the address ::0, so an empty record never matches.
 */
#ifndef SL_ABI_SERVICE_H
#define SL_ABI_SERVICE_H

#include "address.h"

enum sl_mode {
	SL_MODE_NAT,	 /* replaces destination address and port; replies pass through us */
	SL_MODE_DIRECT,	 /* replaces the destination MAC; replies bypass us, as below */
	SL_MODE_IPIP,	 /* adds an outer IP header */
	SL_MODE_GUE,	 /* adds an outer IP and UDP header */
	SL_MODE_FULLNAT, /* NAT that also replaces the source by an address and port of a SNAT pool
			  */
	SL_MODES,
};

/* How the slot of a new flow is picked. In all but the first, SL_SERVICE_TRACK is set. */
enum sl_pick {
	SL_PICK_HASH,	/* by the keyed hash of the flow */
	SL_PICK_TURN,	/* one after the other, see struct sl_schedule */
	SL_PICK_RANDOM, /* any */
	SL_PICKS,
};

enum sl_service_flags {
	SL_SERVICE_VIP = 1,	 /* the bare address: we answer for it, it isn't a service */
	SL_SERVICE_LOOKUP = 2,	 /* some slot isn't closed, or every flow is tracked */
	SL_SERVICE_TRACK = 4,	 /* every flow gets an entry in the flow table */
	SL_SERVICE_FLOWLESS = 8, /* no flow ever gets one: packets are independent (DNS) */
	/* Which limits there are, so that packets without limits don't read them. */
	SL_SERVICE_ENTRY_TO = 16,   /* limits[0], in flow entries, counts packets to the backend */
	SL_SERVICE_ENTRY_FROM = 32, /* and packets from the backend */
	SL_SERVICE_LIMIT_TO = 64,   /* other limits count packets to the backend */
	SL_SERVICE_LIMIT_FROM = 128,
	SL_SERVICE_LIMIT_NEW = 256, /* other limits count new connections */
	SL_SERVICE_REJECTS = 512,   /* answer where there is no backend (bare address: service) */
	SL_SERVICE_RANGE = 1024,    /* a range of ports, which stay as they are */
	SL_SERVICE_QUIC = 2048,	    /* connection ids name backends (server_id.h) */
	SL_SERVICE_FULLNAT = 4096,  /* mode is SL_MODE_FULLNAT, for readers of flags alone */
	SL_SERVICE_POOL = 8192,	    /* of a bare address: it belongs to a SNAT pool (snat.h) */
	SL_SERVICE_SHARED = 16384,  /* of a bare address: what is for no service is the kernel's */
	SL_SERVICE_VIP_KEYS =
		32768, /* full NAT of a prefix: flow keys depend on the VIP's address */
};

/* One service: VIP, protocol, and a port or a range of ports. Each VIP also has one record with
 * endpoint 0, for the bare address. A VIP is one address or all of a prefix; then the record has
 * its first address, and sl_endpoint_prefix() the length. */
struct sl_service {
	union sl_addr vip;
	uint32_t endpoint;   /* sl_endpoint(port, protocol); of a range sl_endpoint_range();
			      * of a prefix also sl_endpoint_prefix() */
	uint16_t id;	     /* from 1; stable while the service lives: part of flow keys */
	uint16_t n_backends; /* records in its extent */
	uint32_t slots;	     /* first block of its slots; of a SNAT pool's address its region */
	uint32_t slot_mask;  /* number of slots - 1; a power of two, at least SL_SLOTS_PER_BLOCK */
	uint32_t backends;   /* first record of its extent in backends */
	uint8_t mode;	     /* enum sl_mode */
	uint8_t pick;	     /* enum sl_pick */
	uint16_t flags;	     /* enum sl_service_flags */
	uint32_t limits;     /* first record of its extent in limits */
	uint8_t n_limits;
	/* Client affinity: the part of a client's address and port that is ignored when the slot is
	 * picked, so that all flows of a client have the same slot. */
	uint8_t prefix6; /* IPv6 prefix length that counts; 0: address and port all count */
	sl_be16 ignore_port;
	sl_be32 ignore4;	/* IPv4 address bits that are ignored */
	uint32_t slot_endpoint; /* hashed for the slot: sl_endpoint() of the first port */
	uint16_t first_port;	/* of a range, in host order */
	uint16_t last_port;
	union {
		uint32_t server_ids; /* with SL_SERVICE_QUIC: sl_server_ids_pack() */
		uint32_t pool;	     /* with SL_SERVICE_FULLNAT: first block of its SNAT pool */
	};
} __attribute__((aligned(64)));

/* The value of ignore4 when only the first `bits` (1 to 32) of the address count. */
static inline sl_be32 sl_affinity_ignore4(uint32_t bits)
{
	return sl_htonl(UINT32_MAX >> 1 >> (bits - 1));
}

/* What picking needs besides a service's slots, by service id. It is in no bank, so it applies at
 * once. */
struct sl_schedule {
	uint32_t cycle; /* with SL_PICK_TURN: the number of slots after which turns begin anew */
	uint32_t reserved[3];
} __attribute__((aligned(16)));

/* Names the service of a reply, by the backend's address, port and protocol. In mode fullnat it is
 * found by the service id instead (sl_reply_entry_id() and SL_ENDPOINT_ID), and the flow's entry
 * names the backend. */
struct sl_reply_entry {
	union sl_addr backend;
	uint32_t endpoint;
	uint16_t service;  /* id */
	uint16_t ip_delta; /* checksum deltas of backend → VIP, see csum.h */
	uint16_t l4_delta;
	sl_be16 port; /* the VIP's; 0: keep the packet's */
	union {
		uint32_t counter_id; /* index in the backend counters */
		uint32_t backends;   /* fullnat: first record of the service's extent */
	};
	union sl_addr vip;
	uint16_t flags; /* enum sl_service_flags, of the service */
	uint8_t n_limits;
	uint8_t protocol;
	uint32_t limits;     /* as in the service */
	uint16_t mss;	     /* as in the backend */
	uint16_t first_port; /* of a range, in host order */
	uint16_t last_port;
	uint16_t n_backends; /* fullnat */
} __attribute__((aligned(64)));

static inline union sl_addr sl_reply_entry_id(uint16_t service)
{
	return (union sl_addr){ .q = { 0, (uint64_t)service << 48 } };
}

enum sl_route_kind {
	SL_ROUTE_LOCAL = 1, /* our own address, or one of direct_from: left to the kernel */
	SL_ROUTE_POOL,	    /* an address of a SNAT pool */
	SL_ROUTE_NONE,	    /* unreachable, or no port of ours leads there */
	SL_ROUTE_LINK,	    /* a connected prefix; hosts may have records of their own */
	SL_ROUTE_ASK,	    /* control is resolving the next hop's MAC address */
	SL_ROUTE_VIA,	    /* the next hop is known */
};

/* Where a client is reached. The longest prefix wins; root->bank[] lists the lengths in use. */
struct sl_route {
	union sl_addr prefix;
	uint32_t length; /* in the 16-byte form: an IPv4 /24 has 120 */
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t port; /* index in ports, or a next hop group (next_hop.h) */
	uint8_t kind;  /* enum sl_route_kind */
	uint8_t pad;
	uint32_t mtu;
	union sl_addr gateway; /* the next hop; ::0: the host itself */
	uint8_t reserved[8];
} __attribute__((aligned(64)));

/* A port, at its index in the configuration (cuckoo.h isn't used).
 *
 * `address`: further MAC addresses to which frames for the port may be sent, those of interfaces on
 * top of it and those in the file. Each is the upper six bytes of a word in memory, so that it is
 * compared as one word. Unused entries have the port's own address. */
#define SL_PORT_ADDRESSES 8

/* From this index on the records are VLANs of other ports: a packet whose egress is one leaves by
 * `parent` with that tag. Of such a record nothing else counts; unused ones are all 0. */
#define SL_PORT_VLANS 16

struct sl_port {
	uint32_t ifindex; /* 0: no kernel interface */
	uint32_t mtu;
	uint8_t mac[6];
	uint16_t vlan;	     /* of a VLAN its id; 0: its frames have no tag */
	union sl_addr addr4; /* the gateway's own address there; ::0: none */
	union sl_addr addr6;
	uint16_t parent; /* of a VLAN the port that it is on */
	uint8_t partial; /* of a kind by which partial checksums may come in (core/partial.h) */
	uint8_t pad[13];
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
