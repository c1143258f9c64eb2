// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker gives each number that a call takes, and any two of them together, values at
 * which sums, products and roundings overflow. Each call answers an errno that the header
 * names for it; or it succeeds, and then what it says is so, and can be undone. The sizes
 * that mmap() takes are in mappings.c.
 */
#include "calls.h"

/* Where a number is in an argument, and how long it is. */
struct field {
	size_t offset;
	size_t length;
};

#define FIELD(type, name)	\
	{ offsetof(struct type, name), sizeof(((struct type *)0)->name) }
#define MAX_FIELDS	8

FIXTURE(sizes) {
	struct scene scene;
	struct subject subject;
	__u64 region_length;
};

FIXTURE_VARIANT(sizes) {
	const char *call;
	__u32 flags;
	int errors[10];
	struct field fields[MAX_FIELDS];
};

FIXTURE_VARIANT_ADD(sizes, alloc) {
	.call = "ALLOC",
	.errors = { EINVAL, EPERM, EFBIG, EDQUOT, ENOMEM },
	.fields = {
		FIELD(memalloc_alloc, length), FIELD(memalloc_alloc, alignment),
		FIELD(memalloc_alloc, boundary), FIELD(memalloc_alloc, dma_mask_bits),
		FIELD(memalloc_alloc, window_start), FIELD(memalloc_alloc, window_end),
	},
};

FIXTURE_VARIANT_ADD(sizes, free) {
	.call = "FREE",
	.errors = { EINVAL, ENOENT, ERANGE },
	.fields = { FIELD(memalloc_free, handle), FIELD(memalloc_free, length) },
};

FIXTURE_VARIANT_ADD(sizes, query) {
	.call = "QUERY",
	.errors = { EINVAL, ENOENT },
	.fields = { FIELD(memalloc_query, handle) },
};

FIXTURE_VARIANT_ADD(sizes, layout) {
	.call = "LAYOUT",
	.errors = { EINVAL, EFAULT },
	.fields = {
		FIELD(memalloc_layout, offset), FIELD(memalloc_layout, count),
		FIELD(memalloc_layout, block_size),
	},
};

FIXTURE_VARIANT_ADD(sizes, layout_anywhere) {
	.call = "LAYOUT",
	.errors = { EINVAL, EFAULT },
	.fields = {
		FIELD(memalloc_layout, blocks), FIELD(memalloc_layout, count),
		FIELD(memalloc_layout, block_size),
	},
};

FIXTURE_VARIANT_ADD(sizes, export) {
	.call = "EXPORT",
	.errors = { EINVAL, ENOENT },
	.fields = {
		FIELD(memalloc_export, handle), FIELD(memalloc_export, open_flags),
	},
};

FIXTURE_VARIANT_ADD(sizes, import) {
	.call = "IMPORT",
	.errors = { EINVAL, EBADF },
	.fields = { FIELD(memalloc_import, fd) },
};

/* His own limits, which he can only lower. */
FIXTURE_VARIANT_ADD(sizes, limits) {
	.call = "LIMITS",
	.flags = MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS,
	.errors = { EPERM },
	.fields = {
		FIELD(memalloc_limits, client_bytes_max),
		FIELD(memalloc_limits, client_buffers_max),
	},
};

FIXTURE_VARIANT_ADD(sizes, sync) {
	.call = "SYNC",
	.flags = MEMALLOC_SYNC_READ,
	.errors = { EINVAL, ENOENT },
	.fields = {
		FIELD(memalloc_sync, handle), FIELD(memalloc_sync, offset),
		FIELD(memalloc_sync, length),
	},
};

FIXTURE_VARIANT_ADD(sizes, resize) {
	.call = "RESIZE",
	.errors = { EINVAL, ENOENT, EFBIG, EBUSY, ENOSPC, EDQUOT, ENOMEM },
	.fields = { FIELD(memalloc_resize, handle), FIELD(memalloc_resize, length) },
};

FIXTURE_SETUP(sizes)
{
	struct memalloc_info info;
	char *room;

	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, get_info(self->scene.fd, &info));
	self->region_length = info.region_length;
	ASSERT_EQ(0, as_user(MALLORY));
	ASSERT_EQ(0, make_subject(&self->subject, 3 * PAGE));
	/* For LAYOUT; nothing is behind it. */
	room = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)room);
	ASSERT_EQ(0, mprotect(room + PAGE, PAGE, PROT_NONE));
	self->subject.blocks = (struct memalloc_block *)room;
}

FIXTURE_TEARDOWN(sizes)
{
	drop_subject(&self->subject);
	EXPECT_STREQ("", end_scene(&self->scene));
}

static const struct hostile_call *call_by_name(const char *name)
{
	const struct hostile_call *c = hostile_calls;

	while (strcmp(c->name, name))
		c++;
	return c;
}

static bool may_answer(const FIXTURE_VARIANT(sizes) * variant, int err)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variant->errors); i++)
		if (err == -variant->errors[i])
			return true;
	return false;
}

static bool is_power_of_two(__u64 n)
{
	return n && !(n & (n - 1));
}

