/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's drivers that import dma-bufs, for the test programs that use them. */
#ifndef DRIVERS_H
#define DRIVERS_H

#include "memalloc_test.h"

#include <libdrm/drm.h>
#include <linux/videodev2.h>

/* The primary node of vgem, whatever its number is. */
static inline int open_vgem(void)
{
	char path[32], name[32];
	int i, fd;

	for (i = 0; i < 64; i++) {
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR);
		if (fd < 0)
			continue;
		memset(name, 0, sizeof(name));
		if (!ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem"))
			return fd;
		close(fd);
	}
	return -1;
}

/* The GEM handle of @dmabuf, or a negative errno. */
static inline __s64 prime_import(int card, int dmabuf)
{
	struct drm_prime_handle arg = { .fd = dmabuf };
	int ret = call(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &arg);

	return ret ? ret : (__s64)arg.handle;
}

static inline int prime_export(int card, __u32 handle)
{
	struct drm_prime_handle arg = { .handle = handle, .flags = O_RDWR, .fd = -1 };
	int ret = call(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &arg);

	return ret ? ret : arg.fd;
}

static inline int gem_close(int card, __u32 handle)
{
	struct drm_gem_close arg = { .handle = handle };

	return call(card, DRM_IOCTL_GEM_CLOSE, &arg);
}

/* A buffer of vgem's own, of @length bytes (a multiple of 256), or a negative errno. */
static inline __s64 create_dumb(int card, __u32 length)
{
	struct drm_mode_create_dumb arg = { .width = length / 4 / 64, .height = 64, .bpp = 32 };
	int ret = call(card, DRM_IOCTL_MODE_CREATE_DUMB, &arg);

	return ret ? ret : (__s64)arg.handle;
}

/* vgem's own calls, for which Debian has no header: a fence that stands for work of the card. */
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

/* The card begins to work on an object: reads it, or with VGEM_FENCE_WRITE writes it. A fence. */
static inline __s64 card_begins(int card, __u32 handle, __u32 flags)
{
	struct vgem_fence_attach arg = { .handle = handle, .flags = flags };
	int ret = call(card, VGEM_FENCE_ATTACH, &arg);

	return ret ? ret : (__s64)arg.fence;
}

/* It has finished. */
static inline int card_ends(int card, __u32 fence)
{
	struct vgem_fence_signal arg = { .fence = fence };

	return call(card, VGEM_FENCE_SIGNAL, &arg);
}

/* The devices of vivid that load_drivers() of tap.sh makes. */
enum {
	VIVID,			/* reaches buffers by a kernel mapping; a camera */
	VIVID_DMA,		/* by DMA; a camera and a screen */
};

/* Opens the first video node that has @capability and whose bus name begins with @bus, or -1. */
static inline int open_video(const char *bus, __u32 capability)
{
	char name[32];
	int i, fd;

	for (i = 0; i < 64; i++) {
		struct v4l2_capability cap = { 0 };

		snprintf(name, sizeof(name), "/dev/video%d", i);
		fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, VIDIOC_QUERYCAP, &cap) && cap.device_caps & capability &&
		    !strncmp((char *)cap.bus_info, bus, strlen(bus)))
			return fd;
		close(fd);
	}
	return -1;
}

/* The node of that device which has the capability, or -1. */
static inline int open_vivid(int device, __u32 capability)
{
	char bus[32];

	snprintf(bus, sizeof(bus), "platform:vivid-%03d", device);
	return open_video(bus, capability);
}

#endif /* DRIVERS_H */
