// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's cgroup controller of devices' memory: a buffer is charged to the group of the task
 * that allocates it, as long as anything of it is left. Only kernels with CONFIG_CGROUP_DMEM have
 * that.
 *
 * Tasks in a group are children. What they answer is their exit status: 0 or an errno.
 */
#include "control.h"
#include "dmaheap.h"
#include "edu_calls.h"
#include "pins.h"

#include <sys/stat.h>

#define GROUPS		"/sys/fs/cgroup"
#define LENGTH		(64 * KIB)
#define LIMIT		(4 * LENGTH)

FIXTURE(dmem) {
	int fd;			/* a client, in the topmost group */
	char group[64];
	char other[64];
};

static const char *file_of(const char *group, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	return path;
}

/* What the file of the group says of the region, or -1. */
static __s64 figure(const char *group, const char *name, const char *region)
{
	char word[128], wanted[64];
	unsigned long long bytes;
	__s64 found = -1;
	FILE *file = fopen(file_of(group, name), "r");

	if (!file)
		return -1;
	snprintf(wanted, sizeof(wanted), "memalloc/%s", region);
	while (fscanf(file, "%127s %llu", word, &bytes) == 2)
		if (!strcmp(word, wanted))
			found = bytes;
	fclose(file);
	return found;
}

static __s64 charged(const char *group)
{
	return figure(group, "dmem.current", region_name());
}

static int set_max(const char *group, __u64 bytes)
{
	char text[64];

	snprintf(text, sizeof(text), "memalloc/%s %llu", region_name(), bytes);
	return write_file(file_of(group, "dmem.max"), text);
}

static int make_group(char *group, size_t size, const char *name)
{
	snprintf(group, size, GROUPS "/%s", name);
	return mkdir(group, 0755) ? -errno : 0;
}

FIXTURE_SETUP(dmem)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, make_group(self->group, sizeof(self->group), "dmem"));
	ASSERT_EQ(0, make_group(self->other, sizeof(self->other), "dmem-other"));
	ASSERT_EQ(0, set_max(self->group, LIMIT));
}

FIXTURE_TEARDOWN(dmem)
{
	EXPECT_EQ(0, rmdir(self->group));
	EXPECT_EQ(0, rmdir(self->other));
	close(self->fd);
	move_on_demand(true);
}

/* A child that is in the group. */
static pid_t fork_in(const char *group)
{
	pid_t child = fork_child();

	if (!child && write_file(file_of(group, "cgroup.procs"), "0"))
		_exit(100);
	return child;
}

/* Runs the expression in the group: the errno that it answers. */
#define IN_GROUP(group, expression)			\
({							\
	pid_t child = fork_in(group);			\
							\
	if (!child)					\
		_exit(-(expression));			\
	wait_child(child);				\
})

/* The same as a client of its own. */
#define BY_CLIENT(group, expression)			\
	IN_GROUP(group, ({				\
		int fd = open_device();			\
							\
		fd < 0 ? fd : (int)(expression);	\
	}))

static int expect_charged(const char *group, __u64 bytes)
{
	return charged(group) == (__s64)bytes ? 0 : -EPROTO;
}

/* Allocates @count buffers, which the group has to be charged for, and frees them. */
static int alloc_and_free(int fd, const char *group, __u64 length, int count)
{
	struct memalloc_alloc buffers[16];
	int err = 0;
	int i;

	for (i = 0; i < count && !err; i++)
		err = alloc_buffer(fd, length, &buffers[i]) ?:
		      expect_charged(group, (i + 1) * length);
	while (!err && i--)
		err = free_buffer(fd, buffers[i].handle) ?: expect_charged(group, i * length);
	return err;
}

TEST_F(dmem, knows_how_large_the_region_is)
{
	struct memalloc_stats stats;

	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ((__s64)stats.region_length, figure(GROUPS, "dmem.capacity", region_name()));
}

/* Small ones are kept by the client, or ready, and allocated again: four times. */
TEST_F(dmem, charges_what_is_allocated)
{
	EXPECT_EQ(0, BY_CLIENT(self->group, alloc_and_free(fd, self->group, LENGTH, 4)));
	EXPECT_EQ(0, BY_CLIENT(self->group,
			       alloc_and_free(fd, self->group, PAGE, 4) ?:
			       alloc_and_free(fd, self->group, PAGE, 4) ?:
			       alloc_and_free(fd, self->group, 2 * PAGE, 4) ?:
			       alloc_and_free(fd, self->group, PAGE, 8)));
	EXPECT_EQ(0, charged(self->group));
}

