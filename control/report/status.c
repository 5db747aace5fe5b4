/* SPDX-License-Identifier: BSD-2-Clause */
#include "status.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../desired/layers.h"
#include "../desired/operators.h"
#include "../tables/counters.h"
#include "../tables/liveness.h"
#include "../tables/partial.h"
#include "../tables/publish.h"
#include "../tables/queues.h"
#include "health.h"
#include "limits.h"
#include "problems.h"

static const char *protocol_text(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : "udp";
}

static const char *state_text(const struct sl_control *c, const struct sl_model_service *s,
			      const struct sl_model_backend *b)
{
	const struct sl_health_verdict *v = sl_report_verdict(c, s, b);

	switch (b->state) {
	case SL_STATE_READY:
		return b->waiting		       ? "waiting"
		       : b->hop.kind == SL_ROUTE_NONE  ? "no-route"
		       : b->hop.kind == SL_ROUTE_LOCAL ? "local"
		       : b->hop.kind == SL_ROUTE_VIA   ? "ready"
		       : b->known		       ? "unresolved"
						       : "resolving";
	case SL_STATE_DRAINING:
		if (b->maintenance)
			return "maintenance";
		if (b->held == 1u << SL_LAYER_HEALTH)
			/* Frozen automation may hold back one that is up. */
			return sl_health_state_text(!v			       ? SL_HEALTH_CHECKING
						    : v->state == SL_HEALTH_UP ? SL_HEALTH_DOWN
									       : v->state);
		return sl_backend_drained(b) ? "drained" : "draining";
	default:
		return "leaving";
	}
}

static json_t *mac_text(const uint8_t mac[6])
{
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			    mac[5]);
}

static void count_states(const struct sl_model_service *s, int *backends, int *ready)
{
	*backends = *ready = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		enum sl_backend_state state = s->backend[i].state;

		*backends += state == SL_STATE_READY || state == SL_STATE_DRAINING;
		*ready += sl_backend_ready(&s->backend[i]);
	}
}

static void report_source(json_t *o, const char *key, const struct sl_config_source *source)
{
	unsigned int bits = sl_addr_is4(&source->prefix) ? 32 : 128;
	char addr[SL_ADDR_TEXT];

	if (!source->prefix.q[0] && !source->prefix.q[1])
		return;
	sl_addr_format(&source->prefix, addr);
	json_object_set_new(o, key,
			    source->entropy ? json_sprintf("%s/%u", addr, bits - source->entropy)
					    : json_string(addr));
}

/* Adds the members that depend on mode and protocol. */
static void report_mode(json_t *o, const struct sl_config_service *conf)
{
	if (o && conf->protocol == IPPROTO_TCP)
		json_object_set_new(o, "mss",
				    conf->mss == SL_MSS_OFF    ? json_string("off")
				    : conf->mss == SL_MSS_AUTO ? json_string("auto")
							       : json_sprintf("%u", conf->mss));
	if (o && conf->mode == SL_MODE_FULLNAT)
		json_object_set_new(o, "pool", json_string(conf->pool.name));
	if (!o || !sl_config_tunnels(conf))
		return;
	report_source(o, "tunnel_source", &conf->source);
	report_source(o, "tunnel_source6", &conf->source6);
	if (conf->mode != SL_MODE_GUE)
		return;
	json_object_set_new(o, "gue_port", json_integer(conf->gue_port));
	json_object_set_new(o, "gue_variant", json_integer(conf->gue_variant));
}

