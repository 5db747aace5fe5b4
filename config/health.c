/* SPDX-License-Identifier: BSD-2-Clause */
/* Health checks of a service.
 *
 * After reading, these hold. Each field belongs to the type of the check. A check has a port,
 * unless its type knows none. Its packets don't come from an address whose packets the gateway
 * takes for clients' (a VIP, an address of a pool).
 */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "health.h"
#include "parse.h"

enum {
	HOUR_MS = 3600000,
	INTERVAL_MS = 2000,
	TIMEOUT_MS = 1000,
	RISE = 2,
	FALL = 3,
	JITTER = 10, /* percent */
	PANIC_MS = 10000,
};

#define HEALTH_HTTP  (1u << SL_HEALTH_HTTP | 1u << SL_HEALTH_HTTPS)
#define HEALTH_PORTS (1u << SL_HEALTH_TCP | HEALTH_HTTP | 1u << SL_HEALTH_UDP | 1u << SL_HEALTH_DNS)

static const struct sl_word kinds[] = {
	{ "tcp", SL_HEALTH_TCP },     { "http", SL_HEALTH_HTTP },
	{ "https", SL_HEALTH_HTTPS }, { "udp", SL_HEALTH_UDP },
	{ "dns", SL_HEALTH_DNS },     { "icmp", SL_HEALTH_ICMP },
	{ "exec", SL_HEALTH_EXEC },   { NULL, 0 },
};
static const struct sl_word starts[] = { { "checking", SL_HEALTH_START_CHECKING },
					 { "up", SL_HEALTH_START_UP },
					 { "down", SL_HEALTH_START_DOWN },
					 { NULL, 0 } };
static const struct sl_word query_types[] = {
	{ "A", 1 },   { "NS", 2 },   { "CNAME", 5 }, { "SOA", 6 },  { "PTR", 12 },
	{ "MX", 15 }, { "TXT", 16 }, { "AAAA", 28 }, { "SRV", 33 }, { NULL, 0 },
};
static const struct sl_word rcodes[] = {
	{ "NOERROR", 0 }, { "FORMERR", 1 }, { "SERVFAIL", 2 }, { "NXDOMAIN", 3 },
	{ "NOTIMP", 4 },  { "REFUSED", 5 }, { NULL, 0 },
};

const char *sl_health_kind_text(uint8_t kind)
{
	return sl_word_text(kinds, kind);
}

const char *sl_dns_rcode_text(uint8_t rcode)
{
	return sl_word_text(rcodes, rcode);
}

/* One line that stands in a request: printable, and not too long. */
static int read_line(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		     void *record)
{
	const char *text = config_setting_get_string(setting);
	size_t length = strlen(text);

	if (!length)
		return sl_fail(r, setting, "is empty; give a text, such as: %s", field->example);
	if (length >= field->size)
		return sl_fail(r, setting, "has %zu bytes; give at most %zu", length,
			       field->size - 1);
	for (size_t i = 0; i < length; i++)
		if (iscntrl((unsigned char)text[i]))
			return sl_fail(r, setting,
				       "has a control character; give one line of text");
	memcpy((char *)record + field->at, text, length + 1);
	return 0;
}

/* A line without blanks, as parts of a request's first line are. */
static int read_word(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		     void *record)
{
	const char *text = config_setting_get_string(setting);

	if (strchr(text, ' '))
		return sl_fail(r, setting, "has a blank; write it as %%20 or leave it out");
	if (field->at == offsetof(struct sl_health_conf, path) && text[0] != '/')
		return sl_fail(r, setting, "\"%.64s\" doesn't begin with /; give one such as: %s",
			       text, field->example);
	return read_line(r, field, setting, record);
}

