// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that do not see the CPU's caches, on arm64: each time that memory is handed over, the
 * kernel writes the caches' lines of that memory back, or throws them away. Emulated caches hold
 * nothing back, so bytes can't show that it was forgotten. Probes in the kernel show each call of
 * the architecture's functions that do it: for which memory, and which way its bytes go.
 */
#include "edu_calls.h"
#include "tracefs.h"

#include <stdio.h>
#include <sys/stat.h>

#define LENGTH		(256 * KIB)
#define GROUP		"memalloc_caches"
#define INSTANCE	TRACEFS "/instances/" GROUP "/"
#define EVENTS_MAX	1024

enum kind { FOR_DEVICE, FOR_CPU, KINDS };

static const char *const kinds[KINDS] = { "for_device", "for_cpu" };

static const char *const directions[] = { "both", "to", "from" };

struct event {
	enum kind kind;
	__u64 from, length;
	__u32 direction;
};

FIXTURE(caches) {
	int fd;
	struct memalloc_alloc buffer;
	char *map;
	int dmabuf;
	int edu;
	__u64 physical;		/* of the buffer */
};

static int set_probes(void)
{
	const char *arguments = "from=$arg1:u64 length=$arg2:u64 direction=$arg3:u32";
	char line[256];
	enum kind i;
	int err = 0;

	for (i = 0; !err && i < KINDS; i++) {
		snprintf(line, sizeof(line), "p:" GROUP "/%s arch_sync_dma_%s %s", kinds[i],
			 kinds[i], arguments);
		err = append_file(TRACEFS "/kprobe_events", line);
	}
	return err;
}

/* From here on, what is done counts, and nothing that was done before. */
static int begin(void)
{
	return write_file(INSTANCE "trace", "\n") ?:
	       write_file(INSTANCE "events/" GROUP "/enable", "1");
}

/* "TASK CPU FLAGS TIME: KIND: (PLACE) from=F length=L direction=D" */
static bool parse_line(const char *line, struct event *event)
{
	const char *values = strstr(line, " from=");
	char name[32];

	for (event->kind = 0; values && event->kind < KINDS; event->kind++) {
		snprintf(name, sizeof(name), ": %s: ", kinds[event->kind]);
		if (strstr(line, name))
			return sscanf(values, " from=%llu length=%llu direction=%u", &event->from,
				      &event->length, &event->direction) == 3;
	}
	return false;
}

/* What was done to the buffer since begin(), with offsets in it instead of addresses; how much. */
static int read_events(FIXTURE_DATA(caches) * self, struct event *events)
{
	FILE *file = fopen(INSTANCE "trace", "r");
	char line[512];
	int n = 0;

	while (file && n < EVENTS_MAX && fgets(line, sizeof(line), file)) {
		struct event *event = &events[n];

		if (!parse_line(line, event))
			continue;
		event->from -= self->physical;
		n += event->from < LENGTH || event->from + event->length - 1 < LENGTH;
	}
	if (file)
		fclose(file);
	return n;
}

static bool follows(const struct event *event, const struct event *before)
{
	return event->kind == before->kind && event->direction == before->direction &&
	       event->from == before->from + before->length;
}

/*
 * The same as "KIND DIRECTION FROM+LENGTH; ...", in a string that the next call overwrites. Ranges
 * that follow each other are one.
 */
static const char *done(FIXTURE_DATA(caches) * self)
{
	static struct event events[EVENTS_MAX];
	static char text[4096];
	const int n = read_events(self, events);
	struct event range;
	char *at = text;
	int i = 0;

	*at = 0;
	while (i < n && at < text + sizeof(text) - 64) {
		for (range = events[i++]; i < n && follows(&events[i], &range); i++)
			range.length += events[i].length;
		at += sprintf(at, "%s%s %s %llu+%llu", at > text ? "; " : "", kinds[range.kind],
			      range.direction < ARRAY_SIZE(directions) ?
			      directions[range.direction] : "?", range.from, range.length);
	}
	return text;
}

/* One range. */
static const char *once(enum kind kind, __u32 direction, __u64 from, __u64 length)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s %s %llu+%llu", kinds[kind], directions[direction], from,
		 length);
	return text;
}

FIXTURE_SETUP(caches)
{
	ASSERT_EQ(0, mount_tracefs());
	ASSERT_TRUE(!mkdir(INSTANCE, 0700) || errno == EEXIST);
	ASSERT_EQ(0, set_probes());
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	/* Its place is known before a device comes. */
	ASSERT_EQ(0, move_on_demand(false));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	self->physical = physical(self->fd, &self->buffer, 0);
	ASSERT_NE(0, self->physical);
	self->dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	ASSERT_LE(0, self->dmabuf);
	self->edu = open("/dev/edu0", O_RDWR);
	ASSERT_LE(0, self->edu);

	ASSERT_EQ(0, begin());
}

FIXTURE_TEARDOWN(caches)
{
	write_file(INSTANCE "events/" GROUP "/enable", "0");
	rmdir(INSTANCE);
	write_file(TRACEFS "/kprobe_events", "");
	free_buffer(self->fd, self->buffer.handle);
	EXPECT_EQ(0, move_on_demand(true));
}