json_t *sl_report_service(const struct sl_control *c, const struct sl_model_service *s)
{
	struct sl_service_counters counters = sl_stats_service(c, s->id);
	struct sl_backend_counters sum = { 0 };
	char vip[SL_VIP_TEXT];
	int backends, ready;
	json_t *o;

	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_backend_counters t;

		if (s->backend[i].state == SL_STATE_FREE)
			continue;
		t = sl_stats_backend(c, s->backend[i].counter_id);
		sum.connections += t.connections;
		sum.packets_in += t.packets_in;
		sum.bytes_in += t.bytes_in;
		sum.packets_out += t.packets_out;
		sum.bytes_out += t.bytes_out;
	}
	count_states(s, &backends, &ready);
	o = json_pack(
		"{s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:I, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"name", s->conf.name, "vip", sl_vip_format(&s->conf, vip), "protocol",
		protocol_text(s->conf.protocol), "port", (int)s->conf.port, "last_port",
		(int)s->conf.last_port, "scheduler", s->conf.scheduler, "mode",
		sl_config_mode_text(s->conf.mode), "table_size", (json_int_t)s->conf.table_size,
		"idle_timeout_ms", (json_int_t)s->conf.idle_timeout_ms, "backends", backends,
		"ready", ready, "rows_open", (json_int_t)s->windows.open, "rows_mixed",
		(json_int_t)s->windows.mixed, "connections", (json_int_t)sum.connections,
		"packets_in", (json_int_t)sum.packets_in, "bytes_in", (json_int_t)sum.bytes_in,
		"packets_out", (json_int_t)sum.packets_out, "bytes_out", (json_int_t)sum.bytes_out,
		"tracked", (json_int_t)counters.tracked, "untrackable",
		(json_int_t)counters.untrackable, "no_backend", (json_int_t)counters.no_backend,
		"no_neighbour", (json_int_t)counters.no_neighbour, "hairpin",
		(json_int_t)counters.hairpin);
	report_mode(o, &s->conf);
	if (o)
		json_object_set_new(
			o, "source",
			json_string(s->set_live ? "live" : sl_layer_text((enum sl_layer)s->from)));
	if (o && s->conf.quic)
		json_object_set_new(o, "quic", json_true());
	return o;
}

/* Returns the number of table slots that each backend has, by backend number. NULL: no memory. */
static uint32_t *slots_by_number(const struct sl_control *c, const struct sl_model_service *s)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	uint32_t *slots = calloc(s->n + 1, sizeof(*slots));

	for (uint32_t i = 0; slots && s->slots && i < s->conf.table_size; i++) {
		uint32_t cur = sl_slot_cur(sl_block_slots(blocks, s->slots->at)[i]);

		if (cur <= s->n)
			slots[cur]++;
	}
	return slots;
}

/* Adds which layers decided. "source" is "live" if operators decided on membership, weight or
 * state, and the layer that named the backend otherwise. "held_by" lists the layers that hold the
 * backend back from new connections. */
static void report_layers(json_t *o, const struct sl_model_backend *b)
{
	bool live = b->from == SL_LAYER_OPERATORS || b->weight_by == SL_LAYER_OPERATORS ||
		    b->held >> SL_LAYER_OPERATORS & 1 || b->state == SL_STATE_LEAVING;
	json_t *held = json_array();

	for (enum sl_layer layer = SL_LAYER_FILE; layer <= SL_LAYER_HEALTH; layer++)
		if (b->held >> layer & 1)
			json_array_append_new(held, json_string(sl_layer_text(layer)));
	json_object_set_new(o, "source",
			    json_string(live ? "live" : sl_layer_text((enum sl_layer)b->from)));
	json_object_set_new(o, "from", json_string(sl_layer_text((enum sl_layer)b->from)));
	json_object_set_new(o, "weight_by",
			    json_string(sl_layer_text((enum sl_layer)b->weight_by)));
	json_object_set_new(o, "held_by", held);
}

json_t *sl_report_removed(const struct sl_control *c, const char *service)
{
	const struct sl_operator_service *words = sl_operators_find(c->operators, service);
	json_t *list = json_array();

	for (size_t i = 0; words && i < words->n_backends; i++) {
		const struct sl_operator_backend *b = &words->backend[i];
		const struct sl_config_backend *conf =
			sl_config_find_backend(&c->config, service, &b->addr, b->port);
		char addr[SL_ADDR_TEXT];

		if (conf && b->removed)
			json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "name", conf->name,
							      "address",
							      sl_addr_format(&conf->addr, addr),
							      "port", (int)conf->port));
	}
	return list;
}

