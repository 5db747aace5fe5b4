/* SPDX-License-Identifier: BSD-2-Clause */
/* What is served: the model that every publish is made from.
 *
 * A model is a version: once published it doesn't change. A change clones the model (services are
 * shared), edits the services that it concerns (each is copied when first edited), publishes the
 * clone, and only then drops the old one. A change that fails drops the clone, and nothing has
 * happened.
 *
 * A service has an id; a backend has a number within its service, from 1, and an id for its
 * counters. All are stable while their owner lives and rest afterwards until no flow entry names
 * it, alive or dead (upkeep/sweep.h). Those that were freed longest ago are given out first. Its
 * life:
 *
 *     ready ⇄ draining          no new connections, established ones stay
 *       └──────┴→ leaving       as draining; goes when nothing names it any more
 *                 └→ gone       serves nobody; its number rests, then it is free again
 *
 * One that drains may be `cut` too: established flows move to others as well, until it isn't any
 * more. Health does so with UDP.
 */
#ifndef SL_CONTROL_MODEL_MODEL_H
#define SL_CONTROL_MODEL_MODEL_H

#include "../../config/config.h"
#include "../../dataplane/abi/layout.h"
#include "../network/net.h"
#include "extent.h"
#include "rows.h"

enum sl_backend_state {
	SL_STATE_FREE, /* the number names nobody */
	SL_STATE_READY,
	SL_STATE_DRAINING,
	SL_STATE_LEAVING,
	SL_STATE_GONE,
};

struct sl_model_backend {
	char name[SL_NAME_MAX];
	union sl_addr addr;
	uint16_t port; /* host order */
	enum sl_backend_state state;
	uint32_t weight;
	uint32_t file_weight; /* as the file says; 0: it isn't of the file */
	uint8_t from;	      /* enum sl_layer: who brought it in, */
	uint8_t weight_by;    /* who decided its weight, */
	uint8_t held;	      /* and, as bits, who holds it back from new connections */
	bool forced;	      /* operators overrule health */
	bool cut;	      /* serves nobody while it drains */
	uint32_t counter_id;  /* id in the counters */
	struct sl_server_id server_id;
	bool known;	/* its next hop was resolved once: it may be in the slots */
	bool named;	/* as of the last sweep something names it: a slot or a flow */
	bool fresh;	/* to be published for the first time: its counters begin then */
	uint64_t freed; /* the generation in which the number became free */
	/* The first generation as of which no slot names it, and no server id leads to it; 0: one
	 * does. Engines that have reached both enter no flow under its number. */
	uint64_t no_row_since;
	uint64_t no_id_since;
	bool placed;  /* of those that another service has too: see shared_endpoints.h */
	bool waiting; /* until the other service has let go of it */
	struct sl_next_hop hop;
};

/* A limit as published: of the file or set live, or made for its exceptions alone (rate 0). */
struct sl_model_limit {
	struct sl_config_limit conf;
	struct sl_pace pace;
	uint16_t id;
	uint8_t plane; /* of balances, where it is of backends: no other of the service has it */
	bool fresh;    /* to be published for the first time: its counters begin then */
};

/* One client or flow with a rate of its own. */
struct sl_model_exception {
	uint16_t limit;	  /* id */
	uint64_t subject; /* 48 bits, see sl_meter_key() */
	union sl_addr addr;
	uint16_t port; /* host order; 0: a client */
	uint64_t rate;
	uint64_t burst; /* 0: by the rate */
	uint64_t until; /* seconds since 1970; 0: no end */
	struct sl_pace pace;
};

struct sl_model_service {
	uint32_t refs;
	struct sl_config_service conf; /* without its backends; its limits as in the file */
	uint32_t slot_endpoint;	       /* in its slots' hash: sl_config_slot_endpoint() */
	uint16_t id;
	uint8_t from;			  /* enum sl_layer: who brought it in */
	bool set_live;			  /* operators set some of its fields over the file's */
	struct sl_model_backend *backend; /* number - 1 is the index */
	uint32_t n;			  /* numbers given out */
	struct sl_model_limit limit[SL_LIMITS_MAX]; /* as engines are to look at them */
	uint32_t n_limits;
	struct sl_model_exception *exception;
	uint32_t n_exceptions;

	/* As published. */
	struct sl_extent *slots;
	struct sl_extent *backends;
	struct sl_extent *limits;     /* NULL: it has none */
	struct sl_extent *server_ids; /* ids, in the pool of slots; NULL: it has none */
	struct sl_extent *pool;	      /* its pool of addresses, likewise */
	uint32_t *opened_ms;	      /* of each slot; NULL while all are closed */
	uint32_t n_slots;
	struct sl_slots_count windows;
	uint64_t mixed_in;	 /* the last generation in which a slot became mixed */
	uint32_t track_since_ms; /* since when every flow is tracked, see sl_service_tracks() */
	bool learns; /* of UDP, since lately: flows that go on aren't known yet, so none is new */

