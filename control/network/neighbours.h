/* SPDX-License-Identifier: BSD-2-Clause */
/* The next hops that are to stay resolved, and when each is to be asked for again.
 *
 * An entry is there because the user asked for it (it then stays until it is the one least
 * recently asked for and its room is needed), or because a route names it as gateway (as long as
 * one does). Resolved ones are touched every 20 s, so that the kernel revalidates them although
 * it sees none of their traffic; unresolved ones at once, and then with a pause that doubles up
 * to 5 s. Only net.c calls this. It does nothing by itself: time is a parameter, and who calls
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
	bool asked;	/* by the user */
	bool resolved;	/* as of the last look at the neighbours */
	bool active;	/* routes do lead there by this port */
	uint32_t round; /* the last in which a route named it */
	uint64_t sent_ns;
	uint64_t wait_ns; /* until the next try, while unresolved */
};

TAILQ_HEAD(sl_watch_list, sl_watch_entry);

struct sl_watch {
	struct sl_watch_list used; /* least recently asked for first */
	struct sl_watch_list idle;
	uint32_t round;
	struct sl_watch_entry *head[SL_WATCH_MAX];
	struct sl_watch_entry entry[SL_WATCH_MAX];
};

struct sl_watch *sl_watch_new(void);
void sl_watch_free(struct sl_watch *watch);

/* Asked for by the user: makes the entry where there is none, and says whether to send now. */
bool sl_watch_ask(struct sl_watch *watch, const union sl_addr *addr, uint16_t port, uint64_t now_ns,
		  bool *made);

/* A look at the whole: begin, name every gateway, end. Entries without a reason are gone then. */
void sl_watch_begin(struct sl_watch *watch);
void sl_watch_gateway(struct sl_watch *watch, const union sl_addr *addr, uint16_t port);
void sl_watch_end(struct sl_watch *watch);
bool sl_watch_is_gateway(const struct sl_watch *watch, const struct sl_watch_entry *entry);

void sl_watch_resolved(struct sl_watch_entry *entry, bool resolved);

/* Is it time to send for this one? If so, it counts as sent. */
bool sl_watch_due(struct sl_watch_entry *entry, uint64_t now_ns);

#endif
