// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same as errors.c, for what gives others the memory of a buffer: EXPORT, IMPORT, mmap()
 * and SYNC. A descriptor of another exporter is in vgem.c.
 */
#include "errors.h"

/* EXPORT */

FIXTURE(export) {
	struct clients c;
	char file_max[32];	/* of the system, as it was */
};

FIXTURE_SETUP(export)
{
	int fd = open(FILE_MAX, O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, self->file_max, sizeof(self->file_max) - 1));
	close(fd);
	ASSERT_EQ(0, set_up(&self->c));
}

FIXTURE_TEARDOWN(export)
{
	write_file(FILE_MAX, self->file_max);
}

TEST_F(export, einval_reserved)
{
	struct memalloc_export arg = { .size = sizeof(arg), .handle = self->c.buffer.handle };

	for (arg.reserved = 1; arg.reserved; arg.reserved <<= 1)
		EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_EXPORT, &arg));
}

TEST_F(export, einval_open_flags)
{
	int bit;

	EXPECT_EQ(-EINVAL, export_buffer(self->c.fd, self->c.buffer.handle, O_WRONLY));
	EXPECT_EQ(-EINVAL, export_buffer(self->c.fd, self->c.buffer.handle, O_ACCMODE));
	for (bit = 2; bit < 32; bit++) {
		__u32 flag = 1U << bit;

		if (flag != O_CLOEXEC) {
			EXPECT_EQ(-EINVAL, export_buffer(self->c.fd, self->c.buffer.handle,
							 O_RDWR | flag))
				TH_LOG("open flag %x", flag);
		}
	}
}

TEST_F(export, enoent_never_was)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(no_handles); i++)
		EXPECT_EQ(-ENOENT, export_buffer(self->c.fd, no_handles[i], O_RDWR));
}

TEST_F(export, enoent_freed)
{
	ASSERT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_EQ(-ENOENT, export_buffer(self->c.fd, self->c.buffer.handle, O_RDWR));
}

TEST_F(export, enoent_other_client)
{
	EXPECT_EQ(-ENOENT, export_buffer(self->c.other, self->c.buffer.handle, O_RDWR));
}

TEST_F(export, eacces_writable_of_read_only)
{
	__s64 handle = read_only_handle(&self->c);

	ASSERT_LT(0, handle);
	EXPECT_EQ(-EACCES, export_buffer(self->c.other, handle, O_RDWR));
	EXPECT_EQ(-EACCES, export_buffer(self->c.other, handle, O_RDWR | O_CLOEXEC));
	EXPECT_LE(0, export_buffer(self->c.other, handle, O_RDONLY));
}

TEST_F(export, eacces_writable_of_a_device_opened_read_only)
{
	int fd = open(DEVICE, O_RDONLY);
	struct memalloc_alloc buffer;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, alloc_buffer(fd, PAGE, &buffer));
	EXPECT_EQ(-EACCES, export_buffer(fd, buffer.handle, O_RDWR));
	EXPECT_LE(0, export_buffer(fd, buffer.handle, O_RDONLY));
}

TEST_F(export, emfile_no_descriptor_left)
{
	int next = dup(self->c.fd);
	struct rlimit limit = { next, next };

	close(next);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, export_buffer(self->c.fd, self->c.buffer.handle, O_RDWR));
	EXPECT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->c.fd)));
}

TEST_F(export, enfile_no_file_left)
{
	pid_t child;

	/* Not 1: the kernel's first look at how many there are is a rough one. */
	ASSERT_EQ(0, write_file(FILE_MAX, "0"));
	child = fork_child();
	if (!child) {
		/* The limit does not hold for an administrator. */
		if (drop_privileges())
			_exit(1);
		if (export_buffer(self->c.fd, self->c.buffer.handle, O_RDWR) != -ENFILE)
			_exit(2);
		/* A mapping has an open file of its own. */
		_exit(map_errno(self->c.fd, self->c.buffer.mmap_offset, PAGE, PROT_READ) !=
		      -ENFILE);
	}
	EXPECT_EQ(0, wait_child(child));
	ASSERT_EQ(0, write_file(FILE_MAX, self->file_max));
	EXPECT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->c.fd)));
}

/* IMPORT */

FIXTURE(import) {
	struct clients c;
};

FIXTURE_SETUP(import)
{
	ASSERT_EQ(0, set_up(&self->c));
}

FIXTURE_TEARDOWN(import)
{
}

