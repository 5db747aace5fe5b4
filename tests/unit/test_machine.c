/* SPDX-License-Identifier: BSD-2-Clause */
/* config/machine.c: files that ask more of a machine than this one has, and what is said of them.
 * The loopback interface, which has one queue everywhere, stands for ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../config/machine.h"

#define PLANE(cores, port, more)                                                                   \
	"dataplane: {\n cores = " cores ";\n ports = ( { name = \"p\"; " port "; } );\n" more "};" \
	"\n"

static int check(const char *text, char error[SL_ERROR_MAX], bool *meant)
{
	static struct sl_config config;
	char name[] = "/tmp/sluice-machine-XXXXXX";
	int fd = mkstemp(name), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(sl_config_read(name, &config, error), 0);
	unlink(name);
	strcpy(config.file, "t.conf");
	*meant = sl_machine_is_meant(&config);
	err = sl_machine_check(&config, error);
	sl_config_free(&config);
	return err;
}

static const struct {
	const char *text;
	bool meant;
	int err;
	const char *error; /* its beginning */
} cases[] = {
	{ PLANE("[ 0 ]", "device = \"lo\"", ""), true, 0, "" },
	{ PLANE("[ 0 ]", "device = \"lo\"; queues = 2", ""), true, -ENOSPC,
	  "t.conf:3: dataplane.ports: port p: queues = 2, and interface lo has 1: give queues = 1, "
	  "its driver can have no more" },
	{ PLANE("[ 0 ]", "device = \"lo\"; queues = 2", "engine = \"xdp\";\n"), true, 0, "" },
	{ PLANE("[ 0, 1023 ]", "device = \"lo\"", ""), true, -ERANGE,
	  "t.conf:2: dataplane.cores: there is no core 1023, or it is offline: this machine has "
	  "0" },
	{ PLANE("[ 1023 ]", "device = \"lo\"", "engine = \"xdp\";\n"), true, 0, "" },
	{ PLANE("[ 0 ]", "device = \"lo\"", "main_core = 1023;\n"), true, -ERANGE,
	  "t.conf: dataplane.main_core: there is no core 1023, or it is offline: this machine has "
	  "0" },
	{ PLANE("[ 1023 ]", "device = \"net_null0\"", ""), true, -ERANGE,
	  "t.conf:2: dataplane.cores: there is no core 1023" },
	{ PLANE("[ 0 ]", "device = \"nowhere0\"", ""), false, -ENODEV,
	  "t.conf:3: dataplane.ports: there is no interface nowhere0 in this network namespace; "
	  "see "
	  "`ip link`" },
	{ PLANE("[ 0 ]", "device = \"ffff:ff:1f.7\"", ""), false, -ENODEV,
	  "t.conf:3: dataplane.ports: there is no PCI device ffff:ff:1f.7 on this machine; see "
	  "`lspci -D`" },
	{ PLANE("[ 0 ]", "device = \"lo\"; }, { name = \"q\"; device = \"nowhere0\"", ""), true,
	  -ENODEV, "t.conf:3: dataplane.ports: there is no interface nowhere0" },
};

static void lacking(void **state)
{
	char error[SL_ERROR_MAX];
	bool meant;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		error[0] = '\0';
		assert_int_equal(check(cases[i].text, error, &meant), cases[i].err);
		error[strlen(cases[i].error)] = '\0';
		assert_string_equal(error, cases[i].error);
		assert_int_equal(meant, cases[i].meant);
	}
}

/* What a process may, and that asking leaves its thread where it may run as it was. */
static void start(void **state)
{
	struct sl_config config = { .file = "t.conf", .dataplane = { .huge_pages = true } };
	struct sl_config_dataplane *d = &config.dataplane;
	char error[SL_ERROR_MAX] = "";
	cpu_set_t before, after;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (int core = 0; core < CPU_SETSIZE && !d->n_cores; core++)
		if (CPU_ISSET(core, &before))
			d->cores[d->n_cores++] = (uint32_t)core;
	d->memory_mb = UINT32_MAX;
	assert_int_equal(sl_machine_check_start(&config, error), 0);
	d->huge_pages = false;
	assert_int_equal(sl_machine_check_start(&config, error), -ENOMEM);
	error[strlen("t.conf: dataplane.memory: 4294967295 MB, and ")] = '\0';
	assert_string_equal(error, "t.conf: dataplane.memory: 4294967295 MB, and ");
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lacking), cmocka_unit_test(start) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
