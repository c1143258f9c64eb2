// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limits of all users and of all clients of a region: their default, changing them, and what
 * the log says of a refusal. Loading with them is in boots/module.sh.
 */
#include "limits.h"

#include <sys/klog.h>

static bool attribute_is(const char *name, const char *value)
{
	int fd = open(ATTRIBUTE(name), O_RDONLY);
	char text[64] = "";
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 && !strcmp(text, value);
}

/*
 * As long as nobody has set a limit, each user may have all but a sixteenth of the region, and
 * root all.
 */
TEST(default_limit_leaves_some_for_root)
{
	struct memalloc_limits limits;
	struct memalloc_stats stats;
	struct clients c;
	__u64 most;

	ASSERT_EQ(0, set_up(&c));
	ASSERT_EQ(0, set_attribute("user_bytes", "default"));
	EXPECT_TRUE(attribute_is("user_bytes", "default\n"));
	ASSERT_EQ(0, get_stats(c.fd, &stats));
	most = stats.region_length - stats.region_length / 16;
	ASSERT_EQ(0, get_limits(c.alice, &limits));
	EXPECT_EQ(most, limits.user_bytes_max);
	ASSERT_EQ(0, get_limits(c.fd, &limits));
	EXPECT_EQ(MEMALLOC_NO_LIMIT, limits.user_bytes_max);

	ASSERT_EQ(0, as_user(ALICE));
	EXPECT_EQ(-EDQUOT, alloc_errno(c.alice, most + 1));
	EXPECT_EQ(0, alloc_errno(c.alice, most - PAGE));
	EXPECT_EQ(0, alloc_errno(c.alice2, PAGE));
	EXPECT_EQ(-EDQUOT, alloc_errno(c.alice2, 1));
	/* Another user can have what is left, and root, were he to have no capability. */
	ASSERT_EQ(0, as_user(BOB));
	EXPECT_EQ(0, alloc_errno(c.bob, PAGE));
	EXPECT_EQ(stats.region_length - most - PAGE, take_all(c.fd));
	close(c.alice);
	close(c.alice2);
	EXPECT_EQ(most, take_all(c.fd));
	ASSERT_EQ(0, as_root());
	EXPECT_EQ(0, set_attribute("user_bytes", "0"));
}

/* How often the kernel's log has that text. */
static int times_in_log(const char *text)
{
	const int read_all = 3;		/* SYSLOG_ACTION_READ_ALL */
	static char log[4 * MIB];
	int times = 0, n = klogctl(read_all, log, sizeof(log) - 1);
	const char *at = log;

	if (n < 0)
		return -errno;
	log[n] = '\0';
	while ((at = strstr(at, text))) {
		at += strlen(text);
		times++;
	}
	return times;
}

/*
 * The administrator finds in the log why a user was refused, once, however often that happens and
 * the user comes back; and nothing of limits that a program has set itself.
 */
TEST(first_refusal_is_in_the_log)
{
	/* Others here are refused, too. */
	const uid_t uid = 61900 + now_ms() % 1000;
	char text[128];
	int i, fd;

	snprintf(text, sizeof(text), "memalloc: region %s: user %u has reached user_bytes=%lu",
		 region_name(), uid, 4 * PAGE);
	ASSERT_EQ(0, no_limits());
	fd = open_as(uid);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_limits(fd, MEMALLOC_LIMITS_SET_BYTES, PAGE, 0));
	ASSERT_EQ(0, as_user(uid));
	EXPECT_EQ(-EDQUOT, alloc_errno(fd, 5 * PAGE));
	ASSERT_EQ(0, as_root());
	close(fd);
	ASSERT_EQ(0, set_number("user_bytes", 4 * PAGE));
	EXPECT_EQ(0, times_in_log(text));
	for (i = 0; i < 3; i++) {
		fd = open_as(uid);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, as_user(uid));
		EXPECT_EQ(-EDQUOT, alloc_errno(fd, 5 * PAGE));
		EXPECT_EQ(-EDQUOT, alloc_errno(fd, 5 * PAGE));
		ASSERT_EQ(0, as_root());
		close(fd);
		EXPECT_EQ(1, times_in_log(text));
	}
	EXPECT_EQ(0, no_limits());
}

TEST(limits_change_at_run_time)
{
	static const char *const names[] = {
		"user_bytes", "user_buffers", "client_bytes", "client_buffers",
	};
	static const char *const wrong[] = {
		"\n", "lots", "-1", "1Q", "1KB", "1 2", "0x10", "1.5M", "K",
		"000000000000000000000000000000000000001",
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, set_attribute(names[i], "12345\n"));
		EXPECT_TRUE(attribute_is(names[i], "12345\n"));
		EXPECT_EQ(0, set_attribute(names[i], "3k"));
		EXPECT_TRUE(attribute_is(names[i], "3072\n"));
		for (k = 0; k < ARRAY_SIZE(wrong); k++) {
			EXPECT_EQ(-EINVAL, set_attribute(names[i], wrong[k]))
				TH_LOG("%s=%s", names[i], wrong[k]);
		}
		EXPECT_TRUE(attribute_is(names[i], "3072\n"));
		ASSERT_EQ(0, as_user(ALICE));
		EXPECT_EQ(-EACCES, set_attribute(names[i], "0"));
		ASSERT_EQ(0, as_root());
		EXPECT_EQ(0, set_attribute(names[i], "0"));
		EXPECT_TRUE(attribute_is(names[i], "0\n"));
	}
}

TEST_HARNESS_MAIN
