/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker knows of the services that it has met in this generation, so that it asks but once
 * what is the same for each of their packets: a line of its own for each, found by what a packet
 * says. Nobody else reads or writes these.
 */
#ifndef SL_ENGINE_KNOWN_H
#define SL_ENGINE_KNOWN_H

#include "seam.h"

enum {
	SL_KNOWN_BITS = 12,
	SL_KNOWN_PLACES = 1 << SL_KNOWN_BITS,
};

/* Of a service: that the second half of its packets is core's. Of limits one is decided here, that
 * which is kept in the flow's entry. */
#define SL_STEADY_NEVER                                                                            \
	(SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_NEW | SL_SERVICE_QUIC | SL_SERVICE_FULLNAT)

/* What is known of a packet after the first half, and whose the second is. */
enum sl_steady_kind {
	SL_STEADY_NOT,	 /* nothing: both are core's */
	SL_STEADY_KNOWN, /* its service: the second is core's */
	SL_STEADY_NAT,
	SL_STEADY_DIRECT,
	SL_STEADY_TUNNEL,
	SL_STEADY_REPLY, /* the backend that it comes from, and its route */
	SL_STEADY_SIX = 8,
	SL_STEADY_KNOWN6 = SL_STEADY_KNOWN | SL_STEADY_SIX, /* of IPv6 */
	SL_STEADY_NAT6 = SL_STEADY_NAT | SL_STEADY_SIX,
	SL_STEADY_DIRECT6 = SL_STEADY_DIRECT | SL_STEADY_SIX,
	SL_STEADY_TUNNEL6 = SL_STEADY_TUNNEL | SL_STEADY_SIX,
	SL_STEADY_REPLY6 = SL_STEADY_REPLY | SL_STEADY_SIX,
};

/* A service, as far as it is asked for each packet. */
struct sl_known_service {
	uint64_t to; /* sl_known_to() or sl_known_to6(); in an empty place all is 0 */
	const struct sl_service *service;
	const uint32_t *rows; /* row_mask + 1 of them, and n_backends: checked to be there */
	const struct sl_backend *backends;
	uint32_t row_mask;
	uint32_t n_backends;
	uint32_t row_endpoint;
	sl_be32 counts4; /* affinity: what of an IPv4 client's address and port makes its row */
	sl_be16 counts_port;
	uint16_t id;
	uint16_t flags;
	uint8_t least; /* bytes of its packets' headers */
	uint8_t kind;  /* enum sl_steady_kind */
	uint8_t mode;  /* enum sl_mode */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sl_known_service) == 64, "one cache line");

/* Two services that share a place are known one at a time. Begins as zero. */
struct sl_known {
	uint64_t generation; /* in which all that holds */
	uint32_t n_taken;
	struct sl_known_service *taken[2 * SL_KNOWN_PLACES];
	struct sl_known_service four[SL_KNOWN_PLACES];
	struct sl_known_service six[SL_KNOWN_PLACES];
};

/* Of IPv4, destination address, protocol and port: as they lie behind the source, with the protocol
 * where the source's port is. */
SL_INLINE uint64_t sl_known_to(sl_be32 dst, uint8_t protocol, sl_be16 port)
{
	return (uint32_t)dst | (uint64_t)protocol << 32 | (uint64_t)(uint16_t)port << 48;
}

/* Of IPv6 a digest, which finds a service; its record says whether it is that one. Never 0. */
SL_INLINE uint64_t sl_known_to6(const union sl_addr *dst, uint32_t endpoint)
{
	return ((dst->q[0] + endpoint) * 0x9e3779b97f4a7c15ull ^ dst->q[1]) | 1;
}

SL_INLINE uint32_t sl_known_place(uint64_t to)
{
	uint32_t folded =
		(uint32_t)(to ^ to >> 32); /* a port alone would stay in the highest bits */

	return (uint32_t)(folded * 0x9e3779b97f4a7c15ull >> (64 - SL_KNOWN_BITS));
}

/* Nothing is known in the generation that the tables are of. */
static inline void sl_known_forget(struct sl_known *known, uint64_t generation)
{
	known->generation = generation;
	while (known->n_taken)
		*known->taken[--known->n_taken] = (struct sl_known_service){ 0 };
}

