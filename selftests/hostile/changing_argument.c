// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker changes a call's argument while the kernel is at it: what it says, how long
 * it is, and whether it can be read or written. Each call does what the argument said at
 * one moment, or nothing at all: no handle, descriptor or buffer is lost, and nothing is
 * written behind the end that was told. An argument that never can be written is in abi.c.
 */
#include "calls.h"

#include <sys/uio.h>

FIXTURE(changing_argument) {
	struct scene scene;
	unsigned int rounds;
	struct subject subject;
	union argument *arg;
};

FIXTURE_SETUP(changing_argument)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
	self->rounds = 3000 / self->scene.slow;
	ASSERT_EQ(0, as_user(MALLORY));
	ASSERT_EQ(0, make_subject(&self->subject, 3 * PAGE));
	self->arg = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->arg);
}

FIXTURE_TEARDOWN(changing_argument)
{
	drop_subject(&self->subject);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* Changes a word of the argument to and fro, or its page's protection. */
struct changer {
	pthread_t id;
	__u32 *word;		/* NULL: the protection */
	__u32 values[2];
	void *page;
	bool stop;
};

static void *change(void *data)
{
	struct changer *changer = data;
	unsigned int i;

	for (i = 0; !GET(changer->stop); i++) {
		if (changer->word)
			SET(*changer->word, changer->values[i % 2]);
		else
			mprotect(changer->page, PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE);
	}
	mprotect(changer->page, PAGE, PROT_READ | PROT_WRITE);
	return NULL;
}

static int begin_to_change(struct changer *changer, void *page)
{
	changer->stop = false;
	changer->page = page;
	if (changer->word)
		*changer->word = changer->values[0];
	return pthread_create(&changer->id, NULL, change, changer);
}

static int end_to_change(struct changer *changer)
{
	SET(changer->stop, true);
	return pthread_join(changer->id, NULL);
}

/* Now and then it can't be written when the answer is there. */
TEST_F_TIMEOUT(changing_argument, can_not_be_written_at_times, 600)
{
	struct changer changer = { .word = NULL };
	const int open_before = descriptors();
	unsigned int i, which, done, failed, failures = 0, spin;
	__u64 random = 1;

	for (which = 0; which < ARRAY_SIZE(hostile_calls); which++) {
		const struct hostile_call *c = &hostile_calls[which];
		union argument copy;
		int err;

		ASSERT_EQ(0, begin_to_change(&changer, self->arg));
		for (i = done = failed = 0; i < self->rounds; i++) {
			struct iovec from = { &copy, c->size }, to = { self->arg, c->size };

			right_argument(c, &self->subject, &copy);
			/* Where it can't be written now, it is tried again. */
			while (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != c->size)
				;
			for (spin = random_below(&random, 5000); spin; spin--)
				__atomic_signal_fence(__ATOMIC_SEQ_CST);
			err = call(self->subject.fd, c->request, self->arg);
			ASSERT_TRUE(!err || err == -EFAULT)
				TH_LOG("%s answered %d", c->name, err);
			done += !err;
			failed += !!err;
			if (!err)
				ASSERT_EQ(0, c->undo(self->arg, &self->subject));
		}
		ASSERT_EQ(0, end_to_change(&changer));
		TH_LOG("%s: %u times done, %u times not", c->name, done, failed);
		EXPECT_LT(0, done);
		EXPECT_TRUE(is_untouched(&self->subject));
		EXPECT_EQ(open_before, descriptors());
		failures += failed;
	}
	EXPECT_LT(0, failures);
}

/* What the first version of an argument does not have is left alone when it was told to be that. */
TEST_F_TIMEOUT(changing_argument, has_two_sizes, 600)
{
	static const struct {
		unsigned int request;
		__u32 first, now;
	} grown[] = {
		{ MEMALLOC_IOC_ALLOC, 48, sizeof(struct memalloc_alloc) },
		{ MEMALLOC_IOC_QUERY, 40, sizeof(struct memalloc_query) },
		{ MEMALLOC_IOC_STATS, 128, sizeof(struct memalloc_stats) },
	};
	unsigned char *bytes = (unsigned char *)self->arg;
	unsigned int i, which, done, refused;

	for (which = 0; which < ARRAY_SIZE(hostile_calls); which++) {
		const struct hostile_call *c = &hostile_calls[which];
		__u32 first = c->size;
		struct changer changer = { .word = &self->arg->header.size };
		int err;

		for (i = 0; i < ARRAY_SIZE(grown); i++)
			if (grown[i].request == c->request)
				first = grown[i].first;
		changer.values[0] = first;
		changer.values[1] = PAGE;
		ASSERT_EQ(0, begin_to_change(&changer, self->arg));
		for (i = done = refused = 0; i < self->rounds || !done || !refused; i++) {
			union argument right;
			__u32 at;

			right_argument(c, &self->subject, &right);
			memcpy(bytes + 4, (unsigned char *)&right + 4, first - 4);
			memset(bytes + first, 0xff, PAGE - first);
			err = call(self->subject.fd, c->request, self->arg);
			ASSERT_TRUE(!err || err == -E2BIG)
				TH_LOG("%s answered %d", c->name, err);
			done += !err;
			refused += !!err;
			for (at = first; at < PAGE && bytes[at] == 0xff; at++)
				;
			ASSERT_EQ(PAGE, at)
				TH_LOG("%s wrote byte %u of %u", c->name, at, first);
			if (!err)
				ASSERT_EQ(0, c->undo(self->arg, &self->subject));
		}
		ASSERT_EQ(0, end_to_change(&changer));
		TH_LOG("%s: %u times done, %u times refused", c->name, done, refused);
		EXPECT_TRUE(is_untouched(&self->subject));
	}
}

/* Of two handles, it is one or the other. */
TEST_F_TIMEOUT(changing_argument, has_two_handles, 600)
{
	struct changer changer = { .word = &self->arg->query.handle };
	unsigned int i, found = 0;

	*self->arg = (union argument){ .query = {
		.size = sizeof(self->arg->query), .handle = self->subject.buffer.handle } };
	changer.values[0] = self->subject.buffer.handle;
	changer.values[1] = self->subject.buffer.handle + 1000;
	ASSERT_EQ(0, begin_to_change(&changer, self->arg));
	for (i = 0; i < self->rounds || !found || found == i; i++) {
		int err = call(self->subject.fd, MEMALLOC_IOC_QUERY, self->arg);

		ASSERT_TRUE(!err || err == -ENOENT);
		found += !err;
		if (!err)
			ASSERT_EQ(3 * PAGE, self->arg->query.real_length);
	}
	ASSERT_EQ(0, end_to_change(&changer));
	TH_LOG("%u of %u times found", found, i);
}

TEST_HARNESS_MAIN
