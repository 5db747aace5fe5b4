/* SPDX-License-Identifier: BSD-2-Clause */
#include "chance.h"

#include <string.h>

enum { CLIENTS = 48, CLIENT_PORTS = 4, PORTS = 4, RANGE = 4 };

static void random_bytes(uint64_t *state, uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(world_random(state) >> 56);
}

static uint32_t client(uint64_t *state)
{
	uint32_t i = chance_of(state, CLIENTS);
	static const uint32_t net[] = { FRAME_IP(192, 0, 2, 0), FRAME_IP(198, 51, 100, 0),
					FRAME_IP(10, 9, 0, 0) };

	return net[i % 3] + 7 * i;
}

static uint16_t client_port(uint64_t *state)
{
	return (uint16_t)(40000 + chance_of(state, CLIENT_PORTS));
}

static uint32_t service_vip(uint32_t service)
{
	return FRAME_IP(203, 0, 113, 10 + service % 3);
}

static uint16_t service_port(uint32_t service)
{
	return (uint16_t)(80 + service);
}

static uint32_t backend_addr(uint32_t service, uint32_t backend)
{
	return FRAME_IP(10, 1, service, backend);
}

/* Tables */

static void random_backends(struct world *w, uint64_t *state, uint32_t service)
{
	uint32_t n = chance_once(state, 12) ? 0 : 1 + chance_of(state, WORLD_BACKENDS);
	bool resolved = !chance_once(state, 4);

	for (uint32_t k = 1; k <= n; k++) {
		uint8_t mac[12];
		struct sl_backend *b;

		random_bytes(state, mac, sizeof(mac));
		world_add_backend(w, service, backend_addr(service, k),
				  (uint16_t)(8000 + chance_of(state, 1000)), mac,
				  (uint16_t)chance_of(state, PORTS));
		b = &w->service[service].backend[k - 1];
		if (chance_once(state, 3))
			b->link_bits = (uint8_t)chance_of(state, 256);
		if (chance_once(state, 5))
			b->flags &= (uint16_t)~SL_BACKEND_TAKES_NEW; /* drains */
		if (chance_once(state, 5))
			b->flags &= (uint16_t) ~(SL_BACKEND_SERVES | SL_BACKEND_TAKES_NEW);
		if (!resolved && chance_once(state, 3))
			b->flags = (b->flags & (uint16_t)~SL_BACKEND_RESOLVED) |
				   (chance_once(state, 3) ? SL_BACKEND_NO_ROUTE : 0);
		if (chance_once(state, 100))
			b->counter_id = 100000;
		if (chance_once(state, 2))
			b->mss = w->service[service].reply[k - 1].mss =
				(uint16_t)world_random(state);
		if (chance_once(state, 5))
			b->mtu = (uint16_t)(28 + chance_of(state, 100));
	}
}

/* An address of either family. */
static union sl_addr random_addr(uint64_t *state, bool is_ipv6)
{
	union sl_addr addr = sl_addr4((sl_be32)world_random(state));

	if (is_ipv6)
		random_bytes(state, addr.b, sizeof(addr.b));
	return addr;
}

/* Modes in which replies bypass us: what the header says isn't the engines' to judge. Tunnels go
 * over either family. */
static void random_mode(struct world *w, uint64_t *state, uint32_t service)
{
	struct world_service *s = &w->service[service];

	s->record.mode = (uint8_t)(chance_once(state, 2) ? 0 : chance_of(state, SL_MODES));
	if (s->record.mode == SL_MODE_FULLNAT)
		world_make_fullnat(w, service);
	if (s->record.mode == SL_MODE_FULLNAT && !chance_once(state, 8))
		return;
	for (uint32_t k = 0; k < s->record.n_backends && s->record.mode; k++) {
		struct sl_backend *b = &s->backend[k];

		b->ip_delta = (uint16_t)world_random(state);
		if (chance_once(state, 2))
			b->addr = random_addr(state, chance_once(state, 2));
		b->source = random_addr(state, !sl_addr_is4(&b->addr));
		b->entropy = (uint8_t)chance_of(state, 40);
		if (chance_once(state, 2))
			b->flags |= SL_BACKEND_GUE_HEADER;
	}
}

