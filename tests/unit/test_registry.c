/* Where running guards are found: whose folders are believed, which entries are dead, and whose are left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system/platform.h"
#include "softnet/control/registry.h"

#include <cmocka.h>

enum { STRANGER = 54321, LONG_AGO = 1000000 };

static const struct rpc_method methods[] = { { NULL, false, NULL } };
static char prefix[64], folder[REGISTRY_PATH], own[REGISTRY_PATH + 32];
static struct control control;
static struct registry registry;

static const char *in(const char *directory, const char *name)
{
	static char text[4][512];
	static unsigned next;
	char *at = text[next++ % 4];
	snprintf(at, sizeof text[0], "%s/%s", directory, name);
	return at;
}

static int set_up(void **unused)
{
	(void)unused;
	strcpy(prefix, "/tmp/test_registry.XXXXXX");
	assert_non_null(mkdtemp(prefix));
	registry_prefix = prefix;
	umask(077);
	assert_int_equal(mkdir(in(prefix, "run"), 0700) | mkdir(in(prefix, "var"), 0700) |
			     mkdir(in(prefix, "var/run"), 0700) | mkdir(in(prefix, "tmp"), 0700),
			 0);
	assert_true(registry_folder(geteuid() == 0 ? 0 : REGISTRY_FOLDERS - 1, geteuid(), folder));
	snprintf(own, sizeof own, "%s/%ld.sock", folder, (long)getpid());
	registry = (struct registry){ .is_tried = false };
	prepare_control(&control, methods, NULL);
	return 0;
}

static int tear_down(void **unused)
{
	char command[128];
	(void)unused;
	close_control(&control);
	snprintf(command, sizeof command, "rm -rf %s", prefix);
	return system(command);
}

static bool is_there(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0;
}

static int bind_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(strlen(path) < sizeof address.sun_path);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static int listen_at(const char *path)
{
	int fd = bind_at(path);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static bool answers(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(strlen(path) < sizeof address.sun_path);
	strcpy(address.sun_path, path);
	bool is_alive = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return is_alive;
}

/* A process number that nobody has. */
static long dead_number(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	return child;
}

static const char *entry_of(long pid, const char *ending)
{
	char name[32];
	snprintf(name, sizeof name, "%ld.%s", pid, ending);
	return in(folder, name);
}

static void an_entry_is_its_users_alone(void **unused)
{
	struct stat status;
	(void)unused;
	enter_registry(&registry, &control);
	assert_string_equal(registry.entry, own);
	assert_int_equal(lstat(own, &status), 0);
	assert_true(S_ISSOCK(status.st_mode) && (status.st_mode & 0777) == 0600);
	assert_int_equal(stat(folder, &status), 0);
	assert_int_equal(status.st_mode & 0777, geteuid() == 0 ? 0755 : 0700);
	assert_true(answers(own));
	assert_true(control.is_for_readers);
	assert_false(is_there(entry_of(getpid(), "new")));
	close_control(&control);
	assert_false(is_there(own));
}

static void a_link_leads_to_the_socket_of_control(void **unused)
{
	char target[512], here[256];
	struct error error;
	(void)unused;
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(prefix), 0);
	assert_true(listen_control(&control, "socket", &error));
	enter_registry(&registry, &control);
	ssize_t length = readlink(own, target, sizeof target - 1);
	assert_int_equal(chdir("/"), 0);
	assert_true(length > 0);
	target[length] = '\0';
	assert_string_equal(target, in(prefix, "socket"));
	assert_true(answers(own));
	assert_false(control.is_for_readers);
	leave_registry(&registry);
	assert_false(is_there(own));
	assert_true(is_there(target)); /* close_control() takes that away */
	leave_registry(&registry);
	assert_int_equal(chdir(prefix), 0);
	close_control(&control);
	assert_int_equal(chdir(here), 0);
}

static void folders_that_are_not_believed(void **unused)
{
	const char *why, *path = in(prefix, "tried");
	const mode_t bad[] = { 0720, 0702, 0777, 01777 };
	(void)unused;
	assert_int_equal(open_registry_folder(path, geteuid(), &why), -1);
	assert_null(why);
	assert_int_equal(mkdir(path, 0700), 0);
	int fd = open_registry_folder(path, geteuid(), &why);
	assert_true(fd >= 0 && !why);
	close(fd);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_int_equal(open_registry_folder(path, geteuid(), &why), -1);
		assert_string_equal(why, "others may write to it");
	}
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(open_registry_folder(path, geteuid() + 1, &why), -1);
	assert_string_equal(why, "it belongs to another user");
	assert_int_equal(symlink(path, in(prefix, "link")), 0);
	assert_int_equal(open_registry_folder(in(prefix, "link"), geteuid(), &why), -1);
	assert_non_null(why);
	assert_int_equal(mkfifo(in(prefix, "fifo"), 0600), 0);
	assert_int_equal(open_registry_folder(in(prefix, "fifo"), geteuid(), &why), -1);
	assert_non_null(why);
}

/* Whatever stands in the place of the first folder, the next one is taken, and nothing is made through a link. */
static void the_next_folder_is_taken(void **unused)
{
	char last[REGISTRY_PATH];
	(void)unused;
	assert_true(registry_folder(REGISTRY_FOLDERS - 1, geteuid(), last));
	assert_int_equal(mkdir(in(prefix, "target"), 0700), 0);
	assert_int_equal(symlink(in(prefix, "target"), folder), 0);
	enter_registry(&registry, &control);
	assert_int_equal(rmdir(in(prefix, "target")), 0); /* it is empty */
	assert_int_equal(control.listener >= 0, strcmp(last, folder) != 0);
	if (control.listener >= 0)
		assert_true(strncmp(registry.entry, last, strlen(last)) == 0 && answers(registry.entry));
}

