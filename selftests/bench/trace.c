// SPDX-License-Identifier: GPL-2.0-only
/* Reading a trace: names become numbers, bytes become granules. See trace.h. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "trace.h"

/* What is known of a name while the file is read. */
struct name {
	u64 name;
	u64 bytes;		/* of its block, if that is live */
	u32 granules;		/* 0: it is not */
	u32 block;
	bool known;
};

struct reader {
	const char *path;
	u32 line;
	u32 granule;
	struct trace trace;
	u32 room;		/* for operations */
	struct name *names;	/* a hash table with open addressing, never more than half full */
	u32 slots;		/* a power of two */
	u64 live_bytes;
	u64 live_granules;
};

static void *grow(void *memory, size_t count, size_t size)
{
	memory = reallocarray(memory, count, size);
	if (!memory)
		err(1, "trace");
	return memory;
}

static struct name *slot_of(struct reader *reader, u64 name)
{
	u32 slot = name * 0x9e3779b97f4a7c15 >> 32;

	for (;; slot++) {
		slot &= reader->slots - 1;
		if (!reader->names[slot].known || reader->names[slot].name == name)
			return &reader->names[slot];
	}
}

static void grow_names(struct reader *reader)
{
	struct name *old = reader->names;
	u32 slots = reader->slots;
	u32 i;

	reader->slots = slots ? 2 * slots : 1024;
	reader->names = calloc(reader->slots, sizeof(*reader->names));
	if (!reader->names)
		err(1, "trace");
	for (i = 0; i < slots; i++)
		if (old[i].known)
			*slot_of(reader, old[i].name) = old[i];
	free(old);
}

static struct name *look_up(struct reader *reader, u64 name, bool live)
{
	struct name *entry;

	if (2 * reader->trace.blocks >= reader->slots)
		grow_names(reader);
	entry = slot_of(reader, name);
	if (!entry->known)
		*entry = (struct name) {
			.name = name, .block = reader->trace.blocks++, .known = true,
		};
	if (!!entry->granules != live)
		errx(1, "%s:%u: block %llx is %s", reader->path, reader->line, name,
		     live ? "not there" : "there already");
	return entry;
}

static void add_op(struct reader *reader, struct op op)
{
	struct trace *trace = &reader->trace;

	if (trace->count == reader->room) {
		reader->room = reader->room ? 2 * reader->room : 1024;
		trace->ops = grow(trace->ops, reader->room, sizeof(*trace->ops));
	}
	trace->ops[trace->count++] = op;
}

static u32 greatest_common_divisor(u32 a, u32 b)
{
	return b ? greatest_common_divisor(b, a % b) : a;
}

/* The name's block is of @bytes from now on. */
static void begin(struct reader *reader, struct name *name, u64 bytes)
{
	struct trace *trace = &reader->trace;
	u64 granules = bytes ? (bytes - 1) / reader->granule + 1 : 1;

	if (bytes > SIZE_MAX / 2 || reader->live_granules + granules > (1u << 30))
		errx(1, "%s:%u: too much for a heap", reader->path, reader->line);
	name->bytes = bytes;
	name->granules = granules;
	trace->unit = greatest_common_divisor(trace->unit, granules);
	reader->live_bytes += bytes;
	reader->live_granules += granules;
	if (reader->live_bytes > trace->peak_bytes)
		trace->peak_bytes = reader->live_bytes;
	if (reader->live_granules > trace->peak_granules)
		trace->peak_granules = reader->live_granules;
}

static void end(struct reader *reader, struct name *name)
{
	reader->live_bytes -= name->bytes;
	reader->live_granules -= name->granules;
	name->granules = 0;
}

static void read_alloc(struct reader *reader, u64 id, u64 bytes, u64 align)
{
	struct name *name = look_up(reader, id, false);

	if (align & (align - 1) || align / reader->granule > (1u << 30))
		errx(1, "%s:%u: %llu is no alignment", reader->path, reader->line, align);
	begin(reader, name, bytes);
	add_op(reader, (struct op) {
		.kind = OP_ALLOC, .block = name->block, .size = name->granules,
		.align = align > reader->granule ? align / reader->granule : 1,
	});
}

/* The block keeps its number; if its name changes, the two names swap theirs. */
static void read_resize(struct reader *reader, u64 old_id, u64 new_id, u64 bytes)
{
	struct name *name = look_up(reader, old_id, true);
	u32 block = name->block;
	struct name *other;

	end(reader, name);
	if (new_id != old_id) {
		other = look_up(reader, new_id, false);
		name = slot_of(reader, old_id);
		name->block = other->block;
		other->block = block;
		name = other;
	}
	begin(reader, name, bytes);
	add_op(reader, (struct op) {
		.kind = OP_RESIZE, .block = block, .size = name->granules, .align = 1,
	});
}

static void read_free(struct reader *reader, u64 id)
{
	struct name *name = look_up(reader, id, true);

	add_op(reader, (struct op) {
		.kind = OP_FREE, .block = name->block, .size = name->granules, .align = 1,
	});
	end(reader, name);
}

static void read_line(struct reader *reader, const char *line)
{
	u64 name, to, bytes, align = 1;

	if (sscanf(line, "a %llx %llu %llu", &name, &bytes, &align) >= 2)
		read_alloc(reader, name, bytes, align);
	else if (sscanf(line, "r %llx %llx %llu", &name, &to, &bytes) == 3)
		read_resize(reader, name, to, bytes);
	else if (sscanf(line, "f %llx", &name) == 1)
		read_free(reader, name);
	else if (*line != '#')
		errx(1, "%s:%u: not an operation", reader->path, reader->line);
}

struct trace trace_load(const char *path, u32 granule)
{
	struct reader reader = { .path = path, .granule = granule };
	FILE *file = fopen(path, "r");
	char line[128];

	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		reader.line++;
		read_line(&reader, line);
	}
	if (ferror(file))
		err(1, "%s", path);
	if (!reader.trace.peak_bytes)
		errx(1, "%s: nothing is allocated", path);
	fclose(file);
	free(reader.names);
	return reader.trace;
}
