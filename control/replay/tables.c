/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../desired/apply.h"
#include "../desired/operators.h"
#include "../tables/adopt.h"
#include "../tables/instance.h"
#include "../tables/publish.h"
#include "memory.h"

/* Functions that control's code expects of its program. */

/* Room for the routes that mirror.c makes up, whatever the file provides for. */
static uint32_t routes_needed(const struct sl_config *config, size_t n_local)
{
	size_t n = config->n_next_hops + n_local + 2;

	for (size_t i = 0; i < config->n_services; i++)
		n += config->service[i].n_backends;
	return n > config->capacity.routes ? (uint32_t)n : config->capacity.routes;
}

static int make(struct sl_control *c, bool bpf, char error[SL_ERROR_MAX])
{
	const struct sl_capacity capacity = { .services = c->config.capacity.services,
					      .backends = c->config.capacity.backends,
					      .slots = c->config.capacity.slots,
					      .flows = c->config.capacity.flows,
					      .routes = c->config.capacity.routes,
					      .limits = c->config.capacity.limits,
					      .exceptions = c->config.capacity.exceptions,
					      .clients = c->config.capacity.clients,
					      .addresses = c->config.capacity.addresses,
					      .workers = 1,
					      .cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF) };
	uint32_t count[SL_ARRAY_COUNT];
	struct sl_root *root;
	int err;

	sl_store_size(&capacity, count);
	err = sl_memory_make(&c->store, count, bpf, error);
	if (err)
		return err;
	root = sl_store_root(&c->store);
	memcpy(root->slot_key, c->config.slot_key, sizeof(root->slot_key));
	/* Nobody attacks these buckets, so the key may be fixed. */
	root->flow_key[0] = 0x9e3779b97f4a7c15;
	root->flow_key[1] = 0xd1b54a32d192ed03;
	root->bank[0].seed = root->bank[1].seed = 0x8cb92ba72f3d8dd7;
	if (sl_instance_books(c) == 0)
		return 0;
	snprintf(error, SL_ERROR_MAX, "out of memory");
	return -ENOMEM;
}

static bool holds(const struct sl_local *local, const struct sl_route *r)
{
	union sl_addr prefix = r->prefix;

	for (uint32_t i = local->length; i < 128; i++)
		prefix.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return r->length >= local->length && sl_addr_equal(&prefix, &local->prefix);
}

static int longest_first(const void *a, const void *b)
{
	const struct sl_route *x = a, *y = b;

	if (x->length != y->length)
		return x->length > y->length ? -1 : 1;
	return memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

/* As the kernel's table `local` does, it takes precedence over longer prefixes. */
static int add_local(struct sl_model *m, const struct sl_local *local)
{
	struct sl_route *route = calloc(m->n_routes + 1, sizeof(*route));
	size_t n = 0;

	if (!route)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_routes; i++)
		if (!holds(local, &m->route[i]))
			route[n++] = m->route[i];
	route[n++] = (struct sl_route){ .prefix = local->prefix,
					.length = local->length,
					.kind = SL_ROUTE_LOCAL };
	qsort(route, n, sizeof(*route), longest_first);
	free(m->route);
	m->route = route;
	m->n_routes = n;
	return 0;
}

static void no_change(void *context)
{
	(void)context;
}

static int publish(struct sl_control *c, const struct sl_local *local, size_t n_local,
		   char error[SL_ERROR_MAX])
{
	static const struct sl_operators nobody;
	struct sl_layers layers = { .file = &c->config, .operators = &nobody };
	struct sl_published published;
	struct sl_model *next;
	int err = sl_adopt(c, error);

	if (err)
		return err;
	next = sl_model_clone(c->model);
	if (!next)
		return -ENOMEM;
	err = sl_apply(c, &layers, next, NULL, error);
	if (!err)
		sl_apply_network(c, next);
	for (size_t i = 0; i < n_local && !err; i++)
		err = add_local(next, &local[i]);
	if (!err)
		return sl_publish(c, next, &published, error);
	sl_model_free(next, 0);
	return err;
}

int sl_replay_tables_open(struct sl_control *c, const struct sl_local *local, size_t n_local,
			  bool bpf, char error[SL_ERROR_MAX])
{
	int err;

	snprintf(error, SL_ERROR_MAX, "out of memory");
	c->config.capacity.routes = routes_needed(&c->config, n_local);
	if (bpf)
		c->config.dataplane.engine = SL_CONFIG_ENGINE_XDP;
	c->base = event_base_new(); /* the network's interface requires it; never called */
	if (!c->base)
		return -ENOMEM;
	err = make(c, bpf, error);
	if (!err)
		err = sl_net_open(&c->net, c->base, &c->config, no_change, NULL, error);
	if (!err)
		err = publish(c, local, n_local, error);
	if (err)
		sl_replay_tables_close(c);
	return err;
}

void sl_replay_tables_close(struct sl_control *c)
{
	sl_net_close(c->net);
	sl_instance_close(c);
	if (c->base)
		event_base_free(c->base);
	c->net = NULL;
	c->base = NULL;
}
