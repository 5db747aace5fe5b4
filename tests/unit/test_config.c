/* SPDX-License-Identifier: BSD-2-Clause */
/* config/: tables of a file's text and the exact error or values that follow from it.
 *
 * Each case is written as t.conf in a directory of its own, so that errors are compared whole. A
 * case that isn't about ports begins with HEAD, which is line 1. The examples and the manual are
 * read from the source tree: SL_SOURCE_DIR, or the working directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../config/parse.h"
#include "../../dataplane/abi/backend.h"
#include "../../dataplane/abi/limit.h"

#ifndef SL_SOURCE_DIR
#define SL_SOURCE_DIR "."
#endif

#define HEAD	     "dataplane: { cores = [ 1 ]; ports = ( { name = \"p\"; device = \"eth1\"; } ); };\n"
#define PORTS(ports) "dataplane: { cores = [ 1 ];\n ports = (\n" ports "); };\n"
#define PLANE(more)                                                                                \
	"dataplane: { cores = [ 1 ]; ports = ( { name = \"p\"; device = \"eth1\"; } );\n" more     \
	"};\n"
#define WEB(more)                                                                                  \
	"{ name = \"web\"; vip = \"203.0.113.10\"; protocol = \"tcp\"; port = 80;\n" more "}"
#define DNS(more)                                                                                  \
	"{ name = \"dns\"; vip = \"203.0.113.10\"; protocol = \"udp\"; port = 53;\n" more "}"
#define SERVICES(list)	    HEAD "services = (\n" list ");\n"
#define BACKENDS(list)	    SERVICES(WEB("backends = (\n" list ");\n"))
#define LIMITS(list)	    SERVICES(WEB("limits = (\n" list ");\n"))
#define OF_CLIENT	    "limits = ( { per = \"client\"; rate = \"1Mbit\"; } );"
#define OF_BACKEND(rate, d) "{ per = \"backend\"; rate = \"" rate "\"; direction = \"" d "\"; }"
#define HOPS(list)	    HEAD "next_hops = (\n" list ");\n"
#define RANGE(name, ports, more)                                                                   \
	"{ name = \"" name "\"; vip = \"203.0.113.10\"; protocol = \"udp\"; port = \"" ports       \
	"\"; "                                                                                     \
	"table_size = 256; " more "}"
#define EIGHT_RANGES                                                                               \
	RANGE("a", "1-2", "")                                                                      \
	"," RANGE("b", "3-4", "") "," RANGE("c", "5-6", "") "," RANGE("d", "7-8", "") "," RANGE(   \
		"e", "9-10", "") "," RANGE("f", "11-12", "") "," RANGE("g", "13-14",               \
								       "") "," RANGE("h", "15-16", \
										     "") ","
#define BAD_PORTS(text)                                                                            \
	"t.conf:3: services[0].port: is \"" text                                                   \
	"\"; give a number, a range such as \"8000-8099\", or \"any\""
#define HOP(prefix, p, mac) "{ prefix = \"" prefix "\"; port = \"" p "\"; mac = \"" mac "\"; }"
#define MAC		    "02:00:00:00:00:01"
#define IDS(x, y)                                                                                  \
	"backends = ( { name = \"x\"; address = \"10.1.0.2\"; server_id = " x "; },\n"             \
	"{ name = \"y\"; address = \"10.1.0.3\"; server_id = " y "; }, { address = \"10.1.0.4\"; " \
	"}, { address = \"10.1.0.5\"; } );"
#define SERVER_ID "1 to 8 bytes in hexadecimal; write one such as \"0a0b\""
#define NAME_RULE "a name has 1 to 31 of the characters A-Z a-z 0-9 . _ : -"

/* libconfig 1.5 loses the string that it was reading when the syntax is wrong. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append";
}

static char source_dir[4096], scratch[] = "/tmp/sluice-config-XXXXXX";

static void put(const char *name, const char *text, size_t len)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static int read_text(const char *text, struct sl_config *config, char error[SL_ERROR_MAX])
{
	put("t.conf", text, strlen(text));
	return sl_config_read("t.conf", config, error);
}

struct refusal {
	const char *text, *error;
};

static const struct refusal refusals[] = {
	/* Syntax, fields, types. */
	{ HEAD "services = ;\n",
	  "t.conf:2: syntax error; look there and on the line before for a missing ; or an open "
	  "quote or bracket" },
	{ HEAD "group = \"a\";\ngroup = \"b\";\n",
	  "t.conf:3: duplicate setting name; keep one of the two fields" },
	{ HEAD "@include \"none.conf\"\n",
	  "t.conf:2: cannot open include file; give its path from the main file's directory, "
	  "without a leading /" },
	{ "",
	  "t.conf:1: dataplane: missing; add it, such as: dataplane: { cores = [ 1 ]; ports = ( "
	  "… ); };" },
	{ HEAD "servics = ( );\n", "t.conf:2: servics: unknown field; did you mean \"services\"?" },
	{ HEAD "colour = 3;\n",
	  "t.conf:2: colour: unknown field; known here: instance, group, run_dir, state_dir, "
	  "bpf_dir, huge_dir, tunnel_source, tunnel_source6, closed_ports, dataplane, next_hops, "
	  "direct_from, pools, services" },
	{ BACKENDS("{ address = \"10.1.0.2\";\n wieght = 3; }"),
	  "t.conf:6: services[0].backends[0].wieght: unknown field; did you mean \"weight\"?" },
	{ SERVICES(WEB("backends = ( );\n weight = 3;")),
	  "t.conf:5: services[0].weight: unknown field; known here: name, vip, protocol, port, "
	  "scheduler, mode, tunnel_source, tunnel_source6, gue_port, gue_variant, pool, mss, "
	  "track, "
	  "flows, drain_udp, affinity, affinity_group, unavailable, hairpin, shared_vip, "
	  "table_size, "
	  "idle_timeout, "
	  "quic, health, limits, "
	  "backends" },
	{ "dataplane = 3;\n", "t.conf:1: dataplane: is an integer; give a group { … }, such as: "
			      "dataplane: { cores = [ 1 ]; ports = ( … ); };" },
	{ SERVICES("3"), "t.conf:3: services[0]: is an integer; give a group { … }" },
	{ SERVICES(
		  "{ name = \"web\"; vip = \"203.0.113.10\"; protocol = \"tcp\"; port = \"80\"; }"),
	  BAD_PORTS("80") },
	{ SERVICES(RANGE("a", "8000-7999", "")), BAD_PORTS("8000-7999") },
	{ SERVICES(RANGE("a", "8000-65536", "")), BAD_PORTS("8000-65536") },
	{ SERVICES(RANGE("a", "0-80", "")), BAD_PORTS("0-80") },
	{ SERVICES(RANGE("a", "8000-8099", "") ",\n" RANGE("b", "any", "")),
	  "t.conf:4: services[1].port: 1-65535 of service \"b\" overlaps service \"a\" on line 3; "
	  "give each ports "
	  "of its own" },
	{ SERVICES(RANGE("a", "8000-8099",
			 "backends = ( { address = \"10.1.0.2\"; port = 80; } );")),
	  "t.conf:3: services[0].backends[0].port: a service of ports 8000-8099 translates none; "
	  "leave it out" },
	{ SERVICES(EIGHT_RANGES RANGE("i", "17-18", "")),
	  "t.conf:3: services[8].port: of service \"i\" is the VIP's range number 9; it has room "
	  "for 8 of a "
	  "protocol" },
	{ SERVICES(WEB("idle_timeout = 1.5;")), "t.conf:4: services[0].idle_timeout: is a "
						"fraction; give an integer or a string, such as: "
						"idle_timeout = \"15m\";" },
	{ PLANE("huge_pages = 1;"), "t.conf:2: dataplane.huge_pages: is an integer; give true or "
				    "false, such as: huge_pages = true;" },
	{ SERVICES("{ name = \"web\";\n protocol = \"tcp\"; port = 80; }"),
	  "t.conf:3: services[0].vip: missing; add it, such as: vip = \"203.0.113.10\";" },

	/* Integers wider than libconfig keeps. */
	{ BACKENDS("{ address = \"10.1.0.2\"; /*/ 99999999999 \"\n */\n weight = 4294967306; }"),
	  "t.conf:7: services[0].backends[0].weight: 4294967306 is beyond 32 bits; end it with an "
	  "L "
	  "if it has to be so large" },
	{ BACKENDS("{ address = \"10.1.0.2\"; weight = 0x8000000000000001; }"),
	  "t.conf:5: services[0].backends[0].weight: 0x8000000000000001 is beyond 32 bits; end it "
	  "with an L if it has to be so large" },
	{ BACKENDS("{ address = \"10.1.0.2\"; weight = -04294967306; }"),
	  "t.conf:5: services[0].backends[0].weight: -04294967306 is beyond 32 bits; end it with "
	  "an "
	  "L if it has to be so large" },
	{ PLANE("memory = 4294967296;"),
	  "t.conf:2: dataplane.memory: 4294967296 is beyond 32 bits; "
	  "end it with an L if it has to be so large" },
	{ BACKENDS("{ address = \"10.1.0.2\"; weight = 4294967306L; }"),
	  "t.conf:5: services[0].backends[0].weight: 4294967306 is out of range; give 1 to 10000" },

	/* Names and directories. */
	{ "instance = \"a b\";\n" HEAD,
	  "t.conf:1: instance: \"a b\" has the character ' '; " NAME_RULE },
	{ "instance = \"\";\n" HEAD, "t.conf:1: instance: is empty; " NAME_RULE },
	{ "instance = \"..\";\n" HEAD,
	  "t.conf:1: instance: \"..\" is a directory's name; give another" },
	{ "instance = \"a.b\";\n" HEAD, "t.conf:1: instance: \"a.b\" has a dot, which the kernel "
					"keeps for itself in names of pins; give a name without" },
	{ "group = \"12345678901234567890123456789012\";\n" HEAD,
	  "t.conf:1: group: \"12345678901234567890123456789012\" has 32 characters; " NAME_RULE },
	{ "instance = \"a\\nb\";\n" HEAD,
	  "t.conf:1: instance: \"a?b\" has the character '?'; " NAME_RULE },
	{ "run_dir = \"run\";\n" HEAD, "t.conf:1: run_dir: \"run\" is not an absolute path; give "
				       "one, such as: run_dir = \"/run/sluice/main\";" },
	{ "run_dir = \"/23456789 123456789 123456789 123456789 123456789 123456789 123456789 "
	  "123456789 123456789\";\n" HEAD,
	  "t.conf:1: run_dir: has 89 characters; give a path of at most 88" },

	/* The dataplane. */
	{ "dataplane: { cores = [ ]; };\n",
	  "t.conf:1: dataplane.cores: has 0 cores; give 1 to 64, such as: cores = [ 1 ];" },
	{ "dataplane: { cores = [ 1, 2,\n 1 ]; };\n",
	  "t.conf:2: dataplane.cores[2]: core 1 is named twice; give each worker a core of its "
	  "own" },
	{ "dataplane: { cores = [ \"1\" ]; };\n",
	  "t.conf:1: dataplane.cores[0]: is not an integer; "
	  "give numbers of cores, such as: cores = [ 1 ];" },
	{ "dataplane: { cores = [ 1024 ]; };\n",
	  "t.conf:1: dataplane.cores[0]: 1024 is out of range; give 0 to 1023" },
	{ "dataplane: { cores = [ 1 ]; };\n",
	  "t.conf:1: dataplane.ports: missing; add it, such as: ports = ( { name = \"client\"; "
	  "device = \"eth1\"; } );" },
	{ PLANE("main_core = -1;"),
	  "t.conf:2: dataplane.main_core: -1 is out of range; give 0 to 1023" },
	{ PLANE("memory = \"256Q\";"),
	  "t.conf:2: dataplane.memory: \"256Q\" is not a size; write a "
	  "number with K, M, G or T, such as: memory = \"256M\";" },
	{ PLANE("memory = \"1M\";"),
	  "t.conf:2: dataplane.memory: is out of range; give 16M to 1T" },
	{ PLANE("memory = 256000000;"),
	  "t.conf:2: dataplane.memory: is no whole number of megabytes (1048576 bytes); write it "
	  "with M, such as: memory = \"256M\";" },
	{ PLANE("tables = \"hash\";"), "t.conf:2: dataplane.tables: \"hash\" is not known; give "
				       "\"auto\" or \"bpf\" or \"huge\"" },
	{ PLANE("tables = \"huge\";"),
	  "t.conf:2: dataplane.tables: \"huge\" is out of reach for the XDP program of port \"p\"; "
	  "give \"auto\" or \"bpf\"" },
	{ PLANE("capacity: { services = 0; };"),
	  "t.conf:2: dataplane.capacity.services: 0 is out of range; give 1 to 32767" },
	{ PLANE("capacity: { flows = 1000; };"),
	  "t.conf:2: dataplane.capacity.flows: 1000 is out of range; give 1024 to 268435456" },
	{ PLANE("capacity: { rows = 268435457; };"),
	  "t.conf:2: dataplane.capacity.rows: 268435457 is out of range; give 256 to 268435456" },
	{ PLANE("capacity: { backends = 1048577; };"),
	  "t.conf:2: dataplane.capacity.backends: 1048577 is out of range; give 1 to 1048576" },
	{ PLANE("capacity: { routes = 0; };"),
	  "t.conf:2: dataplane.capacity.routes: 0 is out of range; give 1 to 1048576" },

	/* Ports. */
	{ PORTS(""), "t.conf:2: dataplane.ports: has 0 ports; give 1 to 16, such as: ports = ( { "
		     "name = \"client\"; device = \"eth1\"; } );" },
	{ PORTS("{ name = \"p\"; device = \"a-name-of-sixteen\"; }"),
	  "t.conf:3: dataplane.ports[0].device: \"a-name-of-sixteen\" can't be the name of a "
	  "kernel "
	  "interface; give one that \"ip link\" shows, a PCI address or a virtual device (net_…)" },
	{ PORTS("{ name = \"p\"; device = \"03:00.0\"; }"),
	  "t.conf:3: dataplane.ports[0].device: \"03:00.0\" is not a PCI address; write all of it, "
	  "such as \"0000:03:00.0\"" },
	{ PORTS("{ name = \"p\"; device = \"eth 1\"; }"),
	  "t.conf:3: dataplane.ports[0].device: is empty, has blanks or over 191 characters; give "
	  "a "
	  "device, such as: device = \"eth1\";" },
	{ PORTS("{ name = \"p\"; device = \"eth1\"; queues = 17; }"),
	  "t.conf:3: dataplane.ports[0].queues: 17 is out of range; give 1 to 16" },
	{ PORTS("{ name = \"p\"; device = \"eth1\"; },\n{ name = \"p\"; device = \"eth2\"; }"),
	  "t.conf:4: dataplane.ports[1].name: \"p\" is that of the port on line 3 already; give "
	  "each port its own" },
	{ PORTS("{ name = \"p\"; device = \"net_null0\"; },\n"
		"{ name = \"q\"; device = \"net_null0,size=64\"; }"),
	  "t.conf:4: dataplane.ports[1].device: \"net_null0,size=64\" is that of the port on line "
	  "3 "
	  "already; give each port its own" },

	/* Next hops. */
	{ HOPS(HOP("10.0.0.0/8", "x", MAC)),
	  "t.conf:3: next_hops[0].port: dataplane.ports has no \"x\"; give \"p\"" },
	{ HOPS(HOP("10.0.0.1/8", "p", MAC)), "t.conf:3: next_hops[0].prefix: 10.0.0.1/8 has bits "
					     "set after its length; give 10.0.0.0/8" },
	{ HOPS(HOP("10.0.0.0/33", "p", MAC)),
	  "t.conf:3: next_hops[0].prefix: /33 is out of range; give /0 to /32" },
	{ HOPS(HOP("10.0.0.0/", "p", MAC)), "t.conf:3: next_hops[0].prefix: \"10.0.0.0/\" is not a "
					    "prefix; write one, such as: prefix = \"0.0.0.0/0\";" },
	{ HOPS(HOP("10.0.0.0/8x", "p", MAC)),
	  "t.conf:3: next_hops[0].prefix: \"10.0.0.0/8x\" is not a prefix; write one, such as: "
	  "prefix = \"0.0.0.0/0\";" },
	{ HOPS(HOP("2001:db8::/129", "p", MAC)),
	  "t.conf:3: next_hops[0].prefix: /129 is out of range; give /0 to /128" },
	{ HOPS(HOP("2001:db8:0:80::/56", "p", MAC)),
	  "t.conf:3: next_hops[0].prefix: 2001:db8:0:80::/56 has bits set after its length; give "
	  "2001:db8::/56" },
	{ HOPS(HOP("2001:db8::1/127", "p", MAC)),
	  "t.conf:3: next_hops[0].prefix: 2001:db8::1/127 has bits set after its length; give "
	  "2001:db8::/127" },
	{ HOPS(HOP("2001:db8::/32", "p", MAC) ",\n" HOP("2001:DB8:0::/32", "p", MAC)),
	  "t.conf:4: next_hops[1].mac: is that of the next hop of the same prefix on line 3 "
	  "already; leave one of them out" },
	{ HOPS("{ prefix = \"10.0.0.0/8\"; port = \"p\"; mac = \"" MAC "\"; weight = 0; }"),
	  "t.conf:3: next_hops[0].weight: 0 is out of range; give 1 to 10000" },
	{ HOPS(HOP("10.0.0.0/8", "p", "02:00:00:00:01")),
	  "t.conf:3: next_hops[0].mac: \"02:00:00:00:01\" is not a MAC address; write one, such "
	  "as: "
	  "mac = \"02:00:00:00:00:01\";" },
	{ HOPS(HOP("10.0.0.0/8", "p", "01:00:5e:00:00:01")),
	  "t.conf:3: next_hops[0].mac: 01:00:5e:00:00:01 is no single host's; give one host's "
	  "own" },
	{ HOPS(HOP("10.0.0.0/8", "p", MAC) ",\n" HOP("10.0.0.0/8", "p", MAC)),
	  "t.conf:4: next_hops[1].mac: is that of the next hop of the same prefix on line 3 "
	  "already; leave one of them out" },

	/* Services. */
	{ SERVICES("{ name = \"web\"; vip = \"fe80::1\"; protocol = \"tcp\"; port = 80; }"),
	  "t.conf:3: services[0].vip: fe80::1 is a link-local address, which names a host on one "
	  "link only; give the address of a host" },
	{ SERVICES("{ name = \"web\"; vip = \"ff02::1\"; protocol = \"tcp\"; port = 80; }"),
	  "t.conf:3: services[0].vip: ff02::1 is a multicast address; give the address of a host" },
	{ SERVICES("{ name = \"web\"; vip = \"2001:db8::1\"; protocol = \"tcp\"; port = 80;\n"
		   "backends = ( { address = \"10.1.0.2\"; } ); }"),
	  "t.conf:4: services[0].backends[0].address: 10.1.0.2 is not of the VIP's family, and "
	  "mode \"nat\" doesn't translate between families; give an IPv6 address" },
	{ SERVICES("{ name = \"web\"; vip = \"203.0.113.0/24\"; protocol = \"tcp\"; port = 80; }"),
	  "t.conf:3: services[0].mode: \"nat\" and a prefix as VIP (203.0.113.0/24) don't "
	  "go together: nothing in a reply tells which of its addresses the client has called; "
	  "give \"fullnat\" with a pool, or \"direct\", \"ipip\" or \"gue\"" },
	{ SERVICES("{ name = \"web\"; vip = \"203.0.113.1/24\"; protocol = \"tcp\"; port = 80; }"),
	  "t.conf:3: services[0].vip: 203.0.113.1/24 has bits set after its length; give "
	  "203.0.113.0/24" },
	{ SERVICES("{ name = \"a\"; vip = \"203.0.113.10\"; protocol = \"udp\"; port = 500;\n"
		   "affinity_group = \"g\"; affinity = \"flow\"; }"),
	  "t.conf:4: services[0].affinity: \"flow\" and affinity_group don't go together, since "
	  "each "
	  "flow of a client may have another backend; give \"client\" or a prefix length" },
	{ SERVICES("{ name = \"a\"; vip = \"203.0.113.10\"; protocol = \"udp\"; port = 500;\n"
		   "affinity_group = \"g\"; backends = ( { address = \"10.1.0.2\"; name = \"x\"; } "
		   "); },\n"
		   "{ name = \"b\"; vip = \"203.0.113.10\"; protocol = \"udp\"; port = 4500;\n"
		   "affinity_group = \"g\"; backends = ( { address = \"10.1.0.3\"; name = \"x\"; } "
		   "); }"),
	  "t.conf:6: services[1].backends: services \"b\" and \"a\" (line 3) of affinity_group "
	  "\"g\" "
	  "differ: backend number 1 (x against x) has another address; make them alike" },
	{ SERVICES("{ name = \"a\"; vip = \"203.0.113.10\"; protocol = \"udp\"; port = 500;\n"
		   "backends = ( { address = \"10.1.0.2\"; name = \"x\"; },\n"
		   "{ address = \"10.1.0.131\"; name = \"y\"; } ); },\n"
		   "{ name = \"b\"; vip = \"10.1.0.128/30\"; protocol = \"udp\"; port = 4500;\n"
		   "mode = \"direct\"; }"),
	  "t.conf:5: services[0].backends[1].address: 10.1.0.131 of backend \"y\" of service \"a\" "
	  "is in the VIP of service \"b\" (line 6); give the backend's own address" },
	{ SERVICES("{ name = \"a\"; vip = \"2001:db8::a\"; protocol = \"udp\"; port = 500; },\n"
		   "{ name = \"b\"; vip = \"2001:db8::b\"; protocol = \"udp\"; port = 500;\n"
		   "backends = ( { address = \"2001:db8::a\"; name = \"x\"; } ); }"),
	  "t.conf:5: services[1].backends[0].address: 2001:db8::a of backend \"x\" of service "
	  "\"b\" "
	  "is the VIP of service \"a\" (line 3); give the backend's own address" },
	{ SERVICES("{ name = \"web\"; vip = \"10.0.0.0/7\"; protocol = \"tcp\"; port = 80; }"),
	  "t.conf:3: services[0].vip: /7 is too short for a VIP; give /8 or longer" },
	{ SERVICES("{ name = \"web\"; vip = \"10.0.0.0/8\"; protocol = \"tcp\"; port = 80;\n"
		   "mode = \"direct\"; backends = ( { address = \"10.1.0.2\"; } ); }"),
	  "t.conf:4: services[0].backends[0].address: 10.1.0.2 is in the VIP's prefix; give the "
	  "backend an address outside of it" },
	{ SERVICES("{ name = \"web\"; vip = \"2001:db8::1\"; protocol = \"tcp\"; port = 80;\n"
		   "backends = ( { address = \"2001:db8:0::1\"; } ); }"),
	  "t.conf:4: services[0].backends[0].address: 2001:db8::1 is the VIP itself; give the "
	  "backend's own address" },
	{ SERVICES("{ name = \"web\"; vip = \"2001:db8::1\"; protocol = \"tcp\"; port = 80;\n"
		   "backends = ( { address = \"2001:db8:aaaa:bbbb:cccc:dddd:0:1\"; } ); }"),
	  "t.conf:4: services[0].backends[0].name: missing, and "
	  "2001:db8:aaaa:bbbb:cccc:dddd:0:1:80 is too long for one; add it, such as: "
	  "name = \"b1\";" },
	{ SERVICES("{ name = \"web\"; vip = \"127.0.0.1\"; protocol = \"tcp\"; port = 80; }"),
	  "t.conf:3: services[0].vip: 127.0.0.1 is a loopback address; give the address of a "
	  "host" },
	{ SERVICES("{ name = \"web\"; vip = \"203.0.113.10\"; protocol = \"sctp\"; port = 80; }"),
	  "t.conf:3: services[0].protocol: \"sctp\" is not known; give \"tcp\" or \"udp\"" },
	{ SERVICES("{ name = \"web\"; vip = \"203.0.113.10\"; protocol = \"tcp\"; port = 0; }"),
	  "t.conf:3: services[0].port: 0 is out of range; give 1 to 65535" },
	{ SERVICES(WEB("scheduler = \"rr\";")),
	  "t.conf:4: services[0].scheduler: \"rr\" is not known; give \"maglev\" or "
	  "\"roundrobin\" or \"random\"" },
	{ SERVICES(WEB("mode = \"dsr\";")),
	  "t.conf:4: services[0].mode: \"dsr\" is not known; "
	  "give \"nat\" or \"fullnat\" or \"direct\" or \"ipip\" or "
	  "\"gue\"" },
	{ SERVICES(WEB("mode = \"ipip\";")),
	  "t.conf:3: services[0].tunnel_source: missing here and in the file itself, and mode = "
	  "\"ipip\" needs one, or a tunnel_source6 for IPv6 backends; give an address of the "
	  "gateway's, or a prefix that backends accept packets from" },
	{ SERVICES(WEB("tunnel_source = \"192.0.2.1\";")),
	  "t.conf:4: services[0].tunnel_source: is for tunnels, and mode is \"nat\"; leave it "
	  "out" },
	{ SERVICES(WEB("mode = \"gue\";\ntunnel_source = \"172.16.0.0/12\";")),
	  "t.conf:5: services[0].tunnel_source: leaves 20 bits to the flow; give a prefix that "
	  "leaves at most 16" },
	{ SERVICES(WEB("mode = \"gue\";\ntunnel_source = \"172.16.0.1/16\";")),
	  "t.conf:5: services[0].tunnel_source: 172.16.0.1/16 has bits set after its length; give "
	  "172.16.0.0/16" },
	{ SERVICES(WEB("mode = \"gue\";\ntunnel_source = \"2001:db8::1\";")),
	  "t.conf:5: services[0].tunnel_source: is IPv6; give it as tunnel_source6, or an IPv4 "
	  "address here" },
	{ SERVICES(WEB("mode = \"gue\";\ntunnel_source6 = \"192.0.2.1\";")),
	  "t.conf:5: services[0].tunnel_source6: is IPv4; give it as tunnel_source, or an IPv6 "
	  "address here" },
	{ SERVICES(WEB("mode = \"gue\";\ntunnel_source6 = \"2001:db8::/64\";")),
	  "t.conf:5: services[0].tunnel_source6: leaves 64 bits to the flow; give a prefix that "
	  "leaves at most 16" },
	{ SERVICES(WEB("tunnel_source6 = \"2001:db8::1\";")),
	  "t.conf:4: services[0].tunnel_source6: is for tunnels, and mode is \"nat\"; leave it "
	  "out" },
	{ SERVICES(WEB("mode = \"ipip\";\ntunnel_source = \"192.0.2.1\";\n"
		       "backends = ( { address = \"2001:db8::2\"; } );")),
	  "t.conf:6: services[0].backends[0].address: 2001:db8::2 is IPv6, and the service has no "
	  "tunnel_source6 for tunnels to it; give one, there or in the file itself" },
	{ SERVICES(WEB("mode = \"ipip\";\ntunnel_source6 = \"2001:db8::1\";\n"
		       "backends = ( { address = \"10.1.0.2\"; } );")),
	  "t.conf:6: services[0].backends[0].address: 10.1.0.2 is IPv4, and the service has no "
	  "tunnel_source for tunnels to it; give one, there or in the file itself" },
	{ SERVICES(WEB("mode = \"direct\";\nbackends = ( { address = \"2001:db8::2\"; } );")),
	  "t.conf:5: services[0].backends[0].address: 2001:db8::2 is not of the VIP's family, and "
	  "mode \"direct\" doesn't translate between families; give an IPv4 address" },
	{ SERVICES(WEB("mode = \"gue\";\ntunnel_source = \"127.0.0.0/16\";")),
	  "t.conf:5: services[0].tunnel_source: 127.0.0.0 is a loopback address; give the address "
	  "of "
	  "a host" },
	{ SERVICES(WEB("mss = 87;")),
	  "t.conf:4: services[0].mss: 87 is out of range; give 88 to 65495" },
	{ SERVICES(WEB("mss = \"on\";")),
	  "t.conf:4: services[0].mss: \"on\" is not known; give \"off\" or \"auto\"" },
	{ SERVICES(DNS("mss = 1200;")),
	  "t.conf:4: services[0].mss: is for protocol = \"tcp\" alone; leave it out" },
	/* QUIC. */
	{ SERVICES(WEB("quic = true;")),
	  "t.conf:4: services[0].quic: is for protocol = \"udp\" alone; leave it out" },
	{ SERVICES(DNS("flows = \"none\"; quic = true;")),
	  "t.conf:4: services[0].quic: tracks every flow, which flows = \"none\" contradicts; "
	  "leave one of them out" },
	{ SERVICES(DNS("quic = 1;")), "t.conf:4: services[0].quic: is an integer; give true or "
				      "false, such as: quic = true;" },
	{ SERVICES(DNS(IDS("\"0a0b\"", "\"0a0c\""))),
	  "t.conf:4: services[0].backends[0].server_id: is for services with quic = true alone; "
	  "leave it out, or set that" },
	{ SERVICES(DNS("quic = true;\n" IDS("\"\"", "\"0a\""))),
	  "t.conf:5: services[0].backends[0].server_id: \"\" is not " SERVER_ID },
	{ SERVICES(DNS("quic = true;\n" IDS("\"0a0\"", "\"0a\""))),
	  "t.conf:5: services[0].backends[0].server_id: \"0a0\" is not " SERVER_ID },
	{ SERVICES(DNS("quic = true;\n" IDS("\"0x0a\"", "\"0a\""))),
	  "t.conf:5: services[0].backends[0].server_id: \"0x0a\" is not " SERVER_ID },
	{ SERVICES(DNS("quic = true;\n" IDS("\"010203040506070809\"", "\"0a\""))),
	  "t.conf:5: services[0].backends[0].server_id: \"010203040506070809\" is not " SERVER_ID },
	{ SERVICES(DNS("quic = true;\n" IDS("10", "11"))),
	  "t.conf:5: services[0].backends[0].server_id: is an integer; give a string, such as: "
	  "server_id = \"0a0b\";" },
	{ SERVICES(DNS("quic = true;\n" IDS("\"0a\"", "\"0A\""))),
	  "t.conf:6: services[0].backends[1].server_id: 0a is that of backend \"x\" already; give "
	  "each one of its own" },
	{ SERVICES(DNS("quic = true;\n" IDS("\"0a\"", "\"000a\""))),
	  "t.conf:6: services[0].backends[1].server_id: 000a has 2 bytes, and that of backend "
	  "\"x\" 1; give all of a service the same length" },
	{ SERVICES(WEB("mode = \"direct\";\ngue_port = 9;")),
	  "t.conf:5: services[0].gue_port: is for mode = \"gue\" alone, and this is \"direct\"; "
	  "leave it out" },
	{ SERVICES(WEB("mode = \"ipip\";\ntunnel_source = \"192.0.2.1\";\ngue_variant = 0;")),
	  "t.conf:6: services[0].gue_variant: is for mode = \"gue\" alone, and this is \"ipip\"; "
	  "leave it out" },
	{ SERVICES(WEB("mode = \"direct\";\nbackends = ( { address = \"10.1.0.2\"; port = 81; } "
		       ");")),
	  "t.conf:5: services[0].backends[0].port: 81 is another than the service's, and mode "
	  "\"direct\" translates none; give 80 or leave it out" },
	{ HEAD "next_hops = ( { prefix = \"10.0.0.0/8\"; port = \"p\"; mac = "
	       "\"02:00:00:00:00:01\"; mtu = 67; } );\n",
	  "t.conf:2: next_hops[0].mtu: 67 is out of range; give 68 to 65535" },
	{ SERVICES(WEB("track = \"no\";")),
	  "t.conf:4: services[0].track: \"no\" is not known; give \"auto\" or \"all\"" },
	{ SERVICES(WEB("flows = \"none\";")),
	  "t.conf:4: services[0].flows: \"none\" is for protocol = \"udp\" alone; give \"auto\" or "
	  "leave it out" },
	{ SERVICES(DNS("flows = \"none\";\ntrack = \"all\";")),
	  "t.conf:5: services[0].track: \"all\" contradicts flows = \"none\"; leave one of them "
	  "out" },
	{ SERVICES(WEB("table_size = 1000;")),
	  "t.conf:4: services[0].table_size: 1000 is not a power of two; give 512 or 1024" },
	{ SERVICES(WEB("table_size = 128;")),
	  "t.conf:4: services[0].table_size: 128 is out of range; give 256 to 1048576" },
	{ SERVICES(WEB("idle_timeout = \"15x\";")),
	  "t.conf:4: services[0].idle_timeout: \"15x\" is not a duration; write a number with ms, "
	  "s, m or h, such as \"30s\"" },
	{ SERVICES(WEB("idle_timeout = 0;")),
	  "t.conf:4: services[0].idle_timeout: is out of range; give 100ms to 168h" },
	{ SERVICES(WEB("idle_timeout = \"169h\";")),
	  "t.conf:4: services[0].idle_timeout: is out of range; give 100ms to 168h" },
	{ SERVICES(WEB("") ",\n" WEB("")), "t.conf:5: services[1].name: \"web\" is the service's "
					   "on line 3 already; give each a name "
					   "of its own" },
	{ SERVICES(WEB("") ",\n" DNS("") ",\n"
					 "{ vip = \"203.0.113.10\"; name = \"other\";\n"
					 "protocol = \"tcp\"; port = 80; }"),
	  "t.conf:7: services[2].vip: 203.0.113.10 tcp port 80 is service \"web\" on line 3 "
	  "already; "
	  "change one of the three" },

	/* Backends. */
	{ BACKENDS("{ address = \"web.example\"; }"),
	  "t.conf:5: services[0].backends[0].address: \"web.example\" is not an IP address; write "
	  "one such as 203.0.113.10" },
	{ BACKENDS("{ address = \"2001:db8::1\"; }"),
	  "t.conf:5: services[0].backends[0].address: 2001:db8::1 is not of the VIP's family, and "
	  "mode \"nat\" doesn't translate between families; give an IPv4 address" },
	{ BACKENDS("{ address = \"203.0.113.10\"; }"),
	  "t.conf:5: services[0].backends[0].address: 203.0.113.10 is the VIP itself; give the "
	  "backend's own address" },
	{ BACKENDS("{ address = \"10.1.0.2\"; port = 65536; }"),
	  "t.conf:5: services[0].backends[0].port: 65536 is out of range; give 1 to 65535" },
	{ BACKENDS("{ address = \"10.1.0.2\";\n weight = 0; }"),
	  "t.conf:6: services[0].backends[0].weight: is 0; to take a backend out of service, drain "
	  "it: sluicectl backend drain" },
	{ BACKENDS("{ address = \"10.1.0.2\"; weight = 10001; }"),
	  "t.conf:5: services[0].backends[0].weight: 10001 is out of range; give 1 to 10000" },
	{ BACKENDS("{ name = \"a\"; address = \"10.1.0.2\"; },\n"
		   "{ name = \"a\"; address = \"10.1.0.3\"; }"),
	  "t.conf:6: services[0].backends[1].name: \"a\" is the backend's on line 5 already; give "
	  "each a name of its own" },
	{ BACKENDS("{ address = \"10.1.0.2\"; },\n{ name = \"a\"; address = \"10.1.0.2\"; port = "
		   "80; }"),
	  "t.conf:6: services[0].backends[1].address: 10.1.0.2 port 80 is backend \"10.1.0.2:80\" "
	  "on line 5 already; leave one of them out" },

	/* Limits; texts of rates and bursts, and what one limit has to keep: test_limit_text.c. */
	{ LIMITS("{ rate = \"1Mbit\"; }"),
	  "t.conf:5: services[0].limits[0].per: missing; add it, such as: per = \"client\";" },
	{ LIMITS("{ per = \"client\"; }"),
	  "t.conf:5: services[0].limits[0].rate: missing; add it, such as: rate = \"10Mbit\";" },
	{ LIMITS("{ per = \"host\"; rate = \"1Mbit\"; }"),
	  "t.conf:5: services[0].limits[0].per: \"host\" is not known; give \"flow\" or \"client\" "
	  "or "
	  "\"backend\" or \"service\"" },
	{ LIMITS("{ per = \"client\";\n rate = 1000000; }"),
	  "t.conf:6: services[0].limits[0].rate: is an integer; give a string, such as: rate = "
	  "\"10Mbit\";" },
	{ LIMITS("{ per = \"client\";\n rate = \"1Mbps\"; }"),
	  "t.conf:6: services[0].limits[0].rate: \"1Mbps\" is not a rate; write bits (\"10Mbit\"), "
	  "packets (\"10kpps\") or new connections (\"100cps\") a second" },
	{ LIMITS("{ per = \"client\"; burst = \"1s\";\n rate = \"1bit\"; }"),
	  "t.conf:6: services[0].limits[0].rate: a rate of 1bit is out of range; give 1 kbit/s to "
	  "400 "
	  "Gbit/s" },
	{ LIMITS("{ per = \"client\"; burst = 1500;\n rate = \"1Mbit\"; }"),
	  "t.conf:5: services[0].limits[0].burst: a burst of 1500 bytes is too small; give at "
	  "least "
	  "2048" },
	{ LIMITS("{ per = \"client\"; burst = -1;\n rate = \"1Mbit\"; }"),
	  "t.conf:5: services[0].limits[0].burst: \"-1\" is not a burst; write bytes (\"64kb\") or "
	  "a "
	  "time (\"20ms\")" },
	{ LIMITS("{ per = \"client\"; rate = \"1Mbit\"; direction = \"out\"; }"),
	  "t.conf:5: services[0].limits[0].direction: \"out\" is not known; give \"to\" or "
	  "\"from\" or "
	  "\"both\"" },
	{ LIMITS("{ per = \"client\"; rate = \"1Mbit\"; action = \"police\"; }"),
	  "t.conf:5: services[0].limits[0].action: \"police\" is not known; give \"drop\" or "
	  "\"mark\" or "
	  "\"observe\"" },
	{ LIMITS("{ per = \"client\"; rate = \"1Mbit\"; prefix4 = 0; }"),
	  "t.conf:5: services[0].limits[0].prefix4: 0 is out of range; give 1 to 32" },
	{ LIMITS("{ per = \"client\"; rate = \"1Mbit\"; prefix6 = 129; }"),
	  "t.conf:5: services[0].limits[0].prefix6: 129 is out of range; give 1 to 128" },
	{ LIMITS("{ per = \"flow\"; rate = \"1Mbit\";\n prefix4 = 24; }"),
	  "t.conf:5: services[0].limits[0]: prefix lengths are for limits per \"client\" alone; "
	  "leave "
	  "them out" },
	{ LIMITS("{ per = \"flow\"; rate = \"100cps\"; }"),
	  "t.conf:5: services[0].limits[0]: a flow is one connection: a rate of connections can't "
	  "be "
	  "per \"flow\"; give \"client\", \"backend\" or \"service\"" },
	{ SERVICES(DNS("limits = ( { per = \"flow\"; rate = \"1Mbit\"; } );\n flows = \"none\";")),
	  "t.conf:4: services[0].limits[0]: the service has flows = \"none\"; give \"client\", "
	  "\"backend\" or \"service\" instead of per \"flow\"" },
	{ LIMITS("{ per = \"flow\"; rate = \"1Mbit\"; },\n{ per = \"flow\"; rate = \"1kpps\"; },\n"
		 "{ per = \"flow\"; rate = \"2Mbit\"; direction = \"both\"; }"),
	  "t.conf:7: services[0].limits[2]: is of the scope, unit, direction and prefix lengths of "
	  "the one on line 5; leave one of them out" },
	{ LIMITS(OF_BACKEND("1Mbit", "to") ",\n" OF_BACKEND("1Mbit", "from") ",\n" OF_BACKEND(
		  "1Mbit", "both") ",\n" OF_BACKEND("1kpps", "to") ",\n" OF_BACKEND("1kpps",
										    "from")),
	  "t.conf:9: services[0].limits[4]: is one too many per \"backend\"; a service has at most "
	  "4, "
	  "leave one of them out" },
	{ LIMITS("{ }, { }, { }, { }, { }, { }, { }, { }, { }"),
	  "t.conf:4: services[0].limits: has 9 limits; a service has room for 8, leave some out" },

	/* Capacity. */
	{ PLANE("capacity: { limits = 1; };") "services = (\n" WEB(OF_CLIENT) ", " DNS(
		  OF_CLIENT) ");\n",
	  "t.conf:3: services: have 2 limits together (\"web\" 1, \"dns\" 1), the capacity is 1; "
	  "set "
	  "dataplane.capacity.limits to at least 2" },
	{ PLANE("capacity: { services = 1; };") "services = (\n" WEB("") ", " DNS("") ");\n",
	  "t.conf:3: services: are 2, the capacity is 1; set dataplane.capacity.services to at "
	  "least "
	  "2" },
	{ PLANE("capacity: { rows = 65536; };") "services = (\n" WEB("") ", " DNS("") ");\n",
	  "t.conf:3: services: have 131072 rows of tables together (\"web\" 65536, \"dns\" 65536), "
	  "the capacity is 65536; set "
	  "dataplane.capacity.rows to at least 131072" },
	{ PLANE("capacity: { backends = 1; };") "services = (\n" WEB(
		  "backends = ( { address = \"10.1.0.2\"; }, { address = \"10.1.0.3\"; } );") ");"
											      "\n",
	  "t.conf:3: services: have 2 backends together (\"web\" 2), the capacity is 1; set "
	  "dataplane.capacity.backends to at least 2" },
};

