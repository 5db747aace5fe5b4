/* SPDX-License-Identifier: BSD-2-Clause */
#include "accept.h"

#include <stdlib.h>

struct extents {
	uint32_t slots;
	uint32_t slot_mask;
	uint32_t backends;
	uint32_t n_backends;
	uint32_t limits;
	uint32_t n_limits;
	uint32_t server_ids;
	uint32_t n_server_ids; /* number of records */
	uint64_t generation;   /* the generation in which they were last found right; 0: never */
};

struct sl_acceptor {
	const struct sl_store *store;
	uint32_t n_ports;
	uint64_t accepted;    /* the last generation that was accepted */
	struct extents *seen; /* by service id */
};

struct sl_acceptor *sl_acceptor_new(const struct sl_store *store, uint32_t n_ports)
{
	struct sl_acceptor *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->store = store;
	a->n_ports = n_ports;
	a->seen = calloc(store->count[SL_ARRAY_flow_timeouts], sizeof(*a->seen));
	if (!a->seen) {
		free(a);
		return NULL;
	}
	return a;
}

void sl_acceptor_free(struct sl_acceptor *a)
{
	if (a)
		free(a->seen);
	free(a);
}

static enum sl_accept check_slots(const struct sl_acceptor *a, const struct extents *e)
{
	const struct sl_table_block *blocks = a->store->base[SL_ARRAY_table_blocks];
	uint64_t n = (uint64_t)e->slot_mask + 1;
	const uint32_t *slot = sl_block_slots(blocks, e->slots);
	uint32_t wrong = 0;

	for (uint64_t i = 0; i < n; i++)
		wrong |= (uint32_t)(sl_slot_cur(slot[i]) > e->n_backends) |
			 (uint32_t)(sl_slot_prev(slot[i]) > e->n_backends) |
			 (uint32_t)(sl_slot_state(slot[i]) > SL_SLOT_MIXED);
	return wrong ? SL_ACCEPT_INDEX : SL_ACCEPT_OK;
}

/* Whether it is the index of a port, or of a VLAN of one. */
static bool is_port(const struct sl_acceptor *a, uint16_t egress)
{
	return egress < a->n_ports || (egress >= SL_PORT_VLANS && egress < SL_PORTS_MAX);
}

/* The same, or a next hop group. */
static bool is_egress(const struct sl_acceptor *a, uint16_t egress)
{
	return is_port(a, egress) ||
	       (egress & SL_EGRESS_GROUP && (egress & (SL_EGRESS_GROUP - 1)) < SL_HOP_GROUPS);
}

static enum sl_accept check_backends(const struct sl_acceptor *a, const struct extents *e)
{
	const struct sl_backend *backend = a->store->base[SL_ARRAY_backends];
	const uint32_t *count = a->store->count;
	uint32_t n_backend_counters =
		count[SL_ARRAY_backend_counters] / count[SL_ARRAY_reason_counters];

	for (uint32_t i = 0; i < e->n_backends; i++) {
		const struct sl_backend *b = &backend[e->backends + i];

		if (b->counter_id >= n_backend_counters)
			return SL_ACCEPT_INDEX;
		if (b->flags & SL_BACKEND_RESOLVED && !is_egress(a, b->egress))
			return SL_ACCEPT_EGRESS;
	}
	return SL_ACCEPT_OK;
}

static enum sl_accept check_server_ids(const struct sl_acceptor *a, const struct extents *e)
{
	const struct sl_table_block *blocks = a->store->base[SL_ARRAY_table_blocks];
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < e->n_server_ids; i++)
		for (uint32_t k = 0; k < SL_SERVER_IDS_PER_BUCKET; k++)
			wrong |= blocks[e->server_ids + i].server_ids.backend[k] > e->n_backends;
	return wrong ? SL_ACCEPT_INDEX : SL_ACCEPT_OK;
}

static bool is_region(const struct sl_acceptor *a, uint64_t region)
{
	return (region + 1) * SL_SNAT_LINES <= a->store->count[SL_ARRAY_snat_ports];
}

/* The records of SNAT pool addresses name a region. */
static enum sl_accept check_pool(const struct sl_acceptor *a, uint32_t at)
{
	const struct sl_table_block *head =
		(const struct sl_table_block *)a->store->base[SL_ARRAY_table_blocks] + at;
	const uint32_t *count = a->store->count, *slot = sl_block_slots(head, 1);
	const struct sl_table_block *address = head + 1 + SL_SNAT_START_SLOTS / SL_SLOTS_PER_BLOCK;

