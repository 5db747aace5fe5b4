/* SPDX-License-Identifier: BSD-2-Clause */
#include "bank.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../../dataplane/abi/csum.h"
#include "../model/limits.h"
#include "../network/routes.h"
#include "hop_groups.h"
#include "limit_records.h"
#include "modes.h"
#include "nat_pools.h"
#include "place.h"
#include "server_ids.h"

enum { SEEDS_TRIED = 32, KINDS = 4 };

struct gathered {
	struct sl_cuckoo_key *key;
	char *record;
	uint32_t *place;
	uint32_t *seen; /* by hash of the key: index of the record + 1; 0: none */
	size_t mask;	/* size of `seen` - 1 */
	size_t size;	/* of a record, in bytes */
	size_t n;
	uint32_t wide;	      /* services with a range of ports, or with a prefix as VIP */
	bool too_many_ranges; /* an address has more than SL_RANGES ranges */
};

static int gather_init(struct gathered *g, size_t size, size_t max)
{
	*g = (struct gathered){ .size = size, .mask = 1 };
	while (g->mask < 2 * max)
		g->mask = 2 * g->mask + 1;
	g->key = calloc(max + 1, sizeof(*g->key));
	g->record = calloc(max + 1, size);
	g->place = calloc(max + 1, sizeof(*g->place));
	g->seen = calloc(g->mask + 1, sizeof(*g->seen));
	return g->key && g->record && g->place && g->seen ? 0 : -ENOMEM;
}

static void gather_free(struct gathered *g)
{
	free(g->key);
	free(g->record);
	free(g->place);
	free(g->seen);
}

/* Returns the index in `seen` where the key is, or the free one where it would be entered. */
static size_t seen_at(const struct gathered *g, const union sl_addr *addr, uint32_t what)
{
	size_t i = sl_cuckoo_hash(addr, what, 0) & g->mask;

	for (; g->seen[i]; i = (i + 1) & g->mask)
		if (g->key[g->seen[i] - 1].what == what &&
		    sl_addr_equal(g->key[g->seen[i] - 1].addr, addr))
			break;
	return i;
}

/* Returns the first range endpoint (sl_endpoint_range()) that the address doesn't have yet. Sets
 * too_many_ranges if there is none below SL_RANGES. */
static uint32_t range_endpoint(struct gathered *g, const union sl_addr *addr, uint8_t protocol,
			       uint32_t prefix)
{
	uint32_t n = 0;

	while (g->seen[seen_at(g, addr, prefix | sl_endpoint_range(n, protocol))])
		n++;
	g->too_many_ranges |= n >= SL_RANGES;
	return prefix | sl_endpoint_range(n, protocol);
}

/* Returns what a prefix adds to the keys of its VIP, which is the index of its length. 0: the VIP
 * is one address. */
static uint32_t prefix_key(const struct sl_bank *bank, const struct sl_config_service *conf)
{
	const uint8_t *lengths = bank->vip_lengths[!sl_addr_is4(&conf->vip)];

	for (uint32_t i = 0; conf->vip_host_bits && i < SL_VIP_LENGTHS; i++)
		if (lengths[i] == 128 - conf->vip_host_bits)
			return sl_endpoint_prefix(0, i);
	return 0;
}

/* Writes the prefix lengths of VIPs to the bank, the longest first. Returns false if a family has
 * more than SL_VIP_LENGTHS. */
static bool list_vip_lengths(struct sl_bank *bank, const struct sl_model *m)
{
	memset(bank->vip_lengths, 0xff, sizeof(bank->vip_lengths));
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_config_service *conf = &m->service[i]->conf;
		uint8_t *at = bank->vip_lengths[!sl_addr_is4(&conf->vip)];
		uint8_t length = (uint8_t)(128 - conf->vip_host_bits), next;
		uint32_t k = 0;

		if (!conf->vip_host_bits)
			continue;
		while (k < SL_VIP_LENGTHS && at[k] != 0xff && at[k] > length)
			k++;
		if (k < SL_VIP_LENGTHS && at[k] == length)
			continue;
		if (at[SL_VIP_LENGTHS - 1] != 0xff)
			return false;
		for (; length != 0xff; length = next) {
			next = at[k];
			at[k++] = length;
		}
	}
	return true;
}

