// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that are moved while they are used: their programs notice nothing, and what must not be
 * moved stays.
 */
#include "memalloc_test.h"
#include "pins.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#define PIECES		32
#define PIECE_PAGES	72	/* more than are copied at a time */
#define PIECE		(PIECE_PAGES * PAGE)

static __attribute__((constructor)) void needs_memory_that_moves(void)
{
	skip_program_if(!memory_moves(), "buffers of this region can't be moved");
}

FIXTURE(move) {
	int fd;
	struct memalloc_alloc buffers[PIECES];
	char *maps[PIECES];
	struct memalloc_alloc rest;
};

/* Where the buffer lies now, in pages. */
static __s64 place(int fd, const struct memalloc_alloc *buffer)
{
	return offset_of_handle(fd, buffer->handle);
}

/* The first PIECES pieces of the region are buffers, and one buffer has the rest. */
FIXTURE_SETUP(move)
{
	struct memalloc_stats stats;
	int i;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, move_on_demand(false));
	for (i = 0; i < PIECES; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, PIECE, &self->buffers[i]));
		self->maps[i] = map_buffer(self->fd, &self->buffers[i]);
		ASSERT_NE(MAP_FAILED, self->maps[i]);
		fill(self->maps[i], PIECE, i);
	}
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	ASSERT_EQ(0, alloc_buffer(self->fd, stats.free, &self->rest));
}

FIXTURE_TEARDOWN(move)
{
	int i;

	for (i = 0; i < PIECES; i++)
		munmap(self->maps[i], PIECE);
	close(self->fd);
	EXPECT_EQ(0, move_on_demand(true));
}

static int free_piece(FIXTURE_DATA(move) * self, int i)
{
	return free_buffer(self->fd, self->buffers[i].handle) ?: munmap(self->maps[i], PIECE);
}

/* Free every second piece, from the second on. */
static int free_every_second(FIXTURE_DATA(move) * self)
{
	int i, err = 0;

	for (i = 1; i < PIECES && !err; i += 2)
		err = free_piece(self, i);
	return err;
}

/* The first piece that is left and not what it was, or PIECES. */
static int first_wrong(FIXTURE_DATA(move) * self)
{
	int i;

	for (i = 0; i < PIECES; i += 2)
		if (first_difference(self->maps[i], PIECE, i) != PIECE)
			return i;
	return PIECES;
}

TEST_F(move, one_block_of_pieces)
{
	struct memalloc_compact answer;
	struct memalloc_alloc large;
	struct memalloc_stats before, now;
	char *map;

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));
	ASSERT_EQ(0, get_stats(self->fd, &before));
	ASSERT_EQ(PIECE, before.largest_free);
	ASSERT_EQ(-ENOMEM, alloc_buffer(self->fd, PIECES / 4 * PIECE, &large));

	ASSERT_EQ(0, compact(self->fd, PIECES / 4 * PIECE, &answer));
	EXPECT_LE(PIECES / 4 * PIECE, answer.largest_free);
	/* Half of the window was in use. */
	EXPECT_EQ(PIECES / 8, answer.moves);
	EXPECT_EQ(PIECES / 8 * PIECE, answer.moved);
	EXPECT_EQ(0, answer.held + answer.mapped + answer.disclosed + answer.huge);
	EXPECT_EQ(PIECES, first_wrong(self));
	ASSERT_EQ(0, get_stats(self->fd, &now));
	EXPECT_EQ(before.free, now.free);
	EXPECT_EQ(before.buffers, now.buffers);
	EXPECT_EQ(before.requested, now.requested);
	EXPECT_STREQ("", stats_wrong(&now));
	EXPECT_EQ(answer.largest_free, now.largest_free);

	/* Nothing of what was there is left. */
	ASSERT_EQ(0, alloc_buffer(self->fd, PIECES / 4 * PIECE, &large));
	map = map_buffer(self->fd, &large);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(large.real_length, first_nonzero(map, large.real_length));
	munmap(map, large.real_length);
}

