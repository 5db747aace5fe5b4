/* SPDX-License-Identifier: BSD-2-Clause */
#include "offload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { FEATURES_MAX = 256, BLOCKS = FEATURES_MAX / 32 };

static const struct {
	const char *name;
	uint32_t bit;
} kinds[] = {
	{ "rx-gro", SL_MERGES_GRO },
	{ "rx-gro-hw", SL_MERGES_GRO_HW },
	{ "rx-lro", SL_MERGES_LRO },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static int ethtool(const char *device, void *command)
{
	struct ifreq request = { .ifr_data = command };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	err = ioctl(fd, SIOCETHTOOL, &request) == -1 ? -errno : 0;
	close(fd);
	return err;
}

/* Returns how many features the kernel has, which is the same for all interfaces. number: those of
 * our kinds, or -1 where the kernel doesn't have it. */
static int numbers(const char *device, int number[KINDS])
{
	struct ethtool_gstrings *strings =
		calloc(1, sizeof(*strings) + FEATURES_MAX * ETH_GSTRING_LEN);
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} set = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
	int err = strings ? ethtool(device, &set) : -ENOMEM;

	if (!err && (!set.info.sset_mask || set.info.data[0] > FEATURES_MAX))
		err = -EOPNOTSUPP;
	if (!err) {
		*strings = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS,
						      .string_set = ETH_SS_FEATURES,
						      .len = set.info.data[0] };
		err = ethtool(device, strings);
	}
	for (int k = 0; k < KINDS && !err; k++) {
		number[k] = -1;
		for (uint32_t i = 0; i < strings->len; i++)
			if (strncmp((char *)strings->data + i * ETH_GSTRING_LEN, kinds[k].name,
				    ETH_GSTRING_LEN) == 0)
				number[k] = (int)i;
	}
	err = err ? err : (int)strings->len;
	free(strings);
	return err;
}

const char *sl_offload_name(uint32_t bit)
{
	for (int k = 0; k < KINDS; k++)
		if (kinds[k].bit == bit)
			return kinds[k].name;
	return "";
}

uint32_t sl_offload_active(const char *device)
{
	struct {
		struct ethtool_gfeatures head;
		struct ethtool_get_features_block block[BLOCKS];
	} get = { .head = { .cmd = ETHTOOL_GFEATURES, .size = BLOCKS } };
	uint32_t active = 0;
	int number[KINDS];

	if (numbers(device, number) < 0 || ethtool(device, &get) != 0)
		return 0;
	for (int k = 0; k < KINDS; k++)
		if (number[k] >= 0 &&
		    get.head.features[number[k] / 32].active >> number[k] % 32 & 1)
			active |= kinds[k].bit;
	return active;
}

int sl_offload_set(const char *device, uint32_t bits, bool on)
{
	struct {
		struct ethtool_sfeatures head;
		struct ethtool_set_features_block block[BLOCKS];
	} set = { .head = { .cmd = ETHTOOL_SFEATURES } };
	int number[KINDS], n = numbers(device, number), err;

	if (n < 0)
		return n;
	set.head.size = ((uint32_t)n + 31) / 32;
	for (int k = 0; k < KINDS; k++) {
		if (!(bits & kinds[k].bit) || number[k] < 0)
			continue;
		set.head.features[number[k] / 32].valid |= 1u << number[k] % 32;
		set.head.features[number[k] / 32].requested |= (uint32_t)on << number[k] % 32;
	}
	err = ethtool(device, &set);
	if (err)
		return err;
	return (sl_offload_active(device) & bits) == (on ? bits : 0) ? 0 : -EOPNOTSUPP;
}
