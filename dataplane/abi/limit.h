/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Limits: token buckets of flows, clients, backends and services.
 *
 * A bucket is one word: the time at which it will be full again (GCRA, ITU-T I.371). The time
 * between now and then is the used part of the burst. Control turns a rate into the time that a
 * byte or a packet costs, and a burst into a depth; engines add, clamp and compare (core/gcra.h).
 *
 * The word lies in one of three places:
 *
 *     flow entry      48 bits, in ticks (flow.h): the first limit per flow of a service, which
 *                     then tracks all its flows
 *     meters          64 bits, found by (limit, subject): limits per client, further limits per
 *                     flow, and flows with a rate of their own
 *     shared buckets  64 bits, by index: limits per backend and per service, drawn on by leases
 *
 * 64-bit words count 2^-8 ns since root->origin_ns and wrap around after 2 years; they are compared
 * by their difference. A word that lies in the past means a full bucket, however long ago. So a
 * meter whose bucket is full carries no information, and its entry may be reused.
 *
 * A limit has an id that is stable while it lives; its buckets and counters are found by the id. A
 * changed rate is a new record with the same id.
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
	SL_UNIT_BYTES, /* bytes of the frame as received, without FCS */
	SL_UNIT_PACKETS,
	SL_UNIT_CONNECTIONS, /* TCP SYNs, and first packets of UDP flows */
	SL_UNITS,
};

enum sl_limit_action {
	SL_ACTION_DROP,
	SL_ACTION_MARK,	   /* sets CE (RFC 3168) up to twice the burst, then drops */
	SL_ACTION_OBSERVE, /* drops nothing, only counts what it would have dropped */
	SL_ACTIONS,
};

enum sl_limit_direction { SL_TO_BACKEND = 1, SL_FROM_BACKEND = 2 }; /* a bit each */

enum sl_limit_flags {
	SL_LIMIT_ENTRY = 1,	 /* its buckets are the times of flow entries */
	SL_LIMIT_EXCEPTIONS = 2, /* some subjects have their own rate */
	SL_LIMIT_OTHERS = 4,	 /* subjects without their own rate have the record's */
};

#define SL_COST_SHIFT 24 /* costs count 2^-24 ns: 64 kB at 1 kbit/s just fit 64 bits */

/* A rate and a burst. A packet costs bytes * byte + packet; one of the two is 0. */
struct sl_pace {
	uint64_t byte;	 /* 2^-24 ns */
	uint64_t packet; /* 2^-24 ns */
	uint64_t depth;	 /* in ticks: the time that the whole burst takes */
	uint64_t most;	 /* in ticks: the furthest from full; at most SL_TIME_AHEAD */
};

#define SL_LIMITS_A_SERVICE 8

/* A service's limits are an extent of these. The limit that is kept in flow entries comes first. */
struct sl_limit {
	struct sl_pace pace; /* of all subjects but the exceptions */
	uint16_t id;	     /* from 1 */
	uint8_t scope;	     /* enum sl_limit_scope */
	uint8_t unit;	     /* enum sl_limit_unit */
	uint8_t direction;   /* enum sl_limit_direction */
	uint8_t action;	     /* enum sl_limit_action */
	uint8_t flags;	     /* enum sl_limit_flags */
	uint8_t prefix4;     /* for clients: how many bits of the address count */
	uint8_t prefix6;
	uint8_t pad[3];
	uint32_t shared_bucket; /* its index; for a limit per backend that of counter id 0 */
	uint32_t lease;		/* in ticks: what an engine takes out of it at once */
	uint8_t reserved[12];
} __attribute__((aligned(64)));

/* A subject with its own rate. Exceptions lie in two banks, by cuckoo.h under (key, 0). */
struct sl_exception {
	union sl_addr key; /* q[0] is 0, q[1] is sl_meter_key() */
	struct sl_pace pace;
	uint8_t reserved[16];
} __attribute__((aligned(64)));

/* Four buckets in a cache line, found by limit and subject. A key of 0 means that the entry is
 * empty. */
#define SL_METER_WAYS 4
struct sl_meters {
	uint64_t key[SL_METER_WAYS];
	uint64_t full_at[SL_METER_WAYS]; /* 2^-8 ns */
} __attribute__((aligned(64)));

#define SL_METER_SHIFT                                                                             \
	(8 + SL_TICK_SHIFT) /* shift that turns ticks into the unit of a 64-bit word */

/* subject: 48 bits, the source of a flow's key or sl_meter_client() of a client. */
static inline uint64_t sl_meter_key(uint16_t limit, uint64_t subject)
{
	return (uint64_t)limit << 48 | (subject & 0xffffffffffffull);
}

/* A client's prefix as the subject of a limit: for IPv4 the masked address, for IPv6, which doesn't
 * fit 48 bits, a keyed digest of it. `key` is root->flow_key. */
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

/* A bucket that all engines share, and draw on by leases. */
struct sl_shared_bucket {
	uint64_t full_at; /* 2^-8 ns */
	uint8_t pad[56];
} __attribute__((aligned(64)));

/* Shared buckets: one per limit id, then planes with one bucket per counter id. A service can have
 * as many limits per backend as there are planes. */
#define SL_SHARED_BUCKET_PLANES 4

/* What a writer has taken out of a shared bucket and not spent yet; index = writer * shared_buckets
 * + shared_bucket. A lease expires, so that what an idle or dead writer holds becomes available
 * again. */
struct sl_lease {
	uint64_t credit; /* 2^-8 ns */
	uint64_t until;	 /* 2^-8 ns */
};

/* Counters of one limit, by one writer, in packets; index = writer * ids + id. */
struct sl_limit_counters {
	uint64_t passed; /* includes marked and observed packets */
	uint64_t dropped;
	uint64_t dropped_bytes;
	uint64_t marked;
	uint64_t observed; /* would have been dropped */
	uint64_t observed_bytes;
	uint64_t evicted; /* buckets that weren't full and were replaced by another subject's */
	uint64_t pad;
} __attribute__((aligned(64)));

/* The subjects that exceed a limit most. Each writer has a few entries, found by a hash of the
 * subject; a subject keeps its entry against less frequent ones. */
#define SL_MOST_LIMITED 256
struct sl_most_limited {
	union sl_addr client;
	uint16_t limit;	     /* id; 0: the entry is empty */
	sl_be16 port;	     /* of a flow's client, else 0 */
	uint32_t counter_id; /* of a backend: its counter id */
	uint64_t last;	     /* ticks */
	uint64_t packets;    /* dropped, marked or observed */
	uint64_t bytes;
	uint64_t held; /* how often other subjects may still fail to replace it */
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
