// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions that are made and destroyed while the module is in use, through the control node; errno
 * by errno, with others at work. What holds a region, so that it can't be destroyed, is in
 * boots/regions.sh.
 */
#include "control.h"
#include "dmaheap.h"

#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>

#define NAME		"control-test"
#define NODE		"/dev/memalloc-" NAME
#define LENGTH		(4 * MIB)
#define SECOND		"cam_0,2-a"
#define SECOND_HEAP	DMAHEAPS "/" SECOND

FIXTURE(control) {
	int control;
	struct memalloc_create create;	/* which would succeed */
};

FIXTURE_SETUP(control)
{
	self->control = open_control();
	ASSERT_LE(0, self->control);
	self->create = region_called(NAME, LENGTH);
}

FIXTURE_TEARDOWN(control)
{
	destroy_region(self->control, NAME);
}

static int create(FIXTURE_DATA(control) * self)
{
	return call(self->control, MEMALLOC_CONTROL_CREATE, &self->create);
}

static int open_node(void)
{
	int fd = open(NODE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

TEST_F(control, node_is_for_root)
{
	struct stat st;

	ASSERT_EQ(0, stat(CONTROL, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	ASSERT_EQ(0, as_user(1000));
	EXPECT_EQ(-EACCES, open_control());
	ASSERT_EQ(0, as_root());
}

TEST_F(control, region_comes_and_goes)
{
	struct memalloc_alloc buffer;
	struct memalloc_info info;
	int i, fd;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-ENOENT, open_node());
		ASSERT_EQ(0, create(self));
		fd = open_node();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, get_info(fd, &info));
		EXPECT_STREQ(NAME, (char *)info.name);
		EXPECT_EQ(LENGTH, info.region_length);
		EXPECT_EQ(0, alloc_buffer(fd, LENGTH, &buffer));
		EXPECT_EQ(-EBUSY, destroy_region(self->control, NAME));
		EXPECT_EQ(0, free_buffer(fd, buffer.handle));
		EXPECT_EQ(-EBUSY, destroy_region(self->control, NAME));
		close(fd);
		EXPECT_EQ(0, destroy_region(self->control, NAME));
		EXPECT_EQ(-ENOENT, destroy_region(self->control, NAME));
	}
}

/* What opens the region's heap by its second name has the same region. */
TEST_F(control, heap_has_a_second_name)
{
	struct memalloc_import import;
	int fd, heap, dmabuf;
	struct stat st;

	strcpy((char *)self->create.heap, SECOND);
	ASSERT_EQ(0, create(self));
	ASSERT_EQ(0, stat(SECOND_HEAP, &st));
	EXPECT_EQ(S_IFCHR | 0660, st.st_mode);
	fd = open_node();
	ASSERT_LE(0, fd);
	heap = open(SECOND_HEAP, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, heap);
	dmabuf = dmaheap_alloc(heap, PAGE, O_RDWR);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(0, import_buffer(fd, dmabuf, 0, &import));
	close(fd);
	close(dmabuf);
	EXPECT_EQ(-EBUSY, destroy_region(self->control, NAME));
	close(heap);
	EXPECT_TRUE(WAIT_UNTIL(!destroy_region(self->control, NAME)));
	EXPECT_NE(0, stat(SECOND_HEAP, &st));
}

TEST_F(control, eexist_second_name_is_taken)
{
	static const char another[] = NAME "-2";
	int other;

	strcpy((char *)self->create.heap, SECOND);
	ASSERT_EQ(0, create(self));
	strcpy((char *)self->create.name, another);
	EXPECT_EQ(-EEXIST, create(self));
	/* By the first heap of a region, */
	strcpy((char *)self->create.heap, "memalloc-" NAME);
	EXPECT_EQ(-EEXIST, create(self));
	/* by somebody else, */
	strcpy((char *)self->create.heap, "not-ours");
	other = open(DMAHEAPS "/not-ours", O_CREAT | O_RDONLY, 0600);
	EXPECT_LE(0, other);
	EXPECT_EQ(-EEXIST, create(self));
	unlink(DMAHEAPS "/not-ours");
	EXPECT_EQ(0, create(self));
	EXPECT_EQ(0, destroy_region(self->control, another));
	EXPECT_EQ(0, destroy_region(self->control, NAME));
	/* and the first heap's by the second of another region. */
	strcpy((char *)self->create.heap, "memalloc-" NAME);
	EXPECT_EQ(0, create(self));
	EXPECT_EQ(-EEXIST, create_region(self->control, NAME, LENGTH));
	EXPECT_EQ(0, destroy_region(self->control, another));
	close(other);
}

TEST_F(control, einval_second_name)
{
	static const char *const names[] = { "a/b", "..", "a b", "\n", "heap.1" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		strcpy((char *)self->create.heap, names[i]);
		EXPECT_EQ(-EINVAL, create(self));
	}
	memset(self->create.heap, 'a', sizeof(self->create.heap));
	EXPECT_EQ(-EINVAL, create(self));
}

TEST_F(control, fit_and_limits_are_as_wanted)
{
	struct memalloc_limits limits;
	struct memalloc_info info;
	int fd;

	strcpy((char *)self->create.fit, "worst");
	self->create.user_bytes_max = MIB;
	self->create.user_buffers_max = MEMALLOC_NO_LIMIT;
	self->create.client_buffers_max = 7;
	ASSERT_EQ(0, create(self));
	fd = open_node();
	ASSERT_EQ(0, get_info(fd, &info));
	EXPECT_STREQ("worst", (char *)info.fit);
	ASSERT_EQ(0, get_limits(fd, &limits));
	EXPECT_EQ(MIB, limits.user_bytes_max);
	EXPECT_EQ(MEMALLOC_NO_LIMIT, limits.user_buffers_max);
	EXPECT_EQ(MEMALLOC_NO_LIMIT, limits.client_bytes_max);
	EXPECT_EQ(7, limits.client_buffers_max);
	close(fd);
}

TEST_F(control, source_by_name)
{
	strcpy((char *)self->create.source, "running");
	EXPECT_EQ(0, create(self));
}

TEST_F(control, einval_name)
{
	static const char *const wrong[] = { "", "a/b", "a b", "..", "a.b", "\303\244", "a\n" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->create = region_called(wrong[i], LENGTH);
		EXPECT_EQ(-EINVAL, create(self))
			TH_LOG("name %s", wrong[i]);
	}
	memset(self->create.name, 'a', MEMALLOC_NAME_LEN);
	EXPECT_EQ(-EINVAL, create(self));
	self->create.name[MEMALLOC_NAME_LEN - 1] = 0;
	EXPECT_EQ(0, create(self));
	EXPECT_EQ(0, destroy_region(self->control, (char *)self->create.name));
}

/* Neither a name that is none, nor one without an end. */
static void expect_refused(struct __test_metadata *_metadata, FIXTURE_DATA(control) * self,
			   __u8 *name)
{
	strcpy((char *)name, "nosuch");
	EXPECT_EQ(-EINVAL, create(self));
	memset(name, 'a', MEMALLOC_NAME_LEN);
	EXPECT_EQ(-EINVAL, create(self));
}

TEST_F(control, einval_source)
{
	expect_refused(_metadata, self, self->create.source);
}

TEST_F(control, einval_base)
{
	self->create.base = 1 << 30;
	EXPECT_EQ(-EINVAL, create(self));
	strcpy((char *)self->create.source, "running");
	EXPECT_EQ(-EINVAL, create(self));
	strcpy((char *)self->create.source, "reserved");
	self->create.base = 0;
	EXPECT_EQ(-EINVAL, create(self));
}

TEST_F(control, einval_fit)
{
	expect_refused(_metadata, self, self->create.fit);
}

TEST_F(control, einval_length)
{
	static const __u64 wrong[] = { 0, 1, LENGTH + 1, LENGTH - 1, ~0ULL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->create.length = wrong[i];
		EXPECT_EQ(-EINVAL, create(self))
			TH_LOG("length %llu", wrong[i]);
	}
}

TEST_F(control, einval_node)
{
	static const int wrong[] = { -2, 1023, 1 << 20, INT_MIN };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->create.node = wrong[i];
		EXPECT_EQ(-EINVAL, create(self))
			TH_LOG("node %d", wrong[i]);
	}
}

