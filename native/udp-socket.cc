// UDP sockets: one for each family and port, shared by all cables of a data path.
#include "udp-socket.h"

#include <linux/filter.h>
#include <netinet/udp.h>

#include <cerrno>

#include "addon.h"
#include "napi-args.h"
#include "scoped-fd.h"

namespace hawser {
namespace {

constexpr uint32_t kPairsMost = 8;
constexpr int kReceiveBufferBytes = 8 << 20, kSendBufferBytes = 4 << 20;

int Option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

// What the kernel gave, in the unit that was asked for: it doubles the number for its overhead.
int BufferBytes(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  getsockopt(fd, SOL_SOCKET, name, &value, &length);
  return value / 2;
}

// The privileged option passes the sysctl limit, the other is cut to it.
void SetBuffer(int fd, int forced, int plain, int bytes) {
  if (Option(fd, SOL_SOCKET, forced, bytes) != 0) Option(fd, SOL_SOCKET, plain, bytes);
}

bool SetFamilyOptions(int fd, bool ipv6) {
  if (ipv6) {
    return Option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0 &&
           Option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, kPmtuDiscOmit) == 0 &&
           Option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == 0 &&
           Option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) == 0;
  }
  return Option(fd, IPPROTO_IP, IP_MTU_DISCOVER, kPmtuDiscOmit) == 0 &&
         Option(fd, IPPROTO_IP, IP_PKTINFO, 1) == 0 && Option(fd, IPPROTO_IP, IP_RECVTOS, 1) == 0;
}

// A classic BPF program of one instruction, "accept 0 bytes": whatever arrives is dropped.
bool RefuseAll(int fd) {
  sock_filter refuse = {BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program = {1, &refuse};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

// Chooses among the sockets that share a port, in the order in which they were bound: by the low
// bits of the receiver index (bytes 8 of a handshake response, 4 of a cookie reply and of data;
// little-endian), else the first. A classic BPF program sees the datagram from its UDP payload on;
// a load behind its end returns 0, which is the first as well.
bool Steer(int fd, uint32_t pairs) {
  // The type is a little-endian word of its own, and a load of a word is big-endian.
  constexpr uint32_t kResponse = 0x02000000, kCookieReply = 0x03000000, kData = 0x04000000;
  // clang-format off
  sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
      {BPF_JMP | BPF_JEQ | BPF_K, 4, 0, kResponse},     // to 6
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kCookieReply},  // to 4
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, kData},         // to 4, everything else to 9
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, 4},
      {BPF_JMP | BPF_JA, 0, 0, 1},
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, 8},
      {BPF_ALU | BPF_AND | BPF_K, 0, 0, pairs - 1},
      {BPF_RET | BPF_A, 0, 0, 0},
      {BPF_RET | BPF_K, 0, 0, 0},
  };
  // clang-format on
  const sock_fprog whole = {sizeof program / sizeof program[0], program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &whole, sizeof whole) == 0;
}

// Binds to a port of every address and returns the port, or 0 with errno set.
uint16_t Bind(int fd, bool ipv6, uint16_t port) {
  sockaddr_in6 address = {};
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  any->sa_family = ipv6 ? AF_INET6 : AF_INET;
  address.sin6_port = htons(port);  // lies where sockaddr_in has it
  socklen_t length = ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (bind(fd, any, length) != 0 || getsockname(fd, any, &length) != 0) return 0;
  return ntohs(address.sin6_port);
}

static_assert(offsetof(sockaddr_in6, sin6_port) == offsetof(sockaddr_in, sin_port));

}  // namespace

Napi::Value OpenUdp(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = ObjectArgument(info, 0);
  const bool ipv6 = IntOption(options, "family", 4, 6) == 6;
  const auto port = static_cast<uint16_t>(IntOption(options, "port", 0, 65535));
  const uint32_t mark = IntOption(options, "fwmark", 0, UINT32_MAX);
  const std::string what =
      std::string(ipv6 ? "UDP over IPv6" : "UDP over IPv4") + ", port " + std::to_string(port);

  ScopedFd fd(socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) ThrowErrno(env, errno, "open a socket for " + what);
  if (!SetFamilyOptions(fd.get(), ipv6)) ThrowErrno(env, errno, "set options for " + what);
  SetBuffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, kReceiveBufferBytes);
  SetBuffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, kSendBufferBytes);
  if (mark != 0 && Option(fd.get(), SOL_SOCKET, SO_MARK, static_cast<int>(mark)) != 0) {
    ThrowErrno(env, errno, "set the mark for " + what);
  }
  const bool gro = BooleanOption(options, "gro") && Option(fd.get(), IPPROTO_UDP, kUdpGro, 1) == 0;
  // 0 is "no segmentation by default"; each train brings its own size.
  const bool segmentation = Option(fd.get(), IPPROTO_UDP, kUdpSegment, 0) == 0;
  if (BooleanOption(options, "sendOnly") && !RefuseAll(fd.get())) {
    ThrowErrno(env, errno, "attach a filter to " + what);
  }
  const bool shares = options.Get("steerPairs").IsNumber();
  const uint32_t pairs = shares ? IntOption(options, "steerPairs", 1, kPairsMost) : 1;
  if (pairs > 1 && Option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1) != 0) {
    ThrowErrno(env, errno, "share the port of " + what);
  }
  const uint16_t bound = Bind(fd.get(), ipv6, port);
  if (bound == 0) ThrowErrno(env, errno, "bind " + what);
  // Not before: a socket with a program is refused by the group that it binds into.
  if (pairs > 1 && !Steer(fd.get(), pairs)) ThrowErrno(env, errno, "steer " + what);

  Napi::Object result = Napi::Object::New(env);
  result.Set("port", Napi::Number::New(env, bound));
  result.Set("receiveBufferBytes", Napi::Number::New(env, BufferBytes(fd.get(), SO_RCVBUF)));
  result.Set("sendBufferBytes", Napi::Number::New(env, BufferBytes(fd.get(), SO_SNDBUF)));
  result.Set("gro", Napi::Boolean::New(env, gro));
  result.Set("segmentation", Napi::Boolean::New(env, segmentation));
  result.Set("fd", Napi::Number::New(env, fd.Release()));
  return result;
}

Napi::Value SetFwmark(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  // A mark of 32 bits: a number at or above 2^31 comes out as the same bits.
  const int result = Option(fd, SOL_SOCKET, SO_MARK, IntArgument(info, 1));
  return Napi::Number::New(info.Env(), result == 0 ? 0 : -errno);
}

}  // namespace hawser
