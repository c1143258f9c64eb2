// SPDX-License-Identifier: GPL-2.0-only
/*
 * One call: it is chosen, something may be made wrong with how its argument is passed, its errno
 * is predicted, it is made, and all that came of it is compared with what the model says.
 */
#include "fuzz.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/time.h>

static void on_signal(int signal)
{
	(void)signal;
}

/* @length bytes of memory, behind which there is none. */
static char *guarded(size_t length)
{
	char *memory = mmap(NULL, length + PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + length, PAGE, PROT_NONE))
		return NULL;
	return memory;
}

/* A buffer that nothing keeps but our mapping of it. */
static bool map_argument(struct worker *w)
{
	struct client *client = &w->clients[0];
	struct memalloc_alloc alloc;
	struct buffer *buffer;

	if (alloc_buffer(fd_of(client), PAGE, &alloc))
		return false;
	w->in_mapping = map_buffer(fd_of(client), &alloc);
	if (w->in_mapping == MAP_FAILED)
		return false;
	buffer = add_buffer(w, client, PAGE);
	buffer->users = 1;
	buffer->mmap_offset = alloc.mmap_offset;
	return !free_buffer(fd_of(client), alloc.handle) &&
	       (!w->alone || !learn_place(w, client, buffer, 0));
}

bool prepare(struct worker *w)
{
	/* Without SA_RESTART. */
	struct sigaction action = { .sa_handler = on_signal };
	int memory = memfd_create("argument", 0), i;

	if (sigaction(SIGALRM, &action, NULL) || ftruncate(memory, PAGE))
		return false;
	w->ordinary = guarded(2 * PAGE);
	w->entries = guarded(PAGE);
	w->writable = map_at(memory, 0, PAGE, PROT_READ | PROT_WRITE);
	w->read_only = map_at(memory, 0, PAGE, PROT_READ);
	if (!w->ordinary || !w->entries || w->writable == MAP_FAILED || w->read_only == MAP_FAILED)
		return false;

	for (i = 0; i < CLIENTS; i++)
		memset(w->clients[i].fds, 0xff, sizeof(w->clients[i].fds));
	for (i = 0; i < 2; i++)
		open_client(&w->clients[i], open_device(), &w->users[0], true);
	open_client(&w->heap, open_dmaheap(), &w->users[0], false);
	return is_open(&w->clients[0]) && is_open(&w->clients[1]) && is_open(&w->heap) &&
	       map_argument(w);
}

static void choose(struct worker *w, struct call *c)
{
	unsigned int i, shares = 0, pick;

	for (i = 0; i < call_types_count; i++)
		shares += call_types[i]->share;
	do {
		pick = below(w, shares);
		for (i = 0; pick >= call_types[i]->share; i++)
			pick -= call_types[i]->share;
		*c = (struct call){
			.type = call_types[i], .which = i, .step = w->step,
			.request = call_types[i]->request, .size = call_types[i]->size,
		};
		if (c->type->min_size)
			c->arg.header.size = c->size;
	} while (!c->type->choose(w, c));
}

/* A program that knows fewer or more bytes of the argument, or flags that there are not. */
static void vary_size(struct worker *w, struct call *c)
{
	const struct call_type *type = c->type;

	switch (below(w, 6)) {
	case 0:
		c->size = below(w, type->min_size);
		break;
	case 1:
		c->size -= below(w, type->size - type->min_size + 1);
		break;
	case 2:
		c->size += 1 + below(w, 200);
		break;
	case 3:
		c->size += 1 + below(w, 200);
		c->tail = type->size + below(w, c->size - type->size);
		break;
	case 4:
		c->size = PAGE + below(w, PAGE);
		break;
	default:
		c->arg.header.flags |= 1U << below(w, 32) & ~type->flags;
	}
	c->arg.header.size = c->size;
	if (c->size < sizeof(c->arg) && c->size >= sizeof(c->arg.header))
		memset((char *)&c->arg + c->size, 0, sizeof(c->arg) - c->size);
}

