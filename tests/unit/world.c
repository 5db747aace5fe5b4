/* SPDX-License-Identifier: BSD-2-Clause */
/* See world.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define PLACES	       64 /* per bank, of each kind */
#define SLOT_BLOCKS    (WORLD_ROWS / SL_SLOTS_PER_BLOCK)
#define EXTENT_SERVERS (WORLD_SERVICES * SLOT_BLOCKS) /* blocks before those of server ids */
#define EXTENT_POOLS                                                                               \
	(EXTENT_SERVERS + WORLD_SERVICES * WORLD_SERVERS) /* one for IPv4, one for IPv6 */
#define POOL_RECORDS	18
#define EXTENT_ROWS	(EXTENT_POOLS + 2 * POOL_RECORDS) /* of one bank */
#define EXTENT_BACKENDS (WORLD_SERVICES * WORLD_BACKENDS)
#define BALANCES                                                                                   \
	(WORLD_SERVICES * WORLD_LIMITS + 1 + SL_SHARED_BUCKET_PLANES * (EXTENT_BACKENDS + 1))

static const size_t record_size[SL_ARRAY_COUNT] = {
#define X(name, record, writer) sizeof(record),
	SL_ARRAYS(X)
#undef X
};

static const uint32_t record_count[SL_ARRAY_COUNT] = {
	[SL_ARRAY_root] = 1,
	[SL_ARRAY_services] = 2 * PLACES,
	[SL_ARRAY_reply_entries] = 2 * PLACES,
	[SL_ARRAY_routes] = 2 * PLACES,
	[SL_ARRAY_ports] = 2 * SL_PORTS_MAX,
	[SL_ARRAY_hop_groups] = 2 * SL_HOP_GROUPS,
	[SL_ARRAY_table_blocks] = 2 * EXTENT_ROWS,
	[SL_ARRAY_backends] = 2 * EXTENT_BACKENDS,
	[SL_ARRAY_flow_timeouts] = 2 * WORLD_SERVICES + 1,
	[SL_ARRAY_schedules] = 2 * WORLD_SERVICES + 1,
	[SL_ARRAY_engine] = 1,
	[SL_ARRAY_workers] = WORLD_QUEUES,
	[SL_ARRAY_queues] = WORLD_QUEUES,
	[SL_ARRAY_reason_counters] = WORLD_QUEUES,
	[SL_ARRAY_backend_counters] = WORLD_QUEUES * (EXTENT_BACKENDS + 1),
	[SL_ARRAY_service_counters] = WORLD_QUEUES * (2 * WORLD_SERVICES + 1),
	[SL_ARRAY_neigh_requests] = WORLD_QUEUES,
	[SL_ARRAY_limits] = 2 * WORLD_SERVICES * WORLD_LIMITS,
	[SL_ARRAY_exceptions] = 2 * PLACES,
	[SL_ARRAY_leases] = WORLD_QUEUES * BALANCES,
	[SL_ARRAY_limit_counters] = WORLD_QUEUES * (WORLD_SERVICES * WORLD_LIMITS + 1),
	[SL_ARRAY_most_limited] = WORLD_QUEUES * SL_MOST_LIMITED,
	[SL_ARRAY_shared_buckets] = BALANCES,
	[SL_ARRAY_meters] = 256,
	[SL_ARRAY_fragments] = 8,
	[SL_ARRAY_learned] = 8,
	[SL_ARRAY_snat_ports] = WORLD_POOL_LINES,
	[SL_ARRAY_snat_clients] = WORLD_POOL_LINES * SL_SNAT_PORTS_PER_LINE,
};

static void make_root(struct world *w)
{
	struct sl_root *root = w->root;
	uint64_t state = 42;

	root->magic = SL_MAGIC;
	root->abi_version = SL_ABI_VERSION;
	root->arrays = SL_ARRAY_COUNT;
	for (int i = 0; i < 3; i++)
		root->slot_key[i] = world_random(&state);
	for (int i = 0; i < 2; i++)
		root->flow_key[i] = world_random(&state);
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		root->record_size[i] = (uint32_t)record_size[i];
		root->count[i] = w->store.count[i];
	}
}