/* A text, or "hex:" and bytes in hexadecimal. */
static int read_bytes(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	struct sl_health_bytes *to = (struct sl_health_bytes *)(void *)((char *)record + field->at);
	const char *text = config_setting_get_string(setting);
	bool hex = strncmp(text, "hex:", 4) == 0;
	size_t length = strlen(text) - (hex ? 4 : 0), digits;
	unsigned int byte;

	if (hex)
		text += 4;
	digits = strspn(text, "0123456789abcdefABCDEF");
	if (hex && (digits != length || length % 2))
		return sl_fail(r, setting,
			       "is not \"hex:\" and pairs of hexadecimal digits, such as: "
			       "payload = \"hex:0a0b\";");
	if (!length)
		return sl_fail(r, setting, "is empty; give a text or \"hex:…\"");
	if (length / (hex ? 2 : 1) > sizeof(to->b))
		return sl_fail(r, setting, "has %zu bytes; give at most %zu",
			       length / (hex ? 2 : 1), sizeof(to->b));
	to->n = (uint16_t)(hex ? length / 2 : length);
	for (size_t i = 0; i < to->n; i++) {
		byte = (unsigned char)text[i];
		if (hex)
			sscanf(text + 2 * i, "%2x", &byte);
		to->b[i] = (uint8_t)byte;
	}
	return 0;
}

/* 200, or "200-299,404". */
static int read_statuses(struct sl_reader *r, const struct sl_field *field,
			 config_setting_t *setting, void *record)
{
	const char *text = config_setting_get_string(setting), *at;
	struct sl_health_conf *conf = record;
	char number[32];

	(void)field;
	if (!text)
		snprintf(number, sizeof(number), "%lld", config_setting_get_int64(setting));
	at = text ? text : number;
	for (conf->n_statuses = 0;;) {
		unsigned int first, last;
		int n = 0;

		if (sscanf(at, "%3u-%3u%n", &first, &last, &n) != 2 || !n) {
			n = 0;
			if (sscanf(at, "%3u%n", &first, &n) != 1)
				break;
			last = first;
		}
		if (first < 100 || last > 599 || first > last || (at[n] && at[n] != ','))
			break;
		if (conf->n_statuses == SL_HEALTH_STATUSES)
			return sl_fail(r, setting, "has more than %d ranges; join some",
				       SL_HEALTH_STATUSES);
		conf->status[conf->n_statuses++] =
			(struct sl_health_range){ (uint16_t)first, (uint16_t)last };
		if (!at[n])
			return 0;
		at += n + 1;
	}
	return sl_fail(r, setting,
		       "is \"%.64s\"; give statuses from 100 to 599 and ranges of them, such as "
		       "\"200-299,404\"",
		       text ? text : number);
}

/* A domain name: labels of 1 to 63 bytes. A dot may end it; "." is the root. */
static int read_query(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		      void *record)
{
	const char *text = config_setting_get_string(setting), *label = text;
	size_t length = strlen(text);

	while (strcmp(text, ".") != 0 && *label) {
		size_t n = strcspn(label, ".");

		if (!n || n > 63)
			return sl_fail(r, setting,
				       "\"%.64s\" is not a domain name: labels have 1 to 63 "
				       "characters",
				       text);
		label += n + (label[n] == '.');
	}
	if (length > 253)
		return sl_fail(r, setting, "has %zu characters; a domain name has at most 253",
			       length);
	return read_word(r, field, setting, record);
}

/* The path of a program and its arguments. */
static int read_command(struct sl_reader *r, const struct sl_field *field,
			config_setting_t *setting, void *record)
{
	struct sl_health_conf *conf = record;
	int n = config_setting_length(setting);
	size_t used = 0;

	if (n < 1 || n > SL_HEALTH_WORDS)
		return sl_fail(r, setting, "has %d words; give 1 to %d, such as: %s", n,
			       SL_HEALTH_WORDS, field->example);
	for (int i = 0; i < n; i++) {
		config_setting_t *one = config_setting_get_elem(setting, (unsigned int)i);
		const char *word = config_setting_get_string(one);
		size_t length = word ? strlen(word) : 0;

		if (!length)
			return sl_fail(r, one, "is not a text, or empty; give words, such as: %s",
				       field->example);
		if (used + length + 2 > sizeof(conf->command))
			return sl_fail(r, setting, "is longer than %zu bytes",
				       sizeof(conf->command) - 2);
		memcpy(conf->command + used, word, length + 1);
		used += length + 1;
	}
	if (conf->command[0] != '/')
		return sl_fail(r, setting,
			       "\"%.64s\" is not an absolute path; give one, such as: %s",
			       conf->command, field->example);
	if (access(conf->command, X_OK) != 0)
		return sl_fail(r, setting, "%.64s: %s; give a program that can be run",
			       conf->command, strerror(errno));
	return 0;
}

