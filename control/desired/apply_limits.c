/* SPDX-License-Identifier: BSD-2-Clause */
#include "apply_limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../model/limits.h"
#include "../model/pace.h"
#include "overrides.h"

__attribute__((format(printf, 2, 3))) static void note(json_t *changes, const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (changes)
		json_array_append_new(changes, json_string(text));
}

uint64_t sl_limits_subject(const struct sl_control *c, const struct sl_config_limit *l,
			   const union sl_addr *addr, uint16_t port)
{
	const struct sl_root *root = sl_store_root(&c->store);

	if (l->scope == SL_SCOPE_FLOW)
		return sl_hash_source(addr, sl_htons(port), root->row_key);
	return sl_meter_client(addr, l->prefix4, l->prefix6, root->flow_key);
}

/* What is wanted */

struct wanted {
	struct sl_config_limit limit[SL_LIMITS_MAX];
	uint32_t n;
	struct sl_live_limit *exception;
	uint32_t n_exceptions;
	char why[SL_ERROR_MAX]; /* the last one that was left out */
	uint32_t left_out;
};

/* Whether a subject of `l` belongs to `base`. */
static bool belongs(const struct sl_config_limit *base, const struct sl_live_limit *l)
{
	return base->scope == l->limit.scope && base->unit == l->limit.unit &&
	       base->direction == l->limit.direction &&
	       (base->scope == SL_SCOPE_FLOW ||
		(sl_addr_is4(&l->addr) ? base->prefix4 == l->limit.prefix4
				       : base->prefix6 == l->limit.prefix6));
}

/* As the file has it, or as it was set on top of that; false: it isn't wanted. */
static bool want_from_file(const struct sl_config_limit *file, const struct sl_live_limit *live,
			   size_t n_live, struct sl_config_limit *limit)
{
	*limit = *file;
	for (size_t i = 0; i < n_live; i++) {
		const struct sl_live_limit *l = &live[i];

		if (l->exception || !sl_limit_same(&l->limit, file))
			continue;
		if (l->removed)
			return false;
		if (l->of_file && l->file.rate == file->rate && l->file.burst == file->burst &&
		    l->file.action == file->action)
			*limit = l->limit;
	}
	return true;
}

static bool in_file(const struct sl_config_service *conf, const struct sl_config_limit *l)
{
	for (size_t i = 0; i < conf->n_limits; i++)
		if (sl_limit_same(&conf->limit[i], l))
			return true;
	return false;
}

/* One that isn't in the file. */
static void want(struct wanted *w, const struct sl_config_service *conf,
		 const struct sl_config_limit *l)
{
	uint32_t backends = l->scope == SL_SCOPE_BACKEND;
	char why[SL_ERROR_MAX], name[SL_LIMIT_NAME];

	for (uint32_t i = 0; i < w->n; i++) {
		if (sl_limit_same(&w->limit[i], l))
			return; /* said twice */
		backends += w->limit[i].scope == SL_SCOPE_BACKEND;
	}
	why[0] = '\0';
	if (w->n == SL_LIMITS_MAX)
		snprintf(why, sizeof(why), "a service has at most %d limits", SL_LIMITS_MAX);
	else if (l->scope == SL_SCOPE_BACKEND && backends > SL_BALANCE_PLANES)
		snprintf(why, sizeof(why), "a service has at most %d limits per backend",
			 SL_BALANCE_PLANES);
	else if (l->direction == SL_FROM_BACKEND && !sl_config_translates(conf->mode))
		snprintf(why, sizeof(why), "with mode \"%s\" replies bypass the gateway",
			 sl_config_mode_text(conf->mode));
	else if (sl_config_check_limit(l, conf->flowless, why) == 0)
		w->limit[w->n++] = *l;
	if (!why[0])
		return;
	snprintf(w->why, sizeof(w->why), "limit %s: %.400s", sl_limits_name(l, name), why);
	w->left_out++;
}

static void want_exception(struct wanted *w, const struct sl_config_service *conf,
			   const struct sl_live_limit *l)
{
	struct sl_config_limit base = l->limit;
	uint32_t i = 0;

	if (sl_addr_is4(&l->addr) != sl_addr_is4(&conf->vip)) {
		snprintf(w->why, sizeof(w->why), "the address is not of the VIP's family");
		w->left_out++;
		return;
	}
	while (i < w->n && !belongs(&w->limit[i], l))
		i++;
	base.rate = base.burst = 0;
	if (i == w->n)
		want(w, conf, &base);
	if (i == w->n)
		return;
	if (!w->limit[i].rate)
		w->limit[i].action = l->limit.action; /* the latest says */
	w->exception[w->n_exceptions++] = *l;
}