int world_make(struct world *w, uint32_t buckets)
{
	memset(w, 0, sizeof(*w));
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		uint32_t n = i == SL_ARRAY_flows ? buckets : record_count[i];
		size_t bytes = (n * record_size[i] + 127) & ~(size_t)127;

		w->store.base[i] = aligned_alloc(128, bytes);
		if (!w->store.base[i]) {
			world_free(w);
			return -ENOMEM;
		}
		memset(w->store.base[i], 0, bytes);
		w->store.bytes[i] = bytes;
		w->store.count[i] = n;
		w->store.fd[i] = -1;
	}
	w->root = sl_store_root(&w->store);
	make_root(w);
	for (uint32_t q = 0; q < WORLD_QUEUES; q++)
		sl_tables_init(&w->queue[q], &w->store, q);
	return 0;
}

void world_free(struct world *w)
{
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		free(w->store.base[i]);
	memset(w, 0, sizeof(*w));
}

static sl_be16 be16(uint16_t v)
{
	return sl_htons(v);
}

uint32_t world_add_service(struct world *w, uint32_t vip, uint16_t port, uint8_t protocol,
			   uint32_t slots)
{
	uint32_t index = w->services++;
	struct world_service *s;

	assert(index < WORLD_SERVICES && slots <= WORLD_ROWS && slots >= SL_SLOTS_PER_BLOCK);
	s = &w->service[index];
	s->record = (struct sl_service){
		.vip = sl_addr4(sl_htonl(vip)),
		.endpoint = sl_endpoint(be16(port), protocol),
		.slot_endpoint = sl_endpoint(be16(port), protocol),
		.id = (uint16_t)(index + 1),
		.slot_mask = slots - 1,
		.mode = SL_MODE_NAT,
		.pick = SL_PICK_HASH,
	};
	return index;
}

union sl_addr world_addr(uint32_t addr, bool is_ipv6)
{
	if (!is_ipv6)
		return sl_addr4(sl_htonl(addr));
	return (union sl_addr){ .w = { sl_htonl(0x20010db8), 0, sl_htonl(1), sl_htonl(addr) } };
}

void world_make_ipv6(struct world *w, uint32_t service)
{
	struct world_service *s = &w->service[service];

	s->is_ipv6 = true;
	s->record.vip = world_addr(sl_ntohl(s->record.vip.w[3]), true);
}

void world_make_range(struct world *w, uint32_t service, uint16_t last)
{
	struct sl_service *s = &w->service[service].record;
	uint8_t protocol = sl_endpoint_protocol(s->endpoint);
	uint32_t n = 0;

	for (uint32_t i = 0; i < service; i++) {
		const struct sl_service *other = &w->service[i].record;

		n += other->endpoint == sl_endpoint_range(n, protocol) &&
		     sl_addr_equal(&other->vip, &s->vip);
	}
	s->first_port = sl_ntohs((sl_be16)(uint16_t)s->endpoint);
	s->last_port = last;
	s->endpoint = sl_endpoint_range(n, protocol);
	s->flags |= SL_SERVICE_RANGE;
}

void world_make_fullnat(struct world *w, uint32_t service)
{
	struct sl_service *s = &w->service[service].record;

	s->mode = SL_MODE_FULLNAT;
	s->flags |= SL_SERVICE_FULLNAT | SL_SERVICE_TRACK;
}

/* Here the backends of a range belong to one service only. */
static void reply_range(struct sl_reply_entry *r, const struct sl_service *s)
{
	r->endpoint = sl_endpoint_range(0, sl_endpoint_protocol(s->endpoint));
	r->port = (sl_be16)0;
	r->first_port = s->first_port;
	r->last_port = s->last_port;
	r->flags |= SL_SERVICE_RANGE;
}

