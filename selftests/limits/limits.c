// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits in bytes and buffers, of users and of clients: where they end, that what goes
 * beyond changes nothing, who is charged, and that the charge stays with the memory until
 * that is free again.
 */
#define _GNU_SOURCE
#include "dmaheap.h"

#include <sched.h>
#include <linux/capability.h>
#include <sys/klog.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* Two users in the device's group, who have no name and nothing else. */
#define ALICE		61001
#define BOB		61002

#define LIMIT		10
#define RACERS		32
#define SEED		1

/* What all tests begin with: no limits, nothing charged, and these. */
struct clients {
	int fd;			/* root's, which looks on */
	int alice;
	int alice2;		/* another one of hers */
	int bob;
};

/* What is charged to a client, and what to its user, are as many pages and buffers. */
static bool client_has(int fd, __u64 pages, __u64 buffers)
{
	struct memalloc_limits limits;

	return !get_limits(fd, &limits) && limits.client_bytes == pages * PAGE &&
	       limits.client_buffers == buffers;
}

static bool user_has(int fd, __u64 pages, __u64 buffers)
{
	struct memalloc_limits limits;

	return !get_limits(fd, &limits) && limits.user_bytes == pages * PAGE &&
	       limits.user_buffers == buffers;
}

/* Buffers of one page up to the limit: how many it were, or the errno if there was none. */
static int fill_up(int fd)
{
	struct memalloc_alloc buffer;
	int err, n = 0;

	while (!(err = alloc_buffer(fd, PAGE, &buffer)))
		n++;
	return err == -EDQUOT ? n : err;
}

static int alloc_errno(int fd, __u64 length)
{
	struct memalloc_alloc buffer;

	return alloc_buffer(fd, length, &buffer);
}

static int set_up(struct clients *c)
{
	int ret = no_limits();

	c->fd = open_idle_device();
	c->alice = open_as(ALICE);
	c->alice2 = open_as(ALICE);
	c->bob = open_as(BOB);
	if (ret || c->fd < 0 || c->alice < 0 || c->alice2 < 0 || c->bob < 0)
		return -ENODEV;
	if (!WAIT_UNTIL(user_has(c->alice, 0, 0) && user_has(c->bob, 0, 0)))
		bail_out();
	return 0;
}

static void tear_down(void)
{
	as_root();
	no_limits();
}

/* All figures that anybody here can see. */
struct figures {
	struct memalloc_stats stats;
	struct memalloc_limits limits[4];
};

static struct figures figures_of(const struct clients *c)
{
	const int clients[] = { c->fd, c->alice, c->alice2, c->bob };
	struct figures figures;
	size_t i;

	memset(&figures, 0xff, sizeof(figures));
	get_stats(c->fd, &figures.stats);
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		get_limits(clients[i], &figures.limits[i]);
	return figures;
}

#define EXPECT_NOTHING_CHANGED(before)					\
do {									\
	struct figures after = figures_of(&self->c);			\
									\
	EXPECT_TRUE(same_stats(&(before).stats, &after.stats));		\
	EXPECT_EQ(0, memcmp((before).limits, after.limits, sizeof(after.limits)));	\
} while (0)

/* Each limit, as far as all are alike */

FIXTURE(each) {
	struct clients c;
};

FIXTURE_VARIANT(each) {
	const char *parameter;	/* NULL: the client's own limit */
	bool of_user;
	__u32 unit;		/* PAGE: the limit is in bytes; or 1 */
};

FIXTURE_VARIANT_ADD(each, user_bytes) {
	.parameter = "user_bytes", .of_user = true, .unit = PAGE,
};

FIXTURE_VARIANT_ADD(each, user_buffers) {
	.parameter = "user_buffers", .of_user = true, .unit = 1,
};

FIXTURE_VARIANT_ADD(each, client_bytes) {
	.parameter = "client_bytes", .unit = PAGE,
};

FIXTURE_VARIANT_ADD(each, client_buffers) {
	.parameter = "client_buffers", .unit = 1,
};

FIXTURE_VARIANT_ADD(each, own_bytes) {
	.unit = PAGE,
};

FIXTURE_VARIANT_ADD(each, own_buffers) {
	.unit = 1,
};

static int set_limit(const struct clients *c, const FIXTURE_VARIANT(each) * variant, __u64 limit)
{
	if (variant->parameter)
		return set_number(variant->parameter, limit);
	return set_limits(c->alice, variant->unit == PAGE ? MEMALLOC_LIMITS_SET_BYTES :
							    MEMALLOC_LIMITS_SET_BUFFERS,
			  limit, limit);
}

/* What LIMITS says of it. */
static __u64 told_limit(int fd, const FIXTURE_VARIANT(each) * variant)
{
	struct memalloc_limits limits;

	if (get_limits(fd, &limits))
		return 0;
	if (variant->unit == PAGE)
		return variant->of_user ? limits.user_bytes_max : limits.client_bytes_max;
	return variant->of_user ? limits.user_buffers_max : limits.client_buffers_max;
}

FIXTURE_SETUP(each)
{
	ASSERT_EQ(0, set_up(&self->c));
}

FIXTURE_TEARDOWN(each)
{
	tear_down();
}

