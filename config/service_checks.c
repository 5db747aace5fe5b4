/* SPDX-License-Identifier: BSD-2-Clause */
/* What services must be beside each other, in the file and live.
 *
 * No two services share a name, or VIP, protocol and port. Ranges of ports don't overlap. No
 * backend has an address of a VIP. All services together fit the capacity. Two services may have
 * the same backend: control warns.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../dataplane/abi/backend.h"
#include "parse.h"

static int same_service_name(const void *a, const void *b)
{
	const struct sl_config_service *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int same_service(const void *a, const void *b)
{
	const struct sl_config_service *left = a, *right = b;
	int sign = memcmp(&left->vip, &right->vip, sizeof(left->vip));

	if (!sign)
		sign = left->vip_host_bits - right->vip_host_bits;
	if (!sign)
		sign = left->protocol - right->protocol;
	if (!sign)
		sign = sl_config_is_range(left) - sl_config_is_range(right);
	return sign ? sign : left->port - right->port;
}

/* A port may be in one range only, even if a service has it for itself. */
static int check_ranges(struct sl_reader *r, const struct sl_config *config)
{
	for (size_t i = 0; i < config->n_services; i++) {
		const struct sl_config_service *service = &config->service[i];
		const config_setting_t *here = service->setting;
		char where[SL_WHERE_TEXT];
		size_t ranges = 1;

		for (size_t k = 0; k < i && sl_config_is_range(service); k++) {
			const struct sl_config_service *other = &config->service[k];

			if (!sl_config_is_range(other) || other->protocol != service->protocol ||
			    !sl_config_same_vip(other, service))
				continue;
			sl_where(r, other->setting, here, where);
			if (other->port <= service->last_port && service->port <= other->last_port)
				return sl_fail_in(r, here, "port",
						  "%u-%u of service \"%s\" overlaps service \"%s\" "
						  "on %s; give each ports of its own",
						  service->port, service->last_port, service->name,
						  other->name, where);
			if (++ranges > SL_RANGES)
				return sl_fail_in(
					r, here, "port",
					"of service \"%s\" is the VIP's range number %zu; "
					"it has room for %d of a protocol",
					service->name, ranges, SL_RANGES);
		}
	}
	return 0;
}

/* Each length costs a look-up of every packet that no other service has. */
static int check_vip_lengths(struct sl_reader *r, const struct sl_config *config)
{
	bool seen[2][128] = { 0 };
	uint32_t n[2] = { 0 };

	for (size_t i = 0; i < config->n_services; i++) {
		const struct sl_config_service *service = &config->service[i];
		bool four = sl_addr_is4(&service->vip);

		if (!service->vip_host_bits || seen[four][service->vip_host_bits])
			continue;
		seen[four][service->vip_host_bits] = true;
		if (++n[four] > SL_VIP_LENGTHS)
			return sl_fail_in(
				r, service->setting, "vip",
				"/%d of service \"%s\" is prefix length number %u of %s VIPs; "
				"there is room for %d different ones, spell it as prefixes of a "
				"length that is used",
				(four ? 32 : 128) - service->vip_host_bits, service->name, n[four],
				four ? "IPv4" : "IPv6", SL_VIP_LENGTHS);
	}
	return 0;
}

/* The services of a configuration, sorted by VIP. */
struct vips {
	const struct sl_config_service **service;
	size_t n;
	bool has[128]; /* by the number of host bits */
};

static int compare_vips(const void *a, const void *b)
{
	const struct sl_config_service *left = *(const struct sl_config_service *const *)a;
	const struct sl_config_service *right = *(const struct sl_config_service *const *)b;
	int sign = memcmp(&left->vip, &right->vip, sizeof(left->vip));

	return sign ? sign : left->vip_host_bits - right->vip_host_bits;
}

/* Finds a service whose VIP is this address, or has it; NULL: none. One search for each length of
 * prefix, so that many services and many backends stay cheap. */
