/* SPDX-License-Identifier: BSD-2-Clause */
/* When the gateway tells a link that it has the VIPs, and in which words.
 *
 * Neighbours keep what they have learned for minutes. So a VIP is announced on each port that
 * answers for it (core/arp.h, core/nd.h): when the VIP is new, when the port begins to answer, when
 * its MAC address becomes another, and when its link comes back. IPv4: an ARP announcement (RFC
 * 5227, 2.3). IPv6: an unsolicited neighbour advertisement (RFC 4861, 7.2.6). Both are repeated,
 * since either may be lost.
 *
 * This is the schedule and the frames, and does nothing by itself: control announces on the
 * kernel's interfaces and the dataplane on the ports that it owns (control/network/announce.h,
 * engine/announce.h). Each tells what its ports are and calls sl_announce_run(), which calls back
 * with what is to be sent. Time is a parameter.
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

/* A port, as far as its announcements depend on it. All zero: it answers for nothing. */
struct sl_announce_port {
	uint8_t mac[6];
	bool answers;
	uint8_t pad;
	uint32_t ifindex;
	uint32_t downs; /* how often its link was seen down */
};

struct sl_announce;

struct sl_announce *sl_announce_new(uint32_t n_ports);
void sl_announce_free(struct sl_announce *a);

/* What the port is now. If it answers and was another until now, all VIPs are due there. */
void sl_announce_port(struct sl_announce *a, uint32_t port, const struct sl_announce_port *now);

/* Takes over which addresses the live generation answers for. Those that are new are due on each
 * port that answers. Cheap where the generation is the one that was taken over last. False: no
 * memory, or the tables moved meanwhile; to be called again later. */
bool sl_announce_follow(struct sl_announce *a, const struct sl_store *store);

/* Sends what is due, at most `max` frames; what is left waits for the next call. send() is false
 * when a frame couldn't be sent: it is tried again in a second. */
void sl_announce_run(struct sl_announce *a, uint64_t now_ns, uint32_t max,
		     bool (*send)(void *context, uint32_t port, const uint8_t *frame, size_t size),
		     void *context);

/* An announcement of the address by the host that has this MAC address. Returns its size. */
size_t sl_announce_frame(uint8_t frame[SL_ANNOUNCE_FRAME_MAX], const union sl_addr *addr,
			 const uint8_t mac[6]);

#endif
