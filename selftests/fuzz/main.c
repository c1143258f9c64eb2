// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls, each of which the model in this folder knows the answer to: see fuzz.h.
 *
 * Each round has three parts: four workers side by side, three of them users and one root; then
 * root alone; then a user alone. From the environment:
 *
 *   SEED     makes the same calls again (1)
 *   STEPS    calls of a round (200000)
 *   MINUTES  begins rounds, each with the next seed, for that long (0: one round)
 *   STRANGERS  so many others guess all the time what the workers have (0): see strangers.c
 *
 * Meanwhile an administrator makes and destroys other regions: see administrator.c.
 */
#include "fuzz.h"

#include <sched.h>

#define FIRST_UID	3000
#define FIRST_STRANGER	3100

/* In so many calls, each errno has to come so often. In fewer, it is a matter of luck. */
#define MANY_CALLS	200000
#define ENOUGH		20

static unsigned long count[TYPES_MAX][ERRNOS];
static unsigned int differences, leftovers;
static unsigned long moves;	/* calls for which buffers were moved */
static bool on_cpu[2];
static char file_max[32];

static struct worker *workers;
static struct stranger *strangers;
static pid_t stranger_pids[STRANGERS_MAX];
static unsigned int strangers_count, reached;
static unsigned long acts[STRANGERS_ACTS];
static struct administrator *administrator;
static pid_t administrator_pid;
static unsigned int mistaken;
static unsigned long offices_acts[ADMINISTRATORS_ACTS];
static int observer;
static struct memalloc_info info;
static __u64 base, memory_end;

static __u64 number_from(const char *name, __u64 otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

/* Become that user, who is in root's group and so may open the device. */
static bool become(uid_t uid, unsigned int number)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(number % 2, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) || setgroups(0, NULL))
		return false;
	if (uid && setresuid(uid, uid, uid))
		return false;
	/* Lost with the user: that /proc tells us of ourselves, and that we end with our parent. */
	return !prctl(PR_SET_DUMPABLE, 1) && !prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static pid_t start(struct worker *w)
{
	pid_t child = fork_child();

	if (child)
		return child;
	w->card = open_vgem();
	if (!become(w->users[0].uid, w->number) || !prepare(w))
		_exit(1);
	run_steps(w);
	/* With all that it has, which is to come back. */
	_exit(0);
}

static void add_up(const struct worker *w)
{
	unsigned int type, error;

	for (type = 0; type < call_types_count; type++)
		for (error = 0; error < ERRNOS; error++)
			count[type][error] += w->count[type][error];
}

static void finish(struct worker *w, pid_t child)
{
	int status = wait_child(child);

	if (status > 128)
		snprintf(w->wrong, sizeof(w->wrong), "it died of signal %d", status - 128);
	else if (status)
		snprintf(w->wrong, sizeof(w->wrong), "it could not begin");
	add_up(w);
	moves += w->moves;
	if (w->finished)
		on_cpu[w->cpu % 2] = true;
	if (*w->wrong) {
		differences++;
		report(w);
	}
}

/* Nothing is charged to that user any more. */
static bool owes_nothing(uid_t uid)
{
	struct memalloc_limits limits = { 0 };
	int fd, err;

	if (setresuid(uid, -1, -1))
		return false;
	fd = open_device();
	err = setresuid(0, -1, -1) ?: get_limits(fd, &limits);
	close(fd);
	return !err && !limits.user_bytes && !limits.user_buffers;
}

/* All that the workers had has come back, and is paid for by nobody. */
static bool nothing_is_left(void)
{
	unsigned int i, k;
	bool nothing = !release_all(observer) && WAIT_UNTIL(is_idle(observer));

	for (i = 0; i < WORKERS; i++)
		for (k = 0; k < ARRAY_SIZE(workers[i].users); k++)
			nothing &= owes_nothing(workers[i].users[k].uid);
	for (i = 0; i < strangers_count; i++)
		nothing &= owes_nothing(FIRST_STRANGER + i);
	return nothing;
}

/* Others begin, and have what they have: the workers are still to come. */
static bool begin_strangers(bool quiet)
{
	unsigned int i;

	memset(strangers, 0, STRANGERS_MAX * sizeof(*strangers));
	for (i = 0; i < strangers_count; i++) {
		struct stranger *s = &strangers[i];

		*s = (struct stranger){ .number = i, .uid = FIRST_STRANGER + i, .quiet = quiet };
		stranger_pids[i] = fork_child();
		if (!stranger_pids[i]) {
			close(observer);
			if (become(s->uid, i))
				be_strange(s, workers);
			_exit(!s->ready);
		}
		if (!WAIT_UNTIL(__atomic_load_n(&s->ready, __ATOMIC_ACQUIRE)))
			return false;
	}
	return true;
}