static void random_slots(struct world *w, uint64_t *state, uint32_t service)
{
	struct world_service *s = &w->service[service];
	uint32_t most = s->record.n_backends + (chance_once(state, 8) ? 3u : 0);
	uint32_t moved = chance_of(state, 4);

	for (uint32_t i = 0; i < WORLD_ROWS; i++) {
		uint32_t cur = !most || chance_once(state, 40) ? 0 : 1 + chance_of(state, most);
		uint32_t prev = chance_of(state, most + 1);
		enum sl_slot_state is = SL_SLOT_CLOSED;

		if (chance_of(state, 4) < moved)
			is = chance_once(state, 3) ? SL_SLOT_MIXED : SL_SLOT_OPEN;
		s->slot[i] = sl_slot(cur, prev, is);
	}
}

/* A few packets deep, of a rate that time passes by. */
static struct sl_pace random_pace(uint64_t *state, const struct sl_limit *l)
{
	uint64_t each = (uint64_t)(1 + chance_of(state, 60)) * 4000000u << SL_COST_SHIFT;
	struct sl_pace pace = { .depth = (1 + chance_of(state, 120)) * CHANCE_MS };

	if (l->unit == SL_UNIT_BYTES)
		pace.byte = each / 100;
	else
		pace.packet = each;
	pace.most = 3 * pace.depth;
	return pace;
}

static void random_limits(struct world *w, uint64_t *state, uint32_t service)
{
	uint32_t n = 1 + chance_of(state, WORLD_LIMITS);

	for (uint32_t i = 0; i < n; i++) {
		struct sl_limit l = { .scope = (uint8_t)chance_of(state, SL_SCOPES),
				      .unit = (uint8_t)chance_of(state, SL_UNITS),
				      .direction = (uint8_t)(1 + chance_of(state, 3)),
				      .action = (uint8_t)chance_of(state, SL_ACTIONS),
				      .prefix4 = (uint8_t)(24 + chance_of(state, 9)),
				      .prefix6 = 64,
				      .flags = chance_once(state, 6) ? 0 : SL_LIMIT_OTHERS,
				      .lease = chance_of(state, 3) * 4096 };

		l.pace = random_pace(state, &l);
		if (!i && chance_once(state, 2)) {
			l.scope = SL_SCOPE_FLOW;
			l.unit = (uint8_t)chance_of(state, 2);
			l.flags |= SL_LIMIT_ENTRY;
		}
		world_add_limit(w, service, &l);
		for (int k = 0; k < 4 && (l.scope == SL_SCOPE_FLOW || l.scope == SL_SCOPE_CLIENT);
		     k++) {
			struct sl_pace pace = random_pace(state, &l);
			uint32_t addr = client(state);

			if (chance_once(state, 3))
				world_add_exception(w, service, i, addr, client_port(state), &pace);
		}
	}
}

/* Few ids, so that packets meet them. */
static void random_servers(struct world *w, uint64_t *state, uint32_t service)
{
	uint8_t bytes = (uint8_t)(1 + chance_of(state, SL_SERVER_ID_MAX));
	uint16_t *flags = &w->service[service].record.flags;

	for (uint32_t k = 0; k < 2 * WORLD_BACKENDS; k++)
		if (chance_once(state, 2))
			world_add_server_id(w, service, 1 + k % WORLD_BACKENDS, k, bytes);
	if (chance_once(state, 8))
		*flags &= (uint16_t)~SL_SERVICE_TRACK;
}

/* How new flows are picked, and a cycle that may be longer than the table, or 0. */
static void random_scheduler(struct world *w, uint64_t *state, uint32_t service)
{
	struct sl_schedule *schedule = w->store.base[SL_ARRAY_schedules];
	struct sl_service *s = &w->service[service].record;

	s->pick = (uint8_t)(1 + chance_of(state, SL_PICKS));
	schedule[s->id].cycle = chance_of(state, WORLD_ROWS + 8);
	if (!chance_once(state, 10))
		s->flags |= SL_SERVICE_TRACK;
}

static void random_service(struct world *w, uint64_t *state, uint32_t i)
{
	uint8_t protocol = chance_once(state, 2) ? FRAME_UDP : FRAME_TCP;
	uint32_t life = 1 + chance_of(state, 3000);

	world_add_service(w, service_vip(i), service_port(i), protocol, 16u << chance_of(state, 3));
	if (chance_once(state, 3))
		world_make_ipv6(w, i);
	if (chance_once(state, 4))
		world_make_range(w, i, (uint16_t)(service_port(i) + RANGE - 1));
	random_backends(w, state, i);
	random_mode(w, state, i);
	random_slots(w, state, i);
	if (chance_once(state, 4))
		w->service[i].record.flags |= SL_SERVICE_TRACK;
	if (chance_once(state, 3))
		random_scheduler(w, state, i);
	if (protocol == FRAME_UDP && w->service[i].record.mode != SL_MODE_FULLNAT &&
	    chance_once(state, 2))
		random_servers(w, state, i);
	world_set_timeouts(w, i, (1 + life / 8) * CHANCE_MS, (1 + life) * CHANCE_MS,
			   (1 + life / 4) * CHANCE_MS);
	if (chance_once(state, 3))
		random_limits(w, state, i);
}