/* Adds a record. If several records have the same key, the first one is kept. Every record begins
 * with its address, so the key points there. */
static void gather(struct gathered *g, const void *record, uint32_t what)
{
	char *at = g->record + g->n * g->size;
	const union sl_addr *addr = memcpy(at, record, g->size);
	size_t i = seen_at(g, addr, what);

	if (g->seen[i])
		return;
	g->seen[i] = (uint32_t)g->n + 1;
	g->key[g->n].addr = addr;
	g->key[g->n++].what = what;
}

static void gather_service(struct gathered *g, const struct sl_bank *bank,
			   const struct sl_model_service *s)
{
	uint32_t prefix = prefix_key(bank, &s->conf);
	struct sl_service r = { .vip = s->conf.vip,
				.endpoint = prefix |
					    sl_endpoint(sl_htons(s->conf.port), s->conf.protocol),
				.slot_endpoint = s->slot_endpoint,
				.first_port = s->conf.port,
				.last_port = s->conf.last_port,
				.id = s->id,
				.n_backends = (uint16_t)s->n,
				.slots = s->slots->at,
				.slot_mask = s->conf.table_size - 1,
				.backends = s->backends->at,
				.mode = (uint8_t)s->conf.mode,
				.pick = s->learns ? SL_PICK_HASH : s->conf.pick,
				.flags = sl_limit_records_flags(s),
				.limits = s->limits ? s->limits->at : 0,
				.n_limits = (uint8_t)s->n_limits };

	if (s->conf.affinity && sl_addr_is4(&s->conf.vip)) {
		r.ignore_port = (sl_be16)UINT16_MAX;
		r.ignore4 = sl_affinity_ignore4(s->conf.affinity);
	} else {
		r.prefix6 = s->conf.affinity;
	}
	if (sl_service_tracks(s))
		r.flags |= SL_SERVICE_TRACK | SL_SERVICE_LOOKUP;
	if (s->conf.flowless)
		r.flags |= SL_SERVICE_FLOWLESS;
	if (s->windows.open || s->windows.mixed)
		r.flags |= SL_SERVICE_LOOKUP;
	if (s->conf.rejects)
		r.flags |= SL_SERVICE_REJECTS;
	if (sl_config_is_range(&s->conf)) {
		r.flags |= SL_SERVICE_RANGE;
		r.endpoint = range_endpoint(g, &r.vip, s->conf.protocol, prefix);
	}
	g->wide += r.flags & SL_SERVICE_RANGE || prefix;
	if (s->server_ids) {
		r.flags |= SL_SERVICE_QUIC;
		r.server_ids = sl_server_ids_record(s);
	}
	if (s->pool) {
		r.flags |= SL_SERVICE_FULLNAT | (prefix ? SL_SERVICE_VIP_KEYS : 0);
		r.pool = s->pool->at;
	}
	gather(g, &r, r.endpoint);
}

/* Adds records for the addresses of a SNAT pool, because the gateway answers for them too. */
static void gather_pool(struct gathered *g, const struct sl_control *c,
			const struct sl_config_snat_pool *pool)
{
	for (uint32_t i = 0; i < pool->n; i++) {
		struct sl_service r = { .vip = pool->addr[i],
					.slots = sl_nat_pools_region(c, &pool->addr[i]),
					.flags = SL_SERVICE_VIP | SL_SERVICE_POOL };

		gather(g, &r, 0);
	}
}

