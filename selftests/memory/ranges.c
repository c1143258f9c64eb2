// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of several ranges: made of them, or grown while they are in use. No buffer crosses from
 * one range into another, constraints hold in all of them, and a range that is given back is empty
 * before, while programs go on.
 */
#include "control.h"
#include "pins.h"

#define NAME		"ranges"
#define OWN		(16 * MIB)
#define ADDED		(8 * MIB)
#define LENGTH_MAX	(64 * MIB)
#define RANGES_MAX	4
#define BUFFERS		256		/* of a range, at most */
#define USER		61200

static __attribute__((constructor)) void is_for_its_own_region(void)
{
	setenv("MEMALLOC_NODE", "memalloc-" NAME, 1);
}

FIXTURE(ranges) {
	int control;
	int fd;
	struct memalloc_info info;
	struct memalloc_alloc buffers[BUFFERS];
	char *maps[BUFFERS];
	int n;				/* buffers */
};

static int look(FIXTURE_DATA(ranges) * self)
{
	return get_info(self->fd, &self->info);
}

FIXTURE_SETUP(ranges)
{
	self->control = open_control();
	ASSERT_LE(0, self->control);
	destroy_region(self->control, NAME);
	ASSERT_EQ(0, create_growable(self->control, NAME, OWN, RANGES_MAX, LENGTH_MAX));
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, keep_ready(false));
	self->n = 0;
	ASSERT_EQ(0, look(self));
}

FIXTURE_TEARDOWN(ranges)
{
	int i;

	for (i = 0; i < self->n; i++)
		if (self->maps[i])
			munmap(self->maps[i], self->buffers[i].real_length);
	close(self->fd);
	EXPECT_TRUE(WAIT_UNTIL(!destroy_region(self->control, NAME)));
}

static int grow(FIXTURE_DATA(ranges) * self, __u64 length)
{
	int number = grow_region(self->control, NAME, length);

	return look(self) ?: number;
}

static int shrink(FIXTURE_DATA(ranges) * self, __u32 range, struct memalloc_shrink *shrink)
{
	int err;

	*shrink = shrinking_of(NAME, range);
	err = call(self->control, MEMALLOC_CONTROL_SHRINK, shrink);
	return look(self) ?: err;
}

/* One buffer more, of @length, mapped, with a pattern. */
static int add_buffer(FIXTURE_DATA(ranges) * self, __u64 length)
{
	struct memalloc_alloc *buffer = &self->buffers[self->n];
	int err = self->n == BUFFERS ? -ENOSPC : alloc_buffer(self->fd, length, buffer);

	if (err)
		return err;
	self->maps[self->n] = map_buffer(self->fd, buffer);
	if (self->maps[self->n] == MAP_FAILED)
		return -errno;
	if (first_nonzero(self->maps[self->n], length) != length)
		return -EIO;
	fill(self->maps[self->n], length, self->n);
	self->n++;
	return 0;
}

static int fill_region(FIXTURE_DATA(ranges) * self, __u64 length)
{
	int err;

	do
		err = add_buffer(self, length);
	while (!err);
	return err == -ENOMEM ? 0 : err;
}

static void drop_buffer(FIXTURE_DATA(ranges) * self, int i)
{
	munmap(self->maps[i], self->buffers[i].real_length);
	free_buffer(self->fd, self->buffers[i].handle);
	self->maps[i] = NULL;
}

static int first_wrong(FIXTURE_DATA(ranges) const *self)
{
	int i;

	for (i = 0; i < self->n; i++)
		if (self->maps[i] && first_difference(self->maps[i], self->buffers[i].real_length,
						      i) != self->buffers[i].real_length)
			break;
	return i;
}

/* A range, in bytes of the layout. */
struct part {
	__u64 first;
	__u64 end;
};

