/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "process.h"

enum { OWN_MOST = 8 };

static const struct option common[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* Appends options, and to `letters` those that have a short form: not the words of their own that
 * take no argument, which nobody should give by mistake. */
static size_t append(struct option *all, size_t n, char *letters, const struct option *more)
{
	char *at = letters + strlen(letters);

	for (; more->name; more++) {
		all[n++] = *more;
		if (more->has_arg == no_argument && more->val != 'v' && more->val != 'h')
			continue;
		*at++ = (char)(more->val == 'v' ? 'V' : more->val);
		if (more->has_arg == required_argument)
			*at++ = ':';
	}
	*at = '\0';
	return n;
}

int sl_daemon_options_read(int argc, char **argv, const char *usage, const struct option *own,
			   struct sl_daemon_options *options)
{
	struct option all[OWN_MOST + sizeof(common) / sizeof(common[0])] = { 0 };
	char letters[2 * sizeof(all) / sizeof(all[0])] = "";
	int letter;

	append(all, append(all, 0, letters, common), letters, own);
	*options = (struct sl_daemon_options){ 0 };
	while ((letter = getopt_long(argc, argv, letters, all, NULL)) != -1) {
		if (letter == 'V' || letter == 'v') {
			printf("%s %s\n", program_invocation_short_name, SL_VERSION);
			return SL_EXIT_OK;
		}
		if (letter == 'h') {
			fputs(usage, stdout);
			return SL_EXIT_OK;
		}
		if (letter == '?')
			goto wrong;
		options->given |= 1u << (letter - 'a');
		if (optarg)
			options->file = optarg;
	}
	if (options->file && optind == argc)
		return SL_DAEMON_GOES_ON;
wrong:
	fputs(usage, stderr);
	return SL_EXIT_USAGE;
}

struct sl_store_where sl_daemon_where(const struct sl_config *config)
{
	return (struct sl_store_where){ .huge = config->dataplane.tables == SL_TABLES_HUGE,
					.instance = config->instance,
					.bpf_dir = config->bpf_dir,
					.huge_dir = config->huge_dir };
}

int sl_daemon_configure(const char *file, struct sl_config *config, struct sl_store_where *where)
{
	char error[SL_ERROR_MAX];
	int err;

	sl_descriptors_raise();
	err = sl_config_read(file, config, error);
	if (err) {
		sl_log("%s", error);
		sl_descriptors_log(err);
		return sl_config_status(err);
	}
	*where = sl_daemon_where(config);
	return SL_DAEMON_GOES_ON;
}
