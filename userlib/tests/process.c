// SPDX-License-Identifier: MIT
/*
 * Usage: process process[:SIZE]
 *
 * What is special about memory of the process: when it is memory, fork(), mappings that the program
 * takes away itself, and exports by udmabuf.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "calls.h"

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

/* A program unmaps with munmap() what it should not. */
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

/* How large a dma-buf of udmabuf may be, in MiB. In 7.x there is no limit to speak of. */
static long udmabuf_limit(void)
{
	FILE *file = fopen("/sys/module/udmabuf/parameters/size_limit_mb", "r");
	long limit = -1;

	need(file && fscanf(file, "%ld", &limit) == 1 ? 0 : -EIO, "size_limit_mb");
	fclose(file);
	return limit;
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
	ok(udmabuf_limit() >= 512 || memalloc_buffer_export(large, &huge, 0) == -EOPNOTSUPP,
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

/* An allocation finds the memory of exports that are closed. */
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

int main(int argc, char **argv)
{
	open_device(argc, argv);
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
	memalloc_close(mem);
	return tap_done();
}
