// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker wants to know where the region lies in physical memory. He asks every call,
 * with every mask, and reads all that he may read: no answer depends on it, but for one bit:
 * whether all of it can be reached with 32 address bits. That it is the same for each place
 * is for the boot `address` to show.
 */
#include "hostile.h"
#include "masks.h"

#include <ctype.h>
#include <dirent.h>

FIXTURE(address) {
	struct scene scene;
	struct memalloc_info info;
	__u64 base, end, memory_end;
	struct memalloc_alloc buffer;	/* mallory's; it begins at an odd page, */
	__u64 physical;			/* here */
	char *map;
};

FIXTURE_SETUP(address)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;

	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, get_info(self->scene.fd, &self->info));
	ASSERT_EQ(0, alloc_buffer(self->scene.fd, PAGE, &buffer));
	ASSERT_EQ(0, query_physical(self->scene.fd, buffer.handle, &query));
	self->base = query.physical - offset_of_handle(self->scene.fd, buffer.handle);
	self->end = self->base + self->info.region_length;
	ASSERT_EQ(0, free_buffer(self->scene.fd, buffer.handle));
	self->memory_end = read_memory_end();
	ASSERT_LT(0, self->memory_end);
	/* An mmap offset is a multiple of two pages. */
	do {
		ASSERT_EQ(0, alloc_buffer(self->scene.mallory, PAGE, &self->buffer));
		self->physical = physical(self->scene.mallory, &self->buffer, 0);
	} while (self->physical / PAGE % 2 == 0);
	self->map = map_buffer(self->scene.mallory, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	*self->map = 1;
	ASSERT_EQ(0, as_user(MALLORY));
}

FIXTURE_TEARDOWN(address)
{
	munmap(self->map, PAGE);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* The answer to a mask of each width, whatever else is asked for. */
TEST_F(address, masks)
{
	const __u64 lengths[] = { 1, 64 * KIB, MIB };
	size_t i;
	__u32 bits;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (bits = 1; bits <= 64; bits++) {
			struct memalloc_alloc alloc = {
				.size = sizeof(alloc), .length = lengths[i],
				.alignment = i ? lengths[i] : 0, .dma_mask_bits = bits,
			};
			const __u64 room = bits < 64 ? (1ULL << bits) / PAGE * PAGE : ~0ULL;
			int expected = mask_reaches(bits, self->end, self->memory_end) ?
				       0 : -ENOMEM;

			if (room < lengths[i] || room < PAGE)
				expected = -EINVAL;
			EXPECT_EQ(expected, call(self->scene.mallory, MEMALLOC_IOC_ALLOC, &alloc))
				TH_LOG("%u bits, %llu bytes", bits, lengths[i]);
			if (!expected)
				EXPECT_EQ(0, free_buffer(self->scene.mallory, alloc.handle));
		}
	}
}

/* With what is a mask's width or a window only for others. */
TEST_F(address, windows)
{
	const __u64 ends[] = { PAGE, self->base - 1, self->base + PAGE, self->end, ~0ULL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		struct memalloc_alloc alloc = {
			.size = sizeof(alloc), .length = 1, .window_end = ends[i],
		};
		struct memalloc_query query;

		EXPECT_EQ(-EPERM, call(self->scene.mallory, MEMALLOC_IOC_ALLOC, &alloc));
		EXPECT_EQ(-EPERM, query_physical(self->scene.mallory, self->buffer.handle, &query));
	}
}

/* Whether one of the words of an answer is the address, or the number of its page. */
static bool tells(const FIXTURE_DATA(address) * self, const void *answer, size_t size)
{
	__u64 word;
	size_t at;

	for (at = 0; at + sizeof(word) <= size; at += 4) {
		memcpy(&word, (const char *)answer + at, sizeof(word));
		if (word == self->physical || word == self->physical / PAGE)
			return true;
	}
	return false;
}

