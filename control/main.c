/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-control, the daemon of an instance.
 *
 * It creates the shared arrays or adopts existing ones, attaches the XDP programs and publishes the
 * state that the file and the operators desire. Then it serves commands (commands/table.h), follows
 * changes of the network (network/net.h) and does periodic work (upkeep/sweep.h). Both engines go
 * on without it: when it stops, everything that it set up stays.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../config/daemon_options.h"
#include "../config/machine.h"
#include "../config/notify.h"
#include "commands/detach.h"
#include "commands/reload.h"
#include "commands/table.h"
#include "daemon.h"
#include "desired/apply.h"
#include "desired/operators.h"
#include "desired/overrides.h"
#include "health/health.h"
#include "network/announce.h"
#include "network/multicast.h"
#include "report/hairpins.h"
#include "report/limit_top.h"
#include "report/problems.h"
#include "rpc/server.h"
#include "tables/adopt.h"
#include "tables/instance.h"
#include "tables/liveness.h"
#include "tables/nat_pools.h"
#include "tables/partial.h"
#include "tables/publish.h"
#include "tables/queues.h"
#include "tables/rescale.h"
#include "transaction/transaction.h"
#include "upkeep/drain_end.h"
#include "upkeep/limit_expiry.h"
#include "upkeep/sweep.h"
#include "xdp/merging.h"
#include "xdp/ports.h"
#include "xdp/programs.h"
#include "xdp/watch.h"

enum { TICK_MS = 10, FOLLOW_AGAIN_MS = 1000 };

static void followed(void *context, int err, const struct sl_published *out, const char *error)
{
	struct sl_control *c = context;

	(void)out;
	if (!err)
		return;
	sl_log("%s", error[0] ? error : strerror(-err));
	c->follow_failed = true; /* try again: the network reports a change only once */
	c->follow_failed_ms = sl_clock_ms();
}

/* Publishes the present state of the network, with `must` even if nothing has changed. A call while
 * a generation is being published takes effect when that one has ended. */
static void follow(struct sl_control *c, bool must)
{
	char error[SL_ERROR_MAX] = "";
	struct sl_model *next;

	sl_attach_ports(c, error);
	if (sl_publishing(c)) {
		c->follows = true;
		c->must_follow |= must;
		return;
	}
	next = sl_model_clone(c->model);
	if (!next)
		return;
	if (!sl_apply_network(c, next) && !must)
		sl_model_free(next, 0);
	else
		sl_publish_begin(c, next, followed, c);
}

static void network_changed(void *context)
{
	struct sl_control *c = context;

	if (c->model)
		follow(c, false);
}

/* If the dataplane has lost an interface, no worker can send there, whichever port a packet came
 * from. XDP then serves all ports until a new dataplane has opened that one. */
static void follow_interfaces(struct sl_control *c)
{
	bool alone = c->stranded && c->config.dataplane.engine == SL_CONFIG_ENGINE_AUTO;

	if (alone == c->xdp_alone)
		return;
	c->xdp_alone = alone;
	follow(c, true);
}

/* Engines write down next hops that they miss. Starts the resolution of each. */
static void answer_neighbour_requests(struct sl_control *c)
{
	static uint64_t *seen;
	const struct sl_neighbour_requests *wanted = c->store.base[SL_ARRAY_neigh_requests];
	uint32_t writers = c->store.count[SL_ARRAY_neigh_requests];

	if (!seen)
		seen = calloc(writers, sizeof(*seen));
	for (uint32_t w = 0; seen && w < writers; w++) {
		/* Acquire: the addresses up to the count are visible. */
		uint64_t head = __atomic_load_n(&wanted[w].head, __ATOMIC_ACQUIRE);

		if (head - seen[w] > SL_NEIGHBOUR_REQUESTS)
			/* The older ones are overwritten. Engines will request them again. */
			seen[w] = head - SL_NEIGHBOUR_REQUESTS;
		for (; seen[w] != head; seen[w]++) {
			union sl_addr addr = wanted[w].addr[seen[w] % SL_NEIGHBOUR_REQUESTS];

			sl_net_ask(c->net, &addr);
		}
	}
}

/* Only the dataplane knows the MAC addresses of ports that DPDK owns. */
static void take_macs(struct sl_control *c)
{
	const struct sl_queue *queues = c->store.base[SL_ARRAY_queues];

	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++)
		sl_net_set_mac(c->net, i, queues[i * SL_QUEUES_PER_PORT].mac);
}

static void watch_dataplane(struct sl_control *c)
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	bool alive = sl_dataplane_alive(c);

	if (alive == c->dataplane_seen)
		return;
	c->dataplane_seen = alive;
	if (!alive) {
		sl_log("the dataplane is gone");
		return;
	}
	sl_log("dataplane %u is here, with %u workers", e->pid, sl_workers(c));
	take_macs(c);
}

