/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: read by libconfig, converted to a struct sl_config.
 *
 * libconfig knows the syntax and the line of each setting. The tables of fields here, in
 * dataplane.c and in service.c say which settings there may be. A file is accepted or refused as a
 * whole: the first mistake ends the reading, and the caller keeps its old configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parse.h"

#define RUN_DIR_MAX 88 /* a socket path has at most 107 characters, 18 of them the name */

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* The slot keys: SplitMix64, seeded with the FNV-1a hash (64 bits) of the group's name. Gateways of
 * different versions have to agree on them, so this must never change. */
static void derive_slot_key(const char *group, uint64_t key[3])
{
	uint64_t state = 0xcbf29ce484222325ull;
	int i;

	for (; *group; group++)
		state = (state ^ (unsigned char)*group) * 0x100000001b3ull;
	for (i = 0; i < 3; i++)
		key[i] = splitmix64(&state);
}

static int read_group(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	const struct sl_field into_name = { .at = 0 };
	char name[SL_NAME_MAX];
	int err = sl_read_name(r, &into_name, setting, name);

	(void)field;
	if (!err)
		derive_slot_key(name, ((struct sl_config *)record)->slot_key);
	return err;
}

static int read_instance(struct sl_reader *r, const struct sl_field *field,
			 config_setting_t *setting, void *record)
{
	int err = sl_read_name(r, field, setting, record);

	if (!err && strchr(r->config->instance, '.'))
		return sl_fail(r, setting,
			       "\"%s\" has a dot, which the kernel keeps for itself in "
			       "names of pins; give a name without",
			       r->config->instance);
	return err;
}

static const struct sl_field root_fields[] = {
	{ "instance", SL_STRING, read_instance, "instance = \"main\";",
	  SL_MEMBER(sl_config, instance) },
	{ "group", SL_STRING, read_group, "group = \"edge\";", SL_MEMBER(sl_config, slot_key) },
	{ "run_dir", SL_STRING, sl_read_path, "run_dir = \"/run/sluice/main\";",
	  SL_MEMBER(sl_config, run_dir), .max = RUN_DIR_MAX },
	{ "state_dir", SL_STRING, sl_read_path, "state_dir = \"/var/lib/sluice/main\";",
	  SL_MEMBER(sl_config, state_dir), .max = SL_PATH_MAX - SL_NAME_MAX },
	{ "bpf_dir", SL_STRING, sl_read_path, "bpf_dir = \"/sys/fs/bpf/sluice/main\";",
	  SL_MEMBER(sl_config, bpf_dir), .max = SL_PATH_MAX - SL_NAME_MAX },
	{ "huge_dir", SL_STRING, sl_read_path, "huge_dir = \"/dev/hugepages\";",
	  SL_MEMBER(sl_config, huge_dir), .max = SL_PATH_MAX - SL_NAME_MAX },
	{ "tunnel_source", SL_STRING, sl_read_tunnel_source, "tunnel_source = \"192.0.2.1\";",
	  SL_MEMBER(sl_config, source) },
	{ "tunnel_source6", SL_STRING, sl_read_tunnel_source6,
	  "tunnel_source6 = \"2001:db8:1::1\";", SL_MEMBER(sl_config, source6) },
	{ "closed_ports", SL_STRING, sl_read_word, "closed_ports = \"reject\";",
	  SL_MEMBER(sl_config, vip_rejects), .words = sl_refusal_words },
	{ "dataplane", SL_GROUP, sl_read_dataplane, "dataplane: { cores = [ 1 ]; ports = ( … ); };",
	  .required = true },
	{ "next_hops", SL_LIST, sl_read_next_hops,
	  "next_hops = ( { prefix = \"0.0.0.0/0\"; port = \"client\"; mac = \"…\"; } );",
	  SL_MEMBER(sl_config, next_hop) },
	{ "direct_from", SL_ARRAY, sl_read_direct_from, "direct_from = [ \"10.9.0.0/16\" ];",
	  SL_MEMBER(sl_config, direct_from) },
	/* Read before services, which name them. */
	{ "pools", SL_LIST, sl_read_snat_pools,
	  "pools = ( { name = \"out\"; addresses = [ \"10.1.0.64/30\" ]; } );",
	  SL_MEMBER(sl_config, pool) },
	{ "services", SL_LIST, sl_read_services,
	  "services = ( { name = \"web\"; vip = \"203.0.113.10\"; … } );",
	  SL_MEMBER(sl_config, service) },
};
const struct sl_group sl_group_root = SL_GROUP_OF("The file itself", root_fields);

