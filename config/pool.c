/* SPDX-License-Identifier: BSD-2-Clause */
/* SNAT pools: the addresses that services of mode fullnat use as their source.
 *
 * After reading, these hold. No two pools share a name or an address. All addresses of a pool are
 * of one family, which is also the family of the VIPs of its services. No address is a VIP or a
 * backend's. All pools together fit the capacity. Every service of mode fullnat names a pool, and
 * no other service does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define FIRST_PORT 1024
#define LAST_PORT  65535

/* "1024-65535". */
static int read_range(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	const char *text = config_setting_get_string(setting);
	struct sl_config_snat_pool *pool = record;
	unsigned int first, last;
	char more;

	if (sscanf(text, "%5u-%5u%c", &first, &last, &more) != 2 || !first || first > last ||
	    last > LAST_PORT)
		return sl_fail(r, setting, "is \"%.64s\"; give a range, such as: %s", text,
			       field->example);
	pool->first_port = (uint16_t)first;
	pool->last_port = (uint16_t)last;
	return 0;
}

/* The next address. In either family a pool only needs the last 32 bits. */
static void step(union sl_addr *addr)
{
	addr->w[3] = sl_htonl(sl_ntohl(addr->w[3]) + 1);
}

/* Adds an address, or all addresses of a prefix. */
static int read_some(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		     struct sl_config_snat_pool *pool)
{
	struct sl_config_next_hop prefix = { 0 };
	char text[SL_ADDR_TEXT], why[SL_ERROR_MAX];
	int err = sl_read_prefix(r, field, setting, &prefix);
	uint32_t n;

	if (err)
		return err;
	n = prefix.length > 128 - 7 ? 1u << (128 - prefix.length) : SL_SNAT_ADDRESSES_MAX + 1;
	if (pool->n + n > SL_SNAT_ADDRESSES_MAX)
		return sl_fail(r, setting,
			       "makes more than %d addresses; a pool has no room for "
			       "more, give some of them another",
			       SL_SNAT_ADDRESSES_MAX);
	for (uint32_t i = 0; i < n; i++, step(&prefix.prefix)) {
		if (sl_config_parse_addr(sl_addr_format(&prefix.prefix, text), &pool->addr[pool->n],
					 why))
			return sl_fail(r, setting, "%s", why);
		if (sl_addr_is4(&pool->addr[0]) != sl_addr_is4(&pool->addr[pool->n]))
			return sl_fail(r, setting,
				       "%s is of another family than the pool's first "
				       "address; give each family a pool of its own",
				       text);
		pool->n++;
	}
	return 0;
}

static int read_addresses(struct sl_reader *r, const struct sl_field *field,
			  config_setting_t *array, void *record)
{
	int n = config_setting_length(array), err = 0;

	if (!n)
		return sl_fail(r, array, "is empty; give the pool's own addresses, such as: %s",
			       field->example);
	for (int i = 0; i < n && !err; i++) {
		config_setting_t *setting = config_setting_get_elem(array, (unsigned int)i);

		if (config_setting_type(setting) != CONFIG_TYPE_STRING)
			return sl_fail(r, setting,
				       "is not a string; write addresses or prefixes, "
				       "such as: %s",
				       field->example);
		err = read_some(r, field, setting, record);
	}
	return err;
}

static const struct sl_field pool_fields[] = {
	{ "name", SL_STRING, sl_read_name, "name = \"out\";", .required = true,
	  SL_MEMBER(sl_config_snat_pool, name) },
	{ "addresses", SL_ARRAY, read_addresses, "addresses = [ \"10.1.0.64/30\" ];",
	  .required = true },
	{ "ports", SL_STRING, read_range, "ports = \"1024-65535\";", .required = false },
};
const struct sl_group sl_group_snat_pool = SL_GROUP_OF("pools", pool_fields);

/* The pool with this address among the first n; NULL: none. */
static const struct sl_config_snat_pool *pool_of(const struct sl_config *config, size_t n,
						 const union sl_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < config->pool[i].n; k++)
			if (sl_addr_equal(&config->pool[i].addr[k], addr))
				return &config->pool[i];
	return NULL;
}

static int check_pool(struct sl_reader *r, const struct sl_config *config, size_t at,
		      config_setting_t *setting)
{
	const struct sl_config_snat_pool *pool = &config->pool[at], *other;
	char text[SL_ADDR_TEXT];

	for (size_t i = 0; i < at; i++)
		if (!strcmp(config->pool[i].name, pool->name))
			return sl_fail_in(r, setting, "name",
					  "\"%s\" is that of another pool; give each one of its "
					  "own",
					  pool->name);
	for (uint32_t i = 0; i < pool->n; i++) {
		sl_addr_format(&pool->addr[i], text);
		other = pool_of(config, at, &pool->addr[i]);
		for (uint32_t k = 0; k < i && !other; k++)
			if (sl_addr_equal(&pool->addr[i], &pool->addr[k]))
				other = pool;
		if (other)
			return sl_fail_in(r, setting, "addresses",
					  "%s is in pool \"%s\" already; leave one of them out",
					  text, other->name);
	}
	return 0;
}

