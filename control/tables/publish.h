/* SPDX-License-Identifier: BSD-2-Clause */
/* A generation goes live: build, prepare, propose, accept, commit, acknowledge.
 *
 *   build        the idle bank's sequence word goes odd; new extents for services whose slots or
 *                backends changed; all small records; the word goes even again
 *   prepare      engines get what they lack for it: XDP programs are loaded
 *   propose      the generation stands in root->proposed; the dataplane's main thread checks it
 *   commit       one store of root->generation: every packet from then on meets it
 *   acknowledge  every worker that lives has looked at the root since
 *
 * A worker that lives but gives no sign of it hangs, and hasn't acknowledged. It isn't waited for,
 * nor do extents rest for it: it finds the sequence word moved when it wakes, and XDP serves its
 * queues meanwhile.
 *
 * Nothing is live before the commit, so a control that dies earlier has done nothing, and one that
 * dies later is adopted from (adopt.h). The sequence word goes odd before any extent is written:
 * extents that rested may still be named by the bank that is being replaced, and a reader that
 * slept in there sees the word move before it can meet a foreign slot.
 *
 * Without a dataplane nobody is asked and nobody acknowledges: the XDP program reads the root for
 * each packet.
 */
#ifndef SL_CONTROL_TABLES_PUBLISH_H
#define SL_CONTROL_TABLES_PUBLISH_H

#include "../daemon.h"

struct sl_published {
	uint64_t generation;
	uint32_t workers;      /* alive, those that hang included */
	uint32_t acknowledged; /* of these */
	uint32_t hung;	       /* of these: have not acknowledged, and give no sign of life */
	double commit_us;      /* from its commit to the last acknowledgement */
};

/* What a publish came to: `err` is 0, or -errno with a message: -ENOSPC (a capacity, with the
 * number that would do), -EPROTO (the dataplane refused it), -EAGAIN (windows can't close now, see
 * upkeep/sweep.h). `out` counts where `err` is 0. */
typedef void sl_published_fn(void *context, int err, const struct sl_published *out,
			     const char *error);

/* Takes `next` over in any case: when it is committed it becomes c->model, else it is freed and
 * nothing has changed. done() is called once, perhaps before this returns; until then no other may
 * be begun. The event loop goes on meanwhile: programs and an answer may take a second, an
 * acknowledgement a fifth of one. Afterwards c->published() is called. */
void sl_publish_begin(struct sl_control *c, struct sl_model *next, sl_published_fn *done,
		      void *context);
bool sl_publishing(const struct sl_control *c);

/* The same, waiting in its place: for a start, and where there is no event loop. */
int sl_publish(struct sl_control *c, struct sl_model *next, struct sl_published *out,
	       char error[SL_ERROR_MAX]);

/* What the dataplane's answer to a proposal means. */
const char *sl_accept_text(uint32_t answer);

/* Who of the living has acknowledged the live generation; also lets extents go that rested. */
void sl_acknowledged(struct sl_control *c, struct sl_published *out);

#endif
