// SPDX-License-Identifier: GPL-2.0-only
/*
 * Huge mappings: buffers of MEMALLOC_ALLOC_HUGE show what other buffers show, whatever is done to
 * the mapping or to the buffer's size. Nobody can pin a page through them.
 */
#include "memalloc_test.h"

#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static __attribute__((constructor)) void needs_huge_entries(void)
{
	struct memalloc_info info;
	int fd = open_device();

	skip_program_if(fd >= 0 && !get_info(fd, &info) && !info.huge_mapping,
			"there are no huge mappings of this memory on this kernel");
	close(fd);
}

FIXTURE(huge) {
	int fd;
	size_t huge;		/* bytes of a huge entry */
	size_t length;		/* of the buffer: two huge entries, and a few small ones */
	struct memalloc_alloc buffer;
	char *map;
};

FIXTURE_SETUP(huge)
{
	struct memalloc_info info;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_info(self->fd, &info));
	self->huge = info.huge_mapping;
	self->length = 2 * self->huge + 3 * PAGE;
	ASSERT_EQ(0, alloc_huge(self->fd, self->length, &self->buffer));
	self->map = map_at(self->fd, self->buffer.mmap_offset, self->length,
			   PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
}

FIXTURE_TEARDOWN(huge)
{
}

static __thread sigjmp_buf stopped;

static void on_fault_signal(int signal)
{
	(void)signal;
	siglongjmp(stopped, 1);
}

/* By this process itself: a child would not get the huge entries. */
static bool can_read(const char *at)
{
	const struct sigaction action = { .sa_handler = on_fault_signal };

	if (sigaction(SIGSEGV, &action, NULL) || sigsetjmp(stopped, 1))
		return false;
	__atomic_load_n(at, __ATOMIC_RELAXED);
	return true;
}

/* One word of each page is written, or looked at: huge pages of some machines have 32 MiB. */
static void mark_pages(char *map, size_t length, __u64 seed)
{
	size_t at;

	for (at = 0; at < length; at += PAGE)
		__atomic_store_n((__u64 *)(map + at), seed + at, __ATOMIC_RELAXED);
}

/* The first page that mark_pages() with @seed did not write; @length: none. */
static size_t first_unmarked(const char *map, size_t length, __u64 seed)
{
	size_t at;

	for (at = 0; at < length; at += PAGE)
		if (__atomic_load_n((__u64 *)(map + at), __ATOMIC_RELAXED) != seed + at)
			break;
	return at;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

TEST_F(huge, begins_where_an_entry_can)
{
	struct memalloc_alloc page, other;
	struct memalloc_query query;

	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
	EXPECT_EQ(0, query.physical % self->huge);
	EXPECT_EQ(0, (uintptr_t)self->map % self->huge);
	/* Also where the first free block begins elsewhere. */
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &page));
	ASSERT_EQ(0, alloc_huge(self->fd, self->length, &other));
	ASSERT_EQ(0, query_physical(self->fd, other.handle, &query));
	EXPECT_EQ(0, query.physical % self->huge);
	ASSERT_EQ(0, free_buffer(self->fd, other.handle));
	munmap(self->map, self->length);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(0, release_all(self->fd));
}

TEST_F(huge, takes_a_fault_each)
{
	long before = faults();

	mark_pages(self->map, self->length, 1);
	EXPECT_GE(2 + 3 + 3, faults() - before);
	munmap(self->map, self->length);
	self->map = map_at(self->fd, self->buffer.mmap_offset, self->length, PROT_READ);
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 1));
}

