/* SPDX-License-Identifier: BSD-2-Clause */
#include "problems.h"
#include "../../config/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "../../config/endpoint.h"
#include "../desired/operators.h"
#include "../model/shared_endpoints.h"
#include "../tables/liveness.h"
#include "../tables/nat_pools.h"
#include "../tables/partial.h"
#include "../tables/publish.h"
#include "../tables/queues.h"
#include "hairpins.h"
#include "health.h"

enum {
	AT_ONCE = 32,  /* the most of one kind: a network that is down shouldn't fill the log */
	POOL_FULL = 80 /* percent */
};

__attribute__((format(printf, 2, 3))) static void problem(json_t *list, const char *format, ...)
{
	char text[SL_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(list, json_string(text));
}

/* Backends */

static bool in_full_table(const struct sl_control *c, const struct sl_model_backend *b)
{
	static const union sl_addr none;
	const union sl_addr *hop =
		sl_addr_equal(&b->hop.gateway, &none) ? &b->addr : &b->hop.gateway;

	return sl_net_neighbours_full(c->net, !sl_addr_is4(hop));
}

static const char *unreachable(const struct sl_control *c, const struct sl_model_backend *b)
{
	switch (b->hop.kind) {
	case SL_ROUTE_VIA:
		return NULL;
	case SL_ROUTE_LOCAL:
		return "the address is the gateway's own";
	case SL_ROUTE_ASK:
		if (in_full_table(c, b))
			return "the kernel's neighbour table has no room for its next hop";
		return b->known ? "its next hop's MAC address isn't known any more: is it up, does "
				  "it answer ARP?"
				: "its next hop's MAC address isn't known yet";
	default:
		return "no route through a port of the dataplane leads there, see `ip route get`";
	}
}

static void backend_problem(const struct sl_control *c, const struct sl_model_service *s,
			    const struct sl_model_backend *b, const char *why, json_t *list)
{
	const struct sl_config_backend *file =
		sl_config_find_backend(&c->config, s->conf.name, &b->addr, b->port);
	char endpoint[SL_ENDPOINT_TEXT], place[SL_PATH_MAX + 32] = "";

	if (file)
		snprintf(place, sizeof(place), "%s:%d: ", c->file, file->line);
	problem(list, "%sservice %s: backend %s (%s): %s", place, s->conf.name, b->name,
		sl_endpoint_format(&b->addr, b->port, endpoint), why);
}

/* Appends the backends that can't be reached. `lasting` leaves out those whose MAC address is still
 * being resolved. */
static void backend_problems(const struct sl_control *c, bool lasting, json_t *list)
{
	size_t more = 0, n = 0;

	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];

		for (uint32_t k = 0; k < s->n; k++) {
			const struct sl_model_backend *b = &s->backend[k];
			const char *why = unreachable(c, b);

			if (!why || (lasting && b->hop.kind == SL_ROUTE_ASK) ||
			    (b->state != SL_STATE_READY && b->state != SL_STATE_DRAINING))
				continue;
			if (n++ < AT_ONCE)
				backend_problem(c, s, b, why, list);
			else
				more++;
		}
	}
	if (more)
		problem(list, "%zu more backends can't be reached, see `sluicectl backend list`",
			more);
}

/* Describes a full neighbour table. Its limit is the host's, in whatever network namespace this
 * process runs. */
static void full_table(bool is_ipv6, char text[SL_ERROR_MAX])
{
	const char *name = is_ipv6 ? "ipv6" : "ipv4";
	char path[64], now[32] = "";
	unsigned limit;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/neigh/default/gc_thresh3", name);
	f = fopen(path, "re");
	if (f && fscanf(f, "%u", &limit) == 1)
		snprintf(now, sizeof(now), ", now %u,", limit);
	if (f)
		fclose(f);
	snprintf(text, SL_ERROR_MAX,
		 "the kernel's table of %s neighbours is full, so that hosts on the links stay "
		 "unknown: raise the host's sysctl net.%s.neigh.default.gc_thresh3%s above their "
		 "number, and gc_thresh1 and gc_thresh2 with it",
		 is_ipv6 ? "IPv6" : "IPv4", name, now);
}

