// SPDX-License-Identifier: GPL-2.0-only
/*
 * The region as a dma-buf heap: what the kernel's own test of heaps, which boots/ run as
 * well, does not look at. That is each error and that it has done nothing, arguments of
 * any length, access modes, memory that was used before, and dma-bufs that outlive all else.
 */
#include "dmaheap.h"

#include <dirent.h>
#include <sys/stat.h>

#define LENGTH	(64 * KIB)
#define DISK	"/dev/nvme0n1"

FIXTURE(dmaheap) {
	int fd;			/* a client that looks on */
	int heap;
	unsigned char *end;	/* of three pages; what follows is not mapped */
};

FIXTURE_SETUP(dmaheap)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->heap = open_dmaheap();
	ASSERT_LE(0, self->heap);
	self->end = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->end);
	self->end += 3 * PAGE;
	ASSERT_EQ(0, munmap(self->end, PAGE));
}

FIXTURE_TEARDOWN(dmaheap)
{
}

/* Figures and descriptors are what they were, and nothing is left in the region. */
#define EXPECT_NOTHING_DONE(before)						\
do {										\
	struct state after = state_of(self->fd);				\
										\
	after.stats.failures = (before).stats.failures;				\
	EXPECT_TRUE(same_stats(&(before).stats, &after.stats));			\
	EXPECT_EQ((before).descriptors, after.descriptors);			\
	EXPECT_EQ(0, used_bytes(self->fd));					\
} while (0)

static char *map_dmabuf(int dmabuf, size_t length)
{
	return map_at(dmabuf, 0, length, PROT_READ | PROT_WRITE);
}

TEST_F(dmaheap, node_mode)
{
	struct stat device, node;

	ASSERT_EQ(0, stat(DEVICE, &device));
	ASSERT_EQ(0, stat(DMAHEAP, &node));
	EXPECT_EQ(device.st_mode, node.st_mode);
	EXPECT_EQ(device.st_uid, node.st_uid);
	EXPECT_EQ(device.st_gid, node.st_gid);
}

TEST_F(dmaheap, node_in_any_mode)
{
	const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		int dmabuf, heap = open(DMAHEAP, modes[i]);

		ASSERT_LE(0, heap);
		dmabuf = dmaheap_alloc(heap, PAGE, O_RDWR);
		ASSERT_LE(0, dmabuf);
		EXPECT_EQ(0, map_errno(dmabuf, 0, PAGE, PROT_READ | PROT_WRITE));
	}
}

TEST_F(dmaheap, alloc_good)
{
	struct memalloc_stats before, stats;
	int dmabuf;

	ASSERT_EQ(0, get_stats(self->fd, &before));
	dmabuf = dmaheap_alloc(self->heap, LENGTH - 100, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, get_stats(self->fd, &stats));
	EXPECT_STREQ("", stats_wrong(&stats));
	EXPECT_EQ(LENGTH, stats.used);
	EXPECT_EQ(LENGTH - 100, stats.requested);
	EXPECT_EQ(1, stats.buffers);
	EXPECT_EQ(1, stats.clients);
	EXPECT_EQ(before.allocs + 1, stats.allocs);
	EXPECT_EQ(before.failures, stats.failures);
	close(dmabuf);
	EXPECT_EQ(0, used_bytes(self->fd));
}

TEST_F(dmaheap, alloc_rounds_up)
{
	const __u64 lengths[] = { 1, PAGE - 1, PAGE, PAGE + 1, MIB - 1, MIB, 3 * MIB + 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int dmabuf = dmaheap_alloc(self->heap, lengths[i], O_RDWR);
		off_t size = (lengths[i] + PAGE - 1) & -PAGE;

		ASSERT_LE(0, dmabuf);
		EXPECT_EQ(size, lseek(dmabuf, 0, SEEK_END));
		EXPECT_EQ(size, (off_t)used_bytes(self->fd));
		EXPECT_EQ(0, map_errno(dmabuf, 0, size, PROT_READ | PROT_WRITE));
		EXPECT_EQ(-EINVAL, map_errno(dmabuf, 0, size + PAGE, PROT_READ));
		close(dmabuf);
	}
}

