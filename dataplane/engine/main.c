/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-dataplane: the DPDK engine of an instance.
 *
 * It waits until control has created the instance and published its first generation (either may be
 * started first), attaches, starts the ports of the configuration and one worker per core. After
 * that the main thread only answers proposals (accept.h) until it is told to stop.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "../../config/daemon_options.h"
#include "../../config/machine.h"
#include "../../config/notify.h"
#include "../../config/process.h"
#include "../abi/liveness.h"
#include "accept.h"
#include "announce.h"
#include "worker.h"

enum { LOOK_EVERY_MS = 100, ATTACH_EVERY_MS = 50 };

struct dataplane {
	struct sl_config config;
	struct sl_store_where where;
	struct sl_store store;
	struct sl_ports ports;
	struct sl_acceptor *acceptor;
	struct sl_announcer announcer;
	struct sl_worker_run run[SL_CORES_MAX];
	atomic_bool stop;  /* tells the workers */
	bool told_to_stop; /* a signal came before there were workers to stop */
	uint64_t missed[SL_PORTS_CONFIG_MAX][SL_QUEUES_PER_PORT]; /* as last counted */
	uint64_t count_at_ns;
	int lock;   /* lock file of this instance's dataplane; held while we live */
	int wake;   /* datagram socket: control wakes us after a proposal */
	int signal; /* signalfd */
};

/* Takes the lock file, which keeps out a second dataplane of the instance. */
static int lock_instance(struct dataplane *d)
{
	char path[SL_PATH_MAX + 32];

	if (sl_make_directory(d->config.run_dir, 0755) != 0) {
		sl_log("%s: %s", d->config.run_dir, strerror(errno));
		return SL_EXIT_MACHINE;
	}
	snprintf(path, sizeof(path), "%s/dataplane.lock", d->config.run_dir);
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock < 0) {
		sl_log("%s: %s", path, strerror(errno));
		return SL_EXIT_MACHINE;
	}
	if (flock(d->lock, LOCK_EX | LOCK_NB) != 0) {
		sl_log("instance %s has a dataplane already (%s is locked)", d->config.instance,
		       path);
		return SL_EXIT_BUSY;
	}
	return SL_EXIT_OK;
}

static int open_wake(struct dataplane *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dataplane.wake",
			 d->config.run_dir);

	if (n >= (int)sizeof(addr.sun_path)) {
		sl_log("run_dir: %s is too long for a socket's path", d->config.run_dir);
		return SL_EXIT_CONFIG;
	}
	unlink(addr.sun_path);
	d->wake = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->wake < 0 || bind(d->wake, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    chmod(addr.sun_path, 0600) != 0) {
		sl_log("%s: %s", addr.sun_path, strerror(errno));
		return SL_EXIT_MACHINE;
	}
	return SL_EXIT_OK;
}

static int open_signals(struct dataplane *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP); /* only control reloads the configuration */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return d->signal < 0 ? SL_EXIT_MACHINE : SL_EXIT_OK;
}

/* True when told to stop. Returns early when control has proposed a generation. */
static bool wait_ms(struct dataplane *d, int ms)
{
	struct pollfd fd[] = { { .fd = d->signal, .events = POLLIN },
			       { .fd = d->wake, .events = POLLIN } };
	struct signalfd_siginfo info;
	char byte;

	poll(fd, 2, ms);
	while (recv(d->wake, &byte, 1, 0) > 0)
		;
	while (read(d->signal, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGHUP)
			return true;
	return false;
}

/* Attaches to the instance, and waits for its first generation. */
static int attach(struct dataplane *d)
{
	char error[SL_ERROR_MAX];
	bool said = false;
	int err;

	for (;;) {
		err = sl_store_attach(&d->store, &d->where, SL_STORE_ENGINE, error);
		if (!err &&
		    __atomic_load_n(&sl_store_root(&d->store)->generation, __ATOMIC_ACQUIRE))
			return SL_EXIT_OK;
		if (err && err != -ENOENT) {
			sl_log("%s", error);
			return err == -EPROTO ? SL_EXIT_ABI : SL_EXIT_MACHINE;
		}
		if (!said) {
			sl_notify("STATUS=waiting for sluice-control");
			sl_log("waiting for sluice-control to serve instance %s",
			       d->config.instance);
		}
		said = true;
		if (!err)
			sl_store_detach(&d->store);
		if (wait_ms(d, ATTACH_EVERY_MS)) {
			d->told_to_stop = true;
			return SL_EXIT_OK;
		}
	}
}

static void eal_failed(const struct sl_config_dataplane *d)
{
	const char *why = rte_strerror(rte_errno);

	if (d->huge_pages)
		sl_log("DPDK can't start: %s; are %u MB of huge pages free (grep Huge "
		       "/proc/meminfo), and are we root?",
		       why, d->memory_mb);
	else
		sl_log("DPDK can't start: %s; are %u MB of memory free (grep MemAvailable "
		       "/proc/meminfo), and are we root?",
		       why, d->memory_mb);
}

/* EAL answers arguments that it doesn't like with its usage, a hundred lines of options that aren't
 * ours, on standard output. What it says of the reason goes to standard error. */
static int eal_init(int argc, char **argv)
{
	int out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC), err;

	if (out >= 0 && null >= 0)
		dup2(null, STDOUT_FILENO);
	err = rte_eal_init(argc, argv);
	fflush(stdout);
	if (out >= 0 && null >= 0)
		dup2(out, STDOUT_FILENO);
	if (out >= 0)
		close(out);
	if (null >= 0)
		close(null);
	return err;
}

