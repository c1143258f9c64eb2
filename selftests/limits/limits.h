/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of limits begin with: two users and their clients, and what is charged to them. */
#ifndef LIMITS_H
#define LIMITS_H

#include "memalloc_test.h"

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
static inline bool client_has(int fd, __u64 pages, __u64 buffers)
{
	struct memalloc_limits limits;

	return !get_limits(fd, &limits) && limits.client_bytes == pages * PAGE &&
	       limits.client_buffers == buffers;
}

static inline bool user_has(int fd, __u64 pages, __u64 buffers)
{
	struct memalloc_limits limits;

	return !get_limits(fd, &limits) && limits.user_bytes == pages * PAGE &&
	       limits.user_buffers == buffers;
}

/* Buffers of one page up to the limit: how many it were, or the errno if there was none. */
static inline int fill_up(int fd)
{
	struct memalloc_alloc buffer;
	int err, n = 0;

	while (!(err = alloc_buffer(fd, PAGE, &buffer)))
		n++;
	return err == -EDQUOT ? n : err;
}

static inline int alloc_errno(int fd, __u64 length)
{
	struct memalloc_alloc buffer;

	return alloc_buffer(fd, length, &buffer);
}

static inline int set_up(struct clients *c)
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

static inline void tear_down(void)
{
	as_root();
	no_limits();
}

/* All figures that anybody here can see. */
struct figures {
	struct memalloc_stats stats;
	struct memalloc_limits limits[4];
};

static inline struct figures figures_of(const struct clients *c)
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

#endif /* LIMITS_H */
