/* SPDX-License-Identifier: BSD-2-Clause */
/* Attaches the entry program of each kernel port to its interface.
 *
 * Programs are loaded by programs.h. Each port has an entry program and an xsks_map of its own. The
 * program is attached through a BPF link that is pinned, so it outlives control and no driver can
 * detach it:
 *
 *     BPF_DIR/link-PORT    the attachment
 *     BPF_DIR/xsks-PORT    the sockets of the dataplane, by queue
 *
 * A restarted control adopts both where the link still holds this interface. If the program in it
 * isn't the one that it would have, because it is of another build, that one takes its place in the
 * link, over the same xsks_map, in which the sockets of a live dataplane stand: no packet meets an
 * interface without one. Where the interface went and came back, everything is made anew. All of
 * it may be done again at any time: what is there and right stays.
 *
 * Control keeps the descriptors as well. Somebody who removes the pins takes nothing off the
 * interface then, and where the program was taken off, the same one is attached again over the same
 * sockets (watch.h).
 */
#ifndef SL_CONTROL_XDP_LINK_H
#define SL_CONTROL_XDP_LINK_H

#include <stdint.h>

#include "../../config/config.h"
#include "../../dataplane/abi/store.h"
#include "programs.h"

enum sl_xdp_how {
	SL_XDP_NATIVE,	/* in the driver */
	SL_XDP_GENERIC, /* in the kernel's stack, which is slower; the message says why */
};

struct sl_attachment;

/* Opens or creates what belongs to the port, without attaching anything. `port` is of kind
 * SL_PORT_KERNEL, and `index` is its index in the configuration. Returns 0, or -errno with a
 * message. Threads may call this and sl_xdp_attach() for different ports at the same time. */
int sl_xdp_prepare(struct sl_attachment **attachment, struct sl_programs *programs,
		   const struct sl_config_port *port, uint32_t index, unsigned ifindex,
		   char error[SL_ERROR_MAX]);

/* Attaches the program. All programs to which it makes tail calls must be loaded. Returns how it is
 * attached (enum sl_xdp_how), or -errno with a message; -EBUSY: another program is attached. */
int sl_xdp_attach(struct sl_attachment *a, char error[SL_ERROR_MAX]);

/* Attaches a program that runs in the driver in the kernel's stack instead. The interface is
 * without one for a moment. 0 or -errno with a message. */
int sl_xdp_make_generic(struct sl_attachment *a, char error[SL_ERROR_MAX]);

/* The interface that it was prepared for. */
unsigned sl_xdp_ifindex(const struct sl_attachment *a);

/* Whether the program is still at the interface. If not, sl_xdp_attach() attaches it again. */
bool sl_xdp_stands(struct sl_attachment *a);

/* Puts removed pins of the port back. Returns how many were missing, or -errno. */
int sl_xdp_repin(const struct sl_attachment *a);

/* Closes the descriptors. While the pins are there, the port stays attached. */
void sl_xdp_release(struct sl_attachment *a);

/* Takes all programs of the instance off their interfaces, also those of ports that the
 * configuration doesn't have any more. */
int sl_xdp_detach_all(const struct sl_store_where *where, char error[SL_ERROR_MAX]);

#endif
