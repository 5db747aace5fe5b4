/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives each key an index (place.h has the model). The keys are the edges of a graph whose vertices
 * are the indices: an edge joins the two indices that its key may have. Each edge is to be given to
 * one of its ends, and no vertex may get two.
 *
 * A vertex with a single edge is given that edge. The edge is then removed from its other end,
 * which may be left with a single edge in turn, and so on, until every vertex has no edge or at
 * least two. If all keys fit, the remaining edges form rings, with as many edges as vertices, so no
 * vertex has more than two. Going round each ring once gives every edge its vertex.
 */
#include "place.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define NONE UINT32_MAX

/* One index. `degree` is the number of keys that may still get it, and `key_xor` is the exclusive
 * or of their numbers: it tells the last key, or the other one of two, without a list. */
struct vertex {
	uint32_t degree;
	uint32_t key_xor;
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

/* Returns -EEXIST if two keys are equal, else 0. Equal keys have equal first indices, so only keys
 * that share one are compared. */
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

/* Gives key k the index `at`. Returns the key's other index. */
static uint32_t give(struct vertex *vertex, const struct ends *ends, uint32_t k, uint32_t at,
		     uint32_t *place)
{
	uint32_t there = other(&ends[k], at);

	place[k] = at;
	vertex[at].degree--;
	vertex[at].key_xor ^= k;
	vertex[there].degree--;
	vertex[there].key_xor ^= k;
	return there;
}

static void give_single(struct vertex *vertex, const struct ends *ends, uint32_t size,
			uint32_t *place)
{
	for (uint32_t i = 0; i < size; i++) {
		for (uint32_t at = i; vertex[at].degree == 1;)
			at = give(vertex, ends, vertex[at].key_xor, at, place);
	}
}

/* Goes round the ring that key k is part of. A key whose two indices are the same is a ring of its
 * own, and counts twice in the degree. */
static void give_ring(struct vertex *vertex, const struct ends *ends, uint32_t k, uint32_t *place)
{
	uint32_t at = ends[k].place[0];

	do {
		at = give(vertex, ends, k, at, place);
		k = vertex[at].key_xor;
	} while (vertex[at].degree);
}

static int give_all(struct vertex *vertex, const struct ends *ends, size_t n, uint32_t size,
		    uint32_t *place)
{
	for (uint32_t k = 0; k < n; k++) {
		for (int end = 0; end < 2; end++) {
			vertex[ends[k].place[end]].degree++;
			vertex[ends[k].place[end]].key_xor ^= k;
		}
		place[k] = NONE;
	}
	give_single(vertex, ends, size, place);
	for (uint32_t i = 0; i < size; i++) {
		if (vertex[i].degree > 2)
			return -EAGAIN;
	}
	for (uint32_t k = 0; k < n; k++) {
		if (place[k] == NONE)
			give_ring(vertex, ends, k, place);
	}
	return 0;
}

int sl_cuckoo_assign(const struct sl_cuckoo_key *key, size_t n, uint32_t size, uint64_t seed,
		     uint32_t *place)
{
	struct vertex *vertex;
	struct ends *ends;
	uint32_t *list;
	int err = -ENOMEM;

	if (!size || size & (size - 1))
		return -EINVAL;
	if (n > size)
		return -ENOSPC;
	vertex = calloc(size, sizeof(*vertex));
	ends = calloc(n + 1, sizeof(*ends));
	list = calloc(size + n, sizeof(*list));
	if (!vertex || !ends || !list)
		goto out;
	for (size_t i = 0; i < n; i++) {
		uint64_t hash = sl_cuckoo_hash(key[i].addr, key[i].what, seed);

		ends[i].place[0] = sl_cuckoo_first(hash, size);
		ends[i].place[1] = sl_cuckoo_second(hash, size);
	}
	err = find_equal(key, n, ends, list, list + size, size);
	if (!err)
		err = give_all(vertex, ends, n, size, place);
out:
	free(list);
	free(ends);
	free(vertex);
	return err;
}
