/* SPDX-License-Identifier: BSD-2-Clause */
/* Two sorted lists: services by VIP and endpoint, and backends by address, endpoint and service. If
 * several services share a backend, the first one in the model gets its replies, as in the
 * records. And a hash table of the datagrams whose first fragment was seen lately; an entry
 * replaces the one before it. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "../../dataplane/abi/cuckoo.h"
#include "../../dataplane/core/parse6.h"
#include "../../dataplane/core/quote6.h"

struct named {
	union sl_addr addr;
	uint32_t endpoint;
	uint32_t service; /* index in the model */
	const char *name;
	const uint8_t *mac; /* backends: the next hop's MAC */
};

enum { DATAGRAMS = 4096 };

struct datagram {
	struct sl_names_key key;
	struct sl_subject subject; /* of its first fragment; as if that had been sent */
};

struct sl_names {
	struct datagram *datagram;
	struct named *service, *backend;
	size_t n_services, n_backends;
	const struct sl_config_service **of; /* the services by index */
};

static int by_endpoint(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return order ? order : (x->endpoint > y->endpoint) - (x->endpoint < y->endpoint);
}

static int by_service(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = by_endpoint(a, b);

	return order ? order : (x->service > y->service) - (x->service < y->service);
}

static struct named named(const union sl_addr *addr, uint16_t port,
			  const struct sl_model_service *s, size_t service, const char *name)
{
	return (struct named){ .addr = *addr,
			       .endpoint = sl_endpoint(sl_htons(port), s->conf.protocol),
			       .service = (uint32_t)service,
			       .name = name };
}

static void fill(struct sl_names *n, const struct sl_model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_model_service *s = m->service[i];

		n->of[i] = &s->conf;
		n->service[n->n_services++] = named(&s->conf.vip, s->conf.port, s, i, s->conf.name);
		for (uint32_t k = 0; k < s->n; k++) {
			const struct sl_model_backend *b = &s->backend[k];

			n->backend[n->n_backends] = named(&b->addr, b->port, s, i, b->name);
			n->backend[n->n_backends++].mac = b->hop.dst_mac;
		}
	}
	qsort(n->service, n->n_services, sizeof(*n->service), by_endpoint);
	qsort(n->backend, n->n_backends, sizeof(*n->backend), by_service);
}

struct sl_names *sl_names_new(const struct sl_model *model)
{
	struct sl_names *n = calloc(1, sizeof(*n));
	size_t backends = 0;

	if (!n)
		return NULL;
	for (size_t i = 0; i < model->n; i++)
		backends += model->service[i]->n;
	n->datagram = calloc(DATAGRAMS, sizeof(*n->datagram));
	n->of = calloc(model->n + 1, sizeof(*n->of));
	n->service = calloc(model->n + 1, sizeof(*n->service));
	n->backend = calloc(backends + 1, sizeof(*n->backend));
	if (n->datagram && n->of && n->service && n->backend) {
		fill(n, model);
		return n;
	}
	sl_names_free(n);
	return NULL;
}

void sl_names_free(struct sl_names *names)
{
	if (!names)
		return;
	free(names->datagram);
	free(names->of);
	free(names->service);
	free(names->backend);
	free(names);
}

/* An ICMP error is described as a packet in the other direction than the one that it quotes. */
static struct sl_names_key quoted(const struct sl_packet *p, const struct sl_parsed *o)
{
	const struct sl_icmp *icmp = sl_packet_at(p, o->l4, sizeof(*icmp));
	struct sl_names_key key = { 0 };
	struct sl_quote q;

	if (!icmp || !sl_icmp_is_error(icmp->type) ||
	    !sl_quote_parse(p, o->l4 + sizeof(*icmp), p->length, &q))
		return key;
	key.src = sl_addr4(q.dst);
	key.dst = sl_addr4(q.src);
	key.src_endpoint = sl_endpoint(q.dport, q.protocol);
	key.dst_endpoint = sl_endpoint(q.sport, q.protocol);
	return key;
}

static struct sl_names_key quoted6(const struct sl_packet *p, const struct sl_parsed *o)
{
	const struct sl_icmp *icmp = sl_packet_at(p, o->l4, sizeof(*icmp));
	uint32_t at = o->l4 + (uint32_t)sizeof(*icmp);
	struct sl_quote6 q;

	if (!icmp || !sl_icmp6_is_error(icmp->type) ||
	    !sl_quote6_parse(p, at, p->length, sl_quote6_layout_impl(p, at, p->length), &q))
		return (struct sl_names_key){ 0 };
	return (struct sl_names_key){ .src = q.dst,
				      .dst = q.src,
				      .src_endpoint = sl_endpoint(q.in.dport, q.in.protocol),
				      .dst_endpoint = sl_endpoint(q.in.sport, q.in.protocol) };
}