	if (at >= count[SL_ARRAY_table_blocks] || !head->pool.n ||
	    head->pool.n > SL_SNAT_ADDRESSES_MAX ||
	    (uint64_t)at + sl_snat_pool_blocks(head->pool.n) > count[SL_ARRAY_table_blocks])
		return SL_ACCEPT_INDEX;
	if (head->pool.first_port > head->pool.last_port)
		return SL_ACCEPT_FORM;
	for (uint32_t i = 0; i < SL_SNAT_START_SLOTS; i++)
		if (slot[i] >= head->pool.n)
			return SL_ACCEPT_INDEX;
	for (uint32_t i = 0; i < head->pool.n; i++)
		if (!is_region(a, address[i / SL_SNAT_ADDRESSES_PER_BLOCK]
					  .address[i % SL_SNAT_ADDRESSES_PER_BLOCK]
					  .region))
			return SL_ACCEPT_INDEX;
	return SL_ACCEPT_OK;
}

static enum sl_accept check_pace(const struct sl_pace *p)
{
	if ((p->byte && p->packet) || p->depth > SL_TIME_AHEAD || p->most > SL_TIME_AHEAD)
		return SL_ACCEPT_FORM;
	return SL_ACCEPT_OK;
}

static enum sl_accept check_limit(const struct sl_acceptor *a, const struct sl_limit *l)
{
	const uint32_t *count = a->store->count;
	uint32_t writers = count[SL_ARRAY_reason_counters];
	uint64_t last = l->shared_bucket; /* index of the last shared bucket that it uses */

	if (l->scope >= SL_SCOPES || l->unit >= SL_UNITS || l->action >= SL_ACTIONS ||
	    !l->direction || l->direction > (SL_TO_BACKEND | SL_FROM_BACKEND) || l->prefix4 > 32 ||
	    l->prefix6 > 128)
		return SL_ACCEPT_FORM;
	if (l->scope == SL_SCOPE_BACKEND)
		last += count[SL_ARRAY_backend_counters] / writers - 1;
	if (!l->id || l->id >= count[SL_ARRAY_limit_counters] / writers ||
	    last >= count[SL_ARRAY_shared_buckets])
		return SL_ACCEPT_INDEX;
	return check_pace(&l->pace);
}

static enum sl_accept check_limits(const struct sl_acceptor *a, const struct extents *e)
{
	const struct sl_limit *limit = a->store->base[SL_ARRAY_limits];

	for (uint32_t i = 0; i < e->n_limits; i++) {
		const struct sl_limit *l = &limit[e->limits + i];
		enum sl_accept answer = check_limit(a, l);

		if (answer != SL_ACCEPT_OK)
			return answer;
		if (l->flags & SL_LIMIT_ENTRY && (i || l->scope != SL_SCOPE_FLOW))
			return SL_ACCEPT_FORM;
	}
	return SL_ACCEPT_OK;
}

/* Checks what lies in the record itself. */
static enum sl_accept check_record(const struct sl_acceptor *a, const struct sl_service *s,
				   const struct extents *e)
{
	const uint32_t *count = a->store->count;
	uint64_t n = (uint64_t)e->slot_mask + 1;

	if (s->n_limits > SL_LIMITS_A_SERVICE || s->mode >= SL_MODES || s->pick >= SL_PICKS ||
	    n & (n - 1) || n < SL_SLOTS_PER_BLOCK)
		return SL_ACCEPT_FORM;
	if (s->pick != SL_PICK_HASH && !(s->flags & SL_SERVICE_TRACK))
		return SL_ACCEPT_FORM;
	if (!s->id || s->id >= count[SL_ARRAY_flow_timeouts] ||
	    e->slots + n / SL_SLOTS_PER_BLOCK > count[SL_ARRAY_table_blocks] ||
	    (uint64_t)e->server_ids + e->n_server_ids > count[SL_ARRAY_table_blocks] ||
	    (uint64_t)e->backends + e->n_backends > count[SL_ARRAY_backends] ||
	    (uint64_t)e->limits + e->n_limits > count[SL_ARRAY_limits])
		return SL_ACCEPT_INDEX;
	return SL_ACCEPT_OK;
}

