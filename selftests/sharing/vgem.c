// SPDX-License-Identifier: GPL-2.0-only
/*
 * The graphics driver vgem imports dma-bufs of buffers (PRIME). It attaches a
 * device and maps the buffer for DMA in both directions, as graphics cards do.
 */
#include "dmaheap.h"
#include "drivers.h"

static void __attribute__((constructor)) needs_pages(void)
{
	skip_program_without(MEMALLOC_MEMORY_PAGES);
}

#define LENGTH	(256 * KIB)

FIXTURE(vgem) {
	int fd;
	int card;
	struct memalloc_alloc buffer;
	char *map;
	int dmabuf;		/* opened O_RDWR */
};

FIXTURE_SETUP(vgem)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->card = open_vgem();
	ASSERT_LE(0, self->card);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	fill(self->map, LENGTH, 1);
	self->dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	ASSERT_LE(0, self->dmabuf);
}

FIXTURE_TEARDOWN(vgem)
{
}

/* Through vgem and back it is still the same buffer. */
TEST_F(vgem, imports_and_exports_again)
{
	__s64 handle = prime_import(self->card, self->dmabuf);
	struct memalloc_import import;
	char *map;
	int dmabuf;

	ASSERT_LT(0, handle);
	EXPECT_EQ(handle, prime_import(self->card, self->dmabuf));
	dmabuf = prime_export(self->card, handle);
	ASSERT_LE(0, dmabuf);
	map = map_at(dmabuf, 0, LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	fill(map, LENGTH, 2);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, 0, &import));
	EXPECT_EQ(self->buffer.handle, import.handle);
}

/*
 * vgem maps what it imported through its own file. It does not tell the offset of
 * an import; but an object takes the lowest one, so a dumb buffer of the same size
 * finds it out.
 */
static __s64 offset_of_next_import(int card, size_t length)
{
	struct drm_mode_map_dumb arg = { 0 };
	__s64 handle = create_dumb(card, length);
	int ret;

	if (handle < 0)
		return handle;
	arg.handle = handle;
	ret = call(card, DRM_IOCTL_MODE_MAP_DUMB, &arg);
	gem_close(card, handle);
	return ret ? ret : (__s64)arg.offset;
}

TEST_F(vgem, maps_what_it_imported)
{
	__s64 offset = offset_of_next_import(self->card, LENGTH);
	__s64 handle = prime_import(self->card, self->dmabuf);
	char *map;

	ASSERT_LE(0, offset);
	ASSERT_LT(0, handle);
	map = map_at(self->card, offset, LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	fill(map, LENGTH, 2);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));

	/* That mapping alone keeps the buffer. */
	munmap(self->map, LENGTH);
	close(self->dmabuf);
	close(self->card);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 2));
	munmap(map, LENGTH);
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

/* A card has a part as if it was all that there is. */
TEST_F(vgem, maps_a_part)
{
	int part = export_part(self->fd, self->buffer.handle, O_RDWR, LENGTH / 4, LENGTH / 2);
	__s64 offset = offset_of_next_import(self->card, LENGTH / 2);
	__s64 handle = prime_import(self->card, part);
	char *map;

	ASSERT_LE(0, offset);
	ASSERT_LT(0, handle);
	map = map_at(self->card, offset, LENGTH / 2, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(0, memcmp(map, self->map + LENGTH / 4, LENGTH / 2));
	memset(map, 0, LENGTH / 2);
	EXPECT_EQ(LENGTH / 4, first_difference(self->map, LENGTH, 1));
	EXPECT_EQ(LENGTH / 2, first_nonzero(self->map + LENGTH / 4, LENGTH));
	munmap(map, LENGTH / 2);
	EXPECT_NE(0, map_errno(self->card, offset, LENGTH / 2 + PAGE, PROT_READ));
}

/*
 * 0 if the card can have @dmabuf mapped with that protection, or a negative errno. Before 7.x, vgem
 * maps for DMA, in both directions, what it imports; now it does not, but maps it to programs.
 */
static int map_through_card(int card, int dmabuf, int prot)
{
	__s64 offset = offset_of_next_import(card, LENGTH);
	__s64 handle;
	int ret;

	if (offset < 0)
		return -EBADF;
	handle = prime_import(card, dmabuf);
	if (handle < 0)
		return handle;
	ret = map_errno(card, offset, LENGTH, prot);
	gem_close(card, handle);
	return ret;
}

/* Nobody writes through a card who may not write. */
TEST_F(vgem, refuses_a_read_only_export)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY);

	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EACCES, map_through_card(self->card, dmabuf, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, map_through_card(self->card, self->dmabuf, PROT_READ | PROT_WRITE));
}

/* Nobody reads through it what is write-only, which a dma-buf heap makes. */
TEST_F(vgem, refuses_what_is_write_only)
{
	int heap = open_dmaheap();
	int dmabuf = dmaheap_alloc(heap, LENGTH, O_WRONLY);

	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EACCES, map_through_card(self->card, dmabuf, PROT_READ));
	dmabuf = dmaheap_alloc(heap, LENGTH, O_RDWR);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(0, map_through_card(self->card, dmabuf, PROT_READ));
}