void sl_report_backends(const struct sl_control *c, const struct sl_model_service *s, json_t *list)
{
	uint32_t *slots = slots_by_number(c, s);

	for (uint32_t i = 0; i < s->n && slots; i++) {
		const struct sl_model_backend *b = &s->backend[i];
		char addr[SL_ADDR_TEXT], id[SL_SERVER_ID_TEXT];
		struct sl_backend_counters t;
		json_t *o;

		if (b->state == SL_STATE_FREE || b->state == SL_STATE_GONE)
			continue;
		t = sl_stats_backend(c, b->counter_id);
		o = json_pack("{s:s, s:s, s:s, s:i, s:I, s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:o}",
			      "service", s->conf.name, "name", b->name, "address",
			      sl_addr_format(&b->addr, addr), "port", (int)b->port, "weight",
			      (json_int_t)b->weight, "state", state_text(c, s, b), "share",
			      100.0 * slots[i + 1] / s->conf.table_size, "connections",
			      (json_int_t)t.connections, "packets_in", (json_int_t)t.packets_in,
			      "bytes_in", (json_int_t)t.bytes_in, "packets_out",
			      (json_int_t)t.packets_out, "bytes_out", (json_int_t)t.bytes_out,
			      "next_hop",
			      b->hop.kind == SL_ROUTE_VIA ? mac_text(b->hop.dst_mac) : json_null());
		if (o)
			report_layers(o, b);
		if (o)
			sl_report_health(o, c, s, b);
		if (o && b->server_id.bytes)
			json_object_set_new(o, "server_id",
					    json_string(sl_server_id_format(&b->server_id, id)));
		json_array_append_new(list, o);
	}
	free(slots);
}

json_t *sl_report_stats(const struct sl_control *c)
{
	static const char *const verdicts[] = { "punt", "forward", "reply", "drop" };
	json_t *reasons = json_array(), *workers = json_array(), *limits = json_array();
	uint32_t cpu0 = c->store.count[SL_ARRAY_workers];
	uint32_t cpus = c->store.count[SL_ARRAY_reason_counters] - cpu0;

#define REPORT(name, verdict, help)                                                                \
	json_array_append_new(reasons, json_pack("{s:s, s:s, s:I, s:s}", "name", #name, "verdict", \
						 verdicts[verdict], "packets",                     \
						 (json_int_t)sl_stats_reason(c, SL_REASON_##name), \
						 "help", help));
	SL_REASONS(REPORT)
#undef REPORT
	for (uint32_t i = 0; i < sl_workers(c); i++) {
		const struct sl_worker *w =
			(const struct sl_worker *)c->store.base[SL_ARRAY_workers] + i;

		json_array_append_new(
			workers,
			json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "worker", (int)i,
				  "cpu", (int)w->cpu, "packets", (json_int_t)w->packets, "bursts",
				  (json_int_t)w->bursts, "cycles_busy", (json_int_t)w->cycles_busy,
				  "cycles_all", (json_int_t)w->cycles_all, "restarts",
				  (json_int_t)w->restarts, "waited", (json_int_t)w->waited, "bytes",
				  (json_int_t)sl_stats_bytes(c, i, 1)));
	}
	for (size_t i = 0; i < c->model->n; i++)
		sl_limit_report(c, c->model->service[i], limits);
	return json_pack("{s:f, s:o, s:o, s:o, s:{s:I, s:I}}", "time_s",
			 (double)sl_clock_ns() / 1e9, "reasons", reasons, "workers", workers,
			 "limits", limits, "xdp", "packets",
			 (json_int_t)sl_stats_decided(c, cpu0, cpus), "bytes",
			 (json_int_t)sl_stats_bytes(c, cpu0, cpus));
}