static void nowhere_is_no_fault(void **unused)
{
	(void)unused;
	assert_int_equal(rmdir(in(prefix, "run")) | rmdir(in(prefix, "tmp")), 0);
	assert_int_equal(rmdir(in(prefix, "var/run")), 0);
	enter_registry(&registry, &control);
	assert_true(control.listener < 0);
	leave_registry(&registry);
}

static void dead_entries_go_and_no_others(void **unused)
{
	const struct timespec long_ago[2] = { { .tv_sec = time(NULL) - LONG_AGO }, { .tv_sec = time(NULL) - LONG_AGO } };
	long dead = dead_number(), linked = dead_number(), answering = dead_number(), newborn = dead_number(),
	     old = dead_number();
	static const char *const others[] = { "x.sock",     "12.socket", ".sock",
					      "1.sock.new", "-5.sock",   "99999999999.sock" };
	(void)unused;
	assert_int_equal(mkdir(folder, 0700), 0);
	close(bind_at(entry_of(dead, "sock")));
	assert_int_equal(symlink("/nowhere/at/all", entry_of(linked, "sock")), 0);
	int alive = listen_at(entry_of(answering, "sock")); /* of another process namespace */
	close(bind_at(entry_of(getppid(), "sock")));        /* of somebody who exists, whatever it does */
	close(bind_at(entry_of(newborn, "new")));
	close(bind_at(entry_of(old, "new")));
	assert_int_equal(utimensat(AT_FDCWD, entry_of(old, "new"), long_ago, 0), 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		close(bind_at(in(folder, others[i])));
	enter_registry(&registry, &control);
	assert_true(answers(own));
	assert_false(is_there(entry_of(dead, "sock")));
	assert_false(is_there(entry_of(linked, "sock")));
	assert_false(is_there(entry_of(old, "new")));
	assert_true(answers(entry_of(answering, "sock")));
	assert_true(is_there(entry_of(getppid(), "sock")));
	assert_true(is_there(entry_of(newborn, "new")));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_true(is_there(in(folder, others[i])));
	close(alive);
}

/* Guards that were killed, and started again with the same path, leave links to it: a row each, were they not taken away. */
static void links_to_our_own_path_go(void **unused)
{
	struct error error;
	long first = dead_number(), second = dead_number(), other = dead_number();
	(void)unused;
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(symlink(in(prefix, "socket"), entry_of(first, "sock")), 0);
	assert_int_equal(symlink(in(prefix, "socket"), entry_of(second, "sock")), 0);
	int elsewhere = listen_at(in(prefix, "other"));
	assert_int_equal(symlink(in(prefix, "other"), entry_of(other, "sock")), 0); /* of another process namespace */
	assert_true(listen_control(&control, in(prefix, "socket"), &error));
	enter_registry(&registry, &control);
	assert_true(answers(own));
	assert_false(is_there(entry_of(first, "sock")) || is_there(entry_of(second, "sock")));
	assert_true(is_there(entry_of(other, "sock")));
	leave_registry(&registry);
	close(elsewhere);
}

static void our_number_may_be_taken(void **unused)
{
	struct stat before, after;
	(void)unused;
	assert_int_equal(mkdir(folder, 0700), 0);
	close(bind_at(own)); /* by one who had it before us, and is dead */
	enter_registry(&registry, &control);
	assert_true(answers(own));
	close_control(&control);
	int other = listen_at(own);
	assert_int_equal(lstat(own, &before), 0);
	registry.is_tried = false;
	prepare_control(&control, methods, NULL);
	enter_registry(&registry, &control);
	assert_int_equal(lstat(own, &after), 0);
	assert_true(before.st_ino == after.st_ino && answers(own));
	assert_false(control.listener >= 0 && strcmp(control.path, own) == 0);
	close(other);
}

/* In a child that becomes the user: none of them may use what the other one made. */
static bool enters_as(uid_t user)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (setgid(user) != 0 || setuid(user) != 0)
			_exit(2);
		enter_registry(&registry, &control);
		_exit(control.listener >= 0 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 2);
	return WEXITSTATUS(status) == 0;
}

static void users_keep_apart(void **unused)
{
	char theirs[REGISTRY_PATH];
	(void)unused;
	if (geteuid() != 0 || !platform_has_other_users())
		skip();
	assert_int_equal(chmod(prefix, 0755) | chmod(in(prefix, "tmp"), 01777) | chmod(in(prefix, "run"), 0755), 0);
	assert_true(enters_as(STRANGER));
	assert_true(registry_folder(REGISTRY_FOLDERS - 1, STRANGER, theirs));
	assert_true(is_there(theirs));
	assert_int_equal(chown(theirs, 0, 0), 0);
	assert_false(enters_as(STRANGER));
	assert_int_equal(chown(theirs, STRANGER + 1, 0), 0);
	assert_false(enters_as(STRANGER));
	assert_false(enters_as(65534)); /* all processes of nobody share it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(an_entry_is_its_users_alone),
		T(a_link_leads_to_the_socket_of_control),
		T(folders_that_are_not_believed),
		T(the_next_folder_is_taken),
		T(nowhere_is_no_fault),
		T(dead_entries_go_and_no_others),
		T(links_to_our_own_path_go),
		T(our_number_may_be_taken),
		T(users_keep_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
