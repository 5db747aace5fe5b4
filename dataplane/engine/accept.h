/* SPDX-License-Identifier: BSD-2-Clause */
/* The dataplane's word on a generation before it goes live.
 *
 * Control fills the idle bank, names it in root->proposed and waits. The main thread (never a
 * worker: it takes longer than a burst) checks that no record names anything outside its array or
 * anything that this build doesn't know, and answers in its own record. Workers check every index
 * again at every use; what this adds is that a bad table is refused whole, before a packet meets
 * it.
 *
 * Extents don't change while a live bank names them, so a service whose extents are those of the
 * generation accepted before isn't walked again: the cost follows what changed.
 */
#ifndef SL_ENGINE_ACCEPT_H
#define SL_ENGINE_ACCEPT_H

#include "../abi/store.h"

struct sl_acceptor; /* remembers which extents were looked at */

struct sl_acceptor *sl_acceptor_new(const struct sl_store *store, uint32_t n_ports);
void sl_acceptor_free(struct sl_acceptor *a);

/* Looks at the generation that is live, before the first packet. The record that is wrong in *at.
 */
enum sl_accept sl_acceptor_check_live(struct sl_acceptor *a, uint32_t *at);

/* Looks at root->proposed if it is news, and answers. True if there was something to answer. */
bool sl_acceptor_run(struct sl_acceptor *a);

#endif
