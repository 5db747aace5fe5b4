/* SPDX-License-Identifier: BSD-2-Clause */
/* The dataplane group: cores, memory, ports, capacities, and the next hops that leave by those
 * ports.
 *
 * place_tables() decides in what kind of memory the tables are, for both processes.
 */
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../dataplane/abi/flow.h"
#include "../dataplane/abi/next_hop.h"
#include "../dataplane/abi/worker.h"
#include "parse.h"

#define CORE_MAX   1023
#define MEMORY_MIN (16ull << 20)
#define MEMORY_MAX (1ull << 40)

static int read_pci(const char *text, char device[SL_DEVICE_MAX])
{
	static const char form[] = "xxxx:xx:xx.x";
	size_t i;

	if (strlen(text) != sizeof(form) - 1)
		return -EINVAL;
	for (i = 0; form[i]; i++) {
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return -EINVAL;
		device[i] = (char)tolower((unsigned char)text[i]);
	}
	device[i] = '\0';
	return 0;
}

/* The three forms can't be confused: interface names have no ':', and "net_" belongs to DPDK. */
#define CORES_EXAMPLE "cores = [ 1 ];"

static int read_device(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		       void *record)
{
	const char *text = config_setting_get_string(setting), *c;
	struct sl_config_port *port = record;

	(void)field;
	for (c = text; *c && isgraph((unsigned char)*c); c++)
		;
	if (*c || c == text || c - text >= SL_DEVICE_MAX)
		return sl_fail(r, setting,
			       "is empty, has blanks or over %d characters; give a "
			       "device, such as: %s",
			       SL_DEVICE_MAX - 1, field->example);
	if (!strncmp(text, "net_", 4)) {
		port->kind = SL_PORT_VDEV;
	} else if (strchr(text, ':')) {
		port->kind = SL_PORT_PCI;
		if (read_pci(text, port->device))
			return sl_fail(r, setting,
				       "\"%.64s\" is not a PCI address; write all of it, "
				       "such as \"0000:03:00.0\"",
				       text);
		return 0;
	} else {
		port->kind = SL_PORT_KERNEL;
		if (c - text >= IFNAMSIZ || strchr(text, '/') || !strcmp(text, ".") ||
		    !strcmp(text, ".."))
			return sl_fail(r, setting,
				       "\"%.64s\" can't be the name of a kernel "
				       "interface; give one that \"ip link\" shows, a PCI address "
				       "or a virtual device (net_…)",
				       text);
	}
	memcpy(port->device, text, (size_t)(c - text) + 1);
	return 0;
}

/* The address of one host, for whom the field asks. */
static int read_host_mac(struct sl_reader *r, const struct sl_field *field,
			 config_setting_t *setting, uint8_t mac[6])
{
	static const uint8_t nobody[6];
	const char *text = config_setting_get_string(setting);

	if (!text || sl_text_mac(text, mac))
		return sl_fail(r, setting, "\"%.64s\" is not a MAC address; write one, such as: %s",
			       text ? text : "", field->example);
	if ((mac[0] & 1) || !memcmp(mac, nobody, sizeof(nobody)))
		return sl_fail(r, setting, "%s is no single host's; give one host's own", text);
	return 0;
}

static int read_macs(struct sl_reader *r, const struct sl_field *field, config_setting_t *array,
		     void *record)
{
	struct sl_config_port *port = record;
	int n = config_setting_length(array);

	if (n > SL_PORT_ADDRESSES)
		return sl_fail(r, array, "has %d MAC addresses; give at most %d", n,
			       SL_PORT_ADDRESSES);
	for (int i = 0; i < n; i++) {
		int err = read_host_mac(r, field, config_setting_get_elem(array, (unsigned int)i),
					port->macs[i]);

		if (err)
			return err;
		for (int k = 0; k < i; k++)
			if (!memcmp(port->macs[k], port->macs[i], sizeof(port->macs[0])))
				return sl_fail(r, config_setting_get_elem(array, (unsigned int)i),
					       "is named twice; give each address once");
	}
	port->n_macs = (uint32_t)n;
	return 0;
}

