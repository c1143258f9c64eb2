// SPDX-License-Identifier: MIT
/*
 * What threads wait for, in memory of the drop-in malloc. The kernel has to know that memory as if
 * processes shared it.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "drop_in.h"

static atomic_int step;

static void await_step(int wanted)
{
	while (step != wanted)
		sched_yield();
}

/* A moment that comes while a thread waits for it. */
static struct timespec soon(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_nsec += 10000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* The mutex is locked, the first time until this gives up. */
static void *lock_twice(void *mutex)
{
	struct timespec time = soon();
	bool good = pthread_mutex_timedlock(mutex, &time) == ETIMEDOUT;

	step++;
	good &= !pthread_mutex_lock(mutex) && !pthread_mutex_unlock(mutex);
	return good ? mutex : NULL;
}

static void *lock_and_end(void *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

static int wait_for_mutex(int shared, int robust)
{
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));
	pthread_mutexattr_t attributes;
	pthread_t thread;
	void *answer;

	alarm(100);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, shared);
	pthread_mutexattr_setrobust(&attributes, robust);
	if (pthread_mutex_init(mutex, &attributes) || pthread_mutex_lock(mutex) ||
	    pthread_create(&thread, NULL, lock_twice, mutex))
		return 1;
	await_step(1);
	if (pthread_mutex_unlock(mutex) || pthread_join(thread, &answer) || answer != mutex)
		return 2;
	if (robust != PTHREAD_MUTEX_ROBUST)
		return 0;
	if (pthread_create(&thread, NULL, lock_and_end, mutex) || pthread_join(thread, NULL))
		return 3;
	return pthread_mutex_lock(mutex) != EOWNERDEAD;
}

static int wait_for_shared_mutex(void)
{
	return wait_for_mutex(PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_STALLED);
}

static int wait_for_robust_mutex(void)
{
	return wait_for_mutex(PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_ROBUST);
}

static int wait_for_shared_robust_mutex(void)
{
	return wait_for_mutex(PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST);
}

enum { TURNS = 1000 };

static void *answer_turns(void *data)
{
	sem_t *turns = data;
	int i;

	for (i = 0; i < TURNS; i++)
		if (sem_wait(&turns[0]) || sem_post(&turns[1]))
			return NULL;
	return data;
}

static int wait_for_semaphore(void)
{
	sem_t *turns = malloc(2 * sizeof(*turns));
	pthread_t thread;
	void *answer;
	int i;

	alarm(100);
	if (sem_init(&turns[0], 1, 0) || sem_init(&turns[1], 1, 0) ||
	    pthread_create(&thread, NULL, answer_turns, turns))
		return 1;
	for (i = 0; i < TURNS; i++)
		if (sem_post(&turns[0]) || sem_wait(&turns[1]))
			return 2;
	return pthread_join(thread, &answer) || answer != turns;
}

static void *until_step(void *data)
{
	await_step(1);
	return data;
}

/* What pthread_join() waits for lies in the stack. */
static int wait_for_stack(void)
{
	const size_t size = 256 * KIB;
	pthread_attr_t attributes;
	struct timespec time;
	pthread_t thread;
	void *stack;

	alarm(100);
	pthread_attr_init(&attributes);
	if (posix_memalign(&stack, 4096, size) ||
	    pthread_attr_setstack(&attributes, stack, size) ||
	    pthread_create(&thread, &attributes, until_step, NULL))
		return 1;
	time = soon();
	if (pthread_timedjoin_np(thread, NULL, &time) != ETIMEDOUT)
		return 2;
	step = 1;
	return pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "shared mutex", wait_for_shared_mutex },
		{ "robust mutex", wait_for_robust_mutex },
		{ "shared robust mutex", wait_for_shared_robust_mutex },
		{ "semaphore", wait_for_semaphore },
		{ "stack", wait_for_stack },
		{ NULL, NULL }
	};

	if (argc > 1)
		return run_part(parts, argv[1]);
	is(with_limit(RLIMIT_CORE, 0, "shared mutex"), 0, "threads wait for a shared mutex");
	is(with_limit(RLIMIT_CORE, 0, "robust mutex"), 0, "threads wait for a robust mutex");
	is(with_limit(RLIMIT_CORE, 0, "shared robust mutex"), 0,
	   "threads wait for a mutex that is shared and robust");
	is(with_limit(RLIMIT_CORE, 0, "semaphore"), 0, "threads wait for shared semaphores");
	is(with_limit(RLIMIT_CORE, 0, "stack"), 0,
	   "threads wait for one whose stack is the allocator's");
	return tap_done();
}
