// SPDX-License-Identifier: MIT
/*
 * fork() with the drop-in malloc: in threads, in signal handlers, with the C library's locks.
 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>

#include "drop_in.h"

static atomic_bool stop;

static void *churn(void *unused)
{
	void *slots[64] = { 0 };
	unsigned int i = 0;

	while (!stop) {
		i = i * 1103515245 + 12345;
		free(slots[i >> 16 & 63]);
		slots[i >> 16 & 63] = malloc((i >> 22 & 15) == 0 ? 100000 : i >> 24);
	}
	for (i = 0; i < 64; i++)
		free(slots[i]);
	return unused;
}

/* What the parent had is there, and neither's changes are seen by the other. */
static int in_child(unsigned char **blocks, int count)
{
	pthread_t thread;
	int i;

	for (i = 0; i < count; i++)
		if (!all_bytes(blocks[i], 1000 + i, i))
			return 1;
	for (i = 0; i < count; i++) {
		memset(blocks[i], 0xcc, 1000 + i);
		if (i % 2)
			free(blocks[i]);
	}
	for (i = 0; i < 1000; i++)
		memset(malloc(i * 50), 0xcc, i * 50);
	stop = true;
	if (pthread_create(&thread, NULL, churn, NULL) || pthread_join(thread, NULL))
		return 2;
	return 0;
}

static void test_fork(void)
{
	enum { COUNT = 200, FORKS = 30 };
	unsigned char *blocks[COUNT];
	bool children = true, kept = true;
	pthread_t threads[3];
	int i, status;
	pid_t child;

	for (i = 0; i < COUNT; i++) {
		blocks[i] = malloc(1000 + i);
		memset(blocks[i], i, 1000 + i);
	}
	for (i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	for (i = 0; i < FORKS; i++) {
		child = fork();
		if (!child)
			_exit(in_child(blocks, COUNT));
		children &= waitpid(child, &status, 0) == child && status == 0;
	}
	for (i = 0; i < COUNT; i++) {
		kept &= all_bytes(blocks[i], 1000 + i, i);
		free(blocks[i]);
	}
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ok(children, "fork while threads allocate: the child can do everything");
	ok(kept, "fork while threads allocate: the parent has its own memory");
}

/* The C library's fork() resets locks and values of other threads, in the child. */
static FILE *locked_file;
static pthread_key_t keys[40];
static pthread_barrier_t barrier;

/* Opened by the first call of all. */
__attribute__((constructor(101))) static void open_first(void)
{
	locked_file = fopen("/dev/null", "w");
}

static void *lock_and_remember(void *data)
{
	flockfile(locked_file);
	pthread_setspecific(keys[39], data);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	data = pthread_getspecific(keys[39]);
	funlockfile(locked_file);
	return data;
}

static void test_fork_and_libc(void)
{
	pthread_t thread;
	bool locked, parent;
	void *value;
	pid_t child;
	int i;

	for (i = 0; i < 40; i++)
		pthread_key_create(&keys[i], NULL);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, lock_and_remember, keys);
	pthread_barrier_wait(&barrier);
	child = fork();
	if (!child)
		_exit(0);
	parent = waitpid(child, NULL, 0) == child;
	locked = ftrylockfile(locked_file);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, &value);
	ok(parent && locked, "fork while a thread has a FILE's lock: it keeps it");
	ok(value == keys, "fork while a thread has values of keys: it keeps them");
	for (i = 0; i < 40; i++)
		pthread_key_delete(keys[i]);
	fclose(locked_file);
}

static atomic_int forks;
static atomic_bool forks_good = true;

/* Soon, but after the interrupted code has run for a while, however long a fork takes. */
static void send_signal_soon(void)
{
	const struct itimerval soon = { .it_value.tv_usec = 1000 };

	setitimer(ITIMER_PROF, &soon, NULL);
}

/* Comes in the middle of anything. Every other child goes on with the interrupted code. */
static void fork_in_handler(int signal)
{
	pid_t child = fork();
	int status;

	if (!child && forks % 2)
		_exit(0);
	if (!child) {
		alarm(100);
		forks = INT_MAX;
		return;
	}
	forks_good &= waitpid(child, &status, 0) == child && status == 0;
	forks++;
	send_signal_soon();
	(void)signal;
}

/* If a lock is never given back, alarm() ends this. */
static int fork_by_signals(void)
{
	size_t size;

	signal(SIGPROF, fork_in_handler);
	alarm(100);
	send_signal_soon();
	while (forks < 200)
		for (size = 10; size < MIB; size *= 2)
			free(hidden(malloc(size)));
	return !forks_good;
}

/*
 * fork() waits for the lock of the list of FILEs, the thread that has it for the lock of a FILE,
 * and the thread that has that one for memory.
 */
static void *flush_all(void *unused)
{
	while (!stop)
		fflush(NULL);
	return unused;
}

static void *allocate_with_a_file(void *unused)
{
	FILE *file = fopen("/dev/null", "w");

	while (!stop) {
		flockfile(file);
		free(hidden(malloc(100000)));
		funlockfile(file);
	}
	fclose(file);
	return unused;
}

static int fork_and_files(void)
{
	pthread_t threads[2];
	bool good = true;
	int status, i;
	pid_t child;

	alarm(100);
	pthread_create(&threads[0], NULL, flush_all, NULL);
	pthread_create(&threads[1], NULL, allocate_with_a_file, NULL);
	for (i = 0; i < 300; i++) {
		child = fork();
		if (!child)
			_exit(0);
		good &= waitpid(child, &status, 0) == child && status == 0;
	}
	stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return !good;
}

static _Atomic pid_t *who_was_told;

static void tell_who(int signal)
{
	*who_was_told = getpid();
	(void)signal;
}

/* Signals all, until it or its parent is killed. */
static void signal_all(pid_t parent)
{
	signal(SIGUSR1, SIG_IGN);
	while (getppid() == parent) {
		kill(0, SIGUSR1);
		usleep(20);
	}
	_exit(0);
}

/* A child gets signals as soon as it is there. What its handlers write is its own. */
static int fork_and_signals(void)
{
	pid_t child, sender;
	bool good = true;
	int i;

	alarm(100);
	setpgid(0, 0);
	signal(SIGUSR1, tell_who);
	who_was_told = malloc(sizeof(*who_was_told));
	*who_was_told = getpid();
	sender = fork();
	if (!sender)
		signal_all(*who_was_told);
	for (i = 0; i < 500; i++) {
		child = fork();
		if (!child)
			_exit(0);
		while (waitpid(child, NULL, 0) < 0)
			;
		good &= *who_was_told == getpid();
	}
	kill(sender, SIGKILL);
	return !good;
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "fork by signals", fork_by_signals },
		{ "fork and files", fork_and_files },
		{ "fork and signals", fork_and_signals },
		{ NULL, NULL }
	};

	if (argc > 1)
		return run_part(parts, argv[1]);
	test_fork();
	test_fork_and_libc();
	is(with_limit(RLIMIT_CORE, 0, "fork by signals"), 0,
	   "fork in signal handlers, whatever they interrupt");
	is(with_limit(RLIMIT_CORE, 0, "fork and files"), 0,
	   "fork while threads allocate with a file's lock, and flush all files");
	is(with_limit(RLIMIT_CORE, 0, "fork and signals"), 0,
	   "fork while signals arrive: handlers in the child write to its own memory");
	return tap_done();
}
