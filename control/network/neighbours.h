/* SPDX-License-Identifier: BSD-2-Clause */
/* The next hops that control keeps resolved, and when each has to be resolved again.
 *
 * An entry exists because the user requested the address, or because a route names it as gateway. A
 * requested one stays until it is the least recently requested and its room is needed. A gateway
 * stays as long as a route names it.
 *
 * Resolved entries are touched every 20 s, so that the kernel revalidates them although it sees
 * none of their traffic. Unresolved ones are tried at once, and then with a pause that doubles up
 * to 5 s. Only net.c calls this. These functions send nothing: time is a parameter, and the caller
 * sends what is due.
 */
#ifndef SL_CONTROL_NETWORK_NEIGHBOURS_H
#define SL_CONTROL_NETWORK_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../../dataplane/abi/address.h"

#define SL_WATCH_MAX	  4096
#define SL_WATCH_KEEP_NS  20000000000ull
#define SL_WATCH_FIRST_NS 500000000ull
#define SL_WATCH_LAST_NS  5000000000ull

struct sl_watch_entry {
	TAILQ_ENTRY(sl_watch_entry) link;
	struct sl_watch_entry *chain;
	union sl_addr addr;
	uint16_t port;
	bool asked;	/* the user requested it */
	bool resolved;	/* as of the last rebuild of the table */
	bool active;	/* routes lead there by this port */
	uint32_t round; /* the last round in which a route named it as gateway */
	uint64_t sent_ns;
	uint64_t wait_ns; /* until the next attempt, while unresolved */
};

TAILQ_HEAD(sl_watch_list, sl_watch_entry);

struct sl_watch {
	struct sl_watch_list used; /* least recently requested first */
	struct sl_watch_list idle;
	uint32_t round;
	struct sl_watch_entry *head[SL_WATCH_MAX];
	struct sl_watch_entry entry[SL_WATCH_MAX];
};

struct sl_watch *sl_watch_new(void);
void sl_watch_free(struct sl_watch *watch);

/* Notes a request of the user, and makes an entry (*made) if there is none. Returns whether the
 * caller is to send a request to the kernel now. */
bool sl_watch_ask(struct sl_watch *watch, const union sl_addr *addr, uint16_t port, uint64_t now_ns,
		  bool *made);

/* One round over all routes: begin it, name every gateway, end it. At the end, entries that nobody
 * requested and that aren't gateways any more are dropped. */
void sl_watch_begin(struct sl_watch *watch);
void sl_watch_gateway(struct sl_watch *watch, const union sl_addr *addr, uint16_t port);
void sl_watch_end(struct sl_watch *watch);
bool sl_watch_is_gateway(const struct sl_watch *watch, const struct sl_watch_entry *entry);

void sl_watch_resolved(struct sl_watch_entry *entry, bool resolved);

/* Returns whether the entry is due for a request to the kernel. If so, it counts as sent. */
bool sl_watch_due(struct sl_watch_entry *entry, uint64_t now_ns);

#endif
