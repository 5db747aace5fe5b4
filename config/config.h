/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file after parsing: what both processes know of it.
 *
 * sl_config_read() checks everything that can be checked without the machine (syntax, ranges,
 * duplicates, unknown fields) and fills in defaults. Whoever needs something of the machine checks
 * that itself (does the port exist, does a route lead to the backend). The result is plain data,
 * owned by one struct sl_config and freed by sl_config_free().
 */
#ifndef SL_CONFIG_H
#define SL_CONFIG_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../dataplane/abi/server_id.h"
#include "../dataplane/abi/service.h"
#include "../dataplane/abi/snat.h"
#include "health.h"

#define SL_NAME_MAX   32 /* bytes, with the final 0 */
#define SL_DEVICE_MAX 192
#define SL_PATH_MAX   256
#define SL_ERROR_MAX  512

#define SL_CORES_MAX	    64
#define SL_PORTS_CONFIG_MAX SL_PORT_VLANS
#define SL_WEIGHT_MAX	    10000

/* What kind of memory the tables are in. sl_config_read() decides it, see docs/configuration.md. */
enum sl_table_memory {
	SL_TABLES_BPF,	/* pinned memory-mapped BPF arrays, which XDP can read */
	SL_TABLES_HUGE, /* files in hugetlbfs, for ports that XDP can never serve */
};

enum sl_port_kind {
	SL_PORT_KERNEL, /* a kernel interface, over AF_XDP */
	SL_PORT_PCI,	/* a PCI address, bound to vfio-pci */
	SL_PORT_VDEV,	/* a DPDK virtual device, as after --vdev= */
};

/* Who serves the queues of kernel interfaces. */
enum sl_config_engine {
	SL_CONFIG_ENGINE_AUTO, /* a DPDK worker where one lives, else the XDP program */
	SL_CONFIG_ENGINE_DPDK,
	SL_CONFIG_ENGINE_XDP, /* no DPDK process at all */
};

/* What a worker does when there are no packets. */
enum sl_idle {
	SL_IDLE_POLL,	  /* polls again at once: for dedicated cores */
	SL_IDLE_ADAPTIVE, /* sleeps a little: for machines with few cores */
};

struct sl_config_port {
	char name[SL_NAME_MAX];
	char device[SL_DEVICE_MAX]; /* "eth1", "0000:03:00.0" or "net_memif0,role=server,…" */
	enum sl_port_kind kind;
	uint32_t queues;
	uint32_t native_vlan;		    /* its frames have no tag at this port; 0: none */
	uint8_t macs[SL_PORT_ADDRESSES][6]; /* that frames to it may have beside its own */
	uint32_t n_macs;
	int line;
};

/* A next hop that the kernel doesn't know (behind a NIC bound to vfio-pci or a virtual device). It
 * overrides the kernel's. Several of one prefix share its flows. */
struct sl_config_next_hop {
	union sl_addr prefix;
	uint32_t length; /* in the 16-byte form: an IPv4 /24 has 120 */
	uint32_t port;	 /* index in dataplane.port */
	uint32_t mtu;	 /* 0: the port's */
	uint32_t weight; /* among those of the same prefix */
	uint32_t vlan;	 /* 0: frames to it have no tag */
	uint8_t mac[6];
	int line;
};

struct sl_config_prefix {
	union sl_addr addr;
	uint32_t length; /* in the 16-byte form */
};
#define SL_DIRECT_FROM_MAX 64

struct sl_config_dataplane {
	enum sl_config_engine engine;
	enum sl_idle idle;
	uint32_t cores[SL_CORES_MAX]; /* one worker each */
	size_t n_cores;		      /* at least 1 unless engine is SL_CONFIG_ENGINE_XDP */
	int cores_line;
	int32_t main_core;  /* -1: the kernel chooses */
	uint32_t memory_mb; /* for DPDK itself: packet buffers, rings */
	bool huge_pages;    /* false: DPDK runs with --no-huge */
	enum sl_table_memory tables;
	struct sl_config_port port[SL_PORTS_CONFIG_MAX];
	size_t n_ports;
};

/* The capacity, which is fixed when the instance is made. */
struct sl_config_capacity {
	uint32_t services;
	uint32_t backends;
	uint32_t slots; /* slots of all services together */
	uint32_t flows;
	uint32_t routes;
	uint32_t limits;     /* of all services together */
	uint32_t exceptions; /* clients and flows that have their own rate */
	uint32_t clients;    /* clients below a full bucket at the same time, over all limits */
	uint32_t addresses;  /* of all SNAT pools together */
};

