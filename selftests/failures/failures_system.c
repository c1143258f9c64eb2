// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module does when the kernel runs out of memory, or can't copy an argument, at any place
 * of a system call that is no call of memalloc.h: open(), close(), mmap(), page faults, fork(),
 * those on dma-bufs and the dma-heap, drivers, and the change to another fit.
 */
#include "failures.h"

#include <setjmp.h>
#include <linux/dma-buf.h>

/* No mapping is near it, so one that is made there needs page tables of its own. */
#define LONELY		((void *)0x510000000000)

/* Each case has its call, what makes it ready, and what is to be after a success. */

static int open_call(struct scene *s)
{
	s->file = open_device();
	return s->file;
}

static bool is_client(struct scene *s, int fd)
{
	return !alloc_buffer(fd, PAGE, &s->arg.alloc);
}

static int heap_alloc(struct scene *s)
{
	s->file = dmaheap_alloc(s->heap, LENGTH, O_RDWR | O_CLOEXEC);
	return s->file;
}

static bool is_heap_buffer(struct scene *s, int fd)
{
	s->map = map_at(fd, 0, LENGTH, PROT_READ | PROT_WRITE);
	return s->map != MAP_FAILED && first_nonzero(s->map, LENGTH) == LENGTH &&
	       !get_stats(s->fd, &s->arg.stats) && s->arg.stats.used == 2 * LENGTH;
}

static int open_heap(struct scene *s)
{
	s->file = open_dmaheap();
	return s->file;
}

static bool is_heap(struct scene *s, int fd)
{
	int dmabuf = dmaheap_alloc(fd, LENGTH, O_RDWR);

	(void)s;
	close(dmabuf);
	return dmabuf >= 0;
}

static int map_call(struct scene *s)
{
	s->map = map_at(s->fd, s->buffer.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
	return s->map == MAP_FAILED ? -errno : 0;
}

static int map_dmabuf(struct scene *s)
{
	s->map = map_at(s->dmabuf, 0, LENGTH, PROT_READ | PROT_WRITE);
	return s->map == MAP_FAILED ? -errno : 0;
}

static bool is_mapped(struct scene *s, int ret)
{
	return !ret && holds_bytes(s);
}

static int map_lonely(struct scene *s)
{
	s->map = mmap(LONELY, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, s->fd,
		      s->buffer.mmap_offset);
	return s->map == MAP_FAILED ? -errno : 0;
}

static int map_and_touch(struct scene *s)
{
	return map_lonely(s) || !holds_bytes(s);
}

/* A page fault answers no errno but kills, if it can't be done; here that becomes one. */
static sigjmp_buf after_signal;

static void on_signal(int signal)
{
	siglongjmp(after_signal, signal);
}

static int touch(struct scene *s, bool write)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(after_signal, true))
		return -EIO;
	if (write)
		__atomic_store_n(s->map, (char)pattern(SEED, 0), __ATOMIC_RELAXED);
	else
		__atomic_load_n(s->map, __ATOMIC_RELAXED);
	return 0;
}

static int touch_read(struct scene *s)
{
	return touch(s, false);
}

static int touch_write(struct scene *s)
{
	return touch(s, true);
}

static int populate(struct scene *s)
{
	return madvise(s->map, LENGTH, MADV_POPULATE_WRITE) ? -errno : 0;
}

/* Another system call writes into a mapping that has no page yet. */
static int map_lonely_and_make_file(struct scene *s)
{
	__u64 words[LENGTH / 8];

	fill(words, LENGTH, SEED);
	s->file = memfd_create("failures", MFD_CLOEXEC);
	return map_lonely(s) || pwrite(s->file, words, LENGTH, 0) != (ssize_t)LENGTH;
}

static int read_into_mapping(struct scene *s)
{
	ssize_t n = pread(s->file, s->map, LENGTH, 0);

	/* Some of it, if it could not have all. */
	return n < 0 ? -errno : n == (ssize_t)LENGTH ? 0 : -EFAULT;
}

static int fork_call(struct scene *s)
{
	pid_t child = fork();

	if (!child)
		_exit(!holds_bytes(s));
	return child < 0 ? -errno : child;
}

static bool is_good_child(struct scene *s, int child)
{
	return !wait_child(child) && holds_bytes(s);
}

static bool nothing_at(void *address)
{
	unsigned char resident;

	return mincore(address, PAGE, &resident) && errno == ENOMEM;
}

/* The second page goes; that splits the mapping in two. */
static int unmap_page(struct scene *s)
{
	return munmap(s->map + PAGE, PAGE) ? -errno : 0;
}

static bool is_split(struct scene *s, int ret)
{
	char *rest = s->map + 2 * PAGE;
	bool good = !ret && nothing_at(s->map + PAGE) &&
		    first_difference(s->map, PAGE, SEED) == PAGE &&
		    *(__u64 *)rest == pattern(SEED, 2 * PAGE / 8);

	munmap(s->map, PAGE);
	munmap(rest, LENGTH - 2 * PAGE);
	s->map = MAP_FAILED;
	return good;
}

static int unmap_all(struct scene *s)
{
	return munmap(s->map, LENGTH) ? -errno : 0;
}

static bool is_unmapped(struct scene *s, int ret)
{
	bool good = !ret && nothing_at(s->map);

	s->map = MAP_FAILED;
	return good;
}

