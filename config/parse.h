/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the parser: how a group of the file becomes a record.
 *
 * Each kind of group has a table of its fields (the root's in parse.c, dataplane and next hops in
 * dataplane.c, services in service.c, limits in limit.c). sl_group_read() walks that table. It
 * refuses fields that aren't in it, requires those that are marked, checks types and calls each
 * field's reader in the order of the table, so that a field may depend on an earlier one. A new
 * field is one line in its table, one row in docs/configuration.md (a test compares them) and, if
 * none of the readers below fits, a reader.
 *
 * The caller fills in defaults before, and checks what concerns several fields afterwards.
 */
#ifndef SL_CONFIG_PARSE_H
#define SL_CONFIG_PARSE_H

#include <libconfig.h>

#include "config.h"

struct sl_reader {
	struct sl_config *config;
	char *error;	       /* SL_ERROR_MAX bytes */
	char dir[SL_PATH_MAX]; /* where @include starts: the main file's directory, or "" */
	const config_setting_t
		*tables; /* the field that requires a kind of tables; NULL: automatic */
	bool live;	 /* what is read stands in no file, so no line is told */
};

enum sl_field_type {
	SL_INTEGER = 1 << 0,
	SL_STRING = 1 << 1,
	SL_BOOL = 1 << 2,
	SL_ARRAY = 1 << 3, /* [ scalars ] */
	SL_LIST = 1 << 4,  /* ( groups ) */
	SL_GROUP = 1 << 5,
};

struct sl_field {
	const char *name;
	unsigned int types; /* enum sl_field_type, those allowed */
	int (*read)(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		    void *record);
	const char *example;
	bool required;
	size_t at, size; /* SL_MEMBER: where the standard readers store the value */
	long long min, max;
	const struct sl_word *words;
};

#define SL_MEMBER(record, member)                                                                  \
	.at = offsetof(struct record, member), .size = sizeof(((struct record *)0)->member)

struct sl_group {
	const char *path; /* the title in docs/configuration.md */
	const struct sl_field *field;
	size_t n_fields;
};

#define SL_GROUP_OF(path, fields)                                                                  \
	{                                                                                          \
		path, fields, sizeof(fields) / sizeof((fields)[0])                                 \
	}

extern const struct sl_group sl_group_root;
extern const struct sl_group sl_group_dataplane;
extern const struct sl_group sl_group_port;
extern const struct sl_group sl_group_capacity;
extern const struct sl_group sl_group_next_hop;
extern const struct sl_group sl_group_snat_pool;
extern const struct sl_group sl_group_service;
extern const struct sl_group sl_group_limit;
extern const struct sl_group sl_group_backend;
extern const struct sl_group sl_group_health;

int sl_group_read(struct sl_reader *r, const struct sl_group *group, config_setting_t *setting,
		  void *record);

/* Standard readers of one field. They store a value of `size` bytes at record + at. */
int sl_read_integer(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_bool(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_name(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_path(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_address(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_duration(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_word(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_choice(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);

/* "10.0.0.0/8" or a bare address, into a struct sl_config_next_hop. */
int sl_read_prefix(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);

/* Modes (mode.c): readers of a struct sl_config_source for either family, and a check of all fields
 * of a service together. */
extern const struct sl_word sl_mode_words[];
extern const struct sl_word sl_refusal_words[];
int sl_read_tunnel_source(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_tunnel_source6(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_mss(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_mode_check(struct sl_reader *r, struct sl_config_service *service,
		  config_setting_t *setting);

/* SNAT pools (pool.c): reads all pools; reads the name of a service's pool; checks all fields of a
 * service together, its backends included. */
int sl_read_snat_pools(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_snat_pool_name(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_snat_pool_check(struct sl_reader *r, const struct sl_config_service *service,
		       config_setting_t *setting);

/* Services beside each other (service_checks.c). `list`: of the file; NULL: none is. */
int sl_services_check(struct sl_reader *r, const struct sl_config *config,
		      const config_setting_t *list);

/* Whether the services of each affinity group are alike. */
int sl_affinity_groups_check(struct sl_reader *r, const struct sl_config *config);

/* Server ids (quic.c): reads one into a struct sl_config_backend; checks all fields of a service
 * together, and all its backends. */
int sl_read_server_id(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_quic_check(struct sl_reader *r, const struct sl_config_service *service,
		  config_setting_t *setting);
int sl_quic_check_backends(struct sl_reader *r, const struct sl_config_service *service,
			   config_setting_t *list);

/* Health checks (health.c): reads a service's; checks all fields of a service together, its
 * backends included. */
int sl_read_health(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_health_check_conf(struct sl_reader *r, const struct sl_config_service *service,
			 config_setting_t *setting);

/* Readers of whole groups, and the defaults where the group is missing. */
int sl_read_dataplane(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_next_hops(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_direct_from(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_services(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
int sl_read_limits(struct sl_reader *, const struct sl_field *, config_setting_t *, void *);
void sl_capacity_default(struct sl_config_capacity *capacity);

/* Both return -EINVAL and write "FILE:LINE: PATH: …" into the error. sl_fail_in() blames the member
 * of that name in a group, or the group itself where the member is missing. */
int sl_fail(struct sl_reader *r, const config_setting_t *setting, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int sl_fail_in(struct sl_reader *r, const config_setting_t *group, const char *member,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "line 12", or "other.conf:12" when that isn't the file of `here`. */
#define SL_WHERE_TEXT (SL_PATH_MAX + 16)
const char *sl_where(const struct sl_reader *r, const config_setting_t *setting,
		     const config_setting_t *here, char text[SL_WHERE_TEXT]);

/* The path by which a file that libconfig names can be opened. */
const char *sl_source_file(const struct sl_reader *r, const char *name, char path[SL_PATH_MAX]);

/* Finds the first record that equals an earlier one. Returns 1 and both indices, 0, or -ENOMEM. */
int sl_duplicate(const void *records, size_t n, size_t size,
		 int (*compare)(const void *, const void *), size_t *first, size_t *second);

/* Checks that libconfig kept the value of every integer in the file. */
int sl_wide_check(struct sl_reader *r, const config_t *file);

/* Text alone (text.c): 0 or -EINVAL, without a message: the caller knows a better one. */
int sl_text_duration(const char *text, uint64_t *ms);
int sl_text_size(const char *text, uint64_t *bytes);
int sl_text_mac(const char *text, uint8_t mac[6]);
int sl_text_addr(const char *text, union sl_addr *addr);
unsigned int sl_text_distance(const char *a, const char *b);

/* Ranges (rate.c). `text`: the rate as messages show it. 0, or -EINVAL with a message. */
int sl_rate_check(uint8_t unit, uint64_t rate, const char *text, char error[SL_ERROR_MAX]);
int sl_burst_check(uint8_t unit, uint64_t rate, uint64_t burst, char error[SL_ERROR_MAX]);

#endif
