// SPDX-License-Identifier: GPL-2.0-only
/*
 * ALLOC_BATCH and FREE_BATCH: each entry is what a single call would be, and whatever is
 * wrong with one of them, wherever it is, nothing of the batch is done. What they share
 * with all calls is in abi.c.
 */
#include "memalloc_test.h"

#include <sys/mman.h>

#define MAX		MEMALLOC_BATCH_MAX
#define ASKED		(2 * PAGE + 1000)	/* bytes of the first of the old buffers */
#define FIRST_ALLOC	48	/* bytes of the first version of struct memalloc_alloc */

FIXTURE(batch) {
	int fd;
	int other;
	struct memalloc_alloc allocs[MAX + 1];
	struct memalloc_free frees[MAX + 1];
	struct memalloc_alloc old[4];	/* buffers that are there already */
	struct state before;
};

/* Where in a batch of MAX something is wrong. */
static const __u32 places[] = { 0, 1, MAX / 2, MAX - 1 };

FIXTURE_SETUP(batch)
{
	__u32 i;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	for (i = 0; i < ARRAY_SIZE(self->old); i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, ASKED + i, &self->old[i]));
	self->before = state_of(self->fd);
	for (i = 0; i <= MAX; i++) {
		self->allocs[i] = (struct memalloc_alloc){
			.size = sizeof(struct memalloc_alloc), .length = 1 + i * 100,
		};
		self->frees[i] = (struct memalloc_free){ .size = sizeof(struct memalloc_free) };
	}
	for (i = 0; i < ARRAY_SIZE(self->old); i++)
		self->frees[i].handle = self->old[i].handle;
}

FIXTURE_TEARDOWN(batch)
{
}

#define ALLOC_BATCH(count, entry_size)	\
	call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, self->allocs, count, entry_size)
#define FREE_BATCH(count, entry_size)	\
	call_batch(self->fd, MEMALLOC_IOC_FREE_BATCH, self->frees, count, entry_size)

/* All figures are what they were, all buffers that were there are, and no other handle works. */
#define EXPECT_NOTHING_DONE(failures_more)					\
do {										\
	struct state after = state_of(self->fd);				\
	__u32 handle, last = self->old[ARRAY_SIZE(self->old) - 1].handle;	\
										\
	EXPECT_EQ(self->before.stats.failures + (failures_more), after.stats.failures);	\
	after.stats.failures = self->before.stats.failures;			\
	EXPECT_TRUE(same_stats(&self->before.stats, &after.stats));		\
	EXPECT_EQ(0, memcmp(&self->before.limits, &after.limits, sizeof(after.limits)));	\
	for (handle = self->old[0].handle; handle <= last; handle++)		\
		EXPECT_EQ(0, query_errno(self->fd, handle));			\
	for (; handle < last + 4 * MAX; handle++)				\
		EXPECT_EQ(-ENOENT, query_errno(self->fd, handle));		\
} while (0)

TEST_F(batch, as_many_single_calls)
{
	struct memalloc_query query;
	struct memalloc_stats stats;
	__u64 bytes = 0;
	char *map;
	__u32 i;

	ASSERT_EQ(0, ALLOC_BATCH(MAX, sizeof(self->allocs[0])));
	for (i = 0; i < MAX; i++) {
		struct memalloc_alloc *alloc = &self->allocs[i];

		ASSERT_EQ(0, query_buffer(self->fd, alloc->handle, &query));
		EXPECT_EQ(1 + i * 100, query.length);
		EXPECT_EQ(alloc->real_length, query.real_length);
		EXPECT_EQ(alloc->mmap_offset, query.mmap_offset);
		EXPECT_EQ((query.length + PAGE - 1) / PAGE * PAGE, query.real_length);
		EXPECT_EQ(-ENOENT, query_errno(self->other, alloc->handle));
		map = map_buffer(self->fd, alloc);
		ASSERT_NE(MAP_FAILED, map);
		ASSERT_EQ(alloc->real_length, first_nonzero(map, alloc->real_length));
		fill(map, alloc->real_length, i);
		bytes += alloc->real_length;
	}
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_EQ(self->before.stats.buffers + MAX, stats.buffers);
	EXPECT_EQ(self->before.stats.used + bytes, stats.used);

	/* All at once, those that were there before among them. */
	for (i = 0; i < MAX; i++) {
		self->frees[i].handle = self->allocs[i].handle;
		self->frees[i].length = i % 2 ? self->allocs[i].length : 0;
	}
	self->frees[7].handle = self->old[2].handle;
	self->frees[7].length = self->old[2].length;
	EXPECT_EQ(0, FREE_BATCH(MAX, sizeof(self->frees[0])));
	for (i = 0; i < MAX; i++)
		EXPECT_EQ(i == 7 ? 0 : -ENOENT, query_errno(self->fd, self->allocs[i].handle));
	EXPECT_EQ(-ENOENT, query_errno(self->fd, self->old[2].handle));
	EXPECT_EQ(0, query_errno(self->fd, self->old[1].handle));
}

