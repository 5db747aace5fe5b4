/* SPDX-License-Identifier: BSD-2-Clause */
/* control/tables/server_ids.c: server ids of the file and of operators as records that engines
 * find, through reloads, restarts and the lives of backends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../../control/desired/apply.h"
#include "../../control/desired/overrides.h"
#include "../../control/tables/publish.h"
#include "../../control/tables/server_ids.h"
#include "limit_world.h"

enum { DNS = 1, PORT = 53 };

static struct sl_config_backend in_service[4];

static int begin(void **state)
{
	limit_world_begin(state);
	memset(in_service, 0, sizeof(in_service));
	file[DNS].quic = true;
	file[DNS].backend = in_service;
	return 0;
}

static void backend(uint32_t i, const char *name, const char *id)
{
	in_service[i] = (struct sl_config_backend){
		.addr = sl_addr4(sl_htonl(0x0a010000 + (uint32_t)name[1])), .port = 53, .weight = 1
	};
	strcpy(in_service[i].name, name);
	if (id)
		assert_int_equal(sl_config_parse_server_id(id, &in_service[i].server_id, error), 0);
	file[DNS].n_backends = i + 1;
}

/* As an engine does. */
static uint32_t find(uint32_t server_ids, uint32_t mask, uint64_t id)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	uint64_t hash = sl_server_id_hash(id);

	for (int i = 0; i < 2; i++) {
		uint32_t bucket =
			i ? sl_server_id_second(hash, mask) : sl_server_id_first(hash, mask);
		const struct sl_server_id_bucket *s = &blocks[server_ids + bucket].server_ids;

		for (uint32_t k = 0; k < SL_SERVER_IDS_PER_BUCKET; k++)
			if (s->id[k] == id && s->backend[k])
				return s->backend[k];
	}
	return 0;
}

/* The name of the backend that an id names; "": nobody's. */
static const char *named(const char *text)
{
	const struct sl_service *r = record_of(PORT);
	const struct sl_model_service *s;
	struct sl_server_id id;
	uint32_t number;

	assert_int_equal(sl_config_parse_server_id(text, &id, error), 0);
	if (!(r->flags & SL_SERVICE_QUIC) || sl_server_ids_bytes(r->server_ids) != id.bytes)
		return "";
	number = find(sl_server_ids_first(r->server_ids), sl_server_ids_mask(r->server_ids),
		      id.value);
	s = c->model->service[sl_model_find(c->model, "dns")];
	return number ? s->backend[number - 1].name : "";
}

static void apply(void)
{
	json_decref(limit_world_apply());
}

static void set_state(const char *name, enum sl_backend_state state)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_model_service *s = sl_model_edit(next, (size_t)sl_model_find(next, "dns"));
	struct sl_published out;

	sl_backend_set_state(s, sl_service_backend(s, name), state);
	assert_int_equal(sl_publish(c, next, &out, error), 0);
	limit_world_accepted();
}

static void refused(const char *why)
{
	struct sl_model *next = sl_model_clone(c->model);

	assert_int_equal(limit_world_layers_to(next, NULL), -EINVAL);
	assert_string_equal(error, why);
	sl_model_free(next, 0);
}

static void test_file(void **state)
{
	(void)state;
	backend(0, "b1", "0a0b");
	backend(1, "b2", NULL);
	backend(2, "b3", "0000");
	apply();
	assert_string_equal(named("0a0b"), "b1");
	assert_string_equal(named("0000"), "b3");
	assert_string_equal(named("0a0c"), "");
	assert_true(record_of(PORT)->flags & SL_SERVICE_TRACK);
	/* They change places, all at once. */
	backend(0, "b1", "0000");
	backend(1, "b2", NULL);
	backend(2, "b3", "0a0b");
	apply();
	assert_string_equal(named("0a0b"), "b3");
	assert_string_equal(named("0000"), "b1");
	/* Another length. */
	backend(0, "b1", "010203");
	backend(1, "b2", "010204");
	backend(2, "b3", NULL);
	apply();
	assert_string_equal(named("010204"), "b2");
	assert_string_equal(named("0a0b"), "");
}

static void test_sentences(void **state)
{
	(void)state;
	backend(0, "b1", "0a0b");
	apply();
	limit_world_applied(NULL);
	backend(0, "b1", "0a0c");
	limit_world_applied("service dns: backend b1: server_id 0a0b -> 0a0c");
	backend(0, "b1", NULL);
	limit_world_applied("service dns: backend b1: server_id 0a0c -> none");
	assert_false(record_of(PORT)->flags & SL_SERVICE_QUIC);
	file[DNS].quic = false;
	limit_world_applied("service dns changed");
	assert_false(record_of(PORT)->flags & SL_SERVICE_TRACK);
}

