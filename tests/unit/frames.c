/* SPDX-License-Identifier: BSD-2-Clause */
/* See frames.h. All words are written and read as bytes, high byte first. */
#include <assert.h>
#include <string.h>

#include "frames.h"

static void put16(struct frame *f, uint32_t at, uint16_t v)
{
	assert(at + 2 <= FRAME_MAX);
	f->bytes[at] = (uint8_t)(v >> 8);
	f->bytes[at + 1] = (uint8_t)v;
}

static void put32(struct frame *f, uint32_t at, uint32_t v)
{
	put16(f, at, (uint16_t)(v >> 16));
	put16(f, at + 2, (uint16_t)v);
}

/* RFC 1071 on big-endian words; an odd last byte is the high one. */
static uint32_t sum(const uint8_t *bytes, uint32_t n)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)total;
}

static uint32_t l4_length(const struct frame *f)
{
	return (uint32_t)(f->bytes[f->l3 + 2] << 8 | f->bytes[f->l3 + 3]) - (f->l4 - f->l3);
}

static uint32_t pseudo_sum(const struct frame *f, uint32_t length)
{
	return sum(&f->bytes[f->l3 + 12], 8) + f->bytes[f->l3 + 9] + length;
}

static uint32_t put_link(struct frame *f, const struct frame_spec *s)
{
	uint32_t at = 12;

	memcpy(f->bytes, s->eth_dst, 6);
	memcpy(f->bytes + 6, s->eth_src, 6);
	for (int i = 0; i < 3 && s->tag_type[i]; i++) {
		put16(f, at, s->tag_type[i]);
		put16(f, at + 2, s->tag[i]);
		at += 4;
	}
	put16(f, at, s->eth_type ? s->eth_type : 0x0800);
	return at + 2;
}

static uint32_t put_transport(struct frame *f, const struct frame_spec *s, uint8_t protocol)
{
	uint32_t l4 = f->l4;

	if (protocol != FRAME_TCP && protocol != FRAME_UDP)
		return l4;
	put16(f, l4, s->sport);
	put16(f, l4 + 2, s->dport);
	if (protocol == FRAME_UDP) {
		put16(f, l4 + 4, (uint16_t)(8 + s->payload));
		return l4 + 8;
	}
	put32(f, l4 + 4, 0x01020304);
	put32(f, l4 + 8, s->flags & FRAME_ACK ? 0x05060708 : 0);
	f->bytes[l4 + 12] = 5 << 4;
	f->bytes[l4 + 13] = s->flags;
	put16(f, l4 + 14, 0x7210);
	return l4 + 20;
}

static void put_l4_csum(struct frame *f, enum frame_csum how, uint8_t protocol, uint32_t length)
{
	uint32_t at = f->l4 + (protocol == FRAME_TCP ? 16 : 6);
	uint16_t csum = 0;

	if (protocol != FRAME_TCP && protocol != FRAME_UDP)
		return;
	if (how == FRAME_CSUM_PARTIAL) {
		csum = fold(pseudo_sum(f, length));
	} else if (how == FRAME_CSUM_FULL) {
		csum = (uint16_t)~fold(pseudo_sum(f, length) + sum(&f->bytes[f->l4], length));
		if (!csum && protocol == FRAME_UDP)
			csum = 0xffff;
	}
	put16(f, at, csum);
}

void frame_build(struct frame *f, const struct frame_spec *s)
{
	uint8_t protocol = s->protocol ? s->protocol : FRAME_TCP;
	uint32_t l3, at, end;

	memset(f, 0, sizeof(*f));
	f->l3 = l3 = put_link(f, s);
	f->l4 = l3 + 20 + 4u * s->options;
	f->bytes[l3] = (uint8_t)(0x45 + s->options);
	f->bytes[l3 + 1] = 0x10 | s->ecn;
	put16(f, l3 + 4, s->id ? s->id : 0xbeef);
	put16(f, l3 + 6, s->fragment);
	f->bytes[l3 + 8] = s->ttl ? s->ttl : 64;
	f->bytes[l3 + 9] = protocol;
	put32(f, l3 + 12, s->src);
	put32(f, l3 + 16, s->dst);
	for (at = l3 + 20; at < f->l4; at++)
		f->bytes[at] = 1; /* no operation */
	at = put_transport(f, s, protocol);
	end = at + s->payload;
	assert(end + s->trailer <= FRAME_MAX);
	for (; at < end; at++)
		f->bytes[at] = (uint8_t)(at * 37 + 11);
	for (f->length = end + s->trailer; at < f->length; at++)
		f->bytes[at] = 0xee;
	put16(f, l3 + 2, (uint16_t)(end - l3));
	put_l4_csum(f, s->csum, protocol, end - f->l4);
	put16(f, l3 + 2, (uint16_t)(end - l3 + (uint32_t)s->length_error));
	put16(f, l3 + 10, (uint16_t)~fold(sum(&f->bytes[l3], f->l4 - l3)));
	if (s->version_ihl)
		f->bytes[l3] = s->version_ihl;
}

void frame_build_icmp(struct frame *f, const struct frame_spec *spec, const struct frame_icmp *m)
{
	struct frame_spec s = *spec;
	uint32_t length;

	s.protocol = FRAME_ICMP;
	s.payload = (uint16_t)(8 + (m->quoted ? m->quote : s.payload));
	frame_build(f, &s);
	length = s.payload;
	f->bytes[f->l4] = m->type;
	f->bytes[f->l4 + 1] = m->code;
	put16(f, f->l4 + 2, 0);
	put16(f, f->l4 + 4, m->rest[0]);
	put16(f, f->l4 + 6, m->rest[1]);
	if (m->quoted)
		memcpy(&f->bytes[f->l4 + 8], &m->quoted->bytes[m->quoted->l3], m->quote);
	put16(f, f->l4 + 2, (uint16_t)~fold(sum(&f->bytes[f->l4], length)));
}

void frame_build_arp(struct frame *f, const struct frame_arp *a)
{
	uint32_t at = 12;

	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, a->eth_dst, 6);
	memcpy(f->bytes + 6, a->eth_src, 6);
	if (a->tag) {
		put16(f, at, 0x8100);
		put16(f, at + 2, a->tag);
		at += 4;
	}
	put16(f, at, 0x0806);
	f->l3 = f->l4 = at += 2;
	put16(f, at, a->hardware ? a->hardware : 1);
	put16(f, at + 2, a->protocol ? a->protocol : 0x0800);
	f->bytes[at + 4] = a->hardware_size ? a->hardware_size : 6;
	f->bytes[at + 5] = a->protocol_size ? a->protocol_size : 4;
	put16(f, at + 6, a->operation ? a->operation : 1);
	memcpy(&f->bytes[at + 8], a->sender_mac, 6);
	put32(f, at + 14, a->sender);
	memcpy(&f->bytes[at + 18], a->target_mac, 6);
	put32(f, at + 24, a->target);
	f->length = at + 28;
}

bool frame_ip_holds(const struct frame *f)
{
	return fold(sum(&f->bytes[f->l3], f->l4 - f->l3)) == 0xffff;
}

uint16_t frame_l4_error(const struct frame *f)
{
	uint32_t length = l4_length(f);

	return (uint16_t)~fold(pseudo_sum(f, length) + sum(&f->bytes[f->l4], length));
}

bool frame_l4_holds(const struct frame *f)
{
	bool udp = f->bytes[f->l3 + 9] == FRAME_UDP;

	if (udp && !f->bytes[f->l4 + 6] && !f->bytes[f->l4 + 7])
		return true; /* RFC 768: the sender computed none */
	return frame_l4_error(f) == 0;
}
