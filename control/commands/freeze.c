/* SPDX-License-Identifier: BSD-2-Clause */
#include "freeze.h"

#include <errno.h>
#include <time.h>

#include "../desired/changes.h"
#include "change.h"
#include "params.h"

static int run(struct sl_control *c, struct sl_rpc_call *call, const char *what,
	       const json_t *params, bool frozen, json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { NULL };
	int err = sl_params_known(params, keys, error);
	struct sl_transaction *t = err ? NULL : sl_change_begin(c, call, what, NULL);

	if (err)
		return err;
	if (!t)
		return -ENOMEM;
	if (frozen != (t->operators->frozen != 0)) {
		t->operators->frozen = frozen ? (uint64_t)time(NULL) : 0;
		sl_note(t->changes, frozen ? "automation is frozen: health changes nothing"
					   : "automation goes on: health counts again");
	}
	return sl_change_run(t, result, error);
}

int sl_freeze_command(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX])
{
	return run(context, call, "freeze", params, true, result, error);
}

int sl_unfreeze_command(void *context, struct sl_rpc_call *call, const json_t *params,
			json_t **result, char error[SL_ERROR_MAX])
{
	return run(context, call, "unfreeze", params, false, result, error);
}
