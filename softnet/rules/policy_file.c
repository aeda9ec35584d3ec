/* Reads --policy FILE. */
#include "softnet/rules/policy_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "system/process/privileges.h"

enum { SHOWN_PATH = 120 }; /* octets of a path in an error */

static bool refuse_file(struct error *error, const char *path, const char *why)
{
	return refuse(error, "%.*s: %s", SHOWN_PATH, path, why);
}

static bool refuse_line(struct error *error, const char *path, unsigned line, const char *why)
{
	return refuse(error, "%.*s:%u: %s", SHOWN_PATH, path, line, why);
}

static bool refuse_word(struct error *error, const char *path, unsigned line, const char *word, const char *expected)
{
	struct error cause;
	refuse_value(&cause, word, expected);
	return refuse_line(error, path, line, cause.text);
}

/* The next line, cut off at its end or at a comment, without blanks around it; a final line may lack its end. */
static char *take_line(char **rest)
{
	char *line = *rest, *end = line + strcspn(line, "\n");
	*rest = *end == '\n' ? end + 1 : end;
	*end = '\0';
	line[strcspn(line, "#")] = '\0';
	line += strspn(line, " \t\r");
	for (size_t length = strlen(line); length > 0 && strchr(" \t\r", line[length - 1]); length--)
		line[length - 1] = '\0';
	return line;
}

static bool read_line(char *line, const char *path, unsigned number, struct rule_list *list, struct error *error)
{
	struct error cause;
	enum destination_class class = CLASS_NONE;
	size_t length = strcspn(line, " \t");
	char *rule = line + length + strspn(line + length, " \t");
	line[length] = '\0';
	if (strcmp(line, "allow") == 0)
		class = CLASS_ALLOWED;
	else if (strcmp(line, "block") == 0)
		class = CLASS_BLOCKED;
	else
		return refuse_word(error, path, number, line, "allow or block");
	if (*rule == '\0')
		return refuse_word(error, path, number, line, "a rule behind it");
	return add_rule(list, rule, class, &cause) || refuse_line(error, path, number, cause.text);
}

static bool read_lines(char *text, const char *path, struct rule_list *list, struct error *error)
{
	for (unsigned number = 1; *text != '\0'; number++) {
		char *line = take_line(&text);
		if (*line != '\0' && !read_line(line, path, number, list, error))
			return false;
	}
	return true;
}

struct reading {
	const char *path;
	char *text;
	size_t size, length;
	bool is_again;      /* nothing that could make us wait */
	bool is_other_kind; /* of file; else errno says what is wrong */
};

static bool read_all(struct reading *r, int fd)
{
	struct stat status;
	bool may_be_pipe = !r->is_again;
	r->is_other_kind = fstat(fd, &status) < 0 ||
			   (!S_ISREG(status.st_mode) && (!S_ISFIFO(status.st_mode) || !may_be_pipe));
	while (!r->is_other_kind && r->length < r->size) {
		ssize_t got = read(fd, r->text + r->length, r->size - r->length);
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return false;
		r->length += got > 0 ? (size_t)got : 0;
	}
	return !r->is_other_kind;
}

static bool read_file(void *context)
{
	struct reading *r = context;
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (r->is_again ? O_NONBLOCK : 0));
	bool is_read = fd >= 0 && read_all(r, fd);
	int cause = errno;
	if (fd >= 0)
		close(fd);
	errno = cause;
	return is_read;
}

static bool take_file(struct reading *r, bool is_read, struct rule_list *list, struct error *error)
{
	const char *path = r->path,
		   *expected = r->is_again ? "expected a regular file" : "expected a regular file or a pipe";
	if (!is_read)
		return refuse_file(error, path, r->is_other_kind ? expected : strerror(errno));
	if (r->length > POLICY_FILE_MAX)
		return refuse(error, "%.*s: longer than %d octets", SHOWN_PATH, path, POLICY_FILE_MAX);
	r->text[r->length] = '\0';
	if (strlen(r->text) != r->length)
		return refuse_file(error, path, "expected text: it holds an octet of zero");
	return read_lines(r->text, path, list, error);
}

static char file_text[POLICY_FILE_MAX + 1];

bool read_policy_file(const char *path, struct rule_list *list, struct error *error)
{
	struct reading r = { .path = path, .text = file_text, .size = sizeof file_text };
	return take_file(&r, do_as_caller(read_file, &r), list, error);
}

bool read_policy_file_again(const char *path, struct rule_list *list, struct error *error)
{
	struct reading r = { .path = path, .text = file_text, .size = sizeof file_text, .is_again = true };
	return take_file(&r, read_file(&r), list, error);
}
