/* SPDX-License-Identifier: BSD-2-Clause */
/* Endpoints and prefixes as people write them, in commands, answers and what is saved.
 *
 * An endpoint is an address with a port: "10.1.0.11:80", "[2001:db8::1]:80". A backend of a service
 * of several ports has none of its own (port 0) and is written "10.1.0.11:any".
 */
#ifndef SL_CONFIG_ENDPOINT_H
#define SL_CONFIG_ENDPOINT_H

#include "config.h"

#define SL_ENDPOINT_TEXT (SL_ADDR_TEXT + 8)

/* `port` is in host order; 0 is written ":any". Returns `text`. */
const char *sl_endpoint_format(const union sl_addr *addr, uint16_t port,
			       char text[SL_ENDPOINT_TEXT]);

/* 0, or -EINVAL with a message. The second refuses ":any". */
int sl_backend_parse(const char *text, union sl_addr *addr, uint16_t *port,
		     char error[SL_ERROR_MAX]);
int sl_endpoint_parse(const char *text, union sl_addr *addr, uint16_t *port,
		      char error[SL_ERROR_MAX]);

/* "198.51.100.7/32". The length, in bits of the address's own family, may be left out, and is then
 * that of one host. Bits beyond the prefix must be 0. 0, or -EINVAL with a message. */
#define SL_PREFIX_TEXT (SL_ADDR_TEXT + 4)
int sl_prefix_parse(const char *text, union sl_addr *addr, uint8_t *length,
		    char error[SL_ERROR_MAX]);
const char *sl_prefix_format(const union sl_addr *addr, uint8_t length, char text[SL_PREFIX_TEXT]);

/* The address with the bits beyond the prefix cleared. */
union sl_addr sl_prefix_of(const union sl_addr *addr, uint8_t length);

#endif