/* Where the ranges are, from the first to the last, by the gaps in the layout. How many? */
static int read_parts(int fd, struct part *parts)
{
	static struct memalloc_block blocks[4096];
	int i, parted = 0, n = read_layout(fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));
	bool gap = true;

	for (i = 0; i < n; i++) {
		if (blocks[i].state == MEMALLOC_BLOCK_GAP) {
			gap = true;
			continue;
		}
		if (gap)
			parts[parted++].first = blocks[i].offset;
		gap = false;
		parts[parted - 1].end = blocks[i].offset + blocks[i].length;
	}
	return parted;
}

TEST_F(ranges, info_tells_them)
{
	char text[128] = "";
	int fd;

	EXPECT_EQ(1, self->info.ranges);
	EXPECT_EQ(RANGES_MAX, self->info.ranges_max);
	EXPECT_EQ(OWN, self->info.region_length);
	EXPECT_EQ(OWN, self->info.buffer_max);
	EXPECT_EQ(OWN, self->info.range_lengths[0]);
	EXPECT_LE(LENGTH_MAX, self->info.layout_length);

	EXPECT_EQ(1, grow(self, ADDED));
	EXPECT_EQ(2, grow(self, 2 * OWN));
	EXPECT_EQ(3, self->info.ranges);
	EXPECT_EQ(3 * OWN + ADDED, self->info.region_length);
	EXPECT_EQ(2 * OWN, self->info.buffer_max);
	EXPECT_EQ(ADDED, self->info.range_lengths[1]);
	EXPECT_EQ(2 * OWN, self->info.range_lengths[2]);
	EXPECT_EQ(0, self->info.range_lengths[3]);

	fd = open(ATTRIBUTE("ranges"), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_LT(0, read(fd, text, sizeof(text) - 1));
	close(fd);
	EXPECT_STREQ("0 16777216\n1 8388608\n2 33554432\n", text);
	fd = open(ATTRIBUTE("buffer_max"), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	memset(text, 0, sizeof(text));
	EXPECT_LT(0, read(fd, text, sizeof(text) - 1));
	close(fd);
	EXPECT_STREQ("33554432\n", text);
}

/* A region that is full to the last granule, and no buffer has pages of two ranges. */
TEST_F(ranges, no_buffer_crosses)
{
	struct part parts[RANGES_MAX];
	struct memalloc_stats stats;
	struct memalloc_alloc buffer;
	int i, j;

	ASSERT_EQ(1, grow(self, ADDED));
	ASSERT_EQ(2, grow(self, ADDED));
	EXPECT_EQ(-EFBIG, alloc_buffer(self->fd, OWN + 1, &buffer));
	ASSERT_EQ(0, fill_region(self, 3 * PAGE * 37));
	ASSERT_EQ(0, fill_region(self, PAGE * 37));
	take_all(self->fd);
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
	EXPECT_EQ(0, stats.free);
	EXPECT_EQ(self->info.region_length, stats.used);
	EXPECT_EQ(3, read_parts(self->fd, parts));
	for (i = 0; i < self->n; i++) {
		const __u64 first = offset_of_handle(self->fd, self->buffers[i].handle);
		const __u64 last = physical(self->fd, &self->buffers[i],
					    self->buffers[i].real_length - PAGE);

		for (j = 0; j < 3 && parts[j].end <= first; j++)
			;
		EXPECT_LE(parts[j].first, first);
		EXPECT_GE(parts[j].end, first + self->buffers[i].real_length);
		EXPECT_EQ(self->buffers[i].real_length - PAGE,
			  last - physical(self->fd, &self->buffers[i], 0));
	}
	EXPECT_EQ(self->n, first_wrong(self));
}

/* Alignments, boundaries and windows mean addresses, whatever range they end up in. */
TEST_F(ranges, constraints_hold_in_all)
{
	struct memalloc_alloc in_range;
	__u64 alignment, first;
	__u32 handles[4];
	int i;

	ASSERT_EQ(1, grow(self, ADDED));
	for (alignment = PAGE; alignment <= self->info.max_alignment; alignment *= 2) {
		struct memalloc_alloc buffer = {
			.size = sizeof(buffer), .length = PAGE, .alignment = alignment,
		};

		for (i = 0; i < (int)ARRAY_SIZE(handles); i++) {
			ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
			EXPECT_EQ(0, physical(self->fd, &buffer, 0) % alignment);
			handles[i] = buffer.handle;
		}
		while (i--)
			EXPECT_EQ(0, free_buffer(self->fd, handles[i]));
	}
	/* The first that is in the added range. */
	ASSERT_EQ(0, switch_to("first"));
	while (!alloc_buffer(self->fd, ADDED / 8, &in_range) &&
	       offset_of_handle(self->fd, in_range.handle) < (__s64)OWN)
		;
	first = physical(self->fd, &in_range, 0);
	EXPECT_EQ(0, free_buffer(self->fd, in_range.handle));
	for (i = 0; i < 4; i++) {
		struct memalloc_alloc buffer = {
			.size = sizeof(buffer), .length = ADDED / 8,
			.window_start = first, .window_end = first + ADDED / 8 - 1,
		};
		struct memalloc_alloc second = buffer;

		ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
		EXPECT_EQ(first, physical(self->fd, &buffer, 0));
		EXPECT_EQ(-ENOMEM, call(self->fd, MEMALLOC_IOC_ALLOC, &second));
		EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
	}
}

/* A window is kept when the buffer is moved, also by what comes after. */
TEST_F(ranges, windows_hold_in_moves)
{
	struct memalloc_alloc buffer = { .size = sizeof(buffer), .length = ADDED / 8 };
	struct memalloc_alloc first;
	struct memalloc_shrink answer;
	__u64 at;

	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &first));
	at = physical(self->fd, &first, 0) - offset_of_handle(self->fd, first.handle);
	ASSERT_EQ(1, grow(self, ADDED));
	buffer.window_start = at;
	buffer.window_end = at + OWN - 1;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
	ASSERT_EQ(0, fill_region(self, ADDED / 8));
	EXPECT_LE(buffer.window_start, physical(self->fd, &buffer, 0));
	drop_buffer(self, 0);
	EXPECT_EQ(-EBUSY, shrink(self, 1, &answer));
	EXPECT_LE(buffer.window_start, physical(self->fd, &buffer, 0));
	EXPECT_GE(buffer.window_end, physical(self->fd, &buffer, ADDED / 8 - PAGE));
	EXPECT_EQ(self->n, first_wrong(self));
}