/* Appends VIPs that the gateway has as its own addresses. Such an address was added after the
 * service, and a service that runs isn't stopped for it. */
static void vip_problems(const struct sl_control *c, json_t *list)
{
	char text[SL_VIP_TEXT];

	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_config_service *s = &c->model->service[i]->conf;

		if (!s->shared_vip && sl_net_own_in(c->net, &s->vip, 128u - s->vip_host_bits))
			problem(list,
				"service %s: its VIP %s %s an address of the gateway itself: what "
				"is for no service of it (ssh, ping) doesn't reach the kernel, "
				"unless the service has shared_vip = true",
				s->name, sl_vip_format(s, text), s->vip_host_bits ? "has" : "is");
	}
}

static void table_problems(const struct sl_control *c, json_t *list)
{
	char text[SL_ERROR_MAX];

	for (int is_ipv6 = 0; is_ipv6 <= 1; is_ipv6++) {
		if (!sl_net_neighbours_full(c->net, is_ipv6))
			continue;
		full_table(is_ipv6, text);
		problem(list, "%s", text);
	}
}

/* Ports and the dataplane */

static void port_problems(const struct sl_control *c, json_t *list)
{
	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		const struct sl_config_port *port = &c->config.dataplane.port[i];
		const struct sl_net_port *p = sl_net_port(c->net, i);

		if (port->kind != SL_PORT_KERNEL)
			continue;
		if (!p->present)
			problem(list, "port %s: there is no interface %s", port->name,
				port->device);
		else if (!p->up)
			problem(list, "port %s: interface %s is down", port->name, port->device);
		if (p->present && strcmp(p->name, port->device) != 0)
			problem(list,
				"%s:%d: port %s: interface %s is called %s now, and serves on by "
				"its index: name it so in the file before the next start, or "
				"rename "
				"it back (`ip link set %s name %s`)",
				c->file, port->line, port->name, port->device, p->name, p->name,
				port->device);
		if (p->present && sl_partial_count(c, i).left)
			problem(list,
				"port %s: hosts there leave TCP and UDP checksums to their "
				"interface, which generic XDP can't complete: of what leaves on a "
				"wire they are wrong (%llu packets came in so); run `ethtool -K "
				"DEVICE tx off` on these hosts",
				port->name, (unsigned long long)sl_partial_count(c, i).left);
		if (p->present && c->unattached[i])
			problem(list, "port %s has no XDP program: %s", port->name,
				c->unattached[i]);
		if (sl_queues_stranded(c, i))
			problem(list,
				"port %s is another interface now: restart sluice-dataplane%s",
				port->name,
				c->xdp_alone ? "; until then XDP serves all ports alone" : "");
	}
	if (c->unpinned[0])
		problem(list, "%s", c->unpinned);
}

/* Whether the dataplane that runs can't serve the live generation. */
static bool rejects(const struct sl_control *c)
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	uint64_t live = sl_store_root(&c->store)->generation;

	return sl_dataplane_alive(c) && __atomic_load_n(&e->accepted, __ATOMIC_ACQUIRE) == live &&
	       e->answer != SL_ACCEPT_OK;
}

static void dataplane_problems(const struct sl_control *c, json_t *list)
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	enum sl_config_engine engine = c->config.dataplane.engine;
	uint32_t workers = sl_workers(c);
	char lacks[SL_ERROR_MAX];
	int err;

	if (!sl_dataplane_alive(c) && engine != SL_CONFIG_ENGINE_XDP)
		problem(list, engine == SL_CONFIG_ENGINE_DPDK
				      ? "no dataplane runs: packets to VIPs are dropped (no_worker)"
				      : "no dataplane runs: XDP serves kernel interfaces alone");
	/* Why no dataplane can start. port_problems() reports missing interfaces. */
	err = sl_dataplane_alive(c) ? 0 : sl_machine_check(&c->config, lacks);
	if (err && err != -ENODEV)
		problem(list, "%s", lacks);
	for (uint32_t i = 0; i < workers; i++)
		if (!sl_worker_alive(c, i))
			problem(list, "worker %u gives no sign of life", i);
	if (rejects(c))
		problem(list, "the dataplane refuses the live generation at record %u: %s", e->at,
			sl_accept_text(e->answer));
}

