/* What the guard knows of the segment, as status and events tell it. docs/observability.md has the keys. */
#include "softnet/setup/anchors_json.h"
#include "softnet/counts/state_json.h"

static json_t *addresses_in(const struct address_set *set, json_t *list)
{
	for (uint32_t i = 0; i < set->count; i++)
		json_array_append_new(list, json_address(set->item[i]));
	return list;
}

/* Of both families together. */
static json_t *json_set(const struct address_set *four, const struct address_set *six)
{
	return addresses_in(six, addresses_in(four, json_array()));
}

/* The host itself, where it is not the router. null: it is, or no uplink knows it. */
static json_t *json_resident(const struct options *options, const struct anchors *anchors, const struct config *config)
{
	if (config->resident.count == 0)
		return json_null();
	return json_pack("{s:o, s:o, s:s?}", "addresses", addresses_in(&config->resident, json_array()), "mac",
			 json_mac(config->resident_mac), "why", why_no_router(options, anchors, config));
}

json_t *json_anchors(const struct options *options, const struct anchors *anchors, const struct config *config)
{
	json_t *macs = json_array();
	for (uint32_t i = 0; i < config->gateway_macs.count; i++)
		json_array_append_new(macs, json_mac(config->gateway_macs.item[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "resident", json_resident(options, anchors, config), "host",
			 json_set(&config->host, &config->host6), "servers",
			 json_set(&config->servers, &config->servers6), "resolvers",
			 json_set(&config->resolvers, &config->resolvers6), "macs", macs);
}

/* null: no port of a bridge, nor an interface, or one that cannot be seen. */
json_t *json_ground(const struct ground *ground)
{
	if (ground->interface[0] == '\0')
		return json_null();
	return json_pack("{s:o, s:o, s:b, s:b, s:b, s:b, s:i, s:o}", "interface", json_text(ground->interface),
			 "bridge", ground->bridge[0] != '\0' ? json_text(ground->bridge) : json_null(), "up",
			 ground->is_here && ground->is_up && ground->is_bridge_up, "carrier", ground->has_carrier,
			 "forwarding", ground->is_here && ground->is_forwarding, "isolated", ground->is_isolated, "mtu",
			 (int)ground->mtu, "warning",
			 ground->warning[0] != '\0' ? json_text(ground->warning) : json_null());
}