static bool same_extents(const struct extents *a, const struct extents *b)
{
	return a->slots == b->slots && a->slot_mask == b->slot_mask && a->backends == b->backends &&
	       a->n_backends == b->n_backends && a->limits == b->limits &&
	       a->n_limits == b->n_limits && a->server_ids == b->server_ids &&
	       a->n_server_ids == b->n_server_ids;
}

static enum sl_accept check_service(struct sl_acceptor *a, const struct sl_service *s,
				    uint64_t generation)
{
	struct extents e = { .slots = s->slots,
			     .slot_mask = s->slot_mask,
			     .backends = s->backends,
			     .n_backends = s->n_backends,
			     .limits = s->limits,
			     .n_limits = s->n_limits,
			     .server_ids = sl_server_ids_first(s->server_ids),
			     .generation = generation };
	enum sl_accept answer;
	struct extents *seen;

	if (s->flags & SL_SERVICE_POOL)
		return is_region(a, s->slots) ? SL_ACCEPT_OK : SL_ACCEPT_INDEX;
	if (s->flags & SL_SERVICE_VIP)
		return SL_ACCEPT_OK;
	if (!(s->flags & SL_SERVICE_FULLNAT) != (s->mode != SL_MODE_FULLNAT))
		return SL_ACCEPT_FORM;
	if (s->flags & SL_SERVICE_QUIC)
		e.n_server_ids = sl_server_ids_mask(s->server_ids) + 1;
	answer = check_record(a, s, &e);
	if (answer != SL_ACCEPT_OK)
		return answer;
	seen = &a->seen[s->id];
	if (seen->generation && seen->generation == a->accepted &&
	    a->accepted == sl_store_root(a->store)->generation && same_extents(seen, &e)) {
		seen->generation = generation;
		return SL_ACCEPT_OK;
	}
	answer = check_slots(a, &e);
	if (answer == SL_ACCEPT_OK)
		answer = check_backends(a, &e);
	if (answer == SL_ACCEPT_OK)
		answer = check_limits(a, &e);
	if (answer == SL_ACCEPT_OK)
		answer = check_server_ids(a, &e);
	if (answer == SL_ACCEPT_OK && s->flags & SL_SERVICE_FULLNAT)
		answer = check_pool(a, s->pool);
	if (answer == SL_ACCEPT_OK)
		*seen = e;
	return answer;
}

static enum sl_accept check_exceptions(const struct sl_acceptor *a, uint64_t generation,
				       uint32_t *at)
{
	uint32_t n = a->store->count[SL_ARRAY_exceptions] / 2;
	const struct sl_exception *e =
		(const struct sl_exception *)a->store->base[SL_ARRAY_exceptions] +
		(size_t)(generation & 1) * n;

	for (*at = 0; *at < n; ++*at)
		if (check_pace(&e[*at].pace) != SL_ACCEPT_OK)
			return SL_ACCEPT_FORM;
	return SL_ACCEPT_OK;
}

/* Both processes read the configuration, and frames leave by the wrong port if they read different
 * ones. The ports must have the same interfaces; where a port has none, the same MAC address, once
 * control was told ours. */
static bool same_ports(const struct sl_acceptor *a, uint64_t generation, uint32_t *at)
{
	const struct sl_queue *ours = a->store->base[SL_ARRAY_queues];
	const struct sl_port *theirs = (const struct sl_port *)a->store->base[SL_ARRAY_ports] +
				       (generation & 1) * SL_PORTS_MAX;
	const struct sl_bank *bank = &sl_store_root(a->store)->bank[generation & 1];

	*at = bank->ports;
	if (bank->ports != a->n_ports)
		return false;
	for (*at = 0; *at < a->n_ports; ++*at) {
		const struct sl_queue *port = &ours[*at * SL_QUEUES_PER_PORT];

		/* Control reports an interface that is gone or was recreated. */
		if (!port->ifindex || !theirs[*at].ifindex)
			continue;
		for (uint32_t other = 0; other < a->n_ports; other++)
			if (other != *at &&
			    theirs[*at].ifindex == ours[other * SL_QUEUES_PER_PORT].ifindex)
				return false;
	}
	return true;
}

