/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration says of one backend. */
#include <string.h>

#include "config.h"

const struct sl_config_backend *sl_config_endpoint(const struct sl_config_service *conf,
						   const union sl_addr *addr, uint16_t port)
{
	for (size_t i = 0; i < conf->n_backends; i++)
		if (conf->backend[i].port == port && sl_addr_equal(&conf->backend[i].addr, addr))
			return &conf->backend[i];
	return NULL;
}

const struct sl_config_backend *sl_config_find_backend(const struct sl_config *config,
						       const char *service,
						       const union sl_addr *addr, uint16_t port)
{
	for (size_t i = 0; i < config->n_services; i++) {
		if (strcmp(config->service[i].name, service) == 0)
			return sl_config_endpoint(&config->service[i], addr, port);
	}
	return NULL;
}
