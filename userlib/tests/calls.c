// SPDX-License-Identifier: MIT
/*
 * Usage: calls [PATH]
 *
 * Every call of the library on what memalloc_open() opens: what it gives, and every
 * error that its documentation promises and a program can provoke. What the kernel
 * itself promises is tested by selftests/, without this library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <memalloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"
#include "region.h"

#define READ_WRITE	(MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE)
#define UNKNOWN_FLAG	(MEMALLOC_READ_ONLY << 1)

static const char *path;
static struct memalloc_info info;

static struct memalloc *open_another(void)
{
	struct memalloc *other;

	need(memalloc_open(path, &other), "second open");
	return other;
}

static struct memalloc_buffer make(uint64_t length)
{
	struct memalloc_buffer buffer;

	need(memalloc_buffer_alloc(mem, length, 0, &buffer), "alloc");
	return buffer;
}

static unsigned char *map(struct memalloc *device, const struct memalloc_buffer *buffer)
{
	void *address;

	need(memalloc_buffer_map(device, buffer, 0, &address), "map");
	return address;
}

/* Memory may come back a moment after its last user has gone. */
static bool used_becomes(uint64_t wanted)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int tries;

	for (tries = 0; tries < 1000 && used() != wanted; tries++)
		nanosleep(&pause, NULL);
	return used() == wanted;
}

static void test_info(void)
{
	struct {
		struct memalloc_info known;
		unsigned char unknown[64];
	} longer;
	struct memalloc_info again;

	is(memalloc_get_info(mem, &again, sizeof(again)), 0, "get_info");
	ok(again.region_length && again.granule && again.region_length % again.granule == 0,
	   "get_info: the region is a number of granules");
	ok(memchr(again.name, 0, sizeof(again.name)) && memchr(again.fit, 0, sizeof(again.fit)),
	   "get_info: names end in a zero");
	if (memalloc_backend(mem) == MEMALLOC_BACKEND_DEVICE)
		ok(again.features & MEMALLOC_FEATURE_DMABUF, "get_info: dma-bufs are supported");
	else
		is(!again.features, access("/dev/udmabuf", R_OK | W_OK) != 0,
		   "get_info: dma-bufs are supported where udmabuf is");

	ok(again.client, "get_info: the open file has a number");
	is(memalloc_get_info(mem, &again, offsetof(struct memalloc_info, client)), 0,
	   "get_info: the first version's struct");
	memset(&longer, 0xaa, sizeof(longer));
	is(memalloc_get_info(mem, &longer.known, sizeof(longer)), 0, "get_info: a longer struct");
	ok(longer.known.region_length == again.region_length &&
	   all_bytes(longer.unknown, sizeof(longer.unknown), 0),
	   "get_info: what the kernel does not know is zero");
	is(memalloc_get_info(mem, &again, 16), -EINVAL,
	   "get_info: EINVAL, shorter than the first version");
}

static void test_info_of_many_pages(void)
{
	const size_t size = 1 << 20;
	void *huge = malloc(size);

	need(huge ? 0 : -ENOMEM, "malloc");
	is(memalloc_get_info(mem, huge, size), -E2BIG, "get_info: E2BIG, more than a page");
	is(memalloc_get_stats(mem, huge, size), -E2BIG, "get_stats: E2BIG, more than a page");
	free(huge);
}

static void test_stats(void)
{
	struct memalloc_stats before, after;
	struct memalloc_buffer buffer;

	is(memalloc_get_stats(mem, &before, sizeof(before)), 0, "get_stats");
	is(before.free + before.used, info.region_length,
	   "get_stats: free and used make the region");
	buffer = make(info.granule + 1);
	need(memalloc_get_stats(mem, &after, sizeof(after)), "get_stats");
	is(after.used - before.used, 2 * info.granule, "get_stats: used grows by whole granules");
	is(after.requested - before.requested, info.granule + 1,
	   "get_stats: requested grows by the length");
	is(after.buffers - before.buffers, 1, "get_stats: one buffer more");
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_get_stats(mem, &after, 16), -EINVAL,
	   "get_stats: EINVAL, shorter than the first version");
}

static void test_alloc(void)
{
	struct memalloc_buffer first = { .handle = 0 }, second;
	unsigned char *bytes;

	is(memalloc_buffer_alloc(mem, 3 * info.granule - 1, 0, &first), 0, "alloc");
	ok(first.handle, "alloc: the handle is not 0");
	is(first.length, 3 * info.granule - 1, "alloc: length is what was asked for");
	is(first.real_length, 3 * info.granule, "alloc: real_length is whole granules");
	is(first.access, READ_WRITE, "alloc: the handle may read and write");

	bytes = map(mem, &first);
	ok(all_bytes(bytes, first.real_length, 0), "alloc: a new buffer is zero");
	memset(bytes, 0x5a, first.real_length);
	need(memalloc_buffer_unmap(&first, bytes), "unmap");
	need(memalloc_buffer_free(mem, &first), "free");
	second = make(3 * info.granule);
	bytes = map(mem, &second);
	ok(all_bytes(bytes, second.real_length, 0), "alloc: a buffer after a written one is zero");
	need(memalloc_buffer_unmap(&second, bytes), "unmap");
	need(memalloc_buffer_free(mem, &second), "free");
}

