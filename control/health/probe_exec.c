/* SPDX-License-Identifier: BSD-2-Clause */
/* A program. It runs as its own user, in a process group of its own, without our descriptors; what
 * it prints goes into a pipe, of which the first bytes are kept. When it has ended, or its time is
 * up, its whole group is killed.
 *
 * It is waited for by a pidfd. A process that can't be killed (it sleeps in the kernel) is left
 * behind as a zombie, which sl_probe_reap() collects later.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum {
	SAID = 96,	/* bytes that are kept of what it prints */
	MOST = 1 << 20, /* that are read of it; who prints on is held up */
};

/* What the child needs, made before the fork: afterwards only what is async-signal-safe may be
 * called, as another thread may hold a lock. */
struct start {
	char *argv[SL_HEALTH_WORDS + 1];
	char text[5][SL_HEALTH_TEXT];
	char *env[6];
	int out, null;
};

static void prepare(const struct sl_probe *p, struct start *s)
{
	const char *word = p->conf->command;
	char addr[SL_ADDR_TEXT];
	size_t n = 0;

	for (; *word && n < SL_HEALTH_WORDS; word += strlen(word) + 1)
		s->argv[n++] = (char *)(uintptr_t)word;
	s->argv[n] = NULL;
	snprintf(s->text[0], SL_HEALTH_TEXT, "SLUICE_SERVICE=%s", p->service);
	snprintf(s->text[1], SL_HEALTH_TEXT, "SLUICE_BACKEND=%s", p->backend);
	snprintf(s->text[2], SL_HEALTH_TEXT, "SLUICE_ADDRESS=%s", sl_addr_format(&p->addr, addr));
	snprintf(s->text[3], SL_HEALTH_TEXT, "SLUICE_PORT=%u", p->port);
	snprintf(s->text[4], SL_HEALTH_TEXT, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	for (n = 0; n < 5; n++)
		s->env[n] = s->text[n];
	s->env[n] = NULL;
}

__attribute__((noreturn)) static void run(const struct sl_probe *p, struct start *s)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (dup2(s->null, 0) < 0 || dup2(s->out, 1) < 0 || dup2(s->out, 2) < 0)
		_exit(126);
	syscall(SYS_close_range, 3, ~0u, 0);
	/* By system calls: the library's would ask other threads to do the same. */
	if (syscall(SYS_setgroups, 0, NULL) != 0 ||
	    syscall(SYS_setresgid, p->conf->gid, p->conf->gid, p->conf->gid) != 0 ||
	    syscall(SYS_setresuid, p->conf->uid, p->conf->uid, p->conf->uid) != 0)
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
	if (chdir("/") == 0)
		execve(s->argv[0], s->argv, s->env);
	_exit(127);
}

/* Reads what it prints: the first bytes are kept, the others make room for more. */
static void prints(evutil_socket_t fd, short what, void *context)
{
	struct sl_probe *p = context;
	char more[4096];
	ssize_t n = read(fd, more, sizeof(more));
	size_t room = SAID - 1 - p->n_answer;

	(void)what;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		event_del(p->printing);
	if (n <= 0)
		return;
	p->n_read += (uint32_t)n;
	if (p->n_read >= MOST)
		event_del(p->printing);
	room = room < (size_t)n ? room : (size_t)n;
	memcpy(p->answer + p->n_answer, more, room);
	p->n_answer += room;
}

static enum sl_probe_result judge(struct sl_probe *p, const siginfo_t *how)
{
	char *said = (char *)p->answer;
	const char *between;

	prints(p->out, EV_READ, p);
	said[strcspn(said, "\r\n")] = '\0';
	between = said[0] ? ": " : "";
	if (how->si_code != CLD_EXITED)
		return sl_probe_says(p, SL_PROBE_FAILED, "killed by signal %d%s%s", how->si_status,
				     between, said);
	if (how->si_status == 0)
		return SL_PROBE_PASSED;
	if (how->si_status == 127 && !said[0])
		return sl_probe_says(p, SL_PROBE_FAILED, "exit 127: can it be run?");
	return sl_probe_says(p, SL_PROBE_FAILED, "exit %d%s%s", how->si_status, between, said);
}

static void ended(evutil_socket_t fd, short what, void *context)
{
	struct sl_probe *p = context;
	siginfo_t how = { 0 };

	(void)what;
	/* Its group goes before it is reaped: until then its number is nobody else's. */
	kill(-p->child, SIGKILL);
	if (waitid(P_PIDFD, (id_t)fd, &how, WEXITED | WNOHANG) != 0 || !how.si_pid)
		return;
	p->child = 0;
	p->done(p, judge(p, &how));
}

static int start(struct sl_probe *p, struct start *s)
{
	p->child = fork();
	if (p->child == 0)
		run(p, s);
	if (p->child < 0) {
		p->child = 0;
		return -errno;
	}
	setpgid(p->child, p->child); /* both do: whoever comes first */
	p->fd = (int)syscall(SYS_pidfd_open, p->child, 0);
	return p->fd < 0 ? -errno : 0;
}

static enum sl_probe_result begin(struct sl_probe *p)
{
	int pipe[2] = { -1, -1 }, err = 0;
	struct start s;

	prepare(p, &s);
	s.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s.null < 0 || pipe2(pipe, O_CLOEXEC) != 0 ||
	    fcntl(pipe[0], F_SETFL, O_NONBLOCK) != 0) /* ours alone */
		err = -errno;
	p->out = pipe[0];
	s.out = pipe[1];
	p->answer = calloc(1, SAID);
	p->printing = event_new(p->base, p->out, EV_READ | EV_PERSIST, prints, p);
	if (!err && (!p->answer || !p->printing || event_add(p->printing, NULL) != 0))
		err = -ENOMEM;
	if (!err)
		err = start(p, &s);
	if (s.null >= 0)
		close(s.null);
	if (s.out >= 0)
		close(s.out);
	if (err)
		return sl_probe_says(p, SL_PROBE_UNABLE, "not checked: %s", strerror(-err));
	p->stage = "it still runs";
	return sl_probe_wait(p, EV_READ, ended) ? SL_PROBE_RUNS : SL_PROBE_UNABLE;
}

static void end(struct sl_probe *p)
{
	if (p->child) {
		kill(-p->child, SIGKILL);
		kill(p->child, SIGKILL); /* it may not have its group yet */
		if (waitpid(p->child, NULL, WNOHANG) == 0)
			sl_probe_leave(p->child);
		p->child = 0;
	}
	if (p->printing)
		event_free(p->printing);
	p->printing = NULL;
	if (p->out >= 0)
		close(p->out);
	p->out = -1;
}

/* Those that were killed and haven't ended yet. */
static pid_t *left;
static size_t n_left, room_left;

void sl_probe_leave(int child)
{
	if (n_left == room_left) {
		pid_t *more = realloc(left, (room_left + 64) * sizeof(*left));

		if (!more)
			return;
		left = more;
		room_left += 64;
	}
	left[n_left++] = child;
}

void sl_probe_reap(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_left; i++)
		if (waitpid(left[i], NULL, WNOHANG) == 0)
			left[kept++] = left[i];
	n_left = kept;
}

const struct sl_probe_type sl_probe_exec = { begin, end };
