// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules that all calls share, tried on every call: the size that begins an
 * argument, tails that this kernel does not know, unknown flags, numbers that
 * are no call, and arguments that can't be read or written.
 * Tests are named call.CALL.ERRNO_WHY; what is particular to one call is in
 * errors.c and errors_sharing.c.
 */
#include "control.h"

#include <assert.h>
#include <stddef.h>

/* Every argument, without a hole. Sizes can only grow. */
static_assert(sizeof(struct memalloc_info) == 312, "memalloc_info");
static_assert(sizeof(struct memalloc_alloc) == 80, "memalloc_alloc");
static_assert(sizeof(struct memalloc_free) == 24, "memalloc_free");
static_assert(sizeof(struct memalloc_query) == 80, "memalloc_query");
static_assert(sizeof(struct memalloc_stats) == 224, "memalloc_stats");
static_assert(sizeof(struct memalloc_block) == 24, "memalloc_block");
static_assert(sizeof(struct memalloc_layout) == 32, "memalloc_layout");
static_assert(sizeof(struct memalloc_export) == 40, "memalloc_export");
static_assert(sizeof(struct memalloc_import) == 48, "memalloc_import");
static_assert(sizeof(struct memalloc_limits) == 72, "memalloc_limits");
static_assert(sizeof(struct memalloc_release) == 24, "memalloc_release");
static_assert(sizeof(struct memalloc_sync) == 32, "memalloc_sync");
static_assert(sizeof(struct memalloc_batch) == 24, "memalloc_batch");
static_assert(sizeof(struct memalloc_resize) == 24, "memalloc_resize");
static_assert(sizeof(struct memalloc_name) == 48, "memalloc_name");
static_assert(sizeof(struct memalloc_compact) == 80, "memalloc_compact");
static_assert(sizeof(struct memalloc_translate) == 56, "memalloc_translate");
static_assert(sizeof(struct memalloc_create) == 240, "memalloc_create");
static_assert(sizeof(struct memalloc_destroy) == 40, "memalloc_destroy");
static_assert(sizeof(struct memalloc_grow) == 64, "memalloc_grow");
static_assert(sizeof(struct memalloc_shrink) == 112, "memalloc_shrink");
static_assert(sizeof(struct memalloc_region) == 112, "memalloc_region");
static_assert(sizeof(struct memalloc_list) == 32, "memalloc_list");

/* The region that calls of the control node make, or find. */
#define REGION		"abi"
#define REGION_LENGTH	(4 * MIB)

/* Every argument begins so. */
struct any {
	__u32 size;
	__u32 flags;
};

FIXTURE(call) {
	int to;			/* what is called: the client, or the control node */
	int fd;			/* the client */
	int control;
	int other;		/* the client that exported what IMPORT imports */
	struct memalloc_alloc mine;
	struct memalloc_alloc theirs;
	int dmabuf;
	struct memalloc_block blocks[4];
	struct memalloc_alloc allocs[2];
	struct memalloc_free frees[1];
	struct memalloc_region regions[4];
	unsigned char *page;	/* room for an argument; what follows it is not mapped */
};

FIXTURE_VARIANT(call) {
	unsigned int request;
	__u32 size;
	__u32 first_size;	/* of the first version, which stays enough; 0: of @size */
	__u32 known_flags;
	size_t out;		/* offset and length of answers: whatever is there on the way in */
	size_t out_length;
	bool answers_nothing;	/* in its argument */
	bool frees;		/* the buffer that is ours */
	bool control;		/* a call of the control node */
};

#define BETWEEN(type, first, last)	\
	.out = offsetof(type, first),	\
	.out_length = offsetof(type, last) + sizeof(((type *)0)->last) - offsetof(type, first)

FIXTURE_VARIANT_ADD(call, info) {
	.request = MEMALLOC_IOC_INFO,
	.size = sizeof(struct memalloc_info),
	.first_size = 104,
	BETWEEN(struct memalloc_info, features, huge_mapping),
};