static int alloc_all(int fd, __u64 length, int count)
{
	struct memalloc_alloc buffer;
	int err = 0;

	while (count-- && !err)
		err = alloc_buffer(fd, length, &buffer);
	return err;
}

TEST_F(dmem, has_a_limit)
{
	struct memalloc_stats before, after;

	ASSERT_EQ(0, get_stats(self->fd, &before));
	EXPECT_EQ(0, BY_CLIENT(self->group, alloc_all(fd, LENGTH, 4)));
	EXPECT_EQ(EDQUOT, BY_CLIENT(self->group, alloc_all(fd, LENGTH, 5)));
	EXPECT_EQ(EDQUOT, BY_CLIENT(self->group, alloc_all(fd, LIMIT + 1, 1)));
	/* Small ones, which come from elsewhere. */
	EXPECT_EQ(0, BY_CLIENT(self->group, alloc_all(fd, PAGE, LIMIT / PAGE)));
	EXPECT_EQ(EDQUOT, BY_CLIENT(self->group, alloc_all(fd, PAGE, LIMIT / PAGE + 1)));
	/* The other group has none. */
	EXPECT_EQ(0, BY_CLIENT(self->other, alloc_all(fd, LENGTH, 5)));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group) && !charged(self->other)));
	ASSERT_EQ(0, get_stats(self->fd, &after));
	EXPECT_EQ(before.failures, after.failures);
	EXPECT_EQ(0, after.used);
}

/* What the client keeps of its own is allocated again as any other. */
static int use_what_is_kept(int fd, const char *group)
{
	struct memalloc_alloc first, second;

	return alloc_buffer(fd, PAGE, &first) ?: free_buffer(fd, first.handle) ?:
	       set_max(group, 0) ?:
	       (alloc_buffer(fd, PAGE, &second) == -EDQUOT ? 0 : -EPROTO) ?:
	       set_max(group, PAGE) ?: alloc_buffer(fd, PAGE, &second) ?:
	       expect_charged(group, PAGE);
}

TEST_F(dmem, limits_what_is_kept)
{
	EXPECT_EQ(0, BY_CLIENT(self->group, use_what_is_kept(fd, self->group)));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group)));
}

/* All or none. */
static int alloc_as_batch(int fd, __u32 count)
{
	static struct memalloc_alloc buffers[MEMALLOC_BATCH_MAX];

	return alloc_batch(fd, buffers, count, LENGTH);
}

TEST_F(dmem, limits_batches)
{
	EXPECT_EQ(0, BY_CLIENT(self->group, alloc_as_batch(fd, 4) ?:
						     expect_charged(self->group, LIMIT)));
	EXPECT_EQ(0, BY_CLIENT(self->group, (alloc_as_batch(fd, 5) == -EDQUOT ? 0 : -EPROTO) ?:
						     expect_charged(self->group, 0)));
}

TEST_F(dmem, limits_the_heap)
{
	EXPECT_EQ(0, IN_GROUP(self->group, ({
		int heap = open_dmaheap();
		struct dma_heap_allocation_data data = { .len = LENGTH, .fd_flags = O_RDWR };

		call(heap, DMA_HEAP_IOCTL_ALLOC, &data) ?: expect_charged(self->group, LENGTH);
	})));
	EXPECT_EQ(EDQUOT, IN_GROUP(self->group, ({
		int heap = open_dmaheap();
		struct dma_heap_allocation_data data = { .len = LIMIT + 1, .fd_flags = O_RDWR };

		call(heap, DMA_HEAP_IOCTL_ALLOC, &data);
	})));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group)));
}

/* A client that others use: who allocates has it charged. */
TEST_F(dmem, charges_who_allocates)
{
	EXPECT_EQ(0, IN_GROUP(self->group, alloc_all(self->fd, LENGTH, 2)));
	EXPECT_EQ(2 * LENGTH, charged(self->group));
	EXPECT_EQ(0, IN_GROUP(self->other, alloc_all(self->fd, LENGTH, 1)));
	EXPECT_EQ(LENGTH, charged(self->other));
	close(self->fd);
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group) && !charged(self->other)));
	self->fd = open_device();
}

/* A buffer of the group, and our handle for it: its first client has ended. */
static int buffer_of_group(int fd, const char *group, struct memalloc_import *import)
{
	int sockets[2], dmabuf, err;
	struct memalloc_alloc buffer;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return -errno;
	child = fork_in(group);
	if (!child) {
		int client = open_device();

		err = alloc_buffer(client, LENGTH, &buffer);
		err = err ?: send_fd(sockets[0], export_buffer(client, buffer.handle, O_RDWR));
		_exit(-err);
	}
	close(sockets[0]);
	dmabuf = receive_fd(sockets[1]);
	err = wait_child(child) ? -ECHILD : import_buffer(fd, dmabuf, 0, import);
	close(dmabuf);
	close(sockets[1]);
	return err;
}

