// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers are moved without pause, while four clients write patterns to theirs and read them back,
 * each in a way of its own, and are killed in the middle of it. No byte is ever wrong. Of each
 * client, pages are held that were to be moved, and it has to wait for moves: the kernel's tracing
 * tells how often. MOVES=n: go on until so many buffers of the clients were moved.
 */
#include "clients.h"
#include "tracefs.h"

#include <sys/stat.h>

#define INSTANCE	TRACEFS "/instances/moves/"
#define EVENTS		INSTANCE "events/memalloc/"

#define FILLERS		16		/* buffers without bytes, which only make pieces */
#define ROOM		(96 * MIB)	/* of the region, for all of them */
#define MOVES_MIN	1000
#define ROUND_MS	300

static __attribute__((constructor)) void needs_memory_that_moves(void)
{
	skip_program_if(!memory_moves(), "buffers of this region can't be moved");
}

/* What the kernel tells of a client's buffers. */
struct seen {
	unsigned long moves;
	unsigned long refused;	/* moves, since pages were held */
	unsigned long waits;	/* of accesses in its way */
};

FIXTURE(moves) {
	struct scene scene;
	struct tally *tally;
	struct memalloc_alloc rest;
	struct memalloc_alloc fillers[FILLERS];
	pid_t clients[CLIENTS];
	__u64 random;
	int pipe;			/* of events */
	struct seen seen[CLIENTS];
};

/* Events of moves, of held pages, and of page faults that waited. The file's descriptor, or -1. */
static int begin_events(void)
{
	if (mount_tracefs() || (mkdir(INSTANCE, 0700) && errno != EEXIST) ||
	    write_file(EVENTS "memalloc_stay/filter", "reason == 1") ||
	    write_file(EVENTS "memalloc_move/enable", "1") ||
	    write_file(EVENTS "memalloc_stay/enable", "1") ||
	    write_file(EVENTS "memalloc_wait/enable", "1"))
		return -1;
	return open(INSTANCE "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static void end_events(int pipe)
{
	close(pipe);
	rmdir(INSTANCE);
}

static void count_event(struct seen *seen, const char *line)
{
	const char *event = strstr(line, " memalloc_"), *length, *user;
	int client;

	length = event ? strstr(event, " length=") : NULL;
	client = length ? client_of(strtoull(length + 8, NULL, 10)) : -1;
	if (client < 0 || client >= CLIENTS)
		return;
	seen += client;
	seen->moves += !strncmp(event, " memalloc_move:", 15);
	seen->refused += !strncmp(event, " memalloc_stay:", 15);
	user = strstr(length, " user=");
	/* Direct I/O is the kernel's access, for the program. */
	seen->waits += user && (user[6] == '1') == (client == BY_MAPPING || client == BY_DMABUF);
}

static void count_events(FIXTURE_DATA(moves) * self)
{
	static char events[1 << 16];
	static size_t kept;		/* of a line that has not ended */
	char *line, *end;
	ssize_t n;

	while ((n = read(self->pipe, events + kept, sizeof(events) - 1 - kept)) > 0) {
		events[kept + n] = 0;
		for (line = events; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			count_event(self->seen, line);
		}
		kept = strlen(line);
		memmove(events, line, kept);
	}
}

FIXTURE_SETUP(moves)
{
	struct memalloc_stats stats;
	int i;

	memset(self->fillers, 0, sizeof(self->fillers));
	memset(self->seen, 0, sizeof(self->seen));
	self->random = 7;
	ASSERT_EQ(0, begin_scene(&self->scene));
	SET(self->scene.bystander->full, true);
	self->tally = mmap(NULL, sizeof(*self->tally), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->tally);
	self->pipe = begin_events();
	ASSERT_LE(0, self->pipe);
	/* Those who work take all that there is: it is the moving that is looked at. */
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, -10));
	ASSERT_EQ(0, get_stats(self->scene.fd, &stats));
	ASSERT_EQ(0, alloc_buffer(self->scene.fd, stats.largest_free - ROOM, &self->rest));
	for (i = 0; i < CLIENTS; i++)
		self->clients[i] = begin_client(self->tally, i, 1 + i);
}