TEST_F(huge, is_zero_at_first_and_for_the_next)
{
	const __u64 rest = 100;		/* ms, before the background zeroes it */
	__u64 begin;

	EXPECT_EQ(self->length, first_nonzero(self->map, self->length));
	memset(self->map, 0xa5, self->length);
	munmap(self->map, self->length);
	begin = now_ms();
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_TRUE(self->length <= dirty_bytes(self->fd) || now_ms() - begin >= rest);
	ASSERT_EQ(0, alloc_huge(self->fd, self->length, &self->buffer));
	self->map = map_at(self->fd, self->buffer.mmap_offset, self->length, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	EXPECT_EQ(self->length, first_nonzero(self->map, self->length));
}

/* A mapping in which no huge entry has room shows the same as one that is made of them. */
TEST_F(huge, shows_the_same_at_any_address)
{
	char *room = mmap(NULL, self->length + 2 * self->huge, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *other = room + PAGE + (-(uintptr_t)room & (self->huge - 1));
	size_t at;

	ASSERT_NE(MAP_FAILED, (void *)room);
	mark_pages(self->map, self->length, 2);
	ASSERT_EQ(other, mmap(other, self->length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			      self->fd, self->buffer.mmap_offset));
	EXPECT_EQ(self->length, first_unmarked(other, self->length, 2));
	mark_pages(other, self->length, 3);
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 3));
	EXPECT_EQ(SIGSEGV, touch_signal(other + self->length, false));
	/* Parts from inside a huge page on. */
	for (at = PAGE; at < self->length; at += self->huge / 2 + PAGE) {
		other = map_at(self->fd, self->buffer.mmap_offset + at, self->length - at,
			       PROT_READ);
		ASSERT_NE(MAP_FAILED, (void *)other);
		if (at <= self->huge)
			EXPECT_EQ(0, (uintptr_t)(other - at) % self->huge);
		EXPECT_EQ(self->length - at,
			  first_unmarked(other, self->length - at, 3 + at));
		munmap(other, self->length - at);
	}
}

static int try_vmsplice(char *page)
{
	const struct iovec iov = { .iov_base = page, .iov_len = PAGE };
	int pipes[2];
	int err;

	if (pipe(pipes))
		return -errno;
	err = vmsplice(pipes[1], &iov, 1, 0) < 0 ? -errno : 0;
	close(pipes[0]);
	close(pipes[1]);
	return err;
}

static int try_other_process(char *page)
{
	char word[8];
	const struct iovec local = { .iov_base = word, .iov_len = sizeof(word) };
	const struct iovec remote = { .iov_base = page, .iov_len = sizeof(word) };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0 ? -errno : 0;
}

static int try_futex(char *page)
{
	return syscall(SYS_futex, page, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

/* Through huge entries and through small ones. Nothing is in quarantine after that. */
TEST_F(huge, nobody_pins_a_page)
{
	const size_t places[] = { 0, self->huge - PAGE, self->huge, self->length - PAGE };
	size_t i;

	mark_pages(self->map, self->length, 4);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		EXPECT_EQ(-EFAULT, try_vmsplice(self->map + places[i]));
		EXPECT_EQ(-EFAULT, try_other_process(self->map + places[i]));
		EXPECT_EQ(-EFAULT, try_futex(self->map + places[i]));
	}
	munmap(self->map, self->length);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(0, quarantined_bytes(self->fd));
	EXPECT_EQ(0, used_bytes(self->fd));
}

/* Copies by the CPU do work. */
TEST_F(huge, can_be_written_to_a_file)
{
	char *copy = malloc(2 * PAGE);
	int pipes[2];

	mark_pages(self->map, self->length, 5);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, write(pipes[1], self->map + self->huge, PAGE));
	ASSERT_EQ(PAGE, read(pipes[0], copy, PAGE));
	EXPECT_EQ(0, memcmp(copy, self->map + self->huge, PAGE));
	ASSERT_EQ(PAGE, write(pipes[1], copy, PAGE));
	ASSERT_EQ(PAGE, read(pipes[0], self->map, PAGE));
	EXPECT_EQ(0, memcmp(copy, self->map, PAGE));
	free(copy);
}