TEST_F(each, is_reached_and_not_passed)
{
	const __u64 limit = LIMIT * variant->unit;
	struct memalloc_alloc buffers[LIMIT];
	struct figures before;
	int i;

	EXPECT_EQ(MEMALLOC_NO_LIMIT, told_limit(self->c.alice, variant));
	ASSERT_EQ(0, set_limit(&self->c, variant, limit));
	EXPECT_EQ(limit, told_limit(self->c.alice, variant));
	ASSERT_EQ(0, as_user(ALICE));
	for (i = 0; i < LIMIT; i++) {
		ASSERT_EQ(0, alloc_buffer(self->c.alice, 1 + i, &buffers[i]));
		ASSERT_TRUE(client_has(self->c.alice, i + 1, i + 1));
		ASSERT_TRUE(user_has(self->c.alice2, i + 1, i + 1));
	}

	before = figures_of(&self->c);
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, MIB));
	EXPECT_EQ(variant->of_user ? -EDQUOT : 0, alloc_errno(self->c.alice2, 1));
	if (variant->of_user)
		EXPECT_NOTHING_CHANGED(before);

	/* It is the sum that counts, and others have their own. */
	ASSERT_EQ(0, free_buffer(self->c.alice, buffers[3].handle));
	EXPECT_EQ(0, alloc_errno(self->c.alice, PAGE));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, PAGE));
	EXPECT_TRUE(client_has(self->c.alice, LIMIT, LIMIT));
	ASSERT_EQ(0, as_user(BOB));
	EXPECT_TRUE(client_has(self->c.bob, 0, 0));
	EXPECT_EQ(0, alloc_errno(self->c.bob, PAGE));
	EXPECT_TRUE(user_has(self->c.bob, 1, 1));
	EXPECT_TRUE(user_has(self->c.fd, 0, 0));
}

TEST_F(each, counts_granules)
{
	struct memalloc_alloc buffer;
	struct figures before;
	int i;

	/* The last page but a byte of a limit in bytes is of no use. */
	ASSERT_EQ(0, set_limit(&self->c, variant, (LIMIT + 1) * variant->unit - 1));
	ASSERT_EQ(0, as_user(ALICE));
	before = figures_of(&self->c);
	if (variant->unit == PAGE) {
		EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, LIMIT * PAGE + 1));
		EXPECT_NOTHING_CHANGED(before);
		ASSERT_EQ(0, alloc_buffer(self->c.alice, LIMIT * PAGE, &buffer));
		EXPECT_TRUE(client_has(self->c.alice, LIMIT, 1));
	} else {
		for (i = 0; i < LIMIT; i++)
			ASSERT_EQ(0, alloc_buffer(self->c.alice, 3 * PAGE, &buffer));
		EXPECT_TRUE(client_has(self->c.alice, 3 * LIMIT, LIMIT));
	}
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
	EXPECT_EQ(0, free_buffer(self->c.alice, buffer.handle));
	EXPECT_EQ(0, alloc_errno(self->c.alice, 1));
}

/* Nothing is taken away, and what is given back can't be had again. */
TEST_F(each, lowered_below_what_is_charged)
{
	struct memalloc_alloc buffers[LIMIT];
	char *map;
	int i;

	for (i = 0; i < LIMIT; i++)
		ASSERT_EQ(0, alloc_buffer(self->c.alice, PAGE, &buffers[i]));
	map = map_buffer(self->c.alice, &buffers[0]);
	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(map, PAGE, SEED);
	ASSERT_EQ(0, set_limit(&self->c, variant, 2 * variant->unit));

	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_TRUE(client_has(self->c.alice, LIMIT, LIMIT));
	for (i = LIMIT - 1; i >= 2; i--) {
		EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
		ASSERT_EQ(0, free_buffer(self->c.alice, buffers[i].handle));
	}
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
	ASSERT_EQ(0, free_buffer(self->c.alice, buffers[1].handle));
	EXPECT_EQ(0, alloc_errno(self->c.alice, 1));
	EXPECT_EQ(PAGE, first_difference(map, PAGE, SEED));
}

TEST_F(each, does_not_hold_for_cap_sys_resource)
{
	ASSERT_EQ(0, set_limit(&self->c, variant, 2 * variant->unit));
	EXPECT_EQ(0, alloc_errno(self->c.alice, MIB));
	EXPECT_EQ(0, alloc_errno(self->c.alice, MIB));
	EXPECT_EQ(0, alloc_errno(self->c.alice, MIB));
	/* It is charged all the same. */
	EXPECT_TRUE(client_has(self->c.alice, 3 * MIB / PAGE, 3));
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
	EXPECT_EQ(variant->of_user ? -EDQUOT : 0, alloc_errno(self->c.alice2, 1));
}

/* Processes of one user that take what they get: together it is all that there is, and no more. */
TEST_F(each, is_reached_by_racing_processes)
{
	const __u64 limit = 100;
	pid_t children[RACERS];
	int i, go[2], counts[2], n, sum = 0;

	ASSERT_EQ(0, set_limit(&self->c, variant, limit * variant->unit));
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(counts));
	for (i = 0; i < RACERS; i++) {
		children[i] = fork_child();
		if (!children[i]) {
			char byte;
			int client;

			if (as_user(ALICE))
				_exit(1);
			client = variant->of_user ? open_device() : self->c.alice;
			close(go[1]);
			if (read(go[0], &byte, 1))
				_exit(2);
			n = fill_up(client);
			if (write(counts[1], &n, sizeof(n)) == sizeof(n))
				pause();
			_exit(3);
		}
	}
	close(go[1]);
	close(counts[1]);
	for (i = 0; i < RACERS; i++) {
		ASSERT_EQ(sizeof(n), read(counts[0], &n, sizeof(n)));
		EXPECT_LE(0, n);
		sum += n;
	}
	EXPECT_EQ(limit, sum);
	EXPECT_TRUE(user_has(self->c.alice, limit, limit));
	for (i = 0; i < RACERS; i++) {
		kill(children[i], SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(children[i]));
	}
	if (variant->of_user)
		EXPECT_TRUE(WAIT_UNTIL(user_has(self->c.alice, 0, 0)));
}

