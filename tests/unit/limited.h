/* SPDX-License-Identifier: BSD-2-Clause */
/* Services with limits in a world of plain memory (world.h), and packets for them. Every packet is
 * a frame that passes classify and route; every pace is computed by control's code.
 *
 * The services by index: WEB and PLAIN over TCP, DNS over UDP. Each has two backends whose slots
 * alternate, and entries that live as long as a test says. Frames end in memory after their
 * headers, whatever their length on the wire, as those of a NIC that splits headers from data.
 *
 * There is one clock, in ticks. A test may let a queue's clock differ by `skew`.
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

/* A limit that lets this many packets pass at once; each further one takes ten milliseconds. */
#define PACKETS(s, n, d)                                                                           \
	{                                                                                          \
		.scope = s, .unit = SL_UNIT_PACKETS, .rate = 100, .burst = n, .direction = d       \
	}
#define CONNECTIONS(s, n)                                                                          \
	{                                                                                          \
		.scope = s, .unit = SL_UNIT_CONNECTIONS, .rate = 100, .burst = n                   \
	}

/* A member that isn't set is 0, which means the usual. */
struct limited_packet {
	uint32_t service;
	uint32_t client; /* 0: CLIENT */
	uint16_t port;	 /* of the client; 0: PORT */
	uint16_t size;	 /* length of the frame, at most 9,000; 0: 64 */
	uint8_t flags;	 /* for TCP; 0: ACK */
	uint8_t ecn;
	uint8_t reply; /* from this backend; 0: to the service */
};

extern struct world world;
extern struct frame limited_frame; /* the last one, after the decision */
extern uint64_t now;		   /* ticks */
extern int64_t skew[WORLD_QUEUES]; /* ticks by which a queue's clock is ahead */

/* Makes a world without limits whose flow table has this many buckets; it isn't published yet. */
void limited_begin(uint32_t buckets);
void limited_end(void);

/* Adds a limit; members that aren't set get defaults. The first limit per flow is kept in flow
 * entries. */
void limited_add(uint32_t service, const struct sl_config_limit *limit);
/* Changes a limit to the record that control would make of it. It takes effect with the next
 * publish. */
void limited_change(uint32_t service, uint32_t place, const struct sl_config_limit *limit);
void limited_publish(void);

/* Makes a world whose WEB and DNS have these limits, up to n or to the first without a rate. */
void limited_start(const struct sl_config_limit *limit, size_t n);
/* Ports of CLIENT whose flows go to backend 1 and 2 of WEB. */
extern uint16_t limited_port[3];

enum sl_reason limited_send(uint32_t queue, const struct limited_packet *p);
bool limited_passes(uint32_t queue, const struct limited_packet *p);

/* How many of at most `most` packets pass before the first that doesn't. */
uint32_t limited_burst(uint32_t queue, const struct limited_packet *p, uint32_t most);

/* Sum over both queues. */
struct sl_limit_counters limited_counters(uint32_t service, uint32_t place);

/* The word of a limit's bucket, for the flow, client, backend or service of the packet. */
uint64_t *limited_word(uint32_t place, const struct limited_packet *p);

#endif
