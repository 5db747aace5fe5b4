/* SPDX-License-Identifier: BSD-2-Clause */
#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../desired/apply.h"
#include "../desired/apply_limits.h"
#include "../desired/overrides.h"
#include "../model/shared_endpoints.h"
#include "../tables/publish.h"

static void say(json_t *list, json_t *sentence)
{
	json_array_append_new(list, sentence);
}

/* What is fixed while the instance lives. */
static int check_same_instance(const struct sl_config *old, const struct sl_config *new,
			       char error[SL_ERROR_MAX])
{
	const struct sl_config_dataplane *a = &old->dataplane, *b = &new->dataplane;
	const char *what = NULL;

	if (strcmp(old->instance, new->instance) != 0)
		what = "instance";
	else if (memcmp(&old->capacity, &new->capacity, sizeof(old->capacity)) != 0)
		what = "dataplane.capacity";
	else if (memcmp(old->row_key, new->row_key, sizeof(old->row_key)) != 0)
		what = "group";
	else if (a->n_ports != b->n_ports || a->tables != b->tables)
		what = "dataplane.ports";
	for (size_t i = 0; i < a->n_ports && !what; i++)
		if (strcmp(a->port[i].name, b->port[i].name) != 0 ||
		    strcmp(a->port[i].device, b->port[i].device) != 0 ||
		    a->port[i].queues != b->port[i].queues)
			what = "dataplane.ports";
	if (!what)
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "%s: %s can't change while the instance lives; stop both processes and start "
		 "with `sluice-control --fresh`",
		 new->file, what);
	return -EINVAL;
}

/* What is read when a process starts, and never again. */
static void note_later(const struct sl_config *old, const struct sl_config *new, json_t *changes)
{
	const struct sl_config_dataplane *a = &old->dataplane, *b = &new->dataplane;
	const struct {
		const char *field;
		bool differs;
	} later[] = {
		{ "dataplane.cores",
		  a->n_cores == b->n_cores &&
			  memcmp(a->cores, b->cores, a->n_cores * sizeof(a->cores[0])) != 0 },
		{ "dataplane.main_core", a->main_core != b->main_core },
		{ "dataplane.memory", a->memory_mb != b->memory_mb },
		{ "dataplane.huge_pages", a->huge_pages != b->huge_pages },
		{ "dataplane.idle", a->idle != b->idle },
		{ "run_dir", strcmp(old->run_dir, new->run_dir) != 0 },
		{ "state_dir", strcmp(old->state_dir, new->state_dir) != 0 },
		{ "bpf_dir", strcmp(old->bpf_dir, new->bpf_dir) != 0 },
		{ "huge_dir", strcmp(old->huge_dir, new->huge_dir) != 0 },
	};

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (later[i].differs)
			say(changes,
			    json_sprintf("%s: takes effect at the next start", later[i].field));
	if (a->n_cores != b->n_cores)
		say(changes,
		    json_string("dataplane.cores: another number of them takes effect when "
				"the instance is made anew, with `sluice-control "
				"--fresh`"));
}

void sl_reload_removed(const struct sl_control *c, json_t *list)
{
	for (size_t i = 0; i < c->model->n; i++) {
		const char *service = c->model->service[i]->conf.name;
		json_t *removed = sl_overrides_removed(c, service), *b;
		size_t k;

		json_array_foreach (removed, k, b)
			say(list,
			    json_sprintf(
				    "service %s: backend %s (%s:%d) was removed live and stays "
				    "removed; `backend add` takes it back",
				    service, json_string_value(json_object_get(b, "name")),
				    json_string_value(json_object_get(b, "address")),
				    (int)json_integer_value(json_object_get(b, "port"))));
		json_decref(removed);
		sl_limits_removed(c, c->model->service[i], list);
	}
}

static void swap_direct_from(struct sl_config *a, struct sl_config *b)
{
	struct sl_config_prefix prefix[SL_DIRECT_FROM_MAX];
	size_t n = a->n_direct_from;

	memcpy(prefix, a->direct_from, sizeof(prefix));
	memcpy(a->direct_from, b->direct_from, sizeof(prefix));
	memcpy(b->direct_from, prefix, sizeof(prefix));
	a->n_direct_from = b->n_direct_from;
	b->n_direct_from = n;
}

static void swap_macs(struct sl_config_dataplane *a, struct sl_config_dataplane *b)
{
	for (size_t i = 0; i < a->n_ports; i++) {
		struct sl_config_port port = a->port[i];

		memcpy(a->port[i].macs, b->port[i].macs, sizeof(port.macs));
		a->port[i].n_macs = b->port[i].n_macs;
		memcpy(b->port[i].macs, port.macs, sizeof(port.macs));
		b->port[i].n_macs = port.n_macs;
	}
}

