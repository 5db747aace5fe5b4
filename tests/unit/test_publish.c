/* SPDX-License-Identifier: BSD-2-Clause */
/* control/tables/publish.c and sweep.c over arrays in plain memory: the test is the engines, writes
 * their words and the entries of the flow table, and holds the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "../../control/tables/adopt.h"
#include "../../control/tables/counters.h"
#include "../../control/tables/instance.h"
#include "../../control/tables/publish.h"
#include "../../control/tables/records.h"
#include "../../control/tables/rescale.h"
#include "../../control/upkeep/sweep.h"
#include "../../dataplane/abi/liveness.h"

enum { MS = 1000000, IDLE_MS = 60000, BUCKETS = 300000 };

static uint64_t now_ns;
static void (*at_clock)(void); /* what engines do meanwhile */
static unsigned logged;

void sl_log(const char *format, ...);
uint64_t sl_clock_ns(void);

void sl_log(const char *format, ...)
{
	(void)format;
	logged++;
}

uint64_t sl_clock_ns(void)
{
	now_ns += 20000;
	if (at_clock)
		at_clock();
	return now_ns;
}

/* An instance of room for two services and four backends. */

static struct sl_control *c;
static char error[SL_ERROR_MAX];

static void *array(enum sl_array a)
{
	return c->store.base[a];
}

static struct sl_root *root(void)
{
	return sl_store_root(&c->store);
}

static struct sl_flow_timeouts *terms_of(uint32_t id)
{
	return (struct sl_flow_timeouts *)array(SL_ARRAY_flow_timeouts) + id;
}

#define RECORD_SIZE(name, record, writer) [SL_ARRAY_##name] = sizeof(record),

static int begin(void **state)
{
	static const size_t size[] = { SL_ARRAYS(RECORD_SIZE) };
	const struct sl_capacity capacity = { 2, 4, 1024, 1024, 8, 4, 4, 64, 1, 1, 1 };

	(void)state;
	c = calloc(1, sizeof(*c));
	sl_store_size(&capacity, c->store.count);
	c->store.count[SL_ARRAY_flows] = BUCKETS;
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		size_t bytes = (c->store.count[i] * size[i] + 127) / 128 * 128;

		c->store.base[i] = memset(aligned_alloc(128, bytes), 0, bytes);
	}
	now_ns = 1000ull * MS;
	root()->origin_ns = now_ns;
	root()->instance = 7;
	c->config.capacity = (struct sl_config_capacity){ 2, 4, 1024, 1024, 8, 4, 4, 64, 1 };
	c->config.dataplane.engine = SL_CONFIG_ENGINE_XDP;
	assert_int_equal(sl_instance_books(c), 0);
	assert_int_equal(sl_adopt(c, error), 0);
	c->sweep = sl_sweep_new(c);
	logged = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	at_clock = NULL;
	sl_sweep_free(c->sweep);
	sl_instance_close_books(c);
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		free(c->store.base[i]);
	free(c);
	return 0;
}

/* Changes */

static struct sl_config_service conf_of(uint16_t port)
{
	struct sl_config_service conf = { .protocol = IPPROTO_TCP,
					  .port = port,
					  .scheduler = "maglev",
					  .mode = SL_MODE_NAT,
					  .table_size = 256,
					  .idle_timeout_ms = IDLE_MS,
					  .vip = sl_addr4(sl_htonl(0xc6336401)) };

	return conf;
}

static struct sl_model_backend *add_backend(struct sl_model *m, struct sl_model_service *s,
					    uint32_t last)
{
	struct sl_config_backend conf = { .addr = sl_addr4(sl_htonl(0x0a010000 + last)),
					  .port = 80,
					  .weight = 1 };
	struct sl_model_backend *b;
	int err;

	b = sl_service_add(m, s, &conf, &err);
	if (!b)
		return NULL;
	b->known = true;
	b->hop.kind = SL_ROUTE_VIA;
	return b;
}

static struct sl_model_service *add_service(struct sl_model *m, uint16_t port)
{
	struct sl_config_service conf = conf_of(port);
	int err;

	return sl_model_add(m, &conf, sl_clock_ms(), &err);
}

static int publish(struct sl_model *next, struct sl_published *out)
{
	return sl_publish(c, next, out, error);
}

static void must_publish(struct sl_model *next)
{
	struct sl_published out;

	if (publish(next, &out) != 0)
		fail_msg("%s", error);
}