TEST_F(huge, fork_shares)
{
	pid_t child;

	mark_pages(self->map, self->length, 6);
	child = fork_child();
	if (!child) {
		if (first_unmarked(self->map, self->length, 6) != self->length)
			_exit(1);
		mark_pages(self->map, self->length, 7);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 7));
}

TEST_F(huge, protection_of_a_part)
{
	char *part = self->map + self->huge / 2;

	mark_pages(self->map, self->length, 8);
	ASSERT_EQ(0, mprotect(part, PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_signal(part, true));
	EXPECT_EQ(0, touch_signal(part, false));
	EXPECT_EQ(0, touch_signal(part + PAGE + 8, true));
	ASSERT_EQ(0, mprotect(part, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, touch_signal(part + 8, true));
	ASSERT_EQ(0, mprotect(self->map, self->huge, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch_signal(part, false));
	ASSERT_EQ(0, mprotect(self->map, self->huge, PROT_READ | PROT_WRITE));
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 8));
	mark_pages(self->map, self->length, 9);
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 9));
}

/* A read-only handle's mapping has no way to become writable. */
TEST_F(huge, read_only_stays_so)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY | O_CLOEXEC);
	char *map;

	ASSERT_LE(0, dmabuf);
	mark_pages(self->map, self->length, 10);
	map = mmap(NULL, self->length, PROT_READ, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(self->length, first_unmarked(map, self->length, 10));
	EXPECT_EQ(SIGSEGV, touch_signal(map, true));
	EXPECT_EQ(-1, mprotect(map, self->length, PROT_READ | PROT_WRITE));
	close(dmabuf);
}

TEST_F(huge, unmapped_in_part)
{
	char *hole = self->map + self->huge / 4;

	mark_pages(self->map, self->length, 11);
	ASSERT_EQ(0, munmap(hole, 2 * PAGE));
	EXPECT_EQ(SIGSEGV, touch_signal(hole, false));
	EXPECT_EQ(hole - self->map, first_unmarked(self->map, hole - self->map, 11));
	/* What is beside it came back by a fault, the hole did not. */
	EXPECT_FALSE(can_read(hole));
	hole += 2 * PAGE;
	EXPECT_EQ(self->map + self->length - hole,
		  first_unmarked(hole, self->map + self->length - hole,
				 11 + (hole - self->map)));
}

TEST_F(huge, moves)
{
	char *room = mmap(NULL, self->length + 2 * self->huge, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to = room + (-(uintptr_t)room & (self->huge - 1));
	char *other;

	ASSERT_NE(MAP_FAILED, (void *)room);
	mark_pages(self->map, self->length, 12);
	/* To where its huge entries can go along, and to where they can't. */
	ASSERT_EQ(to, mremap(self->map, self->length, self->length, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	EXPECT_EQ(self->length, first_unmarked(to, self->length, 12));
	other = room + self->length + self->huge;
	ASSERT_EQ(other, mremap(to + PAGE, self->huge, self->huge, MREMAP_MAYMOVE | MREMAP_FIXED,
				other));
	EXPECT_EQ(self->huge,
		  first_unmarked(other, self->huge, 12 + PAGE));
	EXPECT_EQ(SIGSEGV, touch_signal(to + PAGE, false));
}

/* It becomes longer at any time, shorter only while nobody has it mapped. */
TEST_F(huge, shrinks_and_grows)
{
	const size_t cut = self->huge + self->huge / 2;

	mark_pages(self->map, self->length, 13);
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, cut));
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 13));
	munmap(self->map, self->length);
	ASSERT_EQ(0, resize_buffer(self->fd, self->buffer.handle, cut));
	EXPECT_EQ(0, quarantined_bytes(self->fd));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, self->buffer.mmap_offset, cut + PAGE, PROT_READ));
	/* Where it was, so that nothing is behind it. */
	self->map = mmap(self->map, cut, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, self->fd,
			 self->buffer.mmap_offset);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	EXPECT_EQ(cut, first_unmarked(self->map, cut, 13));
	ASSERT_EQ(0, resize_buffer(self->fd, self->buffer.handle, self->length));
	EXPECT_EQ(SIGSEGV, touch_signal(self->map + cut, false));
	EXPECT_EQ(cut, first_unmarked(self->map, cut, 13));
	munmap(self->map, cut);
	self->map = map_at(self->fd, self->buffer.mmap_offset, self->length,
			   PROT_READ | PROT_WRITE);
	EXPECT_EQ(cut, first_unmarked(self->map, cut, 13));
	EXPECT_EQ(self->length - cut, first_nonzero(self->map + cut, self->length - cut));
	mark_pages(self->map, self->length, 14);
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 14));
}

