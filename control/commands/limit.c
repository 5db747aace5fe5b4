/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../desired/apply_limits.h"
#include "../desired/effective.h"
#include "../desired/limit_overrides.h"
#include "../model/limits.h"
#include "../report/limit_top.h"
#include "../report/limits.h"
#include "change.h"
#include "params.h"

__attribute__((format(printf, 2, 3))) static int refuse(char error[SL_ERROR_MAX],
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* Which limit the parameters describe; the flags say which fields they give. */

struct which {
	struct sl_live_limit l;
	bool scope;
	bool unit;
	bool direction;
	bool prefix4;
	bool prefix6;
};

static int read_word(const json_t *params, const char *key, const struct sl_word *words,
		     uint8_t *value, bool *given, char error[SL_ERROR_MAX])
{
	const json_t *text = json_object_get(params, key);
	const struct sl_word *word;
	size_t used;

	*given = text != NULL;
	if (!text)
		return 0;
	word = json_is_string(text) ? sl_word_find(words, json_string_value(text)) : NULL;
	if (word) {
		*value = (uint8_t)word->value;
		return 0;
	}
	used = (size_t)snprintf(error, SL_ERROR_MAX, "%s: must be", key);
	for (; words->text; words++)
		used += (size_t)snprintf(error + used, SL_ERROR_MAX - used, " %s%s", words->text,
					 words[1].text ? "," : "");
	return -EINVAL;
}

static int read_prefix(const json_t *params, const char *key, json_int_t most, uint8_t *value,
		       bool *given, char error[SL_ERROR_MAX])
{
	const json_t *number = json_object_get(params, key);

	*given = number != NULL;
	if (!number)
		return 0;
	if (!json_is_integer(number) || json_integer_value(number) < 1 ||
	    json_integer_value(number) > most)
		return refuse(error, "%s: must be a number from 1 to %d", key, (int)most);
	*value = (uint8_t)json_integer_value(number);
	return 0;
}

static int read_subject(const json_t *params, struct which *w, char error[SL_ERROR_MAX])
{
	const json_t *client = json_object_get(params, "client");
	const json_t *flow = json_object_get(params, "flow");
	const char *text = json_string_value(client ? client : flow);
	char why[SL_ERROR_MAX];
	uint8_t length;

	if (!client && !flow)
		return 0;
	if (!text)
		return refuse(error, "%s: must be a string", client ? "client" : "flow");
	if (w->scope || (client && flow))
		return refuse(error, "%s: give one of per, client and flow",
			      w->scope ? "per" : "flow");
	w->scope = w->l.exception = true;
	w->l.limit.scope = client ? SL_SCOPE_CLIENT : SL_SCOPE_FLOW;
	if (flow && sl_endpoint_parse(text, &w->l.addr, &w->l.port, why) != 0)
		return refuse(error, "flow: %.400s, the client's", why);
	if (flow)
		return 0;
	if (sl_prefix_parse(text, &w->l.addr, &length, why) != 0)
		return refuse(error, "client: %.400s", why);
	if (w->prefix4 || w->prefix6)
		return refuse(error, "prefix%c: the client's prefix says it",
			      w->prefix4 ? '4' : '6');
	w->l.limit.prefix4 = sl_addr_is4(&w->l.addr) ? length : 32;
	w->l.limit.prefix6 = sl_addr_is4(&w->l.addr) ? 128 : length;
	return 0;
}

static int read_which(const json_t *params, const struct sl_model_service *s, struct which *w,
		      char error[SL_ERROR_MAX])
{
	int err;

	*w = (struct which){ 0 };
	err = read_word(params, "per", sl_limit_scopes, &w->l.limit.scope, &w->scope, error);
	if (!err)
		err = read_word(params, "unit", sl_limit_units, &w->l.limit.unit, &w->unit, error);
	if (!err)
		err = read_word(params, "direction", sl_limit_directions, &w->l.limit.direction,
				&w->direction, error);
	if (!err)
		err = read_prefix(params, "prefix4", 32, &w->l.limit.prefix4, &w->prefix4, error);
	if (!err)
		err = read_prefix(params, "prefix6", 128, &w->l.limit.prefix6, &w->prefix6, error);
	if (!err)
		err = read_subject(params, w, error);
	if (!err && w->l.exception && sl_addr_is4(&w->l.addr) != sl_addr_is4(&s->conf.vip))
		err = refuse(error, "%s: is not of the VIP's family",
			     w->l.limit.scope == SL_SCOPE_FLOW ? "flow" : "client");
	return err;
}

/* Reading */

int sl_limit_list_command(void *context, struct sl_rpc_call *call, const json_t *params,
			  json_t **result, char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	int at, err = sl_param_any_service(c, params, &at, error);
	json_t *list;

	(void)call;
	if (err)
		return err;
	list = json_array();
	for (size_t i = 0; i < c->model->n; i++)
		if (at < 0 || (size_t)at == i)
			sl_limit_report(c, c->model->service[i], list);
	*result = json_pack("{s:o}", "limits", list);
	return 0;
}

int sl_limit_show_command(void *context, struct sl_rpc_call *call, const json_t *params,
			  json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "client", "flow", NULL };
	const struct sl_control *c = context;
	int at, err = sl_params_known(params, keys, error);
	struct which w;
	json_t *list;

	(void)call;
	if (err)
		return err;
	at = sl_param_service(c, params, error);
	if (at < 0)
		return at;
	err = read_which(params, c->model->service[at], &w, error);
	if (err)
		return err;
	list = json_array();
	sl_limit_report_left(c, c->model->service[at], w.l.exception ? &w.l : NULL, list);
	*result = json_pack("{s:s, s:o}", "service", c->model->service[at]->conf.name, "limits",
			    list);
	return 0;
}