/* How often ALLOC succeeded, and how often not, in all processes. */
struct tally {
	unsigned long got;
	unsigned long refused;
};

/* Come and go for a while, and see whether there is ever more than the limit: 0 if not. */
static int watch_the_limit(int fd, const FIXTURE_VARIANT(each) * variant, __u64 limit,
			   struct tally *tally)
{
	__u64 end = now_ms() + 500;

	while (now_ms() < end) {
		struct memalloc_alloc buffer;
		struct memalloc_limits limits;
		int err = alloc_buffer(fd, PAGE, &buffer);

		if (err == -EDQUOT) {
			__atomic_fetch_add(&tally->refused, 1, __ATOMIC_RELAXED);
			continue;
		}
		/* So that others try meanwhile, on one processor, too. */
		if (err || sched_yield() || get_limits(fd, &limits))
			return 1;
		if ((variant->unit == PAGE ? limits.user_bytes : limits.user_buffers) > limit)
			return 2;
		if (free_buffer(fd, buffer.handle))
			return 3;
		__atomic_fetch_add(&tally->got, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

TEST_F(each, is_never_passed)
{
	const __u64 limit = variant->unit;
	struct tally *tally = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[4];
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)tally);
	ASSERT_EQ(0, set_limit(&self->c, variant, limit));
	for (i = 0; i < ARRAY_SIZE(children); i++) {
		int client = i % 2 && variant->of_user ? self->c.alice2 : self->c.alice;

		children[i] = fork_child();
		if (!children[i]) {
			if (as_user(ALICE))
				_exit(4);
			_exit(watch_the_limit(client, variant, limit, tally));
		}
	}
	for (i = 0; i < ARRAY_SIZE(children); i++)
		EXPECT_EQ(0, wait_child(children[i]));
	TH_LOG("%lu times had, %lu times refused", tally->got, tally->refused);
	EXPECT_LT(0, tally->got);
	EXPECT_LT(0, tally->refused);
	EXPECT_TRUE(user_has(self->c.alice, 0, 0));
}

/* Who is charged, and for how long */

FIXTURE(limits) {
	struct clients c;
	struct memalloc_alloc buffer;	/* of alice, of a page */
	char *map;
	int dmabuf;
	int pipe[2];
};

FIXTURE_SETUP(limits)
{
	ASSERT_EQ(0, set_up(&self->c));
	ASSERT_EQ(0, alloc_buffer(self->c.alice, PAGE, &self->buffer));
	self->map = map_buffer(self->c.alice, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	self->dmabuf = export_buffer(self->c.alice, self->buffer.handle, O_RDWR);
	ASSERT_LE(0, self->dmabuf);
	ASSERT_EQ(0, pipe(self->pipe));
	/* With that one, no other: the charge shows in this. */
	ASSERT_EQ(0, set_parameter("user_buffers", "1"));
}

FIXTURE_TEARDOWN(limits)
{
	tear_down();
}

#define EXPECT_STILL_CHARGED()						\
do {									\
	EXPECT_TRUE(user_has(self->c.alice2, 1, 1));			\
	EXPECT_EQ(0, as_user(ALICE));					\
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice2, 1));		\
	EXPECT_EQ(0, as_root());					\
} while (0)

#define EXPECT_NO_LONGER_CHARGED()					\
do {									\
	EXPECT_TRUE(WAIT_UNTIL(user_has(self->c.alice2, 0, 0)));	\
	EXPECT_EQ(0, as_user(ALICE));					\
	EXPECT_EQ(0, alloc_errno(self->c.alice2, 1));			\
	EXPECT_EQ(0, as_root());					\
	EXPECT_TRUE(user_has(self->c.alice2, 1, 1));			\
} while (0)

TEST_F(limits, charge_stays_with_a_mapping)
{
	close(self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->c.alice, self->buffer.handle));
	EXPECT_TRUE(client_has(self->c.alice, 1, 1));
	EXPECT_STILL_CHARGED();
	close(self->c.alice);
	EXPECT_STILL_CHARGED();
	munmap(self->map, PAGE);
	EXPECT_NO_LONGER_CHARGED();
}

TEST_F(limits, charge_stays_with_a_dmabuf)
{
	munmap(self->map, PAGE);
	close(self->c.alice);
	EXPECT_STILL_CHARGED();
	close(self->dmabuf);
	EXPECT_NO_LONGER_CHARGED();
}

