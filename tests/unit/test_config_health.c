/* SPDX-License-Identifier: BSD-2-Clause */
/* The group `health` of a service: what is read, and what is refused with which message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../config/config.h"

#define LONG	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG256 LONG LONG LONG LONG

static char path[] = "/tmp/sluice-health-XXXXXX";

static int read_service(const char *port, const char *health, struct sl_config *config,
			char error[SL_ERROR_MAX])
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f,
		"dataplane: { cores = [ 1 ]; ports = ( { name = \"c\"; device = \"eth1\"; } ); "
		"capacity: { addresses = 1; }; };\n"
		"pools = ( { name = \"out\"; addresses = [ \"10.1.0.64\" ]; } );\n"
		"services = ( { name = \"web\"; vip = \"203.0.113.10\"; protocol = \"tcp\"; port = "
		"%s;\n"
		"health = {\n%s };\n"
		"backends = ( { name = \"b1\"; address = \"10.1.0.11\"; } ); } );\n",
		port, health);
	fclose(f);
	return sl_config_read(path, config, error);
}

/* The error without the file's name; the first line of the group is line 5. */
static const struct {
	const char *health, *error;
} refusals[] = {
	{ "interval = \"1s\";",
	  "4: services[0].health.type: missing; add it, such as: type = \"http\";" },
	{ "type = \"htp\";",
	  "5: services[0].health.type: \"htp\" is not known; give \"tcp\" or "
	  "\"http\" or \"https\" or \"udp\" or \"dns\" or \"icmp\" or \"exec\"" },
	{ "type = \"grpc\";",
	  "5: services[0].health.type: \"grpc\" is not known; give \"tcp\" or "
	  "\"http\" or \"https\" or \"udp\" or \"dns\" or \"icmp\" or \"exec\"" },
	{ "type = \"tcp\";\nintervall = \"1s\";",
	  "6: services[0].health.intervall: unknown field; did you mean \"interval\"?" },
	{ "type = \"tcp\"; port = 0;",
	  "5: services[0].health.port: 0 is out of range; give 1 to 65535" },
	{ "type = \"tcp\"; address = \"db.example.org\";",
	  "5: services[0].health.address: \"db.example.org\" is not an IP address; write one such "
	  "as 203.0.113.10" },
	{ "type = \"tcp\"; timeout = \"2h\";",
	  "5: services[0].health.timeout: is out of range; give 10ms to 1h" },
	{ "type = \"tcp\"; interval = \"10ms\";",
	  "5: services[0].health.interval: is out of range; give 100ms to 1h" },
	{ "type = \"tcp\"; rise = 0;",
	  "5: services[0].health.rise: 0 is out of range; give 1 to 100" },
	{ "type = \"tcp\"; path = \"/\";", "5: services[0].health.path: means nothing to checks of "
					   "type \"tcp\"; leave it out" },
	{ "type = \"http\"; tls_name = \"a\";", "5: services[0].health.tls_name: means nothing to "
						"checks of type \"http\"; leave it out" },
	{ "type = \"http\"; path = \"healthz\";",
	  "5: services[0].health.path: \"healthz\" doesn't begin with /; give one such as: path = "
	  "\"/healthz\";" },
	{ "type = \"http\"; path = \"/a b\";",
	  "5: services[0].health.path: has a blank; write it as %20 or leave it out" },
	{ "type = \"http\"; host = \"a\\r\\nb\";",
	  "5: services[0].health.host: has a control character; give one line of text" },
	{ "type = \"http\"; body = \"" LONG256 "\";",
	  "5: services[0].health.body: has 256 bytes; give at most 255" },
	{ "type = \"http\"; status = 20;",
	  "5: services[0].health.status: is \"20\"; give statuses from 100 to 599 and ranges of "
	  "them, such as \"200-299,404\"" },
	{ "type = \"http\"; status = \"299-200\";",
	  "5: services[0].health.status: is \"299-200\"; give statuses from 100 to 599 and ranges "
	  "of them, such as \"200-299,404\"" },
	{ "type = \"https\"; ca = \"/nowhere\";",
	  "5: services[0].health.ca: /nowhere: No such file or directory; give a file of "
	  "certificates (PEM)" },
	{ "type = \"udp\";",
	  "4: services[0].health.payload: missing; checks of type \"udp\" need it" },
	{ "type = \"udp\"; payload = \"hex:0a0\";",
	  "5: services[0].health.payload: is not \"hex:\" and pairs of hexadecimal digits, such "
	  "as: "
	  "payload = \"hex:0a0b\";" },
	{ "type = \"udp\"; payload = \"" LONG256 "x\";",
	  "5: services[0].health.payload: has 257 bytes; give at most 256" },
	{ "type = \"dns\"; query = \"a..b\";",
	  "5: services[0].health.query: \"a..b\" is not a domain name: labels have 1 to 63 "
	  "characters" },
	{ "type = \"dns\"; query = \"a\"; rcode = \"FAIL\";",
	  "5: services[0].health.rcode: \"FAIL\" is not known; give \"NOERROR\" or \"FORMERR\" or "
	  "\"SERVFAIL\" or \"NXDOMAIN\" or \"NOTIMP\" or \"REFUSED\"" },
	{ "type = \"exec\";",
	  "4: services[0].health.command: missing; checks of type \"exec\" need it" },
	{ "type = \"exec\"; command = [ \"true\" ];",
	  "5: services[0].health.command: \"true\" is not an absolute path; give one, such as: "
	  "command = [ \"/usr/local/bin/check\", \"-q\" ];" },
	{ "type = \"exec\"; command = [ \"/bin/true\" ]; user = \"no-such-user\";",
	  "5: services[0].health.user: there is no user \"no-such-user\" on this machine" },
	{ "type = \"exec\"; command = [ \"/bin/true\" ]; fwmark = 1;",
	  "5: services[0].health.fwmark: means nothing to checks of type \"exec\"; leave it out" },
	{ "type = \"tcp\"; source = \"10.1.0.64\";",
	  "5: services[0].health.source: 10.1.0.64 is the VIP, or belongs to a pool: answers would "
	  "be taken for replies of a service; give an address of the gateway" },
	{ "type = \"tcp\"; source = \"2001:db8::1\";",
	  "5: services[0].health.source: isn't of the family of backend \"b1\"" },
	{ "type = \"tcp\"; panic = 60; panic_leave = 50;",
	  "5: services[0].health.panic_leave: is below panic, which is 60; give at least that" },
};