static void random_routes(struct world *w, uint64_t *state)
{
	static const struct {
		uint32_t prefix, length;
	} pool[] = {
		{ FRAME_IP(192, 0, 2, 0), 24 },	    { FRAME_IP(198, 51, 100, 0), 24 },
		{ FRAME_IP(192, 0, 2, 21), 32 },    { FRAME_IP(198, 51, 100, 128), 25 },
		{ FRAME_IP(10, 0, 0, 0), 8 },	    { FRAME_IP(0, 0, 0, 0), 0 },
		{ FRAME_IP(198, 51, 100, 28), 32 }, { FRAME_IP(192, 0, 2, 64), 26 },
	};

	for (uint32_t i = 0; i < WORLD_ROUTES; i++) {
		enum sl_route_kind kind =
			chance_once(state, 2) ? SL_ROUTE_VIA : 1 + chance_of(state, 5);
		uint32_t at = i % (sizeof(pool) / sizeof(*pool));
		bool is_ipv6 = at != i;
		struct sl_route *r;

		if (chance_once(state, 3))
			continue;
		r = world_add_route(w, pool[at].prefix, pool[at].length, kind);
		if (is_ipv6 && pool[at].length)
			r->prefix = world_addr(pool[at].prefix, true);
		else if (is_ipv6)
			r->prefix = (union sl_addr){ .q = { 0 } }, r->length = 0;
		random_bytes(state, r->dst_mac, 6);
		random_bytes(state, r->src_mac, 6);
		r->port = (uint16_t)chance_of(state, PORTS);
		if (chance_once(state, 5))
			r->mtu = 28 + chance_of(state, 100);
		if (chance_once(state, 2))
			r->gateway = world_addr(client(state), is_ipv6);
	}
}

/* In one of its two buckets, where there is room. */
static void random_entry(struct world *w, uint64_t *state, uint64_t now)
{
	struct sl_bucket *table = w->store.base[SL_ARRAY_flows];
	uint32_t n = w->store.count[SL_ARRAY_flows];
	uint32_t service = chance_of(state, chance_once(state, 6) ? WORLD_SERVICES * 2 : 2);
	bool is_ipv6 = service < w->services && w->service[service].is_ipv6;
	union sl_addr addr = world_addr(client(state), is_ipv6);
	uint64_t key =
		sl_flow_key((uint16_t)(service + 1),
			    sl_hash_source(&addr, sl_htons(client_port(state)), w->root->slot_key));
	uint64_t hash = world_flow_hash(w, key);
	uint32_t at = chance_once(state, 3) ? sl_hash_bucket2(hash, n, w->root->flow_key)
					    : sl_hash_bucket(hash, n);
	uint32_t backend = chance_of(state, WORLD_BACKENDS + 3);
	uint64_t seen =
		now - chance_of(state, 4000) * CHANCE_MS + chance_of(state, 300) * CHANCE_MS;

	for (int way = 0; way < SL_FLOW_WAYS; way++) {
		if (table[at].key[way])
			continue;
		table[at].key[way] = key | (chance_once(state, 50) ? SL_FLOW_BUSY : 0);
		table[at].value[way] =
			sl_flow_value(backend, (enum sl_flow_state)chance_of(state, 3), seen);
		return;
	}
}

/* What a wrong control might write. */
static void spoil(struct world *w, uint64_t *state)
{
	uint32_t i = chance_of(state, w->services);
	struct sl_service *s;

	world_snapshot_all(w);
	s = world_live_service(w, i);
	switch (chance_of(state, 7)) {
	case 6:
		s->server_ids = (uint32_t)world_random(state);
		break;
	case 4:
		s->mode = (uint8_t)world_random(state);
		break;
	case 0:
		s->slots = (uint32_t)world_random(state);
		break;
	case 1:
		s->backends = (uint32_t)world_random(state);
		break;
	case 2:
		s->n_backends = (uint16_t)world_random(state);
		break;
	case 3:
		s->id = (uint16_t)(world_random(state) & SL_FLOW_SERVICE_MAX);
		break;
	default:
		world_live_bank(w)->lengths4[chance_of(state, 2)] = (uint8_t)world_random(state);
		world_live_bank(w)->lengths6[chance_of(state, 2)] = (uint8_t)world_random(state);
	}
}