static void note_fragment(const struct sl_packet *p, const struct sl_parsed *o,
			  struct sl_names_key *key)
{
	const struct sl_ip4 *ip = sl_packet_at(p, o->l3, sizeof(*ip));

	key->fragment =
		ip && (o->kind == SL_PARSED_FRAGMENT || o->kind == SL_PARSED_FIRST_FRAGMENT);
	if (key->fragment) {
		key->id = sl_ntohs(ip->id);
		key->protocol = o->protocol;
	}
}

/* layout: as sl_layout6_first_fragment_impl() has it. */
static void note_fragment6(const struct sl_packet *p, const struct sl_parsed *o, uint64_t layout,
			   struct sl_names_key *key)
{
	uint32_t at = o->kind == SL_PARSED_FRAGMENT ? o->l4 : layout >> 32 & 0xff;
	const struct sl_ip6_extension *header = at ? sl_packet_at(p, at, sizeof(*header)) : NULL;

	key->fragment = header != NULL;
	if (header) {
		key->id = sl_ntohl(header->data);
		key->protocol = header->next;
	}
}

struct sl_names_key sl_names_key(const struct sl_frame *frame)
{
	struct sl_packet p = { .data = frame->data,
			       .end = frame->data + frame->length,
			       .length = frame->length };
	struct sl_names_key key = { 0 };
	struct sl_parsed o = { 0 };

	sl_parse(&p, &o);
	if (o.kind == SL_PARSED_IP4 && o.protocol == SL_PROTO_ICMP)
		return quoted(&p, &o);
	note_fragment(&p, &o, &key);
	if (o.kind ==
	    SL_PARSED_FIRST_FRAGMENT) /* the fragment of the datagram that has the ports */
		o.kind = sl_parse_transport(&p, &o, p.length - o.l4);
	if (o.kind == SL_PARSED_IP6) {
		uint64_t layout = sl_layout6_first_fragment_impl(&p, o.l3);

		sl_parse6(&p, (uint32_t)layout, &o);
		note_fragment6(&p, &o, layout, &key);
		if (o.kind == SL_PARSED_IP6 && o.protocol == SL_PROTO_ICMP6)
			return quoted6(&p, &o);
		key.src = o.src6;
		key.dst = o.dst6;
	} else if (o.kind >= SL_PARSED_IP4) {
		key.src = sl_addr4(o.src);
		key.dst = sl_addr4(o.dst);
	}
	if (o.kind != SL_PARSED_FLOW) /* tunnels: outer addresses, without ports */
		return key;
	key.src_endpoint = sl_endpoint(o.sport, o.protocol);
	key.dst_endpoint = sl_endpoint(o.dport, o.protocol);
	return key;
}

