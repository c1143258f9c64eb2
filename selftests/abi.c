// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules that all calls share, tried on every call: the size that begins an
 * argument, tails that this kernel does not know, unknown flags, numbers that
 * are no call, and arguments that can't be read or written.
 * Tests are named call.CALL.ERRNO_WHY; what is particular to one call is in
 * errors.c.
 */
#include "memalloc_test.h"

#include <assert.h>
#include <stddef.h>

/* The first version of every argument, without a hole. Sizes can only grow. */
static_assert(sizeof(struct memalloc_info) == 104, "memalloc_info");
static_assert(sizeof(struct memalloc_alloc) == 48, "memalloc_alloc");
static_assert(sizeof(struct memalloc_free) == 24, "memalloc_free");
static_assert(sizeof(struct memalloc_query) == 40, "memalloc_query");
static_assert(sizeof(struct memalloc_stats) == 128, "memalloc_stats");
static_assert(sizeof(struct memalloc_block) == 24, "memalloc_block");
static_assert(sizeof(struct memalloc_layout) == 32, "memalloc_layout");
static_assert(sizeof(struct memalloc_export) == 24, "memalloc_export");
static_assert(sizeof(struct memalloc_import) == 48, "memalloc_import");

/* Every argument begins so. */
struct any {
	__u32 size;
	__u32 flags;
};

FIXTURE(call) {
	int fd;			/* the client that calls */
	int other;		/* the client that exported what IMPORT imports */
	struct memalloc_alloc mine;
	struct memalloc_alloc theirs;
	int dmabuf;
	struct memalloc_block blocks[4];
	unsigned char *page;	/* room for an argument; what follows it is not mapped */
};

FIXTURE_VARIANT(call) {
	unsigned int request;
	__u32 size;
	__u32 known_flags;
	size_t out;		/* offset and length of answers: whatever is there on the way in */
	size_t out_length;
};

#define BETWEEN(type, first, last)	\
	.out = offsetof(type, first),	\
	.out_length = offsetof(type, last) + sizeof(((type *)0)->last) - offsetof(type, first)

FIXTURE_VARIANT_ADD(call, info) {
	.request = MEMALLOC_IOC_INFO,
	.size = sizeof(struct memalloc_info),
	BETWEEN(struct memalloc_info, features, fit),
};

FIXTURE_VARIANT_ADD(call, alloc) {
	.request = MEMALLOC_IOC_ALLOC,
	.size = sizeof(struct memalloc_alloc),
	BETWEEN(struct memalloc_alloc, real_length, mmap_offset),
};

FIXTURE_VARIANT_ADD(call, free) {
	.request = MEMALLOC_IOC_FREE,
	.size = sizeof(struct memalloc_free),
};

FIXTURE_VARIANT_ADD(call, query) {
	.request = MEMALLOC_IOC_QUERY,
	.size = sizeof(struct memalloc_query),
	BETWEEN(struct memalloc_query, access, mmap_offset),
};

FIXTURE_VARIANT_ADD(call, stats) {
	.request = MEMALLOC_IOC_STATS,
	.size = sizeof(struct memalloc_stats),
	BETWEEN(struct memalloc_stats, region_length, fragmentation),
};

FIXTURE_VARIANT_ADD(call, layout) {
	.request = MEMALLOC_IOC_LAYOUT,
	.size = sizeof(struct memalloc_layout),
};

FIXTURE_VARIANT_ADD(call, export) {
	.request = MEMALLOC_IOC_EXPORT,
	.size = sizeof(struct memalloc_export),
	BETWEEN(struct memalloc_export, fd, fd),
};

FIXTURE_VARIANT_ADD(call, import) {
	.request = MEMALLOC_IOC_IMPORT,
	.size = sizeof(struct memalloc_import),
	.known_flags = MEMALLOC_IMPORT_READ_ONLY,
	BETWEEN(struct memalloc_import, handle, access),
};

FIXTURE_SETUP(call)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &self->mine));
	ASSERT_EQ(0, alloc_buffer(self->other, 5 * PAGE, &self->theirs));
	self->dmabuf = export_buffer(self->other, self->theirs.handle, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->dmabuf);

	self->page = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
	ASSERT_EQ(0, munmap(self->page + 3 * PAGE, PAGE));
}

FIXTURE_TEARDOWN(call)
{
}

/* An argument with which the call succeeds. */
static struct any *good_argument(FIXTURE_DATA(call) const *self,
				 FIXTURE_VARIANT(call) const *variant, void *memory)
{
	struct any *any = memory;

	memset(memory, 0, variant->size);
	switch (variant->request) {
	case MEMALLOC_IOC_ALLOC:
		((struct memalloc_alloc *)memory)->length = 2 * PAGE;
		break;
	case MEMALLOC_IOC_FREE:
		((struct memalloc_free *)memory)->handle = self->mine.handle;
		break;
	case MEMALLOC_IOC_QUERY:
		((struct memalloc_query *)memory)->handle = self->mine.handle;
		break;
	case MEMALLOC_IOC_LAYOUT:
		*(struct memalloc_layout *)memory = (struct memalloc_layout){
			.blocks = (__u64)(uintptr_t)self->blocks,
			.count = ARRAY_SIZE(self->blocks),
			.block_size = sizeof(self->blocks[0]),
		};
		break;
	case MEMALLOC_IOC_EXPORT:
		((struct memalloc_export *)memory)->handle = self->mine.handle;
		((struct memalloc_export *)memory)->open_flags = O_RDWR;
		break;
	case MEMALLOC_IOC_IMPORT:
		((struct memalloc_import *)memory)->fd = self->dmabuf;
		break;
	}
	any->size = variant->size;
	return any;
}

