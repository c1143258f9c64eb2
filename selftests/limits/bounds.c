// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a victim's calls cost, in instructions, with what an attacker, another user, left
 * behind: nothing, and then an amount, four times and sixteen times that. The attacker
 * sleeps meanwhile. What is compared is the median of many rounds, as the kernel's own work
 * comes in between.
 *
 * With whatever he leaves, a call may take SLACK more than with nothing: the region's blocks,
 * offsets and users are kept in trees, which become two or three levels deeper, at a few
 * dozen instructions a level; and 3 %, as what the kernel's own mmap() and slab allocator
 * take is not the same each time. Work for each of the attacker's things is far more, were it
 * but a dozen instructions for each.
 */
#include "count.h"
#include "pins.h"

#define ATTACKER	61010
#define VICTIM		61012
#define WARM_UP		60
#define ROUNDS		201
#define SIZES		4	/* times the base: */

static const unsigned int sizes[SIZES] = { 0, 1, 4, 16 };

#define SLACK		400
#define PERCENT		3

struct victim {
	int fd;
	int full;		/* a client that may have no more */
	__u64 region_length;
	struct memalloc_alloc mapped;
	int pipe[2];
};

/* What each call took; 0: it did not answer as it should. */

static __u64 alloc_and_free(struct victim *v)
{
	struct memalloc_alloc buffer;
	__u64 begin = clock_now();

	return alloc_buffer(v->fd, PAGE, &buffer) || free_buffer(v->fd, buffer.handle) ?
	       0 : clock_now() - begin;
}

static __u64 no_room(struct victim *v)
{
	struct memalloc_alloc buffer;
	__u64 begin = clock_now();

	return alloc_buffer(v->fd, v->region_length, &buffer) != -ENOMEM ? 0 : clock_now() - begin;
}

static __u64 over_the_limit(struct victim *v)
{
	struct memalloc_alloc buffer;
	__u64 begin = clock_now();

	return alloc_buffer(v->full, PAGE, &buffer) != -EDQUOT ? 0 : clock_now() - begin;
}

/* The first page of it stays; and comes back before the next round. */
static __u64 free_pinned(struct victim *v)
{
	struct memalloc_alloc buffer;
	struct iovec data;
	__u64 begin, took;
	char bytes[16];
	int err;

	if (alloc_buffer(v->fd, 2 * PAGE, &buffer))
		return 0;
	data = (struct iovec){ map_buffer(v->fd, &buffer), sizeof(bytes) };
	if (data.iov_base == MAP_FAILED || vmsplice(v->pipe[1], &data, 1, 0) != sizeof(bytes))
		return 0;
	munmap(data.iov_base, 2 * PAGE);
	begin = clock_now();
	err = free_buffer(v->fd, buffer.handle);
	took = clock_now() - begin;
	if (err || read(v->pipe[0], bytes, sizeof(bytes)) != sizeof(bytes) || !over_the_limit(v))
		return 0;
	return took;
}

static __u64 map_and_unmap(struct victim *v)
{
	__u64 begin = clock_now();
	char *map = map_buffer(v->fd, &v->mapped);

	if (map == MAP_FAILED)
		return 0;
	__atomic_store_n(map, 1, __ATOMIC_RELAXED);
	return munmap(map, v->mapped.real_length) ? 0 : clock_now() - begin;
}

static __u64 ask_stats(struct victim *v)
{
	struct memalloc_stats stats;
	__u64 begin = clock_now();

	return get_stats(v->fd, &stats) ? 0 : clock_now() - begin;
}

static __u64 ask_limits(struct victim *v)
{
	struct memalloc_limits limits;
	__u64 begin = clock_now();

	return get_limits(v->fd, &limits) ? 0 : clock_now() - begin;
}

static __u64 open_and_close(struct victim *v)
{
	__u64 begin = clock_now();
	int fd = open_device();

	(void)v;
	return fd < 0 || close(fd) ? 0 : clock_now() - begin;
}

static const struct {
	const char *name;
	__u64 (*count)(struct victim *v);
} calls[] = {
	{ "ALLOC + FREE", alloc_and_free },
	{ "ALLOC, ENOMEM", no_room },
	{ "ALLOC, EDQUOT", over_the_limit },
	{ "FREE, a page pinned", free_pinned },
	{ "mmap, touch, munmap", map_and_unmap },
	{ "STATS", ask_stats },
	{ "LIMITS", ask_limits },
	{ "open + close", open_and_close },
};

#define CALLS	ARRAY_SIZE(calls)

/* What the attacker leaves behind, @n of it. */

static int leave_nested(int fd, unsigned int n)
{
	static struct pins pins;

	return nest_pinned(fd, &pins, 1024 * PAGE, n);
}

static int leave_pages(int fd, unsigned int n)
{
	static struct pins pins;
	int err = 0;

	while (!err && n--)
		err = leave_pinned(fd, &pins, PAGE, false);
	return err;
}

static int leave_buffers(int fd, unsigned int n)
{
	struct memalloc_alloc buffer;
	int err = 0;

	while (!err && n--)
		err = alloc_buffer(fd, PAGE, &buffer);
	return err;
}