/* A SNAT pool: addresses that services of mode fullnat use as their source towards backends. */
struct sl_config_snat_pool {
	char name[SL_NAME_MAX];
	union sl_addr addr[SL_SNAT_ADDRESSES_MAX];
	uint32_t n;
	uint16_t first_port; /* host order */
	uint16_t last_port;
};

/* The server id by which QUIC connection ids name a backend. */
struct sl_server_id {
	uint64_t value; /* as abi/server_id.h defines it */
	uint8_t bytes;	/* 0: the backend has none */
};

struct sl_config_backend {
	char name[SL_NAME_MAX];
	union sl_addr addr;
	uint16_t port; /* host order; default: the service's, or 0 for a range */
	uint32_t weight;
	bool draining; /* state = "draining": takes no new connections */
	struct sl_server_id server_id;
	int line;
};

/* A limit: a token bucket per flow, per client or per backend of a service, or one for the whole
 * service. A service has no two limits with the same scope, unit, direction and prefixes: these
 * identify a limit. */
struct sl_config_limit {
	uint8_t scope;	   /* enum sl_limit_scope */
	uint8_t unit;	   /* enum sl_limit_unit */
	uint8_t direction; /* bits of enum sl_limit_direction */
	uint8_t action;	   /* enum sl_limit_action */
	uint8_t prefix4;   /* for clients: how many bits of the address count */
	uint8_t prefix6;
	uint64_t rate;	/* bits, packets or new connections per second; 0: exceptions only */
	uint64_t burst; /* bytes, packets or new connections; 0: follows from the rate */
	int line;
};
#define SL_LIMITS_MAX 8 /* per service */

/* The source address of a tunnel's outer header. */
struct sl_config_source {
	union sl_addr prefix;
	uint8_t entropy; /* bits after the prefix that follow from the flow's hash */
};

/* What happens to the maximum segment size in a TCP SYN. */
enum sl_config_mss {
	SL_MSS_OFF,  /* it stays as it is */
	SL_MSS_AUTO, /* it is lowered to what fits the backend's MTU */
};

struct sl_config_service {
	char name[SL_NAME_MAX];
	union sl_addr vip;     /* of a prefix the first address */
	uint8_t vip_host_bits; /* of a prefix the bits after it; 0: one address */
	uint8_t protocol;      /* IPPROTO_TCP, IPPROTO_UDP */
	uint16_t port;	       /* host order; of a range the first */
	uint16_t last_port;    /* of a range the last; else `port` or 0 */
	char scheduler[SL_NAME_MAX];
	uint8_t pick; /* enum sl_pick: how that scheduler's slots are picked */
	enum sl_mode mode;
	struct sl_config_source source;	 /* for tunnels to IPv4 backends; ::0: none */
	struct sl_config_source source6; /* for tunnels to IPv6 backends; ::0: none */
	uint16_t gue_port;
	uint8_t gue_variant;
	struct sl_config_snat_pool pool; /* for mode fullnat; else without addresses */
	uint32_t mss;			 /* enum sl_config_mss, or the size */
	bool track_all;			 /* track = "all" */
	bool flowless;			 /* flows = "none" */
	bool drains_udp_at_once;	 /* drain_udp = "now" */
	uint8_t affinity; /* client address bits that pick the slot; 0: the whole flow */
	char affinity_group[SL_NAME_MAX]; /* services whose clients share hosts; "": none */
	bool rejects;			  /* unavailable = "reject" */
	bool forwards_hairpins;		  /* hairpin = "forward" */
	bool shared_vip;		  /* the kernel has the VIP too */
	bool vip_rejects;		  /* closed_ports = "reject", a setting of the file */
	bool quic;			  /* connection ids name backends */
	uint32_t table_size;		  /* slots: a power of two */
	uint32_t idle_timeout_ms;
	struct sl_health_conf health; /* kind SL_HEALTH_NONE: nothing is checked */
	struct sl_config_limit limit[SL_LIMITS_MAX];
	size_t n_limits;
	struct sl_config_backend *backend;
	size_t n_backends;
	int line;
	struct config_setting_t *setting; /* its group in sl_config.tree; NULL: of no file */
};

struct sl_config {
	char file[SL_PATH_MAX];
	char instance[SL_NAME_MAX];
	char run_dir[SL_PATH_MAX];   /* sockets; default /run/sluice/INSTANCE */
	char state_dir[SL_PATH_MAX]; /* changes made live; default /var/lib/sluice/INSTANCE */
	char bpf_dir[SL_PATH_MAX];   /* pins; default /sys/fs/bpf/sluice/INSTANCE */
	char huge_dir[SL_PATH_MAX];  /* hugetlbfs mount point; default /dev/hugepages */
	uint64_t slot_key[3];	     /* derived from `group`: the same on all gateways of a group */
	struct sl_config_source source; /* for services that name none; or ::0 */
	bool vip_rejects;		/* closed_ports = "reject" */
	struct sl_config_source source6;
	struct sl_config_dataplane dataplane;
	struct sl_config_capacity capacity;
	struct sl_config_next_hop *next_hop;
	size_t n_next_hops;
	struct sl_config_prefix
		direct_from[SL_DIRECT_FROM_MAX]; /* clients that talk to backends directly */
	size_t n_direct_from;
	struct sl_config_snat_pool *pool;
	size_t n_pools;
	struct sl_config_service *service;
	size_t n_services;
	struct config_t *tree; /* libconfig's own of the file, for what writes it again */
};

