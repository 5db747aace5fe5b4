/* SPDX-License-Identifier: BSD-2-Clause */
/* See table.h. A table is built in three steps. First the prefixes: all candidates are sorted so
 * that the best of equal ones comes first. Then the gateways, and the groups of next hops that
 * multipath routes lead to. Then the hosts on connected prefixes, each under the prefix that holds
 * it. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum rank { RANK_LOCAL, RANK_CONFIG, RANK_MAIN };

struct candidate {
	struct sl_route record;
	enum rank rank;
	uint32_t priority;
	size_t first;	 /* index of its next hops in build->hop */
	uint32_t n_hops; /* 0: the record is the only next hop */
	uint32_t weight; /* of the next hop in record */
};

/* The next hops of a prefix that has several. */
struct multipath {
	size_t route; /* index in the table */
	size_t first;
	uint32_t n;
};

struct build {
	const struct sl_config *config;
	const struct sl_net_port *port;
	struct candidate *candidate;
	size_t n, room;
	struct sl_mirror_neighbour *neighbour; /* sorted by address and port */
	size_t n_neighbours, neighbour_room;
	struct sl_net_hop *hop;
	size_t n_hops, hop_room;
	struct multipath *multipath; /* sorted by their index in the table */
	size_t n_multipaths, multipath_room;
	size_t left_out;
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

static bool add_hop(struct build *build, const struct sl_net_hop *hop)
{
	struct sl_net_hop *at =
		add((void **)&build->hop, &build->n_hops, &build->hop_room, sizeof(*at));

	build->no_memory |= !at;
	if (at)
		*at = *hop;
	return at;
}

/* Prefixes */

static void add_kernel(void *context, const struct sl_mirror_route *route)
{
	struct build *build = context;
	struct candidate *at = add_candidate(build);

	if (!at)
		return;
	at->record = route->record;
	at->priority = route->priority;
	at->rank = route->local ? RANK_LOCAL : RANK_MAIN;
	at->weight = 1;
	at->first = build->n_hops;
	build->left_out += route->n_left_out;
	while (at->n_hops < route->n_hops && add_hop(build, &route->hop[at->n_hops]))
		at->n_hops++;
}

uint32_t sl_net_vlan(const struct sl_net_port port[SL_PORTS_MAX], uint32_t parent, uint32_t vlan)
{
	uint32_t i = SL_PORT_VLANS;

	while (i < SL_PORTS_MAX && !(port[i].vlan == vlan && port[i].parent == parent))
		i++;
	return i;
}

/* Adds a next hop of the configuration. If its kernel port is missing or down, the route leads
 * nowhere. Of other ports the state isn't known. */
static void add_config(struct build *build, const struct sl_config_next_hop *hop)
{
	bool kernel = build->config->dataplane.port[hop->port].kind == SL_PORT_KERNEL;
	uint32_t index = hop->vlan ? sl_net_vlan(build->port, hop->port, hop->vlan) : hop->port;
	const struct sl_net_port *port = &build->port[hop->port];
	struct candidate *at = add_candidate(build);

	if (!at)
		return;
	at->rank = RANK_CONFIG;
	at->weight = hop->weight;
	at->record.prefix = masked(&hop->prefix, hop->length);
	at->record.length = hop->length;
	at->record.kind = SL_ROUTE_NONE;
	if ((kernel && !port->up) || index == SL_PORTS_MAX)
		return;
	port = &build->port[index];
	at->record.kind = SL_ROUTE_VIA;
	at->record.port = (uint16_t)index;
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

/* Whether a shorter prefix of table local hides the candidate. The kernel looks at table local
 * first. */
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

/* Whether two candidates with one prefix are next hops of one multipath route. Only the
 * configuration lists them one by one: the kernel reports all next hops of a route together, for
 * IPv6 too. */
static bool same_multipath(const struct candidate *a, const struct candidate *b)
{
	return a->rank == RANK_CONFIG && b->rank == RANK_CONFIG;
}

static void append_hop(struct build *build, const struct candidate *from)
{
	const struct sl_route *r = &from->record;
	struct sl_net_hop hop = { .gateway = r->gateway,
				  .mtu = r->mtu,
				  .weight = from->weight,
				  .port = r->port,
				  .known = r->kind == SL_ROUTE_VIA };

	if (r->kind < SL_ROUTE_ASK)
		return; /* its port is down */
	memcpy(hop.dst_mac, r->dst_mac, sizeof(hop.dst_mac));
	memcpy(hop.src_mac, r->src_mac, sizeof(hop.src_mac));
	add_hop(build, &hop);
}

/* Notes the next hops of the table's last route, which n candidates make up. */
static void take_hops(struct build *build, const struct sl_table *table,
		      const struct candidate *from, size_t n)
{
	struct multipath m = { table->n - 1, from->first, from->n_hops }, *at;

	if (n > 1) {
		m.first = build->n_hops;
		for (size_t i = 0; i < n; i++)
			append_hop(build, &from[i]);
		m.n = (uint32_t)(build->n_hops - m.first);
	}
	if (!m.n)
		return;
	if (m.n > SL_HOPS) {
		build->left_out += m.n - SL_HOPS;
		m.n = SL_HOPS;
	}
	at = add((void **)&build->multipath, &build->n_multipaths, &build->multipath_room,
		 sizeof(*at));
	build->no_memory |= !at;
	if (at)
		*at = m;
}

/* Fills the table with the best candidate of each prefix. room: the number of neighbours and
 * watched addresses, each of which may become a record. Returns 0 or -ENOMEM. */
static int take_prefixes(struct build *build, struct sl_table *table, size_t room)
{
	struct candidate *last = NULL;

	qsort(build->candidate, build->n, sizeof(*build->candidate), compare_candidate);
	table->route = calloc(build->n + room + 1, sizeof(*table->route));
	if (!table->route)
		return -ENOMEM;
	for (size_t i = 0, n; i < build->n; i++) {
		struct candidate *at = &build->candidate[i];

		if (last && !compare_prefix(&last->record, &at->record))
			continue;
		last = at;
		if (hidden(build, at))
			continue;
		table->route[table->n++] = at->record;
		for (n = 1; i + n < build->n && !compare_prefix(&at->record, &at[n].record) &&
			    same_multipath(at, &at[n]);)
			n++;
		take_hops(build, table, at, n);
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

static bool resolve(const struct build *build, struct sl_watch *watch, const union sl_addr *gateway,
		    uint16_t port, uint8_t mac[6])
{
	const struct sl_mirror_neighbour *found;

	sl_watch_gateway(watch, gateway, port);
	found = neighbour(build, gateway, port);
	if (found)
		memcpy(mac, found->mac, sizeof(found->mac));
	return found;
}

/* Returns the index of the table's group with these next hops, and adds it if there is none.
 * Returns SL_HOP_GROUPS if there is no room. */
static size_t group_of(struct sl_table *table, const struct sl_net_group *group)
{
	size_t i = 0;

	while (i < table->n_groups && memcmp(&table->group[i], group, sizeof(*group)) != 0)
		i++;
	if (i == table->n_groups && i < SL_HOP_GROUPS)
		table->group[table->n_groups++] = *group;
	return i;
}

/* Completes the record of a multipath route, from those of its next hops that are resolved. */
static void spread(const struct build *build, const struct multipath *m, struct sl_table *table,
		   struct sl_watch *watch)
{
	struct sl_route *at = &table->route[m->route];
	struct sl_net_group group;
	size_t index;

	memset(&group, 0, sizeof(group));
	for (uint32_t i = 0; i < m->n; i++) {
		struct sl_net_hop hop = build->hop[m->first + i];

		if (!hop.known)
			hop.known = resolve(build, watch, &hop.gateway, hop.port, hop.dst_mac);
		if (hop.known)
			group.hop[group.n++] = hop;
	}
	if (!group.n)
		return;
	at->kind = SL_ROUTE_VIA;
	at->port = group.hop[0].port;
	at->mtu = group.hop[0].mtu;
	at->gateway = group.hop[0].gateway;
	memcpy(at->dst_mac, group.hop[0].dst_mac, sizeof(at->dst_mac));
	memcpy(at->src_mac, group.hop[0].src_mac, sizeof(at->src_mac));
	if (group.n == 1)
		return;
	index = group_of(table, &group);
	if (index == SL_HOP_GROUPS) {
		table->left_out += group.n - 1;
		return;
	}
	at->port = (uint16_t)(SL_EGRESS_GROUP | index);
	for (uint32_t i = 1; i < group.n; i++)
		if (group.hop[i].mtu < at->mtu)
			at->mtu = group.hop[i].mtu;
}

static void take_gateways(const struct build *build, struct sl_table *table, struct sl_watch *watch)
{
	const struct multipath *m = build->multipath, *end = m + build->n_multipaths;

	sl_watch_begin(watch);
	for (size_t i = 0; i < table->n; i++) {
		struct sl_route *at = &table->route[i];

		if (m != end && m->route == i)
			spread(build, m++, table, watch);
		else if (at->kind == SL_ROUTE_ASK &&
			 resolve(build, watch, &at->gateway, at->port, at->dst_mac))
			at->kind = SL_ROUTE_VIA;
	}
	sl_watch_end(watch);
}

/* Whether addr is on the link of that port. If so, *record is set to a new record for it, made from
 * the prefix's. If a connected prefix is the address alone, its own record is used. */
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

/* Adds the records of hosts behind the prefixes. Until they are sorted, look-ups search the
 * prefixes only. */
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

/* Building */

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
	table->group = calloc(SL_HOP_GROUPS, sizeof(*table->group));
	if (build.no_memory || !table->group)
		goto out;
	if (build.n_neighbours)
		qsort(build.neighbour, build.n_neighbours, sizeof(*build.neighbour),
		      compare_neighbour);
	e = take_prefixes(&build, table, build.n_neighbours + SL_WATCH_MAX);
	if (e || build.no_memory) {
		e = -ENOMEM;
		goto out;
	}
	table->left_out = build.left_out;
	take_gateways(&build, table, watch);
	take_hosts(&build, table, watch);
out:
	free(build.multipath);
	free(build.hop);
	free(build.neighbour);
	free(build.candidate);
	return e;
}

void sl_table_free(struct sl_table *table)
{
	free(table->route);
	free(table->group);
	memset(table, 0, sizeof(*table));
}

bool sl_table_equal(const struct sl_table *a, const struct sl_table *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->route, b->route, a->n * sizeof(*a->route))) &&
	       a->n_groups == b->n_groups &&
	       (!a->n_groups || !memcmp(a->group, b->group, a->n_groups * sizeof(*a->group)));
}

/* Returns the record that holds addr among the prefixes of the i-th length, or NULL. */
static const struct sl_route *find_at(const struct sl_table *table, const union sl_addr *addr,
				      size_t i)
{
	size_t end = i + 1 < table->n_lengths ? table->first[i + 1] : table->n;
	struct sl_route key = { .length = table->length[i] };

	/* An IPv6 prefix never holds the 16-byte form of an IPv4 address. */
	if (sl_addr_is4(addr) && key.length < 96)
		return NULL;
	key.prefix = masked(addr, key.length);
	return bsearch(&key, &table->route[table->first[i]], end - table->first[i], sizeof(key),
		       compare_route);
}

const struct sl_route *sl_table_find(const struct sl_table *table, const union sl_addr *addr)
{
	const struct sl_route *found = NULL;

	for (size_t i = 0; i < table->n_lengths && !found; i++)
		found = find_at(table, addr, i);
	return found;
}

uint32_t sl_table_link_bits(const struct sl_table *table, const union sl_addr *addr, uint16_t port)
{
	uint32_t all = sl_addr_is4(addr) ? 32 : 128;

	for (size_t i = 0; i < table->n_lengths; i++) {
		const struct sl_route *found = find_at(table, addr, i);

		if (found && found->kind == SL_ROUTE_LINK && found->port == port)
			return (128 - found->length) % all;
	}
	return 0;
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
