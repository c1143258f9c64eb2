// SPDX-License-Identifier: MIT
/*
 * What misuse of the drop-in malloc ends in.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "drop_in.h"

/* Does @misuse end in abort(), and is @what said? */
static void dies(void (*misuse)(void), const char *what, const char *name)
{
	struct rlimit no_core = { 0 };
	char said[500] = "";
	ssize_t got, length = 0;
	int ends[2], status;
	pid_t child;
	bool good;

	if (pipe(ends))
		exit(1);
	child = fork();
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(ends[1], 2);
		misuse();
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
		length += got;
	close(ends[0]);
	waitpid(child, &status, 0);
	good = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	       !strncmp(said, "memalloc: ", 10) && strstr(said, what);
	if (!good)
		printf("# status %d, said: %s\n", status, said);
	ok(good, name);
}

static void twice(size_t size)
{
	char *p = malloc(size);

	malloc(size);
	free(p);
	free(hidden(p));
}

static void twice_small(void)
{
	twice(100);
}

static void twice_large(void)
{
	twice(MIB);
}

/* Nothing else of its slab is in use, so the slab goes back. */
static void twice_after_many(void)
{
	char *p = malloc(3000), *others[2000];
	int i;

	for (i = 0; i < 2000; i++)
		others[i] = malloc(3000);
	for (i = 0; i < 2000; i++)
		free(others[i]);
	free(p);
	free(p);
}

static void inside_small(void)
{
	free((char *)malloc(100) + 16);
}

static void inside_large(void)
{
	free((char *)malloc(MIB) + 65536);
}

static void inside_large_odd(void)
{
	free((char *)malloc(MIB) + 24);
}

static void foreign_stack(void)
{
	char byte[64];

	free(hidden(byte));
}

static void foreign_map(void)
{
	free(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void foreign_number(void)
{
	free(hidden((void *)4096));
}

static void past_the_last(void)
{
	char *p = malloc(32768), *highest = p;
	int i;

	for (i = 0; i < 1000; i++) {
		p = malloc(32768);
		if (p > highest)
			highest = p;
	}
	free(highest + 16 * MIB);
}

static void realloc_freed(void)
{
	char *p = malloc(100);

	free(p);
	hidden(realloc(hidden(p), 200));
}

static void realloc_freed_large(void)
{
	char *p = malloc(MIB);

	free(p);
	hidden(realloc(hidden(p), 2 * MIB));
}

static void realloc_freed_to_nothing(void)
{
	char *p = malloc(100);

	free(p);
	hidden(realloc(hidden(p), 0));
}

static void realloc_foreign(void)
{
	char byte[64];

	hidden(realloc(hidden(byte), 100));
}

static void realloc_inside(void)
{
	hidden(realloc((char *)hidden(malloc(100)) + 16, 200));
}

static void realloc_inside_large(void)
{
	hidden(realloc((char *)hidden(malloc(MIB)) + 65536, 2 * MIB));
}

static void usable_of_foreign(void)
{
	char byte[64];

	malloc_usable_size(hidden(byte));
}

static void usable_of_freed(void)
{
	char *p = malloc(100);

	free(p);
	malloc_usable_size(p);
}

static void free_elsewhere(void *p)
{
	pthread_t thread;

	pthread_create(&thread, NULL, free_it, p);
	pthread_join(thread, NULL);
}

static void twice_elsewhere(void)
{
	char *p = malloc(100);

	free_elsewhere(p);
	free_elsewhere(p);
}

static void here_then_elsewhere(void)
{
	char *p = malloc(100);

	free(p);
	free_elsewhere(p);
}

static void elsewhere_then_here(void)
{
	char *p = malloc(100);

	free_elsewhere(p);
	free(p);
}

static pthread_barrier_t both;

static void *free_at_once(void *p)
{
	pthread_barrier_wait(&both);
	free(p);
	return NULL;
}

/* The thread that comes second is the one that ends the program. */
static void twice_at_once(void)
{
	char *p = malloc(100);
	pthread_t threads[2];
	int i;

	pthread_barrier_init(&both, NULL, 2);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, free_at_once, p);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void inside_elsewhere(void)
{
	free_elsewhere((char *)malloc(100) + 1);
}

static void test_misuse(void)
{
	dies(twice_small, "freed twice", "double free: small");
	dies(twice_large, "freed twice", "double free: large");
	dies(twice_after_many, "freed twice", "double free: of memory that went back");
	dies(inside_small, "points into an object", "free inside a small object");
	dies(inside_large, "not a pointer that malloc gave", "free inside a large block");
	dies(inside_large_odd, "not a pointer that malloc gave", "free inside a large block, odd");
	dies(foreign_stack, "not a pointer that malloc gave", "free of the stack");
	dies(foreign_map, "not a pointer that malloc gave", "free of a mapping");
	dies(foreign_number, "not a pointer that malloc gave", "free of a small number");
	dies(past_the_last, "not a pointer that malloc gave", "free of addresses without memory");
	dies(realloc_freed, "freed twice", "realloc of what is free");
	dies(realloc_freed_large, "freed twice", "realloc of what is free, large");
	dies(realloc_freed_to_nothing, "freed twice", "realloc of what is free, to 0");
	dies(realloc_foreign, "not a pointer that malloc gave", "realloc of the stack");
	dies(realloc_inside, "points into an object", "realloc inside a small object");
	dies(realloc_inside_large, "not a pointer that malloc gave", "realloc inside a block");
	dies(usable_of_foreign, "not a pointer that malloc gave", "usable size of the stack");
	dies(usable_of_freed, "malloc_usable_size(0x", "malloc_usable_size of what is free");
	dies(twice_elsewhere, "freed twice", "double free: both by another thread");
	dies(twice_at_once, "freed twice", "double free: by two threads at once");
	dies(here_then_elsewhere, "freed twice", "double free: the second by another thread");
	dies(elsewhere_then_here, "freed twice", "double free: the first by another thread");
	dies(inside_elsewhere, "points into an object", "free inside an object by another thread");
}

/* A mapping of the program among the allocator's addresses is no block. */
static void foreign_among_ours(void)
{
	char *p = memalign(4 * MIB, 4 * MIB), *other;
	int i;

	other = mmap(p + 8 * MIB, 4 * MIB, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	for (i = 0; i < 50; i++)
		malloc(MIB);
	free(other);
}

int main(void)
{
	test_misuse();
	dies(foreign_among_ours, "not a pointer that malloc gave", "free of others' addresses");
	return tap_done();
}