/*
 * Nothing was given or taken by a call that failed: the figures are what they
 * were, the handle works, and once all that is known of is given up, nothing
 * is left in the region though the clients stay.
 */
#define EXPECT_NOTHING_DONE(before)						\
do {										\
	struct state after = state_of(self->fd);				\
										\
	EXPECT_EQ(0, memcmp(&(before).stats, &after.stats, sizeof(after.stats)));	\
	EXPECT_EQ((before).descriptors, after.descriptors);			\
	EXPECT_EQ(0, query_errno(self->fd, self->mine.handle));			\
	EXPECT_EQ(0, free_buffer(self->fd, self->mine.handle));			\
	EXPECT_EQ(0, free_buffer(self->other, self->theirs.handle));		\
	EXPECT_EQ(0, close(self->dmabuf));					\
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));				\
} while (0)

TEST_F(call, good_exact_size)
{
	EXPECT_EQ(0, call(self->fd, variant->request, good_argument(self, variant, self->page)));
}

TEST_F(call, good_answers_are_not_read)
{
	struct any *arg = good_argument(self, variant, self->page);

	memset((char *)arg + variant->out, 0xff, variant->out_length);
	EXPECT_EQ(0, call(self->fd, variant->request, arg));
}

TEST_F(call, good_zero_tail)
{
	struct any *arg = good_argument(self, variant, self->page);

	arg->size = variant->size + 1;
	EXPECT_EQ(0, call(self->fd, variant->request, arg));
	EXPECT_EQ(0, *((char *)arg + variant->size));
	EXPECT_EQ(variant->size + 1, arg->size);
}

TEST_F(call, good_zero_tail_of_a_page)
{
	struct any *arg = good_argument(self, variant, self->page);

	arg->size = PAGE;
	EXPECT_EQ(0, call(self->fd, variant->request, arg));
}

TEST_F(call, e2big_tail)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	*((char *)arg + variant->size) = 1;
	arg->size = variant->size + 1;
	EXPECT_EQ(-E2BIG, call(self->fd, variant->request, arg));
	*((char *)arg + variant->size) = 0;
	*((char *)arg + PAGE - 1) = 1;
	arg->size = PAGE;
	EXPECT_EQ(-E2BIG, call(self->fd, variant->request, arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, e2big_longer_than_a_page)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	arg->size = PAGE + 1;
	EXPECT_EQ(-E2BIG, call(self->fd, variant->request, arg));
	arg->size = UINT32_MAX;
	EXPECT_EQ(-E2BIG, call(self->fd, variant->request, arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, einval_size)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	arg->size = 0;
	EXPECT_EQ(-EINVAL, call(self->fd, variant->request, arg));
	arg->size = sizeof(arg->size);
	EXPECT_EQ(-EINVAL, call(self->fd, variant->request, arg));
	arg->size = variant->size - 1;
	EXPECT_EQ(-EINVAL, call(self->fd, variant->request, arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, einval_flags)
{
	struct state before = state_of(self->fd);
	int bit;

	for (bit = 0; bit < 32; bit++) {
		struct any *arg = good_argument(self, variant, self->page);

		if (variant->known_flags & 1U << bit)
			continue;
		arg->flags = 1U << bit;
		EXPECT_EQ(-EINVAL, call(self->fd, variant->request, arg))
			TH_LOG("flag bit %d", bit);
	}
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, efault_unreadable)
{
	struct any *end = (struct any *)(self->page + 3 * PAGE);
	struct state before = state_of(self->fd);

	EXPECT_EQ(-EFAULT, call(self->fd, variant->request, NULL));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->request, end));
	/* An address of the kernel's. */
	EXPECT_EQ(-EFAULT, call(self->fd, variant->request, (void *)(uintptr_t)-PAGE));

	/* The size can be read, the rest can't. */
	end--;
	end->size = variant->size;
	end->flags = 0;
	EXPECT_EQ(-EFAULT, call(self->fd, variant->request, end));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, efault_unwritable)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	if (variant->request == MEMALLOC_IOC_FREE) {
		/* FREE answers nothing, so nothing needs to be written. */
		EXPECT_EQ(0, call(self->fd, variant->request, arg));
		EXPECT_EQ(-ENOENT, query_errno(self->fd, self->mine.handle));
		return;
	}
	EXPECT_EQ(-EFAULT, call(self->fd, variant->request, arg));
	EXPECT_NOTHING_DONE(before);
}

/* An argument may lie in a mapping of the device itself. */
TEST_F(call, good_argument_in_a_buffer)
{
	struct memalloc_alloc buffer;
	void *map;

	ASSERT_EQ(0, alloc_buffer(self->other, PAGE, &buffer));
	map = map_buffer(self->other, &buffer);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(0, call(self->fd, variant->request, good_argument(self, variant, map)));
}

TEST(enotty_unknown_call)
{
	static char page[4096];
	int fd = open_idle_device();
	unsigned int nr;

	ASSERT_LE(0, fd);
	*(__u32 *)page = 64;
	for (nr = _IOC_NR(MEMALLOC_IOC_IMPORT) + 1; nr < 256; nr++) {
		EXPECT_EQ(-ENOTTY, call(fd, _IO(MEMALLOC_IOC_TYPE, nr), page))
			TH_LOG("call number %u", nr);
	}
	/* The number of a call, but another type, or with a size and direction. */
	EXPECT_EQ(-ENOTTY, call(fd, _IO(MEMALLOC_IOC_TYPE + 1, 0), page));
	EXPECT_EQ(-ENOTTY, call(fd, _IOWR(MEMALLOC_IOC_TYPE, 0, struct memalloc_info), page));
}

TEST_HARNESS_MAIN