static void test_refusals(void **state)
{
	struct sl_config config, empty;
	char error[SL_ERROR_MAX];
	size_t i;
	int err;

	(void)state;
	memset(&empty, 0, sizeof(empty));
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		err = read_text(refusals[i].text, &config, error);
		assert_string_equal(error, refusals[i].error);
		assert_int_equal(err, -EINVAL);
		assert_memory_equal(&config, &empty, sizeof(empty));
	}
}

/* Live, where no line of a file is the subject. */
static void test_live_capacity(void **state)
{
	struct sl_config config;
	char error[SL_ERROR_MAX];

	(void)state;
	assert_int_equal(
		read_text(SERVICES("{ name = \"a\"; vip = \"203.0.113.10\"; protocol = "
				   "\"udp\"; port = 1; table_size = 256; },\n" WEB("") ",\n" DNS(
					   "table_size = 512;") ",\n"
								"{ name = \"b\"; vip = "
								"\"203.0.113.10\"; protocol = "
								"\"udp\"; port = 2; "
								"table_size = 1024; }"),
			  &config, error),
		0);
	config.capacity.slots = 65536;
	assert_int_equal(
		sl_config_check_services(&config, config.service, config.n_services, error),
		-EINVAL);
	assert_string_equal(error,
			    "services: have 67328 rows of tables together (the most: "
			    "\"web\" 65536, \"b\" 1024, \"dns\" 512), the capacity is 65536; "
			    "set dataplane.capacity.rows to at least 67328");
	sl_config_free(&config);
}

