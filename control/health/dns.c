/* SPDX-License-Identifier: BSD-2-Clause */
#include "dns.h"

#include <stdio.h>
#include <string.h>

enum { HEADER = 12, RESPONSE = 0x80, RECURSION_DESIRED = 0x01, CLASS_IN = 1 };

size_t sl_dns_query(const struct sl_health_conf *conf, uint16_t id, uint8_t query[SL_DNS_QUERY])
{
	const char *label = conf->query;
	size_t at = HEADER;

	memset(query, 0, HEADER);
	query[0] = (uint8_t)(id >> 8);
	query[1] = (uint8_t)id;
	query[2] = RECURSION_DESIRED;
	query[5] = 1; /* question */
	while (*label) {
		size_t n = strcspn(label, ".");

		if (n) {
			query[at++] = (uint8_t)n;
			memcpy(query + at, label, n);
			at += n;
		}
		label += n + (label[n] == '.');
	}
	query[at++] = 0;
	query[at++] = (uint8_t)(conf->query_type >> 8);
	query[at++] = (uint8_t)conf->query_type;
	query[at++] = 0;
	query[at++] = CLASS_IN;
	return at;
}

enum sl_probe_result sl_dns_judge(struct sl_probe *p, const uint8_t *answer, size_t n)
{
	const char *text;
	uint8_t rcode;

	if (n < HEADER || !(answer[2] & RESPONSE))
		return sl_probe_says(p, SL_PROBE_FAILED, "the answer isn't DNS");
	if ((answer[0] << 8 | answer[1]) != p->id)
		return SL_PROBE_RUNS;
	rcode = answer[3] & 0x0f;
	if (rcode == p->conf->rcode)
		return SL_PROBE_PASSED;
	text = sl_dns_rcode_text(rcode);
	return text ? sl_probe_says(p, SL_PROBE_FAILED, "DNS %s", text)
		    : sl_probe_says(p, SL_PROBE_FAILED, "DNS rcode %u", rcode);
}