static void test_alloc_errors(void)
{
	const struct memalloc_buffer untouched = { .length = 1, .handle = 7 };
	struct memalloc_buffer buffer = untouched, one = make(1);
	struct memalloc_stats before, after;

	need(memalloc_get_stats(mem, &before, sizeof(before)), "get_stats");
	errno = UNTOUCHED;
	is(memalloc_buffer_alloc(mem, 0, 0, &buffer), -EINVAL, "alloc: EINVAL, length 0");
	is(memalloc_buffer_alloc(mem, 1, 3, &buffer), -EINVAL,
	   "alloc: EINVAL, alignment no power of two");
	is(memalloc_buffer_alloc(mem, 1, 2 * info.max_alignment, &buffer), -EINVAL,
	   "alloc: EINVAL, alignment above the maximum");
	is(memalloc_buffer_alloc(mem, info.region_length + 1, 0, &buffer), -EFBIG,
	   "alloc: EFBIG, more than the region");
	is(memalloc_buffer_alloc(mem, UINT64_MAX, 0, &buffer), -EFBIG,
	   "alloc: EFBIG, as much as can be said");
	is(memalloc_buffer_alloc(mem, info.region_length, 0, &buffer), -ENOMEM,
	   "alloc: ENOMEM, the whole region while a buffer is in use");
	ok(!memcmp(&buffer, &untouched, sizeof(buffer)),
	   "alloc: a failure leaves the buffer alone");
	is(errno, UNTOUCHED, "alloc: a failure leaves errno alone");
	need(memalloc_get_stats(mem, &after, sizeof(after)), "get_stats");
	is(after.failures - before.failures, 3, "get_stats: counts ENOMEM and EFBIG");
	need(memalloc_buffer_free(mem, &one), "free");
}

struct search {
	uint32_t handle;
	uint64_t offset;
};

static int find_handle(const struct memalloc_block *block, void *data)
{
	struct search *search = data;

	if (block->handle != search->handle)
		return 0;
	search->offset = block->offset;
	return 1;
}

/* The region's start is a multiple of the largest alignment, so offsets show it. */
static void test_alignment(void)
{
	const uint64_t alignment = info.max_alignment < MIB ? info.max_alignment : MIB;
	struct memalloc_buffer odd = make(1), aligned;
	struct search search = { .offset = 1 };

	is(memalloc_buffer_alloc(mem, 1, alignment, &aligned), 0, "alloc: with an alignment");
	search.handle = aligned.handle;
	is(memalloc_visit_blocks(mem, find_handle, &search), 1,
	   "visit_blocks: what the visitor returns ends the walk");
	is(search.offset % alignment, 0, "alloc: the buffer is aligned");
	need(memalloc_buffer_free(mem, &aligned), "free");
	need(memalloc_buffer_free(mem, &odd), "free");
}

static void test_free(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(info.granule), copy = buffer;
	struct memalloc *other = open_another();

	is(memalloc_buffer_free(other, &copy), -ENOENT, "free: ENOENT, another device's handle");
	copy.length++;
	is(memalloc_buffer_free(mem, &copy), -ERANGE, "free: ERANGE, another length");
	is(copy.handle, buffer.handle, "free: a failure leaves the buffer alone");
	copy = buffer;
	is(memalloc_buffer_free(mem, &buffer), 0, "free");
	is(buffer.handle, 0, "free: the handle becomes 0");
	is(memalloc_buffer_free(mem, &buffer), -ENOENT, "free: ENOENT, freed before");
	is(memalloc_buffer_free(mem, &copy), -ENOENT, "free: ENOENT, a copy was freed before");
	ok(used_becomes(before), "free: the memory comes back");
	memalloc_close(other);
}

static void test_query(void)
{
	struct memalloc_buffer buffer = make(5), answer = { .handle = 0 };
	struct memalloc *other = open_another();
	const uint32_t handle = buffer.handle;

	is(memalloc_buffer_query(mem, handle, &answer), 0, "query");
	ok(!memcmp(&answer, &buffer, sizeof(buffer)), "query: the same as from alloc");
	is(memalloc_buffer_query(other, handle, &answer), -ENOENT,
	   "query: ENOENT, another device's handle");
	is(memalloc_buffer_query(mem, 0, &answer), -ENOENT, "query: ENOENT, handle 0");
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_query(mem, handle, &answer), -ENOENT, "query: ENOENT, freed");
	memalloc_close(other);
}

