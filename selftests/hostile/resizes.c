// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several processes of the attacker's share one descriptor and change the length of one
 * buffer all the time, so that each of them has to begin again and again. Whoever of them is
 * killed ends nonetheless.
 */
#include "hostile.h"

#define PEERS		3
#define VICTIMS		60
#define END_MS		3000
#define PAGES_MAX	64

FIXTURE(resizes) {
	struct scene scene;
	struct memalloc_alloc buffer;
	pid_t peers[PEERS];
};

/* Until it is killed, or a RESIZE answers what it must not. ENOMEM: a peer has what is behind. */
static int resize_for_ever(FIXTURE_DATA(resizes) * self, __u64 random)
{
	int err = become(MALLORY);

	while (!err || err == -ENOMEM)
		err = resize_buffer(self->scene.mallory, self->buffer.handle,
				    PAGE * (1 + random_below(&random, PAGES_MAX)));
	return 1;
}

static pid_t begin_peer(FIXTURE_DATA(resizes) * self, __u64 random)
{
	pid_t child = fork_child();

	if (!child)
		_exit(resize_for_ever(self, random));
	return child;
}

FIXTURE_SETUP(resizes)
{
	int i;

	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, alloc_buffer(self->scene.mallory, PAGES_MAX * PAGE, &self->buffer));
	for (i = 0; i < PEERS; i++)
		self->peers[i] = begin_peer(self, i + 1);
}

FIXTURE_TEARDOWN(resizes)
{
	int i;

	for (i = 0; i < PEERS; i++) {
		kill(self->peers[i], SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(self->peers[i]));
	}
	EXPECT_STREQ("", end_scene(&self->scene));
}

TEST_F_TIMEOUT(resizes, killed_while_others_resize, 300)
{
	__u64 random = 99;
	int i;

	for (i = 0; i < VICTIMS; i++) {
		pid_t victim = begin_peer(self, 100 + i);

		usleep(random_below(&random, 20000));
		ASSERT_EQ(0, kill(victim, SIGKILL));
		ASSERT_EQ(128 + SIGKILL, wait_child_ms(victim, END_MS * self->scene.slow))
			TH_LOG("process %d", i);
	}
}

TEST_HARNESS_MAIN