/* What the call says that it did, with @asked: "" or what can't be. */
static const char *answer_wrong(const FIXTURE_DATA(sizes) * self, const struct hostile_call *c,
				const union argument *asked, const union argument *arg)
{
	const struct memalloc_alloc *alloc = &asked->alloc;

	switch (c->request) {
	case MEMALLOC_IOC_ALLOC:
		if (!alloc->length || alloc->length > USER_BYTES)
			return "a length that can't be had";
		if (arg->alloc.real_length != ((alloc->length + PAGE - 1) & -PAGE))
			return "a length that was not asked for";
		if ((alloc->alignment && !is_power_of_two(alloc->alignment)) ||
		    alloc->alignment > self->region_length)
			return "an alignment that is none";
		if (alloc->boundary && (!is_power_of_two(alloc->boundary) ||
					alloc->boundary < arg->alloc.real_length))
			return "a boundary that must be crossed";
		if (alloc->window_start || alloc->window_end)
			return "a window for everybody";
		return "";
	case MEMALLOC_IOC_FREE:
		return asked->free.length && asked->free.length != 2 * PAGE &&
		       asked->free.length != 3 * PAGE ? "a wrong length" : "";
	case MEMALLOC_IOC_LAYOUT:
		return arg->layout.count > asked->layout.count ||
		       arg->layout.offset > self->region_length ? "too many blocks" : "";
	case MEMALLOC_IOC_LIMITS:
		return arg->limits.client_bytes_max > asked->limits.client_bytes_max ||
		       arg->limits.client_buffers_max > asked->limits.client_buffers_max ?
		       "a limit that was raised" : "";
	case MEMALLOC_IOC_RESIZE:
		return !asked->resize.length || asked->resize.length > 4 * PAGE ?
		       "a length that can't be had" : "";
	case MEMALLOC_IOC_SYNC:
		return asked->sync.length > 3 * PAGE || asked->sync.offset >= 3 * PAGE ||
		       asked->sync.offset + asked->sync.length > 3 * PAGE ?
		       "a range that is not in the buffer" : "";
	}
	return "";
}

static void set(union argument *arg, const struct field *field, __u64 value)
{
	memcpy((char *)arg + field->offset, &value, field->length);
}

/* One try: 0 or a negative errno; *@wrong is "" or what can't be. */
static int try_fields(FIXTURE_DATA(sizes) * self, const FIXTURE_VARIANT(sizes) * variant,
		      const struct hostile_call *c, const union argument *asked,
		      const char **wrong)
{
	union argument arg = *asked;
	int err = call(self->subject.fd, c->request, &arg);

	*wrong = "";
	if (err && !may_answer(variant, err))
		*wrong = "not an errno of this call";
	if (!err)
		*wrong = answer_wrong(self, c, asked, &arg);
	if (!err && c->undo(&arg, &self->subject))
		*wrong = "it can't be undone";
	return err;
}

TEST_F_TIMEOUT(sizes, any_two_fields, 600)
{
	const struct hostile_call *c = call_by_name(variant->call);
	const __u64 extremes[] = {
		0, 1, 2, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 4 * PAGE, 1 << 20,
		(1 << 28) - 1, 1 << 28, (1 << 28) + 1, (1U << 31) - 1, 1U << 31,
		(1U << 31) + PAGE, UINT32_MAX - PAGE, UINT32_MAX - 1, UINT32_MAX,
		1ULL << 32, (1ULL << 32) + 1, (1ULL << 32) + PAGE,
		(1ULL << 43) - 1, 1ULL << 43, 1ULL << 44, (1ULL << 44) + PAGE,
		(1ULL << 52) - PAGE, 1ULL << 52, INT64_MAX - PAGE, INT64_MAX,
		1ULL << 63, (1ULL << 63) + PAGE, ~0ULL - 2 * PAGE, ~0ULL - PAGE,
		~0ULL - PAGE + 1, ~0ULL - PAGE + 2, ~0ULL - 1, ~0ULL,
	};
	const struct field *fields = variant->fields;
	const unsigned int tries = ARRAY_SIZE(extremes) * ARRAY_SIZE(extremes);
	unsigned int first, second, i, done = 0, refused = 0;
	union argument asked;
	const char *wrong;
	int err;

	for (first = 0; first < MAX_FIELDS && fields[first].length; first++) {
		for (second = 0; second <= first; second++) {
			for (i = 0; i < (second < first ? tries : ARRAY_SIZE(extremes)); i++) {
				const __u64 a = extremes[i % ARRAY_SIZE(extremes)];
				const __u64 b = extremes[i / ARRAY_SIZE(extremes)];

				right_argument(c, &self->subject, &asked);
				asked.header.flags = variant->flags;
				set(&asked, &fields[second], b);
				set(&asked, &fields[first], a);
				err = try_fields(self, variant, c, &asked, &wrong);
				ASSERT_STREQ("", wrong)
					TH_LOG("fields %u and %u are %#llx and %#llx: %d",
					       first, second, a, b, err);
				done += !err;
				refused += !!err;
			}
		}
	}
	TH_LOG("%u done, %u refused", done, refused);
	EXPECT_TRUE(is_untouched(&self->subject));
	EXPECT_LT(0, refused);
}

TEST_HARNESS_MAIN
