/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection: it reads lines and writes answers, within bounds that keep it from harming
 * others.
 *
 * Every event ends in client_serve(), which answers up to LINES_A_TURN requests. After that the
 * connection is in one of six states:
 *
 *     reading   for the rest of a line (the timer `late` runs) or for a new one
 *     pending   the answer to a call is due: when the call is finished, the timer `again` is set
 *     waiting   the next request is a change that can't be called yet: it queues with other clients
 *     again     more lines are here, but other connections come first: the timer `again` continues
 *     full      too many answers are unread: nothing is read until half of them are gone
 *     leaving   it is closed when its answers are sent; nothing more is read
 *
 * A line stays in the input until it is answered, so no later one begins before. A client that is
 * pending or waiting has no time limit. If it shuts down its sending side, the connection stays
 * open, since its request is complete.
 *
 * Memory is bounded: for the input by the watermark (one request), for the output by
 * limits.unread_bytes and one answer, and the same again for a batch that is being answered. Time
 * is bounded by limits.patience_ms. It counts from the first byte of an unfinished request (so that
 * sending byte by byte doesn't help), and from the last byte that the client read.
 */
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#define LINES_A_TURN 16

struct sl_rpc_client {
	LIST_ENTRY(sl_rpc_client) entry;
	TAILQ_ENTRY(sl_rpc_client) waiting_entry;
	struct sl_rpc_clients *clients;
	struct sl_rpc_limits limits;
	struct bufferevent *stream;
	struct event *again;
	struct event *late;
	struct sl_rpc_line line;
	ssize_t length;	 /* of the line that is being answered; -1: none is */
	size_t searched; /* bytes at the head of the input that hold no newline */
	bool ended;	 /* the client sends no more */
	bool waiting;	 /* in clients->waiting */
	bool full;
	bool leaving;
};

static struct timeval patience(const struct sl_rpc_limits *limits)
{
	return (struct timeval){ .tv_sec = limits->patience_ms / 1000,
				 .tv_usec = limits->patience_ms % 1000 * 1000 };
}

static void client_stop_waiting(struct sl_rpc_client *client)
{
	if (client->waiting)
		TAILQ_REMOVE(&client->clients->waiting, client, waiting_entry);
	client->waiting = false;
}

static void client_close(struct sl_rpc_client *client)
{
	LIST_REMOVE(client, entry);
	client->clients->count--;
	client_stop_waiting(client);
	sl_rpc_line_drop(&client->line);
	evbuffer_free(client->line.answer);
	event_free(client->late);
	event_free(client->again);
	bufferevent_free(client->stream);
	free(client);
}

/* Closes the client: now, or when it has read all answers. */
static void client_leave(struct sl_rpc_client *client)
{
	client->leaving = true;
	bufferevent_disable(client->stream, EV_READ);
	event_del(client->late);
	event_del(client->again);
	if (evbuffer_get_length(bufferevent_get_output(client->stream)) == 0)
		client_close(client);
}

static void client_refuse(struct sl_rpc_client *client, const char *message)
{
	if (sl_rpc_message_refuse(SL_RPC_REQUEST, message, bufferevent_get_output(client->stream)))
		client_close(client);
	else
		client_leave(client);
}

/* Returns the length of the next line without its newline, or -1 if there is no whole line. */
static ssize_t line_length(struct sl_rpc_client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	struct evbuffer_ptr from, end;

	if (evbuffer_ptr_set(input, &from, client->searched, EVBUFFER_PTR_SET))
		return -1;
	end = evbuffer_search_eol(input, &from, NULL, EVBUFFER_EOL_LF);
	if (end.pos < 0)
		client->searched = evbuffer_get_length(input);
	return end.pos;
}

static bool is_busy(const struct sl_rpc_clients *clients)
{
	return clients->busy && clients->busy(clients->scope.context);
}

/* Whether the client's next request, a change, may be called now. */
static bool may_change(void *data)
{
	struct sl_rpc_client *client = data;
	struct sl_rpc_clients *clients = client->clients;
	bool first = clients->resuming || TAILQ_EMPTY(&clients->waiting);

	clients->resuming = false; /* the privilege is for one change */
	return first && !is_busy(clients);
}

static void client_wait_turn(struct sl_rpc_client *client)
{
	client->waiting = true;
	TAILQ_INSERT_TAIL(&client->clients->waiting, client, waiting_entry);
	sl_rpc_clients_resume(client->clients);
}

/* Answers the line at the head of the input, or continues with it. Returns as
 * sl_rpc_line_answer(). */
static int answer_line(struct sl_rpc_client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	const char *text = (const char *)evbuffer_pullup(input, client->length + 1);
	int rc = -ENOMEM;

	if (text)
		rc = sl_rpc_line_answer(&client->line, text, (size_t)client->length);
	if (rc)
		return rc;
	evbuffer_drain(input, (size_t)client->length + 1);
	client->length = -1;
	client->searched = 0;
	return bufferevent_write_buffer(client->stream, client->line.answer) ? -ENOMEM : 0;
}

/* Called when there is no whole line. */
static void client_wait(struct sl_rpc_client *client)
{
	size_t length = evbuffer_get_length(bufferevent_get_input(client->stream));
	struct timeval time = patience(&client->limits);
	char message[SL_ERROR_MAX];

	if (length > client->limits.request_bytes) {
		snprintf(message, sizeof(message), "a request has at most %zu bytes",
			 client->limits.request_bytes);
		client_refuse(client, message);
	} else if (client->ended) {
		client_leave(client);
	} else if (length > 0 && !event_pending(client->late, EV_TIMEOUT, NULL)) {
		event_add(client->late, &time);
	}
}

static void client_fill(struct sl_rpc_client *client)
{
	client->full = true;
	bufferevent_disable(client->stream, EV_READ);
	event_del(client->late);
	event_del(client->again);
}

/* Called while the client is pending or waiting. It is still read from, to notice when it is gone,
 * but only until the input is full: libevent calls on_read() again and again while it is. */
static void client_hold(struct sl_rpc_client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);

	if (evbuffer_get_length(input) > client->limits.request_bytes)
		bufferevent_disable(client->stream, EV_READ);
}

