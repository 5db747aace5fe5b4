/* SPDX-License-Identifier: BSD-2-Clause */
/* Both halves of the decision as a worker goes them, for who has one packet at a time (replay,
 * tests): the steady way, and core/ for what isn't for it. A service is known as soon as it is met,
 * and for that packet alone. A struct sl_halves begins as zero and serves any tables after another.
 */
#ifndef SL_ENGINE_HALVES_H
#define SL_ENGINE_HALVES_H

#include "steady.h"

struct sl_halves {
	struct sl_known known;
	struct sl_step step;
	struct sl_work work;
};

static inline void sl_halves_classify(struct sl_halves *h, const struct sl_tables *t,
				      const struct sl_packet *p)
{
	struct sl_steady_keys keys = sl_steady_keys(t, p->ingress);
	uint32_t linear = (uint32_t)(p->end - p->data);

	sl_known_forget(&h->known, t->generation);
	sl_classify(t, p, &h->work);
	if (h->work.todo == SL_TODO_SERVICE || h->work.todo == SL_TODO_SERVICE6)
		sl_known_learn(t, &h->known, h->work.service);
	if (sl_steady_classify(t, &h->known, keys, p->ingress, p->data, linear, p->length,
			       &h->step))
		sl_step_work(t, &h->step, &h->work);
}

static inline enum sl_reason sl_halves_route(struct sl_halves *h, const struct sl_tables *t,
					     struct sl_packet *p, uint16_t *egress)
{
	enum sl_reason reason = sl_steady_route(t, &h->step, (enum sl_steady_kind)h->step.kind,
						SL_PORTS_MAX, p, egress);

	if (reason == SL_UNKNOWN_FLOW)
		reason = sl_steady_enter(t, &h->step, SL_PORTS_MAX, p, egress);
	if (reason == SL_ELSEWHERE)
		reason = sl_route(t, p, &h->work, egress);
	return sl_decide_end(t, p, reason, egress);
}

#endif