/* The last descriptor of a client that has a buffer of its own. */
static int close_call(struct scene *s)
{
	int ret = close(s->fd) ? -errno : 0;

	s->fd = -1;
	return ret;
}

static bool is_closed(struct scene *s, int ret)
{
	return !ret && !get_stats(s->other, &s->arg.stats) && s->arg.stats.used == LENGTH;
}

static int sync_call(struct scene *s)
{
	struct dma_buf_sync arg = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };

	return call(s->dmabuf, DMA_BUF_IOCTL_SYNC, &arg);
}

static bool is_synced(struct scene *s, int ret)
{
	struct dma_buf_sync arg = { .flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW };

	return !ret && !call(s->dmabuf, DMA_BUF_IOCTL_SYNC, &arg);
}

static bool is_object(struct scene *s, int handle)
{
	return handle > 0 && !gem_close(s->card, handle);
}

static struct v4l2_buffer frame_of(const struct scene *s, __u32 index)
{
	return (struct v4l2_buffer){
		.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = s->dmabuf,
		.length = LENGTH,
	};
}

static int open_camera(struct scene *s)
{
	struct v4l2_format format = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.fmt.pix = {
			.width = 320,
			.height = 180,
			.pixelformat = V4L2_PIX_FMT_YUYV,
			.field = V4L2_FIELD_NONE,
		},
	};
	struct v4l2_requestbuffers request = {
		.count = 2,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};

	s->video = open_vivid(VIVID, V4L2_CAP_VIDEO_CAPTURE);
	return s->video < 0 || ioctl(s->video, VIDIOC_S_FMT, &format) ||
	       format.fmt.pix.sizeimage > LENGTH || ioctl(s->video, VIDIOC_REQBUFS, &request);
}

/* Another frame each time: it has taken one, too, where it could only not copy its answer. */
static int camera_takes(struct scene *s)
{
	struct v4l2_buffer frame = frame_of(s, s->frames++);

	return call(s->video, VIDIOC_QBUF, &frame);
}

static bool is_queued(struct scene *s, int ret)
{
	struct v4l2_buffer frame = frame_of(s, s->frames - 1);

	return !ret && !call(s->video, VIDIOC_QUERYBUF, &frame) &&
	       frame.flags & V4L2_BUF_FLAG_QUEUED;
}

static int switch_fit(struct scene *s)
{
	return switch_to(s->fit);
}

static bool is_switched(struct scene *s, int ret)
{
	return !ret && !get_info(s->fd, &s->info) && !strcmp((char *)s->info.fit, s->fit) &&
	       !switch_to("good");
}

FIXTURE_VARIANT_ADD(call, dmaheap_alloc) {
	.act = heap_alloc,
	.holds = is_heap_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, dmaheap_open) {
	.act = open_heap,
	.holds = is_heap,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, open) {
	.act = open_call,
	.holds = is_client,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, close) {
	.act = close_call,
	.holds = is_closed,
	.no_places = "it only gives back",
};

FIXTURE_VARIANT_ADD(call, mmap) {
	.act = map_call,
	.holds = is_mapped,
	.answers = { ENOMEM },
};

FIXTURE_VARIANT_ADD(call, mmap_dmabuf) {
	.act = map_dmabuf,
	.holds = is_mapped,
	.answers = { ENOMEM },
};

FIXTURE_VARIANT_ADD(call, read_fault) {
	.prepare = map_lonely,
	.act = touch_read,
	.holds = is_mapped,
};

FIXTURE_VARIANT_ADD(call, write_fault) {
	.prepare = map_lonely,
	.act = touch_write,
	.holds = is_mapped,
};

FIXTURE_VARIANT_ADD(call, populate) {
	.prepare = map_lonely,
	.act = populate,
	.holds = is_mapped,
	.answers = { ENOMEM },
};

FIXTURE_VARIANT_ADD(call, read_into_mapping) {
	.prepare = map_lonely_and_make_file,
	.act = read_into_mapping,
	.holds = is_mapped,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, fork) {
	.prepare = map_and_touch,
	.act = fork_call,
	.holds = is_good_child,
	.answers = { ENOMEM },
	.no_bursts = "the child would inherit it",
};

FIXTURE_VARIANT_ADD(call, munmap_of_a_part) {
	.prepare = map_and_touch,
	.act = unmap_page,
	.holds = is_split,
	.answers = { ENOMEM },
};

FIXTURE_VARIANT_ADD(call, munmap) {
	.prepare = map_and_touch,
	.act = unmap_all,
	.holds = is_unmapped,
	.answers = { ENOMEM },
};

FIXTURE_VARIANT_ADD(call, dmabuf_sync) {
	.prepare = open_card_and_import,
	.act = sync_call,
	.holds = is_synced,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, vgem_import) {
	.prepare = open_card,
	.act = card_imports,
	.holds = is_object,
	.answers = { EFAULT, ENOMEM },
	.moves = true,
};

FIXTURE_VARIANT_ADD(call, vivid_queue) {
	.prepare = open_camera,
	.act = camera_takes,
	.holds = is_queued,
	.answers = { EFAULT, ENOMEM },
	.moves = true,
};

FIXTURE_VARIANT_ADD(call, fit) {
	.act = switch_fit,
	.holds = is_switched,
	.answers = { EFAULT, ENOMEM },
};

TEST_HARNESS_MAIN
