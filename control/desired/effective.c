/* SPDX-License-Identifier: BSD-2-Clause */
#include "effective.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../config/process.h"
#include "../model/limits.h"
#include "fields.h"

/* Limits */

/* Sets *limit to the file's limit, or to what operators set in its place. Returns false if they
 * removed it. */
static bool limit_from_file(const struct sl_config_limit *file, const struct sl_live_limit *live,
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

/* Adds a limit that isn't in the file, if the service can have it. */
static void add_limit(struct sl_effective_limits *w, const struct sl_config_service *conf,
		      const struct sl_config_limit *l)
{
	uint32_t backends = l->scope == SL_SCOPE_BACKEND;
	char why[SL_ERROR_MAX], name[SL_LIMIT_NAME];

	for (uint32_t i = 0; i < w->n; i++) {
		if (sl_limit_same(&w->limit[i], l))
			return; /* there is one already */
		backends += w->limit[i].scope == SL_SCOPE_BACKEND;
	}
	why[0] = '\0';
	if (w->n == SL_LIMITS_MAX)
		snprintf(why, sizeof(why), "a service has at most %d limits", SL_LIMITS_MAX);
	else if (l->scope == SL_SCOPE_BACKEND && backends > SL_SHARED_BUCKET_PLANES)
		snprintf(why, sizeof(why), "a service has at most %d limits per backend",
			 SL_SHARED_BUCKET_PLANES);
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

static void add_exception(struct sl_effective_limits *w, const struct sl_config_service *conf,
			  const struct sl_live_limit *l)
{
	struct sl_config_limit base = l->limit;
	uint32_t i = 0;

	if (sl_addr_is4(&l->addr) != sl_addr_is4(&conf->vip)) {
		snprintf(w->why, sizeof(w->why), "the address is not of the VIP's family");
		w->left_out++;
		return;
	}
	if (l->limit.scope == SL_SCOPE_FLOW && conf->vip_host_bits &&
	    conf->mode == SL_MODE_FULLNAT) {
		snprintf(w->why, sizeof(w->why),
			 "a flow of mode \"fullnat\" can't have a rate of its own where the VIP is "
			 "a "
			 "prefix: client and port don't name one");
		w->left_out++;
		return;
	}
	while (i < w->n && !sl_live_limit_belongs(&w->limit[i], l))
		i++;
	base.rate = base.burst = 0;
	if (i == w->n)
		add_limit(w, conf, &base);
	if (i == w->n)
		return;
	if (!w->limit[i].rate)
		w->limit[i].action = l->limit.action; /* the latest one decides */
	w->exception[w->n_exceptions++] = *l;
}

int sl_effective_limits_make(const struct sl_config_service *conf,
			     const struct sl_operator_service *words, uint64_t now,
			     struct sl_effective_limits *w)
{
	const struct sl_live_limit *live = words ? words->limit : NULL;
	size_t n_live = words ? words->n_limits : 0;

	*w = (struct sl_effective_limits){ .exception = calloc(n_live + 1, sizeof(*w->exception)) };
	if (!w->exception)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_limits; i++)
		w->n += limit_from_file(&conf->limit[i], live, n_live, &w->limit[w->n]);
	for (size_t i = 0; i < n_live; i++)
		if (!live[i].exception && !live[i].removed && !live[i].of_file &&
		    !in_file(conf, &live[i].limit))
			add_limit(w, conf, &live[i].limit);
	for (size_t i = 0; i < n_live; i++)
		if (live[i].exception && (!live[i].until || live[i].until > now))
			add_exception(w, conf, &live[i]);
	return 0;
}

int sl_effective_limits_fit(const struct sl_config_service *conf,
			    const struct sl_operator_service *before,
			    const struct sl_operator_service *after, char error[SL_ERROR_MAX])
{
	struct sl_effective_limits was, is;
	uint64_t now = (uint64_t)time(NULL);
	int err = sl_effective_limits_make(conf, before, now, &was);

	if (err)
		return err;
	free(was.exception);
	err = sl_effective_limits_make(conf, after, now, &is);
	if (err)
		return err;
	free(is.exception);
	if (is.left_out <= was.left_out)
		return 0;
	snprintf(error, SL_ERROR_MAX, "%s", is.why);
	return -EINVAL;
}

/* Fields */

static const struct sl_config_service *in_file_named(const struct sl_config *file, const char *name)
{
	for (size_t i = 0; i < file->n_services; i++)
		if (strcmp(file->service[i].name, name) == 0)
			return &file->service[i];
	return NULL;
}

/* Whether an operator's value of a field still holds: it does if the file's value is the same as
 * when it was set. */
static bool holds(const struct sl_config_service *conf, const struct sl_operator_service *words,
		  const char *field)
{
	json_t *now = sl_fields_in_file(conf, field);
	bool same = json_equal(now, json_object_get(words->file, field));

	json_decref(now);
	return same;
}

static bool any_holds(const struct sl_config_service *conf, const struct sl_operator_service *words)
{
	const char *key;
	json_t *value;

	json_object_foreach (words->fields, key, value) {
		if (holds(conf, words, key))
			return true;
	}
	return false;
}

/* Adds to `group` the file's fields of a service, except those that operators set. */
static int add_file_fields(config_setting_t *group, const struct sl_config_service *conf,
			   const struct sl_operator_service *words)
{
	int err = 0;

	for (int i = 0; i < config_setting_length(conf->setting) && !err; i++) {
		const config_setting_t *field =
			config_setting_get_elem(conf->setting, (unsigned int)i);

		if (!json_object_get(words->fields, config_setting_name(field)) ||
		    !holds(conf, words, config_setting_name(field)))
			err = sl_fields_copy(group, field);
	}
	return err;
}

/* Adds the fields that operators set. conf: the file's service, or NULL if the service was added
 * live. */
static int add_live_fields(config_setting_t *group, const struct sl_config_service *conf,
			   const struct sl_operator_service *words, char error[SL_ERROR_MAX])
{
	const char *key;
	json_t *value;
	int err = 0;

	json_object_foreach (words->fields, key, value) {
		if (!err && (!conf || holds(conf, words, key)))
			err = sl_fields_write(group, key, value, error);
	}
	return err;
}

/* Reads a service that operators added, or one of the file with the fields that operators set. */
static int read_live(const struct sl_config *file, const struct sl_config_service *conf,
		     const struct sl_operator_service *words, struct sl_config_service *out,
		     char error[SL_ERROR_MAX])
{
	config_t tree;
	int err;

	config_init(&tree);
	err = conf ? add_file_fields(config_root_setting(&tree), conf, words) : 0;
	if (!err)
		err = add_live_fields(config_root_setting(&tree), conf, words, error);
	if (!err)
		err = sl_config_read_service(file, config_root_setting(&tree), out, error);
	config_destroy(&tree);
	return err;
}

/* Backends */

/* Adds the verdict of health. */
static void add_health(const struct sl_layers *layers, const struct sl_effective *e,
		       const struct sl_operator_backend *word, struct sl_effective_backend *b)
{
	const struct sl_health_verdict *v;

	if (e->conf.health.kind == SL_HEALTH_NONE || !layers->checks || b->maintenance)
		return;
	b->forced = word && word->forced;
	v = sl_health_find(layers->health, layers->n_health, e->conf.name, &b->conf.addr,
			   b->conf.port);
	if (b->forced)
		return;
	if (v)
		b->share = v->share;
	if (v && v->held)
		b->held |= 1u << SL_LAYER_HEALTH;
	b->unchecked = !v && e->conf.health.start != SL_HEALTH_START_UP;
}

static bool listed(const struct sl_effective *e, const struct sl_config_backend *b)
{
	for (size_t i = 0; i < e->n_backends; i++)
		if (e->backend[i].conf.port == b->port &&
		    sl_addr_equal(&e->backend[i].conf.addr, &b->addr))
			return true;
	return false;
}

static bool name_taken(const struct sl_effective *e, const char *name)
{
	for (size_t i = 0; i < e->n_backends; i++)
		if (strcmp(e->backend[i].conf.name, name) == 0)
			return true;
	return false;
}

/* Adds a backend that layer `from` names, with what the other layers say of it. */
static void add_backend(const struct sl_layers *layers, struct sl_effective *e,
			const struct sl_config_backend *conf, enum sl_layer from,
			const struct sl_operator_backend *word)
{
	struct sl_effective_backend b = {
		.conf = *conf, .from = from, .weight_by = from, .share = SL_SHARE_WHOLE
	};

	if (listed(e, conf) || (word && word->removed))
		return;
	if (from == SL_LAYER_FILE)
		b.file_weight = conf->weight;
	if (conf->draining)
		b.held |= 1u << from;
	/* If a backend was added live, the file's weight wins as soon as the file has the
	 * backend. */
	if (word && word->weight &&
	    (word->added ? from != SL_LAYER_FILE : word->file_weight == b.file_weight)) {
		b.conf.weight = word->weight;
		b.weight_by = SL_LAYER_OPERATORS;
	}
	if (word && word->state == SL_OPERATOR_READY)
		b.held &= (uint8_t) ~(1u << SL_LAYER_FILE);
	b.maintenance = word && word->state == SL_OPERATOR_MAINTENANCE;
	if (word && (word->state == SL_OPERATOR_DRAINING || b.maintenance))
		b.held |= 1u << SL_LAYER_OPERATORS;
	add_health(layers, e, word, &b);
	e->backend[e->n_backends++] = b;
}

/* Whether a backend that was added live still fits the service. The file may have its name now, or
 * the service may have another mode. A server id that doesn't fit any more is removed. */
static bool fits(const struct sl_effective *e, const struct sl_config_service *conf,
		 struct sl_config_backend *b)
{
	char why[SL_ERROR_MAX];
	int err;

	if (sl_mode_check_addr(&e->conf, &b->addr, why) != 0 ||
	    sl_mode_check_port(&e->conf, b->port, why) != 0) {
		sl_log("service %s: added backend %s: %.*s", e->conf.name, b->name,
		       SL_ERROR_MAX / 2, why);
		return false;
	}
	if (name_taken(e, b->name)) {
		sl_log("service %s: added backend %s: the file has one of that name now",
		       e->conf.name, b->name);
		return false;
	}
	err = sl_server_id_check(&e->conf, &b->server_id, why);
	for (size_t i = 0; i < conf->n_backends && !err; i++)
		err = sl_server_id_clash(&b->server_id, conf->backend[i].name,
					 &conf->backend[i].server_id, why);
	if (err) {
		sl_log("service %s: added backend %s has no server_id any more: %.*s", e->conf.name,
		       b->name, SL_ERROR_MAX / 2, why);
		b->server_id = (struct sl_server_id){ 0 };
	}
	return true;
}

static int make_backends(const struct sl_layers *layers, struct sl_effective *e,
			 const struct sl_config_service *conf,
			 const struct sl_operator_service *words)
{
	size_t most = conf->n_backends + layers->n_sources + (words ? words->n_backends : 0);

	e->backend = calloc(most + 1, sizeof(*e->backend));
	if (!e->backend)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_backends; i++)
		add_backend(layers, e, &conf->backend[i], e->from,
			    sl_operator_backend_find(words, &conf->backend[i].addr,
						     conf->backend[i].port));
	for (size_t i = 0; i < layers->n_sources; i++) {
		const struct sl_source_backend *b = &layers->source[i];

		if (strcmp(b->service, e->conf.name) == 0 && !name_taken(e, b->conf.name))
			add_backend(layers, e, &b->conf, SL_LAYER_SOURCES,
				    sl_operator_backend_find(words, &b->conf.addr, b->conf.port));
	}
	for (size_t i = 0; words && i < words->n_backends; i++) {
		const struct sl_operator_backend *w = &words->backend[i];
		struct sl_config_backend b = { .addr = w->addr,
					       .port = w->port,
					       .weight = w->weight,
					       .server_id = w->server_id };

		memcpy(b.name, w->name, sizeof(b.name));
		if (w->added && !listed(e, &b) && fits(e, conf, &b))
			add_backend(layers, e, &b, SL_LAYER_OPERATORS, w);
	}
	return 0;
}

