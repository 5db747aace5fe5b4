/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-replay: what would a configuration do to the packets of a capture?
 *
 * It makes the tables that control would publish for a file (tables.h), reads packets from a
 * capture in their order (capture.h), and has either engine decide them (engine.h). It needs no NIC
 * and no instance, and touches nothing that runs. docs/replay.md is its manual.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tables/nat_pools.h"
#include "capture.h"
#include "names.h"
#include "tables.h"

enum { MACS_MAX = 64, TURN_NS = 10000000 };

struct replay {
	struct sl_control control;
	const struct sl_engine_kind *kind;
	struct sl_replay_engine *engine;
	struct sl_names *names;
	struct sl_capture *capture;
	struct sl_local local[SL_LOCAL_MAX];
	size_t n_local;
	uint8_t mac[MACS_MAX][6]; /* that the capture has for the gateway's */
	size_t n_macs;
	bool any_mac;
	const char *port_name;
	uint32_t port;
	bool json;

	uint64_t start_ns; /* of the first packet */
	uint64_t now_ns;   /* from the capture; never goes back */
	uint64_t turns;	   /* of control's upkeep, due by then */
	uint64_t packets, cut;
	uint64_t others; /* addressed to other hosts */
	uint64_t verdicts[SL_DROP + 1];
};

static const struct {
	const char *reason;
	enum sl_verdict verdict;
} reasons[SL_REASON_COUNT] = {
#define REASON(name, verdict, help) { #name, verdict },
	SL_REASONS(REASON)
#undef REASON
};

static const char *const verdict_name[] = {
	[SL_PUNT] = "punt",
	[SL_FORWARD] = "forward",
	[SL_REPLY] = "reply",
	[SL_DROP] = "drop",
};

/* The text for a frame that never reaches this engine. */
#define TOO_LONG "too_long"

static void print_json_name(const char *field, const char *name)
{
	/* Names in a configuration need no escapes. */
	if (name)
		printf(",\"%s\":\"%s\"", field, name);
	else
		printf(",\"%s\":null", field);
}

static void print_packet(const struct replay *r, enum sl_verdict verdict, const char *reason,
			 const struct sl_subject *subject)
{
	if (r->json) {
		printf("{\"number\":%" PRIu64 ",\"verdict\":\"%s\",\"reason\":\"%s\"", r->packets,
		       verdict_name[verdict], reason);
		print_json_name("service", subject->service);
		print_json_name("backend", subject->backend);
		puts("}");
		return;
	}
	printf("%" PRIu64 " %s %s %s %s\n", r->packets, verdict_name[verdict], reason,
	       subject->service ? subject->service : "-",
	       subject->backend ? subject->backend : "-");
}

static uint64_t ticks(struct replay *r, uint64_t time_ns)
{
	if (!r->packets)
		r->start_ns = r->now_ns = time_ns;
	if (time_ns > r->now_ns)
		r->now_ns = time_ns;
	return (r->now_ns - r->start_ns) >> SL_TICK_SHIFT;
}

static bool is_ours(const struct replay *r, const uint8_t *mac)
{
	if (mac[0] & 1)
		return false; /* a group's */
	for (size_t i = 0; i < r->n_macs; i++)
		if (!memcmp(r->mac[i], mac, 6))
			return true;
	for (uint32_t i = 0; i < r->control.config.dataplane.n_ports; i++)
		if (!memcmp(sl_net_port(r->control.net, i)->mac, mac, 6))
			return true;
	return r->any_mac;
}

/* What the capture has for an address of the gateway's is one of the port that all packets come in
 * by. */
static void address_to_port(const struct replay *r, struct sl_frame *frame)
{
	if (frame->length >= 6 && is_ours(r, frame->data))
		memcpy(frame->data, sl_net_port(r->control.net, r->port)->mac, 6);
}

/* What control does in time: ports of pools become free whose flows are over. By the clock of the
 * capture, and after a long silence in it no more than once for each port. */
static void pass_time(struct replay *r)
{
	struct sl_root *root = sl_store_root(&r->control.store);
	uint64_t elapsed_ns = r->now_ns - r->start_ns, turns = elapsed_ns / TURN_NS - r->turns;

	r->turns += turns;
	if (turns > sl_nat_pools_turns(&r->control))
		turns = sl_nat_pools_turns(&r->control);
	while (turns--) {
		root->origin_ns = sl_clock_ns() - elapsed_ns; /* what control counts from */
		sl_nat_pools_tick(&r->control);
	}
}

