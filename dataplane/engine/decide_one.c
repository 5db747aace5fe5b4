/* SPDX-License-Identifier: BSD-2-Clause */
#include "decide_one.h"

#include "halves.h"

enum sl_reason sl_decide_one(const struct sl_store *store, uint32_t writer, uint64_t now,
			     struct sl_packet *p, uint16_t *egress)
{
	struct sl_tally *tally = (struct sl_tally *)store->base[SL_ARRAY_tally] + writer;
	enum sl_reason reason = SL_REASON_torn_table;
	struct sl_tables tables;
	static _Thread_local struct sl_halves halves;

	*egress = 0;
	sl_tables_init(&tables, store, writer);
	tables.now = now;
	/* As a worker: where the tables moved meanwhile, once more. */
	for (int i = 0; i < 2 && reason == SL_REASON_torn_table; i++) {
		if (!sl_tables_look(&tables, store))
			continue;
		sl_halves_classify(&halves, &tables, p);
		reason = sl_halves_route(&halves, &tables, p, egress);
	}
	tally->packets[reason]++;
	return reason;
}
