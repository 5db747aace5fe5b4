/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance in plain memory for tests of control's limits: two services, web over TCP and dns
 * over UDP, a file and overrides that tests change, and a clock that they set. The dataplane's
 * acceptor checks each generation. */
#ifndef SL_TEST_LIMIT_WORLD_H
#define SL_TEST_LIMIT_WORLD_H

#include "../../control/daemon.h"
#include "../../control/desired/operators.h"

extern struct sl_control *c;
extern struct sl_config_service file[2];
extern char error[SL_ERROR_MAX];
extern uint64_t now_ns;
extern unsigned logged;

int limit_world_begin(void **state);
int limit_world_begin_for(uint32_t backends, uint32_t flows); /* of another capacity */
int limit_world_end(void **state);

/* Control is killed and started again: it knows the records, the file and the overrides. */
void limit_world_restart(void);

/* The layers in force, applied to `next`; what the file has overtaken, dropped; how many words
 * about limits of a service are left. */
int limit_world_layers_to(struct sl_model *next, json_t *changes);
void limit_world_prune(void);
size_t limit_world_kept(const char *service);
void limit_world_accepted(void);

/* Does what a reload does. The caller frees the sentences. */
json_t *limit_world_apply(void);

/* The same, and expects this one sentence; NULL: none. */
void limit_world_applied(const char *only);

/* direction 0: the default. */
struct sl_config_limit limit(uint8_t scope, const char *rate, uint8_t direction);
void in_file(int service, struct sl_config_limit l);
void live(const char *service, struct sl_live_limit l);
struct sl_live_limit client(const char *prefix, const char *rate, uint64_t until);

/* Live records of the service at this port. */
const struct sl_service *record_of(uint16_t port);
const struct sl_limit *limits_of(uint16_t port);

#endif
