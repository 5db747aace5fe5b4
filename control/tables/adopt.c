/* SPDX-License-Identifier: BSD-2-Clause */
#include "adopt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_scan.h"
#include "limit_records.h"
#include "nat_pools.h"
#include "server_ids.h"

static enum sl_backend_state state_of(const struct sl_backend *b)
{
	static const struct sl_backend nobody;

	if (memcmp(&b->addr, &nobody.addr, sizeof(b->addr)) == 0)
		return SL_STATE_FREE;
	if (!(b->flags & SL_BACKEND_SERVES))
		return SL_STATE_GONE;
	return b->flags & SL_BACKEND_TAKES_NEW ? SL_STATE_READY : SL_STATE_DRAINING;
}

static void adopt_backend(struct sl_model *m, struct sl_model_backend *to,
			  const struct sl_backend *from)
{
	*to = (struct sl_model_backend){ .addr = from->addr,
					 .port = sl_ntohs(from->port),
					 .state = state_of(from),
					 .weight = 1,
					 .share = SL_SHARE_WHOLE,
					 .counter_id = from->counter_id,
					 .known = from->flags & SL_BACKEND_RESOLVED,
					 .named = true };
	if (to->state != SL_STATE_FREE && to->counter_id < m->n_counter_ids)
		sl_bit_set(m->counter_ids, to->counter_id);
}

static int adopt_extents(struct sl_control *c, struct sl_model_service *s,
			 const struct sl_service *record)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	uint32_t now = sl_clock_ms();

	s->cycle = ((const struct sl_schedule *)c->store.base[SL_ARRAY_schedules])[s->id].cycle;
	s->slots = sl_extents_adopt(c->slots, record->slots, s->n_slots / SL_SLOTS_PER_BLOCK);
	s->backends = sl_extents_adopt(c->backends, record->backends, s->n ? s->n : 1);
	s->opened_ms = calloc(s->n_slots, sizeof(*s->opened_ms));
	if (!s->slots || !s->backends || !s->opened_ms)
		return -EPROTO;
	/* The records don't say when a window opened, so all windows begin anew. That only keeps
	 * them open longer. */
	for (uint32_t i = 0; i < s->n_slots; i++)
		s->opened_ms[i] = now;
	s->windows = sl_slots_count(sl_block_slots(blocks, s->slots->at), s->opened_ms, s->n_slots);
	return 0;
}

/* Reads the slots. A backend that a slot names is placed. One that no slot names may have been
 * waiting until another service releases its endpoint (model/shared_endpoints.h). Returns 0, or
 * -EPROTO if a slot names no backend of the service. */
static int adopt_slots(struct sl_control *c, struct sl_model_service *s)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	const uint32_t *slot = sl_block_slots(blocks, s->slots->at);
	uint64_t live = sl_store_root(&c->store)->generation;

	/* The records don't say since which generation this is so. The live one is assumed. */
	s->mixed_in = live;
	for (uint32_t i = 0; i < s->n; i++) {
		s->backend[i].no_row_since = live;
		s->backend[i].no_id_since = sl_servers_name(s, i + 1) ? 0 : live;
	}
	for (uint32_t i = 0; i < s->n_slots; i++) {
		uint32_t cur = sl_slot_cur(slot[i]), prev = sl_slot_prev(slot[i]);

		if (cur > s->n || prev > s->n)
			return -EPROTO;
		if (cur) {
			s->backend[cur - 1].placed = true;
			s->backend[cur - 1].no_row_since = 0;
		}
		if (prev && sl_slot_state(slot[i]) == SL_SLOT_OPEN)
			s->backend[prev - 1].no_row_since = 0;
	}
	return 0;
}

/* Returns the affinity prefix length that bank.c wrote to the record. */
static uint8_t adopt_affinity(const struct sl_service *record)
{
	if (!sl_addr_is4(&record->vip) || !record->ignore_port)
		return record->prefix6;
	return (uint8_t)(32 - __builtin_popcount((uint32_t)record->ignore4));
}

/* Returns the number of host bits of a prefix VIP; 0: the VIP is one address. */
static uint8_t adopt_host_bits(const struct sl_control *c, const struct sl_service *record)
{
	const struct sl_root *root = sl_store_root(&c->store);
	const struct sl_bank *bank = &root->bank[root->generation & 1];
	uint32_t index = sl_endpoint_prefix_index(record->endpoint);

	if (!index || index > SL_VIP_LENGTHS)
		return 0;
	return (uint8_t)(128 - bank->vip_lengths[!sl_addr_is4(&record->vip)][index - 1]);
}

