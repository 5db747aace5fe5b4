/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-bench-path: measures the packet path of one worker in its real place.
 *
 * It takes the dataplane's place in an instance of a real sluice-control: the same arrays, the same
 * ports.c, and on the configured core the same sl_worker_main(). Only the traffic is its own:
 * generator.h in front of a net_null port. scripts/bench drives it line by line:
 *
 *     io N      N packets through a bare receive and transmit loop, like testpmd's io
 *     floor N   the same with the generator in front: the zero of a worker's figures
 *     fill      the worker, each flow once: enters all flows where flows are tracked
 *     worker N  the worker
 *     check N   the worker, and sink.h checks every frame that leaves
 *     syns N    the worker, N SYNs of unknown flows
 *     pace N    with --traffic flood: this many SYNs a second from now on
 *     together K N, floors K N, ios K N
 *               K workers or bare loops at once, with N packets each (together.h)
 *     stage S N a loop with a part of the worker's work (stages.h)
 *     clear     empties the flow table
 *     learn N   the worker, N packets whose backends storm.h learns
 *     storm     the worker until the next line comes; storm.h checks every frame
 *     quit      as at the end of standard input
 *
 * It answers each line with one line of JSON. A run ends with its last packet, when the generator
 * tells the worker to stop, so nothing is sampled; the cycles are those that the worker counts
 * itself.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "../config/daemon_options.h"
#include "../dataplane/abi/liveness.h"
#include "../dataplane/core/wire.h"
#include "../dataplane/engine/accept.h"
#include "../dataplane/engine/worker.h"
#include "generator.h"
#include "sink.h"
#include "stages.h"
#include "storm.h"
#include "together.h"

enum { LCORE = 1, LOOK_EVERY_MS = 1, WAIT_SECONDS = 20, REFUSED = -1 };

struct path {
	struct sl_config config;
	struct sl_store store;
	struct sl_ports ports;
	struct sl_acceptor *acceptor;
	struct sl_worker_run run;
	struct sl_generator generator;
	struct sl_sink sink;
	struct sl_storm storm;
	struct sl_together together;
	int wake;	     /* control wakes us, as it does sluice-dataplane */
	enum sl_order order; /* of the traffic in --traffic */
	uint64_t strangers;  /* before this run */
	atomic_bool stop;
	/* Of a loop in stages.h: */
	enum sl_stage stage;
	uint64_t packets;
	uint64_t cycles;
};

/* What a worker counts, or the difference of two such counts. */
struct count {
	uint64_t cycles;
	uint64_t packets;
	uint64_t restarts;
	uint64_t tracked;
	uint64_t untrackable;
	uint64_t reason[SL_REASON_COUNT];
};

static const struct traffic {
	const char *name;
	enum sl_order order;
	bool syn;
} TRAFFIC[] = {
	{ "steady", SL_ORDER_RANDOM, false },	/* packets of existing flows */
	{ "new", SL_ORDER_ONCE, true },		/* each packet is the SYN of a new flow */
	{ "churn", SL_ORDER_CHURN, false },	/* connections of four packets */
	{ "flood", SL_ORDER_FLOOD, false },	/* existing flows, and SYNs of unknown ones */
	{ "udp", SL_ORDER_DATAGRAMS, false },	/* existing flows of UDP */
	{ "replies", SL_ORDER_REPLIES, false }, /* from the first backend to all clients */
};

static const char *const reason_name[] = {
#define SL_REASON_NAME(name, verdict, help) #name,
	SL_REASONS(SL_REASON_NAME)
#undef SL_REASON_NAME
};

static int refuse(const char *what)
{
	fprintf(stderr, "sluice-bench-path: %s\n", what);
	return REFUSED;
}

static uint64_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

