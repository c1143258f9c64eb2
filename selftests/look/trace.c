// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's tracing sees of buffers: the events of what is done here, exactly
 * those and in that order. In an instance of its own, so that nobody else is disturbed.
 */
#include "dmaheap.h"
#include "tracefs.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define INSTANCE	TRACEFS "/instances/memalloc/"

FIXTURE(trace) {
	int fd;
	__u64 region;		/* its length */
	char expected[4096];	/* events, a line each */
};

/* From here on all events count, and none that came before. */
static int begin(void)
{
	return write_file(INSTANCE "trace", "\n") ?:
	       write_file(INSTANCE "events/memalloc/enable", "1");
}

FIXTURE_SETUP(trace)
{
	struct memalloc_info info;

	ASSERT_EQ(0, mount_tracefs());
	ASSERT_TRUE(!mkdir(INSTANCE, 0700) || errno == EEXIST);
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_info(self->fd, &info));
	self->region = info.region_length;
	self->expected[0] = 0;
	ASSERT_EQ(0, begin());
}

FIXTURE_TEARDOWN(trace)
{
	write_file(INSTANCE "events/memalloc/enable", "0");
	rmdir(INSTANCE);
	keep_ready(true);
}

static bool is_worker(long pid)
{
	char path[32], name[16];
	bool is = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	file = fopen(path, "r");
	if (file && fgets(name, sizeof(name), file))
		is = !strncmp(name, "kworker", 7);
	if (file)
		fclose(file);
	return is;
}

/*
 * The events since begin(), a line each, without the kernel's own columns; as a string
 * that the next call overwrites. "?" where the process is neither @pid nor the kernel.
 */
static const char *events_of(pid_t pid)
{
	static char events[1 << 20];
	FILE *file = fopen(INSTANCE "trace", "r");
	char line[512], *at = events;

	*at = 0;
	while (file && fgets(line, sizeof(line), file)) {
		const char *event = strstr(line, " memalloc_"), *who;
		bool known = false;

		if (line[0] == '#' || !event)
			continue;
		/* COMM-PID [CPU] FLAGS TIME: EVENT; a name may have anything in it. */
		for (who = line; !known && (who = strchr(who, '-')); ) {
			const long number = strtol(++who, NULL, 10);

			known = number == pid || is_worker(number);
		}
		at += sprintf(at, "%s%s", known ? "" : "?", event + 1);
		if (at > events + sizeof(events) - sizeof(line))
			break;
	}
	if (file)
		fclose(file);
	return events;
}

/* Expect one more event of @buffer's, whose block begins at page @block. */
static void expect(FIXTURE_DATA(trace) * self, const char *event, __u64 block, __u64 first,
		   __u64 pages, __u64 length)
{
	size_t n = strlen(self->expected);

	snprintf(self->expected + n, sizeof(self->expected) - n,
		 "memalloc_%s: region=%s block=%llu first=%llu pages=%llu length=%llu\n", event,
		 region_name(), block, first, pages, length);
}

static void expect_failure(FIXTURE_DATA(trace) * self, __u64 length, int error)
{
	size_t n = strlen(self->expected);

	snprintf(self->expected + n, sizeof(self->expected) - n,
		 "memalloc_failure: region=%s length=%llu error=%d\n", region_name(), length,
		 error);
}

TEST_F(trace, each_event_comes_once)
{
	struct memalloc_alloc other, buffer;
	__u64 block;
	int dmabuf;

	/* So that its block does not begin with the region. */
	ASSERT_EQ(0, alloc_buffer(self->fd, 1, &other));
	expect(self, "alloc", 0, 0, 1, 1);
	ASSERT_EQ(0, alloc_buffer(self->fd, 2 * PAGE + 808, &buffer));
	block = offset_of_handle(self->fd, buffer.handle) / PAGE;
	ASSERT_EQ(1, block);
	expect(self, "alloc", block, block, 3, 2 * PAGE + 808);
	ASSERT_EQ(0, map_errno(self->fd, buffer.mmap_offset + PAGE, 2 * PAGE, PROT_READ));
	expect(self, "map", block, block + 1, 2, 2 * PAGE + 808);
	dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
	ASSERT_LE(0, dmabuf);
	expect(self, "export", block, block, 3, 2 * PAGE + 808);
	ASSERT_EQ(0, map_errno(dmabuf, 0, PAGE, PROT_READ));
	expect(self, "map", block, block, 1, 2 * PAGE + 808);
	/* Nothing of it is free before its last user is gone. */
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	close(dmabuf);
	expect(self, "free", block, block, 3, 2 * PAGE + 808);
	ASSERT_EQ(0, free_buffer(self->fd, other.handle));
	expect(self, "free", 0, 0, 1, 1);
	EXPECT_STREQ(self->expected, events_of(getpid()));
}

TEST_F(trace, what_did_not_happen_is_no_event)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	expect(self, "alloc", 0, 0, 1, PAGE);
	EXPECT_EQ(-EINVAL, map_errno(self->fd, buffer.mmap_offset, 2 * PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, export_buffer(self->fd, buffer.handle, O_WRONLY));
	EXPECT_EQ(-ENOENT, free_buffer(self->fd, buffer.handle + 1));
	EXPECT_EQ(-ERANGE, free_length(self->fd, buffer.handle, 1));
	EXPECT_STREQ(self->expected, events_of(getpid()));
}