/* As much as can be, and what is free in the end is one block. */
TEST_F(move, all_in_one_piece)
{
	struct memalloc_compact answer;
	struct memalloc_stats stats;

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ(stats.free, answer.largest_free);
	EXPECT_EQ(1, stats.free_blocks);
	EXPECT_EQ(PIECES, first_wrong(self));
}

/*
 * Between two gaps of so many pages lie pieces that fit nowhere else: they slide down by one of
 * them, and where they were and where they are overlap.
 */
static void expect_to_slide(struct __test_metadata *_metadata, FIXTURE_DATA(move) * self,
			    size_t pages)
{
	const size_t gap = pages * PAGE;
	struct memalloc_compact answer;
	__s64 was = place(self->fd, &self->buffers[6]);
	int i;

	ASSERT_EQ(0, resize_buffer(self->fd, self->buffers[4].handle, PIECE - gap));
	ASSERT_EQ(0, resize_buffer(self->fd, self->buffers[8].handle, PIECE - gap));
	ASSERT_EQ(0, compact(self->fd, 2 * gap, &answer));
	EXPECT_EQ(4, answer.moves);
	EXPECT_EQ(4 * PIECE - gap, answer.moved);
	EXPECT_EQ(2 * gap, answer.largest_free);
	EXPECT_EQ(was - (__s64)gap, place(self->fd, &self->buffers[6]));
	for (i = 0; i < PIECES; i++) {
		const size_t length = PIECE - (i == 4 || i == 8) * gap;

		EXPECT_EQ(length, first_difference(self->maps[i], length, i)) TH_LOG("piece %d", i);
	}
	EXPECT_EQ(0, free_piece(self, 6));
	EXPECT_EQ(0, free_piece(self, 7));
}

TEST_F(move, slides)
{
	expect_to_slide(_metadata, self, 40);
}

TEST_F(move, slides_by_a_page)
{
	expect_to_slide(_metadata, self, 1);
}

/* As if it had been allocated there: what is still zero is zero. */
TEST_F(move, slides_untouched)
{
	struct memalloc_alloc untouched[3];
	struct memalloc_compact answer;
	char *map;
	int i;

	for (i = 4; i < 7; i++) {
		ASSERT_EQ(0, free_piece(self, i));
		self->maps[i] = NULL;
	}
	ASSERT_EQ(0, alloc_buffer(self->fd, 10 * PAGE, &untouched[0]));
	ASSERT_EQ(0, alloc_buffer(self->fd, 2 * PIECE, &untouched[1]));
	ASSERT_EQ(0, alloc_buffer(self->fd, PIECE - 10 * PAGE, &untouched[2]));
	ASSERT_EQ(0, free_buffer(self->fd, untouched[0].handle));
	ASSERT_EQ(0, free_buffer(self->fd, untouched[2].handle));
	map = map_buffer(self->fd, &untouched[1]);
	ASSERT_NE(MAP_FAILED, map);
	memset(map + PIECE, 0xaa, PAGE);
	ASSERT_EQ(0, compact(self->fd, PIECE, &answer));
	EXPECT_EQ(1, answer.moves);
	EXPECT_EQ(PIECE, first_nonzero(map, PIECE));
	EXPECT_EQ((char)0xaa, map[PIECE]);
	EXPECT_EQ(PIECE - PAGE, first_nonzero(map + PIECE + PAGE, PIECE - PAGE));
	munmap(map, 2 * PIECE);
}

/* The last page of a piece that would slide is held: all is undone. */
TEST_F(move, held_pages_do_not_slide)
{
	struct memalloc_compact answer;
	struct pins pins = {};
	__s64 was = place(self->fd, &self->buffers[6]);

	ASSERT_EQ(0, resize_buffer(self->fd, self->buffers[4].handle, PIECE - 20 * PAGE));
	ASSERT_EQ(0, resize_buffer(self->fd, self->buffers[8].handle, PIECE - 20 * PAGE));
	ASSERT_EQ(0, pin_page(&pins, self->maps[6] + PIECE - PAGE));
	ASSERT_EQ(0, compact(self->fd, 40 * PAGE, &answer));
	EXPECT_EQ(PIECE, answer.held);
	EXPECT_EQ(was, place(self->fd, &self->buffers[6]));
	EXPECT_EQ(PIECE, first_difference(self->maps[6], PIECE, 6));
	unpin(&pins, 0, 1);
	ASSERT_EQ(0, compact(self->fd, 40 * PAGE, &answer));
	EXPECT_EQ(0, answer.held);
	EXPECT_NE(was, place(self->fd, &self->buffers[6]));
	EXPECT_EQ(PIECE, first_difference(self->maps[6], PIECE, 6));
}