/* A program may make up a struct memalloc_buffer. */
static void test_map_of_a_part(void)
{
	struct memalloc_buffer buffer = make(2 * info.granule), part = buffer;
	unsigned char *bytes = map(mem, &buffer), *second;
	struct memalloc *other = open_another();
	void *none;

	bytes[info.granule] = 'x';
	part.mmap_offset += info.granule;
	is(memalloc_buffer_map(mem, &part, 0, &none), -EINVAL, "map: EINVAL, past the end");
	part.real_length = info.granule;
	second = map(mem, &part);
	is(second[0], 'x', "map: a part of a buffer");
	need(memalloc_buffer_unmap(&part, second), "unmap");
	part.mmap_offset++;
	is(memalloc_buffer_map(mem, &part, 0, &none), -EINVAL, "map: EINVAL, a part of a granule");
	is(memalloc_buffer_map(other, &part, 0, &none), -EINVAL,
	   "map: EINVAL, that comes before ENOENT");
	part = buffer;
	part.real_length = 0;
	is(memalloc_buffer_map(other, &part, 0, &none), -EINVAL, "map: EINVAL, nothing");
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
	memalloc_close(other);
}

static void test_map(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(MIB), stale;
	struct memalloc *other = open_another();
	unsigned char *bytes, *twice;
	void *read_only;
	void *none = NULL;

	bytes = map(mem, &buffer);
	twice = map(mem, &buffer);
	ok(bytes != twice, "map: twice");
	bytes[MIB - 1] = 'x';
	is(twice[MIB - 1], 'x', "map: both mappings show the same memory");
	is(memalloc_buffer_map(mem, &buffer, MEMALLOC_READ_ONLY, &read_only), 0, "map: read only");
	is(((unsigned char *)read_only)[MIB - 1], 'x', "map: read only shows the same memory");
	ok(can_write(bytes), "map: can be written");
	ok(!can_write(read_only), "map: read only can't be written");

	errno = UNTOUCHED;
	is(memalloc_buffer_map(mem, &buffer, UNKNOWN_FLAG, &none), -EINVAL,
	   "map: EINVAL, an unknown flag");
	is(memalloc_buffer_map(other, &buffer, 0, &none), -ENOENT,
	   "map: ENOENT, another device's handle");
	stale = buffer;
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_map(mem, &buffer, 0, &none), -ENOENT, "map: ENOENT, freed");
	is(memalloc_buffer_map(mem, &stale, 0, &none), -ENOENT, "map: ENOENT, a copy was freed");
	ok(!none, "map: a failure leaves the pointer alone");
	is(errno, UNTOUCHED, "map: a failure leaves errno alone");

	is(twice[MIB - 1], 'x', "map: a mapping outlives the handle");
	is(used(), before + MIB, "map: and keeps the memory");
	is(memalloc_buffer_unmap(&buffer, bytes + 1), -EINVAL,
	   "unmap: EINVAL, not a page's address");
	is(memalloc_buffer_unmap(&buffer, bytes), 0, "unmap");
	need(memalloc_buffer_unmap(&buffer, twice), "unmap");
	need(memalloc_buffer_unmap(&buffer, read_only), "unmap");
	ok(used_becomes(before),
	   "unmap: the memory of a freed buffer comes back with the last one");
	memalloc_close(other);
}

/* A descriptor limit that leaves none makes EMFILE certain. */
static void test_export_without_descriptors(const struct memalloc_buffer *buffer)
{
	struct rlimit normal, none;

	need(getrlimit(RLIMIT_NOFILE, &normal) ? -errno : 0, "getrlimit");
	none = normal;
	none.rlim_cur = 0;
	need(setrlimit(RLIMIT_NOFILE, &none) ? -errno : 0, "setrlimit");
	is(memalloc_buffer_export(mem, buffer, 0), -EMFILE, "export: EMFILE, no descriptor left");
	need(setrlimit(RLIMIT_NOFILE, &normal) ? -errno : 0, "setrlimit");
}

static void test_export(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(MIB), stale = buffer, read_only;
	int fd, read_only_fd;

	fd = memalloc_buffer_export(mem, &buffer, 0);
	ok(fd >= 0, "export");
	is(fcntl(fd, F_GETFD), FD_CLOEXEC, "export: closed on exec");
	is(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR, "export: open to read and write");
	is(lseek(fd, 0, SEEK_END), MIB, "export: as long as the buffer");
	read_only_fd = memalloc_buffer_export(mem, &buffer, MEMALLOC_READ_ONLY);
	ok(read_only_fd >= 0, "export: read only");
	is(fcntl(read_only_fd, F_GETFL) & O_ACCMODE, O_RDONLY, "export: read only is open to read");

	is(memalloc_buffer_export(mem, &buffer, UNKNOWN_FLAG), -EINVAL,
	   "export: EINVAL, an unknown flag");
	need(memalloc_buffer_import(mem, fd, MEMALLOC_READ_ONLY, &read_only), "import");
	is(memalloc_buffer_export(mem, &read_only, 0), -EACCES,
	   "export: EACCES, a read-only handle");
	need(memalloc_buffer_free(mem, &read_only), "free");
	test_export_without_descriptors(&buffer);

	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_export(mem, &buffer, 0), -ENOENT, "export: ENOENT, freed");
	is(memalloc_buffer_export(mem, &stale, 0), -ENOENT, "export: ENOENT, a copy was freed");
	is(used(), before + MIB, "export: a descriptor keeps the memory");
	close(fd);
	close(read_only_fd);
	ok(used_becomes(before), "export: the memory comes back with the last descriptor");
}

