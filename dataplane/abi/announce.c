/* SPDX-License-Identifier: BSD-2-Clause */
#include "announce.h"

#include <stdlib.h>
#include <string.h>

#include "csum.h"

#define EVERY_NS (SL_ANNOUNCE_EVERY_MS * 1000000ull)

enum {
	ETH = 14,
	ARP = 28,
	IP6 = 40,
	ADVERTISEMENT = 32, /* with its option */
	FRAME_MIN = 60,	    /* Ethernet's least, without the frame check sequence */
};

/* One VIP on one port. */
struct pending {
	uint64_t due_ns;
	uint32_t left; /* how often it is to be sent yet */
};

struct sl_announce {
	uint32_t n_ports;
	uint64_t instance; /* and generation: where the VIPs are from */
	uint64_t generation;
	union sl_addr *vip; /* sorted */
	size_t n;
	struct pending *pending; /* of each VIP, on each port */
	size_t next;		 /* who is looked at first */
	uint64_t due_ns;	 /* of the earliest; UINT64_MAX: nothing is pending */
	struct sl_announce_port port[];
};

struct sl_announce *sl_announce_new(uint32_t n_ports)
{
	struct sl_announce *a = calloc(1, sizeof(*a) + n_ports * sizeof(a->port[0]));

	if (!a)
		return NULL;
	a->n_ports = n_ports;
	a->due_ns = UINT64_MAX;
	return a;
}

void sl_announce_free(struct sl_announce *a)
{
	if (!a)
		return;
	free(a->vip);
	free(a->pending);
	free(a);
}

static void begin(struct sl_announce *a, size_t vip, uint32_t port)
{
	a->pending[vip * a->n_ports + port] = (struct pending){ .left = SL_ANNOUNCE_TIMES };
	a->due_ns = 0;
}

void sl_announce_port(struct sl_announce *a, uint32_t port, const struct sl_announce_port *now)
{
	if (port >= a->n_ports || !memcmp(&a->port[port], now, sizeof(*now)))
		return;
	a->port[port] = *now;
	for (size_t v = 0; v < a->n; v++) {
		if (now->answers)
			begin(a, v, port);
		else
			a->pending[v * a->n_ports + port].left = 0;
	}
}

/* VIPs */

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(union sl_addr));
}

/* The records of bare addresses in the generation's bank, sorted. False as for
 * sl_announce_follow(). */
static bool read_vips(const struct sl_store *store, uint64_t generation, union sl_addr **out,
		      size_t *n)
{
	const struct sl_bank *bank = &sl_store_root(store)->bank[generation & 1];
	uint32_t places = store->count[SL_ARRAY_services] / 2;
	const struct sl_service *s = (const struct sl_service *)store->base[SL_ARRAY_services] +
				     (size_t)(generation & 1) * places;
	uint64_t seq = __atomic_load_n(&bank->seq, __ATOMIC_ACQUIRE);
	union sl_addr *vip = calloc((size_t)places + 1, sizeof(*vip));

	*n = 0;
	if (!vip)
		return false;
	for (uint32_t i = 0; i < places; i++)
		if (s[i].flags & SL_SERVICE_VIP && !s[i].endpoint) /* a prefix is routed here */
			vip[(*n)++] = s[i].vip;
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the records before the word that vouches */
	if (seq & 1 || __atomic_load_n(&bank->seq, __ATOMIC_RELAXED) != seq ||
	    bank->generation != generation) {
		free(vip);
		return false;
	}
	qsort(vip, *n, sizeof(*vip), by_address);
	*out = vip;
	return true;
}

static bool take(struct sl_announce *a, union sl_addr *vip, size_t n)
{
	struct pending *before = a->pending;
	union sl_addr *old = a->vip;
	size_t n_old = a->n, o = 0;

	a->pending = calloc(n * a->n_ports + 1, sizeof(*a->pending));
	if (!a->pending) {
		a->pending = before;
		free(vip);
		return false;
	}
	a->vip = vip;
	a->n = n;
	a->next = 0;
	for (size_t v = 0; v < n; v++) {
		while (o < n_old && by_address(&old[o], &vip[v]) < 0)
			o++;
		if (o < n_old && !by_address(&old[o], &vip[v])) {
			memcpy(&a->pending[v * a->n_ports], &before[o * a->n_ports],
			       a->n_ports * sizeof(*before));
			continue;
		}
		for (uint32_t p = 0; p < a->n_ports; p++)
			if (a->port[p].answers)
				begin(a, v, p);
	}
	free(old);
	free(before);
	return true;
}

