/* The sockets of live control: which descriptors and paths are taken. */
#include "control_here.h"

/* --- descriptors ------------------------------------------------------------------------------------------------- */

static void expect_refused(int fd, const char *format)
{
	char wanted[200];
	snprintf(wanted, sizeof wanted, format, fd);
	assert_false(take_control_descriptor(&control, fd, &error));
	assert_string_equal(error.text, wanted);
	assert_int_equal(control.inherited.fd, -1);
}

static void descriptors_that_will_not_do(void **unused)
{
	int pair[2], file = open("/dev/null", O_RDWR), udp = socket(AF_INET, SOCK_DGRAM, 0);
	int alone = socket(AF_UNIX, SOCK_STREAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
	(void)unused;
	expect_refused(900, "--control-fd: fd %d is not open: Bad file descriptor");
	expect_refused(file, "--control-fd: fd %d is not a socket");
	expect_refused(udp, "--control-fd: fd %d is a socket, but not an AF_UNIX one");
	expect_refused(tcp, "--control-fd: fd %d is a socket, but not an AF_UNIX one");
	expect_refused(alone, "--control-fd: fd %d is a socket that is not connected");
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	expect_refused(pair[0], "--control-fd: fd %d is a socket, but not a stream socket");
	for (size_t i = 0; i < 2; i++)
		close(pair[i]);
	close(file);
	close(udp);
	close(tcp);
	close(alone);
}

static void the_descriptor_is_taken(void **unused)
{
	int pair[2];
	(void)unused;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	assert_true(take_control_descriptor(&control, pair[1], &error));
	assert_true(fcntl(pair[1], F_GETFD) < 0 || control.inherited.fd == pair[1]); /* no second way in remains */
	assert_true(control.inherited.fd > 2);
	assert_true(fcntl(control.inherited.fd, F_GETFD) & FD_CLOEXEC);
	say(pair[0], PING);
	turn();
	assert_string_equal(heard(pair[0]), PONG);
	say(pair[0], LISTEN); /* an operator's alone */
	turn();
	assert_non_null(strstr(heard(pair[0]), "-32601"));
	close(pair[0]);
	turns(2);
	assert_int_equal(control.inherited.fd, -1);
	assert_int_equal(turn(), 0);
}

/* In a child, whose standard descriptors may be played with. */
static void standard_descriptors_become_dev_null(void **unused)
{
	(void)unused;
	for (int fd = 0; fd <= 2; fd++) {
		pid_t pid = fork();
		if (pid == 0) {
			int pair[2];
			struct stat status, null;
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || dup2(pair[1], fd) != fd || close(pair[1]) < 0)
				_exit(1);
			if (!take_control_descriptor(&control, fd, &error) || control.inherited.fd <= 2)
				_exit(2);
			if (fstat(fd, &status) < 0 || stat("/dev/null", &null) < 0 || status.st_rdev != null.st_rdev)
				_exit(3);
			if (write(fd, "x", 1) != 1 || recv(pair[0], &null, 1, MSG_DONTWAIT) != -1)
				_exit(4);
			_exit(0);
		}
		int wait_status;
		assert_int_equal(waitpid(pid, &wait_status, 0), pid);
		assert_int_equal(wait_status, 0);
	}
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

static void a_socket_of_mode_0600(void **unused)
{
	struct stat status;
	(void)unused;
	mode_t before = umask(0);
	listen_here();
	assert_int_equal(umask(before), 0); /* as it was */
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0600);
	close_control(&control);
	assert_int_equal(stat(path, &status), -1);
}

static void expect_path_refused(const char *name, const char *format)
{
	char wanted[400];
	snprintf(wanted, sizeof wanted, format, name);
	assert_false(listen_control(&control, name, &error));
	assert_string_equal(error.text, wanted);
	assert_int_equal(control.listener, -1);
}

static void paths_that_will_not_do(void **unused)
{
	static char longer[200];
	(void)unused;
	memset(longer, 'x', sizeof longer - 1);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	expect_path_refused(path, "--control: cannot bind %s: a file that is not a socket stands there");
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 8);
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	expect_path_refused(path, "--control: cannot bind %s: a file that is not a socket stands there");
	unlink(path);
	expect_path_refused("/nowhere/at/all", "--control: cannot bind %s: No such file or directory");
	assert_false(listen_control(&control, longer, &error));
	assert_non_null(strstr(error.text, "is longer than 107 octets"));
}

static void a_dead_socket_is_replaced_and_a_live_one_is_not(void **unused)
{
	static struct control second;
	(void)unused;
	listen_here();
	prepare_control(&second, methods, NULL);
	assert_false(listen_control(&second, path, &error));
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, "another process has it open"));
	close(control.listener); /* as if the guard had been killed */
	control.listener = -1;
	assert_true(listen_control(&second, path, &error));
	/* What another guard has made there since is not ours to remove. */
	struct stat status;
	second.place.st_ino++;
	close_control(&second);
	assert_int_equal(stat(path, &status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(descriptors_that_will_not_do),
		TEST(the_descriptor_is_taken),
		TEST(standard_descriptors_become_dev_null),
		TEST(a_socket_of_mode_0600),
		TEST(paths_that_will_not_do),
		TEST(a_dead_socket_is_replaced_and_a_live_one_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