/* A service with many backends; `table` is a field or nothing. */
static char *many_backends(unsigned int n, const char *table)
{
	char *list = NULL, *text = NULL;
	unsigned int i;
	size_t size;
	FILE *file = open_memstream(&list, &size);

	assert_non_null(file);
	for (i = 0; i < n; i++)
		fprintf(file, "%s{ address = \"10.1.%u.%u\"; }", i ? ",\n" : "", i / 250,
			i % 250 + 1);
	fclose(file);
	assert_true(asprintf(&text,
			     PLANE("capacity: { backends = 20000; };") "services = (" WEB(
				     "%s backends = (%s);") ");\n",
			     table, list) > 0);
	free(list);
	return text;
}

static void test_backend_numbers(void **state)
{
	static const struct {
		unsigned int n;
		const char *table, *error;
	} cases[] = {
		{ 16, "table_size = 256;", NULL },
		{ 20, "table_size = 256;",
		  "t.conf:4: services[0].table_size: 256 rows are too few for 20 backends; give at "
		  "least 512" },
		{ 5000, "",
		  "t.conf:3: services[0].table_size: 65536 rows are too few for 5000 backends; "
		  "give "
		  "at least 131072" },
		{ SL_BACKENDS_PER_SERVICE, "table_size = 262144;", NULL },
		{ SL_BACKENDS_PER_SERVICE + 1, "table_size = 262144;",
		  "t.conf:4: services[0].backends: has 16384 backends; a service has room for "
		  "16383, spread them over more services" },
	};
	struct sl_config config;
	char error[SL_ERROR_MAX], *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text = many_backends(cases[i].n, cases[i].table);
		assert_int_equal(read_text(text, &config, error), cases[i].error ? -EINVAL : 0);
		assert_string_equal(error, cases[i].error ? cases[i].error : "");
		if (!cases[i].error)
			assert_int_equal(config.service[0].n_backends, cases[i].n);
		sl_config_free(&config);
		free(text);
	}
}

