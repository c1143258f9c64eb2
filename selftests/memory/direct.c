// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct I/O between an NVMe disk and mappings of buffers, and that memory which
 * something still holds is not given out again: pages that a pipe pins for as
 * long as it is full, and pages that a disk is writing to.
 */
#include "slow_disk.h"

#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static void __attribute__((constructor)) needs_pages(void)
{
	skip_program_without(MEMALLOC_MEMORY_PAGES);
}

#define LENGTH	(16 * PAGE)
#define PIECES	16
#define PIECE	MIB

FIXTURE(direct) {
	int fd;
	int other;		/* another client, to whom the memory could go */
	int disk;		/* opened O_DIRECT */
	int cached;		/* opened without */
	struct memalloc_alloc buffer;
	char *map;
	int pipe[2];
};

FIXTURE_SETUP(direct)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	self->disk = open(DISK, O_RDWR | O_DIRECT);
	ASSERT_LE(0, self->disk);
	self->cached = open(DISK, O_RDONLY);
	ASSERT_LE(0, self->cached);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	ASSERT_EQ(0, pipe(self->pipe));
}

FIXTURE_TEARDOWN(direct)
{
}

/* All that can be had is handed out, and what was is zero wherever it is looked at. */
static size_t map_all_and_look(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	size_t bad = 0;

	while (!alloc_buffer(fd, length, &buffer)) {
		void *map = map_buffer(fd, &buffer);

		if (map == MAP_FAILED)
			return 1;
		bad += first_nonzero(map, length) != length;
		munmap(map, length);
	}
	return bad;
}

TEST_F(direct, reads_the_disk)
{
	char *expected = malloc(LENGTH);
	off_t at;

	for (at = 0; at < (off_t)(4 * LENGTH); at += LENGTH) {
		ASSERT_EQ(LENGTH, pread(self->disk, self->map, LENGTH, at));
		ASSERT_EQ(LENGTH, pread(self->cached, expected, LENGTH, at));
		EXPECT_EQ(0, memcmp(expected, self->map, LENGTH));
		EXPECT_NE(LENGTH, first_nonzero(expected, LENGTH));
	}
	/* Into the middle of it, over the end of a page; the rest is left alone. */
	fill(self->map, LENGTH, 1);
	ASSERT_EQ(PAGE, pread(self->disk, self->map + 5 * PAGE + 512, PAGE, 0));
	ASSERT_EQ(PAGE, pread(self->cached, expected, PAGE, 0));
	EXPECT_EQ(0, memcmp(expected, self->map + 5 * PAGE + 512, PAGE));
	EXPECT_EQ(5 * PAGE + 512, first_difference(self->map, 5 * PAGE + 512, 1));
	EXPECT_EQ(pattern(1, (6 * PAGE + 512) / 8), *(__u64 *)(self->map + 6 * PAGE + 512));
}

TEST_F(direct, writes_the_disk)
{
	char *seen = malloc(LENGTH), *saved = malloc(LENGTH);

	ASSERT_EQ(LENGTH, pread(self->cached, saved, LENGTH, MIB));
	fill(self->map, LENGTH, getpid());
	ASSERT_EQ(LENGTH, pwrite(self->disk, self->map, LENGTH, MIB));
	ASSERT_EQ(LENGTH, pread(self->cached, seen, LENGTH, MIB));
	EXPECT_EQ(LENGTH, first_difference(seen, LENGTH, getpid()));
	memcpy(self->map, saved, LENGTH);
	ASSERT_EQ(LENGTH, pwrite(self->disk, self->map, LENGTH, MIB));
}

TEST_F(direct, a_dmabuf_mapping_too)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	char *map, *expected = malloc(LENGTH);

	ASSERT_LE(0, dmabuf);
	map = map_at(dmabuf, 0, LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(LENGTH, pread(self->disk, map, LENGTH, LENGTH));
	ASSERT_EQ(LENGTH, pread(self->cached, expected, LENGTH, LENGTH));
	EXPECT_EQ(0, memcmp(expected, self->map, LENGTH));
}

