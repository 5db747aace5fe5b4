/* SPDX-License-Identifier: BSD-2-Clause */
/* Ids of QUIC's connections: what a datagram's id is, cut off wherever; whom it names; and what
 * becomes of slots, entries and limits meanwhile. The same over IPv4 and IPv6.
 *
 *     clients 203.0.113.x ── port 0 ─ gateway ─ port 1 ─── backends 10.1.0.1 to .4, port 4433
 *
 * VIP 198.51.100.7 has UDP 443, whose slots all name backend 4. The others have ids, of two bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "world.h"

#define VIP    FRAME_IP(198, 51, 100, 7)
#define CLIENT FRAME_IP(203, 0, 113, 9)

enum { QUIC, BACKENDS = 4, ROWS_TO = 4, PORT = 40000, NOW = 1 << 30, LIFE = 1 << 28 };
enum { NAMELESS = 100 };

/* What an id is */

struct datagram {
	const char *hex;
	uint8_t bytes;	/* of a server id */
	uint32_t needs; /* bytes of the datagram; 0: it has none, however long */
	uint64_t id;
};

#define V1 "00000001"
#define V2 "6b3343cf"
#define ID "070c0d1122334455"

static const struct datagram datagrams[] = {
	/* Short header. */
	{ "40" ID, 2, 4, 0x0c0d },
	{ "7f" ID, 2, 4, 0x0c0d },
	{ "40" ID, 1, 3, 0x0c },
	{ "40" ID, 7, 9, 0x0c0d1122334455 },
	{ "40" ID "66", 8, 10, 0x0c0d112233445566 },
	{ "40" ID, 8, 0, 0 }, /* longer than what is there */
	{ "00" ID, 2, 0, 0 }, /* no fixed bit */
	{ "40c70c0d11", 2, 4, 0x0c0d },
	{ "40df0c0d11", 2, 4, 0x0c0d },
	{ "40e00c0d11", 2, 0, 0 }, /* unroutable */
	{ "40ff0c0d11", 2, 0, 0 },
	{ "400000000000", 2, 4, 0 },
	/* Version 1: Initial, 0-RTT, Handshake, Retry. */
	{ "c0" V1 "08" ID "00", 2, 0, 0 },
	{ "d0" V1 "08" ID "00", 2, 0, 0 },
	{ "e0" V1 "08" ID "00", 2, 14, 0x0c0d },
	{ "ff" V1 "08" ID "00", 2, 14, 0x0c0d },
	{ "a0" V1 "08" ID "00", 2, 0, 0 },
	/* Version 2: Retry, Initial, 0-RTT, Handshake. */
	{ "c0" V2 "08" ID "00", 2, 14, 0x0c0d },
	{ "d0" V2 "08" ID "00", 2, 0, 0 },
	{ "e0" V2 "08" ID "00", 2, 0, 0 },
	{ "f0" V2 "08" ID "00", 2, 14, 0x0c0d },
	/* Others. */
	{ "e000000000"
	  "08" ID "00",
	  2, 0, 0 },
	{ "e000000002"
	  "08" ID "00",
	  2, 0, 0 },
	{ "f0ff00001d"
	  "08" ID "00",
	  2, 0, 0 },
	{ "e001000000"
	  "08" ID "00",
	  2, 0, 0 },
	/* Lengths. */
	{ "e0" V1 "00" ID ID, 2, 0, 0 },
	{ "e0" V1 "01" ID ID, 2, 0, 0 },
	{ "e0" V1 "02" ID ID, 2, 0, 0 },
	{ "e0" V1 "03" ID ID, 2, 9, 0x0c0d },
	{ "e0" V1 "08" ID ID, 8, 0, 0 },
	{ "e0" V1 "09" ID ID, 8, 15, 0x0c0d112233445507 },
	{ "e0" V1 "14" ID ID ID, 2, 26, 0x0c0d },
	{ "e0" V1 "15" ID ID ID, 2, 0, 0 },
	{ "e0" V1 "ff" ID ID ID, 2, 0, 0 },
	{ "e0" V1 "08e70c0d1122334455", 2, 0, 0 },
};

