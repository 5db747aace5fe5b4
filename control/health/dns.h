/* SPDX-License-Identifier: BSD-2-Clause */
/* A DNS query and its answer (RFC 1035, 4.1), as far as a check needs them. Pure. */
#ifndef SL_CONTROL_HEALTH_DNS_H
#define SL_CONTROL_HEALTH_DNS_H

#include "probe.h"

#define SL_DNS_QUERY 300 /* bytes, at most */
size_t sl_dns_query(const struct sl_health_conf *conf, uint16_t id, uint8_t query[SL_DNS_QUERY]);

/* SL_PROBE_RUNS: this is no answer to it. */
enum sl_probe_result sl_dns_judge(struct sl_probe *p, const uint8_t *answer, size_t n);

#endif