static void client_serve(struct sl_rpc_client *client)
{
	struct evbuffer *output = bufferevent_get_output(client->stream);
	int rc;

	if (client->full || client->leaving)
		return;
	if (client->waiting || client->line.call) {
		client_hold(client);
		return;
	}
	if (!client->ended && !(bufferevent_get_enabled(client->stream) & EV_READ))
		bufferevent_enable(client->stream, EV_READ);
	for (int line = 0; line < LINES_A_TURN; line++) {
		if (evbuffer_get_length(output) > client->limits.unread_bytes) {
			client_fill(client);
			return;
		}
		if (client->length < 0)
			client->length = line_length(client);
		if (client->length < 0) {
			client_wait(client);
			return;
		}
		event_del(client->late);
		rc = answer_line(client);
		if (rc == SL_RPC_WAIT)
			client_wait_turn(client);
		else if (rc < 0)
			client_close(client);
		if (rc)
			return;
	}
	event_add(client->again, &(struct timeval){ 0 });
}

static void on_read(struct bufferevent *stream, void *data)
{
	(void)stream;
	client_serve(data);
}

/* Called when the output has fallen below half of limits.unread_bytes. */
static void on_written(struct bufferevent *stream, void *data)
{
	struct sl_rpc_client *client = data;

	(void)stream;
	if (client->leaving) {
		client_leave(client);
	} else if (client->full) {
		client->full = false;
		client_serve(client);
	}
}

static void on_event(struct bufferevent *stream, short what, void *data)
{
	struct sl_rpc_client *client = data;

	(void)stream;
	if (!(what & BEV_EVENT_EOF)) {
		client_close(client);
		return;
	}
	client->ended = true;
	client_serve(client);
}

static void on_again(int fd, short what, void *data)
{
	(void)fd;
	(void)what;
	client_serve(data);
}

/* Called when the call that the line waited for is finished. */
static void on_ready(void *data)
{
	struct sl_rpc_client *client = data;

	event_add(client->again, &(struct timeval){ 0 });
}

static void on_late(int fd, short what, void *data)
{
	struct sl_rpc_client *client = data;
	char message[SL_ERROR_MAX];

	(void)fd;
	(void)what;
	snprintf(message, sizeof(message), "the request wasn't finished within %d ms",
		 client->limits.patience_ms);
	client_refuse(client, message);
}

