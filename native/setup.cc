// Small things of set-up: the eventfd that wakes a worker, and the process's rights.
#include <linux/capability.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"
#include "napi-args.h"

namespace hawser {
namespace {

// Keeps only the capabilities of the mask `keep`. There is no libc function for capset: libcap has
// one. The bounding set needs CAP_SETPCAP; without it there is nothing to gain by an exec either.
void KeepCapabilities(Napi::Env env, uint64_t keep) {
  for (int capability = 0; capability < 64; ++capability) {
    if ((keep >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) ThrowErrno(env, errno, "capget");
  for (int half = 0; half < 2; ++half) {
    const auto mask = static_cast<uint32_t>(keep >> (32 * half));
    data[half].effective &= mask;
    data[half].permitted &= mask;
    data[half].inheritable &= mask;
  }
  if (syscall(SYS_capset, &header, data) != 0) ThrowErrno(env, errno, "capset");
}

}  // namespace

Napi::Value CreateWake(const Napi::CallbackInfo& info) {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) ThrowErrno(info.Env(), errno, "create an eventfd");
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value Wake(const Napi::CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const uint64_t one = 1;
  // EAGAIN: the counter is at its limit, so it is readable.
  while (write(fd, &one, sizeof one) < 0) {
    if (errno == EAGAIN) break;
    if (errno != EINTR) ThrowErrno(info.Env(), errno, "wake descriptor " + std::to_string(fd));
  }
  return info.Env().Undefined();
}

// Capabilities belong to a thread: this changes the calling one and those that it starts later, so
// it must be called before there are workers. Threads that Node itself started before (V8's
// helpers) keep theirs; they run none of our code.
Napi::Value SecureProcess(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArray()) throw Napi::TypeError::New(env, "secureProcess takes a list");
  const auto list = info[0].As<Napi::Array>();
  uint64_t keep = 0;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value value = list.Get(i);
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 0 && number < 64)) throw Napi::RangeError::New(env, "no such capability");
    keep |= uint64_t{1} << static_cast<uint32_t>(number);
  }
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) ThrowErrno(env, errno, "PR_SET_DUMPABLE");
  const rlimit no_core = {0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) ThrowErrno(env, errno, "RLIMIT_CORE");
  if (keep != 0) KeepCapabilities(env, keep);
  return env.Undefined();
}

Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = IntArgument(info, 0);
  ucred credentials = {};
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    ThrowErrno(env, errno, "SO_PEERCRED of descriptor " + std::to_string(fd));
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("uid", Napi::Number::New(env, credentials.uid));
  result.Set("gid", Napi::Number::New(env, credentials.gid));
  result.Set("pid", Napi::Number::New(env, credentials.pid));
  return result;
}

}  // namespace hawser