/* Changes */

struct change {
	struct sl_transaction *t;
	json_t *answer;
	const struct sl_model_service *service; /* as published */
	struct sl_operator_service *overrides;
};

static int begin(struct change *x, struct sl_control *c, struct sl_rpc_call *call, const char *what,
		 const json_t *params, char error[SL_ERROR_MAX])
{
	int at = sl_param_service(c, params, error);

	if (at < 0)
		return at;
	*x = (struct change){ .service = c->model->service[at] };
	x->t = sl_change_begin(c, call, what, &x->answer);
	if (!x->t)
		return -ENOMEM;
	memcpy(x->t->service, x->service->conf.name, sizeof(x->t->service));
	x->t->always = true;
	x->overrides = sl_operators_get(x->t->operators, x->t->service);
	return x->overrides ? 0 : sl_change_drop(x->t, -ENOMEM);
}

/* set */

static const struct sl_model_limit *find_same(const struct sl_model_service *s,
					      const struct sl_config_limit *l)
{
	for (uint32_t i = 0; i < s->n_limits; i++)
		if (sl_limit_same(&s->limit[i].conf, l))
			return &s->limit[i];
	return NULL;
}

static int read_rate(const json_t *params, struct sl_config_limit *l, char error[SL_ERROR_MAX])
{
	const char *rate = sl_param_text(params, "rate", error);
	const json_t *burst = json_object_get(params, "burst");
	char why[SL_ERROR_MAX];

	if (!rate)
		return -EINVAL;
	if (sl_config_parse_rate(rate, &l->unit, &l->rate, why) != 0)
		return refuse(error, "rate: %.400s", why);
	if (!burst)
		return 0;
	if (!json_is_string(burst))
		return refuse(error, "burst: must be a string");
	if (sl_config_parse_burst(json_string_value(burst), l->unit, l->rate, &l->burst, why) != 0)
		return refuse(error, "burst: %.400s", why);
	return 0;
}

static int read_end(const json_t *params, struct sl_live_limit *l, char error[SL_ERROR_MAX])
{
	const json_t *text = json_object_get(params, "for");
	char why[SL_ERROR_MAX];
	uint64_t ms;

	if (!text)
		return 0;
	if (!l->exception)
		return refuse(error, "for: only the rate of one client or flow ends by itself");
	if (!json_is_string(text))
		return refuse(error, "for: must be a string");
	if (sl_config_parse_duration(json_string_value(text), &ms, why) != 0)
		return refuse(error, "for: %.400s", why);
	if (ms < 1000 || ms / 1000 > INT32_MAX)
		return refuse(error, "for: must be a second at least, and 68 years at most");
	l->until = (uint64_t)time(NULL) + ms / 1000;
	return 0;
}

/* Reads the action. If it is missing, an existing limit keeps its own. A subject has the action of
 * its limit. */
static int read_action(const json_t *params, const struct sl_model_service *s,
		       struct sl_live_limit *l, char error[SL_ERROR_MAX])
{
	const struct sl_model_limit *have =
		l->exception ? sl_limits_base(s, l) : find_same(s, &l->limit);
	uint8_t before = have ? have->conf.action : SL_ACTION_DROP;
	char name[SL_LIMIT_NAME];
	bool given;
	int err = read_word(params, "action", sl_limit_actions, &l->limit.action, &given, error);

	if (err)
		return err;
	if (!given)
		l->limit.action = before;
	if (l->exception && have && have->conf.rate && l->limit.action != before)
		return refuse(error, "action: the limit %s has the action %s for all",
			      sl_limits_name(&have->conf, name),
			      sl_word_text(sl_limit_actions, before));
	return 0;
}

