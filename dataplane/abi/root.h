/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The root of an instance: its identity, its live generation, and how to search its banks.
 *
 * There are two banks of small records (services, reply entries, routes, ports, exceptions).
 * Generation g lies in bank g & 1, so one 8-byte store to root->generation commits a publish. The
 * other bank may be rewritten at any time; its sequence word is odd meanwhile. A reader
 *
 *     1. loads generation (acquire), takes bank = generation & 1 and that bank's seq (acquire);
 *     2. decides;
 *     3. loads seq again (after an acquire fence) and starts over if it changed.
 *
 * A reader that sleeps through one publish still reads an untouched bank; one that sleeps through
 * two sees that the sequence word changed. What bank records refer to (slots, backends) lies in
 * extents that don't change while a live bank names them and that stay in quarantine afterwards.
 */
#ifndef SL_ABI_ROOT_H
#define SL_ABI_ROOT_H

#include <stdint.h>

#include "address.h"

#define SL_MAGIC       0x0031656369756c73ull /* "sluice1" */
#define SL_ABI_VERSION 8

#define SL_PREFIX_LENGTHS 16 /* distinct prefix lengths of routes, per family */
#define SL_ARRAYS_MAX	  32

enum sl_engine_choice {
	SL_ENGINE_AUTO, /* a worker where one lives, else XDP */
	SL_ENGINE_DPDK, /* workers only: XDP steers, and drops where no worker lives */
	SL_ENGINE_XDP,	/* XDP only */
};

/* How to search one bank. Control writes it while seq is odd. */
struct sl_bank {
	uint64_t seq;	     /* odd while control writes the bank */
	uint64_t generation; /* the generation that these records belong to */
	uint64_t seed;	     /* seed of the cuckoo hash, see cuckoo.h */
	uint32_t services;   /* records in use, of each kind */
	uint32_t replies;
	uint32_t routes;
	uint32_t ports;
	uint8_t lengths4[SL_PREFIX_LENGTHS]; /* prefix lengths in use, longest first; unused: 0xff
					      */
	uint8_t lengths6[SL_PREFIX_LENGTHS];
	uint32_t engine; /* enum sl_engine_choice */
	uint32_t wide;	 /* number of services that an exact look-up misses: with a range of ports
			  * or a prefix as VIP */
	uint8_t vip_lengths[2][SL_VIP_LENGTHS]; /* of prefix VIPs, as above: IPv4, IPv6 */
	uint8_t pad[32];
} __attribute__((aligned(128)));

struct sl_root {
	/* Identity. The control process that creates the instance writes it once. */
	uint64_t magic;
	uint32_t abi_version;
	uint32_t arrays;    /* number of arrays */
	uint64_t instance;  /* random, so that a new instance of the same name can be told apart */
	uint64_t origin_ns; /* CLOCK_MONOTONIC at creation: the zero of the tables' time */
	uint64_t slot_key[3]; /* for slots and IPv6 sources: the same in a group of gateways */
	uint64_t flow_key[2]; /* for buckets: random for this instance */
	uint32_t record_size[SL_ARRAYS_MAX];
	uint32_t count[SL_ARRAYS_MAX]; /* size of each array, in records */
	uint8_t pad0[56];

	/* The commit word. Control stores it last in a publish. */
	uint64_t generation;
	uint8_t pad1[56];

	/* Ports by bit: where frames are looked at now for partial checksums (core/partial.h), and
	 * whose program runs in the kernel's stack (generic XDP). Control changes them at any
	 * time, apart from generations. */
	uint64_t partial;
	uint64_t generic;
	uint8_t pad2[48];

	/* The generation that lies in the idle bank and waits for the dataplane to accept it. */
	uint64_t proposed;
	uint8_t pad3[120];

	struct sl_bank bank[2];
} __attribute__((aligned(128)));

_Static_assert(sizeof(struct sl_bank) == 128, "a bank's head is two cache lines");
_Static_assert(__builtin_offsetof(struct sl_root, generation) == 384, "own cache lines");
_Static_assert(__builtin_offsetof(struct sl_root, partial) == 448, "own cache line");
_Static_assert(__builtin_offsetof(struct sl_root, proposed) == 512, "own cache lines");
_Static_assert(__builtin_offsetof(struct sl_root, bank) == 640, "own cache lines");

#endif
