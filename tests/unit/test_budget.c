/* SPDX-License-Identifier: BSD-2-Clause */
/* The verifier's budget: the XDP program with real sizes stays far from the kernel's limits, on the
 * kernel at hand. Instructions are what the verifier walks (its limit is a million), the stack is
 * that of the deepest chain of calls (512 bytes). */
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

enum { MOST_INSTRUCTIONS = 300000, MOST_STACK = 512, LOG_SIZE = 1 << 20 };

static void sizes(struct sl_xdp_engine *skel)
{
	skel->rodata->sl_services = 1024;
	skel->rodata->sl_reverses = 8192;
	skel->rodata->sl_routes = 8192;
	skel->rodata->sl_buckets = 349526;
	skel->rodata->sl_traffics = 4096;
	skel->rodata->sl_tallies = 257;
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

static void test_budget(void **state)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	char *log = calloc(1, LOG_SIZE);
	const char *processed, *stack;
	struct sl_xdp_engine *skel;
	unsigned long n;

	(void)state;
	assert_non_null(log);
	opts.kernel_log_buf = log;
	opts.kernel_log_size = LOG_SIZE;
	opts.kernel_log_level = 4; /* statistics alone */
	skel = sl_xdp_engine__open_opts(&opts);
	assert_non_null(skel);
	sizes(skel);
	bpf_program__set_log_buf(skel->progs.xsk_def_prog, log, LOG_SIZE);
	bpf_program__set_log_level(skel->progs.xsk_def_prog, 4);
	if (sl_xdp_engine__load(skel) != 0)
		fail_msg("%s", log);
	processed = strstr(log, "processed ");
	stack = strstr(log, "stack depth ");
	assert_non_null(processed);
	n = strtoul(processed + strlen("processed "), NULL, 10);
	print_message("%lu instructions verified; %.*s\n", n, stack ? (int)strcspn(stack, "\n") : 0,
		      stack ? stack : "");
	assert_true(n < MOST_INSTRUCTIONS);
	assert_non_null(stack);
	assert_true(deepest(stack + strlen("stack depth ")) <= MOST_STACK);
	sl_xdp_engine__destroy(skel);
	free(log);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_budget) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
