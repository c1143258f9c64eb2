// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charging memory to clients and users, and their limits. A user is whoever opened the
 * device, by the real user ID, as for pipes and io_uring: each client then has one payer
 * for good, which no change of IDs and no passing on of descriptors can shift to another.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <linux/memalloc.h>

#include "charge.h"

/* As file systems do, keep some for root: others can begin, and the administrator can look. */
#define MAL_RESERVE_SHIFT	4

/* Payers whose credit is taken back under one hold of the lock. */
#define MAL_CREDIT_SLICE	16

int mal_users_init(struct mal_users *users, const char *region, unsigned long pages,
		   const struct mal_limits *limits, work_func_t scan,
		   struct mal_magazines *magazines)
{
	users->wq = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 0);
	if (!users->wq)
		return -ENOMEM;
	users->region = region;
	users->scan = scan;
	users->magazines = magazines;
	magazines->uncharge = mal_uncharge;
	mutex_init(&users->lock);
	users->by_uid = RB_ROOT;
	users->limits = *limits;
	atomic_set(&users->changes, 0);
	mal_users_set_pages(users, pages);
	return 0;
}

void mal_users_set_pages(struct mal_users *users, unsigned long pages)
{
	WRITE_ONCE(users->default_bytes, (u64)(pages - (pages >> MAL_RESERVE_SHIFT)) << PAGE_SHIFT);
	mal_users_limits_changed(users);
}

static int compare_users(struct rb_node *a, const struct rb_node *b)
{
	kuid_t left = rb_entry(a, struct mal_user, node)->uid;
	kuid_t right = rb_entry(b, struct mal_user, node)->uid;

	return uid_lt(left, right) ? -1 : uid_gt(left, right);
}

static void init_ward(struct mal_ward *ward, const struct mal_users *users)
{
	mutex_init(&ward->scan_lock);
	mutex_init(&ward->lock);
	INIT_LIST_HEAD(&ward->extents);
	INIT_DELAYED_WORK(&ward->work, users->scan);
	ward->wq = users->wq;
}

static void destroy_user(struct mal_user *user)
{
	WARN_ON(!list_empty(&user->ward.extents));
	WARN_ON(!list_empty(&user->magazines));
	mutex_destroy(&user->ward.lock);
	mutex_destroy(&user->ward.scan_lock);
	kfree(user);
}

/* The user with that ID, with a reference; or NULL. */
static struct mal_user *get_user_of(struct mal_users *users, kuid_t uid)
{
	struct mal_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	struct mal_user *known = NULL;
	struct rb_node *node;

	if (!user)
		return NULL;
	user->users = users;
	user->uid = uid;
	refcount_set(&user->ref, 1);
	init_ward(&user->ward, users);
	spin_lock_init(&user->lock);
	INIT_LIST_HEAD(&user->creditors);
	INIT_LIST_HEAD(&user->magazines);

	mutex_lock(&users->lock);
	node = rb_find_add(&user->node, &users->by_uid, compare_users);
	if (node) {
		known = rb_entry(node, struct mal_user, node);
		refcount_inc(&known->ref);
	}
	mutex_unlock(&users->lock);
	if (!known)
		return user;
	destroy_user(user);
	return known;
}

void mal_user_get(struct mal_user *user)
{
	refcount_inc(&user->ref);
}

void mal_user_put(struct mal_user *user)
{
	struct mal_users *users = user->users;

	if (!refcount_dec_and_mutex_lock(&user->ref, &users->lock))
		return;
	rb_erase(&user->node, &users->by_uid);
	mutex_unlock(&users->lock);
	destroy_user(user);
}

struct mal_user *mal_users_next(struct mal_users *users, struct mal_user *user)
{
	struct rb_node *node;
	struct mal_user *next;

	mutex_lock(&users->lock);
	node = user ? rb_next(&user->node) : rb_first(&users->by_uid);
	next = rb_entry_safe(node, struct mal_user, node);
	if (next)
		mal_user_get(next);
	mutex_unlock(&users->lock);
	if (user)
		mal_user_put(user);
	return next;
}

