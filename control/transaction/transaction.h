/* SPDX-License-Identifier: BSD-2-Clause */
/* The one way by which every change of the desired state is made, whoever requests it:
 *
 *     clone    copies the model and the layer that changes
 *     edit     the caller edits the layer, never the model
 *     apply    makes the model that follows from all layers together (desired/apply.h)
 *     publish  publishes it as one generation; if that fails, nothing has changed
 *              (tables/publish.h)
 *     save     writes the operators' layer to disk
 *     tell     logs a line for each difference (who, what, from what to what, generation), and
 *              answers whoever requested the change
 *
 * Publishing may take some further turns of the event loop, so a transaction may end after the
 * function that ran it has returned. Only one runs at a time: none may be run while sl_publishing()
 * is true. The control socket holds changes back until then, and the daemon's ticks simply try
 * again.
 *
 * If a change is live but can't be saved, saving is tried again each second. Until it succeeds,
 * `status` reports a problem.
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
	struct sl_operators *operators; /* the operators' layer, a copy to be edited */
	char service[SL_NAME_MAX];	/* the only service that changes; "": any may */
	bool always;			/* publish even if the model stays the same */
	/* Called with the next model once the layers have been applied to it; may be NULL. */
	void (*adjust)(struct sl_transaction *t, struct sl_model *next);
	/* Called when the generation is live, before anything is saved and logged, or when the
	 * transaction has failed (t->err). May be NULL. */
	void (*settle)(struct sl_transaction *t);
	void *settling;		 /* the caller's own, for settle() */
	void (*release)(void *); /* frees `settling`, together with t */
	/* Called last; t is freed when it returns. If it is NULL, a failure is logged. */
	void (*ended)(struct sl_transaction *t);
	void *context;	       /* the caller's own, for ended() */
	json_t *changes;       /* a sentence for each difference */
	json_t *notes;	       /* more sentences for the answer, which are logged elsewhere */
	const char *what;      /* "backend.drain", "reload", "start" */
	char who[SL_WHO_TEXT]; /* "root (uid 0, pid 1234, sluicectl)" */

	/* The outcome. */
	int err; /* 0, or -errno with a message in `error` */
	char error[SL_ERROR_MAX];
	bool saved;
	struct sl_published out;
};

/* Returns the layers in force. */
struct sl_layers sl_layers_of(const struct sl_control *c);

/* Begins a transaction on behalf of `who`. Returns NULL if there is no memory. The caller ends it
 * by sl_transaction_drop(), which discards it, or by sl_transaction_run(), which runs it; both free
 * it. `what` must outlive it. */
struct sl_transaction *sl_transaction_begin(struct sl_control *c, const char *what,
					    const char *who);
void sl_transaction_drop(struct sl_transaction *t);
void sl_transaction_run(struct sl_transaction *t);

/* Runs the transaction of a start, and returns when it has ended: it waits for backends' next hops
 * (briefly) and for the publish. Returns 0, or -errno with a message. */
int sl_transaction_start(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Saves the operators' layer if that failed before. The daemon's tick calls it. */
void sl_transaction_retry_save(struct sl_control *c);

#endif