static void test_import(void)
{
	struct memalloc_buffer buffer = make(5), imported, again, read_only;
	struct memalloc *other = open_another();
	unsigned char *bytes, *theirs;
	int fd = memalloc_buffer_export(mem, &buffer, 0);

	need(fd, "export");
	is(memalloc_buffer_import(other, fd, 0, &imported), 0, "import");
	is(imported.length, 5, "import: length is what was asked for");
	is(imported.real_length, buffer.real_length, "import: real_length is the buffer's");
	is(imported.access, READ_WRITE, "import: access is the descriptor's");
	is(memalloc_buffer_import(other, fd, 0, &again), 0, "import: again");
	is(again.handle, imported.handle, "import: again is the same handle");
	is(memalloc_buffer_import(mem, fd, 0, &again), 0, "import: one's own");
	is(again.handle, buffer.handle, "import: one's own is the same handle");

	bytes = map(mem, &buffer);
	theirs = map(other, &imported);
	bytes[0] = 'm';
	theirs[1] = 't';
	ok(theirs[0] == 'm' && bytes[1] == 't', "import: the same memory");

	is(memalloc_buffer_import(other, fd, MEMALLOC_READ_ONLY, &read_only), 0,
	   "import: read only");
	ok(read_only.handle != imported.handle, "import: read only is another handle");
	is(read_only.access, MEMALLOC_ACCESS_READ, "import: read only may read");
	need(memalloc_buffer_free(other, &imported), "free");
	is(memalloc_buffer_free(other, &imported), -ENOENT, "import: one free gives the handle up");
	is(theirs[0], 'm', "import: a mapping outlives the handle");
	need(memalloc_buffer_unmap(&imported, theirs), "unmap");

	need(memalloc_buffer_free(mem, &buffer), "free");
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	close(fd);
	memalloc_close(other);
}

static void test_import_of_read_only(void)
{
	struct memalloc_buffer buffer = make(1), imported;
	struct memalloc *other = open_another();
	int fd = memalloc_buffer_export(mem, &buffer, MEMALLOC_READ_ONLY);
	void *address = NULL;

	need(fd, "export");
	is(memalloc_buffer_import(other, fd, 0, &imported), 0, "import: of a read-only descriptor");
	is(imported.access, MEMALLOC_ACCESS_READ, "import: of a read-only descriptor may read");
	is(memalloc_buffer_map(other, &imported, 0, &address), -EACCES,
	   "map: EACCES, a read-only handle");
	is(memalloc_buffer_map(other, &imported, MEMALLOC_READ_ONLY, &address), 0,
	   "map: a read-only handle, read only");
	ok(!can_write(address), "map: a read-only handle can't be written");
	need(memalloc_buffer_unmap(&imported, address), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
	close(fd);
	memalloc_close(other);
}

static void test_import_errors(void)
{
	const struct memalloc_buffer untouched = { .length = 1, .handle = 7 };
	struct memalloc_buffer buffer = untouched;
	int other_file = open("/dev/null", O_RDWR), no_file = open("/dev/null", O_PATH);

	errno = UNTOUCHED;
	is(memalloc_buffer_import(mem, -1, 0, &buffer), -EBADF, "import: EBADF, not open");
	is(memalloc_buffer_import(mem, no_file, 0, &buffer), -EBADF, "import: EBADF, O_PATH");
	is(memalloc_buffer_import(mem, other_file, 0, &buffer), -EINVAL,
	   "import: EINVAL, not a dma-buf");
	is(memalloc_buffer_import(mem, memalloc_fd(mem), 0, &buffer), -EINVAL,
	   "import: EINVAL, the device itself");
	is(memalloc_buffer_import(mem, other_file, UNKNOWN_FLAG, &buffer), -EINVAL,
	   "import: EINVAL, an unknown flag");
	ok(!memcmp(&buffer, &untouched, sizeof(buffer)),
	   "import: a failure leaves the buffer alone");
	is(errno, UNTOUCHED, "import: a failure leaves errno alone");
	close(other_file);
	close(no_file);
}

/* A read-only handle is no obstacle to what the same open device may do by another one. */
static void test_two_handles(void)
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

static void send_descriptor(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec byte = { .iov_base = "d", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	need(sendmsg(socket, &message, 0) == 1 ? 0 : -errno, "sendmsg");
}

static int receive_descriptor(int socket)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = 0 } };
	char byte_sent;
	struct iovec byte = { .iov_base = &byte_sent, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(socket, &message, 0) == 1 && control.header.cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* A program that has nothing of its parent's but a socket; returns its exit status. */
static int reader_and_writer(int socket)
{
	struct memalloc_buffer buffer;
	struct memalloc *own;
	unsigned char *bytes;
	void *address;
	int fd = receive_descriptor(socket);

	if (fd < 0)
		return 2;
	if (memalloc_open(path, &own) || memalloc_buffer_import(own, fd, 0, &buffer))
		return 3;
	close(fd);
	if (memalloc_buffer_map(own, &buffer, 0, &address))
		return 4;
	bytes = address;
	if (!all_bytes(bytes, buffer.real_length, 'p'))
		return 5;
	memset(bytes, 'c', buffer.real_length);
	return 0;	/* and leaves handle and mapping to the kernel to clean up */
}

static void test_another_process(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer;
	unsigned char *bytes;
	int ends[2], fd, status = -1;
	pid_t child;

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ? -errno : 0, "socketpair");
	fflush(stdout);
	child = fork();
	need(child < 0 ? -errno : 0, "fork");
	if (!child) {
		memalloc_close(mem);
		close(ends[0]);
		_exit(reader_and_writer(ends[1]));
	}
	close(ends[1]);

	buffer = make(MIB);
	bytes = map(mem, &buffer);
	memset(bytes, 'p', buffer.real_length);
	fd = memalloc_buffer_export(mem, &buffer, 0);
	need(fd, "export");
	send_descriptor(ends[0], fd);
	close(fd);
	waitpid(child, &status, 0);
	is(status, 0, "another process: imports a descriptor from a socket and reads the bytes");
	ok(all_bytes(bytes, buffer.real_length, 'c'), "another process: its bytes arrive here");

	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
	ok(used_becomes(before), "another process: its exit gives everything back");
	close(ends[0]);
}

