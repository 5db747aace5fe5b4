/* SPDX-License-Identifier: BSD-2-Clause */
/* Model: place.h. Keys are the edges of a graph whose vertices are places; each edge is to be given
 * to one of its ends, and no vertex gets two.
 *
 * A place that only one key can have is given to it, which frees that key's other place of one who
 * wants it, and so on, until every place is wanted by two keys at least or by none. If all fits,
 * what is left are rings (as many keys as places in each), so none is wanted by more than two; once
 * round each ring, and all are placed.
 */
#include "place.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define NONE UINT32_MAX

/* One of the places. `keys` is the exclusive or of the indices of those who want it, so that the
 * last of them, or the other of two, is known without a list. */
struct wanted {
	uint32_t by;
	uint32_t keys;
};

struct ends {
	uint32_t place[2];
};

static uint32_t other(const struct ends *e, uint32_t place)
{
	return e->place[0] ^ e->place[1] ^ place;
}

static bool equal(const struct sl_cuckoo_key *a, const struct sl_cuckoo_key *b)
{
	return a->what == b->what && sl_addr_equal(a->addr, b->addr);
}

/* Equal keys have equal first places: compares those that share one. */
static int find_equal(const struct sl_cuckoo_key *key, size_t n, const struct ends *ends,
		      uint32_t *first, uint32_t *next, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		first[i] = NONE;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t *head = &first[ends[i].place[0]];

		for (uint32_t k = *head; k != NONE; k = next[k]) {
			if (equal(&key[i], &key[k]))
				return -EEXIST;
		}
		next[i] = *head;
		*head = i;
	}
	return 0;
}

/* Gives key k the place `at`; returns its other one. */
static uint32_t give(struct wanted *wanted, const struct ends *ends, uint32_t k, uint32_t at,
		     uint32_t *place)
{
	uint32_t there = other(&ends[k], at);

	place[k] = at;
	wanted[at].by--;
	wanted[at].keys ^= k;
	wanted[there].by--;
	wanted[there].keys ^= k;
	return there;
}

static void give_single(struct wanted *wanted, const struct ends *ends, uint32_t size,
			uint32_t *place)
{
	for (uint32_t i = 0; i < size; i++) {
		for (uint32_t at = i; wanted[at].by == 1;)
			at = give(wanted, ends, wanted[at].keys, at, place);
	}
}

/* Once round the ring that key k is in. A key whose two places are one is a ring of its own, and
 * wants it twice. */
static void give_ring(struct wanted *wanted, const struct ends *ends, uint32_t k, uint32_t *place)
{
	uint32_t at = ends[k].place[0];

	do {
		at = give(wanted, ends, k, at, place);
		k = wanted[at].keys;
	} while (wanted[at].by);
}

static int give_all(struct wanted *wanted, const struct ends *ends, size_t n, uint32_t size,
		    uint32_t *place)
{
	for (uint32_t k = 0; k < n; k++) {
		for (int end = 0; end < 2; end++) {
			wanted[ends[k].place[end]].by++;
			wanted[ends[k].place[end]].keys ^= k;
		}
		place[k] = NONE;
	}
	give_single(wanted, ends, size, place);
	for (uint32_t i = 0; i < size; i++) {
		if (wanted[i].by > 2)
			return -EAGAIN;
	}
	for (uint32_t k = 0; k < n; k++) {
		if (place[k] == NONE)
			give_ring(wanted, ends, k, place);
	}
	return 0;
}

int sl_cuckoo_assign(const struct sl_cuckoo_key *key, size_t n, uint32_t size, uint64_t seed,
		     uint32_t *place)
{
	struct wanted *wanted;
	struct ends *ends;
	uint32_t *list;
	int err = -ENOMEM;

	if (!size || size & (size - 1))
		return -EINVAL;
	if (n > size)
		return -ENOSPC;
	wanted = calloc(size, sizeof(*wanted));
	ends = calloc(n + 1, sizeof(*ends));
	list = calloc(size + n, sizeof(*list));
	if (!wanted || !ends || !list)
		goto out;
	for (size_t i = 0; i < n; i++) {
		uint64_t hash = sl_cuckoo_hash(key[i].addr, key[i].what, seed);

		ends[i].place[0] = sl_cuckoo_first(hash, size);
		ends[i].place[1] = sl_cuckoo_second(hash, size);
	}
	err = find_equal(key, n, ends, list, list + size, size);
	if (!err)
		err = give_all(wanted, ends, n, size, place);
out:
	free(list);
	free(ends);
	free(wanted);
	return err;
}