/* Importing charges nobody, and lifts no charge from whoever pays already. */
TEST_F(limits, charge_stays_with_who_allocated)
{
	struct memalloc_import import;

	ASSERT_EQ(0, as_user(BOB));
	ASSERT_EQ(0, import_buffer(self->c.bob, self->dmabuf, 0, &import));
	EXPECT_TRUE(client_has(self->c.bob, 0, 0));
	EXPECT_TRUE(user_has(self->c.bob, 0, 0));
	EXPECT_EQ(0, alloc_errno(self->c.bob, PAGE));
	/* Not even at the limit. */
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.bob, PAGE));
	EXPECT_EQ(0, import_buffer(self->c.bob, self->dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	EXPECT_EQ(0, free_buffer(self->c.bob, import.handle));
	EXPECT_EQ(0, import_buffer(self->c.bob, self->dmabuf, 0, &import));

	munmap(self->map, PAGE);
	close(self->dmabuf);
	close(self->c.alice);
	EXPECT_STILL_CHARGED();
	EXPECT_EQ(0, free_buffer(self->c.bob, import.handle));
	EXPECT_TRUE(user_has(self->c.bob, 1, 1));
	EXPECT_NO_LONGER_CHARGED();
}

/* Killed, with nothing left of it but a dma-buf that another process holds. */
TEST_F(limits, charge_outlives_a_killed_process)
{
	int sockets[2], dmabuf;
	pid_t child;

	munmap(self->map, PAGE);
	close(self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->c.alice, self->buffer.handle));
	ASSERT_TRUE(user_has(self->c.alice2, 0, 0));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork_child();
	if (!child) {
		struct memalloc_alloc buffer;
		int client = as_user(ALICE) ?: open_device();

		if (alloc_buffer(client, PAGE, &buffer))
			_exit(1);
		if (map_buffer(client, &buffer) == MAP_FAILED)
			_exit(2);
		if (send_fd(sockets[1], export_buffer(client, buffer.handle, O_RDWR)))
			_exit(3);
		kill(getpid(), SIGKILL);
	}
	dmabuf = receive_fd(sockets[0]);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_STILL_CHARGED();
	close(dmabuf);
	EXPECT_NO_LONGER_CHARGED();
}

/* Give up the buffer while a pipe holds its page. */
static int free_pinned(FIXTURE_DATA(limits) * self)
{
	struct iovec data = { self->map, PAGE };

	close(self->dmabuf);
	if (vmsplice(self->pipe[1], &data, 1, 0) != (ssize_t)PAGE)
		return -errno;
	munmap(self->map, PAGE);
	return free_buffer(self->c.alice, self->buffer.handle);
}

TEST_F(limits, charge_stays_in_quarantine)
{
	char seen[PAGE];

	fill(self->map, PAGE, SEED);
	ASSERT_EQ(0, free_pinned(self));
	EXPECT_EQ(PAGE, quarantined_bytes(self->c.fd));
	EXPECT_TRUE(client_has(self->c.alice, 1, 1));
	EXPECT_STILL_CHARGED();
	close(self->c.alice);
	EXPECT_STILL_CHARGED();
	ASSERT_EQ(PAGE, read(self->pipe[0], seen, PAGE));
	EXPECT_NO_LONGER_CHARGED();
	EXPECT_EQ(0, quarantined_bytes(self->c.fd));
}

/* What comes back early of a buffer is not charged any more; the rest counts as a buffer still. */
TEST_F(limits, only_held_pages_stay_charged)
{
	struct memalloc_alloc buffer;
	struct iovec held[2];
	char *map, seen[PAGE];

	ASSERT_EQ(0, set_parameter("user_buffers", "2"));
	ASSERT_EQ(0, alloc_buffer(self->c.alice, 8 * PAGE, &buffer));
	map = map_buffer(self->c.alice, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	held[0] = (struct iovec){ map + 2 * PAGE, PAGE };
	held[1] = (struct iovec){ map + 5 * PAGE, PAGE };
	ASSERT_EQ(2 * PAGE, vmsplice(self->pipe[1], held, 2, 0));
	munmap(map, 8 * PAGE);
	ASSERT_EQ(0, free_buffer(self->c.alice, buffer.handle));
	EXPECT_TRUE(client_has(self->c.alice, 1 + 2, 2));
	EXPECT_TRUE(user_has(self->c.alice2, 1 + 2, 2));
	ASSERT_EQ(PAGE, read(self->pipe[0], seen, PAGE));
	EXPECT_TRUE(WAIT_UNTIL(user_has(self->c.alice2, 1 + 1, 2)));
	EXPECT_TRUE(client_has(self->c.alice, 1 + 1, 2));
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice2, 1));
	ASSERT_EQ(0, as_root());
	ASSERT_EQ(PAGE, read(self->pipe[0], seen, PAGE));
	EXPECT_TRUE(WAIT_UNTIL(user_has(self->c.alice2, 1, 1)));
	EXPECT_TRUE(client_has(self->c.alice, 1, 1));
}

/* The administrator looked up the address of alice's buffer; RELEASE lifts the charge, too. */
TEST_F(limits, charge_stays_until_release)
{
	struct memalloc_query query;

	munmap(self->map, PAGE);
	close(self->dmabuf);
	ASSERT_EQ(0, query_physical(self->c.alice, self->buffer.handle, &query));
	close(self->c.alice);
	EXPECT_TRUE(WAIT_UNTIL(quarantined_bytes(self->c.fd) == PAGE));
	EXPECT_STILL_CHARGED();
	EXPECT_EQ(0, release_all(self->c.fd));
	EXPECT_NO_LONGER_CHARGED();
	EXPECT_EQ(0, quarantined_bytes(self->c.fd));
}