void chance_tables(struct world *w, uint64_t *state, uint64_t now)
{
	uint32_t services = 1 + chance_of(state, WORLD_SERVICES);
	uint32_t entries = w->store.count[SL_ARRAY_flows] * SL_FLOW_WAYS * chance_of(state, 5) / 3;

	for (uint32_t i = 0; i < services; i++)
		random_service(w, state, i);
	random_routes(w, state);
	for (uint32_t i = 0; i < PORTS; i++) {
		uint8_t other[6];

		random_bytes(state, w->port[i].mac, 6);
		random_bytes(state, other, 6);
		w->port[i].mac[0] &= 0xfe; /* one host's */
		other[0] &= 0xfe;
		w->port[i].address[chance_of(state, SL_PORT_ADDRESSES)] = sl_port_address(other);
	}
	world_publish(w);
	for (uint32_t i = 0; i < entries; i++)
		random_entry(w, state, now);
	if (chance_once(state, 10))
		spoil(w, state);
}

/* Packets */

/* A port that the service has, or the one after its last. */
static uint16_t port_of(const struct world *w, uint64_t *state, uint32_t service)
{
	bool range = w->service[service].record.flags & SL_SERVICE_RANGE;

	return (uint16_t)(service_port(service) + (range ? chance_of(state, RANGE + 1) : 0));
}

static void to_service(const struct world *w, uint64_t *state, struct frame_spec *s)
{
	uint32_t i = chance_of(state, w->services);

	s->src = client(state);
	s->sport = client_port(state);
	s->dst = service_vip(i);
	s->dport = port_of(w, state, i);
	s->protocol = sl_endpoint_protocol(w->service[i].record.endpoint);
	if (chance_once(state, 20))
		s->dport++;
	if (chance_once(state, 40))
		s->protocol = FRAME_ICMP;
	if (chance_once(state, 40))
		s->dst += 3;
	if (chance_once(state, 40))
		s->src = chance_once(state, 2) ? s->dst : (uint32_t)world_random(state) << 24;
}

static void from_backend(const struct world *w, uint64_t *state, struct frame_spec *s)
{
	uint32_t i = chance_of(state, w->services), n = w->service[i].record.n_backends;
	uint32_t k = n ? chance_of(state, n) : 0;

	s->src = backend_addr(i, k + 1);
	s->sport = n ? sl_ntohs(w->service[i].backend[k].port) : 8080;
	if (!s->sport)
		s->sport = port_of(w, state, i);
	s->dst = client(state);
	s->dport = client_port(state);
	s->protocol = sl_endpoint_protocol(w->service[i].record.endpoint);
	if (w->service[i].record.mode == SL_MODE_FULLNAT || chance_once(state, 40)) {
		s->dst = WORLD_POOL_ADDR;
		s->dport = (uint16_t)(WORLD_POOL_FIRST - 1 +
				      chance_of(state, WORLD_POOL_LAST - WORLD_POOL_FIRST + 3));
	}
}

static uint8_t flags(uint64_t *state)
{
	static const uint8_t usual[] = { FRAME_SYN,
					 FRAME_SYN,
					 FRAME_ACK,
					 FRAME_ACK,
					 FRAME_ACK | FRAME_FIN,
					 FRAME_RST,
					 FRAME_ACK,
					 FRAME_SYN | FRAME_ACK,
					 0 };

	return chance_once(state, 30) ? (uint8_t)world_random(state)
				      : usual[chance_of(state, sizeof(usual))];
}

static void tags(uint64_t *state, struct frame_spec *s)
{
	uint32_t n = chance_of(state, 4);

	for (uint32_t i = 0; i < n && i < 3; i++) {
		s->tag_type[i] = chance_once(state, 2) ? 0x8100 : 0x88a8;
		s->tag[i] = (uint16_t)world_random(state);
	}
}

/* Fragments are of few clients, so that they meet. */
static void few_clients(uint64_t *state, struct frame_spec *s, bool reply)
{
	*(reply ? &s->dst : &s->src) = FRAME_IP(192, 0, 2, 21) + 21 * chance_of(state, 2);
}

/* Mostly good ones, of few datagrams. */
static void fragment(uint64_t *state, struct frame_spec *s)
{
	static const uint16_t kinds[] = { 0x2000, 0x2000, 0x2003, 0x2001, 0x2002, 3, 185, 0x20b9 };

	s->fragment = kinds[chance_of(state, sizeof(kinds) / sizeof(kinds[0]))];
	s->id = (uint16_t)(1 + chance_of(state, 4));
	if (s->fragment & 0x2000 && !chance_once(state, 8))
		s->payload =
			(uint16_t)(8 * chance_of(state, 8) + (s->protocol == FRAME_TCP ? 4 : 0));
}