static int attach(struct path *p)
{
	const struct sl_store_where where = sl_daemon_where(&p->config);
	uint64_t until = seconds() + WAIT_SECONDS;
	char error[SL_ERROR_MAX];

	do {
		int err = sl_store_attach(&p->store, &where, SL_STORE_ENGINE, error);

		if (!err &&
		    __atomic_load_n(&sl_store_root(&p->store)->generation, __ATOMIC_ACQUIRE))
			return 0;
		if (!err)
			sl_store_detach(&p->store);
		else if (err != -ENOENT)
			return refuse(error);
		usleep(10000);
	} while (seconds() < until);
	return refuse("no sluice-control serves the instance");
}

static int start_eal(const struct sl_config *config)
{
	struct sl_eal_args args;
	char *argv[SL_EAL_ARGS];
	int err = sl_eal_args_make(&args, config);

	if (err)
		return refuse("too many ports or cores");
	memcpy(argv, args.arg, sizeof(argv)); /* EAL reorders it */
	err = rte_eal_init(args.n, argv);
	sl_eal_args_free(&args);
	return err < 0 ? refuse(rte_strerror(rte_errno)) : 0;
}

/* As sluice-dataplane does, so that control knows the ports and proposes generations to us. */
static int announce(struct path *p)
{
	struct sl_engine *self = p->store.base[SL_ARRAY_engine];
	struct sl_queue *queues = p->store.base[SL_ARRAY_queues];

	p->acceptor = sl_acceptor_new(&p->store, (uint32_t)p->config.dataplane.n_ports);
	if (!p->acceptor)
		return refuse("out of memory");
	for (uint32_t i = 0; i < p->config.dataplane.n_ports; i++)
		sl_ports_mac(&p->ports, i, queues[i * SL_QUEUES_PER_PORT].mac);
	self->instance = sl_store_root(&p->store)->instance;
	self->workers = (uint32_t)p->config.dataplane.n_cores;
	self->accepted = 0;
	self->pid = (uint32_t)getpid();
	return sl_liveness_begin(&self->alive) ? refuse("no life sign") : 0;
}

/* Backends become ready one generation after control has learnt of the ports. */
static int settle(struct path *p)
{
	const struct sl_backend *backend = p->store.base[SL_ARRAY_backends];
	uint64_t until = seconds() + WAIT_SECONDS;
	size_t all = 0;
	uint8_t mac[6];

	for (size_t i = 0; i < p->config.n_services; i++)
		all += p->config.service[i].n_backends;
	sl_ports_mac(&p->ports, 0, mac);
	while (seconds() < until) {
		const struct sl_root *root = sl_store_root(&p->store);
		const struct sl_service *s = p->store.base[SL_ARRAY_services];
		uint32_t places = p->store.count[SL_ARRAY_services], ready = 0;
		uint64_t generation;

		sl_acceptor_run(p->acceptor);
		usleep(LOOK_EVERY_MS * 1000);
		generation = __atomic_load_n(&root->generation, __ATOMIC_ACQUIRE);
		s += (generation & 1) * (places / 2);
		for (uint32_t i = 0; i < places / 2; i++) {
			for (uint32_t b = 0; s[i].endpoint && b < s[i].n_backends; b++) {
				const struct sl_backend *at = &backend[s[i].backends + b];

				ready += at->flags & SL_BACKEND_RESOLVED &&
					 !memcmp(at->src_mac, mac, sizeof(mac));
			}
		}
		if (ready == all)
			return 0;
	}
	return refuse("the backends don't become ready");
}

static int stage_loop(void *arg)
{
	struct path *p = arg;

	p->cycles = sl_stage_loop(&p->run, p->stage, &p->packets);
	return 0;
}

/* Runs on the measured core until it ends; this core answers control meanwhile. */
static int launch(struct path *p, lcore_function_t *function, void *arg)
{
	if (rte_eal_remote_launch(function, arg, LCORE) != 0)
		return refuse("the core is busy");
	while (rte_eal_get_lcore_state(LCORE) == RUNNING) {
		sl_acceptor_run(p->acceptor);
		usleep(LOOK_EVERY_MS * 1000);
	}
	return rte_eal_wait_lcore(LCORE);
}

