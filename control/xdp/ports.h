/* SPDX-License-Identifier: BSD-2-Clause */
/* Which ports have their XDP program: at start, and whenever interfaces come and go.
 *
 * c->attached says at which interface, c->unattached why not. A port that can't have one doesn't
 * keep the others from theirs, and is tried again each second (watch.h).
 */
#ifndef SL_CONTROL_XDP_PORTS_H
#define SL_CONTROL_XDP_PORTS_H

#include "../daemon.h"

/* An interface that is new, or came back as another, gets its program. The first error of those
 * that can't, which is logged once: -EEXIST for a port where somebody else's program is. */
int sl_attach_ports(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Loads the programs that a generation needs and that no one before needed, before it is published.
 * Other threads do it, since verifying takes up to a second: 1 while they do. 0 when all are there
 * or no port has a program, or -errno with a message. */
int sl_ports_prepare(struct sl_control *c, uint64_t generation, char error[SL_ERROR_MAX]);

/* Closes the descriptors. Ports stay attached while their pins are there. */
void sl_ports_release(struct sl_control *c);

#endif
