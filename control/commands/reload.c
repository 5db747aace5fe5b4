/* SPDX-License-Identifier: BSD-2-Clause */
#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../config/machine.h"
#include "../desired/changes.h"
#include "../model/shared_endpoints.h"
#include "change.h"

/* Checks the fields that can't change while the instance lives. */
static int check_same_instance(const struct sl_config *old, const struct sl_config *new,
			       char error[SL_ERROR_MAX])
{
	const struct sl_config_dataplane *a = &old->dataplane, *b = &new->dataplane;
	const char *what = NULL;

	if (strcmp(old->instance, new->instance) != 0)
		what = "instance";
	else if (memcmp(&old->capacity, &new->capacity, sizeof(old->capacity)) != 0)
		what = "dataplane.capacity";
	else if (memcmp(old->slot_key, new->slot_key, sizeof(old->slot_key)) != 0)
		what = "group";
	else if (a->n_ports != b->n_ports || a->tables != b->tables)
		what = "dataplane.ports";
	for (size_t i = 0; i < a->n_ports && !what; i++)
		if (strcmp(a->port[i].name, b->port[i].name) != 0 ||
		    strcmp(a->port[i].device, b->port[i].device) != 0 ||
		    a->port[i].queues != b->port[i].queues)
			what = "dataplane.ports";
	if (!what)
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "%s: %s can't change while the instance lives; stop both processes and start "
		 "with `sluice-control --fresh`",
		 new->file, what);
	return -EINVAL;
}

/* Notes changed fields that are read only when a process starts. */
static void note_later(const struct sl_config *old, const struct sl_config *new, json_t *list)
{
	const struct sl_config_dataplane *a = &old->dataplane, *b = &new->dataplane;
	const struct {
		const char *field;
		bool differs;
	} later[] = {
		{ "dataplane.cores",
		  a->n_cores == b->n_cores &&
			  memcmp(a->cores, b->cores, a->n_cores * sizeof(a->cores[0])) != 0 },
		{ "dataplane.main_core", a->main_core != b->main_core },
		{ "dataplane.memory", a->memory_mb != b->memory_mb },
		{ "dataplane.huge_pages", a->huge_pages != b->huge_pages },
		{ "dataplane.idle", a->idle != b->idle },
		{ "run_dir", strcmp(old->run_dir, new->run_dir) != 0 },
		{ "state_dir", strcmp(old->state_dir, new->state_dir) != 0 },
		{ "bpf_dir", strcmp(old->bpf_dir, new->bpf_dir) != 0 },
		{ "huge_dir", strcmp(old->huge_dir, new->huge_dir) != 0 },
	};

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (later[i].differs)
			sl_note(list, "%s: takes effect at the next start", later[i].field);
	if (a->n_cores != b->n_cores)
		sl_note(list, "dataplane.cores: another number of them takes effect when the "
			      "instance is made anew, with `sluice-control --fresh`");
}

static bool same_next_hops(const struct sl_config *a, const struct sl_config *b)
{
	bool same = a->n_next_hops == b->n_next_hops;

	for (size_t i = 0; i < a->n_next_hops && same; i++) {
		const struct sl_config_next_hop *x = &a->next_hop[i], *y = &b->next_hop[i];

		same = sl_addr_equal(&x->prefix, &y->prefix) && x->length == y->length &&
		       x->port == y->port && x->mtu == y->mtu && x->weight == y->weight &&
		       x->vlan == y->vlan && memcmp(x->mac, y->mac, sizeof(x->mac)) == 0;
	}
	return same;
}

static bool same_direct_from(const struct sl_config *a, const struct sl_config *b)
{
	return a->n_direct_from == b->n_direct_from &&
	       memcmp(a->direct_from, b->direct_from, sizeof(a->direct_from)) == 0;
}

/* Notes backends that are shared, or wait, since the change. */
static void note_shared(const struct sl_control *c, const json_t *before, json_t *changes)
{
	json_t *now = json_array(), *text;
	size_t i, k;

	sl_share_list(c->model, now);
	json_array_foreach (now, i, text) {
		for (k = 0; k < json_array_size(before); k++)
			if (json_equal(json_array_get(before, k), text))
				break;
		if (k == json_array_size(before))
			json_array_append(changes, text);
	}
	json_decref(now);
}

static bool same_macs(const struct sl_config_dataplane *a, const struct sl_config_dataplane *b)
{
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->port[i].n_macs != b->port[i].n_macs ||
		    memcmp(a->port[i].macs, b->port[i].macs, sizeof(a->port[i].macs)) != 0)
			return false;
	return true;
}

static bool same_native_vlans(const struct sl_config_dataplane *a,
			      const struct sl_config_dataplane *b)
{
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->port[i].native_vlan != b->port[i].native_vlan)
			return false;
	return true;
}

