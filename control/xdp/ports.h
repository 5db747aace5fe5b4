/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives each kernel port its XDP program, at start and whenever interfaces come and go.
 *
 * c->attached is the interface that has a port's program, c->unattached says why none has. A port
 * that fails doesn't hold up the others, and is tried again each second (watch.h).
 */
#ifndef SL_CONTROL_XDP_PORTS_H
#define SL_CONTROL_XDP_PORTS_H

#include "../daemon.h"

/* Attaches the programs of all ports that lack theirs. Returns 0, or the first error, which is
 * logged once; -EEXIST: another program is attached to a port. */
int sl_attach_ports(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Loads the programs that a generation needs and that no one before needed, before it is published.
 * Other threads do it, since verifying takes up to a second: 1 while they do. 0 when all are there
 * or no port has a program, or -errno with a message. */
int sl_ports_prepare(struct sl_control *c, uint64_t generation, char error[SL_ERROR_MAX]);

/* Closes the descriptors. Ports stay attached while their pins are there. */
void sl_ports_release(struct sl_control *c);

#endif