int sl_read_snat_pools(struct sl_reader *r, const struct sl_field *field, config_setting_t *list,
		       void *record)
{
	int n = config_setting_length(list), err = 0;
	struct sl_config *config = record;
	uint32_t addresses = 0;

	(void)field;
	if (n == 0)
		return 0;
	config->pool = calloc((size_t)n, sizeof(*config->pool));
	if (!config->pool)
		return -ENOMEM;
	config->n_pools = (size_t)n;
	for (int i = 0; i < n && !err; i++) {
		config_setting_t *setting = config_setting_get_elem(list, (unsigned int)i);
		struct sl_config_snat_pool *pool = &config->pool[i];

		pool->first_port = FIRST_PORT;
		pool->last_port = LAST_PORT;
		err = sl_group_read(r, &sl_group_snat_pool, setting, pool);
		if (!err)
			err = check_pool(r, config, (size_t)i, setting);
		addresses += pool->n;
	}
	if (!err && addresses > config->capacity.addresses)
		return sl_fail(r, list,
			       "have %u addresses together, the capacity is %u; set "
			       "dataplane.capacity.addresses to at least %u",
			       addresses, config->capacity.addresses, addresses);
	return err;
}

int sl_read_snat_pool_name(struct sl_reader *r, const struct sl_field *field,
			   config_setting_t *setting, void *record)
{
	const char *name = config_setting_get_string(setting);
	struct sl_config_service *service = record;

	(void)field;
	for (size_t i = 0; i < r->config->n_pools; i++) {
		if (strcmp(r->config->pool[i].name, name) != 0)
			continue;
		service->pool = r->config->pool[i];
		return 0;
	}
	return sl_fail(r, setting,
		       "is \"%.64s\", and pools has none of that name; give one that is "
		       "there",
		       name);
}

int sl_snat_pool_check(struct sl_reader *r, const struct sl_config_service *service,
		       config_setting_t *setting)
{
	const struct sl_config_snat_pool *pool;
	char text[SL_VIP_TEXT], addr[SL_ADDR_TEXT];

	sl_vip_format(service, text);
	if (pool_of(r->config, r->config->n_pools, &service->vip))
		return sl_fail_in(r, setting, "vip", "%s is in pool \"%s\"; give another address",
				  text,
				  pool_of(r->config, r->config->n_pools, &service->vip)->name);
	for (size_t i = 0; i < r->config->n_pools; i++) {
		pool = &r->config->pool[i];
		for (uint32_t k = 0; k < pool->n; k++)
			if (sl_config_vip_has(service, &pool->addr[k]))
				return sl_fail_in(r, setting, "vip",
						  "%s has %s, which is in pool \"%s\"; give "
						  "another prefix, or the pool other addresses",
						  text, sl_addr_format(&pool->addr[k], addr),
						  pool->name);
	}
	for (size_t i = 0; i < service->n_backends; i++) {
		pool = pool_of(r->config, r->config->n_pools, &service->backend[i].addr);
		if (pool)
			return sl_fail_in(r, setting, "backends",
					  "%s is in pool \"%s\"; give the backend's own address",
					  sl_addr_format(&service->backend[i].addr, addr),
					  pool->name);
	}
	if (service->mode != SL_MODE_FULLNAT)
		return !service->pool.n ? 0
					: sl_fail_in(r, setting, "pool",
						     "is for mode = \"fullnat\" alone, and this is "
						     "\"%s\"; leave it out",
						     sl_config_mode_text(service->mode));
	if (!service->pool.n)
		return sl_fail_in(r, setting, "pool",
				  "missing, and mode = \"fullnat\" needs one; add the name of one "
				  "of pools");
	if (sl_addr_is4(&service->pool.addr[0]) != sl_addr_is4(&service->vip))
		return sl_fail_in(r, setting, "pool",
				  "\"%s\" is not of the VIP's family; give one that is",
				  service->pool.name);
	if (service->flowless)
		return sl_fail_in(r, setting, "flows",
				  "\"none\" and mode = \"fullnat\", where each flow has a port; "
				  "leave one of them out");
	if (service->quic)
		return sl_fail_in(
			r, setting, "quic",
			"and mode = \"fullnat\" don't go together; leave one of them out");
	return 0;
}
