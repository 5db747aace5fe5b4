/* SPDX-License-Identifier: BSD-2-Clause */
#include "ports.h"

#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>

enum {
	DESCRIPTORS = 1024,
	AF_XDP_DESCRIPTORS =
		2048, /* the fill ring needs this many buffers, whatever size is asked for */
	POOL_CACHE = 256,
};

static int add(struct sl_eal_args *args, const char *format, ...)
{
	va_list list;
	int n;

	if (args->n == SL_EAL_ARGS - 1)
		return -E2BIG;
	va_start(list, format);
	n = vasprintf(&args->arg[args->n], format, list);
	va_end(list);
	if (n < 0)
		return -ENOMEM;
	args->n++;
	return 0;
}

static bool any_port(const struct sl_config *c, bool (*is)(const struct sl_config_port *))
{
	for (size_t i = 0; i < c->dataplane.n_ports; i++)
		if (is(&c->dataplane.port[i]))
			return true;
	return false;
}

static bool is_pci(const struct sl_config_port *port)
{
	return port->kind == SL_PORT_PCI;
}

/* memif registers an action with the other process, which doesn't exist with --in-memory */
static bool is_memif(const struct sl_config_port *port)
{
	return strncmp(port->device, "net_memif", 9) == 0;
}

/* Logical core 0 is the main thread, core w + 1 is worker w. */
static int add_cores(struct sl_eal_args *args, const struct sl_config_dataplane *d)
{
	char cores[1024];
	int n;

	if (d->main_core >= 0)
		n = snprintf(cores, sizeof(cores), "0@%d", d->main_core);
	else
		n = snprintf(cores, sizeof(cores), "0@(0-%ld)", sysconf(_SC_NPROCESSORS_ONLN) - 1);
	for (size_t i = 0; i < d->n_cores && n < (int)sizeof(cores); i++)
		n += snprintf(cores + n, sizeof(cores) - (size_t)n, ",%zu@%u", i + 1, d->cores[i]);
	if (n >= (int)sizeof(cores))
		return -E2BIG;
	return add(args, "--lcores=%s", cores);
}

static int add_port(struct sl_eal_args *args, const struct sl_config_port *port)
{
	int err = 0;

	switch (port->kind) {
	case SL_PORT_PCI:
		return add(args, "--allow=%s", port->device);
	case SL_PORT_VDEV:
		return add(args, "--vdev=%s", port->device);
	case SL_PORT_KERNEL:
		for (uint32_t q = 0; q < port->queues && !err; q++)
			err = add(args,
				  "--vdev=net_af_xdp_%s_%u,iface=%s,start_queue=%u,"
				  "queue_count=1",
				  port->name, q, port->device, q);
		return err;
	}
	return -EINVAL;
}

/* Nothing of ours is shared with another DPDK process, except by memif, which hands memory to its
 * peer. EAL refuses --in-memory beside --no-huge, whose memory is private anyway: there only the
 * files that describe it are left out. */
static int add_memory(struct sl_eal_args *args, const struct sl_config *config)
{
	const struct sl_config_dataplane *d = &config->dataplane;
	bool shared = any_port(config, is_memif);
	int err = 0;

	if (!d->huge_pages)
		err = add(args, "--no-huge");
	if (!err && shared && d->huge_pages)
		err = add(args, "--single-file-segments");
	if (!err && !shared)
		err = add(args, d->huge_pages ? "--in-memory" : "--no-shconf");
	if (!err)
		err = add(args, "-m");
	return err ? err : add(args, "%u", d->memory_mb);
}

int sl_eal_args_make(struct sl_eal_args *args, const struct sl_config *config)
{
	const struct sl_config_dataplane *d = &config->dataplane;
	int err;

	args->n = 0;
	err = add(args, "sluice-dataplane");
	if (!err)
		err = add(args, "--main-lcore=0");
	if (!err)
		err = add_cores(args, d);
	if (!err)
		err = add(args, "--file-prefix=sluice-%s", config->instance);
	if (!err)
		err = add_memory(args, config);
	if (!err && !any_port(config, is_pci))
		err = add(args, "--no-pci");
	if (!err)
		err = add(args, "--no-telemetry");
	if (!err)
		err = add(args, "--log-level=*:warning");
	for (size_t i = 0; i < d->n_ports && !err; i++)
		err = add_port(args, &d->port[i]);
	args->arg[args->n] = NULL;
	if (err)
		sl_eal_args_free(args);
	return err;
}

void sl_eal_args_free(struct sl_eal_args *args)
{
	while (args->n)
		free(args->arg[--args->n]);
}

/* DPDK's name of the device. */
static void device_name(const struct sl_config_port *port, uint32_t queue, char *name, size_t size)
{
	if (port->kind == SL_PORT_KERNEL)
		snprintf(name, size, "net_af_xdp_%s_%u", port->name, queue);
	else
		snprintf(name, size, "%.*s", (int)strcspn(port->device, ","), port->device);
}

static int start_device(const struct sl_ports *ports, uint16_t device, uint16_t rx, uint16_t tx)
{
	uint16_t descriptors = DESCRIPTORS, tx_descriptors = DESCRIPTORS;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	int socket = rte_eth_dev_socket_id(device), err;

	err = rte_eth_dev_info_get(device, &info);
	if (err)
		return err;
	if (strcmp(info.driver_name, "net_af_xdp") == 0)
		descriptors = tx_descriptors = AF_XDP_DESCRIPTORS;
	if (rx > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP) &
			info.flow_type_rss_offloads;
		if (!conf.rx_adv_conf.rss_conf.rss_hf)
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	}
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	err = rte_eth_dev_configure(device, rx, tx, &conf);
	if (err)
		return err;
	err = rte_eth_dev_adjust_nb_rx_tx_desc(device, &descriptors, &tx_descriptors);
	for (uint16_t q = 0; q < rx && !err; q++)
		err = rte_eth_rx_queue_setup(device, q, descriptors, (unsigned)socket, NULL,
					     ports->pool);
	for (uint16_t q = 0; q < tx && !err; q++)
		err = rte_eth_tx_queue_setup(device, q, tx_descriptors, (unsigned)socket, NULL);
	if (!err)
		err = rte_eth_dev_start(device);
	if (!err && rte_eth_promiscuous_get(device) == 0)
		rte_eth_promiscuous_enable(
			device); /* not all devices can; those that can't receive everything */
	return err;
}

