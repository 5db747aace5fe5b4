/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Mode fullnat: whether a FIN or RST is the connection's own (RFC 5961), and which sides have
 * closed (RFC 5382, REQ-5).
 *
 * Each mapping has one word about its TCP connection. For each side it holds a window of sequence
 * numbers, from the highest one that the other side has acknowledged (low) to the highest one that
 * this side has sent (high), and whether a packet and a FIN of this side were seen:
 *
 *     63 client seen    62 backend seen    61 client's FIN    60 backend's FIN
 *     59..45 client high    44..30 client low    29..15 backend high    14..0 backend low
 *
 * The numbers count units of 128 KiB, so the word is written once per unit and not for each packet.
 * A segment is in its side's window if it begins between low and one unit after high. A FIN or RST
 * outside of it is forwarded, because its receiver can check it exactly, but doesn't change the
 * flow. An attacker who guesses needs some 20,000 packets for one that is accepted.
 *
 * The sides aren't treated alike. Anybody can forge a client's address, so a client's segment moves
 * windows only if it is in the client's own. Only the flow's backend can send as the backend, so
 * its segments always count; after packets were lost on their way to us, they bring the windows
 * back.
 */
#ifndef SL_CORE_WINDOW_H
#define SL_CORE_WINDOW_H

#include "snat.h"

enum {
	SL_WINDOW_SHIFT = 17,
	SL_WINDOW_BITS = 15,
	SL_WINDOW_MASK = (1 << SL_WINDOW_BITS) - 1,
	SL_WINDOW_OLD = 128, /* units: a packet that lies so far behind, or less, is late */
};

/* The `what` of sl_window(): 0..7 TCP flags, 8 sent by the backend, 9 begins the connection,
 * 16..31 bytes of data. */
#define SL_WINDOW_BACK	(1u << 8)
#define SL_WINDOW_FRESH (1u << 9)

/* Bits of the word. side: 0 the client, 1 the backend. */
SL_INLINE uint64_t sl_window_seen(bool side)
{
	return 1ull << (63 - side);
}

SL_INLINE uint64_t sl_window_fin(bool side)
{
	return 1ull << (61 - side);
}

SL_INLINE uint32_t sl_window_low_at(bool side)
{
	return side ? 0 : 2 * SL_WINDOW_BITS;
}

SL_INLINE uint32_t sl_window_get(uint64_t word, uint32_t at)
{
	return word >> at & SL_WINDOW_MASK;
}

SL_INLINE uint64_t sl_window_set(uint64_t word, uint32_t at, uint32_t unit)
{
	return (word & ~((uint64_t)SL_WINDOW_MASK << at)) | (uint64_t)(unit & SL_WINDOW_MASK) << at;
}

/* Sets the window of a side, which counts as seen from now on. */
SL_INLINE uint64_t sl_window_open(uint64_t word, bool side, uint32_t low, uint32_t high)
{
	uint32_t at = sl_window_low_at(side);

	word = sl_window_set(word | sl_window_seen(side), at, low);
	return sl_window_set(word, at + SL_WINDOW_BITS, high);
}

/* Whether a number is in a side's window, or one unit after it. */
SL_INLINE bool sl_window_has(uint64_t word, bool side, uint32_t unit)
{
	uint32_t at = sl_window_low_at(side), low = sl_window_get(word, at);
	uint32_t width = (sl_window_get(word, at + SL_WINDOW_BITS) - low) & SL_WINDOW_MASK;

	return ((unit - low) & SL_WINDOW_MASK) <= width + 1;
}

/* Whether a number lies shortly before the window: the packet is late. */
SL_INLINE bool sl_window_late(uint64_t word, bool side, uint32_t unit)
{
	uint32_t low = sl_window_get(word, sl_window_low_at(side));

	return ((low - unit) & SL_WINDOW_MASK) <= SL_WINDOW_OLD;
}

/* The word after the side has sent the numbers from first to end. */
SL_INLINE uint64_t sl_window_sent(uint64_t word, bool side, uint32_t first, uint32_t end)
{
	uint32_t at = sl_window_low_at(side), low = sl_window_get(word, at);
	uint32_t high = sl_window_get(word, at + SL_WINDOW_BITS);

	if (!(word & sl_window_seen(side)))
		return sl_window_open(word, side, first, end);
	if (!sl_window_has(word, side, first))
		return side && !sl_window_late(word, side, first)
			       ? sl_window_open(word, side, first, end)
			       : word;
	if (((end - low) & SL_WINDOW_MASK) > ((high - low) & SL_WINDOW_MASK))
		word = sl_window_set(word, at + SL_WINDOW_BITS, end);
	return word;
}

