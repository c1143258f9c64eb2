// SPDX-License-Identifier: MIT
/* See region.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "region.h"
#include "udmabuf.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int fork_err;
static unsigned int forks;	/* that led to this process */

void region_lock(void)
{
	pthread_mutex_lock(&lock);
}

void region_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

bool region_is_ours(const struct region *region)
{
	return region->process == forks;
}

static void after_fork_in_child(void)
{
	forks++;
	region_unlock();
}

static void watch_forks(void)
{
	fork_err = -pthread_atfork(region_lock, region_unlock, after_fork_in_child);
}

int region_watch_forks(void)
{
	pthread_once(&once, watch_forks);
	return fork_err;
}

void region_put(struct region *region)
{
	if (--region->users)
		return;
	close(region->fd);
	core_destroy(&region->heap);
	free(region);
}

/* A memfd of @length bytes that stays that long, which udmabuf wants. */
static int make_memfd(uint64_t length)
{
	struct rlimit limit;
	int fd, err;

	/* Beyond that limit, the kernel would not only answer EFBIG but send SIGXFSZ. */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && length > limit.rlim_cur)
		return -EFBIG;
	fd = memfd_create("memalloc", MFD_CLOEXEC | MFD_NOEXEC_SEAL | MFD_ALLOW_SEALING);
	if (fd < 0 && errno == EINVAL)	/* an older kernel */
		fd = memfd_create("memalloc", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, length) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int region_open(const char *name, uint64_t length, struct region **opened)
{
	const u32 granule = getpagesize();
	const u64 granules = length / granule;
	struct region *region;
	int err;

	if (!granules || length % granule || granules > MAL_HEAP_MAX)
		return -EINVAL;
	err = region_watch_forks();
	if (err)
		return err;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->fd = make_memfd(length);
	if (region->fd < 0) {
		err = region->fd;
		goto free_region;
	}
	err = core_create(&region->heap, granules, mal_fits[0]);
	if (err)
		goto close_fd;
	strcpy(region->name, name);
	region->users = 1;
	region->process = forks;
	region->shift = mal_low_bit(granule);
	region->has_udmabuf = udmabuf_is_there();
	*opened = region;
	return 0;

close_fd:
	close(region->fd);
free_region:
	free(region);
	return err;
}