void mal_users_destroy(struct mal_users *users)
{
	struct mal_user *user;
	struct mal_user *next;

	/* A ward's work drops a reference. One more keeps the user until destroy_user() below. */
	mutex_lock(&users->lock);
	rbtree_postorder_for_each_entry_safe(user, next, &users->by_uid, node)
		refcount_inc(&user->ref);
	mutex_unlock(&users->lock);
	rbtree_postorder_for_each_entry_safe(user, next, &users->by_uid, node)
		cancel_delayed_work_sync(&user->ward.work);
	destroy_workqueue(users->wq);
	rbtree_postorder_for_each_entry_safe(user, next, &users->by_uid, node) {
		WARN_ON(user->charged.bytes || user->charged.buffers);
		destroy_user(user);
	}
	mutex_destroy(&users->lock);
}

static struct mal_payer *open_payer(struct mal_users *users, const struct mal_opener *opener)
{
	struct mal_payer *payer = kzalloc(sizeof(*payer), GFP_KERNEL_ACCOUNT);

	if (!payer)
		return NULL;
	spin_lock_init(&payer->lock);
	INIT_LIST_HEAD(&payer->node);
	payer->own_limit = (struct mal_amount)MAL_NO_LIMIT;
	payer->opener = *opener;
	payer->user = get_user_of(users, opener->uid);
	if (!payer->user) {
		kfree(payer);
		return NULL;
	}
	mal_magazine_init(&payer->magazine, users->magazines, &payer->user->magazines);
	return payer;
}

struct mal_payer *mal_payer_open(struct mal_users *users)
{
	struct mal_opener opener = { .pid = task_tgid_nr(current), .uid = current_uid() };

	get_task_comm(opener.comm, current);
	return open_payer(users, &opener);
}

struct mal_payer *mal_payer_open_system(struct mal_users *users, const char *driver)
{
	struct mal_opener opener = { .uid = INVALID_UID };

	strscpy(opener.comm, driver, sizeof(opener.comm));
	return open_payer(users, &opener);
}

static void destroy_payer(struct mal_payer *payer)
{
	mal_user_put(payer->user);
	kfree_rcu(payer, rcu);
}

static bool is_nothing(struct mal_amount amount)
{
	return !amount.bytes && !amount.buffers;
}

static void add(struct mal_amount *sum, struct mal_amount more)
{
	sum->bytes += more.bytes;
	sum->buffers += more.buffers;
}

static void subtract(struct mal_amount *from, struct mal_amount less)
{
	from->bytes -= less.bytes;
	from->buffers -= less.buffers;
}

/* What is charged stays far below what wraps around: there is no more than the region. */
static bool fits(struct mal_amount charged, struct mal_amount more, struct mal_amount limit)
{
	return charged.bytes + more.bytes <= limit.bytes &&
	       charged.buffers + more.buffers <= limit.buffers;
}

static struct mal_amount user_limit(const struct mal_user *user)
{
	const struct mal_amount *set = &user->users->limits.user;
	struct mal_amount limit = {
		.bytes = READ_ONCE(set->bytes),
		.buffers = READ_ONCE(set->buffers),
	};

	if (mal_user_is_system(user))
		return (struct mal_amount)MAL_NO_LIMIT;
	if (limit.bytes == MAL_DEFAULT_BYTES && uid_eq(user->uid, GLOBAL_ROOT_UID))
		limit.bytes = U64_MAX;
	else if (limit.bytes == MAL_DEFAULT_BYTES)
		limit.bytes = READ_ONCE(user->users->default_bytes);
	return limit;
}

/* Under the user's lock. */
static struct mal_amount client_limit(const struct mal_payer *payer)
{
	const struct mal_amount *set = &payer->user->users->limits.client;

	lockdep_assert_held(&payer->user->lock);
	if (mal_user_is_system(payer->user))
		return (struct mal_amount)MAL_NO_LIMIT;
	return (struct mal_amount) {
		.bytes = min(payer->own_limit.bytes, READ_ONCE(set->bytes)),
		.buffers = min(payer->own_limit.buffers, READ_ONCE(set->buffers)),
	};
}

static bool client_allows(const struct mal_payer *payer, struct mal_amount more)
{
	return fits(payer->charged, more, client_limit(payer));
}

static bool user_allows(const struct mal_user *user, struct mal_amount more)
{
	return fits(user->charged, more, user_limit(user));
}

/*
 * From now on, what is charged to the payer is what it uses. Under the user's lock, as are the
 * functions down to begin_credit().
 */
