// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that is a program: it has QEMU's device "edu" by VFIO, behind an IOMMU, and has the
 * device work on a buffer of the region. The addresses that it gives the device are its own.
 *
 * The boot binds the device to vfio-pci, has its address in VFIO_DEVICE, and in VFIO_BY what maps.
 */
#include "edu_calls.h"

#include "vfio.h"

#define LENGTH		(64 * KIB)
#define HALF		(LENGTH / 2)
#define AT		0x40000000ULL	/* where the device finds the buffer */
#define MOVED		4088U		/* bytes of a transfer, a multiple of 8 */

/* The device keeps what it read last: so each test has bytes of its own. */
static __u32 seed;

FIXTURE(vfio) {
	struct vfio device;
	int fd;
	struct memalloc_alloc buffer;
	char *map;
};

static int open_edu(struct vfio *device)
{
	return vfio_open(device, getenv("VFIO_DEVICE"), getenv("VFIO_BY"));
}

FIXTURE_SETUP(vfio)
{
	ASSERT_EQ(0, open_edu(&self->device));
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	seed = now_ms();
	fill(self->map, LENGTH, seed);
}

FIXTURE_TEARDOWN(vfio)
{
	vfio_close(&self->device);
	close(self->fd);
	EXPECT_EQ(0, move_on_demand(true));
}

static void start_move(const struct vfio *device, __u64 source, __u64 target, __u64 how)
{
	vfio_write(device, EDU_SOURCE, source);
	vfio_write(device, EDU_TARGET, target);
	vfio_write(device, EDU_COUNT, MOVED);
	vfio_write(device, EDU_COMMAND, how | EDU_RUN);
}

static bool moved(const struct vfio *device)
{
	return !(vfio_read(device, EDU_COMMAND) & EDU_RUN);
}

/* The device reads MOVED bytes at @address; or writes there what it read last. */
static bool device_reads(const struct vfio *device, __u64 address)
{
	start_move(device, address, EDU_MEMORY, 0);
	return WAIT_UNTIL(moved(device));
}

static bool device_writes(const struct vfio *device, __u64 address)
{
	start_move(device, EDU_MEMORY, address, EDU_FROM_MEMORY);
	return WAIT_UNTIL(moved(device));
}

static bool device_copies_within(const struct vfio *device, __u64 from, __u64 to)
{
	return device_reads(device, from) && device_writes(device, to);
}

TEST_F(vfio, works_on_a_buffer)
{
	ASSERT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT, true));
	fill(self->map, LENGTH, seed + 2);
	ASSERT_TRUE(device_copies_within(&self->device, AT, AT + HALF));
	EXPECT_EQ(MOVED, first_difference(self->map + HALF, MOVED, seed + 2));
	EXPECT_EQ(0, vfio_unmap(&self->device, AT, LENGTH));
}

/* Each part is found at an address of its own. */
TEST_F(vfio, works_on_parts_of_it)
{
	ASSERT_EQ(0, vfio_map(&self->device, self->map + HALF, PAGE, AT, true));
	ASSERT_EQ(0, vfio_map(&self->device, self->map, PAGE, AT + MIB, true));
	ASSERT_TRUE(device_copies_within(&self->device, AT + MIB, AT));
	EXPECT_EQ(MOVED, first_difference(self->map + HALF, MOVED, seed));
}

/* Once it is unmapped for the device, the device reaches it no longer. */
TEST_F(vfio, and_on_nothing_else)
{
	ASSERT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT, true));
	ASSERT_TRUE(device_reads(&self->device, AT));
	ASSERT_EQ(0, vfio_unmap(&self->device, AT, LENGTH));
	fill(self->map, LENGTH, seed + 2);
	ASSERT_TRUE(device_writes(&self->device, AT));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, seed + 2));
	/* Else it would have written. */
	ASSERT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT, true));
	ASSERT_TRUE(device_writes(&self->device, AT));
	EXPECT_EQ(MOVED, first_difference(self->map, MOVED, seed));
}

/* An administrator may learn it, but the device means something else by it. */
TEST_F(vfio, has_no_use_for_a_physical_address)
{
	struct memalloc_query query;

	ASSERT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT, true));
	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
	ASSERT_NE(AT, query.physical);
	ASSERT_TRUE(device_copies_within(&self->device, AT, query.physical + HALF));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, seed));
	ASSERT_TRUE(device_copies_within(&self->device, AT, AT + HALF));
	EXPECT_EQ(MOVED, first_difference(self->map + HALF, MOVED, seed));
	EXPECT_EQ(0, free_buffer(self->fd, self->buffer.handle));
}