static void end_strangers(void)
{
	unsigned int i, act;
	int status;

	for (i = 0; i < strangers_count; i++)
		__atomic_store_n(&strangers[i].stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < strangers_count; i++) {
		const struct stranger *s = &strangers[i];

		status = wait_child(stranger_pids[i]);
		for (act = 0; act < STRANGERS_ACTS; act++)
			acts[act] += s->acts[act];
		if (!status && !*s->wrong)
			continue;
		printf("# stranger %u%s: %s (%d)\n", i, s->quiet ? ", quiet" : "", s->wrong,
		       status);
		reached++;
	}
}

static void begin_administrator(__u64 seed)
{
	memset(administrator, 0, sizeof(*administrator));
	administrator_pid = fork_child();
	if (administrator_pid)
		return;
	close(observer);
	administrate(administrator, seed);
	_exit(0);
}

static void end_administrator(void)
{
	unsigned int act;
	int status;

	__atomic_store_n(&administrator->stop, true, __ATOMIC_RELEASE);
	status = wait_child(administrator_pid);
	for (act = 0; act < ADMINISTRATORS_ACTS; act++)
		offices_acts[act] += administrator->acts[act];
	if (!status && !*administrator->wrong)
		return;
	printf("# administrator: %s (%d)\n", administrator->wrong, status);
	mistaken++;
}

/* Leave two holes to a worker that is alone. */
static bool take_room(struct worker *w)
{
	struct memalloc_alloc hole, most;

	if (alloc_buffer(observer, ALONE_ROOM / 2, &hole) ||
	    alloc_buffer(observer, info.region_length - ALONE_ROOM, &most) ||
	    free_buffer(observer, hole.handle))
		return false;
	/* The observer is root, too. */
	if (w->root)
		w->users[0].charged = (struct amount){ most.real_length, 1 };
	return true;
}

/* What is in use before a worker that is alone begins. */
static bool look_around(struct worker *w)
{
	struct memalloc_block blocks[ARRAY_SIZE(w->others)];
	int i, n;

	if (get_stats(observer, &w->before))
		return false;
	n = read_layout(observer, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));
	for (i = 0; i < n; i++) {
		if (blocks[i].state == MEMALLOC_BLOCK_FREE)
			continue;
		blocks[i].handle = 0;
		w->others[w->other_blocks++] = blocks[i];
	}
	return n > 0;
}

/*
 * Beside others, buffers are moved in the background, however few pieces there are. For a worker
 * that is alone, they are moved when it knows where they are.
 */
static int choose_when_to_move(bool alone)
{
	return set_attribute("compact_threshold", "0") ?:
	       set_attribute("compact", alone ? "never" : "background");
}

/* @n workers, of whom the first is root or not, make @steps calls. */
static bool run_part(unsigned int n, bool root, __u64 seed, unsigned long steps)
{
	pid_t children[WORKERS];
	unsigned int i;

	memset(workers, 0, WORKERS * sizeof(*workers));
	for (i = 0; i < n; i++) {
		struct worker *w = &workers[i];

		w->number = i;
		w->root = root && !i;
		w->alone = n == 1;
		/* Any two are different and none is 0. */
		w->random = 0x9e3779b97f4a7c15ULL * ((seed << 4 | n << 1 | root) * WORKERS + i + 1);
		w->steps = steps / n;
		w->info = info;
		w->base = base;
		w->memory_end = memory_end;
		memcpy(w->file_max, file_max, sizeof(w->file_max));
		w->users[0].uid = w->root ? 0 : FIRST_UID + i;
		w->users[1].uid = FIRST_UID + WORKERS;
	}
	if ((n == 1 && !take_room(workers)) || !begin_strangers(n == 1) ||
	    (n == 1 && !look_around(workers)))
		return false;
	if (n == 1)
		workers->compact = open(ATTRIBUTE("compact"), O_WRONLY);
	if (choose_when_to_move(n == 1))
		return false;
	begin_administrator(seed);
	for (i = 0; i < n; i++) {
		children[i] = start(&workers[i]);
		workers[i].pid = children[i];
	}
	for (i = 0; i < n; i++)
		finish(&workers[i], children[i]);
	end_administrator();
	end_strangers();
	switch_to("good");
	set_attribute("compact", "demand");
	set_attribute("compact_threshold", "500");
	close(observer);
	observer = open_device();
	leftovers += !nothing_is_left();
	return true;
}

static void total(unsigned long *calls, unsigned long *succeeded)
{
	unsigned int type, error;

	*calls = *succeeded = 0;
	for (type = 0; type < call_types_count; type++) {
		*succeeded += count[type][0];
		for (error = 0; error < ERRNOS; error++)
			*calls += count[type][error];
	}
}

static bool run_round(__u64 seed, unsigned long steps)
{
	unsigned long calls, succeeded;
	__u64 begin = now_ms();
	bool ran;

	ksft_print_msg("seed %llu, %u strangers\n", seed, strangers_count);
	ran = run_part(WORKERS, true, seed, steps * 7 / 10) &&
	      run_part(1, true, seed, steps * 2 / 10) &&
	      run_part(1, false, seed, steps * 1 / 10);
	total(&calls, &succeeded);
	ksft_print_msg("seed %llu: %llu ms; %lu calls until now, of which %lu %% succeeded\n",
		       seed, now_ms() - begin, calls, calls ? succeeded * 100 / calls : 0);
	return ran;
}