static void vary(struct worker *w, struct call *c)
{
	if (!c->request || c->as_is || !one_in(w, 6))
		return;
	if (c->type->min_size && !one_in(w, 3)) {
		vary_size(w, c);
		return;
	}
	c->where = below(w, PLACES);
	if (c->where == HALF)
		c->cut = below(w, c->size);
}

static void predict(struct worker *w, struct call *c)
{
	const struct call_type *type = c->type;

	if (c->request && (c->where == NOWHERE || c->where == HALF)) {
		may_fail(c, EFAULT, true);
		return;
	}
	may_fail(c, EINVAL, c->size < type->min_size);
	may_fail(c, EINVAL, type->min_size && c->arg.header.flags & ~type->flags);
	may_fail(c, E2BIG, type->min_size && (c->tail || c->size > PAGE));
	if (type->predict)
		type->predict(w, c);
	/* As the last thing of all. */
	may_fail(c, EFAULT, c->where == READ_ONLY && !type->no_answer && !c->fails);
}

/* Pass the argument: its address. */
static char *pass(struct worker *w, struct call *c)
{
	__u32 size = c->size < sizeof(__u32) ? sizeof(__u32) : c->size;
	__u32 known = size < sizeof(c->arg) ? size : sizeof(c->arg);
	char *at = w->ordinary + 2 * PAGE - size;

	switch (c->where) {
	case NOWHERE:
		return one_in(w, 2) ? NULL : w->ordinary + 2 * PAGE;
	case HALF:
		at = w->ordinary + 2 * PAGE - c->cut;
		memcpy(at, &c->arg, c->cut);
		return at;
	case READ_ONLY:
		memcpy(w->writable, &c->arg, known);
		return w->read_only;
	case IN_MAPPING:
		memcpy(w->in_mapping, &c->arg, known);
		madvise(w->in_mapping, PAGE, MADV_DONTNEED);
		return w->in_mapping;
	default:
		memset(at, 0, size);
		memcpy(at, &c->arg, known);
		if (c->tail)
			at[c->tail] = 1;
		return at;
	}
}