uint32_t world_add_backend(struct world *w, uint32_t service, uint32_t addr, uint16_t port,
			   const uint8_t mac[12], uint16_t egress)
{
	struct world_service *s = &w->service[service];
	uint32_t number = ++s->record.n_backends;
	uint32_t counter_id = service * WORLD_BACKENDS + number - 1;
	union sl_addr to = world_addr(addr, s->is_ipv6), vip = s->record.vip;
	sl_be16 vip_port = (sl_be16)(uint16_t)s->record.endpoint; /* 0 for a range */
	bool range = s->record.flags & SL_SERVICE_RANGE;
	struct sl_backend *b;

	assert(number <= WORLD_BACKENDS);
	port = range ? 0 : port;
	b = &s->backend[number - 1];
	*b = (struct sl_backend){
		.egress = egress,
		.flags = SL_BACKEND_SERVES | SL_BACKEND_TAKES_NEW | SL_BACKEND_RESOLVED,
		.addr = to,
		.port = be16(port),
		.ip_delta = sl_csum_delta_addr(&vip, &to),
		.l4_delta = sl_csum_delta_endpoint(&vip, vip_port, &to, be16(port)),
		.mtu = 1500,
		.counter_id = counter_id,
	};
	memcpy(b->dst_mac, mac, 6);
	memcpy(b->src_mac, mac + 6, 6);
	s->reply[number - 1] = (struct sl_reply_entry){
		.backend = to,
		.endpoint = sl_endpoint(be16(port), sl_endpoint_protocol(s->record.endpoint)),
		.service = s->record.id,
		.ip_delta = sl_csum_delta_addr(&to, &vip),
		.l4_delta = sl_csum_delta_endpoint(&to, be16(port), &vip, vip_port),
		.port = vip_port,
		.counter_id = counter_id,
		.vip = vip,
	};
	if (range)
		reply_range(&s->reply[number - 1], &s->record);
	return number;
}

struct sl_route *world_add_route(struct world *w, uint32_t prefix, uint32_t length,
				 enum sl_route_kind kind)
{
	struct sl_route *r = &w->route[w->routes++];

	assert(w->routes <= WORLD_ROUTES);
	*r = (struct sl_route){
		.prefix = sl_addr4(sl_htonl(prefix)),
		.length = 96 + length,
		.kind = (uint8_t)kind,
		.mtu = 1500,
	};
	return r;
}

void world_set_slots(struct world *w, uint32_t service, uint32_t slot)
{
	for (uint32_t i = 0; i < WORLD_ROWS; i++)
		w->service[service].slot[i] = slot;
}

void world_set_timeouts(struct world *w, uint32_t service, uint64_t opening, uint64_t established,
			uint64_t closing)
{
	struct sl_flow_timeouts *timeouts =
		(struct sl_flow_timeouts *)w->store.base[SL_ARRAY_flow_timeouts] + service + 1;

	timeouts->lifetime[SL_FLOW_OPENING] = opening;
	timeouts->lifetime[SL_FLOW_ESTABLISHED] = established;
	timeouts->lifetime[SL_FLOW_CLOSING] = closing;
}

/* The position of a record in its cuckoo table, or NULL if both are taken. All kinds of records are
 * one cache line that begins with an address. */
static void *place(void *base, const union sl_addr *addr, uint32_t what, uint64_t seed)
{
	uint64_t hash = sl_cuckoo_hash(addr, what, seed);
	uint32_t at[2] = { sl_cuckoo_first(hash, PLACES), sl_cuckoo_second(hash, PLACES) };

	for (int i = 0; i < 2; i++) {
		static const union sl_addr none[4];
		union sl_addr *record = (union sl_addr *)base + (size_t)at[i] * 4;

		if (!memcmp(record, none, sizeof(none)))
			return record;
	}
	return NULL;
}

static bool place_service(struct world *w, uint32_t bank, const struct sl_service *record,
			  uint64_t seed)
{
	struct sl_service *base = (struct sl_service *)w->store.base[SL_ARRAY_services];
	void *at = place(base + bank * PLACES, &record->vip, record->endpoint, seed);

	if (at)
		memcpy(at, record, sizeof(*record));
	return at;
}