/* Whether a packet to a VIP that comes in by this kernel interface is answered. Only then the VIP
 * may be announced there. */
static bool answers_on(const struct sl_control *c, uint32_t port)
{
	const struct sl_net_port *p = sl_net_port(c->net, port);

	return p->up && p->ifindex == c->attached[port] &&
	       (c->config.dataplane.engine != SL_CONFIG_ENGINE_DPDK || sl_dataplane_alive(c));
}

static void announce_vips(struct sl_control *c)
{
	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		const struct sl_net_port *p = sl_net_port(c->net, i);
		struct sl_announce_port now = { .answers = p->present && answers_on(c, i) };

		if (now.answers) {
			now.ifindex = p->ifindex;
			now.downs = p->downs;
			memcpy(now.mac, p->mac, sizeof(now.mac));
		}
		sl_announcer_port(c->announcer, i, &now);
	}
	sl_announcer_run(c->announcer, &c->store, sl_clock_ns());
}

/* Joins the multicast groups of the live model's VIPs. */
static void follow_vips(struct sl_control *c)
{
	union sl_addr *vips = calloc(c->model->n + 1, sizeof(*vips));
	size_t n = 0;

	for (size_t i = 0; vips && i < c->model->n; i++)
		/* Nobody solicits the other addresses of a prefix. */
		if (!c->model->service[i]->conf.vip_host_bits)
			vips[n++] = c->model->service[i]->conf.vip;
	if (vips)
		sl_multicast_follow(&c->config, c->net, vips, n);
	free(vips);
}

static void follow_again(struct sl_control *c)
{
	if (!c->follow_failed || sl_clock_ms() - c->follow_failed_ms < FOLLOW_AGAIN_MS)
		return;
	c->follow_failed = false;
	follow(c, true);
}

static void tick(evutil_socket_t fd, short what, void *context)
{
	struct sl_control *c = context;

	(void)fd, (void)what;
	answer_neighbour_requests(c);
	watch_dataplane(c);
	sl_queues_watch(c);
	sl_xdp_watch(c);
	sl_partial_tick(c);
	follow_interfaces(c);
	follow_again(c);
	announce_vips(c);
	follow_vips(c);
	sl_problems_watch(c);
	sl_sweep_tick(c->sweep);
	sl_nat_pools_tick(c);
	sl_limit_expiry_tick(c);
	sl_drain_end_tick(c);
	sl_health_tick(c, TICK_MS);
	sl_limit_top_tick(c);
	sl_hairpins_tick(c, sl_clock_ms());
	sl_rescale_run(c);
	sl_transaction_retry_save(c);
}

static void stop(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	event_base_loopbreak(((struct sl_control *)context)->base);
}

static void reload(struct sl_control *c)
{
	char error[SL_ERROR_MAX] = "";
	int err = sl_reload(c, NULL, "SIGHUP", NULL, error);

	if (err < 0)
		sl_log("%s; nothing was changed", error[0] ? error : strerror(-err));
}

static void hang_up(evutil_socket_t fd, short what, void *context)
{
	struct sl_control *c = context;

	(void)fd, (void)what;
	if (sl_publishing(c))
		c->reloads = true;
	else
		reload(c);
}

/* Runs when a generation has ended: what waited for it goes on, in this order. */
static void after_publish(evutil_socket_t fd, short what, void *context)
{
	struct sl_control *c = context;
	bool must = c->must_follow;

	(void)fd, (void)what;
	if (c->follows && !sl_publishing(c)) {
		c->follows = c->must_follow = false;
		follow(c, must);
	}
	if (c->reloads && !sl_publishing(c)) {
		c->reloads = false;
		reload(c);
	}
	if (!sl_publishing(c))
		sl_rpc_resume(c->changes);
}

static void published(struct sl_control *c)
{
	event_active(c->after_publish, 0, 0);
}

/* Checks that every kernel port's interface exists. Once the daemon runs, interfaces may come and
 * go. */
static int check_ports(struct sl_control *c, char error[SL_ERROR_MAX])
{
	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		const struct sl_config_port *port = &c->config.dataplane.port[i];

		if (port->kind != SL_PORT_KERNEL || sl_net_port(c->net, i)->present)
			continue;
		snprintf(error, SL_ERROR_MAX,
			 "%s:%d: dataplane.ports: there is no interface %s in this network "
			 "namespace; see `ip link`",
			 c->file, port->line, port->device);
		return -ENODEV;
	}
	return 0;
}

