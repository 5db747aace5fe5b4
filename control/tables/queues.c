/* SPDX-License-Identifier: BSD-2-Clause */
#include "queues.h"

#include "liveness.h"

static const char *const words[SL_HANDOVERS] = {
	[SL_HANDOVER_NEVER] = "never_taken", [SL_HANDOVER_STARTED] = "started",
	[SL_HANDOVER_STOPPED] = "stopped",   [SL_HANDOVER_DIED] = "died",
	[SL_HANDOVER_HUNG] = "hung",	     [SL_HANDOVER_WOKE] = "woke",
};

static const char *word(uint64_t why)
{
	return why < SL_HANDOVERS ? words[why] : "unknown";
}

static const struct sl_queue *queue_at(const struct sl_control *c, uint32_t port, uint32_t number)
{
	const struct sl_queue *queues = c->store.base[SL_ARRAY_queues];

	return &queues[port * SL_QUEUES_PER_PORT + number];
}

static uint32_t worker_of(const struct sl_queue *q)
{
	return (uint32_t)__atomic_load_n(&q->owner, __ATOMIC_ACQUIRE);
}

/* Returns who serves the port's queues while no worker does: "xdp" or "none". */
static const char *without_worker(const struct sl_control *c, uint32_t port)
{
	const struct sl_config_dataplane *d = &c->config.dataplane;

	return d->port[port].kind == SL_PORT_KERNEL && d->engine != SL_CONFIG_ENGINE_DPDK ? "xdp"
											  : "none";
}

/* Returns who serves the queue. XDP takes over the queue of a worker that has ended with the first
 * packet that arrives by it, so such a queue counts as XDP's already. */
static const char *engine_of(const struct sl_control *c, uint32_t port, const struct sl_queue *q)
{
	uint32_t worker = worker_of(q);

	if (c->config.dataplane.engine == SL_CONFIG_ENGINE_XDP || c->xdp_alone || !worker ||
	    worker > sl_workers(c) || !sl_worker_alive(c, worker - 1))
		return without_worker(c, port);
	return "dpdk";
}

bool sl_queues_stranded(const struct sl_control *c, uint32_t port)
{
	const struct sl_net_port *p = sl_net_port(c->net, port);
	uint32_t opened = queue_at(c, port, 0)->ifindex;

	return p->present && opened && opened != p->ifindex && sl_dataplane_alive(c);
}

static void watch_interfaces(struct sl_control *c)
{
	const struct sl_config_dataplane *d = &c->config.dataplane;
	uint64_t stranded = 0;

	for (uint32_t p = 0; p < d->n_ports; p++) {
		if (!sl_queues_stranded(c, p))
			continue;
		stranded |= 1ull << p;
		if (!(c->stranded >> p & 1))
			sl_log("port %s: interface %s isn't the one that the dataplane opened; "
			       "restart sluice-dataplane%s",
			       d->port[p].name, d->port[p].device,
			       d->engine == SL_CONFIG_ENGINE_AUTO ? ", until then XDP serves alone"
								  : "");
	}
	c->stranded = stranded;
}

void sl_queues_watch(struct sl_control *c)
{
	const struct sl_config_dataplane *d = &c->config.dataplane;

	watch_interfaces(c);
	for (uint32_t p = 0; p < d->n_ports; p++) {
		for (uint32_t n = 0; n < d->port[p].queues && n < SL_QUEUES_PER_PORT; n++) {
			const struct sl_queue *q = queue_at(c, p, n);
			uint64_t owner = __atomic_load_n(&q->owner, __ATOMIC_ACQUIRE);

			if (owner == c->owner[p][n])
				continue;
			c->owner[p][n] = owner;
			if ((uint32_t)owner)
				sl_log("port %s queue %u: worker %u serves it (%s)",
				       d->port[p].name, n, (uint32_t)owner - 1, word(q->why));
			else
				sl_log("port %s queue %u: %s serves it (its worker %s)",
				       d->port[p].name, n, without_worker(c, p), word(q->why));
		}
	}
}

static json_t *handovers(const struct sl_queue *q)
{
	json_t *counts = json_object();

	for (int why = SL_HANDOVER_STARTED; why < SL_HANDOVERS; why++)
		json_object_set_new(counts, words[why], json_integer((json_int_t)q->times[why]));
	return counts;
}

static json_t *report(const struct sl_control *c, uint32_t port, uint32_t number)
{
	const struct sl_queue *q = queue_at(c, port, number);
	uint32_t worker = worker_of(q);
	double since = q->since_ns ? (double)(int64_t)(sl_clock_ns() - q->since_ns) / 1e9 : -1;

	return json_pack("{s:s, s:i, s:s, s:o, s:o, s:s, s:o}", "port",
			 c->config.dataplane.port[port].name, "queue", (int)number, "engine",
			 engine_of(c, port, q), "worker",
			 worker ? json_integer(worker - 1) : json_null(), "since_s",
			 since >= 0 ? json_real(since) : json_null(), "why", word(q->why),
			 "handovers", handovers(q));
}

json_t *sl_queues_report(const struct sl_control *c)
{
	const struct sl_config_dataplane *d = &c->config.dataplane;
	json_t *list = json_array();

	for (uint32_t p = 0; p < d->n_ports; p++)
		for (uint32_t n = 0; n < d->port[p].queues && n < SL_QUEUES_PER_PORT; n++)
			json_array_append_new(list, report(c, p, n));
	return list;
}
