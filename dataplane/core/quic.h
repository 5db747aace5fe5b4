/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* QUIC connections are found by their connection id, even if the client's address has changed (RFC
 * 9000, 9; RFC 9308, 4.9).
 *
 * An id that the backend issued names the backend, by the plaintext form of QUIC-LB
 * (draft-ietf-quic-load-balancers): one byte, whose upper three bits are the configuration rotation
 * (7 means that the id names nobody), then the server id. The backend may use any rotation, and the
 * other five bits as it likes.
 *
 * The id is in the first packet of the datagram:
 *
 *   short header   at byte 1. The header doesn't give its length; only the server id is read.
 *   long header    at byte 6, behind version and length (RFC 8999, 5.1). Only versions 1 and 2
 *                  count (RFC 9000, RFC 9369). In Initial and 0-RTT packets the client may have
 *                  chosen the id, so they are treated as packets without one.
 *
 * In both the fixed bit is 1, which tells QUIC from other protocols on the port (RFC 9443).
 * Coalesced packets have the same id (RFC 9000, 12.2), so the first one suffices.
 *
 * A packet that is truncated or has another format names no backend: its flow's entry or slot
 * decides.
 */
#ifndef SL_CORE_QUIC_H
#define SL_CORE_QUIC_H

#include "route.h"

enum {
	SL_QUIC_LONG = 0x80,
	SL_QUIC_FIXED = 0x40,
	SL_QUIC_UNROUTABLE = 7,
	SL_QUIC_ID_MAX = 20, /* bytes */
	SL_QUIC_HANDSHAKE = 2,
};

#define SL_QUIC_1 0x00000001u
#define SL_QUIC_2 0x6b3343cfu

/* A long header up to the connection id. */
struct sl_quic_long {
	uint8_t first;
	uint8_t version[4];
	uint8_t length; /* length of the id */
} __attribute__((packed, may_alias));

/* The part of a datagram to search. */
struct sl_quic_where {
	uint32_t at;	/* offset of the UDP payload */
	uint32_t end;	/* offset behind it */
	uint32_t bytes; /* length of a server id */
};

/* Whether the backend issued the id of this long header, and it is long enough for a server id. */
SL_INLINE bool sl_quic_long_named(const struct sl_quic_long *h, uint32_t bytes)
{
	uint32_t version = (uint32_t)h->version[0] << 24 | (uint32_t)h->version[1] << 16 |
			   (uint32_t)h->version[2] << 8 | h->version[3];
	/* In version 2 all types are one higher, modulo 4 (RFC 9369, 3.2). */
	uint32_t type = ((uint32_t)(h->first >> 4) - (version == SL_QUIC_2)) & 3;

	return (version == SL_QUIC_1 || version == SL_QUIC_2) && type >= SL_QUIC_HANDSHAKE &&
	       h->length > bytes && h->length <= SL_QUIC_ID_MAX;
}

/* The offset of the connection id; 0: there is none that counts. */
SL_INLINE uint32_t sl_quic_id_at(const struct sl_packet *p, const struct sl_quic_where *w)
{
	const uint8_t *first = sl_packet_at(p, w->at, 1);
	const struct sl_quic_long *h;

	if (!first || w->at + 1 + 1 + w->bytes > w->end || !(*first & SL_QUIC_FIXED))
		return 0;
	if (!(*first & SL_QUIC_LONG))
		return w->at + 1;
	h = sl_packet_at(p, w->at, sizeof(*h));
	if (!h || !sl_quic_long_named(h, w->bytes) ||
	    w->at + (uint32_t)sizeof(*h) + h->length > w->end)
		return 0;
	return w->at + (uint32_t)sizeof(*h);
}

/* The server id of a datagram. False: it has none. */
SL_INLINE bool sl_quic_server(const struct sl_packet *p, const struct sl_quic_where *w,
			      uint64_t *server)
{
	uint32_t at = sl_quic_id_at(p, w);
	const uint8_t *byte = at ? sl_packet_at(p, at, 1) : NULL;
	uint64_t id = 0;

	if (!byte || *byte >> 5 == SL_QUIC_UNROUTABLE)
		return false;
	for (uint32_t i = 1; i <= SL_SERVER_ID_MAX; i++) {
		if (i > w->bytes)
			break;
		byte = sl_packet_at(p, at + i, 1);
		if (!byte)
			return false;
		id = id << 8 | *byte;
	}
	*server = id;
	return true;
}

/* The backend of a server id; server_ids: the service's table, packed. 0: none. */
SL_INLINE uint32_t sl_quic_backend(const struct sl_tables *t, uint32_t server_ids, uint64_t id)
{
	uint32_t at = sl_server_ids_first(server_ids), mask = sl_server_ids_mask(server_ids);
	uint64_t hash = sl_server_id_hash(id);

	for (int second = 0; second < 2; second++) {
		uint32_t bucket =
			second ? sl_server_id_second(hash, mask) : sl_server_id_first(hash, mask);
		const struct sl_table_block *r = sl_seam_block(t, (uint64_t)at + bucket);

		for (uint32_t i = 0; r && i < SL_SERVER_IDS_PER_BUCKET; i++)
			if (r->server_ids.id[i] == id && r->server_ids.backend[i])
				return r->server_ids.backend[i];
	}
	return 0;
}

/* where: 0..7 the offset of the UDP header, 8..31 the end of the IP packet, 32..35 the length of a
 * server id, 0 if the service has none. server_ids: the service's table, packed. */
SL_INLINE bool sl_quic_has_ids(uint64_t where)
{
	return where >> 32 & 15;
}

SL_INLINE uint32_t sl_quic_impl(const struct sl_tables *t, const struct sl_packet *p,
				uint64_t where, uint32_t server_ids)
{
	uint32_t l4 = where & 0xff, end = where >> 8 & 0xffffff, length;
	const struct sl_udp *udp = sl_packet_at(p, l4, sizeof(*udp));
	struct sl_quic_where w;
	uint64_t id;

	if (!sl_quic_has_ids(where) || !udp)
		return 0;
	length = l4 + sl_ntohs(udp->length);
	w = (struct sl_quic_where){ .at = l4 + (uint32_t)sizeof(*udp),
				    .end = length < end ? length : end,
				    .bytes = where >> 32 & 15 };
	if (!sl_quic_server(p, &w, &id))
		return 0;
	return sl_quic_backend(t, server_ids, id);
}

#endif
