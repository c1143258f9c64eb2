// SPDX-License-Identifier: GPL-2.0-only
/*
 * TRANSLATE, and the table that debugfs shows: where bytes of buffers lie. What TRANSLATE shares
 * with all calls is in abi.c.
 */
#include "pieces.h"
#include "pins.h"

#define PAGES	8
#define LENGTH	(PAGES * PAGE)

FIXTURE(translate) {
	int fd;
	int other;
	struct memalloc_alloc before;	/* so that the buffer does not begin with the region */
	struct memalloc_alloc buffer;
	char *map;
};

FIXTURE_SETUP(translate)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, move_on_demand(false));
	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &self->before));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
}

FIXTURE_TEARDOWN(translate)
{
	EXPECT_EQ(0, move_on_demand(true));
	/* If its address was told, it would be retained. */
	free_buffer(self->fd, self->buffer.handle);
}

/* What a program that has not disclosed the address is answered of byte @at of our buffer. */
#define EXPECT_AT(at, id, answer)						\
do {										\
	EXPECT_EQ(id, (answer).handle);						\
	EXPECT_EQ(at, (answer).offset);						\
	EXPECT_EQ(LENGTH - (at), (answer).length);				\
	EXPECT_EQ(offset_of_handle(self->fd, self->buffer.handle) + (at),	\
		  (answer).region_offset);					\
	EXPECT_EQ(0, (answer).physical);					\
} while (0)

TEST_F(translate, each_byte_of_a_handle)
{
	const __u64 at[] = { 0, 1, PAGE - 1, PAGE, 3 * PAGE + 7, LENGTH - 1 };
	struct memalloc_translate answer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_EQ(0, translate(self->fd, self->buffer.handle, at[i], 0, &answer));
		EXPECT_AT(at[i], self->buffer.handle, answer);
		EXPECT_EQ(0, answer.address);
	}

	/* To have asked keeps nothing. */
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == 3 * PAGE));
}

TEST_F(translate, outside_of_the_buffer)
{
	const __u64 at[] = { LENGTH, LENGTH + 1, UINT64_MAX, UINT64_MAX - PAGE + 1 };
	struct memalloc_translate answer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		EXPECT_EQ(-EINVAL, translate(self->fd, self->buffer.handle, at[i], 0, &answer));
}

TEST_F(translate, addresses_of_each_mapping)
{
	const int dmabuf = export_part(self->fd, self->buffer.handle, O_RDONLY, 2 * PAGE, PAGE);
	struct memalloc_translate answer;
	char *part, *of_dmabuf;

	/* No page of these was touched. */
	part = map_at(self->fd, self->buffer.mmap_offset + 5 * PAGE, 2 * PAGE, PROT_READ);
	of_dmabuf = map_at(dmabuf, 0, PAGE, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)part);
	ASSERT_NE(MAP_FAILED, (void *)of_dmabuf);
	ASSERT_EQ(0, translate_address(self->fd, self->map, 0, &answer));
	EXPECT_AT(0, self->buffer.handle, answer);
	ASSERT_EQ(0, translate_address(self->fd, self->map + LENGTH - 1, 0, &answer));
	EXPECT_AT(LENGTH - 1, self->buffer.handle, answer);
	EXPECT_EQ((uintptr_t)self->map + LENGTH - 1, answer.address);
	ASSERT_EQ(0, translate_address(self->fd, part + PAGE + 9, 0, &answer));
	EXPECT_AT(6 * PAGE + 9, self->buffer.handle, answer);
	ASSERT_EQ(0, translate_address(self->fd, of_dmabuf + 1, 0, &answer));
	EXPECT_AT(2 * PAGE + 1, self->buffer.handle, answer);
	munmap(part, 2 * PAGE);
	munmap(of_dmabuf, PAGE);
	close(dmabuf);
}

/* "Page fault": that is an error of its own. */
TEST_F(translate, what_is_not_mapped)
{
	struct memalloc_translate answer;
	char stack;

	EXPECT_EQ(-ENXIO, translate_address(self->fd, NULL, 0, &answer));
	EXPECT_EQ(-ENXIO, translate_address(self->fd, &stack, 0, &answer));
	EXPECT_EQ(-ENXIO, translate_address(self->fd, (void *)-1UL, 0, &answer));
	EXPECT_EQ(-ENXIO, translate_address(self->fd, (void *)(1UL << 63), 0, &answer));
	munmap(self->map + PAGE, PAGE);
	EXPECT_EQ(0, translate_address(self->fd, self->map + PAGE - 1, 0, &answer));
	EXPECT_EQ(-ENXIO, translate_address(self->fd, self->map + PAGE, 0, &answer));
	EXPECT_EQ(0, translate_address(self->fd, self->map + 2 * PAGE, 0, &answer));

	/* The mapping spans what RESIZE has cut off. */
	ASSERT_EQ(0, resize_buffer(self->fd, self->buffer.handle, 4 * PAGE));
	EXPECT_EQ(0, translate_address(self->fd, self->map + 4 * PAGE - 1, 0, &answer));
	EXPECT_EQ(1, answer.length);
	EXPECT_EQ(-ENXIO, translate_address(self->fd, self->map + 4 * PAGE, 0, &answer));
}

