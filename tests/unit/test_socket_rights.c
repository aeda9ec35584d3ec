/* Sockets that programs of other users can reach: owner, group and mode, and what is said of those that cannot be reached. */
#include "ports.h"
#include "ports_paths.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { OTHER = 54321, THIRD = 54322 };

static const struct port_settings guest = { .side = GUEST_SIDE, .max_frame = 1514 };
static const struct port_settings uplink = { .side = UPLINK_SIDE, .max_frame = 1514 };

static const char *with(const char *kind, const char *name, const char *options)
{
	static char text[224];
	snprintf(text, sizeof text, "%s%s", text_of(kind, name), options);
	return text;
}

/* Runs `act` as that user in a child; true where it says so. */
static bool as_user(uid_t user, gid_t group, bool (*act)(void))
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		if (setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0)
			_exit(2);
		_exit(act() ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 2);
	return WEXITSTATUS(status) == 0;
}

/* Not in a user namespace that has but one user. */
static bool others_exist(void)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		_exit(setresuid(OTHER, OTHER, OTHER) == 0 ? 0 : 1);
	waitpid(child, &status, 0);
	return status == 0;
}

static bool can_connect(void)
{
	struct sockaddr_un a = address_of("s");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

static bool can_send(void)
{
	struct sockaddr_un a = address_of("d");
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	return fd >= 0 && sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof a) == 1;
}

static mode_t mode_of(const char *name)
{
	struct stat status;
	assert_int_equal(lstat(path_of(name), &status), 0);
	return status.st_mode & 07777;
}

static void the_mode_is_as_it_was_asked_for(void **state)
{
	(void)state;
	static const char *const kinds[] = { "stream", "unixgram" };
	mode_t before = umask(077);
	for (int i = 0; i < 2; i++) {
		struct port *port = open_port(with(kinds[i], "m", ",mode=660"), &guest);
		assert_int_equal(mode_of("m"), 0660);
		port->kind->close(port);
		assert_int_equal(access(path_of("m"), F_OK), -1);
		port = open_port(text_of(kinds[i], "m"), &guest);
		assert_int_equal(mode_of("m"), 0700); /* as the umask has it */
		port->kind->close(port);
	}
	assert_int_equal(umask(before), 077);
}

static void the_owner_and_the_group_can_reach_it(void **state)
{
	(void)state;
	if (!others_exist())
		skip();
	assert_int_equal(chmod(folder, 0755), 0);
	struct port *stream = open_port(with("stream", "s", ",owner=54321,group=54322,mode=660"), &guest);
	struct port *datagrams = open_port(with("unixgram", "d", ",owner=54321,mode=600"), &guest);
	assert_true(as_user(OTHER, OTHER, can_connect) && as_user(THIRD, THIRD, can_connect));
	assert_false(as_user(THIRD, OTHER, can_connect));
	assert_true(as_user(OTHER, OTHER, can_send));
	assert_false(as_user(THIRD, THIRD, can_send));
	stream->kind->close(stream);
	datagrams->kind->close(datagrams);
	/* Without the options nobody else can: that is the default. */
	stream = open_port(text_of("stream", "s"), &guest);
	assert_int_equal(chmod(path_of("s"), mode_of("s") & 0700), 0);
	assert_false(as_user(OTHER, OTHER, can_connect));
	stream->kind->close(stream);
}

/* A user who may not give it away is told so, and leaves nothing behind. */
static bool is_refused(void)
{
	struct error error = { 0 };
	return !port_open(with("stream", "n", ",owner=0"), &guest, &error) && error.status != EXIT_USAGE &&
	       strstr(error.text, "cannot give") && strstr(error.text, "as user 54321") &&
	       access(path_of("n"), F_OK) < 0;
}

/* What stands there is somebody else's: that is not "in use". */
static bool cannot_be_asked(void)
{
	struct error error = { 0 };
	return !port_open(text_of("stream", "s"), &guest, &error) &&
	       strstr(error.text, "a socket of user 0 stands there, and user 54321 may not ask");
}

static void what_cannot_be_done_is_said(void **state)
{
	(void)state;
	if (!others_exist())
		skip();
	assert_int_equal(chmod(folder, 0777), 0);
	assert_true(as_user(OTHER, OTHER, is_refused));
	int dead = bound_socket(SOCK_STREAM, "s");
	assert_int_equal(chmod(path_of("s"), 0700), 0);
	close(dead);
	assert_true(as_user(OTHER, OTHER, cannot_be_asked));
	struct port *port = open_port(text_of("stream", "s"), &guest); /* root may ask */
	port->kind->close(port);
}

static void what_is_wrong_with_the_options_is_said(void **state)
{
	(void)state;
	refuses("stream:a,b", &guest, true, "\"b\" is no option of a socket: owner=USER, group=GROUP or mode=660");
	refuses("stream:a,", &guest, true, "\"\" is no option of a socket");
	refuses("unixgram:a,mode=999", &guest, true, "mode=999: expected three octal digits, such as 660");
	refuses("stream:a,mode=1777", &guest, true, "mode=1777: expected");
	refuses("stream:a,mode=", &guest, true, "mode=: expected");
	refuses("stream:a,owner=no-such-user-here", &guest, true, "owner=no-such-user-here: no such user");
	refuses("stream:a,group=no-such-group-here", &guest, true, "group=no-such-group-here: no such group");
	refuses("stream:a,owner=-1", &guest, true, "owner=-1: no such user");
	refuses("stream:a,mode=660", &uplink, true, "where the socket is the other program's");
	refuses("unixgram:a,vfkit", &guest, true, "for the uplink's side");
}

