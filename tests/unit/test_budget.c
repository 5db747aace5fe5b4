/* SPDX-License-Identifier: BSD-2-Clause */
/* The verifier's budget: the XDP program with real sizes, and each that it goes on with, stays far
 * from the kernel's limits, on the kernel at hand. Instructions are what the verifier walks (its
 * limit is a million), the stack is that of the deepest chain of calls (512 bytes). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine.skel.h"

enum { MOST_INSTRUCTIONS = 500000, MOST_STACK = 512, MOST_PROGRAMS = 16, LOG_SIZE = 1 << 20 };

static void sizes(struct sl_xdp_engine *skel)
{
	skel->rodata->sl_services = 1024;
	skel->rodata->sl_reverses = 8192;
	skel->rodata->sl_routes = 8192;
	skel->rodata->sl_buckets = 349526;
	skel->rodata->sl_fragment_buckets = 4096;
	skel->rodata->sl_traffics = 4096;
	skel->rodata->sl_tallies = 257;
	skel->rodata->sl_limit_tallies = 2049;
	skel->rodata->sl_balances = 34817;
	skel->rodata->sl_exceptions = 2048;
	skel->rodata->sl_meter_lines = 32768;
	skel->rodata->sl_workers = 8;
	skel->rodata->sl_port = 1;
}

/* The program and the deepest of its functions, which call no other. Kernels before 6.9 round each
 * up to 32 bytes. */
static unsigned long deepest(const char *depths)
{
	unsigned long first = 0, most = 0;

	for (bool is_first = true;; is_first = false) {
		char *end;
		unsigned long n = (strtoul(depths, &end, 10) + 31) / 32 * 32;

		if (is_first)
			first = n;
		else
			most = n > most ? n : most;
		if (*end != '+')
			return first + most;
		depths = end + 1;
	}
}

/* What the verifier said of one of the programs, while all of them were loaded. */
static void check(const char *name, const char *log)
{
	const char *processed = strstr(log, "processed "), *stack = strstr(log, "stack depth ");
	unsigned long n;

	assert_non_null(processed);
	assert_non_null(stack);
	n = strtoul(processed + strlen("processed "), NULL, 10);
	print_message("%s: %lu instructions verified; %.*s\n", name, n, (int)strcspn(stack, "\n"),
		      stack);
	assert_true(n < MOST_INSTRUCTIONS);
	assert_true(deepest(stack + strlen("stack depth ")) <= MOST_STACK);
}

static void test_budget(void **state)
{
	struct sl_xdp_engine *skel = sl_xdp_engine__open();
	struct bpf_program *program;
	char *log[MOST_PROGRAMS];
	size_t n = 0;

	(void)state;
	assert_non_null(skel);
	sizes(skel);
	bpf_object__for_each_program(program, skel->obj)
	{
		assert_true(n < MOST_PROGRAMS);
		log[n] = calloc(1, LOG_SIZE);
		assert_non_null(log[n]);
		bpf_program__set_log_buf(program, log[n++], LOG_SIZE);
		bpf_program__set_log_level(program, 4); /* statistics alone */
	}
	if (sl_xdp_engine__load(skel) != 0) {
		n = 0;
		bpf_object__for_each_program(program, skel->obj)
			print_message("%s: %s\n", bpf_program__name(program), log[n++]);
		fail_msg("a program doesn't load");
	}
	n = 0;
	bpf_object__for_each_program(program, skel->obj)
	{
		check(bpf_program__name(program), log[n]);
		free(log[n++]);
	}
	sl_xdp_engine__destroy(skel);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_budget) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
