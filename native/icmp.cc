// ICMP echo (RFC 792, RFC 4443 4.1) for health checks: a socket of either family, bound to a device
// when wanted, requests out, and all replies that have arrived in one call.
//
// A raw socket sees the replies to everybody's requests: the caller knows its own by their payload.
// Without CAP_NET_RAW it is a ping socket, where the kernel chooses the identifier. Replies carry
// the kernel's time of arrival, so a round trip does not depend on when somebody looks.
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>

#include "addon.h"
#include "checksum.h"
#include "napi-args.h"
#include "scoped-fd.h"

#ifndef ICMP_FILTER  // linux/icmp.h, which collides with netinet/ip_icmp.h
#define ICMP_FILTER 1
#endif

namespace hawser {
namespace {

// `ECHO` in src/native.ts.
constexpr size_t kReplyWords = 4, kReplyBytes = 64, kAddressBytes = 16;
constexpr size_t kPayloadMost = kReplyBytes - kAddressBytes;
constexpr size_t kHeaderBytes = 8, kIpv4Bytes = 20;

template <typename T>
int Option(int fd, int level, int name, const T& value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

// Milliseconds of a clock.
double Now(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

struct SocketKind {
  bool ipv6, raw;
};

bool KindOf(int fd, SocketKind& kind) {
  int domain = 0, type = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) return false;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) return false;
  kind = {domain == AF_INET6, type == SOCK_RAW};
  return domain == AF_INET6 || domain == AF_INET;
}

// A raw socket, or a ping socket where that is not allowed.
ScopedFd OpenSocket(bool ipv6) {
  const int domain = ipv6 ? AF_INET6 : AF_INET;
  const int protocol = ipv6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
  ScopedFd raw(socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (raw.valid() || (errno != EPERM && errno != EACCES)) return raw;
  return ScopedFd(socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

// A raw socket would be handed every ICMP message of the machine.
bool PassRepliesAlone(int fd, bool ipv6) {
  if (!ipv6) return Option(fd, SOL_RAW, ICMP_FILTER, ~(1u << ICMP_ECHOREPLY)) == 0;
  icmp6_filter filter;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
  return Option(fd, IPPROTO_ICMPV6, ICMP6_FILTER, filter) == 0;
}

socklen_t FillAddress(sockaddr_in6& address, bool ipv6, const uint8_t* bytes) {
  address = {};
  if (ipv6) {
    address.sin6_family = AF_INET6;
    std::memcpy(&address.sin6_addr, bytes, 16);
    return sizeof(sockaddr_in6);
  }
  auto& ipv4 = reinterpret_cast<sockaddr_in&>(address);
  ipv4.sin_family = AF_INET;
  std::memcpy(&ipv4.sin_addr, bytes, 4);
  return sizeof(sockaddr_in);
}

// When the datagram came, on the monotonic clock. That is read last: a pause between the two makes
// a round trip longer, and never negative.
double ArrivalOf(msghdr& message) {
  const double wall = Now(CLOCK_REALTIME);
  const double now = Now(CLOCK_MONOTONIC);
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp = {};
    std::memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
    const double age =
        wall - static_cast<double>(stamp.tv_sec) * 1e3 - static_cast<double>(stamp.tv_nsec) / 1e6;
    // The wall clock was set meanwhile: better the time of the look.
    return age >= 0 && age < 60'000 ? now - age : now;
  }
  return now;
}

// The echo reply in a received message: past the IP header that a raw IPv4 socket delivers, and
// with a good checksum where the kernel has not looked at it. nullptr: it is none.
const uint8_t* FindReply(const uint8_t* bytes, size_t& length, SocketKind kind) {
  if (kind.raw && !kind.ipv6) {
    if (length < kIpv4Bytes || bytes[0] >> 4 != 4) return nullptr;
    const size_t header = static_cast<size_t>(bytes[0] & 15) * 4;
    if (header < kIpv4Bytes || length < header + kHeaderBytes) return nullptr;
    bytes += header;
    length -= header;
    if (Checksum(Sum(bytes, length)) != 0) return nullptr;
  }
  if (length < kHeaderBytes) return nullptr;
  const uint8_t wanted = kind.ipv6 ? uint8_t{ICMP6_ECHO_REPLY} : uint8_t{ICMP_ECHOREPLY};
  return bytes[0] == wanted && bytes[1] == 0 ? bytes : nullptr;
}

void StoreReply(const uint8_t* reply, size_t length, const sockaddr_in6& from, SocketKind kind,
                double* words, uint8_t* bytes) {
  const size_t payload = length - kHeaderBytes;
  const size_t kept = payload < kPayloadMost ? payload : kPayloadMost;
  words[0] = Load16(reply + 4);
  words[1] = Load16(reply + 6);
  words[3] = static_cast<double>(kept);
  std::memset(bytes, 0, kAddressBytes);
  if (kind.ipv6) {
    std::memcpy(bytes, &from.sin6_addr, 16);
  } else {
    std::memcpy(bytes, &reinterpret_cast<const sockaddr_in&>(from).sin_addr, 4);
  }
  std::memcpy(bytes + kAddressBytes, reply + kHeaderBytes, kept);
}

}  // namespace

Napi::Value OpenIcmp(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = ObjectArgument(info, 0);
  const uint32_t family = IntOption(options, "family", 4, 6);
  if (family == 5) throw Napi::RangeError::New(env, "option family is out of range");
  const bool ipv6 = family == 6;
  const std::string what = ipv6 ? "ICMPv6" : "ICMP";
  ScopedFd fd = OpenSocket(ipv6);
  if (!fd.valid()) ThrowErrno(env, errno, "open a socket for " + what);
  SocketKind kind{};
  if (!KindOf(fd.get(), kind)) ThrowErrno(env, errno, "look at the socket for " + what);
  if (kind.raw && !PassRepliesAlone(fd.get(), ipv6)) ThrowErrno(env, errno, "filter " + what);
  if (Option(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, 1) != 0) {
    ThrowErrno(env, errno, "ask for times of arrival of " + what);
  }
  const Napi::Value device = options.Get("device");
  if (device.IsString()) {
    const std::string name = device.As<Napi::String>().Utf8Value();
    if (name.empty() || name.size() >= IFNAMSIZ) {
      throw Napi::RangeError::New(env, "option device is no name of a device");
    }
    if (setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name.c_str(),
                   static_cast<socklen_t>(name.size())) != 0) {
      ThrowErrno(env, errno, "bind " + what + " to the device " + name);
    }
  }
  const Napi::Value source = options.Get("source");
  if (!source.IsUndefined()) {
    const auto bytes = ArrayElements<uint8_t>(env, source, napi_uint8_array, "source");
    if (bytes.count != (ipv6 ? 16 : 4)) {
      throw Napi::RangeError::New(env, "option source is no address of the family");
    }
    sockaddr_in6 address;
    const socklen_t length = FillAddress(address, ipv6, bytes.data);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
      ThrowErrno(env, errno, "bind " + what + " to its source");
    }
  }
  return Napi::Number::New(env, fd.Release());
}

Napi::Value SendEcho(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = IntArgument(info, 0);
  const auto to = ArrayElements<uint8_t>(env, info[1], napi_uint8_array, "to");
  const int32_t identifier = IntArgument(info, 2), sequence = IntArgument(info, 3);
  const auto payload = ArrayElements<uint8_t>(env, info[4], napi_uint8_array, "payload");
  const bool is_word = identifier >= 0 && identifier <= 0xffff && sequence >= 0;
  if ((to.count != 4 && to.count != 16) || !is_word || sequence > 0xffff ||
      payload.count > kPayloadMost) {
    throw Napi::RangeError::New(env, "sendEcho: address, number or payload is out of range");
  }
  const bool ipv6 = to.count == 16;
  uint8_t message[kHeaderBytes + kPayloadMost] = {};
  message[0] = ipv6 ? uint8_t{ICMP6_ECHO_REQUEST} : uint8_t{ICMP_ECHO};
  Store16(message + 4, static_cast<uint32_t>(identifier));
  Store16(message + 6, static_cast<uint32_t>(sequence));
  std::memcpy(message + kHeaderBytes, payload.data, payload.count);
  const size_t length = kHeaderBytes + payload.count;
  // The kernel fills in that of ICMPv6, and that of a ping socket.
  if (!ipv6) Store16(message + 2, Checksum(Sum(message, length)));
  sockaddr_in6 address;
  const socklen_t address_length = FillAddress(address, ipv6, to.data);
  const double now = Now(CLOCK_MONOTONIC);
  const ssize_t sent = sendto(fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL,
                              reinterpret_cast<sockaddr*>(&address), address_length);
  return Napi::Number::New(env, sent < 0 ? -static_cast<double>(errno) : now);
}

Napi::Value ReceiveEchoes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = IntArgument(info, 0);
  const auto words = ArrayElements<double>(env, info[1], napi_float64_array, "words");
  const auto bytes = ArrayElements<uint8_t>(env, info[2], napi_uint8_array, "bytes");
  const size_t rows = words.count == 0 ? 0 : (words.count - 1) / kReplyWords;
  if (rows == 0 || bytes.count < rows * kReplyBytes) {
    throw Napi::RangeError::New(env, "receiveEchoes: the arrays are too short");
  }
  SocketKind kind{};
  if (!KindOf(fd, kind)) return Napi::Number::New(env, -errno);
  size_t count = 0;
  double malformed = 0;
  // A flood must not keep the caller here: what is left comes with the next call.
  for (size_t looks = 0; count < rows && looks < rows * 2; ++looks) {
    uint8_t packet[kIpv4Bytes * 3 + kHeaderBytes + kPayloadMost];
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(timespec))];
    sockaddr_in6 from = {};
    iovec vector = {packet, sizeof packet};
    msghdr message = {};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t received = recvmsg(fd, &message, MSG_DONTWAIT);
    if (received < 0) {
      // A pending error of the socket is taken by the call: host unreachable and the like.
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EINTR || errno == EHOSTUNREACH || errno == ENETUNREACH) continue;
      if (count == 0) return Napi::Number::New(env, -errno);
      break;
    }
    auto length = static_cast<size_t>(received);
    // Larger than any of ours: somebody else's.
    if ((message.msg_flags & MSG_TRUNC) != 0) continue;
    const uint8_t* reply = FindReply(packet, length, kind);
    if (reply == nullptr) {
      ++malformed;
      continue;
    }
    double* row = words.data + 1 + count * kReplyWords;
    StoreReply(reply, length, from, kind, row, bytes.data + count * kReplyBytes);
    row[2] = ArrivalOf(message);
    ++count;
  }
  words.data[0] += malformed;
  return Napi::Number::New(env, static_cast<double>(count));
}

}  // namespace hawser
