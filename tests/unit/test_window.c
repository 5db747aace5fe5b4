/* SPDX-License-Identifier: BSD-2-Clause */
/* What a FIN or RST means to a flow of full NAT (core/window.h): conversations, segment by segment,
 * and what each has to come to. Numbers are relative to where the client and the backend begin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "world.h"

enum {
	F = SL_TCP_FIN,
	S = SL_TCP_SYN,
	R = SL_TCP_RST,
	A = SL_TCP_ACK,
	LENGTH = 20,
	MB = 1 << 20,
	GUESSES = 1000000,
};

enum who { NOBODY, CLIENT, BACKEND, FORGED /* with the client's address */ };

/* What it comes to. */
enum {
	DATA = SL_EVENT_DATA,
	END = SL_EVENT_END,
	HALF = SL_EVENT_HALF_CLOSE,
	STRAY = SL_EVENT_STRAY
};

struct segment {
	enum who who;
	uint8_t flags;
	uint32_t seq, ack, length;
	uint8_t event;
};

struct conversation {
	const char *name;
	struct segment segment[LENGTH];
};

/* clang-format off */
#define HANDSHAKE								\
	{ CLIENT, S, 0, 0, 0, DATA }, { BACKEND, S | A, 0, 1, 0, DATA },	\
	{ CLIENT, A, 1, 1, 0, DATA }
/* clang-format on */