/* For as long as her memory is in quarantine she is not forgotten, though she has no client. */
TEST_F(limits, charge_stays_when_all_clients_are_gone)
{
	char seen[PAGE];

	ASSERT_EQ(0, free_pinned(self));
	close(self->c.alice);
	close(self->c.alice2);
	self->c.alice2 = open_as(ALICE);
	ASSERT_LE(0, self->c.alice2);
	EXPECT_TRUE(client_has(self->c.alice2, 0, 0));
	EXPECT_STILL_CHARGED();
	ASSERT_EQ(PAGE, read(self->pipe[0], seen, PAGE));
	close(self->c.alice2);
	ASSERT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->c.fd)));
	self->c.alice2 = open_as(ALICE);
	EXPECT_NO_LONGER_CHARGED();
}

/* No EDQUOT for what has become idle and was only not looked at yet. */
TEST_F(limits, alloc_looks_at_the_quarantine)
{
	char seen[PAGE];

	ASSERT_EQ(0, free_pinned(self));
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
	ASSERT_EQ(PAGE, read(self->pipe[0], seen, PAGE));
	EXPECT_EQ(0, alloc_errno(self->c.alice, 1));
}

/* Each way in which an ALLOC that was within the limits can fail. */
TEST_F(limits, failed_alloc_is_not_charged)
{
	struct memalloc_alloc *arg = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct memalloc_info info;
	struct figures before;
	__u64 failures;

	ASSERT_NE(MAP_FAILED, (void *)arg);
	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, get_info(self->c.fd, &info));
	*arg = (struct memalloc_alloc){ .size = sizeof(*arg), .length = 3 * PAGE };
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	take_all(self->c.bob);
	ASSERT_EQ(0, as_user(ALICE));

	before = figures_of(&self->c);
	failures = before.stats.failures;
	EXPECT_EQ(-ENOMEM, alloc_errno(self->c.alice, PAGE));
	before.stats.failures = ++failures;
	EXPECT_NOTHING_CHANGED(before);
	EXPECT_EQ(-EFBIG, alloc_errno(self->c.alice, info.region_length + 1));
	before.stats.failures = ++failures;
	EXPECT_NOTHING_CHANGED(before);

	ASSERT_EQ(0, close(self->c.bob));
	self->c.bob = open_as(BOB);
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EFAULT, call(self->c.alice, MEMALLOC_IOC_ALLOC, arg));
	EXPECT_TRUE(client_has(self->c.alice, 1, 1));
	EXPECT_TRUE(user_has(self->c.alice, 1, 1));
}

/* It ends while the memory is cleared. */
TEST_F_TIMEOUT(limits, killed_alloc_is_not_charged, 200)
{
	struct memalloc_stats stats;
	int attempt, landed = 0;

	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, get_stats(self->c.fd, &stats));
	for (attempt = 0; attempt < 30 && landed < 3; attempt++) {
		pid_t child;

		/* What has to be zeroed takes long enough. */
		ASSERT_EQ(0, make_dirty(self->c.fd, stats.largest_free));
		child = fork_child();
		if (!child) {
			int client = as_user(ALICE) ?: open_device();

			_exit(alloc_errno(client, stats.largest_free));
		}
		ASSERT_TRUE(WAIT_UNTIL(used_bytes(self->c.fd) > MIB));
		kill(child, SIGKILL);
		landed += wait_child(child) == 128 + SIGKILL;
		ASSERT_TRUE(WAIT_UNTIL(used_bytes(self->c.fd) == PAGE));
		EXPECT_TRUE(WAIT_UNTIL(user_has(self->c.alice, 1, 1)));
	}
	EXPECT_EQ(3, landed);
}

/* A client is its opener's, whoever has the descriptor by now. */
TEST_F(limits, a_passed_descriptor_charges_its_opener)
{
	int sockets[2];
	pid_t child;

	ASSERT_EQ(0, set_parameter("user_buffers", "2"));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork_child();
	if (!child) {
		int client = as_user(BOB) ?: receive_fd(sockets[1]);

		if (client < 0 || alloc_errno(client, PAGE))
			_exit(1);
		if (alloc_errno(client, PAGE) != -EDQUOT)
			_exit(2);
		/* That he can't allocate there any more takes nothing from himself. */
		if (fill_up(self->c.bob) != 2)
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(0, send_fd(sockets[0], self->c.alice));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(user_has(self->c.alice2, 2, 2));
	EXPECT_TRUE(user_has(self->c.bob, 2, 2));
}

/* Who changes IDs pays as before with the clients he has. */
TEST_F(limits, a_dmaheap_charges_its_opener)
{
	int dmabuf, heap = as_user(BOB) ?: open_dmaheap();

	ASSERT_LE(0, heap);
	dmabuf = dmaheap_alloc(heap, PAGE, O_RDWR);
	EXPECT_LE(0, dmabuf);
	EXPECT_EQ(-EDQUOT, dmaheap_alloc(heap, PAGE, O_RDWR));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.bob, PAGE));
	EXPECT_TRUE(user_has(self->c.bob, 1, 1));
	EXPECT_TRUE(client_has(self->c.bob, 0, 0));
	close(heap);
	EXPECT_TRUE(user_has(self->c.bob, 1, 1));
	close(dmabuf);
	EXPECT_TRUE(WAIT_UNTIL(user_has(self->c.bob, 0, 0)));
}

TEST_F(limits, a_change_of_ids_changes_no_payer)
{
	int client = open_as(0);

	ASSERT_LE(0, client);
	ASSERT_EQ(0, as_user(BOB));
	EXPECT_EQ(0, alloc_errno(client, PAGE));
	EXPECT_EQ(-EDQUOT, alloc_errno(client, PAGE));
	EXPECT_TRUE(user_has(self->c.fd, 1, 1));
	EXPECT_TRUE(user_has(self->c.bob, 0, 0));
}

