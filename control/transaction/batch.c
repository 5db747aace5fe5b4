/* SPDX-License-Identifier: BSD-2-Clause */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>

#include "../desired/apply.h"

struct sl_batch {
	struct sl_model *model; /* as published */
	struct sl_operators *operators;
	json_t *notes;
};

int sl_batch_open(struct sl_control *c)
{
	struct sl_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	*b = (struct sl_batch){ c->model, c->operators, json_array() };
	c->batch = b;
	c->model = sl_model_clone(b->model);
	c->operators = sl_operators_clone(b->operators);
	if (b->notes && c->model && c->operators)
		return 0;
	sl_batch_close(c, NULL, NULL);
	return -ENOMEM;
}

int sl_batch_stage(struct sl_transaction *t, char error[SL_ERROR_MAX])
{
	struct sl_control *c = t->c;
	struct sl_layers layers = sl_layers_of(c);
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_operators *operators = t->operators;
	int err = next ? 0 : -ENOMEM;

	layers.operators = operators;
	if (!err)
		err = json_array_extend(c->batch->notes, t->changes) ? -ENOMEM : 0;
	if (!err)
		err = t->service[0] ? sl_apply_service(c, &layers, t->service, next, NULL, error)
				    : sl_apply(c, &layers, next, NULL, error);
	if (!err && t->adjust)
		t->adjust(t, next);
	if (err) {
		sl_model_free(next, 0);
	} else {
		sl_model_free(c->model, 0);
		c->model = next;
		t->operators = c->operators; /* freed with t */
		c->operators = operators;
	}
	sl_transaction_drop(t);
	return err;
}

void sl_batch_close(struct sl_control *c, struct sl_operators **operators, json_t **notes)
{
	struct sl_batch *b = c->batch;

	if (operators)
		*operators = c->operators;
	else
		sl_operators_free(c->operators);
	if (notes)
		*notes = b->notes;
	else
		json_decref(b->notes);
	sl_model_free(c->model, 0);
	c->model = b->model;
	c->operators = b->operators;
	c->batch = NULL;
	free(b);
}
