// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process makes the kernel keep for it is charged to its memory cgroup, so that
 * memory.max bounds it. The memory of the region is not: limits of the module bound that. What
 * is mapped of a buffer is in the process's RssFile, as of a file, and so in what the OOM
 * killer goes by.
 *
 * A cgroup's memory.current is a little more than what is used: each processor has some pages
 * of it in advance. So everything here is done so often that it makes a multiple of that.
 */
#include "drivers.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define GROUPS		"/tmp/accounting"
#define ROUNDS		16384

/* What the processors may have in advance: 64 pages each. */
#define SLACK		(2 * 64 * PAGE)

FIXTURE(accounting) {
	char group[64];
};

static int write_in_group(const char *group, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	return write_file(path, text);
}

/* -1: it can't be read. */
static __s64 memory_current(const char *group)
{
	char path[128];
	__s64 bytes = -1;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.current", group);
	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fscanf(file, "%lld", &bytes) != 1)
		bytes = -1;
	fclose(file);
	return bytes;
}

/* A child that is in the group, and may open many files. */
static pid_t fork_in_group(const char *group)
{
	const struct rlimit files = { 2 * ROUNDS, 2 * ROUNDS };
	pid_t child = fork_child();

	if (!child && (setrlimit(RLIMIT_NOFILE, &files) ||
		       write_in_group(group, "cgroup.procs", "0")))
		_exit(100);
	return child;
}

/* A group for each test: what it was charged for goes later than the process. */
FIXTURE_SETUP(accounting)
{
	static unsigned int number;
	struct stat stat;

	mkdir(GROUPS, 0700);
	if (lstat(GROUPS "/cgroup.procs", &stat))
		ASSERT_EQ(0, mount("none", GROUPS, "cgroup2", 0, NULL));
	ASSERT_EQ(0, write_file(GROUPS "/cgroup.subtree_control", "+memory"));
	snprintf(self->group, sizeof(self->group), GROUPS "/%d-%u", getpid(), number++);
	ASSERT_EQ(0, mkdir(self->group, 0700));
}

FIXTURE_TEARDOWN(accounting)
{
	/* A process is in its group until it is reaped, and a little longer. */
	EXPECT_TRUE(WAIT_UNTIL(!rmdir(self->group)));
	keep_ready(true);
}

/* What a child in the group finds out: shared with it. */
struct growth {
	__s64 bytes;		/* or a negative errno */
	void *context;		/* what @work needs; touched already */
	const char *group;
};

/* Do @work for each of @count places: what the group is charged for more afterwards. */
static void measure(struct growth *growth, int count, int (*work)(void *context, int i))
{
	__s64 before = memory_current(growth->group);
	int i, err = before < 0 ? -ENODATA : 0;

	for (i = 0; i < count && !err; i++)
		err = work(growth->context, i);
	growth->bytes = err ?: memory_current(growth->group) - before;
}

