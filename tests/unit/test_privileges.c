/* Who the guard becomes, and that there is no way back. Each case runs in a child process; most need root to begin
 * with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softnet/rules/policy_file.h"
#include "system/process/privileges.h"

#include <cmocka.h>

enum { GOOD = 0, BAD = 3, REFUSED = 4, STRANGER = 1000, NOBODY = 65534, ROOTS_OTHER_GROUP = 4713 };

struct test_case {
	const char *name;
	enum { BY_ROOT, BY_STRANGER, BY_STRANGER_SET_USER_ID } caller;
	const char *user, *group, *sudo_uid;
	const char *refused; /* the error; NULL: none */
	unsigned uid, gid;   /* of the guard afterwards */
	unsigned command_uid;
};

#define BY_SUDO ", and sudo was called by another user; to act as root all the same: env -u SUDO_UID softnet ..."

static const struct test_case cases[] = {
	{ "root becomes nobody, its command stays root", BY_ROOT, NULL, NULL, NULL, NULL, NOBODY, NOBODY, 0 },
	{ "a name", BY_ROOT, "daemon", NULL, NULL, NULL, 1, 1, 1 },
	{ "numbers", BY_ROOT, "4711", "4712", NULL, NULL, 4711, 4712, 4711 },
	{ "a group alone", BY_ROOT, NULL, "4712", NULL, NULL, NOBODY, 4712, NOBODY },
	{ "the user who called sudo", BY_ROOT, NULL, NULL, "4711", NULL, 4711, 4711, 4711 },
	{ "a high number called sudo", BY_ROOT, NULL, NULL, "3000000000", NULL, 3000000000U, 3000000000U, 3000000000U },
	{ "the highest", BY_ROOT, NULL, NULL, "4294967294", NULL, UINT32_MAX - 1, UINT32_MAX - 1, UINT32_MAX - 1 },
	{ "one too high for setresuid()", BY_ROOT, NULL, NULL, "4294967295", NULL, NOBODY, NOBODY, 0 },
	{ "who called sudo may say so", BY_ROOT, "1", "1", "1", NULL, 1, 1, 1 },
	{ "but may not say root", BY_ROOT, "root", NULL, "4711",
	  "--user: \"root\": only root may choose another user than "
	  "itself" BY_SUDO,
	  0, 0, 0 },
	{ "nor anybody else", BY_ROOT, "daemon", NULL, "4711",
	  "--user: \"daemon\": only root may choose another user than "
	  "itself" BY_SUDO,
	  0, 0, 0 },
	{ "nor another group", BY_ROOT, NULL, "0", "4711",
	  "--group: \"0\": only root may choose another group than its own" BY_SUDO, 0, 0, 0 },
	{ "root called sudo, and says a name", BY_ROOT, "daemon", NULL, "0", NULL, 1, 1, 1 },
	{ "root called sudo", BY_ROOT, NULL, NULL, "0", NULL, NOBODY, NOBODY, 0 },
	{ "nonsense of sudo", BY_ROOT, NULL, NULL, "-1", NULL, NOBODY, NOBODY, 0 },
	{ "root may say root", BY_ROOT, "root", NULL, NULL, NULL, 0, 0, 0 },
	{ "no such user", BY_ROOT, "no-such-user", NULL, NULL, "--user: \"no-such-user\": no such user", 0, 0, 0 },
	{ "no such group", BY_ROOT, "daemon", "no-such-group", NULL, "--group: \"no-such-group\": no such group", 0, 0,
	  0 },
	{ "a number without account", BY_ROOT, "4711", NULL, NULL,
	  "--user: \"4711\": has no account, so --group is needed with it", 0, 0, 0 },
	{ "a stranger stays", BY_STRANGER, NULL, NULL, NULL, NULL, STRANGER, STRANGER, STRANGER },
	{ "a stranger cannot choose", BY_STRANGER, "root", NULL, NULL,
	  "--user: \"root\": only root may choose another user than itself", 0, 0, 0 },
	{ "set-user-id goes back to the caller", BY_STRANGER_SET_USER_ID, NULL, NULL, NULL, NULL, STRANGER, STRANGER,
	  STRANGER },
	{ "whatever sudo's variables say", BY_STRANGER_SET_USER_ID, NULL, NULL, "4711", NULL, STRANGER, STRANGER,
	  STRANGER },
	{ "set-user-id makes nobody root", BY_STRANGER_SET_USER_ID, "root", NULL, NULL,
	  "--user: \"root\": only root may choose another user than itself", 0, 0, 0 },
	{ "nor anybody else", BY_STRANGER_SET_USER_ID, "daemon", NULL, NULL,
	  "--user: \"daemon\": only root may choose another user than itself", 0, 0, 0 },
	{ "nor of root's group", BY_STRANGER_SET_USER_ID, NULL, "0", NULL,
	  "--group: \"0\": only root may choose another group than its own", 0, 0, 0 },
};