static const struct rte_eth_rxtx_callback *generate(struct path *p, enum sl_order order,
						    uint64_t packets)
{
	p->generator.order = order;
	p->generator.left = packets;
	atomic_store(&p->stop, false);
	return rte_eth_add_rx_callback(p->run.rx[0].device, p->run.rx[0].queue, sl_generator_fill,
				       &p->generator);
}

static void generate_no_more(struct path *p, const struct rte_eth_rxtx_callback *callback)
{
	rte_eth_remove_rx_callback(p->run.rx[0].device, p->run.rx[0].queue, callback);
	rte_free((void *)(uintptr_t)callback);
}

static int staged(struct path *p, enum sl_stage stage, uint64_t packets, bool generated,
		  enum sl_order order)
{
	const struct rte_eth_rxtx_callback *callback =
		generated ? generate(p, order, packets) : NULL;
	int err;

	if (generated && !callback)
		return refuse("DPDK was built without callbacks");
	p->stage = stage;
	p->packets = packets;
	atomic_store(&p->stop, false);
	err = launch(p, stage_loop, p);
	if (generated)
		generate_no_more(p, callback);
	if (!err)
		printf("{\"packets\": %lu, \"cycles\": %lu}\n", p->packets, p->cycles);
	return err;
}

static void count(const struct path *p, struct count *c)
{
	const struct sl_worker *worker = p->store.base[SL_ARRAY_workers];
	const struct sl_reason_counters *counters = p->store.base[SL_ARRAY_reason_counters];
	const struct sl_service_counters *services = p->store.base[SL_ARRAY_service_counters];
	uint32_t writers = p->store.count[SL_ARRAY_reason_counters];

	*c = (struct count){ .cycles = worker->cycles_all,
			     .packets = worker->packets,
			     .restarts = worker->restarts };
	for (uint32_t i = 0; i < p->store.count[SL_ARRAY_service_counters] / writers; i++) {
		c->tracked += services[i].tracked;
		c->untrackable += services[i].untrackable;
	}
	for (int i = 0; i < SL_REASON_COUNT; i++)
		c->reason[i] = counters->packets[i];
}

/* How many backends got packets, and how many packets in all, since the instance was made. */
static uint32_t used(const struct path *p, uint64_t *packets)
{
	const struct sl_backend_counters *traffic = p->store.base[SL_ARRAY_backend_counters];
	uint32_t n = p->store.count[SL_ARRAY_backend_counters] /
		     p->store.count[SL_ARRAY_reason_counters],
		 found = 0;

	*packets = 0;
	for (uint32_t i = 0; i < n; i++) {
		found += traffic[i].packets_in + traffic[i].packets_out != 0;
		*packets += traffic[i].packets_in + traffic[i].packets_out;
	}
	return found;
}

static void report(const struct path *p, const struct count *from, const struct count *to)
{
	uint64_t to_backends;
	uint32_t backends = used(p, &to_backends);

	printf("{\"packets\": %lu, \"cycles\": %lu, \"restarts\": %lu, \"tracked\": %lu, "
	       "\"untrackable\": %lu, \"backends_used\": %u, \"all_packets\": %lu, "
	       "\"all_to_backends\": %lu, \"checked\": %lu, \"wrong\": %lu, \"strangers\": %lu, "
	       "\"forms\": [%lu, %lu, %lu, %lu, %lu, %lu], \"reasons\": {",
	       to->packets - from->packets, to->cycles - from->cycles,
	       to->restarts - from->restarts, to->tracked - from->tracked,
	       to->untrackable - from->untrackable, backends, to->packets, to_backends,
	       p->sink.frames, p->sink.wrong, p->generator.strangers - p->strangers,
	       p->sink.form[SL_FORM_NAT], p->sink.form[SL_FORM_DIRECT], p->sink.form[SL_FORM_IPIP],
	       p->sink.form[SL_FORM_GUE], p->sink.form[SL_FORM_REPLY],
	       p->sink.form[SL_FORM_FULLNAT]);
	for (int i = 0, n = 0; i < SL_REASON_COUNT; i++)
		if (to->reason[i] != from->reason[i])
			printf("%s\"%s\": %lu", n++ ? ", " : "", reason_name[i],
			       to->reason[i] - from->reason[i]);
	puts("}}");
}

