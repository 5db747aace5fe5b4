/* SPDX-License-Identifier: BSD-2-Clause */
/* Signs of life in shared memory: see union sl_liveness in worker.h. */
#ifndef SL_ABI_LIVENESS_H
#define SL_ABI_LIVENESS_H

#include "worker.h"

/* Initialises the mutex and locks it for the calling thread. The caller has made sure by a lock
 * file that no other process holds it. 0 or -errno. */
static inline int sl_liveness_begin(union sl_liveness *life)
{
	pthread_mutexattr_t attr;
	int err = pthread_mutexattr_init(&attr);

	if (!err)
		err = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (!err)
		err = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (!err)
		err = pthread_mutex_init(&life->mutex, &attr);
	if (!err)
		err = pthread_mutex_lock(&life->mutex);
	pthread_mutexattr_destroy(&attr);
	return -err;
}

static inline void sl_liveness_end(union sl_liveness *life)
{
	pthread_mutex_unlock(&life->mutex);
}

/* Whether a living thread holds the mutex. Works on a read-only mapping too. */
static inline int sl_liveness_is_alive(const union sl_liveness *life)
{
	uint32_t word = __atomic_load_n(&life->futex, __ATOMIC_ACQUIRE);

	return (word & SL_LIVENESS_TID) != 0 && !(word & SL_LIVENESS_DIED);
}

#endif
