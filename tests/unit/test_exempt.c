/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes under direct_from: which become the kernel's, and in which order they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "../../control/network/direct_from.h"

#define MAX 16

/* "10.0.0.0/8" or "2001:db8::/32"; all zero: none. */
static struct sl_config_prefix prefix(const char *text)
{
	struct sl_config_prefix p = { 0 };
	char address[64] = "";
	unsigned int length;
	struct in_addr four;

	assert_int_equal(sscanf(text, "%63[^/]/%u", address, &length), 2);
	if (inet_pton(AF_INET, address, &four) == 1) {
		p.addr = sl_addr4((sl_be32)four.s_addr);
		p.length = length + 96;
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, p.addr.b), 1);
		p.length = length;
	}
	return p;
}

static const struct {
	const char *title;
	const char *exempt[3];
	const char *route[6]; /* as they stand: longest first */
	const char *after[8]; /* "!" before those that are the kernel's */
} cases[] = {
	{ "none", { NULL }, { "10.1.0.0/24", "0.0.0.0/0" }, { "10.1.0.0/24", "0.0.0.0/0" } },
	{ "a route of the same length",
	  { "10.1.0.0/24" },
	  { "10.1.0.7/32", "10.1.0.0/24", "0.0.0.0/0" },
	  { "!10.1.0.7/32", "!10.1.0.0/24", "0.0.0.0/0" } },
	{ "one between two routes",
	  { "10.0.0.0/8" },
	  { "10.1.0.0/24", "11.0.0.0/24", "0.0.0.0/0" },
	  { "!10.1.0.0/24", "11.0.0.0/24", "!10.0.0.0/8", "0.0.0.0/0" } },
	{ "one address of a network",
	  { "10.1.0.9/32" },
	  { "10.1.0.7/32", "10.1.0.0/24" },
	  { "10.1.0.7/32", "!10.1.0.9/32", "10.1.0.0/24" } },
	{ "bits that make no byte",
	  { "10.1.0.128/25" },
	  { "10.1.0.7/32", "10.1.0.200/32", "10.1.0.0/24" },
	  { "10.1.0.7/32", "!10.1.0.200/32", "!10.1.0.128/25", "10.1.0.0/24" } },
	{ "all of IPv4, and nothing of IPv6",
	  { "0.0.0.0/0" },
	  { "10.1.0.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0" },
	  { "!10.1.0.0/24", "!0.0.0.0/0", "2001:db8::/32", "::/0" } },
	{ "all of IPv6, and nothing of IPv4",
	  { "::/0" },
	  { "10.1.0.0/24", "0.0.0.0/0", "2001:db8::/32" },
	  { "10.1.0.0/24", "0.0.0.0/0", "!2001:db8::/32", "!::/0" } },
	{ "one within another",
	  { "10.0.0.0/8", "10.1.0.0/16" },
	  { "10.1.0.7/32", "0.0.0.0/0" },
	  { "!10.1.0.7/32", "!10.1.0.0/16", "!10.0.0.0/8", "0.0.0.0/0" } },
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sl_route route[MAX + SL_DIRECT_FROM_MAX] = { 0 };
		static struct sl_config config;
		size_t n = 0;

		memset(&config, 0, sizeof(config));
		for (size_t k = 0; k < 3 && cases[i].exempt[k]; k++)
			config.direct_from[config.n_direct_from++] = prefix(cases[i].exempt[k]);
		for (; n < 6 && cases[i].route[n]; n++) {
			struct sl_config_prefix p = prefix(cases[i].route[n]);

			route[n] = (struct sl_route){ .prefix = p.addr,
						      .length = p.length,
						      .port = 1,
						      .mtu = 1500,
						      .kind = SL_ROUTE_VIA };
		}
		n = sl_direct_from_routes(&config, route, n);
		for (size_t k = 0; k < 8 && cases[i].after[k]; k++) {
			const char *text = cases[i].after[k];
			bool kernels = *text == '!';
			struct sl_config_prefix p = prefix(text + kernels);

			if (route[k].length != p.length ||
			    !sl_addr_equal(&route[k].prefix, &p.addr) ||
			    (route[k].kind == SL_ROUTE_LOCAL) != kernels)
				fail_msg("%s: %s isn't what stands there", cases[i].title, text);
			assert_int_equal(route[k].mtu, kernels ? 0 : 1500);
			n--;
		}
		assert_int_equal(n, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
