/* SPDX-License-Identifier: BSD-2-Clause */
#include "server_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool has_id(const struct sl_model_backend *b)
{
	return sl_backend_serves(b) && b->server_id.bytes;
}

int sl_service_id_clash(const struct sl_model_service *s, const struct sl_model_backend *but,
			const struct sl_server_id *id, char error[SL_ERROR_MAX])
{
	for (uint32_t i = 0; i < s->n; i++) {
		const struct sl_model_backend *b = &s->backend[i];
		char why[SL_ERROR_MAX];

		if (b == but || !has_id(b) ||
		    sl_server_id_clash(id, b->name, &b->server_id, why) == 0)
			continue;
		snprintf(error, SL_ERROR_MAX, "%.*s%s", SL_ERROR_MAX - 64, why,
			 b->state == SL_STATE_LEAVING
				 ? "; that one has it until it is gone: remove it first"
				 : "");
		return -EINVAL;
	}
	return 0;
}

static int by_id(const void *left, const void *right)
{
	const struct sl_model_backend *const *x = left, *const *y = right;
	const struct sl_server_id *a = &(*x)->server_id, *b = &(*y)->server_id;

	return a->bytes != b->bytes ? a->bytes - b->bytes
				    : (a->value > b->value) - (a->value < b->value);
}

int sl_service_check_ids(const struct sl_model_service *s, char error[SL_ERROR_MAX])
{
	const struct sl_model_backend **named = calloc(s->n + 1, sizeof(*named));
	char why[SL_ERROR_MAX];
	uint32_t n = 0;
	int err = named ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < s->n && named && s->conf.quic; i++)
		if (has_id(&s->backend[i]))
			named[n++] = &s->backend[i];
	if (n)
		qsort(named, n, sizeof(*named), by_id);
	for (uint32_t i = 1; i < n && !err; i++) {
		const struct sl_model_backend *b = named[i];

		/* The message is about the backend that stays. */
		if (b->state == SL_STATE_LEAVING)
			b = named[i - 1];
		err = sl_server_id_clash(&named[i]->server_id, named[i - 1]->name,
					 &named[i - 1]->server_id, why);
		if (err)
			err = sl_service_id_clash(s, b, &b->server_id, why);
		if (err)
			snprintf(error, SL_ERROR_MAX, "service %s: backend %s: server_id %.*s",
				 s->conf.name, b->name, SL_ERROR_MAX - 128, why);
	}
	free(named);
	return err;
}