/* Exit statuses of all programs, by kind of failure. */
enum sl_exit {
	SL_EXIT_OK = 0,
	SL_EXIT_FAILED = 1,  /* at run time */
	SL_EXIT_USAGE = 2,   /* of the command line */
	SL_EXIT_CONFIG = 3,  /* the configuration is wrong */
	SL_EXIT_MACHINE = 4, /* the machine lacks something: rights, huge pages, a port */
	SL_EXIT_BUSY = 5,    /* another instance of this name runs */
	SL_EXIT_ABI = 6,     /* shared memory of another version */
	SL_EXIT_UNSAVED = 7, /* of sluicectl: the change is live, but could not be saved */
	SL_EXIT_EXPIRED = 8, /* of sluicectl: a drain's deadline has passed, and it goes on */
};

/* Reads and checks a file. 0, or -errno (-EINVAL: the file is wrong) with one line "FILE:LINE:
 * FIELD: what is wrong, what to do" in error; *config is empty then. */
int sl_config_read(const char *file, struct sl_config *config, char error[SL_ERROR_MAX]);
void sl_config_free(struct sl_config *config);

/* What a program ends with when that failed: not every file that can't be read is a wrong one. */
static inline enum sl_exit sl_config_status(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EIO ? SL_EXIT_MACHINE
										 : SL_EXIT_CONFIG;
}

/* A service that stands in no file, but is described as one is: `group` holds fields of
 * docs/configuration.md's "services", backends included. Pools, tunnel sources and `closed_ports`
 * are those of `base`. 0, or -errno with "FIELD: what is wrong, what to do"; the service's backends
 * are the caller's to free. */
int sl_config_read_service(const struct sl_config *base, struct config_setting_t *group,
			   struct sl_config_service *service, char error[SL_ERROR_MAX]);

/* What spans services: whether these stand beside each other within the capacities of `base`. 0, or
 * -EINVAL with a message. */
int sl_config_check_services(const struct sl_config *base, struct sl_config_service *service,
			     size_t n, char error[SL_ERROR_MAX]);

/* Whether services have a field of this name. */
bool sl_config_service_field(const char *name);

/* What it says of the backend at this address and port (host order); NULL: nothing. */
const struct sl_config_backend *sl_config_endpoint(const struct sl_config_service *service,
						   const union sl_addr *addr, uint16_t port);
const struct sl_config_backend *sl_config_find_backend(const struct sl_config *config,
						       const char *service,
						       const union sl_addr *addr, uint16_t port);

/* Checks parts of a configuration for commands, by the same rules as for the file. 0, or -EINVAL
 * with a message in error. */
int sl_config_parse_addr(const char *text, union sl_addr *addr, char error[SL_ERROR_MAX]);

/* "02:00:00:00:00:01". 0 or -EINVAL. */
int sl_config_parse_mac(const char *text, uint8_t mac[6]);
int sl_config_parse_name(const char *text, char name[SL_NAME_MAX], char error[SL_ERROR_MAX]);
int sl_config_parse_weight(long long value, uint32_t *weight, char error[SL_ERROR_MAX]);
int sl_config_parse_duration(const char *text, uint64_t *ms, char error[SL_ERROR_MAX]);

/* Limits. sl_config_parse_burst() checks a burst against its rate. sl_limit_default() completes a
 * limit, and sl_config_check_limit() checks it; the caller checks what concerns several limits of a
 * service. */
int sl_config_parse_rate(const char *text, uint8_t *unit, uint64_t *rate, char error[SL_ERROR_MAX]);
int sl_config_parse_burst(const char *text, uint8_t unit, uint64_t rate, uint64_t *burst,
			  char error[SL_ERROR_MAX]);
int sl_config_check_limit(const struct sl_config_limit *l, bool udp_flowless,
			  char error[SL_ERROR_MAX]);
void sl_limit_default(
	struct sl_config_limit *l); /* sets direction, prefix4 and prefix6 where they are 0 */
bool sl_limit_same(const struct sl_config_limit *a, const struct sl_config_limit *b);
uint64_t
sl_limit_burst(const struct sl_config_limit *l); /* as given, or what follows from the rate */