static int replay_one(struct replay *r, struct sl_captured *p, char error[SL_ERROR_MAX])
{
	struct sl_names_key key = sl_names_key(&p->frame);
	enum sl_verdict verdict = SL_DROP;
	struct sl_subject subject = { 0 };
	uint64_t now;
	int reason;

	now = ticks(r, p->time_ns);
	pass_time(r);
	address_to_port(r, &p->frame);
	reason = r->kind->decide(r->engine, &p->frame, now);
	r->packets++;
	r->others += reason == SL_REASON_other_host;
	r->cut += p->cut;
	if (reason < 0 && reason != -EMSGSIZE) {
		snprintf(error, SL_ERROR_MAX, "packet %" PRIu64 ": the %s engine failed: %s",
			 r->packets, r->kind->name, strerror(-reason));
		return reason;
	}
	if (reason >= 0) {
		verdict = reasons[reason].verdict;
		subject = sl_names_find(r->names, &key, &p->frame, (enum sl_reason)reason);
	}
	r->verdicts[verdict]++;
	if (verdict == SL_FORWARD || verdict == SL_REPLY)
		sl_capture_write(r->capture, p);
	print_packet(r, verdict, reason < 0 ? TOO_LONG : reasons[reason].reason, &subject);
	return 0;
}

static void summary(const struct replay *r, uint64_t took_ns)
{
	double seconds = (double)took_ns / 1e9;

	if (r->cut)
		sl_log("%" PRIu64 " packets were cut short by the capture; zeros stood in for the "
		       "rest",
		       r->cut);
	if (r->others)
		sl_log("%" PRIu64 " packets were addressed to other hosts; `--mac MAC` says which "
		       "address was the gateway's, `--mac any` takes all",
		       r->others);
	sl_log("%s: %" PRIu64 " packets: %" PRIu64 " forward, %" PRIu64 " reply, %" PRIu64
	       " punt, %" PRIu64 " drop; %.3f s, %.0f packets/s",
	       r->kind->name, r->packets, r->verdicts[SL_FORWARD], r->verdicts[SL_REPLY],
	       r->verdicts[SL_PUNT], r->verdicts[SL_DROP], seconds,
	       seconds > 0 ? (double)r->packets / seconds : 0);
}

static int replay_all(struct replay *r, const char *in, const char *out, char error[SL_ERROR_MAX])
{
	struct sl_captured p;
	char closing[SL_ERROR_MAX];
	uint64_t start;
	int err = sl_capture_open(&r->capture, in, out, error), closed;

	if (err)
		return err;
	start = sl_clock_ns();
	while ((err = sl_capture_next(r->capture, &p, error)) == 1) {
		err = replay_one(r, &p, error);
		if (err)
			break;
	}
	closed = sl_capture_close(r->capture, closing);
	if (!err && closed)
		snprintf(error, SL_ERROR_MAX, "%s", closing);
	err = err ? err : closed;
	if (!err && (fflush(stdout) || ferror(stdout))) {
		snprintf(error, SL_ERROR_MAX, "standard output: %s", strerror(errno));
		err = -EIO;
	}
	if (!err)
		summary(r, sl_clock_ns() - start);
	return err;
}

/* ADDRESS or ADDRESS/LENGTH. */
static int parse_local(const char *text, struct sl_local *local, char error[SL_ERROR_MAX])
{
	char addr[SL_ADDR_TEXT], rest;
	const char *slash = strchr(text, '/');
	unsigned length = 0, most;

	snprintf(addr, sizeof(addr), "%.*s", (int)(slash ? slash - text : (long)strlen(text)),
		 text);
	if (sl_config_parse_addr(addr, &local->prefix, error) != 0)
		return -EINVAL;
	most = sl_addr_is4(&local->prefix) ? 32 : 128;
	if (slash && (sscanf(slash + 1, "%3u%c", &length, &rest) != 1 || length > most)) {
		snprintf(error, SL_ERROR_MAX, "--local: %s: a prefix has 0 to %u bits", text, most);
		return -EINVAL;
	}
	local->length = slash ? 128 - most + length : 128;
	for (uint32_t i = local->length; i < 128; i++)
		local->prefix.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return 0;
}

static int parse_mac(struct replay *r, const char *text)
{
	if (strcmp(text, "any") == 0) {
		r->any_mac = true;
		return 0;
	}
	return r->n_macs == MACS_MAX ? -EINVAL : sl_config_parse_mac(text, r->mac[r->n_macs++]);
}

