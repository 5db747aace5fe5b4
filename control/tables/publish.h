/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishes a generation in these steps:
 *
 *     build        The idle bank's sequence word becomes odd. Control writes new extents for
 *                  services whose slots or backends changed, and all small records. The
 *                  sequence word becomes even again.
 *     prepare      Engines get what they lack for the generation: XDP programs are loaded.
 *     propose      root->proposed is set to the generation.
 *     accept       The dataplane's main thread checks the generation and answers.
 *     commit       One store sets root->generation. It applies to every packet from then on.
 *     acknowledge  Every living worker has looked at the root since.
 *
 * A worker hangs if it lives but gives no sign of it, and hasn't acknowledged. Control doesn't wait
 * for it, and extents don't stay in quarantine for it. When it wakes it finds the sequence word
 * changed. XDP serves its queues meanwhile.
 *
 * Nothing is live before the commit. So a control process that dies earlier has changed nothing,
 * and one that dies later leaves a generation that its successor adopts (adopt.h).
 *
 * The sequence word becomes odd before any extent is written, because the bank that is being
 * replaced may still name extents whose quarantine has ended. A reader that was delayed there sees
 * the word change before it can use a slot of another service.
 *
 * Without a dataplane nobody is asked and nobody acknowledges. The XDP program reads the root for
 * each packet.
 */
#ifndef SL_CONTROL_TABLES_PUBLISH_H
#define SL_CONTROL_TABLES_PUBLISH_H

#include "../daemon.h"

struct sl_published {
	uint64_t generation;
	uint32_t workers;      /* alive, including those that hang */
	uint32_t acknowledged; /* of these */
	uint32_t hung;	       /* of these: hang, and have not acknowledged */
	double commit_us;      /* from the commit to the last acknowledgement */
};

/* Receives the result of a publish. `err` is 0, or -errno with a message: -ENOSPC (a capacity is
 * too small; the message has the number that would do), -EPROTO (the dataplane refused the
 * generation), -EAGAIN (windows can't close now, see upkeep/sweep.h). `out` is valid only if `err`
 * is 0. */
typedef void sl_published_fn(void *context, int err, const struct sl_published *out,
			     const char *error);

/* Publishes `next` and owns it from now on. When it is committed it becomes c->model; if the
 * publish fails it is freed, and nothing has changed. done() is called once, perhaps before this
 * returns, and no other publish may begin until then. The event loop goes on meanwhile: loading
 * programs and the dataplane's answer may take a second, the acknowledgement a fifth of a second.
 * c->published() is called after done(), unless done() has begun another publish. */
void sl_publish_begin(struct sl_control *c, struct sl_model *next, sl_published_fn *done,
		      void *context);
bool sl_publishing(const struct sl_control *c);

/* The same, but waits until it is done: for the start, and where there is no event loop. Returns 0,
 * or -errno with a message. */
int sl_publish(struct sl_control *c, struct sl_model *next, struct sl_published *out,
	       char error[SL_ERROR_MAX]);

/* Describes the dataplane's answer to a proposal, for a message. */
const char *sl_accept_text(uint32_t answer);

/* Fills `out` with the number of living workers, and of those that have acknowledged the live
 * generation. Also frees extents that have been in quarantine long enough. */
void sl_acknowledged(struct sl_control *c, struct sl_published *out);

#endif