static bool status_says(const char *line)
{
	char text[8192];
	FILE *f = fopen("/proc/self/status", "r");
	size_t length = !f ? 0 : fread(text, 1, sizeof text - 1, f);
	if (f)
		fclose(f);
	text[length] = '\0';
	bool is_said = strstr(text, line) != NULL;
	if (!is_said)
		fprintf(stderr, "/proc/self/status does not say: %s", line);
	return is_said;
}

static bool has_ids(unsigned uid, unsigned gid)
{
	char line[128];
	snprintf(line, sizeof line, "\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid, gid, gid, gid,
		 gid);
	return status_says(line);
}

/* Root's groups are no business of whom it becomes; an account's own are. */
static bool has_other_groups(const struct test_case *c)
{
	gid_t groups[64];
	int count = getgroups(64, groups);
	for (int i = 0; i < count; i++)
		if (groups[i] == ROOTS_OTHER_GROUP && c->command_uid != 0)
			return true;
	return count < 0;
}

static void start_as_caller(const struct test_case *c)
{
	gid_t roots[] = { 0, ROOTS_OTHER_GROUP };
	if (setgroups(2, roots) != 0)
		_exit(BAD);
	unsetenv("SUDO_UID");
	if (c->sudo_uid) {
		setenv("SUDO_UID", c->sudo_uid, 1);
		setenv("SUDO_GID", c->sudo_uid, 1);
	}
	if (c->caller == BY_ROOT)
		return;
	gid_t group = STRANGER;
	bool set_user_id = c->caller == BY_STRANGER_SET_USER_ID;
	if (setgroups(1, &group) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
	    setresuid(STRANGER, set_user_id ? 0 : STRANGER, set_user_id ? 0 : STRANGER) != 0)
		_exit(BAD);
}

static int run_case(const struct test_case *c)
{
	struct identities ids;
	struct error error = { 0 };
	start_as_caller(c);
	if (!choose_identities(c->user, c->group, &ids, &error))
		return c->refused && strcmp(error.text, c->refused) == 0 ? REFUSED : BAD;
	pid_t command = fork();
	if (command == 0)
		_exit(become_command(&ids) && geteuid() == c->command_uid && getuid() == c->command_uid &&
			      !has_other_groups(c)
			  ? GOOD
			  : BAD);
	int status;
	waitpid(command, &status, 0);
	if (status != 0)
		return BAD;
	drop_privileges(&ids);
	if (!has_ids(c->uid, c->gid) || !status_says("\nNoNewPrivs:\t1\n") ||
	    !status_says("\nCapEff:\t0000000000000000\n") || !status_says("\nCapPrm:\t0000000000000000\n") ||
	    !status_says("\nCapInh:\t0000000000000000\n"))
		return BAD;
	if (c->caller != BY_STRANGER && !status_says("\nCapBnd:\t0000000000000000\n"))
		return BAD;
	if (c->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0))
		return BAD;
	return GOOD;
}

static void every_caller_ends_without_rights(void **unused)
{
	(void)unused;
	if (geteuid() != 0) {
		print_message("needs root: SKIPPED\n");
		skip();
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(run_case(&cases[i]));
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		int expected = cases[i].refused ? REFUSED : GOOD;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
			fail_msg("%s: status %x, %d expected", cases[i].name, (unsigned)status, expected);
	}
}

