/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The root of an instance: who we are, which generation is live, how its banks are searched.
 *
 * There are two banks of small records (services, reverse, routes, ports). Generation g lives in
 * bank g & 1, so one 8-byte store commits a publish: root->generation. The bank that isn't live
 * may be rewritten at any time; its sequence word is odd meanwhile. A reader
 *
 *     1. loads generation (acquire), takes bank = generation & 1 and that bank's seq (acquire);
 *     2. decides;
 *     3. loads seq again (acquire fence before) and, if it moved, starts over.
 *
 * A reader that sleeps through one publish still reads an untouched bank; one that sleeps through
 * two sees the sequence move. Everything that banks point to (slots, backends) lies in extents that
 * don't change while a live bank names them, and rest in quarantine afterwards.
 */
#ifndef SL_ABI_ROOT_H
#define SL_ABI_ROOT_H

#include <stdint.h>

#define SL_MAGIC       0x0031656369756c73ull /* "sluice1" */
#define SL_ABI_VERSION 5

#define SL_PREFIX_LENGTHS 16 /* distinct prefix lengths of routes, a family */
#define SL_ARRAYS_MAX	  32

enum sl_engine_choice {
	SL_ENGINE_AUTO, /* a worker where one lives, else XDP */
	SL_ENGINE_DPDK, /* workers alone: XDP only steers, and drops where none lives */
	SL_ENGINE_XDP,	/* XDP alone */
};

/* What is searched in one bank. Written by control while seq is odd. */
struct sl_bank {
	uint64_t seq;	     /* odd while being written */
	uint64_t generation; /* the one that these records belong to */
	uint64_t seed;	     /* of the placement of the records, see cuckoo.h */
	uint32_t services;   /* records in use, of each kind */
	uint32_t replies;
	uint32_t routes;
	uint32_t ports;
	uint8_t lengths4[SL_PREFIX_LENGTHS]; /* prefix lengths in use, longest first; then 0xff */
	uint8_t lengths6[SL_PREFIX_LENGTHS];
	uint32_t engine; /* enum sl_engine_choice */
	uint32_t ranges; /* services of a range of ports in use */
	uint8_t pad[40];
} __attribute__((aligned(128)));

struct sl_root {
	/* Identity: written once, by the control that makes the instance. */
	uint64_t magic;
	uint32_t abi_version;
	uint32_t arrays;    /* how many arrays make up the instance */
	uint64_t instance;  /* random: tells two instances of one name apart */
	uint64_t origin_ns; /* CLOCK_MONOTONIC when made: table time is counted from here */
	uint64_t
		slot_key[3]; /* picks slots and digests IPv6 sources: the same for all of a group */
	uint64_t flow_key[2]; /* picks buckets: random for this instance */
	uint32_t record_size[SL_ARRAYS_MAX];
	uint32_t count[SL_ARRAYS_MAX]; /* records of each array */
	uint8_t pad0[56];

	/* The commit word. Written by control: the last store of a publish. */
	uint64_t generation;
	uint8_t pad1[120];

	/* The generation that stands in the idle bank and waits to be accepted by the dataplane. */
	uint64_t proposed;
	uint8_t pad2[120];

	struct sl_bank bank[2];
} __attribute__((aligned(128)));

_Static_assert(sizeof(struct sl_bank) == 128, "a bank's head is two cache lines");
_Static_assert(__builtin_offsetof(struct sl_root, generation) == 384, "own cache lines");
_Static_assert(__builtin_offsetof(struct sl_root, proposed) == 512, "own cache lines");
_Static_assert(__builtin_offsetof(struct sl_root, bank) == 640, "own cache lines");

#endif
