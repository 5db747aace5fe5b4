/* SPDX-License-Identifier: BSD-2-Clause */
/* Services and their backends, each service by itself; service_checks.c holds them against each
 * other.
 *
 * After reading, these hold. No two backends of a service share a name, or address and port. Every
 * table is large enough for its backends.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../dataplane/abi/backend.h"
#include "parse.h"

#define TABLE_MIN	 256
#define TABLE_MAX	 (1 << 20)
#define TABLE_DEFAULT	 65536
#define ROWS_PER_BACKEND 16 /* with fewer slots, shares visibly differ from the weights */

#define HOUR_MS		3600000
#define IDLE_TCP_MS	(15 * 60 * 1000)
#define IDLE_UDP_MS	(30 * 1000)
#define IDLE_LONGEST_MS (168 * HOUR_MS)

static int read_backends(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);

static int read_weight(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		       void *record)
{
	struct sl_config_backend *backend = record;
	char why[SL_ERROR_MAX];

	(void)field;
	if (sl_config_parse_weight(config_setting_get_int64(setting), &backend->weight, why))
		return sl_fail(r, setting, "%s", why);
	return 0;
}

static const struct sl_word states[] = { { "ready", false }, { "draining", true }, { NULL, 0 } };

static const struct sl_field backend_fields[] = {
	{ "name", SL_STRING, sl_read_name, "name = \"b1\";", SL_MEMBER(sl_config_backend, name) },
	{ "address", SL_STRING, sl_read_address, "address = \"10.1.0.2\";", .required = true,
	  SL_MEMBER(sl_config_backend, addr) },
	{ "port", SL_INTEGER, sl_read_integer, "port = 8080;", SL_MEMBER(sl_config_backend, port),
	  .min = 1, .max = 65535 },
	{ "weight", SL_INTEGER, read_weight, "weight = 10;", SL_MEMBER(sl_config_backend, weight) },
	{ "state", SL_STRING, sl_read_word, "state = \"draining\";",
	  SL_MEMBER(sl_config_backend, draining), .words = states },
	{ "server_id", SL_STRING, sl_read_server_id, "server_id = \"0a0b\";",
	  SL_MEMBER(sl_config_backend, server_id) },
};
const struct sl_group sl_group_backend = SL_GROUP_OF("services.backends", backend_fields);

#define WHOLE_ADDRESS 255 /* not known before the VIP's family is */

/* "flow", "client", or "/24": that many bits of the client's address. */
static int read_affinity(struct sl_reader *r, const struct sl_field *field,
			 config_setting_t *setting, void *record)
{
	const char *text = config_setting_get_string(setting);
	struct sl_config_service *service = record;
	unsigned int bits = 0;
	char more;

	(void)field;
	if (strcmp(text, "client") == 0)
		bits = WHOLE_ADDRESS;
	else if (strcmp(text, "flow") != 0 &&
		 (sscanf(text, "/%3u%c", &bits, &more) != 1 || !bits || bits > 128))
		return sl_fail(r, setting,
			       "is \"%s\"; give \"flow\", \"client\" or a prefix length such as "
			       "\"/24\"",
			       text);
	service->affinity = (uint8_t)bits;
	return 0;
}

/* 80, "8000-8099", or "any". */
static int read_ports(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	const char *text = config_setting_get_string(setting);
	struct sl_config_service *service = record;
	unsigned int first = 1, last = 65535;
	char more;
	int err;

	if (!text) {
		err = sl_read_integer(r, field, setting, record);
		service->last_port = service->port;
		return err;
	}
	if (strcmp(text, "any") != 0 && (sscanf(text, "%5u-%5u%c", &first, &last, &more) != 2 ||
					 !first || first >= last || last > 65535))
		return sl_fail(r, setting,
			       "is \"%s\"; give a number, a range such as \"8000-8099\", or "
			       "\"any\"",
			       text);
	service->port = (uint16_t)first;
	service->last_port = (uint16_t)last;
	return 0;
}

enum { VIP_SHORTEST4 = 8, VIP_SHORTEST6 = 16 };