static bool place_reply(struct world *w, uint32_t bank, const struct sl_reply_entry *record,
			uint64_t seed)
{
	struct sl_reply_entry *base =
		(struct sl_reply_entry *)w->store.base[SL_ARRAY_reply_entries];
	void *at = place(base + bank * PLACES, &record->backend, record->endpoint, seed);

	if (at)
		memcpy(at, record, sizeof(*record));
	return at;
}

/* The reply entry of a service in mode fullnat, and the record of its pool's address. */
static bool place_bound(struct world *w, uint32_t bank, struct world_service *s, uint64_t seed,
			bool known)
{
	struct sl_service pool = { .vip = world_addr(WORLD_POOL_ADDR, s->is_ipv6),
				   .flags = SL_SERVICE_VIP | SL_SERVICE_POOL };
	struct sl_reply_entry r = s->reply[0];

	r.backend = sl_reply_entry_id(s->record.id);
	r.endpoint = SL_ENDPOINT_ID;
	r.service = s->record.id;
	r.port = s->record.flags & SL_SERVICE_RANGE ? (sl_be16)0
						    : (sl_be16)(uint16_t)s->record.endpoint;
	r.vip = s->record.vip;
	r.backends = s->record.backends;
	r.n_backends = s->record.n_backends;
	r.flags = s->record.flags;
	r.protocol = sl_endpoint_protocol(s->record.endpoint);
	r.limits = s->record.limits;
	r.n_limits = s->record.n_limits;
	return place_reply(w, bank, &r, seed) && (known || place_service(w, bank, &pool, seed));
}

static bool place_services(struct world *w, uint32_t bank, uint64_t seed)
{
	bool pools[2] = { false };

	for (uint32_t i = 0; i < w->services; i++) {
		struct world_service *s = &w->service[i];
		struct sl_service vip = { .vip = s->record.vip, .flags = SL_SERVICE_VIP };
		bool known = false;

		for (uint32_t j = 0; j < i; j++)
			known |= sl_addr_equal(&w->service[j].record.vip, &vip.vip);
		if (!place_service(w, bank, &s->record, seed) ||
		    (!known && !place_service(w, bank, &vip, seed)))
			return false;
		for (uint32_t b = 0; b < s->record.n_backends; b++) {
			struct sl_reply_entry *r = &s->reply[b];

			r->flags = s->record.flags;
			r->protocol = sl_endpoint_protocol(s->record.endpoint);
			if (s->record.mode != SL_MODE_FULLNAT && !place_reply(w, bank, r, seed))
				return false;
		}
		if (s->record.mode != SL_MODE_FULLNAT)
			continue;
		if (!place_bound(w, bank, s, seed, pools[s->is_ipv6]))
			return false;
		pools[s->is_ipv6] = true;
	}
	return true;
}

static bool place_routes(struct world *w, uint32_t bank, uint64_t seed)
{
	struct sl_route *base = (struct sl_route *)w->store.base[SL_ARRAY_routes];
	struct sl_bank *head = &w->root->bank[bank];
	uint32_t n[2] = { 0 };

	for (uint32_t i = 0; i < w->routes; i++) {
		const struct sl_route *r = &w->route[i];
		void *at = place(base + bank * PLACES, &r->prefix, r->length, seed);

		if (!at)
			return false;
		memcpy(at, r, sizeof(*r));
	}
	memset(head->lengths4, 0xff, sizeof(head->lengths4));
	memset(head->lengths6, 0xff, sizeof(head->lengths6));
	for (uint32_t length = 129; length-- > 0;) {
		for (uint32_t i = 0; i < w->routes; i++) {
			bool is_ipv6 = !sl_addr_is4(&w->route[i].prefix);
			uint8_t *lengths = is_ipv6 ? head->lengths6 : head->lengths4;

			if (w->route[i].length == length &&
			    (!n[is_ipv6] || lengths[n[is_ipv6] - 1] != length))
				lengths[n[is_ipv6]++] = (uint8_t)length;
		}
	}
	return true;
}