/* Instead of the beginning of the payload. */
static void tcp_options(uint64_t *state, struct frame *f)
{
	static const uint8_t usual[] = { 0, 1, 1, 2, 2, 4, 4, 5, 200 };
	uint32_t words = chance_of(state, 11);

	if (f->l4 + 20 > f->length)
		return;
	f->bytes[f->l4 + 12] = (uint8_t)((5 + words) << 4);
	for (uint32_t at = f->l4 + 20; at < f->l4 + 20 + 4 * words && at < f->length; at++)
		f->bytes[at] = usual[chance_of(state, sizeof(usual))];
}

/* A header of QUIC instead of what it carries, mostly a good one. */
static void quic_header(const struct world *w, uint64_t *state, struct frame *f)
{
	static const uint32_t versions[] = { 1, 1, 1, 0x6b3343cf, 0x6b3343cf, 0, 0xff00001d };
	uint32_t bytes = w->service[chance_of(state, w->services)].server_bytes;
	uint32_t version = versions[chance_of(state, 7)], n = 0;
	bool is_long = chance_once(state, 2);
	uint8_t header[16];

	header[n++] = (uint8_t)((is_long ? 0x80 : 0) | (chance_once(state, 12) ? 0 : 0x40) |
				chance_of(state, 64));
	for (int i = 24; is_long && i >= 0; i -= 8)
		header[n++] = (uint8_t)(version >> i);
	if (is_long)
		header[n++] = (uint8_t)chance_of(state, chance_once(state, 4) ? 256 : 21);
	header[n++] = (uint8_t)(chance_once(state, 8) ? 0xe0 : chance_of(state, 256));
	while (bytes-- > 1 && n < sizeof(header) - 1)
		header[n++] = (uint8_t)chance_once(state, 100);
	header[n++] = (uint8_t)chance_of(state, 20);
	for (uint32_t i = 0; i < n && f->l4 + 8 + i < f->length; i++)
		f->bytes[f->l4 + 8 + i] = header[i];
}

static void ip_packet(const struct world *w, uint64_t *state, struct frame *f)
{
	struct frame_spec s = { .flags = flags(state), .payload = (uint16_t)chance_of(state, 64) };
	bool reply = chance_once(state, 3);

	random_bytes(state, s.eth_dst, 12);
	if (reply)
		from_backend(w, state, &s);
	else
		to_service(w, state, &s);
	if (chance_once(state, 6))
		tags(state, &s);
	if (chance_once(state, 8))
		s.options = (uint8_t)(1 + chance_of(state, 10));
	if (chance_once(state, 8))
		s.ttl = (uint8_t)(1 + chance_of(state, 3));
	if (chance_once(state, 16))
		s.csum = (enum frame_csum)chance_of(state, 3);
	if (chance_once(state, 24))
		s.fragment = (uint16_t)world_random(state);
	else if (chance_once(state, 6))
		few_clients(state, &s, reply), fragment(state, &s);
	else if (chance_once(state, 3))
		s.fragment = 0x4000; /* don't */
	if (chance_once(state, 24))
		s.length_error = (int16_t)((int)chance_of(state, 80) - 40);
	if (chance_once(state, 40))
		s.version_ihl = (uint8_t)world_random(state);
	if (chance_once(state, 5))
		s.trailer = (uint16_t)chance_of(state, 20);
	frame_build(f, &s);
	if (s.protocol == FRAME_TCP && chance_once(state, 2))
		tcp_options(state, f);
	if (s.protocol == FRAME_UDP && !reply)
		quic_header(w, state, f);
}

