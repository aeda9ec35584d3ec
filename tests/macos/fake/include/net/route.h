/* A routing socket, of which nothing but its waking is used: here it is rtnetlink's, that tells of IPv6 addresses. */
#pragma once
#include <sys/socket.h>

int fake_route_socket(int domain, int type, int protocol);
#define socket(domain, type, protocol) fake_route_socket(domain, type, protocol)