FIXTURE_VARIANT_ADD(call, alloc) {
	.request = MEMALLOC_IOC_ALLOC,
	.size = sizeof(struct memalloc_alloc),
	.first_size = 48,
	.known_flags = MEMALLOC_ALLOC_HUGE,
	BETWEEN(struct memalloc_alloc, real_length, mmap_offset),
};

FIXTURE_VARIANT_ADD(call, free) {
	.request = MEMALLOC_IOC_FREE,
	.size = sizeof(struct memalloc_free),
	.answers_nothing = true,
	.frees = true,
};

FIXTURE_VARIANT_ADD(call, query) {
	.request = MEMALLOC_IOC_QUERY,
	.size = sizeof(struct memalloc_query),
	.first_size = 40,
	.known_flags = MEMALLOC_QUERY_PHYSICAL,
	BETWEEN(struct memalloc_query, access, name),
};

FIXTURE_VARIANT_ADD(call, stats) {
	.request = MEMALLOC_IOC_STATS,
	.size = sizeof(struct memalloc_stats),
	.first_size = 128,
	BETWEEN(struct memalloc_stats, region_length, ready),
};

FIXTURE_VARIANT_ADD(call, layout) {
	.request = MEMALLOC_IOC_LAYOUT,
	.size = sizeof(struct memalloc_layout),
};

FIXTURE_VARIANT_ADD(call, export) {
	.request = MEMALLOC_IOC_EXPORT,
	.size = sizeof(struct memalloc_export),
	.first_size = 24,
	BETWEEN(struct memalloc_export, fd, fd),
};

FIXTURE_VARIANT_ADD(call, import) {
	.request = MEMALLOC_IOC_IMPORT,
	.size = sizeof(struct memalloc_import),
	.known_flags = MEMALLOC_IMPORT_READ_ONLY,
	BETWEEN(struct memalloc_import, handle, access),
};

FIXTURE_VARIANT_ADD(call, limits) {
	.request = MEMALLOC_IOC_LIMITS,
	.size = sizeof(struct memalloc_limits),
	.known_flags = MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS,
	BETWEEN(struct memalloc_limits, client_bytes_max, user_buffers),
};

FIXTURE_VARIANT_ADD(call, release) {
	.request = MEMALLOC_IOC_RELEASE,
	.size = sizeof(struct memalloc_release),
	.known_flags = MEMALLOC_RELEASE_ALL,
	.answers_nothing = true,
};

FIXTURE_VARIANT_ADD(call, compact) {
	.request = MEMALLOC_IOC_COMPACT,
	.size = sizeof(struct memalloc_compact),
	BETWEEN(struct memalloc_compact, largest_free, huge),
};

FIXTURE_VARIANT_ADD(call, translate) {
	.request = MEMALLOC_IOC_TRANSLATE,
	.size = sizeof(struct memalloc_translate),
	.known_flags = MEMALLOC_TRANSLATE_PHYSICAL | MEMALLOC_TRANSLATE_ADDRESS,
	BETWEEN(struct memalloc_translate, length, physical),
};

FIXTURE_VARIANT_ADD(call, sync) {
	.request = MEMALLOC_IOC_SYNC,
	.size = sizeof(struct memalloc_sync),
	.known_flags = MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END,
	.answers_nothing = true,
};

FIXTURE_VARIANT_ADD(call, alloc_batch) {
	.request = MEMALLOC_IOC_ALLOC_BATCH,
	.size = sizeof(struct memalloc_batch),
	.answers_nothing = true,
};

FIXTURE_VARIANT_ADD(call, free_batch) {
	.request = MEMALLOC_IOC_FREE_BATCH,
	.size = sizeof(struct memalloc_batch),
	.answers_nothing = true,
	.frees = true,
};

FIXTURE_VARIANT_ADD(call, resize) {
	.request = MEMALLOC_IOC_RESIZE,
	.size = sizeof(struct memalloc_resize),
	.answers_nothing = true,
};