static const struct sl_config_service *vip_of(const struct vips *vips, const union sl_addr *addr)
{
	for (uint8_t bits = 0; bits < 128; bits++) {
		struct sl_config_service want = { .vip = *addr, .vip_host_bits = bits };
		const struct sl_config_service *key = &want, **found;

		if (!vips->has[bits])
			continue;
		memset(&want.vip.b[16 - bits / 8], 0, bits / 8);
		want.vip.b[15 - bits / 8] &= (uint8_t)(0xffu << bits % 8);
		found = bsearch(&key, vips->service, vips->n, sizeof(key), compare_vips);
		if (found)
			return *found;
	}
	return NULL;
}

static int refuse_vip_as_backend(struct sl_reader *r, const struct sl_config_service *service,
				 size_t at, const struct sl_config_service *other)
{
	const struct sl_config_backend *backend = &service->backend[at];
	char where[SL_WHERE_TEXT], addr[SL_ADDR_TEXT];
	config_setting_t *list, *here = NULL;

	list = service->setting ? config_setting_get_member(service->setting, "backends") : NULL;
	if (list && !r->live)
		here = config_setting_get_elem(list, (unsigned int)at);
	sl_where(r, other->setting, here, where);
	return sl_fail_in(r, here, "address",
			  "%s of backend \"%s\" of service \"%s\" is %s VIP of service \"%s\" "
			  "(%s); give the backend's own address",
			  sl_addr_format(&backend->addr, addr), backend->name, service->name,
			  other->vip_host_bits ? "in the" : "the", other->name, where);
}

/* A backend at a VIP would be sent what comes for the VIP. Live services may come without their
 * backends. */
static int check_backends_outside(struct sl_reader *r, const struct sl_config *config)
{
	struct vips vips = { .n = config->n_services };
	int err = 0;

	vips.service = calloc(vips.n + 1, sizeof(*vips.service));
	if (!vips.service)
		return -ENOMEM;
	for (size_t i = 0; i < vips.n; i++) {
		vips.service[i] = &config->service[i];
		vips.has[config->service[i].vip_host_bits] = true;
	}
	qsort(vips.service, vips.n, sizeof(*vips.service), compare_vips);
	for (size_t i = 0; i < vips.n && !err; i++) {
		const struct sl_config_service *service = &config->service[i];

		for (size_t k = 0; service->backend && k < service->n_backends && !err; k++) {
			const struct sl_config_service *other =
				vip_of(&vips, &service->backend[k].addr);

			if (other)
				err = refuse_vip_as_backend(r, service, k, other);
		}
	}
	free(vips.service);
	return err;
}

static int check_services(struct sl_reader *r, const struct sl_config *config)
{
	const struct sl_config_service *service;
	char where[SL_WHERE_TEXT], vip[SL_VIP_TEXT];
	const config_setting_t *here;
	size_t first, second;
	int err;

	err = sl_duplicate(config->service, config->n_services, sizeof(*config->service),
			   same_service_name, &first, &second);
	if (err > 0) {
		here = config->service[second].setting;
		sl_where(r, config->service[first].setting, here, where);
		return sl_fail_in(r, here, "name",
				  "\"%s\" is the service's on %s already; give "
				  "each a name of its own",
				  config->service[second].name, where);
	}
	if (err < 0)
		return err;
	err = sl_duplicate(config->service, config->n_services, sizeof(*config->service),
			   same_service, &first, &second);
	if (err > 0) {
		service = &config->service[second];
		here = config->service[second].setting;
		sl_where(r, config->service[first].setting, here, where);
		return sl_fail_in(r, here, "vip",
				  "%s %s port %u is service \"%s\" on %s already; "
				  "change one of the three",
				  sl_vip_format(service, vip),
				  service->protocol == IPPROTO_TCP ? "tcp" : "udp", service->port,
				  config->service[first].name, where);
	}
	if (!err)
		err = check_vip_lengths(r, config);
	if (!err)
		err = check_backends_outside(r, config);
	if (!err)
		err = sl_affinity_groups_check(r, config);
	return err ? err : check_ranges(r, config);
}

