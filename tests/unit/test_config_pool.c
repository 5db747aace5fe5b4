/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of pools that are wrong, and of services that use them wrongly (config/pool.c). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../config/config.h"

#define PLANE                                                                                      \
	"dataplane: { cores = [ 1 ]; ports = ( { name = \"p\"; device = \"eth1\"; } ); "           \
	"capacity: { addresses = 70; }; };\n"
#define POOL(addresses, more)                                                                      \
	PLANE "pools = ( { name = \"out\"; addresses = [ " addresses " ]; " more " } );\n"
#define GOOD POOL("\"10.1.0.64/30\", \"10.1.0.70\"", "")
#define SERVICE(more)                                                                              \
	GOOD "services = ( { name = \"web\"; vip = \"203.0.113.10\"; protocol = \"tcp\"; port = "  \
	     "80; table_size = 256; " more " } );\n"
#define FULLNAT "mode = \"fullnat\"; pool = \"out\"; "

static const struct {
	const char *text, *says;
} refusals[] = {
	{ POOL("", ""), "addresses: is empty" },
	{ POOL("\"10.1.0.64\", \"10.1.0.64\"", ""), "10.1.0.64 is in pool \"out\" already" },
	{ POOL("\"10.1.0.64\", \"2001:db8::1\"", ""), "2001:db8::1 is of another family" },
	{ POOL("\"10.1.0.0/25\"", ""), "makes more than 64 addresses" },
	{ POOL("\"10.1.0.0/26\", \"10.1.1.0\"", ""), "makes more than 64 addresses" },
	{ POOL("\"10.1.0.64\"", "ports = \"0-9\";"), "ports: is \"0-9\"; give a range" },
	{ POOL("\"10.1.0.64\"", "ports = \"9-8\";"), "ports: is \"9-8\"; give a range" },
	{ POOL("\"10.1.0.64\"", "ports = \"1-65536\";"), "give a range" },
	{ PLANE "pools = ( { name = \"a\"; addresses = [ \"10.1.0.0/26\" ]; }, { name = \"b\"; "
		"addresses = [ \"10.2.0.0/28\" ]; } );\n",
	  "have 80 addresses together, the capacity is 70" },
	{ PLANE "pools = ( { name = \"a\"; addresses = [ \"10.1.0.1\" ]; }, { name = \"a\"; "
		"addresses = [ \"10.1.0.2\" ]; } );\n",
	  "\"a\" is that of another pool" },
	{ SERVICE("mode = \"fullnat\";"), "pool: missing" },
	{ SERVICE("pool = \"out\";"), "pool: is for mode = \"fullnat\" alone" },
	{ SERVICE("mode = \"fullnat\"; pool = \"in\";"), "pool: is \"in\", and pools has none" },
	{ SERVICE(FULLNAT "backends = ( { address = \"10.1.0.65\"; } );"),
	  "10.1.0.65 is in pool \"out\"" },
	{ SERVICE("backends = ( { address = \"10.1.0.65\"; } );"), "10.1.0.65 is in pool \"out\"" },
	{ GOOD "services = ( { name = \"web\"; vip = \"10.1.0.70\"; protocol = \"tcp\"; port = 80; "
	       "table_size = 256; } );\n",
	  "vip: 10.1.0.70 is in pool \"out\"" },
	{ GOOD "services = ( { name = \"web\"; vip = \"2001:db8::1\"; protocol = \"tcp\"; port = "
	       "80; table_size = 256; " FULLNAT "} );\n",
	  "pool: \"out\" is not of the VIP's family" },
	{ GOOD "services = ( { name = \"dns\"; vip = \"203.0.113.1\"; protocol = \"udp\"; port = "
	       "53; table_size = 256; flows = \"none\"; " FULLNAT "} );\n",
	  "flows: \"none\" and mode = \"fullnat\"" },
	{ GOOD
	  "services = ( { name = \"q\"; vip = \"203.0.113.1\"; protocol = \"udp\"; port = 443; "
	  "table_size = 256; quic = true; " FULLNAT "} );\n",
	  "quic: and mode = \"fullnat\" don't go together" },
};

static int read_text(const char *text, struct sl_config *config, char error[SL_ERROR_MAX])
{
	char path[] = "/tmp/sluice-pool-XXXXXX";
	int fd = mkstemp(path), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	err = sl_config_read(path, config, error);
	unlink(path);
	return err;
}

static void test_refusals(void **state)
{
	struct sl_config config;
	char error[SL_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (read_text(refusals[i].text, &config, error) == 0)
			fail_msg("taken, but should say: %s", refusals[i].says);
		if (!strstr(error, refusals[i].says))
			fail_msg("\"%s\" doesn't say: %s", error, refusals[i].says);
	}
}

static void test_good(void **state)
{
	struct sl_config config;
	char error[SL_ERROR_MAX], text[SL_ADDR_TEXT];
	const struct sl_config_snat_pool *pool;

	(void)state;
	if (read_text(SERVICE(FULLNAT "backends = ( { address = \"10.1.0.2\"; port = 8080; } );"),
		      &config, error))
		fail_msg("%s", error);
	pool = &config.service[0].pool;
	assert_int_equal(pool->n, 5);
	assert_string_equal(sl_addr_format(&pool->addr[3], text), "10.1.0.67");
	assert_string_equal(sl_addr_format(&pool->addr[4], text), "10.1.0.70");
	assert_int_equal(pool->first_port, 1024);
	assert_int_equal(pool->last_port, 65535);
	/* As `backend add` asks. */
	assert_int_equal(sl_mode_check_addr(&config.service[0], &pool->addr[4], error), -EINVAL);
	sl_config_free(&config);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
