/* SPDX-License-Identifier: BSD-2-Clause */
/* Readers decide packets while the tables change under them as fast as they can.
 *
 * A publisher goes through the stores of control/tables/publish.c, 100,000 times: the idle bank's
 * sequence word odd, its records written, even, one store of the generation. Everything that
 * generation g publishes says g: each small record, the slots (which of the backends has them), the
 * one backend that isn't a trap, its addresses and checksum deltas. Extents rest until every reader
 * has acknowledged a later generation, as control/model/extent.c has it.
 *
 * Two readers take real frames through engine/seam.h and core/. What a decision rewrote, and what
 * was read before sl_seam_current() said yes, must all be of the generation that the reader looked
 * at. Anything else counts as a restart if sl_seam_current() says no, and as a failure if not. Now
 * and then a reader sleeps between look and decision, for some publishes to pass it by.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "world.h"

#define VIP	 0x0a000001u
#define PORT	 80
#define BACKENDS 8   /* of a generation's extent; one isn't a trap */
#define EXTENTS	 128 /* of each kind: so many generations can rest */
#define PLACES	 64
#define ROWS	 16

enum { PUBLISHES = 100000, READERS = 2, SLEEP_EVERY = 32 };

static struct world world;
static struct sl_table_block blocks[EXTENTS];
static struct sl_backend backends[EXTENTS * BACKENDS];

struct reader {
	uint32_t number;
	uint64_t decided, restarts, torn;
	uint64_t generations; /* that it saw change */
};

static uint32_t the_backend(uint64_t generation)
{
	return (uint32_t)(generation % BACKENDS) + 1;
}

static uint32_t the_place(uint64_t seed)
{
	union sl_addr vip = sl_addr4(sl_htonl(VIP));

	return sl_cuckoo_first(
		sl_cuckoo_hash(&vip, sl_endpoint(sl_htons(PORT), SL_PROTO_TCP), seed), PLACES);
}

/* What the frame is once a decision of that generation has rewritten it. */
static struct sl_backend backend_of(uint64_t generation)
{
	uint64_t twice = generation * 0x9e3779b97f4a7c15ull;
	struct sl_backend b = {
		.flags = SL_BACKEND_SERVES | SL_BACKEND_TAKES_NEW | SL_BACKEND_RESOLVED,
		.addr = sl_addr4((sl_be32)(generation * 7)),
		.port = (sl_be16)generation,
		.ip_delta = (uint16_t)(generation * 3),
		.l4_delta = (uint16_t)(generation * 5),
		.egress = (uint16_t)(generation & 7),
		.mtu = 1500,
	};

	memcpy(b.dst_mac, &generation, 6);
	memcpy(b.src_mac, &twice, 6);
	return b;
}

static void write_extents(uint64_t generation)
{
	uint32_t e = generation % EXTENTS;

	for (uint32_t i = 0; i < ROWS; i++)
		blocks[e].slot[i] = sl_slot(the_backend(generation), 0, SL_SLOT_CLOSED);
	memset(&backends[e * BACKENDS], 0, BACKENDS * sizeof(*backends));
	backends[e * BACKENDS + the_backend(generation) - 1] = backend_of(generation);
}

static void write_bank(struct sl_bank *bank, uint64_t generation)
{
	uint32_t at = generation & 1, e = generation % EXTENTS;
	struct sl_service *services =
		(struct sl_service *)world.store.base[SL_ARRAY_services] + (size_t)at * PLACES;
	struct sl_reply_entry *replies =
		(struct sl_reply_entry *)world.store.base[SL_ARRAY_reply_entries] +
		(size_t)at * PLACES;
	struct sl_route *routes =
		(struct sl_route *)world.store.base[SL_ARRAY_routes] + (size_t)at * PLACES;

	bank->seed = generation;
	bank->services = (uint32_t)generation;
	memset(services, 0, PLACES * sizeof(*services));
	services[the_place(generation)] = (struct sl_service){
		.vip = sl_addr4(sl_htonl(VIP)),
		.endpoint = sl_endpoint(sl_htons(PORT), SL_PROTO_TCP),
		.slot_endpoint = sl_endpoint(sl_htons(PORT), SL_PROTO_TCP),
		.id = 1,
		.n_backends = BACKENDS,
		.slots = e,
		.slot_mask = ROWS - 1,
		.backends = e * BACKENDS,
	};
	for (uint32_t i = 0; i < PLACES; i++) {
		replies[i].counter_id = (uint32_t)generation;
		routes[i].mtu = (uint32_t)generation;
	}
	bank->generation = generation;
}

/* Generation e - EXTENTS had this extent, and who acknowledged a later one uses it no more. */
static void wait_for_extent(uint64_t generation)
{
	const struct sl_worker *w = world.store.base[SL_ARRAY_workers];

	for (int r = 0; r < READERS; r++)
		while (generation > EXTENTS &&
		       __atomic_load_n(&w[r].generation, __ATOMIC_ACQUIRE) <= generation - EXTENTS)
			sched_yield();
}

