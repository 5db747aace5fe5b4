/* SPDX-License-Identifier: BSD-2-Clause */
#include "operators.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../model/limits.h"
#include "changes.h"
#include "fields.h"

static void *copy(const void *from, size_t size)
{
	void *to = from && size ? malloc(size) : NULL;

	return to ? memcpy(to, from, size) : NULL;
}

const char *sl_operator_state_text(enum sl_operator_state state)
{
	return state == SL_OPERATOR_READY      ? "ready"
	       : state == SL_OPERATOR_DRAINING ? "draining"
					       : "maintenance";
}

struct sl_operators *sl_operators_new(void)
{
	return calloc(1, sizeof(struct sl_operators));
}

static void clear_service(struct sl_operator_service *s)
{
	json_decref(s->fields);
	json_decref(s->file);
	free(s->backend);
	free(s->limit);
	free(s->drain);
}

void sl_operators_free(struct sl_operators *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n; i++)
		clear_service(&o->service[i]);
	free(o->service);
	free(o);
}

struct sl_operators *sl_operators_clone(const struct sl_operators *from)
{
	struct sl_operators *o = sl_operators_new();

	if (!o)
		return NULL;
	o->frozen = from->frozen;
	o->service = copy(from->service, from->n * sizeof(*from->service));
	if (from->n && !o->service)
		goto fail;
	for (; o->n < from->n; o->n++) {
		const struct sl_operator_service *is = &from->service[o->n];
		struct sl_operator_service *s = &o->service[o->n];

		s->fields = json_deep_copy(is->fields);
		s->file = json_deep_copy(is->file);
		s->backend = copy(is->backend, is->n_backends * sizeof(*is->backend));
		s->limit = copy(is->limit, is->n_limits * sizeof(*is->limit));
		s->drain = copy(is->drain, is->n_drains * sizeof(*is->drain));
		if ((is->fields && !s->fields) || (is->file && !s->file) ||
		    (is->n_backends && !s->backend) || (is->n_limits && !s->limit) ||
		    (is->n_drains && !s->drain)) {
			clear_service(s);
			goto fail;
		}
	}
	return o;
fail:
	sl_operators_free(o);
	return NULL;
}

/* Services and backends */

struct sl_operator_service *sl_operators_find(const struct sl_operators *o, const char *service)
{
	for (size_t i = 0; i < o->n; i++)
		if (strcmp(o->service[i].name, service) == 0)
			return &o->service[i];
	return NULL;
}

struct sl_operator_service *sl_operators_get(struct sl_operators *o, const char *service)
{
	struct sl_operator_service *s = sl_operators_find(o, service), *grown;