static void end_credit(struct mal_payer *payer)
{
	struct mal_amount credit;

	lockdep_assert_held(&payer->user->lock);
	list_del_init(&payer->node);
	spin_lock(&payer->lock);
	credit = payer->credit;
	payer->credit = (struct mal_amount){};
	WRITE_ONCE(payer->has_credit, false);
	spin_unlock(&payer->lock);
	subtract(&payer->charged, credit);
	subtract(&payer->user->charged, credit);
}

/*
 * From now on, what is charged to the user is what its payers use. Drops the lock for a moment,
 * after some payers each; meanwhile, none gets credit.
 */
static void end_all_credit(struct mal_user *user)
{
	struct mal_payer *payer;
	unsigned int n = 0;

	lockdep_assert_held(&user->lock);
	user->revoking++;
	while ((payer = list_first_entry_or_null(&user->creditors, struct mal_payer, node))) {
		end_credit(payer);
		if (++n % MAL_CREDIT_SLICE)
			continue;
		spin_unlock(&user->lock);
		cond_resched();
		spin_lock(&user->lock);
	}
	user->revoking--;
}

/* From now on the payer has credit, if no limit is exceeded. */
static void begin_credit(struct mal_payer *payer)
{
	const struct mal_amount nothing = {};
	struct mal_user *user = payer->user;
	/* Pairs with mal_users_limits_changed(): the limits are as new as that, or newer. */
	const int changes = atomic_read_acquire(&user->users->changes);

	lockdep_assert_held(&user->lock);
	if (payer->closed || user->revoking || !client_allows(payer, nothing) ||
	    !user_allows(user, nothing))
		return;
	list_add(&payer->node, &user->creditors);
	spin_lock(&payer->lock);
	WRITE_ONCE(payer->changes, changes);
	WRITE_ONCE(payer->has_credit, true);
	spin_unlock(&payer->lock);
}

static int charge_user(struct mal_payer *payer, struct mal_amount more, bool unlimited)
{
	struct mal_user *user = payer->user;
	bool allowed;

	spin_lock(&user->lock);
	end_credit(payer);
	if (unlimited || (client_allows(payer, more) && !user_allows(user, more)))
		end_all_credit(user);
	allowed = unlimited || (client_allows(payer, more) && user_allows(user, more));
	if (allowed) {
		add(&payer->charged, more);
		add(&user->charged, more);
	}
	begin_credit(payer);
	spin_unlock(&user->lock);
	return allowed ? 0 : -EDQUOT;
}

static bool charge_credit(struct mal_payer *payer, struct mal_amount more)
{
	bool has;

	spin_lock(&payer->lock);
	has = fits((struct mal_amount){}, more, payer->credit) &&
	      payer->changes == atomic_read(&payer->user->users->changes);
	if (has)
		subtract(&payer->credit, more);
	spin_unlock(&payer->lock);
	return has;
}

/* What the user's clients keep is charged no longer. */
static void empty_magazines(struct mal_user *user)
{
	mal_magazines_empty(user->users->magazines, &user->magazines);
}

/* What the payer has no credit for. */
static noinline int charge_without_credit(struct mal_payer *payer, u64 bytes, u64 buffers)
{
	const struct mal_amount more = { .bytes = bytes, .buffers = buffers };
	int err = charge_user(payer, more, false);

	if (err) {
		empty_magazines(payer->user);
		err = charge_user(payer, more, false);
	}
	/*
	 * Only if needed: the kernel records that a capability was asked for, or used. A thread of
	 * the kernel has all, but works for somebody else.
	 */
	if (err && !(current->flags & PF_KTHREAD) && capable(CAP_SYS_RESOURCE))
		err = charge_user(payer, more, true);
	return err;
}

int mal_charge(struct mal_payer *payer, u64 bytes, u64 buffers)
{
	const struct mal_amount more = { .bytes = bytes, .buffers = buffers };

	return likely(charge_credit(payer, more)) ? 0 :
						    charge_without_credit(payer, bytes, buffers);
}

static noinline void uncharge_user(struct mal_payer *payer, struct mal_amount less)
{
	struct mal_user *user = payer->user;
	bool last;

	spin_lock(&user->lock);
	end_credit(payer);
	subtract(&payer->charged, less);
	subtract(&user->charged, less);
	begin_credit(payer);
	last = payer->closed && is_nothing(payer->charged);
	spin_unlock(&user->lock);
	if (last)
		destroy_payer(payer);
}