/* A read-only mapping is no place for the disk to write to; but it can be written from. */
TEST_F(direct, efault_into_a_read_only_mapping)
{
	char *map = map_at(self->fd, self->buffer.mmap_offset, LENGTH, PROT_READ);

	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(self->map, LENGTH, 1);
	EXPECT_EQ(-1, pread(self->disk, map, LENGTH, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
}

/* Pin @length bytes of the mapping from @at on until the pipe is read. */
static int pin(FIXTURE_DATA(direct) * self, size_t at, size_t length)
{
	struct iovec data = { self->map + at, length };

	return vmsplice(self->pipe[1], &data, 1, 0) == (ssize_t)length ? 0 : -errno;
}

/* What a pipe holds is nobody's until the pipe is read, and then it is zero. */
TEST_F(direct, pinned_pages_are_quarantined)
{
	struct memalloc_block blocks[64];
	struct memalloc_stats stats;
	char *seen = malloc(LENGTH);
	__s64 offset = offset_of_handle(self->fd, self->buffer.handle);
	int i, n, found = 0;

	fill(self->map, LENGTH, 1);
	ASSERT_EQ(0, pin(self, 0, LENGTH));
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));

	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
	EXPECT_EQ(LENGTH, stats.quarantined);
	EXPECT_EQ(LENGTH, stats.used);
	EXPECT_EQ(1, stats.buffers);
	n = read_layout(self->fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));
	for (i = 0; i < n; i++) {
		if (blocks[i].state != MEMALLOC_BLOCK_QUARANTINED)
			continue;
		found++;
		EXPECT_EQ(offset, (__s64)blocks[i].offset);
		EXPECT_EQ(LENGTH, blocks[i].length);
		EXPECT_EQ(0, blocks[i].handle);
	}
	EXPECT_EQ(1, found);

	/* Nobody gets it, not even when nothing else is left. */
	EXPECT_EQ(stats.region_length - LENGTH, take_all(self->other));
	EXPECT_EQ(LENGTH, quarantined_bytes(self->fd));
	ASSERT_EQ(LENGTH, read(self->pipe[0], seen, LENGTH));
	EXPECT_EQ(LENGTH, first_difference(seen, LENGTH, 1));

	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	EXPECT_EQ(offset, offset_of_handle(self->fd, self->buffer.handle));
	self->map = map_buffer(self->fd, &self->buffer);
	EXPECT_EQ(LENGTH, first_nonzero(self->map, LENGTH));
}

/* The state that LAYOUT shows of the page at @offset of the region. */
static int state_at(int fd, __u64 offset)
{
	struct memalloc_block block;
	__u32 count = 1;

	return get_layout(fd, &offset, &block, &count) ? -1 : (int)block.state;
}

/* One page in the middle stays, and nobody gets it; the others are back at once. */
TEST_F(direct, only_the_pinned_page_stays)
{
	__u64 offset = offset_of_handle(self->fd, self->buffer.handle);
	struct memalloc_stats stats;
	char *seen = malloc(PAGE);
	int i;

	fill(self->map, LENGTH, 1);
	ASSERT_EQ(0, pin(self, 7 * PAGE, PAGE));
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));

	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
	EXPECT_EQ(PAGE, stats.quarantined);
	EXPECT_EQ(PAGE, stats.used);
	EXPECT_EQ(0, stats.requested);
	EXPECT_EQ(1, stats.buffers);
	EXPECT_EQ(2, stats.free_blocks);
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(i == 7 ? MEMALLOC_BLOCK_QUARANTINED : MEMALLOC_BLOCK_FREE,
			  state_at(self->fd, offset + i * PAGE))
			TH_LOG("page %d", i);
	}
	EXPECT_EQ(stats.region_length - PAGE, take_all(self->other));
	ASSERT_EQ(PAGE, read(self->pipe[0], seen, PAGE));
	EXPECT_EQ(pattern(1, 7 * PAGE / 8), *(__u64 *)seen);
	EXPECT_EQ(pattern(1, PAGE - 1), ((__u64 *)seen)[PAGE / 8 - 1]);
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	EXPECT_EQ(PAGE, take_all(self->other));
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
}

