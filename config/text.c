/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses, names, weights, durations and sizes as people write them.
 *
 * These are pure functions of a text. Commands are checked by the public ones, so that a backend
 * added by a command follows the same rules as one in the file.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define NAME_RULE "a name has 1 to 31 of the characters A-Z a-z 0-9 . _ : -"

/* Any address, even one that no host can have. */
int sl_text_addr(const char *text, union sl_addr *addr)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*addr = sl_addr4((sl_be32)v4.s_addr);
		return 0;
	}
	return inet_pton(AF_INET6, text, addr->b) == 1 ? 0 : -EINVAL;
}

/* Why an address can't be a host's; NULL if it can. */
static const char *unfit(const union sl_addr *addr)
{
	static const union sl_addr loopback = { .b = { [15] = 1 } };

	if (sl_addr_is4(addr)) {
		uint32_t v4 = sl_ntohl(addr->w[3]);

		if (v4 >> 24 == 0)
			return "unspecified";
		if (v4 >> 24 == 127)
			return "a loopback address";
		if (v4 >> 28 == 14)
			return "a multicast address";
		return v4 == UINT32_MAX ? "the broadcast address" : NULL;
	}
	if (addr->q[0] == 0 && addr->q[1] == 0)
		return "unspecified";
	if (sl_addr_equal(addr, &loopback))
		return "a loopback address";
	if (addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80)
		return "a link-local address, which names a host on one link only";
	return addr->b[0] == 0xff ? "a multicast address" : NULL;
}

int sl_config_parse_addr(const char *text, union sl_addr *addr, char error[SL_ERROR_MAX])
{
	union sl_addr got;
	const char *why;

	if (sl_text_addr(text, &got)) {
		snprintf(error, SL_ERROR_MAX,
			 "\"%.64s\" is not an IP address; write one such as 203.0.113.10", text);
		return -EINVAL;
	}
	why = unfit(&got);
	if (why) {
		snprintf(error, SL_ERROR_MAX, "%.64s is %s; give the address of a host", text, why);
		return -EINVAL;
	}
	*addr = got;
	return 0;
}

const char *sl_addr_format(const union sl_addr *addr, char text[SL_ADDR_TEXT])
{
	if (sl_addr_is4(addr))
		return inet_ntop(AF_INET, &addr->b[12], text, SL_ADDR_TEXT);
	return inet_ntop(AF_INET6, addr->b, text, SL_ADDR_TEXT);
}

const char *sl_vip_format(const struct sl_config_service *service, char text[SL_VIP_TEXT])
{
	int most = sl_addr_is4(&service->vip) ? 32 : 128;
	char addr[SL_ADDR_TEXT];

	sl_addr_format(&service->vip, addr);
	snprintf(text, SL_VIP_TEXT, service->vip_host_bits ? "%s/%d" : "%s", addr,
		 most - service->vip_host_bits);
	return text;
}

bool sl_config_vip_has(const struct sl_config_service *service, const union sl_addr *addr)
{
	uint32_t length = 128u - service->vip_host_bits, bytes = length / 8;
	uint8_t mask = (uint8_t)(0xff00u >> length % 8);

	return memcmp(&service->vip, addr, bytes) == 0 &&
	       (bytes == sizeof(*addr) || !((service->vip.b[bytes] ^ addr->b[bytes]) & mask));
}

int sl_config_parse_name(const char *text, char name[SL_NAME_MAX], char error[SL_ERROR_MAX])
{
	size_t len = strlen(text), good = 0;

	while (text[good] && (isalnum((unsigned char)text[good]) || strchr("._:-", text[good])))
		good++;
	if (len == 0)
		snprintf(error, SL_ERROR_MAX, "is empty; %s", NAME_RULE);
	else if (text[good])
		snprintf(error, SL_ERROR_MAX, "\"%.64s\" has the character '%c'; %s", text,
			 text[good], NAME_RULE);
	else if (len >= SL_NAME_MAX)
		snprintf(error, SL_ERROR_MAX, "\"%.64s\" has %zu characters; %s", text, len,
			 NAME_RULE);
	else if (!strcmp(text, ".") || !strcmp(text, ".."))
		snprintf(error, SL_ERROR_MAX, "\"%s\" is a directory's name; give another", text);
	else {
		memcpy(name, text, len + 1);
		return 0;
	}
	return -EINVAL;
}

int sl_config_parse_weight(long long value, uint32_t *weight, char error[SL_ERROR_MAX])
{
	if (value == 0) {
		snprintf(error, SL_ERROR_MAX,
			 "is 0; to take a backend out of service, drain it: "
			 "sluicectl backend drain");
		return -EINVAL;
	}
	if (value < 0 || value > SL_WEIGHT_MAX) {
		snprintf(error, SL_ERROR_MAX, "%lld is out of range; give 1 to %d", value,
			 SL_WEIGHT_MAX);
		return -EINVAL;
	}
	*weight = (uint32_t)value;
	return 0;
}

struct unit {
	const char *text; /* NULL in the last of a table */
	uint64_t value;
};

/* Reads digits and a unit of the table, nothing else. */
static int number_with_unit(const char *text, const struct unit *unit, uint64_t *value)
{
	unsigned long long count;
	char *rest;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	count = strtoull(text, &rest, 10);
	if (errno)
		return -EINVAL;
	for (; unit->text; unit++)
		if (!strcmp(rest, unit->text))
			return __builtin_mul_overflow(count, unit->value, value) ? -EINVAL : 0;
	return -EINVAL;
}

int sl_text_duration(const char *text, uint64_t *ms)
{
	static const struct unit units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { NULL, 0 },
	};

	return number_with_unit(text, units, ms);
}

int sl_config_parse_duration(const char *text, uint64_t *ms, char error[SL_ERROR_MAX])
{
	if (sl_text_duration(text, ms) == 0)
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "\"%.64s\" is not a duration; write a number with ms, s, m or h, such as 10m",
		 text);
	return -EINVAL;
}

int sl_text_size(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "K", 1ull << 10 }, { "M", 1ull << 20 }, { "G", 1ull << 30 },
		{ "T", 1ull << 40 }, { NULL, 0 },
	};

	return number_with_unit(text, units, bytes);
}

int sl_text_mac(const char *text, uint8_t mac[6])
{
	uint8_t got[6];
	int i;

	if (strlen(text) != 17)
		return -EINVAL;
	for (i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		got[i] = (uint8_t)strtoul(text, NULL, 16);
	}
	memcpy(mac, got, sizeof(got));
	return 0;
}

int sl_config_parse_mac(const char *text, uint8_t mac[6])
{
	return sl_text_mac(text, mac);
}

/* The Levenshtein distance: how many letters to add, drop or change. */
unsigned int sl_text_distance(const char *a, const char *b)
{
	unsigned int row[64], diagonal, above, best, i, j, n = (unsigned int)strlen(b);

	if (n >= sizeof(row) / sizeof(row[0]))
		return UINT32_MAX;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		diagonal = row[0];
		row[0] = i + 1;
		for (j = 0; j < n; j++) {
			above = row[j + 1];
			best = diagonal + (a[i] != b[j]);
			if (best > above + 1)
				best = above + 1;
			if (best > row[j] + 1)
				best = row[j] + 1;
			row[j + 1] = best;
			diagonal = above;
		}
	}
	return row[n];
}