TEST_F(translate, one_thing_is_asked_for)
{
	const __u64 address = (uintptr_t)self->map;
	struct memalloc_translate wrong[] = {
		{ .handle = self->buffer.handle, .address = address },
		{ .handle = self->buffer.handle, .address = address,
		  .flags = MEMALLOC_TRANSLATE_ADDRESS },
		{ .handle = self->buffer.handle, .flags = MEMALLOC_TRANSLATE_ADDRESS },
		{ .offset = 1, .address = address, .flags = MEMALLOC_TRANSLATE_ADDRESS },
		{ .handle = self->buffer.handle, .reserved = 1 },
		{ .handle = self->buffer.handle, .flags = 1U << 2 },
	};
	struct memalloc_translate none = { .size = sizeof(none) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		wrong[i].size = sizeof(wrong[i]);
		EXPECT_EQ(-EINVAL, call(self->fd, MEMALLOC_IOC_TRANSLATE, &wrong[i]))
			TH_LOG("%zu", i);
	}
	EXPECT_EQ(-ENOENT, call(self->fd, MEMALLOC_IOC_TRANSLATE, &none));
}

/* Handles are a client's own, mappings the process's. */
TEST_F(translate, handles_of_this_client_alone)
{
	struct memalloc_translate answer;
	struct memalloc_import import;
	int dmabuf;

	EXPECT_EQ(-ENOENT, translate(self->other, self->buffer.handle, 0, 0, &answer));
	EXPECT_EQ(-ENOENT, translate(self->fd, self->buffer.handle + 1, 0, 0, &answer));
	ASSERT_EQ(0, translate_address(self->other, self->map + 5, 0, &answer));
	EXPECT_AT(5, 0, answer);

	/* Of two, the one that can write. */
	dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	close(dmabuf);
	ASSERT_EQ(0, translate_address(self->fd, self->map + 5, 0, &answer));
	EXPECT_AT(5, self->buffer.handle, answer);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	ASSERT_EQ(0, translate_address(self->fd, self->map + 5, 0, &answer));
	EXPECT_EQ(import.handle, answer.handle);
	ASSERT_EQ(0, free_buffer(self->fd, import.handle));
	ASSERT_EQ(0, translate_address(self->fd, self->map + 5, 0, &answer));
	EXPECT_EQ(0, answer.handle);
}

TEST_F(translate, a_child_has_the_mappings)
{
	struct memalloc_translate answer;
	pid_t child = fork_child();

	if (!child)
		_exit(translate_address(self->fd, self->map + PAGE, 0, &answer) ||
		      answer.offset != PAGE || answer.handle != self->buffer.handle);
	EXPECT_EQ(0, wait_child(child));
}

TEST_F(translate, physical_address_as_query_tells_it)
{
	struct memalloc_translate answer;
	struct memalloc_query query;

	ASSERT_EQ(0, translate(self->fd, self->buffer.handle, 2 * PAGE + 3,
			       MEMALLOC_TRANSLATE_PHYSICAL, &answer));
	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
	EXPECT_EQ(query.physical + 2 * PAGE + 3, answer.physical);
	ASSERT_EQ(0, translate_address(self->fd, self->map + PAGE,
				       MEMALLOC_TRANSLATE_PHYSICAL, &answer));
	EXPECT_EQ(query.physical + PAGE, answer.physical);
	/* The table has it, too, for root. */
	ASSERT_EQ(0, translate(self->fd, self->buffer.handle, 0, 0, &answer));
	EXPECT_EQ(0, answer.physical);
}

/* It pins: the buffer is not resized any more, and stays out of use if its client just goes. */
TEST_F(translate, physical_address_is_a_disclosure)
{
	struct memalloc_translate answer;
	struct memalloc_stats stats;
	struct memalloc_alloc alloc;
	char *map;

	ASSERT_EQ(0, translate(self->fd, self->buffer.handle, 0, 0, &answer));
	ASSERT_EQ(0, resize_buffer(self->fd, self->buffer.handle, LENGTH - PAGE));
	ASSERT_EQ(0, resize_buffer(self->fd, self->buffer.handle, LENGTH));
	ASSERT_EQ(0, translate_address(self->fd, self->map, MEMALLOC_TRANSLATE_PHYSICAL, &answer));
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, LENGTH - PAGE));
	/* What is refused discloses nothing. */
	ASSERT_EQ(0, alloc_buffer(self->other, PAGE, &alloc));
	EXPECT_EQ(-EINVAL, translate(self->other, alloc.handle, PAGE, MEMALLOC_TRANSLATE_PHYSICAL,
				     &answer));
	map = map_buffer(self->other, &alloc);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(-ENOENT, translate_address(self->fd, map, MEMALLOC_TRANSLATE_PHYSICAL, &answer));
	munmap(map, PAGE);
	close(self->other);
	EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == LENGTH + 3 * PAGE));

	munmap(self->map, LENGTH);
	close(self->fd);
	self->fd = open_device();
	EXPECT_TRUE(WAIT_UNTIL(!get_stats(self->fd, &stats) && stats.used == LENGTH));
	EXPECT_EQ(LENGTH, stats.retained);
	EXPECT_EQ(0, release_all(self->fd));
}

