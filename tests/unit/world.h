/* SPDX-License-Identifier: BSD-2-Clause */
/* A small instance in plain memory, for tests of the decision.
 *
 * A test adds services, backends and so on, then calls world_publish(), which writes all of it into
 * the idle bank and flips the generation. Each bank has extents of its own, so a queue that hasn't
 * taken a new snapshot still reads the old ones. Each queue is an engine of its own, with its own
 * view of the tables. Time only moves by world_time().
 *
 * This isn't control: nothing is checked, and slots are what the test says. A test that wants a
 * wrong record modifies the live one (world_live_service() and the like).
 */
#ifndef SL_TEST_WORLD_H
#define SL_TEST_WORLD_H

#include "../../dataplane/engine/one_packet.h"

#define WORLD_QUEUES	 2
#define WORLD_SERVICES	 4 /* also the most VIPs */
#define WORLD_BACKENDS	 8 /* per service */
#define WORLD_ROWS	 64
#define WORLD_ROUTES	 16
#define WORLD_LIMITS	 4 /* per service */
#define WORLD_SERVERS	 4 /* buckets in a service's table of server ids */
#define WORLD_EXCEPTIONS 16

/* The SNAT pool of all services in mode fullnat: one address with few ports, so that they
 * collide. */
#define WORLD_POOL_ADDR	 0x0a020001 /* 10.2.0.1, or its IPv6 form */
#define WORLD_POOL_FIRST 18
#define WORLD_POOL_LAST	 45
#define WORLD_POOL_LINES 8

struct world_service {
	bool is_ipv6; /* its addresses are IPv6 */
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

/* Makes an empty instance whose flow table has this many buckets. 0 or -ENOMEM. */
int world_make(struct world *w, uint32_t buckets);
void world_free(struct world *w);

/* These return an index: the service's (its id is one more), or the backend's number (from 1).
 * Addresses and ports are in host order. */
uint32_t world_add_service(struct world *w, uint32_t vip, uint16_t port, uint8_t protocol,
			   uint32_t slots);
/* Changes the service's addresses to IPv6 ones that end in the same bytes, and those of backends
 * added later. */
void world_make_ipv6(struct world *w, uint32_t service);
/* Gives the service a range of ports up to `last`, and also the backends that are added later. */
void world_make_range(struct world *w, uint32_t service, uint16_t last);
/* Puts the service in mode fullnat, with the pool WORLD_POOL_ADDR. Its family and ports must not
 * change afterwards. */
void world_make_fullnat(struct world *w, uint32_t service);
union sl_addr world_addr(uint32_t addr, bool is_ipv6);
uint32_t world_add_backend(struct world *w, uint32_t service, uint32_t addr, uint16_t port,
			   const uint8_t mac[12], uint16_t egress);
struct sl_route *world_add_route(struct world *w, uint32_t prefix, uint32_t length,
				 enum sl_route_kind kind);

/* Gives a backend a server id of this many bytes; the service becomes one of QUIC. An id that finds
 * no room is left out. */
void world_add_server_id(struct world *w, uint32_t service, uint32_t backend, uint64_t id,
			 uint8_t bytes);

/* Adds a limit to a service, behind its others, and sets its id and shared bucket. */
void world_add_limit(struct world *w, uint32_t service, const struct sl_limit *limit);
/* Gives a client its own rate, or a flow if the limit is per flow. What finds no room is left
 * out. */
void world_add_exception(struct world *w, uint32_t service, uint32_t limit, uint32_t client,
			 uint16_t port, const struct sl_pace *pace);
const struct sl_limit_counters *world_limit_counters(const struct world *w, uint32_t queue,
						     uint32_t service, uint32_t limit);

/* Sets all slots of a service. */
void world_set_slots(struct world *w, uint32_t service, uint32_t slot);

/* Timeouts of the service's entries, in ticks. */
void world_set_timeouts(struct world *w, uint32_t service, uint64_t opening, uint64_t established,
			uint64_t closing);

/* Publishes. A queue sees it with its next snapshot. Sets SL_SERVICE_LOOKUP where it is needed. */
void world_publish(struct world *w);
void world_snapshot(struct world *w, uint32_t queue);
void world_snapshot_all(struct world *w);

void world_time(struct world *w, uint64_t ticks);

/* The live records, for tests that make them wrong. */
struct sl_service *world_live_service(struct world *w, uint32_t service);
struct sl_reply_entry *world_live_reply(struct world *w, uint32_t service, uint32_t backend);
struct sl_bank *world_live_bank(struct world *w);

/* classify and route, as an engine does for each packet. */
enum sl_reason world_decide(struct world *w, uint32_t queue, struct sl_packet *p, uint16_t *egress);

/* The key of a client's flow. */
uint64_t world_flow_key(uint32_t service, uint32_t client, uint16_t port);
struct sl_flow_at world_flow_find(struct world *w, uint64_t key);
uint64_t world_flow_hash(const struct world *w, uint64_t key);

/* Inserts as sl_track() does: if there is no room, tries once to make some. */
uint64_t world_flow_insert(const struct sl_tables *t, uint64_t key, uint64_t value, uint64_t now);

/* The slot of a client's flow. */
uint32_t world_slot_of(const struct world *w, uint32_t service, uint32_t client, uint16_t port);

/* Random numbers for tests (splitmix64): the same for the same seed everywhere. */
uint64_t world_random(uint64_t *state);

#endif