struct walk {
	uint64_t offset;	/* where the next block must begin */
	uint64_t used;
	unsigned int blocks;
	unsigned int mine;
	bool orderly;
};

static int check_block(const struct memalloc_block *block, void *data)
{
	struct walk *walk = data;
	struct memalloc_buffer buffer;

	walk->orderly &= block->offset == walk->offset && block->length;
	walk->offset += block->length;
	walk->blocks++;
	if (block->state != MEMALLOC_BLOCK_FREE)
		walk->used += block->length;
	if (!block->handle)
		return 0;
	/* A visitor may call the library. */
	walk->mine++;
	walk->orderly &= !memalloc_buffer_query(mem, block->handle, &buffer) &&
			 buffer.real_length == block->length;
	return 0;
}

/* More blocks than the library reads at once: it has to go on where it stopped. */
static void test_blocks(void)
{
	enum { MANY = 700 };
	static struct memalloc_buffer buffers[MANY];
	struct walk walk = { .orderly = true };
	const uint64_t before = used();
	int i;

	for (i = 0; i < MANY; i++)
		buffers[i] = make(info.granule);
	for (i = 0; i < MANY; i += 2)
		need(memalloc_buffer_free(mem, &buffers[i]), "free");

	is(memalloc_visit_blocks(mem, check_block, &walk), 0, "visit_blocks");
	ok(walk.blocks >= MANY,
	   "visit_blocks: visits more blocks than one call of the kernel tells");
	ok(walk.orderly, "visit_blocks: block after block, each as its handle says");
	is(walk.offset, info.region_length, "visit_blocks: up to the end of the region");
	is(walk.mine, MANY / 2, "visit_blocks: shows every buffer of this device");
	is(walk.used, used(), "visit_blocks: agrees with get_stats");

	for (i = 1; i < MANY; i += 2)
		need(memalloc_buffer_free(mem, &buffers[i]), "free");
	ok(used_becomes(before), "visit_blocks: holds nothing");
}

static void test_close(void)
{
	const uint64_t before = used();
	struct memalloc_buffer lost, exported, imported;
	struct memalloc *other = open_another();
	unsigned char *bytes;
	int fd;

	need(memalloc_buffer_alloc(other, MIB, 0, &lost), "alloc");
	need(memalloc_buffer_alloc(other, MIB, 0, &exported), "alloc");
	bytes = map(other, &exported);
	bytes[0] = 'x';
	need(memalloc_buffer_unmap(&exported, bytes), "unmap");
	fd = memalloc_buffer_export(other, &exported, 0);
	need(fd, "export");
	errno = UNTOUCHED;
	memalloc_close(other);
	is(errno, UNTOUCHED, "close: errno is left alone");

	ok(used_becomes(before + MIB), "close: gives up the handles");
	is(memalloc_buffer_import(mem, fd, 0, &imported), 0, "close: descriptors stay");
	close(fd);
	bytes = map(mem, &imported);
	is(bytes[0], 'x', "close: descriptors keep the bytes");
	need(memalloc_buffer_unmap(&imported, bytes), "unmap");
	need(memalloc_buffer_free(mem, &imported), "free");
	ok(used_becomes(before), "close: then nothing is left");
}

