/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test program here needs: the calls of /dev/memalloc as functions
 * that answer 0 (or a descriptor) or a negative errno, patterns to write and to
 * look for, and waiting with a deadline. One client of the device is one
 * descriptor from open_device().
 */
#ifndef MEMALLOC_TEST_H
#define MEMALLOC_TEST_H

#include "kselftest_harness.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/memalloc.h>

#define DEVICE		"/dev/memalloc"
#define PARAMETERS	"/sys/module/memalloc/parameters/"

/* As many files may be open; above, only administrators open some more. */
#define FILE_MAX	"/proc/sys/fs/file-max"

#define PAGE		4096UL
#define KIB		1024UL
#define MIB		(1024 * KIB)
#define DEADLINE_MS	8000

static inline int call(int fd, unsigned int request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static inline int open_device(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int get_info(int fd, struct memalloc_info *info)
{
	*info = (struct memalloc_info){ .size = sizeof(*info) };
	return call(fd, MEMALLOC_IOC_INFO, info);
}

static inline int get_stats(int fd, struct memalloc_stats *stats)
{
	*stats = (struct memalloc_stats){ .size = sizeof(*stats) };
	return call(fd, MEMALLOC_IOC_STATS, stats);
}

/* But for @dirty: the background zeroes what somebody gave back before. */
static inline bool same_stats(const struct memalloc_stats *a, const struct memalloc_stats *b)
{
	struct memalloc_stats copy = *b;

	copy.dirty = a->dirty;
	return !memcmp(a, &copy, sizeof(copy));
}

static inline int get_limits(int fd, struct memalloc_limits *limits)
{
	*limits = (struct memalloc_limits){ .size = sizeof(*limits) };
	return call(fd, MEMALLOC_IOC_LIMITS, limits);
}

/* Set the client's own limits that @flags name. */
static inline int set_limits(int fd, __u32 flags, __u64 bytes, __u64 buffers)
{
	struct memalloc_limits arg = {
		.size = sizeof(arg), .flags = flags,
		.client_bytes_max = bytes, .client_buffers_max = buffers,
	};

	return call(fd, MEMALLOC_IOC_LIMITS, &arg);
}

static inline int alloc_aligned(int fd, __u64 length, __u64 alignment,
				struct memalloc_alloc *buffer)
{
	*buffer = (struct memalloc_alloc){
		.size = sizeof(*buffer), .length = length, .alignment = alignment,
	};
	return call(fd, MEMALLOC_IOC_ALLOC, buffer);
}

static inline int alloc_buffer(int fd, __u64 length, struct memalloc_alloc *buffer)
{
	return alloc_aligned(fd, length, 0, buffer);
}

static inline int free_length(int fd, __u32 handle, __u64 length)
{
	struct memalloc_free arg = {
		.size = sizeof(arg), .handle = handle, .length = length,
	};

	return call(fd, MEMALLOC_IOC_FREE, &arg);
}

static inline int free_buffer(int fd, __u32 handle)
{
	return free_length(fd, handle, 0);
}

/* ALLOC_BATCH or FREE_BATCH of @count entries of @size bytes. */
static inline int call_batch(int fd, unsigned int request, void *entries, __u32 count, __u32 size)
{
	struct memalloc_batch arg = {
		.size = sizeof(arg), .entries = (__u64)(uintptr_t)entries,
		.count = count, .entry_size = size,
	};

	return call(fd, request, &arg);
}

/* Of that many buffers of @length bytes each. */
static inline int alloc_batch(int fd, struct memalloc_alloc *buffers, __u32 count, __u64 length)
{
	__u32 i;

	for (i = 0; i < count; i++)
		buffers[i] = (struct memalloc_alloc){
			.size = sizeof(*buffers), .length = length,
		};
	return call_batch(fd, MEMALLOC_IOC_ALLOC_BATCH, buffers, count, sizeof(*buffers));
}

static inline int free_batch(int fd, const struct memalloc_alloc *buffers, __u32 count)
{
	struct memalloc_free frees[MEMALLOC_BATCH_MAX + 1];
	__u32 i;

	for (i = 0; i < count; i++)
		frees[i] = (struct memalloc_free){
			.size = sizeof(*frees), .handle = buffers[i].handle,
			.length = buffers[i].length,
		};
	return call_batch(fd, MEMALLOC_IOC_FREE_BATCH, frees, count, sizeof(*frees));
}

static inline int resize_buffer(int fd, __u32 handle, __u64 length)
{
	struct memalloc_resize arg = { .size = sizeof(arg), .handle = handle, .length = length };

	return call(fd, MEMALLOC_IOC_RESIZE, &arg);
}

/* @name may be any bytes, MEMALLOC_NAME_LEN of them at most. */
static inline int name_bytes(int fd, __u32 handle, const void *name, size_t length)
{
	struct memalloc_name arg = { .size = sizeof(arg), .handle = handle };

	memcpy(arg.name, name, length);
	return call(fd, MEMALLOC_IOC_NAME, &arg);
}

static inline int name_buffer(int fd, __u32 handle, const char *name)
{
	return name_bytes(fd, handle, name, strlen(name));
}

static inline int query_buffer(int fd, __u32 handle, struct memalloc_query *query)
{
	*query = (struct memalloc_query){ .size = sizeof(*query), .handle = handle };
	return call(fd, MEMALLOC_IOC_QUERY, query);
}

static inline int query_physical(int fd, __u32 handle, struct memalloc_query *query)
{
	*query = (struct memalloc_query){
		.size = sizeof(*query), .flags = MEMALLOC_QUERY_PHYSICAL, .handle = handle,
	};
	return call(fd, MEMALLOC_IOC_QUERY, query);
}

static inline int release_block(int fd, __u64 offset, __u64 length)
{
	struct memalloc_release arg = {
		.size = sizeof(arg), .offset = offset, .length = length,
	};

	return call(fd, MEMALLOC_IOC_RELEASE, &arg);
}

static inline int release_all(int fd)
{
	struct memalloc_release arg = { .size = sizeof(arg), .flags = MEMALLOC_RELEASE_ALL };

	return call(fd, MEMALLOC_IOC_RELEASE, &arg);
}

/* 0 if @handle means something to the client, else a negative errno. */
static inline int query_errno(int fd, __u32 handle)
{
	struct memalloc_query query;

	return query_buffer(fd, handle, &query);
}

static inline int export_buffer(int fd, __u32 handle, __u32 open_flags)
{
	struct memalloc_export arg = {
		.size = sizeof(arg), .handle = handle, .open_flags = open_flags, .fd = -1,
	};
	int ret = call(fd, MEMALLOC_IOC_EXPORT, &arg);

	return ret ? ret : arg.fd;
}

static inline int import_buffer(int fd, int dmabuf, __u32 flags,
				struct memalloc_import *import)
{
	*import = (struct memalloc_import){
		.size = sizeof(*import), .flags = flags, .fd = dmabuf,
	};
	return call(fd, MEMALLOC_IOC_IMPORT, import);
}

/* Before (with MEMALLOC_SYNC_END: after) the CPU accesses a range, see MEMALLOC_SYNC_*. */
static inline int sync_range(int fd, __u32 handle, __u64 offset, __u64 length, __u32 flags)
{
	struct memalloc_sync arg = {
		.size = sizeof(arg), .flags = flags, .handle = handle,
		.offset = offset, .length = length,
	};

	return call(fd, MEMALLOC_IOC_SYNC, &arg);
}

/* A page of the layout from *@offset on; *@count is the room in @blocks, then what came. */
static inline int get_layout(int fd, __u64 *offset, struct memalloc_block *blocks,
			     __u32 *count)
{
	struct memalloc_layout arg = {
		.size = sizeof(arg),
		.offset = *offset,
		.blocks = (__u64)(uintptr_t)blocks,
		.count = *count,
		.block_size = sizeof(*blocks),
	};
	int ret = call(fd, MEMALLOC_IOC_LAYOUT, &arg);

	if (!ret) {
		*offset = arg.offset;
		*count = arg.count;
	}
	return ret;
}

/*
 * The whole layout, in pages of @per_page entries: the number of blocks, or a
 * negative errno; -ENOSPC if @room is not enough, -EPROTO if a page is empty.
 */
static inline int read_layout(int fd, struct memalloc_block *blocks, int room, int per_page)
{
	struct memalloc_info info;
	__u64 offset = 0;
	int total = 0, ret;

	ret = get_info(fd, &info);
	while (!ret && offset < info.region_length) {
		__u32 count = room - total < per_page ? room - total : per_page;

		if (!count)
			return -ENOSPC;
		ret = get_layout(fd, &offset, blocks + total, &count);
		if (!ret && !count)
			return -EPROTO;
		total += count;
	}
	return ret ? ret : total;
}

/* Where @handle's block begins in the region, or -1. */
static inline __s64 offset_of_handle(int fd, __u32 handle)
{
	static struct memalloc_block blocks[16384];
	int i, n = read_layout(fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));

	for (i = 0; i < n; i++)
		if (blocks[i].handle == handle)
			return blocks[i].offset;
	return -1;
}

static inline void *map_at(int fd, __u64 offset, size_t length, int prot)
{
	return mmap(NULL, length, prot, MAP_SHARED, fd, offset);
}

static inline void *map_buffer(int fd, const struct memalloc_alloc *buffer)
{
	return map_at(fd, buffer->mmap_offset, buffer->real_length, PROT_READ | PROT_WRITE);
}

/* 0 if that can be mapped (it is unmapped again), else a negative errno. */
static inline int map_errno(int fd, __u64 offset, size_t length, int prot)
{
	void *map = map_at(fd, offset, length, prot);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, length);
	return 0;
}

