/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static __attribute__((format(printf, 3, 4))) int fail(char *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return err;
}

/* The first line of a file, without its end; false: there is none. */
static bool first_line(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "re");
	bool got = f && fgets(line, size, f);

	if (f)
		fclose(f);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

/* Cores */

/* Whether a list such as "0-3,8" has it. */
static bool in_list(const char *list, unsigned long core)
{
	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			return false;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (core >= first && core <= last)
			return true;
		list = *end == ',' ? end + 1 : end;
		if (*end != ',')
			return false;
	}
	return false;
}

static int no_core(const struct sl_config *c, const char *field, int line, unsigned core,
		   const char *online, char *error)
{
	char at[16] = "";

	if (line)
		snprintf(at, sizeof(at), ":%d", line);
	return fail(error, -ERANGE,
		    "%s%s: dataplane.%s: there is no core %u, or it is offline: this machine has "
		    "%s, see `lscpu -e`",
		    c->file, at, field, core, online);
}

int sl_machine_check_cores(const struct sl_config *config, char error[SL_ERROR_MAX])
{
	const struct sl_config_dataplane *d = &config->dataplane;
	char online[256];

	if (d->engine == SL_CONFIG_ENGINE_XDP ||
	    !first_line("/sys/devices/system/cpu/online", online, sizeof(online)))
		return 0;
	for (size_t i = 0; i < d->n_cores; i++)
		if (!in_list(online, d->cores[i]))
			return no_core(config, "cores", d->cores_line, d->cores[i], online, error);
	if (d->main_core >= 0 && !in_list(online, (unsigned long)d->main_core))
		return no_core(config, "main_core", 0, (unsigned)d->main_core, online, error);
	return 0;
}

static bool may_run_on(unsigned core)
{
	size_t size = CPU_ALLOC_SIZE(core + 1);
	cpu_set_t *set = CPU_ALLOC(core + 1);
	bool may = true;

	if (set) {
		CPU_ZERO_S(size, set);
		CPU_SET_S(core, size, set);
		may = sched_setaffinity(0, size, set) == 0 || errno != EINVAL;
		CPU_FREE(set);
	}
	return may;
}

/* The kernel cuts an affinity down to what the cgroup allows, and refuses one of which nothing is
 * left. */
static int check_affinity(const struct sl_config *config, char *error)
{
	const struct sl_config_dataplane *d = &config->dataplane;
	cpu_set_t before;
	int err = 0;

	if (sched_getaffinity(0, sizeof(before), &before) != 0)
		return 0;
	for (size_t i = 0; i < d->n_cores && !err; i++)
		if (!may_run_on(d->cores[i]))
			err = fail(error, -EPERM,
				   "%s:%d: dataplane.cores: this process may not run on core %u: "
				   "its cgroup or container allows others, see `systemctl show -p "
				   "AllowedCPUs` and cpuset.cpus.effective",
				   config->file, d->cores_line, d->cores[i]);
	sched_setaffinity(0, sizeof(before), &before);
	return err;
}

/* DPDK touches all of its ordinary memory at once: more than there is would have the kernel kill
 * processes. Of huge pages DPDK says itself that there are too few. */