TEST_F(caches, device_gets_the_buffer_and_gives_it_back)
{
	__u32 direction;

	for (direction = EDU_BOTH_WAYS; direction <= EDU_FROM_DEVICE; direction++) {
		ASSERT_EQ(0, begin());
		ASSERT_EQ(0, attach(self->edu, self->dmabuf, direction));
		EXPECT_STREQ(once(FOR_DEVICE, direction, 0, LENGTH), done(self));
		ASSERT_EQ(0, begin());
		ASSERT_EQ(0, detach(self->edu));
		EXPECT_STREQ(once(FOR_CPU, direction, 0, LENGTH), done(self));
	}
}

/* A device that makes segments of its own has each of them handed over. */
TEST_F(caches, device_with_short_segments)
{
	struct edu_attach limits = { .max_segment = 48 * KIB };

	ASSERT_EQ(0, attach_within(self->edu, self->dmabuf, EDU_BOTH_WAYS, &limits));
	EXPECT_STREQ(once(FOR_DEVICE, EDU_BOTH_WAYS, 0, LENGTH), done(self));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, detach(self->edu));
	EXPECT_STREQ(once(FOR_CPU, EDU_BOTH_WAYS, 0, LENGTH), done(self));
}

/* The range, the whole range, and nothing but the range: beside it, the device may be at work. */
TEST_F(caches, sync_of_a_range)
{
	static const struct {
		__u64 from, length;
	} ranges[] = {
		{ 0, 1 }, { 0, LENGTH }, { 1000, 8 }, { 48 * KIB - 64, 128 },
		{ 47 * KIB, 98 * KIB }, { 100 * KIB + 1, 12345 }, { LENGTH - 1, 1 },
	};
	struct edu_attach limits = { .max_segment = 48 * KIB };
	__u32 handle = self->buffer.handle, direction;
	size_t i;

	for (direction = EDU_BOTH_WAYS; direction <= EDU_FROM_DEVICE; direction++) {
		ASSERT_EQ(0, attach_within(self->edu, self->dmabuf, direction, &limits));
		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			const __u64 from = ranges[i].from, length = ranges[i].length;

			ASSERT_EQ(0, begin());
			ASSERT_EQ(0, sync_range(self->fd, handle, from, length,
						MEMALLOC_SYNC_READ));
			EXPECT_STREQ(once(FOR_CPU, direction, from, length), done(self));
			ASSERT_EQ(0, begin());
			ASSERT_EQ(0, sync_range(self->fd, handle, from, length,
						MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END));
			EXPECT_STREQ(once(FOR_DEVICE, direction, from, length), done(self));
		}
		ASSERT_EQ(0, detach(self->edu));
	}
}

TEST_F(caches, dma_buf_sync_is_of_the_whole_buffer)
{
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_BOTH_WAYS));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, cpu_begins(self->dmabuf, DMA_BUF_SYNC_READ));
	EXPECT_STREQ(once(FOR_CPU, EDU_BOTH_WAYS, 0, LENGTH), done(self));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, cpu_ends(self->dmabuf, DMA_BUF_SYNC_WRITE));
	EXPECT_STREQ(once(FOR_DEVICE, EDU_BOTH_WAYS, 0, LENGTH), done(self));
}

/* Each device in its own direction. */
TEST_F(caches, two_devices)
{
	int other = open("/dev/edu1", O_RDWR);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_TO_DEVICE));
	ASSERT_EQ(0, attach(other, self->dmabuf, EDU_FROM_DEVICE));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, sync_range(self->fd, self->buffer.handle, 64, 128, MEMALLOC_SYNC_READ));
	EXPECT_STREQ("for_cpu from 64+128; for_cpu to 64+128", done(self));
	ASSERT_EQ(0, begin());
	ASSERT_EQ(0, sync_range(self->fd, self->buffer.handle, 64, 128,
				MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END));
	EXPECT_STREQ("for_device from 64+128; for_device to 64+128", done(self));
}

/* No device, no work. */
TEST_F(caches, nobody_has_it_mapped)
{
	ASSERT_EQ(0, sync_range(self->fd, self->buffer.handle, 0, LENGTH, MEMALLOC_SYNC_READ));
	ASSERT_EQ(0, sync_range(self->fd, self->buffer.handle, 0, LENGTH,
				MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END));
	ASSERT_EQ(0, cpu_begins(self->dmabuf, DMA_BUF_SYNC_RW));
	ASSERT_EQ(0, cpu_ends(self->dmabuf, DMA_BUF_SYNC_RW));
	memset(self->map, 1, LENGTH);
	EXPECT_STREQ("", done(self));
}

/*
 * The zeros of a new buffer are in memory before a device comes to it, also one that only writes:
 * they can't overwrite later what it writes, and what it leaves is not what was there before.
 */
TEST_F(caches, zeros_reach_memory_before_the_device_comes)
{
	/* What was written to is zeroed for its next owner. */
	memset(self->map, 1, LENGTH);
	munmap(self->map, LENGTH);
	close(self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, dirty_bytes(self->fd));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	EXPECT_EQ(0, dirty_bytes(self->fd));
	ASSERT_EQ(self->physical, physical(self->fd, &self->buffer, 0));
	self->dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	EXPECT_STREQ("", done(self));
	ASSERT_EQ(0, attach(self->edu, self->dmabuf, EDU_FROM_DEVICE));
	EXPECT_STREQ(once(FOR_DEVICE, EDU_FROM_DEVICE, 0, LENGTH), done(self));
}

TEST_HARNESS_MAIN
