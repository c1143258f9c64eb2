// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dma-bufs of parts of a buffer: nothing outside of the part can be reached through one. What
 * devices see of a part is in dma.c, what drivers see in vgem.c and vivid.c.
 */
#include "pieces.h"

#include <linux/dma-buf.h>

#define PAGES	8
#define LENGTH	(PAGES * PAGE)
#define FIRST	3		/* the page at which our part begins */
#define PART	2		/* its pages */

FIXTURE(parts) {
	int fd;
	struct memalloc_alloc buffer;
	char *map;
	int part;
};

FIXTURE_SETUP(parts)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH - 9, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	fill(self->map, LENGTH, 1);
	self->part = export_part(self->fd, self->buffer.handle, O_RDWR, FIRST * PAGE, PART * PAGE);
	ASSERT_LE(0, self->part);
}

FIXTURE_TEARDOWN(parts)
{
}

static __s64 size_of(int dmabuf)
{
	return lseek(dmabuf, 0, SEEK_END);
}

TEST_F(parts, have_a_size_of_their_own)
{
	const int rest = export_part(self->fd, self->buffer.handle, O_RDONLY, PAGE, 0);
	const int whole = export_part(self->fd, self->buffer.handle, O_RDONLY, 0, LENGTH);

	EXPECT_EQ(PART * PAGE, size_of(self->part));
	EXPECT_EQ(LENGTH - PAGE, size_of(rest));
	EXPECT_EQ(LENGTH, size_of(whole));
	close(rest);
	close(whole);
}

TEST_F(parts, map_their_pages_alone)
{
	char *map = map_at(self->part, 0, PART * PAGE, PROT_READ | PROT_WRITE);

	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(0, memcmp(map, self->map + FIRST * PAGE, PART * PAGE));
	memset(map, 7, PART * PAGE);
	munmap(map, PART * PAGE);
	EXPECT_EQ(FIRST * PAGE, first_difference(self->map, LENGTH, 1));
	EXPECT_EQ(7, self->map[(FIRST + PART) * PAGE - 1]);
	fill(self->map, (FIRST + PART) * PAGE, 1);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));

	map = map_at(self->part, PAGE, PAGE, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(0, memcmp(map, self->map + (FIRST + 1) * PAGE, PAGE));
	munmap(map, PAGE);
	EXPECT_EQ(-EINVAL, map_errno(self->part, 0, (PART + 1) * PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->part, PAGE, PART * PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->part, PART * PAGE, PAGE, PROT_READ));
	EXPECT_NE(0, map_errno(self->part, -(__u64)PAGE, PAGE, PROT_READ));
	/* Nor can the mapping be made longer. */
	map = map_at(self->part, 0, PART * PAGE, PROT_READ);
	EXPECT_EQ(MAP_FAILED, mremap(map, PART * PAGE, (PART + 1) * PAGE, MREMAP_MAYMOVE));
	munmap(map, PART * PAGE);
}

