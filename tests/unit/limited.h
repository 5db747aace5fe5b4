/* SPDX-License-Identifier: BSD-2-Clause */
/* Limited services in a world of plain memory (world.h), and packets for them, for tests of the
 * decision: every packet is a frame through classify and route, every pace is control's.
 *
 * Services by index: WEB and PLAIN over TCP, DNS over UDP, each with two backends whose slots
 * alternate and entries that live as long as a test says. Frames end in memory after their headers,
 * whatever length the wire carried, as those of a NIC that splits them.
 *
 * There is one clock, in ticks, and no other time; a queue's may differ by a test's `skew`.
 */
#ifndef SL_TEST_LIMITED_H
#define SL_TEST_LIMITED_H

#include "../../config/config.h"
#include "frames.h"
#include "world.h"

enum { WEB, DNS, PLAIN };

#define TICKS_PER_S  250000000ull
#define TICKS_PER_MS 250000ull
#define TICKS_PER_US 250ull

#define CLIENT FRAME_IP(203, 0, 113, 9)
#define PORT   40000

#define TO   SL_TO_BACKEND
#define FROM SL_FROM_BACKEND
#define BOTH (SL_TO_BACKEND | SL_FROM_BACKEND)

#define FLOW	SL_SCOPE_FLOW
#define ONE	SL_SCOPE_CLIENT
#define BACKEND SL_SCOPE_BACKEND
#define ALL	SL_SCOPE_SERVICE

/* A limit of that many packets at once; another one takes ten milliseconds. */
#define PACKETS(s, n, d)                                                                           \
	{                                                                                          \
		.scope = s, .unit = SL_UNIT_PACKETS, .rate = 100, .burst = n, .direction = d       \
	}
#define CONNECTIONS(s, n)                                                                          \
	{                                                                                          \
		.scope = s, .unit = SL_UNIT_CONNECTIONS, .rate = 100, .burst = n                   \
	}

/* What isn't named is 0 and means the usual. */
struct limited_packet {
	uint32_t service;
	uint32_t client; /* 0: CLIENT */
	uint16_t port;	 /* of the client; 0: PORT */
	uint16_t size;	 /* of the frame, at most 9,000; 0: 64 */
	uint8_t flags;	 /* of TCP; 0: ACK */
	uint8_t ecn;
	uint8_t reply; /* from this backend; 0: to the service */
};

extern struct world world;
extern struct frame limited_frame; /* the last one, as the decision left it */
extern uint64_t now;		   /* ticks */
extern int64_t skew[WORLD_QUEUES]; /* ticks that a queue's clock is ahead */

/* A world of so many buckets of flows, without limits, not yet published. */
void limited_begin(uint32_t buckets);
void limited_end(void);

/* What isn't set of the limit is the default's. The first of flows is kept in their entries. */
void limited_add(uint32_t service, const struct sl_config_limit *limit);
/* A changed one: the record that control would make of it. Counts from the next publish. */
void limited_change(uint32_t service, uint32_t place, const struct sl_config_limit *limit);
void limited_publish(void);

/* A world whose WEB and DNS have these limits, up to n or the first without a rate. */
void limited_start(const struct sl_config_limit *limit, size_t n);
/* Ports of CLIENT whose flows go to WEB's backend 1 and 2. */
extern uint16_t limited_port[3];

enum sl_reason limited_send(uint32_t queue, const struct limited_packet *p);
bool limited_passes(uint32_t queue, const struct limited_packet *p);

/* How many of at most `most` pass at once, until the first that doesn't. */
uint32_t limited_burst(uint32_t queue, const struct limited_packet *p, uint32_t most);

/* Of both queues. */
struct sl_limit_counters limited_counters(uint32_t service, uint32_t place);

/* The word of a limit's bucket: of the flow, client, backend or service that the packet is of. */
uint64_t *limited_word(uint32_t place, const struct limited_packet *p);

#endif