TEST_F(vgem, keeps_a_buffer_that_is_freed)
{
	__s64 handle = prime_import(self->card, self->dmabuf);
	struct memalloc_alloc buffer;

	ASSERT_LT(0, handle);
	munmap(self->map, LENGTH);
	close(self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	EXPECT_EQ(2 * LENGTH, used_bytes(self->fd));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	ASSERT_EQ(0, gem_close(self->card, handle));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

/* What a card has mapped for long does not lie between what can be moved. */
TEST_F(vgem, buffer_goes_to_the_end_first)
{
	const __s64 was = offset_of_handle(self->fd, self->buffer.handle);
	struct memalloc_info info;
	__s64 handle;

	ASSERT_EQ(0, get_info(self->fd, &info));
	handle = prime_import(self->card, self->dmabuf);
	ASSERT_LT(0, handle);
	EXPECT_EQ(memory_moves() ? (__s64)(info.region_length - LENGTH) : was,
		  offset_of_handle(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 1));
	ASSERT_EQ(0, gem_close(self->card, handle));
}

/* The driver lets go of the buffer before its card has finished: it is not free yet. */
TEST_F(vgem, fence_keeps_the_memory_in_quarantine)
{
	__s64 fence, handle = prime_import(self->card, self->dmabuf);

	ASSERT_LT(0, handle);
	fence = card_begins(self->card, handle, VGEM_FENCE_WRITE);
	ASSERT_LT(0, fence);
	ASSERT_EQ(0, gem_close(self->card, handle));
	munmap(self->map, LENGTH);
	close(self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	sleep_ms(200);
	EXPECT_EQ(LENGTH, quarantined_bytes(self->fd));

	ASSERT_EQ(0, card_ends(self->card, fence));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

/* Nor can it be resized. */
TEST_F(vgem, fence_keeps_the_size)
{
	__s64 fence, handle = prime_import(self->card, self->dmabuf);

	ASSERT_LT(0, handle);
	fence = card_begins(self->card, handle, VGEM_FENCE_WRITE);
	ASSERT_LT(0, fence);
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, PAGE));
	close(self->dmabuf);
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, PAGE));
	ASSERT_EQ(0, gem_close(self->card, handle));
	sleep_ms(50);
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, self->buffer.handle, PAGE));
	ASSERT_EQ(0, card_ends(self->card, fence));
	EXPECT_TRUE(WAIT_UNTIL(!resize_buffer(self->fd, self->buffer.handle, PAGE)));
	EXPECT_EQ(PAGE, used_bytes(self->fd));
}

static void on_signal(int signal)
{
	(void)signal;
}

/* A child that makes ready for an access to a page; a signal of which SIGUSR1 is one ends that. */
static pid_t start_sync(FIXTURE_DATA(vgem) * self, __u32 flags)
{
	struct sigaction action = { .sa_handler = on_signal };
	pid_t child = fork_child();

	if (!child) {
		sigaction(SIGUSR1, &action, NULL);
		_exit(-sync_range(self->fd, self->buffer.handle, PAGE, PAGE, flags));
	}
	return child;
}

static bool waits(pid_t child)
{
	sleep_ms(200);
	return !waitpid(child, NULL, WNOHANG);
}

/* Before the CPU reads, the card has to have written; before it writes, to have read, too. */
TEST_F(vgem, sync_waits_for_the_card)
{
	const __u32 read = MEMALLOC_SYNC_READ, write = MEMALLOC_SYNC_WRITE;
	__s64 fence, handle = prime_import(self->card, self->dmabuf);
	pid_t child;

	ASSERT_LT(0, handle);
	fence = card_begins(self->card, handle, 0);
	ASSERT_LT(0, fence);
	EXPECT_EQ(0, wait_child(start_sync(self, read)));
	child = start_sync(self, write);
	EXPECT_TRUE(waits(child));
	ASSERT_EQ(0, card_ends(self->card, fence));
	EXPECT_EQ(0, wait_child(child));

	fence = card_begins(self->card, handle, VGEM_FENCE_WRITE);
	ASSERT_LT(0, fence);
	EXPECT_EQ(0, wait_child(start_sync(self, read | write | MEMALLOC_SYNC_END)));
	child = start_sync(self, read);
	EXPECT_TRUE(waits(child));
	ASSERT_EQ(0, card_ends(self->card, fence));
	EXPECT_EQ(0, wait_child(child));
}

TEST_F(vgem, sync_eintr)
{
	__s64 handle = prime_import(self->card, self->dmabuf), fence;
	pid_t child;

	ASSERT_LT(0, handle);
	fence = card_begins(self->card, handle, VGEM_FENCE_WRITE);
	ASSERT_LT(0, fence);
	child = start_sync(self, MEMALLOC_SYNC_READ);
	ASSERT_TRUE(waits(child));
	kill(child, SIGUSR1);
	EXPECT_EQ(EINTR, wait_child(child));
	child = start_sync(self, MEMALLOC_SYNC_WRITE);
	ASSERT_TRUE(waits(child));
	kill(child, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(child));
	ASSERT_EQ(0, card_ends(self->card, fence));
}

TEST_F(vgem, import_einval_dmabuf_of_another_exporter)
{
	struct memalloc_import import;
	__s64 handle = create_dumb(self->card, LENGTH);
	int dmabuf;

	ASSERT_LT(0, handle);
	dmabuf = prime_export(self->card, handle);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EINVAL, import_buffer(self->fd, dmabuf, 0, &import));
	EXPECT_EQ(-EINVAL, import_buffer(self->fd, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
}

TEST_HARNESS_MAIN