/* Logs what operators set that differs from the file. */
static void log_live(const struct sl_control *c)
{
	json_t *live = json_array(), *line;
	size_t i;

	sl_operators_describe(c->operators, &c->config, live);
	json_array_foreach (live, i, line)
		sl_log("%s", json_string_value(line));
	json_decref(live);
}

static bool busy(void *context)
{
	return sl_publishing(context);
}

static int publish_first(struct sl_control *c, char error[SL_ERROR_MAX])
{
	int err = sl_transaction_start(c, error);

	/* The tables are of this version, so whatever they refuse comes from the files. */
	return err == -EPROTO ? -EINVAL : err;
}

static int open_sockets(struct sl_control *c, char error[SL_ERROR_MAX])
{
	char path[SL_PATH_MAX + 32];
	int err;

	snprintf(path, sizeof(path), "%s/control.sock", c->config.run_dir);
	err = sl_rpc_open(&c->changes, c->base, path, 0600, true, sl_commands, sl_n_commands, c,
			  error);
	if (err)
		return err;
	sl_rpc_set_busy(c->changes, busy);
	sl_rpc_set_batch(c->changes, "batch");
	snprintf(path, sizeof(path), "%s/read.sock", c->config.run_dir);
	return sl_rpc_open(&c->reads, c->base, path, 0660, false, sl_commands, sl_n_commands, c,
			   error);
}

/* Blocks or unblocks SIGHUP. One that comes during the start stays pending, and causes one reload
 * afterwards. */