static int work(struct path *p, uint64_t packets, enum sl_order order, bool check)
{
	const struct rte_eth_rxtx_callback *callback = generate(p, order, packets), *looking = NULL;
	const struct sl_lane *tx = &p->run.tx[0];
	struct count from, to;
	int err;

	if (!callback)
		return refuse("DPDK was built without callbacks");
	if (check)
		looking = rte_eth_add_tx_callback(tx->device, tx->queue, sl_sink_check, &p->sink);
	p->strangers = p->generator.strangers;
	count(p, &from);
	err = launch(p, sl_worker_main, &p->run);
	count(p, &to);
	generate_no_more(p, callback);
	if (looking) {
		rte_eth_remove_tx_callback(tx->device, tx->queue, looking);
		rte_free((void *)(uintptr_t)looking);
	}
	if (p->sink.wrong)
		fprintf(stderr, "sluice-bench-path: a frame that left is wrong: %s\n",
			p->sink.first);
	if (!err)
		report(p, &from, &to);
	return err;
}

/* Each flow once, or N SYNs of strangers. A flow of full NAT begins with a SYN and nothing else. */
static int once(struct path *p, uint64_t packets, bool strangers)
{
	struct sl_generator *g = &p->generator, saved = *g;
	int err;

	g->next = strangers ? SL_STRANGERS + g->strangers : 0;
	if (strangers || p->config.service[0].mode == SL_MODE_FULLNAT)
		g->usual = g->syn;
	err = work(p, packets, SL_ORDER_ONCE, false);
	g->usual = saved.usual;
	g->next = saved.next;
	g->strangers = saved.strangers + (strangers ? packets + SL_BURST : 0);
	return err;
}

static void report_storm(const struct path *p)
{
	const struct sl_storm *s = &p->storm;

	printf("{\"frames\": %lu, \"generations\": %lu, \"later\": %lu, \"torn\": %lu, "
	       "\"differ\": %u, \"restarts\": %lu, \"first\": \"%s\"}\n",
	       s->frames, s->generations, s->later, s->torn,
	       sl_storm_differ(s, RTE_MIN(p->generator.flows, (uint32_t)SL_STORM_FLOWS)),
	       s->self->restarts, s->first);
}