/* How often what came; whether each errno came often enough that can. */
static bool show_counts(void)
{
	unsigned int type, error, i;
	bool all = true;

	for (type = 0; type < call_types_count; type++) {
		const struct call_type *t = call_types[type];

		printf("# %-20s %7lu", t->name, count[type][0]);
		for (error = 1; error < ERRNOS; error++)
			if (count[type][error])
				printf("  %s %lu", strerrorname_np(error), count[type][error]);
		for (i = 0; i < ARRAY_SIZE(t->errors) && t->errors[i]; i++) {
			if (count[type][t->errors[i]] >= ENOUGH)
				continue;
			all = false;
			printf("  TOO FEW: %s", strerrorname_np(t->errors[i]));
		}
		putchar('\n');
	}
	return all;
}

/* What the strangers did; whether they did each often, and guessed about as much as was called. */
static bool show_acts(unsigned long calls)
{
	unsigned long sum = 0;
	unsigned int act;
	bool each = true;

	printf("# strangers:");
	for (act = 0; act < STRANGERS_ACTS; act++) {
		printf(" %s %lu", stranger_act(act), acts[act]);
		sum += acts[act];
		each &= acts[act] >= calls / 100;
	}
	printf("; %lu in all\n", sum);
	return each && sum >= calls / 2;
}

/* What the administrator did, and whether he did each a few times. */
static bool show_office(void)
{
	unsigned int act;
	bool each = true;

	printf("# administrator:");
	for (act = 0; act < ADMINISTRATORS_ACTS; act++) {
		printf(" %s %lu", administrators_act(act), offices_acts[act]);
		each &= offices_acts[act] >= ENOUGH;
	}
	putchar('\n');
	return each;
}

static bool prepare_device(void)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	int fd = open(FILE_MAX, O_RDONLY);

	if (read(fd, file_max, sizeof(file_max) - 1) < 0)
		return false;
	close(fd);
	observer = open_idle_device();
	memory_end = read_memory_end();
	if (!memory_end || observer < 0 || get_info(observer, &info) ||
	    alloc_buffer(observer, PAGE, &buffer) ||
	    query_physical(observer, buffer.handle, &query))
		return false;
	base = query.physical - offset_of_handle(observer, buffer.handle);
	return !free_buffer(observer, buffer.handle) && !set_attribute("user_bytes", "1M") &&
	       !set_attribute("user_buffers", "36") && !set_attribute("client_bytes", "640K") &&
	       !set_attribute("client_buffers", "16");
}

static void *shared_memory(size_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int main(void)
{
	const unsigned long steps = number_from("STEPS", 200000);
	const __u64 end = now_ms() + number_from("MINUTES", 0) * 60000;
	__u64 seed = number_from("SEED", 1);
	struct memalloc_stats stats = {};
	unsigned long calls, succeeded;
	bool all, ran;

	strangers_count = number_from("STRANGERS", 0);
	ksft_print_header();
	ksft_set_plan(7 + (steps >= MANY_CALLS ? 2 : 0) + (strangers_count ? 2 : 0));
	setlinebuf(stdout);
	workers = shared_memory(WORKERS * sizeof(*workers));
	strangers = shared_memory(STRANGERS_MAX * sizeof(*strangers));
	administrator = shared_memory(sizeof(*administrator));
	if (!workers || !strangers || !administrator || strangers_count > STRANGERS_MAX ||
	    !prepare_device())
		ksft_exit_fail_msg("the device can't be prepared\n");
	do {
		ran = run_round(seed++, steps);
	} while (ran && !differences && !leftovers && !reached && !mistaken && now_ms() < end);

	total(&calls, &succeeded);
	ksft_test_result(!differences, "every_answer_is_the_models\n");
	ksft_test_result(!leftovers, "nothing_is_left\n");
	ksft_test_result(ran && calls >= steps, "all_calls_are_made\n");
	ksft_test_result(on_cpu[0] && on_cpu[1], "both_processors_make_them\n");
	ksft_test_result(succeeded * 100 >= calls * 30, "a_third_succeeds\n");
	ksft_test_result(!mistaken, "administrator_is_answered_as_expected\n");
	ksft_test_result(show_office(), "administrator_works_all_the_time\n");
	all = show_counts();
	get_stats(observer, &stats);
	ksft_print_msg("%llu moves; %lu requests had some\n", stats.moves, moves);
	if (steps >= MANY_CALLS) {
		ksft_test_result(all, "every_errno_comes_often\n");
		ksft_test_result(moves >= ENOUGH, "buffers_are_moved_for_requests\n");
	}
	if (strangers_count) {
		ksft_test_result(!reached, "strangers_get_nothing\n");
		ksft_test_result(show_acts(calls), "strangers_guess_all_the_time\n");
	}
	set_attribute("user_bytes", "0");
	set_attribute("user_buffers", "0");
	set_attribute("client_bytes", "0");
	set_attribute("client_buffers", "0");
	ksft_finished();
}
