/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files by libpcap: pcap and pcapng in, pcap out, Ethernet only, times in nanoseconds. */
#ifndef SL_REPLAY_CAPTURE_H
#define SL_REPLAY_CAPTURE_H

#include <sys/types.h>

#include "engine.h"

struct sl_capture;

struct sl_captured {
	struct sl_frame frame; /* whole: what the capture left out is zeros */
	const uint8_t *end;    /* of what the capture has of it; zeros follow */
	bool cut;	       /* there are some */
	uint64_t time_ns;      /* since 1970 */
};

/* Opens both. 0 or -errno with a message: -EINVAL where a file isn't what it should be. */
int sl_capture_open(struct sl_capture **c, const char *in, const char *out,
		    char error[SL_ERROR_MAX]);

/* The next frame, in a buffer that may be written to until the next call. 1; 0 at the end; -errno
 * with a message. */
int sl_capture_next(struct sl_capture *c, struct sl_captured *p, char error[SL_ERROR_MAX]);

/* Writes as many bytes as the capture had, with its time. */
void sl_capture_write(struct sl_capture *c, const struct sl_captured *p);

/* 0 or -errno with a message where something couldn't be written. */
int sl_capture_close(struct sl_capture *c, char error[SL_ERROR_MAX]);

#endif