/* Have all pages of the buffer mapped for a moment, in which they could be written to. */
static inline int touch_buffer(int fd, const struct memalloc_alloc *buffer)
{
	void *map = mmap(NULL, buffer->real_length, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, fd, buffer->mmap_offset);

	return map == MAP_FAILED ? -errno : munmap(map, buffer->real_length);
}

/* Give back a buffer that could be written to: it has to be zeroed before it is used again. */
static inline int make_dirty(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	int err = alloc_buffer(fd, length, &buffer);

	return err ?: touch_buffer(fd, &buffer) ?: free_buffer(fd, buffer.handle);
}

/* xorshift64 of G. Marsaglia: less than @n. @state begins with anything but 0. */
static inline unsigned int random_below(__u64 *state, unsigned int n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (*state >> 32) % n;
}

/*
 * The physical address of byte @at of the buffer, from the kernel's own table of this
 * process's pages; 0: it can't be found out.
 */
static inline __u64 physical(int fd, const struct memalloc_alloc *buffer, __u64 at)
{
	char *map = map_at(fd, buffer->mmap_offset + (at & -PAGE), PAGE, PROT_READ);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	__u64 entry = 0;

	if (map != MAP_FAILED) {
		__atomic_load_n(map, __ATOMIC_RELAXED);
		if (pread(pagemap, &entry, sizeof(entry), (uintptr_t)map / PAGE * 8) != 8)
			entry = 0;
		munmap(map, PAGE);
	}
	close(pagemap);
	/* Bit 63: it is there; the lower 55: its number. */
	return entry >> 63 ? (entry & ((1ULL << 55) - 1)) * PAGE + at % PAGE : 0;
}

