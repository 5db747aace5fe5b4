/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/1.x as far as a check needs it: a request, and a judgement of what has come of the answer.
 * Pure. */
#ifndef SL_CONTROL_HEALTH_HTTP_H
#define SL_CONTROL_HEALTH_HTTP_H

#include <stddef.h>

#include "probe.h"

/* The request for p->conf; its length. */
#define SL_HTTP_REQUEST 1024
size_t sl_http_request(const struct sl_probe *p, char text[SL_HTTP_REQUEST]);

/* Of the first `n` bytes of an answer, after which a 0 stands: SL_PROBE_RUNS where more is needed.
 * `end`: the peer has closed. An answer of SL_PROBE_ANSWER bytes is judged by these. Cause in
 * p->cause. */
enum sl_probe_result sl_http_judge(struct sl_probe *p, const uint8_t *answer, size_t n, bool end);

#endif
