/* SPDX-License-Identifier: BSD-2-Clause */
/* Forwarding modes of services: their words, and what each mode requires and excludes.
 *
 * After reading, these hold. A service of a tunnel mode has a source address for the outer header
 * in each family of its backends (its own or the file's); other services have none. TCP in a tunnel
 * has its MSS clamped by default. Settings of one mode aren't accepted in another. Only nat and
 * fullnat translate ports, and only tunnels lead from one address family to the other.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "../dataplane/abi/limit.h"
#include "parse.h"

#define GUE_PORT     6080 /* assigned by IANA */
#define GUE_VARIANT  1
#define ENTROPY_MOST 16

const struct sl_word sl_mode_words[] = {
	{ "nat", SL_MODE_NAT },	  { "fullnat", SL_MODE_FULLNAT }, { "direct", SL_MODE_DIRECT },
	{ "ipip", SL_MODE_IPIP }, { "gue", SL_MODE_GUE },	  { NULL, 0 },
};

const char *sl_config_mode_text(enum sl_mode mode)
{
	const char *text = sl_word_text(sl_mode_words, mode);

	return text ? text : "unknown";
}

static int read_source(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		       void *record, bool is_ipv6)
{
	struct sl_config_source *source =
		(struct sl_config_source *)(void *)((char *)record + field->at);
	struct sl_config_next_hop prefix = { 0 };
	char addr[SL_ADDR_TEXT], why[SL_ERROR_MAX];
	int err = sl_read_prefix(r, field, setting, &prefix);

	if (err)
		return err;
	if (sl_addr_is4(&prefix.prefix) == is_ipv6)
		return sl_fail(r, setting, "is %s; give it as %s, or an %s address here",
			       is_ipv6 ? "IPv4" : "IPv6",
			       is_ipv6 ? "tunnel_source" : "tunnel_source6",
			       is_ipv6 ? "IPv6" : "IPv4");
	if (sl_config_parse_addr(sl_addr_format(&prefix.prefix, addr), &source->prefix, why))
		return sl_fail(r, setting, "%s", why);
	source->entropy = (uint8_t)(128 - prefix.length);
	if (source->entropy > ENTROPY_MOST)
		return sl_fail(r, setting,
			       "leaves %u bits to the flow; give a prefix that leaves at most %d",
			       source->entropy, ENTROPY_MOST);
	return 0;
}

int sl_read_tunnel_source(struct sl_reader *r, const struct sl_field *field,
			  config_setting_t *setting, void *record)
{
	return read_source(r, field, setting, record, false);
}

int sl_read_tunnel_source6(struct sl_reader *r, const struct sl_field *field,
			   config_setting_t *setting, void *record)
{
	return read_source(r, field, setting, record, true);
}

int sl_read_mss(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		void *record)
{
	static const struct sl_word words[] = { { "off", SL_MSS_OFF },
						{ "auto", SL_MSS_AUTO },
						{ NULL, 0 } };
	struct sl_field texts = *field;

	texts.words = words;
	return config_setting_get_string(setting) ? sl_read_word(r, &texts, setting, record)
						  : sl_read_integer(r, field, setting, record);
}

bool sl_config_tunnels(const struct sl_config_service *service)
{
	return service->mode == SL_MODE_IPIP || service->mode == SL_MODE_GUE;
}

const struct sl_config_source *sl_config_source(const struct sl_config_service *service,
						const union sl_addr *backend)
{
	return sl_addr_is4(backend) ? &service->source : &service->source6;
}

static bool is_set(const struct sl_config_source *source)
{
	return source->prefix.q[0] || source->prefix.q[1];
}

static const char *family_text(const union sl_addr *addr)
{
	return sl_addr_is4(addr) ? "IPv4" : "IPv6";
}

static int check_sources(struct sl_reader *r, struct sl_config_service *service,
			 config_setting_t *setting)
{
	static const char *const fields[] = { "tunnel_source", "tunnel_source6" };

	if (sl_config_tunnels(service)) {
		if (is_set(&service->source) || is_set(&service->source6))
			return 0;
		return sl_fail_in(r, setting, "tunnel_source",
				  "missing here and in the file itself, and mode = \"%s\" "
				  "needs one, or a tunnel_source6 for IPv6 backends; give an "
				  "address of the gateway's, or a prefix that backends accept "
				  "packets from",
				  sl_config_mode_text(service->mode));
	}
	for (int i = 0; i < 2; i++)
		if (config_setting_get_member(setting, fields[i]))
			return sl_fail_in(r, setting, fields[i],
					  "is for tunnels, and mode is \"%s\"; leave it out",
					  sl_config_mode_text(service->mode));
	service->source = service->source6 = (struct sl_config_source){ 0 };
	return 0;
}