/* A mapping must not keep the handles of other buffers. */
static void test_close_while_mapped(void)
{
	const uint64_t before = used();
	struct memalloc_buffer lost, mapped;
	struct memalloc *other = open_another();
	unsigned char *bytes;

	need(memalloc_buffer_alloc(other, MIB, 0, &lost), "alloc");
	need(memalloc_buffer_alloc(other, MIB, 0, &mapped), "alloc");
	bytes = map(other, &mapped);
	bytes[0] = 'x';
	memalloc_close(other);

	ok(used_becomes(before + MIB), "close: gives up the handles though a mapping stays");
	is(bytes[0], 'x', "close: mappings stay");
	need(memalloc_buffer_unmap(&mapped, bytes), "unmap");
	ok(used_becomes(before), "close: then no memory is left to the mapping");
}

/* Each thread marks its buffers with its own byte and must find it again. */
static void *work(void *mark)
{
	const unsigned char byte = *(unsigned char *)mark;
	struct memalloc_buffer buffer;
	void *address;
	int i;

	for (i = 0; i < 100; i++) {
		if (memalloc_buffer_alloc(mem, (i % 7 + 1) * info.granule, 0, &buffer) ||
		    memalloc_buffer_map(mem, &buffer, 0, &address) ||
		    !all_bytes(address, buffer.real_length, 0))
			return NULL;
		memset(address, byte, buffer.real_length);
		sched_yield();
		if (!all_bytes(address, buffer.real_length, byte) ||
		    memalloc_buffer_free(mem, &buffer) ||
		    memalloc_buffer_unmap(&buffer, address))
			return NULL;
	}
	return mark;
}

static void test_threads(void)
{
	const uint64_t before = used();

	is(run_threads(work), THREADS, "threads: each finds its own bytes, on one open device");
	ok(used_becomes(before), "threads: everything comes back");
}

/* Bytes of the file that there is memory for. */
static uint64_t memory_of(int fd)
{
	struct stat status;

	need(fstat(fd, &status) ? -errno : 0, "fstat");
	return status.st_blocks * 512;
}

/* What is given back takes no memory; a mapping keeps what it shows, after close too. */
static void test_process_memory(void)
{
	const int sealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct memalloc *other = open_another();
	struct memalloc_buffer lost, mapped;
	unsigned char *bytes, *again;
	int fd = dup(memalloc_fd(other));

	is(fcntl(memalloc_fd(other), F_GET_SEALS) & sealed, sealed,
	   "process: the length of the file stays");
	need(memalloc_buffer_alloc(other, MIB, 0, &lost), "alloc");
	need(memalloc_buffer_alloc(other, MIB, 0, &mapped), "alloc");
	is(memory_of(fd), 0, "process: no memory is used before it is touched");
	bytes = map(other, &lost);
	memset(bytes, 'x', MIB);
	is(memory_of(fd), MIB, "process: then there is");
	need(memalloc_buffer_unmap(&lost, bytes), "unmap");
	bytes = map(other, &mapped);
	again = map(other, &mapped);
	memset(bytes, 'y', MIB);
	is(memory_of(fd), 2 * MIB, "process: for both buffers");
	memalloc_close(other);
	is(memory_of(fd), MIB, "process: close gives up the buffer that is not mapped");
	need(memalloc_buffer_unmap(&mapped, again), "unmap");
	ok(all_bytes(bytes, MIB, 'y'), "process: close keeps what is mapped");
	need(memalloc_buffer_unmap(&mapped, bytes), "unmap");
	is(memory_of(fd), 0, "process: then no memory is left to the mapping");
	close(fd);
}

/* A child can do no harm to what the parent has. */
static void test_process_fork(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(MIB), kept = buffer, another;
	unsigned char *bytes = map(mem, &buffer);
	void *address;
	int status = -1;
	pid_t child;

	memset(bytes, 'p', MIB);
	need(memalloc_buffer_free(mem, &buffer), "free");
	fflush(stdout);
	child = fork();
	need(child < 0 ? -errno : 0, "fork");
	if (!child) {
		struct memalloc *own = open_another();

		bytes[0] = 'c';
		if (memalloc_buffer_alloc(mem, 1, 0, &another) != -EBADF ||
		    memalloc_buffer_map(mem, &kept, 0, &address) != -EBADF ||
		    memalloc_buffer_unmap(&kept, bytes))
			_exit(2);
		memalloc_close(mem);
		if (memalloc_buffer_alloc(own, 1, 0, &another))
			_exit(3);
		memalloc_close(own);
		_exit(0);
	}
	waitpid(child, &status, 0);
	is(status, 0, "fork: EBADF in the child, but for what it opens itself");
	ok(bytes[0] == 'c' && all_bytes(bytes + 1, MIB - 1, 'p'),
	   "fork: the bytes are shared, and the child's unmap and close leave them alone");
	is(used(), before + MIB, "fork: the memory is the parent's");
	need(memalloc_buffer_unmap(&kept, bytes), "unmap");
	is(used(), before, "fork: until it unmaps it");
}

