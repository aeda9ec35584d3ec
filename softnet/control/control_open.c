/* How the sockets of live control come about: before the first frame, and where a mistake is still an error. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"
#include "softnet/control/control.h"
#include "system/platform.h"

void prepare_control(struct control *control, const struct rpc_method *methods, void *context)
{
	size_t seed;
	memset(control, 0, sizeof *control);
	control->methods = methods;
	control->context = context;
	control->listener = control->aside.fd = -1;
	control->inherited.fd = -1;
	for (int i = 0; i < OPERATORS_MAX; i++)
		control->operators[i].fd = -1;
	control->starter = getuid();
	if (platform_random(&seed, sizeof seed))
		rpc_seed(seed);
}

/* Tart passes its standard output: what is printed there by mistake, or by a library, must not become an answer. */
static bool give_up_descriptor(int fd)
{
	if (fd > 2)
		return close(fd) == 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool is_replaced = null >= 0 && dup2(null, fd) == fd;
	if (null > 2)
		close(null);
	return is_replaced;
}

bool take_control_descriptor(struct control *control, int fd, struct error *error)
{
	struct error cause;
	int type = connected_unix_socket(fd, &cause);
	if (type == 0)
		return refuse(error, "--control-fd: %s", cause.text);
	if (type != SOCK_STREAM)
		return refuse(error, "--control-fd: fd %d is a socket, but not a stream socket", fd);
	int own = duplicate_above_2(fd);
	if (own < 0 || !make_quiet(own) || !give_up_descriptor(fd))
		return refuse(error, "--control-fd: fd %d: %s", fd, strerror(errno));
	open_client(&control->inherited, own, false, control->context);
	return true;
}

/* The mode is that of the file from its first moment on: nobody can connect in between. */
static bool bind_private(int fd, const struct sockaddr_un *address, struct error *cause)
{
	mode_t before = umask(0177);
	bool is_bound = unix_bind(fd, SOCK_STREAM, address, cause);
	umask(before);
	return is_bound;
}

bool listen_control(struct control *control, const char *path, struct error *error)
{
	struct sockaddr_un address;
	struct error cause;
	if (!unix_address(&address, path, strlen(path), &cause))
		return refuse(error, "--control: %s", cause.text);
	int fd = unix_socket(SOCK_STREAM);
	if (fd < 0)
		return refuse(error, "--control: cannot make a socket: %s", strerror(errno));
	if (!bind_private(fd, &address, &cause)) {
		close(fd);
		return refuse(error, "--control: %s", cause.text);
	}
	if (listen(fd, OPERATORS_MAX) < 0 || lstat(path, &control->place) < 0) {
		refuse(error, "--control: cannot listen at %s: %s", path, strerror(errno));
		close(fd);
		return false;
	}
	control->listener = fd;
	control->path = path;
	return true;
}