/* Whether the backend of the first row is of IPv4: nearly always all are of one family. */
static inline bool sl_known_outer4(const struct sl_known_service *k)
{
	uint32_t backend = sl_row_cur(k->rows[0]);

	return backend - 1 < k->n_backends && sl_addr_is4(&k->backends[backend - 1].addr);
}

/* What of a service's packets the second half does here. */
static inline enum sl_steady_kind sl_known_kind(const struct sl_service *s,
						const struct sl_known_service *k)
{
	static const uint8_t kind_of[SL_MODES] = {
		[SL_MODE_NAT] = SL_STEADY_NAT,	     [SL_MODE_DIRECT] = SL_STEADY_DIRECT,
		[SL_MODE_IPIP] = SL_STEADY_TUNNEL,   [SL_MODE_GUE] = SL_STEADY_TUNNEL,
		[SL_MODE_FULLNAT] = SL_STEADY_KNOWN,
	};
	bool never = s->flags & SL_STEADY_NEVER || s->mode >= SL_MODES ||
		     (s->flags & SL_SERVICE_ENTRY_TO && !(s->flags & SL_SERVICE_TRACK));

	if (never || (kind_of[s->mode] == SL_STEADY_TUNNEL && !sl_known_outer4(k)))
		return SL_STEADY_KNOWN;
	return (enum sl_steady_kind)kind_of[s->mode];
}

/* Where a service is known, if it is. */
static inline struct sl_known_service *sl_known_place_of(struct sl_known *known,
							 const struct sl_service *s, uint64_t *to)
{
	uint8_t protocol = (uint8_t)(s->endpoint >> 16);

	if (!sl_addr_is4(&s->vip)) {
		*to = sl_known_to6(&s->vip, s->endpoint);
		return &known->six[sl_known_place(*to)];
	}
	*to = sl_known_to(s->vip.w[3], protocol, (sl_be16)(uint16_t)s->endpoint);
	return &known->four[sl_known_place(*to)];
}

/* Whether all is there that its record names, and a packet alone tells that it is its. */
static inline bool sl_known_can(const struct sl_tables *t, const struct sl_service *s, bool six)
{
	uint64_t rows = (uint64_t)s->rows * SL_ROWS_PER_RECORD;

	return !(s->flags & SL_SERVICE_RANGE) && !(six && s->prefix6) && s->id < t->n_terms &&
	       s->id < t->tallies && s->n_backends && sl_seam_row(t, rows + s->row_mask) &&
	       sl_seam_backend(t, (uint64_t)s->backends + s->n_backends - 1);
}

/* What core/ has found is at hand from now on, in place of whom its place was of. */
static inline void sl_known_learn(const struct sl_tables *t, struct sl_known *known,
				  const struct sl_service *service)
{
	struct sl_service s = *service;
	bool six = !sl_addr_is4(&s.vip), tcp = (uint8_t)(s.endpoint >> 16) == SL_PROTO_TCP;
	size_t l3 = six ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4);
	size_t l4 = tcp ? sizeof(struct sl_tcp) : sizeof(struct sl_udp);
	uint64_t to;
	struct sl_known_service *place = sl_known_place_of(known, &s, &to);
	struct sl_known_service new = {
		.to = to,
		.service = service,
		.rows = sl_seam_row(t, (uint64_t)s.rows * SL_ROWS_PER_RECORD),
		.backends = sl_seam_backend(t, s.backends),
		.row_mask = s.row_mask,
		.n_backends = s.n_backends,
		.row_endpoint = s.row_endpoint,
		.counts4 = (sl_be32) ~(uint32_t)s.ignore4,
		.counts_port = (sl_be16) ~(uint16_t)s.ignore_port,
		.id = s.id,
		.flags = s.flags,
		.least = (uint8_t)(l3 + l4),
		.mode = s.mode,
	};

	if (known->generation != t->generation || !sl_known_can(t, &s, six))
		return;
	new.kind = (uint8_t)(sl_known_kind(&s, &new) | (six ? SL_STEADY_SIX : 0));
	if (!sl_seam_current(t))
		return;
	if (!place->service)
		known->taken[known->n_taken++] = place;
	*place = new;
}

#endif
