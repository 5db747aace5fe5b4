/* SPDX-License-Identifier: BSD-2-Clause */
/* One way for every change of what is wanted, whoever asks for it:
 *
 *     clone    copies of the model and of the layer that is to change
 *     edit     the caller edits the layer, never the model
 *     apply    the model follows from the layers together (desired/apply.h)
 *     publish  as one generation, or nothing has happened (tables/publish.h)
 *     save     what operators set goes to disk
 *     tell     the log gets a line for each difference (who, what, from what to what, generation),
 *              and whoever asked gets its answer
 *
 * Publishing may take some of the event loop's next turns, so a transaction may end after the
 * function that ran it has returned. There is one at a time: none may be run while sl_publishing()
 * is true. The control socket holds changes back until then, and ticks come again by themselves.
 *
 * What is live but could not be saved is tried again each second, and is a problem in `status` as
 * long as it lasts.
 */
#ifndef SL_CONTROL_TRANSACTION_TRANSACTION_H
#define SL_CONTROL_TRANSACTION_TRANSACTION_H

#include "../daemon.h"
#include "../desired/layers.h"
#include "../desired/operators.h"
#include "../tables/publish.h"

#define SL_WHO_TEXT 96

struct sl_transaction {
	struct sl_control *c;
	struct sl_operators *operators; /* the layer of operators, a copy to be edited */
	char service[SL_NAME_MAX];	/* the only one that changes; "": any may */
	bool always;			/* publishes even if the model comes out the same */
	/* Called with the next model once the layers have been applied to it; may be NULL. */
	void (*adjust)(struct sl_transaction *t, struct sl_model *next);
	/* Called once the generation is live, before anything is saved and logged, or when the
	 * transaction has failed (t->err); may be NULL. */
	void (*settle)(struct sl_transaction *t);
	void *settling;		 /* the caller's, for it; */
	void (*release)(void *); /* freed by this with t */
	/* Called last; t is freed when it returns. NULL: a failure is logged. */
	void (*ended)(struct sl_transaction *t);
	void *context;	       /* the caller's, for it */
	json_t *changes;       /* sentences about what differs */
	json_t *notes;	       /* others for the answer; the log has them from elsewhere */
	const char *what;      /* "backend.drain", "reload", "start" */
	char who[SL_WHO_TEXT]; /* "root (uid 0, pid 1234, sluicectl)" */

	/* How it ended. */
	int err; /* 0, or -errno with a message in `error` */
	char error[SL_ERROR_MAX];
	bool saved;
	struct sl_published out;
};

/* The layers in force. */
struct sl_layers sl_layers_of(const struct sl_control *c);

/* Begins one, asked for by `who`; NULL: no memory. It is given up by sl_transaction_drop() or goes
 * its way by sl_transaction_run(), which frees it. `what` must outlive it. */
struct sl_transaction *sl_transaction_begin(struct sl_control *c, const char *what,
					    const char *who);
void sl_transaction_drop(struct sl_transaction *t);
void sl_transaction_run(struct sl_transaction *t);

/* The same for a start: waits in its place, for backends' next hops (a little) and for the publish.
 * 0, or -errno with a message. */
int sl_transaction_start(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Saves what operators set where that failed before; from the daemon's tick. */
void sl_transaction_retry_save(struct sl_control *c);

#endif