static int find_port(struct replay *r, char error[SL_ERROR_MAX])
{
	const struct sl_config_dataplane *d = &r->control.config.dataplane;

	for (r->port = 0; r->port < d->n_ports; r->port++)
		if (!r->port_name || strcmp(d->port[r->port].name, r->port_name) == 0)
			return 0;
	snprintf(error, SL_ERROR_MAX, "--port: %s has no port \"%s\"; its first is \"%s\"",
		 r->control.file, r->port_name, d->port[0].name);
	return -EINVAL;
}

static int run(struct replay *r, const char *in, const char *out)
{
	char error[SL_ERROR_MAX] = "";
	int status = SL_EXIT_CONFIG, err;

	if (sl_config_read(r->control.file, &r->control.config, error) != 0)
		goto out;
	status = SL_EXIT_USAGE;
	if (find_port(r, error) != 0)
		goto free_config;
	err = sl_replay_tables_open(&r->control, r->local, r->n_local, r->kind->bpf, error);
	status = err == -ENOSPC || err == -EINVAL ? SL_EXIT_CONFIG : SL_EXIT_MACHINE;
	if (err)
		goto free_config;
	status = SL_EXIT_MACHINE;
	r->names = sl_names_new(r->control.model);
	if (!r->names || r->kind->open(&r->engine, &r->control.store, r->port, error) != 0)
		goto free_tables;
	status = replay_all(r, in, out, error) ? SL_EXIT_FAILED : SL_EXIT_OK;
	r->kind->close(r->engine);
free_tables:
	sl_names_free(r->names);
	sl_replay_tables_close(&r->control);
free_config:
	sl_config_free(&r->control.config);
out:
	if (status != SL_EXIT_OK)
		sl_log("%s", error[0] ? error : "out of memory");
	return status;
}

static void usage(FILE *to)
{
	fputs("usage: sluice-replay -c FILE [OPTIONS] IN OUT\n"
	      "  IN                    a capture (pcap, pcapng; - is standard input)\n"
	      "  OUT                   a capture of what would leave, rewritten\n"
	      "  -c, --config FILE     the configuration to ask\n"
	      "  -e, --engine ENGINE   dpdk (default; needs no rights) or xdp (needs root)\n"
	      "  -p, --port NAME       the port that all packets come in by (default: the first)\n"
	      "  -l, --local PREFIX    the gateway's own, or exempt: the kernel's; repeatable\n"
	      "  -m, --mac MAC         an address that the gateway had in the capture, or any; "
	      "repeatable\n"
	      "  -j, --json            JSON lines\n"
	      "  -V, --version\n"
	      "  -h, --help\n",
	      to);
}

static int usage_error(const char *error)
{
	if (error)
		sl_log("%s", error);
	else
		usage(stderr);
	return SL_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "engine", required_argument, NULL, 'e' },
		{ "port", required_argument, NULL, 'p' },
		{ "local", required_argument, NULL, 'l' },
		{ "mac", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct replay r = { .kind = &sl_engine_dpdk };
	char error[SL_ERROR_MAX];
	int option;

	while ((option = getopt_long(argc, argv, "c:e:p:l:m:jVh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			r.control.file = optarg;
			break;
		case 'e':
			if (strcmp(optarg, "dpdk") != 0 && strcmp(optarg, "xdp") != 0)
				return usage_error("--engine: dpdk or xdp");
			r.kind = optarg[0] == 'x' ? &sl_engine_xdp : &sl_engine_dpdk;
			break;
		case 'p':
			r.port_name = optarg;
			break;
		case 'l':
			if (r.n_local == SL_LOCAL_MAX)
				return usage_error("--local: too many");
			if (parse_local(optarg, &r.local[r.n_local++], error) != 0)
				return usage_error(error);
			break;
		case 'm':
			if (parse_mac(&r, optarg) != 0)
				return usage_error("--mac: a MAC address, such as "
						   "02:00:00:00:00:01, or any; 64 at most");
			break;
		case 'j':
			r.json = true;
			break;
		case 'V':
			puts("sluice-replay " SL_VERSION);
			return SL_EXIT_OK;
		case 'h':
			usage(stdout);
			return SL_EXIT_OK;
		default:
			return usage_error(NULL);
		}
	}
	if (!r.control.file || argc - optind != 2)
		return usage_error(NULL);
	return run(&r, argv[optind], argv[optind + 1]);
}