/* An address, or a prefix. */
static int read_vip(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		    void *record)
{
	struct sl_config_service *service = record;
	struct sl_config_next_hop prefix = { 0 };
	char addr[SL_ADDR_TEXT], why[SL_ERROR_MAX];
	uint32_t shortest;
	bool four;
	int err;

	if (!strchr(config_setting_get_string(setting), '/'))
		return sl_read_address(r, field, setting, record);
	err = sl_read_prefix(r, field, setting, &prefix);
	if (err)
		return err;
	if (sl_config_parse_addr(sl_addr_format(&prefix.prefix, addr), &service->vip, why))
		return sl_fail(r, setting, "%s", why);
	four = sl_addr_is4(&service->vip);
	shortest = four ? VIP_SHORTEST4 : VIP_SHORTEST6;
	if (prefix.length < (four ? 96 : 0) + shortest)
		return sl_fail(r, setting, "/%u is too short for a VIP; give /%u or longer",
			       prefix.length - (four ? 96 : 0), shortest);
	service->vip_host_bits = (uint8_t)(128 - prefix.length);
	return 0;
}

static const struct sl_word protocols[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ NULL, 0 },
};
static const struct sl_word schedulers[] = {
#define SL_SCHEDULER(name, pick) { #name, pick },
#include "schedulers.list.h" /* made of the list in meson.build */
#undef SL_SCHEDULER
	{ NULL, 0 },
};
static const struct sl_word tracks[] = { { "auto", false }, { "all", true }, { NULL, 0 } };
const struct sl_word sl_refusal_words[] = { { "drop", false }, { "reject", true }, { NULL, 0 } };
static const struct sl_word hairpins[] = { { "refuse", false }, { "forward", true }, { NULL, 0 } };
static const struct sl_word udp_drains[] = { { "flows", false }, { "now", true }, { NULL, 0 } };
static const struct sl_word flows[] = { { "auto", false }, { "none", true }, { NULL, 0 } };

static const struct sl_field service_fields[] = {
	{ "name", SL_STRING, sl_read_name, "name = \"web\";", .required = true,
	  SL_MEMBER(sl_config_service, name) },
	{ "vip", SL_STRING, read_vip, "vip = \"203.0.113.10\";", .required = true,
	  SL_MEMBER(sl_config_service, vip) },
	{ "protocol", SL_STRING, sl_read_word, "protocol = \"tcp\";", .required = true,
	  SL_MEMBER(sl_config_service, protocol), .words = protocols },
	{ "port", SL_INTEGER | SL_STRING, read_ports, "port = 80;", .required = true,
	  SL_MEMBER(sl_config_service, port), .min = 1, .max = 65535 },
	{ "scheduler", SL_STRING, sl_read_choice, "scheduler = \"maglev\";",
	  SL_MEMBER(sl_config_service, scheduler), .words = schedulers },
	{ "mode", SL_STRING, sl_read_word, "mode = \"nat\";", SL_MEMBER(sl_config_service, mode),
	  .words = sl_mode_words },
	{ "tunnel_source", SL_STRING, sl_read_tunnel_source, "tunnel_source = \"192.0.2.1\";",
	  SL_MEMBER(sl_config_service, source) },
	{ "tunnel_source6", SL_STRING, sl_read_tunnel_source6,
	  "tunnel_source6 = \"2001:db8:1::1\";", SL_MEMBER(sl_config_service, source6) },
	{ "gue_port", SL_INTEGER, sl_read_integer, "gue_port = 6080;",
	  SL_MEMBER(sl_config_service, gue_port), .min = 1, .max = 65535 },
	{ "gue_variant", SL_INTEGER, sl_read_integer, "gue_variant = 1;",
	  SL_MEMBER(sl_config_service, gue_variant), .min = 0, .max = 1 },
	{ "pool", SL_STRING, sl_read_snat_pool_name, "pool = \"out\";",
	  SL_MEMBER(sl_config_service, pool) },
	{ "mss", SL_INTEGER | SL_STRING, sl_read_mss, "mss = \"auto\";",
	  SL_MEMBER(sl_config_service, mss), .min = 88, .max = 65495 },
	{ "track", SL_STRING, sl_read_word, "track = \"auto\";",
	  SL_MEMBER(sl_config_service, track_all), .words = tracks },
	{ "flows", SL_STRING, sl_read_word, "flows = \"auto\";",
	  SL_MEMBER(sl_config_service, flowless), .words = flows },
	{ "drain_udp", SL_STRING, sl_read_word, "drain_udp = \"now\";",
	  SL_MEMBER(sl_config_service, drains_udp_at_once), .words = udp_drains },
	{ "affinity", SL_STRING, read_affinity, "affinity = \"client\";",
	  SL_MEMBER(sl_config_service, affinity) },
	{ "affinity_group", SL_STRING, sl_read_name, "affinity_group = \"ike\";",
	  SL_MEMBER(sl_config_service, affinity_group) },
	{ "unavailable", SL_STRING, sl_read_word, "unavailable = \"reject\";",
	  SL_MEMBER(sl_config_service, rejects), .words = sl_refusal_words },
	{ "hairpin", SL_STRING, sl_read_word, "hairpin = \"forward\";",
	  SL_MEMBER(sl_config_service, forwards_hairpins), .words = hairpins },
	{ "shared_vip", SL_BOOL, sl_read_bool, "shared_vip = true;",
	  SL_MEMBER(sl_config_service, shared_vip) },
	{ "table_size", SL_INTEGER, sl_read_integer, "table_size = 65536;",
	  SL_MEMBER(sl_config_service, table_size), .min = TABLE_MIN, .max = TABLE_MAX },
	{ "idle_timeout", SL_INTEGER | SL_STRING, sl_read_duration, "idle_timeout = \"15m\";",
	  SL_MEMBER(sl_config_service, idle_timeout_ms), .min = 100, .max = IDLE_LONGEST_MS },
	{ "quic", SL_BOOL, sl_read_bool, "quic = true;", SL_MEMBER(sl_config_service, quic) },
	{ "health", SL_GROUP, sl_read_health, "health = { type = \"tcp\"; };",
	  SL_MEMBER(sl_config_service, health) },
	/* After flows and sources, on which they depend. */
	{ "limits", SL_LIST, sl_read_limits,
	  "limits = ( { per = \"client\"; rate = \"10Mbit\"; } );",
	  SL_MEMBER(sl_config_service, limit) },
	{ "backends", SL_LIST, read_backends,
	  "backends = ( { address = \"10.1.0.2\"; weight = 10; } );",
	  SL_MEMBER(sl_config_service, backend) },
};
const struct sl_group sl_group_service = SL_GROUP_OF("services", service_fields);