static int want_all(struct wanted *w, const struct sl_config_service *conf, const json_t *list)
{
	size_t n = json_array_size(list), n_live = 0;
	struct sl_live_limit *live = calloc(n + 1, sizeof(*live));
	uint64_t now = (uint64_t)time(NULL);
	char ignored[SL_ERROR_MAX];

	*w = (struct wanted){ .exception = calloc(n + 1, sizeof(*w->exception)) };
	if (!live || !w->exception) {
		free(live);
		free(w->exception);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		n_live += sl_live_limit_read(json_array_get(list, i), &live[n_live], ignored) == 0;
	for (size_t i = 0; i < conf->n_limits; i++)
		w->n += want_from_file(&conf->limit[i], live, n_live, &w->limit[w->n]);
	for (size_t i = 0; i < n_live; i++)
		if (!live[i].exception && !live[i].removed && !live[i].of_file &&
		    !in_file(conf, &live[i].limit))
			want(w, conf, &live[i].limit);
	for (size_t i = 0; i < n_live; i++)
		if (live[i].exception && (!live[i].until || live[i].until > now))
			want_exception(w, conf, &live[i]);
	free(live);
	return 0;
}

int sl_limits_fit(const struct sl_config_service *conf, const json_t *before, const json_t *live,
		  char error[SL_ERROR_MAX])
{
	uint32_t left_out;
	struct wanted w;
	int err = want_all(&w, conf, before);

	if (err)
		return err;
	free(w.exception);
	left_out = w.left_out; /* already, whatever is asked for */
	err = want_all(&w, conf, live);
	if (err)
		return err;
	free(w.exception);
	if (w.left_out > left_out)
		snprintf(error, SL_ERROR_MAX, "%s", w.why);
	return w.left_out > left_out ? -EINVAL : 0;
}

/* What that changes */

static void note_limit(json_t *changes, const char *service, const struct sl_config_limit *was,
		       const struct sl_config_limit *is)
{
	char name[SL_LIMIT_NAME], from[SL_LIMIT_TEXT], to[SL_LIMIT_TEXT];

	sl_limits_name(is ? is : was, name);
	if ((!was || !was->rate) && is && is->rate)
		note(changes, "service %s: limit %s: %s", service, name,
		     sl_limit_rate_text(is->unit, is->rate, to));
	else if (was && was->rate && (!is || !is->rate))
		note(changes, "service %s: limit %s: %s no more", service, name,
		     sl_limit_rate_text(was->unit, was->rate, from));
	if (!was || !is || !was->rate || !is->rate)
		return;
	if (was->rate != is->rate)
		note(changes, "service %s: limit %s: %s -> %s", service, name,
		     sl_limit_rate_text(was->unit, was->rate, from),
		     sl_limit_rate_text(is->unit, is->rate, to));
	else if (sl_limit_burst(was) != sl_limit_burst(is))
		note(changes, "service %s: limit %s: burst %s -> %s", service, name,
		     sl_limit_burst_text(was, from), sl_limit_burst_text(is, to));
	if (was->action != is->action)
		note(changes, "service %s: limit %s: %s -> %s", service, name,
		     sl_word_text(sl_limit_actions, was->action),
		     sl_word_text(sl_limit_actions, is->action));
}

/* In the order of apply_limits.h. */
static uint32_t rank(const struct sl_config_limit *l)
{
	return l->scope == SL_SCOPE_FLOW ? !l->rate : 1u + l->scope;
}

/* One that no other has; want() sees to it that there is one. */
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

static const struct sl_config_limit *find_wanted(const struct wanted *w,
						 const struct sl_config_limit *l)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (sl_limit_same(&w->limit[i], l))
			return &w->limit[i];
	return NULL;
}

/* Those that stand first, in their order; then those that are new. */
static int set_limits(struct sl_model *m, struct sl_model_service *s, const struct wanted *w,
		      json_t *changes)
{
	struct sl_model_limit limit[SL_LIMITS_MAX];
	bool known[SL_LIMITS_MAX] = { 0 };
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_limits; i++) {
		struct sl_model_limit l = s->limit[i];
		const struct sl_config_limit *is = find_wanted(w, &l.conf);

		if (is && known[is - w->limit])
			is = NULL; /* another one is it already */
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
		if (belongs(&s->limit[i].conf, l))
			return &s->limit[i];
	return NULL;
}

static int set_exceptions(const struct sl_control *c, struct sl_model_service *s,
			  const struct wanted *w)
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

/* Whether two files list the same limits, in whatever order. */
static bool same_list(const struct sl_config_service *a, const struct sl_config_service *b)
{
	for (size_t i = 0; i < a->n_limits; i++)
		if (!lists(b, &a->limit[i]))
			return false;
	return a->n_limits == b->n_limits;
}

int sl_limits_apply(const struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
		    const struct sl_config_service *conf, const json_t *live, json_t *changes,
		    char error[SL_ERROR_MAX])
{
	size_t said = json_array_size(changes);
	bool same = same_list(&s->conf, conf);
	struct wanted w;
	int err = want_all(&w, conf, live);

	if (err)
		return err;
	if (w.left_out)
		sl_log("service %s: %u limits that were set live are left out: %s", conf->name,
		       w.left_out, w.why);
	memmove(s->conf.limit, conf->limit, sizeof(s->conf.limit)); /* it may be its own */
	s->conf.n_limits = conf->n_limits;
	err = set_limits(m, s, &w, changes);
	if (err)
		snprintf(error, SL_ERROR_MAX,
			 "service %s: no room for its limits: raise capacity.limits (%u)",
			 conf->name, c->config.capacity.limits);
	else
		err = set_exceptions(c, s, &w);
	free(w.exception);
	/* What the file says is part of the model: it has to be published. */
	if (!err && !same && json_array_size(changes) == said)
		note(changes, "service %s: the file lists its limits otherwise; what holds stays",
		     conf->name);
	return err;
}

void sl_limits_removed(const struct sl_control *c, const struct sl_model_service *s, json_t *list)
{
	const json_t *live = sl_live_limits(c->overrides, s->conf.name);
	char name[SL_LIMIT_NAME], ignored[SL_ERROR_MAX];
	struct sl_live_limit l;

	for (size_t i = 0; i < json_array_size(live); i++)
		if (sl_live_limit_read(json_array_get(live, i), &l, ignored) == 0 && l.removed)
			note(list,
			     "service %s: limit %s was cleared live and stays cleared; `limit "
			     "set` takes it back",
			     s->conf.name, sl_limits_name(&l.limit, name));
}