TEST_F(address, answers)
{
	static struct memalloc_block blocks[4096];
	const int fd = self->scene.mallory;
	struct memalloc_limits limits;
	struct memalloc_query query;
	struct memalloc_stats stats;
	struct memalloc_info info;
	int n;

	ASSERT_EQ(0, get_info(fd, &info));
	ASSERT_EQ(0, query_buffer(fd, self->buffer.handle, &query));
	ASSERT_EQ(0, get_stats(fd, &stats));
	ASSERT_EQ(0, get_limits(fd, &limits));
	n = read_layout(fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));
	ASSERT_LT(0, n);
	EXPECT_FALSE(tells(self, &info, sizeof(info)));
	EXPECT_FALSE(tells(self, &query, sizeof(query)));
	EXPECT_FALSE(tells(self, &stats, sizeof(stats)));
	EXPECT_FALSE(tells(self, &limits, sizeof(limits)));
	EXPECT_FALSE(tells(self, blocks, n * sizeof(*blocks)));
	EXPECT_FALSE(tells(self, &self->buffer, sizeof(self->buffer)));
}

/* Whether a number in the text is one of these, in decimal or hexadecimal. */
static bool text_tells(const FIXTURE_DATA(address) * self, const char *text)
{
	const char *at = text;

	while (*at) {
		__u64 decimal, hexadecimal;
		char *end, *end10;

		if (!isxdigit(*at)) {
			at++;
			continue;
		}
		hexadecimal = strtoull(at, &end, 16);
		decimal = strtoull(at, &end10, 10);
		if (hexadecimal == self->physical || hexadecimal == self->physical / PAGE ||
		    decimal == self->physical || decimal == self->physical / PAGE)
			return true;
		at = end > at ? end : at + 1;
	}
	return false;
}

/* What of the file he can read, and whether that tells. */
static bool file_tells(const FIXTURE_DATA(address) * self, const char *path,
		       unsigned int *read_files)
{
	static char text[1 << 20];
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	size_t length = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (length < sizeof(text) - 1 &&
	       (n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += n;
	close(fd);
	text[length] = 0;
	*read_files += length > 0;
	return text_tells(self, text);
}

TEST_F(address, files)
{
	const char *const folders[] = {
		ATTRIBUTE(NULL), ATTRIBUTE("power"), node_path("/sys/kernel/debug", NULL),
		"/sys/module/memalloc", "/sys/module/memalloc/sections",
		"/sys/module/memalloc/parameters", "/proc/self/fdinfo", "/sys/kernel/tracing",
		"/sys/kernel/tracing/events/memalloc",
	};
	static const char *const files[] = {
		"/proc/self/maps", "/proc/self/smaps", "/proc/self/numa_maps", "/proc/iomem",
		"/proc/self/status", "/proc/zoneinfo", "/proc/buddyinfo", "/proc/pagetypeinfo",
		"/proc/vmallocinfo", "/proc/modules",
	};
	unsigned int read_files = 0;
	char path[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s", files[i]);
		EXPECT_FALSE(file_tells(self, path, &read_files))
			TH_LOG("%s", path);
	}
	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		DIR *folder = opendir(folders[i]);
		struct dirent *entry;

		while (folder && (entry = readdir(folder))) {
			snprintf(path, sizeof(path), "%s/%s", folders[i], entry->d_name);
			if (entry->d_type == DT_REG)
				EXPECT_FALSE(file_tells(self, path, &read_files))
					TH_LOG("%s", path);
		}
		if (folder)
			closedir(folder);
	}
	TH_LOG("%u files", read_files);
	EXPECT_LT(20, read_files);
}

/* The kernel's own table has no number of a page for him. */
TEST_F(address, pagemap)
{
	pid_t child;

	/* It asks for the capability when it is opened, and this process may have been root. */
	child = fork_child();
	if (!child)
		_exit(become(MALLORY) || physical(self->scene.mallory, &self->buffer, 0));
	EXPECT_EQ(0, wait_child(child));
}

TEST_HARNESS_MAIN
