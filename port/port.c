/* The table of the kinds of port, and what they all share: errors, reports, quiet sockets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "port/io.h"
#include "system/guess.h"

enum { CONNECT_PAUSE_MS = 50 };

static const struct port_kind *const kinds[] = {
	&fd_port,    &unixgram_port, &stream_port,
#ifdef __linux__
	&tap_port,
#endif
#ifdef HAVE_SLIRP
	&slirp_port,
#endif
#ifdef HAVE_VMNET
	&vmnet_port,
#endif
	NULL,
};

void (*port_report)(const struct port *, const char *);

const struct port_kind *const *port_kinds(void)
{
	return kinds;
}

/* What is no kind of port here, but people look for. */
static const char *advice_on(const char *name, size_t length)
{
	static const char *const known[][2] = {
		{ "passt", "; passt is reached by stream:PATH, its --socket" },
		{ "vmnet", "; vmnet is macOS' own" },
		{ "unix", "; a socket is stream:PATH or unixgram:PATH" },
		{ "socket", "; a socket is stream:PATH or unixgram:PATH" },
		{ "bridge", "; a port of a bridge is tap:NAME,bridge=BR" },
		{ "user", "; a network without root is slirp" },
		{ "none", "; a VM without a network is --uplink slirp --vm-net-type host" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i][0]) == length && strncmp(known[i][0], name, length) == 0)
			return known[i][1];
	return NULL;
}

static const char *name_of_kind(size_t i)
{
	return kinds[i] ? kinds[i]->name : NULL;
}

static struct port *unknown_kind(const char *text, struct error *error)
{
	char forms[240] = "", meant[80] = "";
	size_t length = strcspn(text, ":");
	const char *advice = advice_on(text, length), *guess = guess_word(text, length, name_of_kind);
	for (size_t i = 0; kinds[i]; i++) {
		size_t at = strlen(forms);
		snprintf(forms + at, sizeof forms - at, "%s%.*s", i ? ", " : "", (int)strcspn(kinds[i]->form, "["),
			 kinds[i]->form);
	}
	if (!advice && guess)
		snprintf(meant, sizeof meant, "; did you mean %s%s?", guess, text[length] == ':' ? ":" : "");
	return usage_error(error, "unknown port \"%.60s\" (known: %s)%s", text, forms, advice ? advice : meant);
}

const struct port_kind *port_kind_of(const char *text)
{
	size_t length = strcspn(text, ":");
	for (size_t i = 0; kinds[i]; i++)
		if (strlen(kinds[i]->name) == length && strncmp(kinds[i]->name, text, length) == 0)
			return kinds[i];
	return NULL;
}

const char *port_argument_of(const char *text)
{
	const char *colon = strchr(text, ':');
	return colon ? colon + 1 : "";
}

unsigned port_cuts(const char *text)
{
	const struct port_kind *kind = text ? port_kind_of(text) : NULL;
	return kind ? kind->cuts : 0;
}

bool port_is_known(const char *text, struct error *error)
{
	if (port_kind_of(text))
		return true;
	unknown_kind(text, error);
	return false;
}

struct port *port_open(const char *text, const struct port_settings *settings, struct error *error)
{
	*error = (struct error){ 0 };
	if (settings->max_frame < 14 || settings->max_frame > 65535 + 14)
		return usage_error(error, "%.60s: a frame of %u octets is not possible", text, settings->max_frame);

	const struct port_kind *kind = port_kind_of(text);
	if (!kind)
		return unknown_kind(text, error);
	struct port *port = kind->open(port_argument_of(text), settings, error);
	if (port)
		copy_text(port->name, sizeof port->name, text);
	return port;
}

void *usage_error(struct error *error, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fill_error(error, EXIT_USAGE, format, list);
	va_end(list);
	return NULL;
}

void *resource_error(struct error *error, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fill_error(error, EXIT_RUNTIME, format, list);
	va_end(list);
	return NULL;
}

bool port_gone(struct port *port, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(port->gone, sizeof port->gone, format, list);
	va_end(list);
	return false;
}

void port_tell(const struct port *port, const char *format, ...)
{
	char sentence[256];
	va_list list;
	va_start(list, format);
	vsnprintf(sentence, sizeof sentence, format, list);
	va_end(list);
	if (port_report)
		port_report(port, sentence);
}

bool nothing_to_service(struct port *port, uint64_t now_ms)
{
	(void)port;
	(void)now_ms;
	return true;
}

uint64_t no_deadline(const struct port *port)
{
	(void)port;
	return UINT64_MAX;
}

bool make_quiet(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return false;
	no_sigpipe(fd);
	return true;
}

void enlarge_buffers(int fd)
{
	/* macOS refuses a size beyond its limit instead of taking the limit, so ask for less and less. */
	for (int size = 4 << 20; size >= 256 << 10; size /= 2)
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0)
			break;
	for (int size = 4 << 20; size >= 256 << 10; size /= 2)
		if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0)
			break;
}

