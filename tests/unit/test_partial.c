/* SPDX-License-Identifier: BSD-2-Clause */
/* Partial checksums: recognised and completed, and nothing else changed. What a complete checksum
 * is, frames.c says, by a sum of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../dataplane/core/partial.h"
#include "frames.h"

#define SRC FRAME_IP(203, 0, 113, 9)
#define DST FRAME_IP(198, 51, 100, 7)

static bool complete(struct frame *f, bool mend)
{
	struct sl_packet p = { .data = f->bytes, .end = f->bytes + f->length, .length = f->length };

	return sl_partial_complete_impl(&p, mend);
}

static struct frame_spec spec_of(uint8_t protocol, uint16_t payload)
{
	return (struct frame_spec){ .src = SRC,
				    .dst = DST,
				    .sport = 40000,
				    .dport = 53,
				    .protocol = protocol,
				    .flags = protocol == FRAME_TCP ? FRAME_ACK : 0,
				    .payload = payload };
}

static void assert_completed(struct frame_spec spec)
{
	struct frame f, want;

	spec.csum = FRAME_CSUM_FULL;
	frame_build(&want, &spec);
	f = want;
	if (complete(&f, true)) /* by chance it is its pseudo-header's too */
		assert_memory_equal(f.bytes, want.bytes, want.length);
	spec.csum = FRAME_CSUM_PARTIAL;
	frame_build(&f, &spec);
	assert_true(complete(&f, true));
	assert_int_equal(f.length, want.length);
	assert_memory_equal(f.bytes, want.bytes, want.length);
	assert_true(frame_l4_holds(&f));
}

/* Every length, so that blocks and odd bytes end everywhere. */
static void test_lengths(void **state)
{
	(void)state;
	for (uint16_t payload = 0; payload < 200; payload++) {
		assert_completed(spec_of(FRAME_TCP, payload));
		assert_completed(spec_of(FRAME_UDP, payload));
	}
}

static void test_headers(void **state)
{
	struct frame_spec spec = spec_of(FRAME_TCP, 33);

	(void)state;
	spec.options = 10;
	assert_completed(spec);
	spec.tag_type[0] = 0x88a8;
	spec.tag_type[1] = 0x8100;
	assert_completed(spec);
	spec.trailer = 7; /* no part of the segment */
	assert_completed(spec);
}

/* What must come out as it went in. */
static void assert_left(const struct frame_spec *spec)
{
	struct frame f, before;

	frame_build(&f, spec);
	before = f;
	assert_false(complete(&f, true));
	assert_memory_equal(f.bytes, before.bytes, f.length);
}

static void test_left(void **state)
{
	struct frame_spec spec = spec_of(FRAME_UDP, 33);

	(void)state;
	spec.csum = FRAME_CSUM_NONE;
	assert_left(&spec);
	spec.csum = FRAME_CSUM_PARTIAL;
	spec.fragment = 0x2000; /* more follow */
	assert_left(&spec);
	spec.fragment = 0;
	spec.length_error = 1; /* longer than the frame */
	assert_left(&spec);
	spec = spec_of(FRAME_ICMP, 33);
	assert_left(&spec);
}

static void test_cut(void **state)
{
	struct frame_spec spec = spec_of(FRAME_TCP, 100);
	struct frame f, before;
	struct sl_packet p;

	(void)state;
	spec.csum = FRAME_CSUM_PARTIAL;
	frame_build(&f, &spec);
	before = f;
	for (uint32_t here = 0; here < f.length; here++) {
		p = (struct sl_packet){ .data = f.bytes,
					.end = f.bytes + here,
					.length = f.length };
		assert_false(sl_partial_complete_impl(&p, true));
		assert_memory_equal(f.bytes, before.bytes, f.length);
	}
}

static void test_not_mended(void **state)
{
	struct frame_spec spec = spec_of(FRAME_TCP, 100);
	struct frame f, before;

	(void)state;
	spec.csum = FRAME_CSUM_PARTIAL;
	frame_build(&f, &spec);
	before = f;
	assert_true(complete(&f, false));
	assert_memory_equal(f.bytes, before.bytes, f.length);
}

/* A complete checksum that by chance is the pseudo-header's sum: of the 65,536 values that one word
 * of the payload may have, at least one makes it so. */
static void test_chance(void **state)
{
	static const uint8_t protocols[] = { FRAME_TCP, FRAME_UDP };
	int met = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct frame_spec spec = spec_of(protocols[i], 40);

		for (uint32_t port = 0; port < 65536; port++) {
			struct frame f, before;

			spec.sport = (uint16_t)port;
			frame_build(&f, &spec);
			before = f;
			met += complete(&f, true);
			assert_memory_equal(f.bytes, before.bytes, f.length);
		}
	}
	assert_in_range(met, 2, 4);
}

static uint32_t sum(const uint8_t *bytes, uint32_t n)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static uint32_t plus(uint32_t a, uint32_t b)
{
	return ((a + b) & 0xffff) + ((a + b) >> 16);
}

/* UDP over IPv6: header, then 8 bytes and a payload of odd length. */
static void test_ipv6(void **state)
{
	enum { L3 = 14, L4 = 54, LENGTH = 8 + 101, FIELD = L4 + 6 };
	struct frame f = { .length = L4 + LENGTH };
	uint8_t *b = f.bytes;
	uint32_t pseudo, csum;

	(void)state;
	b[12] = 0x86, b[13] = 0xdd;
	b[L3] = 0x60, b[L3 + 5] = LENGTH, b[L3 + 6] = FRAME_UDP, b[L3 + 7] = 64;
	for (int i = L3 + 8; i < (int)f.length; i++)
		b[i] = (uint8_t)(i * 37);
	b[L4 + 4] = 0, b[L4 + 5] = LENGTH;
	pseudo = plus(plus(sum(b + L3 + 8, 32), FRAME_UDP), LENGTH);
	b[FIELD] = b[FIELD + 1] = 0;
	csum = ~plus(pseudo, sum(b + L4, LENGTH)) & 0xffff;
	assert_false(complete(&f, true)); /* none */
	b[FIELD] = (uint8_t)(pseudo >> 8), b[FIELD + 1] = (uint8_t)pseudo;
	assert_true(complete(&f, true));
	assert_int_equal(b[FIELD] << 8 | b[FIELD + 1], csum);
	assert_false(complete(&f, true));
	b[FIELD] = (uint8_t)(pseudo >> 8), b[FIELD + 1] = (uint8_t)pseudo;
	b[L3 + 6] = 60; /* a header between: left as it is */
	assert_false(complete(&f, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),	   cmocka_unit_test(test_headers),
		cmocka_unit_test(test_left),	   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_not_mended), cmocka_unit_test(test_chance),
		cmocka_unit_test(test_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
