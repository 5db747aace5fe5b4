/* SPDX-License-Identifier: BSD-2-Clause */
#include "partial.h"

#include "counters.h"

enum {
	BUSY_PACKETS = 1000, /* in one tick of 10 ms */
	BUSY_TURNS = 16,
};

struct sl_partial_count sl_partial_count(const struct sl_control *c, uint32_t port)
{
	const struct sl_queue *queue =
		(const struct sl_queue *)c->store.base[SL_ARRAY_queues] + port * SL_QUEUES_PER_PORT;
	struct sl_partial_count sum = { 0 };

	for (uint32_t i = 0; i < SL_QUEUES_PER_PORT; i++) {
		sum.completed += __atomic_load_n(&queue[i].completed, __ATOMIC_RELAXED);
		sum.left += __atomic_load_n(&queue[i].left_partial, __ATOMIC_RELAXED);
	}
	return sum;
}

static bool is_busy(struct sl_control *c)
{
	uint64_t packets =
		sl_stats_reason(c, SL_REASON_to_backend) + sl_stats_reason(c, SL_REASON_to_client);
	bool busy = packets - c->partial_packets > BUSY_PACKETS;

	c->partial_packets = packets;
	return busy;
}

static void note_seen(struct sl_control *c, uint32_t port)
{
	const struct sl_config_port *p = &c->config.dataplane.port[port];

	c->partial_seen |= 1ull << port;
	if (!(c->generic >> port & 1))
		sl_log("port %s: hosts at %s leave TCP and UDP checksums to their interface: they "
		       "are completed here; `ethtool -K DEVICE tx off` on these hosts saves that",
		       p->name, p->device);
}

void sl_partial_tick(struct sl_control *c)
{
	struct sl_root *root = sl_store_root(&c->store);
	uint64_t able = 0, seen = 0;

	for (uint32_t i = 0; i < c->model->n_ports; i++) {
		struct sl_partial_count count;

		if (!c->model->port[i].partial)
			continue;
		able |= 1ull << i;
		count = sl_partial_count(c, i);
		if (!count.completed && !count.left)
			continue;
		seen |= 1ull << i;
		if (!(c->partial_seen >> i & 1))
			note_seen(c, i);
	}
	if (able && is_busy(c) && ++c->partial_turn % BUSY_TURNS)
		able = seen;
	__atomic_store_n(&root->generic, c->generic, __ATOMIC_RELAXED);
	__atomic_store_n(&root->partial, able, __ATOMIC_RELAXED);
}