static void test_defaults(void **state)
{
	static const char text[] =
		SERVICES(WEB("backends = ( { address = \"10.1.0.2\"; } );") ",\n" DNS(""));
	const struct sl_config_service *web, *dns;
	struct sl_config config;
	char error[SL_ERROR_MAX], addr[SL_ADDR_TEXT];

	(void)state;
	assert_int_equal(read_text(text, &config, error), 0);
	assert_string_equal(error, "");
	assert_string_equal(config.file, "t.conf");
	assert_string_equal(config.instance, "main");
	assert_string_equal(config.run_dir, "/run/sluice/main");
	assert_string_equal(config.state_dir, "/var/lib/sluice/main");
	assert_string_equal(config.bpf_dir, "/sys/fs/bpf/sluice/main");
	assert_string_equal(config.huge_dir, "/dev/hugepages");
	assert_int_equal(config.dataplane.main_core, -1);
	assert_int_equal(config.dataplane.memory_mb, 256);
	assert_true(config.dataplane.huge_pages);
	assert_int_equal(config.dataplane.tables, SL_TABLES_BPF);
	assert_int_equal(config.dataplane.port[0].queues, 1);
	assert_int_equal(config.dataplane.port[0].line, 1);
	assert_int_equal(config.capacity.services, 256);
	assert_int_equal(config.capacity.backends, 4096);
	assert_int_equal(config.capacity.slots, 1048576);
	assert_int_equal(config.capacity.flows, 1048576);
	assert_int_equal(config.capacity.routes, 4096);
	assert_int_equal(config.n_next_hops, 0);
	assert_int_equal(config.n_services, 2);

	web = &config.service[0];
	assert_string_equal(sl_addr_format(&web->vip, addr), "203.0.113.10");
	assert_int_equal(web->protocol, IPPROTO_TCP);
	assert_string_equal(web->scheduler, "maglev");
	assert_int_equal(web->mode, SL_MODE_NAT);
	assert_false(web->track_all);
	assert_false(web->flowless);
	assert_int_equal(web->table_size, 65536);
	assert_int_equal(web->idle_timeout_ms, 900000);
	assert_int_equal(web->line, 3);
	assert_int_equal(web->n_backends, 1);
	assert_string_equal(web->backend[0].name, "10.1.0.2:80");
	assert_int_equal(web->backend[0].port, 80);
	assert_int_equal(web->backend[0].weight, 1);
	assert_int_equal(web->backend[0].line, 4);

	dns = &config.service[1];
	assert_int_equal(dns->idle_timeout_ms, 30000);
	assert_int_equal(dns->n_backends, 0);
	assert_null(dns->backend);
	sl_config_free(&config);
	assert_null(config.service);
}