FIXTURE_TEARDOWN(moves)
{
	int i;

	for (i = 0; i < FILLERS; i++)
		if (self->fillers[i].handle)
			EXPECT_EQ(0, free_buffer(self->scene.fd, self->fillers[i].handle));
	EXPECT_EQ(0, free_buffer(self->scene.fd, self->rest.handle));
	end_events(self->pipe);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* Something comes or goes, so that what is free lies in pieces again. */
static int make_pieces(FIXTURE_DATA(moves) * self)
{
	struct memalloc_alloc *filler = &self->fillers[random_below(&self->random, FILLERS)];
	const int fd = self->scene.fd;
	int err = 0;

	if (filler->handle)
		err = free_buffer(fd, filler->handle);
	filler->handle = 0;
	if (!err && alloc_buffer(fd, random_pages(&self->random) * PAGE, filler))
		filler->handle = 0;
	return err;
}

static int move_for_a_while(FIXTURE_DATA(moves) * self)
{
	const __u64 end = now_ms() + ROUND_MS;
	int err = 0;

	while (!err && now_ms() < end && !GET(self->tally->stop)) {
		/* Buffers become longer meanwhile, and some then have more than is left of it. */
		struct memalloc_compact arg = {
			.size = sizeof(arg),
			.budget = random_below(&self->random, 2) ? UINT64_MAX :
				  random_pages(&self->random) * PAGE,
		};

		err = make_pieces(self) ?: call(self->scene.fd, MEMALLOC_IOC_COMPACT, &arg);
	}
	count_events(self);
	return err;
}

static unsigned long count_moves(const struct seen *seen)
{
	unsigned long moves = 0;
	int i;

	for (i = 0; i < CLIENTS; i++)
		moves += seen[i].moves;
	return moves;
}

/*
 * @moves in all; each client was in the way, and waited, once for a thousand, but ten times; and it
 * has used buffers in all ways.
 */
static bool has_seen_enough(const FIXTURE_DATA(moves) * self, unsigned long moves)
{
	const unsigned long each = moves < 10000 ? 10 : moves / 1000;
	const struct seen *seen = self->seen;
	int i, use;

	for (i = 0; i < CLIENTS; i++) {
		if (seen[i].refused < each || seen[i].waits < each)
			return false;
		for (use = 0; use < USES; use++)
			if (!GET(self->tally->uses[i][use]))
				return false;
	}
	return count_moves(seen) >= moves;
}

static void tell(const struct seen *seen)
{
	int i;

	printf("# %lu moves;", count_moves(seen));
	for (i = 0; i < CLIENTS; i++)
		printf(" %s: %lu, %lu refused, %lu waits;", client_names[i], seen[i].moves,
		       seen[i].refused, seen[i].waits);
	printf("\n");
	fflush(stdout);
}

TEST_F_TIMEOUT(moves, notice_nothing, 4 * 3600)
{
	const char *number = getenv("MOVES");
	const unsigned long moves = number ? strtoul(number, NULL, 10) : MOVES_MIN;
	struct tally *tally = self->tally;
	unsigned long told = moves / 10;
	unsigned int round;
	int i;

	for (round = 0; !GET(tally->stop); round++) {
		if (has_seen_enough(self, moves) || count_moves(self->seen) > 30 * moves)
			break;
		ASSERT_EQ(0, move_for_a_while(self));
		i = round % CLIENTS;
		kill(self->clients[i], SIGKILL);
		ASSERT_NE(-1, wait_child(self->clients[i]));
		if (!GET(tally->stop))
			self->clients[i] = begin_client(tally, i, 100 + round);
		if (count_moves(self->seen) < told)
			continue;
		tell(self->seen);
		told += moves / 10;
	}
	end_clients(tally, self->clients);
	EXPECT_STREQ("", tally->wrong);
	tell(self->seen);
	EXPECT_TRUE(has_seen_enough(self, moves));
}

TEST_HARNESS_MAIN
