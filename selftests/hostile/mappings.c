// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker does to a mapping of a buffer all that the kernel lets programs do to their
 * mappings: every advice, moving, growing, mapping over it, locking, other protections,
 * sizes that wrap around. Whatever it answers, the mapping shows the buffer or nothing,
 * reaches nothing beside it, and lets go of it in the end. What each of the common ones does
 * when all is well is in mapping.c.
 */
#include "hostile.h"

#include <sys/syscall.h>

#define SEED	5
#define MANY	2000U

FIXTURE(mappings) {
	struct scene scene;
	int fd;
	struct memalloc_alloc buffer;
	unsigned int pages;
	__u64 length;
	char *map;
	char *room;		/* where nothing is yet, three times as long */
};

FIXTURE_VARIANT(mappings) {
	bool huge;		/* entries of page tables, two of them */
};

FIXTURE_VARIANT_ADD(mappings, small) { false };
FIXTURE_VARIANT_ADD(mappings, huge) { true };

static int alloc(FIXTURE_DATA(mappings) * self, bool huge, struct memalloc_alloc *buffer)
{
	return huge ? alloc_huge(self->fd, self->length, buffer) :
		      alloc_buffer(self->fd, self->length, buffer);
}

FIXTURE_SETUP(mappings)
{
	struct memalloc_info info;

	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, as_user(MALLORY));
	self->fd = self->scene.mallory;
	ASSERT_EQ(0, get_info(self->fd, &info));
	if (variant->huge && (!info.huge_mapping || info.huge_mapping > 4 * MIB))
		SKIP(return, "huge entries are too large for that, or there are none");
	self->length = variant->huge ? 2 * info.huge_mapping : 80 * PAGE;
	self->pages = self->length / PAGE;
	ASSERT_EQ(0, alloc(self, variant->huge, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	fill(self->map, self->length, SEED);
	self->room = mmap(NULL, 3 * self->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->room);
}

FIXTURE_TEARDOWN(mappings)
{
	if (self->map)
		munmap(self->map, self->length);
	if (self->room)
		munmap(self->room, 3 * self->length);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* The buffer is as it was, seen by another mapping. */
static bool is_unchanged(FIXTURE_DATA(mappings) * self)
{
	char *map = map_buffer(self->fd, &self->buffer);
	bool unchanged = map != MAP_FAILED &&
			 first_difference(map, self->length, SEED) == self->length;

	munmap(map, self->length);
	return unchanged;
}

/* Every number there may be, known to this kernel or not; where what was there, and where not. */
TEST_F_TIMEOUT(mappings, every_advice, 300)
{
	int advice, known = 0;

	for (advice = 0; advice < 128; advice++) {
		pid_t child = fork_child();

		/* Some change what a child gets, or whether a fault is the end. */
		if (!child) {
			int ret = madvise(self->map, self->length, advice);

			if (ret && errno == EINVAL)
				_exit(1);
			/* By pages that are there, and by such that are not. */
			if (first_difference(self->map, self->length, SEED) != self->length)
				_exit(2);
			if (touch_signal(self->map, false) > 0 && advice != MADV_DONTFORK)
				_exit(3);
			_exit(0);
		}
		child = wait_child(child);
		EXPECT_GE(1, child)
			TH_LOG("advice %d: %d", advice, child);
		known += !child;
		EXPECT_TRUE(is_unchanged(self))
			TH_LOG("advice %d", advice);
	}
	TH_LOG("%d are known", known);
	EXPECT_LT(5, known);
}

/* Pages that the kernel would like to move, lock, merge, swap, or put on another node. */
TEST_F(mappings, kernel_moves_nothing)
{
	void *page = self->map;
	int node = 0, status;
	unsigned long nodes = 1;

	mlock(self->map, self->length);
	syscall(SYS_mlock2, self->map, self->length, MLOCK_ONFAULT);
	munlock(self->map, self->length);
	syscall(SYS_mbind, self->map, self->length, 2, &nodes, 2, 3);
	syscall(SYS_move_pages, 0, 1, &page, &node, &status, 2);
	syscall(SYS_migrate_pages, 0, 2, &nodes, &nodes);
	msync(self->map, self->length, MS_SYNC | MS_INVALIDATE);
	EXPECT_EQ(self->length, first_difference(self->map, self->length, SEED));
	EXPECT_TRUE(is_unchanged(self));
}

/* Moved at random, in whole or in part, also onto itself; every page shows what it showed. */
TEST_F_TIMEOUT(mappings, moved_at_random, 300)
{
	char **at = calloc(self->pages, sizeof(*at));
	__u64 random = 1;
	unsigned int i, moves = 0;

	for (i = 0; i < self->pages; i++)
		at[i] = self->map + i * PAGE;
	for (i = 0; i < 2000; i++) {
		unsigned int page = random_below(&random, self->pages);
		char *to = self->room + random_below(&random, 3 * self->pages) * PAGE;
		const int flags = MREMAP_MAYMOVE | MREMAP_FIXED |
				  (random_below(&random, 8) ? 0 : MREMAP_DONTUNMAP);
		unsigned int other;
		bool taken = false;

		for (other = 0; other < self->pages; other++)
			taken |= at[other] == to;
		if (taken || mremap(at[page], PAGE, PAGE, flags, to) != to)
			continue;
		if (flags & MREMAP_DONTUNMAP)
			munmap(at[page], PAGE);
		at[page] = to;
		moves++;
		if (i % 3 == 0)
			madvise(to, PAGE, MADV_DONTNEED);
		ASSERT_EQ(pattern(SEED, page * PAGE / 8), *(__u64 *)to)
			TH_LOG("page %u, move %u", page, moves);
	}
	EXPECT_LT(500, moves);
	for (i = 0; i < self->pages; i++)
		EXPECT_EQ(pattern(SEED, (i + 1) * PAGE / 8 - 1), *(__u64 *)(at[i] + PAGE - 8));
	/* A part with a part of the room behind it does not grow into what it had before. */
	EXPECT_EQ(MAP_FAILED, mremap(at[0], PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(at[self->pages - 1], 0, 2 * PAGE, MREMAP_MAYMOVE));
	free(at);
}

/*
 * Over another part of it, over another buffer; each address shows the last one. What is
 * refused may take away what was there before, but nothing beside it.
 */
TEST_F(mappings, mapped_over)
{
	const int fixed = MAP_SHARED | MAP_FIXED;
	struct memalloc_alloc other;
	unsigned int i;

	ASSERT_EQ(0, alloc(self, variant->huge, &other));
	ASSERT_EQ(self->room, mmap(self->room, self->length, PROT_READ | PROT_WRITE, fixed,
				   self->fd, self->buffer.mmap_offset));
	for (i = 0; i < self->pages - 1; i++) {
		const __u64 offset = self->buffer.mmap_offset + (self->pages - 1 - i) * PAGE;
		char *at = self->room + i * PAGE;

		EXPECT_EQ(pattern(SEED, i * PAGE / 8), *(__u64 *)at);
		ASSERT_EQ(at, mmap(at, PAGE, PROT_READ | PROT_WRITE, fixed, self->fd, offset));
		EXPECT_EQ(pattern(SEED, (self->pages - 1 - i) * PAGE / 8), *(__u64 *)at);
		ASSERT_EQ(at, mmap(at, PAGE, PROT_READ | PROT_WRITE, fixed, self->fd,
				   other.mmap_offset));
		EXPECT_EQ(0, *(__u64 *)at);
		EXPECT_EQ(MAP_FAILED, mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, self->fd,
					   self->buffer.mmap_offset));
		EXPECT_EQ(pattern(SEED, (i + 1) * PAGE / 8), *(__u64 *)(at + PAGE));
	}
	EXPECT_EQ(MAP_FAILED, mmap(self->room, 2 * self->length, PROT_READ, fixed, self->fd,
				   self->buffer.mmap_offset));
	EXPECT_EQ(MAP_FAILED, mmap(self->room, 2 * self->length, PROT_READ, fixed, self->fd,
				   other.mmap_offset));
	EXPECT_TRUE(is_unchanged(self));
}

TEST_F(mappings, every_flag)
{
	static const int flags[] = {
		MAP_GROWSDOWN, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_LOCKED, MAP_NORESERVE,
		MAP_POPULATE, MAP_NONBLOCK, MAP_STACK, MAP_HUGETLB, MAP_SYNC, MAP_FIXED_NOREPLACE,
#ifdef MAP_32BIT
		MAP_32BIT,
#endif
	};
	static const int types[] = { MAP_SHARED, MAP_SHARED_VALIDATE, MAP_PRIVATE };
	size_t i, type;

	for (type = 0; type < ARRAY_SIZE(types); type++) {
		for (i = 0; i < ARRAY_SIZE(flags); i++) {
			char *map = mmap(NULL, self->length, PROT_READ, types[type] | flags[i],
					 self->fd, self->buffer.mmap_offset);

			if (map == MAP_FAILED)
				continue;
			EXPECT_NE(MAP_PRIVATE, types[type]);
			EXPECT_EQ(self->length, first_difference(map, self->length, SEED))
				TH_LOG("flag %#x", flags[i]);
			munmap(map, self->length);
		}
	}
}

/* An offset and a length that wrap around, alone or together. */
TEST_F(mappings, every_size)
{
	const __u64 sizes[] = {
		0, 1, PAGE, self->length - 1, self->length, self->length + 1, 2 * self->length,
		1U << 31, UINT32_MAX, 1ULL << 32, (1ULL << 32) + PAGE, 1ULL << 43,
		(1ULL << 44) + PAGE, 1ULL << 46, 1ULL << 52, INT64_MAX, 1ULL << 63,
		~0ULL - self->length + 1, ~0ULL - PAGE + 1, ~0ULL,
	};
	size_t a, b;

	for (a = 0; a < ARRAY_SIZE(sizes); a++) {
		for (b = 0; b < ARRAY_SIZE(sizes); b++) {
			const __u64 at = sizes[a] & -PAGE, length = sizes[b];
			void *map = mmap(NULL, length, PROT_READ, MAP_SHARED, self->fd,
					 self->buffer.mmap_offset + at);

			if (map == MAP_FAILED)
				continue;
			EXPECT_TRUE(at < self->length && length <= self->length - at)
				TH_LOG("%#llx bytes at %#llx", length, at);
			munmap(map, length);
		}
		if (sizes[a] < 2 * self->length)
			EXPECT_EQ(MAP_FAILED,
				  mremap(self->map, sizes[a], 2 * self->length, MREMAP_MAYMOVE));
		if (sizes[a] > self->length)
			EXPECT_EQ(MAP_FAILED, mremap(self->map, self->length, sizes[a],
						     MREMAP_MAYMOVE));
	}
	EXPECT_EQ(self->length, first_difference(self->map, self->length, SEED));
}

/* Files that are open in the whole system. */
static long open_files(void)
{
	FILE *file = fopen("/proc/sys/fs/file-nr", "r");
	long files = -1;

	if (!file || fscanf(file, "%ld", &files) != 1)
		files = -1;
	if (file)
		fclose(file);
	return files;
}

/* No limit of the attacker's counts the files of mappings: a buffer has one, however many. */
TEST_F(mappings, many_take_one_file)
{
	const long before = open_files();
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	static char *maps[MANY];
	unsigned int i;

	/* It may be 0: each processor counts some for itself before all are told. */
	ASSERT_LE(0, before);
	ASSERT_LE(0, dmabuf);
	for (i = 0; i < MANY; i++) {
		/* Apart from one another, so that they stay as many mappings. */
		maps[i] = map_at(i % 2 ? dmabuf : self->fd,
				 (i % 2 ? 0 : self->buffer.mmap_offset) + i % 7 * 2 * PAGE,
				 PAGE, i % 3 ? PROT_READ : PROT_READ | PROT_WRITE);
		ASSERT_NE(MAP_FAILED, (void *)maps[i]);
		ASSERT_EQ(pattern(SEED, i % 7 * 2 * PAGE / 8), *(__u64 *)maps[i]);
	}
	EXPECT_GT(before + (long)MANY / 4, open_files());
	for (i = 0; i < MANY; i++)
		munmap(maps[i], PAGE);
	close(dmabuf);
}

/* Threads discard the same pages and touch them, while one protects them: no fault is the end. */
static _Atomic int readers;

struct worker {
	pthread_t id;
	void *(*work)(void *data);
	char *map;
	__u64 length;
	bool huge;
	bool wrong;
};

static void *discard_and_read_pages(void *data)
{
	struct worker *worker = data;
	unsigned int i;

	for (i = 0; i < 3000; i++) {
		__u64 *page = (__u64 *)(worker->map + i * PAGE % worker->length);

		/* It is refused where the kernel sees no pages. */
		worker->wrong |= madvise(worker->map, worker->length, MADV_DONTNEED) !=
				 (worker->huge ? -1 : 0);
		worker->wrong |= __atomic_load_n(page, __ATOMIC_RELAXED) !=
				 pattern(SEED, i * PAGE % worker->length / 8);
	}
	worker->wrong |= first_difference(worker->map, worker->length, SEED) != worker->length;
	readers--;
	return NULL;
}

static void *protect_pages(void *data)
{
	struct worker *worker = data;
	int prot = PROT_READ;

	while (readers) {
		prot ^= PROT_WRITE;
		worker->wrong |= mprotect(worker->map, worker->length, prot);
		usleep(1000); /* Faults wait while it protects. */
	}
	return NULL;
}

TEST_F_TIMEOUT(mappings, faults_race, 300)
{
	struct worker workers[] = {
		{ .work = discard_and_read_pages }, { .work = discard_and_read_pages },
		{ .work = protect_pages },
	};
	unsigned int i;

	readers = 2;
	for (i = 0; i < ARRAY_SIZE(workers); i++) {
		workers[i].map = self->map;
		workers[i].length = self->length;
		workers[i].huge = variant->huge;
		ASSERT_EQ(0, pthread_create(&workers[i].id, NULL, workers[i].work, &workers[i]));
	}
	for (i = 0; i < ARRAY_SIZE(workers); i++) {
		ASSERT_EQ(0, pthread_join(workers[i].id, NULL));
		EXPECT_FALSE(workers[i].wrong)
			TH_LOG("worker %u", i);
	}
}

TEST_HARNESS_MAIN