TEST_F(control, einval_reserved)
{
	self->create.reserved = 1;
	EXPECT_EQ(-EINVAL, create(self));
}

TEST_F(control, einval_destroy_without_end)
{
	struct memalloc_destroy destroy = { .size = sizeof(destroy) };

	memset(destroy.name, 'a', sizeof(destroy.name));
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_DESTROY, &destroy));
}

TEST_F(control, eexist)
{
	ASSERT_EQ(0, create(self));
	EXPECT_EQ(-EEXIST, create(self));
	self->create = region_called("control", LENGTH);
	EXPECT_EQ(-EEXIST, create(self));
	self->create = region_called(region_name(), LENGTH);
	EXPECT_EQ(-EEXIST, create(self));
}

TEST_F(control, efbig)
{
	self->create.length = 1ULL << 50;	/* for any region */
	EXPECT_EQ(-EFBIG, create(self));
	self->create.length = 1ULL << 41;	/* for this machine */
	EXPECT_EQ(-EFBIG, create(self));
	EXPECT_EQ(-ENOENT, destroy_region(self->control, NAME));
}

TEST_F(control, enomem)
{
	self->create.length = ((__u64)sysconf(_SC_PHYS_PAGES) * PAGE / 20 * 19) & -(4 * MIB);
	EXPECT_EQ(-ENOMEM, create(self));
	EXPECT_EQ(-ENOENT, destroy_region(self->control, NAME));
}