/* Every field, written out. */
static void test_values(void **state)
{
	static const char text[] =
		"instance = \"two\"; run_dir = \"/r\"; state_dir = \"/s\"; bpf_dir = \"/b\";\n"
		"huge_dir = \"/h\"; group = \"edge\";\n"
		"dataplane: { cores = [ 3, 5 ]; main_core = 3; memory = 4294967296L; huge_pages = "
		"false;\n"
		" ports = ( { name = \"a\"; device = \"0000:AF:00.1\"; queues = 4; },\n"
		"           { name = \"b\"; device = \"net_ring0\"; } );\n"
		" capacity: { services = 2; backends = 3; rows = 512; flows = 1024; routes = 5; }; "
		"};\n"
		"next_hops = ( " HOP("0.0.0.0/0", "b", "02:AA:00:00:00:01") ",\n" HOP(
			"10.1.0.0/24", "a",
			MAC) ", " HOP("10.2.0.1", "a",
				      MAC) " );\n"
					   "services = ( " DNS(
						   "track = \"auto\"; flows = \"none\"; table_size "
						   "= 256; idle_timeout = 7;\n"
						   "backends = ( { name = \"x\"; address = "
						   "\"10.1.0.2\"; port = 5353; weight = 10000; "
						   "} );") " );\n";
	const struct sl_config_next_hop *hop;
	struct sl_config config;
	char error[SL_ERROR_MAX], addr[SL_ADDR_TEXT];

	(void)state;
	assert_int_equal(read_text(text, &config, error), 0);
	assert_string_equal(config.instance, "two");
	assert_string_equal(config.run_dir, "/r");
	assert_string_equal(config.state_dir, "/s");
	assert_string_equal(config.bpf_dir, "/b");
	assert_string_equal(config.huge_dir, "/h");
	assert_int_equal(config.dataplane.n_cores, 2);
	assert_int_equal(config.dataplane.cores[1], 5);
	assert_int_equal(config.dataplane.main_core, 3);
	assert_int_equal(config.dataplane.memory_mb, 4096);
	assert_false(config.dataplane.huge_pages);
	assert_string_equal(config.dataplane.port[0].device, "0000:af:00.1");
	assert_int_equal(config.dataplane.port[0].queues, 4);
	assert_int_equal(config.capacity.services, 2);
	assert_int_equal(config.capacity.routes, 5);

	hop = config.next_hop;
	assert_int_equal(config.n_next_hops, 3);
	assert_int_equal(hop[0].length, 96);
	assert_int_equal(hop[0].port, 1);
	assert_memory_equal(hop[0].mac, "\x02\xaa\0\0\0\x01", 6);
	assert_int_equal(hop[1].length, 120);
	assert_string_equal(sl_addr_format(&hop[1].prefix, addr), "10.1.0.0");
	assert_int_equal(hop[2].length, 128);

	assert_true(config.service[0].flowless);
	assert_int_equal(config.service[0].protocol, IPPROTO_UDP);
	assert_int_equal(config.service[0].table_size, 256);
	assert_int_equal(config.service[0].idle_timeout_ms, 7000);
	assert_string_equal(config.service[0].backend[0].name, "x");
	assert_int_equal(config.service[0].backend[0].port, 5353);
	assert_int_equal(config.service[0].backend[0].weight, 10000);
	sl_config_free(&config);
}

