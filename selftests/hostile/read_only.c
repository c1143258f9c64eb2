// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker was given a buffer to read, by a dma-buf that is read-only, and tries to
 * write: by other mappings, by the kernel's ways around them, by opening the descriptor
 * again, by calls, and by having others write for him. Not a byte changes. That mmap() and
 * mprotect() refuse it is in mapping.c and share.c, drivers are in vivid.c and vgem.c.
 */
#include "hostile.h"

#include <liburing.h>
#include <linux/dma-buf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LENGTH	(16 * PAGE)
#define SEED	77

FIXTURE(read_only) {
	struct scene scene;
	int owner;		/* a client of somebody else */
	struct memalloc_alloc buffer;
	char *theirs;		/* where the owner sees it */
	int dmabuf;
	struct memalloc_import import;
	char *maps[2];		/* by the handle, and of the dma-buf */
};

FIXTURE_SETUP(read_only)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
	self->owner = open_device();
	ASSERT_LE(0, self->owner);
	ASSERT_EQ(0, alloc_buffer(self->owner, LENGTH, &self->buffer));
	self->theirs = map_buffer(self->owner, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->theirs);
	fill(self->theirs, LENGTH, SEED);
	self->dmabuf = export_buffer(self->owner, self->buffer.handle, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->dmabuf);

	ASSERT_EQ(0, as_user(MALLORY));
	/* As a program that he started himself. */
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	ASSERT_EQ(0, import_buffer(self->scene.mallory, self->dmabuf, 0, &self->import));
	self->maps[0] = map_at(self->scene.mallory, self->import.mmap_offset, LENGTH, PROT_READ);
	self->maps[1] = map_at(self->dmabuf, 0, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)self->maps[0]);
	ASSERT_NE(MAP_FAILED, (void *)self->maps[1]);
}

FIXTURE_TEARDOWN(read_only)
{
	EXPECT_EQ(LENGTH, first_difference(self->theirs, LENGTH, SEED));
	munmap(self->theirs, LENGTH);
	munmap(self->maps[0], LENGTH);
	munmap(self->maps[1], LENGTH);
	close(self->owner);
	close(self->dmabuf);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* The kernel writes for debuggers where a program itself may not. */
TEST_F(read_only, as_a_debugger)
{
	int memory = open("/proc/self/mem", O_RDWR);
	pid_t child;
	size_t i;

	ASSERT_LE(0, memory);
	for (i = 0; i < ARRAY_SIZE(self->maps); i++) {
		EXPECT_EQ(-1, pwrite(memory, "x", 1, (uintptr_t)self->maps[i]));
		EXPECT_EQ(EIO, errno);
	}
	close(memory);

	child = fork_child();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	for (i = 0; i < ARRAY_SIZE(self->maps); i++)
		EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, child, self->maps[i], (void *)1));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, child, NULL, NULL));
	EXPECT_EQ(0, wait_child(child));
}

TEST_F(read_only, by_the_kernel)
{
	struct iovec mine = { "x", 1 }, target;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int pipes[2];
	size_t i;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, io_uring_queue_init(4, &ring, 0));
	ASSERT_EQ(1, write(pipes[1], "x", 1));
	for (i = 0; i < ARRAY_SIZE(self->maps); i++) {
		target = (struct iovec){ self->maps[i], PAGE };
		EXPECT_EQ(-1, process_vm_writev(getpid(), &mine, 1, &target, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, read(pipes[0], self->maps[i], 1));
		EXPECT_EQ(EFAULT, errno);
		/* Where the kernel lets buffers be registered, it wants to write there. */
		EXPECT_GT(0, io_uring_register_buffers(&ring, &target, 1));
		io_uring_prep_read(io_uring_get_sqe(&ring), pipes[0], self->maps[i], 1, 0);
		ASSERT_EQ(1, io_uring_submit(&ring));
		ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
		EXPECT_EQ(-EFAULT, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
		EXPECT_EQ(-1, syscall(SYS_getrandom, self->maps[i], 8, 0));
		EXPECT_EQ(EFAULT, errno);
	}
	io_uring_queue_exit(&ring);
	close(pipes[0]);
	close(pipes[1]);
}

/* What a pipe was given of it is not written to by what is written to the pipe after that. */
TEST_F(read_only, by_a_pipe)
{
	int pipes[2];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(self->maps); i++) {
		struct iovec data = { self->maps[i], 100 };

		ASSERT_EQ(0, pipe(pipes));
		ASSERT_EQ(100, vmsplice(pipes[1], &data, 1, SPLICE_F_GIFT));
		ASSERT_EQ(4, write(pipes[1], "abcd", 4));
		close(pipes[0]);
		close(pipes[1]);
	}
}