static const struct sl_field port_fields[] = {
	{ "name", SL_STRING, sl_read_name, "name = \"client\";", .required = true,
	  SL_MEMBER(sl_config_port, name) },
	{ "device", SL_STRING, read_device, "device = \"eth1\";", .required = true },
	{ "queues", SL_INTEGER, sl_read_integer, "queues = 1;", SL_MEMBER(sl_config_port, queues),
	  .min = 1, .max = SL_QUEUES_PER_PORT },
	{ "native_vlan", SL_INTEGER, sl_read_integer, "native_vlan = 1;",
	  SL_MEMBER(sl_config_port, native_vlan), .min = 1, .max = 4094 },
	{ "macs", SL_ARRAY, read_macs, "macs = [ \"00:00:5e:00:01:33\" ];", .required = false },
};
const struct sl_group sl_group_port = SL_GROUP_OF("dataplane.ports", port_fields);

static int same_name(const void *a, const void *b)
{
	const struct sl_config_port *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* The same virtual device with other arguments is still the same device. */
static int same_device(const void *a, const void *b)
{
	const struct sl_config_port *left = a, *right = b;
	size_t n = strcspn(left->device, ","), m = strcspn(right->device, ",");
	int sign = strncmp(left->device, right->device, n < m ? n : m);

	return sign ? sign : (n > m) - (n < m);
}

static int read_ports(struct sl_reader *r, const struct sl_field *field, config_setting_t *list,
		      void *record)
{
	struct sl_config_dataplane *dataplane = record;
	int n = config_setting_length(list), i, err;
	char where[SL_WHERE_TEXT];
	size_t first, second;

	if (n < 1 || n > SL_PORTS_CONFIG_MAX)
		return sl_fail(r, list, "has %d ports; give 1 to %d, such as: %s", n,
			       SL_PORTS_CONFIG_MAX, field->example);
	for (i = 0; i < n; i++) {
		config_setting_t *setting = config_setting_get_elem(list, (unsigned int)i);
		struct sl_config_port *port = &dataplane->port[i];

		port->queues = 1;
		port->line = (int)setting->line;
		err = sl_group_read(r, &sl_group_port, setting, port);
		if (err)
			return err;
	}
	dataplane->n_ports = (size_t)n;
	for (i = 0; i < 2; i++) {
		err = sl_duplicate(dataplane->port, dataplane->n_ports, sizeof(dataplane->port[0]),
				   i ? same_device : same_name, &first, &second);
		if (err > 0) {
			config_setting_t *here =
				config_setting_get_elem(list, (unsigned int)second);
			const char *member = i ? "device" : "name";

			return sl_fail_in(
				r, here, member,
				"\"%.64s\" is that of the port on %s "
				"already; give each port its own",
				i ? dataplane->port[second].device : dataplane->port[second].name,
				sl_where(r, config_setting_get_elem(list, (unsigned int)first),
					 here, where));
		}
		if (err < 0)
			return err;
	}
	return 0;
}

static int read_cores(struct sl_reader *r, const struct sl_field *field, config_setting_t *array,
		      void *record)
{
	struct sl_config_dataplane *dataplane = record;
	int n = config_setting_length(array), i, j;

	if (n < 1 || n > SL_CORES_MAX)
		return sl_fail(r, array, "has %d cores; give 1 to %d, such as: %s", n, SL_CORES_MAX,
			       field->example);
	for (i = 0; i < n; i++) {
		config_setting_t *setting = config_setting_get_elem(array, (unsigned int)i);
		long long core = config_setting_get_int64(setting);

		if (config_setting_type(setting) != CONFIG_TYPE_INT &&
		    config_setting_type(setting) != CONFIG_TYPE_INT64)
			return sl_fail(r, setting,
				       "is not an integer; give numbers of cores, "
				       "such as: %s",
				       field->example);
		if (core < 0 || core > CORE_MAX)
			return sl_fail(r, setting, "%lld is out of range; give 0 to %d", core,
				       CORE_MAX);
		for (j = 0; j < i; j++)
			if (dataplane->cores[j] == core)
				return sl_fail(r, setting,
					       "core %lld is named twice; give each "
					       "worker a core of its own",
					       core);
		dataplane->cores[i] = (uint32_t)core;
	}
	dataplane->n_cores = (size_t)n;
	dataplane->cores_line = (int)array->line;
	return 0;
}

static int read_memory(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		       void *record)
{
	const char *text = config_setting_get_string(setting);
	long long number = config_setting_get_int64(setting);
	struct sl_config_dataplane *dataplane = record;
	uint64_t bytes = number > 0 ? (uint64_t)number : 0;

	if (text && sl_text_size(text, &bytes))
		return sl_fail(r, setting,
			       "\"%.64s\" is not a size; write a number with K, M, G or "
			       "T, such as: %s",
			       text, field->example);
	if (bytes < MEMORY_MIN || bytes > MEMORY_MAX)
		return sl_fail(r, setting, "is out of range; give 16M to 1T");
	if (bytes & 0xfffff)
		return sl_fail(r, setting,
			       "is no whole number of megabytes (1048576 bytes); write "
			       "it with M, such as: %s",
			       field->example);
	dataplane->memory_mb = (uint32_t)(bytes >> 20);
	return 0;
}

static int read_tables(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		       void *record)
{
	if (!strcmp(config_setting_get_string(setting), "auto"))
		return 0;
	r->tables = setting;
	return sl_read_word(r, field, setting, record);
}

static int read_capacity(struct sl_reader *r, const struct sl_field *field,
			 config_setting_t *setting, void *record)
{
	(void)field;
	(void)record;
	return sl_group_read(r, &sl_group_capacity, setting, &r->config->capacity);
}

static const struct sl_field capacity_fields[] = {
	{ "services", SL_INTEGER, sl_read_integer, "services = 256;",
	  SL_MEMBER(sl_config_capacity, services), .min = 1, .max = SL_FLOW_SERVICE_MAX },
	{ "backends", SL_INTEGER, sl_read_integer, "backends = 4096;",
	  SL_MEMBER(sl_config_capacity, backends), .min = 1, .max = 1 << 20 },
	{ "rows", SL_INTEGER, sl_read_integer, "rows = 1048576;",
	  SL_MEMBER(sl_config_capacity, slots), .min = 256, .max = 1 << 28 },
	{ "flows", SL_INTEGER, sl_read_integer, "flows = 1048576;",
	  SL_MEMBER(sl_config_capacity, flows), .min = 1024, .max = 1 << 28 },
	{ "routes", SL_INTEGER, sl_read_integer, "routes = 4096;",
	  SL_MEMBER(sl_config_capacity, routes), .min = 1, .max = 1 << 20 },
	{ "limits", SL_INTEGER, sl_read_integer, "limits = 1024;",
	  SL_MEMBER(sl_config_capacity, limits), .min = 1, .max = 32767 },
	{ "exceptions", SL_INTEGER, sl_read_integer, "exceptions = 1024;",
	  SL_MEMBER(sl_config_capacity, exceptions), .min = 1, .max = 1 << 20 },
	{ "clients", SL_INTEGER, sl_read_integer, "clients = 65536;",
	  SL_MEMBER(sl_config_capacity, clients), .min = 256, .max = 1 << 26 },
	{ "addresses", SL_INTEGER, sl_read_integer, "addresses = 4;",
	  SL_MEMBER(sl_config_capacity, addresses), .min = 0, .max = 4096 },
};
const struct sl_group sl_group_capacity = SL_GROUP_OF("dataplane.capacity", capacity_fields);

void sl_capacity_default(struct sl_config_capacity *capacity)
{
	*capacity = (struct sl_config_capacity){
		.services = 256,
		.backends = 4096,
		.slots = 1 << 20,
		.flows = 1 << 20,
		.routes = 4096,
		.limits = 1024,
		.exceptions = 1024,
		.clients = 65536,
	};
}

static const struct sl_word tables_words[] = {
	{ "auto", 0 },
	{ "bpf", SL_TABLES_BPF },
	{ "huge", SL_TABLES_HUGE },
	{ NULL, 0 },
};

static const struct sl_word engine_words[] = {
	{ "auto", SL_CONFIG_ENGINE_AUTO },
	{ "dpdk", SL_CONFIG_ENGINE_DPDK },
	{ "xdp", SL_CONFIG_ENGINE_XDP },
	{ NULL, 0 },
};

static const struct sl_word idle_words[] = {
	{ "poll", SL_IDLE_POLL },
	{ "adaptive", SL_IDLE_ADAPTIVE },
	{ NULL, 0 },
};

static const struct sl_field dataplane_fields[] = {
	{ "engine", SL_STRING, sl_read_word, "engine = \"auto\";",
	  SL_MEMBER(sl_config_dataplane, engine), .words = engine_words },
	{ "cores", SL_ARRAY, read_cores, CORES_EXAMPLE, .required = false },
	{ "idle", SL_STRING, sl_read_word, "idle = \"poll\";", SL_MEMBER(sl_config_dataplane, idle),
	  .words = idle_words },
	{ "main_core", SL_INTEGER, sl_read_integer, "main_core = 0;",
	  SL_MEMBER(sl_config_dataplane, main_core), .min = 0, .max = CORE_MAX },
	{ "memory", SL_INTEGER | SL_STRING, read_memory, "memory = \"256M\";",
	  SL_MEMBER(sl_config_dataplane, memory_mb) },
	{ "huge_pages", SL_BOOL, sl_read_bool, "huge_pages = true;",
	  SL_MEMBER(sl_config_dataplane, huge_pages) },
	{ "tables", SL_STRING, read_tables, "tables = \"auto\";",
	  SL_MEMBER(sl_config_dataplane, tables), .words = tables_words },
	{ "ports", SL_LIST, read_ports, "ports = ( { name = \"client\"; device = \"eth1\"; } );",
	  .required = true },
	{ "capacity", SL_GROUP, read_capacity, "capacity: { services = 256; };",
	  .required = false },
};
const struct sl_group sl_group_dataplane = SL_GROUP_OF("dataplane", dataplane_fields);

/* Decides the tables' kind of memory: memory that XDP can read, if XDP serves any port now (a
 * kernel interface) or could serve it later (a PCI device). */
static int place_tables(struct sl_reader *r, struct sl_config_dataplane *dataplane)
{
	const struct sl_config_port *port = dataplane->port, *end = port + dataplane->n_ports;
	bool vdevs_only = true;

	for (; port < end; port++) {
		vdevs_only &= port->kind == SL_PORT_VDEV;
		if (port->kind == SL_PORT_KERNEL && r->tables &&
		    dataplane->tables == SL_TABLES_HUGE)
			return sl_fail(r, r->tables,
				       "\"huge\" is out of reach for the XDP program "
				       "of port \"%s\"; give \"auto\" or \"bpf\"",
				       port->name);
	}
	if (!r->tables)
		dataplane->tables = vdevs_only ? SL_TABLES_HUGE : SL_TABLES_BPF;
	return 0;
}

/* Workers need cores. XDP needs none, as it runs where packets come in, but it serves kernel
 * interfaces only. */
static int check_engine(struct sl_reader *r, config_setting_t *setting,
			const struct sl_config_dataplane *dataplane)
{
	if (dataplane->engine != SL_CONFIG_ENGINE_XDP && !dataplane->n_cores)
		return sl_fail_in(r, setting, "cores", "missing; add it, such as: %s",
				  CORES_EXAMPLE);
	for (size_t i = 0; dataplane->engine == SL_CONFIG_ENGINE_XDP && i < dataplane->n_ports; i++)
		if (dataplane->port[i].kind != SL_PORT_KERNEL)
			return sl_fail_in(r, setting, "engine",
					  "\"xdp\" serves kernel interfaces alone, and port "
					  "\"%s\" is none; give \"auto\"",
					  dataplane->port[i].name);
	return 0;
}

int sl_read_dataplane(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	struct sl_config_dataplane *dataplane = &((struct sl_config *)record)->dataplane;
	int err;

	(void)field;
	dataplane->main_core = -1;
	dataplane->memory_mb = 256;
	dataplane->huge_pages = true;
	err = sl_group_read(r, &sl_group_dataplane, setting, dataplane);
	if (!err)
		err = check_engine(r, setting, dataplane);
	return err ? err : place_tables(r, dataplane);
}

/* Whether a prefix has bits set beyond its length; clears them. */
static bool clear_rest(union sl_addr *prefix, uint32_t length)
{
	uint8_t rest = 0;

	for (uint32_t i = length / 8; i < 16; i++) {
		uint8_t beyond = i == length / 8 ? 0xff >> length % 8 : 0xff;

		rest |= prefix->b[i] & beyond;
		prefix->b[i] &= (uint8_t)~beyond;
	}
	return rest;
}

/* "10.0.0.0/8", "2001:db8::/32" or a bare address. */
int sl_read_prefix(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		   void *record)
{
	const char *text = config_setting_get_string(setting), *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char address[SL_ADDR_TEXT] = "", right[SL_ADDR_TEXT], *end = NULL;
	struct sl_config_next_hop *hop = record;
	unsigned long length = 0, most;

	if (n < sizeof(address))
		memcpy(address, text, n);
	if (slash && isdigit((unsigned char)slash[1]))
		length = strtoul(slash + 1, &end, 10);
	if ((slash && (!end || *end)) || sl_text_addr(address, &hop->prefix))
		return sl_fail(r, setting, "\"%.64s\" is not a prefix; write one, such as: %s",
			       text, field->example);
	most = sl_addr_is4(&hop->prefix) ? 32 : 128;
	if (!slash)
		length = most;
	if (length > most)
		return sl_fail(r, setting, "/%lu is out of range; give /0 to /%lu", length, most);
	hop->length = 128 - (uint32_t)(most - length);
	if (clear_rest(&hop->prefix, hop->length))
		return sl_fail(r, setting, "%.64s has bits set after its length; give %s/%lu", text,
			       sl_addr_format(&hop->prefix, right), length);
	return 0;
}

static int read_hop_port(struct sl_reader *r, const struct sl_field *field,
			 config_setting_t *setting, void *record)
{
	const struct sl_config_dataplane *dataplane = &r->config->dataplane;
	const char *name = config_setting_get_string(setting);
	struct sl_config_next_hop *hop = record;
	char known[256] = "";
	size_t len = 0;
	uint32_t i;

	(void)field;
	for (i = 0; i < dataplane->n_ports; i++) {
		if (!strcmp(dataplane->port[i].name, name)) {
			hop->port = i;
			return 0;
		}
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s\"%s\"",
						i ? " or " : "", dataplane->port[i].name);
	}
	return sl_fail(r, setting, "dataplane.ports has no \"%.64s\"; give %s", name, known);
}

