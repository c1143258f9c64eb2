/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test program here needs: the calls (device.h), patterns to write and to look for,
 * waiting with a deadline, the figures of the region, other users and processes.
 */
#ifndef MEMALLOC_TEST_H
#define MEMALLOC_TEST_H

#include "device.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#define PARAMETERS	"/sys/module/memalloc/parameters/"

/* As many files may be open; above, only administrators open some more. */
#define FILE_MAX	"/proc/sys/fs/file-max"

#define DEADLINE_MS	8000

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
	if (s->retained > s->quarantined)
		return "retained > quarantined";
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

static inline int write_to(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | flags | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return ret;
}

/* As echo(1) does to a file of the kernel: 0 or a negative errno. */
static inline int write_file(const char *path, const char *text)
{
	return write_to(path, O_TRUNC, text);
}

static inline int append_file(const char *path, const char *text)
{
	return write_to(path, O_APPEND, text);
}

/* Change a setting of the region: 0 or a negative errno. */
static inline int set_attribute(const char *name, const char *value)
{
	return write_file(ATTRIBUTE(name), value);
}

/* As after loading. */
static inline int no_limits(void)
{
	return set_attribute("user_bytes", "0") ?: set_attribute("user_buffers", "0") ?:
	       set_attribute("client_bytes", "0") ?: set_attribute("client_buffers", "0");
}

static inline int set_number(const char *name, __u64 number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", number);
	return set_attribute(name, text);
}

/* What was kept ready until now; ~0: the figures are wrong. */
static inline __u64 ready_bytes(int fd)
{
	struct memalloc_stats stats;

	return get_stats(fd, &stats) || *stats_wrong(&stats) ? ~0ULL : stats.ready;
}

static inline int switch_to(const char *fit)
{
	return set_attribute("fit", fit);
}

/* From now on only on that CPU, whose ready blocks are then those that come next. */
static inline int run_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
}

/* Whether CPUs keep small blocks ready. If not, what is freed is allocated again, as it was. */
static inline int keep_ready(bool wanted)
{
	return set_attribute("arenas", wanted ? "1" : "0");
}

/* Whether buffers are moved for requests that find no room. */
static inline int move_on_demand(bool wanted)
{
	return set_attribute("compact", wanted ? "demand" : "never");
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

/* Of this thread; @capabilities are bits for those below 32, and it has no others. */
static inline int set_effective(__u32 capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective = capabilities;
	data[1].effective = 0;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
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