static void test_server_ids(void **state)
{
	static const char text[] = SERVICES(DNS("quic = true;\n" IDS("\"00fF\"", "\"0000\"")));
	static const struct sl_server_id want[] = { { 0xff, 2 }, { 0, 2 }, { 0, 0 }, { 0, 0 } };
	struct sl_config config;
	char error[SL_ERROR_MAX], id[SL_SERVER_ID_TEXT];

	(void)state;
	assert_int_equal(read_text(text, &config, error), 0);
	assert_true(config.service[0].quic);
	for (int i = 0; i < 4; i++)
		assert_true(sl_server_id_same(&config.service[0].backend[i].server_id, &want[i]));
	assert_string_equal(sl_server_id_format(&want[0], id), "00ff");
	assert_string_equal(sl_server_id_format(&want[1], id), "0000");
	sl_config_free(&config);
}

/* As written, and as it is by default. */
static void test_limits(void **state)
{
	static const char text[] = LIMITS(
		"{ per = \"client\"; rate = \"2Mbit\"; burst = \"64kb\"; direction = \"to\";\n"
		"  action = \"mark\"; prefix4 = 24; prefix6 = 56; },\n"
		"{ per = \"flow\"; rate = \"1.5kpps\"; burst = 100; action = \"observe\"; },\n"
		"{ burst = \"2s\"; per = \"client\"; rate = \"100cps\"; },\n"
		"{ per = \"service\"; rate = \"10Gbit\"; direction = \"from\"; }");
	static const struct sl_config_limit want[] = {
		{ SL_SCOPE_CLIENT, SL_UNIT_BYTES, SL_TO_BACKEND, SL_ACTION_MARK, 24, 56, 2000000,
		  65536, 5 },
		{ SL_SCOPE_FLOW, SL_UNIT_PACKETS, SL_TO_BACKEND | SL_FROM_BACKEND,
		  SL_ACTION_OBSERVE, 0, 0, 1500, 100, 7 },
		{ SL_SCOPE_CLIENT, SL_UNIT_CONNECTIONS, SL_TO_BACKEND, SL_ACTION_DROP, 32, 128, 100,
		  200, 8 },
		{ SL_SCOPE_SERVICE, SL_UNIT_BYTES, SL_FROM_BACKEND, SL_ACTION_DROP, 0, 0,
		  10000000000, 0, 9 },
	};
	const struct sl_config_limit *l;
	struct sl_config config;
	char error[SL_ERROR_MAX];
	size_t i;

	(void)state;
	assert_int_equal(read_text(text, &config, error), 0);
	assert_string_equal(error, "");
	assert_int_equal(config.service[0].n_limits, 4);
	for (i = 0; i < 4; i++) {
		l = &config.service[0].limit[i];
		assert_true(sl_limit_same(l, &want[i]));
		assert_int_equal(l->action, want[i].action);
		assert_int_equal(l->rate, want[i].rate);
		assert_int_equal(l->burst, want[i].burst);
		assert_int_equal(l->line, want[i].line);
	}
	sl_config_free(&config);
}

