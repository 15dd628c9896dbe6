// Self-tests of the offloads, in a network namespace that is made for them and left again: what the
// kernel says it can do and what it does have differed (TUN GSO writes refused by 6.6.44, UDP GSO
// that corrupts equal segments in 7.0). Nothing outside of that namespace is touched.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "addon.h"
#include "checksum.h"
#include "napi-args.h"
#include "scoped-fd.h"
#include "udp-socket.h"

namespace hawser {
namespace {

constexpr int kSegments = 8, kSegmentBytes = 100, kBytes = kSegments * kSegmentBytes;
constexpr int kWaitMs = 1000;
constexpr uint32_t kOwnAddress = 0xc0000201;    // 192.0.2.1, RFC 5737
constexpr uint32_t kOtherAddress = 0xc0000202;  // 192.0.2.2

struct VirtioHeader {
  uint8_t flags, gso_type;
  uint16_t header_length, gso_size, csum_start, csum_offset;
};

struct Outcome {
  bool works = false;
  std::string reason;
};

Outcome Failed(const std::string& what) { return {false, what + ": " + std::strerror(errno)}; }

sockaddr_in AddressOf(uint32_t address, uint16_t port) {
  sockaddr_in result = {};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(address);
  result.sin_port = htons(port);
  return result;
}

bool SetUp(const char* name, uint32_t address) {
  ScopedFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (address != 0) {
    const sockaddr_in own = AddressOf(address, 0), mask = AddressOf(0xffffff00, 0);
    std::memcpy(&request.ifr_addr, &own, sizeof own);
    if (ioctl(control.get(), SIOCSIFADDR, &request) != 0) return false;
    std::memcpy(&request.ifr_netmask, &mask, sizeof mask);
    if (ioctl(control.get(), SIOCSIFNETMASK, &request) != 0) return false;
  }
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(control.get(), SIOCSIFFLAGS, &request) == 0;
}

// A bound UDP socket; its port goes to `port`.
ScopedFd BoundSocket(uint32_t address, uint16_t* port) {
  ScopedFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in own = AddressOf(address, 0);
  socklen_t length = sizeof own;
  if (!fd.valid() || bind(fd.get(), reinterpret_cast<sockaddr*>(&own), length) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &length) != 0) {
    return ScopedFd();
  }
  *port = ntohs(own.sin_port);
  return fd;
}

void FillPattern(uint8_t* bytes) {
  for (int i = 0; i < kBytes; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / kSegmentBytes);
}

bool IsReadable(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return poll(&wait, 1, kWaitMs) == 1;
}

// Reads datagrams until all bytes are there, and compares them. `largest`: the longest single read.
bool ReceivePattern(int fd, int* largest) {
  uint8_t wanted[kBytes], got[kBytes];
  FillPattern(wanted);
  int total = 0;
  *largest = 0;
  while (total < kBytes && IsReadable(fd)) {
    const auto bytes = static_cast<int>(recv(fd, got + total, sizeof got - total, 0));
    if (bytes <= 0) return false;
    total += bytes;
    if (bytes > *largest) *largest = bytes;
  }
  return total == kBytes && std::memcmp(wanted, got, kBytes) == 0;
}

// A train over loopback, received whole by UDP_GRO.
void ProbeUdp(Outcome* segmentation, Outcome* gro) {
  uint16_t port = 0, unused = 0;
  ScopedFd receiver = BoundSocket(INADDR_LOOPBACK, &port);
  ScopedFd sender = BoundSocket(INADDR_LOOPBACK, &unused);
  const int one = 1, size = kSegmentBytes;
  const bool has_gro = setsockopt(receiver.get(), IPPROTO_UDP, kUdpGro, &one, sizeof one) == 0;
  *gro = has_gro ? Outcome{true, ""} : Failed("UDP_GRO");
  if (setsockopt(sender.get(), IPPROTO_UDP, kUdpSegment, &size, sizeof size) != 0) {
    *segmentation = Failed("UDP_SEGMENT");
    return;
  }
  uint8_t train[kBytes];
  FillPattern(train);
  const sockaddr_in to = AddressOf(INADDR_LOOPBACK, port);
  if (sendto(sender.get(), train, kBytes, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) !=
      kBytes) {
    *segmentation = Failed("sending a train");
    return;
  }
  int largest = 0;
  if (!ReceivePattern(receiver.get(), &largest)) {
    segmentation->reason = "a train over loopback did not arrive as it was sent";
    return;
  }
  segmentation->works = true;
}

// IPv4 and the transport header of a frame of kBytes, its checksum left to the kernel.
int WriteHeaders(uint8_t* packet, bool tcp, uint16_t port) {
  const int transport_bytes = tcp ? 20 : 8, total = 20 + transport_bytes + kBytes;
  std::memset(packet, 0, 20 + transport_bytes);
  packet[0] = 0x45;
  Store16(packet + 2, total);
  packet[8] = 64;
  packet[9] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
  const uint32_t addresses[2] = {htonl(kOtherAddress), htonl(kOwnAddress)};
  std::memcpy(packet + 12, addresses, 8);
  Store16(packet + 10, Checksum(Sum(packet, 20)));
  const int payload = transport_bytes + kBytes;
  uint8_t pseudo[12] = {};
  std::memcpy(pseudo, packet + 12, 8);
  pseudo[9] = packet[9];
  Store16(pseudo + 10, payload);
  Store16(packet + 20, 40000);
  Store16(packet + 22, port);
  if (tcp) {
    packet[32] = 0x50;
    packet[33] = 0x10;
  } else {
    Store16(packet + 24, payload);
  }
  Store16(packet + 20 + (tcp ? 16 : 6), Fold(Sum(pseudo, sizeof pseudo)));
  FillPattern(packet + 20 + transport_bytes);
  return total;
}

bool WriteSuperpacket(int tun, bool tcp, uint16_t port) {
  uint8_t frame[sizeof(VirtioHeader) + 40 + kBytes];
  VirtioHeader header = {};
  header.flags = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
  header.gso_type = static_cast<uint8_t>(tcp ? kGsoTcp4 : kGsoUdp);
  header.header_length = tcp ? 40 : 28;
  header.gso_size = kSegmentBytes;
  header.csum_start = 20;
  header.csum_offset = tcp ? 16 : 6;
  std::memcpy(frame, &header, sizeof header);
  const int bytes =
      WriteHeaders(frame + sizeof header, tcp, port) + static_cast<int>(sizeof header);
  return write(tun, frame, bytes) == bytes;
}

// Looks for a superpacket of UDP among what the kernel sends into the device.
bool ReadsUdpSuperpacket(int tun) {
  uint8_t frame[4096];
  while (IsReadable(tun)) {
    const ssize_t bytes = read(tun, frame, sizeof frame);
    VirtioHeader header;
    if (bytes < static_cast<ssize_t>(sizeof header)) return false;
    std::memcpy(&header, frame, sizeof header);
    // There may be a TCP reset or the kernel's IPv6 chatter in front of it.
    const uint8_t* packet = frame + sizeof header;
    if (packet[0] >> 4 == 4 && packet[9] == IPPROTO_UDP) {
      return header.gso_type == kGsoUdp && header.gso_size == kSegmentBytes;
    }
  }
  return false;
}

Outcome ProbeUso(int tun) {
  uint16_t port = 0, unused = 0;
  ScopedFd receiver = BoundSocket(kOwnAddress, &port);
  if (!WriteSuperpacket(tun, false, port)) return Failed("writing a UDP superpacket");
  int largest = 0;
  if (!ReceivePattern(receiver.get(), &largest)) {
    return {false, "a UDP superpacket did not arrive as it was written"};
  }
  ScopedFd sender = BoundSocket(kOwnAddress, &unused);
  const int size = kSegmentBytes;
  uint8_t train[kBytes];
  FillPattern(train);
  const sockaddr_in to = AddressOf(kOtherAddress, 9);
  if (setsockopt(sender.get(), IPPROTO_UDP, kUdpSegment, &size, sizeof size) != 0 ||
      sendto(sender.get(), train, kBytes, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) !=
          kBytes) {
    return Failed("sending a train into the device");
  }
  if (!ReadsUdpSuperpacket(tun)) return {false, "a train was not read as one superpacket"};
  return {true, ""};
}

void ProbeTun(Outcome* tso, Outcome* uso) {
  ScopedFd tun(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ifreq request = {};
  std::strncpy(request.ifr_name, "probe", IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (!tun.valid() || ioctl(tun.get(), TUNSETIFF, &request) != 0) {
    *tso = *uso = Failed("a TUN device");
    return;
  }
  constexpr unsigned long kTso = 0x1 | 0x2 | 0x4, kUso = 0x20 | 0x40;
  const bool has_uso = ioctl(tun.get(), TUNSETOFFLOAD, kTso | kUso) == 0;
  if (!has_uso) {
    *uso = Failed("TUNSETOFFLOAD");
    if (ioctl(tun.get(), TUNSETOFFLOAD, kTso) != 0) *tso = Failed("TUNSETOFFLOAD");
  }
  if (!SetUp("probe", kOwnAddress)) {
    *tso = *uso = Failed("an address for a TUN device");
    return;
  }
  if (tso->reason.empty()) {
    *tso = WriteSuperpacket(tun.get(), true, 9) ? Outcome{true, ""}
                                                : Failed("writing a TCP superpacket");
  }
  if (has_uso) *uso = ProbeUso(tun.get());
}

}  // namespace

Napi::Value ProbeOffloads(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Outcome tso, uso, segmentation, gro;
  ScopedFd own(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!own.valid() || unshare(CLONE_NEWNET) != 0) {
    tso = uso = segmentation = gro = {true, "not tested: no network namespace could be made"};
  } else {
    SetUp("lo", 0);
    ProbeUdp(&segmentation, &gro);
    ProbeTun(&tso, &uso);
    if (setns(own.get(), CLONE_NEWNET) != 0) {
      napi_fatal_error("probeOffloads", NAPI_AUTO_LENGTH, "cannot go back to the own namespace",
                       NAPI_AUTO_LENGTH);
    }
  }
  Napi::Object result = Napi::Object::New(env), reasons = Napi::Object::New(env);
  const auto add = [&](const char* name, const Outcome& outcome) {
    result.Set(name, Napi::Boolean::New(env, outcome.works));
    if (!outcome.reason.empty()) reasons.Set(name, Napi::String::New(env, outcome.reason));
  };
  add("tunTso", tso);
  add("tunUso", uso);
  add("udpSegmentation", segmentation);
  add("udpGro", gro);
  result.Set("reasons", reasons);
  return result;
}

}  // namespace hawser