static void hairpin_problems(const struct sl_control *c, json_t *list)
{
	for (size_t i = 0; i < c->model->n; i++)
		if (sl_hairpins_refused(c, c->model->service[i]->id))
			problem(list,
				"service %s: backends, or hosts on their link, call it and are "
				"refused (hairpin), since they would be answered past the gateway: "
				"give them a service of mode = \"fullnat\", or set hairpin = "
				"\"forward\" if backends answer them through the gateway",
				c->model->service[i]->conf.name);
}

static void pool_problems(const struct sl_control *c, json_t *list)
{
	for (size_t i = 0; i < c->config.n_pools; i++) {
		const struct sl_config_snat_pool *pool = &c->config.pool[i];
		struct sl_nat_pools_use use = sl_nat_pools_use(c, pool);

		if (use.used * 100 >= use.ports * POOL_FULL)
			problem(list,
				"pool %s: %llu of %llu ports are in use: give it more addresses",
				pool->name, (unsigned long long)use.used,
				(unsigned long long)use.ports);
	}
}

json_t *sl_problems(const struct sl_control *c)
{
	json_t *list = json_array();

	dataplane_problems(c, list);
	port_problems(c, list);
	table_problems(c, list);
	vip_problems(c, list);
	json_array_extend(list, c->still_merging);
	if (c->unsaved[0])
		problem(list,
			"what operators set is live but not saved, and a restart would forget it: "
			"%s",
			c->unsaved);
	if (c->health_unsaved[0])
		problem(list,
			"states of health aren't saved, and a restart would find them anew: %s",
			c->health_unsaved);
	if (c->operators->frozen)
		problem(list, "automation is frozen: checks go on and change nothing; `sluicectl "
			      "unfreeze` ends that");
	if (c->routes_left_out)
		problem(list, "%zu routes don't fit: raise capacity.routes (%u)",
			c->routes_left_out, c->config.capacity.routes);
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];
		uint32_t ready = 0;

		for (uint32_t k = 0; k < s->n; k++)
			ready += sl_backend_ready(&s->backend[k]);
		if (!sl_health_problems(c, s, list) && !ready)
			problem(list, "service %s: no backend is ready", s->conf.name);
	}
	pool_problems(c, list);
	hairpin_problems(c, list);
	backend_problems(c, false, list);
	sl_share_list(c->model, list);
	return list;
}

/* The log */

static void watch_answer(struct sl_control *c)
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	uint64_t live = sl_store_root(&c->store)->generation;

	if (!rejects(c) || c->logged_refused == live)
		return;
	c->logged_refused = live;
	sl_log("the dataplane (pid %u) refuses generation %llu, which is live, at record %u: %s",
	       e->pid, (unsigned long long)live, e->at, sl_accept_text(e->answer));
}

static void watch_tables(struct sl_control *c)
{
	char text[SL_ERROR_MAX];

	for (int is_ipv6 = 0; is_ipv6 <= 1; is_ipv6++) {
		bool full = sl_net_neighbours_full(c->net, is_ipv6);

		if (full && !c->logged_full[is_ipv6]) {
			full_table(is_ipv6, text);
			sl_log("%s", text);
		}
		c->logged_full[is_ipv6] = full;
	}
}

/* c->logged is an object whose keys are the texts that were logged. */
void sl_problems_watch(struct sl_control *c)
{
	uint64_t live = sl_store_root(&c->store)->generation;
	json_t *list, *logged, *text;
	size_t i;

	watch_answer(c);
	watch_tables(c);
	if (c->logged_generation == live)
		return;
	c->logged_generation = live;
	list = json_array();
	logged = json_object();
	backend_problems(c, true, list);
	sl_share_list(c->model, list);
	json_array_foreach (list, i, text) {
		json_object_set_new(logged, json_string_value(text), json_true());
		if (!json_object_get(c->logged, json_string_value(text)))
			sl_log("%s", json_string_value(text));
	}
	json_decref(list);
	json_decref(c->logged);
	c->logged = logged;
}
