// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be seen from outside, without a call: the figures of the region in sysfs, and
 * what a client holds in /proc/PID/fdinfo. They are those that the calls tell.
 */
#include "memalloc_test.h"

#include <sys/stat.h>
#include <sys/uio.h>

FIXTURE(observe) {
	int fd;
};

FIXTURE_SETUP(observe)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(observe)
{
	switch_to("good");
}

/* The file, as a string that the next call overwrites; "" if it can't be read. */
static const char *text_of(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return text;
}

static const char *figure(const char *name)
{
	return text_of(ATTRIBUTE(name));
}

#define EXPECT_FIGURE(name, value)					\
do {									\
	char expected[32];						\
									\
	snprintf(expected, sizeof(expected), "%llu\n", (__u64)(value));	\
	EXPECT_STREQ(expected, figure(name))				\
		TH_LOG("%s", name);					\
} while (0)

#define EXPECT_FIGURES_OF_STATS()					\
do {									\
	struct memalloc_stats stats;					\
									\
	ASSERT_EQ(0, get_stats(self->fd, &stats));			\
	EXPECT_FIGURE("size", stats.region_length);			\
	EXPECT_FIGURE("used", stats.used);				\
	EXPECT_FIGURE("free", stats.free);				\
	EXPECT_FIGURE("largest_free", stats.largest_free);		\
	EXPECT_FIGURE("fragmentation", stats.fragmentation);		\
	EXPECT_FIGURE("buffers", stats.buffers);			\
	EXPECT_FIGURE("quarantined", stats.quarantined);		\
} while (0)

TEST_F(observe, figures_are_those_of_stats)
{
	struct memalloc_alloc buffers[8];
	struct memalloc_stats stats;
	int i;

	EXPECT_FIGURES_OF_STATS();
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, (i + 1) * 4 * MIB, &buffers[i]));
	for (i = 0; i < 8; i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	EXPECT_FIGURES_OF_STATS();

	/* No two of them are alike by now, and none is what it was. */
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_LT(0, stats.fragmentation);
	EXPECT_LT(stats.largest_free, stats.free);
	EXPECT_NE(stats.used, stats.free);
	EXPECT_EQ(4, stats.buffers);
}

TEST_F(observe, figures_know_the_quarantine)
{
	struct memalloc_alloc buffer;
	struct iovec page;
	int pipes[2];

	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &buffer));
	page = (struct iovec){ map_buffer(self->fd, &buffer), PAGE };
	ASSERT_NE(MAP_FAILED, page.iov_base);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, (size_t)vmsplice(pipes[1], &page, 1, 0));
	munmap(page.iov_base, 3 * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_FIGURE("quarantined", PAGE);
	close(pipes[0]);
	close(pipes[1]);
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	EXPECT_FIGURE("quarantined", 0);
}

TEST_F(observe, figure_of_the_fit)
{
	static const char *const fits[] = { "first", "best", "worst", "next", "good" };
	char expected[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fits); i++) {
		ASSERT_EQ(0, switch_to(fits[i]));
		snprintf(expected, sizeof(expected), "%s\n", fits[i]);
		EXPECT_STREQ(expected, figure("fit"));
	}
}

TEST_F(observe, figures_are_only_read)
{
	static const char *const names[] = {
		"size", "used", "free", "largest_free", "fragmentation", "buffers", "quarantined",
	};
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, stat(ATTRIBUTE(names[i]), &st));
		EXPECT_EQ(0444, st.st_mode & 07777);
	}
}

TEST_F(observe, settings_are_written_by_root)
{
	static const char *const names[] = {
		"fit", "user_bytes", "user_buffers", "client_bytes", "client_buffers",
	};
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, stat(ATTRIBUTE(names[i]), &st));
		EXPECT_EQ(0644, st.st_mode & 07777);
		EXPECT_EQ(0, st.st_uid);
	}
}

/* The lines of the client's fdinfo that are ours. */
static const char *lines_of(int fd)
{
	const char *ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ours = strstr(text_of(path), "memalloc-");
	return ours ? ours : "";
}

