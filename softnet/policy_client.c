/* A client of live control, for people: one request, and the answer in the form of a policy file. */
#include "policy_client.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "../port/io.h"
#include "platform.h"

enum { ANSWER_MAX = 1 << 20, TIMEOUT_S = 10 };

/* A stranger who starts a set-user-id softnet must not be taken for root by the guard that looks who is calling. */
static bool become_caller(void)
{
	return (getgid() == getegid() || platform_set_group(getgid()) == 0) &&
	       (getuid() == geteuid() || platform_set_user(getuid()) == 0);
}

static int connect_to(const char *path, struct usage_error *error)
{
	struct sockaddr_un address;
	struct port_error cause;
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	if (!unix_address(&address, path, strlen(path), &cause)) {
		refuse(error, "--control: %s", cause.text);
		return -1;
	}
	int fd = become_caller() ? socket(AF_UNIX, SOCK_STREAM, 0) : -1;
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	refuse(error, "--control: cannot connect to %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static json_t *list_rules(const struct rule_list *rules, enum destination_class class)
{
	char text[RULE_TEXT];
	json_t *list = json_array();
	for (uint32_t i = 0; i < rules->count; i++)
		if (rules->rule[i].class == class)
			json_array_append_new(list, json_string(format_rule(&rules->rule[i].text, text)));
	return list;
}

static char *write_request(const struct options *options)
{
	json_t *params = json_object();
	bool sets = options->wanted == WANT_SET;
	if (sets) {
		json_object_set_new(params, "allow", list_rules(&options->rules, CLASS_ALLOWED));
		json_object_set_new(params, "block", list_rules(&options->rules, CLASS_BLOCKED));
	}
	json_t *request = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method",
				    sets ? "softnet.policy.set" : "softnet.policy.get", "params", params);
	char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	return line;
}

static bool send_line(int fd, const char *line)
{
	struct iovec rest = { (void *)(uintptr_t)line, strlen(line) };
	while (rest.iov_len > 0) {
		ssize_t n = send(fd, rest.iov_base, rest.iov_len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return false;
		rest.iov_base = (char *)rest.iov_base + (n > 0 ? n : 0);
		rest.iov_len -= n > 0 ? (size_t)n : 0;
	}
	return send(fd, "\n", 1, MSG_NOSIGNAL) == 1;
}

/* A line; NULL: errno is 0 where the guard has hung up. */
static json_t *read_answer(int fd)
{
	char *line = malloc(ANSWER_MAX);
	size_t length = 0;
	ssize_t n = 1;
	json_t *answer = NULL;
	while (line != NULL && n > 0 && length < ANSWER_MAX && (length == 0 || line[length - 1] != '\n')) {
		n = recv(fd, line + length, ANSWER_MAX - length, 0);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			length += (size_t)n;
	}
	if (n > 0)
		answer = json_loadb(line, length, 0, NULL);
	if (n >= 0)
		errno = n == 0 ? 0 : EBADMSG;
	free(line);
	return answer;
}

static void print_rules(const json_t *result, const char *key, FILE *to)
{
	size_t i;
	json_t *rule;
	json_array_foreach(json_object_get(result, key), i, rule) {
		char text[RULE_TEXT];
		copy_text(text, sizeof text, json_is_string(rule) ? json_string_value(rule) : "?");
		make_printable(text);
		fprintf(to, "%s %s\n", key, text);
	}
}

static bool print_answer(const json_t *answer, FILE *to, struct usage_error *error)
{
	const json_t *result = json_object_get(answer, "result");
	const char *message = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
	if (result == NULL)
		return refuse(error, "%s", message != NULL ? message : "--control: that is no guard's answer");
	print_rules(result, "allow", to);
	print_rules(result, "block", to);
	return true;
}

bool ask_for_policy(const struct options *options, FILE *to, struct usage_error *error)
{
	int fd = connect_to(options->control_path, error);
	if (fd < 0)
		return false;
	char *request = write_request(options);
	json_t *answer = request != NULL && send_line(fd, request) ? read_answer(fd) : NULL;
	const char *why = errno == 0 ? "it hung up; may you connect, and are there others?" : strerror(errno);
	bool is_done = answer != NULL ? print_answer(answer, to, error) :
					refuse(error, "--control: no answer from %s: %s", options->control_path, why);
	json_decref(answer);
	free(request);
	close(fd);
	return is_done;
}