	/* What the next publish has to do. */
	bool rehash;	    /* every flow has another slot from now on */
	bool refill;	    /* who is in the slots, or with what weight */
	bool rewrite;	    /* the backends' records */
	bool close;	    /* windows that have passed */
	uint64_t failed;    /* inserts that had failed when that was decided, see upkeep/sweep.h */
	uint64_t *disagree; /* settle mixed slots: those that a flow entry disagrees with */
};

struct sl_model {
	struct sl_model_service **service;
	size_t n;
	uint64_t *ids;		 /* bitmap of service ids that are taken, resting ones included */
	uint64_t *quarantined;	 /* of these, the ids of services that are no more */
	uint64_t *resting_since; /* by id: the first generation without its service */
	uint64_t *counter_ids;	 /* bitmap of counter ids that are taken */
	uint64_t *limits;	 /* bitmap of limits' ids that are taken */
	uint32_t n_ids;
	uint32_t n_counter_ids;
	uint32_t n_limits;
	uint32_t last_id; /* given out */
	uint32_t last_counter_id;
	uint32_t last_limit;
	struct sl_route *route;
	size_t n_routes;
	struct sl_net_group *group; /* of next hops, named by routes and backends */
	size_t n_groups;
	struct sl_port port[SL_PORTS_MAX];
	uint32_t n_ports;
};

struct sl_model *sl_model_new(uint32_t n_ids, uint32_t n_counter_ids, uint32_t n_limits);
struct sl_model *sl_model_clone(const struct sl_model *m);

/* Extents that no other version names rest from `generation` on; 0: they were never published. */
void sl_model_free(struct sl_model *m, uint64_t generation);

/* The service at this index, to be changed. NULL: no memory. */
struct sl_model_service *sl_model_edit(struct sl_model *m, size_t index);

/* A new service of this configuration, without backends. NULL with -errno in *err: no id, no
 * memory. */
struct sl_model_service *sl_model_add(struct sl_model *m, const struct sl_config_service *conf,
				      uint32_t now_ms, int *err);
void sl_model_remove(struct sl_model *m, size_t index, uint64_t generation);

/* What takes room though it serves no more, or not for long: service ids that rest, backends that
 * leave or are gone. */
uint32_t sl_model_quarantined_services(const struct sl_model *m);
uint32_t sl_model_quarantined_backends(const struct sl_model *m);

/* Ready or draining: what the capacity bounds. */
uint32_t sl_model_serving_backends(const struct sl_model *m);

/* Index, or -1: by name, or as sl_config_same_service() has it. */
int sl_model_find(const struct sl_model *m, const char *name);
int sl_model_find_same(const struct sl_model *m, const struct sl_config_service *conf);

/* Backends of a service by name or by endpoint; NULL: none. Numbers that are gone aren't found. */
struct sl_model_backend *sl_service_backend(const struct sl_model_service *s, const char *name);
struct sl_model_backend *sl_service_endpoint(const struct sl_model_service *s,
					     const union sl_addr *addr, uint16_t port);

/* A new backend with a number and a counter id of its own. NULL with -errno in *err. */
struct sl_model_backend *sl_service_add(struct sl_model *m, struct sl_model_service *s,
					const struct sl_config_backend *conf, int *err);

/* An id for a limit; 0: all are taken. */
uint16_t sl_model_take_limit(struct sl_model *m);

/* Sets the state and notes what the next publish has to do for it. */
void sl_backend_set_state(struct sl_model_service *s, struct sl_model_backend *b,
			  enum sl_backend_state state);
void sl_backend_set_cut(struct sl_model_service *s, struct sl_model_backend *b, bool cut);
void sl_backend_set_weight(struct sl_model_service *s, struct sl_model_backend *b, uint32_t weight);

/* Whether a next hop is another than the service has. Then: takes what there is now, which has to
 * be published. */
bool sl_service_is_stale(const struct sl_model_service *s, struct sl_net *net);
void sl_service_resolve(struct sl_model_service *s, struct sl_net *net);

/* Whether every flow gets an entry: because the file says so, or because QUIC, full NAT or a limit
 * needs it. */
bool sl_service_tracks(const struct sl_model_service *s);

/* Of a service that served and tracked only what moved until now: if it tracks all from now on. */
void sl_service_begin_tracking(struct sl_model_service *s, uint32_t now_ms);

static inline bool sl_backend_serves(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_READY || (b->state == SL_STATE_DRAINING && !b->cut) ||
	       b->state == SL_STATE_LEAVING;
}

/* Whether the slots may name it. */
static inline bool sl_backend_in_slots(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_READY && b->known && b->weight && !b->waiting;
}

/* Whether new connections reach it. */
static inline bool sl_backend_ready(const struct sl_model_backend *b)
{
	return sl_backend_in_slots(b) && b->hop.kind == SL_ROUTE_VIA;
}

static inline bool sl_bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static inline void sl_bit_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= 1ull << i % 64;
}

static inline void sl_bit_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(1ull << i % 64);
}

#endif