static void default_dirs(struct sl_config *config)
{
	const struct {
		char *dir;
		const char *parent;
	} dirs[] = {
		{ config->run_dir, "/run/sluice" },
		{ config->state_dir, "/var/lib/sluice" },
		{ config->bpf_dir, "/sys/fs/bpf/sluice" },
	};
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (!*dirs[i].dir)
			snprintf(dirs[i].dir, SL_PATH_MAX, "%s/%s", dirs[i].parent,
				 config->instance);
	if (!*config->huge_dir)
		strcpy(config->huge_dir, "/dev/hugepages");
}

/* libconfig says what it found; this says what to do about it. */
static int syntax_error(struct sl_reader *r, const config_t *file)
{
	static const struct {
		const char *text, *advice;
	} advices[] = {
		{ "syntax error",
		  "look there and on the line before for a missing ; or an open quote or bracket" },
		{ "duplicate setting name", "keep one of the two fields" },
		{ "mismatched element type in array", "give [ ] values of one type" },
		{ "cannot open include file",
		  "give its path from the main file's directory, without a leading /" },
		{ "include file nesting too deep", "a file includes itself: break the circle" },
	};
	const char *text = config_error_text(file), *advice = "correct it";
	char path[SL_PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (!strcmp(text, advices[i].text))
			advice = advices[i].advice;
	snprintf(r->error, SL_ERROR_MAX, "%s:%d: %s; %s",
		 sl_source_file(r, config_error_file(file), path), config_error_line(file), text,
		 advice);
	return -EINVAL;
}

static int unreadable(struct sl_reader *r, int err, const char *why)
{
	snprintf(r->error, SL_ERROR_MAX, "%s: can't be read: %s; give the path of a file that can",
		 r->config->file, why);
	return -err;
}

/* Only a regular file can be read again, on the next reload. */
static int check_readable(struct sl_reader *r)
{
	struct stat st;

	if (stat(r->config->file, &st) == -1 || access(r->config->file, R_OK) == -1)
		return unreadable(r, errno, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return unreadable(r, EINVAL, "not a regular file");
	return 0;
}

static int read_file(struct sl_reader *r, config_t *file)
{
	int err = check_readable(r);

	if (err)
		return err;
	if (*r->dir)
		config_set_include_dir(file, r->dir);
	errno = 0; /* libconfig doesn't say why it couldn't open it */
	if (config_read_file(file, r->config->file) == CONFIG_FALSE)
		return config_error_type(file) == CONFIG_ERR_PARSE
			       ? syntax_error(r, file)
			       : unreadable(r, errno ? errno : EIO, strerror(errno ? errno : EIO));
	err = sl_wide_check(r, file);
	if (err)
		return err;
	err = sl_group_read(r, &sl_group_root, config_root_setting(file), r->config);
	if (!err)
		default_dirs(r->config);
	return err;
}

int sl_config_read(const char *file, struct sl_config *config, char error[SL_ERROR_MAX])
{
	struct sl_reader r = { .config = config, .error = error };
	const char *slash = strrchr(file, '/');
	config_t *tree;
	int err;

	memset(config, 0, sizeof(*config));
	error[0] = '\0';
	if (strlen(file) >= SL_PATH_MAX) {
		snprintf(error, SL_ERROR_MAX, "%.64s…: has over %d characters; give a shorter path",
			 file, SL_PATH_MAX - 1);
		return -ENAMETOOLONG;
	}
	strcpy(config->file, file);
	if (slash)
		memcpy(r.dir, file, slash == file ? 1 : (size_t)(slash - file));
	strcpy(config->instance, "main");
	derive_slot_key("sluice", config->slot_key);
	sl_capacity_default(&config->capacity);

	tree = malloc(sizeof(*tree));
	if (!tree)
		return -ENOMEM;
	config_init(tree);
	config->tree = tree;
	err = read_file(&r, tree);
	if (err && !*error)
		snprintf(error, SL_ERROR_MAX, "%s: can't be read: %s; try again", file,
			 strerror(-err));
	if (err)
		sl_config_free(config);
	return err;
}

void sl_config_free(struct sl_config *config)
{
	size_t i;

	for (i = 0; i < config->n_services; i++)
		free(config->service[i].backend);
	free(config->service);
	free(config->pool);
	free(config->next_hop);
	if (config->tree)
		config_destroy(config->tree);
	free(config->tree);
	memset(config, 0, sizeof(*config));
}