FIXTURE_VARIANT_ADD(call, name) {
	.request = MEMALLOC_IOC_NAME,
	.size = sizeof(struct memalloc_name),
	.answers_nothing = true,
};

FIXTURE_VARIANT_ADD(call, control_create) {
	.request = MEMALLOC_CONTROL_CREATE,
	.size = sizeof(struct memalloc_create),
	.first_size = 160,
	.answers_nothing = true,
	.control = true,
};

FIXTURE_VARIANT_ADD(call, control_destroy) {
	.request = MEMALLOC_CONTROL_DESTROY,
	.size = sizeof(struct memalloc_destroy),
	.answers_nothing = true,
	.control = true,
};

FIXTURE_VARIANT_ADD(call, control_list) {
	.request = MEMALLOC_CONTROL_LIST,
	.size = sizeof(struct memalloc_list),
	.control = true,
};

FIXTURE_VARIANT_ADD(call, control_grow) {
	.request = MEMALLOC_CONTROL_GROW,
	.size = sizeof(struct memalloc_grow),
	BETWEEN(struct memalloc_grow, range, range),
	.control = true,
};

FIXTURE_VARIANT_ADD(call, control_shrink) {
	.request = MEMALLOC_CONTROL_SHRINK,
	.size = sizeof(struct memalloc_shrink),
	BETWEEN(struct memalloc_shrink, length, quarantined),
	.control = true,
};

/* A call of the control node that is for a region which is there. */
static bool finds_region(const FIXTURE_VARIANT(call) * variant)
{
	return variant->request == MEMALLOC_CONTROL_DESTROY ||
	       variant->request == MEMALLOC_CONTROL_GROW ||
	       variant->request == MEMALLOC_CONTROL_SHRINK;
}

FIXTURE_SETUP(call)
{
	self->control = open_control();
	ASSERT_LE(0, self->control);
	if (finds_region(variant))
		ASSERT_EQ(0, create_growable(self->control, REGION, REGION_LENGTH, 4,
					     4 * REGION_LENGTH));
	if (variant->request == MEMALLOC_CONTROL_SHRINK)
		ASSERT_EQ(1, grow_region(self->control, REGION, REGION_LENGTH));
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->to = variant->control ? self->control : self->fd;
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &self->mine));
	ASSERT_EQ(0, alloc_buffer(self->other, 5 * PAGE, &self->theirs));
	self->dmabuf = export_buffer(self->other, self->theirs.handle, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->dmabuf);
	self->frees[0] = (struct memalloc_free){
		.size = sizeof(struct memalloc_free), .handle = self->mine.handle,
	};
	self->allocs[0] = (struct memalloc_alloc){
		.size = sizeof(struct memalloc_alloc), .length = 2 * PAGE,
	};
	self->allocs[1] = self->allocs[0];

	self->page = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
	ASSERT_EQ(0, munmap(self->page + 3 * PAGE, PAGE));
}

