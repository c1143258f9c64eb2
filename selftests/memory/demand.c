// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that find no room in one piece, though enough is free: buffers of others are moved for
 * them, who notice nothing, and within bounds.
 */
#include "pieces.h"
#include "dmaheap.h"
#include "pins.h"

#define LARGE		(PIECES / 4 * PIECE)	/* half of what it takes to make room is in use */
#define MOVED		(LARGE / 2)
#define STRANGER	4242	/* a user */
#define A_SECOND	1000

static __attribute__((constructor)) void needs_memory_that_moves(void)
{
	skip_program_if(!memory_moves(), "buffers of this region can't be moved");
}

FIXTURE(demand) {
	struct pieces pieces;
	int fd;
};

FIXTURE_SETUP(demand)
{
	ASSERT_EQ(0, make_pieces(&self->pieces));
	self->fd = self->pieces.fd;
	ASSERT_EQ(PIECE, self->pieces.before.largest_free);
}

FIXTURE_TEARDOWN(demand)
{
	EXPECT_EQ(-1, end_pieces(&self->pieces));
	EXPECT_EQ(0, move_on_demand(true));
	EXPECT_EQ(0, set_attribute("compact_budget", "64M"));
	EXPECT_EQ(0, set_attribute("compact_buffer", "16M"));
}

TEST_F(demand, is_served)
{
	struct memalloc_alloc large;
	struct memalloc_stats stats;
	char *map;

	ASSERT_EQ(0, alloc_buffer(self->fd, LARGE, &large));
	stats = since(&self->pieces);
	EXPECT_EQ(PIECES / 8, stats.moves);
	EXPECT_EQ(MOVED, stats.moved);
	EXPECT_EQ(1, stats.served_by_moves);
	EXPECT_EQ(0, stats.over_budget);
	EXPECT_EQ(0, stats.failures);
	EXPECT_LT(0, stats.longest_move);
	map = map_buffer(self->fd, &large);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(LARGE, first_nonzero(map, LARGE));
	munmap(map, LARGE);
}

TEST_F(demand, of_others)
{
	struct memalloc_alloc large;
	int stranger = open_as(STRANGER);

	ASSERT_LE(0, stranger);
	EXPECT_EQ(0, alloc_buffer(stranger, LARGE, &large));
	EXPECT_EQ(1, since(&self->pieces).served_by_moves);
	close(stranger);
}

TEST_F(demand, of_a_batch)
{
	struct memalloc_alloc buffers[3];

	ASSERT_EQ(0, alloc_batch(self->fd, buffers, 3, LARGE / 2));
	EXPECT_LE(1, since(&self->pieces).served_by_moves);
}

TEST_F(demand, of_a_dmaheap)
{
	int heap = open_dmaheap();
	int dmabuf;

	ASSERT_LE(0, heap);
	dmabuf = dmaheap_alloc(heap, LARGE, O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, dmabuf);
	EXPECT_EQ(1, since(&self->pieces).served_by_moves);
	close(dmabuf);
	close(heap);
}

/* The block has to be longer than the request, or to lie somewhere. */
TEST_F(demand, with_constraints)
{
	const __u64 alignment = 4 * PIECE;
	struct memalloc_alloc aligned;

	ASSERT_EQ(0, alloc_aligned(self->fd, 3 * PIECE, alignment, &aligned));
	EXPECT_EQ(0, offset_of_handle(self->fd, aligned.handle) % alignment);
	EXPECT_EQ(1, since(&self->pieces).served_by_moves);
}

TEST_F(demand, as_much_as_is_free)
{
	struct memalloc_alloc all, more;

	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, self->pieces.before.free + PAGE, &more));
	EXPECT_EQ(0, since(&self->pieces).moves);
	EXPECT_EQ(0, alloc_buffer(self->fd, self->pieces.before.free, &all));
	EXPECT_EQ(0, since(&self->pieces).free);
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, PAGE, &more));
}

TEST_F(demand, never)
{
	struct memalloc_alloc large;
	struct memalloc_compact answer;

	EXPECT_EQ(-EINVAL, set_attribute("compact", "sometimes"));
	ASSERT_EQ(0, move_on_demand(false));
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, LARGE, &large));
	EXPECT_EQ(0, since(&self->pieces).moves);
	EXPECT_EQ(1, since(&self->pieces).failures);
	/* The administrator still can. */
	ASSERT_EQ(0, compact(self->fd, LARGE, &answer));
	EXPECT_EQ(0, alloc_buffer(self->fd, LARGE, &large));
	EXPECT_EQ(0, since(&self->pieces).served_by_moves);
}