/* Somebody who did not read the manual. */
static void test_process_unmap(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(2 * info.granule), shorter = buffer, another;
	unsigned char *bytes = map(mem, &buffer);
	void *same = NULL;

	shorter.real_length = info.granule;
	is(memalloc_buffer_unmap(&shorter, bytes), -EINVAL, "unmap: EINVAL, another length");
	bytes[2 * info.granule - 1] = 'x';
	need(memalloc_buffer_free(mem, &buffer), "free");
	need(munmap(bytes, 2 * info.granule) ? -errno : 0, "munmap");
	is(used(), before + 2 * info.granule, "munmap: by the program itself, is not seen");
	another = make(2 * info.granule);
	need(memalloc_buffer_map(mem, &another, 0, &same), "map");
	/* The kernel gives the same address again, to the same need. */
	is(used(), before + (same == bytes ? 2 : 4) * info.granule,
	   "munmap: until another mapping has that place");
	need(memalloc_buffer_unmap(&another, same), "unmap");
	need(memalloc_buffer_free(mem, &another), "free");
}

/* Memory that can't be cleared must not be given to anybody else. */
static void test_process_without_file(void)
{
	struct memalloc *other = open_another();
	struct memalloc_buffer buffer;
	struct memalloc_stats stats;

	need(memalloc_buffer_alloc(other, 1, 0, &buffer), "alloc");
	close(memalloc_fd(other));
	need(memalloc_buffer_free(other, &buffer), "free");
	need(memalloc_get_stats(other, &stats, sizeof(stats)), "get_stats");
	ok(stats.used == info.granule && stats.retired == info.granule && !stats.buffers &&
	   !stats.requested, "process: memory that can't be cleared is retired");
	need(open("/dev/null", O_RDWR) == memalloc_fd(other) ? 0 : -EBADF, "open");
	memalloc_close(other);
}

static void test_without_udmabuf(void)
{
	struct memalloc_buffer buffer = make(1);

	is(memalloc_buffer_export(mem, &buffer, 0), -EOPNOTSUPP,
	   "export: EOPNOTSUPP, there is no udmabuf");
	need(memalloc_buffer_free(mem, &buffer), "free");
}

static void test_udmabuf(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(MIB), read_only, imported, huge;
	struct memalloc *other = open_another(), *large;
	unsigned char *bytes = map(mem, &buffer), *theirs;
	int fd, again;

	memset(bytes, 'x', MIB);
	fd = memalloc_buffer_export(mem, &buffer, 0);
	again = memalloc_buffer_export(mem, &buffer, 0);
	ok(fd >= 0 && again >= 0, "udmabuf: export, twice");
	is(fcntl(fd, F_GETFD), FD_CLOEXEC, "udmabuf: closed on exec");
	is(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR, "udmabuf: open to read and write");
	is(lseek(fd, 0, SEEK_END), MIB, "udmabuf: as long as the buffer");
	theirs = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(theirs == MAP_FAILED ? -errno : 0, "mmap");
	theirs[1] = 'y';
	ok(theirs[0] == 'x' && bytes[1] == 'y', "udmabuf: the same memory");

	is(memalloc_buffer_export(mem, &buffer, MEMALLOC_READ_ONLY), -EOPNOTSUPP,
	   "udmabuf: EOPNOTSUPP, read only");
	need(memalloc_open("process:1G", &large), "open");
	need(memalloc_buffer_alloc(large, 512 * MIB, 0, &huge), "alloc");
	is(memalloc_buffer_export(large, &huge, 0), -EOPNOTSUPP,
	   "udmabuf: EOPNOTSUPP, more than it may have");
	memalloc_close(large);
	is(memalloc_buffer_import(other, fd, 0, &imported), -EINVAL,
	   "udmabuf: EINVAL, another open device's");
	is(memalloc_buffer_import(mem, fd, 0, &imported), 0, "udmabuf: import");
	is(imported.handle, buffer.handle, "udmabuf: import is the same handle");
	is(memalloc_buffer_import(mem, again, MEMALLOC_READ_ONLY, &read_only), 0,
	   "udmabuf: import read only");
	ok(read_only.handle != buffer.handle && read_only.access == MEMALLOC_ACCESS_READ,
	   "udmabuf: import read only is another handle");
	is(memalloc_buffer_export(mem, &read_only, 0), -EACCES,
	   "udmabuf: EACCES, a read-only handle");
	test_export_without_descriptors(&buffer);

	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	need(memalloc_buffer_free(mem, &read_only), "free");
	imported.handle = 0;
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_export(mem, &buffer, 0), -ENOENT, "export: ENOENT, freed");
	close(again);
	is(used(), before + MIB, "udmabuf: a descriptor keeps the memory");
	is(memalloc_buffer_import(mem, fd, MEMALLOC_READ_ONLY, &imported), 0,
	   "udmabuf: import of a buffer without a handle");
	is(memalloc_buffer_map(mem, &imported, 0, (void **)&bytes), -EACCES,
	   "map: EACCES, a read-only handle");
	need(memalloc_buffer_map(mem, &imported, MEMALLOC_READ_ONLY, (void **)&bytes), "map");
	ok(bytes[0] == 'x' && bytes[1] == 'y', "udmabuf: with the same bytes");
	need(memalloc_buffer_unmap(&imported, bytes), "unmap");
	need(memalloc_buffer_free(mem, &imported), "free");
	close(fd);
	is(used(), before + MIB, "udmabuf: a mapping of the descriptor keeps the memory");
	need(munmap(theirs, MIB) ? -errno : 0, "munmap");
	ok(used_becomes(before), "udmabuf: the memory comes back with the last one");
	memalloc_close(other);
}