static struct growth *new_growth(const char *group, size_t context)
{
	struct growth *growth = mmap(NULL, sizeof(*growth) + context, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	growth->bytes = -ECHILD;
	growth->context = growth + 1;
	growth->group = group;
	return growth;
}

static int open_null(void *context, int i)
{
	(void)context;
	(void)i;
	return open("/dev/null", O_RDWR | O_CLOEXEC) < 0 ? -errno : 0;
}

static int open_client(void *context, int i)
{
	int fd = open_device();

	(void)context;
	(void)i;
	return fd < 0 ? fd : 0;
}

static __s64 growth_of(const char *group, int count, int (*work)(void *context, int i))
{
	struct growth *growth = new_growth(group, 0);
	pid_t child = fork_in_group(group);

	if (!child) {
		measure(growth, count, work);
		_exit(0);
	}
	return wait_child(child) ? -ECHILD : growth->bytes;
}

/* A client is more than the open file that all of them are. */
TEST_F_TIMEOUT(accounting, clients, 1200)
{
	__s64 files = growth_of(self->group, ROUNDS, open_null);
	__s64 clients = growth_of(self->group, ROUNDS, open_client);

	ASSERT_LT(ROUNDS * 128LL, files);
	EXPECT_LT(files + ROUNDS * 128LL, clients);
}

/* A client's buffers, of a page each. */
struct buffers {
	int fd;
	int other;		/* a client without buffers of its own */
	struct memalloc_alloc buffers[ROUNDS];
	int dmabufs[ROUNDS];
};

static int alloc_one(void *context, int i)
{
	struct buffers *b = context;

	return alloc_buffer(b->fd, PAGE, &b->buffers[i]);
}

static int export_one(void *context, int i)
{
	struct buffers *b = context;

	b->dmabufs[i] = export_buffer(b->fd, b->buffers[i].handle, O_RDWR | O_CLOEXEC);
	return b->dmabufs[i] < 0 ? b->dmabufs[i] : 0;
}

/* All that this makes is handles: the kernel charges for 64 pages at a time, so not one alone. */
#define HANDLES		3

static int import_one(void *context, int i)
{
	struct memalloc_import import;
	struct buffers *b = context;

	return import_buffer(b->fd, b->dmabufs[i], MEMALLOC_IMPORT_READ_ONLY, &import) ?:
	       import_buffer(b->other, b->dmabufs[i], MEMALLOC_IMPORT_READ_ONLY, &import) ?:
	       import_buffer(b->other, b->dmabufs[i], 0, &import);
}

static int map_one(void *context, int i)
{
	struct buffers *b = context;

	return map_buffer(b->fd, &b->buffers[i]) == MAP_FAILED ? -errno : 0;
}

static int map_dmabuf(void *context, int i)
{
	struct buffers *b = context;

	return map_at(b->dmabufs[i], 0, PAGE, PROT_READ | PROT_WRITE) == MAP_FAILED ? -errno : 0;
}

static int alloc_and_export(struct buffers *b)
{
	int i, err = 0;

	for (i = 0; i < ROUNDS && !err; i++)
		err = alloc_one(b, i) ?: export_one(b, i);
	return err;
}

/* How much @work makes: of buffers that there are, with their dma-bufs, if there are some. */
static __s64 growth_with_buffers(const char *group, bool some, int (*work)(void *context, int i))
{
	struct growth *growth = new_growth(group, sizeof(struct buffers));
	struct buffers *b = growth->context;
	pid_t child = fork_in_group(group);

	if (!child) {
		b->fd = open_device();
		b->other = open_device();
		growth->bytes = some ? alloc_and_export(b) : 0;
		if (!growth->bytes)
			measure(growth, ROUNDS, work);
		_exit(0);
	}
	return wait_child(child) ? -ECHILD : growth->bytes;
}

TEST_F_TIMEOUT(accounting, buffers, 1200)
{
	/* What describes a small buffer that CPUs may keep ready is charged to no group. */
	ASSERT_EQ(0, keep_ready(false));
	EXPECT_LT(ROUNDS * 192LL, growth_with_buffers(self->group, false, alloc_one));
}

TEST_F_TIMEOUT(accounting, handles, 1200)
{
	EXPECT_LT(ROUNDS * HANDLES * 40LL, growth_with_buffers(self->group, true, import_one));
}

/* With a buffer's first mapping come a file and an inode, more than what a mapping itself takes. */
TEST_F_TIMEOUT(accounting, files_of_mappings, 1200)
{
	EXPECT_LT(ROUNDS * 800LL, growth_with_buffers(self->group, true, map_one));
	EXPECT_LT(ROUNDS * 800LL, growth_with_buffers(self->group, true, map_dmabuf));
}

/* The longest piece that vgem's device takes, and what the kernel needs to describe one. */
#define SEGMENT			(64 * KIB)
#define SEGMENT_BYTES		32
#define ATTACHMENTS		256
#define ATTACHED_LENGTH		(128 * MIB)

struct attachments {
	int card;
	int dmabufs[ATTACHMENTS];
};

static int attach_one(void *context, int i)
{
	struct attachments *a = context;
	__s64 handle = prime_import(a->card, a->dmabufs[i]);

	return handle < 0 ? handle : 0;
}

/* Each dma-buf of a buffer can be attached to the same device. */
static int attach_all(struct growth *growth)
{
	struct attachments *a = growth->context;
	int i, fd = open_device();
	struct memalloc_alloc buffer;
	int err = alloc_buffer(fd, ATTACHED_LENGTH, &buffer);

	a->card = open_vgem();
	if (err || a->card < 0)
		return err ?: -ENODEV;
	for (i = 0; i < ATTACHMENTS; i++) {
		a->dmabufs[i] = export_buffer(fd, buffer.handle, O_RDWR | O_CLOEXEC);
		if (a->dmabufs[i] < 0)
			return a->dmabufs[i];
	}
	measure(growth, ATTACHMENTS, attach_one);
	return 0;
}

/* Who has a device attached makes a table that says where the buffer's pieces are. */
TEST_F_TIMEOUT(accounting, scatter_tables, 1200)
{
	const __s64 tables = ATTACHMENTS * (ATTACHED_LENGTH / SEGMENT) * SEGMENT_BYTES;
	struct growth *growth = new_growth(self->group, sizeof(struct attachments));
	pid_t child;

	/* It takes one device that maps the same memory many times, to have tables enough. */
	if (!access("/sys/kernel/debug/dma-api", F_OK))
		SKIP(return, "a kernel that checks the DMA API does not want that");
	child = fork_in_group(self->group);
	if (!child)
		_exit(-attach_all(growth));
	ASSERT_EQ(0, wait_child(child));
	EXPECT_LE(tables - (__s64)SLACK, growth->bytes);
}

/* Nor would it be of use: memory that was the region's before is not the system's afterwards. */
TEST_F(accounting, memory_max_is_not_for_the_region)
{
	struct memalloc_limits limits;
	struct memalloc_alloc buffer;
	__s64 bytes;
	pid_t child;
	char *map;
	int fd;

	ASSERT_EQ(0, write_in_group(self->group, "memory.max", "16M"));
	child = fork_in_group(self->group);
	if (!child) {
		fd = open_device();
		if (alloc_buffer(fd, 64 * MIB, &buffer))
			_exit(1);
		map = map_buffer(fd, &buffer);
		if (map == MAP_FAILED)
			_exit(2);
		memset(map, 1, 64 * MIB);
		bytes = memory_current(self->group);
		if (bytes < 0 || bytes > (__s64)(16 * MIB))
			_exit(3);
		_exit(get_limits(fd, &limits) || limits.user_bytes != 64 * MIB ? 4 : 0);
	}
	EXPECT_EQ(0, wait_child(child));
}

#define MAPPED		(128 * MIB)

FIXTURE(resident) {
	int fd;
	struct memalloc_alloc buffer;
	__s64 before;		/* in RssFile, of this process */
};

/* A figure of a file of lines "NAME: FIGURE kB", in bytes; -1: none. */
static __s64 figure(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	__s64 kib = -1;
	char line[256];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			sscanf(line + strlen(name) + 1, "%lld", &kib);
	fclose(file);
	return kib < 0 ? -1 : kib * (__s64)KIB;
}

static __s64 rss_file(void)
{
	return figure("/proc/self/status", "RssFile");
}

static int own_score(void)
{
	FILE *file = fopen("/proc/self/oom_score", "r");
	int score = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &score) != 1)
		score = -1;
	fclose(file);
	return score;
}

