/* SPDX-License-Identifier: BSD-2-Clause */
#include "shared_endpoints.h"
#include "../../config/endpoint.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* A backend of a service, under the endpoint that it claims. */
struct claim {
	union sl_addr addr;
	uint32_t endpoint;
	uint32_t service; /* indices of the service and the backend */
	uint32_t backend;
};

struct claims {
	struct claim *claim; /* sorted by endpoint, then as gather_reply_entry() reads them */
	size_t n;
};

static int by_endpoint(const struct claim *a, const struct claim *b)
{
	int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return order ? order : (a->endpoint > b->endpoint) - (a->endpoint < b->endpoint);
}

static int by_claim(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;
	int order = by_endpoint(a, b);

	if (!order)
		order = (a->service > b->service) - (a->service < b->service);
	return order ? order : (a->backend > b->backend) - (a->backend < b->backend);
}

static const struct sl_model_backend *claimant(const struct sl_model *m, const struct claim *c)
{
	return &m->service[c->service]->backend[c->backend];
}

/* Returns the endpoint that a backend claims. For a range of ports it stands for all ranges with
 * the same first port. */
static uint32_t endpoint_of(const struct sl_config_service *conf, const struct sl_model_backend *b)
{
	if (!sl_config_is_range(conf))
		return sl_endpoint(sl_htons(b->port), conf->protocol);
	return sl_endpoint_range(0, 0) | sl_endpoint(sl_htons(conf->port), conf->protocol);
}

/* Returns the claims of all backends, sorted. If there is no memory there are none, and nobody
 * waits, as if no endpoint were shared. */
static struct claims claims_of(const struct sl_model *m)
{
	struct claims all = { 0 };
	size_t most = 1;

	for (size_t i = 0; i < m->n; i++)
		most += m->service[i]->n;
	all.claim = calloc(most, sizeof(*all.claim));
	for (uint32_t i = 0; all.claim && i < m->n; i++) {
		const struct sl_model_service *s = m->service[i];

		for (uint32_t k = 0; k < s->n && s->conf.mode == SL_MODE_NAT; k++) {
			const struct sl_model_backend *b = &s->backend[k];

			if (b->state != SL_STATE_FREE)
				all.claim[all.n++] = (struct claim){
					.addr = b->addr,
					.endpoint = endpoint_of(&s->conf, b),
					.service = i,
					.backend = k,
				};
		}
	}
	if (all.n && m->n > 1)
		qsort(all.claim, all.n, sizeof(*all.claim), by_claim);
	return all;
}

/* Returns how many claims, from `first` on, have the same endpoint. */
static size_t group(const struct claims *all, const struct claim *first)
{
	size_t n = 1;

	while (first + n < all->claim + all->n && by_endpoint(first, first + n) == 0)
		n++;
	return n;
}

static bool is_desired(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_READY || b->state == SL_STATE_DRAINING;
}

/* Returns a claim of another service whose backend is leaving or gone; NULL: there is none. */
static const struct claim *held_by(const struct sl_model *m, const struct claim *first, size_t n,
				   const struct claim *claim)
{
	for (size_t i = 0; i < n; i++) {
		const struct sl_model_backend *b = claimant(m, &first[i]);

		if (first[i].service != claim->service &&
		    (b->state == SL_STATE_LEAVING || b->state == SL_STATE_GONE))
			return &first[i];
	}
	return NULL;
}

static void award(struct sl_model *next, const struct claim *first, size_t n,
		  const struct claim *claim)
{
	const struct sl_model_backend *b = claimant(next, claim);
	bool waiting = (!b->placed || b->waiting) && held_by(next, first, n, claim);
	struct sl_model_service *s;

	if (!is_desired(b) || (b->placed && b->waiting == waiting))
		return;
	s = sl_model_edit(next, claim->service);
	if (!s)
		return;
	s->refill |= s->backend[claim->backend].waiting != waiting;
	s->backend[claim->backend].waiting = waiting;
	s->backend[claim->backend].placed = true;
}

/* In modes other than nat there is nothing to wait for. Ends the waiting that began in mode nat. */
static void clear_waiting(struct sl_model *next, size_t service)
{
	struct sl_model_service *s = next->service[service];

	for (uint32_t k = 0; k < s->n && s->conf.mode != SL_MODE_NAT; k++) {
		if (!s->backend[k].waiting)
			continue;
		s = sl_model_edit(next, service);
		if (!s)
			return;
		s->backend[k].waiting = false;
		s->refill = true;
	}
}

void sl_share_claim(struct sl_model *next)
{
	struct claims all = claims_of(next);

	for (size_t i = 0; i < next->n; i++)
		clear_waiting(next, i);

	for (size_t i = 0, n; i < all.n; i += n) {
		n = group(&all, &all.claim[i]);
		for (size_t k = 0; k < n; k++)
			award(next, &all.claim[i], n, &all.claim[i + k]);
	}
	free(all.claim);
}

/* Returns the claim that replies belong to, the one that gather_reply_entry() chooses. */
static const struct claim *owner_of(const struct sl_model *m, const struct claim *first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!claimant(m, &first[i])->waiting)
			return &first[i];
	return first;
}

static json_t *sentence(const struct sl_model *m, const struct claim *claim,
			const struct claim *owner, const struct claim *held)
{
	const struct sl_config_service *conf = &m->service[claim->service]->conf;
	const struct sl_model_backend *b = claimant(m, claim);
	char endpoint[SL_ENDPOINT_TEXT];

	if (b->waiting)
		return json_sprintf("service %s: backend %s waits: it still has connections of "
				    "service %s",
				    conf->name, b->name, m->service[held->service]->conf.name);
	return json_sprintf("service %s: backend %s (%s, %s) is service %s's too: its replies "
			    "can't be told apart and leave with the VIP of %s",
			    conf->name, b->name, sl_endpoint_format(&b->addr, b->port, endpoint),
			    conf->protocol == IPPROTO_TCP ? "tcp" : "udp",
			    m->service[owner->service]->conf.name,
			    m->service[owner->service]->conf.name);
}

void sl_share_list(const struct sl_model *m, json_t *list)
{
	struct claims all = { 0 };

	if (m->n > 1)
		all = claims_of(m);
	for (size_t i = 0, n; i < all.n; i += n) {
		const struct claim *first = &all.claim[i], *owner;

		n = group(&all, first);
		owner = owner_of(m, first, n);
		for (size_t k = 0; k < n; k++) {
			const struct claim *held = held_by(m, first, n, &first[k]);

			/* A backend that is gone has no clients left that could get wrong
			 * replies. */
			if (claimant(m, &first[k])->state == SL_STATE_GONE ||
			    (claimant(m, &first[k])->waiting && !held) ||
			    first[k].service == owner->service)
				continue;
			json_array_append_new(list, sentence(m, &first[k], owner, held));
		}
	}
	free(all.claim);
}
