/* SPDX-License-Identifier: BSD-2-Clause */
/* See table.h. First the prefixes: all candidates, sorted so that the best of equal ones comes
 * first; then the hosts on connected prefixes, each under the prefix that holds it. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum rank { RANK_LOCAL, RANK_CONFIG, RANK_MAIN };

struct candidate {
	struct sl_route record;
	enum rank rank;
	uint32_t priority;
};

struct build {
	const struct sl_config *config;
	const struct sl_net_port *port;
	struct candidate *candidate;
	size_t n, room;
	struct sl_mirror_neighbour *neighbour; /* by address and port */
	size_t n_neighbours, neighbour_room;
	bool no_memory;
};

static union sl_addr masked(const union sl_addr *addr, uint32_t length)
{
	union sl_addr out = *addr;

	for (uint32_t i = length / 8; i < 16; i++)
		out.b[i] &= i == length / 8 ? (uint8_t)(0xff00 >> length % 8) : 0;
	return out;
}

static void *add(void **array, size_t *n, size_t *room, size_t size)
{
	if (*n == *room) {
		size_t more = *room ? 2 * *room : 64;
		void *larger = realloc(*array, more * size);

		if (!larger)
			return NULL;
		*array = larger;
		*room = more;
	}
	return memset((char *)*array + (*n)++ * size, 0, size);
}

static struct candidate *add_candidate(struct build *build)
{
	struct candidate *at =
		add((void **)&build->candidate, &build->n, &build->room, sizeof(*at));

	build->no_memory |= !at;
	return at;
}

/* Prefixes */

static void add_kernel(void *context, const struct sl_mirror_route *route)
{
	struct candidate *at = add_candidate(context);

	if (!at)
		return;
	at->record = route->record;
	at->priority = route->priority;
	at->rank = route->local ? RANK_LOCAL : RANK_MAIN;
}

/* A port of the kernel's that isn't there or isn't up leads nowhere; of others nobody tells us. */
static void add_config(struct build *build, const struct sl_config_next_hop *hop)
{
	bool kernel = build->config->dataplane.port[hop->port].kind == SL_PORT_KERNEL;
	const struct sl_net_port *port = &build->port[hop->port];
	struct candidate *at = add_candidate(build);

	if (!at)
		return;
	at->rank = RANK_CONFIG;
	at->record.prefix = masked(&hop->prefix, hop->length);
	at->record.length = hop->length;
	at->record.kind = SL_ROUTE_NONE;
	if (kernel && !port->up)
		return;
	at->record.kind = SL_ROUTE_VIA;
	at->record.port = (uint16_t)hop->port;
	at->record.mtu = hop->mtu ? hop->mtu : port->mtu;
	memcpy(at->record.dst_mac, hop->mac, 6);
	memcpy(at->record.src_mac, port->mac, 6);
}

static int compare_prefix(const struct sl_route *a, const struct sl_route *b)
{
	if (a->length != b->length)
		return a->length > b->length ? -1 : 1;
	return memcmp(&a->prefix, &b->prefix, sizeof(a->prefix));
}

static int compare_candidate(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = compare_prefix(&a->record, &b->record);

	if (order)
		return order;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return memcmp(&a->record, &b->record, sizeof(a->record));
}

/* The kernel looks at table local first: a prefix there hides what is longer elsewhere. */
static bool hidden(const struct build *build, const struct candidate *what)
{
	if (what->rank == RANK_LOCAL)
		return false;
	for (size_t i = build->n; i-- > 0;) {
		const struct candidate *at = &build->candidate[i];
		union sl_addr prefix;

		if (at->record.length >= what->record.length)
			return false;
		if (at->rank != RANK_LOCAL)
			continue;
		prefix = masked(&what->record.prefix, at->record.length);
		if (sl_addr_equal(&prefix, &at->record.prefix))
			return true;
	}
	return false;
}

static void index_lengths(struct sl_table *table)
{
	table->n_lengths = 0;
	for (size_t i = 0; i < table->n; i++) {
		if (i && table->route[i].length == table->route[i - 1].length)
			continue;
		table->length[table->n_lengths] = table->route[i].length;
		table->first[table->n_lengths++] = i;
	}
}

/* room: of neighbours and watched addresses, each of which may become a record. */
static int take_prefixes(struct build *build, struct sl_table *table, size_t room)
{
	struct candidate *last = NULL;

	qsort(build->candidate, build->n, sizeof(*build->candidate), compare_candidate);
	table->route = calloc(build->n + room + 1, sizeof(*table->route));
	if (!table->route)
		return -ENOMEM;
	for (size_t i = 0; i < build->n; i++) {
		struct candidate *at = &build->candidate[i];

		if (last && !compare_prefix(&last->record, &at->record))
			continue;
		last = at;
		if (!hidden(build, at))
			table->route[table->n++] = at->record;
	}
	index_lengths(table);
	return 0;
}

/* Neighbours */

static void add_neighbour(void *context, const struct sl_mirror_neighbour *neighbour)
{
	struct build *build = context;
	struct sl_mirror_neighbour *at = add((void **)&build->neighbour, &build->n_neighbours,
					     &build->neighbour_room, sizeof(*at));

	build->no_memory |= !at;
	if (at)
		*at = *neighbour;
}

static int compare_neighbour(const void *left, const void *right)
{
	const struct sl_mirror_neighbour *a = left, *b = right;
	int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return order ? order : (int)a->port - (int)b->port;
}