/* Of a second that has just begun, so that nothing was moved in it for others. */
static int set_budget(__u64 bytes)
{
	sleep_ms(A_SECOND);
	return set_number("compact_budget", bytes);
}

TEST_F(demand, within_the_budget)
{
	struct memalloc_alloc large;

	ASSERT_EQ(0, set_budget(MOVED - PAGE));
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, LARGE, &large));
	EXPECT_EQ(0, since(&self->pieces).moves);
	EXPECT_EQ(1, since(&self->pieces).over_budget);
	EXPECT_EQ(1, since(&self->pieces).failures);
	ASSERT_EQ(0, set_budget(MOVED));
	EXPECT_EQ(0, alloc_buffer(self->fd, LARGE, &large));
	EXPECT_EQ(MOVED, since(&self->pieces).moved);
}

TEST_F(demand, large_buffers_stay)
{
	struct memalloc_alloc large;

	ASSERT_EQ(0, set_number("compact_buffer", PIECE - PAGE));
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, LARGE, &large));
	EXPECT_EQ(0, since(&self->pieces).moves);
	ASSERT_EQ(0, set_number("compact_buffer", PIECE));
	EXPECT_EQ(0, alloc_buffer(self->fd, LARGE, &large));
}

/* Who tries to move a buffer has unmapped it, before the hold is noticed: once in a second. */
TEST_F(demand, held_buffers_are_left_alone)
{
	struct pins pins = {};
	struct memalloc_alloc large;
	struct memalloc_stats stats;
	const __u64 begin = now_ms();
	int i;

	for (i = 0; i < PIECES; i += 2)
		ASSERT_EQ(0, pin_page(&pins, self->pieces.maps[i] + PIECE - PAGE));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, LARGE, &large));
	stats = since(&self->pieces);
	EXPECT_EQ(0, stats.moves);
	EXPECT_LT(0, stats.moves_refused);
	EXPECT_GE(PIECES / 2 * ((now_ms() - begin) / A_SECOND + 2), stats.moves_refused);
	unpin(&pins, 0, 1);
	sleep_ms(A_SECOND);
	EXPECT_EQ(0, alloc_buffer(self->fd, LARGE, &large));
}

/* Fill all that is free with pieces, and free those of them that no two are side by side. */
static int fragment(int fd, struct memalloc_alloc *pieces, int *n)
{
	int cell[PIECES], odd = 0;
	int i, err = 0;

	for (*n = 0; !alloc_buffer(fd, PIECE, &pieces[*n]); ++*n) {
		cell[*n] = offset_of_handle(fd, pieces[*n].handle) / PIECE;
		odd += cell[*n] & 1;
	}
	for (i = 0; i < *n && !err; i++) {
		if ((cell[i] & 1) != (odd > *n / 2))
			continue;
		err = free_buffer(fd, pieces[i].handle);
		pieces[i].handle = 0;
	}
	return err;
}

/*
 * However many requests a user has, and however often the user begins anew: in a second, no more is
 * moved for them than for four.
 */
TEST_F(demand, within_the_users_bound)
{
	struct memalloc_alloc pieces[PIECES], large;
	struct memalloc_stats stats;
	int refused = 0;
	__u64 begin;
	int i, n, stranger;

	ASSERT_EQ(0, set_budget(2 * MOVED));
	begin = now_ms();
	for (i = 0; i < 100; i++) {
		stranger = open_as(STRANGER);
		ASSERT_LE(0, stranger);
		ASSERT_EQ(0, fragment(stranger, pieces, &n));
		refused += !!alloc_buffer(stranger, LARGE / 2, &large);
		close(stranger);
	}
	stats = since(&self->pieces);
	EXPECT_LT(0, stats.served_by_moves);
	/* Seconds begin and end in between. */
	EXPECT_GE(4 * 2 * MOVED * ((now_ms() - begin) / A_SECOND + 2), stats.moved);
	EXPECT_LE(refused, stats.over_budget);
	printf("# %llu served, %d refused, %llu KiB moved in %llu ms\n", stats.served_by_moves,
	       refused, stats.moved >> 10, now_ms() - begin);
}

TEST_HARNESS_MAIN