TEST_F(translate, physical_address_takes_a_capability)
{
	struct memalloc_translate answer;
	pid_t child = fork_child();

	if (!child) {
		drop_privileges();
		_exit(translate(self->fd, self->buffer.handle, 0, 0, &answer) ||
		      translate(self->fd, self->buffer.handle, 0, MEMALLOC_TRANSLATE_PHYSICAL,
				&answer) != -EPERM ||
		      translate_address(self->fd, self->map, MEMALLOC_TRANSLATE_PHYSICAL,
					&answer) != -EPERM ||
		      resize_buffer(self->fd, self->buffer.handle, PAGE));
	}
	EXPECT_EQ(0, wait_child(child));
}

/* Does the table say so of the buffer? @n: its lines, without that of the heads. */
static bool is_in_table(const struct memalloc_alloc *buffer, __u64 physical, __s64 offset,
			unsigned int *n)
{
	FILE *file = fopen(node_path("/sys/kernel/debug", "table"), "r");
	char line[128], expected[128];
	bool found = false;

	snprintf(expected, sizeof(expected), "%llu %lld %llu %llu\n", buffer->mmap_offset, offset,
		 physical, buffer->real_length);
	for (*n = -1; file && fgets(line, sizeof(line), file); (*n)++)
		found |= !strcmp(line, expected);
	if (file)
		fclose(file);
	return found;
}

TEST_F(translate, table_has_each_buffer)
{
	struct memalloc_alloc many[200];
	struct memalloc_query query;
	unsigned int n;
	int i;

	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
	EXPECT_TRUE(is_in_table(&self->buffer, query.physical,
				offset_of_handle(self->fd, self->buffer.handle), &n));
	EXPECT_EQ(2, n);
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, (1 + i % 9) * PAGE, &many[i]));
	query.physical -= offset_of_handle(self->fd, self->buffer.handle);
	for (i = 0; i < 200; i += 33) {
		__s64 offset = offset_of_handle(self->fd, many[i].handle);

		EXPECT_TRUE(is_in_table(&many[i], query.physical + offset, offset, &n));
		EXPECT_EQ(202, n);
	}
	ASSERT_EQ(0, free_buffer(self->fd, many[7].handle));
	is_in_table(&many[7], 0, 0, &n);
	EXPECT_EQ(201, n);
}

FIXTURE(moved) {
	struct pieces pieces;
};

FIXTURE_SETUP(moved)
{
	if (!memory_moves())
		SKIP(return, "buffers of this region can't be moved");
	ASSERT_EQ(0, make_pieces(&self->pieces));
}

FIXTURE_TEARDOWN(moved)
{
	EXPECT_EQ(-1, end_pieces(&self->pieces));
}

/* The address, the handle and the mmap offset stay; what they are translated to does not. */
TEST_F(moved, translation_follows)
{
	struct pieces *p = &self->pieces;
	struct memalloc_translate first[PIECES], answer;
	struct memalloc_compact compacted;
	unsigned int moved = 0, n;
	int i;

	for (i = 0; i < PIECES; i += 2)
		ASSERT_EQ(0, translate_address(p->fd, p->maps[i] + 5, 0, &first[i]));
	ASSERT_EQ(0, compact(p->fd, 0, &compacted));
	for (i = 0; i < PIECES; i += 2) {
		const __s64 offset = offset_of_handle(p->fd, p->buffers[i].handle);

		ASSERT_EQ(0, translate_address(p->fd, p->maps[i] + 5, 0, &answer));
		EXPECT_EQ(p->buffers[i].handle, answer.handle);
		EXPECT_EQ(5, answer.offset);
		EXPECT_EQ(offset + 5, answer.region_offset);
		moved += answer.region_offset != first[i].region_offset;
		/* Asking for where it is told moves it, once more, to where it stays. */
		ASSERT_EQ(0, translate(p->fd, p->buffers[i].handle, 0,
				       MEMALLOC_TRANSLATE_PHYSICAL, &answer));
		EXPECT_TRUE(is_in_table(&p->buffers[i], answer.physical, answer.region_offset,
					&n));
		munmap(p->maps[i], PIECE);
		ASSERT_EQ(0, free_buffer(p->fd, p->buffers[i].handle));
		ASSERT_EQ(0, alloc_buffer(p->fd, PIECE, &p->buffers[i]));
		p->maps[i] = map_buffer(p->fd, &p->buffers[i]);
		fill(p->maps[i], PIECE, i);
	}
	EXPECT_EQ(compacted.moves, moved);
	EXPECT_LT(0, moved);
}

TEST_HARNESS_MAIN
