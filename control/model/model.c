/* SPDX-License-Identifier: BSD-2-Clause */
#include "model.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static size_t words(uint32_t bits)
{
	return bits / 64 + 1;
}

static void *copy(const void *from, size_t size)
{
	void *to = from ? malloc(size) : NULL;

	return to ? memcpy(to, from, size) : NULL;
}

struct sl_model *sl_model_new(uint32_t n_ids, uint32_t n_counter_ids, uint32_t n_limits)
{
	struct sl_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->n_ids = n_ids;
	m->n_counter_ids = n_counter_ids;
	m->n_limits = n_limits;
	m->ids = calloc(words(n_ids), sizeof(uint64_t));
	m->quarantined = calloc(words(n_ids), sizeof(uint64_t));
	m->resting_since = calloc(n_ids, sizeof(uint64_t));
	m->counter_ids = calloc(words(n_counter_ids), sizeof(uint64_t));
	m->limits = calloc(words(n_limits), sizeof(uint64_t));
	if (!m->ids || !m->quarantined || !m->resting_since || !m->counter_ids || !m->limits) {
		sl_model_free(m, 0);
		return NULL;
	}
	sl_bit_set(m->ids, 0); /* ids count from 1 */
	sl_bit_set(m->limits, 0);
	return m;
}

static void service_unref(struct sl_model_service *s, uint64_t generation)
{
	if (--s->refs)
		return;
	if (s->slots)
		sl_extent_unref(s->slots, generation);
	if (s->backends)
		sl_extent_unref(s->backends, generation);
	if (s->limits)
		sl_extent_unref(s->limits, generation);
	if (s->server_ids)
		sl_extent_unref(s->server_ids, generation);
	if (s->pool)
		sl_extent_unref(s->pool, generation);
	free(s->backend);
	free(s->exception);
	free(s->opened_ms);
	free(s->disagree);
	free(s);
}

void sl_model_free(struct sl_model *m, uint64_t generation)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		service_unref(m->service[i], generation);
	free(m->service);
	free(m->ids);
	free(m->quarantined);
	free(m->resting_since);
	free(m->counter_ids);
	free(m->limits);
	free(m->route);
	free(m->group);
	free(m);
}

struct sl_model *sl_model_clone(const struct sl_model *m)
{
	struct sl_model *c = sl_model_new(m->n_ids, m->n_counter_ids, m->n_limits);

	if (!c)
		return NULL;
	memcpy(c->ids, m->ids, words(m->n_ids) * sizeof(uint64_t));
	memcpy(c->quarantined, m->quarantined, words(m->n_ids) * sizeof(uint64_t));
	memcpy(c->resting_since, m->resting_since, m->n_ids * sizeof(uint64_t));
	memcpy(c->counter_ids, m->counter_ids, words(m->n_counter_ids) * sizeof(uint64_t));
	memcpy(c->limits, m->limits, words(m->n_limits) * sizeof(uint64_t));
	memcpy(c->port, m->port, sizeof(c->port));
	c->n_ports = m->n_ports;
	c->last_id = m->last_id;
	c->last_counter_id = m->last_counter_id;
	c->last_limit = m->last_limit;
	c->service = copy(m->service, m->n * sizeof(*m->service));
	c->route = copy(m->route, m->n_routes * sizeof(*m->route));
	c->group = copy(m->group, m->n_groups * sizeof(*m->group));
	if ((m->n && !c->service) || (m->n_routes && !c->route) || (m->n_groups && !c->group)) {
		sl_model_free(c, 0);
		return NULL;
	}
	c->n = m->n;
	c->n_routes = m->n_routes;
	c->n_groups = m->n_groups;
	for (size_t i = 0; i < c->n; i++)
		c->service[i]->refs++;
	return c;
}

struct sl_model_service *sl_model_edit(struct sl_model *m, size_t index)
{
	struct sl_model_service *s = m->service[index], *c;

	if (s->refs == 1)
		return s;
	c = copy(s, sizeof(*s));
	if (!c)
		return NULL;
	c->refs = 1;
	c->disagree = NULL;
	c->refill = c->rewrite = c->close = false;
	c->backend = copy(s->backend, s->n * sizeof(*s->backend));
	c->exception = copy(s->exception, s->n_exceptions * sizeof(*s->exception));
	c->opened_ms = copy(s->opened_ms, s->n_slots * sizeof(*s->opened_ms));
	if ((s->n && !c->backend) || (s->n_exceptions && !c->exception) ||
	    (s->opened_ms && !c->opened_ms)) {
		free(c->backend);
		free(c->exception);
		free(c->opened_ms);
		free(c);
		return NULL;
	}
	if (c->slots)
		sl_extent_ref(c->slots);
	if (c->backends)
		sl_extent_ref(c->backends);
	if (c->limits)
		sl_extent_ref(c->limits);
	if (c->server_ids)
		sl_extent_ref(c->server_ids);
	if (c->pool)
		sl_extent_ref(c->pool);
	s->refs--;
	m->service[index] = c;
	return c;
}

