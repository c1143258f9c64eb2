// SPDX-License-Identifier: GPL-2.0-only
/*
 * NAME and what QUERY tells of it. What they share with all calls is in abi.c.
 */
#include "memalloc_test.h"

#include <stddef.h>

#define LONGEST	"1234567890123456789012345678901"

FIXTURE(name) {
	int fd;
	int other;
	struct memalloc_alloc buffer;
};

FIXTURE_SETUP(name)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &self->buffer));
}

FIXTURE_TEARDOWN(name)
{
}

#define NAME(name)	name_buffer(self->fd, self->buffer.handle, name)

/* That, and nothing but zeros behind it. */
#define EXPECT_NAME(expected, client, id)					\
do {										\
	const char padded[MEMALLOC_NAME_LEN] = expected;			\
	struct memalloc_query query;						\
										\
	ASSERT_EQ(0, query_buffer(client, id, &query));				\
	EXPECT_EQ(0, memcmp(padded, query.name, sizeof(padded)))		\
		TH_LOG("%.32s", (char *)query.name);				\
} while (0)

TEST_F(name, new_buffers_have_none)
{
	EXPECT_NAME("", self->fd, self->buffer.handle);
}

TEST_F(name, the_last_one_counts)
{
	struct memalloc_alloc second;

	ASSERT_EQ(0, NAME("frame 1 (left)"));
	EXPECT_NAME("frame 1 (left)", self->fd, self->buffer.handle);
	ASSERT_EQ(0, NAME(LONGEST));
	EXPECT_NAME(LONGEST, self->fd, self->buffer.handle);
	ASSERT_EQ(0, NAME("~"));
	EXPECT_NAME("~", self->fd, self->buffer.handle);

	/* It is not the only buffer, and the names need not differ. */
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &second));
	EXPECT_NAME("", self->fd, second.handle);
	ASSERT_EQ(0, name_buffer(self->fd, second.handle, "~"));
	ASSERT_EQ(0, NAME(""));
	EXPECT_NAME("", self->fd, self->buffer.handle);
	EXPECT_NAME("~", self->fd, second.handle);
}

/* Whatever was behind the name in the argument is not told. */
TEST_F(name, nothing_behind_it_is_told)
{
	ASSERT_EQ(0, name_bytes(self->fd, self->buffer.handle, "ab\0cd\n\xff", 7));
	EXPECT_NAME("ab", self->fd, self->buffer.handle);
}

/* The name belongs to the buffer, and to who may write to that. */
TEST_F(name, others_are_told)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	struct memalloc_import writable, read_only;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->other, dmabuf, 0, &writable));
	ASSERT_EQ(0, import_buffer(self->other, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &read_only));
	ASSERT_EQ(0, NAME("shared"));
	EXPECT_NAME("shared", self->other, writable.handle);
	EXPECT_NAME("shared", self->other, read_only.handle);
	EXPECT_EQ(-EACCES, name_buffer(self->other, read_only.handle, "mine"));
	EXPECT_NAME("shared", self->fd, self->buffer.handle);
	ASSERT_EQ(0, name_buffer(self->other, writable.handle, "ours"));
	EXPECT_NAME("ours", self->fd, self->buffer.handle);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_NAME("ours", self->other, read_only.handle);
}

TEST_F(name, einval_unprintable)
{
	char name[] = "ab?cd";
	int byte;

	ASSERT_EQ(0, NAME("before"));
	for (byte = 1; byte < 256; byte++) {
		bool good = byte >= ' ' && byte <= '~';

		name[2] = byte;
		EXPECT_EQ(good ? 0 : -EINVAL, NAME(name)) TH_LOG("byte %d", byte);
		if (good)
			EXPECT_EQ(0, NAME("before"));
	}
	EXPECT_NAME("before", self->fd, self->buffer.handle);
}

TEST_F(name, einval_not_terminated)
{
	EXPECT_EQ(-EINVAL, NAME(LONGEST "2"));
	EXPECT_NAME("", self->fd, self->buffer.handle);
}

TEST_F(name, einval_reserved)
{
	struct memalloc_name arg = {
		.size = sizeof(arg), .handle = self->buffer.handle, .name = "name",
	};

	for (arg.reserved = 1; arg.reserved; arg.reserved <<= 1)
		EXPECT_EQ(-EINVAL, call(self->fd, MEMALLOC_IOC_NAME, &arg));
	EXPECT_NAME("", self->fd, self->buffer.handle);
}

TEST_F(name, enoent)
{
	EXPECT_EQ(-ENOENT, name_buffer(self->fd, 0, "name"));
	EXPECT_EQ(-ENOENT, name_buffer(self->fd, self->buffer.handle + 1, "name"));
	EXPECT_EQ(-ENOENT, name_buffer(self->other, self->buffer.handle, "name"));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(-ENOENT, NAME("name"));
}

/* Programs that know no names are told none; and where they begin to, the address still is. */
TEST_F(name, older_programs_are_not_told)
{
	struct memalloc_query query = {
		.size = offsetof(struct memalloc_query, name), .handle = self->buffer.handle,
	};
	size_t i;

	ASSERT_EQ(0, NAME("name"));
	memset(query.name, 0x5a, sizeof(query.name));
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_QUERY, &query));
	for (i = 0; i < sizeof(query.name); i++)
		ASSERT_EQ(0x5a, query.name[i]);
	query.flags = MEMALLOC_QUERY_PHYSICAL;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_QUERY, &query));
	EXPECT_NE(0, query.physical);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
}

TEST_HARNESS_MAIN