static const struct conversation conversations[] = {
	{ "one side after the other",
	  { HANDSHAKE,
	    { CLIENT, A, 1, 1, 100, DATA },
	    { CLIENT, F | A, 101, 1, 0, HALF },
	    { BACKEND, A, 1, 102, 1000, DATA },
	    { CLIENT, A, 102, 1001, 0, DATA },
	    { BACKEND, F | A, 1001, 102, 0, END },
	    { CLIENT, A, 102, 1002, 0, DATA } } },
	{ "the backend first, which sends its FIN twice",
	  { HANDSHAKE,
	    { BACKEND, F | A, 1, 1, 0, HALF },
	    { BACKEND, F | A, 1, 1, 0, HALF },
	    { CLIENT, A, 1, 2, 5000, DATA },
	    { CLIENT, F | A, 5001, 2, 0, END } } },
	{ "both at once",
	  { HANDSHAKE, { CLIENT, F | A, 1, 1, 0, HALF }, { BACKEND, F | A, 1, 1, 0, END } } },
	{ "each ends it by a reset",
	  { HANDSHAKE, { CLIENT, R, 1, 0, 0, END }, { BACKEND, R | A, 1, 1, 0, END } } },
	{ "the client gives up before an answer",
	  { { CLIENT, S, 0, 0, 0, DATA },
	    { FORGED, R, MB, 0, 0, STRAY },
	    { CLIENT, R, 1, 0, 0, END } } },
	{ "refused", { { CLIENT, S, 7, 0, 0, DATA }, { BACKEND, R | A, 0x30000000, 8, 0, END } } },
	{ "refused, what somebody else had sent",
	  { { CLIENT, S, 7, 0, 0, DATA }, { BACKEND, R | A, 0x30000000, 4 * MB, 0, STRAY } } },
	{ "a SYN with data is refused",
	  { { CLIENT, S, 7, 0, 1000, DATA }, { BACKEND, R | A, 0, 8, 0, END } } },
	{ "forged resets and FINs: far ahead, far behind, half round",
	  { HANDSHAKE,
	    { FORGED, R, 10 * MB, 0, 0, STRAY },
	    { FORGED, R, -10u * MB, 0, 0, STRAY },
	    { FORGED, R, 0x80000000, 0, 0, STRAY },
	    { FORGED, R | A, 10 * MB, 1, 0, STRAY },
	    { FORGED, F | A, 10 * MB, 1, 0, STRAY },
	    { FORGED, F | R, 10 * MB, 1, 0, STRAY },
	    { BACKEND, F | A, 1, 1, 0, HALF }, /* nobody but the client can be the second */
	    { FORGED, F | A, 0x70000000, 2, 0, STRAY },
	    { CLIENT, F | A, 1, 2, 0, END } } },
	{ "a forged segment doesn't move the window to where a forged reset is",
	  { HANDSHAKE,
	    { FORGED, A, 10 * MB, 1, 60000, DATA },
	    { FORGED, R, 10 * MB, 0, 0, STRAY },
	    { FORGED, A, 10 * MB, 0x40000000, 0, DATA },
	    { BACKEND, R, 0x40000000, 0, 0, STRAY },
	    { CLIENT, R, 1, 0, 0, END } } },
	{ "a forged acknowledgement of what the backend hasn't sent",
	  { HANDSHAKE,
	    { FORGED, A, 1, 10 * MB, 0, DATA },
	    { BACKEND, R, 10 * MB, 0, 0, STRAY },
	    { BACKEND, R, 1, 0, 0, END } } },
	{ "a download that is aborted with much on its way",
	  { HANDSHAKE,
	    { BACKEND, A, 1, 1, 60000, DATA },
	    { BACKEND, A, 60001, 1, 60000, DATA },
	    { BACKEND, A, 120001, 1, 60000, DATA },
	    { BACKEND, A, 180001, 1, 60000, DATA },
	    { BACKEND, A, 240001, 1, 60000, DATA },
	    { BACKEND, R | A, 300001, 1, 0, END },
	    { BACKEND, R, 1, 1, 0, END } } }, /* to what the client sent last */
	{ "what was acknowledged long ago ends nothing",
	  { HANDSHAKE,
	    { CLIENT, A, 1, 1, 60000, DATA },
	    { CLIENT, A, 60001, 1, 60000, DATA },
	    { CLIENT, A, 120001, 1, 60000, DATA },
	    { CLIENT, A, 180001, 1, 60000, DATA },
	    { CLIENT, A, 240001, 1, 60000, DATA },
	    { BACKEND, A, 1, 300001, 0, DATA },
	    { FORGED, R, 1, 0, 0, STRAY },
	    { CLIENT, F | A, 1, 1, 0, STRAY }, /* late, and seen before */
	    { CLIENT, R, 300001, 0, 0, END } } },
	{ "the client's packets were lost before us: the backend knows better",
	  { HANDSHAKE,
	    { CLIENT, A, 20 * MB, 1, 1000, DATA },
	    { CLIENT, R, 20 * MB, 0, 0, STRAY },
	    { BACKEND, A, 1, 20 * MB, 0, DATA },
	    { CLIENT, R, 20 * MB, 0, 0, END } } },
	{ "the backend's were: it goes on elsewhere, and late ones don't lead back",
	  { HANDSHAKE,
	    { BACKEND, A, 40 * MB, 1, 1000, DATA },
	    { BACKEND, A, 39 * MB, 1, 1000, DATA },
	    { BACKEND, F | A, 40 * MB + 1000, 1, 0, HALF },
	    { CLIENT, F | A, 1, 40 * MB + 1001, 0, END } } },
	{ "an acknowledgement comes late",
	  { HANDSHAKE,
	    { CLIENT, A, 1, 1, 60000, DATA },
	    { CLIENT, A, 60001, 1, 60000, DATA },
	    { CLIENT, A, 120001, 1, 60000, DATA },
	    { BACKEND, A, 1, 180001, 0, DATA },
	    { BACKEND, A, 1, 60001, 0, DATA },
	    { FORGED, R, -4u * MB, 0, 0, STRAY },
	    { CLIENT, R, 180001, 0, 0, END } } },
	{ "nothing is known: the first segment counts",
	  { { CLIENT, A, 5 * MB, 9 * MB, 0, DATA },
	    { FORGED, R, 50 * MB, 0, 0, STRAY },
	    { BACKEND, A, 9 * MB, 5 * MB, 0, DATA },
	    { BACKEND, R, 90 * MB, 0, 0, STRAY },
	    { CLIENT, F | A, 5 * MB, 9 * MB, 0, HALF },
	    { BACKEND, F | A, 9 * MB, 5 * MB + 1, 0, END } } },
	{ "nothing is known, and the backend speaks first",
	  { { BACKEND, A, 9 * MB, 5 * MB, 0, DATA },
	    { FORGED, R, 50 * MB, 0, 0, STRAY },
	    { CLIENT, R, 5 * MB, 0, 0, END } } },
	{ "nothing is known, and a reset comes: it may be right",
	  { { CLIENT, R, 5 * MB, 0, 0, END }, { BACKEND, R, 9 * MB, 0, 0, END } } },
};

