/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Limits: token buckets of flows, clients, backends and services.
 *
 * A bucket is one word: the time at which it will be full again (GCRA, ITU-T I.371). What lies
 * between now and then is what has been used of the burst. Control turns a rate into the time that
 * a byte or a packet takes, a burst into a depth; engines add, clamp and compare (core/gcra.h).
 *
 * Where the word is kept:
 *
 *     flow entry   48 bits of ticks (flow.h): the first limit per flow of a service, which tracks
 * all its flows for it meters       64 bits, found by (limit, subject): clients, further limits per
 * flow, and flows that alone have a rate of their own balances     64 bits, by index: a backend or
 * a whole service, spent through leases
 *
 * 64-bit words count 2^-8 ns since root->origin_ns and come round after 2 years; they are compared
 * by their difference. A word that lies in the past is a full bucket, however long ago: so a meter
 * whose bucket is full says nothing, and its place is free for another.
 *
 * A limit has an id of its own, stable while it lives, under which its buckets and counters stand;
 * a changed rate is a new record with the same id.
 */
#ifndef SL_ABI_LIMIT_H
#define SL_ABI_LIMIT_H

#include "flow.h"
#include "hash.h"

enum sl_limit_scope {
	SL_SCOPE_FLOW,
	SL_SCOPE_CLIENT, /* a prefix of the client's address */
	SL_SCOPE_BACKEND,
	SL_SCOPE_SERVICE,
	SL_SCOPES,
};

enum sl_limit_unit {
	SL_UNIT_BYTES, /* of frames, as received, without FCS */
	SL_UNIT_PACKETS,
	SL_UNIT_CONNECTIONS, /* SYNs, and first packets of UDP flows */
	SL_UNITS,
};

enum sl_limit_action {
	SL_ACTION_DROP,
	SL_ACTION_MARK,	   /* CE (RFC 3168) on capable TCP up to twice the burst; drops the rest */
	SL_ACTION_OBSERVE, /* only counts what it would have dropped */
	SL_ACTIONS,
};

enum sl_limit_direction { SL_TO_BACKEND = 1, SL_FROM_BACKEND = 2 }; /* bits */

enum sl_limit_flags {
	SL_LIMIT_ENTRY = 1,	 /* its words are the times of flow entries */
	SL_LIMIT_EXCEPTIONS = 2, /* some subjects have a rate of their own */
	SL_LIMIT_OTHERS = 4,	 /* so have all others: the record's */
};

#define SL_COST_SHIFT 24 /* costs are in 2^-24 ns: 1 kbit/s and 64 kB just fit 64 bits */

/* A rate and a burst. cost = bytes * byte + packet, one of which is 0. */
struct sl_pace {
	uint64_t byte;	 /* 2^-24 ns */
	uint64_t packet; /* 2^-24 ns */
	uint64_t depth;	 /* ticks: time that the whole burst takes */
	uint64_t most;	 /* ticks: no bucket is further from full; at most SL_TIME_AHEAD */
};

#define SL_LIMITS_A_SERVICE 8

/* An extent of these is a service's limits; the one that is kept in flow entries comes first. */
struct sl_limit {
	struct sl_pace pace; /* of all but the exceptions */
	uint16_t id;	     /* 1.. */
	uint8_t scope;	     /* enum sl_limit_scope */
	uint8_t unit;	     /* enum sl_limit_unit */
	uint8_t direction;   /* enum sl_limit_direction */
	uint8_t action;	     /* enum sl_limit_action */
	uint8_t flags;	     /* enum sl_limit_flags */
	uint8_t prefix4;     /* of clients: how many bits of their address count */
	uint8_t prefix6;
	uint8_t pad[3];
	uint32_t shared_bucket; /* of a service: its index; of backends: that of traffic id 0 */
	uint32_t lease;		/* ticks: what an engine takes of it at a time */
	uint8_t reserved[12];
} __attribute__((aligned(64)));

/* One subject's own rate. In two banks, by cuckoo.h under (key, 0). */
struct sl_exception {
	union sl_addr key; /* q[0] is 0, q[1] the subject's: sl_meter_key() */
	struct sl_pace pace;
	uint8_t reserved[16];
} __attribute__((aligned(64)));