/* Who may only read a buffer can't have a device write it. */
TEST_F(vfio, can_not_write_what_is_mapped_read_only)
{
	int reader = open(DEVICE, O_RDONLY | O_CLOEXEC);
	struct memalloc_import import;
	void *map;

	ASSERT_LE(0, reader);
	ASSERT_EQ(0, import_buffer(reader, export_buffer(self->fd, self->buffer.handle, O_RDONLY),
				   0, &import));
	map = map_at(reader, import.mmap_offset, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(-EFAULT, vfio_map(&self->device, map, LENGTH, AT, true));
	ASSERT_EQ(0, vfio_map(&self->device, map, LENGTH, AT, false));
	ASSERT_TRUE(device_reads(&self->device, AT));
	ASSERT_TRUE(device_writes(&self->device, AT + HALF));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, seed));
	/* It was read. */
	ASSERT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT + MIB, true));
	ASSERT_TRUE(device_writes(&self->device, AT + MIB + HALF));
	EXPECT_EQ(MOVED, first_difference(self->map + HALF, MOVED, seed));
}

/* As the memory of anybody who pins some. */
TEST_F(vfio, is_counted_as_locked)
{
	struct rlimit limit;

	ASSERT_EQ(0, getrlimit(RLIMIT_MEMLOCK, &limit));
	limit.rlim_cur = LENGTH - PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, set_effective(0));
	EXPECT_EQ(-ENOMEM, vfio_map(&self->device, self->map, LENGTH, AT, true));
	EXPECT_EQ(0, vfio_map(&self->device, self->map, LENGTH - PAGE, AT, true));
	/* For what comes after the test. */
	ASSERT_EQ(0, set_effective(~0U));
}

/* It stays where it is while the device can reach it, and is moved before and after. */
TEST_F(vfio, keeps_a_buffer_in_its_place)
{
	struct memalloc_compact answer;
	struct memalloc_alloc most;
	__s64 was;

	ASSERT_EQ(0, leave_two_holes(self->fd, LENGTH, &most));
	was = offset_of_handle(self->fd, self->buffer.handle);
	ASSERT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT, true));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_EQ(was, offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, answer.largest_free);
	ASSERT_TRUE(device_copies_within(&self->device, AT, AT + HALF));
	EXPECT_EQ(MOVED, first_difference(self->map + HALF, MOVED, seed));
	ASSERT_EQ(0, vfio_unmap(&self->device, AT, LENGTH));
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_NE(was, offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_EQ(2 * LENGTH, answer.largest_free);
	EXPECT_EQ(0, free_buffer(self->fd, most.handle));
}

/* Takes all that is free, of which the largest piece is mapped. */
static char *take_the_rest(int fd, __u64 *length)
{
	struct memalloc_alloc rest;
	struct memalloc_stats stats;

	if (get_stats(fd, &stats) || alloc_buffer(fd, stats.largest_free, &rest))
		return MAP_FAILED;
	*length = stats.largest_free;
	take_all(fd);
	return map_buffer(fd, &rest);
}

/* The program has given it up, but the device still writes to it: nobody else has it. */
TEST_F(vfio, keeps_what_is_freed)
{
	__u64 length;
	char *rest;

	ASSERT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT, true));
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, quarantined_bytes(self->fd));
	rest = take_the_rest(self->fd, &length);
	ASSERT_NE(MAP_FAILED, (void *)rest);
	ASSERT_TRUE(device_copies_within(&self->device, AT, AT + HALF));
	EXPECT_EQ(length, first_nonzero(rest, length));
	/* It did write to what was freed. */
	ASSERT_EQ(0, vfio_map(&self->device, rest, PAGE, AT + MIB, true));
	ASSERT_TRUE(device_copies_within(&self->device, AT + HALF, AT + MIB));
	EXPECT_EQ(MOVED, first_difference(rest, MOVED, seed));
	EXPECT_EQ(LENGTH, quarantined_bytes(self->fd));
	ASSERT_EQ(0, vfio_unmap(&self->device, AT, LENGTH));
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	rest = take_the_rest(self->fd, &length);
	ASSERT_NE(MAP_FAILED, (void *)rest);
	EXPECT_EQ(LENGTH, length);
	EXPECT_EQ(length, first_nonzero(rest, length));
}

/* A transfer takes 100 ms. Says when the device began to write to a buffer of this process. */
static void start_and_pause(const struct vfio *device, int pipe)
{
	struct memalloc_alloc buffer;
	int fd = open_device();
	__u64 began;
	char *map;

	if (fd < 0 || alloc_buffer(fd, LENGTH, &buffer))
		_exit(1);
	map = map_buffer(fd, &buffer);
	fill(map, LENGTH, seed + 3);
	if (vfio_map(device, map, LENGTH, AT, true) || !device_reads(device, AT))
		_exit(2);
	began = now_ms();
	start_move(device, EDU_MEMORY, AT + HALF, EDU_FROM_MEMORY);
	if (write(pipe, &began, sizeof(began)) != sizeof(began))
		_exit(3);
	pause();
}