/* Takes the next free bit after the one that was taken last. Returns its index, or ~0 if all are
 * taken. */
static uint32_t take_bit(uint64_t *bits, uint32_t n, uint32_t *last)
{
	for (uint32_t k = 1; k <= n; k++) {
		uint32_t i = (uint32_t)(((uint64_t)*last + k) % n);

		if (!sl_bit(bits, i)) {
			sl_bit_set(bits, i);
			*last = i;
			return i;
		}
	}
	return ~0u;
}

struct sl_model_service *sl_model_add(struct sl_model *m, const struct sl_config_service *conf,
				      uint32_t now_ms, int *err)
{
	struct sl_model_service *s = calloc(1, sizeof(*s));
	struct sl_model_service **grown = realloc(m->service, (m->n + 1) * sizeof(*grown));
	uint32_t id;

	if (grown)
		m->service = grown;
	*err = -ENOMEM;
	if (!s || !grown)
		goto fail;
	*err = -ENOSPC;
	id = take_bit(m->ids, m->n_ids, &m->last_id);
	if (id == ~0u)
		goto fail;
	s->refs = 1;
	s->id = (uint16_t)id;
	s->conf = *conf;
	s->conf.backend = NULL;
	s->conf.n_backends = 0;
	s->conf.setting = NULL;
	s->slot_endpoint = sl_config_slot_endpoint(conf);
	s->n_slots = conf->table_size;
	s->track_since_ms = now_ms;
	s->refill = s->rewrite = true;
	m->service[m->n++] = s;
	return s;
fail:
	free(s);
	return NULL;
}

void sl_model_remove(struct sl_model *m, size_t index, uint64_t generation)
{
	struct sl_model_service *s = m->service[index];

	sl_bit_set(m->quarantined, s->id);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->backend[i].state != SL_STATE_FREE)
			sl_bit_clear(m->counter_ids, s->backend[i].counter_id);
	for (uint32_t i = 0; i < s->n_limits; i++)
		sl_bit_clear(m->limits, s->limit[i].id);
	service_unref(s, generation);
	memmove(&m->service[index], &m->service[index + 1], (--m->n - index) * sizeof(*m->service));
}

uint32_t sl_model_quarantined_services(const struct sl_model *m)
{
	uint32_t n = 0;

	for (uint32_t id = 1; id < m->n_ids; id++)
		n += sl_bit(m->quarantined, id);
	return n;
}

static uint32_t count_backends(const struct sl_model *m, enum sl_backend_state one,
			       enum sl_backend_state other)
{
	uint32_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		for (uint32_t k = 0; k < m->service[i]->n; k++)
			n += m->service[i]->backend[k].state == one ||
			     m->service[i]->backend[k].state == other;
	return n;
}

uint32_t sl_model_quarantined_backends(const struct sl_model *m)
{
	return count_backends(m, SL_STATE_LEAVING, SL_STATE_GONE);
}

uint32_t sl_model_serving_backends(const struct sl_model *m)
{
	return count_backends(m, SL_STATE_READY, SL_STATE_DRAINING);
}

int sl_model_find(const struct sl_model *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->service[i]->conf.name, name) == 0)
			return (int)i;
	return -1;
}

int sl_model_find_same(const struct sl_model *m, const struct sl_config_service *conf)
{
	for (size_t i = 0; i < m->n; i++)
		if (sl_config_same_service(&m->service[i]->conf, conf))
			return (int)i;
	return -1;
}

static bool present(const struct sl_model_backend *b)
{
	return b->state != SL_STATE_FREE && b->state != SL_STATE_GONE;
}

struct sl_model_backend *sl_service_endpoint(const struct sl_model_service *s,
					     const union sl_addr *addr, uint16_t port)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (present(&s->backend[i]) && s->backend[i].port == port &&
		    sl_addr_equal(&s->backend[i].addr, addr))
			return &s->backend[i];
	return NULL;
}

struct sl_model_backend *sl_service_backend(const struct sl_model_service *s, const char *name)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (present(&s->backend[i]) && strcmp(s->backend[i].name, name) == 0)
			return &s->backend[i];
	return NULL;
}

/* Takes the number that has been free for longest, or else a new one. Returns NULL if all numbers
 * are taken, or if there is no memory. */