static struct world w;
static struct sl_snat_line line;
static struct sl_tables tables;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(world_make(&w, 64), 0);
	tables = w.queue[0];
	tables.snat_lines = &line;
	tables.n_snat_lines = 1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(&w);
	return 0;
}

static uint8_t see(const struct segment *s, uint32_t client, uint32_t backend, bool first)
{
	bool back = s->who == BACKEND;
	uint32_t seq = s->seq + (back ? backend : client), ack = s->ack + (back ? client : backend);
	uint32_t what = s->flags | s->length << 16;

	if (back)
		what |= SL_WINDOW_BACK;
	if (first && s->flags == S)
		what |= SL_WINDOW_FRESH;
	return (uint8_t)sl_window_impl(&tables, 3, seq | (uint64_t)ack << 32, what);
}

/* With numbers that come round in the midst of it, and with others; after whatever was there. */
static void test_conversations(void **state)
{
	static const uint32_t begin[][2] = { { 0, 0 },
					     { 0xffffffff, 0xfffffffe },
					     { 0xfff00000, 0x7fffffff },
					     { 12345678, 0xffffff00 },
					     { 0x8001ffff, 0x1ffff } };

	(void)state;
	for (size_t c = 0; c < sizeof(conversations) / sizeof(conversations[0]); c++) {
		const struct conversation *talk = &conversations[c];
		bool fresh = talk->segment[0].flags == S;

		for (size_t b = 0; b < sizeof(begin) / sizeof(begin[0]); b++) {
			line.tcp[3] = fresh ? 0xa5a5a5a5a5a5a5a5 : 0;
			for (int i = 0; i < LENGTH && talk->segment[i].who; i++) {
				const struct segment *s = &talk->segment[i];
				uint8_t event = see(s, begin[b][0], begin[b][1], i == 0);

				if (event != s->event)
					fail_msg("%s, begin %zu, segment %d: %u, not %u",
						 talk->name, b, i, event, s->event);
			}
		}
	}
}

/* Whoever guesses needs many. */
static void test_guesses(void **state)
{
	static const struct segment open[] = { HANDSHAKE };
	uint64_t seed = 1, before;
	uint32_t hits = 0;

	(void)state;
	line.tcp[3] = 0;
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		see(&open[i], 77, 78, i == 0);
	before = line.tcp[3];
	for (uint32_t i = 0; i < GUESSES; i++) {
		struct segment s = { FORGED, R, (uint32_t)world_random(&seed), 0, 0, 0 };

		hits += see(&s, 0, 0, false) == SL_EVENT_END;
		s.flags = A;
		s.ack = (uint32_t)world_random(&seed);
		if (!sl_window_holds(line.tcp[3], s.seq | (uint64_t)s.ack << 32, A))
			see(&s, 0, 0, false);
		assert_int_equal(line.tcp[3], before);
	}
	print_message("%u of %u guesses\n", hits, GUESSES);
	assert_true(hits < GUESSES / 10000);
}

/* Nobody else's word changes, and one that isn't there harms nobody. */
static void test_places(void **state)
{
	struct sl_snat_line before;

	(void)state;
	memset(&line, 0x5a, sizeof(line));
	before = line;
	sl_window_impl(&tables, 3, 7, S | SL_WINDOW_FRESH);
	assert_memory_not_equal(&line.tcp[3], &before.tcp[3], sizeof(line.tcp[3]));
	before.tcp[3] = line.tcp[3];
	assert_memory_equal(&line, &before, sizeof(line));
	assert_int_equal(sl_window_impl(&tables, SL_SNAT_PORTS_PER_LINE, 7, R), SL_EVENT_DATA);
	assert_int_equal(sl_window_impl(&tables, ~0u, 7, R), SL_EVENT_DATA);
	assert_memory_equal(&line, &before, sizeof(line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_conversations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_guesses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