int unix_socket(int type)
{
	int fd = move_above_2(socket(AF_UNIX, type, 0));
	if (fd >= 0 && !make_quiet(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool unix_pair(int type, int pair[2])
{
	if (socketpair(AF_UNIX, type, 0, pair) < 0)
		return false;
	pair[0] = move_above_2(pair[0]);
	pair[1] = move_above_2(pair[1]);
	if (pair[0] >= 0 && pair[1] >= 0 && make_quiet(pair[0]) && make_quiet(pair[1]))
		return true;
	int saved = errno;
	close(pair[0]);
	close(pair[1]);
	errno = saved;
	return false;
}

socklen_t fill_sockaddr(struct sockaddr_storage *to, struct address a, uint16_t port)
{
	memset(to, 0, sizeof *to);
	if (is_ipv4(a)) {
		struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
		four.sin_addr.s_addr = htonl(ipv4_of_address(a));
		memcpy(to, &four, sizeof four);
		return sizeof four;
	}
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	octets_of_address(a, six.sin6_addr.s6_addr);
	memcpy(to, &six, sizeof six);
	return sizeof six;
}

bool unix_address(struct sockaddr_un *address, const char *path, size_t length, struct error *error)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (length == 0)
		return refuse(error, "the path of the socket is missing");
	if (length >= sizeof address->sun_path)
		return refuse(error, "socket path \"%.160s\" is longer than %zu octets", path,
			      sizeof address->sun_path - 1);
	memcpy(address->sun_path, path, length);
	return true;
}

/*
 * EPROTOTYPE, or 0: somebody has it open; ECONNREFUSED or ENOENT: nobody; else it cannot be known, for this reason. A socket
 * of the other type asks: to the one that is asked nobody has come.
 */
static int ask_path(int type, const struct sockaddr_un *address)
{
	int probe = unix_socket(type == SOCK_STREAM ? SOCK_DGRAM : SOCK_STREAM);
	if (probe < 0)
		return errno;
	int error = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
	close(probe);
	return error;
}

bool unix_alive(int type, const struct sockaddr_un *address)
{
	int error = ask_path(type, address);
	return error != ECONNREFUSED && error != ENOENT; /* unknown: leave the other side's things alone */
}

bool unix_bind(int fd, int type, const struct sockaddr_un *address, struct error *error)
{
	const struct sockaddr *generic = (const struct sockaddr *)address;
	if (bind(fd, generic, sizeof *address) == 0)
		return true;
	struct stat status;
	if (errno != EADDRINUSE || lstat(address->sun_path, &status) < 0) {
		report_failure(error, "cannot bind %s: %s", address->sun_path, strerror(errno));
		return false;
	}
	if (!S_ISSOCK(status.st_mode)) {
		report_failure(error, "cannot bind %s: a file that is not a socket stands there", address->sun_path);
		return false;
	}
	int answer = ask_path(type, address);
	if (answer == EACCES || answer == EPERM) {
		report_failure(error,
			       "cannot bind %s: a socket of user %u stands there, and user %u may not ask whether "
			       "somebody uses it; remove it if nobody does",
			       address->sun_path, (unsigned)status.st_uid, (unsigned)geteuid());
		return false;
	}
	if (answer != ECONNREFUSED && answer != ENOENT) {
		report_failure(error, "cannot bind %s: another process has it open", address->sun_path);
		return false;
	}
	if (unlink(address->sun_path) == 0 && bind(fd, generic, sizeof *address) == 0)
		return true;
	report_failure(error, "cannot bind %s: %s", address->sun_path, strerror(errno));
	return false;
}

bool unix_connect(int fd, const struct sockaddr_un *address, int patience_ms)
{
	for (;;) {
		if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
			return true;
		if (patience_ms <= 0 || (errno != ECONNREFUSED && errno != ENOENT && errno != EAGAIN && errno != EINTR))
			return false;
		poll(NULL, 0, CONNECT_PAUSE_MS);
		patience_ms -= CONNECT_PAUSE_MS;
	}
}

/* By its folder's number and its own name: the switch that listens there may be started again meanwhile. */
void path_segment(const struct port *port, struct segment_id *segment)
{
	char folder[sizeof port->name];
	struct stat status;
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a, for a name that may be long */
	*segment = (struct segment_id){ .port = 0 };
	copy_text(folder, sizeof folder, strchr(port->name, ':') ? strchr(port->name, ':') + 1 : "");
	folder[strcspn(folder, ",")] = '\0';
	char *slash = strrchr(folder, '/');
	for (const char *c = slash ? slash + 1 : folder; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ULL;
	if (slash)
		slash[slash == folder] = '\0';
	if (stat(slash ? folder : ".", &status) == 0)
		snprintf(segment->text, sizeof segment->text, "path %llx:%llx %016llx",
			 (unsigned long long)status.st_dev, (unsigned long long)status.st_ino, (unsigned long long)hash);
}

void backoff_failed(struct backoff *backoff, uint64_t now_ms)
{
	if (backoff->delay_ms == 0)
		backoff->delay_ms = 100;
	backoff->next_ms = now_ms + backoff->delay_ms;
	backoff->delay_ms = backoff->delay_ms >= 1000 ? 2000 : backoff->delay_ms * 2;
}