static int start_eal(struct dataplane *d)
{
	struct sl_eal_args args;
	char *argv[SL_EAL_ARGS];
	int err = sl_eal_args_make(&args, &d->config);

	if (err) {
		sl_log("too many ports or cores for DPDK's command line");
		return SL_EXIT_CONFIG;
	}
	memcpy(argv, args.arg, sizeof(argv)); /* EAL reorders it */
	err = eal_init(args.n, argv);
	if (err < 0)
		eal_failed(&d->config.dataplane);
	sl_eal_args_free(&args);
	return err < 0 ? SL_EXIT_MACHINE : SL_EXIT_OK;
}

/* The live generation was accepted by another dataplane, or by none. */
static int accept_live(struct dataplane *d)
{
	uint32_t at;
	enum sl_accept answer = sl_acceptor_check_live(d->acceptor, &at);

	if (answer == SL_ACCEPT_OK)
		return SL_EXIT_OK;
	sl_log("the generation that is live can't be served, at record %u: %s", at,
	       answer == SL_ACCEPT_PORTS || answer == SL_ACCEPT_EGRESS
		       ? "its ports aren't ours; sluice-control reads another file, or an "
			 "interface "
			 "changed meanwhile"
		       : "it names what isn't there");
	return SL_EXIT_CONFIG;
}

static int start_workers(struct dataplane *d)
{
	uint32_t n = d->ports.n_workers;

	for (uint32_t w = 0; w < n; w++) {
		struct sl_worker_run *run = &d->run[w];

		*run = (struct sl_worker_run){ .store = &d->store,
					       .number = w,
					       .stop = &d->stop,
					       .adaptive =
						       d->config.dataplane.idle == SL_IDLE_ADAPTIVE,
					       .n_ports = (uint32_t)d->config.dataplane.n_ports,
					       .outgoing = w == 0 ? d->announcer.ring : NULL };
		run->n_rx = sl_ports_deal(&d->ports, w, run->rx,
					  sizeof(run->rx) / sizeof(run->rx[0]), run->tx);
		if (rte_eal_remote_launch(sl_worker_main, run, w + 1) != 0) {
			sl_log("worker %u can't be started", w);
			return SL_EXIT_FAILED;
		}
	}
	return SL_EXIT_OK;
}

static void publish_port(struct dataplane *d, uint32_t port, struct sl_queue *record)
{
	sl_ports_mac(&d->ports, port, record->mac);
	record->ifindex = sl_ports_ifindex(&d->ports, port);
}

static int publish_self(struct dataplane *d)
{
	struct sl_engine *self = d->store.base[SL_ARRAY_engine];
	struct sl_queue *queues = d->store.base[SL_ARRAY_queues];

	for (uint32_t p = 0; p < d->config.dataplane.n_ports; p++)
		publish_port(d, p, &queues[p * SL_QUEUES_PER_PORT]);
	self->instance = sl_store_root(&d->store)->instance;
	self->workers = d->ports.n_workers;
	self->accepted = 0;
	self->started_ns = sl_clock_ns();
	self->pid = (uint32_t)getpid();
	if (sl_liveness_begin(&self->alive) != 0)
		return SL_EXIT_FAILED;
	return SL_EXIT_OK;
}

