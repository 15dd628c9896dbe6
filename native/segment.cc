#include "segment.h"

#include "checksum.h"

namespace hawser {
namespace {

constexpr int32_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20, kUdpHeader = 8;
constexpr uint8_t kProtocolTcp = 6, kProtocolUdp = 17;
constexpr uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;
constexpr int32_t kTcpChecksum = 16, kUdpChecksum = 6;

// Length of the transport header, or 0 when it does not lie in the packet.
int32_t TransportLength(const uint8_t* packet, int32_t length, int32_t transport, bool tcp) {
  if (!tcp) return transport + kUdpHeader <= length ? kUdpHeader : 0;
  if (transport + kTcpHeader > length) return 0;
  const int32_t tcp_length = (packet[transport + 12] >> 4) * 4;
  return tcp_length >= kTcpHeader ? tcp_length : 0;
}

// Whether the network header is of the version that the GSO type says and ends at `transport`.
bool NetworkFits(const uint8_t* packet, int32_t length, int32_t transport, int32_t gso) {
  if (length < kIpv4Header) return false;
  const int version = packet[0] >> 4;
  if (gso == kGsoTcp4 && version != 4) return false;
  if (gso == kGsoTcp6 && version != 6) return false;
  if (version == 4) return transport >= kIpv4Header && transport == (packet[0] & 15) * 4;
  // Extension headers may stand between.
  return version == 6 && transport >= kIpv6Header;
}

// The sums that all segments share. What differs by segment is taken out again: a sum is a plain
// integer at least as large as each of its words, so the difference is exact.
void SumHeaders(Cut* cut) {
  const uint8_t* ip = cut->packet;
  const uint8_t* l4 = ip + cut->transport;
  if (cut->ipv6) {
    cut->network_sum = 0;
    cut->transport_sum = Sum(ip + 8, 32);
  } else {
    cut->network_sum = Sum(ip, static_cast<size_t>(cut->transport)) - SumWord(Load16(ip + 2)) -
                       SumWord(Load16(ip + 4)) - SumWord(Load16(ip + 10));
    cut->transport_sum = Sum(ip + 12, 8);
  }
  cut->transport_sum += SumWord(cut->tcp ? kProtocolTcp : kProtocolUdp);
  cut->transport_sum += Sum(l4, static_cast<size_t>(cut->header_length - cut->transport));
  if (cut->tcp) {
    cut->transport_sum -= SumWord(Load16(l4 + 4)) + SumWord(Load16(l4 + 6)) +
                          SumWord(Load16(l4 + 12)) + SumWord(Load16(l4 + kTcpChecksum));
  } else {
    cut->transport_sum -= SumWord(Load16(l4 + 4)) + SumWord(Load16(l4 + kUdpChecksum));
  }
}

bool PlanLone(Cut* cut) {
  cut->count = 1;
  cut->header_length = 0;
  cut->gso_size = 0;
  return cut->checksum_offset == 0 || cut->transport + cut->checksum_offset + 2 <= cut->length;
}

void WriteLone(const Cut& cut, uint8_t* out) {
  memcpy(out, cut.packet, static_cast<size_t>(cut.length));
  if (cut.checksum_offset == 0) return;
  // The field holds the folded sum of the pseudo-header, and so is part of what is summed.
  uint8_t* start = out + cut.transport;
  const uint64_t sum = Sum(start, static_cast<size_t>(cut.length - cut.transport));
  Store16(start + cut.checksum_offset,
          cut.checksum_offset == kUdpChecksum ? UdpChecksum(sum) : Checksum(sum));
}

void WriteNetwork(const Cut& cut, int32_t index, int32_t length, uint8_t* ip) {
  if (cut.ipv6) {
    Store16(ip + 4, static_cast<uint32_t>(length - kIpv6Header));
    return;
  }
  const auto id = static_cast<uint16_t>(Load16(cut.packet + 4) + index);
  const auto total = static_cast<uint16_t>(length);
  Store16(ip + 2, total);
  Store16(ip + 4, id);
  Store16(ip + 10, Checksum(cut.network_sum + SumWord(total) + SumWord(id)));
}

}  // namespace

bool PlanCut(const uint8_t* packet, const Row& row, Cut* cut) {
  const int32_t gso = row.gso & 0x7f;  // without VIRTIO_NET_HDR_GSO_ECN
  cut->packet = packet;
  cut->length = row.length;
  cut->transport = row.csum & 0xffff;
  cut->checksum_offset = row.csum >> 16 & 0xffff;
  if (gso == kGsoNone) return PlanLone(cut);
  cut->tcp = gso != kGsoUdp;
  if (gso != kGsoTcp4 && gso != kGsoTcp6 && gso != kGsoUdp) return false;
  if (!NetworkFits(packet, row.length, cut->transport, gso)) return false;
  const int32_t transport_length = TransportLength(packet, row.length, cut->transport, cut->tcp);
  if (transport_length == 0 || row.header_length != cut->transport + transport_length) return false;
  if (row.header_length > row.length || row.gso_size <= 0 || row.gso_size > 65535) return false;
  if (cut->checksum_offset != (cut->tcp ? kTcpChecksum : kUdpChecksum)) return false;
  cut->ipv6 = packet[0] >> 4 == 6;
  cut->header_length = row.header_length;
  cut->gso_size = row.gso_size;
  const int32_t payload = row.length - row.header_length;
  cut->count = payload == 0 ? 1 : (payload + row.gso_size - 1) / row.gso_size;
  SumHeaders(cut);
  return true;
}

void WriteSegment(const Cut& cut, int32_t index, uint8_t* out) {
  if (cut.header_length == 0) return WriteLone(cut, out);
  const int32_t length = SegmentLength(cut, index);
  const auto header = static_cast<size_t>(cut.header_length);
  const auto payload = static_cast<size_t>(length - cut.header_length);
  memcpy(out, cut.packet, header);
  memcpy(out + header, cut.packet + header + static_cast<size_t>(index) * cut.gso_size, payload);
  WriteNetwork(cut, index, length, out);

  uint8_t* l4 = out + cut.transport;
  const auto transport_length = static_cast<uint16_t>(length - cut.transport);
  uint64_t sum = cut.transport_sum + SumWord(transport_length) + Sum(out + header, payload);
  if (!cut.tcp) {
    Store16(l4 + 4, transport_length);
    Store16(l4 + kUdpChecksum, UdpChecksum(sum + SumWord(transport_length)));
    return;
  }
  Store32(l4 + 4, Load32(l4 + 4) + static_cast<uint32_t>(index) * cut.gso_size);
  if (index != cut.count - 1) l4[13] &= static_cast<uint8_t>(~(kFin | kPsh));
  if (index != 0) l4[13] &= static_cast<uint8_t>(~kCwr);
  sum += SumWord(Load16(l4 + 4)) + SumWord(Load16(l4 + 6)) + SumWord(Load16(l4 + 12));
  Store16(l4 + kTcpChecksum, Checksum(sum));
}

}  // namespace hawser