TEST_F(huge, by_a_dmabuf)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	char *room = mmap(NULL, self->length + self->huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	char *to = room + (-(uintptr_t)room & (self->huge - 1));
	long before;

	ASSERT_LE(0, dmabuf);
	ASSERT_NE(MAP_FAILED, (void *)room);
	ASSERT_EQ(to, mmap(to, self->length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, dmabuf,
			   0));
	before = faults();
	mark_pages(to, self->length, 15);
	EXPECT_GE(2 + 3 + 3, faults() - before);
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 15));
	munmap(self->map, self->length);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(self->length, first_unmarked(to, self->length, 15));
	close(dmabuf);
}

TEST_F(huge, in_batches)
{
	struct memalloc_alloc buffers[2] = {
		{ .size = sizeof(*buffers), .flags = MEMALLOC_ALLOC_HUGE, .length = self->huge },
		{ .size = sizeof(*buffers), .length = self->huge },
	};
	long before;
	char *map;

	ASSERT_EQ(0, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, buffers, 2, sizeof(*buffers)));
	map = map_buffer(self->fd, &buffers[0]);
	ASSERT_NE(MAP_FAILED, (void *)map);
	before = faults();
	mark_pages(map, self->huge, 16);
	EXPECT_GE(3, faults() - before);
	/* The other one is as always. */
	map = map_buffer(self->fd, &buffers[1]);
	ASSERT_NE(MAP_FAILED, (void *)map);
	mark_pages(map, self->huge, 17);
	EXPECT_EQ(0, try_vmsplice(map));
	buffers[0].flags = MEMALLOC_ALLOC_HUGE << 1;
	EXPECT_EQ(-EINVAL, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, buffers, 2,
				      sizeof(*buffers)));
}

TEST_F(huge, constraints_hold_besides)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;

	buffer = (struct memalloc_alloc) {
		.size = sizeof(buffer),
		.flags = MEMALLOC_ALLOC_HUGE,
		.length = 3 * PAGE,
		.alignment = 2 * self->huge,
		.boundary = 4 * self->huge,
	};
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
	ASSERT_EQ(0, query_physical(self->fd, buffer.handle, &query));
	EXPECT_EQ(0, query.physical % (2 * self->huge));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(0, release_all(self->fd));
	buffer.alignment = PAGE + 1;
	EXPECT_EQ(-EINVAL, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
	buffer.alignment = 0;
	buffer.boundary = 0;
	buffer.length = 1ULL << 60;
	EXPECT_EQ(-EFBIG, call(self->fd, MEMALLOC_IOC_ALLOC, &buffer));
}