static void touch(const char *map, size_t length)
{
	size_t at;

	for (at = 0; at < length; at += PAGE)
		__atomic_load_n(map + at, __ATOMIC_RELAXED);
}

/*
 * Whether RssFile has grown by @bytes since, but for the program's own pages. It lags behind: a
 * thread tells of its page faults 64 at a time, and with each of ours the pages around it are
 * mapped, up to 64.
 */
static bool has_grown(FIXTURE_DATA(resident) * self, __s64 bytes)
{
	const __s64 grown = rss_file() - self->before, lag = 65 * 64 * PAGE;

	if (grown >= bytes - lag && grown < bytes + (__s64)(2 * MIB))
		return true;
	printf("# RssFile has grown by %lld\n", grown);
	return false;
}

FIXTURE_SETUP(resident)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->before = rss_file();
	ASSERT_LE(0, self->before);
	ASSERT_EQ(0, alloc_buffer(self->fd, MAPPED, &self->buffer));
}

FIXTURE_TEARDOWN(resident)
{
}

/* Not what is allocated, nor what is mapped, but what is touched of that, until it is unmapped. */
TEST_F(resident, is_what_is_touched)
{
	char *map = map_buffer(self->fd, &self->buffer);

	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_TRUE(has_grown(self, 0));
	touch(map, MAPPED / 2);
	EXPECT_TRUE(has_grown(self, MAPPED / 2));
	touch(map, MAPPED);
	EXPECT_TRUE(has_grown(self, MAPPED));
	munmap(map, MAPPED / 4);
	EXPECT_TRUE(has_grown(self, MAPPED * 3 / 4));
	munmap(map, MAPPED);
	EXPECT_TRUE(has_grown(self, 0));
	EXPECT_EQ(MAPPED, used_bytes(self->fd));
}