static int check_memory(const struct sl_config *config, char *error)
{
	const struct sl_config_dataplane *d = &config->dataplane;
	FILE *f = d->huge_pages ? NULL : fopen("/proc/meminfo", "re");
	unsigned long long available = 0;
	char line[128];

	while (f && !available && fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %llu kB", &available);
	if (f)
		fclose(f);
	if (!available || d->memory_mb <= available / 1024)
		return 0;
	return fail(error, -ENOMEM,
		    "%s: dataplane.memory: %u MB, and %llu MB are available, see `free -m`; give "
		    "less",
		    config->file, d->memory_mb, available / 1024);
}

int sl_machine_check_start(const struct sl_config *config, char error[SL_ERROR_MAX])
{
	int err = sl_machine_check(config, error);

	if (!err)
		err = check_affinity(config, error);
	return err ? err : check_memory(config, error);
}

/* Devices and queues */

static bool has_pci(const char *address)
{
	char path[64 + SL_DEVICE_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	return access(path, F_OK) == 0;
}

static bool has_device(const struct sl_config_port *port)
{
	return port->kind == SL_PORT_KERNEL ? if_nametoindex(port->device) != 0
	       : port->kind == SL_PORT_PCI  ? has_pci(port->device)
					    : true;
}

bool sl_machine_is_meant(const struct sl_config *config)
{
	const struct sl_config_dataplane *d = &config->dataplane;
	bool real = false;

	for (size_t i = 0; i < d->n_ports; i++) {
		if (d->port[i].kind != SL_PORT_VDEV && has_device(&d->port[i]))
			return true;
		real |= d->port[i].kind != SL_PORT_VDEV;
	}
	return !real;
}

/* How many queues an interface has, as AF_XDP counts them: of receive and transmit queues the
 * larger number. most: what the driver can be set to. False: its driver doesn't say. */
static bool channels_of(const char *device, struct ethtool_channels *channels)
{
	struct ifreq request = { .ifr_data = (void *)channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	*channels = (struct ethtool_channels){ .cmd = ETHTOOL_GCHANNELS };
	if (fd < 0)
		return false;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	err = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return err == 0;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Drivers without channels: their queues are directories. /sys may show another network namespace
 * than ours; then its interface of this name has another index. */
static uint32_t count_directories(const char *device)
{
	char path[128], index[16];
	uint32_t n = 0;

	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", device);
	if (!first_line(path, index, sizeof(index)) ||
	    strtoul(index, NULL, 10) != if_nametoindex(device))
		return 0;
	for (uint32_t found = 1; found; n += found) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-%u", device, n);
		found = access(path, F_OK) == 0;
		snprintf(path, sizeof(path), "/sys/class/net/%s/queues/tx-%u", device, n);
		found |= access(path, F_OK) == 0;
	}
	return n;
}

/* The command that gives the device so many, or what to do where none can. */
static void more_queues(const struct sl_config_port *port, const struct ethtool_channels *ch,
			uint32_t has, char *advice, size_t size)
{
	if (ch->max_combined >= port->queues)
		snprintf(advice, size, "`ethtool -L %s combined %u`", port->device, port->queues);
	else if (ch->max_rx >= port->queues && ch->max_tx >= port->queues)
		snprintf(advice, size, "`ethtool -L %s rx %u tx %u`", port->device, port->queues,
			 port->queues);
	else
		snprintf(advice, size, "give queues = %u, its driver can have no more", has);
}

static int check_queues(const struct sl_config *config, const struct sl_config_port *port,
			char *error)
{
	struct ethtool_channels channels;
	char advice[128];
	uint32_t has;

	if (channels_of(port->device, &channels))
		has = channels.combined_count + larger(channels.rx_count, channels.tx_count);
	else
		has = count_directories(port->device);
	if (!has || port->queues <= has)
		return 0;
	more_queues(port, &channels, has, advice, sizeof(advice));
	return fail(error, -ENOSPC,
		    "%s:%d: dataplane.ports: port %s: queues = %u, and interface %s has %u: %s",
		    config->file, port->line, port->name, port->queues, port->device, has, advice);
}

static int check_port(const struct sl_config *config, const struct sl_config_port *port,
		      char *error)
{
	if (!has_device(port))
		return fail(error, -ENODEV,
			    port->kind == SL_PORT_KERNEL
				    ? "%s:%d: dataplane.ports: there is no interface %s in this "
				      "network namespace; see `ip link`"
				    : "%s:%d: dataplane.ports: there is no PCI device %s on this "
				      "machine; see `lspci -D`",
			    config->file, port->line, port->device);
	if (port->kind != SL_PORT_KERNEL || config->dataplane.engine == SL_CONFIG_ENGINE_XDP)
		return 0;
	return check_queues(config, port, error);
}

int sl_machine_check(const struct sl_config *config, char error[SL_ERROR_MAX])
{
	const struct sl_config_dataplane *d = &config->dataplane;
	int err = 0;

	for (size_t i = 0; i < d->n_ports && !err; i++)
		err = check_port(config, &d->port[i], error);
	return err ? err : sl_machine_check_cores(config, error);
}