/* The network's mirror points into c->config, so it is told. */
static void swap_network(struct sl_control *c, struct sl_config *config)
{
	struct sl_config_next_hop *hop = c->config.next_hop;
	size_t n = c->config.n_next_hops;

	swap_direct_from(&c->config, config);
	swap_macs(&c->config.dataplane, &config->dataplane);
	c->config.next_hop = config->next_hop;
	c->config.n_next_hops = config->n_next_hops;
	config->next_hop = hop;
	config->n_next_hops = n;
	sl_net_configured(c->net);
}

static bool same_next_hops(const struct sl_config *a, const struct sl_config *b)
{
	bool same = a->n_next_hops == b->n_next_hops;

	for (size_t i = 0; i < a->n_next_hops && same; i++) {
		const struct sl_config_next_hop *x = &a->next_hop[i], *y = &b->next_hop[i];

		same = sl_addr_equal(&x->prefix, &y->prefix) && x->length == y->length &&
		       x->port == y->port && x->mtu == y->mtu &&
		       memcmp(x->mac, y->mac, sizeof(x->mac)) == 0;
	}
	return same;
}

static bool same_direct_from(const struct sl_config *a, const struct sl_config *b)
{
	return a->n_direct_from == b->n_direct_from &&
	       memcmp(a->direct_from, b->direct_from, sizeof(a->direct_from)) == 0;
}

static bool same_macs(const struct sl_config_dataplane *a, const struct sl_config_dataplane *b)
{
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->port[i].n_macs != b->port[i].n_macs ||
		    memcmp(a->port[i].macs, b->port[i].macs, sizeof(a->port[i].macs)) != 0)
			return false;
	return true;
}

static void swap_services(struct sl_control *c, struct sl_config *config)
{
	struct sl_config_service *service = c->config.service;
	size_t n = c->config.n_services;

	c->config.service = config->service;
	c->config.n_services = config->n_services;
	config->service = service;
	config->n_services = n;
}

/* What the change made shared, or made wait. */
static void note_shared(const struct sl_control *c, const json_t *before, json_t *changes)
{
	json_t *now = json_array(), *text;
	size_t i, k;

	sl_share_list(c->model, now);
	json_array_foreach (now, i, text) {
		for (k = 0; k < json_array_size(before); k++)
			if (json_equal(json_array_get(before, k), text))
				break;
		if (k == json_array_size(before))
			json_array_append(changes, text);
	}
	json_decref(now);
}

/* Publishes the difference to `config`, if there is one. */
static int publish_difference(struct sl_control *c, const struct sl_config *config, json_t *changes,
			      char error[SL_ERROR_MAX])
{
	enum sl_engine_wish engine = c->config.dataplane.engine;
	struct sl_model *next = sl_model_clone(c->model);
	json_t *shared = json_array();
	struct sl_published out;
	int err = next && shared ? sl_apply(c, config, next, changes, error) : -ENOMEM;

	if (err) {
		sl_model_free(next, 0);
		goto out;
	}
	if (engine != config->dataplane.engine)
		say(changes, json_string("dataplane.engine changed"));
	if (!sl_apply_network(c, next) && json_array_size(changes) == 0) {
		sl_model_free(next, 0);
		goto out;
	}
	sl_share_list(c->model, shared);
	c->config.dataplane.engine = config->dataplane.engine;
	err = sl_publish(c, next, &out, error);
	if (err)
		c->config.dataplane.engine = engine;
	else
		note_shared(c, shared, changes);
out:
	json_decref(shared);
	return err;
}

static void save_overrides(struct sl_control *c, const json_t *before)
{
	char error[SL_ERROR_MAX];

	sl_overrides_prune(c);
	if (!json_equal(c->overrides, before) && sl_overrides_save(c, error) != 0)
		sl_log("%s", error);
}

int sl_reload(struct sl_control *c, json_t *changes, char error[SL_ERROR_MAX])
{
	json_t *before = c->overrides, *renamed = NULL;
	struct sl_config config;
	bool hops, exempt, macs;
	int err = sl_config_read(c->file, &config, error);

	if (err)
		return -EINVAL;
	err = check_same_instance(&c->config, &config, error);
	if (err)
		goto out;
	renamed = sl_overrides_renamed(c, &config);
	if (!renamed) {
		err = -ENOMEM;
		goto out;
	}
	c->overrides = renamed;
	hops = !same_next_hops(&c->config, &config);
	exempt = !same_direct_from(&c->config, &config);
	macs = !same_macs(&c->config.dataplane, &config.dataplane);
	if (hops)
		say(changes, json_string("next_hops changed"));
	if (exempt)
		say(changes, json_string("direct_from changed"));
	if (macs)
		say(changes, json_string("dataplane.ports: macs changed"));
	if (hops || exempt || macs)
		swap_network(c, &config);
	err = publish_difference(c, &config, changes, error);
	if (err) {
		if (hops || exempt || macs)
			swap_network(c, &config);
		c->overrides = before;
		json_decref(renamed);
		goto out;
	}
	swap_services(c, &config);
	save_overrides(c, before);
	json_decref(before);
	note_later(&c->config, &config, changes);
	sl_reload_removed(c, changes);
out:
	sl_config_free(&config);
	return err;
}