static int start_port(struct sl_ports *ports, uint32_t p, char error[SL_ERROR_MAX])
{
	const struct sl_config_port *port = &ports->config->dataplane.port[p];
	bool one_each = port->kind == SL_PORT_KERNEL;

	if (one_each)
		ports->ifindex[p] = if_nametoindex(port->device);
	for (uint32_t q = 0; q < port->queues; q++) {
		char name[SL_DEVICE_MAX];
		uint16_t device;
		int err;

		device_name(port, q, name, sizeof(name));
		err = rte_eth_dev_get_port_by_name(name, &device);
		if (!err && (one_each || q == 0))
			err = start_device(ports, device, one_each ? 1 : (uint16_t)port->queues,
					   one_each ? 1 : (uint16_t)ports->n_workers);
		if (err) {
			snprintf(error, SL_ERROR_MAX,
				 "port %s (%s): can't be started: %s; is it there, and not in use?",
				 port->name, port->device, rte_strerror(-err));
			return err;
		}
		ports->device[p][q] = device;
	}
	return 0;
}

int sl_ports_start(struct sl_ports *ports, const struct sl_config *config, char error[SL_ERROR_MAX])
{
	const struct sl_config_dataplane *d = &config->dataplane;
	uint32_t queues = 0, buffers;

	memset(ports, 0, sizeof(*ports));
	ports->config = config;
	ports->n_workers = (uint32_t)d->n_cores;
	for (size_t i = 0; i < d->n_ports; i++)
		queues += d->port[i].queues + ports->n_workers;
	buffers = queues * AF_XDP_DESCRIPTORS * 2 + ports->n_workers * POOL_CACHE * 2;
	ports->pool = rte_pktmbuf_pool_create("sluice", buffers - 1, POOL_CACHE, 0,
					      RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id());
	if (!ports->pool) {
		snprintf(error, SL_ERROR_MAX,
			 "%u packet buffers don't fit dataplane.memory (%u MB): %s", buffers,
			 d->memory_mb, rte_strerror(rte_errno));
		return -rte_errno;
	}
	for (uint32_t p = 0; p < d->n_ports; p++) {
		int err = start_port(ports, p, error);

		if (err)
			return err;
	}
	return 0;
}

/* In DPDK 22.11 closing a net_af_xdp device is a use-after-free if another device shares its
 * buffers. So the devices are only stopped; the end of the process does the rest. */
void sl_ports_stop(struct sl_ports *ports)
{
	for (uint32_t p = 0; p < ports->config->dataplane.n_ports; p++) {
		const struct sl_config_port *port = &ports->config->dataplane.port[p];

		for (uint32_t q = 0; q < (port->kind == SL_PORT_KERNEL ? port->queues : 1); q++)
			rte_eth_dev_stop(ports->device[p][q]);
	}
}

static struct sl_lane transmit_lane(struct sl_ports *ports, uint32_t worker, uint16_t port)
{
	const struct sl_config_port *conf = &ports->config->dataplane.port[port];
	uint16_t q = (uint16_t)(worker % conf->queues);

	if (conf->kind != SL_PORT_KERNEL)
		return (struct sl_lane){ .device = ports->device[port][0],
					 .queue = (uint16_t)worker,
					 .port = port,
					 .number = (uint16_t)worker };
	return (struct sl_lane){ .device = ports->device[port][q],
				 .port = port,
				 .number = q,
				 .lock = ports->n_workers > conf->queues ? &ports->lock[port][q]
									 : NULL };
}

size_t sl_ports_deal(struct sl_ports *ports, uint32_t worker, struct sl_lane *rx, size_t max,
		     struct sl_lane tx[SL_PORTS_CONFIG_MAX])
{
	size_t n = 0;

	for (uint16_t p = 0; p < ports->config->dataplane.n_ports; p++) {
		const struct sl_config_port *port = &ports->config->dataplane.port[p];
		bool one_each = port->kind == SL_PORT_KERNEL;

		for (uint16_t q = (uint16_t)worker; q < port->queues && n < max;
		     q = (uint16_t)(q + ports->n_workers))
			rx[n++] = (struct sl_lane){ .device = ports->device[p][q],
						    .queue = one_each ? 0 : q,
						    .port = p,
						    .number = q };
		tx[p] = transmit_lane(ports, worker, p);
	}
	return n;
}

uint32_t sl_ports_ifindex(const struct sl_ports *ports, uint32_t port)
{
	return ports->ifindex[port];
}

void sl_ports_mac(const struct sl_ports *ports, uint32_t port, uint8_t mac[6])
{
	struct rte_ether_addr addr = { 0 };

	rte_eth_macaddr_get(ports->device[port][0], &addr);
	memcpy(mac, addr.addr_bytes, 6);
}

uint64_t sl_ports_missed(const struct sl_ports *ports, uint32_t port, uint32_t queue)
{
	bool one_each = ports->config->dataplane.port[port].kind == SL_PORT_KERNEL;
	struct rte_eth_stats stats;

	if (queue && !one_each)
		return 0;
	return rte_eth_stats_get(ports->device[port][queue], &stats) == 0 ? stats.imissed : 0;
}