static int read_limit(const json_t *params, const struct sl_model_service *s,
		      struct sl_live_limit *l, char error[SL_ERROR_MAX])
{
	struct which w;
	char why[SL_ERROR_MAX];
	int err = read_which(params, s, &w, error);

	if (err)
		return err;
	if (!w.scope)
		return refuse(error, "per: missing; give it, or client, or flow");
	*l = w.l;
	err = read_rate(params, &l->limit, error);
	if (err)
		return err;
	sl_limit_default(&l->limit);
	err = read_action(params, s, l, error);
	if (!err)
		err = read_end(params, l, error);
	if (!err && sl_config_check_limit(&l->limit, s->conf.flowless, why) != 0)
		return refuse(error, "limit: %.400s", why);
	return err;
}

/* Stores the limit as an override. A limit that is the same in the file needs none. */
static int put(struct change *x, struct sl_live_limit *l, char error[SL_ERROR_MAX])
{
	const struct sl_config_service *conf = &x->service->conf;

	for (size_t i = 0; i < conf->n_limits && !l->exception; i++) {
		if (!sl_limit_same(&conf->limit[i], &l->limit))
			continue;
		l->of_file = true;
		l->file = conf->limit[i];
	}
	if (l->of_file && sl_limit_is_of_file(x->service, &l->limit))
		sl_operator_limit_drop(x->overrides, l);
	else if (sl_operator_limit_set(x->overrides, l) != 0)
		return -ENOMEM;
	return sl_effective_limits_fit(conf, sl_operators_find(x->t->c->operators, conf->name),
				       x->overrides, error);
}

static void describe(const struct sl_live_limit *l, char text[SL_ERROR_MAX])
{
	char name[SL_LIMIT_NAME], subject[SL_SUBJECT_TEXT], rate[SL_LIMIT_TEXT];

	sl_limits_name(&l->limit, name);
	if (l->exception)
		snprintf(text, SL_ERROR_MAX, "%s (%s): %s", sl_live_limit_subject(l, subject),
			 sl_word_text(sl_limit_directions, l->limit.direction),
			 sl_limit_rate_text(l->limit.unit, l->limit.rate, rate));
	else
		snprintf(text, SL_ERROR_MAX, "%s: %s", name,
			 sl_limit_rate_text(l->limit.unit, l->limit.rate, rate));
}

/* Describes the limit as it was understood, in full. */
static void describe_result(const struct sl_live_limit *l, const char *service,
			    char text[SL_ERROR_MAX])
{
	char what[SL_ERROR_MAX], burst[SL_LIMIT_TEXT], until[64] = "";
	time_t end = (time_t)l->until;
	struct tm tm;

	describe(l, what);
	if (l->until && localtime_r(&end, &tm))
		strftime(until, sizeof(until), ", until %F %T", &tm);
	snprintf(text, SL_ERROR_MAX, "service %s: limit %.256s, burst %s, %s%s", service, what,
		 sl_limit_burst_text(&l->limit, burst),
		 sl_word_text(sl_limit_actions, l->limit.action), until);
}

int sl_limit_set_command(void *context, struct sl_rpc_call *call, const json_t *params,
			 json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "per",	  "client",    "flow",
					    "rate",    "burst",	  "direction", "action",
					    "prefix4", "prefix6", "for",       NULL };
	struct sl_live_limit l;
	char text[SL_ERROR_MAX];
	struct change x;
	json_t *row;
	int err = sl_params_known(params, keys, error);

	if (!err)
		err = begin(&x, context, call, "limit.set", params, error);
	if (err)
		return err;
	err = read_limit(params, x.service, &l, error);
	if (!err)
		err = put(&x, &l, error);
	if (err)
		return sl_change_drop(x.t, err);
	describe_result(&l, x.t->service, text);
	row = sl_live_limit_write(&l);
	json_object_set_new(row, "burst", json_integer((json_int_t)sl_limit_burst(&l.limit)));
	json_object_del(row, "file");
	json_object_set_new(x.answer, "limit", row);
	json_object_set_new(x.answer, "text", json_string(text));
	return sl_change_run(x.t, result, error);
}

/* clear */