static bool knock(struct path *p)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (p->wake > 0)
		return true;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dataplane.wake", p->config.run_dir);
	p->wake = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return p->wake > 0 && bind(p->wake, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

/* Runs until a line comes, and answers control's proposals meanwhile. */
static void answer_proposals(struct path *p)
{
	struct pollfd fd[] = { { .fd = STDIN_FILENO, .events = POLLIN },
			       { .fd = p->wake, .events = POLLIN } };
	char byte;

	while (!fd[0].revents && rte_eal_get_lcore_state(LCORE) == RUNNING) {
		poll(fd, 2, 100);
		while (recv(p->wake, &byte, 1, 0) > 0)
			;
		sl_acceptor_run(p->acceptor);
	}
}

static int storm(struct path *p, uint64_t packets, bool learn)
{
	const struct sl_lane *tx = &p->run.tx[0];
	const struct rte_eth_rxtx_callback *source, *check;
	int err = 0;

	if (!knock(p))
		return refuse("no socket for control to knock at");
	source = generate(p, p->order, packets);
	check = rte_eth_add_tx_callback(tx->device, tx->queue, sl_storm_check, &p->storm);
	p->storm.learn = learn;
	if (learn) {
		err = launch(p, sl_worker_main, &p->run);
	} else {
		if (rte_eal_remote_launch(sl_worker_main, &p->run, LCORE) != 0)
			return refuse("the core is busy");
		answer_proposals(p);
		atomic_store(&p->stop, true);
		err = rte_eal_wait_lcore(LCORE);
	}
	generate_no_more(p, source);
	rte_eth_remove_tx_callback(tx->device, tx->queue, check);
	rte_free((void *)(uintptr_t)check);
	if (!err)
		report_storm(p);
	return err;
}

static int together(struct path *p, const char *what, uint32_t n, uint64_t packets)
{
	bool workers = !strcmp(what, "together");

	if (!sl_together_begin(&p->together, n, packets, workers, strcmp(what, "ios") != 0))
		return refuse("there aren't so many workers, or a core is busy");
	while (!sl_together_done(&p->together, n)) {
		sl_acceptor_run(p->acceptor);
		usleep(LOOK_EVERY_MS * 1000);
	}
	return sl_together_report(&p->together, n, workers)
		       ? 0
		       : refuse("not all packets went their way");
}

static int obey(struct path *p, const char *line)
{
	char word[16] = "", name[16] = "";
	uint32_t workers = 0;
	uint64_t n = 0;

	if (sscanf(line, "stage %15s %lu", name, &n) == 2 && n && sl_stage_named(name) != SL_STAGES)
		return staged(p, sl_stage_named(name), n, true, p->order);
	if (sscanf(line, "%15s %u %lu", word, &workers, &n) == 3 &&
	    (!strcmp(word, "together") || !strcmp(word, "floors") || !strcmp(word, "ios")))
		return together(p, word, workers, n);
	n = 0;
	if (sscanf(line, "%15s %lu", word, &n) < 1)
		return refuse("an empty line");
	if (!strcmp(word, "fill"))
		return once(p, p->generator.flows, false);
	if (!strcmp(word, "clear")) {
		memset(p->store.base[SL_ARRAY_flows], 0, p->store.bytes[SL_ARRAY_flows]);
		puts("{}");
		return 0;
	}
	if (!strcmp(word, "pace")) {
		p->generator.flood_every = n ? rte_get_tsc_hz() / n : 0;
		p->generator.flood_next = 0;
		puts("{}");
		return 0;
	}
	if (!strcmp(word, "storm"))
		return storm(p, UINT64_MAX, false);
	if (!n)
		return refuse("what is written at the top of bench/path.c is understood");
	if (!strcmp(word, "io"))
		return staged(p, SL_STAGE_IO, n, false, p->order);
	if (!strcmp(word, "floor"))
		return staged(p, SL_STAGE_IO, n, true, p->order);
	if (!strcmp(word, "worker"))
		return work(p, n, p->order, false);
	if (!strcmp(word, "check"))
		return work(p, n, p->order, true);
	if (!strcmp(word, "learn"))
		return storm(p, n, true);
	if (!strcmp(word, "syns"))
		return once(p, n, true);
	return refuse("no such command");
}

static int serve(struct path *p)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[64];
	int err = 0;

	setvbuf(stdin, NULL, _IONBF, 0); /* unbuffered, or poll() would miss what stdio has read */
	printf("{\"hz\": %lu}\n", rte_get_tsc_hz());
	fflush(stdout);
	while (!err) {
		while (poll(&in, 1, LOOK_EVERY_MS) == 0)
			sl_acceptor_run(p->acceptor);
		if (!fgets(line, sizeof(line), stdin) || !strcmp(line, "quit\n"))
			break;
		err = obey(p, line);
		fflush(stdout);
	}
	return err;
}