TEST_F(ranges, grow_errors)
{
	struct memalloc_grow growth = growth_of(NAME, ADDED);

	EXPECT_EQ(-EINVAL, grow(self, 0));
	EXPECT_EQ(-EINVAL, grow(self, PAGE + 1));
	EXPECT_EQ(-EFBIG, grow(self, 1ULL << 50));
	EXPECT_EQ(-ENOENT, grow_region(self->control, "nosuch", ADDED));
	EXPECT_EQ(-ENOSPC, grow(self, LENGTH_MAX));
	EXPECT_EQ(-ENOSPC, grow(self, LENGTH_MAX - OWN + PAGE));
	growth.node = 99;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_GROW, &growth));
	growth.node = -1;
	growth.reserved = 1;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_GROW, &growth));
	memset(growth.name, 'x', sizeof(growth.name));
	growth.reserved = 0;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_GROW, &growth));
	EXPECT_EQ(1, grow(self, ADDED));
	EXPECT_EQ(2, grow(self, ADDED));
	EXPECT_EQ(3, grow(self, ADDED));
	EXPECT_EQ(-ENOSPC, grow(self, PAGE));	/* too many */
	EXPECT_EQ(4, self->info.ranges);
}

TEST_F(ranges, shrink_errors)
{
	struct memalloc_shrink answer;

	EXPECT_EQ(-EINVAL, shrink(self, 0, &answer));
	EXPECT_EQ(-ENOENT, shrink(self, 1, &answer));
	EXPECT_EQ(-ENOENT, shrink(self, MEMALLOC_RANGES_MAX, &answer));
	EXPECT_EQ(-ENOENT, shrink(self, ~0U, &answer));
	EXPECT_EQ(-ENOENT, shrink_region(self->control, "nosuch", 1));
	answer = shrinking_of(NAME, 1);
	answer.reserved = 1;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_SHRINK, &answer));
	memset(answer.name, 'x', sizeof(answer.name));
	answer.reserved = 0;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_SHRINK, &answer));
}