/* Services */

int sl_effective_make(const struct sl_layers *layers, const char *service, bool lenient,
		      struct sl_effective *out, char error[SL_ERROR_MAX])
{
	const struct sl_config_service *conf = in_file_named(layers->file, service);
	const struct sl_operator_service *words = sl_operators_find(layers->operators, service);
	struct sl_config_service live = { 0 };
	int err = 0;

	*out = (struct sl_effective){ .from = conf ? SL_LAYER_FILE : SL_LAYER_OPERATORS };
	if (conf ? words && words->removed : !words || !words->added)
		return -ENOENT;
	if (words && (!conf || json_object_size(words->fields))) {
		err = read_live(layers->file, conf, words, &live, error);
		if (err && err != -ENOMEM && conf && lenient) {
			sl_log("service %s: what was set live is left out: %s", service, error);
			err = 0;
		} else if (!err) {
			out->set = conf && any_holds(conf, words);
			live.setting = conf ? conf->setting : NULL;
			live.line = conf ? conf->line : 0;
			conf = &live;
		}
	}
	if (err)
		return err;
	out->conf = *conf;
	out->conf.backend = NULL;
	out->conf.n_backends = 0;
	err = make_backends(layers, out, conf, words);
	if (!err)
		err = sl_effective_limits_make(&out->conf, words, (uint64_t)time(NULL),
					       &out->limits);
	free(live.backend);
	if (err)
		sl_effective_free(out);
	return err;
}