TEST_F(limits, the_real_uid_is_the_user)
{
	int client;

	ASSERT_EQ(0, setresuid(BOB, ALICE, 0));
	client = open_device();
	ASSERT_LE(0, client);
	EXPECT_EQ(0, alloc_errno(client, PAGE));
	EXPECT_TRUE(user_has(self->c.bob, 1, 1));
	EXPECT_TRUE(user_has(self->c.alice, 1, 1));
	EXPECT_TRUE(user_has(client, 1, 1));
}

/* A child that does not share our memory says what an ALLOC there and raising a limit answer. */
static int answers_in_child(const struct clients *c, int (*become)(void), int alloc, int raise)
{
	pid_t child = fork_child();

	if (!child) {
		if (become())
			_exit(1);
		if (alloc_errno(c->alice, PAGE) != alloc)
			_exit(2);
		if (set_limits(c->alice, MEMALLOC_LIMITS_SET_BYTES, 3 * PAGE, 0) != raise)
			_exit(3);
		_exit(0);
	}
	return wait_child(child);
}

static int set_effective(__u32 capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective = capabilities;
	data[1].effective = 0;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int become_alice(void)
{
	return as_user(ALICE);
}

static int become_alice_with_the_capability(void)
{
	return as_user(ALICE) ?: set_effective(1U << CAP_SYS_RESOURCE);
}

static int become_root_without_the_capability(void)
{
	return set_effective(~(1U << CAP_SYS_RESOURCE));
}

/* Every capability, but over nothing that was there before. */
static int become_root_of_a_namespace(void)
{
	if (setresuid(ALICE, ALICE, ALICE) || unshare(CLONE_NEWUSER))
		return -errno;
	return set_effective(~0U);
}

TEST_F(limits, the_capability_counts_and_not_the_user)
{
	ASSERT_EQ(0, set_limits(self->c.alice, MEMALLOC_LIMITS_SET_BYTES, 2 * PAGE, 0));
	EXPECT_EQ(0, answers_in_child(&self->c, become_alice, -EDQUOT, -EPERM));
	EXPECT_EQ(0, answers_in_child(&self->c, become_root_without_the_capability, -EDQUOT,
				      -EPERM));
	EXPECT_EQ(0, answers_in_child(&self->c, become_alice_with_the_capability, 0, 0));
}

TEST_F(limits, the_capability_counts_in_the_first_namespace_only)
{
	ASSERT_EQ(0, set_limits(self->c.alice, MEMALLOC_LIMITS_SET_BYTES, 2 * PAGE, 0));
	EXPECT_EQ(0, answers_in_child(&self->c, become_root_of_a_namespace, -EDQUOT, -EPERM));
}

/* A client's own limits */

FIXTURE(own) {
	struct clients c;
};

FIXTURE_SETUP(own)
{
	ASSERT_EQ(0, set_up(&self->c));
	ASSERT_EQ(0, as_user(ALICE));
}

FIXTURE_TEARDOWN(own)
{
	tear_down();
}

static bool limits_are(int fd, __u64 bytes, __u64 buffers)
{
	struct memalloc_limits limits;

	return !get_limits(fd, &limits) && limits.client_bytes_max == bytes &&
	       limits.client_buffers_max == buffers;
}

#define BYTES	MEMALLOC_LIMITS_SET_BYTES
#define BUFFERS	MEMALLOC_LIMITS_SET_BUFFERS

TEST_F(own, is_set_alone_or_both)
{
	struct memalloc_limits arg = {
		.size = sizeof(arg), .flags = BYTES | BUFFERS,
		.client_bytes_max = 3 * PAGE, .client_buffers_max = 20,
	};

	EXPECT_TRUE(limits_are(self->c.alice, MEMALLOC_NO_LIMIT, MEMALLOC_NO_LIMIT));
	EXPECT_EQ(0, set_limits(self->c.alice, BYTES, 5 * PAGE, 7));
	EXPECT_TRUE(limits_are(self->c.alice, 5 * PAGE, MEMALLOC_NO_LIMIT));
	EXPECT_EQ(0, set_limits(self->c.alice, BUFFERS, 7, 30));
	EXPECT_TRUE(limits_are(self->c.alice, 5 * PAGE, 30));
	/* The answer tells how it is now. */
	ASSERT_EQ(0, call(self->c.alice, MEMALLOC_IOC_LIMITS, &arg));
	EXPECT_EQ(3 * PAGE, arg.client_bytes_max);
	EXPECT_EQ(20, arg.client_buffers_max);
	EXPECT_EQ(MEMALLOC_NO_LIMIT, arg.user_bytes_max);
	EXPECT_EQ(BYTES | BUFFERS, arg.flags);
	EXPECT_TRUE(limits_are(self->c.alice, 3 * PAGE, 20));
	EXPECT_TRUE(limits_are(self->c.alice2, MEMALLOC_NO_LIMIT, MEMALLOC_NO_LIMIT));
}

TEST_F(own, is_not_raised)
{
	ASSERT_EQ(0, set_limits(self->c.alice, BYTES | BUFFERS, 5 * PAGE, 5));
	EXPECT_EQ(0, set_limits(self->c.alice, BYTES | BUFFERS, 5 * PAGE, 5));
	EXPECT_EQ(-EPERM, set_limits(self->c.alice, BYTES, 5 * PAGE + 1, 0));
	EXPECT_EQ(-EPERM, set_limits(self->c.alice, BUFFERS, 0, 6));
	EXPECT_EQ(-EPERM, set_limits(self->c.alice, BYTES, MEMALLOC_NO_LIMIT, 0));
	/* All or nothing. */
	EXPECT_EQ(-EPERM, set_limits(self->c.alice, BYTES | BUFFERS, PAGE, 6));
	EXPECT_EQ(-EPERM, set_limits(self->c.alice, BYTES | BUFFERS, 6 * PAGE, 1));
	EXPECT_TRUE(limits_are(self->c.alice, 5 * PAGE, 5));
	ASSERT_EQ(0, as_root());
	EXPECT_EQ(0, set_limits(self->c.alice, BYTES, 6 * PAGE, 0));
	EXPECT_EQ(0, set_limits(self->c.alice, BUFFERS, 0, MEMALLOC_NO_LIMIT));
	EXPECT_TRUE(limits_are(self->c.alice, 6 * PAGE, MEMALLOC_NO_LIMIT));
}

TEST_F(own, of_zero_ends_it)
{
	ASSERT_EQ(0, set_limits(self->c.alice, BUFFERS, 0, 0));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
	EXPECT_EQ(0, alloc_errno(self->c.alice2, 1));
}

TEST_F(own, lasts_as_long_as_the_open_file)
{
	int second = dup(self->c.alice);
	pid_t child;

	ASSERT_EQ(0, set_limits(self->c.alice, BUFFERS, 0, 1));
	ASSERT_EQ(0, alloc_errno(self->c.alice, 1));
	close(self->c.alice);
	EXPECT_EQ(-EDQUOT, alloc_errno(second, 1));
	child = fork_child();
	if (!child)
		_exit(alloc_errno(second, 1) != -EDQUOT ||
		      set_limits(second, BUFFERS, 0, 2) != -EPERM);
	EXPECT_EQ(0, wait_child(child));
	close(second);
	self->c.alice = open_device();
	EXPECT_TRUE(limits_are(self->c.alice, MEMALLOC_NO_LIMIT, MEMALLOC_NO_LIMIT));
}

/* The lower of the own limit and the one of all clients holds, whatever happens to either. */
TEST_F(own, holds_besides_that_of_all_clients)
{
	ASSERT_EQ(0, set_limits(self->c.alice, BYTES, 8 * PAGE, 0));
	ASSERT_EQ(0, as_root());
	ASSERT_EQ(0, set_number("client_bytes", 5 * PAGE));
	EXPECT_TRUE(limits_are(self->c.alice, 5 * PAGE, MEMALLOC_NO_LIMIT));
	/* Nobody raises himself above all others. */
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EPERM, set_limits(self->c.alice, BYTES, 8 * PAGE, 0));
	EXPECT_EQ(-EPERM, set_limits(self->c.alice2, BYTES, 8 * PAGE, 0));
	EXPECT_EQ(LIMIT / 2, fill_up(self->c.alice));
	ASSERT_EQ(0, as_root());
	EXPECT_EQ(0, set_limits(self->c.alice, BYTES, 9 * PAGE, 0));
	EXPECT_TRUE(limits_are(self->c.alice, 5 * PAGE, MEMALLOC_NO_LIMIT));
	ASSERT_EQ(0, set_number("client_bytes", 100 * PAGE));
	EXPECT_TRUE(limits_are(self->c.alice, 9 * PAGE, MEMALLOC_NO_LIMIT));
	EXPECT_TRUE(limits_are(self->c.alice2, 100 * PAGE, MEMALLOC_NO_LIMIT));
}

