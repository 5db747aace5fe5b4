/* SPDX-License-Identifier: BSD-2-Clause */
/* See neighbours.h. The entries are a pool of fixed size, hashed by address. The list gives the
 * order of eviction. */
#include "neighbours.h"

#include <stdlib.h>

#include "../../dataplane/abi/cuckoo.h"

struct sl_watch *sl_watch_new(void)
{
	struct sl_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	TAILQ_INIT(&watch->used);
	TAILQ_INIT(&watch->idle);
	for (size_t i = 0; i < SL_WATCH_MAX; i++)
		TAILQ_INSERT_TAIL(&watch->idle, &watch->entry[i], link);
	return watch;
}

void sl_watch_free(struct sl_watch *watch)
{
	free(watch);
}

static struct sl_watch_entry **bucket(struct sl_watch *watch, const union sl_addr *addr,
				      uint16_t port)
{
	return &watch->head[sl_cuckoo_first(sl_cuckoo_hash(addr, port, 0), SL_WATCH_MAX)];
}

static struct sl_watch_entry *find(struct sl_watch *watch, const union sl_addr *addr, uint16_t port)
{
	struct sl_watch_entry *entry = *bucket(watch, addr, port);

	while (entry && !(entry->port == port && sl_addr_equal(&entry->addr, addr)))
		entry = entry->chain;
	return entry;
}

static void drop(struct sl_watch *watch, struct sl_watch_entry *entry)
{
	struct sl_watch_entry **at = bucket(watch, &entry->addr, entry->port);

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	TAILQ_REMOVE(&watch->used, entry, link);
	TAILQ_INSERT_TAIL(&watch->idle, entry, link);
}

/* Frees the entry that was requested least recently. Gateways stay, since each of them carries more
 * than one address: a flood of requested addresses can't evict them. */
static bool make_room(struct sl_watch *watch)
{
	struct sl_watch_entry *entry = TAILQ_FIRST(&watch->used);

	while (entry && sl_watch_is_gateway(watch, entry))
		entry = TAILQ_NEXT(entry, link);
	if (entry)
		drop(watch, entry);
	return entry;
}

static struct sl_watch_entry *make(struct sl_watch *watch, const union sl_addr *addr, uint16_t port)
{
	struct sl_watch_entry **head = bucket(watch, addr, port), *entry;

	if (TAILQ_EMPTY(&watch->idle) && !make_room(watch))
		return NULL;
	entry = TAILQ_FIRST(&watch->idle);
	TAILQ_REMOVE(&watch->idle, entry, link);
	*entry = (struct sl_watch_entry){ .chain = *head, .addr = *addr, .port = port };
	*head = entry;
	TAILQ_INSERT_TAIL(&watch->used, entry, link);
	return entry;
}

bool sl_watch_ask(struct sl_watch *watch, const union sl_addr *addr, uint16_t port, uint64_t now_ns,
		  bool *made)
{
	struct sl_watch_entry *entry = find(watch, addr, port);

	*made = !entry;
	if (!entry)
		entry = make(watch, addr, port);
	if (!entry)
		return false;
	entry->asked = true;
	entry->active = true;
	TAILQ_REMOVE(&watch->used, entry, link);
	TAILQ_INSERT_TAIL(&watch->used, entry, link);
	if (now_ns - entry->sent_ns < SL_WATCH_FIRST_NS)
		return false;
	entry->sent_ns = now_ns;
	if (!entry->wait_ns)
		entry->wait_ns = SL_WATCH_FIRST_NS;
	return true;
}

void sl_watch_begin(struct sl_watch *watch)
{
	watch->round++;
}

void sl_watch_gateway(struct sl_watch *watch, const union sl_addr *addr, uint16_t port)
{
	struct sl_watch_entry *entry = find(watch, addr, port);

	if (!entry)
		entry = make(watch, addr, port);
	if (entry)
		entry->round = watch->round;
}

void sl_watch_end(struct sl_watch *watch)
{
	struct sl_watch_entry *entry = TAILQ_FIRST(&watch->used), *next;

	for (; entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (!entry->asked && !sl_watch_is_gateway(watch, entry))
			drop(watch, entry);
	}
}

bool sl_watch_is_gateway(const struct sl_watch *watch, const struct sl_watch_entry *entry)
{
	return entry->round == watch->round && watch->round;
}

void sl_watch_resolved(struct sl_watch_entry *entry, bool resolved)
{
	if (resolved != entry->resolved)
		entry->wait_ns = 0;
	entry->resolved = resolved;
}

bool sl_watch_due(struct sl_watch_entry *entry, uint64_t now_ns)
{
	uint64_t wait = entry->resolved ? SL_WATCH_KEEP_NS : entry->wait_ns;

	if (now_ns - entry->sent_ns < wait)
		return false;
	entry->sent_ns = now_ns;
	if (!entry->resolved)
		entry->wait_ns = wait ? 2 * wait : SL_WATCH_FIRST_NS;
	if (entry->wait_ns > SL_WATCH_LAST_NS)
		entry->wait_ns = SL_WATCH_LAST_NS;
	return true;
}