/* The word after the other side has acknowledged what `side` sent up to this number. */
SL_INLINE uint64_t sl_window_acked(uint64_t word, bool side, uint32_t unit)
{
	uint32_t at = sl_window_low_at(side), low = sl_window_get(word, at);
	uint32_t width = (sl_window_get(word, at + SL_WINDOW_BITS) - low) & SL_WINDOW_MASK;
	bool seen = word & sl_window_seen(side);

	if (seen && ((unit - low) & SL_WINDOW_MASK) <= width)
		return sl_window_set(word, at, unit);
	if (side || (seen && sl_window_late(word, side, unit)))
		return word;
	return sl_window_open(word, side, unit, unit); /* the backend knows */
}

/* Whether a segment belongs to the connection, as far as the word tells. If its side wasn't seen
 * yet, the acknowledged number is checked: that of a reset that refuses a SYN. */
SL_INLINE bool sl_window_holds(uint64_t word, uint64_t seq_ack, uint32_t what)
{
	bool side = what & SL_WINDOW_BACK;

	if (word & sl_window_seen(side))
		return sl_window_has(word, side, (uint32_t)seq_ack >> SL_WINDOW_SHIFT);
	return !(what & SL_TCP_ACK) || !(word & sl_window_seen(!side)) ||
	       sl_window_has(word, !side, seq_ack >> (32 + SL_WINDOW_SHIFT));
}

/* The word after a segment, except for its FIN. */
SL_INLINE uint64_t sl_window_moved(uint64_t word, uint64_t seq_ack, uint32_t what)
{
	uint32_t seq = (uint32_t)seq_ack, end = seq + (what >> 16);
	bool side = what & SL_WINDOW_BACK;

	if (what & SL_TCP_SYN)
		end++;
	word = sl_window_sent(word, side, seq >> SL_WINDOW_SHIFT, end >> SL_WINDOW_SHIFT);
	return what & SL_TCP_ACK ? sl_window_acked(word, !side, seq_ack >> (32 + SL_WINDOW_SHIFT))
				 : word;
}

/* What a segment means for its flow; updates the word of the flow's mapping. place: the index of
 * the port over all regions. seq_ack: 0..31 the sequence number, 32..63 the acknowledged number. */
SL_INLINE enum sl_event sl_window_impl(const struct sl_tables *t, uint32_t place, uint64_t seq_ack,
				       uint32_t what)
{
	struct sl_snat_line *line = sl_seam_snat_line(t, place / SL_SNAT_PORTS_PER_LINE);
	bool side = what & SL_WINDOW_BACK, own;
	uint64_t *at, was, word, next;

	if (!line)
		return SL_EVENT_DATA;
	at = &line->tcp[place % SL_SNAT_PORTS_PER_LINE];
	was = sl_entry_load(at);
	word = what & SL_WINDOW_FRESH ? 0 : was;
	own = sl_window_holds(word, seq_ack, what);
	if (what & SL_TCP_RST)
		return own ? SL_EVENT_END : SL_EVENT_STRAY;
	if (own || side) {
		/* If another writer was faster, this update is lost; later segments bring it. */
		next = sl_window_moved(word, seq_ack, what);
		if (sl_unlikely(next != was))
			sl_entry_swap(at, was, next);
		word = next;
	}
	if (sl_likely(!(what & SL_TCP_FIN)))
		return SL_EVENT_DATA;
	if (!sl_window_holds(word, seq_ack, what))
		return SL_EVENT_STRAY;
	word = __sync_fetch_and_or(at, sl_window_fin(side));
	return word & sl_window_fin(!side) ? SL_EVENT_END : SL_EVENT_HALF_CLOSE;
}

/* The same for a segment whose flow was tracked before its mapping was known; updates the flow's
 * entry too. A SYN starts a new word if it began the flow, which then is in state opening. Any
 * other SYN changes nothing; its receiver sends a challenge ACK. */
SL_INLINE void sl_segment_impl(const struct sl_tables *t, uint32_t place, uint64_t seq_ack,
			       uint32_t what, uint64_t key, uint64_t now)
{
	struct sl_policer_query packet = { .now = now };
	enum sl_event event;
	uint64_t value;

	if (sl_is_syn((uint8_t)what)) {
		value = sl_track_value_impl(t, key, now);
		if (!value || sl_flow_state(value) != SL_FLOW_OPENING)
			return;
		what |= SL_WINDOW_FRESH;
	}
	event = sl_window_impl(t, place, seq_ack, what);
	if (event == SL_EVENT_END || event == SL_EVENT_HALF_CLOSE)
		sl_track_charge_impl(t, key, (uint8_t)event, false, &packet);
}

/* The index of a mapping's port over all regions, or ~0. */
SL_INLINE uint32_t sl_snat_place(const struct sl_tables *t, uint32_t pool, uint64_t bound)
{
	const struct sl_snat_address *a = sl_snat_address(t, pool, sl_snat_address_index(bound));

	return a ? sl_snat_port_index(a->region, sl_snat_port(bound)) : ~0u;
}

#endif