static void clear_bank(struct world *w, uint32_t bank)
{
	static const int kinds[] = { SL_ARRAY_services, SL_ARRAY_reply_entries, SL_ARRAY_routes,
				     SL_ARRAY_exceptions };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		memset((char *)w->store.base[kinds[i]] + (size_t)bank * PLACES * 64, 0,
		       PLACES * 64);
}

/* One address, whose ports are the first of region 0. */
static void write_pool(struct world *w, uint32_t at, bool is_ipv6)
{
	struct sl_table_block *blocks =
		(struct sl_table_block *)w->store.base[SL_ARRAY_table_blocks] + at;

	memset(blocks, 0, POOL_RECORDS * sizeof(*blocks));
	blocks->pool = (struct sl_snat_pool){ .n = 1,
					      .first_port = WORLD_POOL_FIRST,
					      .last_port = WORLD_POOL_LAST };
	blocks[POOL_RECORDS - 1].address[0].addr = world_addr(WORLD_POOL_ADDR, is_ipv6);
}

/* Each bank has extents of its own. */
static void write_extents(struct world *w, uint32_t bank)
{
	for (uint32_t i = 0; i < w->services; i++) {
		struct world_service *s = &w->service[i];
		struct sl_table_block *blocks = w->store.base[SL_ARRAY_table_blocks];
		struct sl_backend *backends = w->store.base[SL_ARRAY_backends];
		uint32_t server_ids = bank * EXTENT_ROWS + EXTENT_SERVERS + i * WORLD_SERVERS;

		s->record.slots = bank * EXTENT_ROWS + i * SLOT_BLOCKS;
		s->record.backends = bank * EXTENT_BACKENDS + i * WORLD_BACKENDS;
		if (s->server_bytes)
			s->record.server_ids =
				sl_server_ids_pack(server_ids, WORLD_SERVERS, s->server_bytes);
		if (s->record.mode == SL_MODE_FULLNAT) {
			s->record.pool =
				bank * EXTENT_ROWS + EXTENT_POOLS + s->is_ipv6 * POOL_RECORDS;
			write_pool(w, s->record.pool, s->is_ipv6);
		}
		memcpy(blocks + s->record.slots, s->slot, sizeof(s->slot));
		memcpy(blocks + server_ids, s->server, sizeof(s->server));
		memcpy(backends + s->record.backends, s->backend, sizeof(s->backend));
		s->record.flags &= (uint16_t)~SL_SERVICE_LOOKUP;
		if (s->record.flags & SL_SERVICE_TRACK)
			s->record.flags |= SL_SERVICE_LOOKUP;
		for (uint32_t r = 0; r <= s->record.slot_mask; r++) {
			if (sl_slot_state(s->slot[r]) != SL_SLOT_CLOSED)
				s->record.flags |= SL_SERVICE_LOOKUP;
		}
	}
}

/* Sets the service's flags by its limits, as control does. */
static uint16_t limit_flags(const struct world_service *s)
{
	uint16_t flags = 0;

	for (uint32_t k = 0; k < s->record.n_limits; k++) {
		const struct sl_limit *l = &s->limit[k];
		bool to = l->direction & SL_TO_BACKEND, from = l->direction & SL_FROM_BACKEND;

		if (l->flags & SL_LIMIT_ENTRY)
			flags |= (to ? SL_SERVICE_ENTRY_TO : 0) |
				 (from ? SL_SERVICE_ENTRY_FROM : 0) | SL_SERVICE_TRACK;
		else if (l->unit == SL_UNIT_CONNECTIONS)
			flags |= SL_SERVICE_LIMIT_NEW;
		else
			flags |=
				(to ? SL_SERVICE_LIMIT_TO : 0) | (from ? SL_SERVICE_LIMIT_FROM : 0);
	}
	return flags;
}