/* A service on port 80 with backends 1 and 2. */
static void serve(void)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_model_service *s = add_service(next, 80);

	add_backend(next, s, 1);
	add_backend(next, s, 2);
	must_publish(next);
}

static void remove_service(uint16_t port)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_config_service conf = conf_of(port);

	sl_model_remove(next, (size_t)sl_model_find_same(next, &conf), 0);
	must_publish(next);
}

static void set_state(uint32_t number, enum sl_backend_state state)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_model_service *s = sl_model_edit(next, 0);

	sl_backend_set_state(s, &s->backend[number - 1], state);
	must_publish(next);
}

/* Flow entries */

static struct sl_bucket *bucket(uint32_t at)
{
	return (struct sl_bucket *)array(SL_ARRAY_flows) + at;
}

static uint64_t tick(void)
{
	return (now_ns - root()->origin_ns) >> SL_TICK_SHIFT;
}

static void enter(uint32_t at, uint16_t service, uint32_t backend)
{
	bucket(at)->value[1] = sl_flow_value(backend, SL_FLOW_ESTABLISHED, tick());
	bucket(at)->key[1] = sl_flow_key4(service, sl_htonl(0xcb007101), sl_htons(4000));
}

/* Lets time pass, with ticks. */
static void pass(uint64_t ms)
{
	uint64_t until = now_ns + ms * MS;

	while (now_ns < until) {
		sl_sweep_tick(c->sweep);
		now_ns += 10 * MS;
	}
}

/* A worker: alive by its mutex, and by its heartbeat if at_clock is beat(). */

static struct sl_worker *worker(void)
{
	return array(SL_ARRAY_workers);
}

static void beat(void)
{
	worker()->heartbeat_ns = now_ns;
	worker()->generation = root()->generation;
	((struct sl_engine *)array(SL_ARRAY_engine))->accepted = root()->proposed;
}

static void begin_worker(void)
{
	struct sl_engine *e = array(SL_ARRAY_engine);

	e->instance = root()->instance;
	e->pid = worker()->pid = 1;
	e->workers = 1;
	assert_int_equal(sl_liveness_begin(&e->alive), 0);
	assert_int_equal(sl_liveness_begin(&worker()->alive), 0);
	at_clock = beat;
	beat();
}

static void end_worker(void)
{
	at_clock = NULL;
	sl_liveness_end(&worker()->alive);
	sl_liveness_end(&((struct sl_engine *)array(SL_ARRAY_engine))->alive);
}

/* Tests */

/* A pass over the table takes several ticks: what changes between two voids it. */
static void test_change_in_a_pass(void **state)
{
	(void)state;
	serve();
	set_state(2, SL_STATE_LEAVING);
	for (uint32_t at = 0; at < BUCKETS; at += 1000)
		enter(at, 1, 1 + at % 2);
	now_ns += 300ull * MS;
	sl_sweep_tick(c->sweep); /* the first slice */
	remove_service(80);
	sl_sweep_tick(c->sweep);
	pass(500);
	assert_int_equal(c->model->n, 0);
}

/* A timeout grows before the commit and shrinks after it; a change that is refused does neither. */

static uint64_t least;

static void watch_timeouts(void)
{
	uint64_t established = terms_of(1)->lifetime[SL_FLOW_ESTABLISHED];

	if (established < least)
		least = established;
}

static int change_timeout(uint32_t idle_ms, uint32_t more_backends)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_model_service *s = sl_model_edit(next, 0);
	struct sl_published out;

	s->conf.idle_timeout_ms = idle_ms;
	while (more_backends--)
		add_backend(next, s, 100 + more_backends);
	return publish(next, &out);
}

static void test_timeouts(void **state)
{
	struct sl_config_service conf = conf_of(80);
	struct sl_flow_timeouts live, less, more;

	(void)state;
	serve();
	live = sl_records_timeouts(&conf);
	conf.idle_timeout_ms = 1000;
	less = sl_records_timeouts(&conf);
	conf.idle_timeout_ms = 900000;
	more = sl_records_timeouts(&conf);
	assert_memory_equal(terms_of(1), &live, sizeof(live));
	assert_int_equal(change_timeout(1000, 3), -ENOSPC);
	assert_memory_equal(terms_of(1), &live, sizeof(live));
	assert_int_equal(change_timeout(900000, 3), -ENOSPC);
	assert_memory_equal(terms_of(1), &live, sizeof(live));
	assert_int_equal(change_timeout(900000, 0), 0);
	assert_memory_equal(terms_of(1), &more, sizeof(more));
	least = UINT64_MAX;
	at_clock = watch_timeouts; /* until it is acknowledged */
	assert_int_equal(change_timeout(1000, 0), 0);
	assert_int_equal(least, more.lifetime[SL_FLOW_ESTABLISHED]);
	assert_memory_equal(terms_of(1), &less, sizeof(less));
	remove_service(80);
	assert_int_equal(terms_of(1)->lifetime[SL_FLOW_ESTABLISHED], 0);
}