/* Who writes after the move writes to the same buffer as whoever else has it. */
TEST_F(move, one_buffer_for_all)
{
	const __s64 was = place(self->fd, &self->buffers[2]);
	struct memalloc_compact answer;
	struct memalloc_import import;
	char *imported, *by_dmabuf;
	int dmabuf, other;
	pid_t child;

	dmabuf = export_buffer(self->fd, self->buffers[2].handle, O_RDWR);
	ASSERT_LE(0, dmabuf);
	by_dmabuf = map_at(dmabuf, 0, PIECE, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, by_dmabuf);
	other = open_device();
	ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	imported = map_at(other, import.mmap_offset, PIECE, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, imported);
	ASSERT_EQ(0, first_nonzero(imported, PIECE) == PIECE);
	ASSERT_EQ(PIECE, first_difference(by_dmabuf, PIECE, 2));

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	ASSERT_NE(was, place(self->fd, &self->buffers[2]));
	fill(imported, PIECE, 77);
	EXPECT_EQ(PIECE, first_difference(self->maps[2], PIECE, 77));
	EXPECT_EQ(PIECE, first_difference(by_dmabuf, PIECE, 77));
	child = fork_child();
	if (!child) {
		fill(by_dmabuf, PIECE, 78);
		_exit(first_difference(self->maps[2], PIECE, 78) != PIECE);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(PIECE, first_difference(self->maps[2], PIECE, 78));
	close(other);
	close(dmabuf);
}

/* Nobody sees what buffers leave that were moved to where all was zero. */
TEST_F(move, freed_after_it)
{
	struct memalloc_compact answer;
	struct memalloc_alloc next;
	char *map;
	int i;

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_LT(0, answer.moves);
	for (i = 0; i < PIECES; i += 2)
		ASSERT_EQ(0, free_piece(self, i));
	ASSERT_EQ(0, alloc_buffer(self->fd, PIECES * PIECE, &next));
	map = map_buffer(self->fd, &next);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(PIECES * PIECE, first_nonzero(map, PIECES * PIECE));
	munmap(map, PIECES * PIECE);
}

/* Its mmap offset stays its own, also when another buffer begins at its place. */
TEST_F(move, offsets_stay)
{
	struct memalloc_compact answer;
	struct memalloc_alloc others[PIECES];
	struct memalloc_query query;
	char *again, *other;
	int i;

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	for (i = 1; i < PIECES; i += 2) {
		ASSERT_EQ(0, alloc_buffer(self->fd, PIECE, &others[i]));
		other = map_buffer(self->fd, &others[i]);
		ASSERT_NE(MAP_FAILED, other);
		fill(other, PIECE, 100 + i);
		munmap(other, PIECE);
	}
	for (i = 0; i < PIECES; i += 2) {
		ASSERT_EQ(0, query_buffer(self->fd, self->buffers[i].handle, &query));
		EXPECT_EQ(self->buffers[i].mmap_offset, query.mmap_offset);
		again = map_buffer(self->fd, &self->buffers[i]);
		ASSERT_NE(MAP_FAILED, again);
		EXPECT_EQ(PIECE, first_difference(again, PIECE, i));
		munmap(again, PIECE);
		other = map_buffer(self->fd, &others[i + 1]);
		EXPECT_EQ(PIECE, first_difference(other, PIECE, 101 + i));
		munmap(other, PIECE);
	}
	/* And when both are gone, the next ones have offsets of their own again. */
	for (i = 0; i < PIECES; i += 2) {
		ASSERT_EQ(0, free_buffer(self->fd, self->buffers[i].handle));
		ASSERT_EQ(0, free_buffer(self->fd, others[i + 1].handle));
	}
}

/* Nobody has touched them: what they get is zero nonetheless, and nothing had to be copied. */
TEST_F(move, untouched)
{
	struct memalloc_alloc buffers[PIECES];
	struct memalloc_compact answer;
	char *map;
	int i;

	/* Where they move to was in use. */
	for (i = 0; i < PIECES; i++) {
		ASSERT_EQ(0, free_piece(self, i));
		ASSERT_EQ(0, alloc_buffer(self->fd, PIECE, &buffers[i]));
	}
	for (i = 1; i < PIECES; i += 2) {
		map = map_buffer(self->fd, &buffers[i]);
		ASSERT_NE(MAP_FAILED, map);
		memset(map, 0xaa, PIECE);
		munmap(map, PIECE);
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	}
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_LT(0, answer.moves);
	for (i = 0; i < PIECES; i += 2) {
		map = map_buffer(self->fd, &buffers[i]);
		ASSERT_NE(MAP_FAILED, map);
		EXPECT_EQ(PIECE, first_nonzero(map, PIECE));
		munmap(map, PIECE);
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	}
}

TEST_F(move, constraints_stay)
{
	const __u64 alignment = 256 * PAGE;
	struct memalloc_alloc aligned[4], plugs[4];
	struct memalloc_compact answer;
	int i;

	ASSERT_EQ(0, free_buffer(self->fd, self->rest.handle));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, alloc_aligned(self->fd, 3 * PAGE, alignment, &aligned[i]));
		ASSERT_EQ(0, alloc_buffer(self->fd, 200 * PAGE, &plugs[i]));
	}
	ASSERT_EQ(0, free_every_second(self));
	for (i = 0; i < 4; i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, plugs[i].handle));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, place(self->fd, &aligned[i]) % alignment);
}

