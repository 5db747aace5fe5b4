/* SPDX-License-Identifier: BSD-2-Clause */
#include "change.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../report/status.h"
#include "../rpc/server.h"
#include "../transaction/batch.h"

struct request {
	struct sl_rpc_call *call;
	json_t *answer;
	bool running; /* sl_change_run() hasn't returned yet, and answers itself */
	bool ended;
	int err;
	char error[SL_ERROR_MAX];
};

static void read_name(pid_t pid, char name[32])
{
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	snprintf(name, 32, "?");
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(name, 32, file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

static void name_author(const struct sl_rpc_call *call, char who[SL_WHO_TEXT])
{
	const struct sl_rpc_peer *peer = call ? sl_rpc_call_peer(call) : NULL;
	const struct passwd *user;
	char program[32];

	if (!peer) {
		snprintf(who, SL_WHO_TEXT, "sluice-control");
		return;
	}
	user = getpwuid(peer->uid);
	read_name(peer->pid, program);
	snprintf(who, SL_WHO_TEXT, "%.32s (uid %u, pid %d, %s)", user ? user->pw_name : "?",
		 peer->uid, (int)peer->pid, program);
}

static void free_request(struct request *r)
{
	json_decref(r->answer);
	free(r);
}

static void complete(struct request *r, const struct sl_transaction *t)
{
	json_t *published = sl_report_published(&t->out);
	const char *text = json_string_value(json_object_get(r->answer, "text"));

	json_object_update(r->answer, published);
	json_decref(published);
	json_array_extend(t->changes, t->notes);
	json_object_set(r->answer, "changes", t->changes);
	if (t->saved)
		return;
	json_object_set_new(r->answer, "text",
			    json_sprintf("%s%s%s; the change is live, but a restart would forget "
					 "it",
					 text ? text : "", text ? "\n" : "", t->c->unsaved));
	json_object_set_new(r->answer, "saved", json_false());
}

static void ended(struct sl_transaction *t)
{
	struct request *r = t->context;

	if (!t->err)
		complete(r, t);
	r->ended = true;
	r->err = t->err;
	memcpy(r->error, t->error, sizeof(r->error));
	if (r->running)
		return;
	if (r->call)
		sl_rpc_finish(r->call, r->err, r->err ? NULL : json_incref(r->answer), r->error);
	else if (r->err)
		sl_log("%s: %s; nothing was changed", t->what,
		       r->error[0] ? r->error : strerror(-r->err));
	free_request(r);
}

struct sl_transaction *sl_change_begin(struct sl_control *c, struct sl_rpc_call *call,
				       const char *what, json_t **answer)
{
	struct request *r = calloc(1, sizeof(*r));
	struct sl_transaction *t;
	char who[SL_WHO_TEXT];

	name_author(call, who);
	t = r ? sl_transaction_begin(c, what, who) : NULL;
	if (r)
		r->answer = json_object();
	if (!t || !r->answer) {
		sl_transaction_drop(t);
		if (r)
			free_request(r);
		return NULL;
	}
	r->call = call;
	t->context = r;
	t->ended = ended;
	if (answer)
		*answer = r->answer;
	return t;
}

int sl_change_drop(struct sl_transaction *t, int err)
{
	free_request(t->context);
	sl_transaction_drop(t);
	return err;
}

int sl_change_run(struct sl_transaction *t, json_t **result, char error[SL_ERROR_MAX])
{
	struct request *r = t->context;
	int err;

	if (t->c->batch) {
		free_request(r);
		return sl_batch_stage(t, error);
	}
	r->running = true;
	sl_transaction_run(t);
	r->running = false;
	if (!r->ended)
		return SL_RPC_LATER;
	err = r->err;
	if (err)
		memcpy(error, r->error, SL_ERROR_MAX);
	else if (result)
		*result = json_incref(r->answer);
	free_request(r);
	return err;
}