TEST_F(parts, lie_in_the_buffer)
{
	const struct {
		__u64 offset, length;
	} wrong[] = {
		{ 1, PAGE }, { PAGE / 2, 0 }, { 0, 1 }, { 0, PAGE + 1 }, { PAGE, LENGTH },
		{ 0, LENGTH + PAGE }, { LENGTH, 0 }, { LENGTH, PAGE }, { LENGTH - PAGE, 2 * PAGE },
		{ -(__u64)PAGE, 0 }, { -(__u64)PAGE, 2 * PAGE }, { PAGE, -(__u64)PAGE },
		{ 1ULL << 44, PAGE }, { 0, 1ULL << 44 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(-EINVAL, export_part(self->fd, self->buffer.handle, O_RDWR,
					       wrong[i].offset, wrong[i].length))
			TH_LOG("%zu", i);
}

TEST_F(parts, overlap)
{
	const int other = export_part(self->fd, self->buffer.handle, O_RDONLY, (FIRST + 1) * PAGE,
				      PAGE);
	char *map, *read_only;

	ASSERT_LE(0, other);
	map = map_at(self->part, 0, PART * PAGE, PROT_READ | PROT_WRITE);
	read_only = map_at(other, 0, PAGE, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_NE(MAP_FAILED, (void *)read_only);
	map[PAGE + 5] = 99;
	EXPECT_EQ(99, read_only[5]);
	munmap(map, PART * PAGE);
	munmap(read_only, PAGE);
	close(other);
}

TEST_F(parts, read_only_ones_are_not_written_to)
{
	const int part = export_part(self->fd, self->buffer.handle, O_RDONLY, 0, PAGE);
	struct memalloc_import import;
	int whole, reader;

	ASSERT_LE(0, part);
	EXPECT_EQ(0, map_errno(part, 0, PAGE, PROT_READ));
	EXPECT_EQ(-EACCES, map_errno(part, 0, PAGE, PROT_READ | PROT_WRITE));
	close(part);

	/* Nor does a handle that can't write give one that can. */
	whole = export_buffer(self->fd, self->buffer.handle, O_RDONLY);
	reader = open_device();
	ASSERT_EQ(0, import_buffer(reader, whole, 0, &import));
	EXPECT_EQ(-EACCES, export_part(reader, import.handle, O_RDWR, 0, PAGE));
	close(whole);
	close(reader);
}

/* A handle is for a whole buffer. */
TEST_F(parts, are_not_imported)
{
	const int whole = export_part(self->fd, self->buffer.handle, O_RDWR, 0, LENGTH);
	struct memalloc_import import;
	const int other = open_device();

	EXPECT_EQ(-EOPNOTSUPP, import_buffer(other, self->part, 0, &import));
	EXPECT_EQ(-EOPNOTSUPP, import_buffer(self->fd, self->part, 0, &import));
	EXPECT_EQ(0, import_buffer(other, whole, 0, &import));
	close(whole);
	close(other);
}

TEST_F(parts, keep_the_whole_buffer)
{
	char *map;

	munmap(self->map, LENGTH);
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, PAGE));
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, FIRST * PAGE + PAGE));
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, LENGTH + PAGE));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	map = map_at(self->part, 0, PART * PAGE, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	close(self->part);
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	EXPECT_NE(PART * PAGE, first_nonzero(map, PART * PAGE));
	munmap(map, PART * PAGE);
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

TEST_F(parts, let_resize_again_when_they_are_closed)
{
	close(self->part);
	EXPECT_EQ(0, resize_buffer(self->fd, self->buffer.handle, PAGE));
}

/* Thousands, of one buffer: each takes a descriptor, and nothing of the limits. */
TEST_F(parts, are_charged_to_nobody)
{
	struct memalloc_limits before, after;
	int parts[256], i;

	ASSERT_EQ(0, get_limits(self->fd, &before));
	for (i = 0; i < 256; i++) {
		parts[i] = export_part(self->fd, self->buffer.handle, O_RDONLY,
				       i % PAGES * PAGE, PAGE);
		ASSERT_LE(0, parts[i]);
	}
	ASSERT_EQ(0, get_limits(self->fd, &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	for (i = 0; i < 256; i++)
		close(parts[i]);
}

TEST_F(parts, sync)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };

	EXPECT_EQ(0, call(self->part, DMA_BUF_IOCTL_SYNC, &sync));
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	EXPECT_EQ(0, call(self->part, DMA_BUF_IOCTL_SYNC, &sync));
}

/* Through old and new mappings of a part, it is the part that is seen, wherever the buffer is. */
TEST_F(parts, follow_their_buffer)
{
	struct memalloc_compact answer;
	struct pieces pieces;
	int parts[PIECES], i;
	char *maps[PIECES], *map;

	if (!memory_moves())
		SKIP(return, "buffers of this region can't be moved");
	close(self->part);
	munmap(self->map, LENGTH);
	close(self->fd);
	ASSERT_EQ(0, make_pieces(&pieces));
	for (i = 0; i < PIECES; i += 2) {
		parts[i] = export_part(pieces.fd, pieces.buffers[i].handle, O_RDONLY,
				       (1 + i) * PAGE, 3 * PAGE);
		ASSERT_LE(0, parts[i]);
		maps[i] = map_at(parts[i], 0, 3 * PAGE, PROT_READ);
		ASSERT_NE(MAP_FAILED, (void *)maps[i]);
		EXPECT_EQ(0, memcmp(maps[i], pieces.maps[i] + (1 + i) * PAGE, 3 * PAGE));
	}
	ASSERT_EQ(0, compact(pieces.fd, 0, &answer));
	EXPECT_LT(0, answer.moves);
	for (i = 0; i < PIECES; i += 2) {
		map = map_at(parts[i], PAGE, 2 * PAGE, PROT_READ);
		ASSERT_NE(MAP_FAILED, (void *)map);
		EXPECT_EQ(0, memcmp(maps[i], pieces.maps[i] + (1 + i) * PAGE, 3 * PAGE));
		EXPECT_EQ(0, memcmp(map, pieces.maps[i] + (2 + i) * PAGE, 2 * PAGE));
		munmap(map, 2 * PAGE);
		munmap(maps[i], 3 * PAGE);
		close(parts[i]);
	}
	EXPECT_EQ(-1, end_pieces(&pieces));
}

TEST_HARNESS_MAIN