TEST_F(dmaheap, alloc_sets_the_descriptor_flags)
{
	const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		int plain = dmaheap_alloc(self->heap, PAGE, modes[i]);
		int cloexec = dmaheap_alloc(self->heap, PAGE, modes[i] | O_CLOEXEC);

		ASSERT_LE(0, plain);
		ASSERT_LE(0, cloexec);
		EXPECT_EQ(0, fcntl(plain, F_GETFD));
		EXPECT_EQ(FD_CLOEXEC, fcntl(cloexec, F_GETFD));
		EXPECT_EQ(modes[i], fcntl(plain, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(modes[i], fcntl(cloexec, F_GETFL) & O_ACCMODE);
	}
}

/* A descriptor gives what its mode says: to a mapping, and to a client that imports it. */
TEST_F(dmaheap, alloc_sets_the_access)
{
	static const struct {
		int mode, read, write;	/* the errno of a mapping to do so */
		int import;
		__u32 access;
	} modes[] = {
		{ O_RDONLY, 0, -EACCES, 0, MEMALLOC_ACCESS_READ },
		{ O_WRONLY, -EACCES, -EACCES, -EACCES, 0 },
		{ O_RDWR, 0, 0, 0, MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE },
		{ O_ACCMODE, -EACCES, -EACCES, -EACCES, 0 },
	};
	struct memalloc_import import;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		int dmabuf = dmaheap_alloc(self->heap, PAGE, modes[i].mode);

		ASSERT_LE(0, dmabuf);
		EXPECT_EQ(modes[i].read, map_errno(dmabuf, 0, PAGE, PROT_READ));
		EXPECT_EQ(modes[i].write, map_errno(dmabuf, 0, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(modes[i].import, import_buffer(self->fd, dmabuf, 0, &import));
		EXPECT_EQ(modes[i].access, import.access);
		close(dmabuf);
	}
}

/* All that is left of the region is written to, given back, and read in pieces of another size. */
TEST_F(dmaheap, alloc_is_zero_after_use)
{
	const size_t left = 12 * MIB, pieces[] = { 5 * MIB, 3 * MIB, MIB };
	struct memalloc_alloc rest;
	struct memalloc_info info;
	int dmabufs[64];
	size_t round, i, n;

	ASSERT_EQ(0, get_info(self->fd, &info));
	ASSERT_EQ(0, alloc_buffer(self->fd, info.region_length - left, &rest));
	for (round = 0; round < ARRAY_SIZE(pieces); round++) {
		const size_t length = pieces[round];

		for (n = 0; n < left / length; n++) {
			char *map;

			dmabufs[n] = dmaheap_alloc(self->heap, length, O_RDWR);
			ASSERT_LE(0, dmabufs[n]);
			map = map_dmabuf(dmabufs[n], length);
			ASSERT_NE(MAP_FAILED, (void *)map);
			ASSERT_EQ(length, first_nonzero(map, length));
			memset(map, 0xff, length);
			munmap(map, length);
		}
		EXPECT_EQ(-ENOMEM, dmaheap_alloc(self->heap, length, O_RDWR));
		for (i = 0; i < n; i++)
			close(dmabufs[i]);
		ASSERT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == rest.real_length));
	}
}

/*
 * What a heap answers, ours and those that the kernel has: each is asked each of these.
 * 0 stands for a descriptor. None is asked for more than there is: the kernel's system heap
 * would first take all memory.
 */
struct question {
	const char *name;
	struct dma_heap_allocation_data arg;
	int number;
	int answer;
};

static const struct question questions[] = {
	{ "one byte", { .len = 1 }, 0, 0 },
	{ "64 KiB", { .len = 64 * KIB, .fd_flags = O_RDWR | O_CLOEXEC }, 0, 0 },
	{ "write-only", { .len = 1, .fd_flags = O_WRONLY }, 0, 0 },
	{ "length 0", { .fd_flags = O_RDWR }, 0, -EINVAL },
	{ "length that wraps around", { .len = -4095ULL }, 0, -EINVAL },
	{ "length -1", { .len = -1ULL }, 0, -EINVAL },
	{ "descriptor 1", { .len = 1, .fd = 1 }, 0, -EINVAL },
	{ "descriptor -1", { .len = 1, .fd = -1 }, 0, -EINVAL },
	{ "O_NONBLOCK", { .len = 1, .fd_flags = O_RDWR | O_NONBLOCK }, 0, -EINVAL },
	{ "all flags", { .len = 1, .fd_flags = -1 }, 0, -EINVAL },
	{ "heap flag 0", { .len = 1, .heap_flags = 1 }, 0, -EINVAL },
	{ "heap flag 63", { .len = 1, .heap_flags = 1ULL << 63 }, 0, -EINVAL },
	{ "length 0 and all wrong", { .fd = 1, .fd_flags = -1, .heap_flags = -1 }, 0, -EINVAL },
	{ "call 1", { .len = 1 }, 1, -EINVAL },
	{ "call 255", { .len = 1 }, 255, -EINVAL },
};