TEST_F(own, stays_when_the_answer_can_not_be_told)
{
	struct memalloc_limits *arg = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)arg);
	*arg = (struct memalloc_limits){ .size = sizeof(*arg), .flags = BYTES | BUFFERS };
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->c.alice, MEMALLOC_IOC_LIMITS, arg));
	EXPECT_TRUE(limits_are(self->c.alice, MEMALLOC_NO_LIMIT, MEMALLOC_NO_LIMIT));
}

/* The parameters of the module while it is in use; loading with them is in boots/module.sh. */
static bool parameter_is(const char *name, const char *value)
{
	int folder = open(PARAMETERS, O_PATH), fd = openat(folder, name, O_RDONLY);
	char text[64] = "";
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(folder);
	close(fd);
	return n > 0 && !strcmp(text, value);
}

/*
 * As long as nobody has set a limit, each user may have all but a sixteenth of the region, and
 * root all.
 */
TEST(default_limit_leaves_some_for_root)
{
	struct memalloc_limits limits;
	struct memalloc_stats stats;
	struct clients c;
	__u64 most;

	ASSERT_EQ(0, set_up(&c));
	ASSERT_EQ(0, set_parameter("user_bytes", "default"));
	EXPECT_TRUE(parameter_is("user_bytes", "default\n"));
	ASSERT_EQ(0, get_stats(c.fd, &stats));
	most = stats.region_length - stats.region_length / 16;
	ASSERT_EQ(0, get_limits(c.alice, &limits));
	EXPECT_EQ(most, limits.user_bytes_max);
	ASSERT_EQ(0, get_limits(c.fd, &limits));
	EXPECT_EQ(MEMALLOC_NO_LIMIT, limits.user_bytes_max);

	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EDQUOT, alloc_errno(c.alice, most + 1));
	EXPECT_EQ(0, alloc_errno(c.alice, most - PAGE));
	EXPECT_EQ(0, alloc_errno(c.alice2, PAGE));
	EXPECT_EQ(-EDQUOT, alloc_errno(c.alice2, 1));
	/* Another user can have what is left, and root, were he to have no capability. */
	ASSERT_EQ(0, as_user(BOB));
	EXPECT_EQ(0, alloc_errno(c.bob, PAGE));
	EXPECT_EQ(stats.region_length - most - PAGE, take_all(c.fd));
	close(c.alice);
	close(c.alice2);
	EXPECT_EQ(most, take_all(c.fd));
	ASSERT_EQ(0, as_root());
	EXPECT_EQ(0, set_parameter("user_bytes", "0"));
}

