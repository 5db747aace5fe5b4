/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports of the configuration as DPDK devices, and the assignment of their queues to workers.
 *
 * A kernel interface is one net_af_xdp device per queue, because on veth that driver supports one
 * queue per device. A PCI or virtual device is one device with all its queues. A lane hides the
 * difference: it is a receive queue that belongs to one worker, or a transmit queue, which several
 * workers share under a lock if the port has fewer queues than there are workers.
 */
#ifndef SL_ENGINE_PORTS_H
#define SL_ENGINE_PORTS_H

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_spinlock.h>

#include "../../config/config.h"
#include "../abi/layout.h"

struct sl_lane {
	uint16_t device;      /* DPDK's port id */
	uint16_t queue;	      /* number in the device */
	uint16_t port;	      /* index in the configuration */
	uint16_t number;      /* number of the port's queue in the configuration */
	rte_spinlock_t *lock; /* for a transmit lane that workers share; else NULL */
};

struct sl_ports {
	const struct sl_config *config;
	struct rte_mempool *pool;
	uint32_t n_workers;
	/* device[port][queue]; PCI and virtual devices have the same number for all queues */
	uint16_t device[SL_PORTS_CONFIG_MAX][SL_QUEUES_PER_PORT];
	uint32_t ifindex[SL_PORTS_CONFIG_MAX];
	rte_spinlock_t lock[SL_PORTS_CONFIG_MAX][SL_QUEUES_PER_PORT];
};

/* The arguments of rte_eal_init() that follow from the configuration. */
#define SL_EAL_ARGS 64
struct sl_eal_args {
	int n;
	char *arg[SL_EAL_ARGS];
};
int sl_eal_args_make(struct sl_eal_args *args, const struct sl_config *config);
void sl_eal_args_free(struct sl_eal_args *args);

/* Configures every device with the queues that its workers need, and starts it. 0, or -errno with a
 * message that names the port. */
int sl_ports_start(struct sl_ports *ports, const struct sl_config *config,
		   char error[SL_ERROR_MAX]);
void sl_ports_stop(struct sl_ports *ports);

/* Assigns lanes to a worker: its receive lanes in rx (at most max), and its transmit lane of each
 * port in tx. Returns the number of receive lanes. */
size_t sl_ports_deal(struct sl_ports *ports, uint32_t worker, struct sl_lane *rx, size_t max,
		     struct sl_lane tx[SL_PORTS_CONFIG_MAX]);

/* The interface of a kernel port; 0 for others. */
uint32_t sl_ports_ifindex(const struct sl_ports *ports, uint32_t port);

/* How many frames its driver has dropped before a worker could take them, since it was started: of
 * a device of several queues all in queue 0's. */
uint64_t sl_ports_missed(const struct sl_ports *ports, uint32_t port, uint32_t queue);

void sl_ports_mac(const struct sl_ports *ports, uint32_t port, uint8_t mac[6]);

#endif
