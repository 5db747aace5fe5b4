/* SPDX-License-Identifier: BSD-2-Clause */
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "liveness.h"
#include "nat_pools.h"
#include "rescale.h"

int sl_instance_lock(struct sl_control *c, char error[SL_ERROR_MAX])
{
	const char *dir = c->config.run_dir;
	char path[SL_PATH_MAX + 32];
	int err = sl_make_directory(dir, 0755);

	if (!err) {
		dir = c->config.state_dir;
		err = sl_make_directory(dir, 0700);
	}
	if (err) {
		snprintf(error, SL_ERROR_MAX, "%s: %s", dir, strerror(-err));
		return err;
	}
	snprintf(path, sizeof(path), "%s/control.lock", c->config.run_dir);
	c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (c->lock >= 0 && flock(c->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	err = errno;
	if (c->lock >= 0 && err == EWOULDBLOCK) {
		snprintf(error, SL_ERROR_MAX,
			 "instance %s has a control process already (%s is locked)",
			 c->config.instance, path);
		return -EBUSY;
	}
	snprintf(error, SL_ERROR_MAX, "%s: %s", path, strerror(err));
	return -err;
}

static struct sl_capacity capacity_of(const struct sl_config *config)
{
	return (struct sl_capacity){
		.services = config->capacity.services,
		.backends = config->capacity.backends,
		.slots = config->capacity.slots,
		.flows = config->capacity.flows,
		.routes = config->capacity.routes,
		.limits = config->capacity.limits,
		.exceptions = config->capacity.exceptions,
		.clients = config->capacity.clients,
		.addresses = config->capacity.addresses,
		.workers = config->dataplane.n_cores ? (uint32_t)config->dataplane.n_cores : 1,
		.cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF),
	};
}

static int make(struct sl_control *c, const struct sl_capacity *capacity, char error[SL_ERROR_MAX])
{
	struct sl_root *root;
	int err = sl_store_create(&c->store, &c->where, capacity, error);

	if (err)
		return err;
	root = sl_store_root(&c->store);
	memcpy(root->slot_key, c->config.slot_key, sizeof(root->slot_key));
	if (getrandom(root->flow_key, sizeof(root->flow_key), 0) != sizeof(root->flow_key) ||
	    getrandom(&root->bank[0].seed, sizeof(root->bank[0].seed), 0) < 0)
		return -EIO;
	root->bank[1].seed = root->bank[0].seed;
	sl_store_publish(&c->store);
	return 0;
}

/* Compares the existing instance with the configuration: the sizes of its arrays, and the key of
 * its group. Returns 0, or -EINVAL with a message. */
static int check_capacity(struct sl_control *c, const struct sl_capacity *capacity,
			  char error[SL_ERROR_MAX])
{
	uint32_t count[SL_ARRAY_COUNT];
	static const char *const name[] = {
#define SL_ARRAY_NAME(name, record, writer) #name,
		SL_ARRAYS(SL_ARRAY_NAME)
#undef SL_ARRAY_NAME
	};

	sl_store_size(capacity, count);
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		if (count[i] == c->store.count[i])
			continue;
		snprintf(error, SL_ERROR_MAX,
			 "instance %s was made for other capacities or cores (%s: %u records, now "
			 "%u); go back to those, or stop its dataplane and start over with "
			 "`sluice-control --fresh`",
			 c->config.instance, name[i], c->store.count[i], count[i]);
		return -EINVAL;
	}
	if (memcmp(sl_store_root(&c->store)->slot_key, c->config.slot_key,
		   sizeof(c->config.slot_key)) == 0)
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "instance %s belongs to another group: its rows would all move; start over with "
		 "`sluice-control --fresh`",
		 c->config.instance);
	return -EINVAL;
}

static int runs(const struct sl_control *c, char error[SL_ERROR_MAX])
{
	snprintf(error, SL_ERROR_MAX, "instance %s has a dataplane that runs: stop it first",
		 c->config.instance);
	return -EBUSY;
}

/* Whether a dataplane of this instance runs, of whatever version. It holds a lock while it
 * lives. */
static bool is_locked(const struct sl_control *c)
{
	char path[SL_PATH_MAX + 32];
	bool locked;
	int fd;

	snprintf(path, sizeof(path), "%s/dataplane.lock", c->config.run_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	locked = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	return locked;
}

int sl_instance_check_unused(struct sl_control *c, char error[SL_ERROR_MAX])
{
	bool alive;
	int err;

	if (sl_store_root(&c->store)) /* this process has attached it */
		return sl_dataplane_alive(c) ? runs(c, error) : 0;
	err = sl_store_attach(&c->store, &c->where, SL_STORE_READER, error);
	if (!err) {
		alive = sl_dataplane_alive(c);
		sl_store_detach(&c->store);
		c->store = (struct sl_store){ 0 };
	} else {
		/* A dataplane that waits for control, because there are no arrays yet, is no
		 * obstacle. One of another version may be using the arrays. */
		alive = err != -ENOENT && is_locked(c);
	}
	error[0] = '\0';
	return alive ? runs(c, error) : 0;
}

int sl_instance_books(struct sl_control *c)
{
	const uint32_t *count = c->store.count;
	uint32_t writers = count[SL_ARRAY_reason_counters];

	c->slots = sl_extents_new(count[SL_ARRAY_table_blocks]);
	c->backends = sl_extents_new(count[SL_ARRAY_backends]);
	c->limits = sl_extents_new(count[SL_ARRAY_limits]);
	c->baseline = calloc(count[SL_ARRAY_backend_counters] / writers, sizeof(*c->baseline));
	c->limit_baseline =
		calloc(count[SL_ARRAY_limit_counters] / writers, sizeof(*c->limit_baseline));
	c->region = calloc(count[SL_ARRAY_snat_ports] / SL_SNAT_LINES + 1, sizeof(*c->region));
	return c->slots && c->backends && c->limits && c->baseline && c->limit_baseline && c->region
		       ? 0
		       : -ENOMEM;
}

int sl_instance_open(struct sl_control *c, char error[SL_ERROR_MAX])
{
	struct sl_capacity capacity = capacity_of(&c->config);
	int err = sl_store_attach(&c->store, &c->where, SL_STORE_CONTROL, error);

	if (err == -ENOENT)
		err = make(c, &capacity, error);
	else if (!err)
		err = check_capacity(c, &capacity, error);
	return err ? err : sl_instance_books(c);
}

void sl_instance_close_books(struct sl_control *c)
{
	sl_rescale_free(c);
	free(c->baseline);
	free(c->region);
	free(c->limit_baseline);
	sl_model_free(c->model, 0);
	sl_extents_free(c->limits);
	sl_extents_free(c->backends);
	sl_extents_free(c->slots);
}

void sl_instance_close(struct sl_control *c)
{
	sl_instance_close_books(c);
	sl_store_detach(&c->store);
}
