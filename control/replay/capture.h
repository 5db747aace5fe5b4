/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files, by libpcap: reads pcap and pcapng, writes pcap; Ethernet only, times in
 * nanoseconds. */
#ifndef SL_REPLAY_CAPTURE_H
#define SL_REPLAY_CAPTURE_H

#include <sys/types.h>

#include "engine.h"

struct sl_capture;

struct sl_captured {
	struct sl_frame frame; /* the whole frame; bytes that weren't captured are zeros */
	const uint8_t *end;    /* captured bytes; zeros follow */
	bool cut;	       /* whether it has a time */
	uint64_t time_ns;      /* since 1970 */
};

/* Opens both files. 0, or -errno with a message; -EINVAL: a file has the wrong format. */
int sl_capture_open(struct sl_capture **c, const char *in, const char *out,
		    char error[SL_ERROR_MAX]);

/* Reads the next frame into a buffer that may be modified until the next call. 1; 0 at the end;
 * -errno with a message. */
int sl_capture_next(struct sl_capture *c, struct sl_captured *p, char error[SL_ERROR_MAX]);

/* Writes a frame with its time, with as many bytes as were captured. */
void sl_capture_write(struct sl_capture *c, const struct sl_captured *p);

/* Closes both. 0, or -errno with a message if something couldn't be written. */
int sl_capture_close(struct sl_capture *c, char error[SL_ERROR_MAX]);

#endif
