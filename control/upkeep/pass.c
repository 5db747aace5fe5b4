/* SPDX-License-Identifier: BSD-2-Clause */
#include "pass.h"

#include <stdlib.h>

#include "../../dataplane/abi/hash.h"
#include "../tables/counters.h"
#include "../tables/liveness.h"
#include "../tables/publish.h"

enum {
	BUCKETS_A_TICK = 131072, /* takes one to two milliseconds */
	STUCK_MS = 2000,	 /* whoever fills an entry for that long has died */
	STUCK_MAX = 16,
};

/* What the pass has found about one service. */
struct found {
	const struct sl_model_service *service; /* as of this slice; NULL: it is gone */
	uint32_t n;				/* numbers given out when the pass began */
	uint64_t mixed_in;			/* as it was when the pass began */
	uint64_t *named;			/* bitmap of backends, by number - 1 */
	uint32_t *count;    /* living entries of backends that aren't closing, by number - 1 */
	uint64_t *disagree; /* bitmap of slots; NULL: none was mixed, or the slots have changed */
	uint32_t other[2];  /* backends whose slots are marked, if keys don't tell the slot */
	uint32_t others;
	bool busy; /* an entry was being filled: it may name any backend */
};

struct stuck { /* an entry that was busy when it was last read */
	uint64_t *word;
	uint64_t key;
	uint32_t since_ms;
	uint32_t seen_ms;
};

struct sl_pass {
	struct sl_control *c;
	struct stuck stuck[STUCK_MAX];
	/* State of the pass that is under way. */
	bool under_way;
	uint32_t bucket; /* the next one to read */
	uint64_t now;	 /* in ticks, when the pass began */
	bool cleans;	 /* no worker clears expired entries, so the pass does */
	bool no_worker;	 /* no worker lives, not even one that hangs */
	size_t n;
	struct found *found;
	uint32_t *index;    /* by service id: index in found + 1 */
	uint64_t *ids_seen; /* bitmap of service ids that entries name */
	uint64_t *moved;    /* by service id: number of moved entries when the pass began */
};

struct sl_pass *sl_pass_new(struct sl_control *c)
{
	struct sl_pass *p = calloc(1, sizeof(*p));

	if (p)
		p->c = c;
	return p;
}

void sl_pass_end(struct sl_pass *p)
{
	for (size_t i = 0; p->found && i < p->n; i++) {
		free(p->found[i].named);
		free(p->found[i].count);
		free(p->found[i].disagree);
	}
	free(p->found);
	free(p->index);
	free(p->ids_seen);
	free(p->moved);
	p->found = NULL;
	p->index = NULL;
	p->ids_seen = NULL;
	p->moved = NULL;
	p->under_way = false;
}

void sl_pass_free(struct sl_pass *p)
{
	if (!p)
		return;
	sl_pass_end(p);
	free(p);
}

bool sl_pass_is_under_way(const struct sl_pass *p)
{
	return p->under_way;
}

static bool begin_service(struct found *found, const struct sl_model_service *service,
			  uint64_t reached)
{
	found->n = service->n;
	found->mixed_in = service->mixed_in;
	found->named = calloc(service->n / 64 + 1, sizeof(*found->named));
	found->count = calloc(service->n + 1, sizeof(*found->count));
	if (!found->named || !found->count)
		return false;
	/* No slot has become mixed after mixed_in. If engines may not have reached that generation,
	 * the slots aren't checked. */
	if (!service->windows.mixed || service->mixed_in > reached)
		return true;
	found->disagree = calloc(service->conf.table_size / 64 + 1, sizeof(*found->disagree));
	return found->disagree;
}

