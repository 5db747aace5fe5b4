/* SPDX-License-Identifier: BSD-2-Clause */
#include "change.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../report/status.h"
#include "../rpc/server.h"

struct asked {
	struct sl_rpc_call *call;
	json_t *answer;
	bool running; /* sl_change_run() hasn't returned yet, and answers by itself */
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

static void free_asked(struct asked *a)
{
	json_decref(a->answer);
	free(a);
}

static void complete(struct asked *a, const struct sl_transaction *t)
{
	json_t *published = sl_report_published(&t->out);
	const char *text = json_string_value(json_object_get(a->answer, "text"));

	json_object_update(a->answer, published);
	json_decref(published);
	json_array_extend(t->changes, t->notes);
	json_object_set(a->answer, "changes", t->changes);
	if (t->saved)
		return;
	json_object_set_new(a->answer, "text",
			    json_sprintf("%s%s%s; the change is live, but a restart would forget "
					 "it",
					 text ? text : "", text ? "\n" : "", t->c->unsaved));
	json_object_set_new(a->answer, "saved", json_false());
}

static void ended(struct sl_transaction *t)
{
	struct asked *a = t->context;

	if (!t->err)
		complete(a, t);
	a->ended = true;
	a->err = t->err;
	memcpy(a->error, t->error, sizeof(a->error));
	if (a->running)
		return;
	if (a->call)
		sl_rpc_finish(a->call, a->err, a->err ? NULL : json_incref(a->answer), a->error);
	else if (a->err)
		sl_log("%s: %s; nothing was changed", t->what,
		       a->error[0] ? a->error : strerror(-a->err));
	free_asked(a);
}

struct sl_transaction *sl_change_begin(struct sl_control *c, struct sl_rpc_call *call,
				       const char *what, json_t **answer)
{
	struct asked *a = calloc(1, sizeof(*a));
	struct sl_transaction *t;
	char who[SL_WHO_TEXT];

	name_author(call, who);
	t = a ? sl_transaction_begin(c, what, who) : NULL;
	if (a)
		a->answer = json_object();
	if (!t || !a->answer) {
		sl_transaction_drop(t);
		if (a)
			free_asked(a);
		return NULL;
	}
	a->call = call;
	t->context = a;
	t->ended = ended;
	if (answer)
		*answer = a->answer;
	return t;
}

int sl_change_drop(struct sl_transaction *t, int err)
{
	free_asked(t->context);
	sl_transaction_drop(t);
	return err;
}

int sl_change_run(struct sl_transaction *t, json_t **result, char error[SL_ERROR_MAX])
{
	struct asked *a = t->context;
	int err;

	a->running = true;
	sl_transaction_run(t);
	a->running = false;
	if (!a->ended)
		return SL_RPC_LATER;
	err = a->err;
	if (err)
		memcpy(error, a->error, SL_ERROR_MAX);
	else if (result)
		*result = json_incref(a->answer);
	free_asked(a);
	return err;
}
