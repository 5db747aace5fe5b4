/* SPDX-License-Identifier: BSD-2-Clause */
#include "pace.h"

enum {
	WHOLE_FRAME = 65536, /* bytes; no frame is longer, not even one that GRO has merged */
	LEASE_NS = 200000,   /* the longest lease, which is lost if its engine dies */
	LEASES_PER_BURST = 16,
};

#define NS_PER_S 1000000000ull

static uint64_t divide(unsigned __int128 n, uint64_t by)
{
	return (uint64_t)((n + by / 2) / by);
}

/* Returns the ticks that n bytes or packets take, at most SL_TIME_AHEAD. It is rounded up, so that
 * a burst fits its own depth. */
static uint64_t ticks(uint64_t cost, uint64_t n)
{
	unsigned __int128 t = (unsigned __int128)cost * n;

	t = (t >> (SL_COST_SHIFT + SL_TICK_SHIFT)) +
	    ((t & ((1ull << (SL_COST_SHIFT + SL_TICK_SHIFT)) - 1)) != 0);
	return t < SL_TIME_AHEAD ? (uint64_t)t : SL_TIME_AHEAD;
}

struct sl_pace sl_pace_of(uint8_t unit, uint64_t rate, uint64_t burst, uint8_t action)
{
	struct sl_pace p = { 0 };
	uint64_t cost, most;

	if (!rate)
		return p;
	cost = divide((unsigned __int128)NS_PER_S * (unit == SL_UNIT_BYTES ? 8 : 1)
			      << SL_COST_SHIFT,
		      rate);
	if (unit == SL_UNIT_BYTES)
		p.byte = cost;
	else
		p.packet = cost;
	p.depth = ticks(cost, burst);
	most = p.depth * (action == SL_ACTION_MARK ? 2 : 1) +
	       ticks(cost, unit == SL_UNIT_BYTES ? WHOLE_FRAME : 1);
	p.most = most < SL_TIME_AHEAD ? most : SL_TIME_AHEAD;
	return p;
}

struct sl_pace sl_pace_of_limit(const struct sl_config_limit *l)
{
	return sl_pace_of(l->unit, l->rate, l->rate ? sl_limit_burst(l) : 0, l->action);
}

uint64_t sl_pace_rate(const struct sl_pace *pace, uint8_t unit)
{
	uint64_t cost = sl_pace_cost(pace);

	return cost ? divide((unsigned __int128)NS_PER_S * (unit == SL_UNIT_BYTES ? 8 : 1)
				     << SL_COST_SHIFT,
			     cost)
		    : 0;
}

uint64_t sl_pace_left(const struct sl_pace *pace, uint64_t burst, uint64_t ahead)
{
	if (ahead >= pace->depth)
		return 0;
	return (uint64_t)((unsigned __int128)burst * (pace->depth - ahead) / pace->depth);
}

uint64_t sl_pace_rescale(const struct sl_pace *from, const struct sl_pace *to, uint64_t ahead)
{
	unsigned __int128 scaled;

	if (!sl_pace_cost(from) || !sl_pace_cost(to))
		return ahead < to->most ? ahead : to->most;
	scaled = (unsigned __int128)ahead * sl_pace_cost(to) / sl_pace_cost(from);
	return scaled < to->most ? (uint64_t)scaled : to->most;
}

uint32_t sl_pace_lease(const struct sl_pace *pace)
{
	uint64_t lease = pace->depth / LEASES_PER_BURST, most = LEASE_NS >> SL_TICK_SHIFT;

	if (lease > most)
		lease = most;
	return lease ? (uint32_t)lease : 1;
}