static int read_user(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		     void *record)
{
	const char *name = config_setting_get_string(setting);
	const struct passwd *user = getpwnam(name);
	struct sl_health_conf *conf = record;

	(void)field;
	if (!user)
		return sl_fail(r, setting, "there is no user \"%.64s\" on this machine", name);
	conf->uid = user->pw_uid;
	conf->gid = user->pw_gid;
	return 0;
}

static int read_ca(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		   void *record)
{
	const char *path = config_setting_get_string(setting);

	if (access(path, R_OK) != 0)
		return sl_fail(r, setting, "%.128s: %s; give a file of certificates (PEM)", path,
			       strerror(errno));
	return sl_read_path(r, field, setting, record);
}

static const struct sl_field health_fields[] = {
	{ "type", SL_STRING, sl_read_word, "type = \"http\";", .required = true,
	  SL_MEMBER(sl_health_conf, kind), .words = kinds },
	{ "interval", SL_INTEGER | SL_STRING, sl_read_duration, "interval = \"2s\";",
	  SL_MEMBER(sl_health_conf, interval_ms), .min = 100, .max = HOUR_MS },
	{ "timeout", SL_INTEGER | SL_STRING, sl_read_duration, "timeout = \"1s\";",
	  SL_MEMBER(sl_health_conf, timeout_ms), .min = 10, .max = HOUR_MS },
	{ "jitter", SL_INTEGER, sl_read_integer, "jitter = 10;", SL_MEMBER(sl_health_conf, jitter),
	  .min = 0, .max = 50 },
	{ "rise", SL_INTEGER, sl_read_integer, "rise = 2;", SL_MEMBER(sl_health_conf, rise),
	  .min = 1, .max = 100 },
	{ "fall", SL_INTEGER, sl_read_integer, "fall = 3;", SL_MEMBER(sl_health_conf, fall),
	  .min = 1, .max = 100 },
	{ "start", SL_STRING, sl_read_word, "start = \"checking\";",
	  SL_MEMBER(sl_health_conf, start), .words = starts },
	{ "port", SL_INTEGER, sl_read_integer, "port = 8081;", SL_MEMBER(sl_health_conf, port),
	  .min = 1, .max = 65535 },
	{ "address", SL_STRING, sl_read_address, "address = \"10.1.0.2\";",
	  SL_MEMBER(sl_health_conf, addr) },
	{ "source", SL_STRING, sl_read_address, "source = \"10.1.0.1\";",
	  SL_MEMBER(sl_health_conf, source) },
	{ "fwmark", SL_INTEGER, sl_read_integer, "fwmark = 5;", SL_MEMBER(sl_health_conf, fwmark),
	  .min = 1, .max = UINT32_MAX },
	{ "panic", SL_INTEGER, sl_read_integer, "panic = 50;", SL_MEMBER(sl_health_conf, panic),
	  .min = 0, .max = 100 },
	{ "panic_leave", SL_INTEGER, sl_read_integer, "panic_leave = 60;",
	  SL_MEMBER(sl_health_conf, panic_leave), .min = 1, .max = 100 },
	{ "panic_time", SL_INTEGER | SL_STRING, sl_read_duration, "panic_time = \"10s\";",
	  SL_MEMBER(sl_health_conf, panic_ms), .min = 100, .max = HOUR_MS },
	{ "slow_start", SL_INTEGER | SL_STRING, sl_read_duration, "slow_start = \"30s\";",
	  SL_MEMBER(sl_health_conf, slow_ms), .min = 0, .max = HOUR_MS },
	{ "method", SL_STRING, read_word, "method = \"GET\";", SL_MEMBER(sl_health_conf, method) },
	{ "path", SL_STRING, read_word, "path = \"/healthz\";", SL_MEMBER(sl_health_conf, path) },
	{ "host", SL_STRING, read_word, "host = \"www.example.org\";",
	  SL_MEMBER(sl_health_conf, host) },
	{ "status", SL_INTEGER | SL_STRING, read_statuses, "status = \"200-299\";",
	  SL_MEMBER(sl_health_conf, status) },
	{ "body", SL_STRING, read_line, "body = \"ok\";", SL_MEMBER(sl_health_conf, body) },
	{ "verify", SL_BOOL, sl_read_bool, "verify = true;", SL_MEMBER(sl_health_conf, verify) },
	{ "tls_name", SL_STRING, read_word, "tls_name = \"www.example.org\";",
	  SL_MEMBER(sl_health_conf, tls_name) },
	{ "ca", SL_STRING, read_ca, "ca = \"/etc/sluice/ca.pem\";", SL_MEMBER(sl_health_conf, ca),
	  .max = SL_HEALTH_TEXT - 1 },
	{ "payload", SL_STRING, read_bytes, "payload = \"ping\";",
	  SL_MEMBER(sl_health_conf, payload) },
	{ "expect", SL_STRING, read_bytes, "expect = \"pong\";",
	  SL_MEMBER(sl_health_conf, expect) },
	{ "query", SL_STRING, read_query, "query = \"example.org\";",
	  SL_MEMBER(sl_health_conf, query) },
	{ "query_type", SL_STRING, sl_read_word, "query_type = \"A\";",
	  SL_MEMBER(sl_health_conf, query_type), .words = query_types },
	{ "rcode", SL_STRING, sl_read_word, "rcode = \"NOERROR\";",
	  SL_MEMBER(sl_health_conf, rcode), .words = rcodes },
	{ "command", SL_ARRAY, read_command, "command = [ \"/usr/local/bin/check\", \"-q\" ];",
	  SL_MEMBER(sl_health_conf, command) },
	{ "user", SL_STRING, read_user, "user = \"nobody\";", SL_MEMBER(sl_health_conf, uid) },
};
const struct sl_group sl_group_health = SL_GROUP_OF("services.health", health_fields);