/* Whoever needs memory finds what exports have left. */
static void test_udmabuf_memory(void)
{
	struct memalloc_buffer buffer, next;
	struct memalloc *other;
	unsigned char *bytes;
	int fd, tries, err;

	need(memalloc_open("process:4M", &other), "open");
	need(memalloc_buffer_alloc(other, 4 * MIB, 0, &buffer), "alloc");
	bytes = map(other, &buffer);
	bytes[0] = 'x';
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	fd = memalloc_buffer_export(other, &buffer, 0);
	need(fd, "export");
	need(memalloc_buffer_free(other, &buffer), "free");
	is(memalloc_buffer_alloc(other, 1, 0, &next), -ENOMEM, "udmabuf: ENOMEM, all is exported");
	close(fd);
	for (tries = 0; tries < 1000; tries++) {
		err = memalloc_buffer_alloc(other, 4 * MIB, 0, &next);
		if (!err)
			break;
		usleep(10000);
	}
	is(err, 0, "udmabuf: what was exported is found when memory is needed");
	bytes = map(other, &next);
	is(bytes[0], 0, "udmabuf: and is zero");

	/* After close the dma-buf has its pages on its own. */
	bytes[0] = 'z';
	fd = memalloc_buffer_export(other, &next, 0);
	need(fd, "export");
	need(memalloc_buffer_unmap(&next, bytes), "unmap");
	memalloc_close(other);
	bytes = mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0);
	need(bytes == MAP_FAILED ? -errno : 0, "mmap");
	is(bytes[0], 'z', "udmabuf: descriptors stay when the device is closed");
	munmap(bytes, MIB);
	close(fd);
}

/* The first thread of a process may end before the others. */
static void *export_and_close(void *unused)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(MIB);
	int fd = memalloc_buffer_export(mem, &buffer, 0);
	int tries;

	(void)unused;
	need(fd, "export");
	for (tries = 0; tries < 1000 && !access("/proc/self/fdinfo/0", F_OK); tries++)
		usleep(10000);
	need(memalloc_buffer_free(mem, &buffer), "free");
	close(fd);
	_exit(!used_becomes(before));
}

static void test_udmabuf_without_first_thread(void)
{
	pthread_t thread;
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	need(child < 0 ? -errno : 0, "fork");
	if (!child) {
		mem = open_another();
		need(-pthread_create(&thread, NULL, export_and_close, NULL), "pthread_create");
		pthread_exit(NULL);
	}
	waitpid(child, &status, 0);
	is(status, 0, "udmabuf: the memory comes back where the first thread has ended");
}

/* Who may not use the device must be told, not get other memory: the tests are root's. */
static void test_not_allowed(void)
{
	struct memalloc *own;
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	need(child < 0 ? -errno : 0, "fork");
	if (!child)
		_exit(setgid(65534) || setuid(65534) ? 1 : -memalloc_open(NULL, &own));
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == EACCES,
	   "open: EACCES, not allowed to use the device");
}

/* What the device shares, with whoever else opens it. */
static void test_device(void)
{
	test_not_allowed();
	test_export();
	test_import();
	test_import_of_read_only();
	test_two_handles();
	test_another_process();
	test_close();
	test_close_while_mapped();
}

/* What is special about memory of the process. */
static void test_process(void)
{
	test_process_memory();
	test_process_fork();
	test_process_unmap();
	test_process_without_file();
	if (info.features & MEMALLOC_FEATURE_DMABUF) {
		test_udmabuf();
		test_udmabuf_memory();
		test_udmabuf_without_first_thread();
		test_two_handles();
	} else {
		test_without_udmabuf();
	}
}

int main(int argc, char **argv)
{
	path = argc > 1 ? argv[1] : NULL;
	is(memalloc_open(path, &mem), 0, "open");
	need(tap_failed ? -ENODEV : 0, path ? path : MEMALLOC_DEFAULT_DEVICE);
	need(memalloc_get_info(mem, &info, sizeof(info)), "get_info");
	is(fcntl(memalloc_fd(mem), F_GETFD), FD_CLOEXEC, "open: closed on exec");

	test_info();
	test_info_of_many_pages();
	test_stats();
	test_alloc();
	test_alloc_errors();
	test_alignment();
	test_free();
	test_query();
	test_map();
	test_map_of_a_part();
	test_import_errors();
	test_blocks();
	if (memalloc_backend(mem) == MEMALLOC_BACKEND_DEVICE)
		test_device();
	else
		test_process();
	test_threads();
	memalloc_close(mem);
	return tap_done();
}
