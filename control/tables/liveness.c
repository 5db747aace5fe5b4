/* SPDX-License-Identifier: BSD-2-Clause */
#include "liveness.h"

#include "../../dataplane/abi/liveness.h"

enum { HEARTBEAT_OLD_MS = 100 };

bool sl_dataplane_alive(const struct sl_control *c)
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];

	return e->pid && e->instance == sl_store_root(&c->store)->instance &&
	       sl_liveness_is_alive(&e->alive);
}

uint32_t sl_workers(const struct sl_control *c)
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	uint32_t n = e->workers;

	if (!sl_dataplane_alive(c))
		return 0;
	return n < c->store.count[SL_ARRAY_workers] ? n : c->store.count[SL_ARRAY_workers];
}

static const struct sl_worker *worker_at(const struct sl_control *c, uint32_t worker)
{
	return (const struct sl_worker *)c->store.base[SL_ARRAY_workers] + worker;
}

bool sl_worker_holds_mutex(const struct sl_control *c, uint32_t worker)
{
	const struct sl_worker *w = worker_at(c, worker);

	return w->pid && sl_liveness_is_alive(&w->alive);
}

bool sl_worker_alive(const struct sl_control *c, uint32_t worker)
{
	const struct sl_worker *w = worker_at(c, worker);
	int64_t age =
		(int64_t)(sl_clock_ns() - __atomic_load_n(&w->heartbeat_ns, __ATOMIC_RELAXED));

	return sl_worker_holds_mutex(c, worker) && age < HEARTBEAT_OLD_MS * 1000000ll;
}

bool sl_workers_hang(const struct sl_control *c)
{
	bool any = false;

	for (uint32_t w = 0; w < sl_workers(c); w++) {
		if (sl_worker_alive(c, w))
			return false;
		any |= sl_worker_holds_mutex(c, w);
	}
	return any;
}

uint64_t sl_worker_generation(const struct sl_control *c, uint32_t worker)
{
	return __atomic_load_n(&worker_at(c, worker)->generation, __ATOMIC_ACQUIRE);
}

uint64_t sl_workers_reached(const struct sl_control *c)
{
	uint64_t oldest = sl_store_root(&c->store)->generation;

	for (uint32_t w = 0; w < sl_workers(c); w++)
		if (sl_worker_holds_mutex(c, w) && sl_worker_generation(c, w) < oldest)
			oldest = sl_worker_generation(c, w);
	return oldest;
}