/* In a region that may have one range only. */
TEST_F(ranges, one_range_stays_one)
{
	struct memalloc_create create = region_called("single", OWN);
	struct memalloc_info info;
	int fd;

	create.ranges = MEMALLOC_RANGES_MAX + 1;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_CREATE, &create));
	create.ranges = 2;
	create.reserved2 = 1;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_CREATE, &create));
	create.reserved2 = 0;
	create.ranges = 2;
	create.base = 1ULL << 40;
	snprintf((char *)create.source, sizeof(create.source), "reserved");
	EXPECT_EQ(-EOPNOTSUPP, call(self->control, MEMALLOC_CONTROL_CREATE, &create));
	create = region_called("single", OWN);
	create.ranges = 1;
	create.length_max = OWN + PAGE;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_CREATE, &create));
	ASSERT_EQ(0, create_region(self->control, "single", OWN));
	EXPECT_EQ(-ENOSPC, grow_region(self->control, "single", ADDED));
	fd = open("/dev/memalloc-single", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, get_info(fd, &info));
	EXPECT_EQ(1, info.ranges_max);
	EXPECT_EQ(info.region_length, info.layout_length);
	close(fd);
	EXPECT_EQ(0, destroy_region(self->control, "single"));
}

/* What is there comes into the other range, and the system gets the memory. */
TEST_F(ranges, shrink_moves_buffers)
{
	struct memalloc_shrink answer;
	struct memalloc_stats stats;
	int i, round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(1, grow(self, OWN));
		self->n = 0;
		ASSERT_EQ(0, fill_region(self, OWN / 32));
		ASSERT_EQ(64, self->n);
		for (i = round % 2; i < self->n; i += 2)
			drop_buffer(self, i);
		ASSERT_EQ(0, shrink(self, 1, &answer));
		EXPECT_EQ(OWN, answer.length);
		EXPECT_LT(0, answer.moves);
		EXPECT_EQ(answer.moves * (OWN / 32), answer.moved);
		EXPECT_EQ(OWN, self->info.region_length);
		EXPECT_EQ(1, self->info.ranges);
		EXPECT_EQ(self->n, first_wrong(self));
		ASSERT_EQ(0, get_stats(self->fd, &stats));
		EXPECT_STREQ("", stats_wrong(&stats));
		EXPECT_EQ(OWN, stats.used);
		EXPECT_EQ(0, stats.free);
		for (i = 1 - round % 2; i < self->n; i += 2)
			drop_buffer(self, i);
	}
}

/* Room is made for what comes out of the range, if all is in pieces elsewhere. */
TEST_F(ranges, shrink_makes_room)
{
	struct memalloc_shrink answer;
	int i;

	ASSERT_EQ(0, fill_region(self, OWN / 64));
	ASSERT_EQ(64, self->n);
	for (i = 0; i < 64; i += 2)
		drop_buffer(self, i);
	ASSERT_EQ(1, grow(self, ADDED));
	ASSERT_EQ(0, add_buffer(self, ADDED));
	ASSERT_EQ(0, shrink(self, 1, &answer));
	EXPECT_LE(2, answer.moves);
	EXPECT_EQ(self->n, first_wrong(self));
}