static struct sl_model_backend *take_number(struct sl_model_service *s)
{
	struct sl_model_backend *grown, *free_one = NULL;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->backend[i].state == SL_STATE_FREE &&
		    (!free_one || s->backend[i].freed < free_one->freed))
			free_one = &s->backend[i];
	if (free_one)
		return free_one;
	if (s->n == SL_BACKENDS_PER_SERVICE)
		return NULL;
	grown = realloc(s->backend, (s->n + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	s->backend = grown;
	return &s->backend[s->n++];
}

struct sl_model_backend *sl_service_add(struct sl_model *m, struct sl_model_service *s,
					const struct sl_config_backend *conf, int *err)
{
	uint32_t counter_id = take_bit(m->counter_ids, m->n_counter_ids, &m->last_counter_id);
	struct sl_model_backend *b = NULL;

	*err = -ENOSPC;
	if (counter_id == ~0u)
		return NULL;
	b = take_number(s);
	if (!b) {
		sl_bit_clear(m->counter_ids, counter_id);
		return NULL;
	}
	memset(b, 0, sizeof(*b));
	memcpy(b->name, conf->name, sizeof(b->name));
	b->addr = conf->addr;
	b->port = conf->port;
	b->weight = conf->weight;
	b->share = SL_SHARE_WHOLE;
	b->server_id = conf->server_id;
	b->state = SL_STATE_READY;
	b->counter_id = counter_id;
	b->fresh = true;
	s->refill = s->rewrite = true;
	*err = 0;
	return b;
}

uint16_t sl_model_take_limit(struct sl_model *m)
{
	uint32_t id = take_bit(m->limits, m->n_limits, &m->last_limit);

	return id == ~0u ? 0 : (uint16_t)id;
}

bool sl_service_tracks(const struct sl_model_service *s)
{
	if (s->conf.track_all || s->conf.quic || s->conf.mode == SL_MODE_FULLNAT ||
	    s->conf.pick != SL_PICK_HASH)
		return true;
	for (uint32_t i = 0; i < s->n_limits && !s->conf.flowless; i++) {
		const struct sl_config_limit *l = &s->limit[i].conf;

		if ((l->scope == SL_SCOPE_FLOW && l->rate) ||
		    (l->unit == SL_UNIT_CONNECTIONS && s->conf.protocol == IPPROTO_UDP))
			return true;
	}
	return false;
}

void sl_service_begin_tracking(struct sl_model_service *s, uint32_t now_ms)
{
	if (!sl_service_tracks(s))
		return;
	s->track_since_ms = now_ms;
	s->learns = s->conf.protocol == IPPROTO_UDP;
}

void sl_backend_set_state(struct sl_model_service *s, struct sl_model_backend *b,
			  enum sl_backend_state state)
{
	if (b->state == state)
		return;
	b->state = state;
	b->named = true; /* until a sweep finds the contrary */
	b->counted = false;
	b->connections = 0;
	s->refill = s->rewrite = true;
}

void sl_backend_set_cut(struct sl_model_service *s, struct sl_model_backend *b, bool cut)
{
	if (b->cut == cut)
		return;
	b->cut = cut;
	s->refill = s->rewrite = true;
}

void sl_backend_set_weight(struct sl_model_service *s, struct sl_model_backend *b, uint32_t weight)
{
	if (b->weight == weight)
		return;
	b->weight = weight;
	s->refill = true;
}

void sl_backend_set_share(struct sl_model_service *s, struct sl_model_backend *b, uint8_t share)
{
	if (b->share == share)
		return;
	b->share = share;
	s->refill = true;
}

/* Whether the backend's next hop has changed. If so, the present one is in *hop. */
static bool is_stale(const struct sl_model_backend *b, struct sl_net *net, struct sl_next_hop *hop)
{
	if (b->state == SL_STATE_FREE)
		return false;
	sl_net_next_hop(net, &b->addr, hop);
	return hop->kind != b->hop.kind || hop->port != b->hop.port || hop->mtu != b->hop.mtu ||
	       hop->link_bits != b->hop.link_bits || memcmp(hop->dst_mac, b->hop.dst_mac, 6) != 0 ||
	       memcmp(hop->src_mac, b->hop.src_mac, 6) != 0;
}

bool sl_service_is_stale(const struct sl_model_service *s, struct sl_net *net)
{
	struct sl_next_hop hop;

	for (uint32_t i = 0; i < s->n; i++)
		if (is_stale(&s->backend[i], net, &hop))
			return true;
	return false;
}

void sl_service_resolve(struct sl_model_service *s, struct sl_net *net)
{
	struct sl_next_hop hop;

	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (!is_stale(b, net, &hop))
			continue;
		b->hop = hop;
		s->rewrite = true;
		if (hop.kind == SL_ROUTE_VIA && !b->known) {
			b->known = true;
			s->refill = true;
		}
	}
}