/* Every second: some drivers take a while to answer. */
static void count_missed(struct dataplane *d)
{
	struct sl_queue *queues = d->store.base[SL_ARRAY_queues];
	uint64_t now = sl_clock_ns();

	if (now < d->count_at_ns)
		return;
	d->count_at_ns = now + 1000000000;
	for (uint32_t p = 0; p < d->config.dataplane.n_ports; p++) {
		for (uint32_t q = 0; q < d->config.dataplane.port[p].queues; q++) {
			uint64_t missed = sl_ports_missed(&d->ports, p, q);

			if (missed > d->missed[p][q]) /* a driver that resets begins anew */
				__atomic_fetch_add(&queues[p * SL_QUEUES_PER_PORT + q].missed,
						   missed - d->missed[p][q], __ATOMIC_RELAXED);
			d->missed[p][q] = missed;
		}
	}
}

static void stop_workers(struct dataplane *d)
{
	struct sl_engine *self = d->store.base[SL_ARRAY_engine];

	atomic_store(&d->stop, true);
	rte_eal_mp_wait_lcore();
	sl_liveness_end(&self->alive);
	self->pid = 0;
	sl_ports_stop(&d->ports);
}

static int serve(struct dataplane *d)
{
	char error[SL_ERROR_MAX];
	int status;

	if (sl_machine_check_start(&d->config, error) != 0) {
		sl_log("%s", error);
		return SL_EXIT_MACHINE;
	}
	status = attach(d);
	if (status || d->told_to_stop)
		return status;
	if (d->config.dataplane.n_cores > d->store.count[SL_ARRAY_workers]) {
		sl_log("%zu cores, but the instance was made for %u workers; make it anew",
		       d->config.dataplane.n_cores, d->store.count[SL_ARRAY_workers]);
		return SL_EXIT_CONFIG;
	}
	status = start_eal(d);
	if (status)
		return status;
	if (sl_ports_start(&d->ports, &d->config, error) != 0) {
		sl_log("%s", error);
		return SL_EXIT_MACHINE;
	}
	d->acceptor = sl_acceptor_new(&d->store, (uint32_t)d->config.dataplane.n_ports);
	if (!d->acceptor)
		return SL_EXIT_MACHINE;
	if (sl_announcer_init(&d->announcer, &d->ports) != 0) {
		sl_log("VIPs can't be announced: no memory");
		return SL_EXIT_MACHINE;
	}
	status = publish_self(d);
	if (!status)
		status = accept_live(d);
	if (!status)
		status = start_workers(d);
	if (!status) {
		sl_log("ready: %u workers", d->ports.n_workers);
		sl_notify("READY=1\nSTATUS=serving");
		do {
			sl_acceptor_run(d->acceptor);
			sl_announcer_run(&d->announcer, &d->store, sl_clock_ns());
			count_missed(d);
		} while (!wait_ms(d, LOOK_EVERY_MS));
		sl_notify("STOPPING=1\nSTATUS=stopping");
		sl_log("stopping");
	}
	stop_workers(d);
	sl_announcer_fini(&d->announcer);
	sl_acceptor_free(d->acceptor);
	return status;
}

static const char usage[] = "usage: sluice-dataplane -c FILE\n"
			    "  -c, --config FILE  the configuration, the same as sluice-control's\n"
			    "  -V, --version\n"
			    "  -h, --help\n";

int main(int argc, char **argv)
{
	static const struct option own[] = { { 0 } };
	static struct dataplane d;
	struct sl_daemon_options options;
	int status = sl_daemon_options_read(argc, argv, usage, own, &options);

	if (status == SL_DAEMON_GOES_ON)
		status = sl_daemon_configure(options.file, &d.config, &d.where);
	if (status != SL_DAEMON_GOES_ON)
		return status;
	if (d.config.dataplane.engine == SL_CONFIG_ENGINE_XDP) {
		sl_log("%s: dataplane.engine is \"xdp\": the XDP program serves alone, and nothing "
		       "is "
		       "left for us to do",
		       options.file);
		sl_config_free(&d.config);
		return SL_EXIT_CONFIG;
	}
	prctl(PR_SET_TIMERSLACK, 10000UL); /* a proposal is answered within this time */
	status = lock_instance(&d);
	if (!status)
		status = open_signals(&d);
	if (!status)
		status = open_wake(&d);
	if (!status)
		status = serve(&d);
	sl_config_free(&d.config);
	return status;
}
