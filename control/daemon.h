/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon holds together: one instance, served from one event loop. */
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
struct sl_health;
struct sl_health_verdict;
struct sl_attachment;
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
	struct sl_extents *slots;		 /* extents of slots */
	struct sl_extents *backends;		 /* extents of backends */
	struct sl_extents *limits;		 /* extents of limits */
	struct sl_model *model;			 /* as published */
	struct sl_publication *publication;	 /* under way, see tables/publish.h; NULL: none */
	void (*published)(struct sl_control *c); /* called when one has ended; NULL: nobody */
	struct sl_net *net;
	struct sl_rpc *changes, *reads;	    /* the two sockets */
	struct sl_operators *operators;	    /* what operators set live, see desired/layers.h */
	struct sl_health *health;	    /* see health/health.h; NULL: not begun */
	struct sl_health_verdict **verdict; /* the layer of health, as layers.h has it */
	size_t n_verdicts;
	struct {
		uint32_t checks;
		uint64_t ended;	      /* since the start, */
		uint64_t discarded;   /* failures that came of our own lateness, */
		uint64_t extended;    /* timeouts that were put off for it */
		double worst_late_ms; /* a start after its time, within the last seconds */
	} health_figures;
	char health_unsaved[SL_ERROR_MAX];    /* why its states aren't on disk; "": they are */
	struct sl_backend_counters *baseline; /* counters as they stood when a backend got its id */
	struct sl_limit_counters *limit_baseline; /* when a limit did */
	struct sl_sweep *sweep;
	struct sl_announcer *announcer;
	struct sl_region *region;   /* of pools' addresses, see tables/nat_pools.h */
	uint32_t snat_cursor;	    /* the next that is looked at, of all regions */
	struct sl_top *top;	    /* see report/limit_top.h; NULL: not yet */
	struct sl_rescale *rescale; /* buckets that are brought to a new rate; NULL: never */
	struct event *every_tick;
	struct event *after_publish;
	bool follows, must_follow; /* the network, or the file, when no publish is under way */
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
	struct sl_programs *programs; /* of XDP, see xdp/programs.h; NULL: no port has had one */
	/* Makes engines ready for a generation whose records stand in the idle bank. 0: they are;
	 * 1: not yet, to be called again; -errno with a message: it isn't published. NULL: they
	 * always are. */
	int (*prepare)(struct sl_control *c, uint64_t generation, char error[SL_ERROR_MAX]);
	struct sl_preparation *preparation; /* under way, see xdp/ports.h; NULL: none */
	struct sl_attachment *attachment[SL_PORTS_CONFIG_MAX]; /* see xdp/link.h; NULL: none yet */
	uint32_t attached[SL_PORTS_CONFIG_MAX]; /* ifindex that XDP is attached to; 0: none */
	char *unattached[SL_PORTS_CONFIG_MAX];	/* why it is not, as logged; NULL */
	bool detached;				/* nothing is to be attached any more, we end */
	uint64_t generic;	    /* ports, by bit, whose XDP runs in the kernel's stack */
	struct sl_merging *merging; /* below them, see xdp/merging.h; NULL: not looked yet */
	json_t *still_merging; /* what there can't be turned off, as sentences; NULL: nothing */
	uint32_t link_events;  /* of the network, as last followed */
	uint32_t links_followed_ms;
	uint32_t ports_watched_ms, ports_tried_ms; /* see xdp/watch.h */
	char unpinned[SL_ERROR_MAX]; /* why pins that somebody removed can't be put back; "" */
	bool xdp_alone; /* an interface isn't the dataplane's any more, see sl_queues_stranded() */
	uint64_t stranded;	  /* ports, by bit, of which that was logged */
	uint64_t partial_seen;	  /* ports, by bit, of which that was logged, tables/partial.h */
	uint64_t partial_packets; /* that were forwarded at the last look */
	uint32_t partial_turn;
	uint64_t macs_left_out; /* ports, by bit, of which that was logged */
	size_t routes_left_out; /* that don't fit */
	json_t *logged;		/* problems of backends that were logged, see report/problems.h */
	bool logged_full[2];	/* that the kernel's table of neighbours is, by family */
	uint64_t logged_generation; /* the generation that they are of */
	uint64_t logged_refused;    /* the generation whose refusal was logged */
	char unsaved[SL_ERROR_MAX]; /* why what operators set isn't on disk; "": it is */
	uint32_t unsaved_ms;	    /* when that was tried last */
	bool limits_failed; /* the last attempt to end what has expired, see desired/apply_limits.h
			     */
	uint32_t limits_failed_ms;
};

#endif