/* An error about a packet the other way, now and then about another one. */
static void icmp_packet(const struct world *w, uint64_t *state, struct frame *f)
{
	static const uint8_t kinds[] = { 8, 8, 3, 3, 3, 11, 12, 0, 5 };
	struct frame_icmp m = { .type = kinds[chance_of(state, sizeof(kinds))],
				.code = (uint8_t)chance_of(state, 16),
				.rest = { (uint16_t)world_random(state), 1280 } };
	struct frame_spec about = { .payload = (uint16_t)chance_of(state, 40) }, s = { 0 };
	struct frame quoted;
	uint32_t swap;

	random_bytes(state, s.eth_dst, 12);
	if (!chance_once(state, 8))
		s.eth_dst[0] &= 0xfe;
	if (chance_once(state, 2)) {
		to_service(w, state, &about);
	} else {
		from_backend(w, state, &about);
		if (chance_once(state, 6))
			s.src = about.src; /* the backend itself */
	}
	/* What was sent: the packet as the other side saw it. */
	swap = about.src, about.src = about.dst, about.dst = swap;
	swap = about.sport, about.sport = about.dport, about.dport = (uint16_t)swap;
	if (chance_once(state, 6))
		about.options = (uint8_t)(1 + chance_of(state, 10));
	about.csum = (enum frame_csum)chance_of(state, 3);
	if (chance_once(state, 16))
		about.fragment = (uint16_t)world_random(state);
	if (chance_once(state, 30))
		about.version_ihl = (uint8_t)world_random(state);
	frame_build(&quoted, &about);
	if (m.type != 8 && m.type != 0) {
		m.quoted = &quoted;
		m.quote = (uint16_t)chance_of(state, quoted.length - quoted.l3 + 1);
		if (chance_once(state, 3) && m.quote >= 28)
			m.quote = 28;
	}
	s.dst = chance_once(state, 20) ? client(state) : about.src;
	if (!s.src)
		s.src = chance_once(state, 10) ? about.src : client(state);
	if (chance_once(state, 6))
		tags(state, &s);
	if (chance_once(state, 8))
		s.ttl = (uint8_t)(1 + chance_of(state, 3));
	if (chance_once(state, 8))
		s.options = (uint8_t)(1 + chance_of(state, 4));
	if (chance_once(state, 5))
		s.trailer = (uint16_t)chance_of(state, 20);
	frame_build_icmp(f, &s, &m);
}

static void arp_packet(const struct world *w, uint64_t *state, struct frame *f)
{
	struct frame_arp a = { .target = service_vip(chance_of(state, w->services)),
			       .sender = client(state) };

	random_bytes(state, a.eth_dst, 12);
	random_bytes(state, a.sender_mac, 6);
	if (chance_once(state, 4))
		a.tag = 5;
	if (chance_once(state, 6))
		a.target += 5;
	if (chance_once(state, 6))
		a.operation = (uint16_t)(1 + chance_of(state, 3));
	frame_build_arp(f, &a);
}

static void put_addr(uint8_t *to, uint32_t addr)
{
	union sl_addr wide = world_addr(addr, true);

	memcpy(to, wide.b, sizeof(wide.b));
}

/* Where the next begins. */
static uint32_t extension(uint64_t *state, struct frame *f, uint32_t at, uint8_t *next)
{
	static const uint8_t kinds[] = { 0, 43, 44, 51, 60 };
	uint8_t kind = kinds[chance_of(state, sizeof(kinds))], *e = &f->bytes[at];
	uint32_t words = chance_of(state, 4) + (kind == 51);

	*next = kind;
	memset(e, 0, 40);
	e[0] = 59;
	e[1] = kind == 44 ? 0 : (uint8_t)words;
	if (kind == 43 && chance_once(state, 6))
		e[3] = 1;
	if (kind == 44 && chance_once(state, 2))
		e[3] = (uint8_t)world_random(state);
	return at + (kind == 44 ? 8 : kind == 51 ? (words + 2) * 4 : (words + 1) * 8);
}

/* Likewise, of a fragment. */
static uint32_t fragment6(uint64_t *state, struct frame *f, uint32_t at, uint8_t *next)
{
	static const uint16_t kinds[] = { 1, 1, 1, 9, 17, 25, 24, 185 << 3, 185 << 3 | 1, 0xfff8 };
	uint16_t is = kinds[chance_of(state, sizeof(kinds) / sizeof(kinds[0]))];
	uint8_t *e = &f->bytes[at];

	*next = 44;
	memset(e, 0, 8);
	e[0] = 59;
	e[2] = (uint8_t)(is >> 8);
	e[3] = (uint8_t)is;
	e[chance_once(state, 2) ? 4 : 7] = 1;
	return at + 8;
}