TEST_F(batch, each_has_constraints_of_its_own)
{
	__u32 i;

	for (i = 0; i < 8; i++)
		self->allocs[i].alignment = PAGE << i;
	ASSERT_EQ(0, ALLOC_BATCH(9, sizeof(self->allocs[0])));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, offset_of_handle(self->fd, self->allocs[i].handle) % (PAGE << i));
	EXPECT_EQ(0, self->allocs[9].handle);
}

/* Programs that know less of an entry, or more, than the kernel. */
TEST_F(batch, entries_of_another_size)
{
	const __u32 sizes[] = { FIRST_ALLOC, FIRST_ALLOC + 8, sizeof(struct memalloc_alloc) + 8,
				sizeof(struct memalloc_alloc) + 1, PAGE };
	char *memory = calloc(5, PAGE);
	struct memalloc_query query;
	__u32 i, n, at;

	ASSERT_NE(NULL, memory);
	for (n = 0; n < ARRAY_SIZE(sizes); n++) {
		const __u32 size = sizes[n];
		struct memalloc_alloc entry = { .size = size };

		memset(memory, 0, 5 * PAGE);
		for (i = 0; i < 4; i++) {
			entry.length = PAGE * (i + 1);
			memcpy(memory + i * size, &entry, FIRST_ALLOC);
		}
		memset(memory + 4 * size, 0x5a, PAGE);
		ASSERT_EQ(0, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, memory, 4, size));
		for (i = 0; i < 4; i++) {
			memcpy(&entry, memory + i * size, FIRST_ALLOC);
			EXPECT_EQ(size, entry.size);
			ASSERT_EQ(0, query_buffer(self->fd, entry.handle, &query));
			EXPECT_EQ(PAGE * (i + 1), query.length);
			EXPECT_EQ(entry.mmap_offset, query.mmap_offset);
			for (at = FIRST_ALLOC; at < size; at++)
				ASSERT_EQ(0, memory[i * size + at]);
		}
		for (at = 0; at < PAGE; at++)
			ASSERT_EQ(0x5a, memory[4 * size + at]);

		/* What a later kernel may know is refused by this one. */
		if (size <= sizeof(struct memalloc_alloc))
			continue;
		memory[4 * size - 1] = 1;
		EXPECT_EQ(-E2BIG, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, memory, 4, size));
	}
}

/* After a batch that failed each handle is found by its buffer, too: to map it, and in LAYOUT. */
TEST_F(batch, handles_are_put_back_whole)
{
	__u32 i;

	self->frees[3].handle = 0;
	EXPECT_EQ(-ENOENT, FREE_BATCH(4, sizeof(self->frees[0])));
	for (i = 0; i < ARRAY_SIZE(self->old); i++) {
		ASSERT_LE(0, offset_of_handle(self->fd, self->old[i].handle));
		EXPECT_EQ(0, map_errno(self->fd, self->old[i].mmap_offset, PAGE, PROT_WRITE));
	}
	EXPECT_EQ(0, free_batch(self->fd, self->old, 4));
}

TEST_F(batch, einval_count)
{
	const __u32 wrong[] = { 0, MAX + 1, 1U << 31, UINT32_MAX };
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EINVAL, ALLOC_BATCH(wrong[i], sizeof(self->allocs[0])));
		EXPECT_EQ(-EINVAL, FREE_BATCH(wrong[i], sizeof(self->frees[0])));
	}
	EXPECT_NOTHING_DONE(0);
}

TEST_F(batch, einval_entry_size)
{
	const __u32 wrong[] = { 0, 8, FIRST_ALLOC - 1 };
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->allocs[0].size = wrong[i];
		EXPECT_EQ(-EINVAL, ALLOC_BATCH(1, wrong[i]));
	}
	self->frees[0].size = sizeof(self->frees[0]) - 1;
	EXPECT_EQ(-EINVAL, FREE_BATCH(1, sizeof(self->frees[0]) - 1));
	EXPECT_NOTHING_DONE(0);
}

