// Trains to and from UDP sockets. A train is one message: with UDP_GRO or UDP_SEGMENT it is many
// datagrams of one size, of which the last may be shorter. A control message carries the size;
// others the TOS or traffic class and the local address (RFC 3542 6).
#include <cerrno>

#include "addon.h"
#include "napi-args.h"
#include "udp-socket.h"

namespace hawser {
namespace {

constexpr int32_t kMaxTrains = 16;    // of one recvmmsg
constexpr size_t kTrainRoom = 65536;  // more than any UDP message
constexpr int kSoftErrors = 16;       // that one call swallows

// An error that belongs to an earlier datagram (an ICMP error came back), not to this call.
bool IsSoft(int error) {
  return error == EINTR || error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == EHOSTDOWN || error == ENETDOWN || error == EPROTO || error == ENOPROTOOPT ||
         error == EMSGSIZE || error == ECONNRESET;
}

bool IsZero(const uint8_t* bytes, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

template <typename T>
T ControlData(const cmsghdr* control) {
  T value;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return value;
}

void ReadControl(const cmsghdr* control, Train& train) {
  const int level = control->cmsg_level, type = control->cmsg_type;
  Remote& remote = train.remote;
  if (level == IPPROTO_UDP && type == kUdpGro) {
    const auto size = ControlData<int>(control);
    if (size > 0 && size < train.length) train.segment_size = size;
  } else if (level == IPPROTO_IP && type == IP_TOS) {
    train.tos = ControlData<uint8_t>(control);
  } else if (level == IPPROTO_IPV6 && type == IPV6_TCLASS) {
    train.tos = ControlData<int>(control);
  } else if (level == IPPROTO_IP && type == IP_PKTINFO) {
    const auto info = ControlData<in_pktinfo>(control);
    // They differ for broadcast and multicast, which are no address to answer from.
    if (info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr) return;
    std::memcpy(remote.source, &info.ipi_addr, sizeof info.ipi_addr);
    remote.source_ifindex = static_cast<uint32_t>(info.ipi_ifindex);
  } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
    const auto info = ControlData<in6_pktinfo>(control);
    if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) return;
    std::memcpy(remote.source, &info.ipi6_addr, sizeof info.ipi6_addr);
    remote.source_ifindex = info.ipi6_ifindex;
  }
}

void ReadAddress(const Scratch::Address& address, Remote& remote) {
  remote.family = address.any.sa_family;
  if (remote.family == AF_INET) {
    remote.port = ntohs(address.ipv4.sin_port);
    std::memcpy(remote.address, &address.ipv4.sin_addr, sizeof address.ipv4.sin_addr);
  } else if (remote.family == AF_INET6) {
    remote.port = ntohs(address.ipv6.sin6_port);
    remote.scope = address.ipv6.sin6_scope_id;
    std::memcpy(remote.address, &address.ipv6.sin6_addr, sizeof address.ipv6.sin6_addr);
  }
}

// Describes message `from` of the scratch memory in a train.
void FillTrain(Context& c, Scratch& scratch, int32_t from, int fd, Train& train, int32_t offset) {
  mmsghdr& message = scratch.messages[from];
  train = {};
  train.offset = offset;
  train.fd = fd;
  train.slot = -1;
  train.cable = -1;
  train.length = static_cast<int32_t>(message.msg_len);
  train.segment_size = train.length;
  ReadAddress(scratch.addresses[from], train.remote);
  msghdr* const header = &message.msg_hdr;
  for (cmsghdr* at = CMSG_FIRSTHDR(header); at != nullptr; at = CMSG_NXTHDR(header, at)) {
    ReadControl(at, train);
  }
  if ((header->msg_flags & MSG_TRUNC) != 0) {
    train.length = train.segment_size = 0;
    c.Count(kCables, kDropTruncatedDatagram, 1);
  }
}

void PrepareReceive(Context& c, Scratch& scratch, int32_t first, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    uint8_t* const buffer = c.slab + size_t(first + i) * kTrainBytes + kTrainHeadroom;
    scratch.buffers[i] = {buffer, kTrainRoom};
    msghdr& header = scratch.messages[i].msg_hdr;
    header = {};
    header.msg_name = &scratch.addresses[i];
    header.msg_namelen = sizeof scratch.addresses[i];
    header.msg_iov = &scratch.buffers[i];
    header.msg_iovlen = 1;
    header.msg_control = scratch.controls[i].bytes;
    header.msg_controllen = sizeof scratch.controls[i].bytes;
  }
}

