/* SPDX-License-Identifier: BSD-2-Clause */
/* The schedulers that there are: the one place where a new one is named. */
#include "scheduler.h"

#include <string.h>

#include "../../dataplane/abi/hash.h"

const struct sl_scheduler *const sl_schedulers[] = {
	&sl_scheduler_maglev,
	NULL,
};

const struct sl_scheduler *sl_scheduler_find(const char *name)
{
	for (const struct sl_scheduler *const *s = sl_schedulers; *s; s++) {
		if (strcmp((*s)->name, name) == 0)
			return *s;
	}
	return NULL;
}

/* The key is no secret: nobody but the operator chooses backends. It must never change, or gateways
 * of two versions disagree. */
uint64_t sl_candidate_identity(const union sl_addr *addr, uint16_t port)
{
	static const uint64_t key[2] = { 0x9e3779b97f4a7c15ull, 0xd6e8feb86659fd93ull };

	return sl_hash_mix(addr->q[0], sl_hash_mix(addr->q[1], port, key), key);
}