static inline __u64 pattern(__u32 seed, size_t word)
{
	return (word + 1) * 0x9e3779b97f4a7c15ULL + seed;
}

/* @length is a multiple of 8 in all of these. */
static inline void fill(void *memory, size_t length, __u32 seed)
{
	__u64 *words = memory;
	size_t i;

	for (i = 0; i < length / 8; i++)
		words[i] = pattern(seed, i);
}

/* The offset of the first byte group that fill() with @seed did not write; @length: none. */
static inline size_t first_difference(const void *memory, size_t length, __u32 seed)
{
	const __u64 *words = memory;
	size_t i;

	for (i = 0; i < length / 8 && words[i] == pattern(seed, i); i++)
		;
	return i * 8;
}

static inline size_t first_nonzero(const void *memory, size_t length)
{
	const __u64 *words = memory;
	size_t i;

	for (i = 0; i < length / 8 && !words[i]; i++)
		;
	return i * 8;
}

/* A child that does not outlive its parent, so that a failed test leaves nothing behind. */
static inline pid_t fork_child(void)
{
	pid_t child = fork();

	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

/* The signal that ends a process that reads (or writes) @address; 0: none. */
static inline int touch_signal(void *address, bool write)
{
	pid_t child = fork_child();
	int status;

	if (!child) {
		if (write)
			__atomic_store_n((char *)address, 1, __ATOMIC_RELAXED);
		else
			__atomic_load_n((char *)address, __ATOMIC_RELAXED);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static inline __u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static inline void sleep_ms(unsigned int ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

/* True as soon as @condition is, false if the deadline passes before. */
#define WAIT_UNTIL(condition)						\
({									\
	__u64 end = now_ms() + DEADLINE_MS;				\
	bool met;							\
									\
	while (!(met = (condition)) && now_ms() < end)			\
		sleep_ms(5);						\
	met;								\
})

static inline __u64 used_bytes(int fd)
{
	struct memalloc_stats stats;

	return get_stats(fd, &stats) ? ~0ULL : stats.used;
}

static inline __u64 quarantined_bytes(int fd)
{
	struct memalloc_stats stats;

	return get_stats(fd, &stats) ? ~0ULL : stats.quarantined;
}

static inline __u64 dirty_bytes(int fd)
{
	struct memalloc_stats stats;

	return get_stats(fd, &stats) ? ~0ULL : stats.dirty;
}

/*
 * Nothing is allocated, but for what is retired, nothing is charged to this user, and
 * nobody but this client is there. What a killed process held comes back a little after
 * wait() has told of its death.
 */
static inline bool is_idle(int fd)
{
	struct memalloc_stats stats;
	struct memalloc_limits limits;

	return !get_stats(fd, &stats) && stats.used == stats.retired && stats.clients == 1 &&
	       !get_limits(fd, &limits) && !limits.user_bytes && !limits.user_buffers;
}

/*
 * Something stays of the test before. That test has shown a fault, and those that follow
 * would only show it again, slowly: the program, which is our parent, ends here.
 */
static inline void bail_out(void)
{
	puts("Bail out! Something is left in use by the test before this one.");
	fflush(stdout);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	kill(getppid(), SIGTERM);
	pause();
}

/*
 * A client, once nothing is left of the test before. A negative errno if the device does
 * not answer.
 */
static inline int open_idle_device(void)
{
	struct memalloc_stats stats;
	int fd = open_device();
	int err = fd < 0 ? fd : get_stats(fd, &stats);

	if (err)
		return err;
	if (!WAIT_UNTIL(is_idle(fd)))
		bail_out();
	return fd;
}

/* What the header promises of the figures of one call; "" or what does not hold. */
static inline const char *stats_wrong(const struct memalloc_stats *s)
{
	if (s->region_length != s->free + s->used)
		return "region_length != free + used";
	if (s->used != s->allocated - s->freed)
		return "used != allocated - freed";
	if (s->buffers != s->allocs - s->frees)
		return "buffers != allocs - frees";
	if (s->requested > s->used)
		return "requested > used";
	if (s->quarantined > s->used)
		return "quarantined > used";
	if (s->retired > s->used - s->quarantined)
		return "retired > used - quarantined";
	if (s->unreleased > s->quarantined)
		return "unreleased > quarantined";
	if (s->largest_free > s->free)
		return "largest_free > free";
	if (!s->free != !s->free_blocks || !s->free != !s->largest_free)
		return "free, free_blocks and largest_free are not zero together";
	if (s->free && s->largest_free * s->free_blocks < s->free)
		return "the free blocks are too few or too small";
	if (s->fragmentation != (s->free ? 1000 * (s->free - s->largest_free) / s->free : 0))
		return "fragmentation";
	if (s->reserved)
		return "reserved";
	return "";
}

/* Open descriptors of this process. */
static inline int descriptors(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What the region looks like, what this user is charged, and how many descriptors there are. */
struct state {
	struct memalloc_stats stats;
	struct memalloc_limits limits;
	int descriptors;
};

static inline struct state state_of(int fd)
{
	struct state state;

	memset(&state, 0xff, sizeof(state));
	get_stats(fd, &state.stats);
	get_limits(fd, &state.limits);
	/* A buffer that is made and given back at once may count in both, or as abandoned. */
	state.stats.allocs -= state.stats.frees;
	state.stats.allocated -= state.stats.freed;
	state.stats.frees = 0;
	state.stats.freed = 0;
	state.stats.abandoned_buffers = 0;
	state.stats.abandoned_bytes = 0;
	state.descriptors = descriptors();
	return state;
}

/* As echo(1) does to a file of the kernel: 0 or a negative errno. */
static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return ret;
}

/* Change a parameter of the module: 0 or a negative errno. */
static inline int set_parameter(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return write_file(path, value);
}

/* As after loading. */
static inline int no_limits(void)
{
	return set_parameter("user_bytes", "0") ?: set_parameter("user_buffers", "0") ?:
	       set_parameter("client_bytes", "0") ?: set_parameter("client_buffers", "0");
}

static inline int set_number(const char *parameter, __u64 number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", number);
	return set_parameter(parameter, text);
}

static inline int switch_to(const char *fit)
{
	return set_parameter("fit", fit);
}

/*
 * Take everything that is left, largest pieces first, and map none of it. The
 * bytes taken.
 */
static inline __u64 take_all(int fd)
{
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;
	__u64 taken = 0;

	while (!get_stats(fd, &stats) && stats.largest_free &&
	       !alloc_buffer(fd, stats.largest_free, &buffer))
		taken += buffer.real_length;
	return taken;
}

/* Become nobody, for good. */
static inline int drop_privileges(void)
{
	return setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	       setresuid(65534, 65534, 65534) ? -errno : 0;
}

/* From here on this process is in the group, but root no longer, and has no capability. */
static inline int as_user(uid_t uid)
{
	return setresuid(0, 0, 0) || setresuid(uid, uid, 0) ? -errno : 0;
}

static inline int as_root(void)
{
	return setresuid(0, 0, 0) ? -errno : 0;
}

/* A client of that user. */
static inline int open_as(uid_t uid)
{
	int fd = as_user(uid) ?: open_device();

	return as_root() ?: fd;
}

/* Pass @fd over a socket, and take one from it (negative: an errno). */
static inline int send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1 ? 0 : -errno;
}

static inline int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(socket, &message, 0) != 1)
		return -EPIPE;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* How a child ended: its exit status, or 128 + its signal. */
static inline int wait_child(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif /* MEMALLOC_TEST_H */