static void write_limits(struct world *w, uint32_t bank)
{
	struct sl_limit *limits = w->store.base[SL_ARRAY_limits];

	for (uint32_t i = 0; i < w->services; i++) {
		struct world_service *s = &w->service[i];

		s->record.limits = (bank * WORLD_SERVICES + i) * WORLD_LIMITS;
		memcpy(limits + s->record.limits, s->limit, sizeof(s->limit));
		s->record.flags |= limit_flags(s);
		for (uint32_t b = 0; b < WORLD_BACKENDS; b++) {
			s->reply[b].limits = s->record.limits;
			s->reply[b].n_limits = s->record.n_limits;
		}
	}
}

static bool place_exceptions(struct world *w, uint32_t bank, uint64_t seed)
{
	struct sl_exception *base = w->store.base[SL_ARRAY_exceptions];

	for (uint32_t i = 0; i < w->exceptions; i++) {
		void *at = place(base + bank * PLACES, &w->exception[i].key, 0, seed);

		if (!at)
			return false;
		memcpy(at, &w->exception[i], sizeof(w->exception[i]));
	}
	return true;
}

void world_add_limit(struct world *w, uint32_t service, const struct sl_limit *limit)
{
	struct world_service *s = &w->service[service];
	struct sl_limit *l = &s->limit[s->record.n_limits];

	assert(s->record.n_limits < WORLD_LIMITS);
	*l = *limit;
	l->id = (uint16_t)(service * WORLD_LIMITS + s->record.n_limits++ + 1);
	l->shared_bucket = l->scope == SL_SCOPE_BACKEND ? WORLD_SERVICES * WORLD_LIMITS + 1 : l->id;
}

void world_add_exception(struct world *w, uint32_t service, uint32_t limit, uint32_t client,
			 uint16_t port, const struct sl_pace *pace)
{
	struct sl_limit *l = &w->service[service].limit[limit];
	union sl_addr addr = world_addr(client, w->service[service].is_ipv6);
	uint64_t subject =
		l->scope == SL_SCOPE_FLOW
			? sl_hash_source(&addr, be16(port), w->root->slot_key)
			: sl_meter_client(&addr, l->prefix4, l->prefix6, w->root->flow_key);

	if (w->exceptions == WORLD_EXCEPTIONS)
		return;
	for (uint32_t i = 0; i < w->exceptions; i++) /* three records with equal keys don't fit */
		if (w->exception[i].key.q[1] == sl_meter_key(l->id, subject))
			return;
	l->flags |= SL_LIMIT_EXCEPTIONS;
	w->exception[w->exceptions++] =
		(struct sl_exception){ .key = { .q = { 0, sl_meter_key(l->id, subject) } },
				       .pace = *pace };
}

void world_add_server_id(struct world *w, uint32_t service, uint32_t backend, uint64_t id,
			 uint8_t bytes)
{
	struct world_service *s = &w->service[service];
	uint64_t hash = sl_server_id_hash(id);
	uint32_t at[2] = { sl_server_id_first(hash, WORLD_SERVERS - 1),
			   sl_server_id_second(hash, WORLD_SERVERS - 1) };

	s->record.flags |= SL_SERVICE_QUIC | SL_SERVICE_TRACK;
	s->server_bytes = bytes;
	for (uint32_t i = 0; i < 2 * SL_SERVER_IDS_PER_BUCKET; i++) {
		struct sl_server_id_bucket *bucket =
			&s->server[at[i / SL_SERVER_IDS_PER_BUCKET]].server_ids;

		if (bucket->backend[i % SL_SERVER_IDS_PER_BUCKET])
			continue;
		bucket->id[i % SL_SERVER_IDS_PER_BUCKET] = id;
		bucket->backend[i % SL_SERVER_IDS_PER_BUCKET] = backend;
		return;
	}
}

const struct sl_limit_counters *world_limit_counters(const struct world *w, uint32_t queue,
						     uint32_t service, uint32_t limit)
{
	return &w->queue[queue].limit_counters[w->service[service].limit[limit].id];
}

