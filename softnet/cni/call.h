/* A call as the runtime makes it: the environment, and the network's configuration on standard input. */
#pragma once
#include <jansson.h>
#include "system/error.h"

/* The numbers of the specification. */
enum cni_code {
	CNI_VERSION_UNKNOWN = 1,
	CNI_FIELD_UNKNOWN = 2,
	CNI_CONTAINER_UNKNOWN = 3,
	CNI_ENVIRONMENT = 4,
	CNI_INPUT_OUTPUT = 5,
	CNI_NO_JSON = 6,
	CNI_CONFIGURATION = 7,
	CNI_TRY_AGAIN = 11,
	CNI_NOT_AVAILABLE = 50,
	CNI_NOT_GUARDED = 100, /* from here on numbers are a plug-in's own: the port could not be guarded ... */
	CNI_GUARD_GONE = 101   /* ... or is not guarded any more as ADD has left it */
};

struct fault {
	enum cni_code code;
	struct error error;
};

/* Both always give false, so that a function can end with them. */
__attribute__((format(printf, 3, 4))) bool fail(struct fault *, enum cni_code, const char *format, ...);
/* The error is in the fault already. */
bool fail_of(struct fault *, enum cni_code);

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION, CNI_COMMANDS };

struct cni_call {
	enum cni_command command;
	const char *container, *netns, *interface, *arguments; /* "": not given */
	json_t *config;
	const char *network, *version; /* of the configuration */
};

/* What an answer calls itself where the configuration has not said anything that is known. */
extern const char newest_version[];

/* False: the fault says why. version is set in any case. */
bool read_call(struct cni_call *, struct fault *);
/* {"cniVersion": ..., "supportedVersions": [...]} */
json_t *list_versions(const struct cni_call *);

/* A text of a configuration, "" where there is none. */
const char *text_of(const json_t *object, const char *key);
/* The value of NAME=VALUE in CNI_ARGS: false where it is not there. */
bool find_argument(const struct cni_call *, const char *name, char *value, size_t size);