TEST_F(import, einval_reserved)
{
	int dmabuf = export_buffer(self->c.fd, self->c.buffer.handle, O_RDWR);
	struct memalloc_import arg = { .size = sizeof(arg), .fd = dmabuf };

	ASSERT_LE(0, dmabuf);
	for (arg.reserved = 1; arg.reserved; arg.reserved <<= 1)
		EXPECT_EQ(-EINVAL, call(self->c.other, MEMALLOC_IOC_IMPORT, &arg));
}

TEST_F(import, ebadf_not_open)
{
	struct memalloc_import import;
	int closed = dup(self->c.fd);

	close(closed);
	EXPECT_EQ(-EBADF, import_buffer(self->c.other, closed, 0, &import));
	EXPECT_EQ(-EBADF, import_buffer(self->c.other, -1, 0, &import));
	EXPECT_EQ(-EBADF, import_buffer(self->c.other, INT32_MAX, 0, &import));
}

TEST_F(import, einval_not_a_dmabuf)
{
	struct memalloc_import import;
	int pipes[2], file = open("/proc/self/exe", O_RDONLY);

	ASSERT_LE(0, file);
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-EINVAL, import_buffer(self->c.other, file, 0, &import));
	EXPECT_EQ(-EINVAL, import_buffer(self->c.other, pipes[0], 0, &import));
	EXPECT_EQ(-EINVAL, import_buffer(self->c.other, self->c.fd, 0, &import));
	EXPECT_EQ(-EINVAL, import_buffer(self->c.other, self->c.other, 0, &import));
}

/* mmap() */

FIXTURE(mmap) {
	struct clients c;
	__u64 offset;
	__u64 length;
};

FIXTURE_SETUP(mmap)
{
	ASSERT_EQ(0, set_up(&self->c));
	self->offset = self->c.buffer.mmap_offset;
	self->length = self->c.buffer.real_length;
}

FIXTURE_TEARDOWN(mmap)
{
}

TEST_F(mmap, einval_private)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->length, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				   self->c.fd, self->offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->length, PROT_READ, MAP_PRIVATE,
				   self->c.fd, self->offset));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(mmap, einval_past_the_end)
{
	const size_t huge = 1ULL << (sizeof(long) == 4 ? 30 : 40);

	EXPECT_EQ(-EINVAL, map_errno(self->c.fd, self->offset, self->length + PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->c.fd, self->offset + PAGE, self->length, PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->c.fd, self->offset + self->length - PAGE, 2 * PAGE,
				     PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->c.fd, self->offset, huge, PROT_READ));
	EXPECT_EQ(0, map_errno(self->c.fd, self->offset + PAGE, self->length - PAGE, PROT_READ));
}