/* The stores of sl_publish() and commit(), in their order. */
static void publish(uint64_t generation)
{
	struct sl_bank *bank = &world.root->bank[generation & 1];

	wait_for_extent(generation);
	__atomic_store_n(&bank->seq, bank->seq | 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	write_extents(generation);
	write_bank(bank, generation);
	__atomic_store_n(&bank->seq, bank->seq + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&world.root->proposed, generation, __ATOMIC_RELEASE);
	__atomic_store_n(&world.root->generation, generation, __ATOMIC_RELEASE);
}

/* Whether the rewritten frame is that generation's, to the checksums. */
static bool is_whole(const struct frame *before, const struct frame *after, uint64_t generation,
		     uint16_t egress)
{
	struct sl_backend b = backend_of(generation);
	struct frame want = *before;
	struct sl_ip4 *ip = (struct sl_ip4 *)(want.bytes + want.l3);
	struct sl_tcp *tcp = (struct sl_tcp *)(want.bytes + want.l4);

	memcpy(want.bytes, b.dst_mac, 6);
	memcpy(want.bytes + 6, b.src_mac, 6);
	ip->dst = b.addr.w[3];
	ip->ttl--;
	ip->csum = sl_csum_apply(ip->csum, (uint32_t)b.ip_delta + 0xfffe);
	tcp->dst = b.port;
	tcp->csum = sl_csum_apply(tcp->csum, b.l4_delta);
	return egress == b.egress && !memcmp(want.bytes, after->bytes, want.length);
}

/* What stands in the bank beside the service, read by hand. */
static bool bank_is_whole(const struct sl_tables *t, uint32_t place)
{
	uint32_t g = (uint32_t)t->generation, head = t->bank->services;
	uint64_t named = t->bank->generation, seed = t->bank->seed;
	uint32_t reply = sl_seam_reply_entry(t, place)->counter_id;
	uint32_t route = sl_seam_route(t, place)->mtu;

	return !sl_seam_current(t) || (head == g && named == t->generation &&
				       seed == t->generation && reply == g && route == g);
}

static void decide(struct reader *r, struct sl_tables *t, const struct frame *frame)
{
	struct frame f = *frame;
	struct sl_packet p = { f.bytes, f.bytes + f.length, NULL, f.length, 0, 0 };
	static _Thread_local struct sl_one_packet one_packet;
	enum sl_reason reason;
	uint16_t egress = 0;

	sl_one_packet_classify(&one_packet, t, &p);
	if (r->decided % SLEEP_EVERY == 1)
		sched_yield();
	reason = sl_one_packet_route(&one_packet, t, &p, &egress);
	r->decided++;
	if (reason == SL_REASON_to_backend)
		r->torn += !is_whole(frame, &f, t->generation, egress);
	else if (reason == SL_REASON_torn_table || !sl_seam_current(t))
		r->restarts++;
	else
		r->torn++;
	r->torn += !bank_is_whole(t, r->decided % PLACES);
}

static void *read_tables(void *arg)
{
	struct reader *r = arg;
	struct sl_worker *self = (struct sl_worker *)world.store.base[SL_ARRAY_workers] + r->number;
	struct sl_tables *t = &world.queue[r->number];
	struct frame_spec spec = { .src = 0xc6336407u, .sport = 1025, .dst = VIP, .dport = PORT };
	uint64_t last = 0;

	while (last < PUBLISHES) {
		struct frame frame;

		spec.sport++;
		frame_build(&frame, &spec);
		if (!sl_tables_snapshot(t, &world.store))
			continue;
		r->generations += t->generation != last;
		last = t->generation;
		__atomic_store_n(&self->generation, last, __ATOMIC_RELEASE);
		if (r->decided % SLEEP_EVERY == 0)
			sched_yield();
		decide(r, t, &frame);
	}
	/* Nothing is in use here any more. */
	__atomic_store_n(&self->generation, UINT64_MAX, __ATOMIC_RELEASE);
	return NULL;
}

/* The world's own extents are too few to let any rest. */
static void more_extents(void)
{
	struct sl_store *store = &world.store;

	free(store->base[SL_ARRAY_table_blocks]);
	free(store->base[SL_ARRAY_backends]);
	store->base[SL_ARRAY_table_blocks] = blocks;
	store->count[SL_ARRAY_table_blocks] = EXTENTS;
	store->base[SL_ARRAY_backends] = backends;
	store->count[SL_ARRAY_backends] = EXTENTS * BACKENDS;
	for (uint32_t r = 0; r < READERS; r++)
		sl_tables_init(&world.queue[r], store, r);
}

static void test_torn(void **state)
{
	struct reader reader[READERS] = { 0 };
	pthread_t thread[READERS];

	(void)state;
	assert_int_equal(world_make(&world, 16), 0);
	more_extents();
	for (uint32_t r = 0; r < READERS; r++) {
		reader[r].number = r;
		assert_int_equal(pthread_create(&thread[r], NULL, read_tables, &reader[r]), 0);
	}
	for (uint64_t g = 1; g <= PUBLISHES; g++) {
		publish(g);
		for (uint64_t i = 0; i < g % 256; i++)
			_mm_pause(); /* or readers would never see a bank that stands still */
	}
	for (int r = 0; r < READERS; r++) {
		assert_int_equal(pthread_join(thread[r], NULL), 0);
		printf("reader %d: %" PRIu64 " packets, %" PRIu64 " generations seen, %" PRIu64
		       " restarts, %" PRIu64 " torn\n",
		       r, reader[r].decided, reader[r].generations, reader[r].restarts,
		       reader[r].torn);
	}
	for (int r = 0; r < READERS; r++) {
		assert_int_equal(reader[r].torn, 0);
		assert_true(reader[r].decided > 1000);
		assert_true(reader[r].restarts > 0); /* or nothing was tried */
	}
	world.store.base[SL_ARRAY_table_blocks] = world.store.base[SL_ARRAY_backends] = NULL;
	world_free(&world);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