static int read_mac(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		    void *record)
{
	return read_host_mac(r, field, setting, ((struct sl_config_next_hop *)record)->mac);
}

static const struct sl_field next_hop_fields[] = {
	{ "prefix", SL_STRING, sl_read_prefix, "prefix = \"0.0.0.0/0\";", .required = true },
	{ "port", SL_STRING, read_hop_port, "port = \"client\";", .required = true },
	{ "mac", SL_STRING, read_mac, "mac = \"02:00:00:00:00:01\";", .required = true },
	{ "mtu", SL_INTEGER, sl_read_integer, "mtu = 9000;", SL_MEMBER(sl_config_next_hop, mtu),
	  .min = 68, .max = 65535 },
	{ "vlan", SL_INTEGER, sl_read_integer, "vlan = 200;", SL_MEMBER(sl_config_next_hop, vlan),
	  .min = 1, .max = 4094 },
	{ "weight", SL_INTEGER, sl_read_integer, "weight = 10;",
	  SL_MEMBER(sl_config_next_hop, weight), .min = 1, .max = SL_WEIGHT_MAX },
};
const struct sl_group sl_group_next_hop = SL_GROUP_OF("next_hops", next_hop_fields);

static int same_next_hop(const void *a, const void *b)
{
	const struct sl_config_next_hop *left = a, *right = b;
	int sign = memcmp(&left->prefix, &right->prefix, sizeof(left->prefix));

	if (!sign)
		sign = (left->length > right->length) - (left->length < right->length);
	if (!sign)
		sign = (left->port > right->port) - (left->port < right->port);
	if (!sign)
		sign = (left->vlan > right->vlan) - (left->vlan < right->vlan);
	return sign ? sign : memcmp(left->mac, right->mac, sizeof(left->mac));
}