/* The guest's own socket, which is not ours to write to: told once, with path, errno and both users. */
static bool tells_why_it_cannot_answer(void)
{
	uint8_t frame[60];
	struct packet packets[4];
	struct error error = { 0 };
	make_frame(frame, 60, 1);
	struct port *port = port_open(text_of("unixgram", "p"), &guest, &error);
	if (!port || !strstr(port->away, "nobody has sent to ") || chmod(path_of("p"), 0777) != 0)
		return false;
	int report = open(path_of("go"), O_CREAT | O_WRONLY, 0666);
	close(report);
	for (int i = 0; i < 500 && receive_now(port, packets, 4) == 0; i++)
		usleep(10000);
	if (port->away[0] != '\0')
		return false;
	struct packet mine = { .bytes = frame, .length = 60 };
	struct send_result first = send_now(port, &mine, 1, true);
	send_now(port, &mine, 1, true);
	const char *line = strstr(reports, "cannot send to ");
	bool is_told = line && !strstr(line + 1, "cannot send to ") &&
		       strstr(line, "/theirs: Permission denied (as user 54321; it is user 0's, mode 755)");
	bool is_shown = strstr(port->away, "Permission denied") != NULL;
	receive_now(port, packets, 4); /* that it goes on sending changes nothing */
	is_shown &= strstr(port->away, "Permission denied") != NULL;
	chmod(path_of("p"), 0700);
	port->kind->close(port);
	return first.failed == 1 && is_told && is_shown;
}

static void a_guest_that_cannot_be_answered(void **state)
{
	(void)state;
	if (!others_exist())
		skip();
	uint8_t frame[60] = { 0 };
	int status = 0;
	struct sockaddr_un to = address_of("p");
	assert_int_equal(chmod(folder, 0777), 0);
	int theirs = bound_socket(SOCK_DGRAM, "theirs");
	assert_int_equal(chmod(path_of("theirs"), 0755), 0);
	pid_t child = fork();
	if (child == 0) {
		if (setresgid(OTHER, OTHER, OTHER) != 0 || setresuid(OTHER, OTHER, OTHER) != 0)
			_exit(2);
		_exit(tells_why_it_cannot_answer() ? 0 : 1);
	}
	uint64_t until = now_ms() + WAIT_MS;
	while (access(path_of("go"), F_OK) < 0 && now_ms() < until)
		usleep(10000);
	assert_int_equal(sendto(theirs, frame, 60, 0, (struct sockaddr *)&to, sizeof to), 60);
	assert_int_equal(sendto(theirs, frame, 60, 0, (struct sockaddr *)&to, sizeof to), 60);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	close(theirs);
	unlink(path_of("theirs"));
	unlink(path_of("go"));
}

static void who_never_came_is_away(void **state)
{
	(void)state;
	char expected[300];
	struct packet packets[4];
	struct port *port = open_port(text_of("stream", "s"), &guest);
	snprintf(expected, sizeof expected, "nobody has connected to %s yet", path_of("s"));
	assert_string_equal(port->away, expected);
	int client = connected_socket(SOCK_STREAM, "s");
	AWAIT(port, port->away[0] == '\0');
	close(client);
	AWAIT(port, receive_now(port, packets, 4) == 0 && port->away[0] != '\0');
	assert_string_equal(port->away, "the other end closed the stream; waiting for the guest");
	port->kind->close(port);

	uint8_t frame[60] = { 0 };
	struct packet mine = { .bytes = frame, .length = 60 };
	struct sockaddr_un to = address_of("d");
	port = open_port(text_of("unixgram", "d"), &guest);
	int vm = bound_socket(SOCK_DGRAM, "vm");
	assert_int_equal(sendto(vm, frame, 60, 0, (struct sockaddr *)&to, sizeof to), 60);
	assert_int_equal(receive_now(port, packets, 4), 1);
	assert_string_equal(port->away, "");
	close(vm);
	assert_int_equal(send_now(port, &mine, 1, true).full, 1);
	snprintf(expected, sizeof expected, "nobody is at %s: Connection refused; waiting for the guest", path_of("vm"));
	assert_string_equal(port->away, expected);
	unlink(path_of("vm"));
	vm = bound_socket(SOCK_DGRAM, "vm"); /* the hypervisor was started again */
	assert_int_equal(sendto(vm, frame, 60, 0, (struct sockaddr *)&to, sizeof to), 60);
	assert_int_equal(receive_now(port, packets, 4), 1);
	assert_string_equal(port->away, "");
	close(vm);
	unlink(path_of("vm"));
	port->kind->close(port);
}

/* A second guard that is started with the same path by mistake. */
static void a_question_is_no_guest(void **state)
{
	(void)state;
	struct packet packets[4];
	static const uint8_t one[64] = { [3] = 60 };
	struct port *port = open_port(text_of("stream", "s"), &guest);
	refuses(text_of("stream", "s"), &guest, false, "another process has it open");
	for (int i = 0; i < 3; i++)
		turn(port);
	assert_false(heard("connected") || heard("turned away"));
	assert_non_null(strstr(port->away, "nobody has connected to "));
	int client = connected_socket(SOCK_STREAM, "s"); /* a guest, however short its life */
	assert_int_equal(send(client, one, sizeof one, 0), sizeof one);
	close(client);
	AWAIT(port, heard("the guest has connected"));
	assert_int_equal(receive_now(port, packets, 4), 1);
	port->kind->close(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(the_mode_is_as_it_was_asked_for), IN_TIME(the_owner_and_the_group_can_reach_it),
		IN_TIME(what_cannot_be_done_is_said),     IN_TIME(what_is_wrong_with_the_options_is_said),
		IN_TIME(a_guest_that_cannot_be_answered), IN_TIME(who_never_came_is_away),
		IN_TIME(a_question_is_no_guest),
	};
	if (!make_folder())
		return 1;
	int failures = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failures;
}