static int ask(int heap, const struct question *question)
{
	struct dma_heap_allocation_data arg = question->arg;
	unsigned int request = DMA_HEAP_IOCTL_ALLOC | question->number;
	int ret = call(heap, request, &arg);

	if (!ret)
		close(arg.fd);
	else if (memcmp(&arg, &question->arg, sizeof(arg)))
		return -EPROTO;
	return ret;
}

TEST_F(dmaheap, answers_are_those_of_the_kernels_heaps)
{
	struct state before = state_of(self->fd);
	DIR *heaps = opendir(DMAHEAPS);
	struct dirent *entry;
	int asked = 0;
	size_t i;

	ASSERT_NE(NULL, heaps);
	while ((entry = readdir(heaps))) {
		int heap = openat(dirfd(heaps), entry->d_name, O_RDWR | O_CLOEXEC);

		if (entry->d_name[0] == '.')
			continue;
		ASSERT_LE(0, heap);
		TH_LOG("heap %s", entry->d_name);
		for (i = 0; i < ARRAY_SIZE(questions); i++)
			EXPECT_EQ(questions[i].answer, ask(heap, &questions[i]))
				TH_LOG("%s", questions[i].name);
		asked += !strcmp(entry->d_name, node_name());
		close(heap);
	}
	closedir(heaps);
	EXPECT_EQ(1, asked);
	EXPECT_NOTHING_DONE(before);
}

TEST_F(dmaheap, einval_flags)
{
	struct state before = state_of(self->fd);
	int bit;

	for (bit = 0; bit < 64; bit++) {
		struct dma_heap_allocation_data arg = {
			.len = PAGE, .heap_flags = 1ULL << bit,
		};

		EXPECT_EQ(-EINVAL, call(self->heap, DMA_HEAP_IOCTL_ALLOC, &arg))
			TH_LOG("heap flag %d", bit);
		if (bit >= 32 || (1U << bit) & (O_ACCMODE | O_CLOEXEC))
			continue;
		EXPECT_EQ(-EINVAL, dmaheap_alloc(self->heap, PAGE, 1U << bit))
			TH_LOG("flag %d", bit);
	}
	EXPECT_NOTHING_DONE(before);
}

TEST_F(dmaheap, einval_fd)
{
	struct state before = state_of(self->fd);
	struct dma_heap_allocation_data arg = { .len = PAGE };

	for (arg.fd = 1; arg.fd; arg.fd <<= 1)
		EXPECT_EQ(-EINVAL, call(self->heap, DMA_HEAP_IOCTL_ALLOC, &arg));
	EXPECT_NOTHING_DONE(before);
}

/* Not ones that can't work: what is asked, or the descriptor, would have no way. */
TEST_F(dmaheap, einval_direction)
{
	const int directions[] = { _IOC_NONE, _IOC_READ, _IOC_WRITE };
	struct state before = state_of(self->fd);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(directions); i++) {
		struct dma_heap_allocation_data arg = { .len = PAGE };

		EXPECT_EQ(-EINVAL, call(self->heap, _IOC(directions[i], DMA_HEAP_IOC_MAGIC, 0,
							 sizeof(arg)), &arg));
	}
	EXPECT_NOTHING_DONE(before);
}