/* The state of a reload until it has ended. */
struct reload {
	struct sl_transaction *t;
	struct sl_config file; /* the one that isn't in force */
	json_t *later;	       /* sentences about what takes effect later */
	json_t *shared;	       /* sentences about backends that were shared before */
	json_t *answer;
};

/* Exchanges the two configurations. The new one is in force while its generation is being
 * published. If that fails, another exchange restores the old one. */
static void exchange(struct reload *r)
{
	struct sl_control *c = r->t->c;
	struct sl_config other = r->file;

	r->file = c->config;
	c->config = other;
	sl_net_configured(c->net); /* its mirror reads c->config */
}

/* Keeps the old values of fields that can't change while the process runs. */
static void keep_fixed(const struct sl_config *old, struct sl_config *new)
{
	struct sl_config_dataplane desired = new->dataplane;

	new->dataplane = old->dataplane;
	new->dataplane.engine = desired.engine;
	for (size_t i = 0; i < old->dataplane.n_ports; i++) {
		memcpy(new->dataplane.port[i].macs, desired.port[i].macs,
		       sizeof(desired.port[i].macs));
		new->dataplane.port[i].n_macs = desired.port[i].n_macs;
		new->dataplane.port[i].native_vlan = desired.port[i].native_vlan;
	}
	memcpy(new->run_dir, old->run_dir, sizeof(new->run_dir));
	memcpy(new->state_dir, old->state_dir, sizeof(new->state_dir));
	memcpy(new->bpf_dir, old->bpf_dir, sizeof(new->bpf_dir));
	memcpy(new->huge_dir, old->huge_dir, sizeof(new->huge_dir));
}

static void note_network(const struct sl_config *old, const struct sl_config *new, json_t *changes)
{
	if (!same_next_hops(old, new))
		sl_note(changes, "next_hops changed");
	if (!same_direct_from(old, new))
		sl_note(changes, "direct_from changed");
	if (!same_macs(&old->dataplane, &new->dataplane))
		sl_note(changes, "dataplane.ports: macs changed");
	if (!same_native_vlans(&old->dataplane, &new->dataplane))
		sl_note(changes, "dataplane.ports: native_vlan changed");
	if (old->dataplane.engine != new->dataplane.engine)
		sl_note(changes, "dataplane.engine changed");
}

static void free_reload(void *reload)
{
	struct reload *r = reload;

	sl_config_free(&r->file);
	json_decref(r->later);
	json_decref(r->shared);
	free(r);
}

static void settle(struct sl_transaction *t)
{
	struct reload *r = t->settling;
	json_t *live;

	if (t->err) {
		exchange(r);
		/* Catch up on changes of the network that were ignored meanwhile. */
		t->c->follows = true;
		if (t->c->published)
			t->c->published(t->c);
		return;
	}
	sl_operators_prune(t->c->operators, &t->c->config, (uint64_t)time(NULL));
	note_shared(t->c, r->shared, t->notes);
	json_array_extend(t->changes, r->later);
	live = json_array();
	sl_operators_describe(t->c->operators, &t->c->config, live);
	json_object_set_new(r->answer, "live", live);
}

/* Reads the new file, and prepares it to replace the old one. Returns 0, or -errno with a
 * message. */
static int read_new(struct reload *r, char error[SL_ERROR_MAX])
{
	const struct sl_config *old = &r->t->c->config;
	int err = sl_config_read(r->t->c->file, &r->file, error) ? -EINVAL : 0;

	if (!err)
		err = check_same_instance(old, &r->file, error);
	if (err)
		return err;
	note_later(old, &r->file, r->later);
	if (sl_machine_check_cores(&r->file, error) != 0)
		json_array_append_new(r->later, json_string(error));
	keep_fixed(old, &r->file);
	note_network(old, &r->file, r->t->changes);
	sl_operators_rename(r->t->operators, old, &r->file);
	sl_share_list(r->t->c->model, r->shared);
	return 0;
}

int sl_reload(struct sl_control *c, struct sl_rpc_call *call, const char *what, json_t **result,
	      char error[SL_ERROR_MAX])
{
	struct reload *r = calloc(1, sizeof(*r));
	json_t *answer;
	struct sl_transaction *t = r ? sl_change_begin(c, call, what, &answer) : NULL;
	int err;

	if (!t) {
		free(r);
		return -ENOMEM;
	}
	*r = (struct reload){
		.t = t, .later = json_array(), .shared = json_array(), .answer = answer
	};
	t->settling = r;
	t->release = free_reload;
	err = read_new(r, error);
	if (err)
		return sl_change_drop(t, err);
	t->settle = settle;
	exchange(r);
	return sl_change_run(t, result, error);
}