TEST_F(mmap, enoent_no_buffer_there)
{
	/* A 32-bit program gives the offset in pages, as a number of 32 bits. */
	const __u64 last = sizeof(long) == 4 ? (__u64)UINT32_MAX * PAGE : INT64_MAX & -PAGE;

	EXPECT_EQ(-ENOENT, map_errno(self->c.fd, 0, PAGE, PROT_READ));
	EXPECT_EQ(-ENOENT, map_errno(self->c.fd, last / 2 / PAGE * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-ENOENT, map_errno(self->c.fd, last, PAGE, PROT_READ));
}

TEST_F(mmap, enoent_other_client)
{
	EXPECT_EQ(-ENOENT, map_errno(self->c.other, self->offset, self->length, PROT_READ));
	EXPECT_EQ(-ENOENT, map_errno(self->c.other, self->offset, PAGE, PROT_READ | PROT_WRITE));
}

TEST_F(mmap, enoent_freed)
{
	ASSERT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_EQ(-ENOENT, map_errno(self->c.fd, self->offset, self->length, PROT_READ));
}

/* The offset belongs to the buffer, and the right to use it to a handle. */
TEST_F(mmap, enoent_freed_but_alive)
{
	__s64 handle = read_only_handle(&self->c);

	ASSERT_LT(0, handle);
	ASSERT_EQ(0, free_buffer(self->c.fd, self->c.buffer.handle));
	EXPECT_EQ(-ENOENT, map_errno(self->c.fd, self->offset, self->length, PROT_READ));
	EXPECT_EQ(0, map_errno(self->c.other, self->offset, self->length, PROT_READ));
}

TEST_F(mmap, eacces_read_only_handle)
{
	ASSERT_LT(0, read_only_handle(&self->c));
	EXPECT_EQ(-EACCES, map_errno(self->c.other, self->offset, self->length,
				     PROT_READ | PROT_WRITE));
	EXPECT_EQ(-EACCES, map_errno(self->c.other, self->offset, self->length, PROT_WRITE));
	EXPECT_EQ(0, map_errno(self->c.other, self->offset, self->length, PROT_READ));
}

TEST_F(mmap, eacces_device_opened_read_only)
{
	int fd = open(DEVICE, O_RDONLY);
	struct memalloc_alloc buffer;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, alloc_buffer(fd, PAGE, &buffer));
	EXPECT_EQ(-EACCES, map_errno(fd, buffer.mmap_offset, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, map_errno(fd, buffer.mmap_offset, PAGE, PROT_READ));
}

/* SYNC */

FIXTURE(sync) {
	struct clients c;
};

FIXTURE_SETUP(sync)
{
	ASSERT_EQ(0, set_up(&self->c));
}

FIXTURE_TEARDOWN(sync)
{
}

TEST_F(sync, einval_reserved)
{
	struct memalloc_sync arg = {
		.size = sizeof(arg), .flags = MEMALLOC_SYNC_READ,
		.handle = self->c.buffer.handle, .length = 1,
	};

	for (arg.reserved = 1; arg.reserved; arg.reserved <<= 1)
		EXPECT_EQ(-EINVAL, call(self->c.fd, MEMALLOC_IOC_SYNC, &arg));
}

TEST_F(sync, einval_neither_read_nor_write)
{
	__u32 handle = self->c.buffer.handle;

	EXPECT_EQ(-EINVAL, sync_range(self->c.fd, handle, 0, PAGE, 0));
	EXPECT_EQ(-EINVAL, sync_range(self->c.fd, handle, 0, PAGE, MEMALLOC_SYNC_END));
}

TEST_F(sync, einval_range)
{
	const struct {
		__u64 offset, length;
	} wrong[] = {
		{ 0, 0 }, { PAGE, 0 }, { 0, 3 * PAGE + 1 }, { 1, 3 * PAGE }, { 3 * PAGE - 1, 2 },
		{ 3 * PAGE, 1 }, { 3 * PAGE, 0 }, { 0, ~0ULL }, { 1, ~0ULL },
		{ PAGE, ~0ULL - PAGE + 1 }, { ~0ULL, 1 }, { ~0ULL, ~0ULL }, { 1ULL << 32, 1 },
		{ 0, 1ULL << 32 | 1 },
	};
	__u32 flags;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (flags = MEMALLOC_SYNC_READ; flags < 8; flags++) {
			EXPECT_EQ(-EINVAL, sync_range(self->c.fd, self->c.buffer.handle,
						      wrong[i].offset, wrong[i].length, flags))
				TH_LOG("range %zu, flags %u", i, flags);
		}
	}
}

TEST_F(sync, enoent_no_handle)
{
	const __u32 flags = MEMALLOC_SYNC_READ;
	__u32 mine = self->c.buffer.handle;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(no_handles); i++)
		EXPECT_EQ(-ENOENT, sync_range(self->c.fd, no_handles[i], 0, 1, flags));
	EXPECT_EQ(-ENOENT, sync_range(self->c.other, mine, 0, 1, flags));
	ASSERT_EQ(0, free_buffer(self->c.fd, mine));
	EXPECT_EQ(-ENOENT, sync_range(self->c.fd, mine, 0, 1, flags));
}

/* Any range within the pages of the buffer, for any access, whatever the handle allows. */
TEST_F(sync, good)
{
	const struct {
		__u64 offset, length;
	} good[] = {
		{ 0, 1 }, { 0, 3 * PAGE }, { ASKED, 1 }, { 3 * PAGE - 1, 1 },
		{ PAGE - 1, PAGE + 2 },
	};
	__s64 read_only = read_only_handle(&self->c);
	__u32 access;
	size_t i;

	ASSERT_LT(0, read_only);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		for (access = MEMALLOC_SYNC_READ; access < 4; access++) {
			EXPECT_EQ(0, sync_range(self->c.fd, self->c.buffer.handle, good[i].offset,
						good[i].length, access));
			EXPECT_EQ(0, sync_range(self->c.other, read_only, good[i].offset,
						good[i].length, access | MEMALLOC_SYNC_END));
		}
	}
}

TEST_HARNESS_MAIN