/* "2 Mbit/s", "10 kpps", "100 connections/s"; "64 KiB (262 ms)". "none" where there is no rate. */
#define SL_LIMIT_TEXT 64
const char *sl_limit_rate_text(uint8_t unit, uint64_t rate, char text[SL_LIMIT_TEXT]);
const char *sl_limit_burst_text(const struct sl_config_limit *l, char text[SL_LIMIT_TEXT]);

/* Words of the file and of commands, with their values. */
struct sl_word {
	const char *text; /* NULL in the last of a table */
	uint32_t value;
};
extern const struct sl_word sl_limit_scopes[], sl_limit_units[], sl_limit_directions[],
	sl_limit_actions[];
const char *sl_word_text(const struct sl_word *words, uint32_t value);		   /* or NULL */
const struct sl_word *sl_word_find(const struct sl_word *words, const char *text); /* or NULL */
/* The word for a mode, such as "nat". */
const char *sl_config_mode_text(enum sl_mode mode);

/* Whether replies pass through the gateway in this mode, so that it sees both directions and
 * translates ports. */
static inline bool sl_config_translates(enum sl_mode mode)
{
	return mode == SL_MODE_NAT || mode == SL_MODE_FULLNAT;
}

/* Whether packets to this service's backends get an outer header. */
bool sl_config_tunnels(const struct sl_config_service *service);

/* The source of tunnels to a backend with this address. */
const struct sl_config_source *sl_config_source(const struct sl_config_service *service,
						const union sl_addr *backend);

/* Whether the service has a range of ports. It keeps them, so its backends have the same ones. */
static inline bool sl_config_is_range(const struct sl_config_service *service)
{
	return service->last_port > service->port;
}

/* The default port of a backend; 0: the port of the packet. */
static inline uint16_t sl_config_backend_port(const struct sl_config_service *service)
{
	return sl_config_is_range(service) ? 0 : service->port;
}

static inline bool sl_config_same_vip(const struct sl_config_service *a,
				      const struct sl_config_service *b)
{
	return sl_addr_equal(&a->vip, &b->vip) && a->vip_host_bits == b->vip_host_bits;
}

/* Whether the VIP is this address, or has it. */
bool sl_config_vip_has(const struct sl_config_service *service, const union sl_addr *addr);

/* What the service has in the hash of a slot: its endpoint, or the same for all of a group. */
/* The first scheduler whose slots are picked in this way (enum sl_pick), or NULL. */
const char *sl_config_scheduler_of(uint8_t pick);

uint32_t sl_config_slot_endpoint(const struct sl_config_service *service);

/* Whether both are the same service, perhaps with another number of ports. */
static inline bool sl_config_same_service(const struct sl_config_service *a,
					  const struct sl_config_service *b)
{
	return a->protocol == b->protocol && a->port == b->port &&
	       sl_config_is_range(a) == sl_config_is_range(b) && sl_config_same_vip(a, b);
}

/* Whether the service's mode allows a backend with this address, or this port. 0, or -EINVAL with a
 * message. */
int sl_mode_check_addr(const struct sl_config_service *service, const union sl_addr *addr,
		       char error[SL_ERROR_MAX]);
int sl_mode_check_port(const struct sl_config_service *service, uint16_t port,
		       char error[SL_ERROR_MAX]);

/* "0a0b". */
#define SL_SERVER_ID_TEXT (2 * SL_SERVER_ID_MAX + 1)
const char *sl_server_id_format(const struct sl_server_id *id, char text[SL_SERVER_ID_TEXT]);
int sl_config_parse_server_id(const char *text, struct sl_server_id *id, char error[SL_ERROR_MAX]);
bool sl_server_id_same(const struct sl_server_id *a, const struct sl_server_id *b);

/* Whether a backend of the service may have this server id (or none), and whether it may have it
 * beside the id of another backend called `name`. 0, or -EINVAL with a message. */
int sl_server_id_check(const struct sl_config_service *service, const struct sl_server_id *id,
		       char error[SL_ERROR_MAX]);
int sl_server_id_clash(const struct sl_server_id *id, const char *name,
		       const struct sl_server_id *other, char error[SL_ERROR_MAX]);

/* "198.51.100.7" or "2001:db8::1". */
#define SL_ADDR_TEXT 46
const char *sl_addr_format(const union sl_addr *addr, char text[SL_ADDR_TEXT]);

/* "203.0.113.10", or "203.0.113.0/24". */
#define SL_VIP_TEXT (SL_ADDR_TEXT + 4)
const char *sl_vip_format(const struct sl_config_service *service, char text[SL_VIP_TEXT]);

#endif