static uint32_t bytes_of(const char *hex, uint8_t *to)
{
	uint32_t n = 0;

	for (; *hex; hex += 2)
		to[n++] = (uint8_t)strtoul((char[]){ hex[0], hex[1], 0 }, NULL, 16);
	return n;
}

/* In memory of just that length, so that nothing is read beyond. */
static bool server_of(const uint8_t *bytes, uint32_t n, uint8_t server_bytes, uint64_t *id)
{
	struct sl_quic_where where = { .end = n, .bytes = server_bytes };
	uint8_t *exact = malloc(n ? n : 1);
	struct sl_packet p = { .data = exact, .end = exact + n, .length = n };
	bool found;

	memcpy(exact, bytes, n);
	found = sl_quic_server(&p, &where, id);
	free(exact);
	return found;
}

static void test_ids(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(datagrams) / sizeof(*datagrams); i++) {
		const struct datagram *d = &datagrams[i];
		uint8_t bytes[64];
		uint32_t length = bytes_of(d->hex, bytes);

		for (uint32_t n = 0; n <= length; n++) {
			uint64_t id = ~0ull;
			bool found = server_of(bytes, n, d->bytes, &id);

			if (found != (d->needs && n >= d->needs) || (found && id != d->id))
				fail_msg("%s, %u bytes: %s %llx", d->hex, n,
					 found ? "found" : "nothing", (unsigned long long)id);
		}
	}
}

/* The end of the datagram counts, not that of the frame. */
static void test_end(void **state)
{
	uint8_t bytes[64];
	uint32_t n = bytes_of("0000"
			      "40" ID ID,
			      bytes);
	struct sl_packet p = { .data = bytes, .end = bytes + n, .length = n };
	uint64_t id;

	(void)state;
	for (uint32_t end = 0; end <= n; end++) {
		struct sl_quic_where where = { .at = 2, .end = end, .bytes = 2 };

		assert_int_equal(sl_quic_server(&p, &where, &id), end >= 6);
	}
}

/* Whom it names */

static int setup(void **state, bool is_ipv6)
{
	static const uint8_t mac[12] = { 2, 1 };
	struct world *w = aligned_alloc(128, (sizeof(*w) + 127) & ~(size_t)127);

	if (world_make(w, 64))
		return -1;
	world_add_service(w, VIP, 443, FRAME_UDP, 64);
	if (is_ipv6)
		world_make_ipv6(w, QUIC);
	for (uint32_t k = 1; k <= BACKENDS; k++) {
		world_add_backend(w, QUIC, FRAME_IP(10, 1, 0, 0) + k, 4433, mac, 1);
		if (k != ROWS_TO)
			world_add_server_id(w, QUIC, k, 0x0a00 + k, 2);
	}
	world_set_slots(w, QUIC, sl_slot(ROWS_TO, 0, SL_SLOT_CLOSED));
	world_set_timeouts(w, QUIC, LIFE, LIFE, LIFE);
	world_publish(w);
	world_snapshot_all(w);
	world_time(w, NOW);
	*state = w;
	return 0;
}

static int setup4(void **state)
{
	return setup(state, false);
}

static int setup6(void **state)
{
	return setup(state, true);
}

static int teardown(void **state)
{
	world_free(*state);
	free(*state);
	return 0;
}

static void make_ipv6(struct frame *f, const struct frame_spec *s)
{
	union sl_addr src = world_addr(s->src, true), dst = world_addr(s->dst, true);
	uint32_t l4 = f->l3 + 40, n = f->length - f->l4;
	uint8_t *ip = &f->bytes[f->l3];

	memmove(&f->bytes[l4], &f->bytes[f->l4], n);
	f->bytes[f->l3 - 2] = 0x86;
	f->bytes[f->l3 - 1] = 0xdd;
	memset(ip, 0, 40);
	ip[0] = 0x60;
	ip[5] = (uint8_t)n;
	ip[6] = s->protocol;
	ip[7] = 64;
	memcpy(ip + 8, src.b, 16);
	memcpy(ip + 24, dst.b, 16);
	f->l4 = l4;
	f->length = l4 + n;
}