/* Proof is not a formality: ids that did not change end the program. */
static void a_drop_that_fails_ends_the_program(void **unused)
{
	(void)unused;
	if (geteuid() != 0) {
		print_message("needs root: SKIPPED\n");
		skip();
	}
	pid_t child = fork();
	if (child == 0) {
		struct identities ids = { .guard = { .change = true, .uid = (uid_t)-1, .gid = (gid_t)-1 } };
		fclose(stderr);
		close(2);
		drop_privileges(&ids); /* -1 means "leave as it is" to the kernel */
		_exit(GOOD);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static bool is_readable(void *path)
{
	return open(path, O_RDONLY) >= 0;
}

/* What is opened for whom; afterwards everything is as it was. */
static int open_case(const struct test_case *c, const char *path)
{
	gid_t groups[8], groups_then[8], roots = 0;
	if (setgroups(1, &roots) < 0) /* as after a login */
		return BAD;
	start_as_caller(c);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int count = getgroups(8, groups);
	bool is_open = do_as_caller(is_readable, (void *)(uintptr_t)path);
	int cause = errno;
	if (geteuid() != uid || getegid() != gid || getgroups(8, groups_then) != count ||
	    memcmp(groups, groups_then, (size_t)count * sizeof *groups) != 0)
		return BAD;
	return is_open ? GOOD : cause == EACCES ? REFUSED : BAD;
}

static void files_are_read_with_the_rights_of_the_caller(void **unused)
{
	enum { ROOTS = 0600, GROUPS = 0640, EVERYBODYS = 0644 };
	static const struct {
		struct test_case caller;
		int roots, groups;
	} opens[] = {
		{ { .name = "root", .caller = BY_ROOT }, GOOD, GOOD },
		{ { .name = "root, whatever it will become", .caller = BY_ROOT, .user = "daemon" }, GOOD, GOOD },
		{ { .name = "root by sudo", .caller = BY_ROOT, .sudo_uid = "0" }, GOOD, GOOD },
		{ { .name = "somebody by sudo", .caller = BY_ROOT, .sudo_uid = "4711" }, REFUSED, REFUSED },
		{ { .name = "a high number by sudo", .caller = BY_ROOT, .sudo_uid = "3000000000" }, REFUSED, REFUSED },
		{ { .name = "somebody with an account by sudo", .caller = BY_ROOT, .sudo_uid = "1" }, REFUSED, REFUSED },
		{ { .name = "a stranger", .caller = BY_STRANGER }, REFUSED, REFUSED },
		{ { .name = "a stranger, set-user-id", .caller = BY_STRANGER_SET_USER_ID }, REFUSED, REFUSED },
		{ { .name = "set-user-id, and sudo's variables", .caller = BY_STRANGER_SET_USER_ID, .sudo_uid = "0" },
		  REFUSED,
		  REFUSED },
	};
	static const mode_t modes[] = { ROOTS, GROUPS, EVERYBODYS };
	char path[] = "/tmp/softnet-open-XXXXXX";
	(void)unused;
	if (geteuid() != 0) {
		print_message("needs root: SKIPPED\n");
		skip();
	}
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	for (size_t i = 0; i < 3 * (sizeof opens / sizeof *opens); i++) {
		const struct test_case *c = &opens[i / 3].caller;
		int expected = i % 3 == 0 ? opens[i / 3].roots : i % 3 == 1 ? opens[i / 3].groups : GOOD;
		assert_int_equal(fchmod(fd, modes[i % 3]), 0);
		pid_t child = fork();
		if (child == 0)
			_exit(open_case(c, path));
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
			fail_msg("%s, mode %o: status %x, %d expected", c->name, modes[i % 3], (unsigned)status,
				 expected);
	}
	close(fd);
	unlink(path);
}

/* Which function of the kernel a process waits in is told to its own user and to root: when it is read, not when it is opened. */
static void files_that_look_who_reads_see_the_caller(void **unused)
{
	static const struct test_case stranger = { .caller = BY_STRANGER_SET_USER_ID };
	char path[64];
	(void)unused;
	if (geteuid() != 0) {
		print_message("needs root: SKIPPED\n");
		skip();
	}
	snprintf(path, sizeof path, "/proc/%ld/wchan", (long)getpid());
	pid_t child = fork();
	if (child == 0) {
		static struct rule_list rules;
		struct error error;
		usleep(100 * 1000); /* until it waits */
		start_as_caller(&stranger);
		_exit(!read_policy_file(path, &rules, &error) && strstr(error.text, ":1: \"0\": expected") ? GOOD : BAD);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_caller_ends_without_rights),
		cmocka_unit_test(a_drop_that_fails_ends_the_program),
		cmocka_unit_test(files_are_read_with_the_rights_of_the_caller),
		cmocka_unit_test(files_that_look_who_reads_see_the_caller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