/* Kills a program in the middle of a transfer. With @all, nobody else has the device open then. */
static bool kill_in_transfer(struct vfio *device, bool all)
{
	__u64 began;
	int pipes[2];
	pid_t child;

	if (pipe(pipes))
		return false;
	child = fork_child();
	if (!child)
		start_and_pause(device, pipes[1]);
	close(pipes[1]);
	if (all)
		vfio_close(device);
	if (read(pipes[0], &began, sizeof(began)) != sizeof(began))
		began = 0;
	close(pipes[0]);
	kill(child, SIGKILL);
	return wait_child(child) == 128 + SIGKILL && now_ms() - began < 90;
}

/* A slow machine may have been too late. */
static bool is_killed_in_transfer(struct vfio *device, bool all)
{
	int tries;

	for (tries = 0; tries < 20; tries++) {
		if (kill_in_transfer(device, all))
			return true;
		if (all ? open_edu(device) : vfio_unmap(device, AT, LENGTH))
			return false;
	}
	return false;
}

/*
 * A program is killed in the middle of a transfer, and somebody else still has the device's open
 * files: it goes on, and what it reaches is in nobody else's hands.
 */
TEST_F(vfio, keeps_what_a_killed_program_had)
{
	__u64 length;
	char *rest;

	ASSERT_TRUE(is_killed_in_transfer(&self->device, false));
	ASSERT_TRUE(WAIT_UNTIL(quarantined_bytes(self->fd) == LENGTH));
	rest = take_the_rest(self->fd, &length);
	ASSERT_NE(MAP_FAILED, (void *)rest);
	ASSERT_TRUE(WAIT_UNTIL(moved(&self->device)));
	ASSERT_TRUE(device_writes(&self->device, AT));
	EXPECT_EQ(length, first_nonzero(rest, length));
	EXPECT_EQ(LENGTH, quarantined_bytes(self->fd));
	ASSERT_EQ(0, vfio_unmap(&self->device, AT, LENGTH));
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, seed));
}

/* With the program, its open files go, and nobody is written to who has the memory next. */
TEST_F(vfio, lets_go_when_the_program_is_killed)
{
	__u64 length;
	char *rest;

	ASSERT_TRUE(is_killed_in_transfer(&self->device, true));
	ASSERT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd) && used_bytes(self->fd) == LENGTH));
	rest = take_the_rest(self->fd, &length);
	ASSERT_NE(MAP_FAILED, (void *)rest);
	sleep_ms(300);
	EXPECT_EQ(length, first_nonzero(rest, length));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, seed));
}

TEST_F(vfio, reaches_the_end_of_a_large_buffer)
{
	const __u64 length = 8 * MIB;
	struct memalloc_alloc large;
	char *map;

	ASSERT_EQ(0, alloc_aligned(self->fd, length, 2 * MIB, &large));
	map = map_buffer(self->fd, &large);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(0, vfio_map(&self->device, map, length, AT, true));
	fill(map, MOVED, seed + 4);
	ASSERT_TRUE(device_copies_within(&self->device, AT, AT + length - MOVED));
	EXPECT_EQ(MOVED, first_difference(map + length - MOVED, MOVED, seed + 4));
}

/* A device could go on using what is mapped by frame, as nobody can pin it. */
static bool is_not_mapped(const struct vfio *device, char *map, __u64 length)
{
	int err;

	map[0] = 1;
	err = vfio_map(device, map, length, AT, true);
	return err == -EFAULT || err == -EINVAL;
}

TEST_F(vfio, does_not_map_huge_buffers)
{
	struct memalloc_alloc huge;
	int err = alloc_huge(self->fd, 2 * MIB, &huge);
	char *whole, *part;

	if (err == -EOPNOTSUPP)
		SKIP(return, "the region has no huge buffers");
	ASSERT_EQ(0, err);
	whole = map_buffer(self->fd, &huge);
	ASSERT_NE(MAP_FAILED, (void *)whole);
	EXPECT_TRUE(is_not_mapped(&self->device, whole, 2 * MIB));
	/* It is not for the arguments. */
	EXPECT_EQ(0, vfio_map(&self->device, self->map, LENGTH, AT, true));
	EXPECT_EQ(0, vfio_unmap(&self->device, AT, LENGTH));
	/* By small entries. */
	part = map_at(self->fd, huge.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)part);
	EXPECT_TRUE(is_not_mapped(&self->device, part, LENGTH));
}

/* A client of the region that is in the memory of another device, with a buffer. */
static char *map_in_card(int *fd)
{
	struct memalloc_alloc buffer;

	*fd = open("/dev/memalloc-card", O_RDWR | O_CLOEXEC);
	if (*fd < 0 || alloc_buffer(*fd, LENGTH, &buffer))
		return MAP_FAILED;
	return map_buffer(*fd, &buffer);
}

/* Nor memory without pages. */
TEST_F(vfio, does_not_map_what_has_no_pages)
{
	char *map;
	int fd;

	map = map_in_card(&fd);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_TRUE(is_not_mapped(&self->device, map, LENGTH));
	close(fd);
}

TEST_HARNESS_MAIN