/* A page of each second of those that are left is held. */
TEST_F(move, held_pages_stay)
{
	struct memalloc_compact answer;
	struct pins pins = {};
	__s64 places[PIECES];
	int i;

	ASSERT_EQ(0, free_every_second(self));
	for (i = 0; i < PIECES; i += 4) {
		/* The first, the last or one between. */
		const size_t page = i / 4 % 3 * (PIECE_PAGES - 1) / 2;

		places[i] = place(self->fd, &self->buffers[i]);
		ASSERT_EQ(0, pin_page(&pins, self->maps[i] + page * PAGE));
	}
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_LT(0, answer.held);
	EXPECT_EQ(PIECES, first_wrong(self));
	for (i = 0; i < PIECES; i += 4)
		EXPECT_EQ(places[i], place(self->fd, &self->buffers[i]));
	for (i = 0; i < PIECES; i += 2)
		fill(self->maps[i], PIECE, i);
	unpin(&pins, 0, 1);

	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_EQ(0, answer.held);
	EXPECT_EQ(PIECES, first_wrong(self));
	for (i = 0; i < PIECES; i += 2)
		fill(self->maps[i], PIECE, i);
	EXPECT_EQ(PIECES, first_wrong(self));
}

TEST_F(move, disclosed_addresses_stay)
{
	struct memalloc_compact answer;
	struct memalloc_query before, now;

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_EQ(0, query_physical(self->fd, self->buffers[4].handle, &before));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_EQ(PIECE, answer.disclosed);
	ASSERT_EQ(0, query_physical(self->fd, self->buffers[4].handle, &now));
	EXPECT_EQ(before.physical, now.physical);
	EXPECT_EQ(PIECES, first_wrong(self));
	EXPECT_EQ(0, free_buffer(self->fd, self->buffers[4].handle));
}