/* Checks all fields of a backend together, and sets its default name. */
static int check_backend(struct sl_reader *r, const struct sl_config_service *service,
			 struct sl_config_backend *backend, config_setting_t *setting)
{
	char addr[SL_ADDR_TEXT], name[SL_ADDR_TEXT + 8], why[SL_ERROR_MAX];

	sl_addr_format(&backend->addr, addr);
	if (sl_mode_check_addr(service, &backend->addr, why))
		return sl_fail_in(r, setting, "address", "%s", why);
	if (sl_config_vip_has(service, &backend->addr))
		return sl_fail_in(r, setting, "address",
				  service->vip_host_bits ? "%s is in the VIP's prefix; give the "
							   "backend an address outside of it"
							 : "%s is the VIP itself; give the "
							   "backend's own address",
				  addr);
	if (sl_mode_check_port(service, backend->port, why))
		return sl_fail_in(r, setting, "port", "%s", why);
	if (*backend->name)
		return 0;
	snprintf(name, sizeof(name), backend->port ? "%s:%u" : "%s", addr, backend->port);
	if (strlen(name) >= SL_NAME_MAX)
		return sl_fail_in(r, setting, "name",
				  "missing, and %s is too long for one; add it, "
				  "such as: name = \"b1\";",
				  name);
	memcpy(backend->name, name, strlen(name) + 1);
	return 0;
}