/* Where a worker lives, clearing entries is its job: ids and numbers rest as long as it takes. */
static void test_dead_entries_rest(void **state)
{
	(void)state;
	begin_worker();
	serve();
	enter(5, 1, 2);
	now_ns += 2ull * IDLE_MS * MS; /* it is dead */
	set_state(2, SL_STATE_GONE);
	pass(3 * IDLE_MS); /* windows close, slots settle */
	assert_int_equal(c->model->service[0]->backend[1].state, SL_STATE_GONE);
	assert_true(bucket(5)->key[1] != 0);
	bucket(5)->key[1] = 0; /* its turn */
	pass(1000);
	assert_int_equal(c->model->service[0]->n, 1);

	enter(7, 1, 1);
	remove_service(80);
	pass(3 * IDLE_MS);
	assert_true(sl_bit(c->model->quarantined, 1));
	end_worker();
	pass(1000);
	assert_int_equal(bucket(7)->key[1], 0);
	assert_false(sl_bit(c->model->quarantined, 1));
	assert_false(sl_bit(c->model->ids, 1));
}

/* Control alone clears what is long dead, and only that. */
static void test_control_clears(void **state)
{
	uint64_t busy = sl_flow_key(1, 4711) | SL_FLOW_BUSY;

	(void)state;
	serve();
	set_state(2, SL_STATE_GONE);
	enter(1, 1, 2);
	now_ns += (uint64_t)IDLE_MS * MS;
	enter(2, 1, 2);
	bucket(3)->key[0] = busy;
	pass(IDLE_MS / 2);
	assert_int_equal(bucket(1)->key[1], 0);
	assert_true(bucket(2)->key[1] != 0);
	assert_int_equal(bucket(3)->key[0], 0);
	assert_int_equal(c->model->service[0]->backend[1].state, SL_STATE_GONE);
	bucket(3)->key[0] = busy;
	pass(1000);
	assert_true(bucket(3)->key[0] == busy); /* it may just be being filled */
	pass(2 * IDLE_MS);
	assert_int_equal(bucket(2)->key[1], 0);
	assert_int_equal(c->model->service[0]->n, 1);
}

/* An id whose terms are zero and that some entry names, as a restarted control finds it. */
static void test_adopted_ids(void **state)
{
	(void)state;
	serve();
	enter(9, 1, 1);
	remove_service(80);
	sl_model_free(c->model, 0);
	assert_int_equal(sl_adopt(c, error), 0);
	assert_true(sl_bit(c->model->quarantined, 1));
	assert_false(sl_bit(c->model->quarantined, 2));
	serve();
	assert_int_not_equal(c->model->service[0]->id, 1);
}

/* Of two numbers with one endpoint the replies are those of the one that serves. */
static void test_successor(void **state)
{
	const struct sl_reply_entry *r = array(SL_ARRAY_reply_entries);
	uint32_t size = c->store.count[SL_ARRAY_reply_entries] / 2, found = 0;
	struct sl_model_service *s;
	struct sl_model *next;
	uint32_t counter_id;

	(void)state;
	serve();
	set_state(1, SL_STATE_GONE);
	next = sl_model_clone(c->model);
	s = sl_model_edit(next, 0);
	counter_id = add_backend(next, s, 1)->counter_id;
	must_publish(next);
	r += (root()->generation & 1) * size;
	for (uint32_t i = 0; i < size; i++) {
		if (!r[i].backend.q[1] || r[i].backend.b[15] != 1)
			continue;
		found++;
		assert_int_equal(r[i].counter_id, counter_id);
	}
	assert_int_equal(found, 1);
}

