// SPDX-License-Identifier: GPL-2.0-only
/* The region's memory can do what INFO says, and nothing else: see MEMALLOC_MEMORY_*. */
#include "drivers.h"
#include "slow_disk.h"

#include <linux/futex.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LENGTH	(16 * PAGE)

static long result(long returned)
{
	return returned < 0 ? -errno : returned;
}

FIXTURE(abilities) {
	int fd;
	__u64 memory;
	struct memalloc_alloc buffer;
	char *map;
};

FIXTURE_SETUP(abilities)
{
	struct memalloc_info info;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_info(self->fd, &info));
	self->memory = info.memory;
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
}

FIXTURE_TEARDOWN(abilities)
{
}

TEST_F(abilities, are_known)
{
	EXPECT_EQ(0, self->memory & ~(MEMALLOC_MEMORY_PAGES | MEMALLOC_MEMORY_LONG_PINS |
				      MEMALLOC_MEMORY_CACHED | MEMALLOC_MEMORY_UNCACHED |
				      MEMALLOC_MEMORY_CAN_GO));
	if (self->memory & MEMALLOC_MEMORY_LONG_PINS)
		EXPECT_TRUE(self->memory & MEMALLOC_MEMORY_PAGES);
	if (self->memory & MEMALLOC_MEMORY_UNCACHED)
		EXPECT_FALSE(self->memory & (MEMALLOC_MEMORY_PAGES | MEMALLOC_MEMORY_CACHED));
}

TEST_F(abilities, direct_io_of_pages)
{
	int disk = open(DISK, O_RDONLY | O_DIRECT);
	const ssize_t n = self->memory & MEMALLOC_MEMORY_PAGES ? (ssize_t)LENGTH : -EFAULT;

	ASSERT_LE(0, disk);
	EXPECT_EQ(n, result(pread(disk, self->map, LENGTH, 0)));
}

TEST_F(abilities, futexes_in_pages)
{
	const int wanted = self->memory & MEMALLOC_MEMORY_PAGES ? 0 : -EFAULT;

	EXPECT_EQ(wanted, result(syscall(SYS_futex, self->map, FUTEX_WAKE, 1, NULL, NULL, 0)));
}

TEST_F(abilities, another_process_reads_pages)
{
	char copy[64];
	struct iovec local = { copy, sizeof(copy) }, remote = { self->map, sizeof(copy) };
	const ssize_t n = self->memory & MEMALLOC_MEMORY_PAGES ? (ssize_t)sizeof(copy) : -EFAULT;

	EXPECT_EQ(n, result(process_vm_readv(getpid(), &local, 1, &remote, 1, 0)));
}

TEST_F(abilities, devices_are_attached_to_pages)
{
	int card = open_vgem();
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	const __s64 wanted = self->memory & MEMALLOC_MEMORY_PAGES ? 0 : -EOPNOTSUPP;
	__s64 handle;

	ASSERT_LE(0, card);
	ASSERT_LE(0, dmabuf);
	handle = prime_import(card, dmabuf);
	EXPECT_EQ(wanted, handle < 0 ? handle : 0);
}

/* Whatever the memory is, programs can do I/O without O_DIRECT, which copies. */
TEST_F(abilities, io_that_copies)
{
	int disk = open(DISK, O_RDONLY);

	ASSERT_LE(0, disk);
	EXPECT_EQ((ssize_t)LENGTH, result(pread(disk, self->map, LENGTH, 0)));
}

/* Register the memory as a buffer of io_uring: that pins it for long. 0, or the errno. */
static int pin_for_long(char *map)
{
	struct io_uring_params params = {};
	struct iovec vector = { map, LENGTH };
	int ring = syscall(SYS_io_uring_setup, 1, &params);

	if (ring < 0)
		return errno;
	return -result(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1));
}

/* The kernel may first try to move the pages, for ever; but it can be killed. */
TEST_F(abilities, long_pins)
{
	pid_t child = fork_child();
	int status;

	if (!child)
		_exit(pin_for_long(self->map));
	if (self->memory & MEMALLOC_MEMORY_LONG_PINS) {
		status = wait_child(child);
		/* Before 6.5, Linux pins mappings of files, but then registers none. */
		EXPECT_TRUE(!status || status == EOPNOTSUPP);
		return;
	}
	sleep(1);
	kill(child, SIGKILL);
	status = wait_child(child);
	EXPECT_NE(0, status);
	if (!(self->memory & MEMALLOC_MEMORY_PAGES))
		EXPECT_EQ(EFAULT, status);
}

/* The kernel's own size of huge entries, where it has them and pages that are not reserved. */
TEST_F(abilities, huge_mappings)
{
	int size = open("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", O_RDONLY);
	struct memalloc_info info;
	struct memalloc_alloc buffer;
	char text[32] = "0";
	__u64 expected;

	ASSERT_EQ(0, get_info(self->fd, &info));
	if (size >= 0)
		ASSERT_LT(0, read(size, text, sizeof(text) - 1));
	expected = strtoull(text, NULL, 10);
	if (info.max_alignment < expected || !(self->memory & MEMALLOC_MEMORY_PAGES))
		expected = 0;
	if (!strcmp((char *)info.source, "running") || !strcmp((char *)info.source, "cma") ||
	    info.huge_mapping)
		EXPECT_EQ(expected, info.huge_mapping);
	if (!info.huge_mapping)
		EXPECT_EQ(-EOPNOTSUPP, alloc_huge(self->fd, PAGE, &buffer));
}

TEST_HARNESS_MAIN