TEST_F(batch, e2big_entry_size)
{
	const __u32 wrong[] = { PAGE + 1, UINT32_MAX };
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->allocs[0].size = wrong[i];
		self->frees[0].size = wrong[i];
		EXPECT_EQ(-E2BIG, ALLOC_BATCH(1, wrong[i]));
		EXPECT_EQ(-E2BIG, FREE_BATCH(1, wrong[i]));
	}
	EXPECT_NOTHING_DONE(0);
}

/* Something is wrong with the entry at @place. */
#define EXPECT_ALLOC_ERROR(error, failures_more, field, value)			\
do {										\
	__u32 place, n;								\
										\
	for (n = 0; n < ARRAY_SIZE(places); n++) {				\
		const struct memalloc_alloc good = self->allocs[place = places[n]];	\
										\
		self->allocs[place].field = value;				\
		EXPECT_EQ(error, ALLOC_BATCH(MAX, sizeof(good)))		\
			TH_LOG("place %u", place);				\
		self->allocs[place] = good;					\
	}									\
	EXPECT_NOTHING_DONE((failures_more) * ARRAY_SIZE(places));		\
} while (0)

TEST_F(batch, alloc_einval)
{
	EXPECT_ALLOC_ERROR(-EINVAL, 0, size, FIRST_ALLOC);
	EXPECT_ALLOC_ERROR(-EINVAL, 0, size, 0);
	EXPECT_ALLOC_ERROR(-EINVAL, 0, flags, MEMALLOC_ALLOC_HUGE << 1);
	EXPECT_ALLOC_ERROR(-EINVAL, 0, length, 0);
	EXPECT_ALLOC_ERROR(-EINVAL, 0, alignment, 3);
	EXPECT_ALLOC_ERROR(-EINVAL, 0, reserved, 1);
	EXPECT_ALLOC_ERROR(-EINVAL, 0, reserved2, 1);
}

TEST_F(batch, alloc_efbig)
{
	EXPECT_ALLOC_ERROR(-EFBIG, 1, length, self->before.stats.region_length + 1);
}

/* Each alone would have found room. */
TEST_F(batch, alloc_enomem)
{
	EXPECT_ALLOC_ERROR(-ENOMEM, 1, length, self->before.stats.largest_free);
}

TEST_F(batch, alloc_eperm)
{
	ASSERT_EQ(0, drop_privileges());
	EXPECT_ALLOC_ERROR(-EPERM, 0, window_end, ~0ULL);
}

TEST_F(batch, alloc_edquot)
{
	struct memalloc_limits limits;

	ASSERT_EQ(0, get_limits(self->fd, &limits));
	ASSERT_EQ(0, set_limits(self->fd, MEMALLOC_LIMITS_SET_BUFFERS, 0,
				limits.client_buffers + MAX));
	self->before = state_of(self->fd);
	/* Limits do not hold for an administrator. */
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(0, alloc_buffer(self->fd, PAGE, &self->allocs[MAX]));
	EXPECT_EQ(-EDQUOT, ALLOC_BATCH(MAX, sizeof(self->allocs[0])));
	EXPECT_EQ(0, free_buffer(self->fd, self->allocs[MAX].handle));
	EXPECT_NOTHING_DONE(0);
	EXPECT_EQ(0, ALLOC_BATCH(MAX, sizeof(self->allocs[0])));
}

/* Both pages of the entries, all in the first, and nothing of them. */
TEST_F(batch, alloc_efault)
{
	const __u32 size = sizeof(struct memalloc_alloc), count = 32;
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *entries = pages + PAGE - count / 2 * size;

	ASSERT_NE(MAP_FAILED, pages);
	EXPECT_EQ(-EFAULT, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, NULL, 1, size));
	EXPECT_EQ(-EFAULT, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, (void *)-PAGE, 1, size));

	/* They can be read, the answers of the last can't be written. */
	memcpy(entries, self->allocs, count * size);
	ASSERT_EQ(0, mprotect(pages + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, entries, count, size));
	EXPECT_NOTHING_DONE(0);

	/* They can't even be read. */
	ASSERT_EQ(0, munmap(pages + PAGE, PAGE));
	EXPECT_EQ(-EFAULT, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, entries, count, size));
	EXPECT_NOTHING_DONE(0);
}

TEST_F(batch, free_efault)
{
	const __u32 size = sizeof(struct memalloc_free);
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = pages + PAGE;

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(end, PAGE));
	EXPECT_EQ(-EFAULT, call_batch(self->fd, MEMALLOC_IOC_FREE_BATCH, NULL, 1, size));
	memcpy(end - 3 * size, self->frees, 3 * size);
	EXPECT_EQ(-EFAULT, call_batch(self->fd, MEMALLOC_IOC_FREE_BATCH, end - 3 * size, 4, size));
	EXPECT_NOTHING_DONE(0);

	/* Nothing is answered, so nothing is written. */
	ASSERT_EQ(0, mprotect(pages, PAGE, PROT_READ));
	EXPECT_EQ(0, call_batch(self->fd, MEMALLOC_IOC_FREE_BATCH, end - 3 * size, 3, size));
}