/* A packet with a short header and a server id, or an Initial: its reason, and the backend. */
static enum sl_reason send(struct world *w, uint16_t port, uint32_t server, uint32_t *to)
{
	struct frame_spec s = { .src = CLIENT,
				.dst = VIP,
				.sport = port,
				.dport = 443,
				.protocol = FRAME_UDP,
				.payload = 24 };
	uint8_t one_rtt[] = { 0x40, 0x07, 0x0a, (uint8_t)server, 1, 2, 3, 4 };
	uint8_t initial[] = { 0xc0, 0, 0, 0, 1, 8, 0x07, 0x0a, 1, 1, 2, 3, 4 };
	bool is_ipv6 = w->service[QUIC].is_ipv6;
	enum sl_reason reason;
	struct sl_packet p;
	struct frame f;
	uint16_t egress;

	frame_build(&f, &s);
	if (is_ipv6)
		make_ipv6(&f, &s);
	if (server == NAMELESS)
		memcpy(&f.bytes[f.l4 + 8], initial, sizeof(initial));
	else
		memcpy(&f.bytes[f.l4 + 8], one_rtt, sizeof(one_rtt));
	p = (struct sl_packet){ .data = f.bytes, .end = f.bytes + f.length, .length = f.length };
	reason = world_decide(w, port % WORLD_QUEUES, &p, &egress);
	*to = f.bytes[f.l3 + (is_ipv6 ? 39 : 19)];
	return reason;
}

static void must_reach(struct world *w, uint16_t port, uint32_t server, uint32_t backend)
{
	uint32_t to = 0;

	assert_int_equal(send(w, port, server, &to), SL_REASON_to_backend);
	assert_int_equal(to, backend);
}

/* What the flow's entry says; 0: there is none. */
static uint32_t entry_of(struct world *w, uint16_t port)
{
	union sl_addr client = world_addr(CLIENT, w->service[QUIC].is_ipv6);
	uint64_t source = sl_hash_source(&client, sl_htons(port), w->root->slot_key);
	struct sl_flow_at at = world_flow_find(w, sl_flow_key(QUIC + 1, source));

	return at.bucket ? sl_flow_backend(at.value) : 0;
}

static uint64_t tracked(const struct world *w)
{
	uint64_t n = 0;

	for (uint32_t q = 0; q < WORLD_QUEUES; q++)
		n += sl_seam_service_counters(&w->queue[q], QUIC + 1)->tracked;
	return n;
}

static void test_names(void **state)
{
	struct world *w = *state;

	for (uint32_t k = 1; k < BACKENDS; k++) {
		must_reach(w, (uint16_t)(PORT + k), k, k);
		assert_int_equal(entry_of(w, (uint16_t)(PORT + k)), k);
	}
	must_reach(w, PORT, 77, ROWS_TO);
	must_reach(w, PORT + 9, NAMELESS, ROWS_TO);
	assert_int_equal(entry_of(w, PORT + 9), ROWS_TO);
}

/* An id wins over the entry and corrects it in place; what has none follows the entry. */
static void test_entry(void **state)
{
	struct world *w = *state;

	must_reach(w, PORT, NAMELESS, ROWS_TO);
	must_reach(w, PORT, 1, 1);
	assert_int_equal(entry_of(w, PORT), 1);
	must_reach(w, PORT, NAMELESS, 1);
	must_reach(w, PORT, 77, 1);
	must_reach(w, PORT, 2, 2);
	must_reach(w, PORT, NAMELESS, 2);
	assert_int_equal(tracked(w), 1);
}

/* From many ports, as behind a NAT that rebinds: always the same backend. */
static void test_rebinding(void **state)
{
	struct world *w = *state;

	for (uint16_t port = PORT; port < PORT + 100; port++) {
		must_reach(w, port, 3, 3);
		must_reach(w, port, NAMELESS, 3);
	}
}

/* A dead entry counts for nothing, but its place is taken again. */
static void test_dead_entry(void **state)
{
	struct world *w = *state;

	must_reach(w, PORT, 1, 1);
	world_time(w, NOW + 2ull * LIFE);
	must_reach(w, PORT, NAMELESS, ROWS_TO);
	world_time(w, NOW + 4ull * LIFE);
	must_reach(w, PORT, 1, 1);
	must_reach(w, PORT, NAMELESS, 1);
}

