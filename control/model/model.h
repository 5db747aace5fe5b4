/* SPDX-License-Identifier: BSD-2-Clause */
/* The model of what is served, from which every publish is made.
 *
 * A model is a version: it doesn't change once it is published. A change clones the model (services
 * are shared), edits the services that it concerns (each is copied when it is first edited),
 * publishes the clone, and only then frees the old model. If a change fails, the clone is freed,
 * and nothing has happened.
 *
 * A service has an id. A backend has a number within its service, from 1, and an id for its
 * counters. All of these are stable while their owner lives. Afterwards they stay in quarantine
 * until no flow entry names the owner, alive or expired (upkeep/sweep.h). Those that were freed
 * longest ago are given out first. This is the life of a backend:
 *
 *     ready ⇄ draining          gets no new connections; established ones stay
 *       └──────┴→ leaving       as draining, until nothing names it any more
 *                 └→ gone       serves nobody; its number is in quarantine, then free again
 *
 * A backend that drains may also be `cut`: its established flows move to other backends as well,
 * until it is no longer cut. Health checks cut backends of UDP services, operators those that are
 * in maintenance, and a drain those of UDP services with drain_udp = "now".
 */
#ifndef SL_CONTROL_MODEL_MODEL_H
#define SL_CONTROL_MODEL_MODEL_H

#include "../../config/config.h"
#include "../../dataplane/abi/layout.h"
#include "../network/net.h"
#include "extent.h"
#include "rows.h"

enum sl_backend_state {
	SL_STATE_FREE, /* the number belongs to no backend */
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
	uint8_t share;	      /* the part of it that counts, in eighths: slow start */
	uint32_t file_weight; /* as in the file; 0: the backend isn't in the file */
	uint8_t from;	      /* enum sl_layer: the layer that added it */
	uint8_t weight_by;    /* enum sl_layer: the layer that set its weight */
	uint8_t held;	      /* the layers that keep new connections away, as bits */
	bool forced;	      /* operators overrule health checks */
	bool cut;	      /* while it drains: it serves no established flows either */
	bool maintenance;     /* operators have cut it, and it isn't checked */
	uint32_t counter_id;  /* its index in the backend counters */
	struct sl_server_id server_id;
	bool known; /* its next hop was resolved once, so slots may name it */
	bool named; /* as of the last sweep a slot or a flow names it */
	/* While it drains or leaves: flow entries that name it and aren't closing, as of the last
	 * sweep that counted them (upkeep/sweep.h). */
	uint32_t connections;
	bool counted;	/* a sweep has */
	bool fresh;	/* not published yet; its counters begin when it is */
	uint64_t freed; /* the generation in which the number became free */
	/* The first generation since which no slot names it, and the first one since which no
	 * server id leads to it; 0: one does. Engines that have reached both generations enter no
	 * flow under its number. */
	uint64_t no_row_since;
	uint64_t no_id_since;
	bool placed;  /* it was decided whether it waits (shared_endpoints.h) */
	bool waiting; /* until another service has released its endpoint */
	struct sl_next_hop hop;
};

/* A limit as published. It comes from the file, was set live, or exists only for its exceptions
 * (rate 0). */
struct sl_model_limit {
	struct sl_config_limit conf;
	struct sl_pace pace;
	uint16_t id;
	uint8_t plane; /* per backend: its plane of shared buckets, unique within the service */
	bool fresh;    /* not published yet; its counters begin when it is */
};

/* A client or flow with its own rate. */
struct sl_model_exception {
	uint16_t limit;	  /* id of the limit */
	uint64_t subject; /* 48 bits, see sl_meter_key() */
	union sl_addr addr;
	uint16_t port; /* host order; 0: it is a client */
	uint64_t rate;
	uint64_t burst; /* 0: it follows from the rate */
	uint64_t until; /* seconds since 1970; 0: no end */
	struct sl_pace pace;
};

struct sl_model_service {
	uint32_t refs;
	struct sl_config_service conf; /* without its backends; with its limits as in the file */
	uint32_t slot_endpoint;	       /* part of the slot hash, see sl_config_slot_endpoint() */
	uint16_t id;
	uint8_t from;  /* enum sl_layer: the layer that added it */
	bool set_live; /* operators have set some of its fields, which override the file */
	struct sl_model_backend *backend;	    /* the index is the number - 1 */
	uint32_t n;				    /* numbers in `backend`, free ones included */
	struct sl_model_limit limit[SL_LIMITS_MAX]; /* in the order in which engines apply them */
	uint32_t n_limits;
	struct sl_model_exception *exception;
	uint32_t n_exceptions;

	/* What is published. */
	struct sl_extent *slots;
	struct sl_extent *backends;
	struct sl_extent *limits;     /* NULL: it has no limits */
	struct sl_extent *server_ids; /* QUIC server ids, in table_blocks; NULL: it has none */
	struct sl_extent *pool;	      /* its SNAT pool, in table_blocks; NULL: it has none */
	uint32_t *opened_ms;	      /* when each slot was opened; NULL while all are closed */
	uint32_t n_slots;
	uint32_t cycle; /* of the slots, see struct sl_schedule */
	struct sl_slots_count windows;
	uint64_t mixed_in;	 /* the last generation in which a slot became mixed */
	uint32_t track_since_ms; /* since when every flow is tracked, see sl_service_tracks() */
	bool learns; /* UDP, tracked since lately: old flows are unknown, so none counts as new */