/* Of one buffer, in as many processes, and each of them split. */
static int leave_mappings(int fd, unsigned int n)
{
	const unsigned int pages = 256;
	struct memalloc_alloc buffer;
	unsigned int i;
	char *map;

	if (alloc_buffer(fd, pages * PAGE, &buffer))
		return -1;
	while (n--) {
		map = map_buffer(fd, &buffer);
		if (map == MAP_FAILED)
			return -1;
		for (i = 0; i < pages; i += 2) {
			map[i * PAGE] = 1;
			if (mprotect(map + i * PAGE, PAGE, PROT_READ))
				return -1;
		}
		/* One more of all, for ever. */
		if (!fork_child())
			for (;;)
				pause();
	}
	return 0;
}

static int leave_clients(int fd, unsigned int n)
{
	(void)fd;
	while (n--)
		if (open_device() < 0)
			return -1;
	return 0;
}

FIXTURE(bounds) {
	int fd;
	struct victim victim;
	struct memalloc_alloc held;
	__u64 counts[SIZES][CALLS];
};

FIXTURE_VARIANT(bounds) {
	int (*leave)(int fd, unsigned int n);
	unsigned int base;
	uid_t uid;
};

FIXTURE_VARIANT_ADD(bounds, nested_quarantine) { leave_nested, 20, ATTACKER };
FIXTURE_VARIANT_ADD(bounds, quarantined_pages) { leave_pages, 250, ATTACKER };
FIXTURE_VARIANT_ADD(bounds, buffers) { leave_buffers, 500, ATTACKER };
FIXTURE_VARIANT_ADD(bounds, mappings) { leave_mappings, 1, ATTACKER };
FIXTURE_VARIANT_ADD(bounds, clients) { leave_clients, 20, ATTACKER };

/* A look at what is one's own is bounded, too; the bound is more than 1,000 pages. */
FIXTURE_VARIANT_ADD(bounds, own_quarantined_pages) { leave_pages, 1024, VICTIM };

static void begin_victim(struct victim *v)
{
	struct memalloc_stats stats;

	v->fd = open_device();
	v->full = open_device();
	get_stats(v->fd, &stats);
	v->region_length = stats.region_length;
	if (pipe(v->pipe) || alloc_buffer(v->fd, PAGE, &v->mapped) ||
	    set_limits(v->full, MEMALLOC_LIMITS_SET_BUFFERS, 0, 0))
		v->fd = -1;
}

FIXTURE_SETUP(bounds)
{
	ASSERT_TRUE(clock_counts_instructions())
		TH_LOG("this needs QEMU's -icount shift=0");
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, allow_descriptors());
	ASSERT_EQ(0, write_file("/proc/sys/fs/pipe-user-pages-soft", "0"));
	/* There never is room for all. */
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &self->held));
	ASSERT_EQ(0, as_user(VICTIM));
	begin_victim(&self->victim);
	ASSERT_LE(0, self->victim.fd);
}

FIXTURE_TEARDOWN(bounds)
{
	as_root();
}

/* It has left what it leaves, and sleeps. */
static pid_t begin_attacker(int (*leave)(int fd, unsigned int n), unsigned int n, uid_t uid)
{
	int ready[2];
	pid_t child;
	char byte;

	if (pipe(ready))
		return -1;
	child = fork_child();
	if (!child) {
		close(ready[0]);
		setpgid(0, 0);
		if (as_user(uid) || leave(open_device(), n) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		child = -1;
	close(ready[0]);
	return child;
}

static __u64 median(struct victim *v, __u64 (*count)(struct victim *v))
{
	static __u64 taken[ROUNDS];
	int i;

	for (i = -WARM_UP; i < ROUNDS; i++) {
		__u64 took = count(v);

		if (!took)
			return 0;
		if (i >= 0)
			taken[i] = took;
	}
	sort_counts(taken, ROUNDS);
	return taken[ROUNDS / 2];
}

TEST_F_TIMEOUT(bounds, calls_cost_no_more, 600)
{
	struct victim *victim = &self->victim;
	unsigned int size, first, i;
	pid_t attacker;

	for (size = 0; size < SIZES; size++) {
		ASSERT_EQ(0, as_root());
		attacker = begin_attacker(variant->leave, sizes[size] * variant->base,
					  variant->uid);
		ASSERT_LT(0, attacker);
		ASSERT_EQ(0, as_user(VICTIM));
		/* What the kernel still has to do for that is done. */
		sleep_ms(3000);
		for (i = 0; i < CALLS; i++) {
			self->counts[size][i] = median(victim, calls[i].count);
			ASSERT_LT(0, self->counts[size][i])
				TH_LOG("%s", calls[i].name);
		}
		ASSERT_EQ(0, as_root());
		ASSERT_EQ(0, kill(-attacker, SIGKILL));
		ASSERT_EQ(128 + SIGKILL, wait_child(attacker));
		ASSERT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == 2 * PAGE));
	}
	/* What he has himself may cost something, up to the bound. */
	first = variant->uid == VICTIM;
	for (i = 0; i < CALLS; i++) {
		const __u64 most = self->counts[first][i] * (100 + PERCENT) / 100 + SLACK;

		TH_LOG("%-20s nothing %6llu, x 1 %6llu, x 4 %6llu, x 16 %6llu instructions",
		       calls[i].name, self->counts[0][i], self->counts[1][i], self->counts[2][i],
		       self->counts[3][i]);
		for (size = first + 1; size < SIZES; size++)
			EXPECT_GE(most, self->counts[size][i]);
	}
}

TEST_HARNESS_MAIN
