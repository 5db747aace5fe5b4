/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP programs of an instance: what its ports share, and the one that each has of its own.
 *
 * The programs for tail calls, and their map, are the same at every port and loaded once. A port's
 * own is the entry program, which knows the port's index and steers into its xsks_map. Verifying
 * takes a tenth of a second each, so a program isn't loaded before a generation needs it
 * (abi/tails.h), and one that a former control left is adopted:
 *
 *     BPF_DIR/tails-ID        the map of programs for tail calls, which holds them. The kernel
 *                             empties it when its last pin or descriptor goes, whatever program
 *                             uses it.
 *     BPF_DIR/entry-ID-PORT   the entry program of a port
 *     BPF_DIR/egress          interfaces by port
 *     BPF_DIR/sockets         every port's xsks_map
 *     BPF_DIR/handoffs        what one program passes to the next
 *
 * ID is a digest of all that went into them: the object file, the sizes that are constants in it,
 * the maps by their kernel ids; of an entry its port too. What has another ID is of another build
 * or over other maps, and is never adopted. A set is complete before any entry leads to it.
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

/* Finds the set of this build over this instance, or makes it, with no program in it yet. Both
 * arguments stay with it. 0 or -errno. */
int sl_programs_open(struct sl_programs **programs, const struct sl_store *store,
		     const struct sl_store_where *where, char error[SL_ERROR_MAX]);
void sl_programs_close(struct sl_programs *p);

/* Pins again what of it somebody unpinned. How many pins were missing, or -errno. */
int sl_programs_repin(const struct sl_programs *p);

/* Those that are needed (sl_program_needed()) and aren't there; by bit. */
uint32_t sl_programs_missing(const struct sl_programs *p, uint64_t generation);

/* Loads one. Threads may load several at once. */
int sl_programs_load(struct sl_programs *p, enum sl_tail tail, char error[SL_ERROR_MAX]);

/* The entry program of a port over its sockets: as it stands or loaded, and pinned by this name. A
 * descriptor or -errno. */
int sl_programs_entry(struct sl_programs *p, const struct sl_config_port *port, uint32_t index,
		      bool veth, int xsks, char name[SL_ENTRY_NAME_MAX], char error[SL_ERROR_MAX]);

/* Lets other entries of this port go, once this one is attached. */
void sl_programs_drop_entries(const struct sl_programs *p, const struct sl_config_port *port,
			      int entry);

/* Lets other sets go, to which no entry leads any more. */
void sl_programs_drop_sets(const struct sl_programs *p);

#endif
