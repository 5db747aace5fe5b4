/* SPDX-License-Identifier: BSD-2-Clause */
/* QUIC server ids.
 *
 * After reading, these hold. Only services with quic = true have server ids; these are UDP services
 * that track their flows. No two backends of a service have the same id, and all ids of a service
 * have the same length.
 */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

int sl_config_parse_server_id(const char *text, struct sl_server_id *id, char error[SL_ERROR_MAX])
{
	size_t length = strlen(text), good = 0;
	struct sl_server_id got = { .bytes = (uint8_t)(length / 2) };

	while (isxdigit((unsigned char)text[good]))
		good++;
	if (!length || text[good] || length % 2 || length > 2 * SL_SERVER_ID_MAX) {
		snprintf(
			error, SL_ERROR_MAX,
			"\"%.64s\" is not 1 to %d bytes in hexadecimal; write one such as \"0a0b\"",
			text, SL_SERVER_ID_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < length; i++)
		got.value = got.value << 4 | (uint64_t)digit(text[i]);
	*id = got;
	return 0;
}

const char *sl_server_id_format(const struct sl_server_id *id, char text[SL_SERVER_ID_TEXT])
{
	snprintf(text, SL_SERVER_ID_TEXT, "%0*llx", 2 * id->bytes, (unsigned long long)id->value);
	return text;
}

bool sl_server_id_same(const struct sl_server_id *a, const struct sl_server_id *b)
{
	return a->bytes == b->bytes && a->value == b->value;
}

int sl_server_id_check(const struct sl_config_service *service, const struct sl_server_id *id,
		       char error[SL_ERROR_MAX])
{
	if (!id->bytes || service->quic)
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "is for services with quic = true alone; leave it out, or set that");
	return -EINVAL;
}

int sl_server_id_clash(const struct sl_server_id *id, const char *name,
		       const struct sl_server_id *other, char error[SL_ERROR_MAX])
{
	char text[SL_SERVER_ID_TEXT];

	if (!id->bytes || !other->bytes)
		return 0;
	sl_server_id_format(id, text);
	if (id->bytes != other->bytes)
		snprintf(
			error, SL_ERROR_MAX,
			"%s has %u bytes, and that of backend \"%s\" %u; give all of a service the "
			"same length",
			text, id->bytes, name, other->bytes);
	else if (id->value == other->value)
		snprintf(error, SL_ERROR_MAX,
			 "%s is that of backend \"%s\" already; give each one of its own", text,
			 name);
	else
		return 0;
	return -EINVAL;
}

int sl_read_server_id(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	struct sl_config_backend *backend = record;
	char why[SL_ERROR_MAX];

	(void)field;
	if (sl_config_parse_server_id(config_setting_get_string(setting), &backend->server_id, why))
		return sl_fail(r, setting, "%s", why);
	return 0;
}

int sl_quic_check(struct sl_reader *r, const struct sl_config_service *service,
		  config_setting_t *setting)
{
	if (!service->quic)
		return 0;
	if (service->protocol != IPPROTO_UDP)
		return sl_fail_in(r, setting, "quic",
				  "is for protocol = \"udp\" alone; leave it out");
	if (service->flowless)
		return sl_fail_in(
			r, setting, "quic",
			"tracks every flow, which flows = \"none\" contradicts; leave one "
			"of them out");
	return 0;
}

/* Backends without an id aren't duplicates of each other. */
static int same_server_id(const void *a, const void *b)
{
	const struct sl_config_backend *left = a, *right = b;
	const struct sl_server_id *x = &left->server_id, *y = &right->server_id;

	if (x->bytes != y->bytes)
		return x->bytes - y->bytes;
	if (!x->bytes)
		return (left > right) - (left < right);
	return (x->value > y->value) - (x->value < y->value);
}

int sl_quic_check_backends(struct sl_reader *r, const struct sl_config_service *service,
			   config_setting_t *list)
{
	const struct sl_config_backend *backend = service->backend, *one = NULL;
	char why[SL_ERROR_MAX];
	size_t first, second;
	int err;

	for (size_t i = 0; i < service->n_backends; i++) {
		const struct sl_server_id *id = &backend[i].server_id;

		if (!id->bytes)
			continue;
		if (!one)
			one = &backend[i];
		if (sl_server_id_check(service, id, why) ||
		    (id->bytes != one->server_id.bytes &&
		     sl_server_id_clash(id, one->name, &one->server_id, why)))
			return sl_fail_in(r, config_setting_get_elem(list, (unsigned int)i),
					  "server_id", "%s", why);
	}
	err = sl_duplicate(backend, service->n_backends, sizeof(*backend), same_server_id, &first,
			   &second);
	if (err <= 0)
		return err;
	sl_server_id_clash(&backend[second].server_id, backend[first].name,
			   &backend[first].server_id, why);
	return sl_fail_in(r, config_setting_get_elem(list, (unsigned int)second), "server_id", "%s",
			  why);
}