/* The regions with names "control-test-NUMBER", in pages of @count; "" or what is wrong. */
static const char *look_through(int control, unsigned int regions, __u32 count)
{
	struct memalloc_region page[8];
	unsigned int seen = 0;
	__u64 cursor = 0;
	char name[32];
	int i, n;

	do {
		n = list_regions(control, &cursor, page, count);
		if (n < 0)
			return strerror(-n);
		for (i = 0; i < n; i++) {
			snprintf(name, sizeof(name), NAME "-%u", seen);
			if (strncmp((char *)page[i].name, NAME, strlen(NAME)))
				continue;
			if (strcmp((char *)page[i].name, name))
				return "they are not in order";
			if (page[i].length != LENGTH || strcmp((char *)page[i].source, "running") ||
			    strcmp((char *)page[i].fit, "good") || page[i].node < 0)
				return "one is described wrongly";
			seen++;
		}
	} while (n == (int)count);
	return seen == regions ? "" : "not all are there";
}

TEST_F(control, list_is_in_order_and_in_pages)
{
	const unsigned int regions = 6;
	unsigned int i;
	char name[32];
	__u32 count;

	for (i = 0; i < regions; i++) {
		snprintf(name, sizeof(name), NAME "-%u", i);
		ASSERT_EQ(0, create_region(self->control, name, LENGTH));
	}
	for (count = 1; count <= 8; count++)
		EXPECT_STREQ("", look_through(self->control, regions, count));
	for (i = 0; i < regions; i++) {
		snprintf(name, sizeof(name), NAME "-%u", i);
		EXPECT_EQ(0, destroy_region(self->control, name));
	}
	EXPECT_STREQ("", look_through(self->control, 0, 8));
}

TEST_F(control, list_with_longer_entries)
{
	struct {
		struct memalloc_region known;
		__u64 unknown;
	} regions[2];
	struct memalloc_list list = {
		.size = sizeof(list),
		.regions = (uintptr_t)regions,
		.count = 1,
		.region_size = sizeof(regions[0]),
	};

	memset(regions, 0xff, sizeof(regions));
	ASSERT_EQ(0, call(self->control, MEMALLOC_CONTROL_LIST, &list));
	EXPECT_EQ(1, list.count);
	EXPECT_EQ(0, regions[0].unknown);
	EXPECT_EQ(~0ULL, regions[1].unknown);
	EXPECT_EQ(0, regions[0].known.reserved);
}

TEST_F(control, list_errors)
{
	struct memalloc_region region;
	const struct memalloc_list good = {
		.size = sizeof(good),
		.regions = (uintptr_t)&region,
		.count = 1,
		.region_size = sizeof(region),
	};
	struct memalloc_list list = good;

	list.count = 0;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_LIST, &list));
	list = good;
	list.region_size = sizeof(region) - 1;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_LIST, &list));
	list.region_size = PAGE + 1;
	EXPECT_EQ(-EINVAL, call(self->control, MEMALLOC_CONTROL_LIST, &list));
	list = good;
	list.regions = 8;
	EXPECT_EQ(-EFAULT, call(self->control, MEMALLOC_CONTROL_LIST, &list));
	list = good;
	list.cursor = ~0ULL;
	EXPECT_EQ(0, call(self->control, MEMALLOC_CONTROL_LIST, &list));
	EXPECT_EQ(0, list.count);
}

