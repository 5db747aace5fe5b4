/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP programs of an instance.
 *
 * All ports share the programs for tail calls and their map, which are loaded once. Each port has
 * an entry program of its own, which knows the port's index and redirects to its xsks_map.
 * Verifying a program takes up to a tenth of a second, so it isn't loaded before a generation needs
 * it (abi/tails.h), and programs that an earlier control left are adopted:
 *
 *     BPF_DIR/tails-ID        the map of programs for tail calls, which keeps them loaded. The
 *                             kernel empties it when its last pin or descriptor goes, even if
 *                             programs use it.
 *     BPF_DIR/entry-ID-PORT   the entry program of a port
 *     BPF_DIR/egress          interfaces by port
 *     BPF_DIR/sockets         every port's xsks_map
 *     BPF_DIR/handoffs        what one program passes to the next
 *
 * ID is a digest of everything that the programs depend on: the object file, the sizes that are
 * constants in it, the kernel's ids of the maps, and for an entry its port. Programs with another
 * ID belong to another build or to other maps, and are never adopted. The map is filled before an
 * entry program that uses it is attached.
 */
#ifndef SL_CONTROL_XDP_PROGRAMS_H
#define SL_CONTROL_XDP_PROGRAMS_H

#include "../../config/config.h"
#include "../../dataplane/abi/store.h"
#include "../../dataplane/abi/tails.h"

#define SL_ENTRY_NAME_MAX (SL_NAME_MAX + 32)

struct sl_programs {
	const struct sl_store *store;
	const struct sl_store_where *where;
	uint64_t id;
	int tails, egress, sockets, handoffs; /* descriptors */
	uint32_t loaded;		      /* tails, by bit of enum sl_tail */
	uint32_t n_loaded, n_adopted;	      /* programs since the last look at them */
};

/* Opens the programs of this build over this instance, or creates the maps for them. `store` and
 * `where` must outlive the result. Returns 0 or -errno. */
int sl_programs_open(struct sl_programs **programs, const struct sl_store *store,
		     const struct sl_store_where *where, char error[SL_ERROR_MAX]);
void sl_programs_close(struct sl_programs *p);

/* Puts removed pins back. Returns how many were missing, or -errno. */
int sl_programs_repin(const struct sl_programs *p);

/* The programs that this generation needs (sl_program_needed()) and that aren't loaded: a bit for
 * each enum sl_tail. */
uint32_t sl_programs_missing(const struct sl_programs *p, uint64_t generation);

/* Loads a program. Threads may load several at the same time. */
int sl_programs_load(struct sl_programs *p, enum sl_tail tail, char error[SL_ERROR_MAX]);

/* Adopts or loads the entry program of a port over its xsks_map. It is pinned by this name. Returns
 * a descriptor or -errno. */
int sl_programs_entry(struct sl_programs *p, const struct sl_config_port *port, uint32_t index,
		      bool veth, int xsks, char name[SL_ENTRY_NAME_MAX], char error[SL_ERROR_MAX]);

/* Removes the pins of other entry programs of this port, once this one is attached. */
void sl_programs_drop_entries(const struct sl_programs *p, const struct sl_config_port *port,
			      int entry);

/* Removes other maps of programs that no entry program uses any more. */
void sl_programs_drop_sets(const struct sl_programs *p);

#endif
