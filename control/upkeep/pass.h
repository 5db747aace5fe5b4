/* SPDX-License-Identifier: BSD-2-Clause */
/* A pass over the flow table, in slices: which backends the entries of each service name, and which
 * of its mixed slots they disagree with.
 *
 * Engines go on meanwhile, and so do publishes. What a pass has found is true at its end because
 * whoever asks asks only about what can no longer grow (sweep.h): about numbers and ids that no
 * engine enters flows under any more, and about slots that were mixed all the time. Of those, the
 * only entry that a pass may miss is one that an engine moves from a bucket not yet read to one
 * already read. Engines count the entries that they move (sl_service_counters.moved), so a pass
 * tells nothing about a service of which an entry was moved, and all about the others.
 *
 * Nor does it tell about a service one of whose entries was being filled when it was read: that may
 * name anybody.
 *
 * Where no worker lives to do it, a pass clears the entries that it finds long dead, and those that
 * an engine that died left busy, by the rules of abi/flow.h.
 */
#ifndef SL_CONTROL_UPKEEP_PASS_H
#define SL_CONTROL_UPKEEP_PASS_H

#include "../daemon.h"

struct sl_pass;

/* One that isn't under way yet. */
struct sl_pass *sl_pass_new(struct sl_control *c);
void sl_pass_free(struct sl_pass *p);

/* It is about the services that there are now. reached: every engine works with this generation or
 * a later one; slots that became mixed after it aren't looked at. False: no memory. */
bool sl_pass_begin(struct sl_pass *p, uint64_t reached);
bool sl_pass_is_under_way(const struct sl_pass *p);

/* Reads the next buckets; true: that was the last of them. */
bool sl_pass_read(struct sl_pass *p);

/* Then, before sl_pass_end(): whether it tells about the service, and what. */
bool sl_pass_tells(const struct sl_pass *p, uint16_t service);
bool sl_pass_names(const struct sl_pass *p, uint16_t service, uint32_t backend);

/* Of an id that was some service's: whether an entry names it, or may. */
bool sl_pass_meets(const struct sl_pass *p, uint16_t id);

/* The slots that an entry disagrees with, as sl_slots_reconcile() takes them; the caller's to free.
 * NULL: it doesn't tell, or a slot became mixed too late. */
uint64_t *sl_pass_take_disagree(struct sl_pass *p, const struct sl_model_service *service);

void sl_pass_end(struct sl_pass *p);

#endif
