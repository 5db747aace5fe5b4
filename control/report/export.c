/* SPDX-License-Identifier: BSD-2-Clause */
#include "export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libconfig.h>

#include "../desired/effective.h"
#include "../desired/fields.h"
#include "../desired/operators.h"

/* Like libconfig's own functions, the functions below return 0 (false) on failure. */
static bool set_text(config_setting_t *group, const char *name, const char *text)
{
	config_setting_t *to = config_setting_add(group, name, CONFIG_TYPE_STRING);

	return to && config_setting_set_string(to, text);
}

static bool set_number(config_setting_t *group, const char *name, uint32_t number)
{
	config_setting_t *to = config_setting_add(group, name, CONFIG_TYPE_INT);

	return to && config_setting_set_int(to, (int)number);
}

/* Replaces a member by an empty one. */
static config_setting_t *renew(config_setting_t *group, const char *name, int type)
{
	config_setting_remove(group, name);
	return config_setting_add(group, name, type);
}

static bool add_backend(config_setting_t *list, const struct sl_config_service *conf,
			const struct sl_effective_backend *b)
{
	config_setting_t *group = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
	char addr[SL_ADDR_TEXT], id[SL_SERVER_ID_TEXT];
	bool good = group && set_text(group, "name", b->conf.name) &&
		    set_text(group, "address", sl_addr_format(&b->conf.addr, addr));

	if (b->conf.port && b->conf.port != sl_config_backend_port(conf))
		good = good && set_number(group, "port", b->conf.port);
	good = good && set_number(group, "weight", b->conf.weight);
	/* The verdict of health isn't part of a configuration. */
	if (b->held & ((1u << SL_LAYER_FILE) | (1u << SL_LAYER_OPERATORS)))
		good = good && set_text(group, "state", "draining");
	if (b->conf.server_id.bytes)
		good = good &&
		       set_text(group, "server_id", sl_server_id_format(&b->conf.server_id, id));
	return good;
}

/* Formats a rate as the file has it: exact, without a space. */
static void rate_text(const struct sl_config_limit *l, char text[SL_LIMIT_TEXT])
{
	snprintf(text, SL_LIMIT_TEXT, "%llu%s", (unsigned long long)l->rate,
		 l->unit == SL_UNIT_BYTES     ? "bit"
		 : l->unit == SL_UNIT_PACKETS ? "pps"
					      : "cps");
}

static bool add_limit(config_setting_t *list, const struct sl_config_limit *l)
{
	config_setting_t *group = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
	char text[SL_LIMIT_TEXT];
	bool good = group && set_text(group, "per", sl_word_text(sl_limit_scopes, l->scope));

	rate_text(l, text);
	good = good && set_text(group, "rate", text);
	snprintf(text, sizeof(text), "%llu%s", (unsigned long long)l->burst,
		 l->unit == SL_UNIT_BYTES ? "b" : "");
	if (l->burst)
		good = good && set_text(group, "burst", text);
	if (l->unit != SL_UNIT_CONNECTIONS)
		good = good && set_text(group, "direction",
					sl_word_text(sl_limit_directions, l->direction));
	good = good && set_text(group, "action", sl_word_text(sl_limit_actions, l->action));
	if (l->scope == SL_SCOPE_CLIENT)
		good = good && set_number(group, "prefix4", l->prefix4) &&
		       set_number(group, "prefix6", l->prefix6);
	return good;
}

static bool add_service(config_setting_t *list, const struct sl_effective *e,
			const struct sl_operator_service *words, char error[SL_ERROR_MAX])
{
	config_setting_t *group = config_setting_add(list, NULL, CONFIG_TYPE_GROUP), *inside;
	const char *key;
	json_t *value;
	/* Fields that operators set aren't served if the file has superseded them or they are
	 * invalid. */
	bool live = words && (e->from != SL_LAYER_FILE || e->set);
	bool good = group != NULL, any = false;

	for (int i = 0; e->conf.setting && i < config_setting_length(e->conf.setting) && good; i++)
		good = sl_fields_copy(group, config_setting_get_elem(e->conf.setting,
								     (unsigned int)i)) == 0;
	json_object_foreach (live ? words->fields : NULL, key, value) {
		config_setting_remove(group, key);
		good = good && sl_fields_write(group, key, value, error) == 0;
	}
	for (uint32_t i = 0; i < e->limits.n; i++)
		any |= e->limits.limit[i].rate != 0;
	config_setting_remove(group, "limits");
	inside = any ? config_setting_add(group, "limits", CONFIG_TYPE_LIST) : NULL;
	for (uint32_t i = 0; i < e->limits.n && good && any; i++)
		if (e->limits.limit[i].rate)
			good = inside && add_limit(inside, &e->limits.limit[i]);
	inside = good ? renew(group, "backends", CONFIG_TYPE_LIST) : NULL;
	for (size_t i = 0; i < e->n_backends && good; i++)
		good = inside && add_backend(inside, &e->conf, &e->backend[i]);
	return good;
}