static void gather_services(struct gathered *g, const struct sl_control *c,
			    const struct sl_bank *bank, const struct sl_model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_config_service *conf = &m->service[i]->conf;
		struct sl_service vip = { .vip = conf->vip,
					  .endpoint = prefix_key(bank, conf),
					  .flags = SL_SERVICE_VIP };

		if (conf->vip_rejects)
			vip.flags |= SL_SERVICE_REJECTS;
		if (conf->shared_vip)
			vip.flags |= SL_SERVICE_SHARED;
		gather_service(g, bank, m->service[i]);
		gather(g, &vip, vip.endpoint);
		gather_pool(g, c, &conf->pool);
	}
}

/* Whether the backend already has a record for this range of ports. */
static bool has_range(const struct gathered *g, const struct sl_reply_entry *r, uint8_t protocol)
{
	const struct sl_reply_entry *there = (const void *)g->record;
	uint32_t seen;

	for (uint32_t n = 0;; n++) {
		seen = g->seen[seen_at(g, &r->backend, sl_endpoint_range(n, protocol))];
		if (!seen)
			return false;
		if (there[seen - 1].first_port == r->first_port &&
		    there[seen - 1].last_port == r->last_port)
			return true;
	}
}

static void gather_replies(struct gathered *g, const struct sl_model_service *s,
			   const struct sl_model_backend *b)
{
	sl_be16 port = sl_htons(b->port); /* 0 for a range, whose ports stay as they are */
	sl_be16 vip_port = sl_config_is_range(&s->conf) ? port : sl_htons(s->conf.port);
	struct sl_reply_entry r = {
		.backend = b->addr,
		.endpoint = sl_endpoint(port, s->conf.protocol),
		.service = s->id,
		.ip_delta = sl_csum_delta_addr(&b->addr, &s->conf.vip),
		.l4_delta = sl_csum_delta_endpoint(&b->addr, port, &s->conf.vip, vip_port),
		.port = vip_port,
		.counter_id = b->counter_id,
		.vip = s->conf.vip,
		.mss = sl_mode_mss(&s->conf, b),
		.flags =
			sl_limit_records_flags(s) & (SL_SERVICE_ENTRY_FROM | SL_SERVICE_LIMIT_FROM),
		.n_limits = (uint8_t)s->n_limits,
		.protocol = s->conf.protocol,
		.limits = s->limits ? s->limits->at : 0,
	};

	if (s->windows.open || s->windows.mixed || sl_service_tracks(s))
		r.flags |= SL_SERVICE_LOOKUP;
	if (sl_config_is_range(&s->conf)) {
		r.flags |= SL_SERVICE_RANGE;
		r.first_port = s->conf.port;
		r.last_port = s->conf.last_port;
		if (has_range(g, &r, s->conf.protocol))
			return;
		r.endpoint = range_endpoint(g, &r.backend, s->conf.protocol, 0);
	}
	gather(g, &r, r.endpoint);
}

/* Adds the reply entry of a service in mode fullnat. One entry serves all backends, because the
 * flow's entry names the backend. */
static void gather_snat_pool_services(struct gathered *g, const struct sl_model_service *s)
{
	struct sl_reply_entry r = {
		.backend = sl_reply_entry_id(s->id),
		.endpoint = SL_ENDPOINT_ID,
		.service = s->id,
		.port = sl_config_is_range(&s->conf) ? 0 : sl_htons(s->conf.port),
		.backends = s->backends->at,
		.n_backends = (uint16_t)s->n,
		.vip = s->conf.vip,
		.flags = SL_SERVICE_LOOKUP | (s->conf.vip_host_bits ? SL_SERVICE_VIP_KEYS : 0) |
			 (sl_limit_records_flags(s) &
			  (SL_SERVICE_ENTRY_FROM | SL_SERVICE_LIMIT_FROM)),
		.n_limits = (uint8_t)s->n_limits,
		.protocol = s->conf.protocol,
		.limits = s->limits ? s->limits->at : 0,
	};

	gather(g, &r, r.endpoint);
}