static void test_refusals(void **state)
{
	struct sl_config config;
	char error[SL_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		assert_int_equal(read_service("80", refusals[i].health, &config, error), -EINVAL);
		assert_string_equal(error + strlen(path) + 1, refusals[i].error);
	}
	assert_int_equal(read_service("\"80-89\"", "type = \"tcp\";", &config, error), -EINVAL);
	assert_string_equal(error + strlen(path) + 1,
			    "4: services[0].health.port: missing; the service has several ports, "
			    "say which is checked");
}

static void test_values(void **state)
{
	const struct sl_health_conf *h;
	struct sl_config config;
	char error[SL_ERROR_MAX];

	(void)state;
	assert_int_equal(
		read_service("80", "type = \"tcp\"; interval = \"500ms\";", &config, error), 0);
	h = &config.service[0].health;
	assert_int_equal(h->kind, SL_HEALTH_TCP);
	assert_int_equal(h->interval_ms, 500);
	assert_int_equal(h->timeout_ms, 500); /* not longer than the interval */
	assert_int_equal(h->panic, 0);
	sl_config_free(&config);

	assert_int_equal(read_service("80",
				      "type = \"http\"; status = \"200-299,404\"; panic = 95;",
				      &config, error),
			 0);
	h = &config.service[0].health;
	assert_int_equal(h->n_statuses, 2);
	assert_int_equal(h->status[0].last, 299);
	assert_int_equal(h->status[1].first, 404);
	assert_string_equal(h->method, "GET");
	assert_string_equal(h->path, "/");
	assert_int_equal(h->panic_leave, 100);
	sl_config_free(&config);

	assert_int_equal(
		read_service("80", "type = \"udp\"; payload = \"hex:00ff0A\";", &config, error), 0);
	h = &config.service[0].health;
	assert_int_equal(h->payload.n, 3);
	assert_memory_equal(h->payload.b, "\x00\xff\x0a", 3);
	sl_config_free(&config);

	assert_int_equal(read_service("80", "type = \"exec\"; command = [ \"/bin/true\", \"-q\" ];",
				      &config, error),
			 0);
	h = &config.service[0].health;
	assert_memory_equal(h->command, "/bin/true\0-q\0", 14);
	assert_int_not_equal(h->uid, 0);
	sl_config_free(&config);
}

static int enter(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int leave(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_refusals),
					    cmocka_unit_test(test_values) };

	return cmocka_run_group_tests(tests, enter, leave);
}
