// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module does when the kernel runs out of memory, or can't copy an argument,
 * at any place of any call. Each case walks its places, one failure at a time: the
 * call does what it should all the same, or it answers an errno that is listed here
 * and has done nothing. Then again with bursts of failures (see inject.h).
 * Loading and unloading the module is in failures_module.c.
 */
#include "dmaheap.h"
#include "drivers.h"
#include "inject.h"

#include <setjmp.h>
#include <linux/dma-buf.h>

#define LENGTH		(32 * PAGE)	/* enough for a frame of vivid */
#define SEED		1

/* Nothing takes more places than that. */
#define PLACES_MAX	5000

/* No mapping is near it, so one that is made there needs page tables of its own. */
#define LONELY		((void *)0x510000000000)

/* What a case works on. It is made anew for each failure, and nothing of it may be left then. */
struct scene {
	int fd;				/* the client that calls */
	int other;			/* another one, which has nothing */
	struct memalloc_alloc buffer;	/* of LENGTH bytes that fill() with SEED wrote */
	int dmabuf;
	int heap;			/* the region as a dma-buf heap */
	int file;			/* has the same bytes */
	int card;			/* the graphics driver vgem */
	int video;			/* the camera driver vivid */
	__u32 frames;			/* that it was given */
	const char *fit;		/* not the one that the region has */
	char *map;
	struct memalloc_info info;
	union {				/* what a call answered */
		struct memalloc_alloc alloc;
		struct memalloc_alloc batch[3];
		struct memalloc_query query;
		struct memalloc_stats stats;
		struct memalloc_limits limits;
		struct memalloc_import import;
		struct {
			struct memalloc_block blocks[8];
			__u32 count;
			__u64 end;
		} layout;
	};
};

static int scene_open(struct scene *s)
{
	*s = (struct scene){ .dmabuf = -1, .file = -1, .card = -1, .video = -1, .fit = "worst" };
	s->map = MAP_FAILED;
	s->fd = open_device();
	s->other = open_device();
	s->heap = open_dmaheap();
	if (s->fd < 0 || s->other < 0 || s->heap < 0 || get_info(s->fd, &s->info) ||
	    alloc_buffer(s->fd, LENGTH, &s->buffer))
		return -1;
	s->map = map_buffer(s->fd, &s->buffer);
	if (s->map == MAP_FAILED)
		return -1;
	fill(s->map, LENGTH, SEED);
	munmap(s->map, LENGTH);
	s->map = MAP_FAILED;
	s->dmabuf = export_buffer(s->fd, s->buffer.handle, O_RDWR | O_CLOEXEC);
	return s->dmabuf < 0 ? -1 : 0;
}

