/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables that control would publish for a configuration, in memory of our own.
 *
 * Model, slots and records are made by control's own code (desired/apply.h, tables/publish.h). What
 * is missing is the machine: the network is what the file says of it (mirror.c), what operators set
 * live isn't known, and keys that are random in an instance are fixed, so that the same file makes
 * the same tables every time.
 */
#ifndef SL_REPLAY_TABLES_H
#define SL_REPLAY_TABLES_H

#include "../daemon.h"

#define SL_LOCAL_MAX 64

/* A prefix that is the gateway's own, or exempt: what backends send there is the kernel's. */
struct sl_local {
	union sl_addr prefix;
	uint32_t length; /* of the 16-byte form */
};

/* c->config has been read; the rest is made here. bpf: see memory.h; then XDP decides. 0 or -errno
 * with a message. */
int sl_replay_tables_open(struct sl_control *c, const struct sl_local *local, size_t n_local,
			  bool bpf, char error[SL_ERROR_MAX]);
void sl_replay_tables_close(struct sl_control *c);

#endif
