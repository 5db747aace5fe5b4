/* SPDX-License-Identifier: BSD-2-Clause */
#include "apply_limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/limits.h"
#include "../model/pace.h"
#include "changes.h"

uint64_t sl_limits_subject(const struct sl_control *c, const struct sl_config_limit *l,
			   const union sl_addr *addr, uint16_t port)
{
	const struct sl_root *root = sl_store_root(&c->store);

	if (l->scope == SL_SCOPE_FLOW)
		return sl_hash_source(addr, sl_htons(port), root->slot_key);
	return sl_meter_client(addr, l->prefix4, l->prefix6, root->flow_key);
}

/* Differences */

static void note_limit(json_t *changes, const char *service, const struct sl_config_limit *was,
		       const struct sl_config_limit *is)
{
	char name[SL_LIMIT_NAME], from[SL_LIMIT_TEXT], to[SL_LIMIT_TEXT];

	sl_limits_name(is ? is : was, name);
	if ((!was || !was->rate) && is && is->rate)
		sl_note(changes, "service %s: limit %s: %s", service, name,
			sl_limit_rate_text(is->unit, is->rate, to));
	else if (was && was->rate && (!is || !is->rate))
		sl_note(changes, "service %s: limit %s: %s no more", service, name,
			sl_limit_rate_text(was->unit, was->rate, from));
	if (!was || !is || !was->rate || !is->rate)
		return;
	if (was->rate != is->rate)
		sl_note(changes, "service %s: limit %s: %s -> %s", service, name,
			sl_limit_rate_text(was->unit, was->rate, from),
			sl_limit_rate_text(is->unit, is->rate, to));
	else if (sl_limit_burst(was) != sl_limit_burst(is))
		sl_note(changes, "service %s: limit %s: burst %s -> %s", service, name,
			sl_limit_burst_text(was, from), sl_limit_burst_text(is, to));
	if (was->action != is->action)
		sl_note(changes, "service %s: limit %s: %s -> %s", service, name,
			sl_word_text(sl_limit_actions, was->action),
			sl_word_text(sl_limit_actions, is->action));
}

/* The position of a limit, in the order that apply_limits.h gives. */
static uint32_t rank(const struct sl_config_limit *l)
{
	return l->scope == SL_SCOPE_FLOW ? !l->rate : 1u + l->scope;
}

/* Returns a plane that no other limit uses. add_limit() in effective.c makes sure that there is
 * one. */
static uint8_t free_plane(const struct sl_model_limit *limit, uint32_t n)
{
	uint32_t taken = 0;
	uint8_t plane = 0;

	for (uint32_t i = 0; i < n; i++)
		if (limit[i].conf.scope == SL_SCOPE_BACKEND)
			taken |= 1u << limit[i].plane;
	while (taken >> plane & 1)
		plane++;
	return plane;
}

static void insert(struct sl_model_limit *limit, uint32_t *n, const struct sl_model_limit *l)
{
	uint32_t i = (*n)++;

	for (; i && rank(&limit[i - 1].conf) > rank(&l->conf); i--)
		limit[i] = limit[i - 1];
	limit[i] = *l;
}

static const struct sl_config_limit *find_limit(const struct sl_effective_limits *w,
						const struct sl_config_limit *l)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (sl_limit_same(&w->limit[i], l))
			return &w->limit[i];
	return NULL;
}

/* Keeps the existing limits in their order, and adds the new ones. Returns 0, or -ENOSPC if no id
 * is left. */
