/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

SSL_CTX *sl_tls_context(const struct sl_health_conf *conf, char cause[SL_HEALTH_CAUSE])
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	bool good = tls != NULL;

	if (!good) {
		snprintf(cause, SL_HEALTH_CAUSE, "not checked: out of memory");
		return NULL;
	}
	/* Whether an answer is complete says HTTP. */
	SSL_CTX_set_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	if (conf->verify) {
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
		good = conf->ca[0] ? SSL_CTX_load_verify_locations(tls, conf->ca, NULL) == 1
				   : SSL_CTX_set_default_verify_paths(tls) == 1;
	}
	if (good)
		return tls;
	snprintf(cause, SL_HEALTH_CAUSE, "not checked: %.64s can't be read as certificates",
		 conf->ca);
	ERR_clear_error();
	SSL_CTX_free(tls);
	return NULL;
}

static bool set_name(SSL *ssl, const struct sl_probe *p)
{
	const struct sl_health_conf *conf = p->conf;
	const char *name = conf->tls_name[0] ? conf->tls_name : conf->host;
	union sl_addr addr;
	bool named = name[0] && sl_config_parse_addr(name, &addr, (char[SL_ERROR_MAX]){ 0 }) != 0;
	char text[SL_ADDR_TEXT];

	if (named && SSL_set_tlsext_host_name(ssl, name) != 1)
		return false;
	if (!conf->verify)
		return true;
	if (named)
		return SSL_set1_host(ssl, name) == 1;
	return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
					     name[0] ? name : sl_addr_format(&p->addr, text)) == 1;
}

SSL *sl_tls_session(const struct sl_probe *p)
{
	SSL *ssl = SSL_new(p->tls);

	if (ssl && set_name(ssl, p))
		return ssl;
	ERR_clear_error();
	SSL_free(ssl);
	return NULL;
}

enum sl_probe_result sl_tls_failed(struct sl_probe *p, const SSL *ssl, unsigned long error)
{
	long verified = SSL_get_verify_result(ssl);
	const char *why = ERR_reason_error_string(error);

	if (p->conf->verify && verified != X509_V_OK)
		return sl_probe_says(p, SL_PROBE_FAILED, "TLS: %s",
				     X509_verify_cert_error_string(verified));
	if (!error)
		return sl_probe_says(p, SL_PROBE_FAILED, "TLS: closed within the handshake");
	if (ERR_SYSTEM_ERROR(error))
		return sl_probe_errno(p, ERR_GET_REASON(error));
	if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
		return sl_probe_says(p, SL_PROBE_FAILED, "TLS: it answers without TLS");
	return why ? sl_probe_says(p, SL_PROBE_FAILED, "TLS: %s", why)
		   : sl_probe_says(p, SL_PROBE_FAILED, "TLS: error %lx", error);
}
