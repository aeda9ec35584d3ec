/* libdispatch, as far as softnet and the doubles use it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef void (^dispatch_block_t)(void);
typedef struct fake_queue *dispatch_queue_t;
typedef struct fake_semaphore *dispatch_semaphore_t;
typedef uint64_t dispatch_time_t;

#define NSEC_PER_SEC          1000000000ULL
#define DISPATCH_TIME_NOW     0ULL
#define DISPATCH_TIME_FOREVER (~0ULL)
#define DISPATCH_QUEUE_SERIAL NULL

dispatch_queue_t dispatch_queue_create(const char *label, void *attribute);
void dispatch_async(dispatch_queue_t, dispatch_block_t);
dispatch_semaphore_t dispatch_semaphore_create(intptr_t value);
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t, dispatch_time_t);
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t);
dispatch_time_t dispatch_time(dispatch_time_t base, int64_t nanoseconds);
/* Of semaphores; queues stay. */
void dispatch_release(dispatch_semaphore_t);
