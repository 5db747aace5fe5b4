/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP program of each kernel port: loaded and attached here, and nowhere else.
 *
 * Each port has a program instance and an xsks_map of its own. The program is attached through a
 * BPF link that is pinned, so it outlives control and no driver can detach it:
 *
 *     BPF_DIR/link-PORT    the attachment
 *     BPF_DIR/xsks-PORT    the sockets of the dataplane, by queue
 *     BPF_DIR/tails-PORT   the programs that the attached one goes on with for what is rare
 *
 * A restarted control adopts both where the link still holds this interface: it loads a new
 * instance over the same xsks_map, in which the sockets of a live dataplane stand, and replaces the
 * program in the link, so that no packet meets an interface without one. Where the interface went
 * and came back, everything is made anew.
 */
#ifndef SL_CONTROL_XDP_LINK_H
#define SL_CONTROL_XDP_LINK_H

#include <stdint.h>

#include "../../config/config.h"
#include "../../dataplane/abi/store.h"

enum sl_xdp_how {
	SL_XDP_NATIVE,	/* in the driver */
	SL_XDP_GENERIC, /* in the kernel's stack, slower: the driver can't; error says so */
};

/* The store is control's, with its descriptors; `port` is an index in config->dataplane.port, of
 * kind SL_PORT_KERNEL. How it is attached (enum sl_xdp_how), or -errno with a message. -EBUSY:
 * somebody else's program is attached there. For different ports it may run in threads at once. */
int sl_xdp_attach(const struct sl_store *store, const struct sl_store_where *where,
		  const struct sl_config *config, uint32_t port, unsigned ifindex,
		  char error[SL_ERROR_MAX]);

/* Takes all programs of the instance off their interfaces, also those of ports that the
 * configuration doesn't have any more. */
int sl_xdp_detach_all(const struct sl_store_where *where, char error[SL_ERROR_MAX]);

#endif