/* So it may be more than the buffer has. */
TEST_F(resident, is_counted_for_each_mapping_and_process)
{
	char *map = map_buffer(self->fd, &self->buffer);
	char *again = map_buffer(self->fd, &self->buffer);
	pid_t child;

	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_NE(MAP_FAILED, (void *)again);
	touch(map, MAPPED);
	touch(again, MAPPED);
	EXPECT_TRUE(has_grown(self, 2 * MAPPED));
	child = fork_child();
	if (!child) {
		touch(map, MAPPED);
		_exit(rss_file() >= (__s64)(MAPPED * 3 / 4) ? 0 : 1);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(MAPPED, used_bytes(self->fd));
}

/* In thousandths of all memory, of which oom_score is two thirds. */
TEST_F(resident, raises_the_oom_score)
{
	const __s64 total = figure("/proc/meminfo", "MemTotal") + figure("/proc/meminfo",
									  "SwapTotal");
	char *map = map_buffer(self->fd, &self->buffer);
	int before = own_score();

	ASSERT_LT(0, total);
	ASSERT_NE(MAP_FAILED, (void *)map);
	touch(map, MAPPED);
	EXPECT_LE(before + 1000LL * (__s64)MAPPED / total * 2 / 3 - 2, own_score());
	EXPECT_LT(before, own_score());
	munmap(map, MAPPED);
	EXPECT_GE(before + 1, own_score());
}

/* But the system gets nothing back with the process, where the region does. */
TEST_F(resident, is_not_free_memory_afterwards)
{
	__s64 before, free_memory;
	int ready[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	ASSERT_EQ(0, pipe(ready));
	child = fork_child();
	if (!child) {
		int fd = open_device();
		char *map = alloc_buffer(fd, MAPPED, &self->buffer) ? MAP_FAILED :
			    map_buffer(fd, &self->buffer);

		if (map == MAP_FAILED)
			_exit(1);
		touch(map, MAPPED);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		pause();
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(MAPPED, used_bytes(self->fd));
	before = figure("/proc/meminfo", "MemFree");
	kill(child, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
	free_memory = figure("/proc/meminfo", "MemFree");
	EXPECT_GT(before + (__s64)(MAPPED / 2), free_memory);
}

TEST_HARNESS_MAIN
