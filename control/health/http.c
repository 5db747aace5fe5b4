/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t sl_http_request(const struct sl_probe *p, char text[SL_HTTP_REQUEST])
{
	const struct sl_health_conf *conf = p->conf;
	char addr[SL_ADDR_TEXT], host[SL_ADDR_TEXT + 16];

	sl_addr_format(&p->addr, addr);
	snprintf(host, sizeof(host), sl_addr_is4(&p->addr) ? "%s:%u" : "[%s]:%u", addr, p->port);
	return (size_t)snprintf(text, SL_HTTP_REQUEST,
				"%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice-health\r\n"
				"Accept: */*\r\nConnection: close\r\n\r\n",
				conf->method, conf->path, conf->host[0] ? conf->host : host);
}

/* What has come, and how far it is read. */
struct answer {
	const char *b;
	size_t n;
	bool end; /* the peer has closed */
	bool cut; /* no more is read */
};

/* A response's header. */
struct header {
	unsigned int status;
	size_t length; /* of all of it, the empty line included */
	bool chunked;
	bool has_length;
	unsigned long long body;
};

static enum sl_probe_result fail(struct sl_probe *p, const char *why)
{
	return sl_probe_says(p, SL_PROBE_FAILED, "%s", why);
}

/* The answer ends, or we stop reading, before it is complete. */
static enum sl_probe_result incomplete(struct sl_probe *p, const struct answer *a,
				       const char *closed, const char *too_long)
{
	return a->end ? fail(p, closed) : a->cut ? fail(p, too_long) : SL_PROBE_RUNS;
}

static enum sl_probe_result read_status(struct sl_probe *p, const struct answer *a,
					struct header *h)
{
	static const char begins[] = "HTTP/1.";
	size_t n = a->n < sizeof(begins) - 1 ? a->n : sizeof(begins) - 1;
	const char *line = memchr(a->b, '\n', a->n);
	unsigned int minor;
	char end;

	if (n >= 2 && (a->b[0] == 0x15 || a->b[0] == 0x16) && a->b[1] == 3)
		return fail(p, "it answers with TLS");
	if (memcmp(a->b, begins, n) != 0)
		return fail(p, "it doesn't answer with HTTP/1");
	if (!line)
		return incomplete(p, a, "closed within the status line",
				  "the status line is longer than 8 KB");
	if (sscanf(a->b, "HTTP/1.%1u %3u%c", &minor, &h->status, &end) != 3 ||
	    !strchr(" \r\n", end) || h->status < 100)
		return fail(p, "the status line is broken");
	return SL_PROBE_PASSED;
}

/* One field, without its line's end. */
static const char *read_field(struct header *h, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	size_t name = colon ? (size_t)(colon - line) : 0;
	char value[32] = "";
	char *end;

	if (!name || line[0] == ' ')
		return "a header field is broken";
	snprintf(value, sizeof(value), "%.*s", (int)(n - name - 1),
		 colon + 1 + strspn(colon + 1, " \t"));
	value[strcspn(value, " \t\r\n")] = '\0';
	if (name == 17 && strncasecmp(line, "Transfer-Encoding", name) == 0)
		h->chunked = strcasecmp(value, "chunked") == 0;
	if (name != 14 || strncasecmp(line, "Content-Length", name) != 0)
		return NULL;
	h->body = strtoull(value, &end, 10);
	h->has_length = true;
	return value[0] < '0' || value[0] > '9' || *end ? "its Content-Length is broken" : NULL;
}

static enum sl_probe_result read_header(struct sl_probe *p, const struct answer *a,
					struct header *h)
{
	enum sl_probe_result result;
	size_t at;

	*h = (struct header){ 0 };
	result = read_status(p, a, h);
	if (result != SL_PROBE_PASSED)
		return result;
	at = (size_t)((const char *)memchr(a->b, '\n', a->n) - a->b) + 1;
	for (;;) {
		const char *line = a->b + at, *end = memchr(line, '\n', a->n - at), *why;
		size_t n;

		if (!end)
			return incomplete(p, a, "closed within the header",
					  "the header is longer than 8 KB");
		n = (size_t)(end - line);
		at += n + 1;
		if (n && line[n - 1] == '\r')
			n--;
		if (!n)
			break;
		why = read_field(h, line, n);
		if (why)
			return fail(p, why);
	}
	h->length = at;
	return SL_PROBE_PASSED;
}

