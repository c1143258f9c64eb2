// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits in bytes and buffers, of users and of clients: where they end, and that what goes
 * beyond changes nothing. Who is charged is in charge.c, the parameters are in
 * limits_set.c.
 */
#include "limits.h"

#include <sched.h>

/* Each limit, as far as all are alike */

FIXTURE(each) {
	struct clients c;
};

FIXTURE_VARIANT(each) {
	const char *parameter;	/* NULL: the client's own limit */
	bool of_user;
	bool in_bytes;		/* or in buffers */
};

FIXTURE_VARIANT_ADD(each, user_bytes) {
	.parameter = "user_bytes", .of_user = true, .in_bytes = true,
};

FIXTURE_VARIANT_ADD(each, user_buffers) {
	.parameter = "user_buffers", .of_user = true,
};

FIXTURE_VARIANT_ADD(each, client_bytes) {
	.parameter = "client_bytes", .in_bytes = true,
};

FIXTURE_VARIANT_ADD(each, client_buffers) {
	.parameter = "client_buffers",
};

FIXTURE_VARIANT_ADD(each, own_bytes) {
	.in_bytes = true,
};

FIXTURE_VARIANT_ADD(each, own_buffers) {
	.in_bytes = false,
};

/* What a buffer of one page takes of the limit. */
static __u64 unit(const FIXTURE_VARIANT(each) * variant)
{
	return variant->in_bytes ? PAGE : 1;
}

static int set_limit(const struct clients *c, const FIXTURE_VARIANT(each) * variant, __u64 limit)
{
	if (variant->parameter)
		return set_number(variant->parameter, limit);
	return set_limits(c->alice, variant->in_bytes ? MEMALLOC_LIMITS_SET_BYTES :
							MEMALLOC_LIMITS_SET_BUFFERS,
			  limit, limit);
}

/* What LIMITS says of it. */
static __u64 told_limit(int fd, const FIXTURE_VARIANT(each) * variant)
{
	struct memalloc_limits limits;

	if (get_limits(fd, &limits))
		return 0;
	if (variant->in_bytes)
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
	const __u64 limit = LIMIT * unit(variant);
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
	ASSERT_EQ(0, set_limit(&self->c, variant, (LIMIT + 1) * unit(variant) - 1));
	ASSERT_EQ(0, as_user(ALICE));
	before = figures_of(&self->c);
	if (variant->in_bytes) {
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
	ASSERT_EQ(0, set_limit(&self->c, variant, 2 * unit(variant)));

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

/* Have @fd get LIMIT buffers and give them back. Nothing is asked of the figures. */
static int get_and_give_back(int fd)
{
	struct memalloc_alloc buffers[LIMIT];
	int i, err = 0;

	for (i = 0; i < LIMIT && !err; i++)
		err = alloc_buffer(fd, PAGE, &buffers[i]);
	while (!err && i--)
		err = free_buffer(fd, buffers[i].handle);
	return err;
}

/* What one client has given back, another one of the user can have, and only one of them. */
TEST_F(each, what_was_given_back_is_for_all)
{
	ASSERT_EQ(0, set_limit(&self->c, variant, LIMIT * unit(variant)));
	ASSERT_EQ(0, as_user(ALICE));
	ASSERT_EQ(0, get_and_give_back(self->c.alice));
	ASSERT_EQ(0, get_and_give_back(self->c.alice2));
	EXPECT_TRUE(user_has(self->c.alice, 0, 0));
	ASSERT_EQ(0, get_and_give_back(self->c.alice));
	EXPECT_EQ(0, alloc_errno(self->c.alice2, PAGE));
	EXPECT_EQ(LIMIT - variant->of_user, fill_up(self->c.alice));
	EXPECT_EQ(variant->of_user ? -EDQUOT : 0, alloc_errno(self->c.alice2, PAGE));
}

TEST_F(each, lowered_holds_for_what_was_given_back)
{
	ASSERT_EQ(0, set_limit(&self->c, variant, LIMIT * unit(variant)));
	ASSERT_EQ(0, get_and_give_back(self->c.alice));
	ASSERT_EQ(0, set_limit(&self->c, variant, LIMIT / 2 * unit(variant)));
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(LIMIT / 2, fill_up(self->c.alice));
}

/* Whoever may pass a limit leaves nothing for those who may not. */
TEST_F(each, passed_by_one_holds_for_another)
{
	ASSERT_EQ(0, set_limit(&self->c, variant, LIMIT * unit(variant)));
	ASSERT_EQ(0, get_and_give_back(self->c.alice));
	ASSERT_EQ(0, alloc_errno(self->c.alice2, PAGE));
	ASSERT_EQ(0, get_and_give_back(self->c.alice2));
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(LIMIT - variant->of_user, fill_up(self->c.alice));
}

TEST_F(each, does_not_hold_for_cap_sys_resource)
{
	ASSERT_EQ(0, set_limit(&self->c, variant, 2 * unit(variant)));
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

	ASSERT_EQ(0, set_limit(&self->c, variant, limit * unit(variant)));
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
		if ((variant->in_bytes ? limits.user_bytes : limits.user_buffers) > limit)
			return 2;
		if (free_buffer(fd, buffer.handle))
			return 3;
		__atomic_fetch_add(&tally->got, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

TEST_F(each, is_never_passed)
{
	const __u64 limit = unit(variant);
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

/* Also for a buffer that the client has freed, and that would be its next one. */
TEST_F(own, lowered_below_what_is_kept)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, alloc_buffer(self->c.alice, 4 * PAGE, &buffer));
	ASSERT_EQ(0, free_buffer(self->c.alice, buffer.handle));
	ASSERT_EQ(0, as_root());
	ASSERT_EQ(0, set_number("client_bytes", 3 * PAGE));
	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 4 * PAGE));
	EXPECT_EQ(0, alloc_errno(self->c.alice, 3 * PAGE));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.alice, 1));
}

/* Who is refused clears up after himself, not after others. */
TEST_F(own, leaves_what_others_keep)
{
	struct memalloc_alloc kept, other;

	ASSERT_EQ(0, set_limits(self->c.bob, BYTES, PAGE, 0));
	ASSERT_EQ(0, alloc_buffer(self->c.alice, 3 * PAGE, &kept));
	ASSERT_EQ(0, free_buffer(self->c.alice, kept.handle));
	EXPECT_EQ(-EDQUOT, alloc_errno(self->c.bob, 2 * PAGE));
	EXPECT_TRUE(limits_are(self->c.bob, PAGE, MEMALLOC_NO_LIMIT));
	ASSERT_EQ(0, alloc_buffer(self->c.alice2, 3 * PAGE, &other));
	EXPECT_NE(kept.mmap_offset, other.mmap_offset);
	ASSERT_EQ(0, alloc_buffer(self->c.alice, 3 * PAGE, &other));
	EXPECT_EQ(kept.mmap_offset, other.mmap_offset);
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

TEST_HARNESS_MAIN
