/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS of checks: what a service's checks have in common, and the causes of failures. */
#ifndef SL_CONTROL_HEALTH_TLS_H
#define SL_CONTROL_HEALTH_TLS_H

#include <openssl/ssl.h>

#include "probe.h"

/* NULL: no memory, or `ca` can't be read, with the cause. */
SSL_CTX *sl_tls_context(const struct sl_health_conf *conf, char cause[SL_HEALTH_CAUSE]);

/* The client's side of a connection to p->addr, with the name that the certificate must have. NULL:
 * no memory. */
SSL *sl_tls_session(const struct sl_probe *p);

/* Why a handshake failed; `error`: OpenSSL's, or 0: the peer closed. */
enum sl_probe_result sl_tls_failed(struct sl_probe *p, const SSL *ssl, unsigned long error);

#endif