/* The body without chunks' headers, as far as it has come, into `to`; *complete: all of it has.
 * False: it is broken. */
static bool unchunk(const char *b, size_t n, char *to, size_t *length, bool *complete)
{
	size_t at = 0;

	*length = 0;
	*complete = false;
	while (at < n) {
		const char *end = memchr(b + at, '\n', n - at);
		unsigned long long chunk;
		size_t here;
		char *rest;

		if (!end)
			return n - at < 32;
		chunk = strtoull(b + at, &rest, 16);
		if (rest == b + at || (*rest != '\r' && *rest != '\n' && *rest != ';'))
			return false;
		at = (size_t)(end - b) + 1;
		if (!chunk) {
			*complete = true; /* trailers may follow: nobody asks for them */
			return true;
		}
		here = chunk < n - at ? (size_t)chunk : n - at;
		memcpy(to + *length, b + at, here);
		*length += here;
		at += here;
		if (at >= n)
			break;
		at += b[at] == '\r';
		if (at < n && b[at] != '\n')
			return false;
		at++;
	}
	return true;
}

static bool passes(const struct sl_health_conf *conf, unsigned int status)
{
	for (uint8_t i = 0; i < conf->n_statuses; i++)
		if (status >= conf->status[i].first && status <= conf->status[i].last)
			return true;
	return false;
}

static enum sl_probe_result judge_body(struct sl_probe *p, const struct answer *a,
				       const struct header *h)
{
	const struct sl_health_conf *conf = p->conf;
	const char *body = a->b + h->length;
	size_t n = a->n - h->length, wanted = strlen(conf->body);
	char plain[SL_PROBE_ANSWER];
	bool complete;

	if (strcmp(conf->method, "HEAD") == 0 || h->status == 204 || h->status == 304) {
		n = 0;
		complete = true;
	} else if (h->chunked) {
		if (!unchunk(body, n, plain, &n, &complete))
			return fail(p, "the chunks of the body are broken");
		body = plain;
	} else if (h->has_length) {
		complete = n >= h->body;
		n = complete ? (size_t)h->body : n;
	} else {
		complete = a->end;
	}
	if (!complete && a->end)
		return h->has_length && !h->chunked
			       ? sl_probe_says(p, SL_PROBE_FAILED,
					       "closed after %zu of %llu bytes of the body", n,
					       h->body)
			       : fail(p, "closed within the body");
	if (!complete && !a->cut)
		return SL_PROBE_RUNS;
	if (wanted && !memmem(body, n, conf->body, wanted))
		return sl_probe_says(p, SL_PROBE_FAILED, "the body doesn't contain \"%.64s\"%s",
				     conf->body, complete ? "" : " within the first 8 KB");
	return SL_PROBE_PASSED;
}

enum sl_probe_result sl_http_judge(struct sl_probe *p, const uint8_t *answer, size_t n, bool end)
{
	struct answer a = { (const char *)answer, n, end, n >= SL_PROBE_ANSWER };
	enum sl_probe_result result;
	struct header h;

	if (!n)
		return end ? fail(p, "closed without an answer") : SL_PROBE_RUNS;
	result = read_header(p, &a, &h);
	/* Interim answers come before the one. */
	while (result == SL_PROBE_PASSED && h.status < 200 && h.status != 101) {
		a.b += h.length;
		a.n -= h.length;
		if (!a.n)
			return incomplete(p, &a, "closed after an interim answer",
					  "there are only interim answers");
		result = read_header(p, &a, &h);
	}
	if (result != SL_PROBE_PASSED)
		return result;
	if (!passes(p->conf, h.status))
		return sl_probe_says(p, SL_PROBE_FAILED, "HTTP %u", h.status);
	return judge_body(p, &a, &h);
}
