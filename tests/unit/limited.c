/* SPDX-License-Identifier: BSD-2-Clause */
/* See limited.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "../../control/model/pace.h"
#include "limited.h"

#define VIP	     FRAME_IP(198, 51, 100, 7)
#define INNER(s, b)  (FRAME_IP(10, 1, 0, 0) + (s)*256 + (b))
#define BACKEND_PORT 8080

static const struct {
	uint16_t port;
	uint8_t protocol;
} services[] = {
	[WEB] = { 80, IPPROTO_TCP }, [DNS] = { 53, IPPROTO_UDP }, [PLAIN] = { 81, IPPROTO_TCP }
};

struct world world;
struct frame limited_frame;
uint64_t now;
int64_t skew[WORLD_QUEUES];
uint16_t limited_port[3];

void limited_begin(uint32_t buckets)
{
	static const uint8_t mac[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	struct sl_route *route;

	assert_int_equal(world_make(&world, buckets), 0);
	for (uint32_t s = 0; s < sizeof(services) / sizeof(services[0]); s++) {
		world_add_service(&world, VIP, services[s].port, services[s].protocol, 64);
		for (uint32_t b = 1; b <= 2; b++) {
			world_add_backend(&world, s, INNER(s, b), BACKEND_PORT, mac, 0);
			world.service[s].backend[b - 1].mtu = UINT16_MAX;
		}
		for (uint32_t r = 0; r < WORLD_ROWS; r++)
			world.service[s].slot[r] = sl_slot(1 + r % 2, 0, SL_SLOT_CLOSED);
		world_set_timeouts(&world, s, 60 * TICKS_PER_S, 60 * TICKS_PER_S, 10 * TICKS_PER_S);
	}
	route = world_add_route(&world, 0, 0, SL_ROUTE_VIA);
	memcpy(route->dst_mac, mac, 6);
	route->mtu = UINT16_MAX;
	now = 1000 * TICKS_PER_S;
	memset(skew, 0, sizeof(skew));
}

void limited_end(void)
{
	world_free(&world);
}

static struct sl_limit record_of(const struct sl_config_limit *limit, bool entry)
{
	struct sl_config_limit l = *limit;
	struct sl_pace pace;

	sl_limit_default(&l);
	pace = sl_pace_of_limit(&l);
	return (struct sl_limit){
		.pace = pace,
		.scope = l.scope,
		.unit = l.unit,
		.direction = l.direction,
		.action = l.action,
		.flags = (entry ? SL_LIMIT_ENTRY : 0) | (l.rate ? SL_LIMIT_OTHERS : 0),
		.prefix4 = l.prefix4,
		.prefix6 = l.prefix6,
		.lease = sl_pace_lease(&pace),
	};
}

void limited_add(uint32_t service, const struct sl_config_limit *limit)
{
	struct sl_service *s = &world.service[service].record;
	bool entry = limit->scope == SL_SCOPE_FLOW && limit->rate && !s->n_limits;
	struct sl_limit record = record_of(limit, entry);

	world_add_limit(&world, service, &record);
	if (limit->unit == SL_UNIT_CONNECTIONS && services[service].protocol == IPPROTO_UDP)
		s->flags |= SL_SERVICE_TRACK;
}

void limited_change(uint32_t service, uint32_t place, const struct sl_config_limit *limit)
{
	struct sl_limit *l = &world.service[service].limit[place];
	struct sl_limit record = record_of(limit, l->flags & SL_LIMIT_ENTRY);

	l->pace = record.pace;
	l->lease = record.lease;
	l->action = record.action;
}

void limited_publish(void)
{
	world_publish(&world);
	world_snapshot_all(&world);
}

void limited_start(const struct sl_config_limit *limit, size_t n)
{
	limited_begin(1024);
	for (size_t i = 0; i < n && limit[i].rate; i++) {
		limited_add(WEB, &limit[i]);
		limited_add(DNS, &limit[i]);
	}
	limited_publish();
	for (uint16_t port = 2000; port < 2100; port++)
		limited_port[1 + world_slot_of(&world, WEB, CLIENT, port) % 2] = port;
}

static void build(const struct limited_packet *p)
{
	uint32_t client = p->client ? p->client : CLIENT, size = p->size ? p->size : 64;
	uint16_t port = p->port ? p->port : PORT;
	struct frame_spec spec = { .protocol = services[p->service].protocol,
				   .flags = p->flags ? p->flags : FRAME_ACK,
				   .ecn = p->ecn,
				   .length_error = (int16_t)(size - 54) };

	if (spec.protocol == FRAME_UDP)
		spec.length_error = (int16_t)(size - 42);
	if (p->reply) {
		spec.src = INNER(p->service, p->reply);
		spec.sport = BACKEND_PORT;
		spec.dst = client;
		spec.dport = port;
	} else {
		spec.src = client;
		spec.sport = port;
		spec.dst = VIP;
		spec.dport = services[p->service].port;
	}
	frame_build(&limited_frame, &spec);
	limited_frame.length = size;
}

enum sl_reason limited_send(uint32_t queue, const struct limited_packet *p)
{
	static struct limited_packet last;
	static struct frame built;
	struct sl_packet frame = { .data = limited_frame.bytes, .end = limited_frame.bytes + 54 };
	uint16_t egress;

	if (!built.length || memcmp(&last, p, sizeof(last)) != 0) {
		build(p);
		memcpy(&last, p, sizeof(last));
		built = limited_frame;
	}
	memcpy(limited_frame.bytes, built.bytes, 64);
	limited_frame.length = frame.length = built.length;
	world.queue[queue].now = now + (uint64_t)skew[queue];
	return world_decide(&world, queue, &frame, &egress);
}

bool limited_passes(uint32_t queue, const struct limited_packet *p)
{
	enum sl_reason reason = limited_send(queue, p);

	return reason == (p->reply ? SL_REASON_to_client : SL_REASON_to_backend);
}

uint32_t limited_burst(uint32_t queue, const struct limited_packet *p, uint32_t most)
{
	uint32_t n = 0;

	while (n < most && limited_passes(queue, p))
		n++;
	return n;
}

struct sl_limit_counters limited_counters(uint32_t service, uint32_t place)
{
	struct sl_limit_counters sum = { 0 };

	for (uint32_t q = 0; q < WORLD_QUEUES; q++) {
		const struct sl_limit_counters *t = world_limit_counters(&world, q, service, place);

		sum.passed += t->passed;
		sum.dropped += t->dropped;
		sum.dropped_bytes += t->dropped_bytes;
		sum.marked += t->marked;
		sum.observed += t->observed;
		sum.observed_bytes += t->observed_bytes;
		sum.evicted += t->evicted;
	}
	return sum;
}

static uint64_t *meter_word(uint64_t key)
{
	struct sl_meters *line = world.store.base[SL_ARRAY_meters];

	for (uint32_t i = 0; i < world.store.count[SL_ARRAY_meters]; i++)
		for (uint32_t way = 0; way < SL_METER_WAYS; way++)
			if (line[i].key[way] == key)
				return &line[i].full_at[way];
	return NULL;
}

uint64_t *limited_word(uint32_t place, const struct limited_packet *p)
{
	const struct sl_limit *l = &world.service[p->service].limit[place];
	union sl_addr client = sl_addr4(sl_htonl(p->client ? p->client : CLIENT));
	uint16_t port = p->port ? p->port : PORT;
	struct sl_shared_bucket *shared_bucket = world.store.base[SL_ARRAY_shared_buckets];
	uint32_t slot = world_slot_of(&world, p->service, sl_ntohl(client.w[3]), port);
	struct sl_flow_at at;

	switch (l->scope) {
	case SL_SCOPE_FLOW:
		if (!(l->flags & SL_LIMIT_ENTRY))
			return meter_word(
				sl_meter_key(l->id, sl_flow_key4(0, client.w[3], sl_htons(port))));
		at = world_flow_find(&world,
				     world_flow_key(p->service, sl_ntohl(client.w[3]), port));
		return at.bucket ? &at.bucket->value[at.way] : NULL;
	case SL_SCOPE_CLIENT:
		return meter_word(
			sl_meter_key(l->id, sl_meter_client(&client, l->prefix4, l->prefix6,
							    world.root->flow_key)));
	case SL_SCOPE_BACKEND:
		return &shared_bucket[l->shared_bucket +
				      world.service[p->service].backend[slot % 2].counter_id]
				.full_at;
	default:
		return &shared_bucket[l->shared_bucket].full_at;
	}
}
