// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long random runs beside the oracle, compared after each step. The seed is printed;
 * given as argument, it makes the run come again. A script that fails is cut down to
 * the calls that it takes, and shown.
 */
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "script.h"

static u64 seed;
static u64 state;

/* A script that is run in a process of its own, which may fail in any way. */
struct script {
	struct script_head head;
	struct script_call call[65536];
	u32 calls;
};

static struct script script;

/* Does it fail? With @aloud, its output is kept. */
static bool fails(const struct script *script, bool aloud)
{
	struct script_run run;
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	EXPECT(child >= 0);
	if (!child) {
		if (!aloud && (!freopen("/dev/null", "w", stdout) ||
			       !freopen("/dev/null", "w", stderr)))
			_exit(2);
		if (setjmp(tap_end))
			_exit(1);
		script_run(&run, script, sizeof(script->head) +
			   script->calls * sizeof(script->call[0]));
		if (aloud)
			printf("%u given, %u refused\n", run.given, run.refused);
		fflush(stdout);
		_exit(run.given > script->calls / 10 && run.refused ? 0 : 3);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	EXPECT_OR(!WIFEXITED(status) || WEXITSTATUS(status) != 3 || !aloud,
		  "too few calls had anything to do");
	return !WIFEXITED(status) || (WEXITSTATUS(status) && WEXITSTATUS(status) != 3);
}

/* Leave out pieces, ever smaller ones, without which it still fails. */
static void shrink(void)
{
	static struct script shorter;
	u32 piece, at;

	for (piece = script.calls / 2; piece; piece /= 2) {
		for (at = 0; at + piece <= script.calls;) {
			shorter = script;
			shorter.calls -= piece;
			memmove(&shorter.call[at], &shorter.call[at + piece],
				(shorter.calls - at) * sizeof(shorter.call[0]));
			if (fails(&shorter, false))
				script = shorter;
			else
				at += piece;
		}
	}
}

static void show(void)
{
	const unsigned char *bytes = (const void *)&script.call;
	u32 i;

	printf("# the shortest script that fails: a heap of %u granules, %s fit, %u calls\n",
	       1 + script_u16(script.head.granules), script_fit(script.head.fit)->name,
	       script.calls);
	for (i = 0; i < script.calls * sizeof(script.call[0]); i++)
		printf("%s%02x%s", i % sizeof(script.call[0]) ? "" : "#   ", bytes[i],
		       (i + 1) % sizeof(script.call[0]) ? " " : "\n");
}

/* Mostly allocate for a while, then mostly free, which misses more often. */
static void make_script(u32 fit, bool crowd, u32 granules, u32 calls)
{
	u32 phase = crowd ? 20 : 10 + granules / 20;
	struct script_call *call;
	u32 i, at;

	script.head = (struct script_head) {
		.fit = fit,
		.crowd = crowd,
		.granules = { (granules - 1) & 255, (granules - 1) >> 8 },
	};
	script.calls = calls;
	for (i = 0; i < calls; i++) {
		call = &script.call[i];
		for (at = 0; at < sizeof(*call); at++)
			((unsigned char *)call)[at] = random_u32(&state);
		/* Most calls are plain ones. */
		if (random_u32(&state) % 4)
			call->what &= 15;
		if (call->what % 16 < 12 && random_u32(&state) % 4)
			call->what = (call->what & ~15) | (i / phase % 3 ? 7 : 0);
		if (random_u32(&state) % 8)
			call->scale &= 127;
		if (!crowd && random_u32(&state) % 8)
			call->scale |= granules < 100 ? 4 : 3;
	}
}

static void run(unsigned int fit, bool crowd, u32 granules, u32 calls)
{
	make_script(fit, crowd, granules, calls);
	printf("# %s fit: ", script_fit(fit)->name);
	if (!fails(&script, true))
		return;
	shrink();
	show();
	fails(&script, true);
	EXPECT_OR(false, "a random script fails; seed %llu", seed);
}

static void run_each_fit(bool crowd, u32 granules, u32 calls)
{
	unsigned int fit;

	for (fit = 0; mal_fits[fit]; fit++)
		run(fit, crowd, granules, calls);
}

static void small_heap(void)
{
	run_each_fit(false, 60, 20000);
}

static void sizes_of_any_magnitude(void)
{
	run_each_fit(false, 3000, 4000);
}

static void sizes_that_crowd_tries(void)
{
	run_each_fit(true, 40000, 1000);
}

static const struct tap_test tests[] = {
	{ "small heap", small_heap },
	{ "sizes of any magnitude", sizes_of_any_magnitude },
	{ "sizes that crowd the tries", sizes_that_crowd_tries },
};

int main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (u64)time(NULL);
	if (!seed)
		seed = 1;		/* xorshift stays at 0 */
	state = seed;
	printf("# seed %llu\n", seed);
	return TAP_RUN(tests);
}
