/* SPDX-License-Identifier: BSD-2-Clause */
#include "health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../config/endpoint.h"
#include "../desired/operators.h"
#include "../transaction/transaction.h"
#include "saved.h"
#include "tls.h"

#define MS 1000000ull

enum {
	SETTLE_MS = 20, /* changes within this time become one generation */
	AGAIN_MS = 1000,
	SLOW_MS = 1000, /* between steps of weights that grow */
	SLACK_MS = 20,	/* by which a tick may be late without being late */
	LINES = 32,	/* of the log, in a second */
	SAVING = 20,	/* after a save as many times as long as it took nothing is saved */
};

/* Groups */

static size_t place_of(const struct sl_health *health, const char *name)
{
	size_t first = 0, n = health->n_groups;

	while (first < n) {
		size_t middle = first + (n - first) / 2;

		if (strcmp(health->group[middle]->name, name) < 0)
			first = middle + 1;
		else
			n = middle;
	}
	return first;
}

/* NULL: no memory. */
static struct sl_check_group *get_group(struct sl_health *health, const char *name)
{
	size_t at = place_of(health, name);
	struct sl_check_group **more, *group;

	if (at < health->n_groups && strcmp(health->group[at]->name, name) == 0)
		return health->group[at];
	more = realloc(health->group, (health->n_groups + 1) * sizeof(*more));
	if (more)
		health->group = more;
	group = more ? calloc(1, sizeof(*group)) : NULL;
	if (!group)
		return NULL;
	memmove(more + at + 1, more + at, (health->n_groups - at) * sizeof(*more));
	more[at] = group;
	health->n_groups++;
	snprintf(group->name, sizeof(group->name), "%s", name);
	group->health = health;
	LIST_INIT(&group->checks);
	return group;
}

static void free_group(struct sl_check_group *group)
{
	SSL_CTX_free(group->tls);
	free(group);
}

/* The layer */

static struct sl_check *check_of(const struct sl_health_verdict *v)
{
	return (struct sl_check *)((char *)(uintptr_t)v - offsetof(struct sl_check, v));
}

static int by_place(const void *a, const void *b)
{
	const struct sl_health_verdict *const *left = a, *const *right = b;

	return sl_health_compare(*left, *right);
}