TEST_F(control, einval_import_from_another_region)
{
	struct memalloc_import import;
	struct memalloc_alloc buffer;
	int other, dmabuf, fd = open_device();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, create(self));
	other = open_node();
	ASSERT_LE(0, other);
	ASSERT_EQ(0, alloc_buffer(other, PAGE, &buffer));
	dmabuf = export_buffer(other, buffer.handle, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EINVAL, import_buffer(fd, dmabuf, 0, &import));
	EXPECT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	close(dmabuf);
	close(other);
}

/* Two who make the same region: one of them has made it. */
static void *try_to_create(void *control)
{
	return (void *)(long)create_region(*(int *)control, NAME, LENGTH);
}

TEST_F(control, one_of_two_makes_it)
{
	pthread_t thread;
	void *other;
	int i, ret;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, try_to_create, &self->control));
		ret = create_region(self->control, NAME, LENGTH);
		pthread_join(thread, &other);
		EXPECT_TRUE(!ret != !other);
		EXPECT_EQ(-EEXIST, ret + (int)(long)other);
		EXPECT_EQ(0, destroy_region(self->control, NAME));
	}
}

static bool stop;

/* Opens the node of a region that comes and goes, and uses what it gets. */
static void *use_what_is_there(void *used)
{
	struct memalloc_alloc buffer;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int fd = open_node();

		if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
			continue;
		if (fd < 0)
			return (char *)strerrorname_np(-fd);
		if (alloc_buffer(fd, LENGTH / 2, &buffer) || touch_buffer(fd, &buffer))
			return "the region has no memory";
		++*(int *)used;
		close(fd);
	}
	return NULL;
}

TEST_F(control, opened_while_it_comes_and_goes)
{
	int made = 0, refused = 0, used = 0;
	__u64 end = now_ms() + 5000;
	pthread_t thread;
	void *wrong;

	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, use_what_is_there, &used));
	while (now_ms() < end) {
		int ret = create(self);

		ASSERT_TRUE(!ret || ret == -EEXIST);
		made += !ret;
		ret = destroy_region(self->control, NAME);
		ASSERT_TRUE(!ret || ret == -EBUSY);
		refused += ret == -EBUSY;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, &wrong);
	EXPECT_STREQ("", (char *)wrong ?: "");
	TH_LOG("made %d times, %d times in use, used %d times", made, refused, used);
	EXPECT_LT(1, made);
	EXPECT_TRUE(WAIT_UNTIL(destroy_region(self->control, NAME) != -EBUSY));
}

/* Clients of another region notice nothing. */
TEST_F(control, others_are_not_disturbed)
{
	struct memalloc_alloc mine, buffer;
	struct memalloc_stats before, after;
	int i, fd = open_idle_device();
	char *map;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, alloc_buffer(fd, MIB, &mine));
	map = map_buffer(fd, &mine);
	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(map, MIB, 1);
	ASSERT_EQ(0, get_stats(fd, &before));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, create(self));
		ASSERT_EQ(0, destroy_region(self->control, NAME));
	}
	ASSERT_EQ(0, get_stats(fd, &after));
	EXPECT_TRUE(same_stats(&before, &after));
	EXPECT_EQ(MIB, first_difference(map, MIB, 1));
	EXPECT_EQ(0, alloc_buffer(fd, MIB, &buffer));
	EXPECT_EQ(0, free_buffer(fd, buffer.handle));
	munmap(map, MIB);
}

/* Killed while the range is claimed and cleared: the name is free, and the memory is back. */
TEST_F(control, killed_while_it_is_made)
{
	const __u64 length = 256 * MIB;
	int i, killed = 0;

	for (i = 0; i < 8; i++) {
		pid_t child = fork();
		int status;

		ASSERT_LE(0, child);
		if (!child)
			_exit(create_region(self->control, NAME, length));
		sleep_ms(5 << i);
		kill(child, SIGKILL);
		ASSERT_EQ(child, waitpid(child, &status, 0));
		killed += WIFSIGNALED(status);
		EXPECT_TRUE(WAIT_UNTIL(destroy_region(self->control, NAME) == -ENOENT));
	}
	EXPECT_LT(0, killed);
	EXPECT_EQ(0, create_region(self->control, NAME, length));
}

TEST_HARNESS_MAIN