/* Fields that belong to some types alone, by bits 1 << enum sl_health_kind. */
static const struct {
	const char *name;
	unsigned int kinds;
	bool required;
} belongs[] = {
	{ "port", HEALTH_PORTS | 1u << SL_HEALTH_EXEC, false },
	{ "source", HEALTH_PORTS | 1u << SL_HEALTH_ICMP, false },
	{ "fwmark", HEALTH_PORTS | 1u << SL_HEALTH_ICMP, false },
	{ "method", HEALTH_HTTP, false },
	{ "path", HEALTH_HTTP, false },
	{ "host", HEALTH_HTTP, false },
	{ "status", HEALTH_HTTP, false },
	{ "body", HEALTH_HTTP, false },
	{ "verify", 1u << SL_HEALTH_HTTPS, false },
	{ "tls_name", 1u << SL_HEALTH_HTTPS, false },
	{ "ca", 1u << SL_HEALTH_HTTPS, false },
	{ "payload", 1u << SL_HEALTH_UDP, true },
	{ "expect", 1u << SL_HEALTH_UDP, false },
	{ "query", 1u << SL_HEALTH_DNS, true },
	{ "query_type", 1u << SL_HEALTH_DNS, false },
	{ "rcode", 1u << SL_HEALTH_DNS, false },
	{ "command", 1u << SL_HEALTH_EXEC, true },
	{ "user", 1u << SL_HEALTH_EXEC, false },
};

static int check_fields(struct sl_reader *r, const struct sl_health_conf *conf,
			config_setting_t *setting)
{
	for (size_t i = 0; i < sizeof(belongs) / sizeof(belongs[0]); i++) {
		bool given = config_setting_get_member(setting, belongs[i].name) != NULL;
		bool fits = belongs[i].kinds >> conf->kind & 1;

		if (given && !fits)
			return sl_fail_in(r, setting, belongs[i].name,
					  "means nothing to checks of type \"%s\"; leave it out",
					  sl_health_kind_text(conf->kind));
		if (fits && belongs[i].required && !given)
			return sl_fail_in(r, setting, belongs[i].name,
					  "missing; checks of type \"%s\" need it",
					  sl_health_kind_text(conf->kind));
	}
	return 0;
}

static int check_times(struct sl_reader *r, struct sl_health_conf *conf, config_setting_t *setting)
{
	if (!conf->timeout_ms)
		conf->timeout_ms = conf->interval_ms < TIMEOUT_MS ? conf->interval_ms : TIMEOUT_MS;
	if (!conf->panic_leave)
		conf->panic_leave = (uint8_t)(conf->panic + SL_HEALTH_PANIC_LEAVE > 100
						      ? 100
						      : conf->panic + SL_HEALTH_PANIC_LEAVE);
	if (conf->panic_leave < conf->panic)
		return sl_fail_in(r, setting, "panic_leave",
				  "is below panic, which is %u; give at least that", conf->panic);
	return 0;
}