/* The answer when something stays, which costs nothing that was there. */
#define EXPECT_STAYS(field, bytes)						\
do {										\
	struct memalloc_shrink answer;						\
	struct memalloc_stats stats;						\
										\
	EXPECT_EQ(-EBUSY, shrink(self, 1, &answer));				\
	EXPECT_EQ(ADDED, answer.length);					\
	EXPECT_EQ(bytes, answer.field) TH_LOG(#field);				\
	EXPECT_EQ(bytes, answer.held + answer.mapped + answer.disclosed + answer.huge +	\
		  answer.quarantined);						\
	EXPECT_EQ(OWN + ADDED, self->info.region_length);			\
	EXPECT_EQ(2, self->info.ranges);					\
	EXPECT_EQ(0, get_stats(self->fd, &stats));				\
	EXPECT_STREQ("", stats_wrong(&stats));					\
	EXPECT_EQ(OWN + ADDED, stats.region_length);				\
	EXPECT_EQ(self->n, first_wrong(self));					\
} while (0)

/* A buffer of @length that is in the added range, beside nothing. */
static int add_to_range(FIXTURE_DATA(ranges) * self, __u64 length)
{
	struct memalloc_alloc rest;
	int err = alloc_buffer(self->fd, OWN, &rest) ?: grow(self, ADDED) == 1 ? 0 : -EIO;

	return err ?: add_buffer(self, length) ?: free_buffer(self->fd, rest.handle);
}

TEST_F(ranges, shrink_says_what_is_disclosed)
{
	struct memalloc_shrink answer;
	struct memalloc_query query;

	ASSERT_EQ(0, set_attribute("compact", "never"));
	ASSERT_EQ(0, add_to_range(self, 8 * PAGE));
	ASSERT_EQ(0, query_physical(self->fd, self->buffers[0].handle, &query));
	EXPECT_STAYS(disclosed, 8 * PAGE);
	drop_buffer(self, 0);
	EXPECT_EQ(0, shrink(self, 1, &answer));
}

/* What is about to be pinned is moved to the range that stays. */
TEST_F(ranges, pinned_buffers_are_no_obstacle)
{
	struct memalloc_shrink answer;
	struct memalloc_query query;

	ASSERT_EQ(0, add_to_range(self, 8 * PAGE));
	ASSERT_EQ(0, query_physical(self->fd, self->buffers[0].handle, &query));
	EXPECT_EQ(OWN - 8 * PAGE, offset_of_handle(self->fd, self->buffers[0].handle));
	EXPECT_EQ(0, shrink(self, 1, &answer));
	EXPECT_EQ(0, answer.moves);
	EXPECT_EQ(self->n, first_wrong(self));
	drop_buffer(self, 0);
}

/* The answer is of the one range, not of those behind it. */
TEST_F(ranges, shrink_says_what_is_in_the_range)
{
	struct memalloc_shrink answer;
	struct memalloc_query query;
	struct pins pins = { 0 };

	ASSERT_EQ(0, set_attribute("compact", "never"));
	ASSERT_EQ(0, add_to_range(self, ADDED));
	ASSERT_EQ(0, pin_page(&pins, self->maps[0] + PAGE));
	ASSERT_EQ(0, fill_region(self, ADDED));
	ASSERT_EQ(2, grow(self, ADDED));
	ASSERT_EQ(0, add_buffer(self, PAGE));
	ASSERT_EQ(0, query_physical(self->fd, self->buffers[self->n - 1].handle, &query));
	EXPECT_EQ(-EBUSY, shrink(self, 1, &answer));
	EXPECT_EQ(ADDED, answer.held);
	EXPECT_EQ(0, answer.disclosed);
	unpin(&pins, 0, 1);
	drop_buffer(self, self->n - 1);
}

TEST_F(ranges, shrink_says_what_is_held)
{
	struct memalloc_shrink answer;
	struct pins pins = { 0 };

	ASSERT_EQ(0, add_to_range(self, 8 * PAGE));
	ASSERT_EQ(0, pin_page(&pins, self->maps[0] + PAGE));
	EXPECT_STAYS(held, 8 * PAGE);
	unpin(&pins, 0, 1);
	EXPECT_EQ(0, shrink(self, 1, &answer));
	EXPECT_EQ(1, answer.moves);
	EXPECT_EQ(self->n, first_wrong(self));
}

TEST_F(ranges, shrink_says_what_is_quarantined)
{
	struct memalloc_shrink answer;
	struct pins pins = { 0 };

	ASSERT_EQ(0, add_to_range(self, 8 * PAGE));
	ASSERT_EQ(0, pin_page(&pins, self->maps[0] + PAGE));
	drop_buffer(self, 0);
	EXPECT_STAYS(quarantined, PAGE);
	unpin(&pins, 0, 1);
	EXPECT_EQ(0, shrink(self, 1, &answer));
	EXPECT_EQ(0, quarantined_bytes(self->fd));
}

/* Nothing is lost of what finds no room elsewhere, and it can be allocated there as before. */
TEST_F(ranges, shrink_says_what_has_no_room)
{
	ASSERT_EQ(1, grow(self, ADDED));
	ASSERT_EQ(0, fill_region(self, ADDED / 8));
	drop_buffer(self, self->n - 1);
	drop_buffer(self, self->n - 2);
	EXPECT_STAYS(held, 6 * ADDED / 8);
	EXPECT_EQ(0, add_buffer(self, ADDED / 8));
	EXPECT_EQ(0, add_buffer(self, ADDED / 8));
	EXPECT_EQ(-ENOMEM, add_buffer(self, PAGE));
	/* What is freed there now is free, as before. */
	drop_buffer(self, self->n - 1);
	EXPECT_EQ(0, add_buffer(self, ADDED / 8));
}

/* A file that is open keeps the region, but not from becoming smaller. */
TEST_F(ranges, gaps_are_no_memory)
{
	struct memalloc_alloc buffer;
	struct memalloc_shrink answer;
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(1, grow(self, ADDED));
		ASSERT_EQ(2, grow(self, ADDED));
		ASSERT_EQ(0, shrink(self, 1, &answer));
		ASSERT_EQ(1, grow(self, ADDED / 2));
		EXPECT_EQ(OWN + ADDED + ADDED / 2, take_all(self->fd));
		close(self->fd);
		self->fd = open_idle_device();
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, shrink(self, 1, &answer));
		ASSERT_EQ(0, shrink(self, 2, &answer));
		EXPECT_EQ(-EFBIG, alloc_buffer(self->fd, OWN + PAGE, &buffer));
		EXPECT_EQ(OWN, take_all(self->fd));
		close(self->fd);
		self->fd = open_idle_device();
		ASSERT_LE(0, self->fd);
	}
}