void sl_effective_free(struct sl_effective *e)
{
	free(e->backend);
	free(e->limits.exception);
	*e = (struct sl_effective){ 0 };
}

const char **sl_effective_services(const struct sl_layers *layers, size_t *n)
{
	const struct sl_operators *o = layers->operators;
	const char **name = calloc(layers->file->n_services + o->n + 1, sizeof(*name));

	*n = 0;
	for (size_t i = 0; name && i < layers->file->n_services; i++) {
		const char *service = layers->file->service[i].name;
		const struct sl_operator_service *words = sl_operators_find(o, service);

		if (!words || !words->removed)
			name[(*n)++] = service;
	}
	for (size_t i = 0; name && i < o->n; i++)
		if (o->service[i].added && !in_file_named(layers->file, o->service[i].name))
			name[(*n)++] = o->service[i].name;
	return name;
}

static int copy_backends(struct sl_config_service *conf, const struct sl_effective *e)
{
	conf->backend = calloc(e->n_backends + 1, sizeof(*conf->backend));
	for (size_t i = 0; conf->backend && i < e->n_backends; i++) {
		conf->backend[i] = e->backend[i].conf;
		/* Health may find the same host up in one service and down in another. */
		conf->backend[i].draining = e->backend[i].held & ~(1u << SL_LAYER_HEALTH);
	}
	return conf->backend ? 0 : -ENOMEM;
}

