/* SPDX-License-Identifier: BSD-2-Clause */
#include "transaction.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../desired/apply.h"
#include "../desired/overrides.h"

enum { SAVE_AGAIN_MS = 1000, LOGGED_CHANGES = 16, RESOLVE_MS = 1500 };

struct sl_layers sl_layers_of(const struct sl_control *c)
{
	return (struct sl_layers){ .file = &c->config,
				   .operators = c->operators,
				   .checks = true,
				   .health = c->verdict,
				   .n_health = c->n_verdicts };
}

struct sl_transaction *sl_transaction_begin(struct sl_control *c, const char *what, const char *who)
{
	struct sl_transaction *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct sl_transaction){ .c = c,
				      .operators = sl_operators_clone(c->operators),
				      .changes = json_array(),
				      .notes = json_array(),
				      .what = what,
				      .saved = true };
	snprintf(t->who, sizeof(t->who), "%s", who);
	if (t->operators && t->changes && t->notes)
		return t;
	sl_transaction_drop(t);
	return NULL;
}

void sl_transaction_drop(struct sl_transaction *t)
{
	if (!t)
		return;
	if (t->release)
		t->release(t->settling);
	sl_operators_free(t->operators);
	json_decref(t->changes);
	json_decref(t->notes);
	free(t);
}

/* Saving */

static bool save(struct sl_control *c)
{
	char error[SL_ERROR_MAX];
	int err = sl_overrides_save(c->config.state_dir, c->operators, error);

	c->unsaved_ms = sl_clock_ms();
	if (!err) {
		if (c->unsaved[0])
			sl_log("what operators set is saved again");
		c->unsaved[0] = '\0';
		return true;
	}
	if (strcmp(c->unsaved, error) != 0)
		sl_log("what operators set is live but not saved, and a restart would forget it: "
		       "%s; it is tried again each second",
		       error);
	memcpy(c->unsaved, error, sizeof(c->unsaved));
	return false;
}

void sl_transaction_retry_save(struct sl_control *c)
{
	if (c->unsaved[0] && sl_clock_ms() - c->unsaved_ms >= SAVE_AGAIN_MS)
		save(c);
}

/* Drops the overrides that the file has superseded. Saves what is left if it differs from what was
 * saved. Returns whether all is saved. */
static bool settle_operators(struct sl_control *c, const struct sl_operators *before)
{
	json_t *was = sl_overrides_write(before), *is;
	bool saved = true;

	sl_operators_prune(c->operators, &c->config, (uint64_t)time(NULL));
	is = sl_overrides_write(c->operators);
	if (!json_equal(was, is) || c->unsaved[0])
		saved = save(c);
	json_decref(was);
	json_decref(is);
	return saved;
}

/* Logging */

static void log_changes(const struct sl_transaction *t)
{
	unsigned long long generation = t->out.generation;
	size_t n = json_array_size(t->changes);

	for (size_t i = 0; i < n && i < LOGGED_CHANGES; i++)
		sl_log("%s by %s: %s; generation %llu", t->what, t->who,
		       json_string_value(json_array_get(t->changes, i)), generation);
	if (n > LOGGED_CHANGES)
		sl_log("%s by %s: %zu more changes; generation %llu", t->what, t->who,
		       n - LOGGED_CHANGES, generation);
	if (!n)
		sl_log("%s by %s: no difference; generation %llu", t->what, t->who, generation);
}

static void end(void *context, int err, const struct sl_published *out, const char *error)
{
	struct sl_transaction *t = context;
	struct sl_control *c = t->c;

	t->err = err;
	if (!err) {
		struct sl_operators *before = c->operators;

		c->operators = t->operators;
		t->operators = before;
		t->out = *out;
	} else if (error != t->error) {
		snprintf(t->error, sizeof(t->error), "%s", error);
	}
	if (t->settle)
		t->settle(t);
	if (!err) {
		t->saved = settle_operators(c, t->operators);
		log_changes(t);
	}
	if (t->ended)
		t->ended(t);
	else if (err)
		sl_log("%s by %s: %s", t->what, t->who, t->error[0] ? t->error : strerror(-err));
	sl_transaction_drop(t);
}

/* Applying */

/* Returns the model that follows from the layers. Returns NULL on failure, with *err set to -errno
 * and a message in t->error, or if the model stays the same, with *err 0. */
static struct sl_model *apply(struct sl_transaction *t, int *err)
{
	struct sl_control *c = t->c;
	struct sl_layers layers = sl_layers_of(c);
	struct sl_model *next = sl_model_clone(c->model);

	layers.operators = t->operators;
	*err = next ? 0 : -ENOMEM;
	if (next)
		*err = t->service[0] ? sl_apply_service(c, &layers, t->service, next, t->changes,
							t->error)
				     : sl_apply(c, &layers, next, t->changes, t->error);
	if (*err) {
		sl_model_free(next, 0);
		return NULL;
	}
	if (t->adjust)
		t->adjust(t, next);
	if (!(c->net && sl_apply_network(c, next)) && !json_array_size(t->changes) && !t->always) {
		sl_model_free(next, 0);
		return NULL;
	}
	return next;
}

void sl_transaction_run(struct sl_transaction *t)
{
	struct sl_published out;
	int err;
	struct sl_model *next = apply(t, &err);

	if (next) {
		sl_publish_begin(t->c, next, end, t);
		return;
	}
	if (!err)
		sl_acknowledged(t->c, &out);
	end(t, err, &out, t->error);
}

/* Starting */

static bool all_resolved(const struct sl_model *m)
{
	for (size_t i = 0; i < m->n; i++)
		for (uint32_t k = 0; k < m->service[i]->n; k++)
			if (m->service[i]->backend[k].state == SL_STATE_READY &&
			    m->service[i]->backend[k].hop.kind == SL_ROUTE_ASK)
				return false;
	return true;
}

/* Waits a little for backends' next hops to be resolved, so that the first generation has all that
 * are there. */
static void resolve(struct sl_control *c, struct sl_model *next)
{
	uint64_t until = sl_clock_ns() + RESOLVE_MS * 1000000ull;
	struct sl_model *live = c->model;

	c->model = NULL; /* so that network_changed() in main.c does nothing meanwhile */
	sl_apply_network(c, next);
	while (!all_resolved(next) && sl_clock_ns() < until) {
		event_base_loop(c->base, EVLOOP_NONBLOCK);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		sl_apply_network(c, next);
	}
	c->model = live;
}

int sl_transaction_start(struct sl_control *c, char error[SL_ERROR_MAX])
{
	struct sl_operators *before = sl_operators_clone(c->operators);
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_layers layers = sl_layers_of(c);
	struct sl_published out;
	int err = next && before ? sl_apply(c, &layers, next, NULL, error) : -ENOMEM;

	if (err) {
		sl_model_free(next, 0);
		goto out;
	}
	resolve(c, next);
	/* Fill adopted tables anew from the layers' weights. Weights that are the same move no
	 * slot. */
	for (size_t i = 0; i < next->n; i++) {
		struct sl_model_service *s = sl_model_edit(next, i);

		if (s)
			s->refill = s->rewrite = true;
	}
	err = sl_publish(c, next, &out, error);
	if (!err)
		settle_operators(c, before);
out:
	sl_operators_free(before);
	return err;
}
