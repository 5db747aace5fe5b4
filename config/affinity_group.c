/* SPDX-License-Identifier: BSD-2-Clause */
/* Affinity groups: services whose clients go to the same hosts. The services of a group hash a
 * client to the same slot, so a slot has the same host in all of them only if they are alike. */
#include <stdio.h>
#include <string.h>

#include "parse.h"

uint32_t sl_config_slot_endpoint(const struct sl_config_service *service)
{
	uint32_t hash = 0x811c9dc5; /* FNV-1a */

	if (!*service->affinity_group)
		return sl_endpoint(sl_htons(service->port), service->protocol);
	for (const char *c = service->affinity_group; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x01000193;
	return hash;
}

/* How two services of a group differ in what their flows' hosts follow from; NULL: they don't.
 * *field: which one tells. */
static const char *group_differs(const struct sl_config_service *a,
				 const struct sl_config_service *b, const char **field,
				 char text[SL_ERROR_MAX])
{
	*field = !sl_config_same_vip(a, b)		   ? "vip"
		 : a->affinity != b->affinity		   ? "affinity"
		 : a->table_size != b->table_size	   ? "table_size"
		 : strcmp(a->scheduler, b->scheduler) != 0 ? "scheduler"
							   : NULL;
	if (*field) {
		snprintf(text, SL_ERROR_MAX, "%s is another", *field);
		return text;
	}
	*field = "backends";
	if (a->n_backends != b->n_backends) {
		snprintf(text, SL_ERROR_MAX, "there are %zu backends against %zu", a->n_backends,
			 b->n_backends);
		return text;
	}
	for (size_t i = 0; i < a->n_backends && a->backend && b->backend; i++) {
		const struct sl_config_backend *x = &a->backend[i], *y = &b->backend[i];
		const char *what = strcmp(x->name, y->name) != 0	? "name"
				   : !sl_addr_equal(&x->addr, &y->addr) ? "address"
				   : x->weight != y->weight		? "weight"
				   : x->draining != y->draining		? "state"
									: NULL;

		if (!what)
			continue;
		snprintf(text, SL_ERROR_MAX, "backend number %zu (%s against %s) has another %s",
			 i + 1, x->name, y->name, what);
		return text;
	}
	*field = NULL;
	return NULL;
}

int sl_affinity_groups_check(struct sl_reader *r, const struct sl_config *config)
{
	char text[SL_ERROR_MAX], where[SL_WHERE_TEXT];
	const char *field;

	for (size_t i = 0; i < config->n_services; i++) {
		const struct sl_config_service *s = &config->service[i], *other = NULL;

		if (!*s->affinity_group)
			continue;
		for (size_t k = 0; s->backend && k < s->n_backends; k++)
			for (size_t m = 0; m < k; m++)
				if (sl_addr_equal(&s->backend[k].addr, &s->backend[m].addr))
					return sl_fail_in(r, s->setting, "backends",
							  "%s and %s of service \"%s\" have one "
							  "address; in an affinity_group each host "
							  "may be there once",
							  s->backend[m].name, s->backend[k].name,
							  s->name);
		for (size_t k = 0; k < i && !other; k++)
			if (strcmp(config->service[k].affinity_group, s->affinity_group) == 0)
				other = &config->service[k];
		if (!other || !group_differs(s, other, &field, text))
			continue;
		sl_where(r, other->setting, s->setting, where);
		return sl_fail_in(
			r, s->setting, field,
			"services \"%s\" and \"%s\" (%s) of affinity_group \"%s\" differ: "
			"%.200s; make them alike",
			s->name, other->name, where, s->affinity_group, text);
	}
	return 0;
}