bool sl_announce_follow(struct sl_announce *a, const struct sl_store *store)
{
	const struct sl_root *root = sl_store_root(store);
	/* Acquire: the bank before the generation that makes it live. */
	uint64_t generation = __atomic_load_n(&root->generation, __ATOMIC_ACQUIRE);
	union sl_addr *vip;
	size_t n;

	if (generation == a->generation && root->instance == a->instance)
		return true;
	if (!read_vips(store, generation, &vip, &n) || !take(a, vip, n))
		return false;
	a->generation = generation;
	a->instance = root->instance;
	return true;
}

/* Sending */

void sl_announce_run(struct sl_announce *a, uint64_t now_ns, uint32_t max,
		     bool (*send)(void *context, uint32_t port, const uint8_t *frame, size_t size),
		     void *context)
{
	size_t total = a->n * a->n_ports;
	uint64_t due_ns = UINT64_MAX;

	if (now_ns < a->due_ns)
		return;
	for (size_t i = 0; i < total; i++) {
		size_t at = (a->next + i) % total;
		struct pending *p = &a->pending[at];
		uint32_t port = (uint32_t)(at % a->n_ports);
		uint8_t frame[SL_ANNOUNCE_FRAME_MAX];

		if (p->left && p->due_ns <= now_ns) {
			size_t size = sl_announce_frame(frame, &a->vip[at / a->n_ports],
							a->port[port].mac);

			if (!max--) {
				a->next = at;
				return;
			}
			p->left -= send(context, port, frame, size);
			p->due_ns = now_ns + EVERY_NS;
		}
		if (p->left && p->due_ns < due_ns)
			due_ns = p->due_ns;
	}
	a->due_ns = due_ns;
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t n)
{
	memcpy(to, bytes, n);
	return to + n;
}

/* A request that asks for the address itself, as a host sends it that has it. */
static size_t arp_frame(uint8_t *frame, const union sl_addr *addr, const uint8_t mac[6])
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0, 1 }; /* Ethernet, IPv4, request */
	uint8_t *at = put(frame, everybody, 6);

	at = put(at, mac, 6);
	at = put(at, (const uint8_t[]){ 0x08, 0x06 }, 2);
	at = put(at, head, sizeof(head));
	at = put(at, mac, 6);
	at = put(at, &addr->w[3], 4);
	at += 6; /* of whom it is asked: nobody */
	put(at, &addr->w[3], 4);
	return FRAME_MIN;
}

static uint16_t sum_of(const uint8_t *bytes, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2) {
		uint16_t word;

		memcpy(&word, bytes + i, 2);
		sum += word;
	}
	return sl_csum_fold(sum);
}

static size_t nd_frame(uint8_t *frame, const union sl_addr *addr, const uint8_t mac[6])
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	uint8_t *ip = frame + ETH, *icmp = ip + IP6;
	uint32_t sum;
	uint16_t csum;

	put(put(put(frame, all_nodes_mac, 6), mac, 6), (const uint8_t[]){ 0x86, 0xdd }, 2);
	put(ip, (const uint8_t[]){ 0x60, 0, 0, 0, 0, ADVERTISEMENT, 58, 255 }, 8);
	put(put(ip + 8, addr, 16), all_nodes, 16);
	icmp[0] = 136;
	icmp[4] = 0x20; /* override, and nobody asked */
	put(icmp + 8, addr, 16);
	put(icmp + 24, (const uint8_t[]){ 2, 1 }, 2); /* the target's link-layer address */
	put(icmp + 26, mac, 6);
	sum = (uint32_t)sum_of(ip + 8, 32) + sum_of(icmp, ADVERTISEMENT) +
	      sl_htons(ADVERTISEMENT + 58);
	csum = (uint16_t)~sl_csum_fold(sum);
	put(icmp + 2, &csum, 2);
	return ETH + IP6 + ADVERTISEMENT;
}

size_t sl_announce_frame(uint8_t frame[SL_ANNOUNCE_FRAME_MAX], const union sl_addr *addr,
			 const uint8_t mac[6])
{
	memset(frame, 0, SL_ANNOUNCE_FRAME_MAX);
	return sl_addr_is4(addr) ? arp_frame(frame, addr, mac) : nd_frame(frame, addr, mac);
}
