/* Counters of the kernel's memory as guard.status shows them. */
#include "softnet/left/left_counts.h"
#include <string.h>
#include "softnet/counts/drops_json.h"
#include "softnet/counts/state_json.h"

void put_counts(json_t *status, const struct kernel_memory *memory, uint64_t now_ms)
{
	static struct counters counters;
	json_t *passed = json_object();
	memset(&counters, 0, sizeof counters);
	for (int side = 0; side < DIRECTIONS; side++) {
		memcpy(counters.verdicts[side], memory->counted[side].verdicts, sizeof counters.verdicts[side]);
		memcpy(counters.last[side], memory->last[side], sizeof counters.last[side]);
		counters.octets[side] = memory->counted[side].octets;
		json_object_set_new(passed, side_names[side], json_passed(&counters, side));
	}
	json_object_set_new(status, "passed", passed);
	json_object_set_new(status, "drops", json_drops(&counters, now_ms, NULL, NULL));
	json_object_set_new(status, "flows", json_flows(&memory->flows));
}