static int add_verdict(struct sl_control *c, struct sl_check *check)
{
	struct sl_health_verdict **more = realloc(c->verdict, (c->n_verdicts + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	c->verdict = more;
	more[c->n_verdicts++] = &check->v;
	return 0;
}

static void sort_verdicts(struct sl_control *c)
{
	if (c->n_verdicts)
		qsort(c->verdict, c->n_verdicts, sizeof(*c->verdict), by_place);
}

/* Telling */

void sl_health_changed(struct sl_check *check)
{
	struct sl_health *health = check->group->health;
	const struct sl_health_verdict *v = &check->v;
	char endpoint[SL_ENDPOINT_TEXT];

	if (!health->dirty)
		health->dirty_ns = sl_clock_ns();
	health->dirty = check->group->dirty = true;
	if (health->lines++ >= LINES) {
		health->left_out++;
		return;
	}
	sl_endpoint_format(&v->addr, v->port, endpoint);
	if (v->state == SL_HEALTH_DOWN)
		sl_log("service %s: backend %s (%s) is down: %s (%u in a row)", v->service,
		       check->name, endpoint, v->cause, check->count.failed);
	else
		sl_log("service %s: backend %s (%s) is up (%u in a row passed)", v->service,
		       check->name, endpoint, check->count.passed);
}

static void count_lines(struct sl_health *health, uint64_t now_ns)
{
	uint64_t second = now_ns / (1000 * MS);

	if (second == health->second)
		return;
	if (health->left_out)
		sl_log("%u more changes of health within a second, see `sluicectl backend list`",
		       health->left_out);
	health->second = second;
	health->lines = health->left_out = 0;
}

/* Following the model */

static bool is_checked(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_READY || (b->state == SL_STATE_DRAINING && !b->maintenance);
}

static int begin_check(struct sl_check_group *group, const struct sl_model_backend *b,
		       struct sl_check *check)
{
	struct sl_control *c = group->health->c;
	bool kept = check != NULL;
	uint64_t now = sl_clock_ns();

	if (!kept) {
		check = sl_check_new(group->name, &b->addr, b->port);
		if (!check || add_verdict(c, check) != 0) {
			sl_check_free(check);
			return -ENOMEM;
		}
		sl_health_begin_state(&check->v, &check->count, &group->conf,
				      !(b->held >> SL_LAYER_HEALTH & 1), (uint64_t)time(NULL));
		check->v.held = sl_health_holds(&check->v, &check->count, false);
		check->v.share = SL_SHARE_WHOLE;
	}
	group->slow |= check->v.share < SL_SHARE_WHOLE;
	if (check->v.panic && !group->panic.on)
		group->panic = (struct sl_health_panic){ .on = true, .since_ns = now };
	check->group = group;
	LIST_INSERT_HEAD(&group->checks, check, next);
	return sl_check_start(check, now);
}

static int follow_backend(struct sl_check_group *group, const struct sl_model_backend *b,
			  size_t sorted)
{
	struct sl_control *c = group->health->c;
	const struct sl_health_verdict *v =
		sl_health_find(c->verdict, sorted, group->name, &b->addr, b->port);
	struct sl_check *check = v ? check_of(v) : NULL;
	int err = check && check->group ? 0 : begin_check(group, b, check);

	if (err)
		return err;
	if (!check)
		check = LIST_FIRST(&group->checks);
	memcpy(check->name, b->name, sizeof(check->name));
	check->others = b->held & ~(1u << SL_LAYER_HEALTH);
	check->met = true;
	return 0;
}

/* Checks that run go by the old one; they begin anew. */
static void set_conf(struct sl_check_group *group, const struct sl_health_conf *conf)
{
	struct sl_check *check;

	if (sl_health_conf_same(&group->conf, conf))
		return;
	memcpy(&group->conf, conf, sizeof(*conf));
	SSL_CTX_free(group->tls);
	group->tls = NULL;
	LIST_FOREACH(check, &group->checks, next)
	sl_check_start(check, sl_clock_ns());
	group->dirty = true; /* the panic threshold may be another */
	if (!group->health->dirty)
		group->health->dirty_ns = sl_clock_ns();
	group->health->dirty = true;
}

/* Who isn't in the model any more. */
static void drop_unmet(struct sl_health *health)
{
	struct sl_control *c = health->c;
	size_t kept = 0;

	for (size_t i = 0; i < c->n_verdicts; i++) {
		struct sl_check *check = check_of(c->verdict[i]);

		if (check->met)
			c->verdict[kept++] = &check->v;
		else
			sl_check_free(check);
		check->met = false;
	}
	health->unsaved |= kept != c->n_verdicts;
	c->n_verdicts = kept;
	kept = 0;
	for (size_t i = 0; i < health->n_groups; i++) {
		if (health->group[i]->met)
			health->group[kept++] = health->group[i];
		else
			free_group(health->group[i]);
	}
	health->n_groups = kept;
	for (size_t i = 0; i < kept; i++)
		health->group[i]->met = false;
}

static int follow_service(struct sl_health *health, const struct sl_model_service *s, size_t sorted)
{
	struct sl_check_group *group = get_group(health, s->conf.name);
	int err = group ? 0 : -ENOMEM;

	if (err)
		return err;
	group->met = true;
	set_conf(group, &s->conf.health);
	for (uint32_t i = 0; i < s->n && !err; i++)
		if (is_checked(&s->backend[i]))
			err = follow_backend(group, &s->backend[i], sorted);
	return err;
}

static void follow(struct sl_health *health)
{
	struct sl_control *c = health->c;
	uint64_t live = sl_store_root(&c->store)->generation;
	size_t sorted = c->n_verdicts;
	int err = 0;

	if (live == health->followed)
		return;
	for (size_t i = 0; i < c->model->n && !err; i++)
		if (c->model->service[i]->conf.health.kind != SL_HEALTH_NONE)
			err = follow_service(health, c->model->service[i], sorted);
	if (err) {
		sl_log("health checks: %s", strerror(-err)); /* the next generation tries again */
		return;
	}
	health->followed = live;
	drop_unmet(health);
	sort_verdicts(c);
	c->health_figures.checks = (uint32_t)c->n_verdicts;
}

/* Applying */

static void settle(struct sl_transaction *t)
{
	struct sl_health *health = t->c->health;

	if (t->err && !health->failed)
		sl_log("health can't be applied, and is tried again each second: %s", t->error);
	health->failed = t->err != 0;
	health->failed_ns = sl_clock_ns();
	health->wants = t->err != 0;
}

static void quiet(struct sl_transaction *t)
{
	(void)t; /* settle() has said it, once */
}

static void apply(struct sl_health *health, const char *service)
{
	struct sl_transaction *t = sl_transaction_begin(health->c, "health", "checks");

	if (!t)
		return;
	if (service)
		snprintf(t->service, sizeof(t->service), "%s", service);
	t->settle = settle;
	t->ended = quiet;
	health->wants = false;
	sl_transaction_run(t);
}

static void update_panic(struct sl_check_group *group, uint64_t now_ns)
{
	const struct sl_check *check;
	uint32_t up = 0, known = 0;

	LIST_FOREACH(check, &group->checks, next)
	{
		if (check->others || check->v.state == SL_HEALTH_CHECKING)
			continue;
		known++;
		up += check->v.state == SL_HEALTH_UP;
	}
	if (!sl_health_panic_update(&group->panic, &group->conf, up, known, now_ns))
		return;
	if (group->panic.on)
		sl_log("service %s: panic: %u of %u backends are up, fewer than %u%%: all are used",
		       group->name, up, known, group->conf.panic);
	else
		sl_log("service %s: panic ends: %u of %u backends are up", group->name, up, known);
}

/* What the states mean for connections; true: something else than before. */
static bool update_verdicts(struct sl_check_group *group, uint64_t now_ns)
{
	uint64_t now_s = (uint64_t)time(NULL);
	struct sl_check *check;
	bool changed = false;

	group->slow = false;
	update_panic(group, now_ns);
	LIST_FOREACH(check, &group->checks, next)
	{
		struct sl_health_verdict *v = &check->v;
		bool held = sl_health_holds(v, &check->count, group->panic.on);
		uint8_t share = sl_health_share(v, &group->conf, now_s);

		changed |= held != v->held || share != v->share;
		group->slow |= share < SL_SHARE_WHOLE;
		v->held = held;
		v->share = share;
		v->panic = group->panic.on && v->state == SL_HEALTH_DOWN;
	}
	group->dirty = false;
	return changed;
}

/* All that has changed, by one transaction. */
static void update(struct sl_health *health, uint64_t now_ns)
{
	const char *one = NULL;
	uint32_t changed = 0;

	/* While automation is frozen states change and verdicts don't. */
	for (size_t i = 0; !health->frozen && i < health->n_groups; i++) {
		struct sl_check_group *group = health->group[i];

		if ((group->dirty || group->panic.on || group->slow) &&
		    update_verdicts(group, now_ns)) {
			one = group->name;
			changed++;
		}
	}
	health->unsaved |= health->dirty;
	health->dirty = false;
	if (changed || health->wants)
		apply(health, changed == 1 && !health->wants ? one : NULL);
}

static bool any_panic(const struct sl_health *health)
{
	for (size_t i = 0; i < health->n_groups; i++)
		if (health->group[i]->panic.on)
			return true;
	return false;
}

/* Whether weights that grow are due. Those of all services grow together, once a second, since each
 * generation opens rows. */
static bool slow_start_is_due(struct sl_health *health, uint64_t now_ns)
{
	if (now_ns - health->slow_ns < SLOW_MS * MS)
		return false;
	for (size_t i = 0; i < health->n_groups; i++) {
		if (!health->group[i]->slow)
			continue;
		health->slow_ns = now_ns;
		health->unsaved = true;
		return true;
	}
	return false;
}

static void save(struct sl_health *health, uint64_t now_ns)
{
	char error[SL_ERROR_MAX];
	int err;

	if (!health->unsaved || now_ns < health->save_from_ns)
		return;
	err = sl_health_save(health, error);
	health->save_from_ns = sl_clock_ns() + SAVING * (sl_clock_ns() - now_ns);
	if (err)
		health->save_from_ns += AGAIN_MS * MS;
	if (err && !health->c->health_unsaved[0])
		sl_log("states of health can't be saved, and a restart would find them anew: %s",
		       error);
	snprintf(health->c->health_unsaved, sizeof(health->c->health_unsaved), "%s",
		 err ? error : "");
	health->unsaved = err != 0;
}

/* Notes whether automation is frozen. When that ends, all states count again. */
static void follow_freeze(struct sl_health *health, uint64_t now_ns)
{
	bool frozen = health->c->operators->frozen != 0;

	for (size_t i = 0; health->frozen && !frozen && i < health->n_groups; i++)
		health->group[i]->dirty = true;
	if (health->frozen && !frozen) {
		health->dirty = true;
		health->dirty_ns = now_ns;
	}
	health->frozen = frozen;
}

void sl_health_tick(struct sl_control *c, uint32_t every_ms)
{
	struct sl_health *health = c->health;
	uint64_t now = sl_clock_ns();
	bool waits;

	health->lateness.every_ns = every_ms * MS;
	health->lateness.slack_ns = SLACK_MS * MS;
	sl_lateness_tick(&health->lateness, now);
	sl_probe_reap();
	if (sl_publishing(c))
		return;
	follow(health);
	follow_freeze(health, now);
	count_lines(health, now);
	waits = health->failed && now - health->failed_ns < AGAIN_MS * MS;
	if (!waits && (health->wants || any_panic(health) || slow_start_is_due(health, now) ||
		       (health->dirty && now - health->dirty_ns >= SETTLE_MS * MS)))
		update(health, now);
	save(health, now);
}

/* Beginning and ending */

static void take_kept(void *context, const struct sl_health_verdict *v)
{
	struct sl_control *c = context;
	struct sl_check *check = sl_check_new(v->service, &v->addr, v->port);

	if (!check || add_verdict(c, check) != 0) {
		sl_check_free(check);
		return;
	}
	check->v = *v;
	if (!c->operators->frozen)
		check->v.held = sl_health_saved_holds(v);
}

int sl_health_open(struct sl_control *c)
{
	c->health = calloc(1, sizeof(*c->health));
	if (!c->health)
		return -ENOMEM;
	c->health->c = c;
	sl_health_load(c->config.state_dir, take_kept, c);
	sort_verdicts(c);
	return 0;
}

void sl_health_close(struct sl_control *c)
{
	struct sl_health *health = c->health;
	char error[SL_ERROR_MAX];

	if (!health)
		return;
	if (health->unsaved && sl_health_save(health, error) != 0)
		sl_log("states of health can't be saved: %s", error);
	for (size_t i = 0; i < c->n_verdicts; i++)
		sl_check_free(check_of(c->verdict[i]));
	for (size_t i = 0; i < health->n_groups; i++)
		free_group(health->group[i]);
	free(health->group);
	free(c->verdict);
	free(health);
	c->health = NULL;
	c->verdict = NULL;
	c->n_verdicts = 0;
}
