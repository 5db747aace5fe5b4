/* SPDX-License-Identifier: BSD-2-Clause */
#include "capture.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pcap/pcap.h>

struct sl_capture {
	const char *in, *out;
	pcap_t *from, *to;
	pcap_dumper_t *dump;
	uint8_t frame[SL_FRAME_ROOM + SL_FRAME_MAX];
};

static __attribute__((format(printf, 3, 4))) int fail(char *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return err;
}

static int open_in(struct sl_capture *c, char error[SL_ERROR_MAX])
{
	char text[PCAP_ERRBUF_SIZE];
	int type;

	c->from = pcap_open_offline_with_tstamp_precision(c->in, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!c->from)
		return fail(error, -EINVAL, "%s%s%s", strstr(text, c->in) ? "" : c->in,
			    strstr(text, c->in) ? "" : ": ", text);
	type = pcap_datalink(c->from);
	if (type == DLT_EN10MB)
		return 0;
	return fail(error, -EINVAL,
		    "%s: its link type is %s (%s), only Ethernet captures can be replayed; "
		    "capture on the interface itself, not on \"any\"",
		    c->in, pcap_datalink_val_to_name(type) ?: "unknown",
		    pcap_datalink_val_to_description(type) ?: "unknown to libpcap");
}

static int open_out(struct sl_capture *c, char error[SL_ERROR_MAX])
{
	struct stat in, out;

	if (strcmp(c->out, "-") == 0)
		return fail(error, -EINVAL, "OUT: the verdicts go to standard output; name a file");
	if (stat(c->in, &in) == 0 && stat(c->out, &out) == 0 && in.st_dev == out.st_dev &&
	    in.st_ino == out.st_ino)
		return fail(error, -EINVAL, "%s: is the capture that is read; name another file",
			    c->out);
	c->to = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SL_FRAME_MAX,
						     PCAP_TSTAMP_PRECISION_NANO);
	if (!c->to)
		return fail(error, -ENOMEM, "out of memory");
	c->dump = pcap_dump_open(c->to, c->out);
	return c->dump ? 0 : fail(error, -EINVAL, "%s", pcap_geterr(c->to));
}

static void close_all(struct sl_capture *c)
{
	if (c->dump)
		pcap_dump_close(c->dump);
	if (c->to)
		pcap_close(c->to);
	if (c->from)
		pcap_close(c->from);
	free(c);
}

int sl_capture_open(struct sl_capture **out, const char *in_file, const char *out_file,
		    char error[SL_ERROR_MAX])
{
	struct sl_capture *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return fail(error, -ENOMEM, "out of memory");
	c->in = in_file;
	c->out = out_file;
	err = open_in(c, error);
	if (!err)
		err = open_out(c, error);
	if (err)
		close_all(c);
	else
		*out = c;
	return err;
}

int sl_capture_next(struct sl_capture *c, struct sl_captured *p, char error[SL_ERROR_MAX])
{
	struct pcap_pkthdr *head;
	const u_char *bytes;
	int got = pcap_next_ex(c->from, &head, &bytes);

	if (got == PCAP_ERROR_BREAK)
		return 0;
	if (got != 1)
		return fail(error, -EINVAL, "%s: %s", c->in, pcap_geterr(c->from));
	if (head->caplen > SL_FRAME_MAX || head->len > SL_FRAME_MAX)
		return fail(error, -EINVAL, "%s: a frame of %u bytes: it can't be Ethernet", c->in,
			    head->len > head->caplen ? head->len : head->caplen);
	p->frame.data = c->frame + SL_FRAME_ROOM;
	p->frame.length = head->len > head->caplen ? head->len : head->caplen;
	p->cut = head->caplen < p->frame.length;
	p->end = p->frame.data + head->caplen;
	memcpy(p->frame.data, bytes, head->caplen);
	memset(p->frame.data + head->caplen, 0, p->frame.length - head->caplen);
	/* tv_usec holds nanoseconds, as requested. */
	p->time_ns = (uint64_t)head->ts.tv_sec * 1000000000u + (uint64_t)head->ts.tv_usec;
	return 1;
}

void sl_capture_write(struct sl_capture *c, const struct sl_captured *p)
{
	struct pcap_pkthdr head = { .caplen = p->frame.length, .len = p->frame.length };

	if (p->end - p->frame.data < (ptrdiff_t)head.caplen)
		head.caplen = (bpf_u_int32)(p->end - p->frame.data);
	head.ts.tv_sec = (time_t)(p->time_ns / 1000000000u);
	head.ts.tv_usec = (suseconds_t)(p->time_ns % 1000000000u);
	pcap_dump((u_char *)c->dump, &head, p->frame.data);
}

int sl_capture_close(struct sl_capture *c, char error[SL_ERROR_MAX])
{
	int err = 0;

	if (pcap_dump_flush(c->dump) || ferror(pcap_dump_file(c->dump)))
		err = fail(error, -EIO, "%s: couldn't be written: %s", c->out, strerror(errno));
	close_all(c);
	return err;
}
