/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits: their words, their defaults and their rules, for the file and for commands; and the list
 * of a service's limits in the file.
 *
 * sl_config_check_limit() checks a single limit. No two limits of a service are the same
 * (sl_limit_same(), by which a limit is recognised after a reload or a restart), and at most
 * SL_SHARED_BUCKET_PLANES are per backend.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../dataplane/abi/limit.h"
#include "parse.h"

#define PREFIX4_DEFAULT 32 /* each address is a client of its own */
#define PREFIX6_DEFAULT 128

const struct sl_word sl_limit_scopes[] = {
	{ "flow", SL_SCOPE_FLOW },
	{ "client", SL_SCOPE_CLIENT },
	{ "backend", SL_SCOPE_BACKEND },
	{ "service", SL_SCOPE_SERVICE },
	{ NULL, 0 },
};
const struct sl_word sl_limit_units[] = {
	{ "bits", SL_UNIT_BYTES },
	{ "packets", SL_UNIT_PACKETS },
	{ "connections", SL_UNIT_CONNECTIONS },
	{ NULL, 0 },
};
const struct sl_word sl_limit_directions[] = {
	{ "to", SL_TO_BACKEND },
	{ "from", SL_FROM_BACKEND },
	{ "both", SL_TO_BACKEND | SL_FROM_BACKEND },
	{ NULL, 0 },
};
const struct sl_word sl_limit_actions[] = {
	{ "drop", SL_ACTION_DROP },
	{ "mark", SL_ACTION_MARK },
	{ "observe", SL_ACTION_OBSERVE },
	{ NULL, 0 },
};

const char *sl_word_text(const struct sl_word *words, uint32_t value)
{
	for (; words->text; words++)
		if (words->value == value)
			return words->text;
	return NULL;
}

const struct sl_word *sl_word_find(const struct sl_word *words, const char *text)
{
	for (; words->text; words++)
		if (!strcmp(words->text, text))
			return words;
	return NULL;
}

void sl_limit_default(struct sl_config_limit *l)
{
	if (!l->direction)
		l->direction = l->unit == SL_UNIT_CONNECTIONS ? SL_TO_BACKEND
							      : SL_TO_BACKEND | SL_FROM_BACKEND;
	if (l->scope != SL_SCOPE_CLIENT)
		return;
	if (!l->prefix4)
		l->prefix4 = PREFIX4_DEFAULT;
	if (!l->prefix6)
		l->prefix6 = PREFIX6_DEFAULT;
}

bool sl_limit_same(const struct sl_config_limit *a, const struct sl_config_limit *b)
{
	return a->scope == b->scope && a->unit == b->unit && a->direction == b->direction &&
	       a->prefix4 == b->prefix4 && a->prefix6 == b->prefix6;
}

static int refuse(char error[SL_ERROR_MAX], const char *why)
{
	snprintf(error, SL_ERROR_MAX, "%s", why);
	return -EINVAL;
}

/* Checks which settings go together, apart from their numbers. */
static int check_combination(const struct sl_config_limit *l, bool udp_flowless,
			     char error[SL_ERROR_MAX])
{
	bool connections = l->unit == SL_UNIT_CONNECTIONS;

	if (connections && l->scope == SL_SCOPE_FLOW)
		return refuse(error, "a flow is one connection: a rate of connections can't be per "
				     "\"flow\"; give \"client\", \"backend\" or \"service\"");
	if (connections && l->direction != SL_TO_BACKEND)
		return refuse(error, "connections are counted as they come from clients; give the "
				     "direction \"to\" or leave it out");
	if (connections && l->action == SL_ACTION_MARK)
		return refuse(error, "a new connection can't be marked; give the action \"drop\" "
				     "or \"observe\"");
	if (udp_flowless && l->scope == SL_SCOPE_FLOW)
		return refuse(error, "the service has flows = \"none\"; give \"client\", "
				     "\"backend\" or \"service\" instead of per \"flow\"");
	if (udp_flowless && connections)
		return refuse(error, "the service has flows = \"none\", so that no packet is a "
				     "flow's first; limit packets instead, such as \"10kpps\"");
	return 0;
}

static int check_prefixes(const struct sl_config_limit *l, char error[SL_ERROR_MAX])
{
	if (l->scope != SL_SCOPE_CLIENT && (l->prefix4 || l->prefix6))
		return refuse(error, "prefix lengths are for limits per \"client\" alone; leave "
				     "them out");
	if (l->scope != SL_SCOPE_CLIENT)
		return 0;
	if (l->prefix4 < 1 || l->prefix4 > 32)
		return refuse(error, "the prefix length of IPv4 clients is out of range; give 1 to "
				     "32");
	if (l->prefix6 < 1 || l->prefix6 > 128)
		return refuse(error, "the prefix length of IPv6 clients is out of range; give 1 to "
				     "128");
	return 0;
}

