// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of buffers: what they show, what of them can be reached, and how
 * they stand up to fork(), mremap(), mprotect(), madvise() and partial unmapping.
 * The errnos of mmap() are in errors_sharing.c.
 */
#include "memalloc_test.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGES	16
#define LENGTH	(PAGES * PAGE)

FIXTURE(mapping) {
	int fd;
	struct memalloc_alloc buffer;
	char *map;
};

FIXTURE_SETUP(mapping)
{
	struct memalloc_alloc neighbour;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	/* Something before and behind the buffer, so that a mapping that is too long shows it. */
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &neighbour));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &neighbour));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	fill(self->map, LENGTH, 1);
}

FIXTURE_TEARDOWN(mapping)
{
}

/* What a second mapping of the buffer differs in from fill() with @seed. */
static size_t difference_seen_elsewhere(FIXTURE_DATA(mapping) * self, __u32 seed)
{
	void *map = map_at(self->fd, self->buffer.mmap_offset, LENGTH, PROT_READ);
	size_t at;

	if (map == MAP_FAILED)
		return 0;
	at = first_difference(map, LENGTH, seed);
	munmap(map, LENGTH);
	return at;
}

/* Descriptor and handle are given up; what is left of the buffer is its mappings. */
static void give_up_all_but_mappings(FIXTURE_DATA(mapping) * self)
{
	close(self->fd);
	self->fd = open_device();
}

TEST_F(mapping, two_show_the_same)
{
	char *other = map_buffer(self->fd, &self->buffer);

	ASSERT_NE(MAP_FAILED, (void *)other);
	EXPECT_EQ(LENGTH, first_difference(other, LENGTH, 1));
	fill(other, LENGTH, 2);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
}

TEST_F(mapping, part_at_every_page)
{
	size_t at, length;
	char *part;

	for (at = 0; at < LENGTH; at += PAGE) {
		for (length = PAGE; at + length <= LENGTH; length += 5 * PAGE) {
			part = map_at(self->fd, self->buffer.mmap_offset + at, length, PROT_READ);
			ASSERT_NE(MAP_FAILED, (void *)part);
			EXPECT_EQ(0, memcmp(part, self->map + at, length))
				TH_LOG("%zu bytes at %zu", length, at);
			munmap(part, length);
		}
	}
}

TEST_F(mapping, nothing_behind_the_end)
{
	char *room = mmap(NULL, LENGTH + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)room);
	ASSERT_EQ(room + PAGE, mmap(room + PAGE, LENGTH, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, self->fd, self->buffer.mmap_offset));
	EXPECT_EQ(0, touch_signal(room + PAGE, true));
	EXPECT_EQ(0, touch_signal(room + PAGE + LENGTH - 1, true));
	EXPECT_EQ(SIGSEGV, touch_signal(room + PAGE - 1, false));
	EXPECT_EQ(SIGSEGV, touch_signal(room + PAGE + LENGTH, false));
}

/* Every page of three neighbours is its own: what is written through one is not seen in another. */
TEST_F(mapping, neighbours_do_not_overlap)
{
	struct memalloc_alloc buffers[3];
	char *maps[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffers[i]));
		maps[i] = map_buffer(self->fd, &buffers[i]);
		ASSERT_NE(MAP_FAILED, (void *)maps[i]);
		fill(maps[i], LENGTH, 10 + i);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(LENGTH, first_difference(maps[i], LENGTH, 10 + i));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
}

