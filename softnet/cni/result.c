/* Results of all versions: what 0.4.0 has more, nobody here needs. */
#include "softnet/cni/result.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "system/descriptors.h"
#include "system/text.h"

static const char no_result[] = "prevResult: missing; this plug-in makes no interface: put it behind the one that "
				"does, in \"plugins\" of the network";

/* An address of `text`; its host bits count. */
static bool read_address(const char *text, struct cni_address *to)
{
	char address[ADDRESS_TEXT];
	uint64_t length;
	size_t octets = strcspn(text, "/");
	if (octets >= sizeof address || text[octets] == '\0')
		return false;
	memcpy(address, text, octets);
	address[octets] = '\0';
	if (!parse_address(address, &to->address) ||
	    !parse_number(text + octets + 1, 0, is_ipv4(to->address) ? 32 : 128, &length))
		return false;
	to->prefix_length = (uint32_t)length;
	return true;
}

static bool read_ip(const json_t *ip, struct cni_result *result, struct fault *fault)
{
	struct cni_address *to = &result->ips[result->count];
	const char *text = text_of(ip, "address"), *gateway = text_of(ip, "gateway");
	if (result->count == IPS_MAX)
		return fail(fault, CNI_CONFIGURATION, "prevResult: ips: more than %d addresses", IPS_MAX);
	*to = (struct cni_address){ .prefix_length = 0 };
	if (!read_address(text, to))
		return fail(fault, CNI_CONFIGURATION,
			    "prevResult: ips: \"%.60s\": expected an address with the length of its prefix", text);
	if (gateway[0] != '\0' && !parse_address(gateway, &to->gateway))
		return fail(fault, CNI_CONFIGURATION, "prevResult: ips: gateway \"%.60s\": expected an address", gateway);
	result->count++;
	return true;
}

/* Its place in `interfaces`, or -1. */
static json_int_t find_interface(const struct cni_call *call, const json_t *interfaces)
{
	size_t i;
	const json_t *one;
	json_array_foreach(interfaces, i, one)
	{
		if (strcmp(text_of(one, "name"), call->interface) == 0 && text_of(one, "sandbox")[0] != '\0')
			return (json_int_t)i;
	}
	return -1;
}

bool read_result(const struct cni_call *call, struct cni_result *result, struct fault *fault)
{
	size_t i;
	const json_t *ip, *interfaces;
	*result = (struct cni_result){ .whole = json_object_get(call->config, "prevResult") };
	if (!json_is_object(result->whole))
		return fail(fault, CNI_CONFIGURATION, "%s", no_result);
	interfaces = json_object_get(result->whole, "interfaces");
	json_int_t place = find_interface(call, interfaces);
	if (place < 0)
		return fail(fault, CNI_CONFIGURATION, "prevResult: interfaces: there is no %.15s in a container",
			    call->interface);
	copy_text(result->mac, sizeof result->mac, text_of(json_array_get(interfaces, (size_t)place), "mac"));
	json_array_foreach(json_object_get(result->whole, "ips"), i, ip)
	{
		const json_t *of = json_object_get(ip, "interface");
		if ((!of || json_integer_value(of) == place) && !read_ip(ip, result, fault))
			return false;
	}
	return true;
}

json_t *list_addresses(const struct cni_result *result)
{
	char text[ADDRESS_TEXT], line[ADDRESS_TEXT + 8];
	json_t *list = json_array();
	for (uint32_t i = 0; i < result->count; i++) {
		snprintf(line, sizeof line, "%s/%u", format_address(result->ips[i].address, text),
			 (unsigned)result->ips[i].prefix_length);
		json_array_append_new(list, json_string(line));
	}
	return list;
}
