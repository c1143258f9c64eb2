// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two administrators add ranges to a region and take them back without pause, while four clients
 * use all that there is, each in a way of its own, and are killed in the middle of it. No byte is
 * ever wrong, and in the end the region is as it was. SHRINKS=n: go on until so many ranges that
 * had buffers were given back.
 */
#include "clients.h"
#include "control.h"

#define NAME		"hostile-ranges"
#define OWN		(20 * MIB)
#define LENGTH_MAX	(160 * MIB)
#define RANGES_MAX	6
#define GROWTH_MAX	24		/* MiB of a range */
#define ADMINISTRATORS	2
#define SHRINKS_MIN	12
#define ROUND_MS	300
#define ROUNDS_MAX	400

static __attribute__((constructor)) void is_for_its_own_region(void)
{
	setenv("MEMALLOC_NODE", "memalloc-" NAME, 1);
}

/* What the administrators have done, in memory that they share with us. */
struct done {
	unsigned long grown;
	unsigned long full;		/* there could be no further range, */
	unsigned long emptied;		/* and a range with buffers was given back */
	unsigned long busy;		/* or something stayed in it */
	unsigned long moved;		/* buffers */
	char wrong[64];
	bool stop;
};

FIXTURE(ranges) {
	struct scene scene;
	struct tally *tally;
	struct done *done;
	int control;
	pid_t clients[CLIENTS];
	pid_t administrators[ADMINISTRATORS];
};

static void add(unsigned long *count, unsigned long n)
{
	__atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

static const char *grow_once(int control, struct done *done, __u64 *random)
{
	const __u64 pages = 1 + random_below(random, GROWTH_MAX * MIB / PAGE);
	int range = grow_region(control, NAME, pages * PAGE);

	if (range > 0)
		add(&done->grown, 1);
	else if (range == -ENOSPC || range == -ENOMEM)
		add(&done->full, 1);
	else
		return "GROW was answered otherwise";
	return "";
}

static const char *shrink_once(int control, struct done *done, __u64 *random)
{
	struct memalloc_shrink shrink = shrinking_of(NAME, 1 + random_below(random, RANGES_MAX));
	int err = call(control, MEMALLOC_CONTROL_SHRINK, &shrink);

	if (err && err != -EBUSY && err != -ENOENT)
		return "SHRINK was answered otherwise";
	add(&done->moved, shrink.moves);
	add(&done->busy, err == -EBUSY);
	add(&done->emptied, !err && shrink.moves);
	if (err == -EBUSY && !(shrink.held + shrink.mapped + shrink.disclosed + shrink.huge +
			       shrink.quarantined))
		return "";	/* it has gone meanwhile */
	return shrink.moved > LENGTH_MAX ? "SHRINK has moved more than there is" : "";
}

static pid_t begin_administrator(FIXTURE_DATA(ranges) * self, int number)
{
	struct done *done = self->done;
	__u64 random = 1 + number;
	const char *wrong = "";
	pid_t child = fork_child();

	if (child)
		return child;
	while (!*wrong && !GET(done->stop))
		wrong = random_below(&random, 2) ? grow_once(self->control, done, &random) :
						   shrink_once(self->control, done, &random);
	if (*wrong)
		snprintf(done->wrong, sizeof(done->wrong), "%s (%d)", wrong, errno);
	_exit(0);
}

static void *shared_memory(size_t length)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

FIXTURE_SETUP(ranges)
{
	int i;

	self->control = open_control();
	ASSERT_LE(0, self->control);
	destroy_region(self->control, NAME);
	ASSERT_EQ(0, create_growable(self->control, NAME, OWN, RANGES_MAX, LENGTH_MAX));
	ASSERT_EQ(0, begin_scene(&self->scene));
	SET(self->scene.bystander->full, true);
	self->tally = shared_memory(sizeof(*self->tally));
	ASSERT_NE(MAP_FAILED, (void *)self->tally);
	self->done = shared_memory(sizeof(*self->done));
	ASSERT_NE(MAP_FAILED, (void *)self->done);
	ASSERT_EQ(0, set_attribute("compact", "background"));
	for (i = 0; i < CLIENTS; i++)
		self->clients[i] = begin_client(self->tally, i, 1 + i);
	for (i = 0; i < ADMINISTRATORS; i++)
		self->administrators[i] = begin_administrator(self, i);
}

FIXTURE_TEARDOWN(ranges)
{
	EXPECT_STREQ("", end_scene(&self->scene));
	close(self->scene.fd);
	EXPECT_TRUE(WAIT_UNTIL(!destroy_region(self->control, NAME)));
}

static int shrink_all(int control)
{
	int range, err = 0;

	for (range = 1; range < RANGES_MAX && (!err || err == -ENOENT); range++)
		err = shrink_region(control, NAME, range);
	return err == -ENOENT ? 0 : err;
}

TEST_F_TIMEOUT(ranges, notice_nothing, 3600)
{
	const char *number = getenv("SHRINKS");
	const unsigned long shrinks = number ? strtoul(number, NULL, 10) : SHRINKS_MIN;
	struct tally *tally = self->tally;
	struct done *done = self->done;
	struct memalloc_stats stats;
	unsigned int round;
	int i;

	for (round = 0; !GET(tally->stop) && !*done->wrong; round++) {
		if (done->emptied >= shrinks || (!number && round == ROUNDS_MAX))
			break;
		sleep_ms(ROUND_MS);
		i = round % CLIENTS;
		kill(self->clients[i], SIGKILL);
		ASSERT_NE(-1, wait_child(self->clients[i]));
		if (!GET(tally->stop))
			self->clients[i] = begin_client(tally, i, 100 + round);
		ASSERT_EQ(0, get_stats(self->scene.fd, &stats));
		ASSERT_STREQ("", stats_wrong(&stats));
	}
	SET(done->stop, true);
	for (i = 0; i < ADMINISTRATORS; i++)
		EXPECT_EQ(0, wait_child(self->administrators[i]));
	end_clients(tally, self->clients);
	printf("# %lu ranges added, %lu given back with buffers in them, %lu busy; %lu moves\n",
	       done->grown, done->emptied, done->busy, done->moved);
	EXPECT_STREQ("", tally->wrong);
	EXPECT_STREQ("", done->wrong);
	EXPECT_LE(shrinks, done->emptied);
	EXPECT_LT(0, done->full);
	EXPECT_EQ(0, shrink_all(self->control));
	ASSERT_EQ(0, get_stats(self->scene.fd, &stats));
	EXPECT_EQ(OWN, stats.region_length);
}

TEST_HARNESS_MAIN