static int adopt_service(struct sl_control *c, struct sl_model *m, const struct sl_service *record)
{
	const struct sl_backend *backend = c->store.base[SL_ARRAY_backends];
	struct sl_config_service conf = { .vip = record->vip,
					  .vip_host_bits = adopt_host_bits(c, record),
					  .protocol = sl_endpoint_protocol(record->endpoint),
					  .port = record->first_port,
					  .last_port = record->first_port,
					  .mode = record->mode,
					  .affinity = adopt_affinity(record),
					  .pick = record->pick,
					  .track_all = record->flags & SL_SERVICE_TRACK,
					  .flowless = record->flags & SL_SERVICE_FLOWLESS,
					  .quic = record->flags & SL_SERVICE_QUIC,
					  .table_size = record->slot_mask + 1,
					  .idle_timeout_ms = 900000 };
	const char *scheduler = sl_config_scheduler_of(record->pick);
	struct sl_model_service *s;
	int err;

	if (!scheduler || !record->id || record->id >= m->n_ids || sl_bit(m->ids, record->id) ||
	    record->mode >= SL_MODES || record->n_backends > SL_BACKENDS_PER_SERVICE)
		return -EPROTO;
	if (record->flags & SL_SERVICE_RANGE)
		conf.last_port = record->last_port;
	snprintf(conf.name, sizeof(conf.name), "adopted-%u", record->id);
	snprintf(conf.scheduler, sizeof(conf.scheduler), "%s", scheduler);
	s = sl_model_add(m, &conf, sl_clock_ms(), &err);
	if (!s)
		return err;
	sl_bit_clear(m->ids, s->id);
	s->id = record->id;
	sl_bit_set(m->ids, s->id);
	s->slot_endpoint = record->slot_endpoint;
	s->n = record->n_backends;
	s->backend = calloc(s->n + 1u, sizeof(*s->backend));
	if (!s->backend)
		return -ENOMEM;
	err = adopt_extents(c, s, record);
	if (!err)
		err = sl_limit_records_adopt(c, m, s, record);
	for (uint32_t i = 0; i < s->n && !err; i++) {
		adopt_backend(m, &s->backend[i], &backend[record->backends + i]);
		if (!sl_config_translates(record->mode)) /* the record may hold a tunnel's port */
			s->backend[i].port = sl_config_backend_port(&conf);
	}
	if (!err)
		err = sl_server_ids_adopt(c, s, record);
	if (!err)
		err = sl_nat_pools_adopt(c, s, record);
	return err ? err : adopt_slots(c, s);
}

/* Puts the ids of removed services in quarantine: those that a flow entry names, and those whose
 * timeouts aren't zero, under which an engine may yet enter a flow. Returns 0 or -ENOMEM. */
static int quarantine_unknown_ids(struct sl_control *c, struct sl_model *m)
{
	const struct sl_flow_timeouts *timeouts = c->store.base[SL_ARRAY_flow_timeouts];
	uint64_t *seen_ids = calloc(m->n_ids / 64 + 1, sizeof(*seen_ids));

	if (!seen_ids)
		return -ENOMEM;
	if (sl_store_root(&c->store)->generation)
		sl_flow_scan_services(c, seen_ids, m->n_ids);
	for (uint32_t id = 1; id < m->n_ids; id++) {
		if (sl_bit(m->ids, id) ||
		    (!timeouts[id].lifetime[SL_FLOW_ESTABLISHED] && !sl_bit(seen_ids, id)))
			continue;
		sl_bit_set(m->ids, id);
		sl_bit_set(m->quarantined, id);
		m->resting_since[id] = sl_store_root(&c->store)->generation;
	}
	free(seen_ids);
	return 0;
}

int sl_adopt(struct sl_control *c, char error[SL_ERROR_MAX])
{
	const uint32_t *count = c->store.count;
	const struct sl_root *root = sl_store_root(&c->store);
	const struct sl_service *record =
		(const struct sl_service *)c->store.base[SL_ARRAY_services] +
		(root->generation & 1) * (count[SL_ARRAY_services] / 2);
	struct sl_model *m =
		sl_model_new(count[SL_ARRAY_flow_timeouts],
			     count[SL_ARRAY_backend_counters] / count[SL_ARRAY_reason_counters],
			     sl_limit_ids(c));

	if (!m)
		return -ENOMEM;
	for (uint32_t i = 0; root->generation && i < count[SL_ARRAY_services] / 2; i++) {
		int err;

		if (!(record[i].vip.q[0] | record[i].vip.q[1]) || record[i].flags & SL_SERVICE_VIP)
			continue;
		err = adopt_service(c, m, &record[i]);
		if (err) {
			snprintf(error, SL_ERROR_MAX,
				 "generation %llu can't be adopted: its services contradict each "
				 "other (%s); `sluice-control --fresh` starts over",
				 (unsigned long long)root->generation, strerror(-err));
			sl_model_free(m, 0);
			return err;
		}
	}
	if (quarantine_unknown_ids(c, m) != 0) {
		sl_model_free(m, 0);
		return -ENOMEM;
	}
	c->model = m;
	return 0;
}
