/* SPDX-License-Identifier: BSD-2-Clause */
#include "flow_scan.h"

void sl_flow_scan_services(const struct sl_control *c, uint64_t *ids, uint32_t n)
{
	const struct sl_bucket *bucket = c->store.base[SL_ARRAY_flows];

	for (uint32_t i = 0; i < c->store.count[SL_ARRAY_flows]; i++) {
		for (int way = 0; way < SL_FLOW_WAYS; way++) {
			uint64_t key = __atomic_load_n(&bucket[i].key[way], __ATOMIC_RELAXED);

			if (key && sl_flow_key_service(key) < n)
				sl_bit_set(ids, sl_flow_key_service(key));
		}
	}
}