int32_t DatagramCount(const Train& train) {
  if (train.length == 0) return 1;  // an empty datagram is one too
  return (train.length + train.segment_size - 1) / train.segment_size;
}

// Whether the numbers of a train that is to be sent make sense.
bool IsSendable(const Context& c, const Train& train) {
  return InSlab(train.offset, train.length, c.send_slab_bytes) &&
         (train.length == 0 || train.segment_size > 0) && train.sent >= 0 &&
         train.sent <= DatagramCount(train);
}

socklen_t WriteAddress(const Remote& remote, Scratch::Address& address) {
  if (remote.family == AF_INET6) {
    address.ipv6 = {};
    address.ipv6.sin6_family = AF_INET6;
    address.ipv6.sin6_port = htons(remote.port);
    address.ipv6.sin6_scope_id = remote.scope;
    std::memcpy(&address.ipv6.sin6_addr, remote.address, sizeof address.ipv6.sin6_addr);
    return sizeof address.ipv6;
  }
  address.ipv4 = {};
  address.ipv4.sin_family = AF_INET;
  address.ipv4.sin_port = htons(remote.port);
  std::memcpy(&address.ipv4.sin_addr, remote.address, sizeof address.ipv4.sin_addr);
  return sizeof address.ipv4;
}

// Appends control messages to a message that is to be sent.
class ControlWriter {
 public:
  explicit ControlWriter(Scratch::Control& control) : bytes_(control.bytes) {}

  template <typename T>
  void Add(int level, int type, const T& value) {
    auto* const at = reinterpret_cast<cmsghdr*>(bytes_ + length_);
    at->cmsg_level = level;
    at->cmsg_type = type;
    at->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(at), &value, sizeof value);
    length_ += CMSG_SPACE(sizeof value);
  }
  size_t length() const { return length_; }

 private:
  uint8_t* bytes_;
  size_t length_ = 0;
};

size_t WriteControl(const Train& train, bool segment, Scratch::Control& control) {
  ControlWriter writer(control);
  const Remote& remote = train.remote;
  const bool ipv6 = remote.family == AF_INET6;
  if (segment) writer.Add(IPPROTO_UDP, kUdpSegment, static_cast<uint16_t>(train.segment_size));
  if (train.tos != 0) {
    writer.Add(ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_TCLASS : IP_TOS, int{train.tos});
  }
  if (!IsZero(remote.source, ipv6 ? 16 : 4)) {
    if (ipv6) {
      in6_pktinfo info = {};
      std::memcpy(&info.ipi6_addr, remote.source, sizeof info.ipi6_addr);
      info.ipi6_ifindex = remote.source_ifindex;
      writer.Add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else {
      // Without an interface: it would override the routes (socket.c of the Linux driver asks them
      // for the source alone), where IPv6 takes it as a wish unless the addresses are link-local.
      in_pktinfo info = {};
      std::memcpy(&info.ipi_spec_dst, remote.source, sizeof info.ipi_spec_dst);
      writer.Add(IPPROTO_IP, IP_PKTINFO, info);
    }
  }
  return writer.length();
}

// Sends trains in order. Its messages go out in chunks of Scratch::kMessages.
class Sender {
 public:
  Sender(Context& c, Scratch& scratch, int32_t end, bool segmentation)
      : c_(c), scratch_(scratch), end_(end), segmentation_(segmentation) {}

  // Returns the index of the first train that was not sent whole, and the errno that stopped it.
  int32_t Send(int32_t first, int* error) {
    *error = 0;
    while (first < end_ && *error == 0) {
      const int32_t count = Prepare(first, error);
      int32_t sent = 0;
      while (sent < count) {
        const int result = sendmmsg(c_.trains[first].fd, scratch_.messages + sent,
                                    static_cast<unsigned>(count - sent), MSG_DONTWAIT);
        if (result < 0 && errno == EINTR) continue;
        if (result < 0) {
          *error = errno;
          break;
        }
        for (int32_t i = 0; i < result; ++i) Sent(scratch_.parts[sent + i]);
        sent += result;
      }
      while (first < end_ && IsSent(c_.trains[first])) ++first;
    }
    return first;
  }

 private:
  bool IsSent(const Train& train) const {
    return IsSendable(c_, train) && train.sent == DatagramCount(train);
  }

  void Sent(const Scratch::Part& part) {
    Train& train = c_.trains[part.train];
    train.sent += part.datagrams;
    if (IsSent(train)) c_.Count(kCables, kTrains, 1);
  }

  // Makes messages of what is left of trains [first, …), as far as they have the first one's
  // socket. A train that makes no sense ends the run, and is an error when it is the first.
  int32_t Prepare(int32_t first, int* error) {
    int32_t count = 0;
    for (int32_t i = first; i < end_ && c_.trains[i].fd == c_.trains[first].fd; ++i) {
      const Train& train = c_.trains[i];
      if (!IsSendable(c_, train)) {
        if (i == first) *error = EINVAL;
        break;
      }
      const int32_t datagrams = DatagramCount(train);
      for (int32_t next = train.sent; next < datagrams;) {
        if (count == Scratch::kMessages) return count;
        const int32_t taken = segmentation_ ? datagrams - next : 1;
        Message(i, next, taken, count++);
        next += taken;
      }
    }
    return count;
  }

  // Message `to` of the scratch memory: `taken` datagrams of a train from datagram `next` on.
  void Message(int32_t index, int32_t next, int32_t taken, int32_t to) {
    const Train& train = c_.trains[index];
    const int32_t from = next * train.segment_size;
    const int64_t room = int64_t{taken} * train.segment_size;
    const int64_t length = room < train.length - from ? room : train.length - from;
    scratch_.parts[to] = {index, taken};
    scratch_.buffers[to] = {c_.send_slab + train.offset + from, static_cast<size_t>(length)};
    msghdr& header = scratch_.messages[to].msg_hdr;
    header = {};
    header.msg_name = &scratch_.addresses[to];
    header.msg_namelen = WriteAddress(train.remote, scratch_.addresses[to]);
    header.msg_iov = &scratch_.buffers[to];
    header.msg_iovlen = 1;
    header.msg_control = scratch_.controls[to].bytes;
    header.msg_controllen = WriteControl(train, taken > 1, scratch_.controls[to]);
    if (header.msg_controllen == 0) header.msg_control = nullptr;
  }

  Context& c_;
  Scratch& scratch_;
  const int32_t end_;
  const bool segmentation_;
};

}  // namespace

