/* SPDX-License-Identifier: BSD-2-Clause */
/* A limit: its words, what it is by default, and the rules that it has to keep, for the file and
 * for commands alike.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../dataplane/abi/limit.h"
#include "parse.h"

#define PREFIX4_DEFAULT 32 /* each address is a client */
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

/* What doesn't go together, numbers aside. */
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
	if (!l->rate) { /* of exceptions alone */
		if (l->scope > SL_SCOPE_CLIENT || l->burst)
			return refuse(error, "has no rate; give one, such as \"10Mbit\"");
		return 0;
	}
	err = sl_rate_check(l->unit, l->rate, sl_limit_rate_text(l->unit, l->rate, text), error);
	return err ? err : sl_burst_check(l->unit, l->rate, sl_limit_burst(l), error);
}
