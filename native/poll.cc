// The only place where a worker waits: one ppoll over its devices, its sockets and its eventfd.
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <ctime>

#include "addon.h"
#include "napi-args.h"

namespace hawser {
namespace {

constexpr double kLongestMs = 1e12;  // some 31 years: what is longer is cut to it

timespec Timespec(double ms) {
  const double bounded = ms > 0 ? std::fmin(ms, kLongestMs) : 0;  // NaN does not wait
  const double seconds = std::floor(bounded / 1000);
  // Rounded up: a deadline that is slept short of would be waited for a second time.
  const double ns = std::ceil((bounded - seconds * 1000) * 1e6);
  return {static_cast<time_t>(seconds), static_cast<long>(std::fmin(ns, 999'999'999))};
}

double MonotonicMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// Sets the counter of an eventfd back to 0.
void Drain(int fd) {
  uint64_t count;
  while (read(fd, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

int PollFor(pollfd* polls, nfds_t count, const timespec* timeout) {
  const int ready = ppoll(polls, count, timeout, nullptr);
  if (ready >= 0) return ready;
  return errno == EINTR ? 0 : -errno;
}

// Looks again and again instead of sleeping, and gives way to whoever else can run here. What comes
// meanwhile has nobody to wake, which costs its sender several microseconds where CPUs are virtual.
int Linger(pollfd* polls, nfds_t count, double linger_ms) {
  static constexpr timespec kNow = {0, 0};
  const double until_ms = MonotonicMs() + linger_ms;
  for (;;) {
    const int ready = PollFor(polls, count, &kNow);
    if (ready != 0) return ready;
    sched_yield();
    if (MonotonicMs() >= until_ms) return 0;
  }
}

}  // namespace

napi_value Poll(napi_env env, napi_callback_info info) {
  BreathCall<4> call(env, info);
  ContextHolder* holder = call.Holder();
  const int32_t count = call.Int(1);
  const double timeout_ms = call.Double(2), linger_ms = call.Double(3);
  if (!call.valid() || holder == nullptr || !IsRange(0, count, holder->context.poll_count)) {
    return call.Refuse("poll: no such descriptors");
  }
  pollfd* const polls = holder->polls.data();
  int32_t* const triples = holder->context.polls;
  for (int32_t i = 0; i < count; ++i) {
    polls[i] = {triples[i * 3], static_cast<short>(triples[i * 3 + 1] & 0x7fff), 0};
  }
  const auto entries = static_cast<nfds_t>(count);
  const double start_ms = MonotonicMs();
  int ready = 0;
  if (timeout_ms > 0 && holder->waited_ms < linger_ms) ready = Linger(polls, entries, linger_ms);
  if (ready == 0) {
    const timespec timeout = Timespec(timeout_ms);
    ready = PollFor(polls, entries, timeout_ms == HUGE_VAL ? nullptr : &timeout);
  }
  holder->waited_ms = MonotonicMs() - start_ms;
  for (int32_t i = 0; i < count; ++i) {
    const bool wake = (triples[i * 3 + 1] & kPollWake) != 0;
    if (wake && (polls[i].revents & POLLIN) != 0) Drain(polls[i].fd);
    triples[i * 3 + 2] = polls[i].revents;
  }
  holder->context.state[kStateNowMs] = MonotonicMs();
  return call.Return(ready);
}

}  // namespace hawser
