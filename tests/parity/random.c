/* SPDX-License-Identifier: BSD-2-Clause */
/* Both engines over the same random tables and packets: verdict, reason, bytes, and what they leave
 * in the flow table and the counters have to be the same after every packet. As root:
 *
 *     random [CASES [SEED]]
 *
 * The last line is "random: seed=N cases=N different=N". Status 1 if any differ, 77 (skipped)
 * without the rights to load a program.
 *
 * Both engines are told the time, which stands still for a case and goes on by up to hours between
 * two.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../control/replay/engine.h"
#include "../../control/replay/memory.h"
#include "chance.h"

enum {
	CASES = 120000,
	CASES_PER_TABLE = 200,
	REPORTS = 10, /* differences that are printed */
	SKIPPED = 77,
};

/* What engines write and what is compared: the whole array, or the writer's share of it. The
 * counters of reasons are left alone, since the XDP side tells the reason by them. */
enum {
	FLOWS,
	FRAGMENTS,
	TRAFFIC,
	SERVICES,
	WANTED,
	LIMITS,
	LEASES,
	BITTEN,
	BALANCES,
	METERS,
	BINDINGS,
	BOUND,
	LEARNED,
	WRITTEN
};

static const struct {
	enum sl_array array;
	bool shared;
	const char *name;
} written[WRITTEN] = {
	[FLOWS] = { SL_ARRAY_flows, true, "flow table" },
	[FRAGMENTS] = { SL_ARRAY_fragments, true, "fragments" },
	[TRAFFIC] = { SL_ARRAY_backend_counters, false, "traffic of backends" },
	[SERVICES] = { SL_ARRAY_service_counters, false, "counters of services" },
	[WANTED] = { SL_ARRAY_neigh_requests, false, "wishes" },
	[LIMITS] = { SL_ARRAY_limit_counters, false, "counters of limits" },
	[LEASES] = { SL_ARRAY_leases, false, "leases" },
	[BITTEN] = { SL_ARRAY_most_limited, false, "record of who was limited" },
	[BALANCES] = { SL_ARRAY_shared_buckets, true, "balances" },
	[METERS] = { SL_ARRAY_meters, true, "meters" },
	[BINDINGS] = { SL_ARRAY_snat_ports, true, "bindings" },
	[BOUND] = { SL_ARRAY_snat_clients, true, "clients of bindings" },
	[LEARNED] = { SL_ARRAY_learned, true, "neighbours that were heard" },
};

/* One side: an engine over its own copy of the tables. */
struct side {
	const struct sl_engine_kind *kind;
	struct sl_store store;
	struct sl_replay_engine *engine;
};

struct bench {
	struct world world; /* the tables of `dpdk` are its own */
	struct side dpdk, xdp;
	uint64_t state;
	uint64_t now;	 /* ticks */
	struct frame in; /* the packet at hand, from which the next may be made */
	uint64_t cases, different, tables;
	uint64_t reasons[SL_REASON_COUNT];
	uint64_t moved, untrackable;
};

struct outcome {
	uint8_t bytes[SL_FRAME_ROOM + FRAME_MAX];
	uint32_t length;
	int reason;
	bool back;
};

static const char *const reason_name[SL_REASON_COUNT] = {
#define NAME(name, verdict, help) #name,
	SL_REASONS(NAME)
#undef NAME
};

/* The writer's share of an array, or all of it. */
static void *share(const struct side *s, int i, size_t *bytes)
{
	enum sl_array array = written[i].array;
	uint32_t writers = s->store.count[SL_ARRAY_reason_counters], n = s->store.count[array];
	size_t record = sl_store_root(&s->store)->record_size[array];
	uint32_t writer = s->kind->writer(s->engine);

	if (written[i].shared) {
		*bytes = n * record;
		return s->store.base[array];
	}
	*bytes = n / writers * record;
	return (char *)s->store.base[array] + writer * *bytes;
}

/* What differs; NULL: nothing. */
static const char *memory_differs(const struct bench *b)
{
	for (int i = 0; i < WRITTEN; i++) {
		size_t bytes;
		const void *x = share(&b->dpdk, i, &bytes), *y = share(&b->xdp, i, &bytes);

		if (memcmp(x, y, bytes) != 0)
			return written[i].name;
	}
	return NULL;
}

