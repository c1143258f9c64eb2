// SPDX-License-Identifier: GPL-2.0-only
/*
 * The graphics driver vgem imports dma-bufs of buffers (PRIME). It attaches a
 * device and maps the buffer for DMA in both directions, as graphics cards do.
 */
#include "drivers.h"

#define LENGTH	(256 * KIB)

/* vgem's own call, for which Debian has no header: a fence that stands for work of the card. */
struct vgem_fence_attach {
	__u32 handle;
	__u32 flags;
	__u32 fence;
	__u32 pad;
};

struct vgem_fence_signal {
	__u32 fence;
	__u32 flags;
};

#define VGEM_FENCE_WRITE	1
#define VGEM_FENCE_ATTACH	DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_fence_attach)
#define VGEM_FENCE_SIGNAL	DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_fence_signal)

FIXTURE(vgem) {
	int fd;
	int card;
	struct memalloc_alloc buffer;
	char *map;
	int dmabuf;		/* opened O_RDWR */
};

static int prime_export(int card, __u32 handle)
{
	struct drm_prime_handle arg = { .handle = handle, .flags = O_RDWR, .fd = -1 };
	int ret = call(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &arg);

	return ret ? ret : arg.fd;
}

/* A buffer of vgem's own, of LENGTH bytes. */
static __s64 create_dumb(int card)
{
	struct drm_mode_create_dumb arg = { .width = LENGTH / 4 / 64, .height = 64, .bpp = 32 };
	int ret = call(card, DRM_IOCTL_MODE_CREATE_DUMB, &arg);

	return ret ? ret : (__s64)arg.handle;
}

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
TEST_F(vgem, maps_what_it_imported)
{
	struct drm_mode_map_dumb arg = { 0 };
	__s64 handle = create_dumb(self->card);
	char *map;

	ASSERT_LT(0, handle);
	arg.handle = handle;
	ASSERT_EQ(0, call(self->card, DRM_IOCTL_MODE_MAP_DUMB, &arg));
	ASSERT_EQ(0, gem_close(self->card, handle));
	handle = prime_import(self->card, self->dmabuf);
	ASSERT_LT(0, handle);

	map = map_at(self->card, arg.offset, LENGTH, PROT_READ | PROT_WRITE);
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

/* A device that may write does not get what is read-only. */
TEST_F(vgem, refuses_a_read_only_export)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY);

	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EACCES, prime_import(self->card, dmabuf));
	EXPECT_LT(0, prime_import(self->card, self->dmabuf));
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

/* The driver lets go of the buffer before its card has finished: it is not free yet. */
TEST_F(vgem, fence_keeps_the_memory_in_quarantine)
{
	struct vgem_fence_attach attach = { .flags = VGEM_FENCE_WRITE };
	struct vgem_fence_signal signal = { 0 };
	__s64 handle = prime_import(self->card, self->dmabuf);

	ASSERT_LT(0, handle);
	attach.handle = handle;
	ASSERT_EQ(0, call(self->card, VGEM_FENCE_ATTACH, &attach));
	ASSERT_EQ(0, gem_close(self->card, handle));
	munmap(self->map, LENGTH);
	close(self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	sleep_ms(200);
	EXPECT_EQ(LENGTH, quarantined_bytes(self->fd));

	signal.fence = attach.fence;
	ASSERT_EQ(0, call(self->card, VGEM_FENCE_SIGNAL, &signal));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

TEST_F(vgem, import_einval_dmabuf_of_another_exporter)
{
	struct memalloc_import import;
	__s64 handle = create_dumb(self->card);
	int dmabuf;

	ASSERT_LT(0, handle);
	dmabuf = prime_export(self->card, handle);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EINVAL, import_buffer(self->fd, dmabuf, 0, &import));
	EXPECT_EQ(-EINVAL, import_buffer(self->fd, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
}

TEST_HARNESS_MAIN
