// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker leaves as much rubbish as he can: each of his buffers lies in the middle of the
 * one before, of which a pipe holds the first and the last page. He pays for it, nobody else
 * gives it back for him, and all of it is back once he lets go. What a call of others
 * costs meanwhile is counted in bounds.c.
 */
#include "hostile.h"
#include "pins.h"
#include "tracefs.h"

#define VICTIM	61012
#define LEVELS	200U
#define LENGTH	(512 * PAGE)
#define FREE_EVENT	TRACEFS "/events/memalloc/memalloc_free/enable"

FIXTURE(quarantine) {
	struct scene scene;
	struct pins pins;
};

FIXTURE_SETUP(quarantine)
{
	ASSERT_EQ(0, allow_descriptors());
	ASSERT_EQ(0, switch_to("best"));
	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, as_user(MALLORY));
	ASSERT_EQ(0, nest_pinned(self->scene.mallory, &self->pins, LENGTH, LEVELS));
}

FIXTURE_TEARDOWN(quarantine)
{
	EXPECT_STREQ("", end_scene(&self->scene));
	EXPECT_EQ(0, switch_to("good"));
}

static bool is_charged(int fd, __u64 pages, __u64 buffers)
{
	struct memalloc_limits limits;

	return !get_limits(fd, &limits) && limits.client_bytes == pages * PAGE &&
	       limits.client_buffers == buffers && limits.user_bytes == pages * PAGE &&
	       limits.user_buffers == buffers;
}

/* Half of the pages come back, though each of these is between two that don't; then the rest. */
TEST_F(quarantine, nested_buffers_come_back)
{
	const int fd = self->scene.mallory;
	__u64 half = 0;
	unsigned int i;

	EXPECT_TRUE(is_charged(fd, 2 * LEVELS, LEVELS));
	EXPECT_EQ(2 * LEVELS * PAGE, quarantined_bytes(fd));
	for (i = 0; i < self->pins.count; i += 2)
		half += i + 1 < self->pins.count ? PINS_OF_PIPE : self->pins.used;
	unpin(&self->pins, 0, 2);
	EXPECT_TRUE(WAIT_UNTIL(quarantined_bytes(fd) == (2 * LEVELS - half) * PAGE));
	unpin(&self->pins, 1, 2);
	EXPECT_TRUE(WAIT_UNTIL(is_charged(fd, 0, 0)));
	EXPECT_EQ(0, quarantined_bytes(fd));
}

/* Who is at the limit gets the own rubbish back as soon as the pipes are gone. */
TEST_F(quarantine, own_rubbish_is_looked_at)
{
	const int fd = self->scene.mallory;
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, set_limits(fd, MEMALLOC_LIMITS_SET_BYTES, 2 * LEVELS * PAGE, 0));
	EXPECT_EQ(-EDQUOT, alloc_buffer(fd, PAGE, &buffer));
	unpin(&self->pins, 0, 1);
	EXPECT_EQ(0, alloc_buffer(fd, 2 * LEVELS * PAGE, &buffer));
	EXPECT_TRUE(is_charged(fd, 2 * LEVELS, 1));
	EXPECT_EQ(0, free_buffer(fd, buffer.handle));
}

/* Of @pid, how many pieces of memory it gave back, as the events tell. */
static int given_back_by(pid_t pid)
{
	FILE *trace = fopen(TRACEFS "/trace", "r");
	char line[512], task[32];
	int count = 0;

	if (!trace)
		return -1;
	snprintf(task, sizeof(task), "-%d ", pid);
	while (fgets(line, sizeof(line), trace))
		count += strstr(line, task) && strstr(line, "memalloc_free:");
	fclose(trace);
	return count;
}

/* A call of his that fails for want of room, and one that fails for a limit. */
static int fail_twice(__u64 region)
{
	int fd = become(VICTIM) ?: open_device();
	struct memalloc_alloc buffer;

	if (set_limits(fd, MEMALLOC_LIMITS_SET_BYTES, region, 0) ||
	    alloc_buffer(fd, region, &buffer) != -ENOMEM)
		return 1;
	if (set_limits(fd, MEMALLOC_LIMITS_SET_BYTES, 0, 0) ||
	    alloc_buffer(fd, PAGE, &buffer) != -EDQUOT)
		return 2;
	return 0;
}

/*
 * Nothing holds the rubbish any more, and it waits for the background. Whoever else is
 * refused in that moment gives nothing of it back.
 */
TEST_F(quarantine, others_do_not_collect)
{
	struct memalloc_stats stats;
	pid_t child;

	ASSERT_EQ(0, get_stats(self->scene.mallory, &stats));
	ASSERT_EQ(0, as_root());
	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, mount_tracefs());
	ASSERT_EQ(0, write_file(TRACEFS "/trace", "\n"));
	ASSERT_EQ(0, write_file(FREE_EVENT, "1"));
	unpin(&self->pins, 0, 1);
	child = fork_child();
	if (!child)
		_exit(fail_twice(stats.region_length));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->scene.fd)));
	EXPECT_EQ(0, write_file(FREE_EVENT, "0"));
	EXPECT_EQ(0, given_back_by(child));
	/* The events are there. */
	EXPECT_LT(0, given_back_by(self->scene.pid));
	ASSERT_EQ(0, as_user(MALLORY));
}

TEST_HARNESS_MAIN