TEST_F(read_only, by_other_mappings)
{
	const int client = self->scene.mallory;
	const __u64 offset = self->import.mmap_offset;
	char *map;
	size_t i;

	EXPECT_EQ(-EACCES, map_errno(client, offset, PAGE, PROT_WRITE));
	EXPECT_EQ(-EACCES, map_errno(self->dmabuf, 0, PAGE, PROT_WRITE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				   client, offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				   self->dmabuf, 0));
	for (i = 0; i < ARRAY_SIZE(self->maps); i++) {
		map = mremap(self->maps[i], 0, LENGTH, MREMAP_MAYMOVE);
		if (map != MAP_FAILED) {
			EXPECT_EQ(-1, mprotect(map, LENGTH, PROT_WRITE));
			EXPECT_EQ(SIGSEGV, touch_signal(map, true));
			munmap(map, LENGTH);
		}
		EXPECT_EQ(-1, mprotect(self->maps[i], PAGE, PROT_WRITE));
		EXPECT_EQ(-1, syscall(SYS_pkey_mprotect, self->maps[i], PAGE, PROT_WRITE, -1));
		EXPECT_EQ(-1, madvise(self->maps[i], PAGE, MADV_POPULATE_WRITE));
		EXPECT_EQ(-1, madvise(self->maps[i], PAGE, MADV_REMOVE));
		EXPECT_EQ(SIGSEGV, touch_signal(self->maps[i], true));
		syscall(SYS_remap_file_pages, self->maps[i], PAGE, 0, 1, 0);
		EXPECT_EQ(SIGSEGV, touch_signal(self->maps[i], true));
	}
}

/* The name of a descriptor in /proc can be opened in another mode; of a dma-buf, in none. */
TEST_F(read_only, by_opening_it_again)
{
	char path[64];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->dmabuf);
	fd = open(path, O_RDWR);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(-1, fcntl(self->dmabuf, F_SETFL, O_RDWR) ? -1 :
		  (fcntl(self->dmabuf, F_GETFL) & O_ACCMODE) == O_RDONLY ? -1 : 0);
	EXPECT_EQ(-1, write(self->dmabuf, "x", 1));
	EXPECT_EQ(-1, pwrite(self->dmabuf, "x", 1, 0));
	EXPECT_EQ(-1, ftruncate(self->dmabuf, 0));
	err = fallocate(self->dmabuf, 3, 0, PAGE);
	EXPECT_EQ(-1, err);

	/* The device opened again is another client, which has no handle of this one. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->scene.mallory);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOENT, query_errno(fd, self->import.handle));
	EXPECT_EQ(-ENOENT, map_errno(fd, self->import.mmap_offset, PAGE, PROT_READ));
	close(fd);
}

/* Round and round: what is read-only once stays so. */
TEST_F(read_only, by_passing_it_on)
{
	struct memalloc_import import;
	int other = open_device(), round, dmabuf = dup(self->dmabuf);

	ASSERT_LE(0, other);
	ASSERT_LE(0, dmabuf);
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
		EXPECT_EQ(MEMALLOC_ACCESS_READ, import.access);
		EXPECT_EQ(-EACCES, map_errno(other, import.mmap_offset, PAGE, PROT_WRITE));
		EXPECT_EQ(-EACCES, export_buffer(other, import.handle, O_RDWR));
		close(dmabuf);
		dmabuf = export_buffer(other, import.handle, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, dmabuf);
		EXPECT_EQ(-EACCES, map_errno(dmabuf, 0, PAGE, PROT_READ | PROT_WRITE));
		/* Into the first client it leads to the handle that is there. */
		ASSERT_EQ(0, import_buffer(self->scene.mallory, dmabuf, 0, &import));
		EXPECT_EQ(self->import.handle, import.handle);
	}
	close(dmabuf);
	close(other);
}

/* Handing it over to no device writes nothing there, whatever he says that he does. */
TEST_F(read_only, by_handing_it_over)
{
	struct dma_buf_sync sync;
	__u32 flags;

	for (flags = 0; flags < 8; flags++) {
		sync_range(self->scene.mallory, self->import.handle, 0, LENGTH, flags);
		sync.flags = flags;
		call(self->dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
	}
	EXPECT_EQ(LENGTH, first_difference(self->maps[0], LENGTH, SEED));
}

TEST_HARNESS_MAIN