/* Adds the reply entries of all services. Replies pass through us only in modes nat and fullnat.
 *
 * In mode nat two services may share a backend's endpoint. The replies can't be told apart then,
 * and belong to the first service (model/shared_endpoints.h). Within one service, a backend that is
 * gone may have a successor with the same endpoint, to which the replies belong. So backends that
 * serve are added first. Late packets from a backend that is cut are replies too.
 */
static void gather_reply_entry(struct gathered *g, const struct sl_model *m)
{
	for (int gone = 0; gone < 2; gone++) {
		for (size_t i = 0; i < m->n; i++) {
			const struct sl_model_service *s = m->service[i];

			for (uint32_t k = 0; k < s->n && s->conf.mode == SL_MODE_NAT; k++) {
				const struct sl_model_backend *b = &s->backend[k];

				if (!b->waiting && (gone ? b->state == SL_STATE_GONE || b->cut
							 : sl_backend_serves(b)))
					gather_replies(g, s, b);
			}
			if (s->pool && !gone)
				gather_snat_pool_services(g, s);
		}
	}
}

static void gather_exceptions(struct gathered *g, const struct sl_model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		for (uint32_t k = 0; k < m->service[i]->n_exceptions; k++) {
			struct sl_exception r =
				sl_limit_records_exception(&m->service[i]->exception[k]);

			gather(g, &r, 0);
		}
	}
}

/* Adds a route for each address of a SNAT pool. These routes have the longest possible prefix and
 * are added first, so they override what the kernel's table says about these addresses. */
static void gather_pool_routes(struct gathered *g, struct sl_bank *bank, const struct sl_model *m,
			       size_t n[2])
{
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_config_snat_pool *pool = &m->service[i]->conf.pool;

		for (uint32_t k = 0; k < pool->n; k++) {
			struct sl_route r = { .prefix = pool->addr[k],
					      .length = 128,
					      .kind = SL_ROUTE_POOL };
			bool four = sl_route_is4(&r);

			(four ? bank->lengths4 : bank->lengths6)[0] = 128;
			n[four] = 1;
			gather(g, &r, r.length);
		}
	}
}

static void gather_routes(struct gathered *g, struct sl_bank *bank, const struct sl_model *m)
{
	size_t n[2] = { 0 };

	memset(bank->lengths4, 0xff, sizeof(bank->lengths4));
	memset(bank->lengths6, 0xff, sizeof(bank->lengths6));
	gather_pool_routes(g, bank, m, n);
	for (size_t i = 0; i < m->n_routes; i++) {
		const struct sl_route *r = &m->route[i];
		bool four = sl_route_is4(r);
		uint8_t *lengths = four ? bank->lengths4 : bank->lengths6;

		/* sl_net_routes() has sorted them, the longest prefix first. */
		if (!n[four] || lengths[n[four] - 1] != r->length) {
			if (n[four] == SL_PREFIX_LENGTHS) {
				sl_log("routes: more than %d prefix lengths; those of length %u "
				       "and shorter are left out",
				       SL_PREFIX_LENGTHS, r->length - (four ? 96 : 0));
				continue;
			}
			lengths[n[four]++] = (uint8_t)r->length;
		}
		gather(g, r, r->length);
	}
}

static int place_all(struct gathered g[KINDS], const uint32_t size[KINDS], uint64_t *seed)
{
	int err = -EAGAIN;

	for (int i = 0; i < SEEDS_TRIED && err == -EAGAIN; i++) {
		err = 0;
		for (int k = 0; k < KINDS && !err; k++)
			err = sl_cuckoo_assign(g[k].key, g[k].n, size[k], *seed, g[k].place);
		if (err == -EAGAIN && getrandom(seed, sizeof(*seed), 0) != sizeof(*seed))
			*seed += 0x9e3779b97f4a7c15ull;
	}
	return err;
}

static void scatter(const struct gathered *g, void *array, uint32_t size, uint64_t generation)
{
	char *bank = (char *)array + (generation & 1) * size * g->size;

	memset(bank, 0, size * g->size);
	for (size_t i = 0; i < g->n; i++)
		memcpy(bank + g->place[i] * g->size, g->record + i * g->size, g->size);
}

