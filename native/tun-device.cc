// TUN devices: opening, adopting, offloads, and what became of a device since.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"
#include "napi-args.h"
#include "scoped-fd.h"

#ifndef TUNGETDEVNETNS  // Linux 5.2
#define TUNGETDEVNETNS _IO('T', 227)
#endif

namespace hawser {
namespace {

constexpr int kVnetHeaderBytes = 10;
constexpr const char* kDevice = "/dev/net/tun";

// An ifreq for a device. The name was checked: it fits.
ifreq RequestFor(const std::string& name, int flags) {
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(flags);
  return request;
}

ScopedFd OpenControl(Napi::Env env) {
  ScopedFd fd(open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) ThrowErrno(env, errno, std::string("open ") + kDevice);
  return fd;
}

// Deletes the persistent device of this name whose MULTI_QUEUE flag is not the one of `flags`.
// False if there is none that is ours to delete.
bool DeleteOther(Napi::Env env, const std::string& name, int flags) {
  ScopedFd fd = OpenControl(env);
  ifreq request = RequestFor(name, flags ^ IFF_MULTI_QUEUE);
  return ioctl(fd.get(), TUNSETIFF, &request) == 0 && ioctl(fd.get(), TUNSETPERSIST, 0) == 0;
}

void SetVnetHeader(Napi::Env env, int fd, const std::string& name) {
  int bytes = kVnetHeaderBytes;
  if (ioctl(fd, TUNSETVNETHDRSZ, &bytes) != 0) ThrowErrno(env, errno, "TUNSETVNETHDRSZ of " + name);
}

void SetMtu(Napi::Env env, const std::string& name, uint32_t bytes) {
  ScopedFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = RequestFor(name, 0);
  request.ifr_mtu = static_cast<int>(bytes);
  if (ioctl(control.get(), SIOCSIFMTU, &request) != 0) {
    ThrowErrno(env, errno, "set the MTU of " + name + " to " + std::to_string(bytes));
  }
}

Napi::Object Opened(Napi::Env env, int fd, const char* name) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("fd", Napi::Number::New(env, fd));
  result.Set("name", Napi::String::New(env, name));
  return result;
}

void SetPersistent(Napi::Env env, int fd, const std::string& name) {
  if (ioctl(fd, TUNSETPERSIST, 1) != 0) {
    ThrowErrno(env, errno, "make TUN device " + name + " persistent");
  }
}

Napi::Value Adopt(Napi::Env env, int fd, bool persistent) {
  const std::string what = "adopt descriptor " + std::to_string(fd);
  ifreq request = {};
  if (ioctl(fd, TUNGETIFF, &request) != 0) ThrowErrno(env, errno, what);
  const std::string name = request.ifr_name;
  constexpr int kWanted = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if ((request.ifr_flags & kWanted) != kWanted) {
    ThrowErrno(env, EINVAL, what + ": " + name + " must be a TUN device with NO_PI and VNET_HDR");
  }
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    ThrowErrno(env, errno, what);
  }
  SetVnetHeader(env, fd, name);
  if (persistent) SetPersistent(env, fd, name);
  return Opened(env, fd, request.ifr_name);
}

// Enters a network namespace for as long as it lives. The namespace belongs to the thread, so
// other threads do not notice.
class NetworkNamespace {
 public:
  explicit NetworkNamespace(const ScopedFd& entered) {
    if (!entered.valid()) return;
    ScopedFd own(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    struct stat there = {}, here = {};
    const bool known = own.valid() && fstat(own.get(), &here) == 0;
    if (known && fstat(entered.get(), &there) == 0 && there.st_ino == here.st_ino) return;
    if (!known || setns(entered.get(), CLONE_NEWNET) != 0) {
      error_ = errno;
    } else {
      own_ = std::move(own);
    }
  }
  ~NetworkNamespace() {
    // A thread in the wrong namespace would open its next sockets there: better no process.
    if (own_.valid() && setns(own_.get(), CLONE_NEWNET) != 0) {
      napi_fatal_error("tunState", NAPI_AUTO_LENGTH, "cannot go back to the own namespace",
                       NAPI_AUTO_LENGTH);
    }
  }
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;

  // Why it was not entered, or 0.
  int error() const { return error_; }

 private:
  ScopedFd own_;
  int error_ = 0;
};

}  // namespace