/* Its pages come back one after the other, as they are let go of. */
TEST_F(trace, quarantine)
{
	struct memalloc_alloc buffer;
	struct iovec page;
	int pipes[2];
	char *map;

	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &buffer));
	expect(self, "alloc", 0, 0, 3, 3 * PAGE);
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	expect(self, "map", 0, 0, 3, 3 * PAGE);
	page = (struct iovec){ map + PAGE, PAGE };
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, (size_t)vmsplice(pipes[1], &page, 1, 0));
	munmap(map, 3 * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	expect(self, "quarantine", 0, 0, 3, 3 * PAGE);
	expect(self, "free", 0, 0, 1, 3 * PAGE);
	expect(self, "free", 0, 2, 1, 3 * PAGE);
	EXPECT_STREQ(self->expected, events_of(getpid()));
	close(pipes[0]);
	close(pipes[1]);
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	expect(self, "free", 0, 1, 1, 3 * PAGE);
	EXPECT_STREQ(self->expected, events_of(getpid()));
}

TEST_F(trace, failure_tells_what_was_asked_for)
{
	int heap = open_dmaheap();
	struct memalloc_alloc buffer, *unwritable;

	ASSERT_LE(0, heap);
	/* Where things lie is told, too. */
	ASSERT_EQ(0, keep_ready(false));
	EXPECT_EQ(-EFBIG, alloc_buffer(self->fd, self->region + 1, &buffer));
	expect_failure(self, self->region + 1, -EFBIG);
	EXPECT_EQ(-EINVAL, alloc_buffer(self->fd, 0, &buffer));
	expect_failure(self, 0, -EINVAL);
	EXPECT_EQ(-ENOMEM, dmaheap_alloc(heap, self->region + 2, O_RDWR));
	expect_failure(self, self->region + 2, -ENOMEM);
	EXPECT_EQ(-EINVAL, dmaheap_alloc(heap, 5, O_APPEND));
	expect_failure(self, 5, -EINVAL);

	/* Where only the answer can't be told, the buffer came and went. */
	unwritable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)unwritable);
	*unwritable = (struct memalloc_alloc){ .size = sizeof(*unwritable), .length = 3 };
	ASSERT_EQ(0, mprotect(unwritable, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, MEMALLOC_IOC_ALLOC, unwritable));
	expect(self, "alloc", 0, 0, 1, 3);
	expect(self, "free", 0, 0, 1, 3);
	expect_failure(self, 3, -EFAULT);

	ASSERT_EQ(0, alloc_buffer(self->fd, self->region - PAGE, &buffer));
	expect(self, "alloc", 0, 0, self->region / PAGE - 1, self->region - PAGE);
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, PAGE + 1, &buffer));
	expect_failure(self, PAGE + 1, -ENOMEM);
	EXPECT_STREQ(self->expected, events_of(getpid()));
}

/* By whom an event came about is the kernel's to tell. */
TEST_F(trace, who_did_it)
{
	struct memalloc_alloc buffer;
	pid_t child;

	ASSERT_EQ(0, set_limits(self->fd, MEMALLOC_LIMITS_SET_BYTES, PAGE, 0));
	child = fork_child();
	if (!child)
		_exit(drop_privileges() || alloc_buffer(self->fd, PAGE, &buffer) ||
		      alloc_buffer(self->fd, 7, &buffer) != -EDQUOT);
	ASSERT_EQ(0, wait_child(child));
	expect(self, "alloc", 0, 0, 1, PAGE);
	expect_failure(self, 7, -EDQUOT);
	EXPECT_STREQ(self->expected, events_of(child));
}

/* The pages that the events of this run say are in use; "" or what they can't be. */
static const char *replay(const char *events, bool *used, __u64 pages)
{
	for (; *events; events = strchr(events, '\n') + 1) {
		unsigned int block, first, count;
		char event[16], region[32];
		bool alloc;

		if (sscanf(events, "memalloc_%15[a-z]: region=%31s block=%u first=%u pages=%u",
			   event, region, &block, &first, &count) != 5)
			return "it can't be read";
		if (strcmp(region, region_name()))
			return "it is another region's";
		alloc = !strcmp(event, "alloc");
		if (!alloc && strcmp(event, "free"))
			continue;
		if (first + count > pages)
			return "it leaves the region";
		for (; count--; first++) {
			if (used[first] == alloc)
				return alloc ? "it is in use" : "it is free";
			used[first] = alloc;
		}
	}
	return "";
}

TEST_F(trace, events_add_up)
{
	static struct memalloc_block blocks[1024];
	bool *used = calloc(self->region / PAGE, 1);
	struct memalloc_alloc buffers[64];
	__u64 state = 1, page, length;
	int i, n;

	ASSERT_NE(NULL, used);
	memset(buffers, 0, sizeof(buffers));
	for (i = 0; i < 1000; i++) {
		struct memalloc_alloc *buffer = &buffers[random_below(&state, 64)];

		if (buffer->handle) {
			ASSERT_EQ(0, free_buffer(self->fd, buffer->handle));
			buffer->handle = 0;
		} else {
			length = 1 + random_below(&state, 9 * PAGE);
			ASSERT_EQ(0, alloc_buffer(self->fd, length, buffer));
		}
	}
	ASSERT_STREQ("", replay(events_of(getpid()), used, self->region / PAGE));
	n = read_layout(self->fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));
	ASSERT_LT(32, n);
	for (i = 0; i < n; i++)
		for (page = 0; page < blocks[i].length / PAGE; page++)
			ASSERT_EQ(blocks[i].state != MEMALLOC_BLOCK_FREE,
				  used[blocks[i].offset / PAGE + page]);
	free(used);
}

TEST_F(trace, nothing_is_told_while_off)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, write_file(INSTANCE "events/memalloc/enable", "0"));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	EXPECT_STREQ("", events_of(getpid()));
}

TEST_HARNESS_MAIN