/* What services need of a capacity. */
static uint64_t backends_of(const struct sl_config_service *service)
{
	return service->n_backends;
}

static uint64_t slots_of(const struct sl_config_service *service)
{
	uint64_t slots = service->table_size;

	if (service->quic)
		slots += (uint64_t)sl_server_id_buckets((uint32_t)service->n_backends) *
			 SL_SLOTS_PER_BLOCK;
	if (service->pool.n)
		slots += (uint64_t)sl_snat_pool_blocks(service->pool.n) * SL_SLOTS_PER_BLOCK;
	return slots;
}

static uint64_t limits_of(const struct sl_config_service *service)
{
	return service->n_limits;
}

/* Names the services that need the most, with their numbers: "web" 65536, "dns" 65536. */
static void name_largest(const struct sl_config *config,
			 uint64_t (*of)(const struct sl_config_service *), char text[SL_ERROR_MAX])
{
	const struct sl_config_service *named[3] = { NULL };
	size_t length = 0;

	for (size_t n = 0; n < sizeof(named) / sizeof(named[0]); n++) {
		for (size_t i = 0; i < config->n_services; i++) {
			const struct sl_config_service *service = &config->service[i];

			if (service != named[0] && service != named[1] &&
			    of(service) > (named[n] ? of(named[n]) : 0))
				named[n] = service;
		}
		if (named[n])
			length += (size_t)snprintf(text + length, SL_ERROR_MAX - length,
						   "%s\"%s\" %llu", n ? ", " : "", named[n]->name,
						   (unsigned long long)of(named[n]));
	}
}

static int check_need(struct sl_reader *r, const struct sl_config *config,
		      const config_setting_t *list,
		      uint64_t (*of)(const struct sl_config_service *), uint32_t capacity,
		      const char *what, const char *field)
{
	char largest[SL_ERROR_MAX] = "";
	unsigned long long sum = 0;

	for (size_t i = 0; i < config->n_services; i++)
		sum += of(&config->service[i]);
	if (sum <= capacity)
		return 0;
	name_largest(config, of, largest);
	return sl_fail(r, list,
		       "%shave %llu %s together (%s%s), the capacity is %u; set "
		       "dataplane.capacity.%s to at least %llu",
		       list ? "" : "services: ", sum, what,
		       config->n_services > 3 ? "the most: " : "", largest, capacity, field, sum);
}

/* `list`: of the file; NULL: none is. */
static int check_capacity(struct sl_reader *r, const struct sl_config *config,
			  const config_setting_t *list)
{
	int err = check_need(r, config, list, backends_of, config->capacity.backends, "backends",
			     "backends");

	if (!err)
		err = check_need(r, config, list, slots_of, config->capacity.slots,
				 "rows of tables", "rows");
	if (!err)
		err = check_need(r, config, list, limits_of, config->capacity.limits, "limits",
				 "limits");
	return err;
}

int sl_services_check(struct sl_reader *r, const struct sl_config *config,
		      const config_setting_t *list)
{
	int err = check_services(r, config);

	return err ? err : check_capacity(r, config, list);
}

int sl_config_check_services(const struct sl_config *base, struct sl_config_service *service,
			     size_t n, char error[SL_ERROR_MAX])
{
	struct sl_config config = *base;
	struct sl_reader r = { .config = &config, .error = error, .live = true };

	error[0] = '\0';
	config.service = service;
	config.n_services = n;
	if (n > base->capacity.services) {
		snprintf(error, SL_ERROR_MAX,
			 "service: there would be %zu, the capacity is %u; set "
			 "dataplane.capacity.services to at least %zu",
			 n, base->capacity.services, n);
		return -EINVAL;
	}
	return sl_services_check(&r, &config, NULL);
}