static void test_lives(void **state)
{
	(void)state;
	backend(0, "b1", "0a");
	backend(1, "b2", "0b");
	apply();
	set_state("b1", SL_STATE_DRAINING);
	assert_string_equal(named("0a"), "b1");
	set_state("b1", SL_STATE_LEAVING);
	assert_string_equal(named("0a"), "b1");
	/* Nobody else's yet. */
	backend(0, "b3", "0a");
	refused("service dns: backend b3: server_id 0a is that of backend \"b1\" already; give "
		"each "
		"one of its own; that one has it until it is gone: remove it first");
	backend(0, "b3", "0a0a");
	backend(1, "b2", "0b0b");
	refused("service dns: backend b3: server_id 0a0a has 2 bytes, and that of backend \"b1\" "
		"1; "
		"give all of a service the same length; that one has it until it is gone: remove "
		"it first");
	set_state("b1", SL_STATE_GONE);
	assert_string_equal(named("0a"), "");
	backend(0, "b3", "0a");
	backend(1, "b2", "0b");
	apply();
	assert_string_equal(named("0a"), "b3");
	assert_string_equal(named("0b"), "b2");
}

static void test_restart(void **state)
{
	const struct sl_service *before;
	uint32_t at;

	(void)state;
	backend(0, "b1", "0a0b0c0d0e0f1011");
	backend(1, "b2", "0a0b0c0d0e0f1012");
	apply();
	at = record_of(PORT)->server_ids;
	limit_world_restart();
	apply();
	before = record_of(PORT);
	assert_string_equal(named("0a0b0c0d0e0f1012"), "b2");
	assert_int_equal(before->server_ids, at); /* nothing to make anew */
	/* What leaves meanwhile still has its id. */
	limit_world_restart();
	backend(0, "b2", "0a0b0c0d0e0f1012");
	apply();
	assert_string_equal(named("0a0b0c0d0e0f1012"), "b2");
	assert_string_equal(named("0a0b0c0d0e0f1011"), "number-1");
}

/* What operators added keeps its id where the file leaves room. */
static void test_added(void **state)
{
	struct sl_operator_backend *b;
	union sl_addr addr;

	(void)state;
	assert_int_equal(sl_config_parse_addr("10.1.0.9", &addr, error), 0);
	b = sl_operator_backend_get(sl_operators_get(c->operators, "dns"), &addr, 53);
	b->added = true;
	b->weight = 1;
	strcpy(b->name, "x9");
	assert_int_equal(sl_config_parse_server_id("0a0c", &b->server_id, error), 0);
	backend(0, "b1", "0a0b");
	apply();
	assert_string_equal(named("0a0c"), "x9");
	assert_int_equal(logged, 0);
	backend(0, "b1", "0a0c");
	apply();
	assert_string_equal(named("0a0c"), "b1");
	assert_int_equal(logged, 1);
	backend(0, "b1", "0a0b");
	apply();
	assert_string_equal(named("0a0c"), "x9");
	file[DNS].quic = false;
	backend(0, "b1", NULL);
	apply();
	assert_string_equal(named("0a0c"), "");
	assert_non_null(sl_service_backend(c->model->service[1], "x9"));
}

/* All find a place, in few buckets, whatever they look like. */
static void test_many(void **state)
{
	enum { MANY = 120 };
	uint64_t random = 1;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct sl_model_service s = { .conf.quic = true, .n = MANY };

		s.backend = calloc(MANY, sizeof(*s.backend));
		for (uint32_t i = 0; i < MANY; i++) {
			uint64_t id = kind == 0	  ? i
				      : kind == 1 ? (uint64_t)i << 56
				      : kind == 2 ? (uint64_t)i * 0x0101010101010101ull
						  : (random *= 0x5851f42d4c957f2dull);

			s.backend[i].state = SL_STATE_READY;
			s.backend[i].server_id = (struct sl_server_id){ id, 8 };
		}
		assert_int_equal(sl_server_ids_build(c, &s, error), 0);
		assert_int_equal(s.server_ids->n, 64);
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(find(s.server_ids->at, s.server_ids->n - 1,
					      s.backend[i].server_id.value),
					 i + 1);
		assert_int_equal(find(s.server_ids->at, s.server_ids->n - 1, 0xdeadbeefdeadbeef),
				 0);
		sl_extent_unref(s.server_ids, 0);
		free(s.backend);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, limit_world_end)
	const struct CMUnitTest tests[] = {
		TEST(test_file),    TEST(test_sentences), TEST(test_lives),
		TEST(test_restart), TEST(test_added),	  TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
