// What the addon keeps for one JavaScript environment. Both workers load the same library, so
// nothing of this may be a C++ global: it is the environment's instance data, and each exported
// function is given it as its data pointer. It dies with the environment.
#pragma once
#include <napi.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <cmath>

#include <memory>
#include <vector>

#include "layout.h"

namespace hawser {

struct AeadState;

// A context together with what keeps its arrays alive and the pollfds of its `polls`.
struct ContextHolder {
  Context context{};
  std::vector<pollfd> polls;
  // How long the last poll took to find something: whether it pays to look for more before
  // sleeping.
  double waited_ms = HUGE_VAL;
  std::vector<Napi::ObjectReference> arrays;
};

// Room of the I/O calls, reused from call to call: a breath allocates nothing.
struct Scratch {
  // The kernel takes at most 1024 (UIO_MAXIOV) pieces in one writev.
  static constexpr int32_t kPieces = 1024;
  static constexpr int32_t kMessages = 64;

  union Address {
    sockaddr any;
    sockaddr_in ipv4;
    sockaddr_in6 ipv6;
  };
  // UDP_SEGMENT or UDP_GRO, TOS and packet info of one message.
  struct Control {
    alignas(cmsghdr) uint8_t
        bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo))];
  };
  // Which datagrams of which train a message to send holds.
  struct Part {
    int32_t train, datagrams;
  };

  iovec pieces[kPieces];
  mmsghdr messages[kMessages];
  iovec buffers[kMessages];
  Address addresses[kMessages];
  Control controls[kMessages];
  Part parts[kMessages];
};

struct Environment {
  explicit Environment(AeadState* state) : aead(state) {}
  ~Environment();  // addon.cc
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  std::vector<std::unique_ptr<ContextHolder>> contexts;
  AeadState* const aead;
  Scratch scratch;
};

}  // namespace hawser
