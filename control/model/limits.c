/* SPDX-License-Identifier: BSD-2-Clause */
#include "limits.h"

#include <stdio.h>

const char *sl_limits_name(const struct sl_config_limit *l, char text[SL_LIMIT_NAME])
{
	char prefixes[32] = "";

	if (l->scope == SL_SCOPE_CLIENT && (l->prefix4 != 32 || l->prefix6 != 128))
		snprintf(prefixes, sizeof(prefixes), l->prefix6 == 128 ? " /%u" : " /%u, /%u",
			 l->prefix4, l->prefix6);
	snprintf(text, SL_LIMIT_NAME, "per %s%s%s", sl_word_text(sl_limit_scopes, l->scope),
		 prefixes,
		 l->unit == SL_UNIT_CONNECTIONS	   ? ""
		 : l->direction == SL_TO_BACKEND   ? " to backends"
		 : l->direction == SL_FROM_BACKEND ? " from backends"
						   : "");
	return text;
}

const struct sl_model_exception *sl_limits_exception(const struct sl_model_service *s,
						     uint16_t limit, uint64_t subject)
{
	for (uint32_t i = 0; i < s->n_exceptions; i++)
		if (s->exception[i].limit == limit && s->exception[i].subject == subject)
			return &s->exception[i];
	return NULL;
}

uint32_t sl_limits_count(const struct sl_model *m)
{
	uint32_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->service[i]->n_limits;
	return n;
}

uint32_t sl_limits_count_exceptions(const struct sl_model *m)
{
	uint32_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->service[i]->n_exceptions;
	return n;
}