/* A packet of IPv4 gets another header; sums stay as they were: engines sum nothing. */
static void make_ipv6(uint64_t *state, struct frame *f, const struct frame_spec *s, uint32_t n,
		      uint32_t fragment_at)
{
	struct frame four;
	uint32_t at, end;
	uint8_t *next;

	frame_build(&four, s);
	*f = four;
	f->bytes[f->l3 - 2] = 0x86;
	f->bytes[f->l3 - 1] = 0xdd;
	memset(&f->bytes[f->l3], 0, 40);
	f->bytes[f->l3] = (uint8_t)(0x60 | chance_of(state, chance_once(state, 40) ? 256 : 16));
	f->bytes[f->l3 + 1] = (uint8_t)world_random(state);
	f->bytes[f->l3 + 7] = chance_once(state, 8) ? (uint8_t)chance_of(state, 3) : 64;
	put_addr(&f->bytes[f->l3 + 8], s->src);
	put_addr(&f->bytes[f->l3 + 24], s->dst);
	if (chance_once(state, 40))
		memcpy(&f->bytes[f->l3 + 8], sl_addr4(sl_htonl(s->src)).b, 16);
	next = &f->bytes[f->l3 + 6];
	at = f->l3 + 40;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t from = at;

		at = i == fragment_at ? fragment6(state, f, at, next)
				      : extension(state, f, at, next);
		next = &f->bytes[from];
	}
	*next = s->protocol ? s->protocol : FRAME_TCP;
	memcpy(&f->bytes[at], &four.bytes[four.l4], four.length - four.l4);
	f->l4 = at;
	end = at + four.length - four.l4;
	f->length = end;
	end -= f->l3 + 40;
	if (chance_once(state, 24))
		end += chance_of(state, 80) - 40;
	f->bytes[f->l3 + 4] = (uint8_t)(end >> 8);
	f->bytes[f->l3 + 5] = (uint8_t)end;
	if (s->protocol == FRAME_TCP && chance_once(state, 2))
		tcp_options(state, f);
}

enum { ICMP6 = 58, ICMP6_ECHO = 128, NO_FRAGMENT = 99 };

static void ip6_packet(const struct world *w, uint64_t *state, struct frame *f)
{
	struct frame_spec s = { .flags = flags(state), .payload = (uint16_t)chance_of(state, 64) };
	uint32_t n = chance_once(state, 4) ? chance_of(state, 9) : 0, at = NO_FRAGMENT;
	bool reply = chance_once(state, 3);

	random_bytes(state, s.eth_dst, 12);
	if (reply)
		from_backend(w, state, &s);
	else
		to_service(w, state, &s);
	if (chance_once(state, 6))
		tags(state, &s);
	if (chance_once(state, 16))
		s.csum = FRAME_CSUM_NONE;
	if (chance_once(state, 16))
		s.protocol = ICMP6;
	if (chance_once(state, 4)) {
		n = chance_once(state, 4) ? n : 0;
		at = chance_of(state, n + 1);
		n++;
		few_clients(state, &s, reply);
		if (!chance_once(state, 8))
			s.payload = (uint16_t)(8 * chance_of(state, 8) +
					       (s.protocol == FRAME_TCP ? 4 : 0));
	}
	make_ipv6(state, f, &s, n, at);
	if (s.protocol == ICMP6 && f->l4 < f->length)
		f->bytes[f->l4] = ICMP6_ECHO;
	if (s.protocol == FRAME_UDP && !reply)
		quic_header(w, state, f);
	if (chance_once(state, 5))
		f->length += chance_of(state, 20);
}

/* An error about a packet the other way, as icmp_packet() has it. */
static void icmp6_packet(const struct world *w, uint64_t *state, struct frame *f)
{
	static const uint8_t kinds[] = { 1, 2, 2, 3, 4, 128, 137 };
	uint32_t n = chance_once(state, 3) ? chance_of(state, 4) : 0, length;
	struct frame_spec s = { .payload = (uint16_t)chance_of(state, 40) }, about;
	uint32_t at = chance_once(state, 3) ? chance_of(state, ++n) : NO_FRAGMENT;
	uint8_t *ip = &f->bytes[14], *icmp = ip + 40;
	bool itself = chance_once(state, 6);
	struct frame quoted;

	if (chance_once(state, 2))
		to_service(w, state, &s);
	else
		from_backend(w, state, &s);
	about = s;
	about.src = s.dst, about.dst = s.src;
	about.sport = s.dport, about.dport = s.sport;
	about.csum = (enum frame_csum)chance_of(state, 3);
	make_ipv6(state, &quoted, &about, n, at);
	length = quoted.length - quoted.l3;
	if (chance_once(state, 3))
		length = chance_of(state, length + 1);
	memset(f, 0, sizeof(*f));
	random_bytes(state, f->bytes, 12);
	f->bytes[0] &= 0xfe;
	f->bytes[12] = 0x86;
	f->bytes[13] = 0xdd;
	f->l3 = 14;
	f->l4 = 54;
	ip[0] = 0x60;
	ip[5] = (uint8_t)(8 + length);
	ip[6] = ICMP6;
	ip[7] = (uint8_t)(chance_once(state, 8) ? 1 : 64);
	put_addr(ip + 8, itself ? s.src : client(state));
	put_addr(ip + 24, chance_once(state, 20) ? client(state) : about.src);
	icmp[0] = kinds[chance_of(state, sizeof(kinds))];
	random_bytes(state, icmp + 1, 7);
	memcpy(icmp + 8, &quoted.bytes[quoted.l3], length);
	f->length = 62 + length + (chance_once(state, 5) ? chance_of(state, 20) : 0);
}

