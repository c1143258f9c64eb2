/* SPDX-License-Identifier: MIT */
/* What tests of calls of the library share: the open device, and short ways to its calls. */
#ifndef CALLS_H
#define CALLS_H

#include <errno.h>
#include <memalloc.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"
#include "region.h"

#define READ_WRITE	(MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE)
#define UNKNOWN_FLAG	(MEMALLOC_READ_ONLY << 1)

static const char *path;		/* of the device; NULL: the default */
static struct memalloc_info info;

static inline struct memalloc *open_another(void)
{
	struct memalloc *other;

	need(memalloc_open(path, &other), "second open");
	return other;
}

static inline struct memalloc_buffer make(uint64_t length)
{
	struct memalloc_buffer buffer;

	need(memalloc_buffer_alloc(mem, length, 0, &buffer), "alloc");
	return buffer;
}

static inline unsigned char *map(struct memalloc *device, const struct memalloc_buffer *buffer)
{
	void *address;

	need(memalloc_buffer_map(device, buffer, 0, &address), "map");
	return address;
}

/* Memory may come back a moment after its last user has gone. */
static inline bool used_becomes(uint64_t wanted)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int tries;

	for (tries = 0; tries < 1000 && used() != wanted; tries++)
		nanosleep(&pause, NULL);
	return used() == wanted;
}

/* As open_region(), for tests that open it again. */
static inline void open_device(int argc, char **argv)
{
	path = argc > 1 ? argv[1] : NULL;
	open_region(argc, argv);
	need(memalloc_get_info(mem, &info, sizeof(info)), "get_info");
}

/* A descriptor limit that leaves none makes EMFILE certain. */
static inline void test_export_without_descriptors(const struct memalloc_buffer *buffer)
{
	struct rlimit normal, none;

	need(getrlimit(RLIMIT_NOFILE, &normal) ? -errno : 0, "getrlimit");
	none = normal;
	none.rlim_cur = 0;
	need(setrlimit(RLIMIT_NOFILE, &none) ? -errno : 0, "setrlimit");
	is(memalloc_buffer_export(mem, buffer, 0), -EMFILE, "export: EMFILE, no descriptor left");
	need(setrlimit(RLIMIT_NOFILE, &normal) ? -errno : 0, "setrlimit");
}

/* A read-only handle is no obstacle to what the same open device may do by another one. */
static inline void test_two_handles(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(1), read_only, again;
	int fd = memalloc_buffer_export(mem, &buffer, 0);
	unsigned char *bytes;
	void *address = NULL;

	need(fd, "export");
	need(memalloc_buffer_import(mem, fd, MEMALLOC_READ_ONLY, &read_only), "import");
	is(memalloc_buffer_map(mem, &read_only, 0, &address), 0,
	   "map: a read-only handle, where another one may write");
	bytes = address;
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_map(mem, &read_only, 0, &address), -EACCES,
	   "map: EACCES, a read-only handle, the other one is freed");
	ok(can_write(bytes), "map: what could be written still can");
	need(memalloc_buffer_import(mem, fd, 0, &again), "import");
	need(memalloc_buffer_free(mem, &read_only), "free");
	is(memalloc_buffer_map(mem, &read_only, 0, &address), -ENOENT, "map: ENOENT, freed");
	is(memalloc_buffer_map(mem, &again, 0, &address), 0,
	   "map: a handle that may write, the read-only one is freed");
	need(memalloc_buffer_unmap(&again, address), "unmap");
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	need(memalloc_buffer_free(mem, &again), "free");
	close(fd);
	ok(used_becomes(before), "map: then nothing is left");
}

#endif /* CALLS_H */
