/*
 * os_log, as far as softnet calls it; see ../README.md. The compiler packs the arguments, as with Apple's header: clang does
 * so on every system.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct os_log_s *os_log_t;
typedef uint8_t os_log_type_t;
enum {
	OS_LOG_TYPE_DEFAULT = 0x00,
	OS_LOG_TYPE_INFO = 0x01,
	OS_LOG_TYPE_DEBUG = 0x02,
	OS_LOG_TYPE_ERROR = 0x10,
	OS_LOG_TYPE_FAULT = 0x11,
};

os_log_t os_log_create(const char *subsystem, const char *category);
bool os_log_type_enabled(os_log_t, os_log_type_t);
void _os_log_impl(void *image, os_log_t, os_log_type_t, const char *format, uint8_t *packed, uint32_t octets);

#ifdef __APPLE__ /* where the reader of the log looks formats up */
#define OS_LOG_SECTION __attribute__((section("__TEXT,__oslogstring,cstring_literals")))
#else
#define OS_LOG_SECTION
#endif

extern struct mach_header __dso_handle;

#define os_log_with_type(log, type, format, ...) \
	do { \
		if (os_log_type_enabled(log, type)) { \
			OS_LOG_SECTION static const char os_log_format[] = format; \
			_Alignas(16) uint8_t os_log_room[__builtin_os_log_format_buffer_size(format, ##__VA_ARGS__)]; \
			_os_log_impl(&__dso_handle, log, type, os_log_format, \
				     __builtin_os_log_format(os_log_room, format, ##__VA_ARGS__), sizeof os_log_room); \
		} \
	} while (0)