/* One packet by one engine. */
static struct outcome decide(const struct side *s, const struct frame *in, uint64_t now)
{
	uint8_t bytes[SL_FRAME_ROOM + FRAME_MAX];
	struct sl_frame frame = { .data = bytes + SL_FRAME_ROOM, .length = in->length };
	struct outcome o = { 0 };

	memcpy(frame.data, in->bytes, in->length);
	o.reason = s->kind->decide(s->engine, &frame, now);
	o.back = frame.back;
	o.length = frame.length;
	memcpy(o.bytes, frame.data, frame.length);
	return o;
}

/* What differs; NULL: nothing. */
static const char *differs(const struct bench *b, const struct outcome *dpdk,
			   const struct outcome *xdp)
{
	if (dpdk->reason != xdp->reason)
		return "reason";
	if (dpdk->length != xdp->length || memcmp(dpdk->bytes, xdp->bytes, xdp->length) != 0)
		return "bytes";
	if (sl_reason_leaves((unsigned)xdp->reason) && dpdk->back != xdp->back)
		return "port";
	return memory_differs(b);
}

static void print_frame(const char *what, const uint8_t *bytes, uint32_t length)
{
	printf("  %s ", what);
	for (uint32_t i = 0; i < length; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

static void report(const struct bench *b, const char *what, const struct frame *in,
		   const struct outcome *dpdk, const struct outcome *xdp)
{
	printf("case %" PRIu64 ": other %s: dpdk %s, xdp %s\n", b->cases, what,
	       reason_name[dpdk->reason], reason_name[xdp->reason]);
	print_frame("in  ", in->bytes, in->length);
	print_frame("dpdk", dpdk->bytes, dpdk->length);
	print_frame("xdp ", xdp->bytes, xdp->length);
}

/* Everything as it is on the dpdk side. */
static void copy_tables(struct bench *b)
{
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		if (b->xdp.store.count[i] == b->dpdk.store.count[i])
			memcpy(b->xdp.store.base[i], b->dpdk.store.base[i],
			       b->dpdk.store.count[i] *
				       sl_store_root(&b->dpdk.store)->record_size[i]);
	for (int i = 0; i < WRITTEN; i++) {
		size_t bytes;
		const void *from = share(&b->dpdk, i, &bytes);
		void *to = share(&b->xdp, i, &bytes);

		memcpy(to, from, bytes);
	}
}

static int one_case(struct bench *b)
{
	struct outcome dpdk, xdp;
	const char *what;

	if (chance_once(&b->state, 2) || !chance_fragment(&b->state, &b->in))
		chance_packet(&b->world, &b->state, &b->in);
	xdp = decide(&b->xdp, &b->in, b->now);
	if (xdp.reason < 0) {
		printf("case %" PRIu64 ": the program failed: %s\n", b->cases,
		       strerror(-xdp.reason));
		print_frame("in  ", b->in.bytes, b->in.length);
		return xdp.reason;
	}
	dpdk = decide(&b->dpdk, &b->in, b->now);
	what = differs(b, &dpdk, &xdp);
	b->cases++;
	b->reasons[xdp.reason]++;
	if (!what)
		return 0;
	if (b->different++ < REPORTS)
		report(b, what, &b->in, &dpdk, &xdp);
	copy_tables(b); /* one difference is reported once */
	return 0;
}

static void age(struct bench *b)
{
	static const uint32_t step_ms[] = { 0, 3, 40, 400, 4000 };

	b->now += chance_of(&b->state, step_ms[chance_of(&b->state, 5)] + 1) * CHANCE_MS +
		  chance_of(&b->state, CHANCE_MS);
}

static void collect(struct bench *b)
{
	size_t bytes;
	const struct sl_service_counters *counters = share(&b->dpdk, SERVICES, &bytes);

	for (size_t i = 0; i < bytes / sizeof(*counters); i++) {
		b->moved += counters[i].moved;
		b->untrackable += counters[i].untrackable;
	}
}

/* New tables in the memory of the old. */
static void renew(struct bench *b)
{
	struct world *w = &b->world;
	struct sl_root *root = w->root;

	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		if (i != SL_ARRAY_root)
			memset(w->store.base[i], 0, w->store.count[i] * root->record_size[i]);
	memset(w->service, 0, sizeof(w->service));
	memset(w->route, 0, sizeof(w->route));
	w->services = w->routes = 0;
	w->exceptions = 0;
	b->now = 10000 * CHANCE_MS + world_random(&b->state) % (CHANCE_MS << 24);
	chance_tables(w, &b->state, b->now);
	b->tables++;
}

static int run_cases(struct bench *b, uint64_t cases)
{
	uint64_t end = b->cases + cases;
	int err = 0;

	for (uint64_t i = 0; b->cases < end && !err; i++) {
		if (i % CASES_PER_TABLE == 0) {
			if (i)
				collect(b);
			renew(b);
			copy_tables(b);
		} else if (chance_once(&b->state, 6)) {
			age(b);
		}
		err = one_case(b);
	}
	collect(b);
	return err;
}

/* As the world, with room for the counters of each CPU. */
static int make_xdp(struct bench *b, char error[SL_ERROR_MAX])
{
	static const enum sl_array per_writer[] = {
		SL_ARRAY_reason_counters, SL_ARRAY_backend_counters, SL_ARRAY_service_counters,
		SL_ARRAY_neigh_requests,  SL_ARRAY_limit_counters,   SL_ARRAY_leases,
		SL_ARRAY_most_limited
	};
	const struct sl_store *from = &b->world.store;
	uint32_t writers = from->count[SL_ARRAY_workers] + (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	uint32_t count[SL_ARRAY_COUNT];
	int err;

	memcpy(count, from->count, sizeof(count));
	for (size_t i = 0; i < sizeof(per_writer) / sizeof(per_writer[0]); i++)
		count[per_writer[i]] =
			count[per_writer[i]] / from->count[SL_ARRAY_reason_counters] * writers;
	err = sl_memory_make(&b->xdp.store, count, true, error);
	return err ? err : b->xdp.kind->open(&b->xdp.engine, &b->xdp.store, 0, error);
}

static void end(struct bench *b)
{
	if (b->xdp.engine)
		b->xdp.kind->close(b->xdp.engine);
	if (b->dpdk.engine)
		b->dpdk.kind->close(b->dpdk.engine);
	b->xdp.engine = b->dpdk.engine = NULL;
	sl_store_detach(&b->xdp.store);
	world_free(&b->world);
}

/* With a flow table of that many buckets. */
static int run_buckets(struct bench *b, uint32_t buckets, uint64_t cases)
{
	char error[SL_ERROR_MAX] = "out of memory";
	int err = world_make(&b->world, buckets);

	b->dpdk = (struct side){ .kind = &sl_engine_dpdk, .store = b->world.store };
	b->xdp = (struct side){ .kind = &sl_engine_xdp };
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		b->xdp.store.fd[i] = -1;
	if (!err)
		err = b->dpdk.kind->open(&b->dpdk.engine, &b->dpdk.store, 0, error);
	if (!err)
		err = make_xdp(b, error);
	if (err)
		printf("%s\n", error);
	else
		err = run_cases(b, cases);
	end(b);
	return err;
}

static void summary(const struct bench *b, uint64_t seed)
{
	printf("%" PRIu64 " tables;", b->tables);
	for (int i = 0; i < SL_REASON_COUNT; i++)
		if (b->reasons[i])
			printf(" %s %" PRIu64, reason_name[i], b->reasons[i]);
	printf("; entries moved %" PRIu64 ", untrackable %" PRIu64 "\n", b->moved, b->untrackable);
	printf("random: seed=%" PRIu64 " cases=%" PRIu64 " different=%" PRIu64 "\n", seed, b->cases,
	       b->different);
}

int main(int argc, char **argv)
{
	/* From one that is always full to one that never is. */
	static const uint32_t buckets[] = { 4, 24, 96 };
	uint64_t cases = argc > 1 ? strtoull(argv[1], NULL, 0) : CASES;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	static struct bench b;
	int err = 0;

	b.state = seed;
	for (size_t i = 0; i < 3 && !err; i++)
		err = run_buckets(&b, buckets[i], cases / 3 + 1);
	if (err == -EPERM)
		return SKIPPED;
	summary(&b, seed);
	return err || b.different;
}