static void test_hung_worker(void **state)
{
	struct sl_published out;
	uint64_t before;

	(void)state;
	begin_worker();
	serve();
	sl_acknowledged(c, &out);
	assert_int_equal(out.workers, 1);
	assert_int_equal(out.acknowledged, 1);

	at_clock = NULL; /* stopped */
	now_ns += 500ull * MS;
	sl_acknowledged(c, &out);
	assert_int_equal(out.acknowledged, 1); /* it had, before */
	assert_int_equal(out.hung, 0);
	before = now_ns;
	assert_int_equal(publish(sl_model_clone(c->model), &out), 0);
	assert_true(now_ns - before < 100 * MS);
	assert_int_equal(out.workers, 1);
	assert_int_equal(out.acknowledged, 0);
	assert_int_equal(out.hung, 1);

	set_state(2, SL_STATE_GONE);
	assert_int_equal(sl_extents_used(c->slots), 2 * 256 / SL_SLOTS_PER_BLOCK);
	sl_acknowledged(c, &out); /* nothing rests for it, but no number is given away */
	assert_int_equal(sl_extents_used(c->slots), 256 / SL_SLOTS_PER_BLOCK);
	pass(3 * IDLE_MS);
	assert_int_equal(c->model->service[0]->n, 2);
	at_clock = beat;
	pass(1000);
	sl_acknowledged(c, &out);
	assert_int_equal(out.acknowledged, 1);
	assert_int_equal(c->model->service[0]->n, 1);
	end_worker();
	sl_acknowledged(c, &out);
	assert_int_equal(out.workers, 0);
}

/* A full instance can replace all that it has, once, while the old rests. */
static void test_full(void **state)
{
	struct sl_model *next;
	struct sl_published out;

	(void)state;
	serve();
	next = sl_model_clone(c->model);
	add_service(next, 81);
	must_publish(next);
	next = sl_model_clone(c->model);
	add_service(next, 82);
	assert_int_equal(publish(next, &out), -ENOSPC);
	assert_non_null(strstr(error, "capacity.services (2)"));

	enter(1, 1, 1);
	enter(2, 2, 1);
	next = sl_model_clone(c->model);
	sl_model_remove(next, 1, 0);
	sl_model_remove(next, 0, 0);
	assert_non_null(add_service(next, 83));
	assert_non_null(add_service(next, 84));
	must_publish(next);
	pass(20);
	next = sl_model_clone(c->model);
	sl_model_remove(next, 1, 0);
	assert_null(add_service(next, 85));
	assert_int_equal(sl_model_quarantined_services(next), 3);
	sl_model_free(next, 0);
	pass(1000); /* their entries are dead, and control clears them */
	next = sl_model_clone(c->model);
	sl_model_remove(next, 1, 0);
	assert_non_null(add_service(next, 85));
	must_publish(next);

	next = sl_model_clone(c->model);
	for (uint32_t i = 1; i <= 4; i++)
		assert_non_null(add_backend(next, sl_model_edit(next, 0), i));
	must_publish(next);
	next = sl_model_clone(c->model);
	for (uint32_t i = 1; i <= 4; i++) {
		struct sl_model_service *s = sl_model_edit(next, 0);

		sl_backend_set_state(s, &s->backend[i - 1], SL_STATE_LEAVING);
		assert_non_null(add_backend(next, s, 10 + i));
	}
	must_publish(next);
	next = sl_model_clone(c->model);
	assert_null(add_backend(next, sl_model_edit(next, 0), 20));
	assert_int_equal(sl_model_quarantined_backends(next), 4);
	assert_int_equal(sl_model_serving_backends(next), 4);
	sl_model_free(next, 0);
}

/* Ids go round, so that the one that was freed last comes last. */
static void test_ids_go_round(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 9; i++) {
		serve();
		assert_int_equal(c->model->service[0]->id, 1 + i % 4);
		remove_service(80);
		pass(500);
	}
}

/* Counters of a backend begin when it is published, and not before. */
static void test_counters_begin(void **state)
{
	struct sl_backend_counters *record = array(SL_ARRAY_backend_counters);
	struct sl_model *next;
	struct sl_published out;
	uint32_t counter_id;

	(void)state;
	serve();
	next = sl_model_clone(c->model);
	counter_id = add_backend(next, sl_model_edit(next, 0), 3)->counter_id;
	record[counter_id].packets_in = 100; /* of a predecessor */
	must_publish(next);
	record[counter_id].packets_in += 11;
	assert_int_equal(sl_stats_backend(c, counter_id).packets_in, 11);
	next = sl_model_clone(c->model);
	for (uint32_t i = 4; i <= 6; i++)
		assert_non_null(add_backend(next, sl_model_edit(next, 0), i));
	assert_int_equal(publish(next, &out), -ENOSPC);
	assert_int_equal(sl_stats_backend(c, counter_id).packets_in, 11);
	must_publish(sl_model_clone(c->model));
	assert_int_equal(sl_stats_backend(c, counter_id).packets_in, 11);
}

