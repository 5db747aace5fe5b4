/* SPDX-License-Identifier: BSD-2-Clause */
/* The dataplane accepts or refuses a generation before it goes live.
 *
 * Control fills the idle bank, stores its generation in root->proposed and waits. The dataplane's
 * main thread (never a worker: the check takes longer than a burst) checks that no record names an
 * index outside its array or a value that this build doesn't know, and answers in its own record,
 * struct sl_engine. Workers still check every index at every use. The purpose of this check is that
 * a wrong table is refused as a whole before any packet is decided by it.
 *
 * Extents don't change while a live bank names them. So a service whose extents are those of the
 * last accepted generation isn't walked again, and the cost depends only on what changed.
 */
#ifndef SL_ENGINE_ACCEPT_H
#define SL_ENGINE_ACCEPT_H

#include "../abi/store.h"

struct sl_acceptor; /* remembers which extents were checked */

struct sl_acceptor *sl_acceptor_new(const struct sl_store *store, uint32_t n_ports);
void sl_acceptor_free(struct sl_acceptor *a);

/* Checks the live generation, before the first packet. *at: the index of the record that is
 * wrong. */
enum sl_accept sl_acceptor_check_live(struct sl_acceptor *a, uint32_t *at);

/* Checks root->proposed if it is new, and answers. Returns true if it was new. */
bool sl_acceptor_run(struct sl_acceptor *a);

#endif