	if (s)
		return s;
	grown = realloc(o->service, (o->n + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	o->service = grown;
	s = &o->service[o->n++];
	*s = (struct sl_operator_service){ 0 };
	snprintf(s->name, sizeof(s->name), "%s", service);
	return s;
}

struct sl_operator_backend *sl_operator_backend_find(const struct sl_operator_service *s,
						     const union sl_addr *addr, uint16_t port)
{
	for (size_t i = 0; s && i < s->n_backends; i++)
		if (s->backend[i].port == port && sl_addr_equal(&s->backend[i].addr, addr))
			return &s->backend[i];
	return NULL;
}

struct sl_operator_backend *sl_operator_backend_get(struct sl_operator_service *s,
						    const union sl_addr *addr, uint16_t port)
{
	struct sl_operator_backend *b = sl_operator_backend_find(s, addr, port), *grown;

	if (b)
		return b;
	grown = realloc(s->backend, (s->n_backends + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	s->backend = grown;
	b = &s->backend[s->n_backends++];
	*b = (struct sl_operator_backend){ .addr = *addr, .port = port };
	return b;
}

void sl_operator_backend_remove(struct sl_operator_backend *b, bool cut)
{
	*b = (struct sl_operator_backend){
		.addr = b->addr, .port = b->port, .removed = true, .cut = cut
	};
}

/* Limits */

static uint8_t prefix_of(const struct sl_live_limit *l)
{
	return sl_addr_is4(&l->addr) ? l->limit.prefix4 : l->limit.prefix6;
}

bool sl_live_limit_same(const struct sl_live_limit *a, const struct sl_live_limit *b)
{
	if (a->exception != b->exception)
		return false;
	if (!a->exception)
		return sl_limit_same(&a->limit, &b->limit);
	return a->limit.scope == b->limit.scope && a->limit.unit == b->limit.unit &&
	       a->limit.direction == b->limit.direction && sl_addr_equal(&a->addr, &b->addr) &&
	       a->port == b->port && prefix_of(a) == prefix_of(b);
}

const char *sl_live_limit_subject(const struct sl_live_limit *l, char text[SL_SUBJECT_TEXT])
{
	char bare[SL_ENDPOINT_TEXT > SL_PREFIX_TEXT ? SL_ENDPOINT_TEXT : SL_PREFIX_TEXT];

	if (l->limit.scope == SL_SCOPE_FLOW)
		snprintf(text, SL_SUBJECT_TEXT, "flow %s",
			 sl_endpoint_format(&l->addr, l->port, bare));
	else
		snprintf(text, SL_SUBJECT_TEXT, "client %s",
			 sl_prefix_format(&l->addr, prefix_of(l), bare));
	return text;
}

bool sl_live_limit_belongs(const struct sl_config_limit *base, const struct sl_live_limit *l)
{
	return base->scope == l->limit.scope && base->unit == l->limit.unit &&
	       base->direction == l->limit.direction &&
	       (base->scope == SL_SCOPE_FLOW ||
		(sl_addr_is4(&l->addr) ? base->prefix4 == l->limit.prefix4
				       : base->prefix6 == l->limit.prefix6));
}

static size_t find_limit(const struct sl_operator_service *s, const struct sl_live_limit *l)
{
	size_t i = 0;

	while (i < s->n_limits && !sl_live_limit_same(&s->limit[i], l))
		i++;
	return i;
}

int sl_operator_limit_set(struct sl_operator_service *s, const struct sl_live_limit *l)
{
	size_t at = find_limit(s, l);
	struct sl_live_limit *grown;

	if (at == s->n_limits) {
		grown = realloc(s->limit, (s->n_limits + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->limit = grown;
		s->n_limits++;
	}
	s->limit[at] = *l;
	return 0;
}

void sl_operator_limit_drop(struct sl_operator_service *s, const struct sl_live_limit *l)
{
	size_t at = find_limit(s, l);

	if (at < s->n_limits)
		memmove(&s->limit[at], &s->limit[at + 1], (--s->n_limits - at) * sizeof(*s->limit));
}

/* When the file changes */

static const struct sl_config_service *service_named(const struct sl_config *file, const char *name)
{
	for (size_t i = 0; i < file->n_services; i++)
		if (strcmp(file->service[i].name, name) == 0)
			return &file->service[i];
	return NULL;
}

void sl_operators_rename(struct sl_operators *o, const struct sl_config *from,
			 const struct sl_config *to)
{
	char(*name)[SL_NAME_MAX] = calloc(o->n + 1, sizeof(*name));
	size_t kept = 0;

	/* Two services may exchange their names, so all new names are found before any is set. */
	for (size_t i = 0; name && i < o->n; i++) {
		const struct sl_config_service *was = service_named(from, o->service[i].name);

		for (size_t k = 0; was && k < to->n_services; k++)
			if (sl_config_same_service(&to->service[k], was))
				memcpy(name[i], to->service[k].name, SL_NAME_MAX);
	}
	for (size_t i = 0; name && i < o->n; i++)
		if (name[i][0])
			memcpy(o->service[i].name, name[i], SL_NAME_MAX);
	/* If a service takes the name of one that is gone, the overrides of the latter are
	 * dropped. */
	for (size_t i = 0; name && i < o->n; i++) {
		bool stale = false;

		for (size_t k = 0; k < o->n && !name[i][0]; k++)
			stale |= name[k][0] && strcmp(name[k], o->service[i].name) == 0;
		if (stale) {
			clear_service(&o->service[i]);
			continue;
		}
		memmove(name[kept], name[i], SL_NAME_MAX);
		o->service[kept++] = o->service[i];
	}
	if (name)
		o->n = kept;
	free(name);
}

static bool says_anything(const struct sl_operator_backend *b)
{
	return b->added || b->removed || b->weight || b->forced || b->state != SL_OPERATOR_SILENT;
}

/* Drops what the file has superseded, for a backend of a service that the file has. Returns false
 * if no override is left. */
static bool prune_backend(struct sl_operator_backend *b, const struct sl_config_backend *file)
{
	if (!file)
		return b->added;
	if (b->added || b->file_weight != file->weight)
		b->weight = b->file_weight = 0;
	if (b->state == SL_OPERATOR_READY && !file->draining)
		b->state = SL_OPERATOR_SILENT;
	b->added = false;
	return says_anything(b);
}

static bool prune_limit(const struct sl_live_limit *l, const struct sl_config_service *conf,
			uint64_t now)
{
	if (l->exception || !conf)
		return !l->until || l->until > now;
	for (size_t i = 0; i < conf->n_limits; i++) {
		const struct sl_config_limit *file = &conf->limit[i];

		if (sl_limit_same(file, &l->limit))
			return l->removed ||
			       (l->of_file && file->rate == l->file.rate &&
				file->burst == l->file.burst && file->action == l->file.action);
	}
	return !l->removed && !l->of_file;
}

/* Drops fields if the file's value has changed since they were set. */
static void prune_fields(struct sl_operator_service *s, const struct sl_config_service *conf)
{
	const char *field;
	json_t *value;
	void *next;

	json_object_foreach_safe(s->fields, next, field, value)
	{
		json_t *now = sl_fields_in_file(conf, field);

		if (!json_equal(now, json_object_get(s->file, field))) {
			json_object_del(s->file, field);
			json_object_del(s->fields, field);
		}
		json_decref(now);
	}
}

static bool prune_service(struct sl_operator_service *s, const struct sl_config *file, uint64_t now)
{
	const struct sl_config_service *conf = service_named(file, s->name);
	size_t kept = 0;

	if (conf && s->added) { /* the file has it now, and its fields win */
		s->added = false;
		json_decref(s->fields);
		s->fields = NULL;
	}
	if (!s->added) {
		if (conf)
			prune_fields(s, conf);
		s->removed &= conf != NULL;
	}
	for (size_t i = 0; i < s->n_backends; i++) {
		struct sl_operator_backend *b = &s->backend[i];

		/* If the file doesn't have the service, keep its overrides: it may come back. */
		if (conf ? prune_backend(b, sl_config_endpoint(conf, &b->addr, b->port))
			 : says_anything(b))
			s->backend[kept++] = *b;
	}
	s->n_backends = kept;
	kept = 0;
	for (size_t i = 0; i < s->n_limits; i++)
		if (prune_limit(&s->limit[i], conf, now))
			s->limit[kept++] = s->limit[i];
	s->n_limits = kept;
	sl_drains_prune(s, conf, now);
	return s->added || s->removed || json_object_size(s->fields) || s->n_backends ||
	       s->n_limits || s->n_drains;
}

void sl_operators_prune(struct sl_operators *o, const struct sl_config *file, uint64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < o->n; i++) {
		if (prune_service(&o->service[i], file, now))
			o->service[kept++] = o->service[i];
		else
			clear_service(&o->service[i]);
	}
	o->n = kept;
}

/* Differences */

static void describe_fields(const struct sl_operator_service *s, json_t *list)
{
	const char *field;
	json_t *value;

	json_object_foreach (s->fields, field, value) {
		const json_t *was = json_object_get(s->file, field);
		char *is = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		char *before = json_dumps(was, JSON_ENCODE_ANY | JSON_COMPACT);

		sl_note(list, "service %s: %s is %.160s live; the file says %.160s", s->name, field,
			is ? is : "?", !was || json_is_null(was) || !before ? "nothing" : before);
		free(is);
		free(before);
	}
}

static void describe_backend(const struct sl_operator_service *s,
			     const struct sl_operator_backend *b,
			     const struct sl_config_backend *file, json_t *list)
{
	char endpoint[SL_ENDPOINT_TEXT], addr[SL_ADDR_TEXT];
	const char *name = file ? file->name : b->name;

	if (b->forced)
		sl_note(list,
			"service %s: backend %s (%s) is forced to be ready, whatever health says; "
			"`backend ready` ends that",
			s->name, name, sl_endpoint_format(&b->addr, b->port, endpoint));
	if (b->added) {
		sl_note(list, "service %s: backend %s (%s) was added live with weight %u%s",
			s->name, name, sl_endpoint_format(&b->addr, b->port, endpoint), b->weight,
			b->state == SL_OPERATOR_DRAINING      ? ", and drains"
			: b->state == SL_OPERATOR_MAINTENANCE ? ", and is in maintenance"
							      : "");
		return;
	}
	if (!file)
		return;
	if (b->removed)
		sl_note(list,
			"service %s: backend %s (%s:%d) was removed live and stays removed; "
			"`backend "
			"add` takes it back",
			s->name, name, sl_addr_format(&b->addr, addr), b->port);
	if (b->weight)
		sl_note(list, "service %s: backend %s: weight is %u live; the file says %u",
			s->name, name, b->weight, file->weight);
	if (b->state != SL_OPERATOR_SILENT)
		sl_note(list, "service %s: backend %s is %s%s live; the file says %s", s->name,
			name, b->state == SL_OPERATOR_MAINTENANCE ? "in " : "",
			sl_operator_state_text(b->state), file->draining ? "draining" : "ready");
}

static void describe_drain(const struct sl_operator_service *s, const struct sl_drain *d,
			   json_t *list)
{
	uint64_t now = (uint64_t)time(NULL);
	char within[64] = "";

	if (d->end != SL_DRAIN_RUNS)
		return;
	if (d->deadline)
		snprintf(within, sizeof(within), " within %llu s",
			 (unsigned long long)(d->deadline > now ? d->deadline - now : 0));
	sl_note(list, "service %s: backend %s is to be %s%s", s->name, d->name,
		d->then_remove ? "drained and removed" : "drained", within);
}

static void describe_limit(const struct sl_operator_service *s, const struct sl_live_limit *l,
			   json_t *list)
{
	char name[SL_LIMIT_NAME], is[SL_LIMIT_TEXT], was[SL_LIMIT_TEXT], subject[SL_SUBJECT_TEXT];

	sl_limits_name(&l->limit, name);
	sl_limit_rate_text(l->limit.unit, l->limit.rate, is);
	if (l->exception)
		sl_note(list, "service %s: the rate of %s is %s live", s->name,
			sl_live_limit_subject(l, subject), is);
	else if (l->removed)
		sl_note(list,
			"service %s: limit %s was cleared live and stays cleared; `limit set` "
			"takes it "
			"back",
			s->name, name);
	else if (l->of_file)
		sl_note(list, "service %s: limit %s is %s live; the file says %s", s->name, name,
			is, sl_limit_rate_text(l->file.unit, l->file.rate, was));
	else
		sl_note(list, "service %s: limit %s was set live: %s", s->name, name, is);
}

void sl_operators_describe(const struct sl_operators *o, const struct sl_config *file, json_t *list)
{
	if (o->frozen)
		sl_note(list, "automation is frozen; `unfreeze` ends that");
	for (size_t i = 0; i < o->n; i++) {
		const struct sl_operator_service *s = &o->service[i];
		const struct sl_config_service *conf = service_named(file, s->name);

		if (s->added)
			sl_note(list, "service %s was added live", s->name);
		if (s->removed && conf) {
			sl_note(list,
				"service %s was removed live and stays removed; `service add` "
				"takes it "
				"back",
				s->name);
			continue;
		}
		if (!conf && !s->added)
			continue;
		if (!s->added)
			describe_fields(s, list);
		for (size_t k = 0; k < s->n_backends; k++) {
			const struct sl_operator_backend *b = &s->backend[k];

			describe_backend(s, b,
					 conf ? sl_config_endpoint(conf, &b->addr, b->port) : NULL,
					 list);
		}
		for (size_t k = 0; k < s->n_limits; k++)
			describe_limit(s, &s->limit[k], list);
		for (size_t k = 0; k < s->n_drains; k++)
			describe_drain(s, &s->drain[k], list);
	}
}
