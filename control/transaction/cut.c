/* SPDX-License-Identifier: BSD-2-Clause */
#include "cut.h"

static const struct sl_operator_backend *cut_of(const struct sl_operator_service *s)
{
	for (size_t i = 0; s && i < s->n_backends; i++)
		if (s->backend[i].cut)
			return &s->backend[i];
	return NULL;
}

void sl_cut_removed(struct sl_transaction *t, struct sl_model *next)
{
	for (size_t i = 0; i < next->n; i++) {
		const struct sl_operator_service *overrides =
			sl_operators_find(t->operators, next->service[i]->conf.name);
		struct sl_model_service *s = cut_of(overrides) ? sl_model_edit(next, i) : NULL;

		for (size_t k = 0; s && k < overrides->n_backends; k++) {
			const struct sl_operator_backend *w = &overrides->backend[k];
			struct sl_model_backend *b = sl_service_endpoint(s, &w->addr, w->port);

			if (w->cut && b)
				sl_backend_set_state(s, b, SL_STATE_GONE);
		}
	}
}