static const struct sl_mirror_neighbour *neighbour(const struct build *build,
						   const union sl_addr *addr, uint16_t port)
{
	struct sl_mirror_neighbour key = { .addr = *addr, .port = port };

	if (!build->n_neighbours)
		return NULL;
	return bsearch(&key, build->neighbour, build->n_neighbours, sizeof(key), compare_neighbour);
}

static void take_gateways(const struct build *build, struct sl_table *table, struct sl_watch *watch)
{
	const struct sl_mirror_neighbour *found;

	sl_watch_begin(watch);
	for (size_t i = 0; i < table->n; i++) {
		struct sl_route *at = &table->route[i];

		if (at->kind != SL_ROUTE_ASK)
			continue;
		sl_watch_gateway(watch, &at->gateway, at->port);
		found = neighbour(build, &at->gateway, at->port);
		if (!found)
			continue;
		at->kind = SL_ROUTE_VIA;
		memcpy(at->dst_mac, found->mac, sizeof(at->dst_mac));
	}
	sl_watch_end(watch);
}

/* Whether addr is on the link of that port: then its record is in *record, made from the prefix's.
 * A connected prefix that is the address alone is taken over in its place. */
static bool on_link(struct sl_table *table, size_t prefixes, const union sl_addr *addr,
		    uint16_t port, struct sl_route **record)
{
	const struct sl_route *prefix = sl_table_find(table, addr);

	if (!prefix || prefix->kind != SL_ROUTE_LINK || prefix->port != port)
		return false;
	if (prefix->length == 128) {
		*record = &table->route[prefix - table->route];
		return true;
	}
	*record = &table->route[prefixes];
	**record = *prefix;
	(*record)->prefix = *addr;
	(*record)->length = 128;
	return true;
}

static int compare_route(const void *left, const void *right)
{
	return compare_prefix(left, right);
}

/* While hosts are added behind the prefixes, only the prefixes are searched. */
static void take_hosts(const struct build *build, struct sl_table *table, struct sl_watch *watch)
{
	struct sl_watch_entry *entry = TAILQ_FIRST(&watch->used);
	struct sl_route *record;
	size_t n = table->n;

	for (size_t i = 0; i < build->n_neighbours; i++) {
		const struct sl_mirror_neighbour *at = &build->neighbour[i];

		if (!on_link(table, n, &at->addr, at->port, &record))
			continue;
		n += record == &table->route[n];
		record->kind = SL_ROUTE_VIA;
		memcpy(record->dst_mac, at->mac, sizeof(record->dst_mac));
	}
	for (; entry; entry = TAILQ_NEXT(entry, link)) {
		bool known = neighbour(build, &entry->addr, entry->port);

		sl_watch_resolved(entry, known);
		entry->active = known || sl_watch_is_gateway(watch, entry);
		if (known || !entry->asked ||
		    !on_link(table, n, &entry->addr, entry->port, &record))
			continue;
		entry->active = true;
		n += record == &table->route[n];
		record->kind = SL_ROUTE_ASK;
	}
	table->n = n;
	qsort(table->route, table->n, sizeof(*table->route), compare_route);
	index_lengths(table);
}

/* The whole */

int sl_table_build(struct sl_table *table, const struct sl_config *config, struct sl_mirror *mirror,
		   const struct sl_net_port *port, struct sl_watch *watch)
{
	struct build build = { .config = config, .port = port };
	int e = -ENOMEM;

	memset(table, 0, sizeof(*table));
	for (size_t i = 0; i < config->n_next_hops; i++)
		add_config(&build, &config->next_hop[i]);
	sl_mirror_routes(mirror, add_kernel, &build);
	sl_mirror_neighbours(mirror, add_neighbour, &build);
	if (build.no_memory)
		goto out;
	if (build.n_neighbours)
		qsort(build.neighbour, build.n_neighbours, sizeof(*build.neighbour),
		      compare_neighbour);
	e = take_prefixes(&build, table, build.n_neighbours + SL_WATCH_MAX);
	if (e)
		goto out;
	take_gateways(&build, table, watch);
	take_hosts(&build, table, watch);
out:
	free(build.neighbour);
	free(build.candidate);
	return e;
}

void sl_table_free(struct sl_table *table)
{
	free(table->route);
	memset(table, 0, sizeof(*table));
}

bool sl_table_equal(const struct sl_table *a, const struct sl_table *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->route, b->route, a->n * sizeof(*a->route)));
}

const struct sl_route *sl_table_find(const struct sl_table *table, const union sl_addr *addr)
{
	for (size_t i = 0; i < table->n_lengths; i++) {
		size_t end = i + 1 < table->n_lengths ? table->first[i + 1] : table->n;
		struct sl_route key = { .length = table->length[i] };
		const struct sl_route *found;

		/* The 16-byte form of an IPv4 address is no IPv6 address. */
		if (sl_addr_is4(addr) && key.length < 96)
			return NULL;
		key.prefix = masked(addr, key.length);
		found = bsearch(&key, &table->route[table->first[i]], end - table->first[i],
				sizeof(key), compare_route);
		if (found)
			return found;
	}
	return NULL;
}

bool sl_table_configured(const struct sl_config *config, const struct sl_route *route)
{
	for (size_t i = 0; i < config->n_next_hops; i++) {
		const struct sl_config_next_hop *hop = &config->next_hop[i];
		union sl_addr prefix = masked(&hop->prefix, hop->length);

		if (hop->length == route->length && sl_addr_equal(&prefix, &route->prefix))
			return true;
	}
	return false;
}
