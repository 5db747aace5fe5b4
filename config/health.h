/* SPDX-License-Identifier: BSD-2-Clause */
/* How the backends of a service are checked, as the file's group `health` says it.
 *
 * Plain data without pointers, copied with its service. All bytes are defined, those between
 * members too, so that two may be compared as memory (sl_health_conf_same()).
 */
#ifndef SL_CONFIG_HEALTH_H
#define SL_CONFIG_HEALTH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../dataplane/abi/address.h"

enum sl_health_kind {
	SL_HEALTH_NONE, /* nothing is checked */
	SL_HEALTH_TCP,
	SL_HEALTH_HTTP,
	SL_HEALTH_HTTPS,
	SL_HEALTH_UDP,
	SL_HEALTH_DNS,
	SL_HEALTH_ICMP,
	SL_HEALTH_EXEC,
};

/* What a backend is taken for before its first check has ended. */
enum sl_health_start {
	SL_HEALTH_START_CHECKING, /* down, until the first check decides alone */
	SL_HEALTH_START_UP,
	SL_HEALTH_START_DOWN,
};

#define SL_HEALTH_TEXT	      256 /* bytes of a text, with the final 0 */
#define SL_HEALTH_COMMAND     512
#define SL_HEALTH_WORDS	      16 /* of a command */
#define SL_HEALTH_STATUSES    8
#define SL_HEALTH_METHOD      16
#define SL_HEALTH_PANIC_LEAVE 10 /* percent above `panic`, where the file says nothing */

struct sl_health_bytes {
	uint16_t n;
	uint8_t b[SL_HEALTH_TEXT];
};

struct sl_health_range {
	uint16_t first, last;
};

/* Slow start: the weight of a backend that comes up grows by eighths. */
#define SL_SHARE_WHOLE 8

struct sl_health_conf {
	uint8_t kind;  /* enum sl_health_kind */
	uint8_t start; /* enum sl_health_start */
	uint32_t interval_ms;
	uint32_t timeout_ms;
	uint8_t jitter; /* percent by which an interval may be shorter */
	uint8_t rise, fall;
	uint8_t panic;	      /* percent of healthy backends below which all are used; 0: never */
	uint8_t panic_leave;  /* and from which they aren't any more, */
	uint32_t panic_ms;    /* after this time at least */
	uint32_t slow_ms;     /* a backend that comes up has its whole weight after this time */
	uint16_t port;	      /* host order; 0: the backend's */
	union sl_addr addr;   /* ::0: the backend's */
	union sl_addr source; /* ::0: the kernel chooses */
	uint32_t fwmark;

	/* http and https */
	char method[SL_HEALTH_METHOD];
	char path[SL_HEALTH_TEXT];
	char host[SL_HEALTH_TEXT]; /* "": the address */
	struct sl_health_range status[SL_HEALTH_STATUSES];
	uint8_t n_statuses;
	char body[SL_HEALTH_TEXT]; /* "": any */
	bool verify;
	char tls_name[SL_HEALTH_TEXT]; /* "": that of `host`, or the address */
	char ca[SL_HEALTH_TEXT];       /* "": the system's */

	/* udp */
	struct sl_health_bytes payload;
	struct sl_health_bytes expect; /* somewhere in the answer; none: any answer will do */

	/* dns */
	char query[SL_HEALTH_TEXT];
	uint16_t query_type;
	uint8_t rcode;

	/* exec */
	char command[SL_HEALTH_COMMAND]; /* words, each with its final 0, and an empty one */
	uint32_t uid, gid;
};

static inline bool sl_health_conf_same(const struct sl_health_conf *a,
				       const struct sl_health_conf *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* "tcp"; "SERVFAIL". */
const char *sl_health_kind_text(uint8_t kind);
const char *sl_dns_rcode_text(uint8_t rcode);

#endif
