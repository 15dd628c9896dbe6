#include "replay.h"

namespace hawser {
namespace {

constexpr uint64_t kWords = sizeof(Replay::ring) / sizeof(uint64_t), kBits = 64;
constexpr uint64_t kWindow = (kWords - 1) * kBits;

}  // namespace

// Positions are counter + 1, so that `next` 0 means "none yet" and position `next` is the newest.
bool AcceptCounter(Replay& replay, uint64_t counter) {
  const uint64_t position = counter + 1;
  if (position == 0) return false;
  if (replay.next > position && replay.next - position > kWindow) return false;
  const uint64_t word = position / kBits;
  if (position > replay.next) {
    const uint64_t newest = replay.next / kBits;
    const uint64_t steps = word - newest < kWords ? word - newest : kWords;
    for (uint64_t step = 1; step <= steps; step++) replay.ring[(newest + step) % kWords] = 0;
    replay.next = position;
  }
  const uint64_t bit = uint64_t{1} << position % kBits;
  uint64_t& seen = replay.ring[word % kWords];
  if ((seen & bit) != 0) return false;
  seen |= bit;
  return true;
}

}  // namespace hawser