static int check_gue(struct sl_reader *r, struct sl_config_service *service,
		     config_setting_t *setting)
{
	static const char *const fields[] = { "gue_port", "gue_variant" };

	for (int i = 0; i < 2 && service->mode != SL_MODE_GUE; i++)
		if (config_setting_get_member(setting, fields[i]))
			return sl_fail_in(r, setting, fields[i],
					  "is for mode = \"gue\" alone, and this is \"%s\"; leave "
					  "it out",
					  sl_config_mode_text(service->mode));
	if (service->mode != SL_MODE_GUE)
		return 0;
	if (!config_setting_get_member(setting, "gue_port"))
		service->gue_port = GUE_PORT;
	if (!config_setting_get_member(setting, "gue_variant"))
		service->gue_variant = GUE_VARIANT;
	return 0;
}

static int check_mss(struct sl_reader *r, struct sl_config_service *service,
		     config_setting_t *setting)
{
	bool given = config_setting_get_member(setting, "mss");

	if (given && service->protocol != IPPROTO_TCP)
		return sl_fail_in(r, setting, "mss",
				  "is for protocol = \"tcp\" alone; leave it out");
	if (!given && service->protocol == IPPROTO_TCP && sl_config_tunnels(service))
		service->mss = SL_MSS_AUTO;
	return 0;
}

int sl_mode_check(struct sl_reader *r, struct sl_config_service *service, config_setting_t *setting)
{
	int err = check_sources(r, service, setting);
	char vip[SL_VIP_TEXT];

	if (err)
		return err;
	if (service->vip_host_bits && service->mode == SL_MODE_NAT)
		return sl_fail_in(
			r, setting, "mode",
			"\"nat\" and a prefix as VIP (%s) don't go together: nothing in a reply "
			"tells which of its addresses the client has called; give \"fullnat\" with "
			"a pool, or \"direct\", \"ipip\" or \"gue\"",
			sl_vip_format(service, vip));
	for (size_t i = 0; i < service->n_limits && !sl_config_translates(service->mode); i++)
		if (service->limit[i].direction == SL_FROM_BACKEND)
			return sl_fail_in(
				r, setting, "limits",
				"one has direction \"from\", and with mode \"%s\" replies "
				"bypass the gateway; leave it out",
				sl_config_mode_text(service->mode));
	err = check_gue(r, service, setting);
	return err ? err : check_mss(r, service, setting);
}

int sl_mode_check_addr(const struct sl_config_service *service, const union sl_addr *addr,
		       char error[SL_ERROR_MAX])
{
	bool tunnels = sl_config_tunnels(service);
	char text[SL_ADDR_TEXT];

	sl_addr_format(addr, text);
	if (!tunnels && sl_addr_is4(addr) != sl_addr_is4(&service->vip)) {
		snprintf(error, SL_ERROR_MAX,
			 "%s is not of the VIP's family, and mode \"%s\" doesn't translate between "
			 "families; give an %s address",
			 text, sl_config_mode_text(service->mode), family_text(&service->vip));
		return -EINVAL;
	}
	for (uint32_t i = 0; i < service->pool.n; i++) {
		if (!sl_addr_equal(&service->pool.addr[i], addr))
			continue;
		snprintf(error, SL_ERROR_MAX,
			 "%s is in pool \"%s\"; give the backend's own address", text,
			 service->pool.name);
		return -EINVAL;
	}
	if (tunnels && !is_set(sl_config_source(service, addr))) {
		snprintf(
			error, SL_ERROR_MAX,
			"%s is %s, and the service has no %s for tunnels to it; give one, there or "
			"in the file itself",
			text, family_text(addr),
			sl_addr_is4(addr) ? "tunnel_source" : "tunnel_source6");
		return -EINVAL;
	}
	return 0;
}

int sl_mode_check_port(const struct sl_config_service *service, uint16_t port,
		       char error[SL_ERROR_MAX])
{
	if (port == sl_config_backend_port(service) ||
	    (sl_config_translates(service->mode) && !sl_config_is_range(service)))
		return 0;
	if (sl_config_is_range(service)) {
		snprintf(error, SL_ERROR_MAX,
			 "a service of ports %u-%u translates none; leave it out", service->port,
			 service->last_port);
		return -EINVAL;
	}
	snprintf(error, SL_ERROR_MAX,
		 "%u is another than the service's, and mode \"%s\" translates none; give %u or "
		 "leave it out",
		 port, sl_config_mode_text(service->mode), service->port);
	return -EINVAL;
}