#define EXPECT_LINES(fd, access, handles, buffers, bytes)		\
do {									\
	char expected[256];						\
									\
	snprintf(expected, sizeof(expected), "memalloc-region:\t%s\n"	\
		 "memalloc-access:\t%s\nmemalloc-handles:\t%d\n"	\
		 "memalloc-buffers:\t%d\nmemalloc-bytes:\t%lu\n",	\
		 region_name(), access, handles, buffers, (unsigned long)(bytes)); \
	EXPECT_STREQ(expected, lines_of(fd));				\
} while (0)

TEST_F(observe, fdinfo_tells_what_a_client_holds)
{
	int other = open(DEVICE, O_RDONLY), dmabuf;
	struct memalloc_import import;
	struct memalloc_alloc a, b;

	ASSERT_LE(0, other);
	EXPECT_LINES(self->fd, "read-write", 0, 0, 0);
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &a));
	ASSERT_EQ(0, alloc_buffer(self->fd, 1, &b));
	EXPECT_LINES(self->fd, "read-write", 2, 2, 3 * PAGE);
	EXPECT_LINES(other, "read-only", 0, 0, 0);

	dmabuf = export_buffer(self->fd, a.handle, O_RDWR);
	ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	EXPECT_LINES(other, "read-only", 1, 1, 2 * PAGE);
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	EXPECT_LINES(self->fd, "read-write", 3, 2, 3 * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, a.handle));
	EXPECT_LINES(self->fd, "read-write", 2, 2, 3 * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_LINES(self->fd, "read-write", 1, 1, PAGE);
}

#define EXPECT_ABANDONED(before, more_buffers, more_bytes)			\
do {										\
	struct memalloc_stats after;						\
										\
	ASSERT_EQ(0, get_stats(self->fd, &after));				\
	EXPECT_EQ((before).abandoned_buffers + (more_buffers), after.abandoned_buffers);	\
	EXPECT_EQ((before).abandoned_bytes + (more_bytes), after.abandoned_bytes);	\
} while (0)

TEST_F(observe, abandoned_is_what_a_closed_client_held)
{
	struct memalloc_alloc a, b, c;
	struct memalloc_import import;
	struct memalloc_stats before;
	int other = open_device(), dmabuf;
	void *map;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, get_stats(self->fd, &before));
	ASSERT_EQ(0, alloc_buffer(other, PAGE + 1, &a));
	ASSERT_EQ(0, alloc_buffer(other, 3 * PAGE, &b));
	ASSERT_EQ(0, alloc_buffer(other, 5 * PAGE, &c));
	/* One buffer, two handles; and one that is freed, though it stays in use. */
	dmabuf = export_buffer(other, a.handle, O_RDWR);
	ASSERT_EQ(0, import_buffer(other, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	ASSERT_NE(a.handle, import.handle);
	map = map_buffer(other, &c);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, free_buffer(other, c.handle));
	EXPECT_ABANDONED(before, 0, 0);
	close(other);
	EXPECT_ABANDONED(before, 2, 5 * PAGE);

	/* Whoever frees all leaves nothing behind. */
	other = open_device();
	ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	ASSERT_EQ(0, free_buffer(other, import.handle));
	close(other);
	EXPECT_ABANDONED(before, 2, 5 * PAGE);
	/* That others have it too is no difference. */
	other = open_device();
	ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, 0, &import));
	close(other);
	EXPECT_ABANDONED(before, 3, 7 * PAGE);
}

TEST_F(observe, abandoned_is_what_a_killed_program_held)
{
	struct memalloc_alloc buffers[10];
	struct memalloc_stats before;
	pid_t child;
	int i;

	ASSERT_EQ(0, get_stats(self->fd, &before));
	child = fork_child();
	if (!child) {
		int fd = open_device();

		for (i = 0; i < 10; i++)
			if (alloc_buffer(fd, PAGE, &buffers[i]))
				_exit(1);
		raise(SIGKILL);
	}
	ASSERT_EQ(128 + SIGKILL, wait_child(child));
	ASSERT_TRUE(WAIT_UNTIL(is_idle(self->fd)));
	EXPECT_ABANDONED(before, 10, 10 * PAGE);
}

TEST_HARNESS_MAIN