TEST_F(dmaheap, enotty_calls_of_others)
{
	struct state before = state_of(self->fd);
	struct dma_heap_allocation_data arg = { .len = PAGE };

	EXPECT_EQ(-ENOTTY, call(self->heap, _IOWR('h', 0, struct dma_heap_allocation_data), &arg));
	EXPECT_EQ(-ENOTTY, call(self->heap, MEMALLOC_IOC_INFO, &arg));
	EXPECT_EQ(0, isatty(self->heap));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-ENOTTY, call(self->fd, DMA_HEAP_IOCTL_ALLOC, &arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(dmaheap, enomem_counts_as_failure)
{
	struct memalloc_stats before, full, after;

	ASSERT_EQ(0, get_stats(self->fd, &before));
	EXPECT_EQ(-ENOMEM, dmaheap_alloc(self->heap, before.region_length + 1, O_RDWR));
	EXPECT_EQ(-ENOMEM, dmaheap_alloc(self->heap, -PAGE, O_RDWR));
	ASSERT_EQ(before.region_length, take_all(self->fd));
	ASSERT_EQ(0, get_stats(self->fd, &full));
	EXPECT_EQ(before.failures + 2, full.failures);
	EXPECT_EQ(-ENOMEM, dmaheap_alloc(self->heap, 1, O_RDWR));
	EXPECT_EQ(-EINVAL, dmaheap_alloc(self->heap, 0, O_RDWR));
	ASSERT_EQ(0, get_stats(self->fd, &after));
	full.failures++;
	EXPECT_TRUE(same_stats(&full, &after));
}

TEST_F(dmaheap, emfile_no_descriptor_left)
{
	struct state before = state_of(self->fd);
	int next = dup(self->fd);
	struct rlimit limit = { next, 1024 };

	close(next);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, dmaheap_alloc(self->heap, PAGE, O_RDWR));
	limit.rlim_cur = 1024;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_NOTHING_DONE(before);
}

/* At the end of what is mapped: no more is read or written than the program knows of. */
TEST_F(dmaheap, argument_may_be_shorter)
{
	const size_t sizes[] = { 12, 13, 16, 20, 23 };
	struct dma_heap_allocation_data known = { .len = PAGE, .fd_flags = O_RDWR };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct dma_heap_allocation_data *arg = (void *)(self->end - sizes[i]);
		int mode = sizes[i] == 12 ? O_RDONLY : O_RDWR;

		memcpy(arg, &known, sizes[i]);
		ASSERT_EQ(0, call(self->heap, DMAHEAP_ALLOC(sizes[i]), arg))
			TH_LOG("%zu bytes", sizes[i]);
		EXPECT_EQ(mode, fcntl(arg->fd, F_GETFL) & O_ACCMODE);
		close(arg->fd);
	}
	/* What follows is not the argument's, whatever it is. */
	known.heap_flags = -1;
	EXPECT_EQ(0, call(self->heap, DMAHEAP_ALLOC(16), &known));
	EXPECT_EQ(~0ULL, known.heap_flags);
}

TEST_F(dmaheap, argument_may_be_longer)
{
	const size_t sizes[] = { 25, 32, 48, 4 * KIB, 8 * KIB, 12 * KIB, 16 * KIB - 1 };
	const size_t room = 12 * KIB, size = sizeof(struct dma_heap_allocation_data);
	unsigned char *memory = self->end - room, tail[room - size];
	struct dma_heap_allocation_data *arg = (void *)memory;
	size_t i;

	memset(tail, 0xa5, sizeof(tail));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(memory, 0xa5, room);
		*arg = (struct dma_heap_allocation_data){ .len = PAGE, .fd_flags = O_RDWR };
		ASSERT_EQ(0, call(self->heap, DMAHEAP_ALLOC(sizes[i]), arg))
			TH_LOG("%zu bytes", sizes[i]);
		EXPECT_EQ(PAGE, arg->len);
		EXPECT_EQ(PAGE, (size_t)lseek(arg->fd, 0, SEEK_END));
		EXPECT_EQ(0, memcmp(tail, memory + size, sizeof(tail)));
		close(arg->fd);
	}
	/* Nothing of the tail is looked at, even if nothing is there. */
	arg = (void *)(self->end - size);
	*arg = (struct dma_heap_allocation_data){ .len = PAGE, .fd_flags = O_RDWR };
	EXPECT_EQ(0, call(self->heap, DMAHEAP_ALLOC(48), arg));
}

