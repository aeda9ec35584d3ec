/* Lines of --events. The file may be anybody's: a line is a JSON object of a bounded length, or an error. */
#include "softnet/replay/suggest.h"
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/guard.h"

enum { LINE_MAX_OCTETS = 1 << 16 };

bool holds_events(const char *path)
{
	struct stat status;
	bool is_file = stat(path, &status) == 0 && S_ISREG(status.st_mode);
	FILE *file = is_file ? fopen(path, "re") : NULL;
	int first = file ? getc(file) : EOF;
	if (file)
		fclose(file);
	return first == '{' || (file && status.st_size == 0);
}

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));
	return text ? text : "";
}

/* False: none, or no host's. */
static bool take_host(const char *text, struct name *name)
{
	name->length = 0;
	for (; *text != '\0'; text++)
		if (!add_to_name(name, (uint8_t)*text))
			return false;
	return is_host_name(name);
}

static bool take_naming(const json_t *event, struct name_event *seen)
{
	static const struct {
		const char *word;
		enum naming naming;
		uint8_t protocol;
	} ways[] = { { "tls", NAMED_IN_TLS, IPPROTO_TCP },
		     { "quic", NAMED_IN_QUIC, IPPROTO_UDP },
		     { "http", NAMED_IN_HTTP, IPPROTO_TCP },
		     { "address", NAMED_BY_ADDRESS, 0 } };
	const char *by = text_of(event, "by");
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (strcmp(ways[i].word, by) != 0)
			continue;
		bool is_tcp = strcmp(text_of(event, "protocol"), "tcp") == 0;
		seen->naming = (uint8_t)ways[i].naming;
		seen->protocol = ways[i].protocol != 0 ? ways[i].protocol : is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
		return true;
	}
	return false;
}

static bool take_flow(const json_t *event, struct name_event *seen)
{
	json_int_t port = json_integer_value(json_object_get(event, "port"));
	const char *reason = text_of(event, "reason");
	if (port < 1 || port > UINT16_MAX || !parse_address(text_of(event, "address"), &seen->peer) ||
	    !take_naming(event, seen))
		return false;
	seen->port = (uint16_t)port;
	for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
		if (strcmp(verdict_name((enum verdict)verdict), reason) == 0)
			seen->verdict = (uint8_t)verdict;
	return true;
}

/* Where a rule goes by the address alone no name is told: it is the rule's. */
static const char *name_in(const json_t *event)
{
	return json_is_string(json_object_get(event, "name")) ? text_of(event, "name") : text_of(event, "rule");
}

/* False: it says that it is about a name, and is not. */
static bool take_event(const struct options *options, const json_t *event)
{
	struct name name, shown;
	const char *kind = text_of(event, "event");
	struct name_event seen = { .kind = strcmp(kind, "name-asked") == 0 ? NAME_ASKED_FOR : NAME_SEEN };
	if (seen.kind == NAME_SEEN && strcmp(kind, "name-seen") != 0)
		return true;
	if (options->name && strcmp(options->name, text_of(event, "vm")) != 0)
		return true;
	if (take_host(name_in(event), &name))
		seen.name = &name;
	if (take_host(text_of(event, "shown"), &shown))
		seen.shown = &shown;
	if (seen.kind == NAME_SEEN && !take_flow(event, &seen))
		return false;
	note_name_event(options, &seen);
	return true;
}

static bool read_line(const struct options *options, const char *line, size_t length)
{
	json_t *event = json_loadb(line, length, 0, NULL);
	bool is_event = json_is_object(event) && json_is_string(json_object_get(event, "event")) &&
			take_event(options, event);
	json_decref(event);
	return is_event;
}

bool read_events(const struct options *options, const char *path, struct error *error)
{
	FILE *file = fopen(path, "re");
	static char line[LINE_MAX_OCTETS];
	bool is_good = true;
	unsigned long number = 0;
	if (!file)
		return report_failure(error, "%.200s: %s", path, strerror(errno));
	while (is_good && fgets(line, sizeof line, file)) {
		size_t length = strlen(line);
		number++;
		if (length == 1 && line[0] == '\n')
			continue;
		is_good = (line[length > 0 ? length - 1 : 0] == '\n' && read_line(options, line, length)) ||
			  report_failure(error, "%.200s:%lu: expected an event: a JSON object that --events has written",
					 path, number);
	}
	if (is_good && ferror(file))
		is_good = report_failure(error, "%.200s: %s", path, strerror(errno));
	fclose(file);
	return is_good;
}
