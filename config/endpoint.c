/* SPDX-License-Identifier: BSD-2-Clause */
#include "endpoint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sl_endpoint_format(const union sl_addr *addr, uint16_t port,
			       char text[SL_ENDPOINT_TEXT])
{
	char bare[SL_ADDR_TEXT];

	sl_addr_format(addr, bare);
	if (port)
		snprintf(text, SL_ENDPOINT_TEXT, sl_addr_is4(addr) ? "%s:%u" : "[%s]:%u", bare,
			 port);
	else
		snprintf(text, SL_ENDPOINT_TEXT, sl_addr_is4(addr) ? "%s:any" : "[%s]:any", bare);
	return text;
}

int sl_endpoint_parse(const char *text, union sl_addr *addr, uint16_t *port,
		      char error[SL_ERROR_MAX])
{
	const char *colon = strrchr(text, ':');
	char bare[SL_ENDPOINT_TEXT], *end;
	size_t length = colon ? (size_t)(colon - text) : 0;
	unsigned long number;

	if (!length || length >= sizeof(bare) || colon[1] < '0' || colon[1] > '9')
		goto fail;
	memcpy(bare, text, length);
	bare[length] = '\0';
	if (bare[0] == '[' && bare[length - 1] == ']') {
		memmove(bare, bare + 1, length - 2);
		bare[length - 2] = '\0';
	}
	number = strtoul(colon + 1, &end, 10);
	if (*end || number < 1 || number > 65535)
		goto fail;
	*port = (uint16_t)number;
	return sl_config_parse_addr(bare, addr, error);
fail:
	snprintf(error, SL_ERROR_MAX, "must be ADDRESS:PORT");
	return -EINVAL;
}

int sl_backend_parse(const char *text, union sl_addr *addr, uint16_t *port,
		     char error[SL_ERROR_MAX])
{
	size_t length = strlen(text);
	char one[SL_ENDPOINT_TEXT];
	int err;

	if (length <= 4 || length >= sizeof(one) || strcmp(text + length - 4, ":any") != 0)
		return sl_endpoint_parse(text, addr, port, error);
	snprintf(one, sizeof(one), "%.*s:1", (int)length - 4, text);
	err = sl_endpoint_parse(one, addr, port, error);
	*port = 0;
	return err;
}

/* Prefixes */

__attribute__((format(printf, 2, 3))) static int wrong(char error[SL_ERROR_MAX], const char *format,
						       ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

union sl_addr sl_prefix_of(const union sl_addr *addr, uint8_t length)
{
	union sl_addr prefix = *addr;

	for (uint32_t i = length + (sl_addr_is4(addr) ? 96u : 0); i < 128; i++)
		prefix.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return prefix;
}

int sl_prefix_parse(const char *text, union sl_addr *addr, uint8_t *length,
		    char error[SL_ERROR_MAX])
{
	const char *slash = strchr(text, '/');
	char bare[SL_ADDR_TEXT], *end = NULL;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long bits, most;
	union sl_addr prefix;

	if (n >= sizeof(bare))
		return wrong(error, "\"%.64s\" is no address", text);
	memcpy(bare, text, n);
	bare[n] = '\0';
	if (sl_config_parse_addr(bare, addr, error) != 0)
		return -EINVAL;
	most = sl_addr_is4(addr) ? 32 : 128;
	bits = most;
	if (slash)
		bits = strtoul(slash + 1, &end, 10);
	if (slash && (slash[1] < '0' || slash[1] > '9' || *end || bits < 1 || bits > most))
		return wrong(error, "\"%.64s\": the length of a prefix is 1 to %lu", text, most);
	*length = (uint8_t)bits;
	prefix = sl_prefix_of(addr, *length);
	if (!sl_addr_equal(&prefix, addr))
		return wrong(error, "\"%.64s\": there are bits beyond the prefix's length", text);
	return 0;
}

const char *sl_prefix_format(const union sl_addr *addr, uint8_t length, char text[SL_PREFIX_TEXT])
{
	char bare[SL_ADDR_TEXT];

	snprintf(text, SL_PREFIX_TEXT, "%s/%u", sl_addr_format(addr, bare), length);
	return text;
}