static int set_limits(struct sl_model *m, struct sl_model_service *s,
		      const struct sl_effective_limits *w, json_t *changes)
{
	struct sl_model_limit limit[SL_LIMITS_MAX];
	bool known[SL_LIMITS_MAX] = { 0 };
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_limits; i++) {
		struct sl_model_limit l = s->limit[i];
		const struct sl_config_limit *is = find_limit(w, &l.conf);

		if (is && known[is - w->limit])
			is = NULL; /* another limit has become this one already */
		note_limit(changes, s->conf.name, &l.conf, is);
		if (!is) {
			sl_bit_clear(m->limits, l.id);
			continue;
		}
		known[is - w->limit] = true;
		l.conf = *is;
		l.pace = sl_pace_of_limit(is);
		insert(limit, &n, &l);
	}
	for (uint32_t i = 0; i < w->n; i++) {
		struct sl_model_limit l = { .conf = w->limit[i],
					    .pace = sl_pace_of_limit(&w->limit[i]),
					    .fresh = true };

		if (known[i])
			continue;
		if (l.conf.scope == SL_SCOPE_BACKEND)
			l.plane = free_plane(limit, n);
		l.id = sl_model_take_limit(m);
		if (!l.id)
			return -ENOSPC;
		note_limit(changes, s->conf.name, NULL, &l.conf);
		insert(limit, &n, &l);
	}
	memcpy(s->limit, limit, n * sizeof(*limit));
	s->n_limits = n;
	return 0;
}

const struct sl_model_limit *sl_limits_base(const struct sl_model_service *s,
					    const struct sl_live_limit *l)
{
	for (uint32_t i = 0; i < s->n_limits; i++)
		if (sl_live_limit_belongs(&s->limit[i].conf, l))
			return &s->limit[i];
	return NULL;
}

static int set_exceptions(const struct sl_control *c, struct sl_model_service *s,
			  const struct sl_effective_limits *w)
{
	struct sl_model_exception *list = NULL;
	uint32_t n = 0;

	if (w->n_exceptions)
		list = calloc(w->n_exceptions, sizeof(*list));
	if (w->n_exceptions && !list)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n_exceptions; i++) {
		const struct sl_live_limit *l = &w->exception[i];
		const struct sl_model_limit *base = sl_limits_base(s, l);

		if (!base)
			continue;
		list[n++] = (struct sl_model_exception){
			.limit = base->id,
			.subject = sl_limits_subject(c, &base->conf, &l->addr, l->port),
			.addr = l->addr,
			.port = l->port,
			.rate = l->limit.rate,
			.burst = l->limit.burst,
			.until = l->until,
			.pace = sl_pace_of(l->limit.unit, l->limit.rate, sl_limit_burst(&l->limit),
					   base->conf.action),
		};
	}
	free(s->exception);
	s->exception = list;
	s->n_exceptions = n;
	return 0;
}

static bool lists(const struct sl_config_service *conf, const struct sl_config_limit *l)
{
	for (size_t i = 0; i < conf->n_limits; i++)
		if (sl_limit_same(&conf->limit[i], l))
			return conf->limit[i].rate == l->rate && conf->limit[i].burst == l->burst &&
			       conf->limit[i].action == l->action;
	return false;
}

/* Whether both list the same limits, in any order. */
static bool same_list(const struct sl_config_service *a, const struct sl_config_service *b)
{
	for (size_t i = 0; i < a->n_limits; i++)
		if (!lists(b, &a->limit[i]))
			return false;
	return a->n_limits == b->n_limits;
}

int sl_limits_apply(const struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
		    const struct sl_effective *e, json_t *changes, char error[SL_ERROR_MAX])
{
	const struct sl_effective_limits *w = &e->limits;
	size_t said = json_array_size(changes);
	bool same = same_list(&s->conf, &e->conf);
	int err;

	if (w->left_out)
		sl_log("service %s: %u limits that were set live are left out: %s", e->conf.name,
		       w->left_out, w->why);
	memcpy(s->conf.limit, e->conf.limit, sizeof(s->conf.limit));
	s->conf.n_limits = e->conf.n_limits;
	err = set_limits(m, s, w, changes);
	if (err)
		snprintf(error, SL_ERROR_MAX,
			 "service %s: no room for its limits: raise capacity.limits (%u)",
			 e->conf.name, c->config.capacity.limits);
	else
		err = set_exceptions(c, s, w);
	/* The file's list is part of the model, so it has to be published. */
	if (!err && !same && json_array_size(changes) == said)
		sl_note(changes,
			"service %s: the file lists its limits otherwise; what holds stays",
			e->conf.name);
	return err;
}
