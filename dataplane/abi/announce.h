/* SPDX-License-Identifier: BSD-2-Clause */
/* Announcements: when and how the gateway tells a link that it has the VIPs.
 *
 * Neighbours keep what they have learned for minutes. So a VIP is announced on each port that
 * answers for it (core/arp.h, core/nd.h) when the VIP is new, when the port begins to answer, when
 * its MAC address changes, and when its link comes back. For IPv4 that is an ARP announcement (RFC
 * 5227, 2.3), for IPv6 an unsolicited neighbour advertisement (RFC 4861, 7.2.6). Both are repeated,
 * because one may be lost.
 *
 * This file has the schedule and the frames, and does nothing by itself: control announces on
 * kernel interfaces, and the dataplane on the ports that it owns (control/network/announce.h,
 * engine/announce.h). Each of them describes its ports and calls sl_announce_run(), which calls
 * back with the frames to send. Time is a parameter.
 */
#ifndef SL_ABI_ANNOUNCE_H
#define SL_ABI_ANNOUNCE_H

#include <stdbool.h>

#include "store.h"

enum {
	SL_ANNOUNCE_TIMES = 3, /* MAX_NEIGHBOR_ADVERTISEMENT */
	SL_ANNOUNCE_EVERY_MS = 1000,
	SL_ANNOUNCE_FRAME_MAX = 86,
};

/* The state of a port on which its announcements depend. All zero: it answers for nothing. */
struct sl_announce_port {
	uint8_t mac[6];
	bool answers;
	uint8_t pad;
	uint32_t ifindex;
	uint32_t downs; /* how often its link went down */
};

struct sl_announce;

struct sl_announce *sl_announce_new(uint32_t n_ports);
void sl_announce_free(struct sl_announce *a);

/* Sets the state of a port. If it answers and its state has changed, all VIPs are due there. */
void sl_announce_port(struct sl_announce *a, uint32_t port, const struct sl_announce_port *now);

/* Takes the addresses that the live generation answers for. New ones become due on each port that
 * answers. This is cheap if the generation hasn't changed. False: no memory, or the tables changed
 * meanwhile; call it again later. */
bool sl_announce_follow(struct sl_announce *a, const struct sl_store *store);

/* Sends what is due, at most `max` frames; the rest waits for the next call. If send() returns
 * false, the frame is tried again in a second. */
void sl_announce_run(struct sl_announce *a, uint64_t now_ns, uint32_t max,
		     bool (*send)(void *context, uint32_t port, const uint8_t *frame, size_t size),
		     void *context);

/* Writes an announcement of the address by the host with this MAC address. Returns its length. */
size_t sl_announce_frame(uint8_t frame[SL_ANNOUNCE_FRAME_MAX], const union sl_addr *addr,
			 const uint8_t mac[6]);

#endif