/* Checks that these services can exist beside each other. Their backends are checked too if
 * `deeply`, and else those of affinity groups alone, since all services of a group must have the
 * same ones. */
static int check_together(const struct sl_layers *layers, const struct sl_effective *all, size_t n,
			  bool deeply, char error[SL_ERROR_MAX])
{
	struct sl_config_service *conf = calloc(n + 1, sizeof(*conf));
	int err = 0;

	if (!conf)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++) {
		conf[i] = all[i].conf;
		conf[i].n_backends = all[i].n_backends;
		conf[i].backend = NULL;
		if (deeply || *conf[i].affinity_group)
			err = copy_backends(&conf[i], &all[i]);
	}
	if (!err)
		err = sl_config_check_services(layers->file, conf, n, error);
	for (size_t i = 0; i < n; i++)
		free(conf[i].backend);
	free(conf);
	return err;
}

int sl_effective_make_all(const struct sl_layers *layers, struct sl_effective **all, size_t *n)
{
	char error[SL_ERROR_MAX] = "";
	size_t names;
	const char **name = sl_effective_services(layers, &names);
	int err = 0;

	*n = 0;
	*all = calloc(names + 1, sizeof(**all));
	if (!name || !*all)
		err = -ENOMEM;
	for (size_t i = 0; i < names && err != -ENOMEM; i++) {
		struct sl_effective *e = &(*all)[*n];

		err = sl_effective_make(layers, name[i], true, e, error);
		if (!err && e->from != SL_LAYER_FILE) {
			err = check_together(layers, *all, *n + 1, false, error);
			if (err)
				sl_effective_free(e);
		}
		if (!err)
			(*n)++;
		else if (err != -ENOMEM)
			sl_log("service %s is left out: %s", name[i], error);
	}
	free(name);
	if (err != -ENOMEM)
		return 0;
	sl_effective_free_all(*all, *n);
	*all = NULL;
	return -ENOMEM;
}

void sl_effective_free_all(struct sl_effective *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sl_effective_free(&all[i]);
	free(all);
}

int sl_effective_check(const struct sl_layers *layers, const char *service,
		       char error[SL_ERROR_MAX])
{
	struct sl_effective *all, own;
	size_t n, kept = 0;
	int err = sl_effective_make(layers, service, false, &own, error);

	if (err)
		return err;
	err = sl_effective_make_all(layers, &all, &n);
	if (err) {
		sl_effective_free(&own);
		return err;
	}
	/* Move it to the end, as if it were added last. */
	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i].conf.name, service) == 0)
			sl_effective_free(&all[i]);
		else
			all[kept++] = all[i];
	}
	all = realloc(all, (kept + 2) * sizeof(*all)) ?: all;
	all[kept++] = own;
	err = check_together(layers, all, kept, true, error);
	sl_effective_free_all(all, kept);
	return err;
}