void world_publish(struct world *w)
{
	uint64_t generation = w->root->generation + 1;
	uint32_t bank = generation & 1;
	struct sl_bank *head = &w->root->bank[bank];
	bool placed = false;

	head->seq++;
	write_limits(w, bank);
	write_extents(w, bank);
	for (uint64_t seed = generation; !placed; seed++) {
		clear_bank(w, bank);
		placed = place_services(w, bank, seed) && place_routes(w, bank, seed) &&
			 place_exceptions(w, bank, seed);
		head->seed = seed;
	}
	for (uint32_t i = 0; i < SL_PORTS_MAX; i++)
		for (int k = 0; k < SL_PORT_ADDRESSES; k++)
			if (!w->port[i].address[k])
				w->port[i].address[k] = sl_port_address(w->port[i].mac);
	memcpy((struct sl_port *)w->store.base[SL_ARRAY_ports] + bank * SL_PORTS_MAX, w->port,
	       sizeof(w->port));
	head->wide = 0;
	memset(head->vip_lengths, 0xff, sizeof(head->vip_lengths));
	for (uint32_t i = 0; i < w->services; i++)
		head->wide += !!(w->service[i].record.flags & SL_SERVICE_RANGE);
	head->generation = generation;
	head->seq++;
	w->root->generation = generation;
}

void world_snapshot(struct world *w, uint32_t queue)
{
	bool live = sl_tables_snapshot(&w->queue[queue], &w->store);

	assert(live);
	(void)live;
}

void world_snapshot_all(struct world *w)
{
	for (uint32_t q = 0; q < WORLD_QUEUES; q++)
		world_snapshot(w, q);
}

void world_time(struct world *w, uint64_t ticks)
{
	for (uint32_t q = 0; q < WORLD_QUEUES; q++)
		w->queue[q].now = ticks;
}

struct sl_bank *world_live_bank(struct world *w)
{
	return &w->root->bank[w->root->generation & 1];
}

struct sl_service *world_live_service(struct world *w, uint32_t service)
{
	const struct sl_service *s = &w->service[service].record;

	return (struct sl_service *)sl_service_find(&w->queue[0], &s->vip, s->endpoint);
}

struct sl_reply_entry *world_live_reply(struct world *w, uint32_t service, uint32_t backend)
{
	const struct sl_reply_entry *r = &w->service[service].reply[backend - 1];

	return (struct sl_reply_entry *)sl_reply_entry_find(&w->queue[0], &r->backend, r->endpoint);
}

enum sl_reason world_decide(struct world *w, uint32_t queue, struct sl_packet *p, uint16_t *egress)
{
	static _Thread_local struct sl_one_packet one_packet;

	sl_one_packet_classify(&one_packet, &w->queue[queue], p);
	return sl_one_packet_route(&one_packet, &w->queue[queue], p, egress);
}

uint64_t world_flow_key(uint32_t service, uint32_t client, uint16_t port)
{
	uint64_t source = (uint64_t)(uint32_t)sl_htonl(client) << 16 | (uint16_t)sl_htons(port);

	return sl_flow_key((uint16_t)(service + 1), source);
}

uint64_t world_flow_hash(const struct world *w, uint64_t key)
{
	return sl_hash_flow(key, w->root->flow_key);
}

struct sl_flow_at world_flow_find(struct world *w, uint64_t key)
{
	return sl_flow_find(&w->queue[0], key, world_flow_hash(w, key));
}

uint32_t world_slot_of(const struct world *w, uint32_t service, uint32_t client, uint16_t port)
{
	const struct sl_service *s = &w->service[service].record;

	return sl_hash_slot(sl_htonl(client), sl_htons(port), s->vip.w[3], s->endpoint,
			    w->root->slot_key) &
	       s->slot_mask;
}

uint64_t world_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t world_flow_insert(const struct sl_tables *t, uint64_t key, uint64_t value, uint64_t now)
{
	uint64_t hash = sl_hash_flow(key, t->root->flow_key);
	uint64_t entered = sl_flow_insert(t, key, hash, value, now);

	if (entered || !sl_flow_relocate(t, key, now))
		return entered;
	return sl_flow_insert(t, key, hash, value, now);
}