FIXTURE_TEARDOWN(call)
{
	destroy_region(self->control, REGION);
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
	case MEMALLOC_IOC_RELEASE:
		any->flags = MEMALLOC_RELEASE_ALL;
		break;
	case MEMALLOC_IOC_SYNC:
		*(struct memalloc_sync *)memory = (struct memalloc_sync){
			.flags = MEMALLOC_SYNC_READ,
			.handle = self->mine.handle,
			.length = PAGE,
		};
		break;
	case MEMALLOC_IOC_ALLOC_BATCH:
		*(struct memalloc_batch *)memory = (struct memalloc_batch){
			.entries = (__u64)(uintptr_t)self->allocs,
			.count = ARRAY_SIZE(self->allocs),
			.entry_size = sizeof(self->allocs[0]),
		};
		break;
	case MEMALLOC_IOC_TRANSLATE:
		((struct memalloc_translate *)memory)->handle = self->mine.handle;
		break;
	case MEMALLOC_IOC_NAME:
		*(struct memalloc_name *)memory = (struct memalloc_name){
			.handle = self->mine.handle, .name = "frame 1",
		};
		break;
	case MEMALLOC_IOC_RESIZE:
		*(struct memalloc_resize *)memory = (struct memalloc_resize){
			.handle = self->mine.handle,
			.length = PAGE,
		};
		break;
	case MEMALLOC_IOC_FREE_BATCH:
		*(struct memalloc_batch *)memory = (struct memalloc_batch){
			.entries = (__u64)(uintptr_t)self->frees,
			.count = ARRAY_SIZE(self->frees),
			.entry_size = sizeof(self->frees[0]),
		};
		break;
	case MEMALLOC_CONTROL_CREATE:
		*(struct memalloc_create *)memory = region_called(REGION, REGION_LENGTH);
		break;
	case MEMALLOC_CONTROL_DESTROY:
		strcpy((char *)((struct memalloc_destroy *)memory)->name, REGION);
		break;
	case MEMALLOC_CONTROL_GROW:
		*(struct memalloc_grow *)memory = growth_of(REGION, REGION_LENGTH);
		break;
	case MEMALLOC_CONTROL_SHRINK:
		*(struct memalloc_shrink *)memory = shrinking_of(REGION, 1);
		break;
	case MEMALLOC_CONTROL_LIST:
		*(struct memalloc_list *)memory = (struct memalloc_list){
			.regions = (__u64)(uintptr_t)self->regions,
			.count = ARRAY_SIZE(self->regions),
			.region_size = sizeof(self->regions[0]),
		};
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
	EXPECT_TRUE(same_stats(&(before).stats, &after.stats));			\
	EXPECT_EQ(0, memcmp(&(before).limits, &after.limits, sizeof(after.limits)));	\
	EXPECT_EQ((before).descriptors, after.descriptors);			\
	EXPECT_EQ(0, query_errno(self->fd, self->mine.handle));			\
	EXPECT_EQ(0, free_buffer(self->fd, self->mine.handle));			\
	EXPECT_EQ(0, free_buffer(self->other, self->theirs.handle));		\
	EXPECT_EQ(0, close(self->dmabuf));					\
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));				\
	EXPECT_EQ(finds_region(variant) ? 0 : -ENOENT,				\
		  destroy_region(self->control, REGION));			\
} while (0)

TEST_F(call, good_exact_size)
{
	EXPECT_EQ(0, call(self->to, variant->request, good_argument(self, variant, self->page)));
}

static __u32 first_size(const FIXTURE_VARIANT(call) * variant)
{
	return variant->first_size ?: variant->size;
}

/* What a program does not know is neither read nor written. */
TEST_F(call, good_first_version)
{
	const __u32 size = first_size(variant);
	struct any *arg = good_argument(self, variant, self->page);
	size_t i;

	arg->size = size;
	memset((char *)arg + size, 0xff, PAGE - size);
	EXPECT_EQ(0, call(self->to, variant->request, arg));
	for (i = size; i < PAGE && self->page[i] == 0xff; i++)
		;
	EXPECT_EQ(PAGE, i);
}

TEST_F(call, good_answers_are_not_read)
{
	struct any *arg = good_argument(self, variant, self->page);

	memset((char *)arg + variant->out, 0xff, variant->out_length);
	EXPECT_EQ(0, call(self->to, variant->request, arg));
}

TEST_F(call, good_zero_tail)
{
	struct any *arg = good_argument(self, variant, self->page);

	arg->size = variant->size + 1;
	EXPECT_EQ(0, call(self->to, variant->request, arg));
	EXPECT_EQ(0, *((char *)arg + variant->size));
	EXPECT_EQ(variant->size + 1, arg->size);
}

TEST_F(call, good_zero_tail_of_a_page)
{
	struct any *arg = good_argument(self, variant, self->page);

	arg->size = PAGE;
	EXPECT_EQ(0, call(self->to, variant->request, arg));
}