/* An insert that fails between the decision to close windows and the commit keeps them open. */

static void fail_an_insert(void)
{
	struct sl_service_counters *counters = array(SL_ARRAY_service_counters);

	beat();
	if (root()->proposed > root()->generation && !counters[1].untrackable)
		counters[1].untrackable++;
}

static void test_held_at_commit(void **state)
{
	uint32_t window;

	(void)state;
	begin_worker();
	serve();
	set_state(2, SL_STATE_DRAINING);
	window = sl_records_window_ms(&c->model->service[0]->conf);
	pass(window - 1000);
	logged = 0;
	at_clock = fail_an_insert;
	pass(3000);
	assert_true(c->model->service[0]->windows.open);
	assert_int_equal(c->refused + logged, 0);
	pass(window);
	assert_int_equal(c->model->service[0]->windows.open, 0);
	end_worker();
}

/* What can't be published is tried once a second and logged once. */
static void test_failure_is_said_once(void **state)
{
	uint32_t refused;

	(void)state;
	serve();
	set_state(2, SL_STATE_DRAINING);
	c->config.capacity.services = 0; /* any change is refused */
	logged = 0;
	pass(2 * IDLE_MS);
	assert_int_equal(logged, 1);
	refused = (uint32_t)c->refused;
	assert_true(refused);
	pass(10000);
	assert_in_range(c->refused, refused + 8, refused + 11);
	c->config.capacity.services = 2;
	pass(2000);
	assert_int_equal(c->model->service[0]->windows.open, 0);
}

/* A backend in a tunnel: what of its header control knows, what fits it, and nobody's replies. The
 * sum was added up by hand: 45 00, 40 04, c0 00 02 fa, 0a 01 00 01. */
static void test_tunnel(void **state)
{
	const struct sl_bank *bank;
	const struct sl_backend *b = array(SL_ARRAY_backends);
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_config_service conf = conf_of(80);
	struct sl_model_service *s;
	int err;

	(void)state;
	conf.mode = SL_MODE_IPIP;
	conf.source.prefix = sl_addr4(sl_htonl(0xc00002fa));
	conf.source.entropy = 3;
	conf.mss = SL_MSS_AUTO;
	s = sl_model_add(next, &conf, sl_clock_ms(), &err);
	add_backend(next, s, 1)->hop.mtu = 1500;
	add_service(next, 81);
	add_backend(next, next->service[1], 2);
	must_publish(next);
	bank = &sl_store_root(&c->store)->bank[sl_store_root(&c->store)->generation & 1];
	assert_int_equal(bank->replies, 1);
	b += c->model->service[0]->backends->at;
	assert_int_equal(b->mtu, 1480);
	assert_int_equal(b->mss, 1440);
	assert_int_equal(b->ip_delta,
			 sl_htons(0x4500 + 0x4004 + 0xc000 + 0x02fa + 0x0a01 + 1 - 0xffff));
	assert_int_equal(b->entropy, 3);
	assert_true(sl_addr_equal(&b->source, &conf.source.prefix));
	sl_model_free(c->model, 0);
	assert_int_equal(sl_adopt(c, error), 0);
	s = c->model->service[sl_model_find_same(c->model, &conf)];
	assert_int_equal(s->conf.mode, SL_MODE_IPIP);
	assert_int_equal(s->backend[0].port, 80);
}

static const union sl_addr vip6 = { .w = { 0xb80d0120, 0, 0, 0x01000000 } },
			   backend6 = { .w = { 0xb80d0120, 0, 0, 0x02000000 } },
			   source6 = { .w = { 0xb80d0120, 0, 0, 0x00000500 } };

/* What fits a link of 1500 behind each header. The sum is that of IPv4 headers alone: 45 00, 40 04
 * or 40 29 or 40 11, c0 00 02 fa, 0a 01 00 01. */
