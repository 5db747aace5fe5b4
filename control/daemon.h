/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of the daemon: one instance, served from one event loop. */
#ifndef SL_CONTROL_DAEMON_H
#define SL_CONTROL_DAEMON_H

#include <event2/event.h>
#include <jansson.h>

#include "../config/config.h"
#include "../config/process.h"
#include "../dataplane/abi/store.h"
#include "model/model.h"
#include "network/net.h"

struct sl_operators;
struct sl_hairpins;
struct sl_health;
struct sl_health_verdict;
struct sl_attachment;
struct sl_batch;
struct sl_preparation;
struct sl_publication;
struct sl_programs;
struct sl_rpc;

struct sl_control {
	struct event_base *base;
	const char *file;
	struct sl_config config;
	struct sl_store_where where;
	struct sl_store store;
	struct sl_extents *slots;		 /* allocator of slots */
	struct sl_extents *backends;		 /* allocator of backends */
	struct sl_extents *limits;		 /* allocator of limits */
	struct sl_model *model;			 /* as published */
	struct sl_batch *batch;			 /* open, see transaction/batch.h; NULL: none */
	struct sl_publication *publication;	 /* under way, see tables/publish.h; NULL: none */
	void (*published)(struct sl_control *c); /* called when a publish has ended; NULL: nobody */
	struct sl_net *net;
	struct sl_rpc *changes, *reads;	    /* the two sockets */
	struct sl_operators *operators;	    /* what operators set live, see desired/layers.h */
	struct sl_health *health;	    /* see health/health.h; NULL: not begun */
	struct sl_health_verdict **verdict; /* the layer of health, see desired/layers.h */
	size_t n_verdicts;
	struct {
		uint32_t checks;
		uint64_t ended;	      /* checks since the start */
		uint64_t discarded;   /* failures caused by control's own lateness */
		uint64_t extended;    /* timeouts put off because of it */
		double worst_late_ms; /* of a check's start, within the last seconds */
	} health_figures;
	char health_unsaved[SL_ERROR_MAX];    /* why health states aren't on disk; "": they are */
	struct sl_backend_counters *baseline; /* counters as they stood when a backend got its id */
	struct sl_limit_counters *limit_baseline; /* the same for limits */
	struct sl_sweep *sweep;
	struct sl_announcer *announcer;
	struct sl_region *region;   /* of pools' addresses, see tables/nat_pools.h */
	uint32_t snat_cursor;	    /* the next one to be looked at, of all regions */
	struct sl_top *top;	    /* see report/limit_top.h; NULL: not yet */
	struct sl_rescale *rescale; /* buckets being converted to a new rate; NULL: never */
	struct event *every_tick;
	struct event *after_publish;
	/* What is put off while a publish is under way: following the network (even if nothing has
	 * changed), and reloading the file. */
	bool follows, must_follow;
	bool reloads;
	bool follow_failed;
	uint32_t follow_failed_ms;
	int lock;
	uint64_t started_ns;
	uint64_t refused; /* generations that the dataplane refused */
	double commit_us; /* of the live generation, see tables/publish.h; 0: adopted */
	bool dataplane_seen;
	uint64_t owner[SL_PORTS_CONFIG_MAX]
		      [SL_QUEUES_PER_PORT]; /* as last seen, see tables/queues.h */
	struct sl_programs *programs;	    /* see xdp/programs.h; NULL: no port has had one */
	/* Makes engines ready for a generation whose records are in the idle bank. Returns 0 if
	 * they are ready, 1 if it has to be called again, or -errno with a message, and then the
	 * generation isn't published. NULL: engines are always ready. */
	int (*prepare)(struct sl_control *c, uint64_t generation, char error[SL_ERROR_MAX]);
	struct sl_preparation *preparation; /* under way, see xdp/ports.h; NULL: none */
	struct sl_attachment *attachment[SL_PORTS_CONFIG_MAX]; /* see xdp/link.h; NULL: none yet */
	uint32_t attached[SL_PORTS_CONFIG_MAX]; /* ifindex that XDP is attached to; 0: none */
	char *unattached[SL_PORTS_CONFIG_MAX];	/* why it isn't attached, as logged; NULL: none */
	bool detached;				/* control is ending, so nothing may be attached */
	uint64_t generic; /* ports, by bit, whose XDP runs in the kernel's stack */
	/* Interfaces below those ports, see xdp/merging.h; NULL: not checked yet. */
	struct sl_merging *merging;
	/* Sentences about merging that can't be turned off there; NULL: none. */
	json_t *still_merging;
	uint32_t link_events; /* the network's count, as last followed */
	uint32_t links_followed_ms;
	uint32_t ports_watched_ms, ports_tried_ms; /* see xdp/watch.h */
	char unpinned[SL_ERROR_MAX]; /* why removed pins can't be put back; "": none */
	bool xdp_alone;		     /* the dataplane lost an interface, see sl_queues_stranded() */
	uint64_t stranded;	     /* ports, by bit, for which this was logged */
	uint64_t partial_seen;	  /* ports, by bit, for which it was logged, see tables/partial.h */
	uint64_t partial_packets; /* forwarded packets, as of the last look */
	uint32_t partial_turn;
	struct sl_hairpins *hairpins; /* see report/hairpins.h; NULL: none yet */
	uint64_t macs_left_out;	      /* ports, by bit, for which this was logged */
	size_t routes_left_out;	      /* how many don't fit */
	json_t *logged;	     /* problems of backends that were logged, see report/problems.h */
	bool logged_full[2]; /* full neighbour tables that were logged, by family */
	uint64_t logged_generation; /* the generation of those problems */
	uint64_t logged_refused;    /* the generation whose refusal was logged */
	char unsaved[SL_ERROR_MAX]; /* why the operators' layer isn't on disk; "": it is */
	uint32_t unsaved_ms;	    /* when saving was last tried */
	uint64_t count_until_ns;    /* until then connections of draining backends are counted */
	/* The last attempt to end drains failed, see upkeep/drain_end.h. */
	bool drains_failed;
	uint32_t drains_failed_ms;
	/* The last attempt to end expired limits failed, see desired/apply_limits.h. */
	bool limits_failed;
	uint32_t limits_failed_ms;
};

#endif