TEST_F(call, e2big_tail)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	*((char *)arg + variant->size) = 1;
	arg->size = variant->size + 1;
	EXPECT_EQ(-E2BIG, call(self->to, variant->request, arg));
	*((char *)arg + variant->size) = 0;
	*((char *)arg + PAGE - 1) = 1;
	arg->size = PAGE;
	EXPECT_EQ(-E2BIG, call(self->to, variant->request, arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, e2big_longer_than_a_page)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	arg->size = PAGE + 1;
	EXPECT_EQ(-E2BIG, call(self->to, variant->request, arg));
	arg->size = UINT32_MAX;
	EXPECT_EQ(-E2BIG, call(self->to, variant->request, arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, einval_size)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	arg->size = 0;
	EXPECT_EQ(-EINVAL, call(self->to, variant->request, arg));
	arg->size = sizeof(arg->size);
	EXPECT_EQ(-EINVAL, call(self->to, variant->request, arg));
	arg->size = first_size(variant) - 1;
	EXPECT_EQ(-EINVAL, call(self->to, variant->request, arg));
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
		EXPECT_EQ(-EINVAL, call(self->to, variant->request, arg))
			TH_LOG("flag bit %d", bit);
	}
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, efault_unreadable)
{
	struct any *end = (struct any *)(self->page + 3 * PAGE);
	struct state before = state_of(self->fd);

	EXPECT_EQ(-EFAULT, call(self->to, variant->request, NULL));
	EXPECT_EQ(-EFAULT, call(self->to, variant->request, end));
	/* An address of the kernel's. */
	EXPECT_EQ(-EFAULT, call(self->to, variant->request, (void *)(uintptr_t)-PAGE));

	/* The size can be read, the rest can't. */
	end--;
	end->size = variant->size;
	end->flags = 0;
	EXPECT_EQ(-EFAULT, call(self->to, variant->request, end));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(call, efault_unwritable)
{
	struct any *arg = good_argument(self, variant, self->page);
	struct state before = state_of(self->fd);

	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	/* Those that answer nothing, or elsewhere, need to write nothing. */
	if (variant->answers_nothing) {
		EXPECT_EQ(0, call(self->to, variant->request, arg));
		EXPECT_EQ(variant->frees ? -ENOENT : 0, query_errno(self->fd, self->mine.handle));
		return;
	}
	EXPECT_EQ(-EFAULT, call(self->to, variant->request, arg));
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
	EXPECT_EQ(0, call(self->to, variant->request, good_argument(self, variant, map)));
}

static bool is_call(unsigned int request, bool control)
{
	struct __fixture_variant_metadata *v;

	for (v = _call_fixture_object.variant; v; v = v->next) {
		const FIXTURE_VARIANT(call) * known = v->data;

		if (known->request == request && known->control == control)
			return true;
	}
	return false;
}

TEST(enotty_unknown_call)
{
	static char page[4096];
	int fd = open_idle_device(), control = open_control();
	unsigned int nr;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, control);
	*(__u32 *)page = 64;
	for (nr = 0; nr < 256; nr++) {
		unsigned int request = _IO(MEMALLOC_IOC_TYPE, nr);

		if (!is_call(request, false))
			EXPECT_EQ(-ENOTTY, call(fd, request, page))
				TH_LOG("call number %u", nr);
		if (!is_call(request, true))
			EXPECT_EQ(-ENOTTY, call(control, request, page))
				TH_LOG("call number %u of the control node", nr);
	}
	/* The number of a call, but another type, or with a size and direction. */
	EXPECT_EQ(-ENOTTY, call(fd, _IO(MEMALLOC_IOC_TYPE + 1, 0), page));
	EXPECT_EQ(-ENOTTY, call(fd, _IOWR(MEMALLOC_IOC_TYPE, 0, struct memalloc_info), page));
}

TEST_HARNESS_MAIN