TEST_F(dmem, charges_what_others_have)
{
	struct memalloc_import import;

	ASSERT_EQ(0, buffer_of_group(self->fd, self->group, &import));
	EXPECT_EQ(LENGTH, charged(self->group));
	EXPECT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group)));
}

/* What is left when a group goes stays charged to those above. */
TEST_F(dmem, charges_groups_that_are_gone)
{
	struct memalloc_import import;
	char inner[64];

	ASSERT_EQ(0, write_file(file_of(self->other, "cgroup.subtree_control"), "+dmem"));
	ASSERT_EQ(0, make_group(inner, sizeof(inner), "dmem-other/inner"));
	ASSERT_EQ(0, buffer_of_group(self->fd, inner, &import));
	EXPECT_EQ(LENGTH, charged(self->other));
	ASSERT_EQ(0, rmdir(inner));
	EXPECT_EQ(LENGTH, charged(self->other));
	EXPECT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->other)));
}

TEST_F(dmem, charges_what_is_in_quarantine)
{
	struct memalloc_import import;
	struct pins pins = {};
	char *map;

	ASSERT_EQ(0, buffer_of_group(self->fd, self->group, &import));
	map = map_at(self->fd, import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(0, pin_page(&pins, map));
	munmap(map, LENGTH);
	EXPECT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_EQ(PAGE, quarantined_bytes(self->fd));
	/* All of it, until the last page is back. */
	EXPECT_EQ(LENGTH, charged(self->group));
	unpin(&pins, 0, 1);
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group)));
	EXPECT_EQ(0, quarantined_bytes(self->fd));
}

TEST_F(dmem, charges_what_is_moved)
{
	struct memalloc_import import;
	struct memalloc_compact answer;
	struct memalloc_alloc most;
	__s64 was;

	ASSERT_EQ(0, buffer_of_group(self->fd, self->group, &import));
	ASSERT_EQ(0, leave_two_holes(self->fd, LENGTH, &most));
	was = offset_of_handle(self->fd, import.handle);
	ASSERT_EQ(0, compact(self->fd, 2 * LENGTH, &answer));
	EXPECT_NE(was, offset_of_handle(self->fd, import.handle));
	EXPECT_EQ(LENGTH, charged(self->group));
	EXPECT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_EQ(0, free_buffer(self->fd, most.handle));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group)));
}

static int resize_in_group(int fd, const char *group)
{
	struct memalloc_alloc buffer;

	return alloc_buffer(fd, LENGTH, &buffer) ?:
	       resize_buffer(fd, buffer.handle, 2 * LENGTH) ?:
	       expect_charged(group, 2 * LENGTH) ?:
	       resize_buffer(fd, buffer.handle, PAGE) ?: expect_charged(group, PAGE) ?:
	       resize_buffer(fd, buffer.handle, LENGTH) ?: expect_charged(group, LENGTH) ?:
	       set_max(group, LENGTH) ?:
	       (resize_buffer(fd, buffer.handle, LENGTH + 1) == -EDQUOT ? 0 : -EPROTO) ?:
	       expect_charged(group, LENGTH) ?:
	       /* Below what is charged: it may still become shorter. */
	       set_max(group, PAGE) ?: resize_buffer(fd, buffer.handle, PAGE) ?:
	       expect_charged(group, PAGE);
}

TEST_F(dmem, charges_what_is_resized)
{
	EXPECT_EQ(0, BY_CLIENT(self->group, resize_in_group(fd, self->group)));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group)));
}

/* What somebody of another group adds, that group pays; and whoever may can make it shorter. */
TEST_F(dmem, has_each_group_pay_for_its_own)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	ASSERT_EQ(0, set_max(self->group, PAGE));
	EXPECT_EQ(EDQUOT,
		  IN_GROUP(self->group, resize_buffer(self->fd, buffer.handle, 2 * LENGTH)));
	EXPECT_EQ(0, charged(self->group));
	ASSERT_EQ(0, set_max(self->group, LIMIT));
	EXPECT_EQ(0, IN_GROUP(self->group, resize_buffer(self->fd, buffer.handle, 2 * LENGTH)));
	EXPECT_EQ(LENGTH, charged(self->group));
	EXPECT_EQ(0, IN_GROUP(self->other, resize_buffer(self->fd, buffer.handle, PAGE)));
	EXPECT_EQ(LENGTH, charged(self->group));
	EXPECT_EQ(0, IN_GROUP(self->other, resize_buffer(self->fd, buffer.handle, 2 * PAGE)));
	EXPECT_EQ(PAGE, charged(self->other));
	EXPECT_EQ(0, IN_GROUP(self->group, resize_buffer(self->fd, buffer.handle, 3 * PAGE)));
	EXPECT_EQ(LENGTH + PAGE, charged(self->group));
	EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(0, charged(self->group));
	EXPECT_EQ(0, charged(self->other));
}

