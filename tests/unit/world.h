/* SPDX-License-Identifier: BSD-2-Clause */
/* A small instance in plain memory, for tests of the decision.
 *
 * What a test adds is staged here; world_publish() writes all of it into the idle bank (and into
 * that bank's own extents, so that a queue that hasn't looked yet reads the old ones) and flips the
 * generation. Each queue is an engine of its own with its own view of the tables. Time stands still
 * but for world_time().
 *
 * Not control: nothing is checked, slots become what the test says. A test that wants a record to
 * be wrong changes the live one (world_live_service() and the like).
 */
#ifndef SL_TEST_WORLD_H
#define SL_TEST_WORLD_H

#include "../../dataplane/engine/one_packet.h"

#define WORLD_QUEUES	 2
#define WORLD_SERVICES	 4 /* and as many VIPs */
#define WORLD_BACKENDS	 8 /* of a service */
#define WORLD_ROWS	 64
#define WORLD_ROUTES	 16
#define WORLD_LIMITS	 4 /* of a service */
#define WORLD_SERVERS	 4 /* buckets of server ids of a service */
#define WORLD_EXCEPTIONS 16

/* The pool of all services of full NAT: one address, and few ports, so that they are met. */
#define WORLD_POOL_ADDR	 0x0a020001 /* 10.2.0.1, or its IPv6 form */
#define WORLD_POOL_FIRST 18
#define WORLD_POOL_LAST	 45
#define WORLD_POOL_LINES 8

struct world_service {
	bool is_ipv6; /* its addresses are of IPv6 */
	struct sl_service record;
	uint32_t slot[WORLD_ROWS];
	struct sl_backend backend[WORLD_BACKENDS];
	struct sl_reply_entry reply[WORLD_BACKENDS];
	struct sl_limit limit[WORLD_LIMITS];
	struct sl_table_block server[WORLD_SERVERS];
	uint8_t server_bytes;
};

struct world {
	struct sl_store store;
	struct sl_root *root;
	struct sl_tables queue[WORLD_QUEUES];
	struct world_service service[WORLD_SERVICES];
	uint32_t services;
	struct sl_route route[WORLD_ROUTES];
	uint32_t routes;
	struct sl_port port[SL_PORTS_MAX];
	struct sl_exception exception[WORLD_EXCEPTIONS];
	uint32_t exceptions;
};

/* An instance of that many buckets, with nothing in it. 0 or -ENOMEM. */
int world_make(struct world *w, uint32_t buckets);
void world_free(struct world *w);

/* Each gives back an index: of the service (its id is one more), the backend's number (from 1).
 * Addresses and ports are in host order. */
uint32_t world_add_service(struct world *w, uint32_t vip, uint16_t port, uint8_t protocol,
			   uint32_t slots);
/* The service's addresses become those of IPv6 that end in the same bytes, also of what is added to
 * it from now on. */
void world_make_ipv6(struct world *w, uint32_t service);
/* It has the ports up to `last`, and so have its backends, which are added after. */
void world_make_range(struct world *w, uint32_t service, uint16_t last);
/* It's of full NAT, from WORLD_POOL_ADDR. Its family and its ports don't change any more. */
void world_make_fullnat(struct world *w, uint32_t service);
union sl_addr world_addr(uint32_t addr, bool is_ipv6);
uint32_t world_add_backend(struct world *w, uint32_t service, uint32_t addr, uint16_t port,
			   const uint8_t mac[12], uint16_t egress);
struct sl_route *world_add_route(struct world *w, uint32_t prefix, uint32_t length,
				 enum sl_route_kind kind);

/* An id of so many bytes for a backend: its service is of QUIC from now on. What has no place is
 * left out. */
void world_add_server_id(struct world *w, uint32_t service, uint32_t backend, uint64_t id,
			 uint8_t bytes);

/* Limits of a service in the order in which they are added; id and balance are given here. */
void world_add_limit(struct world *w, uint32_t service, const struct sl_limit *limit);
/* A client's, or for a limit of flows a flow's own rate; what doesn't fit is left out. */
void world_add_exception(struct world *w, uint32_t service, uint32_t limit, uint32_t client,
			 uint16_t port, const struct sl_pace *pace);
const struct sl_limit_counters *world_limit_counters(const struct world *w, uint32_t queue,
						     uint32_t service, uint32_t limit);

/* All slots of a service. */
void world_set_slots(struct world *w, uint32_t service, uint32_t slot);

/* Of the service's entries, in ticks. */
void world_set_timeouts(struct world *w, uint32_t service, uint64_t opening, uint64_t established,
			uint64_t closing);

/* Takes effect for a queue when it looks. SL_SERVICE_LOOKUP is set where it must be. */
void world_publish(struct world *w);
void world_snapshot(struct world *w, uint32_t queue);
void world_snapshot_all(struct world *w);

void world_time(struct world *w, uint64_t ticks);

/* The live records, to be spoilt. */
struct sl_service *world_live_service(struct world *w, uint32_t service);
struct sl_reply_entry *world_live_reply(struct world *w, uint32_t service, uint32_t backend);
struct sl_bank *world_live_bank(struct world *w);

/* classify and route, as an engine does for each packet. */
enum sl_reason world_decide(struct world *w, uint32_t queue, struct sl_packet *p, uint16_t *egress);

/* The flow of a client as the table knows it. */
uint64_t world_flow_key(uint32_t service, uint32_t client, uint16_t port);
struct sl_flow_at world_flow_find(struct world *w, uint64_t key);
uint64_t world_flow_hash(const struct world *w, uint64_t key);

/* Inserts as sl_track() does: where there is no room, room is made once. */
uint64_t world_flow_insert(const struct sl_tables *t, uint64_t key, uint64_t value, uint64_t now);

/* Which slot of the service a client's flow has. */
uint32_t world_slot_of(const struct world *w, uint32_t service, uint32_t client, uint16_t port);

/* A generator for tests (splitmix64): the same numbers for the same seed everywhere. */
uint64_t world_random(uint64_t *state);

#endif