/* HTTP's defaults, and the name that a certificate is to have. */
static void set_http(struct sl_health_conf *conf)
{
	if (!(HEALTH_HTTP >> conf->kind & 1))
		return;
	if (!conf->method[0])
		strcpy(conf->method, "GET");
	if (!conf->path[0])
		strcpy(conf->path, "/");
	if (!conf->n_statuses)
		conf->status[conf->n_statuses++] = (struct sl_health_range){ 200, 399 };
}

static int set_user(struct sl_reader *r, struct sl_health_conf *conf, config_setting_t *setting)
{
	const struct passwd *nobody;

	if (conf->kind != SL_HEALTH_EXEC || config_setting_get_member(setting, "user"))
		return 0;
	nobody = getpwnam("nobody");
	if (!nobody)
		return sl_fail_in(r, setting, "user",
				  "missing, and there is no user \"nobody\"; say whose the program "
				  "is to be");
	conf->uid = nobody->pw_uid;
	conf->gid = nobody->pw_gid;
	return 0;
}

int sl_read_health(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		   void *record)
{
	struct sl_health_conf *conf = &((struct sl_config_service *)record)->health;
	int err;

	(void)field;
	memset(conf, 0, sizeof(*conf));
	conf->interval_ms = INTERVAL_MS;
	conf->jitter = JITTER;
	conf->rise = RISE;
	conf->fall = FALL;
	conf->panic_ms = PANIC_MS;
	conf->query_type = 1;
	conf->verify = true;
	err = sl_group_read(r, &sl_group_health, setting, conf);
	if (!err)
		err = check_fields(r, conf, setting);
	if (!err)
		err = check_times(r, conf, setting);
	if (!err)
		err = set_user(r, conf, setting);
	set_http(conf);
	return err;
}

/* Whose packets aren't the gateway's own. */
static bool is_taken(const struct sl_reader *r, const struct sl_config_service *service,
		     const union sl_addr *addr)
{
	if (sl_config_vip_has(service, addr))
		return true;
	for (size_t i = 0; i < r->config->n_pools; i++)
		for (uint32_t k = 0; k < r->config->pool[i].n; k++)
			if (sl_addr_equal(addr, &r->config->pool[i].addr[k]))
				return true;
	return false;
}

int sl_health_check_conf(struct sl_reader *r, const struct sl_config_service *service,
			 config_setting_t *setting)
{
	const struct sl_health_conf *conf = &service->health;
	bool addressed = conf->addr.q[0] || conf->addr.q[1];
	bool sourced = conf->source.q[0] || conf->source.q[1];
	config_setting_t *group = config_setting_get_member(setting, "health");
	char text[SL_ADDR_TEXT];

	if (conf->kind == SL_HEALTH_NONE)
		return 0;
	if (!conf->port && sl_config_is_range(service) && HEALTH_PORTS >> conf->kind & 1)
		return sl_fail_in(r, group, "port",
				  "missing; the service has several ports, say which is checked");
	if (addressed && is_taken(r, service, &conf->addr))
		return sl_fail_in(r, group, "address",
				  "%s is the VIP, or belongs to a pool; give a backend's address",
				  sl_addr_format(&conf->addr, text));
	if (sourced && is_taken(r, service, &conf->source))
		return sl_fail_in(r, group, "source",
				  "%s is the VIP, or belongs to a pool: answers would be taken for "
				  "replies of a service; give an address of the gateway",
				  sl_addr_format(&conf->source, text));
	if (sourced && addressed && sl_addr_is4(&conf->source) != sl_addr_is4(&conf->addr))
		return sl_fail_in(r, group, "source", "isn't of the family of `address`");
	for (size_t i = 0; i < service->n_backends && sourced && !addressed; i++)
		if (sl_addr_is4(&conf->source) != sl_addr_is4(&service->backend[i].addr))
			return sl_fail_in(r, group, "source",
					  "isn't of the family of backend \"%s\"",
					  service->backend[i].name);
	return 0;
}
