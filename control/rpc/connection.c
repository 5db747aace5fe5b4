/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection: lines in, answers out, and the bounds that keep it from harming the others.
 *
 * Every event ends in serve(), which answers up to LINES_A_TURN requests and then is in one of four
 * states:
 *
 *     waiting   for the rest of a line (`late` runs if a part is here) or for anything at all
 *     again     more lines are here, but it is the others' turn: the timer `again` brings it back
 *     full      too many answers lie unread: nothing is read until half of them are gone
 *     leaving   closed when its answers are out; nothing more is read
 *
 * Memory is bounded by the input's watermark (one request), and by limits.unread_bytes and one
 * answer for the output. Time is bounded by limits.patience_ms, counted from the first byte of an
 * unfinished request (so that dripping doesn't help) and from the last byte that the client read.
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
	struct sl_rpc_clients *clients;
	struct sl_rpc_limits limits;
	struct bufferevent *stream;
	struct event *again;
	struct event *late;
	size_t searched; /* bytes at the head of the input that hold no newline */
	bool ended;	 /* the client sends no more */
	bool full;
	bool leaving;
};

static struct timeval patience(const struct sl_rpc_limits *limits)
{
	return (struct timeval){ .tv_sec = limits->patience_ms / 1000,
				 .tv_usec = limits->patience_ms % 1000 * 1000 };
}

static void client_close(struct sl_rpc_client *client)
{
	LIST_REMOVE(client, entry);
	client->clients->count--;
	event_free(client->late);
	event_free(client->again);
	bufferevent_free(client->stream);
	free(client);
}

/* Closes the client, now or when it has read what is due to it. */
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

/* Length of the next line without its newline, or -1. */
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

static int answer_line(struct sl_rpc_client *client, size_t length)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	struct evbuffer *answer = evbuffer_new();
	const char *line;
	int rc = -ENOMEM;

	if (!answer)
		return rc;
	line = (const char *)evbuffer_pullup(input, (ssize_t)length + 1);
	if (line)
		rc = sl_rpc_message_answer(&client->clients->scope, line, length, answer);
	if (!rc && bufferevent_write_buffer(client->stream, answer))
		rc = -ENOMEM;
	evbuffer_free(answer);
	evbuffer_drain(input, length + 1);
	client->searched = 0;
	return rc;
}

/* No whole line is here. */
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

static void client_serve(struct sl_rpc_client *client)
{
	struct evbuffer *output = bufferevent_get_output(client->stream);
	ssize_t length;

	for (int line = 0; line < LINES_A_TURN; line++) {
		if (evbuffer_get_length(output) > client->limits.unread_bytes) {
			client->full = true;
			bufferevent_disable(client->stream, EV_READ);
			event_del(client->late);
			event_del(client->again);
			return;
		}
		length = line_length(client);
		if (length < 0) {
			client_wait(client);
			return;
		}
		event_del(client->late);
		if (answer_line(client, (size_t)length)) {
			client_close(client);
			return;
		}
	}
	event_add(client->again, &(struct timeval){ 0 });
}

static void on_read(struct bufferevent *stream, void *data)
{
	struct sl_rpc_client *client = data;

	(void)stream;
	if (!client->full && !client->leaving)
		client_serve(client);
}

/* The output went below half of what may lie unread. */
static void on_written(struct bufferevent *stream, void *data)
{
	struct sl_rpc_client *client = data;

	if (client->leaving) {
		client_leave(client);
	} else if (client->full) {
		client->full = false;
		if (!client->ended)
			bufferevent_enable(stream, EV_READ);
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
	if (!client->full && !client->leaving)
		client_serve(client);
}

static void on_again(int fd, short what, void *data)
{
	(void)fd;
	(void)what;
	client_serve(data);
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

static int client_open(struct sl_rpc_clients *clients, int fd)
{
	struct sl_rpc_client *client = calloc(1, sizeof(*client));
	struct timeval time;

	if (!client)
		return -ENOMEM;
	client->clients = clients;
	client->limits = clients->scope.limits;
	client->again = evtimer_new(clients->base, on_again, client);
	client->late = evtimer_new(clients->base, on_late, client);
	if (!client->again || !client->late)
		goto fail;
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
	free(client);
	return -ENOMEM;
}

/* Says why without a connection's state: there is no room for one. */
static void turn_away(const struct sl_rpc_clients *clients, int fd)
{
	struct evbuffer *answer = evbuffer_new();
	char message[SL_ERROR_MAX];

	snprintf(message, sizeof(message), "%zu clients are connected already: try again later",
		 clients->scope.limits.clients);
	if (answer && !sl_rpc_message_refuse(SL_RPC_CROWDED, message, answer))
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

void sl_rpc_clients_close(struct sl_rpc_clients *clients)
{
	struct sl_rpc_client *client;

	while ((client = LIST_FIRST(&clients->list)))
		client_close(client);
}
