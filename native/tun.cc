// Superpackets to and from a TUN device. Every frame carries a virtio-net header (virtio 1.2,
// 5.1.6.1) in front of the IP header: whether it is a superpacket, and whether its checksum is
// still to be finished. What the kernel says there is checked against the packet before anyone
// believes it, and what JavaScript wrote in a row is checked before anything is read.
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"
#include "napi-args.h"

namespace hawser {
namespace {

// struct virtio_net_hdr; <linux/virtio_net.h> is not C++ in the headers of Debian 12. The device
// was not set to a fixed byte order, so the words are in the order of the machine.
struct VirtioHeader {
  uint8_t flags, gso_type;
  uint16_t header_length, gso_size, csum_start, csum_offset;
};
static_assert(sizeof(VirtioHeader) == 10);

constexpr uint8_t kNeedsCsum = 1;
// In gso_type beside the type: the first segment may carry CWR (RFC 3168 6.1.2).
constexpr uint8_t kGsoEcn = 0x80;

constexpr int32_t kMaxSegments = 1024;
constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr uint32_t kTcpCsumOffset = 16, kUdpCsumOffset = 6;
constexpr uint32_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20, kUdpHeader = 8;

constexpr size_t Align64(size_t value) { return (value + 63) & ~size_t{63}; }

// Whether a superpacket's transport header can start at `start`, as the IP header tells it.
bool TransportAgrees(const uint8_t* packet, uint32_t start, uint8_t protocol) {
  if (packet[0] >> 4 == 4) {
    // A fragment is no superpacket: neither "more fragments" nor an offset.
    const bool fragment = (packet[6] & 0x3f) != 0 || packet[7] != 0;
    return start == (packet[0] & 15u) * 4 && start >= kIpv4Header && packet[9] == protocol &&
           !fragment;
  }
  // Between the IPv6 header and the transport header there may be extension headers. The kernel has
  // walked them; `start` is where it arrived.
  const uint8_t next = packet[6];
  if (next == protocol) return start == kIpv6Header;
  return next != kTcp && next != kUdp && start > kIpv6Header;
}

// Fills the words of a row that say it is a superpacket. False if header and packet disagree.
bool DescribeSuperpacket(const VirtioHeader& header, const uint8_t* packet, uint32_t length,
                         Row& row) {
  const int32_t type = header.gso_type & ~kGsoEcn;
  const bool ecn = (header.gso_type & kGsoEcn) != 0;
  if (type != kGsoTcp4 && type != kGsoTcp6 && type != kGsoUdp) return false;
  const bool tcp = type != kGsoUdp;
  const int version = packet[0] >> 4;
  if (tcp ? version != (type == kGsoTcp4 ? 4 : 6) || header.csum_offset != kTcpCsumOffset
          : (version != 4 && version != 6) || header.csum_offset != kUdpCsumOffset || ecn) {
    return false;
  }
  const uint32_t start = header.csum_start;
  const uint32_t least = start + (tcp ? kTcpHeader : kUdpHeader);
  if ((header.flags & kNeedsCsum) == 0 || header.gso_size == 0 || least > length) return false;
  if (!TransportAgrees(packet, start, tcp ? kTcp : kUdp)) return false;
  // The kernel's header length may be short or long (it is a hint): take it from the packet.
  const uint32_t header_length = tcp ? start + (packet[start + 12] >> 4) * 4u : least;
  if (header_length < least || header_length >= length) return false;
  const uint32_t payload = length - header_length;
  const uint32_t segments = (payload + header.gso_size - 1) / header.gso_size;
  if (segments > kMaxSegments) return false;
  if (segments == 1) return true;  // a lone packet, whose checksum is to be finished
  row.gso = type;
  row.gso_size = header.gso_size;
  row.header_length = static_cast<int32_t>(header_length);
  row.segments = static_cast<int32_t>(segments);
  return true;
}

// Checks the virtio header of a frame and fills its row with what it says.
bool DescribeFrame(const VirtioHeader& header, const uint8_t* packet, uint32_t length, Row& row) {
  if (length < kIpv4Header) return false;
  if ((header.flags & kNeedsCsum) != 0) {
    const uint32_t start = header.csum_start, offset = header.csum_offset;
    if (start < kIpv4Header || offset > INT16_MAX || start + offset + 2 > length) return false;
    row.csum = static_cast<int32_t>(start | offset << 16);
  }
  return header.gso_type == 0 || DescribeSuperpacket(header, packet, length, row);
}

// The pieces of a row as an iovec behind the virtio header. Returns their number, or 0 if one does
// not lie in the slab or they are not as long together as the row says.
int32_t Gather(const Context& c, const Row& row, iovec* pieces) {
  const auto word = static_cast<uint32_t>(row.pieces);
  const auto first = static_cast<int32_t>(word & 0xffff), count = static_cast<int32_t>(word >> 16);
  if (count == 0) {
    if (row.length <= 0 || !InSlab(row.offset, row.length, c.slab_bytes)) return 0;
    pieces[0] = {c.slab + row.offset, static_cast<size_t>(row.length)};
    return 1;
  }
  if (count >= Scratch::kPieces || first + count > c.piece_count) return 0;
  int64_t total = 0;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t offset = c.pieces[(first + i) * 2], length = c.pieces[(first + i) * 2 + 1];
    if (!InSlab(offset, length, c.slab_bytes)) return 0;
    pieces[i] = {c.slab + offset, static_cast<size_t>(length)};
    total += length;
  }
  return total == row.length && total > 0 ? count : 0;
}

VirtioHeader HeaderOf(const Row& row) {
  VirtioHeader header = {};
  if (row.csum != 0) {
    header.flags = kNeedsCsum;
    header.csum_start = static_cast<uint16_t>(row.csum);
    header.csum_offset = static_cast<uint16_t>(static_cast<uint32_t>(row.csum) >> 16);
  }
  if (row.gso != 0) {
    header.gso_type = static_cast<uint8_t>(row.gso);
    header.gso_size = static_cast<uint16_t>(row.gso_size);
    header.header_length = static_cast<uint16_t>(row.header_length);
  }
  return header;
}

// Writes one row. Returns 0 or the errno.
int WriteRow(const Context& c, int fd, const Row& row, iovec* pieces) {
  const int32_t count = Gather(c, row, pieces + 1);
  if (count == 0) return EINVAL;
  VirtioHeader header = HeaderOf(row);
  pieces[0] = {&header, sizeof header};
  while (writev(fd, pieces, count + 1) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

void Fail(Context& c, Row& row) {
  row.drop = kDropTunWriteFailed;
  c.Count(static_cast<uint32_t>(row.cable), kDropTunWriteFailed, 1);
}

// Whether a row is a packet that is to be written. Keepalives and messages never are.
bool IsAlive(const Row& row) { return row.drop == kDropNone && row.kind == kData; }

}  // namespace

napi_value ReadTun(napi_env env, napi_callback_info info) {
  BreathCall<4> call(env, info);
  ContextHolder* holder = call.Holder();
  const int32_t fd = call.Int(1), first = call.Int(2), first_byte = call.Int(3);
  if (!call.valid() || holder == nullptr || first_byte < 0 ||
      !IsRange(first, first, holder->context.row_count)) {
    return call.Refuse("readTun: no such rows");
  }
  Context& c = holder->context;
  c.state[kStateDrained] = 0;
  int32_t index = first;
  size_t offset = Align64(static_cast<size_t>(first_byte)) + kRowHeadroom;
  while (index < c.row_count && offset + kRowBytes <= c.slab_bytes) {
    // The virtio header goes into the headroom: one plain read is cheaper than a vector of two.
    uint8_t* const frame = c.slab + offset - sizeof(VirtioHeader);
    const ssize_t got = read(fd, frame, sizeof(VirtioHeader) + kRowBytes);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        c.state[kStateDrained] = 1;
      } else if (index == first) {
        return call.Return(-errno);
      }
      break;  // an error is seen again at the next call, when no row hides it
    }
    Row& row = c.rows[index++];
    row = {};
    row.offset = static_cast<int32_t>(offset);
    row.segments = 1;
    row.cable = -1;
    VirtioHeader header;
    std::memcpy(&header, frame, sizeof header);
    const size_t length = got > ssize_t{sizeof header} ? got - sizeof header : 0;
    row.length = static_cast<int32_t>(length);
    if (!DescribeFrame(header, c.slab + offset, static_cast<uint32_t>(length), row)) {
      row.drop = kDropMalformedFrame;
    }
    offset = Align64(offset + length) + kRowHeadroom;
  }
  return call.Return(index - first);
}

napi_value WriteTun(napi_env env, napi_callback_info info) {
  BreathCall<4> call(env, info);
  ContextHolder* holder = call.Holder();
  const int32_t fd = call.Int(1), first = call.Int(2), end = call.Int(3);
  if (!call.valid() || holder == nullptr || !IsRange(first, end, holder->context.row_count)) {
    return call.Refuse("writeTun: no such rows");
  }
  Context& c = holder->context;
  int32_t written = 0;
  for (int32_t i = first; i < end; ++i) {
    if (!IsAlive(c.rows[i])) continue;
    const int error = WriteRow(c, fd, c.rows[i], call.environment().scratch.pieces);
    if (error == 0) {
      ++written;
    } else if (error == EBADFD || error == EIO) {
      // Gone or down: what is left would fail alike, and is lost alike.
      for (; i < end; ++i) {
        if (IsAlive(c.rows[i])) Fail(c, c.rows[i]);
      }
      return call.Return(-error);
    } else {
      Fail(c, c.rows[i]);
    }
  }
  return call.Return(written);
}

}  // namespace hawser