static void test_drains(void **state)
{
	struct world *w = *state;

	w->service[QUIC].backend[0].flags &= (uint16_t)~SL_BACKEND_TAKES_NEW;
	world_publish(w);
	world_snapshot_all(w);
	must_reach(w, PORT, 1, 1);
	must_reach(w, PORT + 1, NAMELESS, ROWS_TO);
	/* Gone: control takes its id out. */
	w->service[QUIC].backend[0].flags &= (uint16_t)~SL_BACKEND_SERVES;
	memset(w->service[QUIC].server, 0, sizeof(w->service[QUIC].server));
	world_publish(w);
	world_snapshot_all(w);
	must_reach(w, PORT, 1, ROWS_TO);
	assert_int_equal(entry_of(w, PORT), ROWS_TO);
}

/* Open slots: what has no id is where it was, what has one is where that says. */
static void test_rows_open(void **state)
{
	struct world *w = *state;

	world_set_slots(w, QUIC, sl_slot(2, ROWS_TO, SL_SLOT_OPEN));
	world_publish(w);
	world_snapshot_all(w);
	must_reach(w, PORT, NAMELESS, ROWS_TO);
	must_reach(w, PORT + 1, 3, 3);
	must_reach(w, PORT + 1, NAMELESS, 3);
}

/* No room in the flow table: packets with an id still go where it says. */
static void test_full(void **state)
{
	struct world *w = *state;
	struct sl_bucket *table = w->store.base[SL_ARRAY_flows];

	for (uint32_t i = 0; i < w->store.count[SL_ARRAY_flows]; i++) {
		for (uint32_t way = 0; way < SL_FLOW_WAYS; way++) {
			table[i].key[way] = sl_flow_key(QUIC + 1, 1 + i * SL_FLOW_WAYS + way);
			table[i].value[way] = sl_flow_value(ROWS_TO, SL_FLOW_ESTABLISHED, NOW);
		}
	}
	for (uint16_t port = PORT; port < PORT + 20; port++)
		must_reach(w, port, 2, 2);
	assert_int_equal(entry_of(w, PORT), 0);
}

/* The limit in the entry counts packets with an id as all others, also when it corrects the entry:
 * the bucket stays what it was. */
static void test_limited(void **state)
{
	struct world *w = *state;
	const struct sl_limit limit = { .scope = SL_SCOPE_FLOW,
					.unit = SL_UNIT_PACKETS,
					.direction = SL_TO_BACKEND,
					.action = SL_ACTION_DROP,
					.flags = SL_LIMIT_ENTRY | SL_LIMIT_OTHERS,
					.pace = { .packet = 1ull
							    << (20 + SL_TICK_SHIFT + SL_COST_SHIFT),
						  .depth = 3 << 20,
						  .most = 9 << 20 } };
	uint32_t passed = 0, to;

	world_add_limit(w, QUIC, &limit);
	world_publish(w);
	world_snapshot_all(w);
	for (int i = 0; i < 8; i++)
		passed += send(w, PORT, 1 + (uint32_t)i % 3, &to) == SL_REASON_to_backend;
	assert_in_range(passed, 3, 4);
	assert_int_equal(send(w, PORT, 2, &to), SL_REASON_limit_flow);
	must_reach(w, PORT + 1, 2, 2);
}

/* What control got wrong isn't followed beyond the arrays. */
static void test_wrong_records(void **state)
{
	struct world *w = *state;
	struct sl_service *s = world_live_service(w, QUIC);

	s->server_ids = sl_server_ids_pack(w->store.count[SL_ARRAY_table_blocks], WORLD_SERVERS, 2);
	must_reach(w, PORT, 1, ROWS_TO);
	s->server_ids = UINT32_MAX;
	must_reach(w, PORT, 1, ROWS_TO);
	s->server_ids = 0; /* slots, which are no ids of one byte */
	must_reach(w, PORT, 1, ROWS_TO);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, setup4, teardown),                                   \
		cmocka_unit_test_setup_teardown(test, setup6, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids), cmocka_unit_test(test_end), BOTH(test_names),
		BOTH(test_entry),	    BOTH(test_rebinding),	BOTH(test_dead_entry),
		BOTH(test_drains),	    BOTH(test_rows_open),	BOTH(test_full),
		BOTH(test_limited),	    BOTH(test_wrong_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
