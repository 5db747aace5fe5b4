/* SPDX-License-Identifier: BSD-2-Clause */
#include "layers.h"

#include <stdio.h>
#include <string.h>

const char *sl_layer_text(enum sl_layer layer)
{
	static const char *const texts[] = {
		[SL_LAYER_FILE] = "file",
		[SL_LAYER_SOURCES] = "source",
		[SL_LAYER_OPERATORS] = "live",
		[SL_LAYER_HEALTH] = "health",
	};

	return texts[layer];
}

const char *sl_health_state_text(enum sl_health_state state)
{
	return state == SL_HEALTH_UP ? "up" : state == SL_HEALTH_DOWN ? "down" : "checking";
}

int sl_health_compare(const struct sl_health_verdict *a, const struct sl_health_verdict *b)
{
	int sign = strcmp(a->service, b->service);

	if (!sign)
		sign = memcmp(&a->addr, &b->addr, sizeof(a->addr));
	return sign ? sign : a->port - b->port;
}

const struct sl_health_verdict *sl_health_find(struct sl_health_verdict *const *verdicts, size_t n,
					       const char *service, const union sl_addr *addr,
					       uint16_t port)
{
	struct sl_health_verdict key = { .addr = *addr, .port = port };
	size_t first = 0;

	snprintf(key.service, sizeof(key.service), "%s", service);
	while (first < n) {
		size_t middle = first + (n - first) / 2;
		int sign = sl_health_compare(&key, verdicts[middle]);

		if (!sign)
			return verdicts[middle];
		if (sign < 0)
			n = middle;
		else
			first = middle + 1;
	}
	return NULL;
}