static int make_scarce(struct worker *w, enum scarce what, bool scarce)
{
	struct rlimit limit;

	if (what == DESCRIPTORS) {
		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = scarce ? 0 : limit.rlim_max;
		return setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (what == FILES && scarce)
		return write_file(FILE_MAX, "0") ?: seteuid(65534);
	if (what == FILES)
		return seteuid(0) ?: write_file(FILE_MAX, w->file_max);
	return 0;
}

/* The answer has come to @at: whether it is, and what is around it, as predicted. */
static const char *answer_wrong(struct call *c, const char *at)
{
	__u32 known = c->size < c->type->size ? c->size : c->type->size;
	__u32 i;

	memcpy(&c->answer, at, known);
	for (i = known; !c->got && i < c->size; i++)
		if (at[i])
			return "something was written behind the answer";
	return NULL;
}

static const char *judge(struct worker *w, struct call *c, const char *at)
{
	const __u32 known = c->size < c->type->size ? c->size : c->type->size;
	const char *wrong = NULL;

	if (c->got >= ERRNOS)
		return "an errno that is none of ours";
	if (c->got ? !c->may[c->got] : c->fails)
		return "another errno was expected";
	w->count[c->which][c->got]++;
	/* Of ALLOC and the dma-heap. */
	if (c->request != MEMALLOC_IOC_RESIZE && c->request != MEMALLOC_IOC_COMPACT)
		w->failures += c->got == ENOMEM || c->got == EFBIG;
	if (c->type->undo && ((c->got == EFAULT && c->where == READ_ONLY) || c->got == EMFILE))
		c->type->undo(w, c);
	if (c->got == EFAULT)
		return NULL;

	if (c->request)
		wrong = answer_wrong(c, at);
	c->expected = c->arg;
	if (!wrong && !c->got && c->type->apply)
		wrong = c->type->apply(w, c);
	if (!wrong && !c->got && c->type->frees)
		wrong = charge_wrong(w);
	if (!wrong && c->request && memcmp(&c->answer, &c->expected, known))
		wrong = c->got ? "it failed, and changed its argument" : "the answer is wrong";
	return wrong;
}

static const char *step(struct worker *w, struct call *c)
{
	const char *wrong = NULL;
	char *at = NULL;
	int ret;

	choose(w, c);
	vary(w, c);
	predict(w, c);
	if (c->request)
		at = pass(w, c);
	if (c->scarce && make_scarce(w, c->scarce, true))
		return "descriptors can't be made scarce";
	errno = 0;
	if (c->type->make)
		ret = c->type->make(w, c, at) ? errno : 0;
	else if (c->moves)
		wrong = call_that_moves(w, c, at, &ret);
	else
		ret = ioctl(fd_of(c->client), c->request, at) ? errno : 0;
	if (wrong)
		return wrong;
	c->got = ret;
	if (c->scarce && make_scarce(w, c->scarce, false))
		return "descriptors can't be made plenty again";
	return judge(w, c, at);
}

void run_steps(struct worker *w)
{
	const char *wrong = NULL;

	for (; !wrong && w->step < w->steps; w->step++) {
		wrong = step(w, &w->log[w->step % LOG]);
		if (wrong)
			snprintf(w->wrong, sizeof(w->wrong), "%s", wrong);
	}
	w->finished = true;
	w->cpu = sched_getcpu();
}

/* As { "length: flags" } says: "length=0x1000 flags=0" */
static void print_fields(const char *const *fields, const union argument *argument)
{
	const char *at = (const char *)argument, *names;
	char name[32];
	int n;

	for (; *fields; fields++) {
		for (names = *fields; sscanf(names, " %31s%n", name, &n) == 1; names += n) {
			bool wide = name[strlen(name) - 1] == ':';
			__u64 value = 0;

			name[strcspn(name, ":")] = 0;
			memcpy(&value, at, wide ? 8 : 4);
			at += wide ? 8 : 4;
			printf(" %s=%#llx", name, value);
		}
	}
	putchar('\n');
}

static void print_call(const struct worker *w, const struct call *c)
{
	static const char *const places[] = {
		[IN_MAPPING] = " in a mapping", [READ_ONLY] = " in read-only memory",
		[HALF] = " half of it", [NOWHERE] = " in no memory",
	};
	const char *got = c->got ? strerrorname_np(c->got) : "0";

	printf("# %lu %s", c->step, c->type->name);
	if (c->client && c->client != &w->heap)
		printf(" client %d", (int)(c->client - w->clients));
	printf(" size %u%s%s%s%s%s ->", c->size, c->where ? places[c->where] : "",
	       c->tail ? " with a tail" : "", c->bad_blocks ? " bad blocks" : "",
	       c->scarce ? " no descriptor left" : "", c->fenced ? " fenced" : "");
	printf(" %s:", got ?: "?");
	print_fields(c->type->fields, &c->arg);
}

void report(const struct worker *w)
{
	/* If it died, then in the midst of a call. */
	unsigned long end = w->step + !w->finished, i;
	const struct call *last = &w->log[(end - 1) % LOG];

	printf("# The last calls of worker %u (%s, %s):\n", w->number, w->root ? "root" : "a user",
	       w->alone ? "alone" : "beside others");
	for (i = end > LOG ? end - LOG : 0; i < end; i++)
		print_call(w, &w->log[i % LOG]);
	printf("# The last one: %s. Expected:", w->wrong);
	for (i = 0; i < ERRNOS; i++)
		if (last->may[i])
			printf(" %s", strerrorname_np(i) ?: "?");
	printf("%s\n# Answer:  ", last->fails ? "" : " 0");
	print_fields(last->type->fields, &last->answer);
	printf("# Expected:");
	print_fields(last->type->fields, &last->expected);
}
