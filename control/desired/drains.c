/* SPDX-License-Identifier: BSD-2-Clause */
#include "drains.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../config/endpoint.h"
#include "operators.h"

enum { REMEMBERED_S = 3600 };

const char *sl_drain_end_text(enum sl_drain_end end)
{
	static const char *const texts[] = {
		[SL_DRAIN_RUNS] = "running",	[SL_DRAIN_DRAINED] = "drained",
		[SL_DRAIN_REMOVED] = "removed", [SL_DRAIN_EXPIRED] = "expired",
		[SL_DRAIN_CUT] = "cut",
	};

	return texts[end];
}

uint64_t sl_drain_took(const struct sl_drain *d)
{
	bool late = d->end == SL_DRAIN_EXPIRED || d->end == SL_DRAIN_CUT;

	return (late ? d->deadline : d->ended) - d->began;
}

bool sl_drain_is_forgotten(const struct sl_drain *d, uint64_t now)
{
	return d->end != SL_DRAIN_RUNS && now >= d->ended + REMEMBERED_S;
}

struct sl_drain *sl_drain_find(const struct sl_operator_service *s, const union sl_addr *addr,
			       uint16_t port)
{
	for (size_t i = 0; s && i < s->n_drains; i++)
		if (s->drain[i].port == port && sl_addr_equal(&s->drain[i].addr, addr))
			return &s->drain[i];
	return NULL;
}

int sl_drain_set(struct sl_operator_service *s, const struct sl_drain *d)
{
	struct sl_drain *same = sl_drain_find(s, &d->addr, d->port), *grown;

	if (!same) {
		grown = realloc(s->drain, (s->n_drains + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->drain = grown;
		same = &s->drain[s->n_drains++];
	}
	*same = *d;
	return 0;
}

void sl_drain_drop(struct sl_operator_service *s, const union sl_addr *addr, uint16_t port)
{
	struct sl_drain *d = sl_drain_find(s, addr, port);

	if (d)
		*d = s->drain[--s->n_drains];
}

static bool is_drained(const struct sl_operator_service *s, const struct sl_config_service *conf,
		       const struct sl_drain *d)
{
	const struct sl_operator_backend *w = sl_operator_backend_find(s, &d->addr, d->port);
	const struct sl_config_backend *file =
		conf ? sl_config_endpoint(conf, &d->addr, d->port) : NULL;

	if (conf && !file && !(w && w->added))
		return false;
	return w && w->state != SL_OPERATOR_SILENT ? w->state == SL_OPERATOR_DRAINING
						   : file && file->draining;
}

void sl_drains_prune(struct sl_operator_service *s, const struct sl_config_service *conf,
		     uint64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_drains; i++) {
		const struct sl_drain *d = &s->drain[i];

		if (d->end == SL_DRAIN_RUNS ? is_drained(s, conf, d)
					    : !sl_drain_is_forgotten(d, now))
			s->drain[kept++] = *d;
	}
	s->n_drains = kept;
}

/* On disk */

json_t *sl_drains_write(const struct sl_operator_service *s)
{
	char endpoint[SL_ENDPOINT_TEXT];
	json_t *json = json_object();

	for (size_t i = 0; i < s->n_drains; i++) {
		const struct sl_drain *d = &s->drain[i];
		json_t *one =
			json_pack("{s:s, s:I}", "name", d->name, "began", (json_int_t)d->began);

		if (d->deadline)
			json_object_set_new(one, "deadline", json_integer((json_int_t)d->deadline));
		if (d->then_remove)
			json_object_set_new(one, "then_remove", json_true());
		if (d->end != SL_DRAIN_RUNS) {
			json_object_set_new(one, "end", json_string(sl_drain_end_text(d->end)));
			json_object_set_new(one, "ended", json_integer((json_int_t)d->ended));
			json_object_set_new(one, "left", json_integer(d->left));
		}
		json_object_set_new(json, sl_endpoint_format(&d->addr, d->port, endpoint), one);
	}
	return json;
}

static int wrong(const char *endpoint, const char *what, char why[SL_ERROR_MAX])
{
	snprintf(why, SL_ERROR_MAX, "%.64s: %.64s", endpoint, what);
	return -EINVAL;
}

static int read_end(const char *text, enum sl_drain_end *end)
{
	for (*end = SL_DRAIN_DRAINED; *end <= SL_DRAIN_CUT; (*end)++)
		if (strcmp(text, sl_drain_end_text(*end)) == 0)
			return 0;
	return -EINVAL;
}

static int read_one(const char *endpoint, const json_t *json, struct sl_drain *d,
		    char why[SL_ERROR_MAX])
{
	const char *key, *text;
	const json_t *value;
	char what[SL_ERROR_MAX];

	*d = (struct sl_drain){ 0 };
	if (sl_backend_parse(endpoint, &d->addr, &d->port, what) != 0)
		return wrong(endpoint, what, why);
	if (!json_is_object(json))
		return wrong(endpoint, "must be an object", why);
	json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
		json_int_t number = json_integer_value(value);

		text = json_string_value(value);
		if (strcmp(key, "then_remove") == 0 && json_is_true(value))
			d->then_remove = true;
		else if (strcmp(key, "began") == 0 && number > 0)
			d->began = (uint64_t)number;
		else if (strcmp(key, "deadline") == 0 && number > 0)
			d->deadline = (uint64_t)number;
		else if (strcmp(key, "ended") == 0 && number > 0)
			d->ended = (uint64_t)number;
		else if (strcmp(key, "left") == 0 && json_is_integer(value) && number >= 0 &&
			 number <= UINT32_MAX)
			d->left = (uint32_t)number;
		else if (!(strcmp(key, "name") == 0 && text &&
			   sl_config_parse_name(text, d->name, what) == 0) &&
			 !(strcmp(key, "end") == 0 && text && read_end(text, &d->end) == 0))
			return wrong(endpoint, key, why);
	}
	if (!d->name[0] || !d->began || !d->ended != (d->end == SL_DRAIN_RUNS))
		return wrong(endpoint, "without name, began, or one of end and ended", why);
	return 0;
}

int sl_drains_read(struct sl_operator_service *s, const json_t *json, char why[SL_ERROR_MAX])
{
	const char *endpoint;
	struct sl_drain d;
	json_t *one;
	int err = 0;

	if (!json_is_object(json)) {
		snprintf(why, SL_ERROR_MAX, "must be an object");
		return -EINVAL;
	}
	json_object_foreach ((json_t *)(uintptr_t)json, endpoint, one) {
		if (!err)
			err = read_one(endpoint, one, &d, why);
		if (!err)
			err = sl_drain_set(s, &d);
	}
	return err;
}