/* What was zeroed before it came needs not be zeroed again; what was dirty is forgotten. */
TEST_F(ranges, nothing_is_left_dirty)
{
	struct memalloc_shrink answer;

	ASSERT_EQ(0, add_to_range(self, ADDED));
	drop_buffer(self, 0);
	ASSERT_EQ(0, shrink(self, 1, &answer));
	EXPECT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));
	ASSERT_EQ(1, grow(self, ADDED));
	EXPECT_EQ(0, dirty_bytes(self->fd));
	self->n = 0;
	ASSERT_EQ(0, fill_region(self, ADDED));
}

/* Users may have by default what the region has now, but for a sixteenth. */
TEST_F(ranges, default_limits_follow)
{
	struct memalloc_limits limits;
	struct memalloc_shrink answer;
	int fd;

	ASSERT_EQ(0, set_attribute("user_bytes", "default"));
	fd = open_as(USER);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, get_limits(fd, &limits));
	EXPECT_EQ(OWN / 16 * 15, limits.user_bytes_max);
	ASSERT_EQ(1, grow(self, OWN));
	ASSERT_EQ(0, get_limits(fd, &limits));
	EXPECT_EQ(OWN / 8 * 15, limits.user_bytes_max);
	ASSERT_EQ(0, shrink(self, 1, &answer));
	ASSERT_EQ(0, get_limits(fd, &limits));
	EXPECT_EQ(OWN / 16 * 15, limits.user_bytes_max);
	close(fd);
}

TEST_HARNESS_MAIN