static void test_tables(void **state)
{
	static const struct {
		const char *ports;
		enum sl_port_kind kind;
		enum sl_table_memory tables;
	} cases[] = {
		{ PORTS("{ name = \"a\"; device = \"eth1\"; }"), SL_PORT_KERNEL, SL_TABLES_BPF },
		{ PORTS("{ name = \"a\"; device = \"0000:03:00.0\"; }"), SL_PORT_PCI,
		  SL_TABLES_BPF },
		{ PORTS("{ name = \"a\"; device = \"net_null0\"; }"), SL_PORT_VDEV,
		  SL_TABLES_HUGE },
		{ PORTS("{ name = \"a\"; device = \"net_null0\"; }, { name = \"b\"; device = "
			"\"eth1\"; }"),
		  SL_PORT_VDEV, SL_TABLES_BPF },
		{ "dataplane: { tables = \"bpf\"; cores = [ 1 ]; ports = ( { name = \"a\"; device "
		  "= "
		  "\"net_memif0,role=server\"; } ); };",
		  SL_PORT_VDEV, SL_TABLES_BPF },
		{ "dataplane: { tables = \"huge\"; cores = [ 1 ]; ports = ( { name = \"a\"; device "
		  "= "
		  "\"0000:03:00.0\"; } ); };",
		  SL_PORT_PCI, SL_TABLES_HUGE },
	};
	struct sl_config config;
	char error[SL_ERROR_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_text(cases[i].ports, &config, error), 0);
		assert_int_equal(config.dataplane.port[0].kind, cases[i].kind);
		assert_int_equal(config.dataplane.tables, cases[i].tables);
		sl_config_free(&config);
	}
}

/* The keys are a promise between gateways of all versions: written down, not computed again. */
static void test_row_key(void **state)
{
	static const struct {
		const char *text;
		uint64_t key[3];
	} cases[] = {
		{ HEAD, { 0xbd8e740903156b3c, 0x1063bdc4c037fd6d, 0xf3b64ec28df88dc8 } },
		{ "group = \"sluice\";\n" HEAD,
		  { 0xbd8e740903156b3c, 0x1063bdc4c037fd6d, 0xf3b64ec28df88dc8 } },
		{ "group = \"edge\";\n" HEAD,
		  { 0xc884fdbc3cef13e6, 0x18055390b9cf2cd7, 0x1dea02a33fd627a5 } },
	};
	struct sl_config config;
	char error[SL_ERROR_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_text(cases[i].text, &config, error), 0);
		assert_memory_equal(config.slot_key, cases[i].key, sizeof(config.slot_key));
		sl_config_free(&config);
	}
}

static void test_include(void **state)
{
	static const char main_text[] = HEAD "services = (\n"
					     "@include \"parts/web.conf\"\n"
					     ",\n"
					     "@include \"parts/dns.conf\"\n"
					     ");\n";
	static const char web[] = "\n" WEB("");
	static const struct refusal cases[] = {
		{ "\n" DNS(""), "" },
		{ "\n\n" DNS("port2 = 3;"), "sub/parts/dns.conf:4: services[1].port2: unknown "
					    "field; did you mean \"port\"?" },
		{ "\n;",
		  "sub/parts/dns.conf:2: syntax error; look there and on the line before for "
		  "a missing ; or an open quote or bracket" },
		{ WEB("table_size = 99999999999;"),
		  "sub/parts/dns.conf:2: services[1].table_size: 99999999999 is beyond 32 bits; "
		  "end it with an L if it has to be so large" },
		{ WEB(""), "sub/parts/dns.conf:1: services[1].name: \"web\" is the service's on "
			   "sub/parts/web.conf:2 already; give each a name of its own" },
	};
	struct sl_config config;
	char error[SL_ERROR_MAX];
	size_t i;

	(void)state;
	assert_int_equal(mkdir("sub", 0700), 0);
	assert_int_equal(mkdir("sub/parts", 0700), 0);
	put("sub/main.conf", main_text, strlen(main_text));
	put("sub/parts/web.conf", web, strlen(web));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put("sub/parts/dns.conf", cases[i].text, strlen(cases[i].text));
		assert_int_equal(sl_config_read("sub/main.conf", &config, error),
				 *cases[i].error ? -EINVAL : 0);
		assert_string_equal(error, cases[i].error);
		sl_config_free(&config);
	}
}