/* How often the kernel's log has that text. */
static int times_in_log(const char *text)
{
	const int read_all = 3;		/* SYSLOG_ACTION_READ_ALL */
	static char log[4 * MIB];
	int times = 0, n = klogctl(read_all, log, sizeof(log) - 1);
	const char *at = log;

	if (n < 0)
		return -errno;
	log[n] = '\0';
	while ((at = strstr(at, text))) {
		at += strlen(text);
		times++;
	}
	return times;
}

/*
 * The administrator finds in the log why a user was refused, once, however often that happens and
 * the user comes back; and nothing of limits that a program has set itself.
 */
TEST(first_refusal_is_in_the_log)
{
	/* Others here are refused, too. */
	const uid_t uid = 61900 + now_ms() % 1000;
	char text[80];
	int i, fd;

	snprintf(text, sizeof(text), "memalloc: user %u has reached user_bytes=%lu", uid, 4 * PAGE);
	ASSERT_EQ(0, no_limits());
	fd = open_as(uid);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_limits(fd, BYTES, PAGE, 0));
	ASSERT_EQ(0, as_user(uid));
	EXPECT_EQ(-EDQUOT, alloc_errno(fd, 5 * PAGE));
	ASSERT_EQ(0, as_root());
	close(fd);
	ASSERT_EQ(0, set_number("user_bytes", 4 * PAGE));
	EXPECT_EQ(0, times_in_log(text));
	for (i = 0; i < 3; i++) {
		fd = open_as(uid);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, as_user(uid));
		EXPECT_EQ(-EDQUOT, alloc_errno(fd, 5 * PAGE));
		EXPECT_EQ(-EDQUOT, alloc_errno(fd, 5 * PAGE));
		ASSERT_EQ(0, as_root());
		close(fd);
		EXPECT_EQ(1, times_in_log(text));
	}
	EXPECT_EQ(0, no_limits());
}

/* KiB of the kernel's own small objects. */
static __u64 slab_kib(void)
{
	FILE *meminfo = fopen("/proc/meminfo", "r");
	unsigned long long kib = 0;
	char line[128];

	while (meminfo && fgets(line, sizeof(line), meminfo))
		if (sscanf(line, "SUnreclaim: %llu", &kib) == 1)
			break;
	if (meminfo)
		fclose(meminfo);
	return kib;
}

/* The same, once what was given up by now is free: files are so a little later. */
static __u64 settled_slab_kib(void)
{
	__u64 kib, before;

	do {
		before = slab_kib();
		sleep_ms(200);
		kib = slab_kib();
	} while (kib < before);
	return kib;
}

/* Of users who have nothing any more nothing is kept, however many they were. */
TEST(users_are_forgotten)
{
	const unsigned int users = 4000;
	long long before, after;
	unsigned int i;
	int fd;

	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "a kernel that keeps for a while what was freed");
	before = settled_slab_kib();
	ASSERT_LT(0, before);
	for (i = 0; i < users; i++) {
		fd = open_as(ALICE + i);
		ASSERT_LE(0, fd);
		close(fd);
	}
	after = settled_slab_kib();
	/* Were it but 256 bytes of each. */
	EXPECT_LT(after, before + users / 4)
		TH_LOG("%lld KiB, before that %lld", after, before);
}

TEST(parameters_change_at_run_time)
{
	static const char *const names[] = {
		"user_bytes", "user_buffers", "client_bytes", "client_buffers",
	};
	static const char *const wrong[] = {
		"\n", "lots", "-1", "1Q", "1KB", "1 2", "0x10", "1.5M", "K",
		"000000000000000000000000000000000000001",
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, set_parameter(names[i], "12345\n"));
		EXPECT_TRUE(parameter_is(names[i], "12345\n"));
		EXPECT_EQ(0, set_parameter(names[i], "3k"));
		EXPECT_TRUE(parameter_is(names[i], "3072\n"));
		for (k = 0; k < ARRAY_SIZE(wrong); k++) {
			EXPECT_EQ(-EINVAL, set_parameter(names[i], wrong[k]))
				TH_LOG("%s=%s", names[i], wrong[k]);
		}
		EXPECT_TRUE(parameter_is(names[i], "3072\n"));
		ASSERT_EQ(0, as_user(ALICE));
		EXPECT_EQ(-EACCES, set_parameter(names[i], "0"));
		ASSERT_EQ(0, as_root());
		EXPECT_EQ(0, set_parameter(names[i], "0"));
		EXPECT_TRUE(parameter_is(names[i], "0\n"));
	}
}

TEST_HARNESS_MAIN