/* Buckets that are found by limit and subject, four to a cache line; 0 is an empty place. */
#define SL_METER_WAYS 4
struct sl_meters {
	uint64_t key[SL_METER_WAYS];
	uint64_t full_at[SL_METER_WAYS]; /* 2^-8 ns */
} __attribute__((aligned(64)));

#define SL_METER_SHIFT (8 + SL_TICK_SHIFT) /* a tick is that many bits of a 64-bit word */

/* subject: 48 bits, sl_flow_key()'s source of a flow or sl_meter_client() of a client. */
static inline uint64_t sl_meter_key(uint16_t limit, uint64_t subject)
{
	return (uint64_t)limit << 48 | (subject & 0xffffffffffffull);
}

/* A client's prefix as the subject of a limit: the address itself, or for IPv6, where 48 bits don't
 * hold it, a keyed digest. `key` is root->flow_key. */
static inline uint64_t sl_meter_client(const union sl_addr *client, uint8_t prefix4,
				       uint8_t prefix6, const uint64_t key[2])
{
	uint64_t high, low;

	if (sl_addr_is4(client)) {
		uint64_t mask = ~0ull << ((32u - prefix4) & 63u);

		return (sl_ntohl(client->w[3]) & (uint32_t)mask) * 65536ull;
	}
	high = __builtin_bswap64(client->q[0]);
	low = __builtin_bswap64(client->q[1]);
	if (prefix6 <= 64) {
		high = prefix6 ? high >> (64 - prefix6) << (64 - prefix6) : 0;
		low = 0;
	} else if (prefix6 < 128) {
		low = low >> (128 - prefix6) << (128 - prefix6);
	}
	return sl_hash_mix(high, low, key) & SL_TIME_MASK;
}

/* A bucket that is drawn on by all engines at once, through leases. */
struct sl_shared_bucket {
	uint64_t full_at; /* 2^-8 ns */
	uint8_t pad[56];
} __attribute__((aligned(64)));

/* Balances: one for each limit id, then planes of one for each traffic id. A service has no more
 * limits of its backends than there are planes. */
#define SL_SHARED_BUCKET_PLANES 4

/* What a writer has taken out of a balance and not yet spent; index = writer * balances + balance.
 * Lapses, so that the share of who is idle or dead returns by itself. */
struct sl_lease {
	uint64_t credit; /* 2^-8 ns */
	uint64_t until;	 /* 2^-8 ns */
};

/* Of one limit, by one writer; index = writer * ids + id. Packets. */
struct sl_limit_counters {
	uint64_t passed; /* marked and observed ones included */
	uint64_t dropped;
	uint64_t dropped_bytes;
	uint64_t marked;
	uint64_t observed; /* would have been dropped */
	uint64_t observed_bytes;
	uint64_t evicted; /* buckets that weren't full and made room for another */
	uint64_t pad;
} __attribute__((aligned(64)));

/* Who is being limited: a writer's own few, by a hash of the subject; a busier one stays. */
#define SL_MOST_LIMITED 256
struct sl_most_limited {
	union sl_addr client;
	uint16_t limit;	     /* id; 0: nobody */
	sl_be16 port;	     /* of a flow's client, else 0 */
	uint32_t counter_id; /* of a backend: its id in the counters */
	uint64_t last;	     /* ticks */
	uint64_t packets;    /* dropped, marked, or observed */
	uint64_t bytes;
	uint64_t held; /* against others at the same place */
	uint8_t reserved[8];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sl_limit) == 64, "one cache line");
_Static_assert(sizeof(struct sl_exception) == 64, "one cache line");
_Static_assert(sizeof(struct sl_meters) == 64, "one cache line");
_Static_assert(sizeof(struct sl_shared_bucket) == 64, "one cache line");
_Static_assert(sizeof(struct sl_lease) == 16, "four to a cache line");
_Static_assert(sizeof(struct sl_limit_counters) == 64, "one cache line");
_Static_assert(sizeof(struct sl_most_limited) == 64, "one cache line");

#endif
