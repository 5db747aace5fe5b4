/* SPDX-License-Identifier: BSD-2-Clause */
/* control/tables/place.c: small sets, of which a search through all placements knows whether they
 * fit, and large ones, of which it is checked that each key stands in a place of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../control/tables/place.h"

#define KEYS 131072

static union sl_addr addr[KEYS];
static struct sl_cuckoo_key key[KEYS];
static uint32_t place[KEYS];

/* Keys as configurations have them. What differs between them is a byte or two, anywhere in the 20,
 * and both places must follow from it. */
enum shape { HOSTS, PORTS, NETS, SPREAD, HOSTS6, NETS6, SHAPES };

static const char *const shape_name[SHAPES] = {
	"hosts in a row, three endpoints each",
	"ports of one address",
	"/24s in a row",
	"hosts far apart",
	"IPv6 hosts in a row",
	"IPv6 /64s in a row",
};

static void make_key(enum shape shape, uint32_t i)
{
	static const uint8_t documentation[4] = { 0x20, 0x01, 0x0d, 0xb8 };
	static const uint8_t protocol[3] = { 0, 6, 17 };
	uint32_t number = sl_htonl(i), what = sl_endpoint(sl_htons(443), 6);

	addr[i] = sl_addr4(sl_htonl(0x0a000001));
	if (shape == HOSTS) {
		addr[i] = sl_addr4(sl_htonl(0x0a000000 + i / 3));
		what = sl_endpoint(sl_htons(80), protocol[i % 3]);
	} else if (shape == PORTS) {
		what = sl_endpoint(sl_htons((uint16_t)i), i >> 16 ? 6 : 17);
	} else if (shape == NETS) {
		addr[i] = sl_addr4(sl_htonl(i << 8));
		what = 120;
	} else if (shape == SPREAD) {
		addr[i] = sl_addr4(i * 0x9e3779b1);
	} else {
		memset(&addr[i], 0, sizeof(addr[i]));
		memcpy(addr[i].b, documentation, 4);
		memcpy(addr[i].b + (shape == HOSTS6 ? 12 : 4), &number, 4);
		what = shape == HOSTS6 ? what : 64;
	}
	key[i] = (struct sl_cuckoo_key){ .addr = &addr[i], .what = what };
}

static void make_keys(enum shape shape, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		make_key(shape, i);
}

static uint32_t either(size_t i, uint32_t size, uint64_t seed, int second)
{
	uint64_t hash = sl_cuckoo_hash(key[i].addr, key[i].what, seed);

	return second ? sl_cuckoo_second(hash, size) : sl_cuckoo_first(hash, size);
}

static void check(size_t n, uint32_t size, uint64_t seed)
{
	uint8_t *taken = calloc(size, 1);

	assert_non_null(taken);
	for (size_t i = 0; i < n; i++) {
		assert_true(place[i] < size);
		assert_int_equal(taken[place[i]]++, 0);
		assert_true(place[i] == either(i, size, seed, 0) ||
			    place[i] == either(i, size, seed, 1));
	}
	free(taken);
}

/* All ways to place keys i.. in what is not taken, by trial. */
static int fits(size_t i, size_t n, uint32_t size, uint64_t seed, uint32_t taken)
{
	for (int second = 0; i < n && second < 2; second++) {
		uint32_t at = either(i, size, seed, second);

		if (!(taken >> at & 1) && fits(i + 1, n, size, seed, taken | 1u << at))
			return 1;
	}
	return i == n;
}

static void test_exact(void **state)
{
	int placed = 0, not_placed = 0;

	(void)state;
	make_keys(HOSTS, 16);
	for (uint64_t seed = 0; seed < 20000; seed++) {
		uint32_t size = 1u << seed % 5;
		size_t n = seed / 5 % (size + 1);
		int err = sl_cuckoo_assign(key, n, size, seed, place);

		assert_int_equal(err, fits(0, n, size, seed, 0) ? 0 : -EAGAIN);
		if (!err)
			check(n, size, seed);
		placed += !err;
		not_placed += err == -EAGAIN;
	}
	assert_true(placed > 1000 && not_placed > 1000);
}

static void test_refused(void **state)
{
	(void)state;
	make_keys(HOSTS, 9);
	assert_int_equal(sl_cuckoo_assign(key, 9, 8, 1, place), -ENOSPC);
	assert_int_equal(sl_cuckoo_assign(key, 3, 0, 1, place), -EINVAL);
	assert_int_equal(sl_cuckoo_assign(key, 3, 12, 1, place), -EINVAL);
	assert_int_equal(sl_cuckoo_assign(NULL, 0, 8, 1, place), 0);
	assert_int_equal(sl_cuckoo_assign(key, 1, 1, 1, place), 0);
	assert_int_equal(place[0], 0);
	/* Equal, whatever the seed and wherever the address lies. */
	key[4].what = key[3].what;
	addr[4] = addr[3];
	for (uint64_t seed = 0; seed < 100; seed++)
		assert_int_equal(sl_cuckoo_assign(key, 9, 64, seed, place), -EEXIST);
	for (size_t i = 0; i < 1000; i++)
		key[i] = key[0];
	assert_int_equal(sl_cuckoo_assign(key, 1000, 2048, 1, place), -EEXIST);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int good_seeds(size_t n, uint32_t size)
{
	int good = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		int err = sl_cuckoo_assign(key, n, size, seed * 0x9e3779b97f4a7c15ull, place);

		assert_true(err == 0 || err == -EAGAIN);
		if (!err)
			check(n, size, seed * 0x9e3779b97f4a7c15ull);
		good += !err;
	}
	return good;
}

/* For every shape, how many of 100 seeds do. Random keys would reach 100, 97, 82, 99 and 82. */
static void test_shapes(void **state)
{
	static const struct {
		size_t n;
		uint32_t size;
		int at_least;
	} t[] = {
		{ 3, 16, 85 },	      { 900, 2048, 85 },    { 1024, 2048, 60 },
		{ 14745, 32768, 85 }, { 16384, 32768, 60 },
	};
	int bad = 0;

	(void)state;
	for (int shape = 0; shape < SHAPES; shape++) {
		make_keys((enum shape)shape, 16384);
		for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
			int good = good_seeds(t[i].n, t[i].size);

			if (good < t[i].at_least) {
				print_message("%s, %zu in %u places: %d of 100 seeds\n",
					      shape_name[shape], t[i].n, t[i].size, good);
				bad++;
			}
		}
	}
	assert_int_equal(bad, 0);
}

static void test_large(void **state)
{
	double best = 1e9;
	int tries = 0;

	(void)state;
	make_keys(HOSTS, 100000);
	for (uint64_t seed = 1; seed <= 10; seed++) {
		double begin = now_ms();
		int err = sl_cuckoo_assign(key, 100000, 262144, seed, place);
		double took = now_ms() - begin;

		if (err)
			continue;
		check(100000, 262144, seed);
		tries++;
		if (took < best)
			best = took;
	}
	assert_true(tries > 0);
	print_message("100,000 keys in 262,144 places: %.1f ms\n", best);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