/* The limit of a group above holds, too; and who is over one may still make buffers shorter. */
TEST_F(dmem, has_limits_of_groups_above)
{
	char inner[64];

	ASSERT_EQ(0, write_file(file_of(self->other, "cgroup.subtree_control"), "+dmem"));
	ASSERT_EQ(0, make_group(inner, sizeof(inner), "dmem-other/inner"));
	ASSERT_EQ(0, set_max(self->other, LENGTH));
	EXPECT_EQ(0, BY_CLIENT(inner, alloc_all(fd, LENGTH, 1)));
	EXPECT_EQ(EDQUOT, BY_CLIENT(inner, alloc_all(fd, LENGTH, 2)));
	EXPECT_TRUE(WAIT_UNTIL(!charged(inner) && !charged(self->other)));
	EXPECT_EQ(0, BY_CLIENT(inner, ({
		struct memalloc_alloc buffer;

		alloc_buffer(fd, LENGTH, &buffer) ?: set_max(self->other, 0) ?:
		resize_buffer(fd, buffer.handle, PAGE);
	})));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->other)));
	EXPECT_EQ(0, rmdir(inner));
}

/* What is cut off and held has all stay charged. */
TEST_F(dmem, charges_what_is_cut_off_and_held)
{
	struct pins pins = {};

	EXPECT_EQ(0, BY_CLIENT(self->group, ({
		struct memalloc_alloc buffer;
		char *map;

		alloc_buffer(fd, LENGTH, &buffer);
		map = map_buffer(fd, &buffer);
		pin_page(&pins, map + LENGTH - PAGE) ?:
		resize_buffer(fd, buffer.handle, PAGE) ?: expect_charged(self->group, LENGTH) ?:
		(munmap(map, LENGTH), free_buffer(fd, buffer.handle)) ?:
		expect_charged(self->group, LENGTH) ?:
		(unpin(&pins, 0, 1), WAIT_UNTIL(!charged(self->group)) ? 0 : -EPROTO);
	})));
}

/* Allocates, resizes and frees for two seconds, and leaves the rest to the end of its clients. */
static int allocate_much(__u64 state)
{
	const __u64 end = now_ms() + 2000;
	struct memalloc_alloc buffer;
	int fd = open_device();
	int done = 0;

	while (now_ms() < end && fd >= 0) {
		if (alloc_buffer(fd, (1 + random_below(&state, 32)) * PAGE, &buffer)) {
			close(fd);
			fd = open_device();
			continue;
		}
		resize_buffer(fd, buffer.handle, (1 + random_below(&state, 32)) * PAGE);
		if (random_below(&state, 4))
			free_buffer(fd, buffer.handle);
		done++;
	}
	return done > 100 ? 0 : -EPROTO;
}

/* Many at the same time: nothing of a charge stays. */
TEST_F(dmem, is_right_when_all_allocate)
{
	pid_t children[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(children); i++) {
		children[i] = fork_in(i % 2 ? self->other : self->group);
		if (!children[i])
			_exit(-allocate_much(i + 1));
	}
	for (i = 0; i < ARRAY_SIZE(children); i++)
		EXPECT_EQ(0, wait_child(children[i]));
	EXPECT_TRUE(WAIT_UNTIL(!charged(self->group) && !charged(self->other)));
}

/* A region comes and goes; another of that name is another one. */
TEST_F(dmem, knows_each_region)
{
	int control = open_control();

	ASSERT_LE(0, control);
	EXPECT_EQ(-1, figure(GROUPS, "dmem.capacity", "passing"));
	ASSERT_EQ(0, create_region(control, "passing", 4 * MIB));
	EXPECT_EQ((__s64)(4 * MIB), figure(GROUPS, "dmem.capacity", "passing"));
	EXPECT_EQ(0, destroy_region(control, "passing"));
	EXPECT_EQ(-1, figure(GROUPS, "dmem.capacity", "passing"));
	ASSERT_EQ(0, create_growable(control, "passing", 4 * MIB, 2, 8 * MIB));
	EXPECT_EQ((__s64)(8 * MIB), figure(GROUPS, "dmem.capacity", "passing"));
	EXPECT_EQ(0, destroy_region(control, "passing"));
}

TEST_HARNESS_MAIN
