/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields of services as JSON, the form in which commands give them and in which they are kept, and
 * as libconfig's settings, the form in which config/ reads them. Both know strings, integers,
 * booleans, lists and groups; JSON's objects are groups, its arrays of scalars are arrays, and
 * those of objects are lists. */
#ifndef SL_CONTROL_DESIRED_FIELDS_H
#define SL_CONTROL_DESIRED_FIELDS_H

#include <jansson.h>
#include <libconfig.h>

#include "../../config/config.h"

/* A new reference; NULL: no memory. */
json_t *sl_fields_read(const config_setting_t *setting);

/* Adds a member to a group, or an element to a list (name NULL). 0, -ENOMEM, or -EINVAL with a
 * message: no libconfig setting can say it (null, a fraction, an array of mixed types). */
int sl_fields_write(config_setting_t *parent, const char *name, const json_t *value,
		    char error[SL_ERROR_MAX]);

/* What the file says of a field of this service: JSON's null where it says nothing. */
json_t *sl_fields_in_file(const struct sl_config_service *conf, const char *field);

/* Copies a setting, with all that is in it, to a group or list. 0 or -ENOMEM. */
int sl_fields_copy(config_setting_t *parent, const config_setting_t *from);

#endif