static void mask_hang_up(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

static int add_events(struct sl_control *c)
{
	static const struct timeval every = { .tv_usec = TICK_MS * 1000 };
	struct event *term = evsignal_new(c->base, SIGTERM, stop, c);
	struct event *interrupt = evsignal_new(c->base, SIGINT, stop, c);
	struct event *hup = evsignal_new(c->base, SIGHUP, hang_up, c);

	c->every_tick = event_new(c->base, -1, EV_PERSIST, tick, c);
	c->after_publish = event_new(c->base, -1, 0, after_publish, c);
	if (!term || !interrupt || !hup || !c->every_tick || !c->after_publish)
		return -ENOMEM;
	c->published = published;
	evsignal_add(term, NULL);
	evsignal_add(interrupt, NULL);
	evsignal_add(hup, NULL);
	if (event_add(c->every_tick, &every) != 0)
		return -ENOMEM;
	mask_hang_up(SIG_UNBLOCK);
	return 0;
}

/* Changes an error of the machine, so that it isn't reported as a wrong configuration or as tables
 * of another version. */
static int of_machine(int err)
{
	return err == -EINVAL || err == -ENOSPC || err == -EPROTO ? -EIO : err;
}

static int start(struct sl_control *c, bool fresh, char error[SL_ERROR_MAX])
{
	int err = of_machine(sl_instance_lock(c, error));

	if (!err)
		err = fresh ? sl_detach(c, error) : 0;
	c->detached = false;
	if (!err)
		err = sl_instance_open(c, error);
	if (err == -ENOSPC)
		err = of_machine(err);
	if (!err)
		err = sl_overrides_load(c->config.state_dir, &c->operators, error);
	if (!err)
		err = of_machine(
			sl_net_open(&c->net, c->base, &c->config, network_changed, c, error));
	if (!err)
		err = check_ports(c, error);
	if (!err && sl_dataplane_alive(c)) {
		/* Before the first generation, since workers serve by it. */
		take_macs(c);
		sl_net_configured(c->net);
	}
	if (!err)
		err = of_machine(sl_attach_ports(c, error));
	if (!err)
		err = sl_adopt(c, error);
	if (!err)
		err = sl_health_open(c);
	if (!err)
		err = publish_first(c, error);
	if (!err) {
		log_live(c);
		c->sweep = sl_sweep_new(c);
		err = c->sweep ? of_machine(open_sockets(c, error)) : -ENOMEM;
	}
	if (!err)
		err = sl_announcer_open(&c->announcer, (uint32_t)c->config.dataplane.n_ports,
					error);
	return err ? err : add_events(c);
}

static int exit_status(int err)
{
	switch (err) {
	case -EBUSY:
	case -EADDRINUSE:
		return SL_EXIT_BUSY;
	case -EPROTO:
		return SL_EXIT_ABI;
	case -EINVAL:
	case -ENOSPC:
		return SL_EXIT_CONFIG;
	default:
		return SL_EXIT_MACHINE;
	}
}

static int serve(struct sl_control *c, bool fresh)
{
	char error[SL_ERROR_MAX] = "";
	int err;

	signal(SIGPIPE, SIG_IGN);
	c->lock = -1;
	c->started_ns = sl_clock_ns();
	c->prepare = sl_ports_prepare;
	c->base = event_base_new();
	if (!c->base)
		return SL_EXIT_MACHINE;
	sl_notify("STATUS=starting: loads or adopts XDP programs, publishes the configuration");
	err = start(c, fresh, error);
	if (err) {
		sl_log("%s", error[0] ? error : strerror(-err));
		sl_descriptors_log(err);
		return exit_status(err);
	}
	sl_log("ready: generation %llu", (unsigned long long)sl_store_root(&c->store)->generation);
	if (!sl_dataplane_alive(c) && c->config.dataplane.engine != SL_CONFIG_ENGINE_XDP)
		sl_log("waiting for sluice-dataplane; until it runs, %s",
		       c->config.dataplane.engine == SL_CONFIG_ENGINE_DPDK
			       ? "packets to VIPs are dropped"
			       : "XDP serves kernel interfaces");
	sl_notify("READY=1\nSTATUS=serving");
	event_base_dispatch(c->base);
	/* Let a publish that is under way end, so that it is saved and answered. */
	c->published = NULL;
	event_del(c->every_tick);
	while (sl_publishing(c))
		event_base_loop(c->base, EVLOOP_ONCE);
	sl_notify("STOPPING=1\nSTATUS=stopping; what is published stays");
	sl_log("stopping; what is published stays");
	sl_rpc_close(c->reads);
	sl_rpc_close(c->changes);
	sl_announcer_close(c->announcer);
	sl_health_close(c);
	sl_sweep_free(c->sweep);
	sl_net_close(c->net);
	sl_ports_release(c);
	sl_programs_close(c->programs);
	sl_limit_top_free(c);
	sl_hairpins_free(c);
	sl_merging_free(c);
	sl_instance_close(c);
	sl_operators_free(c->operators);
	json_decref(c->logged);
	for (uint32_t i = 0; i < SL_PORTS_CONFIG_MAX; i++)
		free(c->unattached[i]);
	return SL_EXIT_OK;
}

static int detach(struct sl_control *c)
{
	char error[SL_ERROR_MAX] = "";
	int err;

	c->lock = -1;
	err = sl_instance_lock(c, error);
	if (err == -EBUSY) {
		sl_log("instance %s is served: `sluicectl -i %s detach` ends it",
		       c->config.instance, c->config.instance);
		return SL_EXIT_BUSY;
	}
	if (!err)
		err = sl_detach(c, error);
	if (err)
		sl_log("%s", error[0] ? error : strerror(-err));
	return err ? exit_status(err) : SL_EXIT_OK;
}

static int test(const struct sl_config *config)
{
	bool here = sl_machine_is_meant(config);
	char error[SL_ERROR_MAX];
	size_t backends = 0;

	if (here && sl_machine_check(config, error) != 0) {
		sl_log("%s", error);
		return SL_EXIT_MACHINE;
	}
	for (size_t i = 0; i < config->n_services; i++)
		backends += config->service[i].n_backends;
	printf("%s: good: %zu services, %zu backends, %zu ports, %zu workers\n", config->file,
	       config->n_services, backends, config->dataplane.n_ports, config->dataplane.n_cores);
	if (!here)
		sl_log("none of its ports is here: whether the machine has its cores and queues "
		       "wasn't checked");
	return SL_EXIT_OK;
}

static const char usage[] =
	"usage: sluice-control -c FILE [--fresh | --detach] | -t FILE\n"
	"  -c, --config FILE  serve what this configuration says\n"
	"  -t, --test FILE    check it and exit\n"
	"      --fresh        remove what stands of the instance first, flows included\n"
	"      --detach       remove what stands of the instance, XDP programs and pins, and exit\n"
	"  -V, --version\n"
	"  -h, --help\n";

int main(int argc, char **argv)
{
	static const struct option own[] = { { "test", required_argument, NULL, 't' },
					     { "fresh", no_argument, NULL, 'f' },
					     { "detach", no_argument, NULL, 'd' },
					     { 0 } };
	static struct sl_control c;
	struct sl_daemon_options options;
	int status;

	mask_hang_up(SIG_BLOCK); /* first of all, since SIGHUP would end the process */
	status = sl_daemon_options_read(argc, argv, usage, own, &options);
	if (status == SL_DAEMON_GOES_ON)
		status = sl_daemon_configure(options.file, &c.config, &c.where);
	if (status != SL_DAEMON_GOES_ON)
		return status;
	c.file = options.file;
	if (sl_daemon_option(&options, 't'))
		status = test(&c.config);
	else if (sl_daemon_option(&options, 'd'))
		status = detach(&c);
	else
		status = serve(&c, sl_daemon_option(&options, 'f'));
	sl_config_free(&c.config);
	return status;
}