static void test_unreadable(void **state)
{
	char error[SL_ERROR_MAX], path[SL_PATH_MAX + 1];
	struct sl_config config;

	(void)state;
	assert_int_equal(sl_config_read("none.conf", &config, error), -ENOENT);
	assert_string_equal(error, "none.conf: can't be read: No such file or directory; give the "
				   "path of a file that can");
	assert_int_equal(sl_config_read("/tmp", &config, error), -EINVAL);
	assert_string_equal(error, "/tmp: can't be read: not a regular file; give the path of a "
				   "file that can");
	memset(path, 'a', SL_PATH_MAX);
	path[SL_PATH_MAX] = '\0';
	assert_int_equal(sl_config_read(path, &config, error), -ENAMETOOLONG);
}

static void test_addresses(void **state)
{
	static const struct refusal good[] = {
		{ "203.0.113.10", "203.0.113.10" },
		{ "255.255.255.254", "255.255.255.254" },
		{ "2001:DB8:0::1", "2001:db8::1" },
		{ "::ffff:10.0.0.1", "10.0.0.1" },
	};
	static const struct refusal bad[] = {
		{ "", "\"\" is not an IP address; write one such as 203.0.113.10" },
		{ "10.0.0", "\"10.0.0\" is not an IP address; write one such as 203.0.113.10" },
		{ "10.0.0.1/8",
		  "\"10.0.0.1/8\" is not an IP address; write one such as 203.0.113.10" },
		{ "0.0.0.0", "0.0.0.0 is unspecified; give the address of a host" },
		{ "127.1.2.3", "127.1.2.3 is a loopback address; give the address of a host" },
		{ "224.0.0.1", "224.0.0.1 is a multicast address; give the address of a host" },
		{ "255.255.255.255",
		  "255.255.255.255 is the broadcast address; give the address of a host" },
		{ "::", ":: is unspecified; give the address of a host" },
		{ "::1", "::1 is a loopback address; give the address of a host" },
		{ "::ffff:127.0.0.1",
		  "::ffff:127.0.0.1 is a loopback address; give the address of a host" },
		{ "ff02::1", "ff02::1 is a multicast address; give the address of a host" },
	};
	char error[SL_ERROR_MAX], text[SL_ADDR_TEXT];
	union sl_addr addr;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(sl_config_parse_addr(good[i].text, &addr, error), 0);
		assert_string_equal(sl_addr_format(&addr, text), good[i].error);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sl_config_parse_addr(bad[i].text, &addr, error), -EINVAL);
		assert_string_equal(error, bad[i].error);
	}
}

static void test_texts(void **state)
{
	static const struct {
		int (*parse)(const char *, uint64_t *);
		const char *text;
		long long value; /* -1: refused */
	} cases[] = {
		{ sl_text_duration, "500ms", 500 },
		{ sl_text_duration, "30s", 30000 },
		{ sl_text_duration, "15m", 900000 },
		{ sl_text_duration, "2h", 7200000 },
		{ sl_text_duration, "30", -1 },
		{ sl_text_duration, "-30s", -1 },
		{ sl_text_duration, " 30s", -1 },
		{ sl_text_duration, "30s ", -1 },
		{ sl_text_duration, "1.5s", -1 },
		{ sl_text_duration, "18446744073709551615h", -1 },
		{ sl_text_duration, "99999999999999999999s", -1 },
		{ sl_text_duration, "", -1 },
		{ sl_text_size, "64K", 65536 },
		{ sl_text_size, "256M", 268435456 },
		{ sl_text_size, "1G", 1073741824 },
		{ sl_text_size, "1T", 1099511627776 },
		{ sl_text_size, "1g", -1 },
		{ sl_text_size, "1GB", -1 },
		{ sl_text_size, "99999999999T", -1 },
	};
	uint64_t value;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cases[i].parse(cases[i].text, &value),
				 cases[i].value < 0 ? -EINVAL : 0);
		if (cases[i].value >= 0)
			assert_int_equal(value, cases[i].value);
	}
	assert_int_equal(sl_text_distance("wieght", "weight"), 2);
	assert_int_equal(sl_text_distance("", "port"), 4);
	assert_int_equal(sl_text_distance("port", "port"), 0);
}

static char *slurp(const char *path, size_t *len)
{
	char full[8192], *text = NULL;
	size_t size = 0;
	ssize_t got;
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", source_dir, path);
	file = fopen(full, "r");
	if (!file)
		fail_msg("%s: %s", full, strerror(errno));
	got = getdelim(&text, &size, '\0', file);
	assert_true(got > 0);
	fclose(file);
	*len = (size_t)got;
	return text;
}

/* The examples are right, and no beginning of one, nor one with any byte broken, does harm. */
static void test_examples(void **state)
{
	static const char *const paths[] = { "config/examples/demo.conf",
					     "config/examples/gateway.conf" };
	char error[SL_ERROR_MAX], *text;
	struct sl_config config;
	size_t i, cut, len;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		text = slurp(paths[i], &len);
		assert_int_equal(read_text(text, &config, error), 0);
		assert_true(config.n_services > 0);
		sl_config_free(&config);
		for (cut = 0; cut < len; cut += 3) {
			char was = text[cut];

			put("t.conf", text, cut);
			sl_config_read("t.conf", &config, error);
			sl_config_free(&config);
			text[cut] = "\"({[;=0/\\x\xff"[cut % 11];
			put("t.conf", text, len);
			sl_config_read("t.conf", &config, error);
			sl_config_free(&config);
			text[cut] = was;
		}
		free(text);
	}
}

/* The manual has every field, under its group's title, in the order of the tables. */
static void test_manual(void **state)
{
	static const struct sl_group *const groups[] = {
		&sl_group_root,	    &sl_group_dataplane, &sl_group_port,
		&sl_group_capacity, &sl_group_next_hop,	 &sl_group_service,
		&sl_group_backend,  &sl_group_health,	 &sl_group_limit,
	};
	char slot[64], *text, *at, *next;
	size_t i, j, len;

	(void)state;
	text = slurp("docs/configuration.md", &len);
	for (at = text, i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		snprintf(slot, sizeof(slot), "\n## %s\n", groups[i]->path);
		at = strstr(at, slot);
		if (!at)
			fail_msg("docs/configuration.md: no title%s", slot);
		next = strstr(at + 1, "\n## ");
		for (j = 0; j < groups[i]->n_fields; j++) {
			snprintf(slot, sizeof(slot), "\n| `%s` |", groups[i]->field[j].name);
			at = strstr(at, slot);
			if (!at || (next && at > next))
				fail_msg("docs/configuration.md: %s: no row%s", groups[i]->path,
					 slot);
		}
	}
	free(text);
}

static int enter(void **state)
{
	(void)state;
	if (!realpath(SL_SOURCE_DIR, source_dir) || !mkdtemp(scratch))
		return -1;
	return chdir(scratch);
}

static int leave(void **state)
{
	static const char *const files[] = { "sub/parts/dns.conf",
					     "sub/parts/web.conf",
					     "sub/parts",
					     "sub/main.conf",
					     "sub",
					     "t.conf" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		remove(files[i]);
	if (chdir("/") == -1)
		return -1;
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),	cmocka_unit_test(test_live_capacity),
		cmocka_unit_test(test_backend_numbers), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),		cmocka_unit_test(test_server_ids),
		cmocka_unit_test(test_limits),		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_row_key),		cmocka_unit_test(test_include),
		cmocka_unit_test(test_unreadable),	cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_texts),		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests_name("config", tests, enter, leave);
}