static int same_backend_name(const void *a, const void *b)
{
	const struct sl_config_backend *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int same_backend(const void *a, const void *b)
{
	const struct sl_config_backend *left = a, *right = b;
	int sign = memcmp(&left->addr, &right->addr, sizeof(left->addr));

	return sign ? sign : left->port - right->port;
}

static int check_backends(struct sl_reader *r, const struct sl_config_service *service,
			  config_setting_t *list)
{
	char where[SL_WHERE_TEXT], addr[SL_ADDR_TEXT];
	const struct sl_config_backend *backend;
	config_setting_t *here;
	size_t first, second;
	int err;

	err = sl_duplicate(service->backend, service->n_backends, sizeof(*service->backend),
			   same_backend, &first, &second);
	if (err > 0) {
		backend = &service->backend[second];
		here = config_setting_get_elem(list, (unsigned int)second);
		sl_where(r, config_setting_get_elem(list, (unsigned int)first), here, where);
		return sl_fail_in(r, here, "address",
				  "%s port %u is backend \"%s\" on %s already; "
				  "leave one of them out",
				  sl_addr_format(&backend->addr, addr), backend->port,
				  service->backend[first].name, where);
	}
	if (err < 0)
		return err;
	err = sl_duplicate(service->backend, service->n_backends, sizeof(*service->backend),
			   same_backend_name, &first, &second);
	if (err > 0) {
		here = config_setting_get_elem(list, (unsigned int)second);
		sl_where(r, config_setting_get_elem(list, (unsigned int)first), here, where);
		return sl_fail_in(r, here, "name",
				  "\"%s\" is the backend's on %s already; give "
				  "each a name of its own",
				  service->backend[second].name, where);
	}
	return err ? err : sl_quic_check_backends(r, service, list);
}

static int read_backends(struct sl_reader *r, const struct sl_field *field, config_setting_t *list,
			 void *record)
{
	int n = config_setting_length(list), i, err;
	struct sl_config_service *service = record;

	(void)field;
	if (n > SL_BACKENDS_PER_SERVICE)
		return sl_fail(r, list,
			       "has %d backends; a service has room for %d, spread them "
			       "over more services",
			       n, SL_BACKENDS_PER_SERVICE);
	if (n == 0)
		return 0;
	service->backend = calloc((size_t)n, sizeof(*service->backend));
	if (!service->backend)
		return -ENOMEM;
	service->n_backends = (size_t)n;
	for (i = 0; i < n; i++) {
		config_setting_t *setting = config_setting_get_elem(list, (unsigned int)i);
		struct sl_config_backend *backend = &service->backend[i];

		backend->port = sl_config_backend_port(service);
		backend->weight = 1;
		backend->line = (int)setting->line;
		err = sl_group_read(r, &sl_group_backend, setting, backend);
		if (!err)
			err = check_backend(r, service, backend, setting);
		if (err)
			return err;
	}
	return check_backends(r, service, list);
}

static int check_affinity(struct sl_reader *r, struct sl_config_service *service,
			  config_setting_t *setting)
{
	uint8_t most = sl_addr_is4(&service->vip) ? 32 : 128;

	if (*service->affinity_group && !config_setting_get_member(setting, "affinity"))
		service->affinity = WHOLE_ADDRESS;
	if (*service->affinity_group && !service->affinity)
		return sl_fail_in(
			r, setting, "affinity",
			"\"flow\" and affinity_group don't go together, since each flow of a "
			"client may have another backend; give \"client\" or a prefix "
			"length");
	if (service->affinity == WHOLE_ADDRESS)
		service->affinity = most;
	if (service->affinity > most)
		return sl_fail_in(r, setting, "affinity",
				  "\"/%u\" is longer than an IPv4 address; give \"/32\" at most",
				  service->affinity);
	return 0;
}

/* Sets how new flows are picked. Where that isn't by their hash, each needs an entry that remembers
 * it. */
static int check_scheduler(struct sl_reader *r, struct sl_config_service *service,
			   config_setting_t *setting)
{
	service->pick = (uint8_t)sl_word_find(schedulers, service->scheduler)->value;
	if (service->pick == SL_PICK_HASH)
		return 0;
	if (service->affinity)
		return sl_fail_in(r, setting, "scheduler",
				  "\"%s\" gives each flow of a client a backend of its own, which "
				  "contradicts affinity; give \"%s\", or leave affinity out",
				  service->scheduler, schedulers[0].text);
	if (service->flowless)
		return sl_fail_in(r, setting, "scheduler",
				  "\"%s\" has to remember each flow's backend, which contradicts "
				  "flows = \"none\"; give \"%s\", or leave flows out",
				  service->scheduler, schedulers[0].text);
	return 0;
}

const char *sl_config_scheduler_of(uint8_t pick)
{
	return sl_word_text(schedulers, pick);
}

static int check_table(struct sl_reader *r, const struct sl_config_service *service,
		       config_setting_t *setting)
{
	uint32_t size = service->table_size, need = TABLE_MIN, above = TABLE_MIN;

	while (above < size)
		above *= 2;
	if (above != size)
		return sl_fail_in(r, setting, "table_size",
				  "%u is not a power of two; give %u or %u", size, above / 2,
				  above);
	while (need < service->n_backends * ROWS_PER_BACKEND)
		need *= 2;
	if (size < need)
		return sl_fail_in(r, setting, "table_size",
				  "%u rows are too few for %zu backends; "
				  "give at least %u",
				  size, service->n_backends, need);
	return 0;
}

/* Checks all fields of a service together. */
static int check_service(struct sl_reader *r, struct sl_config_service *service,
			 config_setting_t *setting)
{
	int err;

	if (!service->idle_timeout_ms)
		service->idle_timeout_ms =
			service->protocol == IPPROTO_TCP ? IDLE_TCP_MS : IDLE_UDP_MS;
	if (service->flowless && service->protocol != IPPROTO_UDP)
		return sl_fail_in(r, setting, "flows",
				  "\"none\" is for protocol = \"udp\" alone; "
				  "give \"auto\" or leave it out");
	if (service->flowless && service->track_all)
		return sl_fail_in(r, setting, "track",
				  "\"all\" contradicts flows = \"none\"; leave "
				  "one of them out");
	if (config_setting_get_member(setting, "drain_udp") &&
	    (service->protocol != IPPROTO_UDP || service->flowless))
		return sl_fail_in(r, setting, "drain_udp",
				  "is for protocol = \"udp\" with flows alone; leave it out");
	service->vip_rejects = r->config->vip_rejects;
	err = check_affinity(r, service, setting);
	if (!err)
		err = check_scheduler(r, service, setting);
	if (!err)
		err = sl_mode_check(r, service, setting);
	if (!err)
		err = sl_quic_check(r, service, setting);
	if (!err)
		err = sl_snat_pool_check(r, service, setting);
	if (!err)
		err = sl_health_check_conf(r, service, setting);
	return err ? err : check_table(r, service, setting);
}

static int read_service(struct sl_reader *r, struct sl_config_service *service,
			config_setting_t *setting)
{
	int err;

	*service = (struct sl_config_service){
		.mode = SL_MODE_NAT,
		.source = r->config->source,
		.source6 = r->config->source6,
		.table_size = TABLE_DEFAULT,
		.line = (int)setting->line,
		.setting = r->live ? NULL : setting,
	};
	memset(&service->health, 0, sizeof(service->health)); /* it is compared as memory */
	snprintf(service->scheduler, sizeof(service->scheduler), "%s", schedulers[0].text);
	err = sl_group_read(r, &sl_group_service, setting, service);
	if (err)
		return err;
	return check_service(r, service, setting);
}

int sl_read_services(struct sl_reader *r, const struct sl_field *field, config_setting_t *list,
		     void *record)
{
	int n = config_setting_length(list), i, err;
	struct sl_config *config = record;

	(void)field;
	if ((uint32_t)n > config->capacity.services)
		return sl_fail(r, list,
			       "are %d, the capacity is %u; set "
			       "dataplane.capacity.services to at least %d",
			       n, config->capacity.services, n);
	if (n == 0)
		return 0;
	config->service = calloc((size_t)n, sizeof(*config->service));
	if (!config->service)
		return -ENOMEM;
	config->n_services = (size_t)n;
	for (i = 0; i < n; i++) {
		err = read_service(r, &config->service[i],
				   config_setting_get_elem(list, (unsigned int)i));
		if (err)
			return err;
	}
	return sl_services_check(r, config, list);
}

int sl_config_read_service(const struct sl_config *base, struct config_setting_t *group,
			   struct sl_config_service *service, char error[SL_ERROR_MAX])
{
	struct sl_config config = *base;
	struct sl_reader r = { .config = &config, .error = error, .live = true };
	int err;

	error[0] = '\0';
	err = read_service(&r, service, group);
	if (!err)
		return 0;
	free(service->backend);
	*service = (struct sl_config_service){ 0 };
	return err;
}

bool sl_config_service_field(const char *name)
{
	for (size_t i = 0; i < sizeof(service_fields) / sizeof(service_fields[0]); i++)
		if (strcmp(service_fields[i].name, name) == 0)
			return true;
	return false;
}
