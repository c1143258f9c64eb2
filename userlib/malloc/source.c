// SPDX-License-Identifier: MIT
/* Memory for chunks: of the process, or of /dev/memalloc. See source.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memalloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/addresses.h"
#include "libc.h"
#include "message.h"
#include "slice.h"
#include "source.h"

#define DEVICE		"/dev/memalloc"

/* Programs count on getting the lowest descriptors. Ours is this one or above, if possible. */
#define HIGH_FD		500

static int device = -1;
static dev_t device_number;	/* the device that was opened there */
static uint64_t client;		/* and which open file of it; 0: the kernel does not tell */
static bool settled;		/* the environment has been looked at */
static bool only_device;	/* when it is full, there is no memory */
static char *copies;		/* of the device's chunks, during a fork; MAP_FAILED: no room */
static size_t copied;		/* chunks */

static void try_device(void)
{
	struct memalloc_info info = { .size = sizeof(info) };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct stat stat;

	if (fd < 0)
		return;
	device = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (device < 0)
		device = fd;
	else
		close(fd);
	if (ioctl(device, MEMALLOC_IOC_INFO, &info) || CHUNK_BYTES % info.granule ||
	    fstat(device, &stat)) {
		close(device);
		device = -1;
		return;
	}
	device_number = stat.st_rdev;
	client = info.client;
	libc_find();
}

/* Open the device, again if it is open. malloc() and fork() must not be cancelled. */
static void open_device(void)
{
	int saved_errno = errno;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (device >= 0)
		close(device);
	device = -1;
	try_device();
	pthread_setcancelstate(state, NULL);
	errno = saved_errno;
}

/*
 * Is @device what we opened? A program may close a descriptor that it does not know, and get its
 * number for another file, even for the device. So this is asked before each call. A program that
 * does so between the two can't be helped.
 */
static bool is_device_open(void)
{
	struct memalloc_info info = { .size = sizeof(info) };
	struct stat stat;

	if (device < 0 || fstat(device, &stat) || !S_ISCHR(stat.st_mode) ||
	    stat.st_rdev != device_number)
		return false;
	return !ioctl(device, MEMALLOC_IOC_INFO, &info) && info.client == client;
}

/* Not before the C library knows its environment. */
void source_settle(void)
{
	const char *backend, *full;

	if (settled || !environ)
		return;
	settled = true;
	backend = secure_getenv("MEMALLOC_MALLOC_BACKEND");
	if (backend && !strcmp(backend, "process"))
		return;
	full = secure_getenv("MEMALLOC_MALLOC_FULL");
	only_device = full && !strcmp(full, "fail");
	open_device();
}

static void free_buffer(uint32_t handle)
{
	struct memalloc_free giveback = {
		.size = sizeof(giveback),
		.handle = handle,
		.length = CHUNK_BYTES,
	};

	ioctl(device, MEMALLOC_IOC_FREE, &giveback);
}

/*
 * mmap() at this address and no other; what is mapped there stays. A kernel that does not know
 * MAP_FIXED_NOREPLACE takes the address for a hint.
 */
static int map_at(char *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	char *mapped;

	mapped = mmap(address, bytes, protection, flags | MAP_FIXED_NOREPLACE, fd, offset);
	if (mapped == MAP_FAILED)
		return errno == EEXIST ? -EEXIST : -ENOMEM;
	if (mapped == address)
		return 0;
	munmap(mapped, bytes);
	return -EEXIST;
}

int source_map(char *address, size_t bytes)
{
	return map_at(address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

bool source_is_vacant(char *address, size_t bytes)
{
	int err = map_at(address, bytes, PROT_NONE, NOTHING, -1, 0);

	if (!err)
		munmap(address, bytes);
	return err != -EEXIST;
}

int source_map_buffer(char *address, struct chunk *chunk)
{
	struct memalloc_alloc alloc = { .size = sizeof(alloc), .length = CHUNK_BYTES };
	int err;

	source_settle();
	if (!is_device_open() || ioctl(device, MEMALLOC_IOC_ALLOC, &alloc))
		return -ENOMEM;
	err = map_at(address, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		     alloc.mmap_offset);
	if (is_device_open()) {
		if (err)
			free_buffer(alloc.handle);
	} else if (!err) {
		/* The descriptor is another file now: it may be a mapping of anything. */
		munmap(address, CHUNK_BYTES);
		err = -ENOMEM;
	}
	if (err)
		return err;
	chunk->handle = alloc.handle;
	chunk->mapped = ~0ull;
	return 0;
}

bool source_unmap(char *address, size_t bytes, struct chunk *chunk)
{
	if (munmap(address, bytes))
		return false;
	if (chunk->handle && is_device_open())
		free_buffer(chunk->handle);
	chunk->handle = 0;
	return true;
}

bool source_is_device(void)
{
	return device >= 0;
}

bool source_is_only_device(void)
{
	source_settle();
	return only_device;
}

/*
 * By a detour: the kernel unmaps what is at the new address before it finds that it can't move
 * pages there.
 */
bool source_move(char *from, char *to, size_t bytes)
{
	void *between = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	if (between == MAP_FAILED)
		return false;
	if (mremap(between, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to)
		return true;
	if (mmap(to, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		die("realloc", from, "the kernel has no memory to move it");
	memcpy(to, between, bytes);
	munmap(between, bytes);
	return true;
}

/* --- fork ------------------------------------------------------------------- */

/* The first chunk from @i on that is the device's; @count: there is none. */
static size_t next_shared(const struct chunk *chunks, size_t i, size_t count)
{
	while (i < count && !chunks[i].handle)
		i++;
	return i;
}

void source_fork_prepare(char *base, struct chunk *chunks, size_t count)
{
	char *from, *to;
	size_t slice, i;

	copied = 0;
	for (i = next_shared(chunks, 0, count); i < count; i = next_shared(chunks, i + 1, count))
		copied++;
	if (!copied)
		return;
	copies = mmap(NULL, copied * CHUNK_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copies == MAP_FAILED)
		return;
	to = copies;
	for (i = next_shared(chunks, 0, count); i < count; i = next_shared(chunks, i + 1, count)) {
		from = base + i * CHUNK_BYTES;
		for (slice = 0; slice < CHUNK_SLICES; slice++)
			if (chunks[i].used >> slice & 1)
				memcpy(to + slice * SLICE_BYTES, from + slice * SLICE_BYTES,
				       SLICE_BYTES);
		to += CHUNK_BYTES;
	}
}

void source_fork_parent(void)
{
	if (copies && copies != MAP_FAILED)
		munmap(copies, copied * CHUNK_BYTES);
	copies = NULL;
}

/* Buffers of the device, and the charges for them, stay the parent's alone. */
void source_fork_child(char *base, struct chunk *chunks, size_t count)
{
	char *from = copies;
	size_t i;

	if (is_device_open())
		open_device();
	if (!copies)
		return;
	if (copies == MAP_FAILED)
		die("fork", base, "no memory for the child");
	for (i = next_shared(chunks, 0, count); i < count; i = next_shared(chunks, i + 1, count)) {
		if (mremap(from, CHUNK_BYTES, CHUNK_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
			   base + i * CHUNK_BYTES) == MAP_FAILED)
			die("fork", base + i * CHUNK_BYTES, "no memory for the child");
		chunks[i].handle = 0;
		from += CHUNK_BYTES;
	}
	copies = NULL;
}