/* The services of one VIP, to which the generator deals its flows. */
static bool are_in_a_row(const struct sl_config *config)
{
	const struct sl_config_service *s = config->service;
	size_t n = config->n_services;

	for (size_t i = 0; i < n && n > 1; i++)
		if (!sl_addr_equal(&s[i].vip, &s->vip) || s[i].port != s->port + i ||
		    s[i].protocol != SL_PROTO_TCP || !sl_addr_is4(&s->vip))
			return false;
	return n && n <= UINT16_MAX && !(n & (n - 1));
}

static int start(struct path *p, uint32_t flows, const struct traffic *traffic)
{
	const struct sl_config_service *s = &p->config.service[0];
	char error[SL_ERROR_MAX];
	uint8_t mac[6];

	if (!are_in_a_row(&p->config) || p->config.dataplane.n_ports != 1 ||
	    !p->config.n_next_hops ||
	    (s->protocol == SL_PROTO_UDP) != (traffic->order == SL_ORDER_DATAGRAMS))
		return refuse("wants a configuration of one port, a next hop, and one service of "
			      "the traffic's protocol or a power of two of them, port by port");
	if (attach(p) || start_eal(&p->config))
		return REFUSED;
	if (sl_ports_start(&p->ports, &p->config, error) != 0)
		return refuse(error);
	p->run = (struct sl_worker_run){ .store = &p->store, .stop = &p->stop, .n_ports = 1 };
	p->run.n_rx = sl_ports_deal(&p->ports, 0, p->run.rx, RTE_DIM(p->run.rx), p->run.tx);
	p->sink.config = &p->config;
	p->storm.config = &p->config;
	p->storm.root = sl_store_root(&p->store);
	p->storm.self = p->store.base[SL_ARRAY_workers];
	sl_ports_mac(&p->ports, 0, mac);
	if (traffic->order == SL_ORDER_REPLIES)
		sl_generator_init(&p->generator, &s->backend[0].addr, sl_htons(s->backend[0].port),
				  mac, false, false);
	else
		sl_generator_init(&p->generator, &s->vip, sl_htons(s->port), mac, traffic->syn,
				  traffic->order == SL_ORDER_DATAGRAMS);
	p->order = traffic->order;
	if (traffic->order != SL_ORDER_REPLIES)
		p->generator.more_ports = (uint16_t)(p->config.n_services - 1);
	p->generator.flows = flows;
	p->generator.stop = &p->stop;
	p->generator.order = traffic->order;
	sl_together_init(&p->together, &p->store, &p->ports, (uint32_t)p->config.dataplane.n_cores,
			 &p->generator);
	return announce(p) || settle(p) ? REFUSED : 0;
}

static const struct traffic *counter_id_named(const char *name)
{
	for (size_t i = 0; i < RTE_DIM(TRAFFIC); i++)
		if (!strcmp(TRAFFIC[i].name, name))
			return &TRAFFIC[i];
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "flows", required_argument, NULL, 'f' },
						 { "traffic", required_argument, NULL, 't' },
						 { 0 } };
	const struct traffic *traffic = &TRAFFIC[0];
	static struct path p;
	char error[SL_ERROR_MAX];
	const char *file = NULL;
	uint32_t flows = 1;
	int option, status;

	while ((option = getopt_long(argc, argv, "c:f:t:", options, NULL)) != -1) {
		if (option == 'c')
			file = optarg;
		else if (option == 'f')
			flows = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option == 't')
			traffic = counter_id_named(optarg);
		else
			return SL_EXIT_USAGE;
	}
	if (!file || optind != argc || !flows || !traffic) {
		fputs("usage: sluice-bench-path -c FILE [--flows N] [--traffic "
		      "steady|new|churn|flood|udp|replies]\n"
		      "  --flows N  so many flows in random order\n",
		      stderr);
		return SL_EXIT_USAGE;
	}
	if (sl_config_read(file, &p.config, error) != 0) {
		refuse(error);
		return SL_EXIT_CONFIG;
	}
	status = start(&p, flows, traffic) || serve(&p);
	return status ? SL_EXIT_FAILED : SL_EXIT_OK;
}
