/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps what is attached attached.
 *
 * Anybody with the rights may detach a program (`bpftool link detach`) or remove a pin, and the
 * kernel tells nobody. Without its program a port sends no packet to a worker and forwards none. So
 * control looks ten times a second, attaches a program again over the same sockets, puts pins back,
 * and logs both. A port that can't have its program, because somebody else's is there, is tried
 * again each second, and is a problem of the status meanwhile.
 */
#ifndef SL_CONTROL_XDP_WATCH_H
#define SL_CONTROL_XDP_WATCH_H

#include "../daemon.h"

/* To be called at each tick. Also follows what other interfaces' changes mean for the ports. */
void sl_xdp_watch(struct sl_control *c);

#endif
