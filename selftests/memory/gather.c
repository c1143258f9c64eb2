// SPDX-License-Identifier: GPL-2.0-only
/*
 * A buffer that is about to be pinned for long is moved to the end of the region before, so that
 * what is pinned does not lie between what can be moved.
 */
#include "pieces.h"
#include "pins.h"

static __attribute__((constructor)) void needs_memory_that_moves(void)
{
	skip_program_if(!memory_moves(), "buffers of this region can't be moved");
}

FIXTURE(gather) {
	int fd;
	struct memalloc_alloc buffers[PIECES];
	char *maps[PIECES];
	__s64 end;		/* of the region */
};

FIXTURE_SETUP(gather)
{
	struct memalloc_info info;
	int i;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, get_info(self->fd, &info));
	self->end = info.region_length;
	for (i = 0; i < PIECES; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, PIECE, &self->buffers[i]));
		self->maps[i] = map_buffer(self->fd, &self->buffers[i]);
		ASSERT_NE(MAP_FAILED, self->maps[i]);
		fill(self->maps[i], PIECE, i);
	}
}

FIXTURE_TEARDOWN(gather)
{
	int i;

	for (i = 0; i < PIECES; i++) {
		EXPECT_EQ(PIECE, first_difference(self->maps[i], PIECE, i)) TH_LOG("piece %d", i);
		/* What was disclosed would be retained. */
		EXPECT_EQ(0, free_buffer(self->fd, self->buffers[i].handle));
	}
	close(self->fd);
	EXPECT_EQ(0, move_on_demand(true));
	EXPECT_EQ(0, set_attribute("compact_budget", "64M"));
	EXPECT_EQ(0, set_attribute("compact_buffer", "16M"));
}

static __s64 offset_of(FIXTURE_DATA(gather) * self, int i)
{
	return offset_of_handle(self->fd, self->buffers[i].handle);
}

/* Tells where it is; an errno, or 0 if it has moved up. */
static int disclose(FIXTURE_DATA(gather) * self, int i)
{
	const __s64 was = offset_of(self, i);
	struct memalloc_query query;
	int err = query_physical(self->fd, self->buffers[i].handle, &query);

	return err ?: offset_of(self, i) > was ? 0 : -EEXIST;
}

TEST_F(gather, side_by_side_at_the_end)
{
	struct memalloc_query first, other;
	int i;

	for (i = 0; i < PIECES; i += 4)
		ASSERT_EQ(0, disclose(self, i));
	for (i = 0; i < PIECES; i += 4)
		EXPECT_EQ(self->end - (i / 4 + 1) * (__s64)PIECE, offset_of(self, i));
	/* What was told is where they are. */
	ASSERT_EQ(0, query_physical(self->fd, self->buffers[0].handle, &first));
	ASSERT_EQ(0, query_physical(self->fd, self->buffers[4].handle, &other));
	EXPECT_EQ(PIECE, first.physical - other.physical);
}

/* Once it is known, it does not move any more. */
TEST_F(gather, for_good)
{
	struct memalloc_compact answer;
	__s64 was;

	ASSERT_EQ(0, disclose(self, 1));
	was = offset_of(self, 1);
	ASSERT_EQ(0, disclose(self, 0));
	EXPECT_EQ(-EEXIST, disclose(self, 1));
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_EQ(was, offset_of(self, 1));
}

/* Where it lies then, is as near to the end as may be. */
TEST_F(gather, within_its_constraints)
{
	const __u64 step = 4 * PIECE;
	struct memalloc_alloc bounded = { .size = sizeof(bounded), .length = step,
					  .boundary = step };
	struct memalloc_alloc aligned;
	struct memalloc_query query;

	ASSERT_EQ(0, alloc_aligned(self->fd, PIECE, step, &aligned));
	ASSERT_EQ(0, query_physical(self->fd, aligned.handle, &query));
	EXPECT_EQ(self->end - (__s64)step, offset_of_handle(self->fd, aligned.handle));
	/* It would fit behind that one, but for the boundary in between. */
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &bounded));
	ASSERT_EQ(0, query_physical(self->fd, bounded.handle, &query));
	EXPECT_EQ(self->end - 2 * (__s64)step, offset_of_handle(self->fd, bounded.handle));
	EXPECT_EQ(0, free_buffer(self->fd, aligned.handle));
	EXPECT_EQ(0, free_buffer(self->fd, bounded.handle));
}

TEST_F(gather, not_if_nothing_moves)
{
	ASSERT_EQ(0, move_on_demand(false));
	EXPECT_EQ(-EEXIST, disclose(self, 0));
}

TEST_F(gather, not_if_it_is_large)
{
	ASSERT_EQ(0, set_number("compact_buffer", PIECE - PAGE));
	EXPECT_EQ(-EEXIST, disclose(self, 0));
}

TEST_F(gather, not_over_the_budget)
{
	ASSERT_EQ(0, set_number("compact_budget", PIECE - PAGE));
	EXPECT_EQ(-EEXIST, disclose(self, 0));
}

/* Held pages are no reason not to tell. */
TEST_F(gather, not_while_it_is_held)
{
	struct pins pins = {};

	ASSERT_EQ(0, pin_page(&pins, self->maps[0]));
	EXPECT_EQ(-EEXIST, disclose(self, 0));
	unpin(&pins, 0, 1);
}

TEST_HARNESS_MAIN