static uint32_t engine_choice(const struct sl_config_dataplane *dataplane)
{
	switch (dataplane->engine) {
	case SL_CONFIG_ENGINE_DPDK:
		return SL_ENGINE_DPDK;
	case SL_CONFIG_ENGINE_XDP:
		return SL_ENGINE_XDP;
	default:
		return SL_ENGINE_AUTO;
	}
}

int sl_bank_build(struct sl_control *c, const struct sl_model *m, uint64_t generation,
		  char error[SL_ERROR_MAX])
{
	static const enum sl_array array[KINDS] = { SL_ARRAY_services, SL_ARRAY_reply_entries,
						    SL_ARRAY_routes, SL_ARRAY_exceptions };
	struct sl_root *root = sl_store_root(&c->store);
	struct sl_bank *bank = &root->bank[generation & 1];
	struct gathered g[KINDS] = { 0 };
	uint32_t size[KINDS];
	uint64_t seed = root->bank[~generation & 1].seed; /* placed all records last time */
	size_t backends = 0, addresses = 0;
	int err;

	for (size_t i = 0; i < m->n; i++) {
		backends += m->service[i]->n;
		addresses += m->service[i]->conf.pool.n;
	}
	for (int k = 0; k < KINDS; k++)
		size[k] = c->store.count[array[k]] / 2;
	err = gather_init(&g[0], sizeof(struct sl_service), m->n * 2 + addresses);
	if (!err)
		err = gather_init(&g[1], sizeof(struct sl_reply_entry), backends + m->n);
	if (!err)
		err = gather_init(&g[2], sizeof(struct sl_route), m->n_routes + addresses);
	if (!err)
		err = gather_init(&g[3], sizeof(struct sl_exception),
				  sl_limits_count_exceptions(m));
	if (!err && !list_vip_lengths(bank, m))
		err = -EMLINK;
	if (!err) {
		gather_services(&g[0], c, bank, m);
		gather_reply_entry(&g[1], m);
		gather_routes(&g[2], bank, m);
		gather_exceptions(&g[3], m);
		err = g[1].too_many_ranges ? -E2BIG : place_all(g, size, &seed);
	}
	if (err == -E2BIG) {
		snprintf(error, SL_ERROR_MAX,
			 "a backend is in more than %d services of a range of ports and the same "
			 "protocol",
			 SL_RANGES);
	} else if (err == -EMLINK) {
		snprintf(error, SL_ERROR_MAX,
			 "VIPs have prefixes of more than %d different lengths of a family",
			 SL_VIP_LENGTHS);
	} else if (err) {
		snprintf(error, SL_ERROR_MAX,
			 "the tables have no place for %zu services, %zu backends, %zu routes and "
			 "%u rates of single clients and flows: raise capacity (%s)",
			 m->n, backends, m->n_routes, sl_limits_count_exceptions(m),
			 strerror(-err));
	} else {
		bank->generation = generation;
		bank->seed = seed;
		bank->services = (uint32_t)g[0].n;
		bank->replies = (uint32_t)g[1].n;
		bank->routes = (uint32_t)g[2].n;
		bank->ports = m->n_ports;
		bank->wide = g[0].wide;
		bank->engine = c->xdp_alone ? SL_ENGINE_XDP : engine_choice(&c->config.dataplane);
		err = sl_hop_groups_build(c, m, generation);
		for (int k = 0; k < KINDS; k++)
			scatter(&g[k], c->store.base[array[k]], size[k], generation);
		memcpy((struct sl_port *)c->store.base[SL_ARRAY_ports] +
			       (generation & 1) * SL_PORTS_MAX,
		       m->port, sizeof(m->port));
	}
	for (int k = 0; k < KINDS; k++)
		gather_free(&g[k]);
	return err == -EAGAIN || err == -EEXIST ? -ENOSPC : err;
}