/* Unused ones are all 0. */
static bool check_groups(const struct sl_acceptor *a, uint64_t generation, uint32_t *at)
{
	const struct sl_hop_group *g =
		(const struct sl_hop_group *)a->store->base[SL_ARRAY_hop_groups] +
		(generation & 1) * SL_HOP_GROUPS;

	for (*at = 0; *at < SL_HOP_GROUPS; ++*at) {
		for (uint32_t i = 0; i < SL_HOP_BUCKETS; i++)
			if (g[*at].bucket[i] >= SL_HOPS)
				return false;
		for (uint32_t i = 0; i < SL_HOPS; i++)
			if (g[*at].hop[i].egress && !is_port(a, g[*at].hop[i].egress))
				return false;
	}
	return true;
}

static bool check_vlans(const struct sl_acceptor *a, uint64_t generation, uint32_t *at)
{
	const struct sl_port *port = (const struct sl_port *)a->store->base[SL_ARRAY_ports] +
				     (generation & 1) * SL_PORTS_MAX;

	for (*at = SL_PORT_VLANS; *at < SL_PORTS_MAX; ++*at)
		if (port[*at].vlan > 4094 || (port[*at].vlan && port[*at].parent >= a->n_ports))
			return false;
	return true;
}

/* Checks the whole bank. *at: the index of the record that is wrong. */
static enum sl_accept check(struct sl_acceptor *a, uint64_t generation, uint32_t *at)
{
	const struct sl_root *root = sl_store_root(a->store);
	const struct sl_bank *bank = &root->bank[generation & 1];
	uint32_t services = a->store->count[SL_ARRAY_services] / 2;
	uint32_t routes = a->store->count[SL_ARRAY_routes] / 2;
	const struct sl_service *s = (const struct sl_service *)a->store->base[SL_ARRAY_services] +
				     (size_t)(generation & 1) * services;
	const struct sl_route *r = (const struct sl_route *)a->store->base[SL_ARRAY_routes] +
				   (size_t)(generation & 1) * routes;
	uint32_t found = 0;

	if (bank->generation != generation || bank->seq & 1)
		return SL_ACCEPT_FORM;
	if (!same_ports(a, generation, at))
		return SL_ACCEPT_PORTS;
	for (*at = 0; *at < services; ++*at) {
		enum sl_accept answer;

		if (!(s[*at].vip.q[0] | s[*at].vip.q[1]))
			continue;
		found++;
		answer = check_service(a, &s[*at], generation);
		if (answer != SL_ACCEPT_OK)
			return answer;
	}
	if (found != bank->services)
		return SL_ACCEPT_FORM;
	for (*at = 0; *at < routes; ++*at)
		if (r[*at].kind == SL_ROUTE_VIA && !is_egress(a, r[*at].port))
			return SL_ACCEPT_EGRESS;
	if (!check_groups(a, generation, at) || !check_vlans(a, generation, at))
		return SL_ACCEPT_EGRESS;
	return check_exceptions(a, generation, at);
}

/* Control may overwrite the bank meanwhile: if its sequence word changed, check once more. */
enum sl_accept sl_acceptor_check_live(struct sl_acceptor *a, uint32_t *at)
{
	const struct sl_root *root = sl_store_root(a->store);
	enum sl_accept answer;
	uint64_t generation;

	do {
		generation = __atomic_load_n(&root->generation, __ATOMIC_ACQUIRE);
		answer = check(a, generation, at);
	} while (generation != __atomic_load_n(&root->generation, __ATOMIC_ACQUIRE));
	if (answer == SL_ACCEPT_OK)
		a->accepted = generation;
	return answer;
}

bool sl_acceptor_run(struct sl_acceptor *a)
{
	const struct sl_root *root = sl_store_root(a->store);
	struct sl_engine *self = a->store->base[SL_ARRAY_engine];
	/* Acquire: the bank was filled before it was proposed. */
	uint64_t proposed = __atomic_load_n(&root->proposed, __ATOMIC_ACQUIRE);
	enum sl_accept answer;
	uint32_t at = 0;

	if (!proposed || proposed == self->accepted)
		return false;
	answer = check(a, proposed, &at);
	if (answer == SL_ACCEPT_OK)
		a->accepted = proposed;
	self->answer = answer;
	self->at = at;
	/* Release: the answer before the generation that it is about. */
	__atomic_store_n(&self->accepted, proposed, __ATOMIC_RELEASE);
	return true;
}