/* Each comes back as its pin goes, though others have taken what is between them by then. */
TEST_F(direct, pinned_pages_return_one_by_one)
{
	static const int pinned[] = { 9, 0, 3, 15, 4 };
	__u64 offset = offset_of_handle(self->fd, self->buffer.handle);
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;
	char *seen = malloc(PAGE);
	__u64 left;
	size_t i;

	fill(self->map, LENGTH, 1);
	for (i = 0; i < ARRAY_SIZE(pinned); i++)
		ASSERT_EQ(0, pin(self, pinned[i] * PAGE, PAGE));
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(ARRAY_SIZE(pinned) * PAGE, quarantined_bytes(self->fd));
	/* Best fit: the holes in it are the smallest blocks. */
	ASSERT_EQ(0, switch_to("best"));
	for (i = 0; i < 11; i++)
		ASSERT_EQ(0, alloc_buffer(self->other, PAGE, &buffer));
	EXPECT_EQ(MEMALLOC_BLOCK_USED, state_at(self->fd, offset + PAGE));
	ASSERT_EQ(0, switch_to("good"));

	for (i = 0; i < ARRAY_SIZE(pinned); i++) {
		EXPECT_EQ(MEMALLOC_BLOCK_QUARANTINED,
			  state_at(self->fd, offset + pinned[i] * PAGE));
		ASSERT_EQ(PAGE, read(self->pipe[0], seen, PAGE));
		EXPECT_EQ(pattern(1, pinned[i] * PAGE / 8), *(__u64 *)seen);
		left = (ARRAY_SIZE(pinned) - 1 - i) * PAGE;
		EXPECT_TRUE(WAIT_UNTIL(quarantined_bytes(self->fd) == left));
		EXPECT_EQ(MEMALLOC_BLOCK_FREE, state_at(self->fd, offset + pinned[i] * PAGE));
		ASSERT_EQ(0, get_stats(self->fd, &stats));
		EXPECT_STREQ("", stats_wrong(&stats));
		EXPECT_EQ(11 + !!left, stats.buffers);
		EXPECT_EQ(11 * PAGE + left, stats.used);
	}
}

/* However many pages are held, those behind them come back when nobody holds them any more. */
TEST_F(direct, looks_go_on_behind_many_pinned_pages)
{
	const size_t pinned = 8 * MIB;		/* twice as much as is looked at in one go */
	struct memalloc_alloc buffer;
	struct iovec data;
	int pipes[8][2];
	char *map;
	int i;

	ASSERT_EQ(0, alloc_buffer(self->fd, pinned, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	for (i = 0; i < (int)ARRAY_SIZE(pipes); i++) {
		data = (struct iovec){ map + i * MIB, MIB };
		ASSERT_EQ(0, pipe(pipes[i]));
		ASSERT_LE((int)MIB, fcntl(pipes[i][1], F_SETPIPE_SZ, MIB));
		ASSERT_EQ((ssize_t)MIB, vmsplice(pipes[i][1], &data, 1, 0));
	}
	munmap(map, pinned);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(pinned, quarantined_bytes(self->fd));
	/* From the end on: before each there are as many as before, but for one pipe's. */
	for (i = ARRAY_SIZE(pipes) - 1; i >= 0; i--) {
		close(pipes[i][0]);
		close(pipes[i][1]);
		EXPECT_TRUE(WAIT_UNTIL(quarantined_bytes(self->fd) == i * MIB))
			TH_LOG("%d pipes are left", i);
	}
}

/* A pin that is gone before the buffer leaves no trace. */
TEST_F(direct, pins_that_are_over_do_no_harm)
{
	char *seen = malloc(LENGTH);

	ASSERT_EQ(0, pin(self, 0, LENGTH));
	ASSERT_EQ(LENGTH, read(self->pipe[0], seen, LENGTH));
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(0, quarantined_bytes(self->fd));
	EXPECT_EQ(0, used_bytes(self->fd));
}

/* The client is killed while a pipe that lives on holds its pages. */
TEST_F(direct, pinned_by_a_killed_client)
{
	char *seen = malloc(LENGTH);
	pid_t child;

	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	child = fork_child();
	if (!child) {
		int client = open_device();

		if (alloc_buffer(client, LENGTH, &self->buffer))
			_exit(1);
		self->map = map_buffer(client, &self->buffer);
		fill(self->map, LENGTH, 3);
		if (pin(self, 0, LENGTH))
			_exit(2);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(quarantined_bytes(self->fd) == LENGTH));
	/* Nothing of it is in what another client gets now. */
	EXPECT_EQ(0, map_all_and_look(self->other, 64 * MIB));
	EXPECT_EQ(LENGTH, quarantined_bytes(self->fd));
	ASSERT_EQ(LENGTH, read(self->pipe[0], seen, LENGTH));
	EXPECT_EQ(LENGTH, first_difference(seen, LENGTH, 3));
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
}

/* A full region does not say "no memory" while pins that are over still wait to be noticed. */
TEST_F(direct, alloc_looks_at_the_quarantine)
{
	char *seen = malloc(LENGTH);
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, pin(self, 0, LENGTH));
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	take_all(self->other);
	ASSERT_EQ(-ENOMEM, alloc_buffer(self->fd, LENGTH, &buffer));
	ASSERT_EQ(LENGTH, read(self->pipe[0], seen, LENGTH));
	EXPECT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
}

/* Start to read PIECES pieces of the disk into @map; all of it is in flight afterwards. */
static int start_reads(aio_context_t context, int disk, char *map)
{
	static struct iocb reads[PIECES];
	struct iocb *list[PIECES];
	int i;

	for (i = 0; i < PIECES; i++) {
		reads[i] = (struct iocb){
			.aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_fildes = disk,
			.aio_buf = (__u64)(uintptr_t)(map + i * PIECE),
			.aio_nbytes = PIECE,
			.aio_offset = i * PIECE,
		};
		list[i] = &reads[i];
	}
	return syscall(SYS_io_submit, context, PIECES, list) == PIECES ? 0 : -errno;
}

/*
 * The disk is still writing into a buffer when it is freed and unmapped, and
 * another client takes the largest block there is: none of what arrives may show
 * up there.
 */
TEST_F(direct, disk_writes_to_a_freed_buffer)
{
	const __u64 room = 2 * PIECES * PIECE;
	struct memalloc_alloc buffer, theirs;
	struct memalloc_stats stats;
	struct io_event events[PIECES];
	aio_context_t context = 0;
	int round, i;
	char *map;

	/* So that there is not too much to look at. */
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	ASSERT_LT(room, stats.largest_free);
	ASSERT_EQ(0, alloc_buffer(self->fd, stats.largest_free - room, &buffer));
	ASSERT_EQ(0, syscall(SYS_io_setup, PIECES, &context));
	/* So slow that a slow machine, too, frees the buffer before the disk is ready. */
	ASSERT_EQ(0, slow_disk_down(self->disk, PIECES * PIECE / 4));

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, PIECES * PIECE, &buffer));
		map = map_buffer(self->fd, &buffer);
		ASSERT_NE(MAP_FAILED, (void *)map);
		ASSERT_EQ(0, start_reads(context, self->disk, map));
		munmap(map, PIECES * PIECE);
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));

		ASSERT_EQ(0, get_stats(self->other, &stats));
		/* The disk may have written some of it by now. */
		EXPECT_LE(PIECE, stats.quarantined);
		ASSERT_EQ(0, alloc_buffer(self->other, stats.largest_free, &theirs));
		map = map_buffer(self->other, &theirs);
		ASSERT_NE(MAP_FAILED, (void *)map);
		ASSERT_EQ(PIECES, syscall(SYS_io_getevents, context, PIECES, PIECES, events, NULL));
		for (i = 0; i < PIECES; i++)
			ASSERT_EQ(PIECE, events[i].res);
		EXPECT_EQ(theirs.real_length, first_nonzero(map, theirs.real_length));
		munmap(map, theirs.real_length);
		ASSERT_EQ(0, free_buffer(self->other, theirs.handle));
		ASSERT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	}
}