Napi::Value OpenTun(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = ObjectArgument(info, 0);
  const bool persistent = BooleanOption(options, "persistent");
  if (options.Get("fd").IsNumber()) {
    return Adopt(env, static_cast<int>(IntOption(options, "fd", 0, INT32_MAX)), persistent);
  }
  const std::string name = options.Get("name").ToString();
  if (name.size() >= IFNAMSIZ) ThrowErrno(env, ENAMETOOLONG, "open TUN device " + name);
  int flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (BooleanOption(options, "multiQueue")) flags |= IFF_MULTI_QUEUE;

  bool is_new = if_nametoindex(name.c_str()) == 0;
  ScopedFd fd = OpenControl(env);
  ifreq request = RequestFor(name, flags);
  int error = ioctl(fd.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
  // A persistent device that is there with another MULTI_QUEUE flag cannot be attached to.
  if (error == EINVAL && BooleanOption(options, "mayReplace") && DeleteOther(env, name, flags)) {
    is_new = true;
    request = RequestFor(name, flags);
    error = ioctl(fd.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
  }
  if (error != 0) ThrowErrno(env, error, "open TUN device " + name);
  SetVnetHeader(env, fd.get(), request.ifr_name);
  if (is_new && options.Get("mtuBytes").IsNumber()) {
    SetMtu(env, request.ifr_name, IntOption(options, "mtuBytes", 68, 65535));
  }
  // Last: a device that was not had as it was asked for goes with its descriptor.
  if (persistent) SetPersistent(env, fd.get(), request.ifr_name);
  return Opened(env, fd.Release(), request.ifr_name);
}

Napi::Value SetTunOffload(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int32_t mask = IntArgument(info, 1);
  const int result = ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(mask));
  return Napi::Number::New(info.Env(), result == 0 ? 0 : -errno);
}

// A socket answers for the names of the namespace that it was made in, so for a device that was
// moved (`ip link set … netns`) it has to be made in the device's namespace.
Napi::Value TunState(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = IntArgument(info, 0);
  ifreq request = {};
  if (ioctl(fd, TUNGETIFF, &request) != 0) {
    ThrowErrno(env, errno, "TUNGETIFF of descriptor " + std::to_string(fd));
  }
  const std::string name = request.ifr_name;
  ScopedFd socket_there;
  {
    // Without the privilege to ask (EPERM), the device is sought in our own namespace.
    const NetworkNamespace there(ScopedFd(ioctl(fd, TUNGETDEVNETNS, 0)));
    if (there.error() != 0) ThrowErrno(env, there.error(), "enter the namespace of " + name);
    socket_there = ScopedFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  }
  if (!socket_there.valid()) ThrowErrno(env, errno, "open a socket for " + name);
  request = RequestFor(name, 0);
  if (ioctl(socket_there.get(), SIOCGIFMTU, &request) != 0) {
    ThrowErrno(env, errno, "SIOCGIFMTU of " + name);
  }
  const int mtu = request.ifr_mtu;
  request = RequestFor(name, 0);
  if (ioctl(socket_there.get(), SIOCGIFFLAGS, &request) != 0) {
    ThrowErrno(env, errno, "SIOCGIFFLAGS of " + name);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", Napi::String::New(env, name));
  result.Set("mtuBytes", Napi::Number::New(env, mtu));
  result.Set("up", Napi::Boolean::New(env, (request.ifr_flags & IFF_UP) != 0));
  return result;
}

}  // namespace hawser