static void scene_close(struct scene *s)
{
	int fds[] = { s->fd, s->other, s->dmabuf, s->heap, s->file, s->card, s->video };
	size_t i;

	if (s->map != MAP_FAILED)
		munmap(s->map, LENGTH);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static bool holds_bytes(const struct scene *s)
{
	return s->map != MAP_FAILED && first_difference(s->map, LENGTH, SEED) == LENGTH;
}

/* The calls. Each case has its call, what makes it ready, and what is to be after a success. */

static int open_call(struct scene *s)
{
	s->file = open_device();
	return s->file;
}

static bool is_client(struct scene *s, int fd)
{
	return !alloc_buffer(fd, PAGE, &s->alloc);
}

static int info(struct scene *s)
{
	return get_info(s->fd, &s->info);
}

static bool is_info(struct scene *s, int ret)
{
	return !ret && s->info.granule == PAGE && !strcmp((char *)s->info.name, "memalloc");
}

static int alloc_page(struct scene *s)
{
	return alloc_buffer(s->fd, 1, &s->alloc);
}

static int alloc_large(struct scene *s)
{
	return alloc_buffer(s->fd, 8 * MIB, &s->alloc);
}

/* Offsets are numbered by length, and the second number takes memory. */
static int alloc_same_length(struct scene *s)
{
	return alloc_buffer(s->fd, LENGTH, &s->alloc);
}

static int alloc_on_boundary(struct scene *s)
{
	return alloc_aligned(s->fd, 5 * PAGE, MIB, &s->alloc);
}

/* A buffer of its own, of the right length, all zero. */
static bool is_new_buffer(struct scene *s, int ret)
{
	struct memalloc_alloc *alloc = &s->alloc;
	char *map = map_buffer(s->fd, alloc);
	bool zero = map != MAP_FAILED &&
		    first_nonzero(map, alloc->real_length) == alloc->real_length;

	if (map != MAP_FAILED)
		munmap(map, alloc->real_length);
	return !ret && zero && alloc->handle != s->buffer.handle &&
	       alloc->real_length == (alloc->length + PAGE - 1) / PAGE * PAGE &&
	       (!alloc->alignment ||
		offset_of_handle(s->fd, alloc->handle) % alloc->alignment == 0);
}

static int free_call(struct scene *s)
{
	return free_buffer(s->fd, s->buffer.handle);
}

static bool is_freed(struct scene *s, int ret)
{
	return !ret && query_errno(s->fd, s->buffer.handle) == -ENOENT;
}

static int alloc_batch_call(struct scene *s)
{
	return alloc_batch(s->fd, s->batch, ARRAY_SIZE(s->batch), 5 * PAGE);
}

static bool is_batch(struct scene *s, int ret)
{
	return !ret && !get_stats(s->other, &s->stats) && s->stats.used == LENGTH + 15 * PAGE;
}

static int free_batch_call(struct scene *s)
{
	return free_batch(s->fd, s->batch, ARRAY_SIZE(s->batch));
}

static bool is_freed_batch(struct scene *s, int ret)
{
	return !ret && !get_stats(s->other, &s->stats) && s->stats.used == LENGTH;
}

/* Of a buffer that is not exported, of LENGTH bytes. */
static int make_longer(struct scene *s)
{
	return resize_buffer(s->fd, s->alloc.handle, LENGTH + 5 * PAGE);
}

static bool is_longer(struct scene *s, int ret)
{
	s->map = map_at(s->fd, s->alloc.mmap_offset + 5 * PAGE, LENGTH, PROT_READ);
	return !ret && s->map != MAP_FAILED && first_nonzero(s->map, LENGTH) == LENGTH &&
	       !get_stats(s->fd, &s->stats) && s->stats.used == 2 * LENGTH + 5 * PAGE;
}

static int make_shorter(struct scene *s)
{
	return resize_buffer(s->fd, s->alloc.handle, 3 * PAGE);
}

static bool is_shorter(struct scene *s, int ret)
{
	return !ret && map_errno(s->fd, s->alloc.mmap_offset, LENGTH, PROT_READ) == -EINVAL &&
	       !get_stats(s->fd, &s->stats) && s->stats.used == LENGTH + 3 * PAGE;
}

static int query(struct scene *s)
{
	return query_buffer(s->fd, s->buffer.handle, &s->query);
}

static bool is_query(struct scene *s, int ret)
{
	return !ret && s->query.length == LENGTH && s->query.real_length == LENGTH &&
	       s->query.mmap_offset == s->buffer.mmap_offset &&
	       s->query.access == (MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE);
}

static int name_call(struct scene *s)
{
	return name_buffer(s->fd, s->buffer.handle, "scene");
}

static bool is_named(struct scene *s, int ret)
{
	return is_query(s, query(s)) && !ret && !strcmp((char *)s->query.name, "scene");
}

static int query_address(struct scene *s)
{
	return query_physical(s->fd, s->buffer.handle, &s->query);
}

/* The promise is kept here, as is_freed() has it. */
static bool is_address(struct scene *s, int ret)
{
	return is_query(s, ret) && s->query.physical == physical(s->fd, &s->buffer, 0) &&
	       !free_buffer(s->fd, s->buffer.handle);
}

/* Of a client that was told where its buffer lies, and went. */
static int leave_unreleased(struct scene *s)
{
	int client = open_device();
	struct memalloc_stats stats;
	bool good = client >= 0 && !alloc_buffer(client, PAGE, &s->alloc) &&
		    !query_physical(client, s->alloc.handle, &s->query);

	close(client);
	return !good || !WAIT_UNTIL(!get_stats(s->fd, &stats) && stats.unreleased);
}

static int release_call(struct scene *s)
{
	return release_all(s->fd);
}

static bool is_released(struct scene *s, int ret)
{
	return !ret && !get_stats(s->fd, &s->stats) && !s->stats.unreleased &&
	       s->stats.used == LENGTH;
}

static int stats(struct scene *s)
{
	return get_stats(s->fd, &s->stats);
}

static bool is_stats(struct scene *s, int ret)
{
	return !ret && !*stats_wrong(&s->stats) && s->stats.used == LENGTH;
}

static int limits(struct scene *s)
{
	return get_limits(s->fd, &s->limits);
}

static bool is_limits(struct scene *s, int ret)
{
	return !ret && s->limits.client_bytes == LENGTH && s->limits.client_buffers == 1 &&
	       s->limits.user_bytes == LENGTH && s->limits.user_buffers == 1;
}

static int lower_limit(struct scene *s)
{
	return set_limits(s->fd, MEMALLOC_LIMITS_SET_BYTES, 2 * LENGTH, 0);
}

static bool is_lowered(struct scene *s, int ret)
{
	return !ret && !get_limits(s->fd, &s->limits) && s->limits.client_bytes_max == 2 * LENGTH &&
	       s->limits.client_buffers_max == MEMALLOC_NO_LIMIT;
}

static int layout(struct scene *s)
{
	s->layout.count = ARRAY_SIZE(s->layout.blocks);
	s->layout.end = 0;
	return get_layout(s->fd, &s->layout.end, s->layout.blocks, &s->layout.count);
}

static bool is_layout(struct scene *s, int ret)
{
	__u64 end = 0;
	bool mine = false;
	__u32 i;

	for (i = 0; !ret && i < s->layout.count; i++) {
		const struct memalloc_block *block = &s->layout.blocks[i];

		if (block->offset != end)
			return false;
		end += block->length;
		mine |= block->handle == s->buffer.handle && block->length == LENGTH;
	}
	return !ret && mine && end == s->info.region_length && s->layout.end == end;
}

static int export_call(struct scene *s)
{
	s->file = export_buffer(s->fd, s->buffer.handle, O_RDWR | O_CLOEXEC);
	return s->file;
}

static bool is_dmabuf(struct scene *s, int fd)
{
	s->map = map_at(fd, 0, LENGTH, PROT_READ | PROT_WRITE);
	return holds_bytes(s);
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
	       !get_stats(s->fd, &s->stats) && s->stats.used == 2 * LENGTH;
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

static int import_call(struct scene *s)
{
	return import_buffer(s->other, s->dmabuf, 0, &s->import);
}

static bool is_handle(struct scene *s, int ret)
{
	if (ret || s->import.length != LENGTH || s->import.real_length != LENGTH)
		return false;
	s->map = map_at(s->other, s->import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
	return holds_bytes(s) && !free_buffer(s->other, s->import.handle) &&
	       query_errno(s->other, s->import.handle) == -ENOENT;
}

static int import_again(struct scene *s)
{
	return import_buffer(s->fd, s->dmabuf, 0, &s->import);
}

static bool is_same_handle(struct scene *s, int ret)
{
	return !ret && s->import.handle == s->buffer.handle;
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
	return map_lonely(s) || pwrite(s->file, words, LENGTH, 0) != LENGTH;
}

static int read_into_mapping(struct scene *s)
{
	ssize_t n = pread(s->file, s->map, LENGTH, 0);

	/* Some of it, if it could not have all. */
	return n < 0 ? -errno : n == LENGTH ? 0 : -EFAULT;
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
	return !ret && !get_stats(s->other, &s->stats) && s->stats.used == LENGTH;
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

static int sync_range_call(struct scene *s)
{
	return sync_range(s->fd, s->buffer.handle, PAGE, PAGE, MEMALLOC_SYNC_READ);
}

static bool is_range_synced(struct scene *s, int ret)
{
	return !ret && !sync_range(s->fd, s->buffer.handle, PAGE, PAGE,
				   MEMALLOC_SYNC_END | MEMALLOC_SYNC_READ);
}

static int open_card(struct scene *s)
{
	s->card = open_vgem();
	return s->card < 0;
}

static int card_imports(struct scene *s)
{
	return prime_import(s->card, s->dmabuf);
}

static int open_card_and_import(struct scene *s)
{
	return open_card(s) || card_imports(s) < 0;
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

	s->video = open_vivid();
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

FIXTURE(call) {
	struct injector injector;
	int watcher;		/* a client that only looks */
	unsigned int failures;
	unsigned int absorbed;	/* of these, the call succeeded all the same */
	unsigned long answers;	/* errnos that came, a bit for each */
	int answer;		/* the last one */
};

FIXTURE_VARIANT(call) {
	unsigned int request;	/* if it is one of memalloc.h */
	int (*prepare)(struct scene *s);	/* not 0: can't */
	int (*act)(struct scene *s);	/* the call; an errno is negative */
	bool (*holds)(struct scene *s, int ret);
	int answers[4];		/* the errnos that it may answer; it answers all of them */
	const char *no_places;	/* why nothing in it can fail */
	const char *no_bursts;	/* why it is not tried with bursts */
};

FIXTURE_VARIANT_ADD(call, info) {
	.request = MEMALLOC_IOC_INFO,
	.act = info,
	.holds = is_info,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, alloc) {
	.request = MEMALLOC_IOC_ALLOC,
	.act = alloc_page,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, alloc_large) {
	.request = MEMALLOC_IOC_ALLOC,
	.act = alloc_large,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, alloc_same_length) {
	.request = MEMALLOC_IOC_ALLOC,
	.act = alloc_same_length,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, alloc_aligned) {
	.request = MEMALLOC_IOC_ALLOC,
	.act = alloc_on_boundary,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, free) {
	.request = MEMALLOC_IOC_FREE,
	.act = free_call,
	.holds = is_freed,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, alloc_batch) {
	.request = MEMALLOC_IOC_ALLOC_BATCH,
	.act = alloc_batch_call,
	.holds = is_batch,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, free_batch) {
	.request = MEMALLOC_IOC_FREE_BATCH,
	.prepare = alloc_batch_call,
	.act = free_batch_call,
	.holds = is_freed_batch,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, resize_longer) {
	.request = MEMALLOC_IOC_RESIZE,
	.prepare = alloc_same_length,
	.act = make_longer,
	.holds = is_longer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, resize_shorter) {
	.request = MEMALLOC_IOC_RESIZE,
	.prepare = alloc_same_length,
	.act = make_shorter,
	.holds = is_shorter,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, query) {
	.request = MEMALLOC_IOC_QUERY,
	.act = query,
	.holds = is_query,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, name) {
	.request = MEMALLOC_IOC_NAME,
	.act = name_call,
	.holds = is_named,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, query_address) {
	.request = MEMALLOC_IOC_QUERY,
	.act = query_address,
	.holds = is_address,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, release) {
	.request = MEMALLOC_IOC_RELEASE,
	.prepare = leave_unreleased,
	.act = release_call,
	.holds = is_released,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, stats) {
	.request = MEMALLOC_IOC_STATS,
	.act = stats,
	.holds = is_stats,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, layout) {
	.request = MEMALLOC_IOC_LAYOUT,
	.act = layout,
	.holds = is_layout,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, export) {
	.request = MEMALLOC_IOC_EXPORT,
	.act = export_call,
	.holds = is_dmabuf,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, import) {
	.request = MEMALLOC_IOC_IMPORT,
	.act = import_call,
	.holds = is_handle,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, import_again) {
	.request = MEMALLOC_IOC_IMPORT,
	.act = import_again,
	.holds = is_same_handle,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, limits) {
	.request = MEMALLOC_IOC_LIMITS,
	.act = limits,
	.holds = is_limits,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, limits_lower) {
	.request = MEMALLOC_IOC_LIMITS,
	.act = lower_limit,
	.holds = is_lowered,
	.answers = { EFAULT },
};

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

FIXTURE_VARIANT_ADD(call, sync_range) {
	.request = MEMALLOC_IOC_SYNC,
	.prepare = open_card_and_import,
	.act = sync_range_call,
	.holds = is_range_synced,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, vgem_import) {
	.prepare = open_card,
	.act = card_imports,
	.holds = is_object,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, vivid_queue) {
	.prepare = open_camera,
	.act = camera_takes,
	.holds = is_queued,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, fit) {
	.act = switch_fit,
	.holds = is_switched,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_SETUP(call)
{
	if (!can_inject())
		return;
	ASSERT_EQ(0, injector_open(&self->injector));
	self->watcher = open_idle_device();
	ASSERT_LE(0, self->watcher);
	/* A page fault of our own, while failures are on, would be one of the places. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
}

FIXTURE_TEARDOWN(call)
{
}

static bool may_answer(const FIXTURE_VARIANT(call) * variant, int error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variant->answers); i++)
		if (variant->answers[i] && variant->answers[i] == error)
			return true;
	return false;
}

/* After a call that answered an errno: "" or what is wrong. */
static const char *refusal_wrong(FIXTURE_DATA(call) * self, const FIXTURE_VARIANT(call) * variant,
				 const struct state *before)
{
	struct state after = state_of(self->watcher);
	struct memalloc_info info;

	if (!may_answer(variant, self->answer))
		return "it may not answer that";
	self->answers |= 1UL << self->answer;
	/* The one figure that a call may change that does nothing else. */
	after.stats.failures = before->stats.failures;
	if (!same_stats(&before->stats, &after.stats))
		return "the figures of STATS have changed";
	if (memcmp(&before->limits, &after.limits, sizeof(after.limits)))
		return "what is charged has changed";
	if (after.descriptors != before->descriptors)
		return "a descriptor was left";
	if (get_info(self->watcher, &info) || strcmp((char *)info.fit, "good"))
		return "the fit has changed";
	return "";
}

/* One call whose @n-th place fails, if it has that many: "" or what is wrong. */
static const char *fail_once(FIXTURE_DATA(call) * self, const FIXTURE_VARIANT(call) * variant,
			     unsigned int n, bool burst, bool *failed)
{
	const char *wrong = "";
	struct state before;
	struct scene scene;
	int ret;

	if (scene_open(&scene) || (variant->prepare && variant->prepare(&scene)))
		return "it can't be made ready";
	before = state_of(self->watcher);

	inject(&self->injector, n, n && burst);
	ret = variant->act(&scene);
	*failed = !inject_end(&self->injector) && n;

	self->answer = ret < 0 ? -ret : 0;
	if (ret < 0) {
		wrong = *failed ? refusal_wrong(self, variant, &before) : "there was no failure";
		ret = variant->act(&scene);
	} else if (*failed) {
		self->absorbed++;
	}
	self->failures += *failed;
	if (!*wrong && (ret < 0 || !variant->holds(&scene, ret)))
		wrong = self->answer ? "it does not work afterwards" : "a success that is none";
	scene_close(&scene);
	if (!*wrong && !WAIT_UNTIL(is_idle(self->watcher)))
		wrong = "something is left in use";
	return wrong;
}

TEST_F_TIMEOUT(call, survives_failures, 300)
{
	unsigned int n, mode;
	size_t i;

	if (!can_inject())
		SKIP(return, CAN_NOT_INJECT);
	for (mode = 0; mode < (variant->no_bursts ? 1 : 2); mode++) {
		/* The first round, without a failure, is for what is only made once. */
		bool more = true;

		for (n = 0; more; n++) {
			bool failed;
			const char *wrong = fail_once(self, variant, n, mode, &failed);

			ASSERT_STREQ("", wrong)
				TH_LOG("place %u%s, answer %s", n, mode ? ", burst" : "",
				       strerrorname_np(self->answer));
			ASSERT_GT(PLACES_MAX, n);
			more = !n || failed;
		}
	}
	TH_LOG("%u failures, %u absorbed", self->failures, self->absorbed);
	EXPECT_EQ(!variant->no_places, self->failures > 0);
	for (i = 0; i < ARRAY_SIZE(variant->answers); i++) {
		if (variant->answers[i]) {
			EXPECT_TRUE(self->answers & 1UL << variant->answers[i])
				TH_LOG("never: %s", strerrorname_np(variant->answers[i]));
		}
	}
}

/* Whoever adds a call adds a case. */
TEST(no_call_is_missing)
{
	struct __fixture_variant_metadata *v;
	int number, fd = open_idle_device();

	ASSERT_LE(0, fd);
	for (number = 0; number < 256; number++) {
		unsigned int request = _IO(MEMALLOC_IOC_TYPE, number);
		bool here = false;

		for (v = _call_fixture_object.variant; v; v = v->next)
			here |= ((FIXTURE_VARIANT(call) *)v->data)->request == request;
		EXPECT_EQ(here, call(fd, request, NULL) != -ENOTTY)
			TH_LOG("call %d", number);
	}
}

TEST_HARNESS_MAIN