static bool add_services(config_t *tree, const struct sl_layers *layers, char error[SL_ERROR_MAX])
{
	config_setting_t *list = renew(config_root_setting(tree), "services", CONFIG_TYPE_LIST);
	struct sl_effective *all;
	size_t n;
	bool good = list && sl_effective_make_all(layers, &all, &n) == 0;

	if (!good)
		return false;
	for (size_t i = 0; i < n && good; i++)
		good = add_service(list, &all[i],
				   sl_operators_find(layers->operators, all[i].conf.name), error);
	sl_effective_free_all(all, n);
	return good;
}

/* Writes the own rates of clients and flows, as comments. */
static void add_exceptions(FILE *to, const struct sl_operators *o)
{
	uint64_t now = (uint64_t)time(NULL);
	bool any = false;

	for (size_t i = 0; i < o->n; i++) {
		for (size_t k = 0; k < o->service[i].n_limits; k++) {
			const struct sl_live_limit *l = &o->service[i].limit[k];
			char subject[SL_SUBJECT_TEXT], rate[SL_LIMIT_TEXT];

			if (!l->exception || (l->until && l->until <= now))
				continue;
			if (!any)
				fputs("\n# Rates of single clients and flows, which no file can "
				      "say:\n",
				      to);
			any = true;
			rate_text(&l->limit, rate);
			fprintf(to, "#     sluicectl limit set %s --%s --rate %s --direction %s",
				o->service[i].name, sl_live_limit_subject(l, subject), rate,
				sl_word_text(sl_limit_directions, l->limit.direction));
			if (l->limit.burst)
				fprintf(to, " --burst %llu%s", (unsigned long long)l->limit.burst,
					l->limit.unit == SL_UNIT_BYTES ? "b" : "");
			if (l->until)
				fprintf(to, " --for %llus", (unsigned long long)(l->until - now));
			fputc('\n', to);
		}
	}
}

/* Writes which backends are in maintenance, as comments: in a file they can only drain. */
static void add_maintenance(FILE *to, const struct sl_operators *o, const struct sl_model *m)
{
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		const struct sl_model_service *s = m->service[i];

		for (uint32_t k = 0; k < s->n; k++) {
			if (!s->backend[k].maintenance || s->backend[k].state != SL_STATE_DRAINING)
				continue;
			if (!any)
				fputs("\n# Backends in maintenance, which no file can say:\n", to);
			any = true;
			fprintf(to, "#     sluicectl backend maintenance %s %s\n", s->conf.name,
				s->backend[k].name);
		}
	}
	if (o->frozen)
		fputs("\n# Automation is frozen:\n#     sluicectl freeze\n", to);
}

char *sl_report_export(const struct sl_control *c, char error[SL_ERROR_MAX])
{
	struct sl_layers layers = { .file = &c->config, .operators = c->operators };
	char *text = NULL;
	size_t size = 0;
	config_t tree;
	FILE *to = open_memstream(&text, &size);
	bool good = to && c->config.tree;

	snprintf(error, SL_ERROR_MAX, "out of memory");
	config_init(&tree);
	if (good) {
		const config_setting_t *from = config_root_setting(c->config.tree);

		for (int i = 0; i < config_setting_length(from) && good; i++)
			good = sl_fields_copy(config_root_setting(&tree),
					      config_setting_get_elem(from, (unsigned int)i)) == 0;
	}
	good = good && add_services(&tree, &layers, error);
	if (good) {
		fprintf(to, "# The effective configuration of instance %s, as served.\n",
			c->config.instance);
		config_write(&tree, to);
		add_exceptions(to, c->operators);
		add_maintenance(to, c->operators, c->model);
	}
	config_destroy(&tree);
	if (to)
		good = fclose(to) == 0 && good;
	if (good)
		return text;
	free(text);
	return NULL;
}