napi_value ReceiveUdp(napi_env env, napi_callback_info info) {
  BreathCall<4> call(env, info);
  ContextHolder* holder = call.Holder();
  const int32_t fd = call.Int(1), first = call.Int(2), max = call.Int(3);
  const int32_t room = holder == nullptr ? 0 : holder->context.train_count;
  if (!call.valid() || max < 0 || !IsRange(first, first, room)) {
    return call.Refuse("receiveUdp: no such trains");
  }
  Context& c = holder->context;
  Scratch& scratch = call.environment().scratch;
  int32_t count = max < kMaxTrains ? max : kMaxTrains;
  if (count > room - first) count = room - first;
  if (size_t(first + count) * kTrainBytes > c.slab_bytes) {
    return call.Refuse("receiveUdp: the slab is too small for these trains");
  }
  for (int tries = 0; tries < kSoftErrors && count > 0; ++tries) {
    PrepareReceive(c, scratch, first, count);
    const int got =
        recvmmsg(fd, scratch.messages, static_cast<unsigned>(count), MSG_DONTWAIT, nullptr);
    if (got < 0 && IsSoft(errno)) continue;
    if (got < 0) return call.Return(errno == EAGAIN ? 0 : -errno);
    for (int32_t i = 0; i < got; ++i) {
      const int32_t offset = (first + i) * kTrainBytes + kTrainHeadroom;
      FillTrain(c, scratch, i, fd, c.trains[first + i], offset);
    }
    return call.Return(got);
  }
  return call.Return(0);
}

napi_value SendUdp(napi_env env, napi_callback_info info) {
  BreathCall<4> call(env, info);
  ContextHolder* holder = call.Holder();
  const int32_t first = call.Int(1), end = call.Int(2), segmentation = call.Int(3);
  if (!call.valid() || holder == nullptr || !IsRange(first, end, holder->context.train_count)) {
    return call.Refuse("sendUdp: no such trains");
  }
  Context& c = holder->context;
  int error = 0;
  Sender sender(c, call.environment().scratch, end, segmentation != 0);
  const int32_t next = sender.Send(first, &error);
  c.state[kStateErrno] = error;
  return call.Return(next);
}

}  // namespace hawser
