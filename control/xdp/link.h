/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP program at each kernel port's interface: attached here, and nowhere else.
 *
 * The programs themselves are of programs.h; each port has an entry program and an xsks_map of its
 * own. It is attached through a BPF link that is pinned, so it outlives control and no driver can
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

/* Finds or makes all that the port has of its own, and attaches nothing. `index` is that of `port`,
 * which is of kind SL_PORT_KERNEL, in the configuration. 0 or -errno with a message. For different
 * ports this and the next may run in threads at once. */
int sl_xdp_prepare(struct sl_attachment **attachment, struct sl_programs *programs,
		   const struct sl_config_port *port, uint32_t index, unsigned ifindex,
		   char error[SL_ERROR_MAX]);

/* When all programs are there that it goes on in. How it is attached (enum sl_xdp_how), or -errno
 * with a message. -EBUSY: somebody else's program is attached there. */
int sl_xdp_attach(struct sl_attachment *a, char error[SL_ERROR_MAX]);

/* Attaches a program that runs in the driver in the kernel's stack instead. The interface is
 * without one for a moment. 0 or -errno with a message. */
int sl_xdp_make_generic(struct sl_attachment *a, char error[SL_ERROR_MAX]);

/* The interface that it was prepared for. */
unsigned sl_xdp_ifindex(const struct sl_attachment *a);

/* Whether the program is still at the interface. If not, sl_xdp_attach() attaches it again. */
bool sl_xdp_stands(struct sl_attachment *a);

/* Pins again what of it somebody unpinned. How many pins were missing, or -errno. */
int sl_xdp_repin(const struct sl_attachment *a);

/* Closes the descriptors. While the pins are there, the port stays attached. */
void sl_xdp_release(struct sl_attachment *a);

/* Takes all programs of the instance off their interfaces, also those of ports that the
 * configuration doesn't have any more. */
int sl_xdp_detach_all(const struct sl_store_where *where, char error[SL_ERROR_MAX]);

#endif
