/* SPDX-License-Identifier: BSD-2-Clause */
/* What operators set live, on top of the file, so that it survives a restart of everything.
 *
 * Kept as JSON in STATE_DIR/overrides.json, written whole and renamed into place after every
 * command:
 *
 *     { "version": 1, "services": { NAME: { "ADDRESS:PORT": { … } } }, "limits": … }
 *
 *     "state"    "draining"
 *     "weight"   with "file_weight", the file's at that time: where the file's own weight has
 *                changed since, the file wins
 *     "added"    true: the file doesn't have it; with "name" and "weight", and "server_id" if it
 *                has one
 *     "removed"  true: the file has it, but it was removed live
 *
 * Limits are in limit_overrides.h; the member may be missing.
 *
 * A service that the file calls by another name keeps its overrides. What the file has overtaken
 * is dropped once the file is applied, so that it can't come back with a later change.
 */
#ifndef SL_CONTROL_DESIRED_OVERRIDES_H
#define SL_CONTROL_DESIRED_OVERRIDES_H

#include "../../config/endpoint.h"
#include "../daemon.h"

/* No file is no override. 0 or -errno with a message. */
int sl_overrides_load(struct sl_control *c, char error[SL_ERROR_MAX]);
int sl_overrides_save(const struct sl_control *c, char error[SL_ERROR_MAX]);

/* The object of one backend; NULL where there is none. */
json_t *sl_override_find(const json_t *overrides, const char *service, const char *endpoint);

/* The same, made where there is none. */
json_t *sl_override_get(json_t *overrides, const char *service, const char *endpoint);
void sl_override_drop(json_t *overrides, const char *service, const char *endpoint);

/* A copy under the names that this file gives to the services of c->model; NULL: no memory. */
json_t *sl_overrides_renamed(const struct sl_control *c, const struct sl_config *config);

/* Drops what c->config, which was applied, has overtaken. */
void sl_overrides_prune(struct sl_control *c);

/* Backends that the file has and that were removed live: an array of { name, address, port }. */
json_t *sl_overrides_removed(const struct sl_control *c, const char *service);

#endif
