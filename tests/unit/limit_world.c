/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "../../control/desired/apply.h"
#include "../../control/desired/apply_limits.h"
#include "../../control/desired/overrides.h"
#include "../../control/report/limit_top.h"
#include "../../control/tables/adopt.h"
#include "../../control/tables/instance.h"
#include "../../control/tables/publish.h"
#include "../../control/tables/rescale.h"
#include "../../control/transaction/transaction.h"
#include "../../dataplane/engine/accept.h"
#include "limit_world.h"

uint64_t now_ns;
unsigned logged;

void sl_log(const char *format, ...)
{
	(void)format;
	logged++;
}

uint64_t sl_clock_ns(void)
{
	return now_ns += 20000;
}

/* See limit_world.h. */

struct sl_control *c;
struct sl_config_service file[2];
char error[SL_ERROR_MAX];

#define RECORD_SIZE(name, record, writer) [SL_ARRAY_##name] = sizeof(record),

static void make_arrays(uint32_t backends, uint32_t flows)
{
	static const size_t size[] = { SL_ARRAYS(RECORD_SIZE) };
	const struct sl_capacity capacity = { 2, backends, 1024, flows, 8, 8, 8, 64, 1, 1, 1 };

	sl_store_size(&capacity, c->store.count);
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		size_t bytes = (c->store.count[i] * size[i] + 127) / 128 * 128;

		c->store.base[i] = memset(aligned_alloc(128, bytes), 0, bytes);
	}
	c->config.capacity =
		(struct sl_config_capacity){ 2, backends, 1024, flows, 8, 8, 8, 64, 1 };
	c->config.dataplane.engine = SL_CONFIG_ENGINE_XDP;
	sl_store_root(&c->store)->origin_ns = now_ns;
	sl_store_root(&c->store)->flow_key[1] = 4711;
}

static struct sl_config_service service(const char *name, uint8_t protocol, uint16_t port)
{
	struct sl_config_service conf = { .vip = sl_addr4(sl_htonl(0xc6336401)),
					  .protocol = protocol,
					  .port = port,
					  .scheduler = "maglev",
					  .mode = SL_MODE_NAT,
					  .table_size = 256,
					  .idle_timeout_ms = 60000 };

	strcpy(conf.name, name);
	return conf;
}

int limit_world_begin(void **state)
{
	(void)state;
	return limit_world_begin_for(4, 1024);
}

int limit_world_begin_for(uint32_t backends, uint32_t flows)
{
	now_ns = 1000000000;
	c = calloc(1, sizeof(*c));
	make_arrays(backends, flows);
	file[0] = service("web", IPPROTO_TCP, 80);
	file[1] = service("dns", IPPROTO_UDP, 53);
	c->config.service = file;
	c->config.n_services = 2;
	c->operators = sl_operators_new();
	assert_int_equal(sl_instance_books(c), 0);
	assert_int_equal(sl_adopt(c, error), 0);
	logged = 0;
	return 0;
}

int limit_world_end(void **state)
{
	(void)state;
	sl_limit_top_free(c);
	sl_instance_close_books(c);
	sl_operators_free(c->operators);
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		free(c->store.base[i]);
	free(c);
	return 0;
}

/* Control is killed and started again: it knows the records, the file and the overrides. */
void limit_world_restart(void)
{
	sl_limit_top_free(c);
	sl_instance_close_books(c);
	assert_int_equal(sl_instance_books(c), 0);
	assert_int_equal(sl_adopt(c, error), 0);
}

void limit_world_accepted(void)
{
	struct sl_acceptor *a = sl_acceptor_new(&c->store, 0);
	uint32_t at = 0;
	enum sl_accept answer = sl_acceptor_check_live(a, &at);

	sl_acceptor_free(a);
	if (answer != SL_ACCEPT_OK)
		fail_msg("refused at record %u: %d", at, answer);
}

int limit_world_layers_to(struct sl_model *next, json_t *changes)
{
	struct sl_layers layers = sl_layers_of(c);

	return sl_apply(c, &layers, next, changes, error);
}

void limit_world_prune(void)
{
	sl_operators_prune(c->operators, &c->config, (uint64_t)time(NULL));
}

size_t limit_world_kept(const char *service)
{
	const struct sl_operator_service *s = sl_operators_find(c->operators, service);

	return s ? s->n_limits : 0;
}

/* Does what a reload does. The caller frees the sentences. */
json_t *limit_world_apply(void)
{
	struct sl_model *next = sl_model_clone(c->model);
	json_t *changes = json_array();
	struct sl_published out;

	if (limit_world_layers_to(next, changes) != 0 || sl_publish(c, next, &out, error) != 0)
		fail_msg("%s", error);
	limit_world_accepted();
	return changes;
}

void limit_world_applied(const char *only)
{
	json_t *changes = limit_world_apply();

	if (json_array_size(changes) != (only != NULL) ||
	    (only && strcmp(json_string_value(json_array_get(changes, 0)), only) != 0))
		fail_msg("%s", json_dumps(changes, 0));
	json_decref(changes);
}

struct sl_config_limit limit(uint8_t scope, const char *rate, uint8_t direction)
{
	struct sl_config_limit l = { .scope = scope, .direction = direction };

	assert_int_equal(sl_config_parse_rate(rate, &l.unit, &l.rate, error), 0);
	sl_limit_default(&l);
	return l;
}

void in_file(int i, struct sl_config_limit l)
{
	file[i].limit[file[i].n_limits++] = l;
}

void live(const char *service_name, struct sl_live_limit l)
{
	struct sl_operators *read;
	json_t *json;

	assert_int_equal(sl_operator_limit_set(sl_operators_get(c->operators, service_name), &l),
			 0);
	json = sl_overrides_write(c->operators);
	read = sl_overrides_read(json, (char[SL_PATH_MAX]){ 0 }, error);
	assert_non_null(read);
	sl_operators_free(read);
	json_decref(json);
}

const struct sl_service *record_of(uint16_t port)
{
	uint32_t size = c->store.count[SL_ARRAY_services] / 2;
	const struct sl_service *s = (struct sl_service *)c->store.base[SL_ARRAY_services] +
				     (sl_store_root(&c->store)->generation & 1) * size;

	while ((sl_be16)s->endpoint != sl_htons(port))
		s++;
	return s;
}

const struct sl_limit *limits_of(uint16_t port)
{
	return (struct sl_limit *)c->store.base[SL_ARRAY_limits] + record_of(port)->limits;
}

struct sl_live_limit client(const char *text, const char *rate, uint64_t until)
{
	struct sl_live_limit l = { .limit = limit(SL_SCOPE_CLIENT, rate, 0),
				   .exception = true,
				   .until = until };
	uint8_t length;

	assert_int_equal(sl_prefix_parse(text, &l.addr, &length, error), 0);
	l.limit.prefix4 = length;
	return l;
}