static json_t *workers_of(const struct sl_control *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < sl_workers(c); i++) {
		const struct sl_worker *w =
			(const struct sl_worker *)c->store.base[SL_ARRAY_workers] + i;
		int64_t age = (int64_t)(sl_clock_ns() - w->heartbeat_ns);

		json_array_append_new(list, json_pack("{s:i, s:i, s:I, s:f, s:I, s:b}", "worker",
						      (int)i, "cpu", (int)w->cpu, "generation",
						      (json_int_t)sl_worker_generation(c, i),
						      "heartbeat_age_ms", (double)age / 1e6,
						      "packets", (json_int_t)w->packets, "alive",
						      sl_worker_alive(c, i)));
	}
	return list;
}

json_t *sl_report_published(const struct sl_published *out)
{
	return json_pack("{s:I, s:b, s:i, s:i, s:f}", "generation", (json_int_t)out->generation,
			 "acknowledged", out->acknowledged == out->workers, "workers",
			 (int)out->workers, "workers_acknowledged", (int)out->acknowledged,
			 "commit_us", out->commit_us);
}

json_t *sl_report_generation(const struct sl_control *c)
{
	struct sl_published out;

	sl_acknowledged((struct sl_control *)(uintptr_t)c, &out);
	return json_pack("{s:I, s:b, s:o}", "generation", (json_int_t)out.generation,
			 "acknowledged", out.acknowledged == out.workers, "workers", workers_of(c));
}

static json_t *services_of(const struct sl_control *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];
		char vip[SL_VIP_TEXT];
		int backends, ready;

		count_states(s, &backends, &ready);
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "name", s->conf.name,
					"vip", sl_vip_format(&s->conf, vip), "protocol",
					protocol_text(s->conf.protocol), "port", (int)s->conf.port,
					"last_port", (int)s->conf.last_port, "backends", backends,
					"ready", ready));
	}
	return list;
}

static json_t *ports_of(const struct sl_control *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		const struct sl_config_port *port = &c->config.dataplane.port[i];
		const struct sl_net_port *p = sl_net_port(c->net, i);
		struct sl_partial_count partial = sl_partial_count(c, i);

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:o, s:b, s:i, s:I, s:I}", "name", port->name,
					"device", port->device, "mac", mac_text(p->mac), "up",
					port->kind != SL_PORT_KERNEL || p->up, "mtu", (int)p->mtu,
					"checksums_completed", (json_int_t)partial.completed,
					"checksums_left", (json_int_t)partial.left));
	}
	return list;
}

json_t *sl_report_status(const struct sl_control *c)
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	bool alive = sl_dataplane_alive(c);
	uint64_t now = sl_clock_ns();
	json_t *report = sl_report_generation(c);

	json_object_del(report, "workers");
	json_object_set_new(report, "instance", json_string(c->config.instance));
	json_object_set_new(report, "tables", json_string(c->where.huge ? "huge" : "bpf"));
	json_object_set_new(report, "control",
			    json_pack("{s:i, s:f}", "pid", (int)getpid(), "uptime_s",
				      (double)(now - c->started_ns) / 1e9));
	json_object_set_new(
		report, "dataplane",
		json_pack("{s:s, s:o, s:o, s:o}", "state", alive ? "running" : "absent", "pid",
			  alive ? json_integer(e->pid) : json_null(), "uptime_s",
			  alive ? json_real((double)(now - e->started_ns) / 1e9) : json_null(),
			  "workers", workers_of(c)));
	json_object_set_new(report, "ports", ports_of(c));
	json_object_set_new(report, "queues", sl_queues_report(c));
	json_object_set_new(report, "services", services_of(c));
	if (c->health_figures.checks)
		json_object_set_new(report, "health", sl_report_checks(c));
	if (c->operators->frozen)
		json_object_set_new(report, "frozen_since",
				    json_integer((json_int_t)c->operators->frozen));
	json_object_set_new(report, "problems", sl_problems(c));
	return report;
}