struct read_call {
	int disk;
	char *map;
	pid_t tid;
	ssize_t result;
};

static void *read_piece(void *data)
{
	struct read_call *call = data;

	__atomic_store_n(&call->tid, gettid(), __ATOMIC_RELEASE);
	call->result = pread(call->disk, call->map, PIECE, 0);
	return NULL;
}

/* Whether a thread of this process sleeps until a disk is ready. */
static bool waits_for_disk(const pid_t *tid)
{
	char path[64], state = 0;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
		 __atomic_load_n(tid, __ATOMIC_ACQUIRE));
	stat = fopen(path, "r");
	if (!stat)
		return false;
	if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(stat);
	return state == 'D';
}

/*
 * A call that reads marks each page dirty when the disk has written it. By then the page has left
 * its address space, which is gone: the debug kernel would notice a look into it.
 */
TEST_F(direct, call_reads_into_a_freed_buffer)
{
	struct read_call call = { .disk = self->disk };
	struct memalloc_alloc buffer;
	pthread_t thread;

	ASSERT_EQ(0, slow_disk_down(self->disk, PIECE / 2));
	ASSERT_EQ(0, alloc_buffer(self->fd, PIECE, &buffer));
	call.map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)call.map);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_piece, &call));
	ASSERT_TRUE(WAIT_UNTIL(waits_for_disk(&call.tid)));
	munmap(call.map, PIECE);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(PIECE, quarantined_bytes(self->fd));

	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(PIECE, call.result);
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
}

TEST_HARNESS_MAIN
