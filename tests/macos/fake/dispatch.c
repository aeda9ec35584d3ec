/* Serial queues, each with a thread of its own, and semaphores. */
#include <dispatch/dispatch.h>
#include <Block.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "fake.h"

struct job {
	struct job *next;
	dispatch_block_t block;
};

struct fake_queue {
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct job *first, **last;
};

static void *serve(void *argument)
{
	struct fake_queue *queue = argument;
	for (;;) {
		pthread_mutex_lock(&queue->lock);
		while (!queue->first)
			pthread_cond_wait(&queue->news, &queue->lock);
		struct job *job = queue->first;
		queue->first = job->next;
		if (!queue->first)
			queue->last = &queue->first;
		pthread_mutex_unlock(&queue->lock);
		job->block();
		Block_release(job->block);
		free(job);
	}
	return NULL;
}

/* As on macOS, none of its threads handles a signal. */
dispatch_queue_t dispatch_queue_create(const char *label, void *attribute)
{
	struct fake_queue *queue = calloc(1, sizeof *queue);
	sigset_t all, before;
	pthread_t thread;
	(void)label;
	(void)attribute;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->news, NULL);
	queue->last = &queue->first;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pthread_create(&thread, NULL, serve, queue);
	pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return queue;
}

void dispatch_async(dispatch_queue_t queue, dispatch_block_t block)
{
	struct job *job = calloc(1, sizeof *job);
	job->block = Block_copy(block);
	pthread_mutex_lock(&queue->lock);
	*queue->last = job;
	queue->last = &job->next;
	pthread_cond_signal(&queue->news);
	pthread_mutex_unlock(&queue->lock);
}

struct fake_semaphore {
	pthread_mutex_t lock;
	pthread_cond_t news;
	intptr_t value, at_first, waiting;
};

dispatch_semaphore_t dispatch_semaphore_create(intptr_t value)
{
	struct fake_semaphore *semaphore = calloc(1, sizeof *semaphore);
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&semaphore->lock, NULL);
	pthread_cond_init(&semaphore->news, &clock);
	semaphore->value = semaphore->at_first = value;
	count_objects(SEMAPHORES, 1);
	return semaphore;
}

intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t until)
{
	struct timespec limit = { (time_t)(until / NSEC_PER_SEC), (long)(until % NSEC_PER_SEC) };
	int error = 0;
	pthread_mutex_lock(&semaphore->lock);
	semaphore->waiting++;
	while (semaphore->value == 0 && error == 0)
		error = until == DISPATCH_TIME_FOREVER
			    ? pthread_cond_wait(&semaphore->news, &semaphore->lock)
			    : pthread_cond_timedwait(&semaphore->news, &semaphore->lock, &limit);
	semaphore->waiting--;
	if (error == 0)
		semaphore->value--;
	pthread_mutex_unlock(&semaphore->lock);
	return error;
}

intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore)
{
	pthread_mutex_lock(&semaphore->lock);
	semaphore->value++;
	pthread_cond_signal(&semaphore->news);
	pthread_mutex_unlock(&semaphore->lock);
	return 0;
}

/* The real one ends the program in these cases, too. */
void dispatch_release(dispatch_semaphore_t semaphore)
{
	pthread_mutex_lock(&semaphore->lock);
	if (semaphore->waiting > 0 || semaphore->value < semaphore->at_first)
		misuse("a semaphore is released while it is in use");
	pthread_mutex_unlock(&semaphore->lock);
	pthread_cond_destroy(&semaphore->news);
	pthread_mutex_destroy(&semaphore->lock);
	free(semaphore);
	count_objects(SEMAPHORES, -1);
}

dispatch_time_t dispatch_time(dispatch_time_t base, int64_t nanoseconds)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (base == DISPATCH_TIME_NOW)
		base = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
	return base + (uint64_t)nanoseconds / fake_speed;
}
