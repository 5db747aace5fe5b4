/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields of services in two forms: JSON, in which commands give them and in which they are stored,
 * and libconfig's settings, which config/ reads. Both have strings, integers, booleans, lists and
 * groups. JSON's objects are groups, its arrays of scalars are arrays, and its arrays of objects
 * are lists. */
#ifndef SL_CONTROL_DESIRED_FIELDS_H
#define SL_CONTROL_DESIRED_FIELDS_H

#include <jansson.h>
#include <libconfig.h>

#include "../../config/config.h"

/* Converts a setting. Returns a new reference, or NULL if there is no memory. */
json_t *sl_fields_read(const config_setting_t *setting);

/* Adds a member to a group, or an element to a list (name NULL). Returns 0, -ENOMEM, or -EINVAL
 * with a message if libconfig can't represent the value (null, a fraction, an array of mixed
 * types). */
int sl_fields_write(config_setting_t *parent, const char *name, const json_t *value,
		    char error[SL_ERROR_MAX]);

/* Returns the value of a field of this service in the file, as a new reference: JSON's null if the
 * file doesn't have the field. */
json_t *sl_fields_in_file(const struct sl_config_service *conf, const char *field);

/* Copies a setting, with all that is in it, to a group or list. Returns 0 or -ENOMEM. */
int sl_fields_copy(config_setting_t *parent, const config_setting_t *from);

#endif
