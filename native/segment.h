// Cutting a superpacket into the packets that the kernel would have sent (tcp_gso_segment and
// __udp_gso_segment), and finishing the checksum of a lone packet. A segment is written straight
// to its place in the send slab; header sums are taken once for the whole superpacket.
//
// Fixed in segment i: IPv4 total length, id + i and header checksum, or IPv6 payload length; TCP
// sequence number + i * size, FIN and PSH only on the last, CWR only on the first (RFC 3168 6.1.2);
// UDP length; the transport checksum. Options are repeated as they are.
#pragma once
#include "layout.h"

namespace hawser {

// How a row is cut. Made by PlanCut, then constant.
struct Cut {
  const uint8_t* packet;
  int32_t length;
  int32_t count;          // of segments, 1 for a lone packet
  int32_t header_length;  // of each segment; 0 for a lone packet
  int32_t gso_size;
  int32_t transport;  // offset of the TCP or UDP header, or where an unfinished checksum starts
  int32_t checksum_offset;  // from there; 0: nothing to finish
  bool ipv6, tcp;
  uint64_t network_sum;    // IPv4 header without total length, id and checksum
  uint64_t transport_sum;  // pseudo-header and transport header without what differs by segment
};

// False when the virtio words of the row do not fit the packet. `packet` is row.length bytes long.
bool PlanCut(const uint8_t* packet, const Row& row, Cut* cut);

inline int32_t SegmentLength(const Cut& cut, int32_t index) {
  if (cut.header_length == 0 || index == cut.count - 1) {
    return cut.length - index * cut.gso_size;
  }
  return cut.header_length + cut.gso_size;
}

// Writes segment `index`, SegmentLength bytes.
void WriteSegment(const Cut& cut, int32_t index, uint8_t* out);

}  // namespace hawser
