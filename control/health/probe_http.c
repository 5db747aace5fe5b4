/* SPDX-License-Identifier: BSD-2-Clause */
/* A request over HTTP or HTTPS, by a bufferevent. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>

#include "http.h"
#include "tls.h"

static void judge(struct sl_probe *p, bool end)
{
	enum sl_probe_result result = sl_http_judge(p, p->answer, p->n_answer, end);

	if (result != SL_PROBE_RUNS)
		p->done(p, result);
}

static void arrived(struct bufferevent *stream, void *context)
{
	struct sl_probe *p = context;
	size_t n = bufferevent_read(stream, p->answer + p->n_answer, SL_PROBE_ANSWER - p->n_answer);

	p->n_answer += n;
	p->answer[p->n_answer] = '\0';
	p->stage = "the answer isn't complete";
	if (n)
		judge(p, false);
}

static void happened(struct bufferevent *stream, short what, void *context)
{
	int err = EVUTIL_SOCKET_ERROR();
	struct sl_probe *p = context;
	SSL *ssl = p->tls ? bufferevent_openssl_get_ssl(stream) : NULL;
	unsigned long of_tls = ssl ? bufferevent_get_openssl_error(stream) : 0;
	bool shakes_hands = ssl && !SSL_is_init_finished(ssl);
	bool reset = err == ECONNRESET || err == EPIPE;

	if (what & BEV_EVENT_CONNECTED) {
		p->stage = "no answer";
		return;
	}
	/* Where OpenSSL has no more to say than that a system call failed, libevent puts that in
	 * the place of the error. */
	if (of_tls == SSL_ERROR_SYSCALL)
		of_tls = 0;
	if (of_tls || (shakes_hands && !reset))
		p->done(p, sl_tls_failed(p, ssl, of_tls));
	else if (what & BEV_EVENT_EOF)
		judge(p, true);
	else
		p->done(p, sl_probe_errno(p, err && err != EAGAIN ? err : ECONNRESET));
}

/* Over the socket that connects; by TLS the handshake follows by itself. */
static struct bufferevent *make_stream(struct sl_probe *p)
{
	SSL *ssl = p->tls ? sl_tls_session(p) : NULL;
	struct bufferevent *stream;

	if (p->tls && !ssl)
		return NULL;
	stream = ssl ? bufferevent_openssl_socket_new(p->base, p->fd, ssl,
						      BUFFEREVENT_SSL_CONNECTING,
						      BEV_OPT_CLOSE_ON_FREE)
		     : bufferevent_socket_new(p->base, p->fd, BEV_OPT_CLOSE_ON_FREE);
	if (!stream && ssl)
		SSL_free(ssl);
	return stream;
}

static void begin_stream(struct sl_probe *p)
{
	char request[SL_HTTP_REQUEST];
	size_t length = sl_http_request(p, request);

	p->stream = make_stream(p);
	p->answer = calloc(1, SL_PROBE_ANSWER + 1);
	if (!p->stream || !p->answer) {
		p->done(p, sl_probe_says(p, SL_PROBE_UNABLE, "not checked: out of memory"));
		return;
	}
	p->fd = -1; /* the stream's now */
	p->stage = p->tls ? "no TLS handshake" : "no answer";
	bufferevent_setwatermark(p->stream, EV_READ, 0, SL_PROBE_ANSWER);
	bufferevent_setcb(p->stream, arrived, NULL, happened, p);
	bufferevent_write(p->stream, request, length);
	bufferevent_enable(p->stream, EV_READ | EV_WRITE);
}

static void connected(evutil_socket_t fd, short what, void *context)
{
	struct sl_probe *p = context;
	socklen_t length = sizeof(int);
	int err = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) != 0)
		err = errno;
	event_free(p->event);
	p->event = NULL;
	if (err)
		p->done(p, sl_probe_errno(p, err));
	else
		begin_stream(p);
}

static enum sl_probe_result begin(struct sl_probe *p)
{
	enum sl_probe_result result = sl_probe_connect(p, SOCK_STREAM, 0);

	if (result != SL_PROBE_RUNS)
		return result;
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	p->stage = "no connection";
	return sl_probe_wait(p, EV_WRITE, connected) ? SL_PROBE_RUNS : SL_PROBE_UNABLE;
}

static void end(struct sl_probe *p)
{
	if (p->stream)
		bufferevent_free(p->stream);
	p->stream = NULL;
}

const struct sl_probe_type sl_probe_http = { begin, end };
