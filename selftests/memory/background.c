// SPDX-License-Identifier: GPL-2.0-only
/*
 * In the background, what is free is put together before somebody asks for it: buffers are moved
 * while their programs use them, and within bounds.
 */
#include "pieces.h"
#include "pins.h"

#define HALF		500		/* of the fragmentation, and the default threshold */
#define A_WHILE		2000		/* a few looks of the background */
#define SECONDS		120
#define HELD		10		/* one buffer in so many pieces is held */

static __attribute__((constructor)) void needs_memory_that_moves(void)
{
	skip_program_if(!memory_moves(), "buffers of this region can't be moved");
}

FIXTURE(background) {
	struct pieces pieces;
};

FIXTURE_SETUP(background)
{
	ASSERT_EQ(0, make_pieces(&self->pieces));
	ASSERT_LT(HALF, self->pieces.before.fragmentation);
}

FIXTURE_TEARDOWN(background)
{
	EXPECT_EQ(0, set_attribute("compact", "demand"));
	EXPECT_EQ(0, set_attribute("compact_threshold", "500"));
	EXPECT_EQ(0, set_attribute("compact_buffer", "16M"));
	EXPECT_EQ(-1, end_pieces(&self->pieces));
}

/* False: @pieces are not, in time. */
static bool are_put_together(const struct pieces *pieces)
{
	return WAIT_UNTIL(since(pieces).fragmentation <= HALF);
}

TEST_F(background, puts_together)
{
	struct memalloc_alloc large;
	struct memalloc_stats stats;

	ASSERT_EQ(0, set_attribute("compact", "background"));
	EXPECT_TRUE(are_put_together(&self->pieces));
	stats = since(&self->pieces);
	EXPECT_LT(0, stats.moves);
	EXPECT_EQ(0, alloc_buffer(self->pieces.fd, stats.largest_free, &large));
	EXPECT_EQ(0, since(&self->pieces).served_by_moves);
	printf("# %llu KiB of %llu in one piece after %llu KiB were moved\n",
	       stats.largest_free >> 10, stats.free >> 10, stats.moved >> 10);
}

/* A request does not wait for the background. */
TEST_F(background, and_on_demand)
{
	struct memalloc_alloc all;

	ASSERT_EQ(0, set_attribute("compact_threshold", "1000"));
	ASSERT_EQ(0, set_attribute("compact", "background"));
	EXPECT_EQ(0, alloc_buffer(self->pieces.fd, self->pieces.before.free, &all));
	EXPECT_EQ(1, since(&self->pieces).served_by_moves);
}

TEST_F(background, not_before_it_is_wanted)
{
	sleep_ms(A_WHILE);
	EXPECT_EQ(0, since(&self->pieces).moves);
	EXPECT_LT(HALF, since(&self->pieces).fragmentation);
}

TEST_F(background, not_below_the_threshold)
{
	ASSERT_EQ(0, set_number("compact_threshold", self->pieces.before.fragmentation + 1));
	ASSERT_EQ(0, set_attribute("compact", "background"));
	sleep_ms(A_WHILE);
	EXPECT_EQ(0, since(&self->pieces).moves);
	ASSERT_EQ(0, set_attribute("compact_threshold", "500"));
	EXPECT_TRUE(are_put_together(&self->pieces));
}

TEST_F(background, not_any_more)
{
	ASSERT_EQ(0, set_attribute("compact_threshold", "1000"));
	ASSERT_EQ(0, set_attribute("compact", "background"));
	ASSERT_EQ(0, set_attribute("compact", "never"));
	ASSERT_EQ(0, set_attribute("compact_threshold", "500"));
	sleep_ms(A_WHILE);
	EXPECT_EQ(0, since(&self->pieces).moves);
}

TEST_F(background, large_buffers_stay)
{
	ASSERT_EQ(0, set_number("compact_buffer", PIECE - PAGE));
	ASSERT_EQ(0, set_attribute("compact", "background"));
	sleep_ms(A_WHILE);
	EXPECT_EQ(0, since(&self->pieces).moves);
}

/* Does the figure stay the same for a while that is longer than pauses between steps? */
static bool rests(const struct pieces *pieces, __u64 (*figure)(const struct pieces *pieces))
{
	const __u64 end = now_ms() + 60000;
	__u64 was = figure(pieces), begin = now_ms();

	while (now_ms() < end && now_ms() - begin < 2 * A_WHILE) {
		sleep_ms(100);
		if (figure(pieces) != was)
			begin = now_ms();
		was = figure(pieces);
	}
	return now_ms() - begin >= 2 * A_WHILE;
}

static __u64 moves_now(const struct pieces *pieces)
{
	return since(pieces).moves;
}

static __u64 refused_now(const struct pieces *pieces)
{
	return since(pieces).moves_refused;
}

/* Who tries to move a buffer has unmapped it before the hold is noticed: ever more seldom. */
TEST_F_TIMEOUT(background, held_buffers_are_left_alone, SECONDS)
{
	struct pins pins = {};
	int i;

	for (i = 0; i < PIECES; i += 2)
		ASSERT_EQ(0, pin_page(&pins, self->pieces.maps[i] + PIECE - PAGE));
	ASSERT_EQ(0, set_attribute("compact", "background"));
	EXPECT_TRUE(WAIT_UNTIL(refused_now(&self->pieces)));
	EXPECT_TRUE(rests(&self->pieces, refused_now));
	EXPECT_EQ(0, moves_now(&self->pieces));
	unpin(&pins, 0, 1);
	/* Who chooses the mode anew need not wait. */
	ASSERT_EQ(0, set_attribute("compact", "demand"));
	ASSERT_EQ(0, set_attribute("compact", "background"));
	EXPECT_TRUE(are_put_together(&self->pieces));
}

/* Where no more can be had, what could be moved to and fro for ever comes to rest. */
TEST_F_TIMEOUT(background, comes_to_rest, SECONDS)
{
	struct pins pins = {};
	int i;

	for (i = HELD; i < PIECES; i += HELD)
		ASSERT_EQ(0, pin_page(&pins, self->pieces.maps[i]));
	ASSERT_EQ(0, set_attribute("compact_threshold", "0"));
	ASSERT_EQ(0, set_attribute("compact", "background"));
	EXPECT_TRUE(WAIT_UNTIL(moves_now(&self->pieces)));
	EXPECT_TRUE(rests(&self->pieces, moves_now));
	unpin(&pins, 0, 1);
}

TEST_F(background, takes_what_it_knows)
{
	EXPECT_EQ(-EINVAL, set_attribute("compact", "backgrounds"));
	EXPECT_EQ(-EINVAL, set_attribute("compact_threshold", "1001"));
	EXPECT_EQ(-EINVAL, set_attribute("compact_threshold", "-1"));
	EXPECT_EQ(-EINVAL, set_attribute("compact_threshold", "half"));
	EXPECT_EQ(0, set_attribute("compact_threshold", "1000"));
	EXPECT_EQ(0, set_attribute("compact_threshold", "0"));
}

TEST_HARNESS_MAIN