bool sl_pass_begin(struct sl_pass *p, uint64_t reached)
{
	struct sl_control *c = p->c;
	const struct sl_model *m = c->model;
	const struct sl_root *root = sl_store_root(&c->store);

	p->n = m->n;
	p->found = calloc(m->n + 1, sizeof(*p->found));
	p->index = calloc(m->n_ids, sizeof(*p->index));
	p->ids_seen = calloc(m->n_ids / 64 + 1, sizeof(*p->ids_seen));
	p->moved = calloc(m->n_ids, sizeof(*p->moved));
	if (!p->found || !p->index || !p->ids_seen || !p->moved)
		goto fail;
	for (size_t i = 0; i < m->n; i++) {
		p->index[m->service[i]->id] = (uint32_t)i + 1;
		if (!begin_service(&p->found[i], m->service[i], reached))
			goto fail;
	}
	for (uint32_t id = 1; id < m->n_ids; id++)
		if (sl_bit(m->ids, id))
			p->moved[id] = sl_stats_service(c, id).moved;
	/* Acquire: reads these counts before the first bucket. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	p->now = (sl_clock_ns() - root->origin_ns) >> SL_TICK_SHIFT;
	p->bucket = 0;
	p->under_way = true;
	return true;
fail:
	sl_pass_end(p);
	return false;
}

/* Finds the services in the present model. Others may have been published since the last slice. */
static void follow_model(struct sl_pass *p)
{
	const struct sl_model *m = p->c->model;

	for (size_t i = 0; i < p->n; i++)
		p->found[i].service = NULL;
	for (size_t i = 0; i < m->n; i++) {
		uint32_t index = p->index[m->service[i]->id];
		struct found *found = index ? &p->found[index - 1] : NULL;

		if (!found)
			continue;
		found->service = m->service[i];
		if (found->mixed_in == m->service[i]->mixed_in)
			continue;
		/* More slots became mixed, or the table was replaced. */
		free(found->disagree);
		found->disagree = NULL;
	}
}

/* Returns the slot of an entry's flow, computed from its source as in core/classify.h, with the
 * slot_endpoint of the service's record. */
static uint32_t slot_of(const struct sl_root *root, const struct sl_model_service *service,
			uint64_t source)
{
	const struct sl_config_service *conf = &service->conf;

	if (conf->affinity) /* the port, and the bits of the address that are ignored */
		source &= ~((uint64_t)(uint32_t)sl_affinity_ignore4(conf->affinity) << 16 | 0xffff);
	return sl_hash_slot_of(source, &conf->vip, service->slot_endpoint, root->slot_key) &
	       (conf->table_size - 1);
}

/* Whether the key of an entry tells the flow's slot. It doesn't if the source is a digest and the
 * slot depends on the client. */
static bool key_tells_slot(const struct sl_config_service *conf)
{
	if (conf->vip_host_bits && conf->mode == SL_MODE_FULLNAT)
		return false;
	return !conf->affinity || sl_addr_is4(&conf->vip);
}

/* Marks the slots that disagree with an entry that names this backend. If the key tells the flow's
 * slot, only that slot can disagree; it does if its cur is another backend. If not, any slot may be
 * the flow's, and all with another cur are marked. Two named backends are enough then, because no
 * slot agrees with both. */
static void disagree(struct sl_pass *p, struct found *found, uint64_t source, uint32_t backend)
{
	const struct sl_model_service *service = found->service;
	const struct sl_table_block *blocks = p->c->store.base[SL_ARRAY_table_blocks];
	const uint32_t *slots = sl_block_slots(blocks, service->slots->at);
	uint32_t slot, n = service->conf.table_size;

	if (key_tells_slot(&service->conf)) {
		slot = slot_of(sl_store_root(&p->c->store), service, source);
		if (sl_slot_cur(slots[slot]) != backend)
			sl_bit_set(found->disagree, slot);
		return;
	}
	if (found->others == 2 || found->other[0] == backend)
		return;
	found->other[found->others++] = backend;
	for (slot = 0; slot < n; slot++)
		if (sl_slot_cur(slots[slot]) != backend)
			sl_bit_set(found->disagree, slot);
}

static bool is_connection(const struct sl_pass *p, uint16_t id, uint64_t value)
{
	const struct sl_flow_timeouts *timeouts = p->c->store.base[SL_ARRAY_flow_timeouts];

	return sl_flow_state(value) != SL_FLOW_CLOSING &&
	       sl_flow_within(value, p->now, timeouts[id].lifetime[sl_flow_state(value)]);
}

/* Notes what an entry names, whether it is alive or expired. Expired entries count, because a
 * longer idle timeout would bring them back to life. */
static void read_entry(struct sl_pass *p, uint64_t key, uint64_t value)
{
	uint16_t id = sl_flow_key_service(key);
	uint32_t backend = sl_flow_backend(value);
	struct found *found;

	if (id >= p->c->model->n_ids)
		return;
	sl_bit_set(p->ids_seen, id);
	if (!p->index[id])
		return;
	found = &p->found[p->index[id] - 1];
	found->busy |= (key & SL_FLOW_BUSY) != 0;
	if (!backend || found->busy)
		return;
	if (backend <= found->n) {
		sl_bit_set(found->named, backend - 1);
		found->count[backend - 1] += is_connection(p, id, value);
	}
	if (found->service && found->disagree)
		disagree(p, found, sl_flow_key_source(key), backend);
}

/* Clears an entry, unless it has changed since it was read. Returns true if it did. */
static bool clear(uint64_t *word, uint64_t key)
{
	return __atomic_compare_exchange_n(word, &key, 0, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Whether the entry has expired and the grace has passed too (abi/flow.h). */
static bool long_dead(const struct sl_pass *p, uint64_t key, uint64_t value)
{
	const struct sl_flow_timeouts *timeouts = p->c->store.base[SL_ARRAY_flow_timeouts];
	uint16_t id = sl_flow_key_service(key);

	if (id >= p->c->store.count[SL_ARRAY_flow_timeouts])
		return true;
	return !sl_flow_within(value, p->now,
			       timeouts[id].lifetime[sl_flow_state(value)] + SL_FLOW_GRACE);
}

/* Clears an entry that has been busy for STUCK_MS, and returns true if it did. Its engine died
 * during an insert, because a live one doesn't take that long. */
static bool clear_stuck(struct sl_pass *p, uint64_t *word, uint64_t key)
{
	uint32_t now = sl_clock_ms();
	struct stuck *free_one = NULL;

	for (int i = 0; i < STUCK_MAX; i++) {
		struct stuck *stuck = &p->stuck[i];

		if (stuck->word == word && stuck->key == key) {
			stuck->seen_ms = now;
			if (now - stuck->since_ms < STUCK_MS)
				return false;
			stuck->word = NULL;
			return clear(word, key);
		}
		if (!stuck->word || now - stuck->seen_ms > STUCK_MS)
			free_one = stuck;
	}
	if (free_one)
		*free_one =
			(struct stuck){ .word = word, .key = key, .since_ms = now, .seen_ms = now };
	return false;
}

static void read_way(struct sl_pass *p, struct sl_bucket *bucket, int way)
{
	uint64_t *word = &bucket->key[way];
	/* Acquire: reads the key before its value. */
	uint64_t key = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	uint64_t value = __atomic_load_n(&bucket->value[way], __ATOMIC_RELAXED);

	if (!key)
		return;
	if (key & SL_FLOW_BUSY) {
		if (p->no_worker && clear_stuck(p, word, key))
			return;
	} else if (p->cleans && long_dead(p, key, value) && clear(word, key)) {
		return;
	}
	read_entry(p, key, value);
}

bool sl_pass_read(struct sl_pass *p)
{
	struct sl_bucket *bucket = p->c->store.base[SL_ARRAY_flows];
	uint32_t n = p->c->store.count[SL_ARRAY_flows];
	uint32_t end = n - p->bucket < BUCKETS_A_TICK ? n : p->bucket + BUCKETS_A_TICK;
	struct sl_published out;

	sl_acknowledged(p->c, &out);
	p->no_worker = out.workers == 0;
	p->cleans = p->no_worker || sl_workers_hang(p->c);
	follow_model(p);
	for (; p->bucket < end; p->bucket++)
		for (int way = 0; way < SL_FLOW_WAYS; way++)
			read_way(p, &bucket[p->bucket], way);
	return p->bucket == n;
}

static bool was_moved(const struct sl_pass *p, uint16_t id)
{
	/* Acquire: reads the count after all buckets. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return sl_stats_service(p->c, id).moved != p->moved[id];
}

bool sl_pass_tells(const struct sl_pass *p, uint16_t service)
{
	return p->index[service] && !p->found[p->index[service] - 1].busy && !was_moved(p, service);
}

bool sl_pass_names(const struct sl_pass *p, uint16_t service, uint32_t backend)
{
	const struct found *found = &p->found[p->index[service] - 1];

	return backend > found->n || sl_bit(found->named, backend - 1);
}

bool sl_pass_knows(const struct sl_pass *p, uint16_t service)
{
	return p->index[service] != 0;
}

uint32_t sl_pass_count(const struct sl_pass *p, uint16_t service, uint32_t backend)
{
	const struct found *found = &p->found[p->index[service] - 1];

	return backend > found->n ? 0 : found->count[backend - 1];
}

bool sl_pass_meets(const struct sl_pass *p, uint16_t id)
{
	return sl_bit(p->ids_seen, id) || was_moved(p, id);
}

uint64_t *sl_pass_take_disagree(struct sl_pass *p, const struct sl_model_service *service)
{
	struct found *found = &p->found[p->index[service->id] - 1];
	uint64_t *disagree = found->disagree;

	if (found->mixed_in != service->mixed_in)
		return NULL;
	found->disagree = NULL;
	return disagree;
}