/* What walks page tables, or wants to change them, finds nothing that it takes for a page. */
TEST_F(huge, walkers_pass_by)
{
	const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_WILLNEED, MADV_MERGEABLE,
		MADV_DONTFORK, MADV_DOFORK, 25 /* MADV_COLLAPSE */,
	};
	static const char *const files[] = {
		"/proc/self/smaps", "/proc/self/smaps_rollup", "/proc/self/numa_maps",
		"/proc/self/maps",
	};
	unsigned char *present = malloc(self->length / PAGE + 1);
	char text[4096];
	__u64 entry;
	size_t i;
	int fd;

	mark_pages(self->map, self->length, 18);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open(files[i], O_RDONLY);
		while (read(fd, text, sizeof(text)) > 0)
			;
		close(fd);
	}
	fd = open("/proc/self/pagemap", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(8, pread(fd, &entry, 8, (uintptr_t)self->map / PAGE * 8));
	EXPECT_EQ(0, entry >> 63);
	mincore(self->map, self->length, present);
	mlock(self->map, self->length);
	munlock(self->map, self->length);
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		madvise(self->map, self->huge, advice[i]);
		madvise(self->map + self->huge + PAGE, PAGE, advice[i]);
	}
	EXPECT_EQ(self->length, first_unmarked(self->map, self->length, 18));
	EXPECT_EQ(MAP_FAILED, mremap(self->map, self->length, self->length + PAGE,
				     MREMAP_MAYMOVE));
	free(present);
}

/* Some map all of the buffer and touch it, while its size changes whenever that is possible. */
struct race {
	FIXTURE_DATA(huge) * self;
	int *stop;
	__u64 state;		/* of random_below() */
	unsigned long wrong;
	unsigned long beyond;
	unsigned long seen;
};

/* A page says its own number, or is new. */
static void touch_some_pages(struct race *race, char *map)
{
	int i;

	for (i = 0; i < 8; i++) {
		const size_t at = random_below(&race->state, race->self->length / PAGE) * PAGE;
		__u64 *word = (__u64 *)(map + at);
		__u64 seen;

		if (sigsetjmp(stopped, 1)) {
			race->beyond++;
			return;
		}
		seen = __atomic_load_n(word, __ATOMIC_RELAXED);
		if (seen && seen != at + 1)
			race->wrong++;
		__atomic_store_n(word, at + 1, __ATOMIC_RELAXED);
		race->seen++;
	}
}

static void *map_and_touch(void *data)
{
	struct race *race = data;
	const size_t length = race->self->length;

	while (!__atomic_load_n(race->stop, __ATOMIC_RELAXED)) {
		char *map = map_at(race->self->fd, race->self->buffer.mmap_offset, length,
				   PROT_READ | PROT_WRITE);

		if (map == MAP_FAILED)
			continue;
		touch_some_pages(race, map);
		munmap(map, length);
		/* Nobody has it mapped now and then. */
		usleep(random_below(&race->state, 3000));
	}
	return NULL;
}

TEST_F(huge, faults_meet_resize)
{
	const struct sigaction action = { .sa_handler = on_fault_signal };
	const __u64 end = now_ms() + 3000;
	struct race races[3] = {};
	pthread_t threads[ARRAY_SIZE(races)];
	unsigned long done = 0, busy = 0;
	__u64 state = 1;
	int stop = 0;
	size_t i;

	munmap(self->map, self->length);
	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	for (i = 0; i < ARRAY_SIZE(races); i++) {
		races[i] = (struct race){ .self = self, .stop = &stop, .state = i + 1 };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, map_and_touch, &races[i]));
	}
	while (now_ms() < end || (now_ms() < end + 30000 && !(done && busy))) {
		const size_t pages = 1 + random_below(&state, self->length / PAGE - 1);
		int err = resize_buffer(self->fd, self->buffer.handle, pages * PAGE);

		done += !err;
		busy += err == -EBUSY;
		EXPECT_TRUE(!err || err == -EBUSY)
			TH_LOG("RESIZE: %d", err);
		EXPECT_EQ(0, resize_buffer(self->fd, self->buffer.handle, self->length));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(races); i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, races[i].wrong);
		EXPECT_LT(0, races[i].seen);
		TH_LOG("%lu pages seen, %lu beyond the end", races[i].seen, races[i].beyond);
	}
	TH_LOG("made shorter %lu times, refused %lu times", done, busy);
	EXPECT_LT(0, done);
	EXPECT_LT(0, busy);
}

TEST_HARNESS_MAIN