TEST_F(move, huge_entries_stay)
{
	struct memalloc_compact answer;
	struct memalloc_alloc huge[2];
	struct memalloc_info info;
	struct memalloc_alloc plug;
	__s64 before;
	char *map;

	ASSERT_EQ(0, get_info(self->fd, &info));
	if (!info.huge_mapping)
		SKIP(return, "no huge mappings here");
	ASSERT_EQ(0, free_buffer(self->fd, self->rest.handle));
	ASSERT_EQ(0, alloc_huge(self->fd, info.huge_mapping, &huge[0]));
	ASSERT_EQ(0, alloc_buffer(self->fd, info.huge_mapping, &plug));
	ASSERT_EQ(0, alloc_huge(self->fd, info.huge_mapping, &huge[1]));
	map = map_buffer(self->fd, &huge[1]);
	ASSERT_NE(MAP_FAILED, map);
	fill(map, huge[1].real_length, 9);
	before = place(self->fd, &huge[1]);
	ASSERT_EQ(0, free_buffer(self->fd, plug.handle));
	ASSERT_EQ(0, free_every_second(self));

	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_EQ(info.huge_mapping, answer.huge);
	EXPECT_EQ(before, place(self->fd, &huge[1]));
	EXPECT_EQ(huge[1].real_length, first_difference(map, huge[1].real_length, 9));
	munmap(map, huge[1].real_length);

	/* The other one may move; to where huge entries are possible. */
	EXPECT_EQ(0, place(self->fd, &huge[0]) % info.huge_mapping);
}

TEST_F(move, resized_after_it)
{
	struct memalloc_compact answer;
	int i;

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	for (i = 0; i < PIECES; i += 2)
		ASSERT_EQ(0, resize_buffer(self->fd, self->buffers[i].handle, PIECE / 2));
	EXPECT_EQ(SIGBUS, touch_signal(self->maps[0] + PIECE / 2, false));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	for (i = 0; i < PIECES; i += 2)
		EXPECT_EQ(PIECE / 2, first_difference(self->maps[i], PIECE / 2, i));
	EXPECT_EQ(SIGBUS, touch_signal(self->maps[0] + PIECE / 2, false));
}

/* A thread that waits at a word of a buffer is woken by who wakes after the move. */
static void *wait_at_word(void *word)
{
	while (!__atomic_load_n((int *)word, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return NULL;
}

TEST_F(move, futexes_stay)
{
	struct memalloc_compact answer;
	pthread_t thread;
	char *other;
	int *word = (int *)self->maps[2];
	__s64 was = place(self->fd, &self->buffers[2]);

	other = map_buffer(self->fd, &self->buffers[2]);
	ASSERT_NE(MAP_FAILED, other);
	*word = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_at_word, word));
	sleep_ms(300);
	ASSERT_EQ(0, free_every_second(self));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	ASSERT_NE(was, place(self->fd, &self->buffers[2]));
	__atomic_store_n((int *)other, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(1, syscall(SYS_futex, other, FUTEX_WAKE, 1, NULL, NULL, 0));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	munmap(other, PIECE);
}

TEST_F(move, within_the_budget)
{
	struct memalloc_compact answer = {
		.size = sizeof(answer),
		.length = PIECES / 4 * PIECE,
		.budget = PIECES / 8 * PIECE - 1,
	};

	ASSERT_EQ(0, free_every_second(self));
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_COMPACT, &answer));
	EXPECT_EQ(0, answer.moves);
	EXPECT_EQ(PIECE, answer.largest_free);
	answer.length = 0;
	answer.budget = 0;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_COMPACT, &answer));
	EXPECT_EQ(0, answer.moves);
	answer.length = PIECES / 4 * PIECE;
	answer.budget = PIECES / 8 * PIECE;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_COMPACT, &answer));
	EXPECT_EQ(PIECES / 8, answer.moves);
	EXPECT_LE(answer.length, answer.largest_free);
}

TEST_F(move, for_administrators)
{
	struct memalloc_compact answer;
	struct memalloc_info info;
	pid_t child;

	ASSERT_EQ(0, get_info(self->fd, &info));
	EXPECT_EQ(-EFBIG, compact(self->fd, info.region_length + 1, &answer));
	EXPECT_EQ(-EFBIG, compact(self->fd, UINT64_MAX, &answer));
	answer.flags = 1;
	EXPECT_EQ(-EINVAL, call(self->fd, MEMALLOC_IOC_COMPACT, &answer));
	child = fork_child();
	if (!child) {
		drop_privileges();
		_exit(compact(self->fd, 0, &answer) != -EPERM);
	}
	EXPECT_EQ(0, wait_child(child));
}

TEST_HARNESS_MAIN
