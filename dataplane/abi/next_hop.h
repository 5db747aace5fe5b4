/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Next hop groups: the ways of a multipath route, of which each flow takes one.
 *
 * The egress of a backend or a route is the index of a port (which may be a VLAN, see service.h),
 * or SL_EGRESS_GROUP and the index of a group. In the second case the record's MAC addresses are
 * those of one next hop of the group and the MTU is the smallest of all; the flow's hash picks one
 * of the group's buckets, and the bucket names the next hop (core/egress.h).
 *
 * Control fills the buckets in proportion to the weights, as it fills the slots of a service: if a
 * next hop goes, only its flows move. A group has only next hops that are up and resolved. Groups
 * lie in two banks like the small records (root.h), and have no key: both banks count from 0.
 */
#ifndef SL_ABI_NEXT_HOP_H
#define SL_ABI_NEXT_HOP_H

#include <stdint.h>

#define SL_EGRESS_GROUP 0x8000

#define SL_HOP_GROUPS  64 /* of one bank */
#define SL_HOP_BUCKETS 256
#define SL_HOPS	       32 /* of one group */

struct sl_hop {
	uint8_t mac[12]; /* in the order of the frame: destination, source */
	uint16_t egress; /* index in ports */
	uint8_t pad[2];
};

struct sl_hop_group {
	uint8_t bucket[SL_HOP_BUCKETS]; /* indices in hop */
	struct sl_hop hop[SL_HOPS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sl_hop) == 16, "copied as words");
_Static_assert(sizeof(struct sl_hop_group) == 768,
	       "twelve cache lines, of which a packet reads two");

#endif