	/* What the next publish has to do. */
	bool rehash;	 /* every flow gets another slot */
	bool unpick;	 /* new flows go by their hash again: entries may disagree with any slot */
	bool refill;	 /* the backends in the slots, or their weights, change */
	bool rewrite;	 /* the backends' records change */
	bool close;	 /* windows that have passed are to be closed */
	uint64_t failed; /* failed inserts when that was decided, see upkeep/sweep.h */
	uint64_t *disagree; /* reconcile mixed slots, except these: entries disagree with them */
};

struct sl_model {
	struct sl_model_service **service;
	size_t n;
	uint64_t *ids; /* bitmap of service ids that are taken, including those in quarantine */
	uint64_t *quarantined;	 /* bitmap of service ids in quarantine, whose services are gone */
	uint64_t *resting_since; /* by id: the first generation without its service */
	uint64_t *counter_ids;	 /* bitmap of counter ids that are taken */
	uint64_t *limits;	 /* bitmap of limit ids that are taken */
	uint32_t n_ids;
	uint32_t n_counter_ids;
	uint32_t n_limits;
	uint32_t last_id; /* the id that was given out last */
	uint32_t last_counter_id;
	uint32_t last_limit;
	struct sl_route *route;
	size_t n_routes;
	struct sl_net_group *group; /* groups of next hops, which routes and backends name */
	size_t n_groups;
	struct sl_port port[SL_PORTS_MAX];
	uint32_t n_ports;
};

struct sl_model *sl_model_new(uint32_t n_ids, uint32_t n_counter_ids, uint32_t n_limits);
struct sl_model *sl_model_clone(const struct sl_model *m);

/* Frees a version. The extents that no other version names are released for `generation`, see
 * sl_extent_unref(); 0: they were never published. m may be NULL. */
void sl_model_free(struct sl_model *m, uint64_t generation);

/* Returns the service at this index, which may then be changed. A service that another version
 * shares is copied first. Returns NULL if there is no memory. */
struct sl_model_service *sl_model_edit(struct sl_model *m, size_t index);

/* Adds a service with this configuration, without backends. Returns NULL on failure, with -ENOSPC
 * (no id is free) or -ENOMEM in *err. */
struct sl_model_service *sl_model_add(struct sl_model *m, const struct sl_config_service *conf,
				      uint32_t now_ms, int *err);
void sl_model_remove(struct sl_model *m, size_t index, uint64_t generation);

/* These count what takes room although it serves no more, or not for long: service ids in
 * quarantine, and backends that leave or are gone. */
uint32_t sl_model_quarantined_services(const struct sl_model *m);
uint32_t sl_model_quarantined_backends(const struct sl_model *m);

/* The number of backends that are ready or draining, which the capacity limits. */
uint32_t sl_model_serving_backends(const struct sl_model *m);

/* These find a service by its name, or by sl_config_same_service(). They return its index, or
 * -1. */
int sl_model_find(const struct sl_model *m, const char *name);
int sl_model_find_same(const struct sl_model *m, const struct sl_config_service *conf);

/* These find a backend of a service by its name or endpoint (port: host order). They return NULL if
 * there is none. Backends that are gone aren't found. */
struct sl_model_backend *sl_service_backend(const struct sl_model_service *s, const char *name);
struct sl_model_backend *sl_service_endpoint(const struct sl_model_service *s,
					     const union sl_addr *addr, uint16_t port);

/* Adds a backend, with its own number and counter id. Returns NULL on failure, with -errno in
 * *err. */
struct sl_model_backend *sl_service_add(struct sl_model *m, struct sl_model_service *s,
					const struct sl_config_backend *conf, int *err);

/* Takes an id for a limit. Returns 0 if all are taken. */
uint16_t sl_model_take_limit(struct sl_model *m);

/* These change a backend, and note what the next publish has to do for that. */
void sl_backend_set_state(struct sl_model_service *s, struct sl_model_backend *b,
			  enum sl_backend_state state);
void sl_backend_set_cut(struct sl_model_service *s, struct sl_model_backend *b, bool cut);
void sl_backend_set_weight(struct sl_model_service *s, struct sl_model_backend *b, uint32_t weight);
void sl_backend_set_share(struct sl_model_service *s, struct sl_model_backend *b, uint8_t share);

/* The first tells whether the next hop of some backend has changed. The second takes over the
 * present next hops; the service must then be published. */
bool sl_service_is_stale(const struct sl_model_service *s, struct sl_net *net);
void sl_service_resolve(struct sl_model_service *s, struct sl_net *net);

/* Whether every flow gets an entry, because the configuration says so, or because QUIC, full NAT,
 * the scheduler or a limit needs it. */
bool sl_service_tracks(const struct sl_model_service *s);

/* To be called for a live service that has tracked only moved flows until now, when it may track
 * all flows from now on. If it does, this notes the time. */
void sl_service_begin_tracking(struct sl_model_service *s, uint32_t now_ms);

static inline bool sl_backend_serves(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_READY || (b->state == SL_STATE_DRAINING && !b->cut) ||
	       b->state == SL_STATE_LEAVING;
}

/* Whether a backend that drains can be switched off: nothing refers to it, or nothing is sent
 * there. */
static inline bool sl_backend_drained(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_DRAINING && (!b->named || b->cut);
}

/* Whether slots may name the backend. */
static inline bool sl_backend_in_slots(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_READY && b->known && b->weight && !b->waiting;
}

/* Whether new connections reach the backend. */
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
