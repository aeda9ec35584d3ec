/* The files of --pcap and --metrics. What describes them asks the relay. */
#include "softnet/opening.h"
#include "softnet/capture/capture_options.h"
#include "softnet/methods/control_methods.h"

static size_t describe_section(const void *context, char *text, size_t room)
{
	const struct relay *r = context;
	return format_capture_options(&(struct in_force){ r->options, r->guard.config, r->rules, &r->vms, &r->exposes },
				      text, room);
}

const char *prepare_capture(struct relay *r)
{
	const struct options *options = r->options;
	r->capture = share_or_die(sizeof *r->capture);
	r->capture->path = options->pcap;
	r->capture->wants_all = options->frames == FRAMES_ALL;
	r->capture->size_max = options->pcap_size;
	r->capture->files = options->pcap_files;
	r->capture->describe = describe_section;
	r->capture->context = r;
	for (int side = 0; side < DIRECTIONS; side++)
		r->capture->ports[side] = r->port[side]->name;
	r->capture->wall_offset_ms = r->started_wall_ms - r->started_ms;
	return start_capture(r->capture, r->now_ms);
}

static json_t *own_status(const void *context)
{
	return json_status(context);
}

const char *prepare_metrics(struct relay *r)
{
	r->metrics = share_or_die(sizeof *r->metrics);
	*r->metrics = (struct metrics_file){ .path = r->options->metrics, .status = own_status, .context = r };
	return start_metrics_file(r->metrics, r->now_ms);
}
