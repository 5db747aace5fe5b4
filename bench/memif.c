/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-bench-memif: the other end of a memif, on a core of its own. It sends frames at a given
 * rate, takes them back, and measures loss and latency.
 *
 *     sluice-bench-memif --flows N --vip ADDRESS --port PORT EAL-OPTION...
 *
 * scripts/bench-memif drives it line by line:
 *
 *     ready          waits until the other side has connected
 *     watch FILE     schedstat of another thread: whether it always had its core, as we had ours
 *     send PPS MS    sends PPS packets a second for MS milliseconds; PPS 0: as many as possible
 *     quit           as at the end of standard input
 *
 * It answers each line with one line of JSON. The frames are those of generator.h. The time at
 * which a burst was offered is stored in the six bytes of padding behind the TCP header, which
 * nobody modifies, and the receiver reads the clock once per burst. So a latency includes both
 * queues and the batching of both ends. A frame that finds no room in the ring was offered and
 * counts as lost.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "../dataplane/core/wire.h"
#include "generator.h"

enum {
	BURST = 32,
	BUFFERS = 16383,
	RING = 1024,
	STAMP = 54, /* offset behind the headers; 48 bits */
	SAMPLES = 1 << 20,
	DRAIN_MS = 20, /* after the last frame that came back */
};

struct run {
	uint64_t offered;
	uint64_t refused; /* of these lost because the ring was full */
	uint64_t received;
	uint64_t rewritten; /* of these with another destination than the VIP */
	uint64_t cycles;    /* from the first frame to the last that was offered */
	uint32_t samples;
	uint32_t every; /* frames per latency sample */
};

static struct sl_generator generator;
static char watched[2][64] = { "/proc/thread-self/schedstat" };
static struct rte_mempool *pool;
static uint32_t *sample; /* TSC */

static int fail(const char *what)
{
	fprintf(stderr, "sluice-bench-memif: %s\n", what);
	return -1;
}

static int start_port(void)
{
	const struct rte_eth_conf conf = { 0 };
	int err;

	pool = rte_pktmbuf_pool_create("frames", BUFFERS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       (int)rte_socket_id());
	sample = rte_malloc(NULL, SAMPLES * sizeof(*sample), 64);
	if (!pool || !sample)
		return fail("no memory");
	err = rte_eth_dev_configure(0, 1, 1, &conf);
	if (!err)
		err = rte_eth_rx_queue_setup(0, 0, RING, rte_socket_id(), NULL, pool);
	if (!err)
		err = rte_eth_tx_queue_setup(0, 0, RING, rte_socket_id(), NULL);
	if (!err)
		err = rte_eth_dev_start(0);
	return err ? fail("the port can't be started") : 0;
}

static int wait_for_link(void)
{
	struct rte_eth_link link;

	for (int ms = 0; ms < 10000; ms++) {
		if (rte_eth_link_get_nowait(0, &link) == 0 && link.link_status) {
			puts("{}");
			return 0;
		}
		usleep(1000);
	}
	return fail("nobody connects");
}

static void offer(struct run *r, uint64_t now, uint16_t n)
{
	struct rte_mbuf *frame[BURST];
	uint16_t sent;

	if (rte_pktmbuf_alloc_bulk(pool, frame, n) != 0)
		return; /* all buffers are in flight: not offered now, but later */
	for (uint16_t i = 0; i < n; i++)
		frame[i]->data_len = (uint16_t)(frame[i]->pkt_len = SL_FRAME);
	sl_generator_write(&generator, frame, n);
	for (uint16_t i = 0; i < n; i++)
		memcpy(rte_pktmbuf_mtod(frame[i], uint8_t *) + STAMP, &now, 6);
	sent = rte_eth_tx_burst(0, 0, frame, n);
	if (sent < n)
		rte_pktmbuf_free_bulk(frame + sent, n - sent);
	r->offered += n;
	r->refused += n - sent;
}

static uint16_t take(struct run *r)
{
	struct rte_mbuf *frame[BURST];
	uint16_t n = rte_eth_rx_burst(0, 0, frame, BURST);
	uint64_t now = rte_rdtsc();

	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *data = rte_pktmbuf_mtod(frame[i], const uint8_t *);
		const struct sl_ip4 *ip = (const void *)(data + sizeof(struct sl_eth));

		r->rewritten += ip->dst != generator.vip;
		if ((r->received + i) % r->every == 0 && r->samples < SAMPLES) {
			uint64_t then = 0;

			memcpy(&then, data + STAMP, 6);
			sample[r->samples++] = (uint32_t)((now - then) & 0xffffffffu);
		}
	}
	if (n)
		rte_pktmbuf_free_bulk(frame, n);
	r->received += n;
	return n;
}