/* The pages of a large buffer in random order; each says its number, twice over. */
TEST_F(mapping, random_order)
{
	const size_t pages = 16 * MIB / PAGE;
	struct memalloc_alloc buffer;
	size_t i, page, wrong = 0;
	__u64 *map;

	ASSERT_EQ(0, alloc_buffer(self->fd, 16 * MIB, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	/* An odd factor makes a permutation of a power of two. */
	for (i = 0; i < pages; i++) {
		page = i * 2654435761U % pages;
		map[page * PAGE / 8] = page;
	}
	munmap(map, 16 * MIB);
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	for (i = 0; i < pages; i++) {
		page = (pages - i) * 40503U % pages;
		wrong += map[page * PAGE / 8] != page;
	}
	EXPECT_EQ(0, wrong);
}

/* A fault brings in the pages around it. */
TEST_F(mapping, faults_are_few)
{
	const size_t pages = 16 * MIB / PAGE;
	struct memalloc_alloc buffer;
	struct rusage before, after;
	size_t i;
	char *map;

	ASSERT_EQ(0, alloc_buffer(self->fd, 16 * MIB, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	getrusage(RUSAGE_SELF, &before);
	for (i = 0; i < pages; i++)
		map[i * PAGE] = 1;
	getrusage(RUSAGE_SELF, &after);
	EXPECT_LT(0, after.ru_minflt - before.ru_minflt);
	EXPECT_LT(after.ru_minflt - before.ru_minflt, (long)pages / 8);
}

TEST_F(mapping, fork_shares)
{
	int status;
	pid_t child = fork_child();

	if (!child) {
		if (first_difference(self->map, LENGTH, 1) != LENGTH)
			_exit(1);
		fill(self->map, LENGTH, 2);
		_exit(0);
	}
	status = wait_child(child);
	EXPECT_EQ(0, status);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
}

/* A child's mapping is one of its own: it keeps the memory, and unmapping it takes nothing away. */
TEST_F(mapping, fork_keeps_the_memory)
{
	int go[2];
	char byte;
	pid_t child;

	ASSERT_EQ(0, pipe(go));
	child = fork_child();
	if (!child) {
		close(go[1]);
		close(self->fd);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(first_difference(self->map, LENGTH, 1) != LENGTH);
	}
	close(go[0]);
	give_up_all_but_mappings(self);
	munmap(self->map, LENGTH);
	EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == LENGTH));
	sleep_ms(20);
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	ASSERT_EQ(1, write(go[1], "", 1));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

TEST_F(mapping, outlives_free)
{
	struct memalloc_stats stats;

	EXPECT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
	EXPECT_EQ(3 * LENGTH, used_bytes(self->fd));
	munmap(self->map, LENGTH);
	EXPECT_EQ(2 * LENGTH, used_bytes(self->fd));
	EXPECT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ(0, stats.quarantined);
}

TEST_F(mapping, outlives_close)
{
	give_up_all_but_mappings(self);
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
	fill(self->map, LENGTH, 2);
	/* Pages that were not there yet can still be brought in. */
	ASSERT_EQ(0, madvise(self->map, LENGTH, MADV_DONTNEED));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
	munmap(self->map, LENGTH);
	EXPECT_EQ(0, used_bytes(self->fd));
}

TEST_F(mapping, unmapped_faults)
{
	munmap(self->map, LENGTH);
	EXPECT_EQ(SIGSEGV, touch_signal(self->map, false));
	EXPECT_EQ(SIGSEGV, touch_signal(self->map + LENGTH - 1, true));
}

TEST_F(mapping, partly_unmapped)
{
	give_up_all_but_mappings(self);
	ASSERT_EQ(0, munmap(self->map + 4 * PAGE, 8 * PAGE));
	EXPECT_EQ(SIGSEGV, touch_signal(self->map + 4 * PAGE, false));
	EXPECT_EQ(SIGSEGV, touch_signal(self->map + 12 * PAGE - 1, false));
	EXPECT_EQ(4 * PAGE, first_difference(self->map, 4 * PAGE, 1));
	EXPECT_EQ(pattern(1, 12 * PAGE / 8), *(__u64 *)(self->map + 12 * PAGE));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	ASSERT_EQ(0, munmap(self->map, 4 * PAGE));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	EXPECT_EQ(pattern(1, LENGTH / 8 - 1), *(__u64 *)(self->map + LENGTH - 8));
	ASSERT_EQ(0, munmap(self->map + 12 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, used_bytes(self->fd));
}

TEST_F(mapping, mremap_does_not_grow)
{
	munmap(self->map + LENGTH - PAGE, PAGE);
	EXPECT_EQ(MAP_FAILED, mremap(self->map, LENGTH - PAGE, LENGTH, 0));
	EXPECT_EQ(MAP_FAILED, mremap(self->map, LENGTH - PAGE, LENGTH, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(self->map, LENGTH - PAGE, 2 * LENGTH, MREMAP_MAYMOVE));
	/* An old length of 0 asks for another mapping from here on. */
	EXPECT_EQ(MAP_FAILED, mremap(self->map, 0, 2 * LENGTH, MREMAP_MAYMOVE));
	EXPECT_EQ(LENGTH - PAGE, first_difference(self->map, LENGTH - PAGE, 1));
}

TEST_F(mapping, mremap_moves)
{
	char *room = mmap(NULL, LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *old = self->map;

	ASSERT_NE(MAP_FAILED, (void *)room);
	ASSERT_EQ(room, mremap(old, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, room));
	EXPECT_EQ(SIGSEGV, touch_signal(old, false));
	EXPECT_EQ(LENGTH, first_difference(room, LENGTH, 1));
	ASSERT_EQ(0, madvise(room, LENGTH, MADV_DONTNEED));
	EXPECT_EQ(LENGTH, first_difference(room, LENGTH, 1));
	give_up_all_but_mappings(self);
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	munmap(room, LENGTH);
	EXPECT_EQ(0, used_bytes(self->fd));
}

/* A part that moves away still shows its own pages. */
TEST_F(mapping, mremap_moves_a_part)
{
	char *room = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *whole = map_buffer(self->fd, &self->buffer);

	ASSERT_NE(MAP_FAILED, (void *)room);
	ASSERT_NE(MAP_FAILED, (void *)whole);
	ASSERT_EQ(room, mremap(self->map + 8 * PAGE, 4 * PAGE, 4 * PAGE,
			       MREMAP_MAYMOVE | MREMAP_FIXED, room));
	ASSERT_EQ(0, madvise(room, 4 * PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, memcmp(room, whole + 8 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, memcmp(self->map, whole, 8 * PAGE));
	EXPECT_EQ(0, memcmp(self->map + 12 * PAGE, whole + 12 * PAGE, 4 * PAGE));
}

TEST_F(mapping, mremap_shrinks)
{
	ASSERT_EQ(self->map, mremap(self->map, LENGTH, 2 * PAGE, 0));
	EXPECT_EQ(2 * PAGE, first_difference(self->map, 2 * PAGE, 1));
	EXPECT_EQ(SIGSEGV, touch_signal(self->map + 2 * PAGE, false));
	give_up_all_but_mappings(self);
	munmap(self->map, 2 * PAGE);
	EXPECT_EQ(0, used_bytes(self->fd));
}

TEST_F(mapping, mprotect_to_read_and_back)
{
	ASSERT_EQ(0, mprotect(self->map, LENGTH, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_signal(self->map, true));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
	ASSERT_EQ(0, mprotect(self->map, LENGTH, PROT_READ | PROT_WRITE));
	fill(self->map, LENGTH, 2);
	EXPECT_EQ(LENGTH, difference_seen_elsewhere(self, 2));
}

TEST_F(mapping, read_only_handle)
{
	int other = open_device();
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	struct memalloc_import import;
	char *map;

	ASSERT_LE(0, other);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(other, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	map = map_at(other, import.mmap_offset, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	EXPECT_EQ(SIGSEGV, touch_signal(map, true));
	EXPECT_EQ(-1, mprotect(map, LENGTH, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	/* Neither does it become writable in a child. */
	EXPECT_EQ(SIGSEGV, touch_signal(map, true));
	EXPECT_EQ(-EACCES, map_errno(other, import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE));
	EXPECT_EQ(LENGTH, difference_seen_elsewhere(self, 1));
}

/* Of two handles for a buffer the writable one counts, as long as it is there. */
TEST_F(mapping, two_handles)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY);
	struct memalloc_import import;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, 0, &import));
	EXPECT_NE(self->buffer.handle, import.handle);
	EXPECT_EQ(self->buffer.mmap_offset, import.mmap_offset);
	EXPECT_EQ(0, map_errno(self->fd, import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(-EACCES,
		  map_errno(self->fd, import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, map_errno(self->fd, import.mmap_offset, LENGTH, PROT_READ));
	ASSERT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_EQ(-ENOENT, map_errno(self->fd, import.mmap_offset, LENGTH, PROT_READ));
}

TEST_F(mapping, dontneed_keeps_the_bytes)
{
	ASSERT_EQ(0, madvise(self->map, LENGTH, MADV_DONTNEED));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
}

/* Not every kernel has the older one for 32-bit programs. */
#ifdef SYS_futex_time64
#undef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

static long futex(void *word, int operation, __u32 value)
{
	return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/*
 * A process waits at a word of the buffer, and is woken by one that has mapped it in another way:
 * for the kernel, the word is the same. The words of other pages are others.
 */
TEST_F(mapping, futexes_are_shared)
{
	const size_t at = 5 * PAGE + 64;
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	bool woken;
	pid_t child;

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	ASSERT_LE(0, dmabuf);
	child = fork_child();
	if (!child) {
		char *map = map_at(dmabuf, PAGE, LENGTH - PAGE, PROT_READ | PROT_WRITE);
		__u32 *word = (__u32 *)(map + at - PAGE);

		if (map == MAP_FAILED)
			_exit(1);
		_exit(futex(word, FUTEX_WAIT, *word) ? errno : 0);
	}
	woken = WAIT_UNTIL(!futex(self->map + at + PAGE, FUTEX_WAKE, 1) &&
			   futex(self->map + at, FUTEX_WAKE, 1) == 1);
	EXPECT_TRUE(woken);
	if (!woken)
		kill(child, SIGKILL);
	EXPECT_EQ(0, wait_child(child));
}

static void *wait_at(void *word)
{
	futex(word, FUTEX_WAIT, 0);
	return NULL;
}

/* How many wait there; they go on waiting. */
static int count_waiters(__u32 *word)
{
	return syscall(SYS_futex, word, FUTEX_REQUEUE, 0, INT_MAX, word, 0);
}

/* Who waits at a word of a buffer that is gone takes no wake-up from those who use the next. */
TEST_F(mapping, futexes_of_the_gone_stay_with_them)
{
	const size_t at = 5 * PAGE;
	pthread_t thread;
	int i;

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	for (i = 0; i < 3; i++) {
		memset(self->map, 0, LENGTH);
		ASSERT_EQ(0, pthread_create(&thread, NULL, wait_at, self->map + at));
		ASSERT_TRUE(WAIT_UNTIL(count_waiters((__u32 *)(self->map + at)) == 1));
		ASSERT_EQ(0, munmap(self->map, LENGTH));
		ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
		ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
		self->map = map_buffer(self->fd, &self->buffer);
		ASSERT_NE(MAP_FAILED, (void *)self->map);
		EXPECT_EQ(0, count_waiters((__u32 *)(self->map + at)));
		EXPECT_EQ(0, futex(self->map + at, FUTEX_WAKE, 1));
	}
}

/* The kernel reaches the pages too: from another process, and when it writes them to a file. */
TEST_F(mapping, kernel_reads_and_writes_it)
{
	char *copy = malloc(LENGTH);
	struct iovec local = { copy, LENGTH }, remote = { self->map, LENGTH };
	FILE *file = tmpfile();

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	ASSERT_NE(NULL, copy);
	ASSERT_NE(NULL, file);
	ASSERT_EQ(LENGTH, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(LENGTH, first_difference(copy, LENGTH, 1));
	fill(copy, LENGTH, 3);
	ASSERT_EQ(LENGTH, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 3));

	ASSERT_EQ(LENGTH, pwrite(fileno(file), self->map, LENGTH, 0));
	fill(self->map, LENGTH, 4);
	ASSERT_EQ(LENGTH, pread(fileno(file), self->map, LENGTH, 0));
	EXPECT_EQ(LENGTH, difference_seen_elsewhere(self, 3));
}

TEST_HARNESS_MAIN