void mal_uncharge(struct mal_payer *payer, u64 bytes, u64 buffers)
{
	const struct mal_amount less = { .bytes = bytes, .buffers = buffers };
	bool has_credit;

	spin_lock(&payer->lock);
	has_credit = payer->has_credit;
	if (has_credit)
		add(&payer->credit, less);
	spin_unlock(&payer->lock);
	if (!has_credit)
		uncharge_user(payer, less);
}

void mal_payer_close(struct mal_payer *payer)
{
	struct mal_user *user = payer->user;
	bool last;

	mal_spare_close(&payer->spare);
	mal_magazine_destroy(&payer->magazine);
	spin_lock(&user->lock);
	end_credit(payer);
	payer->closed = true;
	last = is_nothing(payer->charged);
	spin_unlock(&user->lock);
	if (last)
		destroy_payer(payer);
}

/*
 * The name of the limit that keeps the payer from having that much more, and in *@limit what
 * it allows; NULL: none does. Under the user's lock.
 */
static const char *refusing_limit(const struct mal_payer *payer, struct mal_amount more,
				  u64 *limit)
{
	const struct mal_user *user = payer->user;
	const struct mal_amount *client = &user->users->limits.client;
	const struct {
		const char *name;
		u64 wanted;
		u64 limit;
	} limits[] = {
		{ "user_bytes", user->charged.bytes + more.bytes, user_limit(user).bytes },
		{ "user_buffers", user->charged.buffers + more.buffers, user_limit(user).buffers },
		{ "client_bytes", payer->charged.bytes + more.bytes,
		  READ_ONCE(client->bytes) },
		{ "client_buffers", payer->charged.buffers + more.buffers,
		  READ_ONCE(client->buffers) },
	};
	unsigned int i;

	lockdep_assert_held(&user->lock);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		*limit = limits[i].limit;
		if (limits[i].wanted > *limit)
			return limits[i].name;
	}
	return NULL;
}

void mal_charge_log_refusal(struct mal_payer *payer, u64 bytes, u64 buffers)
{
	const struct mal_amount more = { .bytes = bytes, .buffers = buffers };
	struct mal_user *user = payer->user;
	const char *name = NULL;
	u64 limit;

	spin_lock(&user->lock);
	if (!user->was_refused)
		end_all_credit(user);
	/* Another one may have been refused meanwhile: the lock was dropped. */
	if (!user->was_refused)
		name = refusing_limit(payer, more, &limit);
	if (name) {
		user->was_refused = true;
		/* Keep the user for good, so that the first refusal is the first only once. */
		mal_user_get(user);
	}
	spin_unlock(&user->lock);
	if (name)
		pr_notice("region %s: user %u has reached %s=%llu (said once)\n",
			  user->users->region, from_kuid(&init_user_ns, user->uid), name, limit);
}

void mal_payer_get_limits(struct mal_payer *payer, struct memalloc_limits *limits)
{
	struct mal_user *user = payer->user;
	struct mal_amount of_client;
	struct mal_amount of_user = user_limit(user);

	empty_magazines(user);
	spin_lock(&user->lock);
	end_all_credit(user);
	of_client = client_limit(payer);
	limits->client_bytes = payer->charged.bytes;
	limits->client_buffers = payer->charged.buffers;
	limits->user_bytes = user->charged.bytes;
	limits->user_buffers = user->charged.buffers;
	spin_unlock(&user->lock);

	limits->client_bytes_max = of_client.bytes;
	limits->client_buffers_max = of_client.buffers;
	limits->user_bytes_max = of_user.bytes;
	limits->user_buffers_max = of_user.buffers;
}

static void set_limit(u64 *limit, u64 wanted, bool may_raise)
{
	if (wanted < *limit || may_raise)
		*limit = wanted;
}

void mal_payer_set_limits(struct mal_payer *payer, const struct memalloc_limits *wanted,
			  bool may_raise)
{
	spin_lock(&payer->user->lock);
	if (wanted->flags & MEMALLOC_LIMITS_SET_BYTES)
		set_limit(&payer->own_limit.bytes, wanted->client_bytes_max, may_raise);
	if (wanted->flags & MEMALLOC_LIMITS_SET_BUFFERS)
		set_limit(&payer->own_limit.buffers, wanted->client_buffers_max, may_raise);
	end_credit(payer);
	spin_unlock(&payer->user->lock);
}