static int read_peer(int fd, struct sl_rpc_peer *peer)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == -1)
		return -errno;
	*peer = (struct sl_rpc_peer){ cred.uid, cred.gid, cred.pid };
	return 0;
}

static int client_open(struct sl_rpc_clients *clients, int fd)
{
	struct sl_rpc_client *client = calloc(1, sizeof(*client));
	struct timeval time;
	int rc = -ENOMEM;

	if (!client)
		return rc;
	client->clients = clients;
	client->limits = clients->scope.limits;
	client->length = -1;
	client->line.scope = &clients->scope;
	client->line.may_change = may_change;
	client->line.ready = on_ready;
	client->line.owner = client;
	client->line.answer = evbuffer_new();
	client->again = evtimer_new(clients->base, on_again, client);
	client->late = evtimer_new(clients->base, on_late, client);
	if (!client->line.answer || !client->again || !client->late)
		goto fail;
	rc = read_peer(fd, &client->line.peer);
	if (rc)
		goto fail;
	rc = -ENOMEM;
	client->stream = bufferevent_socket_new(clients->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream)
		goto fail;

	time = patience(&client->limits);
	bufferevent_setcb(client->stream, on_read, on_written, on_event, client);
	bufferevent_set_timeouts(client->stream, NULL, &time);
	bufferevent_setwatermark(client->stream, EV_READ, 0, client->limits.request_bytes + 1);
	bufferevent_setwatermark(client->stream, EV_WRITE, client->limits.unread_bytes / 2, 0);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	LIST_INSERT_HEAD(&clients->list, client, entry);
	clients->count++;
	return 0;

fail:
	if (client->late)
		event_free(client->late);
	if (client->again)
		event_free(client->again);
	if (client->line.answer)
		evbuffer_free(client->line.answer);
	free(client);
	return rc;
}

/* Refuses a connection, with a message. It gets no state, since there are too many. */
static void turn_away(const struct sl_rpc_clients *clients, int fd)
{
	struct evbuffer *answer = evbuffer_new();
	char message[SL_ERROR_MAX];

	snprintf(message, sizeof(message), "%zu clients are connected already: try again later",
		 clients->scope.limits.clients);
	if (answer && !sl_rpc_message_refuse(SL_RPC_TOO_MANY, message, answer))
		send(fd, evbuffer_pullup(answer, -1), evbuffer_get_length(answer),
		     MSG_NOSIGNAL | MSG_DONTWAIT);
	if (answer)
		evbuffer_free(answer);
	close(fd);
}

void sl_rpc_clients_add(struct sl_rpc_clients *clients, int fd)
{
	if (clients->count >= clients->scope.limits.clients)
		turn_away(clients, fd);
	else if (client_open(clients, fd))
		close(fd);
}

/* Serves one client that waits. The next one's turn comes after other events that are due. */
static void on_resume(int fd, short what, void *data)
{
	struct sl_rpc_clients *clients = data;
	struct sl_rpc_client *client = TAILQ_FIRST(&clients->waiting);

	(void)fd;
	(void)what;
	if (!client || is_busy(clients))
		return;
	client_stop_waiting(client);
	clients->resuming = true;
	client_serve(client);
	clients->resuming = false;
	sl_rpc_clients_resume(clients);
}

void sl_rpc_clients_resume(struct sl_rpc_clients *clients)
{
	if (!TAILQ_EMPTY(&clients->waiting))
		event_add(clients->resume, &(struct timeval){ 0 });
}

int sl_rpc_clients_open(struct sl_rpc_clients *clients, struct event_base *base,
			const struct sl_rpc_scope *scope)
{
	*clients = (struct sl_rpc_clients){ .base = base, .scope = *scope };
	LIST_INIT(&clients->list);
	TAILQ_INIT(&clients->waiting);
	clients->resume = evtimer_new(base, on_resume, clients);
	return clients->resume ? 0 : -ENOMEM;
}

void sl_rpc_clients_close(struct sl_rpc_clients *clients)
{
	struct sl_rpc_client *client;

	while ((client = LIST_FIRST(&clients->list)))
		client_close(client);
	event_free(clients->resume);
}