/* frames of an earlier run that are still in flight */
static void drain(struct run *r)
{
	uint64_t quiet = rte_get_tsc_hz() / 1000 * DRAIN_MS, last = rte_rdtsc();

	while (rte_rdtsc() - last < quiet)
		if (take(r))
			last = rte_rdtsc();
}

/* Nanoseconds that our thread and the watched one were ready to run but didn't. */
static uint64_t waited(void)
{
	uint64_t sum = 0, ran, waited_ns;

	for (int i = 0; i < 2; i++) {
		FILE *file = watched[i][0] ? fopen(watched[i], "re") : NULL;

		if (file && fscanf(file, "%lu %lu", &ran, &waited_ns) == 2)
			sum += waited_ns;
		if (file)
			fclose(file);
	}
	return sum;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(const struct run *r, double share)
{
	uint32_t at = (uint32_t)(share * r->samples);

	if (!r->samples)
		return 0;
	return sample[at < r->samples ? at : r->samples - 1] * 1e6 / (double)rte_get_tsc_hz();
}

static void send_at(uint64_t pps, uint64_t ms)
{
	uint64_t hz = rte_get_tsc_hz(), span = hz / 1000 * ms, now, begin, others;
	struct run r = { .every = 1 }, before = { .every = 1 };
	double per_cycle = (double)pps / (double)hz;

	drain(&before);
	r.every = (uint32_t)(pps * ms / 1000 / SAMPLES) + 1;
	others = waited();
	begin = now = rte_rdtsc();
	for (; now - begin < span; now = rte_rdtsc()) {
		uint64_t due =
			pps ? (uint64_t)((double)(now - begin) * per_cycle) : r.offered + BURST;

		if (due > r.offered)
			offer(&r, now, (uint16_t)RTE_MIN(due - r.offered, (uint64_t)BURST));
		take(&r);
	}
	r.cycles = now - begin;
	drain(&r);
	others = waited() - others;
	qsort(sample, r.samples, sizeof(*sample), by_size);
	printf("{\"offered\": %lu, \"refused\": %lu, \"received\": %lu, \"rewritten\": %lu, "
	       "\"seconds\": %.6f, \"waited_ns\": %lu, \"p50_us\": %.2f, \"p99_us\": %.2f, "
	       "\"p999_us\": %.2f}\n",
	       r.offered, r.refused, r.received, r.rewritten, (double)r.cycles / (double)hz, others,
	       percentile_us(&r, 0.5), percentile_us(&r, 0.99), percentile_us(&r, 0.999));
}

static int serve(void)
{
	uint64_t pps, ms;
	char line[64];

	puts("{}");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0) {
		if (!strcmp(line, "ready\n")) {
			if (wait_for_link() != 0)
				return 1;
		} else if (sscanf(line, "watch %63s", watched[1]) == 1) {
			puts("{}");
		} else if (sscanf(line, "send %lu %lu", &pps, &ms) == 2) {
			send_at(pps, ms);
		} else {
			fail("no such command");
			return 1;
		}
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	union sl_addr vip;
	static const uint8_t mac[6] = { 2, 'g', 'a', 't', 'e', 0 };

	if (argc < 8 || strcmp(argv[1], "--flows") != 0 || strcmp(argv[3], "--vip") != 0 ||
	    strcmp(argv[5], "--port") != 0) {
		fputs("usage: sluice-bench-memif --flows N --vip ADDRESS --port PORT "
		      "EAL-OPTION...\n",
		      stderr);
		return 2;
	}
	vip = sl_addr4(inet_addr(argv[4]));
	sl_generator_init(&generator, &vip, htons((uint16_t)atoi(argv[6])), mac, false, false);
	generator.order = SL_ORDER_RANDOM;
	generator.flows = (uint32_t)strtoul(argv[2], NULL, 10);
	argv[6] = argv[0];
	if (rte_eal_init(argc - 6, argv + 6) < 0 || start_port() != 0)
		return 1;
	return serve();
}