/* The first of equal endpoints in the list. */
static const struct named *first(const struct named *list, size_t n, const struct named *key,
				 int (*order)(const void *, const void *))
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (order(&list[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && by_endpoint(&list[low], key) == 0 ? &list[low] : NULL;
}

/* The same for services with a range of ports or a prefix as VIP, whose keys have neither port nor
 * address: as core/find.h has it, the longest prefix, and there the port itself before a range. */
static const struct named *first_wide(const struct sl_names *names, const struct named *key)
{
	uint16_t port = sl_ntohs((sl_be16)(uint16_t)key->endpoint);
	const struct sl_config_service *best = NULL;
	const struct named *found = NULL;

	for (size_t i = 0; i < names->n_services; i++) {
		const struct sl_config_service *of = names->of[names->service[i].service];
		bool range = sl_config_is_range(of);

		if (!sl_config_vip_has(of, &key->addr) ||
		    of->protocol != sl_endpoint_protocol(key->endpoint) ||
		    (range ? port < of->port || port > of->last_port : port != of->port))
			continue;
		if (best && (of->vip_host_bits > best->vip_host_bits ||
			     (of->vip_host_bits == best->vip_host_bits && range)))
			continue;
		best = of;
		found = &names->service[i];
	}
	return found;
}

/* A key without its port. */
static struct named portless(struct named key)
{
	key.endpoint &= ~0xffffu;
	return key;
}

/* The backend that a packet of the service was sent to, as far as the mode shows it. */
static const struct named *sent_to(const struct sl_names *names, const struct named *service,
				   const struct sl_frame *after)
{
	const struct sl_config_service *of = names->of[service->service];
	enum sl_mode mode = of->mode;
	struct sl_names_key sent = sl_names_key(after);
	struct named key = { .addr = sent.dst,
			     .endpoint = sent.dst_endpoint,
			     .service = service->service };

	if (sl_config_is_range(of))
		key = portless(key);
	if (sl_config_translates(mode))
		return first(names->backend, names->n_backends, &key, by_service);
	for (size_t i = 0; i < names->n_backends; i++) {
		const struct named *b = &names->backend[i];

		if (b->service == service->service &&
		    (mode == SL_MODE_DIRECT ? memcmp(b->mac, after->data, 6) == 0
					    : sl_addr_equal(&b->addr, &sent.dst)))
			return b;
	}
	return NULL;
}

/* The backend whose reply this was, in mode fullnat: afterwards the packet comes from the
 * service. */
static const struct named *bound_reply(const struct sl_names *names,
				       const struct sl_names_key *before,
				       const struct sl_frame *after)
{
	struct sl_names_key sent = sl_names_key(after);
	struct named key = { .addr = sent.src, .endpoint = sent.src_endpoint };
	const struct named *service = first(names->service, names->n_services, &key, by_endpoint);

	if (!service || names->of[service->service]->vip_host_bits)
		service = first_wide(names, &key);
	if (!service || names->of[service->service]->mode != SL_MODE_FULLNAT)
		return NULL;
	key = (struct named){ .addr = before->src,
			      .endpoint = before->src_endpoint,
			      .service = service->service };
	if (sl_config_is_range(names->of[service->service]))
		key = portless(key);
	return first(names->backend, names->n_backends, &key, by_service);
}

/* The backend whose reply this was. Replies pass through us in mode nat only, where the source
 * shows it. */
static const struct named *reply_of(const struct sl_names *names, const struct named *key)
{
	uint16_t port = sl_ntohs((sl_be16)(uint16_t)key->endpoint);
	const struct named *b = first(names->backend, names->n_backends, key, by_service);
	struct named any = portless(*key);

	for (; b && b < names->backend + names->n_backends && by_endpoint(b, key) == 0; b++)
		if (names->of[b->service]->mode == SL_MODE_NAT)
			return b;
	b = first(names->backend, names->n_backends, &any, by_service);
	for (; b && b < names->backend + names->n_backends && by_endpoint(b, &any) == 0; b++) {
		const struct sl_config_service *of = names->of[b->service];

		if (of->mode == SL_MODE_NAT && of->port <= port && port <= of->last_port)
			return b;
	}
	return NULL;
}

static struct datagram *datagram_of(struct sl_names *names, const struct sl_names_key *key)
{
	uint64_t hash =
		sl_cuckoo_hash(&key->src, key->id, 0) ^ sl_cuckoo_hash(&key->dst, key->protocol, 1);

	return &names->datagram[hash % DATAGRAMS];
}

static bool same_datagram(const struct sl_names_key *a, const struct sl_names_key *b)
{
	return a->id == b->id && a->protocol == b->protocol && sl_addr_equal(&a->src, &b->src) &&
	       sl_addr_equal(&a->dst, &b->dst);
}

static struct sl_subject of_flow(const struct sl_names *names, const struct sl_names_key *before,
				 const struct sl_frame *after, enum sl_reason reason)
{
	struct named key = { .addr = before->dst, .endpoint = before->dst_endpoint };
	struct sl_subject subject = { 0 };
	const struct named *found;

	found = first(names->service, names->n_services, &key, by_endpoint);
	if (!found || names->of[found->service]->vip_host_bits)
		found = first_wide(names, &key);
	if (found) {
		subject.service = found->name;
		if (reason != SL_REASON_to_backend && reason != SL_REASON_icmp_to_backend)
			return subject;
		found = sent_to(names, found, after);
	} else {
		key = (struct named){ .addr = before->src, .endpoint = before->src_endpoint };
		if (reason == SL_REASON_to_client || reason == SL_REASON_icmp_to_client)
			found = bound_reply(names, before, after);
		if (!found)
			found = reply_of(names, &key);
	}
	if (found) {
		subject.backend = found->name;
		subject.service = names->of[found->service]->name;
	}
	return subject;
}

struct sl_subject sl_names_find(struct sl_names *names, const struct sl_names_key *before,
				const struct sl_frame *after, enum sl_reason reason)
{
	struct datagram *d = datagram_of(names, before);
	struct sl_subject subject = { 0 };

	if (sl_reason_punts(reason))
		return subject;
	if (before->dst_endpoint) {
		subject = of_flow(names, before, after, reason);
		if (before->fragment)
			*d = (struct datagram){ *before, subject };
	} else if (before->fragment && d->key.fragment && same_datagram(&d->key, before)) {
		subject = d->subject;
		if (!sl_reason_leaves(reason))
			subject.backend = NULL;
	}
	return subject;
}
