/* SPDX-License-Identifier: BSD-2-Clause */
/* A pass over the flow table, in slices. It finds which backends the entries of each service name,
 * and which of its mixed slots they disagree with.
 *
 * Engines and publishes go on meanwhile. The result of a pass is true at its end, because callers
 * ask only about what can no longer grow (sweep.h): about numbers and ids under which no engine
 * enters flows any more, and about slots that were mixed all the time. There a pass can miss an
 * entry only if an engine moves it from a bucket that isn't read yet to one that is. Engines count
 * the entries that they move (sl_service_counters.moved). So a pass has no result for a service of
 * which an entry was moved, and a full result for the others.
 *
 * It also has no result for a service if one of its entries was being filled when it was read,
 * because that entry may name any backend.
 *
 * If no worker is there to do it, a pass clears entries that expired long ago. If no worker lives
 * at all, not even one that hangs, it also clears entries that a dead engine left busy. Both follow
 * the rules of abi/flow.h.
 */
#ifndef SL_CONTROL_UPKEEP_PASS_H
#define SL_CONTROL_UPKEEP_PASS_H

#include "../daemon.h"

struct sl_pass;

/* Creates a pass that isn't under way yet. Returns NULL if there is no memory. */
struct sl_pass *sl_pass_new(struct sl_control *c);
void sl_pass_free(struct sl_pass *p);

/* Begins a pass about the services of the present model. reached: every engine works with this
 * generation or a later one. Slots that became mixed after it aren't checked. Returns false if
 * there is no memory. */
bool sl_pass_begin(struct sl_pass *p, uint64_t reached);
bool sl_pass_is_under_way(const struct sl_pass *p);

/* Reads the next buckets. Returns true if they were the last. */
bool sl_pass_read(struct sl_pass *p);

/* To be called after the last bucket and before sl_pass_end(): whether there is a result for the
 * service, and if so, whether an entry names the backend. */
bool sl_pass_tells(const struct sl_pass *p, uint16_t service);
bool sl_pass_names(const struct sl_pass *p, uint16_t service, uint32_t backend);

/* The number of living entries that name the backend and aren't closing. One that was moved may
 * have been missed, or counted twice. The service must have been there when the pass began. */
uint32_t sl_pass_count(const struct sl_pass *p, uint16_t service, uint32_t backend);
bool sl_pass_knows(const struct sl_pass *p, uint16_t service);

/* Whether an entry names this id, or may name it. The id's service must be gone. */
bool sl_pass_meets(const struct sl_pass *p, uint16_t id);

/* Returns the bitmap of the slots that an entry disagrees with, for sl_slots_reconcile(). The
 * caller frees it. NULL: there is no result, or a slot became mixed too late. */
uint64_t *sl_pass_take_disagree(struct sl_pass *p, const struct sl_model_service *service);

void sl_pass_end(struct sl_pass *p);

#endif
