/* vmnet.framework, as far as softnet calls it; see ../README.md. */
#pragma once
#include <dispatch/dispatch.h>
#include <stdint.h>
#include <sys/uio.h>
#include <xpc/xpc.h>

#define SINCE(version) __attribute__((availability(macos, introduced = version)))

typedef enum : uint32_t {
	VMNET_SUCCESS = 1000,
	VMNET_FAILURE = 1001,
	VMNET_MEM_FAILURE = 1002,
	VMNET_INVALID_ARGUMENT = 1003,
	VMNET_SETUP_INCOMPLETE = 1004,
	VMNET_INVALID_ACCESS = 1005,
	VMNET_PACKET_TOO_BIG = 1006,
	VMNET_BUFFER_EXHAUSTED = 1007,
	VMNET_TOO_MANY_PACKETS = 1008,
} vmnet_return_t;

typedef enum : uint32_t {
	VMNET_HOST_MODE = 1000,
	VMNET_SHARED_MODE = 1001,
	VMNET_BRIDGED_MODE SINCE(10.15) = 1002,
} operating_modes_t;

typedef enum : uint32_t {
	VMNET_INTERFACE_PACKETS_AVAILABLE = 1,
} interface_event_t;

struct vmpktdesc {
	size_t vm_pkt_size;
	struct iovec *vm_pkt_iov;
	uint32_t vm_pkt_iovcnt;
	uint32_t vm_flags;
};

/* In the wish for an interface. */
extern const char *vmnet_operation_mode_key SINCE(10.10);
extern const char *vmnet_shared_interface_name_key SINCE(10.15);
extern const char *vmnet_allocate_mac_address_key SINCE(10.15);
extern const char *vmnet_enable_isolation_key SINCE(11.0);
/* In the answer; the second and the third also in the wish. */
extern const char *vmnet_max_packet_size_key SINCE(10.10);
extern const char *vmnet_mtu_key SINCE(10.10);
extern const char *vmnet_start_address_key SINCE(10.15);
extern const char *vmnet_read_max_packets_key SINCE(15.0);
extern const char *vmnet_write_max_packets_key SINCE(15.0);

typedef struct vmnet_interface *interface_ref;
typedef void (^vmnet_start_interface_completion_handler_t)(vmnet_return_t, xpc_object_t);
typedef void (^vmnet_interface_event_callback_t)(interface_event_t, xpc_object_t);
typedef void (^vmnet_interface_completion_handler_t)(vmnet_return_t);

xpc_object_t vmnet_copy_shared_interface_list(void) SINCE(10.15);
interface_ref vmnet_start_interface(xpc_object_t wish, dispatch_queue_t, vmnet_start_interface_completion_handler_t)
    SINCE(10.10);
vmnet_return_t vmnet_interface_set_event_callback(interface_ref, interface_event_t, dispatch_queue_t,
						  vmnet_interface_event_callback_t) SINCE(10.10);
vmnet_return_t vmnet_read(interface_ref, struct vmpktdesc *, int *count) SINCE(10.10);
vmnet_return_t vmnet_write(interface_ref, struct vmpktdesc *, int *count) SINCE(10.10);
vmnet_return_t vmnet_stop_interface(interface_ref, dispatch_queue_t, vmnet_interface_completion_handler_t) SINCE(10.10);

/* `address` in network byte order, the ports in the host's. */
vmnet_return_t vmnet_interface_add_ip_port_forwarding_rule(interface_ref, uint8_t protocol, uint16_t external_port,
							   uint8_t family, const void *address, uint16_t internal_port,
							   vmnet_interface_completion_handler_t) SINCE(11.0);
vmnet_return_t vmnet_interface_remove_ip_port_forwarding_rule(interface_ref, uint8_t protocol, uint16_t external_port,
							      uint8_t family, vmnet_interface_completion_handler_t)
    SINCE(11.0);

#undef SINCE
