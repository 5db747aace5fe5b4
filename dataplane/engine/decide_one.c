/* SPDX-License-Identifier: BSD-2-Clause */
#include "decide_one.h"

#include "one_packet.h"

enum sl_reason sl_decide_one(const struct sl_store *store, uint32_t writer, uint64_t now,
			     struct sl_packet *p, uint16_t *egress)
{
	struct sl_reason_counters *counters =
		(struct sl_reason_counters *)store->base[SL_ARRAY_reason_counters] + writer;
	enum sl_reason reason = SL_REASON_torn_table;
	struct sl_tables tables;
	static _Thread_local struct sl_one_packet one_packet;

	*egress = 0;
	sl_tables_init(&tables, store, writer);
	tables.now = now;
	/* Like a worker: if the tables changed meanwhile, decide once more. */
	for (int i = 0; i < 2 && reason == SL_REASON_torn_table; i++) {
		if (!sl_tables_snapshot(&tables, store))
			continue;
		sl_one_packet_classify(&one_packet, &tables, p);
		reason = sl_one_packet_route(&one_packet, &tables, p, egress);
	}
	counters->packets[reason]++;
	return reason;
}
