/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the layer of operators on disk, so that it survives a restart of everything.
 *
 * It is JSON in STATE_DIR/overrides.json, written as a whole and renamed into place after every
 * change:
 *
 *     { "version": 2, "services": { NAME: {
 *         "added": true, "removed": true,
 *         "fields": { FIELD: VALUE, … },    as in the file
 *         "file": { FIELD: VALUE, … },      the file's values of these fields at that time
 *         "backends": { "ADDRESS:PORT": { … }, … },
 *         "limits": [ … ] } } }             see limit_overrides.h
 *
 * A backend has these members:
 *
 *     "state"    "draining" or "ready"
 *     "weight"   with "file_weight", the file's at that time
 *     "added"    true: the file doesn't have it; with "name" and "weight", and "server_id" if it
 *                has one
 *     "removed"  true: the file has it, but it was removed live
 *
 * Version 1, which had only backends and limits, is read too; the next change writes it as version
 * 2. A file of a later version is refused, so that nothing is lost.
 *
 * The directory and the file are accepted only if this process's user owns them and nobody else may
 * write them. A symbolic link in place of the file is refused.
 */
#ifndef SL_CONTROL_DESIRED_OVERRIDES_H
#define SL_CONTROL_DESIRED_OVERRIDES_H

#include "operators.h"

/* Loads the layer. If there is no file, the layer is empty. Returns 0, or -errno with a message;
 * -EINVAL: the file's content is invalid. */
int sl_overrides_load(const char *state_dir, struct sl_operators **o, char error[SL_ERROR_MAX]);

/* Saves the layer. Returns 0, or -errno with a message, and then the old file stays. */
int sl_overrides_save(const char *state_dir, const struct sl_operators *o,
		      char error[SL_ERROR_MAX]);

/* The same without a file. sl_overrides_read() returns NULL on failure, with a message in `why` and
 * the place in `field`. sl_overrides_write() returns a new reference, or NULL if there is no
 * memory. */
struct sl_operators *sl_overrides_read(const json_t *json, char field[SL_PATH_MAX],
				       char why[SL_ERROR_MAX]);
json_t *sl_overrides_write(const struct sl_operators *o);

#endif