int sl_config_check_limit(const struct sl_config_limit *l, bool udp_flowless,
			  char error[SL_ERROR_MAX])
{
	char text[SL_LIMIT_TEXT];
	int err;

	if (l->scope >= SL_SCOPES || l->unit >= SL_UNITS || l->action >= SL_ACTIONS ||
	    !sl_word_text(sl_limit_directions, l->direction))
		return refuse(error, "has a scope, unit, direction or action that isn't known; "
				     "give others");
	err = check_combination(l, udp_flowless, error);
	if (!err)
		err = check_prefixes(l, error);
	if (err)
		return err;
	if (!l->rate) { /* for exceptions only */
		if (l->scope > SL_SCOPE_CLIENT || l->burst)
			return refuse(error, "has no rate; give one, such as \"10Mbit\"");
		return 0;
	}
	err = sl_rate_check(l->unit, l->rate, sl_limit_rate_text(l->unit, l->rate, text), error);
	return err ? err : sl_burst_check(l->unit, l->rate, sl_limit_burst(l), error);
}

static int read_rate(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		     void *record)
{
	struct sl_config_limit *l = record;
	char why[SL_ERROR_MAX];

	(void)field;
	if (sl_config_parse_rate(config_setting_get_string(setting), &l->unit, &l->rate, why))
		return sl_fail(r, setting, "%s", why);
	return 0;
}

/* A bare integer counts bytes, packets or connections. */
static int read_burst(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	const char *text = config_setting_get_string(setting);
	struct sl_config_limit *l = record;
	char why[SL_ERROR_MAX], number[32];

	(void)field;
	if (!text)
		snprintf(number, sizeof(number), "%lld", config_setting_get_int64(setting));
	if (sl_config_parse_burst(text ? text : number, l->unit, l->rate, &l->burst, why))
		return sl_fail(r, setting, "%s", why);
	return 0;
}

static const struct sl_field limit_fields[] = {
	{ "per", SL_STRING, sl_read_word, "per = \"client\";", .required = true,
	  SL_MEMBER(sl_config_limit, scope), .words = sl_limit_scopes },
	{ "rate", SL_STRING, read_rate, "rate = \"10Mbit\";", .required = true,
	  SL_MEMBER(sl_config_limit, rate) },
	{ "burst", SL_INTEGER | SL_STRING, read_burst, "burst = \"64kb\";",
	  SL_MEMBER(sl_config_limit, burst) },
	{ "direction", SL_STRING, sl_read_word, "direction = \"to\";",
	  SL_MEMBER(sl_config_limit, direction), .words = sl_limit_directions },
	{ "action", SL_STRING, sl_read_word, "action = \"observe\";",
	  SL_MEMBER(sl_config_limit, action), .words = sl_limit_actions },
	{ "prefix4", SL_INTEGER, sl_read_integer, "prefix4 = 24;",
	  SL_MEMBER(sl_config_limit, prefix4), .min = 1, .max = 32 },
	{ "prefix6", SL_INTEGER, sl_read_integer, "prefix6 = 56;",
	  SL_MEMBER(sl_config_limit, prefix6), .min = 1, .max = 128 },
};
const struct sl_group sl_group_limit = SL_GROUP_OF("services.limits", limit_fields);

static int check_several(struct sl_reader *r, const struct sl_config_service *service,
			 config_setting_t *list)
{
	char where[SL_WHERE_TEXT];
	config_setting_t *here;
	unsigned int i, j, of_backends = 0;

	for (i = 0; i < service->n_limits; i++) {
		here = config_setting_get_elem(list, i);
		of_backends += service->limit[i].scope == SL_SCOPE_BACKEND;
		if (of_backends > SL_SHARED_BUCKET_PLANES)
			return sl_fail(r, here,
				       "is one too many per \"backend\"; a service has at most "
				       "%d, leave one of them out",
				       SL_SHARED_BUCKET_PLANES);
		for (j = 0; j < i; j++)
			if (sl_limit_same(&service->limit[j], &service->limit[i]))
				return sl_fail(
					r, here,
					"is of the scope, unit, direction and prefix lengths of "
					"the one on %s; leave one of them out",
					sl_where(r, config_setting_get_elem(list, j), here, where));
	}
	return 0;
}

int sl_read_limits(struct sl_reader *r, const struct sl_field *field, config_setting_t *list,
		   void *record)
{
	int n = config_setting_length(list), i, err;
	struct sl_config_service *service = record;
	char why[SL_ERROR_MAX];

	(void)field;
	if (n > SL_LIMITS_MAX)
		return sl_fail(r, list, "has %d limits; a service has room for %d, leave some out",
			       n, SL_LIMITS_MAX);
	service->n_limits = (size_t)n;
	for (i = 0; i < n; i++) {
		config_setting_t *setting = config_setting_get_elem(list, (unsigned int)i);
		struct sl_config_limit *l = &service->limit[i];

		l->line = (int)setting->line;
		err = sl_group_read(r, &sl_group_limit, setting, l);
		if (err)
			return err;
		sl_limit_default(l);
		if (sl_config_check_limit(l, service->flowless, why))
			return sl_fail(r, setting, "%s", why);
	}
	return check_several(r, service, list);
}