/* The last of four is wrong, and then the first. */
#define EXPECT_FREE_ERROR(error, field, value)					\
do {										\
	const struct memalloc_free first = self->frees[0], last = self->frees[3];	\
										\
	self->frees[3].field = value;						\
	EXPECT_EQ(error, FREE_BATCH(4, sizeof(first)));				\
	self->frees[3] = last;							\
	self->frees[0].field = value;						\
	EXPECT_EQ(error, FREE_BATCH(4, sizeof(first)));				\
	self->frees[0] = first;							\
	EXPECT_NOTHING_DONE(0);							\
} while (0)

TEST_F(batch, free_einval)
{
	EXPECT_FREE_ERROR(-EINVAL, size, sizeof(struct memalloc_free) + 8);
	EXPECT_FREE_ERROR(-EINVAL, flags, 1U << 31);
	EXPECT_FREE_ERROR(-EINVAL, reserved, 1);
}

TEST_F(batch, free_enoent)
{
	struct memalloc_alloc theirs;

	ASSERT_EQ(0, alloc_buffer(self->other, PAGE, &theirs));
	EXPECT_EQ(0, free_buffer(self->other, theirs.handle));
	EXPECT_FREE_ERROR(-ENOENT, handle, 0);
	EXPECT_FREE_ERROR(-ENOENT, handle, ~0U);
	EXPECT_FREE_ERROR(-ENOENT, handle, self->old[3].handle + 1);
}

TEST_F(batch, free_enoent_twice)
{
	EXPECT_FREE_ERROR(-ENOENT, handle, self->old[1].handle);
	/* And the one after them that could not be told apart then. */
	EXPECT_EQ(0, free_batch(self->fd, self->old, 4));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

TEST_F(batch, free_erange)
{
	EXPECT_FREE_ERROR(-ERANGE, length, ASKED - 1);
	EXPECT_FREE_ERROR(-ERANGE, length, 1ULL << 32 | ASKED);
}

/* Entries, and answers, in a buffer that has no page mapped yet; it is freed by its own entry. */
TEST_F(batch, entries_in_a_buffer)
{
	struct memalloc_alloc buffer;
	struct memalloc_alloc *entries;
	struct memalloc_free *frees;
	char *fresh;
	__u32 i;

	ASSERT_EQ(0, alloc_buffer(self->fd, 8 * PAGE, &buffer));
	entries = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)entries);
	memcpy(entries, self->allocs, MAX * sizeof(*entries));
	fresh = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, fresh);
	ASSERT_EQ(0, call_batch(self->fd, MEMALLOC_IOC_ALLOC_BATCH, fresh, MAX, sizeof(*entries)));
	for (i = 0; i < MAX; i++)
		self->frees[i].handle = entries[i].handle;

	frees = (struct memalloc_free *)entries;
	memcpy(frees, self->frees, MAX * sizeof(*frees));
	frees[MAX / 2].handle = buffer.handle;
	munmap(fresh, buffer.real_length);
	fresh = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, fresh);
	EXPECT_EQ(0, call_batch(self->fd, MEMALLOC_IOC_FREE_BATCH, fresh, MAX, sizeof(*frees)));
	EXPECT_EQ(-ENOENT, query_errno(self->fd, buffer.handle));
	EXPECT_EQ(0, query_errno(self->fd, self->frees[MAX / 2].handle));
}

/* Killed at any moment: what was made by then is back. */
TEST_F(batch, killed)
{
	struct memalloc_stats stats;
	int round;

	for (round = 0; round < 20; round++) {
		pid_t child = fork_child();

		ASSERT_LE(0, child);
		if (!child) {
			int fd = open_device();

			const __u64 *offset = &self->allocs[MAX / 2].mmap_offset;

			while (!alloc_batch(fd, self->allocs, MAX, 16 * PAGE) &&
			       !map_errno(fd, *offset, PAGE, PROT_WRITE) &&
			       !free_batch(fd, self->allocs, MAX))
				;
			_exit(1);
		}
		sleep_ms(round * 7 % 40);
		kill(child, SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(child));
	}
	EXPECT_TRUE(WAIT_UNTIL(!get_stats(self->fd, &stats) && stats.clients == 2 &&
			       stats.used == self->before.stats.used));
}

TEST_HARNESS_MAIN
