/* SPDX-License-Identifier: BSD-2-Clause */
#include "hop_groups.h"

#include <string.h>

#include "../schedulers/scheduler.h"

_Static_assert(SL_HOP_BUCKETS >= SL_SCHEDULER_SLOTS_MIN, "a scheduler fills them");

/* Returns a hash that is the same on every gateway, whatever other next hops the group has. It
 * doesn't include the index of a VLAN's port, because a VLAN gets the first index that is free; the
 * parent and the VLAN id take its place. */
static uint64_t identity(const struct sl_model *m, const struct sl_net_hop *hop)
{
	const struct sl_port *port = &m->port[hop->port];
	uint32_t vlan = (uint32_t)port->parent << 12 | port->vlan;
	union sl_addr who = hop->gateway;

	if (!(who.q[0] | who.q[1]))
		memcpy(who.b, hop->dst_mac, sizeof(hop->dst_mac));
	return sl_candidate_identity(&who, port->vlan ? (uint16_t)~vlan : hop->port);
}

static int fill(struct sl_hop_group *to, const struct sl_model *m, const struct sl_net_group *from)
{
	struct sl_candidate candidate[SL_HOPS];
	uint32_t slot[SL_HOP_BUCKETS];
	int err;

	for (uint32_t i = 0; i < from->n; i++) {
		const struct sl_net_hop *hop = &from->hop[i];

		candidate[i] = (struct sl_candidate){ .number = i + 1,
						      .weight = hop->weight,
						      .identity = identity(m, hop) };
		memcpy(to->hop[i].mac, hop->dst_mac, 6);
		memcpy(to->hop[i].mac + 6, hop->src_mac, 6);
		to->hop[i].egress = hop->port;
	}
	err = sl_scheduler_maglev.fill(slot, SL_HOP_BUCKETS, candidate, from->n);
	for (uint32_t i = 0; !err && i < SL_HOP_BUCKETS; i++)
		to->bucket[i] = (uint8_t)(slot[i] - 1);
	return err;
}

int sl_hop_groups_build(struct sl_control *c, const struct sl_model *m, uint64_t generation)
{
	struct sl_hop_group *bank = (struct sl_hop_group *)c->store.base[SL_ARRAY_hop_groups] +
				    (generation & 1) * SL_HOP_GROUPS;
	int err = 0;

	memset(bank, 0, SL_HOP_GROUPS * sizeof(*bank));
	for (size_t i = 0; i < m->n_groups && !err; i++)
		err = fill(&bank[i], m, &m->group[i]);
	return err;
}