/* Whether the next hops up to this one fit: 1, or 0 with the field that is too much in *field. */
static int hops_fit(const struct sl_config *config, size_t i, const char **field)
{
	const struct sl_config_next_hop *hop = &config->next_hop[i];
	uint32_t same_prefix = 1, vlans = 0;

	for (size_t k = 0; k <= i; k++) {
		const struct sl_config_next_hop *other = &config->next_hop[k];
		bool first = other->vlan != 0;

		same_prefix += k < i && other->length == hop->length &&
			       sl_addr_equal(&other->prefix, &hop->prefix);
		for (size_t j = 0; j < k && first; j++)
			first = config->next_hop[j].vlan != other->vlan ||
				config->next_hop[j].port != other->port;
		vlans += first;
	}
	*field = vlans > SL_PORTS_MAX - SL_PORT_VLANS ? "vlan" : "prefix";
	return vlans <= SL_PORTS_MAX - SL_PORT_VLANS && same_prefix <= SL_HOPS;
}

int sl_read_next_hops(struct sl_reader *r, const struct sl_field *field, config_setting_t *list,
		      void *record)
{
	int n = config_setting_length(list), i, err;
	struct sl_config *config = record;
	char where[SL_WHERE_TEXT];
	size_t first, second;

	(void)field;
	if (n == 0)
		return 0;
	config->next_hop = calloc((size_t)n, sizeof(*config->next_hop));
	if (!config->next_hop)
		return -ENOMEM;
	config->n_next_hops = (size_t)n;
	for (i = 0; i < n; i++) {
		config_setting_t *setting = config_setting_get_elem(list, (unsigned int)i);

		config->next_hop[i].line = (int)setting->line;
		config->next_hop[i].weight = 1;
		err = sl_group_read(r, &sl_group_next_hop, setting, &config->next_hop[i]);
		if (err)
			return err;
	}
	err = sl_duplicate(config->next_hop, config->n_next_hops, sizeof(*config->next_hop),
			   same_next_hop, &first, &second);
	if (err > 0) {
		config_setting_t *here = config_setting_get_elem(list, (unsigned int)second);

		return sl_fail_in(r, here, "mac",
				  "is that of the next hop of the same prefix on %s already; leave "
				  "one of them out",
				  sl_where(r, config_setting_get_elem(list, (unsigned int)first),
					   here, where));
	}
	for (i = 0; i < n && !err; i++) {
		const char *which;

		if (!hops_fit(config, (size_t)i, &which))
			err = sl_fail_in(r, config_setting_get_elem(list, (unsigned int)i), which,
					 "is one too many: there is room for %d VLANs of all ports "
					 "together, and for %d next hops of a prefix",
					 SL_PORTS_MAX - SL_PORT_VLANS, SL_HOPS);
	}
	return err;
}

int sl_read_direct_from(struct sl_reader *r, const struct sl_field *field, config_setting_t *array,
			void *record)
{
	int n = config_setting_length(array), err;
	struct sl_config *config = record;

	if (n > SL_DIRECT_FROM_MAX)
		return sl_fail(r, array, "has %d prefixes; there is room for %d", n,
			       SL_DIRECT_FROM_MAX);
	for (int i = 0; i < n; i++) {
		config_setting_t *setting = config_setting_get_elem(array, (unsigned int)i);
		struct sl_config_next_hop prefix = { 0 };

		if (config_setting_type(setting) != CONFIG_TYPE_STRING)
			return sl_fail(r, setting, "is not a string; write prefixes, such as: %s",
				       field->example);
		err = sl_read_prefix(r, field, setting, &prefix);
		if (err)
			return err;
		config->direct_from[i].addr = prefix.prefix;
		config->direct_from[i].length = prefix.length;
		config->n_direct_from++;
	}
	return 0;
}
