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

enum {
	MOST_INSTRUCTIONS = 500000,
	MOST_STACK = 512,
	MOST_PROGRAMS = 32,
	MOST_FUNCTIONS = 32,
	LOG_SIZE = 1 << 20
};

static void sizes(struct sl_xdp_engine *skel)
{
	skel->rodata->sl_services = 1024;
	skel->rodata->sl_reply_entries = 8192;
	skel->rodata->sl_routes = 8192;
	skel->rodata->sl_buckets = 349526;
	skel->rodata->sl_fragment_buckets = 4096;
	skel->rodata->sl_n_learned = 4096;
	skel->rodata->sl_n_backend_counters = 4096;
	skel->rodata->sl_n_service_counters = 257;
	skel->rodata->sl_n_limit_counters = 2049;
	skel->rodata->sl_shared_buckets = 34817;
	skel->rodata->sl_exceptions = 2048;
	skel->rodata->sl_meter_lines = 32768;
	skel->rodata->sl_workers = 8;
	skel->rodata->sl_port = 1;
}

/* The first instruction of the function that instruction i calls or hands on, else 0. */
static size_t callee(const struct bpf_insn *insn, size_t i)
{
	bool call = insn[i].code == (BPF_JMP | BPF_CALL) && insn[i].src_reg == BPF_PSEUDO_CALL;
	bool func =
		insn[i].code == (BPF_LD | BPF_IMM | BPF_DW) && insn[i].src_reg == BPF_PSEUDO_FUNC;

	return call || func ? i + 1 + (size_t)insn[i].imm : 0;
}

/* Where function n of a program begins: its first is the program, every other is the target of a
 * call or handed to a helper as a callback. The ends are one more. Gives back their number. */
static size_t functions(const struct bpf_insn *insn, size_t n_insns, size_t *begin)
{
	size_t n = 1;

	begin[0] = 0;
	for (size_t at = 1; at < n_insns; at++)
		for (size_t i = 0; i < n_insns; i++)
			if (callee(insn, i) == at) {
				assert_true(n < MOST_FUNCTIONS);
				begin[n++] = at;
				break;
			}
	begin[n] = n_insns;
	return n;
}

/* The verifier puts bpf_loop() in line, for which the function gets three registers' room, after it
 * has judged all depths and before it prints them. */
static bool loops(const struct bpf_insn *insn, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++)
		if (insn[i].code == (BPF_JMP | BPF_CALL) && !insn[i].src_reg &&
		    insn[i].imm == BPF_FUNC_loop)
			return true;
	return false;
}

/* The stack of the deepest chain of calls that begins with function `which`. Kernels before 6.9
 * round each up to 32 bytes, and take none for less than one byte. */
static unsigned long deepest(const struct bpf_insn *insn, const size_t *begin, size_t n,
			     const unsigned long *depth, size_t which)
{
	unsigned long below = 0;

	for (size_t i = begin[which]; i < begin[which + 1]; i++)
		for (size_t other = 1; other < n; other++)
			if (callee(insn, i) == begin[other]) {
				unsigned long d = deepest(insn, begin, n, depth, other);

				below = d > below ? d : below;
			}
	return ((depth[which] ? depth[which] : 1) + 31) / 32 * 32 + below;
}

/* depths: "N+N+...", one for each function, in order. */
static unsigned long chain(const struct bpf_program *program, const char *depths)
{
	const struct bpf_insn *insn = bpf_program__insns(program);
	size_t begin[MOST_FUNCTIONS + 1];
	size_t n = functions(insn, bpf_program__insn_cnt(program), begin);
	unsigned long depth[MOST_FUNCTIONS];

	for (size_t i = 0; i < n; i++) {
		char *end;

		depth[i] = strtoul(depths, &end, 10);
		if (loops(insn, begin[i], begin[i + 1]))
			depth[i] -= 3 * sizeof(uint64_t);
		assert_true(*end == '+' || i + 1 == n);
		depths = end + 1;
	}
	return deepest(insn, begin, n, depth, 0);
}

/* Where instruction i may lead: at most two places. Gives back their number. */
static int leads_to(const struct bpf_insn *insn, size_t i, size_t to[2])
{
	uint8_t class = BPF_CLASS(insn[i].code), op = BPF_OP(insn[i].code);
	bool wide = insn[i].code == (BPF_LD | BPF_IMM | BPF_DW);
	int n = 0;

	if (class == BPF_JMP && op == BPF_EXIT)
		return 0;
	if (class != BPF_JMP || op != BPF_JA)
		to[n++] = i + 1 + wide;
	if (class == BPF_JMP32 || (class == BPF_JMP && op != BPF_CALL))
		to[n++] = i + 1 + (size_t)insn[i].off;
	return n;
}

/* Linux 6.1 lets a jump close a loop, but no other instruction that runs on into its beginning: as
 * clang lays loops out now and then. */
static void check_loops(const struct bpf_program *program)
{
	const struct bpf_insn *insn = bpf_program__insns(program);
	size_t n = bpf_program__insn_cnt(program), begin[MOST_FUNCTIONS + 1], to[2];
	size_t *stack = calloc(n + 1, sizeof(*stack));
	uint8_t *seen = calloc(n + 2, 1); /* edges taken + 1; 4: left for good */
	size_t all = functions(insn, n, begin);

	assert_true(stack && seen);
	for (size_t f = 0; f < all; f++) {
		size_t depth = 1;

		stack[0] = begin[f];
		seen[begin[f]] = 1;
		while (depth) {
			size_t at = stack[depth - 1];
			int edges = leads_to(insn, at, to);
			uint8_t class = BPF_CLASS(insn[at].code);
			bool jump = (class == BPF_JMP || class == BPF_JMP32) &&
				    BPF_OP(insn[at].code) != BPF_CALL;

			if (seen[at] > edges) {
				seen[at] = 4;
				depth--;
				continue;
			}
			at = to[seen[at]++ - 1];
			if (!seen[at])
				seen[stack[depth++] = at] = 1;
			else if (seen[at] != 4 && !jump)
				fail_msg("%s: instruction %zu runs on into a loop",
					 bpf_program__name(program), stack[depth - 1]);
		}
	}
	free(stack);
	free(seen);
}

/* What the verifier said of one of the programs, while all of them were loaded. */
static void check(const struct bpf_program *program, const char *log)
{
	const char *processed = strstr(log, "processed "), *stack = strstr(log, "stack depth ");
	unsigned long n, bytes;

	assert_non_null(processed);
	assert_non_null(stack);
	n = strtoul(processed + strlen("processed "), NULL, 10);
	bytes = chain(program, stack + strlen("stack depth "));
	print_message("%s: %lu instructions verified; %.*s, at most %lu together\n",
		      bpf_program__name(program), n, (int)strcspn(stack, "\n"), stack, bytes);
	assert_true(n < MOST_INSTRUCTIONS);
	check_loops(program);
	assert_true(bytes <= MOST_STACK);
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
		check(program, log[n]);
		free(log[n++]);
	}
	sl_xdp_engine__destroy(skel);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_budget) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
