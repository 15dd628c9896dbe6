#include "coalesce.h"

#include "checksum.h"

namespace hawser {
namespace {

constexpr int32_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20, kUdpHeader = 8;
constexpr uint8_t kProtocolTcp = 6, kProtocolUdp = 17;
constexpr uint8_t kAck = 0x10, kPsh = 0x08;
constexpr int32_t kTcpChecksum = 16, kUdpChecksum = 6;
constexpr int32_t kMaxPacket = 65535;
constexpr uint16_t kDontFragment = 0x4000, kFragmentMask = 0x3fff;

// Headers of RFC 8200 and its relatives behind which TCP or UDP may follow.
bool IsExtension(uint8_t next) {
  return next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135 ||
         next == 139 || next == 140;
}

// The sum of the pseudo-header; the same for both versions but for the length of the addresses.
uint64_t PseudoSum(const uint8_t* ip, bool ipv6, bool tcp, int32_t transport_length) {
  const uint64_t addresses = ipv6 ? Sum(ip + 8, 32) : Sum(ip + 12, 8);
  return addresses + SumWord(tcp ? kProtocolTcp : kProtocolUdp) +
         SumWord(static_cast<uint16_t>(transport_length));
}

// Whether the IPv4 header's and the transport's checksum are right. `length` is the packet's.
bool ChecksumsGood(const uint8_t* ip, const uint8_t* transport, bool ipv6, bool tcp,
                   int32_t length) {
  if (!ipv6 && Fold(Sum(ip, kIpv4Header)) != 0xffff) return false;
  const auto transport_length = length - static_cast<int32_t>(transport - ip);
  const uint64_t sum = PseudoSum(ip, ipv6, tcp, transport_length) +
                       Sum(transport, static_cast<size_t>(transport_length));
  return Fold(sum) == 0xffff;
}

bool SameBytes(const uint8_t* a, const uint8_t* b, int32_t length) {
  return memcmp(a, b, static_cast<size_t>(length)) == 0;
}

uint64_t LoadNative64(const uint8_t* at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

// Addresses and ports. A peer can make flows collide; a chain is at most kFlows long.
uint32_t HashFlow(const uint8_t* ip, const uint8_t* transport, bool ipv6, int32_t slot) {
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  uint64_t hash = static_cast<uint32_t>(slot) + (uint64_t{Load32(transport)} << 32);
  const int32_t first = ipv6 ? 8 : 12, end = ipv6 ? 40 : 20;
  for (int32_t at = first; at < end; at += 8) hash = (hash ^ LoadNative64(ip + at)) * kMultiplier;
  return static_cast<uint32_t>(hash >> 32);
}

}  // namespace

Coalescer::Coalescer(Context& context)
    : context_(context), allowed_(static_cast<uint32_t>(context.state[kStateCoalesce])) {
  memset(buckets_, -1, sizeof buckets_);
}

bool Coalescer::Add(const Packet& packet) {
  if (part_count_ + 2 > kParts) CloseAll();
  const Parsed parsed = Parse(packet);
  // It may be of any flow, a fragment for instance: nothing may be appended in front of it.
  if (parsed.kind == Parsed::kUnknownFlow) CloseAll();
  if (parsed.kind == Parsed::kUnknownFlow || parsed.kind == Parsed::kNoFlow) {
    return AppendRow(packet) != nullptr;
  }
  const uint32_t bucket =
      HashFlow(parsed.ip, parsed.transport, parsed.ipv6, packet.slot) % kBuckets;
  Flow* flow = Find(parsed, packet.slot, bucket);
  if (flow != nullptr && flow->row >= 0) {
    if (parsed.kind == Parsed::kMergeable && Matches(*flow, parsed, packet) &&
        Append(*flow, parsed, packet)) {
      return true;
    }
    Close(*flow);
  }
  if (parsed.kind == Parsed::kAlone) return AppendRow(packet) != nullptr;
  if (flow == nullptr) flow = Insert(parsed, packet.slot, bucket);
  return Start(*flow, parsed, packet);
}

Row* Coalescer::AppendRow(const Packet& packet) {
  if (row_count_ >= context_.row_count) return nullptr;
  Row* row = &context_.rows[row_count_++];
  *row = Row{};
  row->offset = packet.offset;
  row->length = packet.length;
  row->segments = 1;
  row->slot = packet.slot;
  row->remote = -1;
  row->fd = -1;
  row->tos = packet.tos;
  row->cable = packet.cable;
  row->pad_or_train = packet.train;
  return row;
}

int32_t Coalescer::Finish() {
  CloseAll();
  return row_count_;
}

Coalescer::Parsed Coalescer::Parse(const Packet& packet) const {
  Parsed parsed{};
  const uint8_t* ip = context_.slab + packet.offset;
  parsed.ip = ip;
  parsed.ipv6 = ip[0] >> 4 == 6;
  const uint8_t protocol = parsed.ipv6 ? ip[6] : ip[9];
  parsed.tcp = protocol == kProtocolTcp;
  parsed.kind = Parsed::kNoFlow;
  if (parsed.ipv6 && IsExtension(protocol)) parsed.kind = Parsed::kUnknownFlow;
  if (protocol != kProtocolTcp && protocol != kProtocolUdp) return parsed;
  parsed.network_length = parsed.ipv6 ? kIpv6Header : kIpv4Header;
  parsed.kind = Parsed::kUnknownFlow;
  if (!parsed.ipv6 && (ip[0] != 0x45 || (Load16(ip + 6) & kFragmentMask) != 0)) return parsed;
  parsed.transport = ip + parsed.network_length;
  ParseTransport(&parsed, packet.length - parsed.network_length);
  if (parsed.kind == Parsed::kMergeable && (allowed_ & (parsed.tcp ? kTcp : kUdp)) == 0) {
    parsed.kind = Parsed::kAlone;
  }
  return parsed;
}

// `length` is what lies behind the network header.
void Coalescer::ParseTransport(Parsed* parsed, int32_t length) {
  if (length < 4) return;  // not even the ports
  parsed->kind = Parsed::kAlone;
  if (length < (parsed->tcp ? kTcpHeader : kUdpHeader)) return;
  const uint8_t* transport = parsed->transport;
  const int32_t header = parsed->tcp ? (transport[12] >> 4) * 4 : kUdpHeader;
  if (header >= length) return;  // no payload
  parsed->header_length = parsed->network_length + header;
  parsed->payload = length - header;
  if (parsed->tcp) {
    // ACK alone or with PSH, and none of the reserved bits.
    if (header < kTcpHeader || (transport[12] & 0x0f) != 0) return;
    if ((transport[13] & ~kPsh) != kAck) return;
  } else {
    // A zero checksum means "none" (RFC 768): an unfinished one would give it one.
    if (Load16(transport + 4) != length || Load16(transport + kUdpChecksum) == 0) return;
  }
  parsed->kind = Parsed::kMergeable;
}

Coalescer::Flow* Coalescer::Find(const Parsed& parsed, int32_t slot, uint32_t bucket) {
  const auto is = [&](const Flow& flow) {
    if (flow.slot != slot || flow.ipv6 != parsed.ipv6 || flow.tcp != parsed.tcp) return false;
    if (!SameBytes(flow.transport, parsed.transport, 4)) return false;
    return parsed.ipv6 ? SameBytes(flow.ip + 8, parsed.ip + 8, 32)
                       : SameBytes(flow.ip + 12, parsed.ip + 12, 8);
  };
  if (last_ != nullptr && is(*last_)) return last_;
  for (int32_t number = buckets_[bucket]; number >= 0; number = flows_[number].next) {
    if (is(flows_[number])) return last_ = &flows_[number];
  }
  return nullptr;
}

Coalescer::Flow* Coalescer::Insert(const Parsed& parsed, int32_t slot, uint32_t bucket) {
  if (flow_count_ == kFlows) CloseAll();
  Flow* flow = &flows_[flow_count_];
  *flow = Flow{};
  flow->slot = slot;
  flow->ipv6 = parsed.ipv6;
  flow->tcp = parsed.tcp;
  flow->row = -1;
  flow->next = buckets_[bucket];
  buckets_[bucket] = static_cast<int16_t>(flow_count_++);
  return last_ = flow;
}

// Opens a row with its first packet. What ends with PSH can have nothing appended.
bool Coalescer::Start(Flow& flow, const Parsed& parsed, const Packet& packet) {
  flow.ip = parsed.ip;
  flow.transport = parsed.transport;
  flow.row = -1;
  if (AppendRow(packet) == nullptr) return false;
  if (parsed.tcp && (parsed.transport[13] & kPsh) != 0) return true;
  flow.row = row_count_ - 1;
  flow.verified = false;
  flow.push = false;
  flow.header_length = parsed.header_length;
  flow.gso_size = parsed.payload;
  if (parsed.tcp) {
    flow.sequence = Load32(parsed.transport + 4) + static_cast<uint32_t>(parsed.payload);
  }
  if (!parsed.ipv6) flow.id = static_cast<uint16_t>(Load16(parsed.ip + 4) + 1);
  return true;
}

// Whether the packet continues the open row: everything that segmentation repeats is equal.
bool Coalescer::Matches(const Flow& flow, const Parsed& parsed, const Packet& packet) const {
  const Row& row = context_.rows[flow.row];
  if (row.tos != packet.tos || flow.header_length != parsed.header_length) return false;
  if (parsed.payload > flow.gso_size || row.segments == kMaxSegments) return false;
  if (row.length + parsed.payload > kMaxPacket) return false;
  const uint8_t *a = flow.ip, *b = parsed.ip;
  if (parsed.ipv6) {
    // Version, traffic class and flow label; hop limit.
    if (!SameBytes(a, b, 4) || a[7] != b[7]) return false;
  } else {
    // TOS; DF and the reserved bit; TTL. The id means something where DF is clear (RFC 6864).
    if (a[1] != b[1] || !SameBytes(a + 6, b + 6, 2) || a[8] != b[8]) return false;
    if ((Load16(b + 6) & kDontFragment) == 0 && Load16(b + 4) != flow.id) return false;
  }
  if (!parsed.tcp) return true;
  a = flow.transport;
  b = parsed.transport;
  // Sequence; acknowledgement and header length; window; urgent pointer and options.
  const int32_t options = parsed.header_length - parsed.network_length - 18;
  return Load32(b + 4) == flow.sequence && SameBytes(a + 8, b + 8, 5) &&
         SameBytes(a + 14, b + 14, 2) && SameBytes(a + 18, b + 18, options);
}

// Appends a packet that matches, unless a checksum is wrong or there is no room for its piece.
bool Coalescer::Append(Flow& flow, const Parsed& parsed, const Packet& packet) {
  Row& row = context_.rows[flow.row];
  const int32_t pieces = row.segments == 1 ? 2 : 1;
  const int32_t most = context_.piece_count < kMaxPacket ? context_.piece_count : kMaxPacket;
  if (pieces_used_ + pieces_promised_ + pieces > most) return false;
  if (!flow.verified) {
    if (!ChecksumsGood(flow.ip, flow.transport, flow.ipv6, flow.tcp, row.length)) return false;
    flow.verified = true;
  }
  if (!ChecksumsGood(parsed.ip, parsed.transport, parsed.ipv6, parsed.tcp, packet.length)) {
    return false;
  }
  if (row.segments == 1) flow.first_part = flow.last_part = NewPart(row.offset, row.length);
  const int32_t part = NewPart(packet.offset + parsed.header_length, parsed.payload);
  parts_[flow.last_part].next = part;
  flow.last_part = part;
  row.segments++;
  row.length += parsed.payload;
  row.pad_or_train = packet.train;
  flow.push = parsed.tcp && (parsed.transport[13] & kPsh) != 0;
  flow.sequence += static_cast<uint32_t>(parsed.payload);
  flow.id++;
  // Only the last segment may be shorter or carry PSH.
  if (flow.push || parsed.payload < flow.gso_size) Close(flow);
  return true;
}

int32_t Coalescer::NewPart(int32_t offset, int32_t length) {
  parts_[part_count_] = {offset, length, -1};
  pieces_promised_++;
  return part_count_++;
}

void Coalescer::Close(Flow& flow) {
  Row& row = context_.rows[flow.row];
  flow.row = -1;
  if (row.segments == 1) return;
  row.pieces = static_cast<int32_t>(static_cast<uint32_t>(row.segments) << 16) | pieces_used_;
  int32_t part = flow.first_part;
  for (int32_t i = 0; i < row.segments; i++) {
    context_.pieces[pieces_used_ * 2] = parts_[part].offset;
    context_.pieces[pieces_used_ * 2 + 1] = parts_[part].length;
    pieces_used_++;
    part = parts_[part].next;
  }
  pieces_promised_ -= row.segments;
  row.gso = !flow.tcp ? kGsoUdp : flow.ipv6 ? kGsoTcp6 : kGsoTcp4;
  row.gso_size = flow.gso_size;
  row.header_length = flow.header_length;
  const int32_t checksum = flow.tcp ? kTcpChecksum : kUdpChecksum;
  row.csum = (flow.ipv6 ? kIpv6Header : kIpv4Header) | checksum << 16;
  RewriteHeader(flow, row);
}

// Makes the first packet's header that of the superpacket. The transport checksum becomes the
// folded sum of the pseudo-header, which is what an unfinished checksum starts from.
void Coalescer::RewriteHeader(const Flow& flow, const Row& row) const {
  uint8_t* ip = context_.slab + row.offset;
  const int32_t network_length = flow.ipv6 ? kIpv6Header : kIpv4Header;
  const int32_t transport_length = row.length - network_length;
  if (flow.ipv6) {
    Store16(ip + 4, static_cast<uint32_t>(transport_length));
  } else {
    Store16(ip + 2, static_cast<uint32_t>(row.length));
    Store16(ip + 10, 0);
    Store16(ip + 10, Checksum(Sum(ip, kIpv4Header)));
  }
  uint8_t* transport = ip + network_length;
  if (!flow.tcp) Store16(transport + 4, static_cast<uint32_t>(transport_length));
  if (flow.push) transport[13] |= kPsh;
  Store16(transport + (flow.tcp ? kTcpChecksum : kUdpChecksum),
          Fold(PseudoSum(ip, flow.ipv6, flow.tcp, transport_length)));
}

void Coalescer::CloseAll() {
  for (int32_t i = 0; i < flow_count_; i++) {
    if (flows_[i].row >= 0) Close(flows_[i]);
  }
  if (flow_count_ > 0) memset(buckets_, -1, sizeof buckets_);
  flow_count_ = 0;
  part_count_ = 0;
  last_ = nullptr;
}

}  // namespace hawser
