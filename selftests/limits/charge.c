// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is charged for a buffer, and that the charge stays with the memory until that is free
 * again. Where limits end is in limits.c.
 */
#define _GNU_SOURCE
#include "dmaheap.h"
#include "limits.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>

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
	ASSERT_EQ(0, set_attribute("user_buffers", "1"));
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

	ASSERT_EQ(0, set_attribute("user_buffers", "2"));
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

	ASSERT_EQ(0, set_attribute("user_buffers", "2"));
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
/* So many users from @first on open the device, one after the other. */
static int come_and_go(uid_t first, unsigned int users)
{
	unsigned int i;
	int fd;

	for (i = 0; i < users; i++) {
		fd = open_as(first + i);
		if (fd < 0)
			return fd;
		close(fd);
	}
	return 0;
}

TEST(users_are_forgotten)
{
	const unsigned int first = 1000;
	const unsigned int users = 4000;
	long long before, after;

	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "a kernel that keeps for a while what was freed");
	/* What the kernel keeps of the first ones, it uses again. */
	ASSERT_EQ(0, come_and_go(ALICE, first));
	before = settled_slab_kib();
	ASSERT_LT(0, before);
	ASSERT_EQ(0, come_and_go(ALICE + first, users));
	after = settled_slab_kib();
	/* Were it but 256 bytes of each. */
	EXPECT_LT(after, before + users / 4)
		TH_LOG("%lld KiB, before that %lld", after, before);
}

TEST_HARNESS_MAIN