static bool fits(const struct which *w, const struct sl_live_limit *l)
{
	if (w->scope && (w->l.exception != l->exception || w->l.limit.scope != l->limit.scope))
		return false;
	if (w->l.exception &&
	    (!sl_addr_equal(&w->l.addr, &l->addr) || w->l.port != l->port ||
	     (l->limit.scope == SL_SCOPE_CLIENT &&
	      (w->l.limit.prefix4 != l->limit.prefix4 || w->l.limit.prefix6 != l->limit.prefix6))))
		return false;
	return (!w->unit || w->l.limit.unit == l->limit.unit) &&
	       (!w->direction || w->l.limit.direction == l->limit.direction) &&
	       (!w->prefix4 || w->l.limit.prefix4 == l->limit.prefix4) &&
	       (!w->prefix6 || w->l.limit.prefix6 == l->limit.prefix6);
}

/* Collects all limits of a service that can be cleared: its limits that have a rate, and subjects'
 * own rates. */
static size_t gather(const struct change *x, struct sl_live_limit **all)
{
	const struct sl_operator_service *overrides = x->overrides;
	const struct sl_model_service *s = x->service;
	size_t n = 0;

	*all = calloc(s->n_limits + overrides->n_limits + 1, sizeof(**all));
	for (uint32_t i = 0; *all && i < s->n_limits; i++)
		if (s->limit[i].conf.rate)
			(*all)[n++].limit = s->limit[i].conf;
	for (size_t i = 0; *all && i < overrides->n_limits; i++) {
		const struct sl_live_limit *l = &overrides->limit[i];

		/* A live limit that can't take effect can be cleared too. */
		if (l->exception || (!l->removed && !find_same(s, &l->limit)))
			(*all)[n++] = *l;
	}
	return n;
}

/* Formats an error that lists limits: "…: per client: 2 Mbit/s; client 198.51.100.7/32 (both): 1
 * Mbit/s". Returns err. */
static int list_candidates(const struct change *x, const struct sl_live_limit *all, size_t n,
			   const char *what, int err, char error[SL_ERROR_MAX])
{
	char one[SL_ERROR_MAX];
	size_t used =
		(size_t)snprintf(error, SL_ERROR_MAX, "service %s has %s", x->t->service, what);

	for (size_t i = 0; i < n && used < SL_ERROR_MAX - 100; i++) {
		describe(&all[i], one);
		used += (size_t)snprintf(error + used, SL_ERROR_MAX - used, "%s%.90s",
					 i ? "; " : ": ", one);
	}
	return err;
}

/* Finds the one limit that fits, and copies it to *l. Returns 0 or -errno with a message. */
static int pick(const struct change *x, const struct which *w, struct sl_live_limit *l,
		char error[SL_ERROR_MAX])
{
	struct sl_live_limit *all;
	size_t n = gather(x, &all), found = 0;
	int err = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!fits(w, &all[i]))
			continue;
		*l = all[i];
		all[found++] = all[i];
	}
	if (!n)
		err = list_candidates(x, all, 0, "no limits", -ENOENT, error);
	else if (!found)
		err = list_candidates(x, all, n, "no such limit, but these", -ENOENT, error);
	else if (found > 1)
		err = list_candidates(x, all, found,
				      "several such limits, name unit, direction or prefix too",
				      -EINVAL, error);
	free(all);
	return err;
}

int sl_limit_clear_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service",	 "per",	    "client",  "flow", "unit",
					    "direction", "prefix4", "prefix6", NULL };
	const struct sl_config_service *conf;
	char what[SL_ERROR_MAX];
	struct sl_live_limit l;
	struct change x;
	struct which w;
	int err = sl_params_known(params, keys, error);

	if (!err)
		err = begin(&x, context, call, "limit.clear", params, error);
	if (err)
		return err;
	err = read_which(params, x.service, &w, error);
	if (!err)
		err = pick(&x, &w, &l, error);
	if (err)
		return sl_change_drop(x.t, err);
	conf = &x.service->conf;
	describe(&l, what);
	sl_operator_limit_drop(x.overrides, &l);
	for (size_t i = 0; i < conf->n_limits && !l.exception; i++)
		l.removed |= sl_limit_same(&conf->limit[i], &l.limit);
	if (l.removed && sl_operator_limit_set(x.overrides, &l) != 0)
		return sl_change_drop(x.t, -ENOMEM);
	json_object_set_new(x.answer, "text",
			    json_sprintf("service %s: limit %.256s, cleared", conf->name, what));
	return sl_change_run(x.t, result, error);
}

/* top */

int sl_limit_top_command(void *context, struct sl_rpc_call *call, const json_t *params,
			 json_t **result, char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	int at, err = sl_param_any_service(c, params, &at, error);
	json_t *rows;

	(void)call;
	if (err)
		return err;
	rows = sl_limit_top_report(c, at);
	if (!rows)
		return -ENOMEM;
	*result = json_pack("{s:o}", "top", rows);
	return 0;
}
