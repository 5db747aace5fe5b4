/* SPDX-License-Identifier: BSD-2-Clause */
/* The layer of operators on disk, so that it survives a restart of everything.
 *
 * JSON in STATE_DIR/overrides.json, written whole and renamed into place after every change:
 *
 *     { "version": 2, "services": { NAME: {
 *         "added": true, "removed": true,
 *         "fields": { FIELD: VALUE, … },    as in the file
 *         "file": { FIELD: VALUE, … },      what the file said of fields that were set over it
 *         "backends": { "ADDRESS:PORT": { … }, … },
 *         "limits": [ … ] } } }             see limit_overrides.h
 *
 * Of a backend:
 *
 *     "state"    "draining" or "ready"
 *     "weight"   with "file_weight", the file's at that time
 *     "added"    true: the file doesn't have it; with "name" and "weight", and "server_id" if it
 *                has one
 *     "removed"  true: the file has it, but it was removed live
 *
 * Version 1, which had backends and limits alone, is read too; it is written as version 2 with the
 * next change. A file of a later version is refused, and nothing is lost.
 *
 * The directory and the file are taken only if they belong to us and nobody else may write them; a
 * symbolic link in the place of the file is refused.
 */
#ifndef SL_CONTROL_DESIRED_OVERRIDES_H
#define SL_CONTROL_DESIRED_OVERRIDES_H

#include "operators.h"

/* No file is an empty layer. 0, or -errno with a message: -EINVAL where the file says something
 * that can't be. */
int sl_overrides_load(const char *state_dir, struct sl_operators **o, char error[SL_ERROR_MAX]);

/* 0, or -errno with a message; what stood there stays then. */
int sl_overrides_save(const char *state_dir, const struct sl_operators *o,
		      char error[SL_ERROR_MAX]);

/* The same without a file. The first returns NULL with a message in `why`, and where in `field`. */
struct sl_operators *sl_overrides_read(const json_t *json, char field[SL_PATH_MAX],
				       char why[SL_ERROR_MAX]);
json_t *sl_overrides_write(const struct sl_operators *o);

#endif
