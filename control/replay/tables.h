/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables that control would publish for a configuration, in private memory.
 *
 * Control's own code makes model, slots and records (desired/apply.h, tables/publish.h). Only the
 * machine is missing: the network is what the file says about it (mirror.c), changes that operators
 * made live aren't known, and keys that are random in an instance are fixed, so that the same file
 * always gives the same tables.
 */
#ifndef SL_REPLAY_TABLES_H
#define SL_REPLAY_TABLES_H

#include "../daemon.h"

#define SL_LOCAL_MAX 64

/* A prefix that is the gateway's own, or exempt: what backends send there is left to the kernel. */
struct sl_local {
	union sl_addr prefix;
	uint32_t length; /* in the 16-byte form */
};

/* c->config was read before; this makes the rest. bpf: see memory.h; XDP decides then. 0, or -errno
 * with a message. */
int sl_replay_tables_open(struct sl_control *c, const struct sl_local *local, size_t n_local,
			  bool bpf, char error[SL_ERROR_MAX]);
void sl_replay_tables_close(struct sl_control *c);

#endif