static const struct {
	bool vip6, backend6;
	enum sl_mode mode;
	uint8_t variant;
	uint16_t mtu, mss, sum;
} tunnels[] = {
	{ false, false, SL_MODE_IPIP, 0, 1480, 1440, 0x4500 + 0x4004 },
	{ true, false, SL_MODE_IPIP, 0, 1480, 1420, 0x4500 + 0x4029 },
	{ false, true, SL_MODE_IPIP, 0, 1460, 1420, 0 },
	{ true, true, SL_MODE_IPIP, 0, 1460, 1400, 0 },
	{ false, false, SL_MODE_GUE, 1, 1472, 1432, 0x4500 + 0x4011 },
	{ true, false, SL_MODE_GUE, 1, 1472, 1412, 0x4500 + 0x4011 },
	{ false, true, SL_MODE_GUE, 1, 1452, 1412, 0 },
	{ true, true, SL_MODE_GUE, 1, 1452, 1392, 0 },
	{ true, false, SL_MODE_GUE, 0, 1468, 1408, 0x4500 + 0x4011 },
	{ true, true, SL_MODE_GUE, 0, 1448, 1388, 0 },
	{ true, true, SL_MODE_NAT, 0, 1500, 1440, 0 },
};

static void test_tunnels(void **state)
{
	const size_t n = sizeof(tunnels) / sizeof(*tunnels);
	const struct sl_backend *pool = array(SL_ARRAY_backends);

	(void)state;
	serve();
	for (size_t i = 0; i < n; i++) {
		struct sl_model *next = sl_model_clone(c->model);
		struct sl_model_service *s = sl_model_edit(next, 0);
		bool nat = tunnels[i].mode == SL_MODE_NAT;
		struct sl_config_service conf = conf_of(80);
		const struct sl_backend *b;

		conf.mode = tunnels[i].mode;
		conf.gue_variant = tunnels[i].variant;
		conf.gue_port = 6080;
		conf.mss = SL_MSS_AUTO;
		if (tunnels[i].vip6)
			conf.vip = vip6;
		if (!nat) {
			conf.source =
				(struct sl_config_source){ .prefix = sl_addr4(sl_htonl(0xc00002fa)),
							   .entropy = 3 };
			conf.source6 =
				(struct sl_config_source){ .prefix = source6, .entropy = 16 };
		}
		s->conf = conf;
		s->rewrite = true;
		s->backend[0].hop.mtu = 1500;
		if (tunnels[i].backend6)
			s->backend[0].addr = backend6;
		else
			s->backend[0].addr = sl_addr4(sl_htonl(0x0a010001));
		must_publish(next);
		b = &pool[c->model->service[0]->backends->at];
		assert_int_equal(b->mtu, tunnels[i].mtu);
		assert_int_equal(b->mss, tunnels[i].mss);
		assert_true(b->flags & SL_BACKEND_RESOLVED);
		if (!nat) {
			uint32_t sum = tunnels[i].sum + 0xc000 + 0x02fa + 0x0a01 + 1;

			assert_int_equal(b->ip_delta,
					 tunnels[i].sum ? sl_htons((uint16_t)(sum % 0xffff)) : 0);
			assert_int_equal(b->entropy, tunnels[i].backend6 ? 16 : 3);
			assert_true(sl_addr_equal(
				&b->source, tunnels[i].backend6 ? &source6 : &conf.source.prefix));
		}
	}
}

/* A backend whose tunnel has no source any more, or whose family the mode doesn't reach, leaves: no
 * packet is sent to it meanwhile. */
static void test_unreachable(void **state)
{
	const struct sl_backend *b = array(SL_ARRAY_backends);
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_config_service conf = conf_of(80);
	struct sl_model_service *s;
	int err;

	(void)state;
	s = sl_model_add(next, &conf, sl_clock_ms(), &err);
	add_backend(next, s, 1);
	s->backend[0].addr = backend6;
	must_publish(next);
	b += c->model->service[0]->backends->at;
	assert_false(b->flags & SL_BACKEND_RESOLVED);
	assert_true(b->flags & SL_BACKEND_SERVES);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_change_in_a_pass),
		TEST(test_timeouts),
		TEST(test_dead_entries_rest),
		TEST(test_control_clears),
		TEST(test_adopted_ids),
		TEST(test_successor),
		TEST(test_hung_worker),
		TEST(test_full),
		TEST(test_ids_go_round),
		TEST(test_counters_begin),
		TEST(test_held_at_commit),
		TEST(test_failure_is_said_once),
		TEST(test_tunnel),
		TEST(test_tunnels),
		TEST(test_unreachable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