TEST_F(dmaheap, einval_no_room_for_the_descriptor)
{
	struct state before = state_of(self->fd);
	struct dma_heap_allocation_data arg = { .len = PAGE };
	size_t size;

	for (size = 0; size < 12; size++)
		EXPECT_EQ(-EINVAL, call(self->heap, DMAHEAP_ALLOC(size), &arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(dmaheap, efault_unreadable)
{
	struct state before = state_of(self->fd);

	EXPECT_EQ(-EFAULT, call(self->heap, DMA_HEAP_IOCTL_ALLOC, NULL));
	EXPECT_EQ(-EFAULT, call(self->heap, DMA_HEAP_IOCTL_ALLOC, self->end));
	EXPECT_EQ(-EFAULT, call(self->heap, DMA_HEAP_IOCTL_ALLOC, self->end - 23));
	EXPECT_EQ(-EFAULT, call(self->heap, DMA_HEAP_IOCTL_ALLOC, (void *)(uintptr_t)-PAGE));
	EXPECT_NOTHING_DONE(before);
}

/* The work was done, and its answer can't be told: neither buffer nor descriptor stays. */
TEST_F(dmaheap, efault_unwritable)
{
	struct dma_heap_allocation_data *arg = (void *)(self->end - PAGE);
	struct state before = state_of(self->fd);
	int i;

	*arg = (struct dma_heap_allocation_data){ .len = MIB, .fd_flags = O_RDWR };
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(-EFAULT, call(self->heap, DMA_HEAP_IOCTL_ALLOC, arg));
	EXPECT_NOTHING_DONE(before);
}

TEST_F(dmaheap, argument_in_a_buffer)
{
	int dmabuf = dmaheap_alloc(self->heap, PAGE, O_RDWR);
	struct dma_heap_allocation_data *arg;

	ASSERT_LE(0, dmabuf);
	arg = (void *)map_dmabuf(dmabuf, PAGE);
	ASSERT_NE(MAP_FAILED, (void *)arg);
	*arg = (struct dma_heap_allocation_data){ .len = PAGE, .fd_flags = O_RDWR };
	ASSERT_EQ(0, call(self->heap, DMA_HEAP_IOCTL_ALLOC, arg));
	EXPECT_EQ(2 * PAGE, used_bytes(self->fd));
}

TEST_F(dmaheap, client_imports_the_dmabuf)
{
	int dmabuf = dmaheap_alloc(self->heap, LENGTH - 100, O_RDWR);
	struct memalloc_import import;
	char *map, *own;

	ASSERT_LE(0, dmabuf);
	map = map_dmabuf(dmabuf, LENGTH);
	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(map, LENGTH, 1);
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, 0, &import));
	EXPECT_EQ(LENGTH - 100, import.length);
	EXPECT_EQ(LENGTH, import.real_length);
	own = map_at(self->fd, import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)own);
	EXPECT_EQ(LENGTH, first_difference(own, LENGTH, 1));
	fill(own, LENGTH, 2);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 2));

	/* The handle alone keeps it. */
	munmap(map, LENGTH);
	munmap(own, LENGTH);
	close(dmabuf);
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	EXPECT_LE(0, export_buffer(self->fd, import.handle, O_RDWR));
	ASSERT_EQ(0, free_length(self->fd, import.handle, LENGTH - 100));
}

/* Whoever allocates has no handle: the client has none until it imports the dma-buf. */
TEST_F(dmaheap, alloc_makes_no_handle)
{
	struct memalloc_block blocks[4];
	int i, n, dmabuf = dmaheap_alloc(self->heap, PAGE, O_RDWR);

	ASSERT_LE(0, dmabuf);
	n = read_layout(self->fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));
	ASSERT_EQ(2, n);
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, blocks[i].handle);
}

TEST_F(dmaheap, dmabuf_outlives_the_node)
{
	int dmabuf = dmaheap_alloc(self->heap, LENGTH, O_RDWR);
	char *map;

	ASSERT_LE(0, dmabuf);
	close(self->heap);
	map = map_dmabuf(dmabuf, LENGTH);
	ASSERT_NE(MAP_FAILED, (void *)map);
	close(dmabuf);
	fill(map, LENGTH, 1);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	munmap(map, LENGTH);
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

TEST_F(dmaheap, direct_io_on_its_mapping)
{
	int disk = open(DISK, O_RDONLY | O_DIRECT), cached = open(DISK, O_RDONLY);
	int dmabuf = dmaheap_alloc(self->heap, LENGTH, O_RDWR);
	char *map, *expected = malloc(LENGTH);

	ASSERT_LE(0, disk);
	ASSERT_LE(0, cached);
	ASSERT_LE(0, dmabuf);
	map = map_dmabuf(dmabuf, LENGTH);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(LENGTH, pread(disk, map, LENGTH, MIB));
	ASSERT_EQ(LENGTH, pread(cached, expected, LENGTH, MIB));
	EXPECT_EQ(0, memcmp(expected, map, LENGTH));
	EXPECT_NE(LENGTH, first_nonzero(expected, LENGTH));
}

TEST_F(dmaheap, kill_gives_all_back)
{
	int round, ready[2];
	char byte;

	ASSERT_EQ(0, pipe(ready));
	for (round = 0; round < 5; round++) {
		pid_t child = fork_child();

		if (!child) {
			int i;

			for (i = 0; i < 16; i++) {
				int dmabuf = dmaheap_alloc(self->heap, (i + 1) * 10000, O_RDWR);
				char *map = map_dmabuf(dmabuf, PAGE);

				if (map == MAP_FAILED)
					_exit(1);
				*map = 1;
				if (i & 1)
					close(dmabuf);
			}
			if (write(ready[1], "", 1) == 1)
				pause();
			_exit(2);
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		EXPECT_LT(16 * PAGE, used_bytes(self->fd));
		kill(child, SIGKILL);
		ASSERT_EQ(128 + SIGKILL, wait_child(child));
		EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
	}
}

TEST_HARNESS_MAIN