static void nd_packet(const struct world *w, uint64_t *state, struct frame *f)
{
	uint32_t vip = service_vip(chance_of(state, w->services)), options = chance_of(state, 3);
	uint8_t *ip = &f->bytes[14], *nd = ip + 40;

	memset(f, 0, sizeof(*f));
	random_bytes(state, f->bytes, 12);
	f->bytes[12] = 0x86;
	f->bytes[13] = 0xdd;
	f->l3 = 14;
	f->l4 = 54;
	ip[0] = 0x60;
	ip[5] = (uint8_t)(24 + 8 * options);
	ip[6] = 58;
	ip[7] = chance_once(state, 8) ? 64 : 255;
	if (!chance_once(state, 4))
		put_addr(ip + 8, client(state));
	if (chance_once(state, 4))
		put_addr(ip + 24, vip);
	else
		memcpy(ip + 24, (uint8_t[16]){ 0xff, 2, [11] = 1, 0xff }, 13);
	nd[0] = chance_once(state, 12) ? (uint8_t)world_random(state) : 135;
	random_bytes(state, nd + 2, 2);
	put_addr(nd + 8, vip + (chance_once(state, 6) ? 5 : 0));
	for (uint32_t i = 0; i < options; i++) {
		nd[24 + 8 * i] = chance_once(state, 3) ? 14 : 1;
		nd[25 + 8 * i] = (uint8_t)(chance_once(state, 8) ? chance_of(state, 3) : 1);
		random_bytes(state, nd + 26 + 8 * i, 6);
	}
	f->length = 54 + 24 + 8 * options;
}

bool chance_fragment(uint64_t *state, struct frame *f)
{
	static const uint16_t units[] = { 1, 2, 3, 4, 185, 8191 };
	uint16_t unit = units[chance_of(state, sizeof(units) / sizeof(units[0]))];
	bool is_ipv6 = f->bytes[f->l3] >> 4 == 6, more = chance_once(state, 2);
	uint16_t is = is_ipv6 ? (uint16_t)(unit << 3 | more) : (uint16_t)(unit | more << 13);
	uint32_t at = f->l3 + (is_ipv6 ? 42 : 6);

	if (f->l3 < 14 || at + 2 > f->length || (is_ipv6 && f->bytes[f->l3 + 6] != 44) ||
	    (!is_ipv6 && !(f->bytes[at] & 0x3f) && !f->bytes[at + 1]))
		return false;
	f->bytes[at] = (uint8_t)(is >> 8);
	f->bytes[at + 1] = (uint8_t)is;
	return true;
}

static void mutate(uint64_t *state, struct frame *f)
{
	uint32_t n = 1 + chance_of(state, 4);

	if (chance_once(state, 3))
		f->length = chance_of(state, f->length + 1);
	for (uint32_t i = 0; i < n && f->length; i++)
		f->bytes[chance_of(state, f->length)] = (uint8_t)world_random(state);
}

/* Mostly to the port that it comes in by; or as it was, which is anything. */
static void address(const struct world *w, uint64_t *state, struct frame *f)
{
	const struct sl_port *port = &w->port[0];

	if (chance_once(state, 12))
		return;
	memcpy(f->bytes, port->mac, 6);
	if (chance_once(state, 16))
		memcpy(f->bytes,
		       (const uint8_t *)&port->address[chance_of(state, SL_PORT_ADDRESSES)] + 2, 6);
	if (chance_once(state, 24))
		f->bytes[chance_of(state, 6)] ^= (uint8_t)(1 << chance_of(state, 8));
}

void chance_packet(const struct world *w, uint64_t *state, struct frame *f)
{
	if (chance_once(state, 25))
		arp_packet(w, state, f);
	else if (chance_once(state, 30))
		nd_packet(w, state, f);
	else if (chance_once(state, 30))
		icmp6_packet(w, state, f);
	else if (chance_once(state, 3))
		ip6_packet(w, state, f);
	else if (chance_once(state, 8))
		icmp_packet(w, state, f);
	else
		ip_packet(w, state, f);
	address(w, state, f);
	if (chance_once(state, 8))
		mutate(state, f);
}
